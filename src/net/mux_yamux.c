/* mux_yamux: yamux as the multiplexer of a connection; conn_pump.c moves its bytes. */
#include "net/host_internal.h"

static yamux_stream_t *of(mux_stream_t *s)
{
    return (yamux_stream_t *)s;
}

static err_t open_stream(conn_t *c, conn_stream_t *user, mux_stream_t **ret_stream)
{
    yamux_stream_t *s;
    TRY(yamux_open(&c->yamux, user, &s));
    *ret_stream = (mux_stream_t *)s;
    return OK;
}

static void accept_stream(mux_stream_t *s, conn_stream_t *user)
{
    yamux_accept(of(s), user);
}

static err_t read_stream(conn_t *c, mux_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    return yamux_read(of(s), out, cap, sched_now_ms(c->host->sched), ret_n);
}

static err_t write_stream(mux_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n)
{
    return yamux_write(of(s), pieces, n, ret_n);
}

static err_t close_write(mux_stream_t *s)
{
    return yamux_close_write(of(s));
}

static void reset_stream(mux_stream_t *s)
{
    yamux_reset(of(s));
}

static void release_stream(conn_t *c, mux_stream_t *s)
{
    yamux_release(of(s), sched_now_ms(c->host->sched));
}

static err_t set_limit(mux_stream_t *s, limit_t *limit)
{
    return yamux_stream_set_limit(of(s), limit);
}

static void wake(conn_t *c)
{
    if (yamux_has_output(&c->yamux))
        conn_pump_soon(c);
}

static bool may_open(const conn_t *c)
{
    return c->yamux.state == YAMUX_OPEN;
}

static uint32_t rtt_ms(const conn_t *c)
{
    return yamux_rtt_ms(&c->yamux);
}

static void end(conn_t *c, err_t reason)
{
    yamux_go_away(&c->yamux, reason == ERR_PROTOCOL ? YAMUX_PROTOCOL_ERROR : YAMUX_NORMAL);
    if (channel_is_open(&c->channel))
        conn_flush(c);
    conn_say_end(c, reason);
    conn_pump_stop(c);
    yamux_deinit(&c->yamux, reason == ERR_CLOSED ? ERR_CLOSED : ERR_RESET);
    channel_deinit(&c->channel);
    stream_close(c->raw);
    c->raw = NULL;
}

const mux_ops_t mux_yamux = {
    .protocol = YAMUX_PROTOCOL,
    .open = open_stream,
    .accept = accept_stream,
    .read = read_stream,
    .write = write_stream,
    .close_write = close_write,
    .reset = reset_stream,
    .release = release_stream,
    .wake = wake,
    .set_limit = set_limit,
    .may_open = may_open,
    .rtt_ms = rtt_ms,
    .end = end,
};
