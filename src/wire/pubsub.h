/* pubsub: the messages of floodsub and gossipsub. A codec.
 * Spec: libp2p/specs pubsub/README.md, pubsub/gossipsub 1.0 to 1.2; go-libp2p-pubsub pb/rpc.proto.
 *
 * An RPC is a protobuf behind a uvarint length: subscriptions 1 {subscribe 1, topic 2}, messages 2 {from 1,
 * data 2, seqno 3, topic 4, signature 5, key 6}, control 3 {IHAVE 1, IWANT 2, GRAFT 3, PRUNE 4, IDONTWANT 5}.
 * Streams are one-way: each side opens its own. A decoded RPC borrows its input, its parts are iterated and
 * never collected. Topics and ids are bytes, whatever the schema says.
 *
 * What is signed is "libp2p-pubsub:" and the message without signature and key, its fields in the order of
 * their numbers. The default id of a message is from and seqno. */
#ifndef WIRE_PUBSUB_H
#define WIRE_PUBSUB_H
#include "base/pb.h"
#include "multi/peer_id.h"

#define PUBSUB_RPC_MAX_BYTES (1u << 20)
#define PUBSUB_RPC_MAX_ITEMS 16384u /* parts of one RPC; an honest peer sends a few dozen */
#define PUBSUB_TOPIC_MAX_BYTES 1024
#define PUBSUB_ID_MAX_BYTES 128
#define PUBSUB_SEQNO_BYTES 8
#define PUBSUB_MESSAGE_OVERHEAD 4096 /* all of a message but its data fits into this */

/* What a peer can do, by the protocol that it speaks. */
typedef enum {
    PUBSUB_FLOODSUB,
    PUBSUB_GOSSIPSUB_1_0,
    PUBSUB_GOSSIPSUB_1_1,
    PUBSUB_GOSSIPSUB_1_2
} pubsub_version_t;
#define PUBSUB_PROTOCOL_COUNT 4
extern const char *const pubsub_protocols[PUBSUB_PROTOCOL_COUNT]; /* newest first */
pubsub_version_t pubsub_version_of(const char *protocol); /* FLOODSUB for names that are none of these */

/* All fields borrowed. One that is absent has data NULL; one that is there and empty has not. */
typedef struct pubsub_message {
    bytes_t from, data, seqno, topic, signature, key;
} pubsub_message_t;

typedef enum {
    PUBSUB_SUBSCRIBE,
    PUBSUB_UNSUBSCRIBE,
    PUBSUB_MESSAGE,
    PUBSUB_IHAVE,
    PUBSUB_IWANT,
    PUBSUB_GRAFT,
    PUBSUB_PRUNE,
    PUBSUB_IDONTWANT,
} pubsub_kind_t;
typedef struct pubsub_item {
    pubsub_kind_t kind;
    bytes_t topic;            /* of SUBSCRIBE, UNSUBSCRIBE, IHAVE, GRAFT, PRUNE */
    pubsub_message_t message; /* of MESSAGE */
    uint64_t backoff_s;       /* of PRUNE; 0: not said */
    bytes_t raw;              /* of the kinds with lists; for the iterators below */
} pubsub_item_t;

typedef struct pubsub_reader {
    reader_t rpc, control;
    size_t n_items;
    err_t err; /* ERR_INVALID, ERR_EOF: no such protobuf; ERR_LIMIT: too many parts, or too long a topic */
} pubsub_reader_t;
/* One RPC without its length prefix. */
pubsub_reader_t pubsub_reader_of(bytes_t rpc);
/* The next part, in the order of the wire; false at the end or when r->err is set. */
bool pubsub_next(pubsub_reader_t *r, pubsub_item_t *ret_item);
/* The whole of it can be read. */
MUST_CHECK err_t pubsub_check(bytes_t rpc);
/* for (size_t i = 0; pubsub_next_id(&item, &i, &id);) — of IHAVE, IWANT, IDONTWANT. Empty ids and those over
 * PUBSUB_ID_MAX_BYTES are passed over. */
bool pubsub_next_id(const pubsub_item_t *item, size_t *iter, bytes_t *ret_id);
/* The peers that a PRUNE offers. ret_record is a signed peer record, or empty. */
bool pubsub_next_peer(const pubsub_item_t *item, size_t *iter, peer_id_t *ret_id, bytes_t *ret_record);

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
/* Parts of an RPC. Control is one field in it: its parts are written into a buffer of their own, and that
 * goes into the RPC by pubsub_put_control. */
void pubsub_put_subscription(writer_t *w, bytes_t topic, bool is_subscribed);
void pubsub_put_message(writer_t *w, const pubsub_message_t *m); /* the field with its number */
void pubsub_put_control(writer_t *w, bytes_t parts);             /* nothing when empty */
void pubsub_put_ihave(writer_t *control, bytes_t topic, const bytes_t *ids, size_t n);
void pubsub_put_iwant(writer_t *control, const bytes_t *ids, size_t n);
void pubsub_put_idontwant(writer_t *control, const bytes_t *ids, size_t n);
void pubsub_put_graft(writer_t *control, bytes_t topic);
void pubsub_put_prune(writer_t *control, bytes_t topic, const peer_id_t *peers, size_t n, uint64_t backoff_s);

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
/* The default id. ERR_INVALID: no sequence number (or none of 8 bytes), or an author that is no peer id. */
MUST_CHECK err_t pubsub_message_id(const pubsub_message_t *m, uint8_t out[PUBSUB_ID_MAX_BYTES],
                                   size_t *ret_len);
/* Signs: returns the signature appended to out, for m->signature; the caller puts the encoded public key into
 * m->key when the author's id does not hold it. */
MUST_CHECK err_t pubsub_sign(const pubsub_message_t *m, const private_key_t *key, buf_t *out);
/* The signature is there and is the author's. ERR_CRYPTO, ERR_INVALID. */
MUST_CHECK err_t pubsub_verify(const pubsub_message_t *m);
#endif
