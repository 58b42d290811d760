/* fs_put: an upload from its plan to the commit. fs_copies.c brings each chunk to its nodes. */
#include "base/log.h"
#include "crypto/hash.h"
#include "meta/fs_put_internal.h"
#include "multi/multibase.h"
#include <stdlib.h>

enum { CHUNKS_MAX = 65536, CANDIDATES_MAX = 4 };

/* ── the plan ────────────────────────────────────────────────────────────────────────────────── */

static err_t read_plan(fs_upload_t *u, const json_t *answer)
{
    const char *text;
    uint64_t number;
    TRY(rest_text(answer, "upload_id", &text));
    snprintf(u->id, sizeof u->id, "%s", text);
    TRY(rest_text(answer, "file_id", &text));
    snprintf(u->file_id, sizeof u->file_id, "%s", text);
    TRY(rest_text(answer, "ticket", &text));
    if (strlen(text) >= sizeof u->ticket)
        return fail(ERR_PROTOCOL, "the metadata service's ticket is too long");
    snprintf(u->ticket, sizeof u->ticket, "%s", text);
    TRY(rest_number(answer, "upload_seq", &number));
    u->seq = (uint32_t)number;
    if (!number || number > UINT32_MAX)
        return fail(ERR_PROTOCOL, "the number of the upload cannot be used for nonces");
    TRY(rest_key32(answer, "key", u->key));
    TRY(rest_number(answer, "replication_factor", &u->replication));
    TRY(rest_number(answer, "quorum", &u->quorum));
    TRY(rest_number(answer, "chunk_count", &number));
    if (number != u->n_chunks)
        return fail(ERR_PROTOCOL, "the metadata service plans for another number of chunks");
    u->nodes = json_incref(json_object_get(answer, "nodes"));
    u->plan = json_incref(json_object_get(answer, "plan"));
    return OK;
}

static err_t init_upload(task_t *t, fs_upload_t *u)
{
    AUTO_PTR(json_t) answer = NULL;
    const fs_put_t *p = u->put;
    json_t *body = json_pack("{s:s s:I s:I s:I}", "name", p->name, "size", (json_int_t)u->size, "chunk_size",
                             (json_int_t)u->chunk_bytes, "chunk_count", (json_int_t)u->n_chunks);
    if (!body)
        return fail(ERR_USAGE, "a file's name is UTF-8");
    if (p->replication)
        json_object_set_new(body, "replication_factor", json_integer((json_int_t)p->replication));
    if (p->quorum)
        json_object_set_new(body, "quorum", json_integer((json_int_t)p->quorum));
    if (p->media_type)
        json_object_set_new(body, "media_type", json_string(p->media_type));
    if (p->cid)
        json_object_set_new(body, "cid", json_string(p->cid));
    TRY(rest_do(t, &u->client->rest, "POST", "/init_upload", body, &answer));
    TRY(read_plan(u, answer));
    TRY(fs_resume_clear(t, &u->resume));
    return fs_resume_note(t, &u->resume, json_pack("{s:s}", "upload_id", u->id));
}

/* ── going on with an upload ─────────────────────────────────────────────────────────────────── */

static void take_note(fs_upload_t *u, const json_t *line)
{
    const json_t *index = json_object_get(line, "chunk");
    const char *plain = json_string_value(json_object_get(line, "plain"));
    const char *id = json_string_value(json_object_get(line, "id"));
    json_t *receipts = json_object_get(line, "stored");
    if (!json_is_integer(index) || json_integer_value(index) < 0 ||
        (size_t)json_integer_value(index) >= u->n_chunks)
        return;
    fs_stored_t *s = &u->stored[json_integer_value(index)];
    if (plain && !chunk_id_parse(plain, &s->plain))
        s->has_begun = true;
    if (id && receipts && s->has_begun && !chunk_id_parse(id, &s->id)) {
        json_decref(s->receipts);
        s->receipts = json_incref(receipts);
    }
}

