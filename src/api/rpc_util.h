/* rpc_util: what several groups of RPC commands share. */
#ifndef API_RPC_UTIL_H
#define API_RPC_UTIL_H
#include "api/rpc.h"
#include "dag/dag_node.h"

extern const rpc_command_t rpc_routing_commands[];

#define RPC_PATH_MAX_BYTES (1u << 20)
/* Appends a path without empty segments, "." and "..", as the reference reads all of them: "/ipfs/CID/…",
 * "ipfs://CID/…", "CID/…". ERR_INVALID: nothing is left of it. */
MUST_CHECK err_t rpc_clean_path(const char *text, buf_t *out);
/* What every command that takes a path does first: a name under /ipns/ becomes the path that it points to,
 * other text stays as it is, but for what rpc_clean_path takes out. Appends to out (its max:
 * RPC_PATH_MAX_BYTES). Errors of naming_resolve. */
MUST_CHECK err_t rpc_content_path(task_t *t, rpc_t *r, const char *text, buf_t *out);
/* ERR_BLOCKED: a denylist names the path, which may also be "CID/…" or "ipfs://CID/…". */
MUST_CHECK err_t rpc_check_denied(rpc_t *r, const char *text);
/* "CID", "/ipfs/CID" or "/ipns/NAME/path" to the CID that it names, blocks fetched as needed. */
MUST_CHECK err_t rpc_resolve_cid(task_t *t, rpc_t *r, const char *text, cid_t *ret_cid);
/* Is every block of the DAG here, and how many bytes do those that are take? Reads locally, with bounded
 * memory. */
MUST_CHECK err_t rpc_dag_presence(task_t *t, rpc_t *r, const cid_t *root, bool *ret_complete,
                                  uint64_t *ret_bytes);
/* The first file of a multipart upload, whole, into out (its max is the limit). */
MUST_CHECK err_t rpc_read_upload(task_t *t, rpc_t *r, buf_t *out);
/* Whether so many copies can be asked for: ERR_OFFLINE, ERR_USAGE. */
MUST_CHECK err_t rpc_check_replicas(rpc_t *r, uint64_t copies);
/* Has `copies` nodes hold the root, saying step by step what happens; with `quiet` only the end. ERR_OFFLINE.
 */
MUST_CHECK err_t rpc_replicate(task_t *t, rpc_t *r, const cid_t *root, uint64_t copies, bool quiet);
/* How blocks are addressed that `block put` and `dag put` store. */
typedef struct rpc_put {
    uint64_t codec, hash;
    size_t digest_len; /* 0: the hash function's own */
    uint8_t version;
} rpc_put_t;
/* Gives each file of the upload, whole, to fn. ERR_USAGE: there is none, with the argument's name; ERR_LIMIT:
 * over 8 MiB, which no block is made of. */
typedef err_t (*rpc_upload_fn)(task_t *t, rpc_t *r, void *arg, bytes_t data);
MUST_CHECK err_t rpc_each_upload(task_t *t, rpc_t *r, const char *name, rpc_upload_fn fn, void *arg);
/* Stores a block, durably, pins it with the option `pin`, announces it. ERR_LIMIT: over 2 MiB; ERR_DENIED:
 * not a hash function, or length of a digest, that blocks are addressed with. */
MUST_CHECK err_t rpc_put_block(task_t *t, rpc_t *r, const rpc_put_t *p, bytes_t data, cid_t *ret_cid);
/* The code of the codec that an option names. ERR_INVALID, as the reference words it. */
MUST_CHECK err_t rpc_codec_option(rpc_t *r, const char *name, const char *otherwise, uint64_t *ret_codec);
/* `name resolve` and `resolve --recursive=false` of a path under /ipns/, with the options of both. */
MUST_CHECK err_t rpc_resolve_name(task_t *t, rpc_t *r, const char *path, bool is_recursive, bool skips_cache);
MUST_CHECK err_t rpc_add(task_t *t, rpc_t *r);
MUST_CHECK err_t rpc_get(task_t *t, rpc_t *r);
MUST_CHECK err_t rpc_ls(task_t *t, rpc_t *r);
/* A path to its node, its blocks from the session. The path is "CID", "/ipfs/CID/…", "/ipns/NAME/…". */
MUST_CHECK err_t rpc_resolve_node(task_t *t, rpc_t *r, blocks_t *blocks, const char *text,
                                  dag_node_t *ret_node);
/* JSON text of any bytes: what is not UTF-8 becomes U+FFFD. New reference. */
json_t *rpc_bytes_json(bytes_t text);
/* A connection to the peer, looking its addresses up when none is known. The caller releases it. */
MUST_CHECK err_t rpc_connect_peer(task_t *t, rpc_t *r, const peer_id_t *peer, conn_t **ret_conn);
/* New references. With a peer, each address ends in /p2p/PEER. */
json_t *rpc_addrs_json(const multiaddr_t *addrs, size_t n, const peer_id_t *peer);
MUST_CHECK err_t rpc_profile(task_t *t, rpc_t *r);      /* diag/profile */
MUST_CHECK err_t rpc_bitswap_stat(task_t *t, rpc_t *r); /* bitswap/stat, stats/bitswap */
/* Streams the log's lines up to a level (NULL: all that are written) until the client leaves. */
MUST_CHECK err_t rpc_tail_log(task_t *t, rpc_t *r, const char *level);
/* The encoding of peer IDs that an option asks for ("peerid-base", "ipns-base"): "b58mh", or the name or
 * letter of a multibase, in which the ID is printed as a CID. */
typedef struct peer_base {
    bool is_cid;
    multibase_t base;
} peer_base_t;
MUST_CHECK err_t rpc_peer_base(rpc_t *r, const char *option, const char *otherwise, peer_base_t *ret);
const char *rpc_peer_text(const peer_base_t *b, const peer_id_t *peer, char out[PEER_ID_TEXT_MAX]);
json_t *rpc_peer_json(rpc_t *r, const peer_id_t *peer); /* what identify told, as `id PEER` gives it */
/* Take a list of texts: in the order of their bytes; null in the place of an empty one, as the reference has
 * it of lists that it never made. */
json_t *rpc_sorted_json(json_t *list);
json_t *rpc_list_json(json_t *list);
json_t *rpc_number_json(double value);   /* a whole one without a point */
json_t *rpc_text_json(const char *text); /* what is not UTF-8 becomes "" */
#endif
