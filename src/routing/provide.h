/* provide: announcing what this node has. A bounded queue without doubles; one lookup per region of the key
 * space serves all queued keys that fall into it; a cycle goes through everything that the node has, in
 * slices, and remembers in the state database how far it came, so that a restart goes on from there. */
#ifndef ROUTING_PROVIDE_H
#define ROUTING_PROVIDE_H
#include "base/map.h"
#include "routing/routing.h"

enum {
    PROVIDE_QUEUE_MAX = 16384,
    PROVIDE_SLICE_KEYS = 8192, /* what one pass over the source collects */
    PROVIDE_BATCH_MAX = 1024,  /* keys announced with one lookup */
    PROVIDE_PARALLEL = 4,      /* lookups at a time */
    PROVIDE_RETRY_MIN_MS = 5000,
    PROVIDE_RETRY_MAX_MS = 600 * 1000
};

typedef struct provide {
    routing_t *routing;
    map_t queue; /* multihash -> NULL marker, in order */
    event_t changed;
    provide_source_fn source; /* NULL: none yet */
    void *source_arg;
    bool has_missed; /* something found no room in the queue: the next cycle begins at once */
    size_t n_active;
    uint64_t retry_at_ms, backoff_ms; /* after nobody took a record */
} provide_t;

void provide_init(provide_t *p, routing_t *r);
void provide_deinit(provide_t *p);
/* When the queue is full it is dropped, and a cycle begins as soon as may be. */
void provide_enqueue(provide_t *p, bytes_t multihash);
/* Announces one key now. ERR_UNREACHABLE: nobody took it. */
MUST_CHECK err_t provide_now(task_t *t, provide_t *p, bytes_t multihash);
/* Tasks for the life of routing; arg: the provide_t. */
err_t provide_queue_task(task_t *t, void *provide);
err_t provide_cycle_task(task_t *t, void *provide);
#endif
