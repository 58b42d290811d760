/* api_keys: secrets of services. A secret is shown once; its SHA-256 is kept (it is random and long, so that
 * needs no slow hash). Rotating one leaves the old secret in force for a while. Also the log, as admins see
 * it.
 */
#include "crypto/hash.h"
#include "meta/meta_impl.h"
#include "multi/multibase.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_MAX_S = 7 * 86400, TTL_MAX_S = 10 * 366 * 86400, KEY_NAME_MAX = 64, KEYS_PER_USER_MAX = 100 };
#define KEY_COLUMNS "id, name, user_id, scopes, created_at, expires_at"

static const struct scope {
    const char *name;
    unsigned may;
} scopes[] = {
    {"node", MAY_KEY_NODE}, {"read", MAY_KEY_READ}, {"write", MAY_KEY_WRITE}, {"admin", MAY_KEY_ADMIN}};

static json_t *key_json(sql_rows_t *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        if (sql_int(r, 3) & scopes[i].may)
            json_array_append_new(list, json_string(scopes[i].name));
    return json_pack("{s:s s:s s:s s:o s:o s:o}", "id", sql_text(r, 0), "name", sql_text(r, 1), "user",
                     sql_text(r, 2), "scopes", list, "created_at", json_time(sql_int(r, 4)), "expires_at",
                     sql_is_null(r, 5) ? json_null() : json_time(sql_int(r, 5)));
}

OP(op_key_list)
{
    AUTO(sql_rows_t) r = {0};
    json_t *list = json_array();
    TRY(call_answer(call, 200, json_pack("{s:o}", "api_keys", list)));
    TRY(sql_open(c,
                 "SELECT " KEY_COLUMNS
                 " FROM api_keys WHERE user_id = ?1 OR ?2 = 1 ORDER BY created_at, id LIMIT 1000",
                 SQL(SQL_TEXT(call->by.user_id), SQL_INT(call_is(call, MAY_ADMIN))), &r));
    while (sql_next(&r))
        json_array_append_new(list, key_json(&r));
    return sql_close(&r);
}

/* "dsk_" and 32 random bytes in base64url. */
static err_t new_secret(char out[64], uint8_t ret_hash[32])
{
    uint8_t secret[32];
    AUTO(buf_t) text = {0};
    buf_init(&text, 48);
    crypto_random(secret, sizeof secret);
    err_t e = multibase_encode_raw(MB_BASE64URL, bytes_of(secret, sizeof secret), &text);
    secret_wipe(secret, sizeof secret);
    TRY(e);
    snprintf(out, 64, "dsk_%.*s", (int)text.len, (const char *)text.data);
    secret_wipe(text.data, text.len);
    sha256_of(bytes_str(out), ret_hash);
    return OK;
}

static err_t answer_secret(sql_t *c, meta_call_t *call, int status, const char *id, const char *secret)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT " KEY_COLUMNS " FROM api_keys WHERE id = ?1", SQL(SQL_TEXT(id)), &r));
    TRY(call_answer(call, status, json_pack("{s:o s:s}", "api_key", key_json(&r), "key", secret)));
    return sql_close(&r);
}

static err_t read_scopes(const meta_call_t *call, unsigned *ret)
{
    json_t *list = json_object_get(call->request->body, "scopes"), *one;
    size_t i;
    *ret = 0;
    json_array_foreach(list, i, one)
    {
        size_t k = 0;
        while (k < ARRAY_LEN(scopes) &&
               (!json_is_string(one) || strcmp(scopes[k].name, json_string_value(one))))
            k++;
        if (k == ARRAY_LEN(scopes))
            return fail(ERR_INVALID, "a scope is node, read, write or admin");
        *ret |= scopes[k].may;
    }
    if (!*ret)
        return fail(ERR_INVALID, "scopes must name one at least");
    if ((*ret & (MAY_KEY_NODE | MAY_KEY_ADMIN)) && !call_is(call, MAY_ADMIN))
        return fail(ERR_DENIED, "only admins make keys of the scopes node and admin");
    return OK;
}

