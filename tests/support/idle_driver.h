/* idle_driver: a driver with a clock that jumps to the next alarm and work done at once, for tests of what
 * waits for nothing outside. For more, use the simulator. */
#ifndef TESTS_SUPPORT_IDLE_DRIVER_H
#define TESTS_SUPPORT_IDLE_DRIVER_H
#include "task/driver.h"

static uint64_t idle_clock_ms = 1000;
static inline uint64_t idle_now_ms(driver_t *d)
{
    return idle_clock_ms;
}
static inline bool idle_turn(driver_t *d, uint64_t until_ms)
{
    if (until_ms == TIME_NEVER)
        return false;
    if (until_ms > idle_clock_ms)
        idle_clock_ms = until_ms;
    return true;
}
static inline err_t idle_work(task_t *t, driver_t *d, work_fn fn, void *arg)
{
    fn(arg);
    return OK;
}
static inline size_t idle_work_threads(driver_t *d)
{
    return 1;
}
static const driver_ops_t idle_driver_ops = {.now_ms = idle_now_ms,
                                             .wall_ms = idle_now_ms,
                                             .turn = idle_turn,
                                             .work = idle_work,
                                             .work_threads = idle_work_threads};
static driver_t idle_driver = {.ops = &idle_driver_ops, .is_simulated = true};

/* Runs fn as the main task and returns its result. */
static inline err_t run_task(task_fn fn, void *arg)
{
    sched_t *s = sched_new(&idle_driver);
    err_t e = sched_run(s, "main", fn, arg);
    sched_free(s);
    return e;
}
#endif
