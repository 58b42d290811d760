#include "logic/votes.h"
#include <string.h>

static void drop(votes_t *v, size_t i)
{
    memmove(&v->items[i], &v->items[i + 1], (v->n - i - 1) * sizeof v->items[0]);
    v->n--;
}

void votes_add(votes_t *v, uint64_t who, bool is_yes)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i].who == who) {
            drop(v, i);
            break;
        }
    if (v->n == VOTES_MAX)
        drop(v, 0);
    v->items[v->n].who = who;
    v->items[v->n++].is_yes = is_yes;
}

votes_verdict_t votes_verdict(const votes_t *v)
{
    int lead = 0;
    for (size_t i = 0; i < v->n; i++)
        lead += v->items[i].is_yes ? 1 : -1;
    return lead >= VOTES_LEAD ? VOTES_YES : lead <= -VOTES_LEAD ? VOTES_NO : VOTES_OPEN;
}
