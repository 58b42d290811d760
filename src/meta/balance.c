/* balance: a node that was added is empty, and others are full. Copies move from the fullest node to the
 * emptiest, few at a time, until the fillings differ by less than half of what began it. A move never makes a
 * chunk's copies stand in fewer zones. */
#include "meta/jobs_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOVES_MAX = 100, ORDERS_MAX = 10000, SEEN_PER_RUN = 500, REST_MS = 10000 };

typedef struct balance_node {
    char id[META_ID_CHARS + 1], zone[65];
    int64_t capacity, used; /* used: when all that is ordered is done */
} balance_node_t;

static double fill_of(const balance_node_t *n)
{
    return (double)n->used / (double)n->capacity;
}

static err_t load_nodes(sql_t *c, const job_t *job, balance_node_t *out, size_t *ret_n)
{
    AUTO(sql_rows_t) r = {0};
    size_t n = 0;
    TRY(sql_open(
        c,
        "SELECT id, zone, capacity_bytes, used_bytes FROM nodes WHERE state = 'active' AND last_seen > "
        "?1 AND capacity_bytes > 0 ORDER BY id LIMIT ?2",
        SQL(SQL_INT(job->now_ms - 3 * job->m->options.heartbeat_ms), SQL_INT(NODES_MAX)), &r));
    while (sql_next(&r)) {
        balance_node_t *k = &out[n++];
        *k = (balance_node_t){.capacity = sql_int(&r, 2), .used = sql_int(&r, 3)};
        snprintf(k->id, sizeof k->id, "%s", sql_text(&r, 0));
        snprintf(k->zone, sizeof k->zone, "%s", sql_text(&r, 1));
    }
    *ret_n = n;
    return sql_close(&r);
}

static int compare_node(const void *id, const void *node)
{
    return strcmp(id, ((const balance_node_t *)node)->id);
}

/* Copies that are to come, less those that are to go. */
static err_t add_orders(sql_t *c, balance_node_t *nodes, size_t n, int64_t *ret_planned)
{
    AUTO(sql_rows_t) r = {0};
    *ret_planned = 0;
    TRY(sql_open(
        c,
        "SELECT l.node_id, l.state, sum(c.size), count(*) FROM (SELECT chunk_id, node_id, state FROM "
        "locations WHERE state > 0 LIMIT ?1) AS l JOIN chunks c ON c.id = l.chunk_id GROUP BY "
        "l.node_id, l.state",
        SQL(SQL_INT(ORDERS_MAX)), &r));
    while (sql_next(&r)) {
        balance_node_t *k = bsearch(sql_text(&r, 0), nodes, n, sizeof *nodes, compare_node);
        bool is_coming = sql_int(&r, 1) == LOCATION_PLANNED;
        *ret_planned += is_coming ? sql_int(&r, 3) : 0;
        if (k)
            k->used += is_coming ? sql_int(&r, 2) : -sql_int(&r, 2);
    }
    return sql_close(&r);
}

static void find_ends(const balance_node_t *nodes, size_t n, size_t *ret_full, size_t *ret_empty)
{
    *ret_full = *ret_empty = 0;
    for (size_t i = 1; i < n; i++) {
        if (fill_of(&nodes[i]) > fill_of(&nodes[*ret_full]))
            *ret_full = i;
        if (fill_of(&nodes[i]) < fill_of(&nodes[*ret_empty]))
            *ret_empty = i;
    }
}

/* *ret_n 0: nothing is to be done now. What is ordered is done first when it is much. */
static err_t load(sql_t *c, const job_t *job, balance_node_t *nodes, size_t *ret_n, size_t *ret_budget)
{
    int64_t orders, planned;
    *ret_n = 0;
    TRY(sql_number(c, "SELECT count(*) FROM (SELECT 1 FROM locations WHERE state > 0 LIMIT ?1) AS o",
                   SQL(SQL_INT(ORDERS_MAX)), 0, &orders));
    if (orders >= ORDERS_MAX)
        return OK;
    TRY(load_nodes(c, job, nodes, ret_n));
    TRY(add_orders(c, nodes, *ret_n, &planned));
    *ret_budget = planned < MOVES_MAX ? (size_t)(MOVES_MAX - planned) : 0;
    if (*ret_n < 2 || !*ret_budget)
        *ret_n = 0;
    return OK;
}

err_t look_for_imbalance(sql_t *c, void *arg)
{
    job_t *job = arg;
    size_t n, budget, full, empty;
    job->is_needed = false;
    if (job->now_ms < job->m->balance_rests_until_ms)
        return OK;
    balance_node_t *nodes = xcalloc(NODES_MAX, sizeof *nodes);
    err_t e = load(c, job, nodes, &n, &budget);
    if (!e && n) {
        find_ends(nodes, n, &full, &empty);
        job->is_needed = (fill_of(&nodes[full]) - fill_of(&nodes[empty])) * 100 >
                         (double)job->m->options.rebalance_percent;
    }
    free(nodes);
    return e;
}

/* ── one chunk ───────────────────────────────────────────────────────────────────────────────── */
static bool holds(const copy_t *copies, size_t n, const char *node)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(copies[i].node, node))
            return true;
    return false;
}

