/* What the config and the overrides file say about limits. */
#include "node/settings_resources.h"
#include "tests/support/net.h"

static void test_limits(void **state)
{
    AUTO_PTR(config_t) c = NULL;
    host_limits_t l, defaults;
    host_limits_default(&defaults);
    assert_ok(config_parse(BYTES_LIT("{\"Swarm\":{\"ConnMgr\":{\"LowWater\":10,\"HighWater\":5000,"
                                     "\"GracePeriod\":\"7s\"},\"ResourceMgr\":{\"MaxMemory\":\"64MiB\"}}}"),
                           &c));
    l = defaults;
    settings_limits(c, &l);
    assert_int_equal(l.low_conns, 10);
    assert_int_equal(l.high_conns, 5000);
    assert_int_equal(l.max_conns, 10000);
    assert_int_equal(l.max_bytes_per_peer, 16 << 20);
    assert_int_equal(l.grace_ms, 7000);
    assert_int_equal(l.max_bytes, 64 << 20);
    assert_ok(config_set(c, "Swarm.ConnMgr.Type", "\"none\""));
    settings_limits(c, &l);
    assert_int_equal(l.high_conns, l.max_conns);
    assert_ok(config_set(c, "Swarm.ConnMgr", "{\"LowWater\":50,\"HighWater\":5}"));
    l = defaults;
    settings_limits(c, &l);
    assert_int_equal(l.max_conns, 256); /* the scale is MaxMemory */
    assert_int_equal(l.max_inbound_pending, 32);
    assert_int_equal(l.low_conns, defaults.low_conns);
    assert_int_equal(l.high_conns, defaults.high_conns);
    assert_true(l.max_fds > 0 && l.new_conns_per_s > 0);
    assert_ok(config_set(c, "Swarm.ResourceMgr.MaxFileDescriptors", "77"));
    assert_ok(config_set(c, "Swarm.Inbound",
                         "{\"ConnsPerIP\": 3, \"NewConnsPerSecond\": 0.5, \"NewConnsAtOnce\": 9}"));
    settings_limits(c, &l);
    assert_int_equal(l.max_fds, 77);
    assert_int_equal(l.max_inbound_per_ip, 3);
    assert_true(l.new_conns_per_s == 0.5);
    assert_int_equal(l.new_conns_at_once, 9);
    assert_ok(config_set(c, "Swarm.ResourceMgr.Enabled", "false"));
    settings_limits(c, &l);
    assert_true(l.new_conns_per_s == 0);
}

static err_t read_text(const char *text, host_scopes_t *ret)
{
    host_limits_t limits;
    host_limits_default(&limits);
    host_scopes_default(&limits, ret);
    return settings_scopes(bytes_str(text), ret);
}

/* The file of go-libp2p's documentation, in short. */
static void test_overrides(void **state)
{
    host_scopes_t s;
    assert_ok(read_text(
        "{\"System\": {\"Memory\": \"1073741824\", \"FD\": 512, \"Conns\": \"unlimited\", \"ConnsInbound\": "
        "0},"
        " \"Peer\": {\"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN\": {\"Streams\": 5}},"
        " \"PeerDefault\": {\"Memory\": 1048576, \"Conns\": \"default\", \"StreamsOutbound\": -1},"
        " \"Protocol\": {\"/x\": {\"StreamsInbound\": \"blockAll\"}}, \"ServiceDefault\": {\"Streams\": 1},"
        " \"Stream\": {\"Memory\": 7}, \"Conn\": {\"FD\": \"blockAll\"},"
        " \"ServicePeer\": {\"libp2p.ping\": {\"Streams\": 2}}, \"ProtocolPeerDefault\": "
        "{\"StreamsInbound\": -2}}",
        &s));
    assert_int_equal(s.max[SCOPE_SYSTEM].memory, 1 << 30);
    assert_int_equal(s.max[SCOPE_SYSTEM].fds, 512);
    assert_true(s.max[SCOPE_SYSTEM].conns == SCOPE_UNLIMITED);
    assert_int_equal(s.max[SCOPE_SYSTEM].conns_in, 0);
    assert_int_equal(s.max[SCOPE_PEER].memory, 1 << 20);
    assert_int_equal(s.max[SCOPE_PEER].conns, 8);
    assert_true(s.max[SCOPE_PEER].streams_out == SCOPE_UNLIMITED);
    assert_int_equal(s.max[SCOPE_PROTOCOL_PEER].streams_in, 0);
    assert_int_equal(s.max[SCOPE_SERVICE].streams, 1);
    assert_int_equal(s.max[SCOPE_STREAM].memory, 7);
    assert_int_equal(s.max[SCOPE_CONN].fds, 0);
    assert_int_equal(s.n_named, 3);
    for (size_t i = 0; i < 3; i++) {
        if (s.named[i].class == SCOPE_SERVICE_PEER)
            assert_int_equal(s.named[i].max.streams, 2);
        else if (s.named[i].class == SCOPE_PEER) {
            assert_int_equal(s.named[i].max.streams, 5);
            assert_int_equal(s.named[i].max.memory, 1 << 20); /* the default that stands in the same file */
        } else {
            assert_string_equal(s.named[i].name, "/x");
            assert_int_equal(s.named[i].max.streams_in, 0);
        }
    }
    settings_scopes_free(&s);
}

