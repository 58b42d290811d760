#include "api/gzip.h"
#include "task/driver.h"
#include <stdlib.h>
#include <zlib.h>

enum {
    OUT_BYTES = 64 << 10,
    IN_MAX_BYTES = 1 << 20,      /* one step of zlib's counters */
    INLINE_MAX_BYTES = 16 << 10, /* below it a thread switch costs more than the work */
    GZIP_WINDOW_BITS = 15 + 16,  /* 16: with gzip's header */
    MEMORY_LEVEL = 8,
};

struct gzip {
    z_stream z;
    gzip_sink_fn sink;
    void *sink_arg;
    int flush, result; /* of the step under way */
    uint8_t out[OUT_BYTES];
};

err_t gzip_new(int level, gzip_sink_fn sink, void *arg, gzip_t **ret)
{
    gzip_t *g = xcalloc(1, sizeof *g);
    g->sink = sink;
    g->sink_arg = arg;
    if (deflateInit2(&g->z, level, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(g);
        return fail(ERR_NO_MEMORY, "no memory for compression of level %d", level);
    }
    *ret = g;
    return OK;
}

static void run_step(void *arg)
{
    gzip_t *g = arg;
    g->z.next_out = g->out;
    g->z.avail_out = sizeof g->out;
    g->result = deflate(&g->z, g->flush);
}

/* Compresses what is there, until zlib has taken it all. */
static err_t run(task_t *t, gzip_t *g, int flush)
{
    g->flush = flush;
    do {
        if (g->z.avail_in > INLINE_MAX_BYTES)
            work(t, run_step, g);
        else
            run_step(g);
        assert(g->result == Z_OK || g->result == Z_STREAM_END || g->result == Z_BUF_ERROR);
        size_t made = sizeof g->out - g->z.avail_out;
        if (made)
            TRY(g->sink(t, g->sink_arg, bytes_of(g->out, made)));
    } while (flush == Z_FINISH ? g->result != Z_STREAM_END : !g->z.avail_out || g->z.avail_in);
    return OK;
}

err_t gzip_write(task_t *t, gzip_t *g, bytes_t data)
{
    while (data.len) {
        size_t n = data.len < IN_MAX_BYTES ? data.len : IN_MAX_BYTES;
        g->z.next_in = (Bytef *)(uintptr_t)data.data; /* zlib does not write there */
        g->z.avail_in = (uInt)n;
        TRY(run(t, g, Z_NO_FLUSH));
        data = bytes_slice(data, n, data.len);
    }
    return OK;
}

err_t gzip_finish(task_t *t, gzip_t *g)
{
    g->z.next_in = NULL;
    g->z.avail_in = 0;
    return run(t, g, Z_FINISH);
}

void gzip_free(gzip_t *g)
{
    if (!g)
        return;
    deflateEnd(&g->z);
    free(g);
}
