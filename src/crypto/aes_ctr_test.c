#include "crypto/aes_ctr.h"
#include "crypto/hash.h"
#include "crypto/passphrase.h"
#include "crypto/secret.h"
#include "tests/support/test.h"

static void assert_hex(const uint8_t *data, size_t len, const char *want)
{
    AUTO(buf_t) hex;
    const char *text;
    buf_init(&hex, 1024);
    assert_ok(hex_encode(bytes_of(data, len), &hex));
    assert_ok(buf_cstr(&hex, &text));
    assert_string_equal(text, want);
}

/* Computed with Python's cryptography. */
static void test_known_text(void **state)
{
    uint8_t key[32], text[1000], sealed[1000], digest[32];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7);
    assert_ok(aes_ctr(key, bytes_of(text, sizeof text), sealed));
    sha256_of(bytes_of(sealed, sizeof sealed), digest);
    assert_hex(digest, 32, "91f05dd389c9ea8c2bf7930439bedf06bb10b5e27e8f38f8815dbbbf0f4060b3");
    assert_ok(aes_ctr(key, bytes_of(sealed, sizeof sealed), sealed)); /* in place */
    assert_memory_equal(sealed, text, sizeof text);
    assert_ok(aes_ctr(key, BYTES_NONE, sealed));
}

static void test_passphrase(void **state)
{
    uint8_t salt[PASSPHRASE_SALT_BYTES], key[PASSPHRASE_KEY_BYTES];
    for (size_t i = 0; i < sizeof salt; i++)
        salt[i] = (uint8_t)i;
    assert_ok(passphrase_key(BYTES_LIT("correct horse"), salt, (passphrase_cost_t){2, 8}, key));
    assert_hex(key, 32, "5d6feb78fec962f9fe4465119605b64a5dbce8acde9e8ae0c8b3d4c2f518c9a4");
    assert_err(passphrase_key(BYTES_LIT("x"), salt, (passphrase_cost_t){0, 8}, key), ERR_LIMIT);
    assert_err(passphrase_key(BYTES_LIT("x"), salt, (passphrase_cost_t){1, 1025}, key), ERR_LIMIT);
}

static void test_secret(void **state)
{
    void *p;
    static const uint8_t zeros[100];
    assert_ok(secret_new(100, &p));
    assert_memory_equal(p, zeros, 100);
    secret_free(p);
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_text),
        cmocka_unit_test(test_passphrase),
        cmocka_unit_test(test_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
