#include "tests/support/dht.h"

/* ── joining, providing, finding ─────────────────────────────────────────────────────────────── */
static err_t check_thirty_nodes(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 30);
    assert_ok(task_sleep(t, 2000));
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < w->n; i++) {
        size_t n = world_table_count(&w->nodes[i]);
        least = n < least ? n : least;
    }
    print_message("30 nodes: the smallest table has %zu entries\n", least);
    assert_true(least >= DHT_K);

    assert_ok(world_provide(t, &w->nodes[5], "a file"));
    peer_id_t found[64];
    for (size_t i = 0; i < w->n; i += 7) {
        assert_int_equal(world_find(t, &w->nodes[i], "a file", 0, found), 1);
        assert_true(peer_id_equal(&found[0], &w->nodes[5].id));
    }
    assert_ok(world_provide(t, &w->nodes[6], "a file"));
    assert_ok(world_provide(t, &w->nodes[7], "a file"));
    assert_int_equal(world_find(t, &w->nodes[20], "a file", 0, found), 3);
    assert_int_equal(world_find(t, &w->nodes[20], "a file", 2, found), 2);
    assert_int_equal(world_find(t, &w->nodes[20], "nobody has this", 0, found), 0);
    return OK;
}

/* Once a node knows how large the network is, it announces without waiting for the end of the lookup; the
 * record comes to the same peers. */
static err_t check_optimist(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 40);
    assert_ok(task_sleep(t, 2000));
    world_node_t *n = &w->nodes[5];
    char text[32];
    for (int i = 0; i < 12; i++) {
        snprintf(text, sizeof text, "absent %d", i);
        assert_int_equal(world_find(t, n, text, 0, NULL), 0);
    }
    double size = netsize_estimate(&n->routing->dhts[1].size, sched_now_ms(n->routing->sched));
    print_message("40 nodes: the network is estimated to have %.0f\n", size);
    assert_true(size > 25 && size < 65);
    routing_stats_t before, after;
    routing_stats(n->routing, &before);
    assert_ok(world_provide(t, n, "quickly"));
    assert_ok(task_sleep(t, 5000)); /* the last ones are told in the background */
    routing_stats(n->routing, &after);
    assert_int_equal(after.provided, before.provided + 1);
    size_t holders = 0;
    for (size_t i = 0; i < w->n; i++)
        holders += provider_store_count(&w->nodes[i].routing->providers) > 0;
    print_message("%zu hold the record, %llu messages\n", holders,
                  (unsigned long long)(after.messages_out - before.messages_out));
    assert_true(holders >= 15 && holders <= 30);
    peer_id_t found[64];
    assert_int_equal(world_find(t, &w->nodes[30], "quickly", 0, found), 1);
    assert_true(peer_id_equal(&found[0], &n->id));
    return OK;
}

static err_t check_records_expire(task_t *t, void *arg)
{
    world_t *w = arg;
    assert_int_equal(w->config.provider_ttl_ms, 48 * 3600 * 1000);
    w->config.provider_ttl_ms = 4 * 3600 * 1000;
    world_join(t, w, 8);
    assert_ok(world_provide(t, &w->nodes[1], "short-lived"));
    assert_ok(task_sleep(t, 235 * 60 * 1000));
    assert_int_equal(world_find(t, &w->nodes[4], "short-lived", 0, NULL), 1);
    assert_ok(task_sleep(t, 10 * 60 * 1000));
    assert_int_equal(world_find(t, &w->nodes[4], "short-lived", 0, NULL), 0);
    return OK;
}

/* A third of the nodes goes; tables forget them, records are found, those who stay find each other. */
static err_t check_nodes_leave(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 24);
    assert_ok(world_provide(t, &w->nodes[2], "kept"));
    for (size_t i = 16; i < 24; i++)
        world_stop(t, &w->nodes[i]);
    assert_ok(task_sleep(t, 5000));
    assert_int_equal(world_find(t, &w->nodes[9], "kept", 0, NULL), 1);
    assert_ok(task_sleep(t, 45 * 60 * 1000)); /* refreshes and checks */
    for (size_t i = 0; i < 16; i++) {
        assert_true(world_table_count(&w->nodes[i]) >= 10);
        for (size_t j = 16; j < 24; j++)
            assert_false(world_knows(&w->nodes[i], &w->nodes[j].id));
    }
    assert_int_equal(world_find(t, &w->nodes[11], "kept", 0, NULL), 1);
    return OK;
}

typedef struct peer_search {
    world_node_t *node;
    peer_id_t wanted;
    routed_peer_t found;
} peer_search_t;

