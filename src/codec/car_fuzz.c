#include "codec/car.h"
#include <stdlib.h>

enum { FUZZ_HEADER_MAX = 4096, FUZZ_BLOCK_MAX = 64 << 10, OUT_MAX = 1 << 20 };

/* Reads all of it in pieces of at most `piece` bytes and writes down what was told: the events, and the
 * blocks as an archive of version 1. */
static car_event_t run(bytes_t in, size_t piece, car_options_t options, buf_t *out)
{
    AUTO(car_reader_t) r;
    car_reader_init(&r, options);
    writer_t w = writer_to(out);
    size_t most = 4 * in.len + FUZZ_HEADER_MAX;
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
            cid_t *roots = xcalloc(FUZZ_HEADER_MAX / 4, sizeof *roots);
            size_t n = 0;
            for (car_roots_t it = car_reader_roots(&r); car_next_root(&it, &roots[n]);)
                n++;
            car_put_header(&w, roots, n);
            free(roots);
            assert(r.version == 2 || r.offset == out->len); /* the same bytes, but for the order of keys */
        } else if (event == CAR_BLOCK) {
            car_put_section_head(&w, &block->cid, block->len);
            write_bytes(&w, block_bytes(block));
            assert(r.version == 2 || r.offset == out->len);
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
    AUTO(buf_t) whole, split;
    if (!size)
        return 0;
    car_options_t options = {FUZZ_HEADER_MAX, FUZZ_BLOCK_MAX, data[0] & 1};
    bytes_t in = bytes_of(data + 1, size - 1);
    buf_init(&whole, OUT_MAX);
    buf_init(&split, OUT_MAX);
    car_event_t a = run(in, SIZE_MAX, options, &whole), b = run(in, 1 + (data[0] >> 1), options, &split);
    assert(a == b && bytes_equal(buf_bytes(&whole), buf_bytes(&split)));
    if (a != CAR_END)
        return 0;
    /* What was written is an archive with the same content. */
    buf_clear(&split);
    whole.len--; /* the error */
    a = run(buf_bytes(&whole), SIZE_MAX, (car_options_t){FUZZ_HEADER_MAX, FUZZ_BLOCK_MAX, false}, &split);
    assert(a == CAR_END && split.len == whole.len + 1);
    assert(!memcmp(whole.data, split.data, whole.len));
    return 0;
}
