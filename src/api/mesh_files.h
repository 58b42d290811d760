/* mesh_files: what the faces of the encrypted mesh do with files, whoever asks: the command line through the
 * RPC (rpc_dfs.c) or a program through the control API (control.c). Content is encrypted by vault/, kept on
 * other members by replica/mesh.h. */
#ifndef API_MESH_FILES_H
#define API_MESH_FILES_H
#include "node/node.h"
#include "task/exchange.h"
#include <jansson.h>

#define MESH_KEEP_MS 30000     /* how long `store` waits for copies; they go on being made after that */
#define MESH_RECEIPTS_MS 10000 /* how long `delete` waits for receipts, unless told otherwise */
#define MESH_ASK_MS 3000       /* how long `status` waits for holders */

/* ERR_OFFLINE: not a running member of a mesh, with what to do. */
MUST_CHECK err_t mesh_files_member(node_t *n, mesh_t **ret);

/* ── storing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct mesh_store_options {
    uint64_t factor;  /* copies wanted; 0: the mesh's */
    const char *name; /* of content that comes without one; "" or NULL: "unnamed" */
    const char *type; /* media type of that; NULL: found out by the name's end */
} mesh_store_options_t;
typedef struct mesh_stored {
    vault_stored_t file;
    uint32_t copies, target;
    bool is_key_new;           /* the key file was made just now */
    char why[REPLICA_WHY_MAX]; /* there are fewer copies than wanted */
} mesh_stored_t;
typedef struct mesh_store_sink {
    /* Content was read, or a copy was made, of the file that is stored now; may wait. May be NULL. */
    err_t (*progress)(task_t *t, void *arg, uint64_t read_bytes, uint32_t copies, uint32_t target);
    err_t (*stored)(task_t *t, void *arg, const mesh_stored_t *s);
    void *arg;
} mesh_store_sink_t;
/* Stores what the request brings: the files and folders of a multipart form, else its body as one file. Each
 * top name makes a file of its own. Durable here, recorded and kept when `stored` is told. ERR_USAGE: nothing
 * came; errors of vault/ and of mesh_keep. */
MUST_CHECK err_t mesh_files_store(task_t *t, node_t *n, exchange_t *x, const mesh_store_options_t *o,
                                  mesh_store_sink_t sink);

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct mesh_open {
    task_t *t; /* which opened it, and closes it */
    node_t *node;
    node_session_t session;
    vault_file_t *file;
} mesh_open_t;
/* By CID, 64 hex digits, link, path in a folder. ERR_NOT_FOUND, here and while reading: nobody has given a
 * block for half a minute. */
MUST_CHECK err_t mesh_files_open(task_t *t, node_t *n, const char *name, bool offline, mesh_open_t *ret);
void mesh_open_deinit(mesh_open_t *o); /* idempotent */
AUTO_DEFINE(mesh_open_t, mesh_open_deinit)
/* The file, or the folder with all below it, as a tar archive. */
MUST_CHECK err_t mesh_files_tar(task_t *t, mesh_open_t *o, exchange_t *x);
/* Plaintext of a file from where it was sought to. */
MUST_CHECK err_t mesh_files_write(task_t *t, mesh_open_t *o, exchange_t *x);

/* ── deleting ────────────────────────────────────────────────────────────────────────────────── */
typedef err_t (*mesh_receipts_fn)(task_t *t, void *arg, const mesh_deletion_t *so_far);
/* Signs and spreads the tombstone and waits for receipts. progress may be NULL, and may wait. ret: on the
 * heap. */
MUST_CHECK err_t mesh_files_delete(task_t *t, node_t *n, const cid_t *manifest, uint64_t timeout_ms,
                                   mesh_receipts_fn progress, void *arg, mesh_deletion_t *ret);

/* ── as JSON ─────────────────────────────────────────────────────────────────────────────────── */
/* New references. The fields are described in openapi_mesh.json. */
json_t *mesh_stored_json(const mesh_stored_t *s);
json_t *mesh_listed_json(const vault_listed_t *l);
json_t *mesh_info_json(const vault_info_t *i);
json_t *mesh_deletion_json(const cid_t *manifest, const mesh_deletion_t *d);
json_t *mesh_peer_json(const mesh_peer_t *p);
json_t *mesh_stat_json(node_t *n, const mesh_stat_t *s);
/* With name and size of what was stored here. May wait. */
json_t *mesh_file_json(task_t *t, node_t *n, const mesh_file_t *f);
json_t *mesh_time_json(uint64_t wall_ms); /* "2026-01-02T03:04:05Z"; null for 0 */
#endif
