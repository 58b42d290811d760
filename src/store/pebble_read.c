#include "store/pebble_read.h"
#include "base/reader.h"
#include "store/pebble_log.h"
#include "store/pebble_table.h"
#include "store/pebble_version.h"
#include <stdio.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 4096, BATCH_HEADER_BYTES = 12 };
#define LOGS_MAX_BYTES (UINT64_C(1) << 30)
enum { ENTRIES_MAX = 4 << 20 }; /* of logs: two bytes can be one */
/* What else than a value or its removal a batch can have. */
enum { KIND_MERGE = 2, KIND_LOG_DATA = 3, KIND_SINGLE_DELETE = 7, KIND_SIZED_DELETE = 23 };

typedef struct entry { /* of the logs */
    size_t key, key_len, value, value_len;
    uint64_t sequence;
    uint8_t kind;
} entry_t;
struct pebble_read {
    char *folder;
    pebble_version_t version;
    buf_t logs; /* the bytes of entries */
    entry_t *entries;
    size_t n_entries, room;
    buf_t damage;
};

static const char *path_in(const pebble_read_t *p, const char *name, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%s", p->folder, name);
    return out;
}

/* ── the manifest ────────────────────────────────────────────────────────────────────────────── */
static err_t apply_edit(task_t *t, void *version, bytes_t record)
{
    return pebble_version_apply(version, record);
}

/* Of the markers "marker.manifest.NUMBER.NAME" the last one; before there were any, a file said it. */
static err_t find_manifest(task_t *t, const pebble_read_t *p, const dir_list_t *files, buf_t *ret)
{
    static const char mark[] = "marker.manifest.";
    const char *found = NULL;
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < files->count; i++)
        if (!strncmp(files->names[i], mark, sizeof mark - 1) &&
            (!found || strcmp(files->names[i], found) > 0))
            found = files->names[i];
    const char *name = found ? strchr(found + sizeof mark - 1, '.') : NULL;
    if (name)
        return buf_append(ret, bytes_str(name + 1));
    err_t e = fs_read_file(t, path_in(p, "CURRENT", path), ret->max, ret);
    while (!e && ret->len && ret->data[ret->len - 1] == '\n')
        ret->len--;
    return e == ERR_NOT_FOUND ? fail(e, "%s is no database of Pebble", p->folder) : e;
}

static err_t read_manifest(task_t *t, pebble_read_t *p, const dir_list_t *files)
{
    AUTO(buf_t) name = {0};
    const char *text;
    char path[PATH_MAX_BYTES];
    buf_init(&name, 255);
    TRY(find_manifest(t, p, files, &name));
    TRY(buf_cstr(&name, &text));
    if (strncmp(text, "MANIFEST-", 9) || strchr(text, '/'))
        return fail(ERR_CORRUPT, "%s: its manifest is called \"%.60s\"", p->folder, text);
    pebble_log_t log = {path_in(p, text, path), strtoull(text + 9, NULL, 10), false};
    pebble_log_end_t end;
    TRY(pebble_log_each(t, &log, apply_edit, &p->version, &end));
    if (end.damage != PEBBLE_LOG_WHOLE)
        return fail(ERR_CORRUPT, "%s is damaged at %llu", path, (unsigned long long)end.damage);
    if (!p->version.has_edits) /* it is there only once its first one is */
        return fail(ERR_CORRUPT, "%s is damaged: it tells nothing", path);
    if (end.is_cut)
        TRY(buf_printf(&p->damage, "%s is cut off: what was changed last may be missing", path));
    pebble_version_sort(&p->version);
    return OK;
}

/* ── the logs ────────────────────────────────────────────────────────────────────────────────── */
static err_t keep(buf_t *logs, bytes_t text, size_t *ret_at, size_t *ret_len)
{
    *ret_at = logs->len;
    *ret_len = text.len;
    return buf_append(logs, text);
}

static err_t add_entry(pebble_read_t *p, uint8_t kind, uint64_t sequence, bytes_t key, bytes_t value)
{
    if (p->n_entries == ENTRIES_MAX)
        return fail(ERR_LIMIT, "%s: its logs have more than %d changes: let Kubo open it once", p->folder,
                    ENTRIES_MAX);
    if (p->n_entries == p->room) {
        p->room = p->room ? 2 * p->room : 1024;
        p->entries = xrealloc(p->entries, p->room * sizeof *p->entries);
    }
    entry_t *e = &p->entries[p->n_entries++];
    *e = (entry_t){.kind = kind, .sequence = sequence};
    TRY(keep(&p->logs, key, &e->key, &e->key_len));
    return keep(&p->logs, value, &e->value, &e->value_len);
}

