#include "repo/repo.h"
#include "base/log.h"
#include "repo/config_impl.h"
#include "repo/filestore.h"
#include "repo/mfs_impl.h"
#include "repo/repo_impl.h"
#include "store/flat_store.h"
#include "store/pack_store.h"
#include "web/url.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define STORAGE_MAX_DEFAULT ((uint64_t)10 * 1000 * 1000 * 1000)
#define ADDRESS_MAX_BYTES 1024
#define REFS_BATCH_BYTES (1u << 20)

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
static err_t open_store(task_t *t, repo_t *r)
{
    char folder[REPO_PATH_MAX + 64];
    const char *kind = config_str(r->config, "Datastore.Store", "pack");
    repo_file(r->path, "blocks", folder);
    if (strcmp(kind, "pack") == 0)
        return pack_store_open(t, folder, NULL, &r->main);
    if (strcmp(kind, "flatfs") == 0)
        return flat_store_open(t, folder, &r->main);
    return fail(ERR_INVALID, "Datastore.Store in the config is \"%.40s\": pack and flatfs are known", kind);
}

static err_t open_config(task_t *t, repo_t *r)
{
    char file[REPO_PATH_MAX + 64];
    err_t e = config_load(t, repo_file(r->path, "config", file), &r->config);
    if (e == ERR_NOT_FOUND)
        return fail(ERR_CORRUPT, "the repository %s has no config", r->path);
    TRY(e);
    TRY(config_identity(r->config, &r->identity));
    return peer_id_of(private_key_public(r->identity), &r->peer_id);
}

/* References to files stand in the state; files lie below the folder that holds the repository. */
static void open_filestore(repo_t *r)
{
    filestore_kinds_t allowed = {.files = config_bool(r->config, "Experimental.FilestoreEnabled", false),
                                 .urls = config_bool(r->config, "Experimental.UrlstoreEnabled", false)};
    r->store = r->main;
    if (!allowed.files && !allowed.urls)
        return;
    char *root = r->path[0] == '/' ? xstrdup(r->path) : realpath(r->path, NULL);
    char *slash = root ? strrchr(root, '/') : NULL;
    if (slash) {
        *slash = 0;
        r->filestore = filestore_new(r->main, r->state, root, allowed);
        r->store = filestore_store(r->filestore);
    }
    free(root);
}

/* "NAME.0123456789abcdef.tmp", "entries-0123456789abcdef.tmp": what fs_write_file and dag/entry_runs make and
 * remove again, unless they are killed in between. */
static bool is_leftover(const char *name)
{
    enum { DIGITS = 16 };
    static const char end[] = ".tmp", digits[] = "0123456789abcdef";
    size_t len = strlen(name);
    if (len < DIGITS + sizeof end || strcmp(name + len - sizeof end + 1, end))
        return false;
    const char *number = name + len - sizeof end + 1 - DIGITS;
    return strspn(number, digits) == DIGITS && (number[-1] == '.' || number[-1] == '-');
}

/* The lock is held: nobody is writing them. */
static err_t remove_leftovers(task_t *t, const char *folder)
{
    AUTO(dir_list_t) list = {0};
    TRY(fs_list(t, folder, &list));
    for (size_t i = 0; i < list.count; i++) {
        char path[REPO_PATH_MAX + 64];
        if (!is_leftover(list.names[i]) ||
            snprintf(path, sizeof path, "%s/%s", folder, list.names[i]) >= (int)sizeof path)
            continue;
        if (fs_unlink(t, path))
            log_warn("what an interrupted run left cannot be removed", LOG_STR("path", path));
    }
    return OK;
}

