/* meta: opening and closing the service, and what it makes at its first start. */
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/secret.h"
#include "meta/clock.h"
#include "meta/rotation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIGNER_BITS = 2048,
    LOGINS_AT_A_TIME = 2,
    SECRET_MAX = 4000,
    JWKS_FILE_MAX = 256 << 10,
    PATH_MAX_CHARS = 1024
};
static const char own_issuer[] = "distribute-metadata";

void meta_master(const meta_t *m, master_keys_t *ret)
{
    pthread_mutex_lock(&m->master->lock);
    *ret = m->master->keys;
    pthread_mutex_unlock(&m->master->lock);
}

void meta_set_master(meta_t *m, const master_keys_t *fresh)
{
    pthread_mutex_lock(&m->master->lock);
    m->master->keys = *fresh;
    pthread_mutex_unlock(&m->master->lock);
    m->is_announced = false;
}

/* ── secrets of the service, wrapped in the database ─────────────────────────────────────────── */
typedef struct secret_job {
    meta_t *m;
    const char *name;
    bytes_t fresh; /* kept when there is none */
    buf_t *out;
} secret_job_t;

static err_t load_or_keep(sql_t *c, void *arg)
{
    secret_job_t *job = arg;
    AUTO(sql_rows_t) r = {0};
    uint8_t text[SECRET_MAX + WRAP_EXTRA_BYTES];
    char what[WRAP_WHAT_MAX];
    AUTO(master_keys_t) master;
    meta_master(job->m, &master);
    snprintf(what, sizeof what, "secret %.64s", job->name);
    buf_clear(job->out);
    err_t e =
        sql_first(c, "SELECT key_name, wrapped FROM secrets WHERE name = ?1", SQL(SQL_TEXT(job->name)), &r);
    if (!e) {
        bytes_t wrapped = sql_blob(&r, 1);
        if (wrapped.len < WRAP_EXTRA_BYTES || wrapped.len > sizeof text)
            return fail(ERR_CORRUPT, "the secret %s of the database has an impossible length", job->name);
        TRY(master_unwrap(&master, sql_text(&r, 0), what, wrapped, text));
        e = buf_append(job->out, bytes_of(text, wrapped.len - WRAP_EXTRA_BYTES));
        secret_wipe(text, sizeof text);
        TRY(e);
        return sql_close(&r);
    }
    if (e != ERR_NOT_FOUND)
        return e;
    TRY(master_wrap(&master, what, job->fresh, text));
    TRY(sql_run(c, "INSERT INTO secrets (name, key_name, wrapped, created_at) VALUES (?1, ?2, ?3, ?4)",
                SQL(SQL_TEXT(job->name), SQL_TEXT(master.list[0].name),
                    SQL_BLOB(bytes_of(text, job->fresh.len + WRAP_EXTRA_BYTES)),
                    SQL_INT(meta_now_ms(job->m))),
                NULL));
    return buf_append(job->out, job->fresh);
}

static void wipe_buf(buf_t *b)
{
    if (b->data)
        secret_wipe(b->data, b->cap);
    buf_deinit(b);
}

static void make_signer(void *arg)
{
    private_key_t **ret = arg;
    if (private_key_generate(KEY_RSA, NULL, SIGNER_BITS, ret))
        *ret = NULL;
}

static err_t setup_signer(task_t *t, meta_t *m)
{
    AUTO_PTR(private_key_t) fresh = NULL;
    buf_t text = {0}, out = {0};
    buf_init(&text, SECRET_MAX);
    buf_init(&out, SECRET_MAX);
    work(t, make_signer, &fresh);
    err_t e =
        fresh ? private_key_data(fresh, &text) : fail(ERR_CRYPTO, "no key for signing tokens could be made");
    secret_job_t job = {.m = m, .name = "token signer", .fresh = buf_bytes(&text), .out = &out};
    if (!e)
        e = db_write(t, m->db, load_or_keep, &job, NULL);
    if (!e)
        e = private_key_from_data(KEY_RSA, buf_bytes(&out), &m->signer);
    wipe_buf(&text);
    wipe_buf(&out);
    TRY(e);
    TRY(jwks_of(m->signer, &m->own_jwks));
    char *set = json_dumps(m->own_jwks, JSON_COMPACT);
    e = set ? jwks_parse(bytes_str(set), &m->keys) : fail(ERR_NO_MEMORY, "no memory for a key");
    free(set);
    return e;
}

