/* Pubsub between hosts in the simulator: meshes, validators, restarts, slow readers; and peers that
 * misbehave. */
#include "pubsub/pubsub.h"
#include "tests/support/net.h"
#include "wire/pubsub.h"

#define TOPIC BYTES_LIT("topic")

typedef struct member {
    pubsub_t *ps;
    pubsub_subscription_t *sub;
} member_t;
typedef struct world {
    net_world_t *net;
    member_t members[NET_NODES_MAX];
    pubsub_config_t config;
} world_t;

static void start_at(task_t *t, world_t *w, size_t i)
{
    pubsub_config_t c = w->config;
    c.host = net_start(t, w->net, i);
    c.key = w->net->nodes[i].key;
    assert_ok(pubsub_start(t, &c, &w->members[i].ps));
}

static void subscribe_at(world_t *w, size_t i)
{
    assert_ok(pubsub_subscribe(w->members[i].ps, TOPIC, &w->members[i].sub));
}

static void stop_at(task_t *t, world_t *w, size_t i)
{
    pubsub_unsubscribe(w->members[i].sub);
    pubsub_close(t, w->members[i].ps);
    w->members[i] = (member_t){0};
    net_stop(t, w->net, i);
}

static void stop_world(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        if (w->members[i].ps)
            stop_at(t, w, i);
        else if (w->net->nodes[i].host)
            net_stop(t, w->net, i);
}

static void link_nodes(task_t *t, world_t *w, size_t from, size_t to)
{
    conn_release(net_connect(t, w->net, from, to));
}

/* The next message at node i within 20 s is this one. */
static void expect(task_t *t, world_t *w, size_t i, bytes_t data, size_t author)
{
    AUTO_PTR(pubsub_received_t) m = NULL;
    deadline_t d = deadline_push(t, 20000);
    assert_ok(pubsub_receive(t, w->members[i].sub, &m));
    deadline_pop(t, &d);
    assert_bytes(m->data, data);
    assert_bytes(m->topic, TOPIC);
    assert_int_equal(m->seqno.len, 8);
    assert_true(peer_id_equal(&m->author, host_id(w->net->nodes[author].host)));
}

static void expect_none(task_t *t, world_t *w, size_t i, uint64_t ms)
{
    pubsub_received_t *m = NULL;
    deadline_t d = deadline_push(t, ms);
    assert_err(pubsub_receive(t, w->members[i].sub, &m), ERR_TIMEOUT);
    deadline_pop(t, &d);
}

typedef void (*scene_fn)(task_t *t, world_t *w);
typedef struct scene {
    scene_fn fn;
    pubsub_config_t config;
} scene_t;

static err_t run_scene(task_t *t, void *arg)
{
    net_world_t *net = arg;
    scene_t *scene = net->arg;
    world_t *w = xcalloc(1, sizeof *w);
    w->net = net;
    w->config = scene->config;
    scene->fn(t, w);
    stop_world(t, w);
    free(w);
    return OK;
}

static void play_with(size_t n, scene_fn fn, const pubsub_config_t *config)
{
    scene_t scene = {fn, *config};
    assert_ok(net_run(5, n, run_scene, &scene, NULL));
}

static void play(size_t n, scene_fn fn)
{
    pubsub_config_t c;
    pubsub_config_default(&c);
    play_with(n, fn, &c);
}

/* A mesh that is silent stays, when connections are trimmed. */
static void scene_trimmed(task_t *t, world_t *w)
{
    w->net->limits.low_conns = 2;
    w->net->limits.high_conns = 3;
    for (size_t i = 0; i < w->net->n; i++)
        start_at(t, w, i);
    link_nodes(t, w, 1, 0);
    subscribe_at(w, 0);
    subscribe_at(w, 1);
    for (size_t i = 2; i < w->net->n; i++)
        link_nodes(t, w, i, 0);
    assert_ok(task_sleep(t, 120000));
    host_t *h = w->net->nodes[0].host;
    assert_int_equal(host_conn_count(h), 2);
    assert_true(host_is_connected(h, host_id(w->net->nodes[1].host)));
    pubsub_unsubscribe(w->members[1].sub);
    w->members[1].sub = NULL;
    assert_ok(task_sleep(t, 5000));
    assert_int_equal(peer_find(h, host_id(w->net->nodes[1].host))->n_tags, 0);
}

