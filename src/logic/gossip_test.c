/* One engine, told what its peers say. */
#include "logic/gossip.h"
#include "tests/support/test.h"
#include <time.h>

#define TOPIC BYTES_LIT("topic")

static peer_id_t id_of(size_t i)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, (uint8_t)i, (uint8_t)(i >> 8)}};
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

/* What we say ourselves goes to all who follow the topic and are worth it, what others say to the mesh alone.
 */
static void test_flood_publishing(void **state)
{
    enum { PEERS = 20, BAD = 3 };
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *p[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        p[i] = join(g, i + 1, GOSSIP_V1_1, false, 1000);
        gossip_hear_subscription(g, p[i], TOPIC, true, 1000);
    }
    gossip_set_app_score(p[BAD], c.score.publish_threshold - 1);
    gossip_tick(g, 3000);
    size_t in_mesh = gossip_mesh_size(g, TOPIC), n[2] = {0};
    assert_in_range(in_mesh, c.d_low, c.d);
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        gossip_message_t *m =
            gossip_message_new(g, TOPIC, BYTES_LIT("ours"), BYTES_NONE, BYTES_LIT("content"));
        if (is_ours)
            assert_int_equal(gossip_publish(g, m, 3000), PEERS - 1);
        else
            assert_true(offer_message(g, p[BAD], 7, 100, GOSSIP_ACCEPT, 3000));
        gossip_message_release(m);
        for (size_t i = 0; i < PEERS; i++)
            n[is_ours] += take(g, p[i], GOSSIP_MESSAGE, NULL);
    }
    assert_int_equal(n[0], in_mesh);
    assert_int_equal(n[1], PEERS - 1);
    gossip_free(g);
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

/* Ids that cost the peer a few bytes must not cost a walk through its queue each. */
static void test_many_idontwant(void **state)
{
    enum { MESSAGES = 10000, IDS = 20000 };
    gossip_config_t c;
    gossip_config_default(&c);
    gossip_t *g = one(&c);
    gossip_peer_t *a = join(g, 1, GOSSIP_V1_2, false, 1000), *b = join(g, 2, GOSSIP_V1_2, false, 1000);
    gossip_hear_graft(g, a, TOPIC, 1000);
    gossip_hear_graft(g, b, TOPIC, 1000);
    uint64_t k, unknown = UINT64_MAX;
    for (k = 0; k < MESSAGES; k++)
        assert_true(offer_message(g, a, k, 100, GOSSIP_ACCEPT, 1000));
    clock_t from = clock();
    gossip_rpc_begin(g, b, 1000);
    for (k = 0; k < 10; k++)
        gossip_hear_idontwant(g, b, bytes_of(&k, 8));
    for (size_t i = 0; i < IDS; i++)
        gossip_hear_idontwant(g, b, bytes_of(&unknown, 8));
    gossip_rpc_end(g, b, 1000);
    assert_true(clock() - from < CLOCKS_PER_SEC);
    assert_int_equal(take(g, b, GOSSIP_MESSAGE, NULL), MESSAGES - 10);
    gossip_free(g);
}

/* Where its budget ends messages are dropped and ids forgotten; all of it is given back. */
static void test_budget(void **state)
{
    limit_t limit;
    limit_init(&limit, "pubsub", NULL, 6000);
    gossip_config_t c;
    gossip_config_default(&c);
    c.limit = &limit;
    gossip_t *g = one(&c);
    gossip_peer_t *p = join(g, 1, GOSSIP_V1_1, false, 1000);
    gossip_stat_t stat;
    size_t n_made = 0;
    for (uint64_t k = 0; k < 100; k++) {
        gossip_message_t *m = gossip_message_new(g, TOPIC, bytes_of(&k, 8), BYTES_NONE, BYTES_LIT("content"));
        n_made += m != NULL;
        if (m)
            gossip_publish(g, m, 1000);
        gossip_message_release(m);
    }
    gossip_stat(g, &stat);
    assert_in_range(n_made, 3, 30);
    assert_int_equal(stat.dropped, 100 - n_made);
    assert_in_range(limit.used, 3000, 6000);
    assert_false(gossip_arrived(g, p, TOPIC, BYTES_LIT("new"), 4000, 1000));
    for (uint64_t k = 0; k < 1000; k++)
        gossip_hear_subscription(g, p, bytes_of(&k, 8), true, 1000);
    gossip_stat(g, &stat);
    assert_in_range(stat.foreign, 0, 20);
    uint64_t now_ms = 1000;
    for (uint64_t k = 1000; k < 1200; k++) { /* new ids are still told from old ones, if not for as long */
        gossip_tick(g, now_ms += 1000);
        if (gossip_arrived(g, p, TOPIC, bytes_of(&k, 8), 100, now_ms)) {
            assert_true(gossip_checking(g, p, TOPIC, bytes_of(&k, 8), 100, now_ms));
            assert_false(gossip_arrived(g, p, TOPIC, bytes_of(&k, 8), 100, now_ms));
        }
        assert_true(limit.used <= 6000);
    }
    gossip_free(g);
    limit_deinit(&limit); /* asserts */
}

