#include "routing/provide.h"
#include "base/log.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

typedef struct key_batch {
    struct {
        uint8_t len;
        uint8_t data[KAD_PROVIDER_KEY_MAX_BYTES];
        uint16_t n_taken; /* peers that took its record */
    } keys[PROVIDE_BATCH_MAX];
    size_t n;
} key_batch_t;

void provide_init(provide_t *p, routing_t *r)
{
    *p = (provide_t){.routing = r};
    map_init(&p->queue, PROVIDE_QUEUE_MAX);
    event_init(&p->changed);
}

void provide_deinit(provide_t *p)
{
    map_deinit(&p->queue);
}

void provide_enqueue(provide_t *p, bytes_t multihash)
{
    if (!multihash.len || multihash.len > KAD_PROVIDER_KEY_MAX_BYTES || map_has(&p->queue, multihash))
        return;
    p->has_missed |= map_put(&p->queue, multihash, p, NULL) != OK;
    event_fire(&p->changed);
}

static void batch_add(key_batch_t *b, bytes_t multihash)
{
    b->keys[b->n].len = (uint8_t)multihash.len;
    b->keys[b->n].n_taken = 0;
    memcpy(b->keys[b->n++].data, multihash.data, multihash.len);
}

static bytes_t batch_key(const key_batch_t *b, size_t i)
{
    return bytes_of(b->keys[i].data, b->keys[i].len);
}

/* ── announcing to the peers of one lookup ───────────────────────────────────────────────────── */
typedef struct announcement {
    dht_t *dht;
    key_batch_t *batch;
    size_t n; /* of its keys: the first n */
    multiaddr_t *addrs;
    size_t n_addrs;
} announcement_t;
typedef struct telling {
    announcement_t *what;
    peer_id_t to;
} telling_t;

static err_t encode_record(const announcement_t *a, bytes_t key, buf_t *out)
{
    buf_clear(out);
    writer_t w = writer_to(out);
    kad_put_head(&w, KAD_ADD_PROVIDER, key);
    kad_put_peer(&w, KAD_PROVIDERS, &a->dht->self, a->addrs, a->n_addrs, KAD_CONNECTED);
    return w.err;
}

/* All keys to one peer. */
static err_t tell_task(task_t *t, void *arg)
{
    telling_t telling = *(telling_t *)arg;
    free(arg);
    announcement_t *a = telling.what;
    AUTO(buf_t) message;
    buf_init(&message, KAD_REQUEST_MAX_BYTES);
    for (size_t i = 0; i < a->n; i++) {
        TRY(encode_record(a, batch_key(a->batch, i), &message));
        a->dht->stats->messages_out++;
        TRY(dht_client_tell(t, &a->dht->client, &telling.to, buf_bytes(&message)));
        a->batch->keys[i].n_taken++;
    }
    return OK;
}

static err_t tell_all(task_t *t, announcement_t *a, const lookup_result_t *found)
{
    group_t g;
    group_init(&g, a->dht->sched);
    for (size_t i = 0; i < found->n_closest; i++) {
        telling_t *telling = xcalloc(1, sizeof *telling);
        *telling = (telling_t){a, found->closest[i]};
        if (group_spawn(&g, "dht-tell", tell_task, telling, NULL))
            free(telling);
    }
    err_t e = group_join(t, &g);
    group_deinit(&g);
    return e == ERR_CANCELED || e == ERR_TIMEOUT ? task_check(t) : OK; /* some peers may fail */
}

/* Of the keys behind the first, those that the peers found for the first are right for come to the front: all
 * when the lookup has met the whole network, else those inside the region that it knows. Returns how many
 * keys, the first included. */
static size_t keys_in_region(key_batch_t *b, const lookup_result_t *found)
{
    if (found->end == LOOKUP_STARVED && found->n_closest < DHT_K)
        return b->n;
    kad_key_t first = kad_key_of(batch_key(b, 0));
    size_t n = 1;
    for (size_t i = 1; i < b->n; i++) {
        kad_key_t key = kad_key_of(batch_key(b, i));
        if (kad_common_prefix_len(&first, &key) <= found->known_prefix_len)
            continue;
        __typeof__(b->keys[0]) moved = b->keys[i];
        b->keys[i] = b->keys[n];
        b->keys[n++] = moved;
    }
    return n;
}

