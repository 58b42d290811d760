/* transport: what an address says about the way to a peer. Not for other folders.
 *
 *   /ip4|ip6/…/tcp/PORT                          a plain stream
 *   /ip4|ip6/…/tcp/PORT/ws                       WebSocket
 *   /ip4|ip6/…/tcp/PORT/tls[/sni/NAME]/ws, …/wss WebSocket over TLS of the web, with authorities
 *   /ip4|ip6/…/udp/PORT/quic-v1                  QUIC
 *
 * each with /p2p/ID behind it or without. Spec: libp2p/specs websockets, addressing. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H
#include "net/host.h"

typedef enum { TRANSPORT_TCP, TRANSPORT_WS, TRANSPORT_WSS, TRANSPORT_QUIC, TRANSPORT_COUNT } transport_t;
typedef struct endpoint {
    transport_t transport;
    net_addr_t at;
    char name[256]; /* of the server, for TLS and the Host field; "": its IP address */
} endpoint_t;
/* ERR_UNSUPPORTED: another way, or a name where an IP address should be. */
MUST_CHECK err_t endpoint_of_multiaddr(const multiaddr_t *m, endpoint_t *ret);
/* Of a host's settings: may it be dialed and listened on? */
bool host_speaks(const host_t *h, transport_t transport);
/* …/tcp/PORT or …/udp/PORT, with what the transport adds. */
MUST_CHECK err_t multiaddr_of_endpoint(transport_t transport, const net_addr_t *at, multiaddr_t *ret);
#endif
