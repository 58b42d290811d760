/* Nodes with bitswap that fetch from each other. */
#include "tests/support/exchange.h"

/* ── good peers ──────────────────────────────────────────────────────────────────────────────── */
static bool count_peer(void *arg, const peer_id_t *peer)
{
    (*(size_t *)arg)++;
    assert_true(peer->len > 0);
    return true;
}

/* Node 1 has the first n blocks; a session of node 0, which is connected with it. */
static bitswap_session_t *open_at_giver(task_t *t, world_t *w, size_t n)
{
    bitswap_session_t *s;
    start_all(t, w);
    put_blocks(t, w, 1, 0, n);
    connect(t, w, 0, 1);
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    return s;
}

static void one_source(task_t *t, world_t *w)
{
    make_blocks(w, 300, 50000);
    bitswap_session_t *s = open_at_giver(t, w, 300);
    peer_id_t best;
    assert_false(bitswap_session_best_peer(s, &best));
    get_all(t, w, s, 0, 300);
    assert_true(bitswap_session_best_peer(s, &best));
    assert_true(peer_id_equal(&best, host_id(w->net->nodes[1].host)));
    bitswap_stat_t got, gave;
    bitswap_stat(w->nodes[0].bitswap, &got);
    bitswap_stat(w->nodes[1].bitswap, &gave);
    assert_int_equal(got.blocks_received, 300);
    assert_int_equal(got.data_received, 300 * 50000);
    assert_int_equal(got.dup_blocks_received + got.bad_blocks, 0);
    assert_int_equal(got.wantlist_size, 0);
    assert_int_equal(gave.blocks_sent, 300);
    assert_true(gave.messages_received > 0);
    for (size_t i = 0; i < 300; i++)
        assert_true(blockstore_has(t, w->nodes[0].store, &w->cids[i]));
    bitswap_ledger_t l;
    assert_ok(bitswap_ledger(w->nodes[1].bitswap, host_id(w->net->nodes[0].host), &l));
    assert_true(l.sent_bytes >= 300 * 50000);
    assert_int_equal(l.wants, 0);
    assert_err(bitswap_ledger(w->nodes[1].bitswap, host_id(w->net->nodes[1].host), &l), ERR_NOT_FOUND);
    size_t peers = 0;
    bitswap_each_peer(w->nodes[1].bitswap, count_peer, &peers);
    assert_int_equal(peers, 1);
    bitswap_session_close(s);
}

static void test_one_source(void **state)
{
    uint64_t first, second;
    run_scenario(1, 2, one_source, &first);
    run_scenario(1, 2, one_source, &second);
    assert_int_equal(first, second); /* same seed, same run */
}

static void many_sources(task_t *t, world_t *w)
{
    make_blocks(w, 400, 60000);
    sim_set_default_link(w->net->sim, (sim_link_t){.latency_ms = 10, .jitter_ms = 3, .bytes_per_s = 2000000});
    start_all(t, w);
    for (size_t i = 1; i < w->net->n; i++) {
        put_blocks(t, w, i, 0, 400);
        connect(t, w, 0, i);
    }
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    get_all(t, w, s, 0, 400);
    bitswap_stat_t got, gave;
    bitswap_stat(w->nodes[0].bitswap, &got);
    assert_int_equal(got.blocks_received, 400);
    assert_true(got.dup_blocks_received < 40);
    for (size_t i = 1; i < w->net->n; i++) {
        bitswap_stat(w->nodes[i].bitswap, &gave);
        assert_true(gave.blocks_sent > 400 / w->net->n / 3);
    }
    bitswap_session_close(s);
}

static void test_many_sources(void **state)
{
    run_scenario(2, 3, many_sources, NULL);
    run_scenario(3, 6, many_sources, NULL);
}

static void source_dies(task_t *t, world_t *w)
{
    make_blocks(w, 400, 60000);
    sim_set_default_link(w->net->sim, (sim_link_t){.latency_ms = 10, .bytes_per_s = 2000000});
    start_all(t, w);
    for (size_t i = 1; i < 3; i++) {
        put_blocks(t, w, i, 0, 400);
        connect(t, w, 0, i);
    }
    fetch_t f = {.w = w, .until = 400};
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &f.s));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "fetch", fetch_task, &f, NULL));
    assert_ok(task_sleep(t, 2000));
    assert_in_range(f.done, 5, 350);
    stop(t, w, 1);
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    assert_int_equal(f.done, 400);
    bitswap_session_close(f.s);
}

