/* What a mesh turns on in the planner, on one node: zones, room, patience, the budget of repair, searches,
 * audits, deletion. */
#include "logic/replica_planner.h"
#include "tests/support/test.h"

#define HOUR_MS UINT64_C(3600000)
#define MIB (UINT64_C(1) << 20)

typedef struct bench {
    replica_planner_t *p;
    uint64_t now_ms;
    size_t n_offers, n_finds, n_audits, n_drops; /* since the last look */
    plan_action_t offers[8], find, audit;
} bench_t;

static cid_t root_of(uint8_t n)
{
    uint8_t digest[32] = {n, 1};
    return cid_of_sha256(1, CODEC_DAG_CBOR, digest);
}

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, n}};
}

static replica_plan_config_t mesh_config(void)
{
    replica_plan_config_t c;
    replica_plan_config_mesh(&c);
    c.self = peer_of(0);
    c.is_judged_outside = true;
    return c;
}

static bench_t make(const replica_plan_config_t *c)
{
    return (bench_t){.p = replica_planner_new(c), .now_ms = 1000000};
}

/* Everything until then; the actions are counted anew. */
static void run(bench_t *b, uint64_t ms)
{
    uint64_t until_ms = b->now_ms + ms;
    b->n_offers = b->n_finds = b->n_audits = b->n_drops = 0;
    for (;;) {
        plan_action_t a;
        while (replica_planner_next(b->p, &a)) {
            if (a.kind == PLAN_OFFER)
                b->offers[b->n_offers++ % 8] = a;
            else if (a.kind == PLAN_FIND && ++b->n_finds)
                b->find = a;
            else if (a.kind == PLAN_AUDIT && ++b->n_audits)
                b->audit = a;
            b->n_drops += a.kind == PLAN_DROP;
        }
        if (replica_planner_deadline_ms(b->p) > until_ms)
            break;
        if (replica_planner_deadline_ms(b->p) > b->now_ms)
            b->now_ms = replica_planner_deadline_ms(b->p);
        replica_planner_tick(b->p, b->now_ms);
    }
    b->now_ms = until_ms;
}

/* The root is held here and by peers 1 to n; size in bytes. */
static void hold(bench_t *b, uint8_t root, uint8_t n, uint32_t target, uint64_t size)
{
    plan_head_t head = {
        .root = root_of(root), .owner = peer_of(99), .version = 1, .target = target, .size_bytes = size};
    plan_entry_t entries[8] = {{peer_of(0), 1, PLAN_HOLDS, 0, BYTES_NONE}};
    for (uint8_t i = 1; i <= n; i++)
        entries[i] = (plan_entry_t){peer_of(i), 1, PLAN_HOLDS, 0, BYTES_NONE};
    assert_true(replica_planner_merge(b->p, &head, entries, n + 1u, true, true, b->now_ms));
}

static void judge(bench_t *b, uint8_t peer, bool is_alive)
{
    peer_id_t id = peer_of(peer);
    replica_planner_judged(b->p, &id, is_alive, b->now_ms);
}

static void candidate(bench_t *b, uint8_t peer, uint64_t free_bytes, uint64_t zone)
{
    peer_id_t id = peer_of(peer);
    replica_planner_candidate(b->p, &id, true, b->now_ms);
    replica_planner_status(b->p, &id, &(placement_peer_t){.free_bytes = free_bytes, .zone = zone});
}

static void answer(bench_t *b, const plan_action_t *offer, plan_answer_t how)
{
    replica_planner_offered(b->p, &offer->root, &offer->peer, how, b->now_ms);
}

static void free_bench(bench_t *b)
{
    replica_planner_free(b->p);
}

