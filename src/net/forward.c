/* forward: ways to members of a mesh over several relays. Wire: wire/forward.h. A relay knows who is asked
 * for, who asks and the next hop; the ends secure what goes through by their own handshake. */
#include "wire/forward.h"
#include "base/log.h"
#include "net/nat_internal.h"
#include <stdlib.h>

enum {
    ASK_TIMEOUT_MS = 20000,
    NEXT_TIMEOUT_MS = 5000,
    STREAMS_MAX = 32,
    TRIED_MAX = 3 /* next relays that a relay, or the dialer, tries when it does not reach the named one */
};

static err_t send(task_t *t, stream_t *s, const forward_t *m)
{
    AUTO(buf_t) out;
    buf_init(&out, FORWARD_MESSAGE_MAX_BYTES);
    TRY(forward_encode(m, &out));
    return stream_write_message(t, s, buf_bytes(&out));
}

static err_t receive(task_t *t, stream_t *s, forward_t *ret)
{
    AUTO(buf_t) in;
    buf_init(&in, FORWARD_MESSAGE_MAX_BYTES);
    TRY(stream_read_message(t, s, FORWARD_MESSAGE_MAX_BYTES, &in));
    return forward_decode(buf_bytes(&in), ret);
}

static err_t send_status(task_t *t, stream_t *s, forward_status_t status)
{
    return send(t, s, &(forward_t){.status = status});
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */
static err_t converse(task_t *t, stream_t *s, const forward_t *request)
{
    forward_t answer;
    TRY(send(t, s, request));
    TRY(receive(t, s, &answer));
    if (answer.is_request || answer.status != FORWARD_OK)
        return fail(ERR_REFUSED, "a relay does not forward: %s", forward_status_name(answer.status));
    return OK;
}

static err_t ask(task_t *t, conn_t *c, const forward_t *request, stream_t **ret)
{
    static const char *const protocols[] = {FORWARD_PROTOCOL};
    stream_t *s = NULL;
    deadline_t d = deadline_push(t, ASK_TIMEOUT_MS);
    err_t e = conn_open_stream(t, c, protocols, 1, &s, NULL);
    if (!e)
        e = converse(t, s, request);
    deadline_pop(t, &d);
    if (e && s) {
        stream_reset(s);
        stream_close(s);
    }
    if (!e)
        *ret = s;
    return e;
}

/* A direct connection that may lead on: not to who asks, nor to where it came from. */
static bool may_lead_on(const host_t *h, const conn_t *c, const forward_t *request, const peer_id_t *from)
{
    const peer_id_t *id = &c->peer->id;
    return !multiaddr_is_circuit(&c->remote) && peerstore_speaks(h->peerstore, id, FORWARD_PROTOCOL) &&
           peerstore_speaks(h->peerstore, id, RELAY_HOP_PROTOCOL) && !peer_id_equal(id, &request->source) &&
           !(from && peer_id_equal(id, from));
}

static size_t find_next(host_t *h, const forward_t *request, const peer_id_t *from, conn_t *out[TRIED_MAX])
{
    size_t n = 0;
    LIST_EACH (c, &h->conns, conn_t, node)
        if (n < TRIED_MAX && may_lead_on(h, c, request, from))
            out[n++] = conn_ref(c);
    return n;
}

static err_t ask_others(task_t *t, host_t *h, const forward_t *request, const peer_id_t *from, stream_t **ret)
{
    conn_t *next[TRIED_MAX];
    size_t n = find_next(h, request, from, next);
    err_t e = fail(ERR_UNREACHABLE, "no relay is known that may lead on");
    for (size_t i = 0; i < n; i++) {
        if (e && !task_check(t))
            e = ask(t, next[i], request, ret);
        conn_release(next[i]);
    }
    return e;
}

/* The target itself, when it is connected here; the relay that is said to have it; any other. */
static err_t go_on(task_t *t, host_t *h, const forward_t *request, const peer_id_t *from, stream_t **ret)
{
    conn_t *c = host_conn(h, &request->target);
    err_t e = ERR_UNREACHABLE;
    if (c && !multiaddr_is_circuit(&c->remote)) {
        conn_ref(c);
        e = ask(t, c, request, ret);
        conn_release(c);
        return e;
    }
    if (request->relay.len && !peer_id_equal(&request->relay, &h->id) &&
        !(from && peer_id_equal(&request->relay, from))) {
        deadline_t d = deadline_push(t, NEXT_TIMEOUT_MS);
        e = dial_direct(t, h, &request->relay, NULL, 0, &c);
        deadline_pop(t, &d);
        if (!e) {
            e = ask(t, c, request, ret);
            conn_release(c);
        }
    }
    return e && !task_check(t) ? ask_others(t, h, request, from, ret) : e;
}

bool forward_may_help(const host_t *h)
{
    if (!h->nat || !h->nat->config.unlimited)
        return false;
    forward_t any = {0};
    LIST_EACH (c, &h->conns, const conn_t, node)
        if (may_lead_on(h, c, &any, NULL))
            return true;
    return false;
}

err_t forward_dial(task_t *t, host_t *h, const peer_id_t *relay, const peer_id_t *target, stream_t **ret_raw)
{
    forward_t request = {
        .is_request = true, .ttl = FORWARD_TTL, .target = *target, .source = h->id, .relay = *relay};
    return ask_others(t, h, &request, NULL, ret_raw);
}

/* ── answering ───────────────────────────────────────────────────────────────────────────────── */
static err_t pass_on(task_t *t, stream_t *s, host_t *h, conn_t *from, const forward_t *m)
{
    relay_limits_t limits = h->nat->config.relay;
    limits.is_limited = false;
    forward_t request = *m;
    stream_t *other = NULL;
    request.ttl--;
    deadline_t d = deadline_push(t, ASK_TIMEOUT_MS);
    err_t e = go_on(t, h, &request, &from->peer->id, &other);
    deadline_pop(t, &d);
    if (e) {
        log_debug("a way over relays leads nowhere", LOG_ERR(e));
        return task_check(t) ? ERR_CANCELED : send_status(t, s, FORWARD_NO_WAY);
    }
    e = send_status(t, s, FORWARD_OK);
    if (!e)
        e = relay_forward(t, s, other, &limits);
    if (e)
        stream_reset(other);
    stream_close(other);
    return e;
}

static err_t serve_relay(task_t *t, stream_t *s, host_t *h, conn_t *from, const forward_t *m)
{
    circuit_t *c;
    if (!m->ttl)
        return send_status(t, s, FORWARD_EXPIRED);
    if (!h->nat->is_serving || !peerstore_speaks(h->peerstore, &from->peer->id, h->nat->config.unlimited) ||
        multiaddr_is_circuit(&from->remote))
        return send_status(t, s, FORWARD_DENIED);
    if (relay_circuit_begin(h, from, &m->target, &c) != RELAY_OK)
        return send_status(t, s, FORWARD_BUSY);
    err_t e = pass_on(t, s, h, from, m);
    relay_circuit_end(h, from, c);
    return e;
}

static err_t serve(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    forward_t m;
    deadline_t d = deadline_push(t, ASK_TIMEOUT_MS);
    err_t e = receive(t, s, &m);
    if (!e)
        e = conn_wait_identified(t, from);
    deadline_pop(t, &d);
    TRY(e);
    if (!m.is_request)
        return fail(ERR_PROTOCOL, "a status that nobody asked for");
    if (!peer_id_equal(&m.target, &h->id))
        return serve_relay(t, s, h, from, &m);
    if (!relay_may_bring(h, from))
        return send_status(t, s, FORWARD_DENIED);
    TRY(send_status(t, s, FORWARD_OK));
    return relay_take_circuit(t, s, h, from, &m.source, false);
}

err_t forward_start(host_t *h)
{
    protocol_options_t opt = {.max_inbound_per_peer = STREAMS_MAX};
    return h->nat->config.unlimited ? host_handle(h, FORWARD_PROTOCOL, &opt, serve, h) : OK;
}
