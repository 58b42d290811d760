/* keccak: the sponge with the padding of before SHA-3 (first byte 0x01), which Ethereum's codes in the
 * multicodec table mean. OpenSSL has it from 3.2 on; we support 3.0. Spec: Keccak reference 3.0. */
#ifndef CRYPTO_KECCAK_H
#define CRYPTO_KECCAK_H
#include "base/bytes.h"

typedef struct keccak {
    uint64_t state[25];
    uint16_t rate;     /* bytes absorbed by one permutation */
    uint16_t absorbed; /* bytes of the current block, < rate */
} keccak_t;

void keccak_init(keccak_t *k, size_t out_len); /* out_len: 28, 32, 48 or 64 */
void keccak_update(keccak_t *k, bytes_t data);
void keccak_finish(keccak_t *k, uint8_t *out, size_t out_len); /* k is spent after */
#endif
