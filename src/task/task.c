#include "base/bytes.h"
#include "base/log.h"
#include "task/driver.h"
#include "task/task_impl.h"
#include <stdio.h>
#include <stdlib.h>

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
static void task_main(void *arg)
{
    task_t *t = arg;
    t->result = t->fn(t, t->arg);
}

static void task_end(task_t *t)
{
    sched_t *s = t->sched;
    list_remove(&t->node);
    s->task_count--;
    alarm_clear(&t->alarm);
    if (t->group)
        group_child_ended(t->group, t);
    fiber_free(&s->fibers, t->fiber);
    free(t);
}

/* Error texts and the trace id belong to the task, so they change hands with the stack. */
static void task_resume(void *arg)
{
    task_t *t = arg;
    sched_t *s = t->sched;
    s->current = t;
    t->state = TASK_RUNNING;
    error_set_slot(&t->error);
    log_set_trace(t->trace[0] ? t->trace : NULL);
    fiber_enter(t->fiber);
    log_set_trace(NULL);
    error_set_slot(NULL);
    s->current = NULL;
    if (fiber_is_done(t->fiber))
        task_end(t);
}

void task_run_now(task_t *t)
{
    assert(!t->sched->current && t->state == TASK_READY);
    runnable_cancel(&t->resume);
    task_resume(t);
}

static void on_alarm(void *arg)
{
    task_wake(arg, ERR_TIMEOUT);
}

err_t task_start(sched_t *s, group_t *g, const char *name, task_fn fn, void *arg, task_t **ret_task)
{
    if (s->is_stopping)
        return fail(ERR_CLOSED, "task %s cannot start: the node is stopping", name);
    if (s->task_count >= s->task_max)
        return fail(ERR_LIMIT, "task %s cannot start: all %zu tasks are in use", name, s->task_max);
    task_t *t = calloc(1, sizeof *t);
    if (!t)
        return fail(ERR_NO_MEMORY, "no memory for task %s", name);
    err_t e = fiber_new(&s->fibers, task_main, t, &t->fiber);
    if (e) {
        free(t);
        return e;
    }
    t->sched = s;
    t->group = g;
    t->fn = fn;
    t->arg = arg;
    t->deadline_ms = TIME_NEVER;
    t->started_ms = sched_now_ms(s);
    snprintf(t->name, sizeof t->name, "%s", name);
    if (s->current)
        memcpy(t->trace, s->current->trace, sizeof t->trace);
    runnable_init(&t->resume, task_resume, t);
    alarm_init(&t->alarm, s, on_alarm, t);
    list_push_back(&s->tasks, &t->node);
    s->task_count++;
    sched_post(s, &t->resume);
    if (ret_task)
        *ret_task = t;
    return OK;
}

sched_t *task_sched(task_t *t)
{
    return t->sched;
}

driver_t *task_driver(task_t *t)
{
    return t->sched->driver;
}

const char *task_name(task_t *t)
{
    return t->name;
}

uint64_t task_now_ms(task_t *t)
{
    return sched_now_ms(t->sched);
}

void task_set_trace(task_t *t, const char *trace_id)
{
    snprintf(t->trace, sizeof t->trace, "%s", trace_id ? trace_id : "");
    if (t->sched->current == t)
        log_set_trace(t->trace[0] ? t->trace : NULL);
}

/* ── waiting ─────────────────────────────────────────────────────────────────────────────────── */
/* Why the next wait ends at once; OK when it does not. */
static err_t reason_not_to_wait(task_t *t)
{
    if (t->is_canceled && !t->shield_depth)
        return ERR_CANCELED;
    return t->deadline_ms != TIME_NEVER && task_now_ms(t) >= t->deadline_ms ? ERR_TIMEOUT : OK;
}

static err_t explain(task_t *t, err_t reason)
{
    if (reason == ERR_CANCELED)
        return fail(ERR_CANCELED, "%s was canceled", t->name);
    return reason == ERR_TIMEOUT ? fail(ERR_TIMEOUT, "%s: the time is over", t->name) : OK;
}

err_t task_check(task_t *t)
{
    return explain(t, reason_not_to_wait(t));
}

