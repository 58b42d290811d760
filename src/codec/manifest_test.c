#include "codec/ipld.h"
#include "codec/manifest.h"
#include "crypto/hash.h"
#include "tests/support/test.h"
#include <stdlib.h>

static private_key_t *key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    private_key_t *key = NULL;
    memset(seed, seed_byte, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

static cid_t cid_number(uint32_t n, uint64_t codec)
{
    uint8_t digest[32];
    sha256_of(bytes_of(&n, sizeof n), digest);
    return cid_of_sha256(1, codec, digest);
}

static const uint8_t salt[32] = {1}, check[32] = {2}, wrapped[48] = {3};

static void make_clear(const private_key_t *key, size_t n_links, const cid_t *links, buf_t *clear)
{
    manifest_t m = {.salt = bytes_of(salt, sizeof salt),
                    .check = bytes_of(check, sizeof check),
                    .wrapped = bytes_of(wrapped, sizeof wrapped),
                    .epoch = 300,
                    .owner = owner_key_of(key),
                    .n_links = n_links};
    assert_ok(manifest_encode_clear(&m, links, clear));
}

static void make(const private_key_t *key, const cid_t *links, size_t n_links, buf_t *out)
{
    AUTO(buf_t) clear;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    make_clear(key, n_links, links, &clear);
    assert_ok(manifest_encode(buf_bytes(&clear), BYTES_LIT("sealed"), key, out));
}

static void test_round_trip(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(1);
    AUTO(buf_t) block, again;
    buf_init(&block, MANIFEST_MAX_BYTES);
    buf_init(&again, MANIFEST_MAX_BYTES);
    cid_t links[3] = {cid_number(1, CODEC_RAW), cid_number(2, CODEC_DAG_CBOR), cid_number(1, CODEC_RAW)};
    make(key, links, 3, &block);
    manifest_t m;
    assert_ok(manifest_decode(buf_bytes(&block), &m));
    assert_false(m.is_node);
    assert_int_equal(m.n_links, 3);
    assert_int_equal(m.epoch, 300);
    assert_memory_equal(m.salt.data, salt, 32);
    assert_memory_equal(m.check.data, check, 32);
    assert_memory_equal(m.wrapped.data, wrapped, 48);
    assert_true(bytes_equal(m.sealed, BYTES_LIT("sealed")));
    owner_key_t owner = owner_key_of(key);
    assert_true(owner_key_equal(&m.owner, &owner));
    for (size_t i = 0; i < 3; i++) {
        cid_t link = manifest_link(&m, i);
        assert_true(cid_equal(&link, &links[i]));
    }
    assert_ok(manifest_verify(&m));
    /* the canonical form is the one that the general writer gives, too */
    assert_ok(ipld_convert(CODEC_DAG_CBOR, buf_bytes(&block), CODEC_DAG_CBOR, &again));
    assert_true(bytes_equal(buf_bytes(&block), buf_bytes(&again)));
}

static err_t count_link(void *arg, const cid_t *link)
{
    ++*(size_t *)arg;
    return OK;
}

static void test_node(void **state)
{
    AUTO(buf_t) clear, block;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&block, MANIFEST_MAX_BYTES);
    cid_t *links = xcalloc(MANIFEST_LINKS_MAX + 1, sizeof *links);
    for (uint32_t i = 0; i <= MANIFEST_LINKS_MAX; i++)
        links[i] = cid_number(i, CODEC_RAW);
    manifest_t m = {.is_node = true, .node = 7, .n_links = MANIFEST_LINKS_MAX}, got;
    assert_ok(manifest_encode_clear(&m, links, &clear));
    assert_ok(manifest_encode(buf_bytes(&clear), BYTES_LIT("keys"), NULL, &block));
    assert_ok(manifest_decode(buf_bytes(&block), &got));
    assert_true(got.is_node && got.node == 7 && got.n_links == MANIFEST_LINKS_MAX);
    assert_true(bytes_equal(got.clear, buf_bytes(&clear)));
    cid_t last = manifest_link(&got, MANIFEST_LINKS_MAX - 1);
    assert_true(cid_equal(&last, &links[MANIFEST_LINKS_MAX - 1]));
    assert_err(manifest_verify(&got), ERR_INVALID);
    size_t n = 0;
    assert_ok(ipld_links(CODEC_DAG_CBOR, buf_bytes(&block), count_link, &n));
    assert_int_equal(n, MANIFEST_LINKS_MAX);
    m.n_links++;
    assert_err(manifest_encode_clear(&m, links, &clear), ERR_LIMIT);
    links[0] = cid_number(1, CODEC_DAG_PB);
    m.n_links = 1;
    buf_clear(&clear);
    assert_err(manifest_encode_clear(&m, links, &clear), ERR_INVALID);
    free(links);
}

