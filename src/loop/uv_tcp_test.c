#include "base/prng.h"
#include "loop/loop_testing.h"
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ECHO_BYTES (50 * 1024 * 1024)
#define PIECE 65536

/* ── echo ────────────────────────────────────────────────────────────────────────────────────── */

typedef struct pair {
    listener_t *listener;
    stream_t *client, *server;
    group_t group;
} pair_t;

static err_t open_pair(task_t *t, pair_t *p)
{
    net_addr_t at = loopback(0);
    TRY(net_listen(task_driver(t), &at, &p->listener));
    TRY(net_dial(t, &p->listener->at, &p->client));
    net_addr_t from;
    TRY(listener_accept(t, p->listener, &p->server, &from));
    CHECK(net_addr_is_loopback(&from) && from.port != 0);
    group_init(&p->group, task_sched(t));
    return OK;
}

static void close_pair(pair_t *p)
{
    group_deinit(&p->group);
    stream_close(p->client);
    stream_close(p->server);
    listener_close(p->listener);
}

static err_t echo(task_t *t, void *arg)
{
    stream_t *s = arg;
    uint8_t *piece = xmalloc(PIECE);
    for (;;) {
        size_t n = 0;
        err_t e = stream_read(t, s, piece, PIECE, &n);
        if (!e && n)
            e = stream_write(t, s, bytes_of(piece, n));
        if (e || !n) {
            free(piece);
            return e ? e : stream_close_write(s);
        }
    }
}

static err_t send_all(task_t *t, void *arg)
{
    stream_t *s = arg;
    prng_t prng;
    prng_seed(&prng, 1);
    uint8_t *piece = xmalloc(PIECE);
    err_t e = OK;
    for (size_t sent = 0; sent < ECHO_BYTES && !e; sent += PIECE) {
        prng_fill(&prng, piece, PIECE);
        bytes_t parts[] = {bytes_of(piece, 10), BYTES_NONE, bytes_of(piece + 10, PIECE - 10)};
        e = stream_write_pieces(t, s, parts, ARRAY_LEN(parts));
    }
    free(piece);
    return e ? e : stream_close_write(s);
}

static err_t receive_all(task_t *t, stream_t *s)
{
    prng_t prng;
    prng_seed(&prng, 1);
    uint8_t *got = xmalloc(PIECE), *expected = xmalloc(PIECE);
    err_t e = OK;
    for (size_t done = 0; done < ECHO_BYTES && !e; done += PIECE) {
        e = stream_read_full(t, s, got, PIECE);
        prng_fill(&prng, expected, PIECE);
        if (!e && memcmp(got, expected, PIECE))
            e = fail(ERR_CORRUPT, "the echo differs");
    }
    size_t n = 1;
    if (!e)
        e = stream_read(t, s, got, 1, &n);
    free(got);
    free(expected);
    TRY(e);
    CHECK(n == 0);
    return OK;
}

static err_t echo_body(task_t *t, void *arg)
{
    pair_t p;
    TRY(open_pair(t, &p));
    TRY(group_spawn(&p.group, "echo", echo, p.server, NULL));
    TRY(group_spawn(&p.group, "send", send_all, p.client, NULL));
    err_t e = receive_all(t, p.client);
    if (e)
        group_cancel(&p.group);
    err_t joined = group_join(t, &p.group);
    close_pair(&p);
    return e ? e : joined;
}

static void echo_both_ways_with_back_pressure(void **state)
{
    run_on_driver(echo_body, NULL);
}

/* ── back-pressure, half close, reset ────────────────────────────────────────────────────────── */

static err_t back_pressure_body(task_t *t, void *arg)
{
    pair_t p;
    TRY(open_pair(t, &p));
    static uint8_t data[1 << 20];
    bytes_t piece = bytes_of(data, sizeof data);
    size_t taken = 0, n = 0;
    err_t e;
    while (!(e = stream_try_write(p.client, &piece, 1, &n)))
        taken += n;
    CHECK(e == ERR_AGAIN);
    CHECK(taken > 0 && taken < 64 << 20);
    deadline_t d = deadline_push(t, 20);
    CHECK_ERR(ERR_TIMEOUT, event_wait(t, &p.client->writable));
    deadline_pop(t, &d);
    for (size_t left = taken; left > 0; left -= n)
        TRY(stream_read(t, p.server, data, sizeof data < left ? sizeof data : left, &n));
    TRY(stream_write(t, p.client, BYTES_LIT("more")));
    TRY(stream_read_full(t, p.server, data, 4));
    close_pair(&p);
    return OK;
}

