#include "net/host.h"
#include "base/log.h"
#include "base/version.h"
#include "crypto/tls_server.h"
#include "net/nat_internal.h"
#include "net/quic.h"
#include "wire/pnet.h"
#include <stdlib.h>
#include <time.h>

enum { PEERS_MAX = 16384, HANDLERS_MAX = 256 };

void host_limits_default(host_limits_t *ret)
{
    *ret = (host_limits_t){
        .max_conns = 1024,
        .low_conns = 400,
        .high_conns = 600,
        .max_conns_per_peer = 8,
        .max_inbound_pending = 128,
        .max_streams_per_conn = 1024,
        .max_inbound_streams_per_protocol_per_peer = 128,
        .max_bytes = 256u << 20,
        .max_bytes_per_peer = 64u << 20,
        .grace_ms = 20000,
        .upgrade_timeout_ms = 15000,
        .dial_timeout_ms = 15000,
        .identify_timeout_ms = 5000,
        .idle_conn_timeout_ms = 0,
        .max_inbound_per_ip = 128,
        .max_pending_per_ip = 16,
        .new_conns_per_s = 1,
        .new_conns_at_once = 64,
    };
}

static void free_swarm_key(host_t *h)
{
    if (h->swarm_key)
        secret_wipe(h->swarm_key, PNET_KEY_BYTES);
    free(h->swarm_key);
}

bool host_is_private(const host_t *h)
{
    return h->swarm_key != NULL;
}

const char *host_quic_missing(void)
{
    return quic_missing;
}

err_t host_new(sched_t *s, const host_config_t *config, host_t **ret)
{
    host_t *h = xcalloc(1, sizeof *h);
    h->sched = s;
    h->config = *config;
    if (!h->config.agent)
        h->config.agent = DISTRIBUTE_AGENT;
    if (!h->config.protocol_version)
        h->config.protocol_version = "ipfs/0.1.0";
    h->config.without_quic |= quic_missing != NULL;
    if (config->swarm_key) {
        h->swarm_key = xmalloc(PNET_KEY_BYTES);
        memcpy(h->swarm_key, config->swarm_key, PNET_KEY_BYTES);
        h->config.swarm_key = NULL;
        h->config.without_quic = true; /* it has no place for the key */
    }
    err_t e = peer_id_of(private_key_public(config->key), &h->id);
    if (!e)
        e = peerstore_new(h, &h->peerstore);
    if (e) {
        free_swarm_key(h);
        free(h);
        return e;
    }
    resources_init(h);
    group_init(&h->tasks, s);
    map_init(&h->peers, PEERS_MAX);
    map_init(&h->handlers, HANDLERS_MAX);
    list_init(&h->conns);
    list_init(&h->news);
    event_init(&h->conn_opened);
    list_init(&h->listens);
    list_init(&h->keeps);
    h->rng = xmalloc(sizeof *h->rng);
    prng_seed(h->rng, driver_random_u64(sched_driver(s)));
    h->record_seq = driver_wall_ms(sched_driver(s)) * 1000000;
    conn_manager_start(h);
    e = identify_start(h);
    if (!e)
        e = ping_start(h);
    assert(!e); /* an empty table has room */
    *ret = h;
    return OK;
}

void host_close(task_t *t, host_t *h)
{
    if (!h)
        return;
    h->is_closing = true;
    keep_stop_all(h);
    conn_manager_stop(h);
    alarm_clear(&h->push_alarm);
    LIST_EACH (l, &h->listens, listen_t, node)
        listener_close(l->listener);
    while (!list_is_empty(&h->conns))
        conn_close(LIST_FIRST(&h->conns, conn_t, node));
    group_stop(t, &h->tasks);
    group_deinit(&h->tasks);
    nat_stop(h);
    quic_stop(h);
    LIST_EACH (l, &h->listens, listen_t, node)
        free(l);
    assert(list_is_empty(&h->conns));
    void *p;
    for (size_t i = 0; map_next(&h->peers, &i, NULL, &p);) {
        peer_t *peer = p;
        free(peer->tags);
        peer->tags = NULL;
        peer->n_tags = 0;
        peer_free_if_unused(peer);
    }
    assert(!map_count(&h->peers)); /* else somebody still holds a connection */
    map_deinit(&h->peers);
    filters_free(h);
    for (size_t i = 0; map_next(&h->handlers, &i, NULL, &p);) {
        free(((handler_t *)p)->protocol);
        free(p);
    }
    map_deinit(&h->handlers);
    peerstore_free(h->peerstore);
    free(h->announce);
    free(h->mapped);
    free(h->observed);
    free(h->receive_area);
    free(h->send_area);
    free(h->rng);
    tls13_identity_free(h->tls_identity);
    tls_server_free(h->web_tls);
    free_swarm_key(h);
    throttle_free(h);
    free(h->traffic);
    resources_deinit(h);
    free(h);
}

