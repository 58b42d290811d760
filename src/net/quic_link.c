/* quic_link: a connection by QUIC between its engine and its socket. The pump runs when datagrams came, when
 * a stream has something to send, and when the engine's time has come; it never waits. A link becomes a
 * connection when both sides have proved who they are; then the conn_t owns it. */
#include "base/log.h"
#include "base/metrics.h"
#include "net/quic_internal.h"
#include <stdio.h>
#include <stdlib.h>

/* One link sends this often before others have their turn. */
enum { SENDS_IN_A_ROW = 8, REASON_MAX = 160, SILENCE_MS = 3000 };
/* What an idle connection was measured to keep in memory, ngtcp2's and its keys included. */
enum { CONN_BYTES = 90 << 10 };

struct quic_link {
    list_t node; /* in quic_net->links until it is a connection */
    host_t *host;
    quic_socket_t *socket;
    quic_t *engine; /* NULL: over */
    conn_t *conn;   /* NULL: not yet */
    bool is_inbound;
    conn_use_t use;    /* until it is a connection */
    net_addr_t local;  /* where it leaves from; family 0: where the system likes. Inbound: where the first
                        * packet  came to, for good; where others come to may be anybody's word. Outbound:
                        * where  the  peer found us, until that is gone */
    uint64_t asked_ms; /* when the first datagram left that nothing came after; 0: none */
    multiaddr_t remote;
    runnable_t pump;
    sched_alarm_t alarm;
    watch_t writable;
    buf_t unsent; /* of a burst that the socket did not take */
    udp_burst_t unsent_to;
    err_t error; /* of the engine */
    char reason[REASON_MAX];
    event_t done; /* outbound: it is a connection, or failed */
};

static uint64_t now_ms(const quic_link_t *l)
{
    return sched_now_ms(l->host->sched);
}

static void note_error(quic_link_t *l, err_t e)
{
    if (!e || l->error)
        return;
    l->error = e;
    snprintf(l->reason, sizeof l->reason, "%s", error_text(e));
}

/* ── sending ─────────────────────────────────────────────────────────────────────────────────── */
/* The address that we spoke from is gone, or leads nowhere any more: the system chooses again. What leaves
 * from there has other connection ids, so what is ready to be sent is lost. */
static void we_moved(quic_link_t *l)
{
    l->asked_ms = 0;
    if (l->is_inbound || !l->conn || !l->local.family)
        return;
    l->local = (net_addr_t){0};
    quic_moved(l->engine, now_ms(l));
    sched_post(l->host->sched, &l->pump);
    log_debug("a connection goes on from another address of this machine's");
}

/* OK: all of it is on its way, or lost. ERR_AGAIN: the rest waits. */
static err_t send_burst(quic_link_t *l, const udp_burst_t *to, bytes_t datagrams)
{
    size_t n = 0;
    err_t e = udp_send_burst(l->socket->udp, to, datagrams, &n);
    metric_add(net_metrics()->bytes_out, (double)n);
    if (l->conn)
        l->conn->bytes_out += n;
    if (!l->asked_ms)
        l->asked_ms = now_ms(l);
    if (e == ERR_AGAIN) {
        bytes_t rest = bytes_slice(datagrams, n, SIZE_MAX);
        buf_clear(&l->unsent);
        l->unsent_to = *to;
        return buf_append(&l->unsent, rest) ? OK : ERR_AGAIN;
    }
    if (e && !l->conn && !l->is_inbound)
        note_error(l, e); /* there is no way to there: a dial need not wait */
    else if (e)
        we_moved(l);
    return OK;
}

static bool send_unsent(quic_link_t *l)
{
    if (!l->unsent.len)
        return true;
    AUTO(buf_t) rest = l->unsent;
    buf_init(&l->unsent, UDP_BURST_MAX);
    if (send_burst(l, &l->unsent_to, buf_bytes(&rest)))
        return false;
    buf_deinit(&l->unsent);
    return true;
}

