#include "api/api_internal.h"
#include <stdlib.h>

api_t *api_new(node_t *n)
{
    api_t *a = xcalloc(1, sizeof *a);
    a->node = n;
    event_init(&a->shutdown);
    return a;
}

void api_free(api_t *a)
{
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
