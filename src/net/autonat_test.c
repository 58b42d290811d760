/* AutoNAT: nodes learn from others whether they are reached, liars decide nothing, servers keep to their
 * limits. */
#include "net/nat.h"
#include "tests/support/net.h"
#include "wire/autonat.h"
#include "wire/relay.h"

static nat_config_t config_of_test(void)
{
    nat_config_t c;
    nat_config_default(&c);
    c.dials_private = true;
    c.finds_relays = c.is_relay = c.punches_holes = false;
    return c;
}

/* All nodes, and connections from the first one to the others. */
static void start(task_t *t, net_world_t *w, const nat_config_t *config)
{
    net_start_all(t, w);
    for (size_t i = 0; i < w->n; i++) {
        nat_config_t c = *config;
        c.asks_autonat = i == 0;
        c.answers_autonat = i > 0;
        assert_ok(host_start_nat(w->nodes[i].host, &c));
    }
}

static void connect_all(task_t *t, net_world_t *w)
{
    for (size_t i = 1; i < w->n; i++)
        conn_release(net_connect(t, w, 0, i));
}

static void wait_for(task_t *t, net_world_t *w, reachability_t r, uint64_t ms)
{
    uint64_t end = task_now_ms(t) + ms;
    while (task_now_ms(t) < end && host_reachability(w->nodes[0].host) != r)
        assert_ok(task_sleep(t, 500));
    assert_string_equal(reachability_name(host_reachability(w->nodes[0].host)), reachability_name(r));
}

static err_t found_out(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = config_of_test();
    config.autonat_v1_only = w->arg != NULL;
    start(t, w, &config);
    host_t *h = w->nodes[0].host;
    assert_int_equal(host_reachability(h), REACHABILITY_UNKNOWN);
    connect_all(t, w);
    wait_for(t, w, REACHABILITY_PUBLIC, 30000);
    assert_int_equal(host_conn_count(h), w->n - 1); /* what was dialed back is closed */
    multiaddr_t addrs[8];
    reachability_t states[8];
    if (!config.autonat_v1_only) {
        assert_int_equal(host_probed_addrs(h, addrs, states, 8), 1);
        assert_int_equal(states[0], REACHABILITY_PUBLIC);
    }
    /* a wall goes up, and down again */
    sim_refuse_dials(w->nodes[0].machine, true);
    wait_for(t, w, REACHABILITY_PRIVATE, 3600000);
    sim_refuse_dials(w->nodes[0].machine, false);
    wait_for(t, w, REACHABILITY_PUBLIC, 3600000);
    net_stop_all(t, w);
    return OK;
}

static bool serves(const host_t *h, const char *protocol)
{
    const char *all[64];
    size_t n = host_protocols(h, all, ARRAY_LEN(all));
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i], protocol))
            return true;
    return false;
}

static void check_role(task_t *t, net_world_t *w, bool is_public)
{
    wait_for(t, w, is_public ? REACHABILITY_PUBLIC : REACHABILITY_PRIVATE, 3600000);
    assert_ok(task_sleep(t, 5000)); /* reservations are made, or given back */
    host_t *h = w->nodes[0].host;
    relay_stats_t stats;
    host_relay_stats(h, &stats);
    assert_int_equal(stats.relays, is_public ? 0 : 2);
    assert_int_equal(serves(h, RELAY_HOP_PROTOCOL), is_public);
    assert_int_equal(serves(h, AUTONAT_PROTOCOL), is_public);
    assert_int_equal(serves(h, AUTONAT2_DIAL_PROTOCOL), is_public);
}

/* What a node finds out decides its part: who is not reached takes relays of others, who is serves them. */
static err_t roles(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    for (size_t i = 0; i < w->n; i++) {
        nat_config_t c = config_of_test();
        c.is_relay = true;
        c.finds_relays = c.asks_autonat = i == 0;
        assert_ok(host_start_nat(w->nodes[i].host, &c));
        if (i)
            host_force_reachability(w->nodes[i].host, REACHABILITY_PUBLIC);
    }
    sim_refuse_dials(w->nodes[0].machine, true);
    connect_all(t, w);
    check_role(t, w, false);
    sim_refuse_dials(w->nodes[0].machine, false);
    check_role(t, w, true);
    sim_refuse_dials(w->nodes[0].machine, true);
    check_role(t, w, false);
    net_stop_all(t, w);
    return OK;
}

/* One server is one voice, however often it speaks. */
static err_t one_voice(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = config_of_test();
    start(t, w, &config);
    connect_all(t, w);
    assert_ok(task_sleep(t, 3600000));
    assert_int_equal(host_reachability(w->nodes[0].host), REACHABILITY_UNKNOWN);
    net_stop_all(t, w);
    return OK;
}

