#include "base/writer.h"
#include "multi/multiaddr.h"
#include "multi/multiaddr_protocol.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

static void check_valid(tsv_t *v, bytes_t binary)
{
    char text[MULTIADDR_TEXT_MAX];
    multiaddr_t m, again;
    if (multiaddr_parse(tsv_get(v, "text"), &m))
        print_error("row %zu: %s: %s\n", tsv_row(v), tsv_get(v, "text"), error_text(error_slot()->code));
    assert_ok(multiaddr_parse(tsv_get(v, "text"), &m));
    assert_bytes(multiaddr_bytes(&m), binary);
    assert_string_equal(multiaddr_print(&m, text), tsv_get(v, "canonical_text"));
    assert_ok(multiaddr_decode(binary, &again));
    assert_true(multiaddr_equal(&m, &again));
    assert_ok(multiaddr_parse(text, &again));
    assert_true(multiaddr_equal(&m, &again));
}

static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("multiaddr.tsv");
    AUTO(buf_t) binary;
    buf_init(&binary, 4096);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        const char *kind = tsv_get(v, "kind");
        multiaddr_t m = {.len = 7};
        tsv_hex(v, "binary_hex", &binary);
        if (!strcmp(kind, "valid")) {
            check_valid(v, buf_bytes(&binary));
            continue;
        }
        err_t e = !strcmp(kind, "invalid") ? multiaddr_parse(tsv_get(v, "text"), &m)
                                           : multiaddr_decode(buf_bytes(&binary), &m);
        if (e != ERR_INVALID)
            print_error("row %zu: %s %s\n", tsv_row(v), tsv_get(v, "text"), tsv_get(v, "note"));
        assert_int_equal(e, ERR_INVALID);
        assert_int_equal(m.len, 7); /* untouched */
    }
    assert_int_equal(rows, 224);
    tsv_close(v);
}

static void test_protocols(void **state)
{
    tsv_t *v = tsv_open("multiaddr-protocols.tsv");
    AUTO(buf_t) code;
    buf_init(&code, 16);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        const ma_protocol_t *p = ma_protocol_by_name(bytes_str(tsv_get(v, "name")));
        assert_non_null(p);
        assert_int_equal(p->code, atoi(tsv_get(v, "code")));
        assert_ptr_equal(p, ma_protocol_by_code(p->code));
        const char *bits = tsv_get(v, "value_bits");
        assert_int_equal(p->value_len, *bits == 'V' ? MA_LEN_VARIABLE : atoi(bits) / 8);
        assert_int_equal(p->is_path, !strcmp(tsv_get(v, "is_path"), "true"));
        uint8_t varint[UVARINT_MAX_BYTES];
        tsv_hex(v, "code_varint_hex", &code);
        assert_bytes(bytes_of(varint, uvarint_put(varint, p->code)), buf_bytes(&code));
    }
    assert_non_null(ma_protocol_at(rows - 1));
    assert_null(ma_protocol_at(rows)); /* and none that the vectors do not name */
    tsv_close(v);
}

static multiaddr_t parsed(const char *text)
{
    multiaddr_t m;
    assert_ok(multiaddr_parse(text, &m));
    return m;
}

#define PEER_A "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define PEER_B "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"

