#include "net/span.h"
#include "base/log.h"
#include "base/metrics.h"
#include "web/http_fetch.h"
#include <inttypes.h>
#include <stdlib.h>

enum { BATCH = 256, PERIOD_MS = 5000, SEND_TIMEOUT_MS = 5000, BATCH_BYTES_MAX = 1 << 20, URL_MAX = 1024 };

struct span_exporter {
    char url[URL_MAX], service[64];
    group_t task;
    trace_span_t *ring; /* SPANS_MAX */
    size_t first, count;
};
static span_exporter_t *running; /* NULL: spans are for the log alone */

/* ── trace context ───────────────────────────────────────────────────────────────────────────── */

static bool is_hex(const char *text, size_t len)
{
    bool is_zero = true;
    for (size_t i = 0; i < len; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        is_zero &= text[i] == '0';
    }
    return !is_zero;
}

/* "VERSION-TRACE-PARENT-FLAGS"; of versions behind 00 the beginning counts. */
static bool read_traceparent(const char *text, trace_span_t *s)
{
    size_t len = text ? strlen(text) : 0;
    if (len < TRACEPARENT_CHARS || !strncmp(text, "ff", 2) || text[2] != '-' || text[35] != '-' ||
        text[52] != '-' || !is_hex(text + 3, 32) || !is_hex(text + 36, 16) ||
        (!strncmp(text, "00", 2) && len != TRACEPARENT_CHARS))
        return false;
    snprintf(s->trace, sizeof s->trace, "%.32s", text + 3);
    snprintf(s->parent, sizeof s->parent, "%.16s", text + 36);
    return true;
}

static void random_hex(task_t *t, char *out, size_t chars)
{
    uint8_t bytes[16];
    driver_random(task_driver(t), bytes, chars / 2);
    bytes[0] |= 1; /* never all zero */
    hex_text(bytes_of(bytes, chars / 2), out, chars + 1);
}

void span_begin(task_t *t, trace_span_t *s, span_kind_t kind, const char *name, const char *traceparent)
{
    const char *trace = log_trace() ? log_trace() : "";
    *s = (trace_span_t){.kind = kind, .start_ms = driver_wall_ms(task_driver(t))};
    snprintf(s->name, sizeof s->name, "%s", name);
    random_hex(t, s->id, 16);
    if (read_traceparent(traceparent, s))
        task_set_trace(t, s->trace);
    else if (strlen(trace) == 32 && is_hex(trace, 32))
        snprintf(s->trace, sizeof s->trace, "%.32s", trace);
    else {
        random_hex(t, s->trace, 32);
        task_set_trace(t, s->trace);
    }
}

const char *span_traceparent(const trace_span_t *s, char out[TRACEPARENT_CHARS + 1])
{
    snprintf(out, TRACEPARENT_CHARS + 1, "00-%.32s-%.16s-01", s->trace, s->id);
    return out;
}

bool span_is_exported(void)
{
    return running != NULL;
}

void span_end(task_t *t, trace_span_t *s, bool has_failed, const char *detail)
{
    span_exporter_t *e = running;
    if (!e)
        return;
    s->end_ms = driver_wall_ms(task_driver(t));
    s->has_failed = has_failed;
    snprintf(s->detail, sizeof s->detail, "%s", detail ? detail : "");
    if (e->count == SPANS_MAX) {
        metric_add(
            metric_counter("distribute_spans_lost_total", NULL, "Spans that no collector took in time"), 1);
        e->first = (e->first + 1) % SPANS_MAX;
        e->count--;
    }
    e->ring[(e->first + e->count++) % SPANS_MAX] = *s;
}

/* ── OTLP ────────────────────────────────────────────────────────────────────────────────────── */

/* A JSON string; what would need an escape is left out: names and details are ours. */
static err_t put_text(buf_t *out, const char *text)
{
    TRY(buf_append_u8(out, '"'));
    for (const char *p = text; *p; p++)
        if (*p >= ' ' && *p <= '~' && *p != '"' && *p != '\\')
            TRY(buf_append_u8(out, (uint8_t)*p));
    return buf_append_u8(out, '"');
}

