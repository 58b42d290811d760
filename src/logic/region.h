/* region: who keeps the records of one part of the key space, as an engine. A node that announces many keys
 * would ask for the k closest peers of each; this finds the peers of a whole part with a few lookups, and
 * then tells for each key of that part, without asking anybody, which k of them are closest to it.
 *
 * What a lookup proves: its k closest peers, the farthest of which shares c bits with the target, are all
 * that there are of those who share more than c bits with it. So the subtree of c + 1 bits around the target
 * is known. The region is the subtree of c bits around the first target: the smallest one known to hold
 * k peers. Its other half is found by further lookups:
 *
 *   EMPTY --region_start--> region = c bits, half of it known
 *      region_next_target gives a subtree that is not known --lookup--> region_found: known, or split in
 *      those that are still not known; region_failed: given up
 *   until none is left: region_closest is exact for each key of the region
 *
 * Bounds: max_lookups lookups, max_peers peers; when they are spent, what is left counts as known. Lookups
 * that met the whole network (fewer than k peers) make the region all of the key space.
 * No I/O, no clock; same inputs, same outputs. Prior art: go-libp2p-kad-dht's sweeping provider. */
#ifndef LOGIC_REGION_H
#define LOGIC_REGION_H
#include "logic/kad_key.h"

#define REGION_MAX_K 60 /* of a crowded region; else 20 */
typedef struct region_config {
    size_t k; /* 20 */
    size_t max_peers, max_lookups;
} region_config_t;
void region_config_default(region_config_t *ret);

/* The keys that share the first len bits with key. */
typedef struct kad_prefix {
    kad_key_t key; /* bits behind len are of no meaning */
    size_t len;
} kad_prefix_t;
bool kad_prefix_has(const kad_prefix_t *p, const kad_key_t *key);
/* The first key behind all keys of the prefix. False: there is none, the prefix ends where the space ends. */
bool kad_prefix_end(const kad_prefix_t *p, kad_key_t *ret);

typedef struct region_peer {
    kad_key_t key;
    peer_id_t peer;
} region_peer_t;
enum { REGION_TODO_MAX = 64 }; /* more than that are given up */
typedef struct region {
    region_config_t config;
    kad_prefix_t prefix;
    size_t first_prefix_len; /* before region_shrink */
    size_t n_told;        /* peers that keep the records of a key: k, or REGION_MAX_K where it is crowded */
    region_peer_t *peers; /* sorted by key */
    size_t n_peers, cap, n_lookups;
    kad_prefix_t todo[REGION_TODO_MAX]; /* not known yet; disjoint */
    size_t n_todo;
    bool is_started;
} region_t;

void region_init(region_t *r, const region_config_t *config);
void region_deinit(region_t *r); /* idempotent */

/* The first lookup: its target, the peers that answered (the closest first) and whether they are the whole
 * network. n > 0. */
void region_start(region_t *r, const kad_key_t *target, const peer_id_t *closest, size_t n, bool is_all);
/* For a target of which any key of the prefix will do, but the closer to prefix->key the better. False:
 * everything is known. */
bool region_next_target(const region_t *r, kad_prefix_t *ret);
/* The lookup of a target that was asked for; target is a key of its prefix. */
void region_found(region_t *r, const kad_key_t *target, const peer_id_t *closest, size_t n, bool is_all);
void region_failed(region_t *r, const kad_prefix_t *prefix);
/* Few keys lie here, so that finding the rest of its peers would cost more than it saves: the region becomes
 * the first target alone, whose closest peers are known. */
void region_shrink(region_t *r);

/* Where somebody crowds around the target (lookup_is_crowded): the region becomes the subtree of len bits, in
 * which k honest peers are to be expected, and more peers than k keep each record. */
void region_widen(region_t *r, size_t len);

/* The n_told peers closest to a key of the region, as indices of r->peers, the closest first; how many. */
size_t region_closest(const region_t *r, const kad_key_t *key, uint16_t out[REGION_MAX_K]);
#endif
