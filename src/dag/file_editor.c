#include "dag/file_editor.h"
#include "dag/file_node.h"
#include <stdlib.h>

enum { BATCH_BYTES = 4 << 20, MAX_BATCHES = 2 };

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static err_t load_root(task_t *t, file_editor_t *ed, const cid_t *file)
{
    AUTO(dag_node_t) node = {0};
    char text[CID_TEXT_MAX];
    TRY(dag_node_get(t, ed->blocks, file, &node));
    if (node.fs.type == UNIXFS_SYMLINK && file->codec != CODEC_RAW)
        return fail(ERR_UNSUPPORTED, "symlinks not yet supported");
    if (!dag_node_is_file(&node))
        return fail(ERR_INVALID, "%s is not a file", cid_print(file, text));
    ed->original = (dag_ref_t){.cid = *file, .tsize = node.block->len, .size = node.size};
    if (file->codec == CODEC_RAW) {
        ed->raw = block_ref(node.block);
        return OK;
    }
    TRY(file_node_of(&node, &ed->root));
    for (size_t i = 0; i < ed->root->count; i++)
        ed->original.tsize += ed->root->links[i].ref.tsize;
    ed->goes_on = ed->options.goes_on && !ed->root->size && !ed->root->count;
    return OK;
}

err_t file_editor_open(task_t *t, blocks_t *blocks, const cid_t *file, const file_editor_options_t *o,
                       file_editor_t **ret)
{
    file_editor_t *ed = xcalloc(1, sizeof *ed);
    ed->blocks = blocks;
    ed->options = *o;
    ed->format = node_format_of(file);
    ed->has_raw_leaves = o->raw_leaves < 0 ? file->version > 0 : o->raw_leaves;
    put_queue_init(&ed->queue, task_sched(t), blocks, BATCH_BYTES, MAX_BATCHES);
    node_writer_init(&ed->writer, &ed->node_options, &ed->queue);
    err_t e = load_root(t, ed, file);
    if (e) {
        file_editor_free(t, ed);
        return e;
    }
    *ret = ed;
    return OK;
}

void file_editor_free(task_t *t, file_editor_t *ed)
{
    if (!ed)
        return;
    error_slot_t saved = *error_slot(); /* cleaning up must not overwrite why it failed */
    put_queue_deinit(t, &ed->queue);
    *error_slot() = saved;
    node_writer_deinit(&ed->writer);
    file_node_free(ed->root);
    block_release(ed->raw);
    free(ed->chunk);
    free(ed);
}

uint64_t file_editor_size(const file_editor_t *ed)
{
    return ed->raw ? ed->raw->len : ed->root->size;
}

/* ── growing ─────────────────────────────────────────────────────────────────────────────────── */
/* A raw block cannot have children: it becomes the first leaf of a node. */
static void wrap_raw(file_editor_t *ed)
{
    dag_ref_t leaf = {.cid = ed->raw->cid, .tsize = ed->raw->len, .size = ed->raw->len};
    ed->root = file_node_new(ed->format, UNIXFS_FILE);
    file_node_add(ed->root, &leaf);
    block_release(ed->raw);
    ed->raw = NULL;
}

static err_t append(task_t *t, file_editor_t *ed, feed_t *f, const chunker_t *chunker)
{
    bool raw_leaves = ed->has_raw_leaves || ed->raw;
    if (!feed_has(t, f))
        return OK;
    TRY(put_queue_drain(t, &ed->queue)); /* the last nodes are read again */
    if (!ed->chunk) {
        size_t cap = ed->options.chunker.max_bytes;
        ed->chunk = xmalloc(cap < FILE_EDITOR_ZERO_BYTES ? FILE_EDITOR_ZERO_BYTES : cap);
    }
    if (ed->raw)
        wrap_raw(ed);
    return file_append(t, ed, f, chunker, raw_leaves);
}

/* ── overwriting ─────────────────────────────────────────────────────────────────────────────── */
/* A raw block with the feed written over it from `skip` on; its bytes are in `copy` after. */
static err_t overwrite_raw(task_t *t, file_editor_t *ed, feed_t *f, const block_t *old, size_t skip,
                           buf_t *copy, dag_ref_t *ret_ref)
{
    buf_init(copy, BLOCK_MAX_BYTES);
    TRY(buf_append(copy, block_bytes(old)));
    feed_read(t, f, copy->data + skip, copy->len - skip);
    return file_raw_write(t, ed, node_format_of(&old->cid), buf_bytes(copy), ret_ref);
}