/* False: there is none that can be gone on with. */
static bool go_on(task_t *t, fs_upload_t *u, const json_t *lines)
{
    AUTO_PTR(json_t) answer = NULL;
    char path[META_ID_CHARS + 16];
    const char *id = json_string_value(json_object_get(json_array_get(lines, 0), "upload_id"));
    if (!id || !meta_is_id(id))
        return false;
    snprintf(path, sizeof path, "/uploads/%s", id);
    if (rest_do(t, &u->client->rest, "GET", path, NULL, &answer) || read_plan(u, answer))
        return false;
    for (size_t i = 1; i < json_array_size(lines); i++)
        take_note(u, json_array_get(lines, i));
    u->put->was_resumed = true;
    return true;
}

/* ── one chunk ───────────────────────────────────────────────────────────────────────────────── */

/* Chunks of one size stay where they are; those cut by content move. */
static err_t find_old(task_t *t, fs_upload_t *u, size_t index, buf_t *plain, buf_t *sealed, bool *ret_found)
{
    bool may_move = u->put->is_content_defined;
    size_t end = may_move || index + 1 > u->old.n_chunks ? u->old.n_chunks : index + 1;
    size_t tried = 0;
    for (size_t i = may_move ? 0 : index; i < end && tried < CANDIDATES_MAX && !*ret_found; i++) {
        const fs_chunk_t *old = &u->old.chunks[i];
        if (old->length != plain->len || old->size != old->length + FS_CHUNK_OVERHEAD)
            continue;
        tried++;
        TRY(fs_chunk_is(t, u->client, &u->old, old, plain, sealed, ret_found));
        if (*ret_found) {
            u->stored[index].id = old->id;
            u->stored[index].is_kept = true;
        }
    }
    return OK;
}

/* The content that was noted when this chunk was begun. */
static err_t check_plain(task_t *t, const fs_stored_t *s, const buf_t *plain, chunk_id_t *ret_id)
{
    *ret_id = chunk_id_of_large(t, buf_bytes(plain));
    return s->has_begun && memcmp(ret_id, &s->plain, sizeof *ret_id) != 0
               ? fail(ERR_EXISTS, "the file has changed since its upload began: put it again")
               : OK;
}

static err_t store_chunk(task_t *t, fs_upload_t *u, size_t index, buf_t *plain, buf_t *sealed)
{
    fs_stored_t *s = &u->stored[index];
    char text[META_CHUNK_ID_CHARS + 1];
    chunk_id_t id;
    TRY(check_plain(t, s, plain, &id));
    if (!s->has_begun) { /* noted before anything is sent: no nonce may ever serve two plaintexts */
        chunk_id_print(&id, text);
        TRY(fs_resume_note(t, &u->resume, json_pack("{s:I s:s}", "chunk", (json_int_t)index, "plain", text)));
        TRY(fs_resume_sync(t, &u->resume));
        s->plain = id;
        s->has_begun = true;
    }
    fs_seal_t seal = {.key = u->key, .file_id = u->file_id, .plain = plain, .sealed = sealed};
    TRY(fs_head(u->id, u->seq, index, seal.head));
    TRY(fs_seal_chunk(t, &seal));
    json_t *receipts;
    TRY(fs_copies_send(t, u, index, &seal.id, buf_bytes(sealed), &receipts));
    s->id = seal.id;
    s->receipts = receipts;
    u->put->sent_chunks++;
    u->put->sent_bytes += sealed->len;
    chunk_id_print(&s->id, text);
    return fs_resume_note(
        t, &u->resume,
        json_pack("{s:I s:s s:O}", "chunk", (json_int_t)index, "id", text, "stored", receipts));
}

static err_t put_chunk(task_t *t, fs_upload_t *u, size_t index, buf_t *plain, buf_t *sealed)
{
    fs_stored_t *s = &u->stored[index];
    bool is_old = false;
    chunk_id_t id;
    size_t len = u->starts[index + 1] - u->starts[index];
    buf_clear(plain);
    TRY(buf_reserve(plain, len));
    TRY(file_read_exact(t, u->in, plain->data, len, u->starts[index]));
    plain->len = len;
    if (u->old.n_chunks && !s->has_begun)
        TRY(find_old(t, u, index, plain, sealed, &is_old));
    if (s->receipts)
        TRY(check_plain(t, s, plain, &id));
    else if (is_old)
        u->put->kept_chunks++;
    else
        TRY(store_chunk(t, u, index, plain, sealed));
    u->done += len;
    if (u->put->progress.done)
        u->put->progress.done(u->put->progress.arg, u->done, u->size);
    return OK;
}

