#include "node/settings_nat.h"
#include "base/log.h"
#include "node/membership.h"
#include <string.h>

#define RELAY_TRANSPORT "Swarm.Transports.Network.Relay"

/* ── relays ──────────────────────────────────────────────────────────────────────────────────── */
/* Switched on by name although what it needs is off? */
static err_t check_needs(const config_t *config, const char *key, const char *needed, bool has_needed)
{
    if (has_needed || !config_bool(config, key, false))
        return OK;
    return fail(ERR_USAGE, "config %s is true, and needs %s to be true", key, needed);
}

static void read_count(const config_t *config, const char *key, size_t *value)
{
    int64_t n = config_int(config, key, (int64_t)*value);
    if (n > 0 && n <= 1 << 20)
        *value = (size_t)n;
    else
        log_warn("a number in the config is out of its range; the default is used", LOG_STR("key", key),
                 LOG_INT("value", n));
}

/* A limit of 0 takes both limits away: circuits are as any other connection then. */
static void read_relay_limits(const config_t *config, relay_limits_t *limits)
{
    read_count(config, "Swarm.RelayService.MaxReservations", &limits->max_reservations);
    read_count(config, "Swarm.RelayService.MaxReservationsPerIP", &limits->max_reservations_per_ip);
    read_count(config, "Swarm.RelayService.MaxCircuits", &limits->max_circuits_per_peer);
    read_count(config, "Swarm.RelayService.BufferSize", &limits->buffer_bytes);
    uint64_t ttl_ms = config_duration_ms(config, "Swarm.RelayService.ReservationTTL",
                                         limits->reservation_s * 1000ull),
             circuit_ms = config_duration_ms(config, "Swarm.RelayService.ConnectionDurationLimit",
                                             limits->circuit_s * 1000ull);
    int64_t bytes =
        config_int(config, "Swarm.RelayService.ConnectionDataLimit", (int64_t)limits->circuit_bytes);
    limits->reservation_s =
        ttl_ms >= 1000 && ttl_ms / 1000 < UINT32_MAX ? (uint32_t)(ttl_ms / 1000) : limits->reservation_s;
    limits->is_limited = circuit_ms > 0 && bytes > 0;
    limits->circuit_s = (uint32_t)(circuit_ms / 1000 < UINT32_MAX ? circuit_ms / 1000 : UINT32_MAX);
    limits->circuit_bytes = bytes > 0 ? (uint64_t)bytes : 0;
}

static err_t read_relays(const config_t *config, nat_config_t *c)
{
    bool has_relays = config_bool(config, RELAY_TRANSPORT, true);
    c->uses_relays = has_relays;
    c->finds_relays = has_relays && config_bool(config, "Swarm.RelayClient.Enabled", true);
    c->is_relay = has_relays && config_bool(config, "Swarm.RelayService.Enabled", true);
    c->punches_holes = c->finds_relays && config_bool(config, "Swarm.EnableHolePunching", true);
    TRY(check_needs(config, "Swarm.RelayClient.Enabled", RELAY_TRANSPORT, has_relays));
    TRY(check_needs(config, "Swarm.RelayService.Enabled", RELAY_TRANSPORT, has_relays));
    TRY(check_needs(config, "Swarm.EnableHolePunching", "Swarm.RelayClient.Enabled", c->finds_relays));
    if (config_count(config, "Swarm.RelayClient.StaticRelays"))
        c->finds_relays = false; /* those and no others */
    read_relay_limits(config, &c->relay);
    return OK;
}

/* ── AutoNAT ─────────────────────────────────────────────────────────────────────────────────── */
static err_t read_autonat(const config_t *config, nat_config_t *c)
{
    const char *mode = config_str(config, "AutoNAT.ServiceMode", "");
    if (strcmp(mode, "") != 0 && strcmp(mode, "enabled") != 0 && strcmp(mode, "disabled") != 0 &&
        strcmp(mode, "legacy-v1") != 0)
        return fail(ERR_USAGE,
                    "config AutoNAT.ServiceMode: \"%.40s\" is none of enabled, disabled, legacy-v1", mode);
    c->answers_autonat = strcmp(mode, "disabled") != 0;
    c->autonat_v1_only = !strcmp(mode, "legacy-v1");
    int64_t all = config_int(config, "AutoNAT.Throttle.GlobalLimit", (int64_t)c->autonat_max),
            one = config_int(config, "AutoNAT.Throttle.PeerLimit", (int64_t)c->autonat_max_per_peer);
    c->autonat_max = all > 0 ? (size_t)all : SIZE_MAX;
    c->autonat_max_per_peer = one > 0 ? (size_t)one : SIZE_MAX;
    uint64_t period_ms = config_duration_ms(config, "AutoNAT.Throttle.Interval", c->autonat_period_ms);
    if (period_ms > 0 && period_ms < UINT32_MAX)
        c->autonat_period_ms = (uint32_t)period_ms;
    return OK;
}

err_t settings_nat(const config_t *config, nat_config_t *ret)
{
    nat_config_t c;
    nat_config_default(&c);
    TRY(read_relays(config, &c));
    TRY(read_autonat(config, &c));
    *ret = c;
    return OK;
}

static err_t force_reachability(const config_t *config, host_t *h)
{
    const char *name = config_str(config, "Internal.Libp2pForceReachability", "");
    if (!strcmp(name, "public"))
        host_force_reachability(h, REACHABILITY_PUBLIC);
    else if (!strcmp(name, "private"))
        host_force_reachability(h, REACHABILITY_PRIVATE);
    else if (*name)
        return fail(ERR_USAGE,
                    "config Internal.Libp2pForceReachability: \"%.40s\" is neither public nor private", name);
    return OK;
}

err_t settings_start_nat(const config_t *config, const node_options_t *o, host_t *h)
{
    static const char key[] = "Swarm.RelayClient.StaticRelays";
    nat_config_t c;
    TRY(settings_nat(config, &c));
    bool is_mesh_relay = membership_is_on(config, o) && membership_is_relay(config, o);
    if (membership_is_on(config, o))
        membership_nat(&c, is_mesh_relay);
    TRY(host_start_nat(h, &c));
    if (is_mesh_relay)
        host_force_reachability(h, REACHABILITY_PUBLIC);
    TRY(force_reachability(config, h));
    bool takes_relays = c.uses_relays && config_bool(config, "Swarm.RelayClient.Enabled", true);
    for (size_t i = 0, n = takes_relays ? config_count(config, key) : 0; i < n; i++) {
        multiaddr_t addr;
        err_t e = multiaddr_parse(config_item(config, key, i), &addr);
        if (!e)
            e = host_add_relay(h, &addr);
        if (e)
            log_warn("a line of Swarm.RelayClient.StaticRelays is left out",
                     LOG_STR("address", config_item(config, key, i)), LOG_ERR(e));
    }
    return OK;
}
