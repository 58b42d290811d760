/* deletion: follows the deletion of roots until every known holder has said, signed, that its copy is gone.
 * Each root has its holders; each holder is
 *
 *   OPEN --deletion_next (TELL)--> TOLD --deletion_receipt--> GONE
 *    ^------ no answer, back-off doubling from retry_ms to retry_max_ms; at once when the peer comes back
 *    ^------ it still collects: asked again after poll_ms, doubling to retry_ms
 *
 * A root whose holders are all GONE is done; it is kept for its figures until max_roots are there, then the
 * oldest done one makes room; when all are open, the oldest. A receipt of somebody that was not known as a
 * holder is counted as a holder that is GONE. The tombstone itself spreads besides by gossip, and by
 * reconcile to all members; this engine is for the receipts. Durable state is the driver's: at start it calls
 * deletion_start and deletion_receipt again from what it kept. */
#ifndef LOGIC_DELETION_H
#define LOGIC_DELETION_H
#include "multi/cid.h"
#include "multi/peer_id.h"

#define DELETION_HOLDERS_MAX 64
typedef struct deletion deletion_t;
typedef struct deletion_config {
    uint32_t poll_ms;       /* 200 */
    uint32_t retry_ms;      /* 2000 */
    uint64_t retry_max_ms;  /* 10 min */
    uint32_t max_under_way; /* tellings at a time; 32 */
    size_t max_roots;       /* 32768 */
} deletion_config_t;
void deletion_config_default(deletion_config_t *ret);
deletion_t *deletion_new(const deletion_config_t *c);
void deletion_free(deletion_t *d); /* NULL is fine */

/* The root was deleted, and these held it (without this node). Again: holders are added, and those that did
 * not answer are told at once. More than DELETION_HOLDERS_MAX: the rest is left to gossip. */
void deletion_start(deletion_t *d, const cid_t *root, const peer_id_t *holders, size_t n, uint64_t now_ms);
/* False: the root is not known, or it had a receipt of that holder already. The signature was verified. */
bool deletion_receipt(deletion_t *d, const cid_t *root, const peer_id_t *holder, uint64_t wall_ms,
                      uint64_t now_ms);
/* A peer can be reached, or not any more. Unknown ones count as reachable. */
void deletion_peer(deletion_t *d, const peer_id_t *peer, bool is_up, uint64_t now_ms);

/* Tell this holder (send the tombstone, ask for the receipt), then deletion_told. False: nothing now. */
bool deletion_next(deletion_t *d, uint64_t now_ms, cid_t *ret_root, peer_id_t *ret_holder);
typedef enum {
    DELETION_NO_ANSWER,
    DELETION_PENDING, /* it has let go, and collects */
} deletion_answer_t;
/* What came of it, when no receipt did. */
void deletion_told(deletion_t *d, const cid_t *root, const peer_id_t *holder, deletion_answer_t how,
                   uint64_t now_ms);
uint64_t deletion_deadline_ms(const deletion_t *d);

typedef struct deletion_holder {
    peer_id_t peer;
    bool is_gone, is_pending; /* pending: it says that it collects */
    uint64_t wall_ms;         /* of its receipt */
    uint32_t tries;
} deletion_holder_t;
/* False: the root is not known. "deleted on gone of n holders". */
bool deletion_figures(const deletion_t *d, const cid_t *root, size_t *ret_gone, size_t *ret_holders);
/* The i-th holder; false behind the last. */
bool deletion_holder_at(const deletion_t *d, const cid_t *root, size_t i, deletion_holder_t *ret);
size_t deletion_open(const deletion_t *d); /* roots that are not done */
#endif
