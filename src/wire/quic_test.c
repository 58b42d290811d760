#include "tests/support/quic_world.h"
#include "tests/support/test.h"

static void open_world(world_t *w, uint64_t seed)
{
    world_init(w, seed);
    world_dial(w, &w->nodes[1].id);
    world_run(w, 100);
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN);
    assert_int_equal(quic_state(w->nodes[1].conn), QUIC_OPEN);
}

static void shakes_hands(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 1);
    world_dial(w, &w->nodes[1].id);
    assert_false(quic_may_open(w->nodes[0].conn));
    world_run(w, 2 * w->latency_ms); /* one round trip, and the client may speak */
    assert_int_equal(w->nodes[0].n_opened, 1);
    world_run(w, 100);
    assert_int_equal(w->nodes[1].n_opened, 1);
    assert_true(peer_id_equal(quic_peer(w->nodes[0].conn), &w->nodes[1].id));
    assert_true(peer_id_equal(quic_peer(w->nodes[1].conn), &w->nodes[0].id));
    assert_in_range(quic_rtt_ms(w->nodes[0].conn), 10, 12);
    world_deinit(w);
    free(w);
}

static void refuses_another_peer(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 2);
    world_dial(w, &w->nodes[0].id);
    world_run(w, 1000);
    assert_int_equal(w->nodes[0].error, ERR_CRYPTO);
    assert_int_equal(w->nodes[0].n_opened + w->nodes[1].n_opened, 0);
    assert_int_equal(w->nodes[1].error, ERR_RESET); /* it was told */
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_ENDED);
    world_deinit(w);
    free(w);
}

/* ── bytes ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct transfer {
    size_t to_write, written, read;
    quic_stream_t *out, *in;
    err_t out_error, in_error;
    bool is_paused, has_ended, was_closed;
} transfer_t;

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void write_more(transfer_t *x)
{
    uint8_t block[8192];
    while (x->out && x->written < x->to_write) {
        size_t n = 0,
               want = x->to_write - x->written < sizeof block ? x->to_write - x->written : sizeof block;
        for (size_t i = 0; i < want; i++)
            block[i] = byte_at(x->written + i);
        bytes_t pieces[] = {bytes_of(block, want / 3), bytes_of(block + want / 3, want - want / 3)};
        x->out_error = quic_stream_write(x->out, pieces, 2, &n);
        if (x->out_error)
            return;
        x->written += n;
    }
    if (x->out && !x->was_closed) {
        x->was_closed = true;
        assert_ok(quic_stream_close_write(x->out));
    }
}

static void read_more(transfer_t *x)
{
    uint8_t block[10000];
    size_t n;
    while (!x->is_paused && x->in && !x->has_ended) {
        x->in_error = quic_stream_read(x->in, block, sizeof block, &n);
        if (x->in_error)
            return;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(block[i], byte_at(x->read + i));
        x->read += n;
        x->has_ended = !n;
    }
}

static void on_transfer(world_node_t *n, const quic_event_t *ev)
{
    transfer_t *x = n->arg;
    if (ev->kind != QUIC_EVENT_STREAM)
        return;
    if (ev->news & QUIC_NEWS_OPENED) {
        x->in = ev->stream;
        quic_stream_accept(ev->stream, n);
    }
    if (ev->stream == x->out)
        write_more(x);
    if (ev->stream == x->in)
        read_more(x);
}

static void begin(world_t *w, transfer_t *x)
{
    for (int i = 0; i < 2; i++) {
        w->nodes[i].on_stream = on_transfer;
        w->nodes[i].arg = x;
    }
    assert_ok(quic_stream_open(w->nodes[0].conn, &w->nodes[0], &x->out));
    write_more(x);
}

static void release(world_t *w, transfer_t *x)
{
    quic_stream_release(x->out, w->now_ms);
    quic_stream_release(x->in, w->now_ms);
    x->out = x->in = NULL;
}

static void carries(world_t *w, size_t len, uint64_t within_ms)
{
    transfer_t x = {.to_write = len};
    begin(w, &x);
    uint64_t end_ms = w->now_ms + within_ms;
    while (!x.has_ended && w->now_ms < end_ms && world_step(w))
        ;
    assert_int_equal(x.read, len);
    assert_true(x.has_ended);
    quic_stream_release(x.in, w->now_ms);
    quic_stream_release(x.out, w->now_ms);
    world_run(w, 1000);
    assert_int_equal(quic_stream_count(w->nodes[0].conn), 0);
    assert_int_equal(quic_stream_count(w->nodes[1].conn), 0);
    assert_int_equal(w->nodes[0].limit.used + w->nodes[1].limit.used, 0);
}

static void carries_bytes(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 3);
    carries(w, 0, 1000);
    carries(w, 1, 1000);
    carries(w, 3000000, 10000);
    assert_in_range(w->nodes[0].limit.peak, 100000, 20 << 20);
    world_deinit(w);
    free(w);
}

/* Loopback: on a link without latency the window grows as on any other. */
static void is_fast_nearby(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 16);
    for (int i = 0; i < 2; i++)
        w->nodes[i].addr.ip[0] = 127;
    world_dial(w, &w->nodes[1].id);
    world_run(w, 100);
    w->latency_ms = 0;
    transfer_t x = {.to_write = 20 << 20};
    begin(w, &x);
    size_t steps = 0;
    while (!x.has_ended && world_step(w))
        steps++;
    assert_int_equal(x.read, 20 << 20);
    assert_in_range(steps, 1, 300);
    release(w, &x);
    world_deinit(w);
    free(w);
}

