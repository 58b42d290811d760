#include "base/writer.h"
#include "crypto/hash.h"
#include "logic/replica_plan_internal.h"
#include <stdlib.h>

enum { MAX_PEERS = 65536 };

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

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
static plan_peer_t *find_peer(const replica_planner_t *p, const peer_id_t *id)
{
    return map_get(&p->by_peer, peer_id_bytes(id));
}

static plan_peer_t *get_peer(replica_planner_t *p, const peer_id_t *id)
{
    plan_peer_t *peer = find_peer(p, id);
    if (peer)
        return peer;
    peer = xcalloc(1, sizeof *peer);
    peer->id = *id;
    sha256_of(peer_id_bytes(id), peer->key);
    failure_detector_init(&peer->detector, p->config.heartbeat_ms, p->now_ms);
    if (map_put(&p->by_peer, peer_id_bytes(id), peer, NULL)) {
        free(peer);
        return NULL;
    }
    list_push_back(&p->peers, &peer->node);
    return peer;
}

static void free_peer(replica_planner_t *p, plan_peer_t *peer)
{
    map_remove(&p->by_peer, peer_id_bytes(&peer->id));
    list_remove(&peer->node);
    free(peer);
}

static void release_peer(replica_planner_t *p, plan_peer_t *peer)
{
    if (!--peer->refs && !peer->is_candidate && peer != p->self)
        free_peer(p, peer);
}

