/* The engine itself, its topics, its peers and who of them is in what. */
#include "logic/gossip_impl.h"
#include <stdlib.h>

enum { TOPICS_MAX = 65536 };

void gossip_config_default(gossip_config_t *ret)
{
    *ret = (gossip_config_t){
        .floods_own = true,
        .d = 6,
        .d_low = 5,
        .d_high = 12,
        .d_score = 4,
        .d_out = 2,
        .d_lazy = 6,
        .gossip_factor = 0.25,
        .heartbeat_ms = 1000,
        .history = 5,
        .history_gossip = 3,
        .seen_ttl_ms = 120000,
        .fanout_ttl_ms = 60000,
        .prune_backoff_ms = 60000,
        .unsubscribe_backoff_ms = 10000,
        .graft_flood_ms = 10000,
        .followup_ms = 3000,
        .regraft_ticks = 60,
        .regraft_peers = 2,
        .dontwant_min_bytes = 1024,
        .dontwant_ttl = 3,
        .max_retransmissions = 3,
        .max_ihave_rpcs = 10,
        .max_ihave_ids = 5000,
        .max_dontwant_rpcs = 1000,
        .max_dontwants = 4096,
        .max_id_bytes = 128u << 10,
        .max_peers = 4096,
        .max_own_topics = 4096,
        .max_peer_topics = 4096,
        .max_foreign = 32768,
        .max_seen = 32768,
        .max_cache_bytes = 8u << 20,
        .max_queue_bytes = 4u << 20,
        .max_live_bytes = 32u << 20,
        .score = {.topic = {.weight = 1,
                            .mesh_time_weight = 0.01,
                            .mesh_time_quantum_ms = 1000,
                            .mesh_time_cap = 100,
                            .first_weight = 0.1,
                            .first_decay = 0.998,
                            .first_cap = 100,
                            .delivery_decay = 0.99,
                            .delivery_cap = 100,
                            .delivery_threshold = 10,
                            .delivery_window_ms = 10,
                            .delivery_activation_ms = 60000,
                            .failure_decay = 0.99,
                            .invalid_weight = -10,
                            .invalid_decay = 0.97},
                  .topic_cap = 100,
                  .app_weight = 1,
                  .ip_weight = -5,
                  .ip_threshold = 10,
                  .behaviour_weight = -10,
                  .behaviour_threshold = 6,
                  .behaviour_decay = 0.986,
                  .decay_interval_ms = 1000,
                  .retain_ms = 600000,
                  .decay_to_zero = 0.01,
                  .gossip_threshold = -20,
                  .publish_threshold = -40,
                  .graylist_threshold = -80,
                  .offer_threshold = 5,
                  .graft_threshold = 1},
    };
}

gossip_t *gossip_new(const gossip_config_t *c, uint64_t now_ms)
{
    gossip_t *g = xcalloc(1, sizeof *g);
    g->config = *c;
    prng_seed(&g->prng, c->seed);
    map_init(&g->by_id, 2 * c->max_peers);
    map_init(&g->by_ip, c->max_peers);
    map_init(&g->topics, TOPICS_MAX);
    map_init(&g->seen, c->max_seen);
    map_init(&g->cache, c->max_seen);
    map_init(&g->promises, c->max_seen);
    list_init(&g->peers);
    list_init(&g->gone);
    list_init(&g->own);
    list_init(&g->fanouts);
    list_init(&g->ready);
    list_init(&g->seen_order);
    list_init(&g->cache_order);
    list_init(&g->promise_order);
    g->next_heartbeat_ms = now_ms + c->heartbeat_ms;
    g->next_decay_ms = now_ms + c->score.decay_interval_ms;
    return g;
}

/* ── memory ──────────────────────────────────────────────────────────────────────────────────── */
bool gossip_charge(gossip_t *g, size_t bytes)
{
    return !g->config.limit || !limit_charge(g->config.limit, bytes);
}

void gossip_release(gossip_t *g, size_t bytes)
{
    if (g->config.limit)
        limit_release(g->config.limit, bytes);
}

