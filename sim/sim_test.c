#include "sim/sim.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ── a server that sends back what it reads ── */
typedef struct echo {
    uint16_t port;
    listener_t *listener;
    size_t accepted;
    err_t last;
} echo_t;

static err_t echo_stream(task_t *t, void *arg)
{
    stream_t *s = arg;
    uint8_t part[4096];
    size_t n = 0;
    err_t e;
    while (!(e = stream_read(t, s, part, sizeof part, &n)) && n)
        if ((e = stream_write(t, s, bytes_of(part, n))))
            break;
    stream_close(s);
    return e == ERR_RESET ? OK : e;
}

static err_t echo_main(task_t *t, void *arg)
{
    echo_t *echo = arg;
    group_t g;
    group_init(&g, task_sched(t));
    TRY(net_listen(task_driver(t), &(net_addr_t){.family = 4, .port = echo->port}, &echo->listener));
    err_t e;
    stream_t *s;
    net_addr_t from;
    while (!(e = listener_accept(t, echo->listener, &s, &from))) {
        echo->accepted++;
        e = group_spawn(&g, "echo", echo_stream, s, NULL);
        if (e) {
            stream_close(s);
            break;
        }
    }
    echo->last = e;
    listener_close(echo->listener);
    group_stop(t, &g);
    return e == ERR_CANCELED ? OK : e;
}

typedef struct world {
    sim_t *sim;
    sim_host_t *a, *b;
    echo_t echo;
    group_t servers;
} world_t;

static err_t run_world(task_fn fn, uint64_t seed, uint64_t *ret_hash)
{
    world_t w = {.sim = sim_new(seed), .echo = {.port = 7}};
    w.a = sim_add_host(w.sim, "10.0.0.1");
    w.b = sim_add_host(w.sim, "10.0.0.2 fd00::2");
    group_init(&w.servers, sim_host_sched(w.b));
    assert_ok(group_spawn(&w.servers, "server", echo_main, &w.echo, NULL));
    err_t e = sim_run(w.sim, fn, &w);
    if (ret_hash)
        *ret_hash = sim_hash(w.sim);
    sim_free(w.sim);
    return e;
}

static err_t say(task_t *t, stream_t *s, const char *text)
{
    uint8_t answer[64];
    size_t len = strlen(text);
    TRY(stream_write(t, s, bytes_str(text)));
    TRY(stream_read_full(t, s, answer, len));
    assert_memory_equal(answer, text, len);
    return OK;
}

/* ── streams ── */
static err_t streams(task_t *t, void *arg)
{
    world_t *w = arg;
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s;
    uint64_t before = task_now_ms(t);
    assert_ok(net_dial(t, &at, &s));
    assert_in_range(task_now_ms(t) - before, 10, 20); /* there and back */
    assert_int_equal(sim_host_stream_count(w->a), 1);
    assert_ok(say(t, s, "hello"));
    assert_ok(stream_close_write(s));
    uint8_t b;
    size_t n = 9;
    assert_ok(stream_read(t, s, &b, 1, &n));
    assert_int_equal(n, 0);
    assert_err(stream_write(t, s, BYTES_LIT("x")), ERR_CLOSED);
    stream_close(s);
    assert_int_equal(sim_host_stream_count(w->a), 0);

    at.port = 8;
    assert_err(net_dial(t, &at, &s), ERR_REFUSED);
    assert_non_null(strstr(error_text(ERR_REFUSED), "10.0.0.2:8"));
    assert_ok(net_addr_parse("10.9.9.9:7", &at));
    assert_err(net_dial(t, &at, &s), ERR_UNREACHABLE);
    sim_refuse_dials(w->b, true);
    at = sim_host_addr(w->b, 7);
    assert_err(net_dial(t, &at, &s), ERR_REFUSED);
    sim_refuse_dials(w->b, false);

    assert_ok(net_dial(t, &at, &s));
    assert_ok(say(t, s, "again"));
    sim_reset_streams(w->a, w->b);
    assert_err(say(t, s, "broken"), ERR_RESET);
    stream_close(s);
    assert_int_equal(w->echo.accepted, 2);
    group_stop(t, &w->servers);
    return OK;
}

