#include "node/settings.h"
#include "base/log.h"
#include "net/perf.h"
#include "node/listen.h"
#include "node/membership.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_ANNOUNCED = 32, MAX_PEERINGS = 256, MAX_GATES = 1024 };

/* ── transports ──────────────────────────────────────────────────────────────────────────────── */
/* A priority: 0 when the key is false. */
static err_t read_priority(const config_t *config, const char *path, json_int_t otherwise, json_int_t *ret)
{
    const json_t *j = config_json(config, path);
    *ret = !j || json_is_null(j) ? otherwise : json_is_false(j) ? 0 : json_integer_value(j);
    return !j || json_is_null(j) || json_is_false(j) || *ret > 0
               ? OK
               : fail(ERR_USAGE, "config %s: false or a number over 0 is expected", path);
}

void settings_transports(const config_t *config, host_config_t *ret)
{
    ret->without_tcp = !config_bool(config, "Swarm.Transports.Network.TCP", true);
    ret->without_quic = !config_bool(config, "Swarm.Transports.Network.QUIC", true);
    if (host_quic_missing() && config_bool(config, "Swarm.Transports.Network.QUIC", false))
        log_warn("config Swarm.Transports.Network.QUIC is passed over", LOG_STR("why", host_quic_missing()));
    ret->without_websocket = !config_bool(config, "Swarm.Transports.Network.Websocket", true);
}

err_t settings_security(const config_t *config, host_config_t *ret)
{
    json_int_t tls, noise;
    TRY(read_priority(config, "Swarm.Transports.Security.TLS", 100, &tls));
    TRY(read_priority(config, "Swarm.Transports.Security.Noise", 200, &noise));
    if (!tls && !noise)
        return fail(ERR_USAGE, "config Swarm.Transports.Security: TLS and Noise are both off");
    ret->n_securities = 0;
    if (tls && (!noise || tls <= noise))
        ret->securities[ret->n_securities++] = SECURITY_TLS;
    if (noise)
        ret->securities[ret->n_securities++] = SECURITY_NOISE;
    if (tls && noise && noise < tls)
        ret->securities[ret->n_securities++] = SECURITY_TLS;
    return OK;
}

/* ── bandwidth ───────────────────────────────────────────────────────────────────────────────── */
static err_t read_rate(json_t *limits, const char *protocol, const char *way, uint64_t *ret)
{
    json_t *value = json_object_get(limits, way);
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        *ret = (uint64_t)json_integer_value(value);
    else if (value && (!json_is_string(value) || parse_size(json_string_value(value), ret)))
        return fail(ERR_USAGE, "config Swarm.Bandwidth.Protocols: %s of %.80s is no size, like \"1MiB\"", way,
                    protocol);
    return OK;
}

static err_t limit_protocols(json_t *protocols, host_t *h)
{
    const char *protocol;
    json_t *limits;
    json_object_foreach(protocols, protocol, limits)
    {
        host_rates_t rates = {0, 0};
        TRY(read_rate(limits, protocol, "In", &rates.in));
        TRY(read_rate(limits, protocol, "Out", &rates.out));
        TRY(host_limit_protocol(h, protocol, &rates));
    }
    return OK;
}

