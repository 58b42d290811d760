/* A binary heap, ordered by time and then by the order of setting. Deadlines of tasks are alarms too. */
#include "base/bytes.h"
#include "task/task_impl.h"
#include <stdlib.h>

static bool is_before(const sched_alarm_t *a, const sched_alarm_t *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void place(sched_t *s, size_t i, sched_alarm_t *a)
{
    s->alarms.items[i] = a;
    a->heap_index = i;
}

static void sift(sched_t *s, size_t i, sched_alarm_t *a)
{
    sched_alarm_t **items = s->alarms.items;
    while (i && is_before(a, items[(i - 1) / 2])) {
        place(s, i, items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (size_t child; (child = 2 * i + 1) < s->alarms.len; i = child) {
        if (child + 1 < s->alarms.len && is_before(items[child + 1], items[child]))
            child++;
        if (!is_before(items[child], a))
            break;
        place(s, i, items[child]);
    }
    place(s, i, a);
}

static void take_out(sched_alarm_t *a)
{
    sched_t *s = a->sched;
    size_t i = a->heap_index;
    if (i == SIZE_MAX)
        return;
    a->heap_index = SIZE_MAX;
    sched_alarm_t *last = s->alarms.items[--s->alarms.len];
    if (last != a)
        sift(s, i, last);
}

void alarm_init(sched_alarm_t *a, sched_t *s, void (*run)(void *), void *arg)
{
    *a = (sched_alarm_t){.sched = s, .at_ms = TIME_NEVER, .heap_index = SIZE_MAX};
    runnable_init(&a->runnable, run, arg);
}

void alarm_set(sched_alarm_t *a, uint64_t at_ms)
{
    sched_t *s = a->sched;
    alarm_clear(a);
    if (at_ms == TIME_NEVER)
        return;
    if (s->alarms.len == s->alarms.cap) {
        s->alarms.cap = s->alarms.cap ? s->alarms.cap * 2 : 64;
        s->alarms.items = xrealloc(s->alarms.items, s->alarms.cap * sizeof *s->alarms.items);
    }
    a->at_ms = at_ms;
    a->order = s->alarms.order++;
    sift(s, s->alarms.len++, a);
}

void alarm_clear(sched_alarm_t *a)
{
    take_out(a);
    runnable_cancel(&a->runnable);
    a->at_ms = TIME_NEVER;
}

void alarms_fire_due(sched_t *s, uint64_t now_ms)
{
    while (s->alarms.len && s->alarms.items[0]->at_ms <= now_ms) {
        sched_alarm_t *a = s->alarms.items[0];
        take_out(a);
        sched_post(s, &a->runnable);
    }
}
