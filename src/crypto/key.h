/* key: private and public keys of the four libp2p types, and X25519.
 * Spec: libp2p/specs peer-ids. RSA keys are 2048 to 8192 bits; others are refused. */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H
#include "base/bytes.h"

typedef enum { KEY_RSA = 0, KEY_ED25519 = 1, KEY_SECP256K1 = 2, KEY_ECDSA = 3 } key_type_t;
#define PUBLIC_KEY_MAX_BYTES 1280 /* PKIX of RSA 8192 fits */

/* A public key: its type and the bytes of the protobuf's Data field (raw Ed25519, compressed
 * secp256k1, PKIX DER for RSA and ECDSA). Plain struct, by value or pointer. */
typedef struct public_key {
    key_type_t type;
    uint16_t len;
    uint8_t data[PUBLIC_KEY_MAX_BYTES];
} public_key_t;
/* Owned secret; wiped when freed. */
typedef struct private_key private_key_t;

/* Checks that the bytes are a key (point on the curve, size limits) and copies. ERR_INVALID,
 * ERR_LIMIT (too large), ERR_UNSUPPORTED. */
MUST_CHECK err_t public_key_from_data(key_type_t type, bytes_t data, public_key_t *ret);
/* OK only when the signature is valid; ERR_CRYPTO otherwise. */
MUST_CHECK err_t public_key_verify(const public_key_t *k, bytes_t message, bytes_t signature);
bool public_key_equal(const public_key_t *a, const public_key_t *b);

/* From the protobuf's Data: Ed25519 64 (or old 96) bytes, secp256k1 32 bytes, ECDSA SEC1/PKCS8 DER,
 * RSA PKCS1 DER. */
MUST_CHECK err_t private_key_from_data(key_type_t type, bytes_t data, private_key_t **ret);
/* seed: 32 bytes for ED25519 (NULL: fresh randomness); NULL for the others. rsa_bits for RSA. */
MUST_CHECK err_t private_key_generate(key_type_t type, const uint8_t *seed, int rsa_bits,
                                      private_key_t **ret);
void private_key_free(private_key_t *k);
AUTO_PTR_DEFINE(private_key_t, private_key_free)
key_type_t private_key_type(const private_key_t *k);
const public_key_t *private_key_public(const private_key_t *k);        /* borrowed */
MUST_CHECK err_t private_key_data(const private_key_t *k, buf_t *out); /* the protobuf's Data */
MUST_CHECK err_t private_key_sign(const private_key_t *k, bytes_t message, buf_t *out);

/* X25519. secret: 32 bytes of randomness. shared: ERR_CRYPTO on an all-zero result. */
void x25519_public(const uint8_t secret[32], uint8_t ret_public[32]);
MUST_CHECK err_t x25519_shared(const uint8_t secret[32], const uint8_t peer[32], uint8_t ret_shared[32]);
void crypto_random(uint8_t *out, size_t len); /* any thread; tests may replace it */
void crypto_set_random(void (*fill)(void *arg, uint8_t *out, size_t len), void *arg); /* simulator */
#endif
