/* uploads: from init_upload, which makes an invisible file (or takes the one of that name), reserves room and
 * plans places, to commit_upload, which makes the new version visible in one transaction. What is not
 * committed in time is collected by a job (jobs.c). */
#include "crypto/hash.h"
#include "meta/rotation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPLOADS_PER_FILE_MAX = 16, MEDIA_TYPE_MAX = 255, CID_MAX = 128 };

typedef struct upload_want {
    const char *name, *media_type, *cid;
    int64_t size, chunk_size, chunk_count, replication, quorum, reserved;
} upload_want_t;

static err_t read_want(json_t *body, upload_want_t *w)
{
    static const char *const keys[] = {"name",        "size",       "chunk_size",
                                       "chunk_count", "media_type", "replication_factor",
                                       "quorum",      "cid",        NULL};
    static const char *const required[] = {"name", "size", NULL};
    TRY(json_check_members(body, keys, required));
    TRY(json_get_text(body, "name", "", &w->name));
    TRY(json_get_text(body, "media_type", "", &w->media_type));
    TRY(json_get_text(body, "cid", NULL, &w->cid));
    TRY(check_name(w->name));
    TRY(json_get_number(body, "size", 0, META_SIZE_MAX, &w->size));
    TRY(json_get_number(body, "chunk_size", CHUNK_BYTES_DEFAULT, CHUNK_BYTES_MAX, &w->chunk_size));
    TRY(json_get_number(body, "replication_factor", REPLICATION_DEFAULT, REPLICATION_MAX, &w->replication));
    TRY(json_get_number(body, "quorum", w->replication / 2 + 1, REPLICATION_MAX, &w->quorum));
    if (w->chunk_size < CHUNK_BYTES_MIN || !w->replication || !w->quorum || w->quorum > w->replication)
        return fail(ERR_INVALID,
                    "chunk_size is %d at least, replication_factor and quorum 1, and quorum no more than it",
                    CHUNK_BYTES_MIN);
    int64_t least = (w->size + w->chunk_size - 1) / w->chunk_size;
    TRY(json_get_number(body, "chunk_count", least, CHUNKS_MAX, &w->chunk_count));
    if (w->chunk_count < least || least > CHUNKS_MAX || (w->chunk_count > w->size))
        return fail(ERR_INVALID,
                    "%lld bytes are %lld chunks or more, and %d at most: take a larger chunk_size",
                    (long long)w->size, (long long)least, CHUNKS_MAX);
    if (strlen(w->media_type) > MEDIA_TYPE_MAX || (w->cid && strlen(w->cid) > CID_MAX))
        return fail(ERR_INVALID, "media_type or cid is too long");
    w->reserved = w->size + w->chunk_count * CHUNK_OVERHEAD_MAX;
    return OK;
}

/* In one statement, so that it holds whoever else reserves at the time. */
static err_t reserve(sql_t *c, const char *owner, int64_t bytes, int64_t files)
{
    uint64_t changed;
    TRY(sql_run(c,
                "UPDATE users SET reserved_bytes = reserved_bytes + ?1, reserved_files = reserved_files + ?2 "
                "WHERE id = ?3 "
                "AND (quota_bytes IS NULL OR used_bytes + reserved_bytes + ?1 <= quota_bytes) AND (?2 = 0 OR "
                "quota_files "
                "IS NULL OR used_files + reserved_files + ?2 <= quota_files)",
                SQL(SQL_INT(bytes), SQL_INT(files), SQL_TEXT(owner)), &changed));
    return changed
               ? OK
               : fail(ERR_LIMIT, "the account's quota does not allow for %lld bytes more", (long long)bytes);
}

/* ── the file behind an upload ───────────────────────────────────────────────────────────────── */
typedef struct upload_file {
    char id[META_ID_CHARS + 1];
    int64_t version, upload_seq;
    bool is_new; /* invisible as yet */
} upload_file_t;

static err_t make_file(sql_t *c, meta_call_t *call, const upload_want_t *w, upload_file_t *f)
{
    uint8_t key[FILE_KEY_BYTES], wrapped[FILE_KEY_BYTES + WRAP_EXTRA_BYTES];
    char what[WRAP_WHAT_MAX], key_name[MASTER_NAME_CHARS + 1];
    *f = (upload_file_t){.is_new = true, .upload_seq = 1};
    meta_new_id(f->id);
    snprintf(what, sizeof what, "file %s", f->id);
    crypto_random(key, sizeof key);
    err_t e = rotation_wrap(c, call->m, what, bytes_of(key, sizeof key), wrapped, key_name);
    secret_wipe(key, sizeof key);
    TRY(e);
    return sql_run(
        c,
        "INSERT INTO files (id, owner, name, kind, is_visible, size, version, stored_bytes, chunk_count, "
        "replication, media_type, cid, key_name, wrapped, upload_seq, revision, created_at, modified_at) "
        "VALUES (?1, ?2, ?3, 'file', 0, 0, 0, 0, 0, ?4, '', NULL, ?5, ?6, 1, 0, ?7, ?7)",
        SQL(SQL_TEXT(f->id), SQL_TEXT(call->by.user_id), SQL_TEXT(w->name), SQL_INT(w->replication),
            SQL_TEXT(key_name), SQL_BLOB(bytes_of(wrapped, sizeof wrapped)), SQL_INT(call->now_ms)),
        NULL);
}

