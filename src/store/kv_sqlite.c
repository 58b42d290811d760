/* kv over SQLite: WAL, synchronous FULL, one table per space, `space_NAME (k BLOB PRIMARY KEY, v BLOB)
 * WITHOUT ROWID`. Two connections, one that writes and one that reads, so that a look-up does not wait for
 * the sync of a commit; each is used by one worker at a time (its gate). Errors of SQLite become err_t in
 * one place. */
#include "base/list.h"
#include "store/kv_impl.h"
#include "store/sqlite_shared.h"
#include "task/driver.h"
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x64737472 /* "dstr", for file(1) */
#define CACHE_KIB 256             /* of each connection */
#define BUSY_TIMEOUT_MS 5000
#define SQL_MAX 256

/* Prepared statements of one space on one connection. */
typedef enum {
    STMT_PUT,
    STMT_DELETE,
    STMT_DELETE_RANGE,
    STMT_DELETE_FROM,
    STMT_GET,
    STMT_COUNT_RANGE,
    STMT_COUNT_FROM,
    STMT_SCAN_UP,
    STMT_SCAN_DOWN,
    STMT_KINDS
} stmt_kind_t;
static const char *const stmt_sql[STMT_KINDS] = {
    [STMT_PUT] = "INSERT INTO \"space_%s\" (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2",
    [STMT_DELETE] = "DELETE FROM \"space_%s\" WHERE k = ?1",
    [STMT_DELETE_RANGE] = "DELETE FROM \"space_%s\" WHERE k >= ?1 AND k < ?2",
    [STMT_DELETE_FROM] = "DELETE FROM \"space_%s\" WHERE k >= ?1",
    [STMT_GET] = "SELECT v FROM \"space_%s\" WHERE k = ?1",
    [STMT_COUNT_RANGE] = "SELECT count(*) FROM \"space_%s\" WHERE k >= ?1 AND k < ?2",
    [STMT_COUNT_FROM] = "SELECT count(*) FROM \"space_%s\" WHERE k >= ?1",
    [STMT_SCAN_UP] = "SELECT k, v FROM \"space_%s\" WHERE k >= ?1 ORDER BY k",
    [STMT_SCAN_DOWN] = "SELECT k, v FROM \"space_%s\" WHERE k <= ?1 ORDER BY k DESC",
};
typedef struct space_stmts {
    list_t node;
    char name[KV_SPACE_MAX_CHARS + 1];
    sqlite3_stmt *stmts[STMT_KINDS];
} space_stmts_t;

typedef struct connection {
    sqlite3 *db;
    list_t spaces;
    gate_t gate;
} connection_t;

typedef struct kv_sqlite {
    kv_t base;
    connection_t writer, reader;
    char *path;
} kv_sqlite_t;

static kv_sqlite_t *self(kv_t *kv)
{
    return CONTAINER_OF(kv, kv_sqlite_t, base);
}

static err_t no_space(const char *what)
{
    return fail(ERR_NO_SPACE,
                "state database: %s: no space left on the disk; free some space or move the repository",
                what);
}

static err_t sql_fail(connection_t *c, int code, const char *what)
{
    err_t e = ERR_IO;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return no_space(what);
    case SQLITE_NOMEM:
        e = ERR_NO_MEMORY;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        e = ERR_CORRUPT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        e = ERR_IN_USE;
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        e = ERR_DENIED;
        break;
    case SQLITE_IOERR:
        if (c->db && sqlite3_system_errno(c->db) == ENOSPC)
            return no_space(what);
        break;
    }
    return fail(e, "state database: %s: %s", what, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(code));
}

/* ── connections and statements; all of this runs on workers ─────────────────────────────────── */
static err_t exec(connection_t *c, const char *sql)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc ? sql_fail(c, rc, sql) : OK;
}

static void drop_statements(connection_t *c)
{
    LIST_EACH (s, &c->spaces, space_stmts_t, node) {
        for (int i = 0; i < STMT_KINDS; i++)
            sqlite3_finalize(s->stmts[i]);
        list_remove(&s->node);
        free(s);
    }
}

static void close_connection(connection_t *c)
{
    drop_statements(c);
    sqlite3_close(c->db);
    c->db = NULL;
}

