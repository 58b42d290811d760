#include "api/meta_face.h"
#include "api/trace.h"
#include "base/json_depth.h"
#include "base/log.h"
#include "base/metrics.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BODY_MAX = 1 << 20,
    COMMIT_MAX = 16 << 20,    /* lists the chunks of a file */
    OPEN_BODY_MAX = 16 << 10, /* of who has not said who they are */
    BODY_TIMEOUT_MS = 30000,
    LARGE_BODIES = 8, /* at a time, being read: of callers who may send them */
    LARGE_PARSED = 2, /* and parsed: a tree is several times its text */
    QUERY_MAX = 2048,
    DEPTH_MAX = 8,
    METRICS_MAX = 4 << 20
};

extern const uint8_t meta_openapi[]; /* made by tools/embed.py */
extern const size_t meta_openapi_len;

struct meta_face {
    meta_t *meta;
    prng_t trace_ids;
    gate_t large_bodies, large_parsed;
};

/* ── errors ──────────────────────────────────────────────────────────────────────────────────── */
static const struct {
    err_t e;
    int status;
    const char *code;
} codes[] = {
    {ERR_UNAUTHORIZED, 401, "unauthorized"},
    {ERR_DENIED, 403, "forbidden"},
    {ERR_NOT_FOUND, 404, "not_found"},
    {ERR_USAGE, 405, "method_not_allowed"},
    {ERR_TIMEOUT, 408, "timeout"},
    {ERR_EXISTS, 409, "conflict"},
    {ERR_IN_USE, 412, "precondition_failed"},
    {ERR_NO_MEMORY, 413, "too_large"},
    {ERR_INVALID, 400, "invalid"},
    {ERR_AGAIN, 429, "too_many_requests"},
    {ERR_LIMIT, 507, "quota_exceeded"},
    {ERR_NO_SPACE, 507, "no_space"},
    {ERR_UNSUPPORTED, 501, "unsupported"},
    {ERR_CLOSED, 503, "unavailable"},
};

static err_t reply_error(task_t *t, exchange_t *x, err_t e, const char *trace_id)
{
    int status = 500;
    const char *code = "internal";
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].e == e) {
            status = codes[i].status;
            code = codes[i].code;
        }
    if (status == 500)
        log_error("a request failed", LOG_STR("path", x->path), LOG_ERR(e));
    if (status == 401)
        TRY(exchange_set_header(x, "WWW-Authenticate", "Bearer"));
    if (status == 429)
        TRY(exchange_set_header(x, "Retry-After", "1"));
    json_t *o = json_pack("{s:{s:s s:s} s:s}", "error", "code", code, "message",
                          status == 500 ? "the service failed; its log has more" : error_text(e), "trace_id",
                          trace_id);
    if (!o) /* a text that is not UTF-8 */
        o = json_pack("{s:{s:s s:s}}", "error", "code", code, "message", code);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    err_t sent = text ? exchange_reply(t, x, status, "application/json", bytes_str(text)) : ERR_NO_MEMORY;
    free(text);
    return sent;
}

/* ── requests ────────────────────────────────────────────────────────────────────────────────── */
static size_t body_limit(exchange_t *x, const char *token)
{
    return !token ? OPEN_BODY_MAX : !strcmp(x->path, "/commit_upload") ? COMMIT_MAX : BODY_MAX;
}

static err_t parse_body(bytes_t text, json_t **ret)
{
    json_error_t why;
    if (!text.len) {
        *ret = json_object();
        return OK;
    }
    if (json_check_depth(text, DEPTH_MAX))
        return fail(ERR_INVALID, "the body is nested too deeply");
    json_t *o = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(o)) {
        json_decref(o);
        return fail(ERR_INVALID, "the body is not a JSON object: %.100s",
                    o ? "another kind of value" : why.text);
    }
    *ret = o;
    return OK;
}

static err_t read_text(task_t *t, exchange_t *x, size_t limit, buf_t *text)
{
    buf_init(text, limit);
    deadline_t d = deadline_push(t, BODY_TIMEOUT_MS);
    err_t e = exchange_read_all(t, x, limit, text);
    deadline_pop(t, &d);
    return e == ERR_LIMIT ? fail(ERR_NO_MEMORY, "the body is larger than %zu bytes", limit) : e;
}

