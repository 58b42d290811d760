#include "dag/car_import.h"
#include "codec/ipld.h"
#include "task/driver.h"
#include <stdlib.h>

enum {
    BATCH_BYTES = 2 << 20, /* that one worker checks at a time */
    BATCH_BLOCKS = 1024,
    BATCHES = 4,                /* on their way at once */
    CHECK_INLINE_BYTES = 32768, /* below it a thread switch costs more than the hash */
    LEAVES_MAX = 1 << 18,       /* 8 MiB of memory for 64 GiB of content in blocks of 256 KiB */
};

typedef struct batch {
    car_import_t *import;
    block_t *list[BATCH_BLOCKS];
    bool is_leaf[BATCH_BLOCKS];
    size_t count, bytes;
    size_t bad; /* index of the block that failed */
    err_t result;
    error_slot_t error;
} batch_t;

struct car_import {
    blocks_writer_t writer;
    bool takes_big_blocks;
    group_t batches;
    batch_t *filling;         /* NULL when empty */
    error_slot_t first_error; /* of a batch that failed in the background */
    car_import_stat_t stat;
    uint64_t held_bytes;
    cid_set_t leaves;
};

car_import_t *car_import_new(task_t *t, blocks_t *blocks, bool takes_big_blocks)
{
    car_import_t *im = xcalloc(1, sizeof *im);
    im->writer.blocks = blocks;
    im->takes_big_blocks = takes_big_blocks;
    group_init(&im->batches, task_sched(t));
    cid_set_init(&im->leaves);
    return im;
}

static void batch_free(batch_t *b)
{
    if (!b)
        return;
    b->import->held_bytes -= b->bytes;
    for (size_t i = 0; i < b->count; i++)
        block_release(b->list[i]);
    free(b);
}

void car_import_free(task_t *t, car_import_t *im)
{
    if (!im)
        return;
    group_stop(t, &im->batches);
    group_deinit(&im->batches);
    batch_free(im->filling);
    blocks_writer_deinit(&im->writer);
    cid_set_deinit(&im->leaves);
    free(im);
}

car_import_stat_t car_import_stat(const car_import_t *im)
{
    return im->stat;
}

const cid_set_t *car_import_leaves(const car_import_t *im)
{
    return &im->leaves;
}

/* ── batches ─────────────────────────────────────────────────────────────────────────────────── */
static err_t reported(const car_import_t *im)
{
    return im->first_error.code ? fail(im->first_error.code, "%s", im->first_error.text) : OK;
}

static err_t stop_at_link(void *arg, const cid_t *link)
{
    return ERR_EXISTS;
}

static void check_batch(void *arg)
{
    batch_t *b = arg;
    for (b->bad = 0; b->bad < b->count; b->bad++) {
        const block_t *block = b->list[b->bad];
        b->result = cid_verify(&block->cid, block_bytes(block));
        if (b->result)
            break;
        b->is_leaf[b->bad] = !ipld_links(block->cid.codec, block_bytes(block), stop_at_link, NULL);
    }
    if (b->result)
        b->error = *error_slot(); /* the worker's own */
}

static err_t failed_at(const cid_t *cid, err_t e, const char *where, const char *why)
{
    char text[CID_TEXT_MAX];
    return fail(e, "import failed %s block \"%s\": %s", where, cid_print(cid, text), why);
}

/* Leaves those out that their CIDs hold. */
static void drop_identities(batch_t *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (cid_is_identity(&b->list[i]->cid)) {
            b->import->held_bytes -= b->list[i]->len;
            b->bytes -= b->list[i]->len;
            block_release(b->list[i]);
        } else {
            b->is_leaf[kept] = b->is_leaf[i];
            b->list[kept++] = b->list[i];
        }
    }
    b->count = kept;
}

static err_t note_leaves(batch_t *b)
{
    cid_set_t *leaves = &b->import->leaves;
    bool is_new;
    for (size_t i = 0; i < b->count && leaves->count < LEAVES_MAX; i++)
        if (b->is_leaf[i])
            TRY(cid_set_add(leaves, &b->list[i]->cid, &is_new));
    return OK;
}

