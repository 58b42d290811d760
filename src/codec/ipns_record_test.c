#include "base/pb.h"
#include "base/rfc3339.h"
#include "codec/ipns_record.h"
#include "multi/cid.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <jansson.h>

enum { NOW_S = 1800000000 };
static const uint64_t now_ms = (uint64_t)NOW_S * 1000;

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void read_vector(const char *name, buf_t *out)
{
    char path[512], file[256];
    buf_clear(out);
    snprintf(file, sizeof file, "ipns/%s", name);
    FILE *f = fopen(vector_path(file, path, sizeof path), "rb");
    assert_non_null(f);
    uint8_t piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f));)
        assert_ok(buf_append(out, bytes_of(piece, n)));
    assert_int_equal(fclose(f), 0);
}

/* ── the vectors ─────────────────────────────────────────────────────────────────────────────── */
static void check_fields(const json_t *row, const ipns_record_t *r)
{
    AUTO(buf_t) value, data;
    int64_t end_s;
    uint32_t end_ns;
    buf_init(&value, 4096);
    buf_init(&data, IPNS_RECORD_MAX_BYTES);
    assert_ok(ipns_record_value(r, &value));
    assert_bytes(buf_bytes(&value), bytes_str(text_of(row, "value")));
    assert_int_equal(r->signed_fields.sequence, json_integer_value(json_object_get(row, "sequence")));
    assert_int_equal(r->signed_fields.ttl_ns, json_integer_value(json_object_get(row, "ttl_ns")));
    assert_ok(rfc3339_parse(bytes_str(text_of(row, "validity")), &end_s, &end_ns));
    assert_int_equal(r->end_s, end_s);
    assert_int_equal(r->end_ns, end_ns);
    assert_ok(hex_decode(bytes_str(text_of(row, "data_cbor_hex")), &data));
    assert_bytes(r->data, buf_bytes(&data));
    assert_int_equal(r->public_key.len > 0, json_is_true(json_object_get(row, "public_key_in_record")));
    assert_int_equal(r->has_v1, json_is_true(json_object_get(row, "has_v1_fields")));
}

static void check_old_signature(const json_t *row, const ipns_record_t *r, const peer_id_t *name)
{
    AUTO(buf_t) message, expected;
    public_key_t key;
    buf_init(&message, IPNS_RECORD_MAX_BYTES);
    buf_init(&expected, IPNS_RECORD_MAX_BYTES);
    if (!r->has_v1)
        return;
    assert_ok(ipns_record_v1_message(r, &message));
    assert_ok(hex_decode(bytes_str(text_of(row, "signature_v1_buffer_hex")), &expected));
    assert_bytes(buf_bytes(&message), buf_bytes(&expected));
    assert_ok(ipns_record_key(r, name, &key));
    assert_int_equal(public_key_verify(&key, buf_bytes(&message), r->signature_v1) == OK,
                     json_is_true(json_object_get(row, "signature_v1_verifies")));
}

static void test_vectors(void **state)
{
    char path[512];
    json_t *rows = json_load_file(vector_path("ipns/records.json", path, sizeof path), 0, NULL), *row;
    AUTO(buf_t) record;
    buf_init(&record, 1 << 16);
    size_t i, n_valid = 0;
    assert_int_equal(json_array_size(rows), 31);
    json_array_foreach(rows, i, row)
    {
        peer_id_t name, other;
        ipns_record_t r;
        assert_ok(peer_id_parse(text_of(row, "name"), &name));
        assert_ok(peer_id_parse(text_of(row, "name_peer_id"), &other));
        assert_true(peer_id_equal(&name, &other));
        read_vector(text_of(row, "file"), &record);
        err_t e = ipns_record_validate(buf_bytes(&record), &name, now_ms, &r);
        bool is_valid = json_is_true(json_object_get(row, "valid"));
        if ((e == OK) != is_valid)
            fail_msg("%s: %s (%s)", text_of(row, "file"), error_name(e), error_text(e));
        if (e)
            continue;
        check_fields(row, &r);
        check_old_signature(row, &r, &name);
        n_valid++;
    }
    assert_int_equal(n_valid, 16);
    json_decref(rows);
}

static void test_selection(void **state)
{
    tsv_t *v = tsv_open("ipns/selection.tsv");
    AUTO(buf_t) a, b;
    buf_init(&a, IPNS_RECORD_MAX_BYTES);
    buf_init(&b, IPNS_RECORD_MAX_BYTES);
    size_t n = 0;
    for (; tsv_next(v); n++) {
        tsv_hex(v, "record_a_hex", &a);
        tsv_hex(v, "record_b_hex", &b);
        int order = ipns_record_compare(buf_bytes(&a), buf_bytes(&b));
        assert_int_equal(order, -ipns_record_compare(buf_bytes(&b), buf_bytes(&a)));
        if (bytes_equal(buf_bytes(&a), buf_bytes(&b)))
            assert_int_equal(order, 0);
        else
            assert_int_equal(order < 0, !strcmp(tsv_get(v, "winner"), "a"));
    }
    assert_int_equal(n, 6);
    assert_int_equal(ipns_record_compare(buf_bytes(&a), BYTES_LIT("x")), -1);
    assert_int_equal(ipns_record_compare(BYTES_NONE, buf_bytes(&a)), 1);
    assert_int_equal(ipns_record_compare(BYTES_NONE, BYTES_LIT("x")), 0);
    tsv_close(v);
}

