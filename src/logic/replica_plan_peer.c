/* The planner's view of its peers: who is alive, for how long they are usually away, who is told that we are
 * here. */
#include "logic/replica_plan_internal.h"
#include <stdlib.h>

enum {
    BEAT_STEP_MAX_MS = 300000, /* to one that is lost */
    OWN_ABSENCES = 3,          /* from so many on a peer's own are believed */
    AWAY_FACTOR = 3,           /* one absence in twenty is longer than three times the mean */
    HEARD_PART = 4,            /* of the longest patience: what others say is not believed beyond it */
    PRUNE_FACTOR = 8,          /* more copies than wanted through so many usual absences are too many */
};

plan_peer_t *plan_find_peer(const replica_planner_t *p, const peer_id_t *id)
{
    return map_get(&p->by_peer, peer_id_bytes(id));
}

/* From now on its silence is judged. */
static void begin_to_listen(const replica_planner_t *p, plan_peer_t *peer)
{
    failure_detector_init(&peer->detector, p->config.heartbeat_ms, p->now_ms);
    peer->lost_at_ms = failure_detector_due_ms(&peer->detector, p->config.phi_lost);
}

plan_peer_t *plan_get_peer(replica_planner_t *p, const peer_id_t *id)
{
    plan_peer_t *peer = plan_find_peer(p, id);
    if (peer)
        return peer;
    peer = xcalloc(1, sizeof *peer);
    peer->id = *id;
    peer->key = kad_key_of_peer(id);
    peer->status.free_bytes = PLACEMENT_FREE_UNKNOWN;
    if (!p->config.is_judged_outside)
        begin_to_listen(p, peer);
    if (map_put(&p->by_peer, peer_id_bytes(id), peer, NULL)) {
        free(peer);
        return NULL;
    }
    list_push_back(&p->peers, &peer->node);
    return peer;
}

void plan_free_peer(replica_planner_t *p, plan_peer_t *peer)
{
    map_remove(&p->by_peer, peer_id_bytes(&peer->id));
    list_remove(&peer->node);
    list_remove(&peer->changed);
    free(peer);
}

void plan_release_peer(replica_planner_t *p, plan_peer_t *peer)
{
    if (!--peer->refs && !peer->is_candidate && peer != p->self)
        plan_free_peer(p, peer);
}

/* ── who is alive ────────────────────────────────────────────────────────────────────────────── */
/* One that was longer than all patience says no more than that it was long. */
static void learn_absence(const replica_planner_t *p, double *mean_ms, uint32_t *n, uint64_t absence_ms)
{
    uint64_t most_ms = p->config.patience_max_ms;
    if (most_ms && absence_ms > most_ms)
        absence_ms = most_ms;
    if (*n < 20)
        ++*n;
    *mean_ms += ((double)absence_ms - *mean_ms) / *n; /* the mean at first, then smoothed */
}

static void set_lost(replica_planner_t *p, plan_peer_t *peer, bool is_lost)
{
    if (peer->is_lost == is_lost)
        return;
    peer->is_lost = is_lost;
    if (is_lost) {
        peer->lost_ms = p->now_ms;
        peer->beat_step_ms = p->config.heartbeat_ms;
        peer->beat_ms = p->now_ms;
    } else {
        learn_absence(p, &peer->away_mean_ms, &peer->n_away, p->now_ms - peer->lost_ms);
        learn_absence(p, &p->away_mean_ms, &p->n_away, p->now_ms - peer->lost_ms);
        p->is_away_heard = false;
        p->returns++;
    }
    if (!list_is_linked(&peer->changed))
        list_push_back(&p->changed, &peer->changed);
    plan_wake(p, p->now_ms);
}

void plan_listen_again(replica_planner_t *p)
{
    LIST_EACH (peer, &p->peers, plan_peer_t, node)
        if (!p->config.is_judged_outside && !peer->is_lost)
            begin_to_listen(p, peer);
}

