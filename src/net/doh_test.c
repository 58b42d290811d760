/* Look-ups over HTTP at a server of this machine: what is asked, and what answers are taken for. */
#include "net/doh.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define HEAD "\0\0\x81\x80\0\1\0\2\0\0\0\0"
#define QUESTION "\4name\4test\0\0\x10\0\1"
#define QUESTION_BYTES (12 + sizeof QUESTION - 1)
#define CNAME "\xc0\x0c\0\5\0\1\0\0\0\x05\0\2\xc0\x0c"

typedef struct server {
    listener_t *listener;
    bytes_t answer;
    const char *status;
    uint8_t request[4096];
    size_t len;
} server_t;

static err_t serve_one(task_t *t, server_t *s, stream_t *stream)
{
    AUTO(buf_t) out = {0};
    size_t n;
    const char *end = NULL;
    buf_init(&out, 4096);
    s->len = 0;
    while (!end || s->len < (size_t)((const uint8_t *)end + 4 - s->request) + QUESTION_BYTES) {
        TRY(stream_read(t, stream, s->request + s->len, sizeof s->request - s->len, &n));
        s->len += n;
        end = memmem(s->request, s->len, "\r\n\r\n", 4);
    }
    TRY(buf_printf(&out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", s->status, s->answer.len));
    TRY(buf_append(&out, s->answer));
    return stream_write(t, stream, buf_bytes(&out));
}

static err_t server_task(task_t *t, void *arg)
{
    server_t *s = arg;
    for (;;) {
        stream_t *stream;
        net_addr_t from;
        TRY(listener_accept(t, s->listener, &stream, &from));
        err_t e = serve_one(t, s, stream);
        stream_close(stream);
        TRY(e == ERR_CANCELED ? e : OK);
    }
}

static err_t look_up(task_t *t, doh_t *d, dns_answer_t *a)
{
    return doh_resolve(t, d, "name.test", DNS_TXT, a);
}

static void answers(task_t *t, server_t *s, doh_t *d)
{
    static dns_answer_t a;
    static const struct {
        const char *status;
        bytes_t message;
        err_t error;
    } bad[] = {
        {"200 OK", BYTES_LIT(""), ERR_INVALID},
        {"200 OK", BYTES_LIT("\0\0\x81\x83\0\1\0\0\0\0\0\0" QUESTION), ERR_NOT_FOUND},
        {"200 OK", BYTES_LIT("\0\0\x81\x82\0\1\0\0\0\0\0\0" QUESTION), ERR_UNREACHABLE},
        {"200 OK", BYTES_LIT("\0\0\x81\x80\0\1\0\1\0\0\0\0" QUESTION CNAME), ERR_NOT_FOUND},
        {"200 OK", BYTES_LIT(HEAD QUESTION CNAME "\xc0\x0c\0\x10\0\1\0\0\0\x09\0\5\4xy"), ERR_INVALID},
        {"503 Busy", BYTES_LIT(HEAD QUESTION CNAME), ERR_UNREACHABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        s->status = bad[i].status;
        s->answer = bad[i].message;
        err_t e = look_up(t, d, &a);
        if (e != bad[i].error)
            fail_msg("%zu: %s, wanted %s", i, error_name(e), error_name(bad[i].error));
    }
    s->status = "200 OK";
    s->answer = BYTES_LIT(HEAD QUESTION CNAME "\xc0\x0c\0\x10\0\1\0\0\0\x09\0\5\2xy\1z");
    assert_ok(look_up(t, d, &a));
    assert_int_equal(a.count, 1);
    assert_int_equal(a.ttl_s, 5);
    assert_true(bytes_equal(buf_bytes(&a.text[0]), BYTES_LIT("xyz")));
    dns_answer_deinit(&a);
    assert_non_null(memmem(s->request, s->len, "POST /dns-query HTTP/1.1\r\n", 26));
    assert_non_null(memmem(s->request, s->len, "Content-Type: application/dns-message\r\n", 39));
    bytes_t question = BYTES_LIT("\0\0\1\0\0\1\0\0\0\0\0\0" QUESTION);
    assert_true(s->len > question.len &&
                !memcmp(s->request + s->len - question.len, question.data, question.len));
}

static err_t all(task_t *t, void *arg)
{
    static dns_answer_t a;
    server_t s = {0};
    net_addr_t at;
    doh_t *d = doh_new();
    assert_ok(net_addr_parse("127.0.0.1:8053", &at));
    assert_ok(net_listen(task_driver(t), &at, &s.listener));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "server", server_task, &s, NULL));
    assert_err(look_up(t, d, &a), ERR_AGAIN); /* nobody has it */
    assert_ok(doh_add(d, ".", "https://nobody.example/dns-query"));
    assert_ok(doh_add(d, "test.", "http://localhost:8053/dns-query"));
    assert_ok(doh_add(d, "other.test.", "https://nobody.example/dns-query"));
    assert_err(doh_add(d, ".", "http://10.0.0.1:8053/dns-query"), ERR_USAGE);
    answers(t, &s, d);
    assert_err(doh_resolve(t, d, "a.other.test", DNS_TXT, &a), ERR_NOT_FOUND); /* its server has no address */
    assert_err(doh_resolve(t, d, "a..test", DNS_TXT, &a), ERR_INVALID);
    /* All look-ups of names go this way, but for the server's own. */
    driver_set_resolver(task_driver(t), doh_resolve, d);
    assert_ok(dns_resolve(t, "name.test.", DNS_TXT, &a));
    dns_answer_deinit(&a);
    assert_err(dns_resolve(t, "name.example", DNS_TXT, &a), ERR_NOT_FOUND);
    driver_set_resolver(task_driver(t), NULL, NULL);
    group_stop(t, &g);
    group_deinit(&g);
    listener_close(s.listener);
    doh_free(d);
    return OK;
}

static void lookups(void **state)
{
    assert_ok(test_run(all, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lookups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
