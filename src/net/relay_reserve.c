/* relay_reserve: reservations at relays: asked for, refreshed in time, taken up again after a loss. One task
 * per relay, at most RELAYS_MAX. */
#include "base/log.h"
#include "codec/relay_voucher.h"
#include "net/nat_internal.h"
#include <stdlib.h>

enum {
    RESERVE_TIMEOUT_MS = 60000,
    REFRESH_EARLY_MS = 300000, /* before it expires, or half of its time */
    SHORTEST_MS = 10000,
    RETRY_FIRST_MS = 5000,
    RETRY_MAX_MS = 600000,
};
#define RELAY_TAG "relay"

relay_t *relay_find(const nat_t *nat, const peer_id_t *peer)
{
    LIST_EACH (r, &nat->relays, relay_t, node)
        if (peer_id_equal(&r->peer, peer))
            return r;
    return NULL;
}

size_t relay_reserved_count(const nat_t *nat)
{
    size_t n = 0;
    LIST_EACH (r, &nat->relays, const relay_t, node)
        n += r->is_reserved;
    return n;
}

/* ── the answer ──────────────────────────────────────────────────────────────────────────────── */
static err_t check_voucher(const relay_t *r, const relay_message_t *m)
{
    relay_voucher_t v;
    if (!m->voucher.len)
        return OK;
    TRY(relay_voucher_open(m->voucher, &v));
    if (!peer_id_equal(&v.relay, &r->peer) || !peer_id_equal(&v.peer, &r->host->id))
        return fail(ERR_CRYPTO, "the relay's voucher is about other peers");
    return OK;
}

/* …/p2p/RELAY/p2p-circuit, once. */
static void put_addr(relay_t *r, const multiaddr_t *at)
{
    multiaddr_t full;
    peer_id_t owner;
    if (r->n_addrs == RELAY_ADDRS_MAX || multiaddr_is_circuit(at) ||
        (!multiaddr_peer(at, &owner) && !peer_id_equal(&owner, &r->peer)) ||
        multiaddr_with_peer(at, &r->peer, &full) || multiaddr_append(&full, MA_P2P_CIRCUIT, BYTES_NONE))
        return;
    for (size_t i = 0; i < r->n_addrs; i++)
        if (multiaddr_equal(&r->addrs[i], &full))
            return;
    r->addrs[r->n_addrs++] = full;
}

/* Those that the relay vouches for; one that only says nothing about them is reached as we reach it. */
static void take_addrs(relay_t *r, const relay_message_t *m, const multiaddr_t *seen)
{
    multiaddr_t addr;
    r->n_addrs = 0;
    for (size_t i = 0; relay_next_addr(m, &i, &addr);)
        if (!multiaddr_is_loopback(&addr) || multiaddr_is_loopback(seen))
            put_addr(r, &addr);
    if (!r->n_addrs)
        put_addr(r, seen);
}

