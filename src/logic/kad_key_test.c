#include "logic/kad_key.h"
#include "multi/cid.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

static void key_from_hex(tsv_t *v, const char *column, kad_key_t *ret)
{
    AUTO(buf_t) bytes = {0};
    buf_init(&bytes, 64);
    tsv_hex(v, column, &bytes);
    assert_int_equal(bytes.len, KAD_KEY_BYTES);
    memcpy(ret->data, bytes.data, KAD_KEY_BYTES);
}

static void test_keys(void **state)
{
    tsv_t *v = tsv_open("kad/keys.tsv");
    AUTO(buf_t) preimage = {0};
    buf_init(&preimage, 512);
    while (tsv_next(v)) {
        tsv_hex(v, "preimage_hex", &preimage);
        kad_key_t want, got = kad_key_of(buf_bytes(&preimage));
        key_from_hex(v, "dht_key_hex", &want);
        assert_memory_equal(got.data, want.data, KAD_KEY_BYTES);
        if (strcmp(tsv_get(v, "kind"), "peer") == 0) {
            peer_id_t id;
            assert_ok(peer_id_parse(tsv_get(v, "text"), &id));
            got = kad_key_of_peer(&id);
            assert_true(kad_key_equal(&got, &want));
        } else if (strcmp(tsv_get(v, "kind"), "cid") == 0) {
            cid_t cid;
            uint8_t multihash[CID_BINARY_MAX];
            assert_ok(cid_parse_str(tsv_get(v, "text"), &cid));
            assert_bytes(bytes_of(multihash, cid_encode_multihash(&cid, multihash)), buf_bytes(&preimage));
        }
    }
    tsv_close(v);
}

static void test_prefix_lengths(void **state)
{
    tsv_t *v = tsv_open("kad/cpl.tsv");
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        kad_key_t a, b, distance;
        key_from_hex(v, "key_a_hex", &a);
        key_from_hex(v, "key_b_hex", &b);
        key_from_hex(v, "xor_hex", &distance);
        kad_key_t got = kad_distance(&a, &b);
        assert_true(kad_key_equal(&got, &distance));
        assert_int_equal(kad_common_prefix_len(&a, &b), strtol(tsv_get(v, "common_prefix_len"), NULL, 10));
        assert_int_equal(kad_common_prefix_len(&b, &a), strtol(tsv_get(v, "common_prefix_len"), NULL, 10));
    }
    assert_true(rows > 50);
    tsv_close(v);
}

static void test_each_prefix_length(void **state)
{
    kad_key_t a = {{0}};
    for (size_t bit = 0; bit < KAD_KEY_BITS; bit++) {
        kad_key_t b = a;
        b.data[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        assert_int_equal(kad_common_prefix_len(&a, &b), bit);
        assert_true(kad_compare_distance(&a, &a, &b) < 0);
        assert_true(kad_compare_distance(&a, &b, &a) > 0);
    }
}

static void test_ranking(void **state)
{
    tsv_t *v = tsv_open("kad/closest.tsv");
    kad_key_t previous = {{0}};
    while (tsv_next(v)) {
        kad_key_t target, key, distance;
        key_from_hex(v, "target_key_hex", &target);
        key_from_hex(v, "peer_key_hex", &key);
        key_from_hex(v, "distance_hex", &distance);
        kad_key_t got = kad_distance(&target, &key);
        assert_true(kad_key_equal(&got, &distance));
        if (strtol(tsv_get(v, "rank"), NULL, 10) > 0)
            assert_true(kad_compare_distance(&target, &previous, &key) < 0);
        previous = key;
    }
    tsv_close(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_prefix_lengths),
        cmocka_unit_test(test_each_prefix_length),
        cmocka_unit_test(test_ranking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
