#include "api/tar_tree.h"
#include "api/tar_writer.h"
#include "dag/dir_reader.h"
#include "dag/file_reader.h"
#include <stdlib.h>

enum { TREE_MAX_DEPTH = 512, TREE_NAME_MAX = 16 << 10, TREE_AHEAD = 64 };

typedef struct tree_level {
    dag_node_t node;
    dir_reader_t dir;
    char *name;   /* the path to this directory: ".." in names changes what g->name holds */
    size_t count; /* entries so far */
} tree_level_t;
typedef struct tar_tree {
    blocks_t *blocks;
    tar_sink_fn sink;
    void *arg;
    tar_tree_options_t options;
    buf_t name, headers;
    size_t root_len; /* of the root's name */
    tree_level_t *levels;
    size_t depth;
} tar_tree_t;

/* ── waits ───────────────────────────────────────────────────────────────────────────────────── */

static deadline_t begin_wait(task_t *t, const tar_tree_t *g)
{
    return deadline_push(t, g->options.timeout_ms ? g->options.timeout_ms : UINT64_MAX / 2);
}

static err_t next_piece(task_t *t, tar_tree_t *g, file_reader_t *f, bytes_t *ret_piece)
{
    deadline_t d = begin_wait(t, g);
    err_t e = file_reader_next(t, f, ret_piece);
    deadline_pop(t, &d);
    return e;
}

static err_t next_entry(task_t *t, tar_tree_t *g, tree_level_t *level, dir_entry_t *entry, bool *ret_has)
{
    deadline_t d = begin_wait(t, g);
    err_t e = dir_reader_next(t, &level->dir, entry, ret_has);
    deadline_pop(t, &d);
    return e;
}

