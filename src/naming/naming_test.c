/* Whole nodes in the simulator: names are published, looked up from afar, sent out again, fought over. */
#include "naming/naming_impl.h"
#include "tests/support/dht.h"

#define CID_A "/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
#define CID_B "/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"
enum { NODES = 10, HOUR_MS = 3600 * 1000, MINUTE_MS = 60 * 1000 };

typedef struct named_node {
    world_node_t *node;
    naming_config_t config;
    keystore_t *keys;
    naming_t *naming;
} named_node_t;
static named_node_t named[WORLD_MAX_NODES];

static err_t open_naming(task_t *t, void *arg)
{
    named_node_t *n = arg;
    if (!n->keys)
        TRY(keystore_open(t, "keys", &n->keys));
    n->config.keys = n->keys;
    n->config.state = n->node->kv;
    n->config.self = n->node->key;
    TRY(naming_open(task_sched(t), &n->config, &n->naming));
    return n->node->routing ? naming_go_online(n->naming, n->node->routing) : OK;
}

static err_t close_naming(task_t *t, void *arg)
{
    named_node_t *n = arg;
    naming_close(t, n->naming);
    keystore_close(n->keys);
    n->naming = NULL;
    n->keys = NULL;
    return OK;
}

static void start_all(task_t *t, world_t *w, size_t count)
{
    world_join(t, w, count);
    for (size_t i = 0; i < count; i++) {
        named[i] = (named_node_t){.node = &w->nodes[i]};
        naming_config_default(&named[i].config);
        named[i].config.lifetime_ms =
            4 * HOUR_MS; /* shorter than by default: simulated hours take time, too */
        named[i].config.republish_ms = HOUR_MS;
        assert_ok(world_on(t, &w->nodes[i], open_naming, &named[i]));
    }
}

static void stop_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (named[i].naming)
            assert_ok(world_on(t, &w->nodes[i], close_naming, &named[i]));
}

/* ── calls on a node's machine ───────────────────────────────────────────────────────────────── */
typedef struct publishing {
    naming_t *naming;
    const private_key_t *key;
    const char *value;
    const naming_publish_t *options;
} publishing_t;

static err_t publish_call(task_t *t, void *arg)
{
    publishing_t *p = arg;
    return naming_publish(t, p->naming, p->key, p->value, p->options);
}

static err_t publish(task_t *t, size_t on, const private_key_t *key, const char *value,
                     const naming_publish_t *o)
{
    publishing_t p = {named[on].naming, key, value, o};
    return world_on(t, named[on].node, publish_call, &p);
}

typedef struct resolving {
    naming_t *naming;
    const char *path;
    const naming_options_t *options;
    naming_answer_t answer;
} resolving_t;

static err_t resolve_call(task_t *t, void *arg)
{
    resolving_t *r = arg;
    return naming_resolve(t, r->naming, r->path, r->options, &r->answer);
}

/* Asks the node; its answer as text, kept until the next call. "" and the error when there is none. */
static const char *resolve_with(task_t *t, size_t on, const char *path, const naming_options_t *o, err_t *ret)
{
    static char text[1024];
    resolving_t r = {.naming = named[on].naming, .path = path, .options = o};
    *ret = world_on(t, named[on].node, resolve_call, &r);
    snprintf(text, sizeof text, "%.*s", *ret ? 0 : (int)r.answer.path.len, (const char *)r.answer.path.data);
    naming_answer_deinit(&r.answer);
    return text;
}

static void expect(task_t *t, size_t on, const char *path, bool skips_cache, const char *wanted)
{
    naming_options_t o;
    err_t e;
    naming_options_default(&o);
    o.skips_cache = skips_cache;
    const char *got = resolve_with(t, on, path, &o, &e);
    if (e)
        fail_msg("%s: %s (%s)", path, error_name(e), error_text(e));
    assert_string_equal(got, wanted);
}

static void expect_err(task_t *t, size_t on, const char *path, err_t wanted)
{
    naming_options_t o;
    err_t e;
    naming_options_default(&o);
    o.skips_cache = true;
    resolve_with(t, on, path, &o, &e);
    assert_int_equal(e, wanted);
}

static const char *name_of(size_t i, const char *rest)
{
    static char text[256], id[PEER_ID_TEXT_MAX];
    snprintf(text, sizeof text, "/ipns/%s%s", name_print(&named[i].node->id, id), rest);
    return text;
}

/* The newest record of a node's name that another finds. */
typedef struct fetching {
    naming_t *naming;
    const peer_id_t *name;
    buf_t record;
} fetching_t;

