#include "tests/support/test.h"
#include "wire/replica_seal.h"

static cid_t root_of(uint8_t n)
{
    return (cid_t){
        .version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32, .digest = {n, 0xee}};
}

/* An Ed25519 peer id: identity multihash of 36 bytes. */
static peer_id_t peer_of(uint8_t n)
{
    peer_id_t id = {.len = 38, .data = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20, n, n, n}};
    return id;
}

static replica_record_t *record_of(size_t entries)
{
    replica_record_t *r = xcalloc(1, sizeof *r);
    *r = (replica_record_t){
        .root = root_of(1),
        .size_bytes = 1234567,
        .n_heads = 2,
        .heads = {{.owner = peer_of(9), .version = 3, .target = 2, .seal = {64, {7}}},
                  {.owner = peer_of(8), .version = 1, .target = 5, .is_released = true, .seal = {70, {8}}}}};
    for (size_t i = entries; i--;) {
        replica_entry_t e = {peer_of((uint8_t)i),
                             i + 1,
                             i % 3 ? REPLICA_ENTRY_HOLDS : REPLICA_ENTRY_FETCHING,
                             1000 * i,
                             {64, {(uint8_t)i}}};
        assert_ok(replica_record_put(r, &e));
    }
    return r;
}

static void test_record_round_trip(void **state)
{
    (void)state;
    for (size_t n = 0; n <= REPLICA_ENTRIES_MAX; n += 16) {
        replica_record_t *r = record_of(n), *back = xcalloc(1, sizeof *back);
        r->heads[0].is_released = n == 16;
        AUTO(buf_t) out, again;
        buf_init(&out, REPLICA_MESSAGE_MAX_BYTES);
        buf_init(&again, REPLICA_MESSAGE_MAX_BYTES);
        assert_ok(replica_record_encode(r, &out));
        assert_ok(replica_record_decode(buf_bytes(&out), back));
        assert_int_equal(back->n_entries, n);
        assert_int_equal(back->n_heads, 2);
        assert_int_equal(replica_record_is_released(back), n == 16);
        assert_int_equal(replica_record_target(back), n == 16 ? 0 : 2);
        assert_int_equal(replica_record_is_owner(back, &back->heads[0].owner), n != 16);
        assert_false(replica_record_is_owner(back, &back->heads[1].owner));
        assert_ok(replica_record_encode(back, &again));
        assert_bytes(buf_bytes(&again), buf_bytes(&out));
        for (size_t i = 0; i < out.len; i++) { /* never more than an error */
            err_t e = replica_record_decode(bytes_slice(buf_bytes(&out), 0, i), back);
            (void)e;
        }
        free(r);
        free(back);
    }
}

static void test_entries(void **state)
{
    (void)state;
    replica_record_t *r = record_of(REPLICA_ENTRIES_MAX);
    for (size_t i = 1; i < r->n_entries; i++) /* in the order of ids, whatever the order of putting */
        assert_true(
            bytes_compare(peer_id_bytes(&r->entries[i - 1].peer), peer_id_bytes(&r->entries[i].peer)) < 0);
    replica_entry_t more = {peer_of(200), 1, REPLICA_ENTRY_HOLDS, 0, {1, {0}}};
    assert_err(replica_record_put(r, &more), ERR_LIMIT);
    r->entries[5].state = REPLICA_ENTRY_LEFT; /* gives its place */
    assert_ok(replica_record_put(r, &more));
    assert_int_equal(r->n_entries, REPLICA_ENTRIES_MAX);
    peer_id_t gone = peer_of(5);
    assert_null(replica_record_entry(r, &gone));
    more.seq = 7; /* replaces */
    assert_ok(replica_record_put(r, &more));
    assert_int_equal(replica_record_entry(r, &more.peer)->seq, 7);
    free(r);
}

static void test_messages(void **state)
{
    (void)state;
    replica_message_t *m = xcalloc(1, sizeof *m), *back = xcalloc(1, sizeof *back);
    for (replica_message_kind_t kind = REPLICA_OFFER; kind <= REPLICA_STATE; kind++) {
        *m = (replica_message_t){.kind = kind};
        if (kind <= REPLICA_UPDATE || kind == REPLICA_RELEASE || kind == REPLICA_STATE) {
            replica_record_t *r = record_of(3);
            m->record = *r;
            m->has_record = true;
            free(r);
        }
        if (kind == REPLICA_STATUS) {
            m->has_root = m->has_nonce = m->stay = true;
            m->root = root_of(1);
            m->n_points = 3;
            for (uint8_t i = 0; i < 3; i++)
                m->points[i] = (replica_point_t){root_of(2 + i), 1000u * i};
            memset(m->nonce, 7, sizeof m->nonce);
        }
        if (kind == REPLICA_STATE || kind == REPLICA_HEARTBEAT)
            for (uint8_t i = 0; i < 200; i++)
                m->digests[m->n_digests++] = (replica_digest_t){root_of(i), i ? 1ull << i % 60 : 0};
        if (kind == REPLICA_STATE) {
            m->has_proof = true;
            memset(m->proof, 8, sizeof m->proof);
        }
        if (kind == REPLICA_REFUSE)
            strcpy(m->reason, "no room");
        AUTO(buf_t) out, again;
        buf_init(&out, REPLICA_MESSAGE_MAX_BYTES);
        buf_init(&again, REPLICA_MESSAGE_MAX_BYTES);
        assert_ok(replica_message_encode(m, &out));
        assert_ok(replica_message_decode(buf_bytes(&out), back));
        assert_int_equal(back->kind, kind);
        assert_int_equal(back->n_digests, m->n_digests);
        assert_string_equal(back->reason, m->reason);
        assert_int_equal(back->stay, m->stay);
        assert_int_equal(back->n_points, m->n_points);
        assert_memory_equal(back->points, m->points, sizeof m->points);
        assert_ok(replica_message_encode(back, &again));
        assert_bytes(buf_bytes(&again), buf_bytes(&out));
    }
    free(m);
    free(back);
}

