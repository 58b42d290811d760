#include "store/recent.h"
#include <stdlib.h>

enum { BLOCK_COST = sizeof(block_t) + 32 };

void recent_deinit(recent_t *r)
{
    for (size_t i = 0; r->slots && i < RECENT_SLOTS; i++)
        block_release(r->slots[i]);
    free(r->slots);
    *r = (recent_t){0};
}

/* Digests are spread evenly by themselves; one who makes them collide loses only the cache's help. */
static size_t slot_of(const cid_t *cid)
{
    uint64_t v = 0;
    memcpy(&v, cid->digest, cid->digest_len < sizeof v ? cid->digest_len : sizeof v);
    return (v * 0x9e3779b97f4a7c15u >> 32) % RECENT_SLOTS;
}

static void empty_slot(recent_t *r, size_t slot)
{
    block_t *old = r->slots[slot];
    if (!old)
        return;
    r->bytes -= old->len + BLOCK_COST;
    r->slots[slot] = NULL;
    block_release(old);
}

block_t *recent_get(const recent_t *r, const cid_t *cid)
{
    block_t *found = r->slots ? r->slots[slot_of(cid)] : NULL;
    return found && cid_equal(&found->cid, cid) ? block_ref(found) : NULL;
}

void recent_put(recent_t *r, block_t *block, uint64_t removals)
{
    if (block->len > RECENT_BLOCK_MAX_BYTES || removals != r->removals)
        return;
    if (!r->slots)
        r->slots = xcalloc(RECENT_SLOTS, sizeof(block_t *));
    size_t slot = slot_of(&block->cid);
    empty_slot(r, slot);
    while (r->bytes + block->len + BLOCK_COST > RECENT_MAX_BYTES)
        empty_slot(r, r->hand++ % RECENT_SLOTS);
    r->slots[slot] = block_ref(block);
    r->bytes += block->len + BLOCK_COST;
}

void recent_clear(recent_t *r)
{
    r->removals++;
    for (size_t i = 0; r->slots && i < RECENT_SLOTS; i++)
        empty_slot(r, i);
}

void recent_drop(recent_t *r, const cid_t *cids, size_t n)
{
    r->removals++;
    for (size_t i = 0; i < n && r->slots; i++) {
        size_t slot = slot_of(&cids[i]);
        if (r->slots[slot] && cid_same_multihash(&r->slots[slot]->cid, &cids[i]))
            empty_slot(r, slot);
    }
}
