#include "repo/kubo_source.h"
#include "base/json_depth.h"
#include "multi/multibase.h"
#include "repo/config_impl.h"
#include "repo/repo_impl.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SMALL_FILE_MAX = 64 << 10, COPY_BYTES = 1 << 20 };

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

/* "type" of a part of the datastore, without the wrappers that only measure or log. */
static const json_t *unwrap(const json_t *part)
{
    for (int i = 0; i < 4; i++) {
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!type || (strcmp(type, "measure") != 0 && strcmp(type, "log") != 0))
            break;
        part = json_object_get(part, "child");
    }
    return part;
}

typedef struct part_kind {
    const char *type, *other; /* that are read */
    const char *what;
} part_kind_t;

/* *ret_is_other: it is of the second type. */
static err_t take_part(kubo_source_t *s, const json_t *part, part_kind_t k, char out[REPO_PATH_MAX + 64],
                       bool *ret_is_other)
{
    part = unwrap(part);
    const char *found = json_string_value(json_object_get(part, "type"));
    const char *path = json_string_value(json_object_get(part, "path"));
    *ret_is_other = found && !strcmp(found, k.other);
    if (!found || (strcmp(found, k.type) != 0 && !*ret_is_other))
        return fail(
            ERR_UNSUPPORTED,
            "%s keeps its %s in %.40s, which is not read here (%s and %s are): take what you need with "
            "Kubo's `ipfs dag export CID > FILE`, or convert it with ipfs-ds-convert first",
            s->path, k.what, found ? found : "something", k.type, k.other);
    if (!path || strlen(path) >= 1024 || strlen(s->path) + strlen(path) >= REPO_PATH_MAX)
        return fail(ERR_CORRUPT, "%s/datastore_spec names no usable path for the %s", s->path, k.what);
    if (path[0] == '/')
        snprintf(out, REPO_PATH_MAX + 64, "%s", path);
    else
        repo_file(s->path, path, out);
    return OK;
}

static err_t take_spec(kubo_source_t *s, const json_t *spec)
{
    static const part_kind_t of_blocks = {"flatfs", "pebbleds", "blocks"},
                             of_rest = {"levelds", "pebbleds", "pins and other state"};
    size_t i;
    json_t *mount;
    const json_t *blocks = spec, *rest = spec; /* without mounts: one store for all */
    s->blocks_prefix = "/blocks/";
    json_array_foreach(json_object_get(spec, "mounts"), i, mount)
    {
        const char *point = json_string_value(json_object_get(mount, "mountpoint"));
        const json_t *inner = json_object_get(mount, "child") ? json_object_get(mount, "child") : mount;
        if (point && strcmp(point, "/blocks") == 0) {
            blocks = inner;
            s->blocks_prefix = "/";
        }
        if (point && strcmp(point, "/") == 0)
            rest = inner;
    }
    TRY(take_part(s, blocks, of_blocks, s->blocks, &s->has_pebble_blocks));
    return take_part(s, rest, of_rest, s->datastore, &s->has_pebble_state);
}

static err_t read_spec(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 64];
    AUTO(buf_t) content;
    buf_init(&content, SMALL_FILE_MAX);
    err_t e = fs_read_file(t, repo_file(s->path, "datastore_spec", file), SMALL_FILE_MAX, &content);
    if (e)
        return fail_also(e, "%s has no datastore_spec that can be read", s->path);
    TRY(json_check_depth(buf_bytes(&content), JSON_DEPTH_MAX));
    json_t *spec = json_loadb((const char *)content.data, content.len, 0, NULL);
    e = spec ? take_spec(s, spec) : fail(ERR_CORRUPT, "%s/datastore_spec is not JSON", s->path);
    json_decref(spec);
    return e;
}

static err_t read_config(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 64];
    TRY(config_load(t, repo_file(s->path, "config", file), &s->config));
    TRY(config_identity(s->config, &s->identity));
    return peer_id_of(private_key_public(s->identity), &s->peer_id);
}

/* What Kubo notes now and then, for an idea of how much there is. */
static void read_usage(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 128];
    AUTO(buf_t) content;
    buf_init(&content, 256);
    snprintf(file, sizeof file, "%s/diskUsage.cache", s->blocks);
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
    TRY(read_spec(t, s));
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

