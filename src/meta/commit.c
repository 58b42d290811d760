/* commit: what was stored becomes a version of a file, all at once, or nothing does. Storage nodes vouch for
 * each chunk with receipts that name upload, chunk, size and node (ticket.h); a chunk without receipts must
 * belong to this very file already. */
#include "crypto/hash.h"
#include "meta/meta_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECEIPTS_MAX = REPLICATION_MAX };

typedef struct commit {
    const char *upload_id;
    char file_id[META_ID_CHARS + 1], owner[META_ID_CHARS + 1];
    int64_t size, chunk_size, chunk_count, replication, quorum, reserved_bytes, reserved_files, new_bytes;
    char media_type[256], cid[129];
    bool has_cid;
    uint8_t digest[32];
    int64_t version;
} commit_t;

static err_t digest_of(json_t *chunks, uint8_t out[32])
{
    char *text = json_dumps(chunks, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return fail(ERR_NO_MEMORY, "no memory for a commit");
    sha256_of(bytes_str(text), out);
    free(text);
    return OK;
}

static err_t load(sql_t *c, const meta_call_t *call, commit_t *k, bool *ret_is_done)
{
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(
        c,
        "SELECT file_id, owner, size, chunk_size, chunk_count, replication, quorum, reserved_bytes, "
        "reserved_files, media_type, cid, version, digest, expires_at FROM uploads WHERE id = ?1",
        SQL(SQL_TEXT(k->upload_id)), &r);
    if (e == ERR_NOT_FOUND)
        return fail(e, "there is no upload %.40s: it was given up, or is too old", k->upload_id);
    TRY(e);
    snprintf(k->file_id, sizeof k->file_id, "%s", sql_text(&r, 0));
    snprintf(k->owner, sizeof k->owner, "%s", sql_text(&r, 1));
    k->size = sql_int(&r, 2);
    k->chunk_size = sql_int(&r, 3);
    k->chunk_count = sql_int(&r, 4);
    k->replication = sql_int(&r, 5);
    k->quorum = sql_int(&r, 6);
    k->reserved_bytes = sql_int(&r, 7);
    k->reserved_files = sql_int(&r, 8);
    snprintf(k->media_type, sizeof k->media_type, "%s", sql_text(&r, 9));
    k->has_cid = !sql_is_null(&r, 10);
    snprintf(k->cid, sizeof k->cid, "%s", sql_text(&r, 10));
    if (strcmp(k->owner, call->by.user_id))
        return fail(ERR_DENIED, "the upload is another account's");
    *ret_is_done = sql_int(&r, 11) != 0;
    if (*ret_is_done && !bytes_equal(sql_blob(&r, 12), bytes_of(k->digest, sizeof k->digest)))
        return fail(ERR_EXISTS, "the upload is committed, with other chunks");
    if (!*ret_is_done && sql_int(&r, 13) <= call->now_ms)
        return fail(ERR_NOT_FOUND, "the upload has expired");
    return sql_close(&r);
}

/* ── chunks ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct chunk_claim {
    const char *id;
    int64_t size, length;
    json_t *stored;
} chunk_claim_t;

static err_t read_claim(json_t *o, chunk_claim_t *ret)
{
    static const char *const keys[] = {"id", "size", "length", "stored", NULL};
    static const char *const required[] = {"id", "size", "length", NULL};
    TRY(json_check_members(o, keys, required));
    TRY(json_get_text(o, "id", "", &ret->id));
    TRY(json_get_number(o, "size", 0, CHUNK_BYTES_MAX + CHUNK_OVERHEAD_MAX, &ret->size));
    TRY(json_get_number(o, "length", 0, CHUNK_BYTES_MAX, &ret->length));
    ret->stored = json_object_get(o, "stored");
    if (!meta_is_chunk_id(ret->id) || !ret->length || ret->size < ret->length ||
        ret->size > ret->length + CHUNK_OVERHEAD_MAX || json_array_size(ret->stored) > RECEIPTS_MAX ||
        (ret->stored && !json_is_array(ret->stored)))
        return fail(ERR_INVALID,
                    "a chunk has an id of 64 digits, a length, and a size that is no more than %d above it",
                    CHUNK_OVERHEAD_MAX);
    return OK;
}

static err_t add_location(sql_t *c, const meta_call_t *call, const commit_t *k, const chunk_claim_t *chunk,
                          json_t *o, int64_t *copies)
{
    static const char *const keys[] = {"node", "receipt", NULL};
    const char *node, *receipt;
    ticket_keys_t node_keys;
    int64_t is_known;
    uint64_t changed;
    TRY(json_check_members(o, keys, keys));
    TRY(json_get_text(o, "node", "", &node));
    TRY(json_get_text(o, "receipt", "", &receipt));
    ticket_node_keys(&call->m->receipts, node, &node_keys);
    err_t e = ticket_receipt_check(&node_keys, receipt, k->upload_id, chunk->id, (uint64_t)chunk->size, node);
    secret_wipe(&node_keys, sizeof node_keys);
    TRY(e);
    TRY(sql_number(c, "SELECT 1 FROM nodes WHERE id = ?1", SQL(SQL_TEXT(node)), 0, &is_known));
    if (!is_known)
        return OK; /* a node that was taken out meanwhile counts for nothing */
    TRY(sql_run(c,
                "INSERT INTO locations (chunk_id, node_id, state, since) VALUES (?1, ?2, 0, ?3) ON CONFLICT "
                "(chunk_id, "
                "node_id) DO NOTHING",
                SQL(SQL_TEXT(chunk->id), SQL_TEXT(node), SQL_INT(call->now_ms)), &changed));
    *copies += changed > 0;
    return OK;
}

