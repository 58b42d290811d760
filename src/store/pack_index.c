#include "store/pack_index.h"
#include "base/reader.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

/* ── values ──────────────────────────────────────────────────────────────────────────────────── */
static uint8_t *put_le(uint8_t *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *out++ = (uint8_t)(v >> 8 * i);
    return out;
}

void pack_loc_encode(pack_loc_t loc, uint8_t out[PACK_LOC_BYTES])
{
    out = put_le(out, loc.segment, 4);
    out = put_le(out, loc.offset, 4);
    put_le(out, loc.len, 4);
}

err_t pack_loc_decode(bytes_t in, pack_loc_t *ret_loc)
{
    reader_t r = reader_of(in);
    pack_loc_t loc = {.segment = read_u32le(&r)};
    loc.offset = read_u32le(&r);
    loc.len = read_u32le(&r);
    if (r.err || reader_left(&r) || loc.len > BLOCK_STORED_MAX_BYTES)
        return fail(ERR_CORRUPT, "the index of blocks holds an entry of %zu bytes that is none", in.len);
    *ret_loc = loc;
    return OK;
}

void pack_row_encode(const pack_row_t *row, uint8_t out[PACK_ROW_BYTES])
{
    out = put_le(out, row->is_dead, 8);
    out = put_le(out, row->tag, 8);
    out = put_le(out, row->indexed_bytes, 8);
    out = put_le(out, row->live_blocks, 8);
    out = put_le(out, row->live_bytes, 8);
    put_le(out, row->live_record_bytes, 8);
}