/* Far away, where one packet of a hundred is lost for no fault of the sender's. */
static void is_fast_far_away(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 17);
    w->latency_ms = 31;
    w->loss_percent = 1;
    world_dial(w, &w->nodes[1].id);
    world_run(w, 1000);
    carries(w, 8 << 20, 3000);
    world_deinit(w);
    free(w);
}

static void survives_loss(void **state)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        world_t *w = xmalloc(sizeof *w);
        world_init(w, seed);
        w->loss_percent = 5;
        w->twice_percent = 5;
        world_dial(w, &w->nodes[1].id);
        for (int i = 0; i < 10000 && !(w->nodes[0].n_opened && w->nodes[1].n_opened); i++)
            assert_true(world_step(w));
        carries(w, 300000, 60000);
        world_deinit(w);
        free(w);
    }
}

/* What nobody reads stays within the window; once it is read, the rest comes. */
static void is_held_back(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 4);
    transfer_t x = {.to_write = 4 << 20, .is_paused = true};
    begin(w, &x);
    world_run(w, 5000);
    assert_int_equal(x.out_error, ERR_AGAIN);
    assert_in_range(w->nodes[1].limit.used, QUIC_STREAM_WINDOW, QUIC_STREAM_WINDOW);
    assert_in_range(x.written, QUIC_STREAM_WINDOW, QUIC_STREAM_WINDOW + (256 << 10));
    x.is_paused = false;
    read_more(&x);
    world_run(w, 10000);
    assert_true(x.has_ended);
    release(w, &x);
    world_deinit(w);
    free(w);
}

/* Without a budget the stream is reset, the connection goes on. */
static void resets_without_budget(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 5);
    w->nodes[1].limit.max = 100000;
    transfer_t x = {.to_write = 1 << 20, .is_paused = true};
    begin(w, &x);
    world_run(w, 2000);
    assert_int_equal(x.out_error, ERR_RESET);
    uint8_t byte;
    size_t n;
    assert_err(quic_stream_read(x.in, &byte, 1, &n), ERR_LIMIT);
    release(w, &x);
    world_run(w, 2000);
    assert_int_equal(w->nodes[1].limit.used, 0);
    w->nodes[0].on_stream = w->nodes[1].on_stream = NULL;
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN);
    w->nodes[1].limit.max = 64 << 20;
    carries(w, 2 << 20, 10000);
    world_deinit(w);
    free(w);
}

