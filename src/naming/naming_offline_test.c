/* What works without a network of nodes: own records, the static map, DNS; the cache. */
#include "naming/naming_impl.h"
#include "sim/sim.h"
#include "tests/support/test.h"

#define CID_A "/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
#define CID_B "/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"
enum { HOUR_MS = 3600 * 1000 };

/* ── offline ───────────────────────────────────────────────────────────────── */
static err_t offline_scenario(task_t *t, void *arg)
{
    sim_t *s = arg;
    naming_config_t c;
    naming_t *n;
    keystore_t *keys;
    AUTO_PTR(private_key_t) self = NULL;
    AUTO_PTR(private_key_t) other = NULL;
    AUTO_PTR(private_key_t) found = NULL;
    char path[256], id[PEER_ID_TEXT_MAX];
    peer_id_t name;
    naming_publish_t local;
    naming_answer_t a;
    static const uint8_t seed[32] = {3}, other_seed[32] = {4};
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &self));
    assert_ok(private_key_generate(KEY_ED25519, other_seed, 0, &other));
    assert_ok(keystore_open(t, "keys", &keys));
    assert_ok(keystore_put(t, keys, "blog", other));
    naming_config_default(&c);
    c.state = kv_memory_new();
    c.keys = keys;
    c.self = self;
    c.static_map = "fixed.example:" CID_A ",other.example:/ipns/fixed.example/sub";
    assert_ok(naming_open(task_sched(t), &c, &n));
    naming_publish_default(&local);
    assert_err(naming_publish(t, n, self, CID_A, &local), ERR_OFFLINE);
    local.is_local = true;
    assert_err(naming_publish(t, n, self, "nonsense", &local), ERR_INVALID);
    /* by the name of the key, by its peer ID */
    assert_ok(naming_find_key(t, n, "blog", &found));
    assert_ok(naming_publish(t, n, found, CID_B, &local));
    assert_ok(peer_id_of(private_key_public(other), &name));
    snprintf(path, sizeof path, "/ipns/%s/x", name_print(&name, id));
    assert_ok(naming_resolve(t, n, path, NULL, &a));
    assert_bytes(buf_bytes(&a.path), BYTES_LIT(CID_B "/x"));
    assert_true(a.has_ttl && a.ttl_ms == NAMING_TTL_MS);
    naming_answer_deinit(&a);
    private_key_free(found);
    found = NULL;
    assert_ok(naming_find_key(t, n, id, &found));
    assert_true(public_key_equal(private_key_public(found), private_key_public(other)));
    private_key_free(found);
    found = NULL;
    assert_err(naming_find_key(t, n, "nobody", &found), ERR_NOT_FOUND);
    assert_err(naming_find_key(t, n, "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5", &found),
               ERR_NOT_FOUND);
    /* the static map */
    assert_ok(naming_resolve(t, n, "/ipns/other.example/y", NULL, &a));
    assert_bytes(buf_bytes(&a.path), BYTES_LIT(CID_A "/sub/y"));
    assert_false(a.has_ttl);
    naming_answer_deinit(&a);
    bool has;
    assert_ok(naming_has_dnslink(t, n, "fixed.example", &has));
    assert_true(has);
    /* its own record is still there when the name is opened again, and ends in time */
    naming_close(t, n);
    c.static_map = NULL;
    assert_ok(naming_open(task_sched(t), &c, &n));
    assert_ok(naming_resolve(t, n, path, NULL, &a));
    naming_answer_deinit(&a);
    assert_ok(task_sleep(t, UINT64_C(49) * HOUR_MS));
    assert_err(naming_resolve(t, n, path, NULL, &a), ERR_NOT_FOUND);
    naming_close(t, n);
    c.static_map = "fixed.example:nonsense";
    assert_err(naming_open(task_sched(t), &c, &n), ERR_USAGE);
    kv_close(t, c.state);
    keystore_close(keys);
    sim_dns_clear(s, "");
    return OK;
}

static void expect_domain(task_t *t, naming_t *n, const char *path, const char *wanted, err_t error)
{
    naming_answer_t a;
    err_t e = naming_resolve(t, n, path, NULL, &a);
    if (e != error)
        fail_msg("%s: %s (%s)", path, error_name(e), error_text(e));
    if (e)
        return;
    assert_bytes(buf_bytes(&a.path), bytes_str(wanted));
    naming_answer_deinit(&a);
}

