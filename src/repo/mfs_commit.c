/* Commits: what was changed goes into the journal, or into the store and its root into the state database;
 * and the way back after a crash. */
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"
#include "repo/mfs_impl.h"
#include <stdlib.h>

/* A space of the state database for each tree, key "root", value the binary CID. */
#define KEY BYTES_LIT("root")
#define PUBLISHED_KEY BYTES_LIT("published") /* the root that was published last */
#define NUMBER_KEY BYTES_LIT("journal")      /* of the record that the root is from, 8 bytes */
enum { PENDING_MAX_BLOCKS = 1024, PENDING_MAX_BYTES = 512 << 10 };
enum { AHEAD_MAX_FILES = 1024 };

/* ── what is to be committed ─────────────────────────────────────────────────────────────────── */
void mfs_changes_init(mfs_changes_t *c)
{
    *c = (mfs_changes_t){.blocks = xcalloc(PENDING_MAX_BLOCKS, sizeof *c->blocks)};
    buf_init(&c->files, MFS_RECORD_FILES_MAX_BYTES);
}

static void drop_blocks(mfs_changes_t *c)
{
    while (c->n_blocks)
        block_release(c->blocks[--c->n_blocks]);
    c->bytes = 0;
}

void mfs_changes_deinit(mfs_changes_t *c)
{
    drop_blocks(c);
    free(c->blocks);
    c->blocks = NULL;
    buf_deinit(&c->files);
}

void mfs_need_sync(mfs_t *m)
{
    m->changes.needs_sync = m->changes.needs_root = true;
    drop_blocks(&m->changes);
}

void mfs_note_blocks(mfs_t *m, block_t *const *list, size_t n)
{
    mfs_changes_t *c = &m->changes;
    for (size_t i = 0; i < n && !c->needs_sync; i++) {
        if (c->n_blocks == PENDING_MAX_BLOCKS || c->bytes + list[i]->len > PENDING_MAX_BYTES) {
            mfs_need_sync(m);
            return;
        }
        c->blocks[c->n_blocks++] = block_ref(list[i]);
        c->bytes += list[i]->len;
    }
}

static err_t path_of(const mfs_node_t *dir, bytes_t name, buf_t *out)
{
    const mfs_node_t *up[MFS_MAX_DEPTH];
    size_t n = 0;
    for (; dir->parent; dir = dir->parent) {
        if (n == MFS_MAX_DEPTH)
            return ERR_LIMIT;
        up[n++] = dir;
    }
    while (n) {
        TRY(buf_append_u8(out, '/'));
        TRY(buf_append(out, bytes_str(up[--n]->name)));
    }
    TRY(buf_append_u8(out, '/'));
    return buf_append(out, name);
}

/* One more that the collector has to keep; false: there are too many. */
static bool keep_file(mfs_t *m, const cid_t *cid)
{
    if (m->n_ahead == AHEAD_MAX_FILES)
        return false;
    if (!m->ahead)
        m->ahead = xcalloc(AHEAD_MAX_FILES, sizeof *m->ahead);
    m->ahead[m->n_ahead++] = *cid;
    return true;
}

void mfs_note_file(mfs_t *m, const mfs_node_t *dir, bytes_t name, const dag_ref_t *ref)
{
    AUTO(buf_t) path = {0};
    buf_init(&path, MFS_PATH_MAX_BYTES);
    if (m->changes.needs_root)
        return;
    if (path_of(dir, name, &path) || mfs_files_add(&m->changes.files, buf_bytes(&path), ref) ||
        !keep_file(m, &ref->cid))
        m->changes.needs_root = true;
}

/* ── what is durable ─────────────────────────────────────────────────────────────────────────── */
static err_t read_root(task_t *t, mfs_t *m, bytes_t key, cid_t *ret, bool *ret_has)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, CID_BINARY_MAX);
    err_t e = kv_get(t, m->repo->state, m->space, key, &value);
    *ret_has = !e;
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    if (cid_decode(buf_bytes(&value), ret))
        return fail(ERR_CORRUPT, "the state database holds a root of files that is none");
    return OK;
}

static err_t read_number(task_t *t, mfs_t *m, uint64_t *ret)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, 8);
    err_t e = kv_get(t, m->repo->state, m->space, NUMBER_KEY, &value);
    reader_t r = reader_of(buf_bytes(&value));
    *ret = e ? 0 : read_u64be(&r);
    return e && e != ERR_NOT_FOUND ? e
           : r.err && !e           ? fail(ERR_CORRUPT, "the number of a journal that is none")
                                   : OK;
}

