#include "base/log.h"
#include "loop/http_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { FIELDS_ROOM = 1024 }; /* the fields of most answers */

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */

typedef struct kept_header {
    list_t node;
    char *value;
    char name[];
} kept_header_t;

static const exchange_ops_t http_exchange_ops;

http_exchange_t *http_exchange_new(http_server_t *server, const char *target)
{
    http_exchange_t *x = xcalloc(1, sizeof *x);
    x->base.ops = &http_exchange_ops;
    x->server = server;
    x->target = xstrdup(target);
    x->path = xstrdup(target);
    char *mark = strchr(x->path, '?');
    if (mark)
        *mark = 0;
    x->base.method = x->method;
    x->base.has_tunnels = MHD_VERSION < 0x01000000; /* newer ones refuse to send that answer */
    x->base.target = x->target;
    x->base.path = x->path;
    x->base.query = mark ? mark + 1 : "";
    x->base.remote = x->remote;
    list_init(&x->kept_headers);
    queue_init(&x->upload, HTTP_UPLOAD_QUEUE_BYTES);
    event_init(&x->upload_changed);
    event_init(&x->answer_changed);
    buf_init(&x->fields.text, HTTP_FIELDS_MAX_BYTES);
    buf_init(&x->trailers.text, HTTP_FIELDS_MAX_BYTES);
    buf_init(&x->answer, HTTP_SPOOL_MEMORY_BYTES + HTTP_ANSWER_QUEUE_BYTES);
    http_spool_init(&x->spool);
    list_push_back(&server->exchanges, &x->node);
    return x;
}

void http_exchange_free_when_done(http_exchange_t *x)
{
    if (x->connection || (x->is_started && !x->is_finished))
        return;
    LIST_EACH (h, &x->kept_headers, kept_header_t, node) {
        free(h->value);
        free(h);
    }
    list_remove(&x->node);
    event_fire(&x->server->exchange_freed);
    queue_deinit(&x->upload);
    buf_deinit(&x->fields.text);
    buf_deinit(&x->trailers.text);
    buf_deinit(&x->answer);
    http_spool_deinit(&x->spool);
    free(x->target);
    free(x->path);
    free(x);
}

void http_exchange_client_left(http_exchange_t *x)
{
    x->is_gone = true;
    if (x->task)
        task_cancel(x->task);
    event_fire(&x->upload_changed);
    event_fire(&x->answer_changed);
}

/* ── the handler's task ──────────────────────────────────────────────────────────────────────── */

static err_t answer_error(task_t *t, http_exchange_t *x, err_t e)
{
    char line[ERROR_TEXT_MAX + 2];
    int len = snprintf(line, sizeof line, "%s\n", error_text(e));
    buf_clear(&x->fields.text);
    TRY(exchange_set_header(&x->base, "X-Content-Type-Options", "nosniff"));
    return exchange_reply(t, &x->base, error_http_status(e), "text/plain; charset=utf-8",
                          bytes_of(line, (size_t)len));
}

static bool is_bodiless(const http_exchange_t *x)
{
    return !strcmp(x->method, "HEAD") || x->base.status < 200 || x->base.status == 204 ||
           x->base.status == 304;
}

/* What a handler leaves behind: an answer, whole or cut. */
static void settle(task_t *t, http_exchange_t *x, err_t e)
{
    if (!e && !x->base.has_begun && !x->is_gone)
        e = fail(ERR_UNSUPPORTED, "%s %s has no answer", x->method, x->path);
    if (!x->is_gone && !x->base.has_begun) {
        task_shield(t); /* a handler that was cancelled by the stop of the server still gets its line out */
        e = answer_error(t, x, e);
        task_unshield(t);
    }
    bool is_short =
        x->content_length >= 0 && x->base.sent_bytes < (uint64_t)x->content_length && !is_bodiless(x);
    x->is_failed = e || is_short;
    if (x->is_failed && !x->is_gone)
        log_warn("an answer was cut short", LOG_STR("method", x->method), LOG_STR("path", x->path),
                 LOG_UINT("bytes", x->base.sent_bytes),
                 LOG_STR("error", e ? error_text(e) : "less than announced"));
}

