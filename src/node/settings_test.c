/* What the config says about the network takes effect: a whole node on one machine, hosts on the others. */
#include "node/listen.h"
#include "node/node.h"
#include "node/settings.h"
#include "tests/support/net.h"

#define REPO "/tmp/repo"

static void configure(task_t *t, repo_t *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void configure(task_t *t, repo_t *r, const char *key, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_ok(repo_config_set(t, r, key, text));
}

static node_t *open_node(task_t *t, node_options_t *ret_options)
{
    node_t *n;
    *ret_options = (node_options_t){.repo_path = REPO};
    assert_ok(repo_init(t, REPO, "test", NULL));
    assert_ok(node_open(t, ret_options, &n));
    configure(t, node_repo(n), "Addresses.Swarm", "[\"/ip4/10.0.0.1/tcp/4001\"]");
    return n;
}

/* A peer of Peering.Peers is connected to, and again when it was away; lines that are wrong harm nobody. */
static err_t peering(task_t *t, void *arg)
{
    net_world_t *w = arg;
    node_options_t o;
    char id[PEER_ID_TEXT_MAX];
    node_t *n = open_node(t, &o);
    peer_id_t peer = *host_id(net_start(t, w, 1));
    configure(
        t, node_repo(n), "Peering.Peers",
        "[{\"ID\":\"nonsense\",\"Addrs\":[]}, 7, {\"ID\":\"%s\",\"Addrs\":[\"/ip4/10.0.0.2/tcp/4001\"]}]",
        peer_id_print(&peer, id));
    configure(t, node_repo(n), "Bootstrap", "[7, \"nonsense\"]");
    assert_ok(node_go_online(t, n, &o));
    assert_ok(task_sleep(t, 2000));
    assert_true(host_is_connected(node_host(n), &peer));
    net_stop(t, w, 1);
    assert_ok(task_sleep(t, 2000));
    assert_false(host_is_connected(node_host(n), &peer));
    net_start(t, w, 1);
    assert_ok(task_sleep(t, 60000));
    assert_true(host_is_connected(node_host(n), &peer));
    node_close(t, n);
    net_stop_all(t, w);
    return OK;
}

/* Writes into the file, past the check of repo_config_set. */
static void edit_config(task_t *t, const char *key, const char *value)
{
    AUTO_PTR(config_t) c = NULL;
    assert_ok(config_load(t, REPO "/config", &c));
    assert_ok(config_set(c, key, value));
    assert_ok(config_save(t, c, REPO "/config"));
}

/* A limit that cannot be read stops the node: it must not quietly become the default. */
static err_t unreadable_values(task_t *t, void *arg)
{
    static const char *const rows[][2] = {{"Replication.MaxBytes", "\"plenty\""},
                                          {"Replication.LostGrace", "\"soon\""},
                                          {"Datastore.StorageMax", "\"10XB\""}};
    node_options_t o;
    node_t *n = open_node(t, &o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_err(repo_config_set(t, node_repo(n), rows[i][0], rows[i][1]), ERR_INVALID);
        node_close(t, n);
        edit_config(t, rows[i][0], rows[i][1]);
        assert_ok(node_open(t, &o, &n));
        assert_err(node_go_online(t, n, &o), ERR_INVALID);
        assert_non_null(strstr(error_text(ERR_INVALID), rows[i][0]));
        assert_ok(repo_config_unset(t, node_repo(n), rows[i][0]));
    }
    node_close(t, n);
    return OK;
}

static err_t bootstrap_comes_back(task_t *t, void *arg)
{
    net_world_t *w = arg;
    node_options_t o;
    char text[MULTIADDR_TEXT_MAX];
    node_t *n = open_node(t, &o);
    peer_id_t peer = *host_id(net_start(t, w, 1));
    configure(t, node_repo(n), "Bootstrap", "[\"%s\"]", multiaddr_print(&w->nodes[1].addr, text));
    net_stop(t, w, 1); /* not there yet when the node starts */
    assert_ok(node_go_online(t, n, &o));
    assert_ok(task_sleep(t, 3000));
    assert_false(host_is_connected(node_host(n), &peer));
    net_start(t, w, 1);
    assert_ok(task_sleep(t, 60000));
    assert_true(host_is_connected(node_host(n), &peer));
    node_close(t, n);
    net_stop_all(t, w);
    return OK;
}

static err_t count_dials(task_t *t, void *arg)
{
    listener_t *l;
    net_addr_t at = sim_host_addr(sim_host_of(t), 4001), from;
    TRY(net_listen(sim_host_driver(sim_host_of(t)), &at, &l));
    stream_t *s;
    while (!listener_accept(t, l, &s, &from)) {
        ++*(size_t *)arg;
        stream_close(s);
    }
    listener_close(l);
    return OK;
}

/* "auto" in the list: one of the default peers has an address that no name has to be looked up for. */
static err_t bootstrap_auto(task_t *t, void *arg)
{
    net_world_t *w = arg;
    node_options_t o;
    size_t n_dials = 0;
    node_t *n = open_node(t, &o);
    sim_host_t *default_peer = sim_add_host(w->sim, "104.131.131.82");
    assert_ok(sim_host_start(default_peer, "default peer", count_dials, &n_dials));
    configure(t, node_repo(n), "Bootstrap", "[]");
    assert_ok(node_go_online(t, n, &o));
    assert_ok(task_sleep(t, 20000));
    assert_int_equal(n_dials, 0);
    node_close(t, n);
    assert_ok(node_open(t, &o, &n));
    configure(t, node_repo(n), "Bootstrap", "[\"auto\"]");
    assert_ok(node_go_online(t, n, &o));
    assert_ok(task_sleep(t, 20000));
    assert_true(n_dials > 0);
    sim_crash(default_peer, SIM_POWER_LOSS);
    node_close(t, n);
    return OK;
}

static bool tells(node_t *n, const char *text)
{
    multiaddr_t out[16], wanted;
    assert_ok(multiaddr_parse(text, &wanted));
    for (size_t i = 0, count = host_addrs(node_host(n), out, 16); i < count; i++)
        if (multiaddr_equal(&out[i], &wanted))
            return true;
    return false;
}

static err_t addresses(task_t *t, void *arg)
{
    node_options_t o;
    node_t *n = open_node(t, &o);
    const char *const advertise[] = {"192.0.2.9:7000"};
    configure(t, node_repo(n), "Addresses.Swarm",
              "[\"/ip4/0.0.0.0/tcp/4001\", \"/ip4/0.0.0.0/udp/4001/quic-v1\"]");
    configure(t, node_repo(n), "Swarm.Transports.Network.QUIC",
              "true"); /* passed over when it is not built */
    configure(t, node_repo(n), "Addresses.AppendAnnounce", "[\"/dns4/node.example/tcp/443\", \"nonsense\"]");
    configure(t, node_repo(n), "Addresses.NoAnnounce", "[\"/ip4/127.0.0.0/ipcidr/8\"]");
    o.advertise = advertise;
    o.n_advertise = 1;
    assert_ok(node_go_online(t, n, &o));
    assert_true(tells(n, "/dns4/node.example/tcp/443"));
    assert_true(tells(n, "/ip4/192.0.2.9/tcp/7000"));
    assert_true(tells(n, "/ip4/10.0.0.1/tcp/4001"));
    assert_false(tells(n, "/ip4/127.0.0.1/tcp/4001"));
    node_close(t, n);
    return OK;
}

static err_t announce_alone(task_t *t, void *arg)
{
    node_options_t o;
    node_t *n = open_node(t, &o);
    configure(t, node_repo(n), "Addresses.Announce", "[\"/ip4/192.0.2.1/tcp/4001\"]");
    assert_ok(node_go_online(t, n, &o));
    assert_true(tells(n, "/ip4/192.0.2.1/tcp/4001"));
    assert_false(tells(n, "/ip4/10.0.0.1/tcp/4001"));
    node_close(t, n);
    return OK;
}

static err_t filters(task_t *t, void *arg)
{
    net_world_t *w = arg;
    node_options_t o;
    conn_t *c;
    node_t *n = open_node(t, &o);
    net_start(t, w, 1);
    configure(t, node_repo(n), "Swarm.AddrFilters", "[\"/ip4/10.0.0.2/ipcidr/32\"]");
    assert_ok(node_go_online(t, n, &o));
    assert_err(host_connect_addr(t, node_host(n), &w->nodes[1].addr, &c), ERR_UNREACHABLE);
    node_close(t, n);
    net_stop_all(t, w);
    return OK;
}

/* A filter that cannot be read must not be passed over. */
static err_t broken_filter(task_t *t, void *arg)
{
    node_options_t o;
    node_t *n = open_node(t, &o);
    configure(t, node_repo(n), "Swarm.AddrFilters", "[\"10.0.0.2/32\"]");
    assert_err(node_go_online(t, n, &o), ERR_USAGE);
    node_close(t, n);
    return OK;
}

/* The default port gives way to who was there first; a port that was asked for does not. */
static err_t ports(task_t *t, void *arg)
{
    net_world_t *w = arg;
    node_options_t o;
    multiaddr_t at[2];
    node_t *n = open_node(t, &o);
    net_start(t, w, 0); /* takes 10.0.0.1:4001 */
    const char *const wanted[] = {"10.0.0.1:4001"};
    o.listen = wanted;
    o.n_listen = 1;
    assert_err(node_go_online(t, n, &o), ERR_IN_USE);
    node_close(t, n);
    o.n_listen = 0;
    assert_ok(node_open(t, &o, &n));
    assert_ok(node_go_online(t, n, &o));
    assert_int_equal(host_listen_addrs(node_host(n), at, 2), 1);
    assert_true(tells(n, "/ip4/10.0.0.1/tcp/4002"));
    node_close(t, n);
    net_stop_all(t, w);
    return OK;
}

/* What the config says about names. */
static void test_names(void **state)
{
    static const struct {
        const char *text;
        err_t result;
        naming_config_t expected;
    } rows[] = {
        {"{}",
         OK,
         {.cache_size = 128,
          .max_cache_ttl_ms = UINT64_MAX,
          .max_dns_ttl_ms = UINT64_MAX,
          .lifetime_ms = NAMING_LIFETIME_MS,
          .republish_ms = NAMING_REPUBLISH_MS}},
        {"{\"Ipns\":{\"ResolveCacheSize\":0,\"MaxCacheTTL\":\"1m\",\"RecordLifetime\":\"72h\","
         "\"RepublishPeriod\":\"2h\"},"
         "\"DNS\":{\"MaxCacheTTL\":\"5s\",\"Resolvers\":{\".\":\"auto\",\"eth.\":\"https://dns.example/"
         "dns-query\"}}}",
         OK,
         {.cache_size = 0,
          .max_cache_ttl_ms = 60000,
          .max_dns_ttl_ms = 5000,
          .lifetime_ms = 72 * 3600000,
          .republish_ms = 2 * 3600000}},
        {"{\"Ipns\":{\"RepublishPeriod\":\"30s\"}}", ERR_USAGE, {0}},
        {"{\"Ipns\":{\"RepublishPeriod\":\"25h\"}}", ERR_USAGE, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_PTR(config_t) c = NULL;
        naming_config_t got;
        naming_config_default(&got);
        assert_ok(config_parse(bytes_str(rows[i].text), &c));
        assert_err(settings_naming(c, &got), rows[i].result);
        if (rows[i].result)
            continue;
        assert_int_equal(got.cache_size, rows[i].expected.cache_size);
        assert_int_equal(got.max_cache_ttl_ms, rows[i].expected.max_cache_ttl_ms);
        assert_int_equal(got.max_dns_ttl_ms, rows[i].expected.max_dns_ttl_ms);
        assert_int_equal(got.lifetime_ms, rows[i].expected.lifetime_ms);
        assert_int_equal(got.republish_ms, rows[i].expected.republish_ms);
    }
}

#define TEST(name)                                                                                           \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        assert_ok(net_run(1, 2, name, NULL, NULL));                                                          \
    }
TEST(peering)
TEST(unreadable_values)
TEST(bootstrap_comes_back)
TEST(bootstrap_auto)
TEST(addresses)
TEST(announce_alone)
TEST(filters)
TEST(broken_filter)
TEST(ports)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peering),        cmocka_unit_test(test_unreadable_values),
        cmocka_unit_test(test_bootstrap_auto), cmocka_unit_test(test_bootstrap_comes_back),
        cmocka_unit_test(test_addresses),      cmocka_unit_test(test_announce_alone),
        cmocka_unit_test(test_filters),        cmocka_unit_test(test_broken_filter),
        cmocka_unit_test(test_ports),          cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
