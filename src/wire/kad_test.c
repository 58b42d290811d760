#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/kad.h"

/* Encodes again what a message holds. */
static void encode_again(const kad_message_t *m, buf_t *out)
{
    writer_t w = writer_to(out);
    kad_put_head(&w, m->type, m->key);
    if (m->has_record)
        kad_put_record(&w, m->rec_key, m->rec_value, m->rec_received);
    static const kad_list_t lists[] = {KAD_CLOSER, KAD_PROVIDERS};
    for (size_t l = 0; l < 2; l++) {
        kad_peer_t p;
        for (size_t i = 0; kad_next_peer(m, lists[l], &i, &p);) {
            multiaddr_t addrs[4];
            size_t n = 0;
            for (size_t j = 0; n < 4 && kad_next_addr(&p, &j, &addrs[n]);)
                n++;
            kad_put_peer(&w, lists[l], &p.id, addrs, n, p.connection);
        }
    }
    assert_ok(w.err);
}

static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("kad/messages.tsv");
    AUTO(buf_t) bytes = {0}, framed = {0}, again = {0}, again_framed = {0};
    buf_init(&bytes, 4096);
    buf_init(&framed, 4096);
    buf_init(&again, 4096);
    buf_init(&again_framed, 4096);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        tsv_hex(v, "protobuf_hex", &bytes);
        tsv_hex(v, "framed_hex", &framed);
        kad_message_t m;
        assert_ok(kad_decode(buf_bytes(&bytes), &m));
        const char *name = kad_type_name(m.type);
        assert_int_equal(strncmp(tsv_get(v, "message"), name, strlen(name)), 0);
        buf_clear(&again);
        encode_again(&m, &again);
        assert_bytes(buf_bytes(&again), buf_bytes(&bytes));
        buf_clear(&again_framed);
        writer_t w = writer_to(&again_framed);
        write_length_prefixed(&w, buf_bytes(&again));
        assert_bytes(buf_bytes(&again_framed), buf_bytes(&framed));
        for (size_t cut = 0; cut < bytes.len; cut++) { /* no prefix makes it read too far */
            kad_message_t part;
            if (kad_decode(bytes_of(bytes.data, cut), &part))
                continue;
            kad_peer_t p;
            for (size_t i = 0; kad_next_peer(&part, KAD_CLOSER, &i, &p);)
                assert_true(i <= cut);
        }
    }
    assert_int_equal(rows, 10);
    tsv_close(v);
}

static void test_fields(void **state)
{
    tsv_t *v = tsv_open("kad/messages.tsv");
    AUTO(buf_t) bytes = {0};
    buf_init(&bytes, 4096);
    char text[MULTIADDR_TEXT_MAX], id[PEER_ID_TEXT_MAX];
    size_t seen = 0;
    while (tsv_next(v)) {
        tsv_hex(v, "protobuf_hex", &bytes);
        kad_message_t m;
        assert_ok(kad_decode(buf_bytes(&bytes), &m));
        const char *message = tsv_get(v, "message");
        if (strcmp(message, "FIND_NODE response") == 0) {
            kad_peer_t p;
            multiaddr_t addr;
            size_t i = 0, j = 0;
            assert_int_equal(m.n_closer, 2);
            assert_true(kad_next_peer(&m, KAD_CLOSER, &i, &p));
            assert_string_equal(peer_id_print(&p.id, id),
                                "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq");
            assert_int_equal(p.connection, KAD_CONNECTED);
            assert_true(kad_next_addr(&p, &j, &addr));
            assert_string_equal(multiaddr_print(&addr, text), "/ip4/192.0.2.1/tcp/4001");
            assert_true(kad_next_addr(&p, &j, &addr));
            assert_false(kad_next_addr(&p, &j, &addr));
            assert_true(kad_next_peer(&m, KAD_CLOSER, &i, &p));
            assert_int_equal(p.connection, KAD_NOT_CONNECTED);
            assert_false(kad_next_peer(&m, KAD_CLOSER, &i, &p));
            i = 0;
            assert_false(kad_next_peer(&m, KAD_PROVIDERS, &i, &p));
            seen++;
        } else if (strcmp(message, "GET_VALUE response") == 0) {
            assert_bytes(m.rec_value, BYTES_LIT("record-bytes"));
            assert_bytes(m.rec_key, m.key);
            assert_bytes(m.rec_received, BYTES_LIT("2026-01-02T03:04:05.000000006Z"));
            assert_int_equal(m.n_closer, 1);
            seen++;
        } else if (strncmp(message, "PUT_VALUE", 9) == 0) {
            assert_int_equal(bytes.data[0], 0x12); /* no type on the wire */
            assert_true(m.has_record);
            assert_int_equal(m.rec_received.len, 0);
            seen++;
        }
    }
    assert_true(seen >= 3);
    tsv_close(v);
}

