/* jobs: what happens without being asked for. Each job works under a lease, so that one of several services
 * does it, in small transactions that others' writes pass between; one that ends in the middle goes on where
 * the database says. */
#include "base/log.h"
#include "meta/clock.h"
#include "meta/jobs_internal.h"
#include "meta/rotation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MAX_MS = 1000,
    TICK_MIN_MS = 100,
    LEASE_MS = 4000,
    EXPIRED_PER_RUN = 200,
    SCANNED_PER_RUN = 500,
    HEALED_PER_RUN = 100,
    HEAL_REST_MS = 10000,
    REWRAPPED_PER_RUN = 200,
    PLANNED_TTL_MS = 600000
};

/* ── uploads that were never committed ───────────────────────────────────────────────────────── */
/* "state > 0" stands there for SQLite: it takes an index of some rows only by the words that it was made
 * with, and reads all locations otherwise. */
static err_t look_for_old(sql_t *c, void *arg)
{
    job_t *job = arg;
    int64_t found;
    TRY(sql_number(
        c,
        "SELECT EXISTS (SELECT 1 FROM uploads WHERE expires_at <= ?1) OR EXISTS (SELECT 1 FROM revoked WHERE "
        "expires_at <= ?1) OR EXISTS (SELECT 1 FROM locations WHERE state > 0 AND state = 2 AND since <= ?2)",
        SQL(SQL_INT(job->now_ms), SQL_INT(job->now_ms - PLANNED_TTL_MS)), 0, &found));
    job->is_needed = found != 0;
    return OK;
}

static err_t expire_uploads(sql_t *c, void *arg)
{
    job_t *job = arg;
    char(*ids)[META_ID_CHARS + 1] = xcalloc(EXPIRED_PER_RUN, sizeof *ids);
    AUTO(sql_rows_t) r = {0};
    size_t n = 0;
    err_t e = sql_open(c, "SELECT id FROM uploads WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
                       SQL(SQL_INT(job->now_ms), SQL_INT(EXPIRED_PER_RUN)), &r);
    while (!e && sql_next(&r))
        snprintf(ids[n++], sizeof ids[0], "%s", sql_text(&r, 0));
    if (!e)
        e = sql_close(&r);
    for (size_t i = 0; i < n && !e; i++)
        e = upload_forget(c, ids[i]);
    free(ids);
    TRY(e);
    TRY(sql_run(c, "DELETE FROM revoked WHERE expires_at <= ?1", SQL(SQL_INT(job->now_ms)), NULL));
    TRY(sql_run(c, "DELETE FROM locations WHERE state > 0 AND state = 2 AND since <= ?1",
                SQL(SQL_INT(job->now_ms - PLANNED_TTL_MS)), NULL));
    job->done = n;
    job->is_more = n == EXPIRED_PER_RUN;
    job->entry->action = n ? "upload.expire" : NULL;
    snprintf(job->entry->detail, sizeof job->entry->detail, "uploads=%zu", n);
    return OK;
}

/* ── chunks with too few copies, or too many ─────────────────────────────────────────────────── */
err_t load_copies(sql_t *c, const job_t *job, const char *chunk, copy_t *out, size_t *ret_n)
{
    AUTO(sql_rows_t) r = {0};
    const meta_options_t *o = &job->m->options;
    size_t n = 0;
    TRY(sql_open(c,
                 "SELECT l.node_id, n.state, n.last_seen, l.state, n.checked, (SELECT incarnation FROM "
                 "service), n.zone, n.used_bytes, n.capacity_bytes FROM locations l JOIN nodes n ON n.id = "
                 "l.node_id WHERE "
                 "l.chunk_id = ?1 AND l.state <> 1 ORDER BY l.node_id LIMIT ?2",
                 SQL(SQL_TEXT(chunk), SQL_INT(COPIES_MAX)), &r));
    while (sql_next(&r)) {
        copy_t *k = &out[n++];
        snprintf(k->node, sizeof k->node, "%s", sql_text(&r, 0));
        k->is_good = !strcmp(sql_text(&r, 1), "active") && sql_int(&r, 2) > job->now_ms - o->heal_after_ms;
        k->is_alive = sql_int(&r, 2) > job->now_ms - 3 * o->heartbeat_ms;
        k->is_planned = sql_int(&r, 3) == LOCATION_PLANNED;
        k->is_sure = sql_int(&r, 4) == sql_int(&r, 5);
        snprintf(k->zone, sizeof k->zone, "%s", sql_text(&r, 6));
        k->fill = (double)sql_int(&r, 7) / (double)(sql_int(&r, 8) > 0 ? sql_int(&r, 8) : 1);
    }
    *ret_n = n;
    return sql_close(&r);
}

