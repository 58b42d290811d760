#include "multi/peer_id.h"
#include "repo/config.h"
#include "repo/config_impl.h"
#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static private_key_t *key_of_seed(uint8_t byte)
{
    uint8_t seed[32];
    private_key_t *key;
    memset(seed, byte, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

static config_t *fresh(const char *profiles)
{
    AUTO_PTR(private_key_t) key = key_of_seed(1);
    config_t *c;
    assert_ok(config_new(key, profiles, &c));
    return c;
}

static void expect_get(const config_t *c, const char *path, const char *want)
{
    AUTO(buf_t) text;
    buf_init(&text, 100000);
    assert_ok(config_get(c, path, &text));
    assert_bytes(buf_bytes(&text), bytes_str(want));
}

static void test_defaults(void **state)
{
    AUTO_PTR(config_t) c = fresh(NULL);
    AUTO_PTR(private_key_t) key = NULL;
    assert_string_equal(config_str(c, "Addresses.API", ""), "/ip4/127.0.0.1/tcp/5001");
    assert_string_equal(config_str(c, "Addresses.Gateway", ""), "/ip4/127.0.0.1/tcp/8080");
    assert_string_equal(config_str(c, "Datastore.Store", ""), "pack");
    assert_int_equal(config_size(c, "Datastore.StorageMax", 0), 10000000000);
    assert_int_equal(config_duration_ms(c, "Datastore.GCPeriod", 0), 3600000);
    assert_int_equal(config_count(c, "Bootstrap"), 6);
    assert_true(config_bool(c, "Discovery.MDNS.Enabled", false));
    assert_ok(config_identity(c, &key));
    for (size_t i = 0; i < config_count(c, "Bootstrap"); i++)
        assert_non_null(strstr(config_item(c, "Bootstrap", i), "/p2p/"));
}

static void test_known(void **state)
{
    static const char *const settings[] = {"",
                                           "Gateway",
                                           "Gateway.NoFetch",
                                           "Bootstrap",
                                           "Mesh.Zone",
                                           "Gateway.PublicGateways.a.Paths",
                                           "DNS.Resolvers"};
    static const char *const others[] = {"Gateway.NoFetchh", "Gateway.NoFetch.a", "Gatew", "Mesh.Zones", "x"};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        assert_true(config_is_known(settings[i]));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(config_is_known(others[i]));
}

/* Far below what the JSON library takes, far above what a config holds. */
static void test_nesting(void **state)
{
    AUTO_PTR(config_t) c = fresh(NULL);
    AUTO_PTR(config_t) parsed = NULL;
    AUTO(buf_t) text;
    static const size_t depths[] = {64, 500, 2000, 100000};
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
        const char *value;
        buf_clear(&text);
        for (size_t k = 0; k < depths[i]; k++)
            assert_ok(buf_append(&text, BYTES_LIT("{\"a\":")));
        assert_ok(buf_append_u8(&text, '1'));
        for (size_t k = 0; k < depths[i]; k++)
            assert_ok(buf_append_u8(&text, '}'));
        assert_ok(buf_cstr(&text, &value));
        if (!i) {
            assert_ok(config_set(c, "Deep", value));
            assert_ok(config_parse(buf_bytes(&text), &parsed));
            assert_ok(config_replace(c, buf_bytes(&text)));
            continue;
        }
        assert_err(config_set(c, "Deep", value), ERR_LIMIT);
        assert_err(config_parse(buf_bytes(&text), &parsed), ERR_LIMIT);
        assert_err(config_replace(c, buf_bytes(&text)), ERR_INVALID);
    }
}

static void test_typed_values(void **state)
{
    AUTO_PTR(config_t) c = NULL;
    assert_ok(config_parse(BYTES_LIT("{\"A\":{\"i\":5,\"f\":1.5,\"s\":\"2KiB\",\"t\":\"1m30s\",\"b\":true,"
                                     "\"on\":\"enabled\",\"off\":\"false\",\"n\":null,\"neg\":-1,"
                                     "\"ns\":3000000000,\"l\":[\"x\",\"y\"],"
                                     "\"mixed\":[1,{\"ID\":\"z\"}],\"bad\":\"many\"}}"),
                           &c));
    assert_int_equal(config_int(c, "A.i", 0), 5);
    assert_int_equal(config_int(c, "A.s", 7), 7);
    assert_true(config_double(c, "A.f", 0) == 1.5 && config_double(c, "A.i", 0) == 5.0);
    assert_true(config_double(c, "A.s", 2) == 2);
    assert_int_equal(config_size(c, "A.s", 0), 2048);
    assert_int_equal(config_size(c, "A.i", 0), 5);
    assert_int_equal(config_size(c, "A.neg", 9), 9);
    assert_int_equal(config_size(c, "A.bad", 9), 9);
    assert_int_equal(config_duration_ms(c, "A.t", 0), 90000);
    assert_int_equal(config_duration_ms(c, "A.ns", 0), 3000);
    assert_int_equal(config_duration_ms(c, "A.neg", 4), 4);
    assert_int_equal(config_duration_ms(c, "A.bad", 4), 4);
    assert_true(config_bool(c, "A.b", false) && config_bool(c, "A.on", false));
    assert_false(config_bool(c, "A.off", true));
    assert_true(config_bool(c, "A.bad", true));
    assert_true(config_has(c, "A.i"));
    assert_false(config_has(c, "A.n") || config_has(c, "A.none") || config_has(c, "A.i.deeper"));
    assert_int_equal(config_count(c, "A.l"), 2);
    assert_int_equal(config_count(c, "A.s"), 0);
    assert_string_equal(config_item(c, "A.l", 1), "y");
    assert_null(config_item(c, "A.l", 2));
    assert_string_equal(config_item(c, "A.mixed", 0), ""); /* no string: no value that could be meant */
    assert_string_equal(config_str(c, "A.mixed.1.ID", ""), "z");
    assert_null(config_str(c, "A.mixed.2.ID", NULL));
    assert_null(config_str(c, "A.mixed.x.ID", NULL));
    assert_null(config_str(c, "A.l.1.ID", NULL));
    assert_null(config_str(c, "A.l", NULL));
    assert_non_null(config_json(c, ""));
}

static void test_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } sizes[] = {{"0", 0},           {"17", 17},         {"10GB", 10000000000}, {"1.5 MB", 1500000},
                 {"256KiB", 262144}, {"256kib", 262144}, {"2T", 2000000000000}, {"1PiB", 1ull << 50},
                 {"1b", 1},          {"3Gi", 3221225472}},
      durations[] = {{"0", 0},          {"1h", 3600000},  {"1h30m", 5400000}, {"90s", 90000},  {"300ms", 300},
                     {"1.5h", 5400000}, {"1d", 86400000}, {"5000us", 5},      {"2000000ns", 2}};
    static const char *const bad_sizes[] = {
        "", "GB", "1 zebra", "-1", "1.2.3", "1e9", "99999999999999999999999"};
    static const char *const bad_durations[] = {"", "5", "1x", "h", "-1h", "1h 30m "};
    uint64_t value;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_ok(parse_size(sizes[i].text, &value));
        assert_int_equal(value, sizes[i].value);
    }
    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        assert_ok(parse_duration_ms(durations[i].text, &value));
        assert_int_equal(value, durations[i].value);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_sizes); i++)
        assert_err(parse_size(bad_sizes[i], &value), ERR_INVALID);
    for (size_t i = 0; i < ARRAY_LEN(bad_durations); i++)
        assert_err(parse_duration_ms(bad_durations[i], &value), ERR_INVALID);
}

