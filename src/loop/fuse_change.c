/* Questions that change something. */
#include "loop/fuse_internal.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#endif
enum { MODE_BITS = 0777 };                 /* that a tree keeps */
#define FILE_BYTES_MAX (UINT64_C(1) << 42) /* a hole costs its leaves */

static err_t done(question_t *q)
{
    fuse_answer(q->m, q->head.unique, 0, NULL, 0);
    return OK;
}

/* A string of the question's body from `at` on; it ends within the body or at the NUL behind it. */
static const char *text_at(const question_t *q, size_t at)
{
    return at < q->len ? (const char *)q->body + at : "";
}

/* The path of a name in a folder; owned. */
static err_t path_of(question_t *q, uint64_t folder, const char *name, char **ret_path)
{
    if (strlen(name) > FUSE_NAME_BYTES_MAX)
        return fuse_refuse(q, ENAMETOOLONG);
    if (!fuse_is_name(name))
        return fuse_refuse(q, EINVAL);
    char *path = xmalloc(FUSE_PATH_BYTES_MAX);
    err_t e = fuse_names_path(&q->m->names, folder, name, path);
    if (e)
        free(path);
    else
        *ret_path = path;
    return e == ERR_LIMIT ? fuse_refuse(q, ENAMETOOLONG) : e;
}

