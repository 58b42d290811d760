/* repo_verify: several tasks read, check and mend. */
#include "base/log.h"
#include "repo/repo_impl.h"
#include <stdio.h>

enum { READERS = 4 };

typedef struct verify_run {
    repo_t *repo;
    const repo_verify_options_t *options;
    repo_verify_result_t result;
    gate_t telling;
} verify_run_t;

static err_t tell(task_t *t, verify_run_t *run, const cid_t *cid, verify_outcome_t outcome, const char *why,
                  const char *why_not)
{
    run->result.checked++;
    run->result.of[outcome]++;
    if (!run->options->visit)
        return OK;
    TRY(gate_enter(t, &run->telling));
    err_t e = run->options->visit(t, run->options->arg, cid, outcome, why, why_not);
    gate_leave(&run->telling);
    return e;
}

static err_t fetch(task_t *t, verify_run_t *run, const cid_t *cid)
{
    AUTO_PTR(block_t) block = NULL;
    uint64_t timeout_ms = run->options->heal_timeout_ms, losses = blockstore_losses(run->repo->store);
    deadline_t d = deadline_push(t, timeout_ms ? timeout_ms : TIME_NEVER);
    err_t e = blocks_get(t, run->options->heal_from, cid, &block);
    deadline_pop(t, &d);
    return e ? e : blockstore_sync_since(t, run->repo->store, losses);
}

static err_t mend(task_t *t, verify_run_t *run, const cid_t *cid, const char *why)
{
    char why_not[ERROR_TEXT_MAX];
    if (!run->options->drop && !run->options->heal_from)
        return tell(t, run, cid, VERIFY_CORRUPT, why, "");
    verify_outcome_t outcome = VERIFY_REMOVED;
    err_t e = blockstore_remove(t, run->repo->store, cid, 1);
    if (e)
        outcome = VERIFY_REMOVE_FAILED;
    if (!e && run->options->heal_from) {
        e = fetch(t, run, cid);
        outcome = e ? VERIFY_HEAL_FAILED : VERIFY_HEALED;
    }
    snprintf(why_not, sizeof why_not, "%s", e ? error_text(e) : "");
    TRY(task_check(t));
    return tell(t, run, cid, outcome, why, why_not);
}

static err_t verify_block(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    verify_run_t *run = arg;
    char why[ERROR_TEXT_MAX];
    blockstore_t *store = run->repo->store;
    err_t e = blockstore_verify(t, store, cid);
    if (!e)
        return tell(t, run, cid, VERIFY_SOUND, "", "");
    snprintf(why, sizeof why, "%s",
             e == ERR_IO ? error_text(e)
                         : "block in storage has different hash than requested"); /* as Kubo */
    if (e == ERR_NOT_FOUND && !blockstore_has(t, store, cid) && !store->ops->wrong_is_absent)
        return OK; /* removed meanwhile */
    if (e != ERR_CORRUPT && e != ERR_NOT_FOUND && e != ERR_IO)
        return e;
    log_info("a block is damaged", LOG_STR("why", why));
    return mend(t, run, cid, why);
}

err_t repo_verify(task_t *t, repo_t *r, const repo_verify_options_t *o, repo_verify_result_t *ret)
{
    verify_run_t run = {.repo = r, .options = o};
    gate_init(&run.telling, 1);
    TRY(blockstore_each_parallel(t, r->store, READERS, verify_block, &run));
    *ret = run.result;
    return OK;
}
