/* relay_service: this node as a relay for others: reservations, and circuits to those who have one. It serves
 * while it can be dialed itself. Nothing is kept for a peer that has left. */
#include "base/log.h"
#include "base/metrics.h"
#include "codec/relay_voucher.h"
#include "net/nat_internal.h"
#include <stdlib.h>

enum {
    REQUEST_TIMEOUT_MS = 60000,
    CONNECT_TIMEOUT_MS = 30000,
};
#define RESERVATION_TAG "relay-reservation"
enum { RESERVATION_SCORE = 10, HOP_STREAMS_MAX = 32 };

typedef struct reservation {
    list_t node;
    peer_id_t peer;
    uint8_t place[8]; /* IPv4 address, IPv6 /64 */
    uint64_t expires_ms;
} reservation_t;

struct circuit {
    list_t node;
    peer_id_t from, to;
    uint64_t charged;
};

/* ── reservations ────────────────────────────────────────────────────────────────────────────── */
static void drop(host_t *h, reservation_t *r)
{
    list_remove(&r->node);
    h->nat->n_reservations--;
    host_tag(h, &r->peer, RESERVATION_TAG, 0);
    free(r);
}

static void drop_expired(host_t *h)
{
    uint64_t now_ms = sched_now_ms(h->sched);
    LIST_EACH (r, &h->nat->reservations, reservation_t, node)
        if (r->expires_ms <= now_ms)
            drop(h, r);
}

static reservation_t *find(const nat_t *nat, const peer_id_t *peer)
{
    LIST_EACH (r, &nat->reservations, reservation_t, node)
        if (peer_id_equal(&r->peer, peer))
            return r;
    return NULL;
}

static void place_of(const conn_t *c, uint8_t place[8])
{
    multiaddr_part_t ip;
    size_t i = 0;
    memset(place, 0, 8);
    if (multiaddr_next(&c->remote, &i, &ip))
        memcpy(place, ip.value.data, ip.value.len < 8 ? ip.value.len : 8);
}

static err_t check_room(const host_t *h, const uint8_t place[8])
{
    const relay_limits_t *limits = &h->nat->config.relay;
    size_t n_here = 0;
    LIST_EACH (r, &h->nat->reservations, const reservation_t, node)
        n_here += !memcmp(r->place, place, 8);
    if (h->nat->n_reservations >= limits->max_reservations)
        return fail(ERR_LIMIT, "%zu reservations (Swarm.RelayService.MaxReservations)",
                    h->nat->n_reservations);
    if (n_here >= limits->max_reservations_per_ip)
        return fail(ERR_LIMIT, "%zu reservations from one address (Swarm.RelayService.MaxReservationsPerIP)",
                    n_here);
    return OK;
}

static relay_status_t reserve(host_t *h, conn_t *c, uint64_t *ret_expires_ms)
{
    uint8_t place[8];
    if (multiaddr_is_circuit(&c->remote) || !h->nat->is_serving)
        return RELAY_PERMISSION_DENIED;
    drop_expired(h);
    reservation_t *r = find(h->nat, &c->peer->id);
    place_of(c, place);
    if (!r) {
        err_t e = check_room(h, place);
        if (e) {
            log_debug("a relay reservation was refused", LOG_ERR(e));
            return RELAY_RESERVATION_REFUSED;
        }
        r = xcalloc(1, sizeof *r);
        r->peer = c->peer->id;
        list_push_back(&h->nat->reservations, &r->node);
        h->nat->n_reservations++;
        host_tag(h, &r->peer, RESERVATION_TAG, RESERVATION_SCORE);
    }
    memcpy(r->place, place, 8);
    r->expires_ms = *ret_expires_ms = sched_now_ms(h->sched) + h->nat->config.relay.reservation_s * 1000ull;
    return RELAY_OK;
}

/* Where this node's clients are reached through it. */
static size_t own_addrs(const host_t *h, const conn_t *c, multiaddr_t *out, size_t cap)
{
    multiaddr_t *all = xmalloc(NAT_ADDRS_MAX * sizeof *all);
    size_t n_all = host_addrs(h, all, NAT_ADDRS_MAX), n = 0;
    for (size_t i = 0; i < n_all && n < cap; i++)
        if (!multiaddr_is_circuit(&all[i]) && !multiaddr_is_private(&all[i]) &&
            !multiaddr_with_peer(&all[i], &h->id, &out[n]))
            n++;
    free(all);
    return n;
}

static bool is_favoured(const host_t *h, const peer_id_t *peer)
{
    const char *protocol = h->nat->config.unlimited;
    return protocol && peerstore_speaks(h->peerstore, peer, protocol);
}

