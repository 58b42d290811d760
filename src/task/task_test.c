#include "base/log.h"
#include "task/driver.h"
#include "tests/support/test.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A driver with nothing but a clock, which jumps to the next alarm. */
static uint64_t clock_ms;
static uint64_t fake_now(driver_t *d)
{
    return clock_ms;
}
static bool fake_turn(driver_t *d, uint64_t until_ms)
{
    if (until_ms == TIME_NEVER)
        return false;
    if (until_ms > clock_ms)
        clock_ms = until_ms;
    return true;
}
static const driver_ops_t fake_ops = {.now_ms = fake_now, .turn = fake_turn};
static driver_t fake = {.ops = &fake_ops, .is_simulated = true};

static err_t run(task_fn fn, void *arg)
{
    clock_ms = 1000;
    sched_t *s = sched_new(&fake);
    err_t e = sched_run(s, "main", fn, arg);
    sched_free(s);
    return e;
}

/* ── deadlines ── */
static err_t nested_deadlines(task_t *t, void *arg)
{
    assert_int_equal(task_deadline_ms(t), TIME_NEVER);
    deadline_t outer = deadline_push(t, 100);
    assert_int_equal(task_deadline_ms(t), 1100);
    deadline_t wider = deadline_push(t, 500); /* cannot extend the outer one */
    assert_int_equal(task_deadline_ms(t), 1100);
    deadline_t inner = deadline_push(t, 10);
    assert_int_equal(task_deadline_ms(t), 1010);
    assert_err(task_sleep(t, 50), ERR_TIMEOUT);
    assert_int_equal(task_now_ms(t), 1010);
    assert_err(task_sleep(t, 1), ERR_TIMEOUT); /* stays over until it is popped */
    assert_err(task_check(t), ERR_TIMEOUT);
    deadline_pop(t, &inner);
    assert_int_equal(task_deadline_ms(t), 1100);
    deadline_pop(t, &inner); /* no effect */
    assert_ok(task_sleep(t, 20));
    assert_int_equal(task_now_ms(t), 1030);
    deadline_pop(t, &wider);
    assert_int_equal(task_deadline_ms(t), 1100);
    assert_err(task_sleep(t, 100), ERR_TIMEOUT);
    assert_int_equal(task_now_ms(t), 1100);
    deadline_pop(t, &outer);
    assert_int_equal(task_deadline_ms(t), TIME_NEVER);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(task_now_ms(t), 2100);
    deadline_t exact = deadline_push(t, 10);
    assert_ok(task_sleep(t, 10)); /* done in time */
    deadline_pop(t, &exact);
    deadline_t never = deadline_push(t, TIME_NEVER);
    assert_int_equal(task_deadline_ms(t), TIME_NEVER);
    deadline_pop(t, &never);
    return OK;
}

static void test_nested_deadlines(void **state)
{
    assert_ok(run(nested_deadlines, NULL));
}

static err_t shield_hides_deadlines(task_t *t, void *arg)
{
    deadline_t outer = deadline_push(t, 10);
    assert_err(task_sleep(t, 20), ERR_TIMEOUT);
    task_shield(t);
    assert_int_equal(task_deadline_ms(t), TIME_NEVER);
    assert_ok(task_sleep(t, 30));
    deadline_t inner = deadline_push(t, 5); /* a deadline of the clean-up's own counts */
    assert_err(task_sleep(t, 20), ERR_TIMEOUT);
    task_shield(t);
    assert_ok(task_sleep(t, 20));
    task_unshield(t);
    assert_err(task_sleep(t, 20), ERR_TIMEOUT);
    deadline_pop(t, &inner);
    task_cancel(t);
    assert_true(task_is_canceled(t));
    assert_ok(task_sleep(t, 20));
    task_unshield(t);
    assert_int_equal(task_deadline_ms(t), 1010);
    assert_err(task_sleep(t, 20), ERR_CANCELED);
    deadline_pop(t, &outer);
    assert_err(task_yield(t), ERR_CANCELED);
    return OK;
}

static void test_shield(void **state)
{
    assert_ok(run(shield_hides_deadlines, NULL));
}

/* ── groups ── */
typedef struct child {
    uint64_t sleep_ms;
    err_t result, seen;
    bool is_stubborn;
} child_t;