static err_t overwrite_node(task_t *t, file_editor_t *ed, feed_t *f, file_node_t *n, uint64_t skip,
                            size_t level);

/* The link keeps its tsize, as in boxo, where only the CID is exchanged. */
static err_t overwrite_child(task_t *t, file_editor_t *ed, feed_t *f, dag_ref_t *link, uint64_t skip,
                             size_t level)
{
    dag_ref_t changed;
    char text[CID_TEXT_MAX];
    if (link->cid.codec == CODEC_RAW) {
        AUTO_PTR(block_t) old = NULL;
        AUTO(buf_t) copy = {0};
        TRY(blocks_get(t, ed->blocks, &link->cid, &old));
        if (old->len != link->size)
            return fail(ERR_CORRUPT, "block %s: not as long as its parent says", cid_print(&link->cid, text));
        TRY(overwrite_raw(t, ed, f, old, (size_t)skip, &copy, &changed));
    } else {
        AUTO_PTR(file_node_t) child = NULL;
        TRY(file_node_load(t, ed, &link->cid, &child));
        if (child->size != link->size)
            return fail(ERR_CORRUPT, "block %s: not as long as its parent says", cid_print(&link->cid, text));
        TRY(overwrite_node(t, ed, f, child, skip, level + 1));
        TRY(file_node_write(t, ed, child, &changed));
    }
    link->cid = changed.cid;
    return OK;
}

/* Writes over the content of a node from `skip` on, to its end or to that of the feed. */
static err_t overwrite_node(task_t *t, file_editor_t *ed, feed_t *f, file_node_t *n, uint64_t skip,
                            size_t level)
{
    if (level == FILE_EDITOR_MAX_DEPTH)
        return fail(ERR_LIMIT, "a file of more than %d levels of nodes", FILE_EDITOR_MAX_DEPTH);
    if (skip < n->own_data.len)
        feed_read(t, f, n->own_data.data + skip, n->own_data.len - (size_t)skip);
    if (!n->count && n->fs.has_mtime)
        n->fs.mtime = ed->options.now;
    uint64_t at = n->own_data.len;
    if (skip < at)
        skip = at;
    for (size_t i = 0; i < n->count; i++) {
        dag_ref_t *link = &n->links[i].ref;
        if (at + link->size > skip) {
            if (!feed_has(t, f))
                break;
            TRY(overwrite_child(t, ed, f, link, skip - at, level));
            skip = at + link->size;
        }
        at += link->size;
    }
    return OK;
}

/* An empty write changes nothing; any other one counts as a change of the root. */
static err_t overwrite(task_t *t, file_editor_t *ed, feed_t *f, uint64_t offset)
{
    if (!feed_has(t, f))
        return OK;
    ed->is_changed = true;
    if (!ed->raw)
        return overwrite_node(t, ed, f, ed->root, offset, 0);
    if (offset >= ed->raw->len)
        return OK;
    dag_ref_t changed;
    AUTO(buf_t) copy = {0};
    TRY(overwrite_raw(t, ed, f, ed->raw, (size_t)offset, &copy, &changed));
    block_release(ed->raw);
    ed->raw = NULL;
    return block_copy(&changed.cid, buf_bytes(&copy), &ed->raw);
}

err_t file_editor_write(task_t *t, file_editor_t *ed, uint64_t offset, source_t source,
                        bool *ret_source_failed)
{
    assert(offset <= file_editor_size(ed));
    feed_t f = {.source = source};
    *ret_source_failed = false;
    err_t e = put_queue_drain(t, &ed->queue);
    if (!e)
        e = overwrite(t, ed, &f, offset);
    if (!e)
        e = append(t, ed, &f, &ed->options.chunker);
    free(f.buf);
    *ret_source_failed = !e && f.error.code;
    return *ret_source_failed ? fail(f.error.code, "%s", f.error.text) : e;
}

/* ── cutting ─────────────────────────────────────────────────────────────────────────────────── */
/* A leaf that is cut becomes a CIDv0 with sha2-256 whatever it was, as in boxo. */
static err_t cut_leaf(file_editor_t *ed, file_node_t *n, uint64_t size)
{
    if (n->fs.has_mtime)
        n->fs.mtime = ed->options.now;
    n->format = (node_format_t){0, MH_SHA2_256};
    return file_node_set_data(n, bytes_slice(n->fs.data, 0, (size_t)size));
}

static err_t cut_node(task_t *t, file_editor_t *ed, file_node_t *n, uint64_t size, size_t level);

