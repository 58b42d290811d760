#include "routing/announce.h"
#include "base/prng.h"
#include "routing/lookup_task.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

bool key_batch_add(key_batch_t *b, const run_key_t *key)
{
    if (b->n == ANNOUNCE_BATCH_MAX)
        return false;
    b->n_taken[b->n] = 0;
    b->keys[b->n++] = *key;
    return true;
}

/* ── finding the peers ───────────────────────────────────────────────────────────────────────── */
static err_t look_up(task_t *t, dht_t *d, bytes_t preimage, lookup_result_t *ret, bool *ret_is_all)
{
    lookup_job_t job = {.dht = d, .type = KAD_FIND_NODE, .key = preimage};
    TRY(lookup_run(t, &job, ret));
    *ret_is_all = ret->end == LOOKUP_STARVED && ret->n_closest < DHT_K;
    return ret->n_closest ? OK : fail(ERR_UNREACHABLE, "no peer of the %s DHT answered", d->name);
}

/* Bits of the subtree in which k honest peers are to be expected. */
static size_t honest_prefix_len(task_t *t, const dht_t *d)
{
    size_t len = 0;
    for (double n = netsize_estimate(&d->size, task_now_ms(t)); n >= 2 * DHT_K; n /= 2)
        len++;
    return len;
}

err_t announce_find(task_t *t, dht_t *d, const run_key_t *key, region_t *ret)
{
    multiaddr_t *addr = xcalloc(1, sizeof *addr);
    bool has_addr = dht_addrs_of(d, &d->self, addr, 1) > 0;
    free(addr);
    if (!has_addr)
        return fail(ERR_UNREACHABLE, "this node has no address that the %s DHT takes", d->name);
    lookup_result_t *found = xcalloc(1, sizeof *found);
    bool is_all;
    err_t e = look_up(t, d, bytes_of(key->data, key->len), found, &is_all);
    if (!e) {
        region_start(ret, &key->at, found->closest, found->n_closest, is_all);
        if (found->is_crowded)
            region_widen(ret, honest_prefix_len(t, d));
    }
    free(found);
    return e;
}

/* Bytes whose key lies in the prefix, found by trying. */
typedef struct search {
    kad_prefix_t prefix;
    prng_t rng;
    peer_id_t found;
    bool is_found;
} search_t;

static void search_preimage(void *arg)
{
    enum { MAX_TRIES = 1 << 21 };
    search_t *s = arg;
    s->found = (peer_id_t){.len = 34, .data = {0x12, 32}};
    for (size_t i = 0; i < MAX_TRIES && !s->is_found; i++) {
        prng_fill(&s->rng, s->found.data + 2, 32);
        kad_key_t key = kad_key_of_peer(&s->found);
        s->is_found = kad_prefix_has(&s->prefix, &key);
    }
}

static err_t explore_part(task_t *t, dht_t *d, region_t *r, const kad_prefix_t *part, const key_batch_t *keys)
{
    lookup_result_t *found = xcalloc(1, sizeof *found);
    bool is_all;
    const run_key_t *ours = NULL;
    for (size_t i = 0; !ours && i < keys->n; i++)
        if (kad_prefix_has(part, &keys->keys[i].at))
            ours = &keys->keys[i];
    search_t s = {.prefix = *part};
    if (!ours) {
        prng_seed(&s.rng, driver_random_u64(task_driver(t)));
        work(t, search_preimage, &s);
    }
    err_t e =
        ours || s.is_found
            ? look_up(t, d, ours ? bytes_of(ours->data, ours->len) : peer_id_bytes(&s.found), found, &is_all)
            : ERR_NOT_FOUND;
    if (!e) {
        kad_key_t target = ours ? ours->at : kad_key_of_peer(&s.found);
        region_found(r, &target, found->closest, found->n_closest, is_all);
    } else {
        region_failed(r, part);
    }
    free(found);
    return task_check(t); /* what was found so far is of use all the same */
}

err_t announce_explore(task_t *t, dht_t *d, region_t *r, const key_batch_t *keys)
{
    for (kad_prefix_t part; region_next_target(r, &part);)
        TRY(explore_part(t, d, r, &part, keys));
    return OK;
}

