/* serve: the table of operations, and the way of a request through one. */
#include "base/log.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "meta/meta_impl.h"
#include "task/exchange.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEOPLE (MAY_ADMIN | MAY_USER | MAY_READONLY)
#define WRITERS (MAY_ADMIN | MAY_USER | MAY_KEY_WRITE)

static const meta_op_t ops[] = {
    {"GET", "/files", "file.list", PEOPLE | MAY_KEY_READ, OP_READ, op_file_list, NULL, false},
    {"POST", "/files", "file.register", WRITERS, OP_WRITE, op_file_register, NULL, true},
    {"GET", "/files/{id}", "file.get", PEOPLE | MAY_KEY_READ, OP_READ_LOGGED, op_file_get, NULL, false},
    {"PATCH", "/files/{id}", "file.change", WRITERS, OP_WRITE, op_file_patch, NULL, true},
    {"DELETE", "/files/{id}", "file.delete", WRITERS, OP_WRITE, op_file_delete, NULL, false},
    {"GET", "/files/{id}/versions", "file.versions", PEOPLE | MAY_KEY_READ, OP_READ, op_file_versions, NULL,
     false},
    {"GET", "/files/{id}/shares", "share.list", MAY_ADMIN | MAY_USER | MAY_KEY_READ, OP_READ, op_share_list,
     NULL, false},
    {"POST", "/files/{id}/shares", "share.add", WRITERS, OP_WRITE, op_share_add, NULL, true},
    {"DELETE", "/files/{id}/shares/{user}", "share.remove", WRITERS, OP_WRITE, op_share_remove, NULL, false},
    {"POST", "/init_upload", "upload.init", WRITERS, OP_WRITE, op_upload_init, NULL, true},
    {"GET", "/uploads/{id}", "upload.get", WRITERS, OP_READ_LOGGED, op_upload_get, NULL, false},
    {"DELETE", "/uploads/{id}", "upload.drop", WRITERS, OP_WRITE, op_upload_drop, NULL, false},
    {"POST", "/commit_upload", "upload.commit", WRITERS, OP_WRITE, op_upload_commit, NULL, true},
    {"GET", "/nodes", "node.list", PEOPLE | MAY_KEY_NODE | MAY_KEY_READ, OP_READ, op_node_list, NULL, false},
    {"POST", "/nodes", "node.register", MAY_ADMIN | MAY_KEY_NODE, OP_WRITE, op_node_register, NULL, true},
    {"GET", "/nodes/{id}", "node.get", PEOPLE | MAY_KEY_NODE | MAY_KEY_READ, OP_READ, op_node_get, NULL,
     false},
    {"DELETE", "/nodes/{id}", "node.delete", MAY_ADMIN, OP_WRITE, op_node_delete, NULL, false},
    {"PUT", "/nodes/{id}/heartbeat", "node.heartbeat", MAY_KEY_NODE, OP_WRITE_QUIET, op_node_heartbeat, NULL,
     true},
    {"POST", "/nodes/{id}/approve", "node.approve", MAY_ADMIN, OP_WRITE, op_node_approve, NULL, false},
    {"POST", "/nodes/{id}/drain", "node.drain", MAY_ADMIN, OP_WRITE, op_node_drain, NULL, false},
    {"POST", "/nodes/{id}/undrain", "node.undrain", MAY_ADMIN, OP_WRITE, op_node_undrain, NULL, false},
    {"GET", "/nodes/{id}/chunks", "node.chunks", MAY_ADMIN | MAY_KEY_NODE, OP_READ, op_node_chunks, NULL,
     false},
    {"POST", "/nodes/{id}/published", "node.published", MAY_ADMIN | MAY_KEY_NODE, OP_READ, op_node_published,
     NULL, true},
    {"POST", "/ipfs_tickets", "ipfs.ticket", WRITERS, OP_WRITE, op_ipfs_ticket, NULL, true},
    {"GET", "/chunks/{id}/locations", "location.list", MAY_ADMIN | MAY_KEY_NODE, OP_READ, op_location_list,
     NULL, false},
    {"PUT", "/chunks/{id}/locations", "location.report", MAY_ADMIN | MAY_KEY_NODE, OP_WRITE,
     op_location_report, NULL, true},
    {"POST", "/login", "login", MAY_ALL, OP_WRITE, op_login, prepare_login, true},
    {"POST", "/logout", "logout", PEOPLE, OP_WRITE, op_logout, NULL, false},
    {"DELETE", "/tokens/{id}", "token.revoke", MAY_ADMIN, OP_WRITE, op_token_revoke, NULL, false},
    {"GET", "/users", "user.list", MAY_ADMIN, OP_READ, op_user_list, NULL, false},
    {"POST", "/users", "user.add", MAY_ADMIN, OP_WRITE, op_user_add, prepare_password, true},
    {"GET", "/users/{id}", "user.get", PEOPLE, OP_READ, op_user_get, NULL, false},
    {"PATCH", "/users/{id}", "user.change", PEOPLE, OP_WRITE, op_user_patch, prepare_password, true},
    {"DELETE", "/users/{id}", "user.delete", MAY_ADMIN, OP_WRITE, op_user_delete, NULL, false},
    {"GET", "/users/{id}/quota", "quota.get", PEOPLE, OP_READ, op_quota_get, NULL, false},
    {"PUT", "/users/{id}/quota", "quota.set", MAY_ADMIN, OP_WRITE, op_quota_set, NULL, true},
    {"GET", "/api_keys", "key.list", PEOPLE, OP_READ, op_key_list, NULL, false},
    {"POST", "/api_keys", "key.add", MAY_ADMIN | MAY_USER, OP_WRITE, op_key_add, NULL, true},
    {"DELETE", "/api_keys/{id}", "key.delete", MAY_ADMIN | MAY_USER, OP_WRITE, op_key_delete, NULL, false},
    {"POST", "/api_keys/{id}/rotate", "key.rotate", MAY_ADMIN | MAY_USER, OP_WRITE, op_key_rotate, NULL,
     true},
    {"GET", "/audit", "audit.list", MAY_ADMIN | MAY_KEY_ADMIN, OP_READ, op_audit_list, NULL, false},
    {"GET", "/audit/verify", "audit.verify", MAY_ADMIN | MAY_KEY_ADMIN, OP_READ, op_audit_verify, NULL,
     false},
    {"GET", "/keys", "master.status", MAY_ADMIN | MAY_KEY_ADMIN, OP_READ, op_master_status, NULL, false},
    {"POST", "/keys/rotate", "master.rotate", MAY_ADMIN | MAY_KEY_ADMIN, OP_WRITE, op_master_rotate,
     prepare_master_rotate, false},
    {"GET", "/.well-known/jwks.json", "jwks", MAY_ALL, OP_READ, op_jwks, NULL, false},
};

