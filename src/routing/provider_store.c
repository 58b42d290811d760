#include "routing/provider_store.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"
#include "task/driver.h"
#include <stdlib.h>

static const char SPACE[] = "dht-providers";
enum {
    PENDING_MAX = 256,
    FLUSH_AFTER_MS = 1000,
    SWEEP_EVERY_MS = 3600 * 1000,
    FIRST_SWEEP_MS = 60 * 1000,
    RECORD_VERSION = 1,
    RECORD_MAX_BYTES = 16 + PROVIDER_ADDRS * (2 + MULTIADDR_MAX_BYTES),
    KEY_MAX_BYTES = KAD_KEY_BYTES + PEER_ID_MAX_BYTES
};

void provider_limits_default(provider_limits_t *ret)
{
    *ret = (provider_limits_t){.max_per_key = 1000,
                               .max_per_peer = 20000,
                               .max_total = 200000,
                               .ttl_ms = UINT64_C(48) * 3600 * 1000,
                               .addr_ttl_ms = UINT64_C(24) * 3600 * 1000};
}

void provider_store_init(provider_store_t *s, kv_t *kv, sched_t *sched, const peer_id_t *self,
                         const provider_limits_t *limits)
{
    *s = (provider_store_t){.kv = kv, .sched = sched, .self = *self, .limits = *limits};
    map_init(&s->pending, PENDING_MAX);
    map_init(&s->by_peer, limits->max_total);
    event_init(&s->has_pending);
}

typedef struct pending {
    uint64_t serial;
    buf_t value;
} pending_t;

static void free_record(pending_t *p)
{
    if (!p)
        return;
    buf_deinit(&p->value);
    free(p);
}

static void free_pending(provider_store_t *s)
{
    void *value;
    for (size_t i = 0; map_next(&s->pending, &i, NULL, &value);)
        free_record(value);
    map_deinit(&s->pending);
}

void provider_store_deinit(provider_store_t *s)
{
    if (!s->kv)
        return;
    free_pending(s);
    map_deinit(&s->by_peer);
    s->kv = NULL;
}