static err_t find_or_make_file(sql_t *c, meta_call_t *call, const upload_want_t *w, upload_file_t *f)
{
    AUTO(sql_rows_t) r = {0};
    int64_t n;
    err_t e = sql_first(c,
                        "SELECT id, version, upload_seq, is_visible, kind, key_name FROM files WHERE owner = "
                        "?1 AND name = ?2",
                        SQL(SQL_TEXT(call->by.user_id), SQL_TEXT(w->name)), &r);
    if (e == ERR_NOT_FOUND)
        return make_file(c, call, w, f);
    TRY(e);
    if (strcmp(sql_text(&r, 4), "file") || !*sql_text(&r, 5))
        return fail(ERR_EXISTS, "a folder, or a file of IPFS, has that name");
    snprintf(f->id, sizeof f->id, "%s", sql_text(&r, 0));
    f->version = sql_int(&r, 1);
    f->upload_seq = sql_int(&r, 2) + 1;
    f->is_new = !sql_int(&r, 3);
    TRY(sql_close(&r));
    TRY(sql_number(c, "SELECT count(*) FROM uploads WHERE file_id = ?1 AND version = 0", SQL(SQL_TEXT(f->id)),
                   0, &n));
    if (n >= UPLOADS_PER_FILE_MAX)
        return fail(ERR_LIMIT, "%d uploads of this file are under way", UPLOADS_PER_FILE_MAX);
    if (f->upload_seq > UINT32_MAX)
        return fail(ERR_LIMIT, "the file has used up its nonces: upload it under another name");
    return sql_run(c, "UPDATE files SET upload_seq = ?1 WHERE id = ?2",
                   SQL(SQL_INT(f->upload_seq), SQL_TEXT(f->id)), NULL);
}

/* ── the plan ────────────────────────────────────────────────────────────────────────────────── */
static json_t *plan_json(const place_node_t *nodes, size_t n, const upload_want_t *w, const char *upload_id)
{
    json_t *list = json_array(), *plan = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s s:s s:s}", "id", nodes[i].id, "address", nodes[i].address,
                                              "zone", nodes[i].zone));
    for (int64_t i = 0; i < w->chunk_count; i++) {
        char what[64];
        size_t chosen[REPLICATION_MAX];
        json_t *row = json_array();
        snprintf(what, sizeof what, "%s/%lld", upload_id, (long long)i);
        size_t got = place_choose(nodes, n, what, w->chunk_size + CHUNK_OVERHEAD_MAX, (size_t)w->replication,
                                  NULL, chosen);
        for (size_t k = 0; k < got; k++)
            json_array_append_new(row, json_integer((json_int_t)chosen[k]));
        json_array_append_new(plan, row);
    }
    return json_pack("{s:o s:o}", "nodes", list, "plan", plan);
}

static err_t make_plan(sql_t *c, meta_call_t *call, const upload_want_t *w, const char *upload_id,
                       json_t **ret)
{
    place_node_t *nodes = xcalloc(CANDIDATES_MAX, sizeof *nodes);
    size_t n = 0;
    err_t e = place_load(c, call->m, call->now_ms, nodes, &n);
    size_t first[REPLICATION_MAX];
    if (!e && w->chunk_count &&
        place_choose(nodes, n, upload_id, w->chunk_size, (size_t)w->quorum, NULL, first) < (size_t)w->quorum)
        e = fail(ERR_NO_SPACE, "%lld storage nodes with room are needed, and fewer are here",
                 (long long)w->quorum);
    if (!e)
        *ret = plan_json(nodes, n, w, upload_id);
    free(nodes);
    return e;
}

/* The answer to init_upload and to looking an upload up again. */
static err_t answer_upload(sql_t *c, meta_call_t *call, int status, sql_rows_t *r, json_t *plan)
{
    char key[48], ticket[TICKET_TEXT_MAX];
    int64_t expires = sql_int(r, 8);
    ticket_write_make(&call->m->tickets, sql_text(r, 0), (uint64_t)sql_int(r, 9), (uint64_t)(expires / 1000),
                      ticket);
    err_t e = file_unwrap_key(c, call, sql_text(r, 1), key);
    if (!e)
        e = call_answer(call, status,
                        json_pack("{s:s s:s s:I s:I s:s s:I s:I s:I s:I s:s s:o s:O s:O}", "upload_id",
                                  sql_text(r, 0), "file_id", sql_text(r, 1), "version",
                                  (json_int_t)sql_int(r, 2) + 1, "upload_seq", (json_int_t)sql_int(r, 3),
                                  "key", key, "chunk_size", (json_int_t)sql_int(r, 4), "chunk_count",
                                  (json_int_t)sql_int(r, 5), "replication_factor", (json_int_t)sql_int(r, 6),
                                  "quorum", (json_int_t)sql_int(r, 7), "ticket", ticket, "expires_at",
                                  json_time(expires), "nodes", json_object_get(plan, "nodes"), "plan",
                                  json_object_get(plan, "plan")));
    secret_wipe(key, sizeof key);
    return e;
}

