/* sql_impl: what a database provides for sql.h. Only for meta/sql*.c. */
#ifndef META_SQL_IMPL_H
#define META_SQL_IMPL_H
#include "meta/sql.h"

typedef struct sql_ops {
    err_t (*prepare)(sql_t *c, const char *text, void **ret_statement);
    void (*forget)(sql_t *c, void *statement);
    err_t (*run)(sql_t *c, void *statement, const sql_value_t *values, size_t n, uint64_t *ret_changed);
    err_t (*open)(sql_t *c, void *statement, const sql_value_t *values, size_t n, sql_rows_t *rows);
    bool (*next)(sql_rows_t *r);
    int64_t (*number)(sql_rows_t *r, int column);
    const char *(*text)(sql_rows_t *r, int column);
    bytes_t (*blob)(sql_rows_t *r, int column);
    bool (*is_null)(sql_rows_t *r, int column);
    err_t (*close)(sql_rows_t *r);
    err_t (*script)(sql_t *c, const char *text);
    void (*free)(sql_t *c);
    err_t (*checkpoint)(sql_t *c, bool syncs, size_t *ret_moved); /* of SQLite alone */
} sql_ops_t;

/* Statements by the address of their text. The texts of this folder are far fewer. */
#define SQL_STATEMENTS_MAX 512
typedef struct sql_statement {
    const char *text;
    void *statement;
} sql_statement_t;
struct sql {
    const sql_ops_t *ops;
    bool is_postgres, is_lost;
    size_t log_pages;
    sql_statement_t statements[SQL_STATEMENTS_MAX];
    size_t n_statements;
};
/* The text with every `from` become `to`; the caller frees it. */
char *sql_replace(const char *text, const char *from, const char *to);
#endif
