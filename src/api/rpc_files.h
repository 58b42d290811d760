/* rpc_files: what the commands of `files …` share. */
#ifndef API_RPC_FILES_H
#define API_RPC_FILES_H
#include "api/rpc_util.h"
#include "repo/mfs.h"

/* A word as a clean path, borrowed until `room` changes. Errors of mfs_clean_path. */
MUST_CHECK err_t rpc_files_path(const char *word, buf_t *room, const char **ret_path);
/* What a word names: something under /ipfs/, or an entry of the tree; its root block is here or was fetched.
 */
MUST_CHECK err_t rpc_files_source(task_t *t, rpc_t *r, blocks_t *blocks, const char *path, cid_t *ret_cid);
MUST_CHECK err_t rpc_files_stat(task_t *t, rpc_t *r);
MUST_CHECK err_t rpc_files_ls(task_t *t, rpc_t *r);
MUST_CHECK err_t rpc_files_read(task_t *t, rpc_t *r);
#endif
