/* host: this node on libp2p: its identity, listeners, connections, streams and the protocols it speaks.
 * Specs: libp2p/specs connections, noise, yamux, identify, ping; go-libp2p 0.48 as the reference peer.
 *
 * One connection: driver stream -> multistream-select -> Noise -> yamux; engines in wire/, a pump (no task)
 * moves the bytes. An idle connection costs its structs. Inbound streams start a task each, in the group
 * of their connection, with the handler that the peer chose. All limits are in host_limits_t and, by scope,
 * in net/resources.h; refusals say which. All calls on the loop thread. */
#ifndef NET_HOST_H
#define NET_HOST_H
#include "base/limit.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "task/driver.h"
#include "task/stream.h"

typedef struct host host_t;
struct tls_server;          /* crypto/tls_server.h */
typedef struct conn conn_t; /* reference counted; see conn_ref */
typedef struct peerstore peerstore_t;

#define PROTOCOL_MAX_BYTES 255

typedef struct host_limits {
    size_t max_conns, low_conns, high_conns;        /* refuse above max; trim from high down to low */
    size_t max_conns_per_peer, max_inbound_pending; /* pending: upgrades under way */
    size_t max_streams_per_conn, max_inbound_streams_per_protocol_per_peer;
    uint64_t max_bytes, max_bytes_per_peer; /* of windows, queues, buffers */
    uint32_t grace_ms;                      /* a connection younger than this is not trimmed */
    uint32_t upgrade_timeout_ms, dial_timeout_ms, identify_timeout_ms,
        idle_conn_timeout_ms;                      /* idle: 0 never */
    size_t max_inbound_per_ip, max_pending_per_ip; /* of an IPv4 address or IPv6 /64; loopback is exempt */
    /* New inbound connections of one address, and of the network around it eight times as many: a second, and
     * at once after a while without any. 0: as many as come. */
    double new_conns_per_s;
    size_t new_conns_at_once;
    uint64_t max_fds; /* descriptors of connections; 0: no limit */
} host_limits_t;
void host_limits_default(host_limits_t *ret);

/* What secures a connection. */
typedef enum { SECURITY_NOISE, SECURITY_TLS, SECURITY_COUNT } security_t;

typedef struct host_config {
    private_key_t *key;           /* borrowed for the host's life */
    const char *agent;            /* "distribute/0.1.0"; borrowed */
    const char *protocol_version; /* "ipfs/0.1.0" */
    host_limits_t limits;
    security_t securities[SECURITY_COUNT]; /* the first is proposed first; only these are spoken */
    size_t n_securities;                   /* 0: all of them, Noise first */
    bool without_tcp, without_websocket, without_quic; /* neither dialed nor listened on */
    const uint8_t *swarm_key; /* 32 bytes of a private network, copied; NULL: the public one */
    bool may_use_loopback;    /* put loopback and private addresses into identify and the peerstore */
} host_config_t;
MUST_CHECK err_t host_new(sched_t *s, const host_config_t *config, host_t **ret);
/* Closes listeners and connections, joins its tasks, frees. Not from a task of the host's (a handler); all
 * references to its connections are released by the time its own tasks have ended. */
void host_close(task_t *t, host_t *h);
const peer_id_t *host_id(const host_t *h);
sched_t *host_sched(host_t *h);
peerstore_t *host_peerstore(host_t *h);
limit_t *host_limit(host_t *h); /* the budget that its protocols charge too */
const host_limits_t *host_limits(const host_t *h);
/* In a private network transports that cannot carry its cipher (QUIC) stay closed. */
bool host_is_private(const host_t *h);
/* Why this build has no QUIC, in a few words; NULL: it has. */
const char *host_quic_missing(void);

/* The certificate that /tls/ws addresses show from now on, taken; without one they are not listened on. */
void host_set_web_tls(host_t *h, struct tls_server *s);
/* /ip4|ip6/…/tcp/PORT. ERR_IN_USE: the port is taken. …/p2p/RELAY/p2p-circuit: through this relay
 * (net/nat.h). */
