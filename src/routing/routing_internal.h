/* routing_internal: what the parts of routing/ share behind the face. */
#ifndef ROUTING_ROUTING_INTERNAL_H
#define ROUTING_ROUTING_INTERNAL_H
#include "routing/dht.h"
#include "routing/lookup_task.h"
#include "routing/provide.h"

struct routing {
    host_t *host;
    sched_t *sched;
    routing_config_t config;
    dht_t dhts[2];
    size_t n_dhts;
    provider_store_t providers;
    value_store_t values;
    provide_t provides[2];    /* of each DHT */
    provide_source_fn source; /* NULL: none yet */
    void *source_arg;
    provide_check_fn has_ourselves; /* NULL: our records say */
    void *has_arg;
    routing_stats_t stats;
    char *delegated[ROUTING_DELEGATED_MAX]; /* n_delegated of them */
    size_t n_delegated;
    char *publishers[ROUTING_DELEGATED_MAX]; /* n_publishers of them */
    size_t n_publishers;
    host_listener_t listener;
    group_t tasks;
    event_t changed; /* a table got peers, or was refreshed */
};

/* Runs fn once for each DHT, in parallel; the first error of those that failed when all did, else OK.
 * A time-out or cancellation is passed on. */
typedef err_t (*per_dht_fn)(task_t *t, dht_t *d, size_t index, void *arg);
MUST_CHECK err_t routing_for_each_dht(task_t *t, routing_t *r, per_dht_fn fn, void *arg);
/* Runs fn once for each router, in the group; what fails is told at debug level. */
typedef struct per_router {
    routing_t *routing;
    err_t (*fn)(task_t *t, const char *router, void *arg);
    void *arg;
    const char *router;
} per_router_t;
void routing_ask_routers(group_t *g, routing_t *r, err_t (*fn)(task_t *, const char *, void *), void *arg);
void routing_ask_publishers(group_t *g, routing_t *r, err_t (*fn)(task_t *, const char *, void *), void *arg);
bool routing_has_peers(const routing_t *r);
bool routing_has_ourselves(task_t *t, routing_t *r, bytes_t multihash);

/* bootstrap.c: tasks for the life of routing; arg is a dht_t, or the routing_t. */
err_t dht_maintain_task(task_t *t, void *dht);
err_t dht_check_task(task_t *t, void *dht);
err_t remembered_peers_task(task_t *t, void *routing);
void bootstrap_meet_all(routing_t *r);
#endif
