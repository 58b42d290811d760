/* Bandwidth: what is set is what passes, within 2%, by direction, peer and protocol; who shares a limit
 * shares it evenly. */
#include "tests/support/net.h"

enum { SECONDS = 30 };

typedef struct load {
    host_t *from;
    const peer_id_t *to;
    const char *protocol;
    uint64_t written;
} load_t;

static uint64_t taken[2]; /* by protocol */

static err_t sink(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    static uint8_t buffer[65536];
    size_t n = 1;
    err_t e = OK;
    while (!e && n) {
        e = stream_read(t, s, buffer, sizeof buffer, &n);
        taken[protocol[1] == 'b'] += e ? 0 : n;
    }
    stream_close(s);
    return e;
}

static err_t pour(task_t *t, void *arg)
{
    load_t *l = arg;
    static uint8_t data[100000];
    stream_t *s;
    const char *protocols[] = {l->protocol};
    TRY(host_open_stream(t, l->from, l->to, protocols, 1, &s, NULL));
    err_t e = OK;
    while (!e) {
        e = stream_write(t, s, bytes_of(data, sizeof data));
        l->written += e ? 0 : sizeof data;
    }
    stream_reset(s);
    stream_close(s);
    return OK;
}

/* How many bytes the sink takes per second while all loads pour. */
static void measure(task_t *t, load_t *loads, size_t n, double ret_rates[2])
{
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < n; i++)
        assert_ok(group_spawn(&g, "pour", pour, &loads[i], NULL));
    assert_ok(task_sleep(t, 10000)); /* windows fill once */
    uint64_t before[2] = {taken[0], taken[1]};
    assert_ok(task_sleep(t, SECONDS * 1000));
    for (size_t i = 0; i < 2; i++)
        ret_rates[i] = (double)(taken[i] - before[i]) / SECONDS;
    group_stop(t, &g);
    group_deinit(&g);
}

static void assert_near(double got, double wanted)
{
    if (got < wanted * 0.98 || got > wanted * 1.02)
        fail_msg("%.0f bytes a second, not %.0f", got, wanted);
}

static err_t run_rates(task_t *t, void *arg)
{
    net_world_t *w = arg;
    double rates[2];
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host, *c = w->nodes[2].host;
    assert_ok(host_handle(b, "/a", NULL, sink, NULL));
    assert_ok(host_handle(b, "/b", NULL, sink, NULL));
    conn_release(net_connect(t, w, 0, 1));
    conn_release(net_connect(t, w, 2, 1));
    load_t loads[] = {{a, host_id(b), "/a", 0}, {a, host_id(b), "/b", 0}, {c, host_id(b), "/a", 0}};
    const host_rates_t none = {0, 0};
    /* out of one host, shared by two streams */
    host_limit_bandwidth(a, &(host_rates_t){.out = 300000}, &none);
    measure(t, loads, 2, rates);
    assert_near(rates[0] + rates[1], 300000);
    assert_true(rates[0] > 100000 && rates[1] > 100000);
    /* into one host, from two peers */
    host_limit_bandwidth(a, &none, &none);
    host_limit_bandwidth(b, &(host_rates_t){.in = 500000}, &none);
    measure(t, loads, 3, rates);
    assert_near(rates[0] + rates[1], 500000);
    /* each peer */
    host_limit_bandwidth(b, &none, &(host_rates_t){.in = 200000});
    measure(t, loads, 3, rates);
    assert_near(rates[0] + rates[1], 400000);
    /* one protocol, the other as fast as it goes */
    host_limit_bandwidth(b, &none, &none);
    assert_ok(host_limit_protocol(b, "/b", &(host_rates_t){.in = 50000}));
    host_limit_bandwidth(a, &none, &(host_rates_t){.out = 1000000});
    measure(t, loads, 2, rates);
    assert_near(rates[1], 50000);
    assert_near(rates[0] + rates[1], 1000000);
    net_stop_all(t, w);
    return OK;
}

static void test_rates(void **state)
{
    assert_ok(net_run(3, 3, run_rates, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
