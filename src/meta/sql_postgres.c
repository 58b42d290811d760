/* PostgreSQL 15 and what speaks its protocol, through libpq, which is loaded at the first connection: a
 * service over SQLite never pays for it. Values go as text, blobs as bytes; answers come as text. A lost
 * connection stays lost: whoever owns it opens another one. */
#include "meta/sql_impl.h"
#include <dlfcn.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARAMS_MAX = 32, NUMBER_CHARS = 24, BLOB_COLUMNS = 16, BLOB_MAX = 64 << 10 };

#define LIBPQ(X)                                                                                             \
    X(PQconnectdbParams)                                                                                     \
    X(PQstatus)                                                                                              \
    X(PQerrorMessage)                                                                                        \
    X(PQfinish)                                                                                              \
    X(PQexec)                                                                                                \
    X(PQprepare)                                                                                             \
    X(PQexecPrepared)                                                                                        \
    X(PQresultStatus)                                                                                        \
    X(PQresultErrorField)                                                                                    \
    X(PQntuples)                                                                                             \
    X(PQcmdTuples)                                                                                           \
    X(PQgetvalue)                                                                                            \
    X(PQgetlength)                                                                                           \
    X(PQgetisnull)                                                                                           \
    X(PQclear)                                                                                               \
    X(PQsetNoticeProcessor)

static struct libpq {
#define X(name) __typeof__(name) *name;
    LIBPQ(X)
#undef X
    bool is_loaded;
} pq;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

