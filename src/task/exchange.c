#include "task/exchange.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ── request ─────────────────────────────────────────────────────────────────────────────────── */
const char *exchange_header(exchange_t *x, const char *name)
{
    return x->ops->header(x, name);
}

static int hex_value(uint8_t c)
{
    return !isxdigit(c) ? -1 : isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Bytes at the beginning that stand for themselves. */
static size_t plain_prefix(bytes_t text, bool plus_is_space)
{
    size_t n = 0;
    while (n < text.len && text.data[n] != '%' && (text.data[n] != '+' || !plus_is_space))
        n++;
    return n;
}

err_t percent_decode(bytes_t text, bool plus_is_space, buf_t *out)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = plain_prefix(bytes_slice(text, i, text.len), plus_is_space);
        TRY(buf_append(out, bytes_slice(text, i, n)));
        i += n;
        if (i == text.len)
            break;
        uint8_t c = ' ';
        if (text.data[i] == '%') {
            int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return fail(ERR_INVALID, "%% at byte %zu is not followed by two hex digits", i);
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        TRY(buf_append_u8(out, c));
        i++;
    }
    return OK;
}

/* RFC 3986, 2.3: the unreserved characters stay as they are. */
err_t percent_encode(bytes_t data, const char *also_safe, buf_t *out)
{
    for (size_t i = 0; i < data.len; i++) {
        uint8_t c = data.data[i];
        bool is_safe =
            (c < 0x80 && isalnum(c)) || (c && strchr("-._~", c)) || (c && also_safe && strchr(also_safe, c));
        if (is_safe)
            TRY(buf_append_u8(out, c));
        else
            TRY(buf_printf(out, "%%%02X", c));
    }
    return OK;
}

/* Takes the next name=value from *rest; both still encoded. */
static bool next_parameter(bytes_t *rest, bytes_t *ret_name, bytes_t *ret_value)
{
    while (rest->len && rest->data[0] == '&')
        *rest = bytes_slice(*rest, 1, rest->len);
    if (!rest->len)
        return false;
    const uint8_t *end = memchr(rest->data, '&', rest->len);
    bytes_t pair = bytes_slice(*rest, 0, end ? (size_t)(end - rest->data) : rest->len);
    *rest = bytes_slice(*rest, pair.len, rest->len);
    const uint8_t *equals = memchr(pair.data, '=', pair.len);
    size_t name_len = equals ? (size_t)(equals - pair.data) : pair.len;
    *ret_name = bytes_slice(pair, 0, name_len);
    *ret_value = bytes_slice(pair, name_len + 1, pair.len);
    return true;
}

/* A malformed one is nobody's. Most keys are plain; room is for those that are not. */
static bool is_key(bytes_t key, bytes_t name, buf_t *room)
{
    if (plain_prefix(key, true) == key.len)
        return bytes_equal(key, name);
    buf_clear(room);
    return !percent_decode(key, true, room) && bytes_equal(buf_bytes(room), name);
}

/* ERR_NOT_FOUND is returned bare: most parameters are optional. */
err_t exchange_query(exchange_t *x, const char *name, size_t n, buf_t *out)
{
    bytes_t rest = bytes_str(x->query), key, value;
    while (next_parameter(&rest, &key, &value)) {
        if (!is_key(key, bytes_str(name), out) || n--)
            continue;
        buf_clear(out);
        return percent_decode(value, true, out);
    }
    buf_clear(out);
    return ERR_NOT_FOUND;
}

bool exchange_query_next(exchange_t *x, size_t *at, buf_t *name, buf_t *value)
{
    bytes_t all = bytes_str(x->query), rest = bytes_slice(all, *at, all.len), key, raw;
    while (next_parameter(&rest, &key, &raw)) {
        *at = all.len - rest.len;
        buf_clear(name);
        buf_clear(value);
        if (!percent_decode(key, true, name) && !percent_decode(raw, true, value))
            return true;
    }
    return false;
}

enum { QUERY_MAX_BYTES = 16384 };

bool exchange_has_query(exchange_t *x, const char *name)
{
    AUTO(buf_t) value;
    buf_init(&value, QUERY_MAX_BYTES);
    return exchange_query(x, name, 0, &value) != ERR_NOT_FOUND;
}

