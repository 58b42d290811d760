/* exchange: one request and its streamed answer, as handlers see it (HTTP today, mount later). The
 * transport (libmicrohttpd in loop/, memory in tests and for the in-process command line) implements
 * the vtable; a handler is a task. */
#ifndef TASK_EXCHANGE_H
#define TASK_EXCHANGE_H
#include "base/bytes.h"
#include "task/task.h"

typedef struct exchange exchange_t;
typedef struct exchange_ops {
    const char *(*header)(exchange_t *x, const char *name); /* request header, NULL when absent */
    err_t (*read)(task_t *t, exchange_t *x, uint8_t *out, size_t cap, size_t *ret_n); /* 0: end */
    err_t (*set_header)(exchange_t *x, const char *name,
                        const char *value); /* before begin; appends, but to what has one value alone */
    err_t (*begin)(exchange_t *x, int status, int64_t content_length); /* -1: unknown (chunked) */
    err_t (*write)(task_t *t, exchange_t *x, bytes_t data); /* suspends above the high-water mark */
    err_t (*trailer)(exchange_t *x, const char *name, const char *value);
    bool (*is_gone)(exchange_t *x); /* the client left */
} exchange_ops_t;
struct exchange {
    const exchange_ops_t *ops;
    const char *method; /* "GET" */
    const char *target; /* path and query as sent, not decoded; at most 16 KiB */
    const char *path;   /* up to '?', not decoded */
    const char *query;  /* after '?', "" when none */
    const char *remote; /* "IP:PORT" or "in-process" */
    bool is_local;      /* in-process: no origin checks */
    bool has_tunnels;   /* 200 to CONNECT is possible */
    bool has_begun;
    int status; /* of the answer, 0 before begin */
    uint64_t sent_bytes;
};
typedef err_t (*exchange_fn)(task_t *t, exchange_t *x, void *arg);

const char *exchange_header(exchange_t *x, const char *name); /* case-insensitive */
/* The n-th value of a query parameter, percent- and plus-decoded, into `out` (cleared first);
 * ERR_NOT_FOUND when there are fewer. */
MUST_CHECK err_t exchange_query(exchange_t *x, const char *name, size_t n, buf_t *out);
/* Goes through all parameters: *at is 0 at first. False at the end; malformed ones are passed over. */
bool exchange_query_next(exchange_t *x, size_t *at, buf_t *name, buf_t *value);
bool exchange_has_query(exchange_t *x, const char *name);
bool exchange_query_bool(exchange_t *x, const char *name, bool otherwise); /* "", "1", "true" */
MUST_CHECK err_t exchange_query_u64(exchange_t *x, const char *name, uint64_t otherwise, uint64_t *ret);
MUST_CHECK err_t percent_decode(bytes_t text, bool plus_is_space, buf_t *out);
MUST_CHECK err_t percent_encode(bytes_t data, const char *also_safe, buf_t *out);

MUST_CHECK err_t exchange_read(task_t *t, exchange_t *x, uint8_t *out, size_t cap, size_t *ret_n);
MUST_CHECK err_t exchange_read_all(task_t *t, exchange_t *x, size_t max_bytes, buf_t *out);
MUST_CHECK err_t exchange_set_header(exchange_t *x, const char *name, const char *value);
MUST_CHECK err_t exchange_begin(exchange_t *x, int status, int64_t content_length);
MUST_CHECK err_t exchange_write(task_t *t, exchange_t *x, bytes_t data);
MUST_CHECK err_t exchange_trailer(exchange_t *x, const char *name, const char *value);
bool exchange_is_gone(exchange_t *x);
/* Whole answer: headers, length, body. HEAD gets no body. */
MUST_CHECK err_t exchange_reply(task_t *t, exchange_t *x, int status, const char *content_type, bytes_t body);

/* In-memory exchange: the request is given, the answer collected or streamed to a sink. */
typedef struct memory_exchange_sink {
    err_t (*begin)(task_t *t, void *arg, int status);
    err_t (*header)(void *arg, const char *name, const char *value);
    err_t (*write)(task_t *t, void *arg, bytes_t data);
    err_t (*trailer)(void *arg, const char *name, const char *value);
    err_t (*read_body)(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n);
    void *arg;
} memory_exchange_sink_t;
typedef struct header_pair {
    const char *name, *value;
} header_pair_t;
/* Runs handler on a request made of these parts, in the calling task. */
MUST_CHECK err_t exchange_run_in_memory(task_t *t, const char *method, const char *target,
                                        const header_pair_t *headers, size_t n_headers,
                                        memory_exchange_sink_t sink, exchange_fn handler, void *arg);
#endif
