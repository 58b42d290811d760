/* The engine itself is tested where it is used, over streams. */
#include "crypto/tls_session.h"
#include "tests/support/test.h"

/* The authorities are read once, not for each client. */
static void test_shared(void **state)
{
    tls_client_t *a, *b;
    assert_ok(tls_client_new("a.example", BYTES_NONE, &a));
    assert_ok(tls_client_new("10.0.0.1", BYTES_NONE, &b));
    assert_ptr_equal(a->context, b->context);
    tls_client_free(a);
    assert_ptr_equal(SSL_get_SSL_CTX(b->ssl), b->context);
    tls_client_free(b);
    assert_err(tls_client_new("a.example", BYTES_LIT("no certificate"), &a), ERR_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
