/* listen: TCP listeners, and inbound connections up to their upgrade. */
#include "base/log.h"
#include "base/metrics.h"
#include "net/host_internal.h"
#include "net/nat_internal.h"
#include <stdlib.h>

typedef struct inbound {
    list_t node; /* in host->pending */
    host_t *host;
    stream_t *raw;
    net_addr_t from;
} inbound_t;

static void inbound_free(inbound_t *in)
{
    list_remove(&in->node);
    in->host->n_pending--;
    free(in);
}

static err_t upgrade_inbound(task_t *t, void *arg)
{
    inbound_t *in = arg;
    multiaddr_t remote;
    conn_t *c;
    err_t e = multiaddr_from_tcp(in->from.family, in->from.ip, in->from.port, &remote);
    if (e)
        stream_close(in->raw);
    else
        e = upgrade(t, in->host, in->raw, &(upgrade_how_t){.remote = &remote, .is_inbound = true}, &c);
    inbound_free(in);
    if (e)
        log_debug("an inbound connection failed", LOG_ERR(e));
    else
        conn_release(c);
    return OK;
}

/* Who shares this much of an address is taken for one: a home gets a whole IPv6 /64. */
static bool is_same_place(const net_addr_t *a, const net_addr_t *b)
{
    return a->family == b->family && !memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8);
}

static err_t check_place(const host_t *h, const net_addr_t *from)
{
    const host_limits_t *limits = &h->config.limits;
    size_t n_pending = 0, n_open = 0;
    if (net_addr_is_loopback(from))
        return OK;
    LIST_EACH (in, &h->pending, const inbound_t, node)
        n_pending += is_same_place(&in->from, from);
    LIST_EACH (c, &h->conns, const conn_t, node) {
        net_addr_t at;
        n_open += c->is_inbound && !net_addr_of_multiaddr(&c->remote, &at) && is_same_place(&at, from);
    }
    if (n_pending >= limits->max_pending_per_ip)
        return fail(ERR_LIMIT,
                    "%zu connections from one address are being set up (limits.max_pending_per_ip)",
                    n_pending);
    if (n_open >= limits->max_inbound_per_ip)
        return fail(ERR_LIMIT, "%zu connections from one address are open (limits.max_inbound_per_ip)",
                    n_open);
    return OK;
}

static err_t check_inbound(const host_t *h, const net_addr_t *from)
{
    const host_limits_t *limits = &h->config.limits;
    if (addr_is_filtered(h, from))
        return fail(ERR_DENIED, "its address is filtered (Swarm.AddrFilters)");
    if (h->n_pending >= limits->max_inbound_pending)
        return fail(ERR_LIMIT, "%zu inbound connections are being set up (limits.max_inbound_pending)",
                    h->n_pending);
    if (h->n_conns >= limits->max_conns)
        return fail(ERR_LIMIT, "%zu connections are open (limits.max_conns)", h->n_conns);
    return check_place(h, from);
}

static void take_inbound(host_t *h, stream_t *raw, const net_addr_t *from)
{
    inbound_t *in = xcalloc(1, sizeof *in);
    *in = (inbound_t){.host = h, .raw = raw, .from = *from};
    err_t e = check_inbound(h, from);
    if (!e)
        e = group_spawn(&h->tasks, "inbound connection", upgrade_inbound, in, NULL);
    if (!e) {
        list_push_back(&h->pending, &in->node);
        h->n_pending++;
        return;
    }
    metric_add(net_metrics()->refused, 1);
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
    if (multiaddr_is_circuit(at))
        return relay_listen(h, at);
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
