/* flat_store: a file per block in the layout of Kubo's flatfs datastore (ipfs/go-ds-flatfs), for portability:
 *
 *   SHARDING              "/repo/flatfs/shard/v1/next-to-last/2"
 *   _README               what this is, for people
 *   XY/KEY.data           KEY: upper-case base32 of the multihash; XY: its next-to-last two characters
 *   .temp/                files that are being written
 *
 * A block is written to a temporary file, synced, renamed, and its folder synced. A file that is shorter than
 * its block or does not hash to its name counts as absent, and the next put writes it anew. */
#ifndef STORE_FLAT_STORE_H
#define STORE_FLAT_STORE_H
#include "store/blockstore.h"

/* Opens or makes the store. ERR_UNSUPPORTED: a sharding function that is not one of prefix/N, suffix/N and
 * next-to-last/N. ERR_DENIED, ERR_IO. */
MUST_CHECK err_t flat_store_open(task_t *t, const char *folder, blockstore_t **ret_store);
/* The same for reading alone: nothing is made, cleaned up or changed, neither at opening nor later (puts and
 * removals are ERR_DENIED). Links are followed, and files may be named by whole CIDs, as Kubo did once.
 * ERR_NOT_FOUND: no such folder, or none of that layout. */
MUST_CHECK err_t flat_store_open_read_only(task_t *t, const char *folder, blockstore_t **ret_store);
#endif
