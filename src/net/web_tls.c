/* web_tls: TLS of the web as a stream, over crypto's engine. */
#include "crypto/tls_client.h"
#include "net/stacked.h"
#include "net/tls_stream.h"
#include "net/websocket.h"
#include <stdlib.h>

enum { PIECE_BYTES = 16 << 10, READ_BYTES = 64 << 10 };

typedef struct web_tls {
    stacked_t base;
    tls_client_t *tls;
} web_tls_t;

/* Appends what TLS has for the other side. */
static err_t take_output(web_tls_t *w, buf_t *out)
{
    for (size_t n = 1; n;) {
        TRY(buf_reserve(out, PIECE_BYTES / 4));
        n = tls_client_output(w->tls, out->data + out->len, out->cap - out->len);
        out->len += n;
    }
    return OK;
}

static err_t feed_what_came(web_tls_t *w, uint8_t *sealed)
{
    size_t n;
    TRY(stream_try_read(w->base.below, sealed, READ_BYTES, &n));
    return n ? tls_client_feed(w->tls, bytes_of(sealed, n))
             : fail(ERR_RESET, "the connection ended in the midst of TLS");
}

static err_t read_plain(stacked_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    web_tls_t *w = (web_tls_t *)s;
    uint8_t *sealed = NULL; /* too large for a task's stack, and nothing that an idle connection keeps */
    err_t e;
    while ((e = tls_client_read(w->tls, out, cap, ret_n)) == ERR_AGAIN) {
        sealed = sealed ? sealed : xmalloc(READ_BYTES);
        e = feed_what_came(w, sealed);
        if (e)
            break;
    }
    free(sealed);
    return e ? e : take_output(w, &s->pending);
}

static err_t encode(stacked_t *s, bytes_t plain, buf_t *out)
{
    web_tls_t *w = (web_tls_t *)s;
    TRY(tls_client_write(w->tls, plain));
    return take_output(w, out);
}

static void free_web_tls(stacked_t *s)
{
    tls_client_free(((web_tls_t *)s)->tls);
    free(s);
}

static const stacked_ops_t ops = {.read = read_plain, .encode = encode, .free = free_web_tls};

static err_t send_output(task_t *t, web_tls_t *w)
{
    uint8_t piece[4096];
    for (size_t n; (n = tls_client_output(w->tls, piece, sizeof piece));)
        TRY(stream_write(t, w->base.below, bytes_of(piece, n)));
    return OK;
}

static err_t shake_hands(task_t *t, web_tls_t *w)
{
    uint8_t piece[4096];
    err_t e;
    while ((e = tls_client_handshake(w->tls)) == ERR_AGAIN) {
        size_t n;
        TRY(send_output(t, w));
        TRY(stream_read(t, w->base.below, piece, sizeof piece, &n));
        if (!n)
            return fail(ERR_RESET, "the server left in the midst of a TLS handshake");
        TRY(tls_client_feed(w->tls, bytes_of(piece, n)));
    }
    TRY(e);
    return send_output(t, w);
}

err_t tls_stream_start(task_t *t, tls_client_t *tls, stream_t *raw, bytes_t head, stream_t **ret)
{
    web_tls_t *w = xcalloc(1, sizeof *w);
    w->tls = tls;
    stacked_init(&w->base, task_sched(t), &ops, raw);
    err_t e = tls_client_feed(tls, head);
    if (!e)
        e = shake_hands(t, w);
    if (e)
        stream_close(&w->base.base);
    else
        *ret = &w->base.base;
    return e;
}

err_t web_tls_dial(task_t *t, const char *host, stream_t *raw, stream_t **ret)
{
    tls_client_t *tls;
    err_t e = tls_client_new(host, BYTES_NONE, &tls);
    if (e)
        stream_close(raw);
    return e ? e : tls_stream_start(t, tls, raw, BYTES_NONE, ret);
}

err_t web_tls_accept(task_t *t, tls_server_t *server, stream_t *raw, bytes_t head, stream_t **ret)
{
    tls_client_t *tls;
    err_t e = tls_server_accept(server, &tls);
    if (e)
        stream_close(raw);
    return e ? e : tls_stream_start(t, tls, raw, head, ret);
}
