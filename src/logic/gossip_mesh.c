/* Who is in the mesh: GRAFT, PRUNE, and the heartbeat that keeps it in shape. */
#include "logic/gossip_impl.h"
#include <stdlib.h>

enum { HOUSEKEEPING_TICKS = 15, CHOOSE_MAX = 64 };

void mesh_add(gossip_t *g, member_t *m, uint64_t now_ms)
{
    if (m->in_mesh)
        return;
    m->in_mesh = true;
    m->in_fanout = false;
    m->topic->n_mesh++;
    m->peer->n_mesh++;
    score_grafted(g, m, now_ms);
}

void mesh_remove(gossip_t *g, member_t *m)
{
    if (!m->in_mesh)
        return;
    m->in_mesh = false;
    m->topic->n_mesh--;
    m->peer->n_mesh--;
    score_left_mesh(g, m);
}

static void back_off(member_t *m, uint64_t now_ms, uint64_t for_ms)
{
    if (m->backoff_ms < now_ms + for_ms)
        m->backoff_ms = now_ms + for_ms;
}

static void graft(gossip_t *g, member_t *m, uint64_t now_ms)
{
    mesh_add(g, m, now_ms);
    queue_topic(m->peer, GOSSIP_GRAFT, m->topic);
}

static void prune(gossip_t *g, member_t *m, uint32_t backoff_ms, bool has_offer, uint64_t now_ms)
{
    mesh_remove(g, m);
    back_off(m, now_ms, backoff_ms);
    queue_prune(m->peer, m->topic, backoff_ms, has_offer && g->config.offers_peers);
}

/* May be grafted: speaks of meshes, is not in it, has no backoff left (with some slack for its clock), and is
 * worth it. */
static bool may_join(const gossip_t *g, const member_t *m, uint64_t now_ms, double than)
{
    return !m->in_mesh && m->peer->version != GOSSIP_FLOOD &&
           (!m->backoff_ms || m->backoff_ms + 2ull * g->config.heartbeat_ms < now_ms) &&
           gossip_score(g, m->peer, now_ms) >= than;
}

static bool may_join_outbound(const gossip_t *g, const member_t *m, uint64_t now_ms, double than)
{
    return m->peer->is_outbound && may_join(g, m, now_ms, than);
}

static bool may_join_better(const gossip_t *g, const member_t *m, uint64_t now_ms, double than)
{
    return may_join(g, m, now_ms, than) && gossip_score(g, m->peer, now_ms) > than;
}

static void graft_some(gossip_t *g, topic_t *t, size_t n, member_test_fn test, double than, uint64_t now_ms)
{
    member_t *chosen[CHOOSE_MAX];
    n = topic_choose(g, t, n < CHOOSE_MAX ? n : CHOOSE_MAX, test, than, now_ms, chosen);
    for (size_t i = 0; i < n; i++)
        graft(g, chosen[i], now_ms);
}

/* ── joining and leaving ─────────────────────────────────────────────────────────────────────── */
void mesh_join(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    if (g->config.is_floodsub)
        return;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->in_fanout && t->n_mesh < g->config.d && !m->peer->is_gone && may_join(g, m, now_ms, 0))
            graft(g, m, now_ms);
    }
    if (t->has_fanout)
        fanout_drop(g, t, now_ms);
    if (t->n_mesh < g->config.d)
        graft_some(g, t, g->config.d - t->n_mesh, may_join, 0, now_ms);
}

void mesh_leave(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->in_mesh)
            prune(g, m, g->config.unsubscribe_backoff_ms, false, now_ms);
    }
}

static bool may_fan_out(const gossip_t *g, const member_t *m, uint64_t now_ms, double than)
{
    return !m->in_fanout && m->peer->version != GOSSIP_FLOOD && gossip_score(g, m->peer, now_ms) >= than;
}

static void fanout_add(gossip_t *g, topic_t *t, size_t have, uint64_t now_ms)
{
    member_t *chosen[CHOOSE_MAX];
    size_t want = have < g->config.d ? g->config.d - have : 0;
    size_t n = topic_choose(g, t, want < CHOOSE_MAX ? want : CHOOSE_MAX, may_fan_out,
                            g->config.score.publish_threshold, now_ms, chosen);
    for (size_t i = 0; i < n; i++)
        chosen[i]->in_fanout = true;
}

