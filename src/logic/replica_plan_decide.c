/* The planner's decisions about one root: heal, prune, tell of a release; and the heartbeat. */
#include "logic/replica_plan_internal.h"
#include <stdlib.h>

/* < 0: a is nearer to the root than b. */
int plan_compare_distance(const plan_root_t *r, const plan_peer_t *a, const plan_peer_t *b)
{
    for (size_t i = 0; i < sizeof r->key; i++) {
        uint8_t x = r->key[i] ^ a->key[i], y = r->key[i] ^ b->key[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* ── healing ─────────────────────────────────────────────────────────────────────────────────── */
static void drop_old_asks(replica_planner_t *p, plan_root_t *r)
{
    for (size_t i = 0; i < r->n_asked;) {
        if (r->asked[i].until_ms <= p->now_ms)
            plan_drop_asked(p, r, i);
        else
            plan_root_due(p, r, r->asked[i++].until_ms);
    }
}

static const plan_asked_t *find_ask(const plan_root_t *r, const plan_peer_t *peer)
{
    for (size_t i = 0; i < r->n_asked; i++)
        if (r->asked[i].peer == peer)
            return &r->asked[i];
    return NULL;
}

/* It will hold the root soon: it fetches, or was asked and has not refused. */
bool plan_is_coming(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer)
{
    const plan_holder_t *h = plan_holder_of(r, peer);
    if (h && plan_holder_is_live(h))
        return false;
    if (h && h->state == PLAN_FETCHING && plan_is_alive(peer) &&
        p->now_ms - h->learnt_ms < p->config.fetch_timeout_ms)
        return true;
    const plan_asked_t *a = find_ask(r, peer);
    return a && !a->is_refused && a->until_ms > p->now_ms;
}

static size_t count_coming(replica_planner_t *p, plan_root_t *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_holders; i++) {
        const plan_holder_t *h = &r->holders[i];
        n += plan_is_coming(p, r, h->peer);
        if (h->state == PLAN_FETCHING && p->now_ms - h->learnt_ms < p->config.fetch_timeout_ms)
            plan_root_due(p, r, h->learnt_ms + p->config.fetch_timeout_ms);
    }
    for (size_t i = 0; i < r->n_asked; i++)
        n += !plan_holder_of(r, r->asked[i].peer) && plan_is_coming(p, r, r->asked[i].peer);
    return n;
}

static bool is_askable(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer)
{
    const plan_holder_t *h = plan_holder_of(r, peer);
    return peer->is_candidate && !(h && plan_holder_is_live(h)) && !find_ask(r, peer) &&
           !plan_is_coming(p, r, peer);
}

static plan_peer_t *nearest_askable(const replica_planner_t *p, const plan_root_t *r)
{
    plan_peer_t *best = NULL;
    LIST_EACH (peer, &p->peers, plan_peer_t, node)
        if (is_askable(p, r, peer) && (!best || plan_compare_distance(r, peer, best) < 0))
            best = peer;
    return best;
}

size_t replica_planner_askable(const replica_planner_t *p, const plan_root_t *r, uint64_t now_ms)
{
    (void)now_ms;
    size_t n = 0;
    LIST_EACH (peer, &p->peers, plan_peer_t, node)
        n += is_askable(p, r, peer);
    return n;
}

/* How many living holders are nearer to the root than we are. */
static size_t own_rank(const replica_planner_t *p, const plan_root_t *r)
{
    size_t rank = 0;
    for (size_t i = 0; i < r->n_holders; i++)
        rank +=
            plan_holder_is_live(&r->holders[i]) && plan_compare_distance(r, r->holders[i].peer, p->self) < 0;
    return rank;
}

static bool offer_one(replica_planner_t *p, plan_root_t *r)
{
    plan_peer_t *peer = r->n_asked < PLAN_ASKED_MAX ? nearest_askable(p, r) : NULL;
    if (!peer)
        return false;
    r->asked[r->n_asked++] = (plan_asked_t){.peer = peer, .until_ms = p->now_ms + PLAN_OFFER_TIMEOUT_MS};
    peer->refs++;
    plan_push(p, PLAN_OFFER, r)->peer = peer->id;
    plan_root_due(p, r, p->now_ms + PLAN_OFFER_TIMEOUT_MS);
    return true;
}

static void heal(replica_planner_t *p, plan_root_t *r, size_t live)
{
    drop_old_asks(p, r);
    size_t coming = count_coming(p, r);
    if (live + coming >= r->head.target) {
        r->below_ms = 0;
        r->is_urgent = r->is_urgent && live < r->head.target;
        return;
    }
    if (!r->below_ms)
        r->below_ms = p->now_ms;
    uint64_t at_ms = r->below_ms;
    if (!r->is_urgent)
        at_ms += p->config.lost_grace_ms + own_rank(p, r) * p->config.fallback_ms;
    if (p->now_ms < at_ms) {
        plan_root_due(p, r, at_ms);
        return;
    }
    for (size_t n = r->head.target - live - coming; n && offer_one(p, r);)
        n--;
}

/* ── pruning ─────────────────────────────────────────────────────────────────────────────────── */
static bool is_owner(const plan_root_t *r, const plan_peer_t *peer)
{
    return peer_id_equal(&r->head.owner, &peer->id);
}

/* The owner stays before all others, then the nearest. */
static int compare_to_stay(const plan_root_t *r, const plan_peer_t *a, const plan_peer_t *b)
{
    if (is_owner(r, a) != is_owner(r, b))
        return is_owner(r, a) ? -1 : 1;
    return plan_compare_distance(r, a, b);
}

/* The `target` living others that come first, into the action. */
static void ask_to_stay(replica_planner_t *p, plan_root_t *r)
{
    const plan_peer_t *best[32];
    size_t n = 0, want = r->head.target < ARRAY_LEN(best) ? r->head.target : ARRAY_LEN(best);
    for (size_t i = 0; i < r->n_holders; i++) {
        const plan_peer_t *peer = r->holders[i].peer;
        if (peer == p->self || !plan_holder_is_live(&r->holders[i]))
            continue;
        size_t at = n < want ? n++ : n;
        for (; at > 0 && compare_to_stay(r, peer, best[at - 1]) < 0; at--)
            if (at < want)
                best[at] = best[at - 1];
        if (at < want)
            best[at] = peer;
    }
    r->is_leaving = true;
    plan_action_t *a = plan_push(p, PLAN_LEAVE_ASK, r);
    a->n_stayers = n;
    for (size_t i = 0; i < n; i++)
        a->stayers[i] = best[i]->id;
}

static void prune(replica_planner_t *p, plan_root_t *r, size_t live)
{
    if (live <= r->head.target) {
        r->above_ms = 0;
        return;
    }
    if (!r->above_ms)
        r->above_ms = p->now_ms;
    if (is_owner(r, p->self) || r->is_leaving)
        return;
    for (size_t i = 0; i < r->n_holders; i++) /* the farthest alone goes, then the next one sees anew */
        if (plan_holder_is_live(&r->holders[i]) && compare_to_stay(r, p->self, r->holders[i].peer) < 0)
            return;
    uint64_t at_ms = r->above_ms + p->config.prune_grace_ms;
    if (at_ms < r->stay_until_ms)
        at_ms = r->stay_until_ms;
    if (p->now_ms < at_ms)
        plan_root_due(p, r, at_ms);
    else
        ask_to_stay(p, r);
}

/* ── one root ────────────────────────────────────────────────────────────────────────────────── */
static void decide_released(replica_planner_t *p, plan_root_t *r)
{
    if (p->now_ms - r->released_ms >= PLAN_RELEASED_KEEP_MS) {
        plan_push(p, PLAN_DROP, r);
        plan_remove_root(p, r);
        return;
    }
    plan_root_due(p, r, r->released_ms + PLAN_RELEASED_KEEP_MS);
    if (!is_owner(r, p->self))
        return;
    for (size_t i = 0; i < r->n_holders; i++)
        if (r->holders[i].state != PLAN_LEFT) {
            if (p->now_ms >= r->below_ms) {
                r->below_ms = p->now_ms + PLAN_RELEASE_AGAIN_MS;
                plan_mark_dirty(p, r); /* saved again, and told again */
            }
            plan_root_due(p, r, r->below_ms);
            return;
        }
}

void plan_decide(replica_planner_t *p, plan_root_t *r)
{
    r->due_ms = UINT64_MAX;
    if (r->head.is_released) {
        decide_released(p, r);
        return;
    }
    plan_holder_t *self = plan_holder_of(r, p->self);
    if (!self || self->state != PLAN_HOLDS)
        return;
    size_t live = plan_root_live(p, r);
    heal(p, r, live);
    prune(p, r, live);
}

/* ── time ────────────────────────────────────────────────────────────────────────────────────── */
static bool is_active(plan_state_t state)
{
    return state == PLAN_HOLDS || state == PLAN_FETCHING;
}

static void beat(replica_planner_t *p)
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
        if (peer->is_shared && peer != p->self)
            plan_push(p, PLAN_HEARTBEAT, NULL)->peer = peer->id;
    p->heartbeat_ms = p->now_ms + p->config.heartbeat_ms;
}

/* True: somebody was lost or came back. */
static bool judge_peers(replica_planner_t *p)
{
    bool changed = false;
    LIST_EACH (peer, &p->peers, plan_peer_t, node) {
        if (!peer->refs || peer == p->self)
            continue;
        bool is_lost = failure_detector_phi(&peer->detector, p->now_ms) >= p->config.phi_lost;
        changed = changed || is_lost != peer->is_lost;
        peer->is_lost = is_lost;
        if (!is_lost) {
            uint64_t due = failure_detector_due_ms(&peer->detector, p->config.phi_lost);
            if (due < p->deadline_ms)
                p->deadline_ms = due;
        }
    }
    return changed;
}

void replica_planner_tick(replica_planner_t *p, uint64_t now_ms)
{
    p->now_ms = now_ms;
    p->deadline_ms = UINT64_MAX;
    bool changed = judge_peers(p);
    if (now_ms >= p->heartbeat_ms)
        beat(p);
    if (p->heartbeat_ms < p->deadline_ms && !list_is_empty(&p->roots))
        p->deadline_ms = p->heartbeat_ms;
    LIST_EACH (r, &p->roots, plan_root_t, node) {
        if (changed || r->due_ms <= now_ms)
            plan_decide(p, r);
        else if (r->due_ms < p->deadline_ms)
            p->deadline_ms = r->due_ms;
    }
}
