/* setup: the first account and the first key of storage nodes; and work on a database without a service. */
#include "crypto/hash.h"
#include "meta/meta_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MAX_CHARS = 1024, SECRET_CHARS = 32 };

typedef struct first_job {
    meta_t *m;
    const char *kept, *node_key;
    bool is_first;
} first_job_t;

static err_t is_empty(sql_t *c, void *arg)
{
    int64_t n;
    TRY(sql_number(c, "SELECT count(*) FROM users", SQL_NO_VALUES, 0, &n));
    ((first_job_t *)arg)->is_first = n == 0;
    return OK;
}

/* A key with a secret that was agreed on outside: made, or left as it is. */
static err_t keep_node_key(sql_t *c, meta_t *m, const char *secret)
{
    AUTO(sql_rows_t) r = {0};
    char id[META_ID_CHARS + 1], owner[META_ID_CHARS + 1];
    uint8_t hash[32];
    int64_t is_there;
    sha256_of(bytes_str(secret), hash);
    TRY(sql_number(c, "SELECT 1 FROM api_keys WHERE hash = ?1", SQL(SQL_BLOB(bytes_of(hash, sizeof hash))), 0,
                   &is_there));
    if (is_there)
        return OK;
    TRY(sql_first(c, "SELECT id FROM users WHERE role = 'admin' ORDER BY created_at, id LIMIT 1",
                  SQL_NO_VALUES, &r));
    snprintf(owner, sizeof owner, "%s", sql_text(&r, 0));
    TRY(sql_close(&r));
    meta_new_id(id);
    return sql_run(
        c,
        "INSERT INTO api_keys (id, name, user_id, hash, old_until, scopes, created_at) VALUES (?1, 'storage "
        "nodes', ?2, ?3, 0, ?4, ?5)",
        SQL(SQL_TEXT(id), SQL_TEXT(owner), SQL_BLOB(bytes_of(hash, sizeof hash)), SQL_INT(MAY_KEY_NODE),
            SQL_INT(meta_now_ms(m))),
        NULL);
}

static err_t make_first(sql_t *c, void *arg)
{
    first_job_t *job = arg;
    char id[META_ID_CHARS + 1];
    TRY(is_empty(c, arg));
    if (job->is_first) {
        meta_new_id(id);
        TRY(user_insert(c, id, "admin", job->kept, "admin", -1, -1, meta_now_ms(job->m)));
    }
    return job->node_key ? keep_node_key(c, job->m, job->node_key) : OK;
}

static void random_text(const char *prefix, char *out, size_t cap)
{
    uint8_t bytes[SECRET_CHARS / 2];
    char hex[SECRET_CHARS + 1];
    crypto_random(bytes, sizeof bytes);
    snprintf(out, cap, "%s%s", prefix, hex_text(bytes_of(bytes, sizeof bytes), hex, sizeof hex));
    secret_wipe(bytes, sizeof bytes);
    secret_wipe(hex, sizeof hex);
}

