#include "net/host_internal.h"

static err_t write_output(task_t *t, stream_t *s, multistream_t *m)
{
    bytes_t out = multistream_output(m);
    if (!out.len)
        return OK;
    TRY(stream_write(t, s, out));
    multistream_output_sent(m, out.len);
    return OK;
}

/* Feeds what the stream has, never a byte of what follows the agreement. Writes before it waits. */
static err_t read_input(task_t *t, stream_t *s, multistream_t *m)
{
    uint8_t in[256];
    size_t want = multistream_wants(m), n = 0, used;
    want = want < sizeof in ? want : sizeof in;
    err_t e = stream_try_read(s, in, want, &n);
    if (e == ERR_AGAIN) {
        TRY(write_output(t, s, m));
        e = stream_read(t, s, in, want, &n);
    }
    TRY(e);
    if (!n)
        return fail(ERR_RESET, "the peer ended the stream while a protocol was being agreed on");
    return multistream_feed(m, bytes_of(in, n), &used);
}

err_t negotiate(task_t *t, stream_t *s, multistream_t *m)
{
    while (m->state == MULTISTREAM_BUSY)
        TRY(read_input(t, s, m));
    if (m->state != MULTISTREAM_AGREED)
        return fail(ERR_UNSUPPORTED, "the peer does not speak %s%s", m->protocols[0],
                    m->n_protocols > 1 ? " or the others asked for" : "");
    return OK;
}

err_t negotiate_inbound(task_t *t, host_t *h, stream_t *s, handler_t **ret_handler)
{
    multistream_t m;
    multistream_init_listener(&m);
    for (;;) {
        if (multistream_output(&m).len > sizeof m.out / 2)
            TRY(write_output(t, s, &m));
        TRY(read_input(t, s, &m));
        if (m.state != MULTISTREAM_PROPOSED)
            continue;
        handler_t *handler = host_handler(h, multistream_proposal(&m));
        if (!handler) {
            multistream_refuse(&m);
            continue;
        }
        multistream_accept(&m);
        TRY(write_output(t, s, &m));
        *ret_handler = handler;
        return OK;
    }
}
