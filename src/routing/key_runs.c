#include "routing/key_runs.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_BYTES = 4096, FIRST_KEYS = 256, ENTRY_MAX_BYTES = 1 + KAD_PROVIDER_KEY_MAX_BYTES };

/* A key in memory: where it lies, and its bytes in the blob (a length, then the multihash). */
typedef struct entry {
    kad_key_t at;
    uint32_t offset;
} entry_t;
typedef struct run {
    uint64_t at, end; /* of what is not read yet */
    uint8_t *buf;     /* READ_BYTES */
    size_t len, used;
    run_key_t key; /* its next one */
} run_t;
struct key_runs {
    const char *folder;
    file_t *file;
    uint64_t written, count;
    entry_t *entries; /* the run that is collected, or all when they are few */
    size_t n_entries, cap, next;
    buf_t blob;
    run_t *runs; /* when the file is used; a heap by their next key once finished */
    size_t n_runs, runs_cap;
    run_key_t current, put_back;
    bool has_current, has_put_back;
};

key_runs_t *key_runs_new(const char *folder)
{
    key_runs_t *r = xcalloc(1, sizeof *r);
    r->folder = folder;
    buf_init(&r->blob, (size_t)KEY_RUN_KEYS * ENTRY_MAX_BYTES);
    return r;
}

void key_runs_free(key_runs_t *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_runs; i++)
        free(r->runs[i].buf);
    free(r->runs);
    free(r->entries);
    buf_deinit(&r->blob);
    file_close(r->file);
    free(r);
}

uint64_t key_runs_count(const key_runs_t *r)
{
    return r->count;
}

/* ── collecting ──────────────────────────────────────────────────────────────────────────────── */
static err_t named(const key_runs_t *r, err_t e)
{
    return e ? fail_also(e, "the temporary file for keys to announce, in %s", r->folder) : OK;
}

static int compare_entries(const void *a, const void *b)
{
    return memcmp(((const entry_t *)a)->at.data, ((const entry_t *)b)->at.data, KAD_KEY_BYTES);
}

typedef struct sorted_run {
    key_runs_t *runs;
    buf_t out;
    bool is_to_write;
} sorted_run_t;

static void sort_run(void *arg)
{
    sorted_run_t *s = arg;
    key_runs_t *r = s->runs;
    if (r->n_entries)
        qsort(r->entries, r->n_entries, sizeof *r->entries, compare_entries);
    for (size_t i = 0; s->is_to_write && i < r->n_entries; i++) {
        const uint8_t *bytes = r->blob.data + r->entries[i].offset;
        if (buf_append(&s->out, bytes_of(bytes, 1u + bytes[0])))
            assert(!"it is as large as the blob");
    }
}

static err_t open_unlinked(task_t *t, key_runs_t *r)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/provide-%016" PRIx64 ".tmp", r->folder,
                       driver_random_u64(task_driver(t)));
    if (len < 0 || (size_t)len >= sizeof path)
        return fail(ERR_INVALID, "the path is too long: %s", r->folder);
    TRY(file_open(t, path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, 0600, &r->file));
    return fs_unlink(t, path);
}

static run_t *new_run(key_runs_t *r)
{
    if (r->n_runs == r->runs_cap) {
        r->runs_cap = r->runs_cap ? r->runs_cap * 2 : 16;
        r->runs = xrealloc(r->runs, r->runs_cap * sizeof *r->runs);
    }
    run_t *run = &r->runs[r->n_runs++];
    *run = (run_t){.at = r->written};
    return run;
}

/* The keys in memory become a run of the file. */
static err_t spill(task_t *t, key_runs_t *r)
{
    if (r->n_runs >= KEY_RUNS_MAX)
        return fail(ERR_LIMIT, "more than %d keys to announce", KEY_RUNS_MAX * KEY_RUN_KEYS);
    if (!r->file)
        TRY(named(r, open_unlinked(t, r)));
    sorted_run_t s = {.runs = r, .is_to_write = true};
    buf_init(&s.out, r->blob.len);
    work(t, sort_run, &s);
    bytes_t piece = buf_bytes(&s.out);
    err_t e = file_write_at(t, r->file, &piece, 1, r->written);
    if (!e) {
        run_t *run = new_run(r);
        r->written += piece.len;
        run->end = r->written;
        r->n_entries = 0;
        buf_clear(&r->blob);
    }
    buf_deinit(&s.out);
    return named(r, e);
}

