#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/mdns.h"

enum { START_MS = 1000000 };
static const char *const ID_A = "12D3KooWEyopopk9NTRWLZ7ZyiCJCJjdV6SvAACjWMqcbkYJ7YpZ";
static const char *const ID_B = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

static mdns_t *engine(const char *id, uint64_t seed)
{
    peer_id_t self;
    mdns_t *m = calloc(1, sizeof *m);
    assert_ok(peer_id_parse(id, &self));
    mdns_init(m, &self, seed);
    return m;
}

static bool set_addrs(mdns_t *m, const char *const *texts, size_t n)
{
    multiaddr_t addrs[40];
    for (size_t i = 0; i < n; i++)
        assert_ok(multiaddr_parse(texts[i], &addrs[i]));
    return mdns_set_addrs(m, addrs, n, START_MS);
}

/* The datagrams that are due until then go to both; returns how many of which kind were sent. */
typedef struct sent {
    int queries, answers;
} sent_t;

static sent_t run_until(mdns_t *m, mdns_t *other, uint64_t *now_ms, uint64_t until_ms)
{
    sent_t sent = {0};
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    for (;;) {
        uint64_t a = mdns_deadline_ms(m), b = other ? mdns_deadline_ms(other) : UINT64_MAX,
                 next = a < b ? a : b;
        if (next > until_ms)
            break;
        *now_ms = next > *now_ms ? next : *now_ms;
        mdns_t *both[] = {m, other};
        for (int i = 0; i < 2; i++)
            while (both[i] && mdns_output(both[i], *now_ms, &out)) {
                dns_message_t message;
                assert_ok(dns_decode(buf_bytes(&out), &message));
                assert_in_range(out.len, DNS_HEADER_BYTES, 1452);
                if (message.flags & DNS_FLAG_RESPONSE)
                    sent.answers += !i;
                else
                    sent.queries += !i;
                mdns_found_t found;
                for (int k = 0; k < 2; k++) {
                    if (!both[k])
                        continue;
                    assert_ok(mdns_feed(both[k], buf_bytes(&out), *now_ms));
                    while (k == i && mdns_next_found(both[k], *now_ms, &found))
                        fail_msg("it found itself");
                }
                buf_clear(&out);
            }
    }
    *now_ms = until_ms;
    return sent;
}

static void test_finds(void **state)
{
    static const char *const addrs[] = {"/ip4/127.0.0.1/tcp/4001", "/ip4/192.0.2.7/tcp/4001",
                                        "/ip6/fe80::1/tcp/4001", "/ip6/2001:db8::7/udp/4001/quic-v1",
                                        "/ip4/192.0.2.7/tcp/4002/ws"};
    mdns_t *a = engine(ID_A, 1), *b = engine(ID_B, 2);
    assert_true(set_addrs(a, addrs, ARRAY_LEN(addrs)));
    assert_true(strlen(a->name) >= 32 && strlen(a->name) <= 63);
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    bool found_any = false;
    for (uint64_t now_ms = START_MS; now_ms < START_MS + 500; now_ms++)
        while (mdns_output(a, now_ms, &out)) {
            mdns_found_t found;
            char text[MULTIADDR_TEXT_MAX];
            assert_ok(mdns_feed(b, buf_bytes(&out), now_ms));
            for (int n = 0; mdns_next_found(b, now_ms, &found); n++) {
                char wanted[300];
                snprintf(wanted, sizeof wanted, "%s/p2p/%s", addrs[n ? 3 : 1], ID_A);
                assert_string_equal(multiaddr_print(&found.addr, text), wanted);
                assert_int_equal(found.is_new, !n && !found_any);
                assert_in_range(n, 0, 1);
                found_any = found_any || n;
            }
            assert_ok(
                mdns_feed(a, buf_bytes(&out), now_ms)); /* its own: neither found nor a reason to crash */
            assert_false(mdns_next_found(a, now_ms, &found));
            buf_clear(&out);
        }
    assert_true(found_any);
    free(a);
    free(b);
}

/* What Kubo 0.42 sends: its question is answered, its addresses but the loopback ones are found, its probe is
 * neither. */
