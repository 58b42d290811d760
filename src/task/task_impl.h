/* task_impl: what the files of the scheduler share with each other, and nobody else. */
#ifndef TASK_TASK_IMPL_H
#define TASK_TASK_IMPL_H
#include "task/fiber.h"
#include "task/task.h"

enum { NAME_MAX_BYTES = 48, TRACE_MAX_BYTES = 64, SHIELD_DEPTH_MAX = 8 };

typedef enum { TASK_READY, TASK_RUNNING, TASK_WAITING } task_state_t;

/* READY → RUNNING → WAITING → READY …; ends from RUNNING, when its function returns. */
struct task {
    list_t node, sibling; /* in the scheduler, in the group */
    sched_t *sched;
    group_t *group; /* NULL for a task without a parent */
    fiber_t *fiber;
    task_fn fn;
    void *arg;
    task_state_t state;
    err_t wake_reason; /* OK, ERR_CANCELED, ERR_TIMEOUT; the first wake-up counts */
    err_t result;
    bool is_canceled;
    uint64_t turn_ms; /* when a loop last let others run */
    uint32_t shield_depth, deadline_depth;
    uint64_t deadline_ms;
    uint64_t shielded_deadlines_ms[SHIELD_DEPTH_MAX];
    uint64_t started_ms;
    runnable_t resume;
    sched_alarm_t alarm;
    error_slot_t error;
    char name[NAME_MAX_BYTES];
    char trace[TRACE_MAX_BYTES];
};

struct sched {
    list_t node; /* in the process's list, for the debugger */
    driver_t *driver;
    list_t ready, batch; /* runnables; batch: those of the running round */
    list_t tasks;
    size_t task_count, task_max;
    task_t *current;
    fiber_pool_t fibers;
    bool is_stopping;
    struct {
        sched_alarm_t **items;
        size_t len, cap;
        uint64_t order;
    } alarms;
    void (*on_ready)(void *);
    void *on_ready_arg;
};

/* g may be NULL. */
MUST_CHECK err_t task_start(sched_t *s, group_t *g, const char *name, task_fn fn, void *arg,
                            task_t **ret_task);
MUST_CHECK err_t task_suspend(task_t *t); /* waits for task_wake: OK, CANCELED or TIMEOUT */
void task_wake(task_t *t, err_t reason);  /* no effect unless it waits */
void group_child_ended(group_t *g, task_t *child);
void alarms_fire_due(sched_t *s, uint64_t now_ms);
#endif