static err_t find_peer_call(task_t *t, void *arg)
{
    peer_search_t *s = arg;
    return routing_find_peer(t, s->node->routing, &s->wanted, &s->found);
}

static err_t closest_call(task_t *t, void *arg)
{
    peer_search_t *s = arg;
    routed_peer_t *out = xcalloc(DHT_K, sizeof *out);
    size_t n = 0;
    err_t e = routing_closest_peers(t, s->node->routing, BYTES_LIT("some key"), out, DHT_K, &n);
    kad_key_t target = kad_key_of(BYTES_LIT("some key"));
    for (size_t i = 1; i < n; i++) {
        kad_key_t a = kad_key_of_peer(&out[i - 1].id), b = kad_key_of_peer(&out[i].id);
        assert_true(kad_compare_distance(&target, &a, &b) < 0);
    }
    assert_true(e || n >= 9);
    for (size_t i = 0; i < n; i++)
        assert_true(out[i].n_addrs > 0);
    free(out);
    return e;
}

static bool count_entries(void *arg, const bucket_entry_t *e)
{
    size_t *n = arg;
    assert_string_equal(e->dht, "lan");
    assert_true(e->peer.len > 0);
    return ++*n < 5;
}

static err_t check_find_peers(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 12);
    peer_search_t *s = xcalloc(1, sizeof *s);
    s->node = &w->nodes[3];
    s->wanted = w->nodes[9].id;
    assert_ok(world_on(t, s->node, find_peer_call, s));
    assert_true(peer_id_equal(&s->found.id, &w->nodes[9].id));
    assert_true(s->found.n_addrs >= 1);
    s->wanted.data[s->wanted.len - 1] ^= 1;
    assert_err(world_on(t, s->node, find_peer_call, s), ERR_NOT_FOUND);
    s->wanted = s->node->id;
    assert_err(world_on(t, s->node, find_peer_call, s), ERR_INVALID);
    assert_ok(world_on(t, s->node, closest_call, s));
    size_t n = 0;
    routing_each_entry(s->node->routing, count_entries, &n);
    assert_int_equal(n, 5);
    routing_stats_t stats;
    routing_stats(s->node->routing, &stats);
    assert_true(stats.lookups > 0 && stats.messages_out > 0 && stats.messages_in > 0);
    free(s);
    return OK;
}

typedef struct with_addrs {
    world_node_t *node;
    cid_t cid;
    size_t n, n_addrs;
} with_addrs_t;

static bool count_addrs(void *arg, const routed_peer_t *p)
{
    with_addrs_t *c = arg;
    c->n++;
    c->n_addrs += p->n_addrs;
    return true;
}

static err_t with_addrs_call(task_t *t, void *arg)
{
    with_addrs_t *c = arg;
    return routing_find_providers(t, c->node->routing, &c->cid, 0, count_addrs, NULL, c);
}

/* A record whose addresses are too old: the provider is found by its id. */
static err_t check_provider_without_addrs(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 5);
    cid_t cid = world_cid("x");
    uint8_t mh[CID_BINARY_MAX];
    world_node_t *late = world_add(w, "10.0.9.1");
    assert_ok(provider_store_add(t, &w->nodes[1].routing->providers,
                                 bytes_of(mh, cid_encode_multihash(&cid, mh)), &late->id, NULL, 0));
    late->config.mode = DHT_MODE_CLIENT; /* in no table, so that only those who met it know where it is: */
    for (size_t i = 1; i <= 2; i++)
        sim_partition(w->nodes[i].machine, late->machine, true); /* not the asker, not who has the record */
    world_start(t, late);
    world_connect(t, late, &w->nodes[3]);
    assert_ok(task_sleep(t, 5000));
    with_addrs_t c = {.node = &w->nodes[2], .cid = cid};
    assert_ok(world_on(t, c.node, with_addrs_call, &c));
    assert_int_equal(c.n, 1);
    assert_true(c.n_addrs >= 1);
    return OK;
}

