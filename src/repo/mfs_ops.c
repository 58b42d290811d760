/* What changes the tree but for the content of files: each an operation under the gate, then the commit. */
#include "dag/dag_walk.h"
#include "dag/file_editor.h"
#include "dag/node_meta.h"
#include "repo/mfs_file.h"
#include "repo/mfs_impl.h"
#include <stdlib.h>

typedef struct change {
    const char *path, *to;
    mfs_path_t from, dst; /* parsed */
    union {
        mfs_mkdir_options_t mkdir;
        mfs_format_t format;
        struct {
            dag_ref_t ref;
            bool force;
        } put;
        struct {
            bool recursive, force;
        } remove;
        unixfs_t meta; /* has_mode, has_mtime */
    };
} change_t;

static err_t run_change(task_t *t, mfs_t *m, blocks_t *from, change_t *c, mfs_op_fn op, bool flush)
{
    TRY(mfs_path_parse(c->path, &c->from));
    if (c->to)
        TRY(mfs_path_parse(c->to, &c->dst));
    TRY(mfs_run(t, m, from, op, c));
    return flush ? mfs_commit(t, m, m->resets) : OK;
}

static change_t *change_new(const char *path)
{
    change_t *c = xcalloc(1, sizeof *c);
    c->path = path;
    return c;
}

static err_t put_entry(task_t *t, mfs_t *m, mfs_node_t *dir, bytes_t name, const dag_ref_t *ref)
{
    TRY(dir_editor_put(t, dir->editor, name, ref));
    mfs_mark_changed(m, dir);
    return OK;
}

/* ── mkdir ───────────────────────────────────────────────────────────────────────────────────── */
static err_t make_dir(task_t *t, mfs_t *m, mfs_node_t *parent, bytes_t name, mfs_format_t format,
                      mfs_node_t **ret)
{
    dag_ref_t ref;
    dir_editor_t *editor = dir_editor_new(&m->local.base, &m->options,
                                          mfs_node_format(format, dir_editor_format(parent->editor)));
    err_t e = dir_editor_write(t, editor, &m->queue, &ref);
    if (!e)
        e = put_entry(t, m, parent, name, &ref);
    if (e) {
        dir_editor_free(editor);
        return e;
    }
    *ret = mfs_node_new(m, parent, name, editor);
    return *ret ? OK : fail(ERR_LIMIT, "too many directories are open");
}

static err_t mkdir_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    const mfs_path_t *p = &c->from;
    mfs_node_t *dir = m->root;
    char text[160];
    if (!p->count)
        return c->mkdir.parents ? OK : fail(ERR_EXISTS, "cannot create directory '/': Already exists");
    for (size_t i = 0; i < p->count; i++) {
        mfs_found_t f;
        bool is_last = i + 1 == p->count;
        TRY(mfs_find_child(t, m, dir, p->parts[i], &f));
        if (f.has && is_last && (!c->mkdir.parents || !f.is_dir))
            return fail(ERR_EXISTS, "file already exists");
        if (!f.has && !is_last && !c->mkdir.parents)
            return mfs_not_exist();
        if (f.has && !f.is_dir)
            return fail(ERR_INVALID, "%s was not a directory", mfs_path_print(p, i, text));
        if (!f.has)
            TRY(make_dir(t, m, dir, p->parts[i], c->mkdir.format, &f.node));
        dir = f.node;
    }
    if (c->mkdir.flush)
        mfs_clear_cache(t, m, dir, BYTES_NONE);
    return OK;
}

err_t mfs_mkdir(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_mkdir_options_t o)
{
    change_t *c = change_new(path);
    c->mkdir = o;
    err_t e = run_change(t, m, from, c, mkdir_op, o.flush);
    free(c);
    return e;
}

/* ── put ─────────────────────────────────────────────────────────────────────────────────────── */
/* Takes the loaded node of an entry that goes out of the tree. */
static void forget_node(mfs_t *m, mfs_node_t *n)
{
    if (n)
        mfs_cut_off(m, n);
}

static err_t unlink_file(task_t *t, mfs_t *m, const change_t *c)
{
    mfs_node_t *dir;
    mfs_found_t f;
    bool had;
    err_t e = mfs_find_dir(t, m, &c->from, c->from.count - 1, MFS_SAY_NOT_DIRECTORY, &dir);
    if (e)
        return e == ERR_NOT_FOUND && !m->local.has_missing ? OK : e;
    TRY(mfs_find_child(t, m, dir, mfs_path_name(&c->from), &f));
    if (!f.has)
        return OK;
    if (f.is_dir)
        return fail(ERR_INVALID, "not a file: %.160s", c->path);
    TRY(dir_editor_remove(t, dir->editor, mfs_path_name(&c->from), &had));
    forget_node(m, f.node);
    mfs_mark_changed(m, dir);
    return OK;
}

