/* Ids of messages: those seen, those held for a while, those promised, asked for and not wanted. */
#include "logic/gossip_impl.h"
#include <stdlib.h>

/* ── seen ────────────────────────────────────────────────────────────────────────────────────── */
seen_t *seen_find(const gossip_t *g, bytes_t id)
{
    return map_get(&g->seen, id);
}

void seen_free(gossip_t *g, seen_t *s)
{
    map_remove(&g->seen, bytes_of(s->id, s->id_len));
    list_remove(&s->node);
    if (s->check)
        topic_release(g, s->check->topic);
    if (s->is_charged)
        gossip_release(g, SEEN_BYTES);
    free(s->check);
    free(s->bearers);
    free(s);
}

/* When there are too many, or no room, the oldest is forgotten early. */
seen_t *seen_add(gossip_t *g, bytes_t id, uint64_t now_ms)
{
    seen_t *oldest = LIST_FIRST(&g->seen_order, seen_t, node);
    bool is_charged = gossip_charge(g, SEEN_BYTES);
    if (oldest && (!is_charged || map_count(&g->seen) >= g->config.max_seen))
        seen_free(g, oldest);
    seen_t *s = xcalloc(1, sizeof *s + id.len);
    s->is_charged = is_charged || gossip_charge(g, SEEN_BYTES); /* the only one needs no room */
    s->id_len = (uint8_t)id.len;
    memcpy(s->id, id.data, id.len);
    s->expires_ms = now_ms + g->config.seen_ttl_ms;
    err_t e = map_put(&g->seen, id, s, NULL);
    assert(!e); /* there is room */
    list_push_back(&g->seen_order, &s->node);
    return s;
}

void seen_touch(gossip_t *g, seen_t *s, uint64_t now_ms)
{
    if (g->config.seen_by_first)
        return;
    s->expires_ms = now_ms + g->config.seen_ttl_ms;
    list_remove(&s->node);
    list_push_back(&g->seen_order, &s->node);
}

void seen_expire(gossip_t *g, uint64_t now_ms)
{
    for (seen_t *s; (s = LIST_FIRST(&g->seen_order, seen_t, node)) && s->expires_ms <= now_ms;)
        seen_free(g, s);
}

/* ── held messages ───────────────────────────────────────────────────────────────────────────── */
static void cache_drop(gossip_t *g, cached_t *c)
{
    assert(c);
    gossip_message_t *m = c->message;
    map_remove(&g->cache, bytes_of(m->id, m->id_len));
    list_remove(&c->node);
    list_remove(&c->topic_node);
    g->cache_bytes -= m->len;
    gossip_message_release(m);
    free(c);
}

void cache_put(gossip_t *g, gossip_message_t *m)
{
    bytes_t id = bytes_of(m->id, m->id_len);
    if (m->len > g->config.max_cache_bytes || map_has(&g->cache, id))
        return;
    while (g->cache_bytes + m->len > g->config.max_cache_bytes || map_count(&g->cache) >= g->config.max_seen)
        cache_drop(g, LIST_FIRST(&g->cache_order, cached_t, node));
    cached_t *c = xcalloc(1, sizeof *c);
    c->message = gossip_message_ref(m);
    c->tick = g->tick;
    err_t e = map_put(&g->cache, id, c, NULL);
    assert(!e);
    list_push_back(&g->cache_order, &c->node);
    list_push_back(&m->topic->cache, &c->topic_node);
    g->cache_bytes += m->len;
}

void cache_shift(gossip_t *g)
{
    for (cached_t *c;
         (c = LIST_FIRST(&g->cache_order, cached_t, node)) && g->tick - c->tick >= g->config.history;)
        cache_drop(g, c);
}

void cache_clear(gossip_t *g)
{
    LIST_EACH (c, &g->cache_order, cached_t, node) {
        cache_drop(g, c);
    }
}

/* ── promises ────────────────────────────────────────────────────────────────────────────────── */
static bytes_t promise_id(const promise_t *p)
{
    return bytes_of(p->id, p->id_len);
}

