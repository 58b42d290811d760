/* Appends to a file as a trickle tree: a node takes leaves up to the maximum, then four subtrees of each
 * depth. Where a tree that exists goes on is told from the number of links alone, as in ipfs/boxo
 * ipld/unixfs/importer/trickle: numbers that look arbitrary here decide about CIDs. */
#include "dag/file_node.h"
#include <stdlib.h>

enum { DEPTH_REPEAT = 4, ROOT_FIRST_DEPTH = 2 };

typedef struct append {
    file_editor_t *ed;
    feed_t *feed;
    chunker_t chunker;
    size_t held; /* bytes read but not cut yet, in the editor's chunk */
    bool raw_leaves;
    bool is_long; /* there was a whole leaf: more of them are likely */
    file_leaves_t leaves;
} append_t;

static bool is_done(task_t *t, append_t *a)
{
    return !a->held && !feed_has(t, a->feed);
}

/* Holes are long and their leaves are all the same. */
static err_t add_zeros(task_t *t, append_t *a, file_node_t *n)
{
    file_editor_t *ed = a->ed;
    if (!ed->zero_leaf.tsize || ed->zero_leaf_is_raw != a->raw_leaves) {
        feed_read(t, a->feed, ed->chunk, FILE_EDITOR_ZERO_BYTES);
        TRY(file_leaf_write(t, ed, a->raw_leaves, bytes_of(ed->chunk, FILE_EDITOR_ZERO_BYTES),
                            &ed->zero_leaf));
        ed->zero_leaf_is_raw = a->raw_leaves;
    } else {
        a->feed->zeros -= FILE_EDITOR_ZERO_BYTES;
    }
    file_node_add(n, &ed->zero_leaf);
    return task_check(t);
}

static err_t add_late(task_t *t, append_t *a, file_node_t *n, bytes_t data)
{
    block_t *block;
    TRY(file_leaf_block(a->raw_leaves, data.data, data.len, &block, NULL));
    return file_leaves_add(t, &a->leaves, n, block, data.len);
}

static err_t add_leaf(task_t *t, append_t *a, file_node_t *n)
{
    file_editor_t *ed = a->ed;
    dag_ref_t ref;
    a->held += feed_read(t, a->feed, ed->chunk + a->held, a->chunker.max_bytes - a->held);
    size_t len = chunker_cut(&a->chunker, bytes_of(ed->chunk, a->held));
    a->is_long = len == a->chunker.max_bytes;
    if (file_leaf_is_late(len)) {
        TRY(add_late(t, a, n, bytes_of(ed->chunk, len)));
    } else {
        TRY(file_leaf_write(t, ed, a->raw_leaves, bytes_of(ed->chunk, len), &ref));
        file_node_add(n, &ref);
    }
    a->held -= len;
    memmove(ed->chunk, ed->chunk + len, a->held);
    return OK;
}

/* Of a fixed size, among others of it: read to where it stays. */
static err_t add_long_leaf(task_t *t, append_t *a, file_node_t *n)
{
    block_t *block;
    uint8_t *content;
    size_t len = a->chunker.max_bytes;
    TRY(file_leaf_block(a->raw_leaves, NULL, len, &block, &content));
    size_t got = feed_read(t, a->feed, content, len);
    if (got == len)
        return file_leaves_add(t, &a->leaves, n, block, len);
    a->is_long = false; /* the last one: shorter */
    memcpy(a->ed->chunk, content, got);
    a->held = got;
    block_release(block);
    return got ? add_leaf(t, a, n) : OK;
}

static err_t add_next(task_t *t, append_t *a, file_node_t *n)
{
    if (!a->feed->source.read && a->feed->zeros >= FILE_EDITOR_ZERO_BYTES)
        return add_zeros(t, a, n);
    bool is_sized = a->chunker.kind == CHUNKER_SIZE && file_leaf_is_late(a->chunker.max_bytes);
    return is_sized && a->is_long && !a->held ? add_long_leaf(t, a, n) : add_leaf(t, a, n);
}

static err_t fill_layer(task_t *t, append_t *a, file_node_t *n)
{
    while (n->count < FILE_EDITOR_MAX_LINKS && !is_done(t, a))
        TRY(add_next(t, a, n));
    return file_leaves_collect(t, &a->leaves);
}

static err_t fill_tree(task_t *t, append_t *a, file_node_t *n, int max_depth);

static err_t add_tree(task_t *t, append_t *a, file_node_t *n, int max_depth)
{
    AUTO_PTR(file_node_t) child = file_node_new(a->ed->format, UNIXFS_FILE);
    dag_ref_t ref;
    TRY(fill_tree(t, a, child, max_depth));
    TRY(file_node_write(t, a->ed, child, &ref));
    file_node_add(n, &ref);
    return OK;
}

/* Recursion: each level is one shallower than the one above. */
static err_t fill_tree(task_t *t, append_t *a, file_node_t *n, int max_depth)
{
    TRY(fill_layer(t, a, n));
    for (int depth = 1; depth < max_depth && !is_done(t, a); depth++)
        for (int i = 0; i < DEPTH_REPEAT && !is_done(t, a); i++)
            TRY(add_tree(t, a, n, depth));
    return OK;
}

/* Which depth the next subtree has, and the how many-th of its depth it is. */
static void where_it_ends(const file_node_t *n, int *ret_depth, int *ret_repeat)
{
    size_t trees = n->count < FILE_EDITOR_MAX_LINKS ? 0 : n->count - FILE_EDITOR_MAX_LINKS;
    *ret_depth = n->count < FILE_EDITOR_MAX_LINKS ? 0 : (int)(trees / DEPTH_REPEAT) + 1;
    *ret_repeat = (int)(trees % DEPTH_REPEAT);
}

