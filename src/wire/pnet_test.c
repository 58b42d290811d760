#include "base/prng.h"
#include "tests/support/test.h"
#include "wire/pnet.h"

/* The stream of libsodium's own tests for XSalsa20 (and of NaCl's): its first block. */
static void test_xsalsa20(void **state)
{
    AUTO(buf_t) key, nonce, want;
    uint8_t zeros[64] = {0}, out[64];
    buf_init(&key, 64);
    buf_init(&nonce, 64);
    buf_init(&want, 64);
    assert_ok(
        hex_decode(BYTES_LIT("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389"), &key));
    assert_ok(hex_decode(BYTES_LIT("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37"), &nonce));
    assert_ok(
        hex_decode(BYTES_LIT("eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880"), &want));
    xsalsa20_t x;
    xsalsa20_init(&x, key.data, nonce.data);
    xsalsa20_xor(&x, zeros, out, sizeof out);
    assert_memory_equal(out, want.data, want.len);
}

/* Cut anywhere, the stream is the same. */
static void test_pieces(void **state)
{
    static const uint8_t key[32] = {9}, nonce[24] = {8};
    enum { LEN = 5000 };
    uint8_t whole[LEN], cut[LEN];
    prng_t r;
    prng_seed(&r, 3);
    for (int round = 0; round < 50; round++) {
        xsalsa20_t a, b;
        memset(whole, 0x33, LEN);
        memset(cut, 0x33, LEN);
        xsalsa20_init(&a, key, nonce);
        xsalsa20_init(&b, key, nonce);
        xsalsa20_xor(&a, whole, whole, LEN);
        for (size_t at = 0, n; at < LEN; at += n) {
            n = prng_next(&r) % 200;
            n = n < LEN - at ? n : LEN - at;
            xsalsa20_xor(&b, cut + at, cut + at, n);
        }
        assert_memory_equal(whole, cut, LEN);
    }
}

/* Two sides with one key understand each other, however what they send is cut; others do not. */
static void test_two_sides(void **state)
{
    static const uint8_t key[32] = {1}, other[32] = {2}, n1[24] = {3}, n2[24] = {4};
    static const char text[] = "the same text over and over, the same text over and over, and so on";
    for (size_t step = 1; step < 40; step++) {
        pnet_t a, b, stranger;
        uint8_t wire[PNET_NONCE_BYTES + sizeof text], copy[sizeof wire], got[sizeof text];
        size_t n_got = 0;
        pnet_init(&a, key, n1);
        pnet_init(&b, key, n2);
        pnet_init(&stranger, other, n2);
        memcpy(wire, n1, sizeof n1);
        pnet_seal(&a, (const uint8_t *)text, wire + sizeof n1, sizeof text);
        memcpy(copy, wire, sizeof wire);
        for (size_t at = 0; at < sizeof wire; at += step) {
            size_t len = step < sizeof wire - at ? step : sizeof wire - at;
            bytes_t plain = pnet_open(&b, wire + at, len);
            if (plain.len)
                memcpy(got + n_got, plain.data, plain.len);
            n_got += plain.len;
        }
        assert_int_equal(n_got, sizeof text);
        assert_memory_equal(got, text, sizeof text);
        bytes_t plain = pnet_open(&stranger, copy, sizeof copy);
        assert_int_equal(plain.len, sizeof text);
        assert_memory_not_equal(plain.data, text, 16);
        pnet_deinit(&a);
        pnet_deinit(&b);
        pnet_deinit(&stranger);
    }
}

#define HEX "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"

static void test_key_files(void **state)
{
    static const struct {
        bytes_t text;
        err_t e;
    } files[] = {
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base16/\n" HEX), OK},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\r\n/base16/\r\n" HEX "\r\n"), OK},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base64/\nABEiM0RVZneImaq7zN3u/wABAgMEBQYHCAkKCwwNDg8=\n"), OK},
        {BYTES_LIT(
             "/key/swarm/psk/1.0.0/\n/bin/\n\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
             "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"),
         OK},
        {BYTES_NONE, ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/"), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base16/"), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/2.0.0/\n/base16/\n" HEX), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base32/\n" HEX), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base16/\n" HEX "00"), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base16/\n001122"), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base16/\nnonsense"), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/base64/\n****"), ERR_INVALID},
        {BYTES_LIT("/key/swarm/psk/1.0.0/\n/bin/\nshort"), ERR_INVALID},
    };
    AUTO(buf_t) want;
    buf_init(&want, 64);
    assert_ok(hex_decode(BYTES_LIT(HEX), &want));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        uint8_t key[PNET_KEY_BYTES] = {0};
        assert_int_equal(pnet_key_parse(files[i].text, key), files[i].e);
        if (!files[i].e)
            assert_memory_equal(key, want.data, sizeof key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xsalsa20),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_two_sides),
        cmocka_unit_test(test_key_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
