/* conn_stream: streams of a connection as stream_t, and the tasks that serve inbound ones. */
#include "base/log.h"
#include "base/metrics.h"
#include "net/host_internal.h"
#include "net/nat_internal.h"
#include "wire/dcutr.h"
#include "wire/identify.h"
#include <stdlib.h>

enum { NEGOTIATION_TIMEOUT_MS = 15000, DIRECT_WAIT_MS = 10000, CUT_PIECES_MAX = 16 };

static conn_stream_t *of(stream_t *s)
{
    return CONTAINER_OF(s, conn_stream_t, base);
}

/* After each use of the mux: it may have something to send now. */
static void pump_if_needed(conn_stream_t *s)
{
    if (s->conn->is_open)
        s->conn->mux->wake(s->conn);
}

static err_t mux_read(conn_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t room = throttle_room(s, THROTTLE_IN);
    if (!room)
        return ERR_AGAIN;
    err_t e = s->conn->mux->read(s->conn, s->mux, out, cap < room ? cap : room, ret_n);
    if (!e) {
        traffic_count(s, *ret_n, 0);
        throttle_took(s, THROTTLE_IN, *ret_n);
    }
    pump_if_needed(s);
    return e;
}

/* The first `room` bytes of the pieces, as far as they fit into out; how many pieces. */
static size_t cut_pieces(const bytes_t *pieces, size_t n, size_t room, bytes_t out[CUT_PIECES_MAX])
{
    size_t count = 0;
    for (; count < n && count < CUT_PIECES_MAX && room; count++) {
        out[count] = bytes_slice(pieces[count], 0, room);
        room -= out[count].len;
    }
    return count;
}

/* Takes the peer's answer to an optimistic proposal. ERR_AGAIN until it is there. */
static err_t take_answer(conn_stream_t *s)
{
    while (s->negotiation->state == MULTISTREAM_BUSY) {
        uint8_t in[64];
        size_t want = multistream_wants(s->negotiation), n = 0, used;
        TRY(mux_read(s, in, want < sizeof in ? want : sizeof in, &n));
        if (!n)
            return fail(ERR_UNSUPPORTED, "the peer ended the stream instead of speaking %s", s->protocol);
        TRY(multistream_feed(s->negotiation, bytes_of(in, n), &used));
    }
    if (s->negotiation->state != MULTISTREAM_AGREED)
        return fail(ERR_UNSUPPORTED, "the peer does not speak %s", s->protocol);
    free(s->negotiation);
    s->negotiation = NULL;
    return OK;
}

static err_t stream_read_op(stream_t *base, uint8_t *out, size_t cap, size_t *ret_n)
{
    conn_stream_t *s = of(base);
    if (!s->mux)
        return fail(ERR_CLOSED, "the stream is closed");
    if (s->negotiation)
        TRY(take_answer(s));
    return mux_read(s, out, cap, ret_n);
}

static err_t stream_write_op(stream_t *base, const bytes_t *pieces, size_t n, size_t *ret_n)
{
    conn_stream_t *s = of(base);
    if (!s->mux)
        return fail(ERR_CLOSED, "the stream is closed");
    size_t room = throttle_room(s, THROTTLE_OUT);
    if (!room)
        return ERR_AGAIN;
    bytes_t cut[CUT_PIECES_MAX];
    if (room < SIZE_MAX)
        n = cut_pieces(pieces, n, room, cut);
    err_t e = s->conn->mux->write(s->mux, room < SIZE_MAX ? cut : pieces, n, ret_n);
    if (!e) {
        traffic_count(s, 0, *ret_n);
        throttle_took(s, THROTTLE_OUT, *ret_n);
    }
    pump_if_needed(s);
    return e;
}

static err_t stream_close_write_op(stream_t *base)
{
    conn_stream_t *s = of(base);
    if (!s->mux)
        return fail(ERR_CLOSED, "the stream is closed");
    err_t e = s->conn->mux->close_write(s->mux);
    pump_if_needed(s);
    return e;
}

static void stream_reset_op(stream_t *base)
{
    conn_stream_t *s = of(base);
    if (!s->mux)
        return;
    s->conn->mux->reset(s->mux);
    pump_if_needed(s);
    event_fire(&base->readable);
    event_fire(&base->writable);
}

static void release_mux(conn_stream_t *s)
{
    if (!s->mux)
        return;
    stream_use_end(s);
    s->conn->mux->release(s->conn, s->mux);
    s->mux = NULL;
    s->conn->used_ms = sched_now_ms(s->conn->host->sched);
    s->conn->n_streams--;
    list_remove(&s->node);
    list_remove(&s->throttled);
    pump_if_needed(s);
}

