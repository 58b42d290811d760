#include "tests/support/test.h"
#include "wire/http_auth.h"

static void secrets(void **state)
{
    static const struct {
        const char *secret, *header;
    } cases[] = {{"token", "Bearer token"},
                 {"bearer:to:ken", "Bearer to:ken"},
                 {"basic:user:pass:word", "Basic dXNlcjpwYXNzOndvcmQ="},
                 {"basic:dXNlcjpwYXNz", "Basic dXNlcjpwYXNz"},
                 {"digest:x", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_t) out = {0};
        buf_init(&out, HTTP_AUTH_MAX_BYTES);
        err_t e = http_auth_header(cases[i].secret, &out);
        if (!cases[i].header) {
            assert_int_equal(e, ERR_INVALID);
            continue;
        }
        assert_ok(e);
        assert_true(bytes_equal(buf_bytes(&out), bytes_str(cases[i].header)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(secrets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
