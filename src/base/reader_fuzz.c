/* A program of reads, taken from the input itself, over the rest of the input: never past the end,
 * errors stay, varints have one form. */
#include "base/reader.h"
#include "base/writer.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_uvarint(reader_t *r)
{
    const uint8_t *from = r->pos;
    uint64_t v = read_uvarint(r);
    if (r->err)
        return;
    uint8_t out[UVARINT_MAX_BYTES];
    size_t n = uvarint_put(out, v);
    if (n != uvarint_size(v) || n != (size_t)(r->pos - from) || memcmp(out, from, n))
        abort();
}

static void step(reader_t *r, uint8_t op)
{
    size_t before = reader_left(r);
    bytes_t got = BYTES_NONE;
    switch (op % 10) {
    case 0:
        read_u8(r);
        break;
    case 1:
        read_u16be(r);
        break;
    case 2:
        read_u32be(r);
        break;
    case 3:
        read_u64le(r);
        break;
    case 4:
        got = read_bytes(r, op);
        break;
    case 5:
        got = read_length_prefixed(r, op);
        break;
    case 6:
        read_pb_varint(r);
        break;
    case 7:
        read_u32le(r);
        break;
    case 8:
        read_u64be(r);
        break;
    default:
        check_uvarint(r);
    }
    if (reader_left(r) > before || got.len > before || (r->err && got.len))
        abort();
    volatile uint8_t sum = 0; /* every byte that was given is readable */
    for (size_t i = 0; i < got.len; i++)
        sum = (uint8_t)(sum + got.data[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t program = size ? data[0] % 32 : 0;
    if (program + 1 > size)
        return 0;
    reader_t r = reader_of(bytes_of(data + 1 + program, size - 1 - program));
    for (size_t i = 0; i < program; i++) {
        err_t before = r.err;
        step(&r, data[1 + i]);
        if (before && r.err != before)
            abort();
    }
    bytes_t rest = read_rest(&r);
    if (r.err && rest.len)
        abort();
    return 0;
}
