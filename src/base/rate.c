#include "base/rate.h"

enum { BURST_MS = 100 };

/* In thousandths of a byte; with a byte more, so that what is left of one is not lost at slow rates. */
static uint64_t burst(const rate_t *r)
{
    return r->per_second * BURST_MS + 1000;
}

void rate_init(rate_t *r, uint64_t per_second, uint64_t now_ms)
{
    uint64_t most = UINT64_MAX / 1000000;
    *r = (rate_t){.per_second = per_second < most ? per_second : most, .at_ms = now_ms};
}

size_t rate_room(rate_t *r, uint64_t now_ms)
{
    if (!r->per_second)
        return SIZE_MAX;
    uint64_t passed_ms = now_ms > r->at_ms ? now_ms - r->at_ms : 0, most = burst(r);
    if (passed_ms > most / r->per_second + 1)
        passed_ms = most / r->per_second + 1;
    r->credit += passed_ms * r->per_second;
    r->credit = r->credit < most ? r->credit : most;
    r->at_ms = now_ms > r->at_ms ? now_ms : r->at_ms;
    return (size_t)(r->credit / 1000);
}

void rate_take(rate_t *r, size_t n)
{
    if (!r->per_second)
        return;
    uint64_t taken = (uint64_t)n * 1000;
    assert(taken <= r->credit);
    r->credit -= taken;
}

uint64_t rate_ready_ms(const rate_t *r, size_t n)
{
    uint64_t want = (uint64_t)n * 1000, most = burst(r);
    want = want < most ? want : most;
    if (!r->per_second || r->credit >= want)
        return r->at_ms;
    return r->at_ms + (want - r->credit + r->per_second - 1) / r->per_second;
}
