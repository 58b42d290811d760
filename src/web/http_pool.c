#include "web/http_pool.h"
#include <stdlib.h>

static void drop(struct pooled_link *l)
{
    http_link_close(&l->link);
    free(l->place);
    *l = (struct pooled_link){0};
}

static void set_alarm(http_pool_t *p)
{
    uint64_t at_ms = TIME_NEVER;
    for (size_t i = 0; i < POOL_LINKS_MAX; i++)
        if (p->links[i].place && p->links[i].idle_from_ms + POOL_IDLE_MS < at_ms)
            at_ms = p->links[i].idle_from_ms + POOL_IDLE_MS;
    alarm_set(&p->alarm, at_ms);
}

static void on_alarm(void *arg)
{
    http_pool_t *p = arg;
    for (size_t i = 0; i < POOL_LINKS_MAX; i++)
        if (p->links[i].place && p->links[i].idle_from_ms + POOL_IDLE_MS <= sched_now_ms(p->alarm.sched))
            drop(&p->links[i]);
    set_alarm(p);
}

void http_pool_init(http_pool_t *p)
{
    *p = (http_pool_t){0};
}

void http_pool_deinit(http_pool_t *p)
{
    for (size_t i = 0; i < POOL_LINKS_MAX; i++)
        drop(&p->links[i]);
    if (p->has_alarm)
        alarm_clear(&p->alarm);
    p->has_alarm = false;
}

bool http_pool_take(http_pool_t *p, const char *place, http_link_t *ret)
{
    struct pooled_link *best = NULL;
    for (size_t i = 0; i < POOL_LINKS_MAX; i++) {
        struct pooled_link *l = &p->links[i];
        if (l->place && !strcmp(l->place, place) && (!best || l->idle_from_ms > best->idle_from_ms))
            best = l;
    }
    if (!best)
        return false;
    *ret = best->link;
    best->link = (http_link_t){0};
    drop(best);
    set_alarm(p);
    return true;
}

void http_pool_put(task_t *t, http_pool_t *p, const char *place, http_link_t *link)
{
    struct pooled_link *to = &p->links[0];
    for (size_t i = 0; i < POOL_LINKS_MAX && to->place; i++)
        if (!p->links[i].place || p->links[i].idle_from_ms < to->idle_from_ms)
            to = &p->links[i];
    drop(to);
    *to = (struct pooled_link){.place = xstrdup(place), .link = *link, .idle_from_ms = task_now_ms(t)};
    *link = (http_link_t){0};
    if (!p->has_alarm)
        alarm_init(&p->alarm, task_sched(t), on_alarm, p);
    p->has_alarm = true;
    set_alarm(p);
}