static err_t put_task(task_t *t, void *arg)
{
    fs_upload_t *u = arg;
    AUTO(buf_t) plain = {0}, sealed = {0};
    buf_init(&plain, FS_CHUNK_MAX_BYTES + 1);
    buf_init(&sealed, FS_STORED_MAX + 1);
    err_t e = OK;
    while (!e && u->next < u->n_chunks) {
        size_t index = u->next++;
        e = put_chunk(t, u, index, &plain, &sealed);
    }
    secret_wipe(plain.data, plain.cap);
    return e;
}

/* ── the commit ──────────────────────────────────────────────────────────────────────────────── */

static err_t commit(task_t *t, fs_upload_t *u, json_t **ret_file)
{
    char text[META_CHUNK_ID_CHARS + 1];
    json_t *chunks = json_array();
    for (size_t i = 0; i < u->n_chunks; i++) {
        fs_stored_t *s = &u->stored[i];
        json_int_t length = (json_int_t)(u->starts[i + 1] - u->starts[i]);
        chunk_id_print(&s->id, text);
        json_t *o =
            json_pack("{s:s s:I s:I}", "id", text, "size", length + FS_CHUNK_OVERHEAD, "length", length);
        if (!s->is_kept)
            json_object_set(o, "stored", s->receipts);
        json_array_append_new(chunks, o);
    }
    json_t *body = json_pack("{s:s s:o}", "upload_id", u->id, "chunks", chunks);
    return rest_do(t, &u->client->rest, "POST", "/commit_upload", body, ret_file);
}

/* What was read is what was there all the time. */
static err_t check_unchanged(task_t *t, const fs_upload_t *u)
{
    file_info_t now;
    TRY(fs_stat(t, u->put->path, true, &now));
    return now.size_bytes != u->info.size_bytes || now.mtime_s != u->info.mtime_s ||
                   now.mtime_ns != u->info.mtime_ns || now.inode != u->info.inode
               ? fail(ERR_EXISTS, "%s has changed while it was being uploaded", u->put->path)
               : OK;
}

static void give_up(task_t *t, fs_upload_t *u)
{
    char path[META_ID_CHARS + 16];
    error_slot_t why = *error_slot();
    snprintf(path, sizeof path, "/uploads/%s", u->id);
    if (*u->id &&
        (rest_do(t, &u->client->rest, "DELETE", path, NULL, NULL) || fs_resume_clear(t, &u->resume)))
        log_debug("an upload was left to expire", LOG_STR("upload", u->id));
    *error_slot() = why;
}

static err_t read_old(task_t *t, fs_upload_t *u)
{
    AUTO_PTR(json_t) file = NULL;
    const char *id;
    if (!u->put->is_delta)
        return OK;
    err_t e = fs_find(t, u->client, u->put->name, &file);
    if (!e)
        e = rest_text(file, "id", &id);
    if (!e && !strcmp(id, u->file_id))
        e = fs_file_read(t, u->client, id, 0, &u->old);
    return e == ERR_NOT_FOUND ? OK : e;
}

static err_t run_upload(task_t *t, fs_upload_t *u, const json_t *lines, json_t **ret_file)
{
    if (!go_on(t, u, lines))
        TRY(init_upload(t, u));
    TRY(fs_read_nodes(t, u->client));
    TRY(read_old(t, u));
    err_t e = fs_run_parallel(t, "fs put", put_task, u);
    if (!e)
        e = check_unchanged(t, u);
    if (!e)
        e = commit(t, u, ret_file);
    if (e == ERR_EXISTS) /* the file changed: nothing of this upload may be used again */
        give_up(t, u);
    return e;
}

/* ── chunks ──────────────────────────────────────────────────────────────────────────────────── */

static err_t add_start(fs_upload_t *u, uint64_t at)
{
    if (u->n_chunks >= CHUNKS_MAX)
        return fail(ERR_LIMIT, "the file has more than %d chunks: take larger ones (--chunk-size)",
                    CHUNKS_MAX);
    if ((u->n_chunks & (u->n_chunks - 1)) == 0)
        u->starts = xrealloc(u->starts, (2 * u->n_chunks + 2) * sizeof *u->starts);
    u->starts[u->n_chunks++] = at;
    u->starts[u->n_chunks] = u->size;
    return OK;
}

