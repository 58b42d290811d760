#include "codec/receipt.h"
#include "codec/tombstone.h"
#include "tests/support/test.h"

static private_key_t *key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    private_key_t *key = NULL;
    memset(seed, seed_byte, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

/* A manifest without links, of the key, and its CID. */
static cid_t manifest_of(const private_key_t *key, buf_t *block)
{
    static const uint8_t zeros[48];
    AUTO(buf_t) clear;
    buf_init(&clear, 1024);
    buf_init(block, 1024);
    manifest_t m = {.salt = bytes_of(zeros, 32),
                    .check = bytes_of(zeros, 32),
                    .wrapped = bytes_of(zeros, 48),
                    .owner = owner_key_of(key)};
    cid_t cid;
    assert_ok(manifest_encode_clear(&m, NULL, &clear));
    assert_ok(manifest_encode(buf_bytes(&clear), BYTES_NONE, key, block));
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, buf_bytes(block), &cid));
    return cid;
}

static void test_tombstone(void **state)
{
    AUTO_PTR(private_key_t) owner = key_of(1);
    AUTO_PTR(private_key_t) other = key_of(2);
    AUTO(buf_t) block, foreign_block, record, again, foreign;
    cid_t cid = manifest_of(owner, &block), foreign_cid = manifest_of(other, &foreign_block);
    buf_init(&record, TOMBSTONE_MAX_BYTES);
    buf_init(&again, TOMBSTONE_MAX_BYTES);
    buf_init(&foreign, TOMBSTONE_MAX_BYTES);
    tombstone_t ts;
    assert_ok(tombstone_seal(owner, &cid, &record));
    assert_ok(tombstone_seal(owner, &cid, &again));
    assert_true(record.len < 200 && bytes_equal(buf_bytes(&record), buf_bytes(&again)));
    assert_ok(tombstone_open(buf_bytes(&record), &ts));
    assert_true(cid_equal(&ts.manifest, &cid));
    assert_ok(tombstone_applies(&ts, &cid, buf_bytes(&block)));
    assert_err(tombstone_applies(&ts, &foreign_cid, buf_bytes(&foreign_block)), ERR_INVALID);
    assert_err(tombstone_applies(&ts, &cid, BYTES_LIT("no manifest")), ERR_INVALID);
    /* valid in itself, and of no effect: signed by another than the owner */
    assert_ok(tombstone_seal(other, &cid, &foreign));
    assert_ok(tombstone_open(buf_bytes(&foreign), &ts));
    assert_err(tombstone_applies(&ts, &cid, buf_bytes(&block)), ERR_DENIED);
    uint8_t a[32], b[32];
    owner_key_t owner_key = owner_key_of(owner);
    tombstone_set_key(&cid, &owner_key, a);
    tombstone_set_key(&cid, &ts.owner, b);
    assert_memory_not_equal(a, b, 32);
    cid_t raw = cid;
    raw.codec = CODEC_RAW;
    assert_err(tombstone_seal(owner, &raw, &again), ERR_INVALID);
}

static void test_tombstone_flips(void **state)
{
    AUTO_PTR(private_key_t) owner = key_of(1);
    AUTO(buf_t) block, record;
    cid_t cid = manifest_of(owner, &block);
    buf_init(&record, 1024);
    tombstone_t ts;
    assert_ok(tombstone_seal(owner, &cid, &record));
    for (size_t bit = 0; bit < record.len * 8; bit++) {
        record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(tombstone_open(buf_bytes(&record), &ts));
        record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < record.len; len++)
        assert_true(tombstone_open(bytes_of(record.data, len), &ts));
    record.data[3] = 2;
    assert_err(tombstone_open(buf_bytes(&record), &ts), ERR_UNSUPPORTED);
    record.data[3] = 1;
    assert_ok(tombstone_open(buf_bytes(&record), &ts));
    assert_ok(buf_append(&record, BYTES_LIT("behind")));
    assert_err(tombstone_open(buf_bytes(&record), &ts), ERR_INVALID);
    assert_ok(buf_reserve(&record, 200));
    memset(record.data + record.len, 0, 200);
    assert_err(tombstone_open(bytes_of(record.data, 201), &ts), ERR_LIMIT);
}

/* What is signed as a manifest, or as anything else, is no tombstone. */
static void test_domains(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(1);
    uint8_t signature[64];
    owner_key_t owner = owner_key_of(key);
    assert_ok(owner_sign(key, "one", BYTES_LIT("message"), signature));
    assert_ok(owner_verify(&owner, "one", BYTES_LIT("message"), bytes_of(signature, 64)));
    assert_err(owner_verify(&owner, "two", BYTES_LIT("message"), bytes_of(signature, 64)), ERR_CRYPTO);
    assert_err(owner_verify(&owner, "on", BYTES_LIT("e\0message"), bytes_of(signature, 64)), ERR_CRYPTO);
    assert_err(owner_verify(&owner, "one", BYTES_LIT("message"), bytes_of(signature, 63)), ERR_CRYPTO);
}

static void test_receipt(void **state)
{
    AUTO_PTR(private_key_t) owner = key_of(1);
    AUTO_PTR(private_key_t) holder = key_of(3);
    private_key_t *rsa;
    AUTO(buf_t) block, record, large;
    buf_init(&record, RECEIPT_MAX_BYTES);
    buf_init(&large, RECEIPT_MAX_BYTES);
    receipt_t r = {.kind = RECEIPT_DELETED, .at_ms = 1700000000123, .manifest = manifest_of(owner, &block)},
              got;
    r.owner = owner_key_of(owner);
    peer_id_t id;
    assert_ok(peer_id_of(private_key_public(holder), &id));
    assert_ok(receipt_seal(holder, &r, &record));
    assert_ok(receipt_open(buf_bytes(&record), &got));
    assert_true(got.kind == RECEIPT_DELETED && got.at_ms == r.at_ms &&
                cid_equal(&got.manifest, &r.manifest) && owner_key_equal(&got.owner, &r.owner) &&
                peer_id_equal(&got.holder, &id));
    for (size_t bit = 0; bit < record.len * 8; bit++) {
        record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        /* the envelope's own framing has room for what is not read; what is read stays what was signed */
        if (!receipt_open(buf_bytes(&record), &got))
            assert_true(got.at_ms == r.at_ms && cid_equal(&got.manifest, &r.manifest) &&
                        peer_id_equal(&got.holder, &id));
        record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_ok(private_key_generate(KEY_RSA, NULL, 2048, &rsa));
    assert_ok(receipt_seal(rsa, &r, &large));
    assert_ok(receipt_open(buf_bytes(&large), &got));
    private_key_free(rsa);
    r.manifest.codec = CODEC_RAW;
    assert_err(receipt_seal(holder, &r, &record), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tombstone),
        cmocka_unit_test(test_tombstone_flips),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
