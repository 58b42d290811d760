#include "routing/provide.h"
#include "base/log.h"
#include "routing/optimist.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

void provide_init(provide_t *p, routing_t *r, dht_t *d)
{
    *p = (provide_t){.routing = r, .dht = d};
    map_init(&p->queue, PROVIDE_QUEUE_MAX);
    event_init(&p->changed);
}

void provide_deinit(provide_t *p)
{
    map_deinit(&p->queue);
    key_runs_free(p->keys);
    p->keys = NULL;
}

/* The first bits of its key in the key space, so that a queue is searched for a region without hashing all of
 * it. The last bit says that there is something. */
enum { PLACE_BITS = 8 * sizeof(uintptr_t) - 1 };
static void *place_of(bytes_t multihash)
{
    kad_key_t key = kad_key_of(multihash);
    uintptr_t place = 0;
    for (size_t i = 0; i < sizeof place; i++)
        place = place << 8 | key.data[i];
    return (void *)(place | 1);
}

static bool may_lie_in(const kad_prefix_t *prefix, const void *place)
{
    uintptr_t wanted = 0;
    size_t len = prefix->len < PLACE_BITS ? prefix->len : PLACE_BITS;
    for (size_t i = 0; i < sizeof wanted; i++)
        wanted = wanted << 8 | prefix->key.data[i];
    return !len || (wanted ^ (uintptr_t)place) >> (PLACE_BITS + 1 - len) == 0;
}

void provide_enqueue(provide_t *p, bytes_t multihash)
{
    if (!multihash.len || multihash.len > KAD_PROVIDER_KEY_MAX_BYTES || map_has(&p->queue, multihash))
        return;
    bool is_lonely = !kbucket_count(&p->dht->table) && p->routing->config.reprovide_interval_ms;
    if (is_lonely && map_count(&p->queue) >= PROVIDE_QUEUE_LONELY)
        p->has_missed = true;
    else
        p->has_missed |= map_put(&p->queue, multihash, place_of(multihash), NULL) != OK;
    event_fire(&p->changed);
}

size_t provide_clear(provide_t *p)
{
    size_t n = map_count(&p->queue), at = 0;
    bytes_t key;
    while (map_next(&p->queue, &at, &key, NULL))
        map_remove(&p->queue, key);
    event_fire(&p->changed);
    return n;
}

err_t provide_wait_until_ready(task_t *t, provide_t *p)
{
    while (!p->dht->is_filled || !kbucket_count(&p->dht->table))
        TRY(event_wait(t, &p->routing->changed));
    return OK;
}

void provide_back_off(provide_t *p, uint64_t now_ms)
{
    uint64_t doubled = p->backoff_ms ? p->backoff_ms * 2 : PROVIDE_RETRY_MIN_MS;
    p->backoff_ms = doubled < PROVIDE_RETRY_MAX_MS ? doubled : PROVIDE_RETRY_MAX_MS;
    p->retry_at_ms = now_ms + p->backoff_ms;
}

void provide_count(provide_t *p, const region_t *r, const announce_figures_t *f)
{
    provide_stats_t *s = &p->stats;
    s->records += f->records;
    s->keys_provided += f->keys_taken;
    s->keys_failed += f->keys_failed;
    s->peers += f->peers;
    s->reachable += f->reachable;
    p->routing->stats.provided += f->keys_taken;
    p->routing->stats.provide_failed += f->keys_failed;
}

/* ── one region ──────────────────────────────────────────────────────────────────────────────── */
static run_key_t run_key(bytes_t multihash)
{
    run_key_t key = {.at = kad_key_of(multihash), .len = (uint8_t)multihash.len};
    memcpy(key.data, multihash.data, multihash.len);
    return key;
}

/* Takes the queued keys that lie in the region. */
static void take_in_region(provide_t *p, const region_t *r, key_batch_t *b)
{
    bytes_t key;
    void *place;
    for (size_t i = 0; b->n < ANNOUNCE_BATCH_MAX && map_next(&p->queue, &i, &key, &place);) {
        if (!may_lie_in(&r->prefix, place))
            continue;
        run_key_t found = run_key(key);
        if (kad_prefix_has(&r->prefix, &found.at) && key_batch_add(b, &found))
            map_remove(&p->queue, bytes_of(found.data, found.len));
    }
}

