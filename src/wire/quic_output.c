/* quic_output: the packets of a connection, in bursts of one size for one place, so that the kernel takes
 * them in one call. */
#include "wire/quic_internal.h"

/* The stream whose turn it is, and the bytes that it has to send. */
typedef struct turn {
    quic_stream_t *s;
    ngtcp2_vec pieces[QUIC_VIEW_PIECES];
    size_t n_pieces, len;
    bool is_last; /* no more bytes behind these */
} turn_t;

static void begin_turn(turn_t *t, quic_stream_t *s)
{
    bytes_t view[QUIC_VIEW_PIECES];
    *t = (turn_t){.s = s};
    t->n_pieces = queue_view(&s->to_send, s->sent, view, QUIC_VIEW_PIECES);
    for (size_t i = 0; i < t->n_pieces; i++) {
        t->pieces[i] = (ngtcp2_vec){(uint8_t *)(uintptr_t)view[i].data, view[i].len};
        t->len += view[i].len;
    }
    t->is_last = s->sent + t->len == s->to_send.len;
}

static void drop_front(turn_t *t, size_t n)
{
    t->len -= n;
    size_t i = 0;
    for (; i < t->n_pieces && n >= t->pieces[i].len; i++)
        n -= t->pieces[i].len;
    t->n_pieces -= i;
    memmove(t->pieces, t->pieces + i, t->n_pieces * sizeof *t->pieces);
    if (n) {
        t->pieces[0].base += n;
        t->pieces[0].len -= n;
    }
}

/* ngtcp2 took n bytes of the turn's stream into a packet, and its end if that was there. */
static void took(quic_t *q, turn_t *t, size_t n, bool has_fin)
{
    quic_stream_t *s = t->s;
    bool is_all = n == t->len;
    s->sent += n;
    drop_front(t, n);
    if (has_fin && is_all) {
        s->must_fin = false;
        s->has_sent_fin = true;
    }
    if (s->is_write_blocked && n) {
        s->is_write_blocked = false;
        quic_stream_tell(s, QUIC_NEWS_WRITABLE);
    }
    if (s->sent == s->to_send.len && !s->must_fin) {
        list_remove(&s->output_node);
        t->s = NULL;
    } else if (is_all) {
        t->s = NULL; /* more pieces: a new view */
    }
}

/* It cannot send now: the peer gives no window, or wants no more of it. */
static void leave_output(quic_t *q, quic_stream_t *s, int why)
{
    list_remove(&s->output_node);
    s->is_window_blocked = why == NGTCP2_ERR_STREAM_DATA_BLOCKED;
    if (s->is_window_blocked)
        list_push_back(&q->blocked, &s->output_node);
    else if (why == NGTCP2_ERR_STREAM_SHUT_WR)
        quic_stream_was_stopped(s);
}

/* One datagram, of one or several streams. 0: nothing to send now; < 0: an error of ngtcp2's. */
static ngtcp2_ssize write_datagram(quic_t *q, turn_t *t, uint8_t *out, size_t cap, ngtcp2_path_storage *path,
                                   ngtcp2_tstamp ts)
{
    for (;;) {
        if (!ngtcp2_conn_get_max_data_left(q->conn) && !(t->s && t->s->must_fin && !t->len))
            t->s = NULL; /* the peer takes no more of any stream */
        quic_stream_t *first = LIST_FIRST(&q->output, quic_stream_t, output_node);
        if (!t->s && first && ngtcp2_conn_get_max_data_left(q->conn))
            begin_turn(t, first);
        quic_stream_t *s = t->s;
        bool has_fin = s && s->must_fin && t->is_last;
        uint32_t flags = s ? NGTCP2_WRITE_STREAM_FLAG_MORE : NGTCP2_WRITE_STREAM_FLAG_NONE;
        ngtcp2_ssize taken = -1;
        ngtcp2_pkt_info info;
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(q->conn, &path->path, &info, out, cap, &taken,
                                                   flags | (has_fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0),
                                                   s ? s->id : -1, t->pieces, s ? t->n_pieces : 0, ts);
        if (s && taken >= 0)
            took(q, t, (size_t)taken, has_fin);
        if (n == NGTCP2_ERR_WRITE_MORE)
            continue;
        if (s && (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
                  n == NGTCP2_ERR_STREAM_NOT_FOUND)) {
            t->s = NULL;
            leave_output(q, s, (int)n);
            continue;
        }
        return n;
    }
}

