#include "store/leveldb_read.h"
#include "base/reader.h"
#include "base/writer.h"
#include "task/driver.h"
#include <dlfcn.h>
#include <leveldb/c.h>
#include <stdlib.h>

enum { PAGE_BYTES = 256 << 10, ROW_MAX_BYTES = 64 << 20 };

/* ── the library ─────────────────────────────────────────────────────────────────────────────── */
#define FUNCTIONS(X)                                                                                         \
    X(options_create)                                                                                        \
    X(options_destroy)                                                                                       \
    X(options_set_paranoid_checks)                                                                           \
    X(open)                                                                                                  \
    X(close)                                                                                                 \
    X(readoptions_create)                                                                                    \
    X(readoptions_destroy)                                                                                   \
    X(readoptions_set_verify_checksums)                                                                      \
    X(create_iterator)                                                                                       \
    X(iter_destroy)                                                                                          \
    X(iter_valid)                                                                                            \
    X(iter_seek)                                                                                             \
    X(iter_next)                                                                                             \
    X(iter_key)                                                                                              \
    X(iter_value)                                                                                            \
    X(iter_get_error)                                                                                        \
    X(free)
#define FIELD(name) typeof(&leveldb_##name) name;
static struct {
    FUNCTIONS(FIELD)
    bool is_loaded;
} lib;

