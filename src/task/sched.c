#include "base/bytes.h"
#include "base/log.h"
#include "task/driver.h"
#include "task/task_impl.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASK_MAX_DEFAULT = 16384, ROUNDS_PER_TURN = 64 };

/* All schedulers of the process: tools/fiber_gdb.py starts from here. */
static list_t all_scheds = {&all_scheds, &all_scheds};
static pthread_mutex_t all_scheds_lock = PTHREAD_MUTEX_INITIALIZER;

sched_t *sched_new(driver_t *driver)
{
    sched_t *s = xcalloc(1, sizeof *s);
    s->driver = driver;
    s->task_max = TASK_MAX_DEFAULT;
    list_init(&s->ready);
    list_init(&s->batch);
    list_init(&s->tasks);
    fiber_pool_init(&s->fibers);
    pthread_mutex_lock(&all_scheds_lock);
    list_push_back(&all_scheds, &s->node);
    pthread_mutex_unlock(&all_scheds_lock);
    return s;
}

void sched_free(sched_t *s)
{
    assert(!s->task_count && !s->current);
    pthread_mutex_lock(&all_scheds_lock);
    list_remove(&s->node);
    pthread_mutex_unlock(&all_scheds_lock);
    while (!list_is_empty(&s->ready)) /* leaves no runnable that points into freed memory */
        list_remove(s->ready.next);
    for (size_t i = 0; i < s->alarms.len; i++)
        s->alarms.items[i]->heap_index = SIZE_MAX;
    free(s->alarms.items);
    fiber_pool_deinit(&s->fibers);
    free(s);
}

driver_t *sched_driver(sched_t *s)
{
    return s->driver;
}

uint64_t sched_now_ms(sched_t *s)
{
    return s->driver->ops->now_ms(s->driver);
}

size_t sched_task_count(const sched_t *s)
{
    return s->task_count;
}

void sched_set_max_tasks(sched_t *s, size_t max)
{
    s->task_max = max;
}

void sched_on_ready(sched_t *s, void (*fn)(void *arg), void *arg)
{
    s->on_ready = fn;
    s->on_ready_arg = arg;
    if (fn && !list_is_empty(&s->ready))
        fn(arg);
}

/* ── runnables ───────────────────────────────────────────────────────────────────────────────── */
void runnable_init(runnable_t *r, void (*run)(void *), void *arg)
{
    *r = (runnable_t){.run = run, .arg = arg};
    list_init(&r->node);
}

void sched_post(sched_t *s, runnable_t *r)
{
    if (list_is_linked(&r->node))
        return;
    bool was_empty = list_is_empty(&s->ready);
    list_push_back(&s->ready, &r->node);
    if (was_empty && s->on_ready)
        s->on_ready(s->on_ready_arg);
}

void runnable_cancel(runnable_t *r)
{
    list_remove(&r->node);
}

/* ── running ─────────────────────────────────────────────────────────────────────────────────── */
/* One round runs what was ready at its start: nobody runs twice before everybody ran once. */
static void run_round(sched_t *s)
{
    assert(list_is_empty(&s->batch));
    s->batch = s->ready;
    s->batch.next->prev = s->batch.prev->next = &s->batch;
    list_init(&s->ready);
    while (!list_is_empty(&s->batch)) {
        runnable_t *r = LIST_ENTRY(s->batch.next, runnable_t, node);
        list_remove(&r->node);
        r->run(r->arg);
    }
}

bool sched_run_ready(sched_t *s)
{
    assert(!s->current);
    for (int i = 0; i < ROUNDS_PER_TURN && !list_is_empty(&s->ready); i++)
        run_round(s);
    return !list_is_empty(&s->ready);
}

uint64_t sched_next_ms(const sched_t *s)
{
    return s->alarms.len ? s->alarms.items[0]->at_ms : TIME_NEVER;
}

void sched_fire_due(sched_t *s)
{
    if (s->alarms.len)
        alarms_fire_due(s, sched_now_ms(s));
}

err_t sched_start(sched_t *s, const char *name, task_fn fn, void *arg)
{
    return task_start(s, NULL, name, fn, arg, NULL);
}

typedef struct main_call {
    task_fn fn;
    void *arg;
    err_t result;
    error_slot_t error;
} main_call_t;

static err_t run_main(task_t *t, void *arg)
{
    main_call_t *call = arg;
    call->result = call->fn(t, call->arg);
    call->error = *error_slot();
    return call->result;
}

err_t sched_run(sched_t *s, const char *name, task_fn main_fn, void *arg)
{
    main_call_t call = {.fn = main_fn, .arg = arg};
    TRY(sched_start(s, name, run_main, &call));
    while (s->task_count) {
        bool is_ready = sched_run_ready(s);
        if (!s->task_count)
            break;
        bool is_alive = s->driver->ops->turn(s->driver, is_ready ? 0 : sched_next_ms(s));
        sched_fire_due(s);
        if (!is_alive && s->task_count && list_is_empty(&s->ready)) {
            fputs("deadlock: these tasks wait, and nothing can happen any more\n", stderr);
            sched_dump(s);
            abort();
        }
    }
    if (call.result)
        *error_slot() = call.error;
    return call.result;
}

void sched_cancel_all(sched_t *s)
{
    s->is_stopping = true;
    LIST_EACH (t, &s->tasks, task_t, node)
        task_cancel(t);
}

void sched_dump(sched_t *s)
{
    sched_dump_to(s, stderr);
}

void sched_dump_to(sched_t *s, FILE *out)
{
    static const char *const states[] = {"ready", "running", "waiting"};
    uint64_t now_ms = sched_now_ms(s);
    LIST_EACH (t, &s->tasks, task_t, node) {
        fprintf(out, "task %-32s %-7s %s%s age %" PRIu64 " ms, stack %zu KiB", t->name, states[t->state],
                t->is_canceled ? "canceled " : "", t->shield_depth ? "shielded " : "", now_ms - t->started_ms,
                fiber_stack_used(t->fiber) / 1024);
        if (t->deadline_ms != TIME_NEVER)
            fprintf(out, ", deadline in %" PRId64 " ms", (int64_t)(t->deadline_ms - now_ms));
        fprintf(out, "%s%s\n", t->trace[0] ? ", trace " : "", t->trace);
    }
}
