#include "meta/fs_client.h"
#include "base/log.h"
#include "meta/fs_internal.h"
#include "task/exchange.h"
#include <stdlib.h>

static err_t make_identity(fs_client_t *c)
{
    AUTO(buf_t) certificate = {0}, key = {0};
    buf_init(&certificate, TLS_MUTUAL_PEM_MAX);
    buf_init(&key, TLS_MUTUAL_PEM_MAX);
    err_t e = tls_mutual_make("distribute fs", &certificate, &key);
    if (!e)
        e = tls_mutual_new(buf_bytes(&certificate), buf_bytes(&key), BYTES_NONE, &c->tls);
    secret_wipe(key.data, key.len);
    return e;
}

err_t fs_client_open(task_t *t, const fs_client_options_t *o, fs_client_t **ret)
{
    fs_client_t *c = xcalloc(1, sizeof *c);
    event_init(&c->connected);
    snprintf(c->state_folder, sizeof c->state_folder, "%s", o->state_folder ? o->state_folder : "");
    c->cache = fs_cache_new(o->cache_folder ? o->cache_folder : "", o->cache_bytes);
    err_t e = rest_init(&c->rest, o->url, o->secret);
    if (!e)
        e = rest_set_authorities(&c->rest, o->authorities);
    if (!e)
        e = o->certificate.len ? tls_mutual_new(o->certificate, o->key, BYTES_NONE, &c->tls)
                               : make_identity(c);
    if (e) {
        error_slot_t why = *error_slot();
        fs_client_close(t, c);
        *error_slot() = why;
        return e;
    }
    *ret = c;
    return OK;
}

void fs_client_close(task_t *t, fs_client_t *c)
{
    if (!c)
        return;
    fs_close_nodes(t, c);
    tls_mutual_free(c->tls);
    fs_cache_free(c->cache);
    rest_deinit(&c->rest);
    free(c);
}

const rest_t *fs_client_rest(const fs_client_t *c)
{
    return &c->rest;
}

/* Among one's own files, or among those that others share. */
static err_t find_among(task_t *t, fs_client_t *c, const char *name, bool is_shared, json_t **ret_file)
{
    AUTO(buf_t) path = {0};
    AUTO_PTR(json_t) answer = NULL;
    const char *text;
    buf_init(&path, 8192);
    TRY(buf_printf(&path, "/files?limit=1%s&name=", is_shared ? "&shared=true" : ""));
    TRY(percent_encode(bytes_str(name), "", &path));
    TRY(buf_cstr(&path, &text));
    TRY(rest_do(t, &c->rest, "GET", text, NULL, &answer));
    json_t *file = json_array_get(json_object_get(answer, "files"), 0);
    TRY(file ? rest_text(file, "name", &text) : OK);
    /* What is found may be deleted next: an answer about another file is none. */
    *ret_file = file && !strcmp(text, name) ? json_incref(file) : NULL;
    return OK;
}

err_t fs_find(task_t *t, fs_client_t *c, const char *name, json_t **ret_file)
{
    json_t *file = NULL;
    TRY(find_among(t, c, name, false, &file));
    if (!file)
        TRY(find_among(t, c, name, true, &file));
    if (!file)
        return fail(ERR_NOT_FOUND, "there is no file \"%.200s\"", name);
    *ret_file = file;
    return OK;
}

/* ── a file with its chunks ──────────────────────────────────────────────────────────────────── */

static err_t read_chunk(const json_t *o, fs_chunk_t *ret)
{
    const char *id, *ticket, *node;
    const json_t *places = json_object_get(o, "locations");
    TRY(rest_text(o, "id", &id));
    TRY(rest_text(o, "ticket", &ticket));
    TRY(rest_number(o, "size", &ret->size));
    TRY(rest_number(o, "length", &ret->length));
    TRY(chunk_id_parse(id, &ret->id));
    bool is_ours =
        ret->size == ret->length + FS_CHUNK_OVERHEAD || ret->size == ret->length + FS_CHUNK_OVERHEAD_OLD;
    if (ret->size > CHUNK_MAX_BYTES || !is_ours || strlen(ticket) >= sizeof ret->ticket)
        return fail(ERR_PROTOCOL, "the metadata service names a chunk that was not made by this client");
    snprintf(ret->ticket, sizeof ret->ticket, "%s", ticket);
    for (size_t i = 0; i < json_array_size(places) && ret->n_nodes < ARRAY_LEN(ret->nodes); i++) {
        TRY(rest_text(json_array_get(places, i), "node", &node));
        snprintf(ret->nodes[ret->n_nodes++], sizeof ret->nodes[0], "%s", node);
    }
    return OK;
}

