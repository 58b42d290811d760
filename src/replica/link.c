#include "replica/link.h"

void link_init(link_t *l, const peer_id_t *peer)
{
    *l = (link_t){.peer = *peer};
    gate_init(&l->gate, 1);
}

static void drop_stream(link_t *l)
{
    if (l->stream)
        stream_reset(l->stream);
    stream_close(l->stream);
    l->stream = NULL;
}

void link_deinit(link_t *l)
{
    assert(!l->refs);
    drop_stream(l);
}

static err_t exchange(task_t *t, link_t *l, bytes_t request, buf_t *answer)
{
    TRY(stream_write_message(t, l->stream, request));
    buf_clear(answer);
    return stream_read_message(t, l->stream, answer->max, answer);
}

static err_t ask_in_gate(task_t *t, host_t *h, link_t *l, const char *protocol, bytes_t request,
                         buf_t *answer)
{
    const char *chosen;
    if (l->stream) {
        err_t e = exchange(t, l, request, answer);
        if (!e)
            return OK;
        drop_stream(l);
        if (e == ERR_CANCELED || e == ERR_TIMEOUT)
            return e;
    }
    TRY(host_open_stream(t, h, &l->peer, &protocol, 1, &l->stream, &chosen));
    err_t e = exchange(t, l, request, answer);
    if (e)
        drop_stream(l);
    return e;
}

err_t link_ask(task_t *t, host_t *h, link_t *l, const char *protocol, bytes_t request, uint32_t timeout_ms,
               buf_t *answer)
{
    l->refs++;
    deadline_t d = deadline_push(t, timeout_ms);
    err_t e = gate_enter(t, &l->gate);
    if (!e) {
        e = ask_in_gate(t, h, l, protocol, request, answer);
        gate_leave(&l->gate);
    }
    deadline_pop(t, &d);
    l->refs--;
    return e;
}

static err_t serve_one(task_t *t, stream_t *s, size_t max_bytes, link_answer_fn fn, void *arg,
                       bool *ret_is_over)
{
    AUTO(buf_t) in, out;
    buf_init(&in, max_bytes);
    buf_init(&out, max_bytes);
    err_t e = stream_read_message(t, s, max_bytes, &in);
    if (e == ERR_EOF && !in.len) {
        *ret_is_over = true;
        return OK;
    }
    TRY(e);
    TRY(fn(t, arg, buf_bytes(&in), &out));
    return stream_write_message(t, s, buf_bytes(&out));
}

err_t link_serve(task_t *t, stream_t *s, size_t max_bytes, link_answer_fn fn, void *arg)
{
    for (bool is_over = false; !is_over;)
        TRY(serve_one(t, s, max_bytes, fn, arg, &is_over));
    return OK;
}
