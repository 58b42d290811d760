#include "loop/socket_options.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

enum {
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_EVERY_S = 15,
    KEEPALIVE_PROBES = 4,
    UNSENT_BYTES = 256 * 1024,
    FAST_OPEN_QUEUE = 256,
    UDP_BUFFER_BYTES = 4 * 1024 * 1024,
};

static void set(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof value);
}

/* TCP_NODELAY: protocols above write whole messages; Nagle would hold each last piece for a round trip.
 * SO_KEEPALIVE, 60 s + 4 x 15 s: a peer that vanished without a FIN is noticed in two minutes even when
 * nothing is being sent, and mappings of home routers stay alive.
 * Buffers are left to the kernel: setting SO_RCVBUF or SO_SNDBUF turns its autotuning off and caps them
 * at net.core.*mem_max (208 KiB as distributed), where autotuning goes to 6 and 4 MiB; over 100 ms the
 * fixed size would mean 2 MB/s.
 * TCP_NOTSENT_LOWAT 256 KiB: of those MiB only what the window lets through is filled; what waits behind it
 * stays with us, where a more urgent message can still overtake it and back-pressure is felt. */
void tune_tcp(int fd)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
#endif
#ifdef TCP_NOTSENT_LOWAT
    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
#endif
}

/* SO_REUSEPORT, set after the port was taken, so that it is refused when another process listens on it: dials
 * may then leave from this port, and a NAT maps both to one. TCP_FASTOPEN: who knows us sends its first
 * message with the SYN, where the system lets servers do so (net.ipv4.tcp_fastopen has the bit 2). Dials of
 * ours do not use it: connect(2) then succeeds before anybody has answered, and which of a peer's addresses
 * works, how fast, and whether a NAT was punched is just what dials find out. */
void tune_listener(int fd)
{
    set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
#ifdef TCP_FASTOPEN
    set(fd, IPPROTO_TCP, TCP_FASTOPEN, FAST_OPEN_QUEUE);
#endif
}

/* SO_REUSEADDR. TCP: not to wait for old connections in TIME_WAIT; a live listener still refuses us. UDP: two
 * sockets on one port, only where that is what the protocol wants (multicast).
 * IPV6_V6ONLY: both families listen on one port, each by a socket of its own. */
void tune_before_bind(int fd, int family, bool is_shared)
{
    if (is_shared)
        set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == 6)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

/* SO_REUSEPORT: beside the listener. SO_REUSEADDR: what is left of the connection (TIME_WAIT) keeps no
 * listener off the port when the program starts again: both sides must have it. */
void tune_shared_dial(int fd)
{
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

/* Buffers: a burst of QUIC packets between two turns of the loop must fit, and UDP has no autotuning; the
 * kernel caps them at rmem_max and wmem_max. */
void tune_udp(int fd)
{
    set(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    set(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
}

/* UDP_GRO: many datagrams of one peer come in one call.
 * PKTINFO: at which of our addresses they came, so that the answer leaves from there.
 * MTU discovery by probes alone: QUIC finds out how large packets may be, and wants none split. */
void tune_udp_bursts(int fd, int family)
{
    set(fd, IPPROTO_UDP, UDP_GRO, 1);
    if (family == 4) {
        set(fd, IPPROTO_IP, IP_PKTINFO, 1);
        set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    } else {
        set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    }
}