static err_t load_library(void)
{
    static const char *const names[] = {"libleveldb.so.1d", "libleveldb.so.1", "libleveldb.so"};
    void *handle = NULL;
    if (lib.is_loaded)
        return OK;
    for (size_t i = 0; i < ARRAY_LEN(names) && !handle; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return fail(ERR_UNSUPPORTED, "reading Kubo's datastore needs LevelDB: install libleveldb1d (%s)",
                    dlerror());
#define LOAD(name)                                                                                           \
    *(void **)&lib.name = dlsym(handle, "leveldb_" #name);                                                   \
    if (!lib.name)                                                                                           \
        return fail(ERR_UNSUPPORTED, "this LevelDB has no leveldb_" #name);
    FUNCTIONS(LOAD)
    lib.is_loaded = true;
    return OK;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
struct leveldb_read {
    leveldb_t *db;
};
typedef struct open_job {
    const char *folder;
    leveldb_t *db;
    err_t result;
} open_job_t;

/* Frees its message (NULL: none), which says "Corruption: …" or "IO error: …". */
static err_t explain(char *message, const char *what)
{
    if (!message)
        return OK;
    err_t e =
        fail(strncmp(message, "Corruption", 10) == 0 ? ERR_CORRUPT : ERR_IO, "%s: %.300s", what, message);
    lib.free(message);
    return e;
}

static void run_open(void *arg)
{
    open_job_t *job = arg;
    char *message = NULL;
    job->result = load_library();
    if (job->result)
        return;
    leveldb_options_t *options = lib.options_create();
    lib.options_set_paranoid_checks(options, 1);
    job->db = lib.open(options, job->folder, &message);
    lib.options_destroy(options);
    job->result = explain(message, "the datastore cannot be opened");
}

err_t leveldb_read_open(task_t *t, const char *folder, leveldb_read_t **ret)
{
    open_job_t job = {.folder = folder};
    work(t, run_open, &job);
    TRY(job.result);
    leveldb_read_t *l = xcalloc(1, sizeof *l);
    l->db = job.db;
    *ret = l;
    return OK;
}

static void run_close(void *db)
{
    lib.close(db);
}

void leveldb_read_close(task_t *t, leveldb_read_t *l)
{
    if (!l)
        return;
    work(t, run_close, l->db);
    free(l);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct page_job {
    leveldb_read_t *l;
    bytes_t prefix, after; /* after: the last key of the page before; BYTES_NONE: none */
    buf_t rows;            /* length-prefixed key, length-prefixed value … */
    bool is_last;
    err_t result;
} page_job_t;

static err_t add_row(page_job_t *job, bytes_t key, bytes_t value)
{
    if (key.len + value.len > ROW_MAX_BYTES)
        return fail(ERR_CORRUPT, "the datastore holds a record of %zu bytes", value.len);
    writer_t w = writer_to(&job->rows);
    write_length_prefixed(&w, key);
    write_length_prefixed(&w, value);
    return w.err;
}

static err_t fill_page(page_job_t *job, leveldb_iterator_t *it)
{
    bytes_t from = job->after.len ? job->after : job->prefix;
    char *message = NULL;
    for (lib.iter_seek(it, (const char *)from.data, from.len); lib.iter_valid(it); lib.iter_next(it)) {
        size_t key_len, value_len;
        const char *k = lib.iter_key(it, &key_len), *v = lib.iter_value(it, &value_len);
        bytes_t key = bytes_of(k, key_len);
        if (job->after.len && bytes_equal(key, job->after))
            continue;
        if (key.len < job->prefix.len || memcmp(key.data, job->prefix.data, job->prefix.len) != 0)
            break;
        TRY(add_row(job, key, bytes_of(v, value_len)));
        if (job->rows.len >= PAGE_BYTES) {
            job->is_last = false;
            break;
        }
    }
    lib.iter_get_error(it, &message);
    return explain(message, "the datastore cannot be read");
}

static void run_page(void *arg)
{
    page_job_t *job = arg;
    leveldb_readoptions_t *options = lib.readoptions_create();
    lib.readoptions_set_verify_checksums(options, 1);
    leveldb_iterator_t *it = lib.create_iterator(job->l->db, options);
    job->is_last = true;
    job->result = fill_page(job, it);
    lib.iter_destroy(it);
    lib.readoptions_destroy(options);
}

static err_t visit_page(task_t *t, const page_job_t *job, kv_visit_fn visit, void *arg, buf_t *last_key)
{
    reader_t r = reader_of(buf_bytes(&job->rows));
    while (reader_left(&r)) {
        bytes_t key = read_length_prefixed(&r, ROW_MAX_BYTES);
        bytes_t value = read_length_prefixed(&r, ROW_MAX_BYTES);
        TRY(r.err);
        if (!reader_left(&r)) {
            buf_clear(last_key);
            TRY(buf_append(last_key, key));
        }
        TRY(visit(t, arg, key, value));
    }
    return OK;
}

err_t leveldb_read_each(task_t *t, leveldb_read_t *l, bytes_t prefix, kv_visit_fn visit, void *arg)
{
    page_job_t job = {.l = l, .prefix = prefix};
    AUTO(buf_t) last_key = {0};
    buf_init(&last_key, ROW_MAX_BYTES);
    buf_init(&job.rows, PAGE_BYTES + ROW_MAX_BYTES + 32);
    err_t e = OK;
    while (!e && !job.is_last) {
        buf_clear(&job.rows);
        work(t, run_page, &job);
        e = job.result ? job.result : visit_page(t, &job, visit, arg, &last_key);
        job.after = buf_bytes(&last_key);
    }
    buf_deinit(&job.rows);
    return e;
}

/* The key itself comes first of what starts with it. */
err_t leveldb_read_get(task_t *t, leveldb_read_t *l, bytes_t key, buf_t *out)
{
    page_job_t job = {.l = l, .prefix = key};
    buf_init(&job.rows, PAGE_BYTES + ROW_MAX_BYTES + 32);
    work(t, run_page, &job);
    reader_t r = reader_of(buf_bytes(&job.rows));
    bytes_t found = job.rows.len ? read_length_prefixed(&r, ROW_MAX_BYTES) : BYTES_NONE;
    err_t e = job.result;
    if (!e && !bytes_equal(found, key))
        e = fail(ERR_NOT_FOUND, "the datastore has no such key");
    buf_clear(out);
    if (!e)
        e = buf_append(out, read_length_prefixed(&r, ROW_MAX_BYTES));
    buf_deinit(&job.rows);
    return e;
}
