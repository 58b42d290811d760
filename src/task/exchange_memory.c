#include "task/exchange.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TARGET_MAX_BYTES = 16384, HEADERS_MAX = 64 };

typedef struct field_list {
    char *names[HEADERS_MAX], *values[HEADERS_MAX];
    size_t count;
} field_list_t;

/* Status and headers go to the sink with the first bytes or when the handler ends, trailers when it
 * ends: the sink may wait, and the operations that set them may not. */
typedef struct memory_exchange {
    exchange_t base;
    const header_pair_t *headers;
    size_t n_headers;
    memory_exchange_sink_t sink;
    field_list_t set, trailers;
    bool is_begin_sent;
} memory_exchange_t;

static const char *memory_header(exchange_t *x, const char *name)
{
    memory_exchange_t *m = (memory_exchange_t *)x;
    for (size_t i = 0; i < m->n_headers; i++)
        if (!strcasecmp(m->headers[i].name, name))
            return m->headers[i].value;
    return NULL;
}

static err_t memory_read(task_t *t, exchange_t *x, uint8_t *out, size_t cap, size_t *ret_n)
{
    memory_exchange_t *m = (memory_exchange_t *)x;
    if (m->sink.read_body)
        return m->sink.read_body(t, m->sink.arg, out, cap, ret_n);
    *ret_n = 0;
    return OK;
}

static err_t add_field(field_list_t *l, const char *name, const char *value)
{
    if (l->count == HEADERS_MAX)
        return fail(ERR_LIMIT, "over %d headers", HEADERS_MAX);
    l->names[l->count] = xstrdup(name);
    l->values[l->count++] = xstrdup(value);
    return OK;
}

static void free_fields(field_list_t *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->names[i]);
        free(l->values[i]);
    }
}

static err_t send_fields(memory_exchange_t *m, const field_list_t *l,
                         err_t (*send)(void *, const char *, const char *))
{
    for (size_t i = 0; i < l->count && send; i++)
        TRY(send(m->sink.arg, l->names[i], l->values[i]));
    return OK;
}

static err_t memory_set_header(exchange_t *x, const char *name, const char *value)
{
    return add_field(&((memory_exchange_t *)x)->set, name, value);
}

static err_t memory_begin(exchange_t *x, int status, int64_t content_length)
{
    (void)status;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)content_length);
    return content_length < 0 ? OK : memory_set_header(x, "Content-Length", text);
}

static err_t send_begin(task_t *t, memory_exchange_t *m)
{
    if (m->is_begin_sent || !m->base.has_begun)
        return OK;
    m->is_begin_sent = true;
    if (m->sink.begin)
        TRY(m->sink.begin(t, m->sink.arg, m->base.status));
    return send_fields(m, &m->set, m->sink.header);
}

static err_t memory_write(task_t *t, exchange_t *x, bytes_t data)
{
    memory_exchange_t *m = (memory_exchange_t *)x;
    TRY(send_begin(t, m));
    return m->sink.write ? m->sink.write(t, m->sink.arg, data) : OK;
}

static err_t memory_trailer(exchange_t *x, const char *name, const char *value)
{
    return add_field(&((memory_exchange_t *)x)->trailers, name, value);
}

static bool memory_is_gone(exchange_t *x)
{
    (void)x;
    return false;
}

static const exchange_ops_t memory_ops = {
    .header = memory_header,
    .read = memory_read,
    .set_header = memory_set_header,
    .begin = memory_begin,
    .write = memory_write,
    .trailer = memory_trailer,
    .is_gone = memory_is_gone,
};

err_t exchange_run_in_memory(task_t *t, const char *method, const char *target, const header_pair_t *headers,
                             size_t n_headers, memory_exchange_sink_t sink, exchange_fn handler, void *arg)
{
    if (strlen(target) > TARGET_MAX_BYTES)
        return fail(ERR_LIMIT, "a request target of %zu bytes is over %d", strlen(target), TARGET_MAX_BYTES);
    char *path = xstrdup(target), *question = strchr(path, '?');
    if (question)
        *question = 0;
    memory_exchange_t *m = xcalloc(1, sizeof *m);
    m->base = (exchange_t){
        .ops = &memory_ops,
        .method = method,
        .target = target,
        .path = path,
        .query = question ? question + 1 : "",
        .remote = "in-process",
        .is_local = true,
    };
    m->headers = headers;
    m->n_headers = n_headers;
    m->sink = sink;
    err_t e = handler(t, &m->base, arg);
    err_t flushed = send_begin(t, m);
    if (!flushed)
        flushed = send_fields(m, &m->trailers, m->sink.trailer);
    free_fields(&m->set);
    free_fields(&m->trailers);
    free(path);
    free(m);
    return e ? e : flushed;
}