void replica_planner_heard(replica_planner_t *p, const peer_id_t *id, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_peer_t *peer = plan_find_peer(p, id);
    if (!peer || p->config.is_judged_outside || peer == p->self)
        return;
    if (peer->is_lost) { /* the silence says nothing about its rhythm */
        begin_to_listen(p, peer);
        set_lost(p, peer, false);
        return;
    }
    failure_detector_heard(&peer->detector, now_ms);
    peer->lost_at_ms = failure_detector_due_ms(&peer->detector, p->config.phi_lost);
}

void replica_planner_judged(replica_planner_t *p, const peer_id_t *id, bool is_alive, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_peer_t *peer = plan_find_peer(p, id);
    if (peer && p->config.is_judged_outside && peer != p->self)
        set_lost(p, peer, !is_alive);
}

void plan_judge_peers(replica_planner_t *p)
{
    if (p->config.is_judged_outside)
        return;
    LIST_EACH (peer, &p->peers, plan_peer_t, node) {
        if (!peer->refs || peer == p->self)
            continue;
        if (peer->lost_at_ms <= p->now_ms)
            set_lost(p, peer, true);
        else
            plan_wake(p, peer->lost_at_ms);
    }
}

bool replica_planner_is_alive(const replica_planner_t *p, const peer_id_t *id, uint64_t now_ms)
{
    plan_peer_t *peer = plan_find_peer(p, id);
    if (!peer || peer == p->self || p->config.is_judged_outside)
        return peer && !peer->is_lost;
    return now_ms < peer->lost_at_ms;
}

double replica_planner_phi(const replica_planner_t *p, const peer_id_t *id, uint64_t now_ms)
{
    const plan_peer_t *peer = plan_find_peer(p, id);
    if (!peer || peer == p->self || p->config.is_judged_outside)
        return 0;
    return failure_detector_phi(&peer->detector, now_ms);
}

bool plan_is_away(const replica_planner_t *p, const plan_peer_t *peer, uint64_t *ret_until_ms)
{
    if (!p->config.patience_max_ms || !peer->is_lost)
        return false;
    double usual_ms = 0;
    if (peer->n_away >= OWN_ABSENCES)
        usual_ms = peer->away_mean_ms;
    else if (p->n_away >= PLAN_ALL_ABSENCES)
        usual_ms = p->away_mean_ms;
    double patience_ms = AWAY_FACTOR * usual_ms, most_ms = (double)p->config.patience_max_ms;
    uint64_t until_ms = peer->lost_ms + (uint64_t)(patience_ms < most_ms ? patience_ms : most_ms);
    *ret_until_ms = until_ms;
    return p->now_ms < until_ms;
}

static bool has_habits(const replica_planner_t *p)
{
    return p->config.patience_max_ms && p->n_away >= PLAN_ALL_ABSENCES;
}

void replica_planner_usual_away(replica_planner_t *p, uint64_t usual_away_ms)
{
    uint64_t most_ms = p->config.patience_max_ms / HEARD_PART;
    if (!usual_away_ms || !most_ms || (has_habits(p) && !p->is_away_heard))
        return;
    double heard_ms = (double)(usual_away_ms < most_ms ? usual_away_ms : most_ms);
    if (!p->is_away_heard || heard_ms < p->away_mean_ms)
        p->away_mean_ms = heard_ms;
    p->n_away = PLAN_ALL_ABSENCES;
    p->is_away_heard = true;
}

uint64_t plan_usual_away_ms(const replica_planner_t *p)
{
    return has_habits(p) ? (uint64_t)p->away_mean_ms : 0;
}

size_t plan_prune_slack(const replica_planner_t *p)
{
    return has_habits(p) || !p->config.patience_max_ms ? p->config.prune_slack : 0;
}

