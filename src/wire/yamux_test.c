#include "base/prng.h"
#include "base/writer.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/yamux.h"
#include <stdlib.h>

typedef struct pair {
    limit_t limit_a, limit_b;
    yamux_t a, b; /* a is the client */
    uint64_t now_ms;
} pair_t;

static void config(yamux_config_t *c, bool is_client, limit_t *limit)
{
    yamux_config_default(c);
    c->is_client = is_client;
    c->limit = limit;
}

static void pair_init(pair_t *p)
{
    p->now_ms = 1000;
    limit_init(&p->limit_a, "a", NULL, 64 << 20);
    limit_init(&p->limit_b, "b", NULL, 64 << 20);
    yamux_config_t c;
    config(&c, true, &p->limit_a);
    yamux_init(&p->a, &c, p->now_ms);
    config(&c, false, &p->limit_b);
    yamux_init(&p->b, &c, p->now_ms);
}

static void pair_deinit(pair_t *p)
{
    yamux_deinit(&p->a, ERR_CLOSED);
    yamux_deinit(&p->b, ERR_CLOSED);
    limit_deinit(&p->limit_a); /* asserts that all was given back */
    limit_deinit(&p->limit_b);
}

/* All that `y` has to say, appended to out. */
static void collect(yamux_t *y, buf_t *out)
{
    yamux_gather_t g;
    while (yamux_output(y, 2 * YAMUX_FRAME_MAX, &g)) {
        for (size_t i = 0; i < g.n_pieces; i++)
            assert_ok(buf_append(out, g.pieces[i]));
        yamux_output_done(y, &g);
    }
}

static bool carry(yamux_t *from, yamux_t *to, uint64_t now_ms)
{
    AUTO(buf_t) wire;
    buf_init(&wire, 64 << 20);
    collect(from, &wire);
    assert_ok(yamux_feed(to, buf_bytes(&wire), now_ms));
    return wire.len > 0;
}

static void settle(pair_t *p)
{
    bool moved;
    do {
        moved = carry(&p->a, &p->b, p->now_ms);
        moved |= carry(&p->b, &p->a, p->now_ms);
    } while (moved);
}

static yamux_stream_t *next_opened(yamux_t *y)
{
    for (yamux_event_t ev; yamux_next_event(y, &ev);)
        if (ev.kind == YAMUX_EVENT_STREAM && ev.news & YAMUX_NEWS_OPENED) {
            yamux_accept(ev.stream, NULL);
            return ev.stream;
        }
    return NULL;
}

static uint8_t news_of(yamux_t *y, const yamux_stream_t *s)
{
    uint8_t news = 0;
    for (yamux_event_t ev; yamux_next_event(y, &ev);)
        if (ev.kind == YAMUX_EVENT_STREAM && ev.stream == s)
            news |= ev.news;
    return news;
}

static void write_all(yamux_stream_t *s, bytes_t data)
{
    size_t n;
    assert_ok(yamux_write(s, &data, 1, &n));
    assert_int_equal(n, data.len);
}

static void expect_read(yamux_stream_t *s, bytes_t want)
{
    uint8_t got[256];
    size_t n = 0;
    assert_ok(yamux_read(s, got, sizeof got, 0, &n));
    assert_bytes(bytes_of(got, n), want);
}

static void feed_hex(yamux_t *y, const char *hex, err_t want)
{
    AUTO(buf_t) in;
    buf_init(&in, 4096);
    assert_ok(hex_decode(bytes_str(hex), &in));
    assert_err(yamux_feed(y, buf_bytes(&in), 1000), want);
}

static void expect_output(yamux_t *y, const char *hex)
{
    AUTO(buf_t) out;
    AUTO(buf_t) want;
    buf_init(&out, 1 << 20);
    buf_init(&want, 4096);
    collect(y, &out);
    assert_ok(hex_decode(bytes_str(hex), &want));
    assert_bytes(buf_bytes(&out), buf_bytes(&want));
}

