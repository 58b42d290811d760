#include "base/writer.h"
#include "multi/block.h"
#include "multi/cid.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

/* What the row says about an allowed hash: boxo's rule. */
static void check_allowed(tsv_t *v, const cid_t *c)
{
    const char *allowed = tsv_get(v, "kubo_hash_allowed");
    if (*allowed)
        assert_err(cid_check_hash_allowed(c), strcmp(allowed, "yes") ? ERR_DENIED : OK);
}

static void check_text(tsv_t *v, const cid_t *c, bool is_canonical)
{
    char text[CID_TEXT_MAX];
    multibase_t base, by_name;
    cid_t parsed;
    const char *want = tsv_get(v, "text");
    assert_ok(cid_parse_base(bytes_str(want), &parsed, &base));
    assert_true(cid_equal(&parsed, c));
    const char *name = tsv_get(v, "base");
    assert_ok(multibase_from_name(strcmp(name, "base58btc-bare") ? name : "base58btc", &by_name));
    assert_int_equal(base, by_name);
    if (!is_canonical)
        return;
    err_t e = cid_print_base(c, base, text);
    if (strlen(want) >= CID_TEXT_MAX) /* base2 of the longest digests */
        assert_int_equal(e, ERR_LIMIT);
    else
        assert_string_equal((assert_int_equal(e, OK), text), want);
}

static void check_valid(tsv_t *v, bytes_t binary, bytes_t digest)
{
    uint8_t encoded[CID_BINARY_MAX];
    char text[CID_TEXT_MAX];
    cid_t c, again;
    assert_ok(cid_decode(binary, &c));
    assert_int_equal(c.version, atoi(tsv_get(v, "version")));
    assert_int_equal(c.codec, strtoull(tsv_get(v, "codec"), NULL, 16));
    assert_int_equal(c.hash_code, strtoull(tsv_get(v, "mh_code"), NULL, 16));
    assert_bytes(cid_digest(&c), digest);
    assert_bytes(bytes_of(encoded, cid_encode(&c, encoded)), binary);
    check_text(v, &c, !strcmp(tsv_get(v, "kind"), "valid"));
    check_allowed(v, &c);
    assert_ok(cid_parse_str(cid_print(&c, text), &again));
    assert_true(cid_equal(&c, &again));
}

/* The rows with identity digests over 128 bytes are valid CIDs that Kubo does not allow either; we do not
 * hold them at all. */
static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("cid.tsv");
    AUTO(buf_t) binary, digest;
    buf_init(&binary, 4096);
    buf_init(&digest, 4096);
    size_t valid = 0, too_long = 0, invalid = 0;
    while (tsv_next(v)) {
        cid_t c = {.codec = 7};
        tsv_hex(v, "binary_hex", &binary);
        tsv_hex(v, "digest_hex", &digest);
        if (strcmp(tsv_get(v, "kind"), "invalid") && digest.len > CID_DIGEST_MAX) {
            assert_string_equal(tsv_get(v, "kubo_hash_allowed"), "no");
            assert_err(cid_decode(buf_bytes(&binary), &c), ERR_LIMIT);
            too_long++;
        } else if (strcmp(tsv_get(v, "kind"), "invalid")) {
            check_valid(v, buf_bytes(&binary), buf_bytes(&digest));
            valid++;
            continue;
        } else {
            err_t e = cid_parse_str(tsv_get(v, "text"), &c);
            if (e != ERR_INVALID)
                fail_msg("row %zu (%s): %s", tsv_row(v), tsv_get(v, "note"), error_name(e));
            if (binary.len)
                assert_err(cid_decode(buf_bytes(&binary), &c), ERR_INVALID);
            invalid++;
        }
        assert_int_equal(c.codec, 7); /* untouched */
    }
    assert_int_equal(valid + too_long, 187);
    assert_int_equal(too_long, 2);
    assert_int_equal(invalid, 35);
    tsv_close(v);
}

