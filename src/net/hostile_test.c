/* Peers that misbehave: they are dropped, and what they made us hold is bounded and given back. */
#include "base/writer.h"
#include "tests/support/net.h"
#include "wire/identify.h"

#define HOLD "/test/hold/1.0.0"

static stream_t *raw_dial(task_t *t, net_world_t *w, size_t to)
{
    net_addr_t at = sim_host_addr(w->nodes[to].machine, NET_PORT);
    stream_t *s;
    assert_ok(net_dial(t, &at, &s));
    return s;
}

/* Milliseconds until the other side ends the stream. */
static uint64_t wait_end(task_t *t, stream_t *s)
{
    uint64_t began = task_now_ms(t);
    uint8_t block[256];
    size_t n;
    while (!stream_read(t, s, block, sizeof block, &n) && n)
        ;
    return task_now_ms(t) - began;
}

static err_t garbage(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 1);
    static const bytes_t inputs[] = {
        BYTES_LIT(
            "GET / HTTP/1.1\r\nHost: example\r\nUser-Agent: curl and more so that the line is full\r\n\r\n"),
        BYTES_LIT("\xff\xff\xff\xff\xff\xff"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n\xff\xff"), /* a huge frame */
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n\x00\x20 thirty-two bytes are no key... \x00\x00"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n\x00\x00"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01\xff\xff"), /* a huge record */
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\nGET / HTTP/1.1\r\n\r\n"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x15\x03\x03\x00\x02\x02\x28"), /* an alert */
    };
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        stream_t *s = raw_dial(t, w, 1);
        assert_ok(stream_write(t, s, inputs[i]));
        assert_in_range(wait_end(t, s), 0, 1000);
        stream_close(s);
    }
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    assert_int_equal(host_limit(w->nodes[1].host)->used, 0);
    net_stop_all(t, w);
    return OK;
}

static err_t stalls(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 1);
    static const bytes_t inputs[] = {
        BYTES_NONE,
        BYTES_LIT("\x13/multi"),
        BYTES_LIT("\x13/multistream/1.0.0\n"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n\x00\x20 half a message"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01\x02\x00half a hello"),
    };
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        stream_t *s = raw_dial(t, w, 1);
        if (inputs[i].len)
            assert_ok(stream_write(t, s, inputs[i]));
        assert_in_range(wait_end(t, s), 14900, 15100);
        stream_close(s);
    }
    /* one byte a second is a stall too */
    stream_t *s = raw_dial(t, w, 1);
    uint64_t began = task_now_ms(t);
    for (int i = 0; i < 20; i++) {
        if (stream_write(t, s, bytes_slice(BYTES_LIT("\x13/multistream/1.0.0\n"), (size_t)i, 1)))
            break;
        assert_ok(task_sleep(t, 1000));
    }
    wait_end(t, s);
    assert_in_range(task_now_ms(t) - began, 14900, 21000);
    stream_close(s);
    net_stop_all(t, w);
    return OK;
}

/* Upgrades under way are counted; over the limit a newcomer is turned away and the others go on. */
static err_t pending_limit(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.max_inbound_pending = 4;
    net_start_all(t, w);
    stream_t *s[5];
    for (int i = 0; i < 5; i++) {
        s[i] = raw_dial(t, w, 1);
        assert_ok(task_sleep(t, 20));
    }
    assert_in_range(wait_end(t, s[4]), 0, 50);
    assert_ok(task_sleep(t, 15000));
    conn_release(net_connect(t, w, 0, 1)); /* the stalled ones are gone */
    for (int i = 0; i < 5; i++)
        stream_close(s[i]);
    net_stop_all(t, w);
    return OK;
}

/* One address may take some of the places, not all; those from elsewhere get in. */
static err_t address_limit(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.max_pending_per_ip = 3;
    net_start(t, w, 1);
    net_start(t, w, 2);
    stream_t *s[6];
    for (int i = 0; i < 6; i++) {
        s[i] = raw_dial(t, w, 1);
        assert_ok(task_sleep(t, 20));
    }
    assert_in_range(wait_end(t, s[5]), 0, 50);
    conn_release(net_connect(t, w, 2, 1));
    for (int i = 0; i < 6; i++)
        stream_close(s[i]);
    net_stop_all(t, w);
    return OK;
}