static void test_streams(void **state)
{
    assert_ok(run_world(streams, 1, NULL));
}

static err_t back_pressure(task_t *t, void *arg)
{
    world_t *w = arg;
    listener_t *l;
    net_addr_t at = {.family = 4, .port = 9}, from;
    assert_ok(net_listen(sim_host_driver(w->b), &at, &l));
    assert_err(net_listen(sim_host_driver(w->b), &at, &l), ERR_IN_USE);
    stream_t *out, *in;
    at = sim_host_addr(w->b, 9);
    assert_ok(net_dial(t, &at, &out));
    assert_ok(listener_accept(t, l, &in, &from));
    assert_string_equal(net_addr_print(&from, (char[NET_ADDR_TEXT_MAX]){0}), "10.0.0.1:32768");
    static uint8_t chunk[50000], back[50000];
    size_t written = 0, n;
    err_t e;
    bytes_t piece = bytes_of(chunk, sizeof chunk);
    prng_t fill;
    prng_seed(&fill, 5);
    prng_fill(&fill, chunk, sizeof chunk);
    while (!(e = stream_try_write(out, &piece, 1, &n)))
        written += n;
    assert_err(e, ERR_AGAIN);
    assert_int_equal(written, 256 << 10);
    deadline_t d = deadline_push(t, 1000);
    assert_err(event_wait(t, &out->writable), ERR_TIMEOUT); /* nobody reads */
    deadline_pop(t, &d);
    assert_ok(stream_read_full(t, in, back, 1));
    assert_ok(event_wait(t, &out->writable));
    assert_ok(stream_read_full(t, in, back, sizeof back - 1));
    stream_close(out);
    size_t left = written - sizeof back;
    while (left) {
        assert_ok(stream_read(t, in, back, sizeof back, &n));
        assert_true(n && n <= left);
        left -= n;
    }
    assert_ok(stream_read(t, in, back, sizeof back, &n));
    assert_int_equal(n, 0);
    stream_close(in);
    listener_close(l);
    group_stop(t, &w->servers);
    return OK;
}

static void test_back_pressure(void **state)
{
    assert_ok(run_world(back_pressure, 2, NULL));
}

static err_t bandwidth(task_t *t, void *arg)
{
    world_t *w = arg;
    sim_set_link(w->a, w->b, (sim_link_t){.latency_ms = 10, .bytes_per_s = 1000000});
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s;
    assert_ok(net_dial(t, &at, &s));
    static uint8_t block[100000];
    uint64_t before = task_now_ms(t);
    assert_ok(stream_write(t, s, bytes_of(block, sizeof block)));
    assert_ok(stream_read_full(t, s, block, sizeof block));
    assert_in_range(task_now_ms(t) - before, 120, 300); /* 100 ms of sending, the echo overlaps */
    stream_close(s);
    group_stop(t, &w->servers);
    return OK;
}

static void test_bandwidth(void **state)
{
    assert_ok(run_world(bandwidth, 3, NULL));
}

static err_t stalls_and_resets(task_t *t, void *arg)
{
    world_t *w = arg;
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s;
    sim_set_link(w->a, w->b, (sim_link_t){.latency_ms = 1, .stall = 1});
    assert_ok(net_dial(t, &at, &s));
    uint64_t before = task_now_ms(t);
    assert_ok(say(t, s, "slow"));
    assert_in_range(task_now_ms(t) - before, 400, 10000);
    sim_set_link(w->a, w->b, (sim_link_t){.latency_ms = 1, .reset = 1});
    assert_err(say(t, s, "broken"), ERR_RESET);
    stream_close(s);
    group_stop(t, &w->servers);
    return OK;
}

