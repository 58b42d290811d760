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
    *w = (net_t){.n = n, .now = 1000};
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

/* ── one engine and its peers ────────────────────────────────────────────────────────────────── */
static gossip_t *one(gossip_config_t *c)
{
    c->self = id_of(0);
    gossip_t *g = gossip_new(c, 1000);
    assert_ok(gossip_subscribe(g, TOPIC, 1000));
    return g;
}

static gossip_peer_t *join(gossip_t *g, size_t i, gossip_version_t v, bool is_outbound, uint64_t now)
{
    peer_id_t id = id_of(i);
    gossip_peer_t *p = gossip_connected(g, &id, v, is_outbound, BYTES_NONE, now);
    assert_non_null(p);
    gossip_hear_subscription(g, p, TOPIC, true, now);
    return p;
}

/* What is queued for p of this kind; everything is taken. */
static size_t take(gossip_t *g, gossip_peer_t *p, int kind, gossip_out_t *ret_last)
{
    gossip_out_t out;
    size_t n = 0;
    while (gossip_next_out(g, p, &out)) {
        if ((int)out.kind != kind)
            continue;
        n++;
        if (ret_last)
            *ret_last = out;
    }
    return n;
}

static bool offer_message(gossip_t *g, gossip_peer_t *p, uint64_t number, size_t size,
                          gossip_verdict_t verdict, uint64_t now)
{
    uint8_t content[8];
    memcpy(content, &number, 8);
    bytes_t id = bytes_of(content, 8);
    if (!gossip_arrived(g, p, TOPIC, id, size, now) || !gossip_checking(g, p, TOPIC, id, size, now))
        return false;
    gossip_message_t *m = verdict == GOSSIP_ACCEPT ? gossip_message_new(g, TOPIC, id, BYTES_NONE, id) : NULL;
    gossip_checked(g, id, verdict, m, now);
    gossip_message_release(m);
    return true;
}

static void test_graft_and_backoff(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *p = join(g, 1, GOSSIP_V1_1, false, 1000);
    gossip_out_t out;
    assert_int_equal(take(g, p, GOSSIP_SUBSCRIBE, &out), 1);
    gossip_hear_graft(g, p, BYTES_LIT("unknown"), 1000); /* says nothing about us */
    assert_int_equal(take(g, p, GOSSIP_PRUNE, NULL), 0);
    gossip_hear_graft(g, p, TOPIC, 1000);
    assert_true(gossip_in_mesh(g, p, TOPIC));
    /* its backoff is obeyed, and a huge one is not believed */
    assert_false(gossip_hear_prune(g, p, TOPIC, UINT64_MAX, 2000));
    assert_false(gossip_in_mesh(g, p, TOPIC));
    for (uint64_t now = 2000; now < 2000 + 3600000; now += 60000)
        gossip_tick(g, now);
    assert_false(gossip_in_mesh(g, p, TOPIC));
    gossip_tick(g, 2000 + 3600000 + 4000);
    assert_true(gossip_in_mesh(g, p, TOPIC)); /* after an hour it is grafted again */
    assert_int_equal(take(g, p, GOSSIP_GRAFT, NULL), 1);
    uint64_t now = 4000000;
    assert_false(gossip_hear_prune(g, p, TOPIC, 60, now));
    double before = gossip_score(g, p, now);
    for (int i = 0; i < 4; i++) { /* too early, again and again */
        gossip_hear_graft(g, p, TOPIC, now + 1000);
        assert_int_equal(take(g, p, GOSSIP_PRUNE, &out), 1);
        assert_int_equal(out.backoff_s, 60);
        assert_int_equal(out.n_peers, 0);
    }
    assert_true(gossip_score(g, p, now + 1000) < before);
    assert_true(gossip_score(g, p, now + 1000) < 0);
    /* leaving does not undo that */
    peer_id_t id = id_of(1);
    gossip_disconnected(g, p, now + 1000);
    assert_null(gossip_peer(g, &id));
    p = join(g, 1, GOSSIP_V1_1, false, now + 2000);
    assert_true(gossip_score(g, p, now + 2000) < 0);
    gossip_hear_graft(g, p, TOPIC, now + 2000);
    assert_false(gossip_in_mesh(g, p, TOPIC));
    gossip_disconnected(g, p, now + 2000);
    gossip_stat_t stat;
    gossip_stat(g, &stat);
    assert_int_equal(stat.gone_peers, 1);
    for (uint64_t at = now + 3000; at < now + 700000; at += 1000)
        gossip_tick(g, at);
    gossip_stat(g, &stat);
    assert_int_equal(stat.gone_peers, 0);
    gossip_free(g);
}

