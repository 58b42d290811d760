/* rpc_provide: provide/… and stats/provide: how announcing goes, and announcing by hand. Reference: ipfs/kubo
 * core/commands provide.go; go-libp2p-kad-dht provider/stats. */
#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "dag/walk.h"
#include <stdlib.h>

enum { NS_PER_MS = 1000000, WORKERS_BURST = 4, WORKERS_PERIODIC = 1, VISITS_AT_A_TIME = 16 };

/* ── provide/stat ────────────────────────────────────────────────────────────────────────────── */
static json_t *ns_json(uint64_t ms)
{
    return json_integer((json_int_t)ms * NS_PER_MS);
}

static json_t *time_json(uint64_t wall_ms)
{
    char text[RFC3339_MAX];
    return json_string(wall_ms ? rpc_time(wall_ms, text) : rfc3339_print(RFC3339_NONE, 0, text));
}

static double per_minute(uint64_t n, uint64_t ms)
{
    return ms ? (double)n * 60000.0 / (double)ms : 0;
}

static json_t *queues_json(const provide_stats_t *s)
{
    uint64_t overdue = s->interval_ms ? s->regions * s->lag_ms / s->interval_ms : 0;
    uint64_t regions = s->queued_keys < s->regions ? s->queued_keys : s->regions;
    return json_pack("{s:I, s:I, s:I}", "pending_key_provides", (json_int_t)s->queued_keys,
                     "pending_region_provides", (json_int_t)(s->queued_keys && !regions ? 1 : regions),
                     "pending_region_reprovides", (json_int_t)overdue);
}

static json_t *schedule_json(const provide_stats_t *s)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:s}", "keys", (json_int_t)s->keys, "regions",
                     (json_int_t)s->regions, "avg_prefix_length",
                     rpc_number_json(s->regions_seen ? s->avg_prefix_len : -1), "next_reprovide_at",
                     time_json(s->next_at_wall_ms), "next_reprovide_prefix", s->next_prefix);
}

static json_t *workers_json(const provide_stats_t *s)
{
    int burst = (int)s->active_regions, periodic = (int)s->swept_regions;
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "max", WORKERS_BURST + WORKERS_PERIODIC,
                     "active", burst + periodic, "active_periodic", periodic, "active_burst", burst,
                     "dedicated_periodic", WORKERS_PERIODIC, "dedicated_burst", WORKERS_BURST,
                     "queued_periodic", 0, "queued_burst", 0, "max_provide_conns_per_worker",
                     VISITS_AT_A_TIME);
}

/* lag and forecast are not Kubo's: how late the sweep is, and how long a whole round takes at its speed. */
static json_t *timing_json(const provide_stats_t *s, uint64_t uptime_ms)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "uptime", ns_json(uptime_ms),
                     "reprovides_interval", ns_json(s->interval_ms), "cycle_start",
                     time_json(s->cycle_start_wall_ms), "current_time_offset", ns_json(s->cycle_offset_ms),
                     "max_reprovide_delay", 0, "lag", ns_json(s->lag_ms), "forecast",
                     ns_json(s->forecast_ms));
}

static json_t *operations_json(const provide_stats_t *s)
{
    uint64_t regions = s->round_regions;
    json_t *ongoing = json_pack("{s:I, s:I, s:I, s:I}", "region_provides", (json_int_t)s->active_regions,
                                "key_provides", (json_int_t)s->active_keys, "region_reprovides",
                                (json_int_t)s->swept_regions, "key_reprovides", (json_int_t)s->swept_keys);
    json_t *past = json_pack(
        "{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I}", "records_provided", (json_int_t)s->records,
        "keys_provided", (json_int_t)s->keys_provided, "keys_failed", (json_int_t)s->keys_failed,
        "keys_provided_per_minute", rpc_number_json(per_minute(s->queue_keys, s->queue_busy_ms)),
        "keys_reprovided_per_minute", rpc_number_json(per_minute(s->round_keys, s->round_busy_ms)),
        "reprovide_duration", ns_json(regions ? s->round_busy_ms / regions : 0), "avg_keys_per_reprovide",
        rpc_number_json(regions ? (double)s->round_keys / (double)regions : 0),
        "regions_reprovided_last_cycle", (json_int_t)regions);
    return json_pack("{s:o, s:o}", "ongoing", ongoing, "past", past);
}

static json_t *network_json(const provide_stats_t *s)
{
    bool is_complete = s->has_done_round && s->lag_ms < s->interval_ms / 8;
    return json_pack("{s:I, s:I, s:b, s:o, s:o, s:i}", "peers", (json_int_t)s->peers, "reachable",
                     (json_int_t)s->reachable, "complete_keyspace_coverage", is_complete, "avg_region_size",
                     rpc_number_json(s->avg_region_size), "avg_holders", rpc_number_json(s->avg_holders),
                     "replication_factor", 20);
}

