/* URLs: RFC 3986, 5.4 has the references; the names and forms are those of Kubo 0.42's command line. */
#include "tests/support/test.h"
#include "web/url.h"

static void parts(void **state)
{
    static const struct {
        const char *text, *host, *target, *whole, *printed, *name;
        int port;
    } rows[] = {
        {"http://h", "h", "/", "http://h", "http://h", "h", 80},
        {"http://h:8080", "h", "/", "http://h:8080", "http://h:8080", "h:8080", 8080},
        {"http://h:", "h", "/", "http://h:", "http://h:", "h:", 80},
        {"HTTPS://h/", "h", "/", "https://h/", "https://h/", "/", 443},
        {"https://h//", "h", "//", "https://h//", "https://h//", "/", 443},
        {"http://h?x", "h", "/?x", "http://h?x", "http://h?x", "h", 80},
        {"http://h/a/b/?q=1#f", "h", "/a/b/?q=1", "http://h/a/b/?q=1", "http://h/a/b/?q=1#f", "b", 80},
        {"http://h/a%20b%2Fc.txt?x=y#z", "h", "/a%20b%2Fc.txt?x=y", "http://h/a%20b%2Fc.txt?x=y",
         "http://h/a%20b%2Fc.txt?x=y#z", "c.txt", 80},
        {"http://h/a b/\xc3\xa4?c d", "h", "/a%20b/%C3%A4?c%20d", "http://h/a%20b/%C3%A4?c%20d",
         "http://h/a%20b/%C3%A4?c%20d", "\xc3\xa4", 80},
        {"http://u:p%20w@h:81/x", "h", "/x", "http://h:81/x", "http://u:p%20w@h:81/x", "x", 81},
        {"http://@h/x", "h", "/x", "http://h/x", "http://@h/x", "x", 80},
        {"http://[::1]:5/x", "::1", "/x", "http://[::1]:5/x", "http://[::1]:5/x", "x", 5},
        {"https://[2001:db8::7]", "2001:db8::7", "/", "https://[2001:db8::7]", "https://[2001:db8::7]",
         "[2001:db8::7]", 443},
        {"http://h/x?%zz", "h", "/x?%zz", "http://h/x?%zz", "http://h/x?%zz", "x", 80},
        {"http://h/..", "h", "/..", "http://h/..", "http://h/..", "..", 80},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        url_t u;
        AUTO(buf_t) out = {0};
        const char *text;
        buf_init(&out, 1000);
        assert_ok(url_parse(rows[i].text, &u));
        assert_string_equal(u.host, rows[i].host);
        assert_int_equal(u.port, rows[i].port);
        err_t (*const forms[])(const url_t *, buf_t *) = {url_target, url_whole, url_print, url_name};
        const char *const wanted[] = {rows[i].target, rows[i].whole, rows[i].printed, rows[i].name};
        for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
            buf_clear(&out);
            assert_ok(forms[k](&u, &out));
            assert_ok(buf_cstr(&out, &text));
            assert_string_equal(text, wanted[k]);
        }
    }
}

static void refused(void **state)
{
    static const char *const rows[] = {
        "",
        "h",
        "ftp://h/",
        "http:/h",
        "http://",
        "http:///x",
        "http://?x",
        "http://:5",
        "http://h:0/",
        "http://h:99999/",
        "http://h:123456/",
        "http://h:x/",
        "http://h:-1",
        "http://[::1",
        "http://[::1]x/",
        "http://a b/",
        "http://h/%zz",
        "http://h/%a",
        "http://h/\n",
        "http://u\"@h/",
        "http://u@v@h/",
        "http://h%20/",
        "http://[fe80::1%25eth0]/",
        "http://[]/",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        url_t u;
        if (!url_parse(rows[i], &u))
            fail_msg("\"%s\" is taken", rows[i]);
    }
    char *long_one = xcalloc(1, URL_MAX_BYTES + 10);
    memset(long_one, 'a', URL_MAX_BYTES + 9);
    memcpy(long_one, "http://h/", 9);
    url_t u;
    assert_err(url_parse(long_one, &u), ERR_USAGE);
    free(long_one);
}

