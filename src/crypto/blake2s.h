/* blake2s: without a key, for digests of 1 to 32 bytes. OpenSSL gives the full length alone.
 * Spec: RFC 7693. */
#ifndef CRYPTO_BLAKE2S_H
#define CRYPTO_BLAKE2S_H
#include "base/bytes.h"

typedef struct blake2s {
    uint32_t h[8];
    uint64_t count; /* bytes compressed so far */
    uint8_t block[64];
    uint8_t held; /* bytes in block; the last block waits there for its mark */
    uint8_t out_len;
} blake2s_t;

void blake2s_init(blake2s_t *b, size_t out_len); /* 1 to 32 */
void blake2s_update(blake2s_t *b, bytes_t data);
void blake2s_finish(blake2s_t *b, uint8_t *out); /* out_len bytes; b is spent after */
#endif
