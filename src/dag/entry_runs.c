#include "dag/entry_runs.h"
#include "base/reader.h"
#include "base/writer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 32 << 10, /* of each run that is merged */
    WRITE_BYTES = 128 << 10,
    ENTRY_MAX_BYTES = 8 + 2 * UVARINT_MAX_BYTES + RUNS_KEY_MAX + RUNS_VALUE_MAX,
    MAX_LEVELS = 8,
    MAX_RUNS = MAX_LEVELS * RUNS_FAN_IN,
};

typedef struct run {
    uint64_t at, end;
    unsigned level; /* how often its entries were merged */
} run_t;
/* Reads a run. */
typedef struct run_reader {
    entry_runs_t *runs; /* borrowed */
    uint64_t at, end;   /* of what is not in memory yet */
    buf_t buf;
    size_t used;
    run_entry_t entry; /* borrows from buf until the next call */
    bool has;          /* false: the end was reached */
} run_reader_t;
struct entry_runs {
    const char *folder;
    run_order_fn order;
    file_t *file;
    run_t runs[MAX_RUNS + 1]; /* older ones first */
    size_t count;
    uint64_t begin, written; /* of the run that is being written, and of the file */
    buf_t pending;           /* written by and by */
    run_reader_t *readers;   /* of the runs that are being merged */
    size_t n_readers;
    run_reader_t *given; /* whose entry was given last */
    bool is_reading;     /* nothing is written any more */
};

entry_runs_t *entry_runs_new(const char *folder, run_order_fn order)
{
    entry_runs_t *r = xcalloc(1, sizeof *r);
    r->folder = folder;
    r->order = order;
    buf_init(&r->pending, WRITE_BYTES + ENTRY_MAX_BYTES);
    return r;
}

static void end_merge(entry_runs_t *r)
{
    for (size_t i = 0; i < r->n_readers; i++)
        buf_deinit(&r->readers[i].buf);
    free(r->readers);
    r->readers = r->given = NULL;
    r->n_readers = 0;
}

void entry_runs_free(entry_runs_t *r)
{
    if (!r)
        return;
    end_merge(r);
    file_close(r->file);
    buf_deinit(&r->pending);
    free(r);
}

err_t run_value_put_ref(const dag_ref_t *ref, buf_t *out)
{
    uint8_t cid[CID_BINARY_MAX];
    writer_t w = writer_to(out);
    write_uvarint(&w, ref->tsize);
    write_length_prefixed(&w, bytes_of(cid, cid_encode(&ref->cid, cid)));
    return w.err;
}

err_t run_value_get_ref(bytes_t value, dag_ref_t *ret)
{
    reader_t r = reader_of(value);
    *ret = (dag_ref_t){.tsize = read_uvarint(&r)};
    bytes_t cid = read_length_prefixed(&r, CID_BINARY_MAX);
    TRY(r.err);
    return cid_decode(cid, &ret->cid);
}

/* ── the file ────────────────────────────────────────────────────────────────────────────────── */
static err_t named(const entry_runs_t *r, err_t e)
{
    return e ? fail_also(e, "the temporary file for the entries of large folders, in %s", r->folder) : OK;
}

static err_t open_unlinked(task_t *t, entry_runs_t *r)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/entries-%016" PRIx64 ".tmp", r->folder,
                       driver_random_u64(task_driver(t)));
    if (len < 0 || (size_t)len >= sizeof path)
        return fail(ERR_INVALID, "the path is too long: %s", r->folder);
    TRY(file_open(t, path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, 0600, &r->file));
    return fs_unlink(t, path);
}

static err_t flush(task_t *t, entry_runs_t *r)
{
    if (!r->pending.len)
        return OK;
    if (!r->file)
        TRY(named(r, open_unlinked(t, r)));
    bytes_t piece = buf_bytes(&r->pending);
    TRY(named(r, file_write_at(t, r->file, &piece, 1, r->written)));
    r->written += piece.len;
    buf_clear(&r->pending);
    return OK;
}

