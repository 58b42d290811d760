#include "logic/audit.h"
#include "crypto/hash.h"

static uint64_t number(const uint8_t *at)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | at[i];
    return n;
}

static void put(uint8_t *at, uint64_t n)
{
    for (int i = 7; i >= 0; i--, n >>= 8)
        at[i] = (uint8_t)n;
}

void audit_draw(const uint8_t random[AUDIT_RANDOM_BYTES], uint64_t n_blocks, audit_challenge_t *ret)
{
    assert(n_blocks > 0);
    *ret = (audit_challenge_t){.n = AUDIT_POINTS};
    memcpy(ret->nonce, random, AUDIT_NONCE_BYTES);
    for (size_t i = 0; i < AUDIT_POINTS; i++) {
        const uint8_t *at = random + AUDIT_NONCE_BYTES + 16 * i;
        ret->points[i] = (audit_point_t){number(at) % n_blocks, number(at + 8)};
    }
}

bool audit_is_valid(const audit_challenge_t *c, uint64_t n_blocks)
{
    if (!c->n || c->n > AUDIT_POINTS_MAX)
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (c->points[i].block >= n_blocks)
            return false;
    return true;
}

void audit_range(const audit_point_t *p, uint64_t block_len, uint64_t *ret_offset, uint64_t *ret_len)
{
    uint64_t offset = block_len ? p->offset % block_len : 0, left = block_len - offset;
    *ret_offset = offset;
    *ret_len = left < AUDIT_RANGE_BYTES ? left : AUDIT_RANGE_BYTES;
}

void audit_proof_init(audit_proof_t *p, const audit_challenge_t *c)
{
    *p = (audit_proof_t){.challenge = c};
}

void audit_proof_add(audit_proof_t *p, bytes_t block)
{
    const audit_challenge_t *c = p->challenge;
    assert(p->n < c->n && c->n <= AUDIT_POINTS_MAX);
    const audit_point_t *point = &c->points[p->n];
    uint64_t offset, len;
    uint8_t head[24];
    audit_range(point, block.len, &offset, &len);
    put(head, point->block);
    put(head + 8, offset);
    put(head + 16, len);
    bytes_t pieces[] = {bytes_of(c->nonce, sizeof c->nonce), bytes_of(head, sizeof head),
                        bytes_slice(block, (size_t)offset, (size_t)len)};
    err_t e = hash_of_pieces(HASH_SHA256, pieces, ARRAY_LEN(pieces), p->leaves[p->n++], 32);
    assert(!e); /* the function is there, and its length natural */
    (void)e;
}

void audit_proof_finish(const audit_proof_t *p, uint8_t ret_proof[AUDIT_PROOF_BYTES])
{
    assert(p->n == p->challenge->n);
    hmac_sha256(bytes_of(p->challenge->nonce, AUDIT_NONCE_BYTES), bytes_of(p->leaves, p->n * 32), ret_proof);
}
