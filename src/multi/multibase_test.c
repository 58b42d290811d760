#include "base/prng.h"
#include "multi/multibase.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

static void check_row(tsv_t *v, bytes_t data, bool is_roundtrip)
{
    AUTO(buf_t) out;
    multibase_t base, found;
    buf_init(&out, 4096);
    bytes_t text = bytes_str(tsv_get(v, "text"));
    /* the row of the identity base has nothing before its data: the prefix 00 does not show in a table */
    assert_ok(multibase_from_name(tsv_get(v, "base"), &base));
    assert_string_equal(multibase_name(base), tsv_get(v, "base"));
    assert_ok(multibase_decode(text, &found, &out));
    assert_int_equal(found, base);
    assert_bytes(buf_bytes(&out), data);
    if (!is_roundtrip)
        return;
    buf_clear(&out);
    assert_ok(multibase_encode(base, data, &out));
    assert_bytes(buf_bytes(&out), text);
}

/* We are strict where go-multibase is lenient (kind lenient): a length that no bytes have, and trailing
 * bits that are not zero, would give two texts to one CID. */
static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("multibase.tsv");
    AUTO(buf_t) data, out;
    buf_init(&data, 4096);
    buf_init(&out, 4096);
    size_t good = 0, bad = 0;
    while (tsv_next(v)) {
        const char *kind = tsv_get(v, "kind");
        tsv_hex(v, "data_hex", &data);
        if (!strcmp(kind, "roundtrip") || !strcmp(kind, "decode-only")) {
            check_row(v, buf_bytes(&data), *kind == 'r');
            good++;
            continue;
        }
        multibase_t base = MB_BASE10;
        if (multibase_decode(bytes_str(tsv_get(v, "text")), &base, &out) != ERR_INVALID)
            fail_msg("row %zu (%s) was taken", tsv_row(v), tsv_get(v, "text"));
        assert_int_equal(base, MB_BASE10);
        assert_int_equal(out.len, 0); /* nothing half decoded is left */
        bad++;
    }
    assert_int_equal(good, 337);
    assert_int_equal(bad, 18);
    tsv_close(v);
}

static void test_every_base_both_ways(void **state)
{
    prng_t rng;
    uint8_t bytes[80];
    AUTO(buf_t) text, out;
    multibase_t base, found;
    prng_seed(&rng, 7);
    buf_init(&text, 4096);
    buf_init(&out, 4096);
    size_t bases = 0;
    for (; multibase_at(bases, &base); bases++)
        for (size_t len = 0; len < sizeof bytes; len++) {
            prng_fill(&rng, bytes, len);
            memset(bytes, 0, len % 4); /* leading zeros now and then */
            bytes_t data = bytes_of(bytes, len);
            buf_clear(&text);
            buf_clear(&out);
            assert_ok(multibase_encode(base, data, &text));
            assert_ok(multibase_decode(buf_bytes(&text), &found, &out));
            assert_int_equal(found, base);
            assert_bytes(buf_bytes(&out), data);
        }
    assert_int_equal(bases, 25);
}

/* RFC 9285 section 4.3 and 4.4. */
static void test_base45(void **state)
{
    static const struct {
        const char *data, *text;
    } rows[] = {{"AB", "BB8"}, {"Hello!!", "%69 VD92EX0"}, {"base-45", "UJCLQE7W581"}, {"ietf!", "QED8WEX0"}};
    static const char *const bad[] = {"GGW", "A", ":::", "ZZ", "b b", "BB8:"};
    AUTO(buf_t) out;
    buf_init(&out, 64);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&out);
        assert_ok(multibase_encode_raw(MB_BASE45, bytes_str(rows[i].data), &out));
        assert_bytes(buf_bytes(&out), bytes_str(rows[i].text));
        buf_clear(&out);
        assert_ok(multibase_decode_raw(MB_BASE45, bytes_str(rows[i].text), &out));
        assert_bytes(buf_bytes(&out), bytes_str(rows[i].data));
    }
    buf_clear(&out);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(multibase_decode_raw(MB_BASE45, bytes_str(bad[i]), &out), ERR_INVALID);
    assert_int_equal(out.len, 0);
}

