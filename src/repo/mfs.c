#include "repo/mfs.h"
#include "base/log.h"
#include "dag/file_editor.h"
#include "multi/multicodec.h"
#include "repo/mfs_impl.h"
#include <stdlib.h>

enum { QUEUE_BYTES = 4 << 20, QUEUE_BATCHES = 2, MAX_UNFLUSHED = 256 };
enum { RETRY_MS = 1000 };

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */
static mfs_blocks_t *blocks_of(blocks_t *b)
{
    return CONTAINER_OF(b, mfs_blocks_t, base);
}

static err_t get_block(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    mfs_blocks_t *v = blocks_of(b);
    if (v->from)
        return blocks_get(t, v->from, cid, ret_block);
    err_t e = blocks_get(t, v->local, cid, ret_block);
    if (e == ERR_NOT_FOUND) {
        v->has_missing = true;
        v->missing = *cid;
    }
    return e;
}

static void prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    if (blocks_of(b)->from)
        blocks_prefetch(t, blocks_of(b)->from, cids, n);
}

static err_t put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    TRY(blocks_write_behind(t, blocks_of(b)->local, list, n));
    mfs_note_blocks(blocks_of(b)->mfs, list, n); /* now that a sync of the store would find them */
    return OK;
}

static bool has_block(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blocks_has(t, blocks_of(b)->local, cid);
}

