/* hash: message digests and HMAC. Algorithms are fetched once per process; contexts are reused per
 * thread. One-shot functions may run on any thread. */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H
#include "base/bytes.h"

typedef enum {
    HASH_SHA1,
    HASH_SHA256,
    HASH_SHA512,
    HASH_SHA3_224,
    HASH_SHA3_256,
    HASH_SHA3_384,
    HASH_SHA3_512,
    HASH_SHAKE_256 /* 64 bytes out */,
    HASH_KECCAK_224,
    HASH_KECCAK_256,
    HASH_KECCAK_384,
    HASH_KECCAK_512,
    HASH_BLAKE2B,
    HASH_BLAKE2S,
    HASH_BLAKE3,
    HASH_DBL_SHA256,
    HASH_MD5,
    HASH_SHA224,
    HASH_SHA384,
    HASH_SHA512_256,
    HASH_SHAKE_128 /* 32 bytes out */,
    HASH_KIND_COUNT
} hash_kind_t;
#define HASH_MAX_BYTES 128

/* The length that the function gives when none is wished. */
size_t hash_natural_len(hash_kind_t kind);
/* "sha2-256", as the multicodec table spells it, without a length for BLAKE2. */
const char *hash_kind_name(hash_kind_t kind);
/* Whether this build can compute it (BLAKE3 may be absent). */
bool hash_is_available(hash_kind_t kind);
/* out_len: the natural length, or for BLAKE2, BLAKE3 and SHAKE the wanted one. ERR_UNSUPPORTED,
 * ERR_INVALID (a length that the function cannot give). */
MUST_CHECK err_t hash_of(hash_kind_t kind, bytes_t data, uint8_t *out, size_t out_len);
/* The digest of several pieces in order. */
MUST_CHECK err_t hash_of_pieces(hash_kind_t kind, const bytes_t *pieces, size_t n, uint8_t *out,
                                size_t out_len);
void sha256_of(bytes_t data, uint8_t out[32]); /* cannot fail */
void hmac_sha256(bytes_t key, bytes_t data, uint8_t out[32]);
/* HKDF-SHA256 with two outputs of 32 bytes, as Noise uses it. */
void hkdf_sha256_2(const uint8_t salt[32], bytes_t input, uint8_t out1[32], uint8_t out2[32]);

/* Incremental. */
typedef struct hash_ctx hash_ctx_t;
MUST_CHECK err_t hash_new(hash_kind_t kind, hash_ctx_t **ret); /* of the natural length */
/* BLAKE2 mixes the length in at the start, so another one than the natural is named here. Returns
 * owned. ERR_UNSUPPORTED, ERR_INVALID as hash_of. */
MUST_CHECK err_t hash_new_sized(hash_kind_t kind, size_t out_len, hash_ctx_t **ret);
void hash_update(hash_ctx_t *h, bytes_t data);
/* out_len: the one named at the start. ERR_INVALID otherwise. The context then stands at its start. */
MUST_CHECK err_t hash_finish(hash_ctx_t *h, uint8_t *out, size_t out_len);
void hash_free(hash_ctx_t *h); /* NULL is fine */
AUTO_PTR_DEFINE(hash_ctx_t, hash_free)
#endif
