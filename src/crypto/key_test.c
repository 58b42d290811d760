#include "base/prng.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "tests/support/test.h"

static const key_type_t all_types[] = {KEY_RSA, KEY_ED25519, KEY_SECP256K1, KEY_ECDSA};

static bytes_t public_bytes(const public_key_t *k)
{
    return bytes_of(k->data, k->len);
}

static private_key_t *fresh(key_type_t type)
{
    private_key_t *k = NULL;
    assert_ok(private_key_generate(type, NULL, 2048, &k));
    assert_int_equal(private_key_type(k), type);
    return k;
}

static void test_generate_sign_load(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
        AUTO_PTR(private_key_t) k = fresh(all_types[i]);
        AUTO_PTR(private_key_t) loaded = NULL;
        AUTO(buf_t) signature, data;
        public_key_t public_key;
        buf_init(&signature, 4096);
        buf_init(&data, 8192);
        bytes_t text = BYTES_LIT("text");
        assert_ok(private_key_sign(k, text, &signature));
        assert_ok(private_key_data(k, &data));
        assert_ok(private_key_from_data(all_types[i], buf_bytes(&data), &loaded));
        assert_true(public_key_equal(private_key_public(k), private_key_public(loaded)));
        assert_ok(public_key_from_data(all_types[i], public_bytes(private_key_public(k)), &public_key));
        assert_true(public_key_equal(&public_key, private_key_public(k)));
        assert_ok(public_key_verify(&public_key, text, buf_bytes(&signature)));
        buf_clear(&signature);
        assert_ok(private_key_sign(loaded, BYTES_NONE, &signature)); /* an empty message is one too */
        assert_ok(public_key_verify(&public_key, BYTES_NONE, buf_bytes(&signature)));
    }
}

/* What must never verify: any change of message, signature or key, a signature of another type or none.
 * (CVE-2019-15545 took any; RUSTSEC-2022-0009 did not bind the signer.) */
static void test_nothing_else_verifies(void **state)
{
    uint8_t zeros[512] = {0}, ones[512];
    memset(ones, 0xff, sizeof ones);
    bytes_t text = BYTES_LIT("the text that was signed");
    for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
        AUTO_PTR(private_key_t) k = fresh(all_types[i]);
        AUTO_PTR(private_key_t) stranger = fresh(all_types[i]);
        AUTO_PTR(private_key_t) other_type = fresh(all_types[(i + 1) % 4]);
        AUTO(buf_t) s;
        const public_key_t *public_key = private_key_public(k);
        buf_init(&s, 4096);
        assert_ok(private_key_sign(k, text, &s));
        assert_ok(public_key_verify(public_key, text, buf_bytes(&s)));
        assert_err(public_key_verify(private_key_public(stranger), text, buf_bytes(&s)), ERR_CRYPTO);
        assert_err(public_key_verify(private_key_public(other_type), text, buf_bytes(&s)), ERR_CRYPTO);
        assert_err(public_key_verify(public_key, bytes_slice(text, 0, text.len - 1), buf_bytes(&s)),
                   ERR_CRYPTO);
        assert_err(public_key_verify(public_key, BYTES_NONE, buf_bytes(&s)), ERR_CRYPTO);
        for (size_t at = 0; at < s.len; at++) {
            s.data[at] ^= 0x40;
            assert_err(public_key_verify(public_key, text, buf_bytes(&s)), ERR_CRYPTO);
            s.data[at] ^= 0x40;
        }
        for (size_t cut = 0; cut < s.len; cut += 3)
            assert_err(public_key_verify(public_key, text, bytes_of(s.data, cut)), ERR_CRYPTO);
        assert_ok(buf_append_u8(&s, 0));
        assert_err(public_key_verify(public_key, text, buf_bytes(&s)), ERR_CRYPTO);
        for (size_t len = 1; len <= sizeof zeros; len += len < 130 ? 1 : 63) {
            assert_err(public_key_verify(public_key, text, bytes_of(zeros, len)), ERR_CRYPTO);
            assert_err(public_key_verify(public_key, text, bytes_of(ones, len)), ERR_CRYPTO);
        }
        assert_err(public_key_verify(public_key, text, bytes_of(ones, 1025)), ERR_CRYPTO);
    }
}