static void test_full_mesh_and_offers(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    c.offers_peers = true;
    gossip_t *g = one(&c);
    for (size_t i = 1; i <= 12; i++)
        gossip_hear_graft(g, join(g, i, GOSSIP_V1_1, false, 1000), TOPIC, 1000);
    assert_int_equal(gossip_mesh_size(g, TOPIC), 12);
    gossip_peer_t *late = join(g, 20, GOSSIP_V1_1, false, 1000), *old = join(g, 21, GOSSIP_V1_0, false, 1000);
    gossip_peer_t *dialed = join(g, 22, GOSSIP_V1_1, true, 1000);
    gossip_out_t out;
    gossip_hear_graft(g, late, TOPIC, 1000);
    assert_int_equal(take(g, late, GOSSIP_PRUNE, &out), 1);
    assert_in_range(out.n_peers, 10, GOSSIP_PRUNE_PEERS);
    for (size_t i = 0; i < out.n_peers; i++)
        assert_false(peer_id_equal(&out.peers[i], gossip_peer_id(late)));
    gossip_hear_graft(g, old, TOPIC, 1000);
    assert_int_equal(take(g, old, GOSSIP_PRUNE, &out), 1);
    assert_int_equal(out.backoff_s, 0); /* version 1.0 has neither */
    assert_int_equal(out.n_peers, 0);
    gossip_hear_graft(g, dialed, TOPIC, 1000); /* whom we chose may always in */
    assert_true(gossip_in_mesh(g, dialed, TOPIC));
    /* shrinks to d, and keeps those that we dialed */
    gossip_peer_t *second = join(g, 23, GOSSIP_V1_1, true, 1000);
    gossip_hear_graft(g, second, TOPIC, 1000);
    gossip_tick(g, 2000);
    assert_int_equal(gossip_mesh_size(g, TOPIC), c.d);
    assert_true(gossip_in_mesh(g, dialed, TOPIC));
    assert_true(gossip_in_mesh(g, second, TOPIC));
    /* offers are taken from those with a good record alone */
    assert_false(gossip_hear_prune(g, dialed, TOPIC, 60, 3000));
    gossip_set_app_score(dialed, 100);
    assert_true(gossip_hear_prune(g, dialed, TOPIC, 60, 3000));
    gossip_free(g);
}

static void test_outbound_quota(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    for (size_t i = 1; i <= 8; i++)
        gossip_hear_graft(g, join(g, i, GOSSIP_V1_1, false, 1000), TOPIC, 1000);
    gossip_peer_t *a = join(g, 20, GOSSIP_V1_1, true, 1000), *b = join(g, 21, GOSSIP_V1_1, true, 1000);
    gossip_tick(g, 2000); /* enough in it, but none that we chose */
    assert_true(gossip_in_mesh(g, a, TOPIC) && gossip_in_mesh(g, b, TOPIC));
    gossip_free(g);
}

