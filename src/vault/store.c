#include "vault/chunk.h"
#include "vault/internal.h"
#include "vault/seal_tree.h"
#include <stdlib.h>

enum { PUT_BATCH_BYTES = 4 << 20, PUT_BATCHES = 2 };

/* Something in a folder that is not sealed yet. */
typedef struct item {
    char *name;
    file_key_t key;
    uint8_t digest[32];
    bool is_folder;
    uint64_t size;
} item_t;
typedef struct folder {
    char name[VAULT_NAME_MAX + 1];
    vault_meta_t meta; /* type is empty */
    item_t *items;
    size_t count, cap;
    uint64_t size;
} folder_t;

struct vault_store {
    vault_keys_t *keys;
    put_queue_t queue;
    chunk_pipe_t *pipe;
    import_progress_fn progress;
    void *progress_arg;
    uint64_t total, chunks;
    seal_tree_t *tree;                  /* of the file that is being read */
    folder_t *folders[VAULT_DEPTH_MAX]; /* open ones, the root first */
    size_t depth;
    bool has_root; /* sealed: nothing can be added */
    vault_stored_t root;
};

static err_t take_chunk(task_t *t, void *arg, block_t *block, const uint8_t key[VAULT_SECRET_BYTES])
{
    vault_store_t *s = arg;
    uint8_t digest[32];
    memcpy(digest, block->cid.digest, sizeof digest);
    s->chunks++;
    TRY(put_queue_add(t, &s->queue, block));
    return seal_tree_add_chunk(t, s->tree, digest, key);
}

err_t vault_store_begin(task_t *t, vault_t *v, blocks_t *blocks, import_progress_fn progress, void *arg,
                        vault_store_t **ret)
{
    vault_keys_t *keys;
    TRY(vault_need_keys(t, v, true, &keys));
    vault_store_t *s = xcalloc(1, sizeof *s);
    s->keys = keys;
    s->progress = progress;
    s->progress_arg = arg;
    put_queue_init(&s->queue, task_sched(t), blocks, PUT_BATCH_BYTES, PUT_BATCHES);
    s->pipe = chunk_pipe_new(t, s->keys, take_chunk, s);
    *ret = s;
    return OK;
}

static void folder_free(folder_t *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->items[i].name);
        secret_wipe(&f->items[i].key, sizeof f->items[i].key);
    }
    free(f->items);
    free(f);
}

void vault_store_free(task_t *t, vault_store_t *s)
{
    if (!s)
        return;
    chunk_pipe_free(t, s->pipe);
    put_queue_deinit(t, &s->queue);
    while (s->depth)
        folder_free(s->folders[--s->depth]);
    vault_keys_free(s->keys);
    free(s);
}

/* ── folders ─────────────────────────────────────────────────────────────────────────────────── */
static err_t folder_push(folder_t *f, bytes_t name, const item_t *item)
{
    if (f->count == VAULT_FOLDER_ENTRIES_MAX)
        return fail(ERR_LIMIT, "more than %u files in the folder \"%s\"", VAULT_FOLDER_ENTRIES_MAX, f->name);
    if (f->count == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 16;
        item_t *items = xcalloc(cap, sizeof *items); /* realloc would leave keys behind */
        if (f->count) {
            memcpy(items, f->items, f->count * sizeof *items);
            secret_wipe(f->items, f->count * sizeof *items);
        }
        free(f->items);
        f->items = items;
        f->cap = cap;
    }
    item_t *new = &f->items[f->count++];
    *new = *item;
    new->name = xmalloc(name.len + 1);
    memcpy(new->name, name.data, name.len);
    new->name[name.len] = 0;
    f->size += item->size;
    return OK;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const item_t *)a)->name, ((const item_t *)b)->name);
}

static err_t seal_items(task_t *t, folder_t *f, seal_tree_t *tree)
{
    if (f->count)
        qsort(f->items, f->count, sizeof *f->items, compare_items);
    for (size_t i = 0; i < f->count; i++) {
        const item_t *item = &f->items[i];
        if (i && !strcmp(f->items[i - 1].name, item->name))
            return fail(ERR_EXISTS,
                        "\"%s\" is twice in the folder \"%s\": what is in a folder has to come together",
                        item->name, f->name);
        contents_entry_t entry = {.name = bytes_str(item->name),
                                  .key = item->key,
                                  .is_folder = item->is_folder,
                                  .size = item->size};
        err_t e = seal_tree_add_entry(t, tree, item->digest, &entry);
        secret_wipe(&entry.key, sizeof entry.key);
        TRY(e);
    }
    return OK;
}

static void about_of(const vault_meta_t *meta, bytes_t name, uint64_t size, contents_t *ret)
{
    *ret = (contents_t){.name = name, .size = size};
    if (!meta)
        return;
    ret->type = meta->type;
    ret->has_mode = meta->has_mode;
    ret->mode = meta->mode;
    ret->has_mtime = meta->has_mtime && meta->mtime_s >= 0;
    ret->mtime_s = ret->has_mtime ? (uint64_t)meta->mtime_s : 0;
}

/* What was just sealed goes into the folder around it, or is the root. */
static err_t take_sealed(vault_store_t *s, bytes_t name, const cid_t *cid, const item_t *item)
{
    if (s->depth)
        return folder_push(s->folders[s->depth - 1], name, item);
    s->has_root = true;
    s->root = (vault_stored_t){.manifest = *cid, .size_bytes = item->size, .is_folder = item->is_folder};
    memcpy(s->root.name, name.data, name.len);
    return OK;
}