bool meta_op_at(size_t i, const char **ret_method, const char **ret_path, unsigned *ret_may)
{
    if (i >= ARRAY_LEN(ops))
        return false;
    *ret_method = ops[i].method;
    *ret_path = ops[i].path;
    *ret_may = ops[i].may;
    return true;
}

const char *meta_op_name(const meta_op_t *op)
{
    return op->name;
}

bool meta_op_takes_body(const meta_op_t *op)
{
    return op->takes_body;
}

/* ── finding ─────────────────────────────────────────────────────────────────────────────────── */
static bool take_part(const char *from, size_t len, char out[META_PART_MAX])
{
    AUTO(buf_t) plain = {0};
    buf_init(&plain, META_PART_MAX - 1);
    if (!len || percent_decode(bytes_of(from, len), false, &plain) || memchr(plain.data, 0, plain.len))
        return false;
    memcpy(out, plain.data, plain.len);
    out[plain.len] = 0;
    return true;
}

static bool fits(const char *pattern, const char *path, char ret_ids[2][META_PART_MAX])
{
    size_t n = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (!take_part(path, len, ret_ids[n++]))
            return false;
        path += len;
        pattern = strchr(pattern, '}') + 1;
    }
    return !*path;
}

err_t meta_find_op(const char *method, const char *path, const meta_op_t **ret_op,
                   char ret_ids[2][META_PART_MAX], char ret_allow[64])
{
    size_t allowed = 0;
    ret_allow[0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        ret_ids[0][0] = ret_ids[1][0] = 0;
        if (!fits(ops[i].path, path, ret_ids))
            continue;
        bool is_head = !strcmp(method, "HEAD") && !strcmp(ops[i].method, "GET");
        if (is_head || !strcmp(ops[i].method, method)) {
            *ret_op = &ops[i];
            return OK;
        }
        allowed +=
            (size_t)snprintf(ret_allow + allowed, 64 - allowed, "%s%s", allowed ? ", " : "", ops[i].method);
    }
    return allowed ? fail(ERR_USAGE, "%s is not for this path: %s", method, ret_allow)
                   : fail(ERR_NOT_FOUND, "there is nothing at %.200s", path);
}