MUST_CHECK err_t host_listen(task_t *t, host_t *h, const multiaddr_t *at);
/* The bound addresses (unspecified IPs expanded to those of the interfaces); up to cap, returns the count. */
size_t host_listen_addrs(const host_t *h, multiaddr_t *out, size_t cap);
/* What identify tells others: listen addresses, announced ones, observed ones. */
size_t host_addrs(const host_t *h, multiaddr_t *out, size_t cap);
void host_set_announce(host_t *h, const multiaddr_t *addrs, size_t n, bool replace);
/* Addresses that the router maps to ours, in the place of those before; at most 32. */
void host_set_mapped(host_t *h, const multiaddr_t *addrs, size_t n);
/* An address, or all of a network (/ip4/10.0.0.0/ipcidr/8), that host_addrs leaves out. ERR_LIMIT. */
MUST_CHECK err_t host_hide(host_t *h, const multiaddr_t *addr);
/* Gates: /ip4|ip6/IP[/ipcidr/BITS] or /p2p/ID. Those to deny are neither dialed nor accepted from; once some
 * are to be allowed, only those are, by their network or by their name. Open connections that a change
 * forbids are closed. ERR_INVALID: something else; ERR_LIMIT; host_gate_remove: ERR_NOT_FOUND. */
typedef enum { GATE_DENY, GATE_ALLOW } host_gate_t;
MUST_CHECK err_t host_gate_add(host_t *h, host_gate_t gate, const multiaddr_t *entry);
MUST_CHECK err_t host_gate_remove(host_t *h, host_gate_t gate, const multiaddr_t *entry);
MUST_CHECK err_t host_gate_check(const multiaddr_t *entry); /* can it be one? ERR_INVALID */
/* These in the place of those before; or nothing changes. */
MUST_CHECK err_t host_gate_set(host_t *h, host_gate_t gate, const multiaddr_t *entries, size_t n);

/* ── protocols ───────────────────────────────────────────────────────────────────────────────── */
/* Runs in a task of its own. The handler may close the stream or leave that to the host: when it returns an
 * error, a stream that is still open is reset and the error is logged at debug level. The connection and the
 * stream outlive the call; after stream_close, operations on it give ERR_CLOSED. */
typedef err_t (*protocol_fn)(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg);
typedef struct protocol_options {
    size_t max_inbound_per_peer; /* 0: the host's default */
    bool is_hidden;              /* not in identify (a DHT client) */
} protocol_options_t;
MUST_CHECK err_t host_handle(host_t *h, const char *protocol, const protocol_options_t *opt, protocol_fn fn,
                             void *arg);
/* The protocols that identify tells others; borrowed until the next host_handle or host_unhandle. */
size_t host_protocols(const host_t *h, const char **out, size_t cap);
void host_unhandle(host_t *h, const char *protocol); /* running handlers go on */

/* ── connections ─────────────────────────────────────────────────────────────────────────────── */
/* An open connection to the peer, dialing its known addresses (and `extra`, may be NULL) if needed: several
 * in parallel with a stagger, best first (logic/dial_race.h); concurrent dials to one peer are merged; an
 * address that failed rests for 5 s to 5 min. ERR_UNREACHABLE with the reasons; ERR_NOT_FOUND no address
 * known; ERR_INVALID the peer is ourselves; ERR_CRYPTO another peer answered. The caller releases the
 * connection (conn_release). */
MUST_CHECK err_t host_connect(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *extra,
                              size_t n_extra, conn_t **ret_conn);
/* A connection over this address, with /p2p/ID: one that was dialed there, or a new one, beside those over
 * other addresses. For an address by name any open connection will do. Errors as those of host_connect. */