static void test_source_dies(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_scenario(seed, 3, source_dies, NULL);
}

static void slow_link(task_t *t, world_t *w)
{
    make_blocks(w, 12, 250000);
    sim_set_default_link(
        w->net->sim, (sim_link_t){.latency_ms = 300, .jitter_ms = 50, .bytes_per_s = 60000, .stall = 0.01});
    bitswap_session_t *s = open_at_giver(t, w, 12);
    get_all(t, w, s, 0, 12);
    bitswap_stat_t got;
    bitswap_stat(w->nodes[0].bitswap, &got);
    assert_int_equal(got.blocks_received, 12);
    assert_true(got.dup_blocks_received <= 2);
    assert_int_equal(got.bad_blocks, 0);
    bitswap_session_close(s);
}

static void test_slow_link(void **state)
{
    run_scenario(4, 2, slow_link, NULL);
}

static size_t count_here(task_t *t, world_t *w, size_t node)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_blocks; i++)
        n += blockstore_has(t, w->nodes[node].store, &w->cids[i]);
    return n;
}

/* Nobody takes what was asked for ahead: no more is fetched than the cache holds, and the rest follows when
 * the reader goes on, also when it goes on somewhere else. */
static void late_reader(task_t *t, world_t *w)
{
    const size_t n = 200, fits = (16 << 20) / 150000;
    make_blocks(w, n, 150000);
    start_all(t, w);
    put_blocks(t, w, 1, 0, n);
    connect(t, w, 0, 1);
    bitswap_session_t *s;
    AUTO_PTR(block_t) first = NULL;
    AUTO_PTR(block_t) last = NULL;
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    assert_ok(bitswap_get(t, s, &w->cids[0], &first));
    bitswap_prefetch(s, w->cids + 1, 2);
    assert_ok(task_sleep(t, 10000));
    bitswap_prefetch(s, w->cids + 3, n - 4);
    assert_ok(task_sleep(t, 60000));
    assert_in_range(count_here(t, w, 0), fits - 2, fits + 2);
    assert_ok(bitswap_get(t, s, &w->cids[n - 1], &last));
    for (size_t i = 1; i < n - 1; i++) {
        AUTO_PTR(block_t) block = NULL;
        assert_ok(bitswap_get(t, s, &w->cids[i], &block));
        if (i == 20) {
            assert_ok(task_sleep(t, 60000));
            assert_in_range(count_here(t, w, 0), fits + 18, fits + 24);
        }
    }
    bitswap_stat_t got;
    bitswap_stat(w->nodes[0].bitswap, &got);
    assert_int_equal(got.blocks_received, n);
    bitswap_session_close(s);
}

static void test_late_reader(void **state)
{
    run_scenario(7, 2, late_reader, NULL);
}

static void old_versions(task_t *t, world_t *w)
{
    make_blocks(w, 60, 3000);
    start_all(t, w);
    for (size_t i = 1; i < 4; i++) { /* 1: 1.1.0 and older, 2: 1.0.0 and older, 3: the oldest name */
        for (size_t k = 0; k < i; k++)
            host_unhandle(w->net->nodes[i].host, bitswap_protocols[k]);
        put_blocks(t, w, i, (i - 1) * 20, i * 20);
        connect(t, w, 0, i);
    }
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    for (size_t i = 0; i < 40; i++)
        assert_ok(get_one(t, s, &w->cids[i], 300000));
    bitswap_session_close(s);
    /* And the other way round: an old one asks us. CIDv0 only, since bare blocks have no prefix. */
    block_t *b = make_block(1000, 5000);
    assert_ok(cid_of(0, CODEC_DAG_PB, MH_SHA2_256, block_bytes(b), &b->cid));
    assert_ok(blockstore_put(t, w->nodes[0].store, b));
    assert_ok(bitswap_session_open(w->nodes[3].bitswap, &s));
    assert_ok(get_one(t, s, &b->cid, 60000));
    bitswap_session_close(s);
    block_release(b);
}

