#include "wire/yamux.h"
#include "base/reader.h"
#include "wire/yamux_internal.h"

/* A body that we skip may have been sent before the peer learnt of a reset: at most the widest window. */
#define SKIP_MAX (16u << 20)
#define IDS_MAX 0xffffffffu

void yamux_config_default(yamux_config_t *ret)
{
    *ret = (yamux_config_t){.max_streams = 1024,
                            .max_inbound_streams = 768,
                            .max_window = 16u << 20,
                            .max_send_queue = 256u << 10,
                            .keepalive_ms = 30000,
                            .pong_timeout_ms = 20000};
}

void yamux_put_header(uint8_t out[YAMUX_HEADER_BYTES], uint8_t type, uint16_t flags, uint32_t id,
                      uint32_t len)
{
    out[0] = 0; /* version */
    out[1] = type;
    out[2] = (uint8_t)(flags >> 8);
    out[3] = (uint8_t)flags;
    for (int i = 0; i < 4; i++) {
        out[4 + i] = (uint8_t)(id >> (24 - 8 * i));
        out[8 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
}

err_t yamux_put_control(yamux_t *y, uint8_t type, uint16_t flags, uint32_t id, uint32_t len)
{
    uint8_t header[YAMUX_HEADER_BYTES];
    yamux_put_header(header, type, flags, id, len);
    if (buf_append(&y->control, bytes_of(header, sizeof header)))
        return fail(ERR_LIMIT, "yamux: the peer asks for answers and does not read them (%d bytes)",
                    YAMUX_CONTROL_MAX);
    return OK;
}

static err_t send_ping(yamux_t *y, uint64_t now_ms)
{
    y->is_ping_out = true;
    y->ping_sent_ms = now_ms;
    y->next_ping_ms = y->config.keepalive_ms ? now_ms + y->config.keepalive_ms : UINT64_MAX;
    return yamux_put_control(y, YAMUX_PING, YAMUX_SYN, 0, ++y->ping_id);
}

void yamux_init(yamux_t *y, const yamux_config_t *c, uint64_t now_ms)
{
    assert(c->limit && c->max_window >= YAMUX_INITIAL_WINDOW && c->max_send_queue);
    *y = (yamux_t){.config = *c, .next_id = c->is_client ? 1 : 2, .heard_ms = now_ms};
    map_init(&y->streams, c->max_streams);
    list_init(&y->output);
    list_init(&y->events);
    list_init(&y->lingering);
    buf_init(&y->control, YAMUX_CONTROL_MAX);
    if (send_ping(y, now_ms))
        y->state = YAMUX_CLOSED; /* no memory */
}

void yamux_deinit(yamux_t *y, err_t reason)
{
    void *s;
    for (size_t i = 0; map_next(&y->streams, &i, NULL, &s);)
        yamux_stream_detach(s, reason);
    map_deinit(&y->streams);
    buf_deinit(&y->control);
    y->body_stream = NULL;
    y->state = YAMUX_CLOSED;
}

void yamux_go_away(yamux_t *y, yamux_reason_t reason)
{
    if (y->state != YAMUX_CLOSED && yamux_put_control(y, YAMUX_GO_AWAY, 0, 0, reason))
        buf_clear(&y->control); /* the peer does not read: nothing else matters to it either */
    y->state = YAMUX_CLOSED;
}

/* One frame header, decoded. */
typedef struct frame {
    uint8_t type;
    uint16_t flags;
    uint32_t id, len;
} frame_t;

/* A stream that the peer opens. *ret_stream is NULL when it was refused. Nothing changes on an error. */
static err_t take_syn(yamux_t *y, const frame_t *f, yamux_stream_t **ret_stream)
{
    bool is_of_client = f->id % 2;
    if (is_of_client == y->config.is_client)
        return fail(ERR_PROTOCOL, "yamux: the peer opened stream %u, an id of ours", f->id);
    if (yamux_find(y, f->id))
        return fail(ERR_PROTOCOL, "yamux: the peer opened stream %u twice", f->id);
    if (f->type == YAMUX_DATA && f->len > YAMUX_INITIAL_WINDOW)
        return fail(ERR_PROTOCOL, "yamux: %u bytes on the new stream %u exceed its window", f->len, f->id);
    if (f->type == YAMUX_WINDOW && f->len > UINT32_MAX - YAMUX_INITIAL_WINDOW)
        return fail(ERR_PROTOCOL, "yamux: the window of stream %u overflows", f->id);
    *ret_stream = NULL;
    if (f->flags & YAMUX_RST)
        return OK;
    if (y->state != YAMUX_OPEN || yamux_stream_new(y, f->id, true, ret_stream))
        return yamux_put_control(y, YAMUX_WINDOW, YAMUX_RST, f->id, 0);
    yamux_stream_tell(*ret_stream, YAMUX_NEWS_OPENED);
    return OK;
}

static err_t take_data(yamux_t *y, const frame_t *f, yamux_stream_t *s)
{
    if (s && f->len > s->receive_window)
        return fail(ERR_PROTOCOL, "yamux: %u bytes on stream %u exceed its window of %u", f->len, f->id,
                    s->receive_window);
    if (!s && f->len > SKIP_MAX)
        return fail(ERR_PROTOCOL, "yamux: a frame of %u bytes for stream %u, which is not open", f->len,
                    f->id);
    if (s)
        s->receive_window -= f->len;
    y->body_left = f->len;
    y->body_stream = s;
    y->body_has_fin = f->flags & YAMUX_FIN;
    return OK;
}

static err_t take_stream_frame(yamux_t *y, const frame_t *f)
{
    if (!f->id)
        return fail(ERR_PROTOCOL, "yamux: a stream frame with id 0");
    yamux_stream_t *s = yamux_find(y, f->id);
    if (f->flags & YAMUX_SYN)
        TRY(take_syn(y, f, &s));
    if (f->type == YAMUX_DATA)
        TRY(take_data(y, f, s));
    else if (s)
        TRY(yamux_stream_widen(s, f->len));
    if (!s)
        return OK;
    if (f->flags & YAMUX_ACK)
        yamux_stream_acked(s);
    if (f->flags & YAMUX_RST)
        yamux_stream_end(s, ERR_RESET); /* s may be gone; a body is skipped */
    else if (f->flags & YAMUX_FIN && !y->body_left)
        yamux_stream_take_fin(s);
    return OK;
}

static err_t take_ping(yamux_t *y, const frame_t *f, uint64_t now_ms)
{
    if (f->flags & YAMUX_SYN)
        return yamux_put_control(y, YAMUX_PING, YAMUX_ACK, 0, f->len);
    if (!(f->flags & YAMUX_ACK) || !y->is_ping_out || f->len != y->ping_id)
        return OK; /* late or invented: nothing waits for it */
    uint64_t sample = now_ms - y->ping_sent_ms;
    y->is_ping_out = false;
    y->rtt_ms = (uint32_t)(y->has_rtt ? (y->rtt_ms * 7ull + sample) / 8 : sample);
    y->has_rtt = y->rtt_news = true;
    return OK;
}

static err_t take_frame(yamux_t *y, uint64_t now_ms)
{
    reader_t r = reader_of(bytes_of(y->header, YAMUX_HEADER_BYTES));
    uint8_t version = read_u8(&r);
    frame_t f = {.type = read_u8(&r)};
    f.flags = read_u16be(&r);
    f.id = read_u32be(&r);
    f.len = read_u32be(&r);
    if (version)
        return fail(ERR_PROTOCOL, "yamux: version %u", version);
    switch (f.type) {
    case YAMUX_DATA:
    case YAMUX_WINDOW:
        return take_stream_frame(y, &f);
    case YAMUX_PING:
        return take_ping(y, &f, now_ms);
    case YAMUX_GO_AWAY:
        y->state = YAMUX_GOING;
        y->going_reason = f.len;
        y->going_news = true;
        return OK;
    default:
        return fail(ERR_PROTOCOL, "yamux: frame type %u", f.type);
    }
}

static size_t take_body(yamux_t *y, bytes_t in)
{
    size_t n = in.len < y->body_left ? in.len : y->body_left;
    y->body_left -= (uint32_t)n;
    if (y->body_stream)
        yamux_stream_take(y->body_stream, bytes_of(in.data, n));
    if (!y->body_left && y->body_stream && y->body_has_fin)
        yamux_stream_take_fin(y->body_stream);
    return n;
}

err_t yamux_feed(yamux_t *y, bytes_t in, uint64_t now_ms)
{
    y->heard_ms = now_ms;
    while (in.len) {
        if (y->state == YAMUX_CLOSED)
            return fail(ERR_CLOSED, "yamux: the session is over");
        size_t n;
        if (y->body_left) {
            n = take_body(y, in);
        } else {
            n = YAMUX_HEADER_BYTES - y->header_len;
            n = n < in.len ? n : in.len;
            memcpy(y->header + y->header_len, in.data, n);
            y->header_len += (uint8_t)n;
        }
        in = bytes_slice(in, n, SIZE_MAX);
        if (y->header_len < YAMUX_HEADER_BYTES)
            continue;
        y->header_len = 0;
        err_t e = take_frame(y, now_ms);
        if (e) {
            y->body_left = 0;
            yamux_go_away(y, YAMUX_PROTOCOL_ERROR);
            return e;
        }
    }
    return OK;
}

bool yamux_next_event(yamux_t *y, yamux_event_t *ret_event)
{
    if (y->rtt_news) {
        y->rtt_news = false;
        *ret_event = (yamux_event_t){.kind = YAMUX_EVENT_RTT};
        return true;
    }
    if (y->going_news) {
        y->going_news = false;
        *ret_event = (yamux_event_t){.kind = YAMUX_EVENT_GO_AWAY};
        return true;
    }
    if (y->may_open_news) {
        y->may_open_news = false;
        *ret_event = (yamux_event_t){.kind = YAMUX_EVENT_MAY_OPEN};
        return true;
    }
    yamux_stream_t *s = LIST_FIRST(&y->events, yamux_stream_t, event_node);
    if (!s)
        return false;
    list_remove(&s->event_node);
    *ret_event = (yamux_event_t){.kind = YAMUX_EVENT_STREAM, .stream = s, .news = s->news};
    s->news = 0;
    return true;
}

uint64_t yamux_deadline_ms(const yamux_t *y)
{
    if (y->state == YAMUX_CLOSED)
        return UINT64_MAX;
    uint64_t at = y->is_ping_out ? UINT64_MAX : y->next_ping_ms;
    if (y->is_ping_out && y->config.pong_timeout_ms) {
        uint64_t since = y->heard_ms > y->ping_sent_ms ? y->heard_ms : y->ping_sent_ms;
        at = since + y->config.pong_timeout_ms;
    }
    const yamux_stream_t *s = LIST_FIRST(&y->lingering, yamux_stream_t, linger_node);
    return s && s->linger_until_ms < at ? s->linger_until_ms : at;
}

err_t yamux_tick(yamux_t *y, uint64_t now_ms)
{
    if (y->state == YAMUX_CLOSED)
        return OK;
    for (yamux_stream_t *s; (s = LIST_FIRST(&y->lingering, yamux_stream_t, linger_node));) {
        if (s->linger_until_ms > now_ms)
            break;
        list_remove(&s->linger_node);
        yamux_reset(s);
    }
    if (y->is_ping_out) {
        uint64_t since = y->heard_ms > y->ping_sent_ms ? y->heard_ms : y->ping_sent_ms;
        if (!y->config.pong_timeout_ms || now_ms < since + y->config.pong_timeout_ms)
            return OK;
        if (y->heard_ms <= y->ping_sent_ms) {
            y->state = YAMUX_CLOSED;
            return fail(ERR_TIMEOUT, "yamux: nothing heard from the peer in %u ms",
                        y->config.pong_timeout_ms);
        }
        y->is_ping_out = false; /* the pong is missing but the peer lives: ask again */
        y->next_ping_ms = now_ms;
    }
    return now_ms >= y->next_ping_ms ? send_ping(y, now_ms) : OK;
}