static err_t order_copies(sql_t *c, job_t *job, const char *chunk, int64_t size, size_t want,
                          const copy_t *copies, size_t n, const place_node_t *nodes, size_t n_nodes)
{
    size_t chosen[REPLICATION_MAX];
    bool *taken = xcalloc(n_nodes + 1, sizeof *taken);
    for (size_t i = 0; i < n_nodes; i++)
        for (size_t k = 0; k < n; k++)
            taken[i] = taken[i] || !strcmp(nodes[i].id, copies[k].node);
    size_t got = place_choose(nodes, n_nodes, chunk, size, want, taken, chosen);
    free(taken);
    job->done += got > 0;
    for (size_t i = 0; i < got; i++)
        TRY(sql_run(c,
                    "INSERT INTO locations (chunk_id, node_id, state, since) VALUES (?1, ?2, 2, ?3) ON "
                    "CONFLICT (chunk_id, "
                    "node_id) DO NOTHING",
                    SQL(SQL_TEXT(chunk), SQL_TEXT(nodes[chosen[i]].id), SQL_INT(job->now_ms)), NULL));
    return OK;
}

/* Whether another copy is in the same zone: without the one, as many zones have one. */
static bool is_zone_shared(const copy_t *copies, size_t n, size_t at)
{
    for (size_t i = 0; i < n; i++)
        if (i != at && copies[i].is_good && !copies[i].is_planned && !strcmp(copies[i].zone, copies[at].zone))
            return true;
    return false;
}

/* Copies of nodes that are being drained go first, then those whose zone has another one, of the fullest
 * node. */
static bool goes_before(const copy_t *copies, size_t n, size_t a, size_t b)
{
    if (copies[a].is_good != copies[b].is_good)
        return !copies[a].is_good;
    bool shares_a = is_zone_shared(copies, n, a), shares_b = is_zone_shared(copies, n, b);
    return shares_a != shares_b ? shares_a : copies[a].fill > copies[b].fill;
}

/* One copy at a time goes, and only while enough others are alive. */
static err_t drop_copy(sql_t *c, job_t *job, const char *chunk, const copy_t *copies, size_t n,
                       size_t replication)
{
    size_t alive = 0, victim = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        alive += copies[i].is_good && copies[i].is_alive && copies[i].is_sure && !copies[i].is_planned;
    for (size_t i = 0; i < n; i++)
        if (copies[i].is_alive && !copies[i].is_planned && (!copies[i].is_good || alive > replication) &&
            (victim == SIZE_MAX || goes_before(copies, n, i, victim)))
            victim = i;
    if (alive < replication || victim == SIZE_MAX)
        return OK;
    job->done++;
    return sql_run(
        c, "UPDATE locations SET state = 1, since = ?1 WHERE chunk_id = ?2 AND node_id = ?3 AND state = 0",
        SQL(SQL_INT(job->now_ms), SQL_TEXT(chunk), SQL_TEXT(copies[victim].node)), NULL);
}

/* Copies that count, with those that are ordered; and those that are there. */
static void count_copies(const copy_t *copies, size_t n, size_t *ret_good, size_t *ret_stored)
{
    *ret_good = *ret_stored = 0;
    for (size_t i = 0; i < n; i++) {
        *ret_good += copies[i].is_good;
        *ret_stored += !copies[i].is_planned;
    }
}

