/* print_provide: `provide stat` as text, in sections. Reference: ipfs/kubo core/commands/provide.go, whose
 * lines these are; Lag and Forecast are ours. */
#include "print/printers.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LINES_MAX = 64,
    LINE_BYTES = 160,
};

/* Lines whose cells end with tabs; with two columns side by side, without. */
typedef struct sheet {
    char lines[2][LINES_MAX][LINE_BYTES];
    size_t n[2];
    bool is_compact, is_brief, has_headings;
    const char *indent;
} sheet_t;

/* ── numbers for people ──────────────────────────────────────────────────────────────────────── */
/* With commas between thousands, cut to so many decimals. */
static const char *full_text(double value, int decimals, char out[48])
{
    char plain[32];
    size_t n = 0;
    int len = snprintf(plain, sizeof plain, "%.6f", value);
    if (len < 0 || (size_t)len >= sizeof plain)
        return memcpy(out, "?", sizeof "?"); /* no figure that a node gives */
    size_t whole = strcspn(plain, ".");
    for (size_t i = 0; i < whole; i++) {
        out[n++] = plain[i];
        if (plain[i] != '-' && i + 1 < whole && (whole - i - 1) % 3 == 0)
            out[n++] = ',';
    }
    size_t end = whole + 1 + (size_t)decimals;
    while (decimals && end > whole + 1 && plain[end - 1] == '0')
        end--;
    if (decimals && end > whole + 1) {
        memcpy(out + n, plain + whole, end - whole);
        n += end - whole;
    }
    out[n] = 0;
    return out;
}

static const char *si_text(double value, int decimals, char out[48])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    full_text(value, decimals, out);
    size_t n = strlen(out);
    snprintf(out + n, 48 - n, "%s", units[unit]);
    return out;
}

/* Short, and in full when that says more. */
static const char *number_text(double value, char out[96])
{
    char brief[48], full[48];
    si_text(value, 0, brief);
    full_text(value, 0, full);
    if (strcmp(brief, full) != 0)
        snprintf(out, 96, "%.40s\t(%.40s)", brief, full);
    else
        snprintf(out, 96, "%s", brief);
    return out;
}

static const char *average_text(double value, char out[48])
{
    if (value > 0)
        return full_text(value, 1, out);
    snprintf(out, 48, "N/A");
    return out;
}

/* ── the sheet ───────────────────────────────────────────────────────────────────────────────── */
static void add_line(sheet_t *s, int column, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void turn_into_cell(char *line, const char *mark)
{
    char *at = strstr(line, mark);
    if (at)
        at[1] = '\t';
}

static void add_line(sheet_t *s, int column, const char *fmt, ...)
{
    column = s->is_compact ? column : 0;
    if (s->n[column] == LINES_MAX)
        return;
    char *line = s->lines[column][s->n[column]++];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, LINE_BYTES, fmt, args);
    va_end(args);
    if (n < 0)
        line[0] = 0;
    if (s->is_compact)
        return;
    turn_into_cell(line, ": ");
    turn_into_cell(line, ", ");
}

static void open_section(sheet_t *s, int column, const char *title)
{
    if (!s->is_brief && s->has_headings)
        add_line(s, column, "%s:", title);
}

static void close_section(sheet_t *s, int column)
{
    if (!s->is_brief)
        add_line(s, column, "%s", "");
}

static size_t cells_of(const char *line)
{
    size_t n = 0;
    for (; *line; line++)
        n += *line == '\t';
    return n;
}

static const char *cell_at(const char *line, size_t i, size_t *ret_len)
{
    while (i--)
        line = strchr(line, '\t') + 1;
    *ret_len = strcspn(line, "\t");
    return line;
}

/* How wide a cell is: as its neighbours above and below that have such a cell. */
static size_t width_of(const char *const *lines, size_t n, size_t at, size_t cell)
{
    size_t from = at, width = 0, len;
    while (from && cells_of(lines[from - 1]) > cell)
        from--;
    for (size_t i = from; i < n && cells_of(lines[i]) > cell; i++) {
        cell_at(lines[i], cell, &len);
        width = len > width ? len : width;
    }
    return width + 1;
}