static bool has_value(uint8_t kind)
{
    return kind == PEBBLE_SET || kind == KIND_MERGE || kind == KIND_SIZED_DELETE;
}

/* A batch: number of its first entry, how many there are, then each. */
static err_t take_batch(task_t *t, void *arg, bytes_t record)
{
    pebble_read_t *p = arg;
    reader_t r = reader_of(record);
    uint64_t sequence = read_u64le(&r);
    read_u32le(&r);
    if (r.err)
        return fail(ERR_CORRUPT, "%s: a log is damaged", p->folder);
    while (reader_left(&r)) {
        uint8_t kind = read_u8(&r);
        bytes_t key =
            read_length_prefixed(&r, kind == KIND_LOG_DATA ? PEBBLE_RECORD_MAX_BYTES : PEBBLE_KEY_MAX_BYTES);
        bytes_t value = has_value(kind) ? read_length_prefixed(&r, PEBBLE_RECORD_MAX_BYTES) : BYTES_NONE;
        if (r.err)
            return fail(ERR_CORRUPT, "%s: a log is damaged", p->folder);
        if (kind == KIND_LOG_DATA)
            continue;
        if (kind != PEBBLE_DELETE && kind != KIND_SINGLE_DELETE && !has_value(kind))
            return fail(ERR_UNSUPPORTED, "%s: a log has changes that are not read here (%u)", p->folder,
                        kind);
        TRY(add_entry(p, kind, sequence++, key, kind == PEBBLE_SET ? value : BYTES_NONE));
    }
    return OK;
}

static _Thread_local const uint8_t *sorting; /* the bytes of the entries that qsort compares */

static int compare_entries(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    int c = bytes_compare(bytes_of(sorting + x->key, x->key_len), bytes_of(sorting + y->key, y->key_len));
    return c ? c : x->sequence > y->sequence ? -1 : x->sequence < y->sequence;
}

static void sort_entries(void *arg)
{
    pebble_read_t *p = arg;
    sorting = p->logs.data;
    if (p->n_entries)
        qsort(p->entries, p->n_entries, sizeof *p->entries, compare_entries);
}

static bool is_log(const pebble_read_t *p, const char *name, uint64_t *ret_number)
{
    char *end;
    *ret_number = strtoull(name, &end, 10);
    return end != name && !strcmp(end, ".log") && *ret_number >= p->version.log_number;
}

/* Of several damaged ones the first is told of. */
static err_t read_log(task_t *t, pebble_read_t *p, const pebble_log_t *log, bool is_last)
{
    pebble_log_end_t end;
    TRY(pebble_log_each(t, log, take_batch, p, &end));
    if (p->damage.len)
        return OK;
    if (end.damage != PEBBLE_LOG_WHOLE)
        return buf_printf(
            &p->damage,
            "the log %s is damaged at %llu: what stands behind that, and in no table yet, is not taken",
            log->path, (unsigned long long)end.damage);
    return end.is_cut && !is_last ? buf_printf(&p->damage,
                                               "the log %s is cut off, though a newer one follows: what "
                                               "stood behind that, and in no table yet, is not taken",
                                               log->path)
                                  : OK;
}