static void test_scores(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *good = join(g, 1, GOSSIP_V1_1, true, 1000), *bad = join(g, 2, GOSSIP_V1_1, true, 1000);
    gossip_hear_graft(g, good, TOPIC, 1000);
    gossip_hear_graft(g, bad, TOPIC, 1000);
    for (uint64_t k = 0; k < 20; k++)
        assert_true(offer_message(g, good, k, 10, GOSSIP_ACCEPT, 2000));
    assert_true(gossip_score(g, good, 2000) >= 2);
    assert_true(gossip_score(g, good, 100000) > gossip_score(g, good, 2000)); /* time in the mesh */
    for (uint64_t k = 0; k < 20; k++)
        assert_false(offer_message(g, bad, k, 10, GOSSIP_ACCEPT, 2500)); /* copies are worth nothing */
    assert_true(gossip_score(g, bad, 2000) < gossip_score(g, good, 2000));
    assert_true(gossip_accepts(g, bad, 2500));
    for (uint64_t k = 100; k < 103; k++)
        assert_true(offer_message(g, bad, k, 10, GOSSIP_REJECT, 2500));
    assert_false(gossip_accepts(g, bad, 2500));
    gossip_tick(g, 3000);
    assert_false(gossip_in_mesh(g, bad, TOPIC));
    assert_true(gossip_in_mesh(g, good, TOPIC));
    gossip_out_t out;
    assert_int_equal(take(g, bad, GOSSIP_PRUNE, &out), 1);
    /* nothing goes to it, nothing is taken from it */
    uint8_t id[8] = {200};
    gossip_hear_iwant(g, bad, bytes_of(id, 8), 3000);
    assert_false(gossip_hear_ihave(g, bad, TOPIC, 3000));
    assert_int_equal(take(g, bad, GOSSIP_MESSAGE, NULL), 0);
    for (uint64_t now = 4000; now < 400000; now += 1000)
        gossip_tick(g, now);
    assert_true(gossip_accepts(g, bad, 400000)); /* in time it is forgiven */
    /* ignored: neither good nor bad; a forged one: bad */
    double before = gossip_score(g, bad, 400000);
    assert_true(offer_message(g, bad, 500, 10, GOSSIP_IGNORE, 400000));
    assert_true(gossip_score(g, bad, 400000) == before);
    gossip_forged(g, bad, TOPIC);
    assert_true(gossip_score(g, bad, 400000) < before);
    gossip_free(g);
}

static void test_deliveries(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    c.score.topic.delivery_weight = -1;
    c.score.topic.failure_weight = -1;
    c.score.topic.delivery_activation_ms = 5000;
    gossip_t *g = one(&c);
    gossip_peer_t *a = join(g, 1, GOSSIP_V1_1, true, 1000), *lazy = join(g, 2, GOSSIP_V1_1, true, 1000);
    gossip_peer_t *second = join(g, 3, GOSSIP_V1_1, true, 1000);
    gossip_hear_graft(g, a, TOPIC, 1000);
    gossip_hear_graft(g, lazy, TOPIC, 1000);
    gossip_hear_graft(g, second, TOPIC, 1000);
    uint64_t k = 0;
    for (uint64_t now = 2000; now <= 9000; now += 1000) {
        for (int i = 0; i < 5; i++, k++) {
            assert_true(offer_message(g, a, k, 10, GOSSIP_ACCEPT, now));
            for (int again = 0; again < 3; again++) /* in time, and counted once */
                assert_false(offer_message(g, second, k, 10, GOSSIP_ACCEPT, now + 5));
            assert_false(offer_message(g, lazy, k, 10, GOSSIP_ACCEPT, now + 50)); /* too late */
        }
        gossip_tick(g, now);
    }
    assert_true(gossip_score(g, a, 9000) > 0);
    assert_true(gossip_score(g, second, 9000) >= 0);
    assert_true(gossip_score(g, lazy, 9000) < 0);
    assert_false(gossip_in_mesh(g, lazy, TOPIC));
    assert_true(gossip_score(g, lazy, 9000) < 0); /* P3b: out of the mesh, it still counts */
    gossip_free(g);
}

static void test_addresses(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *peers[14];
    uint8_t ip[4] = {192, 0, 2, 1};
    for (size_t i = 0; i < 14; i++) {
        peer_id_t id = id_of(i + 1);
        peers[i] = gossip_connected(g, &id, GOSSIP_V1_1, false, bytes_of(ip, 4), 1000);
    }
    assert_true(gossip_score(g, peers[0], 1000) == -5.0 * 16);
    for (size_t i = 4; i < 14; i++)
        gossip_disconnected(g, peers[i], 1000);
    assert_true(gossip_score(g, peers[0], 1000) == 0);
    gossip_free(g);
}

