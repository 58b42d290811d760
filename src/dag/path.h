/* path: content paths: /ipfs/CID/a/b, CID/a/b, ipfs://CID/a, /ipld/CID/a/b. Already percent-decoded. Empty
 * and
 * "." segments are left out, ".." goes up, never above the CID.
 *
 * Through dag-pb a name is an entry of the UnixFS directory, or, where a node is no UnixFS, the name of a
 * link; under /ipld a field of the node ("Links/0/Hash"). Through dag-cbor, dag-json, cbor and json names are
 * keys of maps and indices of lists, and what they lead to may be a value inside of a block: then the path's
 * last names are its rest. */
#ifndef DAG_PATH_H
#define DAG_PATH_H
#include "dag/dir_cache.h"
#include "dag/dir_reader.h"

#define PATH_MAX_SEGMENTS 256

typedef struct dag_path {
    cid_t root;
    bytes_t segments[PATH_MAX_SEGMENTS]; /* borrowed from the text */
    size_t count;
    bool is_data; /* /ipld: the data model, nowhere UnixFS */
} dag_path_t;
/* ERR_INVALID with what is wrong with it; ERR_UNSUPPORTED: /ipns/, which needs a name system. */
MUST_CHECK err_t dag_path_parse(bytes_t text, dag_path_t *ret_path);
/* Only the part behind the CID. */
MUST_CHECK err_t dag_path_parse_rest(const cid_t *root, bytes_t rest, dag_path_t *ret_path);
/* Walks to the end of the path; gives the CID of the block there, without fetching it, and tells `visit` (may
 * be NULL) the CID of every step, from the root to the end. ERR_NOT_FOUND: "no link named …";
 * ERR_UNSUPPORTED: the path ends inside of a block, or its codec cannot be read; ERR_CORRUPT: a block is not
 * of its codec. */
typedef void (*dag_path_visit_fn)(void *arg, const cid_t *cid);
MUST_CHECK err_t dag_path_follow(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_path_visit_fn visit,
                                 void *arg, cid_t *ret_cid);
/* The same, for those who can look into blocks: the last *ret_rest segments are a path inside of the block;
 * it was found to lead to a value there. */
MUST_CHECK err_t dag_path_follow_rest(task_t *t, blocks_t *blocks, const dag_path_t *path,
                                      dag_path_visit_fn visit, void *arg, cid_t *ret_cid, size_t *ret_rest);
/* Did the last failure of these come from a name that is not there, and not from a block? */
bool dag_path_is_no_link(err_t e);
/* The CID alone: of the block that the path ends in. */
MUST_CHECK err_t dag_path_resolve_cid(task_t *t, blocks_t *blocks, const dag_path_t *path, cid_t *ret_cid);
/* As dag_path_resolve_cid, and the node. */
MUST_CHECK err_t dag_path_resolve(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_node_t *ret_node);
/* The same for those who resolve many paths: directories on the way are looked up in `dirs` (NULL: none). */
MUST_CHECK err_t dag_path_resolve_by(task_t *t, blocks_t *blocks, dir_cache_t *dirs, const dag_path_t *path,
                                     dag_node_t *ret_node);
#endif
