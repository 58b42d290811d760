/* relay_finder: relays, taken while others cannot dial this node; as long as nobody knows whether they can,
 * after a while. First among the peers that are connected; when these are not enough, a source is asked (the
 * DHT), and what it names is dialed, one after the other, until there are enough. */
#include "base/log.h"
#include "net/nat_internal.h"
#include <stdlib.h>

enum {
    WANTED = 2,
    REFUSED_MAX = 64,
    REFUSED_FOR_MS = 3600000,
    LOOK_AGAIN_MS = 60000,
    SEARCH_AGAIN_MS = 300000,
    CANDIDATES_MAX = 20, /* of a search */
    CANDIDATE_ADDRS_MAX = 8,
    CANDIDATE_TIMEOUT_MS = 20000,
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

/* ── beyond the connected ────────────────────────────────────────────────────────────────────── */
typedef struct candidates {
    host_t *host;
    size_t n;
    peer_id_t peers[CANDIDATES_MAX]; /* where they are is in the peerstore */
} candidates_t;

static bool on_found(void *arg, const peer_id_t *peer, const multiaddr_t *addrs, size_t n)
{
    candidates_t *c = arg;
    host_t *h = c->host;
    if (peer_id_equal(peer, &h->id) || relay_find(h->nat, peer) || was_refused(h, peer) ||
        (peerstore_knows_protocols(h->peerstore, peer) &&
         !peerstore_speaks(h->peerstore, peer, RELAY_HOP_PROTOCOL)))
        return true;
    peerstore_add_addrs(h->peerstore, peer, addrs, n < CANDIDATE_ADDRS_MAX ? n : CANDIDATE_ADDRS_MAX,
                        ADDR_TTL_TEMP_MS);
    c->peers[c->n++] = *peer;
    return c->n < CANDIDATES_MAX;
}

static bool wants_more(const host_t *h)
{
    return !h->is_closing && host_reachability(h) != REACHABILITY_PUBLIC && h->nat->n_relays < WANTED;
}

static err_t meet(task_t *t, host_t *h, const peer_id_t *peer)
{
    conn_t *c;
    deadline_t d = deadline_push(t, CANDIDATE_TIMEOUT_MS);
    err_t e = host_connect(t, h, peer, NULL, 0, &c);
    if (!e) {
        e = conn_wait_identified(t, c);
        if (!e && wants_more(h) && is_candidate(h, c))
            e = relay_add(h, peer, NULL, false);
        conn_release(c);
    }
    deadline_pop(t, &d);
    return e;
}

static err_t search_task(task_t *t, void *arg)
{
    host_t *h = arg;
    nat_t *nat = h->nat;
    candidates_t *found = xcalloc(1, sizeof *found);
    found->host = h;
    err_t e = nat->relay_source ? nat->relay_source(t, nat->relay_source_arg, on_found, found) : OK;
    for (size_t i = 0; i < found->n && wants_more(h) && !task_check(t); i++) {
        err_t failed = meet(t, h, &found->peers[i]);
        if (failed)
            log_debug("a peer that may be a relay is not reached", LOG_ERR(failed));
    }
    log_debug("relays were looked for", LOG_UINT("candidates", found->n), LOG_UINT("relays", nat->n_relays));
    free(found);
    nat->search = NULL;
    event_fire(&nat->search_ended);
    return e;
}

static void search(host_t *h)
{
    nat_t *nat = h->nat;
    uint64_t now_ms = sched_now_ms(h->sched);
    bool is_early = nat->searched_ms && now_ms < nat->searched_ms + SEARCH_AGAIN_MS;
    if (!nat->relay_source || nat->search || is_early)
        return;
    nat->searched_ms = now_ms;
    if (group_spawn(&h->tasks, "relay search", search_task, h, &nat->search))
        nat->search = NULL;
}

void host_set_relay_source(host_t *h, relay_source_fn fn, void *arg)
{
    if (!h->nat)
        return;
    h->nat->relay_source = fn;
    h->nat->relay_source_arg = arg;
    relay_finder_soon(h);
}

void host_drop_relay_source(task_t *t, host_t *h)
{
    if (!h->nat)
        return;
    h->nat->relay_source = NULL;
    if (h->nat->search)
        task_cancel(h->nat->search);
    task_shield(t);
    while (h->nat->search && !event_wait(t, &h->nat->search_ended))
        ;
    task_unshield(t);
}

static void on_alarm(void *arg)
{
    host_t *h = arg;
    alarm_clear(&h->nat->finder_alarm);
    if (h->is_closing || host_reachability(h) == REACHABILITY_PUBLIC)
        return;
    look(h);
    if (h->nat->n_relays < WANTED)
        search(h);
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
    event_init(&h->nat->search_ended);
}

void relay_finder_stop(host_t *h)
{
    alarm_clear(&h->nat->finder_alarm);
    free(h->nat->refused);
}
