#include "loop/socket_options.h"
#include "tests/support/test.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void test_connections_do_not_wait_and_notice_silence(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tune_tcp(fd);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_true(get(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
                    get(fd, IPPROTO_TCP, TCP_KEEPINTVL) * get(fd, IPPROTO_TCP, TCP_KEEPCNT) <=
                120);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 256 * 1024);
    /* The kernel's own tuning of buffers stays on. */
    assert_int_equal(get(fd, SOL_SOCKET, SO_RCVBUF), get(fresh, SOL_SOCKET, SO_RCVBUF));
    assert_int_equal(get(fd, SOL_SOCKET, SO_SNDBUF), get(fresh, SOL_SOCKET, SO_SNDBUF));
    close(fresh);
    close(fd);
}

static void test_listeners_share_their_port_and_take_fast_opens(void **state)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (fd < 0)
        skip(); /* a machine without IPv6 */
    tune_before_bind(fd, 6, true);
    assert_int_equal(get(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(get(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 1))
        skip();
    tune_listener(fd);
    assert_int_equal(get(fd, SOL_SOCKET, SO_REUSEPORT), 1);
    assert_true(get(fd, IPPROTO_TCP, TCP_FASTOPEN) > 0);
    close(fd);
}

static int listening_at(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof *at;
    tune_before_bind(fd, 4, true);
    if (bind(fd, (struct sockaddr *)at, sizeof *at) || listen(fd, 1)) {
        close(fd);
        return -1;
    }
    tune_listener(fd);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* A connection that left from the listener's port and was closed here waits for a minute: a program that
 * starts again listens all the same. */
static void test_old_dials_keep_no_listener_off(void **state)
{
    struct sockaddr_in ours = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                       theirs = ours;
    int listener = listening_at(&ours), other = listening_at(&theirs);
    int dial = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint8_t byte;
    assert_true(listener >= 0 && other >= 0);
    tune_shared_dial(dial);
    assert_int_equal(bind(dial, (struct sockaddr *)&ours, sizeof ours), 0);
    assert_int_equal(connect(dial, (struct sockaddr *)&theirs, sizeof theirs), 0);
    int accepted = accept(other, NULL, NULL);
    assert_true(accepted >= 0);
    close(dial);
    assert_int_equal(read(accepted, &byte, 1), 0);
    close(accepted);
    close(listener);
    listener = listening_at(&ours);
    assert_true(listener >= 0);
    close(listener);
    close(other);
}

static void test_sockets_of_datagrams_take_bursts(void **state)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        fresh = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tune_before_bind(fd, 4, false);
    assert_int_equal(get(fd, SOL_SOCKET, SO_REUSEADDR), 0);
    tune_udp(fd);
    tune_udp_bursts(fd, 4);
    assert_true(get(fd, SOL_SOCKET, SO_RCVBUF) >= get(fresh, SOL_SOCKET, SO_RCVBUF));
    assert_int_equal(get(fd, IPPROTO_IP, IP_PKTINFO), 1);
    assert_int_equal(get(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
    close(fresh);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_do_not_wait_and_notice_silence),
        cmocka_unit_test(test_listeners_share_their_port_and_take_fast_opens),
        cmocka_unit_test(test_old_dials_keep_no_listener_off),
        cmocka_unit_test(test_sockets_of_datagrams_take_bursts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