void host_set_web_tls(host_t *h, struct tls_server *s)
{
    tls_server_free(h->web_tls);
    h->web_tls = s;
}

const host_limits_t *host_limits(const host_t *h)
{
    return &h->config.limits;
}

const peer_id_t *host_id(const host_t *h)
{
    return &h->id;
}

sched_t *host_sched(host_t *h)
{
    return h->sched;
}

peerstore_t *host_peerstore(host_t *h)
{
    return h->peerstore;
}

limit_t *host_limit(host_t *h)
{
    return &h->resources.scopes[SCOPE_SYSTEM].memory;
}

uint64_t host_random(host_t *h)
{
    return prng_next(h->rng);
}

double host_fine_now_ms(host_t *h)
{
    struct timespec now;
    if (sched_driver(h->sched)->is_simulated)
        return (double)sched_now_ms(h->sched);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1000000;
}

/* ── protocols ───────────────────────────────────────────────────────────────────────────────── */
err_t host_handle(host_t *h, const char *protocol, const protocol_options_t *opt, protocol_fn fn, void *arg)
{
    if (strlen(protocol) > MULTISTREAM_NAME_MAX || !*protocol)
        return fail(ERR_INVALID, "\"%.40s…\" is no protocol name", protocol);
    handler_t *handler = map_get(&h->handlers, bytes_str(protocol));
    if (!handler) {
        handler = xcalloc(1, sizeof *handler);
        err_t e = map_put(&h->handlers, bytes_str(protocol), handler, NULL);
        if (e) {
            free(handler);
            return e;
        }
        handler->protocol = xstrdup(protocol);
    }
    handler->fn = fn;
    handler->arg = arg;
    handler->options = opt ? *opt : (protocol_options_t){0};
    identify_push_soon(h);
    return OK;
}

void host_unhandle(host_t *h, const char *protocol)
{
    handler_t *handler = map_get(&h->handlers, bytes_str(protocol));
    if (!handler || !handler->fn)
        return;
    handler->fn = NULL; /* the struct stays: streams name it */
    identify_push_soon(h);
}

handler_t *host_handler(host_t *h, bytes_t protocol)
{
    handler_t *handler = map_get(&h->handlers, protocol);
    return handler && handler->fn ? handler : NULL;
}

size_t host_protocols(const host_t *h, const char **out, size_t cap)
{
    size_t n = 0;
    void *p;
    for (size_t i = 0; n < cap && map_next(&h->handlers, &i, NULL, &p);) {
        const handler_t *handler = p;
        if (handler->fn && !handler->options.is_hidden)
            out[n++] = handler->protocol;
    }
    return n;
}

/* ── news ────────────────────────────────────────────────────────────────────────────────────── */
void host_add_listener(host_t *h, host_listener_t *l)
{
    list_push_back(&h->news, &l->node);
}

void host_remove_listener(host_t *h, host_listener_t *l)
{
    list_remove(&l->node);
}

void host_tell_connected(host_t *h, conn_t *c)
{
    LIST_EACH (l, &h->news, host_listener_t, node)
        if (l->connected && c->is_open)
            l->connected(l->arg, c);
}

void host_tell_disconnected(host_t *h, const peer_id_t *peer)
{
    LIST_EACH (l, &h->news, host_listener_t, node)
        if (l->disconnected)
            l->disconnected(l->arg, peer);
}

void host_tell_identified(host_t *h, conn_t *c)
{
    LIST_EACH (l, &h->news, host_listener_t, node)
        if (l->identified && c->is_open)
            l->identified(l->arg, c);
}

void host_tell_protocols_changed(host_t *h, const peer_id_t *peer)
{
    LIST_EACH (l, &h->news, host_listener_t, node)
        if (l->protocols_changed)
            l->protocols_changed(l->arg, peer);
}

void host_tell_addrs_changed(host_t *h)
{
    identify_push_soon(h);
    LIST_EACH (l, &h->news, host_listener_t, node)
        if (l->addrs_changed)
            l->addrs_changed(l->arg);
}

void host_tell_reachability_changed(host_t *h)
{
    LIST_EACH (l, &h->news, host_listener_t, node)
        if (l->reachability_changed)
            l->reachability_changed(l->arg, host_reachability(h));
}
