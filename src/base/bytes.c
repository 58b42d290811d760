#include "base/bytes.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool bytes_equal(bytes_t a, bytes_t b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

int bytes_compare(bytes_t a, bytes_t b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool bytes_starts_with(bytes_t a, bytes_t prefix)
{
    return a.len >= prefix.len && (!prefix.len || !memcmp(a.data, prefix.data, prefix.len));
}

bytes_t bytes_slice(bytes_t a, size_t from, size_t len)
{
    if (from > a.len)
        from = a.len;
    if (len > a.len - from)
        len = a.len - from;
    return bytes_of(from ? a.data + from : a.data, len);
}

bool bytes_equal_secret(bytes_t a, bytes_t b)
{
    if (a.len != b.len)
        return false;
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference = difference | (uint8_t)(a.data[i] ^ b.data[i]);
    return difference == 0;
}

void secret_wipe(void *data, size_t len)
{
    if (len)
        explicit_bzero(data, len);
}

void buf_init(buf_t *b, size_t max_bytes)
{
    *b = (buf_t){.max = max_bytes};
}

void buf_deinit(buf_t *b)
{
    free(b->data);
    *b = (buf_t){.max = b->max};
}

/* Capacity for `need` bytes; one byte over max is allowed, for the NUL of buf_cstr. */
static err_t grow(buf_t *b, size_t need)
{
    if (need <= b->cap)
        return OK;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (b->max < SIZE_MAX && cap > b->max + 1)
        cap = b->max + 1;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return fail(ERR_NO_MEMORY, "no memory for a buffer of %zu bytes", cap);
    b->data = data;
    b->cap = cap;
    return OK;
}

err_t buf_reserve(buf_t *b, size_t more)
{
    if (more > b->max || b->len > b->max - more)
        return fail(ERR_LIMIT, "%zu bytes more than %zu exceed the buffer's limit of %zu", more, b->len,
                    b->max);
    return grow(b, b->len + more);
}

err_t buf_append(buf_t *b, bytes_t data)
{
    TRY(buf_reserve(b, data.len));
    if (data.len)
        memcpy(b->data + b->len, data.data, data.len);
    b->len += data.len;
    return OK;
}

err_t buf_append_u8(buf_t *b, uint8_t value)
{
    return buf_append(b, bytes_of(&value, 1));
}

err_t buf_printf(buf_t *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);
    err_t e = buf_reserve(b, (size_t)n);
    if (!e)
        e = grow(b, b->len + (size_t)n + 1);
    if (!e) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return e;
}

void buf_clear(buf_t *b)
{
    b->len = 0;
}

void buf_wipe(buf_t *b)
{
    if (b->data)
        secret_wipe(b->data, b->cap);
    b->len = 0;
}

void buf_consume(buf_t *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len && n)
        memmove(b->data, b->data + n, b->len);
}

err_t buf_cstr(buf_t *b, const char **ret_text)
{
    TRY(grow(b, b->len + 1));
    b->data[b->len] = 0;
    *ret_text = (const char *)b->data;
    return OK;
}

uint8_t *buf_take(buf_t *b, size_t *ret_len)
{
    uint8_t *data = b->data;
    *ret_len = b->len;
    *b = (buf_t){.max = b->max};
    return data;
}

static void *checked(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return checked(strdup(s));
}

static const char digits[] = "0123456789abcdef";

err_t hex_encode(bytes_t in, buf_t *out)
{
    if (in.len > SIZE_MAX / 2)
        return fail(ERR_LIMIT, "%zu bytes are too many for hex", in.len);
    TRY(buf_reserve(out, in.len * 2));
    for (size_t i = 0; i < in.len; i++) {
        out->data[out->len++] = (uint8_t)digits[in.data[i] >> 4];
        out->data[out->len++] = (uint8_t)digits[in.data[i] & 15];
    }
    return OK;
}

const char *hex_text(bytes_t in, char *out, size_t cap)
{
    assert(cap > 2 * in.len);
    for (size_t i = 0; i < in.len; i++) {
        out[2 * i] = digits[in.data[i] >> 4];
        out[2 * i + 1] = digits[in.data[i] & 15];
    }
    out[2 * in.len] = 0;
    return out;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

err_t hex_decode(bytes_t text, buf_t *out)
{
    if (text.len % 2)
        return fail(ERR_INVALID, "hex text has an odd length of %zu", text.len);
    for (size_t i = 0; i < text.len; i++)
        if (hex_value(text.data[i]) < 0)
            return fail(ERR_INVALID, "byte 0x%02x at %zu is no hex digit", text.data[i], i);
    TRY(buf_reserve(out, text.len / 2));
    for (size_t i = 0; i < text.len; i += 2)
        out->data[out->len++] = (uint8_t)(hex_value(text.data[i]) << 4 | hex_value(text.data[i + 1]));
    return OK;
}
