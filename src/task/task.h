/* task: stackful fibers that may wait, on one loop thread.
 *
 * A function may suspend if and only if its first parameter is a `task_t *t`. After a wait, re-check
 * what you do not own. Frames stay small (8 KiB); stacks are 256 KiB, reserved lazily, guarded.
 *
 * Rules: deadlines nest (the nearest wins); cancellation is sticky and comes as ERR_CANCELED from the
 * next wait, never confused with a failure of what was awaited; a group joins its children before its
 * scope ends; tasks never change thread. The scheduler runs ready tasks and runnables until none is
 * left, then one turn of the driver. */
#ifndef TASK_TASK_H
#define TASK_TASK_H
#include "base/error.h"
#include "base/list.h"
#include <stdio.h>

typedef struct task task_t;
typedef struct sched sched_t;
typedef struct driver driver_t;
typedef err_t (*task_fn)(task_t *t, void *arg);

#define TIME_NEVER UINT64_MAX

/* ── scheduler ───────────────────────────────────────────────────────────────────────────────── */
/* One per loop thread. The driver is borrowed until sched_free. */
sched_t *sched_new(driver_t *driver);
void sched_free(sched_t *s); /* no task may be alive */
driver_t *sched_driver(sched_t *s);
uint64_t sched_now_ms(sched_t *s); /* monotonic, as of this turn */
/* Runs until `main_fn`'s task and every other task have ended; returns main_fn's result. When nothing
 * is ready and nothing can ever happen (simulator only), it lists the waiting tasks and aborts. */
err_t sched_run(sched_t *s, const char *name, task_fn main_fn, void *arg);
/* Prints name, state and age of every task, one line each (SIGUSR1, deadlocks). */
void sched_dump(sched_t *s);
void sched_dump_to(sched_t *s, FILE *out); /* the same there */
size_t sched_task_count(const sched_t *s);
void sched_set_max_tasks(sched_t *s, size_t max); /* 16,384 unless set */

/* ── runnables: a callback in the ready queue; for pumps between driver and engines ────────────── */
typedef struct runnable {
    list_t node;
    void (*run)(void *arg); /* must not wait */
    void *arg;
} runnable_t;
void runnable_init(runnable_t *r, void (*run)(void *), void *arg);
void sched_post(sched_t *s, runnable_t *r); /* queued once, however often it is posted */
void runnable_cancel(runnable_t *r);        /* takes it out of the queue when it is in there */

/* ── tasks ───────────────────────────────────────────────────────────────────────────────────── */
sched_t *task_sched(task_t *t);
driver_t *task_driver(task_t *t);
const char *task_name(task_t *t);
uint64_t task_now_ms(task_t *t);
MUST_CHECK err_t task_sleep(task_t *t, uint64_t ms); /* OK after ms; else CANCELED, TIMEOUT */
MUST_CHECK err_t task_yield(task_t *t);              /* lets others run */
MUST_CHECK err_t task_check(task_t *t);              /* CANCELED or TIMEOUT without waiting */
MUST_CHECK err_t task_breathe(task_t *t); /* of long loops that may not wait: lets others run, now and then */
void task_cancel(task_t *t);              /* no effect on an ended task */
bool task_is_canceled(task_t *t);
/* Shields clean-up code: while shielded, waits neither see the cancellation nor outer deadlines.
 * Calls nest; pair each with task_unshield. Keep what is done inside bounded in time. */
void task_shield(task_t *t);
void task_unshield(task_t *t);
/* The id that belongs to all log lines of this task and of the tasks it spawns; copied, max 63. */
void task_set_trace(task_t *t, const char *trace_id);

/* Deadlines. with_deadline: `deadline_t d = deadline_push(t, ms)` … `deadline_pop(t, &d)`. Waits
 * after it give ERR_TIMEOUT. Popping restores the outer deadline exactly. */
typedef struct deadline {
    uint64_t outer_ms;
    uint32_t depth; /* internal: popping out of order, or across a shield, is an assert */
    bool is_popped; /* popping again has no effect */
} deadline_t;
deadline_t deadline_push(task_t *t, uint64_t timeout_ms);
void deadline_pop(task_t *t, deadline_t *d);
uint64_t task_deadline_ms(task_t *t); /* absolute, TIME_NEVER when none */

/* An event has waiters and remembers nothing; its functions are below. */
typedef struct event {
    list_t waiters;
} event_t;

/* ── groups: own their children ──────────────────────────────────────────────────────────────── */
/* A group lives in a frame (join before return) or in an object (stop it in the object's close). */
typedef struct group {
    sched_t *sched;
    list_t children;
    size_t count;
    err_t first_error;    /* of the first child that failed (CANCELED does not count) */
    bool cancel_on_error; /* a failing child cancels its siblings */
    bool is_stopping;
    /* internal */
    bool is_canceled;   /* until the last child has ended, new ones start cancelled */
    event_t ended;      /* fired when a child ends */
    error_slot_t error; /* of first_error */
} group_t;
void group_init(group_t *g, sched_t *s);
void group_deinit(group_t *g); /* asserts that it is empty */
/* Starts a child, freed by the group when it ends. fn always runs, also when the child is cancelled
 * before its start. ERR_LIMIT when the scheduler has its maximum of tasks, ERR_CLOSED when the group is
 * stopping, ERR_NO_MEMORY. name is copied (47 bytes). ret_task may be NULL; valid until the child ends. */
