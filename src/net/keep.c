/* keep: peers that the host tries to stay connected with: bootstrap nodes, peerings. Back-off from 5 s to 5
 * min, doubled by each failure, with jitter; an alarm for each peer and a task only while it is dialed. */
#include "base/log.h"
#include "net/host_internal.h"
#include <stdlib.h>

enum { KEEPS_MAX = 256, FIRST_MS = 5000, LAST_MS = 300000, STEADY_MS = 60000 };

struct keep {
    list_t node;
    host_t *host;
    peer_id_t peer;
    sched_alarm_t alarm;
    uint32_t failures;
    uint64_t connected_ms;
    bool is_dialing, is_dropped, is_peering;
};

static keep_t *find(host_t *h, const peer_id_t *peer)
{
    LIST_EACH (k, &h->keeps, keep_t, node)
        if (peer_id_equal(&k->peer, peer))
            return k;
    return NULL;
}

/* 3/4 to 5/4 of the time, so that nodes that lost a peer together do not come back together. */
static void schedule(keep_t *k)
{
    uint64_t ms = FIRST_MS;
    for (uint32_t i = 0; i < k->failures && ms < LAST_MS; i++)
        ms *= 2;
    ms = ms < LAST_MS ? ms : LAST_MS;
    alarm_set(&k->alarm, sched_now_ms(k->host->sched) + ms * 3 / 4 + host_random(k->host) % (ms / 2));
}

static void keep_free(keep_t *k)
{
    alarm_clear(&k->alarm);
    free(k);
}

static err_t dial_kept(task_t *t, void *arg)
{
    keep_t *k = arg;
    host_t *h = k->host;
    conn_t *c;
    host_forget_failures(h, &k->peer);            /* this has a back-off of its own */
    bool is_met = host_conn(h, &k->peer) != NULL; /* by a circuit that does not count */
    err_t e = is_met ? dial_direct(t, h, &k->peer, NULL, 0, &c) : host_connect(t, h, &k->peer, NULL, 0, &c);
    k->is_dialing = false;
    if (!e)
        conn_release(c);
    if (k->is_dropped) {
        keep_free(k);
        return OK;
    }
    if (e == ERR_CANCELED || host_is_connected(h, &k->peer))
        return OK;
    if (e)
        log_debug("a peer to stay connected with is not reached", LOG_ERR(e));
    k->failures++; /* one that is met through a relay's limited circuit alone is not reached either */
    schedule(k);
    return OK;
}

static void on_alarm(void *arg)
{
    keep_t *k = arg;
    if (k->is_dialing || host_is_connected(k->host, &k->peer))
        return;
    k->is_dialing = true;
    if (group_spawn(&k->host->tasks, "keep connected", dial_kept, k, NULL)) {
        k->is_dialing = false;
        if (!k->host->is_closing)
            schedule(k);
    }
}

err_t host_keep_connected(host_t *h, const multiaddr_t *addr)
{
    peer_id_t peer;
    TRY(multiaddr_peer(addr, &peer));
    if (peer_id_equal(&peer, &h->id))
        return fail(ERR_INVALID, "the peer is this node itself");
    peerstore_add_addrs(h->peerstore, &peer, addr, 1, ADDR_TTL_PERMANENT);
    if (find(h, &peer))
        return OK;
    if (h->n_keeps >= KEEPS_MAX)
        return fail(ERR_LIMIT, "%d peers to stay connected with, the limit", KEEPS_MAX);
    keep_t *k = xcalloc(1, sizeof *k);
    k->host = h;
    k->peer = peer;
    alarm_init(&k->alarm, h->sched, on_alarm, k);
    list_push_back(&h->keeps, &k->node);
    h->n_keeps++;
    host_protect(h, &peer, "keep");
    sched_post(h->sched, &k->alarm.runnable);
    return OK;
}

err_t host_add_peering(host_t *h, const multiaddr_t *addr)
{
    peer_id_t peer;
    TRY(host_keep_connected(h, addr));
    TRY(multiaddr_peer(addr, &peer));
    find(h, &peer)->is_peering = true;
    return OK;
}

void host_each_peering(host_t *h, void (*fn)(void *arg, const peer_id_t *peer), void *arg)
{
    LIST_EACH (k, &h->keeps, keep_t, node)
        if (k->is_peering)
            fn(arg, &k->peer);
}

static void drop(keep_t *k)
{
    list_remove(&k->node);
    k->host->n_keeps--;
    alarm_clear(&k->alarm);
    k->is_dropped = true;
    if (!k->is_dialing)
        keep_free(k);
}

void host_stop_keeping(host_t *h, const peer_id_t *peer)
{
    keep_t *k = find(h, peer);
    if (!k)
        return;
    drop(k);
    host_unprotect(h, peer, "keep");
}

void keep_stop_all(host_t *h)
{
    LIST_EACH (k, &h->keeps, keep_t, node)
        drop(k);
}

void keep_peer_connected(host_t *h, const peer_id_t *peer)
{
    keep_t *k = find(h, peer);
    if (!k)
        return;
    k->connected_ms = sched_now_ms(h->sched);
    alarm_clear(&k->alarm);
}

/* A connection that lasted starts the back-off anew; one that broke at once counts as a failure. */
void keep_peer_disconnected(host_t *h, const peer_id_t *peer)
{
    keep_t *k = find(h, peer);
    if (!k || h->is_closing)
        return;
    bool was_steady = sched_now_ms(h->sched) - k->connected_ms >= STEADY_MS;
    k->failures = was_steady ? 0 : k->failures + 1;
    schedule(k);
}
