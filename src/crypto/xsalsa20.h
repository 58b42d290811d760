/* xsalsa20: a stream cipher, byte by byte where libsodium's goes by whole messages. Spec: D. J. Bernstein,
 * "Extending the Salsa20 nonce". It hides bytes and does not prove them. */
#ifndef CRYPTO_XSALSA20_H
#define CRYPTO_XSALSA20_H
#include "base/bytes.h"

#define XSALSA20_KEY_BYTES 32
#define XSALSA20_NONCE_BYTES 24
typedef struct xsalsa20 {
    uint8_t key[32], nonce[8]; /* of the Salsa20 inside */
    uint64_t next;             /* block */
    uint8_t rest[64], rest_at; /* of the block that is used in part; 64: nothing is left */
} xsalsa20_t;
void xsalsa20_init(xsalsa20_t *x, const uint8_t key[XSALSA20_KEY_BYTES],
                   const uint8_t nonce[XSALSA20_NONCE_BYTES]);
/* The next len bytes of the stream over in; out may be in. */
void xsalsa20_xor(xsalsa20_t *x, const uint8_t *in, uint8_t *out, size_t len);
/* Salsa20 itself: the first len bytes of its stream. */
void salsa20_stream(const uint8_t key[32], const uint8_t nonce[8], uint8_t *out, size_t len);
#endif
