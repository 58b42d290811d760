/* Peers that lie, stall, flood and break the protocol, against honest nodes in the simulator. */
#include "tests/support/dht.h"

/* ── hostile servers: bare hosts that speak the protocol in their own way ────────────────────── */
static peer_id_t made_up_peer(prng_t *rng)
{
    peer_id_t id = {.len = 34, .data = {0x12, 32}};
    prng_fill(rng, id.data + 2, 32);
    return id;
}

static void put_made_up(writer_t *w, prng_t *rng, size_t n)
{
    multiaddr_t addr;
    assert_ok(multiaddr_parse("/ip4/10.66.0.1/tcp/9", &addr));
    for (size_t i = 0; i < n; i++) {
        peer_id_t id = made_up_peer(rng);
        kad_put_peer(w, KAD_CLOSER, &id, &addr, 1, KAD_CAN_CONNECT);
    }
}

typedef enum {
    GARBAGE,
    TEN_THOUSAND,
    LOOPS,
    SILENT,
    MADE_UP,
    ECHOES,
    OTHER_TYPE,
    HUGE_LENGTH,
    KINDS
} hostile_t;

static err_t answer_as(task_t *t, stream_t *s, world_node_t *n, hostile_t kind, bytes_t request)
{
    kad_message_t m;
    TRY(kad_decode(request, &m));
    prng_t rng;
    prng_seed(&rng, sched_now_ms(task_sched(t)));
    AUTO(buf_t) out;
    buf_init(&out, 8u << 20);
    writer_t w = writer_to(&out);
    multiaddr_t addr;
    multiaddr_without_peer(&n->addr, &addr);
    kad_put_head(&w, m.type, m.key);
    switch (kind) {
    case GARBAGE:
        buf_clear(&out);
        write_bytes(&w, BYTES_LIT("\xff\xff\xff\xff not a message"));
        break;
    case TEN_THOUSAND:
        put_made_up(&w, &rng, 10000);
        break;
    case LOOPS:
        for (int i = 0; i < 10; i++)
            kad_put_peer(&w, KAD_CLOSER, &n->id, &addr, 1, KAD_CONNECTED);
        break;
    case SILENT:
        return task_sleep(t, 3600 * 1000);
    case MADE_UP:
        put_made_up(&w, &rng, 20);
        break;
    case ECHOES: /* as the specification has it, in front of nothing that was asked */
        if (m.type == KAD_ADD_PROVIDER)
            return stream_write_message(t, s, request);
        break;
    case OTHER_TYPE:
        buf_clear(&out);
        kad_put_head(&w, KAD_PING, BYTES_NONE);
        break;
    case HUGE_LENGTH:
        return stream_write(t, s, BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\x7f"));
    case KINDS:
        break;
    }
    TRY(w.err);
    return m.type == KAD_ADD_PROVIDER ? OK : stream_write_message(t, s, buf_bytes(&out));
}

static err_t serve_hostile(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    world_node_t *n = arg;
    AUTO(buf_t) in;
    buf_init(&in, 1 << 20);
    err_t e = OK;
    while (!e) {
        e = stream_read_message(t, s, 1 << 20, &in);
        if (!e)
            e = answer_as(t, s, n, (hostile_t)n->kind, buf_bytes(&in));
    }
    stream_reset(s);
    stream_close(s);
    return OK;
}

static err_t setup_hostile(task_t *t, void *arg)
{
    world_node_t *n = arg;
    protocol_options_t options = {.max_inbound_per_peer = 100};
    return host_handle(n->host, KAD_PROTOCOL_LAN, &options, serve_hostile, n);
}

static world_node_t *add_hostile(task_t *t, world_t *w, hostile_t kind, size_t n_honest)
{
    char ip[32];
    snprintf(ip, sizeof ip, "10.0.66.%zu", w->n + 1);
    world_node_t *n = world_add(w, ip);
    n->is_bare = true;
    n->setup = setup_hostile;
    n->kind = kind;
    world_start(t, n);
    for (size_t i = 0; i < n_honest; i++)
        world_connect(t, n, &w->nodes[i]);
    return n;
}

static err_t check_hostile_servers(task_t *t, void *arg)
{
    world_t *w = arg;
    enum { HONEST = 10 };
    world_join(t, w, HONEST);
    for (int kind = 0; kind < KINDS; kind++)
        add_hostile(t, w, (hostile_t)kind, HONEST);
    assert_ok(task_sleep(t, 1000));
    assert_true(world_knows(&w->nodes[0], &w->nodes[HONEST + MADE_UP].id));
    assert_false(world_knows(&w->nodes[0], &w->nodes[HONEST + SILENT].id)); /* it never answered */
    for (int round = 0; round < 3; round++) {
        char text[32];
        snprintf(text, sizeof text, "file %d", round);
        uint64_t began_ms = task_now_ms(t);
        assert_ok(world_provide(t, &w->nodes[round], text));
        for (size_t i = 5; i < HONEST; i += 2)
            assert_true(world_find(t, &w->nodes[i], text, 0, NULL) >= 1);
        print_message("round %d took %llu ms\n", round, (unsigned long long)(task_now_ms(t) - began_ms));
        assert_true(task_now_ms(t) - began_ms < 200 * 1000);
    }
    /* those who broke the protocol have left the tables, those who only made things up may stay */
    static const hostile_t breakers[] = {GARBAGE, TEN_THOUSAND, SILENT, OTHER_TYPE, HUGE_LENGTH};
    for (size_t i = 0; i < ARRAY_LEN(breakers); i++)
        assert_false(world_knows(&w->nodes[5], &w->nodes[HONEST + breakers[i]].id));
    assert_true(world_knows(&w->nodes[5], &w->nodes[HONEST + ECHOES].id));
    return OK;
}

/* ADD_PROVIDER that is echoed must not put later answers out of step. */
static err_t check_echo_trap(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 2);
    world_node_t *echo = add_hostile(t, w, ECHOES, 2);
    for (int i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "file %d", i);
        assert_ok(world_provide(t, &w->nodes[1], text));
        assert_ok(task_sleep(t, 500));
        assert_int_equal(world_find(t, &w->nodes[1], "something else", 0, NULL), 0);
        assert_true(world_knows(&w->nodes[1], &echo->id)); /* its answers were understood */
    }
    return OK;
}

