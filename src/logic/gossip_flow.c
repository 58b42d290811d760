/* Messages: ours, and those of others, from their arrival to those whom they concern. */
#include "logic/gossip_impl.h"
#include <stdlib.h>

/* ── the message itself ──────────────────────────────────────────────────────────────────────── */
gossip_message_t *gossip_message_new(gossip_t *g, bytes_t topic, bytes_t id, bytes_t author, bytes_t content)
{
    assert(id.len && id.len <= GOSSIP_ID_MAX_BYTES && author.len <= PEER_ID_MAX_BYTES);
    topic_t *t = topic_get(g, topic);
    if (!t)
        return NULL;
    if (!gossip_charge(g, sizeof(gossip_message_t) + content.len)) {
        g->stat.dropped++;
        topic_release(g, t);
        return NULL;
    }
    gossip_message_t *m = xcalloc(1, sizeof *m + content.len);
    m->g = g;
    m->refs = 1;
    m->topic = t;
    m->id_len = (uint8_t)id.len;
    memcpy(m->id, id.data, id.len);
    m->author_len = (uint8_t)author.len;
    if (author.len)
        memcpy(m->author, author.data, author.len);
    m->len = content.len;
    memcpy(m->content, content.data, content.len);
    g->live_bytes += content.len;
    return m;
}

gossip_message_t *gossip_message_ref(gossip_message_t *m)
{
    m->refs++;
    return m;
}

void gossip_message_release(gossip_message_t *m)
{
    if (!m || --m->refs)
        return;
    m->g->live_bytes -= m->len;
    gossip_release(m->g, sizeof *m + m->len);
    topic_release(m->g, m->topic);
    free(m);
}

bytes_t gossip_message_content(const gossip_message_t *m)
{
    return bytes_of(m->content, m->len);
}

static bytes_t message_id(const gossip_message_t *m)
{
    return bytes_of(m->id, m->id_len);
}

/* ── sending on ──────────────────────────────────────────────────────────────────────────────── */
static bool is_bearer(const check_t *c, const gossip_message_t *m, const gossip_peer_t *p)
{
    if (m->author_len == p->id.len && !memcmp(m->author, p->id.data, p->id.len))
        return true;
    for (size_t i = 0; c && i < c->n; i++)
        if (peer_id_equal(&c->from[i], &p->id))
            return true;
    return false;
}

/* Whom a message goes to: the mesh (or the fanout), and those who know of no mesh. */
static bool concerns(const gossip_t *g, const member_t *m, bool is_own, uint64_t now_ms)
{
    if (m->peer->is_gone || !(m->is_subscribed || m->in_mesh))
        return false;
    if (g->config.is_floodsub || m->peer->version == GOSSIP_FLOOD || (is_own && g->config.floods_own))
        return gossip_score(g, m->peer, now_ms) >= g->config.score.publish_threshold;
    return m->in_mesh || m->in_fanout;
}

static size_t spread(gossip_t *g, gossip_message_t *m, const check_t *c, bool is_own, uint64_t now_ms)
{
    size_t n = 0;
    LIST_EACH (it, &m->topic->members, member_t, topic_node) {
        if (!concerns(g, it, is_own, now_ms) || is_bearer(c, m, it->peer) ||
            dontwant_has(it->peer, message_id(m)))
            continue;
        n += queue_message(it->peer, m);
    }
    return n;
}

size_t gossip_publish(gossip_t *g, gossip_message_t *m, uint64_t now_ms)
{
    topic_t *t = m->topic;
    if (!seen_find(g, message_id(m)))
        seen_add(g, message_id(m), now_ms)->accepted_ms = now_ms;
    cache_put(g, m);
    if (!t->is_ours && !g->config.floods_own && !g->config.is_floodsub)
        fanout_fill(g, t, now_ms);
    return spread(g, m, NULL, true, now_ms);
}

