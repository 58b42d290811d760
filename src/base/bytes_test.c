#include "base/bytes.h"
#include "tests/support/test.h"

static void test_compare(void **state)
{
    assert_true(bytes_equal(BYTES_LIT("abc"), bytes_str("abc")));
    assert_true(bytes_equal(BYTES_NONE, BYTES_LIT("")));
    assert_false(bytes_equal(BYTES_LIT("abc"), BYTES_LIT("abd")));
    assert_false(bytes_equal(BYTES_LIT("abc"), BYTES_LIT("ab")));
    assert_true(bytes_compare(BYTES_LIT("abc"), BYTES_LIT("abd")) < 0);
    assert_true(bytes_compare(BYTES_LIT("\xff"), BYTES_LIT("a")) > 0);
    assert_true(bytes_compare(BYTES_LIT("ab"), BYTES_LIT("abc")) < 0);
    assert_true(bytes_compare(BYTES_LIT("b"), BYTES_LIT("abc")) > 0);
    assert_int_equal(bytes_compare(BYTES_NONE, BYTES_NONE), 0);
    assert_true(bytes_starts_with(BYTES_LIT("abc"), BYTES_LIT("ab")));
    assert_true(bytes_starts_with(BYTES_LIT("abc"), BYTES_NONE));
    assert_false(bytes_starts_with(BYTES_LIT("a"), BYTES_LIT("ab")));
    assert_true(bytes_equal_secret(BYTES_LIT("key"), BYTES_LIT("key")));
    assert_false(bytes_equal_secret(BYTES_LIT("key"), BYTES_LIT("kez")));
    assert_false(bytes_equal_secret(BYTES_LIT("Key"), BYTES_LIT("key")));
    assert_false(bytes_equal_secret(BYTES_LIT("key"), BYTES_LIT("keys")));
}

static void test_slice(void **state)
{
    bytes_t a = BYTES_LIT("abcdef");
    assert_bytes(bytes_slice(a, 1, 2), BYTES_LIT("bc"));
    assert_bytes(bytes_slice(a, 4, 100), BYTES_LIT("ef"));
    assert_bytes(bytes_slice(a, 100, 1), BYTES_NONE);
    assert_bytes(bytes_slice(BYTES_NONE, 0, 1), BYTES_NONE);
}

static void test_buf(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 10);
    assert_ok(buf_append(&b, BYTES_LIT("hello")));
    assert_ok(buf_append_u8(&b, '!'));
    assert_ok(buf_append(&b, BYTES_NONE));
    assert_ok(buf_printf(&b, "%d", 1234));
    assert_bytes(buf_bytes(&b), BYTES_LIT("hello!1234"));
    assert_err(buf_append_u8(&b, 'x'), ERR_LIMIT);
    assert_err(buf_printf(&b, "%s", "x"), ERR_LIMIT);
    assert_err(buf_reserve(&b, SIZE_MAX), ERR_LIMIT);
    assert_bytes(buf_bytes(&b), BYTES_LIT("hello!1234"));
    const char *text;
    assert_ok(buf_cstr(&b, &text)); /* the NUL needs no room under the maximum */
    assert_string_equal(text, "hello!1234");
    buf_consume(&b, 6);
    assert_bytes(buf_bytes(&b), BYTES_LIT("1234"));
    buf_consume(&b, 0);
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    assert_ok(buf_append(&b, BYTES_LIT("x")));
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_ok(buf_append(&b, BYTES_LIT("take")));
    size_t len;
    uint8_t *taken = buf_take(&b, &len);
    assert_bytes(bytes_of(taken, len), BYTES_LIT("take"));
    free(taken);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.max, 10);
    buf_deinit(&b);
    buf_deinit(&b);
    assert_ok(buf_append(&b, BYTES_LIT("again")));
}

static void test_buf_empty(void **state)
{
    buf_t b = {0};
    assert_err(buf_append_u8(&b, 1), ERR_LIMIT);
    assert_ok(buf_append(&b, BYTES_NONE));
    const char *text;
    assert_ok(buf_cstr(&b, &text));
    assert_string_equal(text, "");
    buf_deinit(&b);
}

static void test_buf_grows(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 100000; i++)
        assert_ok(buf_append_u8(&b, (uint8_t)i));
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], (uint8_t)i);
    assert_true(b.cap < 300000);
    buf_t unlimited;
    buf_init(&unlimited, SIZE_MAX);
    assert_err(buf_reserve(&unlimited, SIZE_MAX / 2), ERR_NO_MEMORY);
    assert_int_equal(unlimited.len, 0);
}

static void test_memory(void **state)
{
    uint8_t *p = xcalloc(4, 4);
    for (int i = 0; i < 16; i++)
        assert_int_equal(p[i], 0);
    p[0] = 9;
    p = xrealloc(p, 1000);
    assert_int_equal(p[0], 9);
    secret_wipe(p, 1);
    secret_wipe(NULL, 0);
    assert_int_equal(p[0], 0);
    free(p);
    char *s = xstrdup("text");
    assert_string_equal(s, "text");
    free(s);
    free(xmalloc(0));
}

static void test_hex(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 20);
    assert_ok(hex_encode(bytes_of("\x00\xff\x1a", 3), &b));
    assert_bytes(buf_bytes(&b), BYTES_LIT("00ff1a"));
    buf_clear(&b);
    assert_ok(hex_decode(BYTES_LIT("00fF1A"), &b));
    assert_bytes(buf_bytes(&b), bytes_of("\x00\xff\x1a", 3));
    assert_err(hex_decode(BYTES_LIT("0"), &b), ERR_INVALID);
    assert_err(hex_decode(BYTES_LIT("0g"), &b), ERR_INVALID);
    assert_err(hex_decode(BYTES_LIT("@0"), &b), ERR_INVALID);
    assert_err(hex_encode(BYTES_LIT("123456789012345"), &b), ERR_LIMIT);
    assert_int_equal(b.len, 3); /* nothing is added by a failure */
    char text[7] = "xxxxxx";
    assert_string_equal(hex_text(bytes_of("\x00\xff\x1a", 3), text, sizeof text), "00ff1a");
    assert_string_equal(hex_text(BYTES_NONE, text, 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),   cmocka_unit_test(test_slice),     cmocka_unit_test(test_buf),
        cmocka_unit_test(test_buf_empty), cmocka_unit_test(test_buf_grows), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
