/* pebble_log: records in a file of blocks of 32 KiB, as LevelDB and Pebble write their logs and manifests
 * (cockroachdb/pebble record). A record is one chunk or several; the header of a chunk may tell the number of
 * its log, since files are used again. */
#ifndef STORE_PEBBLE_LOG_H
#define STORE_PEBBLE_LOG_H
#include "task/driver.h"

#define PEBBLE_RECORD_MAX_BYTES (256u << 20)
#define PEBBLE_LOG_WHOLE UINT64_MAX

/* The record is valid during the call. */
typedef err_t (*pebble_record_fn)(task_t *t, void *arg, bytes_t record);
typedef struct pebble_log {
    const char *path;
    uint64_t number;
    bool is_reused; /* the file may have been another log before */
} pebble_log_t;
typedef struct pebble_log_end {
    /* The place of a chunk that is damaged, with which reading ended: it can be read, or further blocks of
     * this log stand behind it. PEBBLE_LOG_WHOLE: none. */
    uint64_t damage;
    bool is_cut; /* the file ends within a record: the last write of a crash, or the end is lost */
} pebble_log_end_t;
/* All records until the end, or until what is no chunk of this log: a write that was cut off, or what stood
 * in the file before. Errors of the visitor; ERR_LIMIT; those of file_open. */
MUST_CHECK err_t pebble_log_each(task_t *t, const pebble_log_t *log, pebble_record_fn visit, void *arg,
                                 pebble_log_end_t *ret_end);
#endif
