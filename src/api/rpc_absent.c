/* rpc_absent: commands that Kubo has removed: each answers with Kubo's error. Reference: ipfs/kubo
 * core/commands dht.go, external.go. */
#include "api/rpc_util.h"

static err_t rpc_use_routing(task_t *t, rpc_t *r)
{
    return fail(ERR_UNSUPPORTED, "removed, use 'ipfs routing' instead");
}

const rpc_command_t rpc_absent_commands[] = {
    {"dht/findprovs", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/findpeer", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/get", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/put", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/provide", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {NULL, NULL, 0, 0, NULL},
};
