/* kv in memory with a journal: what stands in for SQLite in the simulator. The journal is a file of
 * records, each u32 length, u64 checksum of the batch (seeded with the record's number), and the batch; a
 * group of commits is written and synced before it is applied to the tables. When the journal has grown to
 * several times its content it is written anew beside it and renamed. Without a file: memory alone. */
#include "base/checksum.h"
#include "base/list.h"
#include "store/kv_impl.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

#define RECORD_HEADER_BYTES 12
#define JOURNAL_MAX_BYTES (256u << 20)
#define REWRITE_MIN_BYTES (1u << 20)
#define MAX_GROUP 128

typedef struct row {
    uint16_t key_len;
    uint32_t value_len;
    uint8_t data[]; /* key, value */
} row_t;

typedef struct space {
    list_t node;
    char name[KV_SPACE_MAX_CHARS + 1];
    row_t **rows; /* in key order */
    size_t count, cap;
} space_t;

typedef struct kv_journal {
    kv_t base;
    list_t spaces;
    file_t *file; /* NULL: memory only */
    char *path;
    uint64_t end_bytes;  /* of the valid journal */
    uint64_t live_bytes; /* of keys and values in the tables */
    uint64_t next_record;
    bool has_torn_tail;     /* a failed write may have left something behind the end */
    bool needs_folder_sync; /* the file was renamed, and that is not durable yet */
} kv_journal_t;

static kv_journal_t *self(kv_t *kv)
{
    return CONTAINER_OF(kv, kv_journal_t, base);
}

/* ── tables ──────────────────────────────────────────────────────────────────────────────────── */
static bytes_t row_key(const row_t *row)
{
    return bytes_of(row->data, row->key_len);
}

static bytes_t row_value(const row_t *row)
{
    return bytes_of(row->data + row->key_len, row->value_len);
}