static err_t put_file(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_node_t *dir;
    mfs_found_t f;
    if (!c->from.count || c->from.has_slash)
        return fail(ERR_INVALID, "cannot create file with empty name");
    err_t e = c->put.force ? unlink_file(t, m, c) : OK;
    if (e)
        return fail_also(e, "cannot unlink existing file");
    TRY(mfs_find_dir(t, m, &c->from, c->from.count - 1, MFS_SAY_NO_DIRECTORY, &dir));
    TRY(mfs_find_child(t, m, dir, mfs_path_name(&c->from), &f));
    if (f.has)
        return fail(ERR_EXISTS, "directory already has entry by that name");
    TRY(put_entry(t, m, dir, mfs_path_name(&c->from), &c->put.ref));
    mfs_need_sync(m);
    mfs_clear_cache(t, m, dir, mfs_path_name(&c->from));
    return OK;
}

static err_t put_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    err_t e = put_file(t, m, arg);
    bool is_worded = !strncmp(error_text(e), "cannot unlink", 13);
    return e && !is_worded ? fail_also(e, "cannot put node in path %.100s", c->path) : e;
}

err_t mfs_settle_file(task_t *t, mfs_t *m, blocks_t *from, const cid_t *cid, dag_ref_t *ret_ref)
{
    mfs_blocks_t blocks;
    file_editor_t *ed;
    file_editor_options_t o = {.chunker = m->options.chunker, .raw_leaves = -1};
    mfs_blocks_init(&blocks, m, from);
    TRY(file_editor_open(t, &blocks.base, cid, &o, &ed));
    err_t e = file_editor_finish(t, ed, ret_ref);
    file_editor_free(t, ed);
    return e;
}

static err_t touch_block(task_t *t, void *gc, const cid_t *cid, block_t *block)
{
    gc_touch(gc, cid);
    return OK;
}

static err_t missing_is_fine(task_t *t, void *gc, const cid_t *cid, err_t e)
{
    gc_touch(gc, cid);
    return e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_UNSUPPORTED ? OK : e;
}

/* Content that is already here and that nothing keeps: a collection that is under way must not take it. */
static err_t keep_from_collection(task_t *t, mfs_t *m, const cid_t *cid)
{
    if (!gc_is_running(m->repo->gc))
        return OK;
    AUTO(dag_walker_t) w;
    dag_walker_init(&w, repo_blocks(m->repo));
    w.visit = touch_block;
    w.missing = missing_is_fine;
    w.arg = m->repo->gc;
    w.skips_raw = true;
    return dag_walker_run(t, &w, cid);
}

/* The ref of any UnixFS node; is_symlink: boxo's tree cannot flush it. */
static err_t read_source(task_t *t, mfs_t *m, blocks_t *from, const cid_t *cid, bool settles, dag_ref_t *ret,
                         bool *ret_is_symlink)
{
    AUTO(dag_node_t) n = {0};
    TRY(dag_node_get(t, from ? from : repo_blocks(m->repo), cid, &n));
    *ret_is_symlink = n.fs.type == UNIXFS_SYMLINK;
    *ret = (dag_ref_t){.cid = *cid, .tsize = dag_node_tsize(&n), .size = n.size};
    if (settles && dag_node_is_file(&n))
        return mfs_settle_file(t, m, from, cid, ret);
    return OK;
}

err_t mfs_put(task_t *t, mfs_t *m, blocks_t *from, const char *path, const cid_t *cid, mfs_put_options_t o)
{
    AUTO(gc_hold_t) hold = gc_hold(m->repo->gc);
    change_t *c = change_new(path);
    bool is_symlink;
    c->put.force = o.force;
    err_t e = read_source(t, m, from, cid, o.flush, &c->put.ref, &is_symlink);
    if (!e)
        e = keep_from_collection(t, m, cid);
    if (!e)
        e = run_change(t, m, from, c, put_op, o.flush);
    free(c);
    TRY(e);
    return o.flush && is_symlink && !o.takes_symlinks
               ? fail(ERR_UNSUPPORTED,
                      "cannot flush the created file %.100s: symlinks not yet "
                      "supported",
                      path)
               : OK;
}

/* ── move ────────────────────────────────────────────────────────────────────────────────────── */
static bool is_below(const mfs_node_t *n, const mfs_node_t *top)
{
    for (; n; n = n->parent)
        if (n == top)
            return true;
    return false;
}

/* Where it goes: into the directory that stands at the destination, or in the place of what else does. */
static err_t find_place(task_t *t, mfs_t *m, bytes_t src_name, mfs_node_t **dir, bytes_t *name,
                        mfs_found_t *ret_there)
{
    TRY(mfs_find_child(t, m, *dir, *name, ret_there));
    if (!ret_there->has || !ret_there->is_dir)
        return OK;
    *dir = ret_there->node;
    *name = src_name;
    TRY(mfs_find_child(t, m, *dir, *name, ret_there));
    return ret_there->has ? fail(ERR_EXISTS, "directory already has entry by that name") : OK;
}

