/* x509: self-signed certificates with one extension that means something: made, and checked from hostile
 * bytes. Spec: RFC 5280. What the extension says is the caller's to know. */
#ifndef CRYPTO_X509_H
#define CRYPTO_X509_H
#include "base/bytes.h"

#define X509_MAX_BYTES 8192 /* of a certificate that is looked at */

/* The key pair of a certificate: ECDSA on P-256. */
typedef struct x509_key x509_key_t;
MUST_CHECK err_t x509_key_new(x509_key_t **ret);
void x509_key_free(x509_key_t *k); /* NULL is fine */
AUTO_PTR_DEFINE(x509_key_t, x509_key_free)
MUST_CHECK err_t x509_key_spki(const x509_key_t *k, buf_t *out); /* appends its SubjectPublicKeyInfo, DER */
MUST_CHECK err_t x509_key_pkcs8(const x509_key_t *k, buf_t *out);
/* Appends a certificate of this key by itself, DER, valid from 1975 to 4096, with the extension `oid` (in
 * dots), not critical, of the content `value`. */
MUST_CHECK err_t x509_self_sign(const x509_key_t *k, const char *oid, bytes_t value, buf_t *out);

/* Checks that `der` is one whole certificate, version 3, valid at now_s (seconds since 1970), signed by its
 * own key with nothing weaker than SHA-256 and RSA of 2048 bits, with the extension `oid` once and no other
 * critical one that is not understood. Appends its SubjectPublicKeyInfo and the content of the extension.
 * ERR_LIMIT: over X509_MAX_BYTES or RSA of more than 8192 bits; ERR_INVALID; ERR_CRYPTO: the signature. */
MUST_CHECK err_t x509_check_self_signed(bytes_t der, const char *oid, uint64_t now_s, buf_t *ret_spki,
                                        buf_t *ret_value);
#endif