/* True: there may be more to send. */
static bool send_output(quic_link_t *l)
{
    host_t *h = l->host;
    quic_burst_t b;
    if (!l->engine || !send_unsent(l))
        return false;
    if (!quic_is_unanswered(l->engine))
        l->asked_ms = 0; /* what left were answers */
    else if (l->asked_ms && now_ms(l) - l->asked_ms >= SILENCE_MS)
        we_moved(l);
    if (!h->send_area)
        h->send_area = xmalloc(SEND_AREA);
    for (int i = 0; i < SENDS_IN_A_ROW; i++) {
        if (!quic_output(l->engine, h->send_area, UDP_BURST_MAX - QUIC_DATAGRAM_MAX, now_ms(l), &b))
            return false;
        udp_burst_t to = {.peer = b.to, .local = l->local, .segment_bytes = b.segment_bytes};
        if (send_burst(l, &to, bytes_of(h->send_area, b.len)))
            return false;
    }
    return true;
}

/* ── ending ──────────────────────────────────────────────────────────────────────────────────── */
static void leave_pending(quic_link_t *l)
{
    conn_use_end(&l->use);
    list_remove(&l->node);
}

/* Gives back all but the struct. */
static void stop(quic_link_t *l)
{
    if (!l->engine)
        return;
    quic_end(l->engine, ERR_CLOSED);
    buf_deinit(&l->unsent);
    send_output(l);
    runnable_cancel(&l->pump);
    alarm_clear(&l->alarm);
    event_unwatch(&l->writable);
    buf_deinit(&l->unsent);
    leave_pending(l);
    quic_free(l->engine);
    l->engine = NULL;
}

void quic_link_free(quic_link_t *l)
{
    if (!l)
        return;
    stop(l);
    free(l);
}

void quic_link_stop_all(host_t *h)
{
    LIST_EACH (l, &h->quic->links, quic_link_t, node)
        quic_link_free(l);
}

/* ── becoming a connection ───────────────────────────────────────────────────────────────────── */
static err_t become_conn(quic_link_t *l)
{
    conn_t *c;
    if (peer_id_equal(quic_peer(l->engine), &l->host->id))
        return fail(ERR_INVALID, "the address leads to this node itself");
    TRY(conn_make(l->host, quic_peer(l->engine), &mux_quic, &l->use, CONN_BYTES, &l->remote, &c));
    leave_pending(l);
    c->quic = l;
    l->conn = c;
    err_t e = quic_set_limit(l->engine, &c->peer->scope.memory);
    peerstore_add_latency(l->host->peerstore, &c->peer->id, quic_rtt_ms(l->engine));
    conn_join(c);
    event_fire(&l->done);
    return e;
}

static void move(quic_link_t *l)
{
    const net_addr_t *a = quic_peer_addr(l->engine);
    if (l->conn && multiaddr_from_quic(a->family, a->ip, a->port, &l->conn->remote))
        log_debug("the new address of a peer cannot be written");
    if (addr_is_filtered(l->host, a))
        note_error(l, fail(ERR_DENIED, "its address is filtered (Swarm.AddrFilters)"));
}

static void deliver_stream(quic_link_t *l, const quic_event_t *ev)
{
    if (!l->conn)
        return;
    if (ev->news & QUIC_NEWS_OPENED)
        conn_stream_inbound(l->conn, (mux_stream_t *)ev->stream);
    else if (ev->user)
        conn_stream_tell(ev->user, ev->news & QUIC_NEWS_READABLE, ev->news & QUIC_NEWS_WRITABLE);
}

static void deliver_news(quic_link_t *l)
{
    for (quic_event_t ev; l->engine && quic_next_event(l->engine, &ev);) {
        switch (ev.kind) {
        case QUIC_EVENT_OPEN:
            note_error(l, become_conn(l));
            break;
        case QUIC_EVENT_STREAM:
            deliver_stream(l, &ev);
            break;
        case QUIC_EVENT_MAY_OPEN:
            if (l->conn)
                event_fire(&l->conn->may_open);
            break;
        case QUIC_EVENT_MOVED:
            move(l);
            break;
        }
    }
}

