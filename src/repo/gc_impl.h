/* gc_impl: the collector, its guard over the store, and its making. Only for repo/. */
#ifndef REPO_GC_IMPL_H
#define REPO_GC_IMPL_H
#include "base/map.h"
#include "dag/cid_set.h"
#include "repo/gc.h"
#include "repo/pins.h"

typedef struct gc_roots {
    gc_roots_fn fn;
    void *arg;
} gc_roots_t;
struct gc {
    blockstore_t *store; /* the one below the guard */
    blocks_t *blocks;    /* over the store below the guard: reading here keeps nothing */
    gc_roots_t *roots;
    size_t n_roots;
    size_t holds;
    bool is_running, is_stopping;
    cid_filter_t recent; /* touched while is_running or held */
    map_t removing;      /* multihashes of the batch that is being removed */
    event_t removed;     /* a batch is gone */
    event_t ended;       /* a run has ended */
};
gc_t *gc_new(blockstore_t *store); /* borrows it */
void gc_stop(task_t *t, gc_t *gc); /* ends a run and waits for its end */
void gc_free(gc_t *gc);
/* Waits while the block is being removed. ERR_CANCELED, ERR_TIMEOUT. */
MUST_CHECK err_t gc_wait_removal(task_t *t, gc_t *gc, const cid_t *cid);

/* A store in front of a store, which tells the collector what passes. Closing it leaves the other open. */
blockstore_t *guard_new(blockstore_t *store, gc_t *gc);
/* dag/blocks.h over a block store, which is borrowed. */
blocks_t *store_blocks_new(blockstore_t *store);
void store_blocks_free(blocks_t *b);

pins_t *pins_new(kv_t *state, gc_t *gc);
void pins_free(pins_t *p);
/* The pins as roots. */
err_t pins_roots(task_t *t, void *pins, gc_keep_fn keep, void *keep_arg);
#endif