static void test_of_and_verify(void **state)
{
    cid_t c, v0, v1;
    bytes_t data = BYTES_LIT("hello world");
    char text[CID_TEXT_MAX];
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, data, &c));
    assert_string_equal(cid_print(&c, text), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
    assert_ok(cid_verify(&c, data));
    assert_err(cid_verify(&c, BYTES_LIT("hello worlD")), ERR_CORRUPT);
    assert_err(cid_verify(&c, BYTES_NONE), ERR_CORRUPT);
    assert_err(cid_to_v0(&c, &v0), ERR_INVALID);
    assert_err(cid_of(0, CODEC_RAW, MH_SHA2_256, data, &v0), ERR_INVALID);
    assert_err(cid_of(2, CODEC_RAW, MH_SHA2_256, data, &v0), ERR_INVALID);
    assert_err(cid_of(1, CODEC_RAW, 0x1100, data, &v0), ERR_UNSUPPORTED);
    assert_ok(cid_of(0, CODEC_DAG_PB, MH_SHA2_256, data, &v0));
    assert_ok(cid_to_v1(&v0, &v1));
    assert_true(cid_same_multihash(&v0, &c) && cid_same_multihash(&v0, &v1));
    assert_false(cid_equal(&v0, &v1));
    cid_t back;
    assert_ok(cid_to_v0(&v1, &back));
    assert_true(cid_equal(&back, &v0));
    assert_true(cid_compare(&c, &v1) < 0 && cid_compare(&v1, &c) > 0 && cid_compare(&c, &c) == 0);
    assert_err(cid_print_base(&v0, MB_BASE32, text), ERR_INVALID);
}

static void test_identity_and_denied(void **state)
{
    cid_t c;
    uint8_t large[129] = {0};
    assert_ok(cid_of(1, CODEC_RAW, MH_IDENTITY, BYTES_LIT("hi"), &c));
    assert_true(cid_is_identity(&c));
    assert_ok(cid_verify(&c, BYTES_LIT("hi")));
    assert_err(cid_verify(&c, BYTES_LIT("ho")), ERR_CORRUPT);
    assert_ok(cid_of(1, CODEC_RAW, MH_IDENTITY, BYTES_NONE, &c));
    assert_ok(cid_verify(&c, BYTES_NONE));
    assert_ok(cid_of(1, CODEC_RAW, MH_IDENTITY, bytes_of(large, 128), &c));
    assert_err(cid_of(1, CODEC_RAW, MH_IDENTITY, bytes_of(large, 129), &c), ERR_LIMIT);
    assert_ok(cid_of(1, CODEC_RAW, MH_MD5, BYTES_LIT("hi"), &c));
    assert_err(cid_verify(&c, BYTES_LIT("hi")),
               ERR_DENIED); /* a broken function, though the digest is right */
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, BYTES_LIT("hi"), &c));
    c.digest_len = 19;
    assert_err(cid_verify(&c, BYTES_LIT("hi")), ERR_DENIED);
    c.digest_len = 20; /* cut, and still allowed */
    assert_ok(cid_verify(&c, BYTES_LIT("hi")));
    assert_err(cid_verify(&c, BYTES_LIT("ho")), ERR_CORRUPT);
}

static void test_prefixes(void **state)
{
    uint8_t bytes[2 * CID_BINARY_MAX];
    uint8_t digest[32] = {1, 2, 3};
    cid_t a = cid_of_sha256(1, CODEC_DAG_CBOR, digest), b = cid_of_sha256(0, CODEC_DAG_PB, digest), got;
    size_t n = cid_encode(&a, bytes), used;
    n += cid_encode(&b, bytes + n);
    assert_ok(cid_decode_prefix(bytes_of(bytes, n), &got, &used));
    assert_true(cid_equal(&got, &a));
    assert_ok(cid_decode_prefix(bytes_of(bytes + used, n - used), &got, &used));
    assert_true(cid_equal(&got, &b));
    assert_int_equal(used, 34);
    assert_err(cid_decode(bytes_of(bytes, n), &got), ERR_INVALID);
    for (size_t cut = 0; cut < 34; cut++)
        assert_err(cid_decode_prefix(bytes_of(bytes + n - 34, cut), &got, &used), ERR_INVALID);
    uint8_t hash[CID_BINARY_MAX];
    bytes_t multihash = bytes_of(hash, cid_encode_multihash(&a, hash));
    assert_ok(cid_from_multihash(multihash, CODEC_RAW, &got));
    assert_true(cid_same_multihash(&got, &a));
    assert_int_equal(got.codec, CODEC_RAW);
    assert_err(cid_from_multihash(bytes_slice(multihash, 0, 20), CODEC_RAW, &got), ERR_INVALID);
}

