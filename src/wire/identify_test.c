#include "base/writer.h"
#include "multi/multiaddr.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/identify.h"
#include <stdlib.h>

/* The vector with this protocol and message. */
static void vector(const char *protocol, const char *message, buf_t *out)
{
    tsv_t *v = tsv_open("wire/messages.tsv");
    bool found = false;
    while (!found && tsv_next(v))
        if (!strcmp(tsv_get(v, "protocol"), protocol) && !strcmp(tsv_get(v, "message"), message)) {
            tsv_hex(v, "bytes_hex", out);
            found = true;
        }
    tsv_close(v);
    assert_true(found);
}

static void test_vector(void **state)
{
    AUTO(buf_t) in;
    AUTO(buf_t) out;
    buf_init(&in, 65536);
    buf_init(&out, 65536);
    vector("/ipfs/id/1.0.0", "Identify", &in);
    identify_t m;
    assert_ok(identify_decode(buf_bytes(&in), &m));
    assert_int_equal(m.n_addrs, 2);
    assert_int_equal(m.n_protocols, 2);
    assert_bytes(m.protocol_version, BYTES_LIT("ipfs/0.1.0"));
    assert_bytes(m.agent_version, BYTES_LIT("distribute/0.1"));
    assert_true(m.signed_peer_record.len > 100);
    multiaddr_t addr;
    char text[MULTIADDR_TEXT_MAX];
    assert_ok(multiaddr_decode(m.addrs[0], &addr));
    assert_string_equal(multiaddr_print(&addr, text), "/ip4/192.0.2.1/tcp/4001");
    assert_ok(identify_encode(&m, &out));
    assert_bytes(buf_bytes(&out), buf_bytes(&in));
    buf_clear(&in);
    vector("/ipfs/id/push/1.0.0", "Identify (partial push)", &in);
    assert_ok(identify_decode(buf_bytes(&in), &m));
    assert_true(m.has_addrs && m.has_protocols && !m.agent_version.len);
}

/* Parts joined are one message: lists go on, single fields are the last one's. */
static void test_parts(void **state)
{
    identify_t a = {.agent_version = BYTES_LIT("old"), .n_protocols = 1, .protocols = {BYTES_LIT("/a")}};
    identify_t b = {.agent_version = BYTES_LIT("new"), .n_protocols = 1, .protocols = {BYTES_LIT("/b")}};
    AUTO(buf_t) joined;
    buf_init(&joined, 1000);
    assert_ok(identify_encode(&a, &joined));
    assert_ok(identify_encode(&b, &joined));
    identify_t m;
    assert_ok(identify_decode(buf_bytes(&joined), &m));
    assert_int_equal(m.n_protocols, 2);
    assert_bytes(m.protocols[1], BYTES_LIT("/b"));
    assert_bytes(m.agent_version, BYTES_LIT("new"));
}

static void test_bounds(void **state)
{
    identify_t *m = xcalloc(1, sizeof *m);
    AUTO(buf_t) in;
    buf_init(&in, 1 << 20);
    char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    m->n_addrs = IDENTIFY_ADDRS_MAX;
    for (size_t i = 0; i < m->n_addrs; i++)
        m->addrs[i] = BYTES_LIT("addr");
    m->n_protocols = 2;
    m->protocols[0] = bytes_of(long_name, sizeof long_name);
    m->protocols[1] = BYTES_LIT("/p");
    m->agent_version = bytes_of(long_name, sizeof long_name);
    for (int i = 0; i < 100; i++)
        assert_ok(identify_encode(m, &in));
    identify_t *got = xcalloc(1, sizeof *got);
    assert_ok(identify_decode(buf_bytes(&in), got));
    assert_int_equal(got->n_addrs, IDENTIFY_ADDRS_MAX);
    assert_int_equal(got->n_protocols, 100); /* the long one is left out each time */
    assert_int_equal(got->agent_version.len, 0);
    free(m);
    free(got);
}

static void test_malformed(void **state)
{
    identify_t m;
    assert_err(identify_decode(BYTES_LIT("\x0a\x05xy"), &m), ERR_EOF);
    assert_err(identify_decode(BYTES_LIT("\x08\x01"), &m), ERR_INVALID); /* a number for a key */
    assert_ok(identify_decode(BYTES_LIT("\x50\x01"), &m));               /* unknown fields are skipped */
    assert_ok(identify_decode(BYTES_NONE, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
