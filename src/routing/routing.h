/* routing: who has what and where peers are. The DHT (two of them: WAN and LAN) behind one face.
 * Spec: ipfs/specs kad-dht; reference go-libp2p-kad-dht 0.40. */
#ifndef ROUTING_ROUTING_H
#define ROUTING_ROUTING_H
#include "multi/cid.h"
#include "multi/multiaddr.h"
#include "net/host.h"
#include "store/kv.h"

#define KAD_PREFIX_TEXT_MAX 32 /* bits of a prefix, as text */
typedef struct routing routing_t;
typedef enum { DHT_MODE_AUTO, DHT_MODE_CLIENT, DHT_MODE_SERVER } dht_mode_t;
#define ROUTING_DELEGATED_MAX 8
typedef struct routing_config {
    dht_mode_t mode;
    bool loopback_on_lan; /* Routing.LoopbackAddressesOnLanDHT with TEST_DHT_STUB: loopback peers into the LAN
                             table */
    bool has_wan, has_lan;
    bool has_mesh;                                /* the DHT of a mesh, instead of both */
    uint32_t reprovide_interval_ms;               /* 22 h; 0: never */
    uint32_t provider_ttl_ms;                     /* 48 h */
    bool forgets_sweep;                           /* a start announces everything, wherever the sweep stood */
    const char *scratch_folder;                   /* for temporary files; borrowed */
    kv_t *state;                                  /* provider store, values, reprovide cursor; borrowed */
    const char *delegated[ROUTING_DELEGATED_MAX]; /* URLs of routers (delegated.h); copied */
    size_t n_delegated;
    const char
        *publishers[ROUTING_DELEGATED_MAX]; /* URLs of routers that are given IPNS records alone; copied */
    size_t n_publishers;
} routing_config_t;
void routing_config_default(routing_config_t *ret);
MUST_CHECK err_t routing_start(task_t *t, host_t *h, const routing_config_t *c, routing_t **ret);
void routing_close(task_t *t, routing_t *r);

/* Of the functions below those that ask and tell take a routing that is NULL, as a node has it with
 * Routing.Type none: nobody is found, what is told reaches nobody, and no table has entries. */
typedef struct routed_peer {
    peer_id_t id;
    multiaddr_t addrs[8]; /* the best ones */
    size_t n_addrs;
} routed_peer_t;
/* One hop of a lookup, for `findprovs --verbose` and traces. */
typedef struct lookup_hop {
    enum { HOP_ASK, HOP_ANSWER, HOP_FAIL, HOP_PROVIDER, HOP_VALUE } kind;
    peer_id_t peer;
    uint32_t n_closer, n_providers;
    uint64_t took_ms;
    const char *dht; /* "wan", "lan" */
} lookup_hop_t;
/* Return false to stop the lookup. Must not wait. */
typedef bool (*provider_fn)(void *arg, const routed_peer_t *provider);
typedef void (*hop_fn)(void *arg, const lookup_hop_t *hop);

/* Finds up to max providers (0: all that the lookup meets), giving each once as it comes; own records first.
 * Runs until done, the deadline, or fn says stop; OK even when none was found. hop may be NULL. */
MUST_CHECK err_t routing_find_providers(task_t *t, routing_t *r, const cid_t *cid, size_t max, provider_fn fn,
                                        hop_fn hop, void *arg);
MUST_CHECK err_t routing_find_peer(task_t *t, routing_t *r, const peer_id_t *peer,
                                   routed_peer_t *ret); /* ERR_NOT_FOUND */
/* The K closest peers to the key (its preimage: multihash, peer id, record key). */
MUST_CHECK err_t routing_closest_peers(task_t *t, routing_t *r, bytes_t key, routed_peer_t *out, size_t cap,
                                       size_t *ret_n);
/* Announces now that this node has the CID; OK when at least one peer took it. */
MUST_CHECK err_t routing_provide(task_t *t, routing_t *r, const cid_t *cid);
/* Queues it for announcing soon and again each interval while `still_has` (set by the node) says so. Never
 * waits; the queue is bounded and coalesces. */
void routing_provide_later(routing_t *r, const cid_t *cid);
size_t routing_clear_queue(routing_t *r); /* drops what waits to be announced; how many that were */
/* Where the reprovider gets all CIDs to announce from; called in a task of routing. */
typedef err_t (*provide_source_fn)(task_t *t, void *arg,
                                   err_t (*emit)(task_t *t, void *emit_arg, const cid_t *cid),
                                   void *emit_arg);
