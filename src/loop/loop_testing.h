/* loop_testing: a driver, a scheduler and a task to run a test in. */
#ifndef LOOP_LOOP_TESTING_H
#define LOOP_LOOP_TESTING_H
#include "loop/uv_driver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#undef fail /* cmocka's; here it is the one of base/error.h */
#define fail(code, ...) error_record(__FILE__, __LINE__, (code), __VA_ARGS__)

#define assert_ok(e) assert_int_equal((e), OK)

static inline void run_on_driver(task_fn fn, void *arg)
{
    driver_t *d = uv_driver_new(0);
    sched_t *s = sched_new(d);
    err_t e = sched_run(s, "test", fn, arg);
    if (e)
        print_error("%s: %s\n", error_name(e), error_text(e));
    assert_ok(e);
    sched_free(s);
    uv_driver_free(d);
}

/* A failed check inside a task must not jump off its stack: it ends the task with an error instead. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return fail(ERR_INVALID, "%s:%d: %s", __FILE__, __LINE__, #condition);                           \
    } while (0)
#define CHECK_ERR(expected, expr)                                                                            \
    do {                                                                                                     \
        err_t got_ = (expr);                                                                                 \
        if (got_ != (expected))                                                                              \
            return fail(ERR_INVALID, "%s:%d: %s gave %s, not %s: %s", __FILE__, __LINE__, #expr,             \
                        error_name(got_), error_name(expected), error_text(got_));                           \
    } while (0)

static inline net_addr_t loopback(uint16_t port)
{
    return (net_addr_t){.family = 4, .ip = {127, 0, 0, 1}, .port = port};
}
#endif
