#include "dag/file_reader.h"

enum { WINDOW_FIRST = 4 };

err_t file_reader_init(file_reader_t *r, blocks_t *blocks, dag_node_t *file)
{
    char text[CID_TEXT_MAX];
    if (dag_node_is_dir(file))
        return fail(ERR_INVALID, "%s is a directory, not a file", cid_print(&file->block->cid, text));
    if (!dag_node_is_file(file))
        return fail(ERR_INVALID, "%s is not a file", cid_print(&file->block->cid, text));
    *r = (file_reader_t){.blocks = blocks, .root = *file, .size = file->size, .end = file->size};
    file->block = NULL;
    return OK;
}

err_t file_reader_open(task_t *t, file_reader_t *r, blocks_t *blocks, const cid_t *cid)
{
    AUTO(dag_node_t) root = {0};
    TRY(dag_node_get(t, blocks, cid, &root));
    return file_reader_init(r, blocks, &root);
}

static void rewind_to(file_reader_t *r, uint64_t position, uint64_t end)
{
    cursor_deinit(&r->cursor);
    ahead_deinit(&r->ahead);
    dag_node_deinit(&r->leaf);
    r->ahead = (ahead_t){0};
    r->piece = BYTES_NONE;
    r->consumed = 0;
    r->has_begun = false;
    r->position = position;
    r->end = end;
}

void file_reader_deinit(file_reader_t *r)
{
    rewind_to(r, 0, 0);
    dag_node_deinit(&r->root);
}

void file_reader_seek(file_reader_t *r, uint64_t from, uint64_t len)
{
    if (from > r->size)
        from = r->size;
    rewind_to(r, from, len < r->size - from ? from + len : r->size);
}

/* The part of a node's own data, which lies at `offset`, that the range wants. */
static void take_data(file_reader_t *r, bytes_t data, uint64_t offset)
{
    r->piece = BYTES_NONE;
    if (r->position < offset + data.len)
        r->piece = bytes_slice(data, (size_t)(r->position - offset), data.len);
    if (r->piece.len > r->end - r->position)
        r->piece.len = (size_t)(r->end - r->position);
}

static void look_ahead(task_t *t, file_reader_t *r, const cursor_step_t *at)
{
    uint64_t window = WINDOW_FIRST + 2 * r->consumed;
    if (window > FILE_READER_WINDOW)
        window = FILE_READER_WINDOW;
    /* in steps of a quarter, so that requests go out several at a time */
    if (r->ahead.asked < r->consumed + window - window / 4)
        ahead_run(t, &r->ahead, r->blocks, &r->cursor, at, r->consumed + window, r->end);
}

/* Fetches the child that `step` names and goes into it. */
static err_t enter(task_t *t, file_reader_t *r, const cursor_step_t *step)
{
    dag_node_t child = {0};
    char text[CID_TEXT_MAX];
    bool is_leaf = !ahead_is_inner(&r->ahead, step);
    TRY(dag_node_get(t, r->blocks, &step->link.cid, &child));
    dag_node_deinit(&r->leaf);
    r->leaf = child;
    r->consumed += is_leaf;
    if (!dag_node_is_file(&child) || child.size != step->size)
        return fail(ERR_CORRUPT, "block %s: a part of a file of %llu bytes where its parent says %llu",
                    cid_print(&step->link.cid, text), (unsigned long long)child.size,
                    (unsigned long long)step->size);
    take_data(r, child.fs.data, step->offset);
    if (!child.pb.link_count)
        return OK;
    ahead_learn(&r->ahead, step->depth, !is_leaf, r->consumed);
    return cursor_push_file(&r->cursor, &child, step->offset);
}

static err_t advance(task_t *t, file_reader_t *r)
{
    if (!r->has_begun) {
        r->has_begun = true;
        take_data(r, r->root.fs.data, 0);
        return r->root.pb.link_count ? cursor_push_file(&r->cursor, &r->root, 0) : OK;
    }
    cursor_step_t step;
    do {
        if (!cursor_next(&r->cursor, &step))
            return fail(ERR_CORRUPT, "a file that ends before its size");
    } while (step.offset + step.size <= r->position);
    if (r->end > step.offset + step.size)
        look_ahead(t, r, &step);
    return enter(t, r, &step);
}

err_t file_reader_next(task_t *t, file_reader_t *r, bytes_t *ret_piece)
{
    while (!r->piece.len && r->position < r->end)
        TRY(advance(t, r));
    *ret_piece = r->piece;
    r->position += r->piece.len;
    r->piece = BYTES_NONE;
    return OK;
}

err_t file_reader_read(task_t *t, file_reader_t *r, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t n = 0;
    while (n < cap && r->position < r->end) {
        if (!r->piece.len)
            TRY(advance(t, r));
        size_t take = r->piece.len < cap - n ? r->piece.len : cap - n;
        if (take)
            memcpy(out + n, r->piece.data, take);
        r->piece = bytes_slice(r->piece, take, r->piece.len);
        r->position += take;
        n += take;
    }
    *ret_n = n;
    return OK;
}
