#include "base/pb.h"
#include "multi/peer_id.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

static void check_key(tsv_t *v, const peer_id_t *id, bytes_t public_pb)
{
    public_key_t key, inside;
    peer_id_t own;
    AUTO(buf_t) again;
    buf_init(&again, 4096);
    assert_ok(public_key_decode(public_pb, &key));
    assert_ok(public_key_encode(&key, &again));
    assert_bytes(buf_bytes(&again), public_pb);
    assert_ok(peer_id_of(&key, &own));
    assert_true(peer_id_equal(&own, id));
    assert_true(peer_id_matches(id, &key));
    bool is_hashed = id->data[0];
    assert_err(peer_id_public_key(id, &inside), is_hashed ? ERR_NOT_FOUND : OK);
    if (!is_hashed)
        assert_true(public_key_equal(&inside, &key));
}

static void check_private(bytes_t private_pb, bytes_t public_pb)
{
    AUTO_PTR(private_key_t) key = NULL;
    AUTO(buf_t) out;
    buf_init(&out, 8192);
    assert_ok(private_key_decode(private_pb, &key));
    assert_ok(public_key_encode(private_key_public(key), &out));
    assert_bytes(buf_bytes(&out), public_pb);
    buf_clear(&out);
    assert_ok(private_key_encode(key, &out));
    bool is_old_form = private_key_type(key) == KEY_ED25519 && private_pb.len > 68;
    if (!is_old_form)
        assert_bytes(buf_bytes(&out), private_pb);
}

static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("peer-ids.tsv");
    AUTO(buf_t) public_pb, private_pb, binary;
    buf_init(&public_pb, 8192);
    buf_init(&private_pb, 8192);
    buf_init(&binary, 256);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        static const char *const columns[] = {"base58", "cid_base32", "cid_base36"};
        static const multibase_t bases[] = {0, MB_BASE32, MB_BASE36};
        peer_id_t id, parsed;
        char text[PEER_ID_TEXT_MAX];
        tsv_hex(v, "public_pb_hex", &public_pb);
        tsv_hex(v, "private_pb_hex", &private_pb);
        tsv_hex(v, "peer_id_hex", &binary);
        assert_ok(peer_id_decode(buf_bytes(&binary), &id));
        for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
            assert_ok(peer_id_parse(tsv_get(v, columns[i]), &parsed));
            assert_true(peer_id_equal(&id, &parsed));
            if (i)
                assert_ok(peer_id_print_cid(&id, bases[i], text));
            else
                peer_id_print(&id, text);
            assert_string_equal(text, tsv_get(v, columns[i]));
        }
        check_key(v, &id, buf_bytes(&public_pb));
        if (private_pb.len)
            check_private(buf_bytes(&private_pb), buf_bytes(&public_pb));
    }
    assert_int_equal(rows, 15);
    tsv_close(v);
}

static void test_text_vectors(void **state)
{
    tsv_t *v = tsv_open("peer-id-text.tsv");
    AUTO(buf_t) binary;
    buf_init(&binary, 256);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        peer_id_t id = {.len = 9};
        char text[PEER_ID_TEXT_MAX];
        err_t e = peer_id_parse(tsv_get(v, "text"), &id);
        if (!strcmp(tsv_get(v, "kind"), "invalid")) {
            assert_int_equal(e, ERR_INVALID);
            assert_int_equal(id.len, 9);
            continue;
        }
        assert_ok(e);
        tsv_hex(v, "peer_id_hex", &binary);
        assert_bytes(peer_id_bytes(&id), buf_bytes(&binary));
        assert_string_equal(peer_id_print(&id, text), tsv_get(v, "canonical_base58"));
    }
    assert_int_equal(rows, 14);
    tsv_close(v);
}

static void test_signatures(void **state)
{
    tsv_t *v = tsv_open("signatures.tsv");
    AUTO(buf_t) public_pb, message, signature;
    buf_init(&public_pb, 8192);
    buf_init(&message, 8192);
    buf_init(&signature, 8192);
    size_t good = 0, bad = 0;
    while (tsv_next(v)) {
        public_key_t key;
        tsv_hex(v, "public_pb_hex", &public_pb);
        tsv_hex(v, "message_hex", &message);
        tsv_hex(v, "signature_hex", &signature);
        assert_ok(public_key_decode(buf_bytes(&public_pb), &key));
        bool is_valid = !strcmp(tsv_get(v, "valid"), "yes");
        assert_err(public_key_verify(&key, buf_bytes(&message), buf_bytes(&signature)),
                   is_valid ? OK : ERR_CRYPTO);
        good += is_valid;
        bad += !is_valid;
    }
    assert_int_equal(good, 19);
    assert_int_equal(bad, 12);
    tsv_close(v);
}

/* The private key that belongs to a public one, from peer-ids.tsv; NULL when it is not there. */
static private_key_t *private_of(bytes_t public_pb)
{
    tsv_t *v = tsv_open("peer-ids.tsv");
    AUTO(buf_t) out;
    private_key_t *key = NULL;
    buf_init(&out, 8192);
    while (!key && tsv_next(v)) {
        tsv_hex(v, "public_pb_hex", &out);
        if (!bytes_equal(buf_bytes(&out), public_pb))
            continue;
        tsv_hex(v, "private_pb_hex", &out);
        if (out.len)
            assert_ok(private_key_decode(buf_bytes(&out), &key));
    }
    tsv_close(v);
    return key;
}

