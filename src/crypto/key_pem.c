#include "crypto/key_pem.h"
#include "crypto/der.h"
#include "crypto/key_type.h"
#include <openssl/err.h>
#include <openssl/pem.h>

enum { PEM_MAX_BYTES = 64 << 10, SEED_BYTES = 32 };
static const char label[] = "PRIVATE KEY";
static const uint8_t oid_ed25519[] = {0x2b, 0x65, 0x70};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static EVP_PKEY *openssl_key(const private_key_t *k)
{
    if (k->public_key.type == KEY_ED25519)
        return EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, k->secret, SEED_BYTES);
    if (k->openssl)
        EVP_PKEY_up_ref(k->openssl);
    return k->openssl;
}

err_t private_key_to_pem(const private_key_t *k, buf_t *out)
{
    if (k->public_key.type == KEY_SECP256K1)
        return fail(ERR_UNSUPPORTED,
                    "secp256k1 keys have no PKCS #8 form: export as libp2p-protobuf-cleartext");
    EVP_PKEY *key = openssl_key(k);
    PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
    BIO *memory = BIO_new(BIO_s_secmem());
    char *text;
    long len = info && memory && PEM_write_bio_PKCS8_PRIV_KEY_INFO(memory, info) == 1
                   ? BIO_get_mem_data(memory, &text)
                   : 0;
    err_t e = len > 0 ? buf_append(out, bytes_of(text, (size_t)len))
                      : openssl_failed(ERR_CRYPTO, "OpenSSL cannot write the private key");
    BIO_free(memory);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(key);
    return e;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t from_pkcs8(bytes_t der, private_key_t **ret)
{
    reader_t r = reader_of(der);
    reader_t info = der_read_nested(&r, DER_SEQUENCE);
    bytes_t version = der_read_uint(&info);
    reader_t algorithm = der_read_nested(&info, DER_SEQUENCE);
    bytes_t oid = der_read(&algorithm, DER_OID);
    bytes_t key = der_read(&info, DER_OCTET_STRING); /* attributes may follow it */
    if (r.err || info.err || algorithm.err || reader_left(&r) || version.len != 1 || version.data[0] > 1)
        return fail(ERR_INVALID, "parsing PKCS8 format: the PEM block holds no PKCS #8 structure");
    if (bytes_equal(oid, bytes_of(oid_rsa, sizeof oid_rsa)))
        return private_key_from_data(KEY_RSA, key, ret);
    if (bytes_equal(oid, bytes_of(oid_ec, sizeof oid_ec)))
        return private_key_from_data(KEY_ECDSA, der, ret);
    if (!bytes_equal(oid, bytes_of(oid_ed25519, sizeof oid_ed25519)))
        return fail(ERR_UNSUPPORTED, "parsing PKCS8 format: a key of an unknown algorithm");
    reader_t inner = reader_of(key);
    bytes_t seed = der_read(&inner, DER_OCTET_STRING);
    if (inner.err || reader_left(&inner) || seed.len != SEED_BYTES)
        return fail(ERR_INVALID, "parsing PKCS8 format: the Ed25519 key has not %d bytes", SEED_BYTES);
    return private_key_generate(KEY_ED25519, seed.data, 0, ret);
}

typedef struct pem_block {
    char *name, *header;
    unsigned char *data;
    long len;
} pem_block_t;

static bool read_block(bytes_t text, pem_block_t *ret)
{
    BIO *memory = text.len <= PEM_MAX_BYTES ? BIO_new_mem_buf(text.data, (int)text.len) : NULL;
    bool has = memory && PEM_read_bio(memory, &ret->name, &ret->header, &ret->data, &ret->len) == 1;
    BIO_free(memory);
    ERR_clear_error();
    return has;
}

static void free_block(pem_block_t *b)
{
    OPENSSL_free(b->name);
    OPENSSL_free(b->header);
    OPENSSL_clear_free(b->data, (size_t)b->len);
}

err_t private_key_from_pem(bytes_t text, private_key_t **ret)
{
    pem_block_t b = {0};
    if (!read_block(text, &b))
        return fail(ERR_INVALID, "PEM block not found in input data");
    err_t e = strcmp(b.name, label) == 0
                  ? from_pkcs8(bytes_of(b.data, (size_t)b.len), ret)
                  : fail(ERR_INVALID, "expected PRIVATE KEY type in PEM block but got: %.40s", b.name);
    free_block(&b);
    return e;
}

bool pem_has_block(bytes_t text)
{
    pem_block_t b = {0};
    bool has = read_block(text, &b);
    if (has)
        free_block(&b);
    return has;
}
