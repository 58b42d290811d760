#include "wire/http2.h"
#include "base/list.h"
#include "base/queue.h"
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

enum { FIELDS_PER_MESSAGE = 32 };

struct http2 {
    nghttp2_session *session;
    http2_config_t config;
    list_t all;     /* streams that are not freed yet */
    list_t streams; /* those that the session knows */
    list_t news;
    size_t count;
    err_t failure;
};

struct http2_stream {
    list_t all_node, node, news_node;
    http2_t *h; /* NULL: the session has let go */
    int32_t id;
    void *user;
    uint8_t news;
    buf_t head, trailers; /* name NUL value NUL … */
    queue_t in, out;
    bool is_user, has_head, is_in_end, is_out_end, has_trailers, is_over_limit;
    bool is_deferred; /* nghttp2 waits for nghttp2_session_resume_data */
    bool has_responded;
    buf_t out_trailers; /* as head */
    err_t failure;
};

/* ── streams ─────────────────────────────────────────────────────────────────────────────────── */

static bool is_released(const http2_stream_t *s)
{
    return !s->is_user && !(s->news & HTTP2_NEWS_OPENED);
}

static void note(http2_stream_t *s, uint8_t news)
{
    if (!s->h || (is_released(s) && !(news & HTTP2_NEWS_OPENED)))
        return;
    s->news |= news;
    if (!list_is_linked(&s->news_node))
        list_push_back(&s->h->news, &s->news_node);
}

static http2_stream_t *stream_new(http2_t *h, int32_t id)
{
    http2_stream_t *s = xcalloc(1, sizeof *s);
    s->h = h;
    s->id = id;
    buf_init(&s->head, HTTP2_FIELDS_MAX);
    buf_init(&s->trailers, HTTP2_FIELDS_MAX);
    buf_init(&s->out_trailers, HTTP2_FIELDS_MAX);
    queue_init(&s->in, SIZE_MAX);
    queue_init(&s->out, h->config.send_queue);
    list_push_back(&h->all, &s->all_node);
    list_push_back(&h->streams, &s->node);
    h->count++;
    return s;
}

static void stream_free(http2_stream_t *s)
{
    list_remove(&s->all_node);
    list_remove(&s->news_node);
    buf_deinit(&s->head);
    buf_deinit(&s->trailers);
    buf_deinit(&s->out_trailers);
    queue_deinit(&s->in);
    queue_deinit(&s->out);
    free(s);
}

/* The session has no more to do with it. */
static void stream_leave(http2_stream_t *s, err_t failure)
{
    http2_t *h = s->h;
    if (failure && !s->failure)
        s->failure = failure;
    note(s, HTTP2_NEWS_CLOSED | HTTP2_NEWS_READABLE | HTTP2_NEWS_WRITABLE);
    list_remove(&s->node);
    h->count--;
    queue_deinit(&s->out);
    if (is_released(s))
        stream_free(s);
}

/* ── nghttp2's callbacks ─────────────────────────────────────────────────────────────────────── */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    http2_t *h = arg;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
                                             stream_new(h, frame->hd.stream_id));
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    http2_stream_t *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s || s->is_over_limit)
        return 0;
    buf_t *to = s->has_head ? &s->trailers : &s->head;
    if (memchr(name, 0, name_len) || memchr(value, 0, value_len) ||
        buf_append(to, bytes_of(name, name_len)) || buf_append_u8(to, 0) ||
        buf_append(to, bytes_of(value, value_len)) || buf_append_u8(to, 0)) {
        s->is_over_limit = true;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    http2_stream_t *s =
        frame->hd.stream_id ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
    if (!s || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        bool is_interim = frame->headers.cat != NGHTTP2_HCAT_REQUEST && !s->has_head &&
                          http2_field(s, ":status") && *http2_field(s, ":status") == '1';
        if (is_interim)
            buf_clear(&s->head);
        else if (!s->has_head)
            s->has_head = true;
        else
            s->has_trailers = true;
        note(s, frame->headers.cat == NGHTTP2_HCAT_REQUEST ? HTTP2_NEWS_OPENED : HTTP2_NEWS_READABLE);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        s->is_in_end = true;
        note(s, HTTP2_NEWS_READABLE);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *arg)
{
    http2_stream_t *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s || s->failure || is_released(s)) /* nobody reads it */
        return nghttp2_session_consume(session, id, len) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    if (queue_push(&s->in, bytes_of(data, len)))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    note(s, HTTP2_NEWS_READABLE);
    return 0;
}