/* ── helpers of operations ───────────────────────────────────────────────────────────────────── */
void meta_new_id(char out[META_ID_CHARS + 1])
{
    uint8_t id[META_ID_CHARS / 2];
    crypto_random(id, sizeof id);
    hex_text(bytes_of(id, sizeof id), out, META_ID_CHARS + 1);
}

int64_t meta_now_ms(const meta_t *m)
{
    return (int64_t)driver_wall_ms(m->driver) + __atomic_load_n(&m->clock_offset_ms, __ATOMIC_RELAXED);
}

const char *call_query(const meta_call_t *call, const char *key)
{
    return json_string_value(json_object_get(call->request->query, key));
}

err_t call_query_number(const meta_call_t *call, const char *key, int64_t otherwise, int64_t max,
                        int64_t *ret)
{
    const char *text = call_query(call, key);
    if (!text) {
        *ret = otherwise;
        return OK;
    }
    int64_t v = 0;
    for (const char *p = text; *p || p == text; p++) {
        if (*p < '0' || *p > '9' || (v = v * 10 + (*p - '0')) > max)
            return fail(ERR_INVALID, "%s must be a whole number from 0 to %lld", key, (long long)max);
    }
    *ret = v;
    return OK;
}

err_t call_limit(const meta_call_t *call, size_t *ret)
{
    int64_t limit;
    TRY(call_query_number(call, "limit", PAGE_DEFAULT, PAGE_MAX, &limit));
    if (!limit)
        return fail(ERR_INVALID, "limit must be 1 at least");
    *ret = (size_t)limit;
    return OK;
}

/* Whole characters of UTF-8 without control bytes, whatever a client sent: the log is JSON for its readers.
 */
static void clean_text(char *text)
{
    for (size_t at = 0, len = strlen(text), n; at < len; at += n) {
        n = utf8_length(bytes_of(text + at, len - at));
        if (!n) {
            n = 1;
            text[at] = '?';
        } else if ((unsigned char)text[at] < 0x20 || text[at] == 0x7f) {
            text[at] = ' ';
        }
    }
}

void call_note(meta_call_t *call, const char *target, const char *fmt, ...)
{
    va_list args;
    snprintf(call->audit.target, sizeof call->audit.target, "%.*s", (int)sizeof call->audit.target - 1,
             target);
    va_start(args, fmt);
    vsnprintf(call->audit.detail, sizeof call->audit.detail, fmt, args);
    va_end(args);
    clean_text(call->audit.target);
    clean_text(call->audit.detail);
}

err_t call_answer(meta_call_t *call, int status, json_t *body)
{
    json_decref(call->answer.body);
    call->answer.body = body;
    call->answer.status = status;
    return body || status == 204 || status == 304 ? OK : fail(ERR_NO_MEMORY, "no memory for an answer");
}

