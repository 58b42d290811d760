/* users: accounts, quotas, logging in and out. */
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 1024, FAILED_LOGINS_MAX = 5, LOCK_MS = 60000 };

unsigned role_may(const char *role)
{
    return !strcmp(role, "admin")      ? MAY_ADMIN
           : !strcmp(role, "user")     ? MAY_USER
           : !strcmp(role, "readonly") ? MAY_READONLY
                                       : 0;
}

json_t *user_json(sql_rows_t *r)
{
    return json_pack("{s:s s:s s:s s:b s:o s:o s:I s:I s:I s:o}", "id", sql_text(r, 0), "username",
                     sql_text(r, 1), "role", sql_text(r, 2), "is_disabled", (int)sql_int(r, 3), "quota_bytes",
                     json_nullable(sql_is_null(r, 4) ? -1 : sql_int(r, 4)), "quota_files",
                     json_nullable(sql_is_null(r, 5) ? -1 : sql_int(r, 5)), "used_bytes",
                     (json_int_t)sql_int(r, 6), "used_files", (json_int_t)sql_int(r, 7), "reserved_bytes",
                     (json_int_t)sql_int(r, 8), "created_at", json_time(sql_int(r, 9)));
}

static sql_value_t nullable(int64_t v)
{
    return v < 0 ? SQL_NULL : SQL_INT(v);
}

err_t user_insert(sql_t *c, const char *id, const char *username, const char *kept_password, const char *role,
                  int64_t quota_bytes, int64_t quota_files, int64_t now_ms)
{
    int64_t is_there;
    TRY(sql_number(c, "SELECT 1 FROM users WHERE username = ?1", SQL(SQL_TEXT(username)), 0, &is_there));
    if (is_there)
        return fail(ERR_EXISTS, "there is an account %s already", username);
    return sql_run(
        c,
        "INSERT INTO users (id, username, password, role, is_disabled, quota_bytes, quota_files, used_bytes, "
        "used_files, reserved_bytes, reserved_files, failed_logins, locked_until, tokens_since, created_at) "
        "VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, 0, 0, 0, 0, 0, 0, 0, ?7)",
        SQL(SQL_TEXT(id), SQL_TEXT(username), SQL_TEXT(kept_password), SQL_TEXT(role), nullable(quota_bytes),
            nullable(quota_files), SQL_INT(now_ms)),
        NULL);
}

err_t user_find(sql_t *c, const meta_call_t *call, const char *which, char ret_id[META_ID_CHARS + 1])
{
    AUTO(sql_rows_t) r = {0};
    if (!strcmp(which, "me"))
        which = call->by.user_id;
    err_t e =
        sql_first(c, "SELECT id FROM users WHERE id = ?1 OR username = ?1 ORDER BY id = ?1 DESC LIMIT 1",
                  SQL(SQL_TEXT(which)), &r);
    if (e == ERR_NOT_FOUND)
        return fail(e, "there is no account %.100s", which);
    TRY(e);
    snprintf(ret_id, META_ID_CHARS + 1, "%s", sql_text(&r, 0));
    return sql_close(&r);
}

/* One's own account, or any for admins; to others it is not there. */
static err_t find_allowed(sql_t *c, const meta_call_t *call, char ret_id[META_ID_CHARS + 1])
{
    err_t e = user_find(c, call, call->request->ids[0], ret_id);
    if (call_is(call, MAY_ADMIN))
        return e;
    if (e || strcmp(ret_id, call->by.user_id))
        return fail(ERR_DENIED, "this account may not see others");
    return OK;
}

static err_t answer_user(sql_t *c, meta_call_t *call, int status, const char *id)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT " USER_COLUMNS " FROM users WHERE id = ?1", SQL(SQL_TEXT(id)), &r));
    TRY(call_answer(call, status, user_json(&r)));
    return sql_close(&r);
}

