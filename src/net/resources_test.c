/* The tree of what connections may use: each limit refuses, says which it is, and everything comes back. */
#include "net/host_internal.h"
#include "tests/support/net.h"
#include "wire/autonat.h"

#define HOLD "/test/hold/1.0.0"

static err_t hold(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t byte;
    size_t n = 1;
    while (n)
        TRY(stream_read(t, s, &byte, 1, &n));
    stream_close(s);
    return OK;
}

static host_scopes_t scopes_of(net_world_t *w, size_t i)
{
    host_scopes_t s;
    host_scopes_default(host_limits(w->nodes[i].host), &s);
    return s;
}

static const scope_t *scope_at(host_t *h, scope_class_t class)
{
    return &h->resources.scopes[class];
}

static err_t connections(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    host_scopes_t s = scopes_of(w, 0);
    s.max[SCOPE_SYSTEM].conns_in = 2;
    s.max[SCOPE_SYSTEM].conns_out = 1;
    host_set_scopes(a, &s);
    conn_release(net_connect(t, w, 1, 0));
    conn_release(net_connect(t, w, 2, 0));
    net_assert_refused(t, w, 3, 0);
    assert_int_equal(scope_at(a, SCOPE_SYSTEM)->used[SCOPE_CONNS_IN], 2);
    assert_int_equal(scope_at(a, SCOPE_SYSTEM)->used[SCOPE_FDS], 2);
    assert_int_equal(scope_conns(scope_at(a, SCOPE_TRANSIENT)), 0);
    conn_release(net_connect(t, w, 0, 4));
    conn_t *c;
    assert_err(host_connect_addr(t, a, &w->nodes[3].addr, &c), ERR_LIMIT);
    assert_string_equal(error_text(ERR_LIMIT),
                        "system: cannot reserve outbound connection: 1 of 1 in use (raise "
                        "System.ConnsOutbound in libp2p-resource-limit-overrides.json)");
    assert_ok(host_disconnect(a, host_id(w->nodes[1].host)));
    assert_ok(task_sleep(t, 1000));
    conn_release(net_connect(t, w, 3, 0)); /* there is room again */
    net_stop_all(t, w);
    return OK;
}

static err_t descriptors(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    host_scopes_t s = scopes_of(w, 0);
    s.max[SCOPE_SYSTEM].fds = 1;
    host_set_scopes(a, &s);
    conn_release(net_connect(t, w, 1, 0));
    net_assert_refused(t, w, 2, 0);
    assert_int_equal(host_conn_count(a), 1);
    net_stop_all(t, w);
    return OK;
}

static err_t allowed(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    host_scopes_t s = scopes_of(w, 0);
    s.max[SCOPE_SYSTEM].conns = 0;
    host_set_scopes(a, &s);
    char text[256], id[PEER_ID_TEXT_MAX];
    multiaddr_t m;
    assert_ok(multiaddr_parse("/ip4/10.0.0.2", &m)); /* the second machine */
    assert_ok(host_allow_past_limits(a, &m));
    snprintf(text, sizeof text, "/ip4/10.0.0.3/ipcidr/32/p2p/%s",
             peer_id_print(host_id(w->nodes[1].host), id)); /* the third, as if it were the second */
    assert_ok(multiaddr_parse(text, &m));
    assert_ok(host_allow_past_limits(a, &m));
    conn_release(net_connect(t, w, 1, 0));
    net_assert_refused(t, w, 2, 0);
    net_assert_refused(t, w, 3, 0);
    assert_int_equal(scope_conns(scope_at(a, SCOPE_SYSTEM)), 0);
    assert_int_equal(scope_conns(scope_at(a, SCOPE_ALLOWED_SYSTEM)), 1);
    assert_int_equal(scope_conns(scope_at(a, SCOPE_ALLOWED_TRANSIENT)), 0);
    assert_ok(multiaddr_parse("/dns4/a.example", &m));
    assert_err(host_allow_past_limits(a, &m), ERR_INVALID);
    net_stop_all(t, w);
    return OK;
}

static void close_streams(stream_t **s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        stream_close(s[i]);
}

