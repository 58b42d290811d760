/* hamt: the arithmetic of sharded directories. An entry stands in the slot that the next bits of its
 * name's hash give; entries that share a slot go into a shard below it. Link names are the slot in
 * upper-case hex, as wide as fanout - 1, then the entry's name (nothing for a shard).
 * Spec: ipfs/specs src/unixfs.md; hash: the first 64 bits of murmur3-x64-128, read big-endian. */
#ifndef DAG_HAMT_H
#define DAG_HAMT_H
#include "base/bytes.h"

unsigned hamt_bits(uint64_t fanout);     /* log2 */
size_t hamt_prefix_len(uint64_t fanout); /* hex digits */
size_t hamt_max_depth(uint64_t fanout);  /* shards on a path until the hash is used up */
uint64_t hamt_hash(bytes_t name);
/* The slot of a hash at a depth (0: the root); depth < hamt_max_depth. */
size_t hamt_slot(uint64_t hash, uint64_t fanout, size_t depth);
/* The slot that a link name says; ERR_CORRUPT when it does not. */
MUST_CHECK err_t hamt_parse_prefix(bytes_t link_name, uint64_t fanout, size_t *ret_slot);
void hamt_print_prefix(size_t slot, uint64_t fanout, char out[8]);
#endif