static err_t serve_hold(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t byte;
    size_t n;
    TRY(stream_read(t, s, &byte, 1, &n));
    stream_close(s);
    return OK;
}

/* Thousands of streams: the peer's share is refused, it stays connected, nothing is left after it. */
static err_t stream_flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.max_streams_per_conn = 4000; /* the flooder's own limit */
    net_start(t, w, 0);
    w->limits.max_streams_per_conn = 64;
    net_start(t, w, 1);
    host_t *b = w->nodes[1].host;
    assert_ok(host_handle(b, HOLD, NULL, serve_hold, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    assert_ok(task_sleep(t, 60000));
    uint64_t idle_bytes = host_limit(b)->used;
    enum { N = 2000 };
    stream_t **s = xcalloc(N, sizeof *s);
    const char *const protocols[] = {HOLD};
    for (int i = 0; i < N; i++)
        assert_ok(conn_open_stream(t, c, protocols, 1, &s[i], NULL));
    assert_ok(task_sleep(t, 1000));
    conn_t *at_b[2];
    assert_int_equal(host_conns(b, at_b, 2), 1);
    assert_in_range(conn_stream_count(at_b[0]), 1, 48);
    assert_in_range(sched_task_count(host_sched(b)), 1, 60);
    double rtt_ms;
    for (int i = 0; i < N; i++)
        stream_close(s[i]);
    assert_ok(task_sleep(t, 1000));
    assert_ok(host_ping(t, w->nodes[0].host, host_id(b), &rtt_ms));
    assert_ok(task_sleep(t, 100));
    assert_int_equal(conn_stream_count(at_b[0]), 0);
    free(s);
    conn_release(c);
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(host_limit(b)->used, idle_bytes);
    net_stop_all(t, w);
    return OK;
}

/* Fills the windows of many streams that nobody reads: the peer's budget stops it. */
static err_t serve_never(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    TRY(task_sleep(t, 600000));
    stream_close(s);
    return OK;
}

static err_t memory_flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 0);
    w->limits.max_bytes_per_peer = 2 << 20;
    net_start(t, w, 1);
    host_t *b = w->nodes[1].host;
    assert_ok(host_handle(b, HOLD, NULL, serve_never, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    enum { N = 40 };
    stream_t *s[N];
    static uint8_t block[256 << 10];
    const char *const protocols[] = {HOLD};
    size_t n_refused = 0;
    for (int i = 0; i < N; i++) {
        assert_ok(conn_open_stream(t, c, protocols, 1, &s[i], NULL));
        err_t e = stream_write(t, s[i], bytes_of(block, sizeof block));
        assert_true(!e || e == ERR_RESET); /* refused with its first byte: there is no room even for that */
    }
    assert_ok(task_sleep(t, 5000));
    for (int i = 0; i < N; i++) {
        uint8_t byte;
        size_t n;
        n_refused += stream_try_read(s[i], &byte, 1, &n) == ERR_RESET;
        stream_reset(s[i]);
        stream_close(s[i]);
    }
    assert_in_range(n_refused, N - 8, N - 6);
    assert_in_range(host_limit(b)->peak, 1 << 20, (2 << 20) + CHANNEL_FRAME_MAX);
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 600000)); /* its handlers have ended, too */
    assert_int_equal(host_limit(b)->used, 0);
    net_stop_all(t, w);
    return OK;
}

/* Identify that never ends, that is too large, that is nonsense. */
typedef enum { FLOOD_PARTS, FLOOD_BIG, FLOOD_NONSENSE, FLOOD_NOTHING } flood_t;

