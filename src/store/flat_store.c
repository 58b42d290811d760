#include "store/flat_store.h"
#include "base/map.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

#define PATH_LEN_MAX 4096
#define KEY_TEXT_MAX 288 /* base32 of the longest multihash */
#define SHARD_MAX_CHARS 32
#define DEFAULT_SHARDING "/repo/flatfs/shard/v1/next-to-last/2"
#define PUT_TASKS 4 /* files of one put that are written and synced side by side */

typedef struct sharding {
    enum { SHARD_PREFIX, SHARD_SUFFIX, SHARD_NEXT_TO_LAST } kind;
    size_t chars;
} sharding_t;

typedef struct flat_store {
    blockstore_t base;
    char *folder;
    sharding_t sharding;
    uint64_t next_temporary;
    bool is_read_only;
    gate_t changing; /* puts and removals, one at a time */
} flat_store_t;

static flat_store_t *self(blockstore_t *bs)
{
    return CONTAINER_OF(bs, flat_store_t, base);
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
static err_t parse_sharding(const char *text, sharding_t *ret)
{
    static const struct {
        const char *name;
        int kind;
    } kinds[] = {{"prefix", SHARD_PREFIX}, {"suffix", SHARD_SUFFIX}, {"next-to-last", SHARD_NEXT_TO_LAST}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char format[64];
        unsigned chars;
        int len = 0;
        snprintf(format, sizeof format, "/repo/flatfs/shard/v1/%s/%%3u%%n", kinds[i].name);
        if (sscanf(text, format, &chars, &len) == 1 && (text[len] == 0 || text[len] == '\n') && chars > 0 &&
            chars <= SHARD_MAX_CHARS) {
            *ret = (sharding_t){kinds[i].kind, chars};
            return OK;
        }
    }
    return fail(ERR_UNSUPPORTED, "blocks/SHARDING says \"%.60s\": not a sharding that is known", text);
}

static void shard_of(const sharding_t *s, const char *key, char out[SHARD_MAX_CHARS + 1])
{
    size_t len = strlen(key);
    for (size_t i = 0; i < s->chars; i++) {
        /* Counted from the front or from the end; what lies outside of a short key is '_'. */
        size_t tail = s->kind == SHARD_NEXT_TO_LAST ? s->chars + 1 : s->chars;
        size_t at = s->kind == SHARD_PREFIX ? i : len - tail + i;
        out[i] = at < len ? key[at] : '_';
    }
    out[s->chars] = 0;
}

static void key_of(bytes_t raw, char out[KEY_TEXT_MAX])
{
    AUTO(buf_t) text;
    buf_init(&text, KEY_TEXT_MAX - 1);
    err_t e = multibase_encode_raw(MB_BASE32UPPER, raw, &text);
    assert(!e);
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
}

typedef struct block_path {
    char shard[PATH_LEN_MAX];
    char file[PATH_LEN_MAX];
} block_path_t;

static void path_of_raw(const flat_store_t *f, bytes_t raw, block_path_t *out)
{
    char key[KEY_TEXT_MAX], shard[SHARD_MAX_CHARS + 1];
    key_of(raw, key);
    shard_of(&f->sharding, key, shard);
    snprintf(out->shard, sizeof out->shard, "%s/%s", f->folder, shard);
    snprintf(out->file, sizeof out->file, "%s/%s/%s.data", f->folder, shard, key);
}

static void path_of(const flat_store_t *f, const cid_t *cid, block_path_t *out)
{
    uint8_t raw[CID_BINARY_MAX];
    path_of_raw(f, bytes_of(raw, cid_encode_multihash(cid, raw)), out);
}

/* The CID that a file name stands for. What is only read may be of a time when names were whole CIDs. */
static err_t cid_of_name(const flat_store_t *f, const char *name, cid_t *ret_cid)
{
    size_t len = strlen(name);
    if (len < 6 || strcmp(name + len - 5, ".data") != 0)
        return ERR_INVALID;
    AUTO(buf_t) raw;
    buf_init(&raw, CID_BINARY_MAX);
    TRY(multibase_decode_raw(MB_BASE32UPPER, bytes_of(name, len - 5), &raw));
    err_t e = cid_from_multihash(buf_bytes(&raw), CODEC_RAW, ret_cid);
    return e && f->is_read_only ? cid_decode(buf_bytes(&raw), ret_cid) : e;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t absent(const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    return fail(ERR_NOT_FOUND, "block was not found locally (offline): ipld: could not find %s",
                cid_print(cid, text));
}

static err_t open_file(task_t *t, flat_store_t *f, const cid_t *cid, block_path_t *path, file_t **ret_file)
{
    uint8_t raw[CID_BINARY_MAX];
    path_of(f, cid, path);
    if (!f->is_read_only)
        return file_open(t, path->file, FILE_READ | FILE_NO_FOLLOW, 0, ret_file);
    err_t e = file_open(t, path->file, FILE_READ, 0, ret_file);
    if (e != ERR_NOT_FOUND || cid->version != 1)
        return e;
    path_of_raw(f, bytes_of(raw, cid_encode(cid, raw)), path);
    return file_open(t, path->file, FILE_READ, 0, ret_file);
}

static err_t open_block(task_t *t, flat_store_t *f, const cid_t *cid, file_t **ret_file, uint64_t *ret_size)
{
    AUTO_PTR(file_t) file = NULL;
    block_path_t *path = xmalloc(sizeof *path);
    err_t e = open_file(t, f, cid, path, &file);
    free(path);
    if (e == ERR_NOT_FOUND)
        return absent(cid);
    TRY(e);
    TRY(file_size(t, file, ret_size));
    if (*ret_size > BLOCK_STORED_MAX_BYTES || (*ret_size == 0 && cid_verify(cid, BYTES_NONE)))
        return absent(cid);
    *ret_file = file;
    file = NULL;
    return OK;
}

static err_t get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    AUTO_PTR(file_t) file = NULL;
    AUTO_PTR(block_t) block = NULL;
    uint64_t size = 0;
    size_t n = 0;
    TRY(open_block(t, self(bs), cid, &file, &size));
    TRY(block_new(size, &block));
    err_t e = file_try_read_at(file, block->data, size, 0, &n);
    if (e == ERR_AGAIN || (!e && n < size))
        e = file_read_exact(t, file, block->data, size, 0);
    if (e == ERR_EOF)
        return absent(cid);
    TRY(e);
    block->cid = *cid;
    *ret_block = block;
    block = NULL;
    return OK;
}

static err_t size_of(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size)
{
    AUTO_PTR(file_t) file = NULL;
    return open_block(t, self(bs), cid, &file, ret_size);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static bool is_stored(task_t *t, flat_store_t *f, const block_t *block)
{
    AUTO_PTR(block_t) old = NULL;
    return get(t, &f->base, &block->cid, &old) == OK && bytes_equal(block_bytes(old), block_bytes(block));
}

static err_t write_temporary(task_t *t, const char *path, bytes_t data)
{
    AUTO_PTR(file_t) file = NULL;
    TRY(file_open(t, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE | FILE_NO_FOLLOW, 0600, &file));
    TRY(file_write_at(t, file, &data, 1, 0));
    return file_sync(t, file);
}

/* A put in progress: what its tasks share. */
typedef struct put_run {
    flat_store_t *store;
    block_t *const *blocks;
    size_t n, next;
    map_t *shards; /* folders to sync */
} put_run_t;

static err_t note_shard(task_t *t, put_run_t *run, const char *shard)
{
    bytes_t key = bytes_of(shard, strlen(shard) + 1);
    if (map_has(run->shards, key))
        return OK;
    err_t e = fs_mkdir(t, shard, 0700);
    if (e && e != ERR_EXISTS)
        return e;
    return map_put(run->shards, key, run, NULL);
}

static err_t put_one(task_t *t, put_run_t *run, const block_t *block, block_path_t *path)
{
    flat_store_t *f = run->store;
    path_of(f, &block->cid, path);
    if (is_stored(t, f, block)) /* its name may come from a put that could not sync the folder */
        return note_shard(t, run, path->shard);
    char temporary[PATH_LEN_MAX];
    snprintf(temporary, sizeof temporary, "%s/.temp/put-%llu", f->folder,
             (unsigned long long)f->next_temporary++);
    err_t e = write_temporary(t, temporary, block_bytes(block));
    if (!e)
        e = note_shard(t, run, path->shard);
    if (!e)
        e = fs_rename(t, temporary, path->file);
    if (e) {
        error_slot_t saved = *error_slot();
        (void)!fs_unlink(t, temporary);
        *error_slot() = saved;
    }
    return e;
}

static err_t put_next(task_t *t, void *arg)
{
    put_run_t *run = arg;
    block_path_t *path = xmalloc(sizeof *path);
    err_t e = OK;
    while (!e && run->next < run->n)
        e = put_one(t, run, run->blocks[run->next++], path);
    free(path);
    return e;
}

static err_t sync_shards(task_t *t, put_run_t *run)
{
    bytes_t shard;
    for (size_t i = 0; map_next(run->shards, &i, &shard, NULL);) {
        err_t e = fs_sync_dir(t, (const char *)shard.data);
        if (e && e != ERR_NOT_FOUND) /* nothing was ever in it */
            return e;
    }
    return fs_sync_dir(t, run->store->folder);
}

static err_t put_files(task_t *t, put_run_t *run)
{
    group_t group;
    group_init(&group, task_sched(t));
    group.cancel_on_error = true;
    err_t e = OK;
    for (size_t i = 1; i < PUT_TASKS && i < run->n && !e; i++)
        e = group_spawn(&group, "flat-put", put_next, run, NULL);
    if (!e)
        e = put_next(t, run);
    if (e)
        group_cancel(&group);
    err_t joined = group_join(t, &group);
    group_deinit(&group);
    TRY(e);
    TRY(joined);
    return sync_shards(t, run);
}

static err_t check_writable(const flat_store_t *f)
{
    return f->is_read_only ? fail(ERR_DENIED, "the blocks in %s are read alone", f->folder) : OK;
}

static err_t put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    flat_store_t *f = self(bs);
    TRY(check_writable(f));
    map_t shards;
    map_init(&shards, n + 1);
    put_run_t run = {.store = f, .blocks = blocks, .n = n, .shards = &shards};
    err_t e = gate_enter(t, &f->changing);
    if (!e) {
        e = put_files(t, &run);
        gate_leave(&f->changing);
    }
    map_deinit(&shards);
    return e;
}

static err_t remove_files(task_t *t, flat_store_t *f, const cid_t *cids, size_t n, map_t *shards)
{
    block_path_t *path = xmalloc(sizeof *path);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++) {
        path_of(f, &cids[i], path);
        e = fs_unlink(t, path->file);
        if (!e || e == ERR_NOT_FOUND) /* an earlier removal may not be durable yet */
            e = map_put(shards, bytes_of(path->shard, strlen(path->shard) + 1), f, NULL);
    }
    free(path);
    return e;
}

