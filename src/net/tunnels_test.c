/* A service of one machine used from another one: bytes both ways, ends of each way, names, limits, ends. */
#include "net/tunnels.h"
#include "tests/support/net.h"

#define NAME "/x/echo"
enum { SERVICE_PORT = 7000, ENTRY_PORT = 8000, MANY = 300000 };

typedef struct service {
    listener_t *listener;
    group_t tasks;
    size_t served;
} service_t;

/* Answers a line with itself; to the end of what comes with all of it again. */
static err_t echo(task_t *t, void *arg)
{
    stream_t *s = arg;
    uint8_t block[5000];
    size_t n = 1;
    err_t e = OK;
    while (!e && n) {
        e = stream_read(t, s, block, sizeof block, &n);
        if (!e && n)
            e = stream_write(t, s, bytes_of(block, n));
    }
    if (!e)
        e = stream_write(t, s, BYTES_LIT("end"));
    stream_close(s);
    return OK;
}

static err_t serve(task_t *t, void *arg)
{
    service_t *service = arg;
    for (;;) {
        stream_t *s;
        net_addr_t from;
        if (listener_accept(t, service->listener, &s, &from))
            return OK;
        service->served++;
        assert_ok(group_spawn(&service->tasks, "echo", echo, s, NULL));
    }
}

static void start_service(net_world_t *w, size_t node, service_t *s)
{
    net_addr_t at = sim_host_addr(w->nodes[node].machine, SERVICE_PORT);
    sched_t *sched = sim_host_sched(w->nodes[node].machine);
    *s = (service_t){0};
    assert_ok(net_listen(sched_driver(sched), &at, &s->listener));
    group_init(&s->tasks, sched);
    assert_ok(group_spawn(&s->tasks, "service", serve, s, NULL));
}

static void stop_service(task_t *t, service_t *s)
{
    listener_close(s->listener);
    group_stop(t, &s->tasks);
    group_deinit(&s->tasks);
}

static multiaddr_t address(net_world_t *w, size_t node, uint16_t port)
{
    multiaddr_t m;
    net_addr_t at = sim_host_addr(w->nodes[node].machine, port);
    assert_ok(multiaddr_from_tcp(at.family, at.ip, at.port, &m));
    return m;
}

static stream_t *enter(task_t *t, net_world_t *w)
{
    stream_t *s;
    net_addr_t at = sim_host_addr(w->nodes[0].machine, ENTRY_PORT);
    assert_ok(net_dial(t, &at, &s));
    return s;
}

static bool count(const tunnel_t *tunnel, void *n)
{
    ++*(size_t *)n;
    return true;
}

static bool count_stream(const tunnel_stream_t *s, void *n)
{
    ++*(size_t *)n;
    return true;
}

static size_t streams_of(const tunnels_t *ts)
{
    size_t n = 0;
    tunnels_each_stream(ts, count_stream, &n);
    return n;
}

/* Bytes of a pattern there and back, in pieces of any size, then the end of one way. */
static void converse(task_t *t, stream_t *s, size_t bytes, const char *greeting)
{
    uint8_t *out = xmalloc(bytes + 256), in[3000];
    size_t got = 0, n = 1;
    char head[PEER_ID_TEXT_MAX + 2] = "";
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(i * 31 + i / 251);
    if (greeting) {
        assert_ok(stream_read_full(t, s, (uint8_t *)head, strlen(greeting)));
        assert_memory_equal(head, greeting, strlen(greeting));
    }
    for (size_t at = 0; at < bytes;) {
        size_t piece = bytes - at < 7001 ? bytes - at : 7001;
        assert_ok(stream_write(t, s, bytes_of(out + at, piece)));
        at += piece;
        while (got < at) {
            assert_ok(stream_read(t, s, in, sizeof in, &n));
            assert_true(n && got + n <= bytes);
            assert_memory_equal(in, out + got, n);
            got += n;
        }
    }
    assert_ok(stream_close_write(s)); /* the other way stays open */
    assert_ok(stream_read_full(t, s, in, 3));
    assert_memory_equal(in, "end", 3);
    assert_ok(stream_read(t, s, in, sizeof in, &n));
    assert_int_equal(n, 0);
    stream_close(s);
    free(out);
}

