/* tls_session: what tls_client.c and tls_server.c share. Not for others. */
#ifndef CRYPTO_TLS_SESSION_H
#define CRYPTO_TLS_SESSION_H
#include "crypto/tls_client.h"
#include <openssl/ssl.h>

struct tls_client {
    SSL_CTX *context; /* a reference */
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};
/* Makes ssl with its BIOs over the context. ERR_NO_MEMORY. */
MUST_CHECK err_t tls_session_start(tls_client_t *c);
#endif
