#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "task/driver.h"
#include <ctype.h>
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

/* The trace id of a W3C traceparent ("00-TRACE-PARENT-FLAGS"); false when there is none. */
static bool read_traceparent(const char *header, char out[TRACE_ID_MAX])
{
    if (!header || strlen(header) < 55 || strncmp(header, "00-", 3) || header[35] != '-')
        return false;
    for (size_t i = 0; i < 32; i++) {
        if (!isxdigit((unsigned char)header[3 + i]))
            return false;
        out[i] = header[3 + i];
    }
    out[32] = 0;
    return true;
}

static void make_trace_id(api_t *a, char out[TRACE_ID_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t id[(TRACE_ID_MAX - 1) / 2];
    prng_fill(&a->trace_ids, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) {
        *out++ = digits[id[i] >> 4];
        *out++ = digits[id[i] & 15];
    }
    *out = 0;
}

void api_begin_trace(task_t *t, api_t *a, exchange_t *x)
{
    char id[TRACE_ID_MAX];
    if (!read_traceparent(exchange_header(x, "traceparent"), id))
        make_trace_id(a, id);
    task_set_trace(t, id);
}