static void test_kubo(void **state)
{
    static const char *const addrs[] = {"/ip4/192.0.2.7/tcp/4001"};
    tsv_t *v = tsv_open("mdns.tsv");
    AUTO(buf_t) in = {0};
    buf_init(&in, MDNS_DATAGRAM_MAX);
    int rows = 0;
    for (; tsv_next(v); rows++) {
        mdns_t *a = engine(ID_A, 1);
        mdns_found_t found;
        int n = 0;
        uint64_t now_ms = START_MS;
        assert_true(set_addrs(a, addrs, 1));
        a->query_ms = UINT64_MAX;
        run_until(a, NULL, &now_ms, START_MS + 5000);
        buf_clear(&in);
        tsv_hex(v, "bytes_hex", &in);
        assert_ok(mdns_feed(a, buf_bytes(&in), now_ms));
        for (; mdns_next_found(a, now_ms, &found); n++)
            assert_int_equal(found.is_new, n == 0);
        assert_int_equal(n, atoi(tsv_get(v, "addrs")));
        bool is_query = !strcmp(tsv_get(v, "message"), "query");
        assert_int_equal(run_until(a, NULL, &now_ms, now_ms + 2000).answers, is_query);
        free(a);
    }
    tsv_close(v);
    assert_int_equal(rows, 4);
}

/* Who has nothing to say neither asks nor answers. */
static void test_silent(void **state)
{
    static const char *const addrs[] = {"/ip4/127.0.0.1/tcp/4001", "/dns4/example.org/tcp/4001"};
    mdns_t *a = engine(ID_A, 1), *b = engine(ID_B, 2);
    static const char *const fit[] = {"/ip4/192.0.2.8/tcp/1"};
    uint64_t now_ms = START_MS;
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    assert_false(set_addrs(a, addrs, 2));
    assert_true(set_addrs(b, fit, 1));
    sent_t sent = run_until(a, b, &now_ms, START_MS + 600000);
    assert_int_equal(sent.queries + sent.answers, 0);
    assert_false(mdns_put_goodbye(a, &out));
    assert_true(mdns_put_goodbye(b, &out));
    assert_true(set_addrs(b, addrs, 2) == false);
    assert_true(mdns_deadline_ms(b) == UINT64_MAX);
    free(a);
    free(b);
}

/* Questions at doubling intervals up to a minute; answers to all of them, at most one in a second. */
static void test_pace(void **state)
{
    static const char *const addrs[] = {"/ip4/192.0.2.7/tcp/4001"};
    mdns_t *a = engine(ID_A, 7);
    uint64_t now_ms = START_MS;
    assert_true(set_addrs(a, addrs, 1));
    sent_t first = run_until(a, NULL, &now_ms, START_MS + 10000);
    assert_in_range(first.queries, 4, 5); /* 0, 1, 3, 7 s */
    assert_in_range(first.answers, 4, 6);
    sent_t hour = run_until(a, NULL, &now_ms, START_MS + 3610000);
    assert_in_range(hour.queries, 58, 64);
    assert_in_range(hour.answers, 58, 64);
    AUTO(buf_t) query = {0};
    buf_init(&query, 512);
    writer_t w = writer_to(&query);
    dns_put_header(&w, 0, 0, (uint16_t[4]){1, 0, 0, 0});
    dns_put_label(&w, BYTES_LIT("_P2P"));
    dns_put_label(&w, BYTES_LIT("_udp"));
    dns_put_label(&w, BYTES_LIT("local"));
    dns_put_name_end(&w);
    write_u32be(&w, DNS_TYPE_PTR << 16 | DNS_CLASS_IN);
    assert_ok(w.err);
    sent_t flood = {0};
    for (int i = 0; i < 1000; i++) { /* ten seconds of questions */
        assert_ok(mdns_feed(a, buf_bytes(&query), now_ms));
        flood.answers += run_until(a, NULL, &now_ms, now_ms + 10).answers;
    }
    assert_in_range(flood.answers, 9, 11);
    free(a);
}

static void put_known(const mdns_t *a, uint32_t ttl_s, const char *name, buf_t *out)
{
    writer_t w = writer_to(out);
    dns_put_header(&w, 0, 0, (uint16_t[4]){1, 1, 0, 0});
    dns_put_label(&w, BYTES_LIT("_p2p"));
    dns_put_label(&w, BYTES_LIT("_udp"));
    dns_put_label(&w, BYTES_LIT("local"));
    dns_put_name_end(&w);
    write_u32be(&w, DNS_TYPE_PTR << 16 | DNS_CLASS_IN);
    dns_put_name_at(&w, DNS_HEADER_BYTES);
    dns_put_record(&w, DNS_TYPE_PTR, DNS_CLASS_IN, ttl_s, (uint16_t)(1 + strlen(name) + 2));
    dns_put_label(&w, bytes_str(name));
    dns_put_name_at(&w, DNS_HEADER_BYTES);
    assert_ok(w.err);
}

