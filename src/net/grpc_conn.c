#include "net/grpc_internal.h"
#include "net/tls_stream.h"
#include "web/dial_name.h"
#include <stdlib.h>

enum { READ_BYTES = 32 << 10, WRITE_BYTES = 64 << 10 };

void grpc_conn_init(grpc_conn_t *c, sched_t *s)
{
    group_init(&c->tasks, s);
    list_init(&c->calls);
    event_init(&c->output);
    event_init(&c->changed);
    buf_init(&c->out, 2 * WRITE_BYTES);
}

err_t grpc_conn_secure(task_t *t, grpc_conn_t *c, tls_mutual_t *tls, bool is_client, stream_t *raw,
                       stream_t **ret)
{
    tls_client_t *engine;
    stream_t *secured;
    if (!tls) {
        *ret = raw;
        return OK;
    }
    err_t e = is_client ? tls_mutual_connect(tls, &engine) : tls_mutual_accept(tls, &engine);
    if (e) {
        stream_close(raw);
        return e;
    }
    TRY(tls_stream_start(t, engine, raw, BYTES_NONE, &secured));
    e = tls_mutual_peer(engine, c->peer);
    if (e) {
        stream_close(secured);
        return e;
    }
    c->has_peer = true;
    *ret = secured;
    return OK;
}

void grpc_conn_end(grpc_conn_t *c)
{
    if (!c->h)
        return;
    http2_free(c->h);
    c->h = NULL;
    stream_reset(c->stream);
    LIST_EACH (call, &c->calls, grpc_call_t, node) {
        event_fire(&call->changed);
        if (call->handler)
            task_cancel(call->handler);
    }
    event_fire(&c->output);
    event_fire(&c->changed);
}

static void take_news(grpc_conn_t *c)
{
    http2_event_t ev;
    while (c->h && http2_next_event(c->h, &ev)) {
        grpc_call_t *call = ev.user;
        if (ev.news & HTTP2_NEWS_OPENED)
            grpc_take_call(c, ev.stream);
        else if (call)
            event_fire(&call->changed);
        if (call && call->handler && (ev.news & HTTP2_NEWS_CLOSED) && http2_has_failed(ev.stream))
            task_cancel(call->handler);
        if (ev.news & HTTP2_NEWS_CLOSED)
            event_fire(&c->changed);
    }
}

/* Gathers what HTTP/2 has, so that it goes out in few writes. */
static err_t gather_output(grpc_conn_t *c)
{
    bytes_t piece = {0};
    do {
        TRY(http2_output(c->h, &piece));
        TRY(buf_append(&c->out, piece));
    } while (piece.len && c->out.len < WRITE_BYTES);
    return OK;
}

static err_t write_task(task_t *t, void *arg)
{
    grpc_conn_t *c = arg;
    err_t e = OK;
    while (!e && c->h) {
        buf_clear(&c->out);
        e = gather_output(c);
        take_news(c); /* there is room again */
        if (!e && c->out.len)
            e = stream_write(t, c->stream, buf_bytes(&c->out));
        else if (!e && http2_is_over(c->h))
            break;
        else if (!e)
            e = event_wait(t, &c->output);
    }
    grpc_conn_end(c);
    return OK; /* the calls know */
}

static err_t read_some(task_t *t, grpc_conn_t *c, uint8_t *in)
{
    size_t n = 0;
    deadline_t d = deadline_push(t, c->is_used || !c->server ? GRPC_IDLE_MS : GRPC_HELLO_MS);
    err_t e = stream_read(t, c->stream, in, READ_BYTES, &n);
    deadline_pop(t, &d);
    if (e == ERR_TIMEOUT && c->h && (!c->server || (c->is_used && http2_stream_count(c->h))))
        return OK; /* a client's connection rests as long as it likes; one with calls is in use */
    TRY(e);
    if (!n)
        return ERR_EOF;
    if (!c->h)
        return ERR_CLOSED;
    c->is_used = true;
    e = http2_feed(c->h, bytes_of(in, n));
    take_news(c);
    event_fire(&c->output);
    return e;
}

err_t grpc_conn_read(task_t *t, void *conn)
{
    grpc_conn_t *c = conn;
    uint8_t *in = xmalloc(READ_BYTES);
    err_t e = OK;
    while (!e && c->h)
        e = read_some(t, c, in);
    free(in);
    if (e == ERR_PROTOCOL && c->h) { /* what it did wrong */
        bytes_t piece;
        while (!http2_output(c->h, &piece) && piece.len) {
            size_t n;
            if (stream_try_write(c->stream, &piece, 1, &n) || n < piece.len)
                break;
        }
    }
    grpc_conn_end(c);
    return OK;
}

err_t grpc_conn_start(task_t *t, grpc_conn_t *c, stream_t *stream)
{
    http2_config_t config;
    http2_config_default(!c->server, &config);
    config.max_streams = c->server ? GRPC_CALLS_MAX : 0;
    c->stream = stream;
    TRY(http2_new(&config, &c->h));
    return group_spawn(&c->tasks, "grpc write", write_task, c, NULL);
}

void grpc_conn_deinit(task_t *t, grpc_conn_t *c)
{
    grpc_conn_end(c);
    group_stop(t, &c->tasks);
    group_deinit(&c->tasks);
    assert(list_is_empty(&c->calls));
    stream_close(c->stream);
    buf_deinit(&c->out);
}

/* ── a client's ──────────────────────────────────────────────────────────────────────────────── */

static err_t connect_to(task_t *t, const grpc_target_t *to, grpc_conn_t *c)
{
    char host[HOST_NAME_MAX_BYTES];
    uint16_t port;
    stream_t *raw, *stream;
    TRY(host_port_parse(to->address, host, &port));
    err_t e = net_dial_name(t, host, port, &raw);
    if (e)
        return fail_also(e, "cannot reach %s", to->address);
    e = grpc_conn_secure(t, c, to->tls, true, raw, &stream);
    if (e)
        return fail_also(e, "%s", to->address);
    if (to->fingerprint && (!c->has_peer || memcmp(c->peer, to->fingerprint, sizeof c->peer) != 0)) {
        stream_close(stream);
        return fail(ERR_CRYPTO, "%s shows another certificate than the one that is known of it", to->address);
    }
    TRY(grpc_conn_start(t, c, stream));
    return group_spawn(&c->tasks, "grpc read", grpc_conn_read, c, NULL);
}

err_t grpc_connect(task_t *t, const grpc_target_t *to, grpc_conn_t **ret)
{
    grpc_conn_t *c = xcalloc(1, sizeof *c);
    grpc_conn_init(c, task_sched(t));
    err_t e = connect_to(t, to, c);
    if (e) {
        error_slot_t why = *error_slot();
        grpc_conn_close(t, c);
        *error_slot() = why;
        return e;
    }
    *ret = c;
    return OK;
}

bool grpc_conn_is_open(const grpc_conn_t *c)
{
    return c->h && !http2_is_over(c->h);
}

void grpc_conn_close(task_t *t, grpc_conn_t *c)
{
    if (!c)
        return;
    grpc_conn_deinit(t, c);
    free(c);
}
