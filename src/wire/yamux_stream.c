#include "base/writer.h"
#include "wire/yamux_internal.h"
#include <stdlib.h>

/* A window grows when half of it was emptied within this many round trips (go-yamux: 4). */
enum { GROWTH_ROUND_TRIPS = 4 };

typedef struct id_key {
    uint8_t bytes[4];
} id_key_t;

static id_key_t key_of(uint32_t id)
{
    return (id_key_t){{(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}};
}

yamux_stream_t *yamux_find(const yamux_t *y, uint32_t id)
{
    if (y->body_stream && y->body_stream->id == id)
        return y->body_stream; /* bulk transfer: the stream of the frame before */
    id_key_t key = key_of(id);
    return map_get(&y->streams, bytes_of(key.bytes, sizeof key.bytes));
}

err_t yamux_stream_new(yamux_t *y, uint32_t id, bool is_inbound, yamux_stream_t **ret)
{
    if (is_inbound && y->n_inbound >= y->config.max_inbound_streams)
        return fail(ERR_LIMIT, "yamux: the peer has %zu streams open, the limit", y->n_inbound);
    yamux_stream_t *s = calloc(1, sizeof *s);
    if (!s)
        return fail(ERR_NO_MEMORY, "no memory for a stream");
    id_key_t key = key_of(id);
    err_t e = map_put(&y->streams, bytes_of(key.bytes, sizeof key.bytes), s, NULL);
    if (e) {
        free(s);
        return e == ERR_LIMIT
                   ? fail(ERR_LIMIT, "yamux: %zu streams are open, the limit", y->config.max_streams)
                   : e;
    }
    s->session = y;
    s->id = id;
    s->limit = y->config.limit;
    s->is_inbound = is_inbound;
    y->n_inbound += is_inbound;
    s->receive_window = s->window_max = s->send_window = YAMUX_INITIAL_WINDOW;
    queue_init(&s->received, YAMUX_INITIAL_WINDOW);
    queue_init(&s->to_send, y->config.max_send_queue);
    *ret = s;
    return OK;
}

err_t yamux_stream_set_limit(yamux_stream_t *s, limit_t *limit)
{
    TRY(limit_move(s->own_limit, limit, s->charged_receive + s->charged_send));
    s->own_limit = limit;
    if (s->session)
        s->limit = limit ? limit : s->session->config.limit;
    return OK;
}

static err_t charge_received(yamux_stream_t *s, size_t buffered)
{
    uint64_t growth = s->window_max - YAMUX_INITIAL_WINDOW;
    return limit_recharge(s->limit, &s->charged_receive, buffered > growth ? buffered : growth);
}

/* Empties both queues and gives the whole charge back. */
static void drop_received(yamux_stream_t *s)
{
    queue_deinit(&s->received);
    limit_release(s->limit, s->charged_receive);
    s->charged_receive = 0;
}

static void drop_to_send(yamux_stream_t *s)
{
    queue_deinit(&s->to_send);
    limit_release(s->limit, s->charged_send);
    s->charged_send = 0;
}

static void leave_session(yamux_stream_t *s)
{
    yamux_t *y = s->session;
    yamux_stream_acked(s);
    y->n_inbound -= s->is_inbound;
    list_remove(&s->output_node);
    list_remove(&s->event_node);
    list_remove(&s->linger_node);
    if (y->body_stream == s)
        y->body_stream = NULL;
    id_key_t key = key_of(s->id);
    map_remove(&y->streams, bytes_of(key.bytes, sizeof key.bytes));
    s->session = NULL;
}

void yamux_stream_detach(yamux_stream_t *s, err_t reason)
{
    bool is_whole = s->has_received_fin && !s->is_reset; /* its data can still be read */
    limit_release(s->limit, s->charged_receive);
    s->charged_receive = 0;
    if (!is_whole)
        queue_deinit(&s->received);
    drop_to_send(s);
    leave_session(s);
    if (!s->has_user) {
        queue_deinit(&s->received);
        free(s);
    } else if (!s->is_reset) {
        s->is_reset = true;
        s->reset_reason = reason;
    }
}

void yamux_stream_free_if_over(yamux_stream_t *s)
{
    bool has_ended = s->is_reset ? !s->must_reset : s->has_sent_fin && s->has_received_fin;
    if (s->has_user || !has_ended || s->news & YAMUX_NEWS_OPENED)
        return;
    drop_received(s);
    drop_to_send(s);
    leave_session(s);
    free(s);
}

void yamux_stream_schedule(yamux_stream_t *s)
{
    if (!list_is_linked(&s->output_node))
        list_push_back(&s->session->output, &s->output_node);
}

void yamux_stream_tell(yamux_stream_t *s, uint8_t news)
{
    if (!s->has_user && !(news & YAMUX_NEWS_OPENED) && !(s->news & YAMUX_NEWS_OPENED))
        return;
    s->news |= news;
    if (!list_is_linked(&s->event_node))
        list_push_back(&s->session->events, &s->event_node);
}

void yamux_stream_acked(yamux_stream_t *s)
{
    if (s->is_inbound || s->is_acked)
        return;
    s->is_acked = true;
    if (s->session->unacked-- == YAMUX_BACKLOG_MAX)
        s->session->may_open_news = true;
}

/* Ends both directions and drops what is queued, without freeing. */
static void end(yamux_stream_t *s, err_t reason)
{
    if (s->session->body_stream == s)
        s->session->body_stream = NULL;
    yamux_stream_acked(s);
    if (!s->has_received_fin || reason != ERR_RESET) /* what ended with FIN stays whole */
        drop_received(s);
    drop_to_send(s);
    s->must_syn = s->must_ack = s->must_fin = s->must_reset = s->must_update = false;
    list_remove(&s->output_node);
    if (!s->is_reset) {
        s->is_reset = true;
        s->reset_reason = reason;
    }
    yamux_stream_tell(s, YAMUX_NEWS_READABLE | YAMUX_NEWS_WRITABLE);
}

void yamux_stream_end(yamux_stream_t *s, err_t reason)
{
    end(s, reason);
    if (s->news & YAMUX_NEWS_OPENED) { /* nobody has heard of it yet, nobody needs to */
        s->news = 0;
        list_remove(&s->event_node);
    }
    yamux_stream_free_if_over(s);
}

/* Resets the stream by our decision: the peer is told, if it knows the stream. */
static void refuse(yamux_stream_t *s, err_t reason)
{
    bool is_known_to_peer = !s->must_syn;
    end(s, reason);
    if (is_known_to_peer) {
        s->must_reset = true;
        yamux_stream_schedule(s);
    }
    yamux_stream_free_if_over(s);
}

void yamux_stream_take(yamux_stream_t *s, bytes_t data)
{
    if (s->is_reset || s->has_received_fin || (!s->has_user && !(s->news & YAMUX_NEWS_OPENED)))
        return; /* nobody will read it */
    err_t e = charge_received(s, s->received.len + data.len);
    if (!e)
        e = queue_push(&s->received, data);
    if (e)
        refuse(s, ERR_LIMIT);
    else
        yamux_stream_tell(s, YAMUX_NEWS_READABLE);
}

void yamux_stream_take_fin(yamux_stream_t *s)
{
    s->has_received_fin = true;
    yamux_stream_tell(s, YAMUX_NEWS_READABLE);
    yamux_stream_free_if_over(s);
}

err_t yamux_stream_widen(yamux_stream_t *s, uint32_t by)
{
    if (by > UINT32_MAX - s->send_window)
        return fail(ERR_PROTOCOL, "yamux: the window of stream %u overflows", s->id);
    s->send_window += by;
    if (by && s->to_send.len)
        yamux_stream_schedule(s);
    return OK;
}

err_t yamux_open(yamux_t *y, void *user, yamux_stream_t **ret_stream)
{
    if (y->state != YAMUX_OPEN)
        return fail(ERR_CLOSED, "yamux: the session is ending");
    if (y->next_id > UINT32_MAX)
        return fail(ERR_CLOSED, "yamux: the stream ids are used up");
    if (y->unacked >= YAMUX_BACKLOG_MAX)
        return ERR_AGAIN;
    yamux_stream_t *s;
    TRY(yamux_stream_new(y, (uint32_t)y->next_id, false, &s));
    y->next_id += 2;
    y->unacked++;
    s->user = user;
    s->has_user = true;
    s->must_syn = true;
    yamux_stream_schedule(s);
    *ret_stream = s;
    return OK;
}

void yamux_accept(yamux_stream_t *s, void *user)
{
    assert(s->is_inbound && !s->has_user);
    s->user = user;
    s->has_user = true;
    s->must_ack = !s->is_reset;
    yamux_stream_schedule(s);
    if (s->received.len || s->has_received_fin || s->is_reset)
        yamux_stream_tell(s, YAMUX_NEWS_READABLE);
}

uint32_t yamux_stream_free_window(const yamux_stream_t *s)
{
    const yamux_t *y = s->session;
    uint32_t coming = y->body_stream == s ? y->body_left : 0; /* of a frame that has begun */
    return s->window_max - (uint32_t)s->received.len - coming - s->receive_window;
}

/* The reader emptied some of the queue: refills the window when half of it is free, wider when that took
 * only a few round trips. */
static void refill(yamux_stream_t *s, uint64_t now_ms)
{
    yamux_t *y = s->session;
    if (s->must_update || s->has_received_fin || yamux_stream_free_window(s) < s->window_max / 2)
        return;
    uint64_t rtt_ms = y->rtt_ms ? y->rtt_ms : 1;
    bool is_fast = s->refilled_ms && now_ms - s->refilled_ms < GROWTH_ROUND_TRIPS * rtt_ms;
    if (is_fast && s->window_max < y->config.max_window) {
        uint32_t was = s->window_max;
        s->window_max = was > y->config.max_window / 2 ? y->config.max_window : was * 2;
        if (charge_received(s, s->received.len))
            s->window_max = was; /* no budget: the old width goes on */
        s->received.max = s->window_max;
    }
    s->refilled_ms = now_ms;
    s->must_update = true;
    yamux_stream_schedule(s);
}

err_t yamux_read(yamux_stream_t *s, uint8_t *out, size_t cap, uint64_t now_ms, size_t *ret_n)
{
    if (s->received.len) {
        *ret_n = queue_read(&s->received, out, cap);
        if (s->session && !s->is_reset) {
            if (charge_received(s, s->received.len))
                abort(); /* it only becomes less */
            refill(s, now_ms);
        }
        return OK;
    }
    if (s->has_received_fin) {
        *ret_n = 0;
        return OK;
    }
    if (s->is_reset)
        return fail(s->reset_reason, "the stream was reset");
    return ERR_AGAIN;
}

err_t yamux_write(yamux_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n)
{
    if (s->is_reset)
        return fail(s->reset_reason, "the stream was reset");
    if (s->must_fin || s->has_sent_fin)
        return fail(ERR_CLOSED, "the stream is closed for writing");
    size_t taken = 0;
    for (size_t i = 0; i < n && queue_room(&s->to_send); i++) {
        bytes_t piece = bytes_slice(pieces[i], 0, queue_room(&s->to_send));
        err_t e = limit_recharge(s->limit, &s->charged_send, s->to_send.len + piece.len);
        if (!e && (e = queue_push(&s->to_send, piece)) &&
            limit_recharge(s->limit, &s->charged_send, s->to_send.len))
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
    if (s->send_window)
        yamux_stream_schedule(s);
    *ret_n = taken;
    return OK;
}

err_t yamux_close_write(yamux_stream_t *s)
{
    if (s->is_reset)
        return fail(s->reset_reason, "the stream was reset");
    if (s->must_fin || s->has_sent_fin)
        return OK;
    s->must_fin = true;
    yamux_stream_schedule(s);
    return OK;
}

void yamux_reset(yamux_stream_t *s)
{
    if (s->session && !s->is_reset)
        refuse(s, ERR_CLOSED);
}

void yamux_release(yamux_stream_t *s, uint64_t now_ms)
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
    if (!s->is_reset) {
        if (!s->must_fin && !s->has_sent_fin) {
            s->must_fin = true;
            yamux_stream_schedule(s);
        }
        s->linger_until_ms = now_ms + YAMUX_LINGER_MS;
        list_push_back(&s->session->lingering, &s->linger_node);
    }
    yamux_stream_free_if_over(s);
}