/* Peer 1 is in zone 7, as most candidates; the one of another zone is asked, the full one never. */
static void test_zones(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    for (uint8_t other = 10; other < 20; other++) {
        bench_t b = make(&c);
        hold(&b, other, 1, 3, MIB);
        peer_id_t holder = peer_of(1), self = peer_of(0);
        replica_planner_status(b.p, &holder, &(placement_peer_t){.free_bytes = 0, .zone = 7});
        replica_planner_status(b.p, &self, &(placement_peer_t){.free_bytes = 0, .zone = 7});
        for (uint8_t i = 10; i < 20; i++)
            candidate(&b, i, 1024 * MIB, i == other ? 8 : 7);
        candidate(&b, 20, MIB - 1, 9); /* no room */
        run(&b, 40000);                /* before the offer times out */
        assert_int_equal(b.n_offers, 1);
        assert_int_equal(b.offers[0].peer.data[2], other);
        size_t others, fitting;
        replica_planner_room(b.p, replica_planner_root(b.p, &b.offers[0].root), &others, &fitting);
        assert_int_equal(others, 11);
        assert_int_equal(fitting, 10);
        free_bench(&b);
    }
}

static void test_patience(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    bench_t b = make(&c);
    hold(&b, 1, 2, 3, MIB);
    candidate(&b, 10, 1024 * MIB, 0);
    run(&b, 60000);
    assert_int_equal(b.n_offers, 0);
    for (int i = 0; i < 4; i++) { /* it comes and goes, two hours each time */
        judge(&b, 1, false);
        run(&b, 1000);
        b.now_ms += 2 * HOUR_MS;
        judge(&b, 1, true);
        run(&b, 0);
    }
    run(&b, 60000);
    candidate(&b, 10, 1024 * MIB, 0);
    assert_int_equal(replica_planner_stat(b.p).returns, 4);
    assert_in_range(replica_planner_stat(b.p).usual_away_ms, 2 * HOUR_MS, 2 * HOUR_MS + 2000);
    cid_t root = root_of(1);
    judge(&b, 1, false);
    run(&b, 5 * HOUR_MS);
    assert_int_equal(b.n_offers + b.n_finds, 0);
    assert_int_equal(plan_root_away(b.p, replica_planner_root(b.p, &root)), 1);
    judge(&b, 1, true); /* used again */
    run(&b, HOUR_MS);
    assert_int_equal(b.n_offers + b.n_finds, 0);
    judge(&b, 1, false);
    run(&b, 9 * HOUR_MS); /* longer than three times what is usual */
    assert_true(b.n_finds > 0);
    assert_int_equal(plan_root_away(b.p, replica_planner_root(b.p, &root)), 0);
    candidate(&b, 10, 1024 * MIB, 0);
    run(&b, 20000);
    assert_int_equal(b.n_offers, 1);
    free_bench(&b);
}

/* One that never came back has no credit; and a single copy is not left alone for long. */
static void test_no_credit(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    bench_t b = make(&c);
    hold(&b, 1, 2, 3, MIB);
    candidate(&b, 10, 1024 * MIB, 0);
    judge(&b, 1, false);
    run(&b, 40000);
    assert_int_equal(b.n_offers, 1);
    free_bench(&b);
    c.usual_away_ms = 2 * HOUR_MS; /* as learnt in an earlier run */
    b = make(&c);
    hold(&b, 1, 2, 3, MIB);
    judge(&b, 1, false);
    judge(&b, 2, false);
    run(&b, 2 * HOUR_MS - 60000);
    assert_int_equal(b.n_offers + b.n_finds, 0);
    run(&b, 3 * 60000);
    assert_true(b.n_finds > 0);
    candidate(&b, 10, 1024 * MIB, 0);
    candidate(&b, 11, 1024 * MIB, 0);
    run(&b, 20000);
    assert_int_equal(b.n_offers, 1); /* two are enough for now */
    free_bench(&b);
}