/* ── our own ─────────────────────────────────────────────────────────────────────────────────── */
#define VALUE "/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
static const ipns_new_t plain = {.value = BYTES_LIT(VALUE),
                                 .sequence = 7,
                                 .ttl_ns = 60000000000,
                                 .end_s = NOW_S + 3600,
                                 .end_ns = 500000000};

static private_key_t *new_key(key_type_t type)
{
    private_key_t *key = NULL;
    static const uint8_t seed[32] = {9};
    assert_ok(private_key_generate(type, type == KEY_ED25519 ? seed : NULL, 2048, &key));
    return key;
}

static void test_created(void **state)
{
    static const key_type_t types[] = {KEY_ED25519, KEY_RSA, KEY_SECP256K1, KEY_ECDSA};
    for (size_t i = 0; i < 2 * ARRAY_LEN(types); i++) {
        AUTO_PTR(private_key_t) key = new_key(types[i / 2]);
        AUTO(buf_t) record, value;
        peer_id_t name;
        ipns_record_t r;
        ipns_new_t fields = plain;
        fields.is_v2_only = i % 2;
        buf_init(&record, 1 << 16);
        buf_init(&value, 1 << 10);
        assert_ok(peer_id_of(private_key_public(key), &name));
        assert_ok(ipns_record_create(key, &fields, &record));
        assert_ok(ipns_record_validate(buf_bytes(&record), &name, now_ms, &r));
        assert_int_equal(r.has_v1, !fields.is_v2_only);
        assert_int_equal(r.public_key.len > 0, types[i / 2] == KEY_RSA || types[i / 2] == KEY_ECDSA);
        assert_int_equal(r.signed_fields.sequence, 7);
        assert_ok(ipns_record_value(&r, &value));
        assert_bytes(buf_bytes(&value), BYTES_LIT(VALUE));
        uint64_t end_ms = now_ms + 3600 * 1000 + 500;
        assert_int_equal(ipns_record_ttl_ms(&r, now_ms, 1), 60000);
        assert_int_equal(ipns_record_ttl_ms(&r, end_ms - 100, 1), 100);
        assert_int_equal(ipns_record_ttl_ms(&r, end_ms + 1, 1), 0);
        assert_int_equal(ipns_record_validate(buf_bytes(&record), &name, end_ms, &r), OK);
        assert_err(ipns_record_validate(buf_bytes(&record), &name, end_ms + 1, &r), ERR_INVALID);
        assert_string_equal(error_text(ERR_INVALID), "record is expired");
    }
}

/* The reference's record of the same fields, byte by byte: Ed25519 signatures are deterministic. */
static void test_same_bytes(void **state)
{
    AUTO(buf_t) theirs, ours;
    ipns_record_t r;
    AUTO_PTR(private_key_t) key = NULL;
    buf_init(&theirs, IPNS_RECORD_MAX_BYTES);
    buf_init(&ours, IPNS_RECORD_MAX_BYTES);
    read_vector("ed25519-v1v2.ipns-record", &theirs);
    assert_ok(ipns_record_decode(buf_bytes(&theirs), &r));
    key = new_key(KEY_ED25519); /* another key: the signatures differ, all else must not */
    ipns_new_t fields = {
        r.signed_fields.value, r.signed_fields.sequence, r.signed_fields.ttl_ns, r.end_s, r.end_ns, false};
    assert_ok(ipns_record_create(key, &fields, &ours));
    assert_int_equal(ours.len, theirs.len);
    ipns_record_t s;
    assert_ok(ipns_record_decode(buf_bytes(&ours), &s));
    assert_bytes(s.data, r.data);
    memcpy(ours.data + (s.signature_v1.data - ours.data), r.signature_v1.data, r.signature_v1.len);
    memcpy(ours.data + (s.signature_v2.data - ours.data), r.signature_v2.data, r.signature_v2.len);
    assert_bytes(buf_bytes(&ours), buf_bytes(&theirs));
}

/* ── data that is not canonical, fields of wrong kinds ─────────────────────────────────────────── */
static ipns_record_t decoded; /* its bytes are gone */
static err_t decode_data(const char *hex)
{
    AUTO(buf_t) data, record;
    ipns_record_t r;
    buf_init(&data, 4096);
    buf_init(&record, 8192);
    assert_ok(hex_decode(bytes_str(hex), &data));
    writer_t w = writer_to(&record);
    pb_put_bytes(&w, 9, buf_bytes(&data));
    assert_ok(w.err);
    TRY(ipns_record_decode(buf_bytes(&record), &r));
    decoded = r;
    return OK;
}

