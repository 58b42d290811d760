#include "store/badger_read.h"
#include "base/reader.h"
#include "store/badger_log.h"
#include "store/badger_table.h"
#include "store/crc32c.h"
#include "store/file_window.h"
#include <stdio.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 4096, NEW_TABLES_MAX = 64, DAMAGE_MAX_BYTES = 4096 };
enum { MANIFEST_HEAD_BYTES = 8, MANIFEST_VERSION = 4, SET_HEAD_BYTES = 8 };
#define SET_MAX_BYTES (128u << 20)
#define SMALLEST_MAX_BYTES (64u << 20) /* of all tables */
#define OWN_PREFIX "!badger!"          /* of the database itself */
#define HEAD_KEY OWN_PREFIX "head"
#define MOVED_PREFIX OWN_PREFIX "move"

struct badger_read {
    char *folder;
    badger_manifest_t tables;
    badger_logs_t *logs;
    badger_entries_t entries; /* that are in no table */
    uint64_t now_s;
    buf_t damage;
};

static const char *path_in(const badger_read_t *p, const char *name, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%s", p->folder, name);
    return out;
}

static const char *table_path(const badger_read_t *p, uint64_t number, char out[PATH_MAX_BYTES])
{
    char name[64];
    snprintf(name, sizeof name, "%06llu.sst", (unsigned long long)number);
    return path_in(p, name, out);
}

/* ── the manifest ────────────────────────────────────────────────────────────────────────────── */
static err_t check_manifest_head(const badger_read_t *p, bytes_t head)
{
    reader_t r = reader_of(head);
    if (!bytes_equal(read_bytes(&r, 4), BYTES_LIT("Bdgr")))
        return fail(ERR_CORRUPT, "%s/MANIFEST is damaged: it is none of Badger", p->folder);
    uint32_t version = read_u32be(&r);
    return version == MANIFEST_VERSION
               ? OK
               : fail(ERR_UNSUPPORTED,
                      "%s was written by another version of Badger (format %u, and %d is read)", p->folder,
                      version, MANIFEST_VERSION);
}

/* Sets of changes, each with its length and checksum; the last one may be cut off, and does not count then,
 * which is told. */
static err_t read_sets(task_t *t, badger_read_t *p, file_t *file, uint64_t size, buf_t *set)
{
    uint8_t head[SET_HEAD_BYTES];
    size_t sets = 0;
    uint64_t end = MANIFEST_HEAD_BYTES; /* of the last one that is whole */
    for (uint64_t at = end; size - at >= SET_HEAD_BYTES; sets++, end = at) {
        TRY(file_read_exact(t, file, head, sizeof head, at));
        reader_t r = reader_of(bytes_of(head, sizeof head));
        uint32_t len = read_u32be(&r), checksum = read_u32be(&r);
        at += SET_HEAD_BYTES;
        if (len > size)
            return fail(ERR_CORRUPT, "%s/MANIFEST is damaged: a length is larger than the file", p->folder);
        if (len > size - at)
            break;
        buf_clear(set);
        TRY(buf_reserve(set, len));
        TRY(file_read_exact(t, file, set->data, len, at));
        set->len = len;
        at += len;
        if (crc32c(0, buf_bytes(set)) != checksum)
            return fail(ERR_CORRUPT, "%s/MANIFEST is damaged: a checksum is wrong", p->folder);
        TRY(badger_manifest_apply(&p->tables, buf_bytes(set)));
    }
    if (!sets) /* it is there only once the first one is */
        return fail(ERR_CORRUPT, "%s/MANIFEST is damaged: it tells nothing", p->folder);
    return end == size
               ? OK
               : buf_printf(&p->damage, "%s/MANIFEST is cut off: what was changed last may be missing",
                            p->folder);
}