/* ── the pump ────────────────────────────────────────────────────────────────────────────────── */
static void fail_link(quic_link_t *l)
{
    log_debug("connection failed", LOG_STR("why", l->reason));
    if (l->conn) {
        conn_end(l->conn, l->error);
    } else if (l->is_inbound) {
        quic_link_free(l);
    } else {
        stop(l);
        event_fire(&l->done); /* the dial frees it */
    }
}

static void run_pump(quic_link_t *l)
{
    deliver_news(l);
    bool has_more = send_output(l);
    if (l->conn)
        deliver_news(l); /* what left has made room: who waits for that need not wait for an answer, too */
    if (!l->engine)
        return;
    if (quic_state(l->engine) >= QUIC_ENDING)
        note_error(l, fail(ERR_PROTOCOL, "the connection cannot go on"));
    if (l->error) {
        fail_link(l);
        return;
    }
    uint64_t at_ms = quic_deadline_ms(l->engine);
    if (at_ms != l->alarm.at_ms || l->alarm.heap_index == SIZE_MAX)
        alarm_set(&l->alarm, at_ms);
    if (has_more)
        sched_post(l->host->sched, &l->pump);
}

/* A handler that runs here may close the connection: the link stays until the pump has ended. A link that
 * becomes a connection meanwhile has the caller's reference of it: the dial's, or ours. */
static void on_pump(void *arg)
{
    quic_link_t *l = arg;
    conn_t *c = l->conn ? conn_ref(l->conn) : NULL;
    bool is_inbound = l->is_inbound;
    if (c || !is_inbound) {
        run_pump(l);
        conn_release(c);
        return;
    }
    deliver_news(l);
    if (!l->conn) {
        run_pump(l);
        return;
    }
    c = l->conn;
    run_pump(l);
    conn_release(c);
}

static void on_alarm(void *arg)
{
    quic_link_t *l = arg;
    note_error(l, quic_tick(l->engine, now_ms(l)));
    on_pump(l);
}

void quic_link_feed(quic_link_t *l, quic_socket_t *s, const udp_burst_t *how, bytes_t datagram)
{
    if (l->socket != s || !l->engine)
        return; /* a connection stays with its socket */
    metric_add(net_metrics()->bytes_in, (double)datagram.len);
    if (l->conn)
        l->conn->bytes_in += datagram.len;
    note_error(l, quic_feed(l->engine, &how->peer, datagram, now_ms(l)));
    l->asked_ms = 0;
    if (!l->is_inbound && !l->local.family)
        l->local = how->local;
    sched_post(l->host->sched, &l->pump);
}

/* ── beginning ───────────────────────────────────────────────────────────────────────────────── */
static quic_link_t *link_new(quic_socket_t *s, bool is_inbound)
{
    quic_link_t *l = xcalloc(1, sizeof *l);
    l->host = s->host;
    l->socket = s;
    l->is_inbound = is_inbound;
    runnable_init(&l->pump, on_pump, l);
    alarm_init(&l->alarm, l->host->sched, on_alarm, l);
    buf_init(&l->unsent, UDP_BURST_MAX);
    event_init(&l->done);
    return l;
}

static void start(quic_link_t *l)
{
    list_push_back(&l->host->quic->links, &l->node);
    event_watch(&l->socket->udp->writable, l->host->sched, &l->writable, &l->pump);
    sched_post(l->host->sched, &l->pump);
}

static quic_start_t start_of(quic_link_t *l, const net_addr_t *peer)
{
    return (quic_start_t){.peer = peer,
                          .now_ms = now_ms(l),
                          .wall_s = driver_wall_ms(sched_driver(l->host->sched)) / 1000,
                          .user = l};
}

