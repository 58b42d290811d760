#include "crypto/key.h"

/* The first byte picks the type: public, then private. A key that was taken is written as it was read,
 * and does not verify a signature out of thin air. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    key_type_t type = (key_type_t)(data[0] % 5);
    bytes_t in = bytes_of(data + 1, size - 1);
    public_key_t public_key, again;
    AUTO_PTR(private_key_t) key = NULL;
    AUTO(buf_t) out;
    buf_init(&out, 8192);
    if (!public_key_from_data(type, in, &public_key)) {
        assert(bytes_equal(bytes_of(public_key.data, public_key.len), in));
        err_t e = public_key_verify(&public_key, BYTES_LIT("text"), in);
        assert(e == ERR_CRYPTO);
    }
    if (!private_key_from_data(type, in, &key)) {
        const public_key_t *own = private_key_public(key);
        err_t e = public_key_from_data(type, bytes_of(own->data, own->len), &again);
        assert(!e);
        e = private_key_sign(key, BYTES_LIT("text"), &out);
        assert(!e);
        e = public_key_verify(own, BYTES_LIT("text"), buf_bytes(&out));
        assert(!e);
    }
    return 0;
}
