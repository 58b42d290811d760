/* Peers that behave badly or greedily, made from the codec alone. */
#include "tests/support/exchange.h"

/* ── bad peers ───────────────────────────────────────────────────────────────────────────────── */
typedef enum { CORRUPT, LIAR, NONSENSE } manners_t;
typedef struct bad {
    world_t *w;
    host_t *host;
    manners_t manners;
} bad_t;

static err_t bad_answer(task_t *t, bad_t *bad, conn_t *c, const bitswap_want_t *want, stream_t **out)
{
    const char *protocol;
    if (!*out)
        TRY(conn_open_stream(t, c, bitswap_protocols, 1, out, &protocol));
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, BITSWAP_V1_2);
    AUTO_PTR(block_t) b = NULL;
    if (bad->manners == NONSENSE)
        return stream_write(t, *out, BYTES_LIT("\x05\xff\xff\xff\xff\xff"));
    if (want->is_have) {
        TRY(bitswap_message_add_presence(&m, &want->cid, true));
    } else if (bad->manners == CORRUPT) {
        b = make_block(77777 + bad->w->served++, bad->w->block_bytes);
        TRY(bitswap_message_add_block(&m, b));
    } else {
        bad->w->served++;
        return OK;
    }
    TRY(bitswap_message_finish(&m, 0));
    bytes_t pieces[8];
    size_t n = bitswap_message_pieces(&m, pieces, 8);
    return stream_write_pieces(t, *out, pieces, n);
}

static err_t bad_stream(task_t *t, stream_t *s, conn_t *c, const char *protocol, void *arg)
{
    bad_t *bad = arg;
    AUTO(bitswap_decoder_t) d;
    bitswap_decoder_init(&d);
    stream_t *out = NULL;
    err_t e = OK;
    while (!e) {
        bitswap_item_t item;
        while (!e && bitswap_decoder_next(&d, &item))
            if (item.kind == BITSWAP_ITEM_WANT && !item.want.is_cancel)
                e = bad_answer(t, bad, c, &item.want, &out);
        size_t room, n = 0;
        uint8_t *area = bitswap_decoder_area(&d, &room);
        if (!e)
            e = stream_read(t, s, area, room, &n);
        if (!e && !n)
            break;
        if (!e)
            e = bitswap_decoder_fed(&d, n);
    }
    if (out)
        stream_reset(out);
    stream_close(out);
    stream_close(s);
    return e;
}

static void with_bad_peer(task_t *t, world_t *w, manners_t manners)
{
    make_blocks(w, 60, 30000);
    start(t, w, 0);
    start(t, w, 1);
    bad_t bad = {w, net_start(t, w->net, 2), manners};
    assert_ok(host_handle(bad.host, bitswap_protocols[0], NULL, bad_stream, &bad));
    put_blocks(t, w, 1, 0, 60);
    sim_set_link(w->net->nodes[0].machine, w->net->nodes[1].machine, (sim_link_t){.latency_ms = 60});
    connect(t, w, 0, 2);
    connect(t, w, 0, 1);
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    uint64_t before = task_now_ms(t);
    get_all(t, w, s, 0, 60);
    assert_true(task_now_ms(t) - before < 30000);
    bitswap_stat_t st;
    bitswap_stat(w->nodes[0].bitswap, &st);
    assert_int_equal(st.blocks_received, 60);
    if (manners == CORRUPT)
        assert_in_range(st.bad_blocks, 1, 64);
    if (manners != NONSENSE)
        assert_true(w->served > 0);
    bitswap_session_close(s);
    net_stop(t, w->net, 2);
}

static void corrupt(task_t *t, world_t *w)
{
    with_bad_peer(t, w, CORRUPT);
}
static void liar(task_t *t, world_t *w)
{
    with_bad_peer(t, w, LIAR);
}
static void nonsense(task_t *t, world_t *w)
{
    with_bad_peer(t, w, NONSENSE);
}

static void test_bad_peers(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_scenario(seed, 3, corrupt, NULL);
        run_scenario(seed, 3, liar, NULL);
        run_scenario(seed, 3, nonsense, NULL);
    }
}

/* ── streams that are lost while the connection stays ────────────────────────────────────────── */
typedef struct loser {
    block_t *block;
    bool loses_haves, loses_blocks; /* those that come first */
    bool loses_answers;             /* resets the answer in its midst, else the stream of the want */
} loser_t;

