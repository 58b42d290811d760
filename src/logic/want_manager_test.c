/* The want manager against a small world of peers with latency, bandwidth and manners, in virtual time. */
#include "base/prng.h"
#include "logic/want_manager.h"
#include "tests/support/test.h"

enum { PEERS_MAX = 80, EVENTS_MAX = 200000, BLOCKS_MAX = 3000 };
typedef enum {
    HONEST,
    LIAR /* says HAVE, never sends */,
    CORRUPT,
    SILENT /* never answers at all */
} manners_t;
typedef struct peer {
    peer_id_t id;
    want_peer_t *handle;
    bool is_old, is_there;
    manners_t manners;
    uint32_t latency_ms, bytes_per_ms;
    size_t has_from, has_until;
    uint64_t line_free_ms;
    uint64_t sent_blocks, want_haves, want_blocks, cancels;
    bool is_cancelled[BLOCKS_MAX];
} peer_t;
typedef struct happening {
    uint64_t at_ms, serial;
    enum { PROGRESS, BLOCK, BAD_BLOCK, HAVE, DONT_HAVE } kind;
    size_t peer;
    size_t block;
} happening_t;
typedef struct world {
    want_manager_t *m;
    want_session_t *s;
    uint64_t now_ms, serial;
    peer_t peers[PEERS_MAX];
    size_t n_peers, block_bytes;
    happening_t *events;
    size_t n_events;
    bool got[BLOCKS_MAX];
    size_t n_got, duplicates, searches, most_in_flight, blocked;
    void (*on_search)(struct world *w);
} world_t;

static cid_t block_cid(size_t i)
{
    cid_t c = {.version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32};
    memcpy(c.digest, &i, sizeof i);
    return c;
}

static size_t block_index(const cid_t *c)
{
    size_t i;
    memcpy(&i, c->digest, sizeof i);
    return i;
}

static void world_init(world_t *w, const want_limits_t *limits)
{
    memset(w, 0, sizeof *w);
    want_limits_t l;
    want_limits_default(&l);
    w->m = want_manager_new(limits ? limits : &l);
    w->s = want_session_open(w->m, 0);
    w->events = calloc(EVENTS_MAX, sizeof *w->events);
    w->block_bytes = 256 << 10;
    w->now_ms = 1000;
}

static void world_deinit(world_t *w)
{
    want_manager_free(w->m);
    free(w->events);
}

static peer_t *add_peer(world_t *w, uint32_t latency_ms, uint32_t bytes_per_ms, size_t from, size_t until)
{
    peer_t *p = &w->peers[w->n_peers];
    *p = (peer_t){
        .latency_ms = latency_ms, .bytes_per_ms = bytes_per_ms, .has_from = from, .has_until = until};
    p->id.len = 34;
    p->id.data[0] = (uint8_t)++w->n_peers;
    return p;
}

static void connect(world_t *w, peer_t *p)
{
    p->is_there = true;
    p->handle = want_manager_connected(w->m, &p->id, !p->is_old, 0, w->now_ms);
}

static void disconnect(world_t *w, peer_t *p)
{
    p->is_there = false;
    if (p->handle)
        want_manager_disconnected(w->m, p->handle, w->now_ms);
    p->handle = NULL;
}

static void push_event(world_t *w, uint64_t at_ms, int kind, peer_t *p, size_t block)
{
    assert_true(w->n_events < EVENTS_MAX);
    w->events[w->n_events++] = (happening_t){at_ms, w->serial++, kind, (size_t)(p - w->peers), block};
}