static void back_pressure(void **state)
{
    run_on_driver(back_pressure_body, NULL);
}

static err_t half_close_body(task_t *t, void *arg)
{
    pair_t p;
    TRY(open_pair(t, &p));
    TRY(stream_write(t, p.client, BYTES_LIT("question")));
    TRY(stream_close_write(p.client));
    uint8_t got[8];
    size_t n;
    TRY(stream_read_full(t, p.server, got, 8));
    TRY(stream_read(t, p.server, got, 8, &n));
    CHECK(n == 0);
    CHECK_ERR(ERR_CLOSED, stream_write(t, p.client, BYTES_LIT("x")));
    TRY(stream_write(t, p.server, BYTES_LIT("answer")));
    TRY(stream_read_full(t, p.client, got, 6));
    CHECK(!memcmp(got, "answer", 6));
    close_pair(&p);
    return OK;
}

static void half_close(void **state)
{
    run_on_driver(half_close_body, NULL);
}

static err_t read_once(task_t *t, void *arg)
{
    uint8_t byte;
    size_t n;
    return stream_read(t, arg, &byte, 1, &n);
}

static err_t reset_body(task_t *t, void *arg)
{
    pair_t p;
    TRY(open_pair(t, &p));
    TRY(group_spawn(&p.group, "read", read_once, p.client, NULL));
    TRY(task_yield(t));
    stream_reset(p.client); /* wakes our own reader as well */
    CHECK_ERR(ERR_RESET, group_join(t, &p.group));
    CHECK_ERR(ERR_RESET, read_once(t, p.server));
    CHECK_ERR(ERR_RESET, stream_write(t, p.client, BYTES_LIT("x")));
    CHECK_ERR(ERR_RESET, stream_close_write(p.client));
    err_t e = OK;
    while (!e)
        e = stream_write(t, p.server, BYTES_LIT("x"));
    CHECK(e == ERR_RESET);
    CHECK(strstr(error_text(e), "127.0.0.1:"));
    close_pair(&p);
    return OK;
}

static void reset(void **state)
{
    run_on_driver(reset_body, NULL);
}

/* What was written before close arrives, although the other side had written something that nobody read. */
static err_t close_flushes_body(task_t *t, void *arg)
{
    pair_t p;
    TRY(open_pair(t, &p));
    TRY(stream_write(t, p.client, BYTES_LIT("nobody reads this")));
    uint8_t got[1000] = {0};
    TRY(stream_write(t, p.server, bytes_of(got, sizeof got)));
    stream_close(p.server);
    p.server = NULL;
    TRY(stream_read_full(t, p.client, got, sizeof got));
    size_t n;
    TRY(stream_read(t, p.client, got, sizeof got, &n));
    CHECK(n == 0);
    close_pair(&p);
    return OK;
}

static void close_flushes(void **state)
{
    run_on_driver(close_flushes_body, NULL);
}

/* ── waits that end early ────────────────────────────────────────────────────────────────────── */

static err_t accept_once(task_t *t, void *arg)
{
    stream_t *s;
    return listener_accept(t, arg, &s, NULL);
}

static err_t write_for_ever(task_t *t, void *arg)
{
    static const uint8_t data[PIECE];
    for (;;)
        TRY(stream_write(t, arg, bytes_of(data, sizeof data)));
}

static err_t dial_full_backlog(task_t *t, void *arg)
{
    stream_t *s;
    TRY(net_dial(t, arg, &s));
    stream_close(s);
    return OK;
}

static err_t cancel_body(task_t *t, void *arg)
{
    pair_t p;
    TRY(open_pair(t, &p));
    static const struct {
        task_fn fn;
        size_t what;
    } waits[] = {{read_once, offsetof(pair_t, client)},
                 {write_for_ever, offsetof(pair_t, server)},
                 {accept_once, offsetof(pair_t, listener)}};
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        task_t *child;
        void *what = *(void **)((char *)&p + waits[i].what);
        TRY(group_spawn(&p.group, "waits", waits[i].fn, what, &child));
        TRY(task_sleep(t, 5));
        CHECK(p.group.count == 1);
        task_cancel(child);
        TRY(group_wait_below(t, &p.group, 1));
    }
    close_pair(&p);
    return OK;
}

static void cancel_in_each_wait(void **state)
{
    run_on_driver(cancel_body, NULL);
}

