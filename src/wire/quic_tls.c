#include "wire/quic_tls.h"
#include "wire/certificate.h"
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdlib.h>

/* AES first: it is four times as fast where the processor helps, and else nobody prefers it. */
static const char priorities[] = "NONE:+VERS-TLS1.3:+AEAD:+KX-ALL:+COMP-NULL:+SIGN-ALL:+CTYPE-X509:"
                                 "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
                                 "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";

struct quic_tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

static err_t failed(const char *what, int code)
{
    return fail(code == GNUTLS_E_MEMORY_ERROR ? ERR_NO_MEMORY : ERR_CRYPTO, "%s: %s", what,
                gnutls_strerror(code));
}

static gnutls_datum_t datum_of(const buf_t *b)
{
    return (gnutls_datum_t){b->data, (unsigned)b->len};
}

static err_t load(quic_tls_t *t, const certificate_t *c)
{
    gnutls_datum_t der = datum_of(&c->der), key = datum_of(&c->pkcs8);
    int code = gnutls_certificate_allocate_credentials(&t->credentials);
    if (!code)
        code = gnutls_certificate_set_x509_key_mem(t->credentials, &der, &key, GNUTLS_X509_FMT_DER);
    if (!code)
        code = gnutls_priority_init(&t->priority, priorities, NULL);
    return code ? failed("TLS cannot be set up", code) : OK;
}

err_t quic_tls_new(const private_key_t *identity, quic_tls_t **ret)
{
    certificate_t c = {0};
    TRY(certificate_new(identity, &c));
    quic_tls_t *t = xcalloc(1, sizeof *t);
    err_t e = load(t, &c);
    certificate_deinit(&c);
    if (e) {
        quic_tls_free(t);
        return e;
    }
    *ret = t;
    return OK;
}

void quic_tls_free(quic_tls_t *t)
{
    if (!t)
        return;
    if (t->credentials)
        gnutls_certificate_free_credentials(t->credentials);
    if (t->priority)
        gnutls_priority_deinit(t->priority);
    free(t);
}

static int configure(const quic_tls_t *t, gnutls_session_t s, bool is_server)
{
    static const gnutls_datum_t alpn = {(unsigned char *)"libp2p", 6};
    int code = gnutls_priority_set(s, t->priority);
    if (!code)
        code = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, t->credentials);
    if (!code)
        code = gnutls_alpn_set_protocols(s, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (!code && (is_server ? ngtcp2_crypto_gnutls_configure_server_session(s)
                            : ngtcp2_crypto_gnutls_configure_client_session(s)))
        code = GNUTLS_E_INTERNAL_ERROR;
    if (is_server)
        gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
    return code;
}

err_t quic_tls_session(const quic_tls_t *t, bool is_server, void *ptr, int (*verify)(gnutls_session_t),
                       gnutls_session_t *ret)
{
    gnutls_session_t s;
    unsigned flags = GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_END_OF_EARLY_DATA;
    int code = gnutls_init(&s, flags | (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT));
    if (code)
        return failed("TLS cannot begin", code);
    code = configure(t, s, is_server);
    if (code) {
        gnutls_deinit(s);
        return failed("TLS cannot begin", code);
    }
    gnutls_session_set_ptr(s, ptr);
    gnutls_session_set_verify_function(s, verify);
    *ret = s;
    return OK;
}

err_t quic_tls_certificate(gnutls_session_t session, bytes_t *ret_der)
{
    unsigned n = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);
    if (!list || n != 1)
        return fail(ERR_CRYPTO, "the peer shows %u certificates, not one", n);
    *ret_der = bytes_of(list->data, list->size);
    return OK;
}
