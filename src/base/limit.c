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

/* Of l, and of those beside it. */
static err_t check_row(const limit_t *l, uint64_t amount)
{
    for (; l; l = l->beside)
        TRY(check(l, amount));
    return OK;
}

static void add_row(limit_t *l, uint64_t amount)
{
    for (; l; l = l->beside) {
        l->used += amount;
        if (l->used > l->peak)
            l->peak = l->used;
    }
}

static void take_row(limit_t *l, uint64_t amount)
{
    for (; l; l = l->beside) {
        assert(l->used >= amount);
        l->used -= amount;
    }
}

err_t limit_charge(limit_t *l, uint64_t amount)
{
    for (const limit_t *at = l; at; at = at->parent)
        TRY(check_row(at, amount));
    for (limit_t *at = l; at; at = at->parent)
        add_row(at, amount);
    return OK;
}

void limit_release(limit_t *l, uint64_t amount)
{
    for (; l; l = l->parent)
        take_row(l, amount);
}

/* The next that is entered with l; NULL: l was the last. */
static limit_t *inner(const limit_t *l)
{
    return l->parent && l->parent->is_inner ? l->parent : NULL;
}

err_t limit_enter(limit_t *l, uint64_t amount)
{
    for (const limit_t *at = l; at; at = inner(at))
        TRY(check_row(at, amount));
    for (limit_t *at = l; at; at = inner(at))
        add_row(at, amount);
    return OK;
}

void limit_leave(limit_t *l, uint64_t amount)
{
    for (; l; l = inner(l))
        take_row(l, amount);
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
        for (const limit_t *at = l; at; at = at->beside)
            room = room_of(at) < room ? room_of(at) : room;
    }
    return room;
}
