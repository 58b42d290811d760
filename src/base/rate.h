/* rate: a budget of bytes over time (a token bucket). What was not used in the last 100 ms is lost; over any
 * longer time no more than the rate passes, and no less when there is always something to move. Time is a
 * parameter, monotonic milliseconds. */
#ifndef BASE_RATE_H
#define BASE_RATE_H
#include "base/bytes.h"

typedef struct rate {
    uint64_t per_second; /* bytes; 0: no limit */
    uint64_t credit;     /* in thousandths of a byte */
    uint64_t at_ms;      /* up to when credit was given */
} rate_t;

void rate_init(rate_t *r, uint64_t per_second, uint64_t now_ms);
/* How many bytes may be moved now; SIZE_MAX without a limit. */
size_t rate_room(rate_t *r, uint64_t now_ms);
/* They were moved: at most the room. */
void rate_take(rate_t *r, size_t n);
/* When there will be room for so many bytes, or for as many as can be saved up. */
uint64_t rate_ready_ms(const rate_t *r, size_t n);
#endif