static err_t fetch_call(task_t *t, void *arg)
{
    fetching_t *f = arg;
    naming_options_t o;
    naming_options_default(&o);
    o.skips_cache = true;
    return naming_get_record(t, f->naming, f->name, &o, &f->record);
}

static uint64_t sequence_of(task_t *t, size_t on, size_t of)
{
    fetching_t f = {named[on].naming, &named[of].node->id, {0}};
    ipns_record_t r;
    buf_init(&f.record, NAMING_RECORD_MAX_BYTES);
    assert_ok(world_on(t, named[on].node, fetch_call, &f));
    assert_ok(ipns_record_decode(buf_bytes(&f.record), &r));
    uint64_t sequence = r.signed_fields.sequence;
    buf_deinit(&f.record);
    return sequence;
}

typedef struct putting {
    named_node_t *on;
    peer_id_t name;
    buf_t record;
} putting_t;

static err_t put_call(task_t *t, void *arg)
{
    putting_t *p = arg;
    return naming_put_record(t, p->on->naming, &p->name, buf_bytes(&p->record));
}

static void sign(task_t *t, world_t *w, size_t by, const char *value, uint64_t sequence, int64_t life_s,
                 buf_t *out)
{
    ipns_new_t f = {.value = bytes_str(value), .sequence = sequence, .ttl_ns = 1000000000};
    f.end_s = (int64_t)(driver_wall_ms(sim_host_driver(w->nodes[0].machine)) / 1000) + life_s;
    buf_clear(out);
    assert_ok(ipns_record_create(w->nodes[by].key, &f, out));
}

/* ── publishing and looking up ───────────────────────────────────────────────────────────────── */
static err_t check_far_names(task_t *t, void *arg)
{
    world_t *w = arg;
    start_all(t, w, NODES);
    expect_err(t, 7, name_of(2, ""), ERR_NOT_FOUND);
    assert_ok(publish(t, 2, w->nodes[2].key, CID_A, NULL));
    expect(t, 7, name_of(2, ""), true, CID_A);
    expect(t, 7, name_of(2, "/a/b?c"), false, CID_A "/a/b?c");
    expect(t, 2, name_of(2, "/"), false, CID_A "/");
    assert_int_equal(sequence_of(t, 7, 2), 0);
    assert_ok(publish(t, 2, w->nodes[2].key, CID_A, NULL));
    assert_int_equal(sequence_of(t, 7, 2), 0); /* the same value */
    assert_ok(publish(t, 2, w->nodes[2].key, CID_B "/dir", NULL));
    assert_int_equal(sequence_of(t, 7, 2), 1);
    expect(t, 7, name_of(2, ""), false, CID_A); /* its cache may say so for the TTL */
    expect(t, 7, name_of(2, "/x"), true, CID_B "/dir/x");
    assert_ok(task_sleep(t, NAMING_TTL_MS));
    expect(t, 4, name_of(2, ""), false, CID_B "/dir");
    /* a sequence of one's own has to be above */
    naming_publish_t o;
    naming_publish_default(&o);
    o.has_sequence = true;
    o.sequence = 1;
    assert_err(publish(t, 2, w->nodes[2].key, CID_A, &o), ERR_INVALID);
    o.sequence = 100;
    o.is_v2_only = true;
    assert_ok(publish(t, 2, w->nodes[2].key, CID_A, &o));
    assert_int_equal(sequence_of(t, 4, 2), 100);
    /* one name that points to another */
    assert_ok(publish(t, 3, w->nodes[3].key, name_of(2, "/deep"), NULL));
    expect(t, 8, name_of(3, "/er"), true, CID_A "/deep/er");
    stop_all(t, w);
    return OK;
}

/* A key that no name holds: its record brings it along, and it can be asked for. */
static err_t check_rsa_names(task_t *t, void *arg)
{
    world_t *w = arg;
    AUTO_PTR(private_key_t) key = NULL;
    char path[256], id[PEER_ID_TEXT_MAX];
    peer_id_t name;
    start_all(t, w, NODES);
    assert_ok(private_key_generate(KEY_RSA, NULL, 2048, &key));
    assert_ok(peer_id_of(private_key_public(key), &name));
    assert_ok(publish(t, 1, key, CID_B, NULL));
    snprintf(path, sizeof path, "/ipns/%s", peer_id_print(&name, id));
    expect(t, 6, path, true, CID_B);
    snprintf(path, sizeof path, "ipns://%s/x", name_print(&name, id));
    expect(t, 9, path, true, CID_B "/x");
    stop_all(t, w);
    return OK;
}