/* The peer reads an entry of ours. */
static void peer_reads(world_t *w, peer_t *p, const want_entry_t *e)
{
    size_t block = block_index(&e->cid);
    bool has = block >= p->has_from && block < p->has_until;
    uint64_t at = w->now_ms + 2 * p->latency_ms;
    if (e->kind == WANT_ENTRY_CANCEL) {
        p->cancels++;
        p->is_cancelled[block] = true;
        return;
    }
    p->is_cancelled[block] = false;
    p->want_haves += e->kind == WANT_ENTRY_HAVE;
    p->want_blocks += e->kind == WANT_ENTRY_BLOCK;
    assert_true(!p->is_old || (e->kind == WANT_ENTRY_BLOCK && !e->send_dont_have));
    if (p->manners == SILENT)
        return;
    if (e->kind == WANT_ENTRY_HAVE || !has) {
        if (!p->is_old && (has || e->send_dont_have))
            push_event(w, at, has ? HAVE : DONT_HAVE, p, block);
        return;
    }
    if (p->manners == LIAR)
        return;
    if (p->line_free_ms < w->now_ms)
        p->line_free_ms = w->now_ms;
    uint64_t done = p->line_free_ms + w->block_bytes / p->bytes_per_ms;
    for (uint64_t ms = p->line_free_ms + 500; ms < done; ms += 500) /* its bytes trickle in */
        push_event(w, ms + 2 * p->latency_ms, PROGRESS, p, block);
    p->line_free_ms = done;
    push_event(w, p->line_free_ms + 2 * p->latency_ms, p->manners == CORRUPT ? BAD_BLOCK : BLOCK, p, block);
}

static void settle(world_t *w)
{
    if (want_session_in_flight(w->s) > w->most_in_flight)
        w->most_in_flight = want_session_in_flight(w->s);
    for (want_peer_t *h; (h = want_manager_next_send(w->m));) {
        want_entry_t entries[64];
        size_t n = want_peer_take_entries(w->m, h, entries, ARRAY_LEN(entries));
        for (size_t i = 0; i < w->n_peers; i++)
            for (size_t k = 0; w->peers[i].handle == h && k < n; k++)
                peer_reads(w, &w->peers[i], &entries[k]);
    }
    want_session_t *s;
    cid_t c;
    while (want_manager_next_search(w->m, &s, &c)) {
        w->searches++;
        if (w->on_search)
            w->on_search(w);
        want_session_search_done(w->m, s, w->now_ms);
    }
    want_peer_t *blocked;
    while (want_manager_next_blocked(w->m, &blocked)) {
        w->blocked++;
        for (size_t i = 0; i < w->n_peers; i++)
            if (w->peers[i].handle == blocked)
                disconnect(w, &w->peers[i]);
    }
}

static void happen(world_t *w, const happening_t *e)
{
    peer_t *p = &w->peers[e->peer];
    if (!p->is_there || !p->handle)
        return;
    cid_t c = block_cid(e->block);
    if (e->kind == HAVE || e->kind == DONT_HAVE) {
        want_manager_presence(w->m, p->handle, &c, e->kind == HAVE, w->now_ms);
        return;
    }
    if (p->is_cancelled[e->block])
        return;
    if (e->kind == PROGRESS) {
        want_manager_progress(w->m, p->handle, w->now_ms);
        return;
    }
    p->sent_blocks++;
    want_manager_progress(w->m, p->handle, w->now_ms);
    if (e->kind == BAD_BLOCK)
        c.digest[31] ^= 1; /* what its bytes hash to */
    switch (want_manager_block(w->m, p->handle, &c, w->block_bytes, w->now_ms)) {
    case WANT_WANTED:
        assert_false(w->got[e->block]);
        w->got[e->block] = true;
        w->n_got++;
        break;
    case WANT_DUPLICATE:
        w->duplicates++;
        break;
    case WANT_UNASKED:
        assert_int_equal(p->manners, CORRUPT);
    }
}

/* Until nothing is wanted or the time is over. Returns the time it took. */
static uint64_t run(world_t *w, uint64_t at_most_ms)
{
    uint64_t began = w->now_ms, until = began + at_most_ms;
    settle(w);
    while (want_manager_count(w->m) && w->now_ms < until) {
        size_t next = SIZE_MAX;
        for (size_t i = 0; i < w->n_events; i++)
            if (next == SIZE_MAX || w->events[i].at_ms < w->events[next].at_ms ||
                (w->events[i].at_ms == w->events[next].at_ms && w->events[i].serial < w->events[next].serial))
                next = i;
        uint64_t deadline = want_manager_deadline_ms(w->m);
        uint64_t event_at = next == SIZE_MAX ? UINT64_MAX : w->events[next].at_ms;
        uint64_t at = event_at < deadline ? event_at : deadline;
        if (at > until) {
            w->now_ms = until;
            break;
        }
        if (at > w->now_ms)
            w->now_ms = at;
        if (deadline <= w->now_ms)
            want_manager_tick(w->m, w->now_ms);
        if (event_at <= w->now_ms) {
            happening_t e = w->events[next];
            w->events[next] = w->events[--w->n_events];
            happen(w, &e);
        }
        settle(w);
    }
    return w->now_ms - began;
}

