/* replica_plan_internal: the structs of the replica planner, shared by its files. replica_planner.c: events,
 * actions, time; replica_plan_record.c: roots and their entries; replica_plan_peer.c: who is alive, how long
 * who is usually away, heartbeats; replica_plan_decide.c: healing, pruning, audits of one root;
 * replica_plan_repair.c: the budget of repair and who waits for it. */
#ifndef LOGIC_REPLICA_PLAN_INTERNAL_H
#define LOGIC_REPLICA_PLAN_INTERNAL_H
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "logic/failure_detector.h"
#include "logic/replica_planner.h"

enum {
    PLAN_OFFER_TIMEOUT_MS = 30000, /* an offer, or an acceptance without news of fetching, counts so long */
    PLAN_RELEASE_AGAIN_MS = 30000, /* the owner tells those that have not left */
    PLAN_RELEASED_KEEP_MS = 86400000,
    PLAN_ASKED_MAX = 32,
    PLAN_URGENCIES = 33,   /* living copies: 0 to 32 */
    PLAN_ALL_ABSENCES = 4, /* of all peers: from so many on their mean is believed */
    PLAN_FIND_FEW = 16,    /* candidates that are looked for at first */
};

typedef struct plan_peer {
    list_t node;
    peer_id_t id;
    kad_key_t key; /* of the id: its place in the XOR space */
    placement_peer_t status;
    failure_detector_t detector;
    uint64_t lost_at_ms; /* lost from then on, if nothing more is heard */
    uint64_t lost_ms;    /* while is_lost: since when */
    uint64_t candidate_until_ms, beat_ms;
    uint32_t beat_step_ms; /* to one that is lost, less and less often */
    double away_mean_ms;   /* of the absences that ended */
    uint32_t n_away;       /* how many they were */
    bool is_candidate, is_lost, is_shared;
    size_t refs;    /* entries and asks that name it */
    list_t changed; /* lost or back since the last tick */
} plan_peer_t;

typedef struct plan_seal {
    size_t len;
    uint8_t data[];
} plan_seal_t;

typedef struct plan_holder {
    plan_peer_t *peer;
    uint64_t seq, since_ms;
    uint64_t learnt_ms, verified_ms, audit_ms; /* audit_ms: when it is to prove it next; 0: not set */
    uint32_t n_unanswered;                     /* audits */
    plan_state_t state;
    bool is_denied;    /* caught without it; until its entry changes */
    plan_seal_t *seal; /* NULL: none */
} plan_holder_t;

typedef struct plan_owner {
    peer_id_t id;
    uint64_t version;
    uint32_t target;
    bool is_released;
    plan_seal_t *seal;
} plan_owner_t;

typedef struct plan_asked {
    plan_peer_t *peer;
    uint64_t until_ms;
    bool is_refused; /* else the offer is under way */
} plan_asked_t;

struct plan_root {
    list_t node, dirty, starved, waiting; /* starved: nobody to be asked; waiting: for the budget */
    plan_head_t head;                     /* in force, of all owners */
    plan_owner_t *owners;
    size_t n_owners;
    kad_key_t key;
    size_t heap_at;         /* from 1; 0: nothing is due */
    plan_holder_t *holders; /* in the order of peer ids */
    size_t n_holders, cap_holders;
    plan_asked_t asked[PLAN_ASKED_MAX];
    size_t n_asked;
    uint64_t digest; /* 0: to be computed */
    uint64_t due_ms, below_ms, above_ms, stay_until_ms, released_ms, find_ms;
    uint32_t n_finds;
    bool is_urgent, is_leaving;
};

typedef struct queued_action {
    list_t node;
    plan_action_t action;
} queued_action_t;

