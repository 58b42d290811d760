/* listen: listeners, and inbound connections over TCP up to their upgrade. */
#include "base/log.h"
#include "base/metrics.h"
#include "net/host_internal.h"
#include "net/nat_internal.h"
#include "net/quic.h"
#include "net/websocket.h"
#include <stdlib.h>

typedef struct inbound {
    conn_use_t use;
    net_addr_t from;
    host_t *host;
    stream_t *raw;
    bool takes[TRANSPORT_COUNT]; /* of its listener */
    uint8_t head[SNIFF_BYTES], head_len;
} inbound_t;

/* Which of the transports that share the port it is. A member of a private network begins with a nonce: one
 * of 2^16 looks like another transport, and its dial fails. */
static err_t tell_transport(task_t *t, inbound_t *in, transport_t *ret)
{
    transport_t found = TRANSPORT_COUNT;
    size_t n = 0;
    for (transport_t i = 0; i < TRANSPORT_COUNT; i++)
        if (in->takes[i]) {
            found = i;
            n++;
        }
    if (n > 1) {
        TRY(stream_read_full(t, in->raw, in->head, sizeof in->head));
        in->head_len = sizeof in->head;
        bool is_http = !memcmp(in->head, "GET ", 4), is_tls = !memcmp(in->head, "\x16\x03", 2);
        found = is_http ? TRANSPORT_WS : is_tls ? TRANSPORT_WSS : TRANSPORT_TCP;
    }
    *ret = found;
    return in->takes[found] ? OK : fail(ERR_PROTOCOL, "a transport that is not spoken on this port");
}

static err_t begin_inbound(task_t *t, inbound_t *in, multiaddr_t *ret_remote)
{
    transport_t transport;
    deadline_t d = deadline_push(t, in->host->config.limits.upgrade_timeout_ms);
    err_t e = tell_transport(t, in, &transport);
    deadline_pop(t, &d);
    TRY(e);
    TRY(multiaddr_of_endpoint(transport, &in->from, ret_remote));
    if (transport == TRANSPORT_TCP)
        return OK;
    stream_t *raw = in->raw;
    in->raw = NULL; /* taken in any case */
    e = websocket_accept(t, in->host, transport, raw, bytes_of(in->head, in->head_len), &in->raw);
    in->head_len = 0;
    return e;
}

static err_t upgrade_inbound(task_t *t, void *arg)
{
    inbound_t *in = arg;
    multiaddr_t remote;
    conn_t *c;
    err_t e = begin_inbound(t, in, &remote);
    if (e)
        stream_close(in->raw);
    else
        e = upgrade(t, in->host, in->raw,
                    &(upgrade_how_t){.remote = &remote,
                                     .is_inbound = true,
                                     .head = bytes_of(in->head, in->head_len),
                                     .use = &in->use},
                    &c);
    conn_use_end(&in->use);
    free(in);
    if (e)
        log_debug("an inbound connection failed", LOG_ERR(e));
    else
        conn_release(c);
    return OK;
}

err_t begin_inbound_use(host_t *h, const net_addr_t *from, bool has_fd, conn_use_t *ret)
{
    if (addr_is_filtered(h, from))
        return fail(ERR_DENIED, "its address is filtered (Swarm.AddrFilters)");
    return conn_use_begin(h, true, has_fd, from, ret);
}

static void take_inbound(const listen_t *l, stream_t *raw, const net_addr_t *from)
{
    host_t *h = l->host;
    inbound_t *in = xcalloc(1, sizeof *in);
    *in = (inbound_t){.host = h, .raw = raw, .from = *from};
    memcpy(in->takes, l->takes, sizeof in->takes);
    err_t e = begin_inbound_use(h, from, true, &in->use);
    if (!e) {
        e = group_spawn(&h->tasks, "inbound connection", upgrade_inbound, in, NULL);
        if (!e)
            return;
        conn_use_end(&in->use);
    }
    log_debug("an inbound connection was refused", LOG_ERR(e));
    free(in);
    stream_reset(raw);
    stream_close(raw);
}

static err_t accept_all(task_t *t, void *arg)
{
    listen_t *l = arg;
    while (!l->host->is_closing) { /* closing frees the listener, perhaps before this task first runs */
        stream_t *raw;
        net_addr_t from;
        err_t e = listener_accept(t, l->listener, &raw, &from);
        if (e == ERR_CLOSED || e == ERR_CANCELED)
            return OK;
        if (e) {
            log_warn("accepting connections failed", LOG_ERR(e));
            TRY(task_sleep(t, 1000));
            continue;
        }
        take_inbound(l, raw, &from);
    }
    return OK;
}

/* One of ours at the same address and port, for transports that share it. */
static listen_t *find_listen(host_t *h, const net_addr_t *at)
{
    LIST_EACH (l, &h->listens, listen_t, node)
        if (l->listener && at->port && net_addr_equal(&l->bound, at))
            return l;
    return NULL;
}

static err_t start_listen(host_t *h, const net_addr_t *at, listen_t **ret)
{
    listener_t *listener;
    TRY(net_listen(sched_driver(h->sched), at, &listener));
    listen_t *l = xcalloc(1, sizeof *l);
    l->host = h;
    l->listener = listener;
    l->bound = listener->at;
    err_t e = group_spawn(&h->tasks, "listener", accept_all, l, NULL);
    if (e) {
        listener_close(listener);
        free(l);
        return e;
    }
    list_push_back(&h->listens, &l->node);
    *ret = l;
    return OK;
}

static err_t listen_quic(host_t *h, const net_addr_t *at)
{
    net_addr_t bound;
    TRY(quic_listen(h, at, &bound));
    listen_t *l = xcalloc(1, sizeof *l);
    *l = (listen_t){.host = h, .bound = bound};
    l->takes[TRANSPORT_QUIC] = true;
    list_push_back(&h->listens, &l->node);
    host_tell_addrs_changed(h);
    return OK;
}

err_t host_listen(task_t *t, host_t *h, const multiaddr_t *at)
{
    if (multiaddr_is_circuit(at))
        return relay_listen(h, at);
    endpoint_t to;
    TRY(endpoint_of_multiaddr(at, &to));
    if (to.transport == TRANSPORT_QUIC && quic_missing)
        return fail(ERR_UNSUPPORTED, "%s", quic_missing);
    if (to.transport == TRANSPORT_WSS && host_speaks(h, to.transport) && !h->web_tls)
        return fail(ERR_UNSUPPORTED,
                    "secure WebSocket needs a certificate: set Swarm.WebsocketTLS.CertFile and KeyFile");
    if (!host_speaks(h, to.transport))
        return fail(ERR_UNSUPPORTED, "this node listens on no such transport");
    if (to.transport == TRANSPORT_QUIC)
        return listen_quic(h, &to.at);
    listen_t *l = find_listen(h, &to.at);
    if (l && l->takes[to.transport])
        return fail(ERR_IN_USE, "this address is listened on already");
    if (!l)
        TRY(start_listen(h, &to.at, &l));
    l->takes[to.transport] = true;
    host_tell_addrs_changed(h);
    return OK;
}
