#include "loop/uv_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define MDNS_PORT 5353
/* A burst of QUIC packets between two turns of the loop must fit; the kernel caps it at rmem_max. */
#define UDP_BUFFER_BYTES (4 * 1024 * 1024)

typedef struct uv_udp_socket {
    udp_t base;
    uv_poll_t poll;
    uv_driver_t *d;
    int fd;
    bool is_polled, has_unread_event;
} uv_udp_socket_t;

static void on_poll(uv_poll_t *poll, int status, int events)
{
    uv_udp_socket_t *u = poll->data;
    if (status < 0 || u->has_unread_event) { /* nobody reads: stop, as in uv_tcp.c */
        uv_poll_stop(poll);
        u->is_polled = false;
    }
    u->has_unread_event = true;
    event_fire(&u->base.readable);
}

static void poll_readable(uv_udp_socket_t *u)
{
    u->has_unread_event = false;
    if (u->is_polled)
        return;
    u->is_polled = true;
    int e = uv_poll_start(&u->poll, UV_READABLE, on_poll);
    assert(!e);
}

static err_t udp_send_to(udp_t *base, const net_addr_t *to, bytes_t datagram)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    struct sockaddr_storage addr;
    socklen_t len = sockaddr_of_net(to, &addr);
    ssize_t n;
    do
        n = sendto(u->fd, datagram.data, datagram.len, MSG_NOSIGNAL, (struct sockaddr *)&addr, len);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return OK;
    if (errno == EAGAIN || errno == ENOBUFS)
        return ERR_AGAIN;
    return fail_address(errno, "send to", to);
}

static err_t udp_recv_from(udp_t *base, net_addr_t *ret_from, uint8_t *out, size_t cap, size_t *ret_n)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    poll_readable(u);
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    ssize_t n;
    int tries = 16;
    do /* an ICMP error of an earlier datagram says nothing about the next one */
        n = recvfrom(u->fd, out, cap, 0, (struct sockaddr *)&from, &len);
    while (n < 0 && errno != EAGAIN && --tries > 0);
    if (n < 0)
        return ERR_AGAIN;
    net_of_sockaddr(&from, ret_from);
    *ret_n = (size_t)n;
    return OK;
}

static err_t udp_join_group(udp_t *base, const net_addr_t *group)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    int e;
    if (group->family == 4) {
        struct ip_mreqn req = {.imr_ifindex = (int)group->scope};
        memcpy(&req.imr_multiaddr, group->ip, 4);
        e = setsockopt(u->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &req, sizeof req);
    } else {
        struct ipv6_mreq req = {.ipv6mr_interface = group->scope};
        memcpy(&req.ipv6mr_multiaddr, group->ip, 16);
        e = setsockopt(u->fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &req, sizeof req);
    }
    return e ? fail_address(errno, "join the multicast group", group) : OK;
}

static void on_closed(uv_handle_t *handle)
{
    uv_udp_socket_t *u = handle->data;
    u->d->open_count--;
    free(u);
}

static void udp_close_it(udp_t *base)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    uv_close((uv_handle_t *)&u->poll, on_closed);
    close(u->fd);
}

static const udp_ops_t udp_ops = {
    .send = udp_send_to,
    .recv = udp_recv_from,
    .join = udp_join_group,
    .close = udp_close_it,
};

err_t uv_udp_open_at(driver_t *base, const net_addr_t *at, udp_t **ret_udp)
{
    int fd;
    net_addr_t bound;
    TRY(socket_bound(at, SOCK_DGRAM, at->port == MDNS_PORT, &fd, &bound));
    int size = UDP_BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    uv_udp_socket_t *u = xcalloc(1, sizeof *u);
    u->base.ops = &udp_ops;
    u->base.at = bound;
    event_init(&u->base.readable);
    u->d = uv_driver_of(base);
    u->fd = fd;
    u->poll.data = u;
    int e = uv_poll_init(&u->d->loop, &u->poll, fd);
    assert(!e);
    u->d->open_count++;
    poll_readable(u);
    *ret_udp = &u->base;
    return OK;
}