OP(op_user_list)
{
    AUTO(sql_rows_t) r = {0};
    size_t limit, n = 0;
    const char *cursor = call_query(call, "cursor");
    json_t *users = json_array(), *last = NULL;
    TRY(call_answer(call, 200, json_pack("{s:o s:n}", "users", users, "next_cursor")));
    TRY(call_limit(call, &limit));
    TRY(sql_open(c, "SELECT " USER_COLUMNS " FROM users WHERE username > ?1 ORDER BY username LIMIT ?2",
                 SQL(SQL_TEXT(cursor ? cursor : ""), SQL_INT(limit + 1)), &r));
    while (sql_next(&r) && n++ < limit)
        if (json_array_append_new(users, last = user_json(&r)))
            return fail(ERR_NO_MEMORY, "no memory for an answer");
    if (n > limit)
        json_object_set(call->answer.body, "next_cursor", json_object_get(last, "username"));
    return sql_close(&r);
}

OP(op_user_get)
{
    char id[META_ID_CHARS + 1];
    TRY(find_allowed(c, call, id));
    return answer_user(c, call, 200, id);
}

/* ── making and changing ─────────────────────────────────────────────────────────────────────── */
typedef struct hash_job {
    const char *password;
    const char *kept; /* NULL: make one */
    char *out;
    err_t result;
} hash_job_t;

static void run_hash(void *arg)
{
    hash_job_t *job = arg;
    job->result = job->kept ? password_check(bytes_str(job->password), job->kept)
                            : password_keep(bytes_str(job->password), job->out);
}

/* Argon2id takes its memory: few at a time. */
static err_t hash_on_worker(task_t *t, meta_t *m, hash_job_t *job)
{
    TRY(gate_enter(t, &m->logins));
    work(t, run_hash, job);
    gate_leave(&m->logins);
    return job->result;
}

typedef struct kept_job {
    meta_call_t *call;
    const char *username; /* or */
    const char *which;    /* an id or a name */
    char kept[PASSWORD_TEXT_MAX];
} kept_job_t;

static err_t read_kept(sql_t *c, void *arg)
{
    kept_job_t *job = arg;
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(c, "SELECT password FROM users WHERE username = ?1 OR id = ?1",
                        SQL(SQL_TEXT(job->username)), &r);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    snprintf(job->kept, sizeof job->kept, "%s", sql_text(&r, 0));
    return sql_close(&r);
}

/* A kept text for nobody's password: who guesses names waits as long as who guesses passwords. */
static const char nobody[] =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static err_t check_kept(task_t *t, meta_call_t *call, const char *username, const char *password)
{
    kept_job_t job = {.call = call, .username = username};
    TRY(db_read(t, call->m->db, read_kept, &job));
    hash_job_t hash = {.password = password, .kept = job.kept[0] ? job.kept : nobody};
    err_t e = hash_on_worker(t, call->m, &hash);
    call->is_password_right = !e && job.kept[0];
    return e == ERR_DENIED ? OK : e;
}

err_t prepare_password(task_t *t, meta_call_t *call)
{
    const char *password, *old;
    TRY(json_get_text(call->request->body, "password", NULL, &password));
    TRY(json_get_text(call->request->body, "old_password", NULL, &old));
    if (old && call->credential.kind == CREDENTIAL_TOKEN)
        TRY(check_kept(t, call, call->credential.claims.subject, old));
    if (!password)
        return OK;
    if (strlen(password) < PASSWORD_MIN || strlen(password) > PASSWORD_MAX)
        return fail(ERR_INVALID, "a password has %d to %d bytes", PASSWORD_MIN, PASSWORD_MAX);
    hash_job_t hash = {.password = password, .out = call->kept_password};
    return hash_on_worker(t, call->m, &hash);
}

static err_t check_username(const char *name)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";
    if (!*name || strlen(name) >= USERNAME_MAX || name[strspn(name, good)] || !strcmp(name, "me") ||
        meta_is_id(name))
        return fail(ERR_INVALID, "a name has 1 to %d letters, digits, '.', '_', '@' or '-'",
                    USERNAME_MAX - 1);
    return OK;
}