static void open_pair(pair_t *p, yamux_stream_t **ret_a, yamux_stream_t **ret_b)
{
    assert_ok(yamux_open(&p->a, NULL, ret_a));
    settle(p);
    *ret_b = next_opened(&p->b);
    assert_non_null(*ret_b);
    settle(p);
    assert_true((*ret_a)->is_acked);
}

static void test_hello_both_ways(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b;
    open_pair(&p, &a, &b);
    assert_int_equal(a->id, 1);
    write_all(a, BYTES_LIT("hello"));
    write_all(b, BYTES_LIT("world!"));
    settle(&p);
    assert_true(news_of(&p.a, a) & YAMUX_NEWS_READABLE);
    expect_read(b, BYTES_LIT("hello"));
    expect_read(a, BYTES_LIT("world!"));
    uint8_t byte;
    size_t n;
    assert_err(yamux_read(a, &byte, 1, 0, &n), ERR_AGAIN);
    assert_ok(yamux_close_write(a));
    assert_ok(yamux_close_write(a));
    bytes_t more = BYTES_LIT("more");
    assert_err(yamux_write(a, &more, 1, &n), ERR_CLOSED);
    settle(&p);
    expect_read(b, BYTES_NONE);
    write_all(b, BYTES_LIT("still open this way"));
    settle(&p);
    expect_read(a, BYTES_LIT("still open this way"));
    yamux_release(b, p.now_ms);
    settle(&p);
    expect_read(a, BYTES_NONE);
    yamux_release(a, p.now_ms);
    assert_int_equal(yamux_stream_count(&p.a), 0);
    assert_int_equal(yamux_stream_count(&p.b), 0);
    pair_deinit(&p);
}

/* The frames of go-yamux, one role played by us: after the peer's bytes we say what go-yamux said. */
static void test_capture(void **state)
{
    pair_t p;
    pair_init(&p);
    expect_output(&p.b, "000200010000000000000001"); /* our pings count, go-yamux's are all 0 */
    feed_hex(&p.b, "000200010000000000000000", OK);
    expect_output(&p.b, "000200020000000000000000");
    feed_hex(&p.b, "00010001000000010000000000000000000000010000000568656c6c6f", OK);
    yamux_stream_t *s = next_opened(&p.b);
    expect_output(&p.b, "000100020000000100000000");
    expect_read(s, BYTES_LIT("hello"));
    write_all(s, BYTES_LIT("world!"));
    expect_output(&p.b, "000000000000000100000006776f726c6421");
    feed_hex(&p.b, "000100040000000100000000", OK);
    expect_read(s, BYTES_NONE);
    yamux_release(s, 1000);
    expect_output(&p.b, "000100040000000100000000");
    assert_int_equal(yamux_stream_count(&p.b), 0);
    yamux_stream_t *ours;
    assert_ok(yamux_open(&p.b, NULL, &ours));
    expect_output(&p.b, "000100010000000200000000");
    feed_hex(&p.b,
             "000100020000000200000000"
             "000100080000000200000000",
             OK);
    size_t n;
    uint8_t byte;
    assert_err(yamux_read(ours, &byte, 1, 0, &n), ERR_RESET);
    yamux_release(ours, 1000);
    assert_int_equal(yamux_stream_count(&p.b), 0);
    pair_deinit(&p);
}

