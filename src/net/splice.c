#include "net/splice.h"
#include <stdlib.h>

typedef struct way {
    stream_t *from, *to;
    uint8_t *buffer;
    size_t at, len, cap;
    uint64_t left; /* that may still go this way */
    bool is_ended;
} way_t;

typedef struct splicing {
    way_t ways[2];
    event_t moved;
    runnable_t runnable;
    watch_t watches[4];
} splicing_t;

static void on_news(void *arg)
{
    event_fire(&((splicing_t *)arg)->moved);
}

static err_t write_rest(way_t *w)
{
    while (w->at < w->len) {
        bytes_t rest = bytes_of(w->buffer + w->at, w->len - w->at);
        size_t n = 0;
        TRY(stream_try_write(w->to, &rest, 1, &n));
        w->at += n;
    }
    return OK;
}

/* Until something would have to be waited for (ERR_AGAIN), or this way has ended. */
static err_t move(way_t *w, const splice_options_t *o)
{
    while (!w->is_ended) {
        TRY(write_rest(w));
        size_t cap = w->left < w->cap ? (size_t)w->left : w->cap, n = 0;
        if (cap)
            TRY(stream_try_read(w->from, w->buffer, cap, &n));
        w->at = 0;
        w->len = n;
        w->left -= n;
        if (o->moved)
            o->moved(o->arg, n);
        if (n)
            continue;
        w->is_ended = true; /* its end, or the limit's: the rest stays unread */
        TRY(stream_close_write(w->to));
    }
    return OK;
}

static err_t move_all(task_t *t, splicing_t *f, const splice_options_t *o)
{
    while (!f->ways[0].is_ended || !f->ways[1].is_ended) {
        bool must_wait = false;
        for (int i = 0; i < 2; i++) {
            err_t e = move(&f->ways[i], o);
            must_wait |= e == ERR_AGAIN;
            if (e && e != ERR_AGAIN)
                return e;
        }
        if (must_wait)
            TRY(event_wait(t, &f->moved));
    }
    return OK;
}

err_t splice(task_t *t, stream_t *a, stream_t *b, const splice_options_t *o)
{
    size_t cap = o->buffer_bytes;
    uint8_t *area = xmalloc(2 * cap);
    splicing_t *f = xcalloc(1, sizeof *f);
    f->ways[0] = (way_t){.from = a, .to = b, .buffer = area, .cap = cap, .left = o->max_bytes};
    f->ways[1] = (way_t){.from = b, .to = a, .buffer = area + cap, .cap = cap, .left = o->max_bytes};
    event_init(&f->moved);
    runnable_init(&f->runnable, on_news, f);
    event_t *const events[] = {&a->readable, &a->writable, &b->readable, &b->writable};
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        event_watch(events[i], task_sched(t), &f->watches[i], &f->runnable);
    err_t e = move_all(t, f, o);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        event_unwatch(&f->watches[i]);
    runnable_cancel(&f->runnable);
    free(f);
    free(area);
    return e;
}
