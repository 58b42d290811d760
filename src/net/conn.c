#include "base/metrics.h"
#include "net/host_internal.h"
#include "net/quic.h"
#include <stdlib.h>

/* What an idle connection was measured to keep in memory, its peer and TLS's state included. */
enum { CONN_BYTES = 7 << 10, TLS_BYTES = 2 << 10 };

static void start_yamux(conn_t *c)
{
    const host_limits_t *limits = &c->host->config.limits;
    yamux_config_t y;
    yamux_config_default(&y);
    y.is_client = !c->is_inbound;
    y.max_streams = limits->max_streams_per_conn;
    y.max_inbound_streams = limits->max_streams_per_conn - limits->max_streams_per_conn / 4;
    y.limit = &c->peer->scope.memory;
    yamux_init(&c->yamux, &y, c->opened_ms);
}

void conn_join(conn_t *c)
{
    host_t *h = c->host;
    bool is_first = !c->is_limited && c->peer->n_conns == c->peer->n_limited;
    c->peer->n_conns++;
    c->peer->n_limited += c->is_limited;
    list_push_back(&c->peer->conns, &c->peer_node);
    list_push_back(&h->conns, &c->node);
    h->n_conns++;
    c->is_open = true;
    metric_add(net_metrics()->opened[c->is_inbound], 1);
    multiaddr_t bare;
    multiaddr_without_peer(&c->remote, &bare);
    if (!c->is_inbound) { /* the port of an inbound connection leads nowhere */
        peerstore_add_addrs(h->peerstore, &c->peer->id, &bare, 1, ADDR_TTL_CONNECTED_MS);
        peerstore_addr_succeeded(h->peerstore, &c->peer->id, &bare);
    }
    identify_conn_opened(c);
    if (is_first) {
        keep_peer_connected(h, &c->peer->id);
        host_tell_connected(h, c);
    }
    conn_manager_conn_added(h);
    event_fire(&h->conn_opened);
}

err_t conn_make(host_t *h, const peer_id_t *peer, const mux_ops_t *mux, conn_use_t *use, uint64_t bytes,
                const multiaddr_t *remote, conn_t **ret_conn)
{
    peer_t *p;
    if (h->is_closing)
        return fail(ERR_CLOSED, "the host is closing");
    TRY(gate_check(h, peer, remote));
    TRY(peer_get(h, peer, &p));
    err_t e = conn_use_attach(use, p, remote, bytes);
    if (e) {
        peer_free_if_unused(p);
        return e;
    }
    conn_t *c = xcalloc(1, sizeof *c);
    c->host = h;
    c->mux = mux;
    c->peer = p;
    p->refs++;
    c->refs = 2; /* the host's and the caller's */
    c->is_inbound = use->is_inbound;
    c->use = *use;
    *use = (conn_use_t){.host = NULL};
    c->remote = *remote;
    c->opened_ms = c->used_ms = sched_now_ms(h->sched);
    list_init(&c->streams);
    event_init(&c->may_open);
    event_init(&c->identified);
    *ret_conn = c;
    return OK;
}

err_t conn_new(host_t *h, stream_t *raw, channel_t *channel, const upgrade_how_t *how, bytes_t early,
               conn_t **ret_conn)
{
    conn_t *c;
    uint64_t bytes = CONN_BYTES + (channel->kind == CHANNEL_TLS ? TLS_BYTES : 0);
    err_t e = conn_make(h, channel_peer(channel), &mux_yamux, how->use, bytes, how->remote, &c);
    if (e) {
        channel_deinit(channel);
        stream_close(raw);
        return e;
    }
    c->raw = raw;
    c->channel = *channel;
    secret_wipe(channel, sizeof *channel); /* of kind NONE now */
    c->is_limited = how->is_limited;
    c->is_shared = how->is_shared;
    start_yamux(c);
    conn_pump_start(c, early);
    conn_join(c);
    *ret_conn = c;
    return OK;
}

conn_t *conn_ref(conn_t *c)
{
    c->refs++;
    return c;
}

void conn_release(conn_t *c)
{
    if (!c || --c->refs)
        return;
    assert(!c->is_open && list_is_empty(&c->streams));
    c->peer->refs--;
    peer_free_if_unused(c->peer);
    quic_link_free(c->quic);
    free(c);
}