MUST_CHECK err_t group_spawn(group_t *g, const char *name, task_fn fn, void *arg, task_t **ret_task);
/* Waits for all children. A cancellation or time-out of `t` cancels them, and still waits for them,
 * then returns it; else returns first_error. */
MUST_CHECK err_t group_join(task_t *t, group_t *g);
MUST_CHECK err_t group_wait_below(task_t *t, group_t *g, size_t count); /* until fewer are alive */
void group_cancel(group_t *g);
void group_stop(task_t *t, group_t *g); /* cancels and joins, shielded; refuses new children */

/* ── events, gates, channels ─────────────────────────────────────────────────────────────────── */
/* event: waiters are woken by fire; nothing is remembered, so loop over your own condition. */
void event_init(event_t *e);
void event_fire(event_t *e); /* wakes all tasks, posts all watchers */
MUST_CHECK err_t event_wait(task_t *t, event_t *e);
bool event_has_waiters(const event_t *e);
/* A runnable that is posted at each fire until unwatched. The watch is owned by the caller. */
typedef struct watch {
    list_t node;
    bool is_task;
    sched_t *sched;
    runnable_t *runnable;
    task_t *task;
} watch_t;
void event_watch(event_t *e, sched_t *s, watch_t *w, runnable_t *r);
void event_unwatch(watch_t *w);

/* gate: a counting semaphore, first come first served. */
typedef struct gate {
    size_t free_count;
    list_t waiters;
} gate_t;
void gate_init(gate_t *g, size_t count);
MUST_CHECK err_t gate_enter(task_t *t, gate_t *g);
bool gate_try_enter(gate_t *g);
void gate_leave(gate_t *g);

/* chan: a bounded queue of pointers between tasks. Close wakes everybody: sends give ERR_CLOSED,
 * receives drain what is left, then ERR_CLOSED. */
typedef struct chan {
    void **items;
    size_t cap, head, count;
    bool is_closed;
    event_t changed;
} chan_t;
void chan_init(chan_t *c, size_t capacity);
void chan_deinit(chan_t *c);
MUST_CHECK err_t chan_send(task_t *t, chan_t *c, void *item);
MUST_CHECK err_t chan_try_send(chan_t *c, void *item); /* ERR_AGAIN when full */
MUST_CHECK err_t chan_recv(task_t *t, chan_t *c, void **ret_item);
MUST_CHECK err_t chan_try_recv(chan_t *c, void **ret_item);
void chan_close(chan_t *c);

/* ── alarms: run a callback at a time; for pumps that drive engines ──────────────────────────── */
typedef struct sched_alarm {
    runnable_t runnable;
    sched_t *sched;
    uint64_t at_ms;
    size_t heap_index; /* internal; SIZE_MAX when not set */
    uint64_t order;    /* internal: alarms of one time run in the order in which they were set */
} sched_alarm_t;
void alarm_init(sched_alarm_t *a, sched_t *s, void (*run)(void *), void *arg);
void alarm_set(sched_alarm_t *a, uint64_t at_ms); /* moves it when already set; TIME_NEVER clears */
void alarm_clear(sched_alarm_t *a);               /* also takes it out of the ready queue */

/* ── for drivers only ────────────────────────────────────────────────────────────────────────── */
/* Runs a task that was spawned a moment ago until its first wait, here instead of in its turn, so that
 * work which never waits costs no turn of the loop. No task is running. It may have ended on return. */
void task_run_now(task_t *t);
/* A parked task, waiting for one result. The driver keeps the park, not the task: on time-out or
 * cancellation the task leaves and park->task becomes NULL, and the driver cleans up later. */
typedef struct park {
    task_t *task;
    err_t result;
    bool is_done;
} park_t;
void park_init(task_t *t, park_t *p);
MUST_CHECK err_t park_wait(task_t *t, park_t *p); /* result, or CANCELED, TIMEOUT */
void park_wait_shielded(task_t *t, park_t *p);    /* waits for is_done, whatever happens */
void park_done(park_t *p, err_t result);          /* loop thread only; wakes the task */

/* A driver that runs several schedulers on one clock (the simulator) takes the place of sched_run. */
MUST_CHECK err_t sched_start(sched_t *s, const char *name, task_fn fn,
                             void *arg); /* a task without a parent */
/* Runs what is ready, and what that makes ready, for a bounded number of rounds; true when something
 * is still ready. */
bool sched_run_ready(sched_t *s);
uint64_t sched_next_ms(const sched_t *s); /* the earliest deadline or alarm, TIME_NEVER when none */
void sched_fire_due(sched_t *s);          /* makes ready what is due now */
/* Called whenever the ready queue stops being empty; NULL: nobody. */
void sched_on_ready(sched_t *s, void (*fn)(void *arg), void *arg);
/* Cancels all tasks; new ones get ERR_CLOSED. */
void sched_cancel_all(sched_t *s);
#endif