/* Every frame of the vectors is taken, byte by byte too, in an order that makes sense of them. */
static void test_vectors(void **state)
{
    for (int is_split = 0; is_split < 2; is_split++) {
        pair_t p;
        pair_init(&p);
        tsv_t *v = tsv_open("wire/yamux.tsv");
        AUTO(buf_t) frame;
        buf_init(&frame, 4096);
        yamux_stream_t *first = NULL;
        while (tsv_next(v)) {
            if (strstr(tsv_get(v, "note"), "server") || strstr(tsv_get(v, "note"), "go away"))
                continue;
            tsv_hex(v, "frame_hex", &frame);
            for (size_t i = 0; is_split && i < frame.len; i++)
                assert_ok(yamux_feed(&p.b, bytes_slice(buf_bytes(&frame), i, 1), 1000));
            if (!is_split)
                assert_ok(yamux_feed(&p.b, buf_bytes(&frame), 1000));
            if (!first)
                first = next_opened(&p.b);
            if (tsv_row(v) == 4) {
                yamux_stream_t *third = next_opened(&p.b);
                assert_int_equal(third->id, 3);
                expect_read(third, BYTES_LIT("hi"));
                yamux_release(third, 1000);
            }
        }
        tsv_close(v);
        assert_int_equal(first->send_window, 2 * YAMUX_INITIAL_WINDOW);
        expect_read(first, BYTES_LIT("hello")); /* FIN came before RST: what was sent is whole */
        expect_read(first, BYTES_NONE);
        yamux_release(first, 1000);
        pair_deinit(&p);
    }
}

static void test_bad_frames(void **state)
{
    static const char *const frames[] = {
        "010000000000000100000000", /* version 1 */
        "000400000000000100000000", /* type 4 */
        "000000000000000000000000", /* data on stream 0 */
        "000100010000000200000000", /* SYN with an id of ours */
        "000100010000000100000000"
        "000100010000000100000000", /* SYN twice */
        "000100010000000300000000"
        "000000010000000300000001",
        "000000010000000100040001", /* SYN with a body over its window (CVE-2026-32314) */
        "0001000100000001fffc0000", /* SYN whose window overflows (CVE-2026-31814) */
        "000100010000000100000000"
        "0001000000000001ffffffff",
        "000100010000000100000000"
        "000000000000000100040001", /* data over the window */
        "000000000000000901000001", /* a body of 16 MiB and 1 for nobody */
    };
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        pair_t p;
        pair_init(&p);
        AUTO(buf_t) out;
        buf_init(&out, 4096);
        collect(&p.b, &out);
        feed_hex(&p.b, frames[i], ERR_PROTOCOL);
        assert_int_equal(p.b.state, YAMUX_CLOSED);
        buf_clear(&out);
        collect(&p.b, &out);
        assert_bytes(bytes_slice(buf_bytes(&out), 0, 12), BYTES_LIT("\0\3\0\0\0\0\0\0\0\0\0\1"));
        feed_hex(&p.b, "000200010000000000000000", ERR_CLOSED);
        pair_deinit(&p);
    }
}

/* A SYN that is refused leaves no stream behind. */
static void test_refused_syn_changes_nothing(void **state)
{
    pair_t p;
    pair_init(&p);
    feed_hex(&p.b, "000000010000000100040001", ERR_PROTOCOL);
    assert_int_equal(yamux_stream_count(&p.b), 0);
    assert_int_equal(p.limit_b.used, 0);
    pair_deinit(&p);
}

static void test_max_streams(void **state)
{
    pair_t p;
    pair_init(&p);
    p.b.config.max_inbound_streams = 3;
    yamux_stream_t *s[5];
    for (int i = 0; i < 5; i++)
        assert_ok(yamux_open(&p.a, NULL, &s[i]));
    settle(&p);
    assert_int_equal(yamux_stream_count(&p.b), 3);
    uint8_t byte;
    size_t n;
    assert_err(yamux_read(s[2], &byte, 1, 0, &n), ERR_AGAIN);
    assert_err(yamux_read(s[3], &byte, 1, 0, &n), ERR_RESET);
    for (int i = 0; i < 5; i++)
        yamux_release(s[i], p.now_ms);
    pair_deinit(&p);
}

static void test_backlog(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *s[YAMUX_BACKLOG_MAX], *more;
    for (int i = 0; i < YAMUX_BACKLOG_MAX; i++)
        assert_ok(yamux_open(&p.a, NULL, &s[i]));
    assert_err(yamux_open(&p.a, NULL, &more), ERR_AGAIN);
    settle(&p);
    yamux_stream_t *accepted = next_opened(&p.b);
    settle(&p);
    bool may_open = false;
    for (yamux_event_t ev; yamux_next_event(&p.a, &ev);)
        may_open |= ev.kind == YAMUX_EVENT_MAY_OPEN;
    assert_true(may_open);
    assert_ok(yamux_open(&p.a, NULL, &more));
    pair_deinit(&p);
    for (int i = 0; i < YAMUX_BACKLOG_MAX; i++)
        yamux_release(s[i], 0);
    yamux_release(more, 0);
    yamux_release(accepted, 0);
}