static err_t check_depth(task_t *t, void *arg)
{
    world_t *w = arg;
    naming_options_t o;
    err_t e;
    char other[256];
    start_all(t, w, 4);
    snprintf(other, sizeof other, "%s", name_of(1, ""));
    assert_ok(publish(t, 0, w->nodes[0].key, other, NULL));
    assert_ok(publish(t, 1, w->nodes[1].key, CID_A, NULL));
    naming_options_default(&o);
    o.depth = 1;
    assert_string_equal(resolve_with(t, 2, name_of(0, ""), &o, &e), other);
    assert_ok(e);
    o.depth = 2;
    assert_string_equal(resolve_with(t, 2, name_of(0, ""), &o, &e), CID_A);
    /* a circle ends */
    snprintf(other, sizeof other, "%s", name_of(0, ""));
    assert_ok(publish(t, 1, w->nodes[1].key, other, NULL));
    assert_ok(task_sleep(t, NAMING_TTL_MS + 1));
    expect_err(t, 2, name_of(0, ""), ERR_LIMIT);
    o.depth = NAMING_DEPTH_NO_LIMIT;
    resolve_with(t, 2, name_of(0, ""), &o, &e);
    assert_int_equal(e, ERR_LIMIT);
    expect(t, 2, CID_A "/x", false, CID_A "/x");
    static const char *const bad[] = {
        "",          "x",
        "/ipns/",    "/ipfs/nonsense",
        "/other/x",  "/ipns/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
        "/ipns/a..b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_err(t, 2, bad[i], ERR_INVALID);
    stop_all(t, w);
    return OK;
}

/* ── time ────────────────────────────────────────────────────────────────────────────────────── */
static err_t keep_key(task_t *t, void *arg)
{
    return keystore_put(t, named[3].keys, "blog", arg);
}

static err_t check_republished(task_t *t, void *arg)
{
    world_t *w = arg;
    naming_publish_t o;
    start_all(t, w, 5);
    naming_publish_default(&o);
    o.lifetime_ms = 2 * HOUR_MS;
    assert_ok(publish(t, 3, w->nodes[3].key, CID_A, &o));
    assert_ok(world_on(t, &w->nodes[3], keep_key, w->nodes[4].key)); /* a named key besides its own */
    assert_ok(publish(t, 3, w->nodes[4].key, CID_B, &o));
    assert_ok(task_sleep(t, 270 * MINUTE_MS));
    expect(t, 2, name_of(3, ""), true, CID_A);
    expect(t, 2, name_of(4, ""), true, CID_B);
    assert_int_equal(sequence_of(t, 2, 3), 0);
    /* its publisher goes: the name lives on for what is left of its last lifetime, and no longer */
    assert_ok(world_on(t, &w->nodes[3], close_naming, &named[3]));
    world_stop(t, &w->nodes[3]);
    assert_ok(task_sleep(t, 2 * HOUR_MS));
    expect(t, 2, name_of(3, ""), true, CID_A);
    assert_ok(task_sleep(t, 2 * HOUR_MS));
    expect_err(t, 2, name_of(3, ""), ERR_NOT_FOUND);
    /* it comes back with what it had published, and sends it out by itself */
    world_start(t, &w->nodes[3]);
    world_connect(t, &w->nodes[3], &w->nodes[0]);
    assert_ok(world_on(t, &w->nodes[3], open_naming, &named[3]));
    assert_ok(task_sleep(t, 10 * MINUTE_MS));
    expect(t, 2, name_of(3, ""), true, CID_A);
    stop_all(t, w);
    return OK;
}

/* Who knows nobody can publish, and what he published goes out when he meets somebody. */
static err_t check_alone(task_t *t, void *arg)
{
    world_t *w = arg;
    start_all(t, w, 4);
    world_node_t *alone = world_add(w, "10.0.7.7");
    named[4] = (named_node_t){.node = alone, .config = named[0].config};
    world_start(t, alone);
    assert_ok(world_on(t, alone, open_naming, &named[4]));
    assert_ok(publish(t, 4, alone->key, CID_A, NULL));
    expect(t, 4, name_of(4, "/x"), false, CID_A "/x");
    putting_t p = {.on = &named[4], .name = w->nodes[1].id};
    buf_init(&p.record, NAMING_RECORD_MAX_BYTES);
    sign(t, w, 1, CID_B, 50, 3600, &p.record);
    assert_ok(world_on(t, alone, put_call, &p));
    expect(t, 4, name_of(1, ""), true, CID_B);
    buf_deinit(&p.record);
    expect_err(t, 2, name_of(4, ""), ERR_NOT_FOUND);
    world_connect(t, alone, &w->nodes[0]);
    assert_ok(task_sleep(t, 5 * MINUTE_MS));
    expect(t, 2, name_of(4, ""), true, CID_A);
    stop_all(t, w);
    return OK;
}

/* A long life that was asked for is not cut short by sending the record out again; nor is its TTL changed. */
static err_t check_long_life(task_t *t, void *arg)
{
    world_t *w = arg;
    start_all(t, w, 4);
    naming_publish_t o;
    naming_publish_default(&o);
    o.lifetime_ms = UINT64_C(240) * HOUR_MS;
    o.ttl_ms = 7000;
    o.is_v2_only = true;
    assert_ok(publish(t, 1, w->nodes[1].key, CID_B, &o));
    assert_ok(task_sleep(t, 130 * MINUTE_MS));
    fetching_t f = {named[3].naming, &w->nodes[1].id, {0}};
    ipns_record_t r;
    buf_init(&f.record, NAMING_RECORD_MAX_BYTES);
    assert_ok(world_on(t, &w->nodes[3], fetch_call, &f));
    assert_ok(ipns_record_decode(buf_bytes(&f.record), &r));
    assert_false(r.has_v1);
    assert_int_equal(r.signed_fields.ttl_ns, UINT64_C(7000000000));
    int64_t left_s = r.end_s - (int64_t)(driver_wall_ms(sim_host_driver(w->nodes[3].machine)) / 1000);
    assert_in_range(left_s, 237 * 3600, 238 * 3600);
    buf_deinit(&f.record);
    stop_all(t, w);
    return OK;
}

/* ── at once ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct rival {
    publishing_t publishing;
    err_t result;
} rival_t;

static err_t rival_task(task_t *t, void *arg)
{
    rival_t *r = arg;
    r->result = publish_call(t, &r->publishing);
    return OK;
}

static err_t publish_at_once(task_t *t, void *arg)
{
    enum { RIVALS = 4 };
    named_node_t *n = arg;
    rival_t rivals[RIVALS];
    char values[RIVALS][128];
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < RIVALS; i++) {
        snprintf(values[i], sizeof values[i], "%s/%d", CID_A, i);
        rivals[i] = (rival_t){{n->naming, n->node->key, values[i], NULL}, OK};
        assert_ok(group_spawn(&g, "rival", rival_task, &rivals[i], NULL));
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    for (int i = 0; i < RIVALS; i++) /* one that is out of date before it was sent is refused, and no more */
        assert_true(rivals[i].result == OK || rivals[i].result == ERR_EXISTS ||
                    rivals[i].result == ERR_UNREACHABLE);
    return rivals[RIVALS - 1].result;
}

