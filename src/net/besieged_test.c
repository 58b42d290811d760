/* One attack after the other, while somebody pings the node all the time: each ping is answered, and after
 * each attack the node has no more in memory than before. With each security, and over QUIC. */
#include "crypto/der.h"
#include "net/quic.h"
#include "tests/support/net.h"
#include "wire/identify.h"

#define HOLD "/test/hold/1.0.0"
enum { ENEMY, NODE, FRIEND, MACHINES }; /* the test runs on the first machine */
enum { PING_EVERY_MS = 250, PING_MAX_MS = 2000 };

/* ── the friend ──────────────────────────────────────────────────────────────────────────────── */
typedef struct siege {
    net_world_t *w;
    bool is_over;
    size_t n_pings;
} siege_t;

static err_t ping_all_the_time(task_t *t, void *arg)
{
    siege_t *x = arg;
    while (!x->is_over) {
        double ms;
        assert_ok(host_ping(t, x->w->nodes[FRIEND].host, host_id(x->w->nodes[NODE].host), &ms));
        assert_true(ms < PING_MAX_MS);
        x->n_pings++;
        TRY(task_sleep(t, PING_EVERY_MS));
    }
    return OK;
}

/* ── attacks ─────────────────────────────────────────────────────────────────────────────────── */
static stream_t *raw_dial(task_t *t, net_world_t *w)
{
    net_addr_t at = sim_host_addr(w->nodes[NODE].machine, NET_PORT);
    stream_t *s = NULL;
    if (net_dial(t, &at, &s))
        return NULL;
    return s;
}

