/* What a peer is worth. Spec: gossipsub v1.1, Peer Scoring. */
#include "logic/gossip_impl.h"
#include <stdlib.h>

static double at_most(double value, double cap)
{
    return value < cap ? value : cap;
}

static double topic_score(const gossip_topic_score_t *c, const member_t *m, uint64_t now_ms)
{
    const member_score_t *s = m->score;
    double sum = s->first * c->first_weight + s->failure * c->failure_weight +
                 s->invalid * s->invalid * c->invalid_weight;
    if (m->in_mesh) {
        double quanta =
            (double)(now_ms - s->grafted_ms) / (c->mesh_time_quantum_ms ? c->mesh_time_quantum_ms : 1);
        sum += at_most(quanta, c->mesh_time_cap) * c->mesh_time_weight;
    }
    if (s->is_active && s->deliveries < c->delivery_threshold) {
        double deficit = c->delivery_threshold - s->deliveries;
        sum += deficit * deficit * c->delivery_weight;
    }
    return sum * c->weight;
}

static double ip_score(const gossip_t *g, const gossip_peer_t *p)
{
    const gossip_score_config_t *c = &g->config.score;
    size_t n = p->ip_len ? (size_t)map_get(&g->by_ip, bytes_of(p->ip, p->ip_len)) : 0;
    if (n <= c->ip_threshold)
        return 0;
    double surplus = (double)(n - c->ip_threshold);
    return surplus * surplus * c->ip_weight;
}

double gossip_score(const gossip_t *g, const gossip_peer_t *p, uint64_t now_ms)
{
    const gossip_score_config_t *c = &g->config.score;
    double sum = 0;
    LIST_EACH (m, &p->members, member_t, peer_node) {
        if (!m->score)
            break; /* those with one stand first */
        sum += topic_score(&c->topic, m, now_ms);
    }
    if (c->topic_cap > 0)
        sum = at_most(sum, c->topic_cap);
    sum += p->app_score * c->app_weight + ip_score(g, p);
    if (p->behaviour > c->behaviour_threshold) {
        double excess = p->behaviour - c->behaviour_threshold;
        sum += excess * excess * c->behaviour_weight;
    }
    return sum;
}

void gossip_set_app_score(gossip_peer_t *p, double score)
{
    p->app_score = score;
}

void gossip_penalize(gossip_peer_t *p, double by)
{
    p->behaviour += by;
}

bool gossip_accepts(const gossip_t *g, const gossip_peer_t *p, uint64_t now_ms)
{
    return gossip_score(g, p, now_ms) >= g->config.score.graylist_threshold;
}

void score_grafted(gossip_t *g, member_t *m, uint64_t now_ms)
{
    member_score_t *s = member_score(m);
    s->grafted_ms = now_ms;
    s->is_active = false;
}

/* Leaving the mesh does not undo that too little was delivered in it. */
void score_left_mesh(gossip_t *g, member_t *m)
{
    const gossip_topic_score_t *c = &g->config.score.topic;
    member_score_t *s = m->score;
    if (!s)
        return;
    if (s->is_active && s->deliveries < c->delivery_threshold) {
        double deficit = c->delivery_threshold - s->deliveries;
        s->failure += deficit * deficit;
    }
    s->is_active = false;
    s->grafted_ms = 0;
}

static member_t *member_of(gossip_t *g, gossip_peer_t *p, topic_t *t)
{
    return t->is_ours ? member_get(g, p, t) : NULL;
}

static void delivered(gossip_t *g, member_t *m)
{
    const gossip_topic_score_t *c = &g->config.score.topic;
    member_score_t *s = member_score(m);
    if (m->in_mesh)
        s->deliveries = at_most(s->deliveries + 1, c->delivery_cap);
}

void score_first(gossip_t *g, gossip_peer_t *p, topic_t *t)
{
    member_t *m = member_of(g, p, t);
    if (!m)
        return;
    member_score_t *s = member_score(m);
    s->first = at_most(s->first + 1, g->config.score.topic.first_cap);
    delivered(g, m);
}

