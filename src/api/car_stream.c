#include "api/car_stream.h"
#include "codec/car.h"
#include "task/driver.h"

enum {
    GATHER_BYTES = 64 << 10,
    GATHER_MAX_BYTES = 64 << 20,
    SMALL_BLOCK_BYTES = 32 << 10,
    V2_HEAD_BYTES = CAR_V2_PRAGMA_BYTES + CAR_V2_HEADER_BYTES
};

/* ── version 2 ───────────────────────────────────────────────────────────────────────────────── */
err_t car_plan_block(task_t *t, void *arg, block_t *block)
{
    car_plan_t *plan = arg;
    plan->section_bytes += car_section_bytes(&block->cid, block->len);
    plan->index_bytes += car_index_entry_bytes(&block->cid);
    return OK;
}

/* In front of the header of version 1, which is gathered already. */
static err_t put_v2_head(car_stream_t *s, const car_plan_t *plan)
{
    AUTO(buf_t) v1_header = s->gathered;
    buf_init(&s->gathered, GATHER_MAX_BYTES);
    s->is_v2 = true;
    s->has_index = plan->index_bytes && plan->index_bytes <= CAR_INDEX_MAX_BYTES;
    s->planned_bytes = v1_header.len + plan->section_bytes;
    car_v2_t v2 = {.data_offset = V2_HEAD_BYTES, .data_size = s->planned_bytes};
    if (s->has_index) {
        v2.characteristics[0] = CAR_V2_FULLY_INDEXED;
        v2.index_offset = v2.data_offset + v2.data_size;
    }
    writer_t w = writer_to(&s->gathered);
    car_put_v2_head(&w, &v2);
    write_bytes(&w, buf_bytes(&v1_header));
    return w.err;
}

static void sort_index(void *arg)
{
    car_index_sort(arg);
}

static err_t write_index(task_t *t, car_stream_t *s)
{
    bytes_t part;
    if (s->data_bytes != s->planned_bytes)
        return fail(ERR_CORRUPT,
                    "what is exported has changed meanwhile: the archive is not whole, try again");
    if (!s->has_index)
        return OK;
    work(t, sort_index, &s->index);
    while (car_index_next(&s->index, &part))
        TRY(exchange_write(t, s->x, part));
    return OK;
}

/* ── both ────────────────────────────────────────────────────────────────────────────────────── */
err_t car_stream_begin(car_stream_t *s, exchange_t *x, const cid_t *roots, size_t n, const car_plan_t *plan)
{
    s->x = x;
    buf_init(&s->gathered, GATHER_MAX_BYTES);
    car_index_init(&s->index);
    writer_t w = writer_to(&s->gathered);
    car_put_header(&w, roots, n);
    s->data_bytes = s->gathered.len;
    TRY(w.err);
    return plan ? put_v2_head(s, plan) : OK;
}

void car_stream_deinit(car_stream_t *s)
{
    buf_deinit(&s->gathered);
    car_index_deinit(&s->index);
}

static err_t flush(task_t *t, car_stream_t *s)
{
    if (!s->gathered.len)
        return OK;
    TRY(exchange_write(t, s->x, buf_bytes(&s->gathered)));
    buf_clear(&s->gathered);
    return OK;
}

err_t car_stream_put(task_t *t, void *arg, block_t *block)
{
    car_stream_t *s = arg;
    if (s->has_index)
        TRY(car_index_add(&s->index, &block->cid, s->data_bytes));
    s->data_bytes += car_section_bytes(&block->cid, block->len);
    writer_t w = writer_to(&s->gathered);
    car_put_section_head(&w, &block->cid, block->len);
    TRY(w.err);
    if (block->len > SMALL_BLOCK_BYTES) {
        TRY(flush(t, s));
        return exchange_write(t, s->x, block_bytes(block));
    }
    TRY(buf_append(&s->gathered, block_bytes(block)));
    return s->gathered.len < GATHER_BYTES ? OK : flush(t, s);
}

err_t car_stream_end(task_t *t, car_stream_t *s, err_t e)
{
    error_slot_t why = *error_slot();
    err_t sent = flush(t, s);
    if (!e && !sent && s->is_v2)
        sent = write_index(t, s);
    if (e)
        *error_slot() = why;
    return e ? e : sent;
}
