#include "web/http_fetch.h"
#include "web/gunzip.h"
#include "web/http_link.h"
#include "web/http_pool.h"
#include "web/proxy.h"
#include "wire/http_auth.h"
#include <stdlib.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 15000, REQUESTS_MAX = 10, FIELDS_MORE = 4 };
/* What an answer may take on the wire for its body: a byte a chunk is the worst of honest framing. */
enum { FRAMING_FACTOR = 8, FRAMING_BYTES = 1 << 20 };

struct http_answer {
    http_fetch_t *f;
    char shown[URL_SHOWN_MAX]; /* the URL that was asked for, for errors */
    buf_t url;                 /* of this request */
    const char *method;        /* others than asked for behind a redirect */
    bytes_t body;
    bool is_elsewhere; /* another host than was asked for: secrets are not for it */
    http_link_t link;
    buf_t place;       /* where the link leads; "" when it is of no further use */
    bool is_used_link; /* an answer came over it before */
    http_client_t http;
    bool has_http;
    uint8_t *in;  /* HTTP_LINK_PIECE */
    bytes_t left; /* of what came: not fed yet */
    bytes_t data; /* of the body: not handed on yet */
    gunzip_t *gunzip;
    uint8_t *plain; /* HTTP_LINK_PIECE of the body, decompressed, for who takes pieces */
    uint64_t in_bytes, wire_bytes;
    bool has_head, is_done;
};

/* ── the request ─────────────────────────────────────────────────────────────────────────────── */
static err_t flush(task_t *t, http_answer_t *a)
{
    for (bytes_t out; (out = http_client_output(&a->http)).len;) {
        TRY(http_link_write(t, &a->link, out));
        http_client_output_sent(&a->http, out.len);
    }
    return OK;
}

static bool asks_for(const http_fetch_t *f, const char *name)
{
    for (size_t i = 0; i < f->n_fields; i++)
        if (!strcasecmp(f->fields[i].name, name))
            return true;
    return false;
}

static err_t put_user(const url_t *u, const char *name, buf_t *room, http_field_t *fields, size_t *n)
{
    const char *text;
    if (!u || !u->user.data)
        return OK;
    TRY(url_user_auth(u, room));
    TRY(buf_cstr(room, &text));
    fields[(*n)++] = (http_field_t){name, text};
    return OK;
}

typedef struct secrets {
    buf_t user, proxy;
} secrets_t;

static void secrets_deinit(secrets_t *s)
{
    secret_wipe(s->user.data, s->user.len);
    secret_wipe(s->proxy.data, s->proxy.len);
    buf_deinit(&s->user);
    buf_deinit(&s->proxy);
}
AUTO_DEFINE(secrets_t, secrets_deinit)

/* fields: room for those of the request and FIELDS_MORE. */
static err_t choose_fields(const http_answer_t *a, const url_t *to, const url_t *proxy, secrets_t *secrets,
                           http_field_t *fields, size_t *ret_n)
{
    const http_fetch_t *f = a->f;
    size_t n = 0;
    for (size_t i = 0; i < f->n_fields; i++)
        if (!a->is_elsewhere || strcasecmp(f->fields[i].name, "Authorization"))
            fields[n++] = f->fields[i];
    if (f->is_content && !asks_for(f, "Range") && !asks_for(f, "Accept-Encoding"))
        fields[n++] = (http_field_t){"Accept-Encoding", "gzip"};
    if (!asks_for(f, "Authorization"))
        TRY(put_user(to, "Authorization", &secrets->user, fields, &n));
    if (a->link.asks_proxy)
        TRY(put_user(proxy, "Proxy-Authorization", &secrets->proxy, fields, &n));
    *ret_n = n;
    return OK;
}

