/* The messages of relays, hole punching and AutoNAT against the vectors: decoded, and encoded to the same. */
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/autonat.h"
#include "wire/dcutr.h"
#include "wire/relay.h"

enum { ADDRS_MAX = 4 };

static void again_hop(bytes_t in, writer_t *w)
{
    relay_message_t m;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0;
    assert_ok(relay_hop_decode(in, &m));
    for (size_t i = 0; n < ADDRS_MAX && relay_next_addr(&m, &i, &addrs[n]);)
        n++;
    relay_hop_encode(&m, addrs, n, w);
}

static void again_stop(bytes_t in, writer_t *w)
{
    relay_message_t m;
    assert_ok(relay_stop_decode(in, &m));
    relay_stop_encode(&m, w);
}

static void again_dcutr(bytes_t in, writer_t *w)
{
    dcutr_t m;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0;
    assert_ok(dcutr_decode(in, &m));
    for (size_t i = 0; n < ADDRS_MAX && dcutr_next_addr(&m, &i, &addrs[n]);)
        n++;
    dcutr_encode(m.type, addrs, n, w);
}

static void again_autonat(bytes_t in, writer_t *w)
{
    autonat_t m;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0;
    assert_ok(autonat_decode(in, &m));
    for (size_t i = 0; n < ADDRS_MAX && autonat_next_addr(&m, &i, &addrs[n]);)
        n++;
    if (m.is_response)
        assert_ok(multiaddr_decode(m.addr, &addrs[0]));
    if (m.is_response)
        autonat_encode_response((autonat_status_t)m.status, NULL, &addrs[0], w);
    else
        autonat_encode_dial(&m.peer, addrs, n, w);
}

static void again_autonat2(bytes_t in, writer_t *w)
{
    autonat2_t m;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0, index;
    assert_ok(autonat2_decode(in, &m));
    for (size_t i = 0; m.kind == AUTONAT2_REQUEST && autonat2_next_addr(&m, &i, &index, &addrs[n]); n++)
        assert_int_equal(index, n);
    if (m.kind == AUTONAT2_REQUEST)
        autonat2_encode_request(addrs, n, m.nonce, w);
    else if (m.kind == AUTONAT2_RESPONSE)
        autonat2_encode_response((autonat2_status_t)m.status, m.index, m.dial, w);
    else
        autonat2_encode_data_request(m.index, m.size_bytes, w);
}

static void again_back(bytes_t in, writer_t *w)
{
    uint64_t nonce;
    if (!in.len) /* the answer: all of it has its default value */
        return;
    assert_ok(autonat2_back_decode(in, &nonce));
    assert_true(nonce == 0x1122334455667788);
    autonat2_back_encode(nonce, w);
}

static void test_vectors(void **state)
{
    static const struct {
        const char *protocol;
        void (*again)(bytes_t in, writer_t *w);
    } messages[] = {
        {RELAY_HOP_PROTOCOL, again_hop},
        {RELAY_STOP_PROTOCOL, again_stop},
        {DCUTR_PROTOCOL, again_dcutr},
        {AUTONAT_PROTOCOL, again_autonat},
        {AUTONAT2_DIAL_PROTOCOL, again_autonat2},
        {AUTONAT2_BACK_PROTOCOL, again_back},
    };
    tsv_t *v = tsv_open("wire/messages.tsv");
    AUTO(buf_t) bytes = {0}, out = {0};
    buf_init(&bytes, 4096);
    buf_init(&out, 4096);
    size_t rows = 0;
    while (tsv_next(v))
        for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
            if (strcmp(tsv_get(v, "protocol"), messages[i].protocol))
                continue;
            tsv_hex(v, "bytes_hex", &bytes);
            buf_clear(&out);
            writer_t w = writer_to(&out);
            messages[i].again(buf_bytes(&bytes), &w);
            assert_ok(w.err);
            assert_bytes(buf_bytes(&out), buf_bytes(&bytes));
            rows++;
        }
    assert_int_equal(rows, 15);
    tsv_close(v);
}

