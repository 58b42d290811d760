/* mounts: /ipfs, /ipns and /mfs as folders of the machine (`mount`); /mfs is also written to. Names under
 * /ipns are symbolic links: those of keys of this node to the key's ID, IDs and domains to the content below
 * the folder of /ipfs. The node's own ID is a folder that is written to (own_folder.h). */
#ifndef API_MOUNTS_H
#define API_MOUNTS_H
#include "api/api.h"

enum { MOUNT_IPFS, MOUNT_IPNS, MOUNT_MFS, MOUNTS };
typedef struct mounts mounts_t;
mounts_t *mounts_new(node_t *n, mount_open_fn open); /* borrows both */
/* All three, or none: those that were mounted before are taken away first. Errors of mount_open_fn. */
MUST_CHECK err_t mounts_open(task_t *t, mounts_t *m, const char *const folders[MOUNTS], bool for_all_users);
/* Is what the node's own name leads to written to through a mount, so that nobody else publishes it? */
bool mounts_publish(const mounts_t *m);   /* NULL is fine */
void mounts_free(task_t *t, mounts_t *m); /* unmounts; NULL is fine */
#endif
