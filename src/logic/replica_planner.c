#include "logic/replica_plan_internal.h"
#include <stdlib.h>

enum { MAX_PEERS = 65536, MESH_REPAIR_BYTES_PER_S = 8 << 20, SLEPT_MS = 60000 };

void replica_plan_config_default(replica_plan_config_t *ret)
{
    *ret = (replica_plan_config_t){.heartbeat_ms = 5000,
                                   .phi_lost = 8,
                                   .lost_grace_ms = 15000,
                                   .fallback_ms = 10000,
                                   .prune_grace_ms = 60000,
                                   .fetch_timeout_ms = 600000,
                                   .ask_again_ms = 60000,
                                   .promise_ms = 60000,
                                   .max_roots = 65536,
                                   .max_holders = 64};
}

void replica_plan_config_mesh(replica_plan_config_t *ret)
{
    replica_plan_config_default(ret);
    ret->patience_max_ms = UINT64_C(24) * 3600 * 1000;
    ret->low_grace_ms = 60000;
    ret->prune_slack = 1;
    ret->repair_bytes_per_s = MESH_REPAIR_BYTES_PER_S;
    ret->find_again_ms = 30000;
    ret->candidate_ttl_ms = 600000;
    ret->audit_period_ms = UINT64_C(24) * 3600 * 1000;
    ret->audits_per_minute = 60;
}

/* ── the planner ─────────────────────────────────────────────────────────────────────────────── */
replica_planner_t *replica_planner_new(const replica_plan_config_t *c)
{
    replica_planner_t *p = xcalloc(1, sizeof *p);
    p->config = *c;
    map_init(&p->by_root, c->max_roots);
    map_init(&p->by_peer, MAX_PEERS);
    list_init(&p->roots);
    list_init(&p->peers);
    list_init(&p->dirty);
    list_init(&p->actions);
    list_init(&p->changed);
    list_init(&p->starved);
    for (size_t i = 0; i < PLAN_URGENCIES; i++)
        list_init(&p->waiting[i]);
    prng_seed(&p->rng, c->seed);
    p->away_mean_ms = (double)c->usual_away_ms;
    p->n_away = c->usual_away_ms ? PLAN_ALL_ABSENCES : 0;
    p->wake_ms = UINT64_MAX;
    p->self = plan_get_peer(p, &c->self);
    p->self->refs = 1;
    return p;
}

void replica_planner_free(replica_planner_t *p)
{
    if (!p)
        return;
    LIST_EACH (r, &p->roots, plan_root_t, node)
        plan_remove_root(p, r);
    LIST_EACH (peer, &p->peers, plan_peer_t, node)
        plan_free_peer(p, peer);
    LIST_EACH (a, &p->actions, queued_action_t, node)
        free(a);
    map_deinit(&p->by_root);
    map_deinit(&p->by_peer);
    free(p->heap);
    free(p);
}

plan_action_t *plan_push(replica_planner_t *p, int kind, const plan_root_t *r)
{
    queued_action_t *a = xcalloc(1, sizeof *a);
    a->action.kind = kind;
    if (r)
        a->action.root = r->head.root;
    list_push_back(&p->actions, &a->node);
    return &a->action;
}

void plan_mark_dirty(replica_planner_t *p, plan_root_t *r)
{
    r->digest = 0;
    if (!list_is_linked(&r->dirty))
        list_push_back(&p->dirty, &r->dirty);
    plan_root_due(p, r, p->now_ms);
}

bool replica_planner_next(replica_planner_t *p, plan_action_t *ret)
{
    plan_root_t *r = LIST_FIRST(&p->dirty, plan_root_t, dirty);
    if (r) { /* first: nothing is acted on before it is durable */
        list_remove(&r->dirty);
        *ret = (plan_action_t){.kind = PLAN_SAVE, .root = r->head.root};
        return true;
    }
    queued_action_t *a = LIST_FIRST(&p->actions, queued_action_t, node);
    if (!a)
        return false;
    list_remove(&a->node);
    *ret = a->action;
    free(a);
    return true;
}

/* ── what is due ─────────────────────────────────────────────────────────────────────────────── */
uint64_t replica_planner_deadline_ms(const replica_planner_t *p)
{
    uint64_t root_ms = p->n_heap ? p->heap[0]->due_ms : UINT64_MAX;
    return root_ms < p->wake_ms ? root_ms : p->wake_ms;
}

void plan_wake(replica_planner_t *p, uint64_t at_ms)
{
    p->wake_ms = at_ms < p->wake_ms ? at_ms : p->wake_ms;
}

static void heap_set(replica_planner_t *p, size_t at, plan_root_t *r)
{
    p->heap[at - 1] = r;
    r->heap_at = at;
}

static void heap_up(replica_planner_t *p, plan_root_t *r)
{
    size_t at = r->heap_at;
    for (; at > 1 && p->heap[at / 2 - 1]->due_ms > r->due_ms; at /= 2)
        heap_set(p, at, p->heap[at / 2 - 1]);
    heap_set(p, at, r);
}

