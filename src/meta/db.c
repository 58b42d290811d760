#include "meta/db.h"
#include "base/list.h"
#include "base/log.h"
#include "crypto/key.h"
#include "meta/json.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READERS_DEFAULT = 2, READERS_MAX = 16, BATCH_MAX = 256, TRIES_MAX = 6, RETRY_MS = 200 };
/* SQLite's log: how long it gets, in how many pieces it is moved, and how many times too long it may become.
 */
enum { LOG_PAGES_DEFAULT = 4000, LOG_PIECES = 16, LOG_TIMES_MAX = 4 };

typedef struct item {
    list_t node;
    db_fn fn;
    void *arg;
    audit_entry_t *entry;
    err_t result;
    bool is_done;
    event_t changed; /* fired when it is done, and when it is the one to write */
    char text[ERROR_TEXT_MAX];
} item_t;

struct db {
    char *database;
    sql_t *writer;
    sql_t *readers[READERS_MAX]; /* those that nobody uses; NULL: to be opened again */
    size_t n_free;
    gate_t gate;
    list_t pending;
    bool is_writing;
    event_t idle; /* fired when nothing is left to be written */
    /* Moves the log of SQLite into the database; NULL with PostgreSQL. */
    sql_t *mover;
    group_t moves; /* one at a time */
    size_t log_pages, log_moved, log_pages_wanted, move_at_pages;
    bool wants_turn; /* is_writing goes to it next */
    event_t turn;
    char name[33]; /* of this process, for leases and batches */
    int64_t batch;
};

static err_t open_conn(const char *database, sql_t **ret)
{
    bool is_url = !strncmp(database, "postgres://", 11) || !strncmp(database, "postgresql://", 13);
    return is_url ? sql_postgres_open(database, ret) : sql_sqlite_open(database, ret);
}

/* ── a batch, on a worker ────────────────────────────────────────────────────────────────────── */
typedef struct batch_job {
    db_t *db;
    list_t *items;
    err_t result;
} batch_job_t;

static void settle(item_t *item, err_t e)
{
    item->result = e;
    if (e)
        snprintf(item->text, sizeof item->text, "%s", error_text(e));
}

/* A failure of fn undoes what it did, and is an outcome like others; a failure of the database ends the
 * batch. */
static err_t run_item(sql_t *c, item_t *item, audit_head_t *head)
{
    err_t e = OK;
    item->result = OK;
    if (item->fn && item->entry)
        item->entry->outcome[0] = 0; /* of an earlier try */
    if (item->fn) {
        TRY(sql_run(c, "SAVEPOINT one", SQL_NO_VALUES, NULL));
        e = item->fn(c, item->arg);
        settle(item, e);
        if (sql_is_lost(c) || (e == ERR_AGAIN && sql_is_postgres(c)))
            return e;
        if (e)
            TRY(sql_run(c, "ROLLBACK TO SAVEPOINT one", SQL_NO_VALUES, NULL));
        TRY(sql_run(c, "RELEASE SAVEPOINT one", SQL_NO_VALUES, NULL));
    }
    if (!item->entry || !item->entry->action)
        return OK;
    if (e || !item->entry->outcome[0])
        snprintf(item->entry->outcome, sizeof item->entry->outcome, "%s", e ? error_name(e) : "OK");
    return audit_add(c, head, item->entry);
}

static err_t begin(db_t *db, audit_head_t *head)
{
    sql_t *c = db->writer;
    AUTO(sql_rows_t) r = {0};
    if (sql_is_postgres(c)) {
        TRY(sql_run(c, "BEGIN ISOLATION LEVEL READ COMMITTED", SQL_NO_VALUES, NULL));
        TRY(sql_first(c, "SELECT audit_seq, audit_hash FROM writer WHERE id = 1 FOR UPDATE", SQL_NO_VALUES,
                      &r));
    } else {
        TRY(sql_run(c, "BEGIN IMMEDIATE", SQL_NO_VALUES, NULL));
        TRY(sql_first(c, "SELECT audit_seq, audit_hash FROM writer WHERE id = 1", SQL_NO_VALUES, &r));
    }
    bytes_t hash = sql_blob(&r, 1);
    if (hash.len != sizeof head->hash)
        return fail(ERR_CORRUPT, "the head of the audit log is not a hash");
    head->seq = sql_int(&r, 0);
    memcpy(head->hash, hash.data, sizeof head->hash);
    return sql_close(&r);
}

