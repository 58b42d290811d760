/* Writing into a file: it is found (or made) under the gate, changed outside of it, and put back under it.
 * One task at a time has the file. */
#include "dag/file_editor.h"
#include "repo/mfs_impl.h"
#include "task/driver.h"
#include <stdlib.h>

typedef struct write_job {
    mfs_write_options_t options;
    mfs_path_t path;
    const char *text;
    mfs_node_t *file; /* held */
    dag_ref_t ref;    /* of the file: before, then after */
    uint64_t resets;  /* of the tree when it was ours */
} write_job_t;

/* An empty file, as boxo makes it: a node without data. */
static err_t make_file(task_t *t, mfs_t *m, node_format_t format, dag_ref_t *ret_ref)
{
    import_options_t o = node_format_options(format, (node_format_t){1, MH_SHA2_256});
    node_writer_t nw;
    node_writer_init(&nw, &o, &m->queue);
    writer_t w = node_writer_begin(&nw);
    unixfs_t u = {.type = UNIXFS_FILE, .has_file_size = true};
    err_t e = node_writer_put_unixfs(t, &nw, &w, &u, NULL, 0, ret_ref);
    node_writer_deinit(&nw);
    return e;
}

static err_t find_or_make(task_t *t, mfs_t *m, write_job_t *j, mfs_node_t **ret_dir, mfs_found_t *ret)
{
    mfs_node_t *dir;
    mfs_path_t *p = &j->path;
    bytes_t name = mfs_path_name(p);
    if (!name.len)
        return fail(ERR_INVALID, "%.200s was not a file", j->text);
    TRY(mfs_find_dir(t, m, p, p->count - 1, MFS_SAY_NO_ACCESS, &dir));
    TRY(mfs_find_child(t, m, dir, name, ret));
    *ret_dir = dir;
    if (ret->has)
        return ret->is_dir ? fail(ERR_INVALID, "%.200s was not a file", j->text) : OK;
    if (!j->options.create || p->has_slash)
        return mfs_not_exist();
    TRY(make_file(t, m, mfs_node_format(j->options.format, dir_editor_format(dir->editor)), &ret->ref));
    TRY(dir_editor_put(t, dir->editor, name, &ret->ref));
    mfs_mark_changed(m, dir);
    return put_queue_drain(t, &m->queue);
}

static err_t hold_op(task_t *t, mfs_t *m, void *arg)
{
    write_job_t *j = arg;
    mfs_node_t *dir;
    mfs_found_t f;
    TRY(find_or_make(t, m, j, &dir, &f));
    if (!f.node)
        f.node = mfs_node_new(m, dir, mfs_path_name(&j->path), NULL);
    if (!f.node)
        return fail(ERR_LIMIT, "too many files are being written");
    mfs_use(f.node);
    j->file = f.node;
    return OK;
}

/* What it is now that it is ours: others may have written, moved or removed it. */
static err_t take_op(task_t *t, mfs_t *m, void *arg)
{
    write_job_t *j = arg;
    bool has = false;
    j->resets = m->resets;
    if (mfs_is_attached(m, j->file))
        TRY(dir_editor_find(t, j->file->parent->editor, bytes_str(j->file->name), &has, &j->ref));
    return has ? OK : mfs_not_exist();
}

/* A file that was removed meanwhile stays so. */
static err_t give_op(task_t *t, mfs_t *m, void *arg)
{
    write_job_t *j = arg;
    mfs_node_t *dir = j->file->parent;
    TRY(mfs_check_kept(m, j->resets)); /* its blocks may be gone, too */
    if (!mfs_is_attached(m, j->file))
        return OK;
    TRY(dir_editor_put(t, dir->editor, bytes_str(j->file->name), &j->ref));
    mfs_mark_changed(m, dir);
    if (j->options.flush)
        mfs_clear_cache(t, m, dir, bytes_str(j->file->name));
    return OK;
}

static unixfs_time_t now_of(task_t *t)
{
    uint64_t ms = driver_wall_ms(task_driver(t));
    return (unixfs_time_t){.seconds = (int64_t)(ms / 1000), .nanoseconds = (uint32_t)(ms % 1000) * 1000000};
}

