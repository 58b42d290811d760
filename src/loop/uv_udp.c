#include "loop/socket_options.h"
#include "loop/uv_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#define MDNS_PORT 5353

typedef struct uv_udp_socket {
    udp_t base;
    uv_poll_t poll;
    uv_driver_t *d;
    int fd;
    bool is_polled, has_unread_event;
    bool must_write; /* a send found no room */
    bool takes_bursts;
    uint32_t single_left; /* datagrams to send one by one before segments are tried again */
} uv_udp_socket_t;

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_for(uv_udp_socket_t *u)
{
    int e = uv_poll_start(&u->poll, UV_READABLE | (u->must_write ? UV_WRITABLE : 0), on_poll);
    assert(!e);
    u->is_polled = true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    uv_udp_socket_t *u = poll->data;
    if (status >= 0 && events & UV_WRITABLE) {
        u->must_write = false;
        poll_for(u);
        event_fire(&u->base.writable);
        if (!(events & UV_READABLE))
            return;
    }
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
    poll_for(u);
}

static void poll_writable(uv_udp_socket_t *u)
{
    if (u->must_write)
        return;
    u->must_write = true;
    poll_for(u);
}

static err_t udp_send_to(udp_t *base, const net_addr_t *to, bytes_t datagram)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    struct sockaddr_storage addr;
    socklen_t len = sockaddr_of_net(to, &addr);
    ssize_t n;
    if (to->family == 4 && to->scope) { /* IPv6 has it in the address */
        struct ip_mreqn req = {.imr_ifindex = (int)to->scope};
        setsockopt(u->fd, IPPROTO_IP, IP_MULTICAST_IF, &req, sizeof req);
    }
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
    int e, hops = 255; /* RFC 6762 section 11; a group of one link goes no further in any case */
    if (group->family == 4) {
        struct ip_mreqn req = {.imr_ifindex = (int)group->scope};
        memcpy(&req.imr_multiaddr, group->ip, 4);
        e = setsockopt(u->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &req, sizeof req);
        setsockopt(u->fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops);
    } else {
        struct ipv6_mreq req = {.ipv6mr_interface = group->scope};
        memcpy(&req.ipv6mr_multiaddr, group->ip, 16);
        e = setsockopt(u->fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &req, sizeof req);
        setsockopt(u->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
    }
    return e && errno != EADDRINUSE ? fail_address(errno, "join the multicast group", group) : OK;
}

/* ── many datagrams in one call ──────────────────────────────────────────────────────────────── */
enum { SEGMENTS_MAX = 64, SEGMENTS_BYTES_MAX = 65000, SINGLE_AFTER_REFUSAL = 4096 };
typedef union control { /* aligned for cmsg */
    struct cmsghdr head;
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) +
                  CMSG_SPACE(sizeof(int))];
} control_t;

static void put_control(struct msghdr *m, int level, int type, const void *value, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)m->msg_control + m->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), value, len);
    m->msg_controllen += CMSG_SPACE(len);
}

static void put_source(struct msghdr *m, const net_addr_t *local)
{
    if (local->family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->ip, 4);
        put_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (local->family == 6) {
        struct in6_pktinfo info = {.ipi6_ifindex = local->scope};
        memcpy(&info.ipi6_addr, local->ip, 16);
        put_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

/* One call of the kernel; as many as it takes of the datagrams that begin `in`. */
static ssize_t send_some(uv_udp_socket_t *u, const udp_burst_t *b, bytes_t in)
{
    struct sockaddr_storage to;
    control_t control = {0};
    size_t n = SEGMENTS_BYTES_MAX / b->segment_bytes;
    n = u->single_left || n < 1 ? 1 : n < SEGMENTS_MAX ? n : SEGMENTS_MAX;
    in = bytes_slice(in, 0, n * b->segment_bytes);
    struct iovec iov = {(void *)(uintptr_t)in.data, in.len};
    struct msghdr m = {.msg_name = &to,
                       .msg_namelen = sockaddr_of_net(&b->peer, &to),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control};
    uint16_t segment = (uint16_t)b->segment_bytes;
    if (in.len > b->segment_bytes)
        put_control(&m, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    put_source(&m, &b->local);
    ssize_t sent;
    do
        sent = sendmsg(u->fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && in.len > b->segment_bytes && (errno == EIO || errno == EINVAL || errno == EOPNOTSUPP)) {
        u->single_left =
            SINGLE_AFTER_REFUSAL; /* neither the kernel nor the device can, or it was the address */
        sent = send_some(u, b, in);
        if (sent < 0 && errno != EAGAIN && errno != ENOBUFS)
            u->single_left = 0; /* it was */
        return sent;
    }
    u->single_left -= u->single_left > 0;
    if (sent < 0 && errno == EMSGSIZE)
        return (ssize_t)in.len; /* lost on the way, as it were */
    return sent;
}

static err_t udp_send_many(udp_t *base, const udp_burst_t *b, bytes_t datagrams, size_t *ret_n)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    *ret_n = 0;
    while (*ret_n < datagrams.len) {
        ssize_t n = send_some(u, b, bytes_slice(datagrams, *ret_n, SIZE_MAX));
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            poll_writable(u);
            return ERR_AGAIN;
        }
        if (n < 0)
            return fail_address(errno, "send to", &b->peer);
        *ret_n += (size_t)n;
    }
    return OK;
}

static void expect_bursts(uv_udp_socket_t *u)
{
    u->takes_bursts = true;
    tune_udp_bursts(u->fd, u->base.at.family);
}

static void read_control(struct msghdr *m, udp_burst_t *b)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            b->segment_bytes = (size_t)segment;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            b->local.family = 4;
            memcpy(b->local.ip, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            b->local.family = 6;
            memcpy(b->local.ip, &info.ipi6_addr, 16);
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                b->local.scope = info.ipi6_ifindex;
        }
    }
}

static err_t udp_recv_many(udp_t *base, udp_burst_t *ret_burst, uint8_t *out, size_t cap, size_t *ret_n)
{
    uv_udp_socket_t *u = (uv_udp_socket_t *)base;
    if (!u->takes_bursts)
        expect_bursts(u);
    poll_readable(u);
    struct sockaddr_storage from = {0};
    control_t control = {0};
    struct iovec iov = {out, cap};
    struct msghdr m = {.msg_name = &from, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    ssize_t n;
    int tries = 16;
    do {
        m.msg_namelen = sizeof from;
        m.msg_controllen = sizeof control;
        n = recvmsg(u->fd, &m, 0);
    } while (n < 0 && errno != EAGAIN && --tries > 0);
    if (n < 0)
        return ERR_AGAIN;
    udp_burst_t b = {.segment_bytes = (size_t)n};
    net_of_sockaddr(&from, &b.peer);
    read_control(&m, &b);
    b.local.port = u->base.at.port;
    *ret_burst = b;
    *ret_n = (size_t)n;
    return OK;
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
    .send_burst = udp_send_many,
    .recv_burst = udp_recv_many,
    .close = udp_close_it,
};

err_t uv_udp_open_at(driver_t *base, const net_addr_t *at, udp_t **ret_udp)
{
    int fd;
    net_addr_t bound;
    TRY(socket_bound(at, SOCK_DGRAM, at->port == MDNS_PORT, &fd, &bound));
    tune_udp(fd);
    uv_udp_socket_t *u = xcalloc(1, sizeof *u);
    u->base.ops = &udp_ops;
    u->base.at = bound;
    event_init(&u->base.readable);
    event_init(&u->base.writable);
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