static space_t *find_space(kv_journal_t *j, const char *name, bool make)
{
    LIST_EACH (s, &j->spaces, space_t, node)
        if (strcmp(s->name, name) == 0)
            return s;
    if (!make)
        return NULL;
    space_t *s = xcalloc(1, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    list_push_back(&j->spaces, &s->node);
    return s;
}

/* The first row whose key is not below `key`. */
static size_t lower_bound(const space_t *s, bytes_t key)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (bytes_compare(row_key(s->rows[mid]), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_at(const space_t *s, size_t i, bytes_t key)
{
    return i < s->count && bytes_equal(row_key(s->rows[i]), key);
}

static void remove_rows(kv_journal_t *j, space_t *s, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        j->live_bytes -= s->rows[i]->key_len + s->rows[i]->value_len;
        free(s->rows[i]);
    }
    if (n)
        memmove(s->rows + from, s->rows + from + n, (s->count - from - n) * sizeof *s->rows);
    s->count -= n;
}

static void put_row(kv_journal_t *j, space_t *s, bytes_t key, bytes_t value)
{
    row_t *row = xmalloc(sizeof *row + key.len + value.len);
    row->key_len = (uint16_t)key.len;
    row->value_len = (uint32_t)value.len;
    if (key.len)
        memcpy(row->data, key.data, key.len);
    if (value.len)
        memcpy(row->data + key.len, value.data, value.len);
    j->live_bytes += key.len + value.len;
    size_t at = lower_bound(s, key);
    if (is_at(s, at, key)) {
        j->live_bytes -= s->rows[at]->key_len + s->rows[at]->value_len;
        free(s->rows[at]);
        s->rows[at] = row;
        return;
    }
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->rows = xrealloc(s->rows, s->cap * sizeof *s->rows);
    }
    memmove(s->rows + at + 1, s->rows + at, (s->count - at) * sizeof *s->rows);
    s->rows[at] = row;
    s->count++;
}

static void apply_op(kv_journal_t *j, const kv_op_t *op)
{
    space_t *s = find_space(j, op->space, op->kind == KV_OP_PUT);
    if (!s)
        return;
    size_t at = lower_bound(s, op->key);
    if (op->kind == KV_OP_PUT) {
        put_row(j, s, op->key, op->value);
    } else if (op->kind == KV_OP_DELETE) {
        remove_rows(j, s, at, is_at(s, at, op->key));
    } else {
        size_t n = 0;
        while (at + n < s->count && bytes_starts_with(row_key(s->rows[at + n]), op->key))
            n++;
        remove_rows(j, s, at, n);
    }
}

static err_t apply_batch(kv_journal_t *j, bytes_t batch)
{
    reader_t r = reader_of(batch);
    kv_op_t op;
    while (kv_next_op(&r, &op))
        apply_op(j, &op);
    return r.err;
}

/* ── the journal ─────────────────────────────────────────────────────────────────────────────── */
static void put_header(uint8_t out[RECORD_HEADER_BYTES], bytes_t batch, uint64_t number)
{
    uint64_t sum = checksum_of(batch, number);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(batch.len >> 8 * i);
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(sum >> 8 * i);
}

static err_t cut_tail(task_t *t, kv_journal_t *j)
{
    TRY(file_truncate(t, j->file, j->end_bytes));
    j->has_torn_tail = false;
    return OK;
}

static err_t write_records(task_t *t, kv_journal_t *j, const bytes_t *batches, size_t n)
{
    uint8_t headers[MAX_GROUP][RECORD_HEADER_BYTES];
    bytes_t pieces[2 * MAX_GROUP];
    uint64_t total = 0;
    assert(n <= MAX_GROUP);
    for (size_t i = 0; i < n; i++) {
        put_header(headers[i], batches[i], j->next_record + i);
        pieces[2 * i] = bytes_of(headers[i], RECORD_HEADER_BYTES);
        pieces[2 * i + 1] = batches[i];
        total += RECORD_HEADER_BYTES + batches[i].len;
    }
    if (j->has_torn_tail)
        TRY(cut_tail(t, j));
    j->has_torn_tail = true;
    TRY(file_write_at(t, j->file, pieces, 2 * n, j->end_bytes));
    TRY(file_sync(t, j->file));
    j->has_torn_tail = false;
    j->end_bytes += total;
    j->next_record += n;
    return OK;
}

/* Reads the journal into the tables, up to the first record that is not whole, and cuts the rest. */
static err_t replay(task_t *t, kv_journal_t *j)
{
    AUTO(buf_t) all;
    buf_init(&all, JOURNAL_MAX_BYTES);
    uint64_t size;
    TRY(file_size(t, j->file, &size));
    if (size > JOURNAL_MAX_BYTES)
        return fail(ERR_CORRUPT, "%s: %llu bytes are too many for a journal", j->path,
                    (unsigned long long)size);
    TRY(buf_reserve(&all, size));
    if (size)
        TRY(file_read_exact(t, j->file, all.data, size, 0));
    all.len = size;
    reader_t r = reader_of(buf_bytes(&all));
    while (reader_left(&r) >= RECORD_HEADER_BYTES) {
        uint32_t len = read_u32le(&r);
        uint64_t sum = read_u64le(&r);
        bytes_t batch = read_bytes(&r, len);
        if (r.err || checksum_of(batch, j->next_record) != sum)
            break;
        if (apply_batch(j, batch))
            return fail(ERR_CORRUPT, "%s: record %llu is no batch", j->path,
                        (unsigned long long)j->next_record);
        j->next_record++;
        j->end_bytes += RECORD_HEADER_BYTES + len;
    }
    return j->end_bytes < size ? cut_tail(t, j) : OK;
}

static err_t flush_snapshot(task_t *t, kv_journal_t *out, kv_batch_t *b)
{
    bytes_t batch = buf_bytes(&b->ops);
    TRY(write_records(t, out, &batch, 1));
    kv_batch_clear(b);
    return OK;
}

static err_t write_snapshot(task_t *t, kv_journal_t *j, kv_journal_t *out)
{
    AUTO(kv_batch_t) b;
    kv_batch_init(&b);
    LIST_EACH (s, &j->spaces, space_t, node)
        for (size_t i = 0; i < s->count; i++) {
            TRY(kv_batch_put(&b, s->name, row_key(s->rows[i]), row_value(s->rows[i])));
            if (b.ops.len > KV_BATCH_MAX_BYTES / 2)
                TRY(flush_snapshot(t, out, &b));
        }
    return b.count ? flush_snapshot(t, out, &b) : OK;
}

static err_t sync_parent(task_t *t, const char *path)
{
    char *folder = xstrdup(path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder)
        *slash = 0;
    err_t e = fs_sync_dir(t, slash ? folder : ".");
    free(folder);
    return e;
}

/* Replaces the journal by a short one. A failure leaves the old one in use. */
static err_t rewrite(task_t *t, kv_journal_t *j)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", j->path);
    AUTO_PTR(file_t) file = NULL;
    TRY(file_open(t, temporary, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, 0600, &file));
    kv_journal_t out = {.file = file};
    TRY(write_snapshot(t, j, &out));
    TRY(fs_rename(t, temporary, j->path));
    file_t *old = j->file;
    j->file = file;
    j->end_bytes = out.end_bytes;
    j->next_record = out.next_record;
    file = old;
    j->needs_folder_sync = true;
    return OK;
}

