/* span: what a process does for a request, as others can follow it: W3C Trace Context, level 1 (`traceparent`
 * in and out), and spans that a collector takes by OTLP over HTTP (JSON), when one is named.
 *
 * A span belongs to the trace of its task (task_set_trace). Ended spans wait in a ring of SPANS_MAX until the
 * exporter sends them; when it cannot keep up, the oldest are lost, and counted. Without an exporter a span
 * costs its struct. Loop thread only. */
#ifndef NET_SPAN_H
#define NET_SPAN_H
#include "task/driver.h"

#define SPANS_MAX 2048
#define SPAN_NAME_MAX 80
#define TRACEPARENT_CHARS 55

typedef enum { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 } span_kind_t; /* as OTLP numbers them */
typedef struct trace_span {
    char trace[33], id[17], parent[17]; /* hexadecimal; parent "": none */
    char name[SPAN_NAME_MAX];
    char detail[SPAN_NAME_MAX]; /* an attribute: "" when none */
    span_kind_t kind;
    uint64_t start_ms, end_ms; /* wall clock */
    bool has_failed;
} trace_span_t;
/* traceparent: what the other side sent, NULL when none or not a request's. The task's trace is the span's
 * from now on, with all of its log lines. */
void span_begin(task_t *t, trace_span_t *s, span_kind_t kind, const char *name, const char *traceparent);
void span_end(task_t *t, trace_span_t *s, bool has_failed, const char *detail);
bool span_is_exported(void); /* does anybody take spans? */
/* For the request that this span makes. */
const char *span_traceparent(const trace_span_t *s, char out[TRACEPARENT_CHARS + 1]);

/* Sends ended spans to ENDPOINT/v1/traces every few seconds, until it is stopped, which sends what is left.
 * service: "distribute-node". ERR_USAGE: the endpoint is no URL. */
typedef struct span_exporter span_exporter_t;
MUST_CHECK err_t span_exporter_start(task_t *t, const char *endpoint, const char *service,
                                     span_exporter_t **ret);
void span_exporter_stop(task_t *t, span_exporter_t *e); /* NULL is fine */
#endif