/* Clients ask, are never asked, and are in no table; they are found by their id all the same. */
static err_t check_clients(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 6);
    world_node_t *c = world_add(w, "10.0.9.1");
    c->config.mode = DHT_MODE_CLIENT;
    world_start(t, c);
    world_connect(t, c, &w->nodes[0]);
    assert_ok(task_sleep(t, 20 * 60 * 1000));
    for (size_t i = 0; i < 6; i++)
        assert_false(world_knows(&w->nodes[i], &c->id));
    assert_true(world_table_count(c) >= 5);
    assert_ok(world_provide(t, c, "of a client"));
    peer_id_t found[64];
    assert_int_equal(world_find(t, &w->nodes[4], "of a client", 0, found), 1);
    assert_true(peer_id_equal(&found[0], &c->id));
    peer_search_t *s = xcalloc(1, sizeof *s);
    s->node = &w->nodes[5];
    s->wanted = c->id;
    assert_ok(world_on(t, s->node, find_peer_call, s));
    free(s);
    return OK;
}

/* A node alone: nothing is found, nothing is announced, nothing hangs. */
static err_t check_alone(task_t *t, void *arg)
{
    world_t *w = arg;
    world_node_t *n = world_add(w, "10.0.0.1");
    world_start(t, n);
    assert_false(routing_is_bootstrapped(n->routing));
    assert_int_equal(world_find(t, n, "anything", 0, NULL), 0);
    assert_true(world_provide(t, n, "mine") != OK);
    assert_int_equal(world_find(t, n, "mine", 0, NULL), 1); /* own record */
    assert_ok(task_sleep(t, 3600 * 1000));
    world_stop(t, n);
    n->config.has_wan = n->config.has_lan = false;
    world_start(t, n);
    assert_err(world_provide(t, n, "mine"), ERR_OFFLINE);
    return OK;
}

/* A restarted node finds its way back without anybody's help. */
static err_t check_restart(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 6);
    assert_ok(world_provide(t, &w->nodes[1], "before"));
    assert_ok(task_sleep(t, 11 * 60 * 1000));
    world_stop(t, &w->nodes[4]);
    assert_ok(task_sleep(t, 60 * 1000));
    world_start(t, &w->nodes[4]);
    assert_ok(task_sleep(t, 30 * 1000));
    assert_true(routing_is_bootstrapped(w->nodes[4].routing));
    assert_int_equal(world_find(t, &w->nodes[4], "before", 0, NULL), 1);
    return OK;
}

/* All neighbours vanish and come back: the table fills again. */
static err_t check_lost_table(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 4);
    assert_ok(task_sleep(t, 11 * 60 * 1000));
    for (size_t i = 1; i < 4; i++)
        sim_isolate(w->nodes[i].machine, true);
    assert_ok(task_sleep(t, 90 * 60 * 1000));
    assert_int_equal(world_table_count(&w->nodes[0]), 0);
    for (size_t i = 1; i < 4; i++)
        sim_isolate(w->nodes[i].machine, false);
    assert_ok(task_sleep(t, 10 * 60 * 1000));
    assert_true(world_table_count(&w->nodes[0]) >= 1);
    return OK;
}

/* The WAN table takes public peers alone, and few of one network. */
static err_t check_wan_groups(task_t *t, void *arg)
{
    world_t *w = arg;
    world_node_t *self = world_add(w, "198.51.100.1");
    world_start(t, self);
    char ip[32];
    for (int i = 0; i < 12; i++) {
        snprintf(ip, sizeof ip, "203.1.0.%d", i + 1); /* one /16 */
        world_node_t *n = world_add(w, ip);
        world_start(t, n);
        world_connect(t, n, self);
    }
    world_node_t *lan = world_add(w, "10.0.0.1"), *far = world_add(w, "8.8.0.1");
    world_start(t, lan);
    world_connect(t, lan, self);
    world_start(t, far);
    world_connect(t, far, self);
    assert_ok(task_sleep(t, 5000));
    assert_true(self->routing->dhts[0].is_server);
    assert_false(lan->routing->dhts[0].is_server); /* AUTO: not public */
    dht_t *wan = &self->routing->dhts[0];
    size_t sybils = 0;
    for (size_t i = 1; i <= 12; i++)
        sybils += kbucket_get(&wan->table, &w->nodes[i].id) != NULL;
    assert_true(sybils >= 1 && sybils <= 3);
    assert_non_null(kbucket_get(&wan->table, &far->id));
    assert_null(kbucket_get(&wan->table, &lan->id));
    assert_ok(world_provide(t, far, "public"));
    assert_int_equal(world_find(t, &w->nodes[3], "public", 0, NULL), 1);
    return OK;
}

/* ── announcing what a node has ──────────────────────────────────────────────────────────────── */
typedef struct source {
    size_t n, passes;
} source_t;

