/* denied: what the node's denylists (repo/denylist.h) keep out. Blocks that they name are neither read from
 * the store for anybody nor asked for. Lists lie in /etc/ipfs/denylists, $XDG_CONFIG_HOME/ipfs/denylists
 * (~/.config without it) and REPO/denylists, and are taken in this order. */
#ifndef NODE_DENIED_H
#define NODE_DENIED_H
#include "dag/blocks.h"
#include "repo/denylist.h"

typedef struct denied denied_t;
MUST_CHECK err_t denied_open(task_t *t, const char *repo_path, denied_t **ret);
void denied_free(denied_t *d); /* NULL is fine */
/* The body of a task, arg a denied_t: sees within seconds that files were changed, added or removed, and
 * takes all lists anew. While they cannot be read the former rules stay. */
err_t denied_watch(task_t *t, void *arg);
bool denied_has_cid(const denied_t *d, const cid_t *cid);
bool denied_has_path(const denied_t *d, bytes_t path); /* as denylist_has_path */

/* `inner` with denied blocks as ERR_BLOCKED. Both are borrowed. */
blocks_t *denied_blocks_new(const denied_t *d, blocks_t *inner);
void denied_blocks_free(blocks_t *b); /* NULL is fine */
#endif
