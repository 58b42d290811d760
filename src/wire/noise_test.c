#include "base/prng.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/noise.h"
#include "wire/noise_payload.h"
#include <jansson.h>

static json_t *load(const char *name)
{
    char path[512];
    json_error_t error;
    json_t *all = json_load_file(vector_path(name, path, sizeof path), 0, &error);
    assert_non_null(all);
    return all;
}

/* The hex string at `key`, decoded; empty when it is absent. */
static bytes_t hex(const json_t *object, const char *key, buf_t *out)
{
    const char *text = json_string_value(json_object_get(object, key));
    buf_init(out, 1 << 20);
    assert_ok(hex_decode(bytes_str(text ? text : ""), out));
    return buf_bytes(out);
}

static bool is_from_initiator(const json_t *message, const char *key)
{
    return !strcmp(json_string_value(json_object_get(message, key)), "initiator");
}

/* ── Noise XX ────────────────────────────────────────────────────────────────────────────────── */
static void xx_init(noise_xx_t *x, const json_t *v, bool is_initiator)
{
    buf_t prologue, s, e;
    hex(v, is_initiator ? "init_prologue" : "resp_prologue", &prologue);
    hex(v, is_initiator ? "init_static" : "resp_static", &s);
    hex(v, is_initiator ? "init_ephemeral" : "resp_ephemeral", &e);
    noise_xx_init(x, is_initiator, buf_bytes(&prologue), s.data, e.data);
    buf_deinit(&prologue);
    buf_deinit(&s);
    buf_deinit(&e);
}

static void xx_handshake(noise_xx_t x[2], const json_t *messages)
{
    for (size_t i = 0; i < 3; i++) {
        const json_t *m = json_array_get(messages, i);
        int from = is_from_initiator(m, "sender") ? 0 : 1;
        AUTO(buf_t) payload;
        AUTO(buf_t) want;
        AUTO(buf_t) got;
        AUTO(buf_t) back;
        hex(m, "payload", &payload);
        hex(m, "ciphertext", &want);
        buf_init(&got, 65535);
        buf_init(&back, 65535);
        assert_true(noise_xx_may_write(&x[from]));
        assert_ok(noise_xx_write(&x[from], buf_bytes(&payload), &got));
        assert_bytes(buf_bytes(&got), buf_bytes(&want));
        assert_ok(noise_xx_read(&x[!from], buf_bytes(&got), &back));
        assert_bytes(buf_bytes(&back), buf_bytes(&payload));
    }
    assert_true(noise_xx_is_done(&x[0]) && noise_xx_is_done(&x[1]));
    assert_memory_equal(x[0].hash, x[1].hash, 32);
}

static void xx_transport(noise_xx_t x[2], const json_t *messages)
{
    uint8_t keys[2][2][32]; /* [party][send, receive] */
    uint64_t nonces[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        noise_xx_split(&x[i], keys[i][0], keys[i][1]);
    assert_memory_equal(keys[0][0], keys[1][1], 32);
    for (size_t i = 3; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i);
        int from = is_from_initiator(m, "sender") ? 0 : 1;
        AUTO(buf_t) payload;
        AUTO(buf_t) want;
        hex(m, "payload", &payload);
        hex(m, "ciphertext", &want);
        aead_t *a;
        uint8_t nonce[12] = {[4] = (uint8_t)nonces[from]++}, out[1024];
        assert_ok(aead_new_chacha20_poly1305(keys[from][0], &a));
        assert_ok(aead_seal(a, nonce, BYTES_NONE, buf_bytes(&payload), out));
        assert_bytes(bytes_of(out, payload.len + 16), buf_bytes(&want));
        aead_free(a);
    }
}

static void test_xx_vectors(void **state)
{
    json_t *all = load("noise/noise-xx-vectors.json");
    size_t i;
    const json_t *v;
    json_array_foreach(all, i, v)
    {
        noise_xx_t x[2];
        xx_init(&x[0], v, true);
        xx_init(&x[1], v, false);
        xx_handshake(x, json_object_get(v, "messages"));
        AUTO(buf_t) hash;
        if (hex(v, "handshake_hash", &hash).len)
            assert_bytes(bytes_of(x[0].hash, 32), buf_bytes(&hash));
        xx_transport(x, json_object_get(v, "messages"));
        noise_xx_deinit(&x[0]);
        noise_xx_deinit(&x[1]);
    }
    assert_true(i >= 3);
    json_decref(all);
}