static err_t print_lines(print_t *p, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t cells = cells_of(lines[i]), len;
        for (size_t cell = 0; cell < cells; cell++) {
            const char *text = cell_at(lines[i], cell, &len);
            TRY(print_out(p, "%.*s%*s", (int)len, text, (int)(width_of(lines, n, i, cell) - len), ""));
        }
        TRY(print_out(p, "%s\n", cell_at(lines[i], cells, &len)));
    }
    return OK;
}

static err_t print_sheet(print_t *p, const sheet_t *s)
{
    const char *lines[LINES_MAX];
    size_t n = s->n[0], width = 0;
    for (size_t i = 0; i < n; i++)
        lines[i] = s->lines[0][i];
    if (!s->is_compact)
        return print_lines(p, lines, n && !s->is_brief ? n - 1 : n); /* without the last empty one */
    char(*both)[2 * LINE_BYTES + 4] = xcalloc(LINES_MAX, sizeof *both);
    for (size_t i = 0; i < n; i++)
        width = strlen(lines[i]) > width ? strlen(lines[i]) : width;
    n = s->n[1] > n ? s->n[1] : n;
    for (size_t i = 0; i + 1 < n; i++) {
        const char *left = i < s->n[0] ? s->lines[0][i] : "", *right = i < s->n[1] ? s->lines[1][i] : "";
        snprintf(both[i], sizeof both[i], "%-*s %s", (int)width + 2, left, right);
        lines[i] = both[i];
    }
    err_t e = print_lines(p, lines, n ? n - 1 : 0);
    free(both);
    return e;
}

/* ── the sections ────────────────────────────────────────────────────────────────────────────── */
/* "2026-01-02 03:04:05", "N/A" when there is none. */
static const char *time_text(const char *rfc3339, char out[32])
{
    if (strlen(rfc3339) < 19 || !strncmp(rfc3339, "0001", 4))
        snprintf(out, 32, "N/A");
    else
        snprintf(out, 32, "%.10s %.8s", rfc3339, rfc3339 + 11);
    return out;
}

/* Cut to what says something. */
static const char *short_duration(int64_t ns, char out[64])
{
    return print_duration(ns > 1000000000 ? ns - ns % 100000000 : ns - ns % 1000, out);
}

