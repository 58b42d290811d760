/* absent: the face of replica.h while its parts are being built. Says so to whoever asks; nothing is
 * acknowledged. */
#include "replica/replica.h"

static err_t absent(void)
{
    return fail(ERR_UNSUPPORTED, "replication is not in this build");
}

void replica_config_default(replica_config_t *ret)
{
    *ret = (replica_config_t){0};
}

err_t replica_start(task_t *t, const replica_config_t *c, replica_t **ret)
{
    *ret = NULL;
    return OK;
}

void replica_close(task_t *t, replica_t *r) {}

err_t replica_pin(task_t *t, replica_t *r, const cid_t *root, uint32_t n, replica_progress_fn progress,
                  void *arg, uint32_t *ret_have)
{
    return absent();
}

err_t replica_unpin(task_t *t, replica_t *r, const cid_t *root)
{
    return absent();
}

err_t replica_status(task_t *t, replica_t *r, const cid_t *root, uint32_t timeout_ms, replica_status_t *ret)
{
    return absent();
}

err_t replica_each(task_t *t, replica_t *r, replica_visit_fn visit, void *arg)
{
    return absent();
}

bool replica_holds(const replica_t *r, const cid_t *root)
{
    return false;
}

void replica_stat(const replica_t *r, replica_stat_t *ret)
{
    *ret = (replica_stat_t){0};
}
