#include "codec/git_raw.h"
#include "codec/ipld.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

#define NAME "0123456789abcdef0123456789abcdef01234567"
#define LINK "{\"/\":\"baf4bcfabencwpcnlzxxqci2fm6e2xtppaerukzy\"}" /* of NAME */
#define PERSON "{\"date\":\"1\",\"email\":\"a@b\",\"name\":\"A\",\"timezone\":\"+0000\"}"

/* As data, and from data again, the object is what it was, through dag-json and dag-cbor too. */
static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("git-raw.tsv");
    AUTO(buf_t) object, json, cbor, again;
    buf_init(&object, 1 << 16);
    buf_init(&json, 1 << 16);
    buf_init(&cbor, 1 << 16);
    buf_init(&again, 1 << 16);
    while (tsv_next(v)) {
        tsv_hex(v, "object_hex", &object);
        buf_clear(&json);
        buf_clear(&cbor);
        assert_ok(ipld_convert(CODEC_GIT_RAW, buf_bytes(&object), CODEC_DAG_JSON, &json));
        assert_bytes(buf_bytes(&json), bytes_str(tsv_get(v, "dag_json")));
        assert_ok(ipld_convert(CODEC_GIT_RAW, buf_bytes(&object), CODEC_DAG_CBOR, &cbor));
        static const uint64_t from[] = {CODEC_GIT_RAW, CODEC_DAG_JSON, CODEC_DAG_CBOR};
        const bytes_t forms[] = {buf_bytes(&object), buf_bytes(&json), buf_bytes(&cbor)};
        for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
            buf_clear(&again);
            assert_ok(ipld_convert(from[i], forms[i], CODEC_GIT_RAW, &again));
            if (!bytes_equal(buf_bytes(&again), buf_bytes(&object)))
                fail_msg("%s is written otherwise than it was", tsv_get(v, "name"));
        }
    }
    assert_true(tsv_row(v) >= 20);
    tsv_close(v);
}

/* The object of a type with its right size. */
static bytes_t object_of(const char *type, bytes_t body, buf_t *out)
{
    buf_clear(out);
    assert_ok(buf_printf(out, "%s %zu", type, body.len));
    assert_ok(buf_append_u8(out, 0));
    assert_ok(buf_append(out, body));
    return buf_bytes(out);
}

static err_t append_name(void *arg, const cid_t *link)
{
    char digits[64];
    assert_int_equal(link->codec, CODEC_GIT_RAW);
    return buf_printf(arg, "%.4s ", hex_text(cid_digest(link), digits, sizeof digits));
}

static void expect_links(const char *type, bytes_t body, const char *want)
{
    AUTO(buf_t) object, found;
    const char *text;
    buf_init(&object, 1 << 16);
    buf_init(&found, 1 << 16);
    assert_ok(ipld_links(CODEC_GIT_RAW, object_of(type, body, &object), append_name, &found));
    assert_ok(buf_cstr(&found, &text));
    assert_string_equal(text, want);
}

/* In the order of the schema, whatever that of the lines. */
static void test_links(void **state)
{
    assert_true(ipld_has_links(CODEC_GIT_RAW) && ipld_has_codec(CODEC_GIT_RAW));
    expect_links("blob", BYTES_LIT("tree " NAME "\n"), "");
    expect_links("tree", BYTES_LIT("100644 b\0aaaaaaaaaaaaaaaaaaaa40000 a\0bbbbbbbbbbbbbbbbbbbb"),
                 "6161 6262 ");
    expect_links("tag", BYTES_LIT("type blob\nobject " NAME "\ntag x\n\nobject 0\n"), "0123 ");
    expect_links("commit",
                 BYTES_LIT("mergetag object 3333333333333333333333333333333333333333\n type commit\n tag x\n"
                           "parent 2222222222222222222222222222222222222222\ntree " NAME "\n\nparent 0\n"),
                 "0123 2222 3333 ");
}