/* ── topics ──────────────────────────────────────────────────────────────────────────────────── */
topic_t *topic_find(const gossip_t *g, bytes_t name)
{
    return map_get(&g->topics, name);
}

topic_t *topic_get(gossip_t *g, bytes_t name)
{
    topic_t *t = topic_find(g, name);
    if (t) {
        t->refs++;
        return t;
    }
    if (!gossip_charge(g, sizeof *t + name.len))
        return NULL;
    t = xcalloc(1, sizeof *t + name.len);
    t->refs = 1;
    t->name_len = name.len;
    if (name.len)
        memcpy(t->name, name.data, name.len);
    list_init(&t->members);
    list_init(&t->cache);
    if (map_put(&g->topics, name, t, NULL)) {
        gossip_release(g, sizeof *t + name.len);
        free(t);
        return NULL;
    }
    return t;
}

void topic_release(gossip_t *g, topic_t *t)
{
    if (--t->refs)
        return;
    map_remove(&g->topics, topic_name(t));
    gossip_release(g, sizeof *t + t->name_len);
    free(t);
}

/* ── members ─────────────────────────────────────────────────────────────────────────────────── */
static bytes_t topic_key(topic_t *const *t)
{
    return bytes_of(t, sizeof(topic_t *));
}

member_t *member_find(const gossip_peer_t *p, const topic_t *t)
{
    topic_t *key = (topic_t *)t;
    return map_get(&p->by_topic, topic_key(&key));
}

static void member_free(gossip_t *g, member_t *m);

/* Where all places of foreign topics are taken, the peer with the most of them gives one up for a peer that
 * has less: a few that follow thousands do not keep us from hearing what the others follow. */
static bool make_foreign_room(gossip_t *g, const gossip_peer_t *for_whom)
{
    gossip_peer_t *most = NULL;
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        if (!most || p->n_foreign > most->n_foreign)
            most = p;
    }
    if (!most || most->n_foreign <= for_whom->n_foreign + 1)
        return false;
    for (list_t *at = most->members.prev; at != &most->members; at = at->prev) {
        member_t *m = LIST_ENTRY(at, member_t, peer_node);
        if (!m->is_foreign || m->score || m->backoff_ms)
            continue;
        member_free(g, m);
        return g->n_foreign < g->config.max_foreign;
    }
    return false;
}

/* A topic that is not ours takes memory for the peer's sake alone: of these there are only so many. */
member_t *member_get(gossip_t *g, gossip_peer_t *p, topic_t *t)
{
    member_t *m = member_find(p, t);
    if (m)
        return m;
    bool is_foreign = !t->is_ours && !t->has_fanout;
    if (is_foreign && (p->n_foreign >= g->config.max_peer_topics ||
                       (g->n_foreign >= g->config.max_foreign && !make_foreign_room(g, p))))
        return NULL;
    if (!gossip_charge(g, MEMBER_BYTES))
        return NULL;
    m = xcalloc(1, sizeof *m);
    m->peer = p;
    m->topic = t;
    if (map_put(&p->by_topic, topic_key(&t), m, NULL)) {
        gossip_release(g, MEMBER_BYTES);
        free(m);
        return NULL;
    }
    t->refs++;
    m->is_foreign = is_foreign;
    p->n_foreign += is_foreign;
    g->n_foreign += is_foreign;
    list_push_back(&p->members, &m->peer_node);
    list_push_back(&t->members, &m->topic_node);
    return m;
}

static void member_free(gossip_t *g, member_t *m)
{
    topic_t *t = m->topic;
    gossip_peer_t *p = m->peer;
    mesh_remove(g, m);
    p->n_foreign -= m->is_foreign;
    g->n_foreign -= m->is_foreign;
    map_remove(&p->by_topic, topic_key(&t));
    list_remove(&m->peer_node);
    list_remove(&m->topic_node);
    free(m->score);
    free(m);
    gossip_release(g, MEMBER_BYTES);
    topic_release(g, t);
}