void routing_set_provide_source(routing_t *r, provide_source_fn fn, void *arg);
/* Does this node have it? Then it says so to those who ask, without a record of its own for each of its
 * blocks. */
typedef bool (*provide_check_fn)(task_t *t, void *arg, bytes_t multihash);
void routing_set_provide_check(routing_t *r, provide_check_fn fn, void *arg);
/* Keeps a record and puts it to the peers closest to its key. ERR_UNREACHABLE: nobody took it, it is kept;
 * ERR_EXISTS: a better one is known; what its validator says. */
MUST_CHECK err_t routing_put_value(task_t *t, routing_t *r, bytes_t key, bytes_t value);
/* The same for an IPNS record, through the publishers of the configuration alone. */
MUST_CHECK err_t routing_publish_value(task_t *t, routing_t *r, bytes_t key, bytes_t value);
enum { ROUTING_QUORUM = 16 };
typedef struct value_search {
    size_t quorum; /* so many valid records are enough; 0: ROUTING_QUORUM */
    /* Told each record that is better than those before, the first one included. Must not wait. May be NULL.
     */
    void (*on_better)(void *arg, bytes_t value);
    void *arg;
} value_search_t;
/* The best record of the key. how may be NULL. ERR_NOT_FOUND. At a deadline: the best of those that came, if
 * one came. */
MUST_CHECK err_t routing_get_value(task_t *t, routing_t *r, bytes_t key, const value_search_t *how,
                                   buf_t *out);
/* Validators by namespace ("pk", "ipns"); keys of other namespaces are refused. */
typedef struct record_validator {
    err_t (*validate)(void *arg, bytes_t key, bytes_t value);
    int (*select)(void *arg, bytes_t key, bytes_t a, bytes_t b); /* < 0: a is better */
    void *arg;
} record_validator_t;
MUST_CHECK err_t routing_set_validator(routing_t *r, const char *name_space, const record_validator_t *v);
const peer_id_t *routing_self(const routing_t *r);
bool routing_is_bootstrapped(const routing_t *r); /* some table has peers and its first refresh ended */
size_t routing_table_size(const routing_t *r);
/* `dht inspect`: the tables bucket by bucket. Return false to stop. */
typedef struct bucket_entry {
    const char *dht;
    size_t bucket; /* common prefix length */
    peer_id_t peer;
    uint64_t last_useful_ms_ago, added_ms_ago;
    uint32_t latency_ms;
    bool is_connected;
} bucket_entry_t;
void routing_each_entry(routing_t *r, bool (*fn)(void *arg, const bucket_entry_t *e), void *arg);
typedef struct routing_stats {
    uint64_t provided, provide_failed, provide_queue, records_stored, lookups, messages_in, messages_out;
} routing_stats_t;
void routing_stats(const routing_t *r, routing_stats_t *ret);

/* How announcing goes in one of the DHTs. Times of the wall clock; 0: not known. */
typedef struct provide_stats {
    bool is_online; /* the DHT has peers */
    uint64_t online_since_wall_ms;
    uint64_t queued_keys; /* new keys that wait */
    bool is_sweep_enabled;
    uint64_t keys, regions;   /* of a whole round: those of the source; regions as far as they are known */
    double avg_prefix_len;    /* of regions */
    uint64_t next_at_wall_ms; /* when the next region is due */
    char next_prefix[KAD_PREFIX_TEXT_MAX];
    uint64_t interval_ms, cycle_start_wall_ms, cycle_offset_ms;
    uint64_t lag_ms, forecast_ms;       /* how late the sweep is; how long a whole round takes at its speed */
    size_t active_regions, active_keys; /* of the queue, now */
    size_t swept_regions, swept_keys;   /* of the sweep, now */
    uint64_t records, keys_provided, keys_failed;      /* since the start */
    uint64_t queue_busy_ms, queue_keys;                /* what the queue took for how many */
    uint64_t round_keys, round_regions, round_busy_ms; /* of the last whole round */
    uint64_t peers, reachable;                         /* visits, and those that succeeded */
    double avg_region_size, avg_holders;
    uint64_t regions_seen, region_peers, prefix_len_sum; /* of which the averages are made */
    double holders_sum;
    bool has_done_round;
} provide_stats_t;
/* ERR_NOT_FOUND: that DHT is off. */
MUST_CHECK err_t routing_provide_stats(task_t *t, routing_t *r, bool of_lan, provide_stats_t *ret);
#endif