/* ── hostile clients: raw requests to an honest node ─────────────────────────────────────────── */
typedef struct raw {
    world_node_t *from, *to;
    bytes_t request; /* a message; is_unframed: bytes as they are */
    bool is_unframed, expects_answer;
    buf_t answer;
} raw_t;

static err_t raw_call(task_t *t, void *arg)
{
    raw_t *r = arg;
    const char *protocol = KAD_PROTOCOL_LAN, *chosen;
    AUTO_PTR(stream_t) s = NULL;
    TRY(host_open_stream(t, r->from->host, &r->to->id, &protocol, 1, &s, &chosen));
    err_t e = r->is_unframed ? stream_write(t, s, r->request) : stream_write_message(t, s, r->request);
    if (!e) {
        deadline_t d = deadline_push(t, 5000);
        e = stream_read_message(t, s, KAD_MESSAGE_MAX_BYTES, &r->answer);
        deadline_pop(t, &d);
    }
    stream_reset(s);
    return e;
}

/* ERR_TIMEOUT: no answer and no reset; OK: an answer; else the stream was ended. */
static err_t send_raw(task_t *t, raw_t *r, bytes_t request)
{
    r->request = request;
    return world_on(t, r->from, raw_call, r);
}

static err_t send_written(task_t *t, raw_t *r, buf_t *out)
{
    err_t e = send_raw(t, r, buf_bytes(out));
    buf_clear(out);
    return e;
}

static bool is_refusal(err_t e)
{
    return e == ERR_RESET || e == ERR_EOF || e == ERR_CLOSED;
}

static uint64_t count_records(task_t *t, world_node_t *n, const char *space)
{
    uint64_t left = 0;
    assert_ok(kv_count(t, n->kv, space, BYTES_NONE, &left));
    return left;
}

