/* placement: which nodes take a chunk. The choice is a function of the chunk's place in its upload and of the
 * nodes, so that a plan can be made again; the database has no say in it. */
#include "base/map.h"
#include "meta/meta_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weighted rendezvous hashing: the node with the highest -weight / ln(u) wins with a chance in proportion to
 * its weight, whatever the others are. */
static double score_of(const place_node_t *n, const char *what)
{
    static const uint8_t hash_key[16] = "chunk placement";
    char text[160];
    snprintf(text, sizeof text, "%.96s/%s", what, n->id);
    double u = ((double)(siphash24(hash_key, bytes_str(text)) >> 11) + 0.5) / 9007199254740992.0;
    return -((double)n->free_bytes + 1) / log(u);
}

static bool is_zone_used(const place_node_t *nodes, size_t n, const bool *used, size_t at)
{
    for (size_t i = 0; i < n; i++)
        if (used[i] && i != at && !strcmp(nodes[i].zone, nodes[at].zone))
            return true;
    return false;
}

size_t place_choose(const place_node_t *nodes, size_t n, const char *what, int64_t size, size_t want,
                    const bool *taken, size_t *ret)
{
    double *scores = xcalloc(n + 1, sizeof *scores);
    bool *used = xcalloc(n + 1, sizeof *used);
    size_t got = 0;
    for (size_t i = 0; i < n; i++) {
        scores[i] = score_of(&nodes[i], what);
        used[i] = taken && taken[i];
    }
    while (got < want) {
        size_t best = SIZE_MAX;
        int best_rank = -1;
        for (size_t i = 0; i < n; i++) {
            if (used[i] || nodes[i].free_bytes < size)
                continue;
            int rank = (nodes[i].is_healthy ? 2 : 0) + (is_zone_used(nodes, n, used, i) ? 0 : 1);
            if (rank > best_rank || (rank == best_rank && scores[i] > scores[best])) {
                best = i;
                best_rank = rank;
            }
        }
        if (best == SIZE_MAX)
            break;
        used[best] = true;
        ret[got++] = best;
    }
    free(scores);
    free(used);
    return got;
}

err_t place_load(sql_t *c, const meta_t *m, int64_t now_ms, place_node_t *ret, size_t *ret_n)
{
    AUTO(sql_rows_t) r = {0};
    size_t n = 0;
    const int64_t interval = m->options.heartbeat_ms;
    TRY(sql_open(
        c,
        "SELECT id, address, zone, capacity_bytes - used_bytes, last_seen FROM nodes WHERE state = 'active' "
        "AND "
        "last_seen > ?1 AND capacity_bytes > used_bytes ORDER BY last_seen > ?2 DESC, capacity_bytes - "
        "used_bytes DESC LIMIT ?3",
        SQL(SQL_INT(now_ms - 10 * interval), SQL_INT(now_ms - 3 * interval), SQL_INT(CANDIDATES_MAX)), &r));
    while (sql_next(&r)) {
        place_node_t *p = &ret[n++];
        snprintf(p->id, sizeof p->id, "%s", sql_text(&r, 0));
        snprintf(p->address, sizeof p->address, "%s", sql_text(&r, 1));
        snprintf(p->zone, sizeof p->zone, "%s", sql_text(&r, 2));
        p->free_bytes = sql_int(&r, 3);
        p->is_healthy = sql_int(&r, 4) > now_ms - 3 * interval;
    }
    *ret_n = n;
    return sql_close(&r);
}