/* An answer that does not wait for the end of its request (RFC 9113, 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    bool is_end = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                  (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    http2_stream_t *s = is_end ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
    if (s && is_released(s) && !s->is_in_end && !((http2_t *)arg)->config.is_client)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR)
                   ? NGHTTP2_ERR_CALLBACK_FAILURE
                   : 0;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    http2_stream_t *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s)
        return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    bool is_whole = code == NGHTTP2_NO_ERROR && s->is_in_end;
    stream_leave(s, is_whole ? OK : ERR_RESET);
    return 0;
}

static size_t make_fields(const buf_t *text, nghttp2_nv out[FIELDS_PER_MESSAGE])
{
    size_t n = 0;
    for (uint8_t *p = text->data, *end = p + text->len; p && p < end && n < FIELDS_PER_MESSAGE; n++) {
        size_t name_len = strlen((char *)p), value_len = strlen((char *)p + name_len + 1);
        out[n] =
            (nghttp2_nv){.name = p, .value = p + name_len + 1, .namelen = name_len, .valuelen = value_len};
        p += name_len + value_len + 2;
    }
    return n;
}

static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    http2_stream_t *s = source->ptr;
    size_t n = queue_read(&s->out, out, cap);
    if (!s->out.len && s->is_out_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->out_trailers.len) {
            nghttp2_nv fields[FIELDS_PER_MESSAGE];
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(session, id, fields, make_fields(&s->out_trailers, fields)))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    } else if (!n) {
        s->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        note(s, HTTP2_NEWS_WRITABLE);
    return (ssize_t)n;
}

/* ── the session ─────────────────────────────────────────────────────────────────────────────── */

void http2_config_default(bool is_client, http2_config_t *ret)
{
    *ret = (http2_config_t){.is_client = is_client,
                            .max_streams = is_client ? 0 : 64,
                            .stream_window = 1u << 20,
                            .window = 4u << 20,
                            .send_queue = 512u << 10};
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c = NULL;
    if (nghttp2_session_callbacks_new(&c))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    return c;
}

static err_t open_session(http2_t *h)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *option = NULL;
    int failed = !callbacks || nghttp2_option_new(&option);
    if (!failed) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_settings(option, 32);
        failed = h->config.is_client ? nghttp2_session_client_new2(&h->session, callbacks, h, option)
                                     : nghttp2_session_server_new2(&h->session, callbacks, h, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return failed ? fail(ERR_NO_MEMORY, "no memory for HTTP/2") : OK;
}

err_t http2_new(const http2_config_t *c, http2_t **ret)
{
    http2_t *h = xcalloc(1, sizeof *h);
    h->config = *c;
    list_init(&h->all);
    list_init(&h->streams);
    list_init(&h->news);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, c->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_FIELDS_MAX},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->max_streams},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    err_t e = open_session(h);
    if (!e && (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                       c->is_client ? ARRAY_LEN(settings) : ARRAY_LEN(settings) - 1) ||
               nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, (int32_t)c->window)))
        e = fail(ERR_NO_MEMORY, "no memory for HTTP/2");
    if (e) {
        http2_free(h);
        return e;
    }
    *ret = h;
    return OK;
}

void http2_free(http2_t *h)
{
    if (!h)
        return;
    LIST_EACH (s, &h->streams, http2_stream_t, node)
        stream_leave(s, ERR_RESET);
    LIST_EACH (s, &h->all, http2_stream_t, all_node) {
        list_remove(&s->all_node);
        list_remove(&s->news_node);
        s->h = NULL;
        if (!s->is_user)
            stream_free(s);
    }
    nghttp2_session_del(h->session);
    free(h);
}