static err_t child_main(task_t *t, void *arg)
{
    child_t *c = arg;
    c->seen = task_sleep(t, c->sleep_ms);
    if (c->is_stubborn) { /* its clean-up takes a while */
        task_shield(t);
        err_t e = task_sleep(t, 77);
        task_unshield(t);
        TRY(e);
    }
    if (c->seen)
        return c->seen;
    return c->result ? fail(c->result, "child of %d ms failed", (int)c->sleep_ms) : OK;
}

static err_t join_collects(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    child_t c[3] = {
        {.sleep_ms = 30, .result = ERR_IO}, {.sleep_ms = 20, .result = ERR_REFUSED}, {.sleep_ms = 40}};
    for (int i = 0; i < 3; i++)
        assert_ok(group_spawn(&g, "child", child_main, &c[i], NULL));
    assert_int_equal(g.count, 3);
    assert_ok(group_wait_below(t, &g, 3));
    assert_int_equal(task_now_ms(t), 1020);
    assert_err(group_join(t, &g), ERR_REFUSED); /* the first that failed, not the first spawned */
    assert_string_equal(error_text(ERR_REFUSED), "child of 20 ms failed");
    assert_int_equal(task_now_ms(t), 1040);
    assert_int_equal(c[2].seen, OK);
    group_deinit(&g);
    return OK;
}

static void test_join(void **state)
{
    assert_ok(run(join_collects, NULL));
}

static err_t error_cancels_siblings(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    g.cancel_on_error = true;
    child_t c[3] = {
        {.sleep_ms = 10, .result = ERR_IO}, {.sleep_ms = 2000}, {.sleep_ms = 3000, .is_stubborn = true}};
    for (int i = 0; i < 3; i++)
        assert_ok(group_spawn(&g, "child", child_main, &c[i], NULL));
    assert_err(group_join(t, &g), ERR_IO);
    assert_int_equal(task_now_ms(t), 1087);
    assert_int_equal(c[1].seen, ERR_CANCELED);
    assert_int_equal(c[2].seen, ERR_CANCELED);
    return OK;
}

static void test_cancel_on_error(void **state)
{
    assert_ok(run(error_cancels_siblings, NULL));
}

static err_t joiner(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "child", child_main, arg, NULL));
    err_t e = group_join(t, &g);
    assert_int_equal(g.count, 0);
    group_deinit(&g);
    return e;
}

static err_t cancel_during_join(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    child_t c = {.sleep_ms = 5000, .is_stubborn = true};
    task_t *middle;
    assert_ok(group_spawn(&g, "joiner", joiner, &c, &middle));
    assert_ok(task_sleep(t, 10));
    task_cancel(middle);
    task_cancel(middle);
    assert_ok(group_join(t, &g)); /* a canceled child is no failure */
    assert_int_equal(c.seen, ERR_CANCELED);
    assert_int_equal(task_now_ms(t), 1087);

    deadline_t d = deadline_push(t, 100);
    assert_err(joiner(t, &c), ERR_TIMEOUT);
    deadline_pop(t, &d);
    assert_int_equal(c.seen, ERR_CANCELED);
    assert_int_equal(task_now_ms(t), 1087 + 100 + 77);
    assert_ok(task_check(t));
    return OK;
}

static void test_cancel_during_join(void **state)
{
    assert_ok(run(cancel_during_join, NULL));
}

static err_t stop_refuses(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    child_t c[2] = {{.sleep_ms = 5000, .is_stubborn = true}, {.sleep_ms = 1}};
    assert_ok(group_spawn(&g, "child", child_main, &c[0], NULL));
    group_cancel(&g);
    assert_ok(group_spawn(&g, "late", child_main, &c[1], NULL));
    task_cancel(t);
    group_stop(t, &g); /* waits, although this task is cancelled */
    assert_int_equal(c[0].seen, ERR_CANCELED);
    assert_int_equal(c[1].seen, ERR_CANCELED);
    assert_int_equal(task_now_ms(t), 1077);
    assert_err(group_spawn(&g, "later", child_main, &c[1], NULL), ERR_CLOSED);
    return OK;
}

static void test_stop(void **state)
{
    assert_ok(run(stop_refuses, NULL));
}

