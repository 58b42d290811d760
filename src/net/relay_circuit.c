/* relay_circuit: the bytes of one circuit, both ways, in the task of the one who asked for it. What one side
 * does not take stays unread at the other: back-pressure goes through the relay. */
#include "base/metrics.h"
#include "net/nat_internal.h"
#include <stdlib.h>

typedef struct way {
    stream_t *from, *to;
    uint8_t *buffer;
    size_t at, len, cap;
    uint64_t left; /* that may still go this way */
    bool is_ended;
} way_t;

typedef struct forwarding {
    way_t ways[2];
    event_t moved;
    runnable_t runnable;
    watch_t watches[4];
} forwarding_t;

static void on_news(void *arg)
{
    event_fire(&((forwarding_t *)arg)->moved);
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
static err_t move(way_t *w)
{
    while (!w->is_ended) {
        TRY(write_rest(w));
        size_t cap = w->left < w->cap ? (size_t)w->left : w->cap, n = 0;
        if (cap)
            TRY(stream_try_read(w->from, w->buffer, cap, &n));
        w->at = 0;
        w->len = n;
        w->left -= n;
        metric_add(nat_metrics()->circuit_bytes, (double)n);
        if (n)
            continue;
        w->is_ended = true; /* its end, or the limit's: the rest stays unread */
        TRY(stream_close_write(w->to));
    }
    return OK;
}

static err_t move_all(task_t *t, forwarding_t *f)
{
    while (!f->ways[0].is_ended || !f->ways[1].is_ended) {
        bool must_wait = false;
        for (int i = 0; i < 2; i++) {
            err_t e = move(&f->ways[i]);
            must_wait |= e == ERR_AGAIN;
            if (e && e != ERR_AGAIN)
                return e;
        }
        if (must_wait)
            TRY(event_wait(t, &f->moved));
    }
    return OK;
}

err_t relay_forward(task_t *t, host_t *h, stream_t *a, stream_t *b, const relay_limits_t *limits)
{
    uint64_t left = limits->is_limited ? limits->circuit_bytes : UINT64_MAX;
    size_t cap = limits->buffer_bytes;
    uint8_t *area = xmalloc(2 * cap);
    forwarding_t *f = xcalloc(1, sizeof *f);
    f->ways[0] = (way_t){.from = a, .to = b, .buffer = area, .cap = cap, .left = left};
    f->ways[1] = (way_t){.from = b, .to = a, .buffer = area + cap, .cap = cap, .left = left};
    event_init(&f->moved);
    runnable_init(&f->runnable, on_news, f);
    event_t *const events[] = {&a->readable, &a->writable, &b->readable, &b->writable};
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        event_watch(events[i], h->sched, &f->watches[i], &f->runnable);
    deadline_t d = deadline_push(t, limits->is_limited ? limits->circuit_s * 1000ull : TIME_NEVER);
    err_t e = move_all(t, f);
    deadline_pop(t, &d);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        event_unwatch(&f->watches[i]);
    runnable_cancel(&f->runnable);
    free(f);
    free(area);
    return e;
}