static void test_stalls_and_resets(void **state)
{
    assert_ok(run_world(stalls_and_resets, 4, NULL));
}

static err_t partitions(task_t *t, void *arg)
{
    world_t *w = arg;
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s, *never;
    assert_ok(net_dial(t, &at, &s));
    sim_partition(w->a, w->b, true);
    deadline_t d = deadline_push(t, 5000);
    assert_err(net_dial(t, &at, &never), ERR_TIMEOUT); /* hangs: the time-out is ours */
    deadline_pop(t, &d);
    d = deadline_push(t, 5000);
    assert_err(say(t, s, "lost"), ERR_TIMEOUT);
    deadline_pop(t, &d);
    sim_partition(w->a, w->b, false);
    uint8_t answer[4];
    assert_ok(stream_read_full(t, s, answer, 4)); /* sent again after the partition */
    assert_memory_equal(answer, "lost", 4);

    /* Half open: what we say arrives, the answers do not. */
    sim_block_one_way(w->b, w->a, true);
    d = deadline_push(t, 60000);
    assert_err(say(t, s, "mute"), ERR_TIMEOUT);
    deadline_pop(t, &d);
    uint64_t before = task_now_ms(t);
    assert_err(net_dial(t, &at, &never), ERR_UNREACHABLE);
    assert_in_range(task_now_ms(t) - before, 60000, 130000);
    sim_block_one_way(w->b, w->a, false);
    sim_isolate(w->a, true);
    uint8_t byte;
    size_t n;
    before = task_now_ms(t);
    assert_ok(stream_write(t, s, BYTES_LIT("x")));
    while (!stream_read(t, s, &byte, 1, &n)) {
    }
    assert_in_range(task_now_ms(t) - before, 300000, 2000000); /* given up at last */
    sim_isolate(w->a, false);
    stream_close(s);
    group_stop(t, &w->servers);
    return OK;
}

static void test_partitions(void **state)
{
    assert_ok(run_world(partitions, 5, NULL));
}

static err_t dialled_then_left(task_t *t, void *arg)
{
    world_t *w = arg;
    sim_set_default_link(w->sim, (sim_link_t){.latency_ms = 50});
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s;
    for (uint64_t ms = 40; ms <= 90; ms += 50) { /* before and after the other side has accepted */
        deadline_t d = deadline_push(t, ms);
        assert_err(net_dial(t, &at, &s), ERR_TIMEOUT);
        deadline_pop(t, &d);
    }
    assert_ok(task_sleep(t, 500));
    assert_int_equal(sim_host_stream_count(w->a), 0);
    assert_int_equal(sim_host_stream_count(w->b), 0);
    assert_int_equal(w->echo.accepted, 1);
    listener_close(w->echo.listener);
    assert_ok(task_sleep(t, 1));
    assert_int_equal(w->echo.last, ERR_CLOSED);
    return OK;
}

static err_t owning_echo_main(task_t *t, void *arg)
{
    echo_t *echo = arg;
    TRY(net_listen(task_driver(t), &(net_addr_t){.family = 4, .port = echo->port}, &echo->listener));
    stream_t *s;
    while (!(echo->last = listener_accept(t, echo->listener, &s, NULL))) {
        echo->accepted++;
        uint8_t b;
        size_t n;
        (void)!stream_read(t, s, &b, 1, &n);
        stream_close(s);
    }
    return OK;
}

static void test_dialled_then_left(void **state)
{
    world_t w = {.sim = sim_new(6), .echo = {.port = 7}};
    w.a = sim_add_host(w.sim, "10.0.0.1");
    w.b = sim_add_host(w.sim, "10.0.0.2");
    assert_ok(sim_host_start(w.b, "server", owning_echo_main, &w.echo));
    assert_ok(sim_run(w.sim, dialled_then_left, &w));
    sim_free(w.sim);
}