static void test_peers(void **state)
{
    char text[MULTIADDR_TEXT_MAX];
    peer_id_t a, b, got;
    assert_ok(peer_id_parse(PEER_A, &a));
    assert_ok(peer_id_parse(PEER_B, &b));
    multiaddr_t plain = parsed("/ip4/1.2.3.4/tcp/4001"), m;
    assert_err(multiaddr_peer(&plain, &got), ERR_NOT_FOUND);
    assert_ok(multiaddr_with_peer(&plain, &a, &m));
    assert_string_equal(multiaddr_print(&m, text), "/ip4/1.2.3.4/tcp/4001/p2p/" PEER_A);
    assert_ok(multiaddr_with_peer(&m, &b, &m)); /* the other one's place is taken */
    assert_string_equal(multiaddr_print(&m, text), "/ip4/1.2.3.4/tcp/4001/p2p/" PEER_B);
    assert_ok(multiaddr_peer(&m, &got));
    assert_true(peer_id_equal(&got, &b));
    multiaddr_without_peer(&m, &m);
    assert_true(multiaddr_equal(&m, &plain));
    multiaddr_t relayed = parsed("/ip4/1.2.3.4/tcp/1/p2p/" PEER_B "/p2p-circuit");
    assert_err(multiaddr_peer(&relayed, &got),
               ERR_NOT_FOUND); /* it reaches the relay's clients, not the relay */
    assert_true(multiaddr_is_circuit(&relayed));
    multiaddr_without_peer(&relayed, &m);
    assert_true(multiaddr_equal(&m, &relayed));
    assert_ok(multiaddr_with_peer(&relayed, &a, &relayed));
    assert_ok(multiaddr_peer(&relayed, &got));
    assert_true(peer_id_equal(&got, &a));
}

static void test_tcp_endpoints(void **state)
{
    static const char *const others[] = {"/ip4/1.2.3.4",
                                         "/ip4/1.2.3.4/udp/1",
                                         "/dns4/a/tcp/1",
                                         "/ip4/1.2.3.4/tcp/1/ws",
                                         "/ip4/1.2.3.4/tcp/1/p2p/" PEER_A "/p2p-circuit",
                                         "/tcp/1"};
    char text[MULTIADDR_TEXT_MAX];
    uint8_t family, ip[16];
    uint16_t port;
    multiaddr_t m = parsed("/ip6/2001:db8::1/tcp/4001/p2p/" PEER_A);
    assert_ok(multiaddr_tcp_endpoint(&m, &family, ip, &port));
    assert_int_equal(family, 6);
    assert_int_equal(port, 4001);
    assert_ok(multiaddr_from_tcp(family, ip, port, &m));
    assert_string_equal(multiaddr_print(&m, text), "/ip6/2001:db8::1/tcp/4001");
    m = parsed("/ip4/192.0.2.7/tcp/65535");
    assert_ok(multiaddr_tcp_endpoint(&m, &family, ip, &port));
    assert_bytes(bytes_of(ip, 16), BYTES_LIT("\xc0\0\2\7\0\0\0\0\0\0\0\0\0\0\0\0"));
    assert_ok(multiaddr_from_tcp(4, ip, port, &m));
    assert_string_equal(multiaddr_print(&m, text), "/ip4/192.0.2.7/tcp/65535");
    assert_err(multiaddr_from_tcp(5, ip, port, &m), ERR_INVALID);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        m = parsed(others[i]);
        assert_err(multiaddr_tcp_endpoint(&m, &family, ip, &port), ERR_UNSUPPORTED);
    }
}

