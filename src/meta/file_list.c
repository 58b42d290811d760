/* file_list: files by name, in pages; and who may read them besides their owner. */
#include "meta/meta_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARES_MAX = 1000, SCANNED_MAX = 5000 };

/* The smallest text above all that begin with the prefix; false when there is none. */
static bool prefix_end(const char *prefix, char out[NAME_MAX_BYTES + 1])
{
    size_t len = strlen(prefix);
    memcpy(out, prefix, len + 1);
    while (len && (unsigned char)out[len - 1] >= 0xf4) /* no UTF-8 above it */
        len--;
    if (!len)
        return false;
    /* A last byte of a character may become no character: only its order counts, and SQL compares bytes. It
     * is kept well-formed for PostgreSQL by going on to the next ASCII byte where the last one is ASCII. */
    unsigned char last = (unsigned char)out[len - 1];
    if (last < 0x7e) {
        out[len - 1] = (char)(last + 1);
        out[len] = 0;
        return true;
    }
    return false;
}

/* U+10FFFF, the highest there is, a few times. A bound in any case: a scan without one goes on to the last
 * name. */
static const char above_all[] = "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf";

typedef struct listing {
    const char *prefix, *owner, *delimiter;
    char from[NAME_MAX_BYTES + 8], to[NAME_MAX_BYTES + 1]; /* above the one, below the other */
    size_t limit, n, scanned;
    json_t *files, *folders;
    bool is_cut;
} listing_t;

/* The folder right below the prefix that this name lies in; false when it lies in none. */
static bool folder_of(const listing_t *l, const char *name, char out[NAME_MAX_BYTES + 1])
{
    const char *slash = l->delimiter ? strchr(name + strlen(l->prefix), '/') : NULL;
    if (!slash)
        return false;
    snprintf(out, NAME_MAX_BYTES + 1, "%.*s", (int)(slash - name) + 1, name);
    return true;
}

static err_t run_page(sql_t *c, listing_t *l, bool *ret_again)
{
    AUTO(sql_rows_t) r = {0};
    char folder[NAME_MAX_BYTES + 1], etag[48];
    *ret_again = false;
    TRY(sql_open(
        c,
        "SELECT " FILE_COLUMNS
        " FROM files WHERE owner = ?1 AND is_visible = 1 AND name > ?2 AND name < ?3 ORDER BY name LIMIT ?4",
        SQL(SQL_TEXT(l->owner), SQL_TEXT(l->from), SQL_TEXT(l->to), SQL_INT(l->limit - l->n + 1)), &r));
    while (sql_next(&r)) {
        const char *name = sql_text(&r, 1);
        l->scanned++;
        if (strncmp(name, l->prefix, strlen(l->prefix))) {
            if (strcmp(name, l->prefix) > 0)
                return sql_close(&r);
            continue;
        }
        if (l->n == l->limit || l->scanned > SCANNED_MAX) {
            l->is_cut = true;
            return sql_close(&r);
        }
        l->n++;
        if (folder_of(l, name, folder)) { /* all below it are passed over at once */
            json_array_append_new(l->folders, json_string(folder));
            snprintf(l->from, sizeof l->from, "%s\xf4\x8f\xbf\xbf", folder);
            *ret_again = true;
            return sql_close(&r);
        }
        snprintf(l->from, sizeof l->from, "%s", name);
        json_array_append_new(l->files, file_json(&r, etag));
    }
    return sql_close(&r);
}

/* Files of others that the caller may read, by id; of one name, where one is asked for (may be NULL). */
static err_t list_shared(sql_t *c, meta_call_t *call, const char *name, size_t limit, const char *cursor,
                         json_t *files)
{
    AUTO(sql_rows_t) r = {0};
    char etag[48];
    size_t n = 0;
    json_t *last = NULL;
    TRY(sql_open(
        c,
        "SELECT " FILE_COLUMNS " FROM files WHERE is_visible = 1 AND id > ?2 AND id IN (SELECT file_id FROM "
        "shares WHERE user_id = ?1) AND (?4 = '' OR name = ?4) ORDER BY id LIMIT ?3",
        SQL(SQL_TEXT(call->by.user_id), SQL_TEXT(cursor), SQL_INT(limit + 1), SQL_TEXT(name ? name : "")),
        &r));
    while (sql_next(&r) && n++ < limit)
        json_array_append_new(files, last = file_json(&r, etag));
    if (n > limit)
        json_object_set(call->answer.body, "next_cursor", json_object_get(last, "id"));
    return sql_close(&r);
}

static err_t choose_owner(sql_t *c, const meta_call_t *call, char ret[META_ID_CHARS + 1])
{
    const char *owner = call_query(call, "owner");
    if (!owner) {
        snprintf(ret, META_ID_CHARS + 1, "%s", call->by.user_id);
        return OK;
    }
    if (!call_is(call, MAY_ADMIN))
        return fail(ERR_DENIED, "only admins list files of others");
    return user_find(c, call, owner, ret);
}

static err_t list_one(sql_t *c, const char *owner, const char *name, json_t *files)
{
    AUTO(sql_rows_t) r = {0};
    char etag[48];
    err_t e =
        sql_first(c, "SELECT " FILE_COLUMNS " FROM files WHERE owner = ?1 AND name = ?2 AND is_visible = 1",
                  SQL(SQL_TEXT(owner), SQL_TEXT(name)), &r);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    json_array_append_new(files, file_json(&r, etag));
    return sql_close(&r);
}

