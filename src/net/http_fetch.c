#include "net/http_fetch.h"
#include "crypto/tls_client.h"
#include "net/dial_name.h"
#include <stdlib.h>
#include <strings.h>

enum { PIECE_BYTES = 16 << 10, HOST_MAX_BYTES = 256, CONNECT_TIMEOUT_MS = 15000, REDIRECTS_MAX = 10 };
/* What an answer may take on the wire for its body: a byte a chunk is the worst of honest framing. */
enum { FRAMING_FACTOR = 8, FRAMING_BYTES = 1 << 20 };

typedef struct target {
    bool is_secure;
    char host[HOST_MAX_BYTES];      /* without brackets */
    char authority[HOST_MAX_BYTES]; /* for the Host header */
    uint16_t port;
    const char *path; /* into the URL; "" when none */
} target_t;

/* ── URLs ────────────────────────────────────────────────────────────────────────────────────── */

static err_t parse_authority(const char *url, bytes_t text, target_t *ret)
{
    size_t host_len = text.len;
    const uint8_t *colon = NULL;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == ':')
            colon = text.data + i;
    bool is_v6 = text.len && text.data[0] == '[';
    const uint8_t *bracket = is_v6 ? memchr(text.data, ']', text.len) : NULL;
    if (colon && (!is_v6 || (bracket && colon == bracket + 1))) {
        char port[8], *end;
        size_t n = text.len - (size_t)(colon + 1 - text.data);
        host_len = (size_t)(colon - text.data);
        if (!n || n >= sizeof port)
            return fail(ERR_USAGE, "\"%.100s\": no such port", url);
        memcpy(port, colon + 1, n);
        port[n] = 0;
        unsigned long value = strtoul(port, &end, 10);
        if (*end || !value || value > 65535)
            return fail(ERR_USAGE, "\"%.100s\": no such port", url);
        ret->port = (uint16_t)value;
    }
    bytes_t host = bytes_slice(text, is_v6, host_len - 2 * is_v6);
    if (!host.len || host.len >= sizeof ret->host || text.len >= sizeof ret->authority ||
        (is_v6 && !bracket) || memchr(text.data, '@', text.len))
        return fail(ERR_USAGE, "\"%.100s\" names no host", url);
    memcpy(ret->host, host.data, host.len);
    memcpy(ret->authority, text.data, text.len);
    return OK;
}

static err_t parse_url(const char *url, target_t *ret)
{
    *ret = (target_t){.port = 80};
    if (strlen(url) > HTTP_URL_MAX_BYTES)
        return fail(ERR_USAGE, "the URL is too long");
    if (!strncasecmp(url, "https://", 8)) {
        ret->is_secure = true;
        ret->port = 443;
    } else if (strncasecmp(url, "http://", 7) != 0) {
        return fail(ERR_USAGE, "\"%.100s\" is no http or https URL", url);
    }
    const char *authority = strstr(url, "://") + 3;
    size_t n = strcspn(authority, "/?#");
    TRY(parse_authority(url, bytes_of(authority, n), ret));
    ret->path = authority + n;
    return OK;
}

/* ── connecting ──────────────────────────────────────────────────────────────────────────────── */

typedef struct link {
    stream_t *stream;
    tls_client_t *tls; /* NULL: plain */
    uint8_t *scratch;  /* PIECE_BYTES */
} link_t;

static err_t flush_tls(task_t *t, link_t *l)
{
    for (size_t n; (n = tls_client_output(l->tls, l->scratch, PIECE_BYTES));)
        TRY(stream_write(t, l->stream, bytes_of(l->scratch, n)));
    return OK;
}

/* Sends what TLS has, and feeds it once. */
static err_t turn_tls(task_t *t, link_t *l)
{
    size_t n;
    TRY(flush_tls(t, l));
    TRY(stream_read(t, l->stream, l->scratch, PIECE_BYTES, &n));
    if (!n)
        return fail(ERR_EOF, "the connection ended in the midst of TLS");
    return tls_client_feed(l->tls, bytes_of(l->scratch, n));
}

static err_t link_open(task_t *t, link_t *l, const target_t *to, bytes_t authorities)
{
    TRY(net_dial_name(t, to->host, to->port, &l->stream));
    if (!to->is_secure)
        return OK;
    TRY(tls_client_new(to->host, authorities, &l->tls));
    err_t e;
    while ((e = tls_client_handshake(l->tls)) == ERR_AGAIN)
        TRY(turn_tls(t, l));
    if (e)
        return fail_also(e, "https://%s", to->authority);
    return flush_tls(t, l);
}

static err_t link_write(task_t *t, link_t *l, bytes_t data)
{
    if (!l->tls)
        return stream_write(t, l->stream, data);
    while (data.len) {
        bytes_t piece = bytes_slice(data, 0, PIECE_BYTES);
        TRY(tls_client_write(l->tls, piece));
        TRY(flush_tls(t, l));
        data = bytes_slice(data, piece.len, data.len);
    }
    return OK;
}

