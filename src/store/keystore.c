#include "store/keystore.h"
#include "multi/multibase.h"
#include "multi/peer_id.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

#define PATH_LEN_MAX 4096
#define FILE_PREFIX "key_"

struct keystore {
    char *folder;
};

err_t keystore_check_name(const char *name)
{
    if (!*name)
        return fail(ERR_USAGE, "the name of a key must not be empty");
    if (strcmp(name, "self") == 0)
        return fail(ERR_USAGE, "\"self\" is the node's own key, which lives in the config");
    if (strlen(name) > KEYSTORE_NAME_MAX_CHARS)
        return fail(ERR_USAGE, "the name of a key has at most %d bytes", KEYSTORE_NAME_MAX_CHARS);
    return OK;
}

static err_t path_of(const keystore_t *k, const char *name, char out[PATH_LEN_MAX])
{
    TRY(keystore_check_name(name));
    AUTO(buf_t) text;
    buf_init(&text, 256);
    TRY(multibase_encode_raw(MB_BASE32, bytes_str(name), &text));
    snprintf(out, PATH_LEN_MAX, "%s/" FILE_PREFIX "%.*s", k->folder, (int)text.len, (const char *)text.data);
    return OK;
}

static err_t find(task_t *t, keystore_t *k, const char *name, char path[PATH_LEN_MAX])
{
    file_info_t info;
    TRY(path_of(k, name, path));
    err_t e = fs_stat(t, path, false, &info);
    return e == ERR_NOT_FOUND ? fail(e, "no key named \"%s\"", name) : e;
}

err_t keystore_open(task_t *t, const char *folder, keystore_t **ret)
{
    if (strlen(folder) + 300 > PATH_LEN_MAX)
        return fail(ERR_INVALID, "the path of the keystore is too long");
    TRY(fs_mkdirs(t, folder, 0700));
    keystore_t *k = xcalloc(1, sizeof *k);
    k->folder = xstrdup(folder);
    *ret = k;
    return OK;
}

void keystore_close(keystore_t *k)
{
    if (!k)
        return;
    free(k->folder);
    free(k);
}

err_t keystore_put(task_t *t, keystore_t *k, const char *name, const private_key_t *key)
{
    char path[PATH_LEN_MAX];
    err_t e = find(t, k, name, path);
    if (!e)
        return fail(ERR_EXISTS, "there is a key named \"%s\" already", name);
    if (e != ERR_NOT_FOUND)
        return e;
    AUTO(buf_t) content;
    buf_init(&content, KEYSTORE_KEY_MAX_BYTES);
    e = private_key_encode(key, &content);
    if (!e)
        e = fs_write_file(t, path, 0600, buf_bytes(&content));
    secret_wipe(content.data, content.len);
    return e;
}

err_t keystore_get(task_t *t, keystore_t *k, const char *name, private_key_t **ret_key)
{
    char path[PATH_LEN_MAX];
    TRY(find(t, k, name, path));
    AUTO(buf_t) content;
    buf_init(&content, KEYSTORE_KEY_MAX_BYTES);
    TRY(fs_read_file(t, path, KEYSTORE_KEY_MAX_BYTES, &content));
    err_t e = private_key_decode(buf_bytes(&content), ret_key);
    secret_wipe(content.data, content.len);
    return e ? fail(ERR_CORRUPT, "the file of the key \"%s\" holds no key", name) : OK;
}

bool keystore_has(task_t *t, keystore_t *k, const char *name)
{
    char path[PATH_LEN_MAX];
    return find(t, k, name, path) == OK;
}

err_t keystore_remove(task_t *t, keystore_t *k, const char *name)
{
    char path[PATH_LEN_MAX];
    TRY(find(t, k, name, path));
    TRY(fs_unlink(t, path));
    return fs_sync_dir(t, k->folder);
}

err_t keystore_rename(task_t *t, keystore_t *k, const char *from, const char *to, bool overwrite)
{
    char old_path[PATH_LEN_MAX], new_path[PATH_LEN_MAX];
    TRY(find(t, k, from, old_path));
    err_t e = find(t, k, to, new_path);
    if (!e && !overwrite)
        return fail(ERR_EXISTS, "there is a key named \"%s\" already", to);
    if (e && e != ERR_NOT_FOUND)
        return e;
    TRY(fs_rename(t, old_path, new_path));
    return fs_sync_dir(t, k->folder);
}

static err_t visit_file(task_t *t, const char *file, keystore_visit_fn visit, void *arg)
{
    if (strncmp(file, FILE_PREFIX, strlen(FILE_PREFIX)) != 0)
        return OK;
    const char *name;
    AUTO(buf_t) text;
    buf_init(&text, KEYSTORE_NAME_MAX_CHARS + 1);
    if (multibase_decode_raw(MB_BASE32, bytes_str(file + strlen(FILE_PREFIX)), &text) ||
        buf_cstr(&text, &name) || strlen(name) != text.len || keystore_check_name(name))
        return OK;
    return visit(t, arg, name);
}

/* Base32 keeps the order of bytes but for its digits, which stand before the letters: so the names are
 * sorted here. */
typedef struct name_list {
    char **names;
    size_t n;
} name_list_t;

static err_t collect(task_t *t, void *arg, const char *name)
{
    name_list_t *list = arg;
    list->names = xrealloc(list->names, (list->n + 1) * sizeof *list->names);
    list->names[list->n++] = xstrdup(name);
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

err_t keystore_each(task_t *t, keystore_t *k, keystore_visit_fn visit, void *arg)
{
    AUTO(dir_list_t) files = {0};
    name_list_t list = {0};
    TRY(fs_list(t, k->folder, &files));
    err_t e = OK;
    for (size_t i = 0; i < files.count && !e; i++)
        e = visit_file(t, files.names[i], collect, &list);
    if (list.n)
        qsort(list.names, list.n, sizeof *list.names, compare_names);
    for (size_t i = 0; i < list.n; i++) {
        if (!e)
            e = visit(t, arg, list.names[i]);
        free(list.names[i]);
    }
    free(list.names);
    return e;
}