/* A listener whose queue is full answers no SYN: a dial to it hangs. */
static err_t hanging_dial_body(task_t *t, void *arg)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[3];
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    CHECK(!bind(fd, (struct sockaddr *)&addr, len) && !listen(fd, 0) &&
          !getsockname(fd, (struct sockaddr *)&addr, &len));
    for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&addr, len);
    }
    net_addr_t at = loopback(ntohs(addr.sin_port));
    deadline_t d = deadline_push(t, 30);
    CHECK_ERR(ERR_TIMEOUT, dial_full_backlog(t, &at));
    deadline_pop(t, &d);
    group_t g;
    group_init(&g, task_sched(t));
    task_t *child;
    TRY(group_spawn(&g, "dial", dial_full_backlog, &at, &child));
    TRY(task_sleep(t, 5));
    task_cancel(child);
    TRY(group_wait_below(t, &g, 1));
    for (size_t i = 0; i < ARRAY_LEN(fill); i++)
        close(fill[i]);
    close(fd);
    return OK;
}

static void dial_that_hangs(void **state)
{
    run_on_driver(hanging_dial_body, NULL);
}

static err_t refused_body(task_t *t, void *arg)
{
    net_addr_t at = loopback(0);
    listener_t *l;
    TRY(net_listen(task_driver(t), &at, &l));
    at = l->at;
    listener_t *again = NULL;
    CHECK_ERR(ERR_IN_USE, net_listen(task_driver(t), &at, &again));
    CHECK(strstr(error_text(ERR_IN_USE), "127.0.0.1:"));
    listener_close(l);
    stream_t *s;
    CHECK_ERR(ERR_REFUSED, net_dial(t, &at, &s));
    CHECK(strstr(error_text(ERR_REFUSED), "dial 127.0.0.1:"));
    net_addr_t foreign = {.family = 4, .ip = {192, 0, 2, 1}};
    CHECK_ERR(ERR_UNREACHABLE, net_listen(task_driver(t), &foreign, &l));
    return OK;
}

static void refused(void **state)
{
    run_on_driver(refused_body, NULL);
}

static err_t listener_close_body(task_t *t, void *arg)
{
    net_addr_t at = {.family = 6, .ip = {[15] = 1}};
    listener_t *l;
    TRY(net_listen(task_driver(t), &at, &l));
    group_t g;
    group_init(&g, task_sched(t));
    TRY(group_spawn(&g, "accept 1", accept_once, l, NULL));
    TRY(group_spawn(&g, "accept 2", accept_once, l, NULL));
    TRY(task_sleep(t, 5));
    listener_close(l);
    CHECK_ERR(ERR_CLOSED, group_join(t, &g));
    return OK;
}

static void listener_close_wakes_acceptors(void **state)
{
    run_on_driver(listener_close_body, NULL);
}

/* ── no descriptor left ──────────────────────────────────────────────────────────────────────── */

