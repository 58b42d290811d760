/* provided: which CIDs this node announces, as Provide.Strategy says. Reference: ipfs/kubo docs/config.md,
 * Provide.Strategy.
 *
 *   all (flat)  every block                      pinned  direct pins, and all below recursive ones
 *   roots       the pins themselves              mfs     what is here of the mutable tree
 *
 * joined by "+"; pinned and mfs also with "unique" (which is always so here) or with "entities": then of
 * files only their roots are announced, not their chunks. */
#ifndef NODE_PROVIDED_H
#define NODE_PROVIDED_H
#include "repo/repo.h"

typedef enum {
    PROVIDED_ALL = 1,
    PROVIDED_PINNED = 2,
    PROVIDED_ROOTS = 4,
    PROVIDED_MFS = 8,
    PROVIDED_UNIQUE = 16,
    PROVIDED_ENTITIES = 32
} provided_flags_t;
/* ERR_INVALID: a word that is not known, or words that do not go together. */
MUST_CHECK err_t provided_parse(const char *strategy, unsigned *ret_flags);
/* Tells of each CID; some may come more than once. What cannot be read is passed over. Suspends. */
MUST_CHECK err_t provided_each(task_t *t, repo_t *repo, unsigned flags,
                               err_t (*emit)(task_t *t, void *arg, const cid_t *cid), void *arg);
#endif
