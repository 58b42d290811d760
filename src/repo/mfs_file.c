/* What programs have open. All who have a file open share one mfs_shared_t, whose gate orders what they do.
 * It is in one of these states:
 *
 *   clean    the file is what the tree has; looked up again when the tree has changed
 *   editing  from the first write to the next flush: it has the file's `writing` gate, an editor, and a
 *            buffer of what was written last
 *   failed   the editor is gone, and with it what was written since the last flush: until all have closed it
 */
#include "repo/mfs_file.h"
#include "base/log.h"
#include "dag/file_editor.h"
#include "dag/file_reader.h"
#include "repo/mfs_impl.h"
#include <stdlib.h>

enum { EDIT_MS = 60000 }; /* for one change, of which parts may have to be fetched */

typedef struct mfs_shared {
    mfs_t *mfs;
    mfs_blocks_t blocks;
    blocks_t *from;
    mfs_taken_t file; /* ref: in the tree, or as the editor was finished last */
    uint64_t resets;  /* of the tree when it was opened */
    size_t users;
    gate_t gate;
    bool is_removed; /* from the tree: it lives on for those who have it open */
    error_slot_t failed;
    /* editing */
    file_editor_t *editor;
    gc_hold_t hold;
    list_t in_editing;
    bool is_unfinished; /* the editor has more than ref */
    uint8_t *buffer;
    uint64_t at; /* of the buffer's bytes in the file */
    size_t len, cap;
} mfs_shared_t;
struct mfs_file {
    mfs_shared_t *shared;
    bool has_written; /* since its last flush */
    bool has_reader;
    file_reader_t reader;
    cid_t reading; /* what the reader reads */
    uint64_t position;
};

/* ── the file and the tree ───────────────────────────────────────────────────────────────────── */
static err_t take(task_t *t, mfs_shared_t *s)
{
    err_t e = mfs_take_file(t, s->mfs, s->from, &s->file);
    TRY(mfs_check_kept(s->mfs, s->resets));
    if (e != ERR_NOT_FOUND || mfs_is_attached(s->mfs, s->file.file))
        return e;
    s->is_removed = true;
    return OK;
}

static err_t refresh(task_t *t, mfs_shared_t *s)
{
    TRY(mfs_check_kept(s->mfs, s->resets));
    return s->editor || s->is_removed || s->file.version == s->mfs->version ? OK : take(t, s);
}

static void end_editing(task_t *t, mfs_shared_t *s)
{
    if (!s->editor)
        return;
    file_editor_free(t, s->editor);
    s->editor = NULL;
    free(s->buffer);
    s->buffer = NULL;
    s->len = 0;
    s->is_unfinished = false;
    list_remove(&s->in_editing);
    s->mfs->n_editing--;
    gc_release(&s->hold);
    gate_leave(&s->file.file->writing);
}

/* After a failure of the editor, which can only be freed. */
static err_t give_up(task_t *t, mfs_shared_t *s, err_t e)
{
    s->failed = *error_slot();
    s->failed.code = e;
    end_editing(t, s);
    *error_slot() = s->failed;
    return e;
}

static err_t check(const mfs_shared_t *s)
{
    return s->failed.code ? fail(s->failed.code, "%s", s->failed.text) : mfs_check_kept(s->mfs, s->resets);
}

static err_t drain(task_t *t, mfs_shared_t *s)
{
    bytes_t rest = bytes_of(s->buffer, s->len);
    bool has_failed;
    if (!s->len)
        return OK;
    err_t e = s->at > file_editor_size(s->editor) ? file_editor_resize(t, s->editor, s->at) : OK;
    if (!e)
        e = file_editor_write(t, s->editor, s->at, source_of_bytes(&rest), &has_failed);
    if (e)
        return give_up(t, s, e);
    s->len = 0;
    s->is_unfinished = true;
    return OK;
}

