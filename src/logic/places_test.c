#include "base/prng.h"
#include "logic/places.h"
#include "tests/support/test.h"

static const places_config_t config = {
    .max_open = 4, .max_pending = 3, .new_per_s = 1, .new_at_once = 6, .max_places = 64};

static net_addr_t at(const char *text)
{
    net_addr_t a;
    assert_ok(net_addr_parse(text, &a));
    return a;
}

static void open_one(places_t *p, const net_addr_t *a, uint64_t now_ms)
{
    assert_ok(places_begin(p, a, now_ms));
    places_opened(p, a);
}

static void test_counts(void **state)
{
    places_t p;
    places_init(&p, &config);
    net_addr_t a = at("192.0.2.1:1"), same = at("192.0.2.1:2"), other = at("192.0.2.2:1");
    for (int i = 0; i < 3; i++)
        assert_ok(places_begin(&p, &a, 0));
    assert_err(places_begin(&p, &same, 0), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "3 connections from one address are being set up"));
    net_addr_t mapped = at("[::ffff:192.0.2.1]:1"); /* the same by another name */
    assert_err(places_begin(&p, &mapped, 0), ERR_LIMIT);
    assert_ok(places_begin(&p, &other, 0));
    for (int i = 0; i < 3; i++)
        places_opened(&p, &a);
    open_one(&p, &a, 0);
    assert_err(places_begin(&p, &a, 0), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "raise Swarm.Inbound.ConnsPerIP"));
    places_ended(&p, &a, true);
    assert_ok(places_begin(&p, &a, 0));
    net_addr_t local = at("127.0.0.1:1");
    for (int i = 0; i < 100; i++)
        assert_ok(places_begin(&p, &local, 0));
    places_ended(&p, &local, false);
    places_deinit(&p);
    places_deinit(&p);
}

static void test_rate(void **state)
{
    places_t p;
    places_init(&p, &config);
    net_addr_t a = at("192.0.2.1:1");
    assert_false(places_is_busy(&p, &a, 0));
    for (int i = 0; i < 6; i++) {
        open_one(&p, &a, 0);
        places_ended(&p, &a, true);
    }
    assert_true(places_is_busy(&p, &a, 0));
    assert_err(places_begin(&p, &a, 999), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "faster than 1 a second"));
    assert_ok(places_begin(&p, &a, 1000));
    assert_err(places_begin(&p, &a, 1000), ERR_LIMIT);
    places_ended(&p, &a, false);
    assert_ok(places_begin(&p, &a, 3000));
    assert_ok(places_begin(&p, &a, 500)); /* a clock that runs back gives nothing and takes nothing */
    assert_err(places_begin(&p, &a, 3000), ERR_LIMIT);
    assert_false(places_is_busy(&p, &a, 100000));
    places_deinit(&p);
}

/* An address for each connection does not get around it: the network has eight times as much. */
static void test_around(void **state)
{
    places_config_t c = config;
    c.max_places = 1000;
    places_t p;
    places_init(&p, &c);
    size_t n = 0;
    for (int i = 1; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof text, "192.0.2.%d:1", i);
        net_addr_t a = at(text);
        if (!places_begin(&p, &a, 0)) {
            places_opened(&p, &a);
            n++;
        }
    }
    assert_int_equal(n, 32); /* 8 * max_open */
    net_addr_t elsewhere = at("192.0.3.1:1");
    assert_ok(places_begin(&p, &elsewhere, 0));
    n = 0;
    for (int i = 0; i < 200; i++) { /* one host of a /64 has all its addresses, one customer all of a /48 */
        char text[64];
        snprintf(text, sizeof text, "[2001:db8:1:%x::%x]:1", i / 2, i);
        net_addr_t a = at(text);
        if (!places_begin(&p, &a, 0)) {
            places_opened(&p, &a);
            n++;
        }
    }
    assert_int_equal(n, 32);
    places_deinit(&p);
}

/* Whoever comes from everywhere fills the table and keeps nobody out for it; what is open is not forgotten.
 */
static void test_table(void **state)
{
    places_t p;
    places_init(&p, &config);
    net_addr_t a = at("198.51.100.1:1");
    for (int i = 0; i < 4; i++)
        open_one(&p, &a, 0);
    for (int i = 0; i < 10000; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.%d.%d.1:1", i / 250, i % 250);
        net_addr_t from = at(text);
        assert_ok(places_begin(&p, &from, (uint64_t)i));
        places_ended(&p, &from, false);
        assert_in_range(places_count(&p), 2, config.max_places);
    }
    assert_err(places_begin(&p, &a, 20000), ERR_LIMIT);
    for (int i = 0; i < 31; i++) { /* no room for those who stay */
        char text[32];
        snprintf(text, sizeof text, "11.0.%d.1:1", i);
        net_addr_t from = at(text);
        assert_ok(places_begin(&p, &from, 20000));
    }
    net_addr_t last = at("12.0.0.1:1");
    assert_err(places_begin(&p, &last, 20000), ERR_LIMIT);
    places_deinit(&p);
}

static void test_without_rate(void **state)
{
    places_config_t c = config;
    c.new_per_s = 0;
    places_t p;
    places_init(&p, &c);
    net_addr_t a = at("192.0.2.1:1");
    for (int i = 0; i < 1000; i++) {
        open_one(&p, &a, 0);
        places_ended(&p, &a, true);
    }
    assert_int_equal(places_count(&p), 0);
    assert_false(places_is_busy(&p, &a, 0));
    places_deinit(&p);
}

/* Against a model that only counts: no place ever has more than it may. */
static void test_random(void **state)
{
    enum { ADDRS = 12, STEPS = 20000 };
    prng_t rng;
    prng_seed(&rng, 7);
    places_t p;
    places_init(&p, &config);
    size_t open[ADDRS] = {0}, pending[ADDRS] = {0};
    for (uint64_t step = 0; step < STEPS; step++) {
        size_t i = prng_next(&rng) % ADDRS;
        char text[32];
        snprintf(text, sizeof text, "192.0.%zu.%zu:1", i / 6, i);
        net_addr_t a = at(text);
        switch (prng_next(&rng) % 3) {
        case 0:
            if (!places_begin(&p, &a, step * 50))
                pending[i]++;
            break;
        case 1:
            if (pending[i]) {
                places_opened(&p, &a);
                pending[i]--;
                open[i]++;
            }
            break;
        default:
            if (open[i]) {
                places_ended(&p, &a, true);
                open[i]--;
            } else if (pending[i]) {
                places_ended(&p, &a, false);
                pending[i]--;
            }
        }
        assert_in_range(pending[i], 0, config.max_pending);
        assert_in_range(open[i], 0, config.max_open + config.max_pending);
    }
    places_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts), cmocka_unit_test(test_rate),         cmocka_unit_test(test_around),
        cmocka_unit_test(test_table),  cmocka_unit_test(test_without_rate), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
