#include "wire/http_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define OUTPUT_MAX_BYTES (1024 * 1024)
#define CHUNK_FRAME_MAX 32 /* size line and end of a chunk that we send, and the last chunk */

void http_client_init(http_client_t *c, size_t max_output_bytes)
{
    *c = (http_client_t){.state = HTTP_IDLE, .keep_alive = true};
    buf_init(&c->out, max_output_bytes ? max_output_bytes : OUTPUT_MAX_BYTES);
    buf_init(&c->line, HTTP_CLIENT_HEAD_MAX);
    buf_init(&c->text, HTTP_CLIENT_HEAD_MAX);
    buf_init(&c->trailer_text, HTTP_CLIENT_HEAD_MAX);
}

void http_client_deinit(http_client_t *c)
{
    buf_deinit(&c->out);
    buf_deinit(&c->line);
    buf_deinit(&c->text);
    buf_deinit(&c->trailer_text);
}

/* ── the request ─────────────────────────────────────────────────────────────────────────────── */

/* Token characters of RFC 9110, 5.6.2. */
static bool is_token(bytes_t s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t ch = s.data[i];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');
        if (!is_alnum && (ch == 0 || !strchr("!#$%&'*+-.^_`|~", ch)))
            return false;
    }
    return s.len > 0;
}

/* Visible characters and bytes above ASCII; with `blanks`, also space and tab. */
static bool is_text(bytes_t s, bool blanks)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t ch = s.data[i];
        if (ch == 0x7f || (ch < 0x21 && !(blanks && (ch == ' ' || ch == '\t'))))
            return false;
    }
    return true;
}

static bool is_valid_request(const http_request_t *r)
{
    if (!is_token(bytes_str(r->method)) || !r->target[0] || !is_text(bytes_str(r->target), false) ||
        !r->host[0] || !is_text(bytes_str(r->host), false))
        return false;
    for (size_t i = 0; i < r->n_fields; i++)
        if (!is_token(bytes_str(r->fields[i].name)) || !is_text(bytes_str(r->fields[i].value), true))
            return false;
    return true;
}

static err_t write_request(http_client_t *c, const http_request_t *r)
{
    TRY(buf_printf(&c->out, "%s %s HTTP/1.1\r\nHost: %s\r\n", r->method, r->target, r->host));
    for (size_t i = 0; i < r->n_fields; i++)
        TRY(buf_printf(&c->out, "%s: %s\r\n", r->fields[i].name, r->fields[i].value));
    if (r->body == HTTP_BODY_CHUNKED)
        return buf_append(&c->out, BYTES_LIT("Transfer-Encoding: chunked\r\n\r\n"));
    if (r->body == HTTP_BODY_LENGTH)
        return buf_printf(&c->out, "Content-Length: %llu\r\n\r\n", (unsigned long long)r->body_bytes);
    /* A POST without a body says so: some servers wait otherwise (RFC 9110, 8.6). */
    if (!strcmp(r->method, "POST") || !strcmp(r->method, "PUT"))
        TRY(buf_append(&c->out, BYTES_LIT("Content-Length: 0\r\n")));
    return buf_append(&c->out, BYTES_LIT("\r\n"));
}

err_t http_client_request(http_client_t *c, const http_request_t *r)
{
    if (c->state != HTTP_IDLE || c->sending)
        return fail(ERR_INVALID, "an HTTP request is still running on this connection");
    if (!is_valid_request(r))
        return fail(ERR_INVALID, "an HTTP request with bytes that its syntax does not allow");
    size_t before = c->out.len;
    err_t e = write_request(c, r);
    if (e) {
        c->out.len = before;
        return e;
    }
    c->state = HTTP_HEAD;
    c->is_head_request = !strcmp(r->method, "HEAD");
    c->sending = r->body == HTTP_BODY_CHUNKED  ? HTTP_SEND_CHUNKED
                 : r->body == HTTP_BODY_LENGTH ? HTTP_SEND_LENGTH
                                               : HTTP_SEND_NONE;
    c->send_left = r->body == HTTP_BODY_LENGTH ? r->body_bytes : 0;
    buf_clear(&c->text);
    buf_clear(&c->trailer_text);
    c->n_fields = c->n_head_fields = 0;
    c->status = 0;
    return OK;
}

