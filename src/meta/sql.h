/* sql: one connection to a relational database, SQLite or PostgreSQL, behind one set of calls.
 *
 * Everything here blocks and belongs on a worker (task/driver.h work()); a connection is used by one worker
 * at a time. Statements are string literals with ?1, ?2 … for values: they are prepared once a connection and
 * found again by their address, and no value ever becomes part of a text. Both databases see the same texts;
 * a schema (sql_script) says BLOB, @C behind a TEXT that is compared byte by byte, and @W
 * behind a table that is kept in the order of its key.
 *
 * Errors: ERR_NO_SPACE, ERR_CORRUPT, ERR_EXISTS (a key is taken), ERR_IN_USE (locked for too long),
 * ERR_CLOSED (the connection is lost: nothing that was not committed counts), ERR_AGAIN (the transaction was
 * chosen to give way), ERR_IO for the rest. */
#ifndef META_SQL_H
#define META_SQL_H
#include "base/bytes.h"

typedef struct sql sql_t;
typedef struct sql_value {
    enum { SQL_KIND_NULL, SQL_KIND_INT, SQL_KIND_TEXT, SQL_KIND_BLOB } kind;
    int64_t number;
    bytes_t bytes; /* borrowed until the call returns */
} sql_value_t;

static inline sql_value_t sql_of_int(int64_t v)
{
    return (sql_value_t){.kind = SQL_KIND_INT, .number = v};
}
/* NULL becomes a null. */
static inline sql_value_t sql_of_text(const char *v)
{
    return (sql_value_t){.kind = v ? SQL_KIND_TEXT : SQL_KIND_NULL, .bytes = v ? bytes_str(v) : BYTES_NONE};
}
static inline sql_value_t sql_of_blob(bytes_t v)
{
    return (sql_value_t){.kind = SQL_KIND_BLOB, .bytes = v};
}
#define SQL_INT(v) sql_of_int((int64_t)(v))
#define SQL_TEXT(v) sql_of_text(v)
#define SQL_BLOB(v) sql_of_blob(v)
#define SQL_NULL ((sql_value_t){0})
/* The values of a statement: sql_run(c, "…", SQL(SQL_TEXT(name), SQL_INT(size)), NULL) */
#define SQL(...)                                                                                             \
    (const sql_value_t[]){__VA_ARGS__}, sizeof((const sql_value_t[]){__VA_ARGS__}) / sizeof(sql_value_t)
#define SQL_NO_VALUES NULL, 0

/* Runs a statement to its end; ret_changed (may be NULL): how many rows it changed. */
MUST_CHECK err_t sql_run(sql_t *c, const char *text, const sql_value_t *values, size_t n,
                         uint64_t *ret_changed);

/* An answer row by row: sql_open; while (sql_next) sql_int(…) …; TRY(sql_close). Queries that could have many
 * rows have a LIMIT: PostgreSQL's answers come whole. */
typedef struct sql_rows {
    sql_t *c;
    void *answer; /* NULL: closed */
    int64_t at;   /* row */
    err_t err;
} sql_rows_t;
MUST_CHECK err_t sql_open(sql_t *c, const char *text, const sql_value_t *values, size_t n,
                          sql_rows_t *ret_rows);
bool sql_next(sql_rows_t *r);
int64_t sql_int(sql_rows_t *r, int column);      /* a null is 0 */
const char *sql_text(sql_rows_t *r, int column); /* a null is ""; valid until sql_next or sql_close */
bytes_t sql_blob(sql_rows_t *r, int column);     /* the same */
bool sql_is_null(sql_rows_t *r, int column);
MUST_CHECK err_t sql_close(sql_rows_t *r); /* the error that ended the rows, if one did; idempotent */
static inline void sql_rows_deinit(sql_rows_t *r)
{
    err_t ignored = sql_close(r);
    (void)ignored;
}
AUTO_DEFINE(sql_rows_t, sql_rows_deinit)
/* Opens and goes to the first row. ERR_NOT_FOUND: there is none. */
MUST_CHECK err_t sql_first(sql_t *c, const char *text, const sql_value_t *values, size_t n,
                           sql_rows_t *ret_rows);
/* The first column of the first row; `otherwise` when there is no row. */
MUST_CHECK err_t sql_number(sql_t *c, const char *text, const sql_value_t *values, size_t n,
                            int64_t otherwise, int64_t *ret);
/* Statements without values, divided by ';', in the dialect above. */
MUST_CHECK err_t sql_script(sql_t *c, const char *text);

/* SQLite's write-ahead log. Nobody moves it into the database but these calls and the last sql_free.
 * sql_log_pages: how long it was after the last commit of this connection; 0 for PostgreSQL. */
size_t sql_log_pages(const sql_t *c);
/* Moves what no reader needs in the log any more, while others read and write; *ret_moved: how many of its
 * pages, from its beginning, are in the database now. When that is all of them, and nobody reads an older
 * state, the next write begins the log anew. syncs: what is moved is on the disk before this returns, so that
 * a later call, which writers wait for, has little to sync. Not for PostgreSQL. */
MUST_CHECK err_t sql_checkpoint(sql_t *c, bool syncs, size_t *ret_moved);

bool sql_is_postgres(const sql_t *c);
bool sql_is_lost(const sql_t *c); /* after ERR_CLOSED: close it and open another one */
void sql_free(sql_t *c);          /* NULL is fine */

/* path: made with mode 0600 when it is not there. */
MUST_CHECK err_t sql_sqlite_open(const char *path, sql_t **ret);
/* "postgres://…" or "postgresql://…", as libpq takes them; libpq is loaded at the first call.
 * ERR_UNSUPPORTED: it is not installed. */
MUST_CHECK err_t sql_postgres_open(const char *url, sql_t **ret);
#endif
