/* relay_circuit: the bytes of one circuit, both ways, in the task of the one who asked for it. */
#include "base/metrics.h"
#include "net/nat_internal.h"
#include "net/splice.h"

static void count(void *arg, size_t bytes)
{
    metric_add(nat_metrics()->circuit_bytes, (double)bytes);
}

err_t relay_forward(task_t *t, stream_t *a, stream_t *b, const relay_limits_t *limits)
{
    splice_options_t o = {.max_bytes = limits->is_limited ? limits->circuit_bytes : UINT64_MAX,
                          .buffer_bytes = limits->buffer_bytes,
                          .moved = count};
    deadline_t d = deadline_push(t, limits->is_limited ? limits->circuit_s * 1000ull : TIME_NEVER);
    err_t e = splice(t, a, b, &o);
    deadline_pop(t, &d);
    return e;
}