/* 8 MiB a second: of many roots that lost copies, those with the fewest go first. */
static void test_budget(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    c.fallback_ms = 0;
    bench_t b = make(&c);
    for (uint8_t i = 0; i < 6; i++)
        hold(&b, i, 2, 3, 80 * MIB);
    hold(&b, 6, 0, 2, 80 * MIB); /* one copy alone: this is found last, and goes before those that wait */
    for (uint8_t i = 10; i < 30; i++)
        candidate(&b, i, 100 * 1024 * MIB, 0);
    judge(&b, 1, false);
    run(&b, 16000);
    assert_int_equal(b.n_offers, 1);
    answer(&b, &b.offers[0], PLAN_ACCEPTED);
    uint8_t first = b.offers[0].root.digest[0];
    assert_int_equal(replica_planner_stat(b.p).heals_waiting, 6);
    run(&b, 10000);
    assert_int_equal(b.n_offers, 1);
    assert_true(first == 6 || b.offers[0].root.digest[0] == 6);
    answer(&b, &b.offers[0], PLAN_REFUSED); /* the next one need not wait for it */
    run(&b, 100);
    assert_int_equal(b.n_offers, 1);
    answer(&b, &b.offers[0], PLAN_ACCEPTED);
    run(&b, 25000);
    assert_int_equal(b.n_offers, 2);
    assert_int_equal(replica_planner_stat(b.p).heals, 2);
    assert_true(replica_planner_stat(b.p).healed_bytes == 160 * MIB);
    /* what is taken for others has the same bound, a minute ahead */
    uint64_t taken = 0;
    while (replica_planner_may_take(b.p, 8 * MIB, b.now_ms))
        taken += 8 * MIB;
    assert_in_range(taken, 60 * 8 * MIB, 62 * 8 * MIB);
    assert_true(replica_planner_may_take(b.p, 8 * MIB, b.now_ms + 2000));
    /* a user does not wait */
    cid_t root = root_of(60);
    assert_ok(replica_planner_pin(b.p, &root, 3, 800 * MIB, 0, b.now_ms));
    run(&b, 0);
    assert_int_equal(b.n_offers, 2);
    free_bench(&b);
}

static void test_find(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    bench_t b = make(&c);
    hold(&b, 1, 1, 3, MIB);
    run(&b, 40000);
    assert_int_equal(b.n_finds, 1);
    assert_int_equal(b.find.n_wanted, 16);
    run(&b, 30000);
    assert_int_equal(b.n_finds, 1);
    assert_int_equal(b.find.n_wanted, 32);
    candidate(&b, 10, 1024 * MIB, 0);
    run(&b, 100);
    assert_int_equal(b.n_offers, 1);
    answer(&b, &b.offers[0], PLAN_ACCEPTED);
    candidate(&b, 11, 1024 * MIB, 0);
    run(&b,
        1000000); /* candidates are forgotten after ten minutes; nobody came: asked again, and looked for */
    assert_true(b.n_finds > 5);
    assert_false(replica_planner_is_alive(b.p, &(peer_id_t){.len = 1}, b.now_ms));
    free_bench(&b);
}

/* Who was found without its copy and says that it has it accepts each time, and nothing comes of it: others
 * are asked first, and it again only after a while. */
static void test_denied(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    c.audit_period_ms = 0;
    bench_t b = make(&c);
    cid_t root = root_of(1);
    peer_id_t liar = peer_of(1), honest = peer_of(10);
    hold(&b, 1, 2, 3, MIB);
    candidate(&b, 1, 1024 * MIB, 0);
    candidate(&b, 10, 1024 * MIB, 0);
    replica_planner_verified(b.p, &root, &liar, false, b.now_ms);
    run(&b, 40000);
    assert_int_equal(b.n_offers, 1);
    assert_true(peer_id_equal(&b.offers[0].peer, &honest));
    answer(&b, &b.offers[0], PLAN_REFUSED);
    run(&b, 100);
    assert_int_equal(b.n_offers, 1);
    assert_true(peer_id_equal(&b.offers[0].peer, &liar));
    answer(&b, &b.offers[0], PLAN_ACCEPTED);
    run(&b, 61000); /* nothing comes of the liar's word, then the honest one is asked again, once */
    assert_int_equal(b.n_offers, 1);
    assert_true(peer_id_equal(&b.offers[0].peer, &honest));
    free_bench(&b);
}