static err_t link_read(task_t *t, link_t *l, uint8_t *out, size_t cap, size_t *ret_n)
{
    err_t e;
    if (!l->tls)
        return stream_read(t, l->stream, out, cap, ret_n);
    while ((e = tls_client_read(l->tls, out, cap, ret_n)) == ERR_AGAIN)
        TRY(turn_tls(t, l));
    return e;
}

static void link_close(link_t *l)
{
    tls_client_free(l->tls);
    if (l->stream)
        stream_close(l->stream);
    free(l->scratch);
}

/* ── the request ─────────────────────────────────────────────────────────────────────────────── */

typedef struct fetching {
    http_fetch_t *f;
    const char *url, *method; /* of this request: others than asked for behind a redirect */
    bytes_t body;
    bool is_elsewhere; /* another host than was asked for: secrets are not for it */
    char *location;    /* where the answer leads, owned; NULL: it is the answer */
    link_t link;
    http_client_t http;
    uint8_t *in; /* PIECE_BYTES */
    uint64_t in_bytes, wire_bytes;
    bool is_done;
} fetching_t;

static err_t flush(task_t *t, fetching_t *x)
{
    for (bytes_t out; (out = http_client_output(&x->http)).len;) {
        TRY(link_write(t, &x->link, out));
        http_client_output_sent(&x->http, out.len);
    }
    return OK;
}

static err_t send_request(task_t *t, fetching_t *x, const target_t *to)
{
    http_fetch_t *f = x->f;
    bool has_body = x->body.len || (strcmp(x->method, "GET") && strcmp(x->method, "HEAD"));
    http_field_t *fields = xcalloc(f->n_fields + 1, sizeof *fields);
    size_t n_fields = 0;
    for (size_t i = 0; i < f->n_fields; i++)
        if (!x->is_elsewhere || strcasecmp(f->fields[i].name, "Authorization"))
            fields[n_fields++] = f->fields[i];
    char *path = xmalloc(strlen(to->path) + 2);
    snprintf(path, strlen(to->path) + 2, "%s%s", *to->path == '/' ? "" : "/", to->path);
    path[strcspn(path, "#")] = 0;
    err_t e =
        http_client_request(&x->http, &(http_request_t){.method = x->method,
                                                        .target = path,
                                                        .host = to->authority,
                                                        .fields = fields,
                                                        .n_fields = n_fields,
                                                        .body = has_body ? HTTP_BODY_LENGTH : HTTP_BODY_NONE,
                                                        .body_bytes = x->body.len});
    free(path);
    free(fields);
    TRY(e);
    bytes_t left = x->body;
    while (left.len) {
        TRY(flush(t, x));
        bytes_t piece = bytes_slice(left, 0, PIECE_BYTES);
        TRY(http_client_write_body(&x->http, piece));
        left = bytes_slice(left, piece.len, left.len);
    }
    if (has_body)
        TRY(http_client_end_body(&x->http));
    return flush(t, x);
}

static void note_redirect(fetching_t *x)
{
    int status = x->f->status;
    const char *to = http_client_field(&x->http, "Location");
    bool leads_on = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    x->location = leads_on && !x->f->stays_here && to && *to ? xstrdup(to) : NULL;
}

static err_t take_event(task_t *t, fetching_t *x, const http_event_t *ev)
{
    http_fetch_t *f = x->f;
    const char *type;
    switch (ev->kind) {
    case HTTP_EVENT_HEAD:
        f->status = ev->status;
        note_redirect(x);
        type = http_client_field(&x->http, "Content-Type");
        snprintf(f->content_type, sizeof f->content_type, "%s", type ? type : "");
        return OK;
    case HTTP_EVENT_BODY:
        x->in_bytes += ev->data.len;
        if (f->max_in_bytes && x->in_bytes > f->max_in_bytes)
            return fail(ERR_LIMIT, "%.100s: an answer of more than %zu bytes", f->url, f->max_in_bytes);
        return f->on_body && !x->location ? f->on_body(t, f->arg, ev->data) : OK;
    case HTTP_EVENT_TRAILER:
        return OK;
    case HTTP_EVENT_END:
        x->is_done = true;
    }
    return OK;
}

static err_t take_events(task_t *t, fetching_t *x, bool *ret_any)
{
    http_event_t ev;
    *ret_any = false;
    while (http_client_next_event(&x->http, &ev)) {
        TRY(take_event(t, x, &ev));
        *ret_any = true;
    }
    return OK;
}

/* Interim answers and chunk extensions without end are no body, and end here. */
static err_t count_wire(fetching_t *x, size_t n)
{
    uint64_t max = FRAMING_FACTOR * (uint64_t)x->f->max_in_bytes + FRAMING_BYTES;
    x->wire_bytes += n;
    return !x->f->max_in_bytes || x->wire_bytes <= max
               ? OK
               : fail(ERR_LIMIT, "%.100s: an answer that is mostly framing", x->f->url);
}

