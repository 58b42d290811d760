/* bytes: borrowed and owned byte strings.
 *
 * bytes_t borrows (by value, never freed); buf_t owns one contiguous allocation and never grows
 * over its maximum; queue_t (queue.h) holds chunks. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H
#include "base/error.h"
#include <string.h>

typedef struct bytes {
    const uint8_t *data; /* may be NULL only when len is 0 */
    size_t len;
} bytes_t;

static inline bytes_t bytes_of(const void *data, size_t len)
{
    return (bytes_t){(const uint8_t *)data, len};
}
static inline bytes_t bytes_str(const char *s)
{
    return bytes_of(s, strlen(s));
}
#define BYTES_LIT(s) ((bytes_t){(const uint8_t *)(s), sizeof(s) - 1})
#define BYTES_NONE ((bytes_t){NULL, 0})
bool bytes_equal(bytes_t a, bytes_t b);
int bytes_compare(bytes_t a, bytes_t b); /* memcmp order, the shorter first */
bool bytes_starts_with(bytes_t a, bytes_t prefix);
bytes_t bytes_slice(bytes_t a, size_t from, size_t len); /* clamped to a */
/* Equal, in time that depends on the length alone. For MACs, tokens, secrets. */
bool bytes_equal_secret(bytes_t a, bytes_t b);
/* Overwrites memory in a way that the compiler keeps. */
void secret_wipe(void *data, size_t len);

/* Owned bytes. Zero-initialised is valid and empty with max 0; use buf_init. */
/* Room that is to be filled: whoever gets it writes all of it. */
typedef struct span {
    uint8_t *data;
    size_t len;
} span_t;

typedef struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max; /* appends beyond it fail with ERR_LIMIT */
} buf_t;

void buf_init(buf_t *b, size_t max_bytes);
void buf_deinit(buf_t *b); /* frees; idempotent; keeps max */
AUTO_DEFINE(buf_t, buf_deinit)
MUST_CHECK err_t buf_reserve(buf_t *b, size_t more); /* room for `more` after len */
MUST_CHECK err_t buf_append(buf_t *b, bytes_t data);
MUST_CHECK err_t buf_append_u8(buf_t *b, uint8_t value);
MUST_CHECK err_t buf_printf(buf_t *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_clear(buf_t *b);             /* len = 0, memory kept */
void buf_wipe(buf_t *b);              /* the same, and all its memory is overwritten: for secrets */
void buf_consume(buf_t *b, size_t n); /* drops the first n bytes (n <= len) */
/* NUL-terminates (not counted in len) and borrows as a C string, until the next change. */
MUST_CHECK err_t buf_cstr(buf_t *b, const char **ret_text);
/* Moves the content out; the caller frees it with free(). b is empty after. */
uint8_t *buf_take(buf_t *b, size_t *ret_len);
static inline bytes_t buf_bytes(const buf_t *b)
{
    return bytes_of(b->data, b->len);
}

/* malloc that aborts the process on exhaustion: for small fixed-size structs only. What a peer or
 * a file sizes goes through a buf_t or a limit. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

/* Lower-case hex. */
MUST_CHECK err_t hex_encode(bytes_t in, buf_t *out);
/* The same into a fixed array, with a NUL behind it; cap: at least 2 * in.len + 1. Returns out. */
const char *hex_text(bytes_t in, char *out, size_t cap);
MUST_CHECK err_t hex_decode(bytes_t text, buf_t *out); /* ERR_INVALID on odd length or a non-hex digit */
#endif
