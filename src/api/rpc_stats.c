/* rpc_stats: stats/…: traffic, routing tables. Reference: ipfs/kubo core/commands stat.go, stat_dht.go. */
#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "base/metrics.h"
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
                    json_pack("{s:I, s:I, s:o, s:o}", "TotalIn", (json_int_t)now.in, "TotalOut",
                              (json_int_t)now.out, "RateIn",
                              rpc_number_json(per_second(before.in, now.in, ms)), "RateOut",
                              rpc_number_json(per_second(before.out, now.out, ms))));
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
    if (!node_routing(r->node))
        return fail(ERR_UNSUPPORTED, "routing service is not a DHT");
    for (size_t i = 0; i < r->n_args; i++)
        TRY(emit_table(t, r, r->args[i]));
    if (r->n_args)
        return OK;
    TRY(emit_table(t, r, "wan"));
    return emit_table(t, r, "lan");
}

const rpc_command_t rpc_stats_commands[] = {
    {"stats/bw", rpc_bw, 0, 0, NULL},
    {"stats/dht", rpc_stats_dht, 0, 4, NULL},
    {"stats/bitswap", rpc_bitswap_stat, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