static err_t load_symbols(void)
{
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fail(ERR_UNSUPPORTED, "PostgreSQL needs libpq (Debian's libpq5): %s", dlerror());
#define X(name)                                                                                              \
    *(void **)&pq.name = dlsym(library, #name);                                                              \
    if (!pq.name)                                                                                            \
        return fail(ERR_UNSUPPORTED, "this libpq has no " #name);
    LIBPQ(X)
#undef X
    pq.is_loaded = true;
    return OK;
}

static err_t load(void)
{
    pthread_mutex_lock(&load_lock);
    err_t e = pq.is_loaded ? OK : load_symbols();
    pthread_mutex_unlock(&load_lock);
    return e;
}

typedef struct pg_conn {
    sql_t base;
    PGconn *conn;
    unsigned next_name;
    buf_t blobs[BLOB_COLUMNS]; /* the decoded bytes of each column of the row that is looked at */
} pg_conn_t;

typedef struct pg_statement {
    char name[16];
} pg_statement_t;

static pg_conn_t *self(sql_t *c)
{
    return (pg_conn_t *)c;
}

/* ── errors ──────────────────────────────────────────────────────────────────────────────────── */
static err_t code_of(sql_t *c, const char *state)
{
    if (!strncmp(state, "08", 2) || !strncmp(state, "57P0", 4) || !strcmp(state, "25P03") ||
        pq.PQstatus(self(c)->conn) != CONNECTION_OK) {
        c->is_lost = true;
        return ERR_CLOSED;
    }
    return !strcmp(state, "40001") || !strcmp(state, "40P01") || !strcmp(state, "55P03") ? ERR_AGAIN
           : !strcmp(state, "23505")                                                     ? ERR_EXISTS
           : !strcmp(state, "53100")                                                     ? ERR_NO_SPACE
           : !strncmp(state, "XX00", 4)                                                  ? ERR_CORRUPT
                                                                                         : ERR_IO;
}

/* Takes the answer, which may be NULL. */
static err_t check(sql_t *c, PGresult *answer, const char *what)
{
    ExecStatusType status = pq.PQresultStatus(answer);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return OK;
    const char *state = answer ? pq.PQresultErrorField(answer, PG_DIAG_SQLSTATE) : NULL;
    err_t e = code_of(c, state ? state : "");
    char text[200];
    snprintf(text, sizeof text, "%s", pq.PQerrorMessage(self(c)->conn));
    text[strcspn(text, "\n")] = 0;
    pq.PQclear(answer);
    return fail(e, "database: %s (%.60s)", text, what);
}

/* ── statements ──────────────────────────────────────────────────────────────────────────────── */
static err_t prepare(sql_t *c, const char *text, void **ret)
{
    pg_statement_t *s = xcalloc(1, sizeof *s);
    snprintf(s->name, sizeof s->name, "s%u", self(c)->next_name++);
    char *dollars = sql_replace(text, "?", "$");
    PGresult *answer = pq.PQprepare(self(c)->conn, s->name, dollars, 0, NULL);
    free(dollars);
    err_t e = check(c, answer, text);
    if (e) {
        free(s);
        return e;
    }
    pq.PQclear(answer);
    *ret = s;
    return OK;
}

static void forget(sql_t *c, void *statement)
{
    free(statement);
}

static PGresult *execute(sql_t *c, const pg_statement_t *s, const sql_value_t *values, size_t n)
{
    const char *params[PARAMS_MAX] = {0};
    int lengths[PARAMS_MAX] = {0}, formats[PARAMS_MAX] = {0};
    char numbers[PARAMS_MAX][NUMBER_CHARS];
    char *texts[PARAMS_MAX] = {0};
    assert(n <= PARAMS_MAX);
    for (size_t i = 0; i < n; i++) {
        const sql_value_t *v = &values[i];
        formats[i] = v->kind == SQL_KIND_BLOB;
        lengths[i] = (int)v->bytes.len;
        params[i] = NULL;
        if (v->kind == SQL_KIND_INT) {
            snprintf(numbers[i], NUMBER_CHARS, "%lld", (long long)v->number);
            params[i] = numbers[i];
        } else if (v->kind == SQL_KIND_TEXT) { /* libpq wants a NUL at the end */
            texts[i] = xmalloc(v->bytes.len + 1);
            memcpy(texts[i], v->bytes.data, v->bytes.len);
            texts[i][v->bytes.len] = 0;
            params[i] = texts[i];
        } else if (v->kind == SQL_KIND_BLOB) {
            params[i] = v->bytes.len ? (const char *)v->bytes.data : "";
        }
    }
    PGresult *answer = pq.PQexecPrepared(self(c)->conn, s->name, (int)n, params, lengths, formats, 0);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    return answer;
}

static err_t run(sql_t *c, void *statement, const sql_value_t *values, size_t n, uint64_t *ret_changed)
{
    PGresult *answer = execute(c, statement, values, n);
    TRY(check(c, answer, "statement"));
    *ret_changed = strtoull(pq.PQcmdTuples(answer), NULL, 10);
    pq.PQclear(answer);
    return OK;
}

/* ── rows ────────────────────────────────────────────────────────────────────────────────────── */
static err_t open_rows(sql_t *c, void *statement, const sql_value_t *values, size_t n, sql_rows_t *rows)
{
    PGresult *answer = execute(c, statement, values, n);
    TRY(check(c, answer, "query"));
    rows->answer = answer;
    return OK;
}

static bool next(sql_rows_t *r)
{
    return ++r->at < pq.PQntuples(r->answer);
}

static const char *text_at(sql_rows_t *r, int column)
{
    return pq.PQgetvalue(r->answer, (int)r->at, column);
}

static int64_t number(sql_rows_t *r, int column)
{
    const char *text = text_at(r, column);
    return text[0] == 't' ? 1 : text[0] == 'f' ? 0 : strtoll(text, NULL, 10);
}

/* Bytes come as \x and hexadecimal digits. */
static bytes_t blob(sql_rows_t *r, int column)
{
    assert(column < BLOB_COLUMNS);
    buf_t *out = &self(r->c)->blobs[column];
    const char *text = text_at(r, column);
    buf_clear(out);
    if (strncmp(text, "\\x", 2))
        return bytes_of(text, strlen(text));
    if (hex_decode(bytes_str(text + 2), out))
        return BYTES_NONE;
    return buf_bytes(out);
}

static bool is_null(sql_rows_t *r, int column)
{
    return pq.PQgetisnull(r->answer, (int)r->at, column);
}

static err_t close_rows(sql_rows_t *r)
{
    pq.PQclear(r->answer);
    return OK;
}

static err_t script(sql_t *c, const char *text)
{
    char *bytea = sql_replace(text, "BLOB", "BYTEA"), *collated = sql_replace(bytea, "@C", "COLLATE \"C\""),
         *plain = sql_replace(collated, "@W", "");
    PGresult *answer = pq.PQexec(self(c)->conn, plain);
    free(plain);
    free(bytea);
    free(collated);
    TRY(check(c, answer, text));
    pq.PQclear(answer);
    return OK;
}

/* ── connections ─────────────────────────────────────────────────────────────────────────────── */
static void close_conn(sql_t *c)
{
    pq.PQfinish(self(c)->conn);
    for (size_t i = 0; i < BLOB_COLUMNS; i++) {
        if (self(c)->blobs[i].data)
            secret_wipe(self(c)->blobs[i].data, self(c)->blobs[i].cap);
        buf_deinit(&self(c)->blobs[i]);
    }
    free(c);
}

static const sql_ops_t ops = {prepare, forget, run,     open_rows,  next,   number,
                              text_at, blob,   is_null, close_rows, script, close_conn};

static void drop_notice(void *arg, const char *message) {}

/* A service that hangs must not hold the writers' row for ever, and one whose host is gone is noticed. */
static const char settings[] = "SET idle_in_transaction_session_timeout = '15s'; SET lock_timeout = '30s'; "
                               "SET statement_timeout = '60s'; SET client_min_messages = warning";

err_t sql_postgres_open(const char *url, sql_t **ret)
{
    static const char *const keys[] = {"dbname", "connect_timeout", "tcp_user_timeout", "client_encoding",
                                       NULL};
    const char *values[] = {url, "5", "10000", "UTF8", NULL};
    TRY(load());
    pg_conn_t *c = xcalloc(1, sizeof *c);
    c->base.ops = &ops;
    c->base.is_postgres = true;
    for (size_t i = 0; i < BLOB_COLUMNS; i++)
        buf_init(&c->blobs[i], BLOB_MAX);
    c->conn = pq.PQconnectdbParams(keys, values, 1);
    err_t e = OK;
    if (pq.PQstatus(c->conn) != CONNECTION_OK) {
        char text[200];
        snprintf(text, sizeof text, "%s", pq.PQerrorMessage(c->conn));
        text[strcspn(text, "\n")] = 0;
        e = fail(ERR_CLOSED, "cannot reach the database: %s", text);
    } else {
        pq.PQsetNoticeProcessor(c->conn, drop_notice, NULL);
        e = script(&c->base, settings);
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
