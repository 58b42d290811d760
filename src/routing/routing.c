#include "routing/routing.h"
#include "base/log.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

void routing_config_default(routing_config_t *ret)
{
    *ret = (routing_config_t){.mode = DHT_MODE_AUTO,
                              .has_wan = true,
                              .has_lan = true,
                              .reprovide_interval_ms = 22u * 3600 * 1000,
                              .provider_ttl_ms = 48u * 3600 * 1000};
}

/* ── both DHTs ───────────────────────────────────────────────────────────────────────────────── */
typedef struct branch {
    dht_t *dht;
    size_t index;
    per_dht_fn fn;
    void *arg;
    err_t result;
    error_slot_t why;
} branch_t;

static err_t branch_task(task_t *t, void *arg)
{
    branch_t *b = arg;
    b->result = b->fn(t, b->dht, b->index, b->arg);
    if (b->result)
        b->why = *error_slot();
    return OK; /* one DHT that fails does not end the other */
}

err_t routing_for_each_dht(task_t *t, routing_t *r, per_dht_fn fn, void *arg)
{
    branch_t *branches = xcalloc(2, sizeof *branches);
    group_t g;
    group_init(&g, r->sched);
    for (size_t i = 0; i < r->n_dhts; i++) {
        branches[i] = (branch_t){.dht = &r->dhts[i], .index = i, .fn = fn, .arg = arg};
        branches[i].result = group_spawn(&g, "dht-lookup", branch_task, &branches[i], NULL);
    }
    err_t e = group_join(t, &g);
    group_deinit(&g);
    bool is_any_ok = false;
    for (size_t i = 0; i < r->n_dhts; i++)
        is_any_ok |= branches[i].result == OK;
    const branch_t *says = NULL; /* the error of a DHT that has peers says more than that of an empty one */
    for (size_t i = 0; i < r->n_dhts; i++)
        if (!says || kbucket_count(&branches[i].dht->table))
            says = &branches[i];
    if (!e && !is_any_ok && says)
        e = fail(says->result, "%s", says->why.text[0] ? says->why.text : error_text(says->result));
    free(branches);
    if (!e && !r->n_dhts)
        return fail(ERR_OFFLINE, "no DHT is enabled");
    return e;
}

bool routing_has_peers(const routing_t *r)
{
    return routing_table_size(r) > 0;
}

/* ── news of the host ────────────────────────────────────────────────────────────────────────── */
static void meet(routing_t *r, const peer_id_t *peer, conn_t *conn)
{
    for (size_t i = 0; i < r->n_dhts; i++)
        dht_meet(&r->dhts[i], peer, conn);
}

static void on_identified(void *arg, conn_t *c)
{
    meet(arg, conn_peer(c), c);
}

static void on_protocols_changed(void *arg, const peer_id_t *peer)
{
    routing_t *r = arg;
    meet(r, peer, host_conn(r->host, peer));
}

/* Do we listen on a public address ourselves? */
static bool is_public(const routing_t *r)
{
    enum { CAP = 16 };
    multiaddr_t *addrs = xcalloc(CAP, sizeof *addrs);
    size_t n = host_listen_addrs(r->host, addrs, CAP);
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= !multiaddr_is_private(&addrs[i]);
    free(addrs);
    return found;
}

/* Can others reach us over the WAN? While nothing is found out, a public address of ours says so. */
static bool is_reachable(const routing_t *r)
{
    reachability_t known = host_reachability(r->host);
    return known == REACHABILITY_UNKNOWN ? is_public(r) : known == REACHABILITY_PUBLIC;
}

/* AUTO: the LAN is always served, the WAN when others can reach us. */
static err_t set_modes(routing_t *r)
{
    for (size_t i = 0; i < r->n_dhts; i++) {
        dht_t *d = &r->dhts[i];
        bool serves = r->config.mode == DHT_MODE_SERVER ||
                      (r->config.mode == DHT_MODE_AUTO && (d->is_lan || is_reachable(r)));
        if (serves)
            TRY(dht_serve(d));
        else
            dht_stop_serving(d);
    }
    return OK;
}

static void on_addrs_changed(void *arg)
{
    err_t e = set_modes(arg);
    if (e)
        log_warn("DHT mode not changed", LOG_ERR(e));
}