size_t http_client_output_room(const http_client_t *c)
{
    size_t used = c->out.len - c->out_sent;
    return c->out.max - used > CHUNK_FRAME_MAX ? c->out.max - used - CHUNK_FRAME_MAX : 0;
}

static void drop_sent(http_client_t *c)
{
    buf_consume(&c->out, c->out_sent);
    c->out_sent = 0;
}

err_t http_client_write_body(http_client_t *c, bytes_t data)
{
    if (!c->sending)
        return fail(ERR_INVALID, "an HTTP body was written where none was announced");
    if (c->sending == HTTP_SEND_LENGTH && data.len > c->send_left)
        return fail(ERR_INVALID, "an HTTP body is longer than was announced");
    if (!data.len) /* an empty chunk would end the body */
        return OK;
    if (data.len > http_client_output_room(c))
        return fail(ERR_LIMIT, "an HTTP request waits to be sent (%zu bytes)", c->out.len - c->out_sent);
    drop_sent(c);
    if (c->sending == HTTP_SEND_LENGTH) {
        TRY(buf_append(&c->out, data));
        c->send_left -= data.len;
        return OK;
    }
    TRY(buf_reserve(&c->out, data.len + CHUNK_FRAME_MAX));
    TRY(buf_printf(&c->out, "%zx\r\n", data.len));
    TRY(buf_append(&c->out, data));
    return buf_append(&c->out, BYTES_LIT("\r\n"));
}

err_t http_client_end_body(http_client_t *c)
{
    if (!c->sending || c->send_left)
        return fail(ERR_INVALID, "an HTTP body is %llu bytes shorter than was announced",
                    (unsigned long long)c->send_left);
    if (c->sending == HTTP_SEND_CHUNKED) {
        drop_sent(c);
        TRY(buf_append(&c->out, BYTES_LIT("0\r\n\r\n")));
    }
    c->sending = HTTP_SEND_NONE;
    return OK;
}

bool http_client_is_sending(const http_client_t *c)
{
    return c->sending != HTTP_SEND_NONE;
}

bytes_t http_client_output(const http_client_t *c)
{
    return bytes_slice(buf_bytes(&c->out), c->out_sent, c->out.len);
}

void http_client_output_sent(http_client_t *c, size_t n)
{
    assert(n <= c->out.len - c->out_sent);
    c->out_sent += n;
    if (c->out_sent == c->out.len) {
        buf_clear(&c->out);
        c->out_sent = 0;
    }
}

/* ── fields ──────────────────────────────────────────────────────────────────────────────────── */

static buf_t *text_of_part(http_client_t *c)
{
    return c->state == HTTP_TRAILERS ? &c->trailer_text : &c->text;
}

/* While fields come in, names and values are offsets into the text, which may still move. */
static const char *as_offset(size_t offset)
{
    return (const char *)(uintptr_t)offset;
}

static void fix_offsets(http_client_t *c, size_t from)
{
    const char *text = (const char *)text_of_part(c)->data;
    for (size_t i = from; i < c->n_fields; i++) {
        c->fields[i].name = text + (uintptr_t)c->fields[i].name;
        c->fields[i].value = text + (uintptr_t)c->fields[i].value;
    }
}

static bytes_t trim(bytes_t s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = bytes_slice(s, 1, s.len);
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static err_t add_text(http_client_t *c, bytes_t s, const char **ret_offset)
{
    buf_t *text = text_of_part(c);
    *ret_offset = as_offset(text->len);
    TRY(buf_append(text, s));
    return buf_append_u8(text, 0);
}

static err_t add_field(http_client_t *c, bytes_t line)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);
    if (!colon)
        return fail(ERR_PROTOCOL, "an HTTP header line without a colon");
    bytes_t name = bytes_of(line.data, (size_t)(colon - line.data));
    bytes_t value = trim(bytes_slice(line, name.len + 1, line.len));
    /* Folded lines are gone from the protocol (RFC 9112, 5.2), and a blank before the colon has been a
     * way to smuggle: both fail here. */
    if (!is_token(name) || !is_text(value, true))
        return fail(ERR_PROTOCOL, "a malformed HTTP header line");
    if (c->n_fields == HTTP_CLIENT_FIELDS_MAX)
        return fail(ERR_LIMIT, "more than %d HTTP headers", HTTP_CLIENT_FIELDS_MAX);
    http_field_t *f = &c->fields[c->n_fields];
    TRY(add_text(c, name, &f->name));
    TRY(add_text(c, value, &f->value));
    c->n_fields++;
    return OK;
}

