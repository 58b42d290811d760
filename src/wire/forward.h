/* forward: the messages of /distribute/forward/1.0.0, our own protocol: a way to a member of a mesh over
 * several relays. The dialer asks a relay that it reaches; each relay asks the next one, until one has a
 * connection with the target. TTL 4 at first, one less at each relay; a relay that gets 0 drops it. After OK
 * the stream carries the two ends' own handshake, so relays see ciphertext alone. A codec; described in
 * docs/protocols/mesh.md. On a stream each message has a uvarint length in front. */
#ifndef WIRE_FORWARD_H
#define WIRE_FORWARD_H
#include "base/writer.h"
#include "multi/peer_id.h"

#define FORWARD_PROTOCOL "/distribute/forward/1.0.0"
#define FORWARD_MESSAGE_MAX_BYTES 512
#define FORWARD_TTL 4

typedef enum {
    FORWARD_OK = 1,
    FORWARD_EXPIRED = 2, /* its TTL was used up */
    FORWARD_DENIED = 3,  /* not a member, or not served here */
    FORWARD_BUSY = 4,    /* too many circuits */
    FORWARD_NO_WAY = 5,  /* nobody who is known here leads to the target */
} forward_status_t;
const char *forward_status_name(uint32_t status); /* "EXPIRED"; "?" */

typedef struct forward {
    bool is_request;
    uint32_t ttl;                    /* of a request: 0 to FORWARD_TTL */
    peer_id_t target, source, relay; /* of a request; relay: said to lead to the target; len 0: not known */
    uint32_t status;                 /* of an answer */
} forward_t;
MUST_CHECK err_t forward_encode(const forward_t *m, buf_t *out);
/* ERR_INVALID, ERR_LIMIT, ERR_EOF. */
MUST_CHECK err_t forward_decode(bytes_t in, forward_t *ret);
#endif