static err_t take_answer(relay_t *r, const relay_message_t *m, const conn_t *c)
{
    host_t *h = r->host;
    if (m->type != RELAY_STATUS)
        return fail(ERR_PROTOCOL, "the relay answered with something else than a status");
    if (m->status != RELAY_OK)
        return fail(ERR_REFUSED, "the relay refused: %s (%u)", relay_status_name(m->status), m->status);
    uint64_t wall_s = driver_wall_ms(sched_driver(h->sched)) / 1000;
    if (!m->has_reservation || m->expires_s <= wall_s)
        return fail(ERR_PROTOCOL, "the relay's reservation is over already");
    TRY(check_voucher(r, m));
    uint64_t left_s = m->expires_s - wall_s;
    r->expires_ms = sched_now_ms(h->sched) + (left_s < 7 * 86400 ? left_s : 7 * 86400) * 1000;
    take_addrs(r, m, &c->remote);
    return OK;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */
static err_t ask_on(task_t *t, relay_t *r, conn_t *c)
{
    static const char *const protocols[] = {RELAY_HOP_PROTOCOL};
    relay_message_t ask = {.type = RELAY_RESERVE}, answer;
    stream_t *s;
    AUTO(buf_t) in;
    buf_init(&in, RELAY_MESSAGE_MAX_BYTES);
    TRY(conn_open_stream(t, c, protocols, 1, &s, NULL));
    err_t e = relay_write_hop(t, s, &ask, NULL, 0);
    if (!e)
        e = relay_read_hop(t, s, &in, &answer);
    if (!e)
        e = take_answer(r, &answer, c);
    if (e)
        stream_reset(s);
    stream_close(s);
    return e;
}

static err_t ask(task_t *t, relay_t *r)
{
    conn_t *c;
    deadline_t d = deadline_push(t, RESERVE_TIMEOUT_MS);
    err_t e = dial_direct(t, r->host, &r->peer, &r->hint, r->hint.len > 0, &c);
    if (!e) {
        e = ask_on(t, r, c);
        conn_release(c);
    }
    deadline_pop(t, &d);
    return e;
}

static void set_reserved(relay_t *r, bool is_reserved)
{
    if (is_reserved)
        host_protect(r->host, &r->peer, RELAY_TAG);
    else
        host_unprotect(r->host, &r->peer, RELAY_TAG);
    r->is_reserved = is_reserved;
    host_tell_addrs_changed(r->host);
}

/* ── keeping ─────────────────────────────────────────────────────────────────────────────────── */
static uint64_t refresh_in_ms(const relay_t *r)
{
    uint64_t left_ms = r->expires_ms - sched_now_ms(r->host->sched);
    uint64_t early_ms = left_ms / 2 < REFRESH_EARLY_MS ? left_ms / 2 : REFRESH_EARLY_MS;
    return left_ms - early_ms > SHORTEST_MS ? left_ms - early_ms : SHORTEST_MS;
}

static uint64_t retry_in_ms(relay_t *r)
{
    uint64_t ms = (uint64_t)RETRY_FIRST_MS << (r->failures < 7 ? r->failures : 7);
    r->failures++;
    return (ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS) + host_random(r->host) % 1000;
}

/* Until the time has come, the connection is lost, or the relay is not wanted any more. */
static err_t wait_for_news(task_t *t, relay_t *r, uint64_t ms)
{
    deadline_t d = deadline_push(t, ms);
    err_t e = r->is_dropped ? OK : event_wait(t, &r->changed);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? task_check(t) : e;
}

static err_t keep(task_t *t, relay_t *r)
{
    while (!r->is_dropped) {
        multiaddr_t before = r->addrs[0];
        bool was_reserved = r->is_reserved;
        r->is_asking = true;
        err_t e = ask(t, r);
        r->is_asking = false;
        if (e == ERR_CANCELED || task_check(t))
            return ERR_CANCELED;
        if (e)
            log_debug("a relay gives no reservation", LOG_ERR(e));
        else
            r->failures = 0;
        if (was_reserved != !e || (!e && !multiaddr_equal(&before, &r->addrs[0])))
            set_reserved(r, !e);
        if (e && !r->is_wanted) {
            relay_finder_refused(r->host, &r->peer);
            return OK;
        }
        TRY(wait_for_news(t, r, e ? retry_in_ms(r) : refresh_in_ms(r)));
        if (r->is_reserved && !host_is_connected(r->host, &r->peer))
            set_reserved(r, false);
    }
    return OK;
}

static err_t keep_task(task_t *t, void *arg)
{
    relay_t *r = arg;
    host_t *h = r->host;
    err_t e = keep(t, r);
    list_remove(&r->node);
    h->nat->n_relays--;
    if (r->is_reserved)
        set_reserved(r, false);
    free(r);
    relay_finder_soon(h);
    return e;
}

err_t relay_add(host_t *h, const peer_id_t *peer, const multiaddr_t *hint, bool is_wanted)
{
    relay_t *r = relay_find(h->nat, peer);
    if (r) {
        r->is_wanted |= is_wanted;
        return OK;
    }
    if (h->nat->n_relays == RELAYS_MAX)
        return fail(ERR_LIMIT, "%d relays, the limit", RELAYS_MAX);
    r = xcalloc(1, sizeof *r);
    r->host = h;
    r->peer = *peer;
    r->is_wanted = is_wanted;
    if (hint)
        r->hint = *hint;
    event_init(&r->changed);
    err_t e = group_spawn(&h->tasks, "relay", keep_task, r, NULL);
    if (e) {
        free(r);
        return e;
    }
    list_push_back(&h->nat->relays, &r->node);
    h->nat->n_relays++;
    return OK;
}

err_t host_add_relay(host_t *h, const multiaddr_t *relay)
{
    multiaddr_t at = {0};
    multiaddr_part_t part;
    peer_id_t peer;
    if (!h->nat || !h->nat->config.uses_relays)
        return fail(ERR_UNSUPPORTED, "relays are switched off (Swarm.Transports.Network.Relay)");
    for (size_t i = 0; multiaddr_next(relay, &i, &part) && part.code != MA_P2P_CIRCUIT;)
        TRY(multiaddr_append(&at, part.code, part.value));
    if (multiaddr_peer(&at, &peer))
        return fail(ERR_INVALID, "the address names no relay: it has the form /ip4/…/tcp/…/p2p/RELAY");
    if (peer_id_equal(&peer, &h->id))
        return fail(ERR_INVALID, "the relay is this node itself");
    multiaddr_t bare;
    multiaddr_without_peer(&at, &bare);
    return relay_add(h, &peer, bare.len ? &at : NULL, true);
}

err_t relay_listen(host_t *h, const multiaddr_t *at)
{
    multiaddr_part_t first;
    size_t i = 0;
    if (multiaddr_next(at, &i, &first) && first.code == MA_P2P_CIRCUIT && i == at->len) {
        if (!h->nat || !h->nat->config.finds_relays)
            return fail(ERR_UNSUPPORTED, "relays are not looked for (Swarm.RelayClient.Enabled)");
        relay_finder_soon(h);
        return OK;
    }
    return host_add_relay(h, at);
}

void relay_drop_found(host_t *h)
{
    LIST_EACH (r, &h->nat->relays, relay_t, node)
        if (!r->is_wanted) {
            r->is_dropped = true;
            event_fire(&r->changed);
        }
}

void relay_peer_disconnected(host_t *h, const peer_id_t *peer)
{
    relay_t *r = relay_find(h->nat, peer);
    if (r)
        event_fire(&r->changed);
}
