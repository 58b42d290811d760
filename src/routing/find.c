/* Finding providers and peers: both DHTs in parallel, results merged, each given once. */
#include "routing/delegated.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

enum { SEEN_MAX = 10000, HOMELESS_MAX = 16 };

/* ── providers ───────────────────────────────────────────────────────────────────────────────── */
typedef struct provider_search {
    routing_t *routing;
    bytes_t key;
    size_t max;
    provider_fn fn;
    hop_fn hop;
    void *arg;
    map_t seen;
    routed_peer_t *found; /* scratch: too large for a frame */
    bool is_over;
    size_t n_given;
    peer_id_t homeless[HOMELESS_MAX]; /* providers whose addresses nobody told: looked for at the end */
    size_t n_homeless;
} provider_search_t;

/* Is the address of a provider of any use to us? Loopback ones only when they are wanted. */
static bool is_dialable(const routing_t *r, const multiaddr_t *addr)
{
    return r->config.loopback_on_lan || !multiaddr_is_loopback(addr);
}

static void add_known_addrs(provider_search_t *s)
{
    routed_peer_t *p = s->found;
    if (peer_id_equal(&p->id, host_id(s->routing->host)))
        p->n_addrs = host_addrs(s->routing->host, p->addrs, ARRAY_LEN(p->addrs));
    else if (!p->n_addrs)
        p->n_addrs = peerstore_addrs(host_peerstore(s->routing->host), &p->id, p->addrs, ARRAY_LEN(p->addrs));
}

static bool hand_over(provider_search_t *s)
{
    s->n_given++;
    s->is_over = !s->fn(s->arg, s->found) || (s->max && s->n_given >= s->max);
    return !s->is_over;
}

/* Gives s->found, unless that provider was given before. False: enough. */
static bool give_provider(provider_search_t *s)
{
    bytes_t id = peer_id_bytes(&s->found->id);
    if (s->is_over)
        return false;
    if (map_has(&s->seen, id))
        return true;
    if (map_put(&s->seen, id, s, NULL))
        return !(s->is_over = true);
    add_known_addrs(s);
    if (!s->found->n_addrs && s->n_homeless < HOMELESS_MAX) {
        s->homeless[s->n_homeless++] = s->found->id;
        return true;
    }
    return hand_over(s);
}

static bool on_own_record(void *arg, const provider_t *p)
{
    provider_search_t *s = arg;
    s->found->id = p->id;
    s->found->n_addrs = 0;
    for (size_t i = 0; i < p->n_addrs && s->found->n_addrs < ARRAY_LEN(s->found->addrs); i++)
        s->found->addrs[s->found->n_addrs++] = p->addrs[i];
    return give_provider(s);
}

static bool on_providers(void *arg, dht_t *d, const peer_id_t *from, const kad_message_t *m)
{
    provider_search_t *s = arg;
    kad_peer_t p;
    size_t n = 0;
    for (size_t i = 0; n < KAD_MAX_PROVIDERS && kad_next_peer(m, KAD_PROVIDERS, &i, &p); n++) {
        s->found->id = p.id;
        s->found->n_addrs = 0;
        for (size_t j = 0, tried = 0;
             tried < KAD_MAX_ADDRS && s->found->n_addrs < ARRAY_LEN(s->found->addrs) &&
             kad_next_addr(&p, &j, &s->found->addrs[s->found->n_addrs]);
             tried++)
            s->found->n_addrs += is_dialable(s->routing, &s->found->addrs[s->found->n_addrs]);
        if (s->found->n_addrs)
            peerstore_add_addrs(host_peerstore(d->host), &p.id, s->found->addrs, s->found->n_addrs,
                                ADDR_TTL_TEMP_MS);
        if (s->hop) {
            lookup_hop_t hop = {.kind = HOP_PROVIDER, .peer = p.id, .dht = d->name};
            s->hop(s->arg, &hop);
        }
        if (!give_provider(s))
            return false;
    }
    return true;
}

static err_t search_providers(task_t *t, dht_t *d, size_t index, void *arg)
{
    provider_search_t *s = arg;
    lookup_result_t *result = xcalloc(1, sizeof *result);
    lookup_job_t job = {.dht = d,
                        .type = KAD_GET_PROVIDERS,
                        .key = s->key,
                        .on_answer = on_providers,
                        .hop = s->hop,
                        .arg = s,
                        .hop_arg = s->arg};
    err_t e = lookup_run(t, &job, result);
    free(result);
    return e;
}