static void users(void **state)
{
    static const struct {
        const char *text, *auth;
    } rows[] = {{"http://user:pass%20word@h/", "Basic dXNlcjpwYXNzIHdvcmQ="},
                {"http://user@h/", "Basic dXNlcjo="},
                {"http://user:@h/", "Basic dXNlcjo="}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        const char *text;
        url_t u;
        buf_init(&out, 1000);
        assert_ok(url_parse(rows[i].text, &u));
        assert_ok(url_user_auth(&u, &out));
        assert_ok(buf_cstr(&out, &text));
        assert_string_equal(text, rows[i].auth);
    }
}

/* Whatever is said of a URL, its password is not. */
static void secrets_are_not_shown(void **state)
{
    static const char *const rows[] = {"http://u:secret@h/x",   "http://u:secret@h:x/",
                                       "http://u:secret@/",     "ftp://u:secret@h/",
                                       "http://u:secret@h/%zz", "http://u:secret\n@h/"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        url_t u;
        char shown[URL_SHOWN_MAX];
        assert_true(!strstr(url_show(rows[i], shown), "secret"));
        err_t e = url_parse(rows[i], &u);
        assert_true(!e || !strstr(error_text(e), "secret"));
    }
}

static void beside_another(void **state)
{
    static const struct {
        const char *from, *location, *to; /* NULL: refused */
    } rows[] = {
        {"http://h/b/c/d?q", "g", "http://h/b/c/g"},
        {"http://h/b/c/d?q", "./g", "http://h/b/c/g"},
        {"http://h/b/c/d?q", "g/", "http://h/b/c/g/"},
        {"http://h/b/c/d?q", "/g", "http://h/g"},
        {"http://h/b/c/d?q", "//g", "http://g"},
        {"https://h/b/c/d?q", "//g/x", "https://g/x"},
        {"http://h/b/c/d?q", "?y", "http://h/b/c/d?y"},
        {"http://h/b/c/d?q", "g?y#s", "http://h/b/c/g?y#s"},
        {"http://h/b/c/d?q", ".", "http://h/b/c/"},
        {"http://h/b/c/d?q", "..", "http://h/b/"},
        {"http://h/b/c/d?q", "../g", "http://h/b/g"},
        {"http://h/b/c/d?q", "../../../../g", "http://h/g"},
        {"http://h/b/c/d?q", "/./g", "http://h/g"},
        {"http://h/b/c/d?q", "g/./h/../i", "http://h/b/c/g/i"},
        {"http://h/b/c/d?q", "g..", "http://h/b/c/g.."},
        {"http://h/b/c/d?q", "g?y/../x", "http://h/b/c/g?y/../x"},
        {"http://h", "g", "http://h/g"},
        {"http://h", "?y", "http://h/?y"},
        {"http://u:p@h/x", "y", "http://u:p@h/y"},
        {"http://u:p@h/x", "http://h/y", "http://h/y"},
        {"http://h/x", "https://o:1/y", "https://o:1/y"},
        {"http://h/x", "file:///etc/passwd", NULL},
        {"http://h/x", "ftp://h/", NULL},
        {"http://h/x", "mailto:a@b", NULL},
        {"http://h/x", "::", NULL},
        {"http://h/x", "//", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        const char *text;
        buf_init(&out, 1000);
        err_t e = url_resolve(rows[i].from, rows[i].location, &out);
        if (!e != (rows[i].to != NULL))
            fail_msg("%s from %s: %s", rows[i].location, rows[i].from, error_name(e));
        if (e)
            continue;
        assert_ok(buf_cstr(&out, &text));
        assert_string_equal(text, rows[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(refused),
                                       cmocka_unit_test(users), cmocka_unit_test(secrets_are_not_shown),
                                       cmocka_unit_test(beside_another)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