static err_t write_head(http_answer_t *a, const url_t *to, const url_t *proxy)
{
    bool has_body = a->body.len || (strcmp(a->method, "GET") && strcmp(a->method, "HEAD"));
    AUTO(buf_t) target = {0};
    AUTO(secrets_t) secrets = {0};
    const char *text;
    buf_init(&secrets.user, 2 * HTTP_AUTH_MAX_BYTES);
    buf_init(&secrets.proxy, 2 * HTTP_AUTH_MAX_BYTES);
    buf_init(&target, 4 * URL_MAX_BYTES);
    TRY(a->link.asks_proxy ? url_whole(to, &target) : url_target(to, &target));
    TRY(buf_cstr(&target, &text));
    http_field_t *fields = xcalloc(a->f->n_fields + FIELDS_MORE, sizeof *fields);
    http_request_t r = {.method = a->method,
                        .target = text,
                        .host = to->authority,
                        .fields = fields,
                        .body = has_body ? HTTP_BODY_LENGTH : HTTP_BODY_NONE,
                        .body_bytes = a->body.len};
    err_t e = choose_fields(a, to, proxy, &secrets, fields, &r.n_fields);
    if (!e)
        e = http_client_request(&a->http, &r);
    free(fields);
    return e;
}

static err_t send_request(task_t *t, http_answer_t *a, const url_t *to, const url_t *proxy)
{
    TRY(write_head(a, to, proxy));
    bytes_t left = a->body;
    while (left.len) {
        TRY(flush(t, a));
        bytes_t piece = bytes_slice(left, 0, HTTP_LINK_PIECE);
        TRY(http_client_write_body(&a->http, piece));
        left = bytes_slice(left, piece.len, left.len);
    }
    if (http_client_is_sending(&a->http))
        TRY(http_client_end_body(&a->http));
    return flush(t, a);
}

/* ── the answer ──────────────────────────────────────────────────────────────────────────────── */
static err_t take_event(http_answer_t *a, const http_event_t *ev)
{
    http_fetch_t *f = a->f;
    const char *type;
    switch (ev->kind) {
    case HTTP_EVENT_HEAD:
        f->status = ev->status;
        type = http_client_field(&a->http, "Content-Type");
        snprintf(f->content_type, sizeof f->content_type, "%s", type ? type : "");
        a->has_head = true;
        return OK;
    case HTTP_EVENT_BODY:
        a->data = ev->data;
        a->in_bytes += ev->data.len;
        if (f->max_in_bytes && a->in_bytes > f->max_in_bytes)
            return fail(ERR_LIMIT, "%s: an answer of more than %zu bytes", a->shown, f->max_in_bytes);
        return OK;
    case HTTP_EVENT_TRAILER:
        return OK;
    case HTTP_EVENT_END:
        a->is_done = true;
        if (!ev->keep_alive)
            buf_clear(&a->place);
    }
    return OK;
}

/* Interim answers and chunk extensions without end are no body, and end here. */
static err_t count_wire(http_answer_t *a, size_t n)
{
    uint64_t max = FRAMING_FACTOR * (uint64_t)a->f->max_in_bytes + FRAMING_BYTES;
    a->wire_bytes += n;
    return !a->f->max_in_bytes || a->wire_bytes <= max
               ? OK
               : fail(ERR_LIMIT, "%s: an answer that is mostly framing", a->shown);
}

static err_t read_in_time(task_t *t, http_answer_t *a, size_t *ret_n)
{
    uint64_t silence_ms = a->f->max_silence_ms, outer_ms = task_deadline_ms(t);
    if (!silence_ms)
        return http_link_read(t, &a->link, a->in, HTTP_LINK_PIECE, ret_n);
    deadline_t d = deadline_push(t, silence_ms);
    err_t e = http_link_read(t, &a->link, a->in, HTTP_LINK_PIECE, ret_n);
    deadline_pop(t, &d);
    if (e == ERR_TIMEOUT && task_now_ms(t) < outer_ms)
        return fail(ERR_TIMEOUT, "nothing came for %llu seconds", (unsigned long long)silence_ms / 1000);
    return e;
}

