#include "meta/audit.h"
#include "base/rfc3339.h"
#include "crypto/hash.h"
#include "meta/json.h"
#include <stdio.h>
#include <string.h>

enum { PAGE_ROWS = 1000 };

static size_t put_number(uint8_t *out, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
    return 8;
}

static size_t put_text(uint8_t *out, const char *text)
{
    size_t len = strlen(text);
    put_number(out, len);
    memcpy(out + 8, text, len);
    return 8 + len;
}

void audit_hash(const uint8_t before[32], int64_t seq, const audit_entry_t *e, uint8_t out[32])
{
    uint8_t text[32 + 8 * 8 + 5 * AUDIT_TEXT_MAX];
    size_t n = 32;
    memcpy(text, before, 32);
    n += put_number(text + n, (uint64_t)seq);
    n += put_number(text + n, (uint64_t)e->at_ms);
    n += put_text(text + n, e->actor);
    n += put_text(text + n, e->action);
    n += put_text(text + n, e->target);
    n += put_text(text + n, e->outcome);
    n += put_text(text + n, e->detail);
    n += put_text(text + n, e->remote);
    assert(n <= sizeof text);
    sha256_of(bytes_of(text, n), out);
}

err_t audit_add(sql_t *c, audit_head_t *head, const audit_entry_t *e)
{
    uint8_t hash[32];
    audit_hash(head->hash, head->seq + 1, e, hash);
    TRY(sql_run(c,
                "INSERT INTO audit (seq, at, actor, action, target, outcome, detail, remote, hash) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                SQL(SQL_INT(head->seq + 1), SQL_INT(e->at_ms), SQL_TEXT(e->actor), SQL_TEXT(e->action),
                    SQL_TEXT(e->target), SQL_TEXT(e->outcome), SQL_TEXT(e->detail), SQL_TEXT(e->remote),
                    SQL_BLOB(bytes_of(hash, sizeof hash))),
                NULL));
    head->seq++;
    memcpy(head->hash, hash, sizeof hash);
    return OK;
}

static json_t *record_of(sql_rows_t *r)
{
    char at[RFC3339_MAX], hash[65];
    return json_pack("{s:I s:s s:s s:s s:s s:s s:s s:s s:s}", "seq", (json_int_t)sql_int(r, 0), "at",
                     json_time_text(sql_int(r, 1), at), "actor", sql_text(r, 2), "action", sql_text(r, 3),
                     "target", sql_text(r, 4), "outcome", sql_text(r, 5), "detail", sql_text(r, 6), "remote",
                     sql_text(r, 7), "hash", hex_text(sql_blob(r, 8), hash, sizeof hash));
}

err_t audit_list(sql_t *c, int64_t from_seq, const char *actor, const char *action, size_t limit,
                 json_t *ret_records, int64_t *ret_next_seq)
{
    AUTO(sql_rows_t) r = {0};
    size_t n = 0;
    *ret_next_seq = 0;
    TRY(sql_open(
        c,
        "SELECT seq, at, actor, action, target, outcome, detail, remote, hash FROM audit WHERE seq >= ?1 "
        "AND (?2 = '' OR actor = ?2) AND (?3 = '' OR action = ?3) ORDER BY seq LIMIT ?4",
        SQL(SQL_INT(from_seq), SQL_TEXT(actor ? actor : ""), SQL_TEXT(action ? action : ""),
            SQL_INT(limit + 1)),
        &r));
    while (sql_next(&r)) {
        if (n++ == limit)
            *ret_next_seq = sql_int(&r, 0);
        else if (json_array_append_new(ret_records, record_of(&r)))
            return fail(ERR_INVALID, "an audit record holds text that is not UTF-8");
    }
    return sql_close(&r);
}

static void copy_text(char *out, size_t cap, sql_rows_t *r, int column)
{
    snprintf(out, cap, "%s", sql_text(r, column));
}

static void break_at(audit_check_t *check, int64_t seq, const char *why)
{
    if (!check->is_intact)
        return;
    check->is_intact = false;
    check->first_bad_seq = seq;
    snprintf(check->why, sizeof check->why, "%s", why);
}

static void check_row(sql_rows_t *r, audit_check_t *check)
{
    audit_entry_t e = {.at_ms = sql_int(r, 1)};
    char action[AUDIT_TEXT_MAX];
    uint8_t hash[32];
    int64_t seq = sql_int(r, 0);
    copy_text(e.actor, sizeof e.actor, r, 2);
    copy_text(action, sizeof action, r, 3);
    copy_text(e.target, sizeof e.target, r, 4);
    copy_text(e.outcome, sizeof e.outcome, r, 5);
    copy_text(e.detail, sizeof e.detail, r, 6);
    copy_text(e.remote, sizeof e.remote, r, 7);
    e.action = action;
    if (seq != check->records + 1)
        break_at(check, check->records + 1, "a record is missing");
    audit_hash(check->head, seq, &e, hash);
    if (!bytes_equal(sql_blob(r, 8), bytes_of(hash, sizeof hash)))
        break_at(check, seq, "the record does not fit its hash");
    memcpy(check->head, hash, sizeof hash);
    check->records = seq;
}

err_t audit_verify(sql_t *c, audit_check_t *ret)
{
    audit_check_t check = {.is_intact = true};
    for (int64_t before = -1; before != check.records;) {
        AUTO(sql_rows_t) r = {0};
        before = check.records;
        TRY(sql_open(c,
                     "SELECT seq, at, actor, action, target, outcome, detail, remote, hash FROM audit "
                     "WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                     SQL(SQL_INT(before), SQL_INT(PAGE_ROWS)), &r));
        while (sql_next(&r))
            check_row(&r, &check);
        TRY(sql_close(&r));
    }
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT audit_seq, audit_hash FROM writer WHERE id = 1", SQL_NO_VALUES, &r));
    if (sql_int(&r, 0) != check.records ||
        !bytes_equal(sql_blob(&r, 1), bytes_of(check.head, sizeof check.head)))
        break_at(&check, check.records + 1, "the end of the log is not the one that was written last");
    *ret = check;
    return sql_close(&r);
}
