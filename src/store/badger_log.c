#include "store/badger_log.h"
#include "base/reader.h"
#include "store/crc32c.h"
#include "store/file_window.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 4096, OPEN_MAX = 32, NUMBER_MAX_CHARS = 20 };

typedef struct log_file {
    uint32_t number;
    uint64_t size, used; /* used: when it was read last, for those that are open */
    file_t *file;        /* NULL: not open */
} log_file_t;
struct badger_logs {
    char *folder;
    log_file_t *files; /* by number */
    size_t count, open;
    uint64_t turn;
};

/* ── the files ───────────────────────────────────────────────────────────────────────────────── */
static const char *path_of(const badger_logs_t *l, uint32_t number, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%06" PRIu32 ".vlog", l->folder, number);
    return out;
}

static int compare_files(const void *a, const void *b)
{
    const log_file_t *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool number_of(const char *name, uint32_t *ret)
{
    char *end;
    unsigned long long n = strtoull(name, &end, 10);
    bool is_log = name[0] >= '0' && name[0] <= '9' && !strcmp(end, ".vlog") && n <= UINT32_MAX;
    *ret = is_log ? (uint32_t)n : 0;
    return is_log;
}

static err_t find_logs(badger_logs_t *l, const dir_list_t *files)
{
    l->files = xcalloc(files->count + 1, sizeof *l->files);
    for (size_t i = 0; i < files->count; i++) {
        uint32_t number;
        if (!number_of(files->names[i], &number))
            continue;
        if (l->count == BADGER_LOGS_MAX)
            return fail(ERR_LIMIT, "%s has too many value logs", l->folder);
        l->files[l->count++].number = number;
    }
    qsort(l->files, l->count, sizeof *l->files, compare_files);
    return OK;
}

err_t badger_logs_open(const char *folder, const dir_list_t *files, badger_logs_t **ret)
{
    badger_logs_t *l = xcalloc(1, sizeof *l);
    l->folder = xstrdup(folder);
    err_t e = find_logs(l, files);
    if (e) {
        error_slot_t why = *error_slot();
        badger_logs_close(l);
        *error_slot() = why;
        return e;
    }
    *ret = l;
    return OK;
}

void badger_logs_close(badger_logs_t *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        file_close(l->files[i].file);
    free(l->files);
    free(l->folder);
    free(l);
}

/* ── a value ─────────────────────────────────────────────────────────────────────────────────── */
static void close_oldest(badger_logs_t *l)
{
    log_file_t *oldest = NULL;
    for (size_t i = 0; i < l->count; i++)
        if (l->files[i].file && (!oldest || l->files[i].used < oldest->used))
            oldest = &l->files[i];
    assert(oldest);
    file_close(oldest->file);
    oldest->file = NULL;
    l->open--;
}

static err_t use_log(task_t *t, badger_logs_t *l, uint32_t number, log_file_t **ret)
{
    char path[PATH_MAX_BYTES];
    log_file_t key = {.number = number};
    log_file_t *f = bsearch(&key, l->files, l->count, sizeof *l->files, compare_files);
    if (!f)
        return fail(ERR_NOT_FOUND, "the value log %s is missing", path_of(l, number, path));
    if (!f->file) {
        if (l->open == OPEN_MAX)
            close_oldest(l);
        TRY(file_open(t, path_of(l, number, path), FILE_READ, 0, &f->file));
        l->open++;
        TRY(file_size(t, f->file, &f->size));
    }
    f->used = ++l->turn;
    *ret = f;
    return OK;
}

static err_t damaged_at(const badger_logs_t *l, const badger_pointer_t *p)
{
    char path[PATH_MAX_BYTES];
    return fail(ERR_CORRUPT, "the value log %s is damaged at %" PRIu32, path_of(l, p->file, path), p->offset);
}

/* The entry must be whole, and of this key. */
static err_t split_entry(const badger_logs_t *l, bytes_t entry, const badger_row_t *row, bytes_t *ret_value)
{
    badger_row_t found;
    badger_log_head_t h = badger_log_head(entry.data);
    bytes_t sealed = bytes_slice(entry, 0, entry.len - BADGER_LOG_TAIL_BYTES);
    reader_t r = reader_of(bytes_slice(entry, sealed.len, BADGER_LOG_TAIL_BYTES));
    if ((uint64_t)BADGER_LOG_HEAD_BYTES + h.key_len + h.value_len != sealed.len ||
        crc32c(0, sealed) != read_u32be(&r) ||
        badger_key_split(bytes_slice(sealed, BADGER_LOG_HEAD_BYTES, h.key_len), &found) ||
        badger_row_compare(&found, row))
        return damaged_at(l, &row->pointer);
    *ret_value = bytes_slice(sealed, sealed.len - h.value_len, h.value_len);
    return OK;
}

err_t badger_logs_read(task_t *t, badger_logs_t *l, const badger_row_t *row, buf_t *room, bytes_t *ret_value)
{
    log_file_t *f;
    const badger_pointer_t *p = &row->pointer;
    TRY(use_log(t, l, p->file, &f));
    if (p->len < BADGER_LOG_HEAD_BYTES + BADGER_LOG_TAIL_BYTES || p->len > room->max || p->offset > f->size ||
        p->len > f->size - p->offset)
        return damaged_at(l, p);
    buf_clear(room);
    TRY(buf_reserve(room, p->len));
    TRY(file_read_exact(t, f->file, room->data, p->len, p->offset));
    room->len = p->len;
    return split_entry(l, buf_bytes(room), row, ret_value);
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
void badger_entries_init(badger_entries_t *e)
{
    *e = (badger_entries_t){0};
    buf_init(&e->keys, BADGER_ENTRIES_MAX_BYTES);
}

void badger_entries_deinit(badger_entries_t *e)
{
    buf_deinit(&e->keys);
    free(e->all);
    e->all = NULL;
    e->count = e->room = 0;
}

badger_row_t badger_entries_row(const badger_entries_t *e, size_t i)
{
    const badger_entry_t *x = &e->all[i];
    return (badger_row_t){.key = bytes_of(e->keys.data + x->key, x->key_len),
                          .version = x->version,
                          .meta = x->meta | BADGER_POINTS,
                          .expires_s = x->expires_s,
                          .pointer = x->pointer};
}

static err_t add_entry(badger_entries_t *e, const badger_row_t *row)
{
    if (e->count == BADGER_ENTRIES_MAX)
        return fail(ERR_LIMIT, "more than %d changes are not in tables yet", BADGER_ENTRIES_MAX);
    if (e->count == e->room) {
        e->room = e->room ? 2 * e->room : 1024;
        e->all = xrealloc(e->all, e->room * sizeof *e->all);
    }
    e->all[e->count] = (badger_entry_t){.version = row->version,
                                        .expires_s = row->expires_s,
                                        .pointer = row->pointer,
                                        .key = (uint32_t)e->keys.len,
                                        .key_len = (uint32_t)row->key.len,
                                        .meta = row->meta};
    TRY(buf_append(&e->keys, row->key));
    e->count++;
    return OK;
}

static void drop_entries(badger_entries_t *e, size_t count)
{
    if (e->count > count)
        e->keys.len = e->all[count].key;
    e->count = count;
}

static _Thread_local const badger_entries_t *sorting; /* whose entries qsort compares */

/* Of one key and version that which was written last. */
static int compare_entries(const void *a, const void *b)
{
    const badger_entry_t *x = a, *y = b;
    int c = bytes_compare(bytes_of(sorting->keys.data + x->key, x->key_len),
                          bytes_of(sorting->keys.data + y->key, y->key_len));
    if (c)
        return c;
    if (x->version != y->version)
        return x->version > y->version ? -1 : 1;
    return x->key > y->key ? -1 : x->key < y->key;
}

static void sort_entries(void *arg)
{
    sorting = arg;
    if (sorting->count)
        qsort(sorting->all, sorting->count, sizeof *sorting->all, compare_entries);
}

/* ── replaying ───────────────────────────────────────────────────────────────────────────────── */
typedef enum { GOES_ON, ENDED, CUT_OFF, DAMAGED } replay_state_t;
typedef struct replay {
    badger_entries_t *entries;
    file_window_t file;
    uint32_t number;
    uint64_t at;
    size_t whole;   /* entries of batches that have ended */
    uint64_t batch; /* version of the one that has begun; 0: none */
    badger_row_t row;
    uint8_t end_of[NUMBER_MAX_CHARS]; /* the value of an entry that ends a batch */
    size_t end_len;
} replay_t;

/* The checksum of the entry at `at`, a window at a time, and what of its value may end a batch. */
static err_t check_entry(task_t *t, replay_t *p, uint64_t len, uint32_t value_len, bool *ret_is_whole)
{
    bytes_t piece;
    uint32_t sum = 0;
    uint64_t end = p->at + len - BADGER_LOG_TAIL_BYTES;
    for (uint64_t at = p->at; at < end; at += piece.len) {
        size_t n = end - at < FILE_WINDOW_BYTES / 2 ? (size_t)(end - at) : FILE_WINDOW_BYTES / 2;
        TRY(file_window_get(t, &p->file, at, n, FILE_WINDOW_BYTES, &piece));
        sum = crc32c(sum, piece);
    }
    TRY(file_window_get(t, &p->file, end, BADGER_LOG_TAIL_BYTES, FILE_WINDOW_BYTES, &piece));
    reader_t r = reader_of(piece);
    *ret_is_whole = read_u32be(&r) == sum;
    p->end_len = value_len < sizeof p->end_of ? value_len : 0;
    if (p->end_len) {
        TRY(file_window_get(t, &p->file, end - value_len, value_len, FILE_WINDOW_BYTES, &piece));
        memcpy(p->end_of, piece.data, p->end_len);
    }
    return OK;
}

static uint64_t decimal_of(const uint8_t *text, size_t len)
{
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    return n;
}

/* The next one into row; its key is borrowed from the window. */
static err_t read_entry(task_t *t, replay_t *p, badger_log_head_t *h, replay_state_t *ret)
{
    bytes_t raw;
    bool is_whole;
    uint64_t left = p->file.size - p->at;
    *ret = !left ? ENDED : left < BADGER_LOG_HEAD_BYTES ? CUT_OFF : GOES_ON;
    if (*ret != GOES_ON)
        return OK;
    TRY(file_window_get(t, &p->file, p->at, BADGER_LOG_HEAD_BYTES, FILE_WINDOW_BYTES, &raw));
    *h = badger_log_head(raw.data);
    uint64_t len = (uint64_t)BADGER_LOG_HEAD_BYTES + h->key_len + h->value_len + BADGER_LOG_TAIL_BYTES;
    *ret = h->key_len > BADGER_KEY_MAX_BYTES || len > UINT32_MAX ? DAMAGED : len > left ? CUT_OFF : GOES_ON;
    if (*ret != GOES_ON)
        return OK;
    TRY(check_entry(t, p, len, h->value_len, &is_whole));
    TRY(file_window_get(t, &p->file, p->at, BADGER_LOG_HEAD_BYTES + h->key_len, 0, &raw));
    p->row = (badger_row_t){
        .meta = h->meta, .expires_s = h->expires_s, .pointer = {p->number, (uint32_t)len, (uint32_t)p->at}};
    bytes_t key = bytes_slice(raw, BADGER_LOG_HEAD_BYTES, h->key_len);
    if (!is_whole || badger_key_split(key, &p->row))
        *ret = DAMAGED;
    return OK;
}

/* Entries of a batch have one version, and none of others stand between them. */
static err_t take_entry(replay_t *p, replay_state_t *ret)
{
    *ret = GOES_ON;
    if (p->row.meta & BADGER_IN_BATCH) {
        if (p->batch && p->batch != p->row.version)
            *ret = DAMAGED;
        p->batch = p->row.version;
        return *ret == GOES_ON ? add_entry(p->entries, &p->row) : OK;
    }
    if (p->row.meta & BADGER_ENDS_BATCH) {
        if (!p->batch || decimal_of(p->end_of, p->end_len) != p->batch)
            *ret = DAMAGED;
        p->batch = 0;
    } else if (p->batch) {
        *ret = DAMAGED;
    } else {
        TRY(add_entry(p->entries, &p->row));
    }
    if (*ret == GOES_ON)
        p->whole = p->entries->count;
    return OK;
}

static err_t replay_file(task_t *t, replay_t *p, replay_state_t *ret)
{
    badger_log_head_t h;
    p->batch = 0;
    p->whole = p->entries->count;
    for (*ret = GOES_ON; *ret == GOES_ON;) {
        TRY(read_entry(t, p, &h, ret));
        if (*ret == GOES_ON)
            TRY(take_entry(p, ret));
        if (*ret == GOES_ON)
            p->at += p->row.pointer.len;
    }
    if (*ret == ENDED && p->batch)
        *ret = CUT_OFF;
    drop_entries(p->entries, p->whole);
    return OK;
}

/* What is told of: of several the first. */
__attribute__((format(printf, 2, 3))) static err_t note_damage(buf_t *damage, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    if (damage->len)
        return OK;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return buf_append(damage, bytes_str(text));
}

static err_t replay_log(task_t *t, badger_logs_t *l, size_t i, uint64_t from, badger_entries_t *ret,
                        buf_t *damage)
{
    char path[PATH_MAX_BYTES];
    replay_state_t state = ENDED;
    replay_t p = {.entries = ret, .number = l->files[i].number, .at = from};
    path_of(l, p.number, path);
    TRY(file_window_open(t, path, &p.file));
    bool is_short = p.file.size < from;
    err_t e = is_short ? OK : replay_file(t, &p, &state);
    uint64_t left = is_short ? 0 : p.file.size - p.at;
    file_window_close(&p.file);
    TRY(e);
    if (is_short)
        return note_damage(damage, "the value log %s is shorter than what was written to it", path);
    if (state == ENDED || (state == CUT_OFF && i + 1 == l->count))
        return OK;
    return note_damage(damage,
                       "the value log %s is damaged at %" PRIu64 ": what is in its last %" PRIu64
                       " bytes, and in no table yet, is not taken",
                       path, p.at, left);
}

err_t badger_logs_replay(task_t *t, badger_logs_t *l, const badger_pointer_t *head, badger_entries_t *ret,
                         buf_t *damage)
{
    char path[PATH_MAX_BYTES];
    size_t i = 0;
    while (i < l->count && l->files[i].number < head->file)
        i++;
    bool has_head = head->file || head->offset || head->len;
    if (has_head && (i == l->count || l->files[i].number != head->file))
        TRY(note_damage(damage, "the value log %s is missing", path_of(l, head->file, path)));
    for (; i < l->count; i++) {
        bool is_head = l->files[i].number == head->file;
        TRY(replay_log(t, l, i, is_head ? (uint64_t)head->offset + head->len : 0, ret, damage));
    }
    work(t, sort_entries, ret);
    return OK;
}
