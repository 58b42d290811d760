/* Rows beside what Kubo 0.42 did with the same environment. */
#include "tests/support/test.h"
#include "web/proxy.h"

static void choices(void **state)
{
    static const struct {
        const char *url;
        proxy_env_t env;
        const char *proxy; /* "": reached directly; NULL: refused */
    } rows[] = {
        {"http://files.test/x", {.http = "http://p:1"}, "http://p:1"},
        {"http://files.test/x", {.http = "p:1"}, "http://p:1"},
        {"http://files.test/x", {.http = "http://me:pw@p:1/path"}, "http://me:pw@p:1/path"},
        {"http://files.test/x", {.https = "http://p:1"}, ""},
        {"https://files.test/x", {.https = "https://p:1"}, "https://p:1"},
        {"https://files.test/x", {.http = "http://p:1"}, ""},
        {"http://files.test/x", {.http = ""}, ""},
        {"http://files.test/x", {.http = "socks5://p:1"}, NULL},
        {"http://files.test/x", {.http = "::bad"}, NULL},
        {"http://files.test/x", {.http = "http://p:1", .is_cgi = true}, NULL},
        {"https://files.test/x", {.https = "http://p:1", .is_cgi = true}, "http://p:1"},
        {"http://127.0.0.1:8/x", {.http = "http://p:1"}, ""},
        {"http://127.9.9.9:8/x", {.http = "http://p:1"}, ""},
        {"http://[::1]:8/x", {.http = "http://p:1"}, ""},
        {"http://LOCALHOST/x", {.http = "http://p:1"}, ""},
        {"http://localhost.test/x", {.http = "http://p:1"}, "http://p:1"},
        {"http://files.test/x", {.http = "http://p:1", .none = "files.test"}, ""},
        {"http://FILES.test/x", {.http = "http://p:1", .none = "files.TEST"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = "test"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = ".test"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = "*.test"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = "*"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = ".files.test"}, "http://p:1"},
        {"http://files.test/x", {.http = "http://p:1", .none = "iles.test"}, "http://p:1"},
        {"http://files.test/x", {.http = "http://p:1", .none = "other"}, "http://p:1"},
        {"http://files.test/x", {.http = "http://p:1", .none = ",, a, test"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = "files.test:80"}, ""},
        {"http://files.test/x", {.http = "http://p:1", .none = "files.test:81"}, "http://p:1"},
        {"http://10.1.2.3/x", {.http = "http://p:1", .none = "10.0.0.0/8"}, ""},
        {"http://11.1.2.3/x", {.http = "http://p:1", .none = "10.0.0.0/8"}, "http://p:1"},
        {"http://10.159.2.3/x", {.http = "http://p:1", .none = "10.128.0.0/10"}, ""},
        {"http://10.192.2.3/x", {.http = "http://p:1", .none = "10.128.0.0/10"}, "http://p:1"},
        {"http://10.1.2.3/x", {.http = "http://p:1", .none = "10.1.2.3"}, ""},
        {"http://10.1.2.3:81/x", {.http = "http://p:1", .none = "10.1.2.3:81"}, ""},
        {"http://10.1.2.3:82/x", {.http = "http://p:1", .none = "10.1.2.3:81"}, "http://p:1"},
        {"http://[2001:db8::1]/x", {.http = "http://p:1", .none = "2001:db8::/32"}, ""},
        {"http://[2001:db8::1]/x", {.http = "http://p:1", .none = "[2001:db8::1]"}, ""},
        {"http://[2001:db9::1]/x", {.http = "http://p:1", .none = "2001:db8::/32"}, "http://p:1"},
        {"http://files.test/x", {.http = "http://p:1", .none = "10.0.0.0/8"}, "http://p:1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        const char *text;
        url_t u;
        buf_init(&out, 1000);
        assert_ok(url_parse(rows[i].url, &u));
        err_t e = proxy_choose(&rows[i].env, &u, &out);
        if (!e != (rows[i].proxy != NULL))
            fail_msg("%zu, %s: %s", i, rows[i].url, error_name(e));
        if (e)
            continue;
        assert_ok(buf_cstr(&out, &text));
        if (strcmp(text, rows[i].proxy) != 0)
            fail_msg("%zu, %s: \"%s\", wanted \"%s\"", i, rows[i].url, text, rows[i].proxy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(choices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
