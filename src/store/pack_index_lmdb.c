/* pack_index over LMDB: two tables, blocks (multihash -> place) and segments (number -> row). Synced
 * commits only; never MDB_NOSYNC or MDB_WRITEMAP, which lose the database at a crash.
 *
 * Commits and listings run on workers. Point look-ups run where they are called, on the loop thread, in one
 * read transaction that is renewed for each: measured at 0.3 us with the pages in memory, against 15 us for
 * a hop to a worker; a page that is not in memory costs one read of 4 KiB. The map's resident part is kept
 * small (resident.h): keys are random, so that a million blocks would soon have all of it in memory. */
#include "base/reader.h"
#include "store/pack_index.h"
#include "store/resident.h"
#include "task/driver.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Address space, not memory: the file grows as it is used. Tried from the largest down. */
#define MAP_MAX_BYTES (sizeof(void *) > 4 ? (uint64_t)1 << 40 : (uint64_t)1 << 29)
#define MAP_MIN_BYTES ((uint64_t)1 << 26)
/* With less room than this the disk is full: a commit writes its pages in pieces of several. */
#define FULL_BYTES ((uint64_t)1 << 18)

/* A commit holds the pages that it changes, 4 KiB each. Keys are random: in a large index each changes one of
 * its own, in a small one they are never more than it has. */
enum { CHANGED_PAGES = 2560, SMALL_INDEX_BLOCKS = 16 << 10 };

typedef struct pack_index_lmdb {
    pack_index_t base;
    char *folder;
    MDB_env *env;
    MDB_dbi blocks, segments;
    MDB_txn *reader; /* of the loop thread; between look-ups it is reset */
    resident_t resident;
    bool is_broken;  /* a commit failed half-way: the environment is opened anew before the next */
    size_t listings; /* on workers now */
    event_t listed;
} pack_index_lmdb_t;

static pack_index_lmdb_t *self(pack_index_t *x)
{
    return CONTAINER_OF(x, pack_index_lmdb_t, base);
}

static err_t mdb_fail(int rc, const char *what)
{
    err_t e;
    switch (rc) {
    case MDB_NOTFOUND:
        return ERR_NOT_FOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_DBI:
        e = ERR_CORRUPT;
        break;
    case MDB_MAP_FULL:
        e = ERR_NO_SPACE;
        break;
    default:
        e = rc > 0 ? error_from_errno(rc) : ERR_IO;
        e = e == ERR_NOT_FOUND ? ERR_IO : e;
    }
    return fail(e, "index of blocks: %s: %s%s", what, mdb_strerror(rc),
                rc == ENOSPC || rc == EDQUOT ? "; free some space or move the repository" : "");
}

static MDB_val val_of(bytes_t b)
{
    return (MDB_val){.mv_size = b.len, .mv_data = (void *)(uintptr_t)b.data};
}

static bytes_t bytes_val(MDB_val v)
{
    return bytes_of(v.mv_data, v.mv_size);
}

/* ── the environment ─────────────────────────────────────────────────────────────────────────── */
static int open_tables(pack_index_lmdb_t *x)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(x->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, "blocks", MDB_CREATE, &x->blocks);
    if (!rc)
        rc = mdb_dbi_open(txn, "segments", MDB_CREATE, &x->segments);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static void close_env(pack_index_lmdb_t *x)
{
    if (x->reader)
        mdb_txn_abort(x->reader);
    if (x->env)
        mdb_env_close(x->env);
    x->reader = NULL;
    x->env = NULL;
}

/* LMDB maps its lock file with holes: on a full disk, writing there would be a bus error. */
static int reserve_lock_file(const pack_index_lmdb_t *x)
{
    enum { LOCK_BYTES = 8192 };
    char path[4096];
    if (snprintf(path, sizeof path, "%s/lock.mdb", x->folder) >= (int)sizeof path)
        return ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int rc = posix_fallocate(fd, 0, LOCK_BYTES);
    close(fd);
    return rc == ENOSPC ? rc : 0; /* where it is not supported, it is tried without */
}