static err_t heal_chunk(sql_t *c, job_t *job, const char *chunk, int64_t size, size_t replication,
                        const place_node_t *nodes, size_t n_nodes)
{
    copy_t copies[COPIES_MAX];
    size_t n, good, stored;
    TRY(load_copies(c, job, chunk, copies, &n));
    count_copies(copies, n, &good, &stored);
    if (stored && good < replication)
        return order_copies(c, job, chunk, size, replication - good, copies, n, nodes, n_nodes);
    return stored > replication ? drop_copy(c, job, chunk, copies, n, replication) : OK;
}

static const char next_chunks[] =
    "SELECT id, size, replication FROM chunks WHERE id > ?1 AND is_live = 1 ORDER BY id LIMIT ?2";

static bool is_out_of_balance(const copy_t *copies, size_t n, size_t replication)
{
    size_t good, stored;
    count_copies(copies, n, &good, &stored);
    return (stored && good < replication) || stored > replication;
}

/* A part of all chunks each time, by their ids; the first part again when all were seen. Stops before the
 * first chunk that needs care. */
static err_t look_for_ill(sql_t *c, void *arg)
{
    job_t *job = arg;
    char cursor[META_CHUNK_ID_CHARS + 1];
    AUTO(sql_rows_t) r = {0};
    copy_t copies[COPIES_MAX];
    int64_t is_drained;
    size_t seen = 0, n;
    job->is_needed = false;
    if (job->now_ms < job->m->heal_rests_until_ms)
        return OK;
    snprintf(cursor, sizeof cursor, "%s", job->m->heal_cursor);
    TRY(sql_open(c, next_chunks, SQL(SQL_TEXT(cursor), SQL_INT(SCANNED_PER_RUN)), &r));
    for (; !job->is_needed && sql_next(&r); seen++) {
        TRY(load_copies(c, job, sql_text(&r, 0), copies, &n));
        job->is_needed = is_out_of_balance(copies, n, (size_t)sql_int(&r, 2));
        if (!job->is_needed)
            snprintf(cursor, sizeof cursor, "%s", sql_text(&r, 0));
    }
    TRY(sql_close(&r));
    TRY(sql_number(c,
                   "SELECT 1 FROM nodes WHERE state = 'draining' AND NOT EXISTS (SELECT 1 FROM locations l "
                   "WHERE l.node_id "
                   "= nodes.id) LIMIT 1",
                   SQL_NO_VALUES, 0, &is_drained));
    snprintf(job->m->heal_cursor, sizeof job->m->heal_cursor, "%s",
             job->is_needed || seen == SCANNED_PER_RUN ? cursor : "");
    job->is_needed = job->is_needed || is_drained;
    return OK;
}

static err_t heal(sql_t *c, void *arg)
{
    job_t *job = arg;
    char cursor[META_CHUNK_ID_CHARS + 1];
    AUTO(sql_rows_t) r = {0};
    place_node_t *nodes = xcalloc(CANDIDATES_MAX, sizeof *nodes);
    size_t n_nodes = 0, n = 0;
    uint64_t drained;
    snprintf(cursor, sizeof cursor, "%s", job->m->heal_cursor);
    job->done = 0;
    err_t e = place_load(c, job->m, job->now_ms, nodes, &n_nodes);
    if (!e)
        e = sql_open(c, next_chunks, SQL(SQL_TEXT(cursor), SQL_INT(HEALED_PER_RUN)), &r);
    for (; !e && sql_next(&r); n++) {
        snprintf(cursor, sizeof cursor, "%s", sql_text(&r, 0));
        e = heal_chunk(c, job, cursor, sql_int(&r, 1), (size_t)sql_int(&r, 2), nodes, n_nodes);
    }
    free(nodes);
    TRY(e);
    TRY(sql_close(&r));
    TRY(sql_run(c,
                "UPDATE nodes SET state = 'drained' WHERE state = 'draining' AND NOT EXISTS (SELECT 1 FROM "
                "locations l "
                "WHERE l.node_id = nodes.id)",
                SQL_NO_VALUES, &drained));
    snprintf(job->m->heal_cursor, sizeof job->m->heal_cursor, "%s", n == HEALED_PER_RUN ? cursor : "");
    /* Where nothing can be done, for want of nodes, it is not tried again at once. */
    if (!job->done && !drained && n < HEALED_PER_RUN)
        job->m->heal_rests_until_ms = job->now_ms + HEAL_REST_MS;
    job->is_more = job->done && n == HEALED_PER_RUN;
    job->entry->action = job->done ? "chunk.heal" : NULL;
    snprintf(job->entry->detail, sizeof job->entry->detail, "chunks=%zu", job->done);
    return OK;
}