static err_t read_page(const json_t *answer, fs_file_t *f, uint64_t *ret_next)
{
    enum { CHUNKS_MAX = 65536 };
    const json_t *list = json_object_get(answer, "chunks"), *next = json_object_get(answer, "next_chunk");
    size_t n = json_array_size(list);
    if (f->n_chunks + n > CHUNKS_MAX || (json_is_integer(next) && !n))
        return fail(ERR_PROTOCOL, "the metadata service names chunks without end");
    f->chunks = xrealloc(f->chunks, (f->n_chunks + n + 1) * sizeof *f->chunks);
    for (size_t i = 0; i < n; i++) {
        fs_chunk_t *c = &f->chunks[f->n_chunks];
        *c = (fs_chunk_t){0};
        TRY(read_chunk(json_array_get(list, i), c));
        c->offset = f->n_chunks ? f->chunks[f->n_chunks - 1].offset + f->chunks[f->n_chunks - 1].length : 0;
        f->n_chunks++;
    }
    *ret_next = json_is_integer(next) ? (uint64_t)json_integer_value(next) : 0;
    return OK;
}

static err_t read_pages(task_t *t, fs_client_t *c, const char *id, uint64_t version, fs_file_t *f)
{
    char path[256], which[64] = "";
    uint64_t next = 0;
    if (version)
        snprintf(which, sizeof which, "&version=%llu", (unsigned long long)version);
    do {
        AUTO_PTR(json_t) answer = NULL;
        snprintf(path, sizeof path, "/files/%s?chunks_from=%llu%s", id, (unsigned long long)next, which);
        TRY(rest_do(t, &c->rest, "GET", path, NULL, &answer));
        const json_t *file = json_object_get(answer, "file");
        if (json_is_null(json_object_get(answer, "key")))
            return fail(ERR_NOT_FOUND, "this file has no content in the file service");
        TRY(rest_key32(answer, "key", f->key));
        TRY(rest_number(file, "version", &f->version));
        TRY(rest_number(file, "size", &f->size));
        TRY(read_page(answer, f, &next));
    } while (next);
    const fs_chunk_t *last = f->n_chunks ? &f->chunks[f->n_chunks - 1] : NULL;
    if (version)
        f->version = version;
    f->size = last ? last->offset + last->length : 0;
    return OK;
}

err_t fs_file_read(task_t *t, fs_client_t *c, const char *id, uint64_t version, fs_file_t *ret)
{
    fs_file_t f = {0};
    snprintf(f.id, sizeof f.id, "%s", id);
    err_t e = read_pages(t, c, id, version, &f);
    if (e)
        fs_file_deinit(&f);
    else
        *ret = f;
    return e;
}

void fs_file_deinit(fs_file_t *f)
{
    secret_wipe(f->key, sizeof f->key);
    free(f->chunks);
    *f = (fs_file_t){0};
}

static err_t open_sealed(task_t *t, const fs_file_t *f, const fs_chunk_t *chunk, buf_t *sealed, buf_t *plain)
{
    fs_seal_t s = {.key = f->key,
                   .file_id = f->id,
                   .is_old_form = chunk->size == chunk->length + FS_CHUNK_OVERHEAD_OLD,
                   .plain = plain,
                   .sealed = sealed,
                   .id = chunk->id};
    TRY(fs_open_chunk(t, &s));
    return plain->len == chunk->length ? OK
                                       : fail(ERR_CORRUPT, "a chunk has not the length that is known of it");
}

