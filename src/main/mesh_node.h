/* mesh_node: what `dfs node start` does besides `node`: the options of the mesh, the control API, the prompt.
 */
#ifndef MAIN_MESH_NODE_H
#define MAIN_MESH_NODE_H
#include "cli/shell.h"
#include "main/faces.h"

/* --port, --relay, --zone; who was met at a bootstrap address is told on standard output. The result borrows
 * w and the words of c; o->repo_path is read. */
typedef struct mesh_words {
    const char *listen[2];
    char quic[128];
} mesh_words_t;
void mesh_node_options(const cli_t *c, mesh_words_t *w, node_options_t *o);
/* The control API at --api-port. On another address than loopback it wants a token, which is made when there
 * is none. */
MUST_CHECK err_t mesh_node_open_face(task_t *t, node_t *n, faces_t *f, const cli_t *c);
/* --passphrase-file; without it, and with a prompt, it is asked for when the key file is under one. */
MUST_CHECK err_t mesh_node_unlock(task_t *t, node_t *n, const cli_t *c);
/* The token of a repository for the commands that ask its node. "" when there is none. */
void mesh_node_read_token(task_t *t, const char *repo_path, char out[API_TOKEN_MAX + 8]);

/* The prompt, with -i. NULL: not asked for. */
typedef struct mesh_prompt mesh_prompt_t;
MUST_CHECK err_t mesh_prompt_open(task_t *t, node_t *n, api_t *api, const cli_t *c, mesh_prompt_t **ret);
void mesh_prompt_close(task_t *t, mesh_prompt_t *p); /* NULL is fine */
/* A task: reads and runs lines; fires the shutdown event when the user leaves. */
err_t mesh_prompt_run(task_t *t, void *prompt);
/* Ctrl-C. True: it was for the prompt, and not for the node. */
bool mesh_prompt_interrupt(mesh_prompt_t *p); /* NULL: false */
bool mesh_prompt_wants_end(const mesh_prompt_t *p);
#endif
