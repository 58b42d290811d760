#include "loop/http_server.h"
#include "base/log.h"
#include "loop/http_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SWEEP_MS 500
#define BLOCK_BYTES (64 * 1024) /* of an answer with a length */
#define HEAD_BYTES_DEFAULT (24 * 1024)
#define HEAD_BYTES_MIN (4 * 1024)
/* A connection's memory holds the request's head, then the answer's head and chunks. */
#define CONNECTION_EXTRA_BYTES (16 * 1024)
/* libmicrohttpd keeps 64 bytes for each; when its memory ends there, it neither answers nor closes. */
#define QUERY_PARTS_MAX 200

/* ── driving libmicrohttpd ───────────────────────────────────────────────────────────────────── */

/* Handlers run in here, until their first wait. */
static void run_daemon(void *arg)
{
    http_server_t *s = arg;
    MHD_run(s->daemon);
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(s->daemon, &timeout_ms) != MHD_YES)
        return;
    if (timeout_ms == 0) /* something is ready that epoll will not tell again */
        sched_post(s->sched, &s->run_again);
    else if (s->timeout.heap_index == SIZE_MAX) /* later ones find out when this one has come */
        alarm_set(&s->timeout, sched_now_ms(s->sched) + timeout_ms);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    run_daemon(poll->data);
}

static void begin_sweeps(http_server_t *s)
{
    if (s->sweep.heap_index == SIZE_MAX)
        alarm_set(&s->sweep, sched_now_ms(s->sched) + SWEEP_MS);
}

static void suspend(http_exchange_t *x)
{
    x->is_suspended = true;
    MHD_suspend_connection(x->connection);
    begin_sweeps(x->server);
}

void http_resume(http_exchange_t *x)
{
    if (!x->is_suspended)
        return;
    x->is_suspended = false;
    MHD_resume_connection(x->connection);
    sched_post(x->server->sched, &x->server->run_again);
}

bool http_has_left(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static int fd_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

/* An end that came in one event with bytes of a body is not told again. */
static bool is_receiving(const http_exchange_t *x)
{
    return x->connection && !x->is_suspended && x->phase < HTTP_PHASE_READY;
}

static void check_client(http_exchange_t *x)
{
    if (x->is_gone || !http_has_left(fd_of(x->connection)))
        return;
    if (is_receiving(x))
        http_conn_end(x->server, x->connection);
    http_exchange_client_left(x);
}

/* libmicrohttpd does not watch a suspended connection. */
static void sweep(void *arg)
{
    http_server_t *s = arg;
    bool is_any_watched = false;
    LIST_EACH (x, &s->exchanges, http_exchange_t, node) {
        if (!x->is_suspended && !is_receiving(x))
            continue;
        is_any_watched = true;
        check_client(x);
    }
    if (is_any_watched)
        alarm_set(&s->sweep, sched_now_ms(s->sched) + SWEEP_MS);
}

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */

static void add_header(void *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_warn("a header of an answer was refused", LOG_STR("name", name), LOG_STR("value", value));
}

static void add_footer(void *response, const char *name, const char *value)
{
    if (MHD_add_response_footer(response, name, value) != MHD_YES)
        log_warn("a trailer of an answer was refused", LOG_STR("name", name), LOG_STR("value", value));
}

/* libmicrohttpd 0.9.75 forgets a connection that the content reader ends until it is the one that has been
 * idle longest: the client would see the end minutes late. Connections with a time-out of their own are all
 * looked at in each run, so this one gets its own. */
static void hasten_close(http_exchange_t *x)
{
    unsigned timeout_s = x->server->idle_timeout_s == 1 ? 2 : 1;
    MHD_set_connection_option(x->connection, MHD_CONNECTION_OPTION_TIMEOUT, timeout_s);
    sched_post(x->server->sched, &x->server->run_again);
}

static ssize_t cut_answer(http_exchange_t *x)
{
    /* The end of the connection is the end of the answer in HTTP/1.0: only a reset tells the difference. */
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (x->is_http10)
        setsockopt(fd_of(x->connection), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    hasten_close(x);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t on_want_answer(void *arg, uint64_t pos, char *out, size_t cap)
{
    http_exchange_t *x = arg;
    if (x->is_gone)
        return cut_answer(x);
    size_t n = http_exchange_take(x, (uint8_t *)out, cap);
    if (n)
        return (ssize_t)n;
    if (!x->is_finished) {
        suspend(x);
        return 0;
    }
    if (x->is_failed || x->spool.taken < x->spool.written)
        return cut_answer(x);
    if (x->is_http10)
        hasten_close(x);
    http_fields_each(&x->trailers, add_footer, x->response);
    return MHD_CONTENT_READER_END_OF_STREAM;
}

/* An answer that is already whole goes out in one piece with its head. */
static struct MHD_Response *whole_response(http_exchange_t *x)
{
    size_t len;
    buf_consume(&x->answer, x->answer_taken);
    x->answer_taken = 0;
    uint8_t *data = buf_take(&x->answer, &len);
    if (!data)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
}

static struct MHD_Response *streamed_response(http_exchange_t *x)
{
    if (x->content_length >= 0)
        return MHD_create_response_from_callback((uint64_t)x->content_length, BLOCK_BYTES, on_want_answer, x,
                                                 NULL);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES / 4, on_want_answer, x, NULL);
}

static enum MHD_Result start_answer(http_exchange_t *x)
{
    bool is_head = !strcmp(x->method, "HEAD");
    bool is_whole = x->is_finished && !x->is_failed && !x->spool.written && !x->trailers.text.len &&
                    (!is_head || x->content_length == 0);
    struct MHD_Response *response = is_whole ? whole_response(x) : streamed_response(x);
    if (!response)
        return MHD_NO;
    /* libmicrohttpd sends the end of a chunked body behind the head of an answer to HEAD, which has no body:
     * the next answer on the connection could not be read. As HTTP/1.0 it sends none, and closes. */
    if (is_head && !is_whole && x->content_length < 0)
        MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
    http_fields_each(&x->fields, add_header, response);
    x->phase = HTTP_PHASE_ANSWERING;
    x->response = response;
    enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)x->base.status, response);
    MHD_destroy_response(response);
    event_fire(&x->upload_changed);
    event_fire(&x->answer_changed);
    return result;
}

