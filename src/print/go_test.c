/* Types as they are noted, and answers as the reference's language writes them. Expected texts: answers of
 * Kubo 0.42, and of Go 1.26's encoding/xml and fmt for values like these. */
#include "print/go_format.h"
#include "print/go_string.h"
#include "print/go_type.h"
#include "print/go_xml.h"
#include "print/json_values.h"
#include "tests/support/test.h"
#include <stdlib.h>

static const char *no_option(void *arg, const char *name)
{
    return NULL;
}

static err_t append(void *arg, bytes_t text)
{
    return buf_append(arg, text);
}

static print_t printer(buf_t *out, const char *command)
{
    buf_init(out, 1 << 20);
    return (print_t){.option = no_option, .write = append, .arg = out, .program = "ipfs", .command = command};
}

static void check(print_fn print, bool is_decoded, const char *command, const char *json,
                  const char *expected)
{
    buf_t out;
    const char *text;
    print_t p = printer(&out, command);
    p.is_decoded = is_decoded;
    assert_ok(json_value_print(&p, bytes_str(json), print));
    assert_ok(buf_cstr(&out, &text));
    assert_string_equal(text, expected);
    buf_deinit(&out);
}

/* ── types ───────────────────────────────────────────────────────────────────────────────────── */

static void walk(go_type_t t, size_t depth)
{
    go_member_t m;
    if (depth > 4) /* one that holds itself */
        return;
    if (t.kind == GO_POINTER || t.kind == GO_SLICE || t.kind == GO_MAP)
        walk(go_type_read(t.inner), depth + 1);
    if (t.kind == GO_STRUCT || (t.kind == GO_ANY && t.inner))
        for (const char *at = t.inner; go_type_next(&at, &m);) {
            assert_true(m.name.len && m.json.len);
            walk(m.type, depth + 1);
        }
}

static void test_all_types_are_read(void **state)
{
    const go_answer_t *a;
    for (size_t i = 0; (a = go_answer_at(i)); i++) {
        go_type_t t = go_type_read(a->emitted);
        assert_int_equal(*t.end, 0);
        walk(t, 0);
        if (a->decoded)
            walk(go_type_read(a->decoded), 0);
        const go_answer_t *next = go_answer_at(i + 1);
        assert_true(!next || strcmp(a->command, next->command) < 0);
        assert_ptr_equal(go_answer_of(a->command), a);
    }
    assert_null(go_answer_of("cat"));
}

static void assert_float(double value, bool is_single, const char *expected)
{
    char text[40];
    assert_string_equal(go_float_text(value, is_single, text), expected);
}

static void test_floats(void **state)
{
    assert_float(0, false, "0");
    assert_float(100, false, "100");
    assert_float(0.1, false, "0.1");
    assert_float((double)0.1F, true, "0.1");
    assert_float(999999, false, "999999");
    assert_float(1e6, false, "1e+06");
    assert_float(1234567.5, false, "1.2345675e+06");
    assert_float(0.0001, false, "0.0001");
    assert_float(0.00001, false, "1e-05");
    assert_float(-2.5, false, "-2.5");
}

static void test_times(void **state)
{
    go_time_t t;
    assert_true(go_time_read("0001-01-01T00:00:00Z", &t));
    assert_int_equal(t.seconds, 0);
    assert_true(go_time_read("1970-01-01T00:00:00.25Z", &t));
    assert_int_equal(t.seconds, 62135596800);
    assert_int_equal(t.nanos, 250000000);
    assert_true(go_time_read("2024-03-01T01:30:00+01:30", &t));
    assert_int_equal(t.seconds - 62135596800, 1709251200);
    assert_false(go_time_read("now", &t));
}

/* ── XML ─────────────────────────────────────────────────────────────────────────────────────── */

