#include "dag/tree.h"
#include "base/map.h"
#include "dag/directory.h"
#include <stdlib.h>

typedef struct tree_dir tree_dir_t;
typedef struct tree_entry {
    tree_dir_t *dir;    /* NULL: a file or symlink */
    packed_ref_t *file; /* NULL: a directory */
    size_t name_len;
    uint8_t name[];
} tree_entry_t;
struct tree_dir {
    map_t entries; /* name -> tree_entry_t */
    unixfs_t meta;
    dag_ref_t ref; /* once it is written */
};
struct tree {
    tree_dir_t *root;
    size_t count;
    bool omits_empty;
};

static tree_dir_t *dir_new(void)
{
    tree_dir_t *d = xcalloc(1, sizeof *d);
    map_init(&d->entries, TREE_MAX_ENTRIES);
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

tree_t *tree_new(void)
{
    tree_t *tr = xcalloc(1, sizeof *tr);
    tr->root = dir_new();
    return tr;
}

void tree_free(tree_t *tr)
{
    if (!tr)
        return;
    dir_free(tr->root);
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
    return tr->omits_empty && entry->dir && !map_count(&entry->dir->entries);
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
            entry->dir = dir_new();
        if (!entry->dir)
            return fail(ERR_INVALID, "a file stands where the path needs a directory");
        d = entry->dir;
        path = bytes_slice(path, name.len + 1, path.len);
    }
}

err_t tree_put(tree_t *tr, bytes_t path, const dag_ref_t *ref)
{
    tree_entry_t *entry;
    TRY(entry_at(tr, path, &entry));
    if (entry->dir)
        return fail(ERR_INVALID, "a directory stands where the path names a file");
    free(entry->file);
    entry->file = packed_ref_new(ref);
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
            entry->dir = dir_new();
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
    err_t e = directory_write(t, importer_writer(im), items, count, &d->meta, ret);
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
    tree_frame_t *frames = xcalloc(TREE_MAX_DEPTH + 2, sizeof *frames);
    err_t e = write_all(t, tr, im, with_root, frames, each, arg, ret_root);
    free(frames);
    return e;
}