static err_t answer_entry(task_t *t, question_t *q, const char *name)
{
    struct fuse_entry_out out;
    TRY(fuse_entry_of(t, q, name, &out));
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static err_t create(task_t *t, question_t *q, const char *name, const char *path)
{
    const struct fuse_create_in *in = (const void *)q->body;
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    opened_t *o;
    mount_open_t how = {.writes = (in->flags & O_ACCMODE) != O_RDONLY,
                        .creates = true,
                        .exclusive = (in->flags & O_EXCL) != 0};
    mount_change_t mode = {.has_mode = true, .mode = in->mode & MODE_BITS};
    TRY(fuse_open(t, q, 0, path, how, &o));
    err_t e = q->m->tree.change(t, q->m->tree.arg, path, o->handle, &mode);
    if (!e)
        e = fuse_entry_of(t, q, name, &out.entry);
    if (e) {
        fuse_close(t, q->m, o);
        return e;
    }
    o->node = out.entry.nodeid;
    out.open.fh = o->id;
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t ask_create(task_t *t, question_t *q)
{
    const char *name = text_at(q, sizeof(struct fuse_create_in));
    char *path = NULL;
    TRY(path_of(q, q->head.nodeid, name, &path));
    err_t e = create(t, q, name, path);
    free(path);
    return e;
}

static err_t ask_write(task_t *t, question_t *q)
{
    const struct fuse_write_in *in = (const void *)q->body;
    struct fuse_write_out out = {.size = in->size};
    bool appends = (in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE);
    if (in->size > q->len - sizeof *in)
        return fuse_refuse(q, EINVAL);
    if (in->offset > FILE_BYTES_MAX - in->size)
        return fuse_refuse(q, EFBIG);
    TRY(gate_enter(t, &q->opened->gate));
    err_t e =
        q->m->tree.write(t, q->opened->handle, in->offset, appends, bytes_of(q->body + sizeof *in, in->size));
    gate_leave(&q->opened->gate);
    TRY(e);
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t flush(task_t *t, question_t *q, bool is_sync)
{
    TRY(gate_enter(t, &q->opened->gate));
    err_t e = q->m->tree.flush(t, q->opened->handle, is_sync);
    gate_leave(&q->opened->gate);
    return e ? e : done(q);
}

static err_t ask_flush(task_t *t, question_t *q)
{
    return flush(t, q, false);
}

static err_t ask_sync(task_t *t, question_t *q)
{
    return flush(t, q, true);
}

/* ── attributes ──────────────────────────────────────────────────────────────────────────────── */
static mount_change_t change_of(const struct fuse_setattr_in *in)
{
    mount_change_t c = {.has_size = in->valid & FATTR_SIZE,
                        .size = in->size,
                        .has_mode = in->valid & FATTR_MODE,
                        .mode = in->mode & MODE_BITS,
                        .has_mtime = in->valid & (FATTR_MTIME | FATTR_MTIME_NOW),
                        .mtime_s = (int64_t)in->mtime,
                        .mtime_ns = in->mtimensec};
    if (in->valid & FATTR_MTIME_NOW) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        c.mtime_s = now.tv_sec;
        c.mtime_ns = (uint32_t)now.tv_nsec;
    }
    return c;
}

static err_t ask_change(task_t *t, question_t *q)
{
    const struct fuse_setattr_in *in = (const void *)q->body;
    struct fuse_attr_out out;
    mount_change_t c = change_of(in);
    if (c.has_size && c.size > FILE_BYTES_MAX)
        return fuse_refuse(q, EFBIG);
    if (c.mtime_ns > 999999999)
        return fuse_refuse(q, EINVAL);
    void *handle = q->opened ? q->opened->handle : NULL;
    if (handle)
        TRY(gate_enter(t, &q->opened->gate));
    err_t e = q->m->tree.change(t, q->m->tree.arg, q->has_path ? q->path : NULL, handle, &c);
    if (handle)
        gate_leave(&q->opened->gate);
    TRY(e);
    TRY(fuse_attr_of(t, q, &out));
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
static err_t ask_mkdir(task_t *t, question_t *q)
{
    const struct fuse_mkdir_in *in = (const void *)q->body;
    const char *name = text_at(q, sizeof *in);
    char *path = NULL;
    mount_change_t mode = {.has_mode = true, .mode = in->mode & MODE_BITS};
    TRY(path_of(q, q->head.nodeid, name, &path));
    err_t e = q->m->tree.mkdir(t, q->m->tree.arg, path);
    if (!e)
        e = q->m->tree.change(t, q->m->tree.arg, path, NULL, &mode);
    free(path);
    return e ? e : answer_entry(t, q, name);
}

static err_t ask_symlink(task_t *t, question_t *q)
{
    const char *name = text_at(q, 0), *target = text_at(q, strlen(name) + 1);
    char *path = NULL;
    if (strlen(target) > FUSE_LINK_BYTES_MAX)
        return fuse_refuse(q, ENAMETOOLONG);
    TRY(path_of(q, q->head.nodeid, name, &path));
    err_t e = q->m->tree.symlink(t, q->m->tree.arg, path, bytes_str(target));
    free(path);
    return e ? e : answer_entry(t, q, name);
}

static err_t remove_name(task_t *t, question_t *q, bool is_dir)
{
    const char *name = text_at(q, 0);
    char *path = NULL;
    TRY(path_of(q, q->head.nodeid, name, &path));
    err_t e = q->m->tree.remove(t, q->m->tree.arg, path, is_dir);
    free(path);
    TRY(e);
    fuse_names_remove(&q->m->names, q->head.nodeid, name);
    return done(q);
}

static err_t ask_unlink(task_t *t, question_t *q)
{
    return remove_name(t, q, false);
}

static err_t ask_rmdir(task_t *t, question_t *q)
{
    return remove_name(t, q, true);
}

static err_t rename_to(task_t *t, question_t *q, const char *from, const char *name, uint64_t folder,
                       const char *to_name, bool no_replace)
{
    char *to = NULL;
    TRY(path_of(q, folder, to_name, &to));
    err_t e = q->m->tree.rename(t, q->m->tree.arg, from, to, no_replace);
    free(to);
    TRY(e);
    fuse_names_move(&q->m->names, q->head.nodeid, name, folder, to_name);
    return done(q);
}

static err_t rename_from(task_t *t, question_t *q, size_t names_at, uint64_t folder, bool no_replace)
{
    const char *name = text_at(q, names_at), *to_name = text_at(q, names_at + strlen(name) + 1);
    char *from = NULL;
    TRY(path_of(q, q->head.nodeid, name, &from));
    err_t e = rename_to(t, q, from, name, folder, to_name, no_replace);
    free(from);
    return e;
}

static err_t ask_rename(task_t *t, question_t *q)
{
    const struct fuse_rename_in *in = (const void *)q->body;
    return rename_from(t, q, sizeof *in, in->newdir, false);
}

static err_t ask_rename2(task_t *t, question_t *q)
{
    const struct fuse_rename2_in *in = (const void *)q->body;
    if (in->flags & ~RENAME_NOREPLACE)
        return fuse_refuse(q, EINVAL);
    return rename_from(t, q, sizeof *in, in->newdir, in->flags & RENAME_NOREPLACE);
}

const fuse_kind_t fuse_change_kinds[] = {
    {FUSE_CREATE, sizeof(struct fuse_create_in) + 1, false, true, ask_create},
    {FUSE_WRITE, sizeof(struct fuse_write_in), true, true, ask_write},
    {FUSE_FLUSH, sizeof(struct fuse_flush_in), true, true, ask_flush},
    {FUSE_FSYNC, sizeof(struct fuse_fsync_in), true, true, ask_sync},
    {FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), true, true, ask_sync},
    {FUSE_SETATTR, sizeof(struct fuse_setattr_in), false, true, ask_change},
    {FUSE_MKDIR, sizeof(struct fuse_mkdir_in) + 1, false, true, ask_mkdir},
    {FUSE_SYMLINK, 2, false, true, ask_symlink},
    {FUSE_UNLINK, 1, false, true, ask_unlink},
    {FUSE_RMDIR, 1, false, true, ask_rmdir},
    {FUSE_RENAME, sizeof(struct fuse_rename_in) + 2, false, true, ask_rename},
    {FUSE_RENAME2, sizeof(struct fuse_rename2_in) + 2, false, true, ask_rename2},
    {0, 0, false, false, NULL},
};
