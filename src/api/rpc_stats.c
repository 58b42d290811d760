/* rpc_stats: stats/… and provide/…: traffic, routing tables, announcements. Reference: ipfs/kubo
 * core/commands stat.go, stat_dht.go, provide.go; go-libp2p-kad-dht provider/stats. */
#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "base/metrics.h"
#include "dag/walk.h"
#include <stdlib.h>

/* ── stats/bw ────────────────────────────────────────────────────────────────────────────────── */

enum { BW_SAMPLE_MS = 200, MAX_CONNS = 4096 };
typedef struct traffic {
    uint64_t in, out, at_ms;
} traffic_t;

static traffic_t total_traffic(task_t *t)
{
    static const char name[] = "distribute_network_bytes_total";
    metric_t *in = metric_counter(name, "direction=\"in\"", "Bytes over connections, encrypted.");
    metric_t *out = metric_counter(name, "direction=\"out\"", "Bytes over connections, encrypted.");
    return (traffic_t){(uint64_t)metric_value(in), (uint64_t)metric_value(out), task_now_ms(t)};
}

static traffic_t peer_traffic(task_t *t, rpc_t *r, const peer_id_t *peer)
{
    traffic_t sum = {.at_ms = task_now_ms(t)};
    conn_t **conns = xcalloc(MAX_CONNS, sizeof(conn_t *));
    size_t n = host_conns(node_host(r->node), conns, MAX_CONNS);
    for (size_t i = 0; i < n; i++) {
        uint64_t in, out;
        if (!peer_id_equal(conn_peer(conns[i]), peer))
            continue;
        conn_bytes(conns[i], &in, &out);
        sum.in += in;
        sum.out += out;
    }
    free(conns);
    return sum;
}

static traffic_t protocol_traffic(task_t *t, rpc_t *r, const char *protocol)
{
    traffic_t sum = {.at_ms = task_now_ms(t)};
    host_protocol_bytes(node_host(r->node), protocol, &sum.in, &sum.out);
    return sum;
}

typedef struct bw {
    rpc_t *r;
    const char *protocol; /* NULL: all */
    peer_id_t peer;
    bool has_peer;
} bw_t;

static traffic_t sample(task_t *t, const bw_t *b)
{
    return b->has_peer   ? peer_traffic(t, b->r, &b->peer)
           : b->protocol ? protocol_traffic(t, b->r, b->protocol)
                         : total_traffic(t);
}

static double per_second(uint64_t before, uint64_t now, uint64_t ms)
{
    return ms && now > before ? (double)(now - before) * 1000.0 / (double)ms : 0;
}

static err_t emit_bw(task_t *t, rpc_t *r, traffic_t before, traffic_t now)
{
    uint64_t ms = now.at_ms - before.at_ms;
    return rpc_emit(t, r,
                    json_pack("{s:I, s:I, s:f, s:f}", "TotalIn", (json_int_t)now.in, "TotalOut",
                              (json_int_t)now.out, "RateIn", per_second(before.in, now.in, ms), "RateOut",
                              per_second(before.out, now.out, ms)));
}

static err_t read_bw_options(rpc_t *r, bw_t *ret, uint64_t *ret_interval_ms)
{
    const char *peer = rpc_option(r, "peer");
    *ret = (bw_t){.r = r, .protocol = rpc_option(r, "proto")};
    if (peer && ret->protocol)
        return fail(ERR_USAGE, "please only specify peer OR protocol");
    if (peer)
        TRY(peer_id_parse(peer, &ret->peer));
    ret->has_peer = peer != NULL;
    TRY(rpc_duration_ms(r, "interval", ret_interval_ms));
    if (!*ret_interval_ms)
        *ret_interval_ms = 1000;
    return OK;
}

static err_t rpc_bw(task_t *t, rpc_t *r)
{
    bw_t b;
    uint64_t interval_ms;
    TRY(rpc_refuse_offline(r));
    TRY(read_bw_options(r, &b, &interval_ms));
    traffic_t before = sample(t, &b);
    TRY(task_sleep(t, BW_SAMPLE_MS));
    for (;;) {
        traffic_t now = sample(t, &b);
        TRY(emit_bw(t, r, before, now));
        if (!rpc_bool(r, "poll", false))
            return OK;
        before = now;
        TRY(task_sleep(t, interval_ms));
    }
}

/* ── stats/dht ───────────────────────────────────────────────────────────────────────────────── */

enum { MAX_BUCKETS = 256 };
typedef struct table {
    rpc_t *r;
    const char *dht;
    json_t *buckets;
    uint64_t wall_ms;
} table_t;

