/* Requests to a server that says what the test wants: whole answers, broken ones, none at all. */
#include "tests/support/run.h"
#include "tests/support/test.h"
#include "web/http_fetch.h"
#include "web/http_pool.h"

typedef struct server {
    listener_t *listener;
    const char *redirect; /* sent to requests for /r…, unless NULL */
    const char *answer;   /* sent when the head of a request has come; NULL: nothing, ever */
    size_t answer_bytes;  /* 0: until its NUL */
    size_t n_links;       /* that were taken */
    bool keeps;           /* more than one request comes over each */
    size_t piece;         /* bytes of a write; 0: all */
    buf_t request;
    bool is_done; /* the body has come, too */
    size_t body_bytes;
    char *sending; /* owned */
} server_t;

static err_t serve_one(task_t *t, server_t *s, stream_t *stream)
{
    uint8_t in[512];
    size_t n = 1;
    buf_clear(&s->request);
    const char *end = NULL;
    while (n &&
           (!end || s->request.len < (size_t)(end + 4 - (const char *)s->request.data) + s->body_bytes)) {
        TRY(stream_read(t, stream, in, sizeof in, &n));
        TRY(buf_append(&s->request, bytes_of(in, n)));
        if (s->request.len && s->request.data[0] == 0x16) /* TLS */
            break;
        end = memmem(s->request.data, s->request.len, "\r\n\r\n", 4);
    }
    if (!s->answer) /* until the client gives up */
        return stream_read(t, stream, in, sizeof in, &n);
    bool leads_on = s->redirect && s->request.len > 8 && memmem(s->request.data, 8, " /r", 3);
    bytes_t left = bytes_str(leads_on ? s->redirect : s->answer);
    if (!leads_on && s->answer_bytes)
        left = bytes_of(s->answer, s->answer_bytes);
    while (left.len) {
        bytes_t piece = bytes_slice(left, 0, s->piece ? s->piece : left.len);
        TRY(stream_write(t, stream, piece));
        left = bytes_slice(left, piece.len, left.len);
    }
    return OK;
}

static err_t server_task(task_t *t, void *arg)
{
    server_t *s = arg;
    for (;;) {
        stream_t *stream;
        net_addr_t from;
        TRY(listener_accept(t, s->listener, &stream, &from));
        s->n_links++;
        err_t e = serve_one(t, s, stream);
        while (!e && s->keeps && s->request.len)
            e = serve_one(t, s, stream);
        stream_close(stream);
        TRY(e == ERR_CANCELED ? e : OK);
    }
}

static bool asked(const server_t *s, const char *text)
{
    return memmem(s->request.data, s->request.len, text, strlen(text)) != NULL;
}

static void whole_answers(task_t *t, server_t *s)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 11\r\n\r\nhello there",
        "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n "
        "there\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nConnection: close\r\n\r\nhello there",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: "
        "11\r\n\r\nhello there"};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        for (s->piece = 0; s->piece < 30; s->piece += 7) {
            AUTO(buf_t) out = {0};
            buf_init(&out, 100);
            static const http_field_t accept = {"Accept", "text/x"};
            http_fetch_t f = {.url = "http://10.0.0.1:8000/a%20b?c=d#e", .fields = &accept, .n_fields = 1};
            s->answer = answers[i];
            assert_ok(http_fetch_all(t, &f, &out));
            assert_true(f.status == 200 && !strcmp(f.content_type, "text/x"));
            assert_true(bytes_equal(buf_bytes(&out), BYTES_LIT("hello there")));
            assert_true(asked(s, "GET /a%20b?c=d HTTP/1.1\r\n") && asked(s, "Host: 10.0.0.1:8000\r\n") &&
                        asked(s, "Accept: text/x\r\n") && !asked(s, "Content-Length"));
        }
    s->piece = 0;
}

static void bodies_go_out(task_t *t, server_t *s)
{
    enum { SIZE = 100000 };
    uint8_t *body = xcalloc(1, SIZE);
    http_fetch_t f = {.method = "PUT", .url = "http://10.0.0.1:8000", .body = bytes_of(body, SIZE)};
    s->answer = "HTTP/1.1 204 No Content\r\n\r\n";
    s->body_bytes = SIZE;
    assert_ok(http_fetch(t, &f));
    assert_true(f.status == 204 && asked(s, "PUT / HTTP/1.1\r\n") && asked(s, "Content-Length: 100000\r\n"));
    s->body_bytes = 0;
    free(body);
}

