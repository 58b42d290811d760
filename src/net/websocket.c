#include "net/websocket.h"
#include "net/stacked.h"
#include "wire/ws.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAD_PIECE = 512,
    EMPTY_MAX_BYTES = 64 << 10 /* of frames without content, in a row: they keep others waiting */
};

typedef struct websocket {
    stacked_t base;
    ws_t ws;
    size_t empty_bytes; /* of frames without content, in a row */
    buf_t early;        /* what came in one piece with the handshake */
} websocket_t;

/* Decodes what lies in `data`, in its place: content is moved to its beginning. */
static err_t decode(websocket_t *w, uint8_t *data, size_t len, size_t *ret_n)
{
    size_t n = 0, at = 0;
    for (size_t used = 1; used && at < len; at += used) {
        bytes_t plain;
        TRY(ws_feed(&w->ws, data + at, len - at, &used, &plain));
        if (plain.len && plain.data != data + n)
            memmove(data + n, plain.data, plain.len);
        n += plain.len;
    }
    *ret_n = n;
    return OK;
}

/* Answers to pings and close go out before what is written next. */
static err_t take_answers(websocket_t *w)
{
    bytes_t out = ws_output(&w->ws);
    if (!out.len)
        return OK;
    TRY(buf_append(&w->base.pending, out));
    ws_output_sent(&w->ws, out.len);
    return OK;
}

static err_t read_some(websocket_t *w, uint8_t *out, size_t cap, size_t *ret_n)
{
    if (!w->early.len)
        return stream_try_read(w->base.below, out, cap, ret_n);
    *ret_n = w->early.len < cap ? w->early.len : cap;
    memcpy(out, w->early.data, *ret_n);
    buf_consume(&w->early, *ret_n);
    if (!w->early.len)
        buf_deinit(&w->early);
    return OK;
}

static err_t read_plain(stacked_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    websocket_t *w = (websocket_t *)s;
    size_t n = 0, came = 1;
    while (!n && came && w->ws.state != WS_ENDED) {
        if (w->empty_bytes > EMPTY_MAX_BYTES)
            return fail(ERR_LIMIT, "websocket: %zu bytes of frames without content", w->empty_bytes);
        TRY(read_some(w, out, cap, &came));
        w->empty_bytes += came;
        TRY(decode(w, out, came, &n));
        TRY(take_answers(w));
    }
    w->empty_bytes = n ? 0 : w->empty_bytes;
    *ret_n = n;
    return OK;
}

static err_t encode(stacked_t *s, bytes_t plain, buf_t *out)
{
    return ws_seal(&((websocket_t *)s)->ws, plain, out);
}

static void say_end(stacked_t *s, buf_t *out)
{
    size_t len = out->len;
    if (ws_seal_end(&((websocket_t *)s)->ws, out))
        out->len = len; /* no room: the end of the stream says it, too */
}

static void free_websocket(stacked_t *s)
{
    websocket_t *w = (websocket_t *)s;
    ws_deinit(&w->ws);
    buf_deinit(&w->early);
    free(w);
}

static const stacked_ops_t ops = {
    .read = read_plain, .encode = encode, .say_end = say_end, .free = free_websocket};

/* ── the handshake ───────────────────────────────────────────────────────────────────────────── */
static err_t send_output(task_t *t, websocket_t *w)
{
    for (bytes_t out; (out = ws_output(&w->ws)).len; ws_output_sent(&w->ws, out.len))
        TRY(stream_write(t, w->base.below, out));
    return OK;
}

/* Takes bytes of the handshake; those behind it wait. */
static err_t take_head(websocket_t *w, uint8_t *in, size_t len)
{
    size_t used = 0;
    bytes_t plain;
    TRY(ws_feed(&w->ws, in, len, &used, &plain));
    return used < len ? buf_append(&w->early, bytes_of(in + used, len - used)) : OK;
}

static err_t shake_hands(task_t *t, websocket_t *w, bytes_t head)
{
    uint8_t in[HEAD_PIECE];
    size_t n = head.len;
    assert(n <= sizeof in);
    if (n)
        memcpy(in, head.data, n);
    for (;;) {
        err_t e = n ? take_head(w, in, n) : OK;
        if (e) {
            error_slot_t why = *error_slot();
            (void)!send_output(t, w); /* a refusal */
            *error_slot() = why;
            return e;
        }
        TRY(send_output(t, w));
        if (w->ws.state == WS_OPEN)
            return OK;
        TRY(stream_read(t, w->base.below, in, sizeof in, &n));
        if (!n)
            return fail(ERR_RESET, "the peer left in the midst of a WebSocket handshake");
    }
}

static websocket_t *make(host_t *h, stream_t *raw)
{
    websocket_t *w = xcalloc(1, sizeof *w);
    stacked_init(&w->base, h->sched, &ops, raw);
    stacked_charge(&w->base, host_limit(h));
    buf_init(&w->early, HEAD_PIECE);
    ws_init_server(&w->ws);
    return w;
}

static err_t finish(task_t *t, host_t *h, websocket_t *w, bytes_t head, err_t e, stream_t **ret)
{
    deadline_t d = deadline_push(t, h->config.limits.upgrade_timeout_ms);
    if (!e)
        e = shake_hands(t, w, head);
    deadline_pop(t, &d);
    if (e)
        stream_close(&w->base.base);
    else
        *ret = &w->base.base;
    return e;
}

err_t websocket_accept(task_t *t, host_t *h, transport_t transport, stream_t *raw, bytes_t head,
                       stream_t **ret)
{
    if (transport == TRANSPORT_WSS) {
        deadline_t d = deadline_push(t, h->config.limits.upgrade_timeout_ms);
        err_t e = web_tls_accept(t, h->web_tls, raw, head, &raw);
        deadline_pop(t, &d);
        TRY(e);
        stacked_charge((stacked_t *)raw, host_limit(h));
        head = BYTES_NONE;
    }
    return finish(t, h, make(h, raw), head, OK, ret);
}

err_t websocket_dial(task_t *t, host_t *h, const endpoint_t *to, stream_t *raw, stream_t **ret)
{
    char at[NET_ADDR_TEXT_MAX], host[sizeof to->name + 8];
    net_addr_print(&to->at, at);
    if (to->name[0])
        snprintf(host, sizeof host, "%s:%u", to->name, to->at.port);
    else
        snprintf(host, sizeof host, "%s", at);
    if (to->transport == TRANSPORT_WSS) {
        char name[sizeof to->name];
        snprintf(name, sizeof name, "%s", to->name);
        if (!name[0]) /* the IP address without its port and brackets */
            snprintf(name, sizeof name, "%.*s", (int)(strrchr(at, ':') - at - 2 * (at[0] == '[')),
                     at + (at[0] == '['));
        TRY(web_tls_dial(t, name, raw, &raw));
        stacked_charge((stacked_t *)raw, host_limit(h));
    }
    websocket_t *w = make(h, raw);
    ws_deinit(&w->ws);
    return finish(t, h, w, BYTES_NONE,
                  ws_init_client(&w->ws, host, "/", driver_random_u64(sched_driver(h->sched))), ret);
}
