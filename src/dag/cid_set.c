#include "dag/cid_set.h"
#include "base/map.h"
#include "crypto/key.h"
#include <stdlib.h>

#define SET_MIN_CAP 1024
#define FILTER_BITS_PER_ENTRY 16 /* with 8 hashes: one in 2,000 wrong */
#define FILTER_HASHES 8
#define FILTER_FIRST_CAPACITY 4096
#define FILTER_GROWTH 4 /* the last of ten layers holds a thousand million */

/* ── the set ─────────────────────────────────────────────────────────────────────────────────── */
void cid_set_init(cid_set_t *s)
{
    *s = (cid_set_t){0};
    crypto_random(s->keys[0], sizeof s->keys);
}

void cid_set_deinit(cid_set_t *s)
{
    free(s->slots);
    s->slots = NULL;
    s->count = s->cap = 0;
}

/* The slot of a fingerprint: its own or the free one where it belongs. */
static uint64_t *slot_of(uint64_t *slots, size_t cap, uint64_t a, uint64_t b)
{
    size_t at = a & (cap - 1);
    while ((slots[2 * at] || slots[2 * at + 1]) && (slots[2 * at] != a || slots[2 * at + 1] != b))
        at = (at + 1) & (cap - 1);
    return &slots[2 * at];
}

static err_t set_grow(cid_set_t *s)
{
    size_t cap = s->cap ? 2 * s->cap : SET_MIN_CAP;
    uint64_t *slots = calloc(cap, 2 * sizeof *slots);
    if (!slots)
        return fail(ERR_NO_MEMORY, "no memory to remember %zu blocks", s->count);
    for (size_t i = 0; i < s->cap; i++) {
        uint64_t a = s->slots[2 * i], b = s->slots[2 * i + 1];
        if (a || b)
            memcpy(slot_of(slots, cap, a, b), (uint64_t[]){a, b}, 2 * sizeof a);
    }
    free(s->slots);
    s->slots = slots;
    s->cap = cap;
    return OK;
}

static void fingerprint(const cid_set_t *s, const cid_t *cid, uint64_t out[2])
{
    uint8_t raw[8 + CID_BINARY_MAX];
    memcpy(raw, &cid->codec, 8);
    bytes_t key = bytes_of(raw, 8 + cid_encode_multihash(cid, raw + 8));
    out[0] = siphash24(s->keys[0], key);
    out[1] = siphash24(s->keys[1], key) | 1;
}

static err_t set_insert(cid_set_t *s, const uint64_t print[2], bool *ret_is_new)
{
    if (4 * s->count >= 3 * s->cap)
        TRY(set_grow(s));
    uint64_t *slot = slot_of(s->slots, s->cap, print[0], print[1]);
    *ret_is_new = !slot[1];
    if (slot[1])
        return OK;
    if (s->count >= CID_SET_MAX)
        return fail(ERR_LIMIT, "a walk over more than %u blocks", CID_SET_MAX);
    memcpy(slot, print, 2 * sizeof *slot);
    s->count++;
    return OK;
}

err_t cid_set_add(cid_set_t *s, const cid_t *cid, bool *ret_is_new)
{
    uint64_t print[2];
    fingerprint(s, cid, print);
    return set_insert(s, print, ret_is_new);
}

bool cid_set_has(const cid_set_t *s, const cid_t *cid)
{
    uint64_t print[2];
    if (!s->count)
        return false;
    fingerprint(s, cid, print);
    return slot_of(s->slots, s->cap, print[0], print[1])[1];
}

void cid_set_init_like(cid_set_t *s, const cid_set_t *like)
{
    *s = (cid_set_t){0};
    memcpy(s->keys, like->keys, sizeof s->keys);
}

err_t cid_set_merge(cid_set_t *into, const cid_set_t *from)
{
    bool is_new;
    assert(!memcmp(into->keys, from->keys, sizeof into->keys));
    for (size_t i = 0; i < from->cap; i++)
        if (from->slots[2 * i + 1])
            TRY(set_insert(into, &from->slots[2 * i], &is_new));
    return OK;
}

/* ── the filter ──────────────────────────────────────────────────────────────────────────────── */
void cid_filter_init(cid_filter_t *f)
{
    *f = (cid_filter_t){0};
    crypto_random(f->keys[0], sizeof f->keys);
}

void cid_filter_deinit(cid_filter_t *f)
{
    for (size_t i = 0; i < f->n_layers; i++)
        free(f->layers[i].bits);
    f->n_layers = 0;
}

static void filter_hash(const cid_filter_t *f, const cid_t *cid, uint64_t out[2])
{
    uint8_t raw[CID_BINARY_MAX];
    bytes_t key = bytes_of(raw, cid_encode_multihash(cid, raw));
    out[0] = siphash24(f->keys[0], key);
    out[1] = siphash24(f->keys[1], key) | 1;
}

static bool layer_has(const cid_filter_layer_t *l, const uint64_t hash[2])
{
    for (uint64_t i = 0; i < FILTER_HASHES; i++) {
        size_t bit = (hash[0] + i * hash[1]) & (l->n_bits - 1);
        if (!(l->bits[bit / 8] & 1u << bit % 8))
            return false;
    }
    return true;
}

static bool filter_has(const cid_filter_t *f, const uint64_t hash[2])
{
    for (size_t i = f->n_layers; i-- > 0;)
        if (layer_has(&f->layers[i], hash))
            return true;
    return false;
}

/* A layer with room; without memory for a larger one the last is overfilled, which keeps garbage. */
static cid_filter_layer_t *layer_for_add(cid_filter_t *f)
{
    cid_filter_layer_t *last = f->n_layers ? &f->layers[f->n_layers - 1] : NULL;
    if ((last && last->count < last->capacity) || f->n_layers == CID_FILTER_LAYERS)
        return last;
    size_t capacity = last ? last->capacity * FILTER_GROWTH : FILTER_FIRST_CAPACITY;
    cid_filter_layer_t next = {.capacity = capacity, .n_bits = capacity * FILTER_BITS_PER_ENTRY};
    next.bits = last ? calloc(next.n_bits / 8, 1) : xcalloc(next.n_bits / 8, 1);
    if (!next.bits)
        return last;
    f->layers[f->n_layers] = next;
    return &f->layers[f->n_layers++];
}

void cid_filter_add(cid_filter_t *f, const cid_t *cid)
{
    uint64_t hash[2];
    filter_hash(f, cid, hash);
    if (filter_has(f, hash))
        return;
    cid_filter_layer_t *l = layer_for_add(f);
    for (uint64_t i = 0; i < FILTER_HASHES; i++) {
        size_t bit = (hash[0] + i * hash[1]) & (l->n_bits - 1);
        l->bits[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    l->count++;
}

bool cid_filter_may_have(const cid_filter_t *f, const cid_t *cid)
{
    uint64_t hash[2];
    filter_hash(f, cid, hash);
    return filter_has(f, hash);
}
