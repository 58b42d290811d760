/* announce: telling the peers of a region who has what. First its peers are found, with a few lookups
 * whatever the number of keys (logic/region); then each peer is told all that it is close to, in one visit.
 */
#ifndef ROUTING_ANNOUNCE_H
#define ROUTING_ANNOUNCE_H
#include "logic/region.h"
#include "routing/dht.h"
#include "routing/key_runs.h"

enum {
    ANNOUNCE_BATCH_MAX = 2048, /* keys told in one go */
    ANNOUNCE_VISITS = 16,      /* peers that are told at a time */
    ANNOUNCE_FEW_KEYS = 2,     /* so few are looked up one by one */
};

typedef struct key_batch {
    run_key_t keys[ANNOUNCE_BATCH_MAX];
    uint16_t n_taken[ANNOUNCE_BATCH_MAX]; /* peers that took the record of the key */
    size_t n;
} key_batch_t;                                            /* large: for the heap */
bool key_batch_add(key_batch_t *b, const run_key_t *key); /* false: it is full */

typedef struct announce_figures {
    size_t records, keys_taken, keys_failed, peers, reachable;
} announce_figures_t;

/* Looks up the key, which makes the region. ERR_UNREACHABLE: no peer answered, or this node has no address
 * that the DHT takes; what lookup_run says. */
MUST_CHECK err_t announce_find(task_t *t, dht_t *d, const run_key_t *key, region_t *ret);
/* Finds the other peers of the region; the keys of the batch serve as targets. */
MUST_CHECK err_t announce_explore(task_t *t, dht_t *d, region_t *r, const key_batch_t *keys);
/* Tells of the batch's keys, which lie in the region. OK also when some peers fail; the figures say how many
 * took what. */
MUST_CHECK err_t announce_tell(task_t *t, dht_t *d, const region_t *r, key_batch_t *keys,
                               announce_figures_t *ret);
#endif
