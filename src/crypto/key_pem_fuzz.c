#include "crypto/key_pem.h"

/* As it comes; what can be read is written and read again as the same key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_PTR(private_key_t) key = NULL;
    AUTO_PTR(private_key_t) back = NULL;
    AUTO(buf_t) pem;
    buf_init(&pem, 64 << 10);
    if (private_key_from_pem(bytes_of(data, size), &key))
        return 0;
    err_t e = private_key_to_pem(key, &pem);
    assert(!e);
    e = private_key_from_pem(buf_bytes(&pem), &back);
    assert(!e && public_key_equal(private_key_public(key), private_key_public(back)));
    return 0;
}
