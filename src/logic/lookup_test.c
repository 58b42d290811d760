#include "logic/netsize.h"
#include "logic/region.h"
#include "tests/support/kad_model.h"
#include "tests/support/test.h"

static const peer_id_t no_peer;

static lookup_t new_lookup(size_t k, size_t alpha, const char *target)
{
    lookup_config_t config;
    lookup_config_default(&config);
    config.k = k;
    config.alpha = alpha;
    kad_key_t key = kad_key_of(bytes_str(target));
    lookup_t l;
    lookup_init(&l, &config, &key, &no_peer);
    return l;
}

static peer_id_t expect_ask(lookup_t *l, uint64_t now_ms)
{
    lookup_event_t e;
    assert_true(lookup_next_event(l, now_ms, &e));
    assert_int_equal(e.kind, LOOKUP_EVENT_ASK);
    return e.peer;
}

static void expect_idle(lookup_t *l, uint64_t now_ms)
{
    lookup_event_t e;
    assert_false(lookup_next_event(l, now_ms, &e));
}

static void expect_done(lookup_t *l, lookup_end_t end)
{
    lookup_event_t e;
    assert_true(lookup_next_event(l, 0, &e));
    assert_int_equal(e.kind, LOOKUP_EVENT_DONE);
    assert_int_equal(e.end, end);
    expect_idle(l, 0);
}

/* Peers sorted by distance to the target, the closest first. */
static void sorted_peers(const char *target, peer_id_t *out, size_t n)
{
    kad_key_t key = kad_key_of(bytes_str(target));
    for (size_t i = 0; i < n; i++) {
        peer_id_t p = model_peer(i);
        kad_key_t pk = kad_key_of_peer(&p);
        size_t at = i;
        for (; at; at--) {
            kad_key_t other = kad_key_of_peer(&out[at - 1]);
            if (kad_compare_distance(&key, &pk, &other) > 0)
                break;
            out[at] = out[at - 1];
        }
        out[at] = p;
    }
}

static void test_no_seeds(void **state)
{
    lookup_t l = new_lookup(20, 10, "x");
    lookup_start(&l, NULL, 0);
    expect_done(&l, LOOKUP_STARVED);
    lookup_deinit(&l);
    lookup_deinit(&l);
}

static void test_asks_the_closest_first_alpha_at_a_time(void **state)
{
    peer_id_t p[10];
    sorted_peers("x", p, 10);
    lookup_t l = new_lookup(20, 3, "x");
    peer_id_t seeds[] = {p[9], p[5], p[7], p[6], p[5]}; /* one twice */
    lookup_start(&l, seeds, 5);
    for (int i = 5; i <= 7; i++) {
        peer_id_t asked = expect_ask(&l, 0);
        assert_true(peer_id_equal(&asked, &p[i]));
    }
    expect_idle(&l, 0);
    lookup_answer(&l, &p[6], &p[2], 1);
    peer_id_t asked = expect_ask(&l, 0);
    assert_true(peer_id_equal(&asked, &p[2]));
    expect_idle(&l, 0);
    lookup_answer(&l, &p[6], &p[1], 1); /* a second answer of the same peer does not count */
    lookup_answer(&l, &p[3], &p[1], 1); /* nor that of one that was not asked */
    lookup_fail(&l, &p[3]);
    expect_idle(&l, 0);
    lookup_deinit(&l);
}

static void test_small_network_ends_when_all_answered(void **state)
{
    peer_id_t p[4], got[20];
    sorted_peers("x", p, 4);
    lookup_t l = new_lookup(20, 10, "x");
    lookup_start(&l, &p[3], 1);
    expect_ask(&l, 0);
    lookup_answer(&l, &p[3], p, 4);
    for (int i = 0; i < 3; i++)
        expect_ask(&l, 0);
    lookup_answer(&l, &p[0], p, 4);
    lookup_fail(&l, &p[1]);
    expect_idle(&l, 0);
    lookup_answer(&l, &p[2], NULL, 0);
    expect_done(&l, LOOKUP_STARVED);
    assert_int_equal(lookup_closest(&l, true, got, 20), 3);
    assert_true(peer_id_equal(&got[0], &p[0]) && peer_id_equal(&got[1], &p[2]));
    assert_int_equal(lookup_known_prefix_len(&l), 0);
    assert_int_equal(l.n_requests, 4);
    assert_int_equal(l.n_failed, 1);
    assert_int_equal(l.max_hops, 2);
    lookup_deinit(&l);
}

