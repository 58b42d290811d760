/* Visiting a store with several tasks: one lists into a ring, the others take from it. */
#include "store/blockstore.h"
#include <stdlib.h>

enum { QUEUE = 64 };

typedef struct listed {
    cid_t cid;
    uint64_t size_bytes;
} listed_t;
typedef struct each_run {
    blockstore_t *bs;
    blockstore_visit_fn visit;
    void *arg;
    listed_t queue[QUEUE]; /* a ring */
    size_t first, count;
    bool is_listed;  /* no more will come */
    event_t changed; /* of the three above */
} each_run_t;

static err_t visitor(task_t *t, void *arg)
{
    each_run_t *run = arg;
    for (;;) {
        while (!run->count && !run->is_listed)
            TRY(event_wait(t, &run->changed));
        if (!run->count)
            return OK;
        listed_t block = run->queue[run->first];
        run->first = (run->first + 1) % QUEUE;
        run->count--;
        event_fire(&run->changed);
        TRY(task_check(t));
        TRY(run->visit(t, run->arg, &block.cid, block.size_bytes));
    }
}

static err_t queue_block(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    each_run_t *run = arg;
    while (run->count == QUEUE)
        TRY(event_wait(t, &run->changed));
    run->queue[(run->first + run->count++) % QUEUE] = (listed_t){*cid, size_bytes};
    event_fire(&run->changed);
    return OK;
}

static err_t lister(task_t *t, void *arg)
{
    each_run_t *run = arg;
    err_t e = blockstore_each(t, run->bs, queue_block, run);
    run->is_listed = true;
    event_fire(&run->changed);
    return e;
}

err_t blockstore_each_parallel(task_t *t, blockstore_t *bs, size_t n_tasks, blockstore_visit_fn visit,
                               void *arg)
{
    each_run_t *run = xcalloc(1, sizeof *run);
    run->bs = bs;
    run->visit = visit;
    run->arg = arg;
    event_init(&run->changed);
    group_t g;
    group_init(&g, task_sched(t));
    g.cancel_on_error = true;
    err_t e = group_spawn(&g, "store lister", lister, run, NULL);
    for (size_t i = 0; i < n_tasks && !e; i++)
        e = group_spawn(&g, "store visitor", visitor, run, NULL);
    if (e)
        group_cancel(&g);
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    free(run);
    return e ? e : joined;
}