static void failures(task_t *t, server_t *s)
{
    static const struct {
        const char *url, *answer;
        err_t error;
    } cases[] = {
        {"http://10.0.0.1:8000/", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", ERR_EOF},
        {"http://10.0.0.1:8000/", "nonsense\r\n\r\n", ERR_PROTOCOL},
        {"http://10.0.0.1:8000/", "", ERR_EOF},
        {"http://10.0.0.1:8000/",
         "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n012345678901234567890123456789", ERR_LIMIT},
        {"http://10.0.0.1:8000/", NULL, ERR_TIMEOUT},
        {"https://10.0.0.1:8000/", "no TLS at all", ERR_CRYPTO},
        {"http://10.0.0.1:9999/", "", ERR_REFUSED},
        {"http://nobody.example/", "", ERR_NOT_FOUND},
        {"ftp://10.0.0.1/", "", ERR_USAGE},
        {"http://", "", ERR_USAGE},
        {"http://user@10.0.0.1/", "", ERR_USAGE},
        {"http://10.0.0.1:0/", "", ERR_USAGE},
        {"http://10.0.0.1:99999/", "", ERR_USAGE},
        {"http://[::1/", "", ERR_USAGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_t) out = {0};
        buf_init(&out, 100);
        http_fetch_t f = {.url = cases[i].url, .max_in_bytes = 20};
        s->answer = cases[i].answer;
        deadline_t d = deadline_push(t, 5000);
        err_t e = http_fetch_all(t, &f, &out);
        deadline_pop(t, &d);
        if (e != cases[i].error)
            fail_msg("%s: %s, wanted %s", cases[i].url, error_name(e), error_name(cases[i].error));
    }
}

static void redirects(task_t *t, server_t *s)
{
    static const struct {
        const char *method, *from, *redirect;
        err_t error;
        const char *wants; /* of the last request */
    } rows[] = {
        {"GET", "/r", "HTTP/1.1 301 Moved\r\nLocation: /b?c\r\nContent-Length: 4\r\n\r\nbody", OK,
         "GET /b?c HTTP"},
        {"GET", "/r/x?y", "HTTP/1.1 302 Found\r\nLocation: /z/w\r\nContent-Length: 0\r\n\r\n", OK,
         "GET /z/w HTTP"},
        {"GET", "/r", "HTTP/1.1 302 Found\r\nLocation: z\r\nContent-Length: 0\r\n\r\n", OK, "GET /z HTTP"},
        {"GET", "/r", "HTTP/1.1 307 Go\r\nLocation: http://10.0.0.1:8000/q\r\nContent-Length: 0\r\n\r\n", OK,
         "Authorization: x"},
        {"PUT", "/r", "HTTP/1.1 308 Go\r\nLocation: //10.0.0.1:8000/q\r\nContent-Length: 0\r\n\r\n", OK,
         "PUT /q HTTP"},
        {"GET", "/r", "HTTP/1.1 302 Found\r\nLocation: /z?to=http://a/b\r\nContent-Length: 0\r\n\r\n", OK,
         "GET /z?to=http://a/b HTTP"},
        {"PUT", "/r", "HTTP/1.1 303 See\r\nLocation: /q\r\nContent-Length: 0\r\n\r\n", OK, "GET /q HTTP"},
        {"GET", "/r", "HTTP/1.1 301 Moved\r\nLocation: ftp://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
         ERR_PROTOCOL, ""},
        {"GET", "/r", "HTTP/1.1 301 Moved\r\nLocation: /r\r\nContent-Length: 0\r\n\r\n", ERR_PROTOCOL, ""},
        {"GET", "/r", "HTTP/1.1 304 Not Modified\r\nLocation: /q\r\n\r\n", OK, "GET /r HTTP"},
    };
    s->answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        char url[64];
        static const http_field_t secret = {"Authorization", "x"};
        buf_init(&out, 100);
        snprintf(url, sizeof url, "http://10.0.0.1:8000%s", rows[i].from);
        http_fetch_t f = {.method = rows[i].method, .url = url, .fields = &secret, .n_fields = 1};
        s->redirect = rows[i].redirect;
        err_t e = http_fetch_all(t, &f, &out);
        if (e != rows[i].error)
            fail_msg("%zu: %s, wanted %s", i, error_name(e), error_name(rows[i].error));
        if (e)
            continue;
        assert_true(asked(s, rows[i].wants));
        assert_true(f.status == 304 || bytes_equal(buf_bytes(&out), BYTES_LIT("hello")));
    }
    http_fetch_t stays = {.method = "PUT", .url = "http://10.0.0.1:8000/r", .stays_here = true};
    s->redirect = "HTTP/1.1 307 Go\r\nLocation: /q\r\nContent-Length: 0\r\n\r\n";
    assert_ok(http_fetch(t, &stays));
    assert_int_equal(stays.status, 307);
    assert_true(asked(s, "PUT /r HTTP"));
    s->redirect = NULL;
}