/* Records that others have signed are kept here while there is no network; the best one of a name alone. */
static err_t kept_scenario(task_t *t, void *arg)
{
    naming_config_t c;
    naming_t *n;
    static const uint8_t seed[32] = {3}, other_seed[32] = {4};
    AUTO_PTR(private_key_t) self = NULL;
    AUTO_PTR(private_key_t) other = NULL;
    AUTO(buf_t) record;
    naming_answer_t a;
    peer_id_t name, mine;
    char path[256], id[PEER_ID_TEXT_MAX];
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &self));
    assert_ok(private_key_generate(KEY_ED25519, other_seed, 0, &other));
    assert_ok(peer_id_of(private_key_public(other), &name));
    assert_ok(peer_id_of(private_key_public(self), &mine));
    naming_config_default(&c);
    c.state = kv_memory_new();
    assert_ok(keystore_open(t, "keys", &c.keys));
    c.self = self;
    assert_ok(naming_open(task_sched(t), &c, &n));
    ipns_new_t f = {.value = BYTES_LIT(CID_A), .sequence = 5, .ttl_ns = 1000000000};
    f.end_s = (int64_t)(driver_wall_ms(task_driver(t)) / 1000) + 3600;
    assert_ok(ipns_record_create(other, &f, &record));
    assert_err(naming_put_record(t, n, &mine, buf_bytes(&record)), ERR_CRYPTO);
    assert_ok(naming_put_record(t, n, &name, buf_bytes(&record)));
    snprintf(path, sizeof path, "/ipns/%s", name_print(&name, id));
    assert_ok(naming_resolve(t, n, path, NULL, &a));
    assert_bytes(buf_bytes(&a.path), BYTES_LIT(CID_A));
    naming_answer_deinit(&a);
    f.sequence = 4;
    buf_clear(&record);
    assert_ok(ipns_record_create(other, &f, &record));
    assert_err(naming_put_record(t, n, &name, buf_bytes(&record)), ERR_EXISTS);
    assert_ok(task_sleep(t, 2 * HOUR_MS)); /* nothing is left of the better one */
    f.end_s += 7200;
    buf_clear(&record);
    assert_ok(ipns_record_create(other, &f, &record));
    assert_ok(naming_put_record(t, n, &name, buf_bytes(&record)));
    /* a name whose key has gone is no longer ours to answer */
    naming_publish_t o;
    naming_publish_default(&o);
    o.is_local = true;
    o.has_sequence = true;
    o.sequence = 4;
    assert_err(naming_publish(t, n, other, CID_B, &o), ERR_INVALID); /* that of the kept one */
    o.has_sequence = false;
    assert_ok(naming_publish(t, n, other, CID_B, &o));
    assert_ok(naming_resolve(t, n, path, NULL, &a));
    assert_bytes(buf_bytes(&a.path), BYTES_LIT(CID_B));
    naming_answer_deinit(&a);
    assert_ok(naming_disown(t, n, &name));
    assert_ok(naming_resolve(t, n, path, NULL, &a));
    assert_bytes(buf_bytes(&a.path), BYTES_LIT(CID_A));
    naming_answer_deinit(&a);
    naming_close(t, n);
    keystore_close(c.keys);
    kv_close(t, c.state);
    return OK;
}

typedef struct dns_world {
    sim_t *sim;
    naming_config_t config;
    naming_t *naming;
    private_key_t *self;
} dns_world_t;

static void open_dns(task_t *t, sim_t *sim, dns_world_t *w)
{
    static const uint8_t seed[32] = {3};
    *w = (dns_world_t){.sim = sim};
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &w->self));
    naming_config_default(&w->config);
    w->config.state = kv_memory_new();
    assert_ok(keystore_open(t, "keys", &w->config.keys));
    w->config.self = w->self;
    assert_ok(naming_open(task_sched(t), &w->config, &w->naming));
}

static void close_dns(task_t *t, dns_world_t *w)
{
    naming_close(t, w->naming);
    keystore_close(w->config.keys);
    kv_close(t, w->config.state);
    private_key_free(w->self);
}

