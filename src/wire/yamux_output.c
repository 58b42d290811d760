#include "wire/yamux_internal.h"

static bool may_send_data(const yamux_stream_t *s)
{
    return s->to_send.len && s->send_window && !s->is_reset;
}

static bool may_send_fin(const yamux_stream_t *s)
{
    return s->must_fin && !s->to_send.len && !s->is_reset;
}

static bool has_something(const yamux_stream_t *s)
{
    return s->must_reset || s->must_syn || s->must_ack || s->must_update || may_send_data(s) ||
           may_send_fin(s);
}

static void put_piece(yamux_gather_t *g, bytes_t piece)
{
    g->pieces[g->n_pieces++] = piece;
    g->len += piece.len;
}

/* SYN, ACK and the widening of the window share one frame. SYN goes without data, as go-yamux sends it. */
static size_t put_window(yamux_stream_t *s, uint8_t *out)
{
    if (!s->must_syn && !s->must_ack && !s->must_update)
        return 0;
    uint32_t by = 0;
    if (s->must_update) {
        by = yamux_stream_free_window(s);
        s->receive_window += by;
    }
    uint16_t flags = (uint16_t)((s->must_syn ? YAMUX_SYN : 0) | (s->must_ack ? YAMUX_ACK : 0));
    yamux_put_header(out, YAMUX_WINDOW, flags, s->id, by);
    s->must_syn = s->must_ack = s->must_update = false;
    return YAMUX_HEADER_BYTES;
}

/* The frames of one stream: window, then data from the first chunk of its queue, then FIN or RST. */
static void put_turn(yamux_gather_t *g, yamux_stream_t *s, size_t room)
{
    struct yamux_turn *turn = &g->turns[g->n_streams++];
    *turn = (struct yamux_turn){.stream = s};
    uint8_t *at = turn->headers;
    if (s->must_reset) {
        yamux_put_header(at, YAMUX_WINDOW, YAMUX_RST, s->id, 0);
        s->must_reset = false;
        put_piece(g, bytes_of(at, YAMUX_HEADER_BYTES));
        return;
    }
    size_t n = put_window(s, at);
    if (may_send_data(s)) {
        bytes_t data = bytes_slice(queue_front(&s->to_send), 0, room - 3 * YAMUX_HEADER_BYTES);
        data = bytes_slice(data, 0, s->send_window);
        yamux_put_header(at + n, YAMUX_DATA, 0, s->id, (uint32_t)data.len);
        n += YAMUX_HEADER_BYTES;
        s->send_window -= (uint32_t)data.len;
        turn->data_len = (uint32_t)data.len;
        put_piece(g, bytes_of(at, n));
        put_piece(g, data);
        at += n;
        n = 0;
    }
    if (s->must_fin && s->to_send.len == turn->data_len) {
        yamux_put_header(at + n, YAMUX_WINDOW, YAMUX_FIN, s->id, 0);
        n += YAMUX_HEADER_BYTES;
        s->must_fin = false;
        s->has_sent_fin = true;
    }
    if (n)
        put_piece(g, bytes_of(at, n));
}

bool yamux_output(yamux_t *y, size_t max_bytes, yamux_gather_t *ret)
{
    assert(max_bytes >= YAMUX_FRAME_MAX && YAMUX_FRAME_MAX > YAMUX_CONTROL_MAX + 3 * YAMUX_HEADER_BYTES);
    ret->n_pieces = ret->len = ret->n_streams = 0;
    ret->control_len = y->control.len;
    if (y->control.len)
        put_piece(ret, buf_bytes(&y->control));
    while (ret->n_streams < YAMUX_GATHER_FRAMES && ret->n_pieces + 3 <= ARRAY_LEN(ret->pieces)) {
        size_t room = max_bytes - ret->len;
        room = room < YAMUX_FRAME_MAX ? room : YAMUX_FRAME_MAX;
        yamux_stream_t *s = LIST_FIRST(&y->output, yamux_stream_t, output_node);
        /* a few bytes at the end of the room are no turn worth taking */
        if (!s || room < 4 * YAMUX_HEADER_BYTES || (ret->n_streams && room < YAMUX_FRAME_MAX / 16))
            break;
        list_remove(&s->output_node);
        if (has_something(s))
            put_turn(ret, s, room);
    }
    return ret->n_pieces > 0;
}

static void end_turn(const struct yamux_turn *turn)
{
    yamux_stream_t *s = turn->stream;
    queue_drop(&s->to_send, turn->data_len);
    limit_release(s->limit, turn->data_len);
    s->charged_send -= turn->data_len;
    if (s->is_write_blocked && s->to_send.len <= s->to_send.max / 2) {
        s->is_write_blocked = false;
        yamux_stream_tell(s, YAMUX_NEWS_WRITABLE);
    }
    if (has_something(s))
        yamux_stream_schedule(s);
    yamux_stream_free_if_over(s);
}

void yamux_output_done(yamux_t *y, yamux_gather_t *g)
{
    if (g->control_len == y->control.len)
        buf_deinit(&y->control); /* an idle session keeps no buffer */
    else
        buf_consume(&y->control, g->control_len);
    for (size_t i = 0; i < g->n_streams; i++)
        end_turn(&g->turns[i]);
    g->n_pieces = g->n_streams = g->len = g->control_len = 0;
}

bool yamux_has_output(const yamux_t *y)
{
    return y->control.len || !list_is_empty(&y->output);
}
