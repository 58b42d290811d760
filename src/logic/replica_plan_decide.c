/* The planner's decisions about one root: heal, prune, tell of a release; and the heartbeat. */
#include "logic/replica_plan_internal.h"
#include <stdlib.h>

enum { SLOW_BYTES_PER_MS = 256 };

static int compare_distance(const plan_root_t *r, const plan_peer_t *a, const plan_peer_t *b)
{
    return kad_compare_distance(&r->key, &a->key, &b->key); /* < 0: a is nearer to the root than b */
}

/* ── healing ─────────────────────────────────────────────────────────────────────────────────── */
static const plan_asked_t *find_ask(const plan_root_t *r, const plan_peer_t *peer)
{
    for (size_t i = 0; i < r->n_asked; i++)
        if (r->asked[i].peer == peer)
            return &r->asked[i];
    return NULL;
}

/* How long one may fetch the root: longer for a large one. */
static uint64_t fetch_timeout_ms(const replica_planner_t *p, const plan_root_t *r)
{
    return p->config.fetch_timeout_ms + r->head.size_bytes / SLOW_BYTES_PER_MS;
}

/* It will hold the root soon: it fetches, or was asked and has not refused. */
bool plan_is_coming(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer)
{
    const plan_holder_t *h = plan_holder_of(r, peer);
    if (h && plan_holder_is_live(h))
        return false;
    if (h && h->state == PLAN_FETCHING && !peer->is_lost && p->now_ms - h->learnt_ms < fetch_timeout_ms(p, r))
        return true;
    const plan_asked_t *a = find_ask(r, peer);
    return a && !a->is_refused && a->until_ms > p->now_ms;
}

/* One that has accepted and of whom nothing came (it says that it holds what it was found not to have; its
 * fetch fails each time) is not asked again at once: others get their turn. */
static void drop_old_asks(replica_planner_t *p, plan_root_t *r)
{
    for (size_t i = 0; i < r->n_asked;) {
        plan_asked_t *a = &r->asked[i];
        const plan_holder_t *h = plan_holder_of(r, a->peer);
        bool is_over = a->until_ms <= p->now_ms;
        bool has_come = h && (plan_holder_is_live(h) || plan_is_coming(p, r, a->peer));
        if (is_over && (a->is_refused || has_come)) {
            plan_drop_asked(p, r, i);
            continue;
        }
        if (is_over) {
            a->is_refused = true;
            a->until_ms = p->now_ms + p->config.ask_again_ms;
        }
        plan_root_due(p, r, r->asked[i++].until_ms);
    }
}

static size_t count_coming(replica_planner_t *p, plan_root_t *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_holders; i++) {
        const plan_holder_t *h = &r->holders[i];
        n += plan_is_coming(p, r, h->peer);
        if (h->state == PLAN_FETCHING && p->now_ms - h->learnt_ms < fetch_timeout_ms(p, r))
            plan_root_due(p, r, h->learnt_ms + fetch_timeout_ms(p, r));
    }
    for (size_t i = 0; i < r->n_asked; i++)
        n += !plan_holder_of(r, r->asked[i].peer) && plan_is_coming(p, r, r->asked[i].peer);
    return n;
}

static bool is_candidate(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer)
{
    const plan_holder_t *h = plan_holder_of(r, peer);
    return peer->is_candidate && (!p->config.candidate_ttl_ms || p->now_ms < peer->candidate_until_ms) &&
           !(p->config.is_judged_outside && peer->is_lost) && !(h && plan_holder_is_live(h));
}

void replica_planner_room(const replica_planner_t *p, const plan_root_t *r, size_t *ret_others,
                          size_t *ret_fitting)
{
    *ret_others = *ret_fitting = 0;
    LIST_EACH (peer, &p->peers, plan_peer_t, node) {
        bool is_one = is_candidate(p, r, peer);
        *ret_others += is_one;
        *ret_fitting += is_one && placement_fits(&peer->status, r->head.size_bytes);
    }
}

static bool is_askable(const replica_planner_t *p, const plan_root_t *r, const plan_peer_t *peer)
{
    return is_candidate(p, r, peer) && placement_fits(&peer->status, r->head.size_bytes) &&
           !find_ask(r, peer) && !plan_is_coming(p, r, peer);
}

