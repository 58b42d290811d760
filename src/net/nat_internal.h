/* nat_internal: what the files about NATs ask of each other and of the host. Not for other folders.
 *
 *   nat.c             starts and stops them, own addresses
 *   relay_dial.c      circuits that begin or end here
 *   relay_reserve.c   reservations at relays, kept
 *   relay_finder.c    relays among the peers
 *   autonat_client.c, autonat_server.c   who reaches this node, and whom it reaches
 *   dcutr.c           a direct connection beside a relayed one
 *   relay_service.c   reservations and circuits of others; relay_circuit.c moves the bytes of one
 *   forward.c         ways over several relays, in a mesh */
#ifndef NET_NAT_INTERNAL_H
#define NET_NAT_INTERNAL_H
#include "logic/votes.h"
#include "net/host_internal.h"
#include "net/nat.h"
#include "wire/relay.h"

enum { RELAYS_MAX = 16, RELAY_ADDRS_MAX = 8, NAT_ADDRS_MAX = 48, PROBED_MAX = 8, ASKED_MAX = 32 };

/* An own address that peers are asked about. */
typedef struct probed {
    multiaddr_t addr;
    votes_t votes;
    uint64_t asked_ms;
} probed_t;

/* A relay that this node has, or wants, a reservation at. A task keeps it. */
typedef struct relay {
    list_t node;
    host_t *host;
    peer_id_t peer;
    bool is_wanted; /* asked for by name: tried again after failures, else dropped */
    bool is_asking, is_reserved;
    bool is_dropped;
    multiaddr_t hint; /* where it was said to be; len 0: nothing */
    uint64_t expires_ms;
    uint32_t failures;
    size_t n_addrs;
    multiaddr_t addrs[RELAY_ADDRS_MAX]; /* …/p2p/RELAY/p2p-circuit */
    event_t changed;
} relay_t;

typedef struct nat {
    nat_config_t config;
    host_listener_t listener;
    list_t relays; /* relay_t */
    size_t n_relays;
    sched_alarm_t finder_alarm;
    relay_source_fn relay_source; /* NULL: connected peers alone */
    void *relay_source_arg;
    task_t *search; /* NULL: none is under way */
    event_t search_ended;
    uint64_t searched_ms;    /* when the source was asked last; 0: never */
    struct refused *refused; /* relays that did not take us lately; relay_finder.c */
    size_t n_refused;
    list_t reservations, circuits; /* of others; relay_service.c */
    size_t n_reservations, n_circuits;
    bool is_serving;
    /* autonat_client.c */
    probed_t probed[PROBED_MAX];
    size_t n_probed;
    votes_t votes; /* on the node as such */
    struct {
        uint64_t voter, at_ms;
    } asked[ASKED_MAX];
    size_t n_asked;
    bool is_asking, has_come_back, has_v2; /* v2: somebody answered it */
    uint64_t nonce, nonce_ms;              /* of the question that is open; 0: none. ms: when it was asked */
    event_t came_back;
    sched_alarm_t autonat_alarm;
    /* autonat_server.c */
    struct autonat_use *uses; /* made when first used */
    size_t n_uses, n_requests;
    uint64_t uses_since_ms;
    bool is_answering;
    size_t n_punches; /* dcutr.c */
} nat_t;

/* nat.c */
void nat_stop(host_t *h);
bool nat_punches_holes(const host_t *h);
/* The addresses at relays, as long as nobody has confirmed one of our own. The count. */
size_t nat_put_addrs(const host_t *h, multiaddr_t *out, size_t cap);
bool nat_is_unreachable(const host_t *h, const multiaddr_t *addr); /* several said so */
/* relay_dial.c */
/* A stream to `target` through the relay that the address names, not secured yet. */
MUST_CHECK err_t relay_dial(task_t *t, host_t *h, const multiaddr_t *addr, const peer_id_t *target,
                            stream_t **ret_raw, bool *ret_is_limited);
MUST_CHECK err_t relay_stop_start(host_t *h);
MUST_CHECK err_t relay_write_hop(task_t *t, stream_t *s, const relay_message_t *m, const multiaddr_t *addrs,
                                 size_t n);
MUST_CHECK err_t relay_write_stop(task_t *t, stream_t *s, const relay_message_t *m);
/* The message borrows `in`. */
MUST_CHECK err_t relay_read_hop(task_t *t, stream_t *s, buf_t *in, relay_message_t *ret);
MUST_CHECK err_t relay_read_stop(task_t *t, stream_t *s, buf_t *in, relay_message_t *ret);
/* May this peer bring circuits: is it a relay of ours? */
bool relay_may_bring(const host_t *h, const conn_t *from);
/* The stream becomes a connection with `source`, through the peer that brought it. */
MUST_CHECK err_t relay_take_circuit(task_t *t, stream_t *s, host_t *h, conn_t *from, const peer_id_t *source,
                                    bool is_limited);
/* forward.c */
MUST_CHECK err_t forward_start(host_t *h);
bool forward_may_help(const host_t *h); /* somebody is connected who may lead on */
/* A stream to `target`, which `relay` is said to have a connection with, over relays that are connected. */
MUST_CHECK err_t forward_dial(task_t *t, host_t *h, const peer_id_t *relay, const peer_id_t *target,
                              stream_t **ret_raw);
/* relay_reserve.c */
MUST_CHECK err_t relay_listen(host_t *h,
                              const multiaddr_t *at); /* /p2p-circuit alone: relays that are found */
relay_t *relay_find(const nat_t *nat, const peer_id_t *peer);
MUST_CHECK err_t relay_add(host_t *h, const peer_id_t *peer, const multiaddr_t *hint, bool is_wanted);
void relay_drop_found(host_t *h); /* the ones that nobody asked for */
void relay_peer_disconnected(host_t *h, const peer_id_t *peer);
size_t relay_reserved_count(const nat_t *nat);
/* relay_finder.c */
void relay_finder_start(host_t *h);
void relay_finder_stop(host_t *h);
void relay_finder_soon(host_t *h);
void relay_finder_refused(host_t *h, const peer_id_t *peer);
/* relay_service.c */
void relay_service_update(host_t *h); /* after a change of reachability */
/* One more circuit of this peer: counted, and its buffers charged. */
typedef struct circuit circuit_t;
relay_status_t relay_circuit_begin(host_t *h, conn_t *from, const peer_id_t *to, circuit_t **ret);
void relay_circuit_end(host_t *h, conn_t *from, circuit_t *c);
void relay_service_peer_gone(host_t *h, const peer_id_t *peer);
void relay_service_free(host_t *h);
/* autonat_client.c, autonat_server.c */
MUST_CHECK err_t autonat_client_start(host_t *h);
void autonat_client_soon(host_t *h); /* there is a new server, or a new address */
void autonat_client_stop(host_t *h);
void autonat_server_update(host_t *h); /* after a change of reachability */
/* dcutr.c */
MUST_CHECK err_t dcutr_start(host_t *h);
void dcutr_conn_identified(conn_t *c);
void dcutr_peer_changed(host_t *h, const peer_id_t *id); /* it speaks DCUtR now, and did not before */
/* nat.c: counters of the process */
typedef struct nat_metrics {
    struct metric *punches_ok, *punches_failed, *circuits, *circuit_bytes;
} nat_metrics_t;
const nat_metrics_t *nat_metrics(void);
/* relay_circuit.c */
/* Until both ways have ended. ERR_LIMIT: more bytes than allowed came (the rest stays unread); ERR_TIMEOUT.
 */
MUST_CHECK err_t relay_forward(task_t *t, stream_t *a, stream_t *b, const relay_limits_t *limits);
#endif
