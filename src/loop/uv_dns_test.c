#include "base/writer.h"
#include "loop/loop_testing.h"
#include "loop/uv_internal.h"
#include <stdio.h>

/* ── a tiny DNS server ───────────────────────────────────────────────────────────────────────── */

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_TXT = 16, TYPE_AAAA = 28 };

typedef struct dns_server {
    udp_t *udp;
    group_t group;
    size_t questions;
} dns_server_t;

static void answer_head(writer_t *w, uint16_t type, uint32_t ttl_s, uint16_t len)
{
    write_u16be(w, 0xc00c); /* the name of the question */
    write_u16be(w, type);
    write_u16be(w, 1);
    write_u32be(w, ttl_s);
    write_u16be(w, len);
}

/* name.test: A, AAAA and TXT; none.test: no answers; silent.test: nothing at all; else NXDOMAIN. */
static bool write_reply(bytes_t q, const char *name, buf_t *out)
{
    uint16_t type = (uint16_t)(q.data[q.len - 4] << 8 | q.data[q.len - 3]);
    bool is_known = !strcmp(name, "name"), is_empty = !strcmp(name, "none");
    if (!strcmp(name, "silent"))
        return false;
    uint16_t answers = !is_known ? 0 : type == TYPE_TXT ? 3 : 2;
    writer_t w = writer_to(out);
    write_bytes(&w, bytes_slice(q, 0, 2));
    write_u16be(&w, is_known || is_empty ? 0x8580 : 0x8583);
    write_u16be(&w, 1);
    write_u16be(&w, answers);
    write_u32be(&w, 0);
    write_bytes(&w, bytes_slice(q, 12, q.len));
    for (uint8_t i = 0; i < answers; i++) {
        if (type == TYPE_A) {
            answer_head(&w, TYPE_A, 300u + i, 4);
            write_u32be(&w, 0xc0000201u + i);
        } else if (type == TYPE_AAAA) {
            answer_head(&w, TYPE_AAAA, 60, 16);
            write_bytes(&w, BYTES_LIT("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"));
            write_u8(&w, i);
        } else if (i < 2) {
            answer_head(&w, TYPE_TXT, 120u - i, 14);
            write_bytes(&w, BYTES_LIT("\x08"
                                      "dnslink="
                                      "\x04/ip"));
            write_u8(&w, (uint8_t)('a' + i));
        } else {
            answer_head(&w, 99, 1, 1); /* a type that nobody asked for */
            write_u8(&w, 0);
        }
    }
    return true;
}

static err_t serve_dns(task_t *t, void *arg)
{
    dns_server_t *s = arg;
    for (;;) {
        uint8_t question[512];
        char name[64];
        size_t n;
        net_addr_t from;
        TRY(udp_recv(t, s->udp, &from, question, sizeof question, &n));
        s->questions++;
        CHECK(n > 16 && question[12] < sizeof name);
        memcpy(name, question + 13, question[12]);
        name[question[12]] = 0;
        size_t end = 12; /* of the question: without additional records */
        while (question[end])
            end += question[end] + 1u;
        AUTO(buf_t) reply;
        buf_init(&reply, 1000);
        question[11] = 0;
        if (write_reply(bytes_of(question, end + 5), name, &reply))
            TRY(udp_send(s->udp, &from, buf_bytes(&reply)));
    }
}

static err_t resolve(task_t *t, const char *name, dns_type_t type, dns_answer_t *a)
{
    *a = (dns_answer_t){0};
    return dns_resolve(t, name, type, a);
}

static err_t lookup_silent(task_t *t, void *arg)
{
    static dns_answer_t a;
    return resolve(t, "silent.test", *(dns_type_t *)arg, &a);
}

static err_t ask(task_t *t, dns_server_t *s)
{
    static dns_answer_t a;
    TRY(resolve(t, "name.test", DNS_A, &a));
    CHECK(a.count == 2 && a.ttl_s == 300);
    CHECK(bytes_equal(buf_bytes(&a.text[1]), BYTES_LIT("\xc0\x00\x02\x02")));
    dns_answer_deinit(&a);
    TRY(resolve(t, "name.test", DNS_AAAA, &a));
    CHECK(a.count == 2 && a.ttl_s == 60 && a.text[1].len == 16 && a.text[1].data[15] == 1);
    dns_answer_deinit(&a);
    TRY(resolve(t, "name.test", DNS_TXT, &a));
    CHECK(a.count == 2 && a.ttl_s == 119);
    CHECK(bytes_equal(buf_bytes(&a.text[0]), BYTES_LIT("dnslink=/ipa")));
    dns_answer_deinit(&a);
    CHECK_ERR(ERR_NOT_FOUND, resolve(t, "none.test", DNS_A, &a));
    CHECK_ERR(ERR_NOT_FOUND, resolve(t, "none.test", DNS_TXT, &a));
    CHECK(strstr(error_text(ERR_NOT_FOUND), "none.test (TXT)"));
    CHECK_ERR(ERR_NOT_FOUND, resolve(t, "unknown.test", DNS_TXT, &a));
    CHECK_ERR(ERR_NOT_FOUND, resolve(t, "unknown.test", DNS_AAAA, &a));
    CHECK(s->questions >= 7);
    TRY(resolve(t, "localhost", DNS_A, &a)); /* known without a question */
    CHECK(a.count >= 1 && a.text[0].data[0] == 127);
    dns_answer_deinit(&a);
    CHECK(resolve(t, "a..b", DNS_TXT, &a));
    return OK;
}