static void test_ends_when_beta_closest_answered(void **state)
{
    for (int follow = 0; follow < 2; follow++) {
        peer_id_t p[30];
        sorted_peers("x", p, 30);
        lookup_t l = new_lookup(6, 3, "x");
        l.config.has_follow_up = follow;
        lookup_start(&l, p, 30);
        for (int i = 0; i < 3; i++)
            expect_ask(&l, 0);
        for (int i = 0; i < 3; i++)
            lookup_answer(&l, &p[i], p, 30);
        for (int i = 3; follow && i < 6; i++) {
            peer_id_t asked = expect_ask(&l, 0);
            assert_true(peer_id_equal(&asked, &p[i]));
        }
        if (follow) {
            expect_idle(&l, 0);
            lookup_fail(&l, &p[3]); /* the seventh takes its place among the six */
            peer_id_t asked = expect_ask(&l, 0);
            assert_true(peer_id_equal(&asked, &p[6]));
            for (int i = 4; i < 7; i++)
                lookup_answer(&l, &p[i], p, 30);
        }
        expect_done(&l, LOOKUP_COMPLETED);
        kad_key_t sixth = kad_key_of_peer(&p[6]);
        if (follow)
            assert_int_equal(lookup_known_prefix_len(&l), kad_common_prefix_len(&l.target, &sixth));
        lookup_deinit(&l);
    }
}

static void test_time_out_frees_the_slot_and_late_answer_counts(void **state)
{
    peer_id_t p[3], got[3];
    sorted_peers("x", p, 3);
    lookup_t l = new_lookup(20, 1, "x");
    l.config.peer_timeout_ms = 50;
    lookup_start(&l, p, 2);
    expect_ask(&l, 100);
    assert_int_equal(lookup_deadline_ms(&l), 150);
    lookup_tick(&l, 149);
    expect_idle(&l, 149);
    lookup_tick(&l, 150);
    peer_id_t asked = expect_ask(&l, 150);
    assert_true(peer_id_equal(&asked, &p[1]));
    assert_int_equal(lookup_closest(&l, false, got, 3), 1);
    lookup_answer(&l, &p[0], &p[2], 1);
    lookup_answer(&l, &p[1], NULL, 0);
    expect_ask(&l, 160);
    lookup_tick(&l, 500);
    expect_done(&l, LOOKUP_STARVED);
    assert_int_equal(lookup_closest(&l, true, got, 3), 2);
    assert_true(lookup_deadline_ms(&l) == UINT64_MAX);
    lookup_deinit(&l);
}

static void test_stop(void **state)
{
    peer_id_t p = model_peer(1);
    lookup_t l = new_lookup(20, 10, "x");
    lookup_start(&l, &p, 1);
    expect_ask(&l, 0);
    lookup_stop(&l);
    lookup_answer(&l, &p, NULL, 0);
    expect_done(&l, LOOKUP_STOPPED);
    lookup_deinit(&l);
}

/* Each peer that is asked makes up 10,000 new ones: memory and requests stay bounded, and it ends. */
static void test_made_up_peers_are_bounded(void **state)
{
    lookup_t l = new_lookup(20, 10, "x");
    peer_id_t seed = model_peer(0), *lies = xcalloc(10000, sizeof *lies);
    lookup_start(&l, &seed, 1);
    lookup_event_t e;
    uint64_t n = 1;
    for (;;) {
        assert_true(lookup_next_event(&l, 0, &e));
        if (e.kind == LOOKUP_EVENT_DONE)
            break;
        for (size_t i = 0; i < 10000; i++)
            lies[i] = (peer_id_t){.len = 34,
                                  .data = {0x12, 32, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
                                           (uint8_t)(n >> 24)}},
            n++;
        lookup_answer(&l, &e.peer, lies, l.n_requests < 20 ? 10000 : 500);
        assert_true(l.count <= l.config.max_peers);
    }
    assert_true(l.n_requests <= l.config.max_requests);
    free(lies);
    lookup_deinit(&l);
}

/* A peer that names itself, the asker and those already asked, for ever. */
static void test_loops_end(void **state)
{
    peer_id_t p[2] = {model_peer(1), model_peer(2)};
    lookup_t l = new_lookup(20, 10, "x");
    l.self = model_peer(3);
    peer_id_t loop[] = {p[0], p[1], l.self, p[0]};
    lookup_start(&l, p, 1);
    expect_ask(&l, 0);
    lookup_answer(&l, &p[0], loop, 4);
    expect_ask(&l, 0);
    lookup_answer(&l, &p[1], loop, 4);
    expect_done(&l, LOOKUP_STARVED);
    lookup_deinit(&l);
}