/* A router's word: the addresses are kept for a while as those that peers tell. */
static bool on_delegated(void *arg, const routed_peer_t *p)
{
    provider_search_t *s = arg;
    s->found->id = p->id;
    s->found->n_addrs = 0;
    for (size_t i = 0; i < p->n_addrs; i++)
        if (is_dialable(s->routing, &p->addrs[i]))
            s->found->addrs[s->found->n_addrs++] = p->addrs[i];
    if (s->found->n_addrs)
        peerstore_add_addrs(host_peerstore(s->routing->host), &p->id, s->found->addrs, s->found->n_addrs,
                            ADDR_TTL_TEMP_MS);
    return give_provider(s);
}

static err_t ask_router(task_t *t, const char *router, void *arg)
{
    provider_search_t *s = arg;
    return delegated_providers(t, router, s->key, on_delegated, s);
}

/* The routers and the DHTs beside each other. */
static err_t search_everywhere(task_t *t, provider_search_t *s)
{
    group_t g;
    group_init(&g, s->routing->sched);
    routing_ask_routers(&g, s->routing, ask_router, s);
    err_t e = routing_for_each_dht(t, s->routing, search_providers, s);
    if (s->is_over)
        group_cancel(&g);
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    return joined ? joined : e;
}

/* Records outlive the addresses in them (24 h): then the DHT is asked where the provider is. */
static err_t find_homeless(task_t *t, provider_search_t *s)
{
    for (size_t i = 0; i < s->n_homeless && !s->is_over; i++) {
        err_t e = routing_find_peer(t, s->routing, &s->homeless[i], s->found);
        if (e == ERR_CANCELED || e == ERR_TIMEOUT)
            return e;
        s->found->id = s->homeless[i];
        if (e)
            s->found->n_addrs = 0;
        hand_over(s);
    }
    return OK;
}

