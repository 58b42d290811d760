#include "dag/put_queue.h"
#include <stdlib.h>

enum { BATCH_MAX_BLOCKS = 4096, BATCH_FIRST_CAP = 64 };

struct put_batch {
    put_queue_t *queue;
    block_t **list;
    size_t count, cap, bytes;
};

void put_queue_init(put_queue_t *q, sched_t *s, blocks_t *blocks, size_t batch_bytes, size_t max_batches)
{
    assert(batch_bytes > 0 && max_batches > 0);
    *q = (put_queue_t){.writer = {.blocks = blocks}, .batch_bytes = batch_bytes, .max_batches = max_batches};
    group_init(&q->writers, s);
}

static void batch_free(put_batch_t *b)
{
    if (!b)
        return;
    b->queue->waiting_bytes -= b->bytes;
    for (size_t i = 0; i < b->count; i++)
        block_release(b->list[i]);
    free(b->list);
    free(b);
}

void put_queue_deinit(task_t *t, put_queue_t *q)
{
    if (!q->writer.blocks)
        return;
    group_stop(t, &q->writers);
    group_deinit(&q->writers);
    batch_free(q->filling);
    q->filling = NULL;
    blocks_writer_deinit(&q->writer);
    q->writer.blocks = NULL;
}

/* The text belongs to the task that failed: it is carried over to the one that asks. */
static err_t reported(const put_queue_t *q)
{
    return q->first_error.code ? fail(q->first_error.code, "%s", q->first_error.text) : OK;
}

static void record(put_queue_t *q, err_t e)
{
    if (q->first_error.code)
        return;
    q->first_error.code = e;
    strncpy(q->first_error.text, error_text(e), sizeof q->first_error.text - 1);
}

static err_t batch_write(task_t *t, void *arg)
{
    put_batch_t *b = arg;
    put_queue_t *q = b->queue;
    err_t e = blocks_write(t, &q->writer, b->list, b->count);
    if (e)
        record(q, e);
    batch_free(b);
    return OK; /* reported through the queue */
}

static err_t start_write(task_t *t, put_queue_t *q)
{
    TRY(group_wait_below(t, &q->writers, q->max_batches));
    TRY(reported(q));
    put_batch_t *b = q->filling;
    TRY(group_spawn(&q->writers, "put blocks", batch_write, b, NULL));
    q->filling = NULL;
    return OK;
}

static void batch_push(put_batch_t *b, block_t *block)
{
    if (b->count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : BATCH_FIRST_CAP;
        b->list = xrealloc(b->list, b->cap * sizeof *b->list);
    }
    b->list[b->count++] = block;
    b->bytes += block->len;
}

err_t put_queue_add(task_t *t, put_queue_t *q, block_t *block)
{
    err_t e = reported(q);
    if (e) {
        block_release(block);
        return e;
    }
    if (!q->filling) {
        q->filling = xcalloc(1, sizeof *q->filling);
        q->filling->queue = q;
    }
    batch_push(q->filling, block);
    q->waiting_bytes += block->len;
    q->put_bytes += block->len;
    if (q->waiting_bytes > q->peak_bytes)
        q->peak_bytes = q->waiting_bytes;
    if (q->filling->bytes < q->batch_bytes && q->filling->count < BATCH_MAX_BLOCKS)
        return OK;
    return start_write(t, q);
}

err_t put_queue_drain(task_t *t, put_queue_t *q)
{
    TRY(reported(q));
    if (q->filling)
        TRY(start_write(t, q));
    TRY(group_join(t, &q->writers));
    return reported(q);
}

err_t put_queue_flush(task_t *t, put_queue_t *q)
{
    TRY(put_queue_drain(t, q));
    err_t e = blocks_flush(t, &q->writer);
    if (e) /* not to be asked for again */
        record(q, e);
    return e;
}