/* Announces the first key, and those of its region, in one DHT. */
static err_t announce(task_t *t, dht_t *d, key_batch_t *b, size_t *ret_n)
{
    *ret_n = 1;
    announcement_t a = {.dht = d, .batch = b, .addrs = xcalloc(DHT_ADDRS_PER_PEER, sizeof *a.addrs)};
    lookup_result_t *found = xcalloc(1, sizeof *found);
    a.n_addrs = dht_addrs_of(d, &d->self, a.addrs, DHT_ADDRS_PER_PEER);
    err_t e = OK;
    if (!a.n_addrs)
        e = fail(ERR_UNREACHABLE, "this node has no address that the %s DHT takes", d->name);
    lookup_job_t job = {.dht = d, .type = KAD_FIND_NODE, .key = batch_key(b, 0)};
    if (!e)
        e = lookup_run(t, &job, found);
    if (!e && !found->n_closest)
        e = fail(ERR_UNREACHABLE, "no peer of the %s DHT answered", d->name);
    if (!e) {
        *ret_n = a.n = keys_in_region(b, found);
        e = tell_all(t, &a, found);
    } else {
        *ret_n = b->n; /* another lookup here would fare no better */
    }
    free(found);
    free(a.addrs);
    return e;
}

typedef struct per_dht {
    key_batch_t *batches[2]; /* each DHT has its own regions, so a copy each */
    size_t n_done[2];
} per_dht_t;

static err_t announce_in(task_t *t, dht_t *d, size_t index, void *arg)
{
    per_dht_t *p = arg;
    return announce(t, d, p->batches[index], &p->n_done[index]);
}

static bool is_taken(const per_dht_t *p, bytes_t key)
{
    for (size_t d = 0; d < 2; d++)
        for (size_t i = 0; p->batches[d] && i < p->n_done[d]; i++)
            if (p->batches[d]->keys[i].n_taken && bytes_equal(batch_key(p->batches[d], i), key))
                return true;
    return false;
}

/* Is the key among those that the DHTs with peers have dealt with? */
static bool is_dealt_with(const routing_t *r, const per_dht_t *p, bytes_t key)
{
    for (size_t d = 0; d < r->n_dhts; d++) {
        bool is_in = !kbucket_count(&r->dhts[d].table);
        for (size_t i = 0; !is_in && i < p->n_done[d]; i++)
            is_in = bytes_equal(batch_key(p->batches[d], i), key);
        if (!is_in)
            return false;
    }
    return true;
}

/* Announces b[0] and as many others of b as one lookup in each DHT covers; the rest is queued again. */
static err_t announce_batch(task_t *t, provide_t *p, key_batch_t *b)
{
    routing_t *r = p->routing;
    per_dht_t per = {{NULL, NULL}, {1, 1}};
    for (size_t i = 0; i < b->n; i++) {
        err_t e = provider_store_add(t, &r->providers, batch_key(b, i), host_id(r->host), NULL, 0);
        if (e)
            log_debug("own provider record not stored", LOG_ERR(e));
    }
    for (size_t d = 0; d < r->n_dhts; d++) {
        per.batches[d] = xcalloc(1, sizeof *per.batches[d]);
        *per.batches[d] = *b;
    }
    err_t e = routing_for_each_dht(t, r, announce_in, &per);
    for (size_t i = 0; i < b->n; i++) {
        bytes_t key = batch_key(b, i);
        bool was_taken = is_taken(&per, key);
        if (was_taken && (i == 0 || is_dealt_with(r, &per, key)))
            r->stats.provided++;
        else if (i == 0)
            r->stats.provide_failed++;
        else
            provide_enqueue(p, key);
    }
    if (!e && !is_taken(&per, batch_key(b, 0)))
        e = fail(ERR_UNREACHABLE, "nobody took the provider record");
    free(per.batches[0]);
    free(per.batches[1]);
    return e;
}

err_t provide_now(task_t *t, provide_t *p, bytes_t multihash)
{
    if (!multihash.len || multihash.len > KAD_PROVIDER_KEY_MAX_BYTES)
        return fail(ERR_INVALID, "a multihash of %zu bytes cannot be announced", multihash.len);
    key_batch_t *b = xcalloc(1, sizeof *b);
    batch_add(b, multihash);
    err_t e = announce_batch(t, p, b);
    free(b);
    return e;
}

/* ── the queue ───────────────────────────────────────────────────────────────────────────────── */

