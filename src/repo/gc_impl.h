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
    bool is_partial;
} gc_roots_t;
/* What was touched in a stretch of time. A hold keeps the period in which it began and all later ones; none
 * is forgotten during a run, which may have looked at the pins before a hold ended with one. Adds that
 * overlap without end do not keep garbage without end. */
enum { GC_PERIODS_MAX = 32, GC_PERIOD_TOUCHES = 64 /* fewer do not make it worth while to begin another */ };
typedef struct gc_period {
    uint64_t serial;
    size_t holds, touches;
    cid_filter_t touched;
} gc_period_t;
struct gc {
    blockstore_t *store; /* the one below the guard */
    blocks_t *blocks;    /* over the store below the guard: reading here keeps nothing */
    gc_roots_t *roots;
    size_t n_roots;
    uint64_t releases; /* counts what was let go: pins that were removed or moved */
    bool is_running, is_stopping;
    gc_period_t periods[GC_PERIODS_MAX]; /* the oldest first; none: nothing need be remembered */
    size_t n_periods;
    uint64_t next_serial;
    map_t removing;  /* multihashes of the batch that is being removed */
    event_t removed; /* a batch is gone */
    event_t ended;   /* a run has ended */
};
gc_t *gc_new(blockstore_t *store); /* borrows it */
void gc_stop(task_t *t, gc_t *gc); /* ends a run and waits for its end */
void gc_free(gc_t *gc);
/* Waits while the block is being removed. ERR_CANCELED, ERR_TIMEOUT. */
MUST_CHECK err_t gc_wait_removal(task_t *t, gc_t *gc, const cid_t *cid);

/* A store in front of a store, which tells the collector what passes, and keeps the limit of the room. waits:
 * see room.h. Closing it leaves the other open. */
struct room;
blockstore_t *guard_new(blockstore_t *store, gc_t *gc, struct room *room, bool waits);
/* dag/blocks.h over a block store, which is borrowed. */
blocks_t *store_blocks_new(blockstore_t *store);
void store_blocks_free(blocks_t *b);

pins_t *pins_new(kv_t *state, gc_t *gc);
void pins_free(pins_t *p);
/* The pins as roots. */
err_t pins_roots(task_t *t, void *pins, gc_keep_fn keep, void *keep_arg);
#endif