static void test_get_and_set(void **state)
{
    AUTO_PTR(config_t) c = fresh("test");
    AUTO(buf_t) text;
    buf_init(&text, 100000);
    assert_ok(config_set(c, "Addresses.API", "\"/ip4/127.0.0.1/tcp/7\""));
    expect_get(c, "Addresses.API", "\"/ip4/127.0.0.1/tcp/7\"");
    assert_ok(config_set(c, "Made.On.The.Way", "{\"a\": [1, true]}"));
    expect_get(c, "Made.On.The.Way.a", "[\n  1,\n  true\n]");
    assert_ok(config_set_str(c, "Made.Text", "1"));
    expect_get(c, "Made.Text", "\"1\"");
    assert_ok(config_unset(c, "Made.Text"));
    assert_err(config_unset(c, "Made.Text"), ERR_NOT_FOUND);
    assert_err(config_get(c, "Made.Text", &text), ERR_NOT_FOUND);
    assert_non_null(strstr(error_text(ERR_NOT_FOUND), "not found"));
    assert_err(config_get(c, "", &text), ERR_NOT_FOUND);
    assert_err(config_set(c, "A", "not json"), ERR_INVALID);
    assert_err(config_set(c, "", "1"), ERR_INVALID);
    assert_err(config_set(c, "A..B", "1"), ERR_INVALID);
    assert_err(config_set(c, "Addresses.API.Port", "1"), ERR_INVALID);
    assert_err(config_set_str(c, "A", "\xff"), ERR_INVALID);
    char deep[200] = "";
    for (int i = 0; i < 40; i++)
        strcat(deep, i ? ".a" : "a");
    assert_err(config_set(c, deep, "1"), ERR_INVALID);
}

