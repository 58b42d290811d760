/* replica_planner: the decisions of replication as an engine: who holds what, who is lost, who asks whom to
 * hold a DAG, who lets go. Each node runs one; nobody leads. Events in, actions out; no clock, no I/O.
 *
 * A root has a head (target, release) per owner that this owner alone changes, under a growing version, and
 * an entry per peer that this peer alone changes, under a growing sequence number. So news merge in any
 * order. In force is the greatest target of those owners that have not released it: nobody can lower or
 * release what another one wants. Who says so is proved outside: seals (signatures) come and go with heads
 * and entries, and are never looked at here. Whether a peer is alive is never in a record: each node judges
 * for itself (failure_detector).
 *
 * Healing. Holders that are alive or about to be (FETCHING, or just asked) are counted. Below the target for
 * lost_grace_ms, the living holder that is nearest to the root (XOR of SHA-256) asks the nearest candidate;
 * the n-th nearest holder waits n x fallback_ms more. All choose in the same order, so that two that heal
 * at once ask the same peer. Pruning. Above the target for prune_grace_ms, the farthest living holder (the
 * owner never) asks the `target` nearest ones to stay, each proving that it holds the root and promising
 * to keep it for a minute; if all do, it lets go. Nobody promises while it asks: so two can never count on
 * each other, and the number of copies does not fall below the target.
 *
 * What a mesh turns on besides (all off by default):
 * - Placement: candidates in the order of logic/placement, by what they and we told (replica_planner_status);
 *   who leaves is first he whose zone has the most copies, then the farthest.
 * - Patience: peers come and go. How long each is usually away is learnt from its returns (from all peers'
 *   returns while it has few); for so long its copies count as AWAY: not made anew while half of the target
 *   is alive. When it comes back, its copies are used again. A peer that never came back has no credit.
 * - Repair in bounds: the bytes that this node heals, and takes, per second are bounded; the roots with the
 *   fewest living copies go first. What a user waits for (pin) is not held up.
 * - Finding candidates: PLAN_FIND when there is nobody to be asked.
 * - Audits: PLAN_AUDIT, each holder once per period by somebody; a failed one makes the copy count as lost.
 * - Deletion: roots of `deleted` are refused, whatever a peer says. */
#ifndef LOGIC_REPLICA_PLANNER_H
#define LOGIC_REPLICA_PLANNER_H
#include "logic/placement.h"
#include "logic/tombstones.h"
#include "multi/cid.h"
#include "multi/peer_id.h"

typedef struct replica_planner replica_planner_t;
typedef struct replica_plan_config {
    peer_id_t self;
    uint32_t heartbeat_ms;   /* 5000 */
    double phi_lost;         /* 8 */
    uint32_t lost_grace_ms;  /* 15000 */
    uint32_t fallback_ms;    /* 10000 */
    uint32_t prune_grace_ms; /* 60000 */
    uint32_t
        fetch_timeout_ms;  /* how long FETCHING counts as about to hold; 600000, and 4 s more for each MiB */
    uint32_t ask_again_ms; /* after a refusal; 60000 */
    uint32_t promise_ms;   /* 60000 */
    size_t max_roots;      /* 65536 */
    size_t max_holders;    /* entries per root; 64 */
    /* Of a mesh; 0 turns each off. */
    uint64_t patience_max_ms;    /* however long a peer is usually away: not longer than this; 86400000 */
    uint64_t usual_away_ms;      /* what replica_planner_stat said in the last run; 0: not known yet */
    uint32_t low_grace_ms;       /* with patience: below half of the target for so long it is healed; 60000 */
    uint32_t prune_slack;        /* copies above the target that are left alone where peers come and go; 1 */
    uint64_t repair_bytes_per_s; /* that this node asks others to copy, and as much that it takes */
    uint32_t find_again_ms;      /* PLAN_FIND, at most so often for a root; 30000 */
    uint64_t candidate_ttl_ms;   /* a candidate is forgotten so long after it was told; 600000 */
    uint64_t audit_period_ms;    /* each holder proves each root once in a period; 86400000 */
    uint32_t audits_per_minute;  /* of this node; 60 */
    bool is_judged_outside;      /* no heartbeats, no detectors here: replica_planner_judged */
    uint64_t seed;               /* of the spread of audits */
    const tombstones_t *deleted; /* borrowed; NULL: none */
} replica_plan_config_t;
void replica_plan_config_default(replica_plan_config_t *ret);
/* The same with a mesh's values: those above, 8 MiB/s, default for the rest; seed and deleted are yours. */
void replica_plan_config_mesh(replica_plan_config_t *ret);

replica_planner_t *replica_planner_new(const replica_plan_config_t *c);
void replica_planner_free(replica_planner_t *p); /* NULL is fine */

