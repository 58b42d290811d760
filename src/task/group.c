#include "task/task_impl.h"
#include <stdlib.h>

void group_init(group_t *g, sched_t *s)
{
    *g = (group_t){.sched = s};
    list_init(&g->children);
    event_init(&g->ended);
}

void group_deinit(group_t *g)
{
    assert(!g->count && !event_has_waiters(&g->ended));
}

err_t group_spawn(group_t *g, const char *name, task_fn fn, void *arg, task_t **ret_task)
{
    if (g->is_stopping)
        return fail(ERR_CLOSED, "task %s cannot start: its owner is stopping", name);
    task_t *child;
    TRY(task_start(g->sched, g, name, fn, arg, &child));
    list_push_back(&g->children, &child->sibling);
    g->count++;
    if (g->is_canceled)
        task_cancel(child);
    if (ret_task)
        *ret_task = child;
    return OK;
}

void group_child_ended(group_t *g, task_t *child)
{
    list_remove(&child->sibling);
    g->count--;
    if (child->result && child->result != ERR_CANCELED && !g->first_error) {
        g->first_error = child->result;
        g->error = child->error;
        if (g->cancel_on_error)
            group_cancel(g);
    }
    if (!g->count)
        g->is_canceled = false;
    event_fire(&g->ended);
}

void group_cancel(group_t *g)
{
    g->is_canceled = g->count > 0;
    LIST_EACH (child, &g->children, task_t, sibling)
        task_cancel(child);
}

static void wait_shielded(task_t *t, group_t *g)
{
    assert(t->group != g); /* it would wait for itself */
    task_shield(t);
    while (g->count)
        if (event_wait(t, &g->ended))
            abort(); /* a shielded wait without a deadline does not fail */
    task_unshield(t);
}

err_t group_join(task_t *t, group_t *g)
{
    assert(t->group != g);
    while (g->count) {
        err_t e = event_wait(t, &g->ended);
        if (e && g->count) {
            group_cancel(g);
            wait_shielded(t, g);
            return e == ERR_TIMEOUT ? fail(e, "%s: the time is over", t->name)
                                    : fail(e, "%s was canceled", t->name);
        }
    }
    if (g->first_error)
        *error_slot() = g->error;
    return g->first_error;
}

err_t group_wait_below(task_t *t, group_t *g, size_t count)
{
    while (g->count >= count && g->count)
        TRY(event_wait(t, &g->ended));
    return OK;
}

void group_stop(task_t *t, group_t *g)
{
    g->is_stopping = true;
    group_cancel(g);
    wait_shielded(t, g);
}
