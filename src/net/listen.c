/* listen: TCP listeners, and inbound connections up to their upgrade. */
#include "base/log.h"
#include "net/host_internal.h"
#include <stdlib.h>

typedef struct inbound {
    host_t *host;
    stream_t *raw;
    net_addr_t from;
} inbound_t;

static err_t upgrade_inbound(task_t *t, void *arg)
{
    inbound_t in = *(inbound_t *)arg;
    free(arg);
    multiaddr_t remote;
    conn_t *c;
    err_t e = multiaddr_from_tcp(in.from.family, in.from.ip, in.from.port, &remote);
    if (e)
        stream_close(in.raw);
    else
        e = upgrade(t, in.host, in.raw, NULL, &remote, &c);
    in.host->n_pending--;
    if (e)
        log_debug("an inbound connection failed", LOG_ERR(e));
    else
        conn_release(c);
    return OK;
}

static void take_inbound(host_t *h, stream_t *raw, const net_addr_t *from)
{
    const host_limits_t *limits = &h->config.limits;
    err_t e = OK;
    if (h->n_pending >= limits->max_inbound_pending)
        e = fail(ERR_LIMIT, "%zu inbound connections are being set up (limits.max_inbound_pending)",
                 h->n_pending);
    else if (h->n_conns >= limits->max_conns)
        e = fail(ERR_LIMIT, "%zu connections are open (limits.max_conns)", h->n_conns);
    inbound_t *in = xmalloc(sizeof *in);
    *in = (inbound_t){h, raw, *from};
    if (!e)
        e = group_spawn(&h->tasks, "inbound connection", upgrade_inbound, in, NULL);
    if (!e) {
        h->n_pending++;
        return;
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
        take_inbound(l->host, raw, &from);
    }
    return OK;
}

err_t host_listen(task_t *t, host_t *h, const multiaddr_t *at)
{
    net_addr_t addr;
    TRY(net_addr_of_multiaddr(at, &addr));
    listener_t *listener;
    TRY(net_listen(sched_driver(h->sched), &addr, &listener));
    listen_t *l = xcalloc(1, sizeof *l);
    l->host = h;
    l->listener = listener;
    err_t e = multiaddr_from_tcp(listener->at.family, listener->at.ip, listener->at.port, &l->at);
    if (!e)
        e = group_spawn(&h->tasks, "listener", accept_all, l, NULL);
    if (e) {
        listener_close(listener);
        free(l);
        return e;
    }
    list_push_back(&h->listens, &l->node);
    host_tell_addrs_changed(h);
    return OK;
}
