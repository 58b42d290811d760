/* SQLite: WAL, synchronous FULL, deleted rows overwritten (a file's key goes with its file). */
#include "meta/sql_impl.h"
#include "store/sqlite_shared.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUSY_TIMEOUT_MS = 10000 };

typedef struct sqlite_conn {
    sql_t base;
    sqlite3 *db;
} sqlite_conn_t;

static sqlite3 *db_of(sql_t *c)
{
    return ((sqlite_conn_t *)c)->db;
}

static err_t code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? ERR_EXISTS : ERR_IO;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_IN_USE;
    default:
        return ERR_IO;
    }
}

static err_t failed(sqlite3 *db, int rc, const char *what)
{
    return fail(code_of(rc), "database: %s (%.60s)", sqlite3_errmsg(db), what);
}

static err_t prepare(sql_t *c, const char *text, void **ret)
{
    int rc = sqlite3_prepare_v3(db_of(c), text, -1, SQLITE_PREPARE_PERSISTENT, (sqlite3_stmt **)ret, NULL);
    return rc ? failed(db_of(c), rc, text) : OK;
}

static void forget(sql_t *c, void *statement)
{
    sqlite3_finalize(statement);
}

static void bind(sqlite3_stmt *s, const sql_value_t *values, size_t n)
{
    for (int i = 0; i < (int)n; i++) {
        const sql_value_t *v = &values[i];
        int rc = v->kind == SQL_KIND_INT    ? sqlite3_bind_int64(s, i + 1, v->number)
                 : v->kind == SQL_KIND_TEXT ? sqlite3_bind_text(s, i + 1, (const char *)v->bytes.data,
                                                                (int)v->bytes.len, SQLITE_STATIC)
                 : v->kind == SQL_KIND_BLOB
                     ? sqlite3_bind_blob64(s, i + 1, v->bytes.len ? (const void *)v->bytes.data : "",
                                           v->bytes.len, SQLITE_STATIC)
                     : sqlite3_bind_null(s, i + 1);
        assert(!rc); /* a value too many, or a statement that runs */
    }
}

static err_t run(sql_t *c, void *statement, const sql_value_t *values, size_t n, uint64_t *ret_changed)
{
    sqlite3_stmt *s = statement;
    bind(s, values, n);
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW)
        ;
    err_t e = rc == SQLITE_DONE ? OK : failed(db_of(c), rc, sqlite3_sql(s));
    *ret_changed = (uint64_t)sqlite3_changes64(db_of(c));
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return e;
}

static err_t open_rows(sql_t *c, void *statement, const sql_value_t *values, size_t n, sql_rows_t *rows)
{
    bind(statement, values, n);
    rows->answer = statement;
    return OK;
}

static bool next(sql_rows_t *r)
{
    int rc = sqlite3_step(r->answer);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        r->err = failed(db_of(r->c), rc, sqlite3_sql(r->answer));
    return rc == SQLITE_ROW;
}

static int64_t number(sql_rows_t *r, int column)
{
    return sqlite3_column_int64(r->answer, column);
}

static const char *text_at(sql_rows_t *r, int column)
{
    return (const char *)sqlite3_column_text(r->answer, column);
}

static bytes_t blob(sql_rows_t *r, int column)
{
    const void *data = sqlite3_column_blob(r->answer, column);
    return bytes_of(data, (size_t)sqlite3_column_bytes(r->answer, column));
}

static bool is_null(sql_rows_t *r, int column)
{
    return sqlite3_column_type(r->answer, column) == SQLITE_NULL;
}

static err_t close_rows(sql_rows_t *r)
{
    sqlite3_reset(r->answer);
    sqlite3_clear_bindings(r->answer);
    return OK;
}

static err_t script(sql_t *c, const char *text)
{
    char *plain = sql_replace(text, "@C", ""), *keyed = sql_replace(plain, "@W", "WITHOUT ROWID");
    int rc = sqlite3_exec(db_of(c), keyed, NULL, NULL, NULL);
    free(plain);
    free(keyed);
    return rc ? failed(db_of(c), rc, text) : OK;
}

static void close_conn(sql_t *c)
{
    sqlite3_close_v2(db_of(c));
    free(c);
}

static int note_log(void *arg, sqlite3 *db, const char *name, int pages)
{
    ((sql_t *)arg)->log_pages = (size_t)pages;
    return SQLITE_OK;
}

static err_t sync_database(sqlite3 *db)
{
    sqlite3_file *file;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (!rc)
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return rc ? failed(db, rc, "sync") : OK;
}

/* SQLite itself syncs the database with the last page of the log alone. */
static err_t checkpoint(sql_t *c, bool syncs, size_t *ret_moved)
{
    int pages, moved;
    int rc = sqlite3_wal_checkpoint_v2(db_of(c), NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (rc)
        return failed(db_of(c), rc, "checkpoint");
    if (syncs)
        TRY(sync_database(db_of(c)));
    *ret_moved = moved > 0 ? (size_t)moved : 0;
    return OK;
}

static const sql_ops_t ops = {prepare, forget,  run,        open_rows, next,       number,    text_at,
                              blob,    is_null, close_rows, script,    close_conn, checkpoint};

/* Made by us, for its mode: SQLite gives the WAL the mode of the database. One that is there is not opened:
 * closing it again would take away the locks that other connections of this process hold on it (POSIX locks
 * belong to processes), and another process, believing itself the last, would remove the log that they use.
 */
static err_t make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? OK : fail(error_from_errno(errno), "cannot open the database %s", path);
    close(fd);
    return OK;
}

err_t sql_sqlite_open(const char *path, sql_t **ret)
{
    TRY(make_file(path));
    sqlite_conn_t *c = xcalloc(1, sizeof *c);
    c->base.ops = &ops;
    int rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    err_t e = rc ? failed(c->db, rc, path) : OK;
    if (!e) {
        sqlite_shared_reserve(c->db);
        sqlite3_extended_result_codes(c->db, 1);
        sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
        e = script(&c->base,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; "
                   "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY");
        sqlite3_wal_hook(c->db, note_log, &c->base); /* instead of the automatic checkpoint */
    }
    if (e) {
        error_slot_t why = *error_slot();
        close_conn(&c->base);
        *error_slot() = why;
        return e;
    }
    *ret = &c->base;
    return OK;
}
