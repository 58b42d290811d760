/* tls_session: what tls_client.c, tls_server.c and tls_mutual.c share. Not for others. */
#ifndef CRYPTO_TLS_SESSION_H
#define CRYPTO_TLS_SESSION_H
#include "crypto/tls_client.h"
#include <openssl/pem.h>
#include <openssl/ssl.h>

struct tls_client {
    SSL_CTX *context; /* a reference */
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};
/* Makes ssl with its BIOs over the context. ERR_NO_MEMORY. */
MUST_CHECK err_t tls_session_start(tls_client_t *c);
/* Keys that ask for a password are refused instead of asking on the terminal. */
int tls_no_password(char *out, int size, int is_writing, void *arg);
bool tls_take_key(SSL_CTX *c, BIO *pem);
/* What they vouch for is taken; one at least. */
bool tls_take_authorities(SSL_CTX *c, bytes_t pem);
/* Those behind the first, up to the authority. */
bool tls_take_chain(SSL_CTX *c, BIO *pem);
#endif