static err_t rpc_provide_stat(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    if (!node_routing(r->node))
        return fail(ERR_USAGE, "stats not available with Routing.Type none");
    provide_stats_t s;
    err_t e = routing_provide_stats(t, node_routing(r->node), rpc_bool(r, "lan", false), &s);
    if (e)
        return fail(ERR_USAGE, "stats not available with current routing system: %s", error_text(e));
    json_t *connectivity = json_pack("{s:s, s:o}", "status", s.is_online ? "online" : "offline", "since",
                                     time_json(s.is_online ? s.online_since_wall_ms : 0));
    json_t *sweep =
        json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "closed", 0, "connectivity", connectivity,
                  "queues", queues_json(&s), "schedule", schedule_json(&s), "workers", workers_json(&s),
                  "timing", timing_json(&s, task_now_ms(t) - node_started_ms(r->node)), "operations",
                  operations_json(&s), "network", network_json(&s));
    return rpc_emit(t, r, json_pack("{s:o, s:n, s:b}", "Sweep", sweep, "Legacy", "FullRT", 0));
}

/* ── by hand ─────────────────────────────────────────────────────────────────────────────────── */
static err_t rpc_provide_clear(task_t *t, rpc_t *r)
{
    size_t n = routing_clear_queue(node_routing(r->node));
    return rpc_bool(r, "quiet", false) ? OK : rpc_emit(t, r, json_integer((json_int_t)n));
}

static err_t check_can_provide(rpc_t *r)
{
    TRY(rpc_need_online(r));
    if (!config_bool(repo_config(node_repo(r->node)), "Provide.Enabled", true))
        return fail(ERR_INVALID, "cannot provide: Provide.Enabled is false");
    if (!host_conn_count(node_host(r->node)))
        return fail(ERR_UNREACHABLE, "cannot provide: no connected peers");
    return OK;
}

static err_t queue_one(task_t *t, rpc_t *r, const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    routing_provide_later(node_routing(r->node), cid);
    return rpc_emit(t, r, json_pack("{s:s}", "Queued", rpc_cid(r, cid, text)));
}

static err_t queue_dag(task_t *t, rpc_t *r, const cid_t *root)
{
    AUTO(walk_t) w = {0};
    walk_options_t options = {SIZE_MAX, true, true, 1 << 22};
    walk_init(&w, node_local_blocks(r->node), root, options);
    for (bool has = true; has;) {
        walk_step_t step;
        TRY(walk_next(t, &w, &step, &has));
        if (has && step.block)
            TRY(queue_one(t, r, &step.cid));
    }
    return OK;
}

static err_t rpc_provide_once(task_t *t, rpc_t *r)
{
    TRY(check_can_provide(r));
    bool recursive = rpc_bool(r, "recursive", false);
    for (size_t i = 0; i < r->n_args; i++) {
        cid_t cid;
        if (cid_parse_str(r->args[i], &cid))
            return fail(ERR_INVALID, "invalid CID \"%.100s\": %s", r->args[i], error_text(ERR_INVALID));
        if (!blocks_has(t, node_local_blocks(r->node), &cid))
            return fail(ERR_NOT_FOUND, "block %s not found locally, cannot provide", r->args[i]);
        TRY(recursive ? queue_dag(t, r, &cid) : queue_one(t, r, &cid));
    }
    return OK;
}

static err_t rpc_reprovide(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    const config_t *config = repo_config(node_repo(r->node));
    if (!config_bool(config, "Provide.Enabled", true))
        return fail(ERR_INVALID, "invalid configuration: Provide.Enabled is set to 'false'");
    if (config_has(config, "Provide.DHT.Interval") && !config_duration_ms(config, "Provide.DHT.Interval", 0))
        return fail(ERR_INVALID, "invalid configuration: Provide.DHT.Interval is set to '0'");
    return fail(ERR_UNSUPPORTED,
                "manual reprovide is not available: announcements sweep over the key space by "
                "themselves; run 'provide stat' to follow them");
}

const rpc_command_t rpc_provide_commands[] = {
    {"stats/provide", rpc_provide_stat, 0, 0, NULL},
    {"stats/reprovide", rpc_provide_stat, 0, 0, NULL},
    {"provide/stat", rpc_provide_stat, 0, 0, NULL},
    {"provide/clear", rpc_provide_clear, 0, 0, NULL},
    {"provide/once", rpc_provide_once, 1, RPC_MAX_ARGS, NULL},
    {"routing/reprovide", rpc_reprovide, 0, 0, NULL},
    {"bitswap/reprovide", rpc_reprovide, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
