#include "api/trace.h"
#include <ctype.h>
#include <stdlib.h>

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

static void make_trace_id(prng_t *ids, char out[TRACE_ID_MAX])
{
    uint8_t id[(TRACE_ID_MAX - 1) / 2];
    prng_fill(ids, id, sizeof id);
    hex_text(bytes_of(id, sizeof id), out, TRACE_ID_MAX);
}

void trace_begin(task_t *t, exchange_t *x, prng_t *ids, char ret_id[TRACE_ID_MAX])
{
    if (!read_traceparent(exchange_header(x, "traceparent"), ret_id))
        make_trace_id(ids, ret_id);
    task_set_trace(t, ret_id);
}

api_span_t api_span_begin(task_t *t, exchange_t *x, const char *name)
{
    char text[SPAN_NAME_MAX];
    api_span_t s = {0};
    if (!span_is_exported())
        return s;
    s.span = xmalloc(sizeof *s.span);
    snprintf(text, sizeof text, "%.8s %.60s", x->method, name);
    span_begin(t, s.span, SPAN_SERVER, text, exchange_header(x, "traceparent"));
    return s;
}

void api_span_end(task_t *t, exchange_t *x, api_span_t *s, err_t e)
{
    char status[16];
    if (!s->span)
        return;
    snprintf(status, sizeof status, "%d", x->status);
    span_end(t, s->span, e || x->status >= 500, status);
    free(s->span);
    s->span = NULL;
}

err_t api_export_spans(task_t *t, const char *service, span_exporter_t **ret)
{
    const char *endpoint = getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), *name = getenv("OTEL_SERVICE_NAME");
    *ret = NULL;
    return endpoint && *endpoint ? span_exporter_start(t, endpoint, name && *name ? name : service, ret) : OK;
}
