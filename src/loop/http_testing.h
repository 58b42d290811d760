/* http_testing: a client of strings for tests of servers. */
#ifndef LOOP_HTTP_TESTING_H
#define LOOP_HTTP_TESTING_H
#include "loop/loop_testing.h"
#include <string.h>

static inline err_t read_to_end(task_t *t, stream_t *s, buf_t *out)
{
    size_t n;
    do {
        TRY(buf_reserve(out, 65536));
        TRY(stream_read(t, s, out->data + out->len, 65536, &n));
        out->len += n;
    } while (n);
    const char *text;
    return buf_cstr(out, &text);
}

/* Sends it all and reads until the server closes. */
static inline err_t talk_at(task_t *t, const net_addr_t *at, bytes_t request, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    buf_clear(out);
    TRY(net_dial(t, at, &s));
    err_t e = stream_write(t, s, request);
    if (e && e != ERR_RESET)
        return e;
    e = read_to_end(t, s, out);
    const char *text;
    return e == ERR_RESET ? buf_cstr(out, &text) : e;
}

static inline bool has(const buf_t *b, const char *text)
{
    return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static inline bool ends_with(const buf_t *b, const char *text)
{
    size_t len = strlen(text);
    return b->len >= len && !memcmp(b->data + b->len - len, text, len);
}

/* Reads one answer with a Content-Length, leaving the connection open. */
static inline err_t read_one(task_t *t, stream_t *s, buf_t *out)
{
    buf_clear(out);
    char *end = NULL;
    while (!end) {
        uint8_t byte;
        TRY(stream_read_full(t, s, &byte, 1));
        TRY(buf_append_u8(out, byte));
        end = memmem(out->data, out->len, "\r\n\r\n", 4);
    }
    char *length = memmem(out->data, out->len, "Content-Length: ", 16);
    CHECK(length);
    size_t n = strtoul(length + 16, NULL, 10);
    TRY(buf_reserve(out, n));
    TRY(stream_read_full(t, s, out->data + out->len, n));
    out->len += n;
    return OK;
}
#endif
