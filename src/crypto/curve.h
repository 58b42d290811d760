/* curve: the elliptic curves of OpenSSL that keys use, by scalar and point; named curves alone, never
 * parameters that a peer brought. */
#ifndef CRYPTO_CURVE_H
#define CRYPTO_CURVE_H
#include "base/bytes.h"
#include <openssl/evp.h>

enum { CURVE_SCALAR_MAX = 66, CURVE_POINT_MAX = 1 + 2 * CURVE_SCALAR_MAX };

typedef struct curve {
    const char *name; /* OpenSSL's */
    int nid;
    uint8_t scalar_len, oid_len;
    uint8_t oid[8]; /* the content of the DER element */
} curve_t;
extern const curve_t curve_secp256k1, curve_p256;

/* One of P-224, P-256, P-384, P-521; NULL for any other. */
const curve_t *curve_by_oid(bytes_t oid);
/* scalar: scalar_len bytes, big-endian. ret_point: the bytes written. ERR_INVALID unless it lies
 * between 1 and the order. */
MUST_CHECK err_t curve_public(const curve_t *c, const uint8_t *scalar, bool is_compressed,
                              uint8_t out[CURVE_POINT_MAX], size_t *ret_len);
/* A key of a point, which must lie on the curve, and a scalar or NULL. Returns owned. ERR_INVALID. */
MUST_CHECK err_t curve_key(const curve_t *c, bytes_t point, const uint8_t *scalar, EVP_PKEY **ret);
/* A random scalar below the order, from crypto_random. */
void curve_random_scalar(const curve_t *c, uint8_t out[CURVE_SCALAR_MAX]);
/* An ECDSA signature over a digest of 32 bytes in DER, on a curve of 32-byte scalars, with the nonce
 * of RFC 6979 (SHA-256) and the smaller s. */
MUST_CHECK err_t curve_sign_rfc6979(const curve_t *c, const uint8_t scalar[32], const uint8_t digest[32],
                                    buf_t *out);
#endif