/* No bit of a manifest can change without its signature or its form being wrong. */
static void test_bit_flips(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(1);
    AUTO(buf_t) block;
    buf_init(&block, MANIFEST_MAX_BYTES);
    cid_t links[2] = {cid_number(1, CODEC_RAW), cid_number(2, CODEC_RAW)};
    make(key, links, 2, &block);
    manifest_t m;
    for (size_t bit = 0; bit < block.len * 8; bit++) {
        block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(manifest_decode(buf_bytes(&block), &m) || manifest_verify(&m) == ERR_CRYPTO);
        block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < block.len; len++)
        assert_true(manifest_decode(bytes_of(block.data, len), &m));
    assert_ok(buf_append_u8(&block, 0));
    assert_err(manifest_decode(buf_bytes(&block), &m), ERR_INVALID);
}

static void test_foreign_signature(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(1);
    AUTO_PTR(private_key_t) other = key_of(2);
    AUTO(buf_t) clear, block;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&block, MANIFEST_MAX_BYTES);
    make_clear(key, 0, NULL, &clear);
    assert_ok(manifest_encode(buf_bytes(&clear), BYTES_NONE, other, &block));
    manifest_t m;
    assert_ok(manifest_decode(buf_bytes(&block), &m));
    assert_err(manifest_verify(&m), ERR_CRYPTO);
    /* an owner that is no point of the curve */
    memset(m.owner.data, 0xff, sizeof m.owner.data);
    assert_err(manifest_verify(&m), ERR_CRYPTO);
    private_key_t *secp;
    uint8_t signature[64];
    assert_ok(private_key_generate(KEY_SECP256K1, NULL, 0, &secp));
    assert_err(owner_sign(secp, "what", BYTES_NONE, signature), ERR_INVALID);
    private_key_free(secp);
}

static void test_refused_forms(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(1);
    AUTO(buf_t) block;
    buf_init(&block, 2 * MANIFEST_MAX_BYTES);
    make(key, NULL, 0, &block);
    manifest_t m;
    assert_int_equal(block.data[7], 0xa7); /* a map of 7 behind "clear" */
    assert_int_equal(block.data[10], 1);
    block.data[10] = 2;
    assert_err(manifest_decode(buf_bytes(&block), &m), ERR_UNSUPPORTED);
    block.data[10] = 1;
    assert_ok(manifest_decode(buf_bytes(&block), &m));
    /* a version in two bytes where one does */
    static const uint8_t longer[] = {0xa3, 0x65, 'c', 'l', 'e', 'a', 'r', 0xa7, 0x61, 'v',
                                     0x18, 1,    0,   0,   0,   0,   0,   0,    0};
    assert_err(manifest_decode(bytes_of(longer, sizeof longer), &m), ERR_INVALID);
    assert_ok(buf_reserve(&block, MANIFEST_MAX_BYTES));
    memset(block.data + block.len, 0, MANIFEST_MAX_BYTES);
    assert_err(manifest_decode(bytes_of(block.data, MANIFEST_MAX_BYTES + 1), &m), ERR_LIMIT);
    assert_err(manifest_decode(BYTES_LIT("\xa0"), &m), ERR_INVALID);
    assert_err(manifest_decode(BYTES_NONE, &m), ERR_EOF);
}

static void test_names(void **state)
{
    char text[CID_TEXT_MAX], hex[65];
    cid_t cid = cid_number(5, CODEC_DAG_CBOR), raw = cid_number(5, CODEC_RAW), got;
    manifest_print_hex(&cid, hex);
    assert_int_equal(strlen(hex), 64);
    assert_ok(manifest_parse_name(bytes_str(hex), &got));
    assert_true(cid_equal(&cid, &got));
    for (char *p = hex; *p; p++)
        *p = (char)(*p >= 'a' ? *p - 32 : *p);
    assert_ok(manifest_parse_name(bytes_str(hex), &got));
    assert_true(cid_equal(&cid, &got));
    assert_ok(manifest_parse_name(bytes_str(cid_print(&cid, text)), &got));
    assert_true(cid_equal(&cid, &got));
    assert_err(manifest_parse_name(bytes_str(cid_print(&raw, text)), &got), ERR_INVALID);
    assert_err(manifest_parse_name(bytes_str("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"), &got),
               ERR_INVALID);
    assert_err(manifest_parse_name(BYTES_NONE, &got), ERR_INVALID);
    hex[3] = 'g';
    assert_err(manifest_parse_name(bytes_str(hex), &got), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_node),
        cmocka_unit_test(test_bit_flips),     cmocka_unit_test(test_foreign_signature),
        cmocka_unit_test(test_refused_forms), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
