/* A node that fetches loses power: what a pin acknowledged is all there, what it said it holds for another
 * too, and a fetch that was cut goes on. */
#include "dag/importer.h"
#include "node/node.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define REPO "/tmp/repo"
enum { FILE_BYTES = 4000000, LEAVES = 16, TAKER_LIFE_MS = 600000 };

typedef struct life {
    struct world *world;
    bool is_online;
    size_t crash_at_block; /* 0: when the pin is acknowledged */
    size_t seen;           /* blocks that the pin's walk passed */
    err_t found, pinned;   /* the pin as it was when this life began; what pinning gave */
    bool is_over;
    event_t over;
} life_t;
typedef struct world {
    sim_host_t *giver_host, *taker_host;
    node_t *giver;
    cid_t root;
} world_t;

/* ── the giver ───────────────────────────────────────────────────────────────────────────────── */
static err_t read_content(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t *at = arg, n = FILE_BYTES - *at < cap ? FILE_BYTES - *at : cap;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(((*at + i) * 0x9e3779b97f4a7c15u) >> 50);
    *at += n;
    *ret_n = n;
    return OK;
}

static node_t *open_node(task_t *t, const char *listen, bool is_online)
{
    node_options_t o = {.repo_path = REPO, .listen = &listen, .n_listen = 1, .no_bootstrap = true};
    node_t *n;
    if (repo_check(t, REPO) == ERR_NOT_FOUND)
        assert_ok(repo_init(t, REPO, "test", NULL));
    assert_ok(node_open(t, &o, &n));
    if (is_online)
        assert_ok(node_go_online(t, n, &o));
    return n;
}

static void start_giver(task_t *t, world_t *w)
{
    import_options_t options;
    importer_t *im;
    dag_ref_t ref;
    size_t at = 0;
    w->giver = open_node(t, "/ip4/10.0.0.1/tcp/4001", true);
    import_options_init(&options);
    assert_ok(importer_new(t, node_local_blocks(w->giver), &options, &im));
    assert_ok(importer_add_file(t, im, (source_t){read_content, &at}, NULL, &ref));
    assert_ok(importer_flush(t, im));
    importer_free(t, im);
    w->root = ref.cid;
}

/* ── the taker ───────────────────────────────────────────────────────────────────────────────── */
static void on_block(void *arg, const cid_t *cid, uint64_t size_bytes)
{
    life_t *l = arg;
    if (++l->seen == l->crash_at_block)
        sim_crash(l->world->taker_host, SIM_POWER_LOSS);
}

static void pin(task_t *t, life_t *l, node_t *n)
{
    pins_t *pins = repo_pins(node_repo(n));
    pin_t pin;
    AUTO(node_session_t) session = {0};
    l->found = pins_find(t, pins, &l->world->root, &pin);
    assert_ok(node_session_open(n, !l->is_online, &session));
    l->pinned = pins_add(t, pins, session.blocks, &l->world->root, PIN_RECURSIVE, NULL, on_block, l);
}

static err_t live(task_t *t, void *arg)
{
    life_t *l = arg;
    multiaddr_t m, at;
    conn_t *c;
    node_t *n = open_node(t, "/ip4/10.0.0.2/tcp/4001", l->is_online);
    if (l->is_online) {
        net_addr_t a = sim_host_addr(l->world->giver_host, 4001);
        assert_ok(multiaddr_from_tcp(a.family, a.ip, a.port, &m));
        assert_ok(multiaddr_with_peer(&m, node_id(l->world->giver), &at));
        assert_ok(host_connect_addr(t, node_host(n), &at, &c));
        conn_release(c);
    }
    deadline_t d = deadline_push(t, TAKER_LIFE_MS);
    pin(t, l, n);
    deadline_pop(t, &d);
    if (!l->pinned && l->is_online && !l->crash_at_block)
        sim_crash(l->world->taker_host, SIM_POWER_LOSS);
    node_close(t, n);
    l->is_over = true;
    event_fire(&l->over);
    return OK;
}

static life_t run_life(task_t *t, world_t *w, bool is_online, size_t crash_at_block)
{
    life_t l = {.world = w, .is_online = is_online, .crash_at_block = crash_at_block};
    event_init(&l.over);
    assert_ok(sim_host_start(w->taker_host, "taker", live, &l));
    while (!l.is_over)
        assert_ok(event_wait(t, &l.over));
    if (!sim_host_is_up(w->taker_host)) {
        assert_ok(sim_host_join_dead(t, w->taker_host));
        sim_restart(w->taker_host);
    }
    return l;
}

/* ── the tests ───────────────────────────────────────────────────────────────────────────────── */
typedef struct scenario {
    void (*fn)(task_t *t, world_t *w);
    world_t world;
} scenario_t;

static err_t run_scenario(task_t *t, void *arg)
{
    scenario_t *s = arg;
    start_giver(t, &s->world);
    s->fn(t, &s->world);
    node_close(t, s->world.giver);
    return OK;
}

static void play(uint64_t seed, void (*fn)(task_t *t, world_t *w))
{
    sim_t *sim = sim_new(seed);
    scenario_t s = {.fn = fn};
    s.world.giver_host = sim_add_host(sim, "10.0.0.1");
    s.world.taker_host = sim_add_host(sim, "10.0.0.2");
    assert_ok(sim_run(sim, run_scenario, &s));
    sim_free(sim);
}