static void want(world_t *w, size_t from, size_t until)
{
    for (size_t i = from; i < until; i++) {
        cid_t c = block_cid(i);
        assert_ok(want_session_want(w->m, w->s, &c, false, w->now_ms));
    }
}

static world_t *new_world(const want_limits_t *limits)
{
    world_t *w = malloc(sizeof *w);
    world_init(w, limits);
    return w;
}

static void free_world(world_t *w)
{
    world_deinit(w);
    free(w);
}

static void test_one_source(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *p = add_peer(w, 20, 100000, 0, 1000); /* 100 MB/s, 40 ms round trip */
    connect(w, p);
    want(w, 0, 1000);
    uint64_t took = run(w, 600000);
    assert_int_equal(w->n_got, 1000);
    assert_int_equal(w->duplicates, 0);
    assert_int_equal(w->searches, 0);
    assert_true(w->most_in_flight <= 64); /* 16 MiB of 256 KiB */
    /* 2 s on the line; the broadcast and the growing window cost a few round trips */
    assert_in_range(took, 2000, 3200);
    peer_id_t best;
    assert_true(want_session_best_peer(w->s, &best));
    assert_true(peer_id_equal(&best, &p->id));
    assert_int_equal(want_session_count(w->s), 0);
    free_world(w);
}

static void test_sources_share(void **state)
{
    (void)state;
    static const size_t counts[] = {2, 5};
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        world_t *w = new_world(NULL);
        for (size_t i = 0; i < counts[k]; i++)
            connect(w, add_peer(w, 10, 10000, 0, 1000));
        want(w, 0, 1000);
        uint64_t took = run(w, 600000);
        assert_int_equal(w->n_got, 1000);
        assert_true(w->duplicates < 20);
        uint64_t alone = 1000 * w->block_bytes / 10000;
        assert_true(took < alone / counts[k] * 13 / 10 + 1500);
        for (size_t i = 0; i < counts[k]; i++)
            assert_true(w->peers[i].sent_blocks > 600 / counts[k]);
        free_world(w);
    }
}

/* A peer of a tenth of the speed neither holds the fetch up nor is left out. */
static void test_slow_beside_fast(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *fast = add_peer(w, 10, 20000, 0, 1000), *slow = add_peer(w, 10, 500, 0, 1000);
    connect(w, fast);
    connect(w, slow);
    want(w, 0, 1000);
    uint64_t took = run(w, 600000);
    assert_int_equal(w->n_got, 1000);
    assert_in_range(took, 12000, 16500);
    assert_true(slow->sent_blocks > 5);
    assert_true(want_peer_window_bytes(slow->handle) < want_peer_window_bytes(fast->handle));
    free_world(w);
}

static void test_slow_link_alone(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *p = add_peer(w, 300, 60, 0, 30); /* 60 kB/s: 4.4 s a block */
    connect(w, p);
    want(w, 0, 30);
    run(w, 600000);
    assert_int_equal(w->n_got, 30);
    assert_true(w->duplicates < 10);
    assert_int_equal(w->blocked, 0);
    free_world(w);
}

static void test_source_dies(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *a = add_peer(w, 10, 10000, 0, 400), *b = add_peer(w, 10, 10000, 0, 400);
    connect(w, a);
    connect(w, b);
    want(w, 0, 400);
    run(w, 3000);
    assert_in_range(w->n_got, 50, 350);
    disconnect(w, a);
    run(w, 600000);
    assert_int_equal(w->n_got, 400);
    free_world(w);
}

/* It goes silent without leaving: its wants move on, and come back when it does. */
static void test_source_stalls(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *a = add_peer(w, 10, 10000, 0, 400), *b = add_peer(w, 10, 10000, 0, 400);
    connect(w, a);
    connect(w, b);
    want(w, 0, 400);
    run(w, 2000);
    a->manners = SILENT;
    a->is_there = false; /* what it had on the way is lost */
    run(w, 600000);
    assert_int_equal(w->n_got, 400);
    assert_int_equal(want_peer_asked(a->handle), 0);
    assert_true(a->cancels > 0);
    free_world(w);
}

