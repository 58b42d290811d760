/* The sweep: everything that the node has, in the order of the key space, region by region as the hand of
 * logic/sweep passes. The keys are read from the source into key_runs when a round begins, and again from
 * time to time, for what came and went. */
#include "base/log.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

static const char SPACE[] = "dht-provide"; /* name of the DHT -> state of its sweep */
enum {
    LOOK_AT_CLOCK_MS = 10 * 60 * 1000,
    RELOAD_SHARE = 100, /* reading the source takes a hundredth of the time */
};

/* ── the place that is kept ──────────────────────────────────────────────────────────────────── */
static bool load_place(task_t *t, provide_t *p)
{
    AUTO(buf_t) raw;
    buf_init(&raw, 256);
    return !kv_get(t, p->routing->config.state, SPACE, bytes_str(p->dht->name), &raw) &&
           sweep_decode(&p->sweep, buf_bytes(&raw));
}

static err_t save_place(task_t *t, provide_t *p)
{
    uint8_t raw[SWEEP_STATE_BYTES];
    sweep_encode(&p->sweep, raw);
    return kv_put(t, p->routing->config.state, SPACE, bytes_str(p->dht->name), bytes_of(raw, sizeof raw));
}

static void begin(task_t *t, provide_t *p)
{
    uint64_t now_ms = driver_wall_ms(task_driver(t)), interval_ms = p->routing->config.reprovide_interval_ms;
    if (!p->routing->config.forgets_sweep && load_place(t, p))
        sweep_resume(&p->sweep, interval_ms, now_ms);
    else
        sweep_init(&p->sweep, interval_ms, now_ms);
}

bool provide_is_behind(const provide_t *p)
{
    return p->is_sweeping && (map_count(&p->queue) || p->n_active || p->has_missed);
}

void provide_leave_behind(task_t *t, provide_t *p)
{
    sweep_hurry(&p->sweep, driver_wall_ms(task_driver(t)));
    err_t e = save_place(t, p);
    if (e)
        log_warn("what was not announced yet waits for its next round", LOG_STR("dht", p->dht->name),
                 LOG_ERR(e));
}

/* ── the keys ────────────────────────────────────────────────────────────────────────────────── */
typedef struct loading {
    provide_t *provide;
    key_runs_t *runs;
    uint64_t n_all;
} loading_t;

static err_t load_cid(task_t *t, void *arg, const cid_t *cid)
{
    loading_t *l = arg;
    uint8_t multihash[CID_BINARY_MAX];
    bytes_t key = bytes_of(multihash, cid_encode_multihash(cid, multihash));
    if (cid_is_identity(cid) || key.len > KAD_PROVIDER_KEY_MAX_BYTES)
        return OK;
    l->n_all++;
    kad_key_t at = kad_key_of(key);
    bool is_done = memcmp(at.data, l->provide->sweep.at.data, KAD_KEY_BYTES) < 0;
    return is_done ? OK : key_runs_add(t, l->runs, key);
}

/* They are read again before they are needed. */
static void forget_keys(provide_t *p)
{
    key_runs_free(p->keys);
    p->keys = NULL;
}

/* All keys from the sweep's place on. */
static err_t load_keys(task_t *t, provide_t *p)
{
    routing_t *r = p->routing;
    uint64_t began_ms = task_now_ms(t);
    loading_t l = {p, key_runs_new(r->config.scratch_folder), 0};
    err_t e = r->source(t, r->source_arg, load_cid, &l);
    if (!e)
        e = key_runs_finish(t, l.runs);
    if (e) {
        key_runs_free(l.runs);
        return e;
    }
    forget_keys(p);
    p->keys = l.runs;
    p->stats.keys = l.n_all;
    uint64_t again_ms = (task_now_ms(t) - began_ms) * RELOAD_SHARE;
    p->reload_at_ms = task_now_ms(t) + (again_ms > PROVIDE_RELOAD_MIN_MS ? again_ms : PROVIDE_RELOAD_MIN_MS);
    return OK;
}

/* ── one region ──────────────────────────────────────────────────────────────────────────────── */
/* Moves keys of the region into the batch. */
static err_t take_keys(task_t *t, provide_t *p, const region_t *r, key_batch_t *b)
{
    const run_key_t *key;
    while ((key = key_runs_peek(p->keys)) && kad_prefix_has(&r->prefix, &key->at) && key_batch_add(b, key))
        TRY(key_runs_pop(t, p->keys));
    return OK;
}

