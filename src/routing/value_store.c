#include "routing/value_store.h"
#include "base/reader.h"
#include "base/writer.h"
#include "task/driver.h"
#include <stdlib.h>

static const char SPACE[] = "dht-values";
enum { RECORD_VERSION = 1, RECORD_MAX_BYTES = VALUE_MAX_BYTES + VALUE_KEY_MAX_BYTES + 32 };
enum { QUOTA_WINDOW_MS = 3600 * 1000, QUOTA_PEERS = 4096, COUNT_AGAIN_MS = 60 * 1000 };

void value_limits_default(value_limits_t *ret)
{
    *ret = (value_limits_t){.max_per_peer = 200, .max_total = 20000, .ttl_ms = UINT64_C(48) * 3600 * 1000};
}

/* ── /pk/ ────────────────────────────────────────────────────────────────────────────────────── */
#define PK_PREFIX "/pk/"

static err_t validate_public_key(void *arg, bytes_t key, bytes_t value)
{
    peer_id_t id;
    TRY(peer_id_decode(bytes_slice(key, sizeof PK_PREFIX - 1, key.len), &id));
    public_key_t *k = xcalloc(1, sizeof *k);
    err_t e = public_key_decode(value, k);
    if (!e && !peer_id_matches(&id, k))
        e = fail(ERR_CRYPTO, "a /pk/ record holds another key than its name says");
    free(k);
    return e;
}

static int select_public_key(void *arg, bytes_t key, bytes_t a, bytes_t b)
{
    return 0; /* both are the one key */
}

/* ── validators ──────────────────────────────────────────────────────────────────────────────── */
void value_store_init(value_store_t *s, kv_t *kv, const value_limits_t *limits)
{
    *s = (value_store_t){.kv = kv, .limits = *limits};
    map_init(&s->by_peer, QUOTA_PEERS);
    record_validator_t pk = {validate_public_key, select_public_key, NULL};
    if (value_store_set_validator(s, "pk", &pk))
        assert(!"the first namespace has room");
}

void value_store_deinit(value_store_t *s)
{
    if (s->kv)
        map_deinit(&s->by_peer);
    s->kv = NULL;
}

err_t value_store_set_validator(value_store_t *s, const char *name_space, const record_validator_t *v)
{
    size_t i = 0;
    while (i < s->n_spaces && strcmp(s->spaces[i].name, name_space) != 0)
        i++;
    if (i == VALUE_MAX_NAMESPACES || strlen(name_space) >= VALUE_NAMESPACE_CHARS)
        return fail(ERR_LIMIT, "no room for a validator of /%s/", name_space);
    memcpy(s->spaces[i].name, name_space, strlen(name_space) + 1);
    s->spaces[i].validator = *v;
    s->n_spaces += i == s->n_spaces;
    return OK;
}

/* The validator of "/NAMESPACE/rest"; NULL when there is none. */
static const record_validator_t *validator_of(const value_store_t *s, bytes_t key)
{
    for (size_t i = 0; i < s->n_spaces; i++) {
        size_t len = strlen(s->spaces[i].name);
        if (key.len > len + 2 && key.data[0] == '/' && key.data[len + 1] == '/' &&
            memcmp(key.data + 1, s->spaces[i].name, len) == 0)
            return &s->spaces[i].validator;
    }
    return NULL;
}

err_t value_store_validate(const value_store_t *s, bytes_t key, bytes_t value)
{
    const record_validator_t *v = validator_of(s, key);
    if (!v)
        return fail(ERR_UNSUPPORTED, "records of this namespace are not taken");
    if (key.len > VALUE_KEY_MAX_BYTES || value.len > VALUE_MAX_BYTES)
        return fail(ERR_LIMIT, "a record of %zu bytes is longer than %d", value.len, VALUE_MAX_BYTES);
    return v->validate(v->arg, key, value);
}

bool value_store_is_better(const value_store_t *s, bytes_t key, bytes_t a, bytes_t b)
{
    const record_validator_t *v = validator_of(s, key);
    return v && v->select(v->arg, key, a, b) < 0;
}

/* ── storing ─────────────────────────────────────────────────────────────────────────────────── */
/* Each peer may bring so many new records in an hour. */
static err_t charge_quota(task_t *t, value_store_t *s, const peer_id_t *from)
{
    if (task_now_ms(t) >= s->window_ends_ms) {
        map_deinit(&s->by_peer);
        map_init(&s->by_peer, QUOTA_PEERS);
        s->window_ends_ms = task_now_ms(t) + QUOTA_WINDOW_MS;
    }
    size_t n = (size_t)(uintptr_t)map_get(&s->by_peer, peer_id_bytes(from));
    if (n >= s->limits.max_per_peer)
        return fail(ERR_LIMIT, "a peer has put %zu records in an hour", n);
    return map_put(&s->by_peer, peer_id_bytes(from), (void *)(uintptr_t)(n + 1), NULL);
}

