/* trace: the id that all log lines of a request carry. Spec: W3C Trace Context, level 1. */
#ifndef API_TRACE_H
#define API_TRACE_H
#include "base/prng.h"
#include "net/span.h"
#include "task/exchange.h"

enum { TRACE_ID_MAX = 33 };
/* The client's id (traceparent), or a fresh one, for the log lines of this task and of the tasks that it
 * starts. ids: the system's randomness would cost a call for each request. */
void trace_begin(task_t *t, exchange_t *x, prng_t *ids, char ret_id[TRACE_ID_MAX]);

/* The span of a request, where spans are exported. name: what requests of its kind have in common. */
typedef struct api_span {
    trace_span_t *span; /* NULL: nobody takes it */
} api_span_t;
api_span_t api_span_begin(task_t *t, exchange_t *x, const char *name);
void api_span_end(task_t *t, exchange_t *x, api_span_t *s, err_t e);

/* Exports spans of this process when OTEL_EXPORTER_OTLP_ENDPOINT names a collector; *ret NULL else. */
MUST_CHECK err_t api_export_spans(task_t *t, const char *service, span_exporter_t **ret);
#endif
