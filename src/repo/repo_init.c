/* Finding, recognising and making repositories. */
#include "base/log.h"
#include "crypto/key.h"
#include "repo/repo_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VERSION_MAX_BYTES 64
#define LOCK_TEXT_MAX 32
#define PATH_CHARS_MAX (REPO_PATH_MAX - 1024) /* so that every path below it fits */

/* ── finding ─────────────────────────────────────────────────────────────────────────────────── */
err_t repo_find_path(const char *option, char out[REPO_PATH_MAX])
{
    static const char *const variables[] = {"DISTRIBUTE_PATH", "IPFS_PATH"};
    const char *path = option && *option ? option : NULL;
    for (size_t i = 0; i < ARRAY_LEN(variables) && !path; i++) {
        path = getenv(variables[i]);
        path = path && *path ? path : NULL;
    }
    path = path ? path : "~/.distribute";
    const char *home = "";
    if (strcmp(path, "~") == 0 || strncmp(path, "~/", 2) == 0) {
        home = getenv("HOME");
        path++;
        if (!home || !*home)
            return fail(ERR_USAGE, "no place for a repository: set DISTRIBUTE_PATH, or use --repo");
    }
    if (strlen(home) + strlen(path) > PATH_CHARS_MAX)
        return fail(ERR_USAGE, "the path of the repository is too long (at most %d bytes)", PATH_CHARS_MAX);
    snprintf(out, REPO_PATH_MAX, "%s%s", home, path);
    for (size_t len = strlen(out); len > 1 && out[len - 1] == '/'; len--)
        out[len - 1] = 0;
    return OK;
}

const char *repo_file(const char *path, const char *name, char out[REPO_PATH_MAX + 64])
{
    snprintf(out, REPO_PATH_MAX + 64, "%s/%s", path, name);
    return out;
}

/* ── recognising ─────────────────────────────────────────────────────────────────────────────── */
static bool exists(task_t *t, const char *path, const char *name)
{
    char file[REPO_PATH_MAX + 64];
    file_info_t info;
    return fs_stat(t, repo_file(path, name, file), true, &info) == OK;
}

static err_t refuse_kubo(const char *path)
{
    return fail(
        ERR_UNSUPPORTED,
        "%s is a repository of Kubo, which is left alone: copy it with `repo import-kubo %s` into one of "
        "its own",
        path, path);
}

static err_t check_version_text(task_t *t, const char *path, const char *text)
{
    char word[VERSION_MAX_BYTES + 1];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(text, " \r\n"), text);
    if (strcmp(word, REPO_VERSION) == 0)
        return OK;
    if ((*word && word[strspn(word, "0123456789")] == 0) || exists(t, path, "datastore_spec"))
        return refuse_kubo(path);
    if (strncmp(word, "distribute-", 11) == 0)
        return fail(ERR_UNSUPPORTED, "%s was made by a newer version (%s, known is " REPO_VERSION ")", path,
                    word);
    return fail(ERR_CORRUPT, "%s/version holds \"%s\", not " REPO_VERSION, path, word);
}

err_t repo_check(task_t *t, const char *path)
{
    char file[REPO_PATH_MAX + 64];
    const char *text;
    AUTO(buf_t) content;
    buf_init(&content, VERSION_MAX_BYTES + 1);
    if (strlen(path) > PATH_CHARS_MAX)
        return fail(ERR_USAGE, "the path of the repository is too long");
    err_t e = fs_read_file(t, repo_file(path, "version", file), VERSION_MAX_BYTES, &content);
    if (e == ERR_NOT_FOUND && exists(t, path, "datastore_spec"))
        return refuse_kubo(path);
    if (e == ERR_NOT_FOUND)
        return fail(e, "no IPFS repo found in %s: run 'init' first", path);
    if (e == ERR_LIMIT)
        return fail(ERR_CORRUPT, "%s/version is too long", path);
    if (e)
        return fail_also(e, "the repository in %s cannot be read", path);
    TRY(buf_cstr(&content, &text));
    return check_version_text(t, path, text);
}

