/* metrics_face: /metrics, /health and /ready. Gauges that the parts keep themselves are read when somebody
 * asks. */
#include "api/api_internal.h"
#include "base/metrics.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { METRICS_MAX_BYTES = 4 << 20 };

static void set(const char *name, const char *help, double value)
{
    metric_set(metric_gauge(name, NULL, help), value);
}

/* Counters that a part counts itself are brought up to its figure. */
static void count_up(const char *name, const char *help, uint64_t value)
{
    metric_t *m = metric_counter(name, NULL, help);
    metric_add(m, (double)value - metric_value(m));
}

static err_t read_store(task_t *t, node_t *n)
{
    blockstore_stat_t s;
    TRY(blockstore_stat(t, repo_blockstore(node_repo(n)), &s));
    set("distribute_blocks_total", "Blocks in the store.", (double)s.blocks);
    set("distribute_blocks_bytes", "Bytes of the blocks in the store.", (double)s.bytes);
    set("distribute_store_disk_bytes", "Bytes that the block store takes on disk.", (double)s.disk_bytes);
    return OK;
}

static void read_bitswap(bitswap_t *b)
{
    bitswap_stat_t s;
    bitswap_stat(b, &s);
    set("distribute_wantlist_size", "Blocks that this node waits for.", (double)s.wantlist_size);
    set("distribute_bitswap_peers", "Peers that bitswap knows.", (double)s.peers);
    count_up("bitswap_blocks_sent", "Blocks sent to peers.", s.blocks_sent);
    count_up("bitswap_blocks_received", "Blocks received from peers.", s.blocks_received);
    count_up("bitswap_bytes_sent", "Bytes of blocks sent to peers.", s.data_sent);
    count_up("bitswap_bytes_received", "Bytes of blocks received from peers.", s.data_received);
    count_up("bitswap_duplicate_blocks_received", "Blocks received that were here already.",
             s.dup_blocks_received);
    count_up("bitswap_bad_blocks", "Blocks that did not match what was asked for.", s.bad_blocks);
}

static void read_routing(routing_t *r)
{
    routing_stats_t s;
    routing_stats(r, &s);
    set("dht_routing_table_size", "Peers in the routing tables.", (double)routing_table_size(r));
    set("dht_provide_queue", "CIDs that wait to be announced.", (double)s.provide_queue);
    set("dht_records_stored", "Provider and value records held for others.", (double)s.records_stored);
    count_up("dht_provided_total", "Announcements made.", s.provided);
    count_up("dht_lookups_total", "Lookups made.", s.lookups);
}

static void read_replica(replica_t *r)
{
    replica_stat_t s;
    replica_stat(r, &s);
    set("distribute_replica_roots", "Replicated roots that this node follows.", (double)s.roots);
    set("distribute_replica_roots_below_target", "Roots with fewer holders than wanted.",
        (double)s.roots_below_target);
    set("distribute_replica_held_bytes", "Bytes held for other nodes.", (double)s.held_bytes);
    count_up("distribute_replica_heals_total", "Copies made for lost holders.", s.heals);
    count_up("distribute_replica_healed_bytes_total", "Bytes of these copies.", s.healed_bytes);
    set("distribute_replica_heals_waiting", "Roots that wait for the budget of repair.",
        (double)s.heals_waiting);
    count_up("distribute_replica_returns_total", "Holders that were lost and came back.", s.returns);
    count_up("distribute_replica_records_forged_total", "Records refused for a wrong signature.", s.forged);
    count_up("distribute_replica_offers_refused_total", "Offers that this node refused.", s.offers_refused);
}