bool exchange_query_bool(exchange_t *x, const char *name, bool otherwise)
{
    AUTO(buf_t) value;
    buf_init(&value, QUERY_MAX_BYTES);
    err_t e = exchange_query(x, name, 0, &value);
    if (e)
        return e == ERR_NOT_FOUND ? otherwise : false;
    bytes_t v = buf_bytes(&value);
    return !v.len || bytes_equal(v, BYTES_LIT("1")) || bytes_equal(v, BYTES_LIT("t")) ||
           (v.len == 4 && !strncasecmp((const char *)v.data, "true", 4));
}

err_t exchange_query_u64(exchange_t *x, const char *name, uint64_t otherwise, uint64_t *ret)
{
    AUTO(buf_t) value;
    buf_init(&value, QUERY_MAX_BYTES);
    err_t e = exchange_query(x, name, 0, &value);
    if (e == ERR_NOT_FOUND) {
        *ret = otherwise;
        return OK;
    }
    TRY(e);
    uint64_t v = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t digit = (uint8_t)(value.data[i] - '0');
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return fail(ERR_USAGE, "parameter %s is no number up to 2^64 - 1", name);
        v = v * 10 + digit;
    }
    if (!value.len)
        return fail(ERR_USAGE, "parameter %s is empty, wanted a number", name);
    *ret = v;
    return OK;
}

err_t exchange_read(task_t *t, exchange_t *x, uint8_t *out, size_t cap, size_t *ret_n)
{
    return x->ops->read(t, x, out, cap, ret_n);
}

err_t exchange_read_all(task_t *t, exchange_t *x, size_t max_bytes, buf_t *out)
{
    enum { STEP = 4096 };
    uint8_t part[STEP];
    buf_clear(out);
    for (;;) {
        size_t n = 0;
        TRY(exchange_read(t, x, part, sizeof part, &n));
        if (!n)
            return OK;
        if (n > max_bytes - out->len)
            return fail(ERR_LIMIT, "the request body is over %zu bytes", max_bytes);
        TRY(buf_append(out, bytes_of(part, n)));
    }
}

/* ── answer ──────────────────────────────────────────────────────────────────────────────────── */
/* RFC 9110, 5.1 and 5.5: a line break in a value would start a header of somebody else's choice. */
static err_t check_header(const char *name, const char *value)
{
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && !strchr("!#$%&'*+-.^_`|~", *p))
            return fail(ERR_INVALID, "\"%.64s\" is no header name", name);
    for (const char *p = value; *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return fail(ERR_INVALID, "the value of header %s has a control byte", name);
    return *name ? OK : fail(ERR_INVALID, "a header without a name");
}

err_t exchange_set_header(exchange_t *x, const char *name, const char *value)
{
    assert(!x->has_begun);
    TRY(check_header(name, value));
    return x->ops->set_header(x, name, value);
}

err_t exchange_begin(exchange_t *x, int status, int64_t content_length)
{
    assert(!x->has_begun && status >= 100 && status < 600);
    TRY(x->ops->begin(x, status, content_length));
    x->has_begun = true;
    x->status = status;
    return OK;
}

err_t exchange_write(task_t *t, exchange_t *x, bytes_t data)
{
    assert(x->has_begun);
    if (!data.len || !strcmp(x->method, "HEAD"))
        return OK;
    TRY(x->ops->write(t, x, data));
    x->sent_bytes += data.len;
    return OK;
}

err_t exchange_trailer(exchange_t *x, const char *name, const char *value)
{
    assert(x->has_begun);
    TRY(check_header(name, value));
    return x->ops->trailer(x, name, value);
}

bool exchange_is_gone(exchange_t *x)
{
    return x->ops->is_gone(x);
}

err_t exchange_reply(task_t *t, exchange_t *x, int status, const char *content_type, bytes_t body)
{
    if (content_type)
        TRY(exchange_set_header(x, "Content-Type", content_type));
    TRY(exchange_begin(x, status, (int64_t)body.len));
    return exchange_write(t, x, body);
}