static err_t leave_in_file(task_t *t, meta_t *m, const char *name, const char *secret)
{
    char path[PATH_MAX_CHARS], line[256];
    if (!m->options.data_folder)
        return fail(
            ERR_USAGE,
            "an empty database needs METADATA_ADMIN_PASSWORD and METADATA_NODE_KEY, or a data folder");
    int len = snprintf(path, sizeof path, "%s/%s", m->options.data_folder, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return fail(ERR_USAGE, "the path of the data folder is too long");
    snprintf(line, sizeof line, "%s\n", secret);
    err_t e = fs_write_file(t, path, 0600, bytes_str(line));
    secret_wipe(line, sizeof line);
    return e;
}

typedef struct keep_job {
    const char *password;
    char kept[PASSWORD_TEXT_MAX];
    err_t result;
} keep_job_t;

static void run_keep(void *arg)
{
    keep_job_t *job = arg;
    job->result = password_keep(bytes_str(job->password), job->kept);
}

/* The files are there before the accounts: a start that ends in between is made good by the next one. */
static err_t prepare_first(task_t *t, meta_t *m, first_job_t *job, keep_job_t *keep, char password[64],
                           char key[64])
{
    const meta_options_t *o = &m->options;
    if (o->admin_password)
        keep->password = o->admin_password;
    else {
        random_text("", password, 64);
        keep->password = password;
        TRY(leave_in_file(t, m, "admin-password", password));
    }
    if (!o->node_key) {
        random_text("dsk_", key, 64);
        job->node_key = key;
        TRY(leave_in_file(t, m, "node-key", key));
    }
    work(t, run_keep, keep);
    job->kept = keep->kept;
    return keep->result;
}

err_t setup_accounts(task_t *t, meta_t *m)
{
    char password[64], key[64];
    keep_job_t keep = {0};
    first_job_t job = {.m = m, .node_key = m->options.node_key};
    audit_entry_t entry = {.action = "setup", .at_ms = meta_now_ms(m), .actor = "service", .remote = "-"};
    if (m->options.node_key && strncmp(m->options.node_key, "dsk_", 4))
        return fail(ERR_USAGE, "the key of storage nodes begins with dsk_");
    TRY(db_read(t, m->db, is_empty, &job));
    err_t e = job.is_first ? prepare_first(t, m, &job, &keep, password, key) : OK;
    if (!e && (job.is_first || job.node_key))
        e = db_write(t, m->db, make_first, &job, &entry);
    secret_wipe(password, sizeof password);
    secret_wipe(key, sizeof key);
    return e;
}

/* ── without a service ───────────────────────────────────────────────────────────────────────── */
typedef struct tool_job {
    const char *database, *path;
    audit_check_t check;
    err_t result;
} tool_job_t;

static err_t open_existing(const char *database, sql_t **ret)
{
    bool is_url = !strncmp(database, "postgres://", 11) || !strncmp(database, "postgresql://", 13);
    return is_url ? sql_postgres_open(database, ret) : sql_sqlite_open(database, ret);
}

static void run_verify(void *arg)
{
    tool_job_t *job = arg;
    sql_t *c;
    job->result = open_existing(job->database, &c);
    if (job->result)
        return;
    job->result = audit_verify(c, &job->check);
    error_slot_t why = *error_slot();
    sql_free(c);
    *error_slot() = why;
}

/* Opening makes the file of a database that is not there: a mistyped path must not. */
static err_t check_is_there(task_t *t, const char *database)
{
    file_info_t info;
    if (!strncmp(database, "postgres", 8) && strstr(database, "://"))
        return OK;
    err_t e = fs_stat(t, database, true, &info);
    return e == ERR_NOT_FOUND ? fail(e, "there is no database %s", database) : e;
}

err_t meta_verify_audit(task_t *t, const char *database, int64_t *ret_records, char ret_head[65])
{
    tool_job_t job = {.database = database};
    TRY(check_is_there(t, database));
    work(t, run_verify, &job);
    TRY(job.result);
    if (!job.check.is_intact)
        return fail(ERR_CORRUPT, "the audit log was changed: %s, at record %lld", job.check.why,
                    (long long)job.check.first_bad_seq);
    *ret_records = job.check.records;
    hex_text(bytes_of(job.check.head, sizeof job.check.head), ret_head, 65);
    return OK;
}

/* Hashes of passwords and the log are in it: SQLite takes an empty file as it is, and would make one that
 * others may read. */
static err_t make_backup_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(error_from_errno(errno), "cannot make %s", path);
    close(fd);
    return OK;
}

static void run_backup(void *arg)
{
    tool_job_t *job = arg;
    sql_t *c;
    job->result = sql_sqlite_open(job->database, &c);
    if (job->result)
        return;
    job->result = make_backup_file(job->path);
    if (!job->result) {
        job->result = sql_run(c, "VACUUM INTO ?1", SQL(SQL_TEXT(job->path)), NULL);
        if (job->result)
            unlink(job->path);
    }
    error_slot_t why = *error_slot();
    sql_free(c);
    *error_slot() = why;
}

err_t meta_backup(task_t *t, const char *database, const char *path)
{
    file_info_t info;
    tool_job_t job = {.database = database, .path = path};
    if (strstr(database, "://"))
        return fail(ERR_UNSUPPORTED, "a PostgreSQL database is backed up by pg_dump");
    TRY(check_is_there(t, database));
    if (!fs_stat(t, path, true, &info))
        return fail(ERR_EXISTS, "%s is there already", path);
    work(t, run_backup, &job);
    return job.result;
}
