/* rpc_mount: mount. Reference: ipfs/kubo core/commands/mount_unix.go. */
#include "api/api_internal.h"
#include "api/mounts.h"
#include "api/rpc_util.h"

static const struct {
    const char *option, *key, *otherwise;
} places[MOUNTS] = {{"ipfs-path", "Mounts.IPFS", "/ipfs"},
                    {"ipns-path", "Mounts.IPNS", "/ipns"},
                    {"mfs-path", "Mounts.MFS", "/mfs"}};

err_t api_mount(task_t *t, api_t *a, const char *const folders[3])
{
    const config_t *c = repo_config(node_repo(a->node));
    const char *chosen[MOUNTS];
    if (!a->open_mount)
        return fail(ERR_UNSUPPORTED, "this process mounts nothing: ask a node that runs");
    if (!a->mounts)
        a->mounts = mounts_new(a->node, a->open_mount);
    for (int i = 0; i < MOUNTS; i++) {
        chosen[i] = folders[i] ? folders[i] : config_str(c, places[i].key, places[i].otherwise);
        if (chosen[i][0] != '/')
            return fail(ERR_INVALID, "%s: the folder %s must be named from / on", places[i].option,
                        chosen[i]);
    }
    return mounts_open(t, a->mounts, chosen, config_bool(c, "Mounts.FuseAllowOther", false));
}

void api_unmount(task_t *t, api_t *a)
{
    mounts_free(t, a->mounts);
    a->mounts = NULL;
}

static err_t rpc_mount(task_t *t, rpc_t *r)
{
    const config_t *c = repo_config(node_repo(r->node));
    const char *folders[MOUNTS];
    json_t *said[MOUNTS];
    TRY(rpc_need_online(r));
    for (int i = 0; i < MOUNTS; i++)
        folders[i] = rpc_option(r, places[i].option);
    TRY(api_mount(t, r->api, folders));
    for (int i = 0; i < MOUNTS; i++)
        said[i] = rpc_text_json(folders[i] ? folders[i] : config_str(c, places[i].key, places[i].otherwise));
    return rpc_emit(t, r,
                    json_pack("{s:o, s:o, s:o, s:n, s:n, s:n}", "IPFS", said[MOUNT_IPFS], "IPNS",
                              said[MOUNT_IPNS], "MFS", said[MOUNT_MFS], "FuseAllowOther", "StoreMtime",
                              "StoreMode"));
}

const rpc_command_t rpc_mount_commands[] = {
    {"mount", rpc_mount, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
