/* versions: older versions of files go when the options say so. Chunks that no other version of the file has
 * go with them. */
#include "meta/jobs_internal.h"
#include <stdio.h>
#include <string.h>

enum { FILES_PER_LOOK = 1000, VERSIONS_PER_RUN = 50, REST_BEATS = 12 };

static int64_t before_ms(const job_t *job)
{
    return job->now_ms - job->m->options.keep_versions_s * 1000;
}

/* The next file that has versions to lose, in a part of all files; "": none there. The last file of the part
 * into `end`. */
static err_t find_file(sql_t *c, const job_t *job, const char *after, char ret_file[META_ID_CHARS + 1],
                       char end[META_ID_CHARS + 1])
{
    AUTO(sql_rows_t) r = {0};
    *ret_file = *end = 0;
    err_t e = sql_first(c, "SELECT id FROM files WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
                        SQL(SQL_TEXT(after), SQL_INT(FILES_PER_LOOK - 1)), &r);
    if (!e)
        snprintf(end, META_ID_CHARS + 1, "%s", sql_text(&r, 0));
    if (e && e != ERR_NOT_FOUND)
        return e;
    TRY(sql_close(&r));
    e = sql_first(
        c,
        "SELECT v.file_id FROM versions v JOIN files f ON f.id = v.file_id WHERE v.file_id > ?1 AND (?2 "
        "= '' OR v.file_id <= ?2) AND v.version <= f.version - ?3 AND v.created_at <= ?4 ORDER BY "
        "v.file_id LIMIT 1",
        SQL(SQL_TEXT(after), SQL_TEXT(end), SQL_INT(job->m->options.keep_versions), SQL_INT(before_ms(job))),
        &r);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    snprintf(ret_file, META_ID_CHARS + 1, "%s", sql_text(&r, 0));
    return sql_close(&r);
}

err_t look_for_old_versions(sql_t *c, void *arg)
{
    job_t *job = arg;
    meta_t *m = job->m;
    char file[META_ID_CHARS + 1], end[META_ID_CHARS + 1];
    job->is_needed = false;
    if (!m->options.keep_versions || job->now_ms < m->versions_rest_until_ms)
        return OK;
    TRY(find_file(c, job, m->versions_cursor, file, end));
    job->is_needed = *file != 0;
    if (job->is_needed)
        return OK;
    snprintf(m->versions_cursor, sizeof m->versions_cursor, "%s", end);
    if (!*end)
        m->versions_rest_until_ms = job->now_ms + REST_BEATS * m->options.heartbeat_ms;
    return OK;
}

/* is_live is 2 for what goes with this version, for as long as this transaction lasts. */
static err_t drop_version(sql_t *c, const job_t *job, const char *file, int64_t version)
{
    int64_t bytes;
    TRY(sql_run(
        c,
        "UPDATE chunks SET is_live = 2 WHERE file_id = ?1 AND is_live = 1 AND id IN (SELECT chunk_id FROM "
        "file_chunks WHERE file_id = ?1 AND version = ?2) AND id NOT IN (SELECT chunk_id FROM file_chunks "
        "WHERE file_id = ?1 AND version <> ?2)",
        SQL(SQL_TEXT(file), SQL_INT(version)), NULL));
    TRY(sql_number(c, "SELECT COALESCE(sum(size), 0) FROM chunks WHERE file_id = ?1 AND is_live = 2",
                   SQL(SQL_TEXT(file)), 0, &bytes));
    TRY(sql_run(
        c,
        "UPDATE locations SET state = 1, since = ?2 WHERE chunk_id IN (SELECT id FROM chunks WHERE file_id "
        "= ?1 AND is_live = 2)",
        SQL(SQL_TEXT(file), SQL_INT(job->now_ms)), NULL));
    TRY(sql_run(c, "UPDATE chunks SET is_live = 0 WHERE file_id = ?1 AND is_live = 2", SQL(SQL_TEXT(file)),
                NULL));
    TRY(sql_run(c, "DELETE FROM file_chunks WHERE file_id = ?1 AND version = ?2",
                SQL(SQL_TEXT(file), SQL_INT(version)), NULL));
    TRY(sql_run(c, "DELETE FROM versions WHERE file_id = ?1 AND version = ?2",
                SQL(SQL_TEXT(file), SQL_INT(version)), NULL));
    TRY(sql_run(
        c, "UPDATE users SET used_bytes = used_bytes - ?1 WHERE id = (SELECT owner FROM files WHERE id = ?2)",
        SQL(SQL_INT(bytes), SQL_TEXT(file)), NULL));
    return sql_run(c, "UPDATE files SET stored_bytes = stored_bytes - ?1 WHERE id = ?2",
                   SQL(SQL_INT(bytes), SQL_TEXT(file)), NULL);
}

static err_t load_versions(sql_t *c, const job_t *job, const char *file, int64_t *out, size_t *ret_n)
{
    AUTO(sql_rows_t) r = {0};
    *ret_n = 0;
    TRY(sql_open(c,
                 "SELECT v.version FROM versions v JOIN files f ON f.id = v.file_id WHERE v.file_id = ?1 AND "
                 "v.version <= f.version - ?2 AND v.created_at <= ?3 ORDER BY v.version LIMIT ?4",
                 SQL(SQL_TEXT(file), SQL_INT(job->m->options.keep_versions), SQL_INT(before_ms(job)),
                     SQL_INT(VERSIONS_PER_RUN)),
                 &r));
    while (sql_next(&r))
        out[(*ret_n)++] = sql_int(&r, 0);
    return sql_close(&r);
}

/* Those of one file, so that the log names it. */
err_t prune_versions(sql_t *c, void *arg)
{
    job_t *job = arg;
    int64_t versions[VERSIONS_PER_RUN];
    char file[META_ID_CHARS + 1], end[META_ID_CHARS + 1];
    job->done = 0;
    job->is_more = false;
    job->entry->action = NULL;
    TRY(find_file(c, job, job->m->versions_cursor, file, end));
    if (!*file)
        return OK;
    TRY(load_versions(c, job, file, versions, &job->done));
    for (size_t i = 0; i < job->done; i++)
        TRY(drop_version(c, job, file, versions[i]));
    job->is_more = job->done > 0;
    if (!job->done)
        return OK;
    job->entry->action = "version.prune";
    snprintf(job->entry->target, sizeof job->entry->target, "%s", file);
    snprintf(job->entry->detail, sizeof job->entry->detail, "versions %lld to %lld", (long long)versions[0],
             (long long)versions[job->done - 1]);
    return OK;
}
