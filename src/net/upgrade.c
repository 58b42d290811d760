/* upgrade: multistream-select of what secures the connection, its handshake with the muxer agreed on inside
 * it, else by multistream-select behind it. One task per connection, gone when the connection stands. */
#include "base/log.h"
#include "net/host_internal.h"
#include <stdlib.h>

static const char *const muxers[] = {YAMUX_PROTOCOL};

/* Listener: accepts one of the host's protocols, refuses others. */
static err_t accept_security(task_t *t, stream_t *s, bytes_t head, const char *const *ours, size_t n_ours,
                             const char **ret)
{
    multistream_t m;
    size_t used_head;
    multistream_init_listener(&m);
    TRY(multistream_feed(&m, head, &used_head)); /* too little for a proposal */
    while (m.state != MULTISTREAM_AGREED) {
        uint8_t in[256];
        size_t want = multistream_wants(&m), n = 0, used;
        bytes_t out = multistream_output(&m);
        if (out.len) { /* the header: the peer may wait for it */
            TRY(stream_write(t, s, out));
            multistream_output_sent(&m, out.len);
        }
        TRY(stream_read(t, s, in, want < sizeof in ? want : sizeof in, &n));
        if (!n)
            return fail(ERR_RESET, "the peer left while a protocol was being agreed on");
        TRY(multistream_feed(&m, bytes_of(in, n), &used));
        if (m.state != MULTISTREAM_PROPOSED)
            continue;
        *ret = NULL;
        for (size_t i = 0; i < n_ours; i++)
            if (bytes_equal(multistream_proposal(&m), bytes_str(ours[i])))
                *ret = ours[i];
        if (*ret)
            multistream_accept(&m);
        else
            multistream_refuse(&m);
    }
    return stream_write(t, s, multistream_output(&m));
}

static err_t agree_on_security(task_t *t, host_t *h, stream_t *raw, bool is_dialer, bytes_t head,
                               const char **ret)
{
    const char *ours[SECURITY_COUNT];
    size_t n = host_securities(h, ours);
    if (!is_dialer)
        return accept_security(t, raw, head, ours, n, ret);
    multistream_t m;
    multistream_init_dialer(&m, ours, n);
    TRY(negotiate(t, raw, &m));
    *ret = ours[multistream_agreed(&m)];
    return OK;
}

/* One whole frame into `frame`, header included. */
static err_t read_frame(task_t *t, stream_t *raw, const channel_t *c, buf_t *frame)
{
    size_t header = channel_header_bytes(c), max = channel_frame_max(c);
    buf_clear(frame);
    TRY(buf_reserve(frame, header));
    TRY(stream_read_full(t, raw, frame->data, header));
    frame->len = header;
    size_t len = channel_frame_size(c, frame->data);
    if (len < header)
        return fail(ERR_PROTOCOL, "%s: what the peer sends is something else", channel_protocol(c));
    if (len > max)
        return fail(ERR_LIMIT, "%s: a message of %zu bytes is over the limit of %zu", channel_protocol(c),
                    len, max);
    TRY(buf_reserve(frame, len - header));
    TRY(stream_read_full(t, raw, frame->data + header, len - header));
    frame->len = len;
    return OK;
}

static err_t send_output(task_t *t, stream_t *raw, channel_t *c)
{
    bytes_t out = channel_output(c);
    if (!out.len)
        return OK;
    TRY(stream_write(t, raw, out));
    channel_output_sent(c, out.len);
    return OK;
}

/* A handshake that fails may have something to say about it: without waiting. */
static err_t say_why(stream_t *raw, const channel_t *c, err_t e)
{
    error_slot_t why = *error_slot();
    bytes_t out = channel_output(c);
    size_t n;
    if (out.len && stream_try_write(raw, &out, 1, &n))
        log_debug("the peer is not told why the handshake failed");
    *error_slot() = why;
    return e;
}

static err_t shake_hands(task_t *t, stream_t *raw, channel_t *c)
{
    AUTO(buf_t) frame;
    buf_init(&frame, CHANNEL_FRAME_MAX);
    for (;;) {
        TRY(send_output(t, raw, c));
        if (channel_is_open(c))
            return OK;
        TRY(read_frame(t, raw, c, &frame));
        size_t used;
        bytes_t plain;
        err_t e = channel_feed(c, frame.data, frame.len, &used, &plain);
        if (e)
            return say_why(raw, c, e);
    }
}