static err_t find_both(task_t *t, mfs_t *m, const change_t *c, bytes_t src_name, mfs_node_t **ret_src,
                       mfs_node_t **ret_dst)
{
    bool is_dir_path = c->dst.has_slash || !c->dst.count;
    TRY(mfs_find_dir(t, m, &c->dst, c->dst.count - !is_dir_path, MFS_SAY_NO_DIRECTORY, ret_dst));
    return mfs_find_dir(t, m, &c->from, c->from.count - (src_name.len != 0), MFS_SAY_NO_DIRECTORY, ret_src);
}

err_t mfs_relocate(task_t *t, mfs_t *m, mfs_place_t *src, mfs_place_t *dst)
{
    mfs_node_t *node = src->found.node;
    bool had;
    if (src->found.is_dir && is_below(dst->dir, node))
        return fail(ERR_INVALID, "cannot move a directory into itself");
    if (src->found.is_dir)
        TRY(mfs_write_tree(t, m, node, &src->found.ref));
    mfs_use(src->dir); /* both stay in memory while the other one is worked on */
    mfs_use(dst->dir);
    err_t e = OK;
    if (dst->found.has) {
        e = dir_editor_remove(t, dst->dir->editor, dst->name, &had);
        if (!e)
            forget_node(m, dst->found.node);
    }
    if (!e)
        e = put_entry(t, m, dst->dir, dst->name, &src->found.ref);
    if (!e)
        e = dir_editor_remove(t, src->dir->editor, src->name, &had);
    if (!e && node)
        mfs_move_node(m, node, dst->dir, dst->name);
    mfs_mark_changed(m, src->dir);
    mfs_mark_changed(m, dst->dir);
    mfs_clear_cache(t, m, dst->dir, BYTES_NONE);
    mfs_clear_cache(t, m, src->dir, BYTES_NONE);
    mfs_clear_cache(t, m, m->root, BYTES_NONE);
    mfs_release(m, src->dir);
    mfs_release(m, dst->dir);
    return e;
}

static err_t move_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_place_t src = {.name = c->from.has_slash ? BYTES_NONE : mfs_path_name(&c->from)}, dst = {0};
    dst.name = c->dst.has_slash || !c->dst.count ? src.name : mfs_path_name(&c->dst);
    TRY(find_both(t, m, c, src.name, &src.dir, &dst.dir));
    TRY(mfs_find_child(t, m, src.dir, src.name, &src.found));
    if (!src.found.has)
        return mfs_not_exist();
    TRY(find_place(t, m, src.name, &dst.dir, &dst.name, &dst.found));
    if (src.dir == dst.dir && bytes_equal(src.name, dst.name))
        return OK;
    return mfs_relocate(t, m, &src, &dst);
}

err_t mfs_move(task_t *t, mfs_t *m, blocks_t *from, const char *src, const char *dst, bool flush)
{
    change_t *c = change_new(src);
    c->to = dst;
    err_t e = run_change(t, m, from, c, move_op, flush);
    free(c);
    return e;
}

/* ── remove ──────────────────────────────────────────────────────────────────────────────────── */
static err_t remove_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_node_t *dir;
    mfs_found_t f = {0};
    bytes_t name = mfs_path_name(&c->from);
    bool had;
    if (!name.len)
        return fail(ERR_INVALID, "cannot delete root");
    err_t e = mfs_find_dir(t, m, &c->from, c->from.count - 1, MFS_SAY_EXPECTED, &dir);
    if (e)
        return e == ERR_NOT_FOUND && c->remove.force && !m->local.has_missing ? OK : e;
    e = mfs_find_child(t, m, dir, name, &f);
    if (e && !c->remove.force)
        return e;
    if (e)
        f.node = NULL; /* damaged, or not here: it goes all the same */
    else if (!f.has)
        return c->remove.force ? OK : mfs_not_exist();
    if (f.is_dir && !c->remove.recursive && !c->remove.force)
        return fail(ERR_INVALID, "path is a directory, use -r to remove directories");
    TRY(dir_editor_remove(t, dir->editor, name, &had));
    forget_node(m, f.node);
    mfs_mark_changed(m, dir);
    mfs_clear_cache(t, m, dir, BYTES_NONE);
    return OK;
}

err_t mfs_remove(task_t *t, mfs_t *m, blocks_t *from, const char *path, bool recursive, bool force)
{
    change_t *c = change_new(path);
    c->remove.recursive = recursive;
    c->remove.force = force;
    err_t e = run_change(t, m, from, c, remove_op, true);
    free(c);
    return e;
}

