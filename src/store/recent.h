/* recent: small blocks that were read lately, so that a folder's node or a web page's file that is asked for
 * again needs neither the index nor the file. Bounded; a new block takes the place of the one that stands
 * where its digest points, or of any when there are too many bytes. Loop thread only. */
#ifndef STORE_RECENT_H
#define STORE_RECENT_H
#include "multi/block.h"

#define RECENT_SLOTS 4096
#define RECENT_MAX_BYTES ((size_t)2 << 20)
#define RECENT_BLOCK_MAX_BYTES 4096

typedef struct recent {
    block_t **slots; /* RECENT_SLOTS of them; NULL until the first block */
    size_t bytes, hand;
    uint64_t removals;
} recent_t;
void recent_deinit(recent_t *r);
void recent_clear(recent_t *r);                           /* blocks of any CID may have gone from the store */
block_t *recent_get(const recent_t *r, const cid_t *cid); /* a new reference; NULL: not here */
/* Takes a reference of its own, or none when the block is large. removals: r->removals as it was before the
 * block was read; when something was removed since, the block is not kept. */
void recent_put(recent_t *r, block_t *block, uint64_t removals);
/* Before and after blocks are removed from the store. */
void recent_drop(recent_t *r, const cid_t *cids, size_t n);
#endif