static err_t loopback(task_t *t, void *arg)
{
    driver_t *d = task_driver(t);
    listener_t *l;
    net_addr_t at, from;
    assert_ok(net_addr_parse("127.0.0.1:0", &at));
    assert_ok(net_listen(d, &at, &l));
    assert_int_not_equal(l->at.port, 0);
    stream_t *a, *b;
    uint64_t before = task_now_ms(t);
    assert_ok(net_dial(t, &l->at, &a));
    assert_ok(listener_accept(t, l, &b, &from));
    assert_true(net_addr_is_loopback(&from));
    assert_ok(stream_write_message(t, a, BYTES_LIT("ping")));
    AUTO(buf_t) m;
    buf_init(&m, 100);
    assert_ok(stream_read_message(t, b, 100, &m));
    assert_bytes(buf_bytes(&m), BYTES_LIT("ping"));
    assert_int_equal(task_now_ms(t), before);
    stream_reset(a);
    assert_err(stream_read_message(t, b, 100, &m), ERR_RESET);
    stream_close(a);
    stream_close(b);
    assert_ok(net_dial(t, &l->at, &a)); /* nobody accepts it */
    listener_close(l);
    assert_err(stream_read_message(t, a, 100, &m), ERR_RESET);
    stream_close(a);
    assert_ok(net_addr_parse("10.0.0.77:0", &at));
    assert_err(net_listen(d, &at, &l), ERR_UNREACHABLE);
    udp_t *u;
    assert_err(udp_open(d, &at, &u), ERR_UNREACHABLE);
    return OK;
}

static void test_loopback(void **state)
{
    assert_ok(test_run(loopback, NULL));
}

/* ── datagrams, names ── */
static err_t datagrams(task_t *t, void *arg)
{
    world_t *w = arg;
    udp_t *a, *b;
    net_addr_t any = {.family = 4}, at = {.family = 4, .port = 53}, from;
    assert_ok(udp_open(sim_host_driver(w->a), &any, &a));
    assert_ok(udp_open(sim_host_driver(w->b), &at, &b));
    udp_t *c;
    assert_err(udp_open(sim_host_driver(w->b), &at, &c), ERR_IN_USE);
    at = sim_host_addr(w->b, 53);
    uint8_t in[2048];
    size_t n;
    size_t sent;
    udp_burst_t burst = {.peer = at, .segment_bytes = 3};
    assert_ok(udp_send_burst(a, &burst, BYTES_LIT("abcde"), &sent));
    assert_int_equal(sent, 5);
    while (udp_recv_burst(b, &burst, in, sizeof in, &n) == ERR_AGAIN)
        assert_ok(event_wait(t, &b->readable));
    assert_int_equal(burst.segment_bytes, 3);
    assert_ok(udp_recv(t, b, NULL, in, sizeof in, &n));
    assert_bytes(bytes_of(in, n), BYTES_LIT("de"));
    assert_ok(udp_send(a, &at, BYTES_LIT("one")));
    assert_ok(udp_recv(t, b, &from, in, sizeof in, &n));
    assert_bytes(bytes_of(in, n), BYTES_LIT("one"));
    assert_int_equal(from.port, a->at.port);
    assert_ok(udp_send(b, &from, BYTES_LIT("answer")));
    assert_ok(udp_recv(t, a, NULL, in, 3, &n));
    assert_bytes(bytes_of(in, n), BYTES_LIT("ans")); /* the rest is gone */

    sim_set_link(w->a, w->b, (sim_link_t){.latency_ms = 10, .loss = 0.2, .duplicate = 0.2, .reorder = 0.3});
    enum { SENT = 400 };
    unsigned seen[SENT] = {0}, lost = 0, twice = 0, reordered = 0;
    for (uint16_t i = 0; i < SENT; i++) {
        assert_ok(udp_send(a, &at, bytes_of(&i, sizeof i)));
        assert_ok(task_sleep(t, 1));
    }
    assert_ok(task_sleep(t, 100));
    for (uint16_t i, last = 0; !b->ops->recv(b, &from, in, sizeof in, &n); last = i) {
        memcpy(&i, in, sizeof i);
        seen[i]++;
        reordered += i < last;
    }
    for (int i = 0; i < SENT; i++) {
        lost += !seen[i];
        twice += seen[i] == 2;
    }
    assert_in_range(lost, SENT / 10, SENT * 3 / 10);
    assert_in_range(twice, SENT / 20, SENT * 3 / 10);
    assert_in_range(reordered, SENT / 50, SENT);
    sim_partition(w->a, w->b, true);
    assert_ok(udp_send(a, &at, BYTES_LIT("lost")));
    assert_ok(task_sleep(t, 100));
    assert_err(b->ops->recv(b, &from, in, sizeof in, &n), ERR_AGAIN);
    sim_partition(w->a, w->b, false);
    sim_set_link(w->a, w->b, (sim_link_t){.latency_ms = 10});

    net_addr_t group;
    assert_ok(net_addr_parse("224.0.0.251:53", &group));
    assert_ok(udp_send(a, &group, BYTES_LIT("nobody joined")));
    assert_ok(task_sleep(t, 100));
    assert_ok(b->ops->join(b, &group));
    assert_ok(udp_send(a, &group, BYTES_LIT("all")));
    assert_ok(udp_recv(t, b, &from, in, sizeof in, &n));
    assert_bytes(bytes_of(in, n), BYTES_LIT("all"));
    assert_ok(udp_send(a, &at, BYTES_LIT("left in the queue")));
    assert_ok(task_sleep(t, 100));
    udp_close(a);
    udp_close(b);
    group_stop(t, &w->servers);
    return OK;
}