static err_t open_connection(connection_t *c, const char *path)
{
    list_init(&c->spaces);
    int rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc)
        return sql_fail(c, rc, path);
    sqlite_shared_reserve(c->db);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 128, 64);
    sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
    char cache[64];
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", CACHE_KIB);
    TRY(exec(c, cache));
    TRY(exec(c, "PRAGMA journal_mode = WAL"));
    return exec(c, "PRAGMA synchronous = FULL");
}

static err_t read_pragma(connection_t *c, const char *sql, int *ret)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
    if (rc)
        return sql_fail(c, rc, sql);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return rc == SQLITE_ROW ? OK : sql_fail(c, rc, sql);
}

/* Brings the schema to SCHEMA_VERSION, each step in a transaction. */
static err_t migrate(connection_t *c, const char *path)
{
    int version = 0, application = 0;
    TRY(read_pragma(c, "PRAGMA user_version", &version));
    TRY(read_pragma(c, "PRAGMA application_id", &application));
    if (version > SCHEMA_VERSION)
        return fail(ERR_UNSUPPORTED, "%s was made by a newer version (schema %d, known is %d)", path, version,
                    SCHEMA_VERSION);
    if (version == SCHEMA_VERSION && application != APPLICATION_ID)
        return fail(ERR_CORRUPT, "%s is a database of another program", path);
    if (version == SCHEMA_VERSION)
        return OK;
    char sql[SQL_MAX];
    snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, SCHEMA_VERSION);
    err_t e = exec(c, sql);
    if (e && !sqlite3_get_autocommit(c->db))
        (void)!exec(c, "ROLLBACK");
    return e;
}