static err_t limit_of_tasks(task_t *t, void *arg)
{
    sched_set_max_tasks(task_sched(t), 3);
    group_t g;
    group_init(&g, task_sched(t));
    child_t c[3] = {{.sleep_ms = 1}, {.sleep_ms = 1}, {.sleep_ms = 1}};
    assert_ok(group_spawn(&g, "a", child_main, &c[0], NULL));
    assert_ok(group_spawn(&g, "b", child_main, &c[1], NULL));
    assert_int_equal(sched_task_count(task_sched(t)), 3);
    assert_err(group_spawn(&g, "c", child_main, &c[2], NULL), ERR_LIMIT);
    return group_join(t, &g);
}

static void test_limit_of_tasks(void **state)
{
    assert_ok(run(limit_of_tasks, NULL));
}

static err_t many_children(task_t *t, void *arg)
{
    enum { CHILDREN = 3000 };
    static child_t c[CHILDREN];
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < CHILDREN; i++) {
        c[i] = (child_t){.sleep_ms = (uint64_t)i % 97};
        assert_ok(group_spawn(&g, "child", child_main, &c[i], NULL));
    }
    assert_ok(group_join(t, &g));
    assert_int_equal(task_now_ms(t), 1096);
    return OK;
}

static void test_many_children(void **state)
{
    assert_ok(run(many_children, NULL));
}

/* ── events, gates, channels ── */
typedef struct shared {
    event_t event;
    gate_t gate;
    chan_t chan;
    char trail[64];
    size_t n;
} shared_t;

static void mark(shared_t *s, char c)
{
    s->trail[s->n++] = c;
}

static err_t event_waiter(task_t *t, void *arg)
{
    shared_t *s = arg;
    err_t e = event_wait(t, &s->event);
    mark(s, e ? 'x' : 'e');
    return e;
}

static void on_watch(void *arg)
{
    mark(arg, 'w');
}

static err_t events(task_t *t, void *arg)
{
    shared_t s = {0};
    event_init(&s.event);
    group_t g;
    group_init(&g, task_sched(t));
    event_fire(&s.event); /* not remembered */
    task_t *second;
    assert_ok(group_spawn(&g, "a", event_waiter, &s, NULL));
    assert_ok(group_spawn(&g, "b", event_waiter, &s, &second));
    runnable_t r;
    runnable_init(&r, on_watch, &s);
    watch_t w;
    event_watch(&s.event, task_sched(t), &w, &r);
    assert_ok(task_sleep(t, 1));
    assert_int_equal(s.n, 0);
    task_cancel(second);
    assert_ok(task_yield(t));
    assert_true(event_has_waiters(&s.event));
    event_fire(&s.event);
    event_fire(&s.event); /* the watcher is queued once */
    assert_ok(group_join(t, &g));
    assert_string_equal(s.trail, "xwe"); /* by the order of waiting, which the cancelled one left */
    event_fire(&s.event);
    event_unwatch(&w);
    runnable_cancel(&r);
    event_fire(&s.event);
    assert_ok(task_sleep(t, 1));
    assert_int_equal(s.n, 3);
    assert_false(event_has_waiters(&s.event));
    return OK;
}

static void test_events(void **state)
{
    assert_ok(run(events, NULL));
}

typedef struct visitor {
    shared_t *shared;
    char name;
    uint64_t stay_ms;
} visitor_t;

static err_t visit(task_t *t, void *arg)
{
    visitor_t *v = arg;
    TRY(gate_enter(t, &v->shared->gate));
    mark(v->shared, v->name);
    err_t e = task_sleep(t, v->stay_ms);
    gate_leave(&v->shared->gate);
    return e;
}

static err_t gates(task_t *t, void *arg)
{
    shared_t s = {0};
    gate_init(&s.gate, 2);
    group_t g;
    group_init(&g, task_sched(t));
    visitor_t v[5] = {{&s, 'a', 10}, {&s, 'b', 20}, {&s, 'c', 10}, {&s, 'd', 10}, {&s, 'e', 10}};
    task_t *tasks[5];
    for (int i = 0; i < 5; i++)
        assert_ok(group_spawn(&g, "visitor", visit, &v[i], &tasks[i]));
    assert_ok(task_sleep(t, 1));
    assert_string_equal(s.trail, "ab");
    assert_false(gate_try_enter(&s.gate));
    task_cancel(tasks[2]);
    assert_ok(group_join(t, &g));
    assert_string_equal(s.trail, "abde");
    assert_int_equal(s.gate.free_count, 2);
    assert_true(gate_try_enter(&s.gate));
    gate_leave(&s.gate);

    /* Cancelled in the same round in which the place was given: the place is not lost. */
    assert_ok(gate_enter(t, &s.gate));
    assert_ok(gate_enter(t, &s.gate));
    assert_ok(group_spawn(&g, "late", visit, &v[4], &tasks[4]));
    assert_ok(task_sleep(t, 1));
    task_cancel(tasks[4]);
    gate_leave(&s.gate);
    gate_leave(&s.gate);
    assert_ok(group_join(t, &g));
    assert_int_equal(s.gate.free_count, 2);
    return OK;
}

