#include "codec/dag_jose.h"
#include "codec/ipld.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

#define CID "bafyreig6xv5nwphfmvcnektpnojts33jqcuam7bmye2pb54adnrtccjlsu"
#define PAYLOAD "\"AXESIN69ets85WVE0ipva5M5b2mAqAZ8LME08PeAG2MxCSuV\"" /* CID */

static err_t keep(void *arg, const cid_t *link)
{
    *(cid_t *)arg = *link;
    return OK;
}

/* Fixtures of ipld/ipld, specs/codecs/dag-jose/fixtures: as data, and from data again; what is signed is a
 * link. */
static void test_fixtures(void **state)
{
    tsv_t *v = tsv_open("dag-jose.tsv");
    AUTO(buf_t) block, out;
    buf_init(&block, 1 << 16);
    buf_init(&out, 1 << 16);
    while (tsv_next(v)) {
        cid_t cid, link = {0};
        bytes_t json = bytes_str(tsv_get(v, "dag_json"));
        tsv_hex(v, "block_hex", &block);
        assert_ok(cid_parse_str(tsv_get(v, "cid"), &cid));
        assert_ok(cid_verify(&cid, buf_bytes(&block)));
        buf_clear(&out);
        assert_ok(ipld_convert(CODEC_DAG_JOSE, buf_bytes(&block), CODEC_DAG_JSON, &out));
        assert_bytes(buf_bytes(&out), json);
        buf_clear(&out);
        assert_ok(ipld_convert(CODEC_DAG_JSON, json, CODEC_DAG_JOSE, &out));
        assert_bytes(buf_bytes(&out), buf_bytes(&block));
        buf_clear(&out);
        assert_ok(ipld_convert(CODEC_DAG_JOSE, buf_bytes(&block), CODEC_DAG_JOSE, &out));
        assert_bytes(buf_bytes(&out), buf_bytes(&block));
        assert_ok(ipld_links(CODEC_DAG_JOSE, buf_bytes(&block), keep, &link));
        assert_int_equal(link.version, strncmp(tsv_get(v, "fixture"), "jws", 3) ? 0 : 1);
    }
    assert_int_equal(tsv_row(v), 10);
    tsv_close(v);
}

static void expect(uint64_t from, const char *json, const char *want)
{
    AUTO(buf_t) block, out;
    buf_init(&block, 4096);
    buf_init(&out, 4096);
    /* As a block the JSON is its dag-cbor. */
    uint64_t to = from == CODEC_DAG_JOSE ? CODEC_DAG_CBOR : CODEC_DAG_JOSE;
    assert_ok(ipld_convert(CODEC_DAG_JSON, bytes_str(json), to, &block));
    assert_ok(ipld_convert(CODEC_DAG_JOSE, buf_bytes(&block), CODEC_DAG_JSON, &out));
    assert_bytes(buf_bytes(&out), bytes_str(want));
}

#define JWS(rest) "{\"payload\":" PAYLOAD "," rest "}"
#define SIGNED(rest) "{\"link\":{\"/\":\"" CID "\"},\"payload\":" PAYLOAD ",\"signatures\":" rest "}"

static void test_forms(void **state)
{
    /* flattened */
    expect(CODEC_DAG_JSON, JWS("\"signature\":\"c2ln\""), SIGNED("[{\"signature\":\"c2ln\"}]"));
    expect(CODEC_DAG_JSON, JWS("\"signature\":\"c2ln\",\"protected\":\"e30\",\"header\":{\"a\":1}"),
           SIGNED("[{\"header\":{\"a\":1},\"protected\":\"e30\",\"signature\":\"c2ln\"}]"));
    expect(CODEC_DAG_JSON, "{\"ciphertext\":\"c2ln\",\"encrypted_key\":\"AA\"}",
           "{\"ciphertext\":\"c2ln\",\"recipients\":[{\"encrypted_key\":\"AA\"}]}");
    /* bytes for base64url; a link that is the payload; what is not of the schema; trailing bits */
    expect(CODEC_DAG_JSON, "{\"ciphertext\":{\"/\":{\"bytes\":\"c2ln\"}},\"foo\":1}",
           "{\"ciphertext\":\"c2ln\"}");
    expect(CODEC_DAG_JSON, JWS("\"link\":{\"/\":\"" CID "\"},\"signatures\":[]"), SIGNED("[]"));
    expect(CODEC_DAG_JSON, "{\"ciphertext\":\"YR\"}", "{\"ciphertext\":\"YQ\"}");
    expect(CODEC_DAG_JSON, "{\"ciphertext\":\"\",\"recipients\":[{}]}", "{\"ciphertext\":\"\"}");
    /* anything in headers, numbers as they are */
    expect(CODEC_DAG_JSON,
           "{\"ciphertext\":\"\",\"unprotected\":{\"n\":9007199254740993,\"b\":[true,null,{\"/\":\"" CID
           "\"}]}}",
           "{\"ciphertext\":\"\",\"unprotected\":{\"b\":[true,null,{\"/\":\"" CID
           "\"}],\"n\":9007199254740993}}");
    /* blocks with text for bytes, as the reference reads them */
    expect(CODEC_DAG_JOSE, JWS("\"signatures\":[{\"signature\":\"c2ln\"}]"),
           SIGNED("[{\"signature\":\"c2ln\"}]"));
    expect(CODEC_DAG_JOSE, "{\"ciphertext\":\"c2ln\",\"recipients\":[]}",
           "{\"ciphertext\":\"c2ln\",\"recipients\":[]}");
}

