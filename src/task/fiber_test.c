#include "task/fiber.h"
#include "tests/support/test.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct counter {
    fiber_t *fiber;
    int count, until;
} counter_t;

static void count(void *arg)
{
    counter_t *c = arg;
    for (volatile int local = 0; local < c->until; local++) { /* the stack keeps it */
        c->count++;
        fiber_leave(c->fiber);
    }
}

static void test_switching(void **state)
{
    fiber_pool_t pool;
    fiber_pool_init(&pool);
    counter_t c[3] = {{.until = 3}, {.until = 5}, {.until = 0}};
    for (int i = 0; i < 3; i++)
        assert_ok(fiber_new(&pool, count, &c[i], &c[i].fiber));
    for (int round = 0; round < 6; round++)
        for (int i = 0; i < 3; i++)
            if (!fiber_is_done(c[i].fiber))
                fiber_enter(c[i].fiber);
    for (int i = 0; i < 3; i++) {
        assert_true(fiber_is_done(c[i].fiber));
        assert_int_equal(c[i].count, c[i].until);
        fiber_free(&pool, c[i].fiber);
    }
    assert_int_equal(pool.idle_count, 3);
    fiber_t *never;
    assert_ok(fiber_new(&pool, count, &c[0], &never)); /* from the pool */
    assert_int_equal(pool.idle_count, 2);
    fiber_free(&pool, never); /* never entered */
    fiber_pool_deinit(&pool);
    fiber_pool_deinit(&pool);
}

__attribute__((noinline)) static void deep(void *arg)
{
    volatile char frame[4096];
    frame[0] = frame[4095] = 1;
    int left = *(int *)arg;
    if (left)
        deep(&(int){left - 1});
    frame[1] = frame[0];
}

static void deep_then_leave(void *arg)
{
    counter_t *c = arg;
    deep(&(int){c->until});
    fiber_leave(c->fiber);
}

static void test_stack_use(void **state)
{
    fiber_pool_t pool;
    fiber_pool_init(&pool);
    counter_t shallow = {.until = 0}, tall = {.until = 30};
    assert_ok(fiber_new(&pool, deep_then_leave, &shallow, &shallow.fiber));
    assert_ok(fiber_new(&pool, deep_then_leave, &tall, &tall.fiber));
    fiber_enter(shallow.fiber);
    fiber_enter(tall.fiber);
    assert_true(fiber_stack_used(tall.fiber) >= 30 * 4096);
    assert_true(fiber_stack_used(shallow.fiber) < fiber_stack_used(tall.fiber));
    fiber_enter(shallow.fiber);
    fiber_enter(tall.fiber);
    fiber_free(&pool, shallow.fiber);
    fiber_free(&pool, tall.fiber);
    fiber_pool_deinit(&pool);
}

/* Stacks over the pool's maximum are unmapped; cold ones give their pages back and work again. */
static void test_pool(void **state)
{
    enum { FIBERS = 100 };
    fiber_pool_t pool;
    fiber_pool_init(&pool);
    static counter_t c[FIBERS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FIBERS; i++) {
            c[i] = (counter_t){.until = 1};
            assert_ok(fiber_new(&pool, count, &c[i], &c[i].fiber));
            fiber_enter(c[i].fiber);
        }
        for (int i = 0; i < FIBERS; i++) {
            fiber_enter(c[i].fiber);
            fiber_free(&pool, c[i].fiber);
        }
        assert_int_equal(pool.idle_count, 64);
    }
    fiber_pool_deinit(&pool);
}

static void test_overflow_faults(void **state)
{
    pid_t pid = fork();
    if (!pid) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        close(STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        fiber_pool_t pool;
        fiber_pool_init(&pool);
        counter_t c = {.until = 2000};
        if (fiber_new(&pool, deep_then_leave, &c, &c.fiber))
            _exit(1);
        fiber_enter(c.fiber);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switching),
        cmocka_unit_test(test_stack_use),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_overflow_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
