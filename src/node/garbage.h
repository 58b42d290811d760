/* garbage: collects when the repository is nearly full, while the node runs. */
#ifndef NODE_GARBAGE_H
#define NODE_GARBAGE_H
#include "repo/repo.h"

/* A task until it is cancelled; arg: the repo_t. From its start on the repository's limit is kept
 * (repo_keep_limit). Each Datastore.GCPeriod (1 h; 0: never) it looks, and collects when the repository takes
 * more than Datastore.StorageGCWatermark (90) percent of Datastore.StorageMax. */
MUST_CHECK err_t garbage_watch(task_t *t, void *repo);
/* Is the repository over the mark? */
MUST_CHECK err_t garbage_is_due(task_t *t, repo_t *r, bool *ret);
#endif