static void queue_again(provide_t *p, const key_batch_t *b, size_t from)
{
    for (size_t i = from; i < b->n; i++)
        if (!b->n_taken[i])
            provide_enqueue(p, bytes_of(b->keys[i].data, b->keys[i].len));
}

/* Announces the batch's only key, and with it those of the queue that lie near it. */
static err_t announce_near(task_t *t, provide_t *p, key_batch_t *b, region_t *r, bool with_queue)
{
    TRY(announce_find(t, p->dht, &b->keys[0], r));
    if (with_queue)
        take_in_region(p, r, b);
    if (b->n <= ANNOUNCE_FEW_KEYS && r->prefix.len) {
        queue_again(p, b, 1); /* each is looked up by itself */
        b->n = 1;
        region_shrink(r);
    }
    p->stats.active_keys += b->n;
    announce_figures_t f = {0};
    err_t e = announce_explore(t, p->dht, r, b);
    if (!e)
        e = announce_tell(t, p->dht, r, b, &f);
    p->stats.active_keys -= b->n;
    provide_count(p, r, &f);
    return !e && !f.keys_taken ? fail(ERR_UNREACHABLE, "nobody took the provider record") : e;
}

static err_t keep_own_record(task_t *t, provide_t *p, bytes_t multihash)
{
    return provider_store_add(t, &p->routing->providers, multihash, host_id(p->routing->host), NULL, 0);
}

static err_t announce_first(task_t *t, provide_t *p, key_batch_t *b, bool with_queue)
{
    region_config_t config;
    region_config_default(&config);
    region_t *r = xcalloc(1, sizeof *r);
    region_init(r, &config);
    p->stats.active_regions++;
    uint64_t began_ms = task_now_ms(t);
    err_t e = announce_near(t, p, b, r, with_queue);
    p->stats.queue_busy_ms += task_now_ms(t) - began_ms;
    p->stats.queue_keys += b->n;
    p->stats.active_regions--;
    for (size_t i = 0; !e && !p->routing->has_ourselves && i < b->n; i++)
        e = keep_own_record(t, p, bytes_of(b->keys[i].data, b->keys[i].len));
    region_deinit(r);
    free(r);
    return e;
}

err_t provide_now(task_t *t, provide_t *p, bytes_t multihash)
{
    err_t quick = optimist_provide(t, p->dht, multihash);
    if (quick != ERR_AGAIN) {
        bool is_taken = !quick;
        p->stats.keys_provided += is_taken;
        p->stats.keys_failed += !is_taken;
        p->routing->stats.provided += is_taken;
        p->routing->stats.provide_failed += !is_taken;
        return quick;
    }
    key_batch_t *b = xcalloc(1, sizeof *b);
    run_key_t key = run_key(multihash);
    key_batch_add(b, &key);
    err_t e = announce_first(t, p, b, false);
    free(b);
    return e;
}

/* ── the queue ───────────────────────────────────────────────────────────────────────────────── */
static err_t region_task(task_t *t, void *arg)
{
    provide_t *p = arg;
    key_batch_t *b = xcalloc(1, sizeof *b);
    bytes_t first;
    size_t i = 0;
    if (map_next(&p->queue, &i, &first, NULL)) {
        run_key_t key = run_key(first);
        key_batch_add(b, &key);
        map_remove(&p->queue, first);
        err_t e = announce_first(t, p, b, true);
        if (!e) {
            p->backoff_ms = 0;
        } else if (!task_is_canceled(t)) {
            log_debug("not announced", LOG_STR("dht", p->dht->name), LOG_ERR(e));
            queue_again(p, b, 0);
            provide_back_off(p, task_now_ms(t));
        }
    }
    free(b);
    p->n_active--;
    event_fire(&p->changed);
    return OK;
}

static err_t serve_queue(task_t *t, provide_t *p, group_t *g)
{
    for (;;) {
        while (!map_count(&p->queue) || p->n_active >= PROVIDE_PARALLEL)
            TRY(event_wait(t, &p->changed));
        TRY(provide_wait_until_ready(t, p));
        uint64_t now_ms = task_now_ms(t);
        if (p->retry_at_ms > now_ms) {
            TRY(task_sleep(t, p->retry_at_ms - now_ms));
            continue;
        }
        p->n_active++;
        if (group_spawn(g, "provide", region_task, p, NULL)) {
            p->n_active--;
            TRY(task_sleep(t, 1000));
        }
        TRY(task_yield(t)); /* it takes its first key before the next one is started */
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
