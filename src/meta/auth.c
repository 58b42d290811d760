/* auth: from the text that a caller shows to the account and the rights behind it. */
#include "base/map.h"
#include "crypto/hash.h"
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

static const char key_prefix[] = "dsk_";

/* ── rates ───────────────────────────────────────────────────────────────────────────────────── */
static bucket_t *refilled(bucket_t *buckets, const char *who, double per_s, double burst, uint64_t now_ms)
{
    static const uint8_t hash_key[16] = "metadata buckets";
    bucket_t *b = &buckets[siphash24(hash_key, bytes_str(who)) % BUCKETS];
    if (!b->at_ms)
        b->tokens = burst;
    else
        b->tokens += (double)(now_ms - b->at_ms) * per_s / 1000;
    b->at_ms = now_ms ? now_ms : 1;
    b->tokens = b->tokens > burst ? burst : b->tokens;
    return b;
}

bool limit_is_used_up(bucket_t *buckets, const char *who, double per_s, double burst, uint64_t now_ms)
{
    return refilled(buckets, who, per_s, burst, now_ms)->tokens < 1;
}

bool limit_passes(bucket_t *buckets, const char *who, double per_s, double burst, uint64_t now_ms,
                  uint64_t *ret_refused)
{
    bucket_t *b = refilled(buckets, who, per_s, burst, now_ms);
    if (b->tokens < 1) {
        *ret_refused = ++b->refused;
        return false;
    }
    b->tokens--;
    *ret_refused = b->refused;
    b->refused = 0;
    return true;
}

/* ── without the database ────────────────────────────────────────────────────────────────────── */
static err_t read_token(meta_t *m, const char *token, int64_t now_ms, credential_t *ret)
{
    uint8_t hash[32];
    jwt_rules_t rules = {m->options.issuer, m->options.audience, now_ms / 1000};
    sha256_of(bytes_str(token), hash);
    cached_token_t *cached = &m->tokens[(hash[0] | hash[1] << 8) % TOKEN_CACHE];
    bool is_known = bytes_equal(bytes_of(hash, sizeof hash), bytes_of(cached->hash, sizeof hash)) &&
                    cached->claims.expires_s > rules.now_s;
    if (!is_known) {
        TRY(jwt_verify(&m->keys, &rules, bytes_str(token), &cached->claims));
        memcpy(cached->hash, hash, sizeof hash);
    }
    ret->kind = CREDENTIAL_TOKEN;
    ret->claims = cached->claims;
    return OK;
}

err_t auth_read(meta_t *m, const char *token, int64_t now_ms, credential_t *ret)
{
    *ret = (credential_t){0};
    if (!token)
        return OK;
    if (strncmp(token, key_prefix, strlen(key_prefix)))
        return read_token(m, token, now_ms, ret);
    if (strlen(token) > 128)
        return fail(ERR_UNAUTHORIZED, "the API key is too long");
    ret->kind = CREDENTIAL_KEY;
    sha256_of(bytes_str(token), ret->key_hash);
    return OK;
}

/* ── with it ─────────────────────────────────────────────────────────────────────────────────── */
#define PRINCIPAL_COLUMNS                                                                                    \
    "u.id, u.username, u.role, u.is_disabled, u.quota_bytes, u.quota_files, u.tokens_since"

static err_t take_user(sql_rows_t *r, principal_t *by)
{
    if (sql_int(r, 3))
        return fail(ERR_UNAUTHORIZED, "the account is disabled");
    snprintf(by->user_id, sizeof by->user_id, "%s", sql_text(r, 0));
    snprintf(by->username, sizeof by->username, "%s", sql_text(r, 1));
    by->may = role_may(sql_text(r, 2));
    by->quota_bytes = sql_is_null(r, 4) ? -1 : sql_int(r, 4);
    by->quota_files = sql_is_null(r, 5) ? -1 : sql_int(r, 5);
    return OK;
}

static err_t check_revoked(sql_t *c, const jwt_claims_t *claims)
{
    int64_t is_revoked = 0;
    if (claims->id[0])
        TRY(sql_number(c, "SELECT 1 FROM revoked WHERE jti = ?1", SQL(SQL_TEXT(claims->id)), 0, &is_revoked));
    return is_revoked ? fail(ERR_UNAUTHORIZED, "the token was revoked") : OK;
}

/* An account of a foreign issuer, at its first request. The token's role counts at each request. */
static err_t bring_account(sql_t *c, meta_call_t *call, const char *role)
{
    const meta_options_t *o = &call->m->options;
    char id[META_ID_CHARS + 1];
    if (strlen(call->credential.claims.subject) >= USERNAME_MAX)
        return fail(ERR_UNAUTHORIZED, "the token's subject is too long for a name");
    meta_new_id(id);
    return user_insert(c, id, call->credential.claims.subject, NULL, role,
                       o->default_quota_bytes ? o->default_quota_bytes : -1,
                       o->default_quota_files ? o->default_quota_files : -1, call->now_ms);
}

