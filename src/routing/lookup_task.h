/* lookup_task: drives the lookup engine over the host: alpha tasks ask, their answers feed the engine. */
#ifndef ROUTING_LOOKUP_TASK_H
#define ROUTING_LOOKUP_TASK_H
#include "routing/dht.h"

typedef struct lookup_job {
    dht_t *dht;
    kad_type_t type; /* KAD_FIND_NODE, KAD_GET_PROVIDERS or KAD_GET_VALUE */
    bytes_t key;     /* the preimage; borrowed until the lookup has ended */
    /* Called for each answer, with how long it took; false ends the lookup. May be NULL. Must not wait. */
    bool (*on_answer)(void *arg, dht_t *dht, const peer_id_t *from, const kad_message_t *answer);
    /* FIND_NODE of a peer: end as soon as we are connected to it. */
    const peer_id_t *wanted;
    /* Called after each answer: true ends the lookup. May be NULL. Must not wait. */
    bool (*on_progress)(void *arg, const lookup_t *engine);
    bool is_upkeep; /* of a table: nothing is put where it leads, so one path will do */
    hop_fn hop;     /* may be NULL */
    void *arg;      /* of on_answer, on_progress */
    void *hop_arg;
} lookup_job_t;

typedef struct lookup_result {
    /* That answered, the closest first; more than DHT_K where it is crowded. */
    peer_id_t closest[LOOKUP_CLOSEST_MAX];
    size_t n_closest;
    bool is_crowded;
    lookup_end_t end;
    size_t requests, failed, hops;
} lookup_result_t;

/* Until done, stopped, or the deadline: ERR_TIMEOUT and ERR_CANCELED give what was found by then in ret,
 * too. Peers that fail leave the table. ERR_NOT_FOUND: the table is empty. */
MUST_CHECK err_t lookup_run(task_t *t, const lookup_job_t *job, lookup_result_t *ret);
/* Bytes of a request that is a type and a key alone. */
MUST_CHECK err_t lookup_request(kad_type_t type, bytes_t key, buf_t *out);
/* Asks one peer for who is close to us: does it live and answer? It enters, keeps or loses its place. */
MUST_CHECK err_t lookup_check_peer(task_t *t, dht_t *d, const peer_id_t *peer);
#endif
