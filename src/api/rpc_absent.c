/* rpc_absent: commands that Kubo has removed, and those of parts that are not enabled: each answers with
 * Kubo's error. Reference: ipfs/kubo core/commands dht.go, p2p.go, pubsub.go, mount_unix.go, external.go. */
#include "api/rpc_util.h"

static err_t rpc_use_routing(task_t *t, rpc_t *r)
{
    return fail(ERR_UNSUPPORTED, "removed, use 'ipfs routing' instead");
}

static err_t rpc_no_p2p(task_t *t, rpc_t *r)
{
    return fail(ERR_UNSUPPORTED, "libp2p stream mounting not enabled");
}

static err_t rpc_no_pubsub(task_t *t, rpc_t *r)
{
    return fail(ERR_UNSUPPORTED,
                "experimental pubsub feature not enabled, run daemon with --enable-pubsub-experiment to use");
}

/* Nobody sends messages here, so no peer's number of the last one is kept. */
static err_t rpc_pubsub_reset(task_t *t, rpc_t *r)
{
    peer_id_t peer;
    const char *text = rpc_option(r, "peer");
    if (text && peer_id_parse(text, &peer))
        return fail(ERR_INVALID, "invalid peer ID \"%.80s\"", text);
    return rpc_emit(t, r, json_pack("{s:i}", "deleted", 0));
}

static err_t rpc_no_mount(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    return fail(ERR_UNSUPPORTED, "mounting is not part of this build");
}

const rpc_command_t rpc_absent_commands[] = {
    {"dht/findprovs", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/findpeer", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/get", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/put", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"dht/provide", rpc_use_routing, 0, RPC_MAX_ARGS, NULL},
    {"mount", rpc_no_mount, 0, 0, NULL},
    {"p2p/close", rpc_no_p2p, 0, 0, NULL},
    {"p2p/forward", rpc_no_p2p, 3, 3, NULL},
    {"p2p/listen", rpc_no_p2p, 2, 2, NULL},
    {"p2p/ls", rpc_no_p2p, 0, 0, NULL},
    {"p2p/stream/close", rpc_no_p2p, 0, 1, NULL},
    {"p2p/stream/ls", rpc_no_p2p, 0, 0, NULL},
    {"pubsub/ls", rpc_no_pubsub, 0, 0, NULL},
    {"pubsub/peers", rpc_no_pubsub, 0, 1, NULL},
    {"pubsub/pub", rpc_no_pubsub, 1, 1, NULL},
    {"pubsub/sub", rpc_no_pubsub, 1, 1, NULL},
    {"pubsub/reset", rpc_pubsub_reset, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
