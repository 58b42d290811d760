#include "crypto/aes_ctr.h"
#include "crypto/libraries.h"
#include <openssl/evp.h>
#include <stdatomic.h>

enum { MAX_BYTES = 1 << 30 };

/* Fetched once: an implicit fetch at each use would take longer than a small text. */
static EVP_CIPHER *fetched(void)
{
    static _Atomic(EVP_CIPHER *) cache;
    EVP_CIPHER *cipher = atomic_load_explicit(&cache, memory_order_acquire), *other = NULL;
    if (cipher)
        return cipher;
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    if (cipher && !atomic_compare_exchange_strong(&cache, &other, cipher)) {
        EVP_CIPHER_free(cipher);
        cipher = other;
    }
    return cipher;
}

err_t aes_ctr(const uint8_t key[AES_CTR_KEY_BYTES], bytes_t in, uint8_t *out)
{
    static const uint8_t zero[16];
    EVP_CIPHER *cipher = fetched();
    int n = 0;
    if (in.len > MAX_BYTES)
        return fail(ERR_LIMIT, "%zu bytes are too many for one key stream", in.len);
    if (!cipher)
        return fail(ERR_UNSUPPORTED, "OpenSSL gives no AES-256-CTR");
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return fail(ERR_NO_MEMORY, "no memory for a cipher context");
    bool is_ok = EVP_EncryptInit_ex2(ctx, cipher, key, zero, NULL) == 1 &&
                 (!in.len || EVP_EncryptUpdate(ctx, out, &n, in.data, (int)in.len) == 1) &&
                 (size_t)n == in.len;
    EVP_CIPHER_CTX_free(ctx); /* wipes */
    return is_ok ? OK : openssl_failed(ERR_CRYPTO, "AES-256-CTR");
}
