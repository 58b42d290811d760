/* rpc_version: version, and whether peers run a newer one. Reference: ipfs/kubo
 * core/commands version.go. */
#include "api/rpc_util.h"
#include "base/version.h"
#include <stdlib.h>

static err_t rpc_version(task_t *t, rpc_t *r)
{
    /* Clients of the RPC read Version to choose what they may ask: it is the version of Kubo whose RPC this
     * is. */
    return rpc_emit(t, r,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Version", KUBO_RPC_VERSION, "Commit", "",
                              "Repo", KUBO_REPO_VERSION, "System", SYSTEM_NAME, "Golang", "none",
                              "Distribute", DISTRIBUTE_VERSION));
}

typedef struct release {
    unsigned part[3];
} release_t;

/* "distribute/1.2.3"; others, and versions before a release ("1.2.3-rc1"), do not count. */
static bool parse_agent(const char *agent, release_t *ret)
{
    int used = 0;
    return sscanf(agent, "distribute/%u.%u.%u%n", &ret->part[0], &ret->part[1], &ret->part[2], &used) == 3 &&
           (!agent[used] || agent[used] == '/');
}

static int compare(const release_t *a, const release_t *b)
{
    for (size_t i = 0; i < ARRAY_LEN(a->part); i++)
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    return 0;
}

static err_t rpc_version_check(task_t *t, rpc_t *r)
{
    enum { MAX_CONNS = 4096 };
    uint64_t min_percent;
    release_t own, newest, theirs;
    TRY(rpc_need_online(r));
    TRY(rpc_u64(r, "min-percent", 5, &min_percent));
    if (min_percent < 1 || min_percent > 100)
        return fail(ERR_INVALID, "Version.SwarmCheckPercentThreshold must be between 1 and 100");
    parse_agent(DISTRIBUTE_AGENT, &own);
    newest = own;
    uint64_t sampled = 1, newer = 0; /* this node is one of them */
    conn_t **conns = xcalloc(MAX_CONNS, sizeof(conn_t *));
    size_t n = host_conns(node_host(r->node), conns, MAX_CONNS);
    for (size_t i = 0; i < n; i++) {
        if (!parse_agent(peerstore_agent(host_peerstore(node_host(r->node)), conn_peer(conns[i])), &theirs))
            continue;
        sampled++;
        newer += compare(&own, &theirs) < 0;
        newest = compare(&newest, &theirs) < 0 ? theirs : newest;
    }
    free(conns);
    return rpc_emit(t, r,
                    json_pack("{s:b, s:s, s:o, s:I, s:I}", "UpdateAvailable",
                              newer * 100 >= min_percent * sampled, "RunningVersion", DISTRIBUTE_VERSION,
                              "GreatestVersion",
                              json_sprintf("%u.%u.%u", newest.part[0], newest.part[1], newest.part[2]),
                              "PeersSampled", (json_int_t)sampled, "WithGreaterVersion", (json_int_t)newer));
}

const rpc_command_t rpc_version_commands[] = {
    {"version", rpc_version, 0, 0, NULL},
    {"version/check", rpc_version_check, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
