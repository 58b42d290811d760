#include "vault/file.h"

static err_t check_folder(const vault_file_t *f)
{
    return f->info.is_folder ? OK : fail(ERR_INVALID, "\"%s\" is a file, not a folder", f->info.name);
}

/* What entries stand in: the manifest itself, or a node of level 0. */
static size_t count_leaves(const vault_file_t *f)
{
    return f->root->c.height ? f->root->m.n_links : 1;
}

static err_t get_leaf(task_t *t, vault_file_t *f, size_t index, opened_t **ret)
{
    if (f->root->c.height)
        return vault_file_node(t, f, 0, index, ret);
    *ret = f->root;
    f->root->refs++;
    return OK;
}

static err_t visit_leaf(task_t *t, const opened_t *leaf, vault_entry_fn fn, void *arg)
{
    reader_t r = reader_of(leaf->c.entries);
    char name[VAULT_NAME_MAX + 1];
    for (size_t i = 0; i < leaf->c.n_entries; i++) {
        contents_entry_t e = contents_next_entry(&r);
        secret_wipe(&e.key, sizeof e.key);
        memcpy(name, e.name.data, e.name.len);
        name[e.name.len] = 0;
        vault_entry_t entry = {.name = name,
                               .manifest = manifest_link(&leaf->m, i),
                               .is_folder = e.is_folder,
                               .size_bytes = e.size};
        TRY(fn(t, arg, &entry));
    }
    return OK;
}

err_t vault_each_entry(task_t *t, vault_file_t *f, vault_entry_fn fn, void *arg)
{
    TRY(check_folder(f));
    for (size_t i = 0; i < count_leaves(f); i++) {
        AUTO_PTR(opened_t) leaf = NULL;
        TRY(get_leaf(t, f, i, &leaf));
        TRY(visit_leaf(t, leaf, fn, arg));
    }
    return OK;
}

/* Looks a name up in a leaf. *ret_order: < 0 the name comes before what is in it, > 0 behind its first one, 0
 * found. */
static void look_up(const opened_t *leaf, bytes_t name, int *ret_order, contents_entry_t *ret, cid_t *ret_cid)
{
    reader_t r = reader_of(leaf->c.entries);
    *ret_order = -1;
    for (size_t i = 0; i < leaf->c.n_entries; i++) {
        contents_entry_t e = contents_next_entry(&r);
        int order = bytes_compare(name, e.name);
        if (!i || !order)
            *ret_order = order;
        if (!order) {
            *ret = e;
            *ret_cid = manifest_link(&leaf->m, i);
        }
        secret_wipe(&e.key, sizeof e.key);
        if (order <= 0)
            return;
    }
}

/* Leaves are in order of their names. */
static err_t find_entry(task_t *t, vault_file_t *f, const char *name, contents_entry_t *ret, cid_t *ret_cid)
{
    size_t low = 0, high = count_leaves(f);
    while (low < high) {
        AUTO_PTR(opened_t) leaf = NULL;
        size_t middle = (low + high) / 2;
        int order;
        TRY(get_leaf(t, f, middle, &leaf));
        look_up(leaf, bytes_str(name), &order, ret, ret_cid);
        if (!order) {
            ret->name = BYTES_NONE; /* of the leaf */
            return OK;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return fail(ERR_NOT_FOUND, "there is no \"%s\" in the folder \"%s\"", name, f->info.name);
}

err_t vault_open_entry(task_t *t, vault_file_t *folder, const char *name, vault_file_t **ret)
{
    contents_entry_t entry;
    cid_t cid;
    vault_file_t *f = NULL;
    TRY(check_folder(folder));
    TRY(find_entry(t, folder, name, &entry, &cid));
    err_t e = vault_file_open(t, folder->keys, folder->blocks, &cid, &entry.key, &f);
    secret_wipe(&entry.key, sizeof entry.key);
    TRY(e);
    if (f->info.is_folder != entry.is_folder || f->info.size_bytes != entry.size ||
        strcmp(f->info.name, name) != 0) {
        vault_close(t, f);
        return fail(ERR_CORRUPT, "\"%s\" is not what its folder says", name);
    }
    *ret = f;
    return OK;
}
