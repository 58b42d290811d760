/* files: what is visible: listing, reading, renaming, deleting, sharing. A file belongs to one account and
 * has a name there; to others than its owner, those it is shared with, and admins (who see no key) it is not
 * there. */
#include "base/utf8.h"
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

enum { CHUNK_PAGE_MAX = 1000, SHARES_MAX = 1000, CID_MAX = 128, MEDIA_TYPE_MAX = 255 };

err_t check_name(const char *name)
{
    size_t len = strlen(name);
    if (!len || len > NAME_MAX_BYTES || !utf8_is_valid(bytes_str(name)))
        return fail(ERR_INVALID, "a name has 1 to %d bytes of UTF-8", NAME_MAX_BYTES);
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return fail(ERR_INVALID, "a name holds no control bytes");
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (!n || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return fail(ERR_INVALID,
                        "the parts of a name are not empty, '.' or '..', and no '/' is at its ends");
        part += n;
        if (!*part)
            return OK;
    }
}

static void make_etag(int64_t version, int64_t revision, char out[48])
{
    snprintf(out, 48, "\"%lld-%lld\"", (long long)version, (long long)revision);
}

json_t *file_json(sql_rows_t *r, char etag[48])
{
    make_etag(sql_int(r, 5), sql_int(r, 13), etag);
    json_t *o =
        json_pack("{s:s s:s s:s s:s s:I s:I s:I s:I s:I s:s s:o s:o s:s}", "id", sql_text(r, 0), "name",
                  sql_text(r, 1), "kind", sql_text(r, 2), "owner", sql_text(r, 3), "size",
                  (json_int_t)sql_int(r, 4), "version", (json_int_t)sql_int(r, 5), "stored_bytes",
                  (json_int_t)sql_int(r, 6), "chunk_count", (json_int_t)sql_int(r, 7), "replication_factor",
                  (json_int_t)sql_int(r, 8), "media_type", sql_text(r, 9), "created_at",
                  json_time(sql_int(r, 11)), "modified_at", json_time(sql_int(r, 12)), "etag", etag);
    if (!sql_is_null(r, 10))
        json_object_set_new(o, "cid", json_string(sql_text(r, 10)));
    return o;
}

static err_t no_such_file(const char *id)
{
    return fail(ERR_NOT_FOUND, "there is no file %.40s", id);
}

err_t file_find(sql_t *c, const meta_call_t *call, const char *id, file_use_t use, file_row_t *ret)
{
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(
        c,
        "SELECT f.owner, f.name, f.version, f.revision, f.stored_bytes, f.chunk_count, f.kind, EXISTS "
        "(SELECT 1 FROM shares s WHERE s.file_id = f.id AND s.user_id = ?2) AS is_shared FROM files f "
        "WHERE f.id = ?1 AND f.is_visible = 1",
        SQL(SQL_TEXT(id), SQL_TEXT(call->by.user_id)), &r);
    if (e == ERR_NOT_FOUND)
        return no_such_file(id);
    TRY(e);
    snprintf(ret->id, sizeof ret->id, "%s", id);
    snprintf(ret->owner, sizeof ret->owner, "%s", sql_text(&r, 0));
    snprintf(ret->name, sizeof ret->name, "%s", sql_text(&r, 1));
    ret->version = sql_int(&r, 2);
    make_etag(ret->version, sql_int(&r, 3), ret->etag);
    ret->stored_bytes = sql_int(&r, 4);
    ret->chunk_count = sql_int(&r, 5);
    ret->is_file = !strcmp(sql_text(&r, 6), "file");
    bool is_own = !strcmp(ret->owner, call->by.user_id), is_shared = sql_int(&r, 7) != 0;
    TRY(sql_close(&r));
    if (is_own || call_is(call, MAY_ADMIN))
        return OK;
    if (is_shared)
        return use == FILE_TO_READ ? OK
                                   : fail(ERR_DENIED, "the file is another account's, shared to be read");
    return fail(ERR_DENIED, "there is no file %.40s for this account", id);
}

err_t file_answer(sql_t *c, meta_call_t *call, int status, const char *id)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT " FILE_COLUMNS " FROM files WHERE id = ?1", SQL(SQL_TEXT(id)), &r));
    TRY(call_answer(call, status, file_json(&r, call->answer.etag)));
    return sql_close(&r);
}

err_t file_check_match(const meta_call_t *call, const char *etag)
{
    const char *wanted = call->request->if_match;
    if (!wanted || !strcmp(wanted, "*") || !strcmp(wanted, etag))
        return OK;
    return fail(ERR_IN_USE, "the file has changed: its ETag is %s now", etag);
}