err_t routing_find_providers(task_t *t, routing_t *r, const cid_t *cid, size_t max, provider_fn fn,
                             hop_fn hop, void *arg)
{
    uint8_t multihash[CID_BINARY_MAX];
    if (!r)
        return OK;
    provider_search_t s = {.routing = r,
                           .key = bytes_of(multihash, cid_encode_multihash(cid, multihash)),
                           .max = max,
                           .fn = fn,
                           .hop = hop,
                           .arg = arg};
    if (s.key.len > KAD_PROVIDER_KEY_MAX_BYTES)
        return fail(ERR_INVALID, "a multihash of %zu bytes has no providers", s.key.len);
    s.found = xcalloc(1, sizeof *s.found);
    map_init(&s.seen, SEEN_MAX);
    if (routing_has_ourselves(t, r, s.key)) {
        s.found->id = *host_id(r->host);
        give_provider(&s);
    }
    err_t e = s.is_over ? OK : provider_store_get(t, &r->providers, s.key, on_own_record, &s);
    if (!e && !s.is_over)
        e = search_everywhere(t, &s);
    if (e != ERR_CANCELED && e != ERR_TIMEOUT && !s.is_over)
        e = find_homeless(t, &s);
    map_deinit(&s.seen);
    free(s.found);
    /* no table, or nobody answered: nothing was found, which is no failure of the search */
    return e == ERR_CANCELED || e == ERR_TIMEOUT ? e : OK;
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
static err_t search_peer(task_t *t, dht_t *d, size_t index, void *arg)
{
    const peer_id_t *wanted = arg;
    lookup_result_t *result = xcalloc(1, sizeof *result);
    lookup_job_t job = {.dht = d, .type = KAD_FIND_NODE, .key = peer_id_bytes(wanted), .wanted = wanted};
    err_t e = lookup_run(t, &job, result);
    free(result);
    return e;
}

static bool has_addrs(routing_t *r, const peer_id_t *peer, routed_peer_t *ret)
{
    ret->id = *peer;
    ret->n_addrs = peerstore_addrs(host_peerstore(r->host), peer, ret->addrs, ARRAY_LEN(ret->addrs));
    return ret->n_addrs > 0;
}

typedef struct peer_search {
    routing_t *routing;
    const peer_id_t *wanted;
    bool is_found; /* a router knew it */
    group_t dhts;
} peer_search_t;

static err_t ask_router_for_peer(task_t *t, const char *router, void *arg)
{
    peer_search_t *s = arg;
    routed_peer_t *found = xcalloc(1, sizeof *found);
    err_t e = delegated_peer(t, router, s->wanted, found);
    if (!e && found->n_addrs) {
        peerstore_add_addrs(host_peerstore(s->routing->host), s->wanted, found->addrs, found->n_addrs,
                            ADDR_TTL_TEMP_MS);
        s->is_found = true;
        group_cancel(&s->dhts); /* the lookup would find out the same */
    }
    free(found);
    return e;
}

static err_t search_dhts(task_t *t, void *arg)
{
    peer_search_t *s = arg;
    return routing_for_each_dht(t, s->routing, search_peer, (void *)s->wanted);
}

/* The routers and the DHTs beside each other; who is first ends the others. */
static err_t search_peer_everywhere(task_t *t, routing_t *r, const peer_id_t *peer)
{
    peer_search_t s = {.routing = r, .wanted = peer};
    group_t routers;
    group_init(&s.dhts, r->sched);
    group_init(&routers, r->sched);
    routing_ask_routers(&routers, r, ask_router_for_peer, &s);
    err_t e = group_spawn(&s.dhts, "find-peer", search_dhts, &s, NULL);
    if (!e)
        e = group_join(t, &s.dhts);
    if (host_is_connected(r->host, peer))
        group_cancel(&routers);
    err_t joined = group_join(t, &routers);
    group_deinit(&routers);
    group_deinit(&s.dhts);
    TRY(task_check(t));
    return s.is_found ? OK : joined == ERR_TIMEOUT ? joined : e;
}

/* The answers of the lookup put addresses into the peerstore, and the peer itself, being the closest to its
 * own key, is asked as soon as it is heard of: when that connects, its addresses are known to be right. */
err_t routing_find_peer(task_t *t, routing_t *r, const peer_id_t *peer, routed_peer_t *ret)
{
    if (!r)
        return fail(ERR_NOT_FOUND, "routing: not found");
    if (peer_id_equal(peer, host_id(r->host)))
        return fail(ERR_INVALID, "this is our own peer id");
    routed_peer_t *found = xcalloc(1, sizeof *found);
    err_t e = OK;
    if (!host_is_connected(r->host, peer) || !has_addrs(r, peer, found))
        e = search_peer_everywhere(t, r, peer);
    if (e != ERR_CANCELED && has_addrs(r, peer, found)) {
        *ret = *found;
        e = OK;
    } else if (!e) {
        char text[PEER_ID_TEXT_MAX];
        e = fail(ERR_NOT_FOUND, "no peer knows an address of %s", peer_id_print(peer, text));
    }
    free(found);
    return e;
}

/* ── closest peers ───────────────────────────────────────────────────────────────────────────── */
typedef struct closest_search {
    bytes_t key;
    lookup_result_t results[2];
} closest_search_t;

static err_t search_closest(task_t *t, dht_t *d, size_t index, void *arg)
{
    closest_search_t *s = arg;
    lookup_job_t job = {.dht = d, .type = KAD_FIND_NODE, .key = s->key};
    return lookup_run(t, &job, &s->results[index]);
}

/* Merges two sorted lists; a peer that is in both comes once. */
static size_t merge_closest(const closest_search_t *s, peer_id_t *out, size_t cap)
{
    kad_key_t target = kad_key_of(s->key);
    const lookup_result_t *a = &s->results[0], *b = &s->results[1];
    size_t i = 0, j = 0, n = 0;
    while (n < cap && (i < a->n_closest || j < b->n_closest)) {
        int order = i == a->n_closest ? 1 : -1;
        if (i < a->n_closest && j < b->n_closest) {
            kad_key_t ka = kad_key_of_peer(&a->closest[i]), kb = kad_key_of_peer(&b->closest[j]);
            order = kad_compare_distance(&target, &ka, &kb);
        }
        out[n++] = order <= 0 ? a->closest[i] : b->closest[j];
        i += order <= 0;
        j += order >= 0;
    }
    return n;
}

err_t routing_closest_peers(task_t *t, routing_t *r, bytes_t key, routed_peer_t *out, size_t cap,
                            size_t *ret_n)
{
    if (!r)
        return fail(ERR_UNSUPPORTED, "routing service is not a DHT");
    if (!key.len || key.len > KAD_KEY_MAX_BYTES)
        return fail(ERR_INVALID, "a key has 1 to %d bytes", KAD_KEY_MAX_BYTES);
    closest_search_t *s = xcalloc(1, sizeof *s);
    s->key = key;
    err_t e = routing_for_each_dht(t, r, search_closest, s);
    peer_id_t ids[DHT_K];
    size_t n = e ? 0 : merge_closest(s, ids, cap < DHT_K ? cap : DHT_K);
    free(s);
    TRY(e);
    for (size_t i = 0; i < n; i++) {
        out[i].id = ids[i];
        out[i].n_addrs =
            peerstore_addrs(host_peerstore(r->host), &ids[i], out[i].addrs, ARRAY_LEN(out[i].addrs));
    }
    *ret_n = n;
    return OK;
}
