/* Messages of the mesh: round trips, the examples of docs/protocols/mesh.md, what is refused. */
#include "tests/support/test.h"
#include "wire/mesh.h"

static peer_id_t peer_of(uint8_t n)
{
    peer_id_t id = {.len = 38, .data = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20}};
    memset(id.data + 6, n, 32);
    return id;
}

static mesh_message_t *new_message(mesh_message_kind_t kind)
{
    mesh_message_t *m = xcalloc(1, sizeof *m);
    m->kind = kind;
    return m;
}

static void test_status(void **state)
{
    (void)state;
    mesh_message_t *m = new_message(MESH_STATUS), *back = new_message(0);
    multiaddr_t addrs[3], got[MESH_MEMBER_ADDRS_MAX];
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/tcp/7000", &addrs[0]));
    assert_ok(multiaddr_parse("/ip4/10.0.0.2/tcp/7001", &addrs[1]));
    assert_ok(multiaddr_parse("/ip6/::1/tcp/7002", &addrs[2]));
    m->has_status = true;
    m->status = (mesh_status_info_t){.free_bytes = 1u << 30,
                                     .held_bytes = 12345,
                                     .capacity_bytes = 2u << 30,
                                     .tombstones = 7,
                                     .digest = 0x0123456789abcdef,
                                     .usual_away_ms = 28800000,
                                     .is_relay = true,
                                     .is_catching_up = true,
                                     .zone = "rack-4"};
    m->named[0].peer = peer_of(1);
    m->named[0].addrs = addrs;
    m->named[0].n_addrs = 2;
    m->named[1].peer = peer_of(2);
    m->named[1].addrs = &addrs[2];
    m->named[1].n_addrs = 1;
    m->n_members = 2;
    AUTO(buf_t) out;
    buf_init(&out, MESH_MESSAGE_MAX_BYTES);
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(mesh_message_decode(buf_bytes(&out), back));
    assert_int_equal(back->kind, MESH_STATUS);
    assert_memory_equal(&back->status, &m->status, sizeof m->status);
    size_t at = 0, n;
    peer_id_t peer;
    assert_true(mesh_next_member(back, &at, &peer, got, &n));
    assert_true(peer_id_equal(&peer, &m->named[0].peer));
    assert_int_equal(n, 2);
    assert_true(multiaddr_equal(&got[1], &addrs[1]));
    assert_true(mesh_next_member(back, &at, &peer, got, &n));
    assert_true(peer_id_equal(&peer, &m->named[1].peer) && n == 1);
    assert_false(mesh_next_member(back, &at, &peer, got, &n));
    for (size_t i = 0; i < out.len; i++) { /* cut anywhere: an error, or a message that lacks something */
        err_t e = mesh_message_decode(bytes_slice(buf_bytes(&out), 0, i), back);
        (void)e;
    }
    free(m);
    free(back);
}

static void test_others(void **state)
{
    (void)state;
    mesh_message_t *m = new_message(MESH_DELETE), *back = new_message(0);
    m->n_tombstones = 1;
    m->tombstones[0] = BYTES_LIT("a tombstone");
    AUTO(buf_t) out;
    buf_init(&out, MESH_MESSAGE_MAX_BYTES);
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(mesh_message_decode(buf_bytes(&out), back));
    assert_bytes(back->tombstones[0], BYTES_LIT("a tombstone"));
    *m = (mesh_message_t){.kind = MESH_RECEIPT, .receipt = BYTES_LIT("signed")};
    buf_clear(&out);
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(mesh_message_decode(buf_bytes(&out), back));
    assert_bytes(back->receipt, BYTES_LIT("signed"));
    *m = (mesh_message_t){.kind = MESH_REFUSE, .reason = "no"};
    memcpy(m->reason, "no\033[2J", 7);
    buf_clear(&out);
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(mesh_message_decode(buf_bytes(&out), back));
    assert_string_equal(back->reason, "no?[2J"); /* it may reach a terminal */
    free(m);
    free(back);
}