err_t http2_feed(http2_t *h, bytes_t in)
{
    if (h->failure)
        return fail(h->failure, "this HTTP/2 connection has failed");
    ssize_t n = nghttp2_session_mem_recv(h->session, in.data, in.len);
    if (n >= 0 && (size_t)n == in.len)
        return OK;
    h->failure = n == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : n == NGHTTP2_ERR_FLOODED ? ERR_LIMIT : ERR_PROTOCOL;
    return fail(h->failure, "HTTP/2: %s", n < 0 ? nghttp2_strerror((int)n) : "bytes behind the end");
}

err_t http2_output(http2_t *h, bytes_t *ret_piece)
{
    const uint8_t *data = NULL;
    ssize_t n = nghttp2_session_mem_send(h->session, &data);
    if (n < 0) {
        h->failure = n == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_PROTOCOL;
        return fail(h->failure, "HTTP/2: %s", nghttp2_strerror((int)n));
    }
    *ret_piece = bytes_of(data, (size_t)n);
    return OK;
}

bool http2_is_over(const http2_t *h)
{
    return h->failure || (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
}

void http2_end_session(http2_t *h)
{
    /* An error is one of memory: then the peer sees the end of the connection alone. */
    if (!h->failure &&
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR, NULL, 0))
        h->failure = ERR_NO_MEMORY;
}

size_t http2_stream_count(const http2_t *h)
{
    return h->count;
}

bool http2_next_event(http2_t *h, http2_event_t *ret_event)
{
    http2_stream_t *s = LIST_FIRST(&h->news, http2_stream_t, news_node);
    if (!s)
        return false;
    list_remove(&s->news_node);
    *ret_event = (http2_event_t){.stream = s, .user = s->user, .news = s->news};
    s->news = 0;
    s->is_user = true;
    return true;
}

/* ── what the user does with a stream ────────────────────────────────────────────────────────── */

/* The texts are copied by nghttp2. */
static err_t gather(const http_field_t *fields, size_t n, nghttp2_nv out[FIELDS_PER_MESSAGE])
{
    if (n > FIELDS_PER_MESSAGE)
        return fail(ERR_LIMIT, "a message has at most %d fields", FIELDS_PER_MESSAGE);
    for (size_t i = 0; i < n; i++)
        out[i] = (nghttp2_nv){.name = (uint8_t *)fields[i].name,
                              .value = (uint8_t *)fields[i].value,
                              .namelen = strlen(fields[i].name),
                              .valuelen = strlen(fields[i].value)};
    return OK;
}