/* Root and number of its record, together. */
static err_t store_root(task_t *t, mfs_t *m, const cid_t *root)
{
    uint8_t value[CID_BINARY_MAX];
    AUTO(buf_t) number = {0};
    AUTO(kv_batch_t) b;
    buf_init(&number, 8);
    writer_t w = writer_to(&number);
    write_u64be(&w, m->journal.number);
    kv_batch_init(&b);
    TRY(w.err);
    TRY(kv_batch_put(&b, m->space, KEY, bytes_of(value, cid_encode(root, value))));
    TRY(kv_batch_put(&b, m->space, NUMBER_KEY, buf_bytes(&number)));
    TRY(kv_commit(t, m->repo->state, &b));
    mfs_journal_rewind(&m->journal);
    return OK;
}

static err_t put_again(task_t *t, void *arg, block_t *const *blocks, size_t n)
{
    return blockstore_put_many(t, ((mfs_t *)arg)->repo->guard, blocks, n);
}

/* Root and journal as the disk has them, whose blocks are put into the store again. Files that were put after
 * the root stay in the journal until a commit has a root with them. */
err_t mfs_recover(task_t *t, mfs_t *m, buf_t *ret_files)
{
    AUTO(mfs_replayed_t) found = {0};
    AUTO(gc_hold_t) hold = gc_hold(m->repo->gc);
    uint64_t number;
    cid_t root = {0};
    bool has;
    TRY(read_root(t, m, KEY, &root, &has));
    TRY(read_number(t, m, &number));
    TRY(mfs_journal_replay(t, &m->journal, number, put_again, m, &found));
    if (found.has_root)
        root = found.root;
    if (found.has_root && !found.files.len)
        TRY(store_root(t, m, &root));
    m->has_durable = has || found.has_root;
    m->durable_root = root;
    m->is_ahead = found.files.len > 0;
    m->n_ahead = 0;
    *ret_files = found.files;
    found.files = (buf_t){0};
    return OK;
}

static err_t put_file(task_t *t, mfs_t *m, const char *text, const dag_ref_t *ref)
{
    mfs_path_t *p = xmalloc(sizeof *p);
    mfs_node_t *dir;
    err_t e = mfs_path_parse(text, p);
    if (!e)
        e = p->count ? mfs_find_dir(t, m, p, p->count - 1, MFS_SAY_NO_ACCESS, &dir)
                     : fail(ERR_CORRUPT, "a file of the journal without a name");
    if (!e)
        e = dir_editor_put(t, dir->editor, mfs_path_name(p), ref);
    free(p);
    TRY(e);
    mfs_mark_changed(m, dir);
    keep_file(m, &ref->cid); /* beyond the maximum the tree, which has all of them, is what is kept */
    return OK;
}