static peer_id_t some_peer(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 32, n}};
}

static void test_bounds(void **state)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 8u << 20);
    writer_t w = writer_to(&out);
    kad_message_t m;
    peer_id_t id = some_peer(1);

    kad_put_head(&w, KAD_FIND_NODE, BYTES_LIT("k"));
    for (int i = 0; i < KAD_MAX_CLOSER; i++)
        kad_put_peer(&w, KAD_CLOSER, &id, NULL, 0, KAD_NOT_CONNECTED);
    assert_ok(w.err);
    assert_ok(kad_decode(buf_bytes(&out), &m));
    for (int i = 0; i < 10000; i++)
        kad_put_peer(&w, KAD_CLOSER, &id, NULL, 0, KAD_NOT_CONNECTED);
    assert_err(kad_decode(buf_bytes(&out), &m), ERR_LIMIT);

    static uint8_t big[KAD_MESSAGE_MAX_BYTES + 1];
    assert_err(kad_decode(bytes_of(big, sizeof big), &m), ERR_LIMIT);
    buf_clear(&out);
    kad_put_head(&w, KAD_FIND_NODE, bytes_of(big, KAD_KEY_MAX_BYTES + 1));
    assert_err(kad_decode(buf_bytes(&out), &m), ERR_LIMIT);
    buf_clear(&out);
    kad_put_record(&w, BYTES_LIT("k"), bytes_of(big, KAD_RECORD_MAX_BYTES + 1), BYTES_NONE);
    assert_err(kad_decode(buf_bytes(&out), &m), ERR_LIMIT);
}

static void test_malformed(void **state)
{
    static const struct {
        const char *hex;
        err_t want;
    } rows[] = {
        {"0806", ERR_INVALID}, /* type 6 */
        {"08ffffffffffffffffff01", ERR_INVALID},
        {"0a0100", ERR_INVALID}, /* type as bytes */
        {"1005", ERR_INVALID},   /* key as a number */
        {"12ff", ERR_EOF},       /* half a length */
        {"1205aa", ERR_EOF},     /* longer than the rest */
        {"1a020a05", ERR_EOF},   /* inside the record */
        {"4001", ERR_INVALID},   /* closer peers as a number */
        {"4801", ERR_INVALID},   /* providers as a number */
        {"0b", ERR_INVALID},     /* a group */
        {"", OK},                /* PUT_VALUE without anything; its handler refuses it */
        {"500a0805", OK},        /* cluster level, as old peers send it; PING */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) bytes = {0};
        buf_init(&bytes, 64);
        assert_ok(hex_decode(bytes_str(rows[i].hex), &bytes));
        kad_message_t m;
        assert_err(kad_decode(buf_bytes(&bytes), &m), rows[i].want);
    }
}

/* Entries without an id, with a broken one, with broken addresses: passed over, the good ones stay. */
static void test_bad_entries_are_passed_over(void **state)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 4096);
    writer_t w = writer_to(&out);
    peer_id_t good = some_peer(7), none = {0}, broken = {.len = 3, .data = {1, 2, 3}};
    multiaddr_t addrs[3] = {{.len = 2, .data = {0xff, 0xff}}, {.len = 0}, {0}};
    assert_ok(multiaddr_parse("/ip4/192.0.2.1/tcp/4001", &addrs[2]));
    kad_put_head(&w, KAD_FIND_NODE, BYTES_LIT("k"));
    kad_put_peer(&w, KAD_CLOSER, &none, addrs, 3, KAD_CONNECTED);
    kad_put_peer(&w, KAD_CLOSER, &broken, addrs, 3, KAD_CONNECTED);
    pb_put_bytes(&w, KAD_CLOSER, BYTES_LIT("\x0a\x7f"));
    kad_put_peer(&w, KAD_CLOSER, &good, addrs, 3, (kad_connection_t)77);
    assert_ok(w.err);
    kad_message_t m;
    assert_ok(kad_decode(buf_bytes(&out), &m));
    assert_int_equal(m.n_closer, 4);
    kad_peer_t p;
    size_t i = 0, j = 0;
    assert_true(kad_next_peer(&m, KAD_CLOSER, &i, &p));
    assert_true(peer_id_equal(&p.id, &good));
    assert_int_equal(p.connection, KAD_NOT_CONNECTED);
    multiaddr_t addr;
    assert_true(kad_next_addr(&p, &j, &addr));
    assert_true(multiaddr_equal(&addr, &addrs[2]));
    assert_false(kad_next_addr(&p, &j, &addr));
    assert_false(kad_next_peer(&m, KAD_CLOSER, &i, &p));
    assert_string_equal(kad_type_name((kad_type_t)9), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bad_entries_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
