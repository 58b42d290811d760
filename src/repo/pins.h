/* pins: what the garbage collector must leave alone. Kept in the state database; indexed by CID, listed in
 * pages, so that a million pins cost a page of memory. As in Kubo a pin belongs to a CID (version and codec
 * included) and is recursive (the DAG below it too) or direct (this block alone); indirect is what a
 * recursive pin reaches, and is computed, never stored. */
#ifndef REPO_PINS_H
#define REPO_PINS_H
#include "dag/blocks.h"
#include "dag/cid_set.h"
#include "repo/gc.h"
#include "store/kv.h"

#define PIN_NAME_MAX_BYTES 255 /* as Kubo */
typedef struct pins pins_t;
typedef enum { PIN_RECURSIVE = 1, PIN_DIRECT = 2, PIN_INDIRECT = 4, PIN_ANY = 7 } pin_mode_t;
typedef struct pin {
    cid_t cid;
    pin_mode_t mode;
    char name[PIN_NAME_MAX_BYTES + 1]; /* "" when none */
} pin_t;
const char *pin_mode_name(pin_mode_t mode);                              /* "recursive" */
MUST_CHECK err_t pin_mode_parse(const char *text, pin_mode_t *ret_mode); /* also "all"; ERR_USAGE */

/* Called for each block that a walk has read. */
typedef void (*pins_progress_fn)(void *arg, const cid_t *cid, uint64_t size_bytes);

/* Several pins that are recorded together: one sync for all. */
typedef struct pins_batch {
    pins_t *pins; /* borrowed */
    gc_hold_t hold;
    uint64_t losses;
    kv_batch_t records;
} pins_batch_t;
void pins_batch_init(pins_batch_t *b, pins_t *p);
void pins_batch_deinit(pins_batch_t *b); /* idempotent; forgets what was not committed */
AUTO_DEFINE(pins_batch_t, pins_batch_deinit)
/* As pins_add, but for the record, which waits for pins_batch_commit. After an error the batch is as before.
 */
MUST_CHECK err_t pins_batch_add(task_t *t, pins_batch_t *b, blocks_t *from, const cid_t *cid, pin_mode_t mode,
                                const char *name, pins_progress_fn progress, void *arg);
/* ERR_IO: the disk lost blocks that walks had passed; nothing is pinned then. */
MUST_CHECK err_t pins_batch_commit(task_t *t, pins_batch_t *b);

/* Walks the DAG through `from` first (so that all of it is here, fetched when `from` fetches), then records
 * the pin, durably: the blocks are made durable before the record. Pinning again changes the name; a
 * recursive pin takes the place of a direct one; a direct pin of what is pinned recursively is ERR_EXISTS, as
 * in Kubo. Blocks that the walk passes are held against garbage collection meanwhile. ERR_NOT_FOUND: a block
 * is missing. ERR_USAGE: the name is too long or not UTF-8. ERR_IO: the disk lost blocks that the walk had
 * passed. */
MUST_CHECK err_t pins_add(task_t *t, pins_t *p, blocks_t *from, const cid_t *cid, pin_mode_t mode,
                          const char *name, pins_progress_fn progress, void *arg);
/* A recursive pin without a name, of a DAG of which `known` is here, durable and held against collection:
 * that is not walked. */
MUST_CHECK err_t pins_add_known(task_t *t, pins_t *p, blocks_t *from, const cid_t *cid,
                                const cid_set_t *known);
/* The same without a walk, for a DAG that the caller has just written, under a hold of the collector. */
MUST_CHECK err_t pins_add_present(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode, const char *name);
/* The same for many at once: all or none, and one sync. */
MUST_CHECK err_t pins_add_all_present(task_t *t, pins_t *p, const pin_t *pins, size_t n);
/* ERR_NOT_FOUND "not pinned or pinned indirectly", as Kubo words it; ERR_INVALID "is pinned recursively"
 * when mode is PIN_DIRECT and the pin is recursive. mode PIN_ANY removes either. */
MUST_CHECK err_t pins_remove(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode);
/* Moves a recursive pin. What the old one keeps is taken as here; the rest of the new DAG is walked first,
 * and made durable before the record. ERR_NOT_FOUND: the old one is not pinned recursively; ERR_EXISTS: the
 * new one is, as in Kubo. */
MUST_CHECK err_t pins_update(task_t *t, pins_t *p, blocks_t *from, const cid_t *old_cid, const cid_t *new_cid,
                             bool keep_old);

/* Recursive or direct pin of exactly this CID. ERR_NOT_FOUND. */
MUST_CHECK err_t pins_find(task_t *t, pins_t *p, const cid_t *cid, pin_t *ret_pin);
/* What a CID is to the pins. */
typedef struct pin_check {
    pin_t pin;     /* in: cid; out: name, and mode, 0 when it is not pinned in one of the modes asked for */
    cid_t through; /* of an indirect one: the pin that reaches it */
} pin_check_t;
/* Fills in all n. Those that have no pin of their own cost one walk over the recursive pins together, through
 * `local`, which ends when all are found; what is missing there is passed over. As in Kubo, a CID may be
 * direct and indirect at once, and one that is pinned recursively is not indirect. */
MUST_CHECK err_t pins_check(task_t *t, pins_t *p, blocks_t *local, unsigned modes, pin_check_t *checks,
                            size_t n);
/* Streams pins of the modes (bits of pin_mode_t; PIN_INDIRECT walks every recursive pin through `local` and
 * gives what has no pin of its own). name_part NULL: any name, else the pin's name must contain it. Stops at
 * the visitor's first error. Memory: a page of pins, 2 bytes for each pin and 25 for each indirect one. */
typedef err_t (*pins_visit_fn)(task_t *t, void *arg, const pin_t *pin);
MUST_CHECK err_t pins_each(task_t *t, pins_t *p, blocks_t *local, unsigned modes, const char *name_part,
                           pins_visit_fn visit, void *arg);
MUST_CHECK err_t pins_count(task_t *t, pins_t *p, uint64_t *ret_count);

/* Checks that all blocks below recursive pins are here and sound; what several pins reach is read once.
 * Visits each pin; a broken one with the blocks that are missing or damaged. */
#define PIN_BAD_MAX 256 /* told of one pin; there may be more */
typedef struct pin_bad {
    cid_t cid;
    char why[200];
} pin_bad_t;
typedef err_t (*pins_verify_fn)(task_t *t, void *arg, const pin_t *pin, const pin_bad_t *bad, size_t n_bad);
MUST_CHECK err_t pins_verify(task_t *t, pins_t *p, blocks_t *local, pins_verify_fn visit, void *arg);
#endif
