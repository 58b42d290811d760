/* Filling the tables and keeping them good: peers that are met, a lookup for ourselves, refreshes of buckets
 * by age, liveness checks, recovery of a table that has become empty, and the peers of the last run. */
#include "base/log.h"
#include "base/prng.h"
#include "routing/routing_internal.h"
#include "task/driver.h"
#include <stdlib.h>

enum {
    REFRESH_EVERY_MS = 10 * 60 * 1000,
    SETTLE_MS = 300, /* after the first peer came: others come with it */
    RECOVER_EVERY_MS = 60 * 1000,
    LOW_PEERS = 4, /* below this the table is filled from connections again */
    PARALLEL_CHECKS = 8,
    REMEMBERED_PEERS = 40, /* of one DHT */
    REMEMBER_ADDRS = 4,
    PARALLEL_DIALS = 8,
    REDIAL_TIMEOUT_MS = 15000,
    CONNS_MAX = 1024
};

void bootstrap_meet_all(routing_t *r)
{
    conn_t **conns = xcalloc(CONNS_MAX, sizeof(conn_t *));
    size_t n = host_conns(r->host, conns, CONNS_MAX);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < r->n_dhts; d++)
            dht_meet(&r->dhts[d], conn_peer(conns[i]), conns[i]);
    free(conns);
}

/* ── liveness ────────────────────────────────────────────────────────────────────────────────── */
typedef struct check {
    dht_t *dht;
    peer_id_t peer;
} check_t;

static err_t check_task(task_t *t, void *arg)
{
    check_t c = *(check_t *)arg;
    free(arg);
    return lookup_check_peer(t, c.dht, &c.peer);
}

static bool next_to_check(dht_t *d, peer_id_t *ret_peer)
{
    return kbucket_next_check(&d->table, ret_peer) || dht_next_candidate(d, ret_peer);
}

/* Asks those whose life the table doubts and those who want into it; a slow one holds up nobody. */
static err_t run_checks(task_t *t, dht_t *d, group_t *g)
{
    for (;;) {
        peer_id_t peer;
        while (next_to_check(d, &peer)) {
            check_t *c = xcalloc(1, sizeof *c);
            *c = (check_t){d, peer};
            if (group_spawn(g, "dht-check", check_task, c, NULL))
                free(c);
            TRY(group_wait_below(t, g, PARALLEL_CHECKS));
        }
        TRY(event_wait(t, &d->wake));
    }
}

err_t dht_check_task(task_t *t, void *dht)
{
    group_t g;
    group_init(&g, task_sched(t));
    err_t e = run_checks(t, dht, &g);
    group_stop(t, &g);
    group_deinit(&g);
    return e;
}

/* ── refresh ─────────────────────────────────────────────────────────────────────────────────── */
/* A peer id whose key shares just prefix_len bits with ours, found by trying (2^(prefix_len+1) hashes). */
typedef struct search {
    kad_key_t self;
    size_t prefix_len;
    prng_t rng;
    peer_id_t found;
} search_t;

static void search_preimage(void *arg)
{
    search_t *s = arg;
    s->found = (peer_id_t){.len = 34, .data = {0x12, 32}};
    kad_key_t key;
    do {
        prng_fill(&s->rng, s->found.data + 2, 32);
        key = kad_key_of_peer(&s->found);
    } while (kad_common_prefix_len(&s->self, &key) != s->prefix_len);
}

/* ret_is_all (may be NULL): the lookup has met the whole network. */
static err_t look_up(task_t *t, dht_t *d, bytes_t key, bool *ret_is_all)
{
    lookup_result_t *result = xcalloc(1, sizeof *result);
    lookup_job_t job = {.dht = d, .type = KAD_FIND_NODE, .key = key, .is_upkeep = true};
    err_t e = lookup_run(t, &job, result);
    if (ret_is_all)
        *ret_is_all = result->end == LOOKUP_STARVED && result->n_closest < DHT_K;
    free(result);
    return e;
}