static double real_of(json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void add_connectivity(sheet_t *s, json_t *sweep)
{
    json_t *o = json_object_get(sweep, "connectivity");
    char since[32];
    open_section(s, 1, "Connectivity");
    if (strcmp(time_text(json_text(o, "since"), since), "N/A") == 0)
        add_line(s, 1, "%sStatus: %s", s->indent, field(o, "status"));
    else
        add_line(s, 1, "%sStatus: %s (%s)", s->indent, field(o, "status"), print_escape(since));
    close_section(s, 1);
}

static void add_queues(sheet_t *s, json_t *sweep)
{
    json_t *o = json_object_get(sweep, "queues");
    char a[48], b[48];
    open_section(s, 1, "Queues");
    add_line(s, 1, "%sProvide queue: %s CIDs, %s regions", s->indent,
             si_text(real_of(o, "pending_key_provides"), 1, a),
             si_text(real_of(o, "pending_region_provides"), 1, b));
    add_line(s, 1, "%sReprovide queue: %s regions", s->indent,
             si_text(real_of(o, "pending_region_reprovides"), 1, a));
    close_section(s, 1);
}

static void add_schedule(sheet_t *s, json_t *sweep)
{
    json_t *o = json_object_get(sweep, "schedule");
    char text[96], when[32];
    const char *prefix = field(o, "next_reprovide_prefix");
    open_section(s, 0, "Schedule");
    add_line(s, 0, "%sCIDs scheduled: %s", s->indent, number_text(real_of(o, "keys"), text));
    add_line(s, 0, "%sRegions scheduled: %s", s->indent,
             real_of(o, "regions") > 0 ? number_text(real_of(o, "regions"), text) : "N/A");
    if (!s->is_brief) {
        add_line(s, 0, "%sAvg prefix length: %s", s->indent,
                 average_text(real_of(o, "avg_prefix_length"), text));
        add_line(s, 0, "%sNext region prefix: %s", s->indent, *prefix ? prefix : "N/A");
        time_text(json_text(o, "next_reprovide_at"), when);
        add_line(s, 0, "%sNext region reprovide: %s", s->indent,
                 strlen(when) > 11 ? print_escape(when + 11) : "N/A");
    }
    close_section(s, 0);
}

static void add_timings(sheet_t *s, json_t *sweep)
{
    json_t *o = json_object_get(sweep, "timing");
    char text[64], when[32];
    int64_t forecast = json_number(o, "forecast");
    open_section(s, 1, "Timings");
    add_line(s, 1, "%sUptime: %s", s->indent, short_duration(json_number(o, "uptime"), text));
    add_line(s, 1, "%sCurrent time offset: %s", s->indent,
             short_duration(json_number(o, "current_time_offset"), text));
    add_line(s, 1, "%sCycle started: %s", s->indent,
             print_escape(time_text(json_text(o, "cycle_start"), when)));
    add_line(s, 1, "%sReprovide interval: %s", s->indent,
             short_duration(json_number(o, "reprovides_interval"), text));
    add_line(s, 1, "%sLag: %s", s->indent, short_duration(json_number(o, "lag"), text));
    add_line(s, 1, "%sForecast: %s", s->indent, forecast ? short_duration(forecast, text) : "N/A");
    close_section(s, 1);
}

static void add_network(sheet_t *s, json_t *sweep)
{
    json_t *o = json_object_get(sweep, "network");
    char text[96];
    double peers = real_of(o, "peers"), reachable = real_of(o, "reachable");
    open_section(s, 0, "Network");
    add_line(s, 0, "%sAvg record holders: %s", s->indent, average_text(real_of(o, "avg_holders"), text));
    if (!s->is_brief) {
        add_line(s, 0, "%sPeers swept: %s", s->indent, full_text(peers, 0, text));
        add_line(s, 0, "%sFull keyspace coverage: %s", s->indent,
                 json_is_true(json_object_get(o, "complete_keyspace_coverage")) ? "true" : "false");
        full_text(reachable, 0, text);
        if (peers > 0)
            add_line(s, 0, "%sReachable peers: %s (%.0f%%)", s->indent, text,
                     (double)(int)(100 * reachable / peers));
        else
            add_line(s, 0, "%sReachable peers: %s", s->indent, text);
        add_line(s, 0, "%sAvg region size: %s", s->indent, average_text(real_of(o, "avg_region_size"), text));
        add_line(s, 0, "%sReplication factor: %s", s->indent,
                 number_text(real_of(o, "replication_factor"), text));
    }
    close_section(s, 0);
}

static void add_operations(sheet_t *s, json_t *sweep)
{
    json_t *all = json_object_get(sweep, "operations");
    json_t *now = json_object_get(all, "ongoing"), *past = json_object_get(all, "past");
    char a[96], b[96];
    int64_t took = json_number(past, "reprovide_duration");
    open_section(s, 1, "Operations");
    add_line(s, 1, "%sOngoing provides: %s CIDs, %s regions", s->indent,
             si_text(real_of(now, "key_provides"), 1, a), si_text(real_of(now, "region_provides"), 1, b));
    add_line(s, 1, "%sOngoing reprovides: %s CIDs, %s regions", s->indent,
             si_text(real_of(now, "key_reprovides"), 1, a), si_text(real_of(now, "region_reprovides"), 1, b));
    add_line(s, 1, "%sTotal CIDs provided: %s", s->indent, number_text(real_of(past, "keys_provided"), a));
    if (!s->is_brief) {
        add_line(s, 1, "%sTotal records provided: %s", s->indent,
                 number_text(real_of(past, "records_provided"), a));
        add_line(s, 1, "%sTotal provide errors: %s", s->indent, number_text(real_of(past, "keys_failed"), a));
        add_line(s, 1, "%sCIDs provided/min/worker: %s", s->indent,
                 average_text(real_of(past, "keys_provided_per_minute"), a));
        add_line(s, 1, "%sCIDs reprovided/min/worker: %s", s->indent,
                 average_text(real_of(past, "keys_reprovided_per_minute"), a));
        add_line(s, 1, "%sRegion reprovide duration: %s", s->indent,
                 took > 0 ? short_duration(took, a) : "N/A");
        add_line(s, 1, "%sAvg CIDs/reprovide: %s", s->indent,
                 average_text(real_of(past, "avg_keys_per_reprovide"), a));
        add_line(s, 1, "%sRegions reprovided (last cycle): %s", s->indent,
                 number_text(real_of(past, "regions_reprovided_last_cycle"), a));
    }
    close_section(s, 1);
}

static int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

static void add_workers(sheet_t *s, json_t *sweep, bool is_wanted)
{
    json_t *o = json_object_get(sweep, "workers");
    int64_t periodic = json_number(o, "active_periodic"), burst = json_number(o, "active_burst");
    int64_t own_periodic = json_number(o, "dedicated_periodic"),
            own_burst = json_number(o, "dedicated_burst");
    int64_t max = json_number(o, "max");
    int64_t free_ones = at_least(max - at_least(own_burst, burst) - at_least(own_periodic, periodic), 0);
    int64_t may_burst = free_ones + at_least(own_burst - burst, 0);
    int64_t may_sweep = free_ones + at_least(own_periodic - periodic, 0);
    const char *of = s->is_compact ? "" : " workers", *in = s->indent;
    if (!is_wanted)
        return;
    open_section(s, 0, "Workers");
    add_line(s, 0, "%sActive%s: %" PRId64 " / %" PRId64 " (max)", in, of, json_number(o, "active"), max);
    add_line(s, 0, "%sFree%s: %" PRId64, in, of, free_ones);
    add_line(s, 0, "%s  %-14s %-9s %s", in, "Workers stats:", "Periodic", "Burst");
    add_line(s, 0, "%s  %-14s %-9" PRId64 " %" PRId64, in, "Active:", periodic, burst);
    add_line(s, 0, "%s  %-14s %-9" PRId64 " %" PRId64, in, "Dedicated:", own_periodic, own_burst);
    add_line(s, 0, "%s  %-14s %-9" PRId64 " %" PRId64, in, "Available:", may_sweep, may_burst);
    add_line(s, 0, "%s  %-14s %-9" PRId64 " %" PRId64, in, "Queued:", json_number(o, "queued_periodic"),
             json_number(o, "queued_burst"));
    add_line(s, 0, "%sMax connections/worker: %" PRId64, in, json_number(o, "max_provide_conns_per_worker"));
    close_section(s, 0);
}

err_t print_provide_stat(print_t *p, json_t *o)
{
    static const char *const names[] = {"connectivity", "queues",     "schedule", "timings",
                                        "network",      "operations", "workers"};
    bool all = print_flag(p, "all", false), wants[ARRAY_LEN(names)];
    size_t n = all;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        wants[i] = print_flag(p, names[i], false);
        n += wants[i];
        wants[i] |= all;
    }
    if (print_flag(p, "compact", false) && !all)
        return fail(ERR_USAGE, "--compact requires --all flag");
    json_t *sweep = json_object_get(o, "Sweep");
    sheet_t *s = xcalloc(1, sizeof *s);
    s->is_brief = n == 0;
    s->has_headings = n > 1 || all;
    s->is_compact = all && print_flag(p, "compact", false);
    s->indent = s->is_brief || !s->has_headings ? "" : "  ";
    bool is_away = strcmp(json_text(json_object_get(sweep, "connectivity"), "status"), "online") != 0;
    if (wants[0] || (s->is_brief && is_away))
        add_connectivity(s, sweep);
    if (wants[1] || s->is_brief)
        add_queues(s, sweep);
    if (wants[2] || s->is_brief)
        add_schedule(s, sweep);
    if (wants[3])
        add_timings(s, sweep);
    if (wants[4] || s->is_brief)
        add_network(s, sweep);
    if (wants[5] || s->is_brief)
        add_operations(s, sweep);
    add_workers(s, sweep, wants[6]);
    err_t e = print_sheet(p, s);
    free(s);
    return e;
}