static void free_stream(conn_stream_t *s)
{
    release_mux(s);
    stream_use_end(s); /* of one that never had a mux */
    conn_release(s->conn);
    free(s->negotiation);
    free(s->own_protocol);
    free(s);
}

static void stream_close_op(stream_t *base)
{
    conn_stream_t *s = of(base);
    if (s->is_served)
        release_mux(s); /* serve() frees it when the handler has returned */
    else
        free_stream(s);
}

static const stream_ops_t ops = {.read = stream_read_op,
                                 .write = stream_write_op,
                                 .close_write = stream_close_write_op,
                                 .reset = stream_reset_op,
                                 .close = stream_close_op};

static conn_stream_t *stream_new(conn_t *c, bool is_inbound)
{
    conn_stream_t *s = xcalloc(1, sizeof *s);
    s->base.ops = &ops;
    event_init(&s->base.readable);
    event_init(&s->base.writable);
    s->conn = conn_ref(c);
    s->is_inbound = is_inbound;
    s->is_upkeep = true; /* until its protocol is known */
    s->protocol = "";
    list_push_back(&c->streams, &s->node);
    c->n_streams++;
    c->used_ms = sched_now_ms(c->host->sched);
    return s;
}

/* What keeps a connection going, or makes a limited one a direct one. */
static bool is_upkeep(const char *protocol)
{
    static const char *const those[] = {IDENTIFY_PROTOCOL, IDENTIFY_PUSH_PROTOCOL, PING_PROTOCOL,
                                        DCUTR_PROTOCOL};
    for (size_t i = 0; i < ARRAY_LEN(those); i++)
        if (!strcmp(protocol, those[i]))
            return true;
    return false;
}

static bool may_use_limited(const char *const *protocols, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_upkeep(protocols[i]))
            return false;
    return true;
}

/* Which protocol it is, is known: it counts for that one from now on. max_inbound: see
 * stream_use_set_protocol. */
static err_t set_protocol(conn_stream_t *s, const char *protocol, size_t max_inbound)
{
    TRY(stream_use_set_protocol(s, protocol, max_inbound));
    s->is_upkeep = is_upkeep(protocol);
    if (!s->is_inbound && !s->is_upkeep)
        s->conn->moved_ms = sched_now_ms(s->conn->host->sched);
    return OK;
}

/* ── inbound ─────────────────────────────────────────────────────────────────────────────────── */
static err_t choose_handler(task_t *t, conn_stream_t *s, handler_t **ret_handler)
{
    deadline_t d = deadline_push(t, NEGOTIATION_TIMEOUT_MS);
    err_t e = negotiate_inbound(t, s->conn->host, &s->base, ret_handler);
    deadline_pop(t, &d);
    TRY(e);
    TRY(set_protocol(s, (*ret_handler)->protocol, (*ret_handler)->options.max_inbound_per_peer));
    s->protocol = (*ret_handler)->protocol;
    return OK;
}

void conn_stream_keep(stream_t *s)
{
    of(s)->is_kept = true;
}

static err_t serve(task_t *t, void *arg)
{
    conn_stream_t *s = arg;
    handler_t *handler = NULL;
    err_t e = choose_handler(t, s, &handler);
    if (!e && !handler->fn) /* the answer had to wait, and meanwhile it was taken away */
        e = fail(ERR_UNSUPPORTED, "%s is not spoken any more", handler->protocol);
    if (!e)
        e = handler->fn(t, &s->base, s->conn, handler->protocol, handler->arg);
    if (e) {
        log_debug("an inbound stream failed", LOG_STR("protocol", s->protocol), LOG_ERR(e));
        stream_reset_op(&s->base);
    }
    s->is_served = false;
    s->conn->host->n_served--;
    if (!s->is_kept || !s->mux)
        free_stream(s);
    return OK; /* a stream's failure is not the host's */
}

void conn_stream_tell(conn_stream_t *s, bool is_readable, bool is_writable)
{
    if (is_readable)
        event_fire(&s->base.readable);
    if (is_writable)
        event_fire(&s->base.writable);
}

void conn_stream_inbound(conn_t *c, mux_stream_t *mux)
{
    conn_stream_t *s = stream_new(c, true);
    s->mux = mux;
    s->is_served = true;
    c->mux->accept(mux, s);
    err_t e = stream_use_begin(s);
    if (!e && c->host->n_served >= SERVED_MAX) {
        e = fail(ERR_LIMIT, "%d inbound streams are being served, the limit", SERVED_MAX);
        resources_refused(c->host, NULL, "stream", "inbound");
    }
    if (!e)
        e = group_spawn(&c->host->tasks, "inbound stream", serve, s, NULL);
    if (!e) {
        c->host->n_served++;
    } else {
        log_debug("an inbound stream was refused", LOG_ERR(e));
        stream_reset_op(&s->base);
        s->is_served = false;
        free_stream(s);
    }
}

