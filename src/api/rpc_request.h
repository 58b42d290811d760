/* rpc_request: a request's words and options, before its command runs. */
#ifndef API_RPC_REQUEST_H
#define API_RPC_REQUEST_H
#include "api/rpc_util.h"

/* Collects the arguments and checks the options. ERR_USAGE in the words of go-ipfs-cmds. */
MUST_CHECK err_t rpc_read_request(task_t *t, rpc_t *r, const rpc_command_t *c);
void rpc_deinit(rpc_t *r);
AUTO_DEFINE(rpc_t, rpc_deinit)
#endif