/* How many zones the copies are in, with `from` replaced by another node (NULL: as they are). */
static size_t count_zones(const copy_t *copies, size_t n, const char *from, const char *zone)
{
    size_t zones = zone != NULL;
    for (size_t i = 0; i < n; i++) {
        bool is_new = (!from || strcmp(copies[i].node, from)) && (!zone || strcmp(copies[i].zone, zone));
        for (size_t k = 0; k < i && is_new; k++)
            is_new = (from && !strcmp(copies[k].node, from)) || strcmp(copies[k].zone, copies[i].zone);
        zones += is_new;
    }
    return zones;
}

/* All copies as they should be: none ordered, none on a node that is not well. */
static bool is_at_rest(const copy_t *copies, size_t n, int64_t replication)
{
    for (size_t i = 0; i < n; i++)
        if (!copies[i].is_good || !copies[i].is_alive || copies[i].is_planned)
            return false;
    return (int64_t)n == replication;
}

static size_t find_target(const balance_node_t *nodes, size_t n, size_t full, const copy_t *copies,
                          size_t n_copies, int64_t size)
{
    size_t best = SIZE_MAX, zones = count_zones(copies, n_copies, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        double after = (double)(nodes[i].used + size) / (double)nodes[i].capacity;
        double left = (double)(nodes[full].used - size) / (double)nodes[full].capacity;
        if (i == full || after >= left || holds(copies, n_copies, nodes[i].id) ||
            count_zones(copies, n_copies, nodes[full].id, nodes[i].zone) < zones)
            continue;
        if (best == SIZE_MAX || fill_of(&nodes[i]) < fill_of(&nodes[best]))
            best = i;
    }
    return best;
}

typedef struct mover {
    job_t *job;
    balance_node_t *nodes;
    size_t n, full, budget;
} mover_t;

static err_t move_chunk(sql_t *c, mover_t *v, const char *chunk, int64_t size, int64_t replication)
{
    copy_t copies[COPIES_MAX];
    size_t n;
    TRY(load_copies(c, v->job, chunk, copies, &n));
    if (!is_at_rest(copies, n, replication))
        return OK;
    size_t to = find_target(v->nodes, v->n, v->full, copies, n, size);
    if (to == SIZE_MAX)
        return OK;
    v->nodes[to].used += size;
    v->nodes[v->full].used -= size;
    v->job->done++;
    return sql_run(
        c,
        "INSERT INTO locations (chunk_id, node_id, state, since) VALUES (?1, ?2, 2, ?3) ON CONFLICT "
        "(chunk_id, node_id) DO NOTHING",
        SQL(SQL_TEXT(chunk), SQL_TEXT(v->nodes[to].id), SQL_INT(v->job->now_ms)), NULL);
}

static bool is_even(const mover_t *v)
{
    size_t full, empty;
    find_ends(v->nodes, v->n, &full, &empty);
    return full != v->full || (fill_of(&v->nodes[full]) - fill_of(&v->nodes[empty])) * 200 <=
                                  (double)v->job->m->options.rebalance_percent;
}

static err_t move_some(sql_t *c, mover_t *v)
{
    meta_t *m = v->job->m;
    AUTO(sql_rows_t) r = {0};
    size_t seen = 0;
    TRY(sql_open(
        c,
        "SELECT l.chunk_id, c.size, c.replication FROM locations l JOIN chunks c ON c.id = l.chunk_id "
        "WHERE l.node_id = ?1 AND l.state = 0 AND c.is_live = 1 AND l.chunk_id > ?2 ORDER BY l.chunk_id "
        "LIMIT ?3",
        SQL(SQL_TEXT(v->nodes[v->full].id), SQL_TEXT(m->balance_cursor), SQL_INT(SEEN_PER_RUN)), &r));
    while (v->job->done < v->budget && !is_even(v) && sql_next(&r)) {
        char chunk[META_CHUNK_ID_CHARS + 1];
        seen++;
        snprintf(chunk, sizeof chunk, "%s", sql_text(&r, 0));
        snprintf(m->balance_cursor, sizeof m->balance_cursor, "%s", chunk);
        TRY(move_chunk(c, v, chunk, sql_int(&r, 1), sql_int(&r, 2)));
    }
    TRY(sql_close(&r));
    if (seen < SEEN_PER_RUN && v->job->done < v->budget) {
        m->balance_cursor[0] = 0; /* from the beginning, when all were seen */
        if (!v->job->done)
            m->balance_rests_until_ms = v->job->now_ms + REST_MS;
    }
    return OK;
}

err_t balance(sql_t *c, void *arg)
{
    job_t *job = arg;
    mover_t v = {.job = job, .nodes = xcalloc(NODES_MAX, sizeof *v.nodes)};
    size_t empty;
    job->done = 0;
    err_t e = load(c, job, v.nodes, &v.n, &v.budget);
    if (!e && v.n) {
        find_ends(v.nodes, v.n, &v.full, &empty);
        snprintf(job->entry->target, sizeof job->entry->target, "%s", v.nodes[v.full].id);
        e = move_some(c, &v);
    }
    free(v.nodes);
    job->entry->action = job->done ? "chunk.balance" : NULL;
    snprintf(job->entry->detail, sizeof job->entry->detail, "chunks=%zu", job->done);
    return e;
}
