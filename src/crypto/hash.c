#include "crypto/hash.h"
#include "crypto/blake2s.h"
#include "crypto/keccak.h"
#include "crypto/libraries.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#ifdef HAVE_BLAKE3
#include <blake3.h>
#endif

/* Who computes it. */
typedef enum { BY_OPENSSL, BY_OPENSSL_XOF, BY_DOUBLE, BY_KECCAK, BY_BLAKE2B, BY_BLAKE2S, BY_BLAKE3 } maker_t;

static const struct {
    const char *name, *openssl_name;
    uint8_t natural_len;
    maker_t maker;
} kinds[HASH_KIND_COUNT] = {
    [HASH_SHA1] = {"sha1", "SHA1", 20, BY_OPENSSL},
    [HASH_SHA256] = {"sha2-256", "SHA2-256", 32, BY_OPENSSL},
    [HASH_SHA512] = {"sha2-512", "SHA2-512", 64, BY_OPENSSL},
    [HASH_SHA3_224] = {"sha3-224", "SHA3-224", 28, BY_OPENSSL},
    [HASH_SHA3_256] = {"sha3-256", "SHA3-256", 32, BY_OPENSSL},
    [HASH_SHA3_384] = {"sha3-384", "SHA3-384", 48, BY_OPENSSL},
    [HASH_SHA3_512] = {"sha3-512", "SHA3-512", 64, BY_OPENSSL},
    [HASH_SHAKE_256] = {"shake-256", "SHAKE256", 64, BY_OPENSSL_XOF},
    [HASH_KECCAK_224] = {"keccak-224", NULL, 28, BY_KECCAK},
    [HASH_KECCAK_256] = {"keccak-256", NULL, 32, BY_KECCAK},
    [HASH_KECCAK_384] = {"keccak-384", NULL, 48, BY_KECCAK},
    [HASH_KECCAK_512] = {"keccak-512", NULL, 64, BY_KECCAK},
    [HASH_BLAKE2B] = {"blake2b", NULL, 64, BY_BLAKE2B},
    [HASH_BLAKE2S] = {"blake2s", NULL, 32, BY_BLAKE2S},
    [HASH_BLAKE3] = {"blake3", NULL, 32, BY_BLAKE3},
    [HASH_DBL_SHA256] = {"dbl-sha2-256", "SHA2-256", 32, BY_DOUBLE},
    [HASH_MD5] = {"md5", "MD5", 16, BY_OPENSSL},
    [HASH_SHA224] = {"sha2-224", "SHA2-224", 28, BY_OPENSSL},
    [HASH_SHA384] = {"sha2-384", "SHA2-384", 48, BY_OPENSSL},
    [HASH_SHA512_256] = {"sha2-512-256", "SHA2-512/256", 32, BY_OPENSSL},
    [HASH_SHAKE_128] = {"shake-128", "SHAKE128", 32, BY_OPENSSL_XOF},
};

struct hash_ctx {
    union {
        EVP_MD_CTX *openssl;
        keccak_t keccak;
        crypto_generichash_blake2b_state blake2b;
        blake2s_t blake2s;
#ifdef HAVE_BLAKE3
        blake3_hasher blake3;
#endif
    };
    hash_kind_t kind;
    size_t out_len;
};

size_t hash_natural_len(hash_kind_t kind)
{
    assert(kind < HASH_KIND_COUNT);
    return kinds[kind].natural_len;
}

const char *hash_kind_name(hash_kind_t kind)
{
    assert(kind < HASH_KIND_COUNT);
    return kinds[kind].name;
}

/* An implicit fetch at each use would cost more than hashing a small block. */
static EVP_MD *fetched(hash_kind_t kind)
{
    static _Atomic(EVP_MD *) cache[HASH_KIND_COUNT];
    EVP_MD *md = atomic_load_explicit(&cache[kind], memory_order_acquire);
    if (md)
        return md;
    md = EVP_MD_fetch(NULL, kinds[kind].openssl_name, NULL);
    EVP_MD *other = NULL;
    if (md && !atomic_compare_exchange_strong(&cache[kind], &other, md)) {
        EVP_MD_free(md);
        md = other;
    }
    return md;
}

bool hash_is_available(hash_kind_t kind)
{
    assert(kind < HASH_KIND_COUNT);
#ifndef HAVE_BLAKE3
    if (kind == HASH_BLAKE3)
        return false;
#endif
    return !kinds[kind].openssl_name || fetched(kind);
}

