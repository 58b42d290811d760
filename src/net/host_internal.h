/* host_internal: the structs of net/ and what its files ask of each other. Not for other folders.
 *
 *   host.c          the host, its protocols, its listeners (of news)
 *   listen.c        listening sockets, inbound connections up to their upgrade
 *   dial.h, dial.c, dial_addrs.c, resolve.c   addresses to connections
 *   upgrade.c, security.c, negotiate.c   a driver stream becomes a secured, multiplexed connection
 *   conn.c          connections: life, face; conn_pump.c moves their bytes; conn_stream.c their streams;
 *                   mux.h what carries these: mux_yamux.c, quic_link.c over the sockets of quic.c
 *   conn_manager.c  peers: limits, tags, trimming
 *   filter.c        networks and addresses that are kept away from
 *   reachability.c  whether others can dial this node
 *   nat_internal.h  relays, hole punching, AutoNAT
 *   peerstore.c, identify.c, ping.c, keep.c, addrs.c */
#ifndef NET_HOST_INTERNAL_H
#define NET_HOST_INTERNAL_H
#include "base/map.h"
#include "base/metrics.h"
#include "base/prng.h"
#include "base/rate.h"
#include "logic/black_hole.h"
#include "net/host.h"
#include "net/mux.h"
#include "net/resources_internal.h"
#include "net/transport.h"
#include "wire/channel.h"
#include "wire/multistream.h"
#include "wire/yamux.h"

#define PING_PROTOCOL "/ipfs/ping/1.0.0"
#define YAMUX_PROTOCOL "/yamux/1.0.0"

/* Areas that all connections of a host share: one connection at a time is pumped. */
enum {
    RECEIVE_BYTES = 256 * 1024,
    RECEIVE_AREA = RECEIVE_BYTES + CHANNEL_FRAME_MAX,
    GATHER_BYTES = 128 * 1024,
    SEND_AREA = 320 * 1024,
};

/* Inbound streams that have a task at a time: half of what the scheduler takes, so that our own work goes on.
 */
enum { SERVED_MAX = 8192 };

typedef struct handler {
    char *protocol; /* owned; lives as long as the host, for streams that name it */
    protocol_fn fn; /* NULL: not handled (any more) */
    void *arg;
    protocol_options_t options;
} handler_t;

enum { TAG_NAME_MAX = 24, TAGS_MAX = 16 };
typedef struct tag {
    char name[TAG_NAME_MAX];
    int score;
    bool is_protection;
} tag_t;

typedef struct dial dial_t;
/* What the host knows about a peer that it is connected to, dials, or was asked to protect. */
typedef struct peer {
    peer_id_t id;
    host_t *host;
    scope_t scope;
    char *scope_name;          /* "peer:ID" */
    list_t protocols;          /* peer_protocol_t */
    list_t conns;              /* open ones, oldest first */
    size_t n_conns, n_limited; /* limited: of those, through a relay that limits them */
    size_t refs;               /* conn structs and dials */
    list_t dials;              /* dial_t: under way, whoever wants them */
    tag_t *tags;
    size_t n_tags;
    rate_t rates[2]; /* of throttle_way_t; in use when the host has a throttle */
} peer_t;

struct conn {
    host_t *host;
    peer_t *peer;
    const mux_ops_t *mux; /* mux_yamux: the members from raw to unsent_charged are in use */
    uint32_t refs;
    bool is_inbound, is_open, is_identified, must_read_on;
    bool is_limited; /* through a relay that limits it */
    bool is_punching;
    bool is_shared; /* dialed from the port that is listened on: what the peer sees is what it could dial */
    list_t node, peer_node;
    multiaddr_t remote;
    uint64_t opened_ms, used_ms; /* used: when a stream last began or ended */
    uint64_t moved_ms;           /* when a stream last carried something, but for what any idle one does */
    uint64_t bytes_in, bytes_out;
    conn_use_t use;
    struct quic_link *quic; /* mux_quic; NULL: none */
    stream_t *raw;
    channel_t channel;
    yamux_t yamux;
    watch_t readable, writable;
    runnable_t pump, input; /* input: there is something to read */
    sched_alarm_t alarm;
    buf_t carry;  /* the beginning of a frame; charged */
    buf_t unsent; /* sealed, and not taken by the socket yet; charged */
    uint64_t carry_charged, unsent_charged;
    list_t streams; /* conn_stream_t */
    size_t n_streams;
    event_t may_open, identified;
    err_t end_reason;
};