/* Makes ref the whole file as it is now. */
static err_t finish(task_t *t, mfs_shared_t *s)
{
    TRY(drain(t, s));
    if (!s->is_unfinished)
        return OK;
    err_t e = file_editor_finish(t, s->editor, &s->file.ref);
    if (e)
        return give_up(t, s, e);
    s->is_unfinished = false;
    return OK;
}

/* From editing to clean. */
static err_t give(task_t *t, mfs_shared_t *s)
{
    if (!s->editor)
        return OK;
    TRY(finish(t, s));
    err_t e = s->is_removed ? OK : mfs_give_file(t, s->mfs, s->from, &s->file);
    if (e)
        return give_up(t, s, e);
    end_editing(t, s);
    return OK;
}

/* Others that are not being worked on just now are given to the tree, so that buffers stay few. */
static void give_others(task_t *t, mfs_t *m)
{
    for (list_t *at = m->editing.next, *next; at != &m->editing && m->n_editing >= MFS_EDITING_MAX;
         at = next) {
        mfs_shared_t *s = LIST_ENTRY(at, mfs_shared_t, in_editing);
        next = at->next;
        if (!gate_try_enter(&s->gate))
            continue;
        if (give(t, s))
            error_slot()->code = OK; /* its own writers will see it */
        gate_leave(&s->gate);
        next = m->editing.next; /* the list may have changed meanwhile; one fewer or one more that failed */
    }
}

static size_t buffer_size(const chunker_t *c)
{
    size_t chunk = c->kind == CHUNKER_SIZE && c->max_bytes < MFS_FILE_BUFFER_BYTES ? c->max_bytes : 1;
    return MFS_FILE_BUFFER_BYTES / chunk * chunk; /* whole chunks: as if all was written at once */
}