void member_settle(gossip_t *g, member_t *m, uint64_t now_ms)
{
    if (m->backoff_ms && m->backoff_ms + 2ull * g->config.heartbeat_ms < now_ms)
        m->backoff_ms = 0;
    if (!m->is_subscribed && !m->in_mesh && !m->in_fanout && !m->score && !m->backoff_ms)
        member_free(g, m);
}

/* Those with a score stand first in the peer's list. */
member_score_t *member_score(member_t *m)
{
    if (!m->score) {
        m->score = xcalloc(1, sizeof *m->score);
        list_remove(&m->peer_node);
        list_push_front(&m->peer->members, &m->peer_node);
    }
    return m->score;
}

/* A topic becomes ours, or is no longer: those in it count as foreign, or no longer. Of too many, the rest is
 * forgotten. */
static void recount_foreign(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    bool is_foreign = !t->is_ours && !t->has_fanout;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->is_foreign == is_foreign)
            continue;
        m->is_foreign = is_foreign;
        m->peer->n_foreign += is_foreign ? 1 : (size_t)-1;
        g->n_foreign += is_foreign ? 1 : (size_t)-1;
        if (is_foreign &&
            (m->peer->n_foreign > g->config.max_peer_topics || g->n_foreign > g->config.max_foreign))
            m->is_subscribed = false;
        member_settle(g, m, now_ms);
    }
}

size_t topic_choose(gossip_t *g, topic_t *t, size_t n, member_test_fn test, double than, uint64_t now_ms,
                    member_t **out)
{
    size_t count = 0;
    if (!n)
        return 0;
    LIST_EACH (m, &t->members, member_t, topic_node) { /* a reservoir of n */
        if (m->peer->is_gone || !m->is_subscribed || !test(g, m, now_ms, than))
            continue;
        size_t at = count < n ? count : (size_t)prng_below(&g->prng, count + 1);
        if (at < n)
            out[at] = m;
        count++;
    }
    return count < n ? count : n;
}

/* ── own topics ──────────────────────────────────────────────────────────────────────────────── */
err_t gossip_subscribe(gossip_t *g, bytes_t topic, uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    if (t && t->is_ours)
        return OK;
    if (g->n_own >= g->config.max_own_topics || !(t = topic_get(g, topic)))
        return fail(ERR_LIMIT, "subscribed to %zu topics already", g->n_own);
    t->is_ours = true;
    g->n_own++;
    recount_foreign(g, t, now_ms);
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        queue_topic(p, GOSSIP_SUBSCRIBE, t);
    }
    mesh_join(g, t, now_ms);
    list_push_back(&g->own, &t->own);
    return OK;
}

void gossip_unsubscribe(gossip_t *g, bytes_t topic, uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    if (!t || !t->is_ours)
        return;
    mesh_leave(g, t, now_ms);
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        queue_topic(p, GOSSIP_UNSUBSCRIBE, t);
    }
    list_remove(&t->own);
    t->is_ours = false;
    g->n_own--;
    recount_foreign(g, t, now_ms);
    topic_release(g, t);
}

void fanout_drop(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    LIST_EACH (m, &t->members, member_t, topic_node) {
        m->in_fanout = false;
        member_settle(g, m, now_ms);
    }
    list_remove(&t->own);
    t->has_fanout = false;
    recount_foreign(g, t, now_ms);
    topic_release(g, t);
}

bool gossip_is_subscribed(const gossip_t *g, bytes_t topic)
{
    topic_t *t = topic_find(g, topic);
    return t && t->is_ours;
}

size_t gossip_mesh_size(const gossip_t *g, bytes_t topic)
{
    topic_t *t = topic_find(g, topic);
    return t ? t->n_mesh : 0;
}

size_t gossip_meshes_of(const gossip_peer_t *p)
{
    return p->n_mesh;
}

bool gossip_in_mesh(const gossip_t *g, const gossip_peer_t *p, bytes_t topic)
{
    topic_t *t = topic_find(g, topic);
    member_t *m = t ? member_find(p, t) : NULL;
    return m && m->in_mesh;
}