static err_t read_quota(json_t *body, int64_t *ret_bytes, int64_t *ret_files)
{
    static const char *const keys[] = {"quota_bytes", "quota_files"};
    int64_t *ret[] = {ret_bytes, ret_files};
    for (int i = 0; i < 2; i++) {
        *ret[i] = -1;
        if (!json_is_null(json_object_get(body, keys[i])))
            TRY(json_get_number(body, keys[i], -1, META_SIZE_MAX, ret[i]));
    }
    return OK;
}

OP(op_user_add)
{
    static const char *const keys[] = {"username", "password", "role", "quota_bytes", "quota_files", NULL};
    static const char *const required[] = {"username", "role", NULL};
    json_t *body = call->request->body;
    const char *username, *role;
    int64_t bytes, files;
    char id[META_ID_CHARS + 1];
    TRY(json_check_members(body, keys, required));
    TRY(json_get_text(body, "username", "", &username));
    TRY(json_get_text(body, "role", "", &role));
    TRY(check_username(username));
    TRY(read_quota(body, &bytes, &files));
    if (!role_may(role))
        return fail(ERR_INVALID, "role must be admin, user or readonly");
    meta_new_id(id);
    call_note(call, id, "username=%s role=%s", username, role);
    TRY(user_insert(c, id, username, call->kept_password[0] ? call->kept_password : NULL, role, bytes, files,
                    call->now_ms));
    return answer_user(c, call, 201, id);
}

/* The last admin stays one: else nobody could make another. */
static err_t check_admins(sql_t *c)
{
    int64_t n;
    TRY(sql_number(c, "SELECT count(*) FROM users WHERE role = 'admin' AND is_disabled = 0", SQL_NO_VALUES, 0,
                   &n));
    return n ? OK : fail(ERR_EXISTS, "this is the last admin");
}

static err_t check_patch(meta_call_t *call)
{
    json_t *body = call->request->body;
    if (call_is(call, MAY_ADMIN))
        return OK;
    if (json_object_get(body, "role") || json_object_get(body, "is_disabled"))
        return fail(ERR_DENIED, "only admins change roles and accounts");
    if (json_object_get(body, "password") && !call->is_password_right)
        return fail(ERR_DENIED, "old_password is missing or wrong");
    return OK;
}

OP(op_user_patch)
{
    static const char *const keys[] = {"role", "is_disabled", "password", "old_password", NULL};
    json_t *body = call->request->body;
    const char *role;
    bool is_disabled;
    char id[META_ID_CHARS + 1];
    TRY(json_check_members(body, keys, NULL));
    TRY(find_allowed(c, call, id));
    TRY(check_patch(call));
    TRY(json_get_text(body, "role", NULL, &role));
    TRY(json_get_bool(body, "is_disabled", false, &is_disabled));
    if (role && !role_may(role))
        return fail(ERR_INVALID, "role must be admin, user or readonly");
    call_note(call, id, "%s%s%s%s", role ? "role=" : "", role ? role : "",
              json_object_get(body, "is_disabled") ? is_disabled ? " disabled" : " enabled" : "",
              call->kept_password[0] ? " password" : "");
    if (role)
        TRY(sql_run(c, "UPDATE users SET role = ?1 WHERE id = ?2", SQL(SQL_TEXT(role), SQL_TEXT(id)), NULL));
    if (json_object_get(body, "is_disabled"))
        TRY(sql_run(c, "UPDATE users SET is_disabled = ?1 WHERE id = ?2",
                    SQL(SQL_INT(is_disabled), SQL_TEXT(id)), NULL));
    if (call->kept_password[0])
        TRY(sql_run(c,
                    "UPDATE users SET password = ?1, tokens_since = ?2, failed_logins = 0, locked_until = 0 "
                    "WHERE id = ?3",
                    SQL(SQL_TEXT(call->kept_password), SQL_INT(call->now_ms), SQL_TEXT(id)), NULL));
    TRY(check_admins(c));
    return answer_user(c, call, 200, id);
}

