#include "dag/tree.h"
#include "base/list.h"
#include "base/map.h"
#include "dag/hamt.h"
#include "dag/spilled_dir.h"
#include <stdlib.h>

typedef struct tree_dir tree_dir_t;
typedef struct tree_entry {
    tree_dir_t *dir;    /* NULL: a file or symlink */
    packed_ref_t *file; /* NULL: a directory */
    tree_dir_t *above;
    list_t held; /* a file: in the tree's list of those in memory */
    size_t name_len;
    uint8_t name[];
} tree_entry_t;
struct tree_dir {
    map_t entries; /* name -> tree_entry_t */
    size_t index;  /* in the tree's list of directories */
    unixfs_t meta;
    dag_ref_t ref; /* once it is written */
    bool has_spilled;
    spilled_dir_t spilled; /* known once all are merged */
};
struct tree {
    tree_dir_t *root;
    tree_dir_t **dirs;
    size_t n_dirs, dirs_cap;
    size_t count;
    bool omits_empty;
    const char *folder;
    entry_runs_t *runs; /* NULL: all is in memory */
    list_t held;        /* files in memory */
    size_t n_held, held_bytes, max_held;
    shard_rule_t rule; /* while it is written */
};

static tree_dir_t *dir_new(tree_t *tr)
{
    tree_dir_t *d = xcalloc(1, sizeof *d);
    map_init(&d->entries, TREE_MAX_ENTRIES);
    if (tr->n_dirs == tr->dirs_cap) {
        tr->dirs_cap = tr->dirs_cap ? 2 * tr->dirs_cap : 8;
        tr->dirs = xrealloc(tr->dirs, tr->dirs_cap * sizeof *tr->dirs);
    }
    d->index = tr->n_dirs;
    tr->dirs[tr->n_dirs++] = d;
    return d;
}

/* Recursion is bounded by TREE_MAX_DEPTH; frames are small. */
static void dir_free(tree_dir_t *d)
{
    void *value;
    if (!d)
        return;
    for (size_t i = 0; map_next(&d->entries, &i, NULL, &value);) {
        dir_free(((tree_entry_t *)value)->dir);
        free(((tree_entry_t *)value)->file);
        free(value);
    }
    map_deinit(&d->entries);
    free(d);
}

tree_t *tree_new(const char *folder)
{
    tree_t *tr = xcalloc(1, sizeof *tr);
    tr->folder = folder;
    tr->max_held = TREE_HELD_FILES;
    list_init(&tr->held);
    tr->root = dir_new(tr);
    return tr;
}

void tree_set_held_files(tree_t *tr, size_t count)
{
    tr->max_held = count;
}

void tree_free(tree_t *tr)
{
    if (!tr)
        return;
    dir_free(tr->root);
    entry_runs_free(tr->runs);
    free(tr->dirs);
    free(tr);
}

size_t tree_count(const tree_t *tr)
{
    return tr->count;
}

void tree_omit_empty_dirs(tree_t *tr)
{
    tr->omits_empty = true;
}

static bool is_omitted(const tree_t *tr, const tree_entry_t *entry)
{
    const tree_dir_t *d = entry->dir;
    return tr->omits_empty && d && !map_count(&d->entries) && !d->has_spilled;
}

static err_t check_name(bytes_t name)
{
    if (!name.len || bytes_equal(name, BYTES_LIT(".")) || bytes_equal(name, BYTES_LIT("..")) ||
        memchr(name.data, 0, name.len))
        return fail(ERR_INVALID, "a path with an empty name, \".\" or \"..\" cannot be added");
    if (name.len > TREE_MAX_NAME)
        return fail(ERR_LIMIT, "a file name of %zu bytes: at most %d", name.len, TREE_MAX_NAME);
    return OK;
}

static err_t entry_add(tree_t *tr, tree_dir_t *d, bytes_t name, tree_entry_t **ret)
{
    TRY(check_name(name));
    if (tr->count >= TREE_MAX_ENTRIES)
        return fail(ERR_LIMIT, "more than %u files and directories in one add", TREE_MAX_ENTRIES);
    tree_entry_t *entry = xcalloc(1, sizeof *entry + name.len);
    entry->above = d;
    entry->name_len = name.len;
    memcpy(entry->name, name.data, name.len);
    err_t e = map_put(&d->entries, name, entry, NULL);
    if (e) {
        free(entry);
        return e;
    }
    tr->count++;
    *ret = entry;
    return OK;
}

