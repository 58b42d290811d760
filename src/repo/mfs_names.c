/* Names as rename(2), rmdir(2), unlink(2) and symlink(2) change them. */
#include "dag/node_writer.h"
#include "repo/mfs_file.h"
#include "repo/mfs_impl.h"
#include <stdlib.h>

typedef struct change {
    mfs_path_t *path, *to;
    bytes_t target; /* of a link */
    bool is_dir, no_replace;
} change_t;

static err_t run_change(task_t *t, mfs_t *m, blocks_t *from, const char *path, const char *to, change_t c,
                        mfs_op_fn op)
{
    mfs_path_t *paths = xcalloc(2, sizeof *paths);
    c.path = &paths[0];
    c.to = &paths[1];
    err_t e = mfs_path_parse(path, c.path);
    if (!e && to)
        e = mfs_path_parse(to, c.to);
    if (!e && (!c.path->count || (to && !c.to->count)))
        e = fail(ERR_INVALID, "the root stays as it is");
    if (!e)
        e = mfs_run(t, m, from, op, &c);
    free(paths);
    return e;
}

static err_t find_place(task_t *t, mfs_t *m, const mfs_path_t *p, mfs_place_t *ret)
{
    ret->name = mfs_path_name(p);
    TRY(mfs_find_dir(t, m, p, p->count - 1, MFS_SAY_NOT_DIRECTORY, &ret->dir));
    return mfs_find_child(t, m, ret->dir, ret->name, &ret->found);
}

static err_t check_empty(task_t *t, const mfs_found_t *f)
{
    bool is_empty;
    TRY(dir_editor_is_empty(t, f->node->editor, &is_empty));
    return is_empty ? OK : fail(ERR_NOT_EMPTY, "the directory is not empty");
}

static err_t remove_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_place_t p;
    bool had;
    TRY(find_place(t, m, c->path, &p));
    if (!p.found.has)
        return mfs_not_exist();
    if (p.found.is_dir != c->is_dir)
        return fail(ERR_INVALID, c->is_dir ? "not a directory" : "a directory");
    if (c->is_dir)
        TRY(check_empty(t, &p.found));
    TRY(dir_editor_remove(t, p.dir->editor, p.name, &had));
    if (p.found.node)
        mfs_cut_off(m, p.found.node);
    mfs_mark_changed(m, p.dir);
    return OK;
}

err_t mfs_unlink(task_t *t, mfs_t *m, blocks_t *from, const char *path)
{
    return run_change(t, m, from, path, NULL, (change_t){0}, remove_op);
}

err_t mfs_rmdir(task_t *t, mfs_t *m, blocks_t *from, const char *path)
{
    return run_change(t, m, from, path, NULL, (change_t){.is_dir = true}, remove_op);
}

static err_t check_rename(task_t *t, const change_t *c, const mfs_found_t *src, const mfs_found_t *there)
{
    if (!src->has)
        return mfs_not_exist();
    if (!there->has)
        return OK;
    if (c->no_replace)
        return fail(ERR_EXISTS, "file already exists");
    if (src->is_dir != there->is_dir)
        return fail(ERR_INVALID, "a file and a directory do not take each other's place");
    return there->is_dir && there->node != src->node ? check_empty(t, there) : OK;
}

static err_t rename_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_place_t src, dst;
    TRY(find_place(t, m, c->path, &src));
    TRY(find_place(t, m, c->to, &dst));
    TRY(check_rename(t, c, &src.found, &dst.found));
    if (src.dir == dst.dir && bytes_equal(src.name, dst.name))
        return OK;
    return mfs_relocate(t, m, &src, &dst);
}

err_t mfs_rename(task_t *t, mfs_t *m, blocks_t *from, const char *path, const char *to, bool no_replace)
{
    return run_change(t, m, from, path, to, (change_t){.no_replace = no_replace}, rename_op);
}

static err_t link_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_place_t p;
    dag_ref_t ref;
    node_writer_t nw;
    unixfs_t u = {.type = UNIXFS_SYMLINK, .data = c->target, .has_data = true};
    TRY(find_place(t, m, c->path, &p));
    if (p.found.has)
        return fail(ERR_EXISTS, "file already exists");
    import_options_t o =
        node_format_options(dir_editor_format(p.dir->editor), (node_format_t){1, MH_SHA2_256});
    node_writer_init(&nw, &o, &m->queue);
    writer_t w = node_writer_begin(&nw);
    err_t e = node_writer_put_unixfs(t, &nw, &w, &u, NULL, 0, &ref);
    node_writer_deinit(&nw);
    TRY(e);
    TRY(dir_editor_put(t, p.dir->editor, p.name, &ref));
    mfs_mark_changed(m, p.dir);
    return put_queue_drain(t, &m->queue);
}

err_t mfs_symlink(task_t *t, mfs_t *m, blocks_t *from, const char *path, bytes_t target)
{
    AUTO(gc_hold_t) hold = gc_hold(m->repo->gc);
    return run_change(t, m, from, path, NULL, (change_t){.target = target}, link_op);
}

bool mfs_is_durable(const mfs_t *m)
{
    return m->durable >= m->version;
}

err_t mfs_sync(task_t *t, mfs_t *m)
{
    return mfs_commit(t, m, m->resets);
}
