#include "crypto/tls_session.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>

static err_t tls_fail(tls_client_t *c, const char *what)
{
    unsigned long code = ERR_get_error();
    long verified = c->ssl ? SSL_get_verify_result(c->ssl) : X509_V_OK;
    char text[128];
    ERR_clear_error();
    if (verified != X509_V_OK)
        return fail(ERR_CRYPTO, "%s: %s", what, X509_verify_cert_error_string(verified));
    ERR_error_string_n(code, text, sizeof text);
    return fail(ERR_CRYPTO, "%s: %s", what, code ? text : "the other side ended the connection");
}

static bool expect_host(SSL *ssl, const char *host)
{
    uint8_t ip[16];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

err_t tls_session_start(tls_client_t *c)
{
    c->ssl = SSL_new(c->context);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    if (!c->ssl || !c->in || !c->out) {
        BIO_free(c->in);
        BIO_free(c->out);
        return fail(ERR_NO_MEMORY, "no memory for TLS");
    }
    BIO_set_mem_eof_return(c->in, -1);
    SSL_set_bio(c->ssl, c->in, c->out);
    return OK;
}

/* authorities NULL: those of the system. */
static SSL_CTX *make_context(const bytes_t *authorities)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (!c || SSL_CTX_set_min_proto_version(c, authorities ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        !(authorities ? tls_take_authorities(c, *authorities) : SSL_CTX_set_default_verify_paths(c) == 1)) {
        SSL_CTX_free(c);
        return NULL;
    }
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    return c;
}

/* Of all clients: reading the authorities takes tens of milliseconds and a megabyte, and peers choose how
 * often there is a client. NULL: not made. */
static SSL_CTX *shared_context(void)
{
    static _Atomic(SSL_CTX *) shared;
    SSL_CTX *c = atomic_load_explicit(&shared, memory_order_acquire);
    if (c)
        return c;
    SSL_CTX *other = NULL;
    c = make_context(NULL);
    if (c && !atomic_compare_exchange_strong(&shared, &other, c)) {
        SSL_CTX_free(c);
        c = other;
    }
    return c;
}

static err_t set_up(tls_client_t *c, const char *host, bytes_t authorities)
{
    static const uint8_t alpn[] = "\x08http/1.1";
    SSL_CTX *shared = authorities.len ? NULL : shared_context();
    if (shared && SSL_CTX_up_ref(shared) == 1)
        c->context = shared;
    else if (authorities.len)
        c->context = make_context(&authorities);
    if (!c->context)
        return tls_fail(c, authorities.len ? "the file of authorities holds no certificates"
                                           : "TLS cannot be set up");
    TRY(tls_session_start(c));
    SSL_set_connect_state(c->ssl);
    if (!expect_host(c->ssl, host) || SSL_set_alpn_protos(c->ssl, alpn, sizeof alpn - 1))
        return tls_fail(c, "TLS cannot be set up for this host");
    return OK;
}

err_t tls_client_new(const char *host, bytes_t authorities, tls_client_t **ret)
{
    tls_client_t *c = xcalloc(1, sizeof *c);
    err_t e = set_up(c, host, authorities);
    if (e) {
        tls_client_free(c);
        return e;
    }
    *ret = c;
    return OK;
}

void tls_client_free(tls_client_t *c)
{
    if (!c)
        return;
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    free(c);
}

err_t tls_client_feed(tls_client_t *c, bytes_t in)
{
    while (in.len) {
        int n = BIO_write(c->in, in.data, in.len < INT32_MAX ? (int)in.len : INT32_MAX);
        if (n <= 0)
            return fail(ERR_NO_MEMORY, "no memory for what came over TLS");
        in = bytes_slice(in, (size_t)n, in.len);
    }
    return OK;
}

size_t tls_client_output(tls_client_t *c, uint8_t *out, size_t cap)
{
    int n = BIO_read(c->out, out, cap < INT32_MAX ? (int)cap : INT32_MAX);
    return n > 0 ? (size_t)n : 0;
}

err_t tls_client_handshake(tls_client_t *c)
{
    ERR_clear_error();
    int n = SSL_do_handshake(c->ssl);
    if (n == 1)
        return OK;
    return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? ERR_AGAIN : tls_fail(c, "TLS handshake");
}

err_t tls_client_read(tls_client_t *c, uint8_t *out, size_t cap, size_t *ret_n)
{
    ERR_clear_error();
    int n = SSL_read(c->ssl, out, cap < INT32_MAX ? (int)cap : INT32_MAX);
    if (n > 0) {
        *ret_n = (size_t)n;
        return OK;
    }
    switch (SSL_get_error(c->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        *ret_n = 0;
        return OK;
    default:
        return tls_fail(c, "TLS");
    }
}

err_t tls_client_write(tls_client_t *c, bytes_t data)
{
    while (data.len) {
        ERR_clear_error();
        int n = SSL_write(c->ssl, data.data, data.len < INT32_MAX ? (int)data.len : INT32_MAX);
        if (n <= 0)
            return tls_fail(c, "TLS");
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return OK;
}