/* The lines of a head or trailer part: `part` ends with the empty line. `ret_first` gets the first line
 * when the caller wants it (NULL: it is a field as well). */
static err_t parse_lines(http_client_t *c, bytes_t part, bytes_t *ret_first)
{
    size_t first_field = c->n_fields;
    bool is_first = ret_first != NULL;
    while (part.len) {
        const uint8_t *lf = memchr(part.data, '\n', part.len);
        assert(lf);
        bytes_t line = bytes_of(part.data, (size_t)(lf - part.data));
        part = bytes_slice(part, line.len + 1, part.len);
        if (line.len && line.data[line.len - 1] == '\r')
            line.len--;
        if (is_first)
            *ret_first = line;
        else if (line.len)
            TRY(add_field(c, line));
        is_first = false;
    }
    fix_offsets(c, first_field);
    return OK;
}

const char *http_client_field(const http_client_t *c, const char *name)
{
    for (size_t i = 0; i < c->n_head_fields; i++)
        if (!strcasecmp(c->fields[i].name, name))
            return c->fields[i].value;
    return NULL;
}

/* Is `token` in the comma-separated list of any field with this name? */
static bool has_token(const http_client_t *c, const char *name, const char *token)
{
    for (size_t i = 0; i < c->n_head_fields; i++) {
        if (strcasecmp(c->fields[i].name, name))
            continue;
        const char *at = c->fields[i].value;
        while (*at) {
            size_t len = strcspn(at, ",");
            bytes_t item = trim(bytes_of(at, len));
            if (item.len == strlen(token) && !strncasecmp((const char *)item.data, token, item.len))
                return true;
            at += len + (at[len] == ',');
        }
    }
    return false;
}

/* ── the answer's head ───────────────────────────────────────────────────────────────────────── */

static err_t parse_status(http_client_t *c, bytes_t line)
{
    /* "HTTP/1.1 200 OK"; the reason and the blank before it may be missing */
    bool is_ok = line.len >= 12 && bytes_starts_with(line, BYTES_LIT("HTTP/1.")) &&
                 (line.data[7] == '0' || line.data[7] == '1') && line.data[8] == ' ' &&
                 (line.len == 12 || line.data[12] == ' ');
    int status = 0;
    for (size_t i = 9; i < 12 && is_ok; i++) {
        is_ok = line.data[i] >= '0' && line.data[i] <= '9';
        status = status * 10 + (line.data[i] - '0');
    }
    if (!is_ok || status < 100)
        return fail(ERR_PROTOCOL, "the other side does not speak HTTP/1.1");
    c->status = status;
    c->keep_alive = line.data[7] == '1';
    return OK;
}

/* Digits of `base` (10 or 16), nothing else, no overflow. */
static bool parse_number(bytes_t s, unsigned base, uint64_t *ret)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t ch = s.data[i] | 0x20;
        unsigned digit = s.data[i] >= '0' && s.data[i] <= '9' ? s.data[i] - '0'
                         : ch >= 'a' && ch <= 'f'             ? ch - 'a' + 10u
                                                              : 99u;
        if (digit >= base || n > (UINT64_MAX - digit) / base)
            return false;
        n = n * base + digit;
    }
    *ret = n;
    return s.len > 0;
}

static err_t parse_length(http_client_t *c, bool *ret_has, uint64_t *ret_length)
{
    bool has = false;
    uint64_t length = 0;
    for (size_t i = 0; i < c->n_head_fields; i++) {
        if (strcasecmp(c->fields[i].name, "Content-Length"))
            continue;
        uint64_t n;
        if (!parse_number(bytes_str(c->fields[i].value), 10, &n) || (has && n != length))
            return fail(ERR_PROTOCOL, "a malformed Content-Length");
        has = true;
        length = n;
    }
    *ret_has = has;
    *ret_length = length;
    return OK;
}

