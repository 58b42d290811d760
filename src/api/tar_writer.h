/* tar_writer: the headers of a tar archive (POSIX ustar, pax where names or sizes are too long for it). The
 * caller writes header, content, then tar_padding(size) zero bytes; at the end TAR_END_BYTES zero bytes. */
#ifndef API_TAR_WRITER_H
#define API_TAR_WRITER_H
#include "base/bytes.h"

#define TAR_BLOCK 512
#define TAR_END_BYTES 1024

typedef struct tar_item {
    bytes_t name;   /* without a slash at the end */
    bytes_t target; /* of a symlink */
    enum { TAR_ITEM_FILE, TAR_ITEM_DIR, TAR_ITEM_SYMLINK } kind;
    uint64_t size; /* of a file */
    uint32_t mode; /* 0: 0644, 0755 for directories, 0777 for symlinks */
    int64_t mtime_s;
    uint32_t mtime_ns; /* not 0: exact, in a pax header */
} tar_item_t;
/* Appends the header blocks. ERR_INVALID: a name with NUL. */
MUST_CHECK err_t tar_put_header(const tar_item_t *item, buf_t *out);
size_t tar_padding(uint64_t size);
#endif