static void test_only_source_stalls_and_returns(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *a = add_peer(w, 10, 10000, 0, 200);
    connect(w, a);
    want(w, 0, 200);
    run(w, 1000);
    a->is_there = false;
    a->manners = SILENT;
    size_t had = w->n_got;
    run(w, 8000);
    assert_int_equal(w->n_got, had);
    assert_true(w->searches > 0);
    a->is_there = true;
    a->manners = HONEST;
    run(w, 120000);
    assert_int_equal(w->n_got, 200);
    free_world(w);
}

/* What was on the way both ways is lost, at each stage of asking. */
static void test_lost_is_asked_again(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *p = add_peer(w, 10, 10000, 0, 10);
    connect(w, p);
    want(w, 0, 10);
    for (int round = 0; round < 6; round++) {
        run(w, 5);
        w->n_events = 0;
        run(w, 100);
        assert_int_equal(w->n_got, 0);
        want_manager_ask_again(w->m, p->handle, w->now_ms);
        if (!(round % 2))
            run(w, 25); /* all answers to want-haves */
    }
    assert_true(p->want_haves >= 20 && p->want_blocks >= 20);
    assert_true(run(w, 1000) < 500);
    assert_int_equal(w->n_got, 10);
    assert_int_equal(w->duplicates, 0);
    free_world(w);
}

static void test_liar_is_left(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *liar = add_peer(w, 5, 10000, 0, 100), *good = add_peer(w, 50, 5000, 0, 100);
    liar->manners = LIAR;
    connect(w, liar);
    connect(w, good);
    want(w, 0, 100);
    uint64_t took = run(w, 600000);
    assert_int_equal(w->n_got, 100);
    assert_true(took < 15000);
    assert_int_equal(liar->sent_blocks, 0);
    free_world(w);
}

/* Alone, it is tried again a few times, then blocked; a new source saves the fetch. */
static world_t *search_world;
static void find_second_peer(world_t *w)
{
    if (w->n_peers > 1 && w->now_ms > 100000 && !w->peers[1].is_there) {
        connect(w, &w->peers[1]);
        want_session_add_peer(w->m, w->s, &w->peers[1].id, w->now_ms);
    }
}
static void test_liar_alone_is_blocked(void **state)
{
    (void)state;
    world_t *w = search_world = new_world(NULL);
    peer_t *liar = add_peer(w, 5, 10000, 0, 100);
    add_peer(w, 50, 5000, 0, 100);
    liar->manners = LIAR;
    connect(w, liar);
    want(w, 0, 100);
    w->on_search = find_second_peer;
    run(w, 600000);
    assert_int_equal(w->n_got, 100);
    assert_int_equal(w->blocked, 1);
    assert_null(want_manager_connected(w->m, &liar->id, true, 0, w->now_ms)); /* stays blocked */
    assert_non_null(want_manager_connected(w->m, &liar->id, true, 0, w->now_ms + 700000));
    free_world(w);
}

static void test_corrupt_is_blocked(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *bad = add_peer(w, 5, 10000, 0, 200), *good = add_peer(w, 50, 5000, 0, 200);
    bad->manners = CORRUPT;
    connect(w, bad);
    connect(w, good);
    want(w, 0, 200);
    run(w, 600000);
    assert_int_equal(w->n_got, 200);
    assert_int_equal(w->blocked, 1);
    assert_int_equal(bad->sent_blocks, 1);
    free_world(w);
}

/* Each peer has a part; DONT_HAVE leads to the next one. */
static void test_parts(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    for (size_t i = 0; i < 4; i++)
        connect(w, add_peer(w, 10, 10000, i * 50, (i + 1) * 50));
    want(w, 0, 200);
    uint64_t took = run(w, 600000);
    assert_int_equal(w->n_got, 200);
    assert_true(took < 20000);
    free_world(w);
}

static void test_old_peers(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *a = add_peer(w, 10, 10000, 0, 50), *b = add_peer(w, 10, 10000, 0, 100);
    a->is_old = b->is_old = true;
    connect(w, a);
    connect(w, b);
    want(w, 0, 100);
    run(w, 600000);
    assert_int_equal(w->n_got, 100);
    free_world(w);
}