/* ── meshes ──────────────────────────────────────────────────────────────────────────────────── */
static void scene_mesh(task_t *t, world_t *w)
{
    static uint8_t big[700000];
    size_t n = w->net->n;
    memset(big, 7, sizeof big);
    for (size_t i = 0; i < n; i++)
        start_at(t, w, i);
    for (size_t i = 1; i < n; i++) /* a line with some more links */
        link_nodes(t, w, i, i - 1);
    for (size_t i = 3; i < n; i += 3)
        link_nodes(t, w, i, i - 3);
    for (size_t i = 0; i < n; i++)
        subscribe_at(w, i);
    assert_ok(task_sleep(t, 3000));
    bytes_t contents[] = {BYTES_LIT("first"), BYTES_LIT(""), bytes_of(big, sizeof big), bytes_of(big, 20000)};
    for (size_t k = 0; k < ARRAY_LEN(contents); k++) {
        assert_ok(pubsub_publish(t, w->members[k].ps, TOPIC, contents[k]));
        for (size_t i = 0; i < n; i++)
            expect(t, w, i, contents[k], k);
    }
    for (size_t i = 0; i < n; i++)
        expect_none(t, w, i, 100);
    pubsub_stat_t stat;
    pubsub_stat(w->members[5].ps, &stat);
    assert_int_equal(stat.received, 4);
    assert_int_equal(stat.invalid, 0);
}

static void test_mesh(void **state)
{
    play(16, scene_mesh);
    pubsub_config_t c;
    pubsub_config_default(&c);
    c.is_floodsub = true;
    play_with(9, scene_mesh, &c);
    pubsub_config_default(&c);
    c.signs = false;
    play_with(9, scene_mesh, &c);
}

static bool count_one(void *arg, const peer_id_t *peer)
{
    ++*(size_t *)arg;
    return true;
}

static bool count_topic(void *arg, bytes_t topic)
{
    ++*(size_t *)arg;
    return true;
}

static size_t peers_of(world_t *w, size_t i, bytes_t topic)
{
    size_t n = 0;
    pubsub_each_peer(w->members[i].ps, topic, count_one, &n);
    return n;
}

static void scene_lists(task_t *t, world_t *w)
{
    for (size_t i = 0; i < 3; i++)
        start_at(t, w, i);
    link_nodes(t, w, 0, 1);
    link_nodes(t, w, 0, 2);
    subscribe_at(w, 1);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(peers_of(w, 0, BYTES_NONE), 2);
    assert_int_equal(peers_of(w, 0, TOPIC), 1);
    /* who is not in the topic publishes all the same, and does not hear itself */
    assert_ok(pubsub_publish(t, w->members[0].ps, TOPIC, BYTES_LIT("from outside")));
    expect(t, w, 1, BYTES_LIT("from outside"), 0);
    size_t n = 0;
    pubsub_each_topic(w->members[0].ps, count_topic, &n);
    assert_int_equal(n, 0);
    pubsub_each_topic(w->members[1].ps, count_topic, &n);
    assert_int_equal(n, 1);
    pubsub_unsubscribe(w->members[1].sub);
    w->members[1].sub = NULL;
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(peers_of(w, 0, TOPIC), 0);
    stop_at(t, w, 2);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(peers_of(w, 0, BYTES_NONE), 1);
    /* bounds of what is said here */
    static uint8_t big[PUBSUB_DATA_MAX_BYTES + 1];
    pubsub_subscription_t *s;
    assert_err(pubsub_publish(t, w->members[0].ps, TOPIC, bytes_of(big, sizeof big)), ERR_LIMIT);
    assert_err(pubsub_publish(t, w->members[0].ps, BYTES_NONE, BYTES_NONE), ERR_INVALID);
    assert_err(pubsub_subscribe(w->members[0].ps, bytes_of(big, 5000), &s), ERR_INVALID);
    /* closing ends those who wait */
    subscribe_at(w, 0);
    pubsub_close(t, w->members[0].ps);
    w->members[0].ps = NULL;
    pubsub_received_t *m;
    assert_err(pubsub_receive(t, w->members[0].sub, &m), ERR_CLOSED);
    pubsub_unsubscribe(w->members[0].sub);
}

