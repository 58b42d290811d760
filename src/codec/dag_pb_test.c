#include "codec/dag_pb.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <glob.h>
#include <jansson.h>
#include <libgen.h>

static void read_file(const char *path, buf_t *out)
{
    uint8_t chunk[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_clear(out);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f));)
        assert_ok(buf_append(out, bytes_of(chunk, n)));
    fclose(f);
}

/* The block again from what was decoded, with Data first when it came first. */
static void encode_again(const dag_pb_t *node, bool is_data_first, buf_t *out)
{
    writer_t w = writer_to(out);
    dag_pb_links_t links = dag_pb_links(node);
    dag_pb_link_t link;
    buf_clear(out);
    if (node->has_data && is_data_first)
        dag_pb_put_data(&w, node->data);
    while (dag_pb_next_link(&links, &link))
        dag_pb_put_link(&w, &link);
    if (node->has_data && !is_data_first)
        dag_pb_put_data(&w, node->data);
    assert_ok(w.err);
}

static void compare_text(const json_t *want, bool has, bytes_t got)
{
    assert_int_equal(has, want != NULL);
    if (want)
        assert_bytes(got, bytes_of(json_string_value(want), json_string_length(want)));
}

/* The same node in dag-json. */
static void compare_json(const dag_pb_t *node, const char *path)
{
    json_t *want = json_load_file(path, 0, NULL), *data = json_object_get(want, "Data");
    json_t *want_links = json_object_get(want, "Links");
    AUTO(buf_t) decoded;
    buf_init(&decoded, 1 << 20);
    assert_int_equal(node->has_data, data != NULL);
    if (data) {
        const char *text = json_string_value(json_object_get(json_object_get(data, "/"), "bytes"));
        assert_ok(multibase_decode_raw(MB_BASE64, bytes_str(text), &decoded));
        assert_bytes(node->data, buf_bytes(&decoded));
    }
    assert_int_equal(node->link_count, json_array_size(want_links));
    dag_pb_links_t links = dag_pb_links(node);
    dag_pb_link_t link;
    for (size_t i = 0; dag_pb_next_link(&links, &link); i++) {
        const json_t *w = json_array_get(want_links, i), *tsize = json_object_get(w, "Tsize");
        cid_t cid;
        assert_ok(cid_parse_str(json_string_value(json_object_get(json_object_get(w, "Hash"), "/")), &cid));
        assert_true(cid_equal(&cid, &link.cid));
        compare_text(json_object_get(w, "Name"), link.has_name, link.name);
        assert_int_equal(link.has_tsize, tsize != NULL);
        assert_int_equal(link.tsize, tsize ? (uint64_t)json_integer_value(tsize) : 0);
    }
    json_decref(want);
}

static void test_fixtures(void **state)
{
    char pattern[512];
    glob_t found;
    AUTO(buf_t) block, again;
    buf_init(&block, 1 << 20);
    buf_init(&again, 1 << 20);
    assert_int_equal(
        glob(vector_path("codec-fixtures/fixtures/*/*.dag-pb", pattern, sizeof pattern), 0, NULL, &found), 0);
    assert_true(found.gl_pathc == 17);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char folder[512], name[512], json_pattern[600];
        snprintf(folder, sizeof folder, "%s", found.gl_pathv[i]);
        snprintf(name, sizeof name, "%s", basename(found.gl_pathv[i]));
        *strrchr(name, '.') = 0;
        cid_t cid;
        dag_pb_t node;
        read_file(folder, &block);
        assert_ok(cid_parse_str(name, &cid));
        assert_ok(cid_verify(&cid, buf_bytes(&block)));
        assert_ok(dag_pb_decode(buf_bytes(&block), &node));
        encode_again(&node, false, &again);
        assert_bytes(buf_bytes(&again), buf_bytes(&block));
        glob_t json;
        snprintf(json_pattern, sizeof json_pattern, "%s/*.dag-json", dirname(folder));
        assert_int_equal(glob(json_pattern, 0, NULL, &json), 0);
        compare_json(&node, json.gl_pathv[0]);
        globfree(&json);
    }
    globfree(&found);
}

/* Those of encode/ are values of the data model that no dag-pb node can have (Links null, Data a float …);
 * our encoder takes links and bytes, so that they cannot be asked for. */
