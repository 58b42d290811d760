/* conn_pump: moves the bytes of one connection between its socket, its secured channel and yamux. It runs
 * when the socket has news, when a stream has something to send, and when the yamux session's time has come;
 * it never waits. Received bytes go from the socket into the host's shared area, are opened there, and are
 * copied once, into the queue of their stream. Frames to send are sealed into a shared area and written in
 * one call. */
#include "base/log.h"
#include "base/metrics.h"
#include "net/host_internal.h"
#include <stdlib.h>

/* One connection moves at most this many areas of bytes before the others get their turn. */
enum { READS_IN_A_ROW = 4 };

static uint64_t now_ms(const conn_t *c)
{
    return sched_now_ms(c->host->sched);
}

/* Keeps the beginning of a frame until the rest comes; at most one frame. It counts for the node, not for the
 * peer: one that has filled its budget with what nobody reads stays connected. */
static err_t keep_rest(conn_t *c, bytes_t rest)
{
    assert(rest.len < CHANNEL_FRAME_MAX);
    if (rest.len > c->carry_charged) {
        TRY(limit_charge(host_limit(c->host), rest.len - c->carry_charged));
        c->carry_charged = rest.len;
    }
    buf_clear(&c->carry);
    return buf_append(&c->carry, rest);
}

static void drop_rest(conn_t *c)
{
    buf_deinit(&c->carry);
    limit_release(host_limit(c->host), c->carry_charged);
    c->carry_charged = 0;
}

static err_t take_frames(conn_t *c, uint8_t *in, size_t len)
{
    size_t used = 0;
    for (;;) {
        size_t n = 0;
        bytes_t plain = BYTES_NONE;
        TRY(channel_feed(&c->channel, in + used, len - used, &n, &plain));
        if (!n)
            break;
        used += n;
        TRY(yamux_feed(&c->yamux, plain, now_ms(c)));
    }
    if (used == len && c->carry.len) {
        buf_clear(&c->carry);
        return OK;
    }
    return used < len ? keep_rest(c, bytes_of(in + used, len - used)) : OK;
}

/* Reads until the socket has no more, or others should have their turn. */
static err_t take_input(conn_t *c)
{
    host_t *h = c->host;
    if (!h->receive_area)
        h->receive_area = xmalloc(RECEIVE_AREA);
    c->must_read_on = false;
    for (int i = 0; i < READS_IN_A_ROW; i++) {
        size_t kept = c->carry.len, n = 0;
        err_t e = stream_try_read(c->raw, h->receive_area + kept, RECEIVE_BYTES, &n);
        if (e == ERR_AGAIN)
            return OK;
        TRY(e);
        if (!n)
            return fail(ERR_RESET, "the peer closed the connection");
        if (kept)
            memcpy(h->receive_area, c->carry.data, kept);
        c->bytes_in += n;
        metric_add(net_metrics()->bytes_in, (double)n);
        TRY(take_frames(c, h->receive_area, kept + n));
    }
    c->must_read_on = true;
    return OK;
}

static void deliver_news(conn_t *c)
{
    for (yamux_event_t ev; c->is_open && yamux_next_event(&c->yamux, &ev);) {
        switch (ev.kind) {
        case YAMUX_EVENT_STREAM:
            if (ev.news & YAMUX_NEWS_OPENED)
                conn_stream_inbound(c, (mux_stream_t *)ev.stream);
            else if (ev.stream->user)
                conn_stream_tell(ev.stream->user, ev.news & YAMUX_NEWS_READABLE,
                                 ev.news & YAMUX_NEWS_WRITABLE);
            break;
        case YAMUX_EVENT_MAY_OPEN:
        case YAMUX_EVENT_GO_AWAY:
            event_fire(&c->may_open);
            break;
        case YAMUX_EVENT_RTT:
            peerstore_add_latency(c->host->peerstore, &c->peer->id, yamux_rtt_ms(&c->yamux));
            break;
        }
    }
}

/* Sealed bytes that the socket does not take now wait with us, in the peer's budget. */
static err_t keep_unsent(conn_t *c, bytes_t sealed)
{
    TRY(limit_charge(&c->peer->scope.memory, sealed.len));
    c->unsent_charged += sealed.len;
    return buf_append(&c->unsent, sealed);
}

static void drop_unsent(conn_t *c)
{
    buf_deinit(&c->unsent);
    limit_release(&c->peer->scope.memory, c->unsent_charged);
    c->unsent_charged = 0;
}

static err_t write_sealed(conn_t *c, bytes_t sealed)
{
    while (sealed.len) {
        size_t n = 0;
        err_t e = stream_try_write(c->raw, &sealed, 1, &n);
        if (e == ERR_AGAIN)
            return keep_unsent(c, sealed);
        TRY(e);
        c->bytes_out += n;
        metric_add(net_metrics()->bytes_out, (double)n);
        sealed = bytes_slice(sealed, n, SIZE_MAX);
    }
    return OK;
}