static void test_lists(void **state)
{
    play(3, scene_lists);
}

/* ── a directory ─────────────────────────────────────────────────────────────────────────────── */
typedef struct directory {
    net_world_t *net;
    size_t n, advertised[NET_NODES_MAX], n_searches;
    bool is_down;
} directory_t;
typedef struct reader_of_directory {
    directory_t *directory;
    size_t node;
} reader_of_directory_t;

static err_t directory_advertise(task_t *t, void *arg, bytes_t topic)
{
    const reader_of_directory_t *reader = arg;
    directory_t *d = reader->directory;
    assert_bytes(topic, TOPIC);
    TRY(task_sleep(t, 100));
    if (d->is_down)
        return fail(ERR_UNREACHABLE, "nobody took the record");
    d->advertised[reader->node]++;
    return OK;
}

static err_t directory_find(task_t *t, void *arg, bytes_t topic, pubsub_found_fn found, void *found_arg)
{
    const reader_of_directory_t *reader = arg;
    directory_t *d = reader->directory;
    d->n_searches++;
    TRY(task_sleep(t, 100));
    for (size_t i = 0; i < d->net->n; i++)
        if (d->advertised[i] && d->net->nodes[i].host &&
            !found(found_arg, host_id(d->net->nodes[i].host), &d->net->nodes[i].addr, 1))
            break;
    return OK;
}

static void scene_directory(task_t *t, world_t *w)
{
    directory_t d = {.net = w->net, .is_down = true};
    w->config.advertise = directory_advertise;
    w->config.find_peers = directory_find;
    reader_of_directory_t readers[NET_NODES_MAX];
    size_t n = w->net->n;
    for (size_t i = 0; i < n; i++) {
        readers[i] = (reader_of_directory_t){&d, i};
        w->config.directory = &readers[i];
        start_at(t, w, i);
    }
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(d.n_searches, 0); /* nobody follows anything */
    for (size_t i = 0; i < n - 1; i++)
        subscribe_at(w, i);
    assert_ok(task_sleep(t, 5000));
    assert_int_equal(host_conn_count(w->net->nodes[0].host), 0);
    d.is_down = false;
    assert_ok(task_sleep(t, 60000));
    for (size_t i = 0; i < n - 1; i++) {
        assert_int_equal(d.advertised[i], 1);
        assert_true(peers_of(w, i, TOPIC) >= 5);
    }
    assert_int_equal(host_conn_count(w->net->nodes[n - 1].host), 0); /* it follows nothing */
    assert_ok(pubsub_publish(t, w->members[0].ps, TOPIC, BYTES_LIT("found")));
    for (size_t i = 0; i < n - 1; i++)
        expect(t, w, i, BYTES_LIT("found"), 0);
    size_t searches = d.n_searches;
    assert_ok(task_sleep(t, 3 * 3600 * 1000));
    assert_int_equal(d.n_searches, searches); /* there are enough */
    assert_int_equal(d.advertised[0], 2);
    /* all but two leave: those look for others, ever more seldom */
    for (size_t i = 2; i < n; i++)
        stop_at(t, w, i);
    assert_ok(task_sleep(t, 3600 * 1000));
    assert_in_range(d.n_searches - searches, 8, 24);
    pubsub_unsubscribe(w->members[1].sub);
    w->members[1].sub = NULL;
}

static void test_directory(void **state)
{
    play(9, scene_directory);
}

static void scene_restart(task_t *t, world_t *w)
{
    for (size_t i = 0; i < 2; i++) {
        start_at(t, w, i);
        subscribe_at(w, i);
    }
    for (size_t k = 0; k < 3; k++) {
        link_nodes(t, w, 1, 0);
        assert_ok(task_sleep(t, 2000));
        assert_ok(pubsub_publish(t, w->members[0].ps, TOPIC, BYTES_LIT("hello")));
        expect(t, w, 1, BYTES_LIT("hello"), 0);
        stop_at(t, w, 1);
        assert_ok(task_sleep(t, 1000));
        start_at(t, w, 1);
        subscribe_at(w, 1);
    }
}

static void test_restart(void **state)
{
    play(2, scene_restart);
}

