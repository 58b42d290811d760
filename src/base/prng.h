/* prng: a small deterministic generator (xoshiro256**) for engines, jitter and tests. Never for keys:
 * those come from the driver's randomness or the crypto folder. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H
#include "base/bytes.h"
typedef struct prng {
    uint64_t s[4];
} prng_t;
void prng_seed(prng_t *p, uint64_t seed);
uint64_t prng_next(prng_t *p);
uint64_t prng_below(prng_t *p, uint64_t bound); /* uniform in [0, bound); bound > 0 */
double prng_unit(prng_t *p);                    /* [0, 1) */
void prng_fill(prng_t *p, uint8_t *out, size_t len);
#endif
