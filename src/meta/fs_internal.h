/* fs_internal: what the files of the file service's client share. Not for others. */
#ifndef META_FS_INTERNAL_H
#define META_FS_INTERNAL_H
#include "crypto/tls_mutual.h"
#include "meta/chunk_link.h"
#include "meta/fs_cache.h"
#include "meta/fs_client.h"
#include "meta/peer.h"
#include "task/driver.h"

#define FS_UPLOAD_BYTES 16
#define FS_NONCE_BYTES 12
#define FS_HEAD_BYTES (FS_UPLOAD_BYTES + FS_NONCE_BYTES) /* what stands in front of the ciphertext */
#define FS_KEY_BYTES 32
#define FS_NODES_MAX 1024
#define FS_STORED_MAX (FS_CHUNK_MAX_BYTES + FS_CHUNK_OVERHEAD)
#define FS_PATH_MAX 4096

/* A storage node and the connection to it, made when first used. */
typedef struct fs_node {
    storage_peer_t peer;
    bool is_connecting;
    grpc_conn_t *conn;
    uint64_t failed_at_ms; /* 0: not lately */
    size_t users;
} fs_node_t;

struct fs_client {
    rest_t rest;
    tls_mutual_t *tls;
    fs_node_t *nodes;
    size_t n_nodes;
    event_t connected;
    char state_folder[FS_PATH_MAX];
    fs_cache_t *cache;
};

/* fs_link.c: ERR_UNREACHABLE and others: the node is left out for a while. */
MUST_CHECK err_t fs_node_get(task_t *t, fs_client_t *c, const char *node, const chunk_id_t *id,
                             const char *ticket, uint64_t offset, uint64_t length, buf_t *out);
MUST_CHECK err_t fs_node_put(task_t *t, fs_client_t *c, const char *node, const chunk_id_t *id,
                             const char *ticket, bytes_t data, char ret_receipt[TICKET_TEXT_MAX]);
/* A node that is on IPFS, with a connection to it; fs_node_leave afterwards. ERR_UNSUPPORTED: there is none.
 */
MUST_CHECK err_t fs_node_on_ipfs(task_t *t, fs_client_t *c, fs_node_t **ret);
void fs_node_leave(task_t *t, fs_node_t *n, err_t e); /* e: how it went */
MUST_CHECK err_t fs_read_nodes(task_t *t, fs_client_t *c);
void fs_close_nodes(task_t *t, fs_client_t *c);

/* fs_seal.c: both on a worker. sealed: head, ciphertext, tag; the id is its hash. */
typedef struct fs_seal {
    const uint8_t *key; /* FS_KEY_BYTES, of the file */
    const char *file_id;
    uint8_t head[FS_HEAD_BYTES]; /* to seal with: the upload's id, the nonce */
    bool is_old_form;            /* to open: without the upload's id, under the file's own key */
    buf_t *plain, *sealed;
    chunk_id_t id;
    err_t result;
} fs_seal_t;
MUST_CHECK err_t fs_seal_chunk(task_t *t, fs_seal_t *s); /* plain to sealed, and the id */
/* sealed to plain, once the id fits: ERR_CORRUPT, ERR_CRYPTO. */
MUST_CHECK err_t fs_open_chunk(task_t *t, fs_seal_t *s);
/* The head of chunk `index`. upload_id: 32 hexadecimal digits, ERR_INVALID otherwise. */
MUST_CHECK err_t fs_head(const char *upload_id, uint32_t upload_seq, uint64_t index,
                         uint8_t out[FS_HEAD_BYTES]);

/* A chunk of a file as GET /files/{id} tells of it. */
typedef struct fs_chunk {
    chunk_id_t id;
    uint64_t size, length, offset; /* stored; plain; of its first byte in the file */
    char ticket[TICKET_TEXT_MAX];
    char nodes[16][META_ID_CHARS + 1];
    size_t n_nodes;
} fs_chunk_t;
typedef struct fs_file {
    char id[META_ID_CHARS + 1];
    uint8_t key[FS_KEY_BYTES];
    uint64_t size, version;
    fs_chunk_t *chunks;
    size_t n_chunks;
} fs_file_t;
/* With all chunks. version 0: the newest. */
MUST_CHECK err_t fs_file_read(task_t *t, fs_client_t *c, const char *id, uint64_t version, fs_file_t *ret);
void fs_file_deinit(fs_file_t *f); /* wipes the key */
/* The stored bytes from the first node that gives them whole; checked against the id. */
MUST_CHECK err_t fs_fetch_chunk(task_t *t, fs_client_t *c, const fs_file_t *f, const fs_chunk_t *chunk,
                                buf_t *plain, bool *ret_was_cached);

/* Is this the content of that chunk of the file? Told by encrypting it as the chunk was, whose head a node
 * has; false also when none gives it, and for chunks without the upload's id. sealed: room for it. */
MUST_CHECK err_t fs_chunk_is(task_t *t, fs_client_t *c, const fs_file_t *f, const fs_chunk_t *chunk,
                             buf_t *plain, buf_t *sealed, bool *ret);

/* FS_PARALLEL tasks over one arg; the first failure ends the others, and is the result. */
MUST_CHECK err_t fs_run_parallel(task_t *t, const char *name, task_fn fn, void *arg);

/* fs_resume.c: notes of an upload under way, a line of JSON each: its id first, then what became of chunks.
 */
typedef struct fs_resume {
    char path[FS_PATH_MAX + 80]; /* "": nothing is noted */
    file_t *file;
    uint64_t end;
} fs_resume_t;
/* Opens the notes of the upload that `key` tells from all others; *ret_lines: what stands there, new
 * reference to an array. ERR_IN_USE: another process is at it. */
MUST_CHECK err_t fs_resume_open(task_t *t, const char *folder, const char *key, fs_resume_t *ret,
                                json_t **ret_lines);
MUST_CHECK err_t fs_resume_note(task_t *t, fs_resume_t *r, json_t *line); /* takes it */
MUST_CHECK err_t fs_resume_sync(task_t *t, fs_resume_t *r);    /* what was noted outlasts a loss of power */
MUST_CHECK err_t fs_resume_clear(task_t *t, fs_resume_t *r);   /* forgets all lines */
void fs_resume_close(task_t *t, fs_resume_t *r, bool is_done); /* done: nothing is left of it */
#endif
