/* limit: the budget tree (process, peer, protocol, queue). A charge goes up to the root and is
 * refused whole by the first node without room; the refusal names that node. A node may stand under a second
 * one beside its parent, and that under a third, whose own parents are not charged: a peer's streams of a
 * protocol count for the peer, and so for the process, and for the protocol and its service. */
#ifndef BASE_LIMIT_H
#define BASE_LIMIT_H
#include "base/bytes.h"

typedef struct limit {
    const char *name;     /* borrowed; appears in refusals: "peer:12D3…" */
    const char *hint;     /* borrowed; what one can turn; NULL: nothing */
    struct limit *parent; /* borrowed; NULL at the root */
    struct limit *beside; /* borrowed; NULL: none */
    bool is_inner;        /* who enters a child enters this one, too */
    uint64_t max, used, peak;
} limit_t;

void limit_init(limit_t *l, const char *name, limit_t *parent, uint64_t max);
void limit_deinit(limit_t *l);                              /* asserts used == 0 */
MUST_CHECK err_t limit_charge(limit_t *l, uint64_t amount); /* ERR_LIMIT, nothing charged */
void limit_release(limit_t *l, uint64_t amount);
/* What is charged to l's parent (or, when that is an inner one, to the first above that is none) counts for
 * l, the inner ones, and those beside them, from now on; no longer. */
MUST_CHECK err_t limit_enter(limit_t *l, uint64_t amount); /* ERR_LIMIT */
void limit_leave(limit_t *l, uint64_t amount);
/* What is held counts for `to` instead of `from`; NULL: the parent that they share alone. ERR_LIMIT: it
 * stays. */
MUST_CHECK err_t limit_move(limit_t *from, limit_t *to, uint64_t held);
/* Makes the charge `*held` equal to `want`. ERR_LIMIT: it stays. */
MUST_CHECK err_t limit_recharge(limit_t *l, uint64_t *held, uint64_t want);
uint64_t limit_room(const limit_t *l); /* the least room up to the root */
#endif