/* Peers that have left do not push each other out of a full record. */
static void test_full_record(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    c.max_holders = 4;
    bench_t b = make(&c);
    hold(&b, 1, 1, 2, MIB);
    plan_head_t head = {.root = root_of(1), .owner = peer_of(99), .version = 1, .target = 2};
    plan_entry_t left[4];
    for (uint8_t i = 0; i < 4; i++)
        left[i] = (plan_entry_t){peer_of(20 + i), 1, PLAN_LEFT, 0, BYTES_NONE};
    assert_true(replica_planner_merge(b.p, &head, left, 4, false, false, b.now_ms));
    for (int rounds = 0; rounds < 3; rounds++) /* told again, there is nothing to save and to tell on */
        assert_false(replica_planner_merge(b.p, &head, left, 4, false, false, b.now_ms));
    plan_entry_t comes = {peer_of(30), 1, PLAN_HOLDS, 0, BYTES_NONE};
    assert_true(replica_planner_merge(b.p, &head, &comes, 1, false, false, b.now_ms));
    assert_int_equal(plan_root_live(b.p, replica_planner_root(b.p, &head.root)), 3);
    free_bench(&b);
}

static void test_audits(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    bench_t b = make(&c);
    hold(&b, 1, 2, 3, MIB);
    run(&b, 121000);
    assert_int_equal(b.n_audits, 2); /* each once, soon */
    size_t n = 0;
    for (int i = 0; i < 20 * 24 * 12;
         i++) { /* then each every two days by us: somebody else does so between */
        run(&b, 300000);
        for (; b.n_audits; b.n_audits--, n++)
            for (uint8_t peer = 1; peer <= 2; peer++) {
                peer_id_t id = peer_of(peer);
                replica_planner_audited(b.p, &b.audit.root, &id, PLAN_AUDIT_PASSED, b.now_ms);
            }
    }
    assert_in_range(n, 10, 40);
    cid_t root = root_of(1);
    peer_id_t bad = peer_of(2), mute = peer_of(1);
    assert_true(plan_root_verified_ms(replica_planner_root(b.p, &root), &bad) > 0);
    replica_planner_audited(b.p, &root, &mute, PLAN_AUDIT_NO_ANSWER, b.now_ms);
    run(&b, 119000);
    assert_int_equal(b.n_audits, 0);
    run(&b, 2000);
    assert_true(b.n_audits == 1 && peer_id_equal(&b.audit.peer, &mute));
    replica_planner_audited(b.p, &root, &mute, PLAN_AUDIT_PASSED, b.now_ms);
    replica_planner_audited(b.p, &root, &bad, PLAN_AUDIT_FAILED, b.now_ms);
    assert_int_equal(plan_root_live(b.p, replica_planner_root(b.p, &root)), 2);
    candidate(&b, 10, 1024 * MIB, 0);
    run(&b, 40000);
    assert_int_equal(b.n_offers, 1); /* healed */
    run(&b, 900000);
    assert_true(b.n_audits > 0); /* has it fetched it again? */
    replica_planner_audited(b.p, &root, &bad, PLAN_AUDIT_PASSED, b.now_ms);
    assert_int_equal(plan_root_live(b.p, replica_planner_root(b.p, &root)), 3);
    assert_int_equal(replica_planner_stat(b.p).audits_failed, 1);
    free_bench(&b);
}

/* Many holders of many roots are not all audited at the same moment. */
static void test_audit_rate(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    c.audits_per_minute = 6;
    bench_t b = make(&c);
    for (uint8_t i = 0; i < 50; i++)
        hold(&b, i, 2, 3, MIB);
    run(&b, 60000);
    for (int i = 0; i < 8; i++) {
        run(&b, 60000);
        assert_in_range(b.n_audits, 3, 7);
    }
    free_bench(&b);
}

