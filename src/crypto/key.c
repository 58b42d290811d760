#include "crypto/key.h"
#include "crypto/key_type.h"
#include <openssl/err.h>
#include <sodium.h>

enum { PRIVATE_KEY_MAX_BYTES = 8192, SIGNATURE_MAX_BYTES = 1024 }; /* RSA of 8192 bits fits both */

static const key_methods_t *const types[] = {
    [KEY_RSA] = &key_rsa,
    [KEY_ED25519] = &key_ed25519,
    [KEY_SECP256K1] = &key_secp256k1,
    [KEY_ECDSA] = &key_ecdsa,
};

static err_t find_type(key_type_t type, const key_methods_t **ret)
{
    if ((unsigned)type >= ARRAY_LEN(types))
        return fail(ERR_UNSUPPORTED, "keys of type %u are unknown", (unsigned)type);
    *ret = types[type];
    return OK;
}

err_t public_key_from_data(key_type_t type, bytes_t data, public_key_t *ret)
{
    const key_methods_t *methods = NULL;
    TRY(find_type(type, &methods));
    if (data.len > PUBLIC_KEY_MAX_BYTES) /* before any work: a peer chose the size */
        return fail(ERR_LIMIT, "a public %s key of %zu bytes is over the limit of %d", methods->name,
                    data.len, PUBLIC_KEY_MAX_BYTES);
    TRY(methods->check_public(data));
    public_key_t k = {.type = type, .len = (uint16_t)data.len};
    memcpy(k.data, data.data, data.len);
    *ret = k;
    return OK;
}

err_t public_key_verify(const public_key_t *k, bytes_t message, bytes_t signature)
{
    const key_methods_t *methods = NULL;
    TRY(find_type(k->type, &methods));
    if (!signature.len || signature.len > SIGNATURE_MAX_BYTES)
        return fail(ERR_CRYPTO, "%zu bytes are no %s signature", signature.len, methods->name);
    return methods->verify(bytes_of(k->data, k->len), message, signature);
}

bool public_key_equal(const public_key_t *a, const public_key_t *b)
{
    return a->type == b->type && bytes_equal(bytes_of(a->data, a->len), bytes_of(b->data, b->len));
}

static err_t new_key(key_type_t type, private_key_t **ret)
{
    sodium_ready();
    private_key_t *k = sodium_malloc(sizeof *k); /* guarded, and kept out of swap where that is allowed */
    if (!k)
        return fail(ERR_NO_MEMORY, "no locked memory for a private key; is `ulimit -l` too low?");
    *k = (private_key_t){.public_key.type = type};
    *ret = k;
    return OK;
}

err_t private_key_from_data(key_type_t type, bytes_t data, private_key_t **ret)
{
    const key_methods_t *methods = NULL;
    AUTO_PTR(private_key_t) k = NULL;
    TRY(find_type(type, &methods));
    if (data.len > PRIVATE_KEY_MAX_BYTES)
        return fail(ERR_LIMIT, "a private %s key of %zu bytes is over the limit of %d", methods->name,
                    data.len, PRIVATE_KEY_MAX_BYTES);
    TRY(new_key(type, &k));
    TRY(methods->load(data, k));
    *ret = k;
    k = NULL;
    return OK;
}

err_t private_key_generate(key_type_t type, const uint8_t *seed, int rsa_bits, private_key_t **ret)
{
    const key_methods_t *methods = NULL;
    AUTO_PTR(private_key_t) k = NULL;
    TRY(find_type(type, &methods));
    if (seed && type != KEY_ED25519)
        return fail(ERR_INVALID, "%s keys are not made from a seed", methods->name);
    TRY(new_key(type, &k));
    TRY(methods->generate(seed, rsa_bits, k));
    *ret = k;
    k = NULL;
    return OK;
}

void private_key_free(private_key_t *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->openssl);
    sodium_free(k); /* wipes */
}

key_type_t private_key_type(const private_key_t *k)
{
    return k->public_key.type;
}

const public_key_t *private_key_public(const private_key_t *k)
{
    return &k->public_key;
}

err_t private_key_data(const private_key_t *k, buf_t *out)
{
    return types[k->public_key.type]->data(k, out);
}

err_t private_key_sign(const private_key_t *k, bytes_t message, buf_t *out)
{
    return types[k->public_key.type]->sign(k, message, out);
}

err_t openssl_failed(err_t e, const char *what)
{
    ERR_clear_error();
    return fail(e, "%s", what);
}

err_t openssl_verify(EVP_PKEY *key, const char *name, bytes_t message, bytes_t signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_good = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA2-256", NULL, NULL, key, NULL) == 1 &&
                   EVP_DigestVerify(ctx, signature.data, signature.len, message.data, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return is_good ? OK : fail(ERR_CRYPTO, "the %s signature is wrong", name);
}

err_t openssl_check_public(openssl_open_fn open, bytes_t data)
{
    EVP_PKEY *key;
    TRY(open(data, &key));
    EVP_PKEY_free(key);
    return OK;
}

err_t openssl_verify_with(openssl_open_fn open, const char *name, bytes_t data, bytes_t message,
                          bytes_t signature)
{
    EVP_PKEY *key;
    TRY(open(data, &key));
    err_t e = openssl_verify(key, name, message, signature);
    EVP_PKEY_free(key);
    return e;
}

err_t openssl_sign(EVP_PKEY *key, const char *name, bytes_t message, buf_t *out)
{
    uint8_t signature[SIGNATURE_MAX_BYTES];
    size_t len = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_done = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA2-256", NULL, NULL, key, NULL) == 1 &&
                   EVP_DigestSign(ctx, signature, &len, message.data, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!is_done)
        return fail(ERR_CRYPTO, "signing with the %s key failed", name);
    return buf_append(out, bytes_of(signature, len));
}
