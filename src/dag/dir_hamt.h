/* dir_hamt: a sharded directory that is being changed. Shards are loaded when a name leads into them, and
 * only those that changed are written; what is loaded and not changed can be let go at any time. Only for the
 * directory editor. The tree is that of ipfs/boxo ipld/unixfs/hamt: a shard that is left with one entry is
 * replaced by the entry, so that the same names give the same tree whatever the order of changes. */
#ifndef DAG_DIR_HAMT_H
#define DAG_DIR_HAMT_H
#include "dag/dag_node.h"
#include "dag/directory.h"
#include "dag/node_format.h"

typedef struct dir_ent {
    dag_ref_t ref;
    size_t name_len;
    uint8_t name[];
} dir_ent_t;
dir_ent_t *dir_ent_new(bytes_t name, const dag_ref_t *ref);
static inline bytes_t dir_ent_name(const dir_ent_t *e)
{
    return bytes_of(e->name, e->name_len);
}

typedef struct dir_shard dir_shard_t;
typedef struct dir_hamt {
    blocks_t *blocks; /* borrowed */
    uint64_t fanout;
    dir_shard_t *root; /* NULL: not in use */
    size_t loaded;     /* entries in memory */
} dir_hamt_t;

void dir_hamt_init(dir_hamt_t *h, blocks_t *blocks, uint64_t fanout, node_format_t format); /* empty */
MUST_CHECK err_t dir_hamt_open(task_t *t, dir_hamt_t *h, blocks_t *blocks, const dag_node_t *root);
void dir_hamt_deinit(dir_hamt_t *h); /* idempotent */
node_format_t dir_hamt_format(const dir_hamt_t *h);
void dir_hamt_set_format(dir_hamt_t *h, node_format_t format); /* of the root shard */
size_t dir_hamt_root_links(const dir_hamt_t *h);

/* Errors of all: a shard is not here (ERR_NOT_FOUND) or damaged; then nothing has changed. */
/* NULL: no such name. Borrowed until the next call. */
MUST_CHECK err_t dir_hamt_find(task_t *t, dir_hamt_t *h, bytes_t name, const dir_ent_t **ret_ent);
MUST_CHECK err_t dir_hamt_put(task_t *t, dir_hamt_t *h, bytes_t name, const dag_ref_t *ref);
MUST_CHECK err_t dir_hamt_remove(task_t *t, dir_hamt_t *h, bytes_t name); /* which is there */
/* Visits entries until `visit` says false. Keeps nothing loaded that was not. */
typedef bool (*dir_hamt_visit_fn)(void *arg, bytes_t name, const dag_ref_t *ref);
MUST_CHECK err_t dir_hamt_each(task_t *t, dir_hamt_t *h, dir_hamt_visit_fn visit, void *arg);
/* Writes what changed. `o`: formats are put into it shard by shard. meta may be NULL. */
MUST_CHECK err_t dir_hamt_write(task_t *t, dir_hamt_t *h, node_writer_t *w, import_options_t *o,
                                node_format_t otherwise, const unixfs_t *meta, dag_ref_t *ret_ref);
void dir_hamt_mark_changed(dir_hamt_t *h); /* all that is loaded */
void dir_hamt_trim(dir_hamt_t *h);         /* lets go what is not changed */
#endif
