/* kv_impl: what an implementation of kv.h provides, and what it shares with the others. Only for
 * store/kv*.c and their tests. */
#ifndef STORE_KV_IMPL_H
#define STORE_KV_IMPL_H
#include "base/list.h"
#include "base/reader.h"
#include "base/writer.h"
#include "store/kv.h"

/* Rows in order, as one page of a scan. */
#define KV_PAGE_MAX_ROWS 256
#define KV_PAGE_MAX_BYTES (256u << 10) /* filled up to this; one row may go over it */
typedef struct kv_page {
    buf_t rows; /* length-prefixed key, length-prefixed value … */
    size_t count, max_rows;
    bool is_last; /* the range ends with it */
} kv_page_t;
bool kv_page_has_room(const kv_page_t *p);
MUST_CHECK err_t kv_page_add(kv_page_t *p, bytes_t key, bytes_t value);

/* One change of a batch; borrowed from the batch's bytes. */
typedef enum { KV_OP_PUT = 1, KV_OP_DELETE = 2, KV_OP_DELETE_PREFIX = 3 } kv_op_kind_t;
typedef struct kv_op {
    kv_op_kind_t kind;
    char space[KV_SPACE_MAX_CHARS + 1];
    bytes_t key, value;
} kv_op_t;
bool kv_next_op(reader_t *r, kv_op_t *ret_op); /* false at the end, or with r->err set */

/* The smallest key above all that start with prefix, into out; false when there is none. */
bool kv_prefix_end(bytes_t prefix, buf_t *out);

typedef struct kv_ops {
    /* Makes all batches durable in one step, or none. Never called twice at a time. */
    err_t (*apply)(task_t *t, kv_t *kv, const bytes_t *batches, size_t n);
    err_t (*get)(task_t *t, kv_t *kv, const char *space, bytes_t key, buf_t *out);
    err_t (*page)(task_t *t, kv_t *kv, const char *space, const kv_range_t *range, kv_page_t *page);
    err_t (*count)(task_t *t, kv_t *kv, const char *space, bytes_t prefix, uint64_t *ret_count);
    void (*close)(task_t *t, kv_t *kv); /* frees it */
} kv_ops_t;
struct kv {
    const kv_ops_t *ops;
    list_t pending; /* commits that wait for the next step */
    bool is_applying;
    event_t applied;
};
void kv_init(kv_t *kv, const kv_ops_t *ops);
MUST_CHECK err_t kv_not_found(const char *space, bytes_t key);

MUST_CHECK err_t kv_sqlite_open(task_t *t, const char *path, kv_t **ret_kv);
MUST_CHECK err_t kv_journal_open(task_t *t, const char *path, kv_t **ret_kv);
#endif
