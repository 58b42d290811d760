/* run: a task in a fresh simulation of one host. */
#ifndef TESTS_SUPPORT_RUN_H
#define TESTS_SUPPORT_RUN_H
#include "sim/sim.h"
#include <stdlib.h>

/* A failed check jumps back to cmocka's frame, from a task's stack to the thread's: the sanitizers and
 * the scheduler lose track. So tests with tasks end with the first failure. */
__attribute__((constructor)) static void abort_at_failure(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 0);
}

/* Runs fn(t, arg) on host 10.0.0.1 of sim_new(1), until it and all its tasks have ended; returns its
 * result. With files, streams, virtual time; task_driver(t) is the simulated driver. */
MUST_CHECK err_t test_run(task_fn fn, void *arg);
#endif
