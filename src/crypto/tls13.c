#include "crypto/tls13.h"
#include "crypto/libraries.h"
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROTOCOLS_MAX = 16, CERTIFICATES_MAX_BYTES = 16384, ALPN_MAX_BYTES = 1024 };

struct tls13_identity {
    SSL_CTX *context;
};

struct tls13 {
    tls13_config_t config;
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool is_done, has_client, has_server;
    tls13_secrets_t secrets;
    err_t check_error;
    char why[200]; /* of check_error */
};

/* ── what OpenSSL asks and tells ─────────────────────────────────────────────────────────────── */
static int check_certificate(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    tls13_t *t = SSL_get_app_data(ssl);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    uint8_t *der = NULL;
    int len = sk_X509_num(chain) == 1 ? i2d_X509(sk_X509_value(chain, 0), &der) : 0;
    t->check_error =
        len > 0 ? t->config.check(t->config.arg, bytes_of(der, (size_t)len))
                : fail(ERR_CRYPTO, "the other side shows %d certificates, not one", sk_X509_num(chain));
    OPENSSL_free(der);
    if (!t->check_error)
        return 1;
    snprintf(t->why, sizeof t->why, "%s", error_text(t->check_error));
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* The first of the client's protocols that we speak. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned int in_len, void *arg)
{
    const tls13_t *t = SSL_get_app_data(ssl);
    for (unsigned int at = 0; at < in_len; at += 1 + in[at])
        for (size_t i = 0; i < t->config.n_protocols; i++)
            if (bytes_equal(bytes_of(in + at + 1, in[at]), bytes_str(t->config.protocols[i]))) {
                *out = in + at + 1;
                *out_len = in[at];
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Lines of the NSS key log: "LABEL RANDOM SECRET". The public way to the secrets. */
static void take_secret(const SSL *ssl, const char *line)
{
    tls13_t *t = SSL_get_app_data(ssl);
    bool is_client = !strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24);
    const char *hex = strrchr(line, ' ');
    AUTO(buf_t) secret;
    buf_init(&secret, TLS13_SECRET_MAX_BYTES);
    if (!hex || (!is_client && strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0) ||
        hex_decode(bytes_str(hex + 1), &secret))
        return;
    memcpy(is_client ? t->secrets.client : t->secrets.server, secret.data, secret.len);
    t->secrets.len = (uint8_t)secret.len;
    *(is_client ? &t->has_client : &t->has_server) = true;
    secret_wipe(secret.data, secret.cap);
}

/* ── identities ──────────────────────────────────────────────────────────────────────────────── */
static bool load(SSL_CTX *c, bytes_t certificate, bytes_t pkcs8)
{
    const uint8_t *at = pkcs8.data;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)pkcs8.len);
    bool is_loaded = key && SSL_CTX_use_certificate_ASN1(c, (int)certificate.len, certificate.data) == 1 &&
                     SSL_CTX_use_PrivateKey(c, key) == 1;
    EVP_PKEY_free(key);
    return is_loaded;
}

/* AES first: slower than ChaCha20 only where the processor has no instructions for it, and then the other
 * side's order may still decide. */
static bool set_up(SSL_CTX *c)
{
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(c, check_certificate, NULL);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    SSL_CTX_set_keylog_callback(c, take_secret);
    SSL_CTX_set_max_cert_list(c, CERTIFICATES_MAX_BYTES);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    return SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(c, 0) == 1 &&
           SSL_CTX_set_ciphersuites(
               c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set1_groups_list(c, "X25519:P-256") == 1;
}

err_t tls13_identity_new(bytes_t certificate, bytes_t pkcs8, tls13_identity_t **ret)
{
    tls13_identity_t *i = xcalloc(1, sizeof *i);
    i->context = SSL_CTX_new(TLS_method());
    if (!i->context || !set_up(i->context) || !load(i->context, certificate, pkcs8)) {
        tls13_identity_free(i);
        return openssl_failed(ERR_CRYPTO, "setting up TLS 1.3");
    }
    *ret = i;
    return OK;
}

void tls13_identity_free(tls13_identity_t *i)
{
    if (!i)
        return;
    SSL_CTX_free(i->context);
    free(i);
}

/* ── a handshake ─────────────────────────────────────────────────────────────────────────────── */
static bool offer_protocols(tls13_t *t)
{
    uint8_t list[ALPN_MAX_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < t->config.n_protocols; i++) {
        size_t n = strlen(t->config.protocols[i]);
        assert(n && n <= UINT8_MAX && i < PROTOCOLS_MAX && len + 1 + n <= sizeof list);
        list[len++] = (uint8_t)n;
        memcpy(list + len, t->config.protocols[i], n);
        len += n;
    }
    return !len || !SSL_set_alpn_protos(t->ssl, list, (unsigned int)len);
}

static err_t start(tls13_t *t)
{
    t->ssl = SSL_new(t->config.identity->context);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        BIO_free(t->in);
        BIO_free(t->out);
        return openssl_failed(ERR_NO_MEMORY, "starting a TLS handshake");
    }
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_app_data(t->ssl, t);
    if (!t->config.is_client) {
        SSL_set_accept_state(t->ssl);
        return OK;
    }
    SSL_set_connect_state(t->ssl);
    if (!offer_protocols(t))
        return openssl_failed(ERR_NO_MEMORY, "starting a TLS handshake");
    return tls13_feed(t, BYTES_NONE);
}

