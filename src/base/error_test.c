#include "base/error.h"
#include "tests/support/test.h"
#include <errno.h>
#include <pthread.h>

static void test_table(void **state)
{
    assert_string_equal(error_name(OK), "OK");
    assert_string_equal(error_name(ERR_NO_SPACE), "ERR_NO_SPACE");
    assert_int_equal(error_http_status(ERR_NOT_FOUND), 404);
    assert_int_equal(error_rpc_code(ERR_USAGE), 1);
    assert_int_equal(error_exit_code(ERR_USAGE), 2);
    assert_int_equal(error_exit_code(OK), 0);
    for (err_t e = OK + 1; e < ERR_COUNT; e++) {
        assert_true(error_http_status(e) >= 400);
        assert_true(error_exit_code(e) > 0);
    }
}

static void test_text(void **state)
{
    assert_err(fail(ERR_IO, "cannot read %s", "x\n\x1b[31m"), ERR_IO);
    assert_string_equal(error_text(ERR_IO), "cannot read x\\x0a\\x1b[31m");
    assert_string_equal(error_slot()->file, "error_test.c");
    assert_true(error_slot()->line > 0);
    assert_string_equal(error_text(ERR_RESET), "connection reset"); /* another error's text */
    assert_string_equal(error_text(OK), "ok");
    assert_err(fail_also(ERR_IO, "loading"), ERR_IO);
    assert_string_equal(error_text(ERR_IO), "loading: cannot read x\\x0a\\x1b[31m");
    assert_err(fail_also(ERR_LIMIT, "loading"), ERR_LIMIT);
    assert_string_equal(error_text(ERR_LIMIT), "loading: limit reached");
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = 0;
    assert_err(fail(ERR_IO, "%s", long_text), ERR_IO);
    assert_int_equal(strlen(error_text(ERR_IO)), ERROR_TEXT_MAX - 1);
    memset(long_text, '\a', sizeof long_text - 1);
    assert_err(fail(ERR_IO, "%s", long_text), ERR_IO);
    assert_true(strlen(error_text(ERR_IO)) < ERROR_TEXT_MAX);
    assert_err(fail_also(ERR_IO, "%s", long_text), ERR_IO);
    assert_true(strlen(error_text(ERR_IO)) < ERROR_TEXT_MAX);
}

static void *in_thread(void *arg)
{
    *(bool *)arg = !strcmp(error_text(ERR_IO), "input/output error");
    return fail(ERR_IO, "thread") ? NULL : arg;
}

static void test_slots(void **state)
{
    error_slot_t own = {0};
    assert_err(fail(ERR_IO, "main"), ERR_IO);
    error_set_slot(&own);
    assert_string_equal(error_text(ERR_IO), "input/output error");
    assert_err(fail(ERR_IO, "own"), ERR_IO);
    error_set_slot(NULL);
    assert_string_equal(error_text(ERR_IO), "main");
    assert_string_equal(own.text, "own");
    bool was_fresh = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, in_thread, &was_fresh), 0);
    pthread_join(thread, NULL);
    assert_true(was_fresh);
    assert_string_equal(error_text(ERR_IO), "main");
}

static void test_errno(void **state)
{
    static const struct {
        int from;
        err_t to;
    } cases[] = {
        {0, OK},
        {EAGAIN, ERR_AGAIN},
        {ECANCELED, ERR_CANCELED},
        {ETIMEDOUT, ERR_TIMEOUT},
        {ENOENT, ERR_NOT_FOUND},
        {EEXIST, ERR_EXISTS},
        {ENOTEMPTY, ERR_EXISTS},
        {EADDRINUSE, ERR_IN_USE},
        {EACCES, ERR_DENIED},
        {EROFS, ERR_DENIED},
        {ENOSPC, ERR_NO_SPACE},
        {ENOMEM, ERR_NO_MEMORY},
        {EMFILE, ERR_LIMIT},
        {EINVAL, ERR_INVALID},
        {ENOSYS, ERR_UNSUPPORTED},
        {ECONNREFUSED, ERR_REFUSED},
        {ECONNRESET, ERR_RESET},
        {EPIPE, ERR_RESET},
        {ENOTCONN, ERR_CLOSED},
        {EHOSTUNREACH, ERR_UNREACHABLE},
        {ENETUNREACH, ERR_UNREACHABLE},
        {EIO, ERR_IO},
        {12345, ERR_IO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(error_from_errno(cases[i].from), cases[i].to);
}

static err_t passes_on(err_t e)
{
    TRY(e);
    return ERR_EXISTS;
}

static void test_try(void **state)
{
    assert_int_equal(passes_on(ERR_IO), ERR_IO);
    assert_int_equal(passes_on(OK), ERR_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_text), cmocka_unit_test(test_slots),
        cmocka_unit_test(test_errno), cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