static err_t emit_all(task_t *t, void *arg, err_t (*emit)(task_t *t, void *emit_arg, const cid_t *cid),
                      void *emit_arg)
{
    source_t *s = arg;
    s->passes++;
    for (size_t i = 0; i < s->n; i++) {
        char text[32];
        snprintf(text, sizeof text, "block %zu", i);
        cid_t cid = world_cid(text);
        TRY(emit(t, emit_arg, &cid));
    }
    return OK;
}

static err_t later_call(task_t *t, void *arg)
{
    world_node_t *n = arg;
    cid_t cid = world_cid("later");
    for (int i = 0; i < 5; i++) /* coalesced */
        routing_provide_later(n->routing, &cid);
    routing_stats_t stats;
    routing_stats(n->routing, &stats);
    assert_int_equal(stats.provide_queue, 1);
    return OK;
}

static err_t check_provide_cycle(task_t *t, void *arg)
{
    world_t *w = arg;
    w->config.provider_ttl_ms = 4 * 3600 * 1000;
    world_join(t, w, 5);
    world_node_t *n = world_add(w, "10.0.9.1");
    n->config.reprovide_interval_ms = 110 * 60 * 1000;
    source_t source = {.n = 3000};
    world_start(t, n);
    routing_set_provide_source(n->routing, emit_all, &source);
    world_connect(t, n, &w->nodes[0]);
    assert_ok(task_sleep(t, 5 * 60 * 1000));
    routing_stats_t stats;
    routing_stats(n->routing, &stats);
    print_message("%llu records announced with %llu messages and %llu lookups\n",
                  (unsigned long long)stats.provided, (unsigned long long)stats.messages_out,
                  (unsigned long long)stats.lookups);
    assert_int_equal(stats.provided, 3000);
    assert_int_equal(stats.provide_failed, 0);
    assert_true(stats.lookups < 100); /* not one for each */
    for (int i = 0; i < 3000; i += 500) {
        char text[32];
        snprintf(text, sizeof text, "block %d", i);
        assert_int_equal(world_find(t, &w->nodes[3], text, 0, NULL), 1);
    }
    assert_true(source.passes <= 3); /* this round's, and the next one's */
    provide_stats_t p;
    assert_ok(routing_provide_stats(t, n->routing, true, &p));
    assert_true(p.is_online && p.is_sweep_enabled && p.has_done_round);
    assert_int_equal(p.keys, 3000);
    assert_int_equal(p.round_keys, 3000);
    assert_int_equal(p.records, 5 * 3000);
    assert_int_equal(p.lag_ms, 0);
    assert_true(p.forecast_ms < 60 * 1000);
    assert_true(p.next_at_wall_ms > 0 && p.avg_holders > 4.9);
    assert_ok(world_on(t, n, later_call, n));
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(world_find(t, &w->nodes[3], "later", 0, NULL), 1);

    world_stop(t, n); /* a restart goes on with the cycle that it was in: nothing to do yet */
    world_start(t, n);
    routing_set_provide_source(n->routing, emit_all, &source);
    world_connect(t, n, &w->nodes[0]);
    assert_ok(task_sleep(t, 3 * 60 * 1000));
    routing_stats(n->routing, &stats);
    assert_int_equal(stats.provided, 0);
    assert_ok(task_sleep(t, 20 * 60 * 1000)); /* an eighth of the interval after the hurried round */
    routing_stats(n->routing, &stats);
    assert_int_equal(stats.provided, 3000);
    assert_ok(task_sleep(t, 80 * 60 * 1000));
    routing_stats(n->routing, &stats);
    assert_int_equal(stats.provided, 3000);
    assert_ok(task_sleep(t, 30 * 60 * 1000));
    routing_stats(n->routing, &stats);
    assert_int_equal(stats.provided, 6000);
    assert_ok(task_sleep(t, 6 * 3600 * 1000)); /* announced again and again, so never expired */
    assert_int_equal(world_find(t, &w->nodes[3], "block 77", 0, NULL), 1);
    return OK;
}

static err_t flood_queue_call(task_t *t, void *arg)
{
    world_node_t *n = arg;
    for (int i = 0; i < PROVIDE_QUEUE_MAX + 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "block %d", i);
        cid_t cid = world_cid(text);
        routing_provide_later(n->routing, &cid);
    }
    routing_stats_t stats;
    routing_stats(n->routing, &stats);
    assert_int_equal(stats.provide_queue, PROVIDE_QUEUE_MAX);
    return OK;
}

