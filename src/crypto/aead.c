#include "crypto/aead.h"
#include <limits.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

struct aead {
    EVP_CIPHER_CTX *ctx; /* holds the key; a new nonce restarts it */
};

static const char *const names[AEAD_KIND_COUNT] = {
    [AEAD_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
    [AEAD_AES_128_GCM] = "AES-128-GCM",
    [AEAD_AES_256_GCM] = "AES-256-GCM",
};

static EVP_CIPHER *fetched(aead_kind_t kind)
{
    static _Atomic(EVP_CIPHER *) cache[AEAD_KIND_COUNT];
    EVP_CIPHER *cipher = atomic_load_explicit(&cache[kind], memory_order_acquire);
    if (cipher)
        return cipher;
    cipher = EVP_CIPHER_fetch(NULL, names[kind], NULL);
    EVP_CIPHER *other = NULL;
    if (cipher && !atomic_compare_exchange_strong(&cache[kind], &other, cipher)) {
        EVP_CIPHER_free(cipher);
        cipher = other;
    }
    return cipher;
}

size_t aead_key_bytes(aead_kind_t kind)
{
    return kind == AEAD_AES_128_GCM ? 16 : 32;
}

err_t aead_new(aead_kind_t kind, const uint8_t *key, aead_t **ret)
{
    EVP_CIPHER *cipher = fetched(kind);
    if (!cipher)
        return fail(ERR_UNSUPPORTED, "OpenSSL gives no %s; is a FIPS-only configuration active?",
                    names[kind]);
    aead_t *a = xcalloc(1, sizeof *a);
    a->ctx = EVP_CIPHER_CTX_new();
    if (!a->ctx || EVP_EncryptInit_ex2(a->ctx, cipher, key, NULL, NULL) != 1) {
        aead_free(a);
        return fail(ERR_NO_MEMORY, "no memory for a cipher context");
    }
    *ret = a;
    return OK;
}

err_t aead_new_chacha20_poly1305(const uint8_t key[32], aead_t **ret)
{
    return aead_new(AEAD_CHACHA20_POLY1305, key, ret);
}

void aead_free(aead_t *a)
{
    if (!a)
        return;
    EVP_CIPHER_CTX_free(a->ctx); /* wipes */
    free(a);
}

/* Nonce, associated data and text go in; all but the tag is done after. */
static bool run(EVP_CIPHER_CTX *ctx, bool is_sealing, const uint8_t nonce[12], bytes_t ad, bytes_t in,
                uint8_t *out)
{
    int n;
    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, is_sealing, NULL) == 1 &&
           (!ad.len || EVP_CipherUpdate(ctx, NULL, &n, ad.data, (int)ad.len) == 1) &&
           (!in.len || EVP_CipherUpdate(ctx, out, &n, in.data, (int)in.len) == 1);
}

err_t aead_seal(aead_t *a, const uint8_t nonce[12], bytes_t ad, bytes_t plain, uint8_t *out)
{
    int n;
    if (plain.len > INT_MAX - AEAD_TAG_BYTES || ad.len > INT_MAX)
        return fail(ERR_LIMIT, "%zu bytes are too many for one seal", plain.len);
    if (!run(a->ctx, true, nonce, ad, plain, out) || EVP_CipherFinal_ex(a->ctx, out + plain.len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out + plain.len) != 1)
        return fail(ERR_CRYPTO, "OpenSSL refused to encrypt %zu bytes", plain.len);
    return OK;
}

err_t aead_seal_pieces(aead_t *a, const uint8_t nonce[12], bytes_t ad, const bytes_t *pieces, size_t n,
                       uint8_t *out)
{
    int used;
    bool is_ok = ad.len <= INT_MAX && run(a->ctx, true, nonce, ad, BYTES_NONE, out);
    for (size_t i = 0; is_ok && i < n; i++) {
        if (pieces[i].len > INT_MAX - AEAD_TAG_BYTES)
            return fail(ERR_LIMIT, "%zu bytes are too many for one seal", pieces[i].len);
        is_ok =
            !pieces[i].len || EVP_CipherUpdate(a->ctx, out, &used, pieces[i].data, (int)pieces[i].len) == 1;
        out += pieces[i].len;
    }
    if (!is_ok || EVP_CipherFinal_ex(a->ctx, out, &used) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out) != 1)
        return fail(ERR_CRYPTO, "OpenSSL refused to encrypt");
    return OK;
}

err_t aead_open(aead_t *a, const uint8_t nonce[12], bytes_t ad, bytes_t sealed, uint8_t *out)
{
    if (sealed.len < AEAD_TAG_BYTES)
        return fail(ERR_CRYPTO, "a sealed message of %zu bytes has no room for its tag", sealed.len);
    if (sealed.len > INT_MAX || ad.len > INT_MAX)
        return fail(ERR_LIMIT, "%zu bytes are too many for one open", sealed.len);
    size_t len = sealed.len - AEAD_TAG_BYTES;
    uint8_t tag[AEAD_TAG_BYTES], none[AEAD_TAG_BYTES];
    int n;
    memcpy(tag, sealed.data + len, sizeof tag); /* out may lie over it */
    if (!run(a->ctx, false, nonce, ad, bytes_of(sealed.data, len), out) ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1 ||
        EVP_CipherFinal_ex(a->ctx, none, &n) != 1) {
        secret_wipe(out, len);
        return fail(ERR_CRYPTO, "the tag of a sealed message of %zu bytes is wrong", sealed.len);
    }
    return OK;
}