static void ends_streams(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 6);
    transfer_t x = {.to_write = 1000};
    begin(w, &x);
    world_run(w, 100);
    assert_true(x.has_ended);
    size_t n;
    uint8_t byte;
    assert_err(quic_stream_write(x.out, &BYTES_LIT("x"), 1, &n), ERR_CLOSED);
    assert_ok(quic_stream_close_write(x.out));
    assert_ok(quic_stream_write(x.in, &BYTES_LIT("answer"), 1, &n));
    quic_stream_reset(x.in);
    assert_err(quic_stream_write(x.in, &BYTES_LIT("x"), 1, &n), ERR_CLOSED);
    world_run(w, 100);
    assert_err(quic_stream_read(x.out, &byte, 1, &n), ERR_RESET);
    release(w, &x);
    world_run(w, 200);
    assert_int_equal(quic_stream_count(w->nodes[0].conn), 0);
    assert_int_equal(quic_stream_count(w->nodes[1].conn), 0);
    /* one that its user leaves while the peer still writes */
    x = (transfer_t){.to_write = 8 << 20};
    begin(w, &x);
    world_run(w, 12);
    assert_non_null(x.in);
    quic_stream_release(x.in, w->now_ms);
    x.in = NULL;
    world_run(w, 1000);
    assert_int_equal(x.out_error, ERR_RESET);
    /* and one that outlives its connection */
    quic_end(w->nodes[0].conn, ERR_CLOSED);
    world_run(w, 100);
    assert_int_equal(w->nodes[1].error, ERR_RESET);
    assert_ok(quic_stream_read(x.out, &byte, 1, &n)); /* it ended before */
    assert_int_equal(n, 0);
    assert_err(quic_stream_open(w->nodes[0].conn, w, &x.in), ERR_CLOSED);
    world_forget(&w->nodes[0]);
    quic_stream_release(x.out, w->now_ms);
    world_deinit(w);
    free(w);
}

/* Who answers and leaves without having read the end: the answer still arrives, beside other streams' data.
 */
static void answers_before_it_leaves(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 15);
    transfer_t x = {.to_write = 100};
    for (int i = 0; i < 2; i++) {
        w->nodes[i].on_stream = on_transfer;
        w->nodes[i].arg = &x;
    }
    size_t n;
    uint8_t in[1000];
    quic_stream_t *other;
    assert_ok(quic_stream_open(w->nodes[0].conn, &w->nodes[0], &x.out));
    assert_ok(quic_stream_write(x.out, &BYTES_LIT("question"), 1, &n)); /* and no end of it */
    x.is_paused = true;
    while (!x.in)
        assert_true(world_step(w));
    assert_ok(quic_stream_open(w->nodes[1].conn, &w->nodes[1], &other));
    assert_ok(quic_stream_write(other, &BYTES_LIT("another"), 1, &n));
    memset(in, 7, sizeof in);
    assert_ok(quic_stream_write(x.in, &(bytes_t){in, 600}, 1, &n));
    quic_stream_release(x.in, w->now_ms);
    x.in = NULL;
    world_run(w, 200);
    assert_ok(quic_stream_read(x.out, in, sizeof in, &n));
    assert_int_equal(n, 600);
    assert_ok(quic_stream_read(x.out, in, sizeof in, &n));
    assert_int_equal(n, 0);
    quic_stream_release(x.out, w->now_ms);
    quic_stream_release(other, w->now_ms);
    if (x.in)
        quic_stream_release(x.in, w->now_ms);
    world_deinit(w);
    free(w);
}

static void count_may_open(world_node_t *n, const quic_event_t *ev)
{
    if (ev->kind == QUIC_EVENT_MAY_OPEN)
        ++*(size_t *)n->arg;
    if (ev->news & QUIC_NEWS_OPENED)
        quic_stream_accept(ev->stream, n);
    uint8_t in[16];
    size_t len;
    err_t e = ev->stream ? quic_stream_read(ev->stream, in, sizeof in, &len) : ERR_AGAIN;
    if (e == ERR_RESET || (!e && !len))
        quic_stream_release(ev->stream, 0);
}