static err_t tell_batch(task_t *t, provide_t *p, const region_t *r, key_batch_t *b, announce_figures_t *sum)
{
    announce_figures_t f = {0};
    TRY(announce_tell(t, p->dht, r, b, &f));
    provide_count(p, r, &f);
    sum->keys_taken += f.keys_taken;
    sum->keys_failed += f.keys_failed;
    sum->records += f.records;
    for (size_t i = 0; !p->routing->has_ourselves && i < b->n; i++)
        TRY(provider_store_add(t, &p->routing->providers, bytes_of(b->keys[i].data, b->keys[i].len),
                               host_id(p->routing->host), NULL, 0));
    p->stats.swept_keys += b->n;
    b->n = 0;
    return OK;
}

/* So few keys are looked up one by one. */
static void keep_first(provide_t *p, region_t *r, key_batch_t *b)
{
    static_assert(ANNOUNCE_FEW_KEYS == 2, "one key can be put back");
    if (b->n > 1)
        key_runs_put_back(p->keys, &b->keys[1]);
    b->n = 1;
    region_shrink(r);
}

/* Announces all keys of the region that begins with the next key. */
static err_t announce_region(task_t *t, provide_t *p, region_t *r, key_batch_t *b, announce_figures_t *sum)
{
    TRY(announce_find(t, p->dht, key_runs_peek(p->keys), r));
    p->has_taken = true;
    TRY(take_keys(t, p, r, b));
    if (b->n <= ANNOUNCE_FEW_KEYS && r->prefix.len)
        keep_first(p, r, b);
    TRY(announce_explore(t, p->dht, r, b));
    while (b->n) {
        TRY(tell_batch(t, p, r, b, sum));
        TRY(take_keys(t, p, r, b));
    }
    return sum->keys_taken ? OK : fail(ERR_UNREACHABLE, "nobody took the provider records");
}

static void note_region(provide_t *p, const region_t *r, const announce_figures_t *sum)
{
    provide_stats_t *s = &p->stats;
    if (!s->swept_keys)
        return;
    s->regions_seen++;
    s->prefix_len_sum += r->prefix.len < KAD_KEY_BITS ? r->prefix.len : r->first_prefix_len;
    s->region_peers += r->n_peers;
    s->holders_sum += (double)sum->records / (double)s->swept_keys;
}

static err_t sweep_region(task_t *t, provide_t *p)
{
    region_config_t config;
    region_config_default(&config);
    region_t *r = xcalloc(1, sizeof *r);
    key_batch_t *b = xcalloc(1, sizeof *b);
    announce_figures_t sum = {0};
    uint64_t began_ms = task_now_ms(t);
    region_init(r, &config);
    p->has_taken = false;
    p->stats.swept_regions = 1;
    p->stats.swept_keys = 0;
    err_t e = announce_region(t, p, r, b, &sum);
    if (!e) {
        note_region(p, r, &sum);
        if (sweep_passed(&p->sweep, &r->prefix, sum.keys_taken + sum.keys_failed, task_now_ms(t) - began_ms,
                         driver_wall_ms(task_driver(t))))
            forget_keys(p);
        e = save_place(t, p);
    }
    p->stats.swept_regions = p->stats.swept_keys = 0;
    region_deinit(r);
    free(r);
    free(b);
    return e;
}

/* ── its life ────────────────────────────────────────────────────────────────────────────────── */
/* When the next thing is to be done: a region, or the end of a round whose keys are all done. */
static uint64_t next_due_ms(const provide_t *p)
{
    const run_key_t *key = key_runs_peek(p->keys);
    return key ? sweep_due_ms(&p->sweep, &key->at) : sweep_round_end_ms(&p->sweep);
}

/* Until the wall clock says so; looks at it again from time to time, since it may be set. */
static err_t wait_until_due(task_t *t, provide_t *p)
{
    while (!p->has_missed && task_now_ms(t) < p->reload_at_ms) {
        uint64_t due_ms = next_due_ms(p), now_ms = driver_wall_ms(task_driver(t));
        if (now_ms >= due_ms)
            return OK;
        uint64_t wait_ms = due_ms - now_ms < LOOK_AT_CLOCK_MS ? due_ms - now_ms : LOOK_AT_CLOCK_MS;
        deadline_t d = deadline_push(t, wait_ms);
        err_t e = event_wait(t, &p->changed);
        deadline_pop(t, &d);
        TRY(e == ERR_TIMEOUT ? task_check(t) : e);
    }
    return OK;
}