/* ── requests ────────────────────────────────────────────────────────────────────────────────── */

static size_t query_parts(const char *target)
{
    size_t n = 0;
    for (const char *p = strchr(target, '?'); p; p = strchr(p + 1, '&'))
        n++;
    return n;
}

/* The only place that has the target as it was sent: the other callbacks get it decoded. Those are not called
 * when the rest of the head is refused: then the connection's end frees what was made here. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    http_server_t *s = arg;
    if (query_parts(target) > QUERY_PARTS_MAX) {
        http_conn_refuse(s, connection,
                         "HTTP/1.1 414 URI Too Long\r\nContent-Type: text/plain; charset=utf-8\r\n"
                         "Connection: close\r\n\r\nthe request's target has too many parts\n");
        return NULL;
    }
    if (strlen(target) > HTTP_TARGET_MAX_BYTES)
        return NULL;
    http_exchange_t *x = http_exchange_new(s, target);
    http_conn_target(s, connection, x);
    return x;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return (length && strtoull(length, NULL, 10) > 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *line)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(line), (void *)line, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void learn_request(http_exchange_t *x, struct MHD_Connection *connection, const char *method,
                          const char *version)
{
    x->connection = connection;
    http_conn_busy(x->server, connection);
    x->is_http10 = !strcmp(version, "HTTP/1.0");
    snprintf(x->method, sizeof x->method, "%s", method);
    x->has_body = has_body(connection);
    x->phase = x->has_body ? HTTP_PHASE_HEAD : HTTP_PHASE_READY;
    if (x->has_body)
        begin_sweeps(x->server);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    net_addr_t from = {0};
    if (info)
        net_of_sockaddr((const struct sockaddr_storage *)info->client_addr, &from);
    if (from.family)
        net_addr_print(&from, x->remote);
    else
        snprintf(x->remote, sizeof x->remote, "unix");
}

static enum MHD_Result start_handler(http_exchange_t *x)
{
    if (x->server->is_stopping)
        return MHD_NO;
    if (!http_has_room(x->server))
        return refuse(x->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                      "too many clients that read slowly; try again later\n");
    err_t e = http_exchange_start(x);
    if (!e)
        return MHD_YES;
    log_warn("a request was refused", LOG_STR("error", error_text(e)));
    return refuse(x->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                  "too many requests at once; try again later\n");
}

/* The head has come, and a body follows when the handler asks for it. */
static enum MHD_Result on_headers(http_exchange_t *x)
{
    if (x->base.has_begun && (x->is_finished || x->refuses_body)) {
        x->refuses_body = true;
        return start_answer(x);
    }
    if (x->read_out)
        x->phase = HTTP_PHASE_BODY;
    else
        suspend(x);
    return MHD_YES;
}

