/* fiber: a stack of its own for a function that wants to stop in the middle. The only code that
 * switches stacks: makecontext starts a fiber, setjmp and longjmp switch, so no assembly is needed.
 *
 * A fiber is entered and left on one thread only. Stacks are 256 KiB (1 MiB under sanitizers),
 * reserved but touched lazily, with a guard page below: an overflow faults. */
#ifndef TASK_FIBER_H
#define TASK_FIBER_H
#include "base/error.h"
#include "base/list.h"

typedef struct fiber fiber_t;
/* Stacks of ended fibers, for the next ones. A few keep their pages, the others give them back. */
typedef struct fiber_pool {
    list_t idle; /* the warm ones first */
    size_t idle_count, warm_count;
} fiber_pool_t;

void fiber_pool_init(fiber_pool_t *p);
void fiber_pool_deinit(fiber_pool_t *p); /* idempotent */
/* ret_fiber: owned, for fiber_free. fn runs at the first fiber_enter. ERR_NO_MEMORY. */
MUST_CHECK err_t fiber_new(fiber_pool_t *p, void (*fn)(void *arg), void *arg, fiber_t **ret_fiber);
void fiber_free(fiber_pool_t *p, fiber_t *f); /* done, or never entered */
/* Runs the fiber until it leaves or its function returns. Not from inside a fiber. */
void fiber_enter(fiber_t *f);
void fiber_leave(fiber_t *f); /* from inside it: back to fiber_enter */
bool fiber_is_done(const fiber_t *f);
size_t fiber_stack_used(const fiber_t *f); /* bytes of touched pages; for diagnostics */
#endif
