/* chunk_cache: chunks that were read lately, whose bytes were checked; bounded, the one that was used longest
 * ago goes first. Counts fs_cache_hits_total and fs_cache_misses_total. Loop thread only. */
#ifndef META_CHUNK_CACHE_H
#define META_CHUNK_CACHE_H
#include "base/list.h"
#include "base/map.h"
#include "meta/chunk_store.h"

typedef struct chunk_cache {
    map_t by_id;
    list_t by_use; /* newest first */
    size_t bytes, max_bytes;
} chunk_cache_t;
void chunk_cache_count(bool is_hit); /* for caches of other kinds */
void chunk_cache_init(chunk_cache_t *c, size_t max_bytes);
void chunk_cache_deinit(chunk_cache_t *c);
block_t *chunk_cache_get(chunk_cache_t *c, const chunk_id_t *id); /* a new reference; NULL: not here */
void chunk_cache_put(chunk_cache_t *c, const chunk_id_t *id,
                     block_t *block); /* keeps a reference of its own */
void chunk_cache_drop(chunk_cache_t *c, const chunk_id_t *id);
#endif