/* Ids that a peer names, or makes us ask for and does not read: few for each, and all of them charged. */
static void test_budget_of_ids(void **state)
{
    enum { PEERS = 5, IDS = 4000, PER_PEER = 100 << 10 };
    limit_t limit;
    limit_init(&limit, "pubsub", NULL, 64 << 20);
    gossip_config_t c;
    gossip_config_default(&c);
    c.limit = &limit;
    c.max_id_bytes = PER_PEER;
    gossip_t *g = one(&c);
    gossip_peer_t *p[PEERS];
    uint8_t id[GOSSIP_ID_MAX_BYTES] = {0};
    for (size_t i = 0; i < PEERS; i++)
        p[i] = join(g, i + 1, GOSSIP_V1_2, false, 1000);
    uint64_t before = limit.used;
    for (size_t i = 0; i < PEERS; i++) {
        gossip_rpc_begin(g, p[i], 1000);
        for (uint32_t k = 0; k < IDS; k++) {
            memcpy(id, &k, sizeof k);
            gossip_hear_idontwant(g, p[i], bytes_of(id, sizeof id));
            if (gossip_hear_ihave(g, p[i], TOPIC, 1000))
                gossip_hear_ihave_id(g, p[i], bytes_of(id, sizeof id));
        }
        gossip_rpc_end(g, p[i], 1000);
    }
    assert_in_range(limit.used - before, PEERS * PER_PEER, 2 * PEERS * PER_PEER);
    gossip_out_t *out = xcalloc(1, sizeof *out); /* what is asked for all the same: the first ones */
    while (gossip_next_out(g, p[0], out) && out->kind != GOSSIP_IWANT)
        ;
    assert_int_equal(out->kind, GOSSIP_IWANT);
    assert_in_range(out->n_ids, 300, 1000);
    free(out);
    gossip_disconnected(g, p[1], 1000);
    for (uint64_t now_ms = 2000; now_ms < 8000; now_ms += 1000)
        gossip_tick(g, now_ms); /* what is not wanted is forgotten soon */
    assert_true(limit.used - before <= PEERS * PER_PEER);
    gossip_free(g);
    limit_deinit(&limit); /* asserts */
}

static bool is_there(void *arg, gossip_peer_t *p)
{
    *(size_t *)arg += 1;
    return true;
}

/* A few that follow thousands of topics leave the others their place. */
static void test_fair_topics(void **state)
{
    gossip_config_t c;
    gossip_config_default(&c);
    c.max_peer_topics = 100;
    c.max_foreign = 150;
    gossip_t *g = one(&c);
    gossip_peer_t *greedy[2] = {join(g, 1, GOSSIP_V1_1, false, 1000), join(g, 2, GOSSIP_V1_1, false, 1000)};
    for (uint64_t k = 0; k < 1000; k++)
        gossip_hear_subscription(g, greedy[k % 2], bytes_of(&k, 8), true, 1000);
    gossip_peer_t *late = join(g, 3, GOSSIP_V1_1, false, 1000);
    gossip_hear_subscription(g, late, BYTES_LIT("theirs"), true, 1000);
    for (uint64_t k = 2000; k < 3000; k++) /* nor is it crowded out again */
        gossip_hear_subscription(g, greedy[k % 2], bytes_of(&k, 8), true, 1000);
    gossip_stat_t stat;
    gossip_stat(g, &stat);
    assert_int_equal(stat.foreign, 150);
    size_t n = 0;
    gossip_each_peer(g, BYTES_LIT("theirs"), is_there, &n);
    assert_int_equal(n, 1);
    assert_ok(gossip_subscribe(g, BYTES_LIT("theirs"), 2000));
    assert_int_equal(gossip_mesh_size(g, BYTES_LIT("theirs")), 1);
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
        cmocka_unit_test(test_graft_and_backoff), cmocka_unit_test(test_full_mesh_and_offers),
        cmocka_unit_test(test_outbound_quota),    cmocka_unit_test(test_scores),
        cmocka_unit_test(test_deliveries),        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_promises),          cmocka_unit_test(test_iwant_and_idontwant),
        cmocka_unit_test(test_many_idontwant),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_flood_publishing),  cmocka_unit_test(test_budget),
        cmocka_unit_test(test_budget_of_ids),     cmocka_unit_test(test_fair_topics),
        cmocka_unit_test(test_restart),           cmocka_unit_test(test_copies_while_checking),
        cmocka_unit_test(test_seen_strategies),   cmocka_unit_test(test_listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