/* ── what is known about a root ──────────────────────────────────────────────────────────────── */
typedef enum { PLAN_FETCHING = 1, PLAN_HOLDS = 2, PLAN_LEFT = 3 } plan_state_t;
typedef struct plan_entry {
    peer_id_t peer;
    uint64_t seq;
    plan_state_t state;
    uint64_t since_ms; /* wall clock, for people */
    bytes_t seal;      /* the peer's signature; empty: none yet. Borrowed; merging copies it */
} plan_entry_t;
typedef struct plan_head {
    cid_t root;
    peer_id_t owner;
    uint64_t version;
    uint32_t target;
    bool is_released;
    uint64_t size_bytes;
    bytes_t seal; /* the owner's, as above */
} plan_head_t;
#define PLAN_OWNERS_MAX 8             /* of a root; the first ones stay */
typedef struct plan_root plan_root_t; /* borrowed, valid until the next event */
plan_root_t *replica_planner_root(replica_planner_t *p, const cid_t *root); /* NULL: no record */
size_t replica_planner_count(const replica_planner_t *p);
/* In any order. i starts at 0. NULL: the end. */
plan_root_t *replica_planner_next_root(replica_planner_t *p, size_t *i);
/* What is in force. owner: one that wants it, the least by its ID; all have released it: the least. */
const plan_head_t *plan_root_head(const plan_root_t *r);
size_t plan_root_heads(const plan_root_t *r);
plan_head_t plan_root_head_at(const plan_root_t *r, size_t i);        /* what one owner says */
bool plan_root_is_owner(const plan_root_t *r, const peer_id_t *peer); /* and has not released it */
bool plan_root_head_of(const plan_root_t *r, const peer_id_t *owner, plan_head_t *ret); /* false: none */
/* Keeps the seal of this node's head, of its entry; copied, until they change. */
void replica_planner_seal_head(replica_planner_t *p, plan_root_t *r, bytes_t seal);
void replica_planner_seal_entry(replica_planner_t *p, plan_root_t *r, bytes_t seal);
size_t plan_root_entries(const plan_root_t *r);
plan_entry_t plan_root_entry(const plan_root_t *r, size_t i); /* in the order of peer ids */
/* What this node believes about it now: holds the root, is alive, was not caught without it. */
bool plan_root_is_live(const replica_planner_t *p, const plan_root_t *r, const peer_id_t *peer);
size_t plan_root_live(const replica_planner_t *p, const plan_root_t *r);
/* Peers that might hold it and do not: how many, and how many of them have room for it. */
void replica_planner_room(const replica_planner_t *p, const plan_root_t *r, size_t *ret_others,
                          size_t *ret_fitting);
size_t plan_root_away(const replica_planner_t *p, const plan_root_t *r); /* lost, expected to come back */
plan_state_t plan_root_self(const replica_planner_t *p, const plan_root_t *r); /* 0: no entry */
uint64_t plan_root_digest(plan_root_t *r); /* equal for equal records; never 0 */
/* When the peer last proved that it has it; 0: never. */
uint64_t plan_root_verified_ms(const plan_root_t *r, const peer_id_t *peer);

/* ── events ──────────────────────────────────────────────────────────────────────────────────── */
/* News of a record, with the head of one of its owners: from disk, from a peer. Unknown roots are taken when
 * may_add. head_is_trusted: it is the owner's or from our disk, or the root is new. Returns true when
 * something changed. ERR_LIMIT is silent: the root, or one more owner of it, is not taken. A head or entry of
 * this node is believed only when it has none itself: look before (replica_planner_root) whether this node
 * really held it. */
bool replica_planner_merge(replica_planner_t *p, const plan_head_t *head, const plan_entry_t *entries,
                           size_t n, bool may_add, bool head_is_trusted, uint64_t now_ms);
/* This node pins it: it is the owner, holds it, and asks at once. Again: changes the target. ERR_LIMIT;
 * ERR_DENIED: it was deleted. */
MUST_CHECK err_t replica_planner_pin(replica_planner_t *p, const cid_t *root, uint32_t target,
                                     uint64_t size_bytes, uint64_t wall_ms, uint64_t now_ms);
/* How large it was found to be, when that is more than was said. */
void replica_planner_size(replica_planner_t *p, const cid_t *root, uint64_t size_bytes, uint64_t now_ms);
/* This node, an owner, wants it no more; the last one: everybody lets go. */
void replica_planner_release(replica_planner_t *p, const cid_t *root, uint64_t wall_ms, uint64_t now_ms);
/* This node's own entry: FETCHING after an accepted offer, HOLDS when complete, LEFT when it failed. */
void replica_planner_self(replica_planner_t *p, const cid_t *root, plan_state_t state, uint64_t wall_ms,
                          uint64_t now_ms);
void replica_planner_heard(replica_planner_t *p, const peer_id_t *peer, uint64_t now_ms);
/* The peer may be asked to hold (allowed, reachable, speaks the protocol), or may not any more. */
void replica_planner_candidate(replica_planner_t *p, const peer_id_t *peer, bool may_be_asked,
                               uint64_t now_ms);
typedef enum { PLAN_ACCEPTED, PLAN_REFUSED, PLAN_FAILED } plan_answer_t;
/* What a peer told of itself, and how far it is; kept while it is a candidate or a holder. Of this node
 * itself, too: its zone decides whether it lets go. */
