#include "tests/support/run.h"

err_t test_run(task_fn fn, void *arg)
{
    sim_t *s = sim_new(1);
    err_t e = sim_run(s, fn, arg);
    sim_free(s);
    return e;
}
