/* print_node: answers about the running node as text: log, traffic, tables, announcements, peerings. */
#include "print/printers.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

err_t print_said(print_t *p, json_t *o)
{
    return print_out(p, "%s", json_text(o, "Message"));
}

/* A string, or what else it is as JSON, on one line: `diag healthy` says ok. */
err_t print_one_line(print_t *p, json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
    err_t e = print_out(p, "%s\n", print_escape(text));
    free(text);
    return e;
}

err_t print_count(print_t *p, json_t *o)
{
    return print_out(p, "%lld\n", (long long)json_integer_value(json_object_get(o, "Count")));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

err_t print_log_levels(print_t *p, json_t *o)
{
    enum { LEVELS_MAX = 256, LINE_BYTES = 128 };
    json_t *levels = json_object_get(o, "Levels"), *level;
    const char *name, *lines[LEVELS_MAX];
    size_t n = 0;
    if (!levels)
        return print_said(p, o);
    bool with_names = json_object_size(levels) > 1;
    char *texts = xcalloc(LEVELS_MAX, LINE_BYTES);
    json_object_foreach(levels, name, level)
    {
        if (n == LEVELS_MAX)
            break;
        lines[n] = texts + n * LINE_BYTES;
        snprintf(texts + n++ * LINE_BYTES, LINE_BYTES, "%s%s%s", with_names ? name : "",
                 with_names ? ": " : "", json_string_value(level));
    }
    qsort(lines, n, sizeof *lines, by_text);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++)
        e = print_out(p, "%s\n", print_escape(lines[i]));
    free(texts);
    return e;
}

/* ── traffic ─────────────────────────────────────────────────────────────────────────────────── */

static uint64_t whole(json_t *o, const char *key)
{
    return (uint64_t)json_number(o, key);
}

err_t print_bw(print_t *p, json_t *o)
{
    if (!print_flag(p, "poll", false))
        return print_out(p, "Bandwidth\nTotalIn: %s\nTotalOut: %s\nRateIn: %s/s\nRateOut: %s/s\n",
                         print_human_bytes(whole(o, "TotalIn")), print_human_bytes(whole(o, "TotalOut")),
                         print_human_bytes(whole(o, "RateIn")), print_human_bytes(whole(o, "RateOut")));
    if (!p->has_head)
        TRY(print_out(p, "Total Up    Total Down  Rate Up     Rate Down\n"));
    p->has_head = true;
    TRY(print_out(p, "%8s    %8s    %8s/s  %8s/s      \r", print_human_bytes(whole(o, "TotalOut")),
                  print_human_bytes(whole(o, "TotalIn")), print_human_bytes(whole(o, "RateOut")),
                  print_human_bytes(whole(o, "RateIn"))));
    return OK;
}

err_t print_bitswap_stat(print_t *p, json_t *o)
{
    bool is_human = print_flag(p, "human", false);
    char in[32], out[32], dup[32];
    const char *const names[] = {"DataReceived", "DataSent", "DupDataReceived"};
    char *const texts[] = {in, out, dup};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        snprintf(texts[i], sizeof in, "%s", is_human ? print_human_bytes(whole(o, names[i])) : "");
    for (size_t i = 0; !is_human && i < ARRAY_LEN(names); i++)
        snprintf(texts[i], sizeof in, "%" PRIu64, whole(o, names[i]));
    json_t *wants = json_object_get(o, "Wantlist"), *peers = json_object_get(o, "Peers"), *item;
    size_t i;
    TRY(print_out(p,
                  "bitswap status\n\tblocks received: %" PRId64 "\n\tblocks sent: %" PRId64
                  "\n\tdata received: %s\n\tdata sent: %s\n\tdup blocks received: %" PRId64
                  "\n\tdup data received: %s\n\twantlist [%zu keys]\n",
                  json_number(o, "BlocksReceived"), json_number(o, "BlocksSent"), in, out,
                  json_number(o, "DupBlksReceived"), dup, json_array_size(wants)));
    json_array_foreach(wants, i, item) TRY(print_out(p, "\t\t%s\n", print_escape(json_text(item, "/"))));
    TRY(print_out(p, "\tpartners [%zu]\n", json_array_size(peers)));
    return print_flag(p, "verbose", false) ? print_texts(p, peers, "\t\t") : OK;
}

