#include "net/stacked.h"
#include <stdlib.h>

/* Makes the charge what is pending. ERR_LIMIT: there is no room for so much. */
static err_t charge_pending(stacked_t *s, uint64_t bytes)
{
    if (bytes > s->charged)
        TRY(limit_charge(s->limit, bytes - s->charged));
    else
        limit_release(s->limit, s->charged - bytes);
    s->charged = bytes;
    return OK;
}

err_t stacked_flush(stacked_t *s)
{
    while (s->pending.len) {
        bytes_t rest = buf_bytes(&s->pending);
        size_t n;
        err_t e = stream_try_write(s->below, &rest, 1, &n);
        if (e == ERR_AGAIN)
            TRY(charge_pending(s, s->pending.len));
        TRY(e);
        buf_consume(&s->pending, n);
    }
    buf_deinit(&s->pending);
    TRY(charge_pending(s, 0));
    if (!s->must_close_write)
        return OK;
    s->must_close_write = false;
    return stream_close_write(s->below);
}

static err_t read_plain(stream_t *base, uint8_t *out, size_t cap, size_t *ret_n)
{
    stacked_t *s = (stacked_t *)base;
    err_t e = s->ops->read(s, out, cap, ret_n);
    if (s->pending.len) {
        err_t sent = stacked_flush(s);
        if ((!e || e == ERR_AGAIN) && sent && sent != ERR_AGAIN)
            return sent;
    }
    return e;
}

static err_t write_plain(stream_t *base, const bytes_t *pieces, size_t n_pieces, size_t *ret_n)
{
    stacked_t *s = (stacked_t *)base;
    size_t taken = 0;
    TRY(stacked_flush(s));
    for (size_t i = 0; i < n_pieces && taken < STACKED_PIECE; i++) {
        bytes_t part = bytes_slice(pieces[i], 0, STACKED_PIECE - taken);
        if (part.len)
            TRY(s->ops->encode(s, part, &s->pending));
        taken += part.len;
    }
    err_t e = stacked_flush(s);
    if (e && e != ERR_AGAIN)
        return e;
    *ret_n = taken;
    return OK;
}

static err_t close_write(stream_t *base)
{
    stacked_t *s = (stacked_t *)base;
    if (s->ops->say_end)
        s->ops->say_end(s, &s->pending);
    s->must_close_write = true;
    err_t e = stacked_flush(s);
    return e == ERR_AGAIN ? OK : e;
}

static void reset(stream_t *base)
{
    stream_reset(((stacked_t *)base)->below);
}

static void close_all(stream_t *base)
{
    stacked_t *s = (stacked_t *)base;
    if (s->ops->say_end)
        s->ops->say_end(s, &s->pending);
    if (stacked_flush(s)) {
        buf_deinit(&s->pending);
        limit_release(s->limit, s->charged);
    }
    event_unwatch(&s->readable);
    event_unwatch(&s->writable);
    runnable_cancel(&s->on_readable);
    runnable_cancel(&s->on_writable);
    stream_close(s->below);
    s->ops->free(s);
}

static const stream_ops_t ops = {
    .read = read_plain, .write = write_plain, .close_write = close_write, .reset = reset, .close = close_all};

static void on_readable(void *arg)
{
    event_fire(&((stacked_t *)arg)->base.readable);
}

/* An error of the flush shows up again at the next read or write. */
static void on_writable(void *arg)
{
    stacked_t *s = arg;
    if (stacked_flush(s) != ERR_AGAIN)
        event_fire(&s->base.writable);
}

void stacked_charge(stacked_t *s, limit_t *limit)
{
    assert(!s->charged);
    s->limit = limit;
}

void stacked_init(stacked_t *s, sched_t *sched, const stacked_ops_t *codec, stream_t *below)
{
    s->base.ops = &ops;
    event_init(&s->base.readable);
    event_init(&s->base.writable);
    s->ops = codec;
    s->below = below;
    buf_init(&s->pending, 2 * (STACKED_PIECE + STACKED_GROWTH));
    runnable_init(&s->on_readable, on_readable, s);
    runnable_init(&s->on_writable, on_writable, s);
    event_watch(&below->readable, sched, &s->readable, &s->on_readable);
    event_watch(&below->writable, sched, &s->writable, &s->on_writable);
}