err_t pack_row_decode(uint32_t segment, bytes_t in, pack_row_t *ret_row)
{
    reader_t r = reader_of(in);
    pack_row_t row = {.segment = segment, .is_dead = read_u64le(&r) != 0};
    row.tag = read_u64le(&r);
    row.indexed_bytes = read_u64le(&r);
    row.live_blocks = read_u64le(&r);
    row.live_bytes = read_u64le(&r);
    row.live_record_bytes = read_u64le(&r);
    if (r.err || reader_left(&r))
        return fail(ERR_CORRUPT, "the index of blocks holds a row of %zu bytes that is none", in.len);
    *ret_row = row;
    return OK;
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
void pack_commit_deinit(pack_commit_t *c)
{
    free(c->rows);
    c->rows = NULL;
    c->n_rows = c->rows_cap = 0;
}

/* The row of a segment in this commit, read at its first use. make: a fresh one when there is none. */
static err_t touch_row(pack_commit_t *c, const pack_view_t *view, uint32_t segment, bool make,
                       pack_row_t **ret_row)
{
    for (size_t i = 0; i < c->n_rows; i++)
        if (c->rows[i].segment == segment) {
            *ret_row = &c->rows[i];
            return OK;
        }
    pack_row_t row;
    err_t e = view->row_find(view->arg, segment, &row);
    if (e == ERR_NOT_FOUND && make)
        row = (pack_row_t){.segment = segment};
    else if (e == ERR_NOT_FOUND)
        return fail(ERR_CORRUPT, "the index of blocks knows no segment %u", segment);
    else
        TRY(e);
    if (c->n_rows == c->rows_cap) {
        c->rows_cap = c->rows_cap ? 2 * c->rows_cap : 4;
        c->rows = xrealloc(c->rows, c->rows_cap * sizeof *c->rows);
    }
    c->rows[c->n_rows] = row;
    *ret_row = &c->rows[c->n_rows++];
    return OK;
}

static err_t count_live(pack_commit_t *c, const pack_view_t *view, const pack_change_t *change,
                        pack_loc_t loc, int sign)
{
    pack_row_t *row;
    TRY(touch_row(c, view, loc.segment, sign > 0, &row));
    uint64_t record = pack_record_bytes(change->key.len, loc.len);
    if (sign < 0 && (row->live_blocks == 0 || row->live_bytes < loc.len || row->live_record_bytes < record))
        return fail(ERR_CORRUPT, "the index of blocks counts too few in segment %u", loc.segment);
    row->live_blocks += (uint64_t)sign;
    row->live_bytes += (uint64_t)sign * loc.len;
    row->live_record_bytes += (uint64_t)sign * record;
    return OK;
}

static err_t apply_change(pack_commit_t *c, const pack_view_t *view, pack_change_t *change)
{
    pack_loc_t now;
    change->was_done = false;
    err_t e = view->find(view->arg, change->key, &now);
    if (e && e != ERR_NOT_FOUND)
        return e;
    bool is_there = e == OK;
    switch (change->kind) {
    case PACK_PUT:
        if (is_there)
            return OK;
        break;
    case PACK_MOVE:
        if (!is_there || !pack_loc_equal(now, change->old))
            return OK;
        TRY(count_live(c, view, change, now, -1));
        break;
    case PACK_REMOVE:
        if (!is_there)
            return OK;
        change->loc = now;
        change->was_done = true;
        TRY(count_live(c, view, change, now, -1));
        return view->remove(view->arg, change->key);
    }
    change->was_done = true;
    TRY(count_live(c, view, change, change->loc, 1));
    return view->put(view->arg, change->key, change->loc);
}

static err_t apply_row_change(pack_commit_t *c, const pack_view_t *view, const pack_row_change_t *change)
{
    if (change->kind == PACK_ROW_FORGET)
        return view->row_remove(view->arg, change->segment);
    pack_row_t *row;
    TRY(touch_row(c, view, change->segment, change->kind == PACK_ROW_INDEXED, &row));
    if (change->kind == PACK_ROW_DEAD) {
        row->is_dead = true;
        return OK;
    }
    row->tag = change->tag;
    if (change->indexed_bytes > row->indexed_bytes)
        row->indexed_bytes = change->indexed_bytes;
    return OK;
}

err_t pack_commit_apply(pack_commit_t *c, const pack_view_t *view)
{
    c->n_rows = 0;
    for (size_t i = 0; i < c->n_row_changes; i++)
        TRY(apply_row_change(c, view, &c->row_changes[i]));
    for (size_t i = 0; i < c->n_changes; i++)
        TRY(apply_change(c, view, &c->changes[i]));
    for (size_t i = 0; i < c->n_rows; i++)
        TRY(view->row_put(view->arg, &c->rows[i]));
    return OK;
}

/* ── dispatch ────────────────────────────────────────────────────────────────────────────────── */
err_t pack_index_find(task_t *t, pack_index_t *x, bytes_t key, pack_loc_t *ret_loc)
{
    return x->ops->find(t, x, key, ret_loc);
}

err_t pack_index_commit(task_t *t, pack_index_t *x, pack_commit_t *c)
{
    return x->ops->commit(t, x, c);
}

err_t pack_index_page(task_t *t, pack_index_t *x, bytes_t after, pack_entry_t *out, size_t cap, size_t *ret_n)
{
    return x->ops->page(t, x, after, out, cap, ret_n);
}

err_t pack_index_rows(task_t *t, pack_index_t *x, pack_row_t **ret_rows, size_t *ret_n)
{
    return x->ops->rows(t, x, ret_rows, ret_n);
}

err_t pack_index_disk_bytes(task_t *t, pack_index_t *x, uint64_t *ret_bytes)
{
    return x->ops->disk_bytes(t, x, ret_bytes);
}

void pack_index_close(task_t *t, pack_index_t *x)
{
    if (x)
        x->ops->close(t, x);
}

err_t pack_index_open(task_t *t, const char *folder, pack_index_t **ret_index)
{
    TRY(fs_mkdirs(t, folder, 0700));
    if (!task_driver(t)->is_simulated)
        return pack_index_lmdb_open(t, folder, ret_index);
    char path[4096];
    snprintf(path, sizeof path, "%s/index.db", folder);
    kv_t *kv;
    TRY(kv_open(t, path, &kv));
    return pack_index_kv_open(t, kv, ret_index);
}