static err_t write_secured(task_t *t, stream_t *raw, channel_t *c, multistream_t *m)
{
    uint8_t sealed[sizeof m->out + CHANNEL_OVERHEAD_MAX];
    bytes_t out = multistream_output(m);
    size_t len;
    if (!out.len)
        return OK;
    TRY(channel_seal(c, &out, 1, sealed, &len));
    multistream_output_sent(m, out.len);
    return stream_write(t, raw, bytes_of(sealed, len));
}

/* The muxer by multistream over the secured channel, for peers without early negotiation. What follows the
 * agreement in its last frame belongs to yamux: it is appended to `early`. */
static err_t agree_on_muxer(task_t *t, stream_t *raw, channel_t *c, bool is_dialer, buf_t *early)
{
    multistream_t m;
    if (is_dialer)
        multistream_init_dialer(&m, muxers, ARRAY_LEN(muxers));
    else
        multistream_init_listener(&m);
    AUTO(buf_t) frame;
    buf_init(&frame, CHANNEL_FRAME_MAX);
    while (m.state == MULTISTREAM_BUSY) {
        TRY(write_secured(t, raw, c, &m));
        TRY(read_frame(t, raw, c, &frame));
        size_t used;
        bytes_t plain;
        TRY(channel_feed(c, frame.data, frame.len, &used, &plain));
        while (plain.len && m.state == MULTISTREAM_BUSY) {
            TRY(multistream_feed(&m, plain, &used));
            plain = bytes_slice(plain, used, SIZE_MAX);
            if (m.state == MULTISTREAM_PROPOSED) {
                if (bytes_equal(multistream_proposal(&m), BYTES_LIT(YAMUX_PROTOCOL)))
                    multistream_accept(&m);
                else
                    multistream_refuse(&m);
            }
            if (!used)
                TRY(write_secured(t, raw, c, &m)); /* the engine waits for room in its output */
        }
        TRY(buf_append(early, plain));
    }
    if (m.state != MULTISTREAM_AGREED)
        return fail(ERR_UNSUPPORTED, "the peer does not speak " YAMUX_PROTOCOL);
    return write_secured(t, raw, c, &m);
}

static err_t secure(task_t *t, host_t *h, stream_t *raw, const upgrade_how_t *how, channel_t *c, buf_t *early)
{
    bool is_dialer = !how->is_inbound;
    const char *security = NULL;
    TRY(agree_on_security(t, h, raw, is_dialer, h->swarm_key ? BYTES_NONE : how->head, &security));
    TRY(security_start(h, security, how, c));
    TRY(shake_hands(t, raw, c));
    if (!channel_muxer(c))
        TRY(agree_on_muxer(t, raw, c, is_dialer, early));
    return OK;
}

err_t upgrade(task_t *t, host_t *h, stream_t *raw, const upgrade_how_t *how, conn_t **ret_conn)
{
    channel_t channel = {.kind = CHANNEL_NONE};
    if (h->swarm_key)
        raw = private_stream(h, raw, how->head);
    AUTO(buf_t) early;
    buf_init(&early, CHANNEL_FRAME_MAX);
    deadline_t d = deadline_push(t, h->config.limits.upgrade_timeout_ms);
    err_t e = secure(t, h, raw, how, &channel, &early);
    deadline_pop(t, &d);
    if (h->swarm_key && !channel.kind &&
        (e == ERR_PROTOCOL || e == ERR_RESET || e == ERR_EOF || e == ERR_LIMIT || e == ERR_INVALID))
        e = fail_also(e, "the peer's private network is another one, or it is in none (swarm.key)");
    if (!e && peer_id_equal(channel_peer(&channel), &h->id))
        e = fail(ERR_INVALID, "the address leads to this node itself");
    if (e) {
        channel_deinit(&channel);
        stream_reset(raw);
        stream_close(raw);
        return e;
    }
    return conn_new(h, raw, &channel, how, buf_bytes(&early), ret_conn);
}