static void test_reach(void **state)
{
    static const struct {
        const char *text;
        bool is_loopback, is_private;
    } rows[] = {
        {"/ip4/127.0.0.1/tcp/1", true, true},
        {"/ip4/127.9.9.9/udp/1/quic-v1", true, true},
        {"/ip6/::1/tcp/1", true, true},
        {"/ip6/::ffff:127.0.0.1/tcp/1", true, true},
        {"/ip6zone/lo/ip6/::1/tcp/1", true, true},
        {"/ip4/10.1.2.3/tcp/1", false, true},
        {"/ip4/172.31.0.1/tcp/1", false, true},
        {"/ip4/172.32.0.1/tcp/1", false, false},
        {"/ip4/192.168.1.1/tcp/1", false, true},
        {"/ip4/192.169.1.1/tcp/1", false, false},
        {"/ip4/169.254.1.1/tcp/1", false, true},
        {"/ip4/100.64.0.1/tcp/1", false, true},
        {"/ip4/100.128.0.1/tcp/1", false, false},
        {"/ip4/0.0.0.0/tcp/1", false, true},
        {"/ip6/::/tcp/1", false, true},
        {"/ip6/fd00::1/tcp/1", false, true},
        {"/ip6/fe80::1/tcp/1", false, true},
        {"/ip6zone/eth0/ip6/fe80::1/tcp/1", false, true},
        {"/ip6/::ffff:10.0.0.1/tcp/1", false, true},
        {"/ip6/2001:db8::1/tcp/1", false, false},
        {"/ip4/8.8.8.8/tcp/1", false, false},
        {"/dns4/localhost/tcp/1", false, false},
        {"/ip6zone/x", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        multiaddr_t m = parsed(rows[i].text);
        if (multiaddr_is_loopback(&m) != rows[i].is_loopback ||
            multiaddr_is_private(&m) != rows[i].is_private)
            print_error("%s\n", rows[i].text);
        assert_int_equal(multiaddr_is_loopback(&m), rows[i].is_loopback);
        assert_int_equal(multiaddr_is_private(&m), rows[i].is_private);
    }
    multiaddr_t none = {.len = 0};
    char text[MULTIADDR_TEXT_MAX];
    assert_false(multiaddr_is_loopback(&none));
    assert_string_equal(multiaddr_print(&none, text), "");
}

static void test_parts(void **state)
{
    multiaddr_t m = parsed("/dns4/example.com/tcp/443/wss");
    multiaddr_part_t part;
    assert_true(multiaddr_find(&m, MA_DNS4, &part));
    assert_bytes(part.value, BYTES_LIT("example.com"));
    assert_false(multiaddr_find(&m, MA_UDP, &part));
    assert_err(multiaddr_append(&m, 99999, BYTES_NONE), ERR_INVALID);
    assert_err(multiaddr_append(&m, MA_UDP, BYTES_LIT("1")), ERR_INVALID);
    assert_err(multiaddr_append(&m, MA_SNI, BYTES_LIT("a/b")), ERR_INVALID);
    assert_err(multiaddr_append(&m, MA_SNI, BYTES_LIT("a\x1b[2J")), ERR_INVALID); /* would reach a terminal */
    assert_err(multiaddr_append(&m, 444, BYTES_LIT("0123456789\0\0")), ERR_INVALID);
    assert_err(multiaddr_append(&m, 481, BYTES_NONE), ERR_INVALID);
    assert_ok(multiaddr_append(&m, 481, BYTES_LIT("a b/\x1b~")));
    char text[MULTIADDR_TEXT_MAX];
    assert_string_equal(multiaddr_print(&m, text), "/dns4/example.com/tcp/443/wss/http-path/a+b%2F%1B~");
    multiaddr_t again = parsed(text);
    assert_true(multiaddr_equal(&m, &again));
}

static void test_limits(void **state)
{
    uint8_t bytes[MULTIADDR_MAX_BYTES + 1];
    char text[MULTIADDR_TEXT_MAX + 2];
    multiaddr_t m;
    for (size_t i = 0; i + 1 < sizeof bytes; i += 2) { /* p2p-webrtc-direct: 19 characters for 2 bytes */
        bytes[i] = 0x94;
        bytes[i + 1] = 2;
    }
    assert_err(multiaddr_decode(bytes_of(bytes, 510), &m), ERR_LIMIT);
    assert_ok(multiaddr_decode(bytes_of(bytes, 100), &m));
    assert_err(multiaddr_decode(bytes_of(bytes, 511), &m), ERR_LIMIT);
    memset(text, 'a', sizeof text);
    memcpy(text, "/dns/", 5);
    text[sizeof text - 1] = 0;
    assert_err(multiaddr_parse(text, &m), ERR_LIMIT);
    text[600] = 0;
    assert_err(multiaddr_parse(text, &m), ERR_LIMIT);
    text[500] = 0;
    assert_ok(multiaddr_parse(text, &m));
    memcpy(text, "/p2p/", 5);
    assert_err(multiaddr_parse(text, &m), ERR_INVALID);
    memcpy(text, "/ip4/", 5);
    assert_err(multiaddr_parse(text, &m), ERR_INVALID);
    assert_err(multiaddr_parse("/tcp/99999999999999999999999", &m), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_protocols),     cmocka_unit_test(test_peers),
        cmocka_unit_test(test_reach),   cmocka_unit_test(test_tcp_endpoints), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
