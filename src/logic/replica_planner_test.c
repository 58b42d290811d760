/* A cluster of planners in virtual time: messages with delay and loss, nodes that die, return, are cut off.
 */
#include "base/prng.h"
#include "logic/replica_planner.h"
#include "tests/support/test.h"

enum { NODES_MAX = 9, EVENTS_MAX = 4096, ENTRIES = 16 };
typedef enum { UPDATE, OFFER, OFFERED, STAY, STAYED, BEAT, FETCHED } kind_t;
typedef struct message {
    uint64_t at_ms, serial;
    kind_t kind;
    size_t from, to;
    plan_head_t head;
    plan_entry_t entries[ENTRIES];
    size_t n;
    bool yes;
    uint64_t digest;
} message_t;
typedef struct node {
    replica_planner_t *planner;
    peer_id_t id;
    bool is_up, holds, refuses;
    size_t cut; /* nodes of another number are not reached */
    size_t stay_waits, stay_yes;
    plan_head_t disk_head; /* what is durable */
    plan_entry_t disk[ENTRIES];
    size_t n_disk;
    bool has_disk;
} node_t;
typedef struct cluster {
    node_t nodes[NODES_MAX];
    size_t n;
    uint64_t now_ms, serial, delay_ms, fetch_ms;
    message_t *messages;
    size_t n_messages;
    prng_t rng;
    double loss;
    bool is_mesh; /* with what a mesh turns on */
    size_t most_copies, least_copies, offers;
} cluster_t;

static cid_t the_root(void)
{
    return (cid_t){
        .version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32, .digest = {7}};
}

static size_t index_of(cluster_t *c, const peer_id_t *id)
{
    for (size_t i = 0; i < c->n; i++)
        if (peer_id_equal(&c->nodes[i].id, id))
            return i;
    abort();
}

static void start(cluster_t *c, size_t i)
{
    node_t *n = &c->nodes[i];
    replica_plan_config_t config;
    replica_plan_config_default(&config);
    if (c->is_mesh)
        replica_plan_config_mesh(&config);
    config.self = n->id;
    n->planner = replica_planner_new(&config);
    n->is_up = true;
    n->stay_waits = 0;
    if (n->has_disk)
        replica_planner_merge(n->planner, &n->disk_head, n->disk, n->n_disk, true, true, c->now_ms);
    cid_t root = the_root();
    plan_root_t *r = replica_planner_root(n->planner, &root);
    if (r && plan_root_self(n->planner, r) == PLAN_FETCHING) { /* begins anew */
        message_t m = {
            .at_ms = c->now_ms + c->fetch_ms, .kind = FETCHED, .from = i, .to = i, .serial = c->serial++};
        c->messages[c->n_messages++] = m;
    }
}

static void stop(cluster_t *c, size_t i)
{
    replica_planner_free(c->nodes[i].planner);
    c->nodes[i].planner = NULL;
    c->nodes[i].is_up = false;
}

static cluster_t *new_cluster(size_t n, uint64_t seed)
{
    cluster_t *c = calloc(1, sizeof *c);
    c->n = n;
    c->now_ms = 1000000;
    c->delay_ms = 20;
    c->fetch_ms = 3000;
    c->messages = calloc(EVENTS_MAX, sizeof *c->messages);
    prng_seed(&c->rng, seed);
    for (size_t i = 0; i < n; i++) {
        c->nodes[i].id.len = 34;
        prng_fill(&c->rng, c->nodes[i].id.data, 34);
        start(c, i);
    }
    return c;
}

static void free_cluster(cluster_t *c)
{
    for (size_t i = 0; i < c->n; i++)
        replica_planner_free(c->nodes[i].planner);
    free(c->messages);
    free(c);
}

static bool reaches(const cluster_t *c, size_t a, size_t b)
{
    return c->nodes[a].is_up && c->nodes[b].is_up && c->nodes[a].cut == c->nodes[b].cut;
}

static void send(cluster_t *c, message_t m)
{
    assert_true(c->n_messages < EVENTS_MAX);
    if (m.from != m.to && prng_unit(&c->rng) < c->loss)
        return;
    m.at_ms = c->now_ms + (m.kind == FETCHED ? c->fetch_ms : 1 + prng_below(&c->rng, 2 * c->delay_ms));
    m.serial = c->serial++;
    c->messages[c->n_messages++] = m;
}

