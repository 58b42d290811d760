/* replica: the messages of /distribute/replica/2.0.0, our own protocol. Described with examples in
 * docs/protocols/replica.md. A stream carries requests one way and one answer for each the other way, in
 * order; every message is a protobuf behind a uvarint length.
 *
 * A record says who holds a DAG. Each of its heads (target, release) is written by one owner alone, under a
 * growing version; each entry by its own peer alone, under a growing sequence number. So any two records of a
 * root merge without conflict, in any order: for each owner the higher version, for each peer the higher
 * number. Both are signed by the peer that they are about (wire/replica_seal.h), so it does not matter who
 * brings them; what is not signed does not decode. */
#ifndef WIRE_REPLICA_H
#define WIRE_REPLICA_H
#include "base/writer.h"
#include "multi/cid.h"
#include "multi/peer_id.h"

#define REPLICA_MESSAGE_MAX_BYTES (64u << 10)
#define REPLICA_ENTRIES_MAX 64
#define REPLICA_DIGESTS_MAX 256
#define REPLICA_REASON_MAX 128
#define REPLICA_NONCE_BYTES 32
#define REPLICA_POINTS_MAX 16
#define REPLICA_TARGET_LIMIT 32
#define REPLICA_HEADS_MAX 8
#define REPLICA_SEAL_MAX 80 /* an Ed25519 or secp256k1 signature */

typedef enum {
    REPLICA_ENTRY_FETCHING = 1,
    REPLICA_ENTRY_HOLDS = 2, /* all of it, durably */
    REPLICA_ENTRY_LEFT = 3,  /* lets go; kept so that older news of it is recognised */
} replica_entry_state_t;
typedef struct replica_seal {
    uint8_t len; /* 0: none yet */
    uint8_t data[REPLICA_SEAL_MAX];
} replica_seal_t;
typedef struct replica_entry {
    peer_id_t peer;
    uint64_t seq;
    replica_entry_state_t state;
    uint64_t since_ms; /* wall clock of the peer itself; for people only */
    replica_seal_t seal;
} replica_entry_t;
typedef struct replica_head {
    peer_id_t owner;
    uint64_t version;
    uint32_t target; /* 1 to REPLICA_TARGET_LIMIT */
    bool is_released;
    replica_seal_t seal;
} replica_head_t;
typedef struct replica_record {
    cid_t root;
    uint64_t size_bytes; /* of the DAG; 0: not known. Nobody's word: who fetches counts */
    size_t n_heads;      /* at least one, each of another owner */
    replica_head_t heads[REPLICA_HEADS_MAX];
    size_t n_entries;
    replica_entry_t entries[REPLICA_ENTRIES_MAX]; /* in the order of peer ids */
} replica_record_t;                               /* large: on the heap */
/* NULL when the peer has none. */
replica_entry_t *replica_record_entry(replica_record_t *r, const peer_id_t *peer);
/* Puts or replaces the peer's entry. ERR_LIMIT: REPLICA_ENTRIES_MAX others are there that have not left. */
MUST_CHECK err_t replica_record_put(replica_record_t *r, const replica_entry_t *e);
/* Does the peer want it? Its head is there and not released. */
bool replica_record_is_owner(const replica_record_t *r, const peer_id_t *peer);
/* All owners have released it. */
bool replica_record_is_released(const replica_record_t *r);
uint32_t replica_record_target(const replica_record_t *r); /* the greatest that is wanted; 0: released */
MUST_CHECK err_t replica_record_encode(const replica_record_t *r, buf_t *out);
/* ERR_INVALID: also when a head or entry is not signed; ERR_LIMIT, ERR_EOF. Signatures are not verified. */
MUST_CHECK err_t replica_record_decode(bytes_t in, replica_record_t *ret);

typedef enum {
    REPLICA_OFFER = 1,     /* record: please hold this                            -> ACCEPT, REFUSE */
    REPLICA_UPDATE = 2,    /* record: news about it                               -> ACCEPT, REFUSE */
    REPLICA_STATUS = 3,    /* root [, nonce, points] [, stay]: do you hold it?    -> STATE */
    REPLICA_HEARTBEAT = 4, /* digests: I am here, and hold these                  -> STATE with the digests
                              that the answering side sees otherwise or does not know */
    REPLICA_RELEASE = 5,   /* record, from its owner: let go                      -> ACCEPT, REFUSE */
    REPLICA_ACCEPT = 6,
    REPLICA_REFUSE = 7, /* reason */
    REPLICA_STATE = 8,  /* [record, proof, stays] */
} replica_message_kind_t;
typedef struct replica_digest {
    cid_t root;
    uint64_t digest; /* 0: not known, not held */
} replica_digest_t;
/* A range in a block of the DAG; where it begins is taken modulo the block's length. */
typedef struct replica_point {
    cid_t block;
    uint64_t offset;
} replica_point_t;
typedef struct replica_message {
    replica_message_kind_t kind;
    bool has_record, has_nonce, has_proof;
    bool stay; /* STATUS: promise to keep it for a minute; STATE: promised */
    replica_record_t record;
    cid_t root;
    bool has_root;
    size_t n_points; /* STATUS: prove that you have these ranges of its blocks */
    replica_point_t points[REPLICA_POINTS_MAX];
    uint8_t nonce[REPLICA_NONCE_BYTES];
    uint8_t proof[32]; /* keyed with the nonce, over the ranges: logic/audit.h */
    char reason[REPLICA_REASON_MAX + 1];
    size_t n_digests;
    replica_digest_t digests[REPLICA_DIGESTS_MAX];
} replica_message_t; /* large: on the heap */
/* Without the length prefix. */
MUST_CHECK err_t replica_message_encode(const replica_message_t *m, buf_t *out);
/* ERR_INVALID, ERR_LIMIT, ERR_EOF. *ret is overwritten even on failure. */
MUST_CHECK err_t replica_message_decode(bytes_t in, replica_message_t *ret);
#endif
