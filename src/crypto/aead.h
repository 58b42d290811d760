/* aead: ChaCha20-Poly1305 (RFC 8439) and AES-GCM (NIST SP 800-38D) with contexts that are made once per key.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H
#include "base/bytes.h"
#define AEAD_TAG_BYTES 16
typedef enum { AEAD_CHACHA20_POLY1305, AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_KIND_COUNT } aead_kind_t;
#define AEAD_KEY_MAX_BYTES 32
size_t aead_key_bytes(aead_kind_t kind);
typedef struct aead aead_t;
/* key: aead_key_bytes of it. ERR_UNSUPPORTED: not in this OpenSSL. */
MUST_CHECK err_t aead_new(aead_kind_t kind, const uint8_t *key, aead_t **ret);
MUST_CHECK err_t aead_new_chacha20_poly1305(const uint8_t key[32], aead_t **ret);
void aead_free(aead_t *a); /* wipes the key; NULL is fine */
/* out: plain.len + 16 bytes; may be plain.data itself. */
MUST_CHECK err_t aead_seal(aead_t *a, const uint8_t nonce[12], bytes_t ad, bytes_t plain, uint8_t *out);
/* As aead_seal for the joined pieces, without joining them first. out: their sum + 16 bytes, over none of
 * them. */
MUST_CHECK err_t aead_seal_pieces(aead_t *a, const uint8_t nonce[12], bytes_t ad, const bytes_t *pieces,
                                  size_t n, uint8_t *out);
/* out: sealed.len - 16 bytes; may be sealed.data itself. ERR_CRYPTO when the tag is wrong (out is
 * then wiped). */
MUST_CHECK err_t aead_open(aead_t *a, const uint8_t nonce[12], bytes_t ad, bytes_t sealed, uint8_t *out);
#endif
