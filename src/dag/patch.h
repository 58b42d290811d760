/* patch: a directory with one link more, or less, at the level of dag-pb nodes: what stands beside the link
 * stays as it is, UnixFS included. Reference: ipfs/boxo ipld/merkledag/dagutils. Nodes on the way are written
 * anew, each with its own version of CID and hash function, links sorted by name. */
#ifndef DAG_PATCH_H
#define DAG_PATCH_H
#include "dag/blocks.h"

typedef struct patch_options {
    bool makes_parents;   /* of add: directories that are missing on the way are made */
    bool allows_any_node; /* else the root must be a UnixFS directory without shards */
} patch_options_t;
/* path: "a/b/name"; a link that is there is replaced. ERR_INVALID, in the reference's words: the root is no
 * such directory, the last name is empty, or a name on the way is missing. What was written is durable. */
MUST_CHECK err_t patch_add_link(task_t *t, blocks_t *blocks, const cid_t *root, bytes_t path,
                                const cid_t *child, patch_options_t o, cid_t *ret_root);
MUST_CHECK err_t patch_remove_link(task_t *t, blocks_t *blocks, const cid_t *root, bytes_t path,
                                   patch_options_t o, cid_t *ret_root);
#endif
