#include "base/limit.h"
#include <inttypes.h>

void limit_init(limit_t *l, const char *name, limit_t *parent, uint64_t max)
{
    *l = (limit_t){.name = name, .parent = parent, .max = max};
}

void limit_deinit(limit_t *l)
{
    assert(l->used == 0);
    l->parent = l->beside = NULL;
}

static err_t check(const limit_t *l, uint64_t amount)
{
    if (amount <= l->max && l->used <= l->max - amount)
        return OK;
    if (l->hint)
        return fail(ERR_LIMIT,
                    "%s: cannot reserve memory: %" PRIu64 " of %" PRIu64 " in use, %" PRIu64
                    " more asked for (raise %s)",
                    l->name, l->used, l->max, amount, l->hint);
    return fail(ERR_LIMIT, "%s: %" PRIu64 " of %" PRIu64 " used, %" PRIu64 " more asked for", l->name,
                l->used, l->max, amount);
}

static void add(limit_t *l, uint64_t amount)
{
    l->used += amount;
    if (l->used > l->peak)
        l->peak = l->used;
}

err_t limit_charge(limit_t *l, uint64_t amount)
{
    for (const limit_t *at = l; at; at = at->parent) {
        TRY(check(at, amount));
        if (at->beside)
            TRY(check(at->beside, amount));
    }
    for (limit_t *at = l; at; at = at->parent) {
        add(at, amount);
        if (at->beside)
            add(at->beside, amount);
    }
    return OK;
}

static void take(limit_t *l, uint64_t amount)
{
    assert(l->used >= amount);
    l->used -= amount;
}

void limit_release(limit_t *l, uint64_t amount)
{
    for (; l; l = l->parent) {
        take(l, amount);
        if (l->beside)
            take(l->beside, amount);
    }
}

err_t limit_enter(limit_t *l, uint64_t amount)
{
    TRY(check(l, amount));
    if (l->beside)
        TRY(check(l->beside, amount));
    add(l, amount);
    if (l->beside)
        add(l->beside, amount);
    return OK;
}

void limit_leave(limit_t *l, uint64_t amount)
{
    take(l, amount);
    if (l->beside)
        take(l->beside, amount);
}

static uint64_t room_of(const limit_t *l)
{
    return l->max > l->used ? l->max - l->used : 0;
}

err_t limit_move(limit_t *from, limit_t *to, uint64_t held)
{
    if (to)
        TRY(limit_enter(to, held));
    if (from)
        limit_leave(from, held);
    return OK;
}

err_t limit_recharge(limit_t *l, uint64_t *held, uint64_t want)
{
    if (want > *held)
        TRY(limit_charge(l, want - *held));
    else
        limit_release(l, *held - want);
    *held = want;
    return OK;
}

uint64_t limit_room(const limit_t *l)
{
    uint64_t room = UINT64_MAX;
    for (; l; l = l->parent) {
        uint64_t here = room_of(l), beside = l->beside ? room_of(l->beside) : UINT64_MAX;
        here = here < beside ? here : beside;
        room = here < room ? here : room;
    }
    return room;
}
