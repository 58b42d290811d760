/* fs_ipfs: files of the file service on IPFS, through a storage node that is a node of IPFS, too. The client
 * makes the blocks and checks those that come, so that CIDs are known to be right whatever the node says. */
#ifndef META_FS_IPFS_H
#define META_FS_IPFS_H
#include "meta/fs_client.h"
#include "multi/cid.h"

/* Publishes what stands at the path as the content of the file with this id: CIDv1, as `add --cid-version=1`
 * makes it. The file carries the CID from then on. ERR_UNSUPPORTED: no storage node is on IPFS. */
MUST_CHECK err_t fs_publish(task_t *t, fs_client_t *c, const char *file_id, const char *path,
                            const fs_progress_t *progress, cid_t *ret_cid);
/* Writes the file at "CID", "/ipfs/CID" or a path below it to `path`. ERR_NOT_FOUND, ERR_CORRUPT,
 * ERR_INVALID: it is no file; ERR_UNSUPPORTED as above. ret_cid: of the file. */
MUST_CHECK err_t fs_fetch_ipfs(task_t *t, fs_client_t *c, const char *what, const char *path,
                               const fs_progress_t *progress, cid_t *ret_cid);
#endif
