#include "base/log.h"
#include "net/grpc_internal.h"
#include "net/span.h"
#include <stdlib.h>

enum { REQUEST_FIELDS_MAX = 16 };

grpc_call_t *grpc_call_new(grpc_conn_t *c, http2_stream_t *s)
{
    grpc_call_t *call = xcalloc(1, sizeof *call);
    call->conn = c;
    call->stream = s;
    event_init(&call->changed);
    list_push_back(&c->calls, &call->node);
    return call;
}

void grpc_call_free(grpc_call_t *c)
{
    list_remove(&c->node);
    http2_release(c->stream);
    event_fire(&c->conn->output);
    event_fire(&c->conn->changed);
    free(c);
}

void grpc_call_close(grpc_call_t *c)
{
    if (c)
        grpc_call_free(c);
}

static size_t request_fields(task_t *t, const char *path, char timeout[GRPC_TIMEOUT_TEXT_MAX],
                             http_field_t out[REQUEST_FIELDS_MAX])
{
    static const http_field_t fixed[] = {{":method", "POST"},
                                         {":scheme", "https"},
                                         {":authority", "storage"},
                                         {"te", "trailers"},
                                         {"content-type", "application/grpc+proto"},
                                         {"user-agent", "distribute"}};
    memcpy(out, fixed, sizeof fixed);
    size_t n = ARRAY_LEN(fixed);
    out[n++] = out[3];
    out[3] = (http_field_t){":path", path}; /* pseudo-fields come first */
    uint64_t until = task_deadline_ms(t), now = task_now_ms(t);
    if (until != TIME_NEVER)
        out[n++] = (http_field_t){"grpc-timeout", grpc_timeout_print(until > now ? until - now : 0, timeout)};
    return n;
}

/* The trace that this task works for, where there is one. */
static bool call_trace(task_t *t, char out[TRACEPARENT_CHARS + 1])
{
    trace_span_t *s;
    const char *trace = log_trace();
    if (!trace || strlen(trace) != 32)
        return false;
    s = xmalloc(sizeof *s);
    span_begin(t, s, SPAN_CLIENT, "", NULL);
    span_traceparent(s, out);
    free(s);
    return true;
}

err_t grpc_call_open(task_t *t, grpc_conn_t *c, const char *path, const http_field_t *fields, size_t n_fields,
                     grpc_call_t **ret)
{
    http_field_t all[REQUEST_FIELDS_MAX];
    char timeout[GRPC_TIMEOUT_TEXT_MAX], parent[TRACEPARENT_CHARS + 1];
    http2_stream_t *s;
    err_t e = ERR_AGAIN;
    size_t n = request_fields(t, path, timeout, all);
    if (call_trace(t, parent))
        all[n++] = (http_field_t){"traceparent", parent};
    assert(n + n_fields <= REQUEST_FIELDS_MAX);
    for (size_t i = 0; i < n_fields; i++)
        all[n++] = fields[i];
    while (e == ERR_AGAIN) {
        if (!c->h)
            return fail(ERR_CLOSED, "the connection has ended");
        e = http2_request(c->h, all, n, NULL, &s);
        if (e == ERR_AGAIN)
            TRY(event_wait(t, &c->changed));
    }
    TRY(e);
    *ret = grpc_call_new(c, s);
    http2_set_user(s, *ret);
    event_fire(&c->output);
    return OK;
}

err_t grpc_call_wait(task_t *t, grpc_call_t *c)
{
    if (!c->conn->h)
        return fail(ERR_RESET, "the connection has ended");
    return event_wait(t, &c->changed);
}

/* ── sending ─────────────────────────────────────────────────────────────────────────────────── */

static err_t begin_answer(grpc_call_t *c)
{
    static const http_field_t head[] = {{":status", "200"}, {"content-type", "application/grpc+proto"}};
    if (!c->conn->server || c->has_head_out)
        return OK;
    c->has_head_out = true;
    return http2_respond(c->stream, head, ARRAY_LEN(head), true);
}

static err_t send_piece(task_t *t, grpc_call_t *c, bytes_t data)
{
    while (data.len) {
        size_t room = http2_room(c->stream);
        if (http2_has_failed(c->stream))
            return fail(ERR_RESET, "the other side gave the call up");
        if (room) {
            bytes_t piece = bytes_slice(data, 0, room);
            TRY(http2_write(c->stream, piece));
            data = bytes_slice(data, piece.len, data.len);
            event_fire(&c->conn->output);
        } else {
            TRY(grpc_call_wait(t, c));
        }
    }
    return OK;
}

