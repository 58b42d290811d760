/* relay_finder: relays among the peers that this node is connected with, taken while others cannot dial it;
 * as long as nobody knows whether they can, after a while. */
#include "net/nat_internal.h"
#include <stdlib.h>

enum {
    WANTED = 2,
    REFUSED_MAX = 64,
    REFUSED_FOR_MS = 3600000,
    LOOK_AGAIN_MS = 60000,
    BOOT_DELAY_MS = 180000
};

struct refused {
    peer_id_t peer;
    uint64_t until_ms;
};

void relay_finder_refused(host_t *h, const peer_id_t *peer)
{
    nat_t *nat = h->nat;
    if (!nat->refused)
        nat->refused = xcalloc(REFUSED_MAX, sizeof *nat->refused);
    size_t at = 0;
    for (size_t i = 1; i < nat->n_refused; i++)
        if (nat->refused[i].until_ms < nat->refused[at].until_ms)
            at = i;
    if (nat->n_refused < REFUSED_MAX)
        at = nat->n_refused++;
    nat->refused[at] = (struct refused){*peer, sched_now_ms(h->sched) + REFUSED_FOR_MS};
}

static bool was_refused(const host_t *h, const peer_id_t *peer)
{
    for (size_t i = 0; i < h->nat->n_refused; i++)
        if (peer_id_equal(&h->nat->refused[i].peer, peer))
            return sched_now_ms(h->sched) < h->nat->refused[i].until_ms;
    return false;
}

static bool is_candidate(const host_t *h, const conn_t *c)
{
    return !multiaddr_is_circuit(&c->remote) &&
           peerstore_speaks(h->peerstore, &c->peer->id, RELAY_HOP_PROTOCOL) &&
           !relay_find(h->nat, &c->peer->id) && !was_refused(h, &c->peer->id);
}

static void look(host_t *h)
{
    nat_t *nat = h->nat;
    conn_t *chosen[WANTED];
    size_t n = 0;
    LIST_EACH (c, &h->conns, conn_t, node)
        if (nat->n_relays + n < WANTED && is_candidate(h, c))
            chosen[n++] = c;
    for (size_t i = 0; i < n; i++)
        if (relay_add(h, &chosen[i]->peer->id, NULL, false))
            break;
}

static void on_alarm(void *arg)
{
    host_t *h = arg;
    alarm_clear(&h->nat->finder_alarm);
    if (h->is_closing || host_reachability(h) == REACHABILITY_PUBLIC)
        return;
    look(h);
    if (h->nat->n_relays < WANTED)
        alarm_set(&h->nat->finder_alarm, sched_now_ms(h->sched) + LOOK_AGAIN_MS);
}

void relay_finder_soon(host_t *h)
{
    nat_t *nat = h->nat;
    reachability_t r = host_reachability(h);
    if (h->is_closing || !nat->config.finds_relays || !nat->config.uses_relays || r == REACHABILITY_PUBLIC ||
        nat->n_relays >= WANTED)
        return;
    uint64_t at = sched_now_ms(h->sched) + (r == REACHABILITY_PRIVATE ? 0 : BOOT_DELAY_MS);
    if (at < nat->finder_alarm.at_ms)
        alarm_set(&nat->finder_alarm, at);
}

void relay_finder_start(host_t *h)
{
    alarm_init(&h->nat->finder_alarm, h->sched, on_alarm, h);
}

void relay_finder_stop(host_t *h)
{
    alarm_clear(&h->nat->finder_alarm);
    free(h->nat->refused);
}
