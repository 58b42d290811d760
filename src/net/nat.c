#include "net/nat.h"
#include "base/metrics.h"
#include "net/nat_internal.h"
#include <stdlib.h>

void nat_config_default(nat_config_t *ret)
{
    *ret = (nat_config_t){
        .uses_relays = true,
        .finds_relays = true,
        .is_relay = true,
        .relay = {.max_reservations = 128,
                  .max_reservations_per_ip = 8,
                  .max_circuits = 1024,
                  .max_circuits_per_peer = 16,
                  .reservation_s = 3600,
                  .is_limited = true,
                  .circuit_s = 120,
                  .circuit_bytes = 128 * 1024,
                  .buffer_bytes = 2048},
        .punches_holes = true,
        .asks_autonat = true,
        .answers_autonat = true,
        .autonat_max = 30,
        .autonat_max_per_peer = 3,
        .autonat_period_ms = 60000,
    };
}

static void on_disconnected(void *arg, const peer_id_t *peer)
{
    relay_peer_disconnected(arg, peer);
    relay_service_peer_gone(arg, peer);
}

static void on_identified(void *arg, conn_t *c)
{
    relay_finder_soon(arg);
    autonat_client_soon(arg);
}

static void on_addrs(void *arg)
{
    autonat_client_soon(arg);
}

static void on_reachability(void *arg, reachability_t now)
{
    host_t *h = arg;
    relay_service_update(h);
    autonat_server_update(h);
    if (now == REACHABILITY_PUBLIC)
        relay_drop_found(h);
    relay_finder_soon(h);
}

err_t host_start_nat(host_t *h, const nat_config_t *config)
{
    assert(!h->nat);
    nat_t *nat = h->nat = xcalloc(1, sizeof *nat);
    nat->config = *config;
    list_init(&nat->relays);
    list_init(&nat->reservations);
    list_init(&nat->circuits);
    relay_finder_start(h);
    TRY(autonat_client_start(h));
    nat->listener = (host_listener_t){.disconnected = on_disconnected,
                                      .identified = on_identified,
                                      .addrs_changed = on_addrs,
                                      .reachability_changed = on_reachability,
                                      .arg = h};
    host_add_listener(h, &nat->listener);
    relay_service_update(h);
    autonat_server_update(h);
    TRY(dcutr_start(h));
    TRY(forward_start(h));
    return config->uses_relays ? relay_stop_start(h) : OK;
}

/* The host's tasks have ended. */
void nat_stop(host_t *h)
{
    if (!h->nat)
        return;
    host_remove_listener(h, &h->nat->listener);
    relay_finder_stop(h);
    autonat_client_stop(h);
    free(h->nat->uses);
    relay_service_free(h);
    assert(list_is_empty(&h->nat->relays) && list_is_empty(&h->nat->circuits));
    free(h->nat);
    h->nat = NULL;
}

const nat_metrics_t *nat_metrics(void)
{
    static nat_metrics_t m;
    if (m.circuits)
        return &m;
    static const char outcomes[] = "libp2p_holepunch_outcomes_total",
                      help[] = "Attempts at a direct connection.";
    m.punches_ok = metric_counter(outcomes, "outcome=\"success\"", help);
    m.punches_failed = metric_counter(outcomes, "outcome=\"failed\"", help);
    m.circuit_bytes = metric_counter("libp2p_relaysvc_data_transferred_bytes_total", NULL,
                                     "Bytes of others that this relay moved.");
    m.circuits =
        metric_counter("libp2p_relaysvc_connections_total", NULL, "Circuits that this relay opened.");
    return &m;
}

bool nat_punches_holes(const host_t *h)
{
    return h->nat && h->nat->config.punches_holes;
}

size_t nat_put_addrs(const host_t *h, multiaddr_t *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; h->nat && i < h->nat->n_probed; i++)
        if (votes_verdict(&h->nat->probed[i].votes) == VOTES_YES)
            return 0;
    if (!h->nat)
        return 0;
    LIST_EACH (r, &h->nat->relays, const relay_t, node)
        for (size_t i = 0; r->is_reserved && i < r->n_addrs && n < cap; i++)
            out[n++] = r->addrs[i];
    return n;
}

bool nat_is_unreachable(const host_t *h, const multiaddr_t *addr)
{
    for (size_t i = 0; h->nat && i < h->nat->n_probed; i++)
        if (multiaddr_equal(&h->nat->probed[i].addr, addr))
            return votes_verdict(&h->nat->probed[i].votes) == VOTES_NO;
    return false;
}

void host_relay_stats(const host_t *h, relay_stats_t *ret)
{
    *ret = (relay_stats_t){0};
    if (h->nat)
        *ret = (relay_stats_t){h->nat->n_reservations, h->nat->n_circuits, relay_reserved_count(h->nat),
                               h->nat->is_serving};
}
