#include "dag/tree.h"
#include "base/map.h"
#include "dag/dir_builder.h"
#include "dag/hamt.h"
#include "dag/tree_entry.h"
#include <stdlib.h>

/* An entry in memory: its path, then its value. */
typedef struct held {
    uint32_t path_len, value_len;
    uint8_t bytes[];
} held_t;
struct tree {
    map_t held; /* path -> held_t; what stands above one is there, too */
    size_t held_bytes, max_held, count;
    bool omits_empty;
    const char *folder;
    entry_runs_t *runs; /* NULL: all is in memory */
    run_entry_t *list;  /* of what is held, in order, while it is gone through */
    buf_t value;
};

tree_t *tree_new(const char *folder)
{
    tree_t *tr = xcalloc(1, sizeof *tr);
    tr->folder = folder;
    tr->max_held = TREE_HELD_ENTRIES;
    map_init(&tr->held, TREE_MAX_ENTRIES);
    buf_init(&tr->value, RUNS_VALUE_MAX);
    return tr;
}

static void forget_held(tree_t *tr)
{
    void *value;
    for (size_t i = 0; map_next(&tr->held, &i, NULL, &value);)
        free(value);
    map_deinit(&tr->held);
    free(tr->list);
    tr->list = NULL;
    tr->held_bytes = 0;
}

void tree_free(tree_t *tr)
{
    if (!tr)
        return;
    forget_held(tr);
    entry_runs_free(tr->runs);
    buf_deinit(&tr->value);
    free(tr);
}

void tree_set_held(tree_t *tr, size_t count)
{
    tr->max_held = count;
}

size_t tree_count(const tree_t *tr)
{
    return tr->count;
}

void tree_omit_empty_dirs(tree_t *tr)
{
    tr->omits_empty = true;
}

/* ── what is held ────────────────────────────────────────────────────────────────────────────── */
static run_entry_t entry_of(const held_t *h)
{
    bytes_t path = bytes_of(h->bytes, h->path_len);
    return (run_entry_t){.key = path, .value = bytes_of(h->bytes + h->path_len, h->value_len)};
}

static tree_kind_t kind_of(const held_t *h)
{
    return h->value_len ? (tree_kind_t)h->bytes[h->path_len] : TREE_IMPLICIT;
}

static err_t hold(tree_t *tr, bytes_t path, bytes_t value)
{
    void *old = NULL;
    held_t *h = xcalloc(1, sizeof *h + path.len + value.len);
    h->path_len = (uint32_t)path.len;
    h->value_len = (uint32_t)value.len;
    if (path.len)
        memcpy(h->bytes, path.data, path.len);
    if (value.len)
        memcpy(h->bytes + path.len, value.data, value.len);
    err_t e = map_put(&tr->held, path, h, &old);
    if (e) {
        free(h);
        return e;
    }
    free(old);
    tr->held_bytes += sizeof *h + 2 * path.len + value.len;
    return OK;
}

static int compare_entries(const void *a, const void *b)
{
    return tree_entry_order(a, b);
}

/* Fills tr->list; returns how many. */
static size_t sort_held(tree_t *tr)
{
    size_t n = 0;
    void *value;
    tr->list = xcalloc(map_count(&tr->held) + 1, sizeof *tr->list);
    for (size_t i = 0; map_next(&tr->held, &i, NULL, &value);) {
        if (kind_of(value) == TREE_IMPLICIT)
            continue;
        tr->list[n] = entry_of(value);
        tr->list[n].hash = hamt_hash(tree_path_name(tr->list[n].key));
        n++;
    }
    if (n > 1)
        qsort(tr->list, n, sizeof *tr->list, compare_entries);
    return n;
}

/* All that is held becomes a run. */
static err_t spill(task_t *t, tree_t *tr)
{
    if (!tr->runs)
        tr->runs = entry_runs_new(tr->folder, tree_entry_order);
    size_t n = sort_held(tr);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++)
        e = entry_runs_add(t, tr->runs, &tr->list[i]);
    if (!e)
        e = entry_runs_end(t, tr->runs);
    if (!e)
        forget_held(tr);
    return e;
}

