/* unixfs: the message in the Data field of a dag-pb node that makes it a file, directory or symlink.
 * Spec: ipfs/specs src/unixfs.md; the field order and the numbers are those that Kubo writes.
 *
 * Decoding copies nothing and allocates nothing: block sizes are iterated. */
#ifndef DAG_UNIXFS_H
#define DAG_UNIXFS_H
#include "base/reader.h"
#include "base/writer.h"
#include "multi/cid.h"

typedef enum {
    UNIXFS_RAW = 0, /* a leaf of trickle files; reads as a file */
    UNIXFS_DIRECTORY = 1,
    UNIXFS_FILE = 2,
    UNIXFS_METADATA = 3, /* never written by anybody; refused */
    UNIXFS_SYMLINK = 4,
    UNIXFS_HAMT_SHARD = 5,
} unixfs_type_t;

#define UNIXFS_HASH_MURMUR3 0x22
#define UNIXFS_MIN_FANOUT 8
#define UNIXFS_MAX_FANOUT 1024

typedef struct unixfs_time {
    int64_t seconds;
    uint32_t nanoseconds; /* below 1e9; written only when not 0 */
} unixfs_time_t;

typedef struct unixfs {
    unixfs_type_t type;
    bytes_t data; /* borrowed; of a HAMT shard: its bit field; of a symlink: its target */
    uint64_t file_size;
    uint64_t fanout;
    uint64_t hash_type;
    size_t block_size_count;
    bytes_t message; /* all of it, borrowed: for unixfs_sizes */
    uint32_t mode;
    unixfs_time_t mtime;
    bool has_data, has_file_size, has_mode, has_mtime;
} unixfs_t;

/* ERR_INVALID: not UnixFS, a type that nobody knows, a HAMT shard whose fanout or bit field is out of
 * range, a directory or symlink with block sizes. */
MUST_CHECK err_t unixfs_decode(bytes_t message, unixfs_t *ret);

/* The block sizes of a decoded message, in order (packed or not). */
typedef struct unixfs_sizes {
    reader_t reader, packed;
} unixfs_sizes_t;
unixfs_sizes_t unixfs_sizes(const unixfs_t *u);
bool unixfs_next_size(unixfs_sizes_t *s, uint64_t *ret_size); /* false at the end */

/* Writes all fields that are set, but not block sizes: those are given here, n of them (0: none). */
void unixfs_put(writer_t *w, const unixfs_t *u, const uint64_t *sizes, size_t n);

/* A leaf around `len` bytes of content: what stands before and after the content in the whole dag-pb
 * block. The content itself can then be read straight into its place. */
#define UNIXFS_LEAF_PREFIX_MAX 24
#define UNIXFS_LEAF_SUFFIX_MAX 64
typedef struct unixfs_leaf {
    uint8_t prefix[UNIXFS_LEAF_PREFIX_MAX], suffix[UNIXFS_LEAF_SUFFIX_MAX];
    size_t prefix_len, suffix_len;
} unixfs_leaf_t;
/* `meta` gives type, mode and mtime (data and sizes are ignored). */
void unixfs_leaf_around(const unixfs_t *meta, size_t len, unixfs_leaf_t *ret);
/* The block of the directory without entries, and whether a CID is one of it (any version, sha2-256). */
bytes_t unixfs_empty_dir(void);
bool unixfs_is_empty_dir(const cid_t *cid);
#endif
