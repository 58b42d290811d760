/* quic_stream: the streams of a connection. ngtcp2 keeps offsets and windows; what was received waits here
 * for its reader, what is to be sent until it is acknowledged. */
#include "wire/quic_internal.h"
#include <stdlib.h>

/* Reading less than this is not worth a packet of its own: the windows are far wider. */
enum { ANNOUNCE_BYTES = 32 * 1024 };

err_t quic_stream_new(quic_t *q, int64_t id, bool is_inbound, quic_stream_t **ret)
{
    quic_stream_t *s = calloc(1, sizeof *s);
    if (!s)
        return fail(ERR_NO_MEMORY, "no memory for a stream");
    s->session = q;
    s->id = id;
    s->is_inbound = is_inbound;
    queue_init(&s->received, SIZE_MAX);
    queue_init(&s->to_send, SIZE_MAX);
    list_push_back(&q->streams, &s->node);
    q->n_streams++;
    *ret = s;
    return OK;
}

static limit_t *limit_of(const quic_stream_t *s)
{
    return s->own_limit ? s->own_limit : s->session->limit;
}

/* Makes the charge `*held` equal to `want`. */
static err_t recharge(const quic_stream_t *s, uint64_t *held, uint64_t want)
{
    limit_t *l = limit_of(s);
    return l ? limit_recharge(l, held, want) : OK;
}

static void discharge(const quic_stream_t *s, uint64_t *held)
{
    if (limit_of(s))
        limit_release(limit_of(s), *held);
    *held = 0;
}

err_t quic_stream_set_limit(quic_stream_t *s, limit_t *limit)
{
    TRY(limit_move(s->own_limit, limit, s->charged_receive + s->charged_send));
    s->own_limit = limit;
    return OK;
}

err_t quic_stream_charge_all(quic_t *q)
{
    LIST_EACH (s, &q->streams, quic_stream_t, node) {
        TRY(recharge(s, &s->charged_receive, s->received.len));
        TRY(recharge(s, &s->charged_send, s->to_send.len));
    }
    return OK;
}

/* Bytes that nobody reads any more make room for others. */
static void drop_received(quic_stream_t *s)
{
    if (s->session && s->received.len) {
        ngtcp2_conn_extend_max_offset(s->session->conn, s->received.len);
        s->session->must_output = true;
    }
    queue_deinit(&s->received);
    if (s->session)
        discharge(s, &s->charged_receive);
}

static void drop_to_send(quic_stream_t *s)
{
    queue_deinit(&s->to_send);
    s->sent = 0;
    if (s->session)
        discharge(s, &s->charged_send);
}

void quic_stream_detach(quic_stream_t *s, err_t reason)
{
    quic_t *q = s->session;
    bool is_whole = s->has_received_fin && !s->is_read_reset; /* its data can still be read */
    if (is_whole)
        discharge(s, &s->charged_receive);
    else
        drop_received(s);
    drop_to_send(s);
    list_remove(&s->node);
    list_remove(&s->output_node);
    list_remove(&s->event_node);
    list_remove(&s->linger_node);
    q->n_streams--;
    s->session = NULL;
    if (!s->has_user) {
        queue_deinit(&s->received);
        free(s);
        return;
    }
    if (!s->is_read_reset && !s->is_write_reset)
        s->reset_reason = reason;
    s->is_read_reset |= !is_whole;
    s->is_write_reset = true;
}

/* Nobody needs it any more: the peer and ngtcp2 are done with it, and its user. Only now the peer may open
 * another in its place: one that opens and resets without end would keep any number of users busy else. */
static void free_if_over(quic_stream_t *s)
{
    if (!s->is_gone || s->has_user || s->news & QUIC_NEWS_OPENED)
        return;
    if (s->is_inbound) {
        ngtcp2_conn_extend_max_streams_bidi(s->session->conn, 1);
        s->session->must_output = true;
    }
    quic_stream_detach(s, ERR_CLOSED);
}

void quic_stream_schedule(quic_stream_t *s)
{
    if (s->is_gone || s->is_write_reset)
        return;
    s->session->must_output = true;
    if (!list_is_linked(&s->output_node))
        list_push_back(&s->session->output, &s->output_node);
}

void quic_stream_tell(quic_stream_t *s, uint8_t news)
{
    if (!s->has_user && !(news & QUIC_NEWS_OPENED) && !(s->news & QUIC_NEWS_OPENED))
        return;
    s->news |= news;
    if (!list_is_linked(&s->event_node))
        list_push_back(&s->session->events, &s->event_node);
}

