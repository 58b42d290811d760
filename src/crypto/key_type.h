/* key_type: what each of the four key types brings; for the key_*.c files alone. */
#ifndef CRYPTO_KEY_TYPE_H
#define CRYPTO_KEY_TYPE_H
#include "crypto/key.h"
#include "crypto/libraries.h"
#include <openssl/evp.h>

struct private_key {
    public_key_t public_key;
    uint8_t secret[66]; /* Ed25519: seed and public key; curves: the scalar, big-endian */
    uint8_t secret_len;
    EVP_PKEY *openssl; /* RSA and ECDSA; owned */
};

/* Data is always the protobuf's Data field. `k` comes zeroed; whoever fails may leave it half filled. */
typedef struct key_methods {
    const char *name;
    err_t (*check_public)(bytes_t data);
    err_t (*verify)(bytes_t data, bytes_t message, bytes_t signature);
    err_t (*load)(bytes_t data, private_key_t *k);
    err_t (*generate)(const uint8_t *seed, int rsa_bits, private_key_t *k);
    err_t (*data)(const private_key_t *k, buf_t *out);
    err_t (*sign)(const private_key_t *k, bytes_t message, buf_t *out);
} key_methods_t;
extern const key_methods_t key_rsa, key_ed25519, key_secp256k1, key_ecdsa;

/* How a type makes OpenSSL's key of the public key's bytes, and what is done with it the same way by each. */
typedef err_t (*openssl_open_fn)(bytes_t data, EVP_PKEY **ret_key);
MUST_CHECK err_t openssl_check_public(openssl_open_fn open, bytes_t data);
MUST_CHECK err_t openssl_verify_with(openssl_open_fn open, const char *name, bytes_t data, bytes_t message,
                                     bytes_t signature);
/* Both over SHA-256 of the message. */
MUST_CHECK err_t openssl_verify(EVP_PKEY *key, const char *name, bytes_t message, bytes_t signature);
MUST_CHECK err_t openssl_sign(EVP_PKEY *key, const char *name, bytes_t message, buf_t *out);
#endif