typedef struct conn_stream {
    stream_t base;
    conn_t *conn;      /* a reference */
    mux_stream_t *mux; /* NULL: closed by its handler, which still runs */
    list_t node;
    const char *protocol; /* of a handler_t, or of `own_protocol`; "" while being negotiated */
    char *own_protocol;
    multistream_t *negotiation; /* optimistic: the answer is still to be read */
    bool is_inbound, is_served; /* served: a handler runs, it frees the struct in the end */
    bool is_kept;               /* beyond its handler */
    struct traffic *traffic;    /* of its protocol; NULL: nothing was counted yet */
    list_t throttled;           /* waits for bandwidth */
    bool is_upkeep;             /* of a protocol that idle connections speak, too */
    bool has_moved;             /* some bytes, since it last waited for that */
    bool is_charged;
    peer_protocol_t *in_protocol; /* charged as a stream of this one; NULL: not known yet */
    limit_t *memory;              /* its own; NULL: single streams are not limited */
} conn_stream_t;

/* throttle.c: bandwidth limits. */
typedef enum { THROTTLE_IN, THROTTLE_OUT } throttle_way_t;
/* How many bytes the stream may move now; 0: it has to wait, and is told when it may try again. */
size_t throttle_room(conn_stream_t *s, throttle_way_t way);
void throttle_took(conn_stream_t *s, throttle_way_t way, size_t n);
void throttle_peer(peer_t *p); /* a new one */
void throttle_free(host_t *h);

/* traffic.c: bytes of each protocol's streams. The names are those that this host speaks, so they are few. */
enum { TRAFFIC_MAX = 128 };
typedef struct traffic {
    char protocol[PROTOCOL_MAX_BYTES + 1];
    uint64_t in, out;
} traffic_t;
void traffic_count(conn_stream_t *s, size_t in, size_t out);

typedef struct listen {
    list_t node;
    host_t *host;
    listener_t *listener;        /* NULL: QUIC, whose sockets quic.c has */
    net_addr_t bound;            /* with the port that was taken */
    bool takes[TRANSPORT_COUNT]; /* several share the port of a listener */
} listen_t;

/* listen.c: one more from there is to be set up. ERR_DENIED, ERR_LIMIT. */
MUST_CHECK err_t begin_inbound_use(host_t *h, const net_addr_t *from, bool has_fd, conn_use_t *ret);

/* dial_addrs.c: what networks may drop without a word. */
enum { HOLE_UDP, HOLE_IP6, HOLES };

typedef struct keep keep_t;
enum { ANNOUNCE_MAX = 32, MAPPED_MAX = 32, OBSERVED_MAX = 16, NETWORKS_MAX = 1024 };
typedef struct network {
    uint8_t family, bits, ip[16];
    multiaddr_t text;
    peer_id_t peer; /* of past_limits: this one alone; none: anybody. Of a gate: family 0, this peer */
} network_t;
typedef struct networks {
    network_t *items;
    size_t n;
} networks_t;
typedef struct observed {
    multiaddr_t addr;
    uint64_t seen_ms;
    uint8_t n_voices;
    uint64_t voices[8]; /* hashes of the networks that said so */
} observed_t;

struct host {
    sched_t *sched;
    host_config_t config;
    peer_id_t id;
    resources_t resources;
    metric_source_t metrics;
    group_t tasks;
    bool is_closing;
    map_t peers;              /* peer id -> peer_t */
    map_t handlers;           /* protocol -> handler_t */
    list_t conns;             /* open ones, oldest first */
    size_t n_conns, n_served; /* served: inbound streams with a task */
    event_t conn_opened;      /* some connection, also one more with a connected peer */
    list_t news;              /* host_listener_t */
    list_t listens;           /* listen_t */
    list_t keeps;             /* keep_t */
    size_t n_keeps;
    peerstore_t *peerstore;
    multiaddr_t *announce; /* n_announce of them */
    size_t n_announce;
    multiaddr_t *mapped; /* n_mapped of them */
    size_t n_mapped;
    bool announce_replaces;
    networks_t filters, allowed, hidden_networks, past_limits;
    multiaddr_t *hidden; /* n_hidden of them */
    size_t n_hidden;
    observed_t *observed;
    size_t n_observed;
    struct nat *nat;              /* NULL until host_start_nat */
    reachability_t found, forced; /* forced: UNKNOWN when what was found counts */
    black_hole_t holes[HOLES];
    sched_alarm_t trim_alarm, push_alarm;
    uint64_t record_seq;
    uint8_t *receive_area, *send_area; /* made when first used */
    yamux_gather_t gather;
    prng_t *rng;
    struct quic_net *quic;          /* made when first used */
    tls13_identity_t *tls_identity; /* made when first used */
    struct tls_server *web_tls;     /* shown by secure WebSocket; NULL: not listened on */
    uint8_t *swarm_key;             /* of a private network; NULL: the public one */
    struct traffic *traffic;        /* n_traffic of TRAFFIC_MAX; made when first used */
    size_t n_traffic;
    int perf_for;              /* perf_for_t */
    struct throttle *throttle; /* NULL: no limits */
};