err_t entry_runs_add(task_t *t, entry_runs_t *r, const run_entry_t *e)
{
    assert(e->key.len <= RUNS_KEY_MAX && e->value.len <= RUNS_VALUE_MAX && !r->is_reading);
    writer_t w = writer_to(&r->pending);
    write_u64le(&w, e->hash);
    write_length_prefixed(&w, e->key);
    write_length_prefixed(&w, e->value);
    TRY(w.err);
    return r->pending.len >= WRITE_BYTES ? flush(t, r) : OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t fill(task_t *t, run_reader_t *d)
{
    buf_consume(&d->buf, d->used);
    d->used = 0;
    uint64_t left = d->end - d->at;
    size_t n = READ_BYTES - d->buf.len;
    n = left < n ? (size_t)left : n;
    TRY(buf_reserve(&d->buf, n));
    TRY(named(d->runs, file_read_exact(t, d->runs->file, d->buf.data + d->buf.len, n, d->at)));
    d->buf.len += n;
    d->at += n;
    return OK;
}

static err_t reader_next(task_t *t, run_reader_t *d)
{
    if (d->at < d->end && d->buf.len - d->used < ENTRY_MAX_BYTES)
        TRY(fill(t, d));
    d->has = d->used < d->buf.len;
    if (!d->has)
        return OK;
    reader_t r = reader_of(bytes_slice(buf_bytes(&d->buf), d->used, d->buf.len));
    d->entry.hash = read_u64le(&r);
    d->entry.key = read_length_prefixed(&r, RUNS_KEY_MAX);
    d->entry.value = read_length_prefixed(&r, RUNS_VALUE_MAX);
    if (r.err)
        return named(d->runs, fail(ERR_CORRUPT, "it holds what was not written"));
    d->used = d->buf.len - reader_left(&r);
    return OK;
}

/* ── merging ─────────────────────────────────────────────────────────────────────────────────── */

/* The runs from `first` on are read together. */
static err_t begin_merge(task_t *t, entry_runs_t *r, size_t first)
{
    r->n_readers = r->count - first;
    r->readers = xcalloc(r->n_readers ? r->n_readers : 1, sizeof *r->readers);
    for (size_t i = 0; i < r->n_readers; i++) {
        const run_t *run = &r->runs[first + i];
        r->readers[i] = (run_reader_t){.runs = r, .at = run->at, .end = run->end};
        buf_init(&r->readers[i].buf, READ_BYTES);
    }
    for (size_t i = 0; i < r->n_readers; i++)
        TRY(reader_next(t, &r->readers[i]));
    return OK;
}

/* The reader with the least entry, of equal ones the last; NULL when all have ended. */
static run_reader_t *least(const entry_runs_t *r)
{
    run_reader_t *found = NULL;
    for (size_t i = 0; i < r->n_readers; i++)
        if (r->readers[i].has && (!found || r->order(&r->readers[i].entry, &found->entry) <= 0))
            found = &r->readers[i];
    return found;
}

/* The others that stand at the same entry move on with it. */
static err_t move_on(task_t *t, entry_runs_t *r)
{
    run_reader_t *from = r->given;
    if (!from)
        return OK;
    for (run_reader_t *d = r->readers; d < from; d++)
        if (d->has && !r->order(&d->entry, &from->entry))
            TRY(reader_next(t, d));
    return reader_next(t, from);
}

static err_t next_merged(task_t *t, entry_runs_t *r, const run_entry_t **ret_entry)
{
    TRY(move_on(t, r));
    r->given = least(r);
    *ret_entry = r->given ? &r->given->entry : NULL;
    return OK;
}

static err_t write_merged(task_t *t, entry_runs_t *r, size_t first)
{
    const run_entry_t *entry;
    TRY(begin_merge(t, r, first));
    for (;;) {
        TRY(next_merged(t, r, &entry));
        if (!entry)
            return flush(t, r);
        TRY(entry_runs_add(t, r, entry));
    }
}

/* The runs from `first` on become one. */
static err_t merge(task_t *t, entry_runs_t *r, size_t first)
{
    run_t merged = {.at = r->written, .level = r->runs[first].level + 1};
    uint64_t old = r->runs[first].at;
    err_t e = write_merged(t, r, first);
    end_merge(r);
    TRY(e);
    merged.end = r->begin = r->written;
    r->runs[first] = merged;
    r->count = first + 1;
    e = file_punch(t, r->file, old, merged.at - old);
    return e == ERR_UNSUPPORTED ? OK : named(r, e);
}

err_t entry_runs_end(task_t *t, entry_runs_t *r)
{
    TRY(flush(t, r));
    if (r->written == r->begin)
        return OK;
    if (r->count >= MAX_RUNS)
        return fail(ERR_LIMIT, "too many files in one add");
    r->runs[r->count++] = (run_t){.at = r->begin, .end = r->written};
    r->begin = r->written;
    while (r->count >= RUNS_FAN_IN && r->runs[r->count - RUNS_FAN_IN].level == r->runs[r->count - 1].level)
        TRY(merge(t, r, r->count - RUNS_FAN_IN));
    return OK;
}

err_t entry_runs_next(task_t *t, entry_runs_t *r, const run_entry_t **ret_entry)
{
    if (!r->is_reading) {
        TRY(entry_runs_end(t, r));
        while (r->count > RUNS_FAN_IN)
            TRY(merge(t, r, r->count - RUNS_FAN_IN));
        r->is_reading = true;
        buf_deinit(&r->pending);
        TRY(begin_merge(t, r, 0));
    }
    return next_merged(t, r, ret_entry);
}