static err_t lose_or_answer(task_t *t, loser_t *l, conn_t *c, const bitswap_want_t *want)
{
    bool *loses = want->is_have ? &l->loses_haves : &l->loses_blocks, is_lost = *loses;
    *loses = false;
    if (is_lost && !l->loses_answers)
        return ERR_RESET;
    stream_t *out;
    const char *protocol;
    TRY(conn_open_stream(t, c, bitswap_protocols, 1, &out, &protocol));
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, BITSWAP_V1_2);
    if (want->is_have)
        assert_ok(bitswap_message_add_presence(&m, &want->cid, true));
    else
        assert_ok(bitswap_message_add_block(&m, l->block));
    assert_ok(bitswap_message_finish(&m, 0));
    bytes_t pieces[8];
    size_t n = bitswap_message_pieces(&m, pieces, 8);
    if (is_lost)
        pieces[n - 1].len /= 2;
    err_t e = stream_write_pieces(t, out, pieces, n);
    if (!e && is_lost)
        e = task_sleep(t, 100); /* it arrives */
    if (is_lost)
        stream_reset(out);
    stream_close(out);
    return e;
}

static err_t losing_stream(task_t *t, stream_t *s, conn_t *c, const char *protocol, void *arg)
{
    AUTO(bitswap_decoder_t) d;
    bitswap_decoder_init(&d);
    for (;;) {
        bitswap_item_t item;
        while (bitswap_decoder_next(&d, &item))
            if (item.kind == BITSWAP_ITEM_WANT && !item.want.is_cancel)
                TRY(lose_or_answer(t, arg, c, &item.want));
        size_t room, n = 0;
        uint8_t *area = bitswap_decoder_area(&d, &room);
        TRY(stream_read(t, s, area, room, &n));
        if (!n)
            return OK;
        TRY(bitswap_decoder_fed(&d, n));
    }
}

static void with_loser(task_t *t, world_t *w, loser_t *l)
{
    make_blocks(w, 1, 30000);
    start(t, w, 0);
    l->block = make_block(0, 30000);
    host_t *h = net_start(t, w->net, 1);
    assert_ok(host_handle(h, bitswap_protocols[0], NULL, losing_stream, l));
    connect(t, w, 0, 1);
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[0].bitswap, &s));
    assert_ok(get_one(t, s, &w->cids[0], 2000)); /* sooner than the peer counts as stalled */
    assert_false(l->loses_haves || l->loses_blocks);
    bitswap_session_close(s);
    net_stop(t, w->net, 1);
    block_release(l->block);
}

static void loses_wants(task_t *t, world_t *w)
{
    with_loser(t, w, &(loser_t){.loses_haves = true, .loses_blocks = true});
}
static void loses_answers(task_t *t, world_t *w)
{
    with_loser(t, w, &(loser_t){.loses_haves = true, .loses_blocks = true, .loses_answers = true});
}

static void test_lost_streams(void **state)
{
    run_scenario(14, 2, loses_wants, NULL);
    run_scenario(15, 2, loses_answers, NULL);
}

/* Sends a want-list of n blocks from `from` on a stream of its own. */
static stream_t *send_wants(task_t *t, world_t *w, size_t node, size_t to, size_t from, size_t n)
{
    const char *protocol;
    stream_t *s;
    assert_ok(host_open_stream(t, w->net->nodes[node].host, host_id(w->net->nodes[to].host),
                               bitswap_protocols, 1, &s, &protocol));
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, BITSWAP_V1_2);
    for (size_t i = from; i < from + n; i++) {
        bitswap_want_t want = {.cid = w->cids[0], .priority = 1, .send_dont_have = true};
        if (i < w->n_blocks)
            want.cid = w->cids[i];
        else
            memcpy(want.cid.digest, &i, sizeof i);
        assert_ok(bitswap_message_add_want(&m, &want));
    }
    assert_ok(bitswap_message_finish(&m, 0));
    bytes_t pieces[3];
    size_t count = bitswap_message_pieces(&m, pieces, 3);
    assert_ok(stream_write_pieces(t, s, pieces, count));
    return s;
}

typedef struct resetting {
    size_t streams, bytes;
} resetting_t;

