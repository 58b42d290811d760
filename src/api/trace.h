/* trace: the id that all log lines of a request carry. Spec: W3C Trace Context, level 1. */
#ifndef API_TRACE_H
#define API_TRACE_H
#include "base/prng.h"
#include "task/exchange.h"

enum { TRACE_ID_MAX = 33 };
/* The client's id (traceparent), or a fresh one, for the log lines of this task and of the tasks that it starts. ids:
 * the system's randomness would cost a call for each request. */
void trace_begin(task_t *t, exchange_t *x, prng_t *ids, char ret_id[TRACE_ID_MAX]);
#endif