static void test_xx_short_messages(void **state)
{
    for (size_t len = 0; len < 100; len++) {
        noise_xx_t a, b;
        uint8_t secret[4][32] = {{1}, {2}, {3}, {4}}, zeros[100] = {9};
        noise_xx_init(&a, true, BYTES_NONE, secret[0], secret[1]);
        noise_xx_init(&b, false, BYTES_NONE, secret[2], secret[3]);
        AUTO(buf_t) out;
        AUTO(buf_t) payload;
        buf_init(&out, 1000);
        buf_init(&payload, 1000);
        assert_ok(noise_xx_write(&a, BYTES_NONE, &out));
        if (len < 32)
            assert_err(noise_xx_read(&b, bytes_of(zeros, len), &payload), ERR_PROTOCOL);
        assert_err(noise_xx_read(&a, bytes_of(zeros, len), &payload), len < 80 ? ERR_PROTOCOL : ERR_CRYPTO);
        assert_false(noise_xx_may_write(&a));
        noise_xx_deinit(&a);
        noise_xx_deinit(&b);
    }
}

/* ── libp2p ──────────────────────────────────────────────────────────────────────────────────── */
static void test_payload_vectors(void **state)
{
    json_t *all = load("noise/libp2p-xx.json");
    size_t i;
    const json_t *v;
    json_array_foreach(all, i, v)
    {
        static const char *const roles[] = {"initiator", "responder"};
        for (int r = 0; r < 2; r++) {
            const json_t *who = json_object_get(v, roles[r]);
            AUTO(buf_t) in;
            AUTO(buf_t) public;
            noise_payload_t p;
            peer_id_t peer;
            char text[PEER_ID_TEXT_MAX];
            assert_ok(noise_payload_decode(hex(who, "payload_hex", &in), &p));
            hex(who, "static_public_hex", &public);
            assert_ok(noise_payload_verify(&p, public.data, &peer));
            assert_string_equal(peer_id_print(&peer, text),
                                json_string_value(json_object_get(who, "peer_id")));
            const json_t *muxers = json_object_get(who, "stream_muxers");
            assert_int_equal(p.n_muxers, json_array_size(muxers));
            for (size_t k = 0; k < p.n_muxers; k++)
                assert_bytes(p.muxers[k], bytes_str(json_string_value(json_array_get(muxers, k))));
            public.data[0] ^= 1; /* another Noise key: the signature is not for it */
            assert_err(noise_payload_verify(&p, public.data, &peer), ERR_CRYPTO);
        }
    }
    json_decref(all);
}

static private_key_t *key_of_seed(uint8_t byte)
{
    uint8_t seed[32];
    memset(seed, byte, sizeof seed);
    private_key_t *k;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &k));
    return k;
}

static const char *const yamux_only[] = {"/yamux/1.0.0"};
static const char *const yamux_mplex[] = {"/yamux/1.0.0", "/mplex/6.7.0"};

static void side_init(noise_t *n, const json_t *v, bool is_initiator, const private_key_t *key)
{
    const json_t *who = json_object_get(v, is_initiator ? "initiator" : "responder");
    size_t n_muxers = json_array_size(json_object_get(who, "stream_muxers"));
    noise_config_t c = {.is_initiator = is_initiator,
                        .identity = key,
                        .muxers = n_muxers == 2 ? yamux_mplex : yamux_only,
                        .n_muxers = n_muxers};
    buf_t s, e;
    hex(who, "static_private_hex", &s);
    hex(who, "ephemeral_private_hex", &e);
    memcpy(c.static_secret, s.data, 32);
    memcpy(c.ephemeral_secret, e.data, 32);
    buf_deinit(&s);
    buf_deinit(&e);
    assert_ok(noise_init(n, &c));
}

