/* db: the database of the metadata service: connections, group commit, and what must hold among several
 * services over one database.
 *
 * Writes of all tasks that wait at a time go into one transaction, each behind a savepoint of its own: what
 * fails is undone alone, the rest becomes durable with one commit. Each transaction first takes the one row
 * of `writer`, in whatever process: writes happen one batch after the other, and each sees all before it. An
 * answer leaves after the commit; a read that begins later sees it. Reads see one snapshot and wait for
 * nobody.
 *
 * SQLite's log is moved into the database beside the writes, which wait for its last few pages alone.
 *
 * A connection that is lost in the middle: the batch runs again, unless the row of `writer` says that it was
 * committed. */
#ifndef META_DB_H
#define META_DB_H
#include "meta/audit.h"
#include "task/task.h"

typedef struct db db_t;
typedef struct db_options {
    const char *database; /* a path, or postgres://…; borrowed */
    size_t readers;       /* connections that read; 0: 2 */
    size_t log_pages;     /* of SQLite: how long its log gets before it is moved into the database; 0: 4000 */
} db_options_t;
/* On a worker. May run again after its effects were undone, so it sets all that it gives back anew. */
typedef err_t (*db_fn)(sql_t *c, void *arg);

/* Opens and brings the schema up to date. ERR_UNSUPPORTED: made by a newer version. */
MUST_CHECK err_t db_open(task_t *t, const db_options_t *o, db_t **ret);
const char *db_name(const db_t *db); /* of this process, among services over one database */
void db_close(task_t *t, db_t *db);  /* waits for what is under way; NULL is fine */
MUST_CHECK err_t db_read(task_t *t, db_t *db, db_fn fn, void *arg);
/* entry (may be NULL, or have no action): logged in the same transaction when fn did it or was refused; fn
 * may fill it in. fn NULL: just the entry. Shielded from cancellation: arg may live on the caller's stack. */
MUST_CHECK err_t db_write(task_t *t, db_t *db, db_fn fn, void *arg, audit_entry_t *entry);

/* A read that is logged, unless fn takes the action out of entry; fn sees nothing half done, and the answer
 * leaves when the record is durable. With SQLite it stands among the writes: its record has to wait for them
 * anyhow, and their connection has in memory what others read anew after each commit. */
MUST_CHECK err_t db_read_logged(task_t *t, db_t *db, db_fn fn, void *arg, audit_entry_t *entry);

/* For background jobs: true when this process holds the lease until now_ms + for_ms. Taken anew each time. */
MUST_CHECK err_t db_lease(task_t *t, db_t *db, const char *name, int64_t now_ms, int64_t for_ms,
                          bool *ret_is_ours);
/* schema.c: brings the schema up to date, in one transaction. */
MUST_CHECK err_t schema_migrate(sql_t *c);
#endif
