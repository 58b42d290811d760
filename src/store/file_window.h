/* file_window: a file that is read from its beginning on, or here and there, through a buffer of a fixed
 * size. For formats whose records are small beside the file that they stand in. */
#ifndef STORE_FILE_WINDOW_H
#define STORE_FILE_WINDOW_H
#include "task/driver.h"

#define FILE_WINDOW_BYTES (256u << 10)

typedef struct file_window {
    file_t *file;
    uint64_t size; /* of the file, when it was opened */
    uint64_t start;
    buf_t bytes;
} file_window_t;
/* Errors of file_open. */
MUST_CHECK err_t file_window_open(task_t *t, const char *path, file_window_t *w);
void file_window_close(file_window_t *w); /* idempotent; zeros are fine */
/* `len` bytes at the offset, at most FILE_WINDOW_BYTES, valid until the next call. ahead: how many are read
 * when they are not there. ERR_EOF: the file ends before. */
MUST_CHECK err_t file_window_get(task_t *t, file_window_t *w, uint64_t offset, size_t len, size_t ahead,
                                 bytes_t *ret);
#endif
