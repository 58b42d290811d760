/* What is remembered of peers, and what is forgotten when. */
#include "codec/peer_record.h"
#include "net/host_internal.h"
#include "tests/support/net.h"
#include "wire/identify.h"

static peer_id_t peer_no(uint32_t n)
{
    uint8_t raw[38] = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
    for (int i = 0; i < 4; i++)
        raw[6 + i] = (uint8_t)(n >> (8 * i));
    peer_id_t id;
    assert_ok(peer_id_decode(bytes_of(raw, sizeof raw), &id));
    return id;
}

static multiaddr_t addr_no(uint32_t n)
{
    uint8_t ip[4] = {1, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    multiaddr_t m;
    assert_ok(multiaddr_from_tcp(4, ip, 4001, &m));
    return m;
}

static err_t addresses(task_t *t, void *arg)
{
    net_world_t *w = arg;
    peerstore_t *ps = host_peerstore(net_start(t, w, 0));
    peer_id_t p = peer_no(1);
    multiaddr_t a = addr_no(1), b = addr_no(2), with_peer, of_other;
    static multiaddr_t out[40];
    assert_int_equal(peerstore_addrs(ps, &p, out, 40), 0);
    peerstore_add_addrs(ps, &p, &a, 1, ADDR_TTL_TEMP_MS);
    peerstore_add_addrs(ps, &p, &b, 1, ADDR_TTL_PERMANENT);
    assert_ok(multiaddr_with_peer(&a, &p, &with_peer)); /* the same one */
    peerstore_add_addrs(ps, &p, &with_peer, 1, ADDR_TTL_TEMP_MS);
    peer_id_t other = peer_no(2);
    assert_ok(multiaddr_with_peer(&a, &other, &of_other));
    peerstore_add_addrs(ps, &p, &of_other, 1, ADDR_TTL_TEMP_MS);
    assert_int_equal(peerstore_addrs(ps, &p, out, 40), 2);
    assert_ok(task_sleep(t, ADDR_TTL_TEMP_MS - 1));
    assert_int_equal(peerstore_addrs(ps, &p, out, 40), 2);
    assert_ok(task_sleep(t, 1));
    assert_int_equal(peerstore_addrs(ps, &p, out, 40), 1);
    assert_true(multiaddr_equal(&out[0], &b));
    /* a longer life wins over a shorter one, whichever came last */
    peerstore_add_addrs(ps, &p, &a, 1, ADDR_TTL_CONNECTED_MS);
    peerstore_add_addrs(ps, &p, &a, 1, ADDR_TTL_TEMP_MS);
    assert_ok(task_sleep(t, ADDR_TTL_SEEN_MS));
    assert_int_equal(peerstore_addrs(ps, &p, out, 40), 2);
    for (uint32_t i = 0; i < 100; i++) {
        multiaddr_t m = addr_no(100 + i);
        peerstore_add_addrs(ps, &p, &m, 1, ADDR_TTL_SEEN_MS);
    }
    size_t n = peerstore_addrs(ps, &p, out, 40);
    assert_int_equal(n, 16);
    bool has_permanent = false;
    for (size_t i = 0; i < n; i++)
        has_permanent |= multiaddr_equal(&out[i], &b);
    assert_true(has_permanent);
    peerstore_add_addrs(ps, host_id(w->nodes[0].host), &a, 1, ADDR_TTL_SEEN_MS); /* ourselves: not kept */
    assert_int_equal(peerstore_addrs(ps, host_id(w->nodes[0].host), out, 40), 0);
    net_stop_all(t, w);
    return OK;
}

/* A crawl over more peers than fit: the ones used last stay, and so do those that are connected. */
static err_t bounds(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    peerstore_t *ps = host_peerstore(w->nodes[0].host);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    multiaddr_t out[2], m = addr_no(5);
    for (uint32_t i = 0; i < 10000; i++) {
        peer_id_t p = peer_no(i);
        peerstore_add_addrs(ps, &p, &m, 1, ADDR_TTL_SEEN_MS);
    }
    peer_id_t first = peer_no(0), last = peer_no(9999);
    assert_int_equal(peerstore_addrs(ps, &first, out, 2), 0);
    assert_int_equal(peerstore_addrs(ps, &last, out, 2), 1);
    assert_true(peerstore_knows_protocols(ps, host_id(w->nodes[1].host)));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* Whom the node is to stay connected with is found again, whatever others have told of meanwhile. */
static err_t kept_peers(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    peer_id_t b = *host_id(w->nodes[1].host);
    multiaddr_t addr = w->nodes[1].addr, m = addr_no(5);
    net_stop(t, w, 1);
    assert_ok(host_keep_connected(a, &addr));
    for (uint32_t round = 0; round < 2; round++) {
        assert_ok(task_sleep(t, 60000));
        for (uint32_t i = 0; i < 10000; i++) {
            peer_id_t p = peer_no(10000 * round + i);
            peerstore_add_addrs(host_peerstore(a), &p, &m, 1, ADDR_TTL_SEEN_MS);
        }
    }
    net_start(t, w, 1);
    assert_ok(task_sleep(t, 380000)); /* the back-off is at most 5 min and a quarter */
    assert_true(host_is_connected(a, &b));
    net_stop_all(t, w);
    return OK;
}

static err_t identities(task_t *t, void *arg)
{
    net_world_t *w = arg;
    peerstore_t *ps = host_peerstore(net_start(t, w, 0));
    peer_id_t p = peer_no(1);
    assert_false(peerstore_knows_protocols(ps, &p));
    assert_string_equal(peerstore_agent(ps, &p), "");
    identify_t m = {.agent_version = BYTES_LIT("an\0agent"),
                    .has_protocols = true,
                    .n_protocols = 3,
                    .protocols = {BYTES_LIT("/a"), BYTES_LIT("/zero\0inside"), BYTES_LIT("/c")}};
    peerstore_set_identity(ps, &p, &m);
    const char *names[8];
    assert_int_equal(peerstore_protocols(ps, &p, names, 8), 2);
    assert_string_equal(names[1], "/c");
    assert_int_equal(peerstore_protocols(ps, &p, names, 1), 1);
    assert_string_equal(peerstore_agent(ps, &p), "");
    m = (identify_t){.agent_version = BYTES_LIT("agent/1")}; /* a push without protocols leaves them */
    peerstore_set_identity(ps, &p, &m);
    assert_string_equal(peerstore_agent(ps, &p), "agent/1");
    assert_true(peerstore_speaks(ps, &p, "/a"));
    public_key_t key;
    assert_ok(peerstore_public_key(ps, host_id(w->nodes[0].host), &key)); /* inside the id */
    private_key_t *rsa;
    peer_id_t hashed;
    assert_ok(private_key_generate(KEY_RSA, NULL, 2048, &rsa));
    assert_ok(peer_id_of(private_key_public(rsa), &hashed));
    assert_err(peerstore_public_key(ps, &hashed, &key), ERR_NOT_FOUND);
    peerstore_set_key(ps, &hashed, private_key_public(w->nodes[0].key)); /* not its key */
    assert_err(peerstore_public_key(ps, &hashed, &key), ERR_NOT_FOUND);
    peerstore_set_key(ps, &hashed, private_key_public(rsa));
    assert_ok(peerstore_public_key(ps, &hashed, &key));
    assert_true(public_key_equal(&key, private_key_public(rsa)));
    private_key_free(rsa);
    peerstore_add_latency(ps, &p, 100);
    peerstore_add_latency(ps, &p, 200);
    assert_int_equal(peerstore_latency_ms(ps, &p), 110);
    net_stop_all(t, w);
    return OK;
}

static err_t backoff(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_t *h = net_start(t, w, 0);
    peerstore_t *ps = host_peerstore(h);
    peer_id_t p = peer_no(1);
    multiaddr_t addr = addr_no(1), other = addr_no(2);
    uint64_t now = task_now_ms(t);
    static const uint64_t want_s[] = {5, 10, 20, 40, 80, 160, 300, 300};
    for (size_t i = 0; i < ARRAY_LEN(want_s); i++) {
        peerstore_addr_failed(ps, &p, &addr);
        assert_int_equal(peerstore_addr_retry_ms(ps, &p, &addr) - now, want_s[i] * 1000);
    }
    assert_int_equal(peerstore_addr_retry_ms(ps, &p, &other), 0); /* each address for itself */
    peerstore_addr_failed(ps, &p, &other);
    peerstore_addr_succeeded(ps, &p, &addr);
    assert_int_equal(peerstore_addr_retry_ms(ps, &p, &addr), 0);
    assert_int_equal(peerstore_addr_retry_ms(ps, &p, &other) - now, 5000);
    host_forget_failures(h, &p);
    assert_int_equal(peerstore_addr_retry_ms(ps, &p, &other), 0);
    for (uint16_t i = 0; i < 100; i++) { /* the table is bounded: what failed last is known */
        addr = addr_no(i);
        peerstore_addr_failed(ps, &p, &addr);
        assert_int_equal(peerstore_addr_retry_ms(ps, &p, &addr) - now, 5000);
        assert_ok(task_sleep(t, 1));
        now = task_now_ms(t);
    }
    addr = addr_no(0);
    assert_int_equal(peerstore_addr_retry_ms(ps, &p, &addr), 0);
    net_stop_all(t, w);
    return OK;
}

/* ── our own addresses ───────────────────────────────────────────────────────────────────────── */
static bool has_addr(const multiaddr_t *addrs, size_t n, const char *text)
{
    multiaddr_t m;
    assert_ok(multiaddr_parse(text, &m));
    for (size_t i = 0; i < n; i++)
        if (multiaddr_equal(&addrs[i], &m))
            return true;
    return false;
}

static err_t own_addresses(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_t *h = net_start(t, w, 0);
    multiaddr_t any, addrs[16];
    assert_ok(multiaddr_parse("/ip4/0.0.0.0/tcp/5001", &any));
    assert_ok(host_listen(t, h, &any));
    assert_err(host_listen(t, h, &any), ERR_IN_USE);
    size_t n = host_listen_addrs(h, addrs, 16);
    assert_true(has_addr(addrs, n, "/ip4/10.0.0.1/tcp/4001"));
    assert_true(has_addr(addrs, n, "/ip4/10.0.0.1/tcp/5001"));
    assert_true(has_addr(addrs, n, "/ip4/127.0.0.1/tcp/5001"));
    assert_int_equal(host_listen_addrs(h, addrs, 1), 1);
    multiaddr_t announced;
    assert_ok(multiaddr_parse("/dns4/node.example/tcp/443", &announced));
    host_set_announce(h, &announced, 1, false);
    n = host_addrs(h, addrs, 16);
    assert_int_equal(n, 4);
    assert_true(multiaddr_equal(&addrs[0], &announced));
    host_set_announce(h, &announced, 1, true);
    assert_int_equal(host_addrs(h, addrs, 16), 1);
    host_set_announce(h, NULL, 0, false);
    assert_int_equal(host_addrs(h, addrs, 16), 3);
    multiaddr_t quic;
    assert_ok(multiaddr_parse("/ip4/0.0.0.0/udp/4001/quic-v1/webtransport", &quic));
    assert_err(host_listen(t, h, &quic), ERR_UNSUPPORTED);
    net_stop_all(t, w);
    return OK;
}

/* Loopback addresses are told to peers on loopback alone, and taken from them alone. */
static err_t loopback(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    multiaddr_t any, addrs[16];
    assert_ok(multiaddr_parse("/ip4/0.0.0.0/tcp/5001", &any));
    assert_ok(host_listen(t, b, &any));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    size_t n = peerstore_addrs(host_peerstore(a), host_id(b), addrs, 16);
    assert_true(has_addr(addrs, n, "/ip4/10.0.0.2/tcp/5001"));
    assert_false(has_addr(addrs, n, "/ip4/127.0.0.1/tcp/5001"));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* What four networks see us at, we tell; what one says, or what is private, we do not. */
static err_t observed(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *h = w->nodes[0].host;
    multiaddr_t seen, private, addrs[16];
    assert_ok(multiaddr_parse("/ip4/198.51.100.7/tcp/4001", &seen));
    assert_ok(multiaddr_parse("/ip4/192.168.1.7/tcp/4001", &private));
    for (size_t i = 1; i <= 5; i++) {
        conn_release(net_connect(t, w, i, 0));
        assert_ok(task_sleep(t, 200));
        conn_t *c = host_conn(h, host_id(w->nodes[i].host));
        assert_non_null(c);
        uint8_t ip[4] = {9, (uint8_t)(i == 2 ? 1 : i), 1, 1}; /* the second is in the network of the first */
        assert_ok(multiaddr_from_tcp(4, ip, 4001, &c->remote));
        addrs_observed(h, c, multiaddr_bytes(&seen));
        addrs_observed(h, c, multiaddr_bytes(&seen));
        addrs_observed(h, c, multiaddr_bytes(&private));
        addrs_observed(h, c, BYTES_LIT("nonsense"));
        size_t n = host_addrs(h, addrs, 16);
        assert_int_equal(has_addr(addrs, n, "/ip4/198.51.100.7/tcp/4001"), i == 5);
        assert_false(has_addr(addrs, n, "/ip4/192.168.1.7/tcp/4001"));
    }
    assert_ok(task_sleep(t, 3600000));
    assert_false(has_addr(addrs, host_addrs(h, addrs, 16), "/ip4/198.51.100.7/tcp/4001"));
    net_stop_all(t, w);
    return OK;
}

/* One peer that invents addresses silences neither what is believed nor those who are still to say it. */
static err_t invented(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *h = w->nodes[0].host;
    multiaddr_t seen, late, m, addrs[32];
    assert_ok(multiaddr_parse("/ip4/198.51.100.7/tcp/4001", &seen));
    assert_ok(multiaddr_parse("/ip4/198.51.100.8/tcp/4001", &late));
    for (size_t i = 1; i <= 5; i++) {
        conn_release(net_connect(t, w, i, 0));
        assert_ok(task_sleep(t, 200));
        conn_t *c = host_conn(h, host_id(w->nodes[i].host));
        assert_ok(multiaddr_from_tcp(4, (const uint8_t[]){9, (uint8_t)i, 1, 1}, 4001, &c->remote));
        for (uint32_t k = 0; i == 1 && k < 200; k++) {
            m = addr_no(k);
            addrs_observed(h, c, multiaddr_bytes(&m));
        }
        assert_ok(task_sleep(t, 1000));
        addrs_observed(h, c, multiaddr_bytes(&seen));
        assert_ok(task_sleep(t, 1000));
        addrs_observed(h, c, multiaddr_bytes(&late));
        conn_t *liar = host_conn(h, host_id(w->nodes[1].host));
        for (uint32_t k = 0; k < 200; k++) {
            assert_ok(task_sleep(t, 10));
            m = addr_no(1000 * (uint32_t)i + k);
            addrs_observed(h, liar, multiaddr_bytes(&m));
        }
        assert_true(addrs_seen(h, addrs, 32) <= 6); /* what is said by others, and four of the liar's */
    }
    size_t n = host_addrs(h, addrs, 32);
    assert_true(has_addr(addrs, n, "/ip4/198.51.100.7/tcp/4001"));
    assert_true(has_addr(addrs, n, "/ip4/198.51.100.8/tcp/4001"));
    net_stop_all(t, w);
    return OK;
}

#define TEST(name, machines)                                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        assert_ok(net_run(1, machines, name, NULL, NULL));                                                   \
    }
TEST(addresses, 1)
TEST(bounds, 2)
TEST(kept_peers, 2)
TEST(identities, 1)
TEST(backoff, 1)
TEST(own_addresses, 1)
TEST(loopback, 2)
TEST(observed, 6)
TEST(invented, 6)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_identities),    cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_own_addresses), cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_observed),      cmocka_unit_test(test_kept_peers),
        cmocka_unit_test(test_invented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