static err_t read_small(task_t *t, exchange_t *x, size_t limit, json_t **ret)
{
    AUTO(buf_t) text = {0};
    TRY(read_text(t, x, limit, &text));
    return parse_body(buf_bytes(&text), ret);
}

static err_t read_large(task_t *t, meta_face_t *f, exchange_t *x, size_t limit, json_t **ret)
{
    AUTO(buf_t) text = {0};
    TRY(gate_enter(t, &f->large_bodies));
    err_t e = read_text(t, x, limit, &text);
    if (!e)
        e = gate_enter(t, &f->large_parsed);
    if (!e) {
        e = parse_body(buf_bytes(&text), ret);
        gate_leave(&f->large_parsed);
    }
    gate_leave(&f->large_bodies);
    return e;
}

/* A body that is long, or does not say how long it is, is read for those alone who may send it.
 * *ret_is_known: the failure is logged. */
static err_t read_body(task_t *t, meta_face_t *f, exchange_t *x, meta_request_t *r, bool *ret_is_known)
{
    size_t limit = body_limit(x, r->token);
    const char *length = exchange_header(x, "Content-Length");
    uint64_t bytes = length ? strtoull(length, NULL, 10) : UINT64_MAX;
    if (length && bytes > limit)
        return fail(ERR_NO_MEMORY, "the body is larger than %zu bytes", limit);
    if (r->token && bytes > OPEN_BODY_MAX) {
        *ret_is_known = true;
        TRY(meta_check_caller(t, f->meta, r));
        *ret_is_known = false;
    }
    bool is_large = bytes > BODY_MAX && limit > BODY_MAX;
    return is_large ? read_large(t, f, x, limit, &r->body) : read_small(t, x, limit, &r->body);
}

static err_t read_query(exchange_t *x, json_t *out)
{
    AUTO(buf_t) name = {0};
    AUTO(buf_t) value = {0};
    const char *name_text, *value_text;
    size_t at = 0;
    buf_init(&name, QUERY_MAX);
    buf_init(&value, QUERY_MAX);
    while (exchange_query_next(x, &at, &name, &value)) {
        TRY(buf_cstr(&name, &name_text));
        TRY(buf_cstr(&value, &value_text));
        if (strlen(value_text) != value.len || json_object_set_new(out, name_text, json_string(value_text)))
            return fail(ERR_INVALID, "a parameter of the query is not UTF-8, or holds a NUL");
    }
    return OK;
}

/* The text behind "Bearer ", which is wiped by nobody: it lives as long as the request. */
static const char *bearer(exchange_t *x)
{
    const char *header = exchange_header(x, "Authorization");
    return header && !strncasecmp(header, "Bearer ", 7) ? header + 7 : NULL;
}

static err_t reply(task_t *t, exchange_t *x, meta_answer_t *a)
{
    if (a->etag[0])
        TRY(exchange_set_header(x, "ETag", a->etag));
    TRY(exchange_set_header(x, "Cache-Control", "no-store"));
    if (!a->body || a->status == 204 || a->status == 304)
        return exchange_reply(t, x, a->status, NULL, BYTES_NONE);
    char *text = json_dumps(a->body, JSON_COMPACT);
    if (!text)
        return fail(ERR_NO_MEMORY, "no memory for an answer");
    err_t e = exchange_reply(t, x, a->status, "application/json", bytes_str(text));
    secret_wipe(text, strlen(text)); /* keys of files are in some */
    free(text);
    return e;
}

static const double latency_bounds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5};

static void observe(const meta_op_t *op, double seconds)
{
    char labels[64];
    snprintf(labels, sizeof labels, "operation=\"%s\"", meta_op_name(op));
    metric_observe(metric_histogram("fs_metadata_operation_duration_seconds", labels,
                                    "Time from the request's head to its answer.", latency_bounds,
                                    ARRAY_LEN(latency_bounds)),
                   seconds);
}