void fanout_fill(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    t->published_ms = now_ms;
    if (t->has_fanout)
        return;
    t->has_fanout = true;
    t->refs++;
    list_push_back(&g->fanouts, &t->own);
    fanout_add(g, t, 0, now_ms);
}

/* ── what peers say ──────────────────────────────────────────────────────────────────────────── */
/* A GRAFT in a time of backoff is a fault, and one that comes at once after the PRUNE a worse one. */
static void refuse_early_graft(gossip_t *g, member_t *m, uint64_t now_ms)
{
    const gossip_config_t *c = &g->config;
    gossip_penalize(m->peer, 1);
    if (now_ms + c->prune_backoff_ms < m->backoff_ms + c->graft_flood_ms)
        gossip_penalize(m->peer, 1);
    prune(g, m, c->prune_backoff_ms, false, now_ms);
}

void gossip_hear_graft(gossip_t *g, gossip_peer_t *p, bytes_t topic, uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    if (!t || !t->is_ours || g->config.is_floodsub || p->version == GOSSIP_FLOOD)
        return; /* no answer, so that asking tells nothing about us */
    member_t *m = member_get(g, p, t);
    if (!m || m->in_mesh)
        return;
    m->is_subscribed = true;
    if (now_ms < m->backoff_ms)
        refuse_early_graft(g, m, now_ms);
    else if (gossip_score(g, p, now_ms) < 0)
        prune(g, m, g->config.prune_backoff_ms, false, now_ms);
    else if (t->n_mesh >= g->config.d_high && !p->is_outbound)
        prune(g, m, g->config.prune_backoff_ms, true, now_ms);
    else
        mesh_add(g, m, now_ms);
}

bool gossip_hear_prune(gossip_t *g, gossip_peer_t *p, bytes_t topic, uint64_t backoff_s, uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    member_t *m = t && t->is_ours ? member_get(g, p, t) : NULL;
    if (!m)
        return false;
    mesh_remove(g, m);
    if (!backoff_s)
        back_off(m, now_ms, g->config.prune_backoff_ms);
    else
        back_off(m, now_ms, 1000ull * (backoff_s < GOSSIP_BACKOFF_MAX_S ? backoff_s : GOSSIP_BACKOFF_MAX_S));
    return gossip_score(g, p, now_ms) >= g->config.score.offer_threshold;
}

/* ── heartbeat ───────────────────────────────────────────────────────────────────────────────── */
typedef struct ranked {
    member_t *member;
    double score;
} ranked_t;

static int by_score(const void *a, const void *b)
{
    double x = ((const ranked_t *)a)->score, y = ((const ranked_t *)b)->score;
    return (x < y) - (x > y); /* best first */
}

static void shuffle(gossip_t *g, ranked_t *r, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t at = (size_t)prng_below(&g->prng, i);
        ranked_t swap = r[i - 1];
        r[i - 1] = r[at];
        r[at] = swap;
    }
}

/* The mesh of t, best first; freed by the caller. */
static ranked_t *rank_mesh(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    ranked_t *r = xcalloc(t->n_mesh + 1, sizeof *r);
    size_t n = 0;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->in_mesh)
            r[n++] = (ranked_t){m, gossip_score(g, m->peer, now_ms)};
    }
    assert(n == t->n_mesh);
    shuffle(g, r, n);
    qsort(r, n, sizeof *r, by_score);
    return r;
}

/* Moves outbound peers from behind `keep` before it until d_out of them are kept, in the place of inbound
 * ones that are not among the best. */
static void keep_outbound(const gossip_t *g, ranked_t *r, size_t n, size_t keep)
{
    size_t outbound = 0;
    for (size_t i = 0; i < keep; i++)
        outbound += r[i].member->peer->is_outbound;
    size_t from = keep;
    for (size_t at = keep; at-- > 0 && outbound < g->config.d_out;) {
        if (r[at].member->peer->is_outbound)
            continue;
        while (from < n && !r[from].member->peer->is_outbound)
            from++;
        if (from == n)
            return;
        ranked_t swap = r[at];
        r[at] = r[from];
        r[from++] = swap;
        outbound++;
    }
}

