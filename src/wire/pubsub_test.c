#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/fetch.h"
#include "wire/pubsub.h"

/* The row of messages.tsv with this name, as bytes. */
static void vector(const char *message, buf_t *out)
{
    tsv_t *v = tsv_open("wire/messages.tsv");
    bool is_found = false;
    while (!is_found && tsv_next(v))
        is_found = strstr(tsv_get(v, "protocol"), "meshsub") && !strcmp(tsv_get(v, "message"), message);
    assert_true(is_found);
    tsv_hex(v, "bytes_hex", out);
    tsv_close(v);
}

static void put_item(writer_t *rpc, writer_t *control, const pubsub_item_t *item)
{
    bytes_t ids[64], record;
    peer_id_t peers[8];
    size_t n = 0;
    switch (item->kind) {
    case PUBSUB_SUBSCRIBE:
    case PUBSUB_UNSUBSCRIBE:
        pubsub_put_subscription(rpc, item->topic, item->kind == PUBSUB_SUBSCRIBE);
        break;
    case PUBSUB_MESSAGE:
        pubsub_put_message(rpc, &item->message);
        break;
    case PUBSUB_GRAFT:
        pubsub_put_graft(control, item->topic);
        break;
    case PUBSUB_PRUNE:
        for (size_t i = 0; n < 8 && pubsub_next_peer(item, &i, &peers[n], &record);)
            n++;
        pubsub_put_prune(control, item->topic, peers, n, item->backoff_s);
        break;
    default:
        for (size_t i = 0; n < 64 && pubsub_next_id(item, &i, &ids[n]);)
            n++;
        if (item->kind == PUBSUB_IHAVE)
            pubsub_put_ihave(control, item->topic, ids, n);
        else if (item->kind == PUBSUB_IWANT)
            pubsub_put_iwant(control, ids, n);
        else
            pubsub_put_idontwant(control, ids, n);
    }
}

static void test_vectors(void **state)
{
    static const struct {
        const char *message;
        pubsub_kind_t kinds[2];
        size_t n;
    } rows[] = {{"RPC publish", {PUBSUB_MESSAGE}, 1},
                {"RPC subscribe", {PUBSUB_SUBSCRIBE}, 1},
                {"RPC GRAFT", {PUBSUB_GRAFT}, 1},
                {"RPC PRUNE with backoff 60 and px", {PUBSUB_PRUNE}, 1},
                {"RPC IHAVE+IWANT", {PUBSUB_IHAVE, PUBSUB_IWANT}, 2},
                {"RPC IDONTWANT", {PUBSUB_IDONTWANT}, 1}};
    AUTO(buf_t) bytes = {0}, rpc = {0}, control = {0};
    buf_init(&bytes, 4096);
    buf_init(&rpc, 4096);
    buf_init(&control, 4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        vector(rows[i].message, &bytes);
        bytes_t body = buf_bytes(&bytes);
        assert_ok(pubsub_check(body));
        pubsub_reader_t r = pubsub_reader_of(body);
        pubsub_item_t item;
        buf_clear(&rpc);
        buf_clear(&control);
        writer_t w = writer_to(&rpc), c = writer_to(&control);
        size_t n = 0;
        for (; pubsub_next(&r, &item); n++) {
            assert_true(n < rows[i].n);
            assert_int_equal(item.kind, rows[i].kinds[n]);
            put_item(&w, &c, &item);
        }
        assert_int_equal(n, rows[i].n);
        pubsub_put_control(&w, buf_bytes(&control));
        assert_ok(w.err);
        assert_bytes(buf_bytes(&rpc), body);
        for (size_t cut = 1; cut < body.len; cut++) /* no prefix of one RPC with one part is another */
            assert_true(pubsub_check(bytes_slice(body, 0, cut)) || rows[i].n > 1);
    }
}

static void test_prune_and_ids(void **state)
{
    AUTO(buf_t) bytes = {0};
    buf_init(&bytes, 4096);
    vector("RPC PRUNE with backoff 60 and px", &bytes);
    pubsub_reader_t r = pubsub_reader_of(buf_bytes(&bytes));
    pubsub_item_t item;
    assert_true(pubsub_next(&r, &item));
    assert_bytes(item.topic, BYTES_LIT("test"));
    assert_int_equal(item.backoff_s, 60);
    peer_id_t id;
    bytes_t record, got;
    size_t i = 0;
    assert_true(pubsub_next_peer(&item, &i, &id, &record));
    assert_int_equal(id.len, 38);
    assert_int_equal(record.len, 0);
    assert_false(pubsub_next_peer(&item, &i, &id, &record));
    assert_false(pubsub_next(&r, &item));
    vector("RPC IHAVE+IWANT", &bytes);
    r = pubsub_reader_of(buf_bytes(&bytes));
    assert_true(pubsub_next(&r, &item));
    i = 0;
    assert_true(pubsub_next_id(&item, &i, &got));
    assert_bytes(got, BYTES_LIT("id-1"));
    assert_true(pubsub_next_id(&item, &i, &got));
    assert_bytes(got, BYTES_LIT("id-2"));
    assert_false(pubsub_next_id(&item, &i, &got));
}

