#include "tests/support/test.h"
#include "wire/dns.h"

#define HEADER(questions, answers)                                                                           \
    "\x12\x34\x84\x00"                                                                                       \
    "\x00" questions "\x00" answers "\x00\x00\x00\x00"

static void test_question_and_record(void **state)
{
    static const char in[] =
        HEADER("\x01", "\x01") "\x04_p2P\x05local\x00\x00\x0c\x80\x01" /* a question at 12 */
                               "\x03"
                               "a.b"
                               "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x78\x00\x06\x02hi\x00\x01!";
    dns_message_t m;
    dns_record_t r;
    assert_ok(dns_decode(bytes_of(in, sizeof in - 1), &m));
    assert_int_equal(m.id, 0x1234);
    assert_int_equal(m.flags, DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITATIVE);
    assert_true(dns_next(&m, &r));
    assert_true(r.is_question && !r.is_answer);
    assert_string_equal(r.name, "_p2p.local");
    assert_int_equal(r.type, DNS_TYPE_PTR);
    assert_int_equal(r.class, DNS_CLASS_IN | DNS_CLASS_TOP_BIT);
    assert_true(dns_next(&m, &r));
    assert_true(!r.is_question && r.is_answer);
    assert_string_equal(r.name, "a\\046b._p2p.local");
    assert_int_equal(r.type, DNS_TYPE_TXT);
    assert_int_equal(r.ttl_s, 120);
    reader_t strings = reader_of(r.data);
    bytes_t text;
    assert_true(dns_next_string(&strings, &text));
    assert_bytes(text, BYTES_LIT("hi"));
    assert_true(dns_next_string(&strings, &text));
    assert_int_equal(text.len, 0);
    assert_true(dns_next_string(&strings, &text));
    assert_bytes(text, BYTES_LIT("!"));
    assert_false(dns_next_string(&strings, &text));
    assert_false(dns_next(&m, &r));
    assert_ok(m.at.err);
}

/* One record, whose name is what follows the header. */
static err_t read_one(bytes_t name_on)
{
    AUTO(buf_t) in = {0};
    dns_message_t m;
    dns_record_t r;
    buf_init(&in, 4096);
    assert_ok(buf_append(&in, BYTES_LIT(HEADER("\x01", "\x00"))));
    assert_ok(buf_append(&in, name_on));
    assert_ok(buf_append(&in, BYTES_LIT("\x00\x0c\x00\x01")));
    assert_ok(dns_decode(buf_bytes(&in), &m));
    bool has = dns_next(&m, &r);
    assert_int_equal(has, !m.at.err);
    return m.at.err;
}

static void test_hostile_names(void **state)
{
    uint8_t longest[256] = {0};
    for (size_t i = 0; i < 255; i += 64)
        longest[i] = i < 192 ? 63 : 61;
    longest[254] = 0;
    assert_ok(read_one(bytes_of(longest, 255))); /* 255 on the wire */
    longest[192] = 62;
    assert_err(read_one(bytes_of(longest, 256)), ERR_INVALID);
    assert_ok(read_one(BYTES_LIT("\x00")));
    assert_err(read_one(BYTES_LIT("\xc0\x0c")), ERR_INVALID); /* to itself */
    assert_err(read_one(BYTES_LIT("\x01"
                                  "a\xc0\x0e")),
               ERR_INVALID); /* forwards, to a pointer */
    assert_err(read_one(BYTES_LIT("\x01"
                                  "a\xc0\x0c")),
               ERR_INVALID);                                  /* to its own beginning */
    assert_err(read_one(BYTES_LIT("\xc0\x02")), ERR_INVALID); /* into the header */
    assert_err(read_one(BYTES_LIT("\x40"
                                  "a")),
               ERR_INVALID); /* a kind of label that never came to be */
    assert_err(read_one(BYTES_LIT("\x3f"
                                  "short")),
               ERR_EOF);
}

/* A chain of pointers, each to the one before: as long as a message may claim, it ends. */
static void test_pointer_chain(void **state)
{
    AUTO(buf_t) in = {0};
    dns_message_t m;
    dns_record_t r;
    buf_init(&in, 4096);
    writer_t w = writer_to(&in);
    dns_put_header(&w, 0, 0, (uint16_t[4]){100, 0, 0, 0});
    dns_put_label(&w, BYTES_LIT("a"));
    dns_put_name_end(&w);
    write_u32be(&w, DNS_TYPE_PTR << 16 | DNS_CLASS_IN);
    uint16_t before = DNS_HEADER_BYTES;
    for (int i = 1; i < 100; i++) {
        uint16_t at = (uint16_t)in.len;
        dns_put_name_at(&w, before);
        write_u32be(&w, DNS_TYPE_PTR << 16 | DNS_CLASS_IN);
        before = at;
    }
    assert_ok(w.err);
    assert_ok(dns_decode(buf_bytes(&in), &m));
    size_t n = 0;
    while (dns_next(&m, &r)) {
        assert_string_equal(r.name, "a");
        n++;
    }
    assert_err(m.at.err, ERR_INVALID);
    assert_in_range(n, 30, 40);
}

static void test_claims(void **state)
{
    dns_message_t m;
    dns_record_t r;
    assert_err(dns_decode(BYTES_LIT("\x00\x00\x84\x00\x00"), &m), ERR_INVALID);
    assert_ok(dns_decode(BYTES_LIT("\x00\x00\x84\x00\xff\xff\xff\xff\xff\xff\xff\xff"), &m));
    assert_false(dns_next(&m, &r));
    static const char in[] = HEADER("\x00", "\x01") "\x00\x00\x10\x00\x01\x00\x00\x00\x78\xff\xff";
    assert_ok(dns_decode(bytes_of(in, sizeof in - 1), &m)); /* 65,535 bytes of data that are not there */
    assert_false(dns_next(&m, &r));
    assert_err(m.at.err, ERR_EOF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_and_record),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_pointer_chain),
        cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