static void leave_host(conn_t *c)
{
    host_t *h = c->host;
    c->is_open = false;
    list_remove(&c->node);
    list_remove(&c->peer_node);
    h->n_conns--;
    metric_add(net_metrics()->closed[c->is_inbound], 1);
    conn_use_end(&c->use);
    c->peer->n_conns--;
    c->peer->n_limited -= c->is_limited;
    bool was_last = !c->is_limited && c->peer->n_conns == c->peer->n_limited;
    event_fire(&c->may_open);
    event_fire(&c->identified);
    LIST_EACH (s, &c->streams, conn_stream_t, node) {
        event_fire(&s->base.readable);
        event_fire(&s->base.writable);
    }
    if (was_last) {
        keep_peer_disconnected(h, &c->peer->id);
        host_tell_disconnected(h, &c->peer->id);
    }
}

void conn_end(conn_t *c, err_t reason)
{
    if (!c->is_open)
        return;
    c->end_reason = reason;
    c->mux->end(c, reason);
    leave_host(c);
    conn_release(c);
}

void conn_close(conn_t *c)
{
    conn_end(c, ERR_CLOSED);
}

/* ── what a connection says about itself ─────────────────────────────────────────────────────── */
const peer_id_t *conn_peer(const conn_t *c)
{
    return &c->peer->id;
}

const multiaddr_t *conn_remote_addr(const conn_t *c)
{
    return &c->remote;
}

bool conn_is_inbound(const conn_t *c)
{
    return c->is_inbound;
}

bool conn_is_limited(const conn_t *c)
{
    return c->is_limited;
}

bool conn_is_open(const conn_t *c)
{
    return c->is_open;
}

size_t conn_stream_count(const conn_t *c)
{
    return c->n_streams;
}

size_t conn_stream_protocols(const conn_t *c, const char **out, size_t cap)
{
    size_t n = 0;
    LIST_EACH (s, &c->streams, const conn_stream_t, node)
        if (n < cap && s->protocol[0])
            out[n++] = s->protocol;
    return n;
}

uint32_t conn_rtt_ms(const conn_t *c)
{
    return c->mux->rtt_ms(c);
}

const char *conn_security(const conn_t *c)
{
    return channel_protocol(&c->channel);
}

const char *conn_muxer(const conn_t *c)
{
    return c->mux->protocol;
}

void conn_bytes(const conn_t *c, uint64_t *ret_in, uint64_t *ret_out)
{
    *ret_in = c->bytes_in;
    *ret_out = c->bytes_out;
}

limit_t *conn_limit(conn_t *c)
{
    return &c->peer->scope.memory;
}

err_t conn_wait_identified(task_t *t, conn_t *c)
{
    conn_ref(c);
    err_t e = OK;
    while (!e && c->is_open && !c->is_identified)
        e = event_wait(t, &c->identified);
    conn_release(c);
    return e;
}

bool host_is_connected(const host_t *h, const peer_id_t *peer)
{
    const peer_t *p = peer_find(h, peer);
    return p && p->n_conns > p->n_limited;
}

size_t host_conn_count(const host_t *h)
{
    return h->n_conns;
}

static bool is_better(const conn_t *c, const conn_t *than)
{
    bool is_relayed = multiaddr_is_circuit(&c->remote), was_relayed = multiaddr_is_circuit(&than->remote);
    if (c->is_limited != than->is_limited)
        return than->is_limited;
    if (is_relayed != was_relayed)
        return was_relayed;
    return c->n_streams > than->n_streams;
}

/* One that is limited comes last, a relayed one before that; then the one with the most streams, the oldest
 * of those: after a simultaneous dial the other falls idle. */
conn_t *host_conn(host_t *h, const peer_id_t *peer)
{
    peer_t *p = peer_find(h, peer);
    if (!p)
        return NULL;
    conn_t *best = NULL;
    LIST_EACH (c, &p->conns, conn_t, peer_node)
        if (c->mux->may_open(c) && (!best || is_better(c, best)))
            best = c;
    return best ? best : LIST_FIRST(&p->conns, conn_t, peer_node);
}

size_t host_conns(host_t *h, conn_t **out, size_t cap)
{
    size_t n = 0;
    LIST_EACH (c, &h->conns, conn_t, node)
        if (n < cap)
            out[n++] = c;
    return n;
}

err_t host_disconnect(host_t *h, const peer_id_t *peer)
{
    peer_t *p = peer_find(h, peer);
    if (!p || !p->n_conns)
        return fail(ERR_NOT_FOUND, "not connected to this peer");
    p->refs++;
    for (conn_t *c; (c = LIST_FIRST(&p->conns, conn_t, peer_node));)
        conn_close(c);
    p->refs--;
    peer_free_if_unused(p);
    return OK;
}