json_t *json_nullable(int64_t v)
{
    return v < 0 ? json_null() : json_integer(v);
}

void meta_answer_deinit(meta_answer_t *a)
{
    json_decref(a->body);
    *a = (meta_answer_t){0};
}

/* What no client of ours makes up: it is refused, and logged, before it comes near a table. */
static err_t check_id(const meta_call_t *call)
{
    static const char *const with_ids[] = {"/files/", "/uploads/", "/nodes/"};
    const char *path = call->request->op->path, *id = call->request->ids[0];
    bool is_good = strncmp(path, "/chunks/", 8) != 0 || meta_is_chunk_id(id);
    for (size_t i = 0; i < ARRAY_LEN(with_ids); i++)
        is_good = is_good && (strncmp(path, with_ids[i], strlen(with_ids[i])) != 0 || meta_is_id(id));
    return is_good ? OK : fail(ERR_INVALID, "\"%.80s\" is not an id", id);
}

/* ── a request ───────────────────────────────────────────────────────────────────────────────── */
static err_t run_op(sql_t *c, meta_call_t *call, bool may_write)
{
    const meta_op_t *op = call->request->op;
    meta_answer_deinit(&call->answer);
    call->verdict = OK;
    call->is_loud = false;
    snprintf(call->audit.target, sizeof call->audit.target, "%s", call->request->ids[0]);
    clean_text(call->audit.target);
    call->audit.detail[0] = 0;
    call->audit.action = op->name;
    TRY(auth_resolve(c, call, may_write));
    TRY(auth_check(call));
    TRY(check_id(call));
    TRY(op->run(c, call));
    if (op->kind == OP_WRITE_QUIET && !call->is_loud)
        call->audit.action = NULL;
    if (call->verdict)
        snprintf(call->audit.outcome, sizeof call->audit.outcome, "%s", error_name(call->verdict));
    return OK;
}

static err_t run_read(sql_t *c, void *arg)
{
    return run_op(c, arg, false);
}

static err_t run_auth(sql_t *c, void *arg)
{
    TRY(auth_resolve(c, arg, false));
    return auth_check(arg);
}

static err_t run_write(sql_t *c, void *arg)
{
    return run_op(c, arg, true);
}

static err_t bring_account(sql_t *c, void *arg)
{
    meta_call_t *call = arg;
    call->audit.action = "user.bring";
    return auth_resolve(c, call, true);
}

static bool is_refusal(err_t e)
{
    return e == ERR_DENIED || e == ERR_UNAUTHORIZED || e == ERR_AGAIN;
}

/* Of reads; writes that failed are logged, each. */
static bool is_logged(err_t e)
{
    return is_refusal(e) || e == ERR_INVALID;
}

/* Nothing is written when there is nothing to log. Keeps the error. */
static err_t log_refusal(task_t *t, meta_call_t *call, err_t e)
{
    if (!call->audit.action)
        return e;
    error_slot_t why = *error_slot();
    snprintf(call->audit.outcome, sizeof call->audit.outcome, "%s", error_name(e));
    TRY(db_write(t, call->m->db, NULL, NULL, &call->audit));
    *error_slot() = why;
    return e;
}

static err_t run_logged_read(sql_t *c, void *arg)
{
    meta_call_t *call = arg;
    err_t e = run_op(c, call, false);
    if (e && !is_logged(e))
        call->audit.action = NULL;
    return e;
}

static err_t read_as_said(task_t *t, meta_call_t *call, db_fn run)
{
    db_t *db = call->m->db;
    return run == run_logged_read ? db_read_logged(t, db, run, call, &call->audit)
                                  : db_read(t, db, run, call);
}