static err_t check(hash_kind_t kind, size_t out_len)
{
    size_t max = kinds[kind].natural_len;
    bool is_free = true;
    switch (kinds[kind].maker) {
    case BY_BLAKE3:
    case BY_OPENSSL_XOF:
        max = HASH_MAX_BYTES;
        break;
    case BY_BLAKE2B:
    case BY_BLAKE2S:
        break;
    default:
        is_free = false;
    }
    if (is_free ? !out_len || out_len > max : out_len != max)
        return fail(ERR_INVALID, "%s does not give digests of %zu bytes", kinds[kind].name, out_len);
    if (!hash_is_available(kind))
        return fail(ERR_UNSUPPORTED, "this build has no %s%s", kinds[kind].name,
                    kind == HASH_BLAKE3 ? "; install librust-blake3-dev and build again" : "");
    return OK;
}

static void start(hash_ctx_t *h)
{
    switch (kinds[h->kind].maker) {
    case BY_OPENSSL:
    case BY_OPENSSL_XOF:
    case BY_DOUBLE: {
        int is_started = EVP_DigestInit_ex2(h->openssl, fetched(h->kind), NULL);
        assert(is_started == 1); /* only out of memory can fail here */
        break;
    }
    case BY_KECCAK:
        keccak_init(&h->keccak, h->out_len);
        break;
    case BY_BLAKE2B:
        sodium_ready();
        crypto_generichash_blake2b_init(&h->blake2b, NULL, 0, h->out_len);
        break;
    case BY_BLAKE2S:
        blake2s_init(&h->blake2s, h->out_len);
        break;
    case BY_BLAKE3:
#ifdef HAVE_BLAKE3
        blake3_hasher_init(&h->blake3);
#endif
        break;
    }
}

static bool is_by_openssl(hash_kind_t kind)
{
    return kinds[kind].openssl_name;
}

static err_t new_context(hash_kind_t kind, hash_ctx_t **ret)
{
    hash_ctx_t *h = aligned_alloc(_Alignof(hash_ctx_t), sizeof *h);
    if (!h)
        return fail(ERR_NO_MEMORY, "no memory for a hash context");
    h->kind = kind;
    if (is_by_openssl(kind) && !(h->openssl = EVP_MD_CTX_new())) {
        free(h);
        return fail(ERR_NO_MEMORY, "no memory for a hash context");
    }
    *ret = h;
    return OK;
}

err_t hash_new_sized(hash_kind_t kind, size_t out_len, hash_ctx_t **ret)
{
    hash_ctx_t *h = NULL;
    TRY(check(kind, out_len));
    TRY(new_context(kind, &h));
    h->out_len = out_len;
    start(h);
    *ret = h;
    return OK;
}

err_t hash_new(hash_kind_t kind, hash_ctx_t **ret)
{
    return hash_new_sized(kind, hash_natural_len(kind), ret);
}

void hash_update(hash_ctx_t *h, bytes_t data)
{
    if (!data.len)
        return;
    switch (kinds[h->kind].maker) {
    case BY_OPENSSL:
    case BY_OPENSSL_XOF:
    case BY_DOUBLE: {
        int is_taken = EVP_DigestUpdate(h->openssl, data.data, data.len);
        assert(is_taken == 1);
        break;
    }
    case BY_KECCAK:
        keccak_update(&h->keccak, data);
        break;
    case BY_BLAKE2B:
        crypto_generichash_blake2b_update(&h->blake2b, data.data, data.len);
        break;
    case BY_BLAKE2S:
        blake2s_update(&h->blake2s, data);
        break;
    case BY_BLAKE3:
#ifdef HAVE_BLAKE3
        blake3_hasher_update(&h->blake3, data.data, data.len);
#endif
        break;
    }
}

static void finish(hash_ctx_t *h, uint8_t *out)
{
    int is_done = 1;
    switch (kinds[h->kind].maker) {
    case BY_OPENSSL:
        is_done = EVP_DigestFinal_ex(h->openssl, out, NULL);
        break;
    case BY_DOUBLE:
        is_done = EVP_DigestFinal_ex(h->openssl, out, NULL);
        sha256_of(bytes_of(out, 32), out);
        break;
    case BY_OPENSSL_XOF:
        is_done = EVP_DigestFinalXOF(h->openssl, out, h->out_len);
        break;
    case BY_KECCAK:
        keccak_finish(&h->keccak, out, h->out_len);
        break;
    case BY_BLAKE2B:
        crypto_generichash_blake2b_final(&h->blake2b, out, h->out_len);
        break;
    case BY_BLAKE2S:
        blake2s_finish(&h->blake2s, out);
        break;
    case BY_BLAKE3:
#ifdef HAVE_BLAKE3
        blake3_hasher_finalize(&h->blake3, out, h->out_len);
#endif
        break;
    }
    assert(is_done == 1);
}