static void test_deleted(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    tombstones_t *dead = tombstones_new(10);
    c.deleted = dead;
    bench_t b = make(&c);
    hold(&b, 1, 2, 3, MIB);
    hold(&b, 2, 0, 1, MIB);
    run(&b, 0);
    cid_t root = root_of(1);
    kad_key_t key = tombstone_key(&root);
    bool is_new;
    assert_ok(tombstones_add(dead, &key, &is_new));
    replica_planner_deleted(b.p, &root, b.now_ms);
    run(&b, 0);
    assert_int_equal(b.n_drops, 1);
    assert_null(replica_planner_root(b.p, &root));
    plan_head_t head = {.root = root, .owner = peer_of(1), .version = 9, .target = 3};
    plan_entry_t entry = {peer_of(1), 5, PLAN_HOLDS, 0, BYTES_NONE};
    assert_false(replica_planner_merge(b.p, &head, &entry, 1, true, true, b.now_ms));
    head.root.codec = CODEC_RAW; /* the same block under another name */
    assert_false(replica_planner_merge(b.p, &head, &entry, 1, true, true, b.now_ms));
    assert_err(replica_planner_pin(b.p, &root, 3, 1, 1, b.now_ms), ERR_DENIED);
    replica_planner_deleted(b.p, &root, b.now_ms);
    run(&b, HOUR_MS);
    assert_int_equal(b.n_offers + b.n_drops, 0);
    assert_int_equal(replica_planner_count(b.p), 1);
    free_bench(&b);
    tombstones_free(dead);
}

/* A laptop that slept for a night has not lost everybody; with its own detectors. */
static void test_sleep(void **state)
{
    (void)state;
    replica_plan_config_t c = mesh_config();
    c.is_judged_outside = false;
    bench_t b = make(&c);
    hold(&b, 1, 2, 3, MIB);
    peer_id_t first = peer_of(1), second = peer_of(2);
    candidate(&b, 10, 1024 * MIB, 0);
    for (int i = 0; i < 20; i++) {
        run(&b, 5000);
        replica_planner_heard(b.p, &first, b.now_ms);
        replica_planner_heard(b.p, &second, b.now_ms);
    }
    assert_true(replica_planner_phi(b.p, &first, b.now_ms) < 1);
    b.now_ms += 8 * HOUR_MS;
    replica_planner_tick(b.p, b.now_ms);
    run(&b, 5000);
    assert_true(replica_planner_is_alive(b.p, &first, b.now_ms));
    replica_planner_heard(b.p, &first, b.now_ms);
    for (int i = 0; i < 12; i++) { /* the second one did not wake up */
        run(&b, 5000);
        replica_planner_heard(b.p, &first, b.now_ms);
    }
    assert_true(replica_planner_is_alive(b.p, &first, b.now_ms));
    assert_false(replica_planner_is_alive(b.p, &second, b.now_ms));
    assert_true(replica_planner_phi(b.p, &second, b.now_ms) > 8);
    free_bench(&b);
}

/* What others say of absences is bounded, the least of it counts, and what is seen here counts more. */
static void test_hearsay(void **state)
{
    (void)state;
    replica_plan_config_t c;
    replica_plan_config_mesh(&c);
    c.self = peer_of(0);
    replica_planner_t *p = replica_planner_new(&c);
    replica_planner_usual_away(p, UINT64_MAX);
    assert_int_equal(replica_planner_stat(p).usual_away_ms, 6 * HOUR_MS);
    replica_planner_usual_away(p, HOUR_MS);
    assert_int_equal(replica_planner_stat(p).usual_away_ms, HOUR_MS);
    replica_planner_usual_away(p, 0);
    replica_planner_usual_away(p, 3 * HOUR_MS);
    assert_int_equal(replica_planner_stat(p).usual_away_ms, HOUR_MS);
    replica_planner_free(p);
    c.usual_away_ms = 2 * HOUR_MS; /* as learnt in an earlier run */
    p = replica_planner_new(&c);
    replica_planner_usual_away(p, HOUR_MS);
    assert_int_equal(replica_planner_stat(p).usual_away_ms, 2 * HOUR_MS);
    replica_planner_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_zones),    cmocka_unit_test(test_hearsay),
                                       cmocka_unit_test(test_patience), cmocka_unit_test(test_no_credit),
                                       cmocka_unit_test(test_budget),   cmocka_unit_test(test_find),
                                       cmocka_unit_test(test_audits),   cmocka_unit_test(test_audit_rate),
                                       cmocka_unit_test(test_deleted),  cmocka_unit_test(test_sleep),
                                       cmocka_unit_test(test_denied),   cmocka_unit_test(test_full_record)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