OP(op_user_delete)
{
    char id[META_ID_CHARS + 1];
    int64_t n;
    TRY(user_find(c, call, call->request->ids[0], id));
    TRY(sql_number(c, "SELECT count(*) FROM files WHERE owner = ?1", SQL(SQL_TEXT(id)), 0, &n));
    if (n)
        return fail(ERR_EXISTS, "the account has %lld files: delete them first, or disable it", (long long)n);
    TRY(sql_run(c, "DELETE FROM api_keys WHERE user_id = ?1", SQL(SQL_TEXT(id)), NULL));
    TRY(sql_run(c, "DELETE FROM shares WHERE user_id = ?1", SQL(SQL_TEXT(id)), NULL));
    TRY(sql_run(c, "DELETE FROM users WHERE id = ?1", SQL(SQL_TEXT(id)), NULL));
    TRY(check_admins(c));
    call_note(call, id, "%s", "");
    return call_answer(call, 204, NULL);
}

static err_t answer_quota(sql_t *c, meta_call_t *call, const char *id)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(
        c, "SELECT quota_bytes, quota_files, used_bytes, used_files, reserved_bytes FROM users WHERE id = ?1",
        SQL(SQL_TEXT(id)), &r));
    TRY(call_answer(call, 200,
                    json_pack("{s:o s:o s:I s:I s:I}", "quota_bytes",
                              json_nullable(sql_is_null(&r, 0) ? -1 : sql_int(&r, 0)), "quota_files",
                              json_nullable(sql_is_null(&r, 1) ? -1 : sql_int(&r, 1)), "used_bytes",
                              (json_int_t)sql_int(&r, 2), "used_files", (json_int_t)sql_int(&r, 3),
                              "reserved_bytes", (json_int_t)sql_int(&r, 4))));
    return sql_close(&r);
}

OP(op_quota_get)
{
    char id[META_ID_CHARS + 1];
    TRY(find_allowed(c, call, id));
    return answer_quota(c, call, id);
}

OP(op_quota_set)
{
    static const char *const keys[] = {"quota_bytes", "quota_files", NULL};
    char id[META_ID_CHARS + 1];
    int64_t bytes, files;
    TRY(json_check_members(call->request->body, keys, keys));
    TRY(read_quota(call->request->body, &bytes, &files));
    TRY(user_find(c, call, call->request->ids[0], id));
    TRY(sql_run(c, "UPDATE users SET quota_bytes = ?1, quota_files = ?2 WHERE id = ?3",
                SQL(nullable(bytes), nullable(files), SQL_TEXT(id)), NULL));
    call_note(call, id, "bytes=%lld files=%lld", (long long)bytes, (long long)files);
    return answer_quota(c, call, id);
}

/* ── logging in and out ──────────────────────────────────────────────────────────────────────── */
err_t prepare_login(task_t *t, meta_call_t *call)
{
    static const char *const keys[] = {"username", "password", NULL};
    const char *username, *password;
    TRY(json_check_members(call->request->body, keys, keys));
    TRY(json_get_text(call->request->body, "username", "", &username));
    TRY(json_get_text(call->request->body, "password", "", &password));
    if (!call->m->signer)
        return fail(ERR_UNSUPPORTED, "tokens come from %s: log in there", call->m->options.issuer);
    if (strlen(username) >= USERNAME_MAX || strlen(password) > PASSWORD_MAX)
        return fail(ERR_INVALID, "the name or the password is too long");
    return check_kept(t, call, username, password);
}