err_t mfs_put_back(task_t *t, mfs_t *m, bytes_t files)
{
    AUTO(buf_t) text = {0};
    reader_t r = reader_of(files);
    bytes_t path;
    dag_ref_t ref;
    buf_init(&text, MFS_PATH_MAX_BYTES + 1);
    while (mfs_files_next(&r, &path, &ref)) {
        const char *name;
        buf_clear(&text);
        TRY(buf_append(&text, path));
        TRY(buf_cstr(&text, &name));
        TRY(put_file(t, m, name, &ref));
    }
    return r.err;
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
/* What a commit makes durable. */
typedef struct snapshot {
    mfs_changes_t changes;
    bool has_root;
    dag_ref_t root;
    uint64_t version;
    size_t n_ahead; /* of the files then */
} snapshot_t;

static void snapshot_deinit(snapshot_t *s)
{
    mfs_changes_deinit(&s->changes);
}
AUTO_DEFINE(snapshot_t, snapshot_deinit)

static err_t snapshot_op(task_t *t, mfs_t *m, void *arg)
{
    snapshot_t *s = arg;
    if (!m->has_durable || mfs_has_lost(m)) /* a root of what is not here is none */
        mfs_need_sync(m);
    s->has_root = m->changes.needs_root || !m->changes.files.len;
    if (s->has_root)
        TRY(mfs_write_tree(t, m, m->root, &s->root));
    s->version = m->version;
    s->n_ahead = m->n_ahead;
    s->changes = m->changes;
    mfs_changes_init(&m->changes);
    return OK;
}

/* Nothing of the journal counts beside this root, up to the snapshot. */
static void settle(mfs_t *m, const snapshot_t *s)
{
    m->durable_root = s->root.cid;
    m->has_durable = true;
    m->is_ahead = false;
    size_t n = s->n_ahead < m->n_ahead ? s->n_ahead : m->n_ahead; /* fewer: the tree began anew meanwhile */
    m->n_ahead -= n;
    if (m->n_ahead)
        memmove(m->ahead, m->ahead + n, m->n_ahead * sizeof *m->ahead);
}

/* Blocks first, then the root. */
static err_t commit_in_store(task_t *t, mfs_t *m, const snapshot_t *s)
{
    err_t e = blockstore_sync_since(t, m->repo->store, m->losses);
    if (e && mfs_has_lost(m)) {
        error_slot_t why = *error_slot();
        TRY(mfs_run(t, m, NULL, mfs_reset_op, NULL));
        *error_slot() = why;
    }
    TRY(e);
    TRY(store_root(t, m, &s->root.cid));
    settle(m, s);
    return OK;
}

static err_t commit_in_journal(task_t *t, mfs_t *m, const snapshot_t *s)
{
    mfs_record_t record = {.root = s->has_root ? &s->root.cid : NULL,
                           .files = buf_bytes(&s->changes.files),
                           .blocks = s->changes.blocks,
                           .n = s->changes.n_blocks};
    TRY(mfs_journal_append(t, &m->journal, &record));
    if (s->has_root)
        settle(m, s);
    else
        m->is_ahead = true;
    return OK;
}

/* *ret_is_full: there is no room in the journal for what has no root. */
static err_t commit_as_it_is(task_t *t, mfs_t *m, bool *ret_is_full)
{
    AUTO(snapshot_t) s = {0};
    *ret_is_full = false;
    TRY(mfs_run(t, m, NULL, snapshot_op, &s));
    bool is_new = !s.has_root || m->is_ahead || !m->has_durable || !cid_equal(&s.root.cid, &m->durable_root);
    bool syncs = s.changes.needs_sync;
    err_t e = syncs || !is_new ? ERR_LIMIT : commit_in_journal(t, m, &s);
    if (e == ERR_LIMIT && s.has_root)
        e = is_new || syncs ? commit_in_store(t, m, &s) : OK;
    *ret_is_full = e == ERR_LIMIT && !s.has_root;
    if (e || !is_new)
        mfs_need_sync(
            m); /* what was pending, of writers that are not at their end too, is not in the journal */
    if (!e)
        m->durable = s.version;
    return e;
}

err_t mfs_commit_once(task_t *t, mfs_t *m)
{
    bool is_full;
    err_t e = commit_as_it_is(t, m, &is_full);
    return is_full ? commit_as_it_is(t, m, &is_full) : e;
}

err_t mfs_check_kept(const mfs_t *m, uint64_t resets)
{
    return m->resets == resets ? OK : mfs_lost_blocks();
}

/* One task commits for all who wait; those who come while it does are in the next round. */
err_t mfs_commit(task_t *t, mfs_t *m, uint64_t resets)
{
    uint64_t wanted = m->version;
    while (m->durable < wanted) {
        if (m->is_committing) {
            TRY(event_wait(t, &m->committed));
            continue;
        }
        m->is_committing = true;
        err_t e = mfs_commit_once(t, m);
        m->is_committing = false;
        event_fire(&m->committed);
        TRY(e);
    }
    return mfs_check_kept(m, resets);
}

err_t mfs_durable_root(task_t *t, mfs_t *m, cid_t *ret_root, bool *ret_has)
{
    if (m->is_ahead && m->root) {
        m->changes.needs_root = true;
        m->version++;
        TRY(mfs_commit(t, m, m->resets));
    }
    *ret_has = m->has_durable;
    if (m->has_durable)
        *ret_root = m->durable_root;
    return OK;
}

err_t mfs_keep_ahead(task_t *t, mfs_t *m, gc_keep_fn keep, void *keep_arg)
{
    size_t n = m->n_ahead;
    cid_t *files = xcalloc(n + 1, sizeof *files);
    err_t e = OK;
    if (n)
        memcpy(files, m->ahead, n * sizeof *files); /* they change while the collector walks */
    for (size_t i = 0; i < n && !e; i++)
        e = keep(t, keep_arg, &files[i], true);
    free(files);
    return e;
}

err_t mfs_published(task_t *t, mfs_t *m, cid_t *ret_root, bool *ret_has)
{
    return read_root(t, m, PUBLISHED_KEY, ret_root, ret_has);
}

err_t mfs_note_published(task_t *t, mfs_t *m, const cid_t *root)
{
    uint8_t value[CID_BINARY_MAX];
    return kv_put(t, m->repo->state, m->space, PUBLISHED_KEY, bytes_of(value, cid_encode(root, value)));
}
