#include "codec/dag_json.h"
#include "codec/ipld.h"
#include "codec/ipld_tree.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <jansson.h>
#include <math.h>

/* ── fixtures of ipld/codec-fixtures ─────────────────────────────────────────────────────────── */
typedef struct fixture {
    char name[256]; /* of its group: the same data in several codecs */
    cid_t cid;
    buf_t block;
} fixture_t;

static void read_fixture(tsv_t *v, fixture_t *ret)
{
    char file[512];
    snprintf(ret->name, sizeof ret->name, "%s", tsv_get(v, "fixture"));
    assert_ok(cid_parse_str(tsv_get(v, "cid"), &ret->cid));
    snprintf(file, sizeof file, "codec-fixtures/fixtures/%s/%s.%s", ret->name, tsv_get(v, "cid"),
             tsv_get(v, "codec"));
    buf_init(&ret->block, 1 << 20);
    vector_read(file, &ret->block);
}

static err_t count(void *arg, const cid_t *link)
{
    ++*(size_t *)arg;
    return OK;
}

static void convert_all(const fixture_t *group, size_t n)
{
    size_t links[3] = {0};
    assert_true(n >= 2 && n <= ARRAY_LEN(links));
    for (size_t i = 0; i < n; i++) {
        assert_ok(ipld_links(group[i].cid.codec, buf_bytes(&group[i].block), count, &links[i]));
        assert_int_equal(links[i], links[0]);
        for (size_t j = 0; j < n; j++) {
            AUTO(buf_t) out;
            buf_init(&out, 1 << 20);
            assert_ok(ipld_convert(group[i].cid.codec, buf_bytes(&group[i].block), group[j].cid.codec, &out));
            assert_bytes(buf_bytes(&out), buf_bytes(&group[j].block));
            assert_ok(cid_verify(&group[j].cid, buf_bytes(&out)));
        }
    }
}

/* Each form of each fixture becomes each other, byte for byte, and has the same links. */
static void test_fixtures(void **state)
{
    fixture_t *all = xcalloc(400, sizeof *all);
    size_t n = 0, groups = 0;
    tsv_t *v = tsv_open("codec-fixtures/index.tsv");
    while (tsv_next(v) && n < 400)
        read_fixture(v, &all[n++]);
    tsv_close(v);
    assert_true(n >= 200 && n < 400);
    for (size_t first = 0, end; first < n; first = end, groups++) {
        for (end = first; end < n && !strcmp(all[end].name, all[first].name);)
            end++;
        convert_all(&all[first], end - first);
    }
    assert_true(groups >= 100);
    for (size_t i = 0; i < n; i++)
        buf_deinit(&all[i].block);
    free(all);
}

static json_t *load_cases(const char *name)
{
    char path[512];
    json_t *cases = json_load_file(vector_path(name, path, sizeof path), JSON_DECODE_ANY, NULL);
    assert_true(json_array_size(cases) > 0);
    return cases;
}

static void no_decode(uint64_t codec, const char *file)
{
    json_t *cases = load_cases(file);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        AUTO(buf_t) block, out;
        const json_t *c = json_array_get(cases, i);
        buf_init(&block, 4096);
        buf_init(&out, 4096);
        assert_ok(hex_decode(bytes_str(json_string_value(json_object_get(c, "hex"))), &block));
        assert_err(ipld_convert(codec, buf_bytes(&block), CODEC_DAG_JSON, &out), ERR_INVALID);
        assert_int_equal(out.len, 0);
        if (codec != CODEC_DAG_PB)
            assert_non_null(strstr(error_text(ERR_INVALID), "map key \"foo\""));
    }
    json_decref(cases);
}