static void expect_to_find(task_t *t, raw_t *r, const peer_id_t *id, buf_t *out)
{
    writer_t w = writer_to(out);
    kad_put_head(&w, KAD_FIND_NODE, peer_id_bytes(id));
    assert_ok(send_written(t, r, out));
    kad_message_t m;
    assert_ok(kad_decode(buf_bytes(&r->answer), &m));
    kad_peer_t p;
    size_t i = 0;
    assert_true(kad_next_peer(&m, KAD_CLOSER, &i, &p));
    assert_true(peer_id_equal(&p.id, id));
}

static void refuses_bad_lengths(task_t *t, raw_t *r)
{
    r->is_unframed = true;
    assert_true(is_refusal(send_raw(t, r, BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\x7f"))));
    assert_true(is_refusal(send_raw(t, r, BYTES_LIT("\x81\x80\x04"))));
    r->is_unframed = false;
}

static err_t check_bad_requests(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 2);
    world_node_t *attacker = add_hostile(t, w, LOOPS, 2);
    raw_t r = {.from = attacker, .to = &w->nodes[0]};
    buf_init(&r.answer, KAD_MESSAGE_MAX_BYTES);
    AUTO(buf_t) out;
    buf_init(&out, 1 << 20);
    writer_t wr = writer_to(&out);
    multiaddr_t addr;
    multiaddr_without_peer(&attacker->addr, &addr);
    static uint8_t big[KAD_REQUEST_MAX_BYTES];
    cid_t cid = world_cid("x");
    uint8_t mh[CID_BINARY_MAX];
    bytes_t key = bytes_of(mh, cid_encode_multihash(&cid, mh));

    kad_put_head(&wr, KAD_PING, BYTES_NONE);
    assert_ok(send_written(t, &r, &out));
    assert_bytes(buf_bytes(&r.answer), BYTES_LIT("\x08\x05"));

    /* values without a validator, with a record of another key, without a record (CVE-2026-45783) */
    kad_put_head(&wr, KAD_PUT_VALUE, BYTES_LIT("/junk/x"));
    kad_put_record(&wr, BYTES_LIT("/junk/x"), bytes_of(big, 1000), BYTES_NONE);
    assert_true(is_refusal(send_written(t, &r, &out)));
    kad_put_head(&wr, KAD_PUT_VALUE, BYTES_LIT("/pk/x"));
    kad_put_record(&wr, BYTES_LIT("/pk/y"), BYTES_LIT("v"), BYTES_NONE);
    assert_true(is_refusal(send_written(t, &r, &out)));
    kad_put_head(&wr, KAD_PUT_VALUE, BYTES_LIT("/pk/x"));
    assert_true(is_refusal(send_written(t, &r, &out)));
    assert_int_equal(count_records(t, r.to, "dht-values"), 0);

    /* providers: somebody else's, without addresses, without a key, with one too long */
    kad_put_head(&wr, KAD_ADD_PROVIDER, key);
    kad_put_peer(&wr, KAD_PROVIDERS, &w->nodes[1].id, &addr, 1, KAD_CONNECTED);
    assert_true(is_refusal(send_written(t, &r, &out)));
    kad_put_head(&wr, KAD_ADD_PROVIDER, key);
    kad_put_peer(&wr, KAD_PROVIDERS, &attacker->id, NULL, 0, KAD_CONNECTED);
    assert_true(is_refusal(send_written(t, &r, &out)));
    kad_put_head(&wr, KAD_ADD_PROVIDER, BYTES_NONE);
    kad_put_peer(&wr, KAD_PROVIDERS, &attacker->id, &addr, 1, KAD_CONNECTED);
    assert_true(is_refusal(send_written(t, &r, &out)));
    kad_put_head(&wr, KAD_ADD_PROVIDER, bytes_of(big, 81));
    kad_put_peer(&wr, KAD_PROVIDERS, &attacker->id, &addr, 1, KAD_CONNECTED);
    assert_true(is_refusal(send_written(t, &r, &out)));
    assert_ok(task_sleep(t, 2000));
    assert_int_equal(count_records(t, r.to, "dht-providers"), 0);

    /* its own, among others' that are passed over: kept, and not answered */
    kad_put_head(&wr, KAD_ADD_PROVIDER, key);
    kad_put_peer(&wr, KAD_PROVIDERS, &w->nodes[1].id, &addr, 1, KAD_CONNECTED);
    kad_put_peer(&wr, KAD_PROVIDERS, &attacker->id, &addr, 1, KAD_CONNECTED);
    assert_err(send_written(t, &r, &out), ERR_TIMEOUT);
    assert_ok(task_sleep(t, 2000));
    assert_int_equal(count_records(t, r.to, "dht-providers"), 1);

    /* no message at all, requests without a key, one that is too long, a length without its bytes */
    assert_true(is_refusal(send_raw(t, &r, BYTES_LIT("\x08\x09"))));
    assert_true(is_refusal(send_raw(t, &r, BYTES_LIT("\xff\xff\xff"))));
    static const kad_type_t types[] = {KAD_FIND_NODE, KAD_GET_VALUE, KAD_GET_PROVIDERS};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        kad_put_head(&wr, types[i], BYTES_NONE);
        assert_true(is_refusal(send_written(t, &r, &out)));
    }
    assert_true(is_refusal(send_raw(t, &r, BYTES_NONE))); /* an empty PUT_VALUE */
    refuses_bad_lengths(t, &r);

    /* and after all that it still answers, also when asked for itself */
    expect_to_find(t, &r, &w->nodes[1].id, &out);
    expect_to_find(t, &r, &r.to->id, &out);
    buf_deinit(&r.answer);
    return OK;
}

/* A flood on one stream is slowed down, the records of one peer are capped, others are served meanwhile. */
typedef struct flood {
    world_node_t *from, *to;
    size_t n;
    bool is_done;
} flood_t;

static err_t flood_call(task_t *t, void *arg)
{
    flood_t *f = arg;
    const char *protocol = KAD_PROTOCOL_LAN, *chosen;
    AUTO_PTR(stream_t) s = NULL;
    AUTO(buf_t) out;
    buf_init(&out, 4096);
    writer_t w = writer_to(&out);
    multiaddr_t addr;
    multiaddr_without_peer(&f->from->addr, &addr);
    TRY(host_open_stream(t, f->from->host, &f->to->id, &protocol, 1, &s, &chosen));
    for (size_t i = 0; i < f->n; i++) {
        uint8_t key[32] = {0};
        memcpy(key, &i, sizeof i);
        buf_clear(&out);
        kad_put_head(&w, KAD_ADD_PROVIDER, bytes_of(key, sizeof key));
        kad_put_peer(&w, KAD_PROVIDERS, &f->from->id, &addr, 1, KAD_CONNECTED);
        TRY(stream_write_message(t, s, buf_bytes(&out)));
    }
    buf_clear(&out);
    kad_put_head(&w, KAD_PING, BYTES_NONE);
    TRY(stream_write_message(t, s, buf_bytes(&out)));
    TRY(stream_read_message(t, s, 4096, &out));
    f->is_done = true;
    return OK;
}

static err_t check_flood(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 3);
    world_node_t *attacker = add_hostile(t, w, LOOPS, 3);
    w->nodes[0].routing->providers.limits.max_per_peer = 300;
    flood_t f = {attacker, &w->nodes[0], 8000, false};
    uint64_t began_ms = task_now_ms(t);
    assert_ok(sim_host_start(attacker->machine, "flood", flood_call, &f));
    assert_ok(task_sleep(t, 3000));
    assert_false(f.is_done);
    uint64_t asked_ms = task_now_ms(t);
    assert_ok(world_provide(t, &w->nodes[1], "meanwhile"));
    assert_int_equal(world_find(t, &w->nodes[2], "meanwhile", 0, NULL), 1);
    assert_true(task_now_ms(t) - asked_ms < 3000);
    while (!f.is_done)
        assert_ok(task_sleep(t, 500));
    assert_true(task_now_ms(t) - began_ms > 10 * 1000); /* 6,000 more than the burst at 500 a second */
    assert_ok(task_sleep(t, 2000));
    assert_int_equal(count_records(t, &w->nodes[0], "dht-providers"), 301);
    return OK;
}

