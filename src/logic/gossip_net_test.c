/* Engines joined by wires without delay, over a clock that the test turns. */
#include "base/prng.h"
#include "logic/gossip.h"
#include "tests/support/test.h"

#define TOPIC BYTES_LIT("topic")
enum { NODES_MAX = 1000 };

typedef struct net_node {
    gossip_t *g;
    gossip_peer_t **peers; /* by index of the other */
    peer_id_t id;
    size_t delivered, relayed;
    bool refuses; /* rejects every message */
    bool is_deaf; /* sends nothing on: what is queued for others vanishes */
} net_node_t;
typedef struct net {
    size_t n;
    uint64_t now;
    net_node_t nodes[NODES_MAX];
    uint64_t sent[GOSSIP_MESSAGE + 1];
} net_t;

static peer_id_t id_of(size_t i)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, (uint8_t)i, (uint8_t)(i >> 8)}};
}

static void net_init(net_t *w, size_t n, const gossip_config_t *c)
{
    memset(w, 0, sizeof *w); /* too large for a literal on the stack */
    w->n = n;
    w->now = 1000;
    for (size_t i = 0; i < n; i++) {
        gossip_config_t own = *c;
        own.self = w->nodes[i].id = id_of(i);
        own.seed = i + 1;
        w->nodes[i].g = gossip_new(&own, w->now);
        w->nodes[i].peers = xcalloc(n, sizeof(gossip_peer_t *));
    }
}

static void net_deinit(net_t *w)
{
    for (size_t i = 0; i < w->n; i++) {
        gossip_free(w->nodes[i].g);
        free(w->nodes[i].peers);
    }
}

/* i dialed j. */
static void net_link(net_t *w, size_t i, size_t j, gossip_version_t of_i, gossip_version_t of_j)
{
    if (i == j || w->nodes[i].peers[j])
        return;
    w->nodes[i].peers[j] = gossip_connected(w->nodes[i].g, &w->nodes[j].id, of_j, true, BYTES_NONE, w->now);
    w->nodes[j].peers[i] = gossip_connected(w->nodes[j].g, &w->nodes[i].id, of_i, false, BYTES_NONE, w->now);
    gossip_peer_set_user(w->nodes[i].peers[j], (void *)j);
    gossip_peer_set_user(w->nodes[j].peers[i], (void *)i);
}

static void net_unlink(net_t *w, size_t i, size_t j)
{
    gossip_disconnected(w->nodes[i].g, w->nodes[i].peers[j], w->now);
    gossip_disconnected(w->nodes[j].g, w->nodes[j].peers[i], w->now);
    w->nodes[i].peers[j] = w->nodes[j].peers[i] = NULL;
}

/* The content of test messages: topic index is fixed, the id is the content's first 8 bytes. */
static void receive_message(net_t *w, net_node_t *to, gossip_peer_t *from, bytes_t topic, bytes_t content)
{
    bytes_t id = bytes_slice(content, 0, 8);
    if (!gossip_arrived(to->g, from, topic, id, content.len, w->now))
        return;
    if (!gossip_checking(to->g, from, topic, id, content.len, w->now))
        return;
    if (to->refuses) {
        gossip_checked(to->g, id, GOSSIP_REJECT, NULL, w->now);
        return;
    }
    to->delivered++;
    gossip_message_t *m = gossip_message_new(to->g, topic, id, BYTES_NONE, content);
    gossip_checked(to->g, id, GOSSIP_ACCEPT, m, w->now);
    gossip_message_release(m);
}