static void scene_slow_reader(task_t *t, world_t *w)
{
    for (size_t i = 0; i < 2; i++) {
        start_at(t, w, i);
        subscribe_at(w, i);
    }
    link_nodes(t, w, 0, 1);
    assert_ok(task_sleep(t, 2000));
    for (uint32_t k = 0; k < 2000; k++) {
        assert_ok(pubsub_publish(t, w->members[0].ps, TOPIC, bytes_of(&k, sizeof k)));
        if (k % 100 == 0)
            assert_ok(task_sleep(t, 20));
    }
    assert_ok(task_sleep(t, 5000));
    pubsub_stat_t stat;
    pubsub_stat(w->members[1].ps, &stat);
    assert_int_equal(stat.received, 2000);
    assert_true(stat.lost >= 1700 && stat.lost < 2000);
    for (uint32_t k = 0; k < 100; k++) /* the first ones, in their order */
        expect(t, w, 1, bytes_of(&k, sizeof k), 0);
}

static void test_slow_reader(void **state)
{
    play(2, scene_slow_reader);
}

/* ── validators and sequence numbers ─────────────────────────────────────────────────────────── */
static gossip_verdict_t by_first_byte(task_t *t, void *arg, const peer_id_t *via, bytes_t data)
{
    ++*(size_t *)arg;
    if (task_sleep(t, 50)) /* it may wait */
        return GOSSIP_IGNORE;
    return !data.len || data.data[0] == 'a' ? GOSSIP_ACCEPT
           : data.data[0] == 'i'            ? GOSSIP_IGNORE
                                            : GOSSIP_REJECT;
}

static void scene_validator(task_t *t, world_t *w)
{
    size_t asked = 0;
    for (size_t i = 0; i < 3; i++) {
        start_at(t, w, i);
        subscribe_at(w, i);
    }
    link_nodes(t, w, 0, 1);
    link_nodes(t, w, 1, 2);
    assert_ok(pubsub_set_validator(w->members[1].ps, TOPIC, by_first_byte, &asked));
    assert_ok(task_sleep(t, 2000));
    for (size_t k = 0; k < 3; k++) {
        static const char *const texts[] = {"ignored", "bad", "accepted"};
        assert_ok(pubsub_publish(t, w->members[0].ps, TOPIC, bytes_str(texts[k])));
    }
    expect(t, w, 1, BYTES_LIT("accepted"), 0);
    expect(t, w, 2, BYTES_LIT("accepted"), 0);
    expect_none(t, w, 2, 3000);
    assert_int_equal(asked, 3);
    assert_err(pubsub_publish(t, w->members[1].ps, TOPIC, BYTES_LIT("bad")), ERR_INVALID);
    assert_ok(pubsub_publish(t, w->members[1].ps, TOPIC, BYTES_LIT("a good one")));
    expect(t, w, 0, BYTES_LIT("ignored"), 0);
    assert_ok(pubsub_set_validator(w->members[1].ps, TOPIC, NULL, NULL));
}

static void test_validator(void **state)
{
    play(3, scene_validator);
}

typedef struct disk {
    pubsub_seqno_t saved[8];
    size_t n;
} disk_t;

static err_t load_seqno(task_t *t, void *arg, const peer_id_t *author, uint64_t *ret)
{
    disk_t *d = arg;
    TRY(task_yield(t));
    for (size_t i = 0; i < d->n; i++)
        if (peer_id_equal(&d->saved[i].author, author)) {
            *ret = d->saved[i].seqno;
            return OK;
        }
    return ERR_NOT_FOUND;
}

static err_t save_seqnos(task_t *t, void *arg, const pubsub_seqno_t *seqnos, size_t n)
{
    disk_t *d = arg;
    TRY(task_yield(t));
    for (size_t k = 0; k < n; k++) {
        size_t i = 0;
        while (i < d->n && !peer_id_equal(&d->saved[i].author, &seqnos[k].author))
            i++;
        assert_true(i < ARRAY_LEN(d->saved));
        d->saved[i] = seqnos[k];
        d->n += i == d->n;
    }
    return OK;
}

/* ── hostile peers: a host that speaks the messages alone ────────────────────────────────────── */
typedef struct foe {
    world_t *w;
    host_t *host;
    conn_t *conn;
    stream_t *out;
    size_t heard; /* bytes */
} foe_t;

