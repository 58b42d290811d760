/* Ways over several relays: a chain of relays of which each reaches the next one alone, its TTL, refusals. */
#include "net/nat.h"
#include "tests/support/net.h"
#include "wire/forward.h"
#include "wire/relay.h"

#define MEMBER "/test/member/1.0.0"

static err_t echo(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t block[4096];
    size_t n;
    for (;;) {
        TRY(stream_read(t, s, block, sizeof block, &n));
        if (!n)
            return stream_close_write(s);
        TRY(stream_write(t, s, bytes_of(block, n)));
    }
}

/* Node 0 dials, the last one is dialed, those between are relays; each reaches its neighbours alone. */
static void start_chain(task_t *t, net_world_t *w)
{
    size_t last = w->n - 1;
    net_start_all(t, w);
    for (size_t i = 0; i < w->n; i++) {
        nat_config_t c;
        nat_config_default(&c);
        c.finds_relays = c.punches_holes = c.asks_autonat = false;
        c.is_relay = i > 0 && i < last;
        c.unlimited = MEMBER;
        assert_ok(host_start_nat(w->nodes[i].host, &c));
        assert_ok(host_handle(w->nodes[i].host, MEMBER, NULL, echo, NULL));
        host_force_reachability(w->nodes[i].host, c.is_relay ? REACHABILITY_PUBLIC : REACHABILITY_PRIVATE);
        for (size_t k = 0; k + 1 < i; k++)
            sim_partition(w->nodes[i].machine, w->nodes[k].machine, true);
    }
    for (size_t i = 0; i + 1 < w->n; i++)
        conn_release(net_connect(t, w, i, i + 1));
    assert_ok(host_add_relay(w->nodes[last].host, &w->nodes[last - 1].addr));
    assert_ok(task_sleep(t, 5000));
}

/* /…/p2p/RELAY/p2p-circuit/p2p/LAST, as the last one tells it. */
static multiaddr_t address_of_last(const net_world_t *w)
{
    multiaddr_t addrs[16], full = {0};
    host_t *h = w->nodes[w->n - 1].host;
    size_t n = host_addrs(h, addrs, 16);
    for (size_t i = 0; i < n; i++)
        if (multiaddr_is_circuit(&addrs[i]))
            assert_ok(multiaddr_with_peer(&addrs[i], host_id(h), &full));
    assert_true(full.len > 0);
    return full;
}

static void say(task_t *t, net_world_t *w, size_t bytes)
{
    static const char *const protocols[] = {MEMBER};
    stream_t *s;
    uint8_t out[1000], in[1000];
    assert_ok(
        host_open_stream(t, w->nodes[0].host, host_id(w->nodes[w->n - 1].host), protocols, 1, &s, NULL));
    for (size_t sent = 0; sent < bytes; sent += sizeof out) {
        memset(out, (int)(sent / sizeof out), sizeof out);
        assert_ok(stream_write(t, s, bytes_of(out, sizeof out)));
        assert_ok(stream_read_full(t, s, in, sizeof in));
        assert_memory_equal(in, out, sizeof in);
    }
    stream_close(s);
}

static err_t through(task_t *t, void *arg)
{
    net_world_t *w = arg;
    conn_t *c;
    start_chain(t, w);
    multiaddr_t addr = address_of_last(w);
    assert_ok(host_connect_addr(t, w->nodes[0].host, &addr, &c));
    assert_false(conn_is_limited(c));
    assert_true(peer_id_equal(conn_peer(c), host_id(w->nodes[w->n - 1].host)));
    say(t, w, 300000); /* more than circuits of strangers may carry */
    relay_stats_t stats;
    for (size_t i = 1; i + 1 < w->n; i++) {
        host_relay_stats(w->nodes[i].host, &stats);
        assert_int_equal(stats.circuits, 1);
    }
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 5000));
    for (size_t i = 1; i + 1 < w->n; i++) {
        host_relay_stats(w->nodes[i].host, &stats);
        assert_int_equal(stats.circuits, 0);
    }
    net_stop_all(t, w);
    return OK;
}

