#include "crypto/xsalsa20.h"
#include "crypto/libraries.h"
#include <sodium.h>

enum { BLOCK = 64 };

void xsalsa20_init(xsalsa20_t *x, const uint8_t key[XSALSA20_KEY_BYTES],
                   const uint8_t nonce[XSALSA20_NONCE_BYTES])
{
    sodium_ready();
    *x = (xsalsa20_t){.rest_at = BLOCK};
    crypto_core_hsalsa20(x->key, nonce, key, NULL);
    memcpy(x->nonce, nonce + 16, sizeof x->nonce);
}

void xsalsa20_xor(xsalsa20_t *x, const uint8_t *in, uint8_t *out, size_t len)
{
    while (len && x->rest_at < BLOCK) {
        *out++ = *in++ ^ x->rest[x->rest_at++];
        len--;
    }
    size_t whole = len / BLOCK * BLOCK;
    if (whole) {
        crypto_stream_salsa20_xor_ic(out, in, whole, x->nonce, x->next, x->key);
        x->next += whole / BLOCK;
    }
    if (whole == len)
        return;
    static const uint8_t zeros[BLOCK];
    crypto_stream_salsa20_xor_ic(x->rest, zeros, BLOCK, x->nonce, x->next++, x->key);
    x->rest_at = 0;
    for (size_t i = whole; i < len; i++)
        out[i] = in[i] ^ x->rest[x->rest_at++];
}

void salsa20_stream(const uint8_t key[32], const uint8_t nonce[8], uint8_t *out, size_t len)
{
    sodium_ready();
    crypto_stream_salsa20(out, len, nonce, key);
}