/* A chunk that an earlier version has, or the same bytes once more in this one. */
static err_t reuse(sql_t *c, const commit_t *k, const chunk_claim_t *chunk, bool *ret_is_known)
{
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(c, "SELECT file_id, size, length, is_live FROM chunks WHERE id = ?1",
                        SQL(SQL_TEXT(chunk->id)), &r);
    *ret_is_known = !e;
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    if (strcmp(sql_text(&r, 0), k->file_id))
        return fail(ERR_DENIED, "chunk %.16s… is part of another file", chunk->id);
    if (!sql_int(&r, 3))
        return fail(ERR_EXISTS, "chunk %.16s… is being deleted: upload again", chunk->id);
    if (sql_int(&r, 1) != chunk->size || sql_int(&r, 2) != chunk->length)
        return fail(ERR_INVALID, "chunk %.16s… has another size", chunk->id);
    return sql_close(&r);
}

static err_t add_chunk(sql_t *c, const meta_call_t *call, commit_t *k, const chunk_claim_t *chunk)
{
    bool is_known;
    int64_t copies = 0;
    json_t *one;
    size_t i;
    TRY(reuse(c, k, chunk, &is_known));
    if (is_known)
        return OK;
    TRY(sql_run(
        c,
        "INSERT INTO chunks (id, file_id, size, length, replication, is_live) VALUES (?1, ?2, ?3, ?4, ?5, 1)",
        SQL(SQL_TEXT(chunk->id), SQL_TEXT(k->file_id), SQL_INT(chunk->size), SQL_INT(chunk->length),
            SQL_INT(k->replication)),
        NULL));
    json_array_foreach(chunk->stored, i, one) TRY(add_location(c, call, k, chunk, one, &copies));
    if (copies < k->quorum)
        return fail(ERR_INVALID, "chunk %.16s… has receipts of %lld nodes, and %lld are needed", chunk->id,
                    (long long)copies, (long long)k->quorum);
    k->new_bytes += chunk->size;
    return OK;
}

static err_t add_chunks(sql_t *c, const meta_call_t *call, commit_t *k, json_t *chunks)
{
    json_t *one;
    size_t i;
    int64_t length = 0;
    if ((int64_t)json_array_size(chunks) != k->chunk_count)
        return fail(ERR_INVALID, "the upload is of %lld chunks, not %zu", (long long)k->chunk_count,
                    json_array_size(chunks));
    json_array_foreach(chunks, i, one)
    {
        chunk_claim_t chunk;
        TRY(read_claim(one, &chunk));
        if (chunk.length > k->chunk_size)
            return fail(ERR_INVALID, "chunk %zu is longer than chunk_size", i);
        TRY(add_chunk(c, call, k, &chunk));
        TRY(sql_run(c, "INSERT INTO file_chunks (file_id, version, idx, chunk_id) VALUES (?1, ?2, ?3, ?4)",
                    SQL(SQL_TEXT(k->file_id), SQL_INT(k->version), SQL_INT(i), SQL_TEXT(chunk.id)), NULL));
        length += chunk.length;
    }
    if (length != k->size)
        return fail(ERR_INVALID, "the chunks hold %lld bytes, and the file has %lld", (long long)length,
                    (long long)k->size);
    return OK;
}