/* Takes the first queued key and those next to it in the key space, as many as a batch holds. */
static void take_batch(provide_t *p, key_batch_t *b)
{
    bytes_t key;
    size_t i = 0;
    b->n = 0;
    if (!map_next(&p->queue, &i, &key, NULL))
        return;
    batch_add(b, key);
    map_remove(&p->queue, batch_key(b, 0));
    kad_key_t first = kad_key_of(batch_key(b, 0));
    /* A region is at most half of the key space once there are 20 peers; take the nearer keys only when there
     * are more than fit. */
    size_t nearer_than = map_count(&p->queue) >= PROVIDE_BATCH_MAX ? 1 : 0;
    for (i = 0; b->n < PROVIDE_BATCH_MAX && map_next(&p->queue, &i, &key, NULL);) {
        kad_key_t at = kad_key_of(key);
        if (kad_common_prefix_len(&first, &at) < nearer_than)
            continue;
        batch_add(b, key);
        map_remove(&p->queue, batch_key(b, b->n - 1));
    }
}

/* Nobody took the record: the network is away, or we have no address. Tried again, less and less often. */
static void put_off(provide_t *p, bytes_t key, uint64_t now_ms)
{
    provide_enqueue(p, key);
    uint64_t doubled = p->backoff_ms ? p->backoff_ms * 2 : PROVIDE_RETRY_MIN_MS;
    p->backoff_ms = doubled < PROVIDE_RETRY_MAX_MS ? doubled : PROVIDE_RETRY_MAX_MS;
    p->retry_at_ms = now_ms + p->backoff_ms;
}

static err_t batch_task(task_t *t, void *arg)
{
    provide_t *p = arg;
    key_batch_t *b = xcalloc(1, sizeof *b);
    take_batch(p, b);
    err_t e = b->n ? announce_batch(t, p, b) : OK;
    if (!e) {
        p->backoff_ms = 0;
    } else if (!task_is_canceled(t)) {
        log_debug("not announced", LOG_ERR(e));
        put_off(p, batch_key(b, 0), task_now_ms(t));
    }
    free(b);
    p->n_active--;
    event_fire(&p->changed);
    return OK;
}

/* Announcing is of use only once the tables know the neighbourhood. */
static err_t wait_until_ready(task_t *t, routing_t *r)
{
    while (!routing_is_bootstrapped(r) || !routing_has_peers(r))
        TRY(event_wait(t, &r->changed));
    return OK;
}

static err_t serve_queue(task_t *t, provide_t *p, group_t *g)
{
    for (;;) {
        while (!map_count(&p->queue) || p->n_active >= PROVIDE_PARALLEL)
            TRY(event_wait(t, &p->changed));
        TRY(wait_until_ready(t, p->routing));
        uint64_t now_ms = task_now_ms(t);
        if (p->retry_at_ms > now_ms) {
            TRY(task_sleep(t, p->retry_at_ms - now_ms));
            continue;
        }
        p->n_active++;
        if (group_spawn(g, "provide", batch_task, p, NULL)) {
            p->n_active--;
            TRY(task_sleep(t, 1000));
        }
        TRY(task_yield(t)); /* it takes its keys before the next one is started */
    }
}

err_t provide_queue_task(task_t *t, void *provide)
{
    provide_t *p = provide;
    group_t g;
    group_init(&g, task_sched(t));
    err_t e = serve_queue(t, p, &g);
    group_stop(t, &g);
    group_deinit(&g);
    return e;
}

/* ── the cycle ───────────────────────────────────────────────────────────────────────────────── */
static const char SPACE[] = "dht-provide";
static const char CURSOR_KEY[] = "cycle";
enum { MAX_SLICES = 4096, CURSOR_VERSION = 1 };

typedef struct cursor {
    uint64_t began_wall_ms;
    uint32_t n_slices, next; /* next == n_slices: the cycle is done */
} cursor_t;

static bool load_cursor(task_t *t, kv_t *kv, cursor_t *ret)
{
    AUTO(buf_t) raw;
    buf_init(&raw, 64);
    if (kv_get(t, kv, SPACE, bytes_str(CURSOR_KEY), &raw))
        return false;
    reader_t r = reader_of(buf_bytes(&raw));
    bool is_known = read_u8(&r) == CURSOR_VERSION;
    *ret = (cursor_t){.began_wall_ms = read_u64be(&r), .n_slices = read_u32be(&r), .next = read_u32be(&r)};
    return !r.err && is_known && ret->n_slices && ret->n_slices <= MAX_SLICES && ret->next <= ret->n_slices;
}