/* The private key leaves by no door of the API. */
static void test_secret(void **state)
{
    AUTO_PTR(config_t) c = fresh(NULL);
    AUTO(buf_t) text;
    const char *shown;
    buf_init(&text, 100000);
    static const char *const paths[] = {"Identity", "Identity.PrivKey", "identity.privkey"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_err(config_get(c, paths[i], &text), ERR_DENIED);
        assert_err(config_set(c, paths[i], "1"), ERR_DENIED);
        assert_err(config_set_str(c, paths[i], "1"), ERR_DENIED);
        assert_err(config_unset(c, paths[i]), ERR_DENIED);
    }
    assert_ok(config_get(c, "Identity.PeerID", &text));
    buf_clear(&text);
    assert_ok(config_print_public(c, &text));
    assert_ok(buf_cstr(&text, &shown));
    assert_null(strstr(shown, "PrivKey"));
    assert_non_null(strstr(shown, "PeerID"));
    buf_clear(&text);
    assert_ok(config_print(c, &text));
    assert_ok(buf_cstr(&text, &shown));
    assert_non_null(strstr(shown, "PrivKey"));
    assert_err(config_replace(c, BYTES_LIT("{\"Identity\":{\"PrivKey\":\"stolen\"},\"X\":1}")), ERR_INVALID);
    assert_ok(config_replace(c, BYTES_LIT("{\"Identity\":{\"PeerID\":\"another\"},\"X\":1}")));
    AUTO_PTR(private_key_t) key = NULL;
    assert_ok(config_identity(c, &key));
    expect_get(c, "X", "1");
    assert_false(config_has(c, "Addresses"));
    assert_ok(config_set(c, "Pinning.RemoteServices.a.API.Endpoint", "\"https://pins.example\""));
    assert_err(config_replace(c, BYTES_LIT("{}")), ERR_INVALID);
    assert_err(config_replace(c, BYTES_LIT("{\"Pinning\":{\"RemoteServices\":{\"b\":{}}}}")), ERR_INVALID);
    assert_ok(config_replace(c, BYTES_LIT("{\"Pinning\":{\"RemoteServices\":{\"a\":{}}}}")));
    assert_err(config_replace(c, BYTES_LIT("{\"Pinning\":{\"RemoteServices\":{\"a\":{},\"b\":{}}}}")),
               ERR_INVALID);
    assert_err(config_replace(c, BYTES_LIT("[]")), ERR_INVALID);
    assert_err(config_replace(c, BYTES_LIT("{")), ERR_INVALID);
}

static void test_identity(void **state)
{
    AUTO_PTR(private_key_t) other = key_of_seed(2);
    AUTO_PTR(private_key_t) key = NULL;
    AUTO_PTR(config_t) c = fresh(NULL);
    peer_id_t id;
    char text[PEER_ID_TEXT_MAX];
    assert_ok(peer_id_of(private_key_public(other), &id));
    assert_ok(config_set_str(c, "Identity.PeerID", peer_id_print(&id, text)));
    assert_err(config_identity(c, &key), ERR_CORRUPT);
    assert_ok(config_set_str(c, "Identity.PeerID", "rubbish"));
    assert_err(config_identity(c, &key), ERR_CORRUPT);
    static const char *const bad[] = {"{}", "{\"Identity\":{\"PeerID\":\"x\",\"PrivKey\":\"!!\"}}",
                                      "{\"Identity\":{\"PeerID\":\"x\",\"PrivKey\":\"AAAA\"}}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_PTR(config_t) broken = NULL;
        assert_ok(config_parse(bytes_str(bad[i]), &broken));
        assert_err(config_identity(broken, &key), ERR_CORRUPT);
    }
}