static void test_promises(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    c.score.behaviour_threshold = 0;
    gossip_t *g = one(&c);
    gossip_peer_t *liar = join(g, 1, GOSSIP_V1_1, false, 1000), *other = join(g, 2, GOSSIP_V1_1, false, 1000);
    gossip_out_t out;
    for (uint64_t k = 0; k < 3; k++) {
        gossip_rpc_begin(g, liar, 1000);
        assert_true(gossip_hear_ihave(g, liar, TOPIC, 1000));
        gossip_hear_ihave_id(g, liar, bytes_of(&k, 8));
        gossip_rpc_end(g, liar, 1000);
    }
    assert_int_equal(take(g, liar, GOSSIP_IWANT, &out), 1);
    assert_int_equal(out.n_ids, 3);
    assert_true(offer_message(g, other, 1, 10, GOSSIP_ACCEPT, 2000)); /* whoever brings it */
    for (uint64_t now = 2000; now <= 3000; now += 1000)
        gossip_tick(g, now);
    assert_true(gossip_score(g, liar, 3500) >= 0);
    gossip_tick(g, 4000); /* two of three never came */
    double score = gossip_score(g, liar, 4000);
    assert_true(score < -10 && score > -100);
    /* floods of IHAVE: ten RPCs, 5000 ids per heartbeat */
    size_t taken = 0;
    for (uint64_t k = 0; k < 20; k++) {
        gossip_rpc_begin(g, other, 4000);
        if (gossip_hear_ihave(g, other, TOPIC, 4000))
            for (uint64_t i = 0; i < 1000; i++) {
                uint64_t id = 1000000 + k * 1000 + i;
                gossip_hear_ihave_id(g, other, bytes_of(&id, 8));
            }
        gossip_rpc_end(g, other, 4000);
    }
    while (gossip_next_out(g, other, &out))
        taken += out.kind == GOSSIP_IWANT ? out.n_ids : 0;
    assert_int_equal(taken, 5000);
    gossip_disconnected(g, other, 4000); /* with promises open */
    gossip_free(g);
}

static void test_iwant_and_idontwant(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *a = join(g, 1, GOSSIP_V1_2, false, 1000), *b = join(g, 2, GOSSIP_V1_2, false, 1000);
    gossip_peer_t *old = join(g, 3, GOSSIP_V1_1, false, 1000);
    gossip_hear_graft(g, a, TOPIC, 1000);
    gossip_hear_graft(g, b, TOPIC, 1000);
    gossip_hear_graft(g, old, TOPIC, 1000);
    gossip_out_t out;
    take(g, a, -1, NULL), take(g, b, -1, NULL), take(g, old, -1, NULL);
    uint64_t k = 1;
    assert_true(offer_message(g, a, k, 2000, GOSSIP_ACCEPT, 1000));
    assert_int_equal(take(g, a, GOSSIP_IDONTWANT, NULL), 0); /* it has it */
    assert_true(gossip_next_out(g, b, &out));
    assert_int_equal(out.kind, GOSSIP_IDONTWANT);
    gossip_rpc_begin(g, b, 1000); /* and b says the same: what was queued for it goes */
    gossip_hear_idontwant(g, b, bytes_of(&k, 8));
    gossip_rpc_end(g, b, 1000);
    assert_int_equal(take(g, b, GOSSIP_MESSAGE, NULL), 0);
    assert_int_equal(take(g, old, GOSSIP_IDONTWANT, NULL), 0);
    gossip_hear_iwant(g, b, bytes_of(&k, 8), 1000);
    assert_int_equal(take(g, b, GOSSIP_MESSAGE, NULL), 0);
    for (int i = 0; i < 5; i++)
        gossip_hear_iwant(g, old, bytes_of(&k, 8), 1000);
    assert_int_equal(take(g, old, GOSSIP_MESSAGE, NULL), 3); /* not more often */
    k = 2;
    assert_true(offer_message(g, a, k, 100, GOSSIP_ACCEPT, 1000)); /* too small to talk about */
    assert_int_equal(take(g, b, GOSSIP_IDONTWANT, NULL), 0);
    for (uint64_t now = 2000; now <= 5000; now += 1000)
        gossip_tick(g, now);
    k = 1;
    gossip_hear_iwant(g, b, bytes_of(&k, 8), 5000); /* what it did not want is forgotten … */
    assert_int_equal(take(g, b, GOSSIP_MESSAGE, NULL), 1);
    gossip_tick(g, 6000);
    gossip_hear_iwant(g, a, bytes_of(&k, 8), 6000); /* … and so is the message */
    assert_int_equal(take(g, a, GOSSIP_MESSAGE, NULL), 0);
    /* floods of IDONTWANT */
    gossip_rpc_begin(g, b, 6000);
    for (k = 10000; k < 20000; k++)
        gossip_hear_idontwant(g, b, bytes_of(&k, 8));
    gossip_free(g);
}

