/* pack_impl: what the parts of the pack store share. Only for store/pack_*.c and their tests. */
#ifndef STORE_PACK_IMPL_H
#define STORE_PACK_IMPL_H
#include "base/map.h"
#include "store/pack_index.h"
#include "store/pack_store.h"
#include "store/recent.h"
#include "task/driver.h"

#define PACK_SEGMENT_MAX_BYTES ((uint64_t)1 << 30) /* places are 32 bits; far above any segment_bytes */
#define PACK_OPEN_FILES_MAX 32
#define PACK_CHUNK_MAX_BYTES (8u << 20) /* of one turn at the pen */
#define PACK_CHUNK_MAX_BLOCKS 512
#define PACK_OVERLAY_MAX_BLOCKS (256u << 10)
#define PACK_PATH_MAX 4096
#define PACK_BEHIND_MAX_BYTES (1u << 20)
#define PACK_BEHIND_MAX_BLOCKS 512
#define PACK_BEHIND_BATCH_BYTES (64u << 10) /* so many are written at once; fewer wait for others */
#define PACK_BEHIND_WAIT_MS 3

typedef struct pack_segment {
    uint32_t number;
    uint32_t users; /* who have its file; it is closed only at 0 */
    uint64_t last_use;
    uint64_t size_bytes; /* where the next record would stand */
    file_t *file;        /* NULL when closed */
    uint8_t key[16];
    bool has_key;
    bool is_failed; /* a sync failed: what its pages hold is unknown, nothing more goes in */
    bool is_sealed; /* nothing more goes in */
    bool is_dropping;
    bool is_gone;   /* unlinked; freed by its last user */
    pack_row_t row; /* as the index has it */
} pack_segment_t;

/* Blocks that were written and are not committed yet. */
typedef struct pack_touched {
    pack_segment_t *segment; /* used */
    uint64_t end_bytes;
} pack_touched_t;
typedef struct pack_epoch {
    uint32_t refs;
    struct pack_pending **pending;
    size_t n, cap;
    uint64_t bytes;
    pack_touched_t *touched;
    size_t n_touched;
    bool is_wanted; /* somebody waits for it */
    bool is_done;
    err_t result;
    char text[ERROR_TEXT_MAX];
} pack_epoch_t;
typedef struct pack_pending {
    pack_change_kind_t kind; /* PACK_PUT or PACK_MOVE */
    pack_loc_t loc, old;
    pack_epoch_t *epoch; /* NULL while it is being written */
    size_t item;         /* its place in the list that is being written */
    uint8_t key_len;
    uint8_t key[];
} pack_pending_t;

typedef struct pack_hole {
    uint32_t segment;
    uint64_t from, to;
} pack_hole_t;
typedef struct pack_store {
    blockstore_t base;
    char *folder;
    pack_options_t options;
    pack_index_t *index;
    pack_segment_t **segments; /* in order of their numbers */
    size_t n_segments, segments_cap;
    uint32_t next_number;
    uint32_t newest_row; /* the largest number in the index as it was opened; 0: it is new */
    size_t open_files;
    uint64_t use_clock;
    pack_segment_t *current; /* used; NULL: the next write finds or makes one */
    bool folder_is_dirty;    /* a segment was made and its name is not synced */
    gate_t pen;              /* who may write records, or must keep others from it */
    gate_t index_gate;       /* who commits to the index */
    gate_t compact_gate;
    bool is_in_doubt; /* a commit to the index failed: what the disk has of it is not known */
    map_t overlay;    /* multihash -> pack_pending_t of kind PACK_PUT */
    map_t behind;     /* multihash -> block_t that no segment has yet */
    size_t behind_bytes;
    bool is_behind_running; /* a task waits for more of them, or for the pen, to write them */
    event_t behind_grew;    /* to a batch */
    pack_epoch_t *open, *committing;
    bool is_committer_running;
    uint64_t losses; /* epochs that failed */
    event_t changed; /* an epoch has ended, a commit is wanted */
    group_t group;
    recent_t recent;
    pack_hole_t *holes; /* that wait to be punched */
    size_t n_holes, holes_cap;
    bool is_punching; /* a task waits until no more come */
} pack_store_t;

static inline pack_store_t *pack_self(blockstore_t *bs)
{
    return CONTAINER_OF(bs, pack_store_t, base);
}
/* The index's entry or what is about to become one. ERR_NOT_FOUND without text. */
MUST_CHECK err_t pack_find(task_t *t, pack_store_t *s, bytes_t key, pack_loc_t *ret_loc);

/* ── pack_read.c ─────────────────────────────────────────────────────────────────────────────── */
err_t pack_get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block);
err_t pack_get_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n, block_t **blocks);
err_t pack_size(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size);

/* ── pack_segments.c ─────────────────────────────────────────────────────────────────────────── */
void pack_segment_path(const pack_store_t *s, uint32_t number, char out[PACK_PATH_MAX]);
pack_segment_t *pack_segment_find(pack_store_t *s, uint32_t number); /* NULL when there is none */
pack_segment_t *pack_segment_add(pack_store_t *s, uint32_t number);  /* must not be there */
/* Opens the file when it is closed. Pair with release. ERR_NOT_FOUND: there is no such segment. */
MUST_CHECK err_t pack_segment_use(task_t *t, pack_store_t *s, uint32_t number, pack_segment_t **ret);
void pack_segment_release(pack_store_t *s, pack_segment_t *segment);
/* Reads the header for the key, once. */
MUST_CHECK err_t pack_segment_load_key(task_t *t, pack_segment_t *segment);
uint64_t pack_segment_tag(const pack_segment_t *segment);
/* Takes s->current: the newest segment when there is room in it, else a new one. */
MUST_CHECK err_t pack_segment_for_write(task_t *t, pack_store_t *s);
/* Unlinks a segment that the index no longer needs, in steps that survive a crash. */
MUST_CHECK err_t pack_segment_drop(task_t *t, pack_store_t *s, uint32_t number);
void pack_segment_forget(pack_store_t *s, uint32_t number); /* takes it out of the table */
void pack_segments_free(pack_store_t *s);