static void test_gates(void **state)
{
    assert_ok(run(gates, NULL));
}

static err_t producer(task_t *t, void *arg)
{
    shared_t *s = arg;
    for (intptr_t i = 1; i <= 10; i++)
        TRY(chan_send(t, &s->chan, (void *)i));
    chan_close(&s->chan);
    return OK;
}

static err_t chans(task_t *t, void *arg)
{
    shared_t s = {0};
    chan_init(&s.chan, 3);
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "producer", producer, &s, NULL));
    assert_ok(task_sleep(t, 1));
    assert_int_equal(s.chan.count, 3); /* it waits: the queue is bounded */
    assert_err(chan_try_send(&s.chan, NULL), ERR_AGAIN);
    void *item;
    for (intptr_t i = 1; i <= 10; i++) {
        assert_ok(chan_recv(t, &s.chan, &item));
        assert_int_equal((intptr_t)item, i);
    }
    assert_err(chan_recv(t, &s.chan, &item), ERR_CLOSED);
    assert_err(chan_send(t, &s.chan, item), ERR_CLOSED);
    assert_ok(group_join(t, &g));
    chan_deinit(&s.chan);

    chan_init(&s.chan, 1);
    assert_err(chan_try_recv(&s.chan, &item), ERR_AGAIN);
    deadline_t d = deadline_push(t, 5);
    assert_err(chan_recv(t, &s.chan, &item), ERR_TIMEOUT);
    deadline_pop(t, &d);
    chan_deinit(&s.chan);
    return OK;
}

static void test_chans(void **state)
{
    assert_ok(run(chans, NULL));
}

/* ── alarms and runnables ── */
typedef struct bell {
    sched_alarm_t alarm;
    shared_t *shared;
    char name;
} bell_t;

static void ring(void *arg)
{
    bell_t *b = arg;
    mark(b->shared, b->name);
}

static err_t alarms(task_t *t, void *arg)
{
    shared_t s = {0};
    bell_t b[6];
    for (int i = 0; i < 6; i++) {
        b[i].shared = &s;
        b[i].name = (char)('a' + i);
        alarm_init(&b[i].alarm, task_sched(t), ring, &b[i]);
    }
    alarm_set(&b[0].alarm, 1030);
    alarm_set(&b[1].alarm, 1010);
    alarm_set(&b[2].alarm, 1020);
    alarm_set(&b[3].alarm, 1020); /* the same time: in the order of setting */
    alarm_set(&b[4].alarm, 1005);
    alarm_set(&b[4].alarm, 1040); /* moved */
    alarm_set(&b[5].alarm, 1015);
    alarm_clear(&b[5].alarm);
    alarm_set(&b[5].alarm, TIME_NEVER);
    assert_ok(task_sleep(t, 25));
    assert_string_equal(s.trail, "bcd");
    assert_ok(task_sleep(t, 100));
    assert_string_equal(s.trail, "bcdae");
    alarm_set(&b[0].alarm, 1); /* long over: rings at once */
    assert_ok(task_sleep(t, 1));
    assert_string_equal(s.trail, "bcdaea");
    return OK;
}

static void test_alarms(void **state)
{
    assert_ok(run(alarms, NULL));
}

static err_t alarms_in_any_order(task_t *t, void *arg)
{
    enum { BELLS = 500 };
    static sched_alarm_t bells[BELLS];
    static uint64_t rung_at[BELLS];
    (void)rung_at;
    for (int i = 0; i < BELLS; i++) {
        alarm_init(&bells[i], task_sched(t), (void (*)(void *))(void *)ring, NULL);
        alarm_set(&bells[i], 5000 + (uint64_t)(i * 7919 % BELLS));
    }
    for (int i = 0; i < BELLS; i += 2)
        alarm_clear(&bells[i]);
    uint64_t last = 0;
    for (int left = BELLS / 2; left; left--) {
        uint64_t next = sched_next_ms(task_sched(t));
        assert_true(next > last && next != TIME_NEVER);
        last = next;
        for (int i = 1; i < BELLS; i += 2)
            if (bells[i].at_ms == next)
                alarm_clear(&bells[i]);
    }
    assert_int_equal(sched_next_ms(task_sched(t)), TIME_NEVER);
    return OK;
}