static void no_encode(const char *file)
{
    json_t *cases = load_cases(file);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        AUTO(buf_t) out;
        const json_t *c = json_array_get(cases, i);
        char *text = json_dumps(json_object_get(c, "dag-json"), JSON_COMPACT | JSON_ENCODE_ANY);
        buf_init(&out, 4096);
        const char *error = json_string_value(json_object_get(c, "error"));
        bool is_sorted_here = strstr(error, "sorted") != NULL; /* the reference's writer sorts links too */
        if (ipld_convert(CODEC_DAG_JSON, bytes_str(text), CODEC_DAG_PB, &out) !=
            (is_sorted_here ? OK : ERR_INVALID))
            fail_msg("%s as dag-pb: wanted %s", text, error);
        free(text);
    }
    json_decref(cases);
}

static void test_negative_fixtures(void **state)
{
    no_decode(CODEC_DAG_CBOR, "codec-fixtures/negative-fixtures/dag-cbor/decode/duplicate-keys.json");
    no_decode(CODEC_DAG_JSON, "codec-fixtures/negative-fixtures/dag-json/decode/duplicate-keys.json");
    no_decode(CODEC_DAG_PB, "codec-fixtures/negative-fixtures/dag-pb/decode/edges.json");
    no_encode("codec-fixtures/negative-fixtures/dag-pb/encode/basic-datamodel-kinds.json");
    no_encode("codec-fixtures/negative-fixtures/dag-pb/encode/invalid-forms.json");
}

/* ── one value ───────────────────────────────────────────────────────────────────────────────── */
static const char *to_json(uint64_t from, bytes_t block, uint64_t to)
{
    static char text[4096];
    AUTO(buf_t) out;
    buf_init(&out, sizeof text - 1);
    err_t e = ipld_convert(from, block, to, &out);
    if (e) {
        snprintf(text, sizeof text, "%s", error_text(e));
        return text;
    }
    memcpy(text, out.data, out.len);
    text[out.len] = 0;
    return text;
}

static const char *cbor_hex_to_json(const char *hex)
{
    AUTO(buf_t) block;
    buf_init(&block, 4096);
    assert_ok(hex_decode(bytes_str(hex), &block));
    return to_json(CODEC_DAG_CBOR, buf_bytes(&block), CODEC_DAG_JSON);
}