/* ── routing ─────────────────────────────────────────────────────────────────────────────────── */

/* "2m3s ago" of an RFC 3339 time. */
static const char *since(const char *text, char out[32])
{
    struct tm tm = {0};
    if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) || tm.tm_year < 0)
        return "never";
    long long seconds = (long long)(time(NULL) - timegm(&tm)), hours = seconds / 3600;
    if (seconds < 0)
        seconds = 0;
    if (hours)
        snprintf(out, 32, "%lldh%lldm%llds ago", hours, seconds / 60 % 60, seconds % 60);
    else if (seconds >= 60)
        snprintf(out, 32, "%lldm%llds ago", seconds / 60, seconds % 60);
    else
        snprintf(out, 32, "%llds ago", seconds);
    return out;
}

static err_t print_bucket(print_t *p, size_t index, json_t *bucket)
{
    json_t *peers = json_object_get(bucket, "Peers"), *peer;
    char useful[32], queried[32];
    size_t i;
    TRY(print_out(p, "  Bucket %2zu (%zu peers) - refreshed %s:\n", index, json_array_size(peers),
                  since(json_text(bucket, "LastRefresh"), useful)));
    TRY(print_out(p, "    %-52s  %-12s  %-12s  %s\n", "Peer", "last useful", "last queried",
                  "Agent Version"));
    json_array_foreach(peers, i, peer) TRY(print_out(
        p, "  %c %-52s  %-12s  %-12s  %s\n", json_is_true(json_object_get(peer, "Connected")) ? '@' : ' ',
        field(peer, "ID"), since(json_text(peer, "LastUsefulAt"), useful),
        since(json_text(peer, "LastQueriedAt"), queried), field(peer, "AgentVersion")));
    return print_out(p, "\n");
}

err_t print_dht_table(print_t *p, json_t *o)
{
    json_t *buckets = json_object_get(o, "Buckets"), *bucket;
    size_t i, peers = 0;
    json_array_foreach(buckets, i, bucket) peers += json_array_size(json_object_get(bucket, "Peers"));
    TRY(print_out(p, "DHT %s (%zu peers):\n", field(o, "Name"), peers));
    json_array_foreach(buckets, i, bucket) TRY(print_bucket(p, i, bucket));
    return OK;
}

err_t print_record_key(print_t *p, json_t *o)
{
    return *json_text(o, "ID") ? print_out(p, "%s\n", field(o, "ID")) : OK;
}

err_t print_cleared(print_t *p, json_t *o)
{
    return print_out(p, "removed %" JSON_INTEGER_FORMAT " items from provide queue\n", json_integer_value(o));
}

/* ── commands ────────────────────────────────────────────────────────────────────────────────── */

static err_t print_cmd(print_t *p, json_t *o)
{
    bool verbose = print_flag(p, "verbose", false);
    if (verbose)
        TRY(print_out(p, "%-6" PRId64 "", json_number(o, "ID")));
    TRY(print_out(p, "%-24s", field(o, "Command")));
    if (verbose) {
        char *args = json_dumps(json_object_get(o, "Args"), JSON_COMPACT),
             *options = json_dumps(json_object_get(o, "Options"), JSON_COMPACT);
        err_t e = print_out(p, "%s %s  ", print_escape(args), print_escape(options));
        free(args);
        free(options);
        TRY(e);
    }
    char ago[32];
    return print_out(p, "%-7s %s (%s)\n", json_is_true(json_object_get(o, "Active")) ? "true" : "false",
                     field(o, "StartTime"), since(json_text(o, "StartTime"), ago));
}