static err_t read_foreign_keys(task_t *t, meta_t *m)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, JWKS_FILE_MAX);
    if (!m->options.jwks_file)
        return fail(ERR_USAGE, "tokens of %s are checked with its keys: name them by --jwks-file=PATH",
                    m->options.issuer);
    TRY(fs_read_file(t, m->options.jwks_file, JWKS_FILE_MAX, &text));
    m->own_jwks = json_pack("{s:[]}", "keys");
    return jwks_parse(buf_bytes(&text), &m->keys);
}

static err_t setup_ticket_key(task_t *t, meta_t *m, const char *name, ticket_keys_t *keys)
{
    uint8_t key[TICKET_KEY_BYTES];
    buf_t out = {0};
    buf_init(&out, SECRET_MAX);
    crypto_random(key, sizeof key);
    secret_job_t job = {.m = m, .name = name, .fresh = bytes_of(key, sizeof key), .out = &out};
    err_t e = db_write(t, m->db, load_or_keep, &job, NULL);
    if (!e && out.len != TICKET_KEY_BYTES)
        e = fail(ERR_CORRUPT, "the key of tickets has an impossible length");
    if (!e) {
        keys->list[0].id = 1;
        memcpy(keys->list[0].key, out.data, TICKET_KEY_BYTES);
        keys->count = 1;
    }
    secret_wipe(key, sizeof key);
    wipe_buf(&out);
    return e;
}