static err_t begin(task_t *t, mfs_shared_t *s)
{
    mfs_t *m = s->mfs;
    const config_t *c = repo_config(m->repo);
    static const char raw[] = "Import.UnixFSRawLeaves";
    file_editor_options_t o = {.chunker = m->options.chunker,
                               .raw_leaves = config_has(c, raw) ? config_bool(c, raw, false) : -1,
                               .now = mfs_now(t),
                               .goes_on = true};
    if (s->editor)
        return OK;
    task_shield(t);
    give_others(t, m);
    task_unshield(t);
    TRY(gate_enter(t, &s->file.file->writing));
    gc_hold_t hold = gc_hold(m->repo->gc);
    err_t e = s->is_removed ? OK : take(t, s);
    if (!e)
        e = file_editor_open(t, &s->blocks.base, &s->file.ref.cid, &o, &s->editor);
    if (e) {
        gc_release(&hold);
        gate_leave(&s->file.file->writing);
        return e;
    }
    s->hold = hold;
    s->cap = buffer_size(&o.chunker);
    list_push_back(&m->editing, &s->in_editing);
    m->n_editing++;
    return OK;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
static err_t share(task_t *t, mfs_t *m, blocks_t *from, mfs_node_t *node, mfs_shared_t **ret)
{
    mfs_shared_t *s = node->open;
    if (s) {
        s->users++;
        mfs_let_go(t, m, node); /* it is held already */
        *ret = s;
        return OK;
    }
    s = xcalloc(1, sizeof *s);
    s->mfs = m;
    s->from = from;
    mfs_blocks_init(&s->blocks, m, from ? from : repo_blocks(m->repo));
    s->file = (mfs_taken_t){.file = node, .flushes = true, .version = UINT64_MAX}; /* not looked up yet */
    s->resets = m->resets;
    s->users = 1;
    gate_init(&s->gate, 1);
    list_init(&s->in_editing);
    node->open = s;
    *ret = s;
    return OK;
}

static void unshare(task_t *t, mfs_shared_t *s)
{
    if (--s->users)
        return;
    s->file.file->open = NULL;
    mfs_let_go(t, s->mfs, s->file.file);
    free(s);
}

static err_t check_file(task_t *t, blocks_t *from, const cid_t *cid)
{
    AUTO(dag_node_t) n = {0};
    if (cid->codec == CODEC_RAW)
        return OK;
    TRY(dag_node_get(t, from, cid, &n));
    return n.fs.type == UNIXFS_SYMLINK ? fail(ERR_UNSUPPORTED, "symlinks not yet supported") : OK;
}

/* Tells a directory that was removed meanwhile, and a link, from a file. */
static err_t look(task_t *t, mfs_shared_t *s)
{
    TRY(gate_enter(t, &s->gate));
    err_t e = refresh(t, s);
    gate_leave(&s->gate);
    return e ? e : check_file(t, &s->blocks.base, &s->file.ref.cid);
}

err_t mfs_file_open(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_open_options_t o,
                    mfs_file_t **ret)
{
    mfs_node_t *node;
    mfs_shared_t *s;
    mfs_path_t *p = xmalloc(sizeof *p);
    mfs_hold_options_t hold = {.create = o.create, .exclusive = o.exclusive};
    err_t e = mfs_path_parse(path, p);
    if (!e)
        e = mfs_hold_file(t, m, from, path, p, hold, &node);
    free(p);
    TRY(e);
    TRY(share(t, m, from, node, &s));
    e = look(t, s);
    if (e) {
        unshare(t, s);
        return e;
    }
    mfs_file_t *f = xcalloc(1, sizeof *f);
    f->shared = s;
    *ret = f;
    return OK;
}

static err_t flush(task_t *t, mfs_shared_t *s)
{
    task_shield(t);
    err_t e = gate_enter(t, &s->gate);
    if (!e) {
        e = check(s);
        deadline_t d = deadline_push(t, EDIT_MS);
        if (!e)
            e = give(t, s);
        deadline_pop(t, &d);
        gate_leave(&s->gate);
    }
    task_unshield(t);
    return e;
}

err_t mfs_file_flush(task_t *t, mfs_file_t *f, bool is_sync)
{
    mfs_shared_t *s = f->shared;
    TRY(flush(t, s));
    if (!is_sync && !f->has_written)
        return OK;
    task_shield(t);
    err_t e = mfs_commit(t, s->mfs, s->resets);
    task_unshield(t);
    f->has_written = e != OK;
    return e;
}

void mfs_file_close(task_t *t, mfs_file_t *f)
{
    if (!f)
        return;
    error_slot_t saved = *error_slot();
    err_t e = flush(t, f->shared);
    if (e) { /* nobody is there to be told, who did not flush before */
        log_warn("a file of the mutable tree was closed without what was written last", LOG_ERR(e));
        *error_slot() = saved;
    }
    if (f->has_reader)
        file_reader_deinit(&f->reader);
    unshare(t, f->shared);
    free(f);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
/* What is to be read from the tree's blocks: nothing when all of it was in the buffer. */
static err_t prepare(task_t *t, mfs_shared_t *s, uint64_t offset, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = 0;
    TRY(check(s));
    if (s->len && offset >= s->at && offset - s->at < s->len && cap <= s->len - (offset - s->at)) {
        memcpy(out, s->buffer + (offset - s->at), cap);
        *ret_n = cap;
        return OK;
    }
    if (!s->editor)
        return refresh(t, s);
    task_shield(t);
    deadline_t d = deadline_push(t, EDIT_MS);
    err_t e = finish(t, s);
    deadline_pop(t, &d);
    task_unshield(t);
    return e;
}

static err_t read_blocks(task_t *t, mfs_file_t *f, const cid_t *cid, uint64_t offset, uint8_t *out,
                         size_t cap, size_t *ret_n)
{
    if (f->has_reader && !cid_equal(&f->reading, cid)) {
        file_reader_deinit(&f->reader);
        f->has_reader = false;
    }
    if (!f->has_reader) {
        TRY(file_reader_open(t, &f->reader, &f->shared->blocks.base, cid));
        f->has_reader = true;
        f->reading = *cid;
        f->position = 0;
    }
    if (offset != f->position)
        file_reader_seek(&f->reader, offset, UINT64_MAX - offset);
    f->position = UINT64_MAX; /* after a failure the reader begins anew */
    size_t n = 1, sum = 0;
    for (; n && sum < cap; sum += n)
        TRY(file_reader_read(t, &f->reader, out + sum, cap - sum, &n));
    f->position = offset + sum;
    *ret_n = sum;
    return OK;
}

err_t mfs_file_read(task_t *t, mfs_file_t *f, uint64_t offset, uint8_t *out, size_t cap, size_t *ret_n)
{
    mfs_shared_t *s = f->shared;
    size_t n;
    TRY(gate_enter(t, &s->gate));
    err_t e = prepare(t, s, offset, out, cap, &n);
    cid_t cid = s->file.ref.cid;
    gate_leave(&s->gate);
    TRY(e);
    if (!n && cap)
        TRY(read_blocks(t, f, &cid, offset, out, cap, &n));
    *ret_n = n;
    return OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static uint64_t size_of(const mfs_shared_t *s)
{
    uint64_t size = file_editor_size(s->editor), end = s->len ? s->at + s->len : 0;
    return end > size ? end : size;
}

/* Into the buffer, as long as it goes on where the buffer ends, or changes what is in it. */
static err_t put(task_t *t, mfs_shared_t *s, uint64_t offset, bytes_t data)
{
    while (data.len) {
        bool fits = s->len && offset >= s->at && offset - s->at <= s->len && offset - s->at < s->cap;
        if (!fits) {
            TRY(drain(t, s));
            s->at = offset;
            if (!s->buffer)
                s->buffer = xmalloc(s->cap);
        }
        size_t skip = (size_t)(offset - s->at), n = s->cap - skip < data.len ? s->cap - skip : data.len;
        memcpy(s->buffer + skip, data.data, n);
        s->len = skip + n > s->len ? skip + n : s->len;
        offset += n;
        data = bytes_slice(data, n, data.len);
    }
    return OK;
}

static err_t change(task_t *t, mfs_shared_t *s, err_t (*make)(task_t *t, mfs_shared_t *s, void *arg),
                    void *arg)
{
    TRY(gate_enter(t, &s->gate));
    err_t e = check(s);
    if (!e)
        e = begin(t, s);
    if (!e) { /* an editor that is interrupted would be lost, and with it what others wrote */
        task_shield(t);
        deadline_t d = deadline_push(t, EDIT_MS);
        e = make(t, s, arg);
        deadline_pop(t, &d);
        task_unshield(t);
    }
    gate_leave(&s->gate);
    return e;
}

typedef struct piece {
    uint64_t offset;
    bool appends;
    bytes_t data;
} piece_t;

static err_t write_piece(task_t *t, mfs_shared_t *s, void *arg)
{
    piece_t *p = arg;
    return put(t, s, p->appends ? size_of(s) : p->offset, p->data);
}

err_t mfs_file_write(task_t *t, mfs_file_t *f, uint64_t offset, bool appends, bytes_t data)
{
    piece_t p = {offset, appends, data};
    if (!data.len)
        return OK;
    f->has_written = true;
    return change(t, f->shared, write_piece, &p);
}

static err_t resize(task_t *t, mfs_shared_t *s, void *arg)
{
    uint64_t size = *(uint64_t *)arg;
    TRY(drain(t, s));
    if (size == file_editor_size(s->editor))
        return OK;
    err_t e = file_editor_resize(t, s->editor, size);
    if (e)
        return give_up(t, s, e);
    s->is_unfinished = true;
    return OK;
}

err_t mfs_file_resize(task_t *t, mfs_file_t *f, uint64_t size)
{
    f->has_written = true;
    return change(t, f->shared, resize, &size);
}

/* ── size, mode, time ────────────────────────────────────────────────────────────────────────── */
static err_t stat_node(task_t *t, blocks_t *blocks, const cid_t *cid, mfs_stat_t *ret)
{
    AUTO(dag_node_t) n = {0};
    TRY(dag_node_get(t, blocks, cid, &n));
    *ret = (mfs_stat_t){.type = n.fs.type,
                        .size = n.fs.type == UNIXFS_SYMLINK ? n.fs.data.len : n.size,
                        .cid = *cid,
                        .has_mode = n.fs.has_mode,
                        .has_mtime = n.fs.has_mtime,
                        .mode = n.fs.mode,
                        .mtime = n.fs.mtime};
    return OK;
}

static void as_edited(const mfs_shared_t *s, mfs_stat_t *st)
{
    unixfs_t meta = {.has_mode = st->has_mode, .mode = st->mode}, change;
    st->size = size_of(s);
    if (!mfs_meta_since(&s->file, &change))
        return;
    mfs_apply_meta(&change, &meta);
    st->has_mode = meta.has_mode;
    st->mode = meta.mode;
    st->has_mtime = st->has_mtime || change.has_mtime;
    st->mtime = change.has_mtime ? change.mtime : st->mtime;
}

err_t mfs_file_stat(task_t *t, mfs_file_t *f, mfs_stat_t *ret)
{
    mfs_shared_t *s = f->shared;
    mfs_stat_t st;
    TRY(gate_enter(t, &s->gate));
    err_t e = refresh(t, s);
    if (!e)
        e = stat_node(t, &s->blocks.base, &s->file.ref.cid, &st);
    if (!e && s->editor)
        as_edited(s, &st);
    gate_leave(&s->gate);
    TRY(e);
    *ret = st;
    return OK;
}

typedef struct look {
    const mfs_path_t *path;
    bool is_dir, is_editing;
    uint64_t size;
    unixfs_t meta;
    cid_t cid;
    mfs_shared_t *open; /* with one user more */
} look_t;

static err_t look_op(task_t *t, mfs_t *m, void *arg)
{
    look_t *l = arg;
    mfs_node_t *parent;
    mfs_found_t f;
    TRY(mfs_find(t, m, l->path, &parent, &f));
    l->is_dir = f.is_dir;
    if (f.is_dir) {
        l->meta = *dir_editor_meta(f.node->editor);
        return OK;
    }
    l->cid = f.ref.cid;
    l->open = f.node ? f.node->open : NULL;
    l->is_editing = l->open && l->open->editor;
    if (l->is_editing)
        l->size = size_of(l->open);
    if (l->open)
        l->open->users++;
    return OK;
}

static err_t look_at(task_t *t, mfs_t *m, blocks_t *from, const char *path, look_t *ret)
{
    mfs_path_t *p = xmalloc(sizeof *p);
    *ret = (look_t){.path = p};
    err_t e = mfs_path_parse(path, p);
    if (!e)
        e = mfs_run(t, m, from, look_op, ret);
    free(p);
    return e;
}

err_t mfs_stat(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_stat_t *ret)
{
    look_t l;
    TRY(look_at(t, m, from, path, &l));
    if (l.open)
        unshare(t, l.open);
    if (l.is_dir) {
        *ret = (mfs_stat_t){.type = UNIXFS_DIRECTORY,
                            .has_mode = l.meta.has_mode,
                            .has_mtime = l.meta.has_mtime,
                            .mode = l.meta.mode,
                            .mtime = l.meta.mtime};
        return OK;
    }
    TRY(stat_node(t, from ? from : repo_blocks(m->repo), &l.cid, ret));
    if (l.is_editing)
        ret->size = l.size;
    return OK;
}

err_t mfs_change_meta(task_t *t, mfs_t *m, blocks_t *from, const char *path, const unixfs_t *meta)
{
    look_t l;
    TRY(look_at(t, m, from, path, &l));
    err_t e = l.is_editing ? flush(t, l.open) : OK; /* what is written is there before its mode or time */
    if (l.open)
        unshare(t, l.open);
    return e ? e : mfs_set_meta(t, m, from, path, meta);
}