/* The next stream gets the next datagram. */
static void rotate(quic_t *q, turn_t *t)
{
    list_t *first = q->output.next;
    if (first == &q->output || first->next == &q->output)
        return;
    list_remove(first);
    list_push_back(&q->output, first);
    t->s = NULL;
}

static void hold(quic_t *q, bytes_t datagram, const net_addr_t *to)
{
    if (!buf_append(&q->held, datagram)) /* without memory it is lost, and sent again */
        q->held_to = *to;
}

static bool put_held(quic_t *q, uint8_t *out, quic_burst_t *ret)
{
    if (!q->held.len)
        return false;
    memcpy(out, q->held.data, q->held.len);
    *ret = (quic_burst_t){.to = q->held_to, .len = q->held.len, .segment_bytes = q->held.len};
    buf_deinit(&q->held);
    return true;
}

static bool put_last(quic_t *q, uint8_t *out, ngtcp2_tstamp ts, quic_burst_t *ret)
{
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    ngtcp2_path_storage_zero(&path);
    q->state = QUIC_ENDED;
    q->must_output = false;
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(q->conn, &path.path, &info, out, QUIC_DATAGRAM_MAX,
                                                        &q->closing, ts);
    if (n <= 0)
        return false;
    *ret = (quic_burst_t){.to = q->addr, .len = (size_t)n, .segment_bytes = (size_t)n};
    return true;
}

/* False: the burst is full, or what was written did not fit into it and is held. */
static bool put_datagram(quic_t *q, uint8_t *out, size_t n, const ngtcp2_path_storage *path, quic_burst_t *b)
{
    net_addr_t to;
    quic_get_addr(&path->path.remote, &to);
    if (!b->len) {
        *b = (quic_burst_t){.to = to, .len = n, .segment_bytes = n};
        return true;
    }
    if (n > b->segment_bytes || !net_addr_equal(&to, &b->to)) {
        hold(q, bytes_of(out + b->len, n), &to);
        return false;
    }
    b->len += n;
    return n == b->segment_bytes && b->len < QUIC_BURST_DATAGRAMS * b->segment_bytes;
}

bool quic_output(quic_t *q, uint8_t *out, size_t cap, uint64_t now_ms, quic_burst_t *ret)
{
    ngtcp2_path_storage path;
    turn_t turn = {0};
    quic_burst_t b = {0};
    if (q->state == QUIC_ENDED)
        return false;
    if (q->state == QUIC_ENDING)
        return put_last(q, out, quic_stamp(q, now_ms, false), ret);
    if (put_held(q, out, ret))
        return true;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_tstamp ts = quic_stamp(q, now_ms, false);
    while (cap - b.len >= QUIC_DATAGRAM_MAX) {
        ngtcp2_ssize n = write_datagram(q, &turn, out + b.len, QUIC_DATAGRAM_MAX, &path, ts);
        if (n < 0) {
            if (quic_failed(q, (int)n) == ERR_NO_MEMORY)
                q->state = QUIC_ENDED;
            break;
        }
        if (!n) {
            q->must_output = false;
            break;
        }
        rotate(q, &turn);
        if (!put_datagram(q, out, (size_t)n, &path, &b))
            break;
    }
    if (!b.len)
        return false;
    q->has_sent = true;
    *ret = b;
    return true;
}

bool quic_has_output(const quic_t *q)
{
    return q->must_output || q->held.len;
}
