#include "tests/support/test.h"
#include "wire/grpc.h"
#include <string.h>

static void statuses(void **state)
{
    for (int e = 1; e < ERR_COUNT; e++)
        assert_true(grpc_status_of((err_t)e) != GRPC_OK && grpc_status_of((err_t)e) < GRPC_STATUS_COUNT);
    assert_int_equal(grpc_status_of(OK), GRPC_OK);
    for (int s = 1; s < GRPC_STATUS_COUNT; s++)
        assert_true(grpc_error_of((grpc_status_t)s) != OK);
    assert_int_equal(grpc_error_of(GRPC_OK), OK);
    assert_int_equal(grpc_status_parse("0"), GRPC_OK);
    assert_int_equal(grpc_status_parse("16"), GRPC_UNAUTHENTICATED);
    static const char *const bad[] = {"", "17", "-1", "1x", "1000", " 1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(grpc_status_parse(bad[i]), GRPC_UNKNOWN);
    assert_int_equal(grpc_status_parse(NULL), GRPC_UNKNOWN);
    /* grpc/grpc doc/http-grpc-status-mapping.md */
    static const int http[][2] = {
        {400, GRPC_INTERNAL},      {401, GRPC_UNAUTHENTICATED}, {403, GRPC_PERMISSION_DENIED},
        {404, GRPC_UNIMPLEMENTED}, {429, GRPC_UNAVAILABLE},     {503, GRPC_UNAVAILABLE},
        {418, GRPC_UNKNOWN}};
    for (size_t i = 0; i < ARRAY_LEN(http); i++)
        assert_int_equal(grpc_status_of_http(http[i][0]), http[i][1]);
}

static void prefixes(void **state)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];
    size_t len;
    grpc_prefix_encode(0x01020304, prefix);
    assert_memory_equal(prefix, "\0\1\2\3\4", 5);
    assert_ok(grpc_prefix_decode(prefix, 0x01020304, &len));
    assert_int_equal(len, 0x01020304);
    assert_err(grpc_prefix_decode(prefix, 0x01020303, &len), ERR_LIMIT);
    prefix[0] = 1;
    assert_err(grpc_prefix_decode(prefix, SIZE_MAX, &len), ERR_UNSUPPORTED);
}

static void timeouts(void **state)
{
    char text[GRPC_TIMEOUT_TEXT_MAX];
    static const struct {
        uint64_t ms;
        const char *text;
    } printed[] = {{0, "0m"},
                   {1500, "1500m"},
                   {99999999, "99999999m"},
                   {100000001, "100001S"},
                   {UINT64_MAX, "99999999H"}};
    for (size_t i = 0; i < ARRAY_LEN(printed); i++)
        assert_string_equal(grpc_timeout_print(printed[i].ms, text), printed[i].text);
    static const struct {
        const char *text;
        uint64_t ms;
    } parsed[] = {{"1H", 3600000}, {"2M", 120000}, {"3S", 3000}, {"4m", 4},
                  {"1u", 1},       {"2001u", 3},   {"1n", 1},    {"99999999H", 359999996400000}};
    uint64_t ms;
    for (size_t i = 0; i < ARRAY_LEN(parsed); i++) {
        assert_ok(grpc_timeout_parse(parsed[i].text, &ms));
        assert_int_equal(ms, parsed[i].ms);
    }
    static const char *const bad[] = {"", "S", "1", "1s", "100000000S", "-1S", "1SS", " 1S"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(grpc_timeout_parse(bad[i], &ms), ERR_INVALID);
}

static void messages(void **state)
{
    char encoded[GRPC_MESSAGE_TEXT_MAX], decoded[GRPC_MESSAGE_TEXT_MAX], longer[4096];
    grpc_message_encode("100% of \"k\xc3\xa4se\"\n", encoded);
    assert_string_equal(encoded, "100%25 of \"k%C3%A4se\"%0A");
    grpc_message_decode(encoded, decoded);
    assert_string_equal(decoded, "100% of \"k\xc3\xa4se\"\n");
    grpc_message_decode("%zz % %4 %00 %2", decoded);
    assert_string_equal(decoded, "%zz % %4 %00 %2");
    memset(longer, '\n', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    grpc_message_encode(longer, encoded);
    assert_true(strlen(encoded) < GRPC_MESSAGE_TEXT_MAX && strlen(encoded) > GRPC_MESSAGE_TEXT_MAX - 5);
    memset(longer, 'x', sizeof longer - 1);
    grpc_message_decode(longer, decoded);
    assert_int_equal(strlen(decoded), GRPC_MESSAGE_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(statuses), cmocka_unit_test(prefixes),
                                       cmocka_unit_test(timeouts), cmocka_unit_test(messages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