OP(op_file_list)
{
    const char *prefix = call_query(call, "prefix"), *name = call_query(call, "name"),
               *cursor = call_query(call, "cursor"), *shared = call_query(call, "shared"),
               *delimiter = call_query(call, "delimiter");
    char owner[META_ID_CHARS + 1];
    listing_t l = {.prefix = prefix ? prefix : "", .owner = owner, .delimiter = delimiter};
    TRY(call_limit(call, &l.limit));
    if (strlen(l.prefix) > NAME_MAX_BYTES || (cursor && strlen(cursor) >= sizeof l.from) ||
        (delimiter && strcmp(delimiter, "/")))
        return fail(ERR_INVALID, "the prefix or the cursor is too long, or the delimiter is not /");
    l.files = json_array();
    l.folders = json_array();
    TRY(call_answer(call, 200,
                    json_pack("{s:o s:o s:n}", "files", l.files, "folders", l.folders, "next_cursor")));
    if (shared && !strcmp(shared, "true"))
        return list_shared(c, call, name, l.limit, cursor ? cursor : "", l.files);
    TRY(choose_owner(c, call, owner));
    if (name)
        return list_one(c, owner, name, l.files);
    /* Names at or above the prefix: above what comes right before it. */
    snprintf(l.from, sizeof l.from, "%s", cursor ? cursor : "");
    if (!cursor && *l.prefix) {
        int64_t is_there;
        TRY(sql_number(c, "SELECT 1 FROM files WHERE owner = ?1 AND name = ?2 AND is_visible = 1",
                       SQL(SQL_TEXT(owner), SQL_TEXT(l.prefix)), 0, &is_there));
        if (is_there)
            TRY(list_one(c, owner, l.prefix, l.files));
        l.n = json_array_size(l.files);
        snprintf(l.from, sizeof l.from, "%s", l.prefix);
    }
    if (!prefix_end(l.prefix, l.to))
        snprintf(l.to, sizeof l.to, "%s", above_all);
    for (bool again = true; again && !l.is_cut;)
        TRY(run_page(c, &l, &again));
    if (l.is_cut)
        json_object_set_new(call->answer.body, "next_cursor", json_string(l.from));
    return OK;
}

/* ── shares ──────────────────────────────────────────────────────────────────────────────────── */
static err_t answer_shares(sql_t *c, meta_call_t *call, const char *id)
{
    AUTO(sql_rows_t) r = {0};
    json_t *list = json_array();
    TRY(call_answer(call, 200, json_pack("{s:o}", "shares", list)));
    TRY(sql_open(c,
                 "SELECT s.user_id, u.username FROM shares s JOIN users u ON u.id = s.user_id WHERE "
                 "s.file_id = ?1 ORDER "
                 "BY u.username LIMIT 1000",
                 SQL(SQL_TEXT(id)), &r));
    while (sql_next(&r))
        json_array_append_new(list, json_pack("{s:s s:s s:s}", "user", sql_text(&r, 0), "username",
                                              sql_text(&r, 1), "access", "read"));
    return sql_close(&r);
}

OP(op_share_list)
{
    file_row_t f;
    TRY(file_find(c, call, call->request->ids[0], FILE_TO_CHANGE, &f));
    return answer_shares(c, call, f.id);
}

OP(op_share_add)
{
    static const char *const keys[] = {"user", "access", NULL};
    const char *user, *access;
    char id[META_ID_CHARS + 1];
    int64_t n;
    file_row_t f;
    TRY(json_check_members(call->request->body, keys, keys));
    TRY(json_get_text(call->request->body, "user", "", &user));
    TRY(json_get_text(call->request->body, "access", "", &access));
    if (strcmp(access, "read"))
        return fail(ERR_INVALID, "access must be read");
    TRY(file_find(c, call, call->request->ids[0], FILE_TO_CHANGE, &f));
    TRY(user_find(c, call, user, id));
    TRY(sql_number(c, "SELECT count(*) FROM shares WHERE file_id = ?1", SQL(SQL_TEXT(f.id)), 0, &n));
    if (n >= SHARES_MAX)
        return fail(ERR_LIMIT, "a file is shared with %d accounts at most", SHARES_MAX);
    call_note(call, f.id, "with %s", id);
    TRY(sql_run(
        c, "INSERT INTO shares (file_id, user_id) VALUES (?1, ?2) ON CONFLICT (file_id, user_id) DO NOTHING",
        SQL(SQL_TEXT(f.id), SQL_TEXT(id)), NULL));
    return answer_shares(c, call, f.id);
}

OP(op_share_remove)
{
    char id[META_ID_CHARS + 1];
    file_row_t f;
    TRY(file_find(c, call, call->request->ids[0], FILE_TO_CHANGE, &f));
    TRY(user_find(c, call, call->request->ids[1], id));
    call_note(call, f.id, "from %s", id);
    TRY(sql_run(c, "DELETE FROM shares WHERE file_id = ?1 AND user_id = ?2",
                SQL(SQL_TEXT(f.id), SQL_TEXT(id)), NULL));
    return call_answer(call, 204, NULL);
}
