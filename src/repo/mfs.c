#include "repo/mfs.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"
#include "dag/file_editor.h"
#include "multi/multicodec.h"
#include "repo/mfs_impl.h"
#include <stdlib.h>

/* A space of the state database for each tree, key "root", value the binary CID. */
#define KEY BYTES_LIT("root")
#define PUBLISHED_KEY BYTES_LIT("published") /* the root that was published last */
#define NUMBER_KEY BYTES_LIT("journal")      /* of the record that the root is from, 8 bytes */
enum { QUEUE_BYTES = 4 << 20, QUEUE_BATCHES = 2, MAX_UNFLUSHED = 256 };
enum { RETRY_MS = 1000 };
enum { PENDING_MAX_BLOCKS = 1024, PENDING_MAX_BYTES = 512 << 10 };

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

void mfs_need_sync(mfs_t *m)
{
    m->needs_sync = true;
    while (m->n_pending)
        block_release(m->pending[--m->n_pending]);
    m->pending_bytes = 0;
}

static void note_pending(mfs_t *m, block_t *const *list, size_t n)
{
    for (size_t i = 0; i < n && !m->needs_sync; i++) {
        if (m->n_pending == PENDING_MAX_BLOCKS || m->pending_bytes + list[i]->len > PENDING_MAX_BYTES) {
            mfs_need_sync(m);
            return;
        }
        m->pending[m->n_pending++] = block_ref(list[i]);
        m->pending_bytes += list[i]->len;
    }
}

static err_t put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    TRY(blocks_write_behind(t, blocks_of(b)->local, list, n));
    note_pending(blocks_of(b)->mfs, list, n); /* now that a sync of the store would find them */
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
    o->shard_threshold = config_size(c, "Import.UnixFSHAMTDirectorySizeThreshold", IMPORT_SHARD_THRESHOLD);
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
    m->pending = xcalloc(PENDING_MAX_BLOCKS, sizeof *m->pending);
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
    m->durable_root = *root;
    m->has_durable = true;
    return OK;
}

static err_t put_again(task_t *t, void *arg, block_t *const *blocks, size_t n)
{
    return blockstore_put_many(t, ((mfs_t *)arg)->repo->guard, blocks, n);
}

/* The durable root: of the state database, or of the journal, whose blocks are put into the store again. */
static err_t recover(task_t *t, mfs_t *m)
{
    uint64_t number;
    bool has_record;
    cid_t root;
    AUTO(gc_hold_t) hold = gc_hold(m->repo->gc);
    TRY(read_root(t, m, KEY, &m->durable_root, &m->has_durable));
    TRY(read_number(t, m, &number));
    TRY(mfs_journal_replay(t, &m->journal, number, put_again, m, &root, &has_record));
    if (has_record)
        TRY(store_root(t, m, &root));
    m->losses = blockstore_losses(m->repo->store);
    return OK;
}

