/* Measuring, and peers that do not play along. */
#include "net/perf.h"
#include "tests/support/net.h"

static conn_t *connect_to(task_t *t, net_world_t *w, size_t i)
{
    conn_t *c;
    assert_ok(host_connect_addr(t, w->nodes[0].host, &w->nodes[i].addr, &c));
    return c;
}

static err_t count_calls(task_t *t, void *arg, const perf_result_t *so_far)
{
    ++*(int *)arg;
    return OK;
}

static err_t measure(task_t *t, void *arg)
{
    net_world_t *w = arg;
    sim_set_default_link(w->sim, (sim_link_t){.latency_ms = 10, .bytes_per_s = 1000000});
    net_start_all(t, w);
    conn_t *c = connect_to(t, w, 1);
    perf_result_t r;
    int calls = 0;
    perf_plan_t plan = {.upload_bytes = 3000001, .download_bytes = 2000003};
    assert_err(perf_measure(t, c, &plan, NULL, NULL, &r), ERR_UNSUPPORTED);
    assert_ok(perf_serve(w->nodes[1].host, PERF_FOR_NEAR));
    assert_ok(perf_measure(t, c, &plan, count_calls, &calls, &r));
    assert_true(r.upload_bytes == plan.upload_bytes && r.download_bytes == plan.download_bytes);
    assert_in_range((uint64_t)r.upload_ms, 3000, 3500); /* a megabyte a second */
    assert_in_range((uint64_t)r.download_ms, 2000, 2500);
    assert_in_range(calls, 3, 6);
    plan = (perf_plan_t){.upload_bytes = UINT64_MAX, .download_bytes = UINT64_MAX, .time_ms = 4000};
    assert_ok(perf_measure(t, c, &plan, NULL, NULL, &r));
    assert_in_range(r.upload_bytes, 3500000, 9000000); /* what was in flight at the end is carried, too */
    assert_in_range(r.upload_bytes / (uint64_t)r.upload_ms, 900, 1050);
    assert_in_range(r.download_bytes, 3500000, 4200000);
    plan = (perf_plan_t){0};
    assert_ok(perf_measure(t, c, &plan, NULL, NULL, &r));
    assert_true(!r.upload_bytes && !r.download_bytes);
    assert_ok(perf_serve(w->nodes[1].host, PERF_FOR_NOBODY));
    plan.upload_bytes = 1;
    conn_t *late = connect_to(t, w, 1);
    err_t refused =
        perf_measure(t, late, &plan, NULL, NULL, &r); /* told by the answer, or by the reset behind it */
    assert_true(refused == ERR_UNSUPPORTED || refused == ERR_RESET);
    conn_release(late);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_measure(void **state)
{
    assert_ok(net_run(1, 2, measure, NULL, NULL));
}

/* A peer of the wide world gets nothing unless the user says so. */
static err_t serve_near(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->nodes[0].machine = sim_add_host(w->sim, "198.18.0.1"); /* measures; its tasks run here */
    w->nodes[1].machine = sim_add_host(w->sim, "9.9.9.9");
    net_start(t, w, 2);
    net_start(t, w, 1);
    assert_ok(perf_serve(w->nodes[2].host, PERF_FOR_NEAR));
    conn_t *c;
    perf_result_t r;
    perf_plan_t plan = {.download_bytes = 1000};
    assert_ok(host_connect_addr(t, w->nodes[1].host, &w->nodes[2].addr, &c));
    err_t e = perf_measure(t, c, &plan, NULL, NULL, &r);
    assert_true(e == ERR_RESET || e == ERR_UNSUPPORTED || e == ERR_PROTOCOL);
    assert_ok(perf_serve(w->nodes[2].host, PERF_FOR_ALL));
    assert_ok(perf_measure(t, c, &plan, NULL, NULL, &r));
    assert_int_equal(r.download_bytes, 1000);
    conn_release(c);
    net_stop(t, w, 1);
    net_stop(t, w, 2);
    return OK;
}

static void test_serve_near(void **state)
{
    assert_ok(net_run(2, 3, serve_near, NULL, NULL));
}

/* What a server does instead of its part; the peer's wish is told by its place in the list. */
typedef enum { SENDS_MORE, SENDS_LESS, SENDS_EARLY, STALLS, RESETS, WAYS } way_t;
static way_t way;

static err_t misbehave(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t in[1024];
    size_t n = 1;
    TRY(stream_read_full(t, s, in, 8));
    if (way == SENDS_EARLY)
        TRY(stream_write(t, s, BYTES_LIT("not asked for")));
    if (way == STALLS)
        return task_sleep(t, 3600000);
    if (way == RESETS)
        return fail(ERR_PROTOCOL, "no");
    while (n)
        TRY(stream_read(t, s, in, sizeof in, &n));
    TRY(stream_write(t, s, bytes_of(in, way == SENDS_MORE ? 101 : 99)));
    return OK;
}

static err_t meet_liars(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    assert_ok(host_handle(w->nodes[1].host, PERF_PROTOCOL, NULL, misbehave, NULL));
    conn_t *c = connect_to(t, w, 1);
    for (way = 0; way < WAYS; way++) {
        perf_result_t r;
        bool goes_up = way == SENDS_EARLY || way == STALLS;
        perf_plan_t plan = {.upload_bytes = goes_up ? 10000000 : 0, .download_bytes = 100};
        uint64_t began_ms = task_now_ms(t);
        err_t e = perf_measure(t, c, &plan, NULL, NULL, &r);
        assert_int_equal(e, way == STALLS ? ERR_TIMEOUT : way == RESETS ? ERR_RESET : ERR_PROTOCOL);
        assert_true(task_now_ms(t) - began_ms < 40000);
    }
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_liars(void **state)
{
    assert_ok(net_run(3, 2, meet_liars, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_serve_near),
        cmocka_unit_test(test_liars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
