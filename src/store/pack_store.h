/* pack_store: the default block store. Append-only segments of about 256 MiB (pack_record.h) and an index
 * of them (pack_index.h) in one folder:
 *
 *   pack/00000001.seg …   the blocks           index/   where they are
 *
 * Writing: records go into the current segment (page cache), from several tasks in turn. What has been
 * written since the last commit is an epoch; a commit syncs its segments and then makes one synced index
 * transaction, while the next epoch is being written. An acknowledged block is therefore in a synced segment
 * and in the index. Removing: the index first, then the room, by punching holes and by compaction, which
 * copies what is alive, switches the index, and unlinks. Opening reads what stands behind the indexed part
 * of the segments, all of them when the index is lost, and cuts a torn tail. docs/decisions/005. */
#ifndef STORE_PACK_STORE_H
#define STORE_PACK_STORE_H
#include "store/blockstore.h"

typedef struct pack_options {
    uint64_t segment_bytes; /* a new segment is begun behind this size; 0: 256 MiB */
    uint64_t commit_bytes;  /* unsynced bytes that start a commit; 0: 64 MiB */
} pack_options_t;
/* Opens or makes the store in `folder`. o NULL: defaults. ERR_DENIED, ERR_IO, ERR_NO_SPACE, ERR_UNSUPPORTED
 * (made by a newer version). A damaged index is built anew. */
MUST_CHECK err_t pack_store_open(task_t *t, const char *folder, const pack_options_t *o,
                                 blockstore_t **ret_store);
#endif