static void test_long_lines(void **state)
{
    AUTO(buf_t) body, object, again;
    buf_init(&body, 1 << 20);
    buf_init(&object, 1 << 20);
    buf_init(&again, 1 << 20);
    assert_ok(
        buf_append(&body, BYTES_LIT("tree " NAME "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nx ")));
    for (size_t i = 0; i < 100000; i++)
        assert_ok(buf_append_u8(&body, 'y'));
    assert_ok(buf_append(&body, BYTES_LIT("\n\nm")));
    bytes_t commit = object_of("commit", buf_bytes(&body), &object);
    assert_ok(ipld_convert(CODEC_GIT_RAW, commit, CODEC_GIT_RAW, &again));
    assert_bytes(buf_bytes(&again), commit);
}

/* ── what is refused ─────────────────────────────────────────────────────────────────────────── */
static void no_object(bytes_t block)
{
    AUTO(ipld_tree_t) tree = {0};
    err_t e = git_raw_read(&tree, block);
    if (e != ERR_INVALID && e != ERR_EOF)
        fail_msg("%.*s was taken", (int)block.len, (const char *)block.data);
    assert_err(ipld_links(CODEC_GIT_RAW, block, NULL, NULL), ERR_CORRUPT);
}

static void test_bounds_of_objects(void **state)
{
    static const bytes_t blocks[] = {
        BYTES_LIT(""),
        BYTES_LIT("blob"),
        BYTES_LIT("blob "),
        BYTES_LIT("blob 1"),
        BYTES_LIT("blob \0"),
        BYTES_LIT("blob 1\0"),
        BYTES_LIT("blob 1\0ab"),
        BYTES_LIT("blob -1\0"),
        BYTES_LIT("blob +1\0a"),
        BYTES_LIT("blob 01\0a"),
        BYTES_LIT("blob x\0a"),
        BYTES_LIT("blob 1 \0a"),
        BYTES_LIT("foo 1\0a"),
        BYTES_LIT("tree 5\0"),
        BYTES_LIT("tag 1\0\n"),
        BYTES_LIT("commit 1\0\n"),
        BYTES_LIT("blob 18446744073709551617\0a"), /* 1 above 2^64 */
    };
    static const char *const commits[] = {"",
                                          "\n",
                                          "tree " NAME "0\n\n",
                                          "tree 0123\n\n",
                                          "tree\n\n",
                                          "tree " NAME "\r\n\n",
                                          "parent " NAME "\n\n",
                                          "tree " NAME "\nparent zz\n\n",
                                          "tree " NAME "\nauthor A\n\n",
                                          "tree " NAME "\nauthor A <b\n\n",
                                          "tree " NAME "\nauthor A b>\n\n",
                                          "tree " NAME "\nmergetag object 1\n\n",
                                          "tree " NAME "\nmergetag object " NAME "\n tagger x\n\n"};
    static const bytes_t trees[] = {BYTES_LIT("100644"), BYTES_LIT("100644 a"), BYTES_LIT("100644 a\0"),
                                    BYTES_LIT("100644 a\0aaaaaaaaaaaaaaaaaaa"),
                                    BYTES_LIT("1 a\0aaaaaaaaaaaaaaaaaaaa2 a\0aaaaaaaaaaaaaaaaaaaa")};
    AUTO(buf_t) object;
    buf_init(&object, 4096);
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        no_object(blocks[i]);
    for (size_t i = 0; i < ARRAY_LEN(commits); i++)
        no_object(object_of("commit", bytes_str(commits[i]), &object));
    for (size_t i = 0; i < ARRAY_LEN(trees); i++)
        no_object(object_of("tree", trees[i], &object));
    no_object(object_of("tag", BYTES_LIT("type commit\ntag x\n\n"), &object));
    no_object(object_of("tag", BYTES_LIT("object " NAME "\ntagger x\n\n"), &object));
}