bool plan_is_alive(const plan_peer_t *peer)
{
    return !peer->is_lost;
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
    p->deadline_ms = UINT64_MAX;
    p->self = get_peer(p, &c->self);
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
        free_peer(p, peer);
    LIST_EACH (a, &p->actions, queued_action_t, node)
        free(a);
    map_deinit(&p->by_root);
    map_deinit(&p->by_peer);
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

uint64_t replica_planner_deadline_ms(const replica_planner_t *p)
{
    return p->deadline_ms;
}

void plan_root_due(replica_planner_t *p, plan_root_t *r, uint64_t at_ms)
{
    if (at_ms < r->due_ms)
        r->due_ms = at_ms;
    if (at_ms < p->deadline_ms)
        p->deadline_ms = at_ms;
}

/* ── roots ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct root_key {
    uint8_t bytes[CID_BINARY_MAX];
} root_key_t;

static bytes_t key_of(const cid_t *root, root_key_t *k)
{
    return bytes_of(k->bytes, cid_encode_multihash(root, k->bytes));
}

plan_root_t *replica_planner_root(replica_planner_t *p, const cid_t *root)
{
    root_key_t k;
    return map_get(&p->by_root, key_of(root, &k));
}

static plan_root_t *add_root(replica_planner_t *p, const plan_head_t *head)
{
    plan_root_t *r = xcalloc(1, sizeof *r);
    root_key_t k;
    bytes_t key = key_of(&head->root, &k);
    r->head = *head;
    r->due_ms = UINT64_MAX;
    sha256_of(key, r->key);
    if (map_put(&p->by_root, key, r, NULL)) {
        free(r);
        return NULL;
    }
    list_push_back(&p->roots, &r->node);
    return r;
}

void plan_drop_asked(replica_planner_t *p, plan_root_t *r, size_t i)
{
    release_peer(p, r->asked[i].peer);
    r->asked[i] = r->asked[--r->n_asked];
}

void plan_remove_root(replica_planner_t *p, plan_root_t *r)
{
    root_key_t k;
    map_remove(&p->by_root, key_of(&r->head.root, &k));
    while (r->n_asked)
        plan_drop_asked(p, r, 0);
    while (r->n_holders)
        release_peer(p, r->holders[--r->n_holders].peer);
    free(r->holders);
    list_remove(&r->dirty);
    list_remove(&r->node);
    free(r);
}

void replica_planner_forget(replica_planner_t *p, const cid_t *root)
{
    plan_root_t *r = replica_planner_root(p, root);
    if (r)
        plan_remove_root(p, r);
}

size_t replica_planner_count(const replica_planner_t *p)
{
    return map_count(&p->by_root);
}

plan_root_t *replica_planner_next_root(replica_planner_t *p, size_t *i)
{
    void *value;
    return map_next(&p->by_root, i, NULL, &value) ? value : NULL;
}

const plan_head_t *plan_root_head(const plan_root_t *r)
{
    return &r->head;
}

size_t plan_root_entries(const plan_root_t *r)
{
    return r->n_holders;
}

plan_entry_t plan_root_entry(const plan_root_t *r, size_t i)
{
    const plan_holder_t *h = &r->holders[i];
    return (plan_entry_t){h->peer->id, h->seq, h->state, h->since_ms};
}

plan_holder_t *plan_holder_of(const plan_root_t *r, const plan_peer_t *peer)
{
    for (size_t i = 0; i < r->n_holders; i++)
        if (r->holders[i].peer == peer)
            return &r->holders[i];
    return NULL;
}

static plan_holder_t *holder_by_id(const plan_root_t *r, const peer_id_t *id)
{
    for (size_t i = 0; i < r->n_holders; i++)
        if (peer_id_equal(&r->holders[i].peer->id, id))
            return &r->holders[i];
    return NULL;
}

bool plan_holder_is_live(const plan_holder_t *h)
{
    return h->state == PLAN_HOLDS && !h->is_denied && plan_is_alive(h->peer);
}

bool plan_root_is_live(const replica_planner_t *p, const plan_root_t *r, const peer_id_t *peer)
{
    (void)p;
    plan_holder_t *h = holder_by_id(r, peer);
    return h && plan_holder_is_live(h);
}

size_t plan_root_live(const replica_planner_t *p, const plan_root_t *r)
{
    (void)p;
    size_t n = 0;
    for (size_t i = 0; i < r->n_holders; i++)
        n += plan_holder_is_live(&r->holders[i]);
    return n;
}

uint64_t plan_root_verified_ms(const plan_root_t *r, const peer_id_t *peer)
{
    plan_holder_t *h = holder_by_id(r, peer);
    return h ? h->verified_ms : 0;
}

uint64_t plan_root_digest(const plan_root_t *r)
{
    static const uint8_t fixed[16] = "replica-digest1";
    uint8_t one[PEER_ID_MAX_BYTES + 3 * UVARINT_MAX_BYTES];
    size_t n = r->head.owner.len;
    memcpy(one, r->head.owner.data, n);
    n += uvarint_put(one + n, r->head.version);
    n += uvarint_put(one + n, (uint64_t)r->head.target << 1 | r->head.is_released);
    uint64_t digest = siphash24(fixed, bytes_of(one, n));
    for (size_t i = 0; i < r->n_holders; i++) {
        const plan_holder_t *h = &r->holders[i];
        n = h->peer->id.len;
        memcpy(one, h->peer->id.data, n);
        n += uvarint_put(one + n, h->seq);
        n += uvarint_put(one + n, h->state);
        digest += siphash24(fixed, bytes_of(one, n));
    }
    return digest ? digest : 1;
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static void remove_holder(replica_planner_t *p, plan_root_t *r, size_t at)
{
    release_peer(p, r->holders[at].peer);
    memmove(&r->holders[at], &r->holders[at + 1], (r->n_holders - at - 1) * sizeof *r->holders);
    r->n_holders--;
}

static bool make_room(replica_planner_t *p, plan_root_t *r)
{
    if (r->n_holders < p->config.max_holders)
        return true;
    for (size_t i = 0; i < r->n_holders; i++)
        if (r->holders[i].state == PLAN_LEFT && r->holders[i].peer != p->self) {
            remove_holder(p, r, i);
            return true;
        }
    return false;
}

static plan_holder_t *add_holder(replica_planner_t *p, plan_root_t *r, const peer_id_t *id)
{
    plan_peer_t *peer = make_room(p, r) ? get_peer(p, id) : NULL;
    if (!peer)
        return NULL;
    if (r->n_holders == r->cap_holders) {
        r->cap_holders = r->cap_holders ? 2 * r->cap_holders : 4;
        r->holders = xrealloc(r->holders, r->cap_holders * sizeof *r->holders);
    }
    size_t at = 0;
    while (at < r->n_holders && bytes_compare(peer_id_bytes(&r->holders[at].peer->id), peer_id_bytes(id)) < 0)
        at++;
    memmove(&r->holders[at + 1], &r->holders[at], (r->n_holders - at) * sizeof *r->holders);
    r->holders[at] = (plan_holder_t){.peer = peer};
    r->n_holders++;
    peer->refs++;
    return &r->holders[at];
}

void plan_set_self(replica_planner_t *p, plan_root_t *r, plan_state_t state, uint64_t wall_ms)
{
    plan_holder_t *h = plan_holder_of(r, p->self);
    if (!h)
        h = add_holder(p, r, &p->self->id);
    if (!h)
        return; /* max_holders live ones: it is held enough */
    if (h->state != state || !h->seq) {
        h->seq++;
        h->state = state;
        h->since_ms = wall_ms;
        h->learnt_ms = p->now_ms;
    }
    h->is_denied = false;
    plan_mark_dirty(p, r);
}

/* News of one entry. True: something changed. */
static bool merge_entry(replica_planner_t *p, plan_root_t *r, const plan_entry_t *e, bool is_new_root)
{
    plan_holder_t *h = holder_by_id(r, &e->peer);
    if (h && e->seq <= h->seq)
        return false;
    if (h && h->peer == p->self && !is_new_root) { /* we know better what we have: outbid it */
        if (h->state != e->state)
            h->seq = e->seq + 1;
        else
            h->seq = e->seq;
        return true;
    }
    if (!h)
        h = add_holder(p, r, &e->peer);
    if (!h)
        return false;
    h->seq = e->seq;
    h->state = e->state;
    h->since_ms = e->since_ms;
    h->learnt_ms = p->now_ms;
    h->verified_ms = 0;
    h->is_denied = false;
    return true;
}