static message_t with_record(cluster_t *c, kind_t kind, size_t from, size_t to)
{
    message_t m = {.kind = kind, .from = from, .to = to};
    cid_t root = the_root();
    plan_root_t *r = replica_planner_root(c->nodes[from].planner, &root);
    if (!r)
        return m;
    m.head = *plan_root_head(r);
    m.n = plan_root_entries(r);
    for (size_t i = 0; i < m.n; i++)
        m.entries[i] = plan_root_entry(r, i);
    m.digest = plan_root_digest(r);
    return m;
}

static void save(cluster_t *c, size_t i)
{
    node_t *n = &c->nodes[i];
    message_t m = with_record(c, UPDATE, i, 0);
    if (!m.head.version)
        return;
    n->disk_head = m.head;
    memcpy(n->disk, m.entries, sizeof m.entries);
    n->n_disk = m.n;
    n->has_disk = true;
    for (size_t k = 0; k < m.n; k++) {
        m.to = index_of(c, &m.entries[k].peer);
        if (m.to != i)
            send(c, m);
    }
    cid_t root = the_root();
    plan_root_t *r = replica_planner_root(n->planner, &root);
    if (plan_root_self(n->planner, r) == PLAN_LEFT && !m.head.is_released) {
        replica_planner_forget(n->planner, &root);
        n->has_disk = false;
    }
}

static size_t copies(const cluster_t *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->nodes[i].is_up && c->nodes[i].holds;
    return n;
}

static void audit(cluster_t *c, size_t i, const plan_action_t *a)
{
    size_t k = index_of(c, &a->peer);
    plan_audit_t how = c->nodes[k].holds ? PLAN_AUDIT_PASSED : PLAN_AUDIT_FAILED;
    replica_planner_audited(c->nodes[i].planner, &a->root, &a->peer,
                            reaches(c, i, k) ? how : PLAN_AUDIT_NO_ANSWER, c->now_ms);
}

static void act(cluster_t *c, size_t i)
{
    node_t *n = &c->nodes[i];
    plan_action_t a;
    while (n->is_up && replica_planner_next(n->planner, &a)) {
        switch (a.kind) {
        case PLAN_SAVE:
            save(c, i);
            break;
        case PLAN_OFFER:
            c->offers++;
            send(c, with_record(c, OFFER, i, index_of(c, &a.peer)));
            break;
        case PLAN_LEAVE_ASK:
            n->stay_waits = a.n_stayers;
            n->stay_yes = 0;
            for (size_t k = 0; k < a.n_stayers; k++)
                send(c, (message_t){.kind = STAY, .from = i, .to = index_of(c, &a.stayers[k])});
            /* an answer that gets lost ends the wait too */
            send(c, (message_t){.kind = FETCHED, .from = i, .to = i, .yes = true});
            break;
        case PLAN_DROP:
            n->holds = false;
            break;
        case PLAN_HEARTBEAT: {
            message_t m = with_record(c, BEAT, i, index_of(c, &a.peer));
            send(c, m);
            break;
        }
        case PLAN_FIND:
            for (size_t k = 0; k < c->n; k++)
                replica_planner_candidate(n->planner, &c->nodes[k].id, k != i && reaches(c, i, k), c->now_ms);
            break;
        case PLAN_AUDIT:
            audit(c, i, &a);
            break;
        }
    }
}

static void end_leave(cluster_t *c, size_t i, bool all)
{
    cid_t root = the_root();
    c->nodes[i].stay_waits = 0;
    replica_planner_leave(c->nodes[i].planner, &root, all, c->now_ms, c->now_ms);
}

static void receive_offer(cluster_t *c, const message_t *m, bool is_owner)
{
    node_t *n = &c->nodes[m->to];
    cid_t root = the_root();
    plan_root_t *r = replica_planner_root(n->planner, &root);
    bool holds = r && plan_root_self(n->planner, r) == PLAN_HOLDS;
    bool fetches = r && plan_root_self(n->planner, r) == PLAN_FETCHING;
    bool takes = !n->refuses;
    if (takes) {
        replica_planner_merge(n->planner, &m->head, m->entries, m->n, true, is_owner, c->now_ms);
        takes = !plan_root_head(replica_planner_root(n->planner, &root))->is_released;
    }
    if (takes && !holds) {
        if (!fetches)
            send(c, (message_t){.kind = FETCHED, .from = m->to, .to = m->to});
        replica_planner_self(n->planner, &root, PLAN_FETCHING, c->now_ms, c->now_ms);
    }
    send(c, (message_t){.kind = OFFERED, .from = m->to, .to = m->from, .yes = takes});
}

