/* placement: in which order peers are asked to hold a root, and in which order they let go. Pure functions,
 * the same on all nodes that know the same: so that two that heal at once ask the same peer.
 *
 * Order: first the peers of the failure domain (zone) with the fewest copies; among these by cost: the XOR
 * distance to the root, divided by a weight that grows with free space (the share of roots that a peer gets
 * is in proportion to the weight) and falls with latency. Both are taken in coarse steps, so that slightly
 * different views give the same order. A peer without room for the root is not asked at all. */
#ifndef LOGIC_PLACEMENT_H
#define LOGIC_PLACEMENT_H
#include "logic/kad_key.h"

#define PLACEMENT_FREE_UNKNOWN UINT64_MAX

typedef struct placement_peer {
    uint64_t free_bytes; /* that it would hold for others; PLACEMENT_FREE_UNKNOWN: it has not said */
    uint64_t zone;       /* placement_zone of its label; 0: none said, a domain of its own */
    uint32_t latency_ms; /* round trip from here; 0: not known */
} placement_peer_t;

/* A number for a zone label, equal on all nodes; 0 for the empty label. */
uint64_t placement_zone(bytes_t label);
/* Has it room? A twentieth of what is free stays free. size 0: not known, 256 KiB. */
bool placement_fits(const placement_peer_t *p, uint64_t size_bytes);
/* Of free space (1 at 64 GiB, in steps of 2, 1/16 to 16) and latency (1, 1/2 from 150 ms, 1/4 from 400 ms); 1
 * where nothing is known. */
double placement_weight(const placement_peer_t *p);
/* The smaller the better; 0 to 64. root and peer are places in the XOR space. */
double placement_cost(const kad_key_t *root, const kad_key_t *peer, const placement_peer_t *p);
#endif