static err_t save_cursor(task_t *t, kv_t *kv, const cursor_t *c)
{
    AUTO(buf_t) raw;
    buf_init(&raw, 64);
    writer_t w = writer_to(&raw);
    write_u8(&w, CURSOR_VERSION);
    write_u64be(&w, c->began_wall_ms);
    write_u32be(&w, c->n_slices);
    write_u32be(&w, c->next);
    TRY(w.err);
    return kv_put(t, kv, SPACE, bytes_str(CURSOR_KEY), buf_bytes(&raw));
}

typedef struct pass {
    provide_t *provide;
    uint32_t slice, n_slices; /* n_slices 0: only count */
    uint64_t count;
} pass_t;

static err_t wait_for_room(task_t *t, provide_t *p)
{
    while (map_count(&p->queue) >= PROVIDE_QUEUE_MAX / 2)
        TRY(event_wait(t, &p->changed));
    return OK;
}

static err_t visit_cid(task_t *t, void *arg, const cid_t *cid)
{
    pass_t *pass = arg;
    pass->count++;
    if (!pass->n_slices || cid_is_identity(cid))
        return OK;
    uint8_t multihash[CID_BINARY_MAX];
    bytes_t key = bytes_of(multihash, cid_encode_multihash(cid, multihash));
    kad_key_t at = kad_key_of(key);
    uint32_t place = (uint32_t)at.data[0] << 16 | (uint32_t)at.data[1] << 8 | at.data[2];
    if ((uint64_t)place * pass->n_slices >> 24 != pass->slice)
        return OK;
    TRY(wait_for_room(t, pass->provide));
    provide_enqueue(pass->provide, key);
    return OK;
}

static err_t run_pass(task_t *t, provide_t *p, pass_t *pass)
{
    return p->source(t, p->source_arg, visit_cid, pass);
}

static err_t run_cycle(task_t *t, provide_t *p, cursor_t *c)
{
    kv_t *kv = p->routing->config.state;
    if (c->next == c->n_slices) { /* a new one */
        pass_t counting = {.provide = p};
        TRY(run_pass(t, p, &counting));
        uint64_t slices = counting.count / PROVIDE_SLICE_KEYS + 1;
        *c = (cursor_t){driver_wall_ms(task_driver(t)), (uint32_t)(slices < MAX_SLICES ? slices : MAX_SLICES),
                        0};
    }
    while (c->next < c->n_slices) {
        pass_t pass = {.provide = p, .slice = c->next, .n_slices = c->n_slices};
        TRY(run_pass(t, p, &pass));
        while (map_count(&p->queue) || p->n_active)
            TRY(event_wait(t, &p->changed));
        c->next++;
        TRY(save_cursor(t, kv, c));
    }
    return OK;
}

static uint64_t until_next_cycle_ms(task_t *t, const provide_t *p, const cursor_t *c)
{
    if (c->next < c->n_slices || p->has_missed)
        return 0;
    uint64_t due_ms = c->began_wall_ms + p->routing->config.reprovide_interval_ms;
    uint64_t now_ms = driver_wall_ms(task_driver(t));
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    /* a clock that went back must not put it off */
    return wait_ms > p->routing->config.reprovide_interval_ms ? 0 : wait_ms;
}

static err_t wait_for_cycle(task_t *t, provide_t *p, const cursor_t *c)
{
    for (;;) {
        uint64_t wait_ms = until_next_cycle_ms(t, p, c);
        if (!wait_ms)
            break;
        deadline_t d = deadline_push(t, wait_ms);
        err_t e = event_wait(t, &p->changed);
        deadline_pop(t, &d);
        TRY(e == ERR_TIMEOUT ? task_check(t) : e);
    }
    if (p->has_missed) /* let what is queued go first: then there is room for what was missed */
        while (map_count(&p->queue) || p->n_active)
            TRY(event_wait(t, &p->changed));
    p->has_missed = false;
    return OK;
}

err_t provide_cycle_task(task_t *t, void *provide)
{
    provide_t *p = provide;
    if (!p->routing->config.reprovide_interval_ms)
        return OK;
    cursor_t c = {.n_slices = 0, .next = 0};
    bool is_known = load_cursor(t, p->routing->config.state, &c);
    for (;;) {
        while (!p->source)
            TRY(event_wait(t, &p->changed));
        TRY(wait_until_ready(t, p->routing));
        if (is_known)
            TRY(wait_for_cycle(t, p, &c));
        is_known = true;
        err_t e = run_cycle(t, p, &c);
        TRY(task_check(t));
        if (e) {
            log_warn("announcing what this node has was interrupted", LOG_ERR(e));
            TRY(task_sleep(t, 60 * 1000));
        }
    }
}