static err_t run_handler(task_t *t, void *arg)
{
    http_exchange_t *x = arg;
    x->task = t;
    err_t e = x->server->handler(t, &x->base, x->server->arg);
    settle(t, x, e);
    x->task = NULL;
    x->is_finished = true;
    http_resume(x);
    http_exchange_free_when_done(x);
    return OK;
}

err_t http_exchange_start(http_exchange_t *x)
{
    task_t *t;
    TRY(group_spawn(&x->server->handlers, "http request", run_handler, x, &t));
    x->is_started = true;
    task_run_now(t);
    return OK;
}

/* ── request ─────────────────────────────────────────────────────────────────────────────────── */

/* Lists may come in several lines, which mean what one line with commas means (RFC 9110, 5.3). */
static bool is_list(const char *name)
{
    static const char *const names[] = {"Accept", "Cache-Control", "If-Match", "If-None-Match"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcasecmp(name, names[i]))
            return true;
    return false;
}

typedef struct joined_lines {
    const char *name;
    char *text;
} joined_lines_t;

static enum MHD_Result add_line(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    joined_lines_t *lines = arg;
    if (strcasecmp(name, lines->name) || !value)
        return MHD_YES;
    char *before = lines->text;
    size_t used = before ? strlen(before) : 0, size = used + strlen(value) + sizeof ", ";
    lines->text = xmalloc(size);
    snprintf(lines->text, size, "%s%s%s", before ? before : "", before ? ", " : "", value);
    free(before);
    return MHD_YES;
}

/* All of them together are bounded by what libmicrohttpd takes of a request's head. */
static char *join_lines(struct MHD_Connection *connection, const char *name)
{
    joined_lines_t lines = {.name = name};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add_line, &lines);
    return lines.text ? lines.text : xstrdup("");
}

/* Copied when first asked for: libmicrohttpd's own text goes with the connection, which may leave
 * before the handler does. */
static const char *request_header(exchange_t *base, const char *name)
{
    http_exchange_t *x = (http_exchange_t *)base;
    LIST_EACH (h, &x->kept_headers, kept_header_t, node)
        if (!strcasecmp(h->name, name))
            return h->value;
    if (!x->connection)
        return NULL;
    const char *value = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
    if (!value)
        return NULL;
    kept_header_t *h = xmalloc(sizeof *h + strlen(name) + 1);
    memcpy(h->name, name, strlen(name) + 1);
    h->value = is_list(name) ? join_lines(x->connection, name) : xstrdup(value);
    list_push_back(&x->kept_headers, &h->node);
    return h->value;
}

size_t http_exchange_upload(http_exchange_t *x, bytes_t data)
{
    size_t taken = 0;
    if (x->read_out && !x->read_got && !x->upload.len) { /* straight to who waits for it */
        taken = data.len < x->read_cap ? data.len : x->read_cap;
        memcpy(x->read_out, data.data, taken);
        x->read_got = taken;
    }
    size_t room = queue_room(&x->upload), rest = data.len - taken;
    size_t queued = rest < room ? rest : room;
    if (queued && !queue_push(&x->upload, bytes_of(data.data + taken, queued)))
        taken += queued;
    event_fire(&x->upload_changed);
    return taken;
}

static err_t fail_gone(const http_exchange_t *x)
{
    return fail(ERR_CLOSED, "the client %s left", x->remote);
}

/* Waits until the body goes on; OK when *ret_n was set or the caller has to look again. */
static err_t wait_upload(task_t *t, http_exchange_t *x, uint8_t *out, size_t cap)
{
    x->read_out = out;
    x->read_cap = cap;
    x->read_got = 0;
    http_resume(x);
    err_t e = event_wait(t, &x->upload_changed);
    x->read_out = NULL;
    return e;
}