static err_t make_token(meta_call_t *call, sql_rows_t *r)
{
    meta_t *m = call->m;
    char id[META_ID_CHARS + 1];
    int64_t now_s = call->now_ms / 1000, expires_s = now_s + m->options.token_ttl_s;
    AUTO(buf_t) token = {0};
    const char *text;
    buf_init(&token, JWT_TEXT_MAX);
    meta_new_id(id);
    json_t *claims = json_pack("{s:s s:s s:s s:s s:I s:I s:s}", "iss", m->options.issuer, "sub",
                               sql_text(r, 0), "name", sql_text(r, 1), "role", sql_text(r, 2), "iat",
                               (json_int_t)now_s, "exp", (json_int_t)expires_s, "jti", id);
    if (m->options.audience)
        json_object_set_new(claims, "aud", json_string(m->options.audience));
    err_t e = jwt_sign(m->signer, claims, &token);
    json_decref(claims);
    TRY(e);
    TRY(buf_cstr(&token, &text));
    call_note(call, sql_text(r, 1), "jti=%s", id);
    return call_answer(call, 200,
                       json_pack("{s:s s:s s:o s:o}", "token", text, "token_type", "Bearer", "expires_at",
                                 json_time(expires_s * 1000), "user", user_json(r)));
}

static err_t note_failure(sql_t *c, meta_call_t *call, const char *username)
{
    TRY(sql_run(c,
                "UPDATE users SET failed_logins = failed_logins + 1, locked_until = CASE WHEN failed_logins "
                "+ 1 >= ?1 "
                "THEN ?2 ELSE locked_until END WHERE username = ?3",
                SQL(SQL_INT(FAILED_LOGINS_MAX), SQL_INT(call->now_ms + LOCK_MS), SQL_TEXT(username)), NULL));
    call->verdict = ERR_UNAUTHORIZED;
    snprintf(call->verdict_text, sizeof call->verdict_text, "wrong name or password");
    return OK;
}

OP(op_login)
{
    const char *username = json_string_value(json_object_get(call->request->body, "username"));
    AUTO(sql_rows_t) r = {0};
    call_note(call, username, "%s", "");
    snprintf(call->audit.actor, sizeof call->audit.actor, "%.64s", username);
    err_t e = sql_first(c, "SELECT " USER_COLUMNS ", locked_until FROM users WHERE username = ?1",
                        SQL(SQL_TEXT(username)), &r);
    if (e == ERR_NOT_FOUND)
        return note_failure(c, call, username);
    TRY(e);
    if (sql_int(&r, 10) > call->now_ms) { /* no failure here: to db.c that means to try the batch again */
        call->verdict = ERR_AGAIN;
        snprintf(call->verdict_text, sizeof call->verdict_text, "too many wrong passwords: wait a minute");
        return sql_close(&r);
    }
    bool is_good = call->is_password_right && !sql_int(&r, 3);
    if (is_good)
        TRY(make_token(call, &r));
    TRY(sql_close(&r));
    if (!is_good)
        return note_failure(c, call, username);
    return sql_run(
        c, "UPDATE users SET failed_logins = 0, locked_until = 0 WHERE username = ?1 AND failed_logins > 0",
        SQL(SQL_TEXT(username)), NULL);
}

static err_t revoke(sql_t *c, const char *jti, int64_t expires_ms)
{
    return sql_run(c, "INSERT INTO revoked (jti, expires_at) VALUES (?1, ?2) ON CONFLICT (jti) DO NOTHING",
                   SQL(SQL_TEXT(jti), SQL_INT(expires_ms)), NULL);
}

OP(op_logout)
{
    const jwt_claims_t *claims = &call->credential.claims;
    if (call->credential.kind != CREDENTIAL_TOKEN || !claims->id[0])
        return fail(ERR_INVALID, "this token has no id (jti) to be revoked by");
    call_note(call, claims->id, "%s", "");
    TRY(revoke(c, claims->id, claims->expires_s * 1000));
    return call_answer(call, 204, NULL);
}

OP(op_token_revoke)
{
    if (strlen(call->request->ids[0]) >= JWT_ID_MAX)
        return fail(ERR_INVALID, "the token's id is too long");
    /* Its expiry is not known here: kept for as long as any token of ours can count, a foreign one's for
     * ever. */
    int64_t until = call->m->signer ? call->now_ms + 1000 * call->m->options.token_ttl_s : INT64_MAX;
    TRY(revoke(c, call->request->ids[0], until));
    return call_answer(call, 204, NULL);
}

OP(op_jwks)
{
    return call_answer(call, 200, json_deep_copy(call->m->own_jwks));
}