static void test_xml(void **state)
{
    check(go_xml_print, false, "version", "{\"Version\":\"0.42.0\",\"Repo\":\"18\",\"More\":1}",
          "<VersionInfo><Version>0.42.0</Version><Commit></Commit><Repo>18</Repo><System></System>"
          "<Golang></Golang></VersionInfo>");
    check(go_xml_print, false, "cid/codecs",
          "[{\"Code\":85,\"Name\":\"raw\"},{\"Code\":112,\"Name\":\"dag-pb\"}]",
          "<CodeAndName><Code>85</Code><Name>raw</Name></CodeAndName><CodeAndName><Code>112</Code>"
          "<Name>dag-pb</Name></CodeAndName>");
    check(go_xml_print, false, "repo/stat", "{\"RepoSize\":1,\"StorageMax\":2,\"NumObjects\":3}",
          "<Stat><RepoSize>1</RepoSize><StorageMax>2</StorageMax><NumObjects>3</NumObjects><RepoPath></"
          "RepoPath>"
          "<Version></Version></Stat>");
    check(go_xml_print, false, "dag/import", "{\"Root\":{\"Cid\":{\"/\":\"bafk\"},\"PinErrorMsg\":\"\"}}",
          "<CarImportOutput><Root><Cid>bafk</Cid><PinErrorMsg></PinErrorMsg></Root></CarImportOutput>");
    check(go_xml_print, false, "repo/gc", "{\"Error\":\"no\"}",
          "<GcResult><Key>b</Key><Error>no</Error></GcResult>");
    check(go_xml_print, false, "diag/healthy", "\"ok\"", "<string>ok</string>");
    check(go_xml_print, false, "p2p/close", "2", "<int>2</int>");
    check(go_xml_print, false, "config", "{\"Key\":\"k\",\"Value\":[1,true,\"x\",null]}",
          "<ConfigField><Key>k</Key><Value>1</Value><Value>true</Value><Value>x</Value></ConfigField>");
    check(go_xml_print, false, "diag/datastore/get", "{\"key\":\"/k\",\"value\":\"YTxi\"}",
          "<diagDatastoreGetResult><Key>/k</Key><Value>a&lt;b</Value><HexDump></HexDump></"
          "diagDatastoreGetResult>");
    check(go_xml_print, false, "pubsub/ls", "{\"Strings\":null}", "<stringList></stringList>");
    check(go_xml_print, false, "refs", "{\"Ref\":\"<&>'\\\"\\n\\t\\r\\u0001\\uffff\\u00e9\",\"Err\":\"\"}",
          "<RefWrapper><Ref>&lt;&amp;&gt;&#39;&#34;&#xA;&#x9;&#xD;\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9</Ref>"
          "<Err></Err></RefWrapper>");
}

static void test_xml_has_no_maps(void **state)
{
    static const struct {
        const char *command, *json, *expected;
    } maps[] = {
        {"pin/ls", "{\"Keys\":{}}", "xml: unsupported type: map[string]pin.PinLsType"},
        {"config/show", "{}", "xml: unsupported type: map[string]interface {}"},
        {"swarm/resources", "{}", "xml: unsupported type: map[string]libp2p.ResourceLimitsAndUsage"},
        {"config", "{\"Value\":{}}", "xml: unsupported type: map[string]interface {}"},
        {"swarm/addrs", "{}", "xml: unsupported type: map[string][]string"},
    };
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        buf_t out;
        print_t p = printer(&out, maps[i].command);
        assert_int_equal(json_value_print(&p, bytes_str(maps[i].json), go_xml_print), ERR_UNSUPPORTED);
        assert_string_equal(error_text(ERR_UNSUPPORTED), maps[i].expected);
        assert_int_equal(out.len, 0);
        buf_deinit(&out);
    }
}

/* Blocks of 4 KiB had left before. */
static void test_xml_before_an_error(void **state)
{
    buf_t out;
    char json[6000];
    print_t p = printer(&out, "config");
    snprintf(json, sizeof json, "{\"Key\":\"%05000d\",\"Value\":{}}", 7);
    assert_int_equal(json_value_print(&p, bytes_str(json), go_xml_print), ERR_UNSUPPORTED);
    assert_int_equal(out.len, 4096);
    assert_memory_equal(out.data, "<ConfigField><Key>000", 21);
    buf_deinit(&out);
}

/* ── %s ──────────────────────────────────────────────────────────────────────────────────────── */