static err_t foe_listens(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    foe_t *f = arg;
    uint8_t buffer[4096];
    size_t n = 1;
    err_t e = OK;
    while (!e && n) {
        e = stream_read(t, s, buffer, sizeof buffer, &n);
        f->heard += e ? 0 : n;
    }
    stream_close(s);
    return e;
}

static void foe_open(task_t *t, foe_t *f, const char *const *protocol)
{
    assert_ok(conn_open_stream(t, f->conn, protocol, 1, &f->out, NULL));
}

static void foe_start(task_t *t, world_t *w, size_t i, foe_t *f)
{
    *f = (foe_t){.w = w, .host = net_start(t, w->net, i)};
    assert_ok(host_handle(f->host, pubsub_protocols[0], NULL, foe_listens, f));
    f->conn = net_connect(t, w->net, i, 0);
    assert_ok(task_sleep(t, 1000));
    foe_open(t, f, pubsub_protocols);
}

static void foe_stop(foe_t *f)
{
    stream_reset(f->out);
    stream_close(f->out);
    conn_release(f->conn);
}

static err_t foe_send(task_t *t, foe_t *f, const buf_t *rpc)
{
    deadline_t d = deadline_push(t, 10000);
    err_t e = stream_write_message(t, f->out, buf_bytes(rpc));
    deadline_pop(t, &d);
    return e;
}

typedef struct forged {
    uint64_t seqno;
    size_t key;    /* whose key signs */
    size_t author; /* who is said to have */
    const char *data;
    bool spoils_signature;
} forged_t;

static void foe_puts(foe_t *f, const forged_t *what, buf_t *rpc)
{
    AUTO(buf_t) signature = {0};
    buf_init(&signature, 1024);
    peer_id_t author;
    assert_ok(peer_id_of(private_key_public(f->w->net->nodes[what->author].key), &author));
    uint8_t seqno[8];
    for (size_t i = 0; i < 8; i++)
        seqno[i] = (uint8_t)(what->seqno >> (56 - 8 * i));
    pubsub_message_t m = {.from = peer_id_bytes(&author),
                          .data = bytes_str(what->data),
                          .seqno = bytes_of(seqno, 8),
                          .topic = TOPIC};
    assert_ok(pubsub_sign(&m, f->w->net->nodes[what->key].key, &signature));
    if (what->spoils_signature)
        signature.data[5] ^= 1;
    m.signature = buf_bytes(&signature);
    writer_t w = writer_to(rpc);
    pubsub_put_message(&w, &m);
    assert_ok(w.err);
}

static err_t foe_publishes(task_t *t, foe_t *f, const forged_t *what)
{
    AUTO(buf_t) rpc = {0};
    buf_init(&rpc, PUBSUB_RPC_MAX_BYTES);
    foe_puts(f, what, &rpc);
    return foe_send(t, f, &rpc);
}

