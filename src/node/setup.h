/* setup: what is done with a repository before a node is made of it. */
#ifndef NODE_SETUP_H
#define NODE_SETUP_H
#include "task/driver.h"

#define NODE_PATH_MAX 4096
#define NODE_FACE_TEXT_MAX 128
/* --repo (may be NULL), else $DISTRIBUTE_PATH, else $IPFS_PATH, else ~/.distribute. ERR_USAGE. */
MUST_CHECK err_t node_find_repo(const char *option, char out[NODE_PATH_MAX]);
/* OK: a repository of ours. ERR_NOT_FOUND: none. Others: one that cannot be used, and why. */
MUST_CHECK err_t node_check_repo(task_t *t, const char *path);
/* Makes a repository with a fresh Ed25519 identity; profiles may be NULL. ret_id: its peer ID, NULL or 128
 * bytes. ERR_EXISTS. */
MUST_CHECK err_t node_init_repo(task_t *t, const char *path, const char *profiles, char *ret_id);
/* The same with the settings of a file, and its identity when it has one. ERR_CORRUPT, ERR_INVALID: the file.
 */
MUST_CHECK err_t node_init_repo_from(task_t *t, const char *path, const char *profiles, const char *file,
                                     char *ret_id);
/* Makes one for the import of Kubo's repository at kubo_path, with its identity. ERR_EXISTS; the errors of
 * kubo_source_open. */
MUST_CHECK err_t node_init_repo_for_kubo(task_t *t, const char *path, const char *kubo_path);
/* Where the node that runs on this repository (or `api_option`, a multiaddr, when given) serves its RPC.
 * ERR_NOT_FOUND: no node runs as far as the repository knows. ERR_USAGE: not an address. */
MUST_CHECK err_t node_find_api(task_t *t, const char *repo_path, const char *api_option,
                               face_addr_t *ret_addr);
/* /ip4|ip6/…/tcp/PORT, IP:PORT or /unix/PATH to a place, and back to a multiaddr. ERR_USAGE. */
MUST_CHECK err_t node_face_addr(const char *text, face_addr_t *ret_addr);
const char *node_face_addr_print(const face_addr_t *addr, char out[NODE_FACE_TEXT_MAX]);
#endif