static bool merge_head(plan_root_t *r, const plan_head_t *news, uint64_t now_ms)
{
    if (news->version < r->head.version ||
        (news->version == r->head.version &&
         bytes_compare(peer_id_bytes(&news->owner), peer_id_bytes(&r->head.owner)) <= 0))
        return false;
    r->head.owner = news->owner;
    r->head.version = news->version;
    r->head.target = news->target;
    if (news->is_released && !r->head.is_released)
        r->released_ms = now_ms;
    r->head.is_released = news->is_released;
    return true;
}

static void let_go(replica_planner_t *p, plan_root_t *r, uint64_t wall_ms)
{
    plan_holder_t *h = plan_holder_of(r, p->self);
    if (!h || h->state == PLAN_LEFT)
        return;
    plan_set_self(p, r, PLAN_LEFT, wall_ms);
    plan_push(p, PLAN_DROP, r);
}

bool replica_planner_merge(replica_planner_t *p, const plan_head_t *head, const plan_entry_t *entries,
                           size_t n, bool may_add, bool head_is_trusted, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, &head->root);
    bool is_new = !r, changed = !r;
    if (!r && !may_add)
        return false;
    if (!r)
        r = add_root(p, head);
    if (!r)
        return false;
    if (!is_new && head_is_trusted)
        changed = merge_head(r, head, now_ms);
    if (!r->head.size_bytes && head->size_bytes) {
        r->head.size_bytes = head->size_bytes;
        changed = true;
    }
    for (size_t i = 0; i < n; i++)
        if (merge_entry(p, r, &entries[i], is_new))
            changed = true;
    if (r->head.is_released)
        let_go(p, r, 0);
    if (changed)
        plan_mark_dirty(p, r);
    return changed;
}

err_t replica_planner_pin(replica_planner_t *p, const cid_t *root, uint32_t target, uint64_t size_bytes,
                          uint64_t wall_ms, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    if (!r) {
        plan_head_t head = {.root = *root, .owner = p->self->id};
        r = add_root(p, &head);
        if (!r)
            return fail(ERR_LIMIT, "%zu roots are replicated, the limit", p->config.max_roots);
    }
    r->head.owner = p->self->id;
    r->head.version++;
    r->head.target = target;
    r->head.is_released = false;
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
    if (!r || r->head.is_released)
        return;
    r->head.version++;
    r->head.is_released = true;
    r->released_ms = now_ms;
    let_go(p, r, wall_ms);
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
        let_go(p, r, wall_ms);
    else
        plan_set_self(p, r, state, wall_ms);
}

plan_state_t plan_root_self(const replica_planner_t *p, const plan_root_t *r)
{
    plan_holder_t *h = plan_holder_of(r, p->self);
    return h ? h->state : 0;
}

/* ── news about peers ────────────────────────────────────────────────────────────────────────── */
void replica_planner_heard(replica_planner_t *p, const peer_id_t *id, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_peer_t *peer = find_peer(p, id);
    if (!peer)
        return;
    if (peer->is_lost) { /* the silence says nothing about its rhythm */
        failure_detector_init(&peer->detector, p->config.heartbeat_ms, now_ms);
        p->deadline_ms = now_ms;
        return;
    }
    failure_detector_heard(&peer->detector, now_ms);
}

void replica_planner_candidate(replica_planner_t *p, const peer_id_t *id, bool may_be_asked, uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_peer_t *peer = may_be_asked ? get_peer(p, id) : find_peer(p, id);
    if (!peer || peer == p->self || peer->is_candidate == may_be_asked)
        return;
    peer->is_candidate = may_be_asked;
    if (!may_be_asked && !peer->refs) {
        free_peer(p, peer);
        return;
    }
    LIST_EACH (r, &p->roots, plan_root_t, node)
        plan_root_due(p, r, now_ms);
}

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
        p->heals += answer == PLAN_ACCEPTED && !r->is_urgent;
        plan_root_due(p, r, now_ms);
        return;
    }
}

void replica_planner_verified(replica_planner_t *p, const cid_t *root, const peer_id_t *id, bool holds,
                              uint64_t now_ms)
{
    p->now_ms = now_ms;
    plan_root_t *r = replica_planner_root(p, root);
    plan_holder_t *h = r ? holder_by_id(r, id) : NULL;
    if (!h || h->state != PLAN_HOLDS)
        return;
    h->is_denied = !holds;
    if (holds)
        h->verified_ms = now_ms;
    plan_root_due(p, r, now_ms);
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
        let_go(p, r, wall_ms);
    }
    plan_root_due(p, r, now_ms);
}

bool replica_planner_is_alive(const replica_planner_t *p, const peer_id_t *id, uint64_t now_ms)
{
    plan_peer_t *peer = find_peer(p, id);
    return peer && (peer == p->self || failure_detector_phi(&peer->detector, now_ms) < p->config.phi_lost);
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
    replica_plan_stat_t s = {.heals = p->heals, .prunes = p->prunes};
    LIST_EACH (r, &p->roots, plan_root_t, node) {
        if (r->head.is_released)
            continue;
        size_t live = plan_root_live(p, r);
        s.roots++;
        s.owned += peer_id_equal(&r->head.owner, &p->self->id);
        s.below += live < r->head.target;
        s.above += live > r->head.target;
    }
    return s;
}
