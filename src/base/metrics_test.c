#include "base/metrics.h"
#include "tests/support/test.h"
#include <math.h>

static void test_print(void **state)
{
    static const double bounds[] = {0.1, 1, 2.5};
    metric_t *ok = metric_counter("requests_total", "code=\"200\"", "Requests by code.");
    metric_t *peers = metric_gauge("peers", NULL, "Connected peers.");
    metric_t *bad = metric_counter("requests_total", "code=\"500\"", "Requests by code.");
    metric_t *time = metric_histogram("seconds", NULL, "How long.", bounds, 3);
    metric_t *labelled = metric_histogram("lab", "a=\"b\"", "Labelled.", bounds, 1);
    assert_ptr_equal(metric_counter("requests_total", "code=\"200\"", "Requests by code."), ok);
    assert_ptr_equal(metric_gauge("peers", "", "Connected peers."), peers);
    assert_ptr_equal(metric_histogram("seconds", NULL, "How long.", bounds, 3), time);
    metric_add(ok, 3);
    metric_add(ok, 0.5);
    metric_add(bad, 1);
    metric_set(peers, 7);
    metric_add(peers, -2);
    assert_true(metric_value(peers) == 5);
    metric_observe(time, 0.1); /* bounds are inclusive */
    metric_observe(time, 0.5);
    metric_observe(time, 99);
    metric_observe(labelled, 5);
    AUTO(buf_t) out;
    buf_init(&out, 10000);
    assert_ok(metrics_print(&out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("# HELP requests_total Requests by code.\n"
                                            "# TYPE requests_total counter\n"
                                            "requests_total{code=\"200\"} 3.5\n"
                                            "requests_total{code=\"500\"} 1\n"
                                            "# HELP peers Connected peers.\n"
                                            "# TYPE peers gauge\n"
                                            "peers 5\n"
                                            "# HELP seconds How long.\n"
                                            "# TYPE seconds histogram\n"
                                            "seconds_bucket{le=\"0.1\"} 1\n"
                                            "seconds_bucket{le=\"1\"} 2\n"
                                            "seconds_bucket{le=\"2.5\"} 2\n"
                                            "seconds_bucket{le=\"+Inf\"} 3\n"
                                            "seconds_sum 99.599999999999994\n"
                                            "seconds_count 3\n"
                                            "# HELP lab Labelled.\n"
                                            "# TYPE lab histogram\n"
                                            "lab_bucket{a=\"b\",le=\"0.1\"} 0\n"
                                            "lab_bucket{a=\"b\",le=\"+Inf\"} 1\n"
                                            "lab_sum{a=\"b\"} 5\n"
                                            "lab_count{a=\"b\"} 1\n"));
    metric_set(peers, INFINITY);
    buf_clear(&out);
    assert_ok(metrics_print(&out));
    const char *text;
    assert_ok(buf_cstr(&out, &text));
    assert_non_null(strstr(text, "\npeers +Inf\n"));
    metric_set(peers, NAN);
    buf_clear(&out);
    assert_ok(metrics_print(&out));
    assert_ok(buf_cstr(&out, &text));
    assert_non_null(strstr(text, "\npeers NaN\n"));
    AUTO(buf_t) small;
    buf_init(&small, 100);
    assert_err(metrics_print(&small), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_print)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