/* The lock is the lock; what is in its file tells people who has it. */
static err_t sign_lock(task_t *t, file_t *lock)
{
    char text[LOCK_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%10d\n", (int)getpid());
    bytes_t piece = bytes_of(text, (size_t)n);
    return file_write_at(t, lock, &piece, 1, 0);
}

static err_t tell_who_locks(task_t *t, const char *path, file_t *lock)
{
    char text[LOCK_TEXT_MAX] = "", file[REPO_PATH_MAX + 64];
    size_t n = 0;
    const char *api = "";
    AUTO(buf_t) address = {0};
    buf_init(&address, VERSION_MAX_BYTES + 1);
    if (file_read_at(t, lock, (uint8_t *)text, sizeof text - 1, 0, &n))
        n = 0;
    text[n] = 0;
    long pid = strtol(text, NULL, 10);
    if (fs_read_file(t, repo_file(path, "api", file), VERSION_MAX_BYTES, &address) ||
        buf_cstr(&address, &api))
        api = "";
    if (pid <= 0)
        return fail(ERR_IN_USE, "the repository %s is in use by another process (someone else has the lock)",
                    path);
    return fail(
        ERR_IN_USE,
        "the repository %s is in use by the process with pid %ld%s%s: stop it, or use another repository "
        "(--repo)",
        path, pid, *api ? ", a node whose RPC is at " : "", api);
}

/* A process without an RPC is a command, or a node that is ending: it is waited for a little, so that a node
 * can be started again as soon as the one before was told to stop. */
static err_t wait_for_lock(task_t *t, const char *path, file_t *lock)
{
    enum { STEP_MS = 20, STEPS = 150 };
    char file[REPO_PATH_MAX + 64];
    file_info_t info;
    err_t e = file_try_lock(lock);
    for (int i = 0; e == ERR_IN_USE && i < STEPS; i++) {
        if (!fs_stat(t, repo_file(path, "api", file), false, &info))
            return e;
        TRY(task_sleep(t, STEP_MS));
        e = file_try_lock(lock);
    }
    return e;
}

err_t repo_lock(task_t *t, const char *path, file_t **ret_lock)
{
    char file[REPO_PATH_MAX + 64];
    AUTO_PTR(file_t) lock = NULL;
    TRY(file_open(t, repo_file(path, "repo.lock", file), FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &lock));
    err_t e = wait_for_lock(t, path, lock);
    if (e == ERR_IN_USE)
        return tell_who_locks(t, path, lock);
    TRY(e);
    TRY(sign_lock(t, lock));
    *ret_lock = lock;
    lock = NULL;
    return OK;
}

/* ── making ──────────────────────────────────────────────────────────────────────────────────── */
/* A config without a version is no repository of ours: what a broken init left, or somebody else's, with the
 * only copy of a key perhaps. The paths are on the heap: the callers' frames are large. */
static err_t keep_foreign_config(task_t *t, const char *path)
{
    enum { ROOM = REPO_PATH_MAX + 64 };
    file_info_t info;
    char *file = xmalloc(2 * ROOM), *aside = file + ROOM;
    repo_file(path, "config", file);
    repo_file(path, "config.replaced", aside);
    err_t e = fs_stat(t, file, false, &info);
    bool is_there = !e;
    if (is_there)
        e = fs_stat(t, aside, false, &info);
    if (is_there && !e)
        e = fail(ERR_EXISTS, "%s and %s are there, but no repository: move them away, or use another folder",
                 file, aside);
    else if (e == ERR_NOT_FOUND) /* what cannot be seen is not taken for absent */
        e = is_there ? fs_rename(t, file, aside) : OK;
    if (is_there && !e)
        log_warn("a config that belongs to no repository was moved aside", LOG_STR("to", aside));
    free(file);
    return e;
}

/* The version file comes last: without it there is no repository. */
static err_t write_files(task_t *t, const char *path, const config_t *config)
{
    char file[REPO_PATH_MAX + 64];
    err_t e = fs_mkdir(t, repo_file(path, "keystore", file), 0700);
    if (e && e != ERR_EXISTS)
        return e;
    e = fs_mkdir(t, repo_file(path, "blocks", file), 0700);
    if (e && e != ERR_EXISTS)
        return e;
    TRY(keep_foreign_config(t, path));
    TRY(config_save(t, config, repo_file(path, "config", file)));
    return fs_write_file(t, repo_file(path, "version", file), 0644, BYTES_LIT(REPO_VERSION "\n"));
}

static err_t sync_parent(task_t *t, const char *path)
{
    char parent[REPO_PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return fs_sync_dir(t, ".");
    slash[slash == parent] = 0;
    return fs_sync_dir(t, parent);
}

err_t repo_init(task_t *t, const char *path, const char *profiles, const private_key_t *identity)
{
    return repo_init_from(t, path, profiles, identity, BYTES_NONE);
}

err_t repo_init_from(task_t *t, const char *path, const char *profiles, const private_key_t *identity,
                     bytes_t config_text)
{
    AUTO_PTR(private_key_t) fresh = NULL;
    AUTO_PTR(config_t) config = NULL;
    AUTO_PTR(file_t) lock = NULL;
    err_t e = repo_check(t, path);
    if (!e)
        return fail(ERR_EXISTS, "there is a repository in %s already", path);
    if (e != ERR_NOT_FOUND)
        return e;
    if (!identity) {
        TRY(private_key_generate(KEY_ED25519, NULL, 0, &fresh));
        identity = fresh;
    }
    TRY(config_text.len ? config_new_from(config_text, identity, profiles, &config)
                        : config_new(identity, profiles, &config));
    TRY(fs_mkdirs(t, path, 0700));
    TRY(repo_lock(t, path, &lock));
    if (!repo_check(t, path)) /* another process was faster */
        return fail(ERR_EXISTS, "there is a repository in %s already", path);
    TRY(write_files(t, path, config));
    return sync_parent(t, path);
}
