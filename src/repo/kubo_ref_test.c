/* References of Kubo's filestore: what is read of each, and what is refused. */
#include "repo/kubo_source.h"
#include "tests/support/test.h"

/* The identity multihash of "hi". */
#define KEY "/filestore/AABGQ2I"
#define READ(key, record, ret) kubo_ref_decode(BYTES_LIT(key), BYTES_LIT(record), ret)

static void test_reads(void **state)
{
    filestore_ref_t ref;
    cid_t cid;
    assert_ok(READ(KEY,
                   "\x0a\x03"
                   "a/b"
                   "\x10\x80\x02\x18\x02",
                   &ref));
    assert_ok(cid_from_multihash(BYTES_LIT("\x00\x02hi"), CODEC_RAW, &cid));
    assert_true(cid_equal(&ref.cid, &cid));
    assert_true(bytes_equal(ref.path, BYTES_LIT("a/b")) && ref.offset == 256 && ref.size == 2);
    assert_ok(READ(KEY, "\x0a\x01x", &ref)); /* what is 0 is left out */
    assert_true(ref.offset == 0 && ref.size == 0);
    assert_ok(READ("/filestore/AFKQAATINE", "\x0a\x01x", &ref)); /* the whole CID, in version 11 */
    assert_true(cid_equal(&ref.cid, &cid));
}

static void test_refuses(void **state)
{
    filestore_ref_t ref;
    assert_err(READ(KEY, "", &ref), ERR_CORRUPT);
    assert_err(READ(KEY, "\x10\x01", &ref), ERR_CORRUPT);
    assert_err(READ(KEY,
                    "\x0a\x03"
                    "a",
                    &ref),
               ERR_CORRUPT);
    assert_err(READ(KEY,
                    "\x0a\x02"
                    "a\0",
                    &ref),
               ERR_CORRUPT);
    assert_err(READ(KEY, "\x0a\x01x\x18\xff\xff\xff\xff\x7f", &ref), ERR_CORRUPT);
    assert_err(READ("/filestore/AABGQ21", "\x0a\x01x", &ref), ERR_CORRUPT);
    assert_err(READ("/filestore/", "\x0a\x01x", &ref), ERR_CORRUPT);
    assert_err(READ("/pins/AABGQ2I", "\x0a\x01x", &ref), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads), cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
