/* replica_plan_internal: the structs of the replica planner, shared by replica_planner.c (records, events)
 * and replica_plan_decide.c (healing, pruning, heartbeats). */
#ifndef LOGIC_REPLICA_PLAN_INTERNAL_H
#define LOGIC_REPLICA_PLAN_INTERNAL_H
#include "base/list.h"
#include "base/map.h"
#include "logic/failure_detector.h"
#include "logic/replica_planner.h"

enum {
    PLAN_OFFER_TIMEOUT_MS = 30000, /* an offer, or an acceptance without news of fetching, counts so long */
    PLAN_RELEASE_AGAIN_MS = 30000, /* the owner tells those that have not left */
    PLAN_RELEASED_KEEP_MS = 86400000,
    PLAN_ASKED_MAX = 32,
};

typedef struct plan_peer {
    list_t node;
    peer_id_t id;
    uint8_t key[32]; /* SHA-256 of the id: its place in the XOR space */
    failure_detector_t detector;
    bool is_candidate, is_lost, is_shared;
    size_t refs; /* entries and asks that name it */
} plan_peer_t;

typedef struct plan_holder {
    plan_peer_t *peer;
    uint64_t seq, since_ms;
    uint64_t learnt_ms, verified_ms;
    plan_state_t state;
    bool is_denied; /* caught without it; until its entry changes */
} plan_holder_t;

typedef struct plan_asked {
    plan_peer_t *peer;
    uint64_t until_ms;
    bool is_refused; /* else the offer is under way */
} plan_asked_t;

struct plan_root {
    list_t node, dirty;
    plan_head_t head;
    uint8_t key[32];
    plan_holder_t *holders; /* in the order of peer ids */
    size_t n_holders, cap_holders;
    plan_asked_t asked[PLAN_ASKED_MAX];
    size_t n_asked;
    uint64_t due_ms, below_ms, above_ms, stay_until_ms, released_ms;
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
    list_t roots, peers, dirty, actions;
    uint64_t now_ms, deadline_ms, heartbeat_ms;
    uint64_t heals, prunes;
};

/* replica_planner.c */
plan_holder_t *plan_holder_of(const plan_root_t *r, const plan_peer_t *peer);
bool plan_is_alive(const plan_peer_t *peer);
bool plan_holder_is_live(const plan_holder_t *h);
void plan_set_self(replica_planner_t *p, plan_root_t *r, plan_state_t state, uint64_t wall_ms);
void plan_mark_dirty(replica_planner_t *p, plan_root_t *r);
void plan_root_due(replica_planner_t *p, plan_root_t *r, uint64_t at_ms);
plan_action_t *plan_push(replica_planner_t *p, int kind, const plan_root_t *r);
void plan_drop_asked(replica_planner_t *p, plan_root_t *r, size_t i);
void plan_remove_root(replica_planner_t *p, plan_root_t *r);

/* replica_plan_decide.c */
int plan_compare_distance(const plan_root_t *r, const plan_peer_t *a, const plan_peer_t *b);
void plan_decide(replica_planner_t *p, plan_root_t *r);
bool plan_is_coming(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer);
#endif