static err_t read_more(task_t *t, http_answer_t *a)
{
    size_t n;
    TRY(read_in_time(t, a, &n));
    if (!n)
        return http_client_feed_end(&a->http);
    a->left = bytes_of(a->in, n);
    return count_wire(a, n);
}

/* Until there is data of the body, its end, or a head that was not there. */
static err_t advance(task_t *t, http_answer_t *a)
{
    bool had_head = a->has_head;
    http_event_t ev;
    while (!a->data.len && !a->is_done && a->has_head == had_head) {
        size_t used = 0;
        if (!a->left.len)
            TRY(read_more(t, a));
        else
            TRY(http_client_feed(&a->http, a->left, &used));
        a->left = bytes_slice(a->left, used, a->left.len);
        while (http_client_next_event(&a->http, &ev))
            TRY(take_event(a, &ev));
    }
    return OK;
}

static const char *redirect_of(const http_answer_t *a)
{
    int status = a->f->status;
    bool leads_on = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    const char *to = leads_on && !a->f->stays_here ? http_client_field(&a->http, "Location") : NULL;
    return to && *to ? to : NULL;
}

/* ── one after the other ─────────────────────────────────────────────────────────────────────── */
static void end_request(task_t *t, http_answer_t *a)
{
    const char *place;
    bool is_whole = a->is_done && !a->left.len && a->place.len;
    if (a->has_http)
        http_client_deinit(&a->http);
    a->has_http = false;
    if (t && a->f->pool && is_whole && !buf_cstr(&a->place, &place))
        http_pool_put(t, a->f->pool, place, &a->link);
    http_link_close(&a->link);
    buf_clear(&a->place);
    a->left = a->data = BYTES_NONE;
    a->has_head = a->is_done = false;
    a->in_bytes = a->wire_bytes = 0;
}

/* Links to one place through one proxy are alike. */
static err_t name_place(http_answer_t *a, const url_t *to, const url_t *proxy)
{
    buf_clear(&a->place);
    if (!a->f->pool || a->f->authorities.len)
        return OK;
    TRY(buf_printf(&a->place, "http%s://%s ", to->is_secure ? "s" : "", to->authority));
    return proxy ? url_print(proxy, &a->place) : OK;
}

static err_t open_link(task_t *t, http_answer_t *a, const url_t *to, const url_t *proxy)
{
    const char *place;
    TRY(name_place(a, to, proxy));
    TRY(buf_cstr(&a->place, &place));
    a->is_used_link = *place && !a->is_used_link && http_pool_take(a->f->pool, place, &a->link);
    if (a->is_used_link)
        return OK;
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    err_t e = http_link_open(t, to, proxy, a->f->authorities, &a->link);
    deadline_pop(t, &d);
    return e;
}

typedef struct route {
    url_t to, proxy;
    buf_t proxy_text;
} route_t;

static err_t find_route(http_answer_t *a, route_t *r, const url_t **ret_proxy)
{
    const char *text;
    TRY(buf_cstr(&a->url, &text));
    TRY(url_parse(text, &r->to));
    if (!a->f->is_content && r->to.user.data)
        return fail(ERR_USAGE, "%s: a URL with a user is not taken here", a->shown);
    *ret_proxy = NULL;
    if (!a->f->is_content)
        return OK;
    proxy_env_t env = proxy_env();
    TRY(proxy_choose(&env, &r->to, &r->proxy_text));
    if (!r->proxy_text.len)
        return OK;
    TRY(buf_cstr(&r->proxy_text, &text));
    *ret_proxy = &r->proxy;
    return url_parse(text, &r->proxy);
}