static void test_old_versions(void **state)
{
    run_scenario(5, 4, old_versions, NULL);
}

/* ── having, waiting, giving up ──────────────────────────────────────────────────────────────── */
static void comes_later(task_t *t, world_t *w)
{
    make_blocks(w, 3, 20000);
    start_all(t, w);
    connect(t, w, 0, 1);
    fetch_t f = {.w = w, .until = 1}, g = {.w = w, .until = 1};
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &f.s));
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &g.s));
    group_t group;
    group_init(&group, task_sched(t));
    assert_ok(group_spawn(&group, "fetch", fetch_task, &f, NULL));
    assert_ok(group_spawn(&group, "fetch", fetch_task, &g, NULL));
    assert_ok(task_sleep(t, 5000));
    size_t wants = 0;
    bitswap_each_want(w->nodes[0].bitswap, (bool (*)(void *, const cid_t *))count_peer, &wants);
    assert_int_equal(wants, 1);
    put_blocks(t, w, 1, 0, 1); /* the peer gets it and tells */
    bitswap_have(w->nodes[1].bitswap, &w->cids[0], 1);
    uint64_t before = task_now_ms(t);
    assert_ok(group_join(t, &group));
    assert_true(task_now_ms(t) - before < 1000);
    /* It comes into our own store by another way. */
    f = (fetch_t){.w = w, .s = f.s, .from = 1, .until = 2};
    assert_ok(group_spawn(&group, "fetch", fetch_task, &f, NULL));
    assert_ok(task_sleep(t, 3000));
    block_t *b = make_block(1, w->block_bytes);
    blocks_t *view = bitswap_session_blocks(g.s);
    assert_false(blocks_has(t, view, &b->cid));
    assert_ok(blocks_put_many(t, view, &b, 1));
    assert_true(blocks_has(t, view, &b->cid));
    block_release(b);
    assert_ok(group_join(t, &group));
    assert_true(f.is_over);
    group_deinit(&group);
    bitswap_session_close(f.s);
    bitswap_session_close(g.s);
}

static void test_comes_later(void **state)
{
    run_scenario(6, 2, comes_later, NULL);
}

static err_t get_closed(task_t *t, void *arg)
{
    fetch_t *f = arg;
    assert_err(get_one(t, f->s, &f->w->cids[2], 900000), ERR_CLOSED);
    f->is_over = true;
    return OK;
}

static void gives_up(task_t *t, world_t *w)
{
    make_blocks(w, 3, 20000);
    start_all(t, w);
    connect(t, w, 0, 1);
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    assert_err(get_one(t, s, &w->cids[0], 3000), ERR_TIMEOUT);
    assert_ok(task_sleep(t, 1000));
    bitswap_stat_t st;
    bitswap_stat(w->nodes[0].bitswap, &st);
    assert_int_equal(st.wantlist_size, 0);
    bitswap_ledger_t l;
    assert_ok(bitswap_ledger(w->nodes[1].bitswap, host_id(w->net->nodes[0].host), &l));
    assert_int_equal(l.wants, 0); /* the cancel has arrived */
    cid_t identity;
    assert_ok(cid_of(1, CODEC_RAW, MH_IDENTITY, BYTES_LIT("inside"), &identity));
    assert_ok(get_one(t, s, &identity, 10));
    fetch_t f = {.w = w, .s = s};
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "closed", get_closed, &f, NULL));
    assert_ok(task_sleep(t, 1000));
    bitswap_prefetch(s, w->cids, 3);
    bitswap_session_close(s);
    assert_ok(group_join(t, &g));
    assert_true(f.is_over);
    group_deinit(&g);
}

static void test_gives_up(void **state)
{
    run_scenario(7, 2, gives_up, NULL);
}

