/* extract: writes the entries of an archive below one place on disk, and nowhere else. Every folder on the
 * way is opened from the one above it without following links, so that neither names in the archive nor links
 * that somebody makes meanwhile lead out of it. A file gets its name when it is whole. Reference: ipfs/boxo
 * tar/extractor.go.
 *
 * The first entry is the root. A root that is a file or a link goes into the target when that is a folder,
 * else in its place. Modes and times are set as the entries say; a folder's after all that is in it. Blocks
 * while the disk works. */
#ifndef CLI_EXTRACT_H
#define CLI_EXTRACT_H
#include "cli/tar_reader.h"

#define EXTRACT_MAX_DEPTH 512
#define EXTRACT_PATH_MAX 8192

typedef struct extract_level {
    int fd;
    size_t path_len; /* of its place below the root */
    bool has_meta;
    uint32_t mode;
    int64_t mtime_s;
    uint32_t mtime_ns;
} extract_level_t;
typedef struct extract {
    const char *out;             /* where the root goes; borrowed */
    char root[4096];             /* first part of the archive's names; "" before the first entry */
    char path[EXTRACT_PATH_MAX]; /* of the innermost open folder, below the root */
    extract_level_t *levels;
    size_t depth;
    int fd;             /* the file that is being written; -1 */
    int folder;         /* which it is made in; -1, or a level's, or parent_fd */
    int parent_fd;      /* of a root that is no folder; -1 */
    char name[4096];    /* the file's, there */
    char temporary[64]; /* its name until it is whole, if it has one */
    bool is_nameless;
    tar_entry_t meta; /* mode and time of the file */
} extract_t;

void extract_init(extract_t *x, const char *out);
/* Removes what of a file is not whole. Idempotent. */
void extract_deinit(extract_t *x);
/* ERR_INVALID: a name outside of the root; ERR_DENIED: a link on the way; errors of the disk. */
MUST_CHECK err_t extract_begin(extract_t *x, const tar_entry_t *entry);
MUST_CHECK err_t extract_data(extract_t *x, bytes_t data); /* of the file that was begun */
MUST_CHECK err_t extract_end(extract_t *x);                /* of the entry */
MUST_CHECK err_t extract_finish(extract_t *x);             /* of all: modes and times of the open folders */
#endif