static err_t remove_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n)
{
    flat_store_t *f = self(bs);
    TRY(check_writable(f));
    map_t shards;
    map_init(&shards, n + 1);
    put_run_t run = {.store = f, .shards = &shards};
    err_t e = gate_enter(t, &f->changing);
    if (!e) {
        e = remove_files(t, f, cids, n, &shards);
        if (!e)
            e = sync_shards(t, &run);
        gate_leave(&f->changing);
    }
    map_deinit(&shards);
    return e;
}

/* ── listing ─────────────────────────────────────────────────────────────────────────────────── */
typedef err_t (*file_fn)(task_t *t, void *arg, const cid_t *cid, const file_info_t *info);

/* In a store that is only read, links are followed, and one to nowhere is a block that is damaged. */
static err_t each_in_shard(task_t *t, const flat_store_t *f, const char *shard, file_fn fn, void *arg)
{
    AUTO(dir_list_t) list = {0};
    err_t e = fs_list(t, shard, &list);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    for (size_t i = 0; i < list.count; i++) {
        cid_t cid;
        file_info_t info = {0};
        char path[PATH_LEN_MAX];
        if (cid_of_name(f, list.names[i], &cid))
            continue;
        snprintf(path, sizeof path, "%.3800s/%.255s", shard, list.names[i]);
        e = fs_stat(t, path, f->is_read_only, &info);
        if (e == ERR_NOT_FOUND && !f->is_read_only)
            continue;
        if (e != ERR_NOT_FOUND)
            TRY(e);
        TRY(fn(t, arg, &cid, &info));
    }
    return OK;
}

