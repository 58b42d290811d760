/* Start and close, and the peers. */
#include "base/log.h"
#include "pubsub/internal.h"
#include "task/driver.h"
#include <stdlib.h>

enum { MAX_PEERS = 4096, MEMORY_MAX = 64 << 20, MESH_TAG_SCORE = 20 /* the reference's */ };
static const char MESH_TAG[] = "pubsub";

void pubsub_config_default(pubsub_config_t *ret)
{
    *ret = (pubsub_config_t){.signs = true, .seen_ttl_ms = 120000};
}

/* ── the engine's clock ──────────────────────────────────────────────────────────────────────── */
static void run_pump(void *arg)
{
    pubsub_t *ps = arg;
    for (gossip_peer_t *p; (p = gossip_next_ready(ps->gossip));)
        ps_kick_sender(gossip_peer_user(p));
}

void ps_pump(pubsub_t *ps)
{
    if (!ps->is_closing)
        sched_post(ps->sched, &ps->pump);
}

static void tag(ps_peer_t *p, bool is_in_mesh)
{
    if (is_in_mesh != p->is_tagged)
        host_tag(p->ps->config.host, &p->id, MESH_TAG, is_in_mesh ? MESH_TAG_SCORE : 0);
    p->is_tagged = is_in_mesh;
}

