/* keyspace: a DHT of 10,000 nodes by the engines alone, over a modelled network and stores that are arrays:
 * how many hops and requests a lookup takes as the network grows, and what it costs to announce 1,000,000
 * records of one node and to keep them announced, beside the naive way, which looks up the peers of each
 * record.
 *
 *   keyspace [--nodes N] [--records N] [--seed N]
 *
 * Checked: hops grow with the logarithm of the nodes; each record is held by its 20 true closest peers; the
 * sweep follows its hand through a restart and through nodes that leave; no record is older than the interval
 * and what the sweep lagged. */
#include "logic/sweep.h"
#include "sim/scenarios/check.h"
#include "tests/support/kad_model.h"
#include <stdio.h>
#include <time.h>

enum {
    K = MODEL_K,
    HOUR_MS = 3600 * 1000,
    INTERVAL_MS = 22 * HOUR_MS,
    RECORD_TTL_MS = 48 * HOUR_MS,
    HOP_MS = 400,      /* a round of requests, dials included */
    TIMEOUT_MS = 5000, /* when one of them failed */
    VISIT_MS = 2000,   /* dialing the peers of a region */
    FEW_KEYS = 2,
    RECORDS_PER_MS = 2, /* to all peers of a region together */
};

typedef struct record {
    kad_key_t key;
    uint32_t announced_s[2]; /* virtual time: last, and the one before */
    uint16_t holders[K];     /* of the last announcement: nodes */
    uint8_t n_holders;
} record_t;

typedef struct world {
    model_t *model;
    record_t *records; /* sorted by key */
    size_t n_records, self;
    uint64_t now_ms;
    uint64_t lookups, requests, told, visits, worst_lag_ms;
} world_t;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ── lookups as the network grows ────────────────────────────────────────────────────────────── */
static model_t *grow(size_t n, uint64_t seed)
{
    double began = seconds();
    model_t *m = model_new(n, seed);
    double built = seconds() - began;
    model_figures_t f = model_measure(m, 300);
    size_t log2n = 0;
    while ((size_t)1 << (log2n + 1) <= n)
        log2n++;
    printf("%6zu nodes: %.2f hops (most %zu, log2 %zu), %.1f requests, %.2f%% of the true %d closest; joined "
           "in %.1f "
           "s, %.0f requests a node\n",
           n, f.hops, f.worst_hops, log2n, f.requests, f.overlap * 100, K, built,
           (double)m->requests / (double)n);
    fflush(stdout);
    CHECK(f.worst_hops <= log2n);
    CHECK(f.overlap > 0.99);
    return m;
}

/* ── the sweep ───────────────────────────────────────────────────────────────────────────────── */
static int compare_records(const void *a, const void *b)
{
    return memcmp(((const record_t *)a)->key.data, ((const record_t *)b)->key.data, KAD_KEY_BYTES);
}

