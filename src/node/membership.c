#include "node/membership.h"
#include <stdio.h>
#include <string.h>

bool membership_is_on(const config_t *config, const node_options_t *o)
{
    return o->mesh == NODE_AS_CONFIGURED ? config_bool(config, "Mesh.Enabled", false) : o->mesh == NODE_ON;
}

bool membership_is_relay(const config_t *config, const node_options_t *o)
{
    return o->mesh_relay == NODE_AS_CONFIGURED ? config_bool(config, "Mesh.Relay", false)
                                               : o->mesh_relay == NODE_ON;
}

void membership_nat(nat_config_t *c, bool is_relay)
{
    c->unlimited = MESH_PROTOCOL;
    c->is_relay = is_relay;
    c->finds_relays = c->finds_relays && !is_relay;
    c->relay.max_reservations_per_ip = c->relay.max_reservations; /* a mesh may well be behind one NAT */
}

static err_t read_zone(const char *zone, char ret[MESH_ZONE_MAX + 1])
{
    for (const char *p = zone; *p; p++)
        if (*p <= ' ' || *p > '~' || p - zone >= MESH_ZONE_MAX)
            return fail(ERR_USAGE,
                        "the zone (Mesh.Zone) must be printable ASCII without spaces, at most %d characters",
                        MESH_ZONE_MAX);
    snprintf(ret, MESH_ZONE_MAX + 1, "%s", zone);
    return OK;
}

err_t membership_settings(const config_t *config, const node_options_t *o, mesh_config_t *ret)
{
    TRY(read_zone(o->mesh_zone ? o->mesh_zone : config_str(config, "Mesh.Zone", ""), ret->zone));
    int64_t factor = config_int(config, "Mesh.Factor", ret->factor);
    if (factor < 1 || factor > REPLICA_TARGET_MAX)
        return fail(ERR_USAGE, "config Mesh.Factor: %lld copies; it must be 1 to %d", (long long)factor,
                    REPLICA_TARGET_MAX);
    ret->factor = (uint32_t)factor;
    ret->max_bytes = config_size(config, "Replication.MaxBytes", ret->max_bytes);
    ret->max_bytes_per_peer = config_size(config, "Mesh.MaxBytesPerPeer", ret->max_bytes / 4);
    ret->max_files_per_peer = (uint32_t)config_int(config, "Mesh.MaxFilesPerPeer", ret->max_files_per_peer);
    ret->heartbeat_ms = (uint32_t)config_duration_ms(config, "Replication.Heartbeat", ret->heartbeat_ms);
    ret->gc_window_ms = config_duration_ms(config, "Mesh.GCWindow", ret->gc_window_ms);
    ret->sync_horizon_ms = config_duration_ms(config, "Mesh.SyncHorizon", ret->sync_horizon_ms);
    return OK;
}

err_t membership_join(task_t *t, const config_t *config, const node_options_t *o, host_t *h, kv_t *state,
                      mesh_join_t **ret)
{
    const char *configured[MESH_CONTACTS_MAX];
    size_t n = o->no_bootstrap ? 0 : config_count(config, "Mesh.Bootstrap");
    if (n > MESH_CONTACTS_MAX)
        return fail(ERR_USAGE, "config Mesh.Bootstrap: %zu addresses, more than %d", n, MESH_CONTACTS_MAX);
    for (size_t i = 0; i < n; i++)
        configured[i] = config_item(config, "Mesh.Bootstrap", i);
    bool is_given = o->n_bootstrap > 0;
    mesh_join_config_t c = {.host = h,
                            .state = state,
                            .contacts = is_given ? o->bootstrap : configured,
                            .n_contacts = is_given ? o->n_bootstrap : n,
                            .takes_relays = !membership_is_relay(config, o),
                            .met = o->mesh_met,
                            .arg = o->mesh_met_arg};
    return mesh_join_start(t, &c, ret);
}