/* host.c */
handler_t *host_handler(host_t *h, bytes_t protocol); /* NULL: not spoken */
void host_tell_connected(host_t *h, conn_t *c);
void host_tell_disconnected(host_t *h, const peer_id_t *peer);
void host_tell_identified(host_t *h, conn_t *c);
void host_tell_protocols_changed(host_t *h, const peer_id_t *peer);
void host_tell_addrs_changed(host_t *h);
void host_tell_reachability_changed(host_t *h);
uint64_t host_random(host_t *h);    /* for jitter and ping ids; not for keys */
double host_fine_now_ms(host_t *h); /* finer than the driver's clock where time is real */

/* conn_manager.c */
MUST_CHECK err_t peer_get(host_t *h, const peer_id_t *id, peer_t **ret); /* made when it is not there */
peer_t *peer_find(const host_t *h, const peer_id_t *id);
void peer_free_if_unused(peer_t *p);
bool peer_is_protected(const peer_t *p);
void conn_manager_start(host_t *h);
void conn_manager_stop(host_t *h);
void conn_manager_conn_added(host_t *h);

/* conn.c */
/* What becomes of a stream. expected: NULL when anybody may be there. Who dialed speaks first, and opens the
 * streams of the dialing side; of two who dialed each other one takes the listener's part. */
typedef struct upgrade_how {
    const peer_id_t *expected;
    const multiaddr_t *remote;
    bool is_inbound, is_limited;
    bytes_t head;    /* of an inbound stream: what was read already, at most SNIFF_BYTES; borrowed */
    bool is_apart;   /* dialed from a port of its own, not from the one that is listened on */
    bool is_punch;   /* from that one, whatever the address */
    bool is_shared;  /* what came of it */
    conn_use_t *use; /* what was reserved for it; the connection takes it */
} upgrade_how_t;
enum { SNIFF_BYTES = 4 };
/* Takes raw and channel (moved) in any case. `early`: bytes that belong to yamux already. */
MUST_CHECK err_t conn_new(host_t *h, stream_t *raw, channel_t *channel, const upgrade_how_t *how,
                          bytes_t early, conn_t **ret_conn);
/* conn_pump.c */
void conn_pump_start(conn_t *c, bytes_t early);
void conn_pump_soon(conn_t *c);
void conn_flush(conn_t *c);              /* what can be sent without waiting */
void conn_say_end(conn_t *c, err_t why); /* what the channel says at its end, if there is room for it */
void conn_pump_stop(conn_t *c);
/* conn_stream.c */
/* The inbound stream outlives its handler: it is the caller's from now on. */
void conn_stream_keep(stream_t *s);
/* reachability.c */
void reachability_found(host_t *h, reachability_t r);
/* dial.c */
/* One address, without a peer behind it, over the transport that it names. */
bool transport_can_dial(const host_t *h, const multiaddr_t *addr); /* and may: its network is not filtered */
MUST_CHECK err_t transport_dial(task_t *t, host_t *h, const multiaddr_t *addr, const upgrade_how_t *how,
                                conn_t **ret_conn);
/* As host_connect, never through a relay, and beside a limited connection if there is one. */
MUST_CHECK err_t dial_direct(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *extra,
                             size_t n_extra, conn_t **ret_conn);
