/* tombstones: the set of all deleted roots that this node knows of, with digests by prefix so that two nodes
 * find out quickly what one of them lacks (logic/reconcile). The records themselves (signed, under 200 bytes
 * each) are with the driver, durable before they are added here; this is their index: a key per root, the
 * SHA-256 of its multihash (kad_key_of, also its place in the XOR space). Nothing is ever removed.
 *
 * 32 bytes an entry, in 256 buckets by the first 8 bits, sorted; digests are kept by bucket. Two nodes with
 * the same set have the same digests (SipHash under a fixed key, summed: no order of arrival in it). Who can
 * choose roots can choose keys whose sum collides, at the price of 2^32 signatures: then two nodes that
 * differ in these alone do not notice, and gossip and direct telling still reach the holders. */
#ifndef LOGIC_TOMBSTONES_H
#define LOGIC_TOMBSTONES_H
#include "logic/region.h"
#include "multi/cid.h"

typedef struct tombstones tombstones_t;
tombstones_t *tombstones_new(size_t max); /* max: 4,194,304 (128 MiB) is plenty */
void tombstones_free(tombstones_t *s);    /* NULL is fine */

kad_key_t tombstone_key(const cid_t *root); /* equal for CIDs of one multihash */
bool tombstones_has(const tombstones_t *s, const kad_key_t *key);
bool tombstones_has_root(const tombstones_t *s, const cid_t *root);
/* True: it is new. ERR_LIMIT as *ret_is_new false. */
MUST_CHECK err_t tombstones_add(tombstones_t *s, const kad_key_t *key, bool *ret_is_new);
/* One that was taken in an earlier life: whatever the limit is now. */
void tombstones_restore(tombstones_t *s, const kad_key_t *key);
size_t tombstones_count(const tombstones_t *s);
size_t tombstones_room(const tombstones_t *s); /* how many more may be added */

/* Of the keys that share the prefix: how many, and their digest (0 when there are none). */
void tombstones_digest(const tombstones_t *s, const kad_prefix_t *prefix, uint64_t *ret_count,
                       uint64_t *ret_digest);
/* The first keys of the prefix that are greater than *after (NULL: from the first), in order; how many. */
size_t tombstones_list(const tombstones_t *s, const kad_prefix_t *prefix, const kad_key_t *after,
                       kad_key_t *out, size_t cap);
#endif
