#include "node/garbage.h"
#include "base/log.h"

enum { PERIOD_MS = 3600000, WATERMARK_PERCENT = 90 };

err_t garbage_is_due(task_t *t, repo_t *r, bool *ret)
{
    repo_stat_t s;
    TRY(repo_stat(t, r, &s));
    int64_t percent = config_int(repo_config(r), "Datastore.StorageGCWatermark", WATERMARK_PERCENT);
    if (percent < 0 || percent > 100)
        percent = WATERMARK_PERCENT;
    *ret = s.limited_bytes > s.max_bytes / 100 * (uint64_t)percent;
    return OK;
}

static err_t look(task_t *t, repo_t *r)
{
    bool is_due;
    gc_result_t result;
    TRY(garbage_is_due(t, r, &is_due));
    return is_due ? gc_run(t, repo_gc(r), NULL, NULL, &result) : OK;
}

/* Until it is time to look again, or a write has found no room, which is made then. */
static err_t watch_once(task_t *t, repo_t *r)
{
    uint64_t period_ms = config_duration_ms(repo_config(r), "Datastore.GCPeriod", PERIOD_MS);
    deadline_t d = deadline_push(t, period_ms ? period_ms : TIME_NEVER);
    err_t e = repo_wait_full(t, r);
    deadline_pop(t, &d);
    TRY(task_check(t));
    return e ? look(t, r) : repo_make_room(t, r);
}

err_t garbage_watch(task_t *t, void *repo)
{
    repo_t *r = repo;
    repo_keep_limit(r);
    for (;;) {
        err_t e = watch_once(t, r);
        TRY(task_check(t));
        if (e && e != ERR_IN_USE) /* IN_USE: somebody asked for one just now */
            log_warn("garbage was not collected", LOG_ERR(e));
    }
}