static void test_datagrams(void **state)
{
    assert_ok(run_world(datagrams, 7, NULL));
}

static err_t names(task_t *t, void *arg)
{
    sim_t *s = arg;
    sim_dns_add(s, "example.org", DNS_A, bytes_of((uint8_t[]){10, 0, 0, 9}, 4));
    sim_dns_add(s, "example.org", DNS_A, bytes_of((uint8_t[]){10, 0, 0, 8}, 4));
    sim_dns_add(s, "_dnslink.example.org", DNS_TXT, BYTES_LIT("dnslink=/ipfs/x"));
    AUTO(dns_answer_t) a = {0};
    uint64_t before = task_now_ms(t);
    assert_ok(dns_resolve(t, "Example.ORG", DNS_A, &a));
    assert_true(task_now_ms(t) > before);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.text[1].data[3], 8);
    dns_answer_deinit(&a);
    assert_err(dns_resolve(t, "example.org", DNS_TXT, &a), ERR_NOT_FOUND);
    assert_ok(dns_resolve(t, "_dnslink.example.org", DNS_TXT, &a));
    assert_bytes(buf_bytes(&a.text[0]), BYTES_LIT("dnslink=/ipfs/x"));
    dns_answer_deinit(&a);
    sim_dns_fail(s, "example.org", ERR_TIMEOUT);
    assert_err(dns_resolve(t, "example.org", DNS_A, &a), ERR_TIMEOUT);
    sim_dns_fail(s, "example.org", OK);
    assert_ok(dns_resolve(t, "example.org", DNS_A, &a));
    dns_answer_deinit(&a);
    sim_dns_clear(s, "example.org");
    assert_err(dns_resolve(t, "example.org", DNS_A, &a), ERR_NOT_FOUND);
    return OK;
}

static void test_names(void **state)
{
    sim_t *s = sim_new(8);
    assert_ok(sim_run(s, names, s));
    sim_free(s);
}

/* ── hosts: clocks, pauses, crashes ── */
typedef struct ticker {
    uint64_t last_ms, longest_ms, ticks;
} ticker_t;