/* What `from` says must be `want` (or anything, when it is empty); `to` takes it. */
static err_t pass(noise_t *from, noise_t *to, bytes_t want)
{
    bytes_t out = noise_output(from);
    if (want.len)
        assert_bytes(out, want);
    AUTO(buf_t) frame;
    buf_init(&frame, 70000);
    assert_ok(buf_append(&frame, out));
    noise_output_sent(from, out.len);
    size_t used = 0;
    bytes_t plain;
    TRY(noise_feed(to, frame.data, frame.len, &used, &plain));
    assert_int_equal(used, frame.len);
    return OK;
}

static void check_transport(noise_t *side[2], const json_t *frames)
{
    size_t i;
    const json_t *f;
    json_array_foreach(frames, i, f)
    {
        int from = is_from_initiator(f, "from") ? 0 : 1;
        AUTO(buf_t) want;
        AUTO(buf_t) plain;
        hex(f, "frame_hex", &want);
        hex(f, "plaintext_hex", &plain);
        if (!plain.len) { /* we send no empty frames, but take them */
            side[from]->send_nonce++;
        } else {
            uint8_t out[1024];
            size_t len;
            bytes_t pieces[2] = {bytes_slice(buf_bytes(&plain), 0, plain.len / 2),
                                 bytes_slice(buf_bytes(&plain), plain.len / 2, SIZE_MAX)};
            assert_ok(noise_seal(side[from], pieces, 2, out, &len));
            assert_bytes(bytes_of(out, len), buf_bytes(&want));
        }
        size_t used;
        bytes_t got;
        assert_ok(noise_feed(side[!from], want.data, want.len, &used, &got));
        assert_bytes(got, buf_bytes(&plain));
    }
    assert_int_equal(i, 5);
}

static void test_libp2p_transcripts(void **state)
{
    json_t *all = load("noise/libp2p-xx.json");
    for (size_t i = 0; i < 2; i++) {
        const json_t *v = json_array_get(all, i);
        private_key_t *keys[2] = {key_of_seed(1), key_of_seed(2)};
        noise_t a, b, *side[2] = {&a, &b};
        side_init(&a, v, true, keys[0]);
        side_init(&b, v, false, keys[1]);
        AUTO(buf_t) m1;
        AUTO(buf_t) m2;
        AUTO(buf_t) m3;
        assert_ok(pass(&a, &b, hex(v, "message_1_frame_hex", &m1)));
        assert_ok(pass(&b, &a, hex(v, "message_2_frame_hex", &m2)));
        assert_int_equal(a.state, NOISE_OPEN);
        assert_int_equal(b.state, NOISE_HANDSHAKE);
        assert_ok(pass(&a, &b, hex(v, "message_3_frame_hex", &m3)));
        assert_int_equal(b.state, NOISE_OPEN);
        peer_id_t id;
        assert_ok(peer_id_of(private_key_public(keys[0]), &id));
        assert_true(peer_id_equal(noise_peer(&b), &id));
        assert_ok(peer_id_of(private_key_public(keys[1]), &id));
        assert_true(peer_id_equal(noise_peer(&a), &id));
        assert_true(i ? noise_muxer(&a) == yamux_only[0] : !noise_muxer(&a));
        assert_true(i ? noise_muxer(&b) == yamux_mplex[0] : !noise_muxer(&b));
        check_transport(side, json_object_get(v, "transport"));
        noise_deinit(&a);
        noise_deinit(&b);
        private_key_free(keys[0]);
        private_key_free(keys[1]);
    }
    json_decref(all);
}

/* ── two of ours ─────────────────────────────────────────────────────────────────────────────── */
typedef struct pair {
    private_key_t *keys[2];
    noise_t a, b;
} pair_t;

static void pair_init(pair_t *p, const peer_id_t *expected, const char *const *muxers_a,
                      const char *const *muxers_b)
{
    p->keys[0] = key_of_seed(1);
    p->keys[1] = key_of_seed(2);
    noise_config_t c = {.is_initiator = true,
                        .identity = p->keys[0],
                        .expected = expected,
                        .muxers = muxers_a,
                        .n_muxers = muxers_a ? 1 : 0,
                        .static_secret = {1},
                        .ephemeral_secret = {2}};
    assert_ok(noise_init(&p->a, &c));
    c = (noise_config_t){.identity = p->keys[1],
                         .muxers = muxers_b,
                         .n_muxers = muxers_b ? 1 : 0,
                         .static_secret = {3},
                         .ephemeral_secret = {4}};
    assert_ok(noise_init(&p->b, &c));
}