/* More at once than the queue holds: the cycle that follows announces what was dropped. */
static err_t check_provide_overflow(task_t *t, void *arg)
{
    world_t *w = arg;
    world_node_t *n = world_add(w, "10.0.9.1"), *other = world_add(w, "10.0.9.2");
    n->config.reprovide_interval_ms = 22u * 3600 * 1000;
    source_t source = {.n = 0};
    world_start(t, n);
    world_start(t, other);
    routing_set_provide_source(n->routing, emit_all, &source);
    world_connect(t, n, other);
    assert_ok(task_sleep(t, 60 * 1000));
    assert_true(source.passes >= 1); /* there was nothing */
    size_t passes = source.passes;
    source.n = PROVIDE_QUEUE_MAX + 100;
    assert_ok(world_on(t, n, flood_queue_call, n));
    assert_ok(task_sleep(t, 30 * 60 * 1000));
    assert_true(source.passes > passes);
    char text[32];
    snprintf(text, sizeof text, "block %d", PROVIDE_QUEUE_MAX + 50);
    assert_int_equal(world_find(t, other, text, 0, NULL), 1);
    return OK;
}

static err_t new_block_call(task_t *t, void *arg)
{
    cid_t cid = world_cid("block 0");
    routing_provide_later(((world_node_t *)arg)->routing, &cid);
    return OK;
}

/* What waits to be announced when the node stops does not wait for the next round. */
static err_t check_provide_stopped(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 5);
    world_node_t *n = world_add(w, "10.0.9.1");
    n->config.reprovide_interval_ms = 22u * 3600 * 1000;
    source_t source = {.n = 0};
    world_start(t, n);
    routing_set_provide_source(n->routing, emit_all, &source);
    world_connect(t, n, &w->nodes[0]);
    assert_ok(task_sleep(t, 60 * 1000)); /* the round of nothing is done, the next one has begun */
    source.n = 1;
    assert_ok(world_on(t, n, new_block_call, n));
    world_stop(t, n);
    assert_int_equal(world_find(t, &w->nodes[3], "block 0", 0, NULL), 0);
    world_start(t, n);
    routing_set_provide_source(n->routing, emit_all, &source);
    world_connect(t, n, &w->nodes[0]);
    assert_ok(task_sleep(t, 5 * 60 * 1000));
    assert_int_equal(world_find(t, &w->nodes[3], "block 0", 0, NULL), 1);
    return OK;
}

/* AUTO: whether others reach the node decides, whatever its address is; its peers notice. */
static err_t check_wan_mode(task_t *t, void *arg)
{
    world_t *w = arg;
    world_node_t *self = world_add(w, "198.51.100.1"), *other = world_add(w, "8.8.0.1");
    world_start(t, self);
    world_start(t, other);
    world_connect(t, self, other);
    static const reachability_t found[] = {REACHABILITY_UNKNOWN, REACHABILITY_PRIVATE, REACHABILITY_PUBLIC,
                                           REACHABILITY_PRIVATE};
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        host_force_reachability(self->host, found[i]);
        assert_ok(task_sleep(t, 60000));
        bool serves = found[i] != REACHABILITY_PRIVATE;
        assert_int_equal(self->routing->dhts[0].is_server, serves);
        assert_int_equal(kbucket_get(&other->routing->dhts[0].table, &self->id) != NULL, serves);
    }
    return OK;
}

#define WORLD_TEST(name)                                                                                     \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        world_run(world_new(7), check_##name);                                                               \
    }
WORLD_TEST(thirty_nodes)
WORLD_TEST(optimist)
WORLD_TEST(records_expire)
WORLD_TEST(nodes_leave)
WORLD_TEST(find_peers)
WORLD_TEST(clients)
WORLD_TEST(provider_without_addrs)
WORLD_TEST(alone)
WORLD_TEST(restart)
WORLD_TEST(lost_table)
WORLD_TEST(wan_groups)
WORLD_TEST(wan_mode)
WORLD_TEST(provide_cycle)
WORLD_TEST(provide_overflow)
WORLD_TEST(provide_stopped)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),           cmocka_unit_test(test_find_peers),
        cmocka_unit_test(test_thirty_nodes),    cmocka_unit_test(test_optimist),
        cmocka_unit_test(test_records_expire),  cmocka_unit_test(test_nodes_leave),
        cmocka_unit_test(test_clients),         cmocka_unit_test(test_provider_without_addrs),
        cmocka_unit_test(test_restart),         cmocka_unit_test(test_lost_table),
        cmocka_unit_test(test_wan_groups),      cmocka_unit_test(test_wan_mode),
        cmocka_unit_test(test_provide_cycle),   cmocka_unit_test(test_provide_overflow),
        cmocka_unit_test(test_provide_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
