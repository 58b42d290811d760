/* A block store in a map: for tests, and for runs that keep nothing. */
#include "base/map.h"
#include "store/blockstore.h"
#include <stdlib.h>

#define MAX_BLOCKS (16u << 20)

typedef struct memory_store {
    blockstore_t base;
    map_t blocks; /* multihash -> block_t, one reference */
    uint64_t used_bytes, max_bytes;
} memory_store_t;

typedef struct key {
    uint8_t data[CID_BINARY_MAX];
    size_t len;
} memory_key_t;

static memory_store_t *self(blockstore_t *bs)
{
    return CONTAINER_OF(bs, memory_store_t, base);
}

static bytes_t key_of(const cid_t *cid, memory_key_t *key)
{
    key->len = cid_encode_multihash(cid, key->data);
    return bytes_of(key->data, key->len);
}

static err_t put_one(memory_store_t *m, block_t *block)
{
    memory_key_t k;
    bytes_t key = key_of(&block->cid, &k);
    if (map_has(&m->blocks, key))
        return OK;
    if (block->len > m->max_bytes - m->used_bytes)
        return fail(ERR_NO_SPACE, "the block store is full: %llu of %llu bytes used",
                    (unsigned long long)m->used_bytes, (unsigned long long)m->max_bytes);
    TRY(map_put(&m->blocks, key, block, NULL));
    block_ref(block);
    m->used_bytes += block->len;
    return OK;
}

static err_t put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        TRY(put_one(self(bs), blocks[i]));
    return OK;
}

static err_t find(blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    memory_key_t k;
    block_t *block = map_get(&self(bs)->blocks, key_of(cid, &k));
    if (!block) {
        char text[CID_TEXT_MAX];
        return fail(ERR_NOT_FOUND, "block was not found locally (offline): ipld: could not find %s",
                    cid_print(cid, text));
    }
    *ret_block = block;
    return OK;
}

static err_t get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    block_t *block;
    TRY(find(bs, cid, &block));
    if (cid_equal(cid, &block->cid)) {
        *ret_block = block_ref(block);
        return OK;
    }
    return block_copy(cid, block_bytes(block), ret_block);
}

static err_t size(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size)
{
    block_t *block;
    TRY(find(bs, cid, &block));
    *ret_size = block->len;
    return OK;
}

static err_t remove_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n)
{
    memory_store_t *m = self(bs);
    for (size_t i = 0; i < n; i++) {
        memory_key_t k;
        block_t *block = map_remove(&m->blocks, key_of(&cids[i], &k));
        if (block)
            m->used_bytes -= block->len;
        block_release(block);
    }
    return OK;
}

/* Over a copy of the list, since the visitor may add and remove. */
static err_t each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg)
{
    memory_store_t *m = self(bs);
    size_t n = 0;
    block_t **list = xcalloc(map_count(&m->blocks) + 1, sizeof *list);
    void *value;
    for (size_t i = 0; map_next(&m->blocks, &i, NULL, &value);)
        list[n++] = block_ref(value);
    err_t e = OK;
    for (size_t i = 0; i < n; i++) {
        cid_t cid = list[i]->cid;
        cid.version = 1;
        cid.codec = CODEC_RAW;
        if (!e)
            e = visit(t, arg, &cid, list[i]->len);
        block_release(list[i]);
    }
    free(list);
    return e;
}

static err_t stat_store(task_t *t, blockstore_t *bs, blockstore_stat_t *ret)
{
    *ret = (blockstore_stat_t){map_count(&self(bs)->blocks), self(bs)->used_bytes, 0};
    return OK;
}

static err_t compact(task_t *t, blockstore_t *bs)
{
    return OK;
}

static void close_store(task_t *t, blockstore_t *bs)
{
    memory_store_t *m = self(bs);
    void *value;
    for (size_t i = 0; map_next(&m->blocks, &i, NULL, &value);)
        block_release(value);
    map_deinit(&m->blocks);
    free(m);
}

static const blockstore_ops_t memory_ops = {
    .put_many = put_many,
    .get = get,
    .size = size,
    .remove = remove_many,
    .each = each,
    .stat = stat_store,
    .compact = compact,
    .close = close_store,
};

err_t memory_store_new(uint64_t max_bytes, blockstore_t **ret)
{
    memory_store_t *m = xcalloc(1, sizeof *m);
    m->base.ops = &memory_ops;
    m->max_bytes = max_bytes;
    map_init(&m->blocks, MAX_BLOCKS);
    *ret = &m->base;
    return OK;
}