/* A writer is stopped by its queue, the session by the window, until the reader reads. */
static void test_back_pressure(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b;
    open_pair(&p, &a, &b);
    static uint8_t block[65536];
    bytes_t piece = bytes_of(block, sizeof block);
    size_t sent = 0, n;
    err_t e;
    while (!(e = yamux_write(a, &piece, 1, &n))) {
        sent += n;
        settle(&p);
        assert_in_range(sent, 0, 1 << 20);
    }
    assert_int_equal(e, ERR_AGAIN);
    assert_int_equal(sent, YAMUX_INITIAL_WINDOW + p.a.config.max_send_queue);
    assert_int_equal(p.limit_b.used, YAMUX_INITIAL_WINDOW);
    assert_int_equal(p.limit_a.used, p.a.config.max_send_queue);
    assert_int_equal(news_of(&p.a, a) & YAMUX_NEWS_WRITABLE, 0);
    size_t got = 0;
    for (uint64_t now_ms = 5000; got < sent; now_ms += 1000) { /* a slow reader: the window stays */
        assert_ok(yamux_read(b, block, 4096, now_ms, &n));
        got += n;
        settle(&p);
    }
    assert_int_equal(b->window_max, YAMUX_INITIAL_WINDOW);
    assert_true(news_of(&p.a, a) & YAMUX_NEWS_WRITABLE);
    yamux_release(a, 0);
    yamux_release(b, 0);
    settle(&p);
    pair_deinit(&p);
}

static void stream_bytes(pair_t *p, yamux_stream_t *a, yamux_stream_t *b, size_t total)
{
    static uint8_t block[65536], back[65536];
    uint8_t out = 0, in = 0;
    for (size_t sent = 0, got = 0; got < total;) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)(out + i);
        bytes_t piece = bytes_of(block, total - sent < sizeof block ? total - sent : sizeof block);
        size_t n = 0;
        err_t e = piece.len ? yamux_write(a, &piece, 1, &n) : ERR_AGAIN;
        assert_true(!e || e == ERR_AGAIN);
        sent += n;
        out = (uint8_t)(out + n);
        settle(p);
        while (!yamux_read(b, back, 50000, p->now_ms, &n)) {
            for (size_t i = 0; i < n; i++)
                if (back[i] != in++)
                    assert_int_equal(got + i, -1);
            got += n;
        }
    }
}

static void test_window_grows_and_is_charged(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b;
    open_pair(&p, &a, &b);
    stream_bytes(&p, a, b, 64 << 20);
    assert_int_equal(b->window_max, 16u << 20);
    assert_int_equal(p.limit_b.used, (16u << 20) - YAMUX_INITIAL_WINDOW);
    yamux_release(a, 0);
    yamux_release(b, 0);
    settle(&p);
    assert_int_equal(p.limit_b.used, 0);
    pair_deinit(&p);
}

static void test_window_growth_stops_at_the_limit(void **state)
{
    pair_t p;
    pair_init(&p);
    p.limit_b.max = 1 << 20;
    yamux_stream_t *a, *b;
    open_pair(&p, &a, &b);
    stream_bytes(&p, a, b, 16 << 20);
    assert_int_equal(b->window_max, 1u << 20);
    assert_in_range(p.limit_b.peak, 1, 1 << 20);
    yamux_release(a, 0);
    yamux_release(b, 0);
    settle(&p);
    pair_deinit(&p);
}

