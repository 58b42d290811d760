#include "api/mount_files.h"
#include "base/log.h"

enum { FIND_MS = 60000, COMMIT_AFTER_MS = 1000 };

/* ── durable, a moment later ─────────────────────────────────────────────────────────────────── */
static err_t commit_changes(task_t *t, void *arg)
{
    mount_files_t *f = arg;
    for (;;) {
        while (mfs_is_durable(f->mfs))
            TRY(event_wait(t, &f->changed));
        TRY(task_sleep(t, COMMIT_AFTER_MS));
        err_t e = mfs_sync(t, f->mfs);
        if (e == ERR_CANCELED)
            return e;
        if (e)
            log_error("changes in a mounted folder are not durable", LOG_ERR(e));
    }
}

static err_t changed(mount_files_t *f, err_t e)
{
    f->changes++;
    event_fire(&f->changed);
    return e;
}

err_t mount_files_init(task_t *t, mount_files_t *f, node_t *n, mfs_t *mfs)
{
    const config_t *c = repo_config(node_repo(n));
    node_session_t session = {0};
    TRY(node_session_open(n, false, &session));
    *f = (mount_files_t){.mfs = mfs,
                         .session = session,
                         .stores_mode = config_bool(c, "Mounts.StoreMode", false),
                         .stores_mtime = config_bool(c, "Mounts.StoreMtime", false)};
    event_init(&f->changed);
    group_init(&f->tasks, task_sched(t));
    err_t e = group_spawn(&f->tasks, "mount commits", commit_changes, f, NULL);
    if (e)
        mount_files_deinit(t, f);
    return e;
}

void mount_files_deinit(task_t *t, mount_files_t *f)
{
    if (!f->mfs)
        return;
    group_stop(t, &f->tasks);
    group_deinit(&f->tasks);
    task_shield(t);
    if (mfs_sync(t, f->mfs))
        log_error("changes in a mounted folder are not durable", LOG_ERR(error_slot()->code));
    task_unshield(t);
    node_session_close(&f->session);
    f->mfs = NULL;
}

/* ── attributes ──────────────────────────────────────────────────────────────────────────────── */
static void fill(const mfs_stat_t *st, mount_attr_t *ret)
{
    *ret = (mount_attr_t){.kind = st->type == UNIXFS_DIRECTORY || st->type == UNIXFS_HAMT_SHARD ? MOUNT_DIR
                                  : st->type == UNIXFS_SYMLINK ? MOUNT_SYMLINK
                                                               : MOUNT_FILE,
                          .size = st->size,
                          .mode = st->has_mode ? st->mode & 0777 : 0};
    if (st->has_mtime) {
        ret->mtime_s = st->mtime.seconds;
        ret->mtime_ns = st->mtime.nanoseconds;
    }
}

err_t mount_files_stat(task_t *t, mount_files_t *f, const char *path, mount_attr_t *ret)
{
    mfs_stat_t st;
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = mfs_stat(t, f->mfs, f->session.blocks, path, &st);
    deadline_pop(t, &d);
    TRY(e);
    fill(&st, ret);
    return OK;
}

err_t mount_files_handle_stat(task_t *t, mfs_file_t *file, mount_attr_t *ret)
{
    mfs_stat_t st;
    TRY(mfs_file_stat(t, file, &st));
    fill(&st, ret);
    return OK;
}

err_t mount_files_open(task_t *t, mount_files_t *f, const char *path, mount_open_t how, mfs_file_t **ret)
{
    mfs_open_options_t o = {.create = how.creates, .exclusive = how.exclusive};
    unixfs_t now = {.has_mtime = true, .mtime = mfs_now(t)};
    mfs_file_t *file;
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = mfs_file_open(t, f->mfs, f->session.blocks, path, o, &file);
    if (!e && how.writes && f->stores_mtime) {
        e = mfs_change_meta(t, f->mfs, f->session.blocks, path, &now);
        if (e)
            mfs_file_close(t, file);
    }
    deadline_pop(t, &d);
    TRY(changed(f, e));
    *ret = file;
    return OK;
}

/* The bytes of a file that is not open, too. */
static err_t resize(task_t *t, mount_files_t *f, const char *path, mfs_file_t *file, uint64_t size)
{
    mfs_file_t *own;
    if (file)
        return mfs_file_resize(t, file, size);
    TRY(mfs_file_open(t, f->mfs, f->session.blocks, path, (mfs_open_options_t){0}, &own));
    err_t e = mfs_file_resize(t, own, size);
    if (!e)
        e = mfs_file_flush(t, own, false);
    mfs_file_close(t, own);
    return e;
}

err_t mount_files_change(task_t *t, mount_files_t *f, const char *path, mfs_file_t *file,
                         const mount_change_t *c)
{
    unixfs_t meta = {.has_mode = c->has_mode && f->stores_mode,
                     .has_mtime = c->has_mtime && f->stores_mtime,
                     .mode = c->mode,
                     .mtime = {.seconds = c->mtime_s, .nanoseconds = c->mtime_ns}};
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = c->has_size ? resize(t, f, path, file, c->size) : OK;
    if (!e && path && (meta.has_mode || meta.has_mtime))
        e = mfs_change_meta(t, f->mfs, f->session.blocks, path, &meta);
    deadline_pop(t, &d);
    return changed(f, e);
}

err_t mount_files_flush(task_t *t, mount_files_t *f, mfs_file_t *file, bool is_sync)
{
    return changed(f, mfs_file_flush(t, file, is_sync));
}

void mount_files_close(task_t *t, mount_files_t *f, mfs_file_t *file)
{
    if (!file)
        return;
    mfs_file_close(t, file);
    f->changes++;
    event_fire(&f->changed);
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
err_t mount_files_mkdir(task_t *t, mount_files_t *f, const char *path)
{
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = mfs_mkdir(t, f->mfs, f->session.blocks, path, (mfs_mkdir_options_t){0});
    deadline_pop(t, &d);
    return changed(f, e);
}

err_t mount_files_symlink(task_t *t, mount_files_t *f, const char *path, bytes_t target)
{
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = mfs_symlink(t, f->mfs, f->session.blocks, path, target);
    deadline_pop(t, &d);
    return changed(f, e);
}

err_t mount_files_remove(task_t *t, mount_files_t *f, const char *path, bool is_dir)
{
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = is_dir ? mfs_rmdir(t, f->mfs, f->session.blocks, path)
                     : mfs_unlink(t, f->mfs, f->session.blocks, path);
    deadline_pop(t, &d);
    return changed(f, e);
}

err_t mount_files_rename(task_t *t, mount_files_t *f, const char *path, const char *to, bool no_replace)
{
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = mfs_rename(t, f->mfs, f->session.blocks, path, to, no_replace);
    deadline_pop(t, &d);
    return changed(f, e);
}