static void test_negative_fixtures(void **state)
{
    char path[512];
    json_t *cases = json_load_file(
        vector_path("codec-fixtures/negative-fixtures/dag-pb/decode/edges.json", path, sizeof path), 0, NULL);
    AUTO(buf_t) block;
    buf_init(&block, 4096);
    assert_true(json_array_size(cases) >= 9);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        dag_pb_t node = {.link_count = 77};
        const json_t *c = json_array_get(cases, i);
        buf_clear(&block);
        assert_ok(hex_decode(bytes_str(json_string_value(json_object_get(c, "hex"))), &block));
        assert_err(dag_pb_decode(buf_bytes(&block), &node), ERR_INVALID);
        assert_int_equal(node.link_count, 77);
    }
    json_decref(cases);
}

static void test_field_orders(void **state)
{
    tsv_t *v = tsv_open("dagpb-field-orders.tsv");
    AUTO(buf_t) block, again;
    buf_init(&block, 4096);
    buf_init(&again, 4096);
    size_t nodes = 0;
    while (tsv_next(v)) {
        cid_t cid;
        tsv_hex(v, "block_hex", &block);
        assert_ok(cid_parse_str(tsv_get(v, "cid"), &cid));
        assert_ok(cid_verify(&cid, buf_bytes(&block)));
        if (strcmp(tsv_get(v, "codec"), "dag-pb"))
            continue;
        dag_pb_t node;
        dag_pb_link_t link;
        assert_ok(dag_pb_decode(buf_bytes(&block), &node));
        assert_true(node.has_data);
        assert_int_equal(node.link_count, 1);
        dag_pb_links_t links = dag_pb_links(&node);
        assert_true(dag_pb_next_link(&links, &link));
        assert_int_equal(link.tsize, 6);
        assert_false(dag_pb_next_link(&links, &link));
        encode_again(&node, strstr(tsv_get(v, "block"), "Data before Links"), &again);
        assert_bytes(buf_bytes(&again), buf_bytes(&block));
        nodes++;
    }
    assert_int_equal(nodes, 4);
    tsv_close(v);
}

#define LINK_HASH "0a24015512205891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

static err_t decode_hex(const char *hex, dag_pb_t *ret)
{
    AUTO(buf_t) block;
    buf_init(&block, 4096);
    assert_ok(hex_decode(bytes_str(hex), &block));
    return dag_pb_decode(buf_bytes(&block), ret);
}

static void test_strictness(void **state)
{
    static const char *const invalid[] = {
        "0a01610a0162",              /* two Data */
        "1801",                      /* unknown field */
        "0801",                      /* Data as a number */
        "1000",                      /* Links as a number */
        "122a" LINK_HASH "18061200", /* Name behind Tsize */
        "1228"
        "1200" LINK_HASH,            /* Name before Hash */
        "122a" LINK_HASH "18061806", /* Tsize twice */
        "1228" LINK_HASH "2001",     /* unknown field of a link */
        "1228" LINK_HASH "1001",     /* Name as a number */
        "1228" LINK_HASH "1a00",     /* Tsize as bytes */
        "12280a26015512205891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be030000", /* CID too
                                                                                                   long */
        "0b0c",                                                                                 /* groups */
        "02",                                                                                   /* field 0 */
    };
    static const char *const cut[] = {"0a02ff", "0a", "1227" LINK_HASH, "1227" LINK_HASH "12"};
    dag_pb_t node;
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
        assert_err(decode_hex(invalid[i], &node), ERR_INVALID);
    for (size_t i = 0; i < ARRAY_LEN(cut); i++)
        if (decode_hex(cut[i], &node) == OK)
            fail_msg("%s was taken", cut[i]);
    assert_ok(decode_hex("", &node)); /* an empty node */
    assert_false(node.has_data);
    assert_ok(decode_hex("0a00", &node));
    assert_true(node.has_data);
    assert_ok(decode_hex("1226" LINK_HASH "1226" LINK_HASH, &node)); /* the same twice */
    assert_int_equal(node.link_count, 2);
}

static void test_bounded_output(void **state)
{
    AUTO(buf_t) out;
    buf_init(&out, 20);
    writer_t w = writer_to(&out);
    dag_pb_link_t link = {.has_name = true, .name = BYTES_LIT("a")};
    uint8_t digest[32] = {0};
    link.cid = cid_of_sha256(1, CODEC_RAW, digest);
    dag_pb_put_link(&w, &link);
    dag_pb_put_data(&w, BYTES_LIT("x"));
    assert_int_equal(w.err, ERR_LIMIT);
    assert_true(out.len <= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),       cmocka_unit_test(test_negative_fixtures),
        cmocka_unit_test(test_field_orders),   cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_bounded_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