static err_t read_manifest(task_t *t, badger_read_t *p)
{
    AUTO_PTR(file_t) file = NULL;
    AUTO(buf_t) set = {0};
    char path[PATH_MAX_BYTES];
    uint8_t head[MANIFEST_HEAD_BYTES];
    uint64_t size;
    err_t e = file_open(t, path_in(p, "MANIFEST", path), FILE_READ, 0, &file);
    if (e == ERR_NOT_FOUND)
        return fail(e, "%s is no database of Badger: it has no MANIFEST", p->folder);
    TRY(e);
    buf_init(&set, SET_MAX_BYTES);
    TRY(file_size(t, file, &size));
    if (size < sizeof head)
        return fail(ERR_CORRUPT, "%s/MANIFEST is damaged: it is too short", p->folder);
    TRY(file_read_exact(t, file, head, sizeof head, 0));
    TRY(check_manifest_head(p, bytes_of(head, sizeof head)));
    TRY(read_sets(t, p, file, size, &set));
    return badger_manifest_end(&p->tables);
}

/* ── tables ──────────────────────────────────────────────────────────────────────────────────── */
/* Its checksum is compared when it is opened for the first time. */
static err_t open_table(task_t *t, badger_read_t *p, badger_file_t *f, badger_table_t **ret)
{
    char path[PATH_MAX_BYTES];
    bool is_checked = !f->has_checksum || f->is_checked;
    err_t e = badger_table_open(t, table_path(p, f->number, path), is_checked ? NULL : f->checksum, ret);
    f->is_checked = !e;
    return e == ERR_NOT_FOUND ? fail(ERR_CORRUPT, "the table %s is missing", path) : e;
}

/* What it begins with, which the manifest does not tell; beside the checksum, which is compared later. */
static err_t find_smallest(task_t *t, badger_read_t *p, badger_file_t *f)
{
    char path[PATH_MAX_BYTES];
    file_window_t w;
    bytes_t raw;
    badger_row_t row = {0};
    buf_init(&f->smallest, BADGER_KEY_MAX_BYTES);
    err_t e = file_window_open(t, table_path(p, f->number, path), &w);
    if (e == ERR_NOT_FOUND)
        return fail(ERR_CORRUPT, "the table %s is missing", path);
    TRY(e);
    e = file_window_get(t, &w, 0, BADGER_ENTRY_HEAD_BYTES, 1024, &raw);
    badger_entry_head_t h = e ? (badger_entry_head_t){0} : badger_entry_head(raw.data);
    if (!e)
        e = file_window_get(t, &w, BADGER_ENTRY_HEAD_BYTES, h.own, 1024, &raw);
    if (!e)
        e = badger_key_split(raw, &row);
    if (!e)
        e = buf_append(&f->smallest, row.key);
    file_window_close(&w);
    return e == ERR_EOF || e == ERR_CORRUPT ? fail(ERR_CORRUPT, "%s is damaged: its beginning", path) : e;
}

/* A table that is missing or damaged is told of when it is read: there it may have any keys. */
static err_t find_tables(task_t *t, badger_read_t *p)
{
    size_t n_new = 0, sum = 0;
    for (size_t i = 0; i < p->tables.count; i++) {
        badger_file_t *f = &p->tables.files[i];
        n_new += !f->level;
        err_t e = find_smallest(t, p, f);
        if (e && e != ERR_CORRUPT && e != ERR_IO)
            return e;
        sum += f->smallest.len;
        if (sum > SMALLEST_MAX_BYTES)
            return fail(ERR_LIMIT, "%s has too many tables, or keys that are too long", p->folder);
    }
    if (n_new > NEW_TABLES_MAX)
        return fail(ERR_LIMIT, "%s has %zu tables in level 0, and %d are read", p->folder, n_new,
                    NEW_TABLES_MAX);
    badger_manifest_sort(&p->tables);
    return OK;
}

/* ── sources ─────────────────────────────────────────────────────────────────────────────────── */
/* Rows in order: of the logs, of one table of level 0, of the tables of another level one after the other.
 * Of the same key and version that of an earlier source counts. */
typedef struct badger_source {
    size_t next, end; /* of the entries or of the tables */
    bool is_logs;
    badger_table_t *table; /* the one that is being read */
    badger_row_t row;
    bool has_row;
} badger_source_t;
typedef struct merge {
    badger_read_t *p;
    buf_t prefix;
    badger_source_t *sources;
    size_t count;
    badger_source_t *last; /* whose row was told last */
    buf_t key;             /* of that row */
    uint64_t version;
    bool is_open, is_repeated;
    records_lost_fn lost; /* NULL: damage ends it */
    void *arg;
} merge_t;