static void connect_all(world_t *w)
{
    for (size_t i = 0; i < w->n_peers; i++)
        if (!w->peers[i].is_there) {
            connect(w, &w->peers[i]);
            want_session_add_peer(w->m, w->s, &w->peers[i].id, w->now_ms);
        }
}
static void test_searches(void **state)
{
    (void)state;
    world_t *w = new_world(NULL); /* nobody there: at once */
    add_peer(w, 10, 10000, 0, 100);
    w->on_search = connect_all;
    want(w, 0, 100);
    assert_true(run(w, 60000) < 4000);
    assert_int_equal(w->n_got, 100);
    assert_int_equal(w->searches, 1);
    free_world(w);
    w = new_world(NULL); /* all say no: at once; a mute peer: after a second */
    for (int mute = 0; mute < 2; mute++) {
        peer_t *p = add_peer(w, 10, 10000, 0, 0);
        p->manners = mute ? SILENT : HONEST;
        connect(w, p);
        uint64_t before = w->now_ms;
        want(w, (size_t)mute, (size_t)mute + 1);
        size_t searches = w->searches;
        while (w->searches == searches)
            run(w, 10);
        if (mute)
            assert_in_range(w->now_ms - before, 9000, 12000); /* the last search did not help */
        else
            assert_in_range(w->now_ms - before, 15, 100);
    }
    run(w, 300000); /* again, but rarer and rarer */
    assert_in_range(w->searches, 4, 12);
    assert_true(w->peers[0].want_haves > 4); /* rebroadcast each minute */
    w->peers[0].has_until = 2;
    run(w, 70000);
    assert_int_equal(w->n_got, 2);
    free_world(w);
}

static void test_new_connection_is_asked(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    want(w, 0, 10);
    run(w, 5000);
    connect(w, add_peer(w, 10, 10000, 0, 10));
    assert_true(run(w, 5000) < 1000);
    assert_int_equal(w->n_got, 10);
    free_world(w);
}

static void test_cancel(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *p = add_peer(w, 10, 1000, 0, 100);
    connect(w, p);
    want(w, 0, 100);
    run(w, 1000);
    size_t got = w->n_got;
    for (size_t i = 0; i < 99; i++) {
        cid_t c = block_cid(i);
        want_session_cancel(w->m, w->s, &c, w->now_ms);
    }
    assert_int_equal(want_manager_count(w->m), 1);
    run(w, 60000);
    assert_true(w->got[99]);
    assert_true(w->n_got <= got + 2);
    assert_true(p->cancels > 0);
    want(w, 200, 300);
    want_session_close(w->m, w->s, w->now_ms);
    assert_int_equal(want_manager_count(w->m), 0);
    assert_false(want_manager_wants(w->m, &(cid_t){0}));
    want_entry_t entries[8];
    for (want_peer_t *h; (h = want_manager_next_send(w->m));) /* nothing but cancels is left */
        for (size_t n = want_peer_take_entries(w->m, h, entries, 8); n--;)
            assert_int_equal(entries[n].kind, WANT_ENTRY_CANCEL);
    w->s = want_session_open(w->m, w->now_ms);
    free_world(w);
}

static void test_two_sessions_one_block(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *p = add_peer(w, 10, 10000, 0, 100);
    connect(w, p);
    want_session_t *second = want_session_open(w->m, w->now_ms);
    want(w, 0, 50);
    for (size_t i = 0; i < 60; i++) {
        cid_t c = block_cid(i);
        assert_ok(want_session_want(w->m, second, &c, i % 2, w->now_ms));
        assert_ok(want_session_want(w->m, second, &c, true, w->now_ms));
    }
    run(w, 200);
    want_session_t *first = w->s;
    w->s = second;
    want_session_close(w->m, first, w->now_ms); /* its wants live on in the second */
    run(w, 60000);
    assert_int_equal(w->n_got, 60);
    assert_int_equal(w->duplicates, 0);
    peer_id_t best;
    assert_true(want_session_best_peer(second, &best));
    free_world(w);
}