/* Ed25519, RSA and secp256k1 (RFC 6979, small s) give the same bytes as the reference. */
static void test_signing(void **state)
{
    tsv_t *v = tsv_open("signatures.tsv");
    AUTO(buf_t) public_pb, message, want, made;
    buf_init(&public_pb, 8192);
    buf_init(&message, 8192);
    buf_init(&want, 8192);
    buf_init(&made, 8192);
    size_t same = 0, randomised = 0;
    while (tsv_next(v)) {
        if (strcmp(tsv_get(v, "valid"), "yes"))
            continue;
        tsv_hex(v, "public_pb_hex", &public_pb);
        tsv_hex(v, "message_hex", &message);
        tsv_hex(v, "signature_hex", &want);
        AUTO_PTR(private_key_t) key = private_of(buf_bytes(&public_pb));
        if (!key)
            continue;
        buf_clear(&made);
        assert_ok(private_key_sign(key, buf_bytes(&message), &made));
        assert_ok(public_key_verify(private_key_public(key), buf_bytes(&message), buf_bytes(&made)));
        if (private_key_type(key) == KEY_ECDSA) {
            randomised++;
            continue;
        }
        assert_bytes(buf_bytes(&made), buf_bytes(&want));
        same++;
    }
    assert_true(same >= 14);
    assert_true(randomised >= 4);
    tsv_close(v);
}

static void test_hostile_messages(void **state)
{
    static uint8_t large[16385];
    public_key_t key = {.len = 5};
    AUTO(buf_t) message;
    buf_init(&message, 4096);
    assert_err(public_key_decode(bytes_of(large, sizeof large), &key), ERR_LIMIT);
    assert_err(public_key_decode(BYTES_NONE, &key), ERR_INVALID);
    assert_err(public_key_decode(BYTES_LIT("\x08\x01"), &key), ERR_INVALID);              /* no Data */
    assert_err(public_key_decode(BYTES_LIT("\x12\x01x"), &key), ERR_INVALID);             /* no Type */
    assert_err(public_key_decode(BYTES_LIT("\x08\x01\x12\x05x"), &key), ERR_INVALID);     /* cut */
    assert_err(public_key_decode(BYTES_LIT("\x0a\x01\x01\x12\x01x"), &key), ERR_INVALID); /* Type as bytes */
    assert_err(public_key_decode(BYTES_LIT("\x08\x04\x12\x01x"), &key), ERR_UNSUPPORTED);
    assert_err(public_key_decode(BYTES_LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x01x"), &key),
               ERR_UNSUPPORTED);
    writer_t w = writer_to(&message);
    pb_put_uint(&w, 1, KEY_RSA);
    pb_put_bytes(&w, 2, bytes_of(large, PUBLIC_KEY_MAX_BYTES + 1));
    assert_ok(w.err);
    assert_err(public_key_decode(buf_bytes(&message), &key), ERR_LIMIT);
    assert_int_equal(key.len, 5);
}

static void test_ids_of_other_keys(void **state)
{
    static const uint8_t seeds[2][32] = {{1}, {2}};
    AUTO_PTR(private_key_t) a = NULL;
    AUTO_PTR(private_key_t) b = NULL;
    peer_id_t id_a, got = {.len = 4};
    public_key_t key;
    assert_ok(private_key_generate(KEY_ED25519, seeds[0], 0, &a));
    assert_ok(private_key_generate(KEY_ED25519, seeds[1], 0, &b));
    assert_ok(peer_id_of(private_key_public(a), &id_a));
    assert_false(peer_id_matches(&id_a, private_key_public(b)));
    id_a.data[10] ^= 1; /* an identity that holds no good key */
    assert_int_not_equal(peer_id_public_key(&id_a, &key), ERR_NOT_FOUND);
    uint8_t wrong_hash[34] = {0x13, 32}, short_hash[22] = {0x12, 20}, long_key[45] = {0, 43},
            no_key[2] = {0, 0};
    assert_err(peer_id_decode(bytes_of(wrong_hash, 34), &got), ERR_INVALID);
    assert_err(peer_id_decode(bytes_of(short_hash, 22), &got), ERR_INVALID);
    assert_err(peer_id_decode(bytes_of(long_key, 45), &got), ERR_INVALID);
    assert_err(peer_id_decode(bytes_of(no_key, 2), &got), ERR_INVALID);
    char text[PEER_ID_TEXT_MAX + 8];
    memset(text, '1', sizeof text);
    text[sizeof text - 1] = 0;
    assert_err(peer_id_parse(text, &got), ERR_INVALID);
    assert_int_equal(got.len, 4);
    assert_err(peer_id_print_cid(&id_a, MB_BASE2, text), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),          cmocka_unit_test(test_text_vectors),
        cmocka_unit_test(test_signatures),       cmocka_unit_test(test_signing),
        cmocka_unit_test(test_hostile_messages), cmocka_unit_test(test_ids_of_other_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