static err_t read_logs(task_t *t, pebble_read_t *p, const dir_list_t *files)
{
    char path[PATH_MAX_BYTES];
    uint64_t number, last = 0, first = UINT64_MAX;
    for (size_t i = 0; i < files->count; i++)
        if (is_log(p, files->names[i], &number)) {
            last = number > last ? number : last;
            first = number < first ? number : first;
        }
    if (p->version.log_number && first != p->version.log_number && !p->damage.len)
        TRY(buf_printf(&p->damage, "the log %s/%06llu.log is missing: what is in no table yet is not taken",
                       p->folder, (unsigned long long)p->version.log_number));
    for (size_t i = 0; i < files->count; i++) {
        if (!is_log(p, files->names[i], &number))
            continue;
        pebble_log_t log = {path_in(p, files->names[i], path), number, true};
        TRY(read_log(t, p, &log, number == last));
    }
    work(t, sort_entries, p);
    return OK;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_parts(task_t *t, pebble_read_t *p)
{
    AUTO(dir_list_t) files = {0};
    TRY(fs_list(t, p->folder, &files));
    TRY(read_manifest(t, p, &files));
    return read_logs(t, p, &files);
}

err_t pebble_read_open(task_t *t, const char *folder, pebble_read_t **ret)
{
    if (strlen(folder) + 300 > PATH_MAX_BYTES)
        return fail(ERR_INVALID, "the path of the datastore is too long");
    pebble_read_t *p = xcalloc(1, sizeof *p);
    p->folder = xstrdup(folder);
    buf_init(&p->logs, LOGS_MAX_BYTES);
    buf_init(&p->damage, 2 * PATH_MAX_BYTES);
    pebble_version_init(&p->version);
    err_t e = open_parts(t, p);
    if (e) {
        error_slot_t why = *error_slot();
        pebble_read_close(p);
        *error_slot() = why;
        return e;
    }
    *ret = p;
    return OK;
}

void pebble_read_close(pebble_read_t *p)
{
    if (!p)
        return;
    pebble_version_deinit(&p->version);
    buf_deinit(&p->logs);
    buf_deinit(&p->damage);
    free(p->entries);
    free(p->folder);
    free(p);
}

const char *pebble_read_damage(const pebble_read_t *p)
{
    buf_t *damage = (buf_t *)&p->damage;
    const char *text = NULL;
    return damage->len && !buf_cstr(damage, &text) ? text : NULL;
}

/* ── sources ─────────────────────────────────────────────────────────────────────────────────── */
/* Rows in order: of the logs, of one table of level 0, of the tables of another level one after the other. */
typedef struct source {
    size_t next, end; /* of the entries or of the files */
    bool is_logs;
    pebble_table_t *table; /* the one that is being read */
    pebble_row_t row;
    bool has_row;
} rows_source_t;
typedef struct merge {
    pebble_read_t *p;
    bytes_t prefix;
    rows_source_t *sources;
    size_t count;
    records_lost_fn lost; /* NULL: damage ends it */
    void *arg;
} merge_t;

/* May a table have keys that start with the prefix? */
static bool overlaps(const pebble_file_t *f, bytes_t prefix)
{
    bytes_t smallest = buf_bytes(&f->smallest);
    return bytes_compare(buf_bytes(&f->largest), prefix) >= 0 &&
           (bytes_compare(smallest, prefix) <= 0 || bytes_starts_with(smallest, prefix));
}

static err_t next_entry(const merge_t *m, rows_source_t *s)
{
    const pebble_read_t *p = m->p;
    for (s->has_row = false; s->next < s->end && !s->has_row; s->next++) {
        const entry_t *e = &p->entries[s->next];
        s->row = (pebble_row_t){.key = bytes_of(p->logs.data + e->key, e->key_len),
                                .value = bytes_of(p->logs.data + e->value, e->value_len),
                                .sequence = e->sequence,
                                .kind = e->kind};
        s->has_row = bytes_compare(s->row.key, m->prefix) >= 0;
    }
    return OK;
}

/* OK: it goes on behind the damage. */
static err_t lose_part(task_t *t, const merge_t *m, err_t e)
{
    char why[ERROR_TEXT_MAX];
    if (!m->lost || (e != ERR_CORRUPT && e != ERR_IO && e != ERR_EOF && e != ERR_NOT_FOUND))
        return e;
    snprintf(why, sizeof why, "%s", error_text(e));
    return m->lost(t, m->arg, BYTES_NONE, why);
}

static err_t open_next_table(task_t *t, const merge_t *m, rows_source_t *s)
{
    const pebble_version_t *v = &m->p->version;
    char name[64], path[PATH_MAX_BYTES];
    while (s->next < s->end && !s->table) {
        const pebble_file_t *f = &v->files[s->next++];
        if (!overlaps(f, m->prefix))
            continue;
        snprintf(name, sizeof name, "%06llu.sst", (unsigned long long)f->number);
        err_t e = pebble_table_open(t, path_in(m->p, name, path), f->size_bytes, &s->table);
        if (!e)
            e = pebble_table_seek(t, s->table, m->prefix);
        if (e) {
            pebble_table_close(s->table);
            s->table = NULL;
            TRY(lose_part(t, m, e));
        }
    }
    return OK;
}

static err_t next_row(task_t *t, const merge_t *m, rows_source_t *s)
{
    if (s->is_logs)
        return next_entry(m, s);
    s->has_row = false;
    for (;;) {
        TRY(open_next_table(t, m, s));
        if (!s->table)
            return OK;
        err_t e = pebble_table_next(t, s->table, &s->row, &s->has_row);
        if (e) {
            s->has_row = false;
            TRY(lose_part(t, m, e));
            continue;
        }
        if (s->has_row)
            return OK;
        pebble_table_close(s->table);
        s->table = NULL;
    }
}

static void add_sources(merge_t *m)
{
    const pebble_version_t *v = &m->p->version;
    m->sources = xcalloc(v->count + 1, sizeof *m->sources);
    m->sources[m->count++] = (rows_source_t){.is_logs = true, .end = m->p->n_entries};
    for (size_t i = 0, end; i < v->count; i = end) {
        for (end = i + 1; v->files[i].level && end < v->count && v->files[end].level == v->files[i].level;)
            end++;
        m->sources[m->count++] = (rows_source_t){.next = i, .end = end};
    }
}

/* ── merging ─────────────────────────────────────────────────────────────────────────────────── */
/* The one with the smallest key, of equal ones the newest. */
static const rows_source_t *first_of(const merge_t *m)
{
    const rows_source_t *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        const rows_source_t *s = &m->sources[i];
        int c = !s->has_row ? 1 : best ? bytes_compare(s->row.key, best->row.key) : -1;
        if (c < 0 || (!c && s->row.sequence > best->row.sequence))
            best = s;
    }
    return best;
}

