#include "repo/kubo_state.h"
#include "multi/multibase.h"
#include "store/badger_read.h"
#include "store/leveldb_read.h"
#include "store/pebble_read.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

enum { COPY_BYTES = 1 << 20, KEY_MAX_BYTES = 64 << 10 };

typedef struct database {
    const kubo_part_t *part;
    leveldb_read_t *level; /* one of these; none: the part has no records */
    pebble_read_t *pebble;
    badger_read_t *badger;
} database_t;
struct kubo_state {
    const kubo_source_t *source;
    database_t databases[KUBO_PARTS_MAX];
    size_t count;
};

/* ── a copy of LevelDB ───────────────────────────────────────────────────────────────────────── */
static err_t copy_bytes(task_t *t, file_t *from, file_t *to, uint8_t *room)
{
    for (uint64_t offset = 0;;) {
        size_t n;
        TRY(file_read_at(t, from, room, COPY_BYTES, offset, &n));
        if (!n)
            return OK;
        bytes_t piece = bytes_of(room, n);
        TRY(file_write_at(t, to, &piece, 1, offset));
        offset += n;
    }
}

static err_t copy_file(task_t *t, const char *from, const char *to)
{
    AUTO_PTR(file_t) in = NULL;
    AUTO_PTR(file_t) out = NULL;
    TRY(file_open(t, from, FILE_READ, 0, &in));
    TRY(file_open(t, to, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, 0600, &out));
    uint8_t *room = xmalloc(COPY_BYTES);
    err_t e = copy_bytes(t, in, out, room);
    free(room);
    return e;
}

typedef struct copy_paths {
    char from[REPO_PATH_MAX + 320], to[REPO_PATH_MAX + 320];
} copy_paths_t;

/* Tables are never written again, only removed: what LevelDB removes is the link, where the file system has
 * links. */
static bool is_table(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && (!strcmp(name + len - 4, ".ldb") || !strcmp(name + len - 4, ".sst"));
}

static err_t copy_named(task_t *t, const char *from, const char *to, const char *name, copy_paths_t *paths)
{
    file_info_t info;
    snprintf(paths->from, sizeof paths->from, "%s/%.255s", from, name);
    snprintf(paths->to, sizeof paths->to, "%s/%.255s", to, name);
    TRY(fs_stat(t, paths->from, true, &info));
    if (info.kind != FILE_KIND_REGULAR || !strcmp(name, "LOCK"))
        return OK;
    bool is_linked = is_table(name) && !fs_symlink(t, paths->from, paths->to);
    return is_linked ? OK : copy_file(t, paths->from, paths->to);
}