static void receive(cluster_t *c, const message_t *m)
{
    node_t *n = &c->nodes[m->to];
    const peer_id_t *from = &c->nodes[m->from].id;
    cid_t root = the_root();
    if (m->from != m->to && !reaches(c, m->from, m->to)) {
        if (m->kind == OFFER && c->nodes[m->from].is_up)
            replica_planner_offered(c->nodes[m->from].planner, &root, &n->id, PLAN_FAILED, c->now_ms);
        if (m->kind == STAY && c->nodes[m->from].is_up)
            end_leave(c, m->from, false);
        return;
    }
    if (!n->is_up)
        return;
    replica_planner_heard(n->planner, from, c->now_ms);
    bool is_owner = peer_id_equal(&m->head.owner, from);
    switch (m->kind) {
    case UPDATE:
        replica_planner_merge(n->planner, &m->head, m->entries, m->n, false, is_owner, c->now_ms);
        break;
    case OFFER:
        receive_offer(c, m, is_owner);
        break;
    case OFFERED:
        replica_planner_offered(n->planner, &root, from, m->yes ? PLAN_ACCEPTED : PLAN_REFUSED, c->now_ms);
        break;
    case STAY:
        send(c, (message_t){.kind = STAYED,
                            .from = m->to,
                            .to = m->from,
                            .yes = n->holds && replica_planner_promise(n->planner, &root, c->now_ms)});
        break;
    case STAYED:
        if (!n->stay_waits)
            break;
        n->stay_yes += m->yes;
        if (!m->yes)
            end_leave(c, m->to, false);
        else if (n->stay_yes == n->stay_waits)
            end_leave(c, m->to, true);
        break;
    case BEAT: {
        plan_root_t *r = replica_planner_root(n->planner, &root);
        if (!r || plan_root_self(n->planner, r) == PLAN_LEFT)
            replica_planner_verified(c->nodes[m->from].planner, &root, &n->id, false, c->now_ms);
        else if (plan_root_digest(r) != m->digest) {
            message_t answer = with_record(c, UPDATE, m->to, m->from);
            send(c, answer);
            replica_planner_merge(n->planner, &m->head, m->entries, m->n, false, is_owner, c->now_ms);
        }
        break;
    }
    case FETCHED:
        if (m->yes) {
            if (n->stay_waits)
                end_leave(c, m->to, false);
            break;
        }
        if (replica_planner_root(n->planner, &root) &&
            plan_root_self(n->planner, replica_planner_root(n->planner, &root)) == PLAN_FETCHING) {
            n->holds = true;
            replica_planner_self(n->planner, &root, PLAN_HOLDS, c->now_ms, c->now_ms);
        }
    }
}

static void step(cluster_t *c, uint64_t until_ms)
{
    uint64_t at = until_ms;
    size_t next = SIZE_MAX;
    for (size_t i = 0; i < c->n_messages; i++)
        if (c->messages[i].at_ms < at || (c->messages[i].at_ms == at && next != SIZE_MAX &&
                                          c->messages[i].serial < c->messages[next].serial)) {
            at = c->messages[i].at_ms;
            next = i;
        }
    size_t ticks = SIZE_MAX;
    for (size_t i = 0; i < c->n; i++)
        if (c->nodes[i].is_up && replica_planner_deadline_ms(c->nodes[i].planner) < at) {
            at = replica_planner_deadline_ms(c->nodes[i].planner);
            ticks = i;
        }
    if (at > c->now_ms)
        c->now_ms = at;
    if (ticks != SIZE_MAX) {
        replica_planner_tick(c->nodes[ticks].planner, c->now_ms);
        act(c, ticks);
    } else if (next != SIZE_MAX) {
        message_t m = c->messages[next];
        c->messages[next] = c->messages[--c->n_messages];
        receive(c, &m);
        act(c, m.to);
        act(c, m.from);
    }
    if (copies(c) > c->most_copies)
        c->most_copies = copies(c);
    if (copies(c) < c->least_copies)
        c->least_copies = copies(c);
}

static void run(cluster_t *c, uint64_t ms)
{
    uint64_t until = c->now_ms + ms;
    c->most_copies = 0;
    c->least_copies = SIZE_MAX;
    while (c->now_ms < until)
        step(c, until);
}