/* The first record at or behind the key. */
static size_t first_record(const world_t *w, const kad_key_t *key)
{
    size_t low = 0, high = w->n_records;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(w->records[middle].key.data, key->data, KAD_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t look_up(world_t *w, const kad_key_t *target, peer_id_t got[K], bool *ret_is_all)
{
    lookup_t l;
    model_lookup(w->model, w->self, target, &l);
    size_t n = lookup_closest(&l, true, got, K);
    *ret_is_all = l.end == LOOKUP_STARVED && n < K;
    w->lookups++;
    w->requests += l.n_requests;
    w->now_ms += l.max_hops * HOP_MS + (l.n_failed ? TIMEOUT_MS : 0);
    lookup_deinit(&l);
    return n;
}

/* All peers of the region that begins at this record. */
static void explore(world_t *w, region_t *r, size_t first)
{
    peer_id_t got[K];
    bool is_all;
    size_t n = look_up(w, &w->records[first].key, got, &is_all);
    CHECK(n > 0);
    region_start(r, &w->records[first].key, got, n, is_all);
    size_t few = first + FEW_KEYS;
    if (few >= w->n_records || !kad_prefix_has(&r->prefix, &w->records[few].key))
        region_shrink(r);
    for (kad_prefix_t next; region_next_target(r, &next);) {
        n = look_up(w, &next.key, got, &is_all);
        region_found(r, &next.key, got, n, is_all);
    }
}

static void announce(world_t *w, const region_t *r, record_t *record)
{
    uint16_t peers[REGION_MAX_K];
    size_t n = region_closest(r, &record->key, peers);
    record->announced_s[1] = record->announced_s[0];
    record->announced_s[0] = (uint32_t)(w->now_ms / 1000);
    record->n_holders = 0;
    for (size_t i = 0; i < n; i++) {
        size_t holder = model_index(w->model, &r->peers[peers[i]].peer);
        w->told++;
        if (!w->model->is_dead[holder])
            record->holders[record->n_holders++] = (uint16_t)holder;
    }
}

/* One region; false: the round was ended. */
static bool visit_region(world_t *w, sweep_t *s)
{
    size_t first = first_record(w, &s->at), n = 0;
    if (first == w->n_records) {
        sweep_end_round(s);
        return false;
    }
    uint64_t due_ms = sweep_due_ms(s, &w->records[first].key);
    w->now_ms = w->now_ms < due_ms ? due_ms : w->now_ms;
    uint64_t began_ms = w->now_ms, lag_ms = sweep_lag_ms(s, w->now_ms);
    w->worst_lag_ms = s->has_done_round && lag_ms > w->worst_lag_ms ? lag_ms : w->worst_lag_ms;
    region_config_t config;
    region_config_default(&config);
    region_t r;
    region_init(&r, &config);
    explore(w, &r, first);
    w->now_ms += VISIT_MS;
    w->visits += r.n_peers;
    for (; first + n < w->n_records && kad_prefix_has(&r.prefix, &w->records[first + n].key); n++) {
        announce(w, &r, &w->records[first + n]);
        w->now_ms += n % RECORDS_PER_MS == 0;
    }
    bool has_ended = sweep_passed(s, &r.prefix, n, w->now_ms - began_ms, w->now_ms);
    region_deinit(&r);
    return !has_ended;
}

/* ── what came of it ─────────────────────────────────────────────────────────────────────────── */
/* The share of a sample's true closest peers that hold the record. */
static double held_share(world_t *w, size_t step)
{
    size_t right = 0, n = 0;
    for (size_t i = 0; i < w->n_records; i += step, n++) {
        const record_t *record = &w->records[i];
        peer_id_t holders[K];
        size_t n_alive = 0;
        for (size_t j = 0; j < record->n_holders; j++)
            if (!w->model->is_dead[record->holders[j]])
                holders[n_alive++] = w->model->ids[record->holders[j]];
        right += model_count_closest(w->model, w->self, &record->key, holders, n_alive);
    }
    return (double)right / (double)(n * K);
}

static void report(world_t *w, const char *what, const sweep_t *s)
{
    printf("%s: %llu records in %llu regions, %llu lookups, %llu requests, %llu provider records told on "
           "%llu visits; "
           "forecast %.2f h of %.0f h\n",
           what, (unsigned long long)s->last.keys, (unsigned long long)s->last.regions,
           (unsigned long long)w->lookups, (unsigned long long)w->requests, (unsigned long long)w->told,
           (unsigned long long)w->visits, (double)sweep_forecast_ms(s) / HOUR_MS,
           (double)s->interval_ms / HOUR_MS);
    fflush(stdout);
}

static void compare_with_naive(world_t *w)
{
    enum { SAMPLE = 300 };
    uint64_t lookups = w->lookups, requests = w->requests, messages = requests + w->told;
    uint64_t now_ms = w->now_ms;
    for (size_t i = 0; i < SAMPLE; i++) {
        peer_id_t got[K];
        bool is_all;
        look_up(w, &w->records[w->n_records / SAMPLE * i].key, got, &is_all);
    }
    double per_lookup = (double)(w->requests - requests) / SAMPLE;
    double each_ms = (double)(w->now_ms - now_ms) / SAMPLE + VISIT_MS;
    double naive_requests = per_lookup * (double)w->n_records, naive = naive_requests + (double)w->told;
    printf("the naive way: %zu lookups, %.0f requests (%.1f each), %.0f visits, %.0f h one after the other\n",
           w->n_records, naive_requests, per_lookup, (double)w->told,
           each_ms * (double)w->n_records / HOUR_MS);
    printf("swept: %.2f%% of its lookups, %.3f%% of its requests, %.3f%% of its visits, %.1f%% of all its "
           "messages\n",
           100.0 * (double)lookups / (double)w->n_records, 100.0 * (double)requests / naive_requests,
           100.0 * (double)w->visits / (double)w->told, 100.0 * (double)messages / naive);
    CHECK((double)requests < naive_requests * 0.03 || w->n_records < 50000);
}

static void new_figures(world_t *w)
{
    w->lookups = w->requests = w->told = w->visits = 0;
}

/* A restart in the middle of a round: what is written down is all that is kept. */
static void restart(world_t *w, sweep_t *s, uint64_t off_ms)
{
    uint8_t raw[SWEEP_STATE_BYTES];
    sweep_encode(s, raw);
    w->now_ms += off_ms;
    CHECK(sweep_decode(s, bytes_of(raw, sizeof raw)));
    sweep_resume(s, INTERVAL_MS, w->now_ms);
}

static void run_rounds(world_t *w)
{
    model_t *m = w->model;
    sweep_t s;
    sweep_init(&s, INTERVAL_MS, w->now_ms);
    uint64_t began_ms = w->now_ms;
    while (visit_region(w, &s))
        ;
    double first_h = (double)(w->now_ms - began_ms) / HOUR_MS, share = held_share(w, 997);
    report(w, "the first round", &s);
    printf("  took %.2f h, %.2f%% of the true closest peers hold their records\n", first_h, share * 100);
    CHECK(s.last.keys == w->n_records);
    CHECK(share > 0.99);
    compare_with_naive(w);

    /* the second round follows the hand; the node is restarted in the middle of it, an hour off */
    new_figures(w);
    for (size_t i = 0; visit_region(w, &s); i++)
        if (i == 100)
            restart(w, &s, HOUR_MS);
    report(w, "the second round", &s);
    uint32_t oldest_s = 0, newest_s = UINT32_MAX;
    for (size_t i = 0; i < w->n_records; i++) {
        uint32_t age_s = w->records[i].announced_s[0] - w->records[i].announced_s[1];
        CHECK(w->records[i].announced_s[1] != 0); /* each came again */
        oldest_s = age_s > oldest_s ? age_s : oldest_s;
        newest_s = age_s < newest_s ? age_s : newest_s;
    }
    printf("  announced again after %.2f to %.2f h; the most it lagged %.2f h\n", newest_s / 3600.0,
           oldest_s / 3600.0, (double)w->worst_lag_ms / HOUR_MS);
    CHECK((uint64_t)oldest_s * 1000 <= INTERVAL_MS / 8 * 9 + w->worst_lag_ms + HOUR_MS);
    CHECK((uint64_t)oldest_s * 1000 < RECORD_TTL_MS);

    /* a fifth of the network leaves */
    for (size_t i = 0; i < m->n; i += 5)
        m->is_dead[i] = i != w->self;
    model_sort(m);
    printf("a fifth of the nodes left: %.2f%% of the true closest peers hold their records, ",
           held_share(w, 997) * 100);
    new_figures(w);
    while (visit_region(w, &s))
        ;
    share = held_share(w, 997);
    printf("%.2f%% after the next round\n", share * 100);
    report(w, "the third round", &s);
    CHECK(share > 0.97);
}

int main(int argc, char **argv)
{
    size_t nodes = 10000, records = 1000000;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--nodes"))
            nodes = value;
        else if (!strcmp(argv[i], "--records"))
            records = value;
        else if (!strcmp(argv[i], "--seed"))
            seed = value;
        else
            return fprintf(stderr, "usage: keyspace [--nodes N] [--records N] [--seed N]\n"), 2;
    }
    if (nodes > 60000 || nodes < 64 || records < 1000)
        return fprintf(stderr, "64 to 60,000 nodes, at least 1,000 records\n"), 2;
    for (size_t n = nodes / 16; n < nodes; n *= 4)
        model_free(grow(n, seed));
    world_t w = {
        .model = grow(nodes, seed), .n_records = records, .now_ms = UINT64_C(100) * 24 * HOUR_MS, .self = 1};
    w.records = xcalloc(records, sizeof *w.records);
    for (size_t i = 0; i < records; i++)
        prng_fill(&w.model->rng, w.records[i].key.data, KAD_KEY_BYTES);
    qsort(w.records, records, sizeof *w.records, compare_records);
    run_rounds(&w);
    free(w.records);
    model_free(w.model);
    return 0;
}
