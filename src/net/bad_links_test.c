/* Links that stall, break and are cut while streams are in use: each transfer is whole or an error, nodes
 * find each other again, and nothing is left behind. */
#include "tests/support/net.h"

#define SUM "/test/sum/1.0.0"
enum { TRANSFERS = 12, BYTES_MAX = 600000 };

/* Adds up what comes and answers with the sum. */
static err_t serve_sum(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t block[4096];
    uint64_t sum = 0;
    for (size_t n;;) {
        TRY(stream_read(t, s, block, sizeof block, &n));
        if (!n)
            break;
        for (size_t i = 0; i < n; i++)
            sum = sum * 31 + block[i];
    }
    TRY(stream_write(t, s, bytes_of(&sum, sizeof sum)));
    stream_close(s);
    return OK;
}

static err_t send_and_check(task_t *t, stream_t *s, size_t len, uint8_t salt)
{
    uint8_t block[3000];
    uint64_t sum = 0, back;
    for (size_t done = 0; done < len;) {
        size_t n = len - done < sizeof block ? len - done : sizeof block;
        for (size_t i = 0; i < n; i++) {
            block[i] = (uint8_t)((done + i) * salt);
            sum = sum * 31 + block[i];
        }
        TRY(stream_write(t, s, bytes_of(block, n)));
        done += n;
    }
    TRY(stream_close_write(s));
    TRY(stream_read_full(t, s, (uint8_t *)&back, sizeof back));
    assert_true(back == sum); /* an answer is never a wrong one */
    return OK;
}

typedef struct load {
    net_world_t *w;
    size_t from, n_whole, n_failed;
} load_t;

static err_t transfer_all(task_t *t, void *arg)
{
    load_t *l = arg;
    prng_t *rng = sim_prng(l->w->sim);
    const char *const protocols[] = {SUM};
    for (int i = 0; i < TRANSFERS; i++) {
        size_t to = prng_below(rng, l->w->n);
        if (to == l->from)
            continue;
        host_t *h = l->w->nodes[l->from].host;
        conn_t *c;
        stream_t *s;
        deadline_t d = deadline_push(t, 120000);
        err_t e = host_connect_addr(t, h, &l->w->nodes[to].addr, &c);
        if (!e) {
            e = conn_open_stream(t, c, protocols, 1, &s, NULL);
            if (!e) {
                e = send_and_check(t, s, prng_below(rng, BYTES_MAX), (uint8_t)(2 * i + 1));
                if (e)
                    stream_reset(s);
                stream_close(s);
            }
            conn_release(c);
        }
        deadline_pop(t, &d);
        *(e ? &l->n_failed : &l->n_whole) += 1;
        TRY(task_sleep(t, prng_below(rng, 3000)));
    }
    return OK;
}

static err_t cut_links(task_t *t, void *arg)
{
    net_world_t *w = arg;
    prng_t *rng = sim_prng(w->sim);
    for (int i = 0; i < 8; i++) {
        size_t a = prng_below(rng, w->n), b = prng_below(rng, w->n);
        TRY(task_sleep(t, 500 + prng_below(rng, 5000)));
        if (a == b)
            continue;
        if (prng_below(rng, 2)) {
            sim_reset_streams(w->nodes[a].machine, w->nodes[b].machine);
            continue;
        }
        sim_block_one_way(w->nodes[a].machine, w->nodes[b].machine, true);
        TRY(task_sleep(t, prng_below(rng, 70000)));
        sim_block_one_way(w->nodes[a].machine, w->nodes[b].machine, false);
    }
    return OK;
}

static size_t whole, failed;

static err_t bad_links(task_t *t, void *arg)
{
    net_world_t *w = arg;
    sim_set_default_link(w->sim,
                         (sim_link_t){.latency_ms = 20, .jitter_ms = 30, .stall = 0.01, .reset = 0.0005});
    net_start_all(t, w);
    load_t loads[4];
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < w->n; i++) {
        assert_ok(host_handle(w->nodes[i].host, SUM, NULL, serve_sum, NULL));
        loads[i] = (load_t){.w = w, .from = i};
    }
    for (size_t i = 0; i < w->n; i++)
        assert_ok(group_spawn(&g, "load", transfer_all, &loads[i], NULL));
    assert_ok(group_spawn(&g, "cuts", cut_links, w, NULL));
    assert_ok(group_join(t, &g));
    for (size_t i = 0; i < w->n; i++) {
        whole += loads[i].n_whole;
        failed += loads[i].n_failed;
    }
    sim_set_default_link(w->sim, (sim_link_t){.latency_ms = 20});
    for (size_t i = 1; i < w->n; i++) { /* all is well again: back-off does not stand in the way of a user */
        conn_release(net_connect(t, w, 0, i));
    }
    assert_ok(task_sleep(t, 120000));
    for (size_t i = 0; i < w->n; i++)
        assert_int_equal(host_limit(w->nodes[i].host)->used, net_idle_bytes(w->nodes[i].host));
    net_stop_all(t, w);
    return OK;
}

static void test_bad_links(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        assert_ok(net_run(seed, 4, bad_links, NULL, NULL));
    assert_true(whole > 100); /* the faults are not all there is */
    assert_true(failed > 10); /* and they are there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
