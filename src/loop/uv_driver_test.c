#include "loop/loop_testing.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ── clocks ──────────────────────────────────────────────────────────────────────────────────── */

static err_t clocks_body(task_t *t, void *arg)
{
    driver_t *d = task_driver(t);
    CHECK(driver_wall_ms(d) / 1000 >= (uint64_t)time(NULL) - 1);
    uint64_t before = driver_now_ms(d);
    TRY(task_sleep(t, 20));
    uint64_t passed = driver_now_ms(d) - before;
    CHECK(passed >= 20 && passed < 2000);
    uint8_t a[300] = {0}, b[300] = {0};
    driver_random(d, a, sizeof a);
    driver_random(d, b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) && memcmp(a + 200, b + 200, 100));
    return OK;
}

static void clocks(void **state)
{
    run_on_driver(clocks_body, NULL);
}

/* ── work ────────────────────────────────────────────────────────────────────────────────────── */

#define JOBS 200
typedef struct job {
    atomic_int *order;
    int number;
    err_t e;
} job_t;

static void number_job(void *arg)
{
    job_t *job = arg;
    job->number = atomic_fetch_add(job->order, 1);
    job->e = fail(ERR_IO, "job %d failed", job->number);
}

static err_t run_job(task_t *t, void *arg)
{
    job_t *job = arg;
    work(t, number_job, job);
    char expected[64];
    snprintf(expected, sizeof expected, "job %d failed", job->number);
    CHECK(!strcmp(error_text(job->e), expected)); /* the worker's text came along */
    return OK;
}

static err_t work_body(task_t *t, void *arg)
{
    CHECK(driver_work_threads(task_driver(t)) >= 2 && driver_work_threads(task_driver(t)) <= 4);
    atomic_int order = 0;
    static job_t jobs[JOBS];
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = (job_t){.order = &order};
        TRY(group_spawn(&g, "job", run_job, &jobs[i], NULL));
    }
    TRY(group_join(t, &g));
    CHECK(order == JOBS);
    return OK;
}

static void work_on_many_threads(void **state)
{
    run_on_driver(work_body, NULL);
}

/* One worker: first come, first served. */
static err_t order_body(task_t *t, void *arg)
{
    atomic_int order = 0;
    static job_t jobs[JOBS];
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = (job_t){.order = &order};
        TRY(group_spawn(&g, "job", run_job, &jobs[i], NULL));
    }
    TRY(group_join(t, &g));
    for (size_t i = 0; i < JOBS; i++)
        CHECK(jobs[i].number == (int)i);
    return OK;
}

static void work_in_order(void **state)
{
    driver_t *d = uv_driver_new(1);
    sched_t *s = sched_new(d);
    assert_ok(sched_run(s, "test", order_body, NULL));
    sched_free(s);
    uv_driver_free(d);
}

static void wait_for_flag(void *arg)
{
    while (!atomic_load((atomic_bool *)arg))
        sched_yield();
}

static err_t canceled_work(task_t *t, void *arg)
{
    atomic_bool *flag = arg;
    work(t, wait_for_flag, flag);
    return atomic_load(flag) ? task_check(t) : OK;
}

/* A cancelled task stays until its work has ended: the work may use its stack. */
static err_t cancel_body(task_t *t, void *arg)
{
    atomic_bool flag = false;
    group_t g;
    group_init(&g, task_sched(t));
    task_t *child;
    TRY(group_spawn(&g, "work", canceled_work, &flag, &child));
    TRY(task_sleep(t, 5));
    task_cancel(child);
    TRY(task_sleep(t, 5));
    CHECK(g.count == 1);
    atomic_store(&flag, true);
    TRY(group_wait_below(t, &g, 1));
    return OK;
}

static void canceled_work_is_awaited(void **state)
{
    run_on_driver(cancel_body, NULL);
}

/* ── posts and signals ───────────────────────────────────────────────────────────────────────── */

#define THREADS 4
#define POSTS 1000
typedef struct posts {
    driver_t *d;
    event_t changed;
    size_t count, ended;
    pthread_t loop_thread;
    bool is_wrong_thread;
} posts_t;

static void count_post(void *arg)
{
    posts_t *p = arg;
    p->is_wrong_thread |= !pthread_equal(p->loop_thread, pthread_self());
    if (++p->count == THREADS * POSTS)
        event_fire(&p->changed);
}

static void *post_many(void *arg)
{
    posts_t *p = arg;
    for (int i = 0; i < POSTS; i++)
        driver_post(p->d, count_post, p);
    return NULL;
}

static err_t post_body(task_t *t, void *arg)
{
    posts_t p = {.d = task_driver(t), .loop_thread = pthread_self()};
    event_init(&p.changed);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&threads[i], NULL, post_many, &p));
    while (p.count < THREADS * POSTS)
        TRY(event_wait(t, &p.changed));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(!p.is_wrong_thread);
    return OK;
}

static void posts_from_threads(void **state)
{
    run_on_driver(post_body, NULL);
}

typedef struct signals {
    event_t changed;
    int usr1, other;
} signals_t;

static void on_usr1(void *arg)
{
    signals_t *s = arg;
    s->usr1++;
    event_fire(&s->changed);
}

static void on_other(void *arg)
{
    signals_t *s = arg;
    s->other++;
    event_fire(&s->changed);
}

static err_t signal_body(task_t *t, void *arg)
{
    signals_t s = {0};
    event_init(&s.changed);
    driver_t *d = task_driver(t);
    uv_driver_on_signal(d, SIGUSR1, on_usr1, &s);
    uv_driver_on_signal(d, SIGUSR2, on_usr1, &s);
    kill(getpid(), SIGUSR1);
    while (s.usr1 < 1)
        TRY(event_wait(t, &s.changed));
    uv_driver_on_signal(d, SIGUSR1, on_other, &s); /* replaces */
    kill(getpid(), SIGUSR1);
    while (s.other < 1)
        TRY(event_wait(t, &s.changed));
    CHECK(s.usr1 == 1);
    uv_driver_on_signal(d, SIGUSR2, NULL, NULL);
    uv_driver_on_signal(d, SIGHUP, NULL, NULL);
    kill(getpid(), SIGPIPE); /* ignored */
    return OK;
}

static void signals(void **state)
{
    run_on_driver(signal_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks),
        cmocka_unit_test(work_on_many_threads),
        cmocka_unit_test(work_in_order),
        cmocka_unit_test(canceled_work_is_awaited),
        cmocka_unit_test(posts_from_threads),
        cmocka_unit_test(signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
