/* A UnixFS message: what decodes is bounded by its input, its sizes are as many as counted, and writing it
 * and decoding again gives the same. */
#include "dag/unixfs.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unixfs_t u, back;
    if (unixfs_decode(bytes_of(data, size), &u))
        return 0;
    assert(u.block_size_count <= size && u.data.len <= size);
    uint64_t *sizes = xcalloc(u.block_size_count + 1, sizeof *sizes);
    unixfs_sizes_t it = unixfs_sizes(&u);
    size_t n = 0;
    while (n <= u.block_size_count && unixfs_next_size(&it, &sizes[n]))
        n++;
    assert(n == u.block_size_count);
    AUTO(buf_t) out = {0};
    buf_init(&out, 16 * size + 256);
    writer_t w = writer_to(&out);
    unixfs_put(&w, &u, sizes, n);
    assert(!w.err);
    err_t e = unixfs_decode(buf_bytes(&out), &back);
    assert(!e && back.type == u.type && bytes_equal(back.data, u.data) && back.block_size_count == n);
    assert(back.has_mode == u.has_mode && back.has_mtime == u.has_mtime &&
           back.mtime.seconds == u.mtime.seconds);
    free(sizes);
    return 0;
}