static void test_limits(void **state)
{
    char text[CID_TEXT_MAX], longest[2000];
    uint8_t large[128];
    cid_t c, again;
    memset(large, 0xff, sizeof large);
    memset(longest, '1', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_err(cid_parse_str(longest, &c), ERR_LIMIT);
    longest[0] = '0'; /* base2 */
    longest[1200] = 0;
    assert_err(cid_parse_str(longest, &c), ERR_INVALID);
    assert_ok(cid_of(1, INT64_MAX, MH_IDENTITY, bytes_of(large, 128), &c)); /* as long as a CID can be */
    assert_ok(cid_print_base(&c, MB_BASE16, text));
    assert_ok(cid_parse_str(text, &again));
    assert_true(cid_equal(&c, &again));
    assert_err(cid_print_base(&c, MB_BASE2, text), ERR_LIMIT);
    assert_true(strlen(cid_print(&c, text)) < CID_TEXT_MAX);
}

static void test_blocks(void **state)
{
    cid_t c;
    block_t *b = NULL;
    AUTO(buf_t) data;
    buf_init(&data, BLOCK_STORED_MAX_BYTES * 2);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, BYTES_LIT("hi"), &c));
    assert_ok(block_copy(&c, BYTES_LIT("hi"), &b));
    assert_ptr_equal(block_ref(b), b);
    block_release(b);
    assert_bytes(block_bytes(b), BYTES_LIT("hi"));
    assert_true(cid_equal(&b->cid, &c));
    block_release(b);
    block_release(NULL);
    assert_ok(buf_append(&data, BYTES_LIT("taken")));
    const uint8_t *memory = data.data;
    assert_ok(block_take(&c, &data, &b));
    assert_ptr_equal(b->data, memory);
    assert_null(data.data);
    block_release(b);
    assert_ok(block_copy(&c, BYTES_NONE, &b));
    assert_int_equal(b->len, 0);
    block_release(b);
    b = NULL;
    assert_err(block_new(BLOCK_STORED_MAX_BYTES + 1, &b), ERR_LIMIT);
    assert_ok(buf_reserve(&data, BLOCK_STORED_MAX_BYTES + 1));
    data.len = BLOCK_STORED_MAX_BYTES + 1;
    memset(data.data, 0, data.len);
    assert_err(block_take(&c, &data, &b), ERR_LIMIT);
    assert_err(block_copy(&c, buf_bytes(&data), &b), ERR_LIMIT);
    assert_null(b);
}

static void test_varints(void **state)
{
    tsv_t *v = tsv_open("varint.tsv");
    AUTO(buf_t) bytes;
    buf_init(&bytes, 64);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        const char *kind = tsv_get(v, "kind");
        uint64_t value = 0;
        size_t used = 0;
        tsv_hex(v, "bytes_hex", &bytes);
        err_t e = uvarint_get(buf_bytes(&bytes), &value, &used);
        err_t want = !strcmp(kind, "valid") ? OK : !strcmp(kind, "invalid-underflow") ? ERR_EOF : ERR_INVALID;
        assert_int_equal(e, want);
        if (e)
            continue;
        uint8_t encoded[UVARINT_MAX_BYTES];
        assert_int_equal(value, strtoull(tsv_get(v, "value"), NULL, 10));
        assert_int_equal(used, strtoul(tsv_get(v, "bytes_read"), NULL, 10));
        assert_bytes(bytes_of(encoded, uvarint_put(encoded, value)), bytes_slice(buf_bytes(&bytes), 0, used));
    }
    assert_int_equal(rows, 47);
    tsv_close(v);
}

/* The base of the CID in a path is that of what is printed for it. */
static void test_print_as_in_path(void **state)
{
    static const char v0[] = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";
    static const char v1[] = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    static const char *const rows[][2] = {
        {"bafkqaaa", v1},
        {"bafkqaaa/x/y", v1},
        {"/ipfs/bafkqaaa/x", v1},
        {"/ipld/bafkqaaa", v1},
        {"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n/x", v0},
        {"/ipfs/", v0},
        {"/", v0},
        {"", v0},
        {"x/bafkqaaa", v0},
    };
    cid_t c;
    char text[CID_TEXT_MAX];
    assert_ok(cid_parse_str(v0, &c));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(cid_print_as_in_path(&c, bytes_str(rows[i][0]), text), rows[i][1]);
    assert_int_equal(cid_print_as_in_path(&c, BYTES_LIT("f01550000/x"), text)[0], 'f');
}

static void test_digests_cut_short(void **state)
{
    cid_t c;
    char text[CID_TEXT_MAX];
    assert_ok(cid_of_length(1, CODEC_RAW, MH_SHA2_256, 20, BYTES_NONE, &c));
    assert_string_equal(cid_print(&c, text), "bafkrefhdwdcefgh4dqkjv67uzcmw7ojee6xedza");
    assert_err(cid_of_length(1, CODEC_RAW, MH_SHA2_256, 33, BYTES_NONE, &c), ERR_INVALID);
    assert_err(cid_of_length(0, CODEC_DAG_PB, MH_SHA2_256, 20, BYTES_NONE, &c), ERR_INVALID);
    assert_err(cid_of_length(2, CODEC_DAG_PB, MH_SHA2_256, 32, BYTES_NONE, &c), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_as_in_path),
        cmocka_unit_test(test_digests_cut_short),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_of_and_verify),
        cmocka_unit_test(test_identity_and_denied),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_varints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