/* ── outbound ────────────────────────────────────────────────────────────────────────────────── */
static err_t open_mux(task_t *t, conn_t *c, conn_stream_t *s)
{
    for (;;) {
        if (!c->is_open)
            return fail(ERR_CLOSED, "the connection is closed");
        err_t e = c->mux->open(c, s, &s->mux);
        if (e != ERR_AGAIN)
            return e;
        TRY(event_wait(t, &c->may_open));
    }
}

/* One protocol, and the peer told that it speaks it: the proposal goes out with the first data, the answer
 * is checked when it is read. Saves a round trip. */
static err_t propose_optimistically(conn_stream_t *s, const char *const *protocol)
{
    s->own_protocol = xstrdup(protocol[0]);
    s->protocol = s->own_protocol;
    TRY(set_protocol(s, s->protocol, 0));
    multistream_t *m = s->negotiation = xmalloc(sizeof *m);
    multistream_init_dialer(m, (const char *const *)&s->own_protocol, 1);
    bytes_t out = multistream_output(m);
    size_t n = 0;
    TRY(s->conn->mux->write(s->mux, &out, 1, &n));
    assert(n == out.len); /* a new queue has room for two lines */
    multistream_output_sent(m, n);
    return OK;
}

static err_t agree(task_t *t, conn_stream_t *s, const char *const *protocols, size_t n, size_t *ret_chosen)
{
    peerstore_t *ps = s->conn->host->peerstore;
    *ret_chosen = 0;
    if (n == 1 && peerstore_speaks(ps, &s->conn->peer->id, protocols[0]))
        return propose_optimistically(s, protocols);
    multistream_t m;
    multistream_init_dialer(&m, protocols, n);
    deadline_t d = deadline_push(t, NEGOTIATION_TIMEOUT_MS);
    err_t e = negotiate(t, &s->base, &m);
    deadline_pop(t, &d);
    TRY(e);
    *ret_chosen = multistream_agreed(&m);
    s->own_protocol = xstrdup(protocols[*ret_chosen]);
    s->protocol = s->own_protocol;
    return set_protocol(s, s->protocol, 0);
}

err_t conn_open_stream(task_t *t, conn_t *c, const char *const *protocols, size_t n, stream_t **ret_stream,
                       const char **ret_protocol)
{
    assert(n);
    if (c->is_limited && !may_use_limited(protocols, n))
        return fail(ERR_UNSUPPORTED, "only a relay that limits its connections leads to the peer: not for %s",
                    protocols[0]);
    conn_stream_t *s = stream_new(c, false);
    size_t chosen = 0;
    err_t e = stream_use_begin(s);
    if (!e)
        e = open_mux(t, c, s);
    if (!s->mux) { /* there is none yet to release */
        list_remove(&s->node);
        c->n_streams--;
    } else {
        e = agree(t, s, protocols, n, &chosen);
    }
    if (e) {
        stream_reset_op(&s->base);
        free_stream(s);
        return e;
    }
    pump_if_needed(s);
    *ret_stream = &s->base;
    if (ret_protocol)
        *ret_protocol = protocols[chosen];
    return OK;
}

/* A hole may be punched at this moment: takes the direct connection when there is one in time. */
static void wait_direct(task_t *t, host_t *h, conn_t **c)
{
    peer_id_t peer = (*c)->peer->id;
    conn_t *best;
    err_t e = OK;
    deadline_t d = deadline_push(t, DIRECT_WAIT_MS);
    while (!e && (best = host_conn(h, &peer)) && best->is_limited)
        e = event_wait(t, &h->conn_opened);
    deadline_pop(t, &d);
    best = host_conn(h, &peer);
    if (!best || best->is_limited)
        return;
    conn_release(*c);
    *c = conn_ref(best);
}

err_t host_open_stream(task_t *t, host_t *h, const peer_id_t *peer, const char *const *protocols, size_t n,
                       stream_t **ret_stream, const char **ret_protocol)
{
    conn_t *c;
    TRY(host_connect(t, h, peer, NULL, 0, &c));
    if (c->is_limited && !may_use_limited(protocols, n) && nat_punches_holes(h))
        wait_direct(t, h, &c);
    err_t e = task_check(t);
    if (!e)
        e = conn_open_stream(t, c, protocols, n, ret_stream, ret_protocol);
    conn_release(c);
    return e;
}
