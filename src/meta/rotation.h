/* rotation: which master key is in force, among several services (rotation.c). */
#ifndef META_ROTATION_H
#define META_ROTATION_H
#include "meta/meta_impl.h"

/* Before anything is wrapped or opened. ERR_NOT_FOUND: the source lacks the key that is in force. */
MUST_CHECK err_t rotation_open(task_t *t, meta_t *m);
void rotation_close(task_t *t, meta_t *m); /* others wait for this service no longer */
/* From time to time: follows what other services were told. */
MUST_CHECK err_t rotation_keep_up(task_t *t, meta_t *m);

/* By the key that is in force as of this transaction; its name into ret_name. ERR_CLOSED: it is not here yet.
 */
MUST_CHECK err_t rotation_wrap(sql_t *c, const meta_t *m, const char *what, bytes_t plain, uint8_t *out,
                               char ret_name[MASTER_NAME_CHARS + 1]);
/* Does the first key stand in the database as the one in force? */
MUST_CHECK err_t rotation_is_current(sql_t *c, const master_keys_t *k, bool *ret);

/* The job that puts the next key in force. */
err_t look_for_next_master(sql_t *c, void *job);
err_t switch_master(sql_t *c, void *job);
#endif
