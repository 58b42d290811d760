/* rpc_encoding: answers of the RPC in other encodings than JSON: what a command emits as JSON is taken apart
 * as it comes, and printed (print/): `text` as the command line prints it; `xml`, `textnl` and `octet-stream`
 * as the values of the reference's language. Reference: ipfs/go-ipfs-cmds encoding.go and http, and the
 * encoders of ipfs/kubo core/commands. */
#ifndef API_RPC_ENCODING_H
#define API_RPC_ENCODING_H
#include "api/rpc.h"

/* Reads the option `encoding`. ERR_USAGE: this command has no such encoding. */
MUST_CHECK err_t rpc_encoding_open(rpc_t *r);
void rpc_encoding_close(rpc_t *r);
/* Prints what is whole of the JSON so far. ERR_LIMIT: one value, or its text, is over 64 MiB; the printer's
 * error, behind what it wrote. */
MUST_CHECK err_t rpc_encoding_write(task_t *t, rpc_t *r, bytes_t json);
MUST_CHECK err_t rpc_encoding_end(task_t *t, rpc_t *r); /* what is left of it */

/* The content type of what a command answers with, and of bytes that are of no type of their own. */
const char *rpc_encoding_type(const rpc_t *r);
const char *rpc_encoding_bytes_type(const rpc_t *r);
/* One value, and no more? */
bool rpc_encoding_is_single(rpc_t *r);
/* An error that comes before any answer, in the encoding that was asked for. code: as JSON says it. */
MUST_CHECK err_t rpc_encoding_reply_error(task_t *t, rpc_t *r, int status, int code, const char *text);
#endif