static err_t each_file(task_t *t, flat_store_t *f, file_fn fn, void *arg)
{
    AUTO(dir_list_t) shards = {0};
    TRY(fs_list(t, f->folder, &shards));
    for (size_t i = 0; i < shards.count; i++) {
        if (strlen(shards.names[i]) != f->sharding.chars || shards.names[i][0] == '.')
            continue;
        char path[PATH_LEN_MAX];
        file_info_t info;
        snprintf(path, sizeof path, "%.3800s/%.255s", f->folder, shards.names[i]);
        TRY(fs_stat(t, path, f->is_read_only, &info));
        if (info.kind == FILE_KIND_DIR)
            TRY(each_in_shard(t, f, path, fn, arg));
    }
    return OK;
}

typedef struct visit_arg {
    blockstore_visit_fn visit;
    void *arg;
} visit_arg_t;

static err_t visit_file(task_t *t, void *arg, const cid_t *cid, const file_info_t *info)
{
    visit_arg_t *v = arg;
    return v->visit(t, v->arg, cid, info->size_bytes);
}

static err_t each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg)
{
    visit_arg_t v = {visit, arg};
    return each_file(t, self(bs), visit_file, &v);
}

static err_t count_file(task_t *t, void *arg, const cid_t *cid, const file_info_t *info)
{
    blockstore_stat_t *stat = arg;
    stat->blocks++;
    stat->bytes += info->size_bytes;
    stat->disk_bytes += info->disk_bytes;
    return OK;
}