static void test_ed25519(void **state)
{
    uint8_t seed[32], secret[96];
    AUTO_PTR(private_key_t) k = NULL;
    AUTO_PTR(private_key_t) loaded = NULL;
    AUTO(buf_t) data;
    public_key_t public_key;
    buf_init(&data, 256);
    memset(seed, 7, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &k));
    assert_ok(private_key_data(k, &data));
    memcpy(secret, data.data, 64);
    memcpy(secret + 64, data.data + 32, 32); /* the old form */
    assert_ok(private_key_from_data(KEY_ED25519, bytes_of(secret, 96), &loaded));
    assert_true(public_key_equal(private_key_public(loaded), private_key_public(k)));
    private_key_free(loaded);
    loaded = NULL;
    secret[80] ^= 1;
    assert_err(private_key_from_data(KEY_ED25519, bytes_of(secret, 96), &loaded), ERR_INVALID);
    secret[40] ^= 1; /* a public half that is not the seed's */
    assert_err(private_key_from_data(KEY_ED25519, bytes_of(secret, 64), &loaded), ERR_INVALID);
    assert_err(private_key_from_data(KEY_ED25519, bytes_of(secret, 32), &loaded), ERR_INVALID);
    assert_null(loaded);
    uint8_t point[32] = {1}; /* the neutral element: any signature would do */
    assert_err(public_key_from_data(KEY_ED25519, bytes_of(point, 32), &public_key), ERR_INVALID);
    memset(point, 0xff, 32); /* not below the prime */
    assert_err(public_key_from_data(KEY_ED25519, bytes_of(point, 32), &public_key), ERR_INVALID);
    assert_err(public_key_from_data(KEY_ED25519, bytes_of(point, 31), &public_key), ERR_INVALID);
}

static void test_secp256k1(void **state)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                      0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    uint8_t scalar[33] = {0}, point[65] = {4};
    AUTO_PTR(private_key_t) k = NULL;
    public_key_t public_key;
    assert_err(private_key_from_data(KEY_SECP256K1, bytes_of(scalar, 32), &k), ERR_INVALID); /* 0 */
    assert_err(private_key_from_data(KEY_SECP256K1, bytes_of(order, 32), &k), ERR_INVALID);
    assert_err(private_key_from_data(KEY_SECP256K1, bytes_of(scalar, 33), &k), ERR_INVALID);
    assert_err(private_key_generate(KEY_SECP256K1, order, 0, &k), ERR_INVALID); /* no seeds here */
    assert_null(k);
    assert_err(public_key_from_data(KEY_SECP256K1, bytes_of(point, 65), &public_key), ERR_INVALID);
    point[0] = 2; /* x = 0 is on no point */
    assert_err(public_key_from_data(KEY_SECP256K1, bytes_of(point, 33), &public_key), ERR_INVALID);
    point[0] = 5;
    assert_err(public_key_from_data(KEY_SECP256K1, bytes_of(point, 33), &public_key), ERR_INVALID);
}

/* The same key as SEC 1 inside PKCS #8, with and without the curve inside; and what is refused. */
static void wrap_pkcs8(bytes_t sec1, bytes_t curve_oid, buf_t *out)
{
    static const uint8_t ec_public_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    buf_clear(out);
    writer_t w = writer_to(out);
    size_t key = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_INTEGER, BYTES_LIT("\0"));
    size_t algorithm = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_OID, bytes_of(ec_public_key, sizeof ec_public_key));
    der_put(&w, DER_OID, curve_oid);
    der_end_put(&w, algorithm);
    der_put(&w, DER_OCTET_STRING, sec1);
    der_end_put(&w, key);
    assert_ok(w.err);
}

