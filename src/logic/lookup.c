#include "logic/lookup.h"
#include "logic/netsize.h"
#include <stdlib.h>

void lookup_config_default(lookup_config_t *ret)
{
    *ret = (lookup_config_t){.k = 20,
                             .alpha = 10,
                             .beta = 3,
                             .max_peers = 512,
                             .max_requests = 300,
                             .max_per_group = 4,
                             .paths = 1,
                             .peer_timeout_ms = 5000,
                             .has_follow_up = true};
}

void lookup_init(lookup_t *l, const lookup_config_t *config, const kad_key_t *target, const peer_id_t *self)
{
    *l = (lookup_t){.config = *config, .target = *target, .self = *self, .n_paths = 1};
    assert(config->paths <= LOOKUP_PATHS_MAX);
}

void lookup_deinit(lookup_t *l)
{
    free(l->peers);
    l->peers = NULL;
    l->count = l->cap = 0;
}

/* The place of key in the order of distance: the index of the first peer that is not closer. */
static size_t place_of(const lookup_t *l, const kad_key_t *key)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (kad_compare_distance(&l->target, &l->peers[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static lookup_peer_t *find_peer(lookup_t *l, const peer_id_t *peer)
{
    kad_key_t key = kad_key_of_peer(peer);
    size_t at = place_of(l, &key);
    return at < l->count && peer_id_equal(&l->peers[at].peer, peer) ? &l->peers[at] : NULL;
}

/* Full: forgets the farthest peer that was only heard of, when it is farther than `at`. */
static bool make_room(lookup_t *l, size_t at)
{
    if (l->count < l->config.max_peers)
        return true;
    for (size_t i = l->count; i-- > at;) {
        if (l->peers[i].state != LOOKUP_HEARD)
            continue;
        memmove(&l->peers[i], &l->peers[i + 1], (l->count - i - 1) * sizeof *l->peers);
        l->count--;
        return true;
    }
    return false;
}

static void hear_of(lookup_t *l, const peer_id_t *peer, uint16_t hops, uint8_t path)
{
    if (!peer->len || peer_id_equal(peer, &l->self))
        return;
    kad_key_t key = kad_key_of_peer(peer);
    size_t at = place_of(l, &key);
    if ((at < l->count && kad_key_equal(&l->peers[at].key, &key)) || !make_room(l, at))
        return;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->peers = xrealloc(l->peers, l->cap * sizeof *l->peers);
    }
    memmove(&l->peers[at + 1], &l->peers[at], (l->count - at) * sizeof *l->peers);
    l->peers[at] =
        (lookup_peer_t){.key = key, .peer = *peer, .hops = hops, .path = path, .timeout_ms = UINT64_MAX};
    l->count++;
}

void lookup_start(lookup_t *l, const peer_id_t *seeds, size_t n)
{
    l->n_paths = l->config.paths < n ? l->config.paths : n;
    l->n_paths = l->n_paths ? l->n_paths : 1;
    for (size_t i = 0; i < n; i++)
        hear_of(l, &seeds[i], 1, (uint8_t)(i % l->n_paths));
}

static bool is_asked(const lookup_peer_t *p)
{
    return p && (p->state == LOOKUP_WAITING || p->state == LOOKUP_LATE);
}

static void settle(lookup_t *l, lookup_peer_t *p, lookup_state_t state)
{
    if (p->state == LOOKUP_WAITING)
        l->n_waiting--;
    p->state = state;
    p->timeout_ms = UINT64_MAX;
}

/* Hears of the 2 k closest of an answer; the rest can only be farther than what an honest peer sends. */
static void hear_closest(lookup_t *l, const peer_id_t *closer, size_t n, uint16_t hops, uint8_t path)
{
    size_t limit = 2 * l->config.k;
    if (n <= limit) {
        for (size_t i = 0; i < n; i++)
            hear_of(l, &closer[i], hops, path);
        return;
    }
    struct {
        kad_key_t key;
        size_t index;
    } *best = xcalloc(limit, sizeof *best);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        kad_key_t key = kad_key_of_peer(&closer[i]);
        size_t at = count;
        while (at && kad_compare_distance(&l->target, &key, &best[at - 1].key) < 0)
            at--;
        if (at == limit)
            continue;
        memmove(&best[at + 1], &best[at], ((count < limit ? count : limit - 1) - at) * sizeof *best);
        best[at].key = key;
        best[at].index = i;
        count += count < limit;
    }
    for (size_t i = 0; i < count; i++)
        hear_of(l, &closer[best[i].index], hops, path);
    free(best);
}

void lookup_answer(lookup_t *l, const peer_id_t *from, const peer_id_t *closer, size_t n)
{
    lookup_peer_t *p = find_peer(l, from);
    if (!is_asked(p) || l->phase == LOOKUP_DONE)
        return;
    settle(l, p, LOOKUP_QUERIED);
    uint16_t hops = p->hops;
    if (hops > l->max_hops)
        l->max_hops = hops;
    hear_closest(l, closer, n, (uint16_t)(hops + (hops < UINT16_MAX)), p->path);
}

void lookup_set_group(lookup_t *l, const peer_id_t *peer, uint64_t group)
{
    lookup_peer_t *p = find_peer(l, peer);
    if (p)
        p->group = group;
}

void lookup_claim_group(lookup_t *l, const peer_id_t *peer, uint64_t group)
{
    lookup_peer_t *p = find_peer(l, peer);
    if (p && !p->group)
        p->group = group;
}

void lookup_fail(lookup_t *l, const peer_id_t *peer)
{
    lookup_peer_t *p = find_peer(l, peer);
    if (!is_asked(p) || l->phase == LOOKUP_DONE)
        return;
    settle(l, p, LOOKUP_UNREACHABLE);
    l->n_failed++;
}

static void finish(lookup_t *l, lookup_end_t end)
{
    if (l->phase == LOOKUP_DONE)
        return;
    l->phase = LOOKUP_DONE;
    l->end = end;
}

void lookup_stop(lookup_t *l)
{
    finish(l, LOOKUP_STOPPED);
}

void lookup_tick(lookup_t *l, uint64_t now_ms)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->peers[i].state == LOOKUP_WAITING && now_ms >= l->peers[i].timeout_ms)
            settle(l, &l->peers[i], LOOKUP_LATE);
}

