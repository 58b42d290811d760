/* kubo_state: the records of the databases that a repository of Kubo consists of (LevelDB, Pebble, Badger),
 * as one key space. */
#ifndef REPO_KUBO_STATE_H
#define REPO_KUBO_STATE_H
#include "repo/kubo_source.h"
#include "store/kv.h"

typedef struct kubo_state kubo_state_t;
/* LevelDB, which cannot be opened without writing: through a copy in `folder` (made; removed by the caller),
 * whose tables are links. */
MUST_CHECK err_t kubo_state_open(task_t *t, const kubo_source_t *s, const char *folder, kubo_state_t **ret);
void kubo_state_close(task_t *t, kubo_state_t *s); /* NULL is fine */
/* Lines about what could not be read at opening, one after the other; NULL: there are no more. *at: 0 at
 * first. */
const char *kubo_state_damage(const kubo_state_t *s, size_t *at);
/* Visits what starts with prefix, which ends with a slash; by part in order. ERR_CORRUPT, ERR_IO. */
MUST_CHECK err_t kubo_state_each(task_t *t, kubo_state_t *s, bytes_t prefix, kv_visit_fn visit, void *arg);
/* The value of a key into out (cleared first). ERR_NOT_FOUND; ERR_LIMIT when out->max is too small. */
MUST_CHECK err_t kubo_state_get(task_t *t, kubo_state_t *s, bytes_t key, buf_t *out);

/* The data of a block is not verified, and borrowed. why: its data is lost, or (cid: NULL) a part of the
 * database, and how; else NULL. What is lost may hide that a block was removed, but never a newer one. */
typedef err_t (*kubo_block_fn)(task_t *t, void *arg, const cid_t *cid, bytes_t data, const char *why);
/* All blocks that are records; what is no block among them is passed over. */
MUST_CHECK err_t kubo_state_each_block(task_t *t, kubo_state_t *s, kubo_block_fn visit, void *arg);
#endif
