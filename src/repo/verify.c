/* repo_verify: a task lists the store, several read, check and mend. */
#include "base/log.h"
#include "repo/repo_impl.h"
#include <stdio.h>
#include <stdlib.h>

enum { READERS = 4, QUEUE = 64 };

typedef struct verify_run {
    repo_t *repo;
    const repo_verify_options_t *options;
    repo_verify_result_t result;
    cid_t queue[QUEUE]; /* a ring */
    size_t first, count;
    bool is_over;    /* no more will come */
    event_t changed; /* of the three above */
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

static err_t verify_block(task_t *t, verify_run_t *run, const cid_t *cid)
{
    char why[ERROR_TEXT_MAX];
    blockstore_t *store = run->repo->store;
    err_t e = blockstore_verify(t, store, cid);
    if (!e)
        return tell(t, run, cid, VERIFY_SOUND, "", "");
    snprintf(why, sizeof why, "%s",
             e == ERR_IO ? error_text(e) : "block in storage has different hash than requested"); /* as Kubo */
    if (e == ERR_NOT_FOUND && !blockstore_has(t, store, cid) && !store->ops->wrong_is_absent)
        return OK; /* removed meanwhile */
    if (e != ERR_CORRUPT && e != ERR_NOT_FOUND && e != ERR_IO)
        return e;
    log_info("a block is damaged", LOG_STR("why", why));
    return mend(t, run, cid, why);
}

static err_t read_queue(task_t *t, verify_run_t *run)
{
    for (;;) {
        while (!run->count && !run->is_over)
            TRY(event_wait(t, &run->changed));
        if (!run->count)
            return OK;
        cid_t cid = run->queue[run->first];
        run->first = (run->first + 1) % QUEUE;
        run->count--;
        event_fire(&run->changed);
        TRY(verify_block(t, run, &cid));
    }
}

static err_t reader(task_t *t, void *arg)
{
    verify_run_t *run = arg;
    err_t e = read_queue(t, run);
    run->is_over = true; /* its own end, when it failed, is that of all */
    if (e)
        run->count = 0;
    event_fire(&run->changed);
    return e;
}

static err_t queue_block(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    verify_run_t *run = arg;
    while (run->count == QUEUE && !run->is_over)
        TRY(event_wait(t, &run->changed));
    if (run->is_over)
        return fail(ERR_CANCELED, "the verification ended");
    run->queue[(run->first + run->count++) % QUEUE] = *cid;
    event_fire(&run->changed);
    return OK;
}

static err_t lister(task_t *t, void *arg)
{
    verify_run_t *run = arg;
    err_t e = blockstore_each(t, run->repo->store, queue_block, run);
    run->is_over = true;
    event_fire(&run->changed);
    return e;
}

err_t repo_verify(task_t *t, repo_t *r, const repo_verify_options_t *o, repo_verify_result_t *ret)
{
    verify_run_t *run = xcalloc(1, sizeof *run);
    run->repo = r;
    run->options = o;
    event_init(&run->changed);
    gate_init(&run->telling, 1);
    group_t g;
    group_init(&g, task_sched(t));
    err_t e = group_spawn(&g, "verify lister", lister, run, NULL);
    for (size_t i = 0; i < READERS && !e; i++)
        e = group_spawn(&g, "verify reader", reader, run, NULL);
    if (e)
        group_cancel(&g);
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    e = e ? e : joined;
    if (!e)
        *ret = run->result;
    free(run);
    return e;
}