static err_t apply(task_t *t, kv_t *kv, const bytes_t *batches, size_t n)
{
    kv_journal_t *j = self(kv);
    if (j->file && j->end_bytes > REWRITE_MIN_BYTES && j->end_bytes > 4 * j->live_bytes)
        TRY(rewrite(t, j));
    if (j->needs_folder_sync) {
        TRY(sync_parent(t, j->path));
        j->needs_folder_sync = false;
    }
    if (j->file)
        TRY(write_records(t, j, batches, n));
    for (size_t i = 0; i < n; i++) {
        err_t e = apply_batch(j, batches[i]);
        assert(!e); /* kv_batch_put has checked each change */
    }
    return OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t get(task_t *t, kv_t *kv, const char *space, bytes_t key, buf_t *out)
{
    space_t *s = find_space(self(kv), space, false);
    size_t at = s ? lower_bound(s, key) : 0;
    if (!s || !is_at(s, at, key))
        return kv_not_found(space, key);
    return buf_append(out, row_value(s->rows[at]));
}

/* The rows [*first, *behind) of the range. */
static void select_rows(const space_t *s, const kv_range_t *range, size_t *first, size_t *behind)
{
    *first = lower_bound(s, range->prefix);
    *behind = *first;
    AUTO(buf_t) end;
    buf_init(&end, KV_KEY_MAX_BYTES);
    *behind = kv_prefix_end(range->prefix, &end) ? lower_bound(s, buf_bytes(&end)) : s->count;
    if (range->from.len == 0 && !range->after_from)
        return;
    size_t at = lower_bound(s, range->from);
    bool hit = is_at(s, at, range->from);
    if (range->is_reverse) {
        size_t limit = at + (hit && !range->after_from);
        *behind = limit < *behind ? limit : *behind;
    } else {
        size_t start = at + (hit && range->after_from);
        *first = start > *first ? start : *first;
    }
}

static err_t page(task_t *t, kv_t *kv, const char *space, const kv_range_t *range, kv_page_t *out)
{
    space_t *s = find_space(self(kv), space, false);
    if (!s)
        return OK;
    size_t first, behind;
    select_rows(s, range, &first, &behind);
    while (first < behind) {
        if (!kv_page_has_room(out)) {
            out->is_last = false;
            break;
        }
        const row_t *row = s->rows[range->is_reverse ? --behind : first++];
        TRY(kv_page_add(out, row_key(row), row_value(row)));
    }
    return OK;
}

static err_t count(task_t *t, kv_t *kv, const char *space, bytes_t prefix, uint64_t *ret_count)
{
    space_t *s = find_space(self(kv), space, false);
    size_t first = 0, behind = 0;
    if (s)
        select_rows(s, &(kv_range_t){.prefix = prefix}, &first, &behind);
    *ret_count = behind - first;
    return OK;
}

static void close_kv(task_t *t, kv_t *kv)
{
    kv_journal_t *j = self(kv);
    LIST_EACH (s, &j->spaces, space_t, node) {
        remove_rows(j, s, 0, s->count);
        free(s->rows);
        free(s);
    }
    file_close(j->file);
    free(j->path);
    free(j);
}

static const kv_ops_t journal_ops = {apply, get, page, count, close_kv};

kv_t *kv_memory_new(void)
{
    kv_journal_t *j = xcalloc(1, sizeof *j);
    kv_init(&j->base, &journal_ops);
    list_init(&j->spaces);
    return &j->base;
}

err_t kv_journal_open(task_t *t, const char *path, kv_t **ret_kv)
{
    kv_t *kv = kv_memory_new();
    kv_journal_t *j = self(kv);
    j->path = xstrdup(path);
    err_t e = file_open(t, path, FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &j->file);
    if (!e)
        e = sync_parent(t, path);
    if (!e)
        e = replay(t, j);
    if (e) {
        kv_close(t, kv);
        return e;
    }
    *ret_kv = kv;
    return OK;
}
