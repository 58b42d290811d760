/* chunk_refs: how many live manifests of this node need a chunk, and which chunks may go. A chunk that no
 * manifest needs any more is DUE at a time inside the GC window, and is given out (chunk_refs_next) only when
 * still nobody needs it then: one that is stored or healed again in between stays.
 *
 * The driver adds a manifest's chunks before it fetches or writes the first of them, and drops them when the
 * manifest is deleted or let go; both in pieces of any size, so that memory stays flat. Chunks are counted by
 * a keyed 64-bit hash of their multihash, 16 bytes each (64 MiB for a tebibyte held): two that share a hash
 * are kept as long as either is needed, so a collision costs room and never data; the key is random, so
 * nobody can make them collide on purpose. What is due is remembered with its CID. At start the driver adds
 * all live manifests again; chunks that were due at a crash are found by the repository's own collection. */
#ifndef LOGIC_CHUNK_REFS_H
#define LOGIC_CHUNK_REFS_H
#include "multi/cid.h"

typedef struct chunk_refs chunk_refs_t;
typedef struct chunk_refs_config {
    uint8_t hash_key[16]; /* random */
    uint64_t window_ms;   /* from the drop to the collection at the latest; 10 min */
    size_t max_chunks;    /* 16,777,216 */
    size_t max_due;       /* 1,048,576 */
} chunk_refs_config_t;
void chunk_refs_config_default(chunk_refs_config_t *ret); /* all but hash_key */
chunk_refs_t *chunk_refs_new(const chunk_refs_config_t *c);
void chunk_refs_free(chunk_refs_t *r); /* NULL is fine */

/* One more manifest needs it (a manifest that lists a chunk twice may add it twice, and drops it twice).
 * ERR_LIMIT: max_chunks. */
MUST_CHECK err_t chunk_refs_add(chunk_refs_t *r, const cid_t *chunk);
/* One fewer does. The last one: it becomes due half a window later. Dropping what was never added does
 * nothing. ERR_LIMIT: max_due are due; the chunk is not needed any more, but is left to the repository's
 * collection. */
MUST_CHECK err_t chunk_refs_drop(chunk_refs_t *r, const cid_t *chunk, uint64_t now_ms);
uint32_t chunk_refs_count(const chunk_refs_t *r, const cid_t *chunk);
/* A chunk to be removed from the store now: nobody needs it. Check that no pin of the user does. It may come
 * twice. Who adds a chunk while its removal is under way looks for it in the store after that has ended. */
bool chunk_refs_next(chunk_refs_t *r, uint64_t now_ms, cid_t *ret);
uint64_t chunk_refs_deadline_ms(const chunk_refs_t *r);

typedef struct chunk_refs_stat {
    size_t chunks, due;
    uint64_t collected, spared; /* spared: needed again before they were collected */
} chunk_refs_stat_t;
chunk_refs_stat_t chunk_refs_stat(const chunk_refs_t *r);
#endif