void gossip_each_peer(const gossip_t *g, bytes_t topic, bool (*fn)(void *arg, gossip_peer_t *p), void *arg)
{
    if (!topic.data) {
        LIST_EACH (p, &g->peers, gossip_peer_t, node) {
            if (!fn(arg, p))
                return;
        }
        return;
    }
    topic_t *t = topic_find(g, topic);
    if (!t)
        return;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->is_subscribed && !m->peer->is_gone && !fn(arg, m->peer))
            return;
    }
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
gossip_peer_t *gossip_peer(const gossip_t *g, const peer_id_t *id)
{
    gossip_peer_t *p = map_get(&g->by_id, peer_id_bytes(id));
    return p && !p->is_gone ? p : NULL;
}

static gossip_peer_t *peer_new(gossip_t *g, const peer_id_t *id)
{
    gossip_peer_t *p = xcalloc(1, sizeof *p);
    if (map_put(&g->by_id, peer_id_bytes(id), p, NULL)) {
        free(p);
        return NULL;
    }
    p->g = g;
    p->serial = ++g->serial;
    p->id = *id;
    map_init(&p->by_topic, 4 * (g->config.max_peer_topics + g->config.max_own_topics));
    list_init(&p->members);
    list_init(&p->control);
    list_init(&p->messages);
    map_init(&p->asked, g->config.max_ihave_ids);
    map_init(&p->dontwant, g->config.max_dontwants);
    buf_init(&p->wanted.packed, (size_t)g->config.max_ihave_ids * (GOSSIP_ID_MAX_BYTES + 1));
    return p;
}

static void peer_free(gossip_t *g, gossip_peer_t *p)
{
    assert(p);
    LIST_EACH (m, &p->members, member_t, peer_node) {
        member_free(g, m);
    }
    queue_clear(p);
    list_remove(&p->ready);
    map_remove(&g->by_id, peer_id_bytes(&p->id));
    map_deinit(&p->by_topic);
    map_deinit(&p->asked);
    dontwant_clear(g, p);
    buf_deinit(&p->wanted.packed);
    list_remove(&p->node);
    free(p);
}

static void gone_free(gossip_t *g, gossip_peer_t *p)
{
    g->n_gone--;
    peer_free(g, p);
}

static void hello(gossip_t *g, gossip_peer_t *p)
{
    LIST_EACH (t, &g->own, topic_t, own) {
        queue_topic(p, GOSSIP_SUBSCRIBE, t);
    }
}

gossip_peer_t *gossip_connected(gossip_t *g, const peer_id_t *id, gossip_version_t version, bool is_outbound,
                                bytes_t ip, uint64_t now_ms)
{
    gossip_peer_t *p = map_get(&g->by_id, peer_id_bytes(id));
    if (p && !p->is_gone)
        return p;
    if (g->n_peers >= g->config.max_peers)
        return NULL;
    if (p) { /* it is back, with the score that it left with */
        list_remove(&p->node);
        g->n_gone--;
        p->is_gone = false;
    } else if (!(p = peer_new(g, id))) {
        return NULL;
    }
    p->version = version;
    p->is_outbound = is_outbound;
    score_ip_add(g, p, ip);
    list_push_back(&g->peers, &p->node);
    g->n_peers++;
    hello(g, p);
    return p;
}

void gossip_restart(gossip_t *g, gossip_peer_t *p)
{
    queue_clear(p);
    hello(g, p);
    LIST_EACH (m, &p->members, member_t, peer_node) {
        if (m->in_mesh)
            queue_topic(p, GOSSIP_GRAFT, m->topic);
    }
}

/* What it is remembered for: a score below zero, or a backoff that a new connection must not undo. */
static bool is_to_be_kept(gossip_t *g, gossip_peer_t *p, uint64_t now_ms)
{
    if (!g->config.score.retain_ms)
        return false;
    if (gossip_score(g, p, now_ms) < 0)
        return true;
    LIST_EACH (m, &p->members, member_t, peer_node) {
        if (m->backoff_ms > now_ms)
            return true;
    }
    return false;
}