void replica_planner_status(replica_planner_t *p, const peer_id_t *peer, const placement_peer_t *status);
/* What another member's replica_planner_stat says of usual absences: believed by a node that has not seen
 * enough itself, up to a quarter of patience_max_ms. Of what several say, the least. */
void replica_planner_usual_away(replica_planner_t *p, uint64_t usual_away_ms);
/* Only with is_judged_outside: the peer was found lost, or alive again. */
void replica_planner_judged(replica_planner_t *p, const peer_id_t *peer, bool is_alive, uint64_t now_ms);
void replica_planner_offered(replica_planner_t *p, const cid_t *root, const peer_id_t *peer,
                             plan_answer_t answer, uint64_t now_ms);
/* It proved to hold the root, or could not although its entry says so. */
void replica_planner_verified(replica_planner_t *p, const cid_t *root, const peer_id_t *peer, bool holds,
                              uint64_t now_ms);
/* The answer to PLAN_AUDIT. No answer is no failure: it is asked again soon. */
typedef enum { PLAN_AUDIT_PASSED, PLAN_AUDIT_FAILED, PLAN_AUDIT_NO_ANSWER } plan_audit_t;
void replica_planner_audited(replica_planner_t *p, const cid_t *root, const peer_id_t *peer, plan_audit_t how,
                             uint64_t now_ms);
/* A tombstone of the root is in `deleted` now: the copy here is dropped (PLAN_DROP) and the record removed.
 * Read the holders off the record before. */
void replica_planner_deleted(replica_planner_t *p, const cid_t *root, uint64_t now_ms);
/* Another peer asks us to take so many bytes: may this node, by its budget of repair? True: it is booked. */
bool replica_planner_may_take(replica_planner_t *p, uint64_t size_bytes, uint64_t now_ms);
/* Another holder wants to leave and counts on us. True: promised. */
bool replica_planner_promise(replica_planner_t *p, const cid_t *root, uint64_t now_ms);
/* The answers to PLAN_LEAVE_ASK: did all stay? */
void replica_planner_leave(replica_planner_t *p, const cid_t *root, bool all_stay, uint64_t wall_ms,
                           uint64_t now_ms);
/* After the last news of it were told: this node has LEFT, and the root is not released. The record of a
 * released root stays a day, so that late offers are recognised; the planner removes it by itself. */
void replica_planner_forget(replica_planner_t *p, const cid_t *root);

/* ── actions ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct plan_action {
    enum {
        PLAN_SAVE,      /* the record changed: make it durable, then tell the others */
        PLAN_OFFER,     /* ask `peer`; answer with replica_planner_offered */
        PLAN_LEAVE_ASK, /* ask `stayers`; answer with replica_planner_leave */
        PLAN_DROP,      /* let go of the copy here */
        PLAN_HEARTBEAT, /* tell `peer` that we are here, with the digests of what we share */
        PLAN_FIND,      /* tell replica_planner_candidate (after _status) of `n_wanted` peers near the root */
        PLAN_AUDIT,     /* challenge `peer` on the root; answer with replica_planner_audited */
    } kind;
    size_t n_wanted;
    cid_t root;
    peer_id_t peer;
    peer_id_t stayers[32];
    size_t n_stayers;
} plan_action_t;
bool replica_planner_next(replica_planner_t *p, plan_action_t *ret);
uint64_t replica_planner_deadline_ms(const replica_planner_t *p);
/* One that comes more than a minute late says that this node slept: see replica_planner_resumed. */
void replica_planner_tick(replica_planner_t *p, uint64_t now_ms);
/* This node slept or was cut off: what it did not hear meanwhile says nothing about the others, and what it
 * saw before is old. Silences and graces begin anew. */
void replica_planner_resumed(replica_planner_t *p, uint64_t now_ms);

/* Peers that share a root with us, and whether they seem alive. */
bool replica_planner_is_alive(const replica_planner_t *p, const peer_id_t *peer, uint64_t now_ms);
/* The suspicion that the peer is lost: 0 to 300; 0 for unknown ones and with is_judged_outside. */
double replica_planner_phi(const replica_planner_t *p, const peer_id_t *peer, uint64_t now_ms);
/* How many candidates for this root are left to be asked now, those that were asked not counted. */
size_t replica_planner_askable(const replica_planner_t *p, const plan_root_t *r, uint64_t now_ms);
/* an offer or a fetch elsewhere is under way */
bool replica_planner_is_asking(const replica_planner_t *p, const plan_root_t *r);
typedef struct replica_plan_stat {
    size_t roots, owned, below, above;
    uint64_t heals, prunes, healed_bytes; /* asked for by this node, and accepted */
    uint64_t audits, audits_failed;
    uint64_t returns;       /* of peers that were lost */
    size_t heals_waiting;   /* roots that wait for the budget of repair */
    uint64_t usual_away_ms; /* how long peers that come back were away; 0: not known */
} replica_plan_stat_t;
replica_plan_stat_t replica_planner_stat(const replica_planner_t *p);
#endif