/* Copies that are or will be in the zone. */
static size_t zone_copies(const replica_planner_t *p, const plan_root_t *r, uint64_t zone)
{
    size_t n = 0;
    uint64_t until_ms;
    for (size_t i = 0; zone && i < r->n_holders; i++) {
        const plan_holder_t *h = &r->holders[i];
        n +=
            h->peer->status.zone == zone && (plan_holder_is_live(h) || plan_is_coming(p, r, h->peer) ||
                                             (h->state == PLAN_HOLDS && plan_is_away(p, h->peer, &until_ms)));
    }
    for (size_t i = 0; zone && i < r->n_asked; i++)
        n += r->asked[i].peer->status.zone == zone && !plan_holder_of(r, r->asked[i].peer) &&
             plan_is_coming(p, r, r->asked[i].peer);
    return n;
}

/* Who was caught without its copy comes last: its word that it takes it is worth little. */
static plan_peer_t *best_askable(const replica_planner_t *p, const plan_root_t *r)
{
    plan_peer_t *best = NULL;
    size_t best_copies = 0;
    double best_cost = 0;
    LIST_EACH (peer, &p->peers, plan_peer_t, node) {
        if (!is_askable(p, r, peer))
            continue;
        const plan_holder_t *h = plan_holder_of(r, peer);
        size_t copies = h && h->is_denied ? SIZE_MAX : zone_copies(p, r, peer->status.zone);
        double cost = placement_cost(&r->key, &peer->key, &peer->status);
        if (best && (copies != best_copies ? copies > best_copies : cost >= best_cost))
            continue;
        best = peer;
        best_copies = copies;
        best_cost = cost;
    }
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
        rank += plan_holder_is_live(&r->holders[i]) && compare_distance(r, r->holders[i].peer, p->self) < 0;
    return rank;
}

static void offer(replica_planner_t *p, plan_root_t *r, plan_peer_t *peer)
{
    r->asked[r->n_asked++] = (plan_asked_t){.peer = peer, .until_ms = p->now_ms + PLAN_OFFER_TIMEOUT_MS};
    peer->refs++;
    plan_push(p, PLAN_OFFER, r)->peer = peer->id;
    plan_root_due(p, r, p->now_ms + PLAN_OFFER_TIMEOUT_MS);
    if (peer->status.free_bytes != PLACEMENT_FREE_UNKNOWN)
        peer->status.free_bytes -=
            r->head.size_bytes < peer->status.free_bytes ? r->head.size_bytes : peer->status.free_bytes;
}

/* Nobody can be asked: candidates are looked for, more each time. */
static void starve(replica_planner_t *p, plan_root_t *r)
{
    if (!list_is_linked(&r->starved))
        list_push_back(&p->starved, &r->starved);
    if (!p->config.find_again_ms)
        return;
    if (p->now_ms >= r->find_ms) {
        plan_push(p, PLAN_FIND, r)->n_wanted = (size_t)PLAN_FIND_FEW << r->n_finds;
        r->n_finds += r->n_finds < 6;
        r->find_ms = p->now_ms + p->config.find_again_ms;
    }
    plan_root_due(p, r, r->find_ms);
}

/* Holders that are expected back; the root is looked at again when one should have been. */
static size_t count_away(replica_planner_t *p, plan_root_t *r)
{
    size_t n = 0;
    for (size_t i = 0; !r->is_urgent && i < r->n_holders; i++) {
        uint64_t until_ms;
        if (r->holders[i].state != PLAN_HOLDS || r->holders[i].is_denied ||
            !plan_is_away(p, r->holders[i].peer, &until_ms))
            continue;
        n++;
        plan_root_due(p, r, until_ms);
    }
    return n;
}

/* How many new copies are to be made, and after how long. Those that are away count for the target, but not
 * for half of it. */
static size_t count_missing(replica_planner_t *p, plan_root_t *r, size_t have, uint64_t *ret_grace_ms)
{
    size_t target = r->head.target, half = (target + 1) / 2;
    size_t away = have < target ? count_away(p, r) : 0;
    size_t missing = have + away < target ? target - have - away : 0;
    size_t low = have < half ? half - have : 0;
    *ret_grace_ms = missing ? p->config.lost_grace_ms : plan_low_grace_ms(p);
    return missing > low ? missing : low;
}