struct replica_planner {
    replica_plan_config_t config;
    plan_peer_t *self;
    map_t by_root, by_peer; /* multihash -> plan_root_t, id -> plan_peer_t */
    list_t roots, peers, dirty, actions, changed, starved, waiting[PLAN_URGENCIES];
    plan_root_t **heap; /* by due_ms */
    size_t n_heap, cap_heap, n_waiting, n_candidates;
    uint64_t now_ms, heartbeat_ms, candidate_sweep_ms;
    uint64_t wake_ms;            /* something else than a root is due */
    uint64_t repair_us, take_us; /* up to when the budgets are spent */
    uint64_t audit_free_ms;
    double away_mean_ms; /* of all peers that came back */
    uint32_t n_away;
    bool is_away_heard; /* from others; nothing was learnt here yet */
    prng_t rng;
    uint64_t heals, prunes, healed_bytes, audits, audits_failed, returns;
};

/* replica_planner.c */
plan_action_t *plan_push(replica_planner_t *p, int kind, const plan_root_t *r);
void plan_mark_dirty(replica_planner_t *p, plan_root_t *r);
void plan_root_due(replica_planner_t *p, plan_root_t *r, uint64_t at_ms);
void plan_root_undue(replica_planner_t *p, plan_root_t *r);
void plan_wake(replica_planner_t *p, uint64_t at_ms);

/* replica_plan_record.c */
plan_root_t *plan_add_root(replica_planner_t *p, const plan_head_t *head); /* NULL: no room, or deleted */
void plan_remove_root(replica_planner_t *p, plan_root_t *r);
plan_owner_t *plan_owner_of(const plan_root_t *r, const peer_id_t *id); /* NULL: it is none */
/* The owner's slot, made when there is none; call plan_heads_changed afterwards. NULL: PLAN_OWNERS_MAX others
 * (of which this node, must, pushes one out). */
plan_owner_t *plan_add_owner(plan_root_t *r, const peer_id_t *id, bool must);
void plan_heads_changed(plan_root_t *r, uint64_t now_ms);
void plan_unseal(plan_seal_t **seal);
plan_holder_t *plan_holder_of(const plan_root_t *r, const plan_peer_t *peer);
plan_holder_t *plan_holder_by_id(const plan_root_t *r, const peer_id_t *id);
bool plan_holder_is_live(const plan_holder_t *h);
void plan_set_self(replica_planner_t *p, plan_root_t *r, plan_state_t state, uint64_t wall_ms);
void plan_let_go(replica_planner_t *p, plan_root_t *r, uint64_t wall_ms);
void plan_drop_asked(replica_planner_t *p, plan_root_t *r, size_t i);

/* replica_plan_peer.c */
plan_peer_t *plan_find_peer(const replica_planner_t *p, const peer_id_t *id);
plan_peer_t *plan_get_peer(replica_planner_t *p, const peer_id_t *id); /* NULL: no room */
void plan_free_peer(replica_planner_t *p, plan_peer_t *peer);
void plan_release_peer(replica_planner_t *p, plan_peer_t *peer);
/* The peer is lost, and its absence is not yet longer than it usually is: until when. */
bool plan_is_away(const replica_planner_t *p, const plan_peer_t *peer, uint64_t *ret_until_ms);
uint64_t plan_usual_away_ms(const replica_planner_t *p); /* 0: not enough was seen */
size_t plan_prune_slack(const replica_planner_t *p);
uint64_t plan_low_grace_ms(const replica_planner_t *p);
uint64_t plan_prune_grace_ms(const replica_planner_t *p); /* longer, the longer peers are usually away */
void plan_listen_again(replica_planner_t *p);
void plan_judge_peers(replica_planner_t *p);
void plan_beat(replica_planner_t *p);
void plan_sweep_candidates(replica_planner_t *p);

/* replica_plan_decide.c */
void plan_decide(replica_planner_t *p, plan_root_t *r);
void plan_audited(replica_planner_t *p, plan_root_t *r, plan_holder_t *h); /* when it is to prove it next */
bool plan_is_coming(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer);

/* replica_plan_repair.c */
bool plan_repair_book(replica_planner_t *p, plan_root_t *r, size_t live); /* false: it waits */
void plan_repair_refund(replica_planner_t *p, const plan_root_t *r);
void plan_repair_stop_waiting(replica_planner_t *p, plan_root_t *r);
void plan_repair_tick(replica_planner_t *p);
#endif
