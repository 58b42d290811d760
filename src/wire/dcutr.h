/* dcutr: the message with which two peers behind NATs agree on the moment to dial each other. A codec.
 * Spec: libp2p/specs relay/DCUtR.md. */
#ifndef WIRE_DCUTR_H
#define WIRE_DCUTR_H
#include "base/pb.h"
#include "multi/multiaddr.h"

#define DCUTR_PROTOCOL "/libp2p/dcutr"
#define DCUTR_MESSAGE_MAX_BYTES 4096

typedef enum { DCUTR_CONNECT = 100, DCUTR_SYNC = 300 } dcutr_type_t;
typedef struct dcutr {
    dcutr_type_t type;
    bytes_t raw; /* the input; what the iterator reads */
} dcutr_t;

/* ERR_INVALID: no protobuf, another type; ERR_LIMIT. */
MUST_CHECK err_t dcutr_decode(bytes_t in, dcutr_t *ret);
bool dcutr_next_addr(const dcutr_t *m, size_t *iter, multiaddr_t *ret);
void dcutr_encode(dcutr_type_t type, const multiaddr_t *addrs, size_t n, writer_t *w);
#endif