/* One request, until the head of its answer. */
static err_t ask_once(task_t *t, http_answer_t *a)
{
    route_t *r = xcalloc(1, sizeof *r); /* large for a task's stack */
    const url_t *proxy;
    buf_init(&r->proxy_text, URL_MAX_BYTES + 8);
    err_t e = find_route(a, r, &proxy);
    if (!e)
        e = open_link(t, a, &r->to, proxy);
    if (!e) {
        http_client_init(&a->http, 0);
        a->has_http = true;
        e = send_request(t, a, &r->to, proxy);
    }
    buf_wipe(&r->proxy_text); /* it may have a password, and so may the URLs of the route */
    buf_deinit(&r->proxy_text);
    secret_wipe(r, sizeof *r);
    free(r);
    while (!e && !a->has_head)
        e = advance(t, a);
    return e;
}

/* What may change something is not made twice (RFC 9110, 9.2.2). */
static bool changes_nothing(const http_answer_t *a)
{
    return !a->body.len && (!strcmp(a->method, "GET") || !strcmp(a->method, "HEAD"));
}

/* A link that was idle may have ended without our knowing: before anything came over it, the request is made
 * again over a new one (RFC 9112, 9.3.1). */
static err_t ask(task_t *t, http_answer_t *a)
{
    a->is_used_link = false;
    err_t e = ask_once(t, a);
    bool may_have_ended = e && e != ERR_CANCELED && e != ERR_TIMEOUT && a->is_used_link && !a->wire_bytes;
    if (!may_have_ended || !changes_nothing(a))
        return e;
    end_request(NULL, a);
    return ask_once(t, a); /* is_used_link is set: over a new one */
}

static bool is_same_host(const char *a, const char *b)
{
    url_t x, y;
    return !url_parse(a, &x) && !url_parse(b, &y) && !strcasecmp(x.host, y.host) && x.port == y.port &&
           x.is_secure == y.is_secure;
}

static err_t redirect_failed(const http_answer_t *a, err_t e)
{
    return a->f->is_content ? e : fail_also(e, "%s: a redirect", a->shown);
}

/* The next request of a chain, as browsers and the reference go on (RFC 9110, 15.4). */
static err_t go_on(http_answer_t *a, const char *location)
{
    const http_fetch_t *f = a->f;
    AUTO(buf_t) to = {0};
    const char *from, *text;
    buf_init(&to, URL_MAX_BYTES + 1);
    TRY(buf_cstr(&a->url, &from));
    err_t e = url_resolve(from, location, &to);
    if (!e)
        e = buf_cstr(&to, &text);
    if (!e && !f->is_content && !strncasecmp(from, "https:", 6) && strncasecmp(text, "https:", 6) != 0)
        e = fail(ERR_PROTOCOL, "it leads from https to http");
    if (e)
        return redirect_failed(a, e);
    a->is_elsewhere = a->is_elsewhere || !is_same_host(f->url, text);
    buf_clear(&a->url);
    TRY(buf_append(&a->url, buf_bytes(&to)));
    bool keeps_method = f->status == 307 || f->status == 308 || !strcmp(a->method, "HEAD");
    if (!keeps_method) {
        a->method = "GET";
        a->body = BYTES_NONE;
    }
    return OK;
}

static err_t follow(task_t *t, http_answer_t *a)
{
    for (size_t i = 1;; i++) {
        TRY(ask(t, a));
        const char *location = redirect_of(a);
        if (!location)
            return OK;
        if (i == REQUESTS_MAX)
            return redirect_failed(a, fail(ERR_PROTOCOL, "stopped after %d redirects", REQUESTS_MAX));
        TRY(go_on(a, location));
        end_request(t, a);
    }
}

