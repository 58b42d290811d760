#include "task/exchange.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TARGET_MAX_BYTES = 16384, HEADERS_MAX = 64 };

/* Status and headers go to the sink with the first bytes, or when the handler ends: until then the
 * sink need not wait. */
typedef struct memory_exchange {
    exchange_t base;
    const header_pair_t *headers;
    size_t n_headers;
    memory_exchange_sink_t sink;
    char *set_names[HEADERS_MAX], *set_values[HEADERS_MAX];
    size_t n_set;
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

static err_t memory_set_header(exchange_t *x, const char *name, const char *value)
{
    memory_exchange_t *m = (memory_exchange_t *)x;
    if (m->n_set == HEADERS_MAX)
        return fail(ERR_LIMIT, "over %d headers", HEADERS_MAX);
    m->set_names[m->n_set] = xstrdup(name);
    m->set_values[m->n_set++] = xstrdup(value);
    return OK;
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
    for (size_t i = 0; i < m->n_set && m->sink.header; i++)
        TRY(m->sink.header(m->sink.arg, m->set_names[i], m->set_values[i]));
    return OK;
}

static err_t memory_write(task_t *t, exchange_t *x, bytes_t data)
{
    memory_exchange_t *m = (memory_exchange_t *)x;
    TRY(send_begin(t, m));
    return m->sink.write ? m->sink.write(t, m->sink.arg, data) : OK;
}

static err_t memory_trailer(exchange_t *x, const char *name, const char *value)
{
    memory_exchange_t *m = (memory_exchange_t *)x;
    return m->sink.trailer ? m->sink.trailer(m->sink.arg, name, value) : OK;
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
    for (size_t i = 0; i < m->n_set; i++) {
        free(m->set_names[i]);
        free(m->set_values[i]);
    }
    free(path);
    free(m);
    return e ? e : flushed;
}