/* What of a frame has not come yet is no free room: else the peer may send more than the queue takes. */
static void test_window_within_a_frame(void **state)
{
    enum { FRAME = YAMUX_INITIAL_WINDOW, HALF = FRAME / 2 };
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b;
    open_pair(&p, &a, &b);
    AUTO(buf_t) wire;
    buf_init(&wire, 4 << 20);
    uint8_t *data = xcalloc(1, FRAME), header[12] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)a->id, 0, FRAME >> 16};
    assert_ok(buf_append(&wire, bytes_of(header, sizeof header)));
    assert_ok(buf_append(&wire, bytes_of(data, FRAME)));
    size_t n, first = sizeof header + HALF;
    assert_ok(yamux_feed(&p.b, bytes_slice(buf_bytes(&wire), 0, first), p.now_ms));
    assert_ok(yamux_read(b, data, FRAME, p.now_ms, &n)); /* all that has come */
    assert_int_equal(n, HALF);
    settle(&p);
    assert_int_equal(b->receive_window, HALF);
    assert_ok(yamux_feed(&p.b, bytes_slice(buf_bytes(&wire), first, SIZE_MAX), p.now_ms));
    buf_clear(&wire);
    for (uint32_t left = b->receive_window; left; left -= HALF) { /* the peer uses its window up */
        header[9] = HALF >> 16;
        assert_ok(buf_append(&wire, bytes_of(header, sizeof header)));
        assert_ok(buf_append(&wire, bytes_of(data, HALF)));
    }
    assert_ok(yamux_feed(&p.b, buf_bytes(&wire), p.now_ms));
    assert_false(b->is_reset);
    assert_int_equal(b->received.len, FRAME);
    free(data);
    yamux_release(a, p.now_ms);
    yamux_release(b, p.now_ms);
    pair_deinit(&p);
}

static void test_data_over_the_budget_resets_its_stream(void **state)
{
    pair_t p;
    pair_init(&p);
    p.limit_b.max = 100000;
    yamux_stream_t *a[2], *b[2];
    open_pair(&p, &a[0], &b[0]);
    open_pair(&p, &a[1], &b[1]);
    static uint8_t block[65536];
    size_t n;
    for (int i = 0; i < 2; i++)
        write_all(a[i], bytes_of(block, sizeof block));
    settle(&p);
    assert_err(yamux_read(b[1], block, sizeof block, 0, &n), ERR_LIMIT);
    assert_ok(yamux_read(b[0], block, sizeof block, 0, &n));
    assert_err(yamux_read(a[1], block, sizeof block, 0, &n), ERR_RESET);
    assert_in_range(p.limit_b.peak, 1, 100000);
    for (int i = 0; i < 2; i++) {
        yamux_release(a[i], 0);
        yamux_release(b[i], 0);
    }
    settle(&p);
    pair_deinit(&p);
}

static void test_streams_take_turns(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *bulk, *small, *other[2];
    open_pair(&p, &bulk, &other[0]);
    open_pair(&p, &small, &other[1]);
    static uint8_t block[200000];
    write_all(bulk, bytes_of(block, sizeof block));
    write_all(small, BYTES_LIT("x"));
    yamux_gather_t g;
    assert_true(yamux_output(&p.a, 2 * YAMUX_FRAME_MAX, &g));
    assert_int_equal(g.n_streams, 2); /* the small one waits for one frame at most */
    yamux_output_done(&p.a, &g);
    pair_deinit(&p);
    assert_true(small->is_reset);
    yamux_release(bulk, 0);
    yamux_release(small, 0);
    yamux_release(other[0], 0);
    yamux_release(other[1], 0);
}

static void test_ping_measures(void **state)
{
    pair_t p;
    pair_init(&p);
    p.now_ms += 40;
    settle(&p);
    assert_int_equal(yamux_rtt_ms(&p.a), 40);
    yamux_event_t ev;
    assert_true(yamux_next_event(&p.a, &ev));
    assert_int_equal(ev.kind, YAMUX_EVENT_RTT);
    assert_int_equal(yamux_deadline_ms(&p.a), 31000);
    p.now_ms = 31000;
    assert_ok(yamux_tick(&p.a, p.now_ms));
    assert_true(yamux_has_output(&p.a));
    assert_int_equal(yamux_deadline_ms(&p.a), 51000);
    assert_err(yamux_tick(&p.a, 51000), ERR_TIMEOUT);
    assert_int_equal(p.a.state, YAMUX_CLOSED);
    pair_deinit(&p);
}