/* Refusals are logged of any read. */
static err_t read_and_log(task_t *t, meta_call_t *call, db_fn run)
{
    meta_t *m = call->m;
    err_t e = read_as_said(t, call, run);
    if (e == ERR_NOT_FOUND && call->credential.kind == CREDENTIAL_TOKEN && !m->signer &&
        !call->by.user_id[0]) {
        TRY(db_write(t, m->db, bring_account, call, &call->audit));
        e = read_as_said(t, call, run);
    }
    return run == run_logged_read || !is_logged(e) ? e : log_refusal(t, call, e);
}

static metric_t *refusals(err_t e)
{
    const char *label = e == ERR_UNAUTHORIZED ? "reason=\"unauthorized\""
                        : e == ERR_DENIED     ? "reason=\"denied\""
                                              : "reason=\"rate\"";
    return metric_counter("fs_security_refused_total", label, "Requests that were refused.");
}

void serve_open(void)
{
    static const err_t reasons[] = {ERR_UNAUTHORIZED, ERR_DENIED, ERR_AGAIN};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        metric_add(refusals(reasons[i]), 0);
}

/* The caller's address without its port. */
static void host_of(const char *remote, char out[64])
{
    snprintf(out, 64, "%s", remote);
    char *colon = strrchr(out, ':');
    if (colon)
        *colon = 0;
}

static err_t check_rates(meta_call_t *call)
{
    meta_t *m = call->m;
    const meta_options_t *o = &m->options;
    char host[64], who[2 * sizeof call->credential.key_hash + 2 + JWT_ID_MAX];
    uint64_t refused = 0, now_ms = driver_now_ms(m->driver);
    host_of(call->request->remote, host);
    snprintf(who, sizeof who, "%s", host);
    if (call->credential.kind == CREDENTIAL_TOKEN)
        snprintf(who, sizeof who, "t%s", call->credential.claims.subject);
    else if (call->credential.kind == CREDENTIAL_KEY)
        hex_text(bytes_of(call->credential.key_hash, 32), who, sizeof who);
    bool passes = limit_passes(m->request_buckets, who, (double)o->requests_per_s,
                               2.0 * (double)o->requests_per_s, now_ms, &refused);
    if (passes && call->request->op->run == op_login)
        passes = limit_passes(m->login_buckets, host, (double)o->logins_per_min / 60,
                              (double)o->logins_per_min, now_ms, &refused);
    if (passes)
        return OK;
    /* A flood does not become a flood of records: the first of each hundred. */
    if (refused % 100 != 1)
        call->audit.action = NULL;
    return fail(ERR_AGAIN, "too many requests: wait a little");
}

/* Refusals of one address: the first ones are logged, each; of a flood the first of each hundred. */
static bool is_refusal_logged(meta_t *m, const char *remote, bool *ret_is_flood)
{
    const double burst = (double)m->options.refusals_per_min;
    uint64_t refused;
    char host[64];
    host_of(remote, host);
    *ret_is_flood =
        !limit_passes(m->refusal_buckets, host, burst / 60, burst, driver_now_ms(m->driver), &refused);
    return !*ret_is_flood || refused % 100 == 1;
}

static err_t refuse_stranger(task_t *t, meta_call_t *call, err_t e)
{
    bool is_flood;
    if (!is_refusal_logged(call->m, call->request->remote, &is_flood))
        call->audit.action = NULL;
    if (is_flood)
        e = fail(ERR_AGAIN, "too many refused requests from this address: wait a little");
    snprintf(call->audit.actor, sizeof call->audit.actor, "-");
    return log_refusal(t, call, e);
}

/* From an address with many refusals: those who are known pass; the rest costs a read, and no transaction. */
static err_t check_suspect(task_t *t, meta_call_t *call)
{
    meta_t *m = call->m;
    const double burst = (double)m->options.refusals_per_min;
    char host[64];
    host_of(call->request->remote, host);
    if ((call->request->op->may & MAY_ALL) ||
        !limit_is_used_up(m->refusal_buckets, host, burst / 60, burst, driver_now_ms(m->driver)))
        return OK;
    err_t e = db_read(t, m->db, run_auth, call);
    return e == ERR_UNAUTHORIZED ? e : OK;
}

