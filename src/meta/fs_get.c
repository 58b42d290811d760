/* fs_get: chunks are fetched side by side and handed on in order. */
#include "base/metrics.h"
#include "meta/fs_internal.h"
#include "task/driver.h"
#include <stdlib.h>

typedef struct getting {
    fs_client_t *client;
    fs_get_t *get;
    fs_file_t *file;
    file_t *out; /* NULL: to get->write */
    size_t next; /* chunk that nobody fetches yet */
    size_t turn; /* chunk that is written next */
    bool has_failed;
    event_t turned;
} getting_t;

static err_t hand_on(task_t *t, getting_t *g, const fs_chunk_t *c, const buf_t *plain)
{
    bytes_t data = buf_bytes(plain);
    TRY(g->out ? file_write_at(t, g->out, &data, 1, c->offset) : g->get->write(t, g->get->arg, data));
    if (g->get->progress.done)
        g->get->progress.done(g->get->progress.arg, c->offset + c->length, g->file->size);
    return OK;
}

static err_t fetch_in_turn(task_t *t, getting_t *g, size_t index, buf_t *plain)
{
    const fs_chunk_t *c = &g->file->chunks[index];
    bool was_cached;
    TRY(fs_fetch_chunk(t, g->client, g->file, c, plain, &was_cached));
    g->get->cached_chunks += was_cached;
    while (g->turn != index) {
        if (g->has_failed)
            return ERR_CANCELED; /* whose failure it was says why */
        TRY(event_wait(t, &g->turned));
    }
    TRY(hand_on(t, g, c, plain));
    g->turn++;
    event_fire(&g->turned);
    return OK;
}

static err_t get_task(task_t *t, void *arg)
{
    getting_t *g = arg;
    AUTO(buf_t) plain = {0};
    buf_init(&plain, CHUNK_MAX_BYTES);
    err_t e = OK;
    while (!e && !g->has_failed && g->next < g->file->n_chunks) {
        size_t index = g->next++;
        e = fetch_in_turn(t, g, index, &plain);
    }
    if (e) {
        g->has_failed = true;
        event_fire(&g->turned);
    }
    return e;
}

static err_t is_there(task_t *t, getting_t *g, const fs_chunk_t *c, buf_t *plain, buf_t *sealed, bool *ret)
{
    buf_clear(plain);
    TRY(buf_reserve(plain, c->length));
    TRY(file_read_exact(t, g->out, plain->data, c->length, c->offset));
    plain->len = c->length;
    return fs_chunk_is(t, g->client, g->file, c, plain, sealed, ret);
}

/* How many chunks stand in what an interrupted get left: it was not synced, and its length says nothing of
 * its content after a loss of power. */
static err_t chunks_there(task_t *t, getting_t *g, size_t *ret_n)
{
    AUTO(buf_t) plain = {0}, sealed = {0};
    uint64_t size;
    size_t n = 0;
    bool is_whole = true;
    buf_init(&plain, FS_CHUNK_MAX_BYTES + 1);
    buf_init(&sealed, FS_STORED_MAX + 1);
    err_t e = file_size(t, g->out, &size);
    while (!e && is_whole && n < g->file->n_chunks) {
        const fs_chunk_t *c = &g->file->chunks[n];
        is_whole = c->offset + c->length <= size;
        if (is_whole)
            e = is_there(t, g, c, &plain, &sealed, &is_whole);
        n += !e && is_whole;
    }
    secret_wipe(plain.data, plain.cap);
    TRY(e);
    TRY(file_truncate(t, g->out, n ? g->file->chunks[n - 1].offset + g->file->chunks[n - 1].length : 0));
    *ret_n = n;
    return OK;
}

static err_t get_to_path(task_t *t, getting_t *g)
{
    char part[FS_PATH_MAX];
    int len = snprintf(part, sizeof part, "%s.%.8s-v%llu.part", g->get->path, g->file->id,
                       (unsigned long long)g->file->version);
    if (len >= (int)sizeof part)
        return fail(ERR_USAGE, "the path is too long");
    TRY(file_open(t, part, FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &g->out));
    err_t e = file_try_lock(g->out);
    if (!e)
        e = chunks_there(t, g, &g->next);
    g->turn = g->next;
    if (!e && g->next)
        g->get->resumed_at = g->file->chunks[g->next - 1].offset + g->file->chunks[g->next - 1].length;
    if (!e)
        e = fs_run_parallel(t, "fs get", get_task, g);
    if (!e)
        e = file_sync(t, g->out);
    file_close(g->out);
    return e ? e : fs_rename(t, part, g->get->path);
}

err_t fs_get(task_t *t, fs_client_t *c, fs_get_t *get)
{
    AUTO_PTR(json_t) summary = NULL;
    const char *id;
    fs_file_t file;
    TRY(fs_find(t, c, get->name, &summary));
    TRY(rest_text(summary, "id", &id));
    TRY(fs_file_read(t, c, id, get->version, &file));
    TRY(fs_read_nodes(t, c));
    getting_t g = {.client = c, .get = get, .file = &file};
    event_init(&g.turned);
    get->size = file.size;
    err_t e = get->path ? get_to_path(t, &g) : fs_run_parallel(t, "fs get", get_task, &g);
    error_slot_t why = *error_slot();
    fs_file_deinit(&file);
    *error_slot() = why;
    return e;
}