static void test_ecdsa_forms(void **state)
{
    bytes_t p256 = BYTES_LIT("\x2a\x86\x48\xce\x3d\x03\x01\x07"), p384 = BYTES_LIT("\x2b\x81\x04\x00\x22");
    bytes_t secp256k1 = BYTES_LIT("\x2b\x81\x04\x00\x0a");
    AUTO_PTR(private_key_t) k = fresh(KEY_ECDSA);
    AUTO_PTR(private_key_t) loaded = NULL;
    AUTO_PTR(private_key_t) bare = NULL;
    AUTO(buf_t) sec1, pkcs8, small;
    buf_init(&sec1, 512);
    buf_init(&pkcs8, 512);
    buf_init(&small, 512);
    assert_ok(private_key_data(k, &sec1));
    wrap_pkcs8(buf_bytes(&sec1), p256, &pkcs8);
    assert_ok(private_key_from_data(KEY_ECDSA, buf_bytes(&pkcs8), &loaded));
    assert_true(public_key_equal(private_key_public(k), private_key_public(loaded)));
    writer_t w = writer_to(&small); /* the scalar alone */
    size_t key = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_INTEGER, BYTES_LIT("\1"));
    der_put(&w, DER_OCTET_STRING, bytes_of(sec1.data + 7, 32));
    der_end_put(&w, key);
    assert_ok(w.err);
    wrap_pkcs8(buf_bytes(&small), p256, &pkcs8);
    assert_ok(private_key_from_data(KEY_ECDSA, buf_bytes(&pkcs8), &bare));
    assert_true(public_key_equal(private_key_public(k), private_key_public(bare)));
    private_key_t *none = NULL;
    assert_err(private_key_from_data(KEY_ECDSA, buf_bytes(&small), &none),
               ERR_UNSUPPORTED);                /* on which curve? */
    wrap_pkcs8(buf_bytes(&sec1), p384, &pkcs8); /* two curves */
    assert_err(private_key_from_data(KEY_ECDSA, buf_bytes(&pkcs8), &none), ERR_INVALID);
    wrap_pkcs8(buf_bytes(&small), p384, &pkcs8); /* too short for it */
    assert_err(private_key_from_data(KEY_ECDSA, buf_bytes(&pkcs8), &none), ERR_INVALID);
    wrap_pkcs8(buf_bytes(&small), secp256k1, &pkcs8);
    assert_int_not_equal(private_key_from_data(KEY_ECDSA, buf_bytes(&pkcs8), &none), OK);
    assert_null(none);
}

/* PKIX around a modulus of this many bytes and an exponent. */
static err_t rsa_public(size_t modulus_bytes, bytes_t exponent, public_key_t *ret)
{
    static const uint8_t oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    AUTO(buf_t) der;
    buf_init(&der, 8192);
    uint8_t modulus[2100] = {0};
    memset(modulus + 1, 0xc5, modulus_bytes);
    writer_t w = writer_to(&der);
    size_t info = der_begin(&w, DER_SEQUENCE), algorithm = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_OID, bytes_of(oid, sizeof oid));
    der_put(&w, DER_NULL, BYTES_NONE);
    der_end_put(&w, algorithm);
    size_t bits = der_begin(&w, DER_BIT_STRING);
    write_u8(&w, 0);
    size_t numbers = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_INTEGER, bytes_of(modulus, modulus_bytes + 1));
    der_put(&w, DER_INTEGER, exponent);
    der_end_put(&w, numbers);
    der_end_put(&w, bits);
    der_end_put(&w, info);
    assert_ok(w.err);
    return public_key_from_data(KEY_RSA, buf_bytes(&der), ret);
}

static void test_rsa_sizes(void **state)
{
    bytes_t f4 = BYTES_LIT("\1\0\1");
    public_key_t k;
    AUTO_PTR(private_key_t) made = NULL;
    assert_ok(rsa_public(256, f4, &k));
    assert_ok(rsa_public(1024, f4, &k));
    assert_err(rsa_public(1025, f4, &k), ERR_LIMIT); /* 8200 bits: refused before OpenSSL sees it */
    assert_err(rsa_public(2048, f4, &k), ERR_LIMIT);
    assert_err(rsa_public(255, f4, &k), ERR_INVALID);
    assert_err(rsa_public(128, f4, &k), ERR_INVALID);
    assert_err(rsa_public(256, BYTES_LIT("\1"), &k), ERR_INVALID);
    assert_err(rsa_public(256, BYTES_LIT("\2"), &k), ERR_INVALID);
    assert_err(rsa_public(256, BYTES_LIT("\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"), &k), ERR_INVALID);
    assert_err(rsa_public(256, BYTES_LIT("\x81"), &k), ERR_INVALID);   /* negative */
    assert_err(rsa_public(256, BYTES_LIT("\0\0\3"), &k), ERR_INVALID); /* not the shortest form */
    assert_err(private_key_generate(KEY_RSA, NULL, 1024, &made), ERR_INVALID);
    assert_err(private_key_generate(KEY_RSA, NULL, 16384, &made), ERR_INVALID);
}

