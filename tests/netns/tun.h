/* tun: a TUN device in a network namespace, as a file descriptor: each read and write is one IP packet. */
#ifndef TESTS_NETNS_TUN_H
#define TESTS_NETNS_TUN_H
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PACKET_MAX = 65536 };

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* ns_path: /proc/PID/ns/net. The device ends with the descriptor. The caller's namespace is changed. */
static inline int tun_open(const char *ns_path, const char *name)
{
    int ns = open(ns_path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET))
        die(ns_path);
    close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(req.ifr_name, sizeof req.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &req))
        die("TUN device");
    return fd;
}

/* Tells the test that the devices are there. */
static inline void tun_ready(void)
{
    puts("ready");
    fflush(stdout);
}
#endif