/* ── what the peer does ──────────────────────────────────────────────────────────────────────── */
void quic_stream_take(quic_stream_t *s, bytes_t data, bool is_end)
{
    bool is_wanted = !s->is_read_reset && (s->has_user || s->news & QUIC_NEWS_OPENED);
    if (!is_wanted) {
        ngtcp2_conn_extend_max_offset(s->session->conn, data.len);
        s->has_received_fin |= is_end;
        return;
    }
    err_t e = recharge(s, &s->charged_receive, s->received.len + data.len);
    if (!e)
        e = queue_push(&s->received, data);
    if (e) {
        ngtcp2_conn_extend_max_offset(s->session->conn, data.len);
        quic_stream_reset(s);
        s->reset_reason = ERR_LIMIT;
        return;
    }
    s->has_received_fin |= is_end;
    quic_stream_tell(s, QUIC_NEWS_READABLE);
}

static void note_reset(quic_stream_t *s, err_t reason)
{
    if (!s->is_read_reset && !s->is_write_reset)
        s->reset_reason = reason;
}

static void stop_sending(quic_stream_t *s)
{
    s->is_write_reset = true;
    s->must_fin = false;
    list_remove(&s->output_node);
}

void quic_stream_acked(quic_stream_t *s, size_t n)
{
    assert(n <= s->sent);
    queue_drop(&s->to_send, n);
    s->sent -= n;
    if (recharge(s, &s->charged_send, s->to_send.len))
        abort(); /* it only becomes less */
}

void quic_stream_was_reset(quic_stream_t *s)
{
    if (s->has_received_fin) /* what ended stays whole */
        return;
    note_reset(s, ERR_RESET);
    s->is_read_reset = true;
    drop_received(s);
    quic_stream_tell(s, QUIC_NEWS_READABLE);
}

void quic_stream_was_stopped(quic_stream_t *s)
{
    if (s->is_write_reset || s->has_sent_fin)
        return;
    note_reset(s, ERR_RESET);
    stop_sending(s);
    quic_stream_tell(s, QUIC_NEWS_WRITABLE);
}

/* ngtcp2 tells of a STOP_SENDING only him who writes, and those without a window do not: they are asked for
 * with a write that is refused either way. */
static bool is_stopped(const quic_stream_t *s)
{
    uint8_t out[1];
    ngtcp2_vec impossible = {out, SIZE_MAX};
    return ngtcp2_conn_writev_stream(s->session->conn, NULL, NULL, out, 0, NULL,
                                     NGTCP2_WRITE_STREAM_FLAG_NONE, s->id, &impossible, 1,
                                     0) == NGTCP2_ERR_STREAM_SHUT_WR;
}

static void find_stopped(list_t *streams)
{
    LIST_EACH (s, streams, quic_stream_t, output_node)
        if (is_stopped(s))
            quic_stream_was_stopped(s);
}

void quic_stream_find_stopped(quic_t *q)
{
    find_stopped(&q->blocked);
    if (!ngtcp2_conn_get_max_data_left(q->conn))
        find_stopped(&q->output);
}

void quic_stream_was_closed(quic_stream_t *s)
{
    s->is_gone = true;
    if (!s->has_received_fin && !s->is_read_reset) { /* it ended early */
        note_reset(s, ERR_RESET);
        s->is_read_reset = true;
        drop_received(s);
    }
    list_remove(&s->output_node);
    drop_to_send(s);
    quic_stream_tell(s, QUIC_NEWS_READABLE | QUIC_NEWS_WRITABLE);
    free_if_over(s);
}

/* ── what its user does ──────────────────────────────────────────────────────────────────────── */
err_t quic_stream_open(quic_t *q, void *user, quic_stream_t **ret)
{
    if (q->state != QUIC_OPEN)
        return fail(ERR_CLOSED, "quic: the connection is ending");
    if (q->n_streams >= q->endpoint->config.max_streams)
        return fail(ERR_LIMIT, "quic: %zu streams are open, the limit", q->n_streams);
    if (!ngtcp2_conn_get_streams_bidi_left(q->conn))
        return ERR_AGAIN;
    quic_stream_t *s;
    TRY(quic_stream_new(q, 0, false, &s));
    int code = ngtcp2_conn_open_bidi_stream(q->conn, &s->id, s);
    if (code) {
        quic_stream_detach(s, ERR_CLOSED);
        return code == NGTCP2_ERR_STREAM_ID_BLOCKED ? ERR_AGAIN
                                                    : fail(ERR_NO_MEMORY, "no memory for a stream");
    }
    s->user = user;
    s->has_user = true;
    *ret = s;
    return OK;
}

void quic_stream_accept(quic_stream_t *s, void *user)
{
    assert(s->is_inbound && !s->has_user);
    s->user = user;
    s->has_user = true;
    if (s->received.len || s->has_received_fin || s->is_read_reset)
        quic_stream_tell(s, QUIC_NEWS_READABLE);
}

