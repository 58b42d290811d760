/* key_pem: private keys as PEM of PKCS #8, the form that other programs exchange: "-----BEGIN PRIVATE
 * KEY-----". Specs: RFC 7468, RFC 5208, RFC 8410. Ed25519, RSA and ECDSA; secp256k1 has no agreed form there.
 */
#ifndef CRYPTO_KEY_PEM_H
#define CRYPTO_KEY_PEM_H
#include "crypto/key.h"

/* Appends. ERR_UNSUPPORTED: secp256k1. Wipe out when done. */
MUST_CHECK err_t private_key_to_pem(const private_key_t *k, buf_t *out);
/* The first block of the text. ERR_INVALID: none, one of another kind, or not such a key; ERR_UNSUPPORTED: a
 * type of key that is not known here, or a curve. */
MUST_CHECK err_t private_key_from_pem(bytes_t text, private_key_t **ret);
/* Does the text hold a block of any kind? */
bool pem_has_block(bytes_t text);
#endif