static err_t fetch(task_t *t, fs_client_t *c, const fs_file_t *f, const fs_chunk_t *chunk, buf_t *sealed,
                   buf_t *plain)
{
    err_t e = fail(ERR_UNREACHABLE, "no storage node has a part of this file");
    size_t first = chunk->n_nodes ? chunk->id.sha256[0] % chunk->n_nodes : 0; /* spread over the copies */
    for (size_t i = 0; i < chunk->n_nodes && e && e != ERR_CANCELED; i++) {
        const char *node = chunk->nodes[(first + i) % chunk->n_nodes];
        e = fs_node_get(t, c, node, &chunk->id, chunk->ticket, 0, 0, sealed);
        if (!e)
            e = open_sealed(t, f, chunk, sealed, plain);
        if (e)
            log_info("a chunk could not be read", LOG_STR("node", node), LOG_ERR(e));
    }
    return e;
}

/* What the cache gives is checked like what nodes give. */
static err_t from_cache(task_t *t, fs_client_t *c, const fs_file_t *f, const fs_chunk_t *chunk, buf_t *sealed,
                        buf_t *plain)
{
    if (!fs_cache_takes(c->cache, f->size) || !fs_cache_get(t, c->cache, &chunk->id, chunk->size, sealed))
        return ERR_NOT_FOUND;
    err_t e = open_sealed(t, f, chunk, sealed, plain);
    if (e == ERR_CORRUPT)
        fs_cache_drop(t, c->cache, &chunk->id);
    return e;
}

err_t fs_chunk_is(task_t *t, fs_client_t *c, const fs_file_t *f, const fs_chunk_t *chunk, buf_t *plain,
                  buf_t *sealed, bool *ret)
{
    AUTO(buf_t) head = {0};
    buf_init(&head, FS_HEAD_BYTES);
    *ret = false;
    if (plain->len != chunk->length || chunk->size != chunk->length + FS_CHUNK_OVERHEAD)
        return OK;
    err_t e = ERR_NOT_FOUND;
    for (size_t i = 0; i < chunk->n_nodes && e && e != ERR_CANCELED; i++)
        e = fs_node_get(t, c, chunk->nodes[i], &chunk->id, chunk->ticket, 0, FS_HEAD_BYTES, &head);
    if (e == ERR_CANCELED)
        return e;
    if (e || head.len != FS_HEAD_BYTES)
        return OK;
    fs_seal_t s = {.key = f->key, .file_id = f->id, .plain = plain, .sealed = sealed};
    memcpy(s.head, head.data, FS_HEAD_BYTES);
    TRY(fs_seal_chunk(t, &s));
    *ret = !memcmp(&s.id, &chunk->id, sizeof s.id);
    secret_wipe(sealed->data, sealed->len); /* never leaves this process */
    return OK;
}

err_t fs_fetch_chunk(task_t *t, fs_client_t *c, const fs_file_t *f, const fs_chunk_t *chunk, buf_t *plain,
                     bool *ret_was_cached)
{
    AUTO(buf_t) sealed = {0};
    buf_init(&sealed, chunk->size);
    err_t e = from_cache(t, c, f, chunk, &sealed, plain);
    *ret_was_cached = !e;
    if (!e || e == ERR_CANCELED)
        return e;
    TRY(fetch(t, c, f, chunk, &sealed, plain));
    if (fs_cache_takes(c->cache, f->size))
        fs_cache_put(t, c->cache, &chunk->id, buf_bytes(&sealed));
    return OK;
}

err_t fs_run_parallel(task_t *t, const char *name, task_fn fn, void *arg)
{
    group_t tasks;
    group_init(&tasks, task_sched(t));
    tasks.cancel_on_error = true;
    err_t e = OK;
    for (size_t i = 0; i < FS_PARALLEL && !e; i++)
        e = group_spawn(&tasks, name, fn, arg, NULL);
    if (e)
        group_cancel(&tasks);
    err_t joined = group_join(t, &tasks);
    group_deinit(&tasks);
    return e ? e : joined;
}
