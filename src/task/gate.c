#include "task/task_impl.h"

typedef struct gate_waiter {
    list_t node;
    park_t park;
} gate_waiter_t;

void gate_init(gate_t *g, size_t count)
{
    g->free_count = count;
    list_init(&g->waiters);
}

bool gate_try_enter(gate_t *g)
{
    if (!g->free_count || !list_is_empty(&g->waiters)) /* nobody overtakes the waiting */
        return false;
    g->free_count--;
    return true;
}

err_t gate_enter(task_t *t, gate_t *g)
{
    TRY(task_check(t));
    if (gate_try_enter(g))
        return OK;
    gate_waiter_t w = {0};
    park_init(t, &w.park);
    list_push_back(&g->waiters, &w.node);
    err_t e = park_wait(t, &w.park);
    list_remove(&w.node);
    return e;
}

/* The place goes to the first waiter itself, so that no newcomer takes it in between. */
void gate_leave(gate_t *g)
{
    gate_waiter_t *w = LIST_FIRST(&g->waiters, gate_waiter_t, node);
    if (w) {
        list_remove(&w->node);
        park_done(&w->park, OK);
    } else
        g->free_count++;
}