/* ── its state ───────────────────────────────────────────────────────────────────────────────── */
static err_t copy_bytes(task_t *t, file_t *from, file_t *to, uint8_t *room)
{
    for (uint64_t offset = 0;;) {
        size_t n;
        TRY(file_read_at(t, from, room, COPY_BYTES, offset, &n));
        if (!n)
            return OK;
        bytes_t piece = bytes_of(room, n);
        TRY(file_write_at(t, to, &piece, 1, offset));
        offset += n;
    }
}

static err_t copy_file(task_t *t, const char *from, const char *to)
{
    AUTO_PTR(file_t) in = NULL;
    AUTO_PTR(file_t) out = NULL;
    TRY(file_open(t, from, FILE_READ, 0, &in));
    TRY(file_open(t, to, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, 0600, &out));
    uint8_t *room = xmalloc(COPY_BYTES);
    err_t e = copy_bytes(t, in, out, room);
    free(room);
    return e;
}

typedef struct copy_paths {
    char from[REPO_PATH_MAX + 320], to[REPO_PATH_MAX + 320];
} copy_paths_t;

static err_t copy_named(task_t *t, const char *from, const char *to, const char *name, copy_paths_t *paths)
{
    file_info_t info;
    snprintf(paths->from, sizeof paths->from, "%s/%.255s", from, name);
    snprintf(paths->to, sizeof paths->to, "%s/%.255s", to, name);
    TRY(fs_stat(t, paths->from, true, &info));
    return info.kind == FILE_KIND_REGULAR && strcmp(name, "LOCK") != 0 ? copy_file(t, paths->from, paths->to)
                                                                       : OK;
}

static err_t copy_folder(task_t *t, const char *from, const char *to)
{
    AUTO(dir_list_t) files = {0};
    TRY(fs_list(t, from, &files));
    TRY(fs_mkdirs(t, to, 0700));
    copy_paths_t *paths = xmalloc(sizeof *paths);
    err_t e = OK;
    for (size_t i = 0; i < files.count && !e; i++)
        e = copy_named(t, from, to, files.names[i], paths);
    free(paths);
    return e;
}

err_t kubo_source_open_state(task_t *t, const kubo_source_t *s, const char *folder, kubo_state_t *ret)
{
    if (s->has_pebble_state)
        return pebble_read_open(t, s->datastore, &ret->pebble);
    err_t e = fs_remove_tree(t, folder); /* what an interrupted import has left */
    if (e && e != ERR_NOT_FOUND)
        return e;
    TRY(copy_folder(t, s->datastore, folder));
    return leveldb_read_open(t, folder, &ret->level);
}

void kubo_state_close(task_t *t, kubo_state_t *s)
{
    leveldb_read_close(t, s->level);
    pebble_read_close(s->pebble);
    *s = (kubo_state_t){0};
}

err_t kubo_state_each(task_t *t, kubo_state_t *s, bytes_t prefix, kv_visit_fn visit, void *arg)
{
    return s->pebble ? pebble_read_each(t, s->pebble, prefix, visit, arg)
                     : leveldb_read_each(t, s->level, prefix, visit, arg);
}

err_t kubo_state_get(task_t *t, kubo_state_t *s, bytes_t key, buf_t *out)
{
    return s->pebble ? pebble_read_get(t, s->pebble, key, out) : leveldb_read_get(t, s->level, key, out);
}

/* ── blocks in Pebble ────────────────────────────────────────────────────────────────────────── */
typedef struct block_run {
    size_t prefix_len;
    kubo_block_fn visit;
    void *arg;
} block_run_t;

/* The key: base32 of the multihash. */
static err_t visit_record(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    const block_run_t *run = arg;
    AUTO(buf_t) raw;
    cid_t cid;
    buf_init(&raw, CID_BINARY_MAX);
    bytes_t name = bytes_slice(key, run->prefix_len, key.len);
    if (multibase_decode_raw(MB_BASE32UPPER, name, &raw) ||
        cid_from_multihash(buf_bytes(&raw), CODEC_RAW, &cid))
        return OK;
    return run->visit(t, run->arg, &cid, value);
}

err_t kubo_source_each_block(task_t *t, const kubo_source_t *s, kubo_block_fn visit, void *arg)
{
    pebble_read_t *p;
    block_run_t run = {strlen(s->blocks_prefix), visit, arg};
    TRY(pebble_read_open(t, s->blocks, &p));
    err_t e = pebble_read_each(t, p, bytes_str(s->blocks_prefix), visit_record, &run);
    pebble_read_close(p);
    return e;
}