static const char *const no_git[] = {
    "1",
    "null",
    "[]",
    "\"x\"",
    "{\"/\":\"baf4bcfabencwpcnlzxxqci2fm6e2xtppaerukzy\"}",
    "{\"/\":{\"bytes\":\"AQID\"}}",
    "{\"/\":{\"bytes\":\"YmxvYiAyAGE\"}}", /* blob 2\0a */
    "{\"/\":{\"bytes\":\"dHJlZSAwAA\"}}",  /* tree 0\0, but as bytes */
    /* trees */
    "{\"a\":1}",
    "{\"a\":{\"mode\":\"1\"}}",
    "{\"a\":{\"hash\":" LINK "}}",
    "{\"a\":{\"mode\":1,\"hash\":" LINK "}}",
    "{\"a\":{\"mode\":\"8\",\"hash\":" LINK "}}",
    "{\"a\":{\"mode\":\"\",\"hash\":" LINK "}}",
    "{\"\":{\"mode\":\"1\",\"hash\":" LINK "}}",
    "{\"a\\u0000\":{\"mode\":\"1\",\"hash\":" LINK "}}",
    "{\"a\":{\"mode\":\"1\",\"hash\":{\"/\":\"bafkqaaa\"}}}",
    "{\"a\":{\"mode\":\"1\",\"hash\":" LINK ",\"x\":1}}",
    /* commits */
    "{\"tree\":" LINK "}",
    "{\"tree\":" LINK ",\"message\":\"m\"}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON "}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON ",\"x\":1}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":{}}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON ",\"parents\":[1]}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON ",\"parents\":1}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"encoding\":\"a\\nb\"}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON ",\"other\":[\"\"]}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"other\":[\"a\\ntree x\"]}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"signature\":\"x\\n\"}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"signature\":\" x\"}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON ",\"mergetag\":[{}]}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"mergetag\":[{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\",\"tagger\":" PERSON
    ",\"message\":\" a\\nb\\n\"}]}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"other\":[\"parent " NAME "\"]}",
    "{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
    ",\"other\":[\" a\"],\"mergetag\":[{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\",\"tagger\":" PERSON
    ",\"message\":\"\"}]}",
    /* tags */
    "{\"object\":" LINK "}",
    "{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\",\"message\":1}",
    "{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\\nx\",\"message\":\"m\"}",
    "{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\",\"message\":\"m\",\"tagger\":1}",
    "{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\",\"message\":\"m\",\"foo\":1}",
};

static void test_no_form_in_git(void **state)
{
    AUTO(buf_t) out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(no_git); i++) {
        err_t e = ipld_convert(CODEC_DAG_JSON, bytes_str(no_git[i]), CODEC_GIT_RAW, &out);
        if (e != ERR_INVALID && e != ERR_EOF)
            fail_msg("%s became %.*s", no_git[i], (int)out.len, (const char *)out.data);
        assert_int_equal(out.len, 0);
    }
}

static void expect_git(const char *json, const char *want)
{
    AUTO(buf_t) out;
    buf_init(&out, 4096);
    assert_ok(ipld_convert(CODEC_DAG_JSON, bytes_str(json), CODEC_GIT_RAW, &out));
    bytes_t got = buf_bytes(&out);
    const uint8_t *body = memchr(got.data, 0, got.len);
    assert_non_null(body);
    assert_bytes(bytes_slice(got, (size_t)(body + 1 - got.data), got.len), bytes_str(want));
}

/* What may be left out; a tree sorts its folders as if they ended in a slash. */
static void test_written(void **state)
{
    AUTO(buf_t) out;
    buf_init(&out, 4096);
    expect_git("{}", "");
    expect_git("{\"tree\":" LINK ",\"message\":\"m\",\"author\":" PERSON ",\"committer\":" PERSON
               ",\"encoding\":null}",
               "tree " NAME "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm");
    expect_git("{\"object\":" LINK ",\"type\":\"c\",\"tag\":\"v\",\"message\":\"\"}",
               "object " NAME "\ntype c\ntag v\n");
    assert_ok(ipld_convert(CODEC_DAG_JSON,
                           BYTES_LIT("{\"a\":{\"mode\":\"40000\",\"hash\":" LINK
                                     "},\"a.b\":{\"mode\":\"100644\",\"hash\":" LINK
                                     "},\"tree\":{\"mode\":\"100644\",\"hash\":" LINK "}}"),
                           CODEC_GIT_RAW, &out));
    assert_bytes(bytes_slice(buf_bytes(&out), 0, 20), BYTES_LIT("tree 91\000100644 a.b\0\x01"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),        cmocka_unit_test(test_links),
        cmocka_unit_test(test_long_lines),     cmocka_unit_test(test_bounds_of_objects),
        cmocka_unit_test(test_no_form_in_git), cmocka_unit_test(test_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