static err_t cut_by_size(fs_upload_t *u)
{
    u->chunk_bytes = u->put->chunk_bytes ? u->put->chunk_bytes : FS_CHUNK_BYTES;
    if (u->chunk_bytes > FS_CHUNK_MAX_BYTES || u->chunk_bytes < 4096)
        return fail(ERR_USAGE, "chunks have 4096 to %u bytes", FS_CHUNK_MAX_BYTES);
    for (uint64_t at = 0; at < u->size; at += u->chunk_bytes)
        TRY(add_start(u, at));
    return OK;
}

static err_t cut_by_content(task_t *t, fs_upload_t *u)
{
    enum { AHEAD_BYTES = 4 << 20 };
    chunker_t chunker;
    AUTO(buf_t) ahead = {0};
    TRY(chunker_parse("buzhash", &chunker));
    u->chunk_bytes = chunker.max_bytes;
    buf_init(&ahead, AHEAD_BYTES);
    TRY(buf_reserve(&ahead, AHEAD_BYTES));
    uint64_t at = 0, read = 0;
    while (at < u->size) {
        if (ahead.len < chunker.max_bytes && read < u->size) {
            size_t want =
                AHEAD_BYTES - ahead.len < u->size - read ? AHEAD_BYTES - ahead.len : (size_t)(u->size - read);
            TRY(file_read_exact(t, u->in, ahead.data + ahead.len, want, read));
            ahead.len += want;
            read += want;
        }
        size_t len = chunker_cut(&chunker, buf_bytes(&ahead));
        TRY(add_start(u, at));
        at += len;
        buf_consume(&ahead, len);
    }
    return OK;
}

static err_t prepare(task_t *t, fs_upload_t *u)
{
    TRY(fs_stat(t, u->put->path, true, &u->info));
    if (u->info.kind != FILE_KIND_REGULAR)
        return fail(ERR_USAGE, "%s is not a file", u->put->path);
    u->size = u->info.size_bytes;
    TRY(file_open(t, u->put->path, FILE_READ, 0, &u->in));
    u->starts = xcalloc(2, sizeof *u->starts);
    TRY(u->put->is_content_defined ? cut_by_content(t, u) : cut_by_size(u));
    u->stored = xcalloc(u->n_chunks + 1, sizeof *u->stored);
    return OK;
}

static void upload_deinit(fs_upload_t *u)
{
    for (size_t i = 0; u->stored && i < u->n_chunks; i++)
        json_decref(u->stored[i].receipts);
    free(u->stored);
    free(u->starts);
    json_decref(u->nodes);
    json_decref(u->plan);
    fs_file_deinit(&u->old);
    secret_wipe(u->key, sizeof u->key);
    file_close(u->in);
    free(u);
}

err_t fs_put(task_t *t, fs_client_t *c, fs_put_t *p, json_t **ret_file)
{
    AUTO_PTR(json_t) lines = NULL;
    char key[2 * FS_PATH_MAX];
    fs_upload_t *u = xcalloc(1, sizeof *u);
    u->client = c;
    u->put = p;
    err_t e = prepare(t, u);
    snprintf(key, sizeof key, "2\n%s\n%.1000s\n%.4000s\n%llu %lld.%u %llu\n%llu %d %llu %llu", c->rest.url,
             p->name, p->path, (unsigned long long)u->size, (long long)u->info.mtime_s, u->info.mtime_ns,
             (unsigned long long)u->info.inode, (unsigned long long)u->chunk_bytes, p->is_content_defined,
             (unsigned long long)p->replication, (unsigned long long)p->quorum);
    if (!e)
        e = fs_resume_open(t, p->is_once ? "" : c->state_folder, key, &u->resume, &lines);
    if (!e)
        e = run_upload(t, u, lines, ret_file);
    error_slot_t why = *error_slot();
    fs_resume_close(t, &u->resume, !e);
    upload_deinit(u);
    *error_slot() = why;
    return e;
}