static err_t run(task_t *t, meta_face_t *f, exchange_t *x, meta_request_t *r, meta_answer_t *ret)
{
    bool is_known = false;
    r->query = json_object();
    err_t e = read_query(x, r->query);
    if (!e && meta_op_takes_body(r->op))
        e = read_body(t, f, x, r, &is_known);
    if (e && !is_known && e != ERR_CLOSED && e != ERR_CANCELED)
        meta_note_refusal(t, f->meta, x->remote, meta_op_name(r->op), e);
    if (!e)
        e = meta_serve(t, f->meta, r, ret);
    json_decref(r->query);
    json_decref(r->body);
    return e;
}

static err_t serve_op(task_t *t, meta_face_t *f, exchange_t *x, const char *trace_id)
{
    char(*ids)[META_PART_MAX] = xcalloc(2, META_PART_MAX);
    char allow[64];
    AUTO(meta_answer_t) answer = {0};
    meta_request_t r = {.ids = (const char(*)[META_PART_MAX])ids,
                        .token = bearer(x),
                        .remote = x->remote,
                        .if_match = exchange_header(x, "If-Match"),
                        .if_none_match = exchange_header(x, "If-None-Match")};
    uint64_t began = driver_now_ms(task_driver(t));
    err_t e = meta_find_op(x->method, x->path, &r.op, ids, allow);
    if (!e)
        e = run(t, f, x, &r, &answer);
    else /* who looks around leaves a trace */
        meta_note_refusal(t, f->meta, x->remote, x->path, e);
    free(ids);
    if (r.op)
        observe(r.op, (double)(driver_now_ms(task_driver(t)) - began) / 1000);
    if (e == ERR_USAGE && allow[0])
        TRY(exchange_set_header(x, "Allow", allow));
    return e ? reply_error(t, x, e, trace_id) : reply(t, x, &answer);
}

static err_t reply_status(task_t *t, exchange_t *x, bool is_good)
{
    return exchange_reply(t, x, is_good ? 200 : 503, "application/json",
                          bytes_str(is_good ? "{\"status\":\"ok\"}" : "{\"status\":\"not ready\"}"));
}

static err_t reply_metrics(task_t *t, meta_face_t *f, exchange_t *x)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, METRICS_MAX);
    TRY(meta_read_gauges(t, f->meta));
    TRY(metrics_print(&text));
    return exchange_reply(t, x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&text));
}

err_t meta_face_serve(task_t *t, exchange_t *x, void *face)
{
    meta_face_t *f = face;
    char trace_id[TRACE_ID_MAX];
    trace_begin(t, x, &f->trace_ids, trace_id);
    TRY(exchange_set_header(x, "X-Content-Type-Options", "nosniff"));
    bool is_get = !strcmp(x->method, "GET") || !strcmp(x->method, "HEAD");
    if (is_get && !strcmp(x->path, "/health"))
        return reply_status(t, x, true);
    if (is_get && !strcmp(x->path, "/ready"))
        return reply_status(t, x, !meta_is_ready(t, f->meta));
    if (is_get && !strcmp(x->path, "/metrics"))
        return reply_metrics(t, f, x);
    if (is_get && !strcmp(x->path, "/openapi.json"))
        return exchange_reply(t, x, 200, "application/json", bytes_of(meta_openapi, meta_openapi_len));
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(1 + strcspn(x->path + (*x->path == '/'), "/")), x->path);
    api_span_t span = api_span_begin(t, x, name);
    err_t e = serve_op(t, f, x, trace_id);
    api_span_end(t, x, &span, e);
    return e;
}

err_t meta_face_open(task_t *t, const meta_options_t *o, meta_face_t **ret)
{
    meta_face_t *f = xcalloc(1, sizeof *f);
    gate_init(&f->large_bodies, LARGE_BODIES);
    gate_init(&f->large_parsed, LARGE_PARSED);
    prng_seed(&f->trace_ids, driver_random_u64(task_driver(t)));
    err_t e = meta_open(t, o, &f->meta);
    if (e) {
        free(f);
        return e;
    }
    *ret = f;
    return OK;
}

void meta_face_close(task_t *t, meta_face_t *f)
{
    if (!f)
        return;
    meta_close(t, f->meta);
    free(f);
}