static void test_signature(void **state)
{
    AUTO(buf_t) bytes = {0}, want = {0}, sig = {0};
    buf_init(&bytes, 4096);
    buf_init(&want, 4096);
    buf_init(&sig, 256);
    vector("RPC publish", &bytes);
    pubsub_reader_t r = pubsub_reader_of(buf_bytes(&bytes));
    pubsub_item_t item;
    assert_true(pubsub_next(&r, &item));
    pubsub_message_t m = item.message;
    assert_bytes(m.data, BYTES_LIT("hello"));
    assert_bytes(m.topic, BYTES_LIT("test"));
    assert_null(m.key.data);
    assert_ok(pubsub_verify(&m));
    uint8_t id[PUBSUB_ID_MAX_BYTES], seed[32];
    size_t len;
    assert_ok(pubsub_message_id(&m, id, &len));
    vector("default message id", &want);
    assert_bytes(bytes_of(id, len), buf_bytes(&want));
    /* our own signature over the same fields is the same */
    memset(seed, 1, sizeof seed);
    AUTO_PTR(private_key_t) key = NULL;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    assert_ok(pubsub_sign(&m, key, &sig));
    assert_bytes(buf_bytes(&sig), m.signature);
    /* anything else is refused */
    pubsub_message_t other = m;
    other.data = BYTES_LIT("hallo");
    assert_err(pubsub_verify(&other), ERR_CRYPTO);
    other = m;
    other.topic = BYTES_LIT("");
    assert_err(pubsub_verify(&other), ERR_CRYPTO);
    other = m;
    other.signature = BYTES_NONE;
    assert_err(pubsub_verify(&other), ERR_CRYPTO);
    other = m;
    other.seqno = BYTES_LIT("1234567");
    assert_err(pubsub_message_id(&other, id, &len), ERR_INVALID);
    other = m;
    other.from = BYTES_LIT("nobody");
    assert_true(pubsub_verify(&other) != OK);
    assert_true(pubsub_message_id(&other, id, &len) != OK);
    /* a key that is not the author's */
    AUTO_PTR(private_key_t) stranger = NULL;
    AUTO(buf_t) stranger_key = {0}, stranger_sig = {0};
    buf_init(&stranger_key, 256);
    buf_init(&stranger_sig, 256);
    memset(seed, 2, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &stranger));
    assert_ok(public_key_encode(private_key_public(stranger), &stranger_key));
    assert_ok(pubsub_sign(&m, stranger, &stranger_sig));
    other = m;
    other.key = buf_bytes(&stranger_key);
    other.signature = buf_bytes(&stranger_sig);
    assert_err(pubsub_verify(&other), ERR_CRYPTO);
}

static void test_rsa_author(void **state)
{
    AUTO_PTR(private_key_t) key = NULL;
    AUTO(buf_t) public = {0}, sig = {0};
    buf_init(&public, 2048);
    buf_init(&sig, 2048);
    assert_ok(private_key_generate(KEY_RSA, NULL, 2048, &key));
    assert_ok(public_key_encode(private_key_public(key), &public));
    peer_id_t id;
    assert_ok(peer_id_of(private_key_public(key), &id));
    pubsub_message_t m = {.from = peer_id_bytes(&id),
                          .data = BYTES_LIT(""),
                          .seqno = BYTES_LIT("12345678"),
                          .topic = BYTES_LIT("t")};
    assert_ok(pubsub_sign(&m, key, &sig));
    m.signature = buf_bytes(&sig);
    assert_err(pubsub_verify(&m), ERR_NOT_FOUND); /* the id does not hold the key */
    m.key = buf_bytes(&public);
    assert_ok(pubsub_verify(&m));
}

