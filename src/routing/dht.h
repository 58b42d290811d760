/* dht: one instance of the DHT: WAN (/ipfs/kad/1.0.0, public addresses) or LAN (/ipfs/lan/kad/1.0.0, private
 * ones), or in their place that of a mesh (/distribute/mesh/kad/1.0.0, all addresses, those at relays too).
 * Each has its own table and streams; all share the stores. What the parts of an instance share; used within
 * routing/ alone. */
#ifndef ROUTING_DHT_H
#define ROUTING_DHT_H
#include "logic/kbucket.h"
#include "logic/lookup.h"
#include "logic/netsize.h"
#include "net/host.h"
#include "routing/dht_client.h"
#include "routing/provider_store.h"
#include "routing/routing.h"
#include "routing/value_store.h"
#include "wire/kad.h"

#define DHT_K 20
#define DHT_ADDRS_PER_PEER 8 /* what answers carry of one peer */

typedef struct dht {
    routing_t *routing;
    host_t *host;
    sched_t *sched;
    const char *name;     /* "wan", "lan", "mesh" */
    const char *protocol; /* KAD_PROTOCOL_… */
    bool is_lan, takes_loopback, is_server;
    bool is_mesh; /* then is_lan, too: peers near each other are nothing strange */
    peer_id_t self;
    kbucket_t table;
    netsize_t size; /* of this network */
    dht_client_t client;
    provider_store_t *providers; /* borrowed, as is values */
    value_store_t *values;
    routing_stats_t *stats;
    map_t candidates;    /* peer id -> marker: met, to be asked before they enter the table */
    bool is_filled;      /* its first refresh has ended */
    uint64_t online_at;  /* monotonic ms at which the table got its first peer */
    event_t wake;        /* of its maintenance: peers came, checks are wanted */
    uint64_t refresh_at; /* monotonic ms of the next refresh */
    map_t rates;         /* peer id -> rate_t, of its requests to us */
    list_t serving;      /* of server_t: the tasks that serve a stream now */
    event_t served;      /* one of them has ended */
} dht_t;

typedef enum { DHT_WAN, DHT_LAN, DHT_MESH } dht_kind_t;
void dht_init(dht_t *d, routing_t *r, host_t *h, dht_kind_t kind, bool takes_loopback);
void dht_deinit(dht_t *d);

/* Does a peer with this address belong into this DHT's table and its lookups? */
bool dht_takes_addr(const dht_t *d, const multiaddr_t *addr);
/* May this address of a peer or a provider go into messages of this DHT? In the WAN also one through a relay:
 * peers behind a NAT have no other. */
bool dht_shows_addr(const dht_t *d, const multiaddr_t *addr);
/* The addresses of a peer (ours for self) that belong into messages of this DHT, direct ones first. */
size_t dht_addrs_of(dht_t *d, const peer_id_t *peer, multiaddr_t *out, size_t cap);
/* A connected peer has been identified or has changed its protocols: it becomes a candidate for the table, or
 * leaves the table. */
void dht_meet(dht_t *d, const peer_id_t *peer, conn_t *conn);
bool dht_next_candidate(dht_t *d, peer_id_t *ret_peer); /* takes it */
/* It has answered a request: into the table, when it serves this DHT and there is room. */
void dht_admit(dht_t *d, const peer_id_t *peer);
void dht_lose(dht_t *d, const peer_id_t *peer); /* it failed a request */

/* Serves or stops serving requests (stopping: the protocol is no longer told to others). */
MUST_CHECK err_t dht_serve(dht_t *d);
void dht_stop_serving(dht_t *d);
/* Cancels those who serve now and waits for their end. */
void dht_end_serving(task_t *t, dht_t *d);
#endif