static void test_bounds(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    c.max_peers = 3;
    c.max_peer_topics = 100;
    c.max_foreign = 150;
    c.max_own_topics = 2;
    c.max_seen = 50;
    c.max_cache_bytes = 1000;
    c.max_queue_bytes = 300;
    c.max_live_bytes = 4000;
    gossip_t *g = one(&c);
    assert_ok(gossip_subscribe(g, BYTES_LIT("second"), 1000));
    assert_ok(gossip_subscribe(g, BYTES_LIT("second"), 1000));
    assert_err(gossip_subscribe(g, BYTES_LIT("third"), 1000), ERR_LIMIT);
    gossip_peer_t *p[3];
    for (size_t i = 0; i < 3; i++)
        p[i] = join(g, i + 1, GOSSIP_V1_1, false, 1000);
    peer_id_t id = id_of(9);
    assert_null(gossip_connected(g, &id, GOSSIP_V1_1, false, BYTES_NONE, 1000));
    gossip_stat_t stat;
    for (uint64_t k = 0; k < 1000; k++) /* a flood of topics that nobody has */
        gossip_hear_subscription(g, p[k % 2], bytes_of(&k, 8), true, 1000);
    gossip_stat(g, &stat);
    assert_int_equal(stat.foreign, 150);
    assert_int_equal(stat.topics, 152);
    gossip_hear_subscription(g, p[2], BYTES_LIT("second"), true, 1000); /* ours come through */
    gossip_disconnected(g, p[0], 1000);
    gossip_disconnected(g, p[1], 1000);
    gossip_stat(g, &stat);
    assert_int_equal(stat.foreign, 0);
    assert_int_equal(stat.topics, 2);
    /* messages */
    gossip_hear_graft(g, p[2], TOPIC, 1000);
    uint8_t content[200] = {0};
    for (uint64_t k = 0; k < 100; k++) {
        memcpy(content, &k, 8);
        gossip_message_t *m =
            gossip_message_new(g, TOPIC, bytes_of(content, 8), BYTES_NONE, bytes_of(content, 200));
        gossip_publish(g, m, 1000);
        gossip_message_release(m);
    }
    gossip_stat(g, &stat);
    assert_int_equal(stat.seen, 50);
    assert_true(stat.cached_bytes <= 1000);
    assert_true(stat.live_bytes <= 1400);
    assert_int_equal(stat.dropped, 99); /* one message fits into its queue */
    assert_false(gossip_arrived(g, p[2], TOPIC, BYTES_LIT("new"), 4000, 1000));
    /* sub and unsub again and again costs a slow peer's queue nothing */
    for (int i = 0; i < 1000; i++) {
        gossip_unsubscribe(g, TOPIC, 1000);
        assert_ok(gossip_subscribe(g, TOPIC, 1000));
    }
    gossip_out_t out;
    size_t n = 0;
    while (gossip_next_out(g, p[2], &out))
        n++;
    assert_true(n < 10);
    gossip_free(g);
}

static void test_restart(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *p = join(g, 1, GOSSIP_V1_1, false, 1000);
    assert_ptr_equal(gossip_connected(g, gossip_peer_id(p), GOSSIP_V1_1, false, BYTES_NONE, 1000), p);
    gossip_hear_graft(g, p, TOPIC, 1000);
    take(g, p, -1, NULL);
    gossip_restart(g, p);
    gossip_out_t out;
    assert_true(gossip_next_out(g, p, &out));
    assert_int_equal(out.kind, GOSSIP_SUBSCRIBE);
    assert_bytes(out.topic, TOPIC);
    assert_true(gossip_next_out(g, p, &out));
    assert_int_equal(out.kind, GOSSIP_GRAFT);
    assert_false(gossip_next_out(g, p, &out));
    gossip_free(g);
}