/* Long answers that are asked for on many streams and never read: they count for the one who asked, and go
 * with it. */
static err_t hoard_call(task_t *t, void *arg)
{
    raw_t *r = arg;
    const char *protocol = KAD_PROTOCOL_LAN, *chosen;
    stream_t *streams[10];
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        TRY(host_open_stream(t, r->from->host, &r->to->id, &protocol, 1, &streams[i], &chosen));
        TRY(stream_write_message(t, streams[i], r->request));
    }
    TRY(task_sleep(t, 20 * 1000));
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        stream_reset(streams[i]);
        stream_close(streams[i]);
    }
    return OK;
}

static err_t add_providers(task_t *t, void *arg)
{
    enum { PROVIDERS = 980 };
    world_node_t *n = arg;
    multiaddr_t *addrs = xcalloc(DHT_ADDRS_PER_PEER, sizeof *addrs);
    prng_t rng;
    prng_seed(&rng, 1);
    err_t e = OK;
    for (int i = 0; i < DHT_ADDRS_PER_PEER && !e; i++) {
        char text[160];
        snprintf(text, sizeof text, "/ip4/10.66.0.%d/tcp/9/tls/sni/%060d.example/ws", i, 1);
        e = multiaddr_parse(text, &addrs[i]);
    }
    for (int i = 0; i < PROVIDERS && !e; i++) {
        peer_id_t id = made_up_peer(&rng);
        e = provider_store_add(t, &n->routing->providers, BYTES_LIT("popular"), &id, addrs,
                               DHT_ADDRS_PER_PEER);
    }
    free(addrs);
    return e;
}