static err_t read_body(task_t *t, exchange_t *base, uint8_t *out, size_t cap, size_t *ret_n)
{
    http_exchange_t *x = (http_exchange_t *)base;
    TRY(task_check(t));
    if (!x->has_body || !cap) {
        *ret_n = 0;
        return OK;
    }
    for (;;) {
        if (x->upload.len) {
            *ret_n = queue_read(&x->upload, out, cap);
            if (x->phase == HTTP_PHASE_BODY && queue_room(&x->upload) >= HTTP_UPLOAD_QUEUE_BYTES / 2)
                http_resume(x);
            return OK;
        }
        if (x->is_gone || !x->connection)
            return fail_gone(x);
        if (x->phase >= HTTP_PHASE_READY) {
            *ret_n = 0;
            return x->refuses_body ? fail(ERR_CLOSED, "the body was refused by answering first") : OK;
        }
        err_t e = wait_upload(t, x, out, cap);
        if (x->read_got) { /* bytes that came win over a cancellation, which comes again */
            *ret_n = x->read_got;
            x->read_got = 0;
            return OK;
        }
        TRY(e);
    }
}

/* ── answer ──────────────────────────────────────────────────────────────────────────────────── */

static err_t add_field(http_fields_t *f, const char *name, const char *value)
{
    size_t before = f->text.len;
    err_t e = before ? OK : buf_reserve(&f->text, FIELDS_ROOM);
    if (!e)
        e = buf_append(&f->text, bytes_of(name, strlen(name) + 1));
    if (!e)
        e = buf_append(&f->text, bytes_of(value, strlen(value) + 1));
    if (e)
        f->text.len = before;
    return e;
}

void http_fields_each(const http_fields_t *f, void (*fn)(void *arg, const char *name, const char *value),
                      void *arg)
{
    for (size_t at = 0; at < f->text.len;) {
        const char *name = (const char *)f->text.data + at;
        const char *value = name + strlen(name) + 1;
        fn(arg, name, value);
        at = (size_t)(value - (const char *)f->text.data) + strlen(value) + 1;
    }
}

/* Fields with one value: the last one that is set counts, such as a handler's before an operator's. */
static bool is_single(const char *name)
{
    static const char *const names[] = {"Accept-Ranges",           "Cache-Control", "Content-Disposition",
                                        "Content-Security-Policy", "Content-Type",  "Etag",
                                        "Last-Modified",           "Location",      "Retry-After",
                                        "X-Content-Type-Options"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcasecmp(name, names[i]))
            return true;
    return false;
}

static void remove_field(http_fields_t *f, const char *name)
{
    for (size_t at = 0; at < f->text.len;) {
        const char *found = (const char *)f->text.data + at;
        size_t len = strlen(found) + 1;
        len += strlen(found + len) + 1;
        if (strcasecmp(found, name)) {
            at += len;
            continue;
        }
        memmove(f->text.data + at, f->text.data + at + len, f->text.len - at - len);
        f->text.len -= len;
    }
}

static err_t set_header(exchange_t *base, const char *name, const char *value)
{
    if (is_single(name))
        remove_field(&((http_exchange_t *)base)->fields, name);
    return add_field(&((http_exchange_t *)base)->fields, name, value);
}

static err_t add_trailer(exchange_t *base, const char *name, const char *value)
{
    return add_field(&((http_exchange_t *)base)->trailers, name, value);
}

static err_t begin(exchange_t *base, int status, int64_t content_length)
{
    http_exchange_t *x = (http_exchange_t *)base;
    if (x->is_gone || !x->connection)
        return fail_gone(x);
    x->content_length = content_length;
    http_resume(x);
    return OK;
}

size_t http_exchange_waiting(const http_exchange_t *x)
{
    return x->answer.len - x->answer_taken + x->lent.len;
}

static size_t take_lent(http_exchange_t *x, uint8_t *out, size_t cap)
{
    size_t n = x->lent.len < cap ? x->lent.len : cap;
    if (n)
        memcpy(out, x->lent.data, n);
    x->lent = bytes_slice(x->lent, n, x->lent.len);
    if (x->lent.len <= HTTP_ANSWER_QUEUE_BYTES / 4)
        event_fire(&x->answer_changed);
    return n;
}