static void on_reachability_changed(void *arg, reachability_t now)
{
    on_addrs_changed(arg);
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
static void init_parts(routing_t *r, host_t *h, const routing_config_t *c)
{
    *r = (routing_t){.host = h, .sched = host_sched(h), .config = *c};
    group_init(&r->tasks, r->sched);
    event_init(&r->changed);
    provider_limits_t provider_limits;
    provider_limits_default(&provider_limits);
    provider_limits.ttl_ms = c->provider_ttl_ms;
    provider_store_init(&r->providers, c->state, r->sched, host_id(h), &provider_limits);
    value_limits_t value_limits;
    value_limits_default(&value_limits);
    value_store_init(&r->values, c->state, &value_limits);
    if (c->has_mesh)
        dht_init(&r->dhts[r->n_dhts++], r, h, DHT_MESH, true);
    if (c->has_wan && !c->has_mesh)
        dht_init(&r->dhts[r->n_dhts++], r, h, DHT_WAN, false);
    if (c->has_lan && !c->has_mesh)
        dht_init(&r->dhts[r->n_dhts++], r, h, DHT_LAN, c->loopback_on_lan);
    for (size_t i = 0; i < r->n_dhts; i++)
        provide_init(&r->provides[i], r, &r->dhts[i]);
    r->listener = (host_listener_t){.identified = on_identified,
                                    .protocols_changed = on_protocols_changed,
                                    .addrs_changed = on_addrs_changed,
                                    .reachability_changed = on_reachability_changed,
                                    .arg = r};
    host_add_listener(h, &r->listener);
}

static err_t start_tasks(routing_t *r)
{
    TRY(group_spawn(&r->tasks, "dht-providers", provider_store_task, &r->providers, NULL));
    TRY(group_spawn(&r->tasks, "dht-remembered", remembered_peers_task, r, NULL));
    for (size_t i = 0; i < r->n_dhts; i++) {
        dht_t *d = &r->dhts[i];
        TRY(group_spawn(&r->tasks,
                        d->is_mesh  ? "dht-mesh"
                        : d->is_lan ? "dht-lan"
                                    : "dht-wan",
                        dht_maintain_task, d, NULL));
        TRY(group_spawn(&r->tasks, "dht-check", dht_check_task, d, NULL));
        TRY(group_spawn(&r->tasks, "provide-queue", provide_queue_task, &r->provides[i], NULL));
        TRY(group_spawn(&r->tasks, "provide-sweep", provide_sweep_task, &r->provides[i], NULL));
    }
    return OK;
}

static err_t router_task(task_t *t, void *arg)
{
    per_router_t p = *(per_router_t *)arg;
    free(arg);
    err_t e = p.fn(t, p.router, p.arg);
    if (e && e != ERR_NOT_FOUND && e != ERR_UNSUPPORTED && e != ERR_CANCELED)
        log_debug("a router was of no help", LOG_STR("router", p.router), LOG_ERR(e));
    return OK;
}

static void ask_all(group_t *g, routing_t *r, char *const *urls, size_t n,
                    err_t (*fn)(task_t *, const char *, void *), void *arg)
{
    for (size_t i = 0; i < n; i++) {
        per_router_t *p = xcalloc(1, sizeof *p);
        *p = (per_router_t){r, fn, arg, urls[i]};
        if (group_spawn(g, "router", router_task, p, NULL))
            free(p);
    }
}

void routing_ask_routers(group_t *g, routing_t *r, err_t (*fn)(task_t *, const char *, void *), void *arg)
{
    ask_all(g, r, r->delegated, r->n_delegated, fn, arg);
}

void routing_ask_publishers(group_t *g, routing_t *r, err_t (*fn)(task_t *, const char *, void *), void *arg)
{
    ask_all(g, r, r->publishers, r->n_publishers, fn, arg);
}

err_t routing_start(task_t *t, host_t *h, const routing_config_t *c, routing_t **ret)
{
    routing_t *r = xcalloc(1, sizeof *r);
    init_parts(r, h, c);
    for (size_t i = 0; i < c->n_delegated; i++)
        r->delegated[r->n_delegated++] = xstrdup(c->delegated[i]);
    for (size_t i = 0; i < c->n_publishers; i++)
        r->publishers[r->n_publishers++] = xstrdup(c->publishers[i]);
    err_t e = set_modes(r);
    if (!e)
        e = start_tasks(r);
    if (e) {
        routing_close(t, r);
        return e;
    }
    bootstrap_meet_all(r);
    *ret = r;
    return OK;
}

void routing_close(task_t *t, routing_t *r)
{
    if (!r)
        return;
    host_remove_listener(r->host, &r->listener);
    for (size_t i = 0; i < r->n_dhts; i++) {
        dht_stop_serving(&r->dhts[i]);
        dht_end_serving(t, &r->dhts[i]);
    }
    bool is_behind[ARRAY_LEN(r->provides)] = {false};
    for (size_t i = 0; i < r->n_dhts; i++)
        is_behind[i] = provide_is_behind(&r->provides[i]);
    group_stop(t, &r->tasks);
    group_deinit(&r->tasks);
    for (size_t i = 0; i < r->n_dhts; i++) {
        if (is_behind[i])
            provide_leave_behind(t, &r->provides[i]);
        provide_deinit(&r->provides[i]);
        dht_deinit(&r->dhts[i]);
    }
    provider_store_deinit(&r->providers);
    value_store_deinit(&r->values);
    for (size_t i = 0; i < r->n_delegated; i++)
        free(r->delegated[i]);
    for (size_t i = 0; i < r->n_publishers; i++)
        free(r->publishers[i]);
    free(r);
}

/* ── the rest of the face ────────────────────────────────────────────────────────────────────── */
typedef struct providing {
    bytes_t multihash;
    size_t n_took; /* DHTs with a peer that took it */
} providing_t;

static err_t provide_in(task_t *t, dht_t *d, size_t index, void *arg)
{
    providing_t *p = arg;
    TRY(provide_now(t, &d->routing->provides[index], p->multihash));
    p->n_took++;
    return OK;
}

err_t routing_provide(task_t *t, routing_t *r, const cid_t *cid)
{
    uint8_t multihash[CID_BINARY_MAX];
    if (!r)
        return OK;
    providing_t p = {.multihash = bytes_of(multihash, cid_encode_multihash(cid, multihash))};
    if (p.multihash.len > KAD_PROVIDER_KEY_MAX_BYTES)
        return fail(ERR_INVALID, "a multihash of %zu bytes cannot be announced", p.multihash.len);
    TRY(provider_store_add(t, &r->providers, p.multihash, host_id(r->host), NULL, 0));
    TRY(routing_for_each_dht(t, r, provide_in, &p));
    return p.n_took ? OK : fail(ERR_UNREACHABLE, "nobody took the provider record");
}

void routing_provide_later(routing_t *r, const cid_t *cid)
{
    uint8_t multihash[CID_BINARY_MAX];
    if (!r || cid_is_identity(cid))
        return;
    bytes_t key = bytes_of(multihash, cid_encode_multihash(cid, multihash));
    for (size_t i = 0; i < r->n_dhts; i++)
        provide_enqueue(&r->provides[i], key);
}

void routing_set_provide_source(routing_t *r, provide_source_fn fn, void *arg)
{
    r->source = fn;
    r->source_arg = arg;
    for (size_t i = 0; i < r->n_dhts; i++)
        event_fire(&r->provides[i].changed);
}

void routing_set_provide_check(routing_t *r, provide_check_fn fn, void *arg)
{
    r->has_ourselves = fn;
    r->has_arg = arg;
}

bool routing_has_ourselves(task_t *t, routing_t *r, bytes_t multihash)
{
    return r->has_ourselves && r->has_ourselves(t, r->has_arg, multihash);
}

err_t routing_provide_stats(task_t *t, routing_t *r, bool of_lan, provide_stats_t *ret)
{
    for (size_t i = 0; i < r->n_dhts; i++)
        if (r->dhts[i].is_lan == of_lan) {
            provide_stats(&r->provides[i], t, ret);
            return OK;
        }
    return fail(ERR_NOT_FOUND, "the %s DHT is off", of_lan ? "LAN" : "WAN");
}

err_t routing_set_validator(routing_t *r, const char *name_space, const record_validator_t *v)
{
    return value_store_set_validator(&r->values, name_space, v);
}

const peer_id_t *routing_self(const routing_t *r)
{
    return host_id(r->host);
}

bool routing_is_bootstrapped(const routing_t *r)
{
    for (size_t i = 0; r && i < r->n_dhts; i++)
        if (r->dhts[i].is_filled && kbucket_count(&r->dhts[i].table))
            return true;
    return false;
}

size_t routing_table_size(const routing_t *r)
{
    size_t n = 0;
    for (size_t i = 0; r && i < r->n_dhts; i++)
        n += kbucket_count(&r->dhts[i].table);
    return n;
}

typedef struct entry_walk {
    dht_t *dht;
    bool (*fn)(void *arg, const bucket_entry_t *e);
    void *arg;
    bool is_stopped;
} entry_walk_t;

static bool give_entry(void *arg, size_t prefix_len, const kbucket_entry_t *e)
{
    entry_walk_t *w = arg;
    host_t *h = w->dht->host;
    uint64_t now_ms = sched_now_ms(w->dht->sched);
    bucket_entry_t entry = {.dht = w->dht->name,
                            .bucket = prefix_len,
                            .peer = e->peer,
                            .last_useful_ms_ago = now_ms - e->last_useful_ms,
                            .added_ms_ago = now_ms - e->added_ms,
                            .latency_ms = peerstore_latency_ms(host_peerstore(h), &e->peer),
                            .is_connected = host_is_connected(h, &e->peer)};
    w->is_stopped = !w->fn(w->arg, &entry);
    return !w->is_stopped;
}

void routing_each_entry(routing_t *r, bool (*fn)(void *arg, const bucket_entry_t *e), void *arg)
{
    entry_walk_t w = {.fn = fn, .arg = arg};
    for (size_t i = 0; r && i < r->n_dhts && !w.is_stopped; i++) {
        w.dht = &r->dhts[i];
        kbucket_each(&w.dht->table, give_entry, &w);
    }
}

/* Of keys that wait in both DHTs the greater number: they are the same keys. */
size_t routing_clear_queue(routing_t *r)
{
    size_t most = 0;
    for (size_t i = 0; r && i < r->n_dhts; i++) {
        size_t n = provide_clear(&r->provides[i]);
        most = n > most ? n : most;
    }
    return most;
}

void routing_stats(const routing_t *r, routing_stats_t *ret)
{
    *ret = r ? r->stats : (routing_stats_t){0};
    for (size_t i = 0; r && i < r->n_dhts; i++)
        if (map_count(&r->provides[i].queue) > ret->provide_queue)
            ret->provide_queue = map_count(&r->provides[i].queue);
}