static void run_alarm(void *arg)
{
    pubsub_t *ps = arg;
    gossip_tick(ps->gossip, sched_now_ms(ps->sched));
    LIST_EACH (p, &ps->peers, ps_peer_t, node)
        tag(p, p->gossip && gossip_meshes_of(p->gossip));
    alarm_set(&ps->alarm, gossip_deadline_ms(ps->gossip));
    run_pump(ps);
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
static ps_peer_t *find_peer(pubsub_t *ps, const peer_id_t *id)
{
    return map_get(&ps->by_id, peer_id_bytes(id));
}

static ps_peer_t *get_peer(pubsub_t *ps, const peer_id_t *id)
{
    ps_peer_t *p = find_peer(ps, id);
    if (p) {
        p->is_gone = false;
        return p;
    }
    p = xcalloc(1, sizeof *p);
    p->ps = ps;
    p->id = *id;
    if (map_put(&ps->by_id, peer_id_bytes(id), p, NULL)) {
        free(p);
        return NULL;
    }
    list_push_back(&ps->peers, &p->node);
    return p;
}

static void free_peer(ps_peer_t *p)
{
    ps_peer_drop(p);
    stream_close(p->out);
    map_remove(&p->ps->by_id, peer_id_bytes(&p->id));
    list_remove(&p->node);
    free(p);
}

ps_peer_t *ps_peer_ref(ps_peer_t *p)
{
    p->refs++;
    return p;
}

void ps_peer_release(ps_peer_t *p)
{
    assert(p->refs > 0);
    if (!--p->refs && p->is_gone)
        free_peer(p);
}

void ps_peer_drop(ps_peer_t *p)
{
    if (p->gossip)
        gossip_disconnected(p->ps->gossip, p->gossip, sched_now_ms(p->ps->sched));
    p->gossip = NULL;
    tag(p, false);
}

/* Where a peer is, for counting those on one address; nothing for private ones and behind relays, where many
 * share one for good reasons. */
static bytes_t address_of(const conn_t *c)
{
    const multiaddr_t *at = conn_remote_addr(c);
    multiaddr_part_t part;
    if (multiaddr_is_private(at) || multiaddr_find(at, MA_P2P_CIRCUIT, &part))
        return BYTES_NONE;
    if (multiaddr_find(at, MA_IP4, &part))
        return part.value;
    return multiaddr_find(at, MA_IP6, &part) ? bytes_slice(part.value, 0, 8) : BYTES_NONE;
}

static void join(ps_peer_t *p, conn_t *c, pubsub_version_t version)
{
    static const gossip_version_t versions[] = {[PUBSUB_FLOODSUB] = GOSSIP_FLOOD,
                                                [PUBSUB_GOSSIPSUB_1_0] = GOSSIP_V1_0,
                                                [PUBSUB_GOSSIPSUB_1_1] = GOSSIP_V1_1,
                                                [PUBSUB_GOSSIPSUB_1_2] = GOSSIP_V1_2};
    pubsub_t *ps = p->ps;
    if (p->gossip || ps->is_closing)
        return;
    p->gossip = gossip_connected(ps->gossip, &p->id, versions[version], !conn_is_inbound(c), address_of(c),
                                 sched_now_ms(ps->sched));
    if (!p->gossip)
        return;
    gossip_peer_set_user(p->gossip, p);
    p->failures = 0;
    ps_pump(ps);
}

/* The newest protocol that it speaks as far as is known; NULL: none. */
static const char *protocol_of(const ps_peer_t *p)
{
    size_t first = p->ps->config.is_floodsub ? PUBSUB_PROTOCOL_COUNT - 1 : 0;
    for (size_t i = first; i < PUBSUB_PROTOCOL_COUNT; i++)
        if (peerstore_speaks(host_peerstore(p->ps->config.host), &p->id, pubsub_protocols[i]))
            return pubsub_protocols[i];
    return NULL;
}

static void meet(pubsub_t *ps, conn_t *c)
{
    ps_peer_t *p = get_peer(ps, conn_peer(c));
    const char *protocol = p ? protocol_of(p) : NULL;
    if (protocol)
        join(p, c, pubsub_version_of(protocol));
}

static void on_identified(void *arg, conn_t *c)
{
    meet(arg, c);
}

static void on_protocols_changed(void *arg, const peer_id_t *id)
{
    pubsub_t *ps = arg;
    conn_t *c = host_conn(ps->config.host, id);
    if (c)
        meet(ps, c);
}

static void on_disconnected(void *arg, const peer_id_t *id)
{
    ps_peer_t *p = find_peer(arg, id);
    if (!p)
        return;
    p->is_gone = true;
    ps_peer_drop(p);
    if (p->is_sending && p->out)
        stream_reset(p->out); /* wakes its sender */
    ps_peer_release(ps_peer_ref(p));
}

/* ── inbound streams ─────────────────────────────────────────────────────────────────────────── */
static err_t on_stream(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    pubsub_t *ps = arg;
    ps_peer_t *p = ps->is_closing ? NULL : get_peer(ps, conn_peer(from));
    if (!p) {
        stream_reset(s);
        stream_close(s);
        return ERR_CLOSED;
    }
    ps_peer_ref(p);
    join(p, from, pubsub_version_of(protocol));
    ps_inbound_t in = {.stream = s};
    list_push_back(&ps->inbound, &in.node);
    err_t e = ps_hear_stream(t, p, from, s);
    list_remove(&in.node);
    if (e)
        stream_reset(s);
    stream_close(s);
    if (!host_is_connected(ps->config.host, &p->id)) {
        p->is_gone = true; /* it was brought back by a stream that outlived the news */
        ps_peer_drop(p);
    }
    ps_peer_release(p);
    if (ps->is_closing)
        event_fire(&ps->inbound_gone);
    return e;
}

/* ── start and close ─────────────────────────────────────────────────────────────────────────── */
static void learn_connected(pubsub_t *ps)
{
    size_t n = host_conn_count(ps->config.host);
    conn_t **conns = xcalloc(n + 1, sizeof *conns);
    n = host_conns(ps->config.host, conns, n);
    for (size_t i = 0; i < n; i++)
        meet(ps, conns[i]);
    free(conns);
}

static pubsub_t *make(task_t *t, const pubsub_config_t *c)
{
    pubsub_t *ps = xcalloc(1, sizeof *ps);
    ps->config = *c;
    ps->sched = task_sched(t);
    group_init(&ps->group, ps->sched);
    gossip_config_t gc;
    gossip_config_default(&gc);
    gc.self = *host_id(c->host);
    gc.seed = driver_random_u64(task_driver(t));
    gc.is_floodsub = c->is_floodsub;
    gc.offers_peers = c->offers_peers;
    gc.seen_ttl_ms = c->seen_ttl_ms;
    gc.seen_by_first = c->seen_by_first;
    limit_init(&ps->limit, "pubsub", host_limit(c->host), MEMORY_MAX);
    ps->limit.hint = "Swarm.ResourceMgr.MaxMemory";
    gc.limit = &ps->limit;
    ps->gossip = gossip_new(&gc, task_now_ms(t));
    map_init(&ps->by_id, MAX_PEERS);
    map_init(&ps->topics, gc.max_own_topics);
    list_init(&ps->peers);
    list_init(&ps->inbound);
    event_init(&ps->inbound_gone);
    event_init(&ps->new_topic);
    runnable_init(&ps->pump, run_pump, ps);
    alarm_init(&ps->alarm, ps->sched, run_alarm, ps);
    ps_seqnos_init(ps);
    ps->metric_received = metric_counter("distribute_pubsub_received_total", NULL,
                                         "Messages of subscribed topics, valid and new.");
    ps->metric_published =
        metric_counter("distribute_pubsub_published_total", NULL, "Messages published here.");
    return ps;
}

static void stop(task_t *t, pubsub_t *ps)
{
    ps->is_closing = true;
    for (size_t i = 0; i < PUBSUB_PROTOCOL_COUNT; i++)
        host_unhandle(ps->config.host, pubsub_protocols[i]);
    host_remove_listener(ps->config.host, &ps->listener);
    alarm_clear(&ps->alarm);
    runnable_cancel(&ps->pump);
    LIST_EACH (in, &ps->inbound, ps_inbound_t, node) {
        stream_reset(in->stream);
    }
    task_shield(t);
    while (!list_is_empty(&ps->inbound) && !event_wait(t, &ps->inbound_gone))
        ;
    task_unshield(t);
    group_stop(t, &ps->group);
    ps_seqnos_close(t, ps);
    ps_topics_close(ps);
    LIST_EACH (p, &ps->peers, ps_peer_t, node) {
        assert(!p->refs);
        free_peer(p);
    }
    gossip_free(ps->gossip);
    limit_deinit(&ps->limit);
    map_deinit(&ps->by_id);
    map_deinit(&ps->topics);
    group_deinit(&ps->group);
    free(ps);
}

err_t pubsub_start(task_t *t, const pubsub_config_t *c, pubsub_t **ret)
{
    pubsub_t *ps = make(t, c);
    protocol_options_t options = {.max_inbound_per_peer = PUBSUB_INBOUND_MAX_PER_PEER};
    err_t e = OK;
    for (size_t i = c->is_floodsub ? PUBSUB_PROTOCOL_COUNT - 1 : 0; !e && i < PUBSUB_PROTOCOL_COUNT; i++)
        e = host_handle(c->host, pubsub_protocols[i], &options, on_stream, ps);
    ps->listener = (host_listener_t){.identified = on_identified,
                                     .protocols_changed = on_protocols_changed,
                                     .disconnected = on_disconnected,
                                     .arg = ps};
    host_add_listener(c->host, &ps->listener);
    if (!e && c->advertise && c->find_peers)
        e = group_spawn(&ps->group, "pubsub-directory", ps_discover_task, ps, NULL);
    if (e) {
        stop(t, ps);
        return e;
    }
    alarm_set(&ps->alarm, gossip_deadline_ms(ps->gossip));
    learn_connected(ps);
    *ret = ps;
    return OK;
}

void pubsub_close(task_t *t, pubsub_t *ps)
{
    if (ps)
        stop(t, ps);
}

/* ── what it is doing ────────────────────────────────────────────────────────────────────────── */
void pubsub_stat(const pubsub_t *ps, pubsub_stat_t *ret)
{
    *ret = ps->stat;
    gossip_stat(ps->gossip, &ret->mesh);
}

typedef struct each_peer {
    bool (*fn)(void *arg, const peer_id_t *peer);
    void *arg;
} each_peer_t;

static bool tell_peer(void *arg, gossip_peer_t *p)
{
    each_peer_t *e = arg;
    return e->fn(e->arg, gossip_peer_id(p));
}

void pubsub_each_peer(pubsub_t *ps, bytes_t topic, bool (*fn)(void *arg, const peer_id_t *peer), void *arg)
{
    each_peer_t e = {fn, arg};
    gossip_each_peer(ps->gossip, topic, tell_peer, &e);
}