err_t quic_link_accept(quic_socket_t *s, const net_addr_t *from, const net_addr_t *local, bytes_t datagram)
{
    quic_link_t *l = link_new(s, true);
    l->local = *local;
    quic_start_t how = start_of(l, from);
    err_t e = begin_inbound_use(l->host, from, false, &l->use);
    if (!e)
        e = multiaddr_from_quic(from->family, from->ip, from->port, &l->remote);
    if (!e)
        e = quic_accept(l->host->quic->endpoint, &how, datagram, &l->engine);
    if (e) {
        conn_use_end(&l->use);
        free(l);
        return e;
    }
    metric_add(net_metrics()->bytes_in, (double)datagram.len);
    start(l);
    return OK;
}

err_t quic_connect(task_t *t, host_t *h, const net_addr_t *to, const upgrade_how_t *how, conn_t **ret_conn)
{
    quic_socket_t *s;
    TRY(quic_socket_to(h, to, how->is_apart, &s));
    quic_link_t *l = link_new(s, false);
    l->remote = *how->remote;
    quic_start_t from = start_of(l, to);
    err_t e = quic_dial(h->quic->endpoint, &from, how->expected, &l->engine);
    if (e) {
        free(l);
        return e;
    }
    l->use = *how->use;
    *how->use = (conn_use_t){.host = NULL};
    start(l);
    while (!e && !l->conn && l->engine)
        e = event_wait(t, &l->done);
    if (l->conn && !e) {
        *ret_conn = l->conn; /* with the reference that conn_make gave */
        return OK;
    }
    if (l->conn) { /* given up in the moment in which it stood */
        conn_t *c = l->conn;
        conn_close(c);
        conn_release(c);
        return e;
    }
    if (!e)
        e = fail(l->error, "%s", l->reason);
    quic_link_free(l);
    return e;
}

/* ── as the multiplexer of a connection ──────────────────────────────────────────────────────── */
static quic_stream_t *of(mux_stream_t *s)
{
    return (quic_stream_t *)s;
}

static err_t open_stream(conn_t *c, conn_stream_t *user, mux_stream_t **ret_stream)
{
    quic_stream_t *s;
    TRY(quic_stream_open(c->quic->engine, user, &s));
    *ret_stream = (mux_stream_t *)s;
    return OK;
}

static void accept_stream(mux_stream_t *s, conn_stream_t *user)
{
    quic_stream_accept(of(s), user);
}

static err_t read_stream(conn_t *c, mux_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    return quic_stream_read(of(s), out, cap, ret_n);
}

static err_t write_stream(mux_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n)
{
    return quic_stream_write(of(s), pieces, n, ret_n);
}

static err_t close_write(mux_stream_t *s)
{
    return quic_stream_close_write(of(s));
}

static void reset_stream(mux_stream_t *s)
{
    quic_stream_reset(of(s));
}

static void release_stream(conn_t *c, mux_stream_t *s)
{
    quic_stream_release(of(s), sched_now_ms(c->host->sched));
}

static err_t set_limit(mux_stream_t *s, limit_t *limit)
{
    return quic_stream_set_limit(of(s), limit);
}

static void wake(conn_t *c)
{
    if (quic_has_output(c->quic->engine))
        sched_post(c->host->sched, &c->quic->pump);
}

static bool may_open(const conn_t *c)
{
    return c->quic->engine && quic_may_open(c->quic->engine);
}

static uint32_t rtt_ms(const conn_t *c)
{
    return c->quic->engine ? quic_rtt_ms(c->quic->engine) : 0;
}

static void end_conn(conn_t *c, err_t reason)
{
    if (c->quic->engine)
        quic_end(c->quic->engine, reason == ERR_CLOSED ? ERR_CLOSED : ERR_RESET);
    stop(c->quic);
}

const mux_ops_t mux_quic = {
    .protocol = "",
    .open = open_stream,
    .accept = accept_stream,
    .read = read_stream,
    .write = write_stream,
    .close_write = close_write,
    .reset = reset_stream,
    .release = release_stream,
    .wake = wake,
    .set_limit = set_limit,
    .may_open = may_open,
    .rtt_ms = rtt_ms,
    .end = end_conn,
};
