/* fuse_device: a folder to a descriptor of /dev/fuse, and back. They block; any thread. */
#ifndef LOOP_FUSE_DEVICE_H
#define LOOP_FUSE_DEVICE_H
#include "base/bytes.h"

typedef struct fuse_device_options {
    bool for_all_users; /* then the kernel checks permissions by owner and mode */
    bool is_writable;
} fuse_device_options_t;
/* ret_fd: non-blocking, closed by the caller. A mount whose process has died is taken away first.
 * ERR_UNSUPPORTED: no /dev/fuse; ERR_DENIED: it may not be used, or fusermount3 is missing or refuses;
 * ERR_NOT_FOUND, ERR_INVALID: the folder. */
MUST_CHECK err_t fuse_device_open(const char *folder, fuse_device_options_t o, int *ret_fd);
void fuse_device_unmount(const char *folder); /* also while it is in use: it is not seen any more */
#endif
