/* Writing into a file: it is found (or made) under the gate, changed outside of it, and put back under it.
 * One writer at a time has the file. */
#include "dag/file_editor.h"
#include "repo/mfs_file.h"
#include "repo/mfs_impl.h"
#include "task/driver.h"
#include <stdlib.h>

typedef struct write_job {
    mfs_write_options_t options;
    mfs_path_t path;
    const char *text;
    mfs_taken_t file; /* held; its ref: before, then after */
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

typedef struct hold {
    const char *text;
    const mfs_path_t *path;
    mfs_hold_options_t options;
    mfs_node_t *file;
} hold_t;

static err_t find_or_make(task_t *t, mfs_t *m, const hold_t *h, mfs_node_t **ret_dir, mfs_found_t *ret)
{
    mfs_node_t *dir;
    const mfs_path_t *p = h->path;
    bytes_t name = mfs_path_name(p);
    if (!name.len)
        return fail(ERR_INVALID, "%.200s was not a file", h->text);
    TRY(mfs_find_dir(t, m, p, p->count - 1, MFS_SAY_NO_ACCESS, &dir));
    TRY(mfs_find_child(t, m, dir, name, ret));
    *ret_dir = dir;
    if (ret->has && h->options.exclusive)
        return fail(ERR_EXISTS, "file already exists");
    if (ret->has)
        return ret->is_dir ? fail(ERR_INVALID, "%.200s was not a file", h->text) : OK;
    if (!h->options.create || p->has_slash)
        return mfs_not_exist();
    TRY(make_file(t, m, mfs_node_format(h->options.format, dir_editor_format(dir->editor)), &ret->ref));
    TRY(dir_editor_put(t, dir->editor, name, &ret->ref));
    mfs_mark_put(m, dir, name, &ret->ref);
    return put_queue_drain(t, &m->queue);
}

static err_t hold_op(task_t *t, mfs_t *m, void *arg)
{
    hold_t *h = arg;
    mfs_node_t *dir;
    mfs_found_t f;
    TRY(find_or_make(t, m, h, &dir, &f));
    if (!f.node)
        f.node = mfs_node_new(m, dir, mfs_path_name(h->path), NULL);
    if (!f.node)
        return fail(ERR_LIMIT, "too many files are being written");
    mfs_use(f.node);
    h->file = f.node;
    return OK;
}

err_t mfs_hold_file(task_t *t, mfs_t *m, blocks_t *from, const char *text, const mfs_path_t *path,
                    mfs_hold_options_t o, mfs_node_t **ret)
{
    hold_t h = {.text = text, .path = path, .options = o};
    TRY(mfs_run(t, m, from, hold_op, &h));
    *ret = h.file;
    return OK;
}

/* Others may have written, moved or removed it. */
static err_t take_op(task_t *t, mfs_t *m, void *arg)
{
    mfs_taken_t *f = arg;
    bool has = false;
    f->resets = m->resets;
    f->version = m->version;
    if (mfs_is_attached(m, f->file))
        TRY(dir_editor_find(t, f->file->parent->editor, bytes_str(f->file->name), &has, &f->ref));
    return has ? OK : mfs_not_exist();
}

err_t mfs_take_file(task_t *t, mfs_t *m, blocks_t *from, mfs_taken_t *f)
{
    return mfs_run(t, m, from, take_op, f);
}

bool mfs_meta_since(const mfs_taken_t *f, unixfs_t *ret_change)
{
    *ret_change = f->file->meta;
    ret_change->has_mode = f->file->mode_at > f->version;
    ret_change->has_mtime = f->file->mtime_at > f->version;
    return ret_change->has_mode || ret_change->has_mtime;
}

static err_t give_op(task_t *t, mfs_t *m, void *arg)
{
    mfs_taken_t *f = arg;
    mfs_node_t *dir = f->file->parent;
    unixfs_t change;
    TRY(mfs_check_kept(m, f->resets)); /* its blocks may be gone, too */
    if (!mfs_is_attached(m, f->file))
        return OK;
    if (mfs_meta_since(f, &change))
        TRY(mfs_with_meta(t, m, &change, &f->ref));
    TRY(dir_editor_put(t, dir->editor, bytes_str(f->file->name), &f->ref));
    mfs_mark_put(m, dir, bytes_str(f->file->name), &f->ref);
    m->known_file = f->ref.cid;
    if (f->flushes)
        mfs_clear_cache(t, m, dir, bytes_str(f->file->name));
    f->version = m->version;
    return OK;
}

/* What is written is not given up for a client that has left. */
err_t mfs_give_file(task_t *t, mfs_t *m, blocks_t *from, mfs_taken_t *f)
{
    task_shield(t);
    err_t e = mfs_run(t, m, from, give_op, f);
    task_unshield(t);
    return e;
}

unixfs_time_t mfs_now(task_t *t)
{
    uint64_t ms = driver_wall_ms(task_driver(t));
    return (unixfs_time_t){.seconds = (int64_t)(ms / 1000), .nanoseconds = (uint32_t)(ms % 1000) * 1000000};
}

/* *ret_source: why the source failed; what it gave before counts. */
static err_t edit(task_t *t, mfs_t *m, write_job_t *j, blocks_t *blocks, source_t source,
                  error_slot_t *ret_source)
{
    file_editor_t *ed;
    bool has_failed = false;
    file_editor_options_t o = {
        .chunker = m->options.chunker, .raw_leaves = j->options.raw_leaves, .now = mfs_now(t)};
    TRY(file_editor_open(t, blocks, &j->file.ref.cid, &o, &ed));
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
        e = file_editor_finish(t, ed, &j->file.ref);
    file_editor_free(t, ed);
    return e;
}

static err_t write_held(task_t *t, mfs_t *m, write_job_t *j, blocks_t *from, source_t source,
                        error_slot_t *ret_source)
{
    mfs_blocks_t blocks;
    mfs_blocks_init(&blocks, m, from ? from : repo_blocks(m->repo));
    TRY(gate_enter(t, &j->file.file->writing));
    err_t e = mfs_take_file(t, m, from, &j->file);
    if (!e)
        e = edit(t, m, j, &blocks.base, source, ret_source);
    if (!e)
        e = mfs_give_file(t, m, from, &j->file);
    gate_leave(&j->file.file->writing);
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
void mfs_let_go(task_t *t, mfs_t *m, mfs_node_t *file)
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
    mfs_hold_options_t hold = {.create = j->options.create, .format = j->options.format};
    TRY(mfs_hold_file(t, m, from, j->text, &j->path, hold, &j->file.file));
    err_t e = write_held(t, m, j, from, source, &source_error);
    error_slot_t why = *error_slot();
    mfs_let_go(t, m, j->file.file);
    *error_slot() = why;
    TRY(e);
    if (j->options.flush)
        TRY(mfs_commit(t, m, j->file.resets));
    return source_error.code ? fail(source_error.code, "%s", source_error.text) : OK;
}

err_t mfs_write(task_t *t, mfs_t *m, blocks_t *from, const char *path, source_t source, mfs_write_options_t o)
{
    AUTO(gc_hold_t) hold = gc_hold(m->repo->gc);
    write_job_t *j = xcalloc(1, sizeof *j);
    j->options = o;
    j->file.flushes = o.flush;
    j->text = path;
    err_t e = run_job(t, m, j, from, source);
    free(j);
    return e;
}