static void waits_for_stream_credit(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 7);
    size_t n_may_open = 0, n;
    for (int i = 0; i < 2; i++) {
        w->nodes[i].on_stream = count_may_open;
        w->nodes[i].arg = &n_may_open;
    }
    quic_stream_t *streams[257];
    for (int i = 0; i < 256; i++) {
        assert_ok(quic_stream_open(w->nodes[0].conn, w, &streams[i]));
        assert_ok(quic_stream_write(streams[i], &BYTES_LIT("hello"), 1, &n));
    }
    assert_err(quic_stream_open(w->nodes[0].conn, w, &streams[256]), ERR_AGAIN);
    world_run(w, 100);
    assert_int_equal(quic_stream_count(w->nodes[1].conn), 256);
    n_may_open = 0;
    for (int i = 0; i < 256; i++) {
        quic_stream_reset(streams[i]);
        quic_stream_release(streams[i], w->now_ms);
    }
    world_run(w, 200);
    assert_true(n_may_open > 0);
    assert_ok(quic_stream_open(w->nodes[0].conn, w, &streams[256]));
    quic_stream_release(streams[256], w->now_ms);
    world_run(w, 100);
    assert_int_equal(quic_stream_count(w->nodes[1].conn), 0);
    world_deinit(w);
    free(w);
}

/* ── the path ────────────────────────────────────────────────────────────────────────────────── */
static void proves_its_address(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 8);
    w->nodes[1].must_prove = true;
    world_dial(w, &w->nodes[1].id);
    world_run(w, 100);
    assert_int_equal(w->nodes[1].n_replies, 1);
    assert_int_equal(w->nodes[0].n_opened + w->nodes[1].n_opened, 2);
    carries(w, 10000, 1000);
    world_deinit(w);
    free(w);
}

/* The connection ends, on both sides; the endpoints stay. */
static void hang_up(world_t *w)
{
    quic_end(w->nodes[0].conn, ERR_CLOSED);
    world_run(w, 100);
    world_forget(&w->nodes[0]);
    world_forget(&w->nodes[1]);
    w->nodes[0].error = w->nodes[1].error = OK;
}

/* Who was here before has a token, and begins without a retry when others must; each of them once. */
static void needs_no_retry_with_a_token(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 17);
    w->nodes[1].must_prove = true;
    for (int i = 0; i < 3; i++) {
        hang_up(w);
        world_dial(w, &w->nodes[1].id);
        world_run(w, 2 * w->latency_ms);
        assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN); /* in one round trip */
        assert_int_equal(w->nodes[1].n_replies, 0);
        world_run(w, 100);
    }
    hang_up(w);
    w->nodes[0].addr.ip[3] ^= 8; /* it proves the address that it was given for */
    world_dial(w, &w->nodes[1].id);
    world_run(w, 100);
    assert_int_equal(w->nodes[1].n_replies, 1);
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN);
    world_deinit(w);
    free(w);
}

/* One connection that ends again; had_token: it had a token to show. */
static void come_and_go(world_t *w, bool had_token)
{
    w->nodes[1].n_replies = 0;
    world_dial(w, &w->nodes[1].id);
    world_run(w, 100);
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN);
    assert_int_equal(w->nodes[1].n_replies, !had_token);
    hang_up(w);
}

/* Nobody can save up tokens: after so many in an hour those of one address do without. */
static void gives_few_tokens_to_a_place(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 21);
    assert_ok(net_addr_parse("[2001:db8:1:2::1]:4001", &w->nodes[0].addr));
    w->nodes[1].must_prove = true;
    for (int i = 0; i < 33; i++) {
        w->nodes[0].addr.ip[15] = (uint8_t)i; /* the token is for one address, the rate for its /64 */
        come_and_go(w, false);
    }
    come_and_go(w, false); /* the last ones gave none */
    w->nodes[0].addr.ip[7]++;
    come_and_go(w, false);
    come_and_go(w, true); /* others have theirs */
    w->nodes[0].addr.ip[7]--;
    w->now_ms += 3600000;
    come_and_go(w, false);
    come_and_go(w, true);
    world_deinit(w);
    free(w);
}