/* Interim answers and nothing else, as long as somebody listens. */
static void framing_without_end(task_t *t, server_t *s)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    enum { COUNT = 2 << 20 };
    char *answer = xcalloc(1, COUNT + sizeof interim);
    for (size_t at = 0; at < COUNT; at += sizeof interim - 1)
        memcpy(answer + at, interim, sizeof interim - 1);
    http_fetch_t f = {.url = "http://10.0.0.1:8000/", .max_in_bytes = 20};
    s->answer = answer;
    assert_err(http_fetch(t, &f), ERR_LIMIT);
    s->answer = "";
    s->sending = answer; /* the server may not know yet that nobody reads it */
}

/* As Kubo's client asks for what a user named; all other requests do not. */
static void content(task_t *t, server_t *s)
{
    static const struct {
        const char *url, *redirect;
        bool is_content;
        err_t error;
        const char *wants, *wants_not; /* of the last request */
    } rows[] = {
        {"http://u:p@10.0.0.1:8000/a b", NULL, true, OK, "GET /a%20b HTTP", "u:p@"},
        {"http://u:p@10.0.0.1:8000/", NULL, true, OK, "Authorization: Basic dTpw\r\n", "u:p@"},
        {"http://u:p@10.0.0.1:8000/", NULL, false, ERR_USAGE, NULL, NULL},
        {"http://10.0.0.1:8000/", NULL, true, OK, "Accept-Encoding: gzip\r\n", "Authorization"},
        {"http://10.0.0.1:8000/", NULL, false, OK, "GET / HTTP", "Accept-Encoding"},
        {"http://u:p@10.0.0.1:8000/r", "Location: /q", true, OK, "Authorization: Basic dTpw\r\n", "Referer"},
        {"http://u:p@10.0.0.1:8000/r", "Location: http://10.0.0.1:8000/q", true, OK, "GET /q HTTP",
         "Authorization"},
        {"http://10.0.0.1:8000/r", "Location: http://u:p@10.0.0.1:8000/q", false, ERR_USAGE, NULL, NULL},
        {"http://10.0.0.1:8000/r", "Location: ../b/./c", true, OK, "GET /b/c HTTP", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        char redirect[200];
        buf_init(&out, 100);
        snprintf(redirect, sizeof redirect, "HTTP/1.1 302 Found\r\n%s\r\nContent-Length: 0\r\n\r\n",
                 rows[i].redirect ? rows[i].redirect : "");
        http_fetch_t f = {.url = rows[i].url, .is_content = rows[i].is_content};
        s->redirect = rows[i].redirect ? redirect : NULL;
        s->answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        err_t e = http_fetch_all(t, &f, &out);
        if (e != rows[i].error)
            fail_msg("%zu: %s, wanted %s", i, error_name(e), error_name(rows[i].error));
        assert_true(!e || !strstr(error_text(e), "u:p"));
        assert_true(e || (asked(s, rows[i].wants) && (!rows[i].wants_not || !asked(s, rows[i].wants_not))));
    }
    s->redirect = NULL;
}

static void pulled(task_t *t, server_t *s)
{
    static const char gzipped[] = /* of "hello" */
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00";
    char answer[200];
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    memcpy(answer + n, gzipped, sizeof gzipped);
    s->answer = answer;
    s->answer_bytes =
        (size_t)n + sizeof gzipped; /* with one NUL that the literal ends in, which is the last byte */
    for (size_t cap = 1; cap < 8; cap++) {
        http_answer_t *a;
        uint8_t out[16];
        size_t len = 0, got = 1;
        http_fetch_t f = {.url = "http://10.0.0.1:8000/", .is_content = true};
        assert_ok(http_answer_open(t, &f, &a));
        assert_string_equal(http_answer_field(a, "content-encoding"), "gzip");
        for (; got; len += got)
            assert_ok(http_answer_read(t, a, out + len, cap, &got));
        assert_true(len == 5 && !memcmp(out, "hello", 5));
        http_answer_close(t, a);
    }
    AUTO(buf_t) all = {0};
    buf_init(&all, 16);
    http_fetch_t pushed = {.url = "http://10.0.0.1:8000/", .is_content = true};
    assert_ok(http_fetch_all(t, &pushed, &all));
    assert_true(bytes_equal(buf_bytes(&all), BYTES_LIT("hello")));
    s->answer_bytes -= 3;
    http_answer_t *cut;
    uint8_t out[16];
    size_t got = 1;
    err_t e = OK;
    http_fetch_t f = {.url = "http://10.0.0.1:8000/", .is_content = true};
    assert_ok(http_answer_open(t, &f, &cut));
    while (!e && got)
        e = http_answer_read(t, cut, out, sizeof out, &got);
    assert_err(e, ERR_EOF);
    http_answer_close(t, cut);
    s->answer_bytes = 0;
    s->answer = NULL;
    http_fetch_t silent = {.url = "http://10.0.0.1:8000/", .is_content = true, .max_silence_ms = 3000};
    uint64_t began_ms = task_now_ms(t);
    assert_err(http_fetch(t, &silent), ERR_TIMEOUT);
    assert_true(task_now_ms(t) - began_ms < 4000 && strstr(error_text(ERR_TIMEOUT), "nothing came"));
}

/* Connections are used again where an answer ended before them; one that has ended costs another. */
static void pooled(task_t *t, server_t *s)
{
    static const struct {
        const char *answer;
        bool keeps, pools;
        size_t n_links; /* of four requests */
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, true, 1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true, true, 1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, false, 4},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, true, 4}, /* ends without a word */
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, true, 4},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello more", false, true, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        http_pool_t pool;
        http_pool_init(&pool);
        s->n_links = 0;
        s->answer = rows[i].answer;
        s->keeps = rows[i].keeps;
        for (size_t k = 0; k < 4; k++) {
            AUTO(buf_t) out = {0};
            buf_init(&out, 100);
            http_fetch_t f = {.url = "http://10.0.0.1:8000/x", .pool = rows[i].pools ? &pool : NULL};
            assert_ok(http_fetch_all(t, &f, &out));
            assert_true(bytes_equal(buf_bytes(&out), BYTES_LIT("hello")));
        }
        if (s->n_links != rows[i].n_links)
            fail_msg("%zu: %zu connections, wanted %zu", i, s->n_links, rows[i].n_links);
        assert_ok(task_sleep(t, POOL_IDLE_MS + 1));
        for (size_t k = 0; k < POOL_LINKS_MAX; k++)
            assert_null(pool.links[k].place); /* nothing stays idle */
        http_pool_deinit(&pool);
    }
    s->keeps = false;
}

