/* Any split of the input gives the same streams, news, data and answers; memory stays under its limit; all
 * of it comes back at the end. The first byte chooses the role. */
#include "wire/yamux.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 300000 };

/* Reads what there is, answers every stream with an echo, closes those that ended. */
static void serve(yamux_t *y)
{
    for (yamux_event_t ev; yamux_next_event(y, &ev);) {
        if (ev.kind != YAMUX_EVENT_STREAM)
            continue;
        yamux_stream_t *s = ev.stream;
        if (ev.news & YAMUX_NEWS_OPENED)
            yamux_accept(s, y);
        uint8_t block[512];
        size_t n = 0, written;
        err_t e;
        while (!(e = yamux_read(s, block, sizeof block, 5, &n)) && n)
            if (yamux_write(s, &(bytes_t){block, n}, 1, &written))
                break;
        if (e != ERR_AGAIN)
            yamux_release(s, 5);
    }
}

static void collect(yamux_t *y, buf_t *out)
{
    yamux_gather_t g;
    while (yamux_output(y, 2 * YAMUX_FRAME_MAX, &g)) {
        for (size_t i = 0; i < g.n_pieces; i++)
            if (buf_append(out, g.pieces[i]))
                abort();
        yamux_output_done(y, &g);
    }
}

typedef struct result {
    buf_t said;
    err_t error;
    size_t streams;
} result_t;

static void run(const uint8_t *data, size_t size, size_t step, result_t *ret)
{
    limit_t limit;
    limit_init(&limit, "fuzz", NULL, BUDGET);
    yamux_config_t c;
    yamux_config_default(&c);
    c.is_client = data[0] & 1;
    c.limit = &limit;
    c.max_streams = c.max_inbound_streams = 8;
    yamux_t y;
    yamux_init(&y, &c, 1);
    yamux_stream_t *ours;
    if (yamux_open(&y, &y, &ours) || yamux_write(ours, &BYTES_LIT("ours"), 1, &(size_t){0}))
        abort();
    buf_init(&ret->said, 64 << 20);
    ret->error = OK;
    for (size_t at = 1; at < size && !ret->error; at += step)
        ret->error = yamux_feed(&y, bytes_of(data + at, size - at < step ? size - at : step), 2);
    serve(&y);
    collect(&y, &ret->said);
    ret->streams = yamux_stream_count(&y);
    assert(limit.peak <= BUDGET);
    void *s;
    yamux_stream_t *held[8];
    size_t n_held = 0;
    for (size_t i = 0; map_next(&y.streams, &i, NULL, &s);)
        if (((yamux_stream_t *)s)->has_user)
            held[n_held++] = s;
    yamux_deinit(&y, ERR_CLOSED);
    for (size_t i = 0; i < n_held; i++)
        yamux_release(held[i], 9);
    limit_deinit(&limit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    result_t whole, split;
    run(data, size, size, &whole);
    for (size_t step = 1; step < 30; step += 12) {
        run(data, size, step, &split);
        assert(split.error == whole.error && split.streams == whole.streams);
        assert(bytes_equal(buf_bytes(&split.said), buf_bytes(&whole.said)));
        buf_deinit(&split.said);
    }
    buf_deinit(&whole.said);
    return 0;
}
