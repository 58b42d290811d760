/* What is to be sent to each peer. Control about one topic replaces older control about it that was not sent
 * yet, so that a peer which does not read costs at most one entry of a kind per topic; messages are bounded
 * by their bytes. */
#include "logic/gossip_impl.h"
#include <stdlib.h>

enum { DONTWANT_IDS_PER_RPC = 10 /* go-libp2p reads no more */, DONTWANT_OUTS_MAX = 64 };

bool id_list_add(id_list_t *l, bytes_t id)
{
    assert(id.len && id.len <= GOSSIP_ID_MAX_BYTES);
    if (buf_reserve(&l->packed, id.len + 1))
        return false;
    uint8_t *at = l->packed.data + l->packed.len;
    at[0] = (uint8_t)id.len;
    memcpy(at + 1, id.data, id.len);
    l->packed.len += id.len + 1;
    l->n++;
    return true;
}

void id_list_clear(id_list_t *l)
{
    buf_deinit(&l->packed);
    l->n = 0;
}

bool gossip_next_id(bytes_t packed, size_t *iter, bytes_t *ret_id)
{
    if (*iter >= packed.len)
        return false;
    *ret_id = bytes_of(packed.data + *iter + 1, packed.data[*iter]);
    *iter += 1u + packed.data[*iter];
    return true;
}

/* ── queueing ────────────────────────────────────────────────────────────────────────────────── */
static void make_ready(gossip_peer_t *p)
{
    if (!list_is_linked(&p->ready))
        list_push_back(&p->g->ready, &p->ready);
}

static void out_free(gossip_peer_t *p, out_t *o)
{
    list_remove(&o->node);
    if (o->topic)
        topic_release(p->g, o->topic);
    buf_deinit(&o->ids.packed);
    gossip_release(p->g, o->id_bytes);
    p->out_id_bytes -= o->id_bytes;
    if (o->message)
        p->queued_bytes -= o->message->len;
    gossip_message_release(o->message);
    p->n_dontwant_outs -= o->kind == GOSSIP_IDONTWANT;
    free(o);
}

static int class_of(int kind)
{
    switch (kind) {
    case GOSSIP_UNSUBSCRIBE:
        return GOSSIP_SUBSCRIBE;
    case GOSSIP_PRUNE:
        return GOSSIP_GRAFT;
    default:
        return kind;
    }
}

/* Takes the place of what is queued about the same thing. */
static out_t *push_control(gossip_peer_t *p, int kind, topic_t *t)
{
    LIST_EACH (o, &p->control, out_t, node) {
        if (o->topic == t && class_of(o->kind) == class_of(kind)) {
            out_free(p, o);
            break;
        }
    }
    out_t *o = xcalloc(1, sizeof *o);
    o->kind = (uint8_t)kind;
    o->topic = t;
    t->refs++;
    list_push_back(&p->control, &o->node);
    make_ready(p);
    return o;
}

void queue_topic(gossip_peer_t *p, int kind, topic_t *t)
{
    push_control(p, kind, t);
}

void queue_prune(gossip_peer_t *p, topic_t *t, uint32_t backoff_ms, bool has_offer)
{
    out_t *o = push_control(p, GOSSIP_PRUNE, t);
    o->backoff_s = p->version >= GOSSIP_V1_1 ? (backoff_ms + 999) / 1000 : 0;
    o->has_offer = has_offer && p->version >= GOSSIP_V1_1;
}

static out_t *push_ids(gossip_peer_t *p, int kind)
{
    out_t *o = xcalloc(1, sizeof *o);
    o->kind = (uint8_t)kind;
    buf_init(&o->ids.packed, (size_t)p->g->config.max_ihave_ids * (GOSSIP_ID_MAX_BYTES + 1));
    list_push_back(&p->control, &o->node);
    make_ready(p);
    return o;
}

static out_t *last_of(gossip_peer_t *p, int kind)
{
    for (list_t *at = p->control.prev; at != &p->control; at = at->prev)
        if (LIST_ENTRY(at, out_t, node)->kind == kind)
            return LIST_ENTRY(at, out_t, node);
    return NULL;
}

/* Buffers that grow take up to twice what is in them. */
static bool add_id(gossip_peer_t *p, out_t *o, bytes_t id)
{
    size_t bytes = 2 * (id.len + 1);
    if (p->out_id_bytes + bytes > p->g->config.max_id_bytes || !gossip_charge(p->g, bytes))
        return false;
    if (!id_list_add(&o->ids, id)) {
        gossip_release(p->g, bytes);
        return false;
    }
    o->id_bytes += bytes;
    p->out_id_bytes += bytes;
    return true;
}