static void test_urgent_first(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    connect(w, add_peer(w, 10, 1000, 0, 1000));
    want(w, 0, 500);
    run(w, 1000);
    cid_t c = block_cid(900);
    assert_ok(want_session_want(w->m, w->s, &c, true, w->now_ms));
    run(w, 20000);
    assert_true(w->got[900]);
    assert_false(w->got[499]);
    free_world(w);
}

static void test_limits(void **state)
{
    (void)state;
    want_limits_t l;
    want_limits_default(&l);
    l.max_wants = 10;
    world_t *w = new_world(&l);
    want(w, 0, 10);
    cid_t c = block_cid(10);
    assert_err(want_session_want(w->m, w->s, &c, true, 0), ERR_LIMIT);
    c = block_cid(3);
    assert_ok(want_session_want(w->m, w->s, &c, true, 0));
    free_world(w);
}

static void test_duplicate_and_unasked(void **state)
{
    (void)state;
    world_t *w = new_world(NULL);
    peer_t *p = add_peer(w, 10, 1000, 0, 1000);
    connect(w, p);
    cid_t c = block_cid(1);
    assert_ok(want_session_want(w->m, w->s, &c, true, w->now_ms));
    assert_int_equal(want_manager_block(w->m, NULL, &c, 10, w->now_ms), WANT_WANTED); /* found here */
    assert_int_equal(want_manager_block(w->m, p->handle, &c, 10, w->now_ms), WANT_DUPLICATE);
    assert_false(want_peer_is_blocked(p->handle));
    c = block_cid(2);
    assert_int_equal(want_manager_block(w->m, NULL, &c, 10, w->now_ms), WANT_UNASKED);
    assert_int_equal(want_manager_block(w->m, p->handle, &c, 10, w->now_ms), WANT_UNASKED);
    assert_true(want_peer_is_blocked(p->handle));
    want_manager_bad_block(w->m, p->handle, w->now_ms); /* once more is fine */
    free_world(w);
}

/* Many seeds: random worlds; whatever happens, what some honest peer has comes, and counts add up. */
static void test_random_worlds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        prng_t rng;
        prng_seed(&rng, seed);
        world_t *w = new_world(NULL);
        w->block_bytes = 1000 << prng_below(&rng, 9);
        size_t n = 1 + prng_below(&rng, 6), blocks = 20 + prng_below(&rng, 300);
        for (size_t i = 0; i < n; i++) {
            peer_t *p = add_peer(w, (uint32_t)prng_below(&rng, 200), 200 + (uint32_t)prng_below(&rng, 50000),
                                 prng_below(&rng, blocks), blocks);
            p->is_old = prng_below(&rng, 4) == 0;
            p->manners = prng_below(&rng, 3) ? HONEST : (manners_t)prng_below(&rng, 4);
            connect(w, p);
        }
        peer_t *honest = add_peer(w, 50, 5000, 0, blocks);
        connect(w, honest);
        want(w, 0, blocks);
        for (int i = 0; i < 10; i++) {
            run(w, prng_below(&rng, 3000));
            peer_t *p = &w->peers[prng_below(&rng, n)];
            if (p->is_there)
                disconnect(w, p);
            else
                connect(w, p);
        }
        run(w, 1200000);
        if (w->n_got != blocks)
            print_error("seed %llu: %zu of %zu\n", (unsigned long long)seed, w->n_got, blocks);
        assert_int_equal(w->n_got, blocks);
        assert_int_equal(want_session_in_flight(w->s), 0);
        free_world(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_source),
        cmocka_unit_test(test_sources_share),
        cmocka_unit_test(test_slow_beside_fast),
        cmocka_unit_test(test_slow_link_alone),
        cmocka_unit_test(test_source_dies),
        cmocka_unit_test(test_source_stalls),
        cmocka_unit_test(test_only_source_stalls_and_returns),
        cmocka_unit_test(test_liar_is_left),
        cmocka_unit_test(test_lost_is_asked_again),
        cmocka_unit_test(test_liar_alone_is_blocked),
        cmocka_unit_test(test_corrupt_is_blocked),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_old_peers),
        cmocka_unit_test(test_searches),
        cmocka_unit_test(test_new_connection_is_asked),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_two_sessions_one_block),
        cmocka_unit_test(test_urgent_first),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_duplicate_and_unasked),
        cmocka_unit_test(test_random_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