err_t key_runs_add(task_t *t, key_runs_t *r, bytes_t multihash)
{
    assert(multihash.len && multihash.len <= KAD_PROVIDER_KEY_MAX_BYTES);
    if (r->n_entries == KEY_RUN_KEYS)
        TRY(spill(t, r));
    if (r->n_entries == r->cap) {
        r->cap = r->cap ? r->cap * 2 : FIRST_KEYS;
        r->entries = xrealloc(r->entries, r->cap * sizeof *r->entries);
    }
    r->entries[r->n_entries] = (entry_t){kad_key_of(multihash), (uint32_t)r->blob.len};
    uint8_t len = (uint8_t)multihash.len;
    TRY(buf_append(&r->blob, bytes_of(&len, 1)));
    TRY(buf_append(&r->blob, multihash));
    r->n_entries++;
    r->count++;
    return OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static void set_key(run_key_t *key, const uint8_t *bytes)
{
    key->len = bytes[0];
    memcpy(key->data, bytes + 1, key->len);
}

static err_t fill(task_t *t, key_runs_t *r, run_t *run)
{
    memmove(run->buf, run->buf + run->used, run->len - run->used);
    run->len -= run->used;
    run->used = 0;
    uint64_t left = run->end - run->at;
    size_t n = READ_BYTES - run->len;
    n = left < n ? (size_t)left : n;
    TRY(named(r, file_read_exact(t, r->file, run->buf + run->len, n, run->at)));
    run->len += n;
    run->at += n;
    return OK;
}

/* ret_has: false: the run has ended. */
static err_t next_of_run(task_t *t, key_runs_t *r, run_t *run, bool *ret_has)
{
    if (run->at < run->end && run->len - run->used < ENTRY_MAX_BYTES)
        TRY(fill(t, r, run));
    *ret_has = run->used < run->len;
    if (!*ret_has)
        return OK;
    const uint8_t *bytes = run->buf + run->used;
    if (!bytes[0] || bytes[0] > KAD_PROVIDER_KEY_MAX_BYTES || run->len - run->used <= bytes[0])
        return named(r, fail(ERR_CORRUPT, "it holds what was not written"));
    set_key(&run->key, bytes);
    run->key.at = kad_key_of(bytes_of(run->key.data, run->key.len));
    run->used += 1u + bytes[0];
    return OK;
}

static bool is_before(const run_t *a, const run_t *b)
{
    return memcmp(a->key.at.data, b->key.at.data, KAD_KEY_BYTES) < 0;
}

static void sift_down(key_runs_t *r, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < r->n_runs; child++)
            if (is_before(&r->runs[child], &r->runs[least]))
                least = child;
        if (least == i)
            return;
        run_t moved = r->runs[i];
        r->runs[i] = r->runs[least];
        r->runs[least] = moved;
        i = least;
    }
}

/* Goes on in the run at the top of the heap. */
static err_t step_top(task_t *t, key_runs_t *r)
{
    bool has;
    TRY(next_of_run(t, r, &r->runs[0], &has));
    if (!has) {
        free(r->runs[0].buf);
        r->runs[0] = r->runs[--r->n_runs];
    }
    sift_down(r, 0);
    return OK;
}

static err_t take_next(task_t *t, key_runs_t *r)
{
    r->has_current = false;
    if (!r->file) {
        if (r->next == r->n_entries)
            return OK;
        r->current.at = r->entries[r->next].at;
        set_key(&r->current, r->blob.data + r->entries[r->next++].offset);
        r->has_current = true;
        return OK;
    }
    if (!r->n_runs)
        return OK;
    r->current = r->runs[0].key;
    r->has_current = true;
    return step_top(t, r);
}

err_t key_runs_finish(task_t *t, key_runs_t *r)
{
    sorted_run_t s = {.runs = r};
    if (!r->file) {
        work(t, sort_run, &s);
        return take_next(t, r);
    }
    TRY(spill(t, r));
    free(r->entries);
    r->entries = NULL;
    r->cap = 0;
    buf_deinit(&r->blob);
    for (size_t i = 0; i < r->n_runs; i++) {
        bool has; /* a run is never empty */
        r->runs[i].buf = xmalloc(READ_BYTES);
        TRY(next_of_run(t, r, &r->runs[i], &has));
    }
    for (size_t i = r->n_runs / 2 + 1; i--;)
        sift_down(r, i);
    return take_next(t, r);
}

const run_key_t *key_runs_peek(const key_runs_t *r)
{
    return r->has_put_back ? &r->put_back : r->has_current ? &r->current : NULL;
}

void key_runs_put_back(key_runs_t *r, const run_key_t *key)
{
    assert(!r->has_put_back);
    r->put_back = *key;
    r->has_put_back = true;
}

err_t key_runs_pop(task_t *t, key_runs_t *r)
{
    if (r->has_put_back) {
        r->has_put_back = false;
        return OK;
    }
    run_key_t last = r->current;
    do
        TRY(take_next(t, r));
    while (r->has_current && kad_key_equal(&r->current.at, &last.at));
    return OK;
}