err_t setup_secrets(task_t *t, meta_t *m)
{
    TRY(setup_ticket_key(t, m, "ticket key 1", &m->tickets));
    TRY(setup_ticket_key(t, m, "receipt key 1", &m->receipts));
    return strcmp(m->options.issuer, own_issuer) ? read_foreign_keys(t, m) : setup_signer(t, m);
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static const char *keep_text(meta_t *m, const char *text)
{
    if (!text)
        return NULL;
    assert(m->n_texts < ARRAY_LEN(m->texts));
    return m->texts[m->n_texts++] = xstrdup(text);
}

static void choose(int64_t *value, int64_t otherwise)
{
    if (!*value)
        *value = otherwise;
}

static void take_options(meta_t *m, const meta_options_t *o)
{
    m->options = *o;
    m->options.database = keep_text(m, o->database);
    m->options.data_folder = keep_text(m, o->data_folder);
    m->options.master_source = keep_text(m, o->master_source);
    m->options.issuer = keep_text(m, o->issuer ? o->issuer : own_issuer);
    m->options.jwks_file = keep_text(m, o->jwks_file);
    m->options.audience = keep_text(m, o->audience);
    choose(&m->options.token_ttl_s, 3600);
    choose(&m->options.heartbeat_ms, 5000);
    choose(&m->options.heal_after_ms, 600000);
    choose(&m->options.upload_ttl_ms, 86400000);
    choose(&m->options.rebalance_percent, 10);
    choose(&m->options.requests_per_s, 10000);
    choose(&m->options.logins_per_min, 30);
    choose(&m->options.refusals_per_min, 300);
}

static err_t load_master(task_t *t, meta_t *m)
{
    char source[PATH_MAX_CHARS];
    if (!m->options.master_source) {
        if (!m->options.data_folder)
            return fail(ERR_USAGE, "where the master key comes from must be said: --master-key=file:PATH");
        int len = snprintf(source, sizeof source, "file:%s/master.key", m->options.data_folder);
        if (len < 0 || (size_t)len >= sizeof source)
            return fail(ERR_USAGE, "the path of the data folder is too long");
        TRY(master_keys_make_file(t, source + 5));
        m->options.master_source = keep_text(m, source);
    }
    void *locked;
    TRY(secret_new(sizeof *m->master, &locked));
    m->master = locked;
    pthread_mutex_init(&m->master->lock, NULL);
    return master_keys_load(t, m->options.master_source, &m->master->keys);
}

static err_t start(task_t *t, meta_t *m)
{
    db_options_t o = {.database = m->options.database};
    serve_open();
    heartbeats_open();
    if (m->options.data_folder)
        TRY(fs_mkdirs(t, m->options.data_folder, 0700));
    TRY(load_master(t, m));
    TRY(db_open(t, &o, &m->db));
    TRY(clock_keep_up(t, m));
    TRY(rotation_open(t, m));
    TRY(setup_secrets(t, m));
    TRY(setup_accounts(t, m));
    return group_spawn(&m->jobs, "metadata jobs", jobs_run, m, NULL);
}

err_t meta_open(task_t *t, const meta_options_t *o, meta_t **ret)
{
    meta_t *m = xcalloc(1, sizeof *m);
    m->driver = task_driver(t);
    group_init(&m->jobs, task_sched(t));
    gate_init(&m->logins, LOGINS_AT_A_TIME);
    m->request_buckets = xcalloc(BUCKETS, sizeof *m->request_buckets);
    m->login_buckets = xcalloc(BUCKETS, sizeof *m->login_buckets);
    m->refusal_buckets = xcalloc(BUCKETS, sizeof *m->refusal_buckets);
    m->tokens = xcalloc(TOKEN_CACHE, sizeof *m->tokens);
    take_options(m, o);
    err_t e = start(t, m);
    if (e) {
        error_slot_t why = *error_slot();
        meta_close(t, m);
        *error_slot() = why;
        return e;
    }
    *ret = m;
    return OK;
}

static void free_master(locked_master_t *master)
{
    if (master)
        pthread_mutex_destroy(&master->lock);
    secret_free(master);
}

void meta_close(task_t *t, meta_t *m)
{
    if (!m)
        return;
    group_stop(t, &m->jobs);
    group_deinit(&m->jobs);
    if (m->db)
        rotation_close(t, m);
    db_close(t, m->db);
    free_master(m->master);
    secret_wipe(&m->tickets, sizeof m->tickets);
    secret_wipe(&m->receipts, sizeof m->receipts);
    private_key_free(m->signer);
    jwks_deinit(&m->keys);
    json_decref(m->own_jwks);
    free(m->request_buckets);
    free(m->login_buckets);
    free(m->refusal_buckets);
    free(m->tokens);
    for (size_t i = 0; i < m->n_texts; i++)
        free(m->texts[i]);
    free(m);
}

/* ── what is asked of it besides ─────────────────────────────────────────────────────────────── */
static err_t look(sql_t *c, void *arg)
{
    int64_t ignored;
    return sql_number(c, "SELECT audit_seq FROM writer WHERE id = 1", SQL_NO_VALUES, 0, &ignored);
}

err_t meta_is_ready(task_t *t, meta_t *m)
{
    return db_read(t, m->db, look, NULL);
}

typedef struct gauges {
    meta_t *m;
    int64_t files, chunks, stored, live_copies, nodes[3], used, audit;
} gauges_t;

static err_t read_gauges(sql_t *c, void *arg)
{
    gauges_t *g = arg;
    int64_t now = meta_now_ms(g->m), beat = g->m->options.heartbeat_ms;
    TRY(sql_number(c, "SELECT COALESCE(sum(used_files), 0) FROM users", SQL_NO_VALUES, 0, &g->files));
    TRY(sql_number(c, "SELECT COALESCE(sum(used_bytes), 0) FROM users", SQL_NO_VALUES, 0, &g->stored));
    TRY(sql_number(c, "SELECT COALESCE(sum(used_bytes), 0) FROM nodes", SQL_NO_VALUES, 0, &g->used));
    TRY(sql_number(c, "SELECT count(*) FROM nodes WHERE last_seen > ?1", SQL(SQL_INT(now - 3 * beat)), 0,
                   &g->nodes[0]));
    TRY(sql_number(c, "SELECT count(*) FROM nodes WHERE last_seen <= ?1 AND last_seen > ?2",
                   SQL(SQL_INT(now - 3 * beat), SQL_INT(now - 10 * beat)), 0, &g->nodes[1]));
    TRY(sql_number(c, "SELECT count(*) FROM nodes WHERE last_seen <= ?1", SQL(SQL_INT(now - 10 * beat)), 0,
                   &g->nodes[2]));
    return sql_number(c, "SELECT audit_seq FROM writer WHERE id = 1", SQL_NO_VALUES, 0, &g->audit);
}

err_t meta_read_gauges(task_t *t, meta_t *m)
{
    static const char *const health[] = {"health=\"healthy\"", "health=\"suspect\"", "health=\"down\""};
    gauges_t g = {.m = m};
    TRY(db_read(t, m->db, read_gauges, &g));
    metric_set(metric_gauge("fs_files", NULL, "Files of all accounts."), (double)g.files);
    metric_set(metric_gauge("fs_stored_bytes", NULL, "Bytes of all versions of all files, one copy."),
               (double)g.stored);
    metric_set(metric_gauge("fs_storage_used_bytes", NULL, "Bytes that storage nodes say they hold."),
               (double)g.used);
    metric_set(
        metric_gauge("fs_replication_factor", NULL, "Copies by storage nodes' bytes over stored bytes."),
        g.stored ? (double)g.used / (double)g.stored : 0);
    metric_set(metric_gauge("fs_audit_records", NULL, "Records of the audit log."), (double)g.audit);
    for (int i = 0; i < 3; i++)
        metric_set(metric_gauge("fs_node_health_status", health[i], "Storage nodes by health."),
                   (double)g.nodes[i]);
    return OK;
}