/* What found no room in the queue goes out with everything else; what is queued goes before. */
static err_t catch_up(task_t *t, provide_t *p)
{
    while (map_count(&p->queue) || p->n_active)
        TRY(event_wait(t, &p->changed));
    p->has_missed = false;
    forget_keys(p);
    sweep_hurry(&p->sweep, driver_wall_ms(task_driver(t)));
    return OK;
}

static err_t next_step(task_t *t, provide_t *p)
{
    TRY(provide_wait_until_ready(t, p));
    if (p->has_missed)
        TRY(catch_up(t, p));
    sweep_resume(&p->sweep, p->sweep.interval_ms, driver_wall_ms(task_driver(t)));
    if (!p->keys || task_now_ms(t) >= p->reload_at_ms)
        TRY(load_keys(t, p));
    TRY(wait_until_due(t, p));
    if (p->has_missed || driver_wall_ms(task_driver(t)) < next_due_ms(p) || task_now_ms(t) >= p->reload_at_ms)
        return OK;
    if (key_runs_peek(p->keys))
        return sweep_region(t, p);
    sweep_end_round(&p->sweep);
    forget_keys(p);
    return save_place(t, p);
}

err_t provide_sweep_task(task_t *t, void *provide)
{
    provide_t *p = provide;
    uint64_t pause_ms = 0;
    if (!p->routing->config.reprovide_interval_ms)
        return OK;
    begin(t, p);
    p->is_sweeping = true;
    while (!p->routing->source)
        TRY(event_wait(t, &p->changed));
    for (;;) {
        err_t e = next_step(t, p);
        TRY(task_check(t));
        if (!e) {
            pause_ms = 0;
            continue;
        }
        log_debug("announcing what this node has was interrupted", LOG_STR("dht", p->dht->name), LOG_ERR(e));
        if (p->has_taken) /* and not announced */
            forget_keys(p);
        pause_ms = pause_ms ? pause_ms * 2 : PROVIDE_RETRY_MIN_MS;
        pause_ms = pause_ms < PROVIDE_RETRY_MAX_MS ? pause_ms : PROVIDE_RETRY_MAX_MS;
        TRY(task_sleep(t, pause_ms));
    }
}

/* ── figures ─────────────────────────────────────────────────────────────────────────────────── */
static void print_prefix(const kad_key_t *key, size_t len, char out[KAD_PREFIX_TEXT_MAX])
{
    size_t n = len < KAD_PREFIX_TEXT_MAX - 1 ? len : KAD_PREFIX_TEXT_MAX - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = key->data[i / 8] >> (7 - i % 8) & 1 ? '1' : '0';
    out[n] = 0;
}

static void fill_schedule(const provide_t *p, uint64_t now_ms, provide_stats_t *s)
{
    const sweep_t *w = &p->sweep;
    const sweep_figures_t *round = w->last.space > 0 ? &w->last : &w->round;
    s->is_sweep_enabled = true;
    s->interval_ms = w->interval_ms;
    s->cycle_start_wall_ms = w->began_ms;
    s->cycle_offset_ms = now_ms > w->began_ms ? now_ms - w->began_ms : 0;
    s->lag_ms = sweep_lag_ms(w, now_ms);
    s->forecast_ms = sweep_forecast_ms(w);
    s->has_done_round = w->has_done_round;
    s->regions = round->space > 0 ? (uint64_t)((double)round->regions / round->space + 0.5) : 0;
    s->round_keys = round->keys;
    s->round_regions = round->regions;
    s->round_busy_ms = round->busy_ms;
    if (s->regions_seen) {
        s->avg_prefix_len = (double)s->prefix_len_sum / (double)s->regions_seen;
        s->avg_region_size = (double)s->region_peers / (double)s->regions_seen;
        s->avg_holders = s->holders_sum / (double)s->regions_seen;
    }
    const run_key_t *next = p->keys ? key_runs_peek(p->keys) : NULL;
    if (next && !s->swept_regions) {
        s->next_at_wall_ms = sweep_due_ms(w, &next->at);
        print_prefix(&next->at, (size_t)(s->avg_prefix_len + 0.5), s->next_prefix);
    }
}

void provide_stats(const provide_t *p, task_t *t, provide_stats_t *ret)
{
    *ret = p->stats;
    ret->is_online = kbucket_count(&p->dht->table) > 0;
    ret->online_since_wall_ms = driver_wall_ms(task_driver(t)) - (task_now_ms(t) - p->dht->online_at);
    ret->queued_keys = map_count(&p->queue);
    if (p->is_sweeping)
        fill_schedule(p, driver_wall_ms(task_driver(t)), ret);
}
