/* Whole files and folders, made of the driver's single operations. */
#include "task/driver.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 4096, NAME_MAX_BYTES = 255, TEMPORARY_END_BYTES = 21 };

err_t fs_mkdirs(task_t *t, const char *path, uint32_t mode)
{
    char at[PATH_MAX_BYTES];
    size_t len = strlen(path);
    if (!len || len >= sizeof at)
        return fail(ERR_INVALID, "a path of %zu bytes cannot be created", len);
    memcpy(at, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if ((at[i] != '/' && at[i]) || at[i - 1] == '/')
            continue;
        at[i] = 0;
        err_t e = fs_mkdir(t, at, mode);
        if (e == ERR_EXISTS) {
            file_info_t info;
            TRY(fs_stat(t, at, true, &info));
            if (info.kind != FILE_KIND_DIR)
                return fail(ERR_EXISTS, "%s is there and is no folder", at);
            e = OK;
        }
        TRY(e);
        at[i] = i < len ? '/' : 0;
    }
    return OK;
}

err_t fs_read_file(task_t *t, const char *path, size_t max_bytes, buf_t *out)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, path, FILE_READ, 0, &f));
    uint64_t size;
    TRY(file_size(t, f, &size));
    if (size > max_bytes)
        return fail(ERR_LIMIT, "%s has %" PRIu64 " bytes, over the limit of %zu", path, size, max_bytes);
    buf_clear(out);
    TRY(buf_reserve(out, (size_t)size));
    while (out->len < size) { /* a file that shrinks meanwhile ends earlier */
        size_t n = 0;
        TRY(file_read_at(t, f, out->data + out->len, (size_t)size - out->len, out->len, &n));
        if (!n)
            break;
        out->len += n;
    }
    return OK;
}

static err_t write_synced(task_t *t, const char *path, uint32_t mode, bytes_t content)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, path, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, mode, &f));
    TRY(file_write_at(t, f, &content, 1, 0));
    return file_sync(t, f);
}

static const char *folder_of(const char *path, char out[PATH_MAX_BYTES])
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    if (slash == path)
        return "/";
    snprintf(out, PATH_MAX_BYTES, "%.*s", (int)(slash - path), path);
    return out;
}

err_t fs_write_file(task_t *t, const char *path, uint32_t mode, bytes_t content)
{
    char temporary[PATH_MAX_BYTES], folder[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t kept = (size_t)(name - path) + strnlen(name, NAME_MAX_BYTES - TEMPORARY_END_BYTES);
    if (kept >= sizeof temporary)
        return fail(ERR_INVALID, "the path is too long: %s", path);
    int len = snprintf(temporary, sizeof temporary, "%.*s.%016" PRIx64 ".tmp", (int)kept, path,
                       driver_random_u64(task_driver(t)));
    if (len < 0 || (size_t)len >= sizeof temporary)
        return fail(ERR_INVALID, "the path is too long: %s", path);
    err_t e = write_synced(t, temporary, mode, content);
    if (!e)
        e = fs_rename(t, temporary, path);
    if (!e)
        return fs_sync_dir(t, folder_of(path, folder));
    error_slot_t why = *error_slot();
    task_shield(t);
    err_t ignored = fs_unlink(t, temporary); /* may not even be there */
    task_unshield(t);
    (void)ignored;
    *error_slot() = why;
    return e;
}

/* Paths of folders that are still to be removed, the innermost last. */
typedef struct path_stack {
    char **items;
    size_t count, cap;
} path_stack_t;

static void path_push(path_stack_t *s, const char *folder, const char *name)
{
    if (s->count == s->cap)
        s->items = xrealloc(s->items, (s->cap = s->cap ? s->cap * 2 : 16) * sizeof *s->items);
    size_t len = strlen(folder) + strlen(name) + 2;
    char *path = xmalloc(len);
    snprintf(path, len, "%s%s%s", folder, *name ? "/" : "", name);
    s->items[s->count++] = path;
}

/* Removes the files of the last folder and pushes its folders, or removes it when it has none. */
static err_t remove_step(task_t *t, path_stack_t *s)
{
    AUTO(dir_list_t) list = {0};
    size_t own = s->count - 1;
    TRY(fs_list(t, s->items[own], &list));
    for (size_t i = 0; i < list.count; i++) {
        path_push(s, s->items[own], list.names[i]);
        file_info_t info;
        TRY(fs_stat(t, s->items[s->count - 1], false, &info));
        if (info.kind == FILE_KIND_DIR)
            continue;
        TRY(fs_unlink(t, s->items[s->count - 1]));
        free(s->items[--s->count]);
    }
    if (s->count > own + 1)
        return OK;
    TRY(fs_rmdir(t, s->items[own]));
    free(s->items[--s->count]);
    return OK;
}

err_t fs_remove_tree(task_t *t, const char *path)
{
    file_info_t info;
    TRY(fs_stat(t, path, false, &info));
    if (info.kind != FILE_KIND_DIR)
        return fs_unlink(t, path);
    path_stack_t s = {0};
    path_push(&s, path, "");
    err_t e = OK;
    while (s.count && !e)
        e = remove_step(t, &s);
    while (s.count)
        free(s.items[--s.count]);
    free(s.items);
    return e;
}
