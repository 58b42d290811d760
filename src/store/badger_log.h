/* badger_log: the value logs of a database of Badger (dgraph-io/badger 1.6, value.go): every write, and for
 * good the values that are too long for tables. What was written after the last table is found by replaying
 * them.
 *
 * As Badger does, a log counts up to the first entry that is not whole; batches count when their end is
 * there. */
#ifndef STORE_BADGER_LOG_H
#define STORE_BADGER_LOG_H
#include "store/badger_format.h"
#include "task/driver.h"

enum { BADGER_VALUE_MAX_BYTES = 64 << 20, BADGER_LOGS_MAX = 1 << 20, BADGER_ENTRIES_MAX = 4 << 20 };
#define BADGER_ENTRIES_MAX_BYTES (256u << 20)

/* What a replay found, in memory: keys, and where their values are. */
typedef struct badger_entry {
    uint64_t version, expires_s;
    badger_pointer_t pointer;
    uint32_t key, key_len;
    uint8_t meta;
} badger_entry_t;
typedef struct badger_entries {
    buf_t keys;
    badger_entry_t *all;
    size_t count, room;
} badger_entries_t;
void badger_entries_init(badger_entries_t *e);
void badger_entries_deinit(badger_entries_t *e); /* idempotent */
/* Of the entry; borrowed. */
badger_row_t badger_entries_row(const badger_entries_t *e, size_t i);

typedef struct badger_logs badger_logs_t;
/* files: what is in the folder. ERR_LIMIT: too many logs. */
MUST_CHECK err_t badger_logs_open(const char *folder, const dir_list_t *files, badger_logs_t **ret);
void badger_logs_close(badger_logs_t *l); /* NULL is fine */
/* The value that the row's pointer names, in `room`; borrowed. ERR_NOT_FOUND: no such log; ERR_CORRUPT: it is
 * damaged there, or has something else. */
MUST_CHECK err_t badger_logs_read(task_t *t, badger_logs_t *l, const badger_row_t *row, buf_t *room,
                                  bytes_t *ret_value);
/* Adds the entries behind the head (the last that is in tables; zeros: all), then sorts them. damage (cleared
 * by the caller): one line about what could not be replayed, but for a last write that was cut off.
 * ERR_LIMIT. */
MUST_CHECK err_t badger_logs_replay(task_t *t, badger_logs_t *l, const badger_pointer_t *head,
                                    badger_entries_t *ret, buf_t *damage);
#endif