static enum MHD_Result on_body(http_exchange_t *x, const char *data, size_t *size)
{
    if (x->is_finished) {
        x->discarded_bytes += *size;
        *size = 0;
        if (!x->is_answered_early && x->discarded_bytes > HTTP_EARLY_BYTES)
            x->is_answered_early = http_answer_early(x, fd_of(x->connection));
        return x->discarded_bytes > HTTP_DISCARD_BYTES ? MHD_NO : MHD_YES;
    }
    *size -= http_exchange_upload(x, bytes_of(data, *size));
    if (*size)
        suspend(x);
    return MHD_YES;
}

static enum MHD_Result on_body_end(http_exchange_t *x)
{
    if (x->phase != HTTP_PHASE_READY) {
        x->phase = HTTP_PHASE_READY;
        event_fire(&x->upload_changed);
    }
    if (x->is_answered_early)
        return MHD_NO;
    if (x->base.has_begun)
        return start_answer(x);
    suspend(x);
    return MHD_YES;
}

/* libmicrohttpd calls this once when the head has come, for each piece of the body, at the end of the
 * request, and again after each resume. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **context)
{
    http_exchange_t *x = *context;
    if (!x)
        return refuse(connection, MHD_HTTP_URI_TOO_LONG, "the request's target is too long\n");
    if (!x->connection) {
        if (strlen(method) >= sizeof x->method)
            return refuse(connection, MHD_HTTP_NOT_IMPLEMENTED, "unknown method\n");
        unsigned status;
        const char *fault = http_head_fault(connection, !strcmp(version, "HTTP/1.0"), &status);
        if (fault)
            return refuse(connection, status, fault);
        learn_request(x, connection, method, version);
        /* Answering this first call would close the connection after the answer. */
        if (!x->has_body)
            return MHD_YES;
    }
    if (x->is_gone)
        return MHD_NO;
    if (!x->is_started) {
        enum MHD_Result result = start_handler(x);
        if (result != MHD_YES || !x->is_started)
            return result;
    }
    if (*size)
        return on_body(x, data, size);
    return x->phase == HTTP_PHASE_HEAD ? on_headers(x) : on_body_end(x);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
    http_exchange_t *x = *context;
    http_conn_waits(arg, connection);
    if (!x)
        return;
    *context = NULL;
    x->connection = NULL;
    x->is_suspended = false;
    if (x->is_started && !x->is_finished && how != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        http_exchange_client_left(x);
    event_fire(&x->upload_changed);
    event_fire(&x->answer_changed);
    http_exchange_free_when_done(x);
}

static void on_log(void *arg, const char *format, va_list args)
{
    char line[256];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = 0;
    log_debug("libmicrohttpd", LOG_STR("text", line));
}

/* ── start and stop ──────────────────────────────────────────────────────────────────────────── */

static struct MHD_Daemon *start_daemon(http_server_t *s, int fd, const http_limits_t *limits)
{
    size_t head = limits->max_header_bytes ? limits->max_header_bytes : HEAD_BYTES_DEFAULT;
    if (head < HEAD_BYTES_MIN)
        head = HEAD_BYTES_MIN;
    /* libmicrohttpd takes texts that it does not change as if it did. */
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)limits->tls_certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)limits->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3"},
        {MHD_OPTION_END, 0, NULL},
    };
    s->is_tls = limits->tls_certificate != NULL;
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG |
            (s->is_tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->conns.max, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)limits->max_per_ip,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        head + CONNECTION_EXTRA_BYTES, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, s->is_tls ? tls : &tls[ARRAY_LEN(tls) - 1], MHD_OPTION_END);
}

static void free_server(uv_handle_t *handle)
{
    http_server_t *s = handle->data;
    s->d->open_count--;
    group_deinit(&s->handlers);
    free(s);
}

