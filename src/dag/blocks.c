#include "dag/blocks.h"
#include "base/map.h"
#include <stdlib.h>

enum { MAP_MAX_BLOCKS = 16 << 20 };

err_t blocks_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    if (cid_is_identity(cid)) /* the content is the digest: no store and no network is asked */
        return block_copy(cid, cid_digest(cid), ret_block);
    TRY(cid_check_hash_allowed(cid)); /* a digest that proves nothing is not asked for, nor waited for */
    return b->ops->get(t, b, cid, ret_block);
}

void blocks_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    if (n && b->ops->prefetch)
        b->ops->prefetch(t, b, cids, n);
}

err_t blocks_put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return n ? b->ops->put_many(t, b, list, n) : OK;
}

err_t blocks_write_behind(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    if (!n)
        return OK;
    return b->ops->write_behind ? b->ops->write_behind(t, b, list, n) : b->ops->put_many(t, b, list, n);
}

bool blocks_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return cid_is_identity(cid) || b->ops->has(t, b, cid);
}

err_t blocks_write(task_t *t, blocks_writer_t *w, block_t *const *list, size_t n)
{
    if (!n)
        return OK;
    if (w->blocks->ops->write_many)
        return w->blocks->ops->write_many(t, w->blocks, list, n, &w->state);
    return w->blocks->ops->put_many(t, w->blocks, list, n);
}

err_t blocks_flush(task_t *t, blocks_writer_t *w)
{
    return w->state ? w->blocks->ops->settle(t, w->blocks, &w->state) : OK;
}

void blocks_writer_deinit(blocks_writer_t *w)
{
    if (w->state)
        (void)!w->blocks->ops->settle(NULL, w->blocks, &w->state);
}

struct blocks_map {
    blocks_t base;
    map_t by_multihash; /* block_t*, or the map itself where only presence is kept */
    bool keep_data;
};

static bytes_t key_of(const cid_t *cid, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode_multihash(cid, room));
}

static err_t map_blocks_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    blocks_map_t *m = CONTAINER_OF(b, blocks_map_t, base);
    uint8_t room[CID_BINARY_MAX];
    block_t *found = m->keep_data ? map_get(&m->by_multihash, key_of(cid, room)) : NULL;
    char text[CID_TEXT_MAX];
    if (!found)
        return fail(ERR_NOT_FOUND, "block was not found locally (offline): ipld: could not find %s",
                    cid_print(cid, text));
    if (cid_equal(&found->cid, cid)) {
        *ret_block = block_ref(found);
        return OK;
    }
    return block_copy(cid, block_bytes(found), ret_block); /* the same bytes under another codec */
}

static err_t map_blocks_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    blocks_map_t *m = CONTAINER_OF(b, blocks_map_t, base);
    for (size_t i = 0; i < n; i++) {
        uint8_t room[CID_BINARY_MAX];
        bytes_t key = key_of(&list[i]->cid, room);
        if (map_has(&m->by_multihash, key))
            continue;
        TRY(map_put(&m->by_multihash, key, m->keep_data ? (void *)list[i] : m, NULL));
        if (m->keep_data)
            block_ref(list[i]);
    }
    return OK;
}

static bool map_blocks_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    blocks_map_t *m = CONTAINER_OF(b, blocks_map_t, base);
    uint8_t room[CID_BINARY_MAX];
    return map_has(&m->by_multihash, key_of(cid, room));
}

static const blocks_ops_t map_ops = {
    .get = map_blocks_get, .put_many = map_blocks_put, .has = map_blocks_has};

blocks_map_t *blocks_map_new(bool keep_data)
{
    blocks_map_t *m = xcalloc(1, sizeof *m);
    m->base.ops = &map_ops;
    m->keep_data = keep_data;
    map_init(&m->by_multihash, MAP_MAX_BLOCKS);
    return m;
}

blocks_t *blocks_map_blocks(blocks_map_t *m)
{
    return &m->base;
}

void blocks_map_free(blocks_map_t *m)
{
    if (!m)
        return;
    void *value;
    for (size_t i = 0; map_next(&m->by_multihash, &i, NULL, &value);)
        if (m->keep_data)
            block_release(value);
    map_deinit(&m->by_multihash);
    free(m);
}

static err_t null_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    return fail(ERR_NOT_FOUND, "nothing is kept: only the CIDs were computed");
}
static err_t null_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return OK;
}
static bool null_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return false;
}

blocks_t *blocks_null(void)
{
    static const blocks_ops_t ops = {.get = null_get, .put_many = null_put, .has = null_has};
    static blocks_t null = {&ops};
    return &null;
}