/* ── a new master key ────────────────────────────────────────────────────────────────────────── */
typedef struct wrapped_row {
    char id[128];
    char key_name[MASTER_NAME_CHARS + 1];
    uint8_t wrapped[4096];
    size_t len;
} wrapped_row_t;

static err_t rewrap(const master_keys_t *master, const char *kind, wrapped_row_t *row)
{
    uint8_t plain[sizeof row->wrapped];
    char what[WRAP_WHAT_MAX];
    size_t len = row->len - WRAP_EXTRA_BYTES;
    snprintf(what, sizeof what, "%s %.64s", kind, row->id);
    TRY(master_unwrap(master, row->key_name, what, bytes_of(row->wrapped, row->len), plain));
    err_t e = master_wrap(master, what, bytes_of(plain, len), row->wrapped);
    secret_wipe(plain, len);
    return e;
}

static err_t load_wrapped(sql_t *c, const char *text, const char *newest, wrapped_row_t *rows, size_t *ret_n)
{
    AUTO(sql_rows_t) r = {0};
    *ret_n = 0;
    TRY(sql_open(c, text, SQL(SQL_TEXT(newest), SQL_INT(REWRAPPED_PER_RUN)), &r));
    while (sql_next(&r)) {
        wrapped_row_t *row = &rows[(*ret_n)++];
        bytes_t wrapped = sql_blob(&r, 2);
        if (wrapped.len > sizeof row->wrapped || wrapped.len < WRAP_EXTRA_BYTES)
            return fail(ERR_CORRUPT, "a wrapped key of %zu bytes", wrapped.len);
        snprintf(row->id, sizeof row->id, "%s", sql_text(&r, 0));
        snprintf(row->key_name, sizeof row->key_name, "%s", sql_text(&r, 1));
        memcpy(row->wrapped, wrapped.data, wrapped.len);
        row->len = wrapped.len;
    }
    return sql_close(&r);
}

static err_t rewrap_rows(sql_t *c, const master_keys_t *master, const char *kind, const char *select,
                         const char *update, size_t *ret_done)
{
    wrapped_row_t *rows = xcalloc(REWRAPPED_PER_RUN, sizeof *rows);
    err_t e = load_wrapped(c, select, master->list[0].name, rows, ret_done);
    for (size_t i = 0; i < *ret_done && !e; i++) {
        e = rewrap(master, kind, &rows[i]);
        if (!e)
            e = sql_run(c, update,
                        SQL(SQL_TEXT(master->list[0].name), SQL_BLOB(bytes_of(rows[i].wrapped, rows[i].len)),
                            SQL_TEXT(rows[i].id)),
                        NULL);
    }
    free(rows);
    return e;
}

