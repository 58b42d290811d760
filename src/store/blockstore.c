#include "store/blockstore.h"
#include "task/driver.h"
#include <stdlib.h>

/* Larger blocks are hashed on a worker: SHA-256 takes 20 us for 32 KiB, as much as the hop. */
#define VERIFY_INLINE_MAX_BYTES (32u << 10)

typedef struct verify_job {
    const cid_t *cid;
    bytes_t data;
    err_t result;
} verify_job_t;

static void verify_run(void *arg)
{
    verify_job_t *job = arg;
    job->result = cid_verify(job->cid, job->data);
}

static err_t verify(task_t *t, const cid_t *cid, bytes_t data)
{
    verify_job_t job = {.cid = cid, .data = data};
    if (data.len <= VERIFY_INLINE_MAX_BYTES)
        verify_run(&job);
    else
        work(t, verify_run, &job);
    return job.result;
}

static bool any_identity(block_t *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cid_is_identity(&blocks[i]->cid))
            return true;
    return false;
}

err_t blockstore_put(task_t *t, blockstore_t *bs, block_t *block)
{
    return blockstore_put_many(t, bs, &block, 1);
}

/* How blocks are put: durably; by a writer; behind. */
typedef err_t (*put_fn)(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state);

static err_t put_durably(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    return bs->ops->put_many(t, bs, blocks, n);
}

static err_t put_by_writer(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    return bs->ops->write_many(t, bs, blocks, n, state);
}

static err_t put_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    return bs->ops->write_behind(t, bs, blocks, n);
}

static err_t put_blocks(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, put_fn put,
                        void **state)
{
    if (!any_identity(blocks, n))
        return n ? put(t, bs, blocks, n, state) : OK;
    block_t **stored = xcalloc(n, sizeof *stored);
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!cid_is_identity(&blocks[i]->cid))
            stored[count++] = blocks[i];
    err_t e = count ? put(t, bs, stored, count, state) : OK;
    free(stored);
    return e;
}

err_t blockstore_put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    return put_blocks(t, bs, blocks, n, put_durably, NULL);
}

void blockstore_writer_init(blockstore_writer_t *w, blockstore_t *bs)
{
    *w = (blockstore_writer_t){.bs = bs};
}

err_t blockstore_write(task_t *t, blockstore_writer_t *w, block_t *const *blocks, size_t n)
{
    return blockstore_write_shared(t, w->bs, blocks, n, &w->state);
}

err_t blockstore_write_shared(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    return put_blocks(t, bs, blocks, n, bs->ops->write_many ? put_by_writer : put_durably, state);
}

err_t blockstore_write_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    return put_blocks(t, bs, blocks, n, bs->ops->write_behind ? put_behind : put_durably, NULL);
}

err_t blockstore_flush(task_t *t, blockstore_writer_t *w)
{
    return w->state ? w->bs->ops->settle(t, w->bs, &w->state) : OK;
}

err_t blockstore_sync(task_t *t, blockstore_t *bs)
{
    return bs->ops->sync ? bs->ops->sync(t, bs) : OK;
}

uint64_t blockstore_losses(const blockstore_t *bs)
{
    return bs->ops->losses ? bs->ops->losses(bs) : 0;
}

err_t blockstore_sync_since(task_t *t, blockstore_t *bs, uint64_t losses)
{
    TRY(blockstore_sync(t, bs));
    if (blockstore_losses(bs) != losses)
        return fail(ERR_IO, "the disk lost blocks that had been written: try again");
    return OK;
}

void blockstore_writer_deinit(blockstore_writer_t *w)
{
    if (w->state)
        (void)!w->bs->ops->settle(NULL, w->bs, &w->state);
}

static err_t get_verified(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    AUTO_PTR(block_t) block = NULL;
    TRY(bs->ops->get(t, bs, cid, &block));
    if (!block->is_checked)
        TRY(verify(t, cid, block_bytes(block)));
    *ret_block = block;
    block = NULL;
    return OK;
}

static bool is_elsewhere(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    error_slot_t why = *error_slot();
    bool is = bs->ops->is_elsewhere && bs->ops->is_elsewhere(t, bs, cid);
    *error_slot() = why;
    return is;
}

err_t blockstore_get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    if (cid_is_identity(cid))
        return block_copy(cid, cid_digest(cid), ret_block);
    err_t e = get_verified(t, bs, cid, ret_block);
    if (e == ERR_CORRUPT && is_elsewhere(t, bs, cid))
        return e;
    /* A block that was removed between the look-up and the read may have been read as zeros: the second
     * look-up tells that from damage. */
    if (e == ERR_CORRUPT)
        e = get_verified(t, bs, cid, ret_block);
    char text[CID_TEXT_MAX];
    if (e == ERR_CORRUPT && bs->ops->wrong_is_absent)
        return fail(ERR_NOT_FOUND, "block %s is not here: its file is damaged", cid_print(cid, text));
    if (e == ERR_CORRUPT) {
        return fail_also(ERR_CORRUPT,
                         "block %s is damaged on disk: run `repo verify --drop`, then fetch or add it again",
                         cid_print(cid, text));
    }
    return e;
}

/* What get_many gave, verified where the store has not done it; singly what it left out. */
static err_t complete(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **block)
{
    if (*block && ((*block)->is_checked || !verify(t, cid, block_bytes(*block))))
        return OK;
    block_release(*block);
    *block = NULL;
    err_t e = blockstore_get(t, bs, cid, block);
    return e == ERR_CANCELED ? e : OK;
}

err_t blockstore_get_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n, block_t **blocks)
{
    memset(blocks, 0, n * sizeof *blocks);
    err_t e = bs->ops->get_many ? bs->ops->get_many(t, bs, cids, n, blocks) : OK;
    for (size_t i = 0; !e && i < n; i++)
        e = complete(t, bs, &cids[i], &blocks[i]);
    for (size_t i = 0; e && i < n; i++) {
        block_release(blocks[i]);
        blocks[i] = NULL;
    }
    return e;
}

err_t blockstore_verify(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    AUTO_PTR(block_t) block = NULL;
    TRY(blockstore_get(t, bs, cid, &block));
    char text[CID_TEXT_MAX];
    if (block->is_checked && verify(t, cid, block_bytes(block)))
        return fail(ERR_CORRUPT, "block %s does not hash to its CID", cid_print(cid, text));
    return OK;
}

err_t blockstore_size(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size)
{
    if (cid_is_identity(cid)) {
        *ret_size = cid->digest_len;
        return OK;
    }
    return bs->ops->size(t, bs, cid, ret_size);
}

bool blockstore_has(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    uint64_t size;
    return blockstore_size(t, bs, cid, &size) == OK;
}

err_t blockstore_remove(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n)
{
    return n ? bs->ops->remove(t, bs, cids, n) : OK;
}

err_t blockstore_discard(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    return bs->ops->discard ? bs->ops->discard(t, bs, cid) : bs->ops->remove(t, bs, cid, 1);
}

err_t blockstore_each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg)
{
    return bs->ops->each(t, bs, visit, arg);
}

err_t blockstore_stat(task_t *t, blockstore_t *bs, blockstore_stat_t *ret)
{
    return bs->ops->stat(t, bs, ret);
}

err_t blockstore_compact(task_t *t, blockstore_t *bs)
{
    return bs->ops->compact(t, bs);
}

void blockstore_close(task_t *t, blockstore_t *bs)
{
    if (bs)
        bs->ops->close(t, bs);
}