/* The node is about to send out again when another record takes the place of the one that it has read. */
static err_t replace_meanwhile(task_t *t, void *arg)
{
    named_node_t *n = arg;
    AUTO(buf_t) record;
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    ipns_new_t f = {.value = BYTES_LIT(CID_B), .sequence = 77, .ttl_ns = 1000000000};
    f.end_s = (int64_t)(driver_wall_ms(task_driver(t)) / 1000) + 36000;
    assert_true(gate_try_enter(&n->naming->publishing));
    assert_ok(task_sleep(t, HOUR_MS + 2 * MINUTE_MS)); /* it waits for the gate by now */
    assert_ok(ipns_record_create(n->node->key, &f, &record));
    assert_ok(own_record_put(t, n->naming, &n->node->id, buf_bytes(&record)));
    gate_leave(&n->naming->publishing);
    assert_ok(task_sleep(t, 10000));
    assert_ok(own_record_get(t, n->naming, &n->node->id, &record));
    ipns_record_t r;
    assert_ok(ipns_record_decode(buf_bytes(&record), &r));
    assert_int_equal(r.signed_fields.sequence, 77);
    return OK;
}

/* Those who publish at once get a number each, and the last one wins everywhere. Sending out again never
 * brings back what was replaced meanwhile. */
static err_t check_at_once(task_t *t, void *arg)
{
    world_t *w = arg;
    start_all(t, w, 6);
    assert_ok(world_on(t, &w->nodes[1], publish_at_once, &named[1]));
    assert_int_equal(sequence_of(t, 4, 1), 3);
    expect(t, 4, name_of(1, ""), true, CID_A "/3");
    assert_ok(world_on(t, &w->nodes[1], replace_meanwhile, &named[1]));
    expect(t, 1, name_of(1, ""), false, CID_B);
    stop_all(t, w);
    return OK;
}

typedef struct told {
    char paths[4][128];
    size_t n;
} told_t;

static void tell(void *arg, const char *path)
{
    told_t *told = arg;
    if (told->n < ARRAY_LEN(told->paths))
        snprintf(told->paths[told->n++], sizeof told->paths[0], "%s", path);
}