err_t hash_finish(hash_ctx_t *h, uint8_t *out, size_t out_len)
{
    if (out_len != h->out_len)
        return fail(ERR_INVALID, "this %s gives %zu bytes, not %zu", kinds[h->kind].name, h->out_len,
                    out_len);
    finish(h, out);
    start(h);
    return OK;
}

void hash_free(hash_ctx_t *h)
{
    if (!h)
        return;
    if (is_by_openssl(h->kind))
        EVP_MD_CTX_free(h->openssl);
    secret_wipe(h, sizeof *h);
    free(h);
}

/* The calling thread's own contexts, made when first used, freed when it ends. */
static pthread_key_t threads_key;
static pthread_once_t threads_once = PTHREAD_ONCE_INIT;

static void free_contexts(void *arg)
{
    hash_ctx_t **contexts = (hash_ctx_t **)arg;
    for (int kind = 0; kind < HASH_KIND_COUNT; kind++) {
        hash_free(contexts[kind]);
        contexts[kind] = NULL;
    }
}

static void make_threads_key(void)
{
    int e = pthread_key_create(&threads_key, free_contexts);
    assert(!e);
}

static err_t thread_context(hash_kind_t kind, hash_ctx_t **ret)
{
    static _Thread_local hash_ctx_t *contexts[HASH_KIND_COUNT];
    if (!contexts[kind]) {
        pthread_once(&threads_once, make_threads_key);
        if (pthread_setspecific(threads_key, contexts))
            return fail(ERR_NO_MEMORY, "no memory for a hash context");
        TRY(new_context(kind, &contexts[kind]));
    }
    *ret = contexts[kind];
    return OK;
}

err_t hash_of_pieces(hash_kind_t kind, const bytes_t *pieces, size_t n, uint8_t *out, size_t out_len)
{
    hash_ctx_t *h = NULL;
    TRY(check(kind, out_len));
    TRY(thread_context(kind, &h));
    h->out_len = out_len;
    start(h);
    for (size_t i = 0; i < n; i++)
        hash_update(h, pieces[i]);
    finish(h, out);
    return OK;
}

err_t hash_of(hash_kind_t kind, bytes_t data, uint8_t *out, size_t out_len)
{
    return hash_of_pieces(kind, &data, 1, out, out_len);
}

static void sha256_of_pieces(const bytes_t *pieces, size_t n, uint8_t out[32])
{
    err_t e = hash_of_pieces(HASH_SHA256, pieces, n, out, 32);
    assert(!e);
}

void sha256_of(bytes_t data, uint8_t out[32])
{
    sha256_of_pieces(&data, 1, out);
}

void hmac_sha256(bytes_t key, bytes_t data, uint8_t out[32])
{
    enum { BLOCK = 64, INNER = 0x36, OUTER = 0x5c };
    uint8_t pad[BLOCK] = {0}, inner[32];
    if (key.len > BLOCK)
        sha256_of(key, pad);
    else if (key.len)
        memcpy(pad, key.data, key.len);
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= INNER;
    sha256_of_pieces((bytes_t[]){bytes_of(pad, BLOCK), data}, 2, inner);
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= INNER ^ OUTER;
    sha256_of_pieces((bytes_t[]){bytes_of(pad, BLOCK), bytes_of(inner, sizeof inner)}, 2, out);
    secret_wipe(pad, sizeof pad);
    secret_wipe(inner, sizeof inner);
}

void hkdf_sha256_2(const uint8_t salt[32], bytes_t input, uint8_t out1[32], uint8_t out2[32])
{
    uint8_t key[32], first[33];
    hmac_sha256(bytes_of(salt, 32), input, key);
    hmac_sha256(bytes_of(key, sizeof key), BYTES_LIT("\x01"), first);
    first[32] = 2;
    hmac_sha256(bytes_of(key, sizeof key), bytes_of(first, sizeof first), out2); /* out1 may be the salt */
    memcpy(out1, first, 32);
    secret_wipe(key, sizeof key);
    secret_wipe(first, sizeof first);
}
