/* nat: how a node is reached behind a NAT, and helps others to be: circuit relay v2 (a client that keeps
 * reservations, a service with limits), hole punching (DCUtR), AutoNAT v1 and v2.
 * Specs: libp2p/specs relay/circuit-v2.md, relay/DCUtR.md, autonat/. The defaults are go-libp2p's.
 *
 * A connection through a relay is a stream of the connection with the relay that went through upgrade(): end
 * to end it is secured and multiplexed as any other. Its address is …/p2p/RELAY/p2p-circuit. When the relay
 * limits it, only a few protocols may use it (conn_is_limited), and both ends try to get a direct one. */
#ifndef NET_NAT_H
#define NET_NAT_H
#include "net/host.h"

typedef struct relay_limits {
    size_t max_reservations, max_reservations_per_ip;
    size_t max_circuits, max_circuits_per_peer;
    uint32_t reservation_s;
    bool is_limited; /* circuits are: */
    uint32_t circuit_s;
    uint64_t circuit_bytes; /* each way */
    size_t buffer_bytes;    /* each way, per circuit */
} relay_limits_t;

typedef struct nat_config {
    bool uses_relays;  /* /p2p-circuit addresses are dialed and listened on */
    bool finds_relays; /* among peers, while others cannot dial it */
    bool is_relay;     /* for others, while these can dial it */
    relay_limits_t relay;
    const char *unlimited; /* circuits between peers that speak this protocol have no limits; NULL: none */
    bool punches_holes;
    bool asks_autonat, answers_autonat, autonat_v1_only;
    size_t autonat_max, autonat_max_per_peer; /* dials for others within autonat_period_ms */
    uint32_t autonat_period_ms;
    bool dials_private; /* AutoNAT and hole punching take private addresses for public ones: tests */
} nat_config_t;
void nat_config_default(nat_config_t *ret);
/* Once, before the first connection. Ends with the host. */
MUST_CHECK err_t host_start_nat(host_t *h, const nat_config_t *config);
/* Keeps a reservation at this relay: /…/p2p/RELAY, a /p2p-circuit behind it allowed. ERR_INVALID, ERR_LIMIT.
 */
MUST_CHECK err_t host_add_relay(host_t *h, const multiaddr_t *relay);
/* Where relays are looked for when those among the connected peers are not enough: tells `found` of peers
 * that may be relays, until it says false. In a task of the host's, which is cancelled when the host closes.
 */
typedef bool (*relay_found_fn)(void *found_arg, const peer_id_t *peer, const multiaddr_t *addrs, size_t n);
typedef err_t (*relay_source_fn)(task_t *t, void *arg, relay_found_fn found, void *found_arg);
void host_set_relay_source(host_t *h, relay_source_fn fn, void *arg);
void host_drop_relay_source(task_t *t, host_t *h); /* ends a call that is under way */
/* The own addresses that AutoNAT asks peers about, and what they said. The count. */
size_t host_probed_addrs(const host_t *h, multiaddr_t *out, reachability_t *ret_states, size_t cap);
/* What this node's relay has at the moment. */
typedef struct relay_stats {
    size_t reservations, circuits; /* it serves */
    size_t relays;                 /* that it has a reservation at */
    bool is_serving;               /* as a relay */
} relay_stats_t;
void host_relay_stats(const host_t *h, relay_stats_t *ret);
#endif