static void heal(replica_planner_t *p, plan_root_t *r, size_t live)
{
    drop_old_asks(p, r);
    uint64_t grace_ms;
    size_t coming = count_coming(p, r), missing = count_missing(p, r, live + coming, &grace_ms);
    if (!missing) {
        r->below_ms = 0;
        r->n_finds = 0;
        r->is_urgent = r->is_urgent && live < r->head.target;
        list_remove(&r->starved);
        plan_repair_stop_waiting(p, r);
        return;
    }
    if (!r->below_ms)
        r->below_ms = p->now_ms;
    uint64_t at_ms = r->below_ms;
    if (!r->is_urgent)
        at_ms += grace_ms + own_rank(p, r) * p->config.fallback_ms;
    if (p->now_ms < at_ms) {
        plan_root_due(p, r, at_ms);
        return;
    }
    for (; missing; missing--) {
        plan_peer_t *peer = r->n_asked < PLAN_ASKED_MAX ? best_askable(p, r) : NULL;
        if (!peer) {
            starve(p, r);
            return;
        }
        if (!plan_repair_book(p, r, live))
            return;
        offer(p, r, peer);
    }
    list_remove(&r->starved);
}

/* ── pruning ─────────────────────────────────────────────────────────────────────────────────── */
static bool is_owner(const plan_root_t *r, const plan_peer_t *peer)
{
    return plan_root_is_owner(r, &peer->id);
}

/* Living copies in the peer's zone, its own one included. */
static size_t zone_live(const plan_root_t *r, const plan_peer_t *peer)
{
    size_t n = 0;
    for (size_t i = 0; peer->status.zone && i < r->n_holders; i++)
        n += plan_holder_is_live(&r->holders[i]) && r->holders[i].peer->status.zone == peer->status.zone;
    return n ? n : 1;
}

/* The owner stays before all others, then who is alone in its zone, then the nearest. < 0: a before b. */
static int compare_to_stay(const plan_root_t *r, const plan_peer_t *a, const plan_peer_t *b)
{
    if (is_owner(r, a) != is_owner(r, b))
        return is_owner(r, a) ? -1 : 1;
    size_t in_a = zone_live(r, a), in_b = zone_live(r, b);
    if (in_a != in_b)
        return in_a < in_b ? -1 : 1;
    return compare_distance(r, a, b);
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
    if (live <= r->head.target + plan_prune_slack(p)) {
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
    uint64_t at_ms = r->above_ms + plan_prune_grace_ms(p);
    if (at_ms < r->stay_until_ms)
        at_ms = r->stay_until_ms;
    if (p->now_ms < at_ms)
        plan_root_due(p, r, at_ms);
    else
        ask_to_stay(p, r);
}

/* ── audits ──────────────────────────────────────────────────────────────────────────────────── */
enum {
    AUDIT_FIRST_MS = 60000,   /* soon: to say that one holds it is easy */
    AUDIT_FAILED_MS = 600000, /* it may have fetched it again */
    AUDIT_ANSWER_MS = 60000,
};

/* Each of the living holders audits all others: together each once in a period. */
void plan_audited(replica_planner_t *p, plan_root_t *r, plan_holder_t *h)
{
    if (!p->config.audit_period_ms)
        return;
    uint64_t mean_ms = h->is_denied ? AUDIT_FAILED_MS : p->config.audit_period_ms;
    size_t live = plan_root_live(p, r);
    if (!h->is_denied && live > 2)
        mean_ms *= live - 1;
    h->audit_ms = p->now_ms + mean_ms / 2 + prng_below(&p->rng, mean_ms + 1);
    h->n_unanswered = 0;
    plan_root_due(p, r, h->audit_ms);
}

static void audit(replica_planner_t *p, plan_root_t *r)
{
    for (size_t i = 0; p->config.audit_period_ms && i < r->n_holders; i++) {
        plan_holder_t *h = &r->holders[i];
        if (h->peer == p->self || h->state != PLAN_HOLDS || h->peer->is_lost)
            continue;
        if (!h->audit_ms)
            h->audit_ms = p->now_ms + AUDIT_FIRST_MS + prng_below(&p->rng, AUDIT_FIRST_MS);
        if (h->audit_ms <= p->now_ms && p->audit_free_ms > p->now_ms) {
            h->audit_ms = p->audit_free_ms + 1 + prng_below(&p->rng, 10000);
        } else if (h->audit_ms <= p->now_ms) {
            uint32_t rate = p->config.audits_per_minute ? p->config.audits_per_minute : 1;
            p->audit_free_ms = p->now_ms + 60000 / rate;
            h->audit_ms = p->now_ms + AUDIT_ANSWER_MS;
            plan_push(p, PLAN_AUDIT, r)->peer = h->peer->id;
        }
        plan_root_due(p, r, h->audit_ms);
    }
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
    if (!plan_owner_of(r, &p->self->id))
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
    plan_root_undue(p, r);
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
    audit(p, r);
}