err_t print_cmds(print_t *p, json_t *o)
{
    size_t i;
    json_t *entry;
    bool verbose = print_flag(p, "verbose", false);
    TRY(print_out(p, "%s%-24s%s%-7s %s\n", verbose ? "ID    " : "", "Command",
                  verbose ? "Arguments Options  " : "", "Active", "StartTime"));
    json_array_foreach(o, i, entry) TRY(print_cmd(p, entry));
    return OK;
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */

err_t print_peering_added(print_t *p, json_t *o)
{
    return print_out(p, "add %s %s\n", field(o, "ID"), field(o, "Status"));
}

err_t print_peering_removed(print_t *p, json_t *o)
{
    return print_out(p, "remove %s %s\n", field(o, "ID"), field(o, "Status"));
}

err_t print_peerings(print_t *p, json_t *o)
{
    size_t i;
    json_t *peer;
    json_array_foreach(json_object_get(o, "Peers"), i, peer)
    {
        TRY(print_out(p, "%s\n", field(peer, "ID")));
        TRY(print_texts(p, json_object_get(peer, "Addrs"), "\t"));
    }
    return OK;
}

err_t print_autonat(print_t *p, json_t *o)
{
    static const char *const sections[] = {"Reachable", "Unreachable", "Unknown"}, *const members[] = {
                                                                                       "reachable",
                                                                                       "unreachable",
                                                                                       "unknown"};
    size_t shown = 0;
    TRY(print_out(p, "AutoNAT V2 Status:\n  Reachability: %s\n\nPer-Address Reachability:\n",
                  field(o, "reachability")));
    for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
        json_t *list = json_object_get(o, members[s]);
        if (json_array_size(list))
            TRY(print_out(p, "  %s:\n", sections[s]));
        TRY(print_texts(p, list, "    "));
        shown += json_array_size(list);
    }
    return shown ? OK : print_out(p, "  (no address reachability data available)\n");
}

err_t print_dependency(print_t *p, json_t *o)
{
    return print_out(p, "%s@%s\n", field(o, "Path"), field(o, "Version"));
}

/* ── limits ──────────────────────────────────────────────────────────────────────────────────── */
enum { SCOPE_COLUMNS = 5, TAB = 8, COLUMN_MIN = 20, SCOPE_ROWS_MAX = 65536 };
/* A table as Go's text/tabwriter sets it: columns of whole tabs, filled up with tabs. */
typedef struct scope_row {
    char *cells[SCOPE_COLUMNS];
} scope_row_t;
typedef struct scope_table {
    scope_row_t *rows;
    size_t n, widths[SCOPE_COLUMNS];
} scope_table_t;

static void add_row(scope_table_t *table, const char *const cells[SCOPE_COLUMNS])
{
    if (table->n == SCOPE_ROWS_MAX)
        return;
    table->rows = xrealloc(table->rows, (table->n + 1) * sizeof *table->rows);
    for (size_t i = 0; i < SCOPE_COLUMNS; i++) {
        size_t len = strlen(cells[i]);
        table->rows[table->n].cells[i] = xstrdup(cells[i]);
        table->widths[i] = len > table->widths[i] ? len : table->widths[i];
    }
    table->n++;
}