static err_t tell_row(task_t *t, const merge_t *m, const pebble_row_t *row, kv_visit_fn visit, void *arg)
{
    switch (row->kind) {
    case PEBBLE_SET:
    case PEBBLE_SET_AFTER_DELETE:
        return row->is_elsewhere
                   ? fail(ERR_UNSUPPORTED, "%s keeps values apart, which is not read here", m->p->folder)
                   : visit(t, arg, row->key, row->value);
    case PEBBLE_DELETE:
    case KIND_SINGLE_DELETE:
    case KIND_SIZED_DELETE:
        return OK;
    default:
        return fail(ERR_UNSUPPORTED, "%s has records that are not read here (%u)", m->p->folder, row->kind);
    }
}

/* Past the key, which all but one of them have in older versions. */
static err_t pass_key(task_t *t, merge_t *m, bytes_t key)
{
    for (size_t i = 0; i < m->count; i++)
        while (m->sources[i].has_row && bytes_equal(m->sources[i].row.key, key))
            TRY(next_row(t, m, &m->sources[i]));
    return OK;
}

static err_t run_merge(task_t *t, merge_t *m, kv_visit_fn visit, void *arg)
{
    AUTO(buf_t) key = {0};
    buf_init(&key, PEBBLE_KEY_MAX_BYTES);
    for (size_t i = 0; i < m->count; i++)
        TRY(next_row(t, m, &m->sources[i]));
    for (;;) {
        const rows_source_t *first = first_of(m);
        if (!first || !bytes_starts_with(first->row.key, m->prefix))
            return OK;
        buf_clear(&key);
        TRY(buf_append(&key, first->row.key));
        TRY(tell_row(t, m, &first->row, visit, arg));
        TRY(pass_key(t, m, buf_bytes(&key)));
    }
}

err_t pebble_read_each(task_t *t, pebble_read_t *p, bytes_t prefix, kv_visit_fn visit, records_lost_fn lost,
                       void *arg)
{
    merge_t m = {.p = p, .prefix = prefix, .lost = lost, .arg = arg};
    add_sources(&m);
    err_t e = run_merge(t, &m, visit, arg);
    for (size_t i = 0; i < m.count; i++)
        pebble_table_close(m.sources[i].table);
    free(m.sources);
    return e;
}

err_t pebble_read_get(task_t *t, pebble_read_t *p, bytes_t key, buf_t *out)
{
    records_one_t one = records_one_of(key, out);
    return records_one_result(&one, pebble_read_each(t, p, key, records_one_take, NULL, &one));
}