MUST_CHECK err_t host_connect_addr(task_t *t, host_t *h, const multiaddr_t *addr, conn_t **ret_conn);
/* A connection at an address without a peer ID: whoever proves to have the key of the ID that it shows is
 * taken for the peer (trust on first use); not through a relay. ERR_INVALID; ERR_UNREACHABLE. */
MUST_CHECK err_t host_meet(task_t *t, host_t *h, const multiaddr_t *addr, conn_t **ret_conn);
/* The peer's addresses that failed may be dialed at once. */
void host_forget_failures(host_t *h, const peer_id_t *peer);
MUST_CHECK err_t host_disconnect(host_t *h, const peer_id_t *peer); /* ERR_NOT_FOUND */
/* Opens a stream and agrees on the first of `protocols` that the peer speaks. Dials when not connected.
 * ERR_UNSUPPORTED: none. ret_protocol (may be NULL) points into `protocols`. With one protocol that identify
 * said the peer speaks, nothing is waited for: the proposal goes out before the first data, and a refusal
 * comes as ERR_UNSUPPORTED from the first read. */
MUST_CHECK err_t host_open_stream(task_t *t, host_t *h, const peer_id_t *peer, const char *const *protocols,
                                  size_t n, stream_t **ret_stream, const char **ret_protocol);
MUST_CHECK err_t conn_open_stream(task_t *t, conn_t *c, const char *const *protocols, size_t n,
                                  stream_t **ret_stream, const char **ret_protocol);
bool host_is_connected(const host_t *h, const peer_id_t *peer);
size_t host_conn_count(const host_t *h);
conn_t *host_conn(host_t *h, const peer_id_t *peer); /* the best open one, borrowed; NULL */
/* Borrowed pointers to open connections, valid until the next wait. */
size_t host_conns(host_t *h, conn_t **out, size_t cap);
const peer_id_t *conn_peer(const conn_t *c);
const multiaddr_t *conn_remote_addr(const conn_t *c);
bool conn_is_inbound(const conn_t *c);
bool conn_is_open(const conn_t *c);
size_t conn_stream_count(const conn_t *c);
/* The protocols of its open streams (negotiated ones), borrowed until the next wait. */
size_t conn_stream_protocols(const conn_t *c, const char **out, size_t cap);
uint32_t conn_rtt_ms(const conn_t *c); /* 0: not known yet */
const char *conn_muxer(const conn_t *c);
const char *conn_security(const conn_t *c); /* "/noise", "/tls/1.0.0", "" when it is part of the transport */
void conn_bytes(const conn_t *c, uint64_t *ret_in, uint64_t *ret_out);
/* Bytes of all streams of a protocol so far; 0 for one that was never spoken. */
void host_protocol_bytes(const host_t *h, const char *protocol, uint64_t *ret_in, uint64_t *ret_out);
conn_t *conn_ref(conn_t *c);
void conn_release(conn_t *c);
void conn_close(conn_t *c);     /* says go-away, resets its streams */
limit_t *conn_limit(conn_t *c); /* the peer's budget */

/* ── bandwidth ───────────────────────────────────────────────────────────────────────────────── */
/* Bytes per second of what streams carry, without framing; 0: no limit. A peer that is read from slowly is
 * held back by its window, one that is written to slowly holds back who writes. Each takes effect at once. */
typedef struct host_rates {
    uint64_t in, out;
} host_rates_t;
void host_limit_bandwidth(host_t *h, const host_rates_t *all, const host_rates_t *each_peer);
MUST_CHECK err_t host_limit_protocol(host_t *h, const char *protocol,
                                     const host_rates_t *rates); /* ERR_LIMIT */

