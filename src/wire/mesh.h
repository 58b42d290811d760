/* mesh: the messages of /distribute/mesh/1.0.0, our own protocol: members of an encrypted mesh tell each
 * other how they are, whom they know, and what was deleted. Described with examples in
 * docs/protocols/mesh.md. A stream carries requests one way and one answer for each the other way, in order;
 * every message is a protobuf behind a uvarint length. A decoded message borrows its input. */
#ifndef WIRE_MESH_H
#define WIRE_MESH_H
#include "base/writer.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"

#define MESH_MESSAGE_MAX_BYTES (64u << 10)
#define MESH_ZONE_TEXT_MAX 63
#define MESH_REASON_MAX 128
#define MESH_MEMBERS_MAX 16     /* told in a message */
#define MESH_MEMBER_ADDRS_MAX 8 /* of each */
#define MESH_TOMBSTONES_MAX 256 /* in a message */
#define MESH_TOMBSTONE_MAX_BYTES 256
#define MESH_RECEIPT_MAX_BYTES 4096
#define MESH_QUESTIONS_MAX 8
#define MESH_WANTS_MAX 128
#define MESH_KEY_BYTES 32
#define MESH_REPLY_KEYS_MAX 64
#define MESH_REPLY_CHILDREN 16

typedef enum {
    MESH_STATUS = 1,  /* status, members: I am here                          -> STATUS of the other side */
    MESH_DELETE = 2,  /* one tombstone: let go, and sign that you have       -> RECEIPT, PENDING, REFUSE */
    MESH_COMPARE = 3, /* questions, wants, tombstones that you may lack      -> COMPARE with a reply to
                         each question, in order, and the tombstones that were wanted */
    MESH_RECEIPT = 4, /* receipt */
    MESH_REFUSE = 5,  /* reason */
    MESH_PENDING = 6, /* reason: a receipt will come; ask again */
} mesh_message_kind_t;

typedef struct mesh_status_info {
    uint64_t free_bytes, held_bytes, capacity_bytes;
    uint64_t tombstones, digest; /* how many are known, and the sum over them; equal: the same ones */
    uint64_t usual_away_ms;      /* how long members that come back were away; 0: not known */
    bool is_relay, is_catching_up;
    char zone[MESH_ZONE_TEXT_MAX + 1]; /* printable ASCII; others are shown as '?' */
} mesh_status_info_t;

/* Of the set of tombstones: what is under a prefix (logic/reconcile says what the answers mean). */
typedef struct mesh_summary {
    uint64_t count, digest;
} mesh_summary_t;
typedef struct mesh_question {
    uint8_t prefix[MESH_KEY_BYTES]; /* zero behind the bits */
    uint16_t bits;                  /* 0 to 252, a multiple of 4 */
    mesh_summary_t has;
} mesh_question_t;
typedef struct mesh_reply {
    enum { MESH_REPLY_SAME = 1, MESH_REPLY_KEYS = 2, MESH_REPLY_CHILDREN_OF = 3 } kind;
    size_t n_keys;
    uint8_t keys[MESH_REPLY_KEYS_MAX][MESH_KEY_BYTES];
    mesh_summary_t children[MESH_REPLY_CHILDREN];
} mesh_reply_t;

typedef struct mesh_message {
    mesh_message_kind_t kind;
    bool has_status;
    mesh_status_info_t status;
    bytes_t members; /* of a decoded message: read by mesh_next_member */
    bytes_t receipt;
    char reason[MESH_REASON_MAX + 1];
    size_t n_tombstones;
    bytes_t tombstones[MESH_TOMBSTONES_MAX];
    size_t n_questions, n_replies, n_wants;
    mesh_question_t questions[MESH_QUESTIONS_MAX];
    mesh_reply_t replies[MESH_QUESTIONS_MAX];
    uint8_t wants[MESH_WANTS_MAX][MESH_KEY_BYTES];
    size_t n_members; /* encoding: `named` and their addresses */
    struct {
        peer_id_t peer;
        multiaddr_t *addrs; /* borrowed */
        size_t n_addrs;
    } named[MESH_MEMBERS_MAX];
} mesh_message_t; /* large: on the heap */
/* Without the length prefix. ERR_LIMIT: over out's maximum. */
MUST_CHECK err_t mesh_message_encode(const mesh_message_t *m, buf_t *out);
/* ERR_INVALID, ERR_LIMIT, ERR_EOF. *ret is overwritten even on failure. `in` must outlive it. */
MUST_CHECK err_t mesh_message_decode(bytes_t in, mesh_message_t *ret);

/* The next member that was told, with its addresses; entries that are none are passed over. *iter is 0 at
 * first. False at the end. addrs: room for MESH_MEMBER_ADDRS_MAX. */
bool mesh_next_member(const mesh_message_t *m, size_t *iter, peer_id_t *ret_peer, multiaddr_t *addrs,
                      size_t *ret_n_addrs);
#endif
