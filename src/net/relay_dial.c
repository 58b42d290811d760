/* relay_dial: circuits that begin here (hop: we ask a relay) or end here (stop: a relay asks us). */
#include "base/log.h"
#include "base/metrics.h"
#include "net/nat_internal.h"

enum { RELAY_DIAL_MS = 4000, CONNECT_TIMEOUT_MS = 30000, STOP_TIMEOUT_MS = 15000, STOP_STREAMS_MAX = 64 };

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
err_t relay_write_hop(task_t *t, stream_t *s, const relay_message_t *m, const multiaddr_t *addrs, size_t n)
{
    AUTO(buf_t) out;
    buf_init(&out, RELAY_MESSAGE_MAX_BYTES);
    writer_t w = writer_to(&out);
    relay_hop_encode(m, addrs, n, &w);
    TRY(w.err);
    return stream_write_message(t, s, buf_bytes(&out));
}

err_t relay_write_stop(task_t *t, stream_t *s, const relay_message_t *m)
{
    AUTO(buf_t) out;
    buf_init(&out, RELAY_MESSAGE_MAX_BYTES);
    writer_t w = writer_to(&out);
    relay_stop_encode(m, &w);
    TRY(w.err);
    return stream_write_message(t, s, buf_bytes(&out));
}

err_t relay_read_hop(task_t *t, stream_t *s, buf_t *in, relay_message_t *ret)
{
    TRY(stream_read_message(t, s, RELAY_MESSAGE_MAX_BYTES, in));
    return relay_hop_decode(buf_bytes(in), ret);
}

err_t relay_read_stop(task_t *t, stream_t *s, buf_t *in, relay_message_t *ret)
{
    TRY(stream_read_message(t, s, RELAY_MESSAGE_MAX_BYTES, in));
    return relay_stop_decode(buf_bytes(in), ret);
}

/* ── circuits that begin here ────────────────────────────────────────────────────────────────── */
/* RELAY of …/p2p/RELAY/p2p-circuit…, and what stands before /p2p-circuit. */
static err_t split(const multiaddr_t *addr, multiaddr_t *ret_relay_addr, peer_id_t *ret_relay)
{
    multiaddr_part_t part;
    *ret_relay_addr = (multiaddr_t){0};
    for (size_t i = 0; multiaddr_next(addr, &i, &part) && part.code != MA_P2P_CIRCUIT;)
        TRY(multiaddr_append(ret_relay_addr, part.code, part.value));
    err_t e = multiaddr_peer(ret_relay_addr, ret_relay);
    return e == ERR_NOT_FOUND ? fail(ERR_INVALID, "the address names no relay") : e;
}

static err_t ask_for_circuit(task_t *t, stream_t *s, const peer_id_t *target, bool *ret_is_limited)
{
    relay_message_t ask = {.type = RELAY_CONNECT, .has_peer = true, .peer = *target}, answer;
    AUTO(buf_t) in;
    buf_init(&in, RELAY_MESSAGE_MAX_BYTES);
    TRY(relay_write_hop(t, s, &ask, NULL, 0));
    TRY(relay_read_hop(t, s, &in, &answer));
    if (answer.type != RELAY_STATUS)
        return fail(ERR_PROTOCOL, "the relay answered with something else than a status");
    if (answer.status != RELAY_OK)
        return fail(ERR_REFUSED, "the relay refused: %s (%u)", relay_status_name(answer.status),
                    answer.status);
    *ret_is_limited = answer.has_limit;
    return OK;
}

