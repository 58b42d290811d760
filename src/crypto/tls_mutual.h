/* tls_mutual: TLS 1.3 between services that show a certificate each, for gRPC (ALPN "h2"). What comes of it
 * is used by the calls of tls_client.h, which are the same for both sides.
 *
 * With authorities, the other side's certificate must come from one of them. Without, any certificate is
 * taken: then the caller knows whom it talks to by the fingerprint, which a third party vouches for. */
#ifndef CRYPTO_TLS_MUTUAL_H
#define CRYPTO_TLS_MUTUAL_H
#include "crypto/tls_client.h"

#define TLS_MUTUAL_PEM_MAX 65536 /* of each */
#define TLS_FINGERPRINT_BYTES 32 /* SHA-256 of a certificate */

typedef struct tls_mutual tls_mutual_t;
/* All PEM; authorities BYTES_NONE: any certificate is taken. ERR_INVALID: they cannot be read or do not
 * belong together. */
MUST_CHECK err_t tls_mutual_new(bytes_t certificates, bytes_t key, bytes_t authorities, tls_mutual_t **ret);
void tls_mutual_free(tls_mutual_t *m);                        /* NULL is fine; what began goes on */
const uint8_t *tls_mutual_fingerprint(const tls_mutual_t *m); /* of our own certificate */
bool tls_mutual_has_authorities(const tls_mutual_t *m);
/* A certificate of its own key (P-256) for `name`, valid from yesterday for ten years. Appends PEM; wipe the
 * key when it is stored. */
MUST_CHECK err_t tls_mutual_make(const char *name, buf_t *ret_certificate, buf_t *ret_key);

/* Then tls_client_handshake. */
MUST_CHECK err_t tls_mutual_connect(tls_mutual_t *m, tls_client_t **ret);
MUST_CHECK err_t tls_mutual_accept(tls_mutual_t *m, tls_client_t **ret);
/* After the handshake. ERR_CRYPTO: it showed no certificate, or "h2" was not agreed on. */
MUST_CHECK err_t tls_mutual_peer(tls_client_t *c, uint8_t ret_fingerprint[TLS_FINGERPRINT_BYTES]);
#endif