/* Every cut and every flipped byte of every encoding is refused, or is still some good key. */
static void test_broken_encodings(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
        AUTO_PTR(private_key_t) k = fresh(all_types[i]);
        AUTO(buf_t) data;
        public_key_t got;
        uint8_t copy[PUBLIC_KEY_MAX_BYTES];
        buf_init(&data, 8192);
        bytes_t public_data = public_bytes(private_key_public(k));
        for (size_t cut = 0; cut < public_data.len; cut++)
            assert_err(public_key_from_data(all_types[i], bytes_slice(public_data, 0, cut), &got),
                       ERR_INVALID);
        memcpy(copy, public_data.data, public_data.len);
        copy[public_data.len] = 0;
        assert_err(public_key_from_data(all_types[i], bytes_of(copy, public_data.len + 1), &got),
                   ERR_INVALID);
        assert_ok(private_key_data(k, &data));
        for (size_t cut = 0; cut < data.len; cut += 1 + data.len / 50) {
            private_key_t *loaded = NULL;
            assert_err(private_key_from_data(all_types[i], bytes_of(data.data, cut), &loaded), ERR_INVALID);
            assert_null(loaded);
        }
        for (size_t at = 0; at < data.len; at += 1 + data.len / 20) {
            private_key_t *loaded = NULL;
            data.data[at] ^= 4;
            if (private_key_from_data(all_types[i], buf_bytes(&data), &loaded) == OK)
                assert_int_equal(all_types[i], KEY_SECP256K1); /* any number is a key there */
            private_key_free(loaded);
            data.data[at] ^= 4;
        }
    }
}

static void test_types_and_limits(void **state)
{
    static uint8_t large[8193];
    public_key_t public_key = {.type = (key_type_t)9};
    private_key_t *k = NULL;
    for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
        assert_err(public_key_from_data(all_types[i], bytes_of(large, PUBLIC_KEY_MAX_BYTES + 1), &public_key),
                   ERR_LIMIT);
        assert_err(private_key_from_data(all_types[i], bytes_of(large, sizeof large), &k), ERR_LIMIT);
    }
    assert_err(public_key_from_data((key_type_t)4, bytes_of(large, 32), &public_key), ERR_UNSUPPORTED);
    assert_err(private_key_from_data((key_type_t)-1, bytes_of(large, 32), &k), ERR_UNSUPPORTED);
    assert_err(private_key_generate((key_type_t)77, NULL, 0, &k), ERR_UNSUPPORTED);
    assert_err(public_key_verify(&public_key, BYTES_NONE, BYTES_LIT("x")), ERR_UNSUPPORTED);
    private_key_free(NULL);
}

/* RFC 7748 section 6.1. */
static void test_x25519(void **state)
{
    AUTO(buf_t) alice, bob, want;
    uint8_t a[32], b[32], shared[32], zero[32] = {0};
    buf_init(&alice, 32);
    buf_init(&bob, 32);
    buf_init(&want, 32);
    assert_ok(
        hex_decode(BYTES_LIT("77076d0a7318a57d3c16c17251b26645df4c2f92ebc099c8fcef3a36d6e0d0ea"), &alice));
    assert_ok(
        hex_decode(BYTES_LIT("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"), &bob));
    x25519_public(bob.data, b);
    assert_ok(
        hex_decode(BYTES_LIT("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"), &want));
    assert_bytes(bytes_of(b, 32), buf_bytes(&want));
    x25519_public(alice.data, a);
    assert_ok(x25519_shared(alice.data, b, shared));
    uint8_t other[32];
    assert_ok(x25519_shared(bob.data, a, other));
    assert_memory_equal(shared, other, 32);
    memset(other, 5, 32);
    assert_err(x25519_shared(bob.data, zero, other), ERR_CRYPTO);
    assert_int_equal(other[0], 5);
}

static void fill_from_prng(void *arg, uint8_t *out, size_t len)
{
    prng_fill(arg, out, len);
}

/* With the simulator's randomness all but RSA keys are the same again. */
static void test_randomness(void **state)
{
    prng_t rng;
    uint8_t a[32], b[32];
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 1; i < ARRAY_LEN(all_types); i++) {
        prng_seed(&rng, 42);
        crypto_set_random(fill_from_prng, &rng);
        AUTO_PTR(private_key_t) first = fresh(all_types[i]);
        prng_seed(&rng, 42);
        AUTO_PTR(private_key_t) second = fresh(all_types[i]);
        crypto_set_random(NULL, NULL);
        AUTO_PTR(private_key_t) third = fresh(all_types[i]);
        assert_true(public_key_equal(private_key_public(first), private_key_public(second)));
        assert_false(public_key_equal(private_key_public(first), private_key_public(third)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate_sign_load),
        cmocka_unit_test(test_nothing_else_verifies),
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_secp256k1),
        cmocka_unit_test(test_rsa_sizes),
        cmocka_unit_test(test_broken_encodings),
        cmocka_unit_test(test_types_and_limits),
        cmocka_unit_test(test_x25519),
        cmocka_unit_test(test_randomness),
        cmocka_unit_test(test_ecdsa_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
