#include "store/snappy.h"
#include "base/reader.h"

static err_t corrupt(void)
{
    return fail(ERR_CORRUPT, "compressed data is damaged");
}

/* A length in the tag, or in the 1 to 4 bytes behind it. */
static uint64_t literal_length(reader_t *r, uint8_t tag)
{
    uint64_t n = tag >> 2;
    size_t bytes = n < 60 ? 0 : (size_t)(n - 59);
    if (!bytes)
        return n + 1;
    n = 0;
    for (size_t i = 0; i < bytes; i++)
        n |= (uint64_t)read_u8(r) << (8 * i);
    return n + 1;
}

typedef struct copy {
    size_t offset, len;
} copy_t;

static copy_t read_copy(reader_t *r, uint8_t tag)
{
    copy_t c = {.len = (size_t)(tag >> 2) + 1};
    if ((tag & 3) == 1) {
        c.len = (size_t)(tag >> 2 & 7) + 4;
        c.offset = (size_t)(tag >> 5) << 8 | read_u8(r);
    } else if ((tag & 3) == 2) {
        c.offset = read_u8(r);
        c.offset |= (size_t)read_u8(r) << 8;
    } else {
        c.offset = read_u32le(r);
    }
    return c;
}

/* It may overlap what it writes. */
static void apply_copy(buf_t *out, copy_t c)
{
    uint8_t *to = out->data + out->len;
    const uint8_t *from = to - c.offset;
    for (size_t i = 0; i < c.len; i++)
        to[i] = from[i];
    out->len += c.len;
}

err_t snappy_decode(bytes_t in, buf_t *out)
{
    reader_t r = reader_of(in);
    uint64_t len = read_pb_varint(&r);
    size_t start = out->len;
    if (r.err)
        return corrupt();
    if (len > out->max || len > UINT32_MAX)
        return fail(ERR_LIMIT, "compressed data of %llu bytes", (unsigned long long)len);
    TRY(buf_reserve(out, (size_t)len));
    while (reader_left(&r)) {
        uint8_t tag = read_u8(&r);
        size_t written = out->len - start, room = (size_t)len - written;
        if (!(tag & 3)) {
            uint64_t n = literal_length(&r, tag);
            if (r.err || n > room || n > reader_left(&r))
                return corrupt();
            TRY(buf_append(out, read_bytes(&r, (size_t)n)));
            continue;
        }
        copy_t c = read_copy(&r, tag);
        if (r.err || !c.offset || c.offset > written || c.len > room)
            return corrupt();
        apply_copy(out, c);
    }
    return out->len - start == len ? OK : corrupt();
}