static err_t cut_child(task_t *t, file_editor_t *ed, const dag_ref_t *link, uint64_t size, size_t level,
                       dag_ref_t *ret)
{
    char text[CID_TEXT_MAX];
    if (link->cid.codec == CODEC_RAW) {
        AUTO_PTR(block_t) old = NULL;
        TRY(blocks_get(t, ed->blocks, &link->cid, &old));
        if (old->len != link->size)
            return fail(ERR_CORRUPT, "block %s: not as long as its parent says", cid_print(&link->cid, text));
        return file_raw_write(t, ed, node_format_of(&old->cid),
                              bytes_slice(block_bytes(old), 0, (size_t)size), ret);
    }
    AUTO_PTR(file_node_t) child = NULL;
    TRY(file_node_load(t, ed, &link->cid, &child));
    if (child->size != link->size)
        return fail(ERR_CORRUPT, "block %s: not as long as its parent says", cid_print(&link->cid, text));
    TRY(cut_node(t, ed, child, size, level + 1));
    return file_node_write(t, ed, child, ret);
}

/* size is less than the node's. The child that the cut goes through stays, also when nothing of it is left.
 */
static err_t cut_node(task_t *t, file_editor_t *ed, file_node_t *n, uint64_t size, size_t level)
{
    if (level == FILE_EDITOR_MAX_DEPTH)
        return fail(ERR_LIMIT, "a file of more than %d levels of nodes", FILE_EDITOR_MAX_DEPTH);
    if (!n->count)
        return cut_leaf(ed, n, size);
    uint64_t at = n->own_data.len;
    size_t i = 0;
    dag_ref_t cut;
    if (size < at) { /* within the data beside the links: none of these is left */
        n->count = 0;
        n->size = at;
        return file_node_set_data(n, bytes_slice(n->fs.data, 0, (size_t)size));
    }
    while (at + n->links[i].ref.size <= size)
        at += n->links[i++].ref.size;
    TRY(cut_child(t, ed, &n->links[i].ref, size - at, level, &cut));
    while (n->count > i)
        file_node_remove_last(n);
    file_node_add(n, &cut);
    return OK;
}

static err_t cut(task_t *t, file_editor_t *ed, uint64_t size)
{
    dag_ref_t ref;
    ed->is_changed = true;
    ed->goes_on = false;
    TRY(put_queue_drain(t, &ed->queue));
    if (!ed->raw)
        return cut_node(t, ed, ed->root, size, 0);
    bytes_t kept = bytes_slice(block_bytes(ed->raw), 0, (size_t)size);
    TRY(file_raw_write(t, ed, node_format_of(&ed->raw->cid), kept, &ref));
    block_t *old = ed->raw;
    err_t e = block_copy(&ref.cid, kept, &ed->raw);
    block_release(old);
    return e;
}

err_t file_editor_resize(task_t *t, file_editor_t *ed, uint64_t size)
{
    uint64_t old = file_editor_size(ed);
    if (size < old)
        return cut(t, ed, size);
    static const chunker_t chunker = {.kind = CHUNKER_SIZE, .max_bytes = FILE_EDITOR_ZERO_BYTES};
    feed_t zeros = {.zeros = size - old};
    return append(t, ed, &zeros, &chunker);
}

/* ── finishing ───────────────────────────────────────────────────────────────────────────────── */
static bool is_one_raw_leaf(const file_editor_t *ed)
{
    const file_node_t *n = ed->root;
    return ed->has_raw_leaves && n && n->count == 1 && !n->own_data.len && !n->fs.has_mtime && !n->fs.mode &&
           n->links[0].ref.cid.codec == CODEC_RAW;
}

static err_t current(task_t *t, file_editor_t *ed, dag_ref_t *ret_ref)
{
    if (is_one_raw_leaf(ed)) {
        *ret_ref = ed->root->links[0].ref;
        return OK;
    }
    if (!ed->is_changed) {
        *ret_ref = ed->original;
        return OK;
    }
    if (!ed->raw)
        return file_node_write(t, ed, ed->root, ret_ref);
    *ret_ref = (dag_ref_t){.cid = ed->raw->cid, .tsize = ed->raw->len, .size = ed->raw->len};
    return OK;
}

err_t file_editor_finish(task_t *t, file_editor_t *ed, dag_ref_t *ret_ref)
{
    dag_ref_t ref;
    TRY(current(t, ed, &ref));
    TRY(put_queue_drain(t, &ed->queue));
    *ret_ref = ref;
    return OK;
}
