#include "codec/ipld.h"
#include "codec/ipld_scan.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

typedef struct found {
    size_t count;
    cid_t cids[32];
} found_t;

static err_t find(void *arg, const cid_t *link)
{
    found_t *f = arg;
    assert_true(f->count < ARRAY_LEN(f->cids));
    f->cids[f->count++] = *link;
    return OK;
}

static err_t stop(void *arg, const cid_t *link)
{
    ++*(size_t *)arg;
    return ERR_REFUSED;
}

static void links_of_hex(uint64_t codec, const char *hex, found_t *ret)
{
    AUTO(buf_t) block;
    buf_init(&block, 4096);
    assert_ok(hex_decode(bytes_str(hex), &block));
    *ret = (found_t){0};
    assert_ok(ipld_links(codec, buf_bytes(&block), find, ret));
}

static const char text_of_a[] = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
#define A "01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
#define B "1220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_same_links(void **state)
{
    found_t f;
    char text[CID_TEXT_MAX];
    /* {"a": [A, {"x": B, "y": 1}], "b": A} */
    links_of_hex(CODEC_DAG_CBOR, "a2616182d82a582500" A "a26178d82a582300" B "6179016162d82a582500" A, &f);
    assert_int_equal(f.count, 3);
    assert_string_equal(cid_print(&f.cids[0], text), text_of_a);
    assert_string_equal(cid_print(&f.cids[1], text), "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n");
    assert_true(cid_equal(&f.cids[0], &f.cids[2]));
    /* the same of indefinite lengths */
    links_of_hex(CODEC_DAG_CBOR,
                 "bf61619fd82a582500" A "bf6178d82a5f4100582"
                 "2" B "ff617901ffff6162d82a582500" A "ff",
                 &f);
    assert_int_equal(f.count, 3);
    f.count = 0;
    bytes_t json = BYTES_LIT(
        " {\"a\": [{\"/\" : \"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e\"}, {\"x\": "
        "{\"\\u002f\":\"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n\"}}], \"/\": {\"bytes\": 1}} ");
    assert_ok(ipld_links(CODEC_DAG_JSON, json, find, &f));
    assert_int_equal(f.count, 2);
    assert_string_equal(cid_print(&f.cids[0], text), text_of_a);
    links_of_hex(CODEC_DAG_PB, "12240a22" B "0a021234", &f);
    assert_int_equal(f.count, 1);
}

static void test_no_links(void **state)
{
    size_t count = 0;
    static const uint64_t none[] = {CODEC_RAW, CODEC_CBOR, CODEC_JSON, CODEC_LIBP2P_KEY};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        assert_false(ipld_has_links(none[i]));
        assert_ok(ipld_links(none[i], BYTES_LIT("\xff not of any codec"), stop, &count));
    }
    assert_int_equal(count, 0);
    assert_err(ipld_links(0x90, BYTES_LIT("{}"), stop, &count), ERR_UNSUPPORTED);
    assert_non_null(strstr(error_text(ERR_UNSUPPORTED), "codec 0x90"));
    bytes_t link = BYTES_LIT("[{\"/\":\"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n\"},0]");
    assert_err(ipld_links(CODEC_DAG_JSON, link, stop, &count), ERR_REFUSED);
    assert_int_equal(count, 1);
    assert_ok(ipld_links(CODEC_DAG_JSON, link, NULL, NULL));
}

static const char *const bad_cbor[] = {"",
                                       "a1",
                                       "a10101",
                                       "a1616101ff",
                                       "c1617a",
                                       "d82a4100",
                                       "d82a4101",
                                       "d82a6100",
                                       "f8ff",
                                       "e0",
                                       "1c",
                                       "3f",
                                       "9f",
                                       "ff",
                                       "bf6161ff",
                                       "5f6161ff",
                                       "5f5f4100ffff",
                                       "7fff00",
                                       "81",
                                       "9bffffffffffffffff",
                                       "bbffffffffffffffff",
                                       "5bffffffffffffffff",
                                       "0000",
                                       "a1d82a582300" B "00",
                                       "fc",
                                       "fe"};