void gossip_disconnected(gossip_t *g, gossip_peer_t *p, uint64_t now_ms)
{
    p->user = NULL;
    p->is_gone = true; /* it is no longer chosen for anything */
    g->n_peers--;
    list_remove(&p->node);
    list_remove(&p->ready);
    queue_clear(p);
    promise_forget_peer(g, p);
    score_ip_remove(g, p);
    map_deinit(&p->asked);
    dontwant_clear(g, p);
    map_init(&p->asked, g->config.max_ihave_ids);
    map_init(&p->dontwant, g->config.max_dontwants);
    id_list_clear(&p->wanted);
    LIST_EACH (m, &p->members, member_t, peer_node) {
        mesh_remove(g, m);
        m->is_subscribed = m->in_fanout = false;
        member_settle(g, m, now_ms);
    }
    list_push_back(&g->gone, &p->node);
    g->n_gone++;
    p->gone_ms = now_ms;
    if (!is_to_be_kept(g, p, now_ms))
        gone_free(g, p);
    else if (g->n_gone > g->config.max_peers)
        gone_free(g, LIST_FIRST(&g->gone, gossip_peer_t, node));
}

static void forget_gone(gossip_t *g, uint64_t now_ms)
{
    LIST_EACH (p, &g->gone, gossip_peer_t, node) {
        if (now_ms - p->gone_ms > g->config.score.retain_ms || !is_to_be_kept(g, p, now_ms))
            gone_free(g, p);
    }
}

void gossip_housekeeping(gossip_t *g, uint64_t now_ms)
{
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        LIST_EACH (m, &p->members, member_t, peer_node) {
            member_settle(g, m, now_ms);
        }
    }
    forget_gone(g, now_ms);
}

const peer_id_t *gossip_peer_id(const gossip_peer_t *p)
{
    return &p->id;
}

void gossip_peer_set_user(gossip_peer_t *p, void *user)
{
    p->user = user;
}

void *gossip_peer_user(const gossip_peer_t *p)
{
    return p->user;
}

bool gossip_hear_subscription(gossip_t *g, gossip_peer_t *p, bytes_t topic, bool is_subscribed,
                              uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    member_t *m = t ? member_find(p, t) : NULL;
    if (!is_subscribed) {
        if (!m)
            return false;
        mesh_remove(g, m);
        m->is_subscribed = m->in_fanout = false;
        member_settle(g, m, now_ms);
        return false;
    }
    if (!m) {
        t = topic_get(g, topic);
        if (!t)
            return false;
        m = member_get(g, p, t);
        topic_release(g, t);
        if (!m)
            return false;
    }
    bool is_new = !m->is_subscribed;
    m->is_subscribed = true;
    return is_new;
}

void gossip_free(gossip_t *g)
{
    if (!g)
        return;
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        peer_free(g, p);
    }
    LIST_EACH (p, &g->gone, gossip_peer_t, node) {
        peer_free(g, p);
    }
    cache_clear(g);
    promise_clear(g);
    LIST_EACH (s, &g->seen_order, seen_t, node) {
        seen_free(g, s);
    }
    LIST_EACH (t, &g->own, topic_t, own) {
        topic_release(g, t);
    }
    LIST_EACH (t, &g->fanouts, topic_t, own) {
        topic_release(g, t);
    }
    assert(!g->live_bytes); /* its messages are released before */
    map_deinit(&g->by_id);
    map_deinit(&g->by_ip);
    map_deinit(&g->topics);
    map_deinit(&g->seen);
    map_deinit(&g->cache);
    map_deinit(&g->promises);
    free(g);
}

void gossip_stat(const gossip_t *g, gossip_stat_t *ret)
{
    *ret = g->stat;
    ret->peers = g->n_peers;
    ret->gone_peers = g->n_gone;
    ret->topics = map_count(&g->topics);
    ret->foreign = g->n_foreign;
    ret->seen = map_count(&g->seen);
    ret->cached = map_count(&g->cache);
    ret->cached_bytes = g->cache_bytes;
    ret->live_bytes = g->live_bytes;
}
