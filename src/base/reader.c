#include "base/reader.h"

void reader_fail(reader_t *r, err_t e)
{
    if (!r->err)
        r->err = e;
}

bytes_t read_bytes(reader_t *r, size_t len)
{
    if (len > reader_left(r)) {
        reader_fail(r, ERR_EOF);
        return BYTES_NONE;
    }
    bytes_t got = bytes_of(r->pos, len);
    if (len)
        r->pos += len;
    return r->err ? BYTES_NONE : got;
}

bytes_t read_rest(reader_t *r)
{
    return read_bytes(r, reader_left(r));
}

static uint64_t read_be(reader_t *r, size_t n)
{
    bytes_t b = read_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < b.len; i++)
        v = v << 8 | b.data[i];
    return v;
}

static uint64_t read_le(reader_t *r, size_t n)
{
    bytes_t b = read_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < b.len; i++)
        v |= (uint64_t)b.data[i] << (8 * i);
    return v;
}

uint16_t read_u16be(reader_t *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t read_u32be(reader_t *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t read_u64be(reader_t *r)
{
    return read_be(r, 8);
}

uint32_t read_u32le(reader_t *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t read_u64le(reader_t *r)
{
    return read_le(r, 8);
}

uint64_t read_long_uvarint(reader_t *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint8_t b = read_u8(r);
        if (r->err)
            return 0;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            if (b || !shift)
                return v;
            break; /* not minimal */
        }
    }
    reader_fail(r, ERR_INVALID);
    return 0;
}

uint64_t read_long_pb_varint(reader_t *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = read_u8(r);
        if (r->err)
            return 0;
        if (shift == 63 && b > 1)
            break; /* over 64 bits */
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    reader_fail(r, ERR_INVALID);
    return 0;
}

bytes_t read_length_prefixed(reader_t *r, size_t max)
{
    uint64_t len = read_uvarint(r);
    if (!r->err && len > max)
        reader_fail(r, ERR_LIMIT);
    return r->err ? BYTES_NONE : read_bytes(r, (size_t)len);
}