static void apply(net_t *w, net_node_t *to, gossip_peer_t *from, const gossip_out_t *out)
{
    gossip_t *g = to->g;
    bytes_t id;
    gossip_rpc_begin(g, from, w->now);
    switch (out->kind) {
    case GOSSIP_SUBSCRIBE:
    case GOSSIP_UNSUBSCRIBE:
        gossip_hear_subscription(g, from, out->topic, out->kind == GOSSIP_SUBSCRIBE, w->now);
        break;
    case GOSSIP_GRAFT:
        gossip_hear_graft(g, from, out->topic, w->now);
        break;
    case GOSSIP_PRUNE:
        (void)gossip_hear_prune(g, from, out->topic, out->backoff_s, w->now);
        break;
    case GOSSIP_IHAVE:
        if (gossip_hear_ihave(g, from, out->topic, w->now))
            for (size_t i = 0; gossip_next_id(out->ids, &i, &id);)
                gossip_hear_ihave_id(g, from, id);
        break;
    case GOSSIP_IWANT:
        for (size_t i = 0; gossip_next_id(out->ids, &i, &id);)
            gossip_hear_iwant(g, from, id, w->now);
        break;
    case GOSSIP_IDONTWANT:
        for (size_t i = 0; gossip_next_id(out->ids, &i, &id);)
            gossip_hear_idontwant(g, from, id);
        break;
    case GOSSIP_MESSAGE:
        receive_message(w, to, from, TOPIC, gossip_message_content(out->message));
    }
    gossip_rpc_end(g, from, w->now);
}

/* Until nobody has anything to send. Messages travel one hop per round, as over links of one length. */
static void net_settle(net_t *w)
{
    typedef struct way {
        size_t from, to;
    } way_t;
    static way_t ways[NODES_MAX * 64];
    for (size_t n = 1; n;) {
        n = 0;
        for (size_t i = 0; i < w->n; i++)
            for (gossip_peer_t *p; n < ARRAY_LEN(ways) && (p = gossip_next_ready(w->nodes[i].g));)
                ways[n++] = (way_t){i, (size_t)gossip_peer_user(p)};
        for (size_t k = 0; k < n; k++) {
            net_node_t *from = &w->nodes[ways[k].from], *to = &w->nodes[ways[k].to];
            gossip_peer_t *p = from->peers[ways[k].to];
            gossip_out_t out;
            while (p && gossip_next_out(from->g, p, &out)) {
                w->sent[out.kind]++;
                if (!from->is_deaf || out.kind != GOSSIP_MESSAGE)
                    apply(w, to, to->peers[ways[k].from], &out);
            }
        }
    }
}

static void net_beat(net_t *w, size_t beats)
{
    for (size_t b = 0; b < beats; b++) {
        w->now += 1000;
        for (size_t i = 0; i < w->n; i++) {
            assert_true(gossip_deadline_ms(w->nodes[i].g) <= w->now);
            gossip_tick(w->nodes[i].g, w->now);
        }
        net_settle(w);
    }
}

static size_t net_publish(net_t *w, size_t from, uint64_t number, size_t size)
{
    uint8_t *content = xcalloc(1, size);
    memcpy(content, &number, 8);
    gossip_message_t *m = gossip_message_new(w->nodes[from].g, TOPIC, bytes_of(content, 8),
                                             peer_id_bytes(&w->nodes[from].id), bytes_of(content, size));
    size_t n = gossip_publish(w->nodes[from].g, m, w->now);
    gossip_message_release(m);
    free(content);
    return n;
}

static void net_subscribe_all(net_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        assert_ok(gossip_subscribe(w->nodes[i].g, TOPIC, w->now));
}

static size_t net_delivered(const net_t *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += w->nodes[i].delivered;
    return n;
}

static net_t *world(void)
{
    static net_t w;
    return &w;
}

