#include "web/gunzip.h"
#include <stdlib.h>
#include <zlib.h>

enum { WINDOW_BITS_GZIP = 15 + 16 };

struct gunzip {
    z_stream z;
    bool is_inside; /* a member has begun, and not ended */
};

err_t gunzip_new(gunzip_t **ret)
{
    gunzip_t *g = xcalloc(1, sizeof *g);
    if (inflateInit2(&g->z, WINDOW_BITS_GZIP) != Z_OK) {
        free(g);
        return fail(ERR_NO_MEMORY, "no memory to decompress");
    }
    *ret = g;
    return OK;
}

void gunzip_free(gunzip_t *g)
{
    if (!g)
        return;
    inflateEnd(&g->z);
    free(g);
}

err_t gunzip_feed(gunzip_t *g, bytes_t *in, uint8_t *out, size_t cap, size_t *ret_n)
{
    z_stream *z = &g->z;
    uint32_t room = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX;
    z->next_out = out;
    z->avail_out = room;
    while (z->avail_out == room && (in->len || g->is_inside)) {
        if (in->len && !g->is_inside) {
            inflateReset(z);
            g->is_inside = true;
        }
        uint32_t piece = in->len < UINT32_MAX ? (uint32_t)in->len : UINT32_MAX;
        z->next_in = (Bytef *)in->data;
        z->avail_in = piece;
        int code = inflate(z, Z_NO_FLUSH);
        *in = bytes_slice(*in, piece - z->avail_in, in->len);
        if (code == Z_STREAM_END)
            g->is_inside = false;
        else if (code == Z_MEM_ERROR)
            return fail(ERR_NO_MEMORY, "no memory to decompress");
        else if (code != Z_OK && code != Z_BUF_ERROR)
            return fail(ERR_PROTOCOL, "what came compressed cannot be read: %s", z->msg ? z->msg : "damaged");
        if (code == Z_BUF_ERROR || (code == Z_OK && !in->len && z->avail_out == room))
            break;
    }
    *ret_n = room - z->avail_out;
    return OK;
}

bool gunzip_is_whole(const gunzip_t *g)
{
    return !g->is_inside;
}
