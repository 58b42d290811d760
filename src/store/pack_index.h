/* pack_index: where the pack store's blocks are: multihash -> segment, offset, length, and a row for each
 * segment. A cache of what the segments say, rebuilt from them when it is lost, but the authority on what
 * has been removed.
 *
 * Two implementations with one rule: a commit is atomic and on disk when it returns OK. LMDB in the
 * product; any kv (kv.h) in the simulator. */
#ifndef STORE_PACK_INDEX_H
#define STORE_PACK_INDEX_H
#include "store/kv.h"
#include "store/pack_record.h"

typedef struct pack_index pack_index_t;
typedef struct pack_loc {
    uint32_t segment;
    uint32_t offset; /* of the block's bytes, behind header and multihash */
    uint32_t len;
} pack_loc_t;
static inline bool pack_loc_equal(pack_loc_t a, pack_loc_t b)
{
    return a.segment == b.segment && a.offset == b.offset && a.len == b.len;
}
#define PACK_LOC_BYTES 12
#define PACK_ROW_BYTES 48

typedef struct pack_row {
    uint32_t segment;
    bool is_dead;           /* given up: its file is to be unlinked, and then the row forgotten */
    uint64_t tag;           /* checksum of the segment's key: tells a foreign file */
    uint64_t indexed_bytes; /* records up to here are in the index, or have been */
    uint64_t live_blocks;
    uint64_t live_bytes;        /* of blocks */
    uint64_t live_record_bytes; /* with headers and padding */
} pack_row_t;

typedef enum {
    PACK_PUT,    /* skipped when the key is there already */
    PACK_MOVE,   /* done only when the key is still at `old` */
    PACK_REMOVE, /* skipped when absent; ret: `loc` is where it was */
} pack_change_kind_t;
typedef struct pack_change {
    pack_change_kind_t kind;
    bytes_t key; /* multihash; borrowed; at most once in a commit */
    pack_loc_t loc, old;
    bool was_done; /* out */
} pack_change_t;
/* What a commit says about a segment beside the changes. */
typedef struct pack_row_change {
    uint32_t segment;
    enum { PACK_ROW_INDEXED, PACK_ROW_DEAD, PACK_ROW_FORGET } kind;
    uint64_t indexed_bytes, tag; /* PACK_ROW_INDEXED: raises the row's; makes the row */
} pack_row_change_t;
typedef struct pack_commit {
    pack_change_t *changes;
    size_t n_changes;
    const pack_row_change_t *row_changes;
    size_t n_row_changes;
    /* out: the rows that have changed, as they are now (forgotten ones are not listed) */
    pack_row_t *rows;
    size_t n_rows, rows_cap;
} pack_commit_t;
void pack_commit_deinit(pack_commit_t *c); /* frees rows */
AUTO_DEFINE(pack_commit_t, pack_commit_deinit)

typedef struct pack_entry {
    uint8_t key_len;
    uint8_t key[PACK_MULTIHASH_MAX];
    pack_loc_t loc;
} pack_entry_t;

typedef struct pack_index_ops {
    err_t (*find)(task_t *t, pack_index_t *x, bytes_t key, pack_loc_t *ret_loc);
    err_t (*commit)(task_t *t, pack_index_t *x, pack_commit_t *c);
    err_t (*page)(task_t *t, pack_index_t *x, bytes_t after, pack_entry_t *out, size_t cap, size_t *ret_n);
    err_t (*rows)(task_t *t, pack_index_t *x, pack_row_t **ret_rows, size_t *ret_n);
    err_t (*disk_bytes)(task_t *t, pack_index_t *x, uint64_t *ret_bytes);
    void (*close)(task_t *t, pack_index_t *x);
} pack_index_ops_t;
struct pack_index {
    const pack_index_ops_t *ops;
    size_t commit_max_blocks; /* how many one commit may change in bounded memory; changes with the index */
};
/* ERR_NOT_FOUND (without text), ERR_IO. Does not suspend with LMDB: a look-up in its map takes about a
 * microsecond, a hop to a worker fifteen. */
MUST_CHECK err_t pack_index_find(task_t *t, pack_index_t *x, bytes_t key, pack_loc_t *ret_loc);
/* ERR_NO_SPACE, ERR_IO: nothing of it is done. One at a time. */
MUST_CHECK err_t pack_index_commit(task_t *t, pack_index_t *x, pack_commit_t *c);
/* Entries in key order behind `after` (BYTES_NONE: from the first). *ret_n < cap: the end. */
MUST_CHECK err_t pack_index_page(task_t *t, pack_index_t *x, bytes_t after, pack_entry_t *out, size_t cap,
                                 size_t *ret_n);
/* All rows in the order of segments; owned by the caller (free). */
MUST_CHECK err_t pack_index_rows(task_t *t, pack_index_t *x, pack_row_t **ret_rows, size_t *ret_n);
MUST_CHECK err_t pack_index_disk_bytes(task_t *t, pack_index_t *x, uint64_t *ret_bytes);
void pack_index_close(task_t *t, pack_index_t *x); /* NULL is fine */

/* Opens or creates the index in `folder`. ERR_CORRUPT: it cannot be used and must be built anew; ERR_DENIED,
 * ERR_IO, ERR_NO_SPACE. In the simulator pack_index_kv over kv_open. */
MUST_CHECK err_t pack_index_open(task_t *t, const char *folder, pack_index_t **ret_index);
MUST_CHECK err_t pack_index_lmdb_open(task_t *t, const char *folder, pack_index_t **ret_index);
MUST_CHECK err_t pack_index_kv_open(task_t *t, kv_t *kv, pack_index_t **ret_index); /* takes kv */

/* ── for implementations ─────────────────────────────────────────────────────────────────────── */
void pack_loc_encode(pack_loc_t loc, uint8_t out[PACK_LOC_BYTES]);
MUST_CHECK err_t pack_loc_decode(bytes_t in, pack_loc_t *ret_loc);
void pack_row_encode(const pack_row_t *row, uint8_t out[PACK_ROW_BYTES]);
MUST_CHECK err_t pack_row_decode(uint32_t segment, bytes_t in, pack_row_t *ret_row);
/* The state that a commit works on: an open transaction. */
typedef struct pack_view {
    void *arg;
    err_t (*find)(void *arg, bytes_t key, pack_loc_t *ret_loc);
    err_t (*put)(void *arg, bytes_t key, pack_loc_t loc);
    err_t (*remove)(void *arg, bytes_t key);
    err_t (*row_find)(void *arg, uint32_t segment, pack_row_t *ret_row); /* ERR_NOT_FOUND */
    err_t (*row_put)(void *arg, const pack_row_t *row);
    err_t (*row_remove)(void *arg, uint32_t segment);
} pack_view_t;
/* Carries out a commit in a transaction; the caller ends it. */
MUST_CHECK err_t pack_commit_apply(pack_commit_t *c, const pack_view_t *view);
#endif