static void shrink(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    size_t n = t->n_mesh, keep = g->config.d, best = g->config.d_score < keep ? g->config.d_score : keep;
    ranked_t *r = rank_mesh(g, t, now_ms);
    shuffle(g, r + best, n - best);
    keep_outbound(g, r, n, keep);
    for (size_t i = keep; i < n; i++)
        prune(g, r[i].member, g->config.prune_backoff_ms, true, now_ms);
    free(r);
}

static size_t count_outbound(const topic_t *t)
{
    size_t n = 0;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        n += m->in_mesh && m->peer->is_outbound;
    }
    return n;
}

/* A mesh whose middle is poor gets a few that are better than that. */
static void graft_better(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    ranked_t *r = rank_mesh(g, t, now_ms);
    double median = r[t->n_mesh / 2].score;
    free(r);
    if (median < g->config.score.graft_threshold)
        graft_some(g, t, g->config.regraft_peers, may_join_better, median, now_ms);
}

static void maintain(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    const gossip_config_t *c = &g->config;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->in_mesh && gossip_score(g, m->peer, now_ms) < 0)
            prune(g, m, c->prune_backoff_ms, false, now_ms);
    }
    if (t->n_mesh < c->d_low)
        graft_some(g, t, c->d - t->n_mesh, may_join, 0, now_ms);
    if (t->n_mesh > c->d_high)
        shrink(g, t, now_ms);
    if (t->n_mesh >= c->d_low) {
        size_t outbound = count_outbound(t);
        if (outbound < c->d_out)
            graft_some(g, t, c->d_out - outbound, may_join_outbound, 0, now_ms);
    }
    if (c->regraft_ticks && g->tick % c->regraft_ticks == 0 && t->n_mesh > 1)
        graft_better(g, t, now_ms);
}

static void maintain_fanout(gossip_t *g, topic_t *t, uint64_t now_ms)
{
    if (t->published_ms + g->config.fanout_ttl_ms < now_ms) {
        fanout_drop(g, t, now_ms);
        return;
    }
    size_t have = 0;
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->in_fanout && gossip_score(g, m->peer, now_ms) < g->config.score.publish_threshold)
            m->in_fanout = false;
        have += m->in_fanout;
    }
    fanout_add(g, t, have, now_ms);
    gossip_emit(g, t, now_ms);
}

static void heartbeat(gossip_t *g, uint64_t now_ms)
{
    g->tick++;
    promise_expire(g, now_ms);
    seen_expire(g, now_ms);
    if (now_ms >= g->next_decay_ms) {
        score_decay(g, now_ms);
        g->next_decay_ms = now_ms + g->config.score.decay_interval_ms;
    }
    LIST_EACH (p, &g->peers, gossip_peer_t, node) {
        ids_heartbeat(g, p);
    }
    LIST_EACH (t, &g->own, topic_t, own) {
        if (g->config.is_floodsub)
            continue;
        maintain(g, t, now_ms);
        gossip_emit(g, t, now_ms);
    }
    LIST_EACH (t, &g->fanouts, topic_t, own) {
        maintain_fanout(g, t, now_ms);
    }
    cache_shift(g);
    if (g->tick % HOUSEKEEPING_TICKS == 0)
        gossip_housekeeping(g, now_ms);
}

uint64_t gossip_deadline_ms(const gossip_t *g)
{
    return g->next_heartbeat_ms;
}

/* After a long pause one heartbeat is made, not all that were missed. */
void gossip_tick(gossip_t *g, uint64_t now_ms)
{
    if (now_ms < g->next_heartbeat_ms)
        return;
    heartbeat(g, now_ms);
    g->next_heartbeat_ms += g->config.heartbeat_ms;
    if (g->next_heartbeat_ms <= now_ms)
        g->next_heartbeat_ms = now_ms + g->config.heartbeat_ms;
}