static err_t store_batch(task_t *t, batch_t *b)
{
    if (b->bytes <= CHECK_INLINE_BYTES)
        check_batch(b);
    else
        work(t, check_batch, b);
    if (b->result)
        return failed_at(&b->list[b->bad]->cid, b->result, "at",
                         b->error.code == b->result ? b->error.text : error_text(b->result));
    drop_identities(b);
    TRY(blocks_write(t, &b->import->writer, b->list, b->count));
    return note_leaves(b);
}

static err_t batch_task(task_t *t, void *arg)
{
    batch_t *b = arg;
    car_import_t *im = b->import;
    err_t e = store_batch(t, b);
    if (e && !im->first_error.code) {
        im->first_error.code = e;
        strncpy(im->first_error.text, error_text(e), sizeof im->first_error.text - 1);
    }
    batch_free(b);
    return OK; /* reported by the import */
}

static err_t send_batch(task_t *t, car_import_t *im)
{
    TRY(group_wait_below(t, &im->batches, BATCHES));
    TRY(reported(im));
    TRY(group_spawn(&im->batches, "import blocks", batch_task, im->filling, NULL));
    im->filling = NULL;
    return OK;
}

static err_t add_block(task_t *t, car_import_t *im, block_t *block)
{
    if (!im->filling) {
        im->filling = xcalloc(1, sizeof *im->filling);
        im->filling->import = im;
    }
    batch_t *b = im->filling;
    b->list[b->count++] = block;
    b->bytes += block->len;
    im->held_bytes += block->len;
    im->stat.blocks++;
    im->stat.bytes += block->len;
    if (im->held_bytes > im->stat.peak_bytes)
        im->stat.peak_bytes = im->held_bytes;
    return b->bytes < BATCH_BYTES && b->count < BATCH_BLOCKS ? OK : send_batch(t, im);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t explain(const car_reader_t *r)
{
    error_slot_t why = *error_slot();
    const char *text = why.code == r->error ? why.text : error_text(r->error);
    if (!r->version)
        return fail(r->error, "%s", text);
    if (!r->has_last)
        return fail(r->error, "import failed: %s", text);
    return failed_at(&r->last, r->error, r->error == ERR_LIMIT ? "at" : "after", text);
}

/* Refused, it is released. */
static err_t check_size(const car_import_t *im, block_t *block)
{
    err_t e = im->takes_big_blocks ? OK : block_check_exchangeable(block->len);
    if (!e)
        return OK;
    error_slot_t why = *error_slot();
    cid_t cid = block->cid;
    block_release(block);
    return failed_at(&cid, e, "at", why.text);
}

static err_t fill(task_t *t, car_reader_t *r, source_t source)
{
    uint8_t *area;
    size_t cap, n = 0;
    car_reader_room(r, &area, &cap);
    TRY(source.read(t, source.arg, area, cap, &n));
    car_reader_filled(r, n);
    return OK;
}

static err_t read_archive(task_t *t, car_import_t *im, car_reader_t *r, source_t source, car_root_fn root,
                          void *arg)
{
    for (;;) {
        block_t *block = NULL;
        switch (car_reader_next(r, &block)) {
        case CAR_MORE:
            TRY(fill(t, r, source));
            break;
        case CAR_HEADER:
            if (root)
                TRY(car_reader_each_root(r, root, arg));
            break;
        case CAR_BLOCK:
            TRY(check_size(im, block));
            TRY(add_block(t, im, block));
            break;
        case CAR_END:
            return OK;
        case CAR_ERROR:
            return explain(r);
        }
    }
}

err_t car_import_read(task_t *t, car_import_t *im, source_t source, car_root_fn root, void *arg)
{
    AUTO(car_reader_t) r;
    car_reader_init(&r, (car_options_t){.max_block_bytes = BLOCK_STORED_MAX_BYTES});
    TRY(reported(im));
    return read_archive(t, im, &r, source, root, arg);
}

err_t car_import_flush(task_t *t, car_import_t *im)
{
    if (im->filling)
        TRY(send_batch(t, im));
    TRY(group_join(t, &im->batches));
    TRY(reported(im));
    return blocks_flush(t, &im->writer);
}