static err_t tick(task_t *t, void *arg)
{
    ticker_t *k = arg;
    for (k->last_ms = task_now_ms(t);; k->last_ms = task_now_ms(t)) {
        TRY(task_sleep(t, 10));
        uint64_t gap = task_now_ms(t) - k->last_ms;
        k->longest_ms = gap > k->longest_ms ? gap : k->longest_ms;
        k->ticks++;
    }
}

static err_t clocks(task_t *t, void *arg)
{
    world_t *w = arg;
    ticker_t k = {0};
    assert_ok(sim_host_start(w->b, "ticker", tick, &k));
    uint64_t wall = driver_wall_ms(task_driver(t)), now = task_now_ms(t);
    assert_ok(task_sleep(t, 100));
    assert_int_equal(driver_wall_ms(task_driver(t)) - wall, 100);
    sim_host_jump_wall(w->a, -50000);
    assert_int_equal(driver_wall_ms(task_driver(t)), wall + 100 - 50000);
    assert_int_equal(task_now_ms(t), now + 100);
    assert_int_equal(driver_wall_ms(sim_host_driver(w->b)), wall + 100);
    assert_int_equal(k.longest_ms, 10);
    sim_host_pause(w->b, 5000);
    assert_ok(task_sleep(t, 4999));
    assert_in_range(k.ticks, 9, 10);
    assert_ok(task_sleep(t, 100));
    assert_in_range(k.longest_ms, 4990, 5010);
    sim_crash(w->b, SIM_KILL);
    assert_ok(sim_host_join_dead(t, w->b));
    uint64_t ticks = k.ticks;
    assert_ok(task_sleep(t, 100));
    assert_int_equal(k.ticks, ticks);
    return OK;
}

static void test_clocks(void **state)
{
    assert_ok(run_world(clocks, 9, NULL));
}

static err_t crashes(task_t *t, void *arg)
{
    world_t *w = arg;
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s;
    assert_ok(net_dial(t, &at, &s));
    assert_ok(say(t, s, "hello"));
    sim_crash(w->b, SIM_KILL);
    assert_false(sim_host_is_up(w->b));
    assert_err(sim_host_start(w->b, "late", tick, NULL), ERR_CLOSED);
    assert_err(say(t, s, "x"), ERR_RESET); /* the kernel says goodbye */
    stream_close(s);
    assert_ok(sim_host_join_dead(t, w->b));
    assert_int_equal(w->echo.last, ERR_CLOSED); /* its tasks were unwound */
    deadline_t d = deadline_push(t, 3000);
    assert_err(net_dial(t, &at, &s), ERR_TIMEOUT);
    deadline_pop(t, &d);

    driver_t *old = sim_host_driver(w->b);
    sim_restart(w->b);
    assert_ptr_not_equal(old, sim_host_driver(w->b));
    assert_err(net_dial(t, &at, &s), ERR_REFUSED);
    assert_ok(sim_host_start(w->b, "server", echo_main, &w->echo));
    assert_ok(task_sleep(t, 1));
    assert_ok(net_dial(t, &at, &s));
    assert_ok(say(t, s, "hello"));
    sim_crash(w->b, SIM_POWER_LOSS);
    d = deadline_push(t, 20000);
    assert_err(say(t, s, "x"), ERR_TIMEOUT); /* nobody says anything */
    deadline_pop(t, &d);
    sim_restart(w->b);
    uint8_t b;
    size_t n;
    assert_err(stream_read(t, s, &b, 1, &n), ERR_RESET); /* the new incarnation does not know us */
    stream_close(s);
    assert_ok(sim_host_join_dead(t, w->b));
    return OK;
}

static void test_crashes(void **state)
{
    assert_ok(run_world(crashes, 10, NULL));
}

