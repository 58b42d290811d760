#include "crypto/key_pem.h"
#include "tests/support/test.h"

static void check_round_trip(key_type_t type)
{
    AUTO_PTR(private_key_t) key = NULL;
    AUTO_PTR(private_key_t) back = NULL;
    AUTO(buf_t) pem, a, b;
    buf_init(&pem, 1 << 16);
    buf_init(&a, 1 << 16);
    buf_init(&b, 1 << 16);
    assert_ok(private_key_generate(type, NULL, 2048, &key));
    assert_ok(private_key_to_pem(key, &pem));
    assert_true(bytes_starts_with(buf_bytes(&pem), BYTES_LIT("-----BEGIN PRIVATE KEY-----\n")));
    assert_true(pem_has_block(buf_bytes(&pem)));
    assert_ok(private_key_from_pem(buf_bytes(&pem), &back));
    assert_ok(private_key_data(key, &a));
    assert_ok(private_key_data(back, &b));
    assert_bytes(buf_bytes(&a), buf_bytes(&b));
}

static void test_round_trips(void **state)
{
    check_round_trip(KEY_ED25519);
    check_round_trip(KEY_RSA);
    check_round_trip(KEY_ECDSA);
}

/* `ipfs key export --format=pem-pkcs8-cleartext` of Kubo 0.42, and the same key as a protobuf's Data. */
static void test_reference(void **state)
{
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIAmzLiRuzu5jmLFg8KF4GncH/QqfA2lG8YVnx9hAWl4m\n"
                              "-----END PRIVATE KEY-----\n";
    AUTO_PTR(private_key_t) key = NULL;
    AUTO(buf_t) seed, data, again;
    buf_init(&seed, 64);
    buf_init(&data, 128);
    buf_init(&again, 1024);
    assert_ok(private_key_from_pem(BYTES_LIT(pem), &key));
    assert_ok(private_key_data(key, &data));
    assert_ok(
        hex_decode(BYTES_LIT("09b32e246eceee6398b160f0a1781a7707fd0a9f036946f18567c7d8405a5e26"), &seed));
    assert_bytes(bytes_slice(buf_bytes(&data), 0, 32), buf_bytes(&seed));
    assert_ok(private_key_to_pem(key, &again));
    assert_bytes(buf_bytes(&again), BYTES_LIT(pem));
}

static void test_refused(void **state)
{
    AUTO_PTR(private_key_t) key = NULL;
    AUTO_PTR(private_key_t) curve = NULL;
    AUTO(buf_t) out;
    buf_init(&out, 1024);
    assert_err(private_key_from_pem(BYTES_NONE, &key), ERR_INVALID);
    assert_err(private_key_from_pem(BYTES_LIT("no block"), &key), ERR_INVALID);
    assert_err(
        private_key_from_pem(BYTES_LIT("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), &key),
        ERR_INVALID);
    assert_string_equal(error_text(ERR_INVALID),
                        "expected PRIVATE KEY type in PEM block but got: PUBLIC KEY");
    static const char *const bad[] = {
        "AAAA",                                                             /* no DER */
        "MC4CAQIwBQYDK2VwBCIEIAmzLiRuzu5jmLFg8KF4GncH/QqfA2lG8YVnx9hAWl4m", /* version 2 */
        "MC0CAQAwBQYDK2VwBCEEHwmzLiRuzu5jmLFg8KF4GncH/QqfA2lG8YVnx9hAWl4=", /* a byte too few */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[256];
        snprintf(text, sizeof text, "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", bad[i]);
        assert_err(private_key_from_pem(bytes_str(text), &key), ERR_INVALID);
    }
    /* X25519: another algorithm */
    assert_err(
        private_key_from_pem(BYTES_LIT("-----BEGIN PRIVATE KEY-----\n"
                                       "MC4CAQAwBQYDK2VuBCIEIAmzLiRuzu5jmLFg8KF4GncH/QqfA2lG8YVnx9hAWl4m\n"
                                       "-----END PRIVATE KEY-----\n"),
                             &key),
        ERR_UNSUPPORTED);
    assert_false(pem_has_block(BYTES_LIT("x")));
    assert_ok(private_key_generate(KEY_SECP256K1, NULL, 0, &curve));
    assert_err(private_key_to_pem(curve, &out), ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips), cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
