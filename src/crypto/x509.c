#include "crypto/x509.h"
#include "crypto/libraries.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, SECURITY_BITS_MIN = 112 };

struct x509_key {
    EVP_PKEY *key;
};

err_t x509_key_new(x509_key_t **ret)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        return openssl_failed(ERR_CRYPTO, "making a P-256 key");
    x509_key_t *k = xmalloc(sizeof *k);
    k->key = key;
    *ret = k;
    return OK;
}

void x509_key_free(x509_key_t *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->key);
    free(k);
}

/* Appends what an i2d function of OpenSSL made; takes `der`. */
static err_t append_der(uint8_t *der, int len, buf_t *out)
{
    if (len <= 0)
        return openssl_failed(ERR_CRYPTO, "encoding DER");
    err_t e = buf_append(out, bytes_of(der, (size_t)len));
    OPENSSL_clear_free(der, (size_t)len);
    return e;
}

err_t x509_key_spki(const x509_key_t *k, buf_t *out)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(k->key, &der);
    return append_der(der, len, out);
}

err_t x509_key_pkcs8(const x509_key_t *k, buf_t *out)
{
    uint8_t *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k->key);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
    PKCS8_PRIV_KEY_INFO_free(info);
    return append_der(der, len, out);
}

static bool add_extension(X509 *x, const char *oid, bytes_t value)
{
    ASN1_OBJECT *name = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *content = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    bool is_added = name && content && ASN1_OCTET_STRING_set(content, value.data, (int)value.len) == 1 &&
                    (extension = X509_EXTENSION_create_by_OBJ(NULL, name, 0, content)) &&
                    X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(content);
    ASN1_OBJECT_free(name);
    return is_added;
}

static bool fill(X509 *x, EVP_PKEY *key)
{
    uint8_t number[9];
    if (RAND_bytes(number, 8) != 1)
        return false;
    number[0] = (number[0] & 0x3f) | 0x40; /* positive, and of one length always */
    BIGNUM *serial = BN_bin2bn(number, 8, NULL);
    bool is_filled = serial && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) &&
                     X509_set_version(x, X509_VERSION_3) == 1 &&
                     ASN1_TIME_set_string(X509_getm_notBefore(x), "19750101000000Z") == 1 &&
                     ASN1_TIME_set_string(X509_getm_notAfter(x), "40960101000000Z") == 1 &&
                     X509_set_pubkey(x, key) == 1;
    BN_free(serial);
    return is_filled;
}

err_t x509_self_sign(const x509_key_t *k, const char *oid, bytes_t value, buf_t *out)
{
    X509 *x = X509_new();
    uint8_t *der = NULL;
    int len = 0;
    if (x && fill(x, k->key) && add_extension(x, oid, value) && X509_sign(x, k->key, EVP_sha256()) > 0)
        len = i2d_X509(x, &der);
    X509_free(x);
    return append_der(der, len, out);
}

/* ── checking ────────────────────────────────────────────────────────────────────────────────── */
static err_t find_extension(const X509 *x, const char *oid, buf_t *ret_value)
{
    char name[64];
    bool is_found = false;
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *extension = X509_get_ext(x, i);
        const ASN1_OCTET_STRING *content = X509_EXTENSION_get_data(extension);
        OBJ_obj2txt(name, sizeof name, X509_EXTENSION_get_object(extension), 1);
        if (strcmp(name, oid) != 0) {
            if (X509_EXTENSION_get_critical(extension) && !X509_supported_extension(extension))
                return fail(ERR_INVALID, "the certificate has a critical extension %s", name);
            continue;
        }
        if (is_found)
            return fail(ERR_INVALID, "the certificate has the extension %s twice", oid);
        is_found = true;
        TRY(buf_append(ret_value,
                       bytes_of(ASN1_STRING_get0_data(content), (size_t)ASN1_STRING_length(content))));
    }
    return is_found ? OK : fail(ERR_INVALID, "the certificate has no extension %s", oid);
}

static err_t check_times(const X509 *x, uint64_t now_s)
{
    time_t now = (time_t)now_s;
    int begun = X509_cmp_time(X509_get0_notBefore(x), &now),
        ended = X509_cmp_time(X509_get0_notAfter(x), &now);
    if (begun >= 0)
        return fail(ERR_INVALID, "the certificate is not valid yet");
    return ended > 0 ? OK : fail(ERR_INVALID, "the certificate is not valid any more");
}

static err_t check_signature(X509 *x, EVP_PKEY *key)
{
    int digest, kind, bits;
    uint32_t flags;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA || EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA_PSS) {
        if (EVP_PKEY_get_bits(key) > RSA_BITS_MAX)
            return fail(ERR_LIMIT, "an RSA key of %d bits", EVP_PKEY_get_bits(key));
        if (EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
            return fail(ERR_INVALID, "an RSA key of %d bits", EVP_PKEY_get_bits(key));
    }
    if (X509_get_signature_info(x, &digest, &kind, &bits, &flags) != 1 || bits < SECURITY_BITS_MIN)
        return fail(ERR_INVALID, "the certificate is signed in a way that is unknown or too weak");
    if (X509_verify(x, key) != 1)
        return fail(ERR_CRYPTO, "the certificate's signature is wrong");
    return OK;
}

static err_t check(X509 *x, const char *oid, uint64_t now_s, buf_t *ret_spki, buf_t *ret_value)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    uint8_t *der = NULL;
    if (!key || X509_get_version(x) != X509_VERSION_3)
        return fail(ERR_INVALID, "the certificate's key or version is unknown");
    TRY(find_extension(x, oid, ret_value));
    TRY(check_times(x, now_s));
    TRY(check_signature(x, key));
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    return append_der(der, len, ret_spki);
}

err_t x509_check_self_signed(bytes_t der, const char *oid, uint64_t now_s, buf_t *ret_spki, buf_t *ret_value)
{
    if (der.len > X509_MAX_BYTES)
        return fail(ERR_LIMIT, "a certificate of %zu bytes is over the limit of %d", der.len, X509_MAX_BYTES);
    const uint8_t *at = der.data;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);
    err_t e = x && at == der.data + der.len ? check(x, oid, now_s, ret_spki, ret_value)
                                            : fail(ERR_INVALID, "this is no certificate");
    X509_free(x);
    ERR_clear_error();
    return e;
}
