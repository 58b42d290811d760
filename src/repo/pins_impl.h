/* pins_impl: what pins.c and pins_list.c share. */
#ifndef REPO_PINS_IMPL_H
#define REPO_PINS_IMPL_H
#include "repo/gc_impl.h"
#include "repo/pins.h"

#define PINS_SPACE "pins"
struct pins {
    kv_t *state;
    gc_t *gc;
};
/* The records alone, in the order of their CIDs. */
MUST_CHECK err_t pins_each_recorded(task_t *t, pins_t *p, unsigned modes, const char *name_part,
                                    pins_visit_fn visit, void *arg);
#endif