static void promise_make(gossip_t *g, gossip_peer_t *p, bytes_t id, uint64_t now_ms)
{
    promise_t *first = map_get(&g->promises, id);
    for (promise_t *it = first; it; it = it->next)
        if (it->peer == p)
            return;
    promise_t *made = xcalloc(1, sizeof *made + id.len);
    made->peer = p;
    made->until_ms = now_ms + g->config.followup_ms;
    made->id_len = (uint8_t)id.len;
    memcpy(made->id, id.data, id.len);
    made->next = first;
    if (map_put(&g->promises, id, made, NULL)) {
        free(made);
        return;
    }
    list_push_back(&g->promise_order, &made->node);
}

void promise_keep(gossip_t *g, bytes_t id)
{
    promise_t *it = map_remove(&g->promises, id);
    while (it) {
        promise_t *next = it->next;
        list_remove(&it->node);
        free(it);
        it = next;
    }
}

static void promise_drop(gossip_t *g, promise_t *p)
{
    promise_t *first = map_get(&g->promises, promise_id(p));
    if (first == p && !p->next) {
        map_remove(&g->promises, promise_id(p));
    } else if (first == p) {
        err_t e = map_put(&g->promises, promise_id(p), p->next, NULL);
        assert(!e); /* in the place of the first */
    } else {
        while (first->next != p)
            first = first->next;
        first->next = p->next;
    }
    list_remove(&p->node);
    free(p);
}

void promise_forget_peer(gossip_t *g, gossip_peer_t *p)
{
    LIST_EACH (it, &g->promise_order, promise_t, node) {
        if (it->peer == p)
            promise_drop(g, it);
    }
}

void promise_expire(gossip_t *g, uint64_t now_ms)
{
    for (promise_t *p; (p = LIST_FIRST(&g->promise_order, promise_t, node)) && p->until_ms <= now_ms;) {
        gossip_penalize(p->peer, 1);
        promise_drop(g, p);
    }
}

void promise_clear(gossip_t *g)
{
    LIST_EACH (p, &g->promise_order, promise_t, node) {
        promise_drop(g, p);
    }
}

/* ── IHAVE ───────────────────────────────────────────────────────────────────────────────────── */
void gossip_rpc_begin(gossip_t *g, gossip_peer_t *p, uint64_t now_ms)
{
    (void)g;
    (void)now_ms;
    p->counted_ihave = p->counted_dontwant = false;
    buf_clear(&p->wanted.packed);
    p->wanted.n = 0;
}

bool gossip_hear_ihave(gossip_t *g, gossip_peer_t *p, bytes_t topic, uint64_t now_ms)
{
    if (!p->counted_ihave)
        p->ihave_rpcs++;
    p->counted_ihave = true;
    topic_t *t = topic_find(g, topic);
    return t && t->is_ours && !g->config.is_floodsub && p->version != GOSSIP_FLOOD &&
           p->ihave_rpcs <= g->config.max_ihave_rpcs && p->ihave_ids < g->config.max_ihave_ids &&
           gossip_score(g, p, now_ms) >= g->config.score.gossip_threshold;
}

void gossip_hear_ihave_id(gossip_t *g, gossip_peer_t *p, bytes_t id)
{
    if (!id.len || id.len > GOSSIP_ID_MAX_BYTES || seen_find(g, id) ||
        p->wanted.n + p->ihave_ids >= g->config.max_ihave_ids)
        return;
    (void)id_list_add(&p->wanted, id);
}

/* What it has and we don't is asked for; one of these, at random, must come in time. */
void gossip_rpc_end(gossip_t *g, gossip_peer_t *p, uint64_t now_ms)
{
    size_t n = p->wanted.n, i = 0;
    if (!n)
        return;
    p->ihave_ids += (uint32_t)n;
    n = queue_ids(p, GOSSIP_IWANT, NULL, &p->wanted);
    if (!n) {
        id_list_clear(&p->wanted);
        return;
    }
    bytes_t id = BYTES_NONE;
    for (uint64_t skip = prng_below(&g->prng, n) + 1; skip; skip--)
        gossip_next_id(buf_bytes(&p->wanted.packed), &i, &id);
    assert(id.len);
    promise_make(g, p, id, now_ms);
    id_list_clear(&p->wanted);
}

static bool hears_gossip(const gossip_t *g, const member_t *m, uint64_t now_ms, double than)
{
    return !m->in_mesh && !m->in_fanout && m->peer->version != GOSSIP_FLOOD &&
           gossip_score(g, m->peer, now_ms) >= than;
}