err_t settings_bandwidth(const config_t *config, host_t *h)
{
    host_rates_t all = {config_size(config, "Swarm.Bandwidth.In", 0),
                        config_size(config, "Swarm.Bandwidth.Out", 0)};
    host_rates_t each_peer = {config_size(config, "Swarm.Bandwidth.PeerIn", 0),
                              config_size(config, "Swarm.Bandwidth.PeerOut", 0)};
    if (all.in || all.out || each_peer.in || each_peer.out)
        host_limit_bandwidth(h, &all, &each_peer);
    return limit_protocols(config_json(config, "Swarm.Bandwidth.Protocols"), h);
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
typedef struct announced {
    multiaddr_t addrs[MAX_ANNOUNCED];
    size_t n;
} announced_t;

static void read_announced(const config_t *config, const char *key, announced_t *a)
{
    for (size_t i = 0, n = config_count(config, key); i < n; i++) {
        const char *text = config_item(config, key, i);
        err_t e = a->n < MAX_ANNOUNCED ? multiaddr_parse(text, &a->addrs[a->n])
                                       : fail(ERR_LIMIT, "%d addresses can be announced", MAX_ANNOUNCED);
        if (e)
            log_warn("an address is not announced", LOG_STR("key", key), LOG_STR("address", text),
                     LOG_ERR(e));
        else
            a->n++;
    }
}

static err_t set_announced(const config_t *config, const char *const *advertise, size_t n_advertise,
                           host_t *h)
{
    announced_t *a = xcalloc(1, sizeof *a);
    read_announced(config, "Addresses.Announce", a);
    bool replaces = a->n > 0;
    read_announced(config, "Addresses.AppendAnnounce", a);
    err_t e = OK;
    for (size_t i = 0; !e && i < n_advertise; i++) {
        e = a->n < MAX_ANNOUNCED ? listen_parse(advertise[i], &a->addrs[a->n])
                                 : fail(ERR_LIMIT, "%d addresses can be announced", MAX_ANNOUNCED);
        a->n += !e;
    }
    if (!e && a->n)
        host_set_announce(h, a->addrs, a->n, replaces);
    free(a);
    return e;
}

static void set_hidden(const config_t *config, host_t *h)
{
    for (size_t i = 0, n = config_count(config, "Addresses.NoAnnounce"); i < n; i++) {
        const char *text = config_item(config, "Addresses.NoAnnounce", i);
        multiaddr_t addr;
        err_t e = multiaddr_parse(text, &addr);
        if (!e)
            e = host_hide(h, &addr);
        if (e)
            log_warn("a line of Addresses.NoAnnounce is left out", LOG_STR("address", text), LOG_ERR(e));
    }
}

/* A line that cannot be read is an error: without it this node would talk to whom it must not. */
static err_t read_gate(const config_t *config, const char *key, multiaddr_t *entries, size_t *n)
{
    for (size_t i = 0, count = config_count(config, key); i < count; i++) {
        const char *text = config_item(config, key, i);
        if (*n == MAX_GATES)
            return fail(ERR_USAGE, "config %s: more than %d filters", key, MAX_GATES);
        if (multiaddr_parse(text, &entries[*n]))
            return fail(ERR_USAGE, "config %s: \"%.100s\" is not a network such as /ip4/10.0.0.0/ipcidr/8",
                        key, text);
        ++*n;
    }
    return OK;
}

static err_t set_gate(const config_t *config, host_gate_t gate, host_t *h)
{
    multiaddr_t *entries = xcalloc(MAX_GATES, sizeof *entries);
    size_t n = 0;
    err_t e = gate == GATE_DENY ? read_gate(config, "Swarm.AddrFilters", entries, &n) : OK;
    if (!e)
        e = read_gate(config, gate == GATE_DENY ? "Swarm.Gating.Deny" : "Swarm.Gating.Allow", entries, &n);
    if (!e && (e = host_gate_set(h, gate, entries, n)))
        e = fail(ERR_USAGE, "config %s: a line is not a network such as /ip4/10.0.0.0/ipcidr/8, or /p2p/ID",
                 gate == GATE_DENY ? "Swarm.AddrFilters, Swarm.Gating.Deny" : "Swarm.Gating.Allow");
    free(entries);
    return e;
}

err_t settings_gates(const config_t *config, host_t *h)
{
    TRY(set_gate(config, GATE_DENY, h));
    return set_gate(config, GATE_ALLOW, h);
}

err_t settings_addresses(const config_t *config, const char *const *advertise, size_t n_advertise, host_t *h)
{
    TRY(settings_gates(config, h));
    set_hidden(config, h);
    return set_announced(config, advertise, n_advertise, h);
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
static void keep_peer(const char *text, host_t *h)
{
    multiaddr_t addr;
    err_t e = multiaddr_parse(text, &addr);
    if (!e)
        e = host_keep_connected(h, &addr);
    if (e)
        log_warn("bootstrap peer left out", LOG_STR("address", text), LOG_ERR(e));
}

static void keep_default_peers(host_t *h)
{
    json_t *peers = config_default("Bootstrap"), *peer;
    size_t i;
    json_array_foreach(peers, i, peer) keep_peer(json_string_value(peer), h);
    json_decref(peers);
}

static void keep_bootstrap(const config_t *config, const node_options_t *o, host_t *h)
{
    size_t count = o->no_bootstrap ? 0 : o->n_bootstrap ? o->n_bootstrap : config_count(config, "Bootstrap");
    for (size_t i = 0; i < count; i++) {
        const char *text = o->n_bootstrap ? o->bootstrap[i] : config_item(config, "Bootstrap", i);
        if (!strcmp(text, BOOTSTRAP_AUTO))
            keep_default_peers(h);
        else
            keep_peer(text, h);
    }
}

static err_t keep_peering(const config_t *config, size_t n, host_t *h)
{
    char key[64];
    peer_id_t id;
    snprintf(key, sizeof key, "Peering.Peers.%zu.ID", n);
    TRY(peer_id_parse(config_str(config, key, ""), &id));
    snprintf(key, sizeof key, "Peering.Peers.%zu.Addrs", n);
    size_t count = config_count(config, key);
    if (!count)
        return fail(ERR_INVALID, "it has no Addrs");
    for (size_t i = 0; i < count; i++) {
        multiaddr_t addr, full;
        peer_id_t named;
        TRY(multiaddr_parse(config_item(config, key, i), &addr));
        if (!multiaddr_peer(&addr, &named) && !peer_id_equal(&named, &id))
            return fail(ERR_INVALID, "an address of it names another peer");
        multiaddr_without_peer(&addr, &addr);
        TRY(multiaddr_with_peer(&addr, &id, &full));
        TRY(host_add_peering(h, &full));
    }
    return OK;
}

void settings_peers(const config_t *config, const node_options_t *o, host_t *h)
{
    if (!membership_is_on(config, o)) /* a mesh has its own */
        keep_bootstrap(config, o, h);
    size_t count = config_count(config, "Peering.Peers");
    for (size_t i = 0; i < count && i < MAX_PEERINGS; i++) {
        err_t e = keep_peering(config, i, h);
        if (e)
            log_warn("a peer of Peering.Peers is left out", LOG_UINT("index", i), LOG_ERR(e));
    }
}

err_t settings_bitswap(const config_t *config, bitswap_config_t *ret)
{
    bitswap_config_default(ret);
    ret->is_on = config_bool(config, "Bitswap.Libp2pEnabled", true);
    ret->is_server = config_bool(config, "Bitswap.ServerEnabled", true);
    if (ret->is_on)
        return OK;
    if (!config_bool(config, "HTTPRetrieval.Enabled", true))
        return fail(ERR_INVALID, "invalid configuration: Bitswap.Libp2pEnabled and HTTPRetrieval.Enabled are "
                                 "both disabled, unable to initialize Bitswap");
    log_warn("Bitswap.Libp2pEnabled is false: nothing is fetched from peers");
    return OK;
}

/* ── measuring ───────────────────────────────────────────────────────────────────────────────── */
err_t settings_perf(const config_t *config, host_t *h)
{
    const char *whom = config_str(config, "Swarm.Perf", "near");
    if (!strcmp(whom, "none"))
        return perf_serve(h, PERF_FOR_NOBODY);
    if (!strcmp(whom, "near"))
        return perf_serve(h, PERF_FOR_NEAR);
    if (!strcmp(whom, "all"))
        return perf_serve(h, PERF_FOR_ALL);
    return fail(ERR_USAGE, "config Swarm.Perf is \"%.40s\": it must be near, all or none", whom);
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
err_t settings_resolvers(const config_t *config, doh_t *ret)
{
    json_t *resolvers = config_json(config, "DNS.Resolvers"), *url;
    const char *domain;
    json_object_foreach(resolvers, domain, url)
    {
        const char *text = json_string_value(url);
        if (text && *text && strcmp(text, "auto")) /* the system's */
            TRY(doh_add(ret, domain, text));
    }
    return OK;
}

err_t settings_naming(const config_t *config, naming_config_t *ret)
{
    enum { MINUTE_MS = 60 * 1000, DAY_MS = 24 * 3600 * 1000 };
    int64_t size = config_int(config, "Ipns.ResolveCacheSize", (int64_t)ret->cache_size);
    uint64_t period_ms = config_duration_ms(config, "Ipns.RepublishPeriod", 0);
    uint64_t lifetime_ms = config_duration_ms(config, "Ipns.RecordLifetime", 0);
    if (period_ms && (period_ms < MINUTE_MS || period_ms > DAY_MS))
        return fail(ERR_USAGE, "config Ipns.RepublishPeriod is not between 1min and 1day: %s",
                    config_str(config, "Ipns.RepublishPeriod", "?"));
    ret->cache_size = size > 0 ? (size_t)size : 0;
    ret->republish_ms = period_ms ? period_ms : ret->republish_ms;
    ret->lifetime_ms = lifetime_ms ? lifetime_ms : ret->lifetime_ms;
    ret->max_cache_ttl_ms = config_duration_ms(config, "Ipns.MaxCacheTTL", ret->max_cache_ttl_ms);
    ret->max_dns_ttl_ms = config_duration_ms(config, "DNS.MaxCacheTTL", ret->max_dns_ttl_ms);
    ret->static_map = getenv("IPFS_NS_MAP");
    return OK;
}