/* ── format, mode, time ──────────────────────────────────────────────────────────────────────── */
static err_t format_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_node_t *parent;
    mfs_found_t f;
    TRY(mfs_find(t, m, &c->from, &parent, &f));
    if (!f.is_dir)
        return fail(ERR_INVALID, "can only update directories");
    dir_editor_set_format(f.node->editor, (node_format_t){c->format.version, c->format.hash_code});
    if (dir_editor_is_changed(f.node->editor))
        mfs_mark_changed(m, f.node);
    return OK;
}

err_t mfs_set_format(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_format_t format, bool flush)
{
    if (!format.is_set) {
        mfs_entry_t there;
        TRY(mfs_lookup(t, m, from, path, &there));
        return flush ? mfs_commit(t, m, m->resets) : OK;
    }
    change_t *c = change_new(path);
    c->format = format;
    err_t e = run_change(t, m, from, c, format_op, flush);
    free(c);
    return e;
}

void mfs_apply_meta(const unixfs_t *change, unixfs_t *meta)
{
    if (change->has_mode) {
        meta->mode = (meta->mode & 0xfffff000u) | (change->mode & 0777);
        meta->has_mode = meta->mode != 0;
    }
    if (change->has_mtime) {
        meta->mtime = change->mtime;
        meta->has_mtime = true;
    }
}

err_t mfs_with_meta(task_t *t, mfs_t *m, const unixfs_t *change, dag_ref_t *ref)
{
    AUTO(dag_node_t) n = {0};
    TRY(dag_node_get(t, &m->local.base, &ref->cid, &n));
    unixfs_t meta = n.fs;
    mfs_apply_meta(change, &meta);
    TRY(node_with_meta(t, &n, &meta, &m->queue, ref));
    return put_queue_drain(t, &m->queue); /* it is read before the next commit */
}

/* For a writer that has the file: what it gives back is made from the file as it was before. */
static void note_meta(mfs_t *m, mfs_node_t *file, const unixfs_t *change)
{
    if (change->has_mode) {
        file->meta.mode = change->mode;
        file->mode_at = m->version;
    }
    if (change->has_mtime) {
        file->meta.mtime = change->mtime;
        file->mtime_at = m->version;
    }
}

static err_t meta_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_node_t *parent;
    mfs_found_t f;
    TRY(mfs_find(t, m, &c->from, &parent, &f));
    if (f.is_dir) {
        unixfs_t meta = *dir_editor_meta(f.node->editor);
        mfs_apply_meta(&c->meta, &meta);
        dir_editor_set_meta(f.node->editor, &meta);
        mfs_mark_changed(m, f.node);
        return OK;
    }
    TRY(mfs_with_meta(t, m, &c->meta, &f.ref));
    TRY(put_entry(t, m, parent, mfs_path_name(&c->from), &f.ref));
    if (f.node)
        note_meta(m, f.node, &c->meta);
    return OK;
}

err_t mfs_set_meta(task_t *t, mfs_t *m, blocks_t *from, const char *path, const unixfs_t *meta)
{
    change_t *c = change_new(path);
    c->meta = *meta;
    err_t e = run_change(t, m, from, c, meta_op, false);
    free(c);
    return e;
}

static err_t set_meta_durably(task_t *t, mfs_t *m, blocks_t *from, const char *path, unixfs_t meta)
{
    TRY(mfs_change_meta(t, m, from, path, &meta));
    return mfs_commit(t, m, m->resets);
}

err_t mfs_set_mode(task_t *t, mfs_t *m, blocks_t *from, const char *path, uint32_t mode)
{
    return set_meta_durably(t, m, from, path, (unixfs_t){.has_mode = true, .mode = mode});
}

err_t mfs_set_mtime(task_t *t, mfs_t *m, blocks_t *from, const char *path, unixfs_time_t mtime)
{
    return set_meta_durably(t, m, from, path, (unixfs_t){.has_mtime = true, .mtime = mtime});
}

/* ── flush ───────────────────────────────────────────────────────────────────────────────────── */
static err_t clear_op(task_t *t, mfs_t *m, void *arg)
{
    change_t *c = arg;
    mfs_node_t *parent;
    mfs_found_t f;
    TRY(mfs_find(t, m, &c->from, &parent, &f));
    mfs_clear_cache(t, m, f.is_dir ? f.node : parent, f.is_dir ? BYTES_NONE : mfs_path_name(&c->from));
    return OK;
}

err_t mfs_flush(task_t *t, mfs_t *m, blocks_t *from, const char *path, cid_t *ret_cid)
{
    change_t *c = change_new(path);
    mfs_entry_t entry;
    err_t e = run_change(t, m, from, c, clear_op, true);
    free(c);
    TRY(e);
    TRY(mfs_lookup(t, m, from, path, &entry));
    *ret_cid = entry.ref.cid;
    return OK;
}
