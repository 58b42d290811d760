/* Blocks that may be read before they stand in a segment: who writes them need not wait for a worker. They
 * are held in memory, bounded, and appended by the next who has the pen: a task of their own, or whoever
 * wants to know all that was written (a sync, a removal, a listing). */
#include "base/log.h"
#include "store/pack_impl.h"
#include <stdlib.h>

static bytes_t key_of(const cid_t *cid, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode_multihash(cid, room));
}

err_t pack_behind_get(const pack_store_t *s, const cid_t *cid, block_t **ret_block)
{
    uint8_t room[CID_BINARY_MAX];
    block_t *found = map_count(&s->behind) ? map_get(&s->behind, key_of(cid, room)) : NULL;
    if (!found)
        return ERR_NOT_FOUND;
    if (!cid_equal(&found->cid, cid)) /* the same bytes under another codec */
        return block_copy(cid, block_bytes(found), ret_block);
    *ret_block = block_ref(found);
    return OK;
}

/* Takes the n oldest out, which are in `blocks`, too. */
static void forget(pack_store_t *s, block_t *const *blocks, size_t n)
{
    uint8_t room[CID_BINARY_MAX];
    for (size_t i = 0; i < n; i++) {
        map_remove(&s->behind, key_of(&blocks[i]->cid, room));
        s->behind_bytes -= blocks[i]->len;
        block_release(blocks[i]);
    }
}

static size_t list_oldest(pack_store_t *s, block_t *ret_list[PACK_BEHIND_MAX_BLOCKS])
{
    size_t n = 0;
    void *value;
    for (size_t i = 0; n < PACK_BEHIND_MAX_BLOCKS && map_next(&s->behind, &i, NULL, &value);)
        ret_list[n++] = value;
    return n;
}

err_t pack_behind_flush(task_t *t, pack_store_t *s)
{
    err_t e = OK;
    if (!map_count(&s->behind))
        return OK;
    block_t **list = xcalloc(PACK_BEHIND_MAX_BLOCKS, sizeof *list);
    task_shield(t);
    while (!e && map_count(&s->behind)) {
        size_t n = list_oldest(s, list);
        e = pack_write_with_pen(t, s, list, n);
        if (e) { /* they could be read */
            s->losses++;
            recent_clear(&s->recent);
        }
        forget(s, list, n);
    }
    task_unshield(t);
    free(list);
    return e;
}

/* Small blocks come one by one, and a hand-over to a worker costs more than they do: some are taken together.
 */
static void wait_for_batch(task_t *t, pack_store_t *s)
{
    deadline_t d = deadline_push(t, PACK_BEHIND_WAIT_MS);
    while (map_count(&s->behind) && s->behind_bytes < PACK_BEHIND_BATCH_BYTES)
        if (event_wait(t, &s->behind_grew))
            break; /* time is over, or the store closes */
    deadline_pop(t, &d);
}

static err_t run_flush(task_t *t, void *arg)
{
    pack_store_t *s = arg;
    wait_for_batch(t, s);
    task_shield(t);
    err_t e = gate_enter(t, &s->pen);
    if (!e) {
        s->is_behind_running = false; /* what comes while it waits for the disk is taken by its loop */
        e = pack_behind_flush(t, s);
        gate_leave(&s->pen);
    }
    task_unshield(t);
    if (e)
        log_error("blocks could not be written", LOG_STR("path", s->folder), LOG_ERR(e));
    return OK;
}

static err_t add(pack_store_t *s, block_t *block)
{
    uint8_t room[CID_BINARY_MAX];
    bytes_t key = key_of(&block->cid, room);
    if (map_has(&s->behind, key))
        return OK;
    TRY(map_put(&s->behind, key, block, NULL));
    s->behind_bytes += block->len;
    block_ref(block);
    return OK;
}

static bool has_room(const pack_store_t *s, block_t *const *blocks, size_t n)
{
    size_t bytes = s->behind_bytes;
    for (size_t i = 0; i < n && bytes <= PACK_BEHIND_MAX_BYTES; i++)
        bytes += blocks[i]->len;
    return bytes <= PACK_BEHIND_MAX_BYTES && map_count(&s->behind) + n <= PACK_BEHIND_MAX_BLOCKS;
}

static err_t write_now(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n)
{
    void *state = NULL;
    err_t e = pack_write_many(t, &s->base, blocks, n, &state);
    (void)!pack_settle(NULL, &s->base, &state);
    return e;
}

err_t pack_write_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    pack_store_t *s = pack_self(bs);
    if (!has_room(s, blocks, n))
        return write_now(t, s, blocks, n);
    for (size_t i = 0; i < n; i++)
        TRY(add(s, blocks[i]));
    if (s->behind_bytes >= PACK_BEHIND_BATCH_BYTES)
        event_fire(&s->behind_grew);
    if (s->is_behind_running)
        return OK;
    TRY(group_spawn(&s->group, "pack-behind", run_flush, s, NULL));
    s->is_behind_running = true;
    return OK;
}

void pack_behind_abandon(pack_store_t *s)
{
    void *value;
    for (size_t i = 0; map_next(&s->behind, &i, NULL, &value);)
        block_release(value);
    map_deinit(&s->behind);
}
