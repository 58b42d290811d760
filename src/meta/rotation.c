/* rotation: which master key is in force, for all services over one database.
 *
 * The database says which key wraps (`master`) and which one is to (`next_master`). Each service announces
 * the names of the keys that it has; one that misses the next key reads its source again by itself. When
 * every service that was heard of lately has it, one of them puts it in force, and the job that rotates wraps
 * again what older keys wrapped. So no service ever meets a file whose key it cannot open. */
#include "meta/rotation.h"
#include "base/log.h"
#include "meta/jobs_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANNOUNCE_MS = 5000,
    LIVE_MS = 15000,
    GONE_MS = 600000,
    RELOAD_MS = 2000,
    NAMES_MAX = MASTER_KEYS_MAX * 17 + 1
};

typedef struct rotation {
    char master[MASTER_NAME_CHARS + 1], next[MASTER_NAME_CHARS + 1]; /* next "": no change is wanted */
} rotation_t;

static err_t read_rotation(sql_t *c, void *arg)
{
    rotation_t *ret = arg;
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT master, next_master FROM service WHERE id = 1", SQL_NO_VALUES, &r));
    snprintf(ret->master, sizeof ret->master, "%s", sql_text(&r, 0));
    snprintf(ret->next, sizeof ret->next, "%s", sql_text(&r, 1));
    return sql_close(&r);
}

/* The key in force comes first. */
static void put_first(master_keys_t *k, const char *name)
{
    for (size_t i = 1; i < k->count; i++)
        if (!strcmp(k->list[i].name, name)) {
            master_key_t first = k->list[i];
            memmove(&k->list[1], &k->list[0], i * sizeof k->list[0]);
            k->list[0] = first;
            secret_wipe(&first, sizeof first);
        }
}