/* Whoever comes back from where it moved to needs no retry either. */
static void has_a_token_of_its_new_address(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 18);
    w->nodes[0].addr.ip[3] ^= 8;
    quic_moved(w->nodes[0].conn, w->now_ms);
    world_run(w, 1000);
    assert_true(net_addr_equal(quic_peer_addr(w->nodes[1].conn), &w->nodes[0].addr));
    hang_up(w);
    w->nodes[1].must_prove = true;
    world_dial(w, &w->nodes[1].id);
    world_run(w, 2 * w->latency_ms);
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN);
    assert_int_equal(w->nodes[1].n_replies, 0);
    world_deinit(w);
    free(w);
}

/* The first packet that a client would send, as an attacker sees it. */
static size_t first_packet(world_t *w)
{
    quic_burst_t b;
    world_dial(w, &w->nodes[1].id);
    assert_true(quic_output(w->nodes[0].conn, w->out, sizeof w->out, w->now_ms, &b));
    assert_in_range(b.len, 1200, QUIC_DATAGRAM_MAX);
    return b.len;
}

static quic_route_t route(world_t *w, size_t len, const net_addr_t *from)
{
    quic_t *q;
    uint8_t reply[QUIC_REPLY_MAX];
    size_t n;
    return quic_endpoint_route(w->nodes[1].endpoint, from, bytes_of(w->out, len), w->now_ms, true, &q, reply,
                               &n);
}

/* A packet with a token, seen on the way and sent again, begins nothing: not when the token has been used,
 * nor from another address, nor when it is old. */
static void counts_a_token_once(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 19);
    hang_up(w);
    size_t len = first_packet(w);
    const net_addr_t *here = &w->nodes[0].addr;
    net_addr_t elsewhere = *here;
    elsewhere.ip[0] ^= 1;
    assert_int_equal(route(w, len, &elsewhere), QUIC_TO_REPLY);
    assert_int_equal(route(w, len, here), QUIC_TO_NEW);
    w->now_ms += 25 * 3600000;
    assert_int_equal(route(w, len, here), QUIC_TO_REPLY);
    w->now_ms -= 25 * 3600000;
    world_deliver(w, &w->nodes[1], here, bytes_of(w->out, len));
    assert_non_null(w->nodes[1].conn);
    world_forget(&w->nodes[1]);
    assert_int_equal(route(w, len, here), QUIC_TO_REPLY);
    world_deinit(w);
    free(w);
}

static void answers_those_of_nobody(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    world_init(w, 9);
    size_t len = first_packet(w), n;
    quic_t *q;
    uint8_t reply[QUIC_REPLY_MAX];
    quic_endpoint_t *e = w->nodes[1].endpoint;
    const net_addr_t *from = &w->nodes[0].addr;
    assert_int_equal(quic_endpoint_route(e, from, bytes_of(w->out, len), 5, false, &q, reply, &n),
                     QUIC_TO_NEW);
    assert_int_equal(quic_endpoint_route(e, from, bytes_of(w->out, len), 5, true, &q, reply, &n),
                     QUIC_TO_REPLY);
    assert_in_range(n, 1, len); /* amplifies nothing */
    assert_int_equal(quic_endpoint_route(e, from, bytes_of(w->out, 1100), 5, false, &q, reply, &n),
                     QUIC_TO_NOBODY);
    static const uint32_t others[] = {0x6b3343cf, 0xff00001d, 0x1a2a3a4a};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        for (int k = 0; k < 4; k++)
            w->out[1 + k] = (uint8_t)(others[i] >> (24 - 8 * k));
        assert_int_equal(quic_endpoint_route(e, from, bytes_of(w->out, len), 5, false, &q, reply, &n),
                         QUIC_TO_REPLY);
        assert_in_range(n, 11, 60);
        assert_bytes(bytes_of(reply + n - 4, 4), BYTES_LIT("\0\0\0\1"));
    }
    size_t n_resets = 0;
    memset(w->out, 0x41, 100); /* short ones of connections that are gone: a few are answered */
    for (int i = 0; i < 500; i++)
        n_resets +=
            quic_endpoint_route(e, from, bytes_of(w->out, 60), 5000, false, &q, reply, &n) == QUIC_TO_REPLY;
    assert_int_equal(n_resets, 100);
    assert_int_equal(quic_endpoint_route(e, from, bytes_of(w->out, 40), 9000, false, &q, reply, &n),
                     QUIC_TO_NOBODY);
    assert_int_equal(quic_endpoint_route(e, from, BYTES_NONE, 9000, false, &q, reply, &n), QUIC_TO_NOBODY);
    world_deinit(w);
    free(w);
}