uint64_t lookup_deadline_ms(const lookup_t *l)
{
    uint64_t at = UINT64_MAX;
    if (l->phase != LOOKUP_DONE)
        for (size_t i = 0; i < l->count; i++)
            if (l->peers[i].state == LOOKUP_WAITING && l->peers[i].timeout_ms < at)
                at = l->peers[i].timeout_ms;
    return at;
}

/* ── the closest that count ──────────────────────────────────────────────────────────────────── */
enum { PICK_GROUPS = 64 };
typedef struct pick {
    size_t next, n_groups;
    struct {
        uint64_t group;
        size_t count;
    } groups[PICK_GROUPS];
} pick_t;

static bool has_room_for(const lookup_t *l, pick_t *p, uint64_t group)
{
    if (!group || !l->config.max_per_group)
        return true;
    size_t i = 0;
    while (i < p->n_groups && p->groups[i].group != group)
        i++;
    if (i == PICK_GROUPS)
        return true; /* as diverse as one could wish */
    if (i == p->n_groups) {
        p->groups[i].group = group;
        p->groups[p->n_groups++].count = 0;
    }
    return p->groups[i].count++ < l->config.max_per_group;
}

enum { ANY_PATH = -1 };

/* The next peer of the path, by distance, that is not known to be out of reach and whose group is not over
 * its limit; only_queried: that has answered. */
static const lookup_peer_t *pick_next(const lookup_t *l, pick_t *p, bool only_queried, int path)
{
    while (p->next < l->count) {
        const lookup_peer_t *peer = &l->peers[p->next++];
        bool is_usable = peer->state != LOOKUP_UNREACHABLE && peer->state != LOOKUP_LATE;
        if (is_usable && (!only_queried || peer->state == LOOKUP_QUERIED) &&
            (path == ANY_PATH || peer->path == path) && has_room_for(l, p, peer->group))
            return peer;
    }
    return NULL;
}

/* How many of the closest count, of those who answered or of all that may: k, or more where it is crowded. */
static size_t count_closest(const lookup_t *l, bool only_queried)
{
    size_t k = l->config.k, n = 0;
    pick_t pick = {0};
    const lookup_peer_t *p;
    double expected = l->config.network_size > 0 ? (double)k / l->config.network_size : 0;
    while (n < LOOKUP_CLOSEST_MAX && (p = pick_next(l, &pick, only_queried, ANY_PATH))) {
        if (n + 1 == k && kad_share(&l->target, &p->key) >= LOOKUP_CROWDED_SHARE * expected)
            return k;
        if (n >= k && kad_share(&l->target, &p->key) > expected)
            return n;
        n++;
    }
    return n > k ? n : k;
}

bool lookup_is_crowded(const lookup_t *l)
{
    return count_closest(l, true) > l->config.k;
}

