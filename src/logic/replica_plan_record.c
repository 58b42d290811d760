/* The planner's records: roots, their entries, and how news of them merge. */
#include "base/writer.h"
#include "crypto/hash.h"
#include "logic/replica_plan_internal.h"
#include <stdlib.h>

/* ── seals ───────────────────────────────────────────────────────────────────────────────────── */
static bytes_t seal_bytes(const plan_seal_t *seal)
{
    return seal ? bytes_of(seal->data, seal->len) : BYTES_NONE;
}

void plan_unseal(plan_seal_t **seal)
{
    free(*seal);
    *seal = NULL;
}

static void put_seal(plan_seal_t **seal, bytes_t news)
{
    plan_seal_t *made = NULL;
    if (news.len) {
        made = xmalloc(sizeof *made + news.len);
        made->len = news.len;
        memcpy(made->data, news.data, news.len);
    }
    free(*seal);
    *seal = made;
}

/* ── owners ──────────────────────────────────────────────────────────────────────────────────── */
plan_owner_t *plan_owner_of(const plan_root_t *r, const peer_id_t *id)
{
    for (size_t i = 0; i < r->n_owners; i++)
        if (peer_id_equal(&r->owners[i].id, id))
            return &r->owners[i];
    return NULL;
}

plan_owner_t *plan_add_owner(plan_root_t *r, const peer_id_t *id, bool must)
{
    plan_owner_t *o = plan_owner_of(r, id);
    if (o || (r->n_owners == PLAN_OWNERS_MAX && !must))
        return o;
    if (r->n_owners == PLAN_OWNERS_MAX) {
        o = &r->owners[PLAN_OWNERS_MAX - 1];
        plan_unseal(&o->seal);
    } else {
        r->owners = xrealloc(r->owners, (r->n_owners + 1) * sizeof *r->owners);
        o = &r->owners[r->n_owners++];
    }
    *o = (plan_owner_t){.id = *id};
    return o;
}

void plan_heads_changed(plan_root_t *r, uint64_t now_ms)
{
    assert(r->owners && r->n_owners); /* a record without owners is none */
    const plan_owner_t *first = &r->owners[0];
    bool was_released = r->head.is_released;
    r->head.target = 0;
    for (size_t i = 0; i < r->n_owners; i++) {
        const plan_owner_t *o = &r->owners[i];
        bool is_better = o->is_released != first->is_released
                             ? first->is_released
                             : bytes_compare(peer_id_bytes(&o->id), peer_id_bytes(&first->id)) < 0;
        if (is_better)
            first = o;
        if (!o->is_released && o->target > r->head.target)
            r->head.target = o->target;
    }
    r->head.owner = first->id;
    r->head.version = first->version;
    r->head.is_released = first->is_released;
    if (first->is_released)
        r->head.target = first->target;
    if (first->is_released && !was_released)
        r->released_ms = now_ms;
    r->digest = 0;
}

static plan_head_t head_of(const plan_root_t *r, const plan_owner_t *o)
{
    return (plan_head_t){.root = r->head.root,
                         .owner = o->id,
                         .version = o->version,
                         .target = o->target,
                         .is_released = o->is_released,
                         .size_bytes = r->head.size_bytes,
                         .seal = seal_bytes(o->seal)};
}

size_t plan_root_heads(const plan_root_t *r)
{
    return r->n_owners;
}

plan_head_t plan_root_head_at(const plan_root_t *r, size_t i)
{
    return head_of(r, &r->owners[i]);
}

bool plan_root_head_of(const plan_root_t *r, const peer_id_t *owner, plan_head_t *ret)
{
    const plan_owner_t *o = plan_owner_of(r, owner);
    if (o)
        *ret = head_of(r, o);
    return o;
}

bool plan_root_is_owner(const plan_root_t *r, const peer_id_t *peer)
{
    const plan_owner_t *o = plan_owner_of(r, peer);
    return o && !o->is_released;
}

void replica_planner_seal_head(replica_planner_t *p, plan_root_t *r, bytes_t seal)
{
    plan_owner_t *o = plan_owner_of(r, &p->self->id);
    if (o)
        put_seal(&o->seal, seal);
}

