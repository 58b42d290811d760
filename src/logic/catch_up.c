#include "logic/catch_up.h"
#include "base/list.h"
#include "base/map.h"
#include <stdlib.h>

typedef struct known_peer {
    list_t node;
    peer_id_t id;
    uint64_t due_ms;  /* of the next session */
    uint64_t step_ms; /* back-off; 0: the last one went well */
    bool is_up, is_busy;
    bool is_counted, is_met; /* since this node is BEHIND: CURRENT itself, any */
} known_peer_t;

struct catch_up {
    catch_up_config_t config;
    map_t by_id;
    list_t peers; /* those that were compared with longest ago first */
    prng_t rng;
    uint32_t needed, n_counted, n_busy;
    size_t n_members, n_met;
    uint64_t behind_ms; /* since when, while it is not current */
    uint64_t due_ms;    /* of the first peer that waits; UINT64_MAX: none */
    bool is_current;
};

void catch_up_config_default(catch_up_config_t *ret)
{
    *ret = (catch_up_config_t){.horizon_ms = UINT64_C(7) * 24 * 3600 * 1000,
                               .interval_ms = 3600 * 1000,
                               .retry_ms = 5000,
                               .quorum = 2,
                               .alone_ms = UINT64_C(24) * 3600 * 1000,
                               .max_sessions = 2,
                               .max_peers = 4096};
}

catch_up_t *catch_up_new(const catch_up_config_t *c, uint64_t away_ms, size_t n_members, uint64_t now_ms)
{
    catch_up_t *u = xcalloc(1, sizeof *u);
    u->config = *c;
    u->n_members = n_members;
    map_init(&u->by_id, c->max_peers);
    list_init(&u->peers);
    prng_seed(&u->rng, c->seed);
    u->is_current = true;
    u->due_ms = UINT64_MAX;
    if (away_ms != UINT64_MAX || n_members)
        catch_up_was_away(u, away_ms, now_ms);
    return u;
}

void catch_up_free(catch_up_t *u)
{
    if (!u)
        return;
    LIST_EACH (p, &u->peers, known_peer_t, node)
        free(p);
    map_deinit(&u->by_id);
    free(u);
}

bool catch_up_is_current(const catch_up_t *u)
{
    return u->is_current;
}

uint32_t catch_up_left(const catch_up_t *u)
{
    return u->is_current ? 0 : u->needed - u->n_counted;
}

static void settle(catch_up_t *u)
{
    u->due_ms = UINT64_MAX;
    LIST_EACH (p, &u->peers, known_peer_t, node)
        if (p->is_up && !p->is_busy && p->due_ms < u->due_ms)
            u->due_ms = p->due_ms;
}

void catch_up_was_away(catch_up_t *u, uint64_t away_ms, uint64_t now_ms)
{
    if (away_ms <= u->config.horizon_ms)
        return;
    u->is_current = false;
    u->n_counted = 0;
    u->n_met = 0;
    u->behind_ms = now_ms;
    u->needed = u->n_members && u->n_members < u->config.quorum ? (uint32_t)u->n_members : u->config.quorum;
    LIST_EACH (p, &u->peers, known_peer_t, node) {
        p->is_counted = p->is_met = false;
        p->due_ms = now_ms;
    }
    settle(u);
}

static known_peer_t *find(const catch_up_t *u, const peer_id_t *id)
{
    return map_get(&u->by_id, peer_id_bytes(id));
}

static known_peer_t *add(catch_up_t *u, const peer_id_t *id)
{
    if (map_count(&u->by_id) >= u->config.max_peers) {
        known_peer_t *gone = NULL; /* who is away makes room */
        LIST_EACH (p, &u->peers, known_peer_t, node)
            if (!p->is_up && !p->is_busy)
                gone = p;
        if (!gone)
            return NULL;
        map_remove(&u->by_id, peer_id_bytes(&gone->id));
        list_remove(&gone->node);
        free(gone);
    }
    known_peer_t *p = xcalloc(1, sizeof *p);
    p->id = *id;
    if (map_put(&u->by_id, peer_id_bytes(id), p, NULL)) {
        free(p);
        return NULL;
    }
    list_push_front(&u->peers, &p->node);
    return p;
}

/* Not all at the same moment: between half of the span and all of it. */
static uint64_t spread(catch_up_t *u, uint64_t span_ms)
{
    return span_ms - prng_below(&u->rng, span_ms / 2 + 1);
}

void catch_up_peer(catch_up_t *u, const peer_id_t *id, bool is_up, uint64_t now_ms)
{
    known_peer_t *p = find(u, id);
    if (!p && is_up)
        p = add(u, id);
    if (!p || p->is_up == is_up)
        return;
    p->is_up = is_up;
    if (is_up) { /* it may know news, or lack ours */
        p->step_ms = 0;
        p->due_ms = u->is_current ? now_ms + spread(u, u->config.retry_ms) : now_ms;
    }
    settle(u);
}

bool catch_up_next(catch_up_t *u, uint64_t now_ms, peer_id_t *ret)
{
    if (u->n_busy >= u->config.max_sessions || now_ms < u->due_ms)
        return false;
    LIST_EACH (p, &u->peers, known_peer_t, node) {
        if (!p->is_up || p->is_busy || now_ms < p->due_ms)
            continue;
        p->is_busy = true;
        u->n_busy++;
        list_remove(&p->node);
        list_push_back(&u->peers, &p->node);
        *ret = p->id;
        settle(u);
        return true;
    }
    return false;
}

static void count(catch_up_t *u, known_peer_t *p, catch_up_outcome_t how, uint64_t now_ms)
{
    bool counts = how == CATCH_UP_WITH_CURRENT;
    u->n_counted += counts && !p->is_counted;
    u->n_met += !p->is_met;
    p->is_counted = p->is_counted || counts;
    p->is_met = true;
    bool was_long = now_ms - u->behind_ms >= u->config.alone_ms;
    bool are_enough = u->n_met >= u->n_members || (was_long && u->n_met > u->n_members / 2);
    u->is_current = u->n_counted >= u->needed || (u->n_members && are_enough);
}

void catch_up_done(catch_up_t *u, const peer_id_t *id, catch_up_outcome_t how, uint64_t now_ms)
{
    known_peer_t *p = find(u, id);
    if (!p || !p->is_busy)
        return;
    p->is_busy = false;
    u->n_busy--;
    if (how != CATCH_UP_FAILED) {
        p->step_ms = 0;
        p->due_ms = now_ms + spread(u, u->config.interval_ms);
        if (!u->is_current)
            count(u, p, how, now_ms);
    } else {
        p->step_ms = p->step_ms ? 2 * p->step_ms : u->config.retry_ms;
        if (p->step_ms > u->config.interval_ms)
            p->step_ms = u->config.interval_ms;
        p->due_ms = now_ms + spread(u, p->step_ms);
    }
    settle(u);
}

uint64_t catch_up_deadline_ms(const catch_up_t *u)
{
    return u->n_busy < u->config.max_sessions ? u->due_ms : UINT64_MAX;
}
