/* audit: a challenge by which a holder proves that it has the bytes of a file, and does not only say so. The
 * auditor draws a nonce and points; each point names a block of the file (its place in the list of blocks
 * that both sides read from the manifest) and a range in it. The proof is a hash over the ranges, keyed with
 * the nonce: it cannot be computed before, nor from the answer to another challenge, nor by who kept less
 * than all: who lacks a share f of the blocks passes with (1 - f)^points. (It can be fetched from another
 * holder while the auditor waits: audits find loss and neglect, not fraud with a fast accomplice.)
 *
 *   leaf(i) = SHA-256(nonce || block_i || offset_i || length_i (big-endian u64 each) || bytes of the range)
 *   proof   = HMAC-SHA-256(nonce, leaf(0) || … || leaf(n - 1))
 *
 * The auditor must have the blocks, too (a holder audits the other holders). Pure functions; audit_prove
 * hashes up to AUDIT_POINTS_MAX x AUDIT_RANGE_BYTES: call it on a worker. When to audit whom is decided by
 * replica_planner (PLAN_AUDIT). */
#ifndef LOGIC_AUDIT_H
#define LOGIC_AUDIT_H
#include "base/bytes.h"

#define AUDIT_POINTS_MAX 16
#define AUDIT_POINTS 4 /* of a challenge of ours */
#define AUDIT_RANGE_BYTES 4096
#define AUDIT_NONCE_BYTES 32
#define AUDIT_PROOF_BYTES 32
#define AUDIT_RANDOM_BYTES (AUDIT_NONCE_BYTES + 16 * AUDIT_POINTS)

typedef struct audit_point {
    uint64_t block;  /* index in the file's list of blocks */
    uint64_t offset; /* any number: taken modulo the block's length (audit_range) */
} audit_point_t;
typedef struct audit_challenge {
    uint8_t nonce[AUDIT_NONCE_BYTES];
    size_t n; /* 1 to AUDIT_POINTS_MAX */
    audit_point_t points[AUDIT_POINTS_MAX];
} audit_challenge_t;

/* Draws a challenge from random bytes (cryptographically random ones) over n_blocks blocks (at least 1). */
void audit_draw(const uint8_t random[AUDIT_RANDOM_BYTES], uint64_t n_blocks, audit_challenge_t *ret);
/* Of a peer: 1 to AUDIT_POINTS_MAX points, all of them inside n_blocks. */
bool audit_is_valid(const audit_challenge_t *c, uint64_t n_blocks);
/* The range that a point asks for in a block of that length: begins at offset mod length, ends with the
 * block, AUDIT_RANGE_BYTES long at most. Empty for an empty block. */
void audit_range(const audit_point_t *p, uint64_t block_len, uint64_t *ret_offset, uint64_t *ret_len);

typedef struct audit_proof {
    const audit_challenge_t *challenge; /* borrowed */
    size_t n;
    uint8_t leaves[AUDIT_POINTS_MAX][32];
} audit_proof_t;
/* init; add for each point in order, with the whole block that it names; finish. */
void audit_proof_init(audit_proof_t *p, const audit_challenge_t *c);
void audit_proof_add(audit_proof_t *p, bytes_t block);
void audit_proof_finish(const audit_proof_t *p, uint8_t ret_proof[AUDIT_PROOF_BYTES]);
#endif
