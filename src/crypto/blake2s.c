#include "crypto/blake2s.h"

enum { BLOCK = 64, ROUNDS = 10 };

static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
static const uint8_t sigma[ROUNDS][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                          {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                          {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                          {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                          {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                          {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                          {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                          {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                          {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                          {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static uint32_t turn(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

static void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = turn(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = turn(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = turn(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = turn(v[b] ^ v[c], 7);
}

static void compress(blake2s_t *b, const uint8_t block[BLOCK], bool is_last)
{
    uint32_t m[16], v[16];
    for (int i = 0; i < 16; i++) {
        const uint8_t *p = block + 4 * i;
        m[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    memcpy(v, b->h, sizeof b->h);
    memcpy(v + 8, iv, sizeof iv);
    v[12] ^= (uint32_t)b->count;
    v[13] ^= (uint32_t)(b->count >> 32);
    if (is_last)
        v[14] = ~v[14];
    for (int r = 0; r < ROUNDS; r++) {
        const uint8_t *s = sigma[r];
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        b->h[i] ^= v[i] ^ v[i + 8];
}

void blake2s_init(blake2s_t *b, size_t out_len)
{
    assert(out_len >= 1 && out_len <= 32);
    *b = (blake2s_t){.out_len = (uint8_t)out_len};
    memcpy(b->h, iv, sizeof iv);
    b->h[0] ^= 0x01010000u ^ (uint32_t)out_len; /* fan-out 1, depth 1, no key */
}

void blake2s_update(blake2s_t *b, bytes_t data)
{
    while (data.len) {
        if (b->held == BLOCK) {
            b->count += BLOCK;
            compress(b, b->block, false);
            b->held = 0;
        }
        size_t n = BLOCK - b->held < data.len ? (size_t)(BLOCK - b->held) : data.len;
        memcpy(b->block + b->held, data.data, n);
        b->held = (uint8_t)(b->held + n);
        data = bytes_slice(data, n, data.len);
    }
}

void blake2s_finish(blake2s_t *b, uint8_t *out)
{
    memset(b->block + b->held, 0, BLOCK - b->held);
    b->count += b->held;
    compress(b, b->block, true);
    for (int i = 0; i < b->out_len; i++)
        out[i] = (uint8_t)(b->h[i / 4] >> (8 * (i % 4)));
}
