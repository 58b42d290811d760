#include "store/snappy.h"
#include <dlfcn.h>
#include <snappy-c.h>

/* The library is C++: it is loaded when it is used, so that other nodes have neither in memory. */
static struct {
    typeof(&snappy_uncompress) uncompress;
    typeof(&snappy_uncompressed_length) uncompressed_length;
} lib;

static err_t load_library(void)
{
    if (lib.uncompress)
        return OK;
    void *handle = dlopen("libsnappy.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return fail(ERR_UNSUPPORTED, "reading Kubo's datastore needs Snappy: install libsnappy1v5 (%s)",
                    dlerror());
    *(void **)&lib.uncompressed_length = dlsym(handle, "snappy_uncompressed_length");
    *(void **)&lib.uncompress = lib.uncompressed_length ? dlsym(handle, "snappy_uncompress") : NULL;
    return lib.uncompress ? OK : fail(ERR_UNSUPPORTED, "this Snappy lacks its interface for C");
}

err_t snappy_decode(bytes_t in, buf_t *out)
{
    size_t len;
    TRY(load_library());
    const char *compressed = (const char *)in.data;
    if (!in.len || lib.uncompressed_length(compressed, in.len, &len) != SNAPPY_OK)
        return fail(ERR_CORRUPT, "compressed data is damaged");
    if (len > out->max)
        return fail(ERR_LIMIT, "compressed data of %zu bytes", len);
    TRY(buf_reserve(out, len));
    if (lib.uncompress(compressed, in.len, (char *)out->data + out->len, &len) != SNAPPY_OK)
        return fail(ERR_CORRUPT, "compressed data is damaged");
    out->len += len;
    return OK;
}
