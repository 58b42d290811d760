/* test: what each test file includes: cmocka, and checks for err_t. cmocka calls its own macro fail();
 * here fail() stays the project's. Include it after the headers under test. */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H
#include "base/bytes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#undef fail
#include <cmocka.h>
#undef fail
#define fail(code, ...) (error_record(__FILE__, __LINE__, (code), __VA_ARGS__), (code))

#undef fail_msg
#define fail_msg(...)                                                                                        \
    do {                                                                                                     \
        print_error(__VA_ARGS__);                                                                            \
        print_error("\n");                                                                                   \
        _fail(__FILE__, __LINE__);                                                                           \
    } while (0)

static inline void test_expect_err(err_t got, err_t want, const char *expression, const char *file, int line)
{
    if (got == want)
        return;
    print_error("%s: %s (%s), wanted %s\n", expression, error_name(got), error_text(got), error_name(want));
    _fail(file, line);
}
/* The call succeeded; else prints its error's name and text. */
#define assert_ok(expr) test_expect_err((expr), OK, #expr, __FILE__, __LINE__)
#define assert_err(expr, code) test_expect_err((expr), (code), #expr, __FILE__, __LINE__)

static inline void test_expect_bytes(bytes_t got, bytes_t want, const char *file, int line)
{
    if (bytes_equal(got, want))
        return;
    print_error("got    %zu bytes: ", got.len);
    for (size_t i = 0; i < got.len && i < 256; i++)
        print_error("%02x", got.data[i]);
    print_error("\nwanted %zu bytes: ", want.len);
    for (size_t i = 0; i < want.len && i < 256; i++)
        print_error("%02x", want.data[i]);
    print_error("\n");
    _fail(file, line);
}
#define assert_bytes(got, want) test_expect_bytes((got), (want), __FILE__, __LINE__)
#endif