static err_t put_span(buf_t *out, const trace_span_t *s)
{
    TRY(buf_printf(out,
                   "{\"traceId\":\"%s\",\"spanId\":\"%s\",\"parentSpanId\":\"%s\",\"kind\":%d,"
                   "\"startTimeUnixNano\":\"%" PRIu64 "000000\",\"endTimeUnixNano\":\"%" PRIu64
                   "000000\",\"name\":",
                   s->trace, s->id, s->parent, (int)s->kind, s->start_ms, s->end_ms));
    TRY(put_text(out, s->name));
    if (*s->detail) {
        TRY(buf_printf(out, ",\"attributes\":[{\"key\":\"detail\",\"value\":{\"stringValue\":"));
        TRY(put_text(out, s->detail));
        TRY(buf_printf(out, "}}]"));
    }
    return buf_printf(out, ",\"status\":{\"code\":%d}}", s->has_failed ? 2 : 0);
}

static err_t put_batch(const span_exporter_t *e, size_t n, buf_t *out)
{
    TRY(buf_printf(
        out,
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"%s\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"distribute\"},\"spans\":[",
        e->service));
    for (size_t i = 0; i < n; i++) {
        if (i)
            TRY(buf_append_u8(out, ','));
        TRY(put_span(out, &e->ring[(e->first + i) % SPANS_MAX]));
    }
    return buf_printf(out, "]}]}]}");
}

static err_t send_batch(task_t *t, span_exporter_t *e)
{
    static const http_field_t type = {"Content-Type", "application/json"};
    AUTO(buf_t) body = {0}, answer = {0};
    size_t n = e->count < BATCH ? e->count : BATCH;
    buf_init(&body, BATCH_BYTES_MAX);
    buf_init(&answer, 1 << 16);
    TRY(put_batch(e, n, &body));
    e->first = (e->first + n) % SPANS_MAX; /* sent once: a collector that fails gets the next ones */
    e->count -= n;
    http_fetch_t f = {.method = "POST",
                      .url = e->url,
                      .fields = &type,
                      .n_fields = 1,
                      .body = buf_bytes(&body),
                      .stays_here = true,
                      .max_in_bytes = 1 << 16};
    deadline_t d = deadline_push(t, SEND_TIMEOUT_MS);
    err_t err = http_fetch_all(t, &f, &answer);
    deadline_pop(t, &d);
    if (!err && f.status >= 300)
        err = fail(ERR_REFUSED, "the collector answers %d", f.status);
    if (err)
        metric_add(
            metric_counter("distribute_spans_lost_total", NULL, "Spans that no collector took in time"),
            (double)n);
    return err;
}

static err_t export_task(task_t *t, void *arg)
{
    span_exporter_t *e = arg;
    for (;;) {
        TRY(task_sleep(t, PERIOD_MS));
        while (e->count) {
            err_t failed = send_batch(t, e);
            if (failed == ERR_CANCELED)
                return failed;
            if (failed)
                break;
        }
    }
}

err_t span_exporter_start(task_t *t, const char *endpoint, const char *service, span_exporter_t **ret)
{
    size_t len = strlen(endpoint);
    if ((strncmp(endpoint, "http://", 7) && strncmp(endpoint, "https://", 8)) || len + 16 > URL_MAX)
        return fail(ERR_USAGE, "OTEL_EXPORTER_OTLP_ENDPOINT is the URL of a collector (http://HOST:4318)");
    span_exporter_t *e = xcalloc(1, sizeof *e);
    snprintf(e->url, sizeof e->url, "%s%sv1/traces", endpoint, endpoint[len - 1] == '/' ? "" : "/");
    snprintf(e->service, sizeof e->service, "%s", service);
    e->ring = xcalloc(SPANS_MAX, sizeof *e->ring);
    group_init(&e->task, task_sched(t));
    err_t failed = group_spawn(&e->task, "spans", export_task, e, NULL);
    if (failed) {
        group_deinit(&e->task);
        free(e->ring);
        free(e);
        return failed;
    }
    running = e;
    *ret = e;
    return OK;
}

void span_exporter_stop(task_t *t, span_exporter_t *e)
{
    if (!e)
        return;
    group_stop(t, &e->task);
    group_deinit(&e->task);
    running = NULL;
    task_shield(t);
    while (e->count && !send_batch(t, e))
        ;
    task_unshield(t);
    free(e->ring);
    free(e);
}
