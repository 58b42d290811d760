/* Opening a pack store over any bytes as its segment: it opens, what it lists reads as its CID says or is
 * called damaged, it takes blocks, and gives them back after opening again. */
#include "base/log.h"
#include "sim/sim.h"
#include "store/pack_store.h"
#include <stdlib.h>

#define FOLDER "/tmp/blocks"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err_t read_block(task_t *t, void *arg, const cid_t *cid, uint64_t size)
{
    block_t *b = NULL;
    err_t e = blockstore_get(t, arg, cid, &b);
    assert(e || b->len == size);
    block_release(b);
    return OK;
}

static err_t use(task_t *t, blockstore_t *bs)
{
    block_t *b, *got;
    cid_t cid;
    TRY(blockstore_each(t, bs, read_block, bs));
    TRY(cid_of(1, CODEC_RAW, MH_SHA2_256, BYTES_LIT("a block that is put after"), &cid));
    TRY(block_copy(&cid, BYTES_LIT("a block that is put after"), &b));
    err_t e = blockstore_put(t, bs, b);
    block_release(b);
    TRY(e);
    e = blockstore_get(t, bs, &cid, &got);
    if (e)
        return e == ERR_CORRUPT ? OK : e; /* the segment had this block, damaged */
    block_release(got);
    return OK;
}

static err_t run(task_t *t, void *arg)
{
    TRY(fs_mkdirs(t, FOLDER "/pack", 0700));
    TRY(fs_write_file(t, FOLDER "/pack/00000001.seg", 0600, *(bytes_t *)arg));
    for (int i = 0; i < 2; i++) {
        blockstore_t *bs;
        TRY(pack_store_open(t, FOLDER, NULL, &bs));
        err_t e = use(t, bs);
        if (!e)
            e = blockstore_compact(t, bs);
        blockstore_close(t, bs);
        TRY(e);
    }
    return OK;
}

static void ignore_line(void *arg, log_level_t level, bytes_t line) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size);
    log_set_sink(ignore_line, NULL);
    sim_t *s = sim_new(1);
    err_t e = sim_run(s, run, &in);
    sim_free(s);
    /* A format of a later version is refused; everything else opens. */
    if (e && e != ERR_UNSUPPORTED)
        abort();
    return 0;
}