typedef struct pair {
    tunnels_t *from, *to;
    service_t service;
} pair_t;

static void start(task_t *t, net_world_t *w, pair_t *p, bool tells_peer)
{
    const tunnel_t *tunnel;
    multiaddr_t at = address(w, 0, ENTRY_PORT), target = address(w, 1, SERVICE_PORT);
    net_start_all(t, w);
    start_service(w, 1, &p->service);
    p->from = tunnels_new(w->nodes[0].host);
    p->to = tunnels_new(w->nodes[1].host);
    conn_release(net_connect(t, w, 0, 1));
    assert_ok(tunnels_listen(p->to, NAME, &target, tells_peer, &tunnel));
    assert_true(multiaddr_equal(&tunnel->target, &target));
    assert_ok(tunnels_forward(p->from, NAME, &at, host_id(w->nodes[1].host), &tunnel));
    assert_true(multiaddr_equal(&tunnel->listen, &at));
}

static void stop(task_t *t, net_world_t *w, pair_t *p)
{
    tunnels_close(t, p->from);
    tunnels_close(t, p->to);
    net_stop_all(t, w);
    stop_service(t, &p->service);
}

static err_t carry(task_t *t, void *arg)
{
    net_world_t *w = arg;
    pair_t p;
    start(t, w, &p, false);
    converse(t, enter(t, w), MANY, NULL);
    stream_t *a = enter(t, w), *b = enter(t, w); /* two at once, ends in the other order */
    assert_ok(stream_write(t, a, BYTES_LIT("hello")));
    converse(t, b, 10, NULL);
    assert_int_equal(streams_of(p.from), 1);
    assert_int_equal(streams_of(p.to), 1);
    tunnels_cut(p.to, &(uint64_t){999});
    assert_int_equal(streams_of(p.to), 1);
    tunnels_cut(p.to, NULL);
    uint8_t in[16];
    size_t n = 1;
    err_t e = OK;
    while (!e && n)
        e = stream_read(t, a, in, sizeof in, &n);
    stream_close(a);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(streams_of(p.from) + streams_of(p.to), 0);
    assert_int_equal(p.service.served, 3);
    stop(t, w, &p);
    return OK;
}

static void test_carry(void **state)
{
    assert_ok(net_run(1, 2, carry, NULL, NULL));
}

static err_t say_who(task_t *t, void *arg)
{
    net_world_t *w = arg;
    pair_t p;
    char text[PEER_ID_TEXT_MAX], line[PEER_ID_TEXT_MAX + 1];
    start(t, w, &p, true);
    snprintf(line, sizeof line, "%s\n", peer_id_print(host_id(w->nodes[0].host), text));
    converse(t, enter(t, w), 100, line);
    stop(t, w, &p);
    return OK;
}

static void test_tells_peer(void **state)
{
    assert_ok(net_run(2, 2, say_who, NULL, NULL));
}

static bool is_forward(const tunnel_t *tunnel, void *arg)
{
    return !tunnel->is_service;
}