/* The connection breaks again and again; each time it is made anew. */
static void broken_connections(task_t *t, world_t *w)
{
    make_blocks(w, 200, 40000);
    sim_set_default_link(w->net->sim, (sim_link_t){.latency_ms = 10, .bytes_per_s = 1000000});
    start_all(t, w);
    put_blocks(t, w, 1, 0, 200);
    connect(t, w, 0, 1);
    fetch_t f = {.w = w, .until = 200};
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &f.s));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "fetch", fetch_task, &f, NULL));
    for (int i = 0; i < 6; i++) {
        assert_ok(task_sleep(t, 900));
        sim_reset_streams(w->net->nodes[0].machine, w->net->nodes[1].machine);
        assert_ok(task_sleep(t, 300));
        if (!host_is_connected(w->net->nodes[0].host, host_id(w->net->nodes[1].host)))
            connect(t, w, 0, 1);
    }
    assert_ok(group_join(t, &g));
    assert_int_equal(f.done, 200);
    group_deinit(&g);
    bitswap_session_close(f.s);
}

static void test_broken_connections(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_scenario(seed, 2, broken_connections, NULL);
}

/* Nobody who is connected has it: a provider is found through the DHT, connected to and asked. */
static void providers(task_t *t, world_t *w)
{
    make_blocks(w, 40, 30000);
    w->with_routing = true;
    start_all(t, w);
    for (size_t i = 1; i < w->net->n; i++)
        connect(t, w, i, 0);
    assert_ok(task_sleep(t, 10000));
    put_blocks(t, w, 3, 0, 40);
    assert_ok(routing_provide(t, w->nodes[3].routing, &w->cids[0]));
    host_t *h = w->net->nodes[1].host;
    (void)!host_disconnect(h, host_id(w->net->nodes[3].host));
    assert_ok(task_sleep(t, 1000));
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[1].bitswap, &s));
    get_all(t, w, s, 0, 40);
    assert_int_equal(w->nodes[1].received, 40);
    peer_id_t best;
    assert_true(bitswap_session_best_peer(s, &best));
    assert_true(peer_id_equal(&best, host_id(w->net->nodes[3].host)));
    /* What nobody has: searched for, and given up at the deadline; a provider that cannot be reached hurts
     * nobody. */
    assert_ok(routing_provide(
        t, w->nodes[3].routing,
        &(cid_t){.version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32}));
    cid_t nobody = {.version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32};
    assert_err(get_one(t, s, &nobody, 50000), ERR_TIMEOUT);
    stop(t, w, 3);
    assert_err(get_one(t, s, &nobody, 50000), ERR_TIMEOUT);
    bitswap_session_close(s);
}

static void test_providers(void **state)
{
    run_scenario(10, 5, providers, NULL);
}

/* The store is full: whoever waits hears of it, and nothing is handed out that is not durable. */
static void full_store(task_t *t, world_t *w)
{
    make_blocks(w, 10, 30000);
    w->nodes[0].max_bytes = 100000;
    bitswap_session_t *s = open_at_giver(t, w, 10);
    size_t stored = 0;
    for (size_t i = 0; i < 10; i++) {
        err_t e = get_one(t, s, &w->cids[i], 30000);
        if (e)
            assert_int_equal(e, ERR_NO_SPACE);
        stored += !e;
    }
    assert_int_equal(stored, 3);
    assert_int_equal(w->nodes[0].received, 3);
    bitswap_session_close(s);
}

static void test_full_store(void **state)
{
    run_scenario(11, 2, full_store, NULL);
}

/* Who only reads gets what was verified, before and whether or not it is written. */
static void reader(task_t *t, world_t *w)
{
    make_blocks(w, 40, 30000);
    bitswap_session_t *s = open_at_giver(t, w, 40);
    bitswap_session_reads(s);
    assert_ok(get_one(t, s, &w->cids[0], 30000));
    bitswap_prefetch(s, w->cids, 40);
    get_all(t, w, s, 1, 40);
    assert_ok(bitswap_session_settle(t, s));
    for (size_t i = 0; i < 40; i++)
        assert_true(blockstore_has(t, w->nodes[0].store, &w->cids[i]));
    bitswap_stat_t got;
    bitswap_stat(w->nodes[0].bitswap, &got);
    assert_int_equal(got.blocks_received, 40); /* each once: what is being written is not asked for again */
    assert_int_equal(w->nodes[0].received, 40);
    bitswap_session_close(s);
}

static void test_reader(void **state)
{
    run_scenario(21, 2, reader, NULL);
}