/* Names that lead one to the next: as many as may be, and one more. */
static void check_depth(task_t *t, dns_world_t *w)
{
    naming_options_t o;
    char name[64], text[128];
    naming_options_default(&o);
    for (uint32_t i = 0; i <= o.depth; i++) {
        snprintf(name, sizeof name, "_dnslink.n%u.example", i);
        if (i)
            snprintf(text, sizeof text, "dnslink=/ipns/n%u.example", i - 1);
        else
            snprintf(text, sizeof text, "dnslink=" CID_A);
        sim_dns_add(w->sim, name, DNS_TXT, bytes_str(text));
    }
    assert_int_equal(o.depth, 32); /* as the reference */
    expect_domain(t, w->naming, "/ipns/n31.example", CID_A, OK);
    expect_domain(t, w->naming, "/ipns/n32.example", NULL, ERR_LIMIT);
    naming_answer_t a;
    o.depth = NAMING_DEPTH_NO_LIMIT;
    assert_ok(naming_resolve(t, w->naming, "/ipns/n32.example", &o, &a));
    naming_answer_deinit(&a);
    o.depth = 1;
    assert_ok(naming_resolve(t, w->naming, "/ipns/n32.example", &o, &a));
    assert_bytes(buf_bytes(&a.path), BYTES_LIT("/ipns/n31.example"));
    naming_answer_deinit(&a);
}

