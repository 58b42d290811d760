/* noise: libp2p's secure channel. Spec: libp2p/specs noise, connections/inlined-muxer-negotiation;
 * checked against go-libp2p 0.48. An engine without I/O and without buffers for bulk data: received
 * frames are opened in the caller's memory, pieces to send are sealed straight into it.
 *
 *   HANDSHAKE --message 3 sent or taken, identity proven--> OPEN;  any --error--> FAILED
 *
 * A frame is a 2-byte big-endian length and that many bytes, in the open state ciphertext and tag. State
 * (nonces too) changes only after a tag was found right. Frames of the handshake are at most
 * NOISE_HANDSHAKE_MAX bytes. A direction ends with ERR_LIMIT after 2^64 - 1 frames. */
#ifndef WIRE_NOISE_H
#define WIRE_NOISE_H
#include "multi/peer_id.h"
#include "wire/noise_xx.h"

#define NOISE_PROTOCOL "/noise"
#define NOISE_FRAME_MAX 65535 /* without the length prefix */
#define NOISE_PREFIX_BYTES 2
#define NOISE_PLAIN_MAX (NOISE_FRAME_MAX - AEAD_TAG_BYTES)
#define NOISE_FRAME_OVERHEAD (NOISE_PREFIX_BYTES + AEAD_TAG_BYTES)
#define NOISE_HANDSHAKE_MAX 16384
#define NOISE_PIECES_MAX 64 /* sealed by one call */

typedef enum { NOISE_HANDSHAKE, NOISE_OPEN, NOISE_FAILED } noise_state_t;

typedef struct noise_config {
    bool is_initiator;
    const private_key_t *identity; /* borrowed until the handshake has ended */
    const peer_id_t *expected;     /* whom the peer must prove to be; NULL: anybody. Copied */
    /* Early muxer negotiation: what we speak, best first; 0: none is offered. Borrowed until the end of the
     * handshake. */
    const char *const *muxers;
    size_t n_muxers;
    uint8_t static_secret[32], ephemeral_secret[32]; /* fresh randomness */
} noise_config_t;

typedef struct noise_handshake noise_handshake_t;
typedef struct noise {
    noise_state_t state;
    noise_handshake_t *handshake; /* NULL when it has ended */
    aead_t *send, *receive;
    uint64_t send_nonce, receive_nonce;
    buf_t out; /* of the handshake */
    const char *muxer;
    peer_id_t peer;
} noise_t;

MUST_CHECK err_t noise_init(noise_t *n,
                            const noise_config_t *c); /* the initiator's message 1 is in the output */
void noise_deinit(noise_t *n);                        /* wipes keys; idempotent */
static inline bytes_t noise_output(const noise_t *n)
{
    return buf_bytes(&n->out);
}
void noise_output_sent(noise_t *n, size_t len);

/* Takes one frame at the start of `in`; *ret_used is 0 while it is not all there. In the handshake *ret_plain
 * is empty and the output may grow; when open, the plaintext lies in `in` itself. Errors are final:
 * ERR_CRYPTO (tag, signature, or another peer than expected), ERR_PROTOCOL (malformed), ERR_LIMIT (sizes),
 * ERR_UNSUPPORTED (no muxer in common). */
MUST_CHECK err_t noise_feed(noise_t *n, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain);
/* The bytes of the frame at the start of `in`, with its prefix; 0 when the prefix is not all there. */
size_t noise_frame_size(bytes_t in);
/* Bytes that sealing plain_len bytes takes. */
static inline size_t noise_sealed_size(size_t plain_len)
{
    return plain_len + (plain_len + NOISE_PLAIN_MAX - 1) / NOISE_PLAIN_MAX * NOISE_FRAME_OVERHEAD;
}
/* Seals the joined pieces, at most NOISE_PIECES_MAX, into as many frames as they take; out has room for
 * noise_sealed_size of their sum and overlaps none of them. *ret_len: bytes of out. ERR_LIMIT: the nonces are
 * used up. */
MUST_CHECK err_t noise_seal(noise_t *n, const bytes_t *pieces, size_t n_pieces, uint8_t *out,
                            size_t *ret_len);

/* When open: who the peer is, borrowed; the muxer agreed on (an element of config.muxers), NULL: none. */
static inline const peer_id_t *noise_peer(const noise_t *n)
{
    return &n->peer;
}
static inline const char *noise_muxer(const noise_t *n)
{
    return n->muxer;
}
#endif
