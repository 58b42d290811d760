/* pebble_version: which tables a database of Pebble consists of, as its manifest tells it edit by edit
 * (cockroachdb/pebble internal/manifest, version_edit). */
#ifndef STORE_PEBBLE_VERSION_H
#define STORE_PEBBLE_VERSION_H
#include "base/bytes.h"
#include "base/map.h"

enum { PEBBLE_LEVELS = 7, PEBBLE_TABLES_MAX = 1 << 20 };

typedef struct pebble_file {
    uint32_t level;
    uint64_t number, size_bytes;
    buf_t smallest, largest; /* keys of the database */
} pebble_file_t;
typedef struct pebble_version {
    uint64_t log_number; /* older logs are in tables */
    bool has_edits;
    map_t places;      /* of files, until they are sorted */
    size_t keys_bytes; /* of all of them */
    pebble_file_t *files;
    size_t count, room;
} pebble_version_t;

void pebble_version_init(pebble_version_t *v);
void pebble_version_deinit(pebble_version_t *v); /* idempotent */
/* ERR_CORRUPT; ERR_UNSUPPORTED: tables within tables, another order of keys; ERR_LIMIT. */
MUST_CHECK err_t pebble_version_apply(pebble_version_t *v, bytes_t edit);
void pebble_version_sort(pebble_version_t *v); /* by level, then by the smallest key */
#endif