err_t http_server_start(driver_t *driver, sched_t *sched, const net_addr_t *at, const http_limits_t *limits,
                        exchange_fn handler, void *arg, http_server_t **ret_server)
{
    return http_server_start_at(driver, sched, &(face_addr_t){.ip = *at}, limits, handler, arg, ret_server);
}

static err_t listen_at(const face_addr_t *at, int *ret_fd, face_addr_t *ret_bound)
{
    *ret_bound = *at;
    return at->path[0] ? socket_listening_at_path(at->path, ret_fd)
                       : socket_listening(&at->ip, ret_fd, &ret_bound->ip);
}

err_t http_server_start_at(driver_t *driver, sched_t *sched, const face_addr_t *at,
                           const http_limits_t *limits, exchange_fn handler, void *arg,
                           http_server_t **ret_server)
{
    int fd;
    face_addr_t bound;
    TRY(listen_at(at, &fd, &bound));
    http_server_t *s = xcalloc(1, sizeof *s);
    s->d = uv_driver_of(driver);
    s->sched = sched;
    s->at = bound;
    s->handler = handler;
    s->arg = arg;
    s->max_held_bytes = limits && limits->max_held_bytes ? limits->max_held_bytes : HTTP_HELD_MAX_BYTES;
    s->slow_after_s = limits && limits->slow_after_s ? limits->slow_after_s : HTTP_SLOW_AFTER_S;
    list_init(&s->slow);
    s->idle_timeout_s = limits && limits->idle_timeout_s ? limits->idle_timeout_s : 120;
    http_conns_init(s, limits && limits->max_connections ? limits->max_connections : 1024);
    s->daemon = start_daemon(s, fd, limits ? limits : &(http_limits_t){0});
    if (!s->daemon) {
        char text[NET_ADDR_TEXT_MAX];
        close(fd);
        http_conns_deinit(s);
        free(s);
        return fail(ERR_IO, "start the HTTP server on %s: %s", net_addr_print(&bound.ip, text),
                    strerror(errno));
    }
    group_init(&s->handlers, sched);
    list_init(&s->exchanges);
    event_init(&s->exchange_freed);
    runnable_init(&s->run_again, run_daemon, s);
    alarm_init(&s->timeout, sched, run_daemon, s);
    alarm_init(&s->sweep, sched, sweep, s);
    s->poll.data = s;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int e = uv_poll_init(&s->d->loop, &s->poll, info->epoll_fd);
    assert(!e);
    e = uv_poll_start(&s->poll, UV_READABLE, on_poll);
    assert(!e);
    s->d->open_count++;
    run_daemon(s); /* takes the listening socket under its epoll */
    *ret_server = s;
    return OK;
}

net_addr_t http_server_address(const http_server_t *s)
{
    return s->at.ip;
}

const face_addr_t *http_server_face(const http_server_t *s)
{
    return &s->at;
}

size_t http_server_running(const http_server_t *s)
{
    return s->handlers.count;
}

/* Until every answer has gone out, or the time is over. */
static void finish_answers(task_t *t, http_server_t *s, uint64_t grace_ms)
{
    deadline_t d = deadline_push(t, grace_ms);
    err_t e = OK;
    while (!e && !list_is_empty(&s->exchanges))
        e = event_wait(t, &s->exchange_freed);
    deadline_pop(t, &d);
}

void http_server_stop(task_t *t, http_server_t *s, uint64_t grace_ms)
{
    if (!s)
        return;
    task_shield(t);
    s->is_stopping = true;
    close(MHD_quiesce_daemon(s->daemon));
    if (s->at.path[0])
        unlink(s->at.path);
    finish_answers(t, s, grace_ms);
    group_stop(t, &s->handlers);
    LIST_EACH (x, &s->exchanges, http_exchange_t, node)
        http_resume(x); /* libmicrohttpd does not stop with suspended connections */
    MHD_stop_daemon(s->daemon);
    http_conns_deinit(s);
    assert(list_is_empty(&s->exchanges));
    runnable_cancel(&s->run_again);
    alarm_clear(&s->timeout);
    alarm_clear(&s->sweep);
    uv_close((uv_handle_t *)&s->poll, free_server);
    task_unshield(t);
}
