/* key_runs: the keys that a node announces, in the order of the key space, whatever their number. Keys come
 * in any order; those that are too many for memory go as sorted runs into an unlinked temporary file and are
 * merged as they are read. Equal keys come once.
 *
 *   init -> key_runs_add, as often as wanted -> key_runs_finish -> key_runs_peek, key_runs_pop until none is
 * left
 *
 * Memory: about 70 bytes for each of KEY_RUN_KEYS keys, or 4 KiB for each run of so many. */
#ifndef ROUTING_KEY_RUNS_H
#define ROUTING_KEY_RUNS_H
#include "logic/kad_key.h"
#include "task/driver.h"
#include "wire/kad.h"

enum { KEY_RUN_KEYS = 32768, KEY_RUNS_MAX = 8192 };

typedef struct run_key {
    kad_key_t at; /* where it lies in the key space */
    uint8_t len;
    uint8_t data[KAD_PROVIDER_KEY_MAX_BYTES]; /* the multihash */
} run_key_t;

typedef struct key_runs key_runs_t;
/* folder: for the file, borrowed. Returns owned. */
key_runs_t *key_runs_new(const char *folder);
void key_runs_free(key_runs_t *r); /* NULL is fine */
/* A multihash of at most KAD_PROVIDER_KEY_MAX_BYTES. Suspends. ERR_LIMIT: more than KEY_RUN_KEYS times
 * KEY_RUNS_MAX; those of the file, which name its folder. */
MUST_CHECK err_t key_runs_add(task_t *t, key_runs_t *r, bytes_t multihash);
MUST_CHECK err_t key_runs_finish(task_t *t, key_runs_t *r);
/* The next key, valid until the next call; NULL: none is left. */
const run_key_t *key_runs_peek(const key_runs_t *r);
MUST_CHECK err_t key_runs_pop(task_t *t, key_runs_t *r);
void key_runs_put_back(key_runs_t *r,
                       const run_key_t *key); /* the one that was popped last: it is next again */
uint64_t key_runs_count(const key_runs_t *r); /* of those that were added, equal ones included */
#endif