static err_t suspend(task_t *t, uint64_t until_ms)
{
    assert(t->sched->current == t && t->state == TASK_RUNNING);
    err_t reason = reason_not_to_wait(t);
    if (reason)
        return reason;
    alarm_set(&t->alarm, t->deadline_ms < until_ms ? t->deadline_ms : until_ms);
    t->state = TASK_WAITING;
    fiber_leave(t->fiber);
    alarm_clear(&t->alarm);
    return t->wake_reason;
}

err_t task_suspend(task_t *t)
{
    return explain(t, suspend(t, TIME_NEVER));
}

void task_wake(task_t *t, err_t reason)
{
    if (t->state != TASK_WAITING)
        return;
    t->state = TASK_READY;
    t->wake_reason = reason;
    sched_post(t->sched, &t->resume);
}

err_t task_yield(task_t *t)
{
    assert(t->sched->current == t && t->state == TASK_RUNNING);
    TRY(task_check(t));
    t->state = TASK_READY;
    sched_post(t->sched, &t->resume);
    fiber_leave(t->fiber);
    return OK;
}

err_t task_breathe(task_t *t)
{
    enum { TURN_MS = 5 };
    if (task_now_ms(t) - t->turn_ms < TURN_MS)
        return task_check(t);
    err_t e = task_yield(t);
    t->turn_ms = task_now_ms(t);
    return e;
}

err_t task_sleep(task_t *t, uint64_t ms)
{
    uint64_t now_ms = task_now_ms(t);
    uint64_t until_ms = ms < TIME_NEVER - now_ms ? now_ms + ms : TIME_NEVER;
    if (!ms)
        return task_yield(t);
    err_t reason = suspend(t, until_ms);
    return reason == ERR_TIMEOUT && until_ms <= t->deadline_ms && task_now_ms(t) >= until_ms
               ? OK
               : explain(t, reason);
}

void task_cancel(task_t *t)
{
    t->is_canceled = true;
    if (!t->shield_depth)
        task_wake(t, ERR_CANCELED);
}

bool task_is_canceled(task_t *t)
{
    return t->is_canceled;
}

/* ── deadlines and shields ───────────────────────────────────────────────────────────────────── */
void task_shield(task_t *t)
{
    assert(t->shield_depth < SHIELD_DEPTH_MAX);
    t->shielded_deadlines_ms[t->shield_depth++] = t->deadline_ms;
    t->deadline_ms = TIME_NEVER;
    t->deadline_depth++; /* a deadline from outside cannot be popped inside */
}

void task_unshield(task_t *t)
{
    assert(t->shield_depth > 0);
    t->deadline_ms = t->shielded_deadlines_ms[--t->shield_depth];
    t->deadline_depth--;
}

deadline_t deadline_push(task_t *t, uint64_t timeout_ms)
{
    deadline_t d = {.outer_ms = t->deadline_ms, .depth = ++t->deadline_depth};
    uint64_t now_ms = task_now_ms(t);
    uint64_t at_ms = timeout_ms < TIME_NEVER - now_ms ? now_ms + timeout_ms : TIME_NEVER;
    if (at_ms < t->deadline_ms)
        t->deadline_ms = at_ms;
    return d;
}

void deadline_pop(task_t *t, deadline_t *d)
{
    if (d->is_popped)
        return;
    assert(t->deadline_depth == d->depth); /* each push has its pop, the last pushed first */
    t->deadline_ms = d->outer_ms;
    t->deadline_depth--;
    d->is_popped = true;
}

uint64_t task_deadline_ms(task_t *t)
{
    return t->deadline_ms;
}

/* ── parks ───────────────────────────────────────────────────────────────────────────────────── */
void park_init(task_t *t, park_t *p)
{
    *p = (park_t){.task = t};
}

/* A result that is there wins over a cancellation: it may own something, and the cancellation comes
 * again with the next wait. */
err_t park_wait(task_t *t, park_t *p)
{
    while (!p->is_done) {
        err_t e = task_suspend(t);
        if (e && !p->is_done) {
            p->task = NULL;
            return e;
        }
    }
    p->task = NULL;
    return p->result;
}

void park_wait_shielded(task_t *t, park_t *p)
{
    task_shield(t);
    while (!p->is_done)
        if (task_suspend(t))
            abort(); /* nothing but the result wakes a shielded task without a deadline */
    task_unshield(t);
    p->task = NULL;
}

void park_done(park_t *p, err_t result)
{
    assert(!p->is_done);
    p->is_done = true;
    p->result = result;
    if (p->task)
        task_wake(p->task, OK);
}
