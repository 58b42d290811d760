/* dir_editor: changes a directory: puts and removes entries, and writes it anew when asked. A basic directory
 * is held whole, a sharded one shard by shard as names lead into it. Over the threshold of the options a
 * basic one becomes sharded, and back.
 *
 * When it turns back is decided as in ipfs/boxo ipld/unixfs/io, on which CIDs depend: not by the size alone,
 * but only when entries were removed or shrunk since the editor was opened, and the estimate counts the names
 * of old entries with their slots and those of new ones not at all.
 *
 * The names of entries are any bytes but empty. A failure (a shard is not here, or damaged) changes nothing.
 * All calls under one lock of the caller: some of them wait. */
#ifndef DAG_DIR_EDITOR_H
#define DAG_DIR_EDITOR_H
#include "dag/dag_node.h"
#include "dag/node_format.h"
#include "dag/put_queue.h"
#include "dag/ref.h"

typedef struct dir_editor dir_editor_t;

/* The rule, threshold, maximum of links and fanout of the options count; blocks and options are borrowed. */
MUST_CHECK err_t dir_editor_open(task_t *t, blocks_t *blocks, const import_options_t *o,
                                 const dag_node_t *dir, dir_editor_t **ret);
dir_editor_t *dir_editor_new(blocks_t *blocks, const import_options_t *o, node_format_t format); /* empty */
void dir_editor_free(dir_editor_t *ed); /* NULL is fine */

MUST_CHECK err_t dir_editor_find(task_t *t, dir_editor_t *ed, bytes_t name, bool *ret_has,
                                 dag_ref_t *ret_ref);
MUST_CHECK err_t dir_editor_put(task_t *t, dir_editor_t *ed, bytes_t name, const dag_ref_t *ref);
MUST_CHECK err_t dir_editor_remove(task_t *t, dir_editor_t *ed, bytes_t name, bool *ret_had);
/* The new ref of an entry that is there, without any estimate: for a change that was estimated when it was
 * made, and whose CID is known now. */
MUST_CHECK err_t dir_editor_replace(task_t *t, dir_editor_t *ed, bytes_t name, const dag_ref_t *ref);

node_format_t dir_editor_format(const dir_editor_t *ed);
void dir_editor_set_format(dir_editor_t *ed, node_format_t format);
const unixfs_t *dir_editor_meta(const dir_editor_t *ed); /* has_mode, has_mtime */
void dir_editor_set_meta(dir_editor_t *ed, const unixfs_t *meta);

MUST_CHECK err_t dir_editor_is_empty(task_t *t, dir_editor_t *ed, bool *ret);
bool dir_editor_is_sharded(const dir_editor_t *ed);
bool dir_editor_is_changed(const dir_editor_t *ed);
void dir_editor_mark_changed(dir_editor_t *ed); /* all that is loaded: it will be written anew */
/* Its ref; writes what changed into the queue. */
MUST_CHECK err_t dir_editor_write(task_t *t, dir_editor_t *ed, put_queue_t *queue, dag_ref_t *ret_ref);
/* As if it was opened just now: estimates begin anew. */
void dir_editor_forget(dir_editor_t *ed);
size_t dir_editor_loaded(const dir_editor_t *ed); /* entries in memory */
void dir_editor_trim(dir_editor_t *ed);           /* lets go shards that are not changed */
#endif