/* The server may have done it before its connection ended. */
static void not_made_twice(task_t *t, server_t *s)
{
    http_pool_t pool;
    http_pool_init(&pool);
    s->n_links = 0;
    s->answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    http_fetch_t f = {.url = "http://10.0.0.1:8000/x", .pool = &pool};
    assert_ok(http_fetch(t, &f));
    f.method = "POST";
    assert_true(http_fetch(t, &f));
    assert_int_equal(s->n_links, 1);
    assert_ok(http_fetch(t, &f));
    http_pool_deinit(&pool);
}

static err_t all(task_t *t, void *arg)
{
    server_t s = {0};
    net_addr_t at;
    buf_init(&s.request, 1 << 20);
    assert_ok(net_addr_parse("10.0.0.1:8000", &at));
    assert_ok(net_listen(task_driver(t), &at, &s.listener));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "server", server_task, &s, NULL));
    whole_answers(t, &s);
    bodies_go_out(t, &s);
    failures(t, &s);
    redirects(t, &s);
    content(t, &s);
    pulled(t, &s);
    pooled(t, &s);
    not_made_twice(t, &s);
    framing_without_end(t, &s);
    group_stop(t, &g);
    group_deinit(&g);
    listener_close(s.listener);
    free(s.sending);
    buf_deinit(&s.request);
    return OK;
}

static void fetches(void **state)
{
    assert_ok(test_run(all, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fetches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