size_t provider_store_count(const provider_store_t *s)
{
    return s->total;
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
static size_t key_of(bytes_t multihash, const peer_id_t *peer, uint8_t out[KEY_MAX_BYTES])
{
    kad_key_t key = kad_key_of(multihash);
    memcpy(out, key.data, KAD_KEY_BYTES);
    if (peer->len)
        memcpy(out + KAD_KEY_BYTES, peer->data, peer->len);
    return KAD_KEY_BYTES + peer->len;
}

static err_t encode(buf_t *out, uint64_t wall_ms, const multiaddr_t *addrs, size_t n)
{
    writer_t w = writer_to(out);
    write_u8(&w, RECORD_VERSION);
    write_u64be(&w, wall_ms);
    write_u8(&w, (uint8_t)n);
    for (size_t i = 0; i < n; i++)
        write_length_prefixed(&w, multiaddr_bytes(&addrs[i]));
    return w.err;
}

static err_t decode_time(reader_t *r, uint64_t *ret_wall_ms)
{
    if (read_u8(r) != RECORD_VERSION)
        reader_fail(r, ERR_CORRUPT);
    *ret_wall_ms = read_u64be(r);
    return r->err;
}

/* Whether the clock says that a record of then is too old; a clock that went back does not expire any. */
static bool is_older(uint64_t then_ms, uint64_t now_ms, uint64_t age_ms)
{
    return now_ms > then_ms && now_ms - then_ms > age_ms;
}

static bool decode_provider(const provider_store_t *s, bytes_t key, bytes_t value, uint64_t now_ms,
                            provider_t *ret)
{
    reader_t r = reader_of(value);
    uint64_t then_ms;
    ret->n_addrs = 0;
    if (key.len <= KAD_KEY_BYTES || decode_time(&r, &then_ms) ||
        peer_id_decode(bytes_slice(key, KAD_KEY_BYTES, key.len), &ret->id) ||
        is_older(then_ms, now_ms, s->limits.ttl_ms))
        return false;
    if (is_older(then_ms, now_ms, s->limits.addr_ttl_ms))
        return true;
    for (size_t left = read_u8(&r); left && ret->n_addrs < PROVIDER_ADDRS; left--) {
        bytes_t raw = read_length_prefixed(&r, MULTIADDR_MAX_BYTES);
        if (r.err)
            break;
        if (!multiaddr_decode(raw, &ret->addrs[ret->n_addrs]))
            ret->n_addrs++;
    }
    return true;
}

/* ── adding ──────────────────────────────────────────────────────────────────────────────────── */
static size_t count_of(const provider_store_t *s, const peer_id_t *peer)
{
    return (size_t)(uintptr_t)map_get(&s->by_peer, peer_id_bytes(peer));
}

static void count_record(provider_store_t *s, bytes_t peer)
{
    if (bytes_equal(peer, peer_id_bytes(&s->self)))
        return;
    size_t n = (size_t)(uintptr_t)map_get(&s->by_peer, peer) + 1;
    s->total++;
    if (map_put(&s->by_peer, peer, (void *)(uintptr_t)n, NULL))
        log_debug("provider counts are full"); /* the cap in total is near and holds */
}

static size_t pending_of_key(const provider_store_t *s, bytes_t prefix)
{
    size_t n = 0;
    bytes_t key;
    for (size_t i = 0; map_next(&s->pending, &i, &key, NULL);)
        n += bytes_starts_with(key, prefix);
    return n;
}

/* May one more record be kept? */
static err_t check_caps(task_t *t, provider_store_t *s, bytes_t prefix, const peer_id_t *peer)
{
    if (peer_id_equal(peer, &s->self))
        return OK;
    if (s->total >= s->limits.max_total)
        return fail(ERR_LIMIT, "the provider store has its %zu records", s->limits.max_total);
    if (count_of(s, peer) >= s->limits.max_per_peer)
        return fail(ERR_LIMIT, "a provider has its %zu records", s->limits.max_per_peer);
    uint64_t n = 0;
    TRY(kv_count(t, s->kv, SPACE, prefix, &n));
    if (n + pending_of_key(s, prefix) >= s->limits.max_per_key)
        return fail(ERR_LIMIT, "a key has its %zu providers", s->limits.max_per_key);
    return OK;
}

err_t provider_store_add(task_t *t, provider_store_t *s, bytes_t multihash, const peer_id_t *peer,
                         const multiaddr_t *addrs, size_t n_addrs)
{
    uint8_t raw[KEY_MAX_BYTES];
    bytes_t key = bytes_of(raw, key_of(multihash, peer, raw));
    bool is_known = map_has(&s->pending, key) || kv_has(t, s->kv, SPACE, key);
    if (!is_known)
        TRY(check_caps(t, s, bytes_of(raw, KAD_KEY_BYTES), peer));
    while (map_count(&s->pending) >= PENDING_MAX)
        TRY(provider_store_flush(t, s));
    pending_t *record = xcalloc(1, sizeof *record);
    record->serial = ++s->serial;
    buf_init(&record->value, RECORD_MAX_BYTES);
    err_t e = encode(&record->value, driver_wall_ms(task_driver(t)), addrs,
                     n_addrs < PROVIDER_ADDRS ? n_addrs : PROVIDER_ADDRS);
    void *old = NULL;
    if (!e)
        e = map_put(&s->pending, key, record, &old);
    free_record(e ? record : old);
    TRY(e);
    if (!is_known)
        count_record(s, peer_id_bytes(peer));
    event_fire(&s->has_pending);
    return OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct reading {
    provider_store_t *store;
    bool (*fn)(void *arg, const provider_t *p);
    void *arg;
    provider_t *provider; /* scratch: too large for a frame */
    uint64_t now_ms;
    bool is_stopped;
} reading_t;

static err_t visit_stored(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    reading_t *r = arg;
    if (!map_has(&r->store->pending, key) && decode_provider(r->store, key, value, r->now_ms, r->provider) &&
        !r->fn(r->arg, r->provider)) {
        r->is_stopped = true;
        return ERR_CANCELED; /* ends the scan */
    }
    return OK;
}

err_t provider_store_get(task_t *t, provider_store_t *s, bytes_t multihash,
                         bool (*fn)(void *arg, const provider_t *p), void *arg)
{
    kad_key_t prefix = kad_key_of(multihash);
    bytes_t prefix_bytes = bytes_of(prefix.data, KAD_KEY_BYTES);
    reading_t r = {s, fn, arg, xcalloc(1, sizeof(provider_t)), driver_wall_ms(task_driver(t)), false};
    bytes_t key;
    void *value;
    for (size_t i = 0; !r.is_stopped && map_next(&s->pending, &i, &key, &value);)
        if (bytes_starts_with(key, prefix_bytes) &&
            decode_provider(s, key, buf_bytes(&((pending_t *)value)->value), r.now_ms, r.provider))
            r.is_stopped = !fn(arg, r.provider);
    err_t e = OK;
    if (!r.is_stopped)
        e = kv_scan(t, s->kv, SPACE, &(kv_range_t){.prefix = prefix_bytes}, visit_stored, &r);
    free(r.provider);
    return r.is_stopped ? OK : e;
}

/* ── keeping house ───────────────────────────────────────────────────────────────────────────── */
typedef struct written {
    uint8_t key[KEY_MAX_BYTES];
    size_t key_len;
    uint64_t serial;
} written_t;

/* What was written stops pending, unless it was announced again meanwhile. */
static void drop_written(provider_store_t *s, const written_t *written, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bytes_t key = bytes_of(written[i].key, written[i].key_len);
        pending_t *p = map_get(&s->pending, key);
        if (p && p->serial == written[i].serial)
            free_record(map_remove(&s->pending, key));
    }
}

err_t provider_store_flush(task_t *t, provider_store_t *s)
{
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    size_t n = 0, count = map_count(&s->pending);
    if (!count)
        return OK;
    written_t *written = xcalloc(count, sizeof *written);
    bytes_t key;
    void *value;
    err_t e = OK;
    for (size_t i = 0; !e && map_next(&s->pending, &i, &key, &value);) {
        pending_t *p = value;
        memcpy(written[n].key, key.data, key.len);
        written[n].key_len = key.len;
        written[n++].serial = p->serial;
        e = kv_batch_put(&batch, SPACE, key, buf_bytes(&p->value));
    }
    if (!e)
        e = kv_commit(t, s->kv, &batch);
    if (!e)
        drop_written(s, written, n);
    free(written);
    return e;
}

typedef struct sweep {
    provider_store_t *store;
    kv_batch_t expired;
    uint64_t now_ms;
} sweep_t;

static err_t visit_for_sweep(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    sweep_t *w = arg;
    reader_t r = reader_of(value);
    uint64_t then_ms;
    if (key.len <= KAD_KEY_BYTES || decode_time(&r, &then_ms) ||
        is_older(then_ms, w->now_ms, w->store->limits.ttl_ms)) {
        TRY(kv_batch_delete(&w->expired, SPACE, key));
        return w->expired.count >= 1000 ? kv_commit(t, w->store->kv, &w->expired) : OK;
    }
    count_record(w->store, bytes_slice(key, KAD_KEY_BYTES, key.len));
    return OK;
}

err_t provider_store_sweep(task_t *t, provider_store_t *s)
{
    TRY(provider_store_flush(t, s));
    sweep_t w = {.store = s, .now_ms = driver_wall_ms(task_driver(t))};
    kv_batch_init(&w.expired);
    map_deinit(&s->by_peer);
    map_init(&s->by_peer, s->limits.max_total);
    s->total = 0;
    err_t e = kv_scan(t, s->kv, SPACE, NULL, visit_for_sweep, &w);
    if (!e)
        e = kv_commit(t, s->kv, &w.expired);
    kv_batch_deinit(&w.expired);
    return e;
}

static err_t wait_for_pending(task_t *t, provider_store_t *s, uint64_t until_ms)
{
    uint64_t now_ms = task_now_ms(t);
    deadline_t d = deadline_push(t, until_ms > now_ms ? until_ms - now_ms : 0);
    err_t e = OK;
    while (!e && !map_count(&s->pending))
        e = event_wait(t, &s->has_pending);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? task_check(t) : e;
}

static err_t keep_house(task_t *t, provider_store_t *s)
{
    uint64_t sweep_at_ms = task_now_ms(t) + FIRST_SWEEP_MS;
    for (;;) {
        TRY(wait_for_pending(t, s, sweep_at_ms));
        if (task_now_ms(t) >= sweep_at_ms) {
            sweep_at_ms = task_now_ms(t) + SWEEP_EVERY_MS;
            err_t e = provider_store_sweep(t, s);
            if (e)
                log_warn("provider records not swept", LOG_ERR(e));
            continue;
        }
        TRY(task_sleep(t, FLUSH_AFTER_MS));
        err_t e = provider_store_flush(t, s);
        if (e)
            log_warn("provider records not stored", LOG_ERR(e));
    }
}

err_t provider_store_task(task_t *t, void *store)
{
    provider_store_t *s = store;
    err_t e = keep_house(t, s);
    task_shield(t);
    err_t flushed = provider_store_flush(t, s);
    task_unshield(t);
    if (flushed)
        log_warn("provider records not stored", LOG_ERR(flushed));
    return e;
}
