#include "codec/car.h"
#include <stdlib.h>

enum { FUZZ_HEADER_MAX = 4096, FUZZ_BLOCK_MAX = 64 << 10, OUT_MAX = 1 << 20 };

static err_t add_root(void *arg, const cid_t *root)
{
    uint8_t raw[CID_BINARY_MAX];
    return buf_append(arg, bytes_of(raw, cid_encode(root, raw)));
}

/* Reads all of it in pieces of at most `piece` bytes and writes down what was told: the roots, then the
 * blocks as their sections, which are those of the input, byte for byte. */
static car_event_t run(bytes_t in, size_t piece, car_options_t options, buf_t *out)
{
    AUTO(car_reader_t) r;
    car_reader_init(&r, options);
    writer_t w = writer_to(out);
    size_t most = 4 * in.len + FUZZ_HEADER_MAX;
    uint64_t header = 0; /* bytes of the input that were not written down */
    for (;;) {
        block_t *block = NULL;
        car_event_t event = car_reader_next(&r, &block);
        assert(r.header.cap <= most);
        if (event == CAR_MORE) {
            uint8_t *area;
            size_t cap;
            car_reader_room(&r, &area, &cap);
            assert(cap);
            size_t n = in.len < cap ? in.len : cap;
            n = n < piece ? n : piece;
            if (n)
                memcpy(area, in.data, n);
            in = bytes_slice(in, n, in.len);
            car_reader_filled(&r, n);
        } else if (event == CAR_HEADER) {
            err_t e = car_reader_each_root(&r, add_root, out);
            assert(!e);
            header = r.offset - out->len;
        } else if (event == CAR_BLOCK) {
            car_put_section_head(&w, &block->cid, block->len);
            write_bytes(&w, block_bytes(block));
            assert(r.offset == header + out->len);
            block_release(block);
        } else {
            assert(event == CAR_END || r.error);
            assert(car_reader_next(&r, &block) == event);
            write_u8(&w, (uint8_t)r.error);
            return event;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) whole = {0}, split = {0};
    if (!size)
        return 0;
    car_options_t options = {FUZZ_HEADER_MAX, FUZZ_BLOCK_MAX, data[0] & 1};
    bytes_t in = bytes_of(data + 1, size - 1);
    buf_init(&whole, OUT_MAX);
    buf_init(&split, OUT_MAX);
    car_event_t a = run(in, SIZE_MAX, options, &whole), b = run(in, 1 + (data[0] >> 1), options, &split);
    assert(a == b && bytes_equal(buf_bytes(&whole), buf_bytes(&split)));
    return 0;
}
