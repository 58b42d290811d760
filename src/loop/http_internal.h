/* http_internal: a request on its way between libmicrohttpd and its handler.
 *
 * http_server.c owns the daemon and libmicrohttpd's callbacks; http_head.c checks heads; http_exchange.c is
 * what the handler sees; http_early.c sends an error while a long body still comes; http_conns.c ends
 * connections that keep a place without a request; http_spool.c keeps what is written while a body still
 * comes in. All run on the loop thread: the one side stores bytes and wakes the task, the other takes them
 * and resumes the connection.
 *
 *   phase:  HEAD ──handler reads──→ BODY ──body ended──→ READY ──begun──→ ANSWERING
 *           HEAD ──no body in the request──────────────→ READY
 *           HEAD ──ended, or wrote 1 MiB, without reading: the upload is refused──→ ANSWERING */
#ifndef LOOP_HTTP_INTERNAL_H
#define LOOP_HTTP_INTERNAL_H
#include "base/list.h"
#include "base/queue.h"
#include "loop/http_server.h"
#include "loop/uv_internal.h"
#include <microhttpd.h>

#define HTTP_UPLOAD_QUEUE_BYTES (64 * 1024)
#define HTTP_ANSWER_QUEUE_BYTES (256 * 1024)
#define HTTP_HELD_MAX_BYTES ((uint64_t)512 << 20)
#define HTTP_SLOW_AFTER_S 10
#define HTTP_SPOOL_MEMORY_BYTES (1024 * 1024)
#define HTTP_SPOOL_FILE_BYTES (1024 * 1024 * 1024UL)
#define HTTP_DISCARD_BYTES (64 * 1024 * 1024)
#define HTTP_EARLY_BYTES                                                                                     \
    (1024 * 1024) /* of a rest that is dropped, before the answer goes out in front of its end */
#define HTTP_TARGET_MAX_BYTES (16 * 1024)
#define HTTP_FIELDS_MAX_BYTES (64 * 1024)

/* Connections whose next request has not come yet, those that wait longest first: each has a time to send a
 * head, and the first one goes when all places are taken. So slow heads keep nobody out. */
typedef struct http_conns {
    list_t waiting; /* http_conn_t */
    size_t count, max;
    sched_alarm_t check;
} http_conns_t;

struct http_server {
    uv_driver_t *d;
    sched_t *sched;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;       /* on libmicrohttpd's epoll descriptor */
    runnable_t run_again; /* its timeout is 0, or a connection was resumed */
    sched_alarm_t timeout;
    sched_alarm_t sweep; /* looks for clients that left while their connection is suspended */
    face_addr_t at;
    exchange_fn handler;
    void *arg;
    group_t handlers;
    list_t exchanges;
    http_conns_t conns;
    event_t exchange_freed;
    list_t slow; /* exchanges that wait for their clients to read, the longest first */
    uint64_t held_bytes, max_held_bytes;
    unsigned slow_after_s;
    unsigned idle_timeout_s;
    bool is_stopping;
    bool is_tls; /* nothing may be written past libmicrohttpd */
};

/* Names and values, each with its NUL, one after the other. */
typedef struct http_fields {
    buf_t text;
} http_fields_t;

typedef struct http_spool {
    int fd; /* -1: no file */
    uint64_t written, taken;
} http_spool_t;

/* One request. Freed when libmicrohttpd has done with it and its handler has ended. */
typedef struct http_exchange {
    exchange_t base;
    http_server_t *server;
    list_t node;
    struct MHD_Connection *connection; /* NULL when libmicrohttpd has done with the request */
    task_t *task;                      /* NULL before and after the handler */
    enum { HTTP_PHASE_HEAD, HTTP_PHASE_BODY, HTTP_PHASE_READY, HTTP_PHASE_ANSWERING } phase;
    bool is_suspended, is_started, is_finished, is_failed, is_gone;
    bool has_body, refuses_body, is_http10;
    char method[16];
    char remote[NET_ADDR_TEXT_MAX];
    char *target, *path; /* path points into an own copy, cut at '?' */
    list_t kept_headers; /* of the request, copied when asked for */
    /* body */
    queue_t upload;
    uint64_t discarded_bytes;
    bool is_answered_early;
    uint8_t *read_out; /* where a waiting read wants its bytes, NULL when none waits */
    size_t read_cap, read_got;
    event_t upload_changed;
    /* answer */
    struct MHD_Response *response; /* the connection's; while ANSWERING */
    int64_t content_length;        /* -1: unknown */
    http_fields_t fields, trailers;
    buf_t answer; /* waits for libmicrohttpd from answer_taken on */
    size_t answer_taken;
    bytes_t lent; /* comes after it: borrowed from the writer, who waits */
    http_spool_t spool;
    event_t answer_changed;
    /* while it waits for its client to read */
    list_t slow_node;
    uint64_t slow_since_ms, held_bytes;
    bool is_cut; /* it has waited too long, and others need the room */
} http_exchange_t;