/* Everybody may ask everybody that is up. */
static void introduce(cluster_t *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->n; k++)
            if (i != k && c->nodes[i].is_up)
                replica_planner_candidate(c->nodes[i].planner, &c->nodes[k].id, reaches(c, i, k), c->now_ms);
}

static void pin(cluster_t *c, size_t i, uint32_t target)
{
    cid_t root = the_root();
    c->nodes[i].holds = true;
    assert_ok(replica_planner_pin(c->nodes[i].planner, &root, target, 1000, c->now_ms, c->now_ms));
    act(c, i);
}

static plan_root_t *root_of(cluster_t *c, size_t i)
{
    cid_t root = the_root();
    return replica_planner_root(c->nodes[i].planner, &root);
}

static void test_pin(void **state)
{
    (void)state;
    cluster_t *c = new_cluster(5, 1);
    introduce(c);
    pin(c, 0, 3);
    run(c, 5000);
    assert_int_equal(copies(c), 3);
    assert_int_equal(c->offers, 2);
    for (size_t i = 0; i < 5; i++) {
        plan_root_t *r = root_of(c, i);
        assert_int_equal(r != NULL, c->nodes[i].holds);
        if (!r)
            continue;
        assert_int_equal(plan_root_live(c->nodes[i].planner, r), 3);
        assert_int_equal(plan_root_digest(r), plan_root_digest(root_of(c, 0)));
        assert_true(plan_root_is_live(c->nodes[i].planner, r, &c->nodes[0].id));
        assert_false(replica_planner_is_asking(c->nodes[i].planner, r));
    }
    replica_plan_stat_t s = replica_planner_stat(c->nodes[0].planner);
    assert_int_equal(s.owned, 1);
    assert_int_equal(s.below + s.above + s.heals, 0);
    run(c, 3600000); /* and stays so */
    assert_int_equal(copies(c), 3);
    assert_int_equal(c->most_copies, 3);
    assert_int_equal(c->offers, 2);
    pin(c, 0, 5); /* more */
    run(c, 5000);
    assert_int_equal(copies(c), 5);
    pin(c, 0, 2); /* fewer */
    run(c, 600000);
    assert_int_equal(copies(c), 2);
    assert_true(c->nodes[0].holds);
    assert_int_equal(c->least_copies, 2);
    free_cluster(c);
}

static void test_fewer_nodes(void **state)
{
    (void)state;
    cluster_t *c = new_cluster(3, 2);
    c->nodes[2].refuses = true;
    introduce(c);
    pin(c, 0, 5);
    run(c, 100000);
    assert_int_equal(copies(c), 2);
    c->nodes[2].refuses = false;
    run(c, 120000); /* asked again */
    assert_int_equal(copies(c), 3);
    free_cluster(c);
}

/* Each holder dies in turn, the adder too; no two heal at once. */
static void test_heal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        cluster_t *c = new_cluster(6, seed);
        c->fetch_ms = seed % 2 ? 3000 : 40000; /* longer than the others' patience */
        introduce(c);
        pin(c, 0, 3);
        run(c, 60000);
        assert_int_equal(copies(c), 3);
        size_t victim = seed % 3 == 0 ? 0 : 1;
        while (!c->nodes[victim].holds)
            victim++;
        size_t offers = c->offers;
        stop(c, victim);
        introduce(c);
        run(c, 150000);
        assert_int_equal(copies(c), 3);
        assert_int_equal(c->most_copies, 3);
        assert_int_equal(c->offers, offers + 1);
        /* It returns with its disk: one too many, so the farthest goes; never below. */
        start(c, victim);
        introduce(c);
        run(c, 400000);
        assert_int_equal(copies(c), 3);
        assert_int_equal(c->least_copies, 3);
        free_cluster(c);
    }
}

static void test_healer_dies(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        cluster_t *c = new_cluster(7, seed);
        introduce(c);
        pin(c, 0, 4);
        run(c, 20000);
        assert_int_equal(copies(c), 4);
        for (size_t i = 0, killed = 0; killed < 2; i++) /* two at once */
            if (c->nodes[i].holds) {
                stop(c, i);
                killed++;
            }
        introduce(c);
        run(c, 200000);
        assert_int_equal(copies(c), 4);
        assert_true(c->most_copies <= 5);
        free_cluster(c);
    }
}

