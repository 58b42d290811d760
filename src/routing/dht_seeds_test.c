/* The DHT on bad networks: delay, stalls, broken connections, nodes that come and go, from several seeds. */
#include "tests/support/dht.h"

enum { NODES = 16, FILES = 12 };

typedef struct counts {
    size_t asked, found;
} counts_t;

static void maybe_restart(task_t *t, world_t *w, prng_t *rng)
{
    world_node_t *n = &w->nodes[1 + prng_below(rng, NODES - 1)];
    world_stop(t, n);
    assert_ok(task_sleep(t, prng_below(rng, 60000)));
    world_start(t, n);
    pair_t p = {n, &w->nodes[0]};
    for (int tries = 1; world_on(t, n, connect_call, &p); tries++) { /* the links break now and then */
        assert_true(tries < 5);
        assert_ok(task_sleep(t, 1000));
    }
}

/* Every file is announced by two nodes; then a third of the nodes is restarted, one after the other, while
 * others look for the files. */
static err_t check_churn(task_t *t, void *arg)
{
    world_t *w = arg;
    prng_t *rng = sim_prng(w->sim);
    world_join(t, w, NODES);
    sim_set_default_link(w->sim,
                         (sim_link_t){.latency_ms = 20, .jitter_ms = 80, .stall = 0.01, .reset = 0.0005});
    char text[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(text, sizeof text, "file %d", i);
        for (int j = 0; j < 2; j++)
            (void)!world_provide(t, &w->nodes[prng_below(rng, NODES)], text);
    }
    counts_t c = {0};
    for (int round = 0; round < 5; round++) {
        maybe_restart(t, w, rng);
        for (int i = 0; i < FILES; i++) {
            snprintf(text, sizeof text, "file %d", i);
            c.asked++;
            c.found += world_find(t, &w->nodes[prng_below(rng, NODES)], text, 1, NULL) > 0;
        }
    }
    print_message("%zu of %zu searches found a provider\n", c.found, c.asked);
    assert_true(c.found * 100 >= c.asked * 95);
    assert_ok(task_sleep(t, 30 * 60 * 1000));
    for (size_t i = 0; i < NODES; i++)
        assert_true(world_table_count(&w->nodes[i]) >= NODES / 2);
    return OK;
}

static void test_churn(void **state)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        world_run(world_new(seed), check_churn);
}

static err_t check_few_things(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 6);
    assert_ok(world_provide(t, &w->nodes[3], "x"));
    assert_int_equal(world_find(t, &w->nodes[5], "x", 0, NULL), 1);
    return OK;
}

static uint64_t hash_of_run(uint64_t seed)
{
    world_t *w = world_new(seed);
    scenario_t s = {w, check_few_things};
    assert_ok(sim_run(w->sim, scenario_main, &s));
    uint64_t hash = sim_hash(w->sim);
    world_free(w);
    return hash;
}

static void test_same_seed_same_run(void **state)
{
    assert_true(hash_of_run(3) == hash_of_run(3));
    assert_true(hash_of_run(3) != hash_of_run(4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_same_seed_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
