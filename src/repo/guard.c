/* The store as the rest of the program sees it: what passes is made known to the collector, and waits while
 * the collector is removing just that block. The empty directory is always here. */
#include "base/log.h"
#include "dag/unixfs.h"
#include "repo/gc_impl.h"
#include "repo/room.h"
#include <stdlib.h>

typedef struct guard {
    blockstore_t base;
    blockstore_ops_t ops;
    blockstore_t *store;
    gc_t *gc;
    room_t *room;
    bool waits;
} guard_t;

static guard_t *self(blockstore_t *bs)
{
    return CONTAINER_OF(bs, guard_t, base);
}

static err_t pass(task_t *t, guard_t *g, const cid_t *cid)
{
    gc_touch(g->gc, cid);
    return gc_wait_removal(t, g->gc, cid);
}

static err_t pass_all(task_t *t, guard_t *g, block_t *const *blocks, size_t n)
{
    TRY(room_take(t, g->room, blocks, n, g->waits));
    for (size_t i = 0; i < n; i++)
        gc_touch(g->gc, &blocks[i]->cid); /* all of them before the first wait */
    for (size_t i = 0; i < n; i++)
        TRY(gc_wait_removal(t, g->gc, &blocks[i]->cid));
    return OK;
}

static err_t put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    TRY(pass_all(t, self(bs), blocks, n));
    return self(bs)->store->ops->put_many(t, self(bs)->store, blocks, n);
}

static err_t write_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    TRY(pass_all(t, self(bs), blocks, n));
    return self(bs)->store->ops->write_many(t, self(bs)->store, blocks, n, state);
}

static err_t write_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    TRY(pass_all(t, self(bs), blocks, n));
    return self(bs)->store->ops->write_behind(t, self(bs)->store, blocks, n);
}

static err_t settle(task_t *t, blockstore_t *bs, void **state)
{
    return self(bs)->store->ops->settle(t, self(bs)->store, state);
}

static err_t sync_store(task_t *t, blockstore_t *bs)
{
    return self(bs)->store->ops->sync(t, self(bs)->store);
}

static uint64_t losses(const blockstore_t *bs)
{
    return blockstore_losses(CONTAINER_OF(bs, const guard_t, base)->store);
}

/* ── the empty directory ─────────────────────────────────────────────────────────────────────── */
/* Tools begin trees with it (`files cp /ipfs/QmUNLL… /new`, `object patch`): each repository of the reference
 * has it, pinned. Here it is made when it is asked for, as if it had been fetched. */
static err_t make_empty_dir(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    TRY(block_copy(cid, unixfs_empty_dir(), ret_block));
    if (self(bs)->ops.write_behind ? write_behind(t, bs, ret_block, 1) : put_many(t, bs, ret_block, 1))
        log_debug("the empty directory was not stored"); /* a full disk, say: it can be read all the same */
    return OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    TRY(pass(t, self(bs), cid));
    err_t e = self(bs)->store->ops->get(t, self(bs)->store, cid, ret_block);
    return e == ERR_NOT_FOUND && unixfs_is_empty_dir(cid) ? make_empty_dir(t, bs, cid, ret_block) : e;
}

static err_t get_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n, block_t **blocks)
{
    for (size_t i = 0; i < n; i++)
        TRY(pass(t, self(bs), &cids[i]));
    return self(bs)->store->ops->get_many(t, self(bs)->store, cids, n, blocks);
}

static err_t size(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size)
{
    TRY(pass(t, self(bs), cid));
    return self(bs)->store->ops->size(t, self(bs)->store, cid, ret_size);
}

static bool is_elsewhere(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    return self(bs)->store->ops->is_elsewhere(t, self(bs)->store, cid);
}

static err_t remove_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n)
{
    return self(bs)->store->ops->remove(t, self(bs)->store, cids, n);
}

static err_t discard(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    return blockstore_discard(t, self(bs)->store, cid);
}

static err_t each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg)
{
    return self(bs)->store->ops->each(t, self(bs)->store, visit, arg);
}

static err_t stat_store(task_t *t, blockstore_t *bs, blockstore_stat_t *ret)
{
    return self(bs)->store->ops->stat(t, self(bs)->store, ret);
}

static err_t compact(task_t *t, blockstore_t *bs)
{
    return self(bs)->store->ops->compact(t, self(bs)->store);
}

static void close_guard(task_t *t, blockstore_t *bs)
{
    free(self(bs));
}

blockstore_t *guard_new(blockstore_t *store, gc_t *gc, room_t *room, bool waits)
{
    guard_t *g = xcalloc(1, sizeof *g);
    g->ops = (blockstore_ops_t){
        .put_many = put_many,
        .get = get,
        .get_many = store->ops->get_many ? get_many : NULL,
        .size = size,
        .remove = remove_many,
        .each = each,
        .stat = stat_store,
        .compact = compact,
        .close = close_guard,
        .write_many = store->ops->write_many ? write_many : NULL,
        .settle = store->ops->settle ? settle : NULL,
        .write_behind = store->ops->write_behind ? write_behind : NULL,
        .sync = store->ops->sync ? sync_store : NULL,
        .losses = store->ops->losses ? losses : NULL,
        .discard = discard,
        .is_elsewhere = store->ops->is_elsewhere ? is_elsewhere : NULL,
        .wrong_is_absent = store->ops->wrong_is_absent,
    };
    g->base.ops = &g->ops;
    g->store = store;
    g->gc = gc;
    g->room = room;
    g->waits = waits;
    return &g->base;
}

/* ── dag/blocks.h over a store ───────────────────────────────────────────────────────────────── */
typedef struct store_blocks {
    blocks_t base;
    blockstore_t *store;
} store_blocks_t;

static blockstore_t *store_of(blocks_t *b)
{
    return CONTAINER_OF(b, store_blocks_t, base)->store;
}

static err_t blocks_get_one(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    return blockstore_get(t, store_of(b), cid, ret_block);
}

static void blocks_ask(task_t *t, blocks_t *b, const cid_t *cids, size_t n) {}

static err_t blocks_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blockstore_put_many(t, store_of(b), list, n);
}

static err_t blocks_write_many(task_t *t, blocks_t *b, block_t *const *list, size_t n, void **state)
{
    return blockstore_write_shared(t, store_of(b), list, n, state);
}

static err_t blocks_behind(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blockstore_write_behind(t, store_of(b), list, n);
}

static err_t blocks_settle(task_t *t, blocks_t *b, void **state)
{
    return store_of(b)->ops->settle(t, store_of(b), state);
}

static bool blocks_has_one(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blockstore_has(t, store_of(b), cid);
}

static const blocks_ops_t store_blocks_ops = {.get = blocks_get_one,
                                              .prefetch = blocks_ask,
                                              .put_many = blocks_put,
                                              .has = blocks_has_one,
                                              .write_many = blocks_write_many,
                                              .settle = blocks_settle,
                                              .write_behind = blocks_behind};

blocks_t *store_blocks_new(blockstore_t *store)
{
    store_blocks_t *b = xcalloc(1, sizeof *b);
    b->base.ops = &store_blocks_ops;
    b->store = store;
    return &b->base;
}

void store_blocks_free(blocks_t *b)
{
    if (b)
        free(CONTAINER_OF(b, store_blocks_t, base));
}
