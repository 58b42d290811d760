/* badger_format: the bytes of a database of Badger (dgraph-io/badger 1.6, format 4): changes of its manifest,
 * entries of its tables and of its value logs. Numbers are big endian. What is claimed is checked before it
 * is used. */
#ifndef STORE_BADGER_FORMAT_H
#define STORE_BADGER_FORMAT_H
#include "base/bytes.h"

#define BADGER_KEY_MAX_BYTES (64u << 10) /* with its version */
enum { BADGER_VERSION_BYTES = 8, BADGER_CHECKSUM_BYTES = 32, BADGER_LEVELS = 7 };
enum { BADGER_TABLES_MAX = 1 << 20, BADGER_CHANGES_MAX = 1 << 21 };
/* Of an entry. The last two stand in logs alone. */
enum { BADGER_DELETED = 1, BADGER_POINTS = 2, BADGER_IN_BATCH = 64, BADGER_ENDS_BATCH = 128 };

/* Where a value is: a whole entry of a value log. */
typedef struct badger_pointer {
    uint32_t file, len, offset;
} badger_pointer_t;
typedef struct badger_row {
    bytes_t key;
    uint64_t version; /* the larger, the newer */
    uint8_t meta;
    uint64_t expires_s;       /* since 1970; 0: never */
    bytes_t value;            /* without BADGER_POINTS */
    badger_pointer_t pointer; /* with it */
} badger_row_t;
/* By key, of one key the newest first. */
int badger_row_compare(const badger_row_t *a, const badger_row_t *b);
/* Behind the key stands its version. ERR_CORRUPT: too short. */
MUST_CHECK err_t badger_key_split(bytes_t whole, badger_row_t *ret);
MUST_CHECK err_t badger_pointer_decode(bytes_t in, badger_pointer_t *ret); /* ERR_CORRUPT */

/* An entry of a table: this, what of the key is not the beginning of the block's first one, the value. */
enum { BADGER_ENTRY_HEAD_BYTES = 10 };
typedef struct badger_entry_head {
    size_t shared, own, value_len;
} badger_entry_head_t;
badger_entry_head_t badger_entry_head(const uint8_t in[BADGER_ENTRY_HEAD_BYTES]);
/* What a table says of a value, into all but key and version. ERR_CORRUPT. */
MUST_CHECK err_t badger_value_decode(bytes_t in, badger_row_t *ret);

/* An entry of a value log: this, key, value, CRC-32C of all that. */
enum { BADGER_LOG_HEAD_BYTES = 18, BADGER_LOG_TAIL_BYTES = 4 };
typedef struct badger_log_head {
    uint32_t key_len, value_len;
    uint64_t expires_s;
    uint8_t meta;
} badger_log_head_t;
badger_log_head_t badger_log_head(const uint8_t in[BADGER_LOG_HEAD_BYTES]);

/* The tables that there are. */
typedef struct badger_file {
    uint64_t number;
    uint32_t order; /* of the change */
    uint8_t level;
    bool is_removed, has_checksum, is_checked;
    uint8_t checksum[BADGER_CHECKSUM_BYTES]; /* SHA-256 of the file */
    buf_t smallest;                          /* key; of those who read tables */
} badger_file_t;
typedef struct badger_manifest {
    badger_file_t *files; /* changes, until badger_manifest_end */
    size_t count, room;
} badger_manifest_t;
void badger_manifest_init(badger_manifest_t *m);
void badger_manifest_deinit(badger_manifest_t *m); /* idempotent */
/* A set of changes. ERR_CORRUPT; ERR_LIMIT: more than BADGER_CHANGES_MAX in all. */
MUST_CHECK err_t badger_manifest_apply(badger_manifest_t *m, bytes_t set);
/* What the changes come to. ERR_CORRUPT: what is there was added, what is not there was removed; ERR_LIMIT.
 */
MUST_CHECK err_t badger_manifest_end(badger_manifest_t *m);
/* By level; the newest of the first level first, those of others by their smallest keys. */
void badger_manifest_sort(badger_manifest_t *m);
#endif