/* One side forgot the connection (it started anew): the other learns it from a reset. */
static void notices_a_reset(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 10);
    world_forget(&w->nodes[1]);
    quic_stream_t *s;
    size_t n;
    assert_ok(quic_stream_open(w->nodes[0].conn, w, &s));
    assert_ok(quic_stream_write(s, &BYTES_LIT("are you there?"), 1, &n));
    uint64_t was_ms = w->now_ms;
    while (!w->nodes[0].error)
        assert_true(world_step(w));
    assert_in_range(w->now_ms - was_ms, 10, 20);
    assert_int_equal(w->nodes[0].error, ERR_RESET);
    quic_stream_release(s, w->now_ms);
    world_deinit(w);
    free(w);
}

static void on_moved(world_node_t *n, const quic_event_t *ev)
{
    if (ev->kind == QUIC_EVENT_MOVED)
        n->n_replies = 77;
    else
        on_transfer(n, ev);
}

static void follows_a_peer_that_moves(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 11);
    transfer_t x = {.to_write = 1 << 20};
    begin(w, &x);
    w->nodes[1].on_stream = on_moved;
    world_run(w, 20);
    assert_in_range(x.read, 1, (1 << 20) - 1);
    w->nodes[0].addr.ip[3] = 99; /* another network, another NAT */
    w->nodes[0].addr.port = 55555;
    world_run(w, 5000);
    assert_true(x.has_ended);
    assert_int_equal(w->nodes[1].n_replies, 77);
    assert_true(net_addr_equal(quic_peer_addr(w->nodes[1].conn), &w->nodes[0].addr));
    release(w, &x);
    world_deinit(w);
    free(w);
}

/* What somebody on the way sees of the connection ids of short packets: of each node's, those of this move
 * and of the one before. */
enum { IDS_MAX = 64 };
typedef struct watcher {
    const world_t *w;
    struct {
        uint64_t ids[IDS_MAX];
        size_t n;
    } now[2], before[2];
} watcher_t;

static void watch(void *arg, const world_node_t *from, const net_addr_t *to, bytes_t datagram)
{
    watcher_t *x = arg;
    size_t k = from == &x->w->nodes[1];
    uint64_t id;
    if (k && !net_addr_equal(to, &x->w->nodes[0].addr))
        return; /* to where node 0 was */
    if (datagram.data[0] & 0x80 || datagram.len < 1 + sizeof id)
        return;
    memcpy(&id, datagram.data + 1, sizeof id);
    for (size_t i = 0; i < x->before[k].n; i++)
        assert_true(x->before[k].ids[i] != id);
    for (size_t i = 0; i < x->now[k].n; i++)
        if (x->now[k].ids[i] == id)
            return;
    assert_true(x->now[k].n < IDS_MAX);
    x->now[k].ids[x->now[k].n++] = id;
}

/* A client that knows of its own move is another one to all on the way: no id is seen on both paths, in
 * either direction. */
static void moves_with_fresh_ids(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 20);
    transfer_t x = {.to_write = 4 << 20};
    watcher_t seen = {.w = w};
    w->on_way = watch;
    w->on_way_arg = &seen;
    begin(w, &x);
    w->nodes[1].on_stream = on_moved;
    for (int round = 0; round < 3; round++) {
        world_run(w, 6 * w->latency_ms);
        assert_true(seen.now[0].n && seen.now[1].n);
        seen.before[0] = seen.now[0];
        seen.before[1] = seen.now[1];
        seen.now[0].n = seen.now[1].n = 0;
        w->nodes[0].addr.ip[3]++;
        quic_moved(w->nodes[0].conn, w->now_ms);
        world_run(w, 4 * w->latency_ms);
        assert_true(net_addr_equal(quic_peer_addr(w->nodes[1].conn), &w->nodes[0].addr));
    }
    assert_int_equal(w->nodes[1].n_replies, 77);
    world_run(w, 20000);
    assert_true(x.has_ended);
    release(w, &x);
    world_deinit(w);
    free(w);
}

