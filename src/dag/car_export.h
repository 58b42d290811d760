/* car_export: the blocks that a CAR answer holds, in depth-first order: those on the path, as they prove it,
 * then what the scope says of its end; a path that ends inside of a block means that block. Spec: ipfs/specs
 * trustless-gateway, dag-scope and entity-bytes (IPIP-402), dups (IPIP-412). Nothing recurses, each block is
 * handed on before the next is read; memory: the set of what was given, and the links that are still to be
 * followed. */
#ifndef DAG_CAR_EXPORT_H
#define DAG_CAR_EXPORT_H
#include "dag/path.h"

typedef enum {
    CAR_SCOPE_ALL,    /* everything below the end of the path */
    CAR_SCOPE_ENTITY, /* a file's blocks, a directory's blocks without its entries; else the block alone */
    CAR_SCOPE_BLOCK,
} car_scope_t;

/* entity-bytes=from:to, both inclusive, negative from the end. */
typedef struct car_range {
    int64_t from, to;
    bool is_open; /* to the end: "*" */
} car_range_t;
/* ERR_INVALID: not "from:to". */
MUST_CHECK err_t car_range_parse(bytes_t text, car_range_t *ret);

typedef struct car_export_options {
    car_scope_t scope;
    bool has_range; /* of a file, with CAR_SCOPE_ENTITY; what lies outside of it is left out */
    car_range_t range;
    bool with_dups;       /* a block as often as it is met */
    bool with_identities; /* also what its CID holds, as the reference's `dag export` does */
    bool skips_missing;   /* what is not there is left out, with all below it; else it ends the export */
} car_export_options_t;

/* Gets each block; borrowed. An error ends the export. */
typedef err_t (*car_export_fn)(task_t *t, void *arg, block_t *block);
/* Errors of dag_path_follow, blocks_get and visit; ERR_UNSUPPORTED: a codec whose links are not known;
 * ERR_CORRUPT: a node that is not what its codec or its parent says. What was visited before stands. */
MUST_CHECK err_t car_export(task_t *t, blocks_t *from, const dag_path_t *path,
                            const car_export_options_t *options, car_export_fn visit, void *arg);
#endif