/* What a dead host still does must not reach anybody. */
static err_t stubborn(task_t *t, void *arg)
{
    err_t e = task_sleep(t, 1000000);
    task_shield(t);
    stream_t *s;
    net_addr_t at = sim_host_addr(sim_host(arg, 0), 7);
    assert_err(net_dial(t, &at, &s), ERR_CLOSED);
    listener_t *l;
    assert_err(net_listen(task_driver(t), &at, &l), ERR_CLOSED);
    udp_t *u;
    assert_err(udp_open(task_driver(t), &at, &u), ERR_CLOSED);
    file_t *f;
    assert_err(file_open(t, "/x", FILE_WRITE | FILE_CREATE, 0600, &f), ERR_CLOSED);
    dns_answer_t a = {0};
    assert_err(dns_resolve(t, "x", DNS_A, &a), ERR_CLOSED);
    task_unshield(t);
    group_t g;
    group_init(&g, task_sched(t));
    assert_err(group_spawn(&g, "child", tick, NULL, NULL), ERR_CLOSED);
    return e;
}

static err_t dead_hosts(task_t *t, void *arg)
{
    sim_host_t *b = sim_host(arg, 1);
    assert_ok(sim_host_start(b, "stubborn", stubborn, arg));
    assert_ok(task_sleep(t, 10));
    sim_crash(b, SIM_POWER_LOSS);
    return sim_host_join_dead(t, b);
}

static void test_dead_hosts(void **state)
{
    sim_t *s = sim_new(11);
    sim_add_host(s, "10.0.0.1");
    sim_add_host(s, "10.0.0.2");
    assert_int_equal(sim_host_count(s), 2);
    assert_ok(sim_run(s, dead_hosts, s));
    sim_free(s);
}

/* ── work, posts, randomness ── */
static void fail_in_work(void *arg)
{
    *(err_t *)arg = fail(ERR_CORRUPT, "found by the worker");
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static err_t work_and_posts(task_t *t, void *arg)
{
    sim_set_work_ms(arg, 50);
    err_t e = OK;
    uint64_t before = task_now_ms(t);
    for (int i = 0; i < 10; i++)
        work(t, fail_in_work, &e);
    assert_in_range(task_now_ms(t) - before, 50, 500);
    assert_int_equal(e, ERR_CORRUPT);
    assert_string_equal(error_text(e), "found by the worker");
    int count = 0;
    driver_post(task_driver(t), count_up, &count);
    assert_int_equal(count, 0);
    assert_ok(task_sleep(t, 1));
    assert_int_equal(count, 1);
    assert_int_equal(driver_work_threads(task_driver(t)), 1);
    task_cancel(t);
    work(t, count_up, &count); /* not interrupted */
    assert_int_equal(count, 2);
    uint64_t a = driver_random_u64(task_driver(t)), b = driver_random_u64(task_driver(t));
    assert_true(a != b);
    return OK;
}

static void test_work(void **state)
{
    sim_t *s = sim_new(12);
    assert_ok(sim_run(s, work_and_posts, s));
    sim_free(s);
}

/* ── the same seed, the same run ── */
static err_t talk(task_t *t, void *arg)
{
    world_t *w = arg;
    for (int i = 0; i < 20; i++) {
        net_addr_t at = sim_host_addr(w->b, 7);
        stream_t *s;
        deadline_t d = deadline_push(t, 2000);
        err_t e = net_dial(t, &at, &s);
        if (!e) {
            char text[32];
            snprintf(text, sizeof text, "%llx", (unsigned long long)driver_random_u64(task_driver(t)));
            e = say(t, s, text);
            stream_close(s);
        }
        deadline_pop(t, &d);
        if (!e)
            (void)!fs_write_file(t, "/tmp/state", 0600, BYTES_LIT("state")); /* it may crash meanwhile */
        TRY(task_sleep(t, 1 + prng_below(sim_prng(w->sim), 100)));
    }
    return OK;
}

static err_t chaos(task_t *t, void *arg)
{
    world_t *w = arg;
    sim_set_default_link(w->sim, (sim_link_t){.latency_ms = 3, .jitter_ms = 20, .stall = 0.1, .reset = 0.05});
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < 10; i++)
        assert_ok(group_spawn(&g, "talker", talk, w, NULL));
    assert_ok(task_sleep(t, 400));
    sim_partition(w->a, w->b, true);
    assert_ok(task_sleep(t, 700));
    sim_partition(w->a, w->b, false);
    assert_ok(task_sleep(t, 300));
    sim_crash(w->b, SIM_POWER_LOSS);
    assert_ok(sim_host_join_dead(t, w->b));
    sim_restart(w->b);
    assert_ok(sim_host_start(w->b, "server", echo_main, &w->echo));
    assert_ok(group_join(t, &g));
    sim_crash(w->b, SIM_KILL);
    return sim_host_join_dead(t, w->b);
}

