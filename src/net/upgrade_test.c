/* Upgrades with peers that do not agree on the muxer inside the handshake, or that speak something else. The
 * other side is made of the engines, step by step. */
#include "net/host_internal.h"
#include "tests/support/net.h"

/* The other side's bytes: what was read and not used yet. */
typedef struct side {
    stream_t *raw;
    noise_t noise;
    buf_t in; /* plaintext */
} side_t;

static const char *const security[] = {NOISE_PROTOCOL};

static void run_multistream(task_t *t, stream_t *s, multistream_t *m)
{
    while (m->state == MULTISTREAM_BUSY || multistream_output(m).len) {
        bytes_t out = multistream_output(m);
        if (out.len) {
            assert_ok(stream_write(t, s, out));
            multistream_output_sent(m, out.len);
            continue;
        }
        uint8_t in[64];
        size_t n, used;
        assert_ok(stream_read(t, s, in, multistream_wants(m) < 64 ? multistream_wants(m) : 64, &n));
        assert_true(n > 0);
        assert_ok(multistream_feed(m, bytes_of(in, n), &used));
        if (m->state == MULTISTREAM_PROPOSED)
            multistream_accept(m);
    }
}

static bytes_t read_frame(task_t *t, side_t *s, uint8_t frame[4096])
{
    assert_ok(stream_read_full(t, s->raw, frame, 2));
    size_t len = noise_frame_size(bytes_of(frame, 2)), used;
    assert_true(len <= 4096);
    assert_ok(stream_read_full(t, s->raw, frame + 2, len - 2));
    bytes_t plain;
    assert_ok(noise_feed(&s->noise, frame, len, &used, &plain));
    return plain;
}

static void shake(task_t *t, side_t *s, const private_key_t *key, bool is_initiator)
{
    noise_config_t c = {.is_initiator = is_initiator, .identity = key};
    driver_random(task_driver(t), c.static_secret, 32);
    driver_random(task_driver(t), c.ephemeral_secret, 32);
    assert_ok(noise_init(&s->noise, &c));
    for (;;) {
        bytes_t out = noise_output(&s->noise);
        if (out.len) {
            assert_ok(stream_write(t, s->raw, out));
            noise_output_sent(&s->noise, out.len);
        }
        if (s->noise.state == NOISE_OPEN)
            return;
        uint8_t frame[4096];
        read_frame(t, s, frame);
    }
}

static void write_sealed(task_t *t, side_t *s, bytes_t plain)
{
    uint8_t sealed[4096];
    size_t len;
    assert_ok(noise_seal(&s->noise, &plain, 1, sealed, &len));
    assert_ok(stream_write(t, s->raw, bytes_of(sealed, len)));
}

/* Reads plaintext until `len` bytes have come. */
static bytes_t read_plain(task_t *t, side_t *s, size_t len)
{
    while (s->in.len < len) {
        uint8_t frame[4096];
        assert_ok(buf_append(&s->in, read_frame(t, s, frame)));
    }
    return buf_bytes(&s->in);
}

#define HELLO "\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n"

/* A dialer from before early negotiation: it proposes yamux over the secured channel, and sends its first
 * frames (a ping, and identify's stream) right behind the proposal. */
static err_t old_dialer(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 1);
    host_t *b = w->nodes[1].host;
    side_t s = {0};
    buf_init(&s.in, 65536);
    net_addr_t at = sim_host_addr(w->nodes[1].machine, NET_PORT);
    assert_ok(net_dial(t, &at, &s.raw));
    multistream_t m;
    multistream_init_dialer(&m, security, 1);
    run_multistream(t, s.raw, &m);
    shake(t, &s, w->nodes[0].key, true);
    write_sealed(t, &s, BYTES_LIT("\x13/multistream/1.0.0\n"));
    write_sealed(t, &s, BYTES_LIT("\x0d/other/1.0.0")); /* a line in two frames */
    write_sealed(t, &s, BYTES_LIT("\n\x0d/yamux/1.0.0\n\0\2\0\1\0\0\0\0\0\0\0\7"));
    bytes_t want = BYTES_LIT("\x13/multistream/1.0.0\n\x03na\n\x0d/yamux/1.0.0\n");
    bytes_t got = read_plain(t, &s, want.len + 24);
    assert_bytes(bytes_slice(got, 0, want.len), want);
    /* its ping, then the answer to ours */
    assert_non_null(memmem(got.data, got.len, "\0\2\0\2\0\0\0\0\0\0\0\7", 12));
    peer_id_t id;
    assert_ok(peer_id_of(private_key_public(w->nodes[0].key), &id));
    assert_true(host_is_connected(b, &id));
    stream_close(s.raw);
    assert_ok(task_sleep(t, 1000));
    assert_false(host_is_connected(b, &id));
    noise_deinit(&s.noise);
    buf_deinit(&s.in);
    net_stop_all(t, w);
    return OK;
}