err_t http2_request(http2_t *h, const http_field_t *fields, size_t n, void *user, http2_stream_t **ret)
{
    nghttp2_nv list[FIELDS_PER_MESSAGE];
    TRY(gather(fields, n, list));
    if (h->failure || !nghttp2_session_check_request_allowed(h->session))
        return fail(ERR_CLOSED, "this HTTP/2 connection takes no more requests");
    if (h->count >= nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
        return ERR_AGAIN;
    http2_stream_t *s = stream_new(h, 0);
    nghttp2_data_provider source = {.source.ptr = s, .read_callback = give_data};
    s->id = nghttp2_submit_request(h->session, NULL, list, n, &source, s);
    if (s->id < 0) {
        list_remove(&s->node);
        h->count--;
        stream_free(s);
        return fail(ERR_CLOSED, "this HTTP/2 connection takes no more requests");
    }
    s->user = user;
    s->is_user = true;
    *ret = s;
    return OK;
}

void http2_set_user(http2_stream_t *s, void *user)
{
    s->user = user;
}

static bool is_gone(const http2_stream_t *s)
{
    return !s->h || s->failure || !list_is_linked(&s->node);
}

err_t http2_respond(http2_stream_t *s, const http_field_t *fields, size_t n, bool has_content)
{
    nghttp2_nv list[FIELDS_PER_MESSAGE];
    TRY(gather(fields, n, list));
    assert(!s->has_responded);
    if (is_gone(s))
        return fail(ERR_RESET, "the stream is gone");
    nghttp2_data_provider source = {.source.ptr = s, .read_callback = give_data};
    s->has_responded = true;
    s->is_out_end = !has_content;
    if (nghttp2_submit_response(s->h->session, s->id, list, n, has_content ? &source : NULL))
        return fail(ERR_NO_MEMORY, "no memory for an answer");
    return OK;
}

size_t http2_room(const http2_stream_t *s)
{
    return is_gone(s) ? 0 : queue_room(&s->out);
}

static err_t resume(http2_stream_t *s)
{
    if (!s->is_deferred)
        return OK;
    s->is_deferred = false;
    return nghttp2_session_resume_data(s->h->session, s->id) ? fail(ERR_RESET, "the stream is gone") : OK;
}

err_t http2_write(http2_stream_t *s, bytes_t data)
{
    if (is_gone(s) || s->is_out_end)
        return fail(ERR_RESET, "the stream is gone");
    if (queue_room(&s->out) < data.len)
        return ERR_AGAIN;
    TRY(queue_push(&s->out, data));
    return resume(s);
}

err_t http2_end(http2_stream_t *s, const http_field_t *trailers, size_t n)
{
    if (is_gone(s) || s->is_out_end)
        return fail(ERR_RESET, "the stream is gone");
    for (size_t i = 0; i < n; i++) {
        TRY(buf_append(&s->out_trailers, bytes_of(trailers[i].name, strlen(trailers[i].name) + 1)));
        TRY(buf_append(&s->out_trailers, bytes_of(trailers[i].value, strlen(trailers[i].value) + 1)));
    }
    s->is_out_end = true;
    return resume(s);
}

/* What was read makes room for more. */
static err_t give_back(http2_stream_t *s, size_t n)
{
    if (!s->h || s->h->failure || !n)
        return OK;
    int e = list_is_linked(&s->node) ? nghttp2_session_consume(s->h->session, s->id, n)
                                     : nghttp2_session_consume_connection(s->h->session, n);
    return e == NGHTTP2_ERR_NOMEM ? fail(ERR_NO_MEMORY, "no memory for HTTP/2") : OK;
}

err_t http2_read(http2_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t n = queue_read(&s->in, out, cap);
    if (n) {
        TRY(give_back(s, n));
        *ret_n = n;
        return OK;
    }
    if (s->is_in_end) {
        *ret_n = 0;
        return OK;
    }
    return s->failure ? fail(s->failure, "the other side gave the stream up") : ERR_AGAIN;
}

bool http2_has_head(const http2_stream_t *s)
{
    return s->has_head;
}

static const char *find_field(const buf_t *text, const char *name)
{
    for (size_t at = 0; at < text->len;) {
        const char *here = (const char *)text->data + at;
        size_t len = strlen(here);
        if (!strcmp(here, name))
            return here + len + 1;
        at += len + strlen(here + len + 1) + 2;
    }
    return NULL;
}

const char *http2_field(const http2_stream_t *s, const char *name)
{
    return find_field(&s->head, name);
}

const char *http2_trailer(const http2_stream_t *s, const char *name)
{
    return find_field(&s->trailers, name);
}

bool http2_has_failed(const http2_stream_t *s)
{
    return s->failure != OK;
}

void http2_reset(http2_stream_t *s)
{
    if (is_gone(s))
        return;
    s->failure = ERR_RESET;
    if (nghttp2_submit_rst_stream(s->h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL))
        s->h->failure = ERR_NO_MEMORY;
}

void http2_release(http2_stream_t *s)
{
    if (!s)
        return;
    s->is_user = false;
    s->user = NULL;
    list_remove(&s->news_node);
    s->news = 0;
    if (give_back(s, s->in.len))
        s->h->failure = ERR_NO_MEMORY;
    queue_deinit(&s->in);
    bool is_linked = s->h && list_is_linked(&s->node);
    bool may_stay = s->is_out_end && (s->is_in_end || !s->h || !s->h->config.is_client);
    if (is_linked && !may_stay)
        http2_reset(s);
    if (!is_linked)
        stream_free(s);
}
