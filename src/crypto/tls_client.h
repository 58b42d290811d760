/* tls_client: the client's side of TLS 1.2 and 1.3 over memory, for https: an engine without I/O, with
 * OpenSSL inside. The server must show a certificate for the host that the system's authorities (or those of
 * $SSL_CERT_FILE) vouch for, as they were when the process first asked.
 *
 *   handshake, then read and write: each gives ERR_AGAIN when it needs bytes of the other side; send what
 *   tls_client_output has first, then feed what came. */
#ifndef CRYPTO_TLS_CLIENT_H
#define CRYPTO_TLS_CLIENT_H
#include "base/bytes.h"

typedef struct tls_client tls_client_t;
/* host: a name or an IP address, as in the URL. authorities: PEM; then these alone count, and TLS 1.3 alone
 * is spoken. BYTES_NONE: the system's. ERR_CRYPTO. The first one of a process takes long. */
MUST_CHECK err_t tls_client_new(const char *host, bytes_t authorities, tls_client_t **ret);
void tls_client_free(tls_client_t *c); /* NULL is fine */
AUTO_PTR_DEFINE(tls_client_t, tls_client_free)
MUST_CHECK err_t tls_client_feed(tls_client_t *c, bytes_t in);
size_t tls_client_output(tls_client_t *c, uint8_t *out, size_t cap); /* bytes for the other side; 0: none */
MUST_CHECK err_t tls_client_handshake(tls_client_t *c);              /* ERR_AGAIN, ERR_CRYPTO: and why */
/* Plain bytes; OK with 0 at the end. ERR_AGAIN, ERR_CRYPTO. */
MUST_CHECK err_t tls_client_read(tls_client_t *c, uint8_t *out, size_t cap, size_t *ret_n);
/* All of it; the sealed bytes wait for tls_client_output, so take those between pieces. */
MUST_CHECK err_t tls_client_write(tls_client_t *c, bytes_t data);
#endif