err_t file_unwrap_key(sql_t *c, const meta_call_t *call, const char *id, char ret_base64[48])
{
    AUTO(sql_rows_t) r = {0};
    uint8_t key[FILE_KEY_BYTES];
    char what[WRAP_WHAT_MAX];
    TRY(sql_first(c, "SELECT key_name, wrapped FROM files WHERE id = ?1", SQL(SQL_TEXT(id)), &r));
    bytes_t wrapped = sql_blob(&r, 1);
    if (wrapped.len != FILE_KEY_BYTES + WRAP_EXTRA_BYTES)
        return fail(ERR_CORRUPT, "the key of file %s is not there", id);
    AUTO(master_keys_t) master;
    meta_master(call->m, &master);
    if (!master_keys_have(&master, sql_text(&r, 0)))
        return fail(ERR_CLOSED, "the master key is being changed: try again in a moment");
    snprintf(what, sizeof what, "file %s", id);
    err_t e = master_unwrap(&master, sql_text(&r, 0), what, wrapped, key);
    if (!e)
        e = base64_text(bytes_of(key, sizeof key), ret_base64, 48);
    secret_wipe(key, sizeof key);
    TRY(e);
    return sql_close(&r);
}

/* ── one file ────────────────────────────────────────────────────────────────────────────────── */
/* One row for each copy of each chunk; a chunk without one has one with nulls. */
static const char chunk_page[] =
    "SELECT f.idx, f.chunk_id, c.size, c.length, n.id, n.address FROM (SELECT idx, chunk_id FROM file_chunks "
    "WHERE file_id = ?1 AND version = ?2 AND idx >= ?3 ORDER BY idx LIMIT ?4) AS f JOIN chunks c ON c.id = "
    "f.chunk_id LEFT JOIN locations l ON l.chunk_id = f.chunk_id AND l.state = 0 LEFT JOIN nodes n ON n.id = "
    "l.node_id ORDER BY f.idx, n.last_seen DESC";

static json_t *chunk_json(const meta_call_t *call, sql_rows_t *r)
{
    char ticket[TICKET_TEXT_MAX];
    ticket_read_make(&call->m->tickets, sql_text(r, 1), (uint64_t)(call->now_ms / 1000 + TICKET_TTL_S),
                     ticket);
    return json_pack("{s:I s:s s:I s:I s:s s:[]}", "index", (json_int_t)sql_int(r, 0), "id", sql_text(r, 1),
                     "size", (json_int_t)sql_int(r, 2), "length", (json_int_t)sql_int(r, 3), "ticket", ticket,
                     "locations");
}

static err_t add_chunks(sql_t *c, meta_call_t *call, const char *id, int64_t version, json_t *detail)
{
    int64_t from, limit, n = 0, index = -1;
    AUTO(sql_rows_t) r = {0};
    json_t *chunks = json_object_get(detail, "chunks"), *chunk = NULL;
    TRY(call_query_number(call, "chunks_from", 0, CHUNKS_MAX, &from));
    TRY(call_query_number(call, "chunks_limit", CHUNK_PAGE_MAX, CHUNK_PAGE_MAX, &limit));
    TRY(sql_open(c, chunk_page, SQL(SQL_TEXT(id), SQL_INT(version), SQL_INT(from), SQL_INT(limit + 1)), &r));
    while (sql_next(&r)) {
        if (sql_int(&r, 0) != index) {
            index = sql_int(&r, 0);
            if (n++ == limit) {
                json_object_set_new(detail, "next_chunk", json_integer(index));
                break;
            }
            json_array_append_new(chunks, chunk = chunk_json(call, &r));
        }
        if (!sql_is_null(&r, 4))
            json_array_append_new(
                json_object_get(chunk, "locations"),
                json_pack("{s:s s:s}", "node", sql_text(&r, 4), "address", sql_text(&r, 5)));
    }
    return sql_close(&r);
}

/* An older version shows its own size. */
static err_t choose_version(sql_t *c, meta_call_t *call, const char *id, json_t *file, int64_t newest,
                            int64_t *ret)
{
    AUTO(sql_rows_t) r = {0};
    TRY(call_query_number(call, "version", newest, INT64_MAX / 16, ret));
    if (*ret == newest)
        return OK;
    err_t e = sql_first(c, "SELECT size, chunk_count FROM versions WHERE file_id = ?1 AND version = ?2",
                        SQL(SQL_TEXT(id), SQL_INT(*ret)), &r);
    if (e == ERR_NOT_FOUND)
        return fail(e, "the file has no version %lld", (long long)*ret);
    TRY(e);
    json_object_set_new(file, "version", json_integer(*ret));
    json_object_set_new(file, "size", json_integer(sql_int(&r, 0)));
    json_object_set_new(file, "chunk_count", json_integer(sql_int(&r, 1)));
    return sql_close(&r);
}

