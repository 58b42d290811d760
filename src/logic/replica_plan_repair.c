/* The budget of repair: what this node asks others to copy, and what it takes for others, in bytes over time;
 * and the roots that wait for it, those with the fewest living copies first. */
#include "logic/replica_plan_internal.h"

enum {
    SIZE_UNKNOWN_BYTES = 1 << 20,
    TAKE_AHEAD_US = 60 * 1000000, /* so much may be booked ahead */
};

static uint64_t cost_us(const replica_planner_t *p, uint64_t size_bytes)
{
    uint64_t rate = p->config.repair_bytes_per_s, size = size_bytes ? size_bytes : SIZE_UNKNOWN_BYTES;
    if (!rate)
        return 0;
    return size / rate * 1000000 + size % rate * 1000000 / rate;
}

void plan_repair_stop_waiting(replica_planner_t *p, plan_root_t *r)
{
    if (!list_is_linked(&r->waiting))
        return;
    list_remove(&r->waiting);
    p->n_waiting--;
}

bool plan_repair_book(replica_planner_t *p, plan_root_t *r, size_t live)
{
    uint64_t now_us = p->now_ms * 1000;
    plan_repair_stop_waiting(p, r);
    if (!p->config.repair_bytes_per_s || r->is_urgent)
        return true;
    if (p->repair_us > now_us) {
        list_push_back(&p->waiting[live < PLAN_URGENCIES ? live : PLAN_URGENCIES - 1], &r->waiting);
        p->n_waiting++;
        plan_wake(p, p->repair_us / 1000 + 1);
        return false;
    }
    p->repair_us = now_us + cost_us(p, r->head.size_bytes);
    return true;
}

/* It was not copied: the next one need not wait for it. */
void plan_repair_refund(replica_planner_t *p, const plan_root_t *r)
{
    if (r->is_urgent)
        return;
    uint64_t cost = cost_us(p, r->head.size_bytes), now_us = p->now_ms * 1000;
    p->repair_us = p->repair_us > now_us + cost ? p->repair_us - cost : now_us;
    if (p->n_waiting)
        plan_wake(p, p->repair_us / 1000 + 1);
}

void plan_repair_tick(replica_planner_t *p)
{
    size_t n = p->n_waiting; /* each once: one that finds nobody to ask goes elsewhere */
    for (size_t live = 0; n && live < PLAN_URGENCIES && p->repair_us <= p->now_ms * 1000;) {
        plan_root_t *r = LIST_FIRST(&p->waiting[live], plan_root_t, waiting);
        if (!r) {
            live++;
            continue;
        }
        plan_repair_stop_waiting(p, r);
        plan_decide(p, r);
        n--;
    }
    if (p->n_waiting)
        plan_wake(p, p->repair_us / 1000 + 1);
}

bool replica_planner_may_take(replica_planner_t *p, uint64_t size_bytes, uint64_t now_ms)
{
    p->now_ms = now_ms;
    uint64_t now_us = now_ms * 1000;
    if (!p->config.repair_bytes_per_s)
        return true;
    if (p->take_us < now_us)
        p->take_us = now_us;
    if (p->take_us > now_us + TAKE_AHEAD_US)
        return false;
    p->take_us += cost_us(p, size_bytes);
    return true;
}
