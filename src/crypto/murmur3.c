#include "crypto/murmur3.h"

static const uint64_t c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f;

static uint64_t turn(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static uint64_t read_word(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static uint64_t scramble1(uint64_t k)
{
    return turn(k * c1, 31) * c2;
}

static uint64_t scramble2(uint64_t k)
{
    return turn(k * c2, 33) * c1;
}

static uint64_t avalanche(uint64_t k)
{
    k = (k ^ k >> 33) * 0xff51afd7ed558ccd;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53;
    return k ^ k >> 33;
}

uint64_t murmur3_x64_64(bytes_t data)
{
    uint64_t h1 = 0, h2 = 0;
    size_t i = 0;
    for (; data.len - i >= 16; i += 16) {
        h1 ^= scramble1(read_word(data.data + i, 8));
        h1 = (turn(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= scramble2(read_word(data.data + i + 8, 8));
        h2 = (turn(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    size_t left = data.len - i;
    if (left > 8)
        h2 ^= scramble2(read_word(data.data + i + 8, left - 8));
    if (left)
        h1 ^= scramble1(read_word(data.data + i, left < 8 ? left : 8));
    h1 ^= data.len;
    h2 ^= data.len;
    h1 += h2;
    h2 += h1;
    return avalanche(h1) + avalanche(h2);
}