static err_t refresh_buckets(task_t *t, dht_t *d)
{
    size_t prefix_len;
    while (kbucket_refresh_due(&d->table, task_now_ms(t), &prefix_len)) {
        kbucket_refreshed(&d->table, prefix_len, task_now_ms(t));
        search_t s = {.self = d->table.self, .prefix_len = prefix_len};
        prng_seed(&s.rng, driver_random_u64(task_driver(t)));
        work(t, search_preimage, &s);
        err_t e = look_up(t, d, peer_id_bytes(&s.found), NULL);
        if (e)
            return e;
    }
    return OK;
}

static err_t remember_peers(task_t *t, dht_t *d);

static err_t refresh(task_t *t, dht_t *d)
{
    kbucket_tick(&d->table, task_now_ms(t));
    event_fire(&d->wake);
    bool is_all = false;
    err_t e = look_up(t, d, peer_id_bytes(&d->self), &is_all);
    if (!e && !is_all) /* else there is nobody left to be found */
        e = refresh_buckets(t, d);
    TRY(task_check(t));
    if (e)
        log_debug("DHT refresh ended early", LOG_STR("dht", d->name), LOG_ERR(e));
    if (!kbucket_count(&d->table))
        return OK; /* nobody was there after all */
    kbucket_keep_all(&d->table);
    d->is_filled = true;
    event_fire(&d->routing->changed);
    e = remember_peers(t, d);
    if (e)
        log_debug("peers of the DHT not remembered", LOG_ERR(e));
    return task_check(t);
}

/* ── the life of a table ─────────────────────────────────────────────────────────────────────── */
static err_t wait_for_work(task_t *t, dht_t *d, uint64_t until_ms)
{
    uint64_t now_ms = task_now_ms(t);
    deadline_t limit = deadline_push(t, until_ms > now_ms ? until_ms - now_ms : 0);
    err_t e = event_wait(t, &d->wake);
    deadline_pop(t, &limit);
    return e == ERR_TIMEOUT ? task_check(t) : e;
}

/* Waits for the first peer; from time to time looks among the connections and those of the last run. */
static err_t wait_for_peers(task_t *t, dht_t *d)
{
    for (bool is_first = true; !kbucket_count(&d->table); is_first = false) {
        TRY(wait_for_work(t, d, task_now_ms(t) + RECOVER_EVERY_MS));
        if (kbucket_count(&d->table))
            break;
        bootstrap_meet_all(d->routing);
        if (!is_first && !kbucket_count(&d->table))
            TRY(remembered_peers_task(t, d->routing));
    }
    return task_sleep(t, SETTLE_MS);
}

static err_t maintain(task_t *t, dht_t *d)
{
    for (;;) {
        if (!kbucket_count(&d->table)) {
            TRY(wait_for_peers(t, d));
            d->refresh_at = 0;
        }
        if (task_now_ms(t) >= d->refresh_at) {
            d->refresh_at = task_now_ms(t) + REFRESH_EVERY_MS;
            TRY(refresh(t, d));
            if (!kbucket_count(&d->table))
                TRY(task_sleep(t, 1000));
            continue;
        }
        uint64_t until_ms = d->refresh_at;
        if (kbucket_count(&d->table) < LOW_PEERS && until_ms > task_now_ms(t) + RECOVER_EVERY_MS)
            until_ms = task_now_ms(t) + RECOVER_EVERY_MS;
        TRY(wait_for_work(t, d, until_ms));
        if (kbucket_count(&d->table) < LOW_PEERS)
            bootstrap_meet_all(d->routing);
    }
}

err_t dht_maintain_task(task_t *t, void *dht)
{
    return maintain(t, dht);
}

/* ── the peers of the last run ───────────────────────────────────────────────────────────────── */
static const char SPACE[] = "dht-peers"; /* 'w' or 'l', then the peer id -> its addresses */
enum { PEERS_VALUE_MAX = REMEMBER_ADDRS * (MULTIADDR_MAX_BYTES + 2) };

typedef struct collected {
    dht_t *dht;
    peer_id_t peers[REMEMBERED_PEERS];
    size_t n;
} collected_t;

