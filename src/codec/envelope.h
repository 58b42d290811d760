/* envelope: a payload with its type, the key that signed it and the signature, bound to a domain.
 * Spec: libp2p/specs RFC 0002. */
#ifndef CODEC_ENVELOPE_H
#define CODEC_ENVELOPE_H
#include "crypto/key.h"
#include "multi/peer_id.h"

#define ENVELOPE_MAX_BYTES 16384

typedef struct envelope {
    public_key_t key;
    peer_id_t signer;
    bytes_t payload_type, payload; /* borrowed from the input */
} envelope_t;

/* Decodes, and verifies the signature under this domain. Nothing is trusted before. The payload's type is
 * signed too; whoever opens compares it. ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED (key type), ERR_CRYPTO. */
MUST_CHECK err_t envelope_open(bytes_t in, bytes_t domain, envelope_t *ret);
/* Appends the signed message. */
MUST_CHECK err_t envelope_seal(const private_key_t *key, bytes_t domain, bytes_t payload_type,
                               bytes_t payload, buf_t *out);
#endif
