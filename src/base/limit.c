#include "base/limit.h"
#include <inttypes.h>

void limit_init(limit_t *l, const char *name, limit_t *parent, uint64_t max)
{
    *l = (limit_t){.name = name, .parent = parent, .max = max};
}

void limit_deinit(limit_t *l)
{
    assert(l->used == 0);
    l->parent = NULL;
}

err_t limit_charge(limit_t *l, uint64_t amount)
{
    for (const limit_t *at = l; at; at = at->parent)
        if (amount > at->max || at->used > at->max - amount)
            return fail(ERR_LIMIT, "%s: %" PRIu64 " of %" PRIu64 " used, %" PRIu64 " more asked for",
                        at->name, at->used, at->max, amount);
    for (limit_t *at = l; at; at = at->parent) {
        at->used += amount;
        if (at->used > at->peak)
            at->peak = at->used;
    }
    return OK;
}

void limit_release(limit_t *l, uint64_t amount)
{
    for (; l; l = l->parent) {
        assert(l->used >= amount);
        l->used -= amount;
    }
}

uint64_t limit_room(const limit_t *l)
{
    uint64_t room = UINT64_MAX;
    for (; l; l = l->parent) {
        uint64_t here = l->max > l->used ? l->max - l->used : 0;
        room = here < room ? here : room;
    }
    return room;
}