static const char *const bad_json[] = {"",
                                       "{",
                                       "[1,]",
                                       "[,1]",
                                       "{\"a\"}",
                                       "{\"a\":}",
                                       "{\"a\":1,}",
                                       "{a:1}",
                                       "nul",
                                       "nuxx",
                                       "01",
                                       "-",
                                       "1.",
                                       "1e",
                                       ".5",
                                       "+1",
                                       "\"",
                                       "\"\\x\"",
                                       "\"\\u12\"",
                                       "\"\\ud800\"",
                                       "\"\\udc00\"",
                                       "\"\\ud800\\u0041\"",
                                       "\"\x01\"",
                                       "\"\xff\"",
                                       "1 2",
                                       "[1 2]",
                                       "{\"a\":1 \"b\":2}",
                                       "[1}",
                                       "{\"a\":1]",
                                       "{1:2}",
                                       "'a'",
                                       "1e999",
                                       "{\"/\":\"Qm\"}",
                                       "{\"/\":{\"bytes\":\"*\"}}",
                                       "18446744073709551616",
                                       "-18446744073709551617",
                                       "tru",
                                       "\"\xed\xa0\x80\""};

/* What is no block of the codec: cut off at each place, and the mistakes by name. */
static void test_corrupt(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_cbor); i++) {
        AUTO(buf_t) block;
        buf_init(&block, 4096);
        assert_ok(hex_decode(bytes_str(bad_cbor[i]), &block));
        if (ipld_links(CODEC_DAG_CBOR, buf_bytes(&block), NULL, NULL) != ERR_CORRUPT)
            fail_msg("%s was taken", bad_cbor[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_json); i++)
        if (ipld_links(CODEC_DAG_JSON, bytes_str(bad_json[i]), NULL, NULL) != ERR_CORRUPT)
            fail_msg("%s was taken", bad_json[i]);
    assert_err(ipld_links(CODEC_DAG_PB, BYTES_LIT("\x12\x00"), NULL, NULL), ERR_CORRUPT);
}

static void fill(buf_t *out, const char *piece, size_t times)
{
    buf_clear(out);
    for (size_t i = 0; i < times; i++)
        assert_ok(buf_append(out, bytes_str(piece)));
}

/* Deep nesting ends at its limit, wide nesting and claimed lengths cost nothing. */
static void test_bounds(void **state)
{
    AUTO(buf_t) block;
    buf_init(&block, 4 << 20);
    fill(&block, "\x81", IPLD_MAX_DEPTH);
    assert_ok(buf_append_u8(&block, 1));
    assert_ok(ipld_links(CODEC_DAG_CBOR, buf_bytes(&block), NULL, NULL));
    fill(&block, "\x81", 1 << 20);
    assert_err(ipld_links(CODEC_DAG_CBOR, buf_bytes(&block), NULL, NULL), ERR_CORRUPT);
    assert_non_null(strstr(error_text(ERR_CORRUPT), "maximum nesting depth"));
    fill(&block, "[", 1 << 20);
    assert_err(ipld_links(CODEC_DAG_JSON, buf_bytes(&block), NULL, NULL), ERR_CORRUPT);
    fill(&block, "{\"/\":", 1 << 18);
    assert_err(ipld_links(CODEC_DAG_JSON, buf_bytes(&block), NULL, NULL), ERR_CORRUPT);
    fill(&block, "\x9b\0\0\0\0\0\x0f\xff\xff", 1);
    assert_err(ipld_links(CODEC_DAG_CBOR, buf_bytes(&block), NULL, NULL), ERR_CORRUPT);
    fill(&block, "\x9a", 1);
    assert_ok(buf_append(&block, BYTES_LIT("\x00\x10\x00\x00")));
    size_t head = block.len;
    for (size_t i = 0; i < 1 << 20; i++)
        assert_ok(buf_append_u8(&block, 0x80));
    assert_ok(ipld_links(CODEC_DAG_CBOR, buf_bytes(&block), NULL, NULL));
    assert_err(ipld_links(CODEC_DAG_CBOR, bytes_of(block.data, head + 1000), NULL, NULL), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_links),
        cmocka_unit_test(test_no_links),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