static void test_copies_while_checking(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *p[3];
    for (size_t i = 0; i < 3; i++) {
        p[i] = join(g, i + 1, GOSSIP_V1_1, false, 1000);
        gossip_hear_graft(g, p[i], TOPIC, 1000);
        take(g, p[i], -1, NULL);
    }
    bytes_t id = BYTES_LIT("message1");
    assert_true(gossip_arrived(g, p[0], TOPIC, id, 8, 1000));
    assert_true(gossip_checking(g, p[0], TOPIC, id, 8, 1000));
    assert_false(gossip_arrived(g, p[1], TOPIC, id, 8, 1000));
    assert_false(gossip_checking(g, p[1], TOPIC, id, 8, 1000));
    gossip_message_t *m = gossip_message_new(g, TOPIC, id, BYTES_NONE, id);
    gossip_checked(g, id, GOSSIP_ACCEPT, m, 1500);
    gossip_message_release(m);
    assert_int_equal(take(g, p[0], GOSSIP_MESSAGE, NULL), 0); /* not to those who brought it */
    assert_int_equal(take(g, p[1], GOSSIP_MESSAGE, NULL), 0);
    assert_int_equal(take(g, p[2], GOSSIP_MESSAGE, NULL), 1);
    /* a bad one is everybody's fault who sent it on, also of who left meanwhile */
    id = BYTES_LIT("message2");
    assert_true(gossip_checking(g, p[0], TOPIC, id, 8, 1000));
    assert_false(gossip_arrived(g, p[1], TOPIC, id, 8, 1000));
    gossip_disconnected(g, p[0], 1000);
    gossip_checked(g, id, GOSSIP_REJECT, NULL, 1500);
    assert_true(gossip_score(g, p[1], 1500) < -5);
    /* its time is over before the verdict */
    id = BYTES_LIT("message3");
    assert_true(gossip_checking(g, p[1], TOPIC, id, 8, 1000));
    for (uint64_t now = 2000; now < 200000; now += 1000)
        gossip_tick(g, now);
    gossip_unsubscribe(g, TOPIC, 200000);
    gossip_checked(g, id, GOSSIP_IGNORE, NULL, 200000);
    gossip_free(g);
}

static void test_seen_strategies(void **state)
{
    for (int by_first = 0; by_first < 2; by_first++) {
        gossip_config_t c;
        gossip_config_default(&c);
        c.seen_by_first = by_first;
        gossip_t *g = one(&c);
        gossip_peer_t *p = join(g, 1, GOSSIP_V1_1, false, 1000);
        assert_true(offer_message(g, p, 1, 10, GOSSIP_ACCEPT, 1000));
        gossip_tick(g, 100000);
        assert_false(offer_message(g, p, 1, 10, GOSSIP_ACCEPT, 100000));
        gossip_tick(g, 130000);
        assert_int_equal(offer_message(g, p, 1, 10, GOSSIP_ACCEPT, 130000), by_first);
        gossip_free(g);
    }
}

static bool count_peer(void *arg, gossip_peer_t *p)
{
    return ++*(size_t *)arg < 2;
}

static void test_listing(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    size_t n = 0;
    gossip_each_peer(g, TOPIC, count_peer, &n);
    assert_int_equal(n, 0);
    for (size_t i = 1; i < 5; i++)
        join(g, i, GOSSIP_V1_1, false, 1000);
    gossip_each_peer(g, TOPIC, count_peer, &n);
    assert_int_equal(n, 2);
    n = 0;
    gossip_each_peer(g, BYTES_NONE, count_peer, &n);
    assert_int_equal(n, 2);
    gossip_each_peer(g, BYTES_LIT("none"), count_peer, &n);
    assert_int_equal(n, 2);
    assert_true(gossip_is_subscribed(g, TOPIC));
    assert_false(gossip_is_subscribed(g, BYTES_LIT("none")));
    gossip_unsubscribe(g, BYTES_LIT("none"), 1000);
    gossip_free(g);
    gossip_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh_forms),
        cmocka_unit_test(test_large_network),
        cmocka_unit_test(test_gossip_repairs),
        cmocka_unit_test(test_mixed_versions),
        cmocka_unit_test(test_fanout_and_leaving),
        cmocka_unit_test(test_graft_and_backoff),
        cmocka_unit_test(test_full_mesh_and_offers),
        cmocka_unit_test(test_outbound_quota),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_deliveries),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_promises),
        cmocka_unit_test(test_iwant_and_idontwant),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_copies_while_checking),
        cmocka_unit_test(test_seen_strategies),
        cmocka_unit_test(test_listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