err_t grpc_send(task_t *t, grpc_call_t *c, bytes_t message)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];
    TRY(begin_answer(c));
    grpc_prefix_encode(message.len, prefix);
    TRY(send_piece(t, c, bytes_of(prefix, sizeof prefix)));
    return send_piece(t, c, message);
}

err_t grpc_send_end(grpc_call_t *c)
{
    TRY(http2_end(c->stream, NULL, 0));
    event_fire(&c->conn->output);
    return OK;
}

/* ── receiving ───────────────────────────────────────────────────────────────────────────────── */

/* What a client's call came to. */
static err_t read_status(grpc_call_t *c)
{
    const char *http = http2_field(c->stream, ":status");
    const char *status = http2_trailer(c->stream, "grpc-status"),
               *text = http2_trailer(c->stream, "grpc-message");
    char message[GRPC_MESSAGE_TEXT_MAX] = "";
    if (!status) { /* an answer of trailers alone */
        status = http2_field(c->stream, "grpc-status");
        text = http2_field(c->stream, "grpc-message");
    }
    grpc_status_t s = grpc_status_parse(status);
    if (!status && http && strcmp(http, "200"))
        s = grpc_status_of_http((int)strtol(http, NULL, 10));
    if (s == GRPC_OK)
        return ERR_EOF;
    if (text)
        grpc_message_decode(text, message);
    return fail(grpc_error_of(s), "%s", *message ? message : error_text(grpc_error_of(s)));
}

static err_t at_end(grpc_call_t *c, bool is_in_message)
{
    if (is_in_message && !http2_trailer(c->stream, "grpc-status"))
        return fail(ERR_PROTOCOL, "a call ended in the midst of a message");
    return c->conn->server ? ERR_EOF : read_status(c);
}

/* Some bytes, waiting for them; *ret_n 0: the end. */
static err_t read_some(task_t *t, grpc_call_t *c, uint8_t *out, size_t cap, size_t *ret_n)
{
    err_t e;
    while ((e = http2_read(c->stream, out, cap, ret_n)) == ERR_AGAIN)
        TRY(grpc_call_wait(t, c));
    if (e == ERR_RESET && !c->conn->server && http2_trailer(c->stream, "grpc-status")) {
        *ret_n = 0; /* answered before all of the request was there */
        return OK;
    }
    event_fire(&c->conn->output); /* windows */
    return e;
}

err_t grpc_recv(task_t *t, grpc_call_t *c, buf_t *out)
{
    size_t n, max = out->max < GRPC_MESSAGE_MAX ? out->max : GRPC_MESSAGE_MAX;
    buf_clear(out);
    while (c->prefix_len < GRPC_PREFIX_BYTES) {
        TRY(read_some(t, c, c->prefix + c->prefix_len, GRPC_PREFIX_BYTES - c->prefix_len, &n));
        if (!n)
            return at_end(c, c->prefix_len > 0);
        c->prefix_len += n;
    }
    TRY(grpc_prefix_decode(c->prefix, max, &c->left));
    while (c->left) {
        enum { STEP = 64 << 10 }; /* memory follows what has come, not what was claimed */
        size_t want = c->left < STEP ? c->left : STEP;
        TRY(buf_reserve(out, want));
        TRY(read_some(t, c, out->data + out->len, want, &n));
        if (!n)
            return at_end(c, true);
        out->len += n;
        c->left -= n;
    }
    c->prefix_len = 0;
    return OK;
}

err_t grpc_unary(task_t *t, grpc_conn_t *c, const char *path, bytes_t request, buf_t *out)
{
    AUTO_PTR(grpc_call_t) call = NULL;
    AUTO(buf_t) more = {0};
    buf_init(&more, 1);
    TRY(grpc_call_open(t, c, path, NULL, 0, &call));
    err_t e = grpc_send(t, call, request);
    if (!e)
        e = grpc_send_end(call);
    if (e && e != ERR_RESET)
        return e;
    TRY(grpc_recv(t, call, out));
    e = grpc_recv(t, call, &more);
    return e == ERR_EOF ? OK : e ? e : fail(ERR_PROTOCOL, "a second answer to one request");
}

const char *grpc_call_field(const grpc_call_t *c, const char *name)
{
    return http2_field(c->stream, name);
}

const uint8_t *grpc_call_peer(const grpc_call_t *c)
{
    return c->conn->has_peer ? c->conn->peer : NULL;
}

const char *grpc_call_remote(const grpc_call_t *c)
{
    return c->conn->remote;
}