static void test_alarm_heap(void **state)
{
    assert_ok(run(alarms_in_any_order, NULL));
}

typedef struct pump {
    runnable_t runnable;
    sched_t *sched;
    int runs;
    bool is_on;
} pump_t;

static void pump_run(void *arg)
{
    pump_t *p = arg;
    p->runs++;
    if (p->is_on)
        sched_post(p->sched, &p->runnable);
}

/* A runnable that posts itself for ever starves neither tasks nor alarms. */
static err_t fairness(task_t *t, void *arg)
{
    pump_t p = {.sched = task_sched(t), .is_on = true};
    runnable_init(&p.runnable, pump_run, &p);
    sched_post(p.sched, &p.runnable);
    sched_post(p.sched, &p.runnable); /* queued once */
    for (int i = 1; i <= 100; i++) {
        assert_ok(task_yield(t));
        assert_in_range(p.runs, i - 1, i + 1);
    }
    clock_ms += 50;
    assert_ok(task_sleep(t, 0));
    sched_alarm_t a;
    shared_t s = {0};
    bell_t b = {.shared = &s, .name = 'a'};
    alarm_init(&a, p.sched, ring, &b);
    alarm_set(&a, clock_ms);
    while (!s.n)
        assert_ok(task_yield(t));
    p.is_on = false;
    return OK;
}

static void test_fairness(void **state)
{
    assert_ok(run(fairness, NULL));
}

/* ── error texts, traces ── */
static err_t failing(task_t *t, void *arg)
{
    assert_string_equal(error_text(ERR_IO), "input/output error");
    err_t e = fail(ERR_IO, "text of %s", task_name(t));
    assert_ok(task_sleep(t, 5));
    assert_string_equal(error_text(ERR_IO), task_name(t)[0] == 'a' ? "text of a" : "text of b");
    return e;
}

static err_t texts_are_per_task(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    task_set_trace(t, "trace-1");
    assert_string_equal(log_trace(), "trace-1");
    assert_err(fail(ERR_IO, "mine"), ERR_IO);
    assert_ok(group_spawn(&g, "a", failing, NULL, NULL));
    assert_ok(group_spawn(&g, "b", failing, NULL, NULL));
    assert_ok(task_sleep(t, 1));
    assert_string_equal(error_text(ERR_IO), "mine");
    assert_string_equal(log_trace(), "trace-1");
    assert_err(group_join(t, &g), ERR_IO);
    assert_string_equal(error_text(ERR_IO), "text of a");
    return fail_also(ERR_IO, "joining");
}

static void test_error_texts(void **state)
{
    assert_err(run(texts_are_per_task, NULL), ERR_IO);
    assert_string_equal(error_text(ERR_IO), "joining: text of a"); /* carried out of sched_run */
    assert_null(log_trace());
}

/* ── parks ── */
static err_t parked(task_t *t, void *arg)
{
    park_t *p = arg;
    park_init(t, p);
    err_t e = park_wait(t, p);
    assert_null(p->task);
    return e;
}

static err_t parks(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    park_t p, q, r;
    task_t *tq, *tr;
    assert_ok(group_spawn(&g, "p", parked, &p, NULL));
    assert_ok(group_spawn(&g, "q", parked, &q, &tq));
    assert_ok(group_spawn(&g, "r", parked, &r, &tr));
    assert_ok(task_sleep(t, 1));
    park_done(&p, ERR_REFUSED);
    task_cancel(tq);
    park_done(&r, ERR_RESET); /* a result that is there wins over the cancellation */
    task_cancel(tr);
    assert_err(group_join(t, &g), ERR_REFUSED);
    assert_false(q.is_done);
    park_done(&q, OK); /* nobody waits any more */
    return OK;
}

static void test_parks(void **state)
{
    assert_ok(run(parks, NULL));
}