static void test_profiles(void **state)
{
    AUTO_PTR(config_t) c = fresh("test,flatfs,,default");
    assert_string_equal(config_str(c, "Datastore.Store", ""), "flatfs");
    assert_string_equal(config_item(c, "Addresses.Swarm", 0), "/ip4/127.0.0.1/tcp/0");
    assert_int_equal(config_count(c, "Addresses.Swarm"), 1);
    assert_int_equal(config_count(c, "Bootstrap"), 0);
    assert_false(config_bool(c, "Discovery.MDNS.Enabled", true));
    assert_true(config_bool(c, "Routing.LoopbackAddressesOnLanDHT", false));
    assert_false(config_bool(c, "AutoConf.Enabled", true));
    assert_ok(config_apply_profile(c, "default-networking"));
    assert_false(config_bool(c, "Routing.LoopbackAddressesOnLanDHT", false));
    assert_true(config_bool(c, "AutoConf.Enabled", true));
    assert_int_equal(config_count(c, "Bootstrap"), 6);
    assert_int_equal(config_count(c, "Addresses.Swarm"), 4);
    assert_ok(config_apply_profile(c, "server"));
    assert_int_equal(config_count(c, "Swarm.AddrFilters"), 16);
    assert_true(config_bool(c, "Swarm.DisableNatPortMap", false));
    assert_ok(config_apply_profile(c, "local-discovery"));
    assert_int_equal(config_count(c, "Swarm.AddrFilters"), 0);
    assert_ok(config_apply_profile(c, "lowpower"));
    assert_int_equal(config_int(c, "Swarm.ConnMgr.HighWater", 0), 40);
    assert_int_equal(config_duration_ms(c, "Swarm.ConnMgr.GracePeriod", 0), 60000);
    assert_ok(config_apply_profile(c, "randomports"));
    assert_non_null(strstr(config_item(c, "Addresses.Swarm", 1), "/ip6/::/tcp/"));
    assert_ok(config_apply_profile(c, "test-cid-v1"));
    assert_int_equal(config_int(c, "Import.CidVersion", 9), 1);
    assert_ok(config_apply_profile(c, "legacy-cid-v0"));
    assert_int_equal(config_int(c, "Import.UnixFSFileMaxLinks", 0), 174);
    assert_ok(config_apply_profile(c, "pack"));
    assert_err(config_apply_profile(c, "nonsense"), ERR_USAGE);
    AUTO_PTR(private_key_t) key = key_of_seed(1);
    config_t *none = NULL;
    assert_err(config_new(key, "test,nonsense", &none), ERR_USAGE);
    char longer[400];
    memset(longer, 'x', sizeof longer);
    longer[399] = 0;
    assert_err(config_new(key, longer, &none), ERR_USAGE);
}

static void test_unknown_keys_are_kept(void **state)
{
    AUTO_PTR(config_t) c = NULL;
    AUTO(buf_t) text;
    buf_init(&text, 1000);
    assert_ok(config_parse(BYTES_LIT("{\"Zeta\":{\"later\":[1,{\"x\":null}]},\"Alpha\":1}"), &c));
    assert_ok(config_set(c, "Alpha", "2"));
    assert_ok(config_print(c, &text));
    assert_bytes(
        buf_bytes(&text),
        BYTES_LIT("{\n  \"Zeta\": {\n    \"later\": [\n      1,\n      {\n        \"x\": null\n      }\n"
                  "    ]\n  },\n  \"Alpha\": 2\n}\n"));
}

