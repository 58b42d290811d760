#include "api/unzlib.h"
#include <zlib.h>

enum { PIECE_BYTES = 8 << 10 };

static err_t inflate_all(z_stream *z, bytes_t in, buf_t *out)
{
    uint8_t piece[PIECE_BYTES];
    for (int code = Z_OK; code != Z_STREAM_END;) {
        uint32_t given = in.len < UINT32_MAX ? (uint32_t)in.len : UINT32_MAX;
        z->next_in = (Bytef *)in.data;
        z->avail_in = given;
        z->next_out = piece;
        z->avail_out = sizeof piece;
        code = inflate(z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return fail(ERR_NO_MEMORY, "no memory to decompress");
        if (code == Z_BUF_ERROR)
            return fail(ERR_INVALID, "what zlib compressed is cut short");
        if (code != Z_OK && code != Z_STREAM_END)
            return fail(ERR_INVALID, "this is nothing that zlib compressed: %s", z->msg ? z->msg : "damaged");
        in = bytes_slice(in, given - z->avail_in, in.len);
        if (buf_append(out, bytes_of(piece, sizeof piece - z->avail_out)))
            return fail(ERR_LIMIT, "decompressed it is longer than %zu bytes", out->max);
    }
    return OK;
}

err_t unzlib(bytes_t in, buf_t *out)
{
    z_stream z = {0};
    if (inflateInit(&z) != Z_OK)
        return fail(ERR_NO_MEMORY, "no memory to decompress");
    err_t e = inflate_all(&z, in, out);
    inflateEnd(&z);
    return e;
}
