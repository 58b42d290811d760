/* map: a hash map from bytes to a pointer, keyed with SipHash-2-4 so that a peer who chooses keys
 * cannot choose collisions. Keys are copied. Iteration order is the order of insertion (removals
 * keep the others in order), so that a simulation replays. Has a maximum of entries. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/bytes.h"

typedef struct map_entry {
    void *value;
    uint64_t hash;
    uint32_t key_len; /* 0xffffffff: removed */
    uint8_t *key;
} map_entry_t;
typedef struct map {
    map_entry_t *entries; /* insertion order, with holes */
    uint32_t *slots;      /* open addressing into entries */
    size_t count, used, cap, slot_count, max;
} map_t;

void map_init(map_t *m, size_t max_entries);
void map_deinit(map_t *m);                  /* frees keys, not values; idempotent */
void *map_get(const map_t *m, bytes_t key); /* NULL when absent */
bool map_has(const map_t *m, bytes_t key);
/* Inserts or replaces; ret_old (may be NULL) gets the replaced value or NULL. ERR_LIMIT at max. */
MUST_CHECK err_t map_put(map_t *m, bytes_t key, void *value, void **ret_old);
void *map_remove(map_t *m, bytes_t key); /* the value, NULL when absent */
size_t map_count(const map_t *m);
/* for (size_t i = 0; map_next(&m, &i, &key, &value);) — entries may be removed while iterating,
 * not added. key and ret_value may be NULL. */
bool map_next(const map_t *m, size_t *iter, bytes_t *ret_key, void **ret_value);

/* The process's hash key: random by default, fixed by tests and the simulator. */
void map_set_hash_key(const uint8_t key[16]);
uint64_t siphash24(const uint8_t key[16], bytes_t data);
#endif