/* negotiate.c */
MUST_CHECK err_t negotiate(task_t *t, stream_t *s,
                           multistream_t *m); /* dialer: until AGREED; ERR_UNSUPPORTED */
/* The handler that the peer chose among those of the host; refuses others. */
MUST_CHECK err_t negotiate_inbound(task_t *t, host_t *h, stream_t *s, handler_t **ret_handler);
/* security.c */
size_t host_securities(const host_t *h, const char *out[SECURITY_COUNT]); /* their names, best first */
/* The handshake of this one of them. */
MUST_CHECK err_t security_start(host_t *h, const char *protocol, const upgrade_how_t *how, channel_t *ret);
/* private.c */
/* Takes `below`. head: what was read of it already. */
stream_t *private_stream(host_t *h, stream_t *below, bytes_t head);
/* upgrade.c */
/* Takes raw. Within the upgrade's time-out. */
MUST_CHECK err_t upgrade(task_t *t, host_t *h, stream_t *raw, const upgrade_how_t *how, conn_t **ret_conn);
/* resolve.c */
/* Replaces DNS names by addresses; those of other peers than `peer` are left out. */
size_t resolve_addrs(task_t *t, const peer_id_t *peer, const multiaddr_t *in, size_t n_in, multiaddr_t *out,
                     size_t cap);
/* peerstore.c */
MUST_CHECK err_t peerstore_new(host_t *h, peerstore_t **ret);
void peerstore_free(peerstore_t *ps);
typedef struct identify identify_t;
void peerstore_set_identity(peerstore_t *ps, const peer_id_t *peer, const struct identify *m);
void peerstore_set_key(peerstore_t *ps, const peer_id_t *peer, const public_key_t *key);
void peerstore_add_latency(peerstore_t *ps, const peer_id_t *peer, uint32_t ms);
void peerstore_addr_failed(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addr);
void peerstore_addr_succeeded(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addr);
/* Not before; 0: now. */
uint64_t peerstore_addr_retry_ms(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addr);
/* identify.c */
MUST_CHECK err_t identify_start(host_t *h);
void identify_conn_opened(conn_t *c);
void identify_push_soon(host_t *h);
/* ping.c, keep.c */
MUST_CHECK err_t ping_start(host_t *h);
void keep_peer_connected(host_t *h, const peer_id_t *peer);
void keep_peer_disconnected(host_t *h, const peer_id_t *peer);
void keep_stop_all(host_t *h);
/* net_metrics.c: counters of the process; [0]: outbound, [1]: inbound */
typedef struct net_metrics {
    struct metric *opened[2], *closed[2], *dial_errors, *bytes_in, *bytes_out;
} net_metrics_t;
const net_metrics_t *net_metrics(void);
/* resources_metrics.c */
void resources_start_metrics(host_t *h);
void resources_stop_metrics(host_t *h);
void metric_blocked(const char *scope, const char *resource, const char *direction);
void metric_peer_conns(uint32_t before, uint32_t now, bool is_inbound); /* how many a peer has */
void metric_peer_streams(uint32_t before, uint32_t now, bool is_inbound);
/* filter.c */
bool addr_is_filtered(const host_t *h, const net_addr_t *addr); /* whoever is there */
/* May there be a connection with the peer, there (NULL: somewhere)? ERR_DENIED. */
MUST_CHECK err_t gate_check(const host_t *h, const peer_id_t *peer, const multiaddr_t *remote);
/* Is it on the list of those that get past the limits? peer: NULL: not known yet. */
bool addr_is_past_limits(const host_t *h, const net_addr_t *at, const peer_id_t *peer);
MUST_CHECK err_t filters_allow_past_limits(host_t *h, const multiaddr_t *addr);
bool addr_is_hidden(const host_t *h, const multiaddr_t *addr);
void filters_free(host_t *h);
/* addrs.c */
size_t addrs_seen(const host_t *h, multiaddr_t *out, size_t cap);
/* As host_addrs, without those at relays, and public ones also when others do not reach them. */
size_t addrs_direct(const host_t *h, multiaddr_t *out, size_t cap);
bool addr_is_usable(const host_t *h, const multiaddr_t *addr, const multiaddr_t *seen_from);
void addrs_observed(host_t *h, conn_t *c, bytes_t binary);
MUST_CHECK err_t net_addr_of_multiaddr(const multiaddr_t *m, net_addr_t *ret);
#endif