static err_t set_up_decoding(http_answer_t *a)
{
    const char *coding = http_client_field(&a->http, "Content-Encoding");
    bool is_gzip = coding && !strcasecmp(coding, "gzip") && a->f->is_content && !asks_for(a->f, "Range");
    return is_gzip ? gunzip_new(&a->gunzip) : OK;
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */
/* A service's caller says whom it asked; who reads content may have named many URLs. */
static err_t with_url(const http_answer_t *a, err_t e)
{
    return e && a->f->is_content ? fail_also(e, "Get \"%s\"", a->shown) : e;
}

err_t http_answer_open(task_t *t, http_fetch_t *f, http_answer_t **ret)
{
    http_answer_t *a = xcalloc(1, sizeof *a);
    *a = (http_answer_t){.f = f, .method = f->method ? f->method : "GET", .body = f->body};
    a->in = xmalloc(HTTP_LINK_PIECE);
    buf_init(&a->url, URL_MAX_BYTES + 1);
    buf_init(&a->place, 5 * URL_MAX_BYTES);
    url_show(f->url, a->shown);
    err_t e = strlen(f->url) > URL_MAX_BYTES ? fail(ERR_USAGE, "the URL is too long")
                                             : buf_append(&a->url, bytes_str(f->url));
    if (!e)
        e = follow(t, a);
    if (!e)
        e = set_up_decoding(a);
    if (e) {
        e = with_url(a, e);
        error_slot_t why = *error_slot();
        http_answer_close(t, a);
        *error_slot() = why;
        return e;
    }
    *ret = a;
    return OK;
}

const char *http_answer_field(const http_answer_t *a, const char *name)
{
    return http_client_field(&a->http, name);
}

static err_t read_decoded(task_t *t, http_answer_t *a, uint8_t *out, size_t cap, size_t *ret_n)
{
    for (;;) {
        TRY(gunzip_feed(a->gunzip, &a->data, out, cap, ret_n));
        if (*ret_n)
            return OK;
        TRY(advance(t, a));
        if (!a->data.len)
            return gunzip_is_whole(a->gunzip) ? OK : fail(ERR_EOF, "what came compressed was cut short");
    }
}

/* Bytes of the body, borrowed until the next call; none at its end. */
static err_t next_piece(task_t *t, http_answer_t *a, bytes_t *ret)
{
    size_t n;
    if (!a->gunzip) {
        TRY(advance(t, a));
        *ret = a->data;
        a->data = BYTES_NONE;
        return OK;
    }
    if (!a->plain)
        a->plain = xmalloc(HTTP_LINK_PIECE);
    TRY(read_decoded(t, a, a->plain, HTTP_LINK_PIECE, &n));
    *ret = bytes_of(a->plain, n);
    return OK;
}

err_t http_answer_read(task_t *t, http_answer_t *a, uint8_t *out, size_t cap, size_t *ret_n)
{
    err_t e = a->gunzip ? read_decoded(t, a, out, cap, ret_n) : advance(t, a);
    if (e || a->gunzip)
        return with_url(a, e);
    size_t n = a->data.len < cap ? a->data.len : cap;
    if (n)
        memcpy(out, a->data.data, n);
    a->data = bytes_slice(a->data, n, a->data.len);
    *ret_n = n;
    return OK;
}

void http_answer_close(task_t *t, http_answer_t *a)
{
    if (!a)
        return;
    end_request(t, a);
    gunzip_free(a->gunzip);
    secret_wipe(a->url.data, a->url.len);
    secret_wipe(a->place.data, a->place.len);
    buf_deinit(&a->url);
    buf_deinit(&a->place);
    free(a->plain);
    free(a->in);
    free(a);
}

static err_t hand_on(task_t *t, http_answer_t *a)
{
    bytes_t piece;
    for (;;) {
        TRY(next_piece(t, a, &piece));
        if (!piece.len)
            return OK;
        if (a->f->on_body)
            TRY(a->f->on_body(t, a->f->arg, piece));
    }
}

err_t http_fetch(task_t *t, http_fetch_t *f)
{
    http_answer_t *a;
    TRY(http_answer_open(t, f, &a));
    err_t e = hand_on(t, a);
    error_slot_t why = *error_slot();
    http_answer_close(t, a);
    *error_slot() = why;
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
