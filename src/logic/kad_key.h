/* kad_key: points of the Kademlia key space. A key is SHA-256 of its preimage (a CID's multihash, a binary
 * peer id, a record key); messages carry the preimage. Distance is XOR, read as a big-endian number.
 * Spec: ipfs/specs src/routing/kad-dht.md. Pure functions. */
#ifndef LOGIC_KAD_KEY_H
#define LOGIC_KAD_KEY_H
#include "base/bytes.h"
#include "multi/peer_id.h"

#define KAD_KEY_BYTES 32
#define KAD_KEY_BITS 256
typedef struct kad_key {
    uint8_t data[KAD_KEY_BYTES];
} kad_key_t;

kad_key_t kad_key_of(bytes_t preimage);
kad_key_t kad_key_of_peer(const peer_id_t *id);
kad_key_t kad_distance(const kad_key_t *a, const kad_key_t *b);
/* Leading bits that a and b share: 0 to 256. */
size_t kad_common_prefix_len(const kad_key_t *a, const kad_key_t *b);
/* < 0 when a is closer to target than b, 0 when a equals b. */
int kad_compare_distance(const kad_key_t *target, const kad_key_t *a, const kad_key_t *b);
bool kad_key_equal(const kad_key_t *a, const kad_key_t *b);
#endif
