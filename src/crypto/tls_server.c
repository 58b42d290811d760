#include "crypto/tls_server.h"
#include "crypto/libraries.h"
#include "crypto/tls_session.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

struct tls_server {
    SSL_CTX *context;
};

int tls_no_password(char *out, int size, int is_writing, void *arg)
{
    return -1;
}

bool tls_take_chain(SSL_CTX *c, BIO *pem)
{
    bool is_ok = true;
    for (X509 *x; is_ok && (x = PEM_read_bio_X509(pem, NULL, tls_no_password, NULL));) {
        is_ok = SSL_CTX_add_extra_chain_cert(c, x) == 1;
        if (!is_ok)
            X509_free(x);
    }
    return is_ok;
}

bool tls_take_authorities(SSL_CTX *c, bytes_t pem)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c);
    BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
    size_t n = 0;
    bool is_ok = in != NULL;
    for (X509 *x; is_ok && (x = PEM_read_bio_X509(in, NULL, tls_no_password, NULL)); n++) {
        is_ok = X509_STORE_add_cert(store, x) == 1 && SSL_CTX_add_client_CA(c, x) == 1;
        X509_free(x);
    }
    BIO_free(in);
    ERR_clear_error();
    return is_ok && n;
}

static bool take_certificates(SSL_CTX *c, BIO *pem)
{
    X509 *x = PEM_read_bio_X509(pem, NULL, tls_no_password, NULL);
    bool is_ok = x && SSL_CTX_use_certificate(c, x) == 1;
    X509_free(x);
    return is_ok && tls_take_chain(c, pem);
}

bool tls_take_key(SSL_CTX *c, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, tls_no_password, NULL);
    bool is_ok = key && SSL_CTX_use_PrivateKey(c, key) == 1 && SSL_CTX_check_private_key(c) == 1;
    EVP_PKEY_free(key);
    return is_ok;
}

static int choose_http(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned int in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

err_t tls_server_new(bytes_t certificates, bytes_t key, tls_server_t **ret)
{
    if (certificates.len > TLS_SERVER_PEM_MAX || key.len > TLS_SERVER_PEM_MAX)
        return fail(ERR_INVALID, "the certificate or its key is longer than %d bytes", TLS_SERVER_PEM_MAX);
    tls_server_t *s = xcalloc(1, sizeof *s);
    BIO *certificates_in = BIO_new_mem_buf(certificates.data, (int)certificates.len);
    BIO *key_in = BIO_new_mem_buf(key.data, (int)key.len);
    s->context = SSL_CTX_new(TLS_server_method());
    bool is_ok = s->context && certificates_in && key_in &&
                 SSL_CTX_set_min_proto_version(s->context, TLS1_2_VERSION) == 1 &&
                 take_certificates(s->context, certificates_in) && tls_take_key(s->context, key_in);
    BIO_free(certificates_in);
    BIO_free(key_in);
    if (!is_ok) {
        tls_server_free(s);
        return openssl_failed(ERR_INVALID, "reading a certificate and its key");
    }
    SSL_CTX_set_session_cache_mode(s->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(s->context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(s->context, 0);
    SSL_CTX_set_alpn_select_cb(s->context, choose_http, NULL);
    *ret = s;
    return OK;
}

void tls_server_free(tls_server_t *s)
{
    if (!s)
        return;
    SSL_CTX_free(s->context);
    free(s);
}

err_t tls_server_accept(tls_server_t *s, tls_client_t **ret)
{
    tls_client_t *c = xcalloc(1, sizeof *c);
    SSL_CTX_up_ref(s->context);
    c->context = s->context;
    err_t e = tls_session_start(c);
    if (e) {
        tls_client_free(c);
        return e;
    }
    SSL_set_accept_state(c->ssl);
    *ret = c;
    return OK;
}
