#include "crypto/password.h"
#include "tests/support/test.h"

static void kept_passwords_are_recognized(void **state)
{
    char first[PASSWORD_TEXT_MAX], second[PASSWORD_TEXT_MAX];
    assert_ok(password_keep(BYTES_LIT("correct horse"), first));
    assert_ok(password_keep(BYTES_LIT("correct horse"), second));
    assert_string_not_equal(first, second);
    assert_int_equal(strncmp(first, "$argon2id$v=19$", 15), 0);
    assert_ok(password_check(BYTES_LIT("correct horse"), first));
    assert_err(password_check(BYTES_LIT("correct horsf"), first), ERR_DENIED);
    assert_err(password_check(BYTES_LIT(""), first), ERR_DENIED);
    assert_err(password_check(BYTES_LIT("correct horse"), ""), ERR_DENIED);
    assert_err(password_check(BYTES_LIT("correct horse"), "$argon2id$v=19$m=1,t=1$"), ERR_DENIED);
}

/* Made by the argon2 program of the reference implementation. */
static void texts_of_the_reference_are_read(void **state)
{
    assert_ok(password_check(
        BYTES_LIT("password"),
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_passwords_are_recognized),
        cmocka_unit_test(texts_of_the_reference_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