static space_stmts_t *space_of(connection_t *c, const char *name)
{
    LIST_EACH (s, &c->spaces, space_stmts_t, node)
        if (strcmp(s->name, name) == 0)
            return s;
    space_stmts_t *s = xcalloc(1, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    list_push_back(&c->spaces, &s->node);
    return s;
}

static bool has_table(connection_t *c, const char *space)
{
    char name[SQL_MAX];
    snprintf(name, sizeof name, "space_%s", space);
    return sqlite3_table_column_metadata(c->db, NULL, name, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* A statement of a space, ready to be bound. ERR_NOT_FOUND: there is no such table. */
static err_t statement(connection_t *c, const char *space, stmt_kind_t kind, sqlite3_stmt **ret)
{
    space_stmts_t *s = space_of(c, space);
    if (!s->stmts[kind]) {
        char sql[SQL_MAX];
        snprintf(sql, sizeof sql, stmt_sql[kind], space);
        int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[kind], NULL);
        if (rc == SQLITE_ERROR && !has_table(c, space))
            return ERR_NOT_FOUND;
        if (rc == SQLITE_ERROR) /* another connection has just made it */
            rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[kind], NULL);
        if (rc)
            return sql_fail(c, rc, sql);
    }
    *ret = s->stmts[kind];
    return OK;
}

static void bind(sqlite3_stmt *s, int at, bytes_t value)
{
    if (value.len == 0)
        sqlite3_bind_zeroblob(s, at, 0);
    else
        sqlite3_bind_blob(s, at, value.data, (int)value.len, SQLITE_STATIC);
}

static bytes_t column(sqlite3_stmt *s, int at)
{
    const void *data = sqlite3_column_blob(s, at);
    return bytes_of(data, (size_t)sqlite3_column_bytes(s, at));
}

static void reset(sqlite3_stmt *s)
{
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
}

static err_t step_to_end(connection_t *c, sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);
    err_t e = rc == SQLITE_DONE ? OK : sql_fail(c, rc, "write");
    reset(s);
    return e;
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
static err_t put_row(connection_t *c, const kv_op_t *op)
{
    sqlite3_stmt *s = NULL;
    err_t e = statement(c, op->space, STMT_PUT, &s);
    if (e == ERR_NOT_FOUND) {
        char sql[SQL_MAX];
        snprintf(sql, sizeof sql,
                 "CREATE TABLE \"space_%s\" (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID", op->space);
        TRY(exec(c, sql));
        e = statement(c, op->space, STMT_PUT, &s);
    }
    TRY(e);
    bind(s, 1, op->key);
    bind(s, 2, op->value);
    return step_to_end(c, s);
}

static err_t delete_rows(connection_t *c, const kv_op_t *op)
{
    AUTO(buf_t) end;
    buf_init(&end, KV_KEY_MAX_BYTES);
    stmt_kind_t kind = STMT_DELETE;
    if (op->kind == KV_OP_DELETE_PREFIX)
        kind = kv_prefix_end(op->key, &end) ? STMT_DELETE_RANGE : STMT_DELETE_FROM;
    sqlite3_stmt *s = NULL;
    err_t e = statement(c, op->space, kind, &s);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    bind(s, 1, op->key);
    if (kind == STMT_DELETE_RANGE)
        bind(s, 2, buf_bytes(&end));
    return step_to_end(c, s);
}

static err_t apply_batch(connection_t *c, bytes_t batch)
{
    reader_t r = reader_of(batch);
    kv_op_t op;
    while (kv_next_op(&r, &op))
        TRY(op.kind == KV_OP_PUT ? put_row(c, &op) : delete_rows(c, &op));
    return r.err;
}

typedef struct apply_job {
    kv_sqlite_t *kv;
    const bytes_t *batches;
    size_t n;
    err_t result;
} apply_job_t;

static void apply_run(void *arg)
{
    apply_job_t *job = arg;
    connection_t *c = &job->kv->writer;
    job->result = exec(c, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < job->n && !job->result; i++)
        job->result = apply_batch(c, job->batches[i]);
    if (!job->result)
        job->result = exec(c, "COMMIT");
    if (!job->result)
        return;
    error_slot_t saved = *error_slot();
    drop_statements(c); /* they may name tables that the rollback takes away */
    if (!sqlite3_get_autocommit(c->db))
        (void)!exec(c, "ROLLBACK");
    *error_slot() = saved;
}

static err_t apply(task_t *t, kv_t *kv, const bytes_t *batches, size_t n)
{
    apply_job_t job = {.kv = self(kv), .batches = batches, .n = n};
    work(t, apply_run, &job);
    return job.result;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct read_job {
    connection_t *c;
    const char *space;
    bytes_t key;
    buf_t *out;
    const kv_range_t *range;
    kv_page_t *page;
    uint64_t count;
    err_t result;
} read_job_t;

static err_t run_read(task_t *t, kv_sqlite_t *kv, work_fn fn, read_job_t *job)
{
    TRY(gate_enter(t, &kv->reader.gate));
    job->c = &kv->reader;
    work(t, fn, job);
    gate_leave(&kv->reader.gate);
    return job->result;
}

static void get_run(void *arg)
{
    read_job_t *job = arg;
    sqlite3_stmt *s = NULL;
    job->result = statement(job->c, job->space, STMT_GET, &s);
    if (job->result)
        return;
    bind(s, 1, job->key);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        job->result = buf_append(job->out, column(s, 0));
    else
        job->result = rc == SQLITE_DONE ? ERR_NOT_FOUND : sql_fail(job->c, rc, "read");
    reset(s);
}

static err_t get(task_t *t, kv_t *kv, const char *space, bytes_t key, buf_t *out)
{
    read_job_t job = {.space = space, .key = key, .out = out};
    err_t e = run_read(t, self(kv), get_run, &job);
    return e == ERR_NOT_FOUND ? kv_not_found(space, key) : e;
}

/* Where a scan begins: `from` when it narrows the range, else the edge of the prefix. Descending from the
 * end of a prefix starts at the first key above it, which is then passed over. */
static err_t scan_start(const kv_range_t *range, buf_t *out)
{
    buf_clear(out);
    bool has_from = range->from.len || range->after_from;
    if (!range->is_reverse)
        return buf_append(out, has_from && bytes_compare(range->from, range->prefix) > 0 ? range->from
                                                                                         : range->prefix);
    AUTO(buf_t) end;
    buf_init(&end, KV_KEY_MAX_BYTES);
    bool has_end = kv_prefix_end(range->prefix, &end);
    if (has_from && (!has_end || bytes_compare(range->from, buf_bytes(&end)) < 0))
        return buf_append(out, range->from);
    if (has_end)
        return buf_append(out, buf_bytes(&end));
    TRY(buf_reserve(out, KV_KEY_MAX_BYTES + 1)); /* above every key */
    memset(out->data, 0xff, KV_KEY_MAX_BYTES + 1);
    out->len = KV_KEY_MAX_BYTES + 1;
    return OK;
}

/* The rows of the page; those before the range's first are passed over. */
static err_t fill_page(read_job_t *job, sqlite3_stmt *s)
{
    const kv_range_t *range = job->range;
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        bytes_t key = column(s, 0);
        bool is_from = range->after_from && bytes_equal(key, range->from);
        bool is_above = range->is_reverse && bytes_compare(key, range->prefix) > 0;
        if (!bytes_starts_with(key, range->prefix) && !is_above)
            return OK;
        if (is_from || !bytes_starts_with(key, range->prefix))
            continue;
        if (!kv_page_has_room(job->page)) {
            job->page->is_last = false;
            return OK;
        }
        TRY(kv_page_add(job->page, key, column(s, 1)));
    }
    return rc == SQLITE_DONE ? OK : sql_fail(job->c, rc, "read");
}

static void page_run(void *arg)
{
    read_job_t *job = arg;
    sqlite3_stmt *s = NULL;
    AUTO(buf_t) start;
    buf_init(&start, KV_KEY_MAX_BYTES + 1);
    job->result = scan_start(job->range, &start);
    if (!job->result)
        job->result =
            statement(job->c, job->space, job->range->is_reverse ? STMT_SCAN_DOWN : STMT_SCAN_UP, &s);
    if (job->result)
        return;
    bind(s, 1, buf_bytes(&start));
    job->result = fill_page(job, s);
    reset(s);
}

static err_t page(task_t *t, kv_t *kv, const char *space, const kv_range_t *range, kv_page_t *out)
{
    read_job_t job = {.space = space, .range = range, .page = out};
    err_t e = run_read(t, self(kv), page_run, &job);
    return e == ERR_NOT_FOUND ? OK : e;
}

static void count_run(void *arg)
{
    read_job_t *job = arg;
    sqlite3_stmt *s = NULL;
    AUTO(buf_t) end;
    buf_init(&end, KV_KEY_MAX_BYTES);
    bool has_end = kv_prefix_end(job->key, &end);
    job->result = statement(job->c, job->space, has_end ? STMT_COUNT_RANGE : STMT_COUNT_FROM, &s);
    if (job->result)
        return;
    bind(s, 1, job->key);
    if (has_end)
        bind(s, 2, buf_bytes(&end));
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        job->count = (uint64_t)sqlite3_column_int64(s, 0);
    else
        job->result = sql_fail(job->c, rc, "count");
    reset(s);
}

static err_t count(task_t *t, kv_t *kv, const char *space, bytes_t prefix, uint64_t *ret_count)
{
    read_job_t job = {.space = space, .key = prefix};
    err_t e = run_read(t, self(kv), count_run, &job);
    if (e && e != ERR_NOT_FOUND)
        return e;
    *ret_count = job.count;
    return OK;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
typedef struct open_job {
    kv_sqlite_t *kv;
    err_t result;
} open_job_t;

static void open_run(void *arg)
{
    open_job_t *job = arg;
    kv_sqlite_t *kv = job->kv;
    job->result = open_connection(&kv->writer, kv->path);
    if (!job->result)
        job->result = migrate(&kv->writer, kv->path);
    if (!job->result)
        job->result = open_connection(&kv->reader, kv->path);
}

static void close_run(void *arg)
{
    kv_sqlite_t *kv = arg;
    close_connection(&kv->reader);
    close_connection(&kv->writer); /* the last one: SQLite moves the WAL into the database */
}

static void close_kv(task_t *t, kv_t *base)
{
    kv_sqlite_t *kv = self(base);
    task_shield(t);
    (void)!gate_enter(t, &kv->reader.gate);
    work(t, close_run, kv);
    task_unshield(t);
    free(kv->path);
    free(kv);
}

static const kv_ops_t sqlite_ops = {apply, get, page, count, close_kv};

/* Made by us, for its mode: SQLite gives the WAL the mode of the database. */
static err_t make_file(task_t *t, const char *path)
{
    AUTO_PTR(file_t) file = NULL;
    return file_open(t, path, FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &file);
}

err_t kv_sqlite_open(task_t *t, const char *path, kv_t **ret_kv)
{
    TRY(make_file(t, path));
    kv_sqlite_t *kv = xcalloc(1, sizeof *kv);
    kv_init(&kv->base, &sqlite_ops);
    kv->path = xstrdup(path);
    list_init(&kv->writer.spaces);
    list_init(&kv->reader.spaces);
    gate_init(&kv->writer.gate, 1);
    gate_init(&kv->reader.gate, 1);
    open_job_t job = {.kv = kv};
    work(t, open_run, &job);
    if (job.result) {
        error_slot_t saved = *error_slot();
        close_kv(t, &kv->base);
        *error_slot() = saved;
        return job.result;
    }
    *ret_kv = &kv->base;
    return OK;
}