static void test_compare(void **state)
{
    (void)state;
    mesh_message_t *m = new_message(MESH_COMPARE), *back = new_message(0);
    m->n_questions = 2;
    m->questions[1] =
        (mesh_question_t){.prefix = {0xab, 0xc0}, .bits = 12, .has = {.count = 300, .digest = 77}};
    m->n_replies = 3;
    m->replies[0].kind = MESH_REPLY_SAME;
    m->replies[1].kind = MESH_REPLY_KEYS;
    m->replies[1].n_keys = 2;
    memset(m->replies[1].keys[0], 1, MESH_KEY_BYTES);
    memset(m->replies[1].keys[1], 2, MESH_KEY_BYTES);
    m->replies[2].kind = MESH_REPLY_CHILDREN_OF;
    for (size_t i = 0; i < MESH_REPLY_CHILDREN; i++)
        m->replies[2].children[i] = (mesh_summary_t){i, i * i};
    m->n_wants = 2;
    memset(m->wants[1], 9, MESH_KEY_BYTES);
    AUTO(buf_t) out;
    buf_init(&out, MESH_MESSAGE_MAX_BYTES);
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(mesh_message_decode(buf_bytes(&out), back));
    assert_int_equal(back->n_questions, 2);
    assert_memory_equal(back->questions, m->questions, sizeof m->questions);
    assert_int_equal(back->n_replies, 3);
    assert_memory_equal(back->replies, m->replies, sizeof m->replies);
    assert_int_equal(back->n_wants, 2);
    assert_memory_equal(back->wants, m->wants, sizeof m->wants);
    static const uint8_t bad[][10] = {
        {0x08, 3, 0x3a, 5, 0x0a, 1, 0xab, 0x10, 4},     /* one bit set behind a prefix of 4 */
        {0x08, 3, 0x3a, 5, 0x0a, 1, 0xa0, 0x10, 6},     /* 6 bits: not a hex digit */
        {0x08, 3, 0x42, 2, 0x08, 3},                    /* children, and none there */
        {0x08, 3, 0x42, 2, 0x08, 4},                    /* no such reply */
        {0x08, 3, 0x42, 6, 0x08, 2, 0x12, 2, 'a', 'b'}, /* a key of two bytes */
        {0x08, 3, 0x4a, 3, 'a', 'b', 'c'},              /* wanted: no key */
    };
    static const size_t lens[] = {9, 9, 6, 6, 10, 7};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        assert_int_equal(mesh_message_decode(bytes_of(bad[i], lens[i]), back), ERR_INVALID);
    free(m);
    free(back);
}

static void test_refused(void **state)
{
    (void)state;
    mesh_message_t *m = new_message(MESH_STATUS), *back = new_message(0);
    AUTO(buf_t) out;
    buf_init(&out, 1u << 20);
    assert_ok(mesh_message_encode(m, &out)); /* a status without one */
    assert_int_equal(mesh_message_decode(buf_bytes(&out), back), ERR_INVALID);
    static const uint8_t unknown_kind[] = {0x08, 0x09};
    assert_int_equal(mesh_message_decode(bytes_of(unknown_kind, 2), back), ERR_INVALID);
    assert_int_equal(mesh_message_decode(BYTES_NONE, back), ERR_INVALID);
    *m = (mesh_message_t){.kind = MESH_DELETE, .n_tombstones = 2};
    m->tombstones[0] = m->tombstones[1] = BYTES_LIT("x");
    buf_clear(&out);
    assert_ok(mesh_message_encode(m, &out));
    assert_int_equal(mesh_message_decode(buf_bytes(&out), back), ERR_INVALID);
    static const uint8_t much[MESH_TOMBSTONE_MAX_BYTES + 1];
    m->n_tombstones = 1;
    m->tombstones[0] = bytes_of(much, sizeof much);
    buf_clear(&out);
    assert_ok(mesh_message_encode(m, &out));
    assert_int_equal(mesh_message_decode(buf_bytes(&out), back), ERR_LIMIT);
    buf_clear(&out);
    m->kind = MESH_COMPARE;
    for (m->n_tombstones = 0; m->n_tombstones < MESH_TOMBSTONES_MAX; m->n_tombstones++)
        m->tombstones[m->n_tombstones] = BYTES_LIT("x");
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(mesh_message_decode(buf_bytes(&out), back));
    assert_int_equal(back->n_tombstones, MESH_TOMBSTONES_MAX);
    static const uint8_t one_more[] = {0x22, 0x01, 'x'};
    assert_ok(buf_append(&out, bytes_of(one_more, 3)));
    assert_int_equal(mesh_message_decode(buf_bytes(&out), back), ERR_LIMIT);
    uint8_t *long_one = xcalloc(1, MESH_MESSAGE_MAX_BYTES + 1);
    assert_int_equal(mesh_message_decode(bytes_of(long_one, MESH_MESSAGE_MAX_BYTES + 1), back), ERR_LIMIT);
    free(long_one);
    free(m);
    free(back);
}

/* The examples of docs/protocols/mesh.md. */
static void test_documented(void **state)
{
    (void)state;
    mesh_message_t *m = new_message(0);
    static const char *const documented[] = {
        "0801121f088080808004188080808028200229efcdab8967452301420672"
        "61636b2d34",
        "08033a120a02abc0100c18ac02214d00000000000000",
    };
    AUTO(buf_t) in, out;
    buf_init(&in, 1024);
    buf_init(&out, 1024);
    for (size_t i = 0; i < ARRAY_LEN(documented); i++) {
        buf_clear(&in);
        buf_clear(&out);
        assert_ok(hex_decode(bytes_str(documented[i]), &in));
        assert_ok(mesh_message_decode(buf_bytes(&in), m));
        assert_ok(mesh_message_encode(m, &out));
        assert_bytes(buf_bytes(&out), buf_bytes(&in));
        if (!i) {
            assert_int_equal(m->status.free_bytes, 1u << 30);
            assert_string_equal(m->status.zone, "rack-4");
        } else {
            assert_int_equal(m->questions[0].has.count, 300);
        }
    }
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),  cmocka_unit_test(test_others),     cmocka_unit_test(test_compare),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
