#include "web/http_link.h"
#include "web/dial_name.h"
#include "wire/http_auth.h"
#include "wire/http_client.h"
#include <stdlib.h>

/* ── TLS upon TCP, or upon the TLS of a proxy ────────────────────────────────────────────────── */

/* `level` counts the layers of TLS that are used: 0 is TCP. */
static err_t write_at(task_t *t, http_link_t *l, size_t level, bytes_t data);
static err_t read_at(task_t *t, http_link_t *l, size_t level, uint8_t *out, size_t cap, size_t *ret_n);

static err_t flush_tls(task_t *t, http_link_t *l, size_t level)
{
    struct http_link_tls *tls = &l->tls[level - 1];
    for (size_t n; (n = tls_client_output(tls->engine, tls->scratch, HTTP_LINK_PIECE));)
        TRY(write_at(t, l, level - 1, bytes_of(tls->scratch, n)));
    return OK;
}

/* Sends what TLS has, and feeds it once. */
static err_t turn_tls(task_t *t, http_link_t *l, size_t level)
{
    struct http_link_tls *tls = &l->tls[level - 1];
    size_t n;
    TRY(flush_tls(t, l, level));
    TRY(read_at(t, l, level - 1, tls->scratch, HTTP_LINK_PIECE, &n));
    if (!n)
        return fail(ERR_EOF, "the connection ended in the midst of TLS");
    return tls_client_feed(tls->engine, bytes_of(tls->scratch, n));
}

static err_t write_at(task_t *t, http_link_t *l, size_t level, bytes_t data)
{
    if (!level)
        return stream_write(t, l->stream, data);
    while (data.len) {
        bytes_t piece = bytes_slice(data, 0, HTTP_LINK_PIECE);
        TRY(tls_client_write(l->tls[level - 1].engine, piece));
        TRY(flush_tls(t, l, level));
        data = bytes_slice(data, piece.len, data.len);
    }
    return OK;
}

static err_t read_at(task_t *t, http_link_t *l, size_t level, uint8_t *out, size_t cap, size_t *ret_n)
{
    err_t e;
    if (!level)
        return stream_read(t, l->stream, out, cap, ret_n);
    while ((e = tls_client_read(l->tls[level - 1].engine, out, cap, ret_n)) == ERR_AGAIN)
        TRY(turn_tls(t, l, level));
    return e;
}

static err_t start_tls(task_t *t, http_link_t *l, const url_t *host, bytes_t authorities)
{
    struct http_link_tls *tls = &l->tls[l->n_tls];
    err_t e;
    TRY(tls_client_new(host->host, authorities, &tls->engine));
    tls->scratch = xmalloc(HTTP_LINK_PIECE);
    size_t level = ++l->n_tls;
    while ((e = tls_client_handshake(tls->engine)) == ERR_AGAIN)
        TRY(turn_tls(t, l, level));
    if (e)
        return fail_also(e, "https://%s", host->authority);
    return flush_tls(t, l, level);
}

/* ── through a proxy ─────────────────────────────────────────────────────────────────────────── */
static err_t send_connect(task_t *t, http_link_t *l, http_client_t *http, const url_t *to, const url_t *proxy)
{
    char place[URL_HOST_MAX_BYTES + 16];
    AUTO(buf_t) auth = {0};
    const char *secret;
    http_field_t field = {"Proxy-Authorization", NULL};
    snprintf(place, sizeof place, strchr(to->host, ':') ? "[%s]:%u" : "%s:%u", to->host, to->port);
    buf_init(&auth, 2 * HTTP_AUTH_MAX_BYTES);
    if (proxy->user.data) {
        TRY(url_user_auth(proxy, &auth));
        TRY(buf_cstr(&auth, &secret));
        field.value = secret;
    }
    err_t e = http_client_request(http, &(http_request_t){.method = "CONNECT",
                                                          .target = place,
                                                          .host = place,
                                                          .fields = &field,
                                                          .n_fields = proxy->user.data != NULL});
    secret_wipe(auth.data, auth.len);
    for (bytes_t out; !e && (out = http_client_output(http)).len;) {
        e = http_link_write(t, l, out);
        http_client_output_sent(http, out.len);
    }
    return e;
}

/* The tunnel begins behind the head of an answer of 2xx, and a length of a body means nothing there (RFC
 * 9110, 9.3.6); nobody speaks in it before us. */
static err_t read_tunnel_answer(task_t *t, http_link_t *l, http_client_t *http, const url_t *proxy,
                                uint8_t *in)
{
    http_event_t ev;
    for (;;) {
        size_t n, used = 0;
        TRY(http_link_read(t, l, in, HTTP_LINK_PIECE, &n));
        if (!n)
            return fail(ERR_EOF, "the proxy %s ended the connection", proxy->authority);
        TRY(http_client_feed(http, bytes_of(in, n), &used));
        if (!http_client_next_event(http, &ev))
            continue;
        if (ev.status < 200 || ev.status > 299)
            return fail(ERR_REFUSED, "the proxy %s answers %d", proxy->authority, ev.status);
        bool speaks = used != n;
        while (http_client_next_event(http, &ev))
            speaks = speaks || ev.kind != HTTP_EVENT_END;
        return speaks ? fail(ERR_PROTOCOL, "the proxy %s speaks before the tunnel is used", proxy->authority)
                      : OK;
    }
}

static err_t open_tunnel(task_t *t, http_link_t *l, const url_t *to, const url_t *proxy)
{
    http_client_t *http = xcalloc(1, sizeof *http); /* too large for a task's stack */
    uint8_t *in = xmalloc(HTTP_LINK_PIECE);
    http_client_init(http, 0);
    err_t e = send_connect(t, l, http, to, proxy);
    if (!e)
        e = read_tunnel_answer(t, l, http, proxy, in);
    error_slot_t why = *error_slot();
    http_client_deinit(http);
    free(http);
    free(in);
    *error_slot() = why;
    return e;
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */
err_t http_link_open(task_t *t, const url_t *to, const url_t *proxy, bytes_t authorities, http_link_t *ret)
{
    const url_t *first = proxy ? proxy : to;
    TRY(net_dial_name(t, first->host, first->port, &ret->stream));
    if (proxy && proxy->is_secure)
        TRY(start_tls(t, ret, proxy, BYTES_NONE));
    ret->asks_proxy = proxy && !to->is_secure;
    if (proxy && to->is_secure)
        TRY(open_tunnel(t, ret, to, proxy));
    return to->is_secure ? start_tls(t, ret, to, authorities) : OK;
}

err_t http_link_write(task_t *t, http_link_t *l, bytes_t data)
{
    return write_at(t, l, l->n_tls, data);
}

err_t http_link_read(task_t *t, http_link_t *l, uint8_t *out, size_t cap, size_t *ret_n)
{
    return read_at(t, l, l->n_tls, out, cap, ret_n);
}

void http_link_close(http_link_t *l)
{
    for (size_t i = 0; i < ARRAY_LEN(l->tls); i++) {
        tls_client_free(l->tls[i].engine);
        free(l->tls[i].scratch);
    }
    if (l->stream)
        stream_close(l->stream);
    *l = (http_link_t){0};
}
