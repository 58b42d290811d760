/* quic: connections by QUIC: sockets of datagrams, and the links (connections and those that are becoming
 * one) whose bytes go through them. The engine is wire/quic.h. Not for other folders.
 *
 * One socket serves a port: it listens, and dials leave from it too, so that a NAT's mapping holds for both.
 * A datagram is routed by the endpoint of the host to its link, whose pump (no task) takes the news and
 * sends. */
#ifndef NET_QUIC_H
#define NET_QUIC_H
#include "net/mux.h"

typedef struct quic_socket quic_socket_t;
typedef struct quic_link quic_link_t;
extern const mux_ops_t mux_quic;
/* Why a build has no QUIC (quic_missing.c); NULL: it has. Then hosts are without_quic. */
extern const char *const quic_missing;

/* Opens a socket for connections of others; *ret_at: with the port that was taken. ERR_IN_USE. */
MUST_CHECK err_t quic_listen(host_t *h, const net_addr_t *at, net_addr_t *ret_at);
struct upgrade_how;
/* A connection with the peer that must be at this address: of `how` counts who it is, what its address is
 * called, and whether the dial is apart. Within the task's deadline and the upgrade's. */
MUST_CHECK err_t quic_connect(task_t *t, host_t *h, const net_addr_t *to, const struct upgrade_how *how,
                              conn_t **ret_conn);
/* A datagram of noise, from the port that listens: it opens the way through our NAT for a peer that is about
 * to dial from there. Lost without a word when it cannot be sent. */
void quic_punch(host_t *h, const net_addr_t *to);
void quic_stop(host_t *h); /* the host's tasks and connections are gone; closes the sockets */

/* quic_link.c, for quic.c */
MUST_CHECK err_t quic_link_accept(quic_socket_t *s, const net_addr_t *from, const net_addr_t *local,
                                  bytes_t datagram);
void quic_link_feed(quic_link_t *l, quic_socket_t *s, const udp_burst_t *how, bytes_t datagram);
void quic_link_free(quic_link_t *l); /* of a connection that is freed; NULL is fine */
void quic_link_stop_all(host_t *h);  /* those that did not become a connection */
#endif