static void heap_down(replica_planner_t *p, plan_root_t *r)
{
    size_t at = r->heap_at;
    for (size_t child = 2 * at; child <= p->n_heap; child = 2 * at) {
        if (child < p->n_heap && p->heap[child]->due_ms < p->heap[child - 1]->due_ms)
            child++;
        if (p->heap[child - 1]->due_ms >= r->due_ms)
            break;
        heap_set(p, at, p->heap[child - 1]);
        at = child;
    }
    heap_set(p, at, r);
}

void plan_root_due(replica_planner_t *p, plan_root_t *r, uint64_t at_ms)
{
    if (at_ms >= r->due_ms)
        return;
    r->due_ms = at_ms;
    if (!r->heap_at) {
        if (p->n_heap == p->cap_heap) {
            p->cap_heap = p->cap_heap ? 2 * p->cap_heap : 16;
            p->heap = xrealloc(p->heap, p->cap_heap * sizeof *p->heap);
        }
        heap_set(p, ++p->n_heap, r);
    }
    heap_up(p, r);
}

void plan_root_undue(replica_planner_t *p, plan_root_t *r)
{
    r->due_ms = UINT64_MAX;
    if (!r->heap_at)
        return;
    plan_root_t *last = p->heap[--p->n_heap];
    if (last != r) {
        heap_set(p, r->heap_at, last);
        heap_up(p, last);
        heap_down(p, last);
    }
    r->heap_at = 0;
}

/* Those that have an entry of a peer that was lost or came back. */
static void decide_changed(replica_planner_t *p)
{
    if (list_is_empty(&p->changed))
        return;
    LIST_EACH (r, &p->roots, plan_root_t, node) {
        bool is_changed = false;
        for (size_t i = 0; !is_changed && i < r->n_holders; i++)
            is_changed = list_is_linked(&r->holders[i].peer->changed);
        if (is_changed)
            plan_root_due(p, r, p->now_ms);
    }
    LIST_EACH (peer, &p->changed, plan_peer_t, changed)
        list_remove(&peer->changed);
}

void replica_planner_resumed(replica_planner_t *p, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_listen_again(p);
    LIST_EACH (r, &p->roots, plan_root_t, node) {
        r->above_ms = 0;
        if (!r->head.is_released)
            r->below_ms = 0;
        plan_root_due(p, r, now_ms);
    }
}

void replica_planner_tick(replica_planner_t *p, uint64_t now_ms)
{
    if (now_ms - p->now_ms > SLEPT_MS && now_ms > replica_planner_deadline_ms(p) + SLEPT_MS)
        replica_planner_resumed(p, now_ms);
    p->now_ms = now_ms;
    p->wake_ms = UINT64_MAX;
    plan_judge_peers(p);
    decide_changed(p);
    p->wake_ms = p->wake_ms <= now_ms ? UINT64_MAX : p->wake_ms; /* that was for the changed ones */
    plan_sweep_candidates(p);
    if (!p->config.is_judged_outside) {
        if (now_ms >= p->heartbeat_ms)
            plan_beat(p);
        if (!list_is_empty(&p->roots))
            plan_wake(p, p->heartbeat_ms);
    }
    plan_repair_tick(p);
    for (size_t n = p->n_heap; n && p->n_heap && p->heap[0]->due_ms <= now_ms; n--)
        plan_decide(p, p->heap[0]);
}

/* ── what this node does ─────────────────────────────────────────────────────────────────────── */
err_t replica_planner_pin(replica_planner_t *p, const cid_t *root, uint32_t target, uint64_t size_bytes,
                          uint64_t wall_ms, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    if (!r) {
        plan_head_t head = {.root = *root};
        r = plan_add_root(p, &head);
        if (!r && p->config.deleted && tombstones_has_root(p->config.deleted, root))
            return fail(ERR_DENIED, "its owner has deleted it; store it again under a new name");
        if (!r)
            return fail(ERR_LIMIT, "%zu roots are replicated, the limit", p->config.max_roots);
    }
    plan_owner_t *own = plan_add_owner(r, &p->self->id, true);
    own->version++;
    own->target = target;
    own->is_released = false;
    plan_unseal(&own->seal);
    plan_heads_changed(r, now_ms);
    if (size_bytes)
        r->head.size_bytes = size_bytes;
    r->is_urgent = true;
    while (r->n_asked) /* who refused before is asked again */
        plan_drop_asked(p, r, 0);
    plan_set_self(p, r, PLAN_HOLDS, wall_ms);
    plan_mark_dirty(p, r);
    return OK;
}

void replica_planner_release(replica_planner_t *p, const cid_t *root, uint64_t wall_ms, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    plan_owner_t *own = r ? plan_owner_of(r, &p->self->id) : NULL;
    if (!own || own->is_released)
        return;
    own->version++;
    own->is_released = true;
    plan_unseal(&own->seal);
    plan_heads_changed(r, now_ms);
    if (r->head.is_released)
        plan_let_go(p, r, wall_ms);
    plan_mark_dirty(p, r);
}