static void loses_power_after_the_pin(task_t *t, world_t *w)
{
    life_t first = run_life(t, w, true, 0);
    assert_err(first.found, ERR_NOT_FOUND);
    assert_ok(first.pinned);
    life_t second = run_life(t, w, false, 0);
    assert_ok(second.found);
    assert_ok(second.pinned); /* the walk met every block, without a network */
    assert_int_equal(second.seen, LEAVES + 1);
}

static void test_power_loss_after_the_pin(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        play(seed, loses_power_after_the_pin);
}

static size_t crash_at;

static void loses_power_in_between(task_t *t, world_t *w)
{
    life_t first = run_life(t, w, true, crash_at);
    assert_int_not_equal(first.pinned, OK);
    life_t second = run_life(t, w, true, 0);
    assert_err(second.found, ERR_NOT_FOUND);
    assert_ok(second.pinned);
    life_t third = run_life(t, w, false, 0);
    assert_ok(third.found);
    assert_ok(third.pinned);
    assert_int_equal(third.seen, LEAVES + 1);
}

static void test_power_loss_in_between(void **state)
{
    for (crash_at = 1; crash_at <= LEAVES; crash_at += 5)
        play(crash_at, loses_power_in_between);
}

/* ── copies for another ──────────────────────────────────────────────────────────────────────── */
enum { TRIES = 3 };

typedef struct holder {
    world_t *world;
    bool is_online, is_over;
    bool has_record, has_all; /* as it found them at its start */
    event_t over, ready;
    peer_id_t id;
    bool is_ready;
} holder_t;

static bool has_all_blocks(task_t *t, node_t *n, const cid_t *root)
{
    size_t seen = 0;
    pins_t *pins = repo_pins(node_repo(n));
    life_t l = {.world = NULL};
    err_t e = pins_add(t, pins, repo_blocks(node_repo(n)), root, PIN_RECURSIVE, NULL, on_block, &l);
    seen = l.seen;
    if (!e)
        assert_ok(pins_remove(t, pins, root, PIN_ANY));
    return !e && seen == LEAVES + 1;
}

static err_t hold(task_t *t, void *arg)
{
    holder_t *h = arg;
    const char *listen = "/ip4/10.0.0.2/tcp/4001";
    node_options_t o = {.repo_path = REPO, .listen = &listen, .n_listen = 1, .no_bootstrap = true};
    node_t *n;
    if (repo_check(t, REPO) == ERR_NOT_FOUND)
        assert_ok(repo_init(t, REPO, "test", NULL));
    assert_ok(node_open(t, &o, &n));
    h->id = *node_id(n);
    h->has_record = node_is_replicated(t, n, &h->world->root);
    h->has_all = has_all_blocks(t, n, &h->world->root);
    assert_ok(repo_config_set(t, node_repo(n), "Replication.AllowFrom", "[\"*\"]"));
    if (h->is_online)
        assert_ok(node_go_online(t, n, &o));
    h->is_ready = true;
    event_fire(&h->ready);
    if (h->is_online)
        (void)!task_sleep(t, TAKER_LIFE_MS);
    node_close(t, n);
    h->is_over = true;
    event_fire(&h->over);
    return OK;
}

static void begin_holder(task_t *t, world_t *w, bool is_online, holder_t *h)
{
    *h = (holder_t){.world = w, .is_online = is_online};
    event_init(&h->over);
    event_init(&h->ready);
    assert_ok(sim_host_start(w->taker_host, "holder", hold, h));
    while (!h->is_ready)
        assert_ok(event_wait(t, &h->ready));
}

/* Loses power the moment that its word reaches the owner. */
static void crash_when_held(void *arg, const replica_progress_t *p)
{
    world_t *w = arg;
    if (p->step == REPLICA_HOLDS && p->peer.len && sim_host_is_up(w->taker_host))
        sim_crash(w->taker_host, SIM_POWER_LOSS);
}

static void loses_power_after_holds(task_t *t, world_t *w)
{
    holder_t h;
    uint32_t have = 0;
    multiaddr_t m, at;
    conn_t *c;
    begin_holder(t, w, true, &h);
    assert_false(h.has_record || h.has_all);
    net_addr_t a = sim_host_addr(w->taker_host, 4001);
    assert_ok(multiaddr_from_tcp(a.family, a.ip, a.port, &m));
    assert_ok(multiaddr_with_peer(&m, &h.id, &at));
    assert_ok(host_connect_addr(t, node_host(w->giver), &at, &c));
    conn_release(c);
    assert_ok(task_sleep(t, 3000)); /* until each knows what the other speaks */
    assert_ok(replica_pin(t, node_replica(w->giver), &w->root, 2, crash_when_held, w, &have));
    assert_int_equal(have, 2);
    while (!h.is_over)
        assert_ok(event_wait(t, &h.over));
    assert_false(sim_host_is_up(w->taker_host));
    assert_ok(sim_host_join_dead(t, w->taker_host));
    sim_restart(w->taker_host);
    begin_holder(t, w, false, &h); /* without a network: what is here is what was durable */
    while (!h.is_over)
        assert_ok(event_wait(t, &h.over));
    assert_true(h.has_record && h.has_all);
}

static void allow_all(task_t *t, world_t *w)
{
    assert_ok(replica_allow(node_replica(w->giver), NULL, 0, true, 0));
    loses_power_after_holds(t, w);
}

static void test_power_loss_after_holds(void **state)
{
    for (uint64_t seed = 1; seed <= TRIES; seed++)
        play(seed, allow_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_loss_after_holds),
        cmocka_unit_test(test_power_loss_after_the_pin),
        cmocka_unit_test(test_power_loss_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