static err_t get_node(task_t *t, tar_tree_t *g, const cid_t *cid, dag_node_t *ret)
{
    deadline_t d = begin_wait(t, g);
    err_t e = dag_node_get(t, g->blocks, cid, ret);
    deadline_pop(t, &d);
    return e;
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */

static err_t put_zeros(task_t *t, tar_tree_t *g, size_t n)
{
    static const uint8_t zeros[TAR_END_BYTES];
    return n ? g->sink(t, g->arg, bytes_of(zeros, n)) : OK;
}

static err_t put_header(task_t *t, tar_tree_t *g, const dag_node_t *n, tar_item_t item)
{
    item.name = buf_bytes(&g->name);
    item.mode = n->fs.has_mode ? n->fs.mode : 0;
    item.mtime_s = n->fs.has_mtime ? n->fs.mtime.seconds : g->options.mtime_s;
    if (n->fs.has_mtime && g->options.has_exact_times)
        item.mtime_ns = n->fs.mtime.nanoseconds;
    else if (n->fs.has_mtime)
        item.mtime_s += n->fs.mtime.nanoseconds >= 500000000;
    buf_clear(&g->headers);
    TRY(tar_put_header(&item, &g->headers));
    return g->sink(t, g->arg, buf_bytes(&g->headers));
}

static err_t put_file(task_t *t, tar_tree_t *g, dag_node_t *n)
{
    TRY(put_header(t, g, n, (tar_item_t){.kind = TAR_ITEM_FILE, .size = n->size}));
    AUTO(file_reader_t) reader = {0};
    TRY(file_reader_init(&reader, g->blocks, n));
    uint64_t size = reader.size;
    for (;;) {
        bytes_t piece;
        TRY(next_piece(t, g, &reader, &piece));
        if (!piece.len)
            return put_zeros(t, g, tar_padding(size));
        TRY(g->sink(t, g->arg, piece));
    }
}

static err_t open_dir(task_t *t, tar_tree_t *g, dag_node_t *n)
{
    if (g->depth == TREE_MAX_DEPTH)
        return fail(ERR_LIMIT, "directories are nested deeper than %d", TREE_MAX_DEPTH);
    TRY(put_header(t, g, n, (tar_item_t){.kind = TAR_ITEM_DIR}));
    tree_level_t *level = &g->levels[g->depth];
    level->count = 0;
    TRY(dir_reader_init(t, &level->dir, g->blocks, n));
    level->name = strndup((const char *)g->name.data, g->name.len);
    level->node = *n;
    n->block = NULL;
    g->depth++;
    return OK;
}

static void close_dir(tar_tree_t *g)
{
    tree_level_t *level = &g->levels[--g->depth];
    dir_reader_deinit(&level->dir);
    dag_node_deinit(&level->node);
    free(level->name);
}

static err_t put_node(task_t *t, tar_tree_t *g, dag_node_t *n)
{
    if (dag_node_is_dir(n))
        return open_dir(t, g, n);
    if (dag_node_is_file(n))
        return put_file(t, g, n);
    return put_header(t, g, n, (tar_item_t){.kind = TAR_ITEM_SYMLINK, .target = n->fs.data});
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */

err_t tar_tree_check_name(bytes_t name)
{
    if (!name.len || memchr(name.data, '/', name.len) || memchr(name.data, 0, name.len) ||
        bytes_equal(name, BYTES_LIT(".")) || bytes_equal(name, BYTES_LIT("..")))
        return fail(ERR_INVALID, "the directory holds a name that is not allowed in a file system");
    return OK;
}

static err_t go_up(tar_tree_t *g)
{
    if (g->name.len <= g->root_len)
        return fail(ERR_INVALID, "relative UnixFS paths outside the root are not allowed");
    while (g->name.data[g->name.len - 1] != '/')
        g->name.len--;
    g->name.len--;
    return OK;
}

/* Appends an entry's name to the path, with "." and ".." resolved. */
static err_t enter(tar_tree_t *g, bytes_t name)
{
    while (name.len) {
        const uint8_t *slash = memchr(name.data, '/', name.len);
        bytes_t part = bytes_slice(name, 0, slash ? (size_t)(slash - name.data) : name.len);
        name = bytes_slice(name, part.len + 1, name.len);
        if (!part.len || bytes_equal(part, BYTES_LIT(".")))
            continue;
        if (bytes_equal(part, BYTES_LIT(".."))) {
            TRY(go_up(g));
            continue;
        }
        TRY(tar_tree_check_name(part));
        TRY(buf_append_u8(&g->name, '/'));
        TRY(buf_append(&g->name, part));
    }
    if (g->name.len <= g->root_len) /* the root itself */
        return fail(ERR_INVALID, "the directory holds a name that is not allowed in a file system");
    return OK;
}

/* ── the tree ────────────────────────────────────────────────────────────────────────────────── */

static err_t write_tree(task_t *t, tar_tree_t *g, dag_node_t *root)
{
    TRY(put_node(t, g, root));
    while (g->depth) {
        tree_level_t *level = &g->levels[g->depth - 1];
        dir_entry_t entry;
        bool has;
        TRY(next_entry(t, g, level, &entry, &has));
        if (!has) {
            close_dir(g);
            continue;
        }
        if (level->count++ % (TREE_AHEAD / 2) == 0)
            dir_reader_prefetch(t, &level->dir, TREE_AHEAD);
        buf_clear(&g->name);
        TRY(buf_append(&g->name, bytes_str(level->name)));
        TRY(enter(g, entry.name));
        AUTO(dag_node_t) n = {0};
        TRY(get_node(t, g, &entry.cid, &n));
        TRY(put_node(t, g, &n));
    }
    return put_zeros(t, g, TAR_END_BYTES);
}

err_t tar_tree_write(task_t *t, blocks_t *blocks, dag_node_t *root, bytes_t name, tar_tree_options_t options,
                     tar_sink_fn sink, void *arg)
{
    tar_tree_t g = {.blocks = blocks, .sink = sink, .arg = arg, .options = options, .root_len = name.len};
    TRY(tar_tree_check_name(name));
    buf_init(&g.name, TREE_NAME_MAX);
    buf_init(&g.headers, 128 << 10);
    g.levels = xcalloc(TREE_MAX_DEPTH, sizeof *g.levels);
    err_t e = buf_append(&g.name, name);
    if (!e)
        e = write_tree(t, &g, root);
    while (g.depth)
        close_dir(&g);
    free(g.levels);
    buf_deinit(&g.name);
    buf_deinit(&g.headers);
    return e;
}
