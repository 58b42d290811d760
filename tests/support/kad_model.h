/* kad_model: a network of the Kademlia engines alone: tables and lookups without a wire. Requests are calls;
 * answers come in a random order, from one seed. */
#ifndef TESTS_SUPPORT_KAD_MODEL_H
#define TESTS_SUPPORT_KAD_MODEL_H
#include "base/prng.h"
#include "crypto/hash.h"
#include "logic/kbucket.h"
#include "logic/lookup.h"
#include <stdlib.h>

enum { MODEL_K = 20 };
typedef struct model {
    size_t n, alive;
    peer_id_t *ids;
    kad_key_t *keys;
    kbucket_t *tables;
    bool *is_dead;
    kad_key_t *sorted; /* the keys of those who live; rebuilt by model_sort */
    size_t n_sorted;
    map_t index;
    prng_t rng;
    uint64_t requests; /* that were ever made */
    lookup_config_t config;
} model_t;

static inline peer_id_t model_peer(uint64_t n)
{
    peer_id_t id = {.len = 34, .data = {0x12, 32}};
    sha256_of(bytes_of(&n, sizeof n), id.data + 2);
    return id;
}

static inline size_t model_index(model_t *m, const peer_id_t *id)
{
    return (size_t)(uintptr_t)map_get(&m->index, peer_id_bytes(id)) - 1;
}

/* Runs one lookup of node `from`; both ends of each request learn of each other. Fills the lookup, for its
 * figures. */
static inline void model_lookup(model_t *m, size_t from, const kad_key_t *target, lookup_t *l)
{
    lookup_init(l, &m->config, target, &m->ids[from]);
    peer_id_t seeds[MODEL_K], waiting[16];
    lookup_start(l, seeds, kbucket_closest(&m->tables[from], target, NULL, seeds, MODEL_K));
    size_t n_waiting = 0;
    for (;;) {
        lookup_event_t e;
        while (lookup_next_event(l, 0, &e)) {
            if (e.kind == LOOKUP_EVENT_DONE)
                return;
            waiting[n_waiting++] = e.peer;
        }
        assert(n_waiting > 0);
        size_t pick = prng_below(&m->rng, n_waiting);
        peer_id_t who = waiting[pick];
        waiting[pick] = waiting[--n_waiting];
        size_t to = model_index(m, &who);
        m->requests++;
        if (m->is_dead[to]) {
            lookup_fail(l, &who);
            kbucket_remove(&m->tables[from], &who);
            continue;
        }
        peer_id_t closer[MODEL_K];
        size_t n = kbucket_closest(&m->tables[to], target, &m->ids[from], closer, MODEL_K);
        lookup_answer(l, &who, closer, n);
        kbucket_add(&m->tables[from], &who, 0, false, 1);
        kbucket_add(&m->tables[to], &m->ids[from], 0, false, 1);
    }
}

/* What a node does when it joins and from time to time: it looks for itself and for some random keys. */
static inline void model_refresh(model_t *m, size_t node, size_t buckets)
{
    lookup_t l;
    model_lookup(m, node, &m->keys[node], &l);
    lookup_deinit(&l);
    for (size_t i = 0; i < buckets; i++) {
        kad_key_t target;
        prng_fill(&m->rng, target.data, sizeof target.data);
        model_lookup(m, node, &target, &l);
        lookup_deinit(&l);
    }
}

static inline int model_compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, KAD_KEY_BYTES);
}

static inline void model_sort(model_t *m)
{
    m->n_sorted = 0;
    for (size_t i = 0; i < m->n; i++)
        if (!m->is_dead[i])
            m->sorted[m->n_sorted++] = m->keys[i];
    m->alive = m->n_sorted;
    qsort(m->sorted, m->n_sorted, sizeof *m->sorted, model_compare_keys);
}

/* n nodes, each joined through one that was there already, by a lookup for itself and one refresh. */
static inline model_t *model_new(size_t n, uint64_t seed)
{
    model_t *m = xcalloc(1, sizeof *m);
    *m = (model_t){.n = n,
                   .ids = xcalloc(n, sizeof *m->ids),
                   .keys = xcalloc(n, sizeof *m->keys),
                   .tables = xcalloc(n, sizeof *m->tables),
                   .is_dead = xcalloc(n, sizeof *m->is_dead),
                   .sorted = xcalloc(n, sizeof *m->sorted)};
    prng_seed(&m->rng, seed);
    map_init(&m->index, n);
    lookup_config_default(&m->config);
    kbucket_config_t config;
    kbucket_config_default(&config);
    for (size_t i = 0; i < n; i++) {
        m->ids[i] = model_peer(i);
        m->keys[i] = kad_key_of_peer(&m->ids[i]);
        kbucket_init(&m->tables[i], &config, &m->ids[i]);
        err_t e = map_put(&m->index, peer_id_bytes(&m->ids[i]), (void *)(uintptr_t)(i + 1), NULL);
        assert(!e);
        if (i)
            kbucket_add(&m->tables[i], &m->ids[prng_below(&m->rng, i)], 0, false, 1);
        model_refresh(m, i, 1);
    }
    model_sort(m);
    return m;
}