/* A stream of a protocol that is full is reset; others go on. */
static err_t streams(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    host_scopes_t s = scopes_of(w, 1);
    scope_named_t named[] = {{SCOPE_PROTOCOL_PEER, HOLD, scope_max_none()}};
    named[0].max.streams_in = 3;
    s.named = named;
    s.n_named = 1;
    host_set_scopes(b, &s);
    protocol_options_t opt = {.max_inbound_per_peer = 1}; /* the limits that are set go before it */
    assert_ok(host_handle(b, HOLD, &opt, hold, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    const char *const protocols[] = {HOLD};
    stream_t *open[5];
    for (size_t i = 0; i < 5; i++) {
        assert_ok(conn_open_stream(t, c, protocols, 1, &open[i], NULL));
        assert_ok(stream_write(t, open[i], BYTES_LIT("x")));
        assert_ok(task_sleep(t, 200));
    }
    uint8_t byte;
    size_t n, n_reset = 0;
    for (size_t i = 0; i < 5; i++)
        n_reset += stream_try_read(open[i], &byte, 1, &n) == ERR_RESET;
    assert_int_equal(n_reset, 2);
    const protocol_scope_t *p = map_get(&b->resources.protocols, bytes_str(HOLD));
    assert_int_equal(p->scope.used[SCOPE_STREAMS_IN], 3);
    assert_int_equal(scope_streams(scope_at(b, SCOPE_TRANSIENT)), 0);
    double rtt;
    assert_ok(host_ping(t, a, host_id(b), &rtt));
    close_streams(open, 5);
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(scope_streams(&p->scope), 0);
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(host_limit(b)->used, 0);
    net_stop_all(t, w);
    return OK;
}

static err_t outbound_streams(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    char id[PEER_ID_TEXT_MAX];
    host_scopes_t s = scopes_of(w, 0);
    scope_named_t named[] = {{SCOPE_PEER, peer_id_print(host_id(b), id), scope_max_none()}};
    assert_ok(host_handle(b, HOLD, NULL, hold, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    assert_ok(task_sleep(t, 1000));
    named[0].max.streams_out = 2;
    s.named = named;
    s.n_named = 1;
    host_set_scopes(a, &s);
    stream_t *open[2], *third;
    const char *const protocols[] = {HOLD};
    for (size_t i = 0; i < 2; i++)
        assert_ok(conn_open_stream(t, c, protocols, 1, &open[i], NULL));
    assert_err(conn_open_stream(t, c, protocols, 1, &third, NULL), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "raise Peer.StreamsOutbound"));
    close_streams(open, 2);
    assert_ok(conn_open_stream(t, c, protocols, 1, &third, NULL));
    stream_close(third);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t never(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    TRY(task_sleep(t, 600000));
    stream_close(s);
    return OK;
}

/* Opens n streams of 200 KiB each that nobody reads; how many of them are reset. */
static size_t fill_streams(task_t *t, conn_t *c, const char *protocol, size_t n, stream_t **ret)
{
    static uint8_t block[200 << 10];
    size_t n_reset = 0;
    for (size_t i = 0; i < n; i++) {
        assert_ok(conn_open_stream(t, c, &protocol, 1, &ret[i], NULL));
        err_t e = stream_write(t, ret[i], bytes_of(block, sizeof block));
        assert_true(!e || e == ERR_RESET);
        assert_ok(task_sleep(t, 2000));
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t byte;
        size_t len;
        n_reset += stream_try_read(ret[i], &byte, 1, &len) == ERR_RESET;
    }
    return n_reset;
}

/* What lies in the windows of a protocol's streams counts for it, and its limit resets them. */
static err_t memory_of_a_protocol(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *b = w->nodes[1].host;
    host_scopes_t s = scopes_of(w, 1);
    scope_named_t named[] = {{SCOPE_PROTOCOL, HOLD, scope_max_none()}};
    named[0].max.memory = 300 << 10;
    s.named = named;
    s.n_named = 1;
    host_set_scopes(b, &s);
    assert_ok(host_handle(b, HOLD, NULL, never, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    stream_t *open[3];
    assert_int_equal(fill_streams(t, c, HOLD, 3, open), 2);
    const protocol_scope_t *p = map_get(&b->resources.protocols, bytes_str(HOLD));
    assert_in_range(p->scope.memory.peak, 200 << 10, 300 << 10);
    close_streams(open, 3);
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(p->scope.memory.used, 0);
    assert_ok(task_sleep(t, 600000)); /* its handlers have ended */
    assert_int_equal(host_limit(b)->used, 0);
    net_stop_all(t, w);
    return OK;
}

/* Streams of libp2p's own protocols count for their service too, in all and for each peer. */
static err_t a_service(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *b = w->nodes[1].host;
    host_scopes_t s = scopes_of(w, 1);
    scope_named_t named[] = {{SCOPE_SERVICE, "libp2p.autonat", scope_max_none()},
                             {SCOPE_SERVICE_PEER, "libp2p.autonat", scope_max_none()}};
    named[0].max.memory = 900 << 10;
    named[1].max.memory = 500 << 10;
    named[1].max.streams_in = 3;
    s.named = named;
    s.n_named = ARRAY_LEN(named);
    host_set_scopes(b, &s);
    assert_ok(host_handle(b, AUTONAT_PROTOCOL, NULL, never, NULL));
    conn_t *c[2];
    stream_t *open[2][4];
    for (size_t i = 0; i < 2; i++) {
        c[i] = net_connect(t, w, i * 2, 1);
        assert_ok(conn_wait_identified(t, c[i]));
        assert_int_equal(fill_streams(t, c[i], AUTONAT_PROTOCOL, 4, open[i]), 2);
    }
    const protocol_scope_t *p = map_get(&b->resources.services, BYTES_LIT("libp2p.autonat"));
    assert_int_equal(p->scope.memory.used, 4 * 200 << 10);
    assert_int_equal(p->scope.used[SCOPE_STREAMS_IN], 6); /* of two that were reset the handlers go on */
    stream_t *more;
    named[1].max.memory = named[1].max.streams_in = SCOPE_UNLIMITED;
    host_set_scopes(b, &s);
    assert_int_equal(fill_streams(t, c[0], AUTONAT_PROTOCOL, 1, &more), 1); /* now the service is full */
    stream_close(more);
    for (size_t i = 0; i < 2; i++) {
        close_streams(open[i], 4);
        conn_close(c[i]);
        conn_release(c[i]);
    }
    assert_ok(task_sleep(t, 700000)); /* its handlers have ended */
    assert_true(scope_is_unused(&p->scope));
    assert_int_equal(host_limit(b)->used, 0);
    net_stop_all(t, w);
    return OK;
}

/* What a single connection and a single stream may be. */
static err_t single_ones(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *b = w->nodes[1].host;
    host_scopes_t s = scopes_of(w, 1);
    s.max[SCOPE_STREAM].memory = 100 << 10;
    host_set_scopes(b, &s);
    assert_ok(host_handle(b, HOLD, NULL, never, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    stream_t *open;
    assert_int_equal(fill_streams(t, c, HOLD, 1, &open), 1);
    stream_close(open);
    double rtt;
    assert_ok(host_ping(t, w->nodes[0].host, host_id(b), &rtt));
    s.max[SCOPE_STREAM].streams_out = 0;
    host_set_scopes(b, &s);
    assert_err(host_ping(t, b, host_id(w->nodes[0].host), &rtt), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "raise Stream.StreamsOutbound"));
    conn_release(c);
    s.max[SCOPE_CONN].memory = 1000;
    host_set_scopes(b, &s);
    net_assert_refused(t, w, 2, 1);
    s.max[SCOPE_CONN].memory = SCOPE_UNLIMITED;
    s.max[SCOPE_CONN].fds = 0;
    host_set_scopes(b, &s);
    net_assert_refused(t, w, 2, 1);
    net_stop_all(t, w);
    return OK;
}

/* No memory left for one more connection, in all or for the peer. */
static err_t memory_of_connections(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    conn_release(net_connect(t, w, 1, 0));
    assert_ok(task_sleep(t, 1000));
    uint64_t one = host_limit(a)->used;
    assert_in_range(one, 1, 64 << 10);
    host_scopes_t s = scopes_of(w, 0);
    s.max[SCOPE_SYSTEM].memory = one + 100;
    host_set_scopes(a, &s);
    net_assert_refused(t, w, 2, 0);
    s.max[SCOPE_SYSTEM].memory = SCOPE_UNLIMITED;
    s.max[SCOPE_PEER].memory = 100;
    host_set_scopes(a, &s);
    net_assert_refused(t, w, 2, 0);
    assert_int_equal(host_limit(a)->used, one);
    net_stop_all(t, w);
    return OK;
}

static void count_scope(void *arg, scope_class_t class, const char *name, const scope_t *scope)
{
    size_t *n = arg;
    n[class]++;
    if (class == SCOPE_PEER)
        assert_memory_equal(name, "12D3", 4);
    if (class == SCOPE_PROTOCOL)
        assert_int_equal(name[0], '/');
}

static err_t looking(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    size_t n[SCOPE_CLASSES] = {0};
    host_each_scope(w->nodes[0].host, count_scope, n);
    assert_int_equal(n[SCOPE_SYSTEM], 1);
    assert_int_equal(n[SCOPE_TRANSIENT], 1);
    assert_int_equal(n[SCOPE_PEER], 1);
    assert_true(n[SCOPE_PROTOCOL] >= 1 && n[SCOPE_SERVICE] >= 1); /* identify */
    AUTO(buf_t) out;
    buf_init(&out, 1 << 20);
    assert_ok(metrics_print(&out));
    const char *text;
    assert_ok(buf_cstr(&out, &text));
    assert_non_null(strstr(text, "libp2p_rcmgr_fds{scope=\"system\"} "));
    assert_non_null(strstr(text, "libp2p_rcmgr_limit{scope=\"transient\",resource=\"memory\"} "));
    assert_non_null(
        strstr(text, "libp2p_rcmgr_streams{dir=\"inbound\",scope=\"protocol\",protocol=\"/ipfs/id/"));
    assert_non_null(strstr(text, "libp2p_rcmgr_connections{dir=\"outbound\",scope=\"system\"} "));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

#define TEST(name, machines)                                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        assert_ok(net_run(1, machines, name, NULL, NULL));                                                   \
    }
TEST(connections, 5)
TEST(descriptors, 3)
TEST(allowed, 4)
TEST(streams, 2)
TEST(outbound_streams, 2)
TEST(memory_of_a_protocol, 2)
TEST(a_service, 3)
TEST(single_ones, 3)
TEST(memory_of_connections, 3)
TEST(looking, 2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_outbound_streams),
        cmocka_unit_test(test_memory_of_a_protocol),
        cmocka_unit_test(test_a_service),
        cmocka_unit_test(test_single_ones),
        cmocka_unit_test(test_memory_of_connections),
        cmocka_unit_test(test_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
