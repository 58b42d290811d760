#include "dag/entry_runs.h"
#include "base/reader.h"
#include "base/writer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 32 << 10, /* of each run that is merged */
    WRITE_BYTES = 128 << 10,
    ENTRY_MAX_BYTES = 16 + 4 * UVARINT_MAX_BYTES + RUNS_NAME_MAX + CID_BINARY_MAX,
    MAX_LEVELS = 8,
    MAX_RUNS = MAX_LEVELS * RUNS_FAN_IN,
};

typedef struct run {
    uint64_t at, end;
    unsigned level; /* how often its entries were merged */
} run_t;
struct entry_runs {
    const char *folder;
    file_t *file;
    run_t runs[MAX_RUNS + 1]; /* older ones first */
    size_t count;
    uint64_t begin, written; /* of the run that is being written, and of the file */
    buf_t pending;           /* written by and by */
};

entry_runs_t *entry_runs_new(const char *folder)
{
    entry_runs_t *r = xcalloc(1, sizeof *r);
    r->folder = folder;
    buf_init(&r->pending, WRITE_BYTES + ENTRY_MAX_BYTES);
    return r;
}

void entry_runs_free(entry_runs_t *r)
{
    if (!r)
        return;
    file_close(r->file);
    buf_deinit(&r->pending);
    free(r);
}

int run_entry_compare(const run_entry_t *a, const run_entry_t *b)
{
    if (a->dir != b->dir)
        return a->dir < b->dir ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return bytes_compare(a->name, b->name);
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
    uint8_t cid[CID_BINARY_MAX];
    assert(e->name.len <= RUNS_NAME_MAX);
    writer_t w = writer_to(&r->pending);
    write_u64le(&w, e->dir);
    write_u64le(&w, e->hash);
    write_length_prefixed(&w, e->name);
    write_uvarint(&w, e->ref.tsize);
    write_length_prefixed(&w, bytes_of(cid, cid_encode(&e->ref.cid, cid)));
    TRY(w.err);
    return r->pending.len >= WRITE_BYTES ? flush(t, r) : OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
void run_reader_init(run_reader_t *d, entry_runs_t *r, uint64_t at, uint64_t end)
{
    *d = (run_reader_t){.runs = r, .at = at, .end = end};
    buf_init(&d->buf, READ_BYTES);
}

void run_reader_deinit(run_reader_t *d)
{
    buf_deinit(&d->buf);
}

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

err_t run_reader_next(task_t *t, run_reader_t *d)
{
    if (d->at < d->end && d->buf.len - d->used < ENTRY_MAX_BYTES)
        TRY(fill(t, d));
    d->has = d->used < d->buf.len;
    if (!d->has)
        return OK;
    reader_t r = reader_of(bytes_slice(buf_bytes(&d->buf), d->used, d->buf.len));
    d->entry.dir = read_u64le(&r);
    d->entry.hash = read_u64le(&r);
    d->entry.name = read_length_prefixed(&r, RUNS_NAME_MAX);
    d->entry.ref.tsize = read_uvarint(&r);
    bytes_t cid = read_length_prefixed(&r, CID_BINARY_MAX);
    if (r.err || cid_decode(cid, &d->entry.ref.cid))
        return named(d->runs, fail(ERR_CORRUPT, "it holds what was not written"));
    d->used = d->buf.len - reader_left(&r);
    return OK;
}

/* ── merging ─────────────────────────────────────────────────────────────────────────────────── */

/* The reader with the least entry, of equal ones the last; NULL when all have ended. */
static run_reader_t *least(run_reader_t *readers, size_t n)
{
    run_reader_t *found = NULL;
    for (size_t i = 0; i < n; i++)
        if (readers[i].has && (!found || run_entry_compare(&readers[i].entry, &found->entry) <= 0))
            found = &readers[i];
    return found;
}

/* The others that stand at the same name move on with it. */
static err_t move_on(task_t *t, run_reader_t *readers, size_t n, run_reader_t *from)
{
    for (size_t i = 0; i < n; i++)
        if (&readers[i] != from && readers[i].has && !run_entry_compare(&readers[i].entry, &from->entry))
            TRY(run_reader_next(t, &readers[i]));
    return run_reader_next(t, from);
}

static err_t merge_readers(task_t *t, entry_runs_t *r, run_reader_t *readers, size_t n, entry_runs_fn each,
                           void *arg)
{
    for (size_t i = 0; i < n; i++)
        TRY(run_reader_next(t, &readers[i]));
    for (run_reader_t *from; (from = least(readers, n));) {
        uint64_t offset = r->written + r->pending.len;
        TRY(entry_runs_add(t, r, &from->entry));
        if (each)
            TRY(each(arg, &from->entry, offset, r->written + r->pending.len));
        TRY(move_on(t, readers, n, from));
    }
    return flush(t, r);
}

/* The runs from `first` on become one. */
static err_t merge(task_t *t, entry_runs_t *r, size_t first, entry_runs_fn each, void *arg)
{
    size_t n = r->count - first;
    run_t merged = {.at = r->written, .level = r->runs[first].level + 1};
    uint64_t old = r->runs[first].at;
    run_reader_t *readers = xcalloc(n, sizeof *readers);
    for (size_t i = 0; i < n; i++)
        run_reader_init(&readers[i], r, r->runs[first + i].at, r->runs[first + i].end);
    err_t e = merge_readers(t, r, readers, n, each, arg);
    for (size_t i = 0; i < n; i++)
        run_reader_deinit(&readers[i]);
    free(readers);
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
        TRY(merge(t, r, r->count - RUNS_FAN_IN, NULL, NULL));
    return OK;
}

err_t entry_runs_finish(task_t *t, entry_runs_t *r, entry_runs_fn each, void *arg)
{
    TRY(entry_runs_end(t, r));
    while (r->count > RUNS_FAN_IN)
        TRY(merge(t, r, r->count - RUNS_FAN_IN, NULL, NULL));
    return r->count ? merge(t, r, 0, each, arg) : OK;
}