/* ── arriving ────────────────────────────────────────────────────────────────────────────────── */
static void arrived_again(gossip_t *g, gossip_peer_t *p, topic_t *t, seen_t *s, uint64_t now_ms)
{
    g->stat.duplicates++;
    seen_touch(g, s, now_ms);
    check_t *c = s->check;
    if (!c) {
        score_again(g, p, t, s, now_ms);
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        if (peer_id_equal(&c->from[i], &p->id))
            return;
    if (c->n < CHECK_BEARERS_MAX)
        c->from[c->n++] = p->id;
}

bool gossip_arrived(gossip_t *g, gossip_peer_t *p, bytes_t topic, bytes_t id, size_t size, uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    if (!t || !t->is_ours || !id.len || id.len > GOSSIP_ID_MAX_BYTES)
        return false;
    seen_t *s = seen_find(g, id);
    if (s) {
        arrived_again(g, p, t, s, now_ms);
        return false;
    }
    if (g->live_bytes + size > g->config.max_live_bytes ||
        (g->config.limit && limit_room(g->config.limit) < size)) {
        g->stat.dropped++;
        return false;
    }
    return true;
}

void gossip_forged(gossip_t *g, gossip_peer_t *p, bytes_t topic)
{
    topic_t *t = topic_find(g, topic);
    if (t)
        score_invalid(g, p, t);
}

/* Only now, when the signature holds: others must not be able to make us refuse a message by forging its id.
 */
static void tell_not_wanted(gossip_t *g, gossip_peer_t *from, topic_t *t, bytes_t id)
{
    LIST_EACH (m, &t->members, member_t, topic_node) {
        if (m->in_mesh && m->peer != from && m->peer->version >= GOSSIP_V1_2)
            queue_id(m->peer, GOSSIP_IDONTWANT, id);
    }
}

bool gossip_checking(gossip_t *g, gossip_peer_t *p, bytes_t topic, bytes_t id, size_t size, uint64_t now_ms)
{
    topic_t *t = topic_find(g, topic);
    if (!t || !t->is_ours || seen_find(g, id))
        return false;
    seen_t *s = seen_add(g, id, now_ms);
    s->check = xcalloc(1, sizeof *s->check);
    s->check->topic = t;
    t->refs++;
    s->check->from[s->check->n++] = p->id;
    promise_keep(g, id);
    if (size >= g->config.dontwant_min_bytes)
        tell_not_wanted(g, p, t, id);
    return true;
}

static gossip_peer_t *known_peer(gossip_t *g, const peer_id_t *id)
{
    return map_get(&g->by_id, peer_id_bytes(id)); /* also one that left */
}

static void settle_scores(gossip_t *g, const check_t *c, seen_t *s, gossip_verdict_t verdict, uint64_t now_ms)
{
    for (size_t i = 0; i < c->n; i++) {
        gossip_peer_t *p = known_peer(g, &c->from[i]);
        if (!p)
            continue;
        if (verdict == GOSSIP_REJECT)
            score_invalid(g, p, c->topic);
        else if (verdict == GOSSIP_ACCEPT && i == 0)
            score_first(g, p, c->topic);
        else if (verdict == GOSSIP_ACCEPT)
            score_again(g, p, c->topic, s, now_ms);
    }
}

void gossip_checked(gossip_t *g, bytes_t id, gossip_verdict_t verdict, gossip_message_t *m, uint64_t now_ms)
{
    seen_t *s = seen_find(g, id);
    check_t *c = s ? s->check : NULL;
    if (s)
        s->check = NULL;
    if (s && verdict == GOSSIP_ACCEPT)
        s->accepted_ms = now_ms;
    if (c)
        settle_scores(g, c, s, verdict, now_ms);
    if (verdict == GOSSIP_ACCEPT && m->topic->is_ours) {
        cache_put(g, m);
        spread(g, m, c, false, now_ms);
    }
    if (c)
        topic_release(g, c->topic);
    free(c);
}
