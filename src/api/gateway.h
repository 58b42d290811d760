/* gateway: what the files of the HTTP gateway share. Specs: ipfs/specs path-gateway and (raw blocks)
 * trustless-gateway.
 *
 * One request: parse the path, resolve it locally, else with a bitswap session; then answer a file, a
 * directory or a raw block. What is in memory is answered without a wait. */
#ifndef API_GATEWAY_H
#define API_GATEWAY_H
#include "api/api_internal.h"
#include "dag/file_reader.h"
#include "dag/path.h"

/* Content types, by the name's extension, else by the first bytes. Never NULL. */
const char *content_type_of(const char *name, bytes_t first_bytes);

/* Byte ranges of RFC 9110, 14.2, resolved against a size. */
#define RANGES_MAX 16
typedef struct range {
    uint64_t from, len;
} range_t;
typedef struct ranges {
    range_t list[RANGES_MAX];
    size_t count;          /* 0: answer all of it */
    bool is_unsatisfiable; /* 416 */
} ranges_t;
/* Malformed headers and more ranges than RANGES_MAX, or ranges that overlap to more than the whole, are as if
 * there were no header. header may be NULL. */
void ranges_parse(const char *header, uint64_t size, ranges_t *ret);

typedef struct gateway_request {
    api_t *api;
    exchange_t *x;
    node_session_t session; /* opened when something is not here */
    blocks_t *blocks;       /* where this request reads from now */
    dag_path_t path;        /* borrows from decoded */
    buf_t decoded;          /* the path behind "/ipfs/", percent-decoded */
    buf_t roots;            /* X-Ipfs-Roots: the CIDs on the path, comma-separated; empty when too long */
    dag_node_t node;
    cid_t cid;                   /* of node */
    char cid_text[CID_TEXT_MAX]; /* of cid; empty until gateway_cid_text */
    bool ends_in_slash;
    deadline_t deadline;
} gateway_request_t;

/* Sends status and one line of text. */
MUST_CHECK err_t gateway_fail(task_t *t, gateway_request_t *r, int status, const char *text);
/* Headers of every good answer: path, roots, CORS, ETag, caching. etag comes with its quotes. */
MUST_CHECK err_t gateway_set_headers(gateway_request_t *r, const char *etag, const char *cache_control);
MUST_CHECK err_t gateway_set_path_headers(gateway_request_t *r); /* path, roots and CORS alone */
const char *gateway_cid_text(gateway_request_t *r);              /* after r->cid is known; printed once */
bool gateway_may_fetch(gateway_request_t *r); /* from the network: online, and Gateway.NoFetch is not set */
/* Does If-None-Match name this etag? */
bool gateway_is_unchanged(exchange_t *x, const char *etag);
/* Blocks that are awaited must come within the time for retrieval; called before each wait. */
MUST_CHECK err_t gateway_serve_file(task_t *t, gateway_request_t *r, const char *name, const char *etag);
MUST_CHECK err_t gateway_serve_directory(task_t *t, gateway_request_t *r);
MUST_CHECK err_t gateway_serve_raw(task_t *t, gateway_request_t *r);
#endif
