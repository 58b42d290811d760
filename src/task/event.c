#include "task/task_impl.h"

void event_init(event_t *e)
{
    list_init(&e->waiters);
}

bool event_has_waiters(const event_t *e)
{
    return !list_is_empty(&e->waiters);
}

/* Nothing runs inside fire: tasks and runnables are only put into the ready queue. */
void event_fire(event_t *e)
{
    LIST_EACH (w, &e->waiters, watch_t, node) {
        if (w->is_task) {
            list_remove(&w->node);
            task_wake(w->task, OK);
        } else
            sched_post(w->sched, w->runnable);
    }
}

err_t event_wait(task_t *t, event_t *e)
{
    watch_t w = {.is_task = true, .task = t};
    list_push_back(&e->waiters, &w.node);
    err_t result = task_suspend(t);
    list_remove(&w.node);
    return result;
}

void event_watch(event_t *e, sched_t *s, watch_t *w, runnable_t *r)
{
    *w = (watch_t){.sched = s, .runnable = r};
    list_push_back(&e->waiters, &w->node);
}

void event_unwatch(watch_t *w)
{
    list_remove(&w->node);
}