static void test_relay_refused(void **state)
{
    relay_message_t m;
    assert_err(relay_hop_decode(BYTES_NONE, &m), ERR_INVALID); /* the type is always written */
    assert_err(relay_hop_decode(BYTES_LIT("\x08\x03"), &m), ERR_INVALID);
    assert_err(relay_stop_decode(BYTES_LIT("\x08\x02"), &m), ERR_INVALID);
    assert_err(relay_hop_decode(BYTES_LIT("\x08\x01\x12\x04\x0a\x02\x00\x05"), &m), ERR_INVALID);
    uint8_t much[RELAY_MESSAGE_MAX_BYTES + 1] = {8, 0};
    assert_err(relay_hop_decode(bytes_of(much, sizeof much), &m), ERR_LIMIT);
    assert_string_equal(relay_status_name(RELAY_NO_RESERVATION), "NO_RESERVATION");
    assert_string_equal(relay_status_name(7), "?");
    for (uint32_t s = RELAY_RESERVATION_REFUSED; s <= RELAY_NO_RESERVATION; s++)
        assert_string_not_equal(relay_status_name(s), "?");
    assert_string_equal(relay_status_name(RELAY_MALFORMED_MESSAGE), "MALFORMED_MESSAGE");
    assert_string_equal(relay_status_name(RELAY_UNEXPECTED_MESSAGE), "UNEXPECTED_MESSAGE");
    assert_string_equal(relay_status_name(RELAY_OK), "OK");
}

static void test_others_refused(void **state)
{
    dcutr_t d;
    autonat_t a;
    autonat2_t b;
    uint64_t nonce;
    static const uint8_t much[AUTONAT2_MESSAGE_MAX_BYTES + 1];
    assert_err(dcutr_decode(BYTES_LIT("\x08\x01"), &d), ERR_INVALID);
    assert_err(dcutr_decode(BYTES_LIT("\x12\x05\x01"), &d), ERR_EOF);
    assert_err(dcutr_decode(bytes_of(much, DCUTR_MESSAGE_MAX_BYTES + 1), &d), ERR_LIMIT);
    assert_err(autonat_decode(BYTES_LIT("\x08\x01"), &a), ERR_INVALID);
    assert_err(autonat_decode(BYTES_LIT("\x08\x00\x12\x04\x0a\x02\x0a\x05"), &a), ERR_EOF);
    assert_err(autonat_decode(bytes_of(much, AUTONAT_MESSAGE_MAX_BYTES + 1), &a), ERR_LIMIT);
    assert_err(autonat2_decode(BYTES_NONE, &b), ERR_INVALID);
    assert_err(autonat2_decode(BYTES_LIT("\x12\x02\x08"), &b), ERR_EOF);
    assert_err(autonat2_decode(bytes_of(much, sizeof much), &b), ERR_LIMIT);
    assert_err(autonat2_back_decode(BYTES_NONE, &nonce), ERR_INVALID);
}

/* What is no multiaddr is passed over, and the places of the others stay right. */
static void test_unreadable_addresses(void **state)
{
    autonat2_t m;
    multiaddr_t addr;
    size_t i = 0, index = 0;
    AUTO(buf_t) data = {0};
    buf_init(&data, 4096);
    writer_t w = writer_to(&data);
    autonat2_encode_data(bytes_of("123", 3), &w);
    assert_ok(autonat2_decode(buf_bytes(&data), &m));
    assert_int_equal(m.kind, AUTONAT2_DATA);
    assert_int_equal(m.size_bytes, 3);
    buf_clear(&data);
    size_t mark = pb_begin(&w, AUTONAT2_REQUEST);
    pb_put_bytes(&w, 1, BYTES_LIT("\xff\xff"));
    pb_put_bytes(&w, 1, BYTES_LIT("\x04\x7f\x00\x00\x01\x06\x0f\xa1"));
    pb_end(&w, mark);
    assert_ok(autonat2_decode(buf_bytes(&data), &m));
    assert_true(autonat2_next_addr(&m, &i, &index, &addr));
    assert_int_equal(index, 1);
    assert_false(autonat2_next_addr(&m, &i, &index, &addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_relay_refused),
        cmocka_unit_test(test_others_refused),
        cmocka_unit_test(test_unreadable_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