static err_t resolve_token(sql_t *c, meta_call_t *call, bool may_write)
{
    const jwt_claims_t *claims = &call->credential.claims;
    AUTO(sql_rows_t) r = {0};
    TRY(check_revoked(c, claims));
    if (!call->m->signer) { /* a foreign issuer: by name, with the token's role */
        if (!role_may(claims->role))
            return fail(ERR_UNAUTHORIZED, "the token has no role: admin, user or readonly");
        err_t e = sql_first(c, "SELECT " PRINCIPAL_COLUMNS " FROM users u WHERE u.username = ?1",
                            SQL(SQL_TEXT(claims->subject)), &r);
        if (e == ERR_NOT_FOUND && may_write) {
            TRY(bring_account(c, call, claims->role));
            e = sql_first(c, "SELECT " PRINCIPAL_COLUMNS " FROM users u WHERE u.username = ?1",
                          SQL(SQL_TEXT(claims->subject)), &r);
        }
        TRY(e);
        TRY(take_user(&r, &call->by));
        call->by.may = role_may(claims->role);
    } else {
        err_t e = sql_first(c, "SELECT " PRINCIPAL_COLUMNS " FROM users u WHERE u.id = ?1",
                            SQL(SQL_TEXT(claims->subject)), &r);
        if (e == ERR_NOT_FOUND)
            return fail(ERR_UNAUTHORIZED, "the account is gone");
        TRY(e);
        TRY(take_user(&r, &call->by));
    }
    if (claims->issued_at_s * 1000 + 999 < sql_int(&r, 6))
        return fail(ERR_UNAUTHORIZED, "the token is older than the account's password: log in again");
    return sql_close(&r);
}

/* A key may at most what its owner may: a readonly account's key writes nothing. */
static unsigned key_may(unsigned scopes, unsigned role)
{
    if (!(role & MAY_ADMIN))
        scopes &= MAY_KEY_READ | MAY_KEY_WRITE;
    if (role & MAY_READONLY)
        scopes &= MAY_KEY_READ;
    return scopes;
}

/* The key that a storage node made for itself when it registered. */
static err_t resolve_node(sql_t *c, meta_call_t *call)
{
    AUTO(sql_rows_t) r = {0};
    principal_t *by = &call->by;
    err_t e = sql_first(c, "SELECT id FROM nodes WHERE key_hash = ?1",
                        SQL(SQL_BLOB(bytes_of(call->credential.key_hash, 32))), &r);
    if (e == ERR_NOT_FOUND)
        return fail(ERR_UNAUTHORIZED, "there is no such API key");
    TRY(e);
    snprintf(by->node_id, sizeof by->node_id, "%s", sql_text(&r, 0));
    snprintf(by->username, sizeof by->username, "node %s", sql_text(&r, 0));
    by->may = MAY_KEY_NODE;
    by->is_key = true;
    return sql_close(&r);
}

static err_t resolve_key(sql_t *c, meta_call_t *call)
{
    AUTO(sql_rows_t) r = {0};
    err_t e =
        sql_first(c,
                  "SELECT " PRINCIPAL_COLUMNS ", k.scopes, k.expires_at FROM api_keys k JOIN users u ON "
                  "u.id = k.user_id WHERE k.hash = ?1 OR (k.old_hash = ?1 AND k.old_until > ?2)",
                  SQL(SQL_BLOB(bytes_of(call->credential.key_hash, 32)), SQL_INT(call->now_ms)), &r);
    if (e == ERR_NOT_FOUND)
        return resolve_node(c, call);
    TRY(e);
    TRY(take_user(&r, &call->by));
    if (!sql_is_null(&r, 8) && sql_int(&r, 8) <= call->now_ms)
        return fail(ERR_UNAUTHORIZED, "the API key has expired");
    call->by.may = key_may((unsigned)sql_int(&r, 7), call->by.may);
    call->by.is_key = true;
    return sql_close(&r);
}

err_t auth_resolve(sql_t *c, meta_call_t *call, bool may_write)
{
    call->by = (principal_t){.quota_bytes = -1, .quota_files = -1};
    err_t e = call->credential.kind == CREDENTIAL_TOKEN ? resolve_token(c, call, may_write)
              : call->credential.kind == CREDENTIAL_KEY ? resolve_key(c, call)
                                                        : OK;
    snprintf(call->audit.actor, sizeof call->audit.actor, "%s%s", call->by.is_key ? "key of " : "",
             call->by.username[0] ? call->by.username : "-");
    return e;
}

err_t auth_check(const meta_call_t *call)
{
    unsigned may = call->request->op->may;
    if (may & MAY_ALL)
        return OK;
    if (call->credential.kind == CREDENTIAL_NONE)
        return fail(ERR_UNAUTHORIZED, "this wants Authorization: Bearer TOKEN");
    if (!(may & call->by.may))
        return fail(ERR_DENIED, "%s may not do this", call->by.is_key ? "this API key" : "this account");
    return OK;
}