static void merge_init(merge_t *m, badger_read_t *p)
{
    *m = (merge_t){.p = p};
    buf_init(&m->prefix, 2 * BADGER_KEY_MAX_BYTES);
    buf_init(&m->key, BADGER_KEY_MAX_BYTES);
}

static void merge_deinit(merge_t *m)
{
    for (size_t i = 0; i < m->count; i++)
        badger_table_close(m->sources[i].table);
    free(m->sources);
    buf_deinit(&m->prefix);
    buf_deinit(&m->key);
}

static size_t first_entry(const merge_t *m)
{
    size_t low = 0, high = m->p->entries.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        badger_row_t row = badger_entries_row(&m->p->entries, middle);
        if (bytes_compare(row.key, buf_bytes(&m->prefix)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_sources(merge_t *m)
{
    const badger_manifest_t *tables = &m->p->tables;
    const badger_file_t *files = tables->files;
    m->sources = xcalloc(tables->count + 1, sizeof *m->sources);
    m->sources[m->count++] =
        (badger_source_t){.is_logs = true, .next = first_entry(m), .end = m->p->entries.count};
    for (size_t i = 0, end; i < tables->count; i = end) {
        bool is_known = files[i].level && files[i].smallest.len; /* those that are not come first */
        for (end = i + 1; is_known && end < tables->count && files[end].level == files[i].level;)
            end++;
        m->sources[m->count++] = (badger_source_t){.next = i, .end = end};
    }
}

/* Where damage need not end it, the table that it is in is passed over. */
static err_t lose_table(task_t *t, const merge_t *m, badger_source_t *s, err_t e)
{
    char why[ERROR_TEXT_MAX];
    if (!m->lost || (e != ERR_CORRUPT && e != ERR_IO && e != ERR_EOF))
        return e;
    snprintf(why, sizeof why, "%s", error_text(e));
    badger_table_close(s->table);
    s->table = NULL;
    return m->lost(t, m->arg, BYTES_NONE, why);
}

/* A table is passed over when the next one of its level begins at or before the prefix: all versions of a key
 * are in one table. */
static err_t open_next_table(task_t *t, const merge_t *m, badger_source_t *s)
{
    badger_file_t *files = m->p->tables.files;
    bytes_t prefix = buf_bytes(&m->prefix);
    while (s->next < s->end && !s->table) {
        err_t e = OK;
        badger_file_t *f = &files[s->next++];
        bytes_t smallest = buf_bytes(&f->smallest);
        if (bytes_compare(smallest, prefix) > 0 && !bytes_starts_with(smallest, prefix))
            s->next = s->end;
        else if (s->next == s->end || bytes_compare(buf_bytes(&files[s->next].smallest), prefix) > 0)
            e = open_table(t, m->p, f, &s->table);
        if (!e && s->table)
            e = badger_table_seek(t, s->table, prefix);
        if (e)
            TRY(lose_table(t, m, s, e));
    }
    return OK;
}

static err_t next_row(task_t *t, const merge_t *m, badger_source_t *s)
{
    if (s->is_logs) {
        s->has_row = s->next < s->end;
        if (s->has_row)
            s->row = badger_entries_row(&m->p->entries, s->next++);
        return OK;
    }
    s->has_row = false;
    for (;;) {
        TRY(open_next_table(t, m, s));
        if (!s->table)
            return OK;
        err_t e = badger_table_next(t, s->table, &s->row, &s->has_row);
        if (!e && s->has_row)
            return OK;
        if (e) {
            s->has_row = false;
            TRY(lose_table(t, m, s, e));
            continue;
        }
        badger_table_close(s->table);
        s->table = NULL;
    }
}

/* ── merging ─────────────────────────────────────────────────────────────────────────────────── */
static badger_source_t *first_of(const merge_t *m)
{
    badger_source_t *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        badger_source_t *s = &m->sources[i];
        if (s->has_row && (!best || badger_row_compare(&s->row, &best->row) < 0))
            best = s;
    }
    return best;
}

/* is_repeated: it is an older version of the one before, or the same once more. */
static err_t note_row(merge_t *m, const badger_row_t *row)
{
    badger_row_t before = {.key = buf_bytes(&m->key), .version = m->version};
    if (m->key.len && badger_row_compare(row, &before) < 0)
        return fail(ERR_CORRUPT, "%s: its tables are not in order", m->p->folder);
    m->is_repeated = m->key.len && bytes_equal(row->key, before.key);
    m->version = row->version;
    if (m->is_repeated)
        return OK;
    buf_clear(&m->key);
    return buf_append(&m->key, row->key);
}

/* All versions of what starts with the prefix; valid until the next call. */
static err_t merge_next(task_t *t, merge_t *m, const badger_row_t **ret)
{
    *ret = NULL;
    if (!m->is_open) {
        m->is_open = true;
        add_sources(m);
        for (size_t i = 0; i < m->count; i++)
            TRY(next_row(t, m, &m->sources[i]));
    } else if (m->last) {
        TRY(next_row(t, m, m->last));
    }
    m->last = first_of(m);
    if (!m->last || !bytes_starts_with(m->last->row.key, buf_bytes(&m->prefix)))
        return OK;
    *ret = &m->last->row;
    return note_row(m, *ret);
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static err_t pass_damage(task_t *t, void *arg, bytes_t key, const char *why)
{
    return OK;
}

/* Up to where the logs are in tables: the newest record of that key. Where damage hides it an older one, or
 * none: more of the logs is replayed then. */
static err_t find_head(task_t *t, badger_read_t *p, badger_pointer_t *ret)
{
    merge_t m;
    const badger_row_t *row;
    merge_init(&m, p);
    m.lost = pass_damage;
    err_t e = buf_append(&m.prefix, BYTES_LIT(HEAD_KEY));
    if (!e)
        e = merge_next(t, &m, &row);
    if (!e && row && bytes_equal(row->key, BYTES_LIT(HEAD_KEY)))
        e = badger_pointer_decode(row->value, ret);
    merge_deinit(&m);
    return e;
}

static err_t open_parts(task_t *t, badger_read_t *p)
{
    AUTO(dir_list_t) files = {0};
    badger_pointer_t head = {0};
    TRY(read_manifest(t, p));
    TRY(find_tables(t, p));
    TRY(fs_list(t, p->folder, &files));
    TRY(badger_logs_open(p->folder, &files, &p->logs));
    TRY(find_head(t, p, &head));
    return badger_logs_replay(t, p->logs, &head, &p->entries, &p->damage);
}

err_t badger_read_open(task_t *t, const char *folder, badger_read_t **ret)
{
    if (strlen(folder) + 300 > PATH_MAX_BYTES)
        return fail(ERR_INVALID, "the path of the datastore is too long");
    badger_read_t *p = xcalloc(1, sizeof *p);
    p->folder = xstrdup(folder);
    p->now_s = driver_wall_ms(task_driver(t)) / 1000;
    badger_manifest_init(&p->tables);
    badger_entries_init(&p->entries);
    buf_init(&p->damage, DAMAGE_MAX_BYTES);
    err_t e = open_parts(t, p);
    if (e) {
        error_slot_t why = *error_slot();
        badger_read_close(p);
        *error_slot() = why;
        return e;
    }
    *ret = p;
    return OK;
}

void badger_read_close(badger_read_t *p)
{
    if (!p)
        return;
    badger_manifest_deinit(&p->tables);
    badger_logs_close(p->logs);
    badger_entries_deinit(&p->entries);
    buf_deinit(&p->damage);
    free(p->folder);
    free(p);
}

const char *badger_read_damage(const badger_read_t *p)
{
    buf_t *damage = (buf_t *)&p->damage;
    const char *text = NULL;
    return damage->len && !buf_cstr(damage, &text) ? text : NULL;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct read_run {
    badger_read_t *p;
    merge_t rows, moved; /* moved: goes along with rows, from when it is first needed */
    const badger_row_t *at;
    bool has_moved;
    buf_t key, value;
    kv_visit_fn visit;
    records_lost_fn lost;
    void *arg;
    char why[ERROR_TEXT_MAX]; /* a value is lost */
} read_run_t;

/* To the moved key of this version, or what comes behind it. */
static err_t seek_moved(task_t *t, read_run_t *run, const badger_row_t *wanted)
{
    if (!run->has_moved) {
        run->has_moved = true;
        TRY(buf_append(&run->moved.prefix, BYTES_LIT(MOVED_PREFIX)));
        TRY(buf_append(&run->moved.prefix, buf_bytes(&run->rows.prefix)));
        TRY(merge_next(t, &run->moved, &run->at));
    }
    while (run->at && badger_row_compare(run->at, wanted) < 0)
        TRY(merge_next(t, &run->moved, &run->at));
    return OK;
}

/* The collection of value logs writes what it keeps of a log that it removes under another key. */
static err_t read_moved(task_t *t, read_run_t *run, const badger_row_t *row, bytes_t *ret)
{
    badger_row_t wanted = {.version = row->version};
    buf_clear(&run->key);
    TRY(buf_append(&run->key, BYTES_LIT(MOVED_PREFIX)));
    TRY(buf_append(&run->key, row->key));
    wanted.key = buf_bytes(&run->key);
    TRY(seek_moved(t, run, &wanted));
    bool is_moved = run->at && !badger_row_compare(run->at, &wanted) && !(run->at->meta & BADGER_DELETED);
    err_t e = is_moved ? OK : ERR_NOT_FOUND;
    if (is_moved)
        *ret = run->at->value;
    if (is_moved && run->at->meta & BADGER_POINTS)
        e = badger_logs_read(t, run->p->logs, run->at, &run->value, ret);
    return e == ERR_NOT_FOUND ? fail(ERR_CORRUPT, "the value log %s/%06u.vlog is missing", run->p->folder,
                                     is_moved ? run->at->pointer.file : row->pointer.file)
                              : e;
}

static err_t read_value(task_t *t, read_run_t *run, const badger_row_t *row, bytes_t *ret)
{
    *ret = row->value;
    if (!(row->meta & BADGER_POINTS))
        return OK;
    err_t e = badger_logs_read(t, run->p->logs, row, &run->value, ret);
    return e == ERR_NOT_FOUND ? read_moved(t, run, row, ret) : e;
}

static err_t tell_row(task_t *t, read_run_t *run, const badger_row_t *row)
{
    bytes_t value;
    bool is_gone = row->meta & BADGER_DELETED || (row->expires_s && row->expires_s <= run->p->now_s);
    if (is_gone || bytes_starts_with(row->key, BYTES_LIT(OWN_PREFIX)))
        return OK;
    err_t e = read_value(t, run, row, &value);
    if ((e == ERR_CORRUPT || e == ERR_IO || e == ERR_EOF) && run->lost) {
        snprintf(run->why, sizeof run->why, "%s", error_text(e));
        return run->lost(t, run->arg, row->key, run->why);
    }
    return e ? e : run->visit(t, run->arg, row->key, value);
}

static err_t run_read(task_t *t, read_run_t *run)
{
    for (;;) {
        const badger_row_t *row;
        TRY(merge_next(t, &run->rows, &row));
        if (!row)
            return OK;
        if (!run->rows.is_repeated)
            TRY(tell_row(t, run, row));
    }
}

err_t badger_read_each(task_t *t, badger_read_t *p, bytes_t prefix, kv_visit_fn visit, records_lost_fn lost,
                       void *arg)
{
    read_run_t run = {.p = p, .visit = visit, .lost = lost, .arg = arg};
    merge_init(&run.rows, p);
    merge_init(&run.moved, p);
    buf_init(&run.key, 2 * BADGER_KEY_MAX_BYTES);
    buf_init(&run.value, BADGER_VALUE_MAX_BYTES);
    run.rows.lost = run.moved.lost = lost;
    run.rows.arg = run.moved.arg = arg;
    err_t e = buf_append(&run.rows.prefix, prefix);
    if (!e)
        e = run_read(t, &run);
    merge_deinit(&run.rows);
    merge_deinit(&run.moved);
    buf_deinit(&run.key);
    buf_deinit(&run.value);
    return e;
}

err_t badger_read_get(task_t *t, badger_read_t *p, bytes_t key, buf_t *out)
{
    records_one_t one = records_one_of(key, out);
    return records_one_result(&one, badger_read_each(t, p, key, records_one_take, NULL, &one));
}