/* Whenever a connection ends, the ids and reset tokens that a move brought along lead to it no more: the
 * endpoint checks when it is freed. */
static void ends_within_a_move(void **state)
{
    for (uint64_t until_ms = 1; until_ms <= 400; until_ms += 3) {
        world_t *w = xmalloc(sizeof *w);
        open_world(w, 11);
        transfer_t x = {.to_write = 1 << 20};
        begin(w, &x);
        w->nodes[1].on_stream = on_moved;
        world_run(w, 20);
        w->nodes[0].addr.port = 55555;
        world_run(w, 20);
        w->nodes[0].addr.port = 55556;
        world_run(w, until_ms);
        release(w, &x);
        world_deinit(w);
        free(w);
    }
}

static void notices_silence(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 12);
    world_run(w, 300000); /* idle, but kept alive */
    assert_int_equal(quic_state(w->nodes[0].conn), QUIC_OPEN);
    assert_in_range(w->nodes[0].n_sent + w->nodes[1].n_sent, 20, 120);
    w->loss_percent = 100;
    world_run(w, 100000);
    assert_int_equal(w->nodes[0].error, ERR_TIMEOUT);
    assert_int_equal(w->nodes[1].error, ERR_TIMEOUT);
    world_deinit(w);
    /* nobody answers at all */
    world_init(w, 13);
    w->loss_percent = 100;
    world_dial(w, &w->nodes[1].id);
    world_run(w, 60000);
    assert_int_equal(w->nodes[0].error, ERR_TIMEOUT);
    assert_in_range(w->nodes[0].n_sent, 3, 20);
    world_deinit(w);
    free(w);
}

/* Bytes of others that look like ours, and ours with a bit turned, change nothing. */
static void ignores_what_is_forged(void **state)
{
    world_t *w = xmalloc(sizeof *w);
    open_world(w, 14);
    transfer_t x = {.to_write = 200000};
    begin(w, &x);
    for (int i = 0; i < 2000 && !x.has_ended; i++) {
        world_datagram_t *d = LIST_FIRST(&w->wire, world_datagram_t, node);
        if (d && d->len > 20) {
            uint8_t *copy = malloc(d->len);
            memcpy(copy, d->data, d->len);
            copy[9 + prng_below(&w->rng, d->len - 9)] ^= (uint8_t)(1 << prng_below(&w->rng, 8));
            world_deliver(w, d->to, &d->from, bytes_of(copy, d->len));
            free(copy);
        }
        assert_true(world_step(w));
    }
    assert_true(x.has_ended);
    assert_int_equal(w->nodes[0].error + w->nodes[1].error, 0);
    release(w, &x);
    world_deinit(w);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shakes_hands),
        cmocka_unit_test(refuses_another_peer),
        cmocka_unit_test(carries_bytes),
        cmocka_unit_test(is_fast_nearby),
        cmocka_unit_test(is_fast_far_away),
        cmocka_unit_test(survives_loss),
        cmocka_unit_test(is_held_back),
        cmocka_unit_test(resets_without_budget),
        cmocka_unit_test(ends_streams),
        cmocka_unit_test(answers_before_it_leaves),
        cmocka_unit_test(waits_for_stream_credit),
        cmocka_unit_test(proves_its_address),
        cmocka_unit_test(needs_no_retry_with_a_token),
        cmocka_unit_test(gives_few_tokens_to_a_place),
        cmocka_unit_test(has_a_token_of_its_new_address),
        cmocka_unit_test(counts_a_token_once),
        cmocka_unit_test(answers_those_of_nobody),
        cmocka_unit_test(notices_a_reset),
        cmocka_unit_test(follows_a_peer_that_moves),
        cmocka_unit_test(moves_with_fresh_ids),
        cmocka_unit_test(ends_within_a_move),
        cmocka_unit_test(notices_silence),
        cmocka_unit_test(ignores_what_is_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
