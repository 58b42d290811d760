/* fuse_names: the names that the kernel knows by numbers. Each stands below another one, so that what is
 * below a folder follows it when it is renamed. A name that was removed keeps its number until the kernel
 * forgets it, and has no path any more. */
#ifndef LOOP_FUSE_NAMES_H
#define LOOP_FUSE_NAMES_H
#include "base/map.h"

#define FUSE_NAMES_ROOT 1u
#define FUSE_NAME_BYTES_MAX 255
#define FUSE_PATH_BYTES_MAX (16u << 10)
#define FUSE_DEPTH_MAX 256

typedef struct fuse_names {
    map_t by_id, by_name; /* of fuse_name_t; the folder itself is not in them */
    uint64_t next_id;
} fuse_names_t;

void fuse_names_init(fuse_names_t *n, size_t max);
void fuse_names_deinit(fuse_names_t *n);
/* The path of a name, or of `name` (not NULL) below it, into out. ERR_NOT_FOUND: no such number, or it was
 * removed; ERR_LIMIT: too long. */
MUST_CHECK err_t fuse_names_path(const fuse_names_t *n, uint64_t id, const char *name,
                                 char out[FUSE_PATH_BYTES_MAX]);
/* The number of a name below another one, new or not; counts that the kernel has it. ERR_NOT_FOUND: the other
 * one; ERR_LIMIT. */
MUST_CHECK err_t fuse_names_remember(fuse_names_t *n, uint64_t parent, const char *name, uint64_t *ret_id);
void fuse_names_forget(fuse_names_t *n, uint64_t id, uint64_t count);
void fuse_names_remove(fuse_names_t *n, uint64_t parent, const char *name);
/* What stands at the new name is removed. */
void fuse_names_move(fuse_names_t *n, uint64_t parent, const char *name, uint64_t to, const char *to_name);
#endif