static err_t open_parts(task_t *t, repo_t *r)
{
    char file[REPO_PATH_MAX + 64];
    TRY(repo_lock(t, r->path, &r->lock));
    TRY(remove_leftovers(t, r->path));
    TRY(open_config(t, r));
    TRY(open_store(t, r));
    TRY(kv_open(t, repo_file(r->path, "state.db", file), &r->state));
    TRY(keystore_open(t, repo_file(r->path, "keystore", file), &r->keystore));
    TRY(remove_leftovers(t, file));
    open_filestore(r);
    r->gc = gc_new(r->store);
    room_init(&r->room, r);
    r->guard = guard_new(r->store, r->gc, &r->room, true);
    r->quick_guard = guard_new(r->store, r->gc, &r->room, false);
    r->blocks = store_blocks_new(r->guard);
    r->quick_blocks = store_blocks_new(r->quick_guard);
    r->pins = pins_new(r->state, r->gc);
    gc_add_roots(r->gc, pins_roots, r->pins);
    r->mfs = mfs_new(r, task_sched(t), "mfs", "mfs.journal");
    gc_add_partial_roots(r->gc, mfs_roots, r->mfs);
    r->published = mfs_new(r, task_sched(t), "published", "published.journal");
    gc_add_partial_roots(r->gc, mfs_roots, r->published);
    TRY(mfs_open(t, r->mfs));
    return mfs_open(t, r->published);
}

err_t repo_open(task_t *t, const char *path, repo_t **ret_repo)
{
    TRY(repo_check(t, path));
    repo_t *r = xcalloc(1, sizeof *r);
    r->path = xstrdup(path);
    gate_init(&r->config_gate, 1);
    err_t e = open_parts(t, r);
    if (e) {
        error_slot_t saved = *error_slot();
        repo_close(t, r);
        *error_slot() = saved;
        return e;
    }
    *ret_repo = r;
    return OK;
}

void repo_close(task_t *t, repo_t *r)
{
    if (!r)
        return;
    if (r->gc)
        gc_stop(t, r->gc);
    mfs_close(t, r->mfs);
    mfs_close(t, r->published);
    pins_free(r->pins);
    store_blocks_free(r->blocks);
    store_blocks_free(r->quick_blocks);
    blockstore_close(t, r->guard);
    blockstore_close(t, r->quick_guard);
    gc_free(r->gc);
    keystore_close(r->keystore);
    filestore_free(r->filestore);
    kv_close(t, r->state);
    blockstore_close(t, r->main);
    private_key_free(r->identity);
    config_free(r->config);
    file_close(r->lock);
    free(r->path);
    free(r);
}

/* ── parts ───────────────────────────────────────────────────────────────────────────────────── */
const char *repo_path(const repo_t *r)
{
    return r->path;
}

const config_t *repo_config(const repo_t *r)
{
    return r->config;
}

const private_key_t *repo_identity(const repo_t *r)
{
    return r->identity;
}

const peer_id_t *repo_peer_id(const repo_t *r)
{
    return &r->peer_id;
}

blockstore_t *repo_blockstore(repo_t *r)
{
    return r->guard;
}

blocks_t *repo_blocks(repo_t *r)
{
    return r->blocks;
}

kv_t *repo_state(repo_t *r)
{
    return r->state;
}

pins_t *repo_pins(repo_t *r)
{
    return r->pins;
}

gc_t *repo_gc(repo_t *r)
{
    return r->gc;
}

keystore_t *repo_keystore(repo_t *r)
{
    return r->keystore;
}

mfs_t *repo_mfs(repo_t *r)
{
    return r->mfs;
}

mfs_t *repo_published(repo_t *r)
{
    return r->published;
}

filestore_t *repo_filestore(repo_t *r)
{
    return r->filestore;
}

/* ── config ──────────────────────────────────────────────────────────────────────────────────── */
/* A change is made on a copy and becomes the config when its file is written; what was
 * borrowed from the former one is gone. */
typedef err_t (*config_change_fn)(task_t *t, repo_t *r, config_t *c, const void *arg);

static err_t copy_config(const config_t *c, config_t **ret)
{
    AUTO(buf_t) text;
    buf_init(&text, CONFIG_MAX_BYTES);
    err_t e = config_print(c, &text);
    if (!e)
        e = config_parse(buf_bytes(&text), ret);
    secret_wipe(text.data, text.len);
    return e;
}