static void end_answer(http_client_t *c)
{
    c->state = HTTP_ENDED;
    c->has_end_event = true;
}

/* How long is the body? RFC 9112, 6.3. */
static err_t choose_body(http_client_t *c)
{
    bool has_length = false;
    uint64_t length = 0;
    TRY(parse_length(c, &has_length, &length));
    if (has_token(c, "Connection", "close"))
        c->keep_alive = false;
    else if (has_token(c, "Connection", "keep-alive"))
        c->keep_alive = true;
    const char *coding = http_client_field(c, "Transfer-Encoding");
    if (c->is_head_request || c->status == 204 || c->status == 304) {
        end_answer(c);
    } else if (coding) {
        /* Both lengths at once: somebody between us and the server reads it otherwise. */
        if (strcasecmp(coding, "chunked") || has_length)
            return fail(ERR_PROTOCOL, "an HTTP answer with the transfer coding \"%s\"", coding);
        c->state = HTTP_CHUNK_SIZE;
    } else if (has_length) {
        c->left = length;
        if (length)
            c->state = HTTP_LENGTH;
        else
            end_answer(c);
    } else {
        c->state = HTTP_UNTIL_CLOSE;
        c->keep_alive = false;
    }
    return OK;
}

static err_t take_head(http_client_t *c, bytes_t part)
{
    bytes_t first = BYTES_NONE;
    TRY(parse_lines(c, part, &first));
    TRY(parse_status(c, first));
    c->n_head_fields = c->n_fields;
    if (c->status == 101)
        return fail(ERR_PROTOCOL, "an HTTP answer switches protocols, which nobody asked for");
    if (c->status < 200) { /* 100 Continue and other interim answers */
        buf_clear(&c->text);
        c->n_fields = c->n_head_fields = 0;
        return OK;
    }
    c->has_head_event = true;
    return choose_body(c);
}

static err_t take_chunk_size(http_client_t *c, bytes_t line)
{
    const uint8_t *semicolon = memchr(line.data, ';', line.len); /* extensions mean nothing to us */
    bytes_t size = trim(semicolon ? bytes_of(line.data, (size_t)(semicolon - line.data)) : line);
    if (!parse_number(size, 16, &c->left))
        return fail(ERR_PROTOCOL, "a malformed chunk size in an HTTP answer");
    c->state = c->left ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
    return OK;
}

static err_t take_trailers(http_client_t *c, bytes_t part)
{
    TRY(parse_lines(c, part, NULL));
    c->has_trailer_event = c->n_fields > c->n_head_fields;
    end_answer(c);
    return OK;
}

/* ── input ───────────────────────────────────────────────────────────────────────────────────── */

/* Does the collected part end at this line feed? A line: always. A head or trailer part: when the line
 * is empty. */
static bool is_part_end(const http_client_t *c, size_t lf)
{
    if (c->state == HTTP_CHUNK_SIZE || c->state == HTTP_CHUNK_END)
        return true;
    const uint8_t *d = c->line.data;
    if (lf > 0 && d[lf - 1] == '\r')
        lf--;
    return lf == 0 ? c->state == HTTP_TRAILERS : d[lf - 1] == '\n';
}

/* Moves bytes into `line` up to the end of the part. ret_done says that it is whole. */
static err_t collect(http_client_t *c, bytes_t in, size_t *ret_used, bool *ret_done)
{
    size_t used = 0;
    *ret_done = false;
    while (used < in.len && !*ret_done) {
        const uint8_t *lf = memchr(in.data + used, '\n', in.len - used);
        size_t n = lf ? (size_t)(lf - in.data) + 1 - used : in.len - used;
        bool is_line = c->state == HTTP_CHUNK_SIZE || c->state == HTTP_CHUNK_END;
        size_t max = is_line ? HTTP_CLIENT_LINE_MAX : HTTP_CLIENT_HEAD_MAX;
        if (n > max - c->line.len)
            return fail(ERR_LIMIT, "an HTTP answer with %s over %zu bytes", is_line ? "a line" : "headers",
                        max);
        TRY(buf_append(&c->line, bytes_of(in.data + used, n)));
        used += n;
        *ret_done = lf && is_part_end(c, c->line.len - 1);
    }
    *ret_used = used;
    return OK;
}