/* Names and addresses are taken once; what has ended takes no more, and lets go of its place. */
static err_t register_them(task_t *t, void *arg)
{
    net_world_t *w = arg;
    pair_t p;
    const tunnel_t *tunnel;
    size_t n = 0;
    char name[32];
    uint8_t in[8];
    start(t, w, &p, false);
    multiaddr_t at = address(w, 0, ENTRY_PORT), target = address(w, 1, SERVICE_PORT), udp;
    assert_int_equal(tunnels_listen(p.to, NAME, &target, false, &tunnel), ERR_EXISTS);
    assert_int_equal(tunnels_listen(p.to, "/ipfs/ping/1.0.0", &target, false, &tunnel), ERR_INVALID);
    assert_int_equal(tunnels_forward(p.from, NAME, &at, host_id(w->nodes[1].host), &tunnel), ERR_IN_USE);
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/udp/9", &udp));
    assert_int_equal(tunnels_forward(p.from, NAME, &udp, host_id(w->nodes[1].host), &tunnel), ERR_INVALID);
    for (size_t i = 1; i < TUNNELS_MAX; i++) {
        snprintf(name, sizeof name, "/x/%zu", i);
        assert_ok(tunnels_listen(p.to, name, &target, false, &tunnel));
    }
    assert_int_equal(tunnels_listen(p.to, "/x/one-more", &target, false, &tunnel), ERR_LIMIT);
    tunnels_each(p.to, count, &n);
    assert_int_equal(n, TUNNELS_MAX);

    stream_t *open = enter(t, w); /* goes on when its listeners have ended */
    assert_ok(stream_write(t, open, BYTES_LIT("hello")));
    assert_ok(stream_read_full(t, open, in, 5));
    assert_int_equal(tunnels_end(p.to, is_forward, NULL), 0);
    assert_int_equal(tunnels_end(p.to, NULL, NULL), TUNNELS_MAX);
    stream_t *late = enter(t, w); /* the service is not there any more */
    assert_int_not_equal(stream_read_full(t, late, in, 1), OK);
    stream_close(late);
    assert_int_equal(tunnels_end(p.from, is_forward, NULL), 1);
    net_addr_t entry = sim_host_addr(w->nodes[0].machine, ENTRY_PORT);
    assert_int_not_equal(net_dial(t, &entry, &late), OK);
    assert_ok(stream_write(t, open, BYTES_LIT("again")));
    assert_ok(stream_read_full(t, open, in, 5));
    stream_close(open);
    assert_ok(tunnels_forward(p.from, NAME, &at, host_id(w->nodes[1].host), &tunnel));
    stop(t, w, &p);
    return OK;
}

static void test_registry(void **state)
{
    assert_ok(net_run(3, 2, register_them, NULL, NULL));
}

/* A service that is not there, a peer that does not speak the protocol, a node that closes in the middle. */
static err_t fail_well(task_t *t, void *arg)
{
    net_world_t *w = arg;
    pair_t p;
    uint8_t in[8];
    start(t, w, &p, false);
    stop_service(t, &p.service);
    stream_t *s = enter(t, w);
    assert_int_not_equal(stream_read_full(t, s, in, 1), OK);
    stream_close(s);
    start_service(w, 1, &p.service);
    s = enter(t, w);
    assert_ok(stream_write(t, s, BYTES_LIT("hello")));
    assert_ok(stream_read_full(t, s, in, 5));
    stop(t, w, &p);
    assert_int_not_equal(stream_read_full(t, s, in, 1), OK);
    stream_close(s);
    return OK;
}

/* A connection that is forwarded and says nothing is in use: others are trimmed. */
static err_t keep_silent(task_t *t, void *arg)
{
    net_world_t *w = arg;
    pair_t p;
    uint8_t in[16];
    w->limits.low_conns = 2;
    w->limits.high_conns = 3;
    start(t, w, &p, false);
    stream_t *s = enter(t, w), *second = enter(t, w);
    assert_ok(stream_write(t, s, BYTES_LIT("hello")));
    assert_ok(stream_read_full(t, s, in, 5));
    for (size_t i = 2; i < w->n; i++) {
        conn_release(net_connect(t, w, i, 0));
        conn_release(net_connect(t, w, i, 1));
        host_tag(w->nodes[0].host, host_id(w->nodes[i].host), "dht", 5);
        host_tag(w->nodes[1].host, host_id(w->nodes[i].host), "dht", 5);
    }
    stream_close(second); /* the other one goes on */
    assert_ok(task_sleep(t, 120000));
    assert_int_equal(host_conn_count(w->nodes[0].host), 2);
    assert_int_equal(host_conn_count(w->nodes[1].host), 2);
    assert_ok(stream_write(t, s, BYTES_LIT("again")));
    assert_ok(stream_read_full(t, s, in, 5));
    assert_memory_equal(in, "again", 5);
    stream_close(s);
    assert_ok(task_sleep(t, 1000));
    assert_false(peer_is_protected(peer_find(w->nodes[0].host, host_id(w->nodes[1].host))));
    assert_false(peer_is_protected(peer_find(w->nodes[1].host, host_id(w->nodes[0].host))));
    stop(t, w, &p);
    return OK;
}