static err_t serve_bad_identify(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    flood_t kind = *(flood_t *)arg;
    if (kind == FLOOD_NOTHING)
        return task_sleep(t, 100000);
    if (kind == FLOOD_BIG)
        TRY(stream_write(t, s, BYTES_LIT("\x80\x80\x80\x01")));
    if (kind == FLOOD_NONSENSE)
        TRY(stream_write(t, s, BYTES_LIT("\x04\x0a\x05xy")));
    for (int i = 0; kind == FLOOD_PARTS && i < 10000; i++)
        TRY(stream_write(t, s, BYTES_LIT("\x07\x1a\x05/flood")));
    stream_close(s);
    return OK;
}

static err_t identify_flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    for (flood_t kind = FLOOD_PARTS; kind <= FLOOD_NOTHING; kind++) {
        assert_ok(host_handle(b, IDENTIFY_PROTOCOL, NULL, serve_bad_identify, &kind));
        conn_t *c = net_connect(t, w, 0, 1);
        uint64_t began = task_now_ms(t);
        assert_ok(conn_wait_identified(t, c));
        assert_in_range(task_now_ms(t) - began, kind == FLOOD_NOTHING ? 4900 : 0, 5100);
        const char *names[200];
        assert_in_range(peerstore_protocols(host_peerstore(a), host_id(b), names, 200), 0, 10);
        assert_true(conn_is_open(c)); /* a peer without identify is still a peer */
        conn_close(c);
        conn_release(c);
        assert_ok(task_sleep(t, 1000));
    }
    net_stop_all(t, w);
    return OK;
}

static err_t serve_push_flood(task_t *t, net_world_t *w, size_t n)
{
    const char *const protocols[] = {IDENTIFY_PUSH_PROTOCOL};
    for (size_t i = 0; i < n; i++) {
        stream_t *s;
        TRY(host_open_stream(t, w->nodes[0].host, host_id(w->nodes[1].host), protocols, 1, &s, NULL));
        AUTO(buf_t) message;
        buf_init(&message, 65536);
        identify_t m = {.n_addrs = IDENTIFY_ADDRS_MAX, .n_protocols = IDENTIFY_PROTOCOLS_MAX};
        static char names[IDENTIFY_PROTOCOLS_MAX][32];
        static multiaddr_t addrs[IDENTIFY_ADDRS_MAX];
        for (size_t k = 0; k < IDENTIFY_ADDRS_MAX; k++) {
            uint8_t ip[4] = {1, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)k};
            assert_ok(multiaddr_from_tcp(4, ip, 4001, &addrs[k]));
            m.addrs[k] = multiaddr_bytes(&addrs[k]);
        }
        for (size_t k = 0; k < IDENTIFY_PROTOCOLS_MAX; k++) {
            snprintf(names[k], sizeof names[k], "/flood/%zu/%zu", i, k);
            m.protocols[k] = bytes_str(names[k]);
        }
        assert_ok(identify_encode(&m, &message));
        err_t e = stream_write_message(t, s, buf_bytes(&message));
        stream_close(s);
        TRY(e);
    }
    return OK;
}

/* Pushes with ever new addresses and protocols: what is kept of one peer stays bounded. */
static err_t push_flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    assert_ok(serve_push_flood(t, w, 50));
    assert_ok(task_sleep(t, 5000));
    peerstore_t *ps = host_peerstore(w->nodes[1].host);
    const char *names[300];
    static multiaddr_t addrs[100];
    assert_in_range(peerstore_protocols(ps, host_id(w->nodes[0].host), names, 300), 1, 96);
    assert_in_range(peerstore_addrs(ps, host_id(w->nodes[0].host), addrs, 100), 1, 16);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

#define TEST(name, machines)                                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        for (uint64_t seed = 1; seed <= 2; seed++)                                                           \
            assert_ok(net_run(seed, machines, name, NULL, NULL));                                            \
    }
TEST(garbage, 2)
TEST(stalls, 2)
TEST(pending_limit, 2)
TEST(address_limit, 3)
TEST(stream_flood, 2)
TEST(memory_flood, 2)
TEST(identify_flood, 2)
TEST(push_flood, 2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage),        cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_pending_limit),  cmocka_unit_test(test_address_limit),
        cmocka_unit_test(test_stream_flood),   cmocka_unit_test(test_memory_flood),
        cmocka_unit_test(test_identify_flood), cmocka_unit_test(test_push_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