static void test_bounds(void **state)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 4u << 20);
    writer_t w = writer_to(&out);
    for (size_t i = 0; i <= PUBSUB_RPC_MAX_ITEMS; i++)
        pubsub_put_subscription(&w, BYTES_LIT("t"), true);
    assert_err(pubsub_check(buf_bytes(&out)), ERR_LIMIT);
    buf_clear(&out);
    static uint8_t long_topic[PUBSUB_TOPIC_MAX_BYTES + 1];
    pubsub_put_subscription(&w, bytes_of(long_topic, sizeof long_topic), true);
    assert_err(pubsub_check(buf_bytes(&out)), ERR_LIMIT);
    buf_clear(&out);
    pubsub_put_graft(&w, bytes_of(long_topic, sizeof long_topic));
    AUTO(buf_t) rpc = {0};
    buf_init(&rpc, 4096);
    writer_t r = writer_to(&rpc);
    pubsub_put_control(&r, buf_bytes(&out));
    assert_err(pubsub_check(buf_bytes(&rpc)), ERR_LIMIT);
    assert_err(pubsub_check(bytes_of(long_topic, PUBSUB_RPC_MAX_BYTES + 1)), ERR_LIMIT);
    assert_err(pubsub_check(BYTES_LIT("\x12\x05\x0a\xff")), ERR_EOF);
    assert_err(pubsub_check(BYTES_LIT("\x08\x01")), ERR_INVALID); /* a number for a message */
    assert_ok(pubsub_check(BYTES_NONE));
    /* several control fields are as one; unknown ones are passed over */
    assert_ok(pubsub_check(BYTES_LIT("\x1a\x02\x32\x00\x1a\x05\x1a\x03\x0a\x01t\x52\x00")));
    /* ids that nobody could have sent are passed over */
    static uint8_t long_id[PUBSUB_ID_MAX_BYTES + 1];
    bytes_t ids[] = {BYTES_LIT(""), bytes_of(long_id, sizeof long_id), BYTES_LIT("a")};
    buf_clear(&out);
    buf_clear(&rpc);
    pubsub_put_iwant(&w, ids, ARRAY_LEN(ids));
    pubsub_put_control(&r, buf_bytes(&out));
    pubsub_reader_t reader = pubsub_reader_of(buf_bytes(&rpc));
    pubsub_item_t item;
    assert_true(pubsub_next(&reader, &item));
    bytes_t id;
    size_t i = 0;
    assert_true(pubsub_next_id(&item, &i, &id));
    assert_bytes(id, BYTES_LIT("a"));
}

static void test_versions(void **state)
{
    assert_int_equal(pubsub_version_of("/meshsub/1.2.0"), PUBSUB_GOSSIPSUB_1_2);
    assert_int_equal(pubsub_version_of("/meshsub/1.1.0"), PUBSUB_GOSSIPSUB_1_1);
    assert_int_equal(pubsub_version_of("/meshsub/1.0.0"), PUBSUB_GOSSIPSUB_1_0);
    assert_int_equal(pubsub_version_of("/floodsub/1.0.0"), PUBSUB_FLOODSUB);
    assert_int_equal(pubsub_version_of("/other"), PUBSUB_FLOODSUB);
}

static void test_fetch(void **state)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, FETCH_ANSWER_MAX_BYTES + 4096);
    writer_t w = writer_to(&out);
    bytes_t got;
    fetch_put_request(&w, BYTES_LIT("/ipns/x"));
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x0a\x07/ipns/x"));
    assert_ok(fetch_decode_request(buf_bytes(&out), &got));
    assert_bytes(got, BYTES_LIT("/ipns/x"));
    assert_err(fetch_decode_request(BYTES_NONE, &got), ERR_INVALID);
    assert_err(fetch_decode_request(BYTES_LIT("\x0a\x07/i"), &got), ERR_EOF);
    buf_clear(&out);
    fetch_put_answer(&w, FETCH_OK, BYTES_LIT("value"));
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x12\x05value"));
    assert_ok(fetch_decode_answer(buf_bytes(&out), &got));
    assert_bytes(got, BYTES_LIT("value"));
    buf_clear(&out);
    fetch_put_answer(&w, FETCH_NOT_FOUND, BYTES_NONE);
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x08\x01"));
    assert_err(fetch_decode_answer(buf_bytes(&out), &got), ERR_NOT_FOUND);
    assert_err(fetch_decode_answer(BYTES_NONE, &got), ERR_NOT_FOUND);
    assert_err(fetch_decode_answer(BYTES_LIT("\x12\xff"), &got), ERR_EOF);
    static uint8_t big[FETCH_VALUE_MAX_BYTES + 1];
    buf_clear(&out);
    fetch_put_answer(&w, FETCH_OK, bytes_of(big, sizeof big));
    assert_err(fetch_decode_answer(buf_bytes(&out), &got), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),   cmocka_unit_test(test_prune_and_ids),
        cmocka_unit_test(test_signature), cmocka_unit_test(test_rsa_author),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_versions),
        cmocka_unit_test(test_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