static void test_ping_flood(void **state)
{
    pair_t p;
    pair_init(&p);
    err_t e = OK;
    int n = 0;
    for (; !e && n < 10000; n++)
        e = yamux_feed(&p.b, BYTES_LIT("\0\2\0\1\0\0\0\0\0\0\0\7"), 1000);
    assert_int_equal(e, ERR_LIMIT);
    assert_in_range(p.b.control.cap, 0, YAMUX_CONTROL_MAX + 1);
    pair_deinit(&p);
}

/* Opened and reset in one go: nobody hears of it. */
static void test_rapid_reset(void **state)
{
    pair_t p;
    pair_init(&p);
    for (int i = 0; i < 5000; i++) {
        yamux_stream_t *s;
        assert_ok(yamux_open(&p.a, NULL, &s));
        carry(&p.a, &p.b, 0); /* SYN */
        yamux_reset(s);
        yamux_release(s, 0);
        carry(&p.a, &p.b, 0); /* RST */
        assert_int_equal(yamux_stream_count(&p.b), 0);
    }
    yamux_event_t ev;
    while (yamux_next_event(&p.b, &ev))
        assert_int_not_equal(ev.kind, YAMUX_EVENT_STREAM);
    pair_deinit(&p);
}

static void test_reset_before_syn_says_nothing(void **state)
{
    pair_t p;
    pair_init(&p);
    settle(&p);
    yamux_stream_t *s;
    assert_ok(yamux_open(&p.a, NULL, &s));
    yamux_reset(s);
    yamux_release(s, 0);
    assert_int_equal(p.a.unacked, 0);
    expect_output(&p.a, "");
    pair_deinit(&p);
}

static void test_linger(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b;
    open_pair(&p, &a, &b);
    write_all(a, BYTES_LIT("last words"));
    yamux_release(a, p.now_ms);
    settle(&p);
    expect_read(b, BYTES_LIT("last words"));
    expect_read(b, BYTES_NONE);
    write_all(b, BYTES_LIT("nobody reads this"));
    settle(&p);
    assert_int_equal(yamux_stream_count(&p.a), 1);
    p.now_ms += YAMUX_LINGER_MS;
    assert_ok(yamux_tick(&p.a, p.now_ms));
    settle(&p);
    assert_int_equal(yamux_stream_count(&p.a), 0);
    uint8_t byte;
    size_t n;
    assert_err(yamux_write(b, &(bytes_t){&byte, 1}, 1, &n), ERR_RESET);
    yamux_release(b, p.now_ms);
    pair_deinit(&p);
}

static void test_go_away(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b, *none;
    open_pair(&p, &a, &b);
    feed_hex(&p.a, "000300000000000000000000", OK);
    bool is_told = false;
    for (yamux_event_t ev; yamux_next_event(&p.a, &ev);)
        is_told |= ev.kind == YAMUX_EVENT_GO_AWAY;
    assert_true(is_told);
    assert_err(yamux_open(&p.a, NULL, &none), ERR_CLOSED);
    write_all(a, BYTES_LIT("open streams go on"));
    settle(&p);
    expect_read(b, BYTES_LIT("open streams go on"));
    feed_hex(&p.a, "000100010000000200000000", OK); /* refused with RST */
    expect_output(&p.a, "000100080000000200000000");
    yamux_release(a, 0);
    yamux_release(b, 0);
    settle(&p);
    pair_deinit(&p);
}

