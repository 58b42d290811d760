/* relay: the messages of circuit relay v2, to the relay (hop) and from it (stop). A codec.
 * Spec: libp2p/specs relay/circuit-v2.md; go-libp2p p2p/protocol/circuitv2/pb/circuit.proto.
 *
 * On a stream each message has a uvarint length in front. Types and statuses are written even when they are
 * 0. A decoded message borrows its input; addresses are iterated, and what is no multiaddr is passed over. */
#ifndef WIRE_RELAY_H
#define WIRE_RELAY_H
#include "base/pb.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"

#define RELAY_HOP_PROTOCOL "/libp2p/circuit/relay/0.2.0/hop"
#define RELAY_STOP_PROTOCOL "/libp2p/circuit/relay/0.2.0/stop"
#define RELAY_MESSAGE_MAX_BYTES 4096

typedef enum { RELAY_RESERVE, RELAY_CONNECT, RELAY_STATUS } relay_type_t;
typedef enum {
    RELAY_UNUSED = 0,
    RELAY_OK = 100,
    RELAY_RESERVATION_REFUSED = 200,
    RELAY_RESOURCE_LIMIT_EXCEEDED = 201,
    RELAY_PERMISSION_DENIED = 202,
    RELAY_CONNECTION_FAILED = 203,
    RELAY_NO_RESERVATION = 204,
    RELAY_MALFORMED_MESSAGE = 400,
    RELAY_UNEXPECTED_MESSAGE = 401
} relay_status_t;
const char *relay_status_name(uint32_t status); /* "NO_RESERVATION"; "?" */

typedef struct relay_message {
    relay_type_t type;
    bool has_peer, has_reservation, has_limit;
    peer_id_t peer;
    uint64_t expires_s; /* of the reservation: seconds since 1970 */
    bytes_t voucher;    /* borrowed; empty: none. codec/relay_voucher.h opens it */
    uint32_t limit_s;   /* of a circuit; 0: none */
    uint64_t limit_bytes;
    uint32_t status;
    bytes_t reservation; /* what the iterator reads */
} relay_message_t;

/* ERR_INVALID: no protobuf, an unknown type, a peer that is none; ERR_LIMIT. */
MUST_CHECK err_t relay_hop_decode(bytes_t in, relay_message_t *ret);
MUST_CHECK err_t relay_stop_decode(bytes_t in, relay_message_t *ret); /* never RESERVE */
/* for (size_t i = 0; relay_next_addr(&m, &i, &addr);) — of the reservation */
bool relay_next_addr(const relay_message_t *m, size_t *iter, multiaddr_t *ret);

/* The addresses of a reservation are given beside the message. */
void relay_hop_encode(const relay_message_t *m, const multiaddr_t *addrs, size_t n_addrs, writer_t *w);
void relay_stop_encode(const relay_message_t *m, writer_t *w);
#endif