size_t http_exchange_take(http_exchange_t *x, uint8_t *out, size_t cap)
{
    size_t n = http_spool_take(&x->spool, out, cap);
    if (n)
        return n;
    size_t waiting = x->answer.len - x->answer_taken;
    if (!waiting)
        return take_lent(x, out, cap);
    n = waiting < cap ? waiting : cap;
    memcpy(out, x->answer.data + x->answer_taken, n);
    x->answer_taken += n;
    if (x->answer_taken == x->answer.len) {
        buf_clear(&x->answer);
        x->answer_taken = 0;
    }
    if (http_exchange_waiting(x) <= HTTP_ANSWER_QUEUE_BYTES / 2)
        event_fire(&x->answer_changed);
    return n;
}

static err_t append_answer(http_exchange_t *x, bytes_t data)
{
    if (x->answer_taken) {
        buf_consume(&x->answer, x->answer_taken);
        x->answer_taken = 0;
    }
    TRY(buf_append(&x->answer, data));
    http_resume(x);
    return OK;
}

/* The body still comes in, and libmicrohttpd sends nothing before its end. */
static err_t write_spooled(task_t *t, http_exchange_t *x, bytes_t data)
{
    size_t in_memory = http_exchange_waiting(x);
    if (!x->spool.written && data.len <= HTTP_SPOOL_MEMORY_BYTES - in_memory)
        return append_answer(x, data);
    if (in_memory) {
        TRY(http_spool_write(t, x->server->d, &x->spool,
                             bytes_of(x->answer.data + x->answer_taken, in_memory)));
        buf_clear(&x->answer);
        x->answer_taken = 0;
    }
    TRY(http_spool_write(t, x->server->d, &x->spool, data));
    http_resume(x); /* the upload may have ended meanwhile */
    return OK;
}

/* libmicrohttpd takes what is large from where it lies. The end is copied, so that the writer can see to what
 * comes next while that is sent. */
static err_t lend(task_t *t, http_exchange_t *x, bytes_t *data)
{
    err_t e = OK;
    x->lent = *data;
    http_resume(x);
    while (!e && x->lent.len > HTTP_ANSWER_QUEUE_BYTES / 4 && !x->is_gone)
        e = http_wait_for_client(t, x);
    *data = x->lent;
    x->lent = BYTES_NONE;
    return e;
}

static err_t write_live(task_t *t, http_exchange_t *x, bytes_t data)
{
    while (data.len) {
        if (x->is_gone || !x->connection)
            return fail_gone(x);
        size_t waiting = http_exchange_waiting(x);
        if (waiting >= HTTP_ANSWER_QUEUE_BYTES) {
            TRY(http_wait_for_client(t, x));
        } else if (data.len > HTTP_ANSWER_QUEUE_BYTES / 4) {
            TRY(lend(t, x, &data));
        } else {
            size_t n = HTTP_ANSWER_QUEUE_BYTES - waiting;
            n = n < data.len ? n : data.len;
            TRY(append_answer(x, bytes_of(data.data, n)));
            data = bytes_slice(data, n, data.len);
        }
    }
    return OK;
}

static err_t write_answer(task_t *t, exchange_t *base, bytes_t data)
{
    http_exchange_t *x = (http_exchange_t *)base;
    TRY(task_check(t));
    if (x->is_gone || !x->connection)
        return fail_gone(x);
    if (is_bodiless(x))
        return OK;
    if (x->content_length >= 0 && data.len > (uint64_t)x->content_length - x->base.sent_bytes)
        return fail(ERR_INVALID, "the answer is longer than the %lld bytes that were announced",
                    (long long)x->content_length);
    if (x->phase == HTTP_PHASE_HEAD && x->has_body && !x->refuses_body) {
        /* Who writes this much before reading does not want the body. */
        x->refuses_body = http_exchange_waiting(x) + data.len > HTTP_SPOOL_MEMORY_BYTES;
        if (!x->refuses_body)
            return append_answer(x, data);
        http_resume(x);
    }
    return x->phase == HTTP_PHASE_BODY ? write_spooled(t, x, data) : write_live(t, x, data);
}

static bool is_gone(exchange_t *base)
{
    return ((http_exchange_t *)base)->is_gone;
}

static const exchange_ops_t http_exchange_ops = {
    .header = request_header,
    .read = read_body,
    .set_header = set_header,
    .begin = begin,
    .write = write_answer,
    .trailer = add_trailer,
    .is_gone = is_gone,
};
