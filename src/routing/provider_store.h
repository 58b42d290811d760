/* provider_store: who said that he has what. Records are kept in the space "dht-providers" of the state
 * database, key SHA-256(multihash) then the provider's peer id, written behind: up to a second, or 256
 * records, may be lost at a crash, which providers make good by announcing again.
 *
 * A record lives `ttl_ms` (48 h) after its last announcement, its addresses 24 h. Caps: records of one key,
 * of one provider, in total; a refused record is ERR_LIMIT. Spec: ipfs/specs kad-dht, provider records. */
#ifndef ROUTING_PROVIDER_STORE_H
#define ROUTING_PROVIDER_STORE_H
#include "base/map.h"
#include "logic/kad_key.h"
#include "multi/multiaddr.h"
#include "store/kv.h"

#define PROVIDER_ADDRS 8
typedef struct provider_limits {
    size_t max_per_key, max_per_peer, max_total;
    uint64_t ttl_ms, addr_ttl_ms;
} provider_limits_t;
void provider_limits_default(provider_limits_t *ret);

typedef struct provider_store {
    kv_t *kv; /* borrowed */
    sched_t *sched;
    provider_limits_t limits;
    peer_id_t self;  /* its own records are under no cap: they are as many as the node has blocks */
    map_t pending;   /* record key -> pending_t, not yet in kv */
    uint64_t serial; /* of the newest pending record */
    map_t by_peer;   /* peer id -> count of records, as of the last sweep and what came since */
    size_t total;
    event_t has_pending;
} provider_store_t;

void provider_store_init(provider_store_t *s, kv_t *kv, sched_t *sched, const peer_id_t *self,
                         const provider_limits_t *limits);
void provider_store_deinit(provider_store_t *s); /* forgets what was not flushed */

/* Announced now. addrs may be empty for self alone. Suspends. */
MUST_CHECK err_t provider_store_add(task_t *t, provider_store_t *s, bytes_t multihash, const peer_id_t *peer,
                                    const multiaddr_t *addrs, size_t n_addrs);
typedef struct provider {
    peer_id_t id;
    multiaddr_t addrs[PROVIDER_ADDRS];
    size_t n_addrs;
} provider_t;
/* Gives the valid records of a key, the newest announcement of each provider, until fn says stop. fn must not
 * wait; the provider is valid during the call. Suspends. */
MUST_CHECK err_t provider_store_get(task_t *t, provider_store_t *s, bytes_t multihash,
                                    bool (*fn)(void *arg, const provider_t *p), void *arg);
/* Writes what is pending. Suspends. */
MUST_CHECK err_t provider_store_flush(task_t *t, provider_store_t *s);
/* Deletes what has expired and counts the rest anew. Suspends; run it hourly. */
MUST_CHECK err_t provider_store_sweep(task_t *t, provider_store_t *s);
size_t provider_store_count(const provider_store_t *s);
/* A task for the store: flushes a second after something came, sweeps each hour, until it is cancelled;
 * then flushes what is left. arg: the store. */
err_t provider_store_task(task_t *t, void *store);
#endif