static err_t write_unsent(conn_t *c)
{
    while (c->unsent.len) {
        size_t n = 0;
        bytes_t rest = buf_bytes(&c->unsent);
        err_t e = stream_try_write(c->raw, &rest, 1, &n);
        if (e == ERR_AGAIN)
            return OK;
        TRY(e);
        c->bytes_out += n;
        metric_add(net_metrics()->bytes_out, (double)n);
        buf_consume(&c->unsent, n);
    }
    drop_unsent(c);
    return OK;
}

/* Seals frames into the shared area until it is full or there are no more. */
static err_t seal_frames(conn_t *c, size_t *ret_len)
{
    host_t *h = c->host;
    size_t len = 0;
    while (len + channel_sealed_size(&c->channel, GATHER_BYTES) <= SEND_AREA &&
           yamux_output(&c->yamux, GATHER_BYTES, &h->gather)) {
        size_t n = 0;
        err_t e = channel_seal(&c->channel, h->gather.pieces, h->gather.n_pieces, h->send_area + len, &n);
        yamux_output_done(&c->yamux, &h->gather);
        TRY(e);
        len += n;
    }
    *ret_len = len;
    return OK;
}

static err_t send_output(conn_t *c)
{
    host_t *h = c->host;
    TRY(write_unsent(c));
    while (!c->unsent.len && yamux_has_output(&c->yamux)) {
        if (!h->send_area)
            h->send_area = xmalloc(SEND_AREA);
        size_t len;
        TRY(seal_frames(c, &len));
        if (!len)
            break;
        TRY(write_sealed(c, bytes_of(h->send_area, len)));
    }
    return OK;
}

static void set_alarm(conn_t *c)
{
    uint64_t at = yamux_deadline_ms(&c->yamux);
    if (at != c->alarm.at_ms || c->alarm.heap_index == SIZE_MAX)
        alarm_set(&c->alarm, at);
}

/* e: what has gone wrong already. */
static void run_pump(conn_t *c, err_t e)
{
    if (!e && c->must_read_on)
        e = take_input(c);
    deliver_news(c); /* what came before an error is still told */
    if (!e && c->is_open)
        e = send_output(c);
    if (!c->is_open)
        return;
    if (e) {
        log_debug("connection failed", LOG_ERR(e));
        conn_end(c, e);
        return;
    }
    deliver_news(c);
    if (!c->is_open)
        return;
    if (!c->carry.len && c->carry.cap)
        drop_rest(c);
    set_alarm(c);
    if (c->must_read_on)
        sched_post(c->host->sched, &c->pump);
}

static void on_pump(void *arg)
{
    conn_t *c = conn_ref(arg);
    run_pump(c, OK);
    conn_release(c);
}

static void on_readable(void *arg)
{
    conn_t *c = arg;
    c->must_read_on = true;
    on_pump(c);
}

static void on_alarm(void *arg)
{
    conn_t *c = conn_ref(arg);
    run_pump(c, yamux_tick(&c->yamux, now_ms(c)));
    conn_release(c);
}

void conn_pump_start(conn_t *c, bytes_t early)
{
    sched_t *s = c->host->sched;
    runnable_init(&c->pump, on_pump, c);
    runnable_init(&c->input, on_readable, c);
    alarm_init(&c->alarm, s, on_alarm, c);
    buf_init(&c->carry, CHANNEL_FRAME_MAX);
    buf_init(&c->unsent, SEND_AREA);
    event_watch(&c->raw->readable, s, &c->readable, &c->input);
    event_watch(&c->raw->writable, s, &c->writable, &c->pump);
    if (early.len && yamux_feed(&c->yamux, early, now_ms(c)))
        c->yamux.state = YAMUX_CLOSED; /* the pump's next feed says so */
    c->must_read_on = true;
    sched_post(s, &c->pump);
}

void conn_pump_soon(conn_t *c)
{
    if (c->is_open)
        sched_post(c->host->sched, &c->pump);
}

void conn_flush(conn_t *c)
{
    if (send_output(c))
        drop_unsent(c);
}

void conn_say_end(conn_t *c, err_t why)
{
    uint8_t out[CHANNEL_END_MAX];
    bytes_t end = bytes_of(out, c->unsent.len ? 0 : channel_seal_end(&c->channel, why, out));
    if (end.len && write_sealed(c, end))
        drop_unsent(c);
}

void conn_pump_stop(conn_t *c)
{
    runnable_cancel(&c->pump);
    runnable_cancel(&c->input);
    alarm_clear(&c->alarm);
    event_unwatch(&c->readable);
    event_unwatch(&c->writable);
    drop_rest(c);
    drop_unsent(c);
}