static err_t read_answer(task_t *t, fetching_t *x)
{
    bool any;
    while (!x->is_done) {
        size_t n, used;
        TRY(link_read(t, &x->link, x->in, PIECE_BYTES, &n));
        if (!n) {
            TRY(http_client_feed_end(&x->http));
            TRY(take_events(t, x, &any));
            return x->is_done ? OK : fail(ERR_EOF, "the answer ended early");
        }
        TRY(count_wire(x, n));
        for (bytes_t in = bytes_of(x->in, n); in.len && !x->is_done; in = bytes_slice(in, used, in.len)) {
            TRY(http_client_feed(&x->http, in, &used));
            TRY(take_events(t, x, &any));
            if (!used && !any)
                break;
        }
    }
    return OK;
}

static err_t run(task_t *t, fetching_t *x, const target_t *to)
{
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    err_t e = link_open(t, &x->link, to, x->f->authorities);
    deadline_pop(t, &d);
    TRY(e);
    TRY(send_request(t, x, to));
    return read_answer(t, x);
}

/* One request. *ret_location: where it leads, owned; NULL: the answer has come. */
static err_t fetch_one(task_t *t, fetching_t *x, char **ret_location)
{
    target_t to;
    TRY(parse_url(x->url, &to));
    x->in = xmalloc(PIECE_BYTES);
    x->link.scratch = xmalloc(PIECE_BYTES);
    http_client_init(&x->http, 0);
    err_t e = run(t, x, &to);
    error_slot_t why = *error_slot();
    http_client_deinit(&x->http);
    link_close(&x->link);
    free(x->in);
    *ret_location = x->location;
    *error_slot() = why;
    return e;
}

/* A Location beside the URL that it came from (RFC 3986, 5.2, without "." and ".." in it). ERR_PROTOCOL. */
static err_t resolve_location(const char *from, const char *location, buf_t *out)
{
    buf_clear(out);
    if (!strncmp(location + strcspn(location, ":/?#"), "://", 3))
        return buf_printf(out, "%s", location);
    const char *authority = strstr(from, "://") + 3;
    const char *path = authority + strcspn(authority, "/?#");
    if (!strncmp(location, "//", 2))
        return buf_printf(out, "%.*s%s", (int)(authority - from - 2), from, location);
    if (*location == '/')
        return buf_printf(out, "%.*s%s", (int)(path - from), from, location);
    size_t folder = strcspn(path, "?#");
    while (folder && path[folder - 1] != '/')
        folder--;
    return buf_printf(out, "%.*s%s%s", (int)((size_t)(path - from) + folder), from, folder ? "" : "/",
                      location);
}

static bool is_same_host(const char *a, const char *b)
{
    target_t x, y;
    return !parse_url(a, &x) && !parse_url(b, &y) && !strcasecmp(x.host, y.host) && x.port == y.port &&
           x.is_secure == y.is_secure;
}

/* The next request of a chain, as browsers and the reference go on (RFC 9110, 15.4). */
static err_t go_on(const http_fetch_t *f, fetching_t *x, const char *location, buf_t *url)
{
    AUTO(buf_t) to = {0};
    buf_init(&to, HTTP_URL_MAX_BYTES + 1);
    err_t e = resolve_location(x->url, location, &to);
    if (!e && !strncasecmp(x->url, "https://", 8) && to.len > 5 &&
        !strncasecmp((const char *)to.data, "http:", 5))
        e = fail(ERR_PROTOCOL, "it leads from https to http");
    if (!e) {
        buf_clear(url);
        e = buf_append(url, buf_bytes(&to));
    }
    if (e)
        return fail_also(ERR_PROTOCOL, "%.100s: a redirect to \"%.100s\"", f->url, location);
    TRY(buf_cstr(url, &x->url));
    bool keeps_method = f->status == 307 || f->status == 308 || !strcmp(x->method, "HEAD");
    if (!keeps_method) {
        x->method = "GET";
        x->body = BYTES_NONE;
    }
    x->is_elsewhere = x->is_elsewhere || !is_same_host(f->url, x->url);
    return OK;
}

err_t http_fetch(task_t *t, http_fetch_t *f)
{
    AUTO(buf_t) url = {0};
    buf_init(&url, HTTP_URL_MAX_BYTES + 1);
    fetching_t *x = xcalloc(1, sizeof *x);
    fetching_t next = {.f = f, .url = f->url, .method = f->method ? f->method : "GET", .body = f->body};
    err_t e = OK;
    char *location = NULL;
    for (size_t i = 0; !e; i++) {
        *x = next;
        e = fetch_one(t, x, &location);
        if (e || !location)
            break;
        e = i < REDIRECTS_MAX ? go_on(f, &next, location, &url)
                              : fail(ERR_PROTOCOL, "%.100s: more than %d redirects", f->url, REDIRECTS_MAX);
        free(location);
        location = NULL;
    }
    free(location);
    free(x);
    return e;
}

static err_t append_body(task_t *t, void *arg, bytes_t piece)
{
    return buf_append(arg, piece);
}

err_t http_fetch_all(task_t *t, http_fetch_t *f, buf_t *out)
{
    f->on_body = append_body;
    f->arg = out;
    return http_fetch(t, f);
}
