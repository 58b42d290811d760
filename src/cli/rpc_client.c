/* rpc_client: the RPC over HTTP to a running node. The body goes out while the answer is read, since a node
 * may refuse or report before the upload has ended. */
#include "cli/cli.h"
#include "wire/http_client.h"
#include <stdlib.h>

enum { READ_BYTES = 256 << 10, BODY_BYTES = 256 << 10, OUTPUT_MAX = 1 << 20, CONNECT_TIMEOUT_MS = 10000 };

typedef struct http_call {
    stream_t *stream;
    http_client_t http;
    memory_exchange_sink_t *sink;
    bool is_done;
    bool is_body_broken; /* upload_error is of what is uploaded, not of the way to the node */
    err_t upload_error;
    error_slot_t upload_why; /* its text: that of another task */
} http_call_t;

static err_t flush_output(task_t *t, http_call_t *c)
{
    for (;;) {
        bytes_t out = http_client_output(&c->http);
        if (!out.len)
            return OK;
        TRY(stream_write(t, c->stream, out));
        http_client_output_sent(&c->http, out.len);
    }
}

static err_t send_body(task_t *t, http_call_t *c)
{
    uint8_t *piece = malloc(BODY_BYTES);
    if (!piece)
        return fail(ERR_NO_MEMORY, "no memory for the upload");
    err_t e = OK;
    for (size_t n = 1; !e && n;) {
        n = 0;
        e = c->sink->read_body(t, c->sink->arg, piece, BODY_BYTES, &n);
        c->is_body_broken = e && e != ERR_CANCELED;
        if (!e)
            e = n ? http_client_write_body(&c->http, bytes_of(piece, n)) : http_client_end_body(&c->http);
        if (!e)
            e = flush_output(t, c);
    }
    free(piece);
    return e;
}

static err_t upload_task(task_t *t, void *arg)
{
    http_call_t *c = arg;
    err_t e = flush_output(t, c);
    if (!e && c->sink->read_body)
        e = send_body(t, c);
    c->upload_error = e;
    c->upload_why = *error_slot();
    if (c->is_body_broken || (e && e != ERR_RESET && e != ERR_CLOSED))
        stream_reset(c->stream); /* the node must not take half a body for whole */
    return OK;
}

static err_t give_event(task_t *t, http_call_t *c, const http_event_t *ev)
{
    memory_exchange_sink_t *s = c->sink;
    switch (ev->kind) {
    case HTTP_EVENT_HEAD:
        if (s->begin)
            TRY(s->begin(t, s->arg, ev->status));
        for (size_t i = 0; s->header && i < ev->n_fields; i++)
            TRY(s->header(s->arg, ev->fields[i].name, ev->fields[i].value));
        return OK;
    case HTTP_EVENT_BODY:
        return s->write ? s->write(t, s->arg, ev->data) : OK;
    case HTTP_EVENT_TRAILER:
        for (size_t i = 0; s->trailer && i < ev->n_fields; i++)
            TRY(s->trailer(s->arg, ev->fields[i].name, ev->fields[i].value));
        return OK;
    case HTTP_EVENT_END:
        c->is_done = true;
    }
    return OK;
}

static err_t feed(task_t *t, http_call_t *c, bytes_t in)
{
    http_event_t ev;
    while (in.len && !c->is_done) {
        size_t used = 0;
        TRY(http_client_feed(&c->http, in, &used));
        in = bytes_slice(in, used, in.len);
        bool any = false;
        while (http_client_next_event(&c->http, &ev)) {
            TRY(give_event(t, c, &ev));
            any = true;
        }
        if (!used && !any)
            break;
    }
    return OK;
}

static err_t read_answer(task_t *t, http_call_t *c, uint8_t *piece)
{
    http_event_t ev;
    while (!c->is_done) {
        size_t n;
        TRY(stream_read(t, c->stream, piece, READ_BYTES, &n));
        if (n) {
            TRY(feed(t, c, bytes_of(piece, n)));
            continue;
        }
        TRY(http_client_feed_end(&c->http));
        while (http_client_next_event(&c->http, &ev))
            TRY(give_event(t, c, &ev));
        if (!c->is_done)
            return fail(ERR_EOF, "the node closed the connection before its answer was whole");
    }
    return OK;
}

static err_t exchange_bytes(task_t *t, http_call_t *c)
{
    uint8_t *piece = malloc(READ_BYTES);
    if (!piece)
        return fail(ERR_NO_MEMORY, "no memory for the answer");
    group_t g;
    group_init(&g, task_sched(t));
    err_t e = group_spawn(&g, "upload", upload_task, c, NULL);
    if (!e)
        e = read_answer(t, c, piece);
    group_stop(t, &g);
    group_deinit(&g);
    free(piece);
    bool is_local_failure =
        c->is_body_broken || (c->upload_error && c->upload_error != ERR_CANCELED &&
                              c->upload_error != ERR_RESET && c->upload_error != ERR_CLOSED);
    if (!e || !is_local_failure)
        return e;
    *error_slot() = c->upload_why;
    return c->upload_error;
}

err_t cli_call_http(task_t *t, void *arg, const char *target, const header_pair_t *headers, size_t n_headers,
                    memory_exchange_sink_t sink)
{
    const face_addr_t *to = arg;
    char host[NET_ADDR_TEXT_MAX] = "localhost";
    http_call_t c = {.sink = &sink};
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    err_t e = net_dial_face(t, to, &c.stream);
    deadline_pop(t, &d);
    if (!to->path[0])
        net_addr_print(&to->ip, host);
    if (e)
        return fail(ERR_OFFLINE, "no node answers at %s: is it running?", to->path[0] ? to->path : host);
    http_field_t fields[8];
    size_t n = 0;
    for (; n < n_headers && n < ARRAY_LEN(fields); n++)
        fields[n] = (http_field_t){headers[n].name, headers[n].value};
    http_client_init(&c.http, OUTPUT_MAX);
    e = http_client_request(&c.http,
                            &(http_request_t){.method = "POST",
                                              .target = target,
                                              .host = host,
                                              .fields = fields,
                                              .n_fields = n,
                                              .body = sink.read_body ? HTTP_BODY_CHUNKED : HTTP_BODY_LENGTH});
    if (!e && !sink.read_body)
        e = http_client_end_body(&c.http);
    if (!e)
        e = exchange_bytes(t, &c);
    http_client_deinit(&c.http);
    stream_close(c.stream);
    return e;
}
