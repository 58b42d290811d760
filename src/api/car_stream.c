#include "api/car_stream.h"
#include "codec/car.h"

enum { GATHER_BYTES = 64 << 10, GATHER_MAX_BYTES = 64 << 20, SMALL_BLOCK_BYTES = 32 << 10 };

err_t car_stream_begin(car_stream_t *s, exchange_t *x, const cid_t *roots, size_t n)
{
    s->x = x;
    buf_init(&s->gathered, GATHER_MAX_BYTES);
    writer_t w = writer_to(&s->gathered);
    car_put_header(&w, roots, n);
    return w.err;
}

void car_stream_deinit(car_stream_t *s)
{
    buf_deinit(&s->gathered);
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
    if (e)
        *error_slot() = why;
    return e ? e : sent;
}