static err_t end(db_t *db, const audit_head_t *head)
{
    TRY(sql_run(db->writer,
                "UPDATE writer SET audit_seq = ?1, audit_hash = ?2, batch = ?3, holder = ?4 WHERE id = 1",
                SQL(SQL_INT(head->seq), SQL_BLOB(bytes_of(head->hash, sizeof head->hash)), SQL_INT(db->batch),
                    SQL_TEXT(db->name)),
                NULL));
    if (sql_is_postgres(db->writer)) /* where a commit can be lost on its way */
        TRY(sql_run(db->writer,
                    "INSERT INTO batches (holder, batch) VALUES (?1, ?2) ON CONFLICT (holder) DO UPDATE SET "
                    "batch = ?2",
                    SQL(SQL_TEXT(db->name), SQL_INT(db->batch)), NULL));
    return sql_run(db->writer, "COMMIT", SQL_NO_VALUES, NULL);
}

/* Asked with the writers' row locked: a commit that was lost on its way here and is still on its way to the
 * database has either taken place or never will. */
static err_t was_committed(db_t *db, bool *ret)
{
    int64_t newest;
    TRY(sql_number(db->writer, "SELECT batch FROM batches WHERE holder = ?1", SQL(SQL_TEXT(db->name)), 0,
                   &newest));
    *ret = newest == db->batch;
    return OK;
}

/* A batch is committed once, however often it is tried. */
static err_t try_batch(db_t *db, list_t *items, bool is_again)
{
    audit_head_t head;
    bool is_done = false;
    TRY(begin(db, &head));
    if (is_again)
        TRY(was_committed(db, &is_done));
    if (is_done)
        return sql_run(db->writer, "ROLLBACK", SQL_NO_VALUES, NULL);
    LIST_EACH (item, items, item_t, node)
        TRY(run_item(db->writer, item, &head));
    return end(db, &head);
}

static err_t reopen(db_t *db)
{
    sql_free(db->writer);
    db->writer = NULL;
    return open_conn(db->database, &db->writer);
}

/* After a failure: OK when the batch is to be tried again. */
static err_t recover(db_t *db, err_t why, int tries)
{
    if (db->writer && !sql_is_lost(db->writer))
        (void)!sql_run(db->writer, "ROLLBACK", SQL_NO_VALUES, NULL);
    bool is_lost = !db->writer || sql_is_lost(db->writer);
    if (tries == TRIES_MAX || (!is_lost && why != ERR_AGAIN))
        return why;
    usleep((useconds_t)(RETRY_MS * 1000) << tries);
    err_t e = is_lost ? reopen(db) : OK;
    return e && db->writer ? e : OK; /* not back yet: the next try says it again */
}

static void run_batch(void *arg)
{
    batch_job_t *job = arg;
    db_t *db = job->db;
    db->batch++;
    for (int tries = 0;; tries++) {
        err_t e = db->writer ? try_batch(db, job->items, tries > 0)
                             : fail(ERR_CLOSED, "the database is not reachable");
        if (!e)
            break;
        error_slot_t why = *error_slot();
        if (recover(db, e, tries)) {
            *error_slot() = why;
            job->result = e;
            return;
        }
    }
    job->result = OK;
}

/* ── whose turn it is ────────────────────────────────────────────────────────────────────────── */
static void stop_writing(db_t *db)
{
    if (db->wants_turn) {
        db->wants_turn = false;
        event_fire(&db->turn);
        return;
    }
    db->is_writing = false;
    if (list_is_empty(&db->pending))
        event_fire(&db->idle);
    else
        event_fire(&LIST_ENTRY(db->pending.next, item_t, node)->changed);
}

static void start_writing_between(task_t *t, db_t *db)
{
    db->wants_turn = db->is_writing;
    db->is_writing = true;
    while (db->wants_turn)
        (void)!event_wait(t, &db->turn);
}

/* ── the log of SQLite ───────────────────────────────────────────────────────────────────────── */
typedef struct move_job {
    db_t *db;
    size_t moved;
    bool is_last; /* writers wait: the sync that SQLite itself does is enough */
    err_t result;
} move_job_t;

static void run_move(void *arg)
{
    move_job_t *job = arg;
    job->result = sql_checkpoint(job->db->mover, !job->is_last, &job->moved);
}

static err_t move_once(task_t *t, move_job_t *job)
{
    work(t, run_move, job);
    if (!job->result)
        job->db->log_moved = job->moved;
    return job->result;
}