static err_t make_dir(tree_t *tr, tree_entry_t *entry)
{
    if (tr->n_dirs > TREE_MAX_DIRS)
        return fail(ERR_LIMIT, "more than %u directories in one add", TREE_MAX_DIRS);
    entry->dir = dir_new(tr);
    return OK;
}

/* The entry of a path, made with all directories above it when it is not there. */
static err_t entry_at(tree_t *tr, bytes_t path, tree_entry_t **ret)
{
    tree_dir_t *d = tr->root;
    for (size_t depth = 0;; depth++) {
        const uint8_t *slash = path.len ? memchr(path.data, '/', path.len) : NULL;
        bytes_t name = bytes_slice(path, 0, slash ? (size_t)(slash - path.data) : path.len);
        if (depth >= TREE_MAX_DEPTH)
            return fail(ERR_LIMIT, "a path of more than %d directories", TREE_MAX_DEPTH);
        tree_entry_t *entry = map_get(&d->entries, name);
        bool is_new = !entry;
        if (is_new)
            TRY(entry_add(tr, d, name, &entry));
        if (!slash) {
            *ret = entry;
            return OK;
        }
        if (is_new)
            TRY(make_dir(tr, entry));
        if (!entry->dir)
            return fail(ERR_INVALID, "a file stands where the path needs a directory");
        d = entry->dir;
        path = bytes_slice(path, name.len + 1, path.len);
    }
}

/* ── files over the bound ────────────────────────────────────────────────────────────────────── */
typedef struct to_spill {
    run_entry_t key; /* without the reference */
    tree_entry_t *entry;
} to_spill_t;

static int compare_to_spill(const void *a, const void *b)
{
    return run_entry_compare(&((const to_spill_t *)a)->key, &((const to_spill_t *)b)->key);
}

static to_spill_t *sort_held(const tree_t *tr)
{
    to_spill_t *list = xcalloc(tr->n_held, sizeof *list);
    size_t n = 0;
    LIST_EACH (entry, &tr->held, tree_entry_t, held) {
        bytes_t name = bytes_of(entry->name, entry->name_len);
        list[n++] = (to_spill_t){{entry->above->index, hamt_hash(name), name, {{0}, 0, 0}}, entry};
    }
    assert(n == tr->n_held);
    qsort(list, n, sizeof *list, compare_to_spill);
    return list;
}

static void entry_drop(tree_t *tr, tree_entry_t *entry)
{
    tree_dir_t *d = entry->above;
    map_remove(&d->entries, bytes_of(entry->name, entry->name_len));
    if (!map_count(&d->entries))
        map_deinit(&d->entries);
    d->has_spilled = true;
    list_remove(&entry->held);
    free(entry->file);
    free(entry);
}

/* All files that are in memory become a run. */
static err_t spill(task_t *t, tree_t *tr)
{
    if (!tr->n_held)
        return OK;
    if (!tr->runs)
        tr->runs = entry_runs_new(tr->folder);
    to_spill_t *list = sort_held(tr);
    err_t e = OK;
    for (size_t i = 0; i < tr->n_held && !e; i++) {
        packed_ref_get(list[i].entry->file, &list[i].key.ref);
        e = entry_runs_add(t, tr->runs, &list[i].key);
    }
    if (!e)
        e = entry_runs_end(t, tr->runs);
    for (size_t i = 0; i < tr->n_held && !e; i++)
        entry_drop(tr, list[i].entry);
    free(list);
    if (!e)
        tr->n_held = tr->held_bytes = 0;
    return e;
}

static err_t note_spilled(void *arg, const run_entry_t *e, uint64_t offset, uint64_t end)
{
    tree_t *tr = arg;
    if (e->dir >= tr->n_dirs)
        return fail(ERR_CORRUPT, "an entry of a directory that is not there");
    tree_dir_t *d = tr->dirs[e->dir];
    if (map_get(&d->entries, e->name))
        return fail(ERR_INVALID, "a file stands where the path needs a directory");
    spilled_dir_note(&d->spilled, tr->rule, e, offset, end);
    return OK;
}

static void hold(tree_t *tr, tree_entry_t *entry)
{
    list_push_back(&tr->held, &entry->held);
    tr->n_held++;
    tr->held_bytes += sizeof *entry + 2 * entry->name_len + sizeof *entry->file + entry->file->cid_len;
}