static bytes_t without_line_end(bytes_t line)
{
    line.len--;
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static err_t take_part(http_client_t *c)
{
    bytes_t part = buf_bytes(&c->line);
    switch (c->state) {
    case HTTP_HEAD:
        return take_head(c, part);
    case HTTP_CHUNK_SIZE:
        return take_chunk_size(c, without_line_end(part));
    case HTTP_CHUNK_END:
        c->state = HTTP_CHUNK_SIZE;
        return without_line_end(part).len
                   ? fail(ERR_PROTOCOL, "a chunk of an HTTP answer is longer than it says")
                   : OK;
    default:
        return take_trailers(c, part);
    }
}

static size_t take_body(http_client_t *c, bytes_t in)
{
    size_t n = c->state != HTTP_UNTIL_CLOSE && c->left < in.len ? (size_t)c->left : in.len;
    c->data = bytes_of(in.data, n);
    if (c->state == HTTP_UNTIL_CLOSE)
        return n;
    c->left -= n;
    if (!c->left && c->state == HTTP_CHUNK_DATA)
        c->state = HTTP_CHUNK_END;
    else if (!c->left)
        end_answer(c);
    return n;
}

static bool has_event(const http_client_t *c)
{
    return c->has_head_event || c->data.len || c->has_trailer_event || c->has_end_event;
}

static err_t step(http_client_t *c, bytes_t in, size_t *ret_used)
{
    if (c->state == HTTP_LENGTH || c->state == HTTP_CHUNK_DATA || c->state == HTTP_UNTIL_CLOSE) {
        *ret_used = take_body(c, in);
        return OK;
    }
    bool is_done;
    TRY(collect(c, in, ret_used, &is_done));
    if (!is_done)
        return OK;
    err_t e = take_part(c);
    buf_clear(&c->line);
    return e;
}

err_t http_client_feed(http_client_t *c, bytes_t in, size_t *ret_used)
{
    size_t used = 0;
    while (!c->failure && used < in.len && !has_event(c) && c->state != HTTP_IDLE && c->state != HTTP_ENDED) {
        size_t n = 0;
        c->failure = step(c, bytes_slice(in, used, in.len), &n);
        used += n;
    }
    if (c->failure) {
        c->state = HTTP_FAILED;
        c->data = BYTES_NONE;
        return c->failure;
    }
    *ret_used = used;
    return OK;
}

err_t http_client_feed_end(http_client_t *c)
{
    if (c->failure)
        return c->failure;
    if (c->state == HTTP_IDLE || c->state == HTTP_ENDED)
        return OK;
    if (c->state == HTTP_UNTIL_CLOSE) {
        end_answer(c);
        return OK;
    }
    c->state = HTTP_FAILED;
    c->failure = fail(ERR_EOF, "the connection ended in the middle of an HTTP answer");
    return c->failure;
}

bool http_client_next_event(http_client_t *c, http_event_t *ret_event)
{
    http_event_t ev = {.status = c->status, .keep_alive = c->keep_alive};
    if (c->has_head_event) {
        c->has_head_event = false;
        ev.kind = HTTP_EVENT_HEAD;
        ev.fields = c->fields;
        ev.n_fields = c->n_head_fields;
    } else if (c->data.len) {
        ev.kind = HTTP_EVENT_BODY;
        ev.data = c->data;
        c->data = BYTES_NONE;
    } else if (c->has_trailer_event) {
        c->has_trailer_event = false;
        ev.kind = HTTP_EVENT_TRAILER;
        ev.fields = c->fields + c->n_head_fields;
        ev.n_fields = c->n_fields - c->n_head_fields;
    } else if (c->has_end_event) {
        c->has_end_event = false;
        ev.kind = HTTP_EVENT_END;
        ev.keep_alive =
            c->keep_alive && !c->sending; /* an early answer: the rest of our body is not wanted */
        c->state = HTTP_IDLE;
    } else {
        return false;
    }
    *ret_event = ev;
    return true;
}
