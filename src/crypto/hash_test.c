#include "crypto/hash.h"
#include "crypto/murmur3.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <pthread.h>

/* Digests of "abc": FIPS 180-2, FIPS 202, RFC 1321, RFC 7693, the Keccak and BLAKE3 teams. */
static const struct {
    hash_kind_t kind;
    const char *hex;
} of_abc[] = {
    {HASH_MD5, "900150983cd24fb0d6963f7d28e17f72"},
    {HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {HASH_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
    {HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {HASH_SHA384,
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
    {HASH_SHA512,
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d"
     "4423643ce80e2a9ac94fa54ca49f"},
    {HASH_SHA512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"},
    {HASH_SHA3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"},
    {HASH_SHA3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
    {HASH_SHA3_384,
     "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25"},
    {HASH_SHA3_512,
     "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e393405734"
     "0b4cf408d5a56592f8274eec53f0"},
    {HASH_SHAKE_128, "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8"},
    {HASH_SHAKE_256,
     "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739d5a15bef186a5386c75744c0527e1faa9f8"
     "726e462a12a4feb06bd8801e751e4"},
    {HASH_KECCAK_224, "c30411768506ebe1c2871b1ee2e87d38df342317300a9b97a95ec6a8"},
    {HASH_KECCAK_256, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
    {HASH_KECCAK_384,
     "f7df1165f033337be098e7d288ad6a2f74409d7a60b49c36642218de161b1f99f8c681e4afaf31a34db29fb763e3c28e"},
    {HASH_KECCAK_512,
     "18587dc2ea106b9a1563e32b3312421ca164c7f1f07bc922a9c83d77cea3a1e5d0c69910739025372dc14ac9642629379540"
     "c17e2a65b19d77aa511a9d00bb96"},
    {HASH_BLAKE2B,
     "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38"
     "aa8dbf1925ab92386edd4009923"},
    {HASH_BLAKE2S, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"},
    {HASH_BLAKE3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"},
    {HASH_DBL_SHA256, "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"},
};

static void test_known_digests(void **state)
{
    AUTO(buf_t) want;
    buf_init(&want, 64);
    assert_int_equal(ARRAY_LEN(of_abc), HASH_KIND_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(of_abc); i++) {
        hash_kind_t kind = of_abc[i].kind;
        uint8_t out[HASH_MAX_BYTES];
        if (!hash_is_available(kind)) {
            assert_int_equal(kind, HASH_BLAKE3);
            assert_err(hash_of(kind, BYTES_LIT("abc"), out, 32), ERR_UNSUPPORTED);
            continue;
        }
        buf_clear(&want);
        assert_ok(hex_decode(bytes_str(of_abc[i].hex), &want));
        assert_int_equal(hash_natural_len(kind), want.len);
        assert_non_null(hash_kind_name(kind));
        assert_ok(hash_of(kind, BYTES_LIT("abc"), out, want.len));
        assert_bytes(bytes_of(out, want.len), buf_bytes(&want));
    }
}

/* However the bytes are cut, the digest is the same; around the block sizes of every function. */
static void test_pieces(void **state)
{
    uint8_t data[1000], whole[HASH_MAX_BYTES], out[HASH_MAX_BYTES];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (int kind = 0; kind < HASH_KIND_COUNT; kind++) {
        size_t len = hash_natural_len((hash_kind_t)kind);
        hash_ctx_t *h = NULL;
        if (!hash_is_available((hash_kind_t)kind))
            continue;
        assert_ok(hash_of((hash_kind_t)kind, bytes_of(data, sizeof data), whole, len));
        assert_ok(hash_new((hash_kind_t)kind, &h));
        for (size_t step = 1; step < 300; step += 13) {
            for (size_t at = 0; at < sizeof data; at += step)
                hash_update(h, bytes_slice(bytes_of(data, sizeof data), at, step));
            assert_ok(hash_finish(h, out, len)); /* and starts again */
            assert_bytes(bytes_of(out, len), bytes_of(whole, len));
        }
        assert_err(hash_finish(h, out, len - 1), ERR_INVALID);
        hash_free(h);
        bytes_t pieces[] = {bytes_of(data, 64), BYTES_NONE, bytes_of(data + 64, 136),
                            bytes_of(data + 200, 800)};
        assert_ok(hash_of_pieces((hash_kind_t)kind, pieces, 4, out, len));
        assert_bytes(bytes_of(out, len), bytes_of(whole, len));
        assert_ok(hash_of_pieces((hash_kind_t)kind, NULL, 0, out, len));
        assert_memory_not_equal(out, whole, len);
    }
    hash_free(NULL);
}

static void test_lengths(void **state)
{
    uint8_t a[HASH_MAX_BYTES], b[HASH_MAX_BYTES];
    bytes_t abc = BYTES_LIT("abc");
    assert_err(hash_of(HASH_SHA256, abc, a, 20), ERR_INVALID);
    assert_err(hash_of(HASH_SHA256, abc, a, 33), ERR_INVALID);
    assert_err(hash_of(HASH_BLAKE2B, abc, a, 65), ERR_INVALID);
    assert_err(hash_of(HASH_BLAKE2S, abc, a, 0), ERR_INVALID);
    assert_err(hash_of(HASH_BLAKE2S, abc, a, 33), ERR_INVALID);
    assert_err(hash_of(HASH_SHAKE_128, abc, a, 129), ERR_INVALID);
    assert_ok(hash_of(HASH_SHAKE_128, abc, a, 128));
    assert_ok(hash_of(HASH_SHAKE_128, abc, b, 32));
    assert_memory_equal(a, b, 32); /* a longer output begins with the shorter one */
    assert_ok(hash_of(HASH_BLAKE2B, abc, a, 20));
    assert_ok(hash_of(HASH_BLAKE2B, abc, b, 64));
    assert_memory_not_equal(a, b, 20); /* the length is mixed in */
    hash_ctx_t *h = NULL;
    assert_err(hash_new_sized(HASH_SHA1, 19, &h), ERR_INVALID);
    assert_null(h);
    assert_ok(hash_new_sized(HASH_BLAKE2B, 20, &h));
    hash_update(h, abc);
    assert_ok(hash_finish(h, b, 20));
    assert_memory_equal(a, b, 20);
    hash_free(h);
}

/* RFC 4231 cases 1, 2, 6; the two outputs are RFC 5869 with an empty info. */
static void test_hmac_and_hkdf(void **state)
{
    uint8_t key[131], out[32], out2[32], salt[32] = {0}, prk[32], expected[32];
    AUTO(buf_t) want;
    buf_init(&want, 64);
    memset(key, 0x0b, 20);
    hmac_sha256(bytes_of(key, 20), BYTES_LIT("Hi There"), out);
    assert_ok(
        hex_decode(BYTES_LIT("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"), &want));
    assert_bytes(bytes_of(out, 32), buf_bytes(&want));
    buf_clear(&want);
    hmac_sha256(BYTES_LIT("Jefe"), BYTES_LIT("what do ya want for nothing?"), out);
    assert_ok(
        hex_decode(BYTES_LIT("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"), &want));
    assert_bytes(bytes_of(out, 32), buf_bytes(&want));
    buf_clear(&want);
    memset(key, 0xaa, sizeof key);
    hmac_sha256(bytes_of(key, sizeof key),
                BYTES_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_ok(
        hex_decode(BYTES_LIT("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"), &want));
    assert_bytes(bytes_of(out, 32), buf_bytes(&want));
    hkdf_sha256_2(salt, BYTES_LIT("input"), out, out2);
    hmac_sha256(bytes_of(salt, 32), BYTES_LIT("input"), prk);
    hmac_sha256(bytes_of(prk, 32), BYTES_LIT("\1"), expected);
    assert_memory_equal(out, expected, 32);
    uint8_t again[33];
    memcpy(again, expected, 32);
    again[32] = 2;
    hmac_sha256(bytes_of(prk, 32), bytes_of(again, 33), expected);
    assert_memory_equal(out2, expected, 32);
    hkdf_sha256_2(salt, BYTES_LIT("input"), salt, expected); /* over its own salt, as Noise does */
    assert_memory_equal(salt, out, 32);
    assert_memory_equal(expected, out2, 32);
}

static void test_murmur3(void **state)
{
    assert_int_equal(murmur3_x64_64(BYTES_NONE), 0);
    assert_true(murmur3_x64_64(BYTES_LIT("hello")) == 0xcbd8a7b341bd9b02);
    assert_true(murmur3_x64_64(BYTES_LIT("hello, world")) == 0x342fac623a5ebc8e);
    assert_true(murmur3_x64_64(BYTES_LIT("The quick brown fox jumps over the lazy dog.")) ==
                0xcd99481f9ee902c9);
}

static void *hash_on_thread(void *arg)
{
    uint8_t out[32];
    for (int i = 0; i < 200; i++) {
        sha256_of(BYTES_LIT("abc"), out);
        if (memcmp(out, arg, 32))
            return arg;
        err_t e = hash_of(HASH_BLAKE2B, BYTES_LIT("abc"), out, 32);
        if (e)
            return arg;
    }
    return NULL;
}

/* Threads have their own contexts, and free them when they end (the leak check sees it). */
static void test_threads(void **state)
{
    pthread_t threads[4];
    uint8_t want[32];
    sha256_of(BYTES_LIT("abc"), want);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_on_thread, want), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_digests), cmocka_unit_test(test_pieces),  cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_hmac_and_hkdf), cmocka_unit_test(test_murmur3), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
