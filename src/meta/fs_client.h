/* fs_client: the client of the file service: encrypts, keeps chunks on storage nodes, registers files with
 * the metadata service. A chunk is stored as the upload's id (16 bytes), nonce (12), ciphertext and tag:
 * AES-256-GCM under HMAC-SHA-256(file's key, "distribute upload " || upload's id), the file's id
 * authenticated besides; its id is the SHA-256 of that. Ids of uploads are random: a metadata service that
 * was set back to an older backup counts nonces anew, but never under the same key. Every chunk that comes is
 * checked against the id that the metadata service names, then decrypted.
 *
 * Memory: FS_PARALLEL chunks at once, whatever the size of the file. */
#ifndef META_FS_CLIENT_H
#define META_FS_CLIENT_H
#include "meta/rest.h"

#define FS_PARALLEL 4
#define FS_CHUNK_BYTES (4u << 20) /* of plaintext, unless asked otherwise */
#define FS_CHUNK_MAX_BYTES (7u << 20)
#define FS_CHUNK_OVERHEAD 44     /* upload's id, nonce, tag */
#define FS_CHUNK_OVERHEAD_OLD 28 /* of chunks without the upload's id: they can still be read */

typedef struct fs_client fs_client_t;
typedef struct fs_client_options {
    const char *url, *secret; /* see rest_init */
    const char *state_folder; /* where uploads that may be resumed are noted; NULL: nowhere */
    bytes_t authorities;      /* PEM: who vouches for the metadata service; BYTES_NONE: those of the system */
    const char *cache_folder; /* of chunks that were read; NULL: none */
    uint64_t cache_bytes;
    bytes_t certificate, key; /* PEM: shown to storage nodes; BYTES_NONE: made for this client */
} fs_client_options_t;
MUST_CHECK err_t fs_client_open(task_t *t, const fs_client_options_t *o, fs_client_t **ret);
void fs_client_close(task_t *t, fs_client_t *c); /* NULL is fine */
const rest_t *fs_client_rest(const fs_client_t *c);
/* The file of exactly this name, as FileSummary. A new reference. ERR_NOT_FOUND. */
MUST_CHECK err_t fs_find(task_t *t, fs_client_t *c, const char *name, json_t **ret_file);

typedef struct fs_progress {
    void (*done)(void *arg, uint64_t bytes, uint64_t total); /* may be NULL */
    void *arg;
} fs_progress_t;

typedef struct fs_put {
    const char *path, *name;
    const char *media_type;            /* NULL: none */
    uint64_t chunk_bytes;              /* 0: FS_CHUNK_BYTES; not with content-defined chunks */
    uint64_t replication, quorum;      /* 0: the service's */
    bool is_content_defined, is_delta; /* delta: leave out what the version before has */
    const char *cid;                   /* of this content on IPFS; NULL: none */
    bool is_once;                      /* what is cut off is not gone on with */
    fs_progress_t progress;
    /* what came of it */
    uint64_t sent_chunks, kept_chunks, sent_bytes;
    bool was_resumed;
} fs_put_t;
/* OK when every chunk is durable on as many nodes as the quorum says, and the file is visible. ret_file: a
 * new reference. ERR_UNREACHABLE: too few nodes took a chunk. */
MUST_CHECK err_t fs_put(task_t *t, fs_client_t *c, fs_put_t *p, json_t **ret_file);

typedef struct fs_get {
    const char *name;
    uint64_t version;                                   /* 0: the newest */
    const char *path;                                   /* where to; NULL: to `write` */
    err_t (*write)(task_t *t, void *arg, bytes_t data); /* in order */
    void *arg;
    fs_progress_t progress;
    uint64_t size, resumed_at, cached_chunks; /* out; cached: were not asked for */
} fs_get_t;
/* To a path: into a file beside it that takes its place when it is whole; one that was left by an interrupted
 * get of the same version is gone on with. ERR_NOT_FOUND; ERR_CORRUPT: no node gives a sound copy of a chunk.
 */
MUST_CHECK err_t fs_get(task_t *t, fs_client_t *c, fs_get_t *g);
#endif