static void test_session_end_keeps_whole_streams(void **state)
{
    pair_t p;
    pair_init(&p);
    yamux_stream_t *a, *b, *c, *d;
    open_pair(&p, &a, &b);
    open_pair(&p, &c, &d);
    write_all(a, BYTES_LIT("all of it"));
    assert_ok(yamux_close_write(a));
    write_all(c, BYTES_LIT("a part"));
    settle(&p);
    yamux_deinit(&p.b, ERR_RESET);
    expect_read(b, BYTES_LIT("all of it"));
    expect_read(b, BYTES_NONE);
    uint8_t byte;
    size_t n;
    assert_err(yamux_read(d, &byte, 1, 0, &n), ERR_RESET);
    assert_err(yamux_write(d, &(bytes_t){&byte, 1}, 1, &n), ERR_RESET);
    yamux_reset(d);
    yamux_release(a, 0);
    yamux_release(b, 0);
    yamux_release(c, 0);
    yamux_release(d, 0);
    pair_deinit(&p);
}

static void test_ids_run_out(void **state)
{
    pair_t p;
    pair_init(&p);
    p.a.next_id = UINT32_MAX;
    yamux_stream_t *s, *none;
    assert_ok(yamux_open(&p.a, NULL, &s));
    assert_int_equal(s->id, UINT32_MAX);
    assert_err(yamux_open(&p.a, NULL, &none), ERR_CLOSED);
    yamux_reset(s);
    yamux_release(s, 0);
    pair_deinit(&p);
}

/* Many streams with random sizes, splits and pauses carry what was written. */
static void test_random_traffic(void **state)
{
    enum { N = 20, TOTAL = 300000 };
    for (uint64_t seed = 0; seed < 10; seed++) {
        pair_t p;
        pair_init(&p);
        prng_t rng;
        prng_seed(&rng, seed);
        yamux_stream_t *a[N], *b[N];
        size_t sent[N] = {0}, got[N] = {0};
        for (int i = 0; i < N; i++)
            open_pair(&p, &a[i], &b[i]);
        for (size_t done = 0; done < N;) {
            size_t i = prng_below(&rng, N), n = 0;
            static uint8_t block[20000];
            size_t len = prng_below(&rng, sizeof block);
            len = len < TOTAL - sent[i] ? len : TOTAL - sent[i];
            for (size_t k = 0; k < len; k++)
                block[k] = (uint8_t)((sent[i] + k) * 7 + i);
            bytes_t piece = bytes_of(block, len);
            err_t e = len ? yamux_write(a[i], &piece, 1, &n) : OK;
            assert_true(!e || e == ERR_AGAIN);
            sent[i] += n;
            if (sent[i] == TOTAL)
                assert_ok(yamux_close_write(a[i]));
            if (prng_below(&rng, 3) == 0) {
                p.now_ms += prng_below(&rng, 30);
                settle(&p);
            }
            size_t j = prng_below(&rng, N);
            if (got[j] > TOTAL || yamux_read(b[j], block, 1 + prng_below(&rng, sizeof block), p.now_ms, &n))
                continue;
            for (size_t k = 0; k < n; k++)
                assert_int_equal(block[k], (uint8_t)((got[j] + k) * 7 + j));
            got[j] += n;
            if (!n) {
                assert_int_equal(got[j], TOTAL);
                got[j]++;
                done++;
            }
        }
        for (int i = 0; i < N; i++) {
            yamux_release(a[i], p.now_ms);
            yamux_release(b[i], p.now_ms);
        }
        settle(&p);
        assert_int_equal(yamux_stream_count(&p.a) + yamux_stream_count(&p.b), 0);
        pair_deinit(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_both_ways),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_refused_syn_changes_nothing),
        cmocka_unit_test(test_max_streams),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_window_grows_and_is_charged),
        cmocka_unit_test(test_window_growth_stops_at_the_limit),
        cmocka_unit_test(test_window_within_a_frame),
        cmocka_unit_test(test_data_over_the_budget_resets_its_stream),
        cmocka_unit_test(test_streams_take_turns),
        cmocka_unit_test(test_ping_measures),
        cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_reset_before_syn_says_nothing),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_go_away),
        cmocka_unit_test(test_session_end_keeps_whole_streams),
        cmocka_unit_test(test_ids_run_out),
        cmocka_unit_test(test_random_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
