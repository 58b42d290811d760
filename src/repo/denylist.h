/* denylist: rules about content that this node neither fetches nor serves. Format: ipfs/specs
 * src/compact-denylist-format.md (IPIP-0383); reference ipfs-shipyard/nopfs.
 *
 *   /ipfs/CID            the block, whatever codec and base its CID has
 *   /ipfs/CID/a/b        that path; a "*" at the end stands for all that begins so
 *   /ipns/NAME[/path]    a key, or a domain
 *   //HASH               the hash (multihash in base58, or SHA-256 in hex) of one of the above
 *   !RULE                the exception of an earlier rule: the last rule that fits wins
 *
 * Known empty blocks and folders are never denied. */
#ifndef REPO_DENYLIST_H
#define REPO_DENYLIST_H
#include "multi/cid.h"
#include "task/task.h"

#define DENYLIST_FILE_MAX_BYTES (256u << 20)
typedef struct denylist denylist_t;

denylist_t *denylist_new(void);
void denylist_free(denylist_t *d); /* NULL is fine */
AUTO_PTR_DEFINE(denylist_t, denylist_free)
/* Adds the rules of one file; lines that are none are a warning in the log and left out. ERR_INVALID: the
 * header is of another version. */
MUST_CHECK err_t denylist_add(denylist_t *d, const char *name, bytes_t text);
/* Adds all files NAME.deny of a folder, in the order of their names. A folder that is not there has none; a
 * file that cannot be read is an error: what it denies would be served. */
MUST_CHECK err_t denylist_add_folder(task_t *t, denylist_t *d, const char *folder);
/* Mixes names, sizes, inodes and times of change of those files into *state: another number later means that
 * they have changed. */
MUST_CHECK err_t denylist_folder_state(task_t *t, const char *folder, uint64_t *state);
size_t denylist_count(const denylist_t *d); /* rules */

bool denylist_has_cid(const denylist_t *d, const cid_t *cid);
/* "/ipfs/CID/a/b" or "/ipns/NAME/a/b", percent-decoded. Other paths are not denied. */
bool denylist_has_path(const denylist_t *d, bytes_t path);
#endif