/* ── putting ─────────────────────────────────────────────────────────────────────────────────── */
static err_t check_path(bytes_t path)
{
    size_t depth = 0;
    if (path.len > TREE_MAX_PATH)
        return fail(ERR_LIMIT, "a path of %zu bytes: at most %d", path.len, TREE_MAX_PATH);
    for (size_t from = 0; from <= path.len; depth++) {
        const uint8_t *slash = memchr(path.data + from, '/', path.len - from);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        bytes_t name = bytes_slice(path, from, end - from);
        if (!name.len || bytes_equal(name, BYTES_LIT(".")) || bytes_equal(name, BYTES_LIT("..")) ||
            memchr(name.data, 0, name.len))
            return fail(ERR_INVALID, "a path with an empty name, \".\" or \"..\" cannot be added");
        from = end + 1;
    }
    return depth > TREE_MAX_DEPTH ? fail(ERR_LIMIT, "a path of more than %d directories", TREE_MAX_DEPTH)
                                  : OK;
}

static err_t file_is_in_the_way(void)
{
    return fail(ERR_INVALID, "a file stands where the path needs a directory");
}

static err_t dir_is_in_the_way(void)
{
    return fail(ERR_INVALID, "a directory stands where the path names a file");
}

static err_t make_room(task_t *t, tree_t *tr)
{
    if (tr->count >= TREE_MAX_ENTRIES)
        return fail(ERR_LIMIT, "more than %u files and directories in one add", TREE_MAX_ENTRIES);
    return map_count(&tr->held) < tr->max_held && tr->held_bytes < TREE_HELD_BYTES ? OK : spill(t, tr);
}

static err_t hold_dirs_above(tree_t *tr, bytes_t path)
{
    for (bytes_t dir = tree_path_parent(path); dir.len; dir = tree_path_parent(dir)) {
        const held_t *h = map_get(&tr->held, dir);
        if (h)
            return kind_of(h) == TREE_FILE ? file_is_in_the_way() : OK;
        TRY(hold(tr, dir, BYTES_NONE));
        tr->count++;
    }
    return OK;
}

err_t tree_put(task_t *t, tree_t *tr, bytes_t path, const dag_ref_t *ref)
{
    TRY(check_path(path));
    TRY(make_room(t, tr));
    TRY(hold_dirs_above(tr, path));
    const held_t *h = map_get(&tr->held, path);
    if (h && kind_of(h) != TREE_FILE)
        return dir_is_in_the_way();
    buf_clear(&tr->value);
    TRY(tree_value_put_file(ref, &tr->value));
    tr->count += !h;
    return hold(tr, path, buf_bytes(&tr->value));
}