static size_t piece_pages(const db_t *db)
{
    return db->log_pages_wanted / LOG_PIECES;
}

static size_t pages_left(const db_t *db)
{
    return db->log_pages > db->log_moved ? db->log_pages - db->log_moved : 0;
}

/* Others go on writing. When the log is long they wait for its last pages: only one that is moved whole
 * begins anew. Where they add more than can be moved meanwhile, or somebody reads an older state for long,
 * that is put off, and when it is far too long they wait for all of it. */
static err_t move_log(task_t *t, void *arg)
{
    db_t *db = arg;
    move_job_t job = {.db = db};
    task_shield(t);
    err_t e = move_once(t, &job);
    bool is_long = db->log_pages >= db->log_pages_wanted;
    bool is_far_too_long = db->log_pages >= LOG_TIMES_MAX * db->log_pages_wanted;
    if (!e && is_long && (pages_left(db) <= db->log_pages_wanted / 4 || is_far_too_long)) {
        start_writing_between(t, db);
        job.is_last = true;
        e = move_once(t, &job);
        stop_writing(db);
    }
    task_unshield(t);
    if (e)
        log_warn("the log of the database could not be moved into it; it is tried again", LOG_ERR(e));
    db->move_at_pages = db->log_pages + (e ? db->log_pages_wanted : piece_pages(db));
    return OK;
}

