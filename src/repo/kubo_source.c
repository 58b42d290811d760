#include "repo/kubo_source.h"
#include "base/json_depth.h"
#include "repo/config_impl.h"
#include "repo/repo_impl.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ── recognising ─────────────────────────────────────────────────────────────────────────────── */
static err_t read_version(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 64];
    const char *text;
    int len = 0;
    AUTO(buf_t) content;
    buf_init(&content, 64);
    err_t e = fs_read_file(t, repo_file(s->path, "version", file), 63, &content);
    if (e == ERR_NOT_FOUND)
        return fail(e, "%s is no repository of Kubo: it has no file `version`", s->path);
    TRY(e);
    TRY(buf_cstr(&content, &text));
    if (strncmp(text, "distribute-", 11) == 0)
        return fail(ERR_NOT_FOUND, "%s is a repository of this program, not of Kubo", s->path);
    if (sscanf(text, "%9u%n", &s->version, &len) != 1 || text[len + (int)strspn(text + len, " \r\n")])
        return fail(ERR_NOT_FOUND, "%s is no repository of Kubo: its version is \"%.20s\"", s->path, text);
    if (s->version < KUBO_VERSION_MIN)
        return fail(ERR_UNSUPPORTED,
                    "%s is at version %u, which keeps its pins elsewhere: bring it to version %d with Kubo's "
                    "`ipfs repo migrate`, then import it",
                    s->path, s->version, KUBO_VERSION_MAX);
    if (s->version > KUBO_VERSION_MAX)
        return fail(ERR_UNSUPPORTED,
                    "%s is at version %u, and %d is the newest that is known: take what you need with "
                    "Kubo's `ipfs dag export` and `dag import`",
                    s->path, s->version, KUBO_VERSION_MAX);
    return OK;
}

static err_t read_config(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 64];
    TRY(config_load(t, repo_file(s->path, "config", file), &s->config));
    TRY(kubo_source_renew_config(s));
    TRY(config_identity(s->config, &s->identity));
    return peer_id_of(private_key_public(s->identity), &s->peer_id);
}

/* What Kubo notes now and then, for an idea of how much there is. */
static void read_usage(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 128];
    const kubo_part_t *blocks = kubo_source_flatfs(s);
    if (!blocks)
        return;
    AUTO(buf_t) content;
    buf_init(&content, 256);
    snprintf(file, sizeof file, "%s/diskUsage.cache", blocks->path);
    if (fs_read_file(t, file, 255, &content) || json_check_depth(buf_bytes(&content), JSON_DEPTH_MAX))
        return;
    json_t *usage = json_loadb((const char *)content.data, content.len, 0, NULL);
    json_int_t bytes = json_integer_value(json_object_get(usage, "diskUsage"));
    s->block_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    json_decref(usage);
}

static err_t open_parts(task_t *t, kubo_source_t *s)
{
    TRY(read_version(t, s));
    TRY(kubo_source_check_idle(t, s));
    TRY(kubo_source_read_spec(t, s));
    TRY(read_config(t, s));
    repo_file(s->path, "keystore", s->keystore);
    read_usage(t, s);
    return OK;
}

err_t kubo_source_open(task_t *t, const char *path, kubo_source_t **ret)
{
    if (strlen(path) + 1100 > REPO_PATH_MAX)
        return fail(ERR_USAGE, "the path of the repository is too long");
    kubo_source_t *s = xcalloc(1, sizeof *s);
    snprintf(s->path, sizeof s->path, "%s", path);
    err_t e = open_parts(t, s);
    if (e) {
        error_slot_t saved = *error_slot();
        kubo_source_close(s);
        *error_slot() = saved;
        return e;
    }
    *ret = s;
    return OK;
}

void kubo_source_close(kubo_source_t *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_parts; i++)
        free(s->parts[i].path);
    config_free(s->config);
    private_key_free(s->identity);
    free(s);
}

/* ── is Kubo running? ────────────────────────────────────────────────────────────────────────── */
/* It holds a lock of fcntl on repo.lock. Asking for the lock, unlike taking it, changes nothing. */
typedef struct lock_job {
    char file[REPO_PATH_MAX + 64];
    long pid; /* of who has it; 0: nobody, -1: somebody */
} lock_job_t;

static void ask_for_lock(void *arg)
{
    lock_job_t *job = arg;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(job->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (!fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK)
        job->pid = lock.l_pid ? (long)lock.l_pid : -1;
    close(fd);
}

err_t kubo_source_check_idle(task_t *t, const kubo_source_t *s)
{
    lock_job_t *job = xcalloc(1, sizeof *job);
    repo_file(s->path, "repo.lock", job->file);
    work(t, ask_for_lock, job);
    long pid = job->pid;
    free(job);
    if (pid)
        return fail(ERR_IN_USE, "Kubo runs on %s (process %ld holds repo.lock): stop it, then import",
                    s->path, pid);
    return OK;
}