static void test_partition(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        cluster_t *c = new_cluster(8, seed);
        introduce(c);
        pin(c, 0, 3);
        run(c, 20000);
        for (size_t i = 0; i < 8; i++)
            c->nodes[i].cut = i % 2;
        introduce(c);
        run(c, 300000); /* a side that has a holder heals to three */
        size_t each[2] = {0, 0};
        for (size_t i = 0; i < 8; i++)
            each[i % 2] += c->nodes[i].holds;
        assert_int_equal(each[0], 3);
        assert_true(each[1] == 0 || each[1] == 3);
        for (size_t i = 0; i < 8; i++)
            c->nodes[i].cut = 0;
        introduce(c);
        run(c, 900000);
        assert_int_equal(copies(c), 3);
        assert_true(c->least_copies >= 3);
        for (size_t i = 0; i < 8; i++)
            if (c->nodes[i].holds)
                assert_int_equal(plan_root_live(c->nodes[i].planner, root_of(c, i)), 3);
        free_cluster(c);
    }
}

static void test_release(void **state)
{
    (void)state;
    cluster_t *c = new_cluster(5, 3);
    introduce(c);
    pin(c, 0, 4);
    run(c, 20000);
    size_t away = c->nodes[1].holds ? 1 : 2;
    stop(c, away);
    cid_t root = the_root();
    replica_planner_release(c->nodes[0].planner, &root, c->now_ms, c->now_ms);
    act(c, 0);
    run(c, 10000);
    assert_int_equal(copies(c), 0);
    start(c, away); /* it hears of it later */
    introduce(c);
    run(c, 100000);
    assert_int_equal(copies(c), 0);
    run(c, 2 * 86400000ull); /* the records of it go in the end */
    for (size_t i = 0; i < 5; i++)
        assert_null(root_of(c, i));
    free_cluster(c);
}

/* A holder that lost its disk is found out and asked again. */
static void test_lost_disk(void **state)
{
    (void)state;
    cluster_t *c = new_cluster(3, 4);
    introduce(c);
    pin(c, 0, 3);
    run(c, 20000);
    assert_int_equal(copies(c), 3);
    stop(c, 1);
    c->nodes[1].holds = c->nodes[1].has_disk = false;
    start(c, 1);
    introduce(c);
    run(c, 200000);
    assert_int_equal(copies(c), 3);
    plan_root_t *r = root_of(c, 0);
    assert_int_equal(plan_root_live(c->nodes[0].planner, r), 3);
    free_cluster(c);
}

/* All restart from their disks; the records say the same as before. */
static void test_restart(void **state)
{
    (void)state;
    cluster_t *c = new_cluster(4, 5);
    introduce(c);
    pin(c, 0, 3);
    run(c, 20000);
    for (size_t i = 0; i < 4; i++)
        stop(c, i);
    for (size_t i = 0; i < 4; i++)
        start(c, i);
    introduce(c);
    run(c, 100000);
    assert_int_equal(copies(c), 3);
    assert_int_equal(c->offers, 2);
    free_cluster(c);
}

/* Chaos: nodes die and return at random, messages get lost; in the end there are exactly three. */
static void test_chaos(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        cluster_t *c = new_cluster(7, seed);
        c->loss = 0.05;
        introduce(c);
        pin(c, 0, 3);
        run(c, 60000);
        for (int i = 0; i < 20; i++) {
            size_t k = prng_below(&c->rng, 7);
            if (!c->nodes[k].is_up)
                start(c, k);
            else if (copies(c) > 2 || !c->nodes[k].holds)
                stop(c, k);
            introduce(c);
            run(c, 1000 + prng_below(&c->rng, 120000));
        }
        for (size_t k = 0; k < 7; k++)
            if (!c->nodes[k].is_up)
                start(c, k);
        c->loss = 0;
        introduce(c);
        run(c, 1500000);
        if (copies(c) != 3)
            print_error("seed %llu: %zu copies\n", (unsigned long long)seed, copies(c));
        assert_int_equal(copies(c), 3);
        assert_true(c->least_copies >= 3 || c->least_copies >= 1);
        free_cluster(c);
    }
}

/* The same for a mesh, whose nodes learn that the others come back: fewer copies are made, one too many may
 * stay, and it is never lost. */