static void test_strict_padding(void **state)
{
    static const char *const bad[] = {
        "cme",       "cme=====", "cme=======", "c========", "c=",     "cmf======",
        "CME=====A", "M=",       "M====",      "MAA=",      "MAAA==="};
    AUTO(buf_t) out;
    multibase_t base;
    buf_init(&out, 64);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (multibase_decode(bytes_str(bad[i]), &base, &out) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
    assert_ok(multibase_decode(BYTES_LIT("cme======"), &base, &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("a"));
    buf_clear(&out);
    assert_ok(multibase_decode_lenient(MB_BASE32, BYTES_LIT("mf"), &out)); /* trailing bits */
    assert_bytes(buf_bytes(&out), BYTES_LIT("a"));
    assert_err(multibase_decode_lenient(MB_BASE32, BYTES_LIT("mfa"), &out), ERR_INVALID);
}

static void test_limits(void **state)
{
    static uint8_t data[MULTIBASE_DIGITS_MAX + 1];
    AUTO(buf_t) text, out, tiny;
    buf_init(&text, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_init(&tiny, 4);
    memset(data, 0xff, sizeof data);
    static const multibase_t slow[] = {MB_BASE10, MB_BASE36, MB_BASE58BTC};
    for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
        buf_clear(&text);
        buf_clear(&out);
        assert_err(multibase_encode(slow[i], bytes_of(data, sizeof data), &text), ERR_LIMIT);
        assert_int_equal(text.len, 0);
        assert_ok(multibase_encode_raw(slow[i], bytes_of(data, MULTIBASE_DIGITS_MAX), &text));
        assert_ok(multibase_decode_raw(slow[i], buf_bytes(&text), &out));
        assert_bytes(buf_bytes(&out), bytes_of(data, MULTIBASE_DIGITS_MAX));
        assert_err(multibase_encode_raw(slow[i], bytes_of(data, 100), &tiny), ERR_LIMIT);
        assert_int_equal(tiny.len, 0);
    }
    memset(data, '9', sizeof data);
    multibase_t base;
    for (size_t i = 0; multibase_at(i, &base); i++) {
        assert_err(multibase_encode(base, bytes_of(data, 100), &tiny), ERR_LIMIT);
        assert_int_equal(tiny.len, 0);
    }
    buf_clear(&text);
    for (int i = 0; i < 3; i++)
        assert_ok(buf_append(&text, bytes_of(data, MULTIBASE_DIGITS_MAX)));
    assert_err(multibase_decode_raw(MB_BASE10, buf_bytes(&text), &out), ERR_LIMIT);
}

static void test_names(void **state)
{
    multibase_t base;
    AUTO(buf_t) out;
    buf_init(&out, 64);
    assert_err(multibase_from_name("base33", &base), ERR_NOT_FOUND);
    assert_err(multibase_from_name("", &base), ERR_NOT_FOUND);
    assert_err(multibase_from_name("bb", &base), ERR_NOT_FOUND);
    assert_err(multibase_from_name("y", &base), ERR_NOT_FOUND);
    assert_ok(multibase_from_name("b", &base));
    assert_int_equal(base, MB_BASE32);
    assert_ok(multibase_from_name("\xf0\x9f\x9a\x80", &base));
    assert_int_equal(base, MB_BASE256EMOJI);
    assert_string_equal(multibase_name((multibase_t)'?'), "unknown");
    assert_err(multibase_encode_raw((multibase_t)'?', BYTES_LIT("a"), &out), ERR_UNSUPPORTED);
    assert_err(multibase_decode_raw((multibase_t)'?', BYTES_LIT("a"), &out), ERR_UNSUPPORTED);
    assert_err(multibase_decode_raw(MB_BASE256EMOJI, BYTES_LIT("\xf0\x9f\x9a"), &out), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_every_base_both_ways),
        cmocka_unit_test(test_base45),  cmocka_unit_test(test_strict_padding),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