/* Resets the first stream of answers in its midst, reads the next. */
static err_t reset_first(task_t *t, stream_t *s, conn_t *c, const char *protocol, void *arg)
{
    resetting_t *r = arg;
    uint8_t in[4096];
    size_t n;
    bool is_first = !r->streams++;
    for (;;) {
        TRY(stream_read(t, s, in, sizeof in, &n));
        if (!n)
            return OK;
        if (is_first)
            return ERR_RESET;
        r->bytes += n;
    }
}

/* What a stream took away with it goes out again by another. */
static void answers_anew(task_t *t, world_t *w)
{
    make_blocks(w, 3, 700000);
    start(t, w, 0);
    put_blocks(t, w, 0, 0, 3);
    resetting_t r = {0};
    net_start(t, w->net, 1);
    assert_ok(host_handle(w->net->nodes[1].host, bitswap_protocols[0], NULL, reset_first, &r));
    connect(t, w, 1, 0);
    stream_t *s = send_wants(t, w, 1, 0, 0, 3);
    assert_ok(task_sleep(t, 5000));
    assert_int_equal(r.streams, 2);
    assert_in_range(r.bytes, 3 * 700000, 3 * 700000 + 1000);
    stream_close(s);
    net_stop(t, w->net, 1);
}

static void test_answers_anew(void **state)
{
    run_scenario(16, 2, answers_anew, NULL);
}

/* A peer that takes our answers and never reads them. */
static err_t never_read(task_t *t, stream_t *s, conn_t *c, const char *protocol, void *arg)
{
    return task_sleep(t, 3600000);
}

/* Many peers with more wants than are taken: bounded, and gone when they leave. */
static void full_want_lists(task_t *t, world_t *w)
{
    make_blocks(w, 1, 1000);
    start(t, w, 0);
    stream_t *streams[NET_NODES_MAX];
    for (size_t i = 1; i < w->net->n; i++) {
        net_start(t, w->net, i);
        assert_ok(host_handle(w->net->nodes[i].host, bitswap_protocols[0], NULL, never_read, NULL));
        conn_t *c = net_connect(t, w->net, i, 0);
        assert_ok(conn_wait_identified(t, c));
        conn_release(c);
        streams[i] = send_wants(t, w, i, 0, 10, 3000);
    }
    assert_ok(task_sleep(t, 5000));
    for (size_t i = 1; i < w->net->n; i++) {
        bitswap_ledger_t l;
        assert_ok(bitswap_ledger(w->nodes[0].bitswap, host_id(w->net->nodes[i].host), &l));
        assert_in_range(l.wants, 1, 1024);
        stream_close(streams[i]);
        peer_id_t id = *host_id(w->net->nodes[i].host);
        net_stop(t, w->net, i);
        assert_ok(task_sleep(t, 500));
        assert_err(bitswap_ledger(w->nodes[0].bitswap, &id, &l), ERR_NOT_FOUND);
    }
}

static void test_full_want_lists(void **state)
{
    run_scenario(8, 21, full_want_lists, NULL);
}

/* A greedy peer that asks for all at once does not starve one that asks for a block at a time. */
static void fairness(task_t *t, world_t *w)
{
    make_blocks(w, 500, 100000);
    sim_set_default_link(w->net->sim, (sim_link_t){.latency_ms = 5, .bytes_per_s = 5000000});
    start(t, w, 0);
    start(t, w, 1);
    start(t, w, 2);
    put_blocks(t, w, 0, 0, 500);
    connect(t, w, 1, 0);
    connect(t, w, 2, 0);
    fetch_t greedy = {.w = w, .until = 500};
    assert_ok(bitswap_session_open(w->nodes[1].bitswap, &greedy.s));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "greedy", fetch_task, &greedy, NULL));
    assert_ok(task_sleep(t, 1000));
    bitswap_session_t *s;
    assert_ok(bitswap_session_open(w->nodes[2].bitswap, &s));
    for (size_t i = 400; i < 430; i++) {
        uint64_t before = task_now_ms(t);
        assert_ok(get_one(t, s, &w->cids[i], 60000));
        assert_true(task_now_ms(t) - before < 2500);
    }
    assert_false(greedy.is_over);
    bitswap_session_close(s);
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    bitswap_session_close(greedy.s);
}

static void test_fairness(void **state)
{
    run_scenario(9, 3, fairness, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_peers),    cmocka_unit_test(test_lost_streams),
        cmocka_unit_test(test_answers_anew), cmocka_unit_test(test_full_want_lists),
        cmocka_unit_test(test_fairness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
