#include "base/log.h"
#include "net/grpc_internal.h"
#include "net/span.h"
#include <stdlib.h>

struct grpc_server {
    grpc_server_config_t config;
    listener_t *listener;
    group_t tasks; /* accepting, and one for each connection */
    size_t n_connections;
    net_addr_t at;
};

/* ── calls ───────────────────────────────────────────────────────────────────────────────────── */

static err_t send_status(grpc_call_t *c, err_t e, const char *text)
{
    char number[8], message[GRPC_MESSAGE_TEXT_MAX];
    snprintf(number, sizeof number, "%d", (int)grpc_status_of(e));
    grpc_message_encode(e ? text : "", message);
    http_field_t alone[] = {{":status", "200"},
                            {"content-type", "application/grpc+proto"},
                            {"grpc-status", number},
                            {"grpc-message", message}};
    size_t n = *message ? 4 : 3;
    TRY(c->has_head_out ? http2_end(c->stream, alone + 2, n - 2) : http2_respond(c->stream, alone, n, false));
    event_fire(&c->conn->output);
    return OK;
}

static err_t find_method(const grpc_call_t *c, const grpc_method_t **ret)
{
    const char *type = http2_field(c->stream, "content-type"), *path = http2_field(c->stream, ":path");
    const char *method = http2_field(c->stream, ":method");
    if (!type || strncmp(type, "application/grpc", 16) != 0 || !method || strcmp(method, "POST") != 0)
        return fail(ERR_INVALID, "this port speaks gRPC alone");
    for (const grpc_method_t *m = c->conn->server->methods; m->path; m++)
        if (path && !strcmp(m->path, path)) {
            *ret = m;
            return OK;
        }
    return fail(ERR_UNSUPPORTED, "there is no method %.100s", path ? path : "");
}

static err_t run_method(task_t *t, grpc_call_t *c, const grpc_method_t **ret_method)
{
    uint64_t limit_ms = GRPC_DEADLINE_MS, ms;
    const char *timeout = http2_field(c->stream, "grpc-timeout");
    TRY(find_method(c, ret_method));
    if ((*ret_method)->max_ms)
        limit_ms = (*ret_method)->max_ms;
    if (timeout) {
        TRY(grpc_timeout_parse(timeout, &ms));
        limit_ms = ms < limit_ms ? ms : limit_ms;
    }
    deadline_t d = deadline_push(t, limit_ms);
    err_t e = (*ret_method)->run(t, c, c->conn->server->arg);
    deadline_pop(t, &d);
    return e;
}

static err_t answer_task(task_t *t, void *arg)
{
    grpc_call_t *c = arg;
    grpc_conn_t *conn = c->conn;
    const grpc_method_t *method = NULL;
    uint64_t began_ms = task_now_ms(t);
    c->handler = t;
    trace_span_t *span = xmalloc(sizeof *span);
    const char *path = http2_field(c->stream, ":path");
    span_begin(t, span, SPAN_SERVER, path ? path : "", http2_field(c->stream, "traceparent"));
    err_t e = run_method(t, c, &method);
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", error_text(e));
    c->handler = NULL;
    span_end(t, span, e != OK, error_name(e));
    free(span);
    /* It is gone when this fails: nobody is left to be told. */
    if (send_status(c, e, text))
        http2_reset(c->stream);
    if (conn->server->ended)
        conn->server->ended(conn->server->arg, method ? method->path : "", grpc_status_of(e),
                            task_now_ms(t) - began_ms);
    grpc_call_free(c);
    conn->n_handlers--;
    return OK;
}

void grpc_take_call(grpc_conn_t *c, http2_stream_t *s)
{
    if (!c->server || c->n_handlers >= 2 * GRPC_CALLS_MAX) { /* those that were given up still tidy up */
        http2_reset(s);
        http2_release(s);
        return;
    }
    grpc_call_t *call = grpc_call_new(c, s);
    http2_set_user(s, call);
    c->n_handlers++;
    if (group_spawn(&c->tasks, "grpc call", answer_task, call, NULL)) {
        c->n_handlers--;
        http2_reset(s);
        grpc_call_free(call);
    }
}

/* ── connections ─────────────────────────────────────────────────────────────────────────────── */

typedef struct arrival {
    grpc_server_t *server;
    stream_t *raw;
    net_addr_t from;
} arrival_t;

static err_t serve(task_t *t, grpc_server_t *s, grpc_conn_t *c, stream_t *raw)
{
    stream_t *stream;
    deadline_t d = deadline_push(t, GRPC_HELLO_MS);
    err_t e = grpc_conn_secure(t, c, s->config.tls, false, raw, &stream);
    deadline_pop(t, &d);
    if (e) {
        log_debug("gRPC connection refused", LOG_STR("remote", c->remote), LOG_STR("error", error_text(e)));
        return e;
    }
    TRY(grpc_conn_start(t, c, stream));
    return grpc_conn_read(t, c);
}

static err_t conn_task(task_t *t, void *arg)
{
    arrival_t a = *(arrival_t *)arg;
    free(arg);
    grpc_conn_t *c = xcalloc(1, sizeof *c);
    grpc_conn_init(c, task_sched(t));
    c->server = &a.server->config;
    net_addr_print(&a.from, c->remote);
    err_t e = serve(t, a.server, c, a.raw);
    grpc_conn_deinit(t, c);
    free(c);
    a.server->n_connections--;
    return e == ERR_CANCELED ? e : OK; /* the others go on */
}

static err_t accept_task(task_t *t, void *arg)
{
    grpc_server_t *s = arg;
    for (;;) {
        arrival_t a = {.server = s};
        err_t e = listener_accept(t, s->listener, &a.raw, &a.from);
        if (e == ERR_CANCELED || e == ERR_CLOSED)
            return e == ERR_CLOSED ? OK : e;
        if (e) { /* too many files, most often: later */
            TRY(task_sleep(t, 100));
            continue;
        }
        arrival_t *kept = xmalloc(sizeof *kept);
        *kept = a;
        if (s->n_connections >= s->config.max_connections ||
            group_spawn(&s->tasks, "grpc", conn_task, kept, NULL)) {
            stream_close(a.raw);
            free(kept);
        } else {
            s->n_connections++;
        }
    }
}

err_t grpc_server_start(task_t *t, const net_addr_t *at, const grpc_server_config_t *c, grpc_server_t **ret)
{
    listener_t *l;
    TRY(net_listen(task_driver(t), at, &l));
    grpc_server_t *s = xcalloc(1, sizeof *s);
    s->config = *c;
    s->listener = l;
    s->at = l->at;
    group_init(&s->tasks, task_sched(t));
    err_t e = group_spawn(&s->tasks, "grpc accept", accept_task, s, NULL);
    if (e) {
        grpc_server_stop(t, s);
        return e;
    }
    *ret = s;
    return OK;
}

net_addr_t grpc_server_address(const grpc_server_t *s)
{
    return s->at;
}

void grpc_server_stop(task_t *t, grpc_server_t *s)
{
    if (!s)
        return;
    group_stop(t, &s->tasks);
    group_deinit(&s->tasks);
    listener_close(s->listener);
    free(s);
}