static bool add_entry(void *arg, const bucket_entry_t *e)
{
    table_t *table = arg;
    char id[PEER_ID_TEXT_MAX], useful[RFC3339_MAX];
    if (strcmp(e->dht, table->dht) != 0 || e->bucket >= MAX_BUCKETS)
        return true;
    while (json_array_size(table->buckets) <= e->bucket)
        json_array_append_new(table->buckets, json_pack("{s:s, s:[]}", "LastRefresh", "", "Peers"));
    peerstore_t *ps = host_peerstore(node_host(table->r->node));
    json_array_append_new(json_object_get(json_array_get(table->buckets, e->bucket), "Peers"),
                          json_pack("{s:s, s:b, s:o, s:s, s:s}", "ID", peer_id_print(&e->peer, id),
                                    "Connected", e->is_connected, "AgentVersion",
                                    rpc_text_json(peerstore_agent(ps, &e->peer)), "LastUsefulAt",
                                    rpc_time(table->wall_ms - e->last_useful_ms_ago, useful), "LastQueriedAt",
                                    useful));
    return true;
}

static err_t emit_table(task_t *t, rpc_t *r, const char *name)
{
    static const char *const known[] = {"wan", "lan", "wanserver", "lanserver"};
    bool is_known = false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        is_known |= !strcmp(name, known[i]);
    if (!is_known)
        return fail(ERR_USAGE, "unknown dht type: %.40s", name);
    table_t table = {r, name[0] == 'w' ? "wan" : "lan", json_array(), driver_wall_ms(task_driver(t))};
    routing_each_entry(node_routing(r->node), add_entry, &table);
    return rpc_emit(t, r, json_pack("{s:s, s:o}", "Name", name, "Buckets", table.buckets));
}

static err_t rpc_stats_dht(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    for (size_t i = 0; i < r->n_args; i++)
        TRY(emit_table(t, r, r->args[i]));
    if (r->n_args)
        return OK;
    TRY(emit_table(t, r, "wan"));
    return emit_table(t, r, "lan");
}

/* ── provide ─────────────────────────────────────────────────────────────────────────────────── */

/* The members of go-libp2p-kad-dht's stats that this node can fill; announcements go by region of the key
 * space as its sweep does. */
static err_t rpc_provide_stat(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    routing_stats_t s;
    routing_stats(node_routing(r->node), &s);
    uint64_t uptime_ms = task_now_ms(t) - node_started_ms(r->node);
    json_t *queues = json_pack("{s:I, s:i, s:i}", "pending_key_provides", (json_int_t)s.provide_queue,
                               "pending_region_provides", 0, "pending_region_reprovides", 0);
    json_t *past = json_pack("{s:I, s:I, s:I}", "records_provided", (json_int_t)s.provided, "keys_provided",
                             (json_int_t)s.provided, "keys_failed", (json_int_t)s.provide_failed);
    json_t *sweep =
        json_pack("{s:b, s:{s:s}, s:o, s:{s:I}, s:{s:o}, s:{s:I, s:i}}", "closed", 0, "connectivity",
                  "status", host_conn_count(node_host(r->node)) ? "online" : "disconnected", "queues", queues,
                  "timing", "uptime", (json_int_t)uptime_ms * 1000000, "operations", "past", past, "network",
                  "peers", (json_int_t)routing_table_size(node_routing(r->node)), "replication_factor", 20);
    return rpc_emit(t, r, json_pack("{s:o, s:n, s:b}", "Sweep", sweep, "Legacy", "FullRT", 0));
}

static err_t rpc_provide_clear(task_t *t, rpc_t *r)
{
    size_t n = node_routing(r->node) ? routing_clear_queue(node_routing(r->node)) : 0;
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

const rpc_command_t rpc_stats_commands[] = {
    {"stats/bw", rpc_bw, 0, 0, NULL},
    {"stats/dht", rpc_stats_dht, 0, 4, NULL},
    {"stats/provide", rpc_provide_stat, 0, 0, NULL},
    {"stats/reprovide", rpc_provide_stat, 0, 0, NULL},
    {"stats/bitswap", rpc_bitswap_stat, 0, 0, NULL},
    {"provide/stat", rpc_provide_stat, 0, 0, NULL},
    {"provide/clear", rpc_provide_clear, 0, 0, NULL},
    {"provide/once", rpc_provide_once, 1, RPC_MAX_ARGS, NULL},
    {"routing/reprovide", rpc_reprovide, 0, 0, NULL},
    {"bitswap/reprovide", rpc_reprovide, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