static void test_known_answer(void **state)
{
    static const char *const addrs[] = {"/ip4/192.0.2.7/tcp/4001"};
    static const struct {
        uint32_t ttl_s;
        const char *name;
        bool is_answered;
    } rows[] = {{120, NULL, false}, {60, NULL, false}, {59, NULL, true}, {120, "another", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mdns_t *a = engine(ID_A, 7);
        uint64_t now_ms = START_MS;
        AUTO(buf_t) query = {0};
        buf_init(&query, 512);
        assert_true(set_addrs(a, addrs, 1));
        a->query_ms = UINT64_MAX; /* else it answers itself */
        run_until(a, NULL, &now_ms, START_MS + 5000);
        put_known(a, rows[i].ttl_s, rows[i].name ? rows[i].name : a->name, &query);
        assert_ok(mdns_feed(a, buf_bytes(&query), now_ms));
        assert_int_equal(run_until(a, NULL, &now_ms, now_ms + 2000).answers, rows[i].is_answered);
        free(a);
    }
}

/* New addresses are announced without being asked for; the old ones again are no news. */
static void test_addresses_change(void **state)
{
    static const char *const addrs[] = {"/ip4/192.0.2.7/tcp/4001", "/ip4/192.0.2.8/tcp/4001"};
    mdns_t *a = engine(ID_A, 7);
    uint64_t now_ms = START_MS;
    assert_true(set_addrs(a, addrs, 1));
    a->query_ms = UINT64_MAX;
    assert_int_equal(run_until(a, NULL, &now_ms, START_MS + 5000).answers, 2);
    a->query_ms = now_ms + 3600000;
    assert_true(set_addrs(a, addrs, 1));
    assert_int_equal(run_until(a, NULL, &now_ms, now_ms + 5000).answers, 0);
    assert_true(set_addrs(a, addrs, 2));
    assert_int_equal(run_until(a, NULL, &now_ms, now_ms + 5000).answers, 2);
    free(a);
}

/* A flood of invented peers makes no more than so many of them new, and the addresses stay in one frame. */
static void test_flood(void **state)
{
    mdns_t *a = engine(ID_A, 1), *b = engine(ID_B, 2);
    static const char *const addrs[] = {"/ip4/192.0.2.7/tcp/4001"};
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    size_t n_new = 0;
    for (unsigned i = 0; i < 1000; i++) {
        peer_id_t id;
        mdns_found_t found;
        uint8_t binary[34] = {0x12, 0x20, (uint8_t)i, (uint8_t)(i >> 8)};
        assert_ok(peer_id_decode(bytes_of(binary, sizeof binary), &id));
        mdns_init(b, &id, i);
        assert_true(set_addrs(b, addrs, 1));
        uint64_t now_ms = mdns_deadline_ms(b);
        while (mdns_output(b, now_ms, &out)) {
            assert_ok(mdns_feed(a, buf_bytes(&out), START_MS));
            while (mdns_next_found(a, START_MS, &found))
                n_new += found.is_new;
            buf_clear(&out);
            b->query_ms = UINT64_MAX;
            now_ms = START_MS + 500;
        }
    }
    assert_int_equal(n_new, MDNS_PEERS_MAX);
    char text[40][64];
    const char *many[40];
    for (int i = 0; i < 40; i++) {
        snprintf(text[i], sizeof text[i], "/ip4/192.0.2.%d/udp/4001/quic-v1", i + 1);
        many[i] = text[i];
    }
    assert_true(set_addrs(a, many, 40));
    uint64_t now_ms = START_MS;
    assert_true(run_until(a, NULL, &now_ms, START_MS + 3000).answers > 0); /* checks the size */
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kubo),         cmocka_unit_test(test_finds),
        cmocka_unit_test(test_silent),       cmocka_unit_test(test_pace),
        cmocka_unit_test(test_known_answer), cmocka_unit_test(test_addresses_change),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