/* The record of a table says where the map is. */
static int find_map(pack_index_lmdb_t *x)
{
    MDB_txn *txn;
    MDB_dbi tables;
    MDB_val k = val_of(BYTES_LIT("blocks")), v;
    int rc = mdb_txn_begin(x->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &tables);
    if (!rc)
        rc = mdb_get(txn, tables, &k, &v);
    if (!rc)
        resident_init(&x->resident, v.mv_data);
    mdb_txn_abort(txn);
    return rc;
}

static int try_open_env(pack_index_lmdb_t *x, uint64_t map_bytes)
{
    int rc = reserve_lock_file(x);
    if (!rc)
        rc = mdb_env_create(&x->env);
    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(x->env, 2);
    if (!rc)
        rc = mdb_env_set_mapsize(x->env, (size_t)map_bytes);
    if (!rc)
        rc = mdb_env_open(x->env, x->folder, MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (!rc)
        rc = open_tables(x);
    if (!rc)
        rc = find_map(x);
    if (!rc)
        rc = mdb_txn_begin(x->env, NULL, MDB_RDONLY, &x->reader);
    if (rc) {
        close_env(x);
        return rc;
    }
    mdb_txn_reset(x->reader);
    return 0;
}

/* LMDB calls a write that a full disk cut short an EIO. */
static int cause_of(const pack_index_lmdb_t *x, int rc)
{
    struct statvfs disk;
    bool is_full = rc == EIO && !statvfs(x->folder, &disk) && disk.f_bavail * disk.f_frsize < FULL_BYTES;
    return is_full ? ENOSPC : rc;
}

static err_t open_env(pack_index_lmdb_t *x)
{
    int rc = ENOMEM;
    for (uint64_t size = MAP_MAX_BYTES; rc == ENOMEM && size >= MAP_MIN_BYTES; size /= 4)
        rc = try_open_env(x, size);
    return rc ? mdb_fail(cause_of(x, rc), x->folder) : OK;
}

typedef struct open_job {
    pack_index_lmdb_t *x;
    err_t result;
} open_job_t;

static void open_run(void *arg)
{
    open_job_t *job = arg;
    job->result = open_env(job->x);
}

/* ── look-ups ────────────────────────────────────────────────────────────────────────────────── */
static err_t get_loc(pack_index_lmdb_t *x, MDB_txn *txn, bytes_t key, pack_loc_t *ret_loc)
{
    MDB_val k = val_of(key), v;
    resident_touch(&x->resident);
    int rc = mdb_get(txn, x->blocks, &k, &v);
    return rc ? mdb_fail(rc, "look-up") : pack_loc_decode(bytes_val(v), ret_loc);
}

static err_t find(task_t *t, pack_index_t *base, bytes_t key, pack_loc_t *ret_loc)
{
    pack_index_lmdb_t *x = self(base);
    if (x->is_broken)
        return fail(ERR_IO, "index of blocks: closed after a failed commit");
    int rc = mdb_txn_renew(x->reader);
    if (rc)
        return mdb_fail(rc, "look-up");
    err_t e = get_loc(x, x->reader, key, ret_loc);
    mdb_txn_reset(x->reader);
    return e;
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct commit_job {
    pack_index_lmdb_t *x;
    MDB_txn *txn;
    pack_commit_t *commit;
    size_t max_blocks; /* of the next */
    err_t result;
} commit_job_t;

static err_t view_find(void *arg, bytes_t key, pack_loc_t *ret_loc)
{
    commit_job_t *job = arg;
    return get_loc(job->x, job->txn, key, ret_loc);
}

static err_t put(commit_job_t *job, MDB_dbi dbi, bytes_t key, bytes_t value)
{
    MDB_val k = val_of(key), v = val_of(value);
    int rc = mdb_put(job->txn, dbi, &k, &v, 0);
    return rc ? mdb_fail(rc, "write") : OK;
}

static err_t view_put(void *arg, bytes_t key, pack_loc_t loc)
{
    commit_job_t *job = arg;
    uint8_t value[PACK_LOC_BYTES];
    pack_loc_encode(loc, value);
    return put(job, job->x->blocks, key, bytes_of(value, sizeof value));
}

static err_t del(commit_job_t *job, MDB_dbi dbi, bytes_t key)
{
    MDB_val k = val_of(key);
    int rc = mdb_del(job->txn, dbi, &k, NULL);
    return rc && rc != MDB_NOTFOUND ? mdb_fail(rc, "removal") : OK;
}

static err_t view_remove(void *arg, bytes_t key)
{
    commit_job_t *job = arg;
    return del(job, job->x->blocks, key);
}

static void segment_key(uint32_t segment, uint8_t out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(segment >> (24 - 8 * i));
}

static err_t view_row_find(void *arg, uint32_t segment, pack_row_t *ret_row)
{
    commit_job_t *job = arg;
    uint8_t key[4];
    segment_key(segment, key);
    MDB_val k = val_of(bytes_of(key, sizeof key)), v;
    int rc = mdb_get(job->txn, job->x->segments, &k, &v);
    return rc ? mdb_fail(rc, "look-up") : pack_row_decode(segment, bytes_val(v), ret_row);
}

static err_t view_row_put(void *arg, const pack_row_t *row)
{
    uint8_t key[4], value[PACK_ROW_BYTES];
    commit_job_t *job = arg;
    segment_key(row->segment, key);
    pack_row_encode(row, value);
    return put(job, job->x->segments, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
}

static err_t view_row_remove(void *arg, uint32_t segment)
{
    commit_job_t *job = arg;
    uint8_t key[4];
    segment_key(segment, key);
    return del(job, job->x->segments, bytes_of(key, sizeof key));
}

static size_t commit_max_blocks(const pack_index_lmdb_t *x, MDB_txn *txn)
{
    MDB_stat stat;
    bool is_small = !mdb_stat(txn, x->blocks, &stat) && stat.ms_leaf_pages < CHANGED_PAGES;
    return is_small ? SMALL_INDEX_BLOCKS : CHANGED_PAGES;
}

static void commit_run(void *arg)
{
    commit_job_t *job = arg;
    int rc = mdb_txn_begin(job->x->env, NULL, 0, &job->txn);
    if (rc) {
        job->result = mdb_fail(rc, "transaction");
        return;
    }
    pack_view_t view = {job, view_find, view_put, view_remove, view_row_find, view_row_put, view_row_remove};
    job->result = pack_commit_apply(job->commit, &view);
    if (job->result) {
        mdb_txn_abort(job->txn);
        return;
    }
    job->max_blocks = commit_max_blocks(job->x, job->txn);
    rc = mdb_txn_commit(job->txn);
    if (rc)
        job->result = mdb_fail(cause_of(job->x, rc), "commit");
}

static err_t reopen(task_t *t, pack_index_lmdb_t *x)
{
    x->is_broken = true; /* no look-up and no new listing from here on */
    task_shield(t);
    while (x->listings)
        (void)!event_wait(t, &x->listed);
    task_unshield(t);
    close_env(x);
    TRY(open_env(x));
    x->is_broken = false;
    return OK;
}

static err_t commit(task_t *t, pack_index_t *base, pack_commit_t *c)
{
    pack_index_lmdb_t *x = self(base);
    if (x->is_broken)
        TRY(reopen(t, x));
    commit_job_t job = {.x = x, .commit = c, .max_blocks = base->commit_max_blocks};
    work(t, commit_run, &job);
    base->commit_max_blocks = job.max_blocks;
    /* LMDB refuses all work after some failed commits until it is opened anew; always doing so is safe. */
    if (job.result && job.result != ERR_CORRUPT) {
        error_slot_t saved = *error_slot();
        (void)!reopen(t, x);
        *error_slot() = saved;
    }
    return job.result;
}

/* ── listings ────────────────────────────────────────────────────────────────────────────────── */
typedef struct list_job {
    pack_index_lmdb_t *x;
    bytes_t after;
    pack_entry_t *entries;
    pack_row_t *rows;
    size_t cap, n;
    err_t result;
} list_job_t;

static err_t read_entries(list_job_t *job, MDB_cursor *cursor)
{
    MDB_val k = val_of(job->after), v;
    int rc = mdb_cursor_get(cursor, &k, &v, job->after.len ? MDB_SET_RANGE : MDB_FIRST);
    if (!rc && job->after.len && bytes_equal(bytes_val(k), job->after))
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    for (; !rc && job->n < job->cap; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        pack_entry_t *entry = &job->entries[job->n];
        resident_touch(&job->x->resident);
        if (k.mv_size > sizeof entry->key)
            return fail(ERR_CORRUPT, "the index of blocks holds a key of %zu bytes", k.mv_size);
        TRY(pack_loc_decode(bytes_val(v), &entry->loc));
        entry->key_len = (uint8_t)k.mv_size;
        memcpy(entry->key, k.mv_data, k.mv_size);
        job->n++;
    }
    return rc && rc != MDB_NOTFOUND ? mdb_fail(rc, "listing") : OK;
}

static err_t read_rows(list_job_t *job, MDB_cursor *cursor)
{
    MDB_val k, v;
    int rc;
    while (!(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))) {
        reader_t r = reader_of(bytes_val(k));
        uint32_t segment = read_u32be(&r);
        if (job->n == job->cap) {
            job->cap = job->cap ? 2 * job->cap : 16;
            job->rows = xrealloc(job->rows, job->cap * sizeof *job->rows);
        }
        TRY(pack_row_decode(segment, bytes_val(v), &job->rows[job->n]));
        job->n++;
    }
    return rc != MDB_NOTFOUND ? mdb_fail(rc, "listing") : OK;
}

static void list_run(void *arg)
{
    list_job_t *job = arg;
    MDB_txn *txn;
    int rc = mdb_txn_begin(job->x->env, NULL, MDB_RDONLY, &txn);
    if (rc) {
        job->result = mdb_fail(rc, "listing");
        return;
    }
    MDB_cursor *cursor;
    rc = mdb_cursor_open(txn, job->entries ? job->x->blocks : job->x->segments, &cursor);
    if (rc) {
        job->result = mdb_fail(rc, "listing");
    } else {
        job->result = job->entries ? read_entries(job, cursor) : read_rows(job, cursor);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
}

static err_t run_list(task_t *t, pack_index_t *base, list_job_t *job)
{
    job->x = self(base);
    if (job->x->is_broken)
        return fail(ERR_IO, "index of blocks: closed after a failed commit");
    job->x->listings++;
    work(t, list_run, job);
    job->x->listings--;
    event_fire(&job->x->listed);
    return job->result;
}

static err_t page(task_t *t, pack_index_t *base, bytes_t after, pack_entry_t *out, size_t cap, size_t *ret_n)
{
    list_job_t job = {.after = after, .entries = out, .cap = cap};
    TRY(run_list(t, base, &job));
    *ret_n = job.n;
    return OK;
}

static err_t rows(task_t *t, pack_index_t *base, pack_row_t **ret_rows, size_t *ret_n)
{
    list_job_t job = {0};
    err_t e = run_list(t, base, &job);
    if (e) {
        free(job.rows);
        return e;
    }
    *ret_rows = job.rows;
    *ret_n = job.n;
    return OK;
}

static err_t disk_bytes(task_t *t, pack_index_t *base, uint64_t *ret_bytes)
{
    char path[4096];
    file_info_t info;
    snprintf(path, sizeof path, "%s/data.mdb", self(base)->folder);
    TRY(fs_stat(t, path, true, &info));
    *ret_bytes = info.disk_bytes;
    return OK;
}

static void close_index(task_t *t, pack_index_t *base)
{
    pack_index_lmdb_t *x = self(base);
    close_env(x);
    free(x->folder);
    free(x);
}

static const pack_index_ops_t lmdb_ops = {find, commit, page, rows, disk_bytes, close_index};

err_t pack_index_lmdb_open(task_t *t, const char *folder, pack_index_t **ret_index)
{
    pack_index_lmdb_t *x = xcalloc(1, sizeof *x);
    x->base.ops = &lmdb_ops;
    x->base.commit_max_blocks = CHANGED_PAGES;
    x->folder = xstrdup(folder);
    event_init(&x->listed);
    open_job_t job = {.x = x};
    work(t, open_run, &job);
    err_t e = job.result;
    if (!e)
        e = fs_sync_dir(t, folder);
    if (e) {
        close_index(t, &x->base);
        return e;
    }
    *ret_index = &x->base;
    return OK;
}