/* ── telling them ────────────────────────────────────────────────────────────────────────────── */
typedef struct visits {
    dht_t *dht;
    const region_t *region;
    key_batch_t *batch;
    uint16_t *lists; /* of each peer: the batch's keys that it is told, ANNOUNCE_BATCH_MAX places apart */
    uint16_t *counts;
    multiaddr_t *addrs;
    size_t n_addrs, records, reachable;
} visits_t;
typedef struct visit {
    visits_t *all;
    size_t peer;
} visit_t;

static err_t encode_record(const visits_t *v, const run_key_t *key, buf_t *out)
{
    buf_clear(out);
    writer_t w = writer_to(out);
    kad_put_head(&w, KAD_ADD_PROVIDER, bytes_of(key->data, key->len));
    kad_put_peer(&w, KAD_PROVIDERS, &v->dht->self, v->addrs, v->n_addrs, KAD_CONNECTED);
    return w.err;
}

/* All keys of one peer. */
static err_t visit_task(task_t *t, void *arg)
{
    visit_t visit = *(visit_t *)arg;
    free(arg);
    visits_t *v = visit.all;
    const peer_id_t *peer = &v->region->peers[visit.peer].peer;
    const uint16_t *list = v->lists + visit.peer * ANNOUNCE_BATCH_MAX;
    AUTO(buf_t) message;
    buf_init(&message, KAD_REQUEST_MAX_BYTES);
    for (size_t i = 0; i < v->counts[visit.peer]; i++) {
        TRY(encode_record(v, &v->batch->keys[list[i]], &message));
        v->dht->stats->messages_out++;
        TRY(dht_client_tell(t, &v->dht->client, peer, buf_bytes(&message)));
        v->batch->n_taken[list[i]]++;
        v->records++;
        v->reachable += i == 0;
    }
    return OK;
}

static err_t visit_all(task_t *t, visits_t *v)
{
    group_t g;
    group_init(&g, v->dht->sched);
    err_t e = OK;
    for (size_t i = 0; !e && i < v->region->n_peers; i++) {
        if (!v->counts[i])
            continue;
        visit_t *visit = xcalloc(1, sizeof *visit);
        *visit = (visit_t){v, i};
        if (group_spawn(&g, "dht-tell", visit_task, visit, NULL))
            free(visit);
        e = group_wait_below(t, &g, ANNOUNCE_VISITS);
    }
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    return e || joined == ERR_CANCELED || joined == ERR_TIMEOUT ? task_check(t)
                                                                : OK; /* some peers may fail */
}

static void allot(visits_t *v)
{
    for (size_t i = 0; i < v->batch->n; i++) {
        uint16_t closest[REGION_MAX_K];
        size_t n = region_closest(v->region, &v->batch->keys[i].at, closest);
        for (size_t j = 0; j < n; j++)
            v->lists[closest[j] * (size_t)ANNOUNCE_BATCH_MAX + v->counts[closest[j]]++] = (uint16_t)i;
    }
}

err_t announce_tell(task_t *t, dht_t *d, const region_t *r, key_batch_t *keys, announce_figures_t *ret)
{
    visits_t v = {
        .dht = d, .region = r, .batch = keys, .addrs = xcalloc(DHT_ADDRS_PER_PEER, sizeof *v.addrs)};
    v.lists = xmalloc((r->n_peers + 1) * ANNOUNCE_BATCH_MAX * sizeof *v.lists);
    v.counts = xcalloc(r->n_peers + 1, sizeof *v.counts);
    v.n_addrs = dht_addrs_of(d, &d->self, v.addrs, DHT_ADDRS_PER_PEER);
    allot(&v);
    err_t e = visit_all(t, &v);
    *ret = (announce_figures_t){.records = v.records, .reachable = v.reachable};
    for (size_t i = 0; i < r->n_peers; i++)
        ret->peers += v.counts[i] > 0;
    for (size_t i = 0; i < keys->n; i++) {
        ret->keys_taken += keys->n_taken[i] > 0;
        ret->keys_failed += !keys->n_taken[i];
    }
    free(v.lists);
    free(v.counts);
    free(v.addrs);
    return e;
}