/* ── pack_write.c ────────────────────────────────────────────────────────────────────────────── */
/* A record to write. The bytes are borrowed until the write returns. */
typedef struct pack_item {
    bytes_t data;
    uint64_t checksum; /* of data, when has_checksum; else pack_sum makes it */
    bool has_checksum;
    pack_pending_t *pending;
    uint64_t header_at; /* place of the record; filled in */
} pack_item_t;
/* Fills in the missing checksums, on a worker when they take long. */
void pack_sum(task_t *t, pack_item_t *items, size_t n);
pack_pending_t *pack_pending_new(pack_change_kind_t kind, bytes_t key);
/* Appends records to the current segment and puts them into the open epoch (takes the pendings; on failure
 * too). With the pen, shielded. */
MUST_CHECK err_t pack_append(task_t *t, pack_store_t *s, pack_item_t *items, size_t n);
void pack_epoch_ref(pack_epoch_t *e);
void pack_epoch_release(pack_epoch_t *e); /* NULL is fine */
/* Waits for the end of an epoch, starting its commit. Its result. */
MUST_CHECK err_t pack_epoch_wait(task_t *t, pack_store_t *s, pack_epoch_t *e);
/* Commits all that is written. With the pen: nothing is pending after OK. */
MUST_CHECK err_t pack_drain(task_t *t, pack_store_t *s);
/* At the end, when no committer runs: drops what could not be committed. */
void pack_abandon(pack_store_t *s);
/* With the pen. After a failed commit the disk may hold either state of the index, and nothing may be
 * acknowledged because of what the index says, until a commit has succeeded: this makes one. */
MUST_CHECK err_t pack_confirm(task_t *t, pack_store_t *s);
/* With the pen, and nothing pending: what stands in segments behind their indexed part was never
 * acknowledged. These changes make the index pass over it, so that the next opening does not bring back a
 * block that is removed now. Owned by the caller (free); returns how many. */
size_t pack_disown(pack_store_t *s, pack_row_change_t **ret_changes);
/* pack_index_commit, one at a time, and the segments' rows brought up to date. */
MUST_CHECK err_t pack_commit_to_index(task_t *t, pack_store_t *s, pack_commit_t *c);
err_t pack_put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n);
err_t pack_write_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state);
err_t pack_settle(task_t *t, blockstore_t *bs, void **state);
/* The same with the pen; who needs them durable asks for a sync. */
MUST_CHECK err_t pack_write_with_pen(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n);
err_t pack_sync(task_t *t, blockstore_t *bs);
uint64_t pack_losses(const blockstore_t *bs);

/* ── pack_behind.c ───────────────────────────────────────────────────────────────────────────── */
err_t pack_write_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n);
/* ERR_NOT_FOUND without text. */
MUST_CHECK err_t pack_behind_get(const pack_store_t *s, const cid_t *cid, block_t **ret_block);
/* With the pen: nothing is behind after it. What fails counts as lost. */
MUST_CHECK err_t pack_behind_flush(task_t *t, pack_store_t *s);
void pack_behind_abandon(pack_store_t *s);

/* ── pack_recover.c ──────────────────────────────────────────────────────────────────────────── */
/* Brings segments, folder and index into agreement after opening. ERR_CORRUPT: the index is of no use. */
MUST_CHECK err_t pack_recover(task_t *t, pack_store_t *s);

/* ── pack_scan.c ─────────────────────────────────────────────────────────────────────────────── */
/* Reads the records of a segment in order. */
typedef struct pack_scan {
    pack_segment_t *segment; /* used by the caller */
    buf_t window;            /* bytes of the file from window_at on */
    uint64_t window_at, next, file_bytes;
    uint64_t good_end; /* behind the last sound record */
} pack_scan_t;
void pack_scan_init(pack_scan_t *scan, pack_segment_t *segment, uint64_t from, uint64_t file_bytes);
void pack_scan_deinit(pack_scan_t *scan);
AUTO_DEFINE(pack_scan_t, pack_scan_deinit)
/* The next sound record; its bytes are borrowed until the next call. Damaged parts are passed over.
 * ERR_EOF (without text) at the end. */
MUST_CHECK err_t pack_scan_next(task_t *t, pack_scan_t *scan, pack_record_t *ret_record, bytes_t *ret_data,
                                pack_loc_t *ret_loc);

/* ── pack_compact.c ──────────────────────────────────────────────────────────────────────────── */
err_t pack_remove(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n);
err_t pack_compact(task_t *t, blockstore_t *bs);

/* ── pack_holes.c ────────────────────────────────────────────────────────────────────────────── */
/* Of records that the index has just lost: at once, or soon when they are many. */
void pack_free_room(task_t *t, pack_store_t *s, const pack_change_t *changes, size_t n);
void pack_punch(task_t *t, pack_store_t *s); /* what waits */
#endif