/* After each commit. */
static void watch_log(db_t *db)
{
    size_t before = db->log_pages;
    if (!db->mover)
        return;
    db->log_pages = db->writer ? sql_log_pages(db->writer) : 0;
    if (db->log_pages < before) { /* it began anew */
        db->log_moved = 0;
        db->move_at_pages = piece_pages(db);
    }
    if (db->moves.count || db->log_pages < db->move_at_pages)
        return;
    if (group_spawn(&db->moves, "checkpoint", move_log, db, NULL))
        log_debug("the log of the database is moved at a later write");
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void write_pending(task_t *t, db_t *db)
{
    list_t items;
    list_init(&items);
    for (size_t n = 0; n < BATCH_MAX && !list_is_empty(&db->pending); n++) {
        list_t *first = db->pending.next;
        list_remove(first);
        list_push_back(&items, first);
    }
    batch_job_t job = {.db = db, .items = &items};
    db->is_writing = true;
    work(t, run_batch, &job);
    LIST_EACH (item, &items, item_t, node) {
        if (job.result)
            settle(item, job.result);
        list_remove(&item->node);
        item->is_done = true;
        event_fire(&item->changed);
    }
    watch_log(db);
    stop_writing(db);
}

err_t db_write(task_t *t, db_t *db, db_fn fn, void *arg, audit_entry_t *entry)
{
    item_t item = {.fn = fn, .arg = arg, .entry = entry};
    event_init(&item.changed);
    list_push_back(&db->pending, &item.node);
    task_shield(t);
    while (!item.is_done) {
        if (!db->is_writing)
            write_pending(t, db);
        else
            (void)!event_wait(t, &item.changed);
    }
    task_unshield(t);
    return item.result ? fail(item.result, "%s", item.text) : OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct read_job {
    db_t *db;
    sql_t *c;
    db_fn fn;
    void *arg;
    err_t result;
} read_job_t;

static err_t try_read(sql_t *c, read_job_t *job)
{
    if (sql_is_postgres(c))
        TRY(sql_run(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", SQL_NO_VALUES, NULL));
    else
        TRY(sql_run(c, "BEGIN", SQL_NO_VALUES, NULL));
    err_t e = job->fn(c, job->arg);
    error_slot_t why = *error_slot();
    if (!sql_is_lost(c))
        (void)!sql_run(c, "ROLLBACK", SQL_NO_VALUES, NULL);
    *error_slot() = why;
    return e;
}

static void run_read(void *arg)
{
    read_job_t *job = arg;
    for (int tries = 0;; tries++) {
        job->result = job->c ? OK : open_conn(job->db->database, &job->c);
        if (!job->result)
            job->result = try_read(job->c, job);
        bool is_lost = job->c && sql_is_lost(job->c);
        if (is_lost) {
            error_slot_t why = *error_slot();
            sql_free(job->c);
            job->c = NULL;
            *error_slot() = why;
        }
        if (!job->result || (job->c && !is_lost) || tries == TRIES_MAX)
            return;
        usleep((useconds_t)(RETRY_MS * 1000) << tries);
    }
}

err_t db_read(task_t *t, db_t *db, db_fn fn, void *arg)
{
    TRY(gate_enter(t, &db->gate));
    read_job_t job = {.db = db, .c = db->readers[--db->n_free], .fn = fn, .arg = arg};
    work(t, run_read, &job);
    db->readers[db->n_free++] = job.c;
    gate_leave(&db->gate);
    return job.result;
}

err_t db_read_logged(task_t *t, db_t *db, db_fn fn, void *arg, audit_entry_t *entry)
{
    if (db->mover)
        return db_write(t, db, fn, arg, entry);
    err_t e = db_read(t, db, fn, arg);
    if (!entry->action)
        return e;
    error_slot_t why = *error_slot();
    snprintf(entry->outcome, sizeof entry->outcome, "%s", e ? error_name(e) : "OK");
    TRY(db_write(t, db, NULL, NULL, entry));
    *error_slot() = why;
    return e;
}

/* ── leases ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct lease_job {
    const char *name, *holder;
    int64_t now_ms, until_ms;
    bool is_ours;
} lease_job_t;

static err_t take_lease(sql_t *c, void *arg)
{
    lease_job_t *job = arg;
    uint64_t changed;
    TRY(sql_run(
        c,
        "INSERT INTO leases (name, holder, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE "
        "SET holder = ?2, expires_at = ?3 WHERE leases.holder = ?2 OR leases.expires_at < ?4",
        SQL(SQL_TEXT(job->name), SQL_TEXT(job->holder), SQL_INT(job->until_ms), SQL_INT(job->now_ms)),
        &changed));
    job->is_ours = changed > 0;
    return OK;
}

err_t db_lease(task_t *t, db_t *db, const char *name, int64_t now_ms, int64_t for_ms, bool *ret_is_ours)
{
    lease_job_t job = {.name = name, .holder = db->name, .now_ms = now_ms, .until_ms = now_ms + for_ms};
    TRY(db_write(t, db, take_lease, &job, NULL));
    *ret_is_ours = job.is_ours;
    return OK;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
typedef struct open_job {
    db_t *db;
    size_t readers;
    err_t result;
} open_job_t;

static void run_open(void *arg)
{
    open_job_t *job = arg;
    db_t *db = job->db;
    job->result = open_conn(db->database, &db->writer);
    if (!job->result)
        job->result = schema_migrate(db->writer);
    if (!job->result && !sql_is_postgres(db->writer))
        job->result = open_conn(db->database, &db->mover);
    for (; !job->result && db->n_free < job->readers; db->n_free++)
        job->result = open_conn(db->database, &db->readers[db->n_free]);
}

static void run_close(void *arg)
{
    db_t *db = arg;
    for (size_t i = 0; i < db->n_free; i++)
        sql_free(db->readers[i]);
    sql_free(db->mover);
    sql_free(db->writer); /* the last one: SQLite moves the WAL into the database */
}

const char *db_name(const db_t *db)
{
    return db->name;
}

void db_close(task_t *t, db_t *db)
{
    if (!db)
        return;
    task_shield(t);
    group_stop(t, &db->moves);
    while (db->is_writing || !list_is_empty(&db->pending))
        (void)!event_wait(t, &db->idle);
    size_t readers = db->n_free;
    for (size_t i = 0; i < readers; i++)
        (void)!gate_enter(t, &db->gate);
    work(t, run_close, db);
    task_unshield(t);
    group_deinit(&db->moves);
    free(db->database);
    free(db);
}

err_t db_open(task_t *t, const db_options_t *o, db_t **ret)
{
    uint8_t name[16];
    db_t *db = xcalloc(1, sizeof *db);
    open_job_t job = {.db = db, .readers = o->readers ? o->readers : READERS_DEFAULT};
    assert(job.readers <= READERS_MAX);
    db->database = xstrdup(o->database);
    list_init(&db->pending);
    event_init(&db->idle);
    event_init(&db->turn);
    group_init(&db->moves, task_sched(t));
    db->log_pages_wanted = o->log_pages ? o->log_pages : LOG_PAGES_DEFAULT;
    db->move_at_pages = piece_pages(db);
    crypto_random(name, sizeof name);
    hex_text(bytes_of(name, sizeof name), db->name, sizeof db->name);
    work(t, run_open, &job);
    gate_init(&db->gate, db->n_free);
    if (job.result) {
        error_slot_t why = *error_slot();
        db_close(t, db);
        *error_slot() = why;
        return job.result;
    }
    *ret = db;
    return OK;
}