static err_t change_config(task_t *t, repo_t *r, config_change_fn change, const void *arg)
{
    char file[REPO_PATH_MAX + 64];
    AUTO_PTR(config_t) copy = NULL;
    TRY(gate_enter(t, &r->config_gate));
    err_t e = copy_config(r->config, &copy);
    if (!e)
        e = change(t, r, copy, arg);
    if (!e)
        e = config_save(t, copy, repo_file(r->path, "config", file));
    if (!e)
        config_swap(r->config, copy);
    gate_leave(&r->config_gate);
    if (!e && r->config_changed)
        r->config_changed(t, r->config_changed_arg);
    return e;
}

void repo_on_config_change(repo_t *r, void (*changed)(task_t *t, void *arg), void *arg)
{
    r->config_changed = changed;
    r->config_changed_arg = arg;
}

static err_t change_set(task_t *t, repo_t *r, config_t *c, const void *arg)
{
    const char *const *pair = arg;
    TRY(config_set(c, pair[0], pair[1]));
    if (strcasecmp(pair[0], "Identity.PeerID") ==
        0) { /* with another one the repository could not be opened */
        AUTO_PTR(private_key_t) key = NULL;
        TRY(config_identity(c, &key));
    }
    return config_check(c, pair[0]);
}

err_t repo_config_set(task_t *t, repo_t *r, const char *path, const char *value_json)
{
    const char *pair[2] = {path, value_json};
    return change_config(t, r, change_set, pair);
}

static err_t change_unset(task_t *t, repo_t *r, config_t *c, const void *arg)
{
    return config_unset(c, arg);
}

err_t repo_config_unset(task_t *t, repo_t *r, const char *path)
{
    return change_config(t, r, change_unset, path);
}

static err_t change_replace(task_t *t, repo_t *r, config_t *c, const void *arg)
{
    TRY(config_replace(c, *(const bytes_t *)arg));
    return config_check(c, "");
}

err_t repo_config_replace(task_t *t, repo_t *r, bytes_t text)
{
    return change_config(t, r, change_replace, &text);
}

static err_t change_profile(task_t *t, repo_t *r, config_t *c, const void *arg)
{
    char name[320], file[REPO_PATH_MAX + 64];
    const char *profile = arg;
    const char *store = config_str(c, "Datastore.Store", "pack");
    char *before = xstrdup(store);
    err_t e = config_apply_profile(c, profile);
    if (!e && strcmp(before, config_str(c, "Datastore.Store", "pack")) != 0)
        e = fail(ERR_INVALID, "the profile %.40s can only be applied when the repository is made", profile);
    free(before);
    TRY(e);
    snprintf(name, sizeof name, "config.pre-%.200s.bak", profile);
    return config_save(t, r->config, repo_file(r->path, name, file));
}

static err_t change_identity(task_t *t, repo_t *r, config_t *c, const void *arg)
{
    char file[REPO_PATH_MAX + 64];
    TRY(config_set_identity(c, arg));
    return config_save(t, r->config, repo_file(r->path, "config.pre-identity.bak", file));
}

err_t repo_config_set_identity(task_t *t, repo_t *r, const private_key_t *identity)
{
    return change_config(t, r, change_identity, identity);
}

err_t repo_config_apply_profile(task_t *t, repo_t *r, const char *profile)
{
    return change_config(t, r, change_profile, profile);
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
static const char *const face_files[] = {[REPO_API] = "api", [REPO_GATEWAY] = "gateway"};

err_t repo_write_address(task_t *t, repo_t *r, repo_face_t face, const char *multiaddr)
{
    char file[REPO_PATH_MAX + 64];
    return fs_write_file(t, repo_file(r->path, face_files[face], file), 0600, bytes_str(multiaddr));
}

void repo_remove_addresses(task_t *t, repo_t *r)
{
    char file[REPO_PATH_MAX + 64];
    for (size_t i = 0; i < ARRAY_LEN(face_files); i++)
        (void)!fs_unlink(t, repo_file(r->path, face_files[i], file));
}

err_t repo_read_address(task_t *t, const char *path, repo_face_t face, buf_t *out)
{
    char file[REPO_PATH_MAX + 64];
    TRY(fs_read_file(t, repo_file(path, face_files[face], file), ADDRESS_MAX_BYTES, out));
    while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == ' '))
        out->len--;
    return OK;
}

