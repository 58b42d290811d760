#include "crypto/keccak.h"

enum { LANES = 25, ROUNDS = 24, STATE_BYTES = 200, PAD_FIRST = 0x01, PAD_LAST = 0x80 };

static const uint64_t round_constants[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

static uint64_t turn(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

/* chi of one row. */
static inline void put_row(uint64_t out[5], uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4)
{
    out[0] = r0 ^ (~r1 & r2);
    out[1] = r1 ^ (~r2 & r3);
    out[2] = r2 ^ (~r3 & r4);
    out[3] = r3 ^ (~r4 & r0);
    out[4] = r4 ^ (~r0 & r1);
}

/* rho and pi stand written out, each lane with where it comes from and how far it is turned: loops over
 * tables run at half the speed. */
static void permute(uint64_t a[LANES])
{
    uint64_t b[LANES], c[5];
    for (int round = 0; round < ROUNDS; round++) {
        for (int x = 0; x < 5; x++)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        const uint64_t d[5] = {c[4] ^ turn(c[1], 1), c[0] ^ turn(c[2], 1), c[1] ^ turn(c[3], 1),
                               c[2] ^ turn(c[4], 1), c[3] ^ turn(c[0], 1)};
        for (int x = 0; x < 5; x++)
            for (int y = 0; y < LANES; y += 5)
                a[y + x] ^= d[x];
        put_row(b + 0, a[0], turn(a[6], 44), turn(a[12], 43), turn(a[18], 21), turn(a[24], 14));
        put_row(b + 5, turn(a[3], 28), turn(a[9], 20), turn(a[10], 3), turn(a[16], 45), turn(a[22], 61));
        put_row(b + 10, turn(a[1], 1), turn(a[7], 6), turn(a[13], 25), turn(a[19], 8), turn(a[20], 18));
        put_row(b + 15, turn(a[4], 27), turn(a[5], 36), turn(a[11], 10), turn(a[17], 15), turn(a[23], 56));
        put_row(b + 20, turn(a[2], 62), turn(a[8], 55), turn(a[14], 39), turn(a[15], 41), turn(a[21], 2));
        memcpy(a, b, sizeof b);
        a[0] ^= round_constants[round];
    }
}

static void absorb(keccak_t *k, size_t at, uint8_t byte)
{
    k->state[at / 8] ^= (uint64_t)byte << (8 * (at % 8));
}

void keccak_init(keccak_t *k, size_t out_len)
{
    assert(out_len == 28 || out_len == 32 || out_len == 48 || out_len == 64);
    *k = (keccak_t){.rate = (uint16_t)(STATE_BYTES - 2 * out_len)};
}

void keccak_update(keccak_t *k, bytes_t data)
{
    for (size_t i = 0; i < data.len;) {
        if (!k->absorbed && data.len - i >= k->rate) {
            for (size_t lane = 0; lane < k->rate / 8u; lane++, i += 8) {
                const uint8_t *p = data.data + i;
                uint64_t v = 0;
                for (int b = 7; b >= 0; b--)
                    v = v << 8 | p[b];
                k->state[lane] ^= v;
            }
            permute(k->state);
            continue;
        }
        absorb(k, k->absorbed++, data.data[i++]);
        if (k->absorbed == k->rate) {
            permute(k->state);
            k->absorbed = 0;
        }
    }
}

void keccak_finish(keccak_t *k, uint8_t *out, size_t out_len)
{
    absorb(k, k->absorbed, PAD_FIRST);
    absorb(k, k->rate - 1u, PAD_LAST);
    permute(k->state);
    for (size_t i = 0; i < out_len; i++) /* no digest is longer than its rate */
        out[i] = (uint8_t)(k->state[i / 8] >> (8 * (i % 8)));
}