/* ── announcing ──────────────────────────────────────────────────────────────────────────────── */
static err_t announce_keys(sql_t *c, const meta_t *m, const master_keys_t *k)
{
    char names[NAMES_MAX] = "";
    int64_t now_ms = meta_now_ms(m);
    for (size_t i = 0; i < k->count; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", k->list[i].name);
    TRY(sql_run(c, "DELETE FROM services WHERE seen_at < ?1", SQL(SQL_INT(now_ms - GONE_MS)), NULL));
    return sql_run(
        c,
        "INSERT INTO services (holder, seen_at, masters) VALUES (?1, ?2, ?3) ON CONFLICT (holder) DO "
        "UPDATE SET seen_at = ?2, masters = ?3",
        SQL(SQL_TEXT(db_name(m->db)), SQL_INT(now_ms), SQL_TEXT(names)), NULL);
}

static err_t announce(sql_t *c, void *arg)
{
    AUTO(master_keys_t) k;
    meta_master(arg, &k);
    return announce_keys(c, arg, &k);
}

static err_t leave(sql_t *c, void *arg)
{
    const meta_t *m = arg;
    return sql_run(c, "DELETE FROM services WHERE holder = ?1", SQL(SQL_TEXT(db_name(m->db))), NULL);
}

/* How many services that were heard of lately lack the key. Over SQLite there is one. */
static err_t count_lacking(sql_t *c, const meta_t *m, int64_t now_ms, const char *name, int64_t *ret)
{
    AUTO(sql_rows_t) r = {0};
    int64_t since_ms = sql_is_postgres(c) ? now_ms - LIVE_MS : INT64_MAX / 2;
    *ret = 0;
    TRY(sql_open(c, "SELECT masters FROM services WHERE holder = ?1 OR seen_at > ?2 LIMIT 1000",
                 SQL(SQL_TEXT(db_name(m->db)), SQL_INT(since_ms)), &r));
    while (sql_next(&r))
        *ret += !strstr(sql_text(&r, 0), name);
    return sql_close(&r);
}

/* ── opening, closing ────────────────────────────────────────────────────────────────────────── */
static err_t begin(sql_t *c, void *arg)
{
    meta_t *m = arg;
    const char *first = m->source_first;
    rotation_t now;
    TRY(read_rotation(c, &now));
    if (!now.master[0]) {
        snprintf(now.master, sizeof now.master, "%s", first);
        TRY(sql_run(c, "UPDATE service SET master = ?1 WHERE id = 1", SQL(SQL_TEXT(first)), NULL));
    }
    AUTO(master_keys_t) k;
    meta_master(m, &k);
    if (!master_keys_have(&k, now.master))
        return fail(ERR_NOT_FOUND, "the database is wrapped by the master key %s, which is not here: add it",
                    now.master);
    if (strcmp(now.master, first))
        TRY(sql_run(c, "UPDATE service SET next_master = ?1 WHERE id = 1", SQL(SQL_TEXT(first)), NULL));
    put_first(&k, now.master);
    meta_set_master(m, &k);
    return announce_keys(c, m, &k);
}

err_t rotation_open(task_t *t, meta_t *m)
{
    snprintf(m->source_first, sizeof m->source_first, "%s", m->master->keys.list[0].name);
    TRY(db_write(t, m->db, begin, m, NULL));
    m->announced_at_ms = meta_now_ms(m);
    m->is_announced = true;
    return OK;
}

void rotation_close(task_t *t, meta_t *m)
{
    if (m->is_announced && db_write(t, m->db, leave, m, NULL))
        log_debug("this service could not take its leave");
}

/* ── keeping up ──────────────────────────────────────────────────────────────────────────────── */
/* Another service was told of a key that is not here: it may be in the source by now. */
static err_t reload(task_t *t, meta_t *m, const rotation_t *now)
{
    AUTO(master_keys_t) fresh = {0};
    err_t e = master_keys_load(t, m->options.master_source, &fresh);
    const char *wanted = now->next[0] ? now->next : now->master;
    if (!e && master_keys_have(&fresh, wanted) && master_keys_have(&fresh, now->master)) {
        put_first(&fresh, now->master);
        meta_set_master(m, &fresh);
        return OK;
    }
    log_warn("another service uses a master key that the source of this one lacks", LOG_STR("key", wanted));
    return e;
}

err_t rotation_keep_up(task_t *t, meta_t *m)
{
    rotation_t now;
    int64_t now_ms = meta_now_ms(m);
    AUTO(master_keys_t) k = {0};
    TRY(db_read(t, m->db, read_rotation, &now));
    meta_master(m, &k);
    bool lacks = !master_keys_have(&k, now.master) || (now.next[0] && !master_keys_have(&k, now.next));
    if (lacks && now_ms - m->reloaded_at_ms >= RELOAD_MS) {
        m->reloaded_at_ms = now_ms;
        TRY(reload(t, m, &now));
    } else if (!lacks && strcmp(k.list[0].name, now.master)) {
        put_first(&k, now.master);
        meta_set_master(m, &k);
    }
    bool is_due = strstr(m->options.database, "://") && now_ms - m->announced_at_ms >= ANNOUNCE_MS;
    if (m->is_announced && !is_due)
        return OK;
    TRY(db_write(t, m->db, announce, m, NULL));
    m->announced_at_ms = now_ms;
    m->is_announced = true;
    return OK;
}

err_t look_for_next_master(sql_t *c, void *arg)
{
    job_t *job = arg;
    rotation_t now;
    int64_t lacking = 0;
    TRY(read_rotation(c, &now));
    if (now.next[0])
        TRY(count_lacking(c, job->m, job->now_ms, now.next, &lacking));
    job->is_needed = now.next[0] && !lacking;
    return OK;
}

err_t switch_master(sql_t *c, void *arg)
{
    job_t *job = arg;
    rotation_t now;
    TRY(look_for_next_master(c, job));
    TRY(read_rotation(c, &now));
    job->is_more = false;
    job->entry->action = job->is_needed && strcmp(now.next, now.master) ? "master.switch" : NULL;
    snprintf(job->entry->target, sizeof job->entry->target, "%s", now.next);
    return job->is_needed
               ? sql_run(c, "UPDATE service SET master = next_master, next_master = '' WHERE id = 1",
                         SQL_NO_VALUES, NULL)
               : OK;
}

/* ── wrapping ────────────────────────────────────────────────────────────────────────────────── */
err_t rotation_wrap(sql_t *c, const meta_t *m, const char *what, bytes_t plain, uint8_t *out,
                    char ret_name[MASTER_NAME_CHARS + 1])
{
    rotation_t now;
    AUTO(master_keys_t) k;
    meta_master(m, &k);
    TRY(read_rotation(c, &now));
    if (!master_keys_have(&k, now.master))
        return fail(ERR_CLOSED, "the master key is being changed: try again in a moment");
    memcpy(ret_name, now.master, sizeof now.master);
    return master_wrap_by(&k, now.master, what, plain, out);
}

err_t rotation_is_current(sql_t *c, const master_keys_t *k, bool *ret)
{
    rotation_t now;
    TRY(read_rotation(c, &now));
    *ret = !strcmp(k->list[0].name, now.master);
    return OK;
}

/* ── as admins see it ────────────────────────────────────────────────────────────────────────── */
static err_t answer_master(sql_t *c, meta_call_t *call, int status)
{
    int64_t left, secrets, lacking;
    rotation_t now;
    TRY(read_rotation(c, &now));
    const char *name = now.next[0] ? now.next : now.master;
    TRY(sql_number(c, "SELECT count(*) FROM files WHERE key_name <> ?1 AND key_name <> ''",
                   SQL(SQL_TEXT(name)), 0, &left));
    TRY(sql_number(c, "SELECT count(*) FROM secrets WHERE key_name <> ?1", SQL(SQL_TEXT(name)), 0, &secrets));
    TRY(count_lacking(c, call->m, call->now_ms, name, &lacking));
    left += secrets;
    return call_answer(call, status,
                       json_pack("{s:s s:I s:b s:I}", "current_key", name, "files_left", (json_int_t)left,
                                 "is_rotating", left > 0 || now.next[0], "services_lacking",
                                 (json_int_t)lacking));
}

OP(op_master_status)
{
    return answer_master(c, call, 200);
}

/* Reads the master keys again from where they come from; the job of rotation wraps by the newest of them. */
err_t prepare_master_rotate(task_t *t, meta_call_t *call)
{
    call->new_master = xcalloc(1, sizeof *call->new_master);
    TRY(master_keys_load(t, call->m->options.master_source, call->new_master));
    snprintf(call->next_master, sizeof call->next_master, "%s", call->new_master->list[0].name);
    return OK;
}

/* Whatever is wrapped must open with the new keys: else no file could be read from then on. */
static err_t check_covers(sql_t *c, const master_keys_t *fresh)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_open(c,
                 "SELECT key_name FROM secrets UNION SELECT DISTINCT key_name FROM files WHERE key_name > '' "
                 "UNION SELECT master FROM service",
                 SQL_NO_VALUES, &r));
    while (sql_next(&r))
        if (!master_keys_have(fresh, sql_text(&r, 0)))
            return fail(ERR_INVALID,
                        "the master key %.16s is in use and not among the new ones: add it below",
                        sql_text(&r, 0));
    return sql_close(&r);
}

OP(op_master_rotate)
{
    rotation_t now;
    call_note(call, call->next_master, "%s", "");
    TRY(check_covers(c, call->new_master));
    TRY(read_rotation(c, &now));
    put_first(call->new_master, now.master);
    TRY(sql_run(c, "UPDATE service SET next_master = CASE WHEN master = ?1 THEN '' ELSE ?1 END WHERE id = 1",
                SQL(SQL_TEXT(call->next_master)), NULL));
    TRY(announce_keys(c, call->m, call->new_master));
    return answer_master(c, call, 202);
}