static err_t check_hoard(task_t *t, void *arg)
{
    enum { ANSWER_BYTES = 600 << 10 };
    world_t *w = arg;
    world_join(t, w, 2);
    world_node_t *attacker = add_hostile(t, w, LOOPS, 2), *to = &w->nodes[0];
    assert_ok(world_on(t, to, add_providers, to));
    AUTO(buf_t) request;
    buf_init(&request, 256);
    writer_t out = writer_to(&request);
    kad_put_head(&out, KAD_GET_PROVIDERS, BYTES_LIT("popular"));
    raw_t r = {.from = attacker, .to = to, .request = buf_bytes(&request)};
    assert_ok(task_sleep(t, 60 * 1000));
    uint64_t before = host_limit(to->host)->used;
    assert_ok(sim_host_start(attacker->machine, "hoard", hoard_call, &r));
    assert_ok(task_sleep(t, 10 * 1000));
    conn_t *c = host_conn(to->host, &attacker->id);
    assert_non_null(c);
    assert_in_range(conn_limit(c)->used, 10 * ANSWER_BYTES, 32 << 20);
    assert_true(host_limit(to->host)->used >= before + 10 * ANSWER_BYTES);
    assert_ok(task_sleep(t, 80 * 1000));
    assert_true(host_limit(to->host)->used < before + ANSWER_BYTES);
    conn_t *other = host_conn(to->host, &w->nodes[1].id);
    assert_non_null(other);
    return OK;
}

/* ── streams and values ──────────────────────────────────────────────────────────────────────── */
static size_t streams_between(world_node_t *a, world_node_t *b)
{
    conn_t *c = host_conn(a->host, &b->id);
    return c ? conn_stream_count(c) : 0;
}

