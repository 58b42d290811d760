#include "multi/block.h"
#include "base/checksum.h"
#include <stdlib.h>

err_t block_check_exchangeable(size_t len)
{
    if (len <= BLOCK_MAX_BYTES)
        return OK;
    return fail(ERR_LIMIT, "produced block is over 2MiB: big blocks can't be exchanged with other peers. "
                           "consider using UnixFS for automatic chunking of bigger files, or pass "
                           "--allow-big-block to override");
}

static err_t check_len(size_t len)
{
    if (len > BLOCK_STORED_MAX_BYTES)
        return fail(ERR_LIMIT, "a block of %zu bytes is over the limit of %u", len, BLOCK_STORED_MAX_BYTES);
    return OK;
}

err_t block_new(size_t len, block_t **ret_block)
{
    TRY(check_len(len));
    block_t *b = malloc(sizeof *b + len);
    if (!b)
        return fail(ERR_NO_MEMORY, "no memory for a block of %zu bytes", len);
    *b = (block_t){.refs = 1, .len = len, .data = (uint8_t *)(b + 1)};
    *ret_block = b;
    return OK;
}

err_t block_copy(const cid_t *cid, bytes_t data, block_t **ret_block)
{
    block_t *b = NULL;
    TRY(block_new(data.len, &b));
    b->cid = *cid;
    if (data.len)
        memcpy(b->data, data.data, data.len);
    *ret_block = b;
    return OK;
}

err_t block_take(const cid_t *cid, buf_t *data, block_t **ret_block)
{
    TRY(check_len(data->len));
    block_t *b = xmalloc(sizeof *b);
    *b = (block_t){.cid = *cid, .refs = 1, .is_separate = true};
    b->data = buf_take(data, &b->len);
    *ret_block = b;
    return OK;
}

void block_make_sum(block_t *b)
{
    b->sum = checksum_of(block_bytes(b), 0);
    b->has_sum = true;
}

block_t *block_ref(block_t *b)
{
    assert(b->refs && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void block_release(block_t *b)
{
    if (!b)
        return;
    assert(b->refs);
    if (--b->refs)
        return;
    if (b->is_separate)
        free(b->data);
    free(b);
}
