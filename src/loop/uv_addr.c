#include "loop/socket_options.h"
#include "loop/uv_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024 /* the kernel caps it at net.core.somaxconn */

socklen_t sockaddr_of_net(const net_addr_t *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    in6->sin6_scope_id = a->scope;
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
}

void net_of_sockaddr(const struct sockaddr_storage *from, net_addr_t *ret_addr)
{
    memset(ret_addr, 0, sizeof *ret_addr);
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        ret_addr->family = 4;
        ret_addr->port = ntohs(in->sin_port);
        memcpy(ret_addr->ip, &in->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        ret_addr->family = 6;
        ret_addr->port = ntohs(in6->sin6_port);
        ret_addr->scope = in6->sin6_scope_id;
        memcpy(ret_addr->ip, &in6->sin6_addr, 16);
    }
}

static const char *advice(int errnum)
{
    switch (errnum) {
    case EADDRINUSE:
        return "; stop the program that uses it or choose another port";
    case EACCES:
        return "; ports below 1024 need a privilege";
    case EADDRNOTAVAIL:
        return "; this machine does not have the address";
    case EMFILE:
        return "; raise the limit of open files (ulimit -n)";
    default:
        return "";
    }
}

err_t fail_address(int errnum, const char *what, const net_addr_t *a)
{
    char text[NET_ADDR_TEXT_MAX];
    err_t e =
        errnum == ETIMEDOUT ? ERR_UNREACHABLE : error_from_errno(errnum); /* ERR_TIMEOUT is a deadline's */
    return fail(e, "%s %s: %s%s", what, net_addr_print(a, text), strerror(errnum), advice(errnum));
}

err_t socket_bound(const net_addr_t *at, int type, bool is_shared, int *ret_fd, net_addr_t *ret_at)
{
    struct sockaddr_storage addr;
    socklen_t len = sockaddr_of_net(at, &addr);
    const char *what = type == SOCK_STREAM ? "listen on" : "bind to";
    int fd = socket(addr.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_address(errno, what, at);
    tune_before_bind(fd, at->family, is_shared);
    struct sockaddr_storage got = {0};
    socklen_t got_len = sizeof got;
    if (bind(fd, (struct sockaddr *)&addr, len) || getsockname(fd, (struct sockaddr *)&got, &got_len)) {
        int errnum = errno;
        close(fd);
        return fail_address(errnum, what, at);
    }
    net_of_sockaddr(&got, ret_at);
    *ret_fd = fd;
    return OK;
}

err_t socket_listening(const net_addr_t *at, int *ret_fd, net_addr_t *ret_at)
{
    int fd = -1;
    net_addr_t bound;
    TRY(socket_bound(at, SOCK_STREAM, true, &fd, &bound));
    if (listen(fd, LISTEN_BACKLOG)) {
        int errnum = errno;
        close(fd);
        return fail_address(errnum, "listen on", at);
    }
    *ret_fd = fd;
    *ret_at = bound;
    return OK;
}

err_t sockaddr_of_path(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path)
        return fail(ERR_USAGE, "the path of a socket has at most %zu bytes: %s", sizeof out->sun_path - 1,
                    path);
    memcpy(out->sun_path, path, strlen(path));
    return OK;
}

/* The file stays when its process ends without tidying up. A file that is no socket refuses, too. */
static bool is_deserted(const struct sockaddr_un *at)
{
    struct stat info;
    if (lstat(at->sun_path, &info) || !S_ISSOCK(info.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return is_refused;
}

static int bind_and_listen(int fd, const struct sockaddr_un *at)
{
    const struct sockaddr *addr = (const struct sockaddr *)at;
    int e = bind(fd, addr, sizeof *at) ? errno : 0;
    if (e == EADDRINUSE && is_deserted(at) && !unlink(at->sun_path))
        e = bind(fd, addr, sizeof *at) ? errno : 0;
    return e ? e : listen(fd, LISTEN_BACKLOG) ? errno : 0;
}

err_t socket_listening_at_path(const char *path, int *ret_fd)
{
    struct sockaddr_un at;
    TRY(sockaddr_of_path(path, &at));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int e =
        fd < 0 || fchmod(fd, 0600) ? errno : bind_and_listen(fd, &at); /* the file gets the socket's mode */
    if (!e) {
        *ret_fd = fd;
        return OK;
    }
    if (fd >= 0)
        close(fd);
    return fail_path(e, "listen on", path);
}

size_t uv_interfaces(driver_t *d, net_addr_t *out, size_t cap)
{
    struct ifaddrs *all;
    if (getifaddrs(&all))
        return 0;
    size_t n = 0;
    for (struct ifaddrs *i = all; i && n < cap; i = i->ifa_next) {
        bool is_ip = i->ifa_addr && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
        if (!is_ip || !(i->ifa_flags & IFF_UP))
            continue;
        struct sockaddr_storage addr = {0};
        memcpy(&addr, i->ifa_addr,
               i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        net_of_sockaddr(&addr, &out[n++]);
    }
    freeifaddrs(all);
    return n;
}

static bool has_index(const uint32_t *indexes, size_t n, uint32_t index)
{
    for (size_t i = 0; i < n; i++)
        if (indexes[i] == index)
            return true;
    return false;
}

size_t uv_multicast_interfaces(driver_t *d, uint32_t *out, size_t cap)
{
    struct ifaddrs *all;
    if (getifaddrs(&all))
        return 0;
    size_t n = 0;
    for (struct ifaddrs *i = all; i && n < cap; i = i->ifa_next) {
        unsigned flags = i->ifa_flags;
        if (!(flags & IFF_UP) || !(flags & IFF_MULTICAST) || (flags & IFF_LOOPBACK))
            continue;
        uint32_t index = if_nametoindex(i->ifa_name);
        if (index && !has_index(out, n, index))
            out[n++] = index;
    }
    freeifaddrs(all);
    return n;
}

/* Linux's table of routes: the one to 0.0.0.0/0 that costs least. Small, in memory: read without waiting. */
bool uv_gateway(driver_t *d, net_addr_t *ret_gateway)
{
    FILE *f = fopen("/proc/net/route", "re");
    char line[256];
    unsigned best = UINT_MAX;
    while (f && fgets(line, sizeof line, f)) {
        unsigned to, via, flags, metric, mask;
        if (sscanf(line, "%*s %8x %8x %4x %*u %*u %u %8x", &to, &via, &flags, &metric, &mask) != 5 || to ||
            mask || !(flags & RTF_GATEWAY) || metric >= best)
            continue;
        best = metric;
        *ret_gateway = (net_addr_t){.family = 4};
        memcpy(ret_gateway->ip, &via, 4); /* in the order of the network already */
    }
    if (f)
        fclose(f);
    return best != UINT_MAX;
}
