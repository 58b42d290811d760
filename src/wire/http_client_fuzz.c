/* The same answer, whole and in pieces, gives the same events; the memory held stays under its bounds. */
#include "base/prng.h"
#include "wire/http_client.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(buf_t *log, const http_event_t *ev)
{
    err_t e = OK;
    if (ev->kind == HTTP_EVENT_BODY)
        e = buf_append(log, ev->data);
    else
        e = buf_printf(log, "\n[%d %d %d]", (int)ev->kind, ev->status, (int)ev->keep_alive);
    for (size_t i = 0; i < ev->n_fields && !e; i++)
        e = buf_printf(log, "\n%s=%s", ev->fields[i].name, ev->fields[i].value);
    assert(!e);
}

static void run(bytes_t in, bool is_head, prng_t *pieces, buf_t *log)
{
    http_client_t c;
    http_client_init(&c, 0);
    err_t e = http_client_request(
        &c, &(http_request_t){.method = is_head ? "HEAD" : "GET", .target = "/", .host = "h"});
    assert(!e);
    http_event_t ev;
    while (!e) {
        size_t cut = pieces && in.len ? prng_below(pieces, in.len < 40 ? in.len : 40) + 1 : in.len, used = 0;
        e = http_client_feed(&c, bytes_slice(in, 0, cut), &used);
        bool had_event = false;
        while (!e && http_client_next_event(&c, &ev)) {
            record(log, &ev);
            had_event = true;
        }
        assert(c.line.cap <= 2 * HTTP_CLIENT_HEAD_MAX && c.text.cap <= 2 * HTTP_CLIENT_HEAD_MAX);
        in = bytes_slice(in, used, in.len);
        if (!used && !had_event)
            break;
    }
    if (!e && !in.len) {
        e = http_client_feed_end(&c);
        while (!e && http_client_next_event(&c, &ev))
            record(log, &ev);
    }
    err_t noted = buf_printf(log, "\n%s, %zu left", error_name(e), e ? 0 : in.len);
    assert(!noted);
    http_client_deinit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    prng_t prng;
    prng_seed(&prng, data[0]);
    bytes_t in = bytes_of(data + 2, size - 2);
    AUTO(buf_t) whole, split;
    buf_init(&whole, 64 * 1024 * 1024);
    buf_init(&split, 64 * 1024 * 1024);
    run(in, data[1] & 1, NULL, &whole);
    run(in, data[1] & 1, &prng, &split);
    assert(bytes_equal(buf_bytes(&whole), buf_bytes(&split)));
    return 0;
}
