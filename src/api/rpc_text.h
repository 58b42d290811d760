/* rpc_text: answers of the RPC in the encoding `text`: what a command emits as JSON is taken apart as it
 * comes, and printed as the command line prints it (print/). Reference: ipfs/go-ipfs-cmds encoding.go, and
 * the text encoders of ipfs/kubo core/commands. */
#ifndef API_RPC_TEXT_H
#define API_RPC_TEXT_H
#include "api/rpc.h"

/* Reads the option `encoding`. ERR_USAGE: this command has no such encoding. */
MUST_CHECK err_t rpc_text_open(rpc_t *r);
void rpc_text_close(rpc_t *r);
/* Prints what is whole of the JSON so far. ERR_LIMIT: one value, or its text, is over 64 MiB. */
MUST_CHECK err_t rpc_text_write(task_t *t, rpc_t *r, bytes_t json);
MUST_CHECK err_t rpc_text_end(task_t *t, rpc_t *r); /* what is left of it */
#endif
