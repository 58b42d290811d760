/* addr_field: multiaddrs in a repeated bytes field, as the messages about reachability carry them. */
#ifndef WIRE_ADDR_FIELD_H
#define WIRE_ADDR_FIELD_H
#include "base/pb.h"
#include "multi/multiaddr.h"

/* The next entry of the field `number` in `message` that is a multiaddr; others are passed over. *iter is 0
 * at first, then the offset of the next field, so that a walk is linear. */
bool addr_field_next(bytes_t message, uint32_t number, size_t *iter, multiaddr_t *ret);
#endif