static void scene_forged(task_t *t, world_t *w)
{
    foe_t f;
    start_at(t, w, 0);
    subscribe_at(w, 0);
    foe_start(t, w, 1, &f);
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 1, .key = 1, .author = 1, .data = "own"}));
    expect(t, w, 0, BYTES_LIT("own"), 1);
    static const forged_t bad[] = {
        {.seqno = 2, .key = 1, .author = 2, .data = "another's"},
        {.seqno = 3, .key = 1, .author = 1, .data = "spoilt", .spoils_signature = true},
        {.seqno = 4, .key = 0, .author = 0, .data = "ours, they say"},
        {.seqno = 1, .key = 1, .author = 1, .data = "the same number again"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_ok(foe_publishes(t, &f, &bad[i]));
    expect_none(t, w, 0, 2000);
    pubsub_stat_t stat;
    pubsub_stat(w->members[0].ps, &stat);
    assert_int_equal(stat.invalid, 2);
    /* what came late in the time of memory is fine, also out of order */
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 9, .key = 1, .author = 1, .data = "nine"}));
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 8, .key = 1, .author = 1, .data = "eight"}));
    expect(t, w, 0, BYTES_LIT("nine"), 1);
    expect(t, w, 0, BYTES_LIT("eight"), 1);
    /* replayed when the memory of it is gone */
    assert_ok(task_sleep(t, 400000));
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 9, .key = 1, .author = 1, .data = "nine"}));
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 7, .key = 1, .author = 1, .data = "seven"}));
    expect_none(t, w, 0, 2000);
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 10, .key = 1, .author = 1, .data = "ten"}));
    expect(t, w, 0, BYTES_LIT("ten"), 1);
    /* and after a restart of ours */
    foe_stop(&f);
    stop_at(t, w, 0);
    net_stop(t, w->net, 1);
    start_at(t, w, 0);
    subscribe_at(w, 0);
    foe_start(t, w, 1, &f);
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 10, .key = 1, .author = 1, .data = "ten"}));
    expect_none(t, w, 0, 2000);
    assert_int_equal(pubsub_forget_seqnos(w->members[0].ps, host_id(f.host)), 1);
    disk_t *disk = w->config.arg;
    disk->n = 0;
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 1, .key = 1, .author = 1, .data = "one"}));
    expect(t, w, 0, BYTES_LIT("one"), 1);
    /* so many that nobody listens to it any more */
    for (uint64_t k = 100; k < 110; k++)
        assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = k, .key = 1, .author = 2, .data = "x"}));
    assert_ok(foe_publishes(t, &f, &(forged_t){.seqno = 200, .key = 1, .author = 1, .data = "too late"}));
    expect_none(t, w, 0, 2000);
    foe_stop(&f);
}

/* What one RPC holds is not all checked when its first messages are forged. */
static void scene_forged_mass(task_t *t, world_t *w)
{
    foe_t f;
    AUTO(buf_t) rpc = {0};
    buf_init(&rpc, PUBSUB_RPC_MAX_BYTES);
    start_at(t, w, 0);
    subscribe_at(w, 0);
    foe_start(t, w, 1, &f);
    for (uint64_t k = 1; k <= 100; k++)
        foe_puts(&f, &(forged_t){.seqno = k, .key = 1, .author = 1, .data = "x", .spoils_signature = true},
                 &rpc);
    assert_ok(foe_send(t, &f, &rpc));
    assert_ok(task_sleep(t, 1000));
    pubsub_stat_t stat;
    pubsub_stat(w->members[0].ps, &stat);
    assert_in_range(stat.invalid, 1, 10);
    foe_stop(&f);
}

static void test_forged_mass(void **state)
{
    play(2, scene_forged_mass);
}

static void test_forged(void **state)
{
    disk_t disk = {.n = 0};
    pubsub_config_t c;
    pubsub_config_default(&c);
    c.load_seqno = load_seqno;
    c.save_seqnos = save_seqnos;
    c.arg = &disk;
    play_with(3, scene_forged, &c);
    assert_int_equal(disk.n, 1);
}

/* Others go on while it does what it does. */
static void expect_alive(task_t *t, world_t *w)
{
    assert_ok(pubsub_publish(t, w->members[2].ps, TOPIC, BYTES_LIT("still here")));
    expect(t, w, 0, BYTES_LIT("still here"), 2);
    expect(t, w, 2, BYTES_LIT("still here"), 2);
}

