#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "api/trace.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

api_t *api_new(node_t *n)
{
    api_t *a = xcalloc(1, sizeof *a);
    a->node = n;
    event_init(&a->shutdown);
    prng_seed(&a->trace_ids, driver_random_u64(sched_driver(node_sched(n))));
    rpc_log_init(&a->log);
    gateway_settings_read(repo_config(node_repo(n)), &a->gateway);
    gateway_metrics_start();
    return a;
}

void api_free(api_t *a)
{
    secret_wipe(a->control_token, sizeof a->control_token);
    rpc_log_deinit(&a->log);
    gateway_settings_deinit(&a->gateway);
    free(a);
}

node_t *api_node(api_t *a)
{
    return a->node;
}

event_t *api_shutdown_event(api_t *a)
{
    return &a->shutdown;
}

bool api_is_shutting_down(const api_t *a)
{
    return a->is_shutting_down;
}

void api_set_gateway_opener(api_t *a, api_open_gateway_fn fn, void *arg)
{
    a->open_gateway = fn;
    a->open_gateway_arg = arg;
}

void api_set_mount_opener(api_t *a, mount_open_fn fn)
{
    a->open_mount = fn;
}

void api_begin_trace(task_t *t, api_t *a, exchange_t *x)
{
    char id[TRACE_ID_MAX];
    trace_begin(t, x, &a->trace_ids, id);
}