void replica_planner_seal_entry(replica_planner_t *p, plan_root_t *r, bytes_t seal)
{
    plan_holder_t *h = plan_holder_of(r, p->self);
    if (h)
        put_seal(&h->seal, seal);
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

plan_root_t *plan_add_root(replica_planner_t *p, const plan_head_t *head)
{
    root_key_t k;
    bytes_t key = key_of(&head->root, &k);
    kad_key_t place = kad_key_of(key);
    if (p->config.deleted && tombstones_has(p->config.deleted, &place))
        return NULL;
    plan_root_t *r = xcalloc(1, sizeof *r);
    r->head = (plan_head_t){.root = head->root, .size_bytes = head->size_bytes};
    r->due_ms = UINT64_MAX;
    r->key = place;
    if (map_put(&p->by_root, key, r, NULL)) {
        free(r);
        return NULL;
    }
    list_push_back(&p->roots, &r->node);
    return r;
}

void plan_drop_asked(replica_planner_t *p, plan_root_t *r, size_t i)
{
    plan_release_peer(p, r->asked[i].peer);
    r->asked[i] = r->asked[--r->n_asked];
}

void plan_remove_root(replica_planner_t *p, plan_root_t *r)
{
    root_key_t k;
    map_remove(&p->by_root, key_of(&r->head.root, &k));
    while (r->n_asked)
        plan_drop_asked(p, r, 0);
    while (r->n_holders) {
        plan_unseal(&r->holders[--r->n_holders].seal);
        plan_release_peer(p, r->holders[r->n_holders].peer);
    }
    free(r->holders);
    while (r->n_owners)
        plan_unseal(&r->owners[--r->n_owners].seal);
    free(r->owners);
    plan_root_undue(p, r);
    plan_repair_stop_waiting(p, r);
    list_remove(&r->starved);
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
    return (plan_entry_t){h->peer->id, h->seq, h->state, h->since_ms, seal_bytes(h->seal)};
}

plan_holder_t *plan_holder_of(const plan_root_t *r, const plan_peer_t *peer)
{
    for (size_t i = 0; i < r->n_holders; i++)
        if (r->holders[i].peer == peer)
            return &r->holders[i];
    return NULL;
}

plan_holder_t *plan_holder_by_id(const plan_root_t *r, const peer_id_t *id)
{
    for (size_t i = 0; i < r->n_holders; i++)
        if (peer_id_equal(&r->holders[i].peer->id, id))
            return &r->holders[i];
    return NULL;
}

bool plan_holder_is_live(const plan_holder_t *h)
{
    return h->state == PLAN_HOLDS && !h->is_denied && !h->peer->is_lost;
}

bool plan_root_is_live(const replica_planner_t *p, const plan_root_t *r, const peer_id_t *peer)
{
    (void)p;
    plan_holder_t *h = plan_holder_by_id(r, peer);
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

size_t plan_root_away(const replica_planner_t *p, const plan_root_t *r)
{
    size_t n = 0;
    uint64_t until_ms;
    for (size_t i = 0; i < r->n_holders; i++)
        n += r->holders[i].state == PLAN_HOLDS && !r->holders[i].is_denied &&
             plan_is_away(p, r->holders[i].peer, &until_ms);
    return n;
}

uint64_t plan_root_verified_ms(const plan_root_t *r, const peer_id_t *peer)
{
    plan_holder_t *h = plan_holder_by_id(r, peer);
    return h ? h->verified_ms : 0;
}

static uint64_t compute_digest(const plan_root_t *r)
{
    static const uint8_t fixed[16] = "replica-digest1";
    uint8_t one[PEER_ID_MAX_BYTES + 3 * UVARINT_MAX_BYTES];
    uint64_t digest = 0;
    for (size_t i = 0; i < r->n_owners; i++) {
        const plan_owner_t *o = &r->owners[i];
        size_t n = o->id.len;
        memcpy(one, o->id.data, n);
        n += uvarint_put(one + n, o->version);
        n += uvarint_put(one + n, (uint64_t)o->target << 1 | o->is_released);
        digest += siphash24(fixed, bytes_of(one, n));
    }
    for (size_t i = 0; i < r->n_holders; i++) {
        const plan_holder_t *h = &r->holders[i];
        size_t n = h->peer->id.len;
        memcpy(one, h->peer->id.data, n);
        n += uvarint_put(one + n, h->seq);
        n += uvarint_put(one + n, h->state);
        digest += siphash24(fixed, bytes_of(one, n));
    }
    return digest ? digest : 1;
}

uint64_t plan_root_digest(plan_root_t *r)
{
    if (!r->digest)
        r->digest = compute_digest(r);
    return r->digest;
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static void remove_holder(replica_planner_t *p, plan_root_t *r, size_t at)
{
    plan_release_peer(p, r->holders[at].peer);
    plan_unseal(&r->holders[at].seal);
    r->digest = 0;
    memmove(&r->holders[at], &r->holders[at + 1], (r->n_holders - at - 1) * sizeof *r->holders);
    r->n_holders--;
}

static bool make_room(replica_planner_t *p, plan_root_t *r)
{
    if (r->n_holders < p->config.max_holders)
        return true;
    size_t worst = r->n_holders; /* one that left, else the one that is lost for the longest time */
    for (size_t i = 0; i < r->n_holders; i++) {
        const plan_holder_t *h = &r->holders[i], *w = worst < r->n_holders ? &r->holders[worst] : NULL;
        if (h->peer == p->self || (h->state != PLAN_LEFT && !h->peer->is_lost))
            continue;
        bool is_worse =
            !w || (w->state != PLAN_LEFT && (h->state == PLAN_LEFT || h->peer->lost_ms < w->peer->lost_ms));
        worst = is_worse ? i : worst;
    }
    if (worst == r->n_holders)
        return false;
    remove_holder(p, r, worst);
    return true;
}

static plan_holder_t *add_holder(replica_planner_t *p, plan_root_t *r, const peer_id_t *id)
{
    plan_peer_t *peer = make_room(p, r) ? plan_get_peer(p, id) : NULL;
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
    r->digest = 0;
    if (h->state != state || !h->seq) {
        h->seq++;
        plan_unseal(&h->seal);
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
    plan_holder_t *h = plan_holder_by_id(r, &e->peer);
    if (h && e->seq <= h->seq)
        return false;
    /* A full record has no room for who has left: two that push out and bring back each other's would never
     * agree, and save and tell without end. */
    if (!h && e->state == PLAN_LEFT && r->n_holders >= p->config.max_holders)
        return false;
    r->digest = 0;
    if (h && h->peer == p->self && !is_new_root) { /* we know better what we have: outbid it */
        h->seq = e->seq + (h->state != e->state);
        plan_unseal(&h->seal);
        return true;
    }
    if (!h)
        h = add_holder(p, r, &e->peer);
    if (!h)
        return false;
    h->seq = e->seq;
    put_seal(&h->seal, e->seal);
    h->state = e->state;
    h->since_ms = e->since_ms;
    h->learnt_ms = p->now_ms;
    h->verified_ms = h->audit_ms = 0;
    h->n_unanswered = 0;
    h->is_denied = false;
    return true;
}

/* News of one owner's head. True: something changed. Our own: we know better what we want, and outbid it. */
static bool merge_head(replica_planner_t *p, plan_root_t *r, const plan_head_t *news)
{
    plan_owner_t *o = plan_owner_of(r, &news->owner);
    if (o && news->version <= o->version)
        return false;
    if (o && peer_id_equal(&o->id, &p->self->id)) {
        o->version = news->version + (o->target != news->target || o->is_released != news->is_released);
        plan_unseal(&o->seal);
        return true;
    }
    if (!o)
        o = plan_add_owner(r, &news->owner, false);
    if (!o)
        return false;
    o->version = news->version;
    o->target = news->target;
    o->is_released = news->is_released;
    put_seal(&o->seal, news->seal);
    plan_heads_changed(r, p->now_ms);
    return true;
}

void plan_let_go(replica_planner_t *p, plan_root_t *r, uint64_t wall_ms)
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
        r = plan_add_root(p, head);
    if (!r)
        return false;
    if (is_new || head_is_trusted)
        changed |= merge_head(p, r, head);
    if (!r->head.size_bytes && head->size_bytes) {
        r->head.size_bytes = head->size_bytes;
        changed = true;
    }
    for (size_t i = 0; i < n; i++)
        if (merge_entry(p, r, &entries[i], is_new))
            changed = true;
    if (r->head.is_released)
        plan_let_go(p, r, 0);
    if (changed)
        plan_mark_dirty(p, r);
    return changed;
}