OP(op_file_get)
{
    const char *id = call->request->ids[0], *known = call->request->if_none_match;
    file_row_t f;
    char key[48];
    int64_t version;
    TRY(file_find(c, call, id, FILE_TO_READ, &f));
    call_note(call, id, "%.200s", f.name);
    if (known && !strcmp(known, f.etag)) {
        memcpy(call->answer.etag, f.etag, sizeof f.etag);
        return call_answer(call, 304, NULL);
    }
    TRY(file_answer(c, call, 200, id));
    json_t *detail =
        json_pack("{s:O s:n s:[] s:n}", "file", call->answer.body, "key", "chunks", "next_chunk");
    TRY(call_answer(call, 200, detail));
    TRY(choose_version(c, call, id, json_object_get(detail, "file"), f.version, &version));
    bool sees_key = !call_is(call, MAY_ADMIN) || !strcmp(f.owner, call->by.user_id);
    if (sees_key && f.is_file && version) {
        TRY(file_unwrap_key(c, call, id, key));
        json_object_set_new(detail, "key", json_string(key));
        secret_wipe(key, sizeof key);
    }
    return sees_key ? add_chunks(c, call, id, version, detail) : OK;
}

OP(op_file_versions)
{
    AUTO(sql_rows_t) r = {0};
    file_row_t f;
    json_t *list = json_array();
    TRY(call_answer(call, 200, json_pack("{s:o}", "versions", list)));
    TRY(file_find(c, call, call->request->ids[0], FILE_TO_READ, &f));
    TRY(sql_open(c,
                 "SELECT version, size, created_at, chunk_count FROM versions WHERE file_id = ?1 ORDER BY "
                 "version DESC "
                 "LIMIT 1000",
                 SQL(SQL_TEXT(f.id)), &r));
    while (sql_next(&r))
        json_array_append_new(list,
                              json_pack("{s:I s:I s:o s:I}", "version", (json_int_t)sql_int(&r, 0), "size",
                                        (json_int_t)sql_int(&r, 1), "created_at", json_time(sql_int(&r, 2)),
                                        "chunk_count", (json_int_t)sql_int(&r, 3)));
    return sql_close(&r);
}