static err_t parked_shielded(task_t *t, void *arg)
{
    park_t *p = arg;
    park_init(t, p);
    deadline_t d = deadline_push(t, 5);
    park_wait_shielded(t, p); /* neither the deadline nor the cancellation ends it */
    assert_true(task_now_ms(t) >= 1050);
    assert_err(task_check(t), ERR_CANCELED);
    deadline_pop(t, &d);
    return p->result;
}

static err_t shielded_parks(task_t *t, void *arg)
{
    group_t g;
    group_init(&g, task_sched(t));
    park_t p;
    task_t *child;
    assert_ok(group_spawn(&g, "p", parked_shielded, &p, &child));
    assert_ok(task_sleep(t, 1));
    task_cancel(child);
    assert_ok(task_sleep(t, 49));
    park_done(&p, ERR_EXISTS);
    assert_err(group_join(t, &g), ERR_EXISTS);
    return OK;
}

static void test_shielded_parks(void **state)
{
    assert_ok(run(shielded_parks, NULL));
}

/* ── a task that runs before its turn ── */
typedef struct early {
    runnable_t runnable;
    group_t group;
    shared_t *shared;
    uint64_t sleep_ms;
} early_t;

static err_t early_task(task_t *t, void *arg)
{
    early_t *e = arg;
    mark(e->shared, '1');
    if (e->sleep_ms)
        TRY(task_sleep(t, e->sleep_ms));
    mark(e->shared, '3');
    return OK;
}

static void start_early(void *arg)
{
    early_t *e = arg;
    task_t *child;
    assert_ok(group_spawn(&e->group, "early", early_task, e, &child));
    task_run_now(child);
    mark(e->shared, '2');
}

static err_t run_now(task_t *t, void *arg)
{
    shared_t s = {0};
    early_t e = {.shared = &s};
    group_init(&e.group, task_sched(t));
    runnable_init(&e.runnable, start_early, &e);
    sched_post(task_sched(t), &e.runnable);
    assert_ok(task_sleep(t, 1));
    assert_string_equal(s.trail, "132"); /* it ended at once */
    assert_int_equal(e.group.count, 0);
    e.sleep_ms = 5;
    sched_post(task_sched(t), &e.runnable);
    assert_ok(task_sleep(t, 1));
    assert_ok(group_join(t, &e.group));
    assert_string_equal(s.trail, "132123");
    return OK;
}

static void test_run_now(void **state)
{
    assert_ok(run(run_now, NULL));
}

/* ── misuse is a bug of ours, and ends the process ── */
static err_t pop_out_of_order(task_t *t, void *arg)
{
    deadline_t outer = deadline_push(t, 10), inner = deadline_push(t, 5);
    deadline_pop(t, &outer);
    deadline_pop(t, &inner);
    return OK;
}

static err_t pop_inside_shield(task_t *t, void *arg)
{
    deadline_t d = deadline_push(t, 10);
    task_shield(t);
    deadline_pop(t, &d);
    task_unshield(t);
    return OK;
}

static err_t leave_children(task_t *t, void *arg)
{
    child_t c = {.sleep_ms = 10};
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "child", child_main, &c, NULL));
    group_deinit(&g);
    return group_join(t, &g);
}

static err_t wait_for_ever(task_t *t, void *arg)
{
    event_t e;
    event_init(&e);
    task_set_trace(t, "trace-7");
    deadline_t d = deadline_push(t, 7);
    assert_err(event_wait(t, &e), ERR_TIMEOUT);
    deadline_pop(t, &d);
    sched_dump(task_sched(t));
    return event_wait(t, &e);
}

static void test_misuse_aborts(void **state)
{
    static const task_fn cases[] = {pop_out_of_order, pop_inside_shield, leave_children, wait_for_ever};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pid_t pid = fork();
        if (!pid) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            (void)!freopen("/dev/null", "w", stderr);
            (void)!run(cases[i], NULL);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested_deadlines),
        cmocka_unit_test(test_shield),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_cancel_on_error),
        cmocka_unit_test(test_cancel_during_join),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_limit_of_tasks),
        cmocka_unit_test(test_many_children),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_chans),
        cmocka_unit_test(test_alarms),
        cmocka_unit_test(test_alarm_heap),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_parks),
        cmocka_unit_test(test_shielded_parks),
        cmocka_unit_test(test_run_now),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