static err_t copy_folder(task_t *t, const char *from, const char *to)
{
    AUTO(dir_list_t) files = {0};
    TRY(fs_list(t, from, &files));
    TRY(fs_mkdirs(t, to, 0700));
    copy_paths_t *paths = xmalloc(sizeof *paths);
    err_t e = OK;
    for (size_t i = 0; i < files.count && !e; i++)
        e = copy_named(t, from, to, files.names[i], paths);
    free(paths);
    return e;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_database(task_t *t, kubo_state_t *s, const kubo_part_t *part, const char *folder)
{
    char copy[REPO_PATH_MAX + 64];
    database_t *d = &s->databases[s->count++];
    d->part = part;
    switch (part->kind) {
    case KUBO_LEVELDB:
        snprintf(copy, sizeof copy, "%s/%zu", folder, s->count);
        TRY(copy_folder(t, part->path, copy));
        return leveldb_read_open(t, copy, &d->level);
    case KUBO_PEBBLE:
        return pebble_read_open(t, part->path, &d->pebble);
    case KUBO_BADGER:
        return badger_read_open(t, part->path, &d->badger);
    default:
        return OK;
    }
}

err_t kubo_state_open(task_t *t, const kubo_source_t *source, const char *folder, kubo_state_t **ret)
{
    err_t e = fs_remove_tree(t, folder); /* what an interrupted import has left */
    if (e && e != ERR_NOT_FOUND)
        return e;
    kubo_state_t *s = xcalloc(1, sizeof *s);
    s->source = source;
    e = OK;
    for (size_t i = 0; i < source->n_parts && !e; i++)
        e = open_database(t, s, &source->parts[i], folder);
    if (e) {
        error_slot_t why = *error_slot();
        kubo_state_close(t, s);
        *error_slot() = why;
        return e;
    }
    *ret = s;
    return OK;
}

void kubo_state_close(task_t *t, kubo_state_t *s)
{
    for (size_t i = 0; s && i < s->count; i++) {
        leveldb_read_close(t, s->databases[i].level);
        pebble_read_close(s->databases[i].pebble);
        badger_read_close(s->databases[i].badger);
    }
    free(s);
}

const char *kubo_state_damage(const kubo_state_t *s, size_t *at)
{
    while (*at < s->count) {
        const database_t *d = &s->databases[(*at)++];
        const char *text = d->badger   ? badger_read_damage(d->badger)
                           : d->pebble ? pebble_read_damage(d->pebble)
                                       : NULL;
        if (text)
            return text;
    }
    return NULL;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct each_run {
    const kubo_state_t *state;
    const kubo_part_t *part;
    kv_visit_fn visit;
    records_lost_fn lost;
    void *arg;
    buf_t key;
} each_run_t;

/* The key with its mountpoint. *ret_is_hidden: another part is mounted over it. */
static err_t whole_key(each_run_t *run, bytes_t key, bool *ret_is_hidden)
{
    buf_clear(&run->key);
    TRY(buf_append(&run->key, bytes_str(run->part->mount)));
    TRY(buf_append(&run->key, key));
    *ret_is_hidden = kubo_source_part_of(run->state->source, buf_bytes(&run->key)) != run->part;
    return OK;
}

static err_t visit_record(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    each_run_t *run = arg;
    bool is_hidden;
    TRY(whole_key(run, key, &is_hidden));
    return is_hidden ? OK : run->visit(t, run->arg, buf_bytes(&run->key), value);
}

static err_t lose_record(task_t *t, void *arg, bytes_t key, const char *why)
{
    each_run_t *run = arg;
    bool is_hidden;
    if (!key.len)
        return run->lost(t, run->arg, key, why);
    TRY(whole_key(run, key, &is_hidden));
    return is_hidden ? OK : run->lost(t, run->arg, buf_bytes(&run->key), why);
}

static err_t read_database(task_t *t, const database_t *d, bytes_t prefix, each_run_t *run)
{
    run->part = d->part;
    if (d->level)
        return leveldb_read_each(t, d->level, prefix, visit_record, run);
    if (d->pebble)
        return pebble_read_each(t, d->pebble, prefix, visit_record, run->lost ? lose_record : NULL, run);
    if (d->badger)
        return badger_read_each(t, d->badger, prefix, visit_record, run->lost ? lose_record : NULL, run);
    return OK;
}

static err_t each_record(task_t *t, kubo_state_t *s, bytes_t prefix, each_run_t *run)
{
    const kubo_part_t *part = kubo_source_part_of(s->source, prefix);
    err_t e = OK;
    run->state = s;
    buf_init(&run->key, KEY_MAX_BYTES + KUBO_MOUNT_MAX);
    for (size_t i = 0; i < s->count && !e; i++) {
        const database_t *d = &s->databases[i];
        bytes_t mount = bytes_str(d->part->mount);
        if (d->part == part)
            e = read_database(t, d, bytes_slice(prefix, mount.len, prefix.len), run);
        else if (bytes_starts_with(mount, prefix)) /* mounted below */
            e = read_database(t, d, BYTES_LIT("/"), run);
    }
    buf_deinit(&run->key);
    return e;
}

err_t kubo_state_each(task_t *t, kubo_state_t *s, bytes_t prefix, kv_visit_fn visit, void *arg)
{
    each_run_t run = {.visit = visit, .arg = arg};
    return each_record(t, s, prefix, &run);
}

err_t kubo_state_get(task_t *t, kubo_state_t *s, bytes_t key, buf_t *out)
{
    const kubo_part_t *part = kubo_source_part_of(s->source, key);
    for (size_t i = 0; i < s->count; i++) {
        const database_t *d = &s->databases[i];
        bytes_t inner = bytes_slice(key, strlen(d->part->mount), key.len);
        if (d->part != part)
            continue;
        if (d->level)
            return leveldb_read_get(t, d->level, inner, out);
        if (d->pebble)
            return pebble_read_get(t, d->pebble, inner, out);
        if (d->badger)
            return badger_read_get(t, d->badger, inner, out);
    }
    buf_clear(out);
    return fail(ERR_NOT_FOUND, "the datastore has no such key");
}

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct block_run {
    kubo_block_fn visit;
    void *arg;
} block_run_t;

/* Behind the prefix: base32 of the multihash; in version 11 of the CID when its version is 1. */
static bool is_block(bytes_t key, cid_t *ret)
{
    AUTO(buf_t) raw;
    buf_init(&raw, CID_BINARY_MAX);
    bytes_t name = bytes_slice(key, strlen(KUBO_BLOCKS_MOUNT "/"), key.len);
    return !multibase_decode_raw(MB_BASE32UPPER, name, &raw) &&
           (!cid_from_multihash(buf_bytes(&raw), CODEC_RAW, ret) || !cid_decode(buf_bytes(&raw), ret));
}

static err_t visit_block(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    const block_run_t *run = arg;
    cid_t cid;
    return is_block(key, &cid) ? run->visit(t, run->arg, &cid, value, NULL) : OK;
}

static err_t lose_block(task_t *t, void *arg, bytes_t key, const char *why)
{
    const block_run_t *run = arg;
    cid_t cid;
    if (!key.len)
        return run->visit(t, run->arg, NULL, BYTES_NONE, why);
    return is_block(key, &cid) ? run->visit(t, run->arg, &cid, BYTES_NONE, why) : OK;
}

err_t kubo_state_each_block(task_t *t, kubo_state_t *s, kubo_block_fn visit, void *arg)
{
    block_run_t blocks = {visit, arg};
    each_run_t run = {.visit = visit_block, .lost = lose_block, .arg = &blocks};
    return each_record(t, s, BYTES_LIT(KUBO_BLOCKS_MOUNT "/"), &run);
}
