/* tls_server: the server's side of TLS of the web, 1.2 and 1.3: one certificate with its chain, shown to
 * whoever comes. What is accepted is used by the calls of tls_client.h, which are the same for both sides. */
#ifndef CRYPTO_TLS_SERVER_H
#define CRYPTO_TLS_SERVER_H
#include "crypto/tls_client.h"

#define TLS_SERVER_PEM_MAX 65536 /* of each file */
typedef struct tls_server tls_server_t;
/* Both PEM: the certificate first, then those up to the authority; its key. ERR_INVALID: they cannot be read
 * or do not belong together. */
MUST_CHECK err_t tls_server_new(bytes_t certificates, bytes_t key, tls_server_t **ret);
void tls_server_free(tls_server_t *s); /* NULL is fine; what it accepted goes on */
MUST_CHECK err_t tls_server_accept(tls_server_t *s, tls_client_t **ret); /* then tls_client_handshake */
#endif