static bool collect(void *arg, size_t prefix_len, const kbucket_entry_t *e)
{
    collected_t *c = arg;
    c->peers[c->n++] = e->peer;
    return c->n < REMEMBERED_PEERS;
}

static err_t put_remembered(dht_t *d, kv_batch_t *batch, const peer_id_t *peer, multiaddr_t *addrs)
{
    size_t n = dht_addrs_of(d, peer, addrs, REMEMBER_ADDRS);
    if (!n)
        return OK;
    AUTO(buf_t) value;
    buf_init(&value, PEERS_VALUE_MAX);
    writer_t w = writer_to(&value);
    for (size_t i = 0; i < n; i++)
        write_length_prefixed(&w, multiaddr_bytes(&addrs[i]));
    TRY(w.err);
    uint8_t key[1 + PEER_ID_MAX_BYTES] = {(uint8_t)d->name[0]};
    memcpy(key + 1, peer->data, peer->len);
    return kv_batch_put(batch, SPACE, bytes_of(key, 1 + peer->len), buf_bytes(&value));
}

static err_t remember_peers(task_t *t, dht_t *d)
{
    collected_t *c = xcalloc(1, sizeof *c);
    multiaddr_t *addrs = xcalloc(REMEMBER_ADDRS, sizeof *addrs);
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    kbucket_each(&d->table, collect, c);
    err_t e = kv_batch_delete_prefix(&batch, SPACE, bytes_of(d->name, 1));
    for (size_t i = 0; !e && i < c->n; i++)
        e = put_remembered(d, &batch, &c->peers[i], addrs);
    free(addrs);
    free(c);
    return e ? e : kv_commit(t, d->routing->config.state, &batch);
}

typedef struct redial {
    routing_t *routing;
    peer_id_t peer;
} redial_t;

static err_t redial_task(task_t *t, void *arg)
{
    redial_t r = *(redial_t *)arg;
    free(arg);
    conn_t *conn;
    deadline_t limit = deadline_push(t, REDIAL_TIMEOUT_MS);
    err_t e = host_connect(t, r.routing->host, &r.peer, NULL, 0, &conn);
    deadline_pop(t, &limit);
    if (!e)
        conn_release(conn);
    return e;
}

typedef struct redials {
    routing_t *routing;
    group_t group;
} redials_t;

static err_t visit_remembered(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    redials_t *all = arg;
    host_t *h = all->routing->host;
    peer_id_t peer;
    if (key.len < 2 || peer_id_decode(bytes_slice(key, 1, key.len), &peer) ||
        peer_id_equal(&peer, host_id(h)) || host_is_connected(h, &peer))
        return OK;
    multiaddr_t *addr = xcalloc(1, sizeof *addr);
    reader_t r = reader_of(value);
    while (reader_left(&r) && !r.err) {
        bytes_t raw = read_length_prefixed(&r, MULTIADDR_MAX_BYTES);
        if (!r.err && !multiaddr_decode(raw, addr))
            peerstore_add_addrs(host_peerstore(h), &peer, addr, 1, ADDR_TTL_TEMP_MS);
    }
    free(addr);
    redial_t *redial = xcalloc(1, sizeof *redial);
    *redial = (redial_t){all->routing, peer};
    if (group_spawn(&all->group, "dht-redial", redial_task, redial, NULL))
        free(redial);
    return group_wait_below(t, &all->group, PARALLEL_DIALS);
}

err_t remembered_peers_task(task_t *t, void *routing)
{
    redials_t all = {.routing = routing};
    group_init(&all.group, task_sched(t));
    err_t e = kv_scan(t, all.routing->config.state, SPACE, NULL, visit_remembered, &all);
    err_t joined = group_join(t, &all.group);
    group_deinit(&all.group);
    if (e && e != ERR_CANCELED)
        log_debug("remembered peers not read", LOG_ERR(e));
    return e == ERR_CANCELED || joined == ERR_CANCELED ? ERR_CANCELED : OK;
}