static err_t stat_store(task_t *t, blockstore_t *bs, blockstore_stat_t *ret)
{
    blockstore_stat_t stat = {0};
    TRY(each_file(t, self(bs), count_file, &stat));
    *ret = stat;
    return OK;
}

static err_t compact(task_t *t, blockstore_t *bs)
{
    return OK;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
static void close_store(task_t *t, blockstore_t *bs)
{
    free(self(bs)->folder);
    free(self(bs));
}

static const blockstore_ops_t flat_ops = {
    .put_many = put_many,
    .get = get,
    .size = size_of,
    .remove = remove_many,
    .each = each,
    .stat = stat_store,
    .compact = compact,
    .close = close_store,
    .wrong_is_absent = true,
};

static const char readme[] =
    "This is a repository of blocks. Its files are named by the hash of their content; do not change them.\n"
    "The layout is the one of flatfs: SHARDING names the function that spreads the files over folders.\n";

static err_t read_sharding(task_t *t, flat_store_t *f)
{
    char path[PATH_LEN_MAX];
    const char *text;
    AUTO(buf_t) content;
    buf_init(&content, 256);
    snprintf(path, sizeof path, "%s/SHARDING", f->folder);
    err_t e = fs_read_file(t, path, 255, &content);
    if (e == ERR_NOT_FOUND && f->is_read_only)
        return fail(e, "%s holds no blocks: there is no file SHARDING", f->folder);
    if (e == ERR_NOT_FOUND) {
        TRY(fs_write_file(t, path, 0644, BYTES_LIT(DEFAULT_SHARDING "\n")));
        snprintf(path, sizeof path, "%s/_README", f->folder);
        TRY(fs_write_file(t, path, 0644, BYTES_LIT(readme)));
        return parse_sharding(DEFAULT_SHARDING, &f->sharding);
    }
    TRY(e);
    TRY(buf_cstr(&content, &text));
    return parse_sharding(text, &f->sharding);
}

/* What an interrupted put has left behind. */
static err_t clear_temporary(task_t *t, flat_store_t *f)
{
    char folder[PATH_LEN_MAX];
    snprintf(folder, sizeof folder, "%s/.temp", f->folder);
    TRY(fs_mkdirs(t, folder, 0700));
    AUTO(dir_list_t) list = {0};
    TRY(fs_list(t, folder, &list));
    for (size_t i = 0; i < list.count; i++) {
        char path[PATH_LEN_MAX];
        snprintf(path, sizeof path, "%s/.temp/%s", f->folder, list.names[i]);
        TRY(fs_unlink(t, path));
    }
    return OK;
}

static err_t open_store(task_t *t, const char *folder, bool is_read_only, blockstore_t **ret_store)
{
    if (strlen(folder) + KEY_TEXT_MAX + SHARD_MAX_CHARS + 16 > PATH_LEN_MAX)
        return fail(ERR_INVALID, "the path of the block store is too long");
    flat_store_t *f = xcalloc(1, sizeof *f);
    f->base.ops = &flat_ops;
    f->folder = xstrdup(folder);
    f->is_read_only = is_read_only;
    gate_init(&f->changing, 1);
    err_t e = is_read_only ? OK : fs_mkdirs(t, folder, 0700);
    if (!e && !is_read_only)
        e = clear_temporary(t, f);
    if (!e)
        e = read_sharding(t, f);
    if (e) {
        close_store(t, &f->base);
        return e;
    }
    *ret_store = &f->base;
    return OK;
}

err_t flat_store_open(task_t *t, const char *folder, blockstore_t **ret_store)
{
    return open_store(t, folder, false, ret_store);
}

err_t flat_store_open_read_only(task_t *t, const char *folder, blockstore_t **ret_store)
{
    return open_store(t, folder, true, ret_store);
}