/* ── changing ────────────────────────────────────────────────────────────────────────────────── */
static err_t check_attributes(json_t *body)
{
    const char *name, *media_type, *cid;
    TRY(json_get_text(body, "name", NULL, &name));
    TRY(json_get_text(body, "media_type", "", &media_type));
    TRY(json_get_text(body, "cid", "", &cid));
    if (strlen(media_type) > MEDIA_TYPE_MAX || strlen(cid) > CID_MAX ||
        cid[strspn(cid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")])
        return fail(ERR_INVALID, "media_type has %d bytes at most, cid is letters and digits",
                    MEDIA_TYPE_MAX);
    return name ? check_name(name) : OK;
}

static err_t text_of(json_t *body, const char *key, const char **ret)
{
    return json_get_text(body, key, NULL, ret);
}

/* A quota of files, for one that comes into being. Bytes are checked where uploads begin. */
static err_t count_file(sql_t *c, meta_call_t *call)
{
    uint64_t changed;
    TRY(sql_run(
        c,
        "UPDATE users SET used_files = used_files + 1 WHERE id = ?1 AND (quota_files IS NULL OR used_files + "
        "reserved_files < quota_files)",
        SQL(SQL_TEXT(call->by.user_id)), &changed));
    return changed ? OK : fail(ERR_LIMIT, "the account's quota of files is used up");
}

OP(op_file_register)
{
    static const char *const keys[] = {"name", "kind", "size", "media_type", "cid", NULL};
    static const char *const required[] = {"name", "kind", NULL};
    json_t *body = call->request->body;
    const char *name, *kind, *media_type, *cid;
    int64_t size, is_there;
    char id[META_ID_CHARS + 1];
    TRY(json_check_members(body, keys, required));
    TRY(check_attributes(body));
    TRY(text_of(body, "name", &name));
    TRY(text_of(body, "kind", &kind));
    TRY(text_of(body, "media_type", &media_type));
    TRY(text_of(body, "cid", &cid));
    TRY(json_get_number(body, "size", 0, META_SIZE_MAX, &size));
    bool is_folder = !strcmp(kind, "folder");
    if ((!is_folder && strcmp(kind, "file")) || (is_folder ? size || cid : !cid))
        return fail(ERR_INVALID, "kind is folder, or file with the cid that its content has on IPFS");
    meta_new_id(id);
    call_note(call, id, "%.200s", name);
    TRY(sql_number(c, "SELECT 1 FROM files WHERE owner = ?1 AND name = ?2",
                   SQL(SQL_TEXT(call->by.user_id), SQL_TEXT(name)), 0, &is_there));
    if (is_there)
        return fail(ERR_EXISTS, "there is something of that name already");
    TRY(count_file(c, call));
    TRY(sql_run(
        c,
        "INSERT INTO files (id, owner, name, kind, is_visible, size, version, stored_bytes, chunk_count, "
        "replication, media_type, cid, key_name, wrapped, upload_seq, revision, created_at, modified_at) "
        "VALUES "
        "(?1, ?2, ?3, ?4, 1, ?5, 0, 0, 0, 0, ?6, ?7, '', ?8, 0, 1, ?9, ?9)",
        SQL(SQL_TEXT(id), SQL_TEXT(call->by.user_id), SQL_TEXT(name), SQL_TEXT(kind), SQL_INT(size),
            SQL_TEXT(media_type ? media_type : ""), SQL_TEXT(cid), SQL_BLOB(BYTES_NONE),
            SQL_INT(call->now_ms)),
        NULL));
    return file_answer(c, call, 201, id);
}

OP(op_file_patch)
{
    static const char *const keys[] = {"name", "media_type", "cid", NULL};
    json_t *body = call->request->body;
    const char *name, *media_type, *cid;
    int64_t is_there = 0;
    file_row_t f;
    TRY(json_check_members(body, keys, NULL));
    TRY(check_attributes(body));
    TRY(text_of(body, "name", &name));
    TRY(text_of(body, "media_type", &media_type));
    TRY(text_of(body, "cid", &cid));
    TRY(file_find(c, call, call->request->ids[0], FILE_TO_CHANGE, &f));
    TRY(file_check_match(call, f.etag));
    call_note(call, f.id, "%.100s%s%.100s", f.name, name ? " to " : "", name ? name : "");
    if (name && strcmp(name, f.name))
        TRY(sql_number(c, "SELECT 1 FROM files WHERE owner = ?1 AND name = ?2",
                       SQL(SQL_TEXT(f.owner), SQL_TEXT(name)), 0, &is_there));
    if (is_there)
        return fail(ERR_EXISTS, "there is something of that name already, or an upload to it is under way");
    TRY(sql_run(
        c,
        "UPDATE files SET name = COALESCE(?1, name), media_type = COALESCE(?2, media_type), cid = "
        "COALESCE(?3, "
        "cid), revision = revision + 1, modified_at = ?4 WHERE id = ?5",
        SQL(SQL_TEXT(name), SQL_TEXT(media_type), SQL_TEXT(cid), SQL_INT(call->now_ms), SQL_TEXT(f.id)),
        NULL));
    return file_answer(c, call, 200, f.id);
}

/* The row goes, and the only copy of the wrapped key with it. */
OP(op_file_delete)
{
    file_row_t f;
    AUTO(sql_rows_t) r = {0};
    int64_t reserved, reserved_files;
    TRY(file_find(c, call, call->request->ids[0], FILE_TO_CHANGE, &f));
    TRY(file_check_match(call, f.etag));
    call_note(call, f.id, "%.200s", f.name);
    TRY(sql_run(c,
                "UPDATE locations SET state = 1, since = ?1 WHERE chunk_id IN (SELECT id FROM chunks WHERE "
                "file_id = ?2)",
                SQL(SQL_INT(call->now_ms), SQL_TEXT(f.id)), NULL));
    TRY(sql_run(c, "UPDATE chunks SET is_live = 0 WHERE file_id = ?1", SQL(SQL_TEXT(f.id)), NULL));
    TRY(sql_run(c, "DELETE FROM file_chunks WHERE file_id = ?1", SQL(SQL_TEXT(f.id)), NULL));
    TRY(sql_run(c, "DELETE FROM versions WHERE file_id = ?1", SQL(SQL_TEXT(f.id)), NULL));
    TRY(sql_run(c, "DELETE FROM shares WHERE file_id = ?1", SQL(SQL_TEXT(f.id)), NULL));
    TRY(sql_first(
        c,
        "SELECT COALESCE(sum(reserved_bytes), 0), COALESCE(sum(reserved_files), 0) FROM uploads WHERE "
        "file_id = ?1 AND version = 0",
        SQL(SQL_TEXT(f.id)), &r));
    reserved = sql_int(&r, 0);
    reserved_files = sql_int(&r, 1);
    TRY(sql_close(&r));
    TRY(sql_run(c, "DELETE FROM uploads WHERE file_id = ?1", SQL(SQL_TEXT(f.id)), NULL));
    TRY(sql_run(c, "DELETE FROM files WHERE id = ?1", SQL(SQL_TEXT(f.id)), NULL));
    TRY(sql_run(
        c,
        "UPDATE users SET used_bytes = used_bytes - ?1, used_files = used_files - 1, reserved_bytes = "
        "reserved_bytes - ?2, reserved_files = reserved_files - ?3 WHERE id = ?4",
        SQL(SQL_INT(f.stored_bytes), SQL_INT(reserved), SQL_INT(reserved_files), SQL_TEXT(f.owner)), NULL));
    return call_answer(call, 204, NULL);
}
