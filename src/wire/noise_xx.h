/* noise_xx: the handshake Noise_XX_25519_ChaChaPoly_SHA256 with any prologue and payloads.
 * Spec: the Noise Protocol Framework, revision 34. Messages without framing; noise.h puts libp2p's
 * framing and payloads around them.
 *
 *   initiator writes 1 (e) · responder writes 2 (e, ee, s, es) · initiator writes 3 (s, se) · split
 *
 * Secrets are wiped when the handshake ends or fails; a failed handshake stays failed. */
#ifndef WIRE_NOISE_XX_H
#define WIRE_NOISE_XX_H
#include "base/bytes.h"
#include "crypto/aead.h"

#define NOISE_XX_OVERHEAD_MAX 96 /* of a message over its payload: key 32, sealed key 48, tag 16 */

typedef struct noise_xx {
    bool is_initiator, has_failed;
    uint8_t step; /* messages done: 0 to 3 */
    uint8_t static_secret[32], static_public[32], ephemeral_secret[32], ephemeral_public[32];
    uint8_t peer_static[32], peer_ephemeral[32];
    uint8_t hash[32], chaining_key[32];
    aead_t *cipher; /* NULL until the first key */
    uint64_t nonce;
} noise_xx_t;

/* Secrets: 32 bytes of randomness each, copied. prologue: both sides give the same. */
void noise_xx_init(noise_xx_t *x, bool is_initiator, bytes_t prologue, const uint8_t static_secret[32],
                   const uint8_t ephemeral_secret[32]);
void noise_xx_deinit(noise_xx_t *x);          /* wipes; idempotent */
bool noise_xx_may_write(const noise_xx_t *x); /* it is our turn */
static inline bool noise_xx_is_done(const noise_xx_t *x)
{
    return x->step == 3 && !x->has_failed;
}
/* Appends the next message around payload. ERR_CRYPTO: the peer's key is worthless; ERR_LIMIT: out is full.
 */
MUST_CHECK err_t noise_xx_write(noise_xx_t *x, bytes_t payload, buf_t *out);
/* Takes the peer's next message; appends its payload. ERR_CRYPTO: a tag or key is wrong; ERR_PROTOCOL: too
 * short. */
MUST_CHECK err_t noise_xx_read(noise_xx_t *x, bytes_t message, buf_t *out_payload);
/* When done: the key for what we send and the one for what we receive. */
void noise_xx_split(const noise_xx_t *x, uint8_t ret_send[32], uint8_t ret_receive[32]);
#endif