static err_t pair_shake(pair_t *p)
{
    TRY(pass(&p->a, &p->b, BYTES_NONE));
    TRY(pass(&p->b, &p->a, BYTES_NONE));
    return pass(&p->a, &p->b, BYTES_NONE);
}

static void pair_deinit(pair_t *p)
{
    noise_deinit(&p->a);
    noise_deinit(&p->b);
    noise_deinit(&p->b);
    private_key_free(p->keys[0]);
    private_key_free(p->keys[1]);
}

static void test_expected_peer(void **state)
{
    private_key_t *other = key_of_seed(9), *right = key_of_seed(2);
    peer_id_t id;
    pair_t p;
    assert_ok(peer_id_of(private_key_public(other), &id));
    pair_init(&p, &id, NULL, NULL);
    assert_err(pair_shake(&p), ERR_CRYPTO);
    assert_int_equal(p.a.state, NOISE_FAILED);
    assert_int_equal(noise_output(&p.a).len, 0); /* our identity is not shown to an impostor */
    pair_deinit(&p);
    assert_ok(peer_id_of(private_key_public(right), &id));
    pair_init(&p, &id, NULL, NULL);
    assert_ok(pair_shake(&p));
    pair_deinit(&p);
    private_key_free(other);
    private_key_free(right);
}

static void test_muxers(void **state)
{
    static const char *const mplex[] = {"/mplex/6.7.0"};
    pair_t p;
    pair_init(&p, NULL, yamux_only, mplex);
    assert_err(pair_shake(&p), ERR_UNSUPPORTED);
    pair_deinit(&p);
    pair_init(&p, NULL, yamux_only, NULL); /* one without a list: by multistream, later */
    assert_ok(pair_shake(&p));
    assert_null(noise_muxer(&p.a));
    assert_null(noise_muxer(&p.b));
    pair_deinit(&p);
}

/* A changed bit anywhere in the handshake ends it; nobody opens a channel with a stranger. */
static void test_tampered_handshake(void **state)
{
    for (int message = 1; message <= 3; message++)
        for (size_t at = 2;; at += 3) {
            pair_t p;
            pair_init(&p, NULL, yamux_only, yamux_only);
            err_t e = OK;
            bool was_changed = false;
            for (int m = 1; m <= 3 && !e; m++) {
                noise_t *from = m == 2 ? &p.b : &p.a;
                if (m == message && at < from->out.len) {
                    from->out.data[at] ^= 0x10;
                    was_changed = true;
                }
                e = pass(from, m == 2 ? &p.a : &p.b, BYTES_NONE);
            }
            if (was_changed)
                assert_true(e == ERR_CRYPTO || e == ERR_PROTOCOL);
            pair_deinit(&p);
            if (!was_changed)
                break;
        }
}

static void test_handshake_bounds(void **state)
{
    pair_t p;
    pair_init(&p, NULL, NULL, NULL);
    uint8_t big[] = {0x40, 0x01, 0};
    size_t used = 7;
    bytes_t plain;
    assert_err(noise_feed(&p.b, big, sizeof big, &used, &plain), ERR_LIMIT);
    assert_err(noise_feed(&p.b, big, sizeof big, &used, &plain), ERR_PROTOCOL); /* final */
    pair_deinit(&p);
    pair_init(&p, NULL, NULL, NULL);
    uint8_t part[] = {0, 32, 1, 2, 3};
    assert_ok(noise_feed(&p.b, part, 1, &used, &plain));
    assert_int_equal(used, 0);
    assert_ok(noise_feed(&p.b, part, sizeof part, &used, &plain));
    assert_int_equal(used, 0);
    uint8_t turn[34] = {0, 32};
    assert_err(noise_feed(&p.b, turn, 2, &used, &plain), OK);
    uint8_t empty[] = {0, 0};
    assert_err(noise_feed(&p.b, empty, 2, &used, &plain), ERR_PROTOCOL);
    pair_deinit(&p);
}