static void test_replay(void **state)
{
    uint64_t first[20], again;
    for (uint64_t seed = 0; seed < 20; seed++)
        assert_ok(run_world(chaos, seed, &first[seed]));
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_ok(run_world(chaos, seed, &again));
        assert_true(again == first[seed]);
        for (uint64_t other = 0; other < seed; other++)
            assert_true(first[other] != first[seed]);
    }
}

/* A scheduler of a host may be run on its own: its driver's turn moves the world. */
static err_t ping_other_host(task_t *t, void *arg)
{
    world_t *w = arg;
    net_addr_t at = sim_host_addr(w->b, 7);
    stream_t *s;
    TRY(task_sleep(t, 5000));
    TRY(net_dial(t, &at, &s));
    TRY(say(t, s, "hello"));
    stream_close(s);
    return fail(ERR_EXISTS, "carried out");
}

static void test_single_scheduler(void **state)
{
    world_t w = {.sim = sim_new(13), .echo = {.port = 7}};
    w.a = sim_add_host(w.sim, "10.0.0.1");
    w.b = sim_add_host(w.sim, "10.0.0.2");
    assert_ok(sim_host_start(w.b, "server", echo_main, &w.echo));
    assert_err(sched_run(sim_host_sched(w.a), "main", ping_other_host, &w), ERR_EXISTS);
    assert_string_equal(error_text(ERR_EXISTS), "carried out");
    assert_int_equal(w.echo.accepted, 1);
    sim_crash(w.b, SIM_KILL);
    sim_dump(w.sim);
    for (int i = 0; i < 100 && sched_task_count(sim_host_sched(w.b)); i++)
        sched_run_ready(sim_host_sched(w.b));
    sim_free(w.sim);
}

/* ── what cannot go on ── */
static err_t wait_for_nothing(task_t *t, void *arg)
{
    event_t e;
    event_init(&e);
    return event_wait(t, &e);
}

static err_t spin(task_t *t, void *arg)
{
    for (;;)
        TRY(task_yield(t));
}

static err_t leave_one_behind(task_t *t, void *arg)
{
    static ticker_t k;
    return sim_host_start(sim_host_of(t), "left behind", tick, &k);
}

static void expect_abort(task_fn fn, const char *text)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (!pid) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(out[1], STDERR_FILENO);
        (void)!test_run(fn, NULL);
        _exit(0);
    }
    close(out[1]);
    char said[8192];
    size_t len = 0;
    for (ssize_t n; len < sizeof said - 1 && (n = read(out[0], said + len, sizeof said - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = 0;
    close(out[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    if (!strstr(said, text))
        fail_msg("\"%s\" is not in: %s", text, said);
}

static void test_aborts(void **state)
{
    expect_abort(wait_for_nothing, "deadlock");
    expect_abort(wait_for_nothing, "task main ");
    expect_abort(spin, "time stands still");
    expect_abort(leave_one_behind, "task left behind");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_stalls_and_resets),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_dialled_then_left),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_datagrams),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_dead_hosts),
        cmocka_unit_test(test_work),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_single_scheduler),
        cmocka_unit_test(test_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