static err_t files(task_t *t, void *arg)
{
    AUTO_PTR(config_t) c = fresh(NULL);
    AUTO_PTR(config_t) read = NULL;
    config_t *none = NULL;
    file_info_t info;
    assert_ok(config_save(t, c, "/tmp/config"));
    assert_ok(fs_stat(t, "/tmp/config", true, &info));
    assert_int_equal(info.mode & 0777, 0600);
    assert_ok(config_load(t, "/tmp/config", &read));
    assert_string_equal(config_str(read, "Identity.PrivKey", ""), config_str(c, "Identity.PrivKey", "-"));
    assert_err(config_load(t, "/tmp/none", &none), ERR_NOT_FOUND);
    static const char *const bad[] = {"", "{", "[]", "{\"a\":1,\"a\":2}", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_ok(fs_write_file(t, "/tmp/bad", 0600, bytes_str(bad[i])));
        assert_err(config_load(t, "/tmp/bad", &none), ERR_CORRUPT);
        assert_non_null(strstr(error_text(ERR_CORRUPT), "/tmp/bad"));
    }
    return OK;
}

static void test_files(void **state)
{
    assert_ok(test_run(files, NULL));
}

static void test_check(void **state)
{
    static const struct {
        const char *path, *value;
        err_t expected;
    } rows[] = {
        {"Datastore.StorageMax", "\"10GB\"", OK},
        {"Datastore.StorageMax", "1000", OK},
        {"Datastore.StorageMax", "\"\"", OK},
        {"Datastore.StorageMax", "null", OK},
        {"Datastore.StorageMax", "\"10XB\"", ERR_INVALID},
        {"Datastore.StorageMax", "-1", ERR_INVALID},
        {"Datastore.StorageMax", "true", ERR_INVALID},
        {"Datastore.StorageMax", "{\"a\": 1}", ERR_INVALID},
        {"Datastore.GCPeriod", "\"1h\"", OK},
        {"Datastore.GCPeriod", "\"0\"", OK},
        {"Datastore.GCPeriod", "\"1 hour\"", ERR_INVALID},
        {"Datastore", "{\"GCPeriod\": \"soon\"}", ERR_INVALID},
        {"Datastore", "{\"Other\": \"soon\"}", OK},
        {"Replication.Heartbeat", "\"fast\"", ERR_INVALID},
        {"Gateway.NoFetch", "true", OK},
        {"Gateway.NoFetch", "\"True\"", OK}, /* read as config_bool does */
        {"Gateway.NoFetch", "\"maybe\"", ERR_INVALID},
        {"Gateway.NoFetch", "1", ERR_INVALID},
        {"AutoNAT.Throttle.PeerLimit", "0", OK},
        {"AutoNAT.Throttle.PeerLimit", "\"3\"", ERR_INVALID},
        {"Bootstrap", "[]", OK},
        {"Bootstrap", "null", OK},
        {"Bootstrap", "\"/ip4/192.0.2.1/tcp/4001\"", ERR_INVALID},
        {"Addresses", "{\"Swarm\": \"x\"}", ERR_INVALID},
        {"Addresses.API", "5", ERR_INVALID},
        {"Addresses.API", "[\"/ip4/127.0.0.1/tcp/5001\", \"/unix/run/api\"]", OK},
        {"Addresses.API", "[\"/ip4/127.0.0.1/tcp/5001\", 5]", ERR_INVALID},
        {"Addresses.Gateway", "\"bogus\"", ERR_INVALID},
        {"Addresses.Gateway", "\"/unix/run/gateway\"", OK},
        {"Addresses.Gateway", "\"\"", OK},
        {"Routing.Type", "\"10XB\"", OK}, /* not this function's business */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_PTR(config_t) c = NULL;
        assert_ok(config_parse(BYTES_LIT("{}"), &c));
        assert_ok(config_set(c, rows[i].path, rows[i].value));
        assert_int_equal(config_check(c, rows[i].path), rows[i].expected);
        assert_int_equal(config_check(c, ""), rows[i].expected);
        assert_ok(config_check(c, "Data")); /* a part of a name is not above it */
        assert_ok(config_check(c, "Swarm"));
    }
    AUTO_PTR(config_t) c = NULL;
    assert_ok(config_parse(BYTES_LIT("{\"Datastore\": {\"StorageMax\": \"10XB\"}}"), &c));
    assert_err(config_check(c, ""), ERR_INVALID);
    assert_non_null(strstr(error_text(ERR_INVALID), "Datastore.StorageMax in the config is \"10XB\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_typed_values),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_get_and_set),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_unknown_keys_are_kept),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