uint64_t plan_low_grace_ms(const replica_planner_t *p)
{
    uint64_t usual_ms = plan_usual_away_ms(p);
    return usual_ms > p->config.low_grace_ms ? usual_ms : p->config.low_grace_ms;
}

uint64_t plan_prune_grace_ms(const replica_planner_t *p)
{
    uint64_t usual_ms = plan_usual_away_ms(p) * PRUNE_FACTOR;
    return usual_ms > p->config.prune_grace_ms ? usual_ms : p->config.prune_grace_ms;
}

/* ── heartbeats ──────────────────────────────────────────────────────────────────────────────── */
static bool is_active(plan_state_t state)
{
    return state == PLAN_HOLDS || state == PLAN_FETCHING;
}

/* One that is lost hears of us less and less often; when it comes back, it speaks first. */
static bool is_beat_due(const replica_planner_t *p, plan_peer_t *peer)
{
    if (!peer->is_lost)
        return true;
    if (p->now_ms < peer->beat_ms)
        return false;
    uint32_t most = p->config.heartbeat_ms > BEAT_STEP_MAX_MS ? p->config.heartbeat_ms : BEAT_STEP_MAX_MS;
    peer->beat_step_ms = peer->beat_step_ms < most / 2 ? 2 * peer->beat_step_ms : most;
    peer->beat_ms = p->now_ms + peer->beat_step_ms;
    return true;
}

void plan_beat(replica_planner_t *p)
{
    LIST_EACH (peer, &p->peers, plan_peer_t, node)
        peer->is_shared = false;
    LIST_EACH (r, &p->roots, plan_root_t, node) {
        plan_holder_t *self = plan_holder_of(r, p->self);
        for (size_t i = 0; self && is_active(self->state) && i < r->n_holders; i++)
            if (is_active(r->holders[i].state))
                r->holders[i].peer->is_shared = true;
    }
    LIST_EACH (peer, &p->peers, plan_peer_t, node)
        if (peer->is_shared && peer != p->self && is_beat_due(p, peer))
            plan_push(p, PLAN_HEARTBEAT, NULL)->peer = peer->id;
    p->heartbeat_ms = p->now_ms + p->config.heartbeat_ms;
}

/* ── candidates ──────────────────────────────────────────────────────────────────────────────── */
void replica_planner_candidate(replica_planner_t *p, const peer_id_t *id, bool may_be_asked, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_peer_t *peer = may_be_asked ? plan_get_peer(p, id) : plan_find_peer(p, id);
    if (!peer || peer == p->self)
        return;
    if (may_be_asked && p->config.candidate_ttl_ms)
        peer->candidate_until_ms = now_ms + p->config.candidate_ttl_ms;
    if (peer->is_candidate == may_be_asked)
        return;
    peer->is_candidate = may_be_asked;
    p->n_candidates += may_be_asked;
    p->n_candidates -= !may_be_asked;
    if (!may_be_asked && !peer->refs) {
        plan_free_peer(p, peer);
        return;
    }
    if (may_be_asked)
        LIST_EACH (r, &p->starved, plan_root_t, starved)
            plan_root_due(p, r, now_ms);
}

void replica_planner_status(replica_planner_t *p, const peer_id_t *id, const placement_peer_t *status)
{
    plan_peer_t *peer = plan_find_peer(p, id);
    if (peer)
        peer->status = *status;
}

void plan_sweep_candidates(replica_planner_t *p)
{
    if (!p->config.candidate_ttl_ms || !p->n_candidates || p->now_ms < p->candidate_sweep_ms)
        return;
    p->candidate_sweep_ms = p->now_ms + p->config.candidate_ttl_ms;
    LIST_EACH (peer, &p->peers, plan_peer_t, node) {
        if (!peer->is_candidate || p->now_ms < peer->candidate_until_ms)
            continue;
        peer->is_candidate = false;
        p->n_candidates--;
        if (!peer->refs && peer != p->self)
            plan_free_peer(p, peer);
    }
}