/* Who follows a search hears of what it finds, with the rest of the path. */
static err_t check_told(task_t *t, void *arg)
{
    world_t *w = arg;
    told_t told = {0};
    naming_options_t o;
    err_t e;
    start_all(t, w, 6);
    assert_ok(publish(t, 2, w->nodes[2].key, CID_B, NULL));
    naming_options_default(&o);
    o.found = tell;
    o.found_arg = &told;
    assert_string_equal(resolve_with(t, 5, name_of(2, "/x"), &o, &e), CID_B "/x");
    assert_int_equal(told.n, 1);
    assert_string_equal(told.paths[0], CID_B "/x");
    resolve_with(t, 5, name_of(2, "/x"), &o, &e); /* from the cache: nothing is searched */
    assert_int_equal(told.n, 1);
    stop_all(t, w);
    return OK;
}

/* ── others ──────────────────────────────────────────────────────────────────────────────────── */
/* Two holders of one key: the newest wins everywhere, and a first publication looks at what is out there. */
static err_t check_two_writers(task_t *t, void *arg)
{
    world_t *w = arg;
    start_all(t, w, NODES);
    assert_ok(publish(t, 1, w->nodes[5].key, CID_A, NULL));
    assert_ok(publish(t, 1, w->nodes[5].key, CID_B, NULL));
    assert_ok(publish(t, 2, w->nodes[5].key, CID_A "/2", NULL));
    assert_int_equal(sequence_of(t, 9, 5), 2);
    expect(t, 9, name_of(5, ""), true, CID_A "/2");
    expect(t, 1, name_of(5, ""), true, CID_A "/2"); /* even where another was published, when asked anew */
    stop_all(t, w);
    return OK;
}

/* Records of other names, changed ones and old ones are refused by whoever is asked to keep them. */
static err_t check_hostile_records(task_t *t, void *arg)
{
    world_t *w = arg;
    start_all(t, w, NODES);
    putting_t p = {.on = &named[8], .name = w->nodes[1].id};
    buf_init(&p.record, NAMING_RECORD_MAX_BYTES);
    sign(t, w, 2, CID_B, 50, 3600, &p.record); /* another's key */
    assert_err(world_on(t, &w->nodes[8], put_call, &p), ERR_CRYPTO);
    sign(t, w, 1, CID_B, 50, -10, &p.record);
    assert_err(world_on(t, &w->nodes[8], put_call, &p), ERR_INVALID);
    sign(t, w, 1, CID_B, 50, 3600, &p.record);
    p.record.data[p.record.len - 3] ^= 1;
    assert_true(world_on(t, &w->nodes[8], put_call, &p) != OK);
    expect_err(t, 6, name_of(1, ""), ERR_NOT_FOUND);
    /* a good one of somebody else is passed on */
    sign(t, w, 1, CID_A, 50, 3600, &p.record);
    assert_ok(world_on(t, &w->nodes[8], put_call, &p));
    expect(t, 6, name_of(1, ""), true, CID_A);
    /* an old one does not come back */
    sign(t, w, 1, CID_B, 49, 36000, &p.record);
    assert_true(world_on(t, &w->nodes[8], put_call, &p) != OK);
    expect(t, 6, name_of(1, ""), true, CID_A);
    /* when the better one has run out, the other is as good as new */
    assert_ok(task_sleep(t, 2 * HOUR_MS));
    expect_err(t, 6, name_of(1, ""), ERR_NOT_FOUND);
    assert_ok(world_on(t, &w->nodes[8], put_call, &p));
    expect(t, 6, name_of(1, ""), true, CID_B);
    buf_deinit(&p.record);
    stop_all(t, w);
    return OK;
}

#define WORLD_TEST(name)                                                                                     \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        memset(named, 0, sizeof named);                                                                      \
        world_run(world_new(11), check_##name);                                                              \
    }
WORLD_TEST(far_names)
WORLD_TEST(rsa_names)
WORLD_TEST(depth)
WORLD_TEST(republished)
WORLD_TEST(alone)
WORLD_TEST(long_life)
WORLD_TEST(at_once)
WORLD_TEST(told)
WORLD_TEST(two_writers)
WORLD_TEST(hostile_records)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_far_names),   cmocka_unit_test(test_rsa_names),
        cmocka_unit_test(test_depth),       cmocka_unit_test(test_republished),
        cmocka_unit_test(test_alone),       cmocka_unit_test(test_long_life),
        cmocka_unit_test(test_at_once),     cmocka_unit_test(test_told),
        cmocka_unit_test(test_two_writers), cmocka_unit_test(test_hostile_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