err_t mfs_open(task_t *t, mfs_t *m)
{
    TRY(read_options(repo_config(m->repo), &m->options));
    m->max_unflushed = config_int(repo_config(m->repo), "Internal.MFSNoFlushLimit", MAX_UNFLUSHED);
    TRY(recover(t, m));
    err_t e = load_root(t, m, m->has_durable ? &m->durable_root : NULL, &m->root);
    if (e != ERR_NOT_FOUND && e != ERR_CORRUPT && e != ERR_INVALID)
        return e;
    if (e)
        log_error("the root of the files is damaged or not here", LOG_ERR(e));
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

/* ── a store that lost blocks ────────────────────────────────────────────────────────────────── */
/* The tree may refer to them: only what is durable counts, and what the journal has goes into the store
 * again. */
static err_t start_over(task_t *t, mfs_t *m)
{
    m->known_file = (cid_t){0};
    mfs_node_t *fresh;
    TRY(recover(t, m));
    TRY(load_root(t, m, m->has_durable ? &m->durable_root : NULL, &fresh));
    replace_tree(m, fresh);
    m->resets++;
    log_error("the disk lost blocks: changes of files since the last flush are gone");
    return OK;
}

static err_t lost_blocks(void)
{
    return fail(ERR_IO, "the disk lost blocks that had been written: try again");
}

static bool has_lost(const mfs_t *m)
{
    return blockstore_losses(m->repo->store) != m->losses;
}

static err_t reset_op(task_t *t, mfs_t *m, void *arg)
{
    return has_lost(m) ? start_over(t, m) : OK;
}

/* While the disk is still full it fails: what is here can be read all the same. */
static void try_to_start_over(task_t *t, mfs_t *m)
{
    if (!has_lost(m) || task_now_ms(t) < m->next_try_ms)
        return;
    if (start_over(t, m))
        m->next_try_ms = task_now_ms(t) + RETRY_MS;
}

/* ── the gate ────────────────────────────────────────────────────────────────────────────────── */
static err_t run_once(task_t *t, mfs_t *m, mfs_op_fn op, void *arg, bool *ret_missed, cid_t *ret_missing)
{
    TRY(gate_enter(t, &m->gate));
    if (op != reset_op)
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
        if (has_lost(m)) /* what is missing was made here: nobody else has it */
            return lost_blocks();
        TRY(blocks_get(t, from, &missing, &block));
        TRY(blocks_put_many(t, repo_blocks(m->repo), &block, 1));
    }
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
/* What a commit makes durable. */
typedef struct snapshot {
    dag_ref_t root;
    uint64_t version;
    block_t **blocks; /* for the journal */
    size_t n;
    bool syncs;
} snapshot_t;

static void snapshot_deinit(snapshot_t *s)
{
    while (s->n)
        block_release(s->blocks[--s->n]);
    free(s->blocks);
    s->blocks = NULL;
}
AUTO_DEFINE(snapshot_t, snapshot_deinit)

static err_t snapshot_op(task_t *t, mfs_t *m, void *arg)
{
    snapshot_t *s = arg;
    TRY(mfs_write_tree(t, m, m->root, &s->root));
    s->version = m->version;
    s->syncs = m->needs_sync || !m->has_durable || has_lost(m); /* a root of what is not here is none */
    s->blocks = m->pending;
    s->n = m->n_pending;
    m->pending = xcalloc(PENDING_MAX_BLOCKS, sizeof *m->pending);
    m->n_pending = m->pending_bytes = 0;
    m->needs_sync = false;
    return OK;
}

static err_t root_op(task_t *t, mfs_t *m, void *arg)
{
    return mfs_write_tree(t, m, m->root, arg);
}

/* Blocks first, then the root. */
static err_t commit_in_store(task_t *t, mfs_t *m, const snapshot_t *s)
{
    err_t e = blockstore_sync_since(t, m->repo->store, m->losses);
    if (e && has_lost(m)) {
        error_slot_t why = *error_slot();
        TRY(mfs_run(t, m, NULL, reset_op, NULL));
        *error_slot() = why;
    }
    return e ? e : store_root(t, m, &s->root.cid);
}

static err_t commit_in_journal(task_t *t, mfs_t *m, const snapshot_t *s)
{
    TRY(mfs_journal_append(t, &m->journal, &s->root.cid, s->blocks, s->n));
    m->durable_root = s->root.cid;
    return OK;
}

static err_t commit_once(task_t *t, mfs_t *m)
{
    AUTO(snapshot_t) s = {0};
    TRY(mfs_run(t, m, NULL, snapshot_op, &s));
    bool is_new = !m->has_durable || !cid_equal(&s.root.cid, &m->durable_root);
    err_t e = s.syncs || !is_new ? ERR_LIMIT : commit_in_journal(t, m, &s);
    if (e == ERR_LIMIT)
        e = is_new || s.syncs ? commit_in_store(t, m, &s) : OK;
    if (e || !is_new)
        mfs_need_sync(
            m); /* what was pending, of writers that are not at their end too, is not in the journal */
    if (!e)
        m->durable = s.version;
    return e;
}

void mfs_close(task_t *t, mfs_t *m)
{
    if (!m)
        return;
    if (m->root && (m->durable < m->version || m->journal.at)) {
        mfs_need_sync(m); /* the journal ends empty */
        if (commit_once(t, m))
            log_error("changes of files that were not flushed may be lost", LOG_ERR(error_slot()->code));
    }
    if (m->root)
        mfs_free_tree(m, m->root);
    put_queue_deinit(t, &m->queue);
    mfs_journal_deinit(&m->journal);
    mfs_need_sync(m);
    free(m->pending);
    free(m);
}

err_t mfs_check_kept(const mfs_t *m, uint64_t resets)
{
    return m->resets == resets ? OK : lost_blocks();
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
        err_t e = commit_once(t, m);
        m->is_committing = false;
        event_fire(&m->committed);
        TRY(e);
    }
    return mfs_check_kept(m, resets);
}

/* ── the whole tree ──────────────────────────────────────────────────────────────────────────── */
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
    if (has_lost(m) && mfs_run(t, m, NULL, reset_op, NULL))
        return fail(ERR_IO, "the disk lost blocks of the files: free some space, then collect again");
    TRY(mfs_root(t, m, &now));
    cid_t durable = m->durable_root;
    if (m->has_durable && !cid_equal(&durable, &now))
        TRY(keep(t, keep_arg, &durable, true));
    return keep(t, keep_arg, &now, true);
}

err_t mfs_set_root(task_t *t, mfs_t *m, const cid_t *root)
{
    cid_t copy = *root;
    TRY(mfs_run(t, m, NULL, set_root_op, &copy));
    return mfs_commit(t, m, m->resets);
}

bool mfs_durable_root(const mfs_t *m, cid_t *ret_root)
{
    if (m->has_durable)
        *ret_root = m->durable_root;
    return m->has_durable;
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