/* http_exchange.c */
http_exchange_t *http_exchange_new(http_server_t *server, const char *target);
void http_exchange_free_when_done(http_exchange_t *x);
/* Spawns the handler and runs it until its first wait. ERR_LIMIT when no task can be had. */
MUST_CHECK err_t http_exchange_start(http_exchange_t *x);
void http_exchange_client_left(http_exchange_t *x);
/* Takes what there is room for of the body; returns how many bytes. */
size_t http_exchange_upload(http_exchange_t *x, bytes_t data);
/* Moves waiting bytes of the answer out; 0 when there are none. */
size_t http_exchange_take(http_exchange_t *x, uint8_t *out, size_t cap);
size_t http_exchange_waiting(const http_exchange_t *x);
/* For each pair of the fields, fn(arg, name, value). */
void http_fields_each(const http_fields_t *f, void (*fn)(void *arg, const char *name, const char *value),
                      void *arg);

/* http_head.c: what a head must not have, since whoever stands before us may have gone by another reading of
 * it (RFC 9112, 2.2, 3.2, 5.1, 6.1, 6.3): two Host headers, names that are no tokens, values of several
 * lines, two lengths, a length beside chunks. A line to refuse it with, NULL when it has none of these. */
const char *http_head_fault(struct MHD_Connection *connection, bool is_http10, unsigned *ret_status);

/* http_early.c: sends the whole answer of a handler that has given the upload up, past libmicrohttpd, which
 * would wait for the end of the body. Only errors, and only what fits into memory and the socket at once:
 * else false, and nothing was sent. */
bool http_answer_early(http_exchange_t *x, int fd);

/* http_server.c: lets libmicrohttpd look at the connection again, when it is suspended. */
void http_resume(http_exchange_t *x);
/* Has the client closed its side, with all that it sent before taken? libmicrohttpd misses an end that comes
 * in one event with bytes. */
bool http_has_left(int fd);

/* http_slow.c: what answers hold in memory while their clients do not read is bounded in sum. Above that,
 * those that have waited longest are cut, and while there are none that have waited long, new requests get
 * 503. */
MUST_CHECK err_t http_wait_for_client(task_t *t, http_exchange_t *x);
bool http_has_room(http_server_t *s);

/* http_conns.c */
void http_conns_init(http_server_t *s, size_t max);
void http_conns_deinit(http_server_t *s);
void http_on_connection(void *arg, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what);
/* A target came: the exchange is freed with the connection if its request never starts. */
void http_conn_target(http_server_t *s, struct MHD_Connection *connection, http_exchange_t *x);
void http_conn_busy(http_server_t *s, struct MHD_Connection *connection);  /* its head has come */
void http_conn_waits(http_server_t *s, struct MHD_Connection *connection); /* the request is over */
/* Sends the text as it is and ends the connection. */
void http_conn_refuse(http_server_t *s, struct MHD_Connection *connection, const char *text);
void http_conn_end(http_server_t *s, struct MHD_Connection *connection);

/* http_spool.c */
void http_spool_init(http_spool_t *s);
void http_spool_deinit(http_spool_t *s);
/* Appends, on a worker; opens the file first when there is none. ERR_LIMIT over HTTP_SPOOL_FILE_BYTES. */
MUST_CHECK err_t http_spool_write(task_t *t, uv_driver_t *d, http_spool_t *s, bytes_t data);
size_t http_spool_take(http_spool_t *s, uint8_t *out,
                       size_t cap); /* 0: nothing is waiting, or it cannot be read */
#endif
