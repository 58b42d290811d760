/* fs_cache: chunks that this account has read lately, as they are stored (encrypted), in files of a folder
 * that processes share; bounded, the one that was used longest ago goes first. What comes out is as little
 * trusted as what a storage node gives: the caller checks it against its id, and drops it when it does not
 * fit. Counts fs_cache_hits_total and fs_cache_misses_total. Nothing is synced: what a crash leaves does not
 * fit its id. */
#ifndef META_FS_CACHE_H
#define META_FS_CACHE_H
#include "meta/chunk_store.h"

#define FS_CACHE_BYTES (256u << 20)
#define FS_CACHE_FILES_MAX 4096

typedef struct fs_cache fs_cache_t;
/* max_bytes 0: nothing is kept, and nothing found. */
fs_cache_t *fs_cache_new(const char *folder, uint64_t max_bytes);
void fs_cache_free(fs_cache_t *c); /* NULL is fine */
/* Files of more bytes would push all others out for little: they go past it. */
bool fs_cache_takes(const fs_cache_t *c, uint64_t file_bytes);
/* False: not here, or not of this size. */
bool fs_cache_get(task_t *t, fs_cache_t *c, const chunk_id_t *id, uint64_t size, buf_t *out);
void fs_cache_put(task_t *t, fs_cache_t *c, const chunk_id_t *id, bytes_t data); /* failing is fine */
void fs_cache_drop(task_t *t, fs_cache_t *c, const chunk_id_t *id);
#endif
