/* pebble_log: records in a file of blocks of 32 KiB, as LevelDB and Pebble write their logs and manifests
 * (cockroachdb/pebble record). A record is one chunk or several; the header of a chunk may tell the number of
 * its log, since files are used again. */
#ifndef STORE_PEBBLE_LOG_H
#define STORE_PEBBLE_LOG_H
#include "task/driver.h"

#define PEBBLE_RECORD_MAX_BYTES (256u << 20)

/* The record is valid during the call. */
typedef err_t (*pebble_record_fn)(task_t *t, void *arg, bytes_t record);
/* All records until the end, or until what is no chunk of this log: a write that was cut off, or what stood
 * in the file before. number: of the log. Errors of the visitor; ERR_LIMIT; those of file_open. */
MUST_CHECK err_t pebble_log_each(task_t *t, const char *path, uint64_t number, pebble_record_fn visit,
                                 void *arg);
#endif
