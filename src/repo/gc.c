#include "repo/gc.h"
#include "base/log.h"
#include "dag/dag_walk.h"
#include "repo/gc_impl.h"
#include <stdlib.h>

#define SWEEP_BATCH 256

/* ── what is in use ──────────────────────────────────────────────────────────────────────────── */
/* Begins another period, unless the present one has hardly begun or there are many. */
static gc_period_t *begin_period(gc_t *gc)
{
    gc_period_t *last = gc->n_periods ? &gc->periods[gc->n_periods - 1] : NULL;
    if (last && (last->touches < GC_PERIOD_TOUCHES || gc->n_periods == GC_PERIODS_MAX))
        return last;
    gc_period_t *next = &gc->periods[gc->n_periods++];
    *next = (gc_period_t){.serial = gc->next_serial++};
    cid_filter_init(&next->touched);
    return next;
}

/* Forgets the oldest periods, which no hold needs. */
static void drop_periods(gc_t *gc)
{
    size_t n = 0;
    if (gc->is_running)
        return;
    while (n < gc->n_periods && !gc->periods[n].holds)
        cid_filter_deinit(&gc->periods[n++].touched);
    gc->n_periods -= n;
    memmove(gc->periods, gc->periods + n, gc->n_periods * sizeof *gc->periods);
}

gc_hold_t gc_hold(gc_t *gc)
{
    gc_period_t *p = begin_period(gc);
    p->holds++;
    return (gc_hold_t){gc, p->serial};
}

void gc_release(gc_hold_t *h)
{
    gc_t *gc = h->gc;
    if (!gc)
        return;
    h->gc = NULL;
    size_t i = 0;
    while (i < gc->n_periods && gc->periods[i].serial != h->since)
        i++;
    assert(i < gc->n_periods && gc->periods[i].holds);
    gc->periods[i].holds--;
    drop_periods(gc);
}

void gc_touch(gc_t *gc, const cid_t *cid)
{
    if (!gc->n_periods || cid_is_identity(cid))
        return;
    gc_period_t *p = &gc->periods[gc->n_periods - 1];
    p->touches++;
    cid_filter_add(&p->touched, cid);
}

static bool is_in_use(const gc_t *gc, const cid_t *cid)
{
    for (size_t i = 0; i < gc->n_periods; i++)
        if (cid_filter_may_have(&gc->periods[i].touched, cid))
            return true;
    return false;
}

static bytes_t key_of(const cid_t *cid, uint8_t out[CID_BINARY_MAX])
{
    return bytes_of(out, cid_encode_multihash(cid, out));
}

err_t gc_wait_removal(task_t *t, gc_t *gc, const cid_t *cid)
{
    uint8_t raw[CID_BINARY_MAX];
    while (map_count(&gc->removing) && map_has(&gc->removing, key_of(cid, raw)))
        TRY(event_wait(t, &gc->removed));
    return OK;
}

/* ── making ──────────────────────────────────────────────────────────────────────────────────── */
gc_t *gc_new(blockstore_t *store)
{
    gc_t *gc = xcalloc(1, sizeof *gc);
    gc->store = store;
    gc->blocks = store_blocks_new(store);
    map_init(&gc->removing, SWEEP_BATCH);
    event_init(&gc->removed);
    event_init(&gc->ended);
    return gc;
}

void gc_stop(task_t *t, gc_t *gc)
{
    gc->is_stopping = true;
    task_shield(t);
    while (gc->is_running)
        (void)!event_wait(t, &gc->ended);
    task_unshield(t);
}

void gc_free(gc_t *gc)
{
    if (!gc)
        return;
    assert(!gc->is_running && !gc->n_periods);
    store_blocks_free(gc->blocks);
    map_deinit(&gc->removing);
    free(gc->roots);
    free(gc);
}

static void add_roots(gc_t *gc, gc_roots_t roots)
{
    gc->roots = xrealloc(gc->roots, (gc->n_roots + 1) * sizeof *gc->roots);
    gc->roots[gc->n_roots++] = roots;
}

void gc_add_roots(gc_t *gc, gc_roots_fn roots, void *arg)
{
    add_roots(gc, (gc_roots_t){.fn = roots, .arg = arg});
}

void gc_add_partial_roots(gc_t *gc, gc_roots_fn roots, void *arg)
{
    add_roots(gc, (gc_roots_t){.fn = roots, .arg = arg, .is_partial = true});
}

bool gc_is_running(const gc_t *gc)
{
    return gc->is_running;
}

/* ── a run ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct gc_pass {
    gc_t *gc;
    dag_walker_t walker;
    cid_filter_t live;
    bool is_broken;  /* the root that is being walked */
    bool is_partial; /* need not be whole */
    cid_t batch[SWEEP_BATCH];
    uint64_t sizes[SWEEP_BATCH];
    size_t n;
    gc_removed_fn removed;
    void *removed_arg;
    gc_result_t result;
} gc_pass_t;

static err_t check_going(gc_t *gc)
{
    return gc->is_stopping ? fail(ERR_CANCELED, "the repository is being closed") : OK;
}

