/* tunnels: TCP services and their users, joined over libp2p streams. One node offers a service that listens
 * on its machine under a protocol's name; another one listens on an address of its own machine and carries
 * each connection that it accepts to a peer that offers the name. Known as `p2p listen` and `p2p forward`
 * (ipfs/kubo p2p/); there is no specification, a stream carries the bytes as they are.
 *
 * A connection's end goes through in each direction by itself. Bounds: TUNNELS_MAX, TUNNEL_STREAMS_MAX,
 * TUNNEL_STREAMS_PER_PEER; a stream costs two buffers besides its connection. All calls on the loop thread.
 */
#ifndef NET_TUNNELS_H
#define NET_TUNNELS_H
#include "net/host.h"

#define TUNNELS_MAX 128
#define TUNNEL_STREAMS_MAX 1024
#define TUNNEL_STREAMS_PER_PEER 128 /* that it opened */

typedef struct tunnels tunnels_t;
typedef struct tunnel {
    list_t node;
    uint64_t number; /* never given twice */
    char protocol[PROTOCOL_MAX_BYTES + 1];
    multiaddr_t listen, target; /* /p2p/ID for what is reached over libp2p */
    /* the rest is tunnels.c's */
    tunnels_t *owner;
    bool is_service, tells_peer;
    peer_id_t peer;
    listener_t *listener;
} tunnel_t;
typedef struct tunnel_stream {
    list_t node;
    uint64_t id;
    char protocol[PROTOCOL_MAX_BYTES + 1];
    multiaddr_t origin, target;
    /* the rest is tunnels.c's */
    tunnels_t *owner;
    task_t *task;
    bool is_open;    /* both ends are there */
    peer_id_t user;  /* at the other end; of a forward while it is open */
    tunnel_t tunnel; /* as it was when the stream came */
    stream_t *local; /* NULL: not yet */
    net_addr_t from;
} tunnel_stream_t;

tunnels_t *tunnels_new(host_t *h); /* borrows the host, which must outlive it */
/* Ends its listeners and streams, also when `t` is cancelled. NULL is fine. */
void tunnels_close(task_t *t, tunnels_t *ts);

/* Offers the TCP service at `target` (/ip4|ip6|dns…/tcp/PORT, copied) to whoever speaks `protocol`.
 * tells_peer: each connection begins with the peer's ID and a newline. ERR_EXISTS "listener already
 * registered"; ERR_INVALID: a protocol that this node speaks otherwise; ERR_LIMIT. ret_tunnel is borrowed
 * until the next wait. */
MUST_CHECK err_t tunnels_listen(tunnels_t *ts, const char *protocol, const multiaddr_t *target,
                                bool tells_peer, const tunnel_t **ret_tunnel);
/* Accepts connections at `at` (/ip4|ip6/…/tcp/PORT; port 0: any; /unix/PATH: a socket in the file system, for
 * this user alone) and carries each to the peer. ERR_IN_USE:
 * the address is taken; ERR_INVALID; ERR_LIMIT. */
MUST_CHECK err_t tunnels_forward(tunnels_t *ts, const char *protocol, const multiaddr_t *at,
                                 const peer_id_t *peer, const tunnel_t **ret_tunnel);
/* Whether it is there still, for who waits for `tunnels_changed`. */
bool tunnels_has(const tunnels_t *ts, uint64_t number);
event_t *tunnels_changed(tunnels_t *ts); /* fired when a tunnel has ended */
/* Ends those that `is_wanted` names; their streams go on. How many. */
typedef bool (*tunnel_match_fn)(const tunnel_t *tunnel, void *arg);
size_t tunnels_end(tunnels_t *ts, tunnel_match_fn is_wanted, void *arg);
/* First those that forward, then services, each in the order they were made; until fn says false. */
void tunnels_each(const tunnels_t *ts, tunnel_match_fn fn, void *arg);
void tunnels_each_stream(const tunnels_t *ts, bool (*fn)(const tunnel_stream_t *s, void *arg), void *arg);
/* Cuts a stream off; all of them without an id. */
void tunnels_cut(tunnels_t *ts, const uint64_t *id);
#endif