static void set_limit(const relay_limits_t *limits, relay_message_t *m)
{
    m->has_limit = limits->is_limited;
    m->limit_s = limits->circuit_s;
    m->limit_bytes = limits->circuit_bytes;
}

static err_t grant(task_t *t, stream_t *s, host_t *h, conn_t *from)
{
    multiaddr_t *addrs = xmalloc(RELAY_ADDRS_MAX * sizeof *addrs);
    size_t n = own_addrs(h, from, addrs, RELAY_ADDRS_MAX);
    relay_message_t m = {.type = RELAY_STATUS, .status = RELAY_OK, .has_reservation = true};
    m.expires_s = driver_wall_ms(sched_driver(h->sched)) / 1000 + h->nat->config.relay.reservation_s;
    relay_voucher_t v = {.relay = h->id, .peer = from->peer->id, .expires_s = m.expires_s};
    AUTO(buf_t) voucher;
    buf_init(&voucher, RELAY_MESSAGE_MAX_BYTES);
    err_t e = relay_voucher_seal(h->config.key, &v, &voucher);
    m.voucher = buf_bytes(&voucher);
    relay_limits_t limits = h->nat->config.relay;
    limits.is_limited = limits.is_limited && !is_favoured(h, &from->peer->id);
    set_limit(&limits, &m);
    if (!e)
        e = relay_write_hop(t, s, &m, addrs, n);
    free(addrs);
    return e;
}

/* ── circuits ────────────────────────────────────────────────────────────────────────────────── */
static size_t circuits_of(const nat_t *nat, const peer_id_t *peer)
{
    size_t n = 0;
    LIST_EACH (c, &nat->circuits, const circuit_t, node)
        n += peer_id_equal(&c->from, peer) + peer_id_equal(&c->to, peer);
    return n;
}

static relay_status_t check_connect(host_t *h, const conn_t *from, const peer_id_t *to)
{
    if (multiaddr_is_circuit(&from->remote) || !h->nat->is_serving)
        return RELAY_PERMISSION_DENIED;
    drop_expired(h);
    const conn_t *open = host_conn(h, to);
    return !find(h->nat, to) || !open || multiaddr_is_circuit(&open->remote) ? RELAY_NO_RESERVATION
                                                                             : RELAY_OK;
}

relay_status_t relay_circuit_begin(host_t *h, conn_t *from, const peer_id_t *to, circuit_t **ret)
{
    const relay_limits_t *limits = &h->nat->config.relay;
    uint64_t bytes = 2 * limits->buffer_bytes;
    if (h->nat->n_circuits >= limits->max_circuits ||
        circuits_of(h->nat, &from->peer->id) >= limits->max_circuits_per_peer ||
        circuits_of(h->nat, to) >= limits->max_circuits_per_peer || limit_charge(conn_limit(from), bytes))
        return RELAY_RESOURCE_LIMIT_EXCEEDED;
    circuit_t *c = xcalloc(1, sizeof *c);
    *c = (circuit_t){.from = from->peer->id, .to = *to, .charged = bytes};
    list_push_back(&h->nat->circuits, &c->node);
    h->nat->n_circuits++;
    *ret = c;
    return RELAY_OK;
}

void relay_circuit_end(host_t *h, conn_t *from, circuit_t *c)
{
    list_remove(&c->node);
    h->nat->n_circuits--;
    limit_release(conn_limit(from), c->charged);
    free(c);
}

static err_t announce(task_t *t, stream_t *s, const peer_id_t *from, const relay_limits_t *limits)
{
    relay_message_t ask = {.type = RELAY_CONNECT, .has_peer = true, .peer = *from}, answer;
    AUTO(buf_t) in;
    buf_init(&in, RELAY_MESSAGE_MAX_BYTES);
    set_limit(limits, &ask);
    TRY(relay_write_stop(t, s, &ask));
    TRY(relay_read_stop(t, s, &in, &answer));
    if (answer.type != RELAY_STATUS || answer.status != RELAY_OK)
        return fail(ERR_REFUSED, "the peer does not take the circuit: %s", relay_status_name(answer.status));
    return OK;
}

static err_t open_stop(task_t *t, host_t *h, const circuit_t *circuit, const relay_limits_t *limits,
                       stream_t **ret)
{
    static const char *const protocols[] = {RELAY_STOP_PROTOCOL};
    stream_t *s = NULL;
    conn_t *c = conn_ref(host_conn(h, &circuit->to));
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    err_t e = conn_open_stream(t, c, protocols, 1, &s, NULL);
    conn_release(c);
    if (!e)
        e = announce(t, s, &circuit->from, limits);
    deadline_pop(t, &d);
    if (e && s) {
        stream_reset(s);
        stream_close(s);
    }
    if (!e)
        *ret = s;
    return e;
}