static const char *const neither[] = {
    "1",
    "null",
    "[]",
    "\"x\"",
    "{}",
    "{\"a\":1}",
    "{\"payload\":1}",
    "{\"payload\":null}",
    "{\"payload\":\"\"}",
    "{\"payload\":\"x\"}",
    "{\"payload\":\"MQ\"}" /* 1 */,
    JWS("\"signatures\":{}"),
    JWS("\"signatures\":null"),
    JWS("\"signatures\":[1]"),
    JWS("\"signatures\":[{}]"),
    JWS("\"signatures\":[{\"signature\":\"c2ln\",\"x\":1}]"),
    JWS("\"signatures\":[{\"signature\":\"c2ln=\"}]"),
    JWS("\"signatures\":[{\"signature\":\"ab+/\"}]"),
    JWS("\"signatures\":[{\"signature\":\"a\\nb\"}]"),
    JWS("\"signatures\":[{\"signature\":null}]"),
    JWS("\"signatures\":[{\"signature\":\"c2ln\",\"protected\":1}]"),
    JWS("\"link\":{\"/\":\"bafkqaaa\"},\"signatures\":[]"),
    JWS("\"link\":1,\"signatures\":[]"),
    "{\"payload\":\"e30\",\"link\":{\"/\":\"bafkqaaa\"},\"signatures\":[]}" /* {} */,
    "{\"ciphertext\":1}",
    "{\"ciphertext\":null}",
    "{\"ciphertext\":\"a b\"}",
    "{\"ciphertext\":\"\",\"iv\":1}",
    "{\"ciphertext\":\"\",\"recipients\":[{\"foo\":1}]}",
    "{\"ciphertext\":\"\",\"recipients\":null}"};
static const char *const not_written[] = {JWS("\"x\":1"), JWS("\"signature\":\"c2ln\",\"signatures\":[]"),
                                          "{\"ciphertext\":\"\",\"header\":{},\"recipients\":[]}",
                                          "{\"ciphertext\":\"\",\"unprotected\":\"x\"}"};
static const char *const not_read[] = {JWS("\"x\":1"), JWS("\"signature\":\"c2ln\""), JWS("\"pld\":{}"),
                                       "{\"ciphertext\":\"\",\"payload\":\"\"}",
                                       "{\"ciphertext\":\"\",\"link\":1}"};

static void refused(const char *json, bool is_read)
{
    AUTO(buf_t) block, out;
    buf_init(&block, 4096);
    buf_init(&out, 4096);
    assert_ok(ipld_convert(CODEC_DAG_JSON, bytes_str(json), CODEC_DAG_CBOR, &block));
    err_t e = is_read ? ipld_convert(CODEC_DAG_JOSE, buf_bytes(&block), CODEC_DAG_JSON, &out)
                      : ipld_convert(CODEC_DAG_CBOR, buf_bytes(&block), CODEC_DAG_JOSE, &out);
    if (e != ERR_INVALID)
        fail_msg("%s was %s", json, is_read ? "read" : "written");
    if (is_read)
        assert_err(ipld_links(CODEC_DAG_JOSE, buf_bytes(&block), NULL, NULL), ERR_CORRUPT);
}

static void test_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(neither); i++) {
        refused(neither[i], true);
        refused(neither[i], false);
    }
    for (size_t i = 0; i < ARRAY_LEN(not_read); i++)
        refused(not_read[i], true);
    for (size_t i = 0; i < ARRAY_LEN(not_written); i++)
        refused(not_written[i], false);
    assert_err(ipld_links(CODEC_DAG_JOSE, BYTES_LIT("\xa1"), NULL, NULL), ERR_CORRUPT);
    assert_err(ipld_links(CODEC_DAG_JOSE, BYTES_LIT(""), NULL, NULL), ERR_CORRUPT);
}

/* A header as deep as a block may be stands deeper in what is written of the flattened form. */
static err_t write_deep(size_t levels)
{
    AUTO(buf_t) json, block, again;
    buf_init(&json, 1 << 16);
    buf_init(&block, 1 << 16);
    buf_init(&again, 1 << 16);
    assert_ok(
        buf_append(&json, BYTES_LIT("{\"payload\":" PAYLOAD ",\"signature\":\"c2ln\",\"header\":{\"a\":")));
    for (size_t i = 0; i < levels; i++)
        assert_ok(buf_append_u8(&json, '['));
    for (size_t i = 0; i < levels; i++)
        assert_ok(buf_append_u8(&json, ']'));
    assert_ok(buf_append(&json, BYTES_LIT("}}")));
    TRY(ipld_convert(CODEC_DAG_JSON, buf_bytes(&json), CODEC_DAG_JOSE, &block));
    assert_ok(ipld_convert(CODEC_DAG_JOSE, buf_bytes(&block), CODEC_DAG_JOSE, &again)); /* it can be read */
    return OK;
}

static void test_depth(void **state)
{
    size_t deepest = IPLD_MAX_DEPTH - 4; /* the object, its signatures, one, its header */
    assert_ok(write_deep(deepest));
    assert_err(write_deep(deepest + 1), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