static void test_budget_of_requests(void **state)
{
    peer_id_t p[30];
    sorted_peers("x", p, 30);
    lookup_t l = new_lookup(20, 10, "x");
    l.config.max_requests = 5;
    lookup_start(&l, p, 30);
    for (int i = 0; i < 5; i++)
        expect_ask(&l, 0);
    expect_idle(&l, 0);
    for (int i = 0; i < 5; i++)
        lookup_fail(&l, &p[i]);
    expect_done(&l, LOOKUP_EXHAUSTED);
    lookup_deinit(&l);
}

/* 30 peers of one network are closer to the key than all others: four of them count, and the lookup goes on
 * to those behind. */
static void test_one_network_cannot_crowd_around_a_key(void **state)
{
    peer_id_t p[60], got[20];
    sorted_peers("x", p, 60);
    lookup_t l = new_lookup(20, 10, "x");
    lookup_start(&l, p, 31); /* one honest peer of the table among them */
    for (int i = 0; i < 30; i++)
        lookup_set_group(&l, &p[i], 77);
    lookup_claim_group(&l, &p[30], 5);
    lookup_claim_group(&l, &p[30], 77); /* a lie that comes too late */
    lookup_event_t e;
    while (lookup_next_event(&l, 0, &e) && e.kind == LOOKUP_EVENT_ASK) {
        bool is_honest = peer_id_equal(&e.peer, &p[30]);
        lookup_answer(&l, &e.peer, is_honest ? &p[31] : p,
                      is_honest ? 29 : 30); /* the others name each other */
        assert_true(l.n_requests < 100);
    }
    assert_int_equal(e.kind, LOOKUP_EVENT_DONE);
    assert_int_equal(lookup_closest(&l, true, got, 20), 20);
    for (int i = 0; i < 20; i++)
        assert_true(peer_id_equal(&got[i], i < 4 ? &p[i] : &p[26 + i]));
    lookup_deinit(&l);
}

/* ── who crowds around a key ─────────────────────────────────────────────────────────────────── */
enum { HONEST = 1000, SYBILS = 40, TRIED = 30000, ALL = HONEST + SYBILS };
typedef struct crowd {
    kad_key_t target;
    peer_id_t peers[ALL]; /* by distance to the target; those of each kind apart: honest ones first */
} crowd_t;

static const kad_key_t *sort_target;

static int by_distance(const void *a, const void *b)
{
    kad_key_t x = kad_key_of_peer(a), y = kad_key_of_peer(b);
    return kad_compare_distance(sort_target, &x, &y);
}

/* Honest peers at random places; Sybils that tried keys until they were close to the target. */
static crowd_t *new_crowd(void)
{
    crowd_t *c = xcalloc(1, sizeof *c);
    peer_id_t *tried = xcalloc(TRIED, sizeof *tried);
    c->target = kad_key_of(BYTES_LIT("wanted"));
    sort_target = &c->target;
    for (size_t i = 0; i < HONEST; i++)
        c->peers[i] = model_peer(i);
    for (size_t i = 0; i < TRIED; i++)
        tried[i] = model_peer(HONEST + i);
    qsort(c->peers, HONEST, sizeof *c->peers, by_distance);
    qsort(tried, TRIED, sizeof *tried, by_distance);
    memcpy(c->peers + HONEST, tried, SYBILS * sizeof *tried);
    free(tried);
    return c;
}

static bool is_sybil(const crowd_t *c, const peer_id_t *p)
{
    for (size_t i = HONEST; i < ALL; i++)
        if (peer_id_equal(&c->peers[i], p))
            return true;
    return false;
}

/* Sybils name each other; honest peers name honest ones that are somewhat closer than they are themselves. */
static void answer_in_crowd(const crowd_t *c, lookup_t *l, const peer_id_t *who)
{
    size_t at = 0;
    while (at < HONEST && !peer_id_equal(&c->peers[at], who))
        at++;
    if (at == HONEST)
        lookup_answer(l, who, &c->peers[HONEST], SYBILS);
    else
        lookup_answer(l, who, &c->peers[at / 3], 20);
}

static size_t run_in_crowd(const crowd_t *c, lookup_t *l, peer_id_t *got, size_t cap)
{
    peer_id_t seeds[6] = {c->peers[HONEST + 3], c->peers[500], c->peers[700],
                          c->peers[650],        c->peers[800], c->peers[900]};
    lookup_event_t e;
    lookup_start(l, seeds, 6);
    while (lookup_next_event(l, 0, &e) && e.kind == LOOKUP_EVENT_ASK)
        answer_in_crowd(c, l, &e.peer);
    size_t n = lookup_closest(l, true, got, cap), honest = 0;
    for (size_t i = 0; i < n; i++)
        honest += !is_sybil(c, &got[i]);
    return honest;
}