static err_t send_status(task_t *t, stream_t *s, relay_status_t status)
{
    relay_message_t m = {.type = RELAY_STATUS, .status = status};
    TRY(relay_write_hop(t, s, &m, NULL, 0));
    return stream_close_write(s);
}

static err_t run_circuit(task_t *t, host_t *h, stream_t *s, const circuit_t *c)
{
    stream_t *other;
    relay_limits_t limits = h->nat->config.relay;
    limits.is_limited = limits.is_limited && !(is_favoured(h, &c->from) && is_favoured(h, &c->to));
    err_t e = open_stop(t, h, c, &limits, &other);
    if (e == ERR_CANCELED)
        return e;
    if (e) {
        log_debug("a circuit was not opened", LOG_ERR(e));
        return send_status(t, s, RELAY_CONNECTION_FAILED);
    }
    relay_message_t ok = {.type = RELAY_STATUS, .status = RELAY_OK};
    set_limit(&limits, &ok);
    e = relay_write_hop(t, s, &ok, NULL, 0);
    if (!e)
        metric_add(nat_metrics()->circuits, 1);
    if (!e)
        e = relay_forward(t, s, other, &limits);
    if (e)
        stream_reset(other);
    stream_close(other);
    return e;
}

static err_t serve_connect(task_t *t, stream_t *s, host_t *h, conn_t *from, const peer_id_t *to)
{
    circuit_t *c;
    relay_status_t status = check_connect(h, from, to);
    if (status == RELAY_OK)
        status = relay_circuit_begin(h, from, to, &c);
    if (status != RELAY_OK)
        return send_status(t, s, status);
    err_t e = run_circuit(t, h, s, c);
    relay_circuit_end(h, from, c);
    return e;
}

/* ── the protocol ────────────────────────────────────────────────────────────────────────────── */
static err_t serve_reserve(task_t *t, stream_t *s, host_t *h, conn_t *from)
{
    uint64_t expires_ms;
    relay_status_t status = reserve(h, from, &expires_ms);
    if (status != RELAY_OK)
        return send_status(t, s, status);
    TRY(grant(t, s, h, from));
    return stream_close_write(s);
}

static err_t serve_hop(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    relay_message_t m = {.type = RELAY_STATUS};
    AUTO(buf_t) in;
    buf_init(&in, RELAY_MESSAGE_MAX_BYTES);
    deadline_t d = deadline_push(t, REQUEST_TIMEOUT_MS);
    err_t e = relay_read_hop(t, s, &in, &m);
    if (!e && h->nat->config.unlimited) /* whether it is a member decides */
        e = conn_wait_identified(t, from);
    if (e == ERR_INVALID || (!e && m.type == RELAY_CONNECT && !m.has_peer))
        e = send_status(t, s, RELAY_MALFORMED_MESSAGE);
    else if (!e && m.type == RELAY_STATUS)
        e = send_status(t, s, RELAY_UNEXPECTED_MESSAGE);
    else if (!e && m.type == RELAY_RESERVE)
        e = serve_reserve(t, s, h, from);
    deadline_pop(t, &d);
    if (!e && m.type == RELAY_CONNECT && m.has_peer)
        e = serve_connect(t, s, h, from, &m.peer);
    return e;
}

void relay_service_update(host_t *h)
{
    nat_t *nat = h->nat;
    bool should = nat->config.is_relay && host_reachability(h) == REACHABILITY_PUBLIC;
    if (should == nat->is_serving)
        return;
    nat->is_serving = should;
    protocol_options_t opt = {.max_inbound_per_peer = HOP_STREAMS_MAX};
    if (!should) {
        host_unhandle(h, RELAY_HOP_PROTOCOL);
        relay_service_free(h);
    } else if (host_handle(h, RELAY_HOP_PROTOCOL, &opt, serve_hop, h)) {
        nat->is_serving = false;
        log_warn("this node does not serve as a relay: it speaks too many protocols");
    }
}

void relay_service_peer_gone(host_t *h, const peer_id_t *peer)
{
    reservation_t *r = find(h->nat, peer);
    if (r)
        drop(h, r);
}

void relay_service_free(host_t *h)
{
    LIST_EACH (r, &h->nat->reservations, reservation_t, node)
        drop(h, r);
}
