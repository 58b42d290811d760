#include "base/writer.h"
#include "base/reader.h"

void write_bytes(writer_t *w, bytes_t data)
{
    if (!w->err)
        w->err = buf_append(w->out, data);
}

static void write_be(writer_t *w, uint64_t v, size_t n)
{
    uint8_t b[8];
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    write_bytes(w, bytes_of(b, n));
}

static void write_le(writer_t *w, uint64_t v, size_t n)
{
    uint8_t b[8];
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    write_bytes(w, bytes_of(b, n));
}

void write_u8(writer_t *w, uint8_t v)
{
    write_be(w, v, 1);
}

void write_u16be(writer_t *w, uint16_t v)
{
    write_be(w, v, 2);
}

void write_u32be(writer_t *w, uint32_t v)
{
    write_be(w, v, 4);
}

void write_u64be(writer_t *w, uint64_t v)
{
    write_be(w, v, 8);
}

void write_u32le(writer_t *w, uint32_t v)
{
    write_le(w, v, 4);
}

void write_u64le(writer_t *w, uint64_t v)
{
    write_le(w, v, 8);
}

void write_uvarint(writer_t *w, uint64_t v)
{
    uint8_t b[UVARINT_MAX_BYTES];
    write_bytes(w, bytes_of(b, uvarint_put(b, v)));
}

void write_length_prefixed(writer_t *w, bytes_t data)
{
    write_uvarint(w, data.len);
    write_bytes(w, data);
}

err_t uvarint_get(bytes_t in, uint64_t *ret_value, size_t *ret_used)
{
    reader_t r = reader_of(in);
    uint64_t v = read_uvarint(&r);
    if (r.err)
        return r.err;
    *ret_value = v;
    *ret_used = (size_t)(r.pos - in.data);
    return OK;
}