/* ── meshes ──────────────────────────────────────────────────────────────────────────────────── */
static void test_mesh_forms(void **state)
{
    net_t *w = world();
    gossip_config_t c;
    gossip_config_default(&c);
    c.floods_own = false;
    net_init(w, 30, &c);
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < i; j++)
            net_link(w, i, j, GOSSIP_V1_2, GOSSIP_V1_2);
    net_subscribe_all(w);
    net_beat(w, 10);
    for (size_t i = 0; i < w->n; i++) {
        size_t n = gossip_mesh_size(w->nodes[i].g, TOPIC);
        assert_in_range(n, c.d_low, c.d_high);
        for (size_t j = 0; j < w->n; j++) /* both sides agree */
            if (i != j)
                assert_int_equal(gossip_in_mesh(w->nodes[i].g, w->nodes[i].peers[j], TOPIC),
                                 gossip_in_mesh(w->nodes[j].g, w->nodes[j].peers[i], TOPIC));
    }
    memset(w->sent, 0, sizeof w->sent);
    for (uint64_t k = 0; k < 10; k++)
        net_publish(w, (size_t)k, k + 1, 100);
    net_settle(w);
    assert_int_equal(net_delivered(w), 10 * 29); /* each once, by everybody */
    assert_true(w->sent[GOSSIP_MESSAGE] < 10ull * 30 * c.d_high);
    net_deinit(w);
}

static void test_large_network(void **state)
{
    net_t *w = world();
    gossip_config_t c;
    gossip_config_default(&c);
    c.floods_own = false;
    net_init(w, 1000, &c);
    prng_t r;
    prng_seed(&r, 7);
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < 10; k++)
            net_link(w, i, (size_t)prng_below(&r, w->n), GOSSIP_V1_2, GOSSIP_V1_2);
    net_subscribe_all(w);
    net_beat(w, 8);
    memset(w->sent, 0, sizeof w->sent);
    for (uint64_t k = 0; k < 5; k++)
        net_publish(w, (size_t)prng_below(&r, w->n), k + 1, 2000);
    net_settle(w);
    net_beat(w, 4);
    assert_int_equal(net_delivered(w), 5 * 999);
    printf("1,000 nodes: %.1f copies of a message per node, %.1f IDONTWANT\n",
           (double)w->sent[GOSSIP_MESSAGE] / 5000, (double)w->sent[GOSSIP_IDONTWANT] / 5000);
    assert_true(w->sent[GOSSIP_MESSAGE] < 5ull * 1000 * 9);
    /* half of them leave at once: the rest finds together again */
    for (size_t i = 0; i < w->n; i += 2)
        for (size_t j = 0; j < w->n; j++)
            if (w->nodes[i].peers[j])
                net_unlink(w, i, j);
    net_beat(w, 10);
    size_t before = net_delivered(w);
    net_publish(w, 1, 77, 500);
    net_settle(w);
    net_beat(w, 6);
    assert_true(net_delivered(w) - before >= 495); /* a few may have lost all their links */
    net_deinit(w);
}

static void test_gossip_repairs(void **state)
{
    /* 1's pushes are lost: whoever misses a message hears of it by IHAVE and asks for it */
    net_t *w = world();
    gossip_config_t c;
    gossip_config_default(&c);
    c.floods_own = false;
    c.d = 2, c.d_low = 1, c.d_high = 3, c.d_out = 0, c.d_score = 1;
    net_init(w, 12, &c);
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < i; j++)
            net_link(w, i, j, GOSSIP_V1_1, GOSSIP_V1_1);
    net_subscribe_all(w);
    net_beat(w, 5);
    for (size_t i = 1; i < w->n; i++)
        w->nodes[i].is_deaf = true;
    net_publish(w, 0, 1, 50);
    net_settle(w);
    size_t pushed = net_delivered(w);
    assert_true(pushed < 11);
    for (size_t i = 1; i < w->n; i++)
        w->nodes[i].is_deaf = false;
    net_beat(w, 3);
    assert_int_equal(net_delivered(w), 11);
    assert_true(w->sent[GOSSIP_IHAVE] > 0 && w->sent[GOSSIP_IWANT] > 0);
    net_deinit(w);
}