/* All that can be said of the caller before the operation begins. */
static err_t admit(task_t *t, meta_call_t *call)
{
    err_t e = auth_read(call->m, call->request->token, call->now_ms, &call->credential);
    if (!e && call->credential.kind == CREDENTIAL_NONE)
        e = auth_check(call);
    if (!e)
        e = check_suspect(t, call);
    if (e == ERR_UNAUTHORIZED)
        return refuse_stranger(t, call, e);
    if (!e && (e = check_rates(call))) {
        snprintf(call->audit.actor, sizeof call->audit.actor, "-");
        return log_refusal(t, call, e);
    }
    return e;
}

static err_t run_admitted(task_t *t, meta_call_t *call)
{
    const meta_op_t *op = call->request->op;
    meta_t *m = call->m;
    if (op->prepare && !(op->may & MAY_ALL))
        TRY(read_and_log(t, call, run_auth)); /* nothing takes long for those who may not */
    if (op->prepare)
        TRY(op->prepare(t, call));
    if (op->kind == OP_READ || op->kind == OP_READ_LOGGED)
        return read_and_log(t, call, op->kind == OP_READ ? run_read : run_logged_read);
    TRY(db_write(t, m->db, run_write, call, &call->audit));
    if (call->new_master)
        meta_set_master(m, call->new_master);
    return call->verdict ? fail(call->verdict, "%s", call->verdict_text) : OK;
}

static err_t serve(task_t *t, meta_call_t *call)
{
    bool ignored;
    TRY(admit(t, call));
    err_t e = run_admitted(t, call);
    if (e == ERR_UNAUTHORIZED) /* logged already; it counts for what comes */
        (void)is_refusal_logged(call->m, call->request->remote, &ignored);
    return e;
}

static err_t check_only(task_t *t, meta_call_t *call)
{
    TRY(admit(t, call));
    return read_and_log(t, call, run_auth);
}

static err_t with_call(task_t *t, meta_t *m, const meta_request_t *request,
                       err_t (*run)(task_t *t, meta_call_t *call), meta_answer_t *ret)
{
    meta_call_t *call = xcalloc(1, sizeof *call); /* too large for a task's frame, with what stands on it */
    call->m = m;
    call->request = request;
    call->now_ms = meta_now_ms(m);
    call->audit.action = request->op->name;
    call->audit.at_ms = call->now_ms;
    snprintf(call->audit.remote, sizeof call->audit.remote, "%s", request->remote);
    err_t e = run(t, call);
    if (!e && ret)
        *ret = call->answer;
    else
        json_decref(call->answer.body);
    if (is_refusal(e))
        metric_add(refusals(e), 1);
    if (call->new_master) {
        master_keys_wipe(call->new_master);
        free(call->new_master);
    }
    secret_wipe(call->kept_password, sizeof call->kept_password);
    free(call);
    return e;
}

err_t meta_serve(task_t *t, meta_t *m, const meta_request_t *request, meta_answer_t *ret)
{
    return with_call(t, m, request, serve, ret);
}

err_t meta_check_caller(task_t *t, meta_t *m, const meta_request_t *request)
{
    return with_call(t, m, request, check_only, NULL);
}

void meta_note_refusal(task_t *t, meta_t *m, const char *remote, const char *what, err_t e)
{
    audit_entry_t entry = {.action = "request", .at_ms = meta_now_ms(m), .actor = "-"};
    bool is_flood;
    if (!is_refusal_logged(m, remote, &is_flood))
        return;
    snprintf(entry.remote, sizeof entry.remote, "%s", remote);
    snprintf(entry.target, sizeof entry.target, "%s", what);
    clean_text(entry.target);
    snprintf(entry.outcome, sizeof entry.outcome, "%s", error_name(e));
    err_t failed = db_write(t, m->db, NULL, NULL, &entry);
    if (failed)
        log_warn("a refused request could not be logged", LOG_ERR(failed));
}
