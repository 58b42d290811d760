/* dir_cache: directories, and shards of directories, as they were read last, with their names in a table: who
 * asks for each of thousands of names of one directory finds them without decoding it thousands of times.
 *
 * Nothing in it ever changes, for blocks do not. A block that is not in the store any more, or that may not
 * be read any more (blocks_has), is asked for again before its names are used. Bounded in bytes; the
 * directory that was asked for last stays even when it is larger alone. Loop thread only. */
#ifndef DAG_DIR_CACHE_H
#define DAG_DIR_CACHE_H
#include "dag/blocks.h"

typedef struct dir_cache dir_cache_t;
dir_cache_t *dir_cache_new(size_t max_bytes);
void dir_cache_free(dir_cache_t *c); /* NULL is fine */
/* The entry of a name, as dir_lookup. ERR_NOT_FOUND: no such entry, or the block is nowhere; ERR_INVALID: not
 * a directory; ERR_CORRUPT: not UnixFS, or a shard of another kind below. Suspends for blocks. */
MUST_CHECK err_t dir_cache_lookup(task_t *t, dir_cache_t *c, blocks_t *blocks, const cid_t *dir, bytes_t name,
                                  cid_t *ret_cid);
size_t dir_cache_bytes(const dir_cache_t *c); /* that it holds */
#endif