/* A copy that came while the message was new counts as a delivery too, once per peer. */
void score_again(gossip_t *g, gossip_peer_t *p, topic_t *t, seen_t *s, uint64_t now_ms)
{
    enum { BEARERS_MAX = 32 };
    const gossip_topic_score_t *c = &g->config.score.topic;
    if (c->delivery_weight == 0 || !s->accepted_ms || now_ms - s->accepted_ms > c->delivery_window_ms)
        return;
    for (size_t i = 0; i < s->n_bearers; i++)
        if (s->bearers[i] == p->serial)
            return;
    member_t *m = member_of(g, p, t);
    if (!m || s->n_bearers == BEARERS_MAX)
        return;
    if (!s->bearers)
        s->bearers = xcalloc(BEARERS_MAX, sizeof *s->bearers);
    s->bearers[s->n_bearers++] = p->serial;
    delivered(g, m);
}

void score_invalid(gossip_t *g, gossip_peer_t *p, topic_t *t)
{
    member_t *m = member_of(g, p, t);
    if (m)
        member_score(m)->invalid += 1;
}

/* ── decay ───────────────────────────────────────────────────────────────────────────────────── */
static double decayed(double value, double factor, double to_zero)
{
    value *= factor;
    return value < to_zero ? 0 : value;
}

static void decay_member(gossip_t *g, member_t *m, uint64_t now_ms)
{
    const gossip_score_config_t *c = &g->config.score;
    member_score_t *s = m->score;
    s->first = decayed(s->first, c->topic.first_decay, c->decay_to_zero);
    s->deliveries = decayed(s->deliveries, c->topic.delivery_decay, c->decay_to_zero);
    s->failure = decayed(s->failure, c->topic.failure_decay, c->decay_to_zero);
    s->invalid = decayed(s->invalid, c->topic.invalid_decay, c->decay_to_zero);
    if (m->in_mesh && now_ms - s->grafted_ms > c->topic.delivery_activation_ms)
        s->is_active = true;
    if (m->in_mesh || s->first > 0 || s->deliveries > 0 || s->failure > 0 || s->invalid > 0)
        return;
    free(s);
    m->score = NULL;
    list_remove(&m->peer_node);
    list_push_back(&m->peer->members, &m->peer_node);
    member_settle(g, m, now_ms);
}

static void decay_peer(gossip_t *g, gossip_peer_t *p, uint64_t now_ms)
{
    p->behaviour = decayed(p->behaviour, g->config.score.behaviour_decay, g->config.score.decay_to_zero);
    LIST_EACH (m, &p->members, member_t, peer_node) {
        if (!m->score)
            break;
        decay_member(g, m, now_ms);
    }
}

void score_decay(gossip_t *g, uint64_t now_ms)
{
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        decay_peer(g, p, now_ms);
    }
    LIST_EACH (p, &g->gone, gossip_peer_t, node) {
        decay_peer(g, p, now_ms);
    }
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
static void ip_count(gossip_t *g, gossip_peer_t *p, intptr_t by)
{
    bytes_t key = bytes_of(p->ip, p->ip_len);
    intptr_t n = (intptr_t)map_get(&g->by_ip, key) + by;
    if (n <= 0)
        map_remove(&g->by_ip, key);
    else if (map_put(&g->by_ip, key, (void *)n, NULL))
        p->ip_len = 0;
}

void score_ip_add(gossip_t *g, gossip_peer_t *p, bytes_t ip)
{
    p->ip_len = ip.len <= sizeof p->ip ? (uint8_t)ip.len : 0;
    if (!p->ip_len)
        return;
    memcpy(p->ip, ip.data, ip.len);
    ip_count(g, p, 1);
}

void score_ip_remove(gossip_t *g, gossip_peer_t *p)
{
    if (p->ip_len)
        ip_count(g, p, -1);
    p->ip_len = 0;
}