static err_t mark_block(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    gc_pass_t *pass = arg;
    TRY(check_going(pass->gc));
    cid_filter_add(&pass->live, cid);
    return OK;
}

/* What cannot be read stays, if it is there at all. A format whose links are not known ends the run: what is
 * below it might be needed. */
static err_t mark_missing(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    gc_pass_t *pass = arg;
    if (e != ERR_NOT_FOUND && e != ERR_CORRUPT)
        return e;
    cid_filter_add(&pass->live, cid);
    pass->is_broken = true;
    return OK;
}

static err_t keep_root(task_t *t, void *arg, const cid_t *root, bool is_recursive)
{
    gc_pass_t *pass = arg;
    if (!is_recursive) {
        cid_filter_add(&pass->live, root);
        return OK;
    }
    pass->is_broken = false;
    TRY(dag_walker_run(t, &pass->walker, root));
    pass->result.broken_pins += pass->is_broken && !pass->is_partial;
    return OK;
}

static err_t mark(task_t *t, gc_pass_t *pass)
{
    for (size_t i = 0; i < pass->gc->n_roots; i++) {
        pass->is_partial = pass->gc->roots[i].is_partial;
        TRY(pass->gc->roots[i].fn(t, pass->gc->roots[i].arg, keep_root, pass));
    }
    return OK;
}

/* Drops from the batch what was touched since it was put there. From here to the handing over to the store
 * nothing may wait. */
static err_t begin_removal(gc_pass_t *pass)
{
    gc_t *gc = pass->gc;
    size_t kept = 0;
    for (size_t i = 0; i < pass->n; i++) {
        uint8_t raw[CID_BINARY_MAX];
        if (is_in_use(gc, &pass->batch[i])) {
            pass->result.kept_blocks++;
            continue;
        }
        pass->batch[kept] = pass->batch[i];
        pass->sizes[kept++] = pass->sizes[i];
        TRY(map_put(&gc->removing, key_of(&pass->batch[i], raw), gc, NULL));
    }
    pass->n = kept;
    return OK;
}

static err_t remove_batch(task_t *t, gc_pass_t *pass)
{
    gc_t *gc = pass->gc;
    err_t e = begin_removal(pass);
    task_shield(t);
    if (!e)
        e = blockstore_remove(t, gc->store, pass->batch, pass->n);
    task_unshield(t);
    map_deinit(&gc->removing);
    map_init(&gc->removing, SWEEP_BATCH);
    event_fire(&gc->removed);
    TRY(e);
    size_t n = pass->n;
    pass->n = 0;
    for (size_t i = 0; i < n; i++) {
        pass->result.removed_blocks++;
        pass->result.removed_bytes += pass->sizes[i];
        if (pass->removed)
            TRY(pass->removed(t, pass->removed_arg, &pass->batch[i]));
    }
    return OK;
}

static err_t sweep_block(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    gc_pass_t *pass = arg;
    TRY(check_going(pass->gc));
    TRY(task_check(t));
    if (cid_filter_may_have(&pass->live, cid) || is_in_use(pass->gc, cid)) {
        pass->result.kept_blocks++;
        return OK;
    }
    pass->batch[pass->n] = *cid;
    pass->sizes[pass->n++] = size_bytes;
    return pass->n == SWEEP_BATCH ? remove_batch(t, pass) : OK;
}

static err_t mark_and_sweep(task_t *t, gc_pass_t *pass)
{
    TRY(mark(t, pass));
    if (pass->result.broken_pins) /* what hangs on a missing node is not known to be garbage */
        return OK;
    TRY(blockstore_each(t, pass->gc->store, sweep_block, pass));
    if (pass->n)
        TRY(remove_batch(t, pass));
    return blockstore_compact(t, pass->gc->store);
}

err_t gc_run(task_t *t, gc_t *gc, gc_removed_fn removed, void *arg, gc_result_t *ret)
{
    if (gc->is_running)
        return fail(ERR_IN_USE, "a garbage collection is under way");
    TRY(check_going(gc));
    begin_period(gc);
    gc->is_running = true;
    gc_pass_t *pass = xcalloc(1, sizeof *pass);
    pass->gc = gc;
    pass->removed = removed;
    pass->removed_arg = arg;
    cid_filter_init(&pass->live);
    dag_walker_init(&pass->walker, gc->blocks);
    pass->walker.skips_raw = true;
    pass->walker.visit = mark_block;
    pass->walker.missing = mark_missing;
    pass->walker.arg = pass;
    err_t e = mark_and_sweep(t, pass);
    gc_result_t result = pass->result;
    dag_walker_deinit(&pass->walker);
    cid_filter_deinit(&pass->live);
    free(pass);
    gc->is_running = false;
    drop_periods(gc);
    event_fire(&gc->ended);
    TRY(e);
    log_info("garbage collected", LOG_UINT("blocks", result.removed_blocks),
             LOG_UINT("bytes", result.removed_bytes));
    *ret = result;
    return OK;
}
