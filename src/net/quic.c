#include "net/quic.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/quic_internal.h"
#include <stdlib.h>

/* One socket is read this often before others have their turn. */
enum { BURSTS_IN_A_ROW = 16, SERVERS_PROVE_SHARE = 4 };

const char *const quic_missing = NULL;

err_t quic_net_of(host_t *h, quic_net_t **ret)
{
    if (!h->quic) {
        const host_limits_t *limits = &h->config.limits;
        quic_config_t c;
        quic_endpoint_t *endpoint;
        quic_config_default(&c);
        c.identity = h->config.key;
        c.max_streams = limits->max_streams_per_conn;
        if (c.max_inbound_streams > limits->max_streams_per_conn)
            c.max_inbound_streams = limits->max_streams_per_conn;
        c.handshake_timeout_ms = limits->upgrade_timeout_ms;
        TRY(quic_endpoint_new(&c, &endpoint));
        h->quic = xcalloc(1, sizeof *h->quic);
        h->quic->endpoint = endpoint;
        list_init(&h->quic->sockets);
        list_init(&h->quic->links);
    }
    *ret = h->quic;
    return OK;
}

/* ── receiving ───────────────────────────────────────────────────────────────────────────────── */
static void take_new(quic_socket_t *s, const udp_burst_t *b, bytes_t datagram)
{
    err_t e = quic_link_accept(s, &b->peer, &b->local, datagram);
    if (e)
        log_debug("an inbound connection was refused", LOG_ERR(e));
}

static void take_datagram(quic_socket_t *s, const udp_burst_t *b, bytes_t datagram)
{
    host_t *h = s->host;
    uint8_t reply[QUIC_REPLY_MAX];
    size_t len = 0;
    quic_t *q = NULL;
    bool must_prove =
        places_is_busy(&h->resources.places, &b->peer, sched_now_ms(h->sched)) ||
        conns_being_accepted(h) >= h->resources.limits.max[SCOPE_TRANSIENT].conns_in / SERVERS_PROVE_SHARE;
    switch (quic_endpoint_route(h->quic->endpoint, &b->peer, datagram, sched_now_ms(h->sched), must_prove, &q,
                                reply, &len)) {
    case QUIC_TO_CONN:
        quic_link_feed(quic_user(q), s, b, datagram);
        break;
    case QUIC_TO_NEW:
        if (s->is_listening)
            take_new(s, b, datagram);
        break;
    case QUIC_TO_REPLY: {
        udp_burst_t back = {.peer = b->peer, .local = b->local, .segment_bytes = len};
        if (s->is_listening && udp_send_burst(s->udp, &back, bytes_of(reply, len), &len))
            log_debug("an answer to a datagram of nobody was not sent");
        break;
    }
    case QUIC_TO_NOBODY:
        break;
    }
}

static void on_input(void *arg)
{
    quic_socket_t *s = arg;
    host_t *h = s->host;
    udp_burst_t b;
    size_t n;
    if (!h->receive_area)
        h->receive_area = xmalloc(RECEIVE_AREA);
    for (int i = 0; i < BURSTS_IN_A_ROW; i++) {
        if (udp_recv_burst(s->udp, &b, h->receive_area, UDP_BURST_MAX, &n))
            return; /* nothing is there; a machine that goes down says no more either */
        for (size_t at = 0; at < n; at += b.segment_bytes)
            take_datagram(s, &b, bytes_slice(bytes_of(h->receive_area, n), at, b.segment_bytes));
    }
    sched_post(h->sched, &s->input);
}

/* ── sockets ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_socket(host_t *h, const net_addr_t *at, bool is_listening, quic_socket_t **ret)
{
    quic_net_t *net;
    udp_t *udp;
    TRY(quic_net_of(h, &net));
    TRY(udp_open(sched_driver(h->sched), at, &udp));
    quic_socket_t *s = xcalloc(1, sizeof *s);
    s->host = h;
    s->udp = udp;
    s->is_listening = is_listening;
    runnable_init(&s->input, on_input, s);
    event_watch(&udp->readable, h->sched, &s->readable, &s->input);
    if (is_listening) /* those that listen are dialed from first */
        list_push_front(&net->sockets, &s->node);
    else
        list_push_back(&net->sockets, &s->node);
    sched_post(h->sched, &s->input);
    *ret = s;
    return OK;
}

err_t quic_listen(host_t *h, const net_addr_t *at, net_addr_t *ret_at)
{
    quic_socket_t *s;
    TRY(open_socket(h, at, true, &s));
    *ret_at = s->udp->at;
    return OK;
}

/* Can the address be reached from where the socket is bound? */
static bool leads_to(const net_addr_t *from, const net_addr_t *to)
{
    return from->family == to->family &&
           (net_addr_is_any(from) || net_addr_is_loopback(from) == net_addr_is_loopback(to));
}

static quic_socket_t *find_socket(host_t *h, const net_addr_t *to, bool is_apart)
{
    if (h->quic)
        LIST_EACH (s, &h->quic->sockets, quic_socket_t, node)
            if (s->is_apart == is_apart && leads_to(&s->udp->at, to))
                return s;
    return NULL;
}

err_t quic_socket_to(host_t *h, const net_addr_t *to, bool is_apart, quic_socket_t **ret)
{
    net_addr_t any = {.family = to->family};
    *ret = find_socket(h, to, is_apart);
    if (*ret)
        return OK;
    TRY(open_socket(h, &any, false, ret));
    (*ret)->is_apart = is_apart;
    return OK;
}

void quic_punch(host_t *h, const net_addr_t *to)
{
    quic_socket_t *s = find_socket(h, to, false);
    uint8_t noise[64];
    if (!s)
        return;
    driver_random(sched_driver(h->sched), noise, sizeof noise);
    noise[0] &= 0x3f; /* neither a long header nor the fixed bit: no packet of QUIC's */
    if (udp_send(s->udp, to, bytes_of(noise, sizeof noise)))
        log_debug("a datagram for hole punching was not sent");
}

void quic_stop(host_t *h)
{
    if (!h->quic)
        return;
    quic_link_stop_all(h);
    LIST_EACH (s, &h->quic->sockets, quic_socket_t, node) {
        event_unwatch(&s->readable);
        runnable_cancel(&s->input);
        udp_close(s->udp);
        free(s);
    }
    quic_endpoint_free(h->quic->endpoint);
    free(h->quic);
    h->quic = NULL;
}