static void test_crowds(void **state)
{
    static const struct {
        size_t paths;
        double network_size;
    } rows[] = {{1, 0}, {2, 0}, {2, 900}};
    crowd_t *c = new_crowd();
    peer_id_t got[LOOKUP_CLOSEST_MAX];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        lookup_t l = new_lookup(20, 10, "wanted");
        l.config.paths = rows[i].paths;
        l.config.network_size = rows[i].network_size;
        size_t honest = run_in_crowd(c, &l, got, LOOKUP_CLOSEST_MAX), queried = 0;
        for (size_t j = 0; j < l.count; j++)
            queried += l.peers[j].state == LOOKUP_QUERIED && !is_sybil(c, &l.peers[j].peer);
        print_message(
            "%zu paths, network of %.0f: %zu of the closest are honest, %zu honest ones were asked, %zu "
            "requests\n",
            rows[i].paths, rows[i].network_size, honest, queried, l.n_requests);
        if (i == 0)
            assert_true(honest == 0);
        if (i == 1) /* the other path has arrived among the honest closest */
            assert_true(queried >= 5);
        if (i == 2) {
            assert_true(lookup_is_crowded(&l));
            assert_true(honest >= 15);
        }
        lookup_deinit(&l);
    }
    free(c);
}

/* Where nobody crowds, nothing is flagged and nothing changes. */
static void test_no_crowd_where_there_is_none(void **state)
{
    model_t *m = model_new(500, 11);
    netsize_t size;
    netsize_init(&size, MODEL_K);
    assert_true(netsize_estimate(&size, 0) == 0);
    m->config.paths = 2;
    size_t flagged = 0;
    for (size_t i = 0; i < 200; i++) {
        kad_key_t target;
        prng_fill(&m->rng, target.data, sizeof target.data);
        m->config.network_size = netsize_estimate(&size, i);
        lookup_t l;
        model_lookup(m, prng_below(&m->rng, m->n), &target, &l);
        peer_id_t got[MODEL_K];
        netsize_feed(&size, &target, got, lookup_closest(&l, true, got, MODEL_K), i);
        flagged += lookup_is_crowded(&l);
        lookup_deinit(&l);
    }
    double estimate = netsize_estimate(&size, 200);
    print_message("500 nodes: estimated %.0f, %zu of 200 places taken for crowded\n", estimate, flagged);
    assert_true(estimate > 400 && estimate < 620);
    assert_true(flagged <= 1);
    assert_true(netsize_estimate(&size, 200 + NETSIZE_MAX_AGE_MS + 1) == 0);
    model_free(m);
}

/* ── a network of 1,000 nodes, by the engines alone ──────────────────────────────────────────── */
static model_figures_t measure(model_t *m, const char *when)
{
    model_figures_t f = model_measure(m, 200);
    print_message("%s: %.1f%% exact, %.2f%% of the true 20 closest, %.1f hops (most %zu), %.1f requests\n",
                  when, f.exact * 100, f.overlap * 100, f.hops, f.worst_hops, f.requests);
    return f;
}

static void test_thousand_nodes(void **state)
{
    model_t *m = model_new(1000, 42);
    model_figures_t f = measure(m, "1,000 nodes");
    assert_true(f.exact > 0.9);
    assert_true(f.overlap > 0.99);
    assert_true(f.worst_hops <= 10); /* log2 of the nodes */
    assert_true(f.requests < 60);

    for (size_t i = 0; i < m->n; i += 3)
        m->is_dead[i] = true;
    model_sort(m);
    f = measure(m, "a third gone");
    assert_true(f.overlap > 0.95);
    for (size_t i = 0; i < m->n; i++)
        if (!m->is_dead[i])
            model_refresh(m, i, 1);
    f = measure(m, "refreshed");
    assert_true(f.overlap > 0.99);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_seeds),
        cmocka_unit_test(test_asks_the_closest_first_alpha_at_a_time),
        cmocka_unit_test(test_small_network_ends_when_all_answered),
        cmocka_unit_test(test_ends_when_beta_closest_answered),
        cmocka_unit_test(test_time_out_frees_the_slot_and_late_answer_counts),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_made_up_peers_are_bounded),
        cmocka_unit_test(test_loops_end),
        cmocka_unit_test(test_budget_of_requests),
        cmocka_unit_test(test_one_network_cannot_crowd_around_a_key),
        cmocka_unit_test(test_crowds),
        cmocka_unit_test(test_no_crowd_where_there_is_none),
        cmocka_unit_test(test_thousand_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