static void read_mesh(mesh_t *m)
{
    mesh_stat_t s;
    mesh_stat(m, &s);
    set("distribute_mesh_members", "Members of the mesh that were met in this run.", (double)s.members);
    set("distribute_mesh_members_connected", "Members that are connected.", (double)s.connected);
    set("distribute_mesh_tombstones", "Deletions that are known.", (double)s.tombstones);
    set("distribute_mesh_catching_up", "1: compares what was deleted before it serves anything.",
        s.is_catching_up);
    count_up("distribute_mesh_tombstones_forged_total", "Tombstones with a wrong signature.",
             s.tombstones_forged);
    count_up("distribute_mesh_tombstones_foreign_total",
             "Tombstones of files that their signer does not own.", s.tombstones_foreign);
    count_up("distribute_mesh_receipts_signed_total", "Receipts given for deleted copies.",
             s.receipts_signed);
    count_up("distribute_mesh_receipts_taken_total", "Receipts that holders gave.", s.receipts_taken);
    count_up("distribute_mesh_collections_total", "Runs that removed deleted chunks.", s.collections);
    set("distribute_mesh_uncollected", "Deleted files whose chunks are still here.", (double)s.uncollected);
    count_up("distribute_mesh_audits_total", "Challenges that holders answered.", s.audits);
    count_up("distribute_mesh_audits_failed_total", "Challenges that holders could not meet.",
             s.audits_failed);
    count_up("distribute_mesh_prunes_total", "Copies let go of because there were too many.", s.prunes);
    count_up("distribute_mesh_refused_quota_total", "Offers over one member's share.", s.refused_quota);
}

static void read_process(node_t *n)
{
    char line[128], *end;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fgets(line, sizeof line, f) && (end = strchr(line, ' '))) /* total, then resident pages */
            set("process_resident_memory_bytes", "Resident memory.",
                (double)strtoul(end, NULL, 10) * (double)sysconf(_SC_PAGESIZE));
        fclose(f);
    }
    set("distribute_tasks", "Tasks alive.", (double)sched_task_count(node_sched(n)));
    if (node_host(n))
        set("libp2p_swarm_connections", "Open connections to peers.", (double)host_conn_count(node_host(n)));
}

static err_t reply_metrics(task_t *t, api_t *api, exchange_t *x)
{
    node_t *n = api->node;
    AUTO(buf_t) text = {0};
    buf_init(&text, METRICS_MAX_BYTES);
    TRY(read_store(t, n));
    if (node_bitswap(n))
        read_bitswap(node_bitswap(n));
    if (node_routing(n))
        read_routing(node_routing(n));
    if (node_replica(n))
        read_replica(node_replica(n));
    if (node_mesh(n))
        read_mesh(node_mesh(n));
    read_process(n);
    TRY(metrics_print(&text));
    return exchange_reply(t, x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&text));
}

/* Healthy: the loop answers and the store can be read. Ready: online besides, and not on the way out. */
static err_t reply_health(task_t *t, api_t *api, exchange_t *x, bool must_be_online)
{
    blockstore_stat_t s;
    err_t e = blockstore_stat(t, repo_blockstore(node_repo(api->node)), &s);
    bool ok = !e && (!must_be_online || (node_is_online(api->node) && !api->is_shutting_down));
    const char *text = ok  ? "{\"status\":\"ok\"}\n"
                       : e ? "{\"status\":\"store unreadable\"}\n"
                           : "{\"status\":\"not ready\"}\n";
    return exchange_reply(t, x, ok ? 200 : 503, "application/json", bytes_str(text));
}

err_t api_metrics(task_t *t, exchange_t *x, void *arg)
{
    api_t *api = arg;
    if (strcmp(x->method, "GET") && strcmp(x->method, "HEAD")) {
        TRY(exchange_set_header(x, "Allow", "GET, HEAD"));
        return exchange_reply(t, x, 405, "text/plain", BYTES_LIT("405 - Method Not Allowed\n"));
    }
    if (!strcmp(x->path, "/metrics"))
        return reply_metrics(t, api, x);
    if (!strcmp(x->path, "/health"))
        return reply_health(t, api, x, false);
    if (!strcmp(x->path, "/ready"))
        return reply_health(t, api, x, true);
    return exchange_reply(t, x, 404, "text/plain",
                          BYTES_LIT("404 page not found: /metrics, /health and /ready are here\n"));
}
