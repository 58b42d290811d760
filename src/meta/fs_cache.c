#include "meta/fs_cache.h"
#include "base/log.h"
#include "meta/chunk_cache.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FOLDER_BYTES = 1024, PATH_BYTES = FOLDER_BYTES + META_CHUNK_ID_CHARS + 32, SHARE_OF_A_FILE = 4 };

typedef struct entry {
    char name[META_CHUNK_ID_CHARS + 32];
    uint64_t size, used_ns; /* used: the file's time, which reading sets */
} entry_t;

struct fs_cache {
    char folder[FOLDER_BYTES];
    uint64_t max_bytes;
    bool is_known; /* bytes and files are those of the folder, as far as one process knows */
    uint64_t bytes, files, writes;
};

fs_cache_t *fs_cache_new(const char *folder, uint64_t max_bytes)
{
    fs_cache_t *c = xcalloc(1, sizeof *c);
    int len = snprintf(c->folder, sizeof c->folder, "%s", folder);
    c->max_bytes = len > 0 && len < (int)sizeof c->folder ? max_bytes : 0;
    return c;
}

void fs_cache_free(fs_cache_t *c)
{
    free(c);
}

bool fs_cache_takes(const fs_cache_t *c, uint64_t file_bytes)
{
    return file_bytes <= c->max_bytes / SHARE_OF_A_FILE;
}

static void path_of(const fs_cache_t *c, const chunk_id_t *id, char out[PATH_BYTES])
{
    char text[META_CHUNK_ID_CHARS + 1];
    chunk_id_print(id, text);
    snprintf(out, PATH_BYTES, "%s/%s", c->folder, text);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */

static err_t read_entry(task_t *t, const char *path, uint64_t size, buf_t *out)
{
    AUTO_PTR(file_t) f = NULL;
    uint64_t there;
    TRY(file_open(t, path, FILE_READ | FILE_WRITE | FILE_NO_FOLLOW, 0, &f));
    TRY(file_size(t, f, &there));
    if (there != size)
        return ERR_CORRUPT;
    TRY(buf_reserve(out, size));
    TRY(file_read_exact(t, f, out->data, size, 0));
    out->len = size;
    return file_truncate(t, f, size); /* to what it is: the time of the file says when it was used */
}

bool fs_cache_get(task_t *t, fs_cache_t *c, const chunk_id_t *id, uint64_t size, buf_t *out)
{
    char path[PATH_BYTES];
    if (!c->max_bytes)
        return false;
    path_of(c, id, path);
    buf_clear(out);
    err_t e = read_entry(t, path, size, out);
    chunk_cache_count(!e);
    if (e == ERR_CORRUPT)
        fs_cache_drop(t, c, id);
    return !e;
}

/* ── making room ─────────────────────────────────────────────────────────────────────────────── */

static int by_use(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

/* Removes what was used longest ago until the folder is three quarters full at most; counts the rest. */
static void tidy(task_t *t, fs_cache_t *c, entry_t *list, size_t n)
{
    char path[PATH_BYTES];
    c->bytes = 0;
    for (size_t i = 0; i < n; i++)
        c->bytes += list[i].size;
    c->files = n;
    if (c->bytes <= c->max_bytes && n <= FS_CACHE_FILES_MAX)
        return;
    qsort(list, n, sizeof *list, by_use);
    for (size_t i = 0; i < n && (c->bytes > c->max_bytes / 4 * 3 || c->files > FS_CACHE_FILES_MAX / 4 * 3);
         i++) {
        snprintf(path, sizeof path, "%s/%s", c->folder, list[i].name);
        if (fs_unlink(t, path))
            continue;
        c->bytes -= list[i].size;
        c->files--;
    }
}

static void look(task_t *t, fs_cache_t *c)
{
    AUTO(dir_list_t) names = {0};
    char path[PATH_BYTES];
    size_t n = 0;
    c->bytes = c->files = 0;
    c->is_known = true;
    if (fs_list(t, c->folder, &names))
        return;
    entry_t *list = xcalloc(names.count ? names.count : 1, sizeof *list);
    for (size_t i = 0; i < names.count; i++) {
        file_info_t info;
        snprintf(path, sizeof path, "%s/%.90s", c->folder, names.names[i]);
        if (strlen(names.names[i]) >= sizeof list->name || fs_stat(t, path, false, &info) ||
            info.kind != FILE_KIND_REGULAR)
            continue;
        snprintf(list[n].name, sizeof list[n].name, "%s", names.names[i]);
        list[n].size = info.size_bytes;
        list[n++].used_ns = (uint64_t)info.mtime_s * 1000000000 + info.mtime_ns;
    }
    tidy(t, c, list, n);
    free(list);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */

static err_t write_entry(task_t *t, fs_cache_t *c, const char *path, bytes_t data)
{
    char part[PATH_BYTES + 32];
    file_t *f;
    snprintf(part, sizeof part, "%s.%d-%llu", path, (int)getpid(), (unsigned long long)c->writes++);
    TRY(fs_mkdirs(t, c->folder, 0700));
    TRY(file_open(t, part, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE | FILE_NO_FOLLOW, 0600, &f));
    err_t e = file_write_at(t, f, &data, 1, 0);
    file_close(f);
    if (!e)
        e = fs_rename(t, part, path);
    if (e && fs_unlink(t, part))
        log_debug("a part of a cached chunk is left", LOG_STR("path", part));
    return e;
}

void fs_cache_put(task_t *t, fs_cache_t *c, const chunk_id_t *id, bytes_t data)
{
    char path[PATH_BYTES];
    if (!fs_cache_takes(c, data.len))
        return;
    path_of(c, id, path);
    err_t e = write_entry(t, c, path, data);
    if (e)
        log_debug("a chunk is not cached", LOG_ERR(e));
    c->bytes += data.len;
    c->files++;
    if (!c->is_known || c->bytes > c->max_bytes || c->files > FS_CACHE_FILES_MAX)
        look(t, c);
}

void fs_cache_drop(task_t *t, fs_cache_t *c, const chunk_id_t *id)
{
    char path[PATH_BYTES];
    path_of(c, id, path);
    err_t e = fs_unlink(t, path);
    if (e && e != ERR_NOT_FOUND)
        log_debug("a cached chunk is left", LOG_ERR(e));
}
