/* Compressed points, 32-byte scalars; signatures over SHA-256 in DER. */
#include "crypto/curve.h"
#include "crypto/hash.h"
#include "crypto/key_type.h"

enum { PUBLIC = 33, SCALAR = 32 };
static const char name[] = "secp256k1";

static err_t open_public(bytes_t data, EVP_PKEY **ret)
{
    if (data.len != PUBLIC || (data.data[0] != 2 && data.data[0] != 3))
        return fail(ERR_INVALID, "a secp256k1 public key is a compressed point of %d bytes", PUBLIC);
    return curve_key(&curve_secp256k1, data, NULL, ret);
}

static err_t check_public(bytes_t data)
{
    return openssl_check_public(open_public, data);
}

static err_t verify(bytes_t data, bytes_t message, bytes_t signature)
{
    return openssl_verify_with(open_public, name, data, message, signature);
}

static err_t load(bytes_t data, private_key_t *k)
{
    if (data.len != SCALAR)
        return fail(ERR_INVALID, "a secp256k1 private key has %d bytes, not %zu", SCALAR, data.len);
    uint8_t point[CURVE_POINT_MAX];
    size_t len;
    TRY(curve_public(&curve_secp256k1, data.data, true, point, &len));
    memcpy(k->public_key.data, point, len);
    k->public_key.len = (uint16_t)len;
    memcpy(k->secret, data.data, SCALAR);
    k->secret_len = SCALAR;
    return OK;
}

static err_t generate(const uint8_t *seed, int rsa_bits, private_key_t *k)
{
    uint8_t scalar[CURVE_SCALAR_MAX];
    curve_random_scalar(&curve_secp256k1, scalar);
    err_t e = load(bytes_of(scalar, SCALAR), k);
    secret_wipe(scalar, sizeof scalar);
    return e;
}

static err_t data_of(const private_key_t *k, buf_t *out)
{
    return buf_append(out, bytes_of(k->secret, k->secret_len));
}

static err_t sign(const private_key_t *k, bytes_t message, buf_t *out)
{
    uint8_t digest[32];
    sha256_of(message, digest);
    return curve_sign_rfc6979(&curve_secp256k1, k->secret, digest, out);
}

const key_methods_t key_secp256k1 = {name, check_public, verify, load, generate, data_of, sign};