/* ── servers that lie ────────────────────────────────────────────────────────────────────────── */
static err_t lie(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    TRY(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, &message));
    buf_clear(&message);
    writer_t w = writer_to(&message);
    const char *how = arg;
    if (!strcmp(how, "yes"))
        autonat2_encode_response(AUTONAT2_OK, 0, AUTONAT2_DIAL_OK, &w);
    else if (!strcmp(how, "index"))
        autonat2_encode_response(AUTONAT2_OK, 77, AUTONAT2_DIAL_OK, &w);
    else if (!strcmp(how, "greed"))
        autonat2_encode_data_request(0, 1u << 30, &w);
    else
        return task_sleep(t, 3600000); /* says nothing */
    return stream_write_message(t, s, buf_bytes(&message));
}

static err_t liars(task_t *t, void *arg)
{
    net_world_t *w = arg;
    static const char *const lies[] = {"", "yes", "index", "greed", "silence", "yes"};
    nat_config_t config = config_of_test();
    start(t, w, &config);
    for (size_t i = 1; i < w->n; i++) {
        assert_ok(host_handle(w->nodes[i].host, AUTONAT2_DIAL_PROTOCOL, NULL, lie, (void *)lies[i]));
        host_unhandle(w->nodes[i].host, AUTONAT_PROTOCOL);
    }
    connect_all(t, w);
    assert_ok(task_sleep(t, 600000));
    assert_int_equal(host_reachability(w->nodes[0].host), REACHABILITY_UNKNOWN);
    double rtt_ms;
    assert_ok(host_ping(t, w->nodes[0].host, host_id(w->nodes[1].host), &rtt_ms));
    net_stop_all(t, w);
    return OK;
}

/* Gives the number back on the connection that is there, without dialing. */
static err_t take_shortcut(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    static const char *const back[] = {AUTONAT2_BACK_PROTOCOL};
    autonat2_t m;
    stream_t *b;
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    TRY(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, &message));
    TRY(autonat2_decode(buf_bytes(&message), &m));
    TRY(conn_open_stream(t, from, back, 1, &b, NULL));
    buf_clear(&message);
    writer_t w = writer_to(&message);
    autonat2_back_encode(m.nonce, &w);
    TRY(stream_write_message(t, b, buf_bytes(&message)));
    TRY(task_sleep(t, 500));
    stream_close(b);
    buf_clear(&message);
    w = writer_to(&message);
    autonat2_encode_response(AUTONAT2_OK, 0, AUTONAT2_DIAL_OK, &w);
    return stream_write_message(t, s, buf_bytes(&message));
}

static err_t shortcuts(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = config_of_test();
    start(t, w, &config);
    for (size_t i = 1; i < w->n; i++) {
        assert_ok(host_handle(w->nodes[i].host, AUTONAT2_DIAL_PROTOCOL, NULL, take_shortcut, NULL));
        host_unhandle(w->nodes[i].host, AUTONAT_PROTOCOL);
        if (w->arg) /* they dialed */
            conn_release(net_connect(t, w, i, 0));
    }
    if (!w->arg)
        connect_all(t, w);
    assert_ok(task_sleep(t, 600000));
    assert_int_equal(host_reachability(w->nodes[0].host), REACHABILITY_UNKNOWN);
    net_stop_all(t, w);
    return OK;
}

/* ── clients that ask too much ───────────────────────────────────────────────────────────────── */
static stream_t *open_at(task_t *t, conn_t *c, const char *protocol)
{
    stream_t *s;
    assert_ok(conn_open_stream(t, c, &protocol, 1, &s, NULL));
    return s;
}

static void request(task_t *t, stream_t *s, const multiaddr_t *addr, autonat2_t *ret)
{
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    writer_t w = writer_to(&message);
    autonat2_encode_request(addr, 1, 12345, &w);
    assert_ok(stream_write_message(t, s, buf_bytes(&message)));
    assert_ok(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, &message));
    assert_ok(autonat2_decode(buf_bytes(&message), ret));
}

