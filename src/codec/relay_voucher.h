/* relay_voucher: a relay's signed word that a peer may be reached through it.
 * Spec: libp2p/specs relay/circuit-v2.md, "Reservation vouchers": an envelope of the domain
 * libp2p-relay-rsvp, payload type 03 02. */
#ifndef CODEC_RELAY_VOUCHER_H
#define CODEC_RELAY_VOUCHER_H
#include "base/bytes.h"
#include "crypto/key.h"
#include "multi/peer_id.h"

typedef struct relay_voucher {
    peer_id_t relay, peer;
    uint64_t expires_s; /* since 1970 */
} relay_voucher_t;

/* ERR_CRYPTO also when the signer is not the relay that it names; ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED. */
MUST_CHECK err_t relay_voucher_open(bytes_t envelope, relay_voucher_t *ret);
/* Appends the signed envelope. key: the relay's. */
MUST_CHECK err_t relay_voucher_seal(const private_key_t *key, const relay_voucher_t *v, buf_t *out);
#endif
