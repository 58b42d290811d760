/* block: bytes and the CID that they hash to. Immutable, reference counted (loop thread only: workers
 * may read a block that the caller holds, never ref or release it). */
#ifndef MULTI_BLOCK_H
#define MULTI_BLOCK_H
#include "multi/cid.h"
/* What bitswap's specification asks peers to carry: more is made only where a user asks for it. */
#define BLOCK_MAX_BYTES (2u << 20)
#define BLOCK_STORED_MAX_BYTES (8u << 20) /* what a store keeps */
typedef struct block {
    cid_t cid;
    uint32_t refs;
    size_t len;
    uint8_t *data; /* len bytes, in the same allocation unless taken from a buf_t */
    uint64_t sum;  /* checksum_of its bytes, with has_sum */
    bool is_separate;
    bool has_sum;    /* of all bytes: made where they were hashed, so that a store need not read them again */
    bool is_checked; /* its store has compared the bytes with their checksum and the CID with their record */
} block_t;
/* Could a peer fetch it? ERR_LIMIT, in the reference's words. */
MUST_CHECK err_t block_check_exchangeable(size_t len);
/* Uninitialised room for len bytes; the caller fills data and cid before anyone else sees it. */
MUST_CHECK err_t block_new(size_t len, block_t **ret_block); /* ERR_LIMIT over BLOCK_STORED_MAX_BYTES */
MUST_CHECK err_t block_copy(const cid_t *cid, bytes_t data, block_t **ret_block); /* not verified */
/* Takes the buffer's memory, without a copy. ERR_LIMIT leaves it where it is. Not verified. */
MUST_CHECK err_t block_take(const cid_t *cid, buf_t *data, block_t **ret_block);
void block_make_sum(block_t *b);
block_t *block_ref(block_t *b);
void block_release(block_t *b); /* NULL is fine */
AUTO_PTR_DEFINE(block_t, block_release)
static inline bytes_t block_bytes(const block_t *b)
{
    return bytes_of(b->data, b->len);
}
#endif
