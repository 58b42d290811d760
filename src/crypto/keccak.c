#include "crypto/keccak.h"

enum { LANES = 25, ROUNDS = 24, STATE_BYTES = 200, PAD_FIRST = 0x01, PAD_LAST = 0x80 };

static const uint64_t round_constants[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

/* rho and pi in one walk: from lane 1, each lane moves to pi_lanes[i], turned by rho_turns[i]. */
static const uint8_t pi_lanes[LANES - 1] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                            15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};
static const uint8_t rho_turns[LANES - 1] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                             27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};

static uint64_t turn(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static void permute(uint64_t a[LANES])
{
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t c[5];
        for (int x = 0; x < 5; x++)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (int x = 0; x < 5; x++) {
            uint64_t d = c[(x + 4) % 5] ^ turn(c[(x + 1) % 5], 1);
            for (int y = 0; y < LANES; y += 5)
                a[y + x] ^= d;
        }
        uint64_t moving = a[1];
        for (int i = 0; i < LANES - 1; i++) {
            uint64_t next = a[pi_lanes[i]];
            a[pi_lanes[i]] = turn(moving, rho_turns[i]);
            moving = next;
        }
        for (int y = 0; y < LANES; y += 5) {
            memcpy(c, a + y, sizeof c);
            for (int x = 0; x < 5; x++)
                a[y + x] ^= ~c[(x + 1) % 5] & c[(x + 2) % 5];
        }
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
