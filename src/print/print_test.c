/* Values cut out of a stream at any byte, and answers as text. */
#include "print/go_format.h"
#include "print/go_type.h"
#include "print/json_values.h"
#include "print/print_ls.h"
#include "tests/support/test.h"
#include <stdlib.h>

static const char *no_option(void *arg, const char *name)
{
    return NULL;
}

static const char *long_option(void *arg, const char *name)
{
    return strcmp(name, "long") && strcmp(name, "headers") ? NULL : "true";
}

static err_t append(void *arg, bytes_t text)
{
    return buf_append(arg, text);
}

static print_t printer(buf_t *out)
{
    buf_init(out, 1 << 20);
    return (print_t){.option = no_option, .write = append, .arg = out, .program = "ipfs", .is_kubo = true};
}

static void assert_text(buf_t *out, const char *expected)
{
    const char *text;
    assert_ok(buf_cstr(out, &text));
    assert_string_equal(text, expected);
    buf_clear(out);
}

static err_t put_compact(print_t *p, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    err_t e = print_out(p, "%s;", text);
    free(text);
    return e;
}

static void take_values(print_t *p, json_values_t *v, bool at_end)
{
    bytes_t value;
    while (json_values_next(v, at_end, &value))
        assert_ok(json_value_print(p, value, put_compact));
}

static void test_values(void **state)
{
    static const char stream[] = "{\"a\":\"}\\\"\\\\\"}\n\n\"b\"\n[{},[1]]{\"c\":\n2}\n7";
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        buf_t out;
        json_values_t v;
        print_t p = printer(&out);
        json_values_init(&v, 64);
        assert_ok(json_values_feed(&v, bytes_of(stream, cut)));
        take_values(&p, &v, false);
        assert_ok(json_values_feed(&v, bytes_of(stream + cut, sizeof stream - 1 - cut)));
        take_values(&p, &v, false);
        take_values(&p, &v, true);
        assert_text(&out, "{\"a\":\"}\\\"\\\\\"};\"b\";[{},[1]];{\"c\":2};7;");
        json_values_deinit(&v);
        buf_deinit(&out);
    }
}

static void test_values_are_bounded(void **state)
{
    json_values_t v;
    buf_t out;
    print_t p = printer(&out);
    json_values_init(&v, 8);
    assert_ok(json_values_feed(&v, BYTES_LIT("{\"a\":")));
    assert_int_equal(json_values_feed(&v, BYTES_LIT("\"long\"")), ERR_LIMIT);
    assert_int_equal(json_value_print(&p, BYTES_LIT("{]"), put_compact), ERR_PROTOCOL);
    char deep[4096];
    memset(deep, '[', sizeof deep);
    assert_int_equal(json_value_print(&p, bytes_of(deep, sizeof deep), put_compact), ERR_LIMIT);
    json_values_deinit(&v);
    buf_deinit(&out);
}

static void check(print_t *p, buf_t *out, const char *command, const char *json, const char *expected)
{
    p->command = command;
    assert_ok(json_value_print(p, bytes_str(json),
                               go_answer_has_text(command) ? print_find(command) : go_format_print));
    assert_text(out, expected);
}

static void test_texts(void **state)
{
    buf_t out;
    print_t p = printer(&out);
    check(&p, &out, "add", "{\"Name\":\"a\",\"Hash\":\"Qm\",\"Size\":\"11\"}",
          "&{a Qm %!s(int64=0) 11  %!s(int64=0) %!s(int=0)}");
    check(&p, &out, "key/verify", "{\"Key\":{\"Name\":\"self\",\"Id\":\"k5\"},\"SignatureValid\":true}",
          "&{{self k5} %!s(bool=true)}");
    check(&p, &out, "stats/bw", "{\"TotalIn\":3,\"RateIn\":0.1}",
          "&{%!s(int64=3) %!s(int64=0) %!s(float64=0.1) %!s(float64=0)}");
    check(&p, &out, "filestore/verify",
          "{\"Status\":12,\"Key\":{\"/\":\"bafk\"},\"FilePath\":\"f\",\"Size\":6}",
          "&{changed  bafk f %!s(uint64=0) %!s(uint64=6)}");
    check(&p, &out, "diag/healthy", "\"ok\"", "ok");
    check(&p, &out, "id", "{\"ID\":\"    x\",\"Addresses\":[\"a\"]}",
          "{\n\t\"ID\": \"    x\",\n\t\"Addresses\": [\n\t\t\"a\"\n\t]\n}\n");
    check(&p, &out, "pin/add", "{\"Pins\":[\"Qm\\u001b\"]}", "pinned Qm\\x1b recursively\n");
    assert_null(print_find("files/cp"));
    buf_deinit(&out);
}

static void test_ls(void **state)
{
    static const char answer[] =
        "{\"Objects\":[{\"Hash\":\"Qm\",\"Links\":[{\"Name\":\"a\",\"Hash\":\"Qa\",\"Size\":"
        "6,\"Type\":2},{\"Name\":\"d\",\"Hash\":\"Qlonger\",\"Size\":0,\"Type\":1}]}]}\n";
    static const char expected[] = "Mode Hash    Size ModTime Name\n-    Qa      6    -       a\n"
                                   "-    Qlonger -    -       d/\n";
    for (size_t cut = 0; cut < sizeof answer; cut++) {
        buf_t out;
        print_t p = printer(&out);
        p.option = long_option;
        ls_text_t *l = ls_text_new(&p);
        assert_ok(ls_text_feed(l, bytes_of(answer, cut)));
        assert_ok(ls_text_feed(l, bytes_of(answer + cut, sizeof answer - 1 - cut)));
        assert_text(&out, expected);
        ls_text_free(l);
        buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_are_bounded),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_ls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