/* Trimming leaves alone what is protected, and cuts the lowest scores first. Tags are names like "dht". */
void host_protect(host_t *h, const peer_id_t *peer, const char *tag);
void host_unprotect(host_t *h, const peer_id_t *peer, const char *tag);
void host_tag(host_t *h, const peer_id_t *peer, const char *tag, int score); /* 0 removes */
/* Keep trying to be connected to these (bootstrap, peering): back-off 5 s to 5 min with jitter. */
MUST_CHECK err_t host_keep_connected(host_t *h, const multiaddr_t *addr);
void host_stop_keeping(host_t *h, const peer_id_t *peer);
/* The same for a peering: one that host_each_peering lists. */
MUST_CHECK err_t host_add_peering(host_t *h, const multiaddr_t *addr);
void host_each_peering(host_t *h, void (*fn)(void *arg, const peer_id_t *peer), void *arg);

/* ── reachability ────────────────────────────────────────────────────────────────────────────── */
/* Can peers that we never talked to dial this node? What AutoNAT found out, or was told by the configuration
 * (host_force_reachability; UNKNOWN: find out). Changes come as news. */
typedef enum { REACHABILITY_UNKNOWN, REACHABILITY_PUBLIC, REACHABILITY_PRIVATE } reachability_t;
reachability_t host_reachability(const host_t *h);
const char *reachability_name(reachability_t r); /* "Unknown", "Public", "Private" */
void host_force_reachability(host_t *h, reachability_t r);
/* A connection through a relay that limits its time or bytes: the protocols that keep such a connection
 * going may use it (identify, ping, hole punching), others get ERR_UNSUPPORTED. */
bool conn_is_limited(const conn_t *c);

/* ── news ────────────────────────────────────────────────────────────────────────────────────── */
/* Listeners are told what happened; they must not wait (post a runnable or spawn in a group of theirs). */
typedef struct host_listener {
    list_t node;
    void (*connected)(void *arg, conn_t *c);                     /* the first connection to this peer */
    void (*disconnected)(void *arg, const peer_id_t *peer);      /* the last one is gone */
    void (*identified)(void *arg, conn_t *c);                    /* its protocols and addresses are known */
    void (*protocols_changed)(void *arg, const peer_id_t *peer); /* identify push */
    void (*addrs_changed)(void *arg);                            /* our own addresses */
    void (*reachability_changed)(void *arg, reachability_t now);
    void *arg;
} host_listener_t;
void host_add_listener(host_t *h, host_listener_t *l); /* l is the caller's; any member may be NULL */
void host_remove_listener(host_t *h, host_listener_t *l);
/* Waits until identify has ended for this connection (OK even when it failed). */
MUST_CHECK err_t conn_wait_identified(task_t *t, conn_t *c);

/* ── peerstore: what is known about peers; bounded in peers and in addresses per peer ─────────── */
enum { ADDR_TTL_TEMP_MS = 120000, ADDR_TTL_SEEN_MS = 1800000, ADDR_TTL_CONNECTED_MS = 86400000 };
#define ADDR_TTL_PERMANENT TIME_NEVER
void peerstore_add_addrs(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addrs, size_t n,
                         uint64_t ttl_ms);
size_t peerstore_addrs(peerstore_t *ps, const peer_id_t *peer, multiaddr_t *out, size_t cap);
bool peerstore_speaks(peerstore_t *ps, const peer_id_t *peer, const char *protocol); /* false when unknown */
bool peerstore_knows_protocols(peerstore_t *ps, const peer_id_t *peer);
size_t peerstore_protocols(peerstore_t *ps, const peer_id_t *peer, const char **out,
                           size_t cap); /* borrowed */
const char *peerstore_agent(peerstore_t *ps,
                            const peer_id_t *peer); /* "" when unknown; escaped by printers */
MUST_CHECK err_t peerstore_public_key(peerstore_t *ps, const peer_id_t *peer, public_key_t *ret);
uint32_t peerstore_latency_ms(peerstore_t *ps, const peer_id_t *peer); /* smoothed; 0 unknown */

/* One ping (32 bytes) on the /ipfs/ping/1.0.0 stream to the peer; milliseconds as a fraction. */
MUST_CHECK err_t host_ping(task_t *t, host_t *h, const peer_id_t *peer, double *ret_rtt_ms);
#endif