static err_t too_far(task_t *t, void *arg)
{
    net_world_t *w = arg;
    conn_t *c;
    start_chain(t, w);
    multiaddr_t addr = address_of_last(w);
    assert_err(host_connect_addr(t, w->nodes[0].host, &addr, &c), ERR_UNREACHABLE);
    net_stop_all(t, w);
    return OK;
}

static void test_through(void **state)
{
    for (size_t n = 4; n <= 6; n++) /* two to four relays */
        assert_ok(net_run(n, n, through, NULL, NULL));
}

static void test_too_far(void **state)
{
    assert_ok(net_run(1, 7, too_far, NULL, NULL)); /* five relays: the TTL is used up */
}

/* ── refusals ────────────────────────────────────────────────────────────────────────────────── */
static uint32_t ask(task_t *t, net_world_t *w, size_t from, size_t to, const forward_t *m)
{
    static const char *const protocols[] = {FORWARD_PROTOCOL};
    stream_t *s;
    forward_t answer;
    AUTO(buf_t) out, in;
    buf_init(&out, FORWARD_MESSAGE_MAX_BYTES);
    buf_init(&in, FORWARD_MESSAGE_MAX_BYTES);
    assert_ok(forward_encode(m, &out));
    assert_ok(host_open_stream(t, w->nodes[from].host, host_id(w->nodes[to].host), protocols, 1, &s, NULL));
    assert_ok(stream_write_message(t, s, buf_bytes(&out)));
    assert_ok(stream_read_message(t, s, FORWARD_MESSAGE_MAX_BYTES, &in));
    assert_ok(forward_decode(buf_bytes(&in), &answer));
    stream_close(s);
    return answer.status;
}

static err_t refusals(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start_chain(t, w);
    forward_t m = {.is_request = true,
                   .ttl = 4,
                   .target = *host_id(w->nodes[3].host),
                   .source = *host_id(w->nodes[0].host)};
    m.ttl = 0;
    assert_int_equal(ask(t, w, 0, 1, &m), FORWARD_EXPIRED);
    m.ttl = 1; /* the second relay gets 0 */
    assert_int_equal(ask(t, w, 0, 1, &m), FORWARD_NO_WAY);
    m.ttl = 4;
    m.target = (peer_id_t){.len = 38, .data = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20, 5}};
    assert_int_equal(ask(t, w, 0, 1, &m), FORWARD_NO_WAY);
    m.target = *host_id(w->nodes[0].host); /* to one who asked this relay for nothing */
    assert_int_equal(ask(t, w, 1, 0, &m), FORWARD_DENIED);
    m.target = *host_id(w->nodes[3].host);
    host_unhandle(w->nodes[0].host, MEMBER); /* not of the mesh any more */
    assert_ok(task_sleep(t, 5000));
    assert_int_equal(ask(t, w, 0, 1, &m), FORWARD_DENIED);
    net_stop_all(t, w);
    return OK;
}

static void test_refusals(void **state)
{
    assert_ok(net_run(1, 4, refusals, NULL, NULL));
}

static void test_codec(void **state)
{
    forward_t m;
    static const uint8_t bad[][8] = {{0x28, 0}, {0x08, 4}, {0x12, 1, 7}, {0x28, 1, 0x08, 1}};
    static const size_t lens[] = {2, 2, 3, 4};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        assert_err(forward_decode(bytes_of(bad[i], lens[i]), &m), ERR_INVALID);
    assert_ok(forward_decode(bytes_of((const uint8_t[]){0x28, 3}, 2), &m));
    assert_int_equal(m.status, FORWARD_DENIED);
    assert_string_equal(forward_status_name(m.status), "DENIED");
    assert_string_equal(forward_status_name(99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec),
        cmocka_unit_test(test_through),
        cmocka_unit_test(test_too_far),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
