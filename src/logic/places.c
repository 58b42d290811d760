#include "logic/places.h"
#include <stdlib.h>

enum { LEVELS = 2, KEY_MAX = 10, SWEEP_SHARE = 4 };

typedef struct place {
    uint32_t n_open, n_pending;
    double tokens;
    uint64_t at_ms; /* up to when tokens were given */
} place_t;

typedef struct place_key {
    uint8_t bytes[KEY_MAX];
    size_t len;
} place_key_t;

/* level 0: the place itself; 1: the network around it. */
static place_key_t key_of(const net_addr_t *a, size_t level)
{
    bytes_t place = net_addr_place(a);
    bool is_ip4 = place.len == 4;
    size_t n = place.len - (is_ip4 ? level : 2 * level);
    place_key_t k = {.bytes = {is_ip4 ? 4 : 6, (uint8_t)n}, .len = 2 + n};
    memcpy(k.bytes + 2, place.data, n);
    return k;
}

static place_t *find(const places_t *p, const net_addr_t *a, size_t level)
{
    place_key_t k = key_of(a, level);
    return map_get(&p->table, bytes_of(k.bytes, k.len));
}

static size_t scaled(size_t n, size_t level)
{
    return level && n <= SIZE_MAX / PLACES_WIDE ? n * PLACES_WIDE : n;
}

void places_init(places_t *p, const places_config_t *config)
{
    *p = (places_t){.config = *config};
    map_init(&p->table, config->max_places);
}

void places_deinit(places_t *p)
{
    void *at;
    for (size_t i = 0; map_next(&p->table, &i, NULL, &at);)
        free(at);
    map_deinit(&p->table);
}

size_t places_count(const places_t *p)
{
    return map_count(&p->table);
}

static void refill(const places_t *p, place_t *at, size_t level, uint64_t now_ms)
{
    double max = (double)scaled(p->config.new_at_once, level);
    if (now_ms > at->at_ms)
        at->tokens += (double)(now_ms - at->at_ms) / 1000 * p->config.new_per_s * (level ? PLACES_WIDE : 1);
    at->at_ms = now_ms > at->at_ms ? now_ms : at->at_ms;
    at->tokens = at->tokens < max ? at->tokens : max;
}

static bool is_idle(const place_t *at)
{
    return !at->n_open && !at->n_pending;
}

/* Forgets places without connections: those whose bucket is full; when that is not enough, all of them. */
static void sweep(places_t *p, uint64_t now_ms)
{
    size_t enough = p->config.max_places - p->config.max_places / SWEEP_SHARE;
    for (int round = 0; round < 2 && map_count(&p->table) > enough; round++) {
        bytes_t key;
        void *value;
        for (size_t i = 0; map_next(&p->table, &i, &key, &value);) {
            place_t *at = value;
            size_t level = key.data[1] != (key.data[0] == 4 ? 4 : 8);
            refill(p, at, level, now_ms);
            if (!is_idle(at) || (!round && at->tokens < (double)scaled(p->config.new_at_once, level)))
                continue;
            map_remove(&p->table, key);
            free(at);
        }
    }
}

static err_t get(places_t *p, const net_addr_t *a, size_t level, uint64_t now_ms, place_t **ret)
{
    place_t *at = find(p, a, level);
    if (!at) {
        place_key_t k = key_of(a, level);
        if (map_count(&p->table) >= p->config.max_places)
            sweep(p, now_ms);
        at = xcalloc(1, sizeof *at);
        at->tokens = (double)scaled(p->config.new_at_once, level);
        at->at_ms = now_ms;
        err_t e = map_put(&p->table, bytes_of(k.bytes, k.len), at, NULL);
        if (e) {
            free(at);
            return fail(e, "connections from %zu places, the limit", p->config.max_places);
        }
    }
    refill(p, at, level, now_ms);
    *ret = at;
    return OK;
}

static err_t check(const places_t *p, const place_t *at, size_t level)
{
    const places_config_t *c = &p->config;
    const char *where = level ? "the network around one address" : "one address";
    if (at->n_open >= scaled(c->max_open, level))
        return fail(ERR_LIMIT, "%u connections from %s are open (raise Swarm.Inbound.ConnsPerIP)", at->n_open,
                    where);
    if (at->n_pending >= scaled(c->max_pending, level))
        return fail(ERR_LIMIT, "%u connections from %s are being set up", at->n_pending, where);
    if (c->new_per_s > 0 && at->tokens < 1)
        return fail(ERR_LIMIT,
                    "connections from %s come faster than %g a second (raise "
                    "Swarm.Inbound.NewConnsPerSecond)",
                    where, c->new_per_s * (level ? PLACES_WIDE : 1));
    return OK;
}

err_t places_begin(places_t *p, const net_addr_t *from, uint64_t now_ms)
{
    place_t *wide, *at;
    if (net_addr_is_loopback(from))
        return OK;
    TRY(get(p, from, 1, now_ms, &wide));
    wide->n_pending++; /* the search for room must not take it along */
    err_t e = get(p, from, 0, now_ms, &at);
    wide->n_pending--;
    TRY(e);
    TRY(check(p, at, 0));
    TRY(check(p, wide, 1));
    at->n_pending++;
    wide->n_pending++;
    if (p->config.new_per_s > 0) {
        at->tokens--;
        wide->tokens--;
    }
    return OK;
}

void places_opened(places_t *p, const net_addr_t *from)
{
    for (size_t i = 0; i < LEVELS && !net_addr_is_loopback(from); i++) {
        place_t *at = find(p, from, i);
        assert(at && at->n_pending);
        at->n_pending--;
        at->n_open++;
    }
}

/* Without a bucket there is nothing to remember once its connections are gone. */
void places_ended(places_t *p, const net_addr_t *from, bool was_open)
{
    for (size_t i = 0; i < LEVELS && !net_addr_is_loopback(from); i++) {
        place_t *at = find(p, from, i);
        uint32_t *n = was_open ? &at->n_open : &at->n_pending;
        assert(*n);
        --*n;
        place_key_t k = key_of(from, i);
        if (is_idle(at) && p->config.new_per_s <= 0)
            free(map_remove(&p->table, bytes_of(k.bytes, k.len)));
    }
}

bool places_is_busy(places_t *p, const net_addr_t *from, uint64_t now_ms)
{
    if (p->config.new_per_s <= 0 || net_addr_is_loopback(from))
        return false;
    for (size_t i = 0; i < LEVELS; i++) {
        place_t *at = find(p, from, i);
        if (!at)
            continue;
        refill(p, at, i, now_ms);
        if (at->tokens * 2 < (double)scaled(p->config.new_at_once, i))
            return true;
    }
    return false;
}
