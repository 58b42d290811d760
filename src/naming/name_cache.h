/* name_cache: what names pointed to when they were last asked, each for a time of its own; a maximum of
 * names, of which the one that was not wanted for the longest time goes first. */
#ifndef NAMING_NAME_CACHE_H
#define NAMING_NAME_CACHE_H
#include "base/list.h"
#include "base/map.h"

typedef struct cached_name {
    list_t by_use;
    char *key;
    char *path;        /* NULL: the name is known to have none */
    uint64_t asked_ms; /* monotonic */
    uint64_t ttl_ms;   /* what the source said */
    uint64_t until_ms; /* monotonic; not given out from then on */
    uint64_t found_wall_ms;
} cached_name_t;
typedef struct name_cache {
    map_t entries;
    list_t by_use; /* the latest first */
    size_t max;
} name_cache_t;
void name_cache_init(name_cache_t *c, size_t max_names); /* 0: it keeps nothing */
void name_cache_deinit(name_cache_t *c);                 /* idempotent */
/* NULL: absent or too old. Valid until the next call. */
const cached_name_t *name_cache_get(name_cache_t *c, const char *key, uint64_t now_ms);
/* Keeps a copy of the path (NULL: there is none) for keep_ms. The time at which the same path was first found
 * stays. */
void name_cache_put(name_cache_t *c, const char *key, const char *path, uint64_t ttl_ms, uint64_t keep_ms,
                    uint64_t now_ms, uint64_t wall_ms);
void name_cache_drop(name_cache_t *c, const char *key);
#endif
