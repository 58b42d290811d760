/* denied: what the node's denylists (repo/denylist.h) keep out. Blocks that they name are neither read from
 * the store for anybody nor asked for. Without rules nothing stands between the node and its blocks. */
#ifndef NODE_DENIED_H
#define NODE_DENIED_H
#include "dag/blocks.h"
#include "repo/denylist.h"

/* The rules of /etc/ipfs/denylists, $XDG_CONFIG_HOME/ipfs/denylists (~/.config without it) and
 * REPO/denylists, in this order. NULL: there are none. */
MUST_CHECK err_t denied_load(task_t *t, const char *repo_path, denylist_t **ret);

/* `inner` with denied blocks as ERR_BLOCKED; inner itself when there are no rules. Both are borrowed. */
blocks_t *denied_blocks_new(const denylist_t *rules, blocks_t *inner);
void denied_blocks_free(blocks_t *b, const blocks_t *inner); /* NULL, and inner itself, are fine */
#endif