static void reader_of_full_store(task_t *t, world_t *w)
{
    make_blocks(w, 10, 30000);
    w->nodes[0].max_bytes = 100000;
    bitswap_session_t *s = open_at_giver(t, w, 10);
    bitswap_session_reads(s);
    for (size_t i = 0; i < 10; i++)
        assert_ok(get_one(t, s, &w->cids[i], 30000));
    assert_ok(bitswap_session_settle(t, s));
    assert_int_equal(w->nodes[0].received, 3);
    assert_int_equal(count_here(t, w, 0), 3);
    bitswap_session_close(s);
}

static void test_reader_of_full_store(void **state)
{
    run_scenario(22, 2, reader_of_full_store, NULL);
}

/* A peer sends blocks in the order of asking, over messages too: a reader waits for its oldest want. */
static void in_order(task_t *t, world_t *w)
{
    const size_t n = 60, first = 30, bytes = 200000, under_way = 14; /* two turns and what is being read */
    make_blocks(w, n, bytes);
    sim_set_default_link(w->net->sim, (sim_link_t){.latency_ms = 5, .bytes_per_s = 10000000});
    bitswap_session_t *s = open_at_giver(t, w, n);
    assert_ok(get_one(t, s, &w->cids[0], 30000));
    bitswap_prefetch(s, w->cids + 1, first - 1);
    for (size_t i = first; i < n; i++) {
        assert_ok(task_sleep(t, 2));
        bitswap_prefetch(s, &w->cids[i], 1);
    }
    for (size_t i = 1; i < n; i++) {
        assert_ok(get_one(t, s, &w->cids[i], 30000));
        bitswap_stat_t got;
        bitswap_stat(w->nodes[0].bitswap, &got);
        assert_in_range(got.blocks_received, i + 1, i + 1 + under_way);
    }
    bitswap_session_close(s);
}

static void test_in_order(void **state)
{
    run_scenario(23, 2, in_order, NULL);
}

/* Rights: the peer gets DONT_HAVE for what it may not have. */
static bool serves_even(task_t *t, void *arg, const peer_id_t *peer, const cid_t *cid)
{
    return cid->digest[0] % 2 == 0;
}

static void rights(task_t *t, world_t *w)
{
    make_blocks(w, 20, 3000);
    w->nodes[1].may_serve = serves_even;
    bitswap_session_t *s = open_at_giver(t, w, 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(get_one(t, s, &w->cids[i], 3000), w->cids[i].digest[0] % 2 ? ERR_TIMEOUT : OK);
    bitswap_session_close(s);
}

static void test_rights(void **state)
{
    run_scenario(12, 2, rights, NULL);
}

/* The same bytes may be asked for under two codecs. */
static void two_codecs(task_t *t, world_t *w)
{
    make_blocks(w, 2, 500);
    start_all(t, w);
    put_blocks(t, w, 1, 0, 2);
    connect(t, w, 0, 1);
    cid_t other = w->cids[0];
    other.codec = CODEC_CBOR;
    fetch_t f = {.w = w, .until = 1};
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &f.s));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "fetch", fetch_task, &f, NULL));
    assert_ok(get_one(t, f.s, &other, 30000));
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    bitswap_stat_t st;
    bitswap_stat(w->nodes[0].bitswap, &st);
    assert_int_equal(st.blocks_received, 1);
    /* Prefetched and never taken: it is in the store all the same. */
    bitswap_prefetch(f.s, &w->cids[1], 1);
    assert_ok(task_sleep(t, 3000));
    assert_true(blockstore_has(t, w->nodes[0].store, &w->cids[1]));
    other = w->cids[1];
    other.codec = CODEC_CBOR;
    assert_ok(get_one(t, f.s, &other, 10)); /* from the session's cache */
    bitswap_session_close(f.s);
}

static void test_two_codecs(void **state)
{
    run_scenario(13, 2, two_codecs, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_source),
        cmocka_unit_test(test_many_sources),
        cmocka_unit_test(test_source_dies),
        cmocka_unit_test(test_slow_link),
        cmocka_unit_test(test_late_reader),
        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_comes_later),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_broken_connections),
        cmocka_unit_test(test_providers),
        cmocka_unit_test(test_full_store),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_reader_of_full_store),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_two_codecs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