static err_t emfile_body(task_t *t, void *arg)
{
    net_addr_t at = loopback(0);
    listener_t *l;
    TRY(net_listen(task_driver(t), &at, &l));
    stream_t *client, *server;
    TRY(net_dial(t, &l->at, &client));
    struct rlimit before, now;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    now = (struct rlimit){(rlim_t)next, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
    deadline_t d = deadline_push(t, 30);
    err_t e = listener_accept(t, l, &server, NULL);
    deadline_pop(t, &d);
    stream_t *other;
    err_t dialed = net_dial(t, &l->at, &other);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK(e == ERR_TIMEOUT);
    CHECK(dialed == ERR_LIMIT);
    TRY(listener_accept(t, l, &server, NULL));
    stream_close(client);
    stream_close(server);
    listener_close(l);
    return OK;
}

static void accept_waits_for_descriptors(void **state)
{
    run_on_driver(emfile_body, NULL);
}

/* ── datagrams ───────────────────────────────────────────────────────────────────────────────── */

static err_t udp_recv_once(task_t *t, void *arg)
{
    net_addr_t from;
    uint8_t out[16];
    size_t n;
    return udp_recv(t, arg, &from, out, sizeof out, &n);
}

/* Each datagram that it reads is followed by another at once. */
enum { FLOOD_MAX = 5000 };
typedef struct flood {
    udp_t *udp;
    size_t n;
} flood_t;

static err_t read_flood(task_t *t, void *arg)
{
    flood_t *f = arg;
    net_addr_t from;
    uint8_t in[16];
    size_t n;
    for (; f->n < FLOOD_MAX; f->n++) {
        TRY(udp_send(f->udp, &f->udp->at, BYTES_LIT("more")));
        TRY(udp_recv(t, f->udp, &from, in, sizeof in, &n));
    }
    return OK;
}

static err_t udp_flood_body(task_t *t, void *arg)
{
    net_addr_t at = loopback(0);
    flood_t f = {0};
    group_t g;
    task_t *child;
    TRY(udp_open(task_driver(t), &at, &f.udp));
    group_init(&g, task_sched(t));
    TRY(group_spawn(&g, "reads a flood", read_flood, &f, &child));
    while (f.n < 10)
        TRY(task_yield(t));
    task_cancel(child);
    TRY(group_wait_below(t, &g, 1));
    CHECK(f.n < FLOOD_MAX); /* others had their turn */
    udp_close(f.udp);
    return OK;
}

static void datagram_flood(void **state)
{
    run_on_driver(udp_flood_body, NULL);
}

static err_t udp_body(task_t *t, void *arg)
{
    udp_t *a, *b;
    net_addr_t at = loopback(0), from;
    TRY(udp_open(task_driver(t), &at, &a));
    TRY(udp_open(task_driver(t), &at, &b));
    uint8_t got[2000];
    size_t n;
    for (size_t len = 0; len < 1400; len += 100) {
        memset(got, 7, len);
        TRY(udp_send(a, &b->at, bytes_of(got, len)));
        TRY(udp_recv(t, b, &from, got, sizeof got, &n));
        CHECK(n == len && net_addr_equal(&from, &a->at));
    }
    deadline_t d = deadline_push(t, 5);
    CHECK_ERR(ERR_TIMEOUT, udp_recv(t, b, &from, got, sizeof got, &n));
    deadline_pop(t, &d);
    group_t g;
    group_init(&g, task_sched(t));
    task_t *child;
    TRY(group_spawn(&g, "recv", udp_recv_once, b, &child));
    TRY(task_yield(t));
    task_cancel(child);
    TRY(group_wait_below(t, &g, 1));
    udp_t *taken;
    CHECK_ERR(ERR_IN_USE, udp_open(task_driver(t), &b->at, &taken));
    net_addr_t nobody = loopback(b->at.port); /* an ICMP error must not break the socket */
    udp_close(b);
    TRY(udp_send(a, &nobody, BYTES_LIT("x")));
    d = deadline_push(t, 5);
    CHECK_ERR(ERR_TIMEOUT, udp_recv(t, a, &from, got, sizeof got, &n));
    deadline_pop(t, &d);
    udp_close(a);
    return OK;
}

static void datagrams(void **state)
{
    run_on_driver(udp_body, NULL);
}

/* Sends ten datagrams in one call. ret_most: how many of them came at once. */
static err_t send_ten(task_t *t, udp_t *from, udp_t *to, size_t *ret_most)
{
    enum { SEGMENT = 1000, LEN = 10 * SEGMENT };
    uint8_t *block = xcalloc(1, UDP_BURST_MAX);
    udp_burst_t burst = {.peer = loopback(to->at.port), .segment_bytes = SEGMENT};
    size_t n = 0, got = 0;
    err_t e = udp_send_burst(from, &burst, bytes_of(block, LEN), &n);
    *ret_most = 0;
    while (!e && got < LEN) {
        e = udp_recv_burst(to, &burst, block, UDP_BURST_MAX, &n);
        if (e == ERR_AGAIN) {
            e = event_wait(t, &to->readable);
            continue;
        }
        got += n;
        if (n / SEGMENT > *ret_most)
            *ret_most = n / SEGMENT;
    }
    free(block);
    return e;
}

/* One send that the kernel refuses for its address does not end sending in segments. */
static err_t refused_burst_body(task_t *t, void *arg)
{
    udp_t *a, *b;
    net_addr_t any = {.family = 4};
    TRY(udp_open(task_driver(t), &any, &a));
    TRY(udp_open(task_driver(t), &any, &b));
    size_t before, after, n;
    uint8_t byte[4];
    udp_burst_t burst;
    CHECK_ERR(ERR_AGAIN, udp_recv_burst(b, &burst, byte, sizeof byte, &n)); /* expects bursts from now on */
    TRY(send_ten(t, a, b, &before));
    uint8_t *block = xcalloc(1, 5000);
    burst = (udp_burst_t){.peer = loopback(b->at.port),
                          .local = {.family = 4, .ip = {192, 0, 2, 1}}, /* not ours */
                          .segment_bytes = 1000};
    err_t e = udp_send_burst(a, &burst, bytes_of(block, 5000), &n);
    free(block);
    CHECK(e != OK);
    TRY(send_ten(t, a, b, &after));
    CHECK(after == before);
    udp_close(a);
    udp_close(b);
    return OK;
}

static void refused_burst(void **state)
{
    run_on_driver(refused_burst_body, NULL);
}

static err_t bursts_body(task_t *t, void *arg)
{
    enum { N = 21, SEGMENT = 1000, LAST = 500, LEN = (N - 1) * SEGMENT + LAST };
    udp_t *a, *b;
    net_addr_t at = loopback(0), any = {.family = 4};
    TRY(udp_open(task_driver(t), &at, &a));
    TRY(udp_open(task_driver(t), &any, &b));
    uint8_t *out = xmalloc(LEN), *in = xmalloc(UDP_BURST_MAX);
    for (size_t i = 0; i < LEN; i++)
        out[i] = (uint8_t)(i / 7);
    udp_burst_t to = {.peer = loopback(b->at.port), .segment_bytes = SEGMENT}, from;
    size_t n = 0, got = 0, datagrams = 0;
    CHECK_ERR(ERR_AGAIN, udp_recv_burst(b, &from, in, UDP_BURST_MAX, &n));
    TRY(udp_send_burst(a, &to, bytes_of(out, LEN), &n));
    CHECK(n == LEN);
    while (got < LEN) {
        err_t e = udp_recv_burst(b, &from, in, UDP_BURST_MAX, &n);
        if (e == ERR_AGAIN) {
            TRY(event_wait(t, &b->readable));
            continue;
        }
        CHECK(net_addr_equal(&from.peer, &a->at) && net_addr_is_loopback(&from.local));
        CHECK(from.segment_bytes == SEGMENT || (from.segment_bytes == LAST && n == LAST));
        CHECK(n <= LEN - got && !memcmp(in, out + got, n));
        datagrams += (n + from.segment_bytes - 1) / from.segment_bytes;
        got += n;
    }
    CHECK(datagrams == N);
    net_addr_t me = from.local; /* an answer leaves from where the question came to */
    to = (udp_burst_t){.peer = a->at, .local = me, .segment_bytes = 3};
    TRY(udp_send_burst(b, &to, BYTES_LIT("abc"), &n));
    net_addr_t source;
    TRY(udp_recv(t, a, &source, in, UDP_BURST_MAX, &n));
    CHECK(n == 3 && source.port == b->at.port && net_addr_is_loopback(&source));
    to.segment_bytes = 65400;
    memset(in, 1, 65400);
    to.peer.ip[3] = 2; /* larger than the device takes, or to nobody: lost */
    err_t e = udp_send_burst(b, &to, bytes_of(in, 65400), &n);
    CHECK(!e || e == ERR_UNREACHABLE);
    free(in);
    free(out);
    udp_close(a);
    udp_close(b);
    return OK;
}

static void bursts(void **state)
{
    run_on_driver(bursts_body, NULL);
}

static err_t multicast_body(task_t *t, void *arg)
{
    udp_t *u;
    net_addr_t at = {.family = 4}, group = {.family = 4, .ip = {239, 255, 77, 77}}, from;
    TRY(udp_open(task_driver(t), &at, &u));
    group.port = u->at.port;
    err_t e = u->ops->join(u, &group);
    if (!e &&
        !udp_send(u, &group, BYTES_LIT("hello"))) { /* machines without a multicast route: joined is all */
        uint8_t got[8];
        size_t n = 0;
        deadline_t d = deadline_push(t, 1000);
        e = udp_recv(t, u, &from, got, sizeof got, &n);
        deadline_pop(t, &d);
        CHECK(e == ERR_TIMEOUT || n == 5);
    }
    net_addr_t not_a_group = loopback(1);
    CHECK_ERR(ERR_INVALID, u->ops->join(u, &not_a_group));
    udp_close(u);
    return OK;
}

static void multicast(void **state)
{
    run_on_driver(multicast_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_both_ways_with_back_pressure),
        cmocka_unit_test(back_pressure),
        cmocka_unit_test(half_close),
        cmocka_unit_test(reset),
        cmocka_unit_test(close_flushes),
        cmocka_unit_test(cancel_in_each_wait),
        cmocka_unit_test(dial_that_hangs),
        cmocka_unit_test(refused),
        cmocka_unit_test(listener_close_wakes_acceptors),
        cmocka_unit_test(accept_waits_for_descriptors),
        cmocka_unit_test(datagrams),
        cmocka_unit_test(datagram_flood),
        cmocka_unit_test(bursts),
        cmocka_unit_test(refused_burst),
        cmocka_unit_test(multicast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
