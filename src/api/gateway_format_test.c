/* Which representation a request asks for, and dates. */
#include "api/gateway.h"
#include "api/gateway_format.h"
#include "tests/support/test.h"
#include "wire/http_date.h"

typedef struct format_case {
    const char *format, *accept;
    gateway_format_t want;
    const char *params;
} format_case_t;

static const format_case_t cases[] = {
    {"", NULL, GATEWAY_FORMAT_WEB, ""},
    {"", "text/html,application/xhtml+xml,*/*;q=0.8", GATEWAY_FORMAT_WEB, ""},
    {"", "application/vnd.ipld.raw", GATEWAY_FORMAT_RAW, ""},
    {"", "text/html, application/vnd.ipld.car;version=1;order=dfs;dups=y, application/json",
     GATEWAY_FORMAT_CAR, ";version=1;order=dfs;dups=y"},
    {"", "APPLICATION/X-TAR", GATEWAY_FORMAT_TAR, ""},
    {"", "application/vnd.ipfs.ipns-record", GATEWAY_FORMAT_IPNS_RECORD, ""},
    {"", "application/vnd.ipld.nonsense", GATEWAY_FORMAT_UNKNOWN, ""},
    {"", "application/jsonx", GATEWAY_FORMAT_WEB, ""},
    {"", "a/b;x=\",application/json\"", GATEWAY_FORMAT_WEB, ""}, /* a comma in quotes ends nothing */
    {"", "application/vnd.ipld.raw;q=0.1, application/vnd.ipld.car;q=0.9;dups=y", GATEWAY_FORMAT_CAR,
     ";q=0.9;dups=y"},
    {"", "application/vnd.ipld.raw;q=0, application/json;q=0.001", GATEWAY_FORMAT_JSON, ";q=0.001"},
    {"", "application/vnd.ipld.raw;q=0.0", GATEWAY_FORMAT_WEB, ""},
    {"", "application/vnd.ipld.raw;q=1.000, application/json", GATEWAY_FORMAT_RAW, ";q=1.000"},
    {"", "application/vnd.ipld.raw;q=x, application/json", GATEWAY_FORMAT_RAW, ";q=x"},
    {"", "application/vnd.ipld.car;order=foo, application/vnd.ipld.car;order=dfs;dups=y;q=0.5",
     GATEWAY_FORMAT_CAR, ";order=dfs;dups=y;q=0.5"},
    {"", "application/vnd.ipld.car;version=2", GATEWAY_FORMAT_CAR, ";version=2"},
    {"", "application/vnd.ipld.nonsense, application/vnd.ipld.raw;q=0.2", GATEWAY_FORMAT_RAW, ";q=0.2"},
    {"car", "application/vnd.ipld.raw, application/vnd.ipld.car;dups=y", GATEWAY_FORMAT_CAR, ";dups=y"},
    {"raw", "application/vnd.ipld.car;dups=n", GATEWAY_FORMAT_RAW, ""},
    {"car", "application/vnd.ipld.car;dups=n", GATEWAY_FORMAT_CAR, ";dups=n"},
    {"dag-cbor", NULL, GATEWAY_FORMAT_DAG_CBOR, ""},
    {"nonsense", "application/json", GATEWAY_FORMAT_JSON, ""},
    {"nonsense", NULL, GATEWAY_FORMAT_WEB, ""},
};

static void test_formats(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const format_case_t *c = &cases[i];
        bytes_t params, rest, name, value;
        gateway_format_t got = gateway_format_of(bytes_str(c->format), c->accept, &params);
        if (got != c->want)
            fail_msg("format=%s, %s: %s", c->format, c->accept, gateway_format_word(got));
        rest = bytes_str(c->params);
        while (gateway_format_next_param(&rest, &name, &value)) {
            char key[32];
            snprintf(key, sizeof key, "%.*s", (int)name.len, (const char *)name.data);
            assert_true(bytes_equal(gateway_format_param(params, key), value));
        }
        assert_int_equal(params.len > 0, c->params[0] != 0);
    }
}

static void test_params(void **state)
{
    bytes_t p = BYTES_LIT(" version=1 ; ; Dups=\"a;b\" ; order ");
    assert_true(bytes_equal(gateway_format_param(p, "version"), BYTES_LIT("1")));
    assert_true(bytes_equal(gateway_format_param(p, "dups"), BYTES_LIT("a;b")));
    assert_int_equal(gateway_format_param(p, "order").len, 0);
    assert_int_equal(gateway_format_param(p, "absent").len, 0);
}

static void test_dates(void **state)
{
    char text[HTTP_DATE_MAX];
    int64_t when;
    assert_string_equal(http_date_print(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_ok(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT", &when));
    assert_int_equal(when, 784111777);
    static const char *const older[] = {"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < ARRAY_LEN(older); i++) {
        when = 0;
        assert_ok(http_date_parse(older[i], &when));
        assert_int_equal(when, 784111777);
    }
    static const char *const bad[] = {"",
                                      "now",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Xxx 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMTx",
                                      "Sun, 06 anF 1994 08:49:37 GMT"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(http_date_parse(bad[i], &when), ERR_INVALID);
}

static void test_tags(void **state)
{
    static const struct {
        const char *list, *etag;
        bool is_weak_match, is_strong_match;
    } rows[] = {
        {"\"a\"", "\"a\"", true, true},      {"W/\"a\"", "\"a\"", true, false},
        {"\"a\"", "W/\"a\"", true, false},   {"\"b\", W/\"c\",\"a\"", "\"a\"", true, true},
        {" , ,\"a\",", "\"a\"", true, true}, {"\"x,\"a\"", "\"a\"", false, false},
        {"\"x, a\"", "\"a\"", false, false}, {"a", "\"a\"", false, false},
        {"\"a", "\"a\"", false, false},      {"*", "\"a\"", true, true},
        {"\"b\", *", "\"a\"", true, true},   {"\"*\"", "\"a\"", false, false},
        {"W/", "\"a\"", false, false},       {"", "\"a\"", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bytes_t list = bytes_str(rows[i].list);
        assert_int_equal(gateway_tags_match(list, rows[i].etag, false), rows[i].is_weak_match);
        assert_int_equal(gateway_tags_match(list, rows[i].etag, true), rows[i].is_strong_match);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats), cmocka_unit_test(test_params),
                                       cmocka_unit_test(test_tags), cmocka_unit_test(test_dates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