static void test_silence(void **state)
{
    assert_ok(net_run(5, 7, keep_silent, NULL, NULL));
}

static void test_failures(void **state)
{
    assert_ok(net_run(4, 2, fail_well, NULL, NULL));
}

/* One peer leaves room for others. */
static err_t fill_share(task_t *t, void *arg)
{
    enum { ASKED = TUNNEL_STREAMS_PER_PEER + 8 };
    net_world_t *w = arg;
    pair_t p;
    stream_t *open[ASKED];
    const tunnel_t *tunnel;
    uint8_t in[8];
    start(t, w, &p, false);
    multiaddr_t target = address(w, 1, SERVICE_PORT), at = address(w, 0, ENTRY_PORT + 1);
    assert_ok(tunnels_listen(p.to, NAME "2", &target, false, &tunnel)); /* both names count */
    assert_ok(tunnels_forward(p.from, NAME "2", &at, host_id(w->nodes[1].host), &tunnel));
    net_addr_t entry = sim_host_addr(w->nodes[0].machine, ENTRY_PORT + 1);
    for (size_t i = 0; i < ASKED; i++) {
        if (i % 2)
            assert_ok(net_dial(t, &entry, &open[i]));
        else
            open[i] = enter(t, w);
        assert_ok(stream_write(t, open[i], BYTES_LIT("hello")));
    }
    assert_ok(task_sleep(t, 5000));
    assert_int_equal(streams_of(p.to), TUNNEL_STREAMS_PER_PEER);
    stream_close(open[0]);
    assert_ok(task_sleep(t, 1000));
    stream_t *one_more = enter(t, w); /* in its place */
    assert_ok(stream_write(t, one_more, BYTES_LIT("hello")));
    assert_ok(stream_read_full(t, one_more, in, 5));
    stream_close(one_more);
    for (size_t i = 1; i < ASKED; i++)
        stream_close(open[i]);
    stop(t, w, &p);
    return OK;
}

static void test_share(void **state)
{
    assert_ok(net_run(5, 2, fill_share, NULL, NULL));
}

static err_t close_them(task_t *t, void *arg)
{
    tunnels_close(t, arg);
    return OK;
}

/* A close that is cancelled waits for the streams that it cuts all the same. */
static err_t cancel_close(task_t *t, void *arg)
{
    net_world_t *w = arg;
    pair_t p;
    uint8_t in[8];
    group_t g;
    task_t *closing;
    start(t, w, &p, false);
    stream_t *s = enter(t, w);
    assert_ok(stream_write(t, s, BYTES_LIT("hello")));
    assert_ok(stream_read_full(t, s, in, 5));
    assert_int_equal(streams_of(p.to), 1);
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "closing", close_them, p.to, &closing));
    task_cancel(closing);
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    assert_ok(task_sleep(t, 1000)); /* whoever touches what was freed does so now */
    stream_close(s);
    p.to = NULL;
    stop(t, w, &p);
    return OK;
}

static void test_cancelled_close(void **state)
{
    assert_ok(net_run(6, 2, cancel_close, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carry),           cmocka_unit_test(test_tells_peer),
        cmocka_unit_test(test_registry),        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_silence),         cmocka_unit_test(test_share),
        cmocka_unit_test(test_cancelled_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
