#include "routing/lookup_task.h"
#include <stdlib.h>

enum { DISJOINT_PATHS = 2 };

typedef struct run {
    const lookup_job_t *job;
    dht_t *dht;
    lookup_t engine;
    group_t asks;
    event_t changed;
    buf_t request;
} run_t;
typedef struct ask {
    run_t *run;
    peer_id_t peer;
} ask_t;

err_t lookup_request(kad_type_t type, bytes_t key, buf_t *out)
{
    writer_t w = writer_to(out);
    kad_put_head(&w, type, key);
    return w.err;
}

static void tell_hop(run_t *run, int kind, const peer_id_t *peer, const kad_message_t *m, uint64_t took_ms)
{
    if (!run->job->hop)
        return;
    lookup_hop_t hop = {.kind = kind, .peer = *peer, .took_ms = took_ms, .dht = run->dht->name};
    if (m) {
        hop.n_closer = (uint32_t)m->n_closer;
        hop.n_providers = (uint32_t)m->n_providers;
    }
    run->job->hop(run->job->hop_arg, &hop);
}

/* Addresses of a peer of an answer that we could dial: what this DHT is about, and for the LAN the public
 * ones as well, since its peers may know each other by them. */
static size_t usable_addrs(const dht_t *d, const kad_peer_t *p, multiaddr_t *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; n < cap && kad_next_addr(p, &i, &out[n]);)
        n += d->is_mesh ? dht_shows_addr(d, &out[n])
                        : dht_takes_addr(d, &out[n]) || (d->is_lan && !multiaddr_is_private(&out[n]));
    return n;
}

typedef struct closer {
    peer_id_t peers[KAD_MAX_CLOSER];
    uint64_t groups[KAD_MAX_CLOSER];
    size_t n;
} closer_t;

/* The closer peers of an answer that have addresses (in the message, or known), for the engine. */
static void take_closer(run_t *run, const kad_message_t *m, closer_t *out)
{
    dht_t *d = run->dht;
    peerstore_t *ps = host_peerstore(d->host);
    multiaddr_t *addrs = xmalloc(DHT_ADDRS_PER_PEER * sizeof *addrs);
    kad_peer_t p;
    for (size_t i = 0; out->n < KAD_MAX_CLOSER && kad_next_peer(m, KAD_CLOSER, &i, &p);) {
        if (peer_id_equal(&p.id, &d->self))
            continue;
        size_t n_addrs = usable_addrs(d, &p, addrs, DHT_ADDRS_PER_PEER);
        if (n_addrs)
            peerstore_add_addrs(ps, &p.id, addrs, n_addrs, ADDR_TTL_TEMP_MS);
        if (!n_addrs && !host_is_connected(d->host, &p.id))
            continue;
        out->groups[out->n] = d->is_lan || !n_addrs ? 0 : kbucket_group(&addrs[0]);
        out->peers[out->n++] = p.id;
    }
    free(addrs);
}

static bool is_wanted_found(const run_t *run)
{
    return run->job->wanted && host_is_connected(run->dht->host, run->job->wanted);
}

static void take_answer(run_t *run, const peer_id_t *from, const kad_message_t *m)
{
    closer_t *closer = xmalloc(sizeof *closer); /* large: only what is used is written */
    closer->n = 0;
    take_closer(run, m, closer);
    bool was_over = run->engine.phase == LOOKUP_DONE;
    lookup_answer(&run->engine, from, closer->peers, closer->n);
    for (size_t i = 0; i < closer->n; i++)
        lookup_claim_group(&run->engine, &closer->peers[i], closer->groups[i]);
    conn_t *conn = host_conn(run->dht->host, from);
    if (conn && !run->dht->is_lan) /* where it is beats what was said of it */
        lookup_set_group(&run->engine, from, kbucket_group(conn_remote_addr(conn)));
    free(closer);
    if (!was_over && run->job->on_answer && !run->job->on_answer(run->job->arg, run->dht, from, m))
        lookup_stop(&run->engine);
    if (!was_over && run->job->on_progress && run->job->on_progress(run->job->arg, &run->engine))
        lookup_stop(&run->engine);
}

/* Limits of ours say nothing about the peer; being cut off because the lookup has ended does only when the
 * peer had its time. */
static bool is_its_fault(task_t *t, const run_t *run, err_t e, uint64_t took_ms)
{
    if (task_is_canceled(t))
        return took_ms >= run->engine.config.peer_timeout_ms;
    return e != ERR_LIMIT && e != ERR_NO_MEMORY;
}