size_t queue_ids(gossip_peer_t *p, int kind, topic_t *t, const id_list_t *ids)
{
    out_t *o = t ? push_control(p, kind, t) : last_of(p, kind);
    if (!o)
        o = push_ids(p, kind);
    if (!o->ids.packed.max)
        buf_init(&o->ids.packed, (size_t)p->g->config.max_ihave_ids * (GOSSIP_ID_MAX_BYTES + 1));
    bytes_t id;
    size_t n = 0;
    for (size_t i = 0;
         o->ids.n < p->g->config.max_ihave_ids && gossip_next_id(buf_bytes(&ids->packed), &i, &id); n++)
        if (!add_id(p, o, id))
            break;
    return n;
}

void queue_id(gossip_peer_t *p, int kind, bytes_t id)
{
    out_t *o = last_of(p, kind);
    if (!o || o->ids.n >= DONTWANT_IDS_PER_RPC) {
        if (p->n_dontwant_outs >= DONTWANT_OUTS_MAX)
            return;
        o = push_ids(p, kind);
        p->n_dontwant_outs++;
    }
    (void)add_id(p, o, id);
}

bool queue_message(gossip_peer_t *p, gossip_message_t *m)
{
    if (p->queued_bytes + m->len > p->g->config.max_queue_bytes) {
        p->g->stat.dropped++;
        return false;
    }
    out_t *o = xcalloc(1, sizeof *o);
    o->kind = GOSSIP_MESSAGE;
    o->message = gossip_message_ref(m);
    p->queued_bytes += m->len;
    list_push_back(&p->messages, &o->node);
    make_ready(p);
    return true;
}

static void drop_current(gossip_peer_t *p)
{
    if (p->current)
        out_free(p, p->current);
    p->current = NULL;
}

void queue_clear(gossip_peer_t *p)
{
    drop_current(p);
    LIST_EACH (o, &p->control, out_t, node) {
        out_free(p, o);
    }
    LIST_EACH (o, &p->messages, out_t, node) {
        out_free(p, o);
    }
}

/* ── taking ──────────────────────────────────────────────────────────────────────────────────── */
gossip_peer_t *gossip_next_ready(gossip_t *g)
{
    gossip_peer_t *p = LIST_FIRST(&g->ready, gossip_peer_t, ready);
    if (p)
        list_remove(&p->ready);
    return p;
}

static bool is_offered(const gossip_t *g, const member_t *m, uint64_t now_ms, double than)
{
    return gossip_score(g, m->peer, now_ms) >= than;
}

/* Others of the topic, that the pruned peer may turn to. */
static size_t offer(gossip_peer_t *p, topic_t *t, peer_id_t *out)
{
    member_t *chosen[GOSSIP_PRUNE_PEERS];
    gossip_t *g = p->g;
    size_t n = topic_choose(g, t, GOSSIP_PRUNE_PEERS, is_offered, 0, g->next_heartbeat_ms, chosen), count = 0;
    for (size_t i = 0; i < n; i++)
        if (chosen[i]->peer != p)
            out[count++] = chosen[i]->peer->id;
    return count;
}

/* The next message that it still wants. Those that it does not want any more are passed over only here: to
 * look for each in the queue when it says so would be work that it makes with a few bytes. */
static out_t *next_message(gossip_peer_t *p)
{
    out_t *o;
    while ((o = LIST_FIRST(&p->messages, out_t, node)) &&
           dontwant_has(p, bytes_of(o->message->id, o->message->id_len)))
        out_free(p, o);
    return o;
}

bool gossip_next_out(gossip_t *g, gossip_peer_t *p, gossip_out_t *ret)
{
    (void)g;
    drop_current(p);
    out_t *o = LIST_FIRST(&p->control, out_t, node);
    if (!o)
        o = next_message(p);
    if (!o)
        return false;
    list_remove(&o->node);
    p->current = o;
    ret->kind = o->kind;
    ret->topic = o->topic ? topic_name(o->topic) : BYTES_NONE;
    ret->ids = buf_bytes(&o->ids.packed);
    ret->n_ids = o->ids.n;
    ret->backoff_s = o->backoff_s;
    ret->n_peers = o->has_offer ? offer(p, o->topic, ret->peers) : 0;
    ret->message = o->message;
    return true;
}
