/* import_options: how files and directories are turned into blocks. The defaults are those of the
 * reference, which CIDs depend on. */
#ifndef DAG_IMPORT_OPTIONS_H
#define DAG_IMPORT_OPTIONS_H
#include "dag/chunker.h"

#define IMPORT_MAX_LINKS_DEFAULT 174
#define IMPORT_MAX_LINKS_LIMIT 8192
#define IMPORT_INLINE_DEFAULT 32
#define IMPORT_INLINE_MAX 128
#define IMPORT_SHARD_THRESHOLD 262144

typedef enum {
    SHARD_BY_LINKS, /* sum of the lengths of names and CIDs over the threshold */
    SHARD_BY_BLOCK, /* the whole block over the threshold */
    SHARD_BY_COUNT, /* only max_directory_links counts */
} shard_rule_t;

typedef struct import_options {
    int cid_version;    /* 0, 1, or -1: 0, but 1 when the hash function is not sha2-256 */
    int raw_leaves;     /* 0, 1, or -1: as CIDv1 has them, unless modes or times are kept */
    bool has_metadata;  /* modes or modification times are kept: excludes raw leaves */
    uint64_t hash_code; /* MH_SHA2_256 */
    chunker_t chunker;
    size_t max_links; /* children of an inner node of a file */
    bool is_trickle;
    size_t inline_below; /* blocks shorter than this go into their own CID; 0: none */
    shard_rule_t shard_rule;
    uint64_t shard_threshold;   /* 0: no size turns a directory sharded */
    size_t max_directory_links; /* a directory with more is sharded; 0: no limit */
    size_t shard_fanout;
} import_options_t;

void import_options_init(import_options_t *o);
/* Turns the -1 into their values. ERR_USAGE with what contradicts, ERR_UNSUPPORTED, ERR_DENIED: the hash
 * function. */
MUST_CHECK err_t import_options_resolve(import_options_t *o);
#endif