static void test_format(void **state)
{
    check(go_format_print, false, "add", "{\"Name\":\"a\",\"Hash\":\"Qm\",\"Size\":\"11\"}",
          "&{a Qm %!s(int64=0) 11  %!s(int64=0) %!s(int=0)}");
    check(go_format_print, false, "key/verify",
          "{\"Key\":{\"Name\":\"self\",\"Id\":\"k5\"},\"SignatureValid\":true}",
          "&{{self k5} %!s(bool=true)}");
    check(go_format_print, false, "stats/bw", "{\"TotalIn\":3,\"RateIn\":0.1}",
          "&{%!s(int64=3) %!s(int64=0) %!s(float64=0.1) %!s(float64=0)}");
    check(go_format_print, false, "filestore/verify",
          "{\"Status\":12,\"Key\":{\"/\":\"bafk\"},\"FilePath\":\"f\",\"Size\":6}",
          "&{changed  bafk f %!s(uint64=0) %!s(uint64=6)}");
    check(go_format_print, false, "diag/healthy", "\"ok\"", "ok");
    check(go_format_print_line, false, "block/stat", "{\"Key\":\"Qm\",\"Size\":4}", "Key: Qm\nSize: 4\n\n");
    check(go_format_print, false, "pin/ls", "{\"Keys\":{\"b\":{\"Type\":\"x\"},\"a\":{\"Name\":\"n\"}}}",
          "{{map[a:{ n} b:{x }]} {  }}");
    check(go_format_print, false, "config", "{\"Key\":\"k\",\"Value\":{\"z\":null,\"a\":[1.5,false]}}",
          "&{k map[a:[%!s(float64=1.5) %!s(bool=false)] z:<nil>]}");
    check(go_format_print, false, "diag/sys",
          "{\"memory\":{\"swap\":0},\"net\":{\"online\":true,\"interface_addresses\":[\"a\",\"b\"]}}",
          "map[memory:map[swap:%!s(uint64=0)] net:map[interface_addresses:[a b] online:%!s(bool=true)]]");
    check(go_format_print, false, "swarm/peering/ls",
          "{\"Peers\":[{\"ID\":\"12D\",\"Addrs\":[\"/ip4/1\",\"/ip4/2\"]}]}", "{[{12D: [/ip4/1 /ip4/2]}]}");
    check(go_format_print, false, "mount", "{\"IPFS\":\"/ipfs\",\"StoreMtime\":true,\"StoreMode\":false}",
          "&{/ipfs   default true false}");
    check(go_format_print, false, "ls",
          "{\"Objects\":[{\"Hash\":\"Q\",\"Links\":[{\"Name\":\"n\",\"Hash\":\"h\",\"Size\":2,\"Type\":2,"
          "\"Target\":"
          "\"\",\"Mode\":2147484141,\"ModTime\":\"2001-02-03T04:05:06Z\"}]}]}",
          "&{[{Q [{n h %!s(uint64=2) File  drwxr-xr-x 2001-02-03 04:05:06 +0000 UTC}]}]}");
}

static void test_format_of_pointers(void **state)
{
    check(go_format_print, false, "dag/import", "{\"Stats\":{\"BlockCount\":2}}",
          "&{%!s(*dagcmd.RootMeta=<nil>) %!s(*dagcmd.CarImportStats=&{2 0})}");
    check(go_format_print, false, "dag/import",
          "{\"Root\":{\"Cid\":{\"/"
          "\":\"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn\"},\"PinErrorMsg\":\"e\"}}",
          "&{%!s(*dagcmd.RootMeta=&{{"
          "\x12\x20\x59\x94\x84\x39\x06\x5f\x29\x61\x9e\xf4\x12\x80\xcb\xb9\x32\xbe\x52\xc5"
          "\x6d\x99\xc5\x96\x6b\x65\xe0\x11\x12\x39\xf0\x98\xbb\xef} e}) %!s(*dagcmd.CarImportStats=<nil>)}");
}

static void test_format_of_what_was_decoded(void **state)
{
    check(go_format_print, true, "pubsub/ls", "{\"Strings\":[\"a\"]}", "&{[a]}");
    check(go_format_print, false, "pubsub/ls", "{\"Strings\":[\"a\"]}", "{[a]}");
    check(go_format_print, true, "cid/codecs", "[{\"Code\":85,\"Name\":\"raw\"}]", "&[{%!s(int=85) raw}]");
    check(go_format_print, true, "p2p/close", "1", "%!s(int=1)");
    check(go_format_print, true, "diag/sys", "{\"numcpu\":2}", "map[numcpu:%!s(float64=2)]");
}

/* Another node may answer with anything. */
static void test_answers_of_other_kinds(void **state)
{
    static const char *const odd[] = {
        "null",
        "[]",
        "\"x\"",
        "1e300",
        "true",
        "{}",
        "[[1],{\"Code\":\"y\"},null]",
        "{\"Keys\":7,\"Cid\":{\"/\":[]},\"Size\":1e300,\"Time\":\"T\",\"Addrs\":{\"a\":0},"
        "\"Objects\":[{\"Links\":[{\"ModTime\":\"T+\",\"Type\":-1,\"Mode\":\"z\"}]}],"
        "\"value\":\"!\",\"Changes\":[{\"Type\":9}],\"Root\":5,\"Sweep\":[]}"};
    static const print_fn prints[] = {go_xml_print, go_format_print, go_format_print_line};
    const go_answer_t *a;
    for (size_t i = 0; (a = go_answer_at(i)); i++)
        for (size_t k = 0; k < ARRAY_LEN(odd) * ARRAY_LEN(prints) * 2; k++) {
            buf_t out;
            print_t p = printer(&out, a->command);
            p.is_decoded = k % 2;
            err_t e =
                json_value_print(&p, bytes_str(odd[k / 2 % ARRAY_LEN(odd)]), prints[k / 2 / ARRAY_LEN(odd)]);
            assert_true(!e || e == ERR_UNSUPPORTED || e == ERR_INVALID);
            buf_deinit(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_types_are_read),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_xml),
        cmocka_unit_test(test_xml_has_no_maps),
        cmocka_unit_test(test_xml_before_an_error),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_of_pointers),
        cmocka_unit_test(test_format_of_what_was_decoded),
        cmocka_unit_test(test_answers_of_other_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