/* Connections that stop in the midst of setting up, of each stage some, and stay. */
static void stall_handshakes(task_t *t, net_world_t *w)
{
    static const bytes_t beginnings[] = {
        BYTES_NONE,
        BYTES_LIT("\x13/multi"),
        BYTES_LIT("\x13/multistream/1.0.0\n"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x07/noise\n\x00\x20half of a key"),
        BYTES_LIT("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01\x01\x00")};
    enum { N = 60 };
    stream_t *s[N];
    for (size_t i = 0; i < N; i++) {
        s[i] = raw_dial(t, w);
        if (s[i] && beginnings[i % ARRAY_LEN(beginnings)].len &&
            stream_write(t, s[i], beginnings[i % ARRAY_LEN(beginnings)])) {
            stream_close(s[i]);
            s[i] = NULL;
        }
    }
    assert_ok(task_sleep(t, 10000));
    for (size_t i = 0; i < N; i++)
        if (s[i])
            stream_close(s[i]);
}

/* Datagrams that look like QUIC's: first packets, versions that nobody speaks, packets of connections that
 * are none. Nothing where nobody listens for them; beginnings that are whole are quic_host_test's. */
static void junk(task_t *t, net_world_t *w)
{
    static const uint8_t heads[][5] = {{0xc3, 0, 0, 0, 1}, {0xe0, 0x1a, 0x2a, 0x3a, 0x4a}, {0x41}, {0xd0}};
    net_addr_t at = sim_host_addr(w->nodes[NODE].machine, NET_PORT), any = {.family = 4};
    uint8_t out[1400];
    udp_t *udp;
    assert_ok(udp_open(sim_host_driver(w->nodes[ENEMY].machine), &any, &udp));
    for (size_t i = 0; i < 2000; i++) {
        driver_random(sim_host_driver(w->nodes[ENEMY].machine), out, sizeof out);
        memcpy(out, heads[i % ARRAY_LEN(heads)], sizeof heads[0]);
        out[5] %= 21; /* the length of a connection id */
        assert_ok(udp_send(udp, &at, bytes_of(out, 20 + driver_random_u64(task_driver(t)) % 1380)));
        if (i % 10 == 0)
            assert_ok(task_sleep(t, 1));
    }
    udp_close(udp);
}

static void reset_again_and_again(task_t *t, net_world_t *w)
{
    for (size_t i = 0; i < 300; i++) {
        stream_t *s = raw_dial(t, w);
        if (!s)
            continue;
        if (i % 2 && stream_write(t, s, BYTES_LIT("\x13/multistream/1.0.0\n")))
            i++;
        stream_reset(s);
        stream_close(s);
    }
}

static conn_t *enemy_conn(task_t *t, net_world_t *w)
{
    conn_t *c = net_connect(t, w, ENEMY, NODE);
    assert_ok(conn_wait_identified(t, c));
    return c;
}

static void leave(task_t *t, conn_t *c)
{
    conn_close(c);
    conn_release(c);
}

static void silent_streams(task_t *t, net_world_t *w)
{
    enum { N = 1500 };
    static const char *const hold[] = {HOLD};
    conn_t *c = enemy_conn(t, w);
    stream_t **s = xcalloc(N, sizeof *s);
    size_t n = 0;
    while (n < N && !conn_open_stream(t, c, hold, 1, &s[n], NULL))
        n++;
    assert_ok(task_sleep(t, 20000));
    for (size_t i = 0; i < n; i++)
        stream_close(s[i]);
    free(s);
    leave(t, c);
}

/* Streams that are opened and reset at once, faster than handlers end. */
static void rapid_resets(task_t *t, net_world_t *w)
{
    static const char *const hold[] = {HOLD};
    conn_t *c = enemy_conn(t, w);
    for (size_t i = 0; i < 3000; i++) {
        stream_t *s;
        if (conn_open_stream(t, c, hold, 1, &s, NULL))
            break;
        stream_reset(s);
        stream_close(s);
    }
    leave(t, c);
}

/* What says of itself that it is far larger than it may be: a message of identify, a name of a protocol. */
static void oversize(task_t *t, net_world_t *w)
{
    static const char *const push[] = {IDENTIFY_PUSH_PROTOCOL};
    conn_t *c = enemy_conn(t, w);
    for (size_t i = 0; i < 200; i++) {
        stream_t *s;
        if (conn_open_stream(t, c, push, 1, &s, NULL))
            break;
        if (!stream_write(t, s, BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\x7f")) && i % 2)
            stream_reset(s);
        stream_close(s);
    }
    leave(t, c);
    stream_t *raw = raw_dial(t, w);
    if (raw && !stream_write(t, raw, BYTES_LIT("\x13/multistream/1.0.0\n\xff\xff\xff\xff\x7f")))
        assert_ok(task_sleep(t, 1000));
    if (raw)
        stream_close(raw);
}

/* An RSA key of 64 Kibit, as identify gives it. */
static void huge_key(buf_t *out)
{
    enum { MODULUS = 8192 };
    static const uint8_t oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    static uint8_t modulus[MODULUS + 1];
    AUTO(buf_t) der;
    buf_init(&der, 2 * MODULUS);
    memset(modulus + 1, 0xc5, MODULUS);
    writer_t w = writer_to(&der);
    size_t info = der_begin(&w, DER_SEQUENCE), algorithm = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_OID, bytes_of(oid, sizeof oid));
    der_put(&w, DER_NULL, BYTES_NONE);
    der_end_put(&w, algorithm);
    size_t bits = der_begin(&w, DER_BIT_STRING);
    write_u8(&w, 0);
    size_t numbers = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_INTEGER, bytes_of(modulus, sizeof modulus));
    der_put(&w, DER_INTEGER, BYTES_LIT("\1\0\1"));
    der_end_put(&w, numbers);
    der_end_put(&w, bits);
    der_end_put(&w, info);
    assert_ok(w.err);
    writer_t k = writer_to(out);
    write_bytes(&k, BYTES_LIT("\x08\x00\x12")); /* Type: RSA; Data */
    write_uvarint(&k, der.len);
    write_bytes(&k, buf_bytes(&der));
    assert_ok(k.err);
}

/* Of another's addresses, of everything that the node speaks, of a key that is not the sender's and takes a
 * second to check; each time with other names. */
static void say_lies(const net_world_t *w, size_t round, buf_t *out)
{
    identify_t m = {.n_addrs = IDENTIFY_ADDRS_MAX, .n_protocols = IDENTIFY_PROTOCOLS_MAX};
    static char names[IDENTIFY_PROTOCOLS_MAX][64];
    static multiaddr_t addrs[IDENTIFY_ADDRS_MAX];
    AUTO(buf_t) key;
    buf_init(&key, 32768);
    huge_key(&key);
    m.public_key = buf_bytes(&key);
    m.agent_version = BYTES_LIT("\x1b[2J\xff\xfe not a text");
    m.observed_addr = BYTES_LIT("\x04\x7f\0\0\1\x06\0\1");
    m.signed_peer_record = BYTES_LIT("\x0a\x05nonsense that is no envelope");
    for (size_t i = 0; i < IDENTIFY_ADDRS_MAX; i++) {
        uint8_t ip[4] = {10, 0, 0, (uint8_t)(i % 3 + 1)}; /* of the friend and of the node itself, too */
        assert_ok(multiaddr_from_tcp(4, ip, (uint16_t)(round * 64 + i), &addrs[i]));
        m.addrs[i] = multiaddr_bytes(&addrs[i]);
    }
    for (size_t i = 0; i < IDENTIFY_PROTOCOLS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "/lie/%zu/%zu", round, i);
        m.protocols[i] = bytes_str(names[i]);
    }
    assert_ok(identify_encode(&m, out));
}

