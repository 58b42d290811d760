#include "crypto/aead.h"
#include "tests/support/test.h"

static void from_hex(const char *hex, buf_t *out)
{
    buf_clear(out);
    assert_ok(hex_decode(bytes_str(hex), out));
}

/* RFC 8439 section 2.8.2. */
static void test_rfc8439(void **state)
{
    static const char plain[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
    AUTO(buf_t) key, nonce, ad, want;
    uint8_t out[sizeof plain + AEAD_TAG_BYTES];
    aead_t *a = NULL;
    buf_init(&key, 64);
    buf_init(&nonce, 64);
    buf_init(&ad, 64);
    buf_init(&want, 256);
    from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", &key);
    from_hex("070000004041424344454647", &nonce);
    from_hex("50515253c0c1c2c3c4c5c6c7", &ad);
    from_hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728"
             "b1a71de0a9e06"
             "0b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4"
             "b7a9de576d2"
             "6586cec64b61161ae10b594f09e26a7e902ecbd0600691",
             &want);
    assert_ok(aead_new_chacha20_poly1305(key.data, &a));
    bytes_t text = bytes_of(plain, sizeof plain - 1);
    assert_ok(aead_seal(a, nonce.data, buf_bytes(&ad), text, out));
    assert_bytes(bytes_of(out, text.len + AEAD_TAG_BYTES), buf_bytes(&want));
    assert_ok(aead_open(a, nonce.data, buf_bytes(&ad), buf_bytes(&want), out));
    assert_bytes(bytes_of(out, text.len), text);
    aead_free(a);
}

/* NIST SP 800-38D's test cases 4 and 16 of the GCM specification. */
static void test_aes_gcm(void **state)
{
    static const char *const wanted[2] = {"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21"
                                          "d514b25466931c7d8f6a5aac84aa051ba30b39"
                                          "6a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
                                          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8c"
                                          "b08e48590dbb3da7b08b1056828838c5f61e63"
                                          "93ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"};
    AUTO(buf_t) key, nonce, ad, plain, want;
    uint8_t out[128];
    buf_init(&key, 64);
    buf_init(&nonce, 64);
    buf_init(&ad, 64);
    buf_init(&plain, 128);
    buf_init(&want, 128);
    from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", &key);
    from_hex("cafebabefacedbaddecaf888", &nonce);
    from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", &ad);
    from_hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b1"
        "6aedf5aa0de657ba637b39",
        &plain);
    for (int i = 0; i < 2; i++) {
        aead_t *a = NULL;
        assert_ok(aead_new(i ? AEAD_AES_256_GCM : AEAD_AES_128_GCM, key.data, &a));
        from_hex(wanted[i], &want);
        bytes_t pieces[2] = {bytes_slice(buf_bytes(&plain), 0, 7),
                             bytes_slice(buf_bytes(&plain), 7, SIZE_MAX)};
        assert_ok(aead_seal_pieces(a, nonce.data, buf_bytes(&ad), pieces, 2, out));
        assert_bytes(bytes_of(out, plain.len + AEAD_TAG_BYTES), buf_bytes(&want));
        assert_ok(aead_open(a, nonce.data, buf_bytes(&ad), buf_bytes(&want), out));
        assert_bytes(bytes_of(out, plain.len), buf_bytes(&plain));
        out[0] = want.data[0] ^= 1;
        assert_err(aead_open(a, nonce.data, buf_bytes(&ad), buf_bytes(&want), out), ERR_CRYPTO);
        aead_free(a);
    }
}

/* In place, all lengths around the blocks; then every change is seen, and the output is wiped. */
static void test_in_place_and_tampering(void **state)
{
    static const uint8_t key[32] = {1}, zeros[300];
    uint8_t nonce[12] = {2}, buf[300 + AEAD_TAG_BYTES], copy[sizeof buf];
    aead_t *a = NULL;
    assert_ok(aead_new_chacha20_poly1305(key, &a));
    for (size_t len = 0; len <= 300; len += 7) {
        size_t sealed = len + AEAD_TAG_BYTES;
        bytes_t ad = bytes_of("header", len % 7);
        nonce[11] = (uint8_t)len;
        memset(buf, 0x5a, len);
        assert_ok(aead_seal(a, nonce, ad, bytes_of(buf, len), buf));
        memcpy(copy, buf, sealed);
        for (size_t at = 0; at < sealed; at += 5) {
            buf[at] ^= 0x10;
            assert_err(aead_open(a, nonce, ad, bytes_of(buf, sealed), buf), ERR_CRYPTO);
            assert_memory_equal(buf, zeros, len);
            memcpy(buf, copy, sealed);
        }
        nonce[0] ^= 1;
        assert_err(aead_open(a, nonce, ad, bytes_of(copy, sealed), buf), ERR_CRYPTO);
        nonce[0] ^= 1;
        assert_err(aead_open(a, nonce, BYTES_LIT("other"), bytes_of(copy, sealed), buf), ERR_CRYPTO);
        assert_err(aead_open(a, nonce, ad, bytes_of(copy, sealed - 1), buf), ERR_CRYPTO);
        memcpy(buf, copy, sealed);
        assert_ok(aead_open(a, nonce, ad, bytes_of(buf, sealed), buf));
        for (size_t i = 0; i < len; i++)
            assert_int_equal(buf[i], 0x5a);
    }
    assert_err(aead_open(a, nonce, BYTES_NONE, bytes_of(copy, AEAD_TAG_BYTES - 1), buf), ERR_CRYPTO);
    assert_err(aead_seal(a, nonce, BYTES_NONE, bytes_of(copy, (size_t)1 << 31), buf), ERR_LIMIT);
    assert_err(aead_open(a, nonce, BYTES_NONE, bytes_of(copy, (size_t)1 << 31), buf), ERR_LIMIT);
    aead_free(a);
    aead_free(NULL);
}

/* Pieces of odd sizes give what the joined text gives. */
static void test_pieces(void **state)
{
    uint8_t key[32] = {7}, nonce[12] = {1}, text[1000], joined[1016], out[1016];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7);
    aead_t *a;
    assert_ok(aead_new_chacha20_poly1305(key, &a));
    assert_ok(aead_seal(a, nonce, BYTES_LIT("ad"), bytes_of(text, sizeof text), joined));
    static const size_t cuts[][4] = {{0, 12, 76, 1000}, {1, 1, 64, 999}, {0, 0, 0, 0}, {500, 513, 514, 1000}};
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        bytes_t pieces[5];
        size_t at = 0;
        for (size_t k = 0; k < 5; k++) {
            size_t end = k < 4 ? cuts[i][k] : sizeof text;
            pieces[k] = bytes_of(text + at, end - at);
            at = end;
        }
        assert_ok(aead_seal_pieces(a, nonce, BYTES_LIT("ad"), pieces, 5, out));
        assert_bytes(bytes_of(out, sizeof out), bytes_of(joined, sizeof joined));
    }
    aead_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_rfc8439),
                                       cmocka_unit_test(test_aes_gcm),
                                       cmocka_unit_test(test_in_place_and_tampering)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
