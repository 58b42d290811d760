/* Records of Kubo's pinner: what is read of each, and what is refused. */
#include "repo/kubo_source.h"
#include "tests/support/test.h"

#define CID                                                                                                  \
    "\x58\x22\x12\x20"                                                                                       \
    "0123456789abcdef0123456789abcdef" /* bytes(34): sha2-256 */
#define READ(text, ret) kubo_pin_decode(BYTES_LIT(text), ret, &is_bad)
static bool is_bad;

static void test_reads(void **state)
{
    pin_t pin;
    assert_ok(READ("\xa3\x63"
                   "cid" CID "\x64mode\x00\x64name\x64tree",
                   &pin));
    assert_true(pin.mode == PIN_RECURSIVE && pin.cid.version == 0);
    assert_string_equal(pin.name, "tree");
    assert_ok(READ("\xa2\x64mode\x01\x63"
                   "cid" CID,
                   &pin));
    assert_true(pin.mode == PIN_DIRECT);
    assert_string_equal(pin.name, "");
    /* What is inside of the metadata is none of the record's own fields. */
    assert_ok(READ("\xa4\x63"
                   "cid" CID "\x68metadata\xa1\x64mode\x01\x64mode\x00\x64name\x60",
                   &pin));
    assert_true(pin.mode == PIN_RECURSIVE);
}

static void test_refuses(void **state)
{
    pin_t pin;
    assert_err(READ("", &pin), ERR_CORRUPT);
    assert_err(READ("\xa1\x63"
                    "cid" CID,
                    &pin),
               ERR_CORRUPT);
    assert_err(READ("\xa1\x64mode\x00", &pin), ERR_CORRUPT);
    assert_err(READ("\xa2\x63"
                    "cid" CID "\x64mode\x02",
                    &pin),
               ERR_CORRUPT);
    assert_err(READ("\xa2\x63"
                    "cid" CID "\x64mode\x61x",
                    &pin),
               ERR_CORRUPT);
    assert_err(READ("\xa2\x63"
                    "cid\x62Qm\x64mode\x00",
                    &pin),
               ERR_CORRUPT);
    assert_err(READ("\xa2\x63"
                    "cid\x41\x00\x64mode\x00",
                    &pin),
               ERR_INVALID);
    char record[400] = "\xa3\x63"
                       "cid" CID "\x64mode"; /* then 00, "name", and 256 letters */
    size_t n = strlen(record);
    memcpy(record + n, "\x00\x64name\x79\x01\x00", 9);
    memset(record + n + 9, 'x', 256);
    assert_ok(kubo_pin_decode(bytes_of(record, n + 9 + 256), &pin, &is_bad));
    assert_true(is_bad && !*pin.name);
    record[n + 7] = 0;
    record[n + 8] = (char)255;
    assert_ok(kubo_pin_decode(bytes_of(record, n + 9 + 255), &pin, &is_bad));
    assert_true(!is_bad && strlen(pin.name) == 255);
    record[n + 20] = (char)0xff; /* no UTF-8 */
    assert_ok(kubo_pin_decode(bytes_of(record, n + 9 + 255), &pin, &is_bad));
    assert_true(is_bad && !*pin.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads), cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