#define TXT(s, name, text) sim_dns_add(s, name, DNS_TXT, BYTES_LIT(text))
static err_t dns_scenario(task_t *t, void *arg)
{
    sim_t *s = arg;
    dns_world_t w;
    open_dns(t, s, &w);
    TXT(s, "_dnslink.a.example", "dnslink=" CID_A "/root");
    TXT(s, "_dnslink.a.example", "v=spf1 -all");
    TXT(s, "a.example", "dnslink=" CID_B);
    TXT(s, "old.example", "dnslink=" CID_B);
    TXT(s, "old.example", CID_A);
    TXT(s, "_dnslink.bare.example", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
    TXT(s, "_dnslink.two.example", "dnslink=" CID_A);
    TXT(s, "_dnslink.two.example", "dnslink=" CID_B);
    TXT(s, "_dnslink.chain.example", "dnslink=/ipns/a.example/more");
    TXT(s, "_dnslink.loop.example", "dnslink=/ipns/loop.example");
    TXT(s, "_dnslink.bad.example", "dnslink=/ipfs/nonsense");
    TXT(s, "bad.example", "something else");
    sim_dns_fail(s, "_dnslink.broken.example", ERR_TIMEOUT);
    expect_domain(t, w.naming, "/ipns/a.example/x/y", CID_A "/root/x/y", OK);
    expect_domain(t, w.naming, "/ipns/A.Example.", CID_A "/root", OK);
    expect_domain(t, w.naming, "/ipns/old.example", CID_B, OK);
    expect_domain(t, w.naming, "/ipns/bare.example", CID_A, OK);
    expect_domain(t, w.naming, "/ipns/chain.example", CID_A "/root/more", OK);
    expect_domain(t, w.naming, "/ipns/two.example", NULL, ERR_INVALID);
    expect_domain(t, w.naming, "/ipns/loop.example", NULL, ERR_LIMIT);
    expect_domain(t, w.naming, "/ipns/bad.example", NULL, ERR_NOT_FOUND);
    expect_domain(t, w.naming, "/ipns/missing.example", NULL, ERR_NOT_FOUND);
    expect_domain(t, w.naming, "/ipns/broken.example", NULL, ERR_TIMEOUT);
    expect_domain(t, w.naming, "/ipns/\xc3\xbc.example", NULL, ERR_INVALID);
    check_depth(t, &w);
    char longest[300] = "/ipns/"; /* no room for the prefix */
    for (int i = 0; i < 31; i++)
        memcpy(longest + 6 + i * 8, i < 30 ? "a234567." : "a234567", 8);
    TXT(s, longest + 6, "dnslink=" CID_A);
    expect_domain(t, w.naming, longest, CID_A, OK);
    close_dns(t, &w);
    return OK;
}

/* Answers are kept for DNS's TTL (60 s in the simulator), or what the config allows; that there is none, too.
 */
static err_t dns_cache_scenario(task_t *t, void *arg)
{
    sim_t *s = arg;
    dns_world_t w;
    bool has;
    open_dns(t, s, &w);
    TXT(s, "_dnslink.a.example", "dnslink=" CID_A);
    expect_domain(t, w.naming, "/ipns/a.example", CID_A, OK);
    sim_dns_clear(s, "_dnslink.a.example");
    TXT(s, "a.example", "dnslink=" CID_B);
    expect_domain(t, w.naming, "/ipns/a.example", CID_A, OK);
    assert_ok(task_sleep(t, 61000));
    w.naming->config.max_dns_ttl_ms = 1000;
    expect_domain(t, w.naming, "/ipns/a.example", CID_B, OK);
    sim_dns_clear(s, "a.example");
    expect_domain(t, w.naming, "/ipns/a.example", CID_B, OK);
    assert_ok(task_sleep(t, 1100));
    expect_domain(t, w.naming, "/ipns/a.example", NULL, ERR_NOT_FOUND);
    assert_ok(naming_has_dnslink(t, w.naming, "missing.example", &has));
    assert_false(has);
    TXT(s, "_dnslink.missing.example", "dnslink=" CID_A);
    assert_ok(naming_has_dnslink(t, w.naming, "missing.example", &has));
    assert_false(has);
    assert_ok(task_sleep(t, 11000));
    assert_ok(naming_has_dnslink(t, w.naming, "missing.example", &has));
    assert_true(has);
    assert_ok(naming_has_dnslink(t, w.naming, "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5", &has));
    assert_false(has);
    close_dns(t, &w);
    return OK;
}

/* ── the cache ───────────────────────────────────────────────────────────────────────────────── */
static void test_cache(void **state)
{
    name_cache_t c;
    name_cache_init(&c, 2);
    name_cache_put(&c, "a", "/1", 100, 100, 1000, 5000);
    name_cache_put(&c, "b", NULL, 0, 50, 1000, 5000);
    assert_string_equal(name_cache_get(&c, "a", 1099)->path, "/1");
    assert_null(name_cache_get(&c, "b", 1049)->path);
    assert_null(name_cache_get(&c, "b", 1050));
    assert_null(name_cache_get(&c, "a", 1100));
    name_cache_put(&c, "a", "/1", 100, 100, 2000, 9000);
    assert_int_equal(name_cache_get(&c, "a", 2001)->found_wall_ms, 5000); /* it has not changed since */
    name_cache_put(&c, "a", "/2", 100, 100, 2000, 9000);
    assert_int_equal(name_cache_get(&c, "a", 2001)->found_wall_ms, 9000);
    name_cache_put(&c, "c", "/3", 100, UINT64_MAX, 2000,
                   9000); /* b goes, it was not wanted for the longest time */
    assert_non_null(name_cache_get(&c, "a", 2001));
    assert_null(name_cache_get(&c, "b", 2001));
    assert_non_null(name_cache_get(&c, "c", UINT64_MAX - 1));
    name_cache_put(&c, "d", "/4", 0, 0, 2000, 9000); /* not to be kept */
    assert_null(name_cache_get(&c, "d", 2000));
    name_cache_drop(&c, "a");
    name_cache_drop(&c, "a");
    assert_null(name_cache_get(&c, "a", 2001));
    name_cache_deinit(&c);
    name_cache_deinit(&c);
    name_cache_init(&c, 0);
    name_cache_put(&c, "a", "/1", 100, 100, 1000, 5000);
    assert_null(name_cache_get(&c, "a", 1001));
    name_cache_deinit(&c);
}

static void run_sim_of(task_fn fn)
{
    sim_t *s = sim_new(5);
    assert_ok(sim_run(s, fn, s));
    sim_free(s);
}
static void test_offline(void **state)
{
    run_sim_of(offline_scenario);
}
static void test_kept(void **state)
{
    run_sim_of(kept_scenario);
}
static void test_dns(void **state)
{
    run_sim_of(dns_scenario);
}
static void test_dns_cache(void **state)
{
    run_sim_of(dns_cache_scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cache), cmocka_unit_test(test_offline),
                                       cmocka_unit_test(test_kept), cmocka_unit_test(test_dns),
                                       cmocka_unit_test(test_dns_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