static void announce(quic_stream_t *s, size_t n)
{
    quic_t *q = s->session;
    ngtcp2_conn_extend_max_offset(q->conn, n);
    if (!s->is_gone && !s->has_received_fin && ngtcp2_conn_extend_max_stream_offset(q->conn, s->id, n))
        abort(); /* it has no other error than memory, which ngtcp2 took before */
    q->unannounced += n;
    if (q->unannounced >= ANNOUNCE_BYTES) {
        q->unannounced = 0;
        q->must_output = true;
    }
}

err_t quic_stream_read(quic_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    if (s->received.len) {
        *ret_n = queue_read(&s->received, out, cap);
        if (s->session) {
            if (recharge(s, &s->charged_receive, s->received.len))
                abort(); /* it only becomes less */
            announce(s, *ret_n);
        }
        return OK;
    }
    if (s->has_received_fin && !s->is_read_reset) {
        *ret_n = 0;
        return OK;
    }
    if (s->is_read_reset)
        return fail(s->reset_reason, "the stream was reset");
    return ERR_AGAIN;
}

static size_t write_room(const quic_stream_t *s)
{
    size_t unsent = s->to_send.len - s->sent, max = s->session->endpoint->config.max_send_queue;
    return unsent < max ? max - unsent : 0;
}

err_t quic_stream_write(quic_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n)
{
    if (s->is_write_reset)
        return fail(s->reset_reason, "the stream was reset");
    if (s->must_fin || s->has_sent_fin)
        return fail(ERR_CLOSED, "the stream is closed for writing");
    size_t taken = 0;
    for (size_t i = 0; i < n && write_room(s); i++) {
        bytes_t piece = bytes_slice(pieces[i], 0, write_room(s));
        err_t e = recharge(s, &s->charged_send, s->to_send.len + piece.len);
        if (!e && (e = queue_push(&s->to_send, piece)) && recharge(s, &s->charged_send, s->to_send.len))
            abort(); /* it only becomes less */
        if (e && taken)
            break;
        TRY(e);
        taken += piece.len;
    }
    if (!taken) {
        s->is_write_blocked = true;
        return ERR_AGAIN;
    }
    if (!s->is_window_blocked)
        quic_stream_schedule(s);
    *ret_n = taken;
    return OK;
}

err_t quic_stream_close_write(quic_stream_t *s)
{
    if (s->is_write_reset)
        return fail(s->reset_reason, "the stream was reset");
    if (s->must_fin || s->has_sent_fin)
        return OK;
    s->must_fin = true;
    if (!s->is_window_blocked)
        quic_stream_schedule(s);
    return OK;
}

static void shut(const quic_stream_t *s, bool read, bool write)
{
    ngtcp2_conn *conn = s->session->conn;
    if ((write && ngtcp2_conn_shutdown_stream_write(conn, 0, s->id, 0)) ||
        (read && ngtcp2_conn_shutdown_stream_read(conn, 0, s->id, 0)))
        abort(); /* memory is the only reason */
    s->session->must_output = true;
}

/* The other side hears of it by RESET_STREAM and STOP_SENDING. What ngtcp2 may still point to stays until it
 * has forgotten the stream. */
void quic_stream_reset(quic_stream_t *s)
{
    if (!s->session || (s->is_read_reset && s->is_write_reset))
        return;
    note_reset(s, ERR_CLOSED);
    if (!s->is_gone)
        shut(s, !s->has_received_fin, true);
    s->is_read_reset = true;
    stop_sending(s);
    drop_received(s);
    quic_stream_tell(s, QUIC_NEWS_READABLE | QUIC_NEWS_WRITABLE);
}

void quic_stream_release(quic_stream_t *s, uint64_t now_ms)
{
    assert(s->has_user || s->is_inbound);
    s->has_user = false;
    s->user = NULL;
    if (!s->session) {
        queue_deinit(&s->received);
        free(s);
        return;
    }
    list_remove(&s->event_node);
    s->news = 0;
    drop_received(s);
    if (!s->is_gone && !s->has_received_fin)
        shut(s, true, false);
    if (!s->is_gone && !s->is_write_reset) {
        if (!s->must_fin && !s->has_sent_fin) {
            s->must_fin = true;
            if (!s->is_window_blocked)
                quic_stream_schedule(s);
        }
        s->linger_until_ms = now_ms + QUIC_LINGER_MS;
        list_push_back(&s->session->lingering, &s->linger_node);
    }
    free_if_over(s);
}

uint64_t quic_stream_linger_ms(const quic_t *q)
{
    const quic_stream_t *s = LIST_FIRST(&q->lingering, quic_stream_t, linger_node);
    return s ? s->linger_until_ms : UINT64_MAX;
}

void quic_stream_linger(quic_t *q, uint64_t now_ms)
{
    for (quic_stream_t *s;
         (s = LIST_FIRST(&q->lingering, quic_stream_t, linger_node)) && s->linger_until_ms <= now_ms;) {
        list_remove(&s->linger_node);
        quic_stream_reset(s);
    }
}