static err_t look_for_old_keys(sql_t *c, void *arg)
{
    job_t *job = arg;
    int64_t found;
    bool is_current;
    AUTO(master_keys_t) master;
    meta_master(job->m, &master);
    job->is_needed = false;
    TRY(rotation_is_current(c, &master, &is_current));
    if (!is_current)
        return OK;
    TRY(sql_number(c,
                   "SELECT EXISTS (SELECT 1 FROM files WHERE (key_name > '' AND key_name < ?1) OR key_name > "
                   "?1) OR EXISTS "
                   "(SELECT 1 FROM secrets WHERE key_name <> ?1)",
                   SQL(SQL_TEXT(master.list[0].name)), 0, &found));
    job->is_needed = found != 0;
    return OK;
}

/* What the newest key did not wrap is wrapped again, a part at a time, until nothing is left. */
static err_t rotate(sql_t *c, void *arg)
{
    job_t *job = arg;
    size_t files, secrets;
    bool is_current;
    AUTO(master_keys_t) master;
    meta_master(job->m, &master);
    job->is_more = false;
    job->entry->action = NULL;
    TRY(rotation_is_current(c, &master, &is_current));
    if (!is_current) /* it was changed since the look: the next tick follows */
        return OK;
    TRY(rewrap_rows(c, &master, "file",
                    "SELECT id, key_name, wrapped FROM files WHERE (key_name > '' AND key_name < ?1) OR "
                    "key_name > ?1 LIMIT ?2",
                    "UPDATE files SET key_name = ?1, wrapped = ?2 WHERE id = ?3", &files));
    TRY(rewrap_rows(c, &master, "secret",
                    "SELECT name, key_name, wrapped FROM secrets WHERE key_name <> ?1 LIMIT ?2",
                    "UPDATE secrets SET key_name = ?1, wrapped = ?2 WHERE name = ?3", &secrets));
    job->done = files + secrets;
    job->is_more = files == REWRAPPED_PER_RUN;
    job->entry->action = job->done ? "master.rewrap" : NULL;
    snprintf(job->entry->detail, sizeof job->entry->detail, "keys=%zu to %s", job->done, master.list[0].name);
    return OK;
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────── */
static const struct {
    const char *name;
    db_fn look, run;
} jobs[] = {
    {"uploads", look_for_old, expire_uploads},       {"heal", look_for_ill, heal},
    {"balance", look_for_imbalance, balance},        {"versions", look_for_old_versions, prune_versions},
    {"master", look_for_next_master, switch_master}, {"rotate", look_for_old_keys, rotate}};

static err_t run_one(task_t *t, meta_t *m, size_t i)
{
    for (;;) {
        audit_entry_t entry = {.at_ms = meta_now_ms(m), .actor = "service", .remote = "-"};
        job_t job = {.m = m, .now_ms = meta_now_ms(m), .entry = &entry};
        bool is_ours;
        TRY(db_read(t, m->db, jobs[i].look, &job));
        if (!job.is_needed)
            return OK;
        TRY(db_lease(t, m->db, jobs[i].name, job.now_ms, LEASE_MS, &is_ours));
        if (!is_ours)
            return OK;
        TRY(db_write(t, m->db, jobs[i].run, &job, &entry));
        if (!job.is_more)
            return OK;
        TRY(task_check(t));
    }
}

err_t jobs_run(task_t *t, void *arg)
{
    meta_t *m = arg;
    int64_t tick_ms = m->options.heartbeat_ms;
    tick_ms = tick_ms > TICK_MAX_MS ? TICK_MAX_MS : tick_ms < TICK_MIN_MS ? TICK_MIN_MS : tick_ms;
    for (;;) {
        TRY(task_sleep(t, (uint64_t)tick_ms));
        err_t behind = clock_keep_up(t, m);
        if (!behind)
            behind = rotation_keep_up(t, m);
        if (behind == ERR_CANCELED)
            return behind;
        if (behind)
            log_warn("the time, or which master key is in force, could not be learned", LOG_ERR(behind));
        for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
            err_t e = run_one(t, m, i);
            if (e == ERR_CANCELED)
                return e;
            if (e)
                log_warn("a background job failed and is tried again", LOG_STR("job", jobs[i].name),
                         LOG_ERR(e));
        }
    }
}