err_t tls13_new(const tls13_config_t *c, tls13_t **ret)
{
    tls13_t *t = xcalloc(1, sizeof *t);
    t->config = *c;
    err_t e = start(t);
    if (e)
        tls13_free(t);
    else
        *ret = t;
    return e;
}

void tls13_free(tls13_t *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    secret_wipe(&t->secrets, sizeof t->secrets);
    free(t);
}

static err_t handshake_failed(tls13_t *t)
{
    char text[sizeof t->why];
    unsigned long code = ERR_peek_last_error();
    if (t->check_error)
        snprintf(text, sizeof text, "%s", t->why);
    else if (code)
        ERR_error_string_n(code, text, sizeof text);
    else
        snprintf(text, sizeof text, "the other side ended it");
    ERR_clear_error();
    return fail(t->check_error ? t->check_error : ERR_CRYPTO, "TLS handshake: %s", text);
}

static err_t end(tls13_t *t)
{
    static const struct {
        const char *name;
        aead_kind_t aead;
        hash_kind_t hash;
    } suites[] = {{"TLS_AES_128_GCM_SHA256", AEAD_AES_128_GCM, HASH_SHA256},
                  {"TLS_AES_256_GCM_SHA384", AEAD_AES_256_GCM, HASH_SHA384},
                  {"TLS_CHACHA20_POLY1305_SHA256", AEAD_CHACHA20_POLY1305, HASH_SHA256}};
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        if (strcmp(SSL_get_cipher_name(t->ssl), suites[i].name) != 0 || !t->has_client || !t->has_server ||
            BIO_ctrl_pending(t->in))
            continue;
        t->secrets.aead = suites[i].aead;
        t->secrets.hash = suites[i].hash;
        t->is_done = true;
        return OK;
    }
    return fail(ERR_CRYPTO, "TLS handshake: ended without keys for %s", SSL_get_cipher_name(t->ssl));
}

err_t tls13_feed(tls13_t *t, bytes_t record)
{
    assert(!t->is_done && record.len <= INT32_MAX);
    if (record.len && BIO_write(t->in, record.data, (int)record.len) != (int)record.len)
        return openssl_failed(ERR_NO_MEMORY, "taking a TLS record");
    ERR_clear_error();
    int n = SSL_do_handshake(t->ssl);
    if (n == 1)
        return end(t);
    return SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ ? OK : handshake_failed(t);
}

err_t tls13_output(tls13_t *t, buf_t *out)
{
    uint8_t *data;
    long len = BIO_get_mem_data(t->out, &data);
    if (len <= 0)
        return OK;
    TRY(buf_append(out, bytes_of(data, (size_t)len)));
    (void)BIO_reset(t->out);
    return OK;
}

bool tls13_is_done(const tls13_t *t)
{
    return t->is_done;
}

const tls13_secrets_t *tls13_secrets(const tls13_t *t)
{
    return &t->secrets;
}

bytes_t tls13_protocol(const tls13_t *t)
{
    const unsigned char *name;
    unsigned int len;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return bytes_of(name, len);
}

/* One block of HKDF-Expand is enough, since no output is longer than the hash. */
err_t tls13_expand_label(hash_kind_t hash, bytes_t secret, const char *label, uint8_t *out, size_t out_len)
{
    uint8_t info[64], block[EVP_MAX_MD_SIZE];
    unsigned int block_len = 0;
    size_t label_len = strlen(label);
    assert(label_len < 40 && out_len <= hash_natural_len(hash));
    int len = snprintf((char *)info + 2, sizeof info - 2, "%ctls13 %s", (int)(6 + label_len), label) + 2;
    info[0] = 0;
    info[1] = (uint8_t)out_len;
    info[len++] = 0; /* no context */
    info[len++] = 1; /* the first block */
    if (!HMAC(hash == HASH_SHA384 ? EVP_sha384() : EVP_sha256(), secret.data, (int)secret.len, info,
              (size_t)len, block, &block_len))
        return openssl_failed(ERR_CRYPTO, "HKDF");
    memcpy(out, block, out_len);
    secret_wipe(block, sizeof block);
    return OK;
}
