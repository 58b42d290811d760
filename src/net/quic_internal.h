/* quic_internal: what quic.c (sockets) and quic_link.c (what goes through them) share. */
#ifndef NET_QUIC_INTERNAL_H
#define NET_QUIC_INTERNAL_H
#include "net/host_internal.h"
#include "net/quic.h"
#include "wire/quic.h"

struct quic_socket {
    list_t node; /* in quic_net->sockets */
    host_t *host;
    udp_t *udp;
    bool is_listening;
    bool is_apart; /* for dials that shall come from a port that nobody knows */
    watch_t readable;
    runnable_t input;
};

/* Of a host; made when first used. */
typedef struct quic_net {
    quic_endpoint_t *endpoint;
    list_t sockets;
    list_t links; /* that are no connection yet */
} quic_net_t;
MUST_CHECK err_t quic_net_of(host_t *h, quic_net_t **ret);
/* The socket that a datagram to there leaves from; opened when there is none. is_apart: not one that listens,
 * nor one that other dials leave from. */
MUST_CHECK err_t quic_socket_to(host_t *h, const net_addr_t *to, bool is_apart, quic_socket_t **ret);
#endif