/* ── the file ────────────────────────────────────────────────────────────────────────────────── */
static err_t check_conditions(const meta_call_t *call, json_t *body, const char *etag, bool is_visible)
{
    const char *match, *none_match;
    TRY(json_get_text(body, "if_match", NULL, &match));
    TRY(json_get_text(body, "if_none_match", NULL, &none_match));
    if (none_match && is_visible)
        return fail(ERR_IN_USE, "the file is there already");
    if (match && (!is_visible || (strcmp(match, "*") && strcmp(match, etag))))
        return fail(ERR_IN_USE, "the file has changed, or is gone");
    return OK;
}

static err_t next_version(sql_t *c, const meta_call_t *call, commit_t *k, json_t *body)
{
    AUTO(sql_rows_t) r = {0};
    char etag[48];
    TRY(sql_first(c, "SELECT version, revision, is_visible FROM files WHERE id = ?1",
                  SQL(SQL_TEXT(k->file_id)), &r));
    snprintf(etag, sizeof etag, "\"%lld-%lld\"", (long long)sql_int(&r, 0), (long long)sql_int(&r, 1));
    TRY(check_conditions(call, body, etag, sql_int(&r, 2) != 0));
    k->version = sql_int(&r, 0) + 1;
    return sql_close(&r);
}

/* The reservation becomes use. Stored bytes can be less than reserved, never more: each chunk's overhead is
 * bounded. */
static err_t settle_quota(sql_t *c, const commit_t *k)
{
    return sql_run(c,
                   "UPDATE users SET reserved_bytes = reserved_bytes - ?1, reserved_files = reserved_files - "
                   "?2, used_bytes "
                   "= used_bytes + ?3, used_files = used_files + (SELECT 1 - is_visible FROM files WHERE id "
                   "= ?4) WHERE id "
                   "= ?5",
                   SQL(SQL_INT(k->reserved_bytes), SQL_INT(k->reserved_files), SQL_INT(k->new_bytes),
                       SQL_TEXT(k->file_id), SQL_TEXT(k->owner)),
                   NULL);
}

static err_t make_visible(sql_t *c, const meta_call_t *call, const commit_t *k)
{
    TRY(settle_quota(c, k));
    TRY(sql_run(
        c,
        "INSERT INTO versions (file_id, version, size, chunk_count, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        SQL(SQL_TEXT(k->file_id), SQL_INT(k->version), SQL_INT(k->size), SQL_INT(k->chunk_count),
            SQL_INT(call->now_ms)),
        NULL));
    TRY(sql_run(c,
                "UPDATE files SET is_visible = 1, size = ?1, version = ?2, stored_bytes = stored_bytes + ?3, "
                "chunk_count = "
                "?4, replication = ?5, media_type = ?6, cid = ?7, revision = revision + 1, modified_at = ?8 "
                "WHERE id = ?9",
                SQL(SQL_INT(k->size), SQL_INT(k->version), SQL_INT(k->new_bytes), SQL_INT(k->chunk_count),
                    SQL_INT(k->replication), SQL_TEXT(k->media_type), SQL_TEXT(k->has_cid ? k->cid : NULL),
                    SQL_INT(call->now_ms), SQL_TEXT(k->file_id)),
                NULL));
    return sql_run(
        c, "UPDATE uploads SET version = ?1, digest = ?2, plan = '' WHERE id = ?3",
        SQL(SQL_INT(k->version), SQL_BLOB(bytes_of(k->digest, sizeof k->digest)), SQL_TEXT(k->upload_id)),
        NULL);
}

OP(op_upload_commit)
{
    static const char *const keys[] = {"upload_id", "chunks", "if_match", "if_none_match", NULL};
    static const char *const required[] = {"upload_id", "chunks", NULL};
    json_t *body = call->request->body, *chunks = json_object_get(body, "chunks");
    commit_t k = {0};
    bool is_done;
    TRY(json_check_members(body, keys, required));
    TRY(json_get_text(body, "upload_id", "", &k.upload_id));
    if (!json_is_array(chunks))
        return fail(ERR_INVALID, "chunks must be a list");
    TRY(digest_of(chunks, k.digest));
    call_note(call, "", "upload=%.32s", k.upload_id);
    TRY(load(c, call, &k, &is_done));
    call_note(call, k.file_id, "upload=%.32s", k.upload_id);
    if (!is_done) {
        TRY(next_version(c, call, &k, body));
        TRY(add_chunks(c, call, &k, chunks));
        TRY(make_visible(c, call, &k));
        call_note(call, k.file_id, "upload=%.32s version=%lld size=%lld", k.upload_id, (long long)k.version,
                  (long long)k.size);
    }
    return file_answer(c, call, 200, k.file_id);
}