static void test_bad_frames(void **state)
{
    pair_t p;
    pair_init(&p, NULL, NULL, NULL);
    assert_ok(pair_shake(&p));
    uint8_t out[64], copy[64];
    size_t len, used = 0;
    bytes_t plain, text = BYTES_LIT("attack at dawn");
    assert_ok(noise_seal(&p.a, &text, 1, out, &len));
    assert_int_equal(len, noise_sealed_size(text.len));
    memcpy(copy, out, len);
    copy[len - 1] ^= 1;
    uint64_t nonce = p.b.receive_nonce;
    assert_err(noise_feed(&p.b, copy, len, &used, &plain), ERR_CRYPTO);
    assert_int_equal(p.b.receive_nonce, nonce); /* bad data advances nothing */
    assert_int_equal(used, 0);
    assert_err(noise_feed(&p.b, out, len, &used, &plain), ERR_PROTOCOL);
    pair_deinit(&p);
    pair_init(&p, NULL, NULL, NULL);
    assert_ok(pair_shake(&p));
    uint8_t shorter[] = {0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_err(noise_feed(&p.b, shorter, sizeof shorter, &used, &plain), ERR_PROTOCOL);
    pair_deinit(&p);
}

static void test_nonces_run_out(void **state)
{
    pair_t p;
    pair_init(&p, NULL, NULL, NULL);
    assert_ok(pair_shake(&p));
    p.a.send_nonce = p.b.receive_nonce = UINT64_MAX - 1;
    uint8_t out[64];
    size_t len, used;
    bytes_t plain, text = BYTES_LIT("x");
    assert_ok(noise_seal(&p.a, &text, 1, out, &len));
    assert_ok(noise_feed(&p.b, out, len, &used, &plain));
    assert_err(noise_seal(&p.a, &text, 1, out, &len), ERR_LIMIT);
    assert_err(noise_feed(&p.b, out, len, &used, &plain), ERR_LIMIT);
    pair_deinit(&p);
}

/* Pieces of any size, sealed in one go, opened from any split. */
static void test_round_trip(void **state)
{
    enum { TOTAL = 300000 };
    pair_t p;
    prng_t rng;
    pair_init(&p, NULL, NULL, NULL);
    assert_ok(pair_shake(&p));
    prng_seed(&rng, 7);
    uint8_t *text = xmalloc(TOTAL), *sealed = xmalloc(noise_sealed_size(TOTAL));
    prng_fill(&rng, text, TOTAL);
    for (int round = 0; round < 30; round++) {
        bytes_t pieces[12];
        size_t n = 1 + prng_below(&rng, 11), total = 0;
        for (size_t i = 0; i < n; i++) {
            pieces[i] = bytes_of(text + total, prng_below(&rng, i % 3 ? 40000 : 3));
            total += pieces[i].len;
        }
        size_t len, at = 0, checked = 0;
        assert_ok(noise_seal(&p.a, pieces, n, sealed, &len));
        assert_int_equal(len, noise_sealed_size(total));
        for (size_t end = 0; at < len;) {
            end = end + 1 + prng_below(&rng, 50000) < len ? end + 1 + prng_below(&rng, 50000) : len;
            end = end < len ? end : len;
            size_t used = 0;
            bytes_t plain;
            assert_ok(noise_feed(&p.b, sealed + at, end - at, &used, &plain));
            assert_memory_equal(plain.data, text + checked, plain.len);
            checked += plain.len;
            at += used;
        }
        assert_int_equal(checked, total);
    }
    free(text);
    free(sealed);
    pair_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xx_vectors),         cmocka_unit_test(test_xx_short_messages),
        cmocka_unit_test(test_payload_vectors),    cmocka_unit_test(test_libp2p_transcripts),
        cmocka_unit_test(test_expected_peer),      cmocka_unit_test(test_muxers),
        cmocka_unit_test(test_tampered_handshake), cmocka_unit_test(test_handshake_bounds),
        cmocka_unit_test(test_bad_frames),         cmocka_unit_test(test_nonces_run_out),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
