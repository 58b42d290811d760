#include "base/pb.h"
#include "codec/envelope.h"
#include "codec/relay_voucher.h"
#include "tests/support/test.h"

static private_key_t *key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    private_key_t *key = NULL;
    memset(seed, seed_byte, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

static void test_round_trip(void **state)
{
    AUTO_PTR(private_key_t) relay = key_of(1);
    AUTO_PTR(private_key_t) peer = key_of(2);
    relay_voucher_t v = {.expires_s = 1900000000}, got;
    assert_ok(peer_id_of(private_key_public(relay), &v.relay));
    assert_ok(peer_id_of(private_key_public(peer), &v.peer));
    AUTO(buf_t) out = {0}, wrong = {0}, foreign = {0};
    buf_init(&out, 1024);
    buf_init(&wrong, 1024);
    buf_init(&foreign, 1024);
    assert_ok(relay_voucher_seal(relay, &v, &out));
    assert_ok(relay_voucher_open(buf_bytes(&out), &got));
    assert_true(peer_id_equal(&got.relay, &v.relay) && peer_id_equal(&got.peer, &v.peer));
    assert_true(got.expires_s == v.expires_s);
    /* signed by another than the relay */
    assert_ok(relay_voucher_seal(peer, &v, &wrong));
    assert_err(relay_voucher_open(buf_bytes(&wrong), &got), ERR_CRYPTO);
    /* of another type */
    assert_ok(
        envelope_seal(relay, BYTES_LIT("libp2p-relay-rsvp"), BYTES_LIT("\x03\x01"), BYTES_NONE, &foreign));
    assert_err(relay_voucher_open(buf_bytes(&foreign), &got), ERR_INVALID);
    buf_clear(&foreign);
    assert_ok(envelope_seal(relay, BYTES_LIT("libp2p-relay-rsvp"), BYTES_LIT("\x03\x02"), BYTES_LIT("\x0a"),
                            &foreign));
    assert_err(relay_voucher_open(buf_bytes(&foreign), &got), ERR_EOF);
    out.data[out.len - 1] ^= 1;
    assert_err(relay_voucher_open(buf_bytes(&out), &got), ERR_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
