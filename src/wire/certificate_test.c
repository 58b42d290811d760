#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/certificate.h"

enum { NOW_S = 1790000000 }; /* 2026 */

static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("tls/certificates.tsv");
    size_t n_valid = 0, n_invalid = 0;
    AUTO(buf_t) der;
    buf_init(&der, 65536);
    while (tsv_next(v)) {
        tsv_hex(v, "certificate_der_hex", &der);
        peer_id_t peer = {0};
        char text[PEER_ID_TEXT_MAX];
        err_t e = certificate_verify(buf_bytes(&der), NOW_S, &peer);
        if (strcmp(tsv_get(v, "verdict"), "valid") != 0) {
            n_invalid++;
            if (!e)
                fail_msg("%s was taken", tsv_get(v, "name"));
            assert_int_equal(peer.len, 0);
            continue;
        }
        n_valid++;
        if (e)
            fail_msg("%s: %s", tsv_get(v, "name"), error_text(e));
        assert_string_equal(peer_id_print(&peer, text), tsv_get(v, "peer_id"));
    }
    tsv_close(v);
    assert_true(n_valid == 14 && n_invalid == 20);
}

/* Certificates whose extension is of another key can be parsed, whatever algorithm signed them: only the last
 * check refuses them, at a time when they were valid. */
static void test_algorithms(void **state)
{
    tsv_t *v = tsv_open("tls/certificates.tsv");
    size_t n = 0;
    AUTO(buf_t) der;
    buf_init(&der, 65536);
    while (tsv_next(v)) {
        if (!strstr(tsv_get(v, "note"), "expired 2022-01-14"))
            continue;
        tsv_hex(v, "certificate_der_hex", &der);
        peer_id_t peer;
        assert_err(certificate_verify(buf_bytes(&der), 1641000000, &peer), ERR_CRYPTO);
        assert_non_null(strstr(error_text(ERR_CRYPTO), "peer's signature"));
        n++;
    }
    tsv_close(v);
    assert_int_equal(n, 9);
}

static void test_own(void **state)
{
    static const key_type_t types[] = {KEY_ED25519, KEY_SECP256K1, KEY_ECDSA, KEY_RSA};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        AUTO_PTR(private_key_t) key = NULL;
        peer_id_t id, proven;
        certificate_t c, other;
        assert_ok(private_key_generate(types[i], NULL, 2048, &key));
        assert_ok(peer_id_of(private_key_public(key), &id));
        assert_ok(certificate_new(key, &c));
        assert_ok(certificate_new(key, &other));
        assert_false(bytes_equal(buf_bytes(&c.pkcs8), buf_bytes(&other.pkcs8)));
        assert_ok(certificate_verify(buf_bytes(&c.der), NOW_S, &proven));
        assert_true(peer_id_equal(&id, &proven));
        certificate_deinit(&c);
        certificate_deinit(&c);
        certificate_deinit(&other);
    }
}

/* No changed byte is taken, and none does harm. */
static void test_tampered(void **state)
{
    static const uint8_t seed[32] = {7};
    AUTO_PTR(private_key_t) key = NULL;
    certificate_t c;
    peer_id_t peer;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    assert_ok(certificate_new(key, &c));
    for (size_t i = 0; i < c.der.len; i++) {
        c.der.data[i] ^= 1;
        assert_true(certificate_verify(buf_bytes(&c.der), NOW_S, &peer) != OK);
        c.der.data[i] ^= 1;
        assert_true(certificate_verify(bytes_of(c.der.data, i), NOW_S, &peer) != OK);
    }
    assert_ok(buf_append(&c.der, BYTES_LIT("x")));
    assert_err(certificate_verify(buf_bytes(&c.der), NOW_S, &peer), ERR_INVALID);
    certificate_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_tampered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
