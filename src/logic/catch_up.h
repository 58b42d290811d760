/* catch_up: with whom to compare tombstones, when, and whether this node may serve yet. A node that was away
 * for longer than the sync horizon (or never was here) serves nothing of the mesh before it has reconciled
 * with two peers: what it holds may have been deleted meanwhile.
 *
 *   CURRENT  serves; compares with one peer after another, each every interval_ms (with some spread), and
 *            with each peer that comes back, soon
 *   BEHIND   (away longer than horizon_ms) --reconciled with `quorum` different peers--> CURRENT
 *
 * The quorum is two that are CURRENT themselves, or as many members as are known when there are fewer: two
 * that were away both cannot clear each other. When all were away nobody is CURRENT: then it takes all
 * members that this node knew, or, when it has waited for alone_ms, more than half of them. A node that knows
 * of no member stays BEHIND until it meets one, unless it has never met any (a mesh of its own). While BEHIND
 * it compares with all that it reaches, max_sessions at a time. A session that failed is tried again with
 * that peer after a back-off that doubles from retry_ms to interval_ms. */
#ifndef LOGIC_CATCH_UP_H
#define LOGIC_CATCH_UP_H
#include "base/prng.h"
#include "multi/peer_id.h"

typedef struct catch_up catch_up_t;
typedef struct catch_up_config {
    uint64_t horizon_ms;   /* 7 days */
    uint64_t interval_ms;  /* from one comparison with a peer to the next; 1 h */
    uint32_t retry_ms;     /* 5000 */
    uint32_t quorum;       /* 2 */
    uint64_t alone_ms;     /* BEHIND for so long without enough that are CURRENT; 1 day */
    uint32_t max_sessions; /* under way at a time; 2 */
    size_t max_peers;      /* remembered; 4096 */
    uint64_t seed;         /* of the spread */
} catch_up_config_t;
void catch_up_config_default(catch_up_config_t *ret);
/* away_ms: since this node last was CURRENT (the driver keeps that time, wall clock, in the state at least
 * every minute while it is CURRENT); UINT64_MAX: never. n_members: that it knew then. */
catch_up_t *catch_up_new(const catch_up_config_t *c, uint64_t away_ms, size_t n_members, uint64_t now_ms);
void catch_up_free(catch_up_t *u); /* NULL is fine */

bool catch_up_is_current(const catch_up_t *u);
uint32_t catch_up_left(const catch_up_t *u); /* CURRENT peers still to be reconciled with; 0 when current */

/* A member is reachable; is so no more. Each may come again and again. */
void catch_up_peer(catch_up_t *u, const peer_id_t *peer, bool is_up, uint64_t now_ms);
/* The process slept, or lost all its peers, for so long: BEHIND again when it is longer than the horizon. */
void catch_up_was_away(catch_up_t *u, uint64_t away_ms, uint64_t now_ms);
/* A peer to reconcile with now; each ends with catch_up_done. False: none now. */
bool catch_up_next(catch_up_t *u, uint64_t now_ms, peer_id_t *ret);
typedef enum {
    CATCH_UP_FAILED,
    CATCH_UP_WITH_BEHIND,  /* the session was DONE, all records that were lacking came and are kept; the peer
                              is  BEHIND itself */
    CATCH_UP_WITH_CURRENT, /* the same, with one that is CURRENT */
} catch_up_outcome_t;
void catch_up_done(catch_up_t *u, const peer_id_t *peer, catch_up_outcome_t how, uint64_t now_ms);
uint64_t catch_up_deadline_ms(const catch_up_t *u); /* when catch_up_next may give something; UINT64_MAX */
#endif
