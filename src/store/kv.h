/* kv: the node's state (pins, provider records, peers, replicas) as durable ordered tables of key ->
 * value bytes. One database per repository, `state.db`; a table in it is called a space and is named by
 * the layer that owns it. Over the real machine it is SQLite (WAL, synchronous FULL, called from work());
 * in the simulator a map with a journal stands in, with the same rule: what is not committed is lost at a
 * crash, what is committed is not.
 *
 * Keys are ordered bytewise (memcmp, the shorter first). Build keys of several parts with fixed widths or
 * a terminator, numbers big-endian, so that a prefix selects a range. A space exists as soon as something
 * is written to it; one that does not exist reads as empty. All calls on the loop thread.
 *
 *   AUTO(kv_batch_t) b;
 *   kv_batch_init(&b);
 *   TRY(kv_batch_put(&b, "pins", key, value));
 *   TRY(kv_batch_delete(&b, "pin-names", old_name));
 *   TRY(kv_commit(t, kv, &b));       // both or none, on disk when it returns OK
 */
#ifndef STORE_KV_H
#define STORE_KV_H
#include "base/bytes.h"
#include "task/task.h"

#define KV_KEY_MAX_BYTES 512
#define KV_VALUE_MAX_BYTES (64u << 10)
#define KV_SPACE_MAX_CHARS 32 /* of a-z, 0-9 and '-', beginning with a letter */
#define KV_BATCH_MAX_BYTES (16u << 20)

typedef struct kv kv_t;

/* Changes that are made together, in order. The bytes are copied in. */
typedef struct kv_batch {
    buf_t ops;
    size_t count; /* changes in it */
} kv_batch_t;
void kv_batch_init(kv_batch_t *b);
void kv_batch_deinit(kv_batch_t *b); /* idempotent; forgets what was not committed */
AUTO_DEFINE(kv_batch_t, kv_batch_deinit)
void kv_batch_clear(kv_batch_t *b);
/* ERR_LIMIT: key, value or batch over the limits above. ERR_INVALID: not a name of a space. */
MUST_CHECK err_t kv_batch_put(kv_batch_t *b, const char *space, bytes_t key, bytes_t value);
MUST_CHECK err_t kv_batch_delete(kv_batch_t *b, const char *space, bytes_t key); /* absent is fine */
/* Every key that starts with prefix; BYTES_NONE empties the space. */
MUST_CHECK err_t kv_batch_delete_prefix(kv_batch_t *b, const char *space, bytes_t prefix);

/* Applies the batch atomically; durable when it returns OK, and the batch is then empty. Commits of
 * several tasks share one sync, in the order in which they were called. On failure (ERR_NO_SPACE, ERR_IO)
 * nothing of it is visible, now or after a restart. An empty batch is OK without a write. Suspends; not
 * interrupted by a cancellation once it has been handed over. */
MUST_CHECK err_t kv_commit(task_t *t, kv_t *kv, kv_batch_t *batch);
/* Batches of one change. */
MUST_CHECK err_t kv_put(task_t *t, kv_t *kv, const char *space, bytes_t key, bytes_t value);
MUST_CHECK err_t kv_delete(task_t *t, kv_t *kv, const char *space, bytes_t key);

/* The value of a key into out (cleared first). ERR_NOT_FOUND; ERR_LIMIT when out->max is too small.
 * Suspends. */
MUST_CHECK err_t kv_get(task_t *t, kv_t *kv, const char *space, bytes_t key, buf_t *out);
bool kv_has(task_t *t, kv_t *kv, const char *space, bytes_t key);

typedef struct kv_range {
    bytes_t prefix;  /* only keys that start with it; BYTES_NONE: all */
    bytes_t from;    /* start here; BYTES_NONE: at the beginning (in reverse: the end) of the prefix */
    bool after_from; /* start behind `from`: how a paged listing goes on */
    bool is_reverse; /* descending */
    uint64_t limit;  /* visits at most so many; 0: all */
} kv_range_t;
/* Return OK to go on; any other value ends the scan and is its result. key and value are valid during the
 * call. It may wait, read and commit. */
typedef err_t (*kv_visit_fn)(task_t *t, void *arg, bytes_t key, bytes_t value);
/* Visits a range in order. Memory is bounded: rows are read in pages (each a snapshot), so a change made
 * meanwhile is seen when it lies behind the current page. range NULL: everything. Suspends. */
MUST_CHECK err_t kv_scan(task_t *t, kv_t *kv, const char *space, const kv_range_t *range, kv_visit_fn visit,
                         void *arg);
MUST_CHECK err_t kv_count(task_t *t, kv_t *kv, const char *space, bytes_t prefix, uint64_t *ret_count);

/* Opens the database at `path`, creating it when absent (mode 0600); SQLite or, in the simulator, the map
 * with its journal. ERR_CORRUPT, ERR_IN_USE, ERR_DENIED, ERR_IO; ERR_UNSUPPORTED: made by a newer
 * version. Only one kv_t may have a path open. */
MUST_CHECK err_t kv_open(task_t *t, const char *path, kv_t **ret_kv);
/* In memory only, nothing durable: for tests and offline tools. */
kv_t *kv_memory_new(void);
void kv_close(task_t *t, kv_t *kv); /* NULL is fine; commits under way are finished first */
#endif
