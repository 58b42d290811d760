/* provide: announcing what this node has, in one DHT. New keys wait in a bounded queue without doubles and go
 * out soon; everything that the node has goes out once in each interval, by a sweep over the key space
 * (logic/sweep), whose place is kept in the state database: a restart goes on from there. Both announce
 * region by region (announce.h), so that the number of lookups depends on the network, not on the keys. */
#ifndef ROUTING_PROVIDE_H
#define ROUTING_PROVIDE_H
#include "base/map.h"
#include "logic/sweep.h"
#include "routing/announce.h"
#include "routing/routing.h"

enum {
    PROVIDE_QUEUE_MAX = 16384,
    PROVIDE_QUEUE_LONELY = 1024, /* kept for a DHT without peers, which a sweep will catch up with */
    PROVIDE_PARALLEL = 4,        /* regions of the queue at a time */
    PROVIDE_RETRY_MIN_MS = 5000,
    PROVIDE_RETRY_MAX_MS = 600 * 1000,
    PROVIDE_RELOAD_MIN_MS = 60 * 60 * 1000, /* a sweep takes up what came and went so often at most */
};

typedef struct provide {
    routing_t *routing;
    dht_t *dht;
    map_t queue; /* multihash -> where it lies in the key space (provide.c), in order */
    event_t changed;
    bool has_missed; /* something found no room in the queue: all is announced again */
    size_t n_active;
    uint64_t retry_at_ms, backoff_ms; /* after nobody took a record */
    /* the sweep */
    sweep_t sweep;
    key_runs_t *keys;      /* those that are still to come; NULL: none yet */
    bool has_taken;        /* some were taken out of it for the region that is announced now */
    uint64_t reload_at_ms; /* when they are read from the source again */
    bool is_sweeping;
    provide_stats_t stats; /* what is counted as it happens */
} provide_t;

void provide_init(provide_t *p, routing_t *r, dht_t *d);
void provide_deinit(provide_t *p);
/* When the queue is full it is dropped, and the sweep goes over everything at once. */
void provide_enqueue(provide_t *p, bytes_t multihash);
/* Announces one key now. ERR_UNREACHABLE: nobody took it. */
MUST_CHECK err_t provide_now(task_t *t, provide_t *p, bytes_t multihash);
size_t provide_clear(provide_t *p); /* the queue; how many there were */
void provide_stats(const provide_t *p, task_t *t, provide_stats_t *ret);
/* Waits until the DHT knows its neighbourhood: announcing is of no use before. */
MUST_CHECK err_t provide_wait_until_ready(task_t *t, provide_t *p);
/* After a failure: tried again, less and less often. */
void provide_back_off(provide_t *p, uint64_t now_ms);
/* Adds to the figures of this run. */
void provide_count(provide_t *p, const region_t *r, const announce_figures_t *f);
/* Does something wait that the sweep's place, which is kept, does not tell of? */
bool provide_is_behind(const provide_t *p);
/* The tasks have ended: the next run announces everything, with what waited. */
void provide_leave_behind(task_t *t, provide_t *p);
/* Tasks for the life of routing; arg: the provide_t. */
err_t provide_queue_task(task_t *t, void *provide);
err_t provide_sweep_task(task_t *t, void *provide);
#endif