static void test_bad_overrides(void **state)
{
    static const char *const rows[][2] = {
        {"{", "line 1"},
        {"[]", "object"},
        {"{\"Sytem\": {}}", "no scope Sytem"},
        {"{\"System\": 5}", "System must be an object"},
        {"{\"System\": {\"Memroy\": 5}}", "no limit Memroy"},
        {"{\"System\": {\"Memory\": \"5 GB\"}}", "System.Memory must be a number"},
        {"{\"System\": {\"Memory\": 1.5}}", "System.Memory must be a number"},
        {"{\"System\": {\"Memory\": -3}}", "System.Memory must be a number"},
        {"{\"System\": {\"Memory\": \"-3\"}}", "System.Memory must be a number"},
        {"{\"Peer\": {\"nobody\": {}}}", "nobody is no peer ID"},
        {"{\"Protocol\": []}", "must be an object"},
        {"{\"Protocol\": {\"/x\": 1}}", "/x must be an object"},
        {"{\"System\": {}, \"System\": {}}", "duplicate"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        host_scopes_t s;
        assert_err(read_text(rows[i][0], &s), ERR_USAGE);
        if (!strstr(error_text(ERR_USAGE), rows[i][1]))
            fail_msg("%s: %s", rows[i][0], error_text(ERR_USAGE));
        settings_scopes_free(&s);
    }
}

typedef struct shown {
    scope_max_t system;
} shown_t;

static void see(void *arg, scope_class_t class, const char *name, const scope_t *scope)
{
    if (class == SCOPE_SYSTEM)
        ((shown_t *)arg)->system = *scope->max;
}

/* A whole node takes the file; one that cannot be read, or that lets trimming come too late, keeps it from
 * starting. */
static err_t a_node(task_t *t, void *arg)
{
    node_options_t o = {.repo_path = "/tmp/repo", .no_bootstrap = true};
    static const char file[] = "/tmp/repo/libp2p-resource-limit-overrides.json";
    node_t *n;
    shown_t shown;
    assert_ok(repo_init(t, o.repo_path, "test", NULL));
    assert_ok(fs_write_file(t, file, 0600, BYTES_LIT("{\"System\": {\"ConnsInbound\": 700}}")));
    assert_ok(node_open(t, &o, &n));
    assert_ok(repo_config_set(t, node_repo(n), "Addresses.Swarm", "[\"/ip4/10.0.0.1/tcp/4001\"]"));
    assert_ok(node_go_online(t, n, &o));
    host_each_scope(node_host(n), see, &shown);
    assert_int_equal(shown.system.conns_in, 700);
    node_close(t, n);
    assert_ok(fs_write_file(t, file, 0600, BYTES_LIT("{\"System\": {\"ConnsInbound\": 50}}")));
    assert_ok(node_open(t, &o, &n));
    assert_err(node_go_online(t, n, &o), ERR_USAGE);
    assert_non_null(strstr(error_text(ERR_USAGE), "HighWater"));
    node_close(t, n);
    assert_ok(fs_write_file(t, file, 0600, BYTES_LIT("{")));
    assert_ok(node_open(t, &o, &n));
    assert_err(node_go_online(t, n, &o), ERR_USAGE);
    assert_ok(repo_config_set(t, node_repo(n), "Swarm.ResourceMgr.Enabled", "false"));
    node_close(t, n);
    assert_ok(node_open(t, &o, &n));
    assert_ok(node_go_online(t, n, &o)); /* the file is not asked */
    host_each_scope(node_host(n), see, &shown);
    assert_true(shown.system.conns == SCOPE_UNLIMITED);
    node_close(t, n);
    return OK;
}

/* Filters that are written into the config of a running node act at once. */
static err_t gates_live(task_t *t, void *arg)
{
    net_world_t *w = arg;
    node_options_t o = {.repo_path = "/tmp/repo", .no_bootstrap = true};
    node_t *n;
    char text[160], id[PEER_ID_TEXT_MAX];
    assert_ok(repo_init(t, o.repo_path, "test", NULL));
    assert_ok(node_open(t, &o, &n));
    repo_t *r = node_repo(n);
    assert_ok(repo_config_set(t, r, "Addresses.Swarm", "[\"/ip4/10.0.0.1/tcp/4001\"]"));
    assert_ok(node_go_online(t, n, &o));
    host_t *h = node_host(n), *b = net_start(t, w, 1);
    conn_t *c;
    assert_ok(host_connect_addr(t, h, &w->nodes[1].addr, &c));
    conn_release(c);
    snprintf(text, sizeof text, "[\"/p2p/%s\"]", peer_id_print(host_id(b), id));
    assert_ok(repo_config_set(t, r, "Swarm.Gating.Deny", text));
    assert_false(host_is_connected(h, host_id(b)));
    assert_err(host_connect_addr(t, h, &w->nodes[1].addr, &c), ERR_DENIED);
    assert_ok(repo_config_set(t, r, "Swarm.Gating.Deny", "[\"nonsense\"]")); /* the former ones stay */
    assert_err(host_connect_addr(t, h, &w->nodes[1].addr, &c), ERR_DENIED);
    assert_ok(repo_config_set(t, r, "Swarm.Gating", "{\"Allow\": [\"/ip4/10.0.0.9\"]}"));
    assert_true(host_connect_addr(t, h, &w->nodes[1].addr, &c) != OK);
    assert_ok(repo_config_unset(t, r, "Swarm.Gating"));
    assert_ok(host_connect_addr(t, h, &w->nodes[1].addr, &c));
    conn_release(c);
    node_close(t, n);
    net_stop_all(t, w);
    return OK;
}

static void test_a_node(void **state)
{
    assert_ok(net_run(1, 1, a_node, NULL, NULL));
}

static void test_gates_live(void **state)
{
    assert_ok(net_run(1, 2, gates_live, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_bad_overrides), cmocka_unit_test(test_a_node),
        cmocka_unit_test(test_gates_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