static err_t check_file(task_t *t, blocks_t *from, const cid_t *cid)
{
    AUTO(dag_node_t) n = {0};
    if (cid->codec == CODEC_RAW)
        return OK;
    TRY(dag_node_get(t, from, cid, &n));
    return n.fs.type == UNIXFS_SYMLINK ? fail(ERR_UNSUPPORTED, "symlinks not yet supported") : OK;
}

/* *ret_source: why the source failed; what it gave before counts. */
static err_t edit(task_t *t, mfs_t *m, write_job_t *j, blocks_t *blocks, source_t source,
                  error_slot_t *ret_source)
{
    file_editor_t *ed;
    bool has_failed = false;
    file_editor_options_t o = {
        .chunker = m->options.chunker, .raw_leaves = j->options.raw_leaves, .now = now_of(t)};
    TRY(check_file(t, blocks, &j->ref.cid));
    TRY(file_editor_open(t, blocks, &j->ref.cid, &o, &ed));
    err_t e = j->options.truncate && file_editor_size(ed) ? file_editor_resize(t, ed, 0) : OK;
    if (!e && j->options.offset > file_editor_size(ed))
        e = file_editor_resize(t, ed, j->options.offset);
    if (!e)
        e = file_editor_write(t, ed, j->options.offset, source, &has_failed);
    if (has_failed) {
        *ret_source = *error_slot();
        ret_source->code = e;
        e = OK;
    }
    if (!e)
        e = file_editor_finish(t, ed, &j->ref);
    file_editor_free(t, ed);
    return e;
}

static err_t write_held(task_t *t, mfs_t *m, write_job_t *j, blocks_t *from, source_t source,
                        error_slot_t *ret_source)
{
    mfs_blocks_t blocks;
    mfs_blocks_init(&blocks, m, from ? from : repo_blocks(m->repo));
    TRY(gate_enter(t, &j->file->writing));
    err_t e = mfs_run(t, m, from, take_op, j);
    if (!e)
        e = edit(t, m, j, &blocks.base, source, ret_source);
    if (!e) { /* what is written is not given up for a client that has left */
        task_shield(t);
        e = mfs_run(t, m, from, give_op, j);
        task_unshield(t);
    }
    gate_leave(&j->file->writing);
    return e;
}

static err_t make_parents(task_t *t, mfs_t *m, const write_job_t *j, blocks_t *from)
{
    AUTO(buf_t) dir = {0};
    const char *path;
    buf_init(&dir, MFS_PATH_MAX_BYTES);
    for (size_t i = 0; i + 1 < j->path.count; i++) {
        TRY(buf_append_u8(&dir, '/'));
        TRY(buf_append(&dir, j->path.parts[i]));
    }
    if (!dir.len)
        return OK;
    TRY(buf_cstr(&dir, &path));
    return mfs_mkdir(t, m, from, path, (mfs_mkdir_options_t){.parents = true, .format = j->options.format});
}

/* Under the gate: those who have it may be about to use the file. */
static void let_go(task_t *t, mfs_t *m, mfs_node_t *file)
{
    task_shield(t);
    bool has_gate = !gate_enter(t, &m->gate);
    mfs_release(m, file);
    if (has_gate)
        gate_leave(&m->gate);
    task_unshield(t);
}

static err_t run_job(task_t *t, mfs_t *m, write_job_t *j, blocks_t *from, source_t source)
{
    error_slot_t source_error = {0};
    TRY(mfs_path_parse(j->text, &j->path));
    if (j->options.parents)
        TRY(make_parents(t, m, j, from));
    TRY(mfs_run(t, m, from, hold_op, j));
    err_t e = write_held(t, m, j, from, source, &source_error);
    error_slot_t why = *error_slot();
    let_go(t, m, j->file);
    *error_slot() = why;
    TRY(e);
    if (j->options.flush)
        TRY(mfs_commit(t, m, j->resets));
    return source_error.code ? fail(source_error.code, "%s", source_error.text) : OK;
}

err_t mfs_write(task_t *t, mfs_t *m, blocks_t *from, const char *path, source_t source, mfs_write_options_t o)
{
    AUTO(gc_hold_t) hold = gc_hold(m->repo->gc);
    write_job_t *j = xcalloc(1, sizeof *j);
    j->options = o;
    j->text = path;
    err_t e = run_job(t, m, j, from, source);
    free(j);
    return e;
}