OP(op_key_add)
{
    static const char *const keys[] = {"name", "scopes", "expires_in_s", NULL};
    static const char *const required[] = {"name", "scopes", NULL};
    json_t *body = call->request->body;
    const char *name;
    int64_t expires_in_s, n;
    unsigned may;
    char id[META_ID_CHARS + 1], secret[64];
    uint8_t hash[32];
    TRY(json_check_members(body, keys, required));
    TRY(json_get_text(body, "name", "", &name));
    TRY(json_get_number(body, "expires_in_s", -1, TTL_MAX_S, &expires_in_s));
    TRY(read_scopes(call, &may));
    if (!*name || strlen(name) > KEY_NAME_MAX)
        return fail(ERR_INVALID, "name has 1 to %d bytes", KEY_NAME_MAX);
    TRY(sql_number(c, "SELECT count(*) FROM api_keys WHERE user_id = ?1", SQL(SQL_TEXT(call->by.user_id)), 0,
                   &n));
    if (n >= KEYS_PER_USER_MAX)
        return fail(ERR_LIMIT, "an account has %d keys at most", KEYS_PER_USER_MAX);
    meta_new_id(id);
    TRY(new_secret(secret, hash));
    call_note(call, id, "name=%s", name);
    TRY(sql_run(c,
                "INSERT INTO api_keys (id, name, user_id, hash, old_until, scopes, created_at, expires_at) "
                "VALUES (?1, ?2, "
                "?3, ?4, 0, ?5, ?6, ?7)",
                SQL(SQL_TEXT(id), SQL_TEXT(name), SQL_TEXT(call->by.user_id),
                    SQL_BLOB(bytes_of(hash, sizeof hash)), SQL_INT(may), SQL_INT(call->now_ms),
                    expires_in_s < 0 ? SQL_NULL : SQL_INT(call->now_ms + 1000 * expires_in_s)),
                NULL));
    err_t e = answer_secret(c, call, 201, id, secret);
    secret_wipe(secret, sizeof secret);
    return e;
}

/* One's own, or any for admins. */
static err_t find_key(sql_t *c, const meta_call_t *call)
{
    int64_t is_there;
    TRY(sql_number(
        c, "SELECT 1 FROM api_keys WHERE id = ?1 AND (user_id = ?2 OR ?3 = 1)",
        SQL(SQL_TEXT(call->request->ids[0]), SQL_TEXT(call->by.user_id), SQL_INT(call_is(call, MAY_ADMIN))),
        0, &is_there));
    return is_there ? OK : fail(ERR_NOT_FOUND, "there is no API key %.40s", call->request->ids[0]);
}

OP(op_key_delete)
{
    TRY(find_key(c, call));
    TRY(sql_run(c, "DELETE FROM api_keys WHERE id = ?1", SQL(SQL_TEXT(call->request->ids[0])), NULL));
    return call_answer(call, 204, NULL);
}

OP(op_key_rotate)
{
    static const char *const keys[] = {"grace_s", NULL};
    int64_t grace_s;
    char secret[64];
    uint8_t hash[32];
    TRY(json_check_members(call->request->body, keys, NULL));
    TRY(json_get_number(call->request->body, "grace_s", 0, GRACE_MAX_S, &grace_s));
    TRY(find_key(c, call));
    TRY(new_secret(secret, hash));
    TRY(sql_run(c, "UPDATE api_keys SET old_hash = hash, old_until = ?1, hash = ?2 WHERE id = ?3",
                SQL(SQL_INT(grace_s ? call->now_ms + 1000 * grace_s : 0),
                    SQL_BLOB(bytes_of(hash, sizeof hash)), SQL_TEXT(call->request->ids[0])),
                NULL));
    err_t e = answer_secret(c, call, 200, call->request->ids[0], secret);
    secret_wipe(secret, sizeof secret);
    return e;
}

/* ── the log ─────────────────────────────────────────────────────────────────────────────────── */
OP(op_audit_list)
{
    int64_t from, next;
    size_t limit;
    json_t *records = json_array();
    TRY(call_answer(call, 200, json_pack("{s:o s:n}", "records", records, "next_seq")));
    TRY(call_query_number(call, "from_seq", 1, INT64_MAX / 16, &from));
    TRY(call_limit(call, &limit));
    TRY(audit_list(c, from, call_query(call, "actor"), call_query(call, "action"), limit, records, &next));
    if (next)
        json_object_set_new(call->answer.body, "next_seq", json_integer(next));
    return OK;
}

OP(op_audit_verify)
{
    audit_check_t check;
    char head[65];
    TRY(audit_verify(c, &check));
    json_t *o = json_pack("{s:b s:I s:s}", "is_intact", check.is_intact, "records", (json_int_t)check.records,
                          "head", hex_text(bytes_of(check.head, sizeof check.head), head, sizeof head));
    if (!check.is_intact)
        json_object_set_new(o, "first_bad_seq", json_integer(check.first_bad_seq));
    return call_answer(call, 200, o);
}
