/* writer: appends to a buf_t; remembers the first error. */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H
#include "base/bytes.h"

typedef struct writer {
    buf_t *out; /* borrowed */
    err_t err;
} writer_t;

static inline writer_t writer_to(buf_t *out)
{
    return (writer_t){out, OK};
}
void write_u8(writer_t *w, uint8_t v);
void write_u16be(writer_t *w, uint16_t v);
void write_u32be(writer_t *w, uint32_t v);
void write_u64be(writer_t *w, uint64_t v);
void write_u32le(writer_t *w, uint32_t v);
void write_u64le(writer_t *w, uint64_t v);
void write_bytes(writer_t *w, bytes_t data);
void write_uvarint(writer_t *w, uint64_t v); /* also a protobuf varint */
void write_length_prefixed(writer_t *w, bytes_t data);

/* Varints without a writer. */
#define UVARINT_MAX_BYTES 10
static inline size_t uvarint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}
/* out: UVARINT_MAX_BYTES; bytes written */
static inline size_t uvarint_put(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}
/* Decodes a minimal uvarint at the start of `in`: OK, ERR_EOF (more bytes needed), ERR_INVALID. */
MUST_CHECK err_t uvarint_get(bytes_t in, uint64_t *ret_value, size_t *ret_used);
#endif