typedef struct expiry {
    value_store_t *store;
    kv_batch_t expired;
    uint64_t now_ms;
} expiry_t;

static bool is_expired(const value_store_t *s, uint64_t then_ms, uint64_t now_ms)
{
    return now_ms > then_ms && now_ms - then_ms > s->limits.ttl_ms;
}

static err_t visit_for_count(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    expiry_t *x = arg;
    reader_t r = reader_of(value);
    bool is_known = read_u8(&r) == RECORD_VERSION;
    uint64_t then_ms = read_u64be(&r);
    if (r.err || !is_known || is_expired(x->store, then_ms, x->now_ms))
        return kv_batch_delete(&x->expired, SPACE, key);
    x->store->total++;
    return OK;
}

/* Counts what is there, without what has expired; at the first put, and when the store is full, now and then:
 * each time it reads all records. */
static err_t count_anew(task_t *t, value_store_t *s)
{
    expiry_t x = {.store = s, .now_ms = driver_wall_ms(task_driver(t))};
    kv_batch_init(&x.expired);
    s->total = 0;
    err_t e = kv_scan(t, s->kv, SPACE, NULL, visit_for_count, &x);
    if (!e)
        e = kv_commit(t, s->kv, &x.expired);
    kv_batch_deinit(&x.expired);
    s->is_counted = !e;
    s->count_again_ms = task_now_ms(t) + COUNT_AGAIN_MS;
    return e;
}

static err_t check_room(task_t *t, value_store_t *s)
{
    bool is_full = s->total >= s->limits.max_total;
    if (!s->is_counted || (is_full && task_now_ms(t) >= s->count_again_ms))
        TRY(count_anew(t, s));
    if (s->total >= s->limits.max_total)
        return fail(ERR_LIMIT, "the value store has its %zu records", s->limits.max_total);
    return OK;
}

err_t value_store_put(task_t *t, value_store_t *s, const peer_id_t *from, bytes_t key, bytes_t value)
{
    TRY(value_store_validate(s, key, value));
    AUTO(buf_t) record;
    buf_init(&record, RECORD_MAX_BYTES);
    uint64_t then_ms;
    err_t known = value_store_get(t, s, key, &record, &then_ms);
    if (known && known != ERR_NOT_FOUND)
        return known;
    if (!known && value_store_is_better(s, key, buf_bytes(&record), value))
        return fail(ERR_EXISTS, "a better record is known");
    if (known && from->len) { /* what others bring never keeps out our own */
        TRY(charge_quota(t, s, from));
        TRY(check_room(t, s));
    }
    buf_clear(&record);
    writer_t w = writer_to(&record);
    write_u8(&w, RECORD_VERSION);
    write_u64be(&w, driver_wall_ms(task_driver(t)));
    write_length_prefixed(&w, key);
    write_bytes(&w, value);
    TRY(w.err);
    kad_key_t at = kad_key_of(key);
    TRY(kv_put(t, s->kv, SPACE, bytes_of(at.data, KAD_KEY_BYTES), buf_bytes(&record)));
    s->total += known != OK;
    return OK;
}

err_t value_store_get(task_t *t, value_store_t *s, bytes_t key, buf_t *out, uint64_t *ret_wall_ms)
{
    AUTO(buf_t) record;
    buf_init(&record, RECORD_MAX_BYTES);
    kad_key_t at = kad_key_of(key);
    TRY(kv_get(t, s->kv, SPACE, bytes_of(at.data, KAD_KEY_BYTES), &record));
    reader_t r = reader_of(buf_bytes(&record));
    bool is_known = read_u8(&r) == RECORD_VERSION;
    uint64_t then_ms = read_u64be(&r);
    bytes_t stored_key = read_length_prefixed(&r, VALUE_KEY_MAX_BYTES), value = read_rest(&r);
    if (r.err || !is_known || !bytes_equal(stored_key, key) ||
        is_expired(s, then_ms, driver_wall_ms(task_driver(t))))
        return fail(ERR_NOT_FOUND, "no such record");
    if (value_store_validate(s, key, value)) /* an IPNS record that has run out in the meantime */
        return fail(ERR_NOT_FOUND, "no such record: it is not valid any more");
    buf_clear(out);
    TRY(buf_append(out, value));
    *ret_wall_ms = then_ms;
    return OK;
}