static err_t greedy(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = config_of_test();
    config.asks_autonat = false;
    config.autonat_max_per_peer = 3;
    start(t, w, &config);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    multiaddr_t victim;
    autonat2_t m;
    multiaddr_without_peer(&w->nodes[2].addr, &victim);
    /* another machine: only for data, and with too little of it not at all */
    stream_t *s = open_at(t, c, AUTONAT2_DIAL_PROTOCOL);
    request(t, s, &victim, &m);
    assert_int_equal(m.kind, AUTONAT2_DATA_REQUEST);
    assert_true(m.size_bytes >= 30000 && m.size_bytes <= 100000);
    assert_ok(stream_write_message(t, s, BYTES_LIT("\x22\x03\x0a\x01\x00")));
    uint8_t byte;
    size_t n;
    assert_err(stream_read(t, s, &byte, 1, &n), ERR_RESET);
    stream_close(s);
    assert_int_equal(host_conn_count(w->nodes[2].host), 0);
    /* with all of it: the victim is dialed once, and is not the peer that asked */
    s = open_at(t, c, AUTONAT2_DIAL_PROTOCOL);
    request(t, s, &victim, &m);
    uint8_t data[4005] = {0x22, 0xa2, 0x1f, 0x0a, 0x9f, 0x1f}; /* 3999 bytes inside */
    for (uint64_t sent = 0; sent < m.size_bytes; sent += 3999)
        assert_ok(stream_write_message(t, s, bytes_of(data, sizeof data)));
    AUTO(buf_t) message = {0};
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    assert_ok(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, &message));
    assert_ok(autonat2_decode(buf_bytes(&message), &m));
    assert_int_equal(m.status, AUTONAT2_OK);
    assert_int_equal(m.dial, AUTONAT2_DIAL_ERROR);
    stream_close(s);
    /* nothing that can be dialed; then its share is used up */
    multiaddr_t quic;
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/tcp/0", &quic));
    for (int i = 0; i < 2; i++) {
        s = open_at(t, c, AUTONAT2_DIAL_PROTOCOL);
        request(t, s, &quic, &m);
        assert_int_equal(m.status, i ? AUTONAT2_REJECTED : AUTONAT2_REFUSED);
        stream_close(s);
    }
    /* a dial-back that nobody asked for */
    s = open_at(t, c, AUTONAT2_DIAL_PROTOCOL);
    assert_ok(stream_write_message(t, s, BYTES_LIT("\xff\xff")));
    assert_err(stream_read_message(t, s, 64, &message), ERR_RESET);
    stream_close(s);
    double rtt_ms;
    assert_ok(host_ping(t, w->nodes[0].host, host_id(w->nodes[1].host), &rtt_ms));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static autonat_status_t ask_v1(task_t *t, conn_t *c, const peer_id_t *as, const multiaddr_t *addr)
{
    AUTO(buf_t) message;
    autonat_t m;
    buf_init(&message, AUTONAT_MESSAGE_MAX_BYTES);
    writer_t w = writer_to(&message);
    autonat_encode_dial(as, addr, 1, &w);
    stream_t *s = open_at(t, c, AUTONAT_PROTOCOL);
    assert_ok(stream_write_message(t, s, buf_bytes(&message)));
    assert_ok(stream_read_message(t, s, AUTONAT_MESSAGE_MAX_BYTES, &message));
    assert_ok(autonat_decode(buf_bytes(&message), &m));
    assert_true(m.is_response);
    stream_close(s);
    return (autonat_status_t)m.status;
}

/* Version 1 dials the machine that asks and no other, whatever address it names. */
static err_t version_1(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = config_of_test();
    start(t, w, &config);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    const peer_id_t *self = host_id(w->nodes[0].host);
    multiaddr_t victim, none;
    multiaddr_without_peer(&w->nodes[2].addr, &victim); /* the same port as ours */
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/tcp/9", &none));
    assert_int_equal(ask_v1(t, c, host_id(w->nodes[2].host), &victim), AUTONAT_BAD_REQUEST);
    assert_int_equal(ask_v1(t, c, self, &victim), AUTONAT_OK);
    assert_int_equal(host_conn_count(w->nodes[2].host), 0);
    uint64_t began = task_now_ms(t);
    assert_int_equal(ask_v1(t, c, self, &none), AUTONAT_DIAL_ERROR);
    assert_in_range(task_now_ms(t) - began, 14900, 16000); /* a refusal takes as long as silence */
    assert_ok(multiaddr_parse("/dns4/example.com/tcp/9", &none));
    assert_int_equal(ask_v1(t, c, self, &none), AUTONAT_DIAL_REFUSED);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_found_out(void **state)
{
    assert_ok(net_run(1, 5, found_out, NULL, NULL));
}

static void test_found_out_v1(void **state)
{
    bool v1_only = true;
    assert_ok(net_run(2, 5, found_out, &v1_only, NULL));
}

static void test_roles(void **state)
{
    assert_ok(net_run(7, 5, roles, NULL, NULL));
}

static void test_one_voice(void **state)
{
    assert_ok(net_run(3, 2, one_voice, NULL, NULL));
}

static void test_liars(void **state)
{
    assert_ok(net_run(4, 6, liars, NULL, NULL));
}

static void test_shortcuts(void **state)
{
    bool they_dialed = true;
    assert_ok(net_run(7, 6, shortcuts, NULL, NULL));
    assert_ok(net_run(7, 6, shortcuts, &they_dialed, NULL));
}

static void test_greedy(void **state)
{
    assert_ok(net_run(5, 3, greedy, NULL, NULL));
}

static void test_version_1(void **state)
{
    assert_ok(net_run(6, 3, version_1, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_out), cmocka_unit_test(test_found_out_v1),
        cmocka_unit_test(test_roles),     cmocka_unit_test(test_one_voice),
        cmocka_unit_test(test_liars),     cmocka_unit_test(test_shortcuts),
        cmocka_unit_test(test_greedy),    cmocka_unit_test(test_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
