/* messages: pubsub as the config wants it, and on disk the numbers that its authors' last messages had. */
#ifndef NODE_MESSAGES_H
#define NODE_MESSAGES_H
#include "net/host.h"
#include "pubsub/pubsub.h"
#include "repo/repo.h"
#include "routing/routing.h"

/* Peers of topics are looked for through `routing` (NULL: among connected peers alone), which stays longer.
 * Pubsub.Enabled, Router, DisableSigning, SeenMessagesTTL, SeenMessagesStrategy. ERR_USAGE: a router or a
 * strategy that nobody knows. */
MUST_CHECK err_t messages_start(task_t *t, repo_t *repo, host_t *host, routing_t *routing, pubsub_t **ret);
/* Forgets what this author (NULL: every author) said last, in memory and on disk. ps may be NULL. */
MUST_CHECK err_t messages_reset(task_t *t, repo_t *repo, pubsub_t *ps, const peer_id_t *author,
                                uint64_t *ret_count);
#endif
