#include "naming/name_cache.h"
#include <stdlib.h>

void name_cache_init(name_cache_t *c, size_t max_names)
{
    *c = (name_cache_t){.max = max_names};
    map_init(&c->entries, max_names ? max_names : 1);
    list_init(&c->by_use);
}

static void entry_free(name_cache_t *c, cached_name_t *entry)
{
    list_remove(&entry->by_use);
    map_remove(&c->entries, bytes_str(entry->key));
    free(entry->key);
    free(entry->path);
    free(entry);
}

void name_cache_deinit(name_cache_t *c)
{
    if (!c->by_use.next)
        return;
    LIST_EACH (entry, &c->by_use, cached_name_t, by_use)
        entry_free(c, entry);
    map_deinit(&c->entries);
    *c = (name_cache_t){0};
}

static void touch(name_cache_t *c, cached_name_t *entry)
{
    list_remove(&entry->by_use);
    list_push_front(&c->by_use, &entry->by_use);
}

const cached_name_t *name_cache_get(name_cache_t *c, const char *key, uint64_t now_ms)
{
    cached_name_t *entry = map_get(&c->entries, bytes_str(key));
    if (!entry || now_ms >= entry->until_ms)
        return NULL; /* one that is too old stays: its time of finding is wanted when the path is the same
                        again */
    touch(c, entry);
    return entry;
}

static cached_name_t *entry_new(name_cache_t *c, const char *key)
{
    if (map_count(&c->entries) >= c->max)
        entry_free(c, LIST_ENTRY(c->by_use.prev, cached_name_t, by_use));
    cached_name_t *entry = xcalloc(1, sizeof *entry);
    entry->key = xstrdup(key);
    if (map_put(&c->entries, bytes_str(key), entry, NULL))
        assert(!"there is room");
    return entry;
}

static bool same_path(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

void name_cache_put(name_cache_t *c, const char *key, const char *path, uint64_t ttl_ms, uint64_t keep_ms,
                    uint64_t now_ms, uint64_t wall_ms)
{
    if (!c->max || !keep_ms)
        return;
    cached_name_t *entry = map_get(&c->entries, bytes_str(key));
    if (!entry)
        entry = entry_new(c, key);
    if (!same_path(entry->path, path)) {
        free(entry->path);
        entry->path = path ? xstrdup(path) : NULL;
        entry->found_wall_ms = wall_ms;
    }
    entry->asked_ms = now_ms;
    entry->ttl_ms = ttl_ms;
    entry->until_ms = keep_ms < UINT64_MAX - now_ms ? now_ms + keep_ms : UINT64_MAX;
    touch(c, entry);
}

void name_cache_drop(name_cache_t *c, const char *key)
{
    cached_name_t *entry = map_get(&c->entries, bytes_str(key));
    if (entry)
        entry_free(c, entry);
}