#define UPLOAD_COLUMNS                                                                                       \
    "u.id, u.file_id, f.version, u.upload_seq, u.chunk_size, u.chunk_count, u.replication, u.quorum, "       \
    "u.expires_at, "                                                                                         \
    "u.reserved_bytes, u.owner, u.version, u.plan"

static err_t load_upload(sql_t *c, const meta_call_t *call, const char *id, sql_rows_t *r)
{
    err_t e = sql_first(
        c, "SELECT " UPLOAD_COLUMNS " FROM uploads u JOIN files f ON f.id = u.file_id WHERE u.id = ?1",
        SQL(SQL_TEXT(id)), r);
    if (e == ERR_NOT_FOUND)
        return fail(e, "there is no upload %.40s: it was given up, or is too old", id);
    TRY(e);
    return strcmp(sql_text(r, 10), call->by.user_id) ? fail(ERR_DENIED, "the upload is another account's")
                                                     : OK;
}

OP(op_upload_init)
{
    upload_want_t w;
    upload_file_t f;
    char id[META_ID_CHARS + 1];
    json_t *plan;
    AUTO(sql_rows_t) r = {0};
    TRY(read_want(call->request->body, &w));
    call_note(call, "", "%.150s size=%lld", w.name, (long long)w.size);
    meta_new_id(id);
    TRY(find_or_make_file(c, call, &w, &f));
    call_note(call, f.id, "%.150s size=%lld", w.name, (long long)w.size);
    TRY(reserve(c, call->by.user_id, w.reserved, f.is_new));
    TRY(make_plan(c, call, &w, id, &plan));
    char *text = json_dumps(plan, JSON_COMPACT);
    err_t e = sql_run(
        c,
        "INSERT INTO uploads (id, file_id, owner, size, chunk_size, chunk_count, replication, quorum, "
        "media_type, cid, upload_seq, reserved_bytes, reserved_files, plan, version, created_at, expires_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, ?15, ?16)",
        SQL(SQL_TEXT(id), SQL_TEXT(f.id), SQL_TEXT(call->by.user_id), SQL_INT(w.size), SQL_INT(w.chunk_size),
            SQL_INT(w.chunk_count), SQL_INT(w.replication), SQL_INT(w.quorum), SQL_TEXT(w.media_type),
            SQL_TEXT(w.cid), SQL_INT(f.upload_seq), SQL_INT(w.reserved), SQL_INT(f.is_new),
            SQL_TEXT(text ? text : ""), SQL_INT(call->now_ms),
            SQL_INT(call->now_ms + call->m->options.upload_ttl_ms)),
        NULL);
    free(text);
    if (!e)
        e = load_upload(c, call, id, &r);
    if (!e)
        e = answer_upload(c, call, 201, &r, plan);
    json_decref(plan);
    TRY(e);
    return sql_close(&r);
}

OP(op_upload_get)
{
    AUTO(sql_rows_t) r = {0};
    TRY(load_upload(c, call, call->request->ids[0], &r));
    if (sql_int(&r, 11))
        return fail(ERR_NOT_FOUND, "the upload is committed");
    json_t *plan = json_loads(sql_text(&r, 12), 0, NULL);
    err_t e = answer_upload(c, call, 200, &r, plan);
    json_decref(plan);
    TRY(e);
    return sql_close(&r);
}

/* Gives the reservation back, and an invisible file that nobody uploads to any more. */
err_t upload_forget(sql_t *c, const char *id)
{
    TRY(sql_run(c,
                "UPDATE users SET reserved_bytes = reserved_bytes - (SELECT reserved_bytes FROM uploads "
                "WHERE id = ?1), "
                "reserved_files = reserved_files - (SELECT reserved_files FROM uploads WHERE id = ?1) WHERE "
                "id = (SELECT "
                "owner FROM uploads WHERE id = ?1 AND version = 0)",
                SQL(SQL_TEXT(id)), NULL));
    TRY(sql_run(c,
                "DELETE FROM files WHERE id = (SELECT file_id FROM uploads WHERE id = ?1) AND is_visible = 0 "
                "AND NOT EXISTS "
                "(SELECT 1 FROM uploads o WHERE o.file_id = files.id AND o.id <> ?1)",
                SQL(SQL_TEXT(id)), NULL));
    return sql_run(c, "DELETE FROM uploads WHERE id = ?1", SQL(SQL_TEXT(id)), NULL);
}

OP(op_upload_drop)
{
    AUTO(sql_rows_t) r = {0};
    TRY(load_upload(c, call, call->request->ids[0], &r));
    bool is_committed = sql_int(&r, 11) != 0;
    TRY(sql_close(&r));
    if (is_committed)
        return fail(ERR_EXISTS, "the upload is committed: delete the file");
    TRY(upload_forget(c, call->request->ids[0]));
    return call_answer(call, 204, NULL);
}