static void lies(task_t *t, net_world_t *w)
{
    static const char *const push[] = {IDENTIFY_PUSH_PROTOCOL};
    conn_t *c = enemy_conn(t, w);
    for (size_t round = 0; round < 60; round++) {
        stream_t *s;
        AUTO(buf_t) message;
        buf_init(&message, 1 << 17);
        say_lies(w, round, &message);
        if (conn_open_stream(t, c, push, 1, &s, NULL))
            break;
        if (stream_write_message(t, s, buf_bytes(&message)))
            stream_reset(s);
        stream_close(s);
    }
    public_key_t key;
    peerstore_t *ps = host_peerstore(w->nodes[NODE].host);
    if (!peerstore_public_key(ps, host_id(w->nodes[ENEMY].host), &key))
        assert_int_not_equal(key.type, KEY_RSA);
    static multiaddr_t kept[64];
    assert_in_range(peerstore_addrs(ps, host_id(w->nodes[ENEMY].host), kept, 64), 0, 16);
    leave(t, c);
}

/* ── the siege ───────────────────────────────────────────────────────────────────────────────── */
static err_t serve_slowly(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    TRY(task_sleep(t, 5000));
    stream_close(s);
    return OK;
}

typedef void (*attack_fn)(task_t *t, net_world_t *w);

/* By what peers are connected: one of the securities over TCP, or QUIC. */
enum { BY_QUIC = SECURITY_COUNT };

/* The hosts listen on QUIC too, and are dialed there. */
static void move_to_quic(task_t *t, net_world_t *w)
{
    for (size_t i = 0; i < w->n; i++) {
        net_addr_t at = sim_host_addr(w->nodes[i].machine, NET_PORT);
        multiaddr_t m;
        assert_ok(multiaddr_from_quic(at.family, at.ip, at.port, &m));
        assert_ok(host_listen(t, w->nodes[i].host, &m));
        assert_ok(multiaddr_with_peer(&m, host_id(w->nodes[i].host), &w->nodes[i].addr));
    }
}

static err_t siege(task_t *t, void *arg)
{
    static const attack_fn attacks[] = {
        stall_handshakes, junk, reset_again_and_again, silent_streams, rapid_resets, oversize, lies};
    net_world_t *w = arg;
    int by = *(const int *)w->arg;
    w->limits.new_conns_per_s = 0; /* the attacks themselves are to get through */
    if (by < BY_QUIC) {
        w->securities[0] = (security_t)by;
        w->n_securities = 1;
    }
    net_start_all(t, w);
    if (by == BY_QUIC)
        move_to_quic(t, w);
    host_t *node = w->nodes[NODE].host;
    assert_ok(host_handle(node, HOLD, NULL, serve_slowly, NULL));
    siege_t x = {.w = w};
    group_t g;
    group_init(&g, task_sched(t));
    conn_t *c = net_connect(t, w, FRIEND, NODE);
    assert_int_equal(!*conn_muxer(c), by == BY_QUIC);
    assert_ok(conn_wait_identified(t, c));
    assert_ok(group_spawn(&g, "pings", ping_all_the_time, &x, NULL));
    assert_ok(task_sleep(t, 60000));
    uint64_t before = host_limit(node)->used;
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        size_t pings = x.n_pings;
        attacks[i](t, w);
        assert_ok(task_sleep(t, 120000));
        assert_true(x.n_pings > pings + 100);
        assert_in_range(host_limit(node)->used, before, before + 2048); /* a ping may be under way */
        assert_int_equal(host_conn_count(node), 1);
        assert_in_range(sched_task_count(task_sched(t)), 1, 60);
    }
    assert_in_range(host_limit(node)->peak, before, 32 << 20);
    x.is_over = true;
    assert_ok(group_join(t, &g));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_siege(void **state)
{
    for (int by = 0; by <= BY_QUIC; by++)
        if (by < BY_QUIC || !quic_missing)
            assert_ok(net_run((uint64_t)by + 1, MACHINES, siege, &by, NULL));
}

/* The rate of new connections, as a host keeps to it: a flood gets some, the friend is not kept out. */
static err_t flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.new_conns_at_once = 10;
    net_start_all(t, w);
    uint8_t byte;
    size_t n, n_taken = 0;
    for (size_t i = 0; i < 200; i++) {
        stream_t *s = raw_dial(t, w);
        deadline_t d = deadline_push(t, 200);
        bool is_taken = s && !stream_write(t, s, BYTES_LIT("\x13/multistream/1.0.0\n")) &&
                        !stream_read(t, s, &byte, 1, &n) && n;
        deadline_pop(t, &d);
        n_taken += is_taken;
        if (s)
            stream_close(s);
    }
    assert_in_range(n_taken, 10, 80); /* and one a second */
    conn_t *c = net_connect(t, w, FRIEND, NODE);
    double ms;
    assert_ok(host_ping(t, w->nodes[FRIEND].host, host_id(w->nodes[NODE].host), &ms));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_flood(void **state)
{
    assert_ok(net_run(1, MACHINES, flood, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_siege), cmocka_unit_test(test_flood)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
