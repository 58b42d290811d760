/* Names over pubsub, in the simulator: records come by themselves, who joins asks for them, what is bad stays
 * out. */
#include "naming/naming_impl.h"
#include "tests/support/dht.h"
#include "wire/fetch.h"

#define CID_A "/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
#define CID_B "/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"
enum { NODES = 4 };

typedef struct follower {
    world_node_t *node;
    keystore_t *keys;
    naming_t *naming;
    pubsub_t *pubsub;
} follower_t;
static follower_t followers[NODES];

static err_t open_follower(task_t *t, void *arg)
{
    follower_t *f = arg;
    naming_config_t c;
    pubsub_config_t pc;
    naming_config_default(&c);
    pubsub_config_default(&pc);
    TRY(keystore_open(t, "keys", &f->keys));
    c.keys = f->keys;
    c.state = f->node->kv;
    c.self = f->node->key;
    TRY(naming_open(task_sched(t), &c, &f->naming));
    TRY(naming_go_online(f->naming, f->node->routing));
    pc.host = f->node->host;
    pc.key = f->node->key;
    TRY(pubsub_start(t, &pc, &f->pubsub));
    return naming_use_pubsub(f->naming, f->pubsub, f->node->host);
}

static err_t close_follower(task_t *t, void *arg)
{
    follower_t *f = arg;
    naming_close(t, f->naming);
    pubsub_close(t, f->pubsub);
    keystore_close(f->keys);
    *f = (follower_t){0};
    return OK;
}

static err_t publish_call(task_t *t, void *arg)
{
    follower_t *f = &followers[0];
    return naming_publish(t, f->naming, f->node->key, arg, NULL);
}

typedef struct resolving {
    naming_t *naming;
    uint64_t took_ms;
    char got[256];
} resolving_t;

static err_t resolve_call(task_t *t, void *arg)
{
    resolving_t *r = arg;
    naming_options_t o;
    AUTO(naming_answer_t) answer = {0};
    char path[PEER_ID_TEXT_MAX + 8], name[PEER_ID_TEXT_MAX];
    naming_options_default(&o);
    o.skips_cache = true;
    snprintf(path, sizeof path, "/ipns/%s", name_print(&followers[0].node->id, name));
    uint64_t began = task_now_ms(t);
    TRY(naming_resolve(t, r->naming, path, &o, &answer));
    r->took_ms = task_now_ms(t) - began;
    snprintf(r->got, sizeof r->got, "%.*s", (int)answer.path.len, (const char *)answer.path.data);
    return OK;
}

/* What node i says that node 0's name means, and how long that took. */
static uint64_t expect(task_t *t, size_t i, const char *wanted)
{
    resolving_t r = {.naming = followers[i].naming};
    assert_ok(world_on(t, followers[i].node, resolve_call, &r));
    assert_string_equal(r.got, wanted);
    return r.took_ms;
}

static bool count_name(void *arg, const peer_id_t *name)
{
    ++*(size_t *)arg;
    return true;
}

static size_t followed_count(size_t i)
{
    size_t n = 0;
    naming_each_followed(followers[i].naming, count_name, &n);
    return n;
}

/* ── asking and saying what is not to be believed ────────────────────────────────────────────── */
static err_t ask_call(task_t *t, void *arg)
{
    static const char *const protocols[] = {FETCH_PROTOCOL};
    world_t *w = arg;
    AUTO(buf_t) out = {0}, in = {0};
    bytes_t value;
    stream_t *s;
    uint8_t key[NAME_KEY_MAX_BYTES];
    buf_init(&out, FETCH_REQUEST_MAX_BYTES);
    buf_init(&in, FETCH_ANSWER_MAX_BYTES);
    for (size_t i = 0; i < 2; i++) { /* a name that is followed, and one that is not */
        assert_ok(host_open_stream(t, w->nodes[3].host, &w->nodes[0].id, protocols, 1, &s, NULL));
        buf_clear(&out);
        writer_t put = writer_to(&out);
        fetch_put_request(&put, bytes_of(key, name_key(&w->nodes[i].id, key)));
        assert_ok(stream_write_message(t, s, buf_bytes(&out)));
        assert_ok(stream_read_message(t, s, FETCH_ANSWER_MAX_BYTES, &in));
        assert_err(fetch_decode_answer(buf_bytes(&in), &value), i ? ERR_NOT_FOUND : OK);
        stream_close(s);
    }
    assert_ok(host_open_stream(t, w->nodes[3].host, &w->nodes[0].id, protocols, 1, &s, NULL));
    assert_ok(stream_write_message(t, s, BYTES_LIT("nonsense")));
    assert_true(stream_read_message(t, s, FETCH_ANSWER_MAX_BYTES, &in) != OK);
    stream_close(s);
    return OK;
}

/* A record of node 0's that somebody else signed, and words that are none. */
static err_t forge_call(task_t *t, void *arg)
{
    world_t *w = arg;
    AUTO(buf_t) record = {0};
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    ipns_new_t fields = {.value = BYTES_LIT(CID_B), .sequence = 1000, .ttl_ns = 1000000000};
    fields.end_s = (int64_t)(driver_wall_ms(task_driver(t)) / 1000) + 1000;
    assert_ok(ipns_record_create(w->nodes[3].key, &fields, &record));
    followed_publish(t, followers[3].naming, &w->nodes[0].id, buf_bytes(&record));
    followed_publish(t, followers[3].naming, &w->nodes[0].id, BYTES_LIT("no record"));
    return OK;
}

static err_t scenario(task_t *t, void *arg)
{
    world_t *w = arg;
    world_join(t, w, NODES);
    for (size_t i = 0; i < NODES; i++) {
        followers[i] = (follower_t){.node = &w->nodes[i]};
        assert_ok(world_on(t, &w->nodes[i], open_follower, &followers[i]));
        assert_true(naming_uses_pubsub(followers[i].naming));
    }
    assert_int_equal(followed_count(0), 0);
    assert_ok(world_on(t, &w->nodes[0], publish_call, (void *)CID_A));
    assert_int_equal(followed_count(0), 1);
    expect(t, 1, CID_A);
    expect(t, 2, CID_A);
    assert_int_equal(followed_count(1), 1);
    assert_ok(task_sleep(t, 3000)); /* they are in one mesh */
    assert_ok(world_on(t, &w->nodes[0], publish_call, (void *)CID_B));
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(expect(t, 1, CID_B), 0); /* nobody had to be asked */
    assert_int_equal(expect(t, 2, CID_B), 0);
    expect(t, 3, CID_B);
    assert_ok(task_sleep(t, 3000));
    assert_ok(world_on(t, &w->nodes[3], ask_call, w));
    assert_ok(world_on(t, &w->nodes[3], forge_call, w));
    assert_ok(task_sleep(t, 3000));
    for (size_t i = 0; i < NODES; i++)
        expect(t, i, CID_B);
    assert_true(naming_unfollow(followers[1].naming, &w->nodes[0].id));
    assert_false(naming_unfollow(followers[1].naming, &w->nodes[0].id));
    assert_int_equal(followed_count(1), 0);
    expect(t, 1, CID_B); /* and it is followed again, from what another had */
    assert_ok(task_sleep(t, 11 * 60 * 1000));
    expect(t, 2, CID_B);
    for (size_t i = 0; i < NODES; i++)
        assert_ok(world_on(t, &w->nodes[i], close_follower, &followers[i]));
    return OK;
}

static void test_followed(void **state)
{
    world_run(world_new(11), scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_followed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