static void test_mesh_chaos(void **state)
{
    (void)state;
    size_t offers[2] = {0, 0};
    for (uint64_t seed = 1; seed <= 12; seed++) {
        cluster_t *c = new_cluster(9, seed / 2);
        c->loss = 0.05;
        c->is_mesh = seed % 2;
        for (size_t i = 0; i < c->n; i++) {
            stop(c, i);
            start(c, i);
        }
        introduce(c);
        pin(c, 0, 3);
        run(c, 60000);
        for (int i = 0; i < 20; i++) { /* each is away for a quarter of an hour at a time */
            size_t k = prng_below(&c->rng, 9);
            if (c->nodes[k].is_up && (copies(c) > 2 || !c->nodes[k].holds)) {
                stop(c, k);
                introduce(c);
                run(c, 400000 + prng_below(&c->rng, 1000000));
                start(c, k);
            }
            introduce(c);
            run(c, 60000 + prng_below(&c->rng, 600000));
            assert_true(c->least_copies >= 1);
        }
        c->loss = 0;
        offers[seed % 2] += c->offers;
        introduce(c);
        run(c, 5 * 3600000);
        assert_in_range(copies(c), 3, c->is_mesh ? 4 : 3);
        free_cluster(c);
    }
    if (offers[1] >= offers[0])
        fail_msg("%zu copies were made with patience, %zu without", offers[1], offers[0]);
}

static void test_limits(void **state)
{
    (void)state;
    replica_plan_config_t config;
    replica_plan_config_default(&config);
    config.self = (peer_id_t){.len = 34, .data = {1}};
    config.max_roots = 1;
    config.max_holders = 2;
    replica_planner_t *p = replica_planner_new(&config);
    cid_t root = the_root(), other = the_root();
    other.digest[5] = 1;
    assert_ok(replica_planner_pin(p, &root, 3, 0, 1, 1));
    assert_err(replica_planner_pin(p, &other, 3, 0, 1, 1), ERR_LIMIT);
    plan_head_t head = {
        .root = root, .owner = {.len = 34, .data = {9}}, .version = 5, .target = 1, .is_released = true};
    plan_entry_t entries[3];
    for (uint8_t i = 0; i < 3; i++)
        entries[i] = (plan_entry_t){{.len = 34, .data = {(uint8_t)(i + 2)}}, 1, PLAN_HOLDS, 0, BYTES_NONE};
    entries[0].state = PLAN_LEFT;
    assert_true(
        replica_planner_merge(p, &head, entries, 3, false, false, 2)); /* an untrusted head changes nothing */
    plan_root_t *r = replica_planner_root(p, &root);
    assert_int_equal(plan_root_entries(r), 2);
    assert_int_equal(plan_root_head(r)->target, 3);
    assert_false(plan_root_head(r)->is_released);
    head.root = other;
    assert_false(replica_planner_merge(p, &head, entries, 3, true, true, 2));
    size_t i = 0;
    assert_ptr_equal(replica_planner_next_root(p, &i), r);
    assert_null(replica_planner_next_root(p, &i));
    assert_int_equal(replica_planner_count(p), 1);
    assert_int_equal(plan_root_verified_ms(r, &entries[2].peer), 0);
    replica_planner_verified(p, &root, &entries[1].peer, true, 77);
    assert_int_equal(plan_root_verified_ms(r, &entries[1].peer), 77);
    assert_true(replica_planner_is_alive(p, &config.self, 99999999));
    assert_false(replica_planner_is_alive(p, &entries[0].peer, 1));
    /* Others claim that we left: outbid. */
    plan_entry_t lie = {config.self, 40, PLAN_LEFT, 0, BYTES_NONE};
    head = *plan_root_head(r);
    assert_true(replica_planner_merge(p, &head, &lie, 1, false, false, 3));
    for (size_t k = 0; k < plan_root_entries(r); k++) {
        plan_entry_t e = plan_root_entry(r, k);
        if (!peer_id_equal(&e.peer, &config.self))
            continue;
        assert_int_equal(e.seq, 41);
        assert_int_equal(e.state, PLAN_HOLDS);
    }
    assert_false(replica_planner_promise(p, &other, 5));
    assert_true(replica_planner_promise(p, &root, 5));
    replica_planner_free(p);
    replica_planner_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pin),       cmocka_unit_test(test_fewer_nodes),
        cmocka_unit_test(test_heal),      cmocka_unit_test(test_healer_dies),
        cmocka_unit_test(test_partition), cmocka_unit_test(test_release),
        cmocka_unit_test(test_lost_disk), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_chaos),     cmocka_unit_test(test_mesh_chaos),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