/* ── imports ─────────────────────────────────────────────────────────────────────────────────── */
struct repo_import {
    blocks_t base;
    repo_t *repo;
    blockstore_writer_t writer;
    gc_hold_t hold;
    kv_batch_t refs; /* not committed yet */
};

static repo_import_t *import_of(blocks_t *b)
{
    return CONTAINER_OF(b, repo_import_t, base);
}

static err_t import_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    return blocks_get(t, import_of(b)->repo->blocks, cid, ret_block);
}

static void import_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n) {}

static err_t import_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blockstore_write(t, &import_of(b)->writer, list, n);
}

static bool import_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blocks_has(t, import_of(b)->repo->blocks, cid);
}

static const blocks_ops_t import_ops = {import_get, import_prefetch, import_put, import_has};

repo_import_t *repo_import_begin(repo_t *r)
{
    repo_import_t *i = xcalloc(1, sizeof *i);
    i->base.ops = &import_ops;
    i->repo = r;
    i->hold = gc_hold(r->gc);
    blockstore_writer_init(&i->writer, r->guard);
    kv_batch_init(&i->refs);
    return i;
}

blocks_t *repo_import_blocks(repo_import_t *i)
{
    return &i->base;
}

err_t repo_import_put_ref(task_t *t, repo_import_t *i, const cid_t *cid, const char *path, uint64_t offset,
                          uint64_t size)
{
    repo_t *r = i->repo;
    TRY(filestore_allows(r->filestore, url_is_named(path)));
    gc_touch(r->gc, cid);
    TRY(gc_wait_removal(t, r->gc, cid));
    TRY(filestore_stage(t, r->filestore, cid, path, offset, size, &i->refs));
    return i->refs.ops.len < REFS_BATCH_BYTES ? OK : kv_commit(t, r->state, &i->refs);
}

err_t repo_import_sync(task_t *t, repo_import_t *i)
{
    TRY(kv_commit(t, i->repo->state, &i->refs));
    return blockstore_flush(t, &i->writer);
}

void repo_import_end(repo_import_t *i)
{
    if (!i)
        return;
    blockstore_writer_deinit(&i->writer);
    kv_batch_deinit(&i->refs);
    gc_release(&i->hold);
    free(i);
}

/* ── figures and checks ──────────────────────────────────────────────────────────────────────── */
static void add_file(task_t *t, repo_t *r, const char *name, uint64_t *sum)
{
    char file[REPO_PATH_MAX + 64];
    file_info_t info;
    if (!fs_stat(t, repo_file(r->path, name, file), true, &info))
        *sum += info.disk_bytes;
}

err_t repo_stat(task_t *t, repo_t *r, repo_stat_t *ret)
{
    static const char *const files[] = {"config", "version", "state.db", "state.db-wal", "state.db-shm"};
    blockstore_stat_t s;
    uint64_t journal_bytes = 0;
    TRY(blockstore_stat(t, r->store, &s));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        add_file(t, r, files[i], &s.disk_bytes);
    add_file(t, r, "mfs.journal", &journal_bytes);
    add_file(t, r, "published.journal", &journal_bytes);
    *ret = (repo_stat_t){.blocks = s.blocks,
                         .block_bytes = s.bytes,
                         .disk_bytes = s.disk_bytes + journal_bytes,
                         .limited_bytes = s.disk_bytes,
                         .max_bytes = config_size(r->config, "Datastore.StorageMax", STORAGE_MAX_DEFAULT)};
    return OK;
}