err_t tree_put_dir(task_t *t, tree_t *tr, bytes_t path, const unixfs_t *meta)
{
    if (path.len)
        TRY(check_path(path));
    TRY(make_room(t, tr));
    TRY(hold_dirs_above(tr, path));
    const held_t *h = map_get(&tr->held, path);
    if (h && kind_of(h) == TREE_FILE)
        return fail(ERR_INVALID, "a file stands where the path names a directory");
    if (h && kind_of(h) == TREE_DIR && !meta)
        return OK;
    buf_clear(&tr->value);
    TRY(tree_value_put_dir(meta, &tr->value));
    tr->count += !h && path.len;
    return hold(tr, path, buf_bytes(&tr->value));
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */

/* A directory on the path of the entry that came last. */
typedef struct level {
    dir_builder_t dir;
    size_t path_len;
    bool has_entries;
} level_t;
typedef struct writing {
    tree_t *tree;
    node_writer_t *w;
    bool with_root;
    tree_dir_fn each;
    void *arg;
    level_t *levels; /* the root first */
    size_t depth, cap;
    buf_t path;      /* of the lowest level */
    buf_t last_file; /* path of the file that came last */
    dag_ref_t root;
} writing_t;

static void open_level(writing_t *w, const unixfs_t *meta)
{
    if (w->depth == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 8;
        w->levels = xrealloc(w->levels, w->cap * sizeof *w->levels);
    }
    if (w->depth)
        w->levels[w->depth - 1].has_entries = true;
    level_t *l = &w->levels[w->depth++];
    *l = (level_t){.path_len = w->path.len};
    dir_builder_init(&l->dir, w->w, meta);
}

/* What stands in the root is not collected when the root is not written. */
static err_t link_here(task_t *t, writing_t *w, bytes_t name, const dag_ref_t *ref)
{
    level_t *l = &w->levels[w->depth - 1];
    l->has_entries = true;
    return w->depth > 1 || w->with_root ? dir_builder_add(t, &l->dir, name, ref) : OK;
}

/* The topmost ones are written whatever is in them; above them may stand a root that is none. */
static bool is_written(const writing_t *w)
{
    size_t topmost = w->with_root ? 1 : 2;
    return w->depth == topmost ||
           (w->depth > topmost && (w->levels[w->depth - 1].has_entries || !w->tree->omits_empty));
}

static err_t close_level(task_t *t, writing_t *w)
{
    level_t *l = &w->levels[w->depth - 1];
    bool is_linked = is_written(w) && w->depth > 1;
    if (is_written(w)) {
        TRY(dir_builder_end(t, &l->dir, &w->root));
        if (w->each)
            w->each(w->arg, buf_bytes(&w->path), &w->root);
    }
    dir_builder_deinit(&l->dir);
    w->depth--;
    if (is_linked)
        TRY(link_here(t, w, tree_path_name(buf_bytes(&w->path)), &w->root));
    w->path.len = w->depth ? w->levels[w->depth - 1].path_len : 0;
    return OK;
}

/* Leaves and enters directories until `dir` is the lowest. */
static err_t go_to(task_t *t, writing_t *w, bytes_t dir)
{
    while (!tree_path_is_below(dir, buf_bytes(&w->path)))
        TRY(close_level(t, w));
    while (w->path.len < dir.len) {
        size_t from = w->path.len ? w->path.len + 1 : 0;
        const uint8_t *slash = memchr(dir.data + from, '/', dir.len - from);
        size_t end = slash ? (size_t)(slash - dir.data) : dir.len;
        TRY(buf_append(&w->path, bytes_slice(dir, w->path.len, end - w->path.len)));
        open_level(w, NULL);
    }
    return OK;
}

static err_t take_dir(task_t *t, writing_t *w, const run_entry_t *e)
{
    unixfs_t meta;
    TRY(tree_value_get_dir(e->value, &meta));
    if (e->key.len) {
        TRY(go_to(t, w, tree_path_parent(e->key)));
        TRY(buf_append(&w->path, bytes_slice(e->key, w->path.len, e->key.len)));
        open_level(w, &meta);
    } else {
        dir_builder_init(&w->levels[0].dir, w->w, &meta);
    }
    return OK;
}

static err_t take_file(task_t *t, writing_t *w, const run_entry_t *e)
{
    dag_ref_t ref;
    if (e->key.len == w->path.len && bytes_equal(e->key, buf_bytes(&w->path)))
        return dir_is_in_the_way();
    TRY(tree_value_get_file(e->value, &ref));
    TRY(go_to(t, w, tree_path_parent(e->key)));
    buf_clear(&w->last_file);
    TRY(buf_append(&w->last_file, e->key));
    return link_here(t, w, tree_path_name(e->key), &ref);
}

/* In the order of tree_entry_order: a directory that is named comes before all that is in it. */
static err_t take(task_t *t, writing_t *w, const run_entry_t *e)
{
    if (w->last_file.len && tree_path_is_below(e->key, buf_bytes(&w->last_file)))
        return file_is_in_the_way();
    return tree_entry_kind(e) == TREE_DIR ? take_dir(t, w, e) : take_file(t, w, e);
}

static err_t take_all(task_t *t, writing_t *w)
{
    tree_t *tr = w->tree;
    if (tr->runs) {
        const run_entry_t *e;
        TRY(spill(t, tr));
        for (;;) {
            TRY(entry_runs_next(t, tr->runs, &e));
            if (!e)
                return OK;
            TRY(take(t, w, e));
        }
    }
    size_t n = sort_held(tr);
    for (size_t i = 0; i < n; i++)
        TRY(take(t, w, &tr->list[i]));
    return OK;
}

err_t tree_write(task_t *t, tree_t *tr, importer_t *im, bool with_root, tree_dir_fn each, void *arg,
                 dag_ref_t *ret_root)
{
    writing_t w = {.tree = tr, .w = importer_writer(im), .with_root = with_root, .each = each, .arg = arg};
    buf_init(&w.path, TREE_MAX_PATH);
    buf_init(&w.last_file, TREE_MAX_PATH);
    open_level(&w, NULL);
    err_t e = take_all(t, &w);
    while (!e && w.depth)
        e = close_level(t, &w);
    while (w.depth)
        dir_builder_deinit(&w.levels[--w.depth].dir);
    free(w.levels);
    buf_deinit(&w.path);
    buf_deinit(&w.last_file);
    if (!e && with_root)
        *ret_root = w.root;
    return e;
}