void replica_planner_self(replica_planner_t *p, const cid_t *root, plan_state_t state, uint64_t wall_ms,
                          uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    if (!r || (r->head.is_released && state != PLAN_LEFT))
        return;
    if (state == PLAN_LEFT)
        plan_let_go(p, r, wall_ms);
    else
        plan_set_self(p, r, state, wall_ms);
}

plan_state_t plan_root_self(const replica_planner_t *p, const plan_root_t *r)
{
    plan_holder_t *h = plan_holder_of(r, p->self);
    return h ? h->state : 0;
}

void replica_planner_size(replica_planner_t *p, const cid_t *root, uint64_t size_bytes, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    if (!r || r->head.size_bytes >= size_bytes)
        return;
    r->head.size_bytes = size_bytes;
    plan_mark_dirty(p, r);
}

/* ── answers ───────────────────────────────────────────────────────────────────────────────────── */
void replica_planner_offered(replica_planner_t *p, const cid_t *root, const peer_id_t *id,
                             plan_answer_t answer, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    for (size_t i = 0; r && i < r->n_asked; i++) {
        plan_asked_t *a = &r->asked[i];
        if (!peer_id_equal(&a->peer->id, id))
            continue;
        a->is_refused = answer != PLAN_ACCEPTED;
        a->until_ms = now_ms + (answer == PLAN_ACCEPTED ? PLAN_OFFER_TIMEOUT_MS : p->config.ask_again_ms);
        if (answer != PLAN_ACCEPTED) {
            plan_repair_refund(p, r);
        } else if (!r->is_urgent) {
            p->heals++;
            p->healed_bytes += r->head.size_bytes;
        }
        plan_root_due(p, r, now_ms);
        return;
    }
}

void replica_planner_verified(replica_planner_t *p, const cid_t *root, const peer_id_t *id, bool holds,
                              uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    plan_holder_t *h = r ? plan_holder_by_id(r, id) : NULL;
    if (!h || h->state != PLAN_HOLDS)
        return;
    h->is_denied = !holds;
    if (holds)
        h->verified_ms = now_ms;
    plan_audited(p, r, h);
    plan_root_due(p, r, now_ms);
}

void replica_planner_audited(replica_planner_t *p, const cid_t *root, const peer_id_t *id, plan_audit_t how,
                             uint64_t now_ms)
{
    if (how != PLAN_AUDIT_NO_ANSWER) {
        p->audits++;
        p->audits_failed += how == PLAN_AUDIT_FAILED;
        replica_planner_verified(p, root, id, how == PLAN_AUDIT_PASSED, now_ms);
        return;
    }
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    plan_holder_t *h = r ? plan_holder_by_id(r, id) : NULL;
    if (!h)
        return;
    h->n_unanswered += h->n_unanswered < 10;
    h->audit_ms = now_ms + (UINT64_C(60000) << h->n_unanswered);
    plan_root_due(p, r, h->audit_ms);
}

void replica_planner_deleted(replica_planner_t *p, const cid_t *root, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    if (!r)
        return;
    plan_push(p, PLAN_DROP, r);
    plan_remove_root(p, r);
}

bool replica_planner_promise(replica_planner_t *p, const cid_t *root, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    plan_holder_t *h = r ? plan_holder_of(r, p->self) : NULL;
    if (!h || h->state != PLAN_HOLDS || r->is_leaving || r->head.is_released)
        return false;
    r->stay_until_ms = now_ms + p->config.promise_ms;
    return true;
}

void replica_planner_leave(replica_planner_t *p, const cid_t *root, bool all_stay, uint64_t wall_ms,
                           uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    if (!r || !r->is_leaving)
        return;
    r->is_leaving = false;
    r->above_ms = now_ms; /* when it failed: again after the grace */
    if (all_stay && plan_root_live(p, r) > r->head.target) {
        p->prunes++;
        plan_let_go(p, r, wall_ms);
    }
    plan_root_due(p, r, now_ms);
}

bool replica_planner_is_asking(const replica_planner_t *p, const plan_root_t *r)
{
    for (size_t i = 0; i < r->n_asked; i++)
        if (plan_is_coming(p, r, r->asked[i].peer))
            return true;
    for (size_t i = 0; i < r->n_holders; i++)
        if (r->holders[i].peer != p->self && plan_is_coming(p, r, r->holders[i].peer))
            return true;
    return false;
}

replica_plan_stat_t replica_planner_stat(const replica_planner_t *p)
{
    replica_plan_stat_t s = {.heals = p->heals,
                             .prunes = p->prunes,
                             .healed_bytes = p->healed_bytes,
                             .audits = p->audits,
                             .audits_failed = p->audits_failed,
                             .returns = p->returns,
                             .heals_waiting = p->n_waiting,
                             .usual_away_ms = plan_usual_away_ms(p)};
    LIST_EACH (r, &p->roots, plan_root_t, node) {
        if (r->head.is_released)
            continue;
        size_t live = plan_root_live(p, r);
        s.roots++;
        s.owned += plan_root_is_owner(r, &p->self->id);
        s.below += live < r->head.target;
        s.above += live > r->head.target;
    }
    return s;
}
