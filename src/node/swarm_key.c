#include "node/swarm_key.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 4096 + 16 };

static err_t take(bytes_t file, const char *path, swarm_key_t *ret)
{
    swarm_key_t k = {.is_there = true};
    if (pnet_key_parse(file, k.key))
        return fail(ERR_USAGE, "%s: %s", path, error_text(ERR_INVALID));
    TRY(pnet_key_fingerprint(k.key, k.fingerprint));
    *ret = k;
    return OK;
}

err_t swarm_key_read(task_t *t, const char *repo_path, swarm_key_t *ret)
{
    char path[PATH_MAX_BYTES];
    AUTO(buf_t) file;
    buf_init(&file, PNET_FILE_MAX_BYTES);
    snprintf(path, sizeof path, "%s/swarm.key", repo_path);
    err_t e = fs_read_file(t, path, PNET_FILE_MAX_BYTES, &file);
    if (!e)
        e = take(buf_bytes(&file), path, ret);
    if (file.data)
        secret_wipe(file.data, file.cap);
    if (e != ERR_NOT_FOUND)
        return e;
    const char *force = getenv("LIBP2P_FORCE_PNET");
    if (force && !strcmp(force, "1"))
        return fail(ERR_USAGE,
                    "LIBP2P_FORCE_PNET is set, and there is no %s: this node joins no public network", path);
    *ret = (swarm_key_t){0};
    return OK;
}
