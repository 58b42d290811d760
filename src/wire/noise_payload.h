/* noise_payload: what libp2p sends inside handshake messages 2 and 3. Spec: libp2p/specs noise. */
#ifndef WIRE_NOISE_PAYLOAD_H
#define WIRE_NOISE_PAYLOAD_H
#include "multi/peer_id.h"

#define NOISE_PAYLOAD_MAX 8192
#define NOISE_PAYLOAD_MUXERS_MAX 16
typedef struct noise_payload {
    bytes_t identity_key, identity_sig; /* borrowed from the input */
    bytes_t muxers[NOISE_PAYLOAD_MUXERS_MAX];
    size_t n_muxers;
} noise_payload_t;
/* Appends the payload of a peer with this identity and Noise key. */
MUST_CHECK err_t noise_payload_encode(const private_key_t *identity, const uint8_t noise_public[32],
                                      const char *const *muxers, size_t n_muxers, buf_t *out);
/* ERR_INVALID, ERR_EOF, ERR_LIMIT. Nothing is checked but the shape. */
MUST_CHECK err_t noise_payload_decode(bytes_t in, noise_payload_t *ret);
/* The peer that the payload proves, given its Noise key. ERR_CRYPTO, ERR_INVALID. */
MUST_CHECK err_t noise_payload_verify(const noise_payload_t *p, const uint8_t noise_public[32],
                                      peer_id_t *ret_peer);
#endif