void mfs_blocks_init(mfs_blocks_t *b, mfs_t *m, blocks_t *from)
{
    static const blocks_ops_t ops = {
        .get = get_block, .prefetch = prefetch, .put_many = put_many, .has = has_block};
    *b = (mfs_blocks_t){.base = {&ops}, .mfs = m, .from = from, .local = repo_blocks(m->repo)};
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
static err_t read_options(const config_t *c, import_options_t *o)
{
    import_options_init(o);
    const char *hash = config_str(c, "Import.HashFunction", "sha2-256");
    const char *rule = config_str(c, "Import.UnixFSHAMTDirectorySizeEstimation", "links");
    if (strcmp(hash, "sha2-256") && multicodec_from_name(hash, &o->hash_code))
        return fail(ERR_INVALID, "Import.HashFunction in the config is unrecognized: \"%.60s\"", hash);
    o->cid_version = (int)config_int(c, "Import.CidVersion", -1);
    o->shard_rule = !strcmp(rule, "block")      ? SHARD_BY_BLOCK
                    : !strcmp(rule, "disabled") ? SHARD_BY_COUNT
                                                : SHARD_BY_LINKS;
    o->shard_threshold = config_shard_threshold(c);
    int64_t links = config_int(c, "Import.UnixFSDirectoryMaxLinks", 0);
    int64_t fanout = config_int(c, "Import.UnixFSHAMTDirectoryMaxFanout", 0);
    o->max_directory_links = links > 0 ? (size_t)links : 0;
    o->shard_fanout = fanout > 0 ? (size_t)fanout : o->shard_fanout;
    TRY(chunker_parse(config_str(c, "Import.UnixFSChunker", ""), &o->chunker));
    return import_options_resolve(o);
}

void mfs_queue_init(mfs_t *m)
{
    put_queue_init(&m->queue, m->sched, &m->local.base, QUEUE_BYTES, QUEUE_BATCHES);
}

mfs_t *mfs_new(repo_t *r, sched_t *s, const char *space, const char *journal)
{
    mfs_t *m = xcalloc(1, sizeof *m);
    m->repo = r;
    m->sched = s;
    m->space = space;
    gate_init(&m->gate, 1);
    list_init(&m->loaded);
    list_init(&m->editing);
    event_init(&m->committed);
    mfs_blocks_init(&m->local, m, NULL);
    m->local.local =
        r->quick_blocks; /* written under the gate, which the collector's look at the root needs */
    mfs_queue_init(m);
    char path[REPO_PATH_MAX + 64];
    mfs_journal_init(&m->journal, repo_file(r->path, journal, path));
    mfs_changes_init(&m->changes);
    return m;
}

static node_format_t root_format(const mfs_t *m)
{
    return (node_format_t){(uint8_t)m->options.cid_version, m->options.hash_code};
}

/* The root takes the format of the config, whatever it had. */
static err_t load_root(task_t *t, mfs_t *m, const cid_t *cid, mfs_node_t **ret)
{
    AUTO(dag_node_t) n = {0};
    dir_editor_t *editor;
    if (cid) {
        TRY(dag_node_get(t, &m->local.base, cid, &n));
        TRY(dir_editor_open(t, &m->local.base, &m->options, &n, &editor));
        dir_editor_set_format(editor, root_format(m));
    } else {
        editor = dir_editor_new(&m->local.base, &m->options, root_format(m));
    }
    *ret = mfs_node_new(m, NULL, BYTES_NONE, editor);
    return OK;
}

static void replace_tree(mfs_t *m, mfs_node_t *fresh)
{
    mfs_node_t *old = m->root;
    m->root = fresh;
    if (old)
        old->is_orphan = true;
    if (old && !old->users)
        mfs_free_tree(m, old);
    m->version++;
}

/* The tree of the durable root, with the files that were put into it since. */
static err_t load_tree(task_t *t, mfs_t *m)
{
    AUTO(buf_t) files = {0};
    mfs_node_t *fresh;
    TRY(mfs_recover(t, m, &files));
    TRY(load_root(t, m, m->has_durable ? &m->durable_root : NULL, &fresh));
    if (m->root) {
        m->resets++;
        replace_tree(m, fresh);
    }
    m->root = fresh;
    err_t e = mfs_put_back(t, m, buf_bytes(&files));
    if (e)
        replace_tree(m, NULL);
    return e;
}

err_t mfs_open(task_t *t, mfs_t *m)
{
    TRY(read_options(repo_config(m->repo), &m->options));
    m->max_unflushed = config_int(repo_config(m->repo), "Internal.MFSNoFlushLimit", MAX_UNFLUSHED);
    m->losses = blockstore_losses(m->repo->store);
    err_t e = load_tree(t, m);
    if (e && e != ERR_NOT_FOUND && e != ERR_CORRUPT && e != ERR_INVALID)
        return e;
    if (e)
        log_error("the root of the files is damaged or not here", LOG_ERR(e));
    return OK;
}

static err_t set_root_op(task_t *t, mfs_t *m, void *arg)
{
    mfs_node_t *fresh;
    TRY(load_root(t, m, arg, &fresh));
    replace_tree(m, fresh);
    mfs_need_sync(m);
    return OK;
}

static err_t not_open(void)
{
    return fail(ERR_CORRUPT, "the root of the files is damaged or not here: `files chroot` sets another one");
}

void mfs_close(task_t *t, mfs_t *m)
{
    if (!m)
        return;
    if (m->root && (m->durable < m->version || m->journal.at)) {
        mfs_need_sync(m); /* the journal ends empty */
        if (mfs_commit_once(t, m))
            log_error("changes of files that were not flushed may be lost", LOG_ERR(error_slot()->code));
    }
    if (m->root)
        mfs_free_tree(m, m->root);
    put_queue_deinit(t, &m->queue);
    mfs_journal_deinit(&m->journal);
    mfs_changes_deinit(&m->changes);
    free(m->ahead);
    free(m);
}

/* ── a store that lost blocks ────────────────────────────────────────────────────────────────── */
/* The tree may refer to them: only what is durable counts, and what the journal has goes into the store
 * again. */
static err_t start_over(task_t *t, mfs_t *m)
{
    uint64_t losses = blockstore_losses(m->repo->store);
    m->known_file = (cid_t){0};
    TRY(load_tree(t, m));
    m->losses = losses;
    mfs_need_sync(m);
    log_error("the disk lost blocks: changes of files since the last flush are gone");
    return OK;
}

err_t mfs_lost_blocks(void)
{
    return fail(ERR_IO, "the disk lost blocks that had been written: try again");
}

bool mfs_has_lost(const mfs_t *m)
{
    return blockstore_losses(m->repo->store) != m->losses;
}

err_t mfs_reset_op(task_t *t, mfs_t *m, void *arg)
{
    return mfs_has_lost(m) ? start_over(t, m) : OK;
}

/* While the disk is still full it fails: what is here can be read all the same. */
static void try_to_start_over(task_t *t, mfs_t *m)
{
    if (!mfs_has_lost(m) || task_now_ms(t) < m->next_try_ms)
        return;
    if (start_over(t, m))
        m->next_try_ms = task_now_ms(t) + RETRY_MS;
}

/* ── the gate ────────────────────────────────────────────────────────────────────────────────── */
static err_t run_once(task_t *t, mfs_t *m, mfs_op_fn op, void *arg, bool *ret_missed, cid_t *ret_missing)
{
    TRY(gate_enter(t, &m->gate));
    if (op != mfs_reset_op)
        try_to_start_over(t, m);
    m->local.has_missing = false;
    err_t e = m->root || op == set_root_op ? op(t, m, arg) : not_open();
    *ret_missed = e == ERR_NOT_FOUND && m->local.has_missing;
    *ret_missing = m->local.missing;
    if (!e)
        mfs_trim(t, m);
    if (m->queue.first_error.code)
        mfs_write_again(t, m);
    gate_leave(&m->gate);
    return e;
}

err_t mfs_run(task_t *t, mfs_t *m, blocks_t *from, mfs_op_fn op, void *arg)
{
    for (;;) {
        bool has_missed = false;
        cid_t missing;
        AUTO_PTR(block_t) block = NULL;
        err_t e = run_once(t, m, op, arg, &has_missed, &missing);
        if (!has_missed || !from)
            return e;
        if (mfs_has_lost(m)) /* what is missing was made here: nobody else has it */
            return mfs_lost_blocks();
        TRY(blocks_get(t, from, &missing, &block));
        TRY(blocks_put_many(t, repo_blocks(m->repo), &block, 1));
    }
}

/* ── the whole tree ──────────────────────────────────────────────────────────────────────────── */
static err_t root_op(task_t *t, mfs_t *m, void *arg)
{
    return mfs_write_tree(t, m, m->root, arg);
}

err_t mfs_root(task_t *t, mfs_t *m, cid_t *ret_root)
{
    dag_ref_t ref;
    TRY(mfs_run(t, m, NULL, root_op, &ref));
    *ret_root = ref.cid;
    return OK;
}

/* What is durable, and what it will be. */
err_t mfs_roots(task_t *t, void *mfs, gc_keep_fn keep, void *keep_arg)
{
    mfs_t *m = mfs;
    cid_t now;
    if (!m->has_durable && !m->version) /* never used */
        return OK;
    /* What is missing now would not be found on the walk, and all below it be taken for garbage. */
    if (mfs_has_lost(m) && mfs_run(t, m, NULL, mfs_reset_op, NULL))
        return fail(ERR_IO, "the disk lost blocks of the files: free some space, then collect again");
    TRY(mfs_root(t, m, &now));
    cid_t durable = m->durable_root;
    if (m->has_durable && !cid_equal(&durable, &now))
        TRY(keep(t, keep_arg, &durable, true));
    TRY(mfs_keep_ahead(t, m, keep, keep_arg));
    return keep(t, keep_arg, &now, true);
}

err_t mfs_set_root(task_t *t, mfs_t *m, const cid_t *root)
{
    cid_t copy = *root;
    TRY(mfs_run(t, m, NULL, set_root_op, &copy));
    return mfs_commit(t, m, m->resets);
}

err_t mfs_count_unflushed(mfs_t *m, bool flush)
{
    if (!flush && m->max_unflushed > 0 && m->unflushed >= m->max_unflushed)
        return fail(
            ERR_LIMIT,
            "reached limit of %lld unflushed MFS operations. To resolve: 1) run 'ipfs files flush' to "
            "persist changes, 2) use --flush=true (default), or 3) increase "
            "Internal.MFSNoFlushLimit in config",
            (long long)m->max_unflushed);
    m->unflushed = flush ? 0 : m->unflushed + 1;
    return OK;
}

node_format_t mfs_node_format(mfs_format_t f, node_format_t otherwise)
{
    return f.is_set ? (node_format_t){f.version, f.hash_code} : otherwise;
}

/* ── lookups ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct lookup {
    const char *path;
    mfs_entry_t entry;
} lookup_t;

static err_t lookup_op(task_t *t, mfs_t *m, void *arg)
{
    lookup_t *l = arg;
    mfs_path_t *p = xmalloc(sizeof *p);
    mfs_node_t *parent;
    mfs_found_t found;
    err_t e = mfs_path_parse(l->path, p);
    if (!e)
        e = mfs_find(t, m, p, &parent, &found);
    free(p);
    TRY(e);
    l->entry = (mfs_entry_t){.ref = found.ref, .is_dir = found.is_dir};
    return found.is_dir ? mfs_write_tree(t, m, found.node, &l->entry.ref) : OK;
}

err_t mfs_lookup(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_entry_t *ret)
{
    lookup_t l = {.path = path};
    TRY(mfs_run(t, m, from, lookup_op, &l));
    *ret = l.entry;
    return OK;
}