static void add_scope(scope_table_t *table, const char *prefix, const char *name, json_t *limits)
{
    static const char *const names[] = {"Memory",        "FD",      "Conns",          "ConnsInbound",
                                        "ConnsOutbound", "Streams", "StreamsInbound", "StreamsOutbound"};
    char scope[512];
    snprintf(scope, sizeof scope, "%s%s", prefix, print_escape(name));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *limit = json_object_get(limits, names[i]);
        char key[32], value[32], used[32], share[32] = "n/a";
        snprintf(key, sizeof key, "%sUsage", names[i]);
        int64_t usage = json_number(limits, key);
        if (json_is_integer(limit))
            snprintf(value, sizeof value, "%" PRId64, json_number(limits, names[i]));
        else
            snprintf(value, sizeof value, "%s", json_is_string(limit) ? json_string_value(limit) : "");
        if (!limit || !strcmp(value, "unlimited"))
            continue;
        double max = strtod(value, NULL);
        if (max > 0)
            snprintf(share, sizeof share, usage ? "%.1f%%" : "0%%", (double)usage / max * 100);
        snprintf(used, sizeof used, "%" PRId64, usage);
        add_row(table, (const char *const[]){scope, names[i], print_escape(value), used, share});
    }
}

static err_t print_table(print_t *p, const scope_table_t *table)
{
    err_t e = OK;
    for (size_t i = 0; i < table->n; i++)
        for (size_t k = 0; k < SCOPE_COLUMNS; k++) {
            const char *cell = table->rows[i].cells[k];
            size_t width = table->widths[k] > COLUMN_MIN ? table->widths[k] : COLUMN_MIN;
            size_t tabs = (width + TAB - 1) / TAB - strlen(cell) / TAB;
            if (!e)
                e = print_out(p, "%s", cell);
            for (; !e && tabs; tabs--)
                e = print_out(p, "\t");
            if (!e && k + 1 == SCOPE_COLUMNS)
                e = print_out(p, "\n");
        }
    return e;
}

err_t print_resources(print_t *p, json_t *o)
{
    static const struct {
        const char *member, *prefix;
    } groups[] = {{"Services", "svc:"}, {"Protocols", "proto:"}, {"Peers", "peer:"}};
    scope_table_t table = {.rows = NULL};
    const char *name;
    json_t *limits;
    add_row(&table, (const char *const[]){"Scope", "Limit Name", "Limit Value", "Limit Usage Amount",
                                          "Limit Usage Percent"});
    add_scope(&table, "system", "", json_object_get(o, "System"));
    add_scope(&table, "transient", "", json_object_get(o, "Transient"));
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        json_object_foreach(json_object_get(o, groups[i].member), name, limits)
            add_scope(&table, groups[i].prefix, name, limits);
    err_t e = print_table(p, &table);
    for (size_t i = 0; i < table.n; i++)
        for (size_t k = 0; k < SCOPE_COLUMNS; k++)
            free(table.rows[i].cells[k]);
    free(table.rows);
    return e;
}

static err_t print_perf_way(print_t *p, json_t *o, const char *label, const char *bytes_key,
                            const char *seconds_key)
{
    double bytes = (double)json_number(o, bytes_key),
           seconds = json_number_value(json_object_get(o, seconds_key));
    if (bytes <= 0)
        return OK;
    return print_out(p, "%s %s in %.2f s: %.1f MB/s (%.2f Gbit/s)\n", label, print_size((uint64_t)bytes),
                     seconds, seconds > 0 ? bytes / seconds / 1e6 : 0,
                     seconds > 0 ? bytes * 8 / seconds / 1e9 : 0);
}

err_t print_perf(print_t *p, json_t *o)
{
    const char *type = json_text(o, "Type");
    bool has_both = *json_text(o, "Security"); /* of QUIC they are a part, and have no names */
    if (!strcmp(type, "connected"))
        return print_out(p, "connected to %s in %.0f ms%s%s%s%s\n", print_escape(json_text(o, "Address")),
                         json_number_value(json_object_get(o, "ConnectSeconds")) * 1000, has_both ? ": " : "",
                         print_escape(json_text(o, "Security")), has_both ? " " : "",
                         print_escape(json_text(o, "Muxer")));
    if (strcmp(type, "final"))
        return OK;
    TRY(print_perf_way(p, o, "upload:  ", "UploadBytes", "UploadSeconds"));
    return print_perf_way(p, o, "download:", "DownloadBytes", "DownloadSeconds");
}
