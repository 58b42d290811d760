/* xoshiro256** 1.0, seeded with splitmix64 (Blackman and Vigna, https://prng.di.unimi.it). */
#include "base/prng.h"

void prng_seed(prng_t *p, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        p->s[i] = z ^ z >> 31;
    }
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

uint64_t prng_next(prng_t *p)
{
    uint64_t *s = p->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t prng_below(prng_t *p, uint64_t bound)
{
    assert(bound > 0);
    uint64_t skip = -bound % bound; /* 2^64 mod bound: values below it would come up once too often */
    uint64_t v;
    do
        v = prng_next(p);
    while (v < skip);
    return v % bound;
}

double prng_unit(prng_t *p)
{
    return (double)(prng_next(p) >> 11) * 0x1p-53;
}

void prng_fill(prng_t *p, uint8_t *out, size_t len)
{
    while (len) {
        uint64_t v = prng_next(p);
        size_t n = len < sizeof v ? len : sizeof v;
        for (size_t i = 0; i < n; i++)
            *out++ = (uint8_t)(v >> (8 * i));
        len -= n;
    }
}