/* The ids of the topic's late messages, at most max_ihave_ids of them. */
static void collect_late(gossip_t *g, topic_t *t, id_list_t *out)
{
    for (list_t *at = t->cache.prev; at != &t->cache; at = at->prev) { /* newest first */
        cached_t *c = LIST_ENTRY(at, cached_t, topic_node);
        if (g->tick - c->tick >= g->config.history_gossip || out->n >= g->config.max_ihave_ids)
            return;
        if (!id_list_add(out, bytes_of(c->message->id, c->message->id_len)))
            return;
    }
}

void gossip_emit(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    enum { EMIT_MAX = 256 };
    id_list_t ids = {0};
    buf_init(&ids.packed, (size_t)g->config.max_ihave_ids * (GOSSIP_ID_MAX_BYTES + 1));
    collect_late(g, t, &ids);
    if (ids.n) {
        member_t *chosen[EMIT_MAX];
        size_t n =
            topic_choose(g, t, EMIT_MAX, hears_gossip, g->config.score.gossip_threshold, now_ms, chosen);
        size_t target = (size_t)((double)n * g->config.gossip_factor);
        if (target < g->config.d_lazy)
            target = g->config.d_lazy;
        for (size_t i = 0; i < target && n; i++) { /* any of them, each once */
            size_t at = (size_t)prng_below(&g->prng, n);
            queue_ids(chosen[at]->peer, GOSSIP_IHAVE, t, &ids);
            chosen[at] = chosen[--n];
        }
    }
    id_list_clear(&ids);
}

/* ── IWANT, IDONTWANT ────────────────────────────────────────────────────────────────────────── */
void gossip_hear_iwant(gossip_t *g, gossip_peer_t *p, bytes_t id, uint64_t now_ms)
{
    cached_t *c = map_get(&g->cache, id);
    if (!c || dontwant_has(p, id) || gossip_score(g, p, now_ms) < g->config.score.gossip_threshold)
        return;
    uintptr_t times = (uintptr_t)map_get(&p->asked, id) + 1;
    if (times > g->config.max_retransmissions || map_put(&p->asked, id, (void *)times, NULL))
        return;
    queue_message(p, c->message);
}

bool dontwant_has(const gossip_peer_t *p, bytes_t id)
{
    return map_has(&p->dontwant, id);
}

void gossip_hear_idontwant(gossip_t *g, gossip_peer_t *p, bytes_t id)
{
    if (!p->counted_dontwant)
        p->dontwant_rpcs++;
    p->counted_dontwant = true;
    if (p->version < GOSSIP_V1_2 || p->dontwant_rpcs > g->config.max_dontwant_rpcs || !id.len ||
        id.len > GOSSIP_ID_MAX_BYTES)
        return;
    /* Of too many the rest is sent. */
    size_t bytes = map_has(&p->dontwant, id) ? 0 : id.len + DONTWANT_BYTES;
    if (p->dontwant_bytes + bytes > g->config.max_id_bytes || !gossip_charge(g, bytes))
        return;
    if (map_put(&p->dontwant, id, (void *)(uintptr_t)(g->tick + g->config.dontwant_ttl), NULL))
        gossip_release(g, bytes);
    else
        p->dontwant_bytes += bytes;
}

void dontwant_clear(gossip_t *g, gossip_peer_t *p)
{
    map_deinit(&p->dontwant);
    gossip_release(g, p->dontwant_bytes);
    p->dontwant_bytes = 0;
}

void ids_heartbeat(gossip_t *g, gossip_peer_t *p)
{
    p->ihave_rpcs = p->ihave_ids = p->dontwant_rpcs = 0;
    bytes_t id;
    void *until;
    for (size_t i = 0; map_next(&p->dontwant, &i, &id, &until);)
        if ((uintptr_t)until <= g->tick) {
            gossip_release(g, id.len + DONTWANT_BYTES);
            p->dontwant_bytes -= id.len + DONTWANT_BYTES;
            map_remove(&p->dontwant, id);
        }
    if (g->tick % g->config.history == 0 && map_count(&p->asked)) {
        map_deinit(&p->asked);
        map_init(&p->asked, g->config.max_ihave_ids);
    }
}