static inline void model_free(model_t *m)
{
    for (size_t i = 0; i < m->n; i++)
        kbucket_deinit(&m->tables[i]);
    map_deinit(&m->index);
    free(m->ids);
    free(m->keys);
    free(m->tables);
    free(m->is_dead);
    free(m->sorted);
    free(m);
}

/* The true k-th distance to a target, of those who live: who is at most so far away is one of the k closest.
 * except: the key of the node that asks, which is not counted. */
static inline kad_key_t model_kth_distance(const model_t *m, const kad_key_t *target, const kad_key_t *except)
{
    kad_key_t best[MODEL_K];
    size_t n = 0, low = 0, high = m->n_sorted;
    /* all who share the longest prefix that k of them share with the target */
    for (size_t len = KAD_KEY_BITS; len-- && high - low > 0;) {
        size_t from = 0, to = m->n_sorted, count = 0;
        kad_key_t first = *target, last = *target;
        for (size_t i = len; i < KAD_KEY_BITS; i++) {
            first.data[i / 8] = (uint8_t)(first.data[i / 8] & ~(1 << (7 - i % 8)));
            last.data[i / 8] = (uint8_t)(last.data[i / 8] | 1 << (7 - i % 8));
        }
        while (from < to) {
            size_t middle = (from + to) / 2;
            if (memcmp(m->sorted[middle].data, first.data, KAD_KEY_BYTES) < 0)
                from = middle + 1;
            else
                to = middle;
        }
        for (count = from;
             count < m->n_sorted && memcmp(m->sorted[count].data, last.data, KAD_KEY_BYTES) <= 0;)
            count++;
        if (count - from > MODEL_K || !len) {
            low = from;
            high = count;
            break;
        }
        if (len > 16)
            len = 17; /* no k keys share more */
    }
    for (size_t i = low; i < high; i++) {
        if (except && kad_key_equal(&m->sorted[i], except))
            continue;
        kad_key_t d = kad_distance(target, &m->sorted[i]);
        size_t at = n;
        while (at && memcmp(d.data, best[at - 1].data, KAD_KEY_BYTES) < 0)
            at--;
        if (at == MODEL_K)
            continue;
        memmove(&best[at + 1], &best[at], ((n < MODEL_K ? n : MODEL_K - 1) - at) * sizeof *best);
        best[at] = d;
        n += n < MODEL_K;
    }
    return n ? best[n - 1] : (kad_key_t){0};
}

/* How many of these are truly among the k closest. */
static inline size_t model_count_closest(const model_t *m, size_t from, const kad_key_t *target,
                                         const peer_id_t *got, size_t n)
{
    kad_key_t limit = model_kth_distance(m, target, &m->keys[from]);
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        kad_key_t key = kad_key_of_peer(&got[i]), d = kad_distance(target, &key);
        right += memcmp(d.data, limit.data, KAD_KEY_BYTES) <= 0;
    }
    return right;
}

typedef struct model_figures {
    double exact, overlap, hops, requests;
    size_t worst_hops;
} model_figures_t;

/* Lookups of random nodes for random keys. */
static inline model_figures_t model_measure(model_t *m, size_t lookups)
{
    model_figures_t f = {0};
    for (size_t i = 0; i < lookups; i++) {
        size_t from;
        do
            from = prng_below(&m->rng, m->n);
        while (m->is_dead[from]);
        kad_key_t target;
        prng_fill(&m->rng, target.data, sizeof target.data);
        lookup_t l;
        model_lookup(m, from, &target, &l);
        peer_id_t got[MODEL_K];
        size_t n = lookup_closest(&l, true, got, MODEL_K);
        size_t right = model_count_closest(m, from, &target, got, n);
        f.exact += right == MODEL_K;
        f.overlap += (double)right / MODEL_K;
        f.hops += (double)l.max_hops;
        f.requests += (double)l.n_requests;
        f.worst_hops = l.max_hops > f.worst_hops ? l.max_hops : f.worst_hops;
        lookup_deinit(&l);
    }
    f.exact /= (double)lookups;
    f.overlap /= (double)lookups;
    f.hops /= (double)lookups;
    f.requests /= (double)lookups;
    return f;
}
#endif