/* The examples of docs/protocols/replica.md. */
static const char *const documented[] = {
    "0804",                   /* a heartbeat that shares nothing */
    "080722076e6f20726f6f6d", /* REFUSE "no room" */
    /* OFFER, STATUS, HEARTBEAT */
    "08011289020a2401551220aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa30e8073a6e0a2600"
    "24080112201111111111111111111111111111111111111111111111111111111111111111100118022a405555555555555555"
    "555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555"
    "5555555555426e0a26002408011220111111111111111111111111111111111111111111111111111111111111111110011802"
    "2a4055555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555"
    "555555555555555555555555555555",
    "08031a2401551220aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa322077777777777777777777"
    "777777777777777777777777777777777777777777773a2401551220aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaa4801",
    "08042a2f0a2401551220aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa11efcdab8967452301",
};

static void test_documented(void **state)
{
    (void)state;
    replica_message_t *m = xcalloc(1, sizeof *m);
    AUTO(buf_t) in, out;
    buf_init(&in, 4096);
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(documented); i++) {
        buf_clear(&in);
        buf_clear(&out);
        assert_ok(hex_decode(bytes_str(documented[i]), &in));
        assert_ok(replica_message_decode(buf_bytes(&in), m));
        assert_ok(replica_message_encode(m, &out));
        assert_bytes(buf_bytes(&out), buf_bytes(&in));
    }
    free(m);
}

static err_t decode_hex(const char *hex)
{
    replica_message_t *m = xcalloc(1, sizeof *m);
    AUTO(buf_t) in;
    buf_init(&in, 1 << 20);
    assert_ok(hex_decode(bytes_str(hex), &in));
    err_t e = replica_message_decode(buf_bytes(&in), m);
    free(m);
    return e;
}

static void test_refuses(void **state)
{
    (void)state;
    assert_err(decode_hex(""), ERR_INVALID);         /* no kind */
    assert_err(decode_hex("0809"), ERR_INVALID);     /* an unknown kind */
    assert_err(decode_hex("0801"), ERR_INVALID);     /* an offer of nothing */
    assert_err(decode_hex("0803"), ERR_INVALID);     /* a question about nothing */
    assert_err(decode_hex("08011200"), ERR_INVALID); /* an empty record */
    assert_err(decode_hex("08083200"), ERR_INVALID); /* a nonce of no bytes */
    assert_err(decode_hex("08082a00"), ERR_INVALID); /* a digest without a root */
    assert_err(decode_hex("08041a021234"), ERR_INVALID);
    assert_ok(decode_hex("0804f8010a")); /* unknown fields are skipped */
    uint8_t *large = xcalloc(1, REPLICA_MESSAGE_MAX_BYTES + 1);
    replica_message_t *m = xcalloc(1, sizeof *m);
    assert_err(replica_message_decode(bytes_of(large, REPLICA_MESSAGE_MAX_BYTES + 1), m), ERR_LIMIT);
    free(large);
    /* Control bytes of a reason do not reach a terminal. */
    assert_ok(replica_message_decode(BYTES_LIT("\x08\x07\x22\x03\x1b[1"), m));
    assert_string_equal(m->reason, "?[1");
    free(m);
}

static err_t spoil(void (*how)(replica_record_t *))
{
    replica_record_t *r = record_of(2), *back = xcalloc(1, sizeof *back);
    how(r);
    AUTO(buf_t) out;
    buf_init(&out, REPLICA_MESSAGE_MAX_BYTES);
    assert_ok(replica_record_encode(r, &out));
    err_t e = replica_record_decode(buf_bytes(&out), back);
    free(r);
    free(back);
    return e;
}

static void target_too_large(replica_record_t *r)
{
    r->heads[1].target = REPLICA_TARGET_LIMIT + 1;
}
static void no_target(replica_record_t *r)
{
    r->heads[0].target = 0;
}
static void no_version(replica_record_t *r)
{
    r->heads[0].version = 0;
}
static void bad_state(replica_record_t *r)
{
    r->entries[1].state = 4;
}
static void no_seq(replica_record_t *r)
{
    r->entries[0].seq = 0;
}
static void twice(replica_record_t *r)
{
    r->entries[1].peer = r->entries[0].peer;
}