err_t relay_dial(task_t *t, host_t *h, const multiaddr_t *addr, const peer_id_t *target, stream_t **ret_raw,
                 bool *ret_is_limited)
{
    static const char *const protocols[] = {RELAY_HOP_PROTOCOL};
    multiaddr_t at;
    peer_id_t relay;
    conn_t *c;
    stream_t *s = NULL;
    if (!h->nat || !h->nat->config.uses_relays)
        return fail(ERR_UNSUPPORTED, "relays are switched off (Swarm.Transports.Network.Relay)");
    TRY(split(addr, &at, &relay));
    if (peer_id_equal(&relay, target))
        return fail(ERR_INVALID, "a relay does not lead to itself");
    multiaddr_t bare;
    multiaddr_without_peer(&at, &bare);
    bool may_forward = forward_may_help(h);
    deadline_t dial = deadline_push(t, may_forward ? RELAY_DIAL_MS : TIME_NEVER);
    err_t e = dial_direct(t, h, &relay, &at, bare.len > 0, &c);
    deadline_pop(t, &dial);
    if (e && may_forward && !task_check(t)) {
        *ret_is_limited = false;
        return forward_dial(t, h, &relay, target, ret_raw);
    }
    TRY(e);
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    e = conn_open_stream(t, c, protocols, 1, &s, NULL);
    conn_release(c);
    if (!e)
        e = ask_for_circuit(t, s, target, ret_is_limited);
    deadline_pop(t, &d);
    if (e && s) {
        stream_reset(s);
        stream_close(s);
    }
    TRY(e);
    *ret_raw = s;
    return OK;
}

/* ── circuits that end here ──────────────────────────────────────────────────────────────────── */
bool relay_may_bring(const host_t *h, const conn_t *from)
{
    const relay_t *r = relay_find(h->nat, &from->peer->id);
    return r && (r->is_reserved || r->is_asking);
}

static relay_status_t check_stop(host_t *h, const conn_t *from, const relay_message_t *m)
{
    if (m->type != RELAY_CONNECT)
        return RELAY_UNEXPECTED_MESSAGE;
    if (!m->has_peer)
        return RELAY_MALFORMED_MESSAGE;
    if (!relay_may_bring(h, from))
        return RELAY_PERMISSION_DENIED;
    return conn_use_check(h, true, NULL) ? RELAY_RESOURCE_LIMIT_EXCEEDED : RELAY_OK;
}

static err_t circuit_addr(const conn_t *relay, multiaddr_t *ret)
{
    TRY(multiaddr_with_peer(&relay->remote, &relay->peer->id, ret));
    return multiaddr_append(ret, MA_P2P_CIRCUIT, BYTES_NONE);
}

err_t relay_take_circuit(task_t *t, stream_t *s, host_t *h, conn_t *from, const peer_id_t *source,
                         bool is_limited)
{
    multiaddr_t remote;
    conn_t *c;
    TRY(circuit_addr(from, &remote));
    conn_use_t use = {.host = NULL};
    TRY(conn_use_begin(h, true, false, NULL, &use));
    upgrade_how_t how = {
        .expected = source, .remote = &remote, .is_inbound = true, .is_limited = is_limited, .use = &use};
    conn_stream_keep(s);
    err_t e = upgrade(t, h, s, &how, &c);
    conn_use_end(&use);
    if (!e)
        conn_release(c);
    return e;
}

static err_t serve_stop(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    relay_message_t m, answer = {.type = RELAY_STATUS};
    AUTO(buf_t) in;
    buf_init(&in, RELAY_MESSAGE_MAX_BYTES);
    deadline_t d = deadline_push(t, STOP_TIMEOUT_MS);
    err_t e = relay_read_stop(t, s, &in, &m);
    answer.status = e ? RELAY_MALFORMED_MESSAGE : check_stop(h, from, &m);
    if (!e || e == ERR_INVALID)
        e = relay_write_stop(t, s, &answer);
    deadline_pop(t, &d);
    if (!e && answer.status == RELAY_OK)
        return relay_take_circuit(t, s, h, from, &m.peer, m.has_limit);
    return e;
}

err_t relay_stop_start(host_t *h)
{
    protocol_options_t opt = {.max_inbound_per_peer = STOP_STREAMS_MAX};
    return host_handle(h, RELAY_STOP_PROTOCOL, &opt, serve_stop, h);
}
