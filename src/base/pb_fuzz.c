/* Any input is read without a fault; what was read, written again, reads as the same fields. */
#include "base/pb.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_fields(reader_t *r, writer_t *w)
{
    pb_field_t f;
    while (pb_next(r, &f))
        switch (f.wire) {
        case PB_VARINT:
            pb_put_uint(w, f.number, pb_uint(r, &f));
            break;
        case PB_FIXED64:
            pb_put_fixed64(w, f.number, pb_fixed64(r, &f));
            break;
        case PB_BYTES:
            pb_put_bytes(w, f.number, pb_bytes(r, &f, SIZE_MAX));
            break;
        default: /* there is no writer for the 4-byte type: its value is kept as a varint */
            pb_put_uint(w, f.number, f.value);
        }
}

static void read_packed(bytes_t in)
{
    reader_t r = reader_of(in);
    uint64_t v;
    size_t count = 0;
    while (pb_packed_next(&r, &v))
        count++;
    if (count > in.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) first, second;
    buf_init(&first, 4 * size + 64);
    buf_init(&second, 4 * size + 64);
    reader_t r = reader_of(bytes_of(data, size));
    writer_t w = writer_to(&first);
    copy_fields(&r, &w);
    if (w.err)
        abort();
    reader_t again = reader_of(buf_bytes(&first));
    writer_t w2 = writer_to(&second);
    copy_fields(&again, &w2);
    if (again.err || w2.err || !bytes_equal(buf_bytes(&first), buf_bytes(&second)))
        abort();
    read_packed(bytes_of(data, size));
    return 0;
}