static err_t check_idle_streams_close(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 2);
    assert_ok(task_sleep(t, 120 * 1000));
    size_t before = streams_between(&w->nodes[0], &w->nodes[1]);
    for (int i = 0; i < 5; i++) /* one stream, used again */
        world_find(t, &w->nodes[0], "anything", 0, NULL);
    assert_int_equal(streams_between(&w->nodes[0], &w->nodes[1]), before + 1);
    assert_ok(task_sleep(t, 50 * 1000));
    assert_int_equal(streams_between(&w->nodes[0], &w->nodes[1]), before + 1);
    assert_ok(task_sleep(t, 20 * 1000));
    assert_int_equal(streams_between(&w->nodes[0], &w->nodes[1]), before);
    return OK;
}

static err_t validate_number(void *arg, bytes_t key, bytes_t value)
{
    return value.len == 1 && value.data[0] >= '0' && value.data[0] <= '9' ? OK : ERR_INVALID;
}
static int select_number(void *arg, bytes_t key, bytes_t a, bytes_t b)
{
    return (int)b.data[0] - (int)a.data[0];
}
static const record_validator_t numbers = {validate_number, select_number, NULL};

typedef struct value_call {
    world_node_t *node;
    bytes_t key, value;
    buf_t got;
} value_call_t;

static err_t put_call(task_t *t, void *arg)
{
    value_call_t *v = arg;
    return routing_put_value(t, v->node->routing, v->key, v->value);
}
static err_t get_call(task_t *t, void *arg)
{
    value_call_t *v = arg;
    return routing_get_value(t, v->node->routing, v->key, NULL, &v->got);
}

static bool holds(task_t *t, world_node_t *n, const char *value)
{
    AUTO(buf_t) got;
    buf_init(&got, VALUE_MAX_BYTES);
    uint64_t wall_ms;
    return value_store_get(t, &n->routing->values, BYTES_LIT("/num/x"), &got, &wall_ms) == OK &&
           bytes_equal(buf_bytes(&got), bytes_str(value));
}

static err_t check_values(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, 12);
    for (size_t i = 0; i < w->n; i++)
        assert_ok(routing_set_validator(w->nodes[i].routing, "num", &numbers));
    value_call_t v = {.node = &w->nodes[2], .key = BYTES_LIT("/num/x"), .value = BYTES_LIT("3")};
    buf_init(&v.got, VALUE_MAX_BYTES);
    assert_err(world_on(t, v.node, get_call, &v), ERR_NOT_FOUND);
    assert_ok(world_on(t, v.node, put_call, &v));
    v.node = &w->nodes[7];
    assert_ok(world_on(t, v.node, get_call, &v));
    assert_bytes(buf_bytes(&v.got), BYTES_LIT("3"));

    /* one peer has a newer one, another an older one: the newest is found and given to all */
    peer_id_t none = {0};
    assert_ok(value_store_put(t, &w->nodes[4].routing->values, &none, v.key, BYTES_LIT("8")));
    assert_true(holds(t, &w->nodes[5], "3"));
    assert_ok(world_on(t, v.node, get_call, &v));
    assert_bytes(buf_bytes(&v.got), BYTES_LIT("8"));
    for (size_t i = 0; i < w->n; i++)
        if (i != 7)
            assert_true(holds(t, &w->nodes[i], "8"));
    v.value = BYTES_LIT("5");
    assert_err(world_on(t, v.node, put_call, &v), ERR_UNREACHABLE); /* they all have a better one */
    assert_true(holds(t, &w->nodes[5], "8"));
    v.key = BYTES_LIT("/unknown/x");
    assert_err(world_on(t, v.node, put_call, &v), ERR_UNSUPPORTED);
    assert_err(world_on(t, v.node, get_call, &v), ERR_NOT_FOUND);
    buf_deinit(&v.got);
    return OK;
}

#define WORLD_TEST(name)                                                                                     \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        world_run(world_new(11), check_##name);                                                              \
    }
WORLD_TEST(hostile_servers)
WORLD_TEST(echo_trap)
WORLD_TEST(bad_requests)
WORLD_TEST(flood)
WORLD_TEST(idle_streams_close)
WORLD_TEST(values)
WORLD_TEST(hoard)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_servers),
        cmocka_unit_test(test_echo_trap),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_idle_streams_close),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_hoard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
