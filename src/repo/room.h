/* room: the limit of a repository's size, Datastore.StorageMax, as the guard of the store keeps it. Off until
 * it is switched on (repo_keep_limit).
 *
 * A write that would go over the limit has garbage collected and waits for that; when what is left leaves no
 * room it is refused with ERR_NO_SPACE, and so are others, without another collection, until something is
 * released or a while has passed. Reads and writes of what is here are never refused. Writes of those who
 * hold locks that the collector's roots need (mfs) do not wait: they may go a twentieth over the limit while
 * somebody else collects. */
#ifndef REPO_ROOM_H
#define REPO_ROOM_H
#include "store/blockstore.h"

struct repo;
typedef struct room {
    struct repo *repo; /* borrowed */
    bool is_on;
    uint64_t used_bytes, max_bytes; /* as measured last, and written since */
    uint64_t measured_until;        /* from here on used_bytes is measured again: half way to the limit */
    uint64_t full_until_ms;         /* a collection has shown that nothing can go … */
    uint64_t full_releases;         /* … as long as nothing is released */
    event_t wanted;                 /* a write that could not wait has found no room … */
    uint64_t wanted_bytes;          /* … for so much */
} room_t;
void room_init(room_t *m, struct repo *repo);
/* Before these are written. ERR_NO_SPACE: full. ERR_CANCELED, ERR_TIMEOUT, and errors of the collection. */
MUST_CHECK err_t room_take(task_t *t, room_t *m, block_t *const *blocks, size_t n, bool waits);
#endif