static void unsigned_entry(replica_record_t *r)
{
    r->entries[1].seal.len = 0;
}
static void unsigned_head(replica_record_t *r)
{
    r->heads[1].seal.len = 0;
}
static void same_owner(replica_record_t *r)
{
    r->heads[1].owner = r->heads[0].owner;
}
static void no_owner(replica_record_t *r)
{
    r->n_heads = 0;
}

static void test_bad_records(void **state)
{
    (void)state;
    assert_err(spoil(unsigned_entry), ERR_INVALID);
    assert_err(spoil(unsigned_head), ERR_INVALID);
    assert_err(spoil(same_owner), ERR_INVALID);
    assert_err(spoil(no_owner), ERR_INVALID);
    assert_err(spoil(target_too_large), ERR_LIMIT);
    assert_err(spoil(no_target), ERR_INVALID);
    assert_err(spoil(no_version), ERR_INVALID);
    assert_err(spoil(bad_state), ERR_INVALID);
    assert_err(spoil(no_seq), ERR_INVALID);
    assert_err(spoil(twice), ERR_INVALID);
}

/* ── signatures ──────────────────────────────────────────────────────────────────────────────── */
static private_key_t *key_of(key_type_t type, uint8_t n, peer_id_t *ret_peer)
{
    uint8_t seed[32] = {n};
    private_key_t *key;
    assert_ok(
        private_key_generate(type, type == KEY_ED25519 ? seed : NULL, type == KEY_RSA ? 2048 : 0, &key));
    assert_ok(peer_id_of(private_key_public(key), ret_peer));
    return key;
}

/* Whatever is changed in what was signed, and whoever says it. */
static void test_seals(void **state)
{
    (void)state;
    cid_t root = root_of(1), other = root_of(2);
    for (key_type_t type = KEY_ED25519; type <= KEY_SECP256K1; type++) {
        peer_id_t peer, stranger;
        private_key_t *key = key_of(type, 1, &peer);
        private_key_t *another = key_of(KEY_ED25519, 2, &stranger);
        assert_true(replica_can_seal(&peer));
        replica_entry_t e = {peer, 5, REPLICA_ENTRY_HOLDS, 77, {0}}, bad;
        assert_ok(replica_entry_seal(key, &root, &e));
        assert_ok(replica_entry_verify(&root, &e));
        assert_err(replica_entry_verify(&other, &e), ERR_CRYPTO);
        bad = e;
        bad.state = REPLICA_ENTRY_LEFT;
        assert_err(replica_entry_verify(&root, &bad), ERR_CRYPTO);
        bad = e;
        bad.seq = 6;
        assert_err(replica_entry_verify(&root, &bad), ERR_CRYPTO);
        bad = e;
        bad.since_ms = 78;
        assert_err(replica_entry_verify(&root, &bad), ERR_CRYPTO);
        bad = e;
        bad.peer = stranger;
        assert_err(replica_entry_verify(&root, &bad), ERR_CRYPTO);
        bad = e; /* signed by somebody else */
        assert_ok(replica_entry_seal(another, &root, &bad));
        assert_err(replica_entry_verify(&root, &bad), ERR_CRYPTO);
        replica_head_t h = {.owner = peer, .version = 2, .target = 3}, wrong;
        assert_ok(replica_head_seal(key, &root, &h));
        assert_ok(replica_head_verify(&root, &h));
        assert_err(replica_head_verify(&other, &h), ERR_CRYPTO);
        wrong = h;
        wrong.is_released = true;
        assert_err(replica_head_verify(&root, &wrong), ERR_CRYPTO);
        wrong = h;
        wrong.target = 1;
        assert_err(replica_head_verify(&root, &wrong), ERR_CRYPTO);
        wrong = h;
        wrong.version = 3;
        assert_err(replica_head_verify(&root, &wrong), ERR_CRYPTO);
        wrong = h;
        wrong.owner = stranger;
        assert_err(replica_head_verify(&root, &wrong), ERR_CRYPTO);
        wrong = h; /* an entry's signature says nothing about a head */
        wrong.seal = e.seal;
        assert_err(replica_head_verify(&root, &wrong), ERR_CRYPTO);
        private_key_free(key);
        private_key_free(another);
    }
    peer_id_t hashed;
    private_key_t *rsa = key_of(KEY_RSA, 3, &hashed);
    replica_entry_t e = {hashed, 1, REPLICA_ENTRY_HOLDS, 0, {64, {1}}};
    assert_false(replica_can_seal(&hashed));
    assert_err(replica_entry_verify(&root, &e), ERR_CRYPTO);
    assert_err(replica_entry_seal(rsa, &root, &e), ERR_UNSUPPORTED);
    private_key_free(rsa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_round_trip),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_documented),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_seals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
