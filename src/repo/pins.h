/* pins: what the garbage collector must leave alone. Kept in the state database; indexed by CID, listed in
 * pages, so that a million pins cost a page of memory. As in Kubo a pin belongs to a CID (version and codec
 * included) and is recursive (the DAG below it too) or direct (this block alone); indirect is what a
 * recursive pin reaches, and is computed, never stored. */
#ifndef REPO_PINS_H
#define REPO_PINS_H
#include "dag/blocks.h"
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

/* Walks the DAG through `from` first (so that all of it is here, fetched when `from` fetches), then records
 * the pin, durably: the blocks are made durable before the record. Pinning again changes the name; a
 * recursive pin takes the place of a direct one; a direct pin of what is pinned recursively is ERR_EXISTS, as
 * in Kubo. Blocks that the walk passes are held against garbage collection meanwhile. ERR_NOT_FOUND: a block
 * is missing. ERR_USAGE: the name is too long or not UTF-8. ERR_IO: the disk lost blocks that the walk had
 * passed. */
MUST_CHECK err_t pins_add(task_t *t, pins_t *p, blocks_t *from, const cid_t *cid, pin_mode_t mode,
                          const char *name, pins_progress_fn progress, void *arg);
/* The same without a walk, for a DAG that the caller has just written, under a hold of the collector. */
MUST_CHECK err_t pins_add_present(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode, const char *name);
/* ERR_NOT_FOUND "not pinned or pinned indirectly", as Kubo words it; ERR_INVALID "is pinned recursively"
 * when mode is PIN_DIRECT and the pin is recursive. mode PIN_ANY removes either. */
MUST_CHECK err_t pins_remove(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode);
/* Moves a recursive pin; the new DAG is walked first, and made durable before the record. */
MUST_CHECK err_t pins_update(task_t *t, pins_t *p, blocks_t *from, const cid_t *old_cid, const cid_t *new_cid,
                             bool keep_old);

/* Recursive or direct pin of exactly this CID. ERR_NOT_FOUND. */
MUST_CHECK err_t pins_find(task_t *t, pins_t *p, const cid_t *cid, pin_t *ret_pin);
/* Also indirect: then ret_through (may be NULL) is the pin that reaches it. Walks local blocks only.
 * Costs a walk over all recursive pins when the answer is "no". ERR_NOT_FOUND. */
MUST_CHECK err_t pins_find_any(task_t *t, pins_t *p, blocks_t *local, const cid_t *cid, pin_t *ret_pin,
                               cid_t *ret_through);
/* Streams pins of the modes (bits of pin_mode_t; PIN_INDIRECT walks every recursive pin through `local`).
 * name_part NULL: any name, else the pin's name must contain it. Stops at the visitor's first error. */
typedef err_t (*pins_visit_fn)(task_t *t, void *arg, const pin_t *pin);
MUST_CHECK err_t pins_each(task_t *t, pins_t *p, blocks_t *local, unsigned modes, const char *name_part,
                           pins_visit_fn visit, void *arg);
MUST_CHECK err_t pins_count(task_t *t, pins_t *p, uint64_t *ret_count);

/* Checks that all blocks below recursive pins are here and sound. Visits each pin; on a broken one, `bad` is
 * the CID that is missing or damaged and `why` tells which. */
typedef err_t (*pins_verify_fn)(task_t *t, void *arg, const pin_t *pin, const cid_t *bad, err_t why);
MUST_CHECK err_t pins_verify(task_t *t, pins_t *p, blocks_t *local, pins_verify_fn visit, void *arg);
#endif
