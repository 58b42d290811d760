#include "meta/chunk_cache.h"
#include "base/metrics.h"
#include <stdlib.h>

enum { ENTRIES_MAX = 4096 };

typedef struct entry {
    list_t node;
    chunk_id_t id;
    block_t *block;
} entry_t;

static bytes_t key_of(const chunk_id_t *id)
{
    return bytes_of(id->sha256, sizeof id->sha256);
}

/* Told from the start, so that rates begin at 0. */
static metric_t *counter(bool is_hit)
{
    return is_hit ? metric_counter("fs_cache_hits_total", NULL, "Chunks that a read cache had")
                  : metric_counter("fs_cache_misses_total", NULL, "Chunks that a read cache did not have");
}

void chunk_cache_count(bool is_hit)
{
    metric_add(counter(is_hit), 1);
}

void chunk_cache_init(chunk_cache_t *c, size_t max_bytes)
{
    *c = (chunk_cache_t){.max_bytes = max_bytes};
    metric_add(counter(true), 0);
    metric_add(counter(false), 0);
    map_init(&c->by_id, ENTRIES_MAX);
    list_init(&c->by_use);
}

static void drop(chunk_cache_t *c, entry_t *e)
{
    map_remove(&c->by_id, key_of(&e->id));
    list_remove(&e->node);
    c->bytes -= e->block->len;
    block_release(e->block);
    free(e);
}

void chunk_cache_deinit(chunk_cache_t *c)
{
    LIST_EACH (e, &c->by_use, entry_t, node)
        drop(c, e);
    map_deinit(&c->by_id);
}

block_t *chunk_cache_get(chunk_cache_t *c, const chunk_id_t *id)
{
    entry_t *e = map_get(&c->by_id, key_of(id));
    chunk_cache_count(e != NULL);
    if (!e)
        return NULL;
    list_remove(&e->node);
    list_push_front(&c->by_use, &e->node);
    return block_ref(e->block);
}

void chunk_cache_put(chunk_cache_t *c, const chunk_id_t *id, block_t *block)
{
    if (block->len > c->max_bytes / 4 || map_has(&c->by_id, key_of(id)))
        return;
    while (!list_is_empty(&c->by_use) &&
           (c->bytes + block->len > c->max_bytes || map_count(&c->by_id) >= ENTRIES_MAX))
        drop(c, LIST_ENTRY(c->by_use.prev, entry_t, node));
    entry_t *e = xcalloc(1, sizeof *e);
    e->id = *id;
    if (map_put(&c->by_id, key_of(id), e, NULL)) {
        free(e);
        return;
    }
    e->block = block_ref(block);
    c->bytes += block->len;
    list_push_front(&c->by_use, &e->node);
}

void chunk_cache_drop(chunk_cache_t *c, const chunk_id_t *id)
{
    entry_t *e = map_get(&c->by_id, key_of(id));
    if (e)
        drop(c, e);
}
