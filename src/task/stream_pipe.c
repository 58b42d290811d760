#include "base/queue.h"
#include "task/stream.h"
#include <stdlib.h>

typedef struct pipe_pair pipe_pair_t;
typedef struct pipe_end {
    stream_t base;
    pipe_pair_t *pair;
    queue_t in; /* written by the other end */
    bool is_write_closed, is_reset, is_closed;
} pipe_end_t;
struct pipe_pair {
    pipe_end_t ends[2];
};

static pipe_end_t *other_end(pipe_end_t *p)
{
    return p == &p->pair->ends[0] ? &p->pair->ends[1] : &p->pair->ends[0];
}

static err_t pipe_read(stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    pipe_end_t *p = (pipe_end_t *)s;
    if (p->is_reset)
        return fail(ERR_RESET, "the stream was reset");
    if (!p->in.len && !other_end(p)->is_write_closed)
        return ERR_AGAIN;
    *ret_n = queue_read(&p->in, out, cap);
    if (*ret_n)
        event_fire(&other_end(p)->base.writable);
    return OK;
}

static err_t pipe_write(stream_t *s, const bytes_t *pieces, size_t n_pieces, size_t *ret_n)
{
    pipe_end_t *p = (pipe_end_t *)s, *to = other_end(p);
    if (p->is_reset || to->is_closed)
        return fail(ERR_RESET, "the other end has closed the stream");
    if (p->is_write_closed)
        return fail(ERR_CLOSED, "write after the end of the stream");
    size_t done = 0;
    for (size_t i = 0; i < n_pieces && queue_room(&to->in); i++) {
        bytes_t part = bytes_slice(pieces[i], 0, queue_room(&to->in));
        err_t e = queue_push(&to->in, part);
        if (e && !done)
            return e;
        if (e)
            break;
        done += part.len;
    }
    if (!done)
        return ERR_AGAIN;
    event_fire(&to->base.readable);
    *ret_n = done;
    return OK;
}

static err_t pipe_close_write(stream_t *s)
{
    pipe_end_t *p = (pipe_end_t *)s;
    p->is_write_closed = true;
    event_fire(&other_end(p)->base.readable);
    return OK;
}

static void pipe_reset(stream_t *s)
{
    pipe_end_t *ends = ((pipe_end_t *)s)->pair->ends;
    for (int i = 0; i < 2; i++) {
        ends[i].is_reset = true;
        queue_deinit(&ends[i].in);
        event_fire(&ends[i].base.readable);
        event_fire(&ends[i].base.writable);
    }
}

static void pipe_close(stream_t *s)
{
    pipe_end_t *p = (pipe_end_t *)s, *other = other_end(p);
    p->is_write_closed = p->is_closed = true;
    queue_deinit(&p->in);
    if (other->is_closed) {
        queue_deinit(&other->in);
        free(p->pair);
        return;
    }
    event_fire(&other->base.readable);
    event_fire(&other->base.writable);
}

void stream_pipe(sched_t *s, size_t high_water, stream_t **ret_a, stream_t **ret_b)
{
    static const stream_ops_t ops = {
        .read = pipe_read,
        .write = pipe_write,
        .close_write = pipe_close_write,
        .reset = pipe_reset,
        .close = pipe_close,
    };
    (void)s;
    assert(high_water > 0);
    pipe_pair_t *pair = xcalloc(1, sizeof *pair);
    for (int i = 0; i < 2; i++) {
        pipe_end_t *p = &pair->ends[i];
        p->base.ops = &ops;
        p->pair = pair;
        queue_init(&p->in, high_water);
        event_init(&p->base.readable);
        event_init(&p->base.writable);
    }
    *ret_a = &pair->ends[0].base;
    *ret_b = &pair->ends[1].base;
}
