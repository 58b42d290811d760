#include "crypto/hash.h"
#include "multi/multicodec.h"
#include "multi/multihash.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

/* Rows that cannot be computed here: none but BLAKE3's where its sources are not installed. */
static void check_sum(tsv_t *v, bytes_t input, bytes_t want)
{
    uint64_t code = strtoull(tsv_get(v, "code"), NULL, 16), by_name;
    size_t len = strtoul(tsv_get(v, "digest_len"), NULL, 10);
    uint8_t digest[MULTIHASH_DIGEST_MAX];
    multihash_t hash;
    assert_ok(multicodec_from_name(tsv_get(v, "name"), &by_name));
    assert_int_equal(by_name, code);
    assert_ok(multihash_decode(want, &hash));
    assert_int_equal(hash.code, code);
    assert_int_equal(hash.digest.len, len);
    if (code == MH_BLAKE3 && !hash_is_available(HASH_BLAKE3)) {
        assert_err(multihash_sum(code, input, len, digest), ERR_UNSUPPORTED);
        return;
    }
    assert_ok(multihash_sum(code, input, len, digest));
    assert_bytes(bytes_of(digest, len), hash.digest);
}

static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("multihash.tsv");
    AUTO(buf_t) input, multihash;
    buf_init(&input, 1 << 16);
    buf_init(&multihash, 4096);
    size_t sums = 0, invalid = 0;
    while (tsv_next(v)) {
        tsv_hex(v, "input_hex", &input);
        tsv_hex(v, "multihash_hex", &multihash);
        if (!strcmp(tsv_get(v, "kind"), "sum")) {
            check_sum(v, buf_bytes(&input), buf_bytes(&multihash));
            sums++;
            continue;
        }
        multihash_t hash = {.code = 5};
        err_t e = multihash_decode(buf_bytes(&multihash), &hash);
        bool is_too_long = strstr(tsv_get(v, "note"), "far larger"); /* refused for its size alone */
        assert_int_equal(e, is_too_long ? ERR_LIMIT : ERR_INVALID);
        assert_int_equal(hash.code, 5);
        invalid++;
    }
    assert_int_equal(sums, 404);
    assert_int_equal(invalid, 9);
    tsv_close(v);
}

static void test_allow_list(void **state)
{
    tsv_t *v = tsv_open("cid-hash-allowlist.tsv");
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        uint64_t code = strtoull(tsv_get(v, "mh_code"), NULL, 16);
        size_t min = strtoul(tsv_get(v, "min_digest"), NULL, 10),
               max = strtoul(tsv_get(v, "max_digest"), NULL, 10);
        err_t want = strcmp(tsv_get(v, "kubo_allowed"), "true") ? ERR_DENIED : OK;
        const char *name = multicodec_name(code);
        assert_non_null(name);
        assert_string_equal(name, tsv_get(v, "mh_name"));
        assert_err(multihash_check_allowed(code, min), want);
        assert_err(multihash_check_allowed(code, max), want);
        if (min)
            assert_err(multihash_check_allowed(code, min - 1), ERR_DENIED);
        assert_err(multihash_check_allowed(code, max + 1), ERR_DENIED);
    }
    assert_int_equal(rows, 135);
    assert_err(multihash_check_allowed(0x123456789, 32), ERR_DENIED);
    tsv_close(v);
}

static void test_lengths(void **state)
{
    uint8_t digest[MULTIHASH_DIGEST_MAX], whole[MULTIHASH_DIGEST_MAX];
    size_t len;
    bytes_t abc = BYTES_LIT("abc");
    assert_err(multihash_sum(MH_SHA2_256, abc, 33, digest), ERR_INVALID);
    assert_err(multihash_sum(MH_SHA2_256, abc, 0, digest), ERR_INVALID);
    assert_ok(multihash_sum(MH_SHA2_256, abc, 32, whole));
    assert_ok(multihash_sum(MH_SHA2_256, abc, 20, digest));
    assert_bytes(bytes_of(digest, 20), bytes_of(whole, 20));
    assert_err(multihash_sum(0xb220, abc, 20, digest), ERR_INVALID); /* blake2b-256 is not cut */
    assert_err(multihash_sum(MH_IDENTITY, abc, 2, digest), ERR_INVALID);
    assert_ok(multihash_sum(MH_IDENTITY, abc, 3, digest));
    assert_bytes(bytes_of(digest, 3), abc);
    assert_ok(multihash_sum(MH_IDENTITY, BYTES_NONE, 0, digest));
    uint8_t large[129] = {0};
    assert_err(multihash_sum(MH_IDENTITY, bytes_of(large, 129), 129, digest), ERR_LIMIT);
    assert_err(multihash_sum(0x1100, abc, 32, digest), ERR_UNSUPPORTED); /* x11 */
    assert_err(multihash_natural_len(0xffffffff, &len), ERR_UNSUPPORTED);
    assert_ok(multihash_natural_len(0xb201, &len));
    assert_int_equal(len, 1);
    assert_ok(multihash_natural_len(MH_MURMUR3_64, &len));
    assert_int_equal(len, 8);
    assert_ok(multihash_natural_len(MH_IDENTITY, &len));
    assert_int_equal(len, 0);
}

static void test_multicodec(void **state)
{
    tsv_t *v = tsv_open("multicodec.tsv");
    size_t rows = 0, count;
    const multicodec_t *table = multicodec_table(&count);
    for (; tsv_next(v); rows++) {
        uint64_t code = strtoull(tsv_get(v, "code"), NULL, 16), found;
        assert_ok(multicodec_from_name(tsv_get(v, "name"), &found));
        assert_int_equal(found, code);
        const char *name = multicodec_name(code);
        assert_non_null(name);
        assert_string_equal(name, tsv_get(v, "name"));
    }
    assert_int_equal(rows, count);
    for (size_t i = 1; i < count; i++)
        assert_true(table[i - 1].code < table[i].code);
    assert_null(multicodec_name(0x99999999));
    assert_null(multicodec_name(0xd01fff)); /* between two entries */
    uint64_t code = 3;
    assert_err(multicodec_from_name("dag-bp", &code), ERR_NOT_FOUND);
    assert_int_equal(code, 3);
    tsv_close(v);
}

static void test_names(void **state)
{
    uint64_t code = 9;
    assert_ok(multihash_from_name("SHA2-512", &code));
    assert_int_equal(code, MH_SHA2_512);
    assert_ok(multihash_from_name("sha3", &code));
    assert_int_equal(code, 0x14);
    assert_ok(multihash_from_name("blake2s-8", &code));
    assert_int_equal(code, MH_BLAKE2S_8);
    assert_ok(multihash_from_name("identity", &code));
    assert_int_equal(code, MH_IDENTITY);
    assert_ok(multihash_from_name("x11", &code)); /* named, but nobody can compute it */
    static const char *const unknown[] = {"sha2-224", "sha2-384", "murmur3", "dag-pb", "blake2b-520", ""};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        code = 9;
        assert_err(multihash_from_name(unknown[i], &code), ERR_USAGE);
        assert_int_equal(code, 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_allow_list),
                                       cmocka_unit_test(test_lengths), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_multicodec)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