static err_t seal_tree_into(task_t *t, vault_store_t *s, seal_tree_t *tree, const contents_t *about)
{
    cid_t cid;
    item_t item = {.is_folder = tree->is_folder, .size = about->size};
    TRY(seal_tree_finish(t, tree, about, &cid, &item.key));
    memcpy(item.digest, cid.digest, sizeof item.digest);
    err_t e = take_sealed(s, about->name, &cid, &item);
    secret_wipe(&item.key, sizeof item.key);
    return e;
}

/* Seals the innermost open folder. */
static err_t seal_folder(task_t *t, vault_store_t *s)
{
    folder_t *f = s->folders[--s->depth];
    AUTO(seal_tree_t) tree = {0};
    contents_t about;
    about_of(&f->meta, bytes_str(f->name), f->size, &about);
    err_t e = seal_tree_init(&tree, s->keys, &s->queue, true);
    if (!e)
        e = seal_items(t, f, &tree);
    if (!e)
        e = seal_tree_into(t, s, &tree, &about);
    folder_free(f);
    return e;
}

static err_t open_folder(vault_store_t *s, bytes_t name)
{
    if (s->depth == VAULT_DEPTH_MAX)
        return fail(ERR_LIMIT, "folders are more than %d deep", VAULT_DEPTH_MAX);
    folder_t *f = xcalloc(1, sizeof *f);
    memcpy(f->name, name.data, name.len);
    s->folders[s->depth++] = f;
    return OK;
}

/* The next part of a path; false at its end. */
static bool next_part(bytes_t *rest, bytes_t *ret_part)
{
    if (!rest->data)
        return false;
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    size_t n = slash ? (size_t)(slash - rest->data) : rest->len;
    *ret_part = bytes_of(rest->data, n);
    *rest = slash ? bytes_of(slash + 1, rest->len - n - 1) : BYTES_NONE;
    return true;
}

static err_t check_path(const char *path, size_t *ret_parts)
{
    bytes_t rest = bytes_str(path), part;
    *ret_parts = 0;
    while (next_part(&rest, &part)) {
        ++*ret_parts;
        if (!contents_name_is_valid(part))
            return fail(ERR_INVALID,
                        "\"%.200s\" cannot be stored: its parts have to be names in UTF-8 of 1 to %d bytes",
                        path, VAULT_NAME_MAX);
    }
    return OK;
}

/* Makes the first n parts of the path the folders that are open, sealing those that it leaves. */
static err_t enter_folders(task_t *t, vault_store_t *s, const char *path, size_t n, bytes_t *ret_last)
{
    bytes_t rest = bytes_str(path), part = BYTES_NONE;
    size_t common = 0;
    bool is_common = true;
    for (size_t i = 0; i < n && next_part(&rest, &part); i++) {
        is_common = is_common && i < s->depth && bytes_equal(bytes_str(s->folders[i]->name), part);
        if (is_common) {
            common++;
            continue;
        }
        if (!i && s->depth)
            return fail(ERR_INVALID, "\"%.200s\" is outside of the folder \"%s\" that is being stored", path,
                        s->folders[0]->name);
        while (s->depth > common)
            TRY(seal_folder(t, s));
        TRY(open_folder(s, part));
        common++;
    }
    while (s->depth > n)
        TRY(seal_folder(t, s));
    *ret_last = part;
    next_part(&rest, ret_last); /* of a file: its name */
    return OK;
}

static err_t check_open(const vault_store_t *s, size_t folders, const char *path)
{
    if (s->has_root || (!folders && s->depth))
        return fail(ERR_INVALID,
                    "\"%.200s\" comes beside what is being stored: one store makes one file or folder", path);
    return OK;
}

err_t vault_store_folder(task_t *t, vault_store_t *s, const char *path, const vault_meta_t *meta)
{
    size_t parts;
    bytes_t last;
    TRY(check_path(path, &parts));
    TRY(check_open(s, parts, path));
    TRY(enter_folders(t, s, path, parts, &last));
    if (meta) {
        s->folders[s->depth - 1]->meta = *meta;
        s->folders[s->depth - 1]->meta.type = BYTES_NONE;
    }
    return OK;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static err_t store_content(task_t *t, vault_store_t *s, bytes_t name, const vault_meta_t *meta,
                           source_t source)
{
    AUTO(seal_tree_t) tree = {0};
    contents_t about;
    uint64_t size;
    TRY(seal_tree_init(&tree, s->keys, &s->queue, false));
    s->tree = &tree;
    err_t e = chunk_pipe_run(t, s->pipe, source, s->progress, s->progress_arg, &s->total, &size);
    s->tree = NULL;
    TRY(e);
    about_of(meta, name, size, &about);
    return seal_tree_into(t, s, &tree, &about);
}

err_t vault_store_file(task_t *t, vault_store_t *s, const char *path, const vault_meta_t *meta,
                       source_t source)
{
    size_t parts;
    bytes_t name;
    TRY(check_path(path, &parts));
    TRY(check_open(s, parts - 1, path));
    if (meta && !contents_type_is_valid(meta->type))
        return fail(ERR_INVALID, "a media type has to be UTF-8 of at most %d bytes", VAULT_TYPE_MAX);
    TRY(enter_folders(t, s, path, parts - 1, &name));
    return store_content(t, s, name, meta, source);
}

err_t vault_store_finish(task_t *t, vault_store_t *s, vault_stored_t *ret)
{
    while (s->depth)
        TRY(seal_folder(t, s));
    if (!s->has_root)
        return fail(ERR_INVALID, "nothing was stored");
    TRY(put_queue_flush(t, &s->queue));
    s->root.sealed_bytes = s->queue.put_bytes;
    s->root.chunks = s->chunks;
    *ret = s->root;
    return OK;
}