typedef struct old_listener {
    net_world_t *w;
    listener_t *listener;
    bytes_t answer;
} old_listener_t;

static err_t listen_old(task_t *t, void *arg)
{
    old_listener_t *l = arg;
    side_t s = {0};
    buf_init(&s.in, 65536);
    net_addr_t from;
    assert_ok(listener_accept(t, l->listener, &s.raw, &from));
    multistream_t m;
    multistream_init_listener(&m);
    run_multistream(t, s.raw, &m);
    shake(t, &s, l->w->nodes[1].key, false);
    assert_bytes(bytes_slice(read_plain(t, &s, sizeof HELLO - 1), 0, sizeof HELLO - 1), BYTES_LIT(HELLO));
    write_sealed(t, &s, l->answer);
    uint8_t byte;
    size_t n;
    while (!stream_read(t, s.raw, &byte, 1, &n) && n)
        ;
    stream_close(s.raw);
    noise_deinit(&s.noise);
    buf_deinit(&s.in);
    return OK;
}

static err_t dial_old(task_t *t, net_world_t *w, bytes_t answer, conn_t **ret_conn)
{
    net_addr_t at = sim_host_addr(w->nodes[1].machine, 4100);
    old_listener_t l = {.w = w, .answer = answer};
    assert_ok(net_listen(sim_host_driver(w->nodes[1].machine), &at, &l.listener));
    group_t g;
    group_init(&g, sim_host_sched(w->nodes[1].machine));
    assert_ok(group_spawn(&g, "old listener", listen_old, &l, NULL));
    multiaddr_t m, full;
    peer_id_t id;
    assert_ok(peer_id_of(private_key_public(w->nodes[1].key), &id));
    assert_ok(multiaddr_from_tcp(4, at.ip, at.port, &m));
    assert_ok(multiaddr_with_peer(&m, &id, &full));
    err_t e = host_connect_addr(t, w->nodes[0].host, &full, ret_conn);
    if (!e) {
        assert_ok(task_sleep(t, 1000));
        assert_true(conn_is_open(*ret_conn));
        conn_close(*ret_conn);
        conn_release(*ret_conn);
    }
    assert_ok(group_join(t, &g));
    listener_close(l.listener);
    return e;
}

static err_t old_listeners(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 0);
    conn_t *c;
    assert_ok(dial_old(t, w, BYTES_LIT(HELLO), &c));
    assert_err(dial_old(t, w, BYTES_LIT("\x13/multistream/1.0.0\n\x03na\n"), &c), ERR_UNREACHABLE);
    assert_non_null(strstr(error_text(ERR_UNREACHABLE), "yamux"));
    assert_err(dial_old(t, w, BYTES_LIT("\x13/multistream/9.9.9\n"), &c), ERR_UNREACHABLE);
    net_stop_all(t, w);
    return OK;
}

/* A frame that does not open ends the connection and its streams, whatever stood in it. */
static err_t forged_frame(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 1);
    side_t s = {0};
    buf_init(&s.in, 65536);
    net_addr_t at = sim_host_addr(w->nodes[1].machine, NET_PORT);
    assert_ok(net_dial(t, &at, &s.raw));
    multistream_t m;
    multistream_init_dialer(&m, security, 1);
    run_multistream(t, s.raw, &m);
    shake(t, &s, w->nodes[0].key, true);
    write_sealed(t, &s, BYTES_LIT(HELLO));
    read_plain(t, &s, sizeof HELLO - 1);
    assert_int_equal(host_conn_count(w->nodes[1].host), 1);
    assert_ok(stream_write(t, s.raw, BYTES_LIT("\x00\x14twenty bytes of lies!")));
    assert_ok(task_sleep(t, 100));
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    assert_int_equal(host_limit(w->nodes[1].host)->used, 0);
    stream_close(s.raw);
    noise_deinit(&s.noise);
    buf_deinit(&s.in);
    net_stop_all(t, w);
    return OK;
}

#define TEST(name)                                                                                           \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        for (uint64_t seed = 1; seed <= 5; seed++)                                                           \
            assert_ok(net_run(seed, 2, name, NULL, NULL));                                                   \
    }
TEST(old_dialer)
TEST(old_listeners)
TEST(forged_frame)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_dialer),
        cmocka_unit_test(test_old_listeners),
        cmocka_unit_test(test_forged_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
