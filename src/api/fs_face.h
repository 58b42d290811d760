/* fs_face: `distribute fs`: what the words of a command ask of the file service's client (meta/fs_client.h).
 *
 * The account is kept in a session file, mode 0600: $DISTRIBUTE_FS_SESSION, else
 * ~/.config/distribute/fs.json. $METADATA_ADDR and $METADATA_TOKEN take the place of what it says. */
#ifndef API_FS_FACE_H
#define API_FS_FACE_H
#include "base/bytes.h"
#include "task/task.h"
#include <jansson.h>

typedef struct fs_request {
    const char *verb; /* "put" */
    char *const *args;
    size_t n_args;
    const char *(*option)(const void *arg, const char *name); /* NULL: not given */
    err_t (*emit)(task_t *t, void *arg, json_t *result); /* borrows the object; one or more for a command */
    err_t (*read_stdin)(void *arg, buf_t *out);          /* to its end, up to the buffer's maximum */
    err_t (*write)(task_t *t, void *arg, bytes_t data);  /* content, of `get` without a place */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
} fs_request_t;
/* ERR_USAGE, ERR_UNAUTHORIZED: nobody is logged in; errors of fs_client.h. */
MUST_CHECK err_t fs_run(task_t *t, const fs_request_t *r);
#endif