static void test_mixed_versions(void **state)
{
    net_t *w = world();
    gossip_config_t c;
    gossip_config_default(&c);
    c.floods_own = false;
    net_init(w, 12, &c);
    gossip_free(w->nodes[0].g); /* one that only floods */
    gossip_config_t flood = c;
    flood.is_floodsub = true;
    flood.self = w->nodes[0].id;
    w->nodes[0].g = gossip_new(&flood, w->now);
    gossip_version_t versions[] = {GOSSIP_FLOOD, GOSSIP_V1_0, GOSSIP_V1_1, GOSSIP_V1_2};
    for (size_t i = 1; i < w->n; i++)
        for (size_t j = 0; j < i; j++)
            net_link(w, i, j, versions[1 + i % 3], j ? versions[1 + j % 3] : GOSSIP_FLOOD);
    net_subscribe_all(w);
    net_beat(w, 5);
    assert_int_equal(gossip_mesh_size(w->nodes[0].g, TOPIC), 0);
    for (size_t i = 0; i < w->n; i++)
        assert_false(i && gossip_in_mesh(w->nodes[i].g, w->nodes[i].peers[0], TOPIC));
    net_publish(w, 5, 1, 5000);
    net_publish(w, 0, 2, 5000);
    net_settle(w);
    assert_int_equal(net_delivered(w), 2 * 11);
    net_deinit(w);
}

static void test_fanout_and_leaving(void **state)
{
    net_t *w = world();
    gossip_config_t c;
    gossip_config_default(&c);
    c.floods_own = false;
    net_init(w, 15, &c);
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < i; j++)
            net_link(w, i, j, GOSSIP_V1_1, GOSSIP_V1_1);
    for (size_t i = 1; i < w->n; i++)
        assert_ok(gossip_subscribe(w->nodes[i].g, TOPIC, w->now));
    net_beat(w, 5);
    assert_int_equal(net_publish(w, 0, 1, 50), c.d); /* to the fanout alone */
    net_settle(w);
    assert_int_equal(net_delivered(w), 14);
    gossip_stat_t stat;
    net_beat(w, 70); /* and that is forgotten in the end */
    assert_ok(gossip_subscribe(w->nodes[0].g, TOPIC, w->now));
    net_settle(w);
    assert_int_equal(gossip_mesh_size(w->nodes[0].g, TOPIC), c.d);
    gossip_unsubscribe(w->nodes[0].g, TOPIC, w->now);
    net_settle(w);
    assert_int_equal(gossip_mesh_size(w->nodes[0].g, TOPIC), 0);
    for (size_t i = 1; i < w->n; i++)
        assert_false(gossip_in_mesh(w->nodes[i].g, w->nodes[i].peers[0], TOPIC));
    /* back at once: nobody may be grafted before 10 s are over */
    assert_ok(gossip_subscribe(w->nodes[0].g, TOPIC, w->now));
    net_settle(w);
    size_t early = gossip_mesh_size(w->nodes[0].g, TOPIC);
    assert_true(early <= 14 - c.d);
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < w->n; j++)
            if (i != j)
                assert_true(gossip_score(w->nodes[i].g, w->nodes[i].peers[j], w->now) >= 0);
    gossip_unsubscribe(w->nodes[0].g, TOPIC, w->now);
    for (size_t i = 1; i < w->n; i++)
        gossip_unsubscribe(w->nodes[i].g, TOPIC, w->now);
    net_settle(w);
    net_beat(w, 2500);                  /* so long does the memory of a delivery last */
    for (size_t i = 0; i < w->n; i++) { /* nothing is left of it */
        gossip_stat(w->nodes[i].g, &stat);
        assert_int_equal(stat.topics, 0);
        assert_int_equal(stat.seen, 0);
        assert_int_equal(stat.live_bytes, 0);
    }
    net_deinit(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh_forms),         cmocka_unit_test(test_large_network),
        cmocka_unit_test(test_gossip_repairs),     cmocka_unit_test(test_mixed_versions),
        cmocka_unit_test(test_fanout_and_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