/* The closest n that count: have all answered? Fewer than n is fine when there are no more. */
static bool are_closest_queried(const lookup_t *l, size_t n, int path)
{
    pick_t pick = {0};
    const lookup_peer_t *p;
    while (n-- && (p = pick_next(l, &pick, false, path)))
        if (p->state != LOOKUP_QUERIED)
            return false;
    return true;
}

static bool are_paths_walked(const lookup_t *l)
{
    for (size_t i = 0; i < l->n_paths; i++)
        if (!are_closest_queried(l, l->config.beta, (int)i))
            return false;
    return true;
}

/* The closest of the path that was not asked, among the n closest that count; then any. */
static lookup_peer_t *next_of_path(lookup_t *l, size_t n, int path, bool or_any)
{
    pick_t pick = {0};
    const lookup_peer_t *p;
    while (n-- && (p = pick_next(l, &pick, false, path)))
        if (p->state == LOOKUP_HEARD)
            return &l->peers[p - l->peers];
    for (size_t i = 0; or_any && i < l->count; i++)
        if (l->peers[i].state == LOOKUP_HEARD && l->peers[i].path == path)
            return &l->peers[i];
    return NULL;
}

/* Whom to ask next: on the walk the path that waits for the fewest goes first, paths that have arrived last.
 */
static lookup_peer_t *next_heard(lookup_t *l)
{
    if (l->phase != LOOKUP_WALK)
        return next_of_path(l, count_closest(l, false), ANY_PATH, false);
    size_t waiting[LOOKUP_PATHS_MAX] = {0};
    lookup_peer_t *found = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < l->count; i++)
        waiting[l->peers[i].path] += l->peers[i].state == LOOKUP_WAITING;
    for (size_t i = 0; i < l->n_paths; i++) {
        if (are_closest_queried(l, l->config.beta, (int)i))
            waiting[i] += l->config.alpha;
        lookup_peer_t *p = waiting[i] < least ? next_of_path(l, l->config.k, (int)i, true) : NULL;
        if (!p)
            continue;
        found = p;
        least = waiting[i];
    }
    return found;
}

static void advance(lookup_t *l)
{
    if (l->phase == LOOKUP_WALK) {
        bool is_starved = !l->n_waiting && !next_heard(l);
        if (is_starved)
            finish(l, LOOKUP_STARVED);
        else if (are_paths_walked(l) && l->config.has_follow_up)
            l->phase = LOOKUP_FOLLOW_UP;
        else if (are_paths_walked(l))
            finish(l, LOOKUP_COMPLETED);
    }
    if (l->phase == LOOKUP_FOLLOW_UP && are_closest_queried(l, count_closest(l, false), ANY_PATH))
        finish(l, LOOKUP_COMPLETED);
    if (l->phase != LOOKUP_DONE && l->n_requests >= l->config.max_requests && !l->n_waiting)
        finish(l, LOOKUP_EXHAUSTED);
}

bool lookup_next_event(lookup_t *l, uint64_t now_ms, lookup_event_t *ret)
{
    advance(l);
    if (l->phase == LOOKUP_DONE) {
        if (l->is_done_told)
            return false;
        l->is_done_told = true;
        *ret = (lookup_event_t){.kind = LOOKUP_EVENT_DONE, .end = l->end};
        return true;
    }
    lookup_peer_t *p = next_heard(l);
    if (!p || l->n_waiting >= l->config.alpha || l->n_requests >= l->config.max_requests)
        return false;
    p->state = LOOKUP_WAITING;
    p->timeout_ms = now_ms + l->config.peer_timeout_ms;
    l->n_waiting++;
    l->n_requests++;
    *ret = (lookup_event_t){.kind = LOOKUP_EVENT_ASK, .peer = p->peer};
    return true;
}

size_t lookup_closest(const lookup_t *l, bool only_queried, peer_id_t *out, size_t cap)
{
    pick_t pick = {0};
    const lookup_peer_t *p;
    size_t n = 0, count = count_closest(l, only_queried);
    cap = count < cap && count > l->config.k ? count : cap;
    while (n < cap && (p = pick_next(l, &pick, only_queried, ANY_PATH)))
        out[n++] = p->peer;
    return n;
}

size_t lookup_known_prefix_len(const lookup_t *l)
{
    pick_t pick = {0};
    const lookup_peer_t *p = NULL;
    for (size_t n = 0; n < l->config.k; n++)
        if (!(p = pick_next(l, &pick, true, ANY_PATH)))
            return 0;
    return p ? kad_common_prefix_len(&l->target, &p->key) : 0;
}