static err_t give_up(task_t *t)
{
    static dns_type_t types[] = {DNS_A, DNS_TXT};
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        deadline_t d = deadline_push(t, 10);
        CHECK_ERR(ERR_TIMEOUT, lookup_silent(t, &types[i]));
        deadline_pop(t, &d);
        task_t *child;
        TRY(group_spawn(&g, "lookup", lookup_silent, &types[i], &child));
        TRY(task_yield(t));
        task_cancel(child);
        TRY(group_wait_below(t, &g, 1));
    }
    return OK; /* the lookups are still under way when the driver is freed */
}

static err_t dns_body(task_t *t, void *arg)
{
    dns_server_t s = {0};
    net_addr_t at = loopback(0);
    TRY(udp_open(task_driver(t), &at, &s.udp));
    char servers[NET_ADDR_TEXT_MAX];
    CHECK_ERR(ERR_INVALID, uv_driver_set_dns_servers(task_driver(t), "not an address"));
    TRY(uv_driver_set_dns_servers(task_driver(t), net_addr_print(&s.udp->at, servers)));
    group_init(&s.group, task_sched(t));
    TRY(group_spawn(&s.group, "dns", serve_dns, &s, NULL));
    err_t e = ask(t, &s);
    if (!e)
        e = give_up(t);
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", error_text(e));
    group_stop(t, &s.group);
    udp_close(s.udp);
    return e ? fail(e, "%s", text) : OK;
}

static void lookups(void **state)
{
    run_on_driver(dns_body, NULL);
}

static err_t no_server_body(task_t *t, void *arg)
{
    net_addr_t at = loopback(0);
    udp_t *u;
    TRY(udp_open(task_driver(t), &at, &u));
    char servers[NET_ADDR_TEXT_MAX];
    net_addr_print(&u->at, servers);
    udp_close(u);
    TRY(uv_driver_set_dns_servers(task_driver(t), servers));
    static dns_answer_t a;
    CHECK_ERR(ERR_UNREACHABLE, resolve(t, "name.test", DNS_TXT, &a));
    CHECK(strstr(error_text(ERR_UNREACHABLE), "look up name.test (TXT)"));
    return OK;
}

static void no_server(void **state)
{
    run_on_driver(no_server_body, NULL);
}

/* ── the parser ──────────────────────────────────────────────────────────────────────────────── */

#define HEAD "\0\1\x81\x80\0\1\0\1\0\0\0\0"
#define QUESTION "\1a\4test\0\0\x10\0\1"
static void parser(void **state)
{
    static dns_answer_t a;
    static const bytes_t bad[] = {
        BYTES_LIT(""),
        BYTES_LIT(HEAD),
        BYTES_LIT(HEAD QUESTION "\xc0\x0c\0\x10\0\1\0\0\0\5\0\5\x04xy"),
        BYTES_LIT(HEAD QUESTION "\xc0\x0c\0\x10\0\1\0\0\0\5\0\3\x04xy"),
        BYTES_LIT(HEAD QUESTION "\x80\x0c\0\x10\0\1\0\0\0\5\0\3\2xy"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(dns_parse_txt(bad[i], &a), ERR_INVALID);
    assert_int_equal(dns_parse_txt(BYTES_LIT(HEAD QUESTION "\xc0\x0c\0\5\0\1\0\0\0\5\0\2\xc0\x0c"), &a),
                     ERR_NOT_FOUND);
    assert_ok(dns_parse_txt(BYTES_LIT(HEAD QUESTION "\1b\0\0\x10\0\1\0\0\0\5\0\5\2xy\1z"), &a));
    assert_int_equal(a.count, 1);
    assert_int_equal(a.ttl_s, 5);
    assert_true(bytes_equal(buf_bytes(&a.text[0]), BYTES_LIT("xyz")));
    dns_answer_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lookups), cmocka_unit_test(no_server),
                                       cmocka_unit_test(parser)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