static err_t ask_task(task_t *t, void *arg)
{
    ask_t *ask = arg;
    run_t *run = ask->run;
    peer_id_t peer = ask->peer;
    free(ask);
    AUTO(buf_t) bytes;
    buf_init(&bytes, KAD_MESSAGE_MAX_BYTES);
    kad_message_t m;
    uint64_t began_ms = task_now_ms(t);
    tell_hop(run, HOP_ASK, &peer, NULL, 0);
    err_t e = dht_client_ask(t, &run->dht->client, &peer, buf_bytes(&run->request), run->job->type,
                             run->job->key, &bytes, &m);
    run->dht->stats->messages_out++;
    uint64_t took_ms = task_now_ms(t) - began_ms;
    if (e) {
        lookup_fail(&run->engine, &peer);
        if (is_its_fault(t, run, e, took_ms))
            dht_lose(run->dht, &peer);
        if (!task_is_canceled(t))
            tell_hop(run, HOP_FAIL, &peer, NULL, took_ms);
    } else {
        kbucket_useful(&run->dht->table, &peer, task_now_ms(t));
        dht_admit(run->dht, &peer);
        tell_hop(run, HOP_ANSWER, &peer, &m, took_ms);
        take_answer(run, &peer, &m);
    }
    if (is_wanted_found(run))
        lookup_stop(&run->engine);
    event_fire(&run->changed);
    return OK;
}

static void start_ask(run_t *run, const peer_id_t *peer)
{
    ask_t *ask = xcalloc(1, sizeof *ask);
    *ask = (ask_t){run, *peer};
    if (group_spawn(&run->asks, "dht-ask", ask_task, ask, NULL)) {
        lookup_fail(&run->engine, peer);
        free(ask);
    }
}

/* Waits for an answer or the engine's deadline. */
static err_t wait_for_change(task_t *t, run_t *run)
{
    uint64_t at_ms = lookup_deadline_ms(&run->engine), now_ms = task_now_ms(t);
    deadline_t d = deadline_push(t, at_ms == UINT64_MAX ? DHT_REQUEST_TIMEOUT_MS * 2
                                    : at_ms > now_ms    ? at_ms - now_ms
                                                        : 0);
    err_t e = event_wait(t, &run->changed);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? task_check(t) : e; /* the engine's own deadline is no failure */
}

static err_t drive(task_t *t, run_t *run)
{
    for (;;) {
        lookup_event_t e;
        lookup_tick(&run->engine, task_now_ms(t));
        while (lookup_next_event(&run->engine, task_now_ms(t), &e)) {
            if (e.kind == LOOKUP_EVENT_DONE)
                return OK;
            start_ask(run, &e.peer);
        }
        TRY(wait_for_change(t, run));
    }
}

err_t lookup_run(task_t *t, const lookup_job_t *job, lookup_result_t *ret)
{
    dht_t *d = job->dht;
    *ret = (lookup_result_t){0};
    kad_key_t target = kad_key_of(job->key);
    peer_id_t seeds[DHT_K];
    size_t n = kbucket_closest(&d->table, &target, NULL, seeds, DHT_K);
    if (!n)
        return fail(ERR_NOT_FOUND, "no peer of the %s DHT is known", d->name);
    run_t *run = xcalloc(1, sizeof *run);
    run->job = job;
    run->dht = d;
    lookup_config_t config;
    lookup_config_default(&config);
    if (!d->is_lan) { /* a LAN is small, and its peers are near each other by nature */
        config.paths = job->is_upkeep ? 1 : DISJOINT_PATHS;
        config.network_size = netsize_estimate(&d->size, task_now_ms(t));
    }
    lookup_init(&run->engine, &config, &target, &d->self);
    group_init(&run->asks, d->sched);
    event_init(&run->changed);
    buf_init(&run->request, KAD_REQUEST_MAX_BYTES);
    d->stats->lookups++;
    err_t e = lookup_request(job->type, job->key, &run->request);
    if (!e) {
        lookup_start(&run->engine, seeds, n);
        e = drive(t, run);
    }
    ret->is_crowded = lookup_is_crowded(&run->engine);
    ret->n_closest =
        lookup_closest(&run->engine, true, ret->closest, ret->is_crowded ? LOOKUP_CLOSEST_MAX : DHT_K);
    if (!e && run->engine.end == LOOKUP_COMPLETED)
        netsize_feed(&d->size, &target, ret->closest, ret->n_closest, task_now_ms(t));
    ret->end = run->engine.end;
    ret->requests = run->engine.n_requests;
    ret->failed = run->engine.n_failed;
    ret->hops = run->engine.max_hops;
    group_stop(t, &run->asks);
    group_deinit(&run->asks);
    lookup_deinit(&run->engine);
    buf_deinit(&run->request);
    free(run);
    return e;
}

err_t lookup_check_peer(task_t *t, dht_t *d, const peer_id_t *peer)
{
    AUTO(buf_t) request;
    AUTO(buf_t) bytes;
    buf_init(&request, KAD_REQUEST_MAX_BYTES);
    buf_init(&bytes, KAD_MESSAGE_MAX_BYTES);
    kad_message_t m;
    TRY(lookup_request(KAD_FIND_NODE, peer_id_bytes(&d->self), &request));
    err_t e = dht_client_ask(t, &d->client, peer, buf_bytes(&request), KAD_FIND_NODE, peer_id_bytes(&d->self),
                             &bytes, &m);
    d->stats->messages_out++;
    if (!e || !task_is_canceled(t))
        kbucket_checked(&d->table, peer, !e, task_now_ms(t));
    if (!e)
        dht_admit(d, peer);
    return e;
}
