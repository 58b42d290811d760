/* bitswap: the messages of the block exchange. Spec: ipfs/specs src/bitswap-protocol.md (1.2.0, 1.1.0, 1.0.0;
 * /ipfs/bitswap is 1.0.0 under its oldest name).
 *
 * A message is a protobuf behind a uvarint length: wantlist 1 {entries 1 {cid 1, priority 2, cancel 3,
 * want type 4, send-dont-have 5}, full 2}, blocks 2 (1.0: bare bytes, CIDv0), payload 3 (from 1.1: {CID
 * prefix 1, data 2}), presences 4 (from 1.2: {cid 1, type 2}), pending bytes 5. Streams are one-way: answers
 * come on a stream that the answering peer opens.
 *
 * The decoder is an engine over the stream's bytes: items come out as they are complete, a wantlist of any
 * length takes no memory, and the bytes of a block are read straight into the block. Whoever reads the
 * stream asks for the place of the next bytes:
 *
 *   do {
 *       while (bitswap_decoder_next(d, &item)) …
 *       TRY(d->err);
 *       area = bitswap_decoder_area(d, &room);  // read n bytes into it
 *       TRY(bitswap_decoder_fed(d, n));
 *   } while (n);
 *
 * LENGTH -> MESSAGE -> {WANTLIST, DATA, PAYLOAD -> DATA} -> MESSAGE -> LENGTH; any error is final. */
#ifndef WIRE_BITSWAP_H
#define WIRE_BITSWAP_H
#include "base/writer.h"
#include "multi/block.h"

#define BITSWAP_MESSAGE_MAX_BYTES (4u << 20)
/* The longest block that a message of version 1.1 and up holds, with a CID of version 1 and sha2-256. */
#define BITSWAP_BLOCK_MAX_BYTES (BITSWAP_MESSAGE_MAX_BYTES - 18)
#define BITSWAP_CID_MAX_BYTES 168
#define BITSWAP_ENTRY_MAX_BYTES 512 /* one wantlist entry or presence, unknown fields included */

typedef enum { BITSWAP_V1_0, BITSWAP_V1_1, BITSWAP_V1_2 } bitswap_version_t;
#define BITSWAP_PROTOCOL_COUNT 4
extern const char *const bitswap_protocols[BITSWAP_PROTOCOL_COUNT]; /* newest first */
/* V1_0 for the oldest name and for names that are none of bitswap's. */
bitswap_version_t bitswap_version_of(const char *protocol);

typedef struct bitswap_want {
    cid_t cid;
    int32_t priority;
    bool is_cancel;
    bool is_have;        /* asks whether the peer has it; else for the block */
    bool send_dont_have; /* answer also when it does not */
} bitswap_want_t;

/* ── decoding ────────────────────────────────────────────────────────────────────────────────── */
typedef struct bitswap_item {
    enum {
        BITSWAP_ITEM_WANT,
        BITSWAP_ITEM_PRESENCE,
        BITSWAP_ITEM_BLOCK,
        BITSWAP_ITEM_END, /* of a message */
    } kind;
    union {
        bitswap_want_t want;
        struct {
            cid_t cid;
            bool has;
        } presence;
        /* Taken by the caller. Its cid has version, codec, hash_code and digest_len of the prefix; the digest
         * is still to be computed (bitswap_block_cid). */
        block_t *block;
        struct {
            bool is_full;           /* the wants of this message are all that the peer has */
            uint64_t pending_bytes; /* that the peer has queued for us */
        } end;
    };
} bitswap_item_t;

typedef struct bitswap_decoder {
    err_t err; /* final once set: ERR_INVALID, ERR_LIMIT, ERR_EOF, ERR_UNSUPPORTED */
    uint8_t state;
    size_t message_left; /* of the message */
    size_t part_left;    /* of the wantlist or payload in it */
    size_t skip_left;
    block_t *block; /* owned; being filled */
    size_t block_len;
    bool has_prefix, is_full, is_data_of_payload;
    uint64_t pending_bytes;
    cid_t prefix;
    uint8_t *held; /* bytes not yet consumed; allocated while there are some */
    size_t held_from, held_to;
} bitswap_decoder_t;
void bitswap_decoder_init(bitswap_decoder_t *d);
void bitswap_decoder_deinit(bitswap_decoder_t *d); /* idempotent */
AUTO_DEFINE(bitswap_decoder_t, bitswap_decoder_deinit)
/* Where the next bytes go: *ret_room > 0 of them, valid until the next call. Only when bitswap_decoder_next
 * has said false. */
uint8_t *bitswap_decoder_area(bitswap_decoder_t *d, size_t *ret_room);
/* n bytes (at most the room) were written there. Returns d->err. */
MUST_CHECK err_t bitswap_decoder_fed(bitswap_decoder_t *d, size_t n);
/* The next complete item; false when more bytes are needed or d->err is set. */
bool bitswap_decoder_next(bitswap_decoder_t *d, bitswap_item_t *ret_item);
/* True between two messages: the stream may end here. Gives the held memory back. */
bool bitswap_decoder_is_idle(bitswap_decoder_t *d);
/* Computes the digest of a decoded block and completes its CID; CPU-heavy, any thread. ERR_DENIED and
 * ERR_UNSUPPORTED: a hash function that blocks may not be addressed with. */
MUST_CHECK err_t bitswap_block_cid(const block_t *b, cid_t *ret_cid);

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
/* A message being put together; block bytes are referenced, never copied. Wants, blocks and
 * presences in any order and number; finish; then pieces. Zero-initialise with bitswap_message_init. */
typedef struct bitswap_message {
    bitswap_version_t version;
    uint8_t prefix[24]; /* frame length and the wantlist's tag and length; made by finish */
    size_t prefix_len;
    buf_t wants;     /* the wantlist's fields */
    buf_t fields;    /* the headers of the blocks, one after the other */
    buf_t presences; /* and what follows them */
    struct {
        block_t *block;      /* a reference */
        size_t header_until; /* its header's end in fields */
    } * blocks;
    size_t n_blocks, cap_blocks, n_wants, n_presences;
    size_t size_bytes; /* so far, without the frame length */
    bool is_full;
} bitswap_message_t;
void bitswap_message_init(bitswap_message_t *m, bitswap_version_t version);
void bitswap_message_deinit(bitswap_message_t *m); /* idempotent; releases its blocks */
AUTO_DEFINE(bitswap_message_t, bitswap_message_deinit)
bool bitswap_message_is_empty(const bitswap_message_t *m);
/* ERR_LIMIT: the message would pass BITSWAP_MESSAGE_MAX_BYTES; send this one first. A block that an empty
 * message has no room for can't be sent at all. */
MUST_CHECK err_t bitswap_message_add_want(bitswap_message_t *m, const bitswap_want_t *w);
MUST_CHECK err_t bitswap_message_add_block(bitswap_message_t *m, block_t *b); /* takes a reference */
MUST_CHECK err_t bitswap_message_add_presence(bitswap_message_t *m, const cid_t *cid,
                                              bool has); /* from 1.2 */
/* Ends the message; nothing may be added after. */
MUST_CHECK err_t bitswap_message_finish(bitswap_message_t *m, uint64_t pending_bytes);
/* The bytes to send, frame length included: at most 3 + 2 × n_blocks pieces; valid until deinit. Returns how
 * many; `out` has room for `cap`, which must be enough. */
size_t bitswap_message_pieces(const bitswap_message_t *m, bytes_t *out, size_t cap);
#endif
