/* node_service: a storage node of the file service. It keeps chunks (chunk_store.h), registers with the
 * metadata service, says every few seconds that it is alive and how full, and does what the answers ask:
 * delete chunks, fetch copies from other nodes. A slow scrub reads all that is kept, drops what is damaged,
 * and compares with what the service expects here. The gRPC face over it is api/storage_grpc.c.
 *
 * Whoever shows a ticket of the metadata service (ticket.h) may read or write. Other nodes, known by the
 * fingerprints of their certificates, may besides delete, and have this node fetch. Before the first answer
 * of the metadata service no ticket can be checked: calls are ERR_OFFLINE. */
#ifndef META_NODE_SERVICE_H
#define META_NODE_SERVICE_H
#include "crypto/tls_mutual.h"
#include "meta/chunk_store.h"

#define NODE_ZONE_MAX 64
#define NODE_FROM_MAX 16 /* places that a copy is fetched from */
#define NODE_BOOTSTRAP_MAX 16

typedef struct node_service_options {
    repo_t *repo;                 /* borrowed as long as the service */
    const char *address;          /* "HOST:PORT" where others reach this node */
    const char *metadata;         /* URL or HOST:PORT; NULL: a bootstrap node is asked */
    bytes_t metadata_authorities; /* PEM: who vouches for it; BYTES_NONE: those of the system */
    const char *api_key;          /* with the scope "node", to join with; NULL: none */
    const char *zone;             /* NULL: "" */
    const char *const *bootstrap; /* "HOST:PORT" of storage nodes */
    size_t n_bootstrap;
    uint64_t capacity_bytes; /* 0: what the disk has */
    uint64_t scrub_bytes_s;  /* pace of the scrub; 0: 8 MiB/s */
    uint64_t orphan_grace_s; /* how long a chunk that the service does not know is kept; 0: two days */
    const char *adopt; /* id of the service that the chunks here are of from now on; NULL: that of before */
    tls_mutual_t *tls; /* borrowed as long */
} node_service_options_t;
typedef struct node_service node_service_t;
MUST_CHECK err_t node_service_start(task_t *t, const node_service_options_t *o, node_service_t **ret);
void node_service_stop(task_t *t, node_service_t *s); /* its face is closed before; NULL is fine */

const char *node_service_id(const node_service_t *s); /* 32 hexadecimal digits */
const char *node_service_zone(const node_service_t *s);
const char *node_service_metadata(const node_service_t *s); /* URL; "": not known yet */
typedef enum { NODE_STARTING, NODE_SERVING, NODE_DRAINING, NODE_FULL } node_state_t;
node_state_t node_service_state(task_t *t, node_service_t *s);
/* Is this the certificate of a storage node that the metadata service knows? Suspends. */
bool node_service_knows(task_t *t, node_service_t *s, const uint8_t fingerprint[TLS_FINGERPRINT_BYTES]);

/* ERR_DENIED: the ticket; ERR_LIMIT: more than it allows, unless the chunk is here. size: what will come. */
MUST_CHECK err_t node_service_check_put(task_t *t, node_service_t *s, const char *ticket,
                                        const chunk_id_t *id, uint64_t size);
/* Durable when it returns. receipt: for commit_upload. */
MUST_CHECK err_t node_service_put(task_t *t, node_service_t *s, const char *ticket, const chunk_id_t *id,
                                  buf_t *data, bool *ret_was_present, char ret_receipt[TICKET_TEXT_MAX]);
/* ERR_DENIED. See ticket.h. */
MUST_CHECK err_t node_service_check_ipfs(task_t *t, node_service_t *s, const char *ticket,
                                         char ret_file_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes);
/* The chunk, from the cache when it was read lately. A node needs no ticket. */
MUST_CHECK err_t node_service_get(task_t *t, node_service_t *s, const char *ticket, bool is_node,
                                  const chunk_id_t *id, block_t **ret);
MUST_CHECK err_t node_service_delete(task_t *t, node_service_t *s, const chunk_id_t *ids, size_t n,
                                     size_t *ret_deleted);
/* Fetches it from the first of `from` that gives it whole. */
typedef struct node_copy {
    chunk_id_t id;
    uint64_t size_bytes;
    char ticket[TICKET_TEXT_MAX];
    char from[NODE_FROM_MAX][256]; /* "HOST:PORT" */
    size_t n_from;
} node_copy_t;
MUST_CHECK err_t node_service_replicate(task_t *t, node_service_t *s, const node_copy_t *c,
                                        bool *ret_was_present);
/* A call was refused: "Get", "Put", or another one. The metadata service is told, for its log. */
void node_service_note_refusal(node_service_t *s, const char *call);
chunk_store_t *node_service_chunks(node_service_t *s);
#endif
