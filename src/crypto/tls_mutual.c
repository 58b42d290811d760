#include "crypto/tls_mutual.h"
#include "crypto/libraries.h"
#include "crypto/tls_session.h"
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct tls_mutual {
    SSL_CTX *context; /* for both sides */
    uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
    bool has_authorities;
};

static const unsigned char alpn_h2[] = "\x02h2";

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                     unsigned int in_len, void *arg)
{
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, alpn_h2, sizeof alpn_h2 - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Without authorities the fingerprint decides, later. */
static int take_any(X509_STORE_CTX *store, void *arg)
{
    return 1;
}

static bool take_certificates(tls_mutual_t *m, BIO *pem)
{
    unsigned int len = 0;
    X509 *x = PEM_read_bio_X509(pem, NULL, tls_no_password, NULL);
    bool is_ok = x && SSL_CTX_use_certificate(m->context, x) == 1 &&
                 X509_digest(x, EVP_sha256(), m->fingerprint, &len) == 1;
    X509_free(x);
    return is_ok && tls_take_chain(m->context, pem);
}

static bool set_up(tls_mutual_t *m, BIO *certificates, BIO *key, bytes_t authorities)
{
    m->context = SSL_CTX_new(TLS_method());
    if (!m->context || SSL_CTX_set_min_proto_version(m->context, TLS1_3_VERSION) != 1 ||
        !take_certificates(m, certificates) || !tls_take_key(m->context, key) ||
        SSL_CTX_set_alpn_protos(m->context, alpn_h2, sizeof alpn_h2 - 1))
        return false;
    if (m->has_authorities && !tls_take_authorities(m->context, authorities))
        return false;
    if (!m->has_authorities)
        SSL_CTX_set_cert_verify_callback(m->context, take_any, NULL);
    SSL_CTX_set_verify(m->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* A service shows what it has, whatever its certificate says it is for. */
    X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(m->context), X509_PURPOSE_ANY);
    SSL_CTX_set_session_cache_mode(m->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(m->context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(m->context, 0);
    SSL_CTX_set_alpn_select_cb(m->context, choose_h2, NULL);
    return true;
}

err_t tls_mutual_new(bytes_t certificates, bytes_t key, bytes_t authorities, tls_mutual_t **ret)
{
    if (certificates.len > TLS_MUTUAL_PEM_MAX || key.len > TLS_MUTUAL_PEM_MAX ||
        authorities.len > TLS_MUTUAL_PEM_MAX)
        return fail(ERR_INVALID, "certificates and keys have at most %d bytes", TLS_MUTUAL_PEM_MAX);
    tls_mutual_t *m = xcalloc(1, sizeof *m);
    m->has_authorities = authorities.len > 0;
    BIO *in[2] = {BIO_new_mem_buf(certificates.data, (int)certificates.len),
                  BIO_new_mem_buf(key.data, (int)key.len)};
    bool is_ok = in[0] && in[1] && set_up(m, in[0], in[1], authorities);
    BIO_free(in[0]);
    BIO_free(in[1]);
    if (!is_ok) {
        tls_mutual_free(m);
        return openssl_failed(ERR_INVALID, "reading certificates and their key");
    }
    *ret = m;
    return OK;
}

void tls_mutual_free(tls_mutual_t *m)
{
    if (!m)
        return;
    SSL_CTX_free(m->context);
    free(m);
}

const uint8_t *tls_mutual_fingerprint(const tls_mutual_t *m)
{
    return m->fingerprint;
}

bool tls_mutual_has_authorities(const tls_mutual_t *m)
{
    return m->has_authorities;
}

static err_t start(tls_mutual_t *m, bool is_client, tls_client_t **ret)
{
    tls_client_t *c = xcalloc(1, sizeof *c);
    SSL_CTX_up_ref(m->context);
    c->context = m->context;
    err_t e = tls_session_start(c);
    if (e) {
        tls_client_free(c);
        return e;
    }
    if (is_client)
        SSL_set_connect_state(c->ssl);
    else
        SSL_set_accept_state(c->ssl);
    *ret = c;
    return OK;
}

err_t tls_mutual_connect(tls_mutual_t *m, tls_client_t **ret)
{
    return start(m, true, ret);
}

err_t tls_mutual_accept(tls_mutual_t *m, tls_client_t **ret)
{
    return start(m, false, ret);
}

err_t tls_mutual_peer(tls_client_t *c, uint8_t ret_fingerprint[TLS_FINGERPRINT_BYTES])
{
    const unsigned char *protocol;
    unsigned int protocol_len, len = 0;
    SSL_get0_alpn_selected(c->ssl, &protocol, &protocol_len);
    if (protocol_len != sizeof alpn_h2 - 2 || memcmp(protocol, alpn_h2 + 1, protocol_len) != 0)
        return fail(ERR_CRYPTO, "the other side does not speak HTTP/2");
    X509 *x = SSL_get0_peer_certificate(c->ssl);
    if (!x || X509_digest(x, EVP_sha256(), ret_fingerprint, &len) != 1)
        return openssl_failed(ERR_CRYPTO, "looking at the other side's certificate");
    return OK;
}

/* ── a certificate of our own ────────────────────────────────────────────────────────────────── */

static bool add_alt_name(X509 *x, const char *name)
{
    char text[300];
    snprintf(text, sizeof text, "DNS:%.250s,DNS:localhost,IP:127.0.0.1", name);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    bool is_ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return is_ok;
}

static bool fill(X509 *x, EVP_PKEY *key, const char *name)
{
    uint8_t number[16];
    if (RAND_bytes(number, sizeof number) != 1)
        return false;
    number[0] = (number[0] & 0x3f) | 0x40; /* positive, and of one length always */
    BIGNUM *serial = BN_bin2bn(number, sizeof number, NULL);
    X509_NAME *subject = X509_get_subject_name(x);
    bool is_ok =
        serial && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) &&
        X509_set_version(x, X509_VERSION_3) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
        X509_gmtime_adj(X509_getm_notAfter(x), 315360000L) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0) == 1 &&
        X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, key) == 1 && add_alt_name(x, name) &&
        X509_sign(x, key, EVP_sha256()) > 0;
    BN_free(serial);
    return is_ok;
}

static bool take_text(BIO *b, buf_t *out)
{
    char *data;
    long len = BIO_get_mem_data(b, &data);
    return len > 0 && !buf_append(out, bytes_of(data, (size_t)len));
}

err_t tls_mutual_make(const char *name, buf_t *ret_certificate, buf_t *ret_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *certificate = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_secmem());
    bool is_ok = key && x && certificate && secret && fill(x, key, name) &&
                 PEM_write_bio_X509(certificate, x) == 1 &&
                 PEM_write_bio_PKCS8PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                 take_text(certificate, ret_certificate) && take_text(secret, ret_key);
    BIO_free(certificate);
    BIO_free(secret);
    X509_free(x);
    EVP_PKEY_free(key);
    return is_ok ? OK : openssl_failed(ERR_CRYPTO, "making a certificate");
}