#define TTL "6354544c00"
#define EMPTY_VALUE "6556616c756540"
#define SEQUENCE "6853657175656e636500"
#define YEAR "6856616c696469747954323132362d30312d30325430333a30343a30355a"
#define TYPE "6c56616c69646974795479706500"
static void test_data(void **state)
{
    assert_ok(decode_data("a5" TTL EMPTY_VALUE SEQUENCE YEAR TYPE));
    assert_ok(decode_data("a4" EMPTY_VALUE SEQUENCE YEAR TYPE));
    /* metadata: a list in a map, a tag, simple values */
    assert_ok(decode_data("a7"
                          "6161a1616283014161f5"
                          "6162d82a450001550000" TTL EMPTY_VALUE SEQUENCE YEAR TYPE));
    assert_true(decoded.has_end);
    /* a validity of an unknown type, or that is no time: can be looked at, and is never valid */
    assert_ok(decode_data("a5" TTL EMPTY_VALUE SEQUENCE YEAR "6c56616c69646974795479706501"));
    assert_false(decoded.has_end);
    assert_true(ipns_record_is_expired(&decoded, 0));
    assert_ok(decode_data("a5" TTL EMPTY_VALUE SEQUENCE "6856616c6964697479423132" TYPE));
    assert_false(decoded.has_end);
    static const char *const bad[] = {
        "",
        "a0",
        "80",
        "a5" TTL EMPTY_VALUE SEQUENCE YEAR TYPE "00", /* bytes behind it */
        "a6" TTL EMPTY_VALUE SEQUENCE YEAR TYPE,      /* ends early */
        "a5" EMPTY_VALUE TTL SEQUENCE YEAR TYPE,      /* order */
        "a6" TTL TTL EMPTY_VALUE SEQUENCE YEAR TYPE,  /* twice */
        "a4" TTL SEQUENCE YEAR TYPE,                  /* no value */
        "a4" TTL EMPTY_VALUE YEAR TYPE,               /* no sequence */
        "a4" TTL EMPTY_VALUE SEQUENCE TYPE,           /* no validity */
        "a4" TTL EMPTY_VALUE SEQUENCE YEAR,           /* no type */
        "a5"
        "6354544c1800" EMPTY_VALUE SEQUENCE YEAR TYPE, /* not the shortest integer */
        "a5"
        "6354544c20" EMPTY_VALUE SEQUENCE YEAR TYPE,  /* negative */
        "a5" TTL "6556616c756560" SEQUENCE YEAR TYPE, /* text */
        "bf" TTL EMPTY_VALUE SEQUENCE YEAR TYPE "ff", /* indefinite */
        "a6"
        "61619bffffffffffffffff" TTL EMPTY_VALUE SEQUENCE YEAR TYPE, /* a list that cannot be */
        "a6"
        "61615bffffffffffffffff" TTL EMPTY_VALUE SEQUENCE YEAR TYPE, /* bytes that cannot be */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (decode_data(bad[i]) != ERR_INVALID)
            fail_msg("data %zu was taken: %s", i, bad[i]);
}

static void test_values(void **state)
{
    ipns_record_t r = {0};
    AUTO(buf_t) out;
    cid_t cid;
    uint8_t binary[CID_BINARY_MAX];
    buf_init(&out, 4096);
    assert_ok(ipns_record_value(&r, &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("/ipfs/bafkqaaa"));
    buf_clear(&out);
    assert_ok(cid_parse_str(&VALUE[6], &cid));
    r.signed_fields.value = bytes_of(binary, cid_encode(&cid, binary));
    assert_ok(ipns_record_value(&r, &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT(VALUE));
    buf_clear(&out);
    r.signed_fields.value = BYTES_LIT("/ipld/x/y");
    assert_ok(ipns_record_value(&r, &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("/ipld/x/y"));
    r.signed_fields.value = BYTES_LIT("/other/x");
    assert_err(ipns_record_value(&r, &out), ERR_INVALID);
    r.signed_fields.value = BYTES_LIT("/ipfs/a\0b");
    assert_err(ipns_record_value(&r, &out), ERR_INVALID);
    r.signed_fields.value = BYTES_LIT("nonsense");
    assert_err(ipns_record_value(&r, &out), ERR_INVALID);
}

static void test_too_long(void **state)
{
    AUTO_PTR(private_key_t) key = new_key(KEY_ED25519);
    AUTO(buf_t) record;
    static uint8_t value[IPNS_RECORD_MAX_BYTES];
    ipns_new_t fields = plain;
    fields.value = bytes_of(value, sizeof value);
    buf_init(&record, 1 << 16);
    assert_err(ipns_record_create(key, &fields, &record), ERR_LIMIT);
    assert_int_equal(record.len, 0);
    fields.value.len = IPNS_RECORD_MAX_BYTES / 2;
    assert_err(ipns_record_create(key, &fields, &record), ERR_LIMIT); /* twice in it */
    fields.is_v2_only = true;
    assert_ok(ipns_record_create(key, &fields, &record));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_selection),
                                       cmocka_unit_test(test_created), cmocka_unit_test(test_same_bytes),
                                       cmocka_unit_test(test_data),    cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