err_t tree_put(task_t *t, tree_t *tr, bytes_t path, const dag_ref_t *ref)
{
    tree_entry_t *entry;
    TRY(tr->n_held < tr->max_held && tr->held_bytes < TREE_HELD_BYTES ? OK : spill(t, tr));
    TRY(entry_at(tr, path, &entry));
    if (entry->dir)
        return fail(ERR_INVALID, "a directory stands where the path names a file");
    bool is_new = !entry->file;
    free(entry->file);
    entry->file = packed_ref_new(ref);
    if (is_new)
        hold(tr, entry);
    return OK;
}

err_t tree_put_dir(tree_t *tr, bytes_t path, const unixfs_t *meta)
{
    tree_dir_t *d = tr->root;
    if (path.len) {
        tree_entry_t *entry;
        size_t before = tr->count;
        TRY(entry_at(tr, path, &entry));
        if (!entry->dir && tr->count == before)
            return fail(ERR_INVALID, "a file stands where the path names a directory");
        if (!entry->dir)
            TRY(make_dir(tr, entry));
        d = entry->dir;
    }
    if (meta)
        d->meta = *meta;
    return OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct tree_frame {
    tree_dir_t *dir;
    tree_entry_t *entry; /* NULL: the root */
    size_t iter, path_len;
} tree_frame_t;

static err_t write_dir(task_t *t, const tree_t *tr, importer_t *im, tree_dir_t *d, dag_ref_t *ret)
{
    size_t n = map_count(&d->entries), count = 0;
    dir_item_t *items = xcalloc(n ? n : 1, sizeof *items);
    void *value;
    for (size_t i = 0; map_next(&d->entries, &i, NULL, &value);) {
        const tree_entry_t *entry = value;
        if (is_omitted(tr, entry))
            continue;
        items[count++] = (dir_item_t){.name = bytes_of(entry->name, entry->name_len),
                                      .ref = entry->dir ? &entry->dir->ref : NULL,
                                      .packed = entry->file};
    }
    node_writer_t *w = importer_writer(im);
    err_t e = d->has_spilled ? spilled_dir_write(t, w, tr->runs, &d->spilled, items, count, &d->meta, ret)
                             : directory_write(t, w, items, count, &d->meta, ret);
    free(items);
    return e;
}

static err_t enter(tree_frame_t *frames, size_t *depth, tree_entry_t *entry, buf_t *path)
{
    size_t path_len = path->len;
    if (path_len)
        TRY(buf_append_u8(path, '/'));
    TRY(buf_append(path, bytes_of(entry->name, entry->name_len)));
    frames[(*depth)++] = (tree_frame_t){.dir = entry->dir, .entry = entry, .path_len = path_len};
    return OK;
}

static err_t write_all(task_t *t, tree_t *tr, importer_t *im, bool with_root, tree_frame_t *frames,
                       tree_dir_fn each, void *arg, dag_ref_t *ret_root)
{
    AUTO(buf_t) path = {0};
    buf_init(&path, (size_t)TREE_MAX_DEPTH * (TREE_MAX_NAME + 1));
    size_t depth = 0;
    frames[depth++] = (tree_frame_t){.dir = tr->root};
    while (depth) {
        tree_frame_t *f = &frames[depth - 1];
        void *value;
        if (map_next(&f->dir->entries, &f->iter, NULL, &value)) {
            bool is_top = depth == 1 && !with_root;
            if (((tree_entry_t *)value)->dir && (is_top || !is_omitted(tr, value)))
                TRY(enter(frames, &depth, value, &path));
            continue;
        }
        if (!f->entry && !with_root)
            return OK;
        dag_ref_t *ret = f->entry ? &f->dir->ref : ret_root;
        TRY(write_dir(t, tr, im, f->dir, ret));
        if (each)
            each(arg, buf_bytes(&path), ret);
        path.len = f->path_len;
        depth--;
    }
    return OK;
}

err_t tree_write(task_t *t, tree_t *tr, importer_t *im, bool with_root, tree_dir_fn each, void *arg,
                 dag_ref_t *ret_root)
{
    if (tr->runs) {
        tr->rule = importer_writer(im)->options->shard_rule;
        TRY(spill(t, tr));
        TRY(entry_runs_finish(t, tr->runs, note_spilled, tr));
    }
    tree_frame_t *frames = xcalloc(TREE_MAX_DEPTH + 2, sizeof *frames);
    err_t e = write_all(t, tr, im, with_root, frames, each, arg, ret_root);
    free(frames);
    return e;
}
