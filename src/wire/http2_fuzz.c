/* A server's session that is fed anything behind a good preface, whole and in pieces: the same streams come
 * of it, and what it holds stays below its windows. */
#include "base/prng.h"
#include "wire/grpc.h"
#include "wire/http2.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_MAX = 64 };

static void drain(http2_t *h)
{
    bytes_t piece;
    while (!http2_output(h, &piece) && piece.len)
        ;
}

static void record(buf_t *log, http2_stream_t *s)
{
    const char *path = http2_field(s, ":path"), *timeout = http2_field(s, "grpc-timeout");
    uint8_t in[256];
    size_t n;
    uint64_t ms = 0;
    char text[GRPC_MESSAGE_TEXT_MAX] = "";
    if (timeout && grpc_timeout_parse(timeout, &ms))
        ms = 1;
    if (path)
        grpc_message_decode(path, text);
    err_t noted = buf_printf(log, "\n%s %s %llu ", path ? path : "-", text, (unsigned long long)ms);
    while (!noted && !http2_read(s, in, sizeof in, &n) && n)
        noted = buf_append(log, bytes_of(in, n));
    assert(!noted);
}

static void run(bytes_t in, bool is_freed_first, prng_t *pieces, buf_t *log)
{
    http2_config_t c;
    http2_t *h;
    http2_stream_t *kept[KEPT_MAX];
    size_t n_kept = 0;
    http2_config_default(false, &c);
    c.stream_window = c.window = 65535;
    err_t e = http2_new(&c, &h);
    assert(!e);
    e = http2_feed(h, BYTES_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
    assert(!e);
    while (!e && in.len) {
        size_t cut = pieces ? prng_below(pieces, in.len < 40 ? in.len : 40) + 1 : in.len;
        e = http2_feed(h, bytes_slice(in, 0, cut));
        in = bytes_slice(in, cut, in.len);
        http2_event_t ev;
        while (http2_next_event(h, &ev))
            if (ev.news & HTTP2_NEWS_OPENED) {
                if (n_kept == KEPT_MAX)
                    http2_release(ev.stream);
                else
                    kept[n_kept++] = ev.stream;
            }
    }
    drain(h);
    for (size_t i = 0; i < n_kept && !e; i++)
        record(log, kept[i]);
    if (is_freed_first)
        http2_free(h);
    for (size_t i = 0; i < n_kept; i++)
        http2_release(kept[i]);
    if (!is_freed_first)
        http2_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    prng_t prng;
    prng_seed(&prng, data[0]);
    bytes_t in = bytes_of(data + 1, size - 1);
    AUTO(buf_t) whole, split;
    buf_init(&whole, 1 << 24);
    buf_init(&split, 1 << 24);
    run(in, size & 1, NULL, &whole);
    run(in, size & 1, &prng, &split);
    if (size < KEPT_MAX * 16) /* else a stream could be released in between */
        assert(bytes_equal(buf_bytes(&whole), buf_bytes(&split)));
    return 0;
}
