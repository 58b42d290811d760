#include "logic/dial_race.h"
#include <stdlib.h>

enum { LANE_NEARBY, LANE_PUBLIC, LANE_RELAY };

static int lane_of(dial_place_t place)
{
    return place == DIAL_RELAY ? LANE_RELAY : place == DIAL_PUBLIC ? LANE_PUBLIC : LANE_NEARBY;
}

/* Nearby, TCP takes the processor half as long. Far away QUIC stands after one round trip, and gets through
 * more NATs. */
static int rank(const dial_choice_t *c)
{
    static const int near_ranks[] = {[DIAL_TCP] = 0, [DIAL_QUIC] = 1, [DIAL_OTHER] = 2};
    static const int far_ranks[] = {[DIAL_TCP] = 1, [DIAL_QUIC] = 0, [DIAL_OTHER] = 2};
    if (c->place == DIAL_RELAY)
        return 3 * DIAL_RELAY;
    return 3 * (int)c->place + (c->place == DIAL_PUBLIC ? far_ranks : near_ranks)[c->by];
}

static int compare(const void *left, const void *right)
{
    const dial_choice_t *a = left, *b = right;
    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (a->is_ip6 != b->is_ip6)
        return a->is_ip6 ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* From all of IPv6 and then all of IPv4, of one rank, to one of each in turn. */
static void take_turns(dial_choice_t *c, size_t n)
{
    size_t n_ip6 = 0;
    while (n_ip6 < n && c[n_ip6].is_ip6)
        n_ip6++;
    for (size_t at = 1, ip4 = n_ip6; at < ip4 && ip4 < n; at += 2, ip4++) {
        dial_choice_t moved = c[ip4];
        for (size_t i = ip4; i > at; i--)
            c[i] = c[i - 1];
        c[at] = moved;
    }
}

void dial_race_init(dial_race_t *r, dial_choice_t *choices, size_t n, uint64_t now_ms)
{
    *r = (dial_race_t){.choices = choices};
    qsort(choices, n, sizeof *choices, compare);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && rank(&choices[to]) == rank(&choices[from]);)
            to++;
        take_turns(choices + from, to - from);
    }
    size_t at = 0;
    for (int lane = 0; lane < DIAL_LANES; lane++) {
        r->lanes[lane].next = at;
        while (at < n && lane_of(choices[at].place) == lane)
            at++;
        r->lanes[lane].end = at;
        r->lanes[lane].due_ms = now_ms;
    }
    if (r->lanes[LANE_RELAY].next) /* there are others */
        r->lanes[LANE_RELAY].due_ms += DIAL_RELAY_MS;
}

static bool has_more(const dial_race_t *r, int lane)
{
    return r->lanes[lane].next < r->lanes[lane].end;
}

bool dial_race_next(dial_race_t *r, uint64_t now_ms, dial_choice_t *ret)
{
    for (int i = 0; i < DIAL_LANES && r->n_running < DIAL_PARALLEL_MAX; i++) {
        if (!has_more(r, i) || now_ms < r->lanes[i].due_ms)
            continue;
        r->lanes[i].due_ms = now_ms + DIAL_GAP_MS;
        r->lanes[i].n_running++;
        r->n_running++;
        *ret = r->choices[r->lanes[i].next++];
        return true;
    }
    return false;
}

static bool is_spent(const dial_race_t *r, int lane)
{
    return !has_more(r, lane) && !r->lanes[lane].n_running;
}

void dial_race_failed(dial_race_t *r, dial_place_t place, uint64_t now_ms)
{
    int lane = lane_of(place);
    r->n_running--;
    r->lanes[lane].n_running--;
    r->lanes[lane].due_ms = now_ms;
    if (is_spent(r, LANE_NEARBY) && is_spent(r, LANE_PUBLIC) && lane != LANE_RELAY)
        r->lanes[LANE_RELAY].due_ms = now_ms;
}

uint64_t dial_race_deadline_ms(const dial_race_t *r)
{
    uint64_t ms = UINT64_MAX;
    for (int i = 0; i < DIAL_LANES && r->n_running < DIAL_PARALLEL_MAX; i++)
        if (has_more(r, i) && r->lanes[i].due_ms < ms)
            ms = r->lanes[i].due_ms;
    return ms;
}

bool dial_race_is_over(const dial_race_t *r)
{
    for (int i = 0; i < DIAL_LANES; i++)
        if (!is_spent(r, i))
            return false;
    return true;
}