static err_t append_below(task_t *t, append_t *a, file_node_t *n, int max_depth, int level);

/* The last subtree may not be full. One that proves to be a leaf, as in wide balanced trees, stays as it is.
 */
static err_t fill_last_child(task_t *t, append_t *a, file_node_t *n, int depth, int repeat, int level)
{
    if (n->count <= FILE_EDITOR_MAX_LINKS)
        return OK;
    const dag_ref_t *last = &n->links[n->count - 1].ref;
    if (last->cid.codec == CODEC_DAG_PB) {
        AUTO_PTR(file_node_t) child = NULL;
        dag_ref_t ref;
        TRY(file_node_load(t, a->ed, &last->cid, &child));
        TRY(append_below(t, a, child, depth - 1, level + 1));
        TRY(file_node_write(t, a->ed, child, &ref));
        file_node_remove_last(n);
        file_node_add(n, &ref);
    }
    for (; repeat && repeat < DEPTH_REPEAT && !is_done(t, a); repeat++)
        TRY(add_tree(t, a, n, depth));
    return OK;
}

/* Below the root. max_depth may be negative: a subtree of leaves alone. */
static err_t append_below(task_t *t, append_t *a, file_node_t *n, int max_depth, int level)
{
    int depth, repeat;
    if (level == FILE_EDITOR_MAX_DEPTH)
        return fail(ERR_LIMIT, "a file of more than %d levels of nodes", FILE_EDITOR_MAX_DEPTH);
    if (!max_depth || is_done(t, a))
        return OK;
    where_it_ends(n, &depth, &repeat);
    if (!depth) {
        TRY(fill_layer(t, a, n));
        depth++;
    }
    if (depth == max_depth)
        return OK;
    TRY(fill_last_child(t, a, n, depth, repeat, level));
    if (!is_done(t, a))
        depth++;
    for (; depth < max_depth && !is_done(t, a); depth++)
        for (int i = 0; i < DEPTH_REPEAT && !is_done(t, a); i++)
            TRY(add_tree(t, a, n, depth));
    return OK;
}

static err_t append_to_root(task_t *t, append_t *a, file_node_t *n)
{
    int depth, repeat;
    where_it_ends(n, &depth, &repeat);
    if (!depth) {
        TRY(fill_layer(t, a, n));
        if (is_done(t, a)) {
            if (n->fs.has_mtime)
                n->fs.mtime = a->ed->options.now;
            return OK;
        }
        depth++;
    }
    TRY(fill_last_child(t, a, n, depth - 1, repeat, 0));
    if (!is_done(t, a))
        depth++;
    for (; !is_done(t, a); depth++)
        for (int i = 0; i < DEPTH_REPEAT && !is_done(t, a); i++)
            TRY(add_tree(t, a, n, depth));
    return OK;
}

/* ── going on ────────────────────────────────────────────────────────────────────────────────── */
static err_t go_on(task_t *t, append_t *a, file_node_t *n, size_t first_depth, size_t max_depth);

static err_t go_on_in_last_child(task_t *t, append_t *a, file_node_t *n, size_t depth)
{
    AUTO_PTR(file_node_t) child = NULL;
    dag_ref_t ref;
    TRY(file_node_load(t, a->ed, &n->links[n->count - 1].ref.cid, &child));
    TRY(go_on(t, a, child, 1, depth));
    TRY(file_node_write(t, a->ed, child, &ref));
    file_node_remove_last(n);
    file_node_add(n, &ref);
    return OK;
}

/* A node that appending has made, and that may not be full: as fill_tree would have gone on. Subtrees are
 * less deep than max_depth, and those of the root begin at another depth than others. */
static err_t go_on(task_t *t, append_t *a, file_node_t *n, size_t first_depth, size_t max_depth)
{
    TRY(fill_layer(t, a, n));
    if (is_done(t, a))
        return OK;
    size_t trees = n->count - FILE_EDITOR_MAX_LINKS;
    if (trees)
        TRY(go_on_in_last_child(t, a, n, (trees - 1) / DEPTH_REPEAT + first_depth));
    for (size_t depth; !is_done(t, a); trees++) {
        depth = trees / DEPTH_REPEAT + first_depth;
        if (depth >= max_depth)
            return OK;
        TRY(add_tree(t, a, n, (int)depth));
    }
    return OK;
}

static err_t append(task_t *t, append_t *a, file_node_t *root)
{
    if (!a->ed->goes_on || !root->count)
        return append_to_root(t, a, root);
    if (root->fs.has_mtime)
        root->fs.mtime = a->ed->options.now;
    return go_on(t, a, root, ROOT_FIRST_DEPTH, FILE_EDITOR_MAX_DEPTH);
}

err_t file_append(task_t *t, file_editor_t *ed, feed_t *f, const chunker_t *chunker, bool raw_leaves)
{
    append_t *a = xcalloc(1, sizeof *a);
    *a = (append_t){.ed = ed, .feed = f, .chunker = *chunker, .raw_leaves = raw_leaves};
    file_leaves_init(&a->leaves, t, ed, raw_leaves, chunker->max_bytes);
    ed->is_changed = true;
    err_t e = append(t, a, ed->root);
    file_leaves_deinit(t, &a->leaves);
    free(a);
    return e;
}
