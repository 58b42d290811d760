/* pack_index over a kv: for the simulator, where the kv is a map with a journal. Spaces: "pack-blocks",
 * "pack-segments". */
#include "base/reader.h"
#include "store/pack_index.h"
#include <stdlib.h>

#define BLOCKS "pack-blocks"
#define SEGMENTS "pack-segments"

typedef struct pack_index_kv {
    pack_index_t base;
    kv_t *kv;
} pack_index_kv_t;

typedef struct view_ctx {
    task_t *t;
    kv_t *kv;
    kv_batch_t batch;
} view_ctx_t;

static kv_t *kv_of(pack_index_t *x)
{
    return CONTAINER_OF(x, pack_index_kv_t, base)->kv;
}

static void segment_key(uint32_t segment, uint8_t out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(segment >> (24 - 8 * i));
}

static err_t find_loc(task_t *t, kv_t *kv, bytes_t key, pack_loc_t *ret_loc)
{
    AUTO(buf_t) value;
    buf_init(&value, PACK_LOC_BYTES);
    TRY(kv_get(t, kv, BLOCKS, key, &value));
    return pack_loc_decode(buf_bytes(&value), ret_loc);
}

static err_t find(task_t *t, pack_index_t *x, bytes_t key, pack_loc_t *ret_loc)
{
    return find_loc(t, kv_of(x), key, ret_loc);
}

static err_t view_find(void *arg, bytes_t key, pack_loc_t *ret_loc)
{
    view_ctx_t *c = arg;
    return find_loc(c->t, c->kv, key, ret_loc);
}

static err_t view_put(void *arg, bytes_t key, pack_loc_t loc)
{
    view_ctx_t *c = arg;
    uint8_t value[PACK_LOC_BYTES];
    pack_loc_encode(loc, value);
    return kv_batch_put(&c->batch, BLOCKS, key, bytes_of(value, sizeof value));
}

static err_t view_remove(void *arg, bytes_t key)
{
    view_ctx_t *c = arg;
    return kv_batch_delete(&c->batch, BLOCKS, key);
}

static err_t view_row_find(void *arg, uint32_t segment, pack_row_t *ret_row)
{
    view_ctx_t *c = arg;
    uint8_t key[4];
    segment_key(segment, key);
    AUTO(buf_t) value;
    buf_init(&value, PACK_ROW_BYTES);
    TRY(kv_get(c->t, c->kv, SEGMENTS, bytes_of(key, sizeof key), &value));
    return pack_row_decode(segment, buf_bytes(&value), ret_row);
}

static err_t view_row_put(void *arg, const pack_row_t *row)
{
    view_ctx_t *c = arg;
    uint8_t key[4], value[PACK_ROW_BYTES];
    segment_key(row->segment, key);
    pack_row_encode(row, value);
    return kv_batch_put(&c->batch, SEGMENTS, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
}

static err_t view_row_remove(void *arg, uint32_t segment)
{
    view_ctx_t *c = arg;
    uint8_t key[4];
    segment_key(segment, key);
    return kv_batch_delete(&c->batch, SEGMENTS, bytes_of(key, sizeof key));
}

static err_t commit(task_t *t, pack_index_t *x, pack_commit_t *c)
{
    view_ctx_t ctx = {.t = t, .kv = kv_of(x)};
    kv_batch_init(&ctx.batch);
    pack_view_t view = {&ctx, view_find, view_put, view_remove, view_row_find, view_row_put, view_row_remove};
    err_t e = pack_commit_apply(c, &view);
    if (!e)
        e = kv_commit(t, ctx.kv, &ctx.batch);
    kv_batch_deinit(&ctx.batch);
    return e;
}

typedef struct page_ctx {
    pack_entry_t *out;
    size_t n;
} page_ctx_t;

static err_t visit_entry(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    page_ctx_t *p = arg;
    pack_entry_t *entry = &p->out[p->n];
    if (key.len > sizeof entry->key)
        return fail(ERR_CORRUPT, "the index of blocks holds a key of %zu bytes", key.len);
    TRY(pack_loc_decode(value, &entry->loc));
    entry->key_len = (uint8_t)key.len;
    memcpy(entry->key, key.data, key.len);
    p->n++;
    return OK;
}

static err_t page(task_t *t, pack_index_t *x, bytes_t after, pack_entry_t *out, size_t cap, size_t *ret_n)
{
    page_ctx_t p = {.out = out};
    kv_range_t range = {.from = after, .after_from = after.len > 0, .limit = cap};
    TRY(kv_scan(t, kv_of(x), BLOCKS, &range, visit_entry, &p));
    *ret_n = p.n;
    return OK;
}

typedef struct rows_ctx {
    pack_row_t *rows;
    size_t n;
} rows_ctx_t;

static err_t visit_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    rows_ctx_t *c = arg;
    reader_t r = reader_of(key);
    uint32_t segment = read_u32be(&r);
    if (r.err || reader_left(&r))
        return fail(ERR_CORRUPT, "the index of blocks names a segment with %zu bytes", key.len);
    c->rows = xrealloc(c->rows, (c->n + 1) * sizeof *c->rows);
    TRY(pack_row_decode(segment, value, &c->rows[c->n]));
    c->n++;
    return OK;
}

static err_t rows(task_t *t, pack_index_t *x, pack_row_t **ret_rows, size_t *ret_n)
{
    rows_ctx_t c = {0};
    err_t e = kv_scan(t, kv_of(x), SEGMENTS, NULL, visit_row, &c);
    if (e) {
        free(c.rows);
        return e;
    }
    *ret_rows = c.rows;
    *ret_n = c.n;
    return OK;
}

static err_t disk_bytes(task_t *t, pack_index_t *x, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    return OK;
}

static void close_index(task_t *t, pack_index_t *x)
{
    kv_close(t, kv_of(x));
    free(CONTAINER_OF(x, pack_index_kv_t, base));
}

static const pack_index_ops_t kv_index_ops = {find, commit, page, rows, disk_bytes, close_index};

err_t pack_index_kv_open(task_t *t, kv_t *kv, pack_index_t **ret_index)
{
    pack_index_kv_t *x = xcalloc(1, sizeof *x);
    x->base.ops = &kv_index_ops;
    x->base.commit_max_blocks = 16 << 10;
    x->kv = kv;
    *ret_index = &x->base;
    return OK;
}
