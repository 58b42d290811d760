#include "store/zstd_block.h"
#include "base/reader.h"
#include <dlfcn.h>
#include <zstd.h>

/* Loaded when it is used: a node that never imports does without it. */
static struct {
    typeof(&ZSTD_decompress) decompress;
    typeof(&ZSTD_isError) is_error;
} lib;

static err_t load_library(void)
{
    if (lib.decompress)
        return OK;
    void *handle = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return fail(ERR_UNSUPPORTED, "reading this datastore needs Zstandard: install libzstd1 (%s)",
                    dlerror());
    *(void **)&lib.is_error = dlsym(handle, "ZSTD_isError");
    *(void **)&lib.decompress = lib.is_error ? dlsym(handle, "ZSTD_decompress") : NULL;
    return lib.decompress
               ? OK
               : fail(ERR_UNSUPPORTED, "libzstd.so.1 has no ZSTD_decompress: install libzstd1 anew");
}

err_t zstd_block_decode(bytes_t in, buf_t *out)
{
    reader_t r = reader_of(in);
    uint64_t len = read_pb_varint(&r);
    TRY(load_library());
    if (r.err)
        return fail(ERR_CORRUPT, "compressed data is damaged");
    if (len > out->max - out->len)
        return fail(ERR_LIMIT, "a block of the datastore claims %llu bytes: at most %zu",
                    (unsigned long long)len, out->max - out->len);
    TRY(buf_reserve(out, (size_t)len));
    size_t n =
        lib.decompress(out->data ? out->data + out->len : NULL, (size_t)len, r.pos, (size_t)(r.end - r.pos));
    if (lib.is_error(n) || n != len)
        return fail(ERR_CORRUPT, "compressed data is damaged");
    out->len += n;
    return OK;
}
