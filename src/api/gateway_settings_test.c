/* Gateway.* of a configuration, and which host names stand for which gateway. */
#include "api/gateway_settings.h"
#include "tests/support/test.h"
#include <stdio.h>

static const char text[] =
    "{\"Gateway\":{\"NoFetch\":true,\"RetrievalTimeout\":\"5s\",\"MaxConcurrentRequests\":7,"
    "\"HTTPHeaders\":{\"access-control-allow-headers\":[\"X-Own\"],\"Access-Control-Allow-Origin\":"
    "[\"https://a.example\"],\"X-Test\":[\"one\",\"two\"]},"
    "\"PublicGateways\":{\"Example.com\":{\"UseSubdomains\":true,\"Paths\":[\"/ipfs\",\"/ipns/\"],"
    "\"InlineDNSLink\":true},\"plain.example:8080\":{\"Paths\":[],\"DeserializedResponses\":false},"
    "\"*.wild.example\":{\"Paths\":[\"/ipfs\"]},\"127.0.0.1\":{\"UseSubdomains\":true},\"odd\":7}}}";

static void read_settings(const char *json, gateway_settings_t *ret)
{
    AUTO_PTR(config_t) c = NULL;
    assert_ok(config_parse(bytes_str(json), &c));
    gateway_settings_read(c, ret);
}

static const char *header_of(const gateway_settings_t *s, const char *name)
{
    for (size_t i = 0; i < s->n_headers; i++)
        if (!strcmp(s->headers[i].name, name))
            return s->headers[i].value;
    return "";
}

static size_t lines_of(const gateway_settings_t *s, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_headers; i++)
        n += !strcmp(s->headers[i].name, name);
    return n;
}

static void test_settings(void **state)
{
    AUTO(gateway_settings_t) s = {0};
    read_settings(text, &s);
    assert_true(s.no_fetch && s.deserializes && !s.no_dnslink);
    assert_int_equal(s.retrieval_timeout_ms, 5000);
    assert_int_equal(s.max_concurrent, 7);
    assert_string_equal(header_of(&s, "Access-Control-Allow-Headers"),
                        "Content-Type, Range, User-Agent, X-Requested-With, X-Own");
    assert_string_equal(header_of(&s, "Access-Control-Allow-Origin"), "https://a.example");
    assert_string_equal(header_of(&s, "Access-Control-Allow-Methods"), "GET, HEAD, OPTIONS");
    assert_string_equal(header_of(&s, "X-Test"), "one");
    assert_int_equal(lines_of(&s, "X-Test"), 2);
    const gateway_host_t *h = gateway_settings_host(&s, BYTES_LIT("EXAMPLE.com:8080"));
    assert_non_null(h);
    assert_true(h->uses_subdomains && h->inlines_dnslink && h->deserializes);
    assert_true(gateway_host_serves(h, BYTES_LIT("/ipfs/x")));
    assert_true(gateway_host_serves(h, BYTES_LIT("/ipns")));
    assert_false(gateway_host_serves(h, BYTES_LIT("/ipfsx")));
    assert_false(gateway_host_serves(h, BYTES_LIT("/")));
    assert_null(gateway_settings_host(&s, BYTES_LIT("plain.example")));
    assert_false(gateway_settings_host(&s, BYTES_LIT("plain.example:8080"))->deserializes);
    assert_non_null(gateway_settings_host(&s, BYTES_LIT("a.wild.example:1")));
    assert_null(gateway_settings_host(&s, BYTES_LIT("a.b.wild.example")));
    assert_null(gateway_settings_host(&s, BYTES_LIT(".wild.example")));
    assert_null(gateway_settings_host(&s, BYTES_LIT("127.0.0.1")));
    assert_true(gateway_settings_host(&s, BYTES_LIT("localhost:80"))->uses_subdomains);
}

static void test_defaults(void **state)
{
    AUTO(gateway_settings_t) s = {0};
    read_settings("{\"Gateway\":{\"PublicGateways\":{\"localhost\":null},\"HTTPHeaders\":[]}}", &s);
    assert_int_equal(s.n_hosts, 0); /* null takes the built-in entry away */
    assert_int_equal(s.retrieval_timeout_ms, 30000);
    assert_int_equal(s.max_concurrent, 4096);
    assert_int_equal(s.n_headers, 4);
}

typedef struct host_case {
    const char *host, *root, *ns, *gateway; /* root NULL: no subdomain of ours */
} host_case_t;
static const host_case_t hosts[] = {
    {"bafy.ipfs.example.com", "bafy", "ipfs", "example.com"},
    {"bafy.ipfs.example.com:8080", "bafy", "ipfs", "example.com:8080"},
    {"a.b.example.ipns.localhost:1", "a.b.example", "ipns", "localhost:1"},
    {"x.ipfs.y.ipns.example.com", "x.ipfs.y", "ipns", "example.com"},
    {"ipfs.example.com", NULL, NULL, NULL},
    {".ipfs.example.com", NULL, NULL, NULL},
    {"bafy.other.example.com", NULL, NULL, NULL},
    {"bafy.ipfs.other.com", NULL, NULL, NULL},
    {"bafy.ipfs.a.wild.example", "bafy", "ipfs", "a.wild.example"},
    {"127.0.0.1:8080", NULL, NULL, NULL},
    {"", NULL, NULL, NULL},
    {".", NULL, NULL, NULL},
    {"..", NULL, NULL, NULL},
};

static void test_subdomains(void **state)
{
    AUTO(gateway_settings_t) s = {0};
    read_settings(text, &s);
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        gateway_subdomain_t got;
        bool is = gateway_settings_subdomain(&s, bytes_str(hosts[i].host), &got);
        if (is != (hosts[i].root != NULL))
            fail_msg("%s: %d", hosts[i].host, is);
        if (!is)
            continue;
        assert_true(bytes_equal(got.root, bytes_str(hosts[i].root)));
        assert_true(bytes_equal(got.ns, bytes_str(hosts[i].ns)));
        assert_true(bytes_equal(got.host, bytes_str(hosts[i].gateway)));
    }
}

static void test_addresses(void **state)
{
    static const char *const yes[] = {"127.0.0.1", "10.0.0.1:80", "::1", "[::1]", "[2001:db8::1]:8080"};
    static const char *const no[] = {"", "localhost", "1.2.3", "a.b:80", "[", "1.2.3.4.example.com"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (!host_is_address(bytes_str(yes[i])))
            fail_msg("%s", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (host_is_address(bytes_str(no[i])))
            fail_msg("%s", no[i]);
    assert_true(bytes_equal(host_without_port(BYTES_LIT("[::1]:5")), BYTES_LIT("::1")));
    assert_true(bytes_equal(host_without_port(BYTES_LIT("a.b:80")), BYTES_LIT("a.b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings), cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_subdomains), cmocka_unit_test(test_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
