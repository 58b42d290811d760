/* socket_options: what is asked of the kernel for each kind of socket, in one place, with the reasons;
 * nothing else is set anywhere. An option that a kernel does not know is gone without: none of them is needed
 * to be right, but for those of bound sockets, which have the same meaning on all systems that this is built
 * for. */
#ifndef LOOP_SOCKET_OPTIONS_H
#define LOOP_SOCKET_OPTIONS_H
#include <stdbool.h>

/* A TCP connection, dialed or accepted. */
void tune_tcp(int fd);
/* A TCP socket that listens. */
void tune_listener(int fd);
/* Before bind(2). is_shared: TCP, or UDP where several share a port. */
void tune_before_bind(int fd, int family, bool is_shared);
/* A TCP socket that dials from the port of a listener of ours, before bind(2). */
void tune_shared_dial(int fd);
/* A UDP socket; and one that carries QUIC, which reads and writes datagrams in bursts. */
void tune_udp(int fd);
void tune_udp_bursts(int fd, int family);
#endif