/* Blocks of other writers, in forms that are not written today. */
static void test_cbor_of_others(void **state)
{
    static const char *const rows[][2] = {
        {"a2616201616102", "{\"a\":2,\"b\":1}"},
        {"1800", "0"},
        {"1b0000000000000001", "1"},
        {"5800", "{\"/\":{\"bytes\":\"\"}}"},
        {"9f01ff", "[1]"},
        {"bf616101ff", "{\"a\":1}"},
        {"7f61616162ff", "\"ab\""},
        {"5f4161ff", "{\"/\":{\"bytes\":\"YQ\"}}"},
        {"f7", "null"},
        {"f93e00", "1.5"},
        {"f90001", "5.960464477539063e-8"},
        {"f9c000", "-2"},
        {"fa3fc00000", "1.5"},
        {"3bffffffffffffffff", "-18446744073709551616"},
        {"1bffffffffffffffff", "18446744073709551615"},
        {"61ff", "\"\\ufffd\""},
        {"66e280a8e280a9", "\"\\u2028\\u2029\""},
        {"660a0d09010c22", "\"\\n\\r\\t\\u0001\\u000c\\\"\""},
        {"f97e00", "unsupported value: NaN"},
        {"f97c00", "unsupported value: +Inf"},
        {"fbfff0000000000000", "unsupported value: -Inf"},
        {"c001", "unhandled cbor tag 0"},
        {"d82ac141ff", "cbor: tag 42 belongs to a byte string"},
        {"a161610100", "unexpected content after end of cbor object"},
        {"a1612f6161", "dag-json has no form for a map that is {\"/\": …} and neither link nor bytes"},
        {"a1612fa16562797465736161",
         "dag-json has no form for a map that is {\"/\": …} and neither link nor bytes"},
        {"a1612fa165627974657301", "{\"/\":{\"bytes\":1}}"},
        {"a1612f01", "{\"/\":1}"},
        {"a2612f6161616101", "{\"/\":\"a\",\"a\":1}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(cbor_hex_to_json(rows[i][0]), rows[i][1]);
}

static void test_json_texts(void **state)
{
    static const char *const rows[][2] = {
        {" [ 1 , -0, 1.0, -1.5e3, 1E2 ]\n", "[1,0,1,-1500,100]"},
        {"\"\\u00e9\\ud83d\\ude00\\/\\b\\f\"", "\"é😀/\\u0008\\u000c\""},
        {"{\"bb\":1,\"a\":{\"z\":[],\"y\":{}}}", "{\"a\":{\"y\":{},\"z\":[]},\"bb\":1}"},
        {"{\"/\":{\"bytes\":\"YQ==\"}}", "{\"/\":{\"bytes\":\"YQ\"}}"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"18446744073709551615", "18446744073709551615"},
        {"-18446744073709551616", "-18446744073709551616"},
        {"-18446744073709551617", "strconv.ParseInt: parsing \"-18446744073709551617\": value out of range"},
        {"{\"a\":1,\"a\":2}", "cannot repeat map key \"a\""},
        {"1 2", "unexpected content after end of json object"},
        {"x", "invalid char while expecting start of value: 0x78"},
        {"1e999", "strconv.ParseFloat: parsing \"1e999\": value out of range"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(to_json(CODEC_DAG_JSON, bytes_str(rows[i][0]), CODEC_DAG_JSON), rows[i][1]);
    ipld_tree_t tree = {0};
    assert_err(ipld_tree_read(&tree, CODEC_DAG_JSON, BYTES_LIT("9223372036854775808"), IPLD_JSON_INT64),
               ERR_INVALID);
    assert_err(ipld_tree_read(&tree, CODEC_DAG_JSON, BYTES_LIT("-18446744073709551616"), IPLD_JSON_INT64),
               ERR_INVALID);
    assert_ok(ipld_tree_read(&tree, CODEC_DAG_JSON, BYTES_LIT("-9223372036854775808"), IPLD_JSON_INT64));
    ipld_tree_deinit(&tree);
}

static void test_floats(void **state)
{
    static const struct {
        double number;
        const char *text;
    } rows[] = {{0, "0"},
                {0.1, "0.1"},
                {-0.0, "-0"},
                {123456.789, "123456.789"},
                {1e-6, "0.000001"},
                {1.5e-6, "0.0000015"},
                {9.5e-7, "9.5e-7"},
                {1e-7, "1e-7"},
                {1e-10, "1e-10"},
                {5e-324, "5e-324"},
                {1e15, "1000000000000000"},
                {9e18, "9000000000000000000"},
                {1e20, "1e+20"},
                {1.7976931348623157e308, "1.7976931348623157e+308"},
                {-1.1111111111111112, "-1.1111111111111112"}};
    char text[DAG_JSON_FLOAT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(dag_json_print_float(rows[i].number, text), rows[i].text);
}

/* cbor and json: neither links nor an order of their own. */
static void test_plain_codecs(void **state)
{
    bytes_t json = BYTES_LIT("{\"b\":1,\"a\":{\"/\":\"x\"}}"), link = BYTES_LIT("{\"/\":\"bafkqaaa\"}");
    assert_string_equal(to_json(CODEC_JSON, json, CODEC_JSON),
                        "{\n\t\"b\": 1,\n\t\"a\": {\n\t\t\"/\": \"x\"\n\t}\n}\n");
    assert_string_equal(to_json(CODEC_JSON, link, CODEC_JSON), "{\n\t\"/\": \"bafkqaaa\"\n}\n");
    assert_string_equal(to_json(CODEC_JSON, link, CODEC_DAG_JSON),
                        "dag-json has no form for a map that is {\"/\": …} and neither link nor bytes");
    assert_string_equal(to_json(CODEC_DAG_JSON, link, CODEC_JSON), "cannot marshal IPLD links to this codec");
    assert_string_equal(to_json(CODEC_DAG_JSON, link, CODEC_CBOR), "cannot Marshal ipld links to CBOR");
    assert_string_equal(to_json(CODEC_RAW, BYTES_LIT("a"), CODEC_JSON),
                        "cannot marshal IPLD bytes to this codec");
    assert_string_equal(to_json(CODEC_RAW, BYTES_LIT("a"), CODEC_DAG_JSON), "{\"/\":{\"bytes\":\"YQ\"}}");
    assert_string_equal(to_json(CODEC_DAG_JSON, BYTES_LIT("{\"/\":{\"bytes\":\"YQ\"}}"), CODEC_RAW), "a");
    assert_string_equal(
        to_json(CODEC_DAG_JSON, BYTES_LIT("1"), CODEC_RAW),
        "func called on wrong kind: \"AsBytes\" called on a int node (kind: int), but only makes "
        "sense on bytes");
    assert_string_equal(to_json(CODEC_CBOR, BYTES_LIT("\xa2\x61\x62\x01\x61\x61\x02"), CODEC_JSON),
                        "{\n\t\"b\": 1,\n\t\"a\": 2\n}\n");
    assert_string_equal(to_json(CODEC_JSON, BYTES_LIT("[[],{},[1]]"), CODEC_JSON),
                        "[\n\t[],\n\t{},\n\t[\n\t\t1\n\t]\n]\n");
    assert_string_equal(to_json(CODEC_JSON, BYTES_LIT("1"), CODEC_JSON), "1");
    assert_string_equal(to_json(CODEC_CBOR, BYTES_LIT("\xd8\x2a\x41\x00"), CODEC_JSON),
                        "unhandled cbor tag 42");
    assert_string_equal(to_json(0x12, BYTES_NONE, CODEC_JSON),
                        "no decoder registered for multicodec code 18 (0x12)");
    assert_string_equal(to_json(CODEC_RAW, BYTES_NONE, 0x12),
                        "no encoder registered for multicodec code 18 (0x12)");
}

/* Links of dag-pb by name, those of one name as they were; the fields' kinds. */
static void test_write_dag_pb(void **state)
{
    bytes_t json = BYTES_LIT(
        "{\"Links\":[{\"Hash\":{\"/\":\"bafkqaaa\"},\"Name\":\"b\"},"
        "{\"Hash\":{\"/\":\"bafkqaaa\"},\"Tsize\":2},{\"Hash\":{\"/\":\"bafkqaaa\"},\"Tsize\":1}]}");
    AUTO(buf_t) pb;
    buf_init(&pb, 4096);
    assert_ok(ipld_convert(CODEC_DAG_JSON, json, CODEC_DAG_PB, &pb));
    assert_string_equal(
        to_json(CODEC_DAG_PB, buf_bytes(&pb), CODEC_DAG_JSON),
        "{\"Links\":[{\"Hash\":{\"/\":\"bafkqaaa\"},\"Tsize\":2},{\"Hash\":{\"/\":\"bafkqaaa\"},"
        "\"Tsize\":1},{\"Hash\":{\"/\":\"bafkqaaa\"},\"Name\":\"b\"}]}");
    static const char *const rows[][2] = {
        {"{}", "missing required fields: Links"},
        {"{\"Links\":[{}]}", "missing required fields: Hash"},
        {"{\"Links\":[],\"x\":1}", "invalid key for map dagpb.PBNode: \"x\": no such field"},
        {"{\"Links\":[{\"Hash\":{\"/\":\"bafkqaaa\"},\"x\":1}]}",
         "invalid key for map dagpb.PBLink: \"x\": no such field"},
        {"{\"Links\":[{\"Hash\":{\"/\":\"bafkqaaa\"},\"Tsize\":-1}]}", "Link has negative Tsize value [-1]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(to_json(CODEC_DAG_JSON, bytes_str(rows[i][0]), CODEC_DAG_PB), rows[i][1]);
}

/* ── trees ───────────────────────────────────────────────────────────────────────────────────── */
static void test_find(void **state)
{
    AUTO(ipld_tree_t) tree = {0};
    size_t at = 0;
    assert_ok(ipld_tree_read(&tree, CODEC_DAG_JSON,
                             BYTES_LIT("{\"a\":[1,{\"b\":[[],{}],\"c\":2},\"\\u0041\"],\"\":3,\"7\":4}"), 0));
    assert_ok(ipld_tree_find(&tree, 0, BYTES_LIT("a"), &at));
    assert_int_equal(tree.items[at].kind, IPLD_LIST);
    assert_int_equal(tree.items[at].len, 3);
    size_t list = at;
    assert_ok(ipld_tree_find(&tree, list, BYTES_LIT("2"), &at));
    assert_bytes(ipld_item_bytes(&tree.items[at]), BYTES_LIT("A"));
    assert_ok(ipld_tree_find(&tree, list, BYTES_LIT("1"), &at));
    assert_ok(ipld_tree_find(&tree, at, BYTES_LIT("c"), &at));
    assert_int_equal(tree.items[at].integer, 2);
    assert_ok(ipld_tree_find(&tree, 0, BYTES_LIT(""), &at));
    assert_int_equal(tree.items[at].integer, 3);
    assert_ok(ipld_tree_find(&tree, 0, BYTES_LIT("7"), &at));
    size_t leaf = at;
    static const char *const not_there[] = {"3", "-1", "x", "", "18446744073709551616", "1x"};
    for (size_t i = 0; i < ARRAY_LEN(not_there); i++)
        assert_err(ipld_tree_find(&tree, list, bytes_str(not_there[i]), &at), ERR_NOT_FOUND);
    assert_err(ipld_tree_find(&tree, leaf, BYTES_LIT("a"), &at), ERR_NOT_FOUND);
    assert_err(ipld_tree_find(&tree, 0, BYTES_LIT("b"), &at), ERR_NOT_FOUND);
    assert_int_equal(at, leaf);
    AUTO(buf_t) out;
    buf_init(&out, 4096);
    assert_ok(ipld_tree_write(&tree, list, CODEC_DAG_JSON, &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("[1,{\"b\":[[],{}],\"c\":2},\"A\"]"));
}

/* The deepest block that is read is written again, and a wide one has a maximum. */
static void test_bounds(void **state)
{
    AUTO(buf_t) block, out;
    buf_init(&block, 8 << 20);
    buf_init(&out, 8 << 20);
    for (size_t i = 0; i < IPLD_MAX_DEPTH; i++)
        assert_ok(buf_append(&block, BYTES_LIT("\xa1\x61\x61")));
    assert_ok(buf_append_u8(&block, 1));
    assert_ok(ipld_convert(CODEC_DAG_CBOR, buf_bytes(&block), CODEC_DAG_JSON, &out));
    buf_clear(&block);
    assert_ok(ipld_convert(CODEC_DAG_JSON, buf_bytes(&out), CODEC_DAG_CBOR, &block));
    assert_int_equal(block.len, 3 * IPLD_MAX_DEPTH + 1);
    buf_clear(&block);
    assert_ok(buf_append(&block, BYTES_LIT("\x9a\x00\x50\x00\x00")));
    for (size_t i = 0; i < 0x500000; i++)
        assert_ok(buf_append_u8(&block, 0));
    assert_err(ipld_convert(CODEC_DAG_CBOR, buf_bytes(&block), CODEC_DAG_JSON, &out), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),       cmocka_unit_test(test_negative_fixtures),
        cmocka_unit_test(test_cbor_of_others), cmocka_unit_test(test_json_texts),
        cmocka_unit_test(test_floats),         cmocka_unit_test(test_plain_codecs),
        cmocka_unit_test(test_write_dag_pb),   cmocka_unit_test(test_find),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