static void scene_floods(task_t *t, world_t *w)
{
    foe_t f;
    AUTO(buf_t) rpc = {0}, control = {0};
    buf_init(&rpc, 2u << 20);
    buf_init(&control, 2u << 20);
    start_at(t, w, 0);
    start_at(t, w, 2);
    subscribe_at(w, 0);
    subscribe_at(w, 2);
    link_nodes(t, w, 2, 0);
    foe_start(t, w, 1, &f);
    /* topics that nobody has */
    for (uint64_t k = 0; k < 20; k++) {
        buf_clear(&rpc);
        writer_t out = writer_to(&rpc);
        for (uint64_t i = 0; i < 5000; i++) {
            uint64_t name = k * 5000 + i;
            pubsub_put_subscription(&out, bytes_of(&name, sizeof name), true);
        }
        assert_ok(out.err);
        assert_ok(foe_send(t, &f, &rpc));
    }
    assert_ok(task_sleep(t, 1000));
    pubsub_stat_t stat;
    pubsub_stat(w->members[0].ps, &stat);
    assert_in_range(stat.mesh.foreign, 1000, 4096);
    expect_alive(t, w);
    /* GRAFT, PRUNE and ids in masses */
    for (uint64_t k = 0; k < 50; k++) {
        buf_clear(&rpc);
        buf_clear(&control);
        writer_t out = writer_to(&rpc), c = writer_to(&control);
        for (uint64_t i = 0; i < 2000; i++) {
            uint64_t id = k * 5000 + i;
            bytes_t ids[] = {bytes_of(&id, sizeof id)};
            pubsub_put_graft(&c, TOPIC);
            pubsub_put_prune(&c, TOPIC, host_id(f.host), 1, UINT64_MAX);
            pubsub_put_ihave(&c, TOPIC, ids, 1);
            pubsub_put_iwant(&c, ids, 1);
            pubsub_put_idontwant(&c, ids, 1);
        }
        pubsub_put_control(&out, buf_bytes(&control));
        assert_ok(out.err);
        assert_ok(foe_send(t, &f, &rpc));
        assert_ok(task_sleep(t, 200));
    }
    expect_alive(t, w);
    assert_true(f.heard < 4u << 20);
    /* half an RPC, then silence: its room comes back */
    conn_t *from = host_conn(w->net->nodes[0].host, host_id(f.host));
    uint64_t room = limit_room(conn_limit(from));
    assert_ok(stream_write(t, f.out, BYTES_LIT("\xff\xff\x3f only the beginning")));
    assert_ok(task_sleep(t, 1000));
    assert_true(limit_room(conn_limit(from)) + 0xfffff <= room);
    expect_alive(t, w);
    assert_ok(task_sleep(t, 60000));
    assert_ptr_equal(host_conn(w->net->nodes[0].host, host_id(f.host)), from);
    assert_true(limit_room(conn_limit(from)) >= room);
    expect_alive(t, w);
    foe_stop(&f);
    net_stop(t, w->net, 1);
    assert_ok(task_sleep(t, 700000)); /* what is known of it is forgotten in the end */
    pubsub_stat(w->members[0].ps, &stat);
    assert_int_equal(stat.mesh.foreign, 0);
    assert_int_equal(stat.mesh.gone_peers, 0);
    assert_true(stat.mesh.topics <= 2);
    expect_alive(t, w);
}

static void test_floods(void **state)
{
    play(3, scene_floods);
}

static void scene_nonsense(task_t *t, world_t *w)
{
    static const bytes_t lines[] = {
        {(const uint8_t *)"\x05\xff\xff\xff\xff\xff", 6},                  /* no protobuf */
        {(const uint8_t *)"\xff\xff\xff\xff\x0f", 5},                      /* 4 GiB */
        {(const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 10}, /* no length */
        {(const uint8_t *)"\x02\x08\x01", 3},                              /* a number for a message */
    };
    foe_t f;
    start_at(t, w, 0);
    start_at(t, w, 2);
    subscribe_at(w, 0);
    subscribe_at(w, 2);
    link_nodes(t, w, 2, 0);
    foe_start(t, w, 1, &f);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_ok(stream_write(t, f.out, lines[i]));
        uint8_t byte;
        size_t n = 0;
        deadline_t d = deadline_push(t, 5000);
        err_t e = stream_read(t, f.out, &byte, 1, &n); /* it is reset */
        deadline_pop(t, &d);
        assert_true(e != OK && e != ERR_TIMEOUT);
        stream_close(f.out);
        foe_open(t, &f, pubsub_protocols);
        expect_alive(t, w);
    }
    /* resets the streams that are opened to it, again and again */
    for (size_t i = 0; i < 20; i++) {
        stream_t *more;
        assert_ok(conn_open_stream(t, f.conn, pubsub_protocols, 1, &more, NULL));
        stream_reset(more);
        stream_close(more);
    }
    expect_alive(t, w);
    foe_stop(&f);
}

static void test_nonsense(void **state)
{
    play(3, scene_nonsense);
}

static void test_trimmed(void **state)
{
    play(6, scene_trimmed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh),        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_directory),   cmocka_unit_test(test_restart),
        cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_validator),
        cmocka_unit_test(test_forged),      cmocka_unit_test(test_floods),
        cmocka_unit_test(test_nonsense),    cmocka_unit_test(test_forged_mass),
        cmocka_unit_test(test_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
