#include "dag/car_export.h"
#include "dag/dag_walk.h"
#include <stdlib.h>

enum { EXPORT_WINDOW = 64 }; /* leaves of a file that are asked for ahead */

/* ── ranges ──────────────────────────────────────────────────────────────────────────────────── */
static bool parse_offset(bytes_t text, int64_t *ret)
{
    bool is_negative = text.len && text.data[0] == '-';
    int64_t value = 0;
    if (is_negative)
        text = bytes_slice(text, 1, text.len);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.data[i] - '0', &value))
            return false;
    *ret = is_negative ? -value : value;
    return text.len > 0;
}

err_t car_range_parse(bytes_t text, car_range_t *ret)
{
    const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    size_t at = colon ? (size_t)(colon - text.data) : 0;
    bytes_t to = bytes_slice(text, at + 1, text.len);
    car_range_t range = {.is_open = bytes_equal(to, BYTES_LIT("*"))};
    if (!colon || !parse_offset(bytes_slice(text, 0, at), &range.from) ||
        (!range.is_open && !parse_offset(to, &range.to)) ||
        (!range.is_open && range.from >= 0 && range.to >= 0 && range.from > range.to) ||
        (!range.is_open && range.from < 0 && range.to < 0 && range.from > range.to))
        return fail(ERR_INVALID, "invalid entity-bytes: \"%.*s\" is not from:to",
                    text.len < 60 ? (int)text.len : 60, text.len ? (const char *)text.data : "");
    *ret = range;
    return OK;
}

/* The bytes from *ret_from up to, not including, *ret_end; false: none. */
static bool clamp_range(const car_range_t *range, uint64_t size, uint64_t *ret_from, uint64_t *ret_end)
{
    uint64_t from = (uint64_t)range->from, end = size;
    if (range->from < 0)
        from = size > -(uint64_t)range->from ? size + (uint64_t)range->from : 0;
    if (!range->is_open && range->to >= 0 && (uint64_t)range->to < size)
        end = (uint64_t)range->to + 1;
    if (!range->is_open && range->to < 0)
        end = size >= -(uint64_t)range->to ? size + (uint64_t)range->to + 1 : 0;
    *ret_from = from;
    *ret_end = end;
    return from < end;
}

/* ── handing on ──────────────────────────────────────────────────────────────────────────────── */
typedef struct car_walk {
    blocks_t path_blocks; /* gives what `from` gives, and hands it on: whoever resolves a path through it
                             proves it */
    blocks_t *from;
    const car_export_options_t *options;
    car_export_fn visit;
    void *arg;
    block_t *held;       /* the newest of the path: it may be the end, which the scope hands on */
    dag_walker_t walker; /* its set tells what was handed on */
} car_walk_t;

static err_t hand_on(task_t *t, car_walk_t *w, block_t *block)
{
    if (cid_is_identity(&block->cid) && !w->options->with_identities)
        return OK;
    return w->visit(t, w->arg, block);
}

/* ret_is_new may be NULL; with dups everything is. */
static err_t hand_on_new(task_t *t, car_walk_t *w, block_t *block, bool *ret_is_new)
{
    bool is_new = true;
    if (!w->options->with_dups)
        TRY(cid_set_add(&w->walker.seen, &block->cid, &is_new));
    if (ret_is_new)
        *ret_is_new = is_new;
    return is_new ? hand_on(t, w, block) : OK;
}

static err_t release_held(task_t *t, car_walk_t *w)
{
    AUTO_PTR(block_t) block = w->held;
    w->held = NULL;
    return block ? hand_on_new(t, w, block, NULL) : OK;
}

static err_t path_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    car_walk_t *w = CONTAINER_OF(b, car_walk_t, path_blocks);
    AUTO_PTR(block_t) block = NULL;
    TRY(blocks_get(t, w->from, cid, &block));
    TRY(release_held(t, w));
    w->held = block_ref(block);
    *ret_block = block;
    block = NULL;
    return OK;
}

static void path_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    blocks_prefetch(t, CONTAINER_OF(b, car_walk_t, path_blocks)->from, cids, n);
}

static bool path_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blocks_has(t, CONTAINER_OF(b, car_walk_t, path_blocks)->from, cid);
}

static const blocks_ops_t path_ops = {.get = path_get, .prefetch = path_prefetch, .has = path_has};

/* ── scopes ──────────────────────────────────────────────────────────────────────────────────── */
static err_t visit_walked(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    return hand_on(t, arg, block);
}

static err_t skip_missing(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    return OK;
}

static err_t export_all(task_t *t, car_walk_t *w, const cid_t *root)
{
    w->walker.visit = visit_walked;
    w->walker.missing = w->options->skips_missing ? skip_missing : NULL;
    w->walker.revisits = w->options->with_dups;
    w->walker.arg = w;
    return dag_walker_run(t, &w->walker, root);
}

typedef struct file_walk {
    cursor_t cursor;
    ahead_t ahead;
    uint64_t from, end, consumed;
    cid_set_t whole; /* that were entered within the range */
} file_walk_t;

static void file_walk_deinit(file_walk_t *f)
{
    cursor_deinit(&f->cursor);
    ahead_deinit(&f->ahead);
    cid_set_deinit(&f->whole);
}
AUTO_DEFINE(file_walk_t, file_walk_deinit)

static err_t enter_part(task_t *t, car_walk_t *w, file_walk_t *f, const cursor_step_t *step)
{
    AUTO(dag_node_t) node = {0};
    AUTO_PTR(block_t) block = NULL;
    char text[CID_TEXT_MAX];
    bool is_inner = ahead_is_inner(&f->ahead, step), is_new;
    TRY(blocks_get(t, w->from, &step->link.cid, &block));
    TRY(hand_on_new(t, w, block, &is_new));
    TRY(dag_node_decode(block, &node));
    f->consumed += !is_inner;
    if (!dag_node_is_file(&node) || node.size != step->size)
        return fail(ERR_CORRUPT, "block %s is not the part of a file that its parent says",
                    cid_print(&step->link.cid, text));
    /* What is below a block that was handed on before was, too, unless a range left parts of it out. So with
     * a range those count that lay within it: the others are those at its ends, a few for each level. */
    if (w->options->has_range && !w->options->with_dups) {
        is_new = !cid_set_has(&f->whole, &step->link.cid);
        if (is_new && step->offset >= f->from && step->offset + step->size <= f->end)
            TRY(cid_set_add(&f->whole, &step->link.cid, &is_new));
    }
    if (!node.pb.link_count || !is_new)
        return OK;
    ahead_learn(&f->ahead, step->depth, is_inner, f->consumed);
    return cursor_push_file(&f->cursor, &node, step->offset);
}

/* The blocks of a file in which bytes of the range are, or all. */
static err_t export_file(task_t *t, car_walk_t *w, const dag_node_t *file)
{
    AUTO(file_walk_t) f = {.end = file->size};
    bool is_whole = !w->options->has_range;
    cursor_step_t step;
    cid_set_init(&f.whole);
    if (!is_whole && !clamp_range(&w->options->range, file->size, &f.from, &f.end))
        return OK;
    TRY(cursor_push_file(&f.cursor, file, 0));
    while (cursor_next(&f.cursor, &step)) {
        TRY(task_breathe(t));
        if (!is_whole && step.offset >= f.end)
            return OK;
        if (!is_whole && step.offset + step.size <= f.from)
            continue;
        if (f.ahead.asked < f.consumed + EXPORT_WINDOW - EXPORT_WINDOW / 4)
            ahead_run(t, &f.ahead, w->from, &f.cursor, &step, f.consumed + EXPORT_WINDOW, f.end);
        TRY(enter_part(t, w, &f, &step));
    }
    return OK;
}

/* The shards of a directory: whoever lists it reads them all. */
static err_t export_shards(task_t *t, car_walk_t *w, const dag_node_t *dir)
{
    AUTO(dir_reader_t) reader = {0};
    dir_entry_t entry;
    TRY(dir_reader_init(t, &reader, &w->path_blocks, dir));
    for (bool has = true; has;)
        TRY(dir_reader_next(t, &reader, &entry, &has));
    return release_held(t, w);
}

static err_t export_entity(task_t *t, car_walk_t *w, block_t *block)
{
    AUTO(dag_node_t) node = {0};
    if (w->options->scope == CAR_SCOPE_BLOCK || block->cid.codec != CODEC_DAG_PB)
        return OK;
    if (dag_node_decode(block, &node)) /* not UnixFS: the block is all that there is to it */
        return OK;
    if (node.fs.type == UNIXFS_HAMT_SHARD)
        return export_shards(t, w, &node);
    return node.fs.type == UNIXFS_FILE && node.pb.link_count ? export_file(t, w, &node) : OK;
}

static err_t export(task_t *t, car_walk_t *w, const dag_path_t *path)
{
    cid_t end;
    size_t rest; /* of the path, inside of the end's block */
    err_t e = dag_path_follow_rest(t, &w->path_blocks, path, NULL, NULL, &end, &rest);
    if (e || !w->held || !cid_equal(&w->held->cid, &end)) {
        error_slot_t slot = *error_slot();
        TRY(release_held(t, w));
        *error_slot() = slot;
    }
    TRY(e);
    block_release(w->held);
    w->held = NULL;
    if (w->options->scope == CAR_SCOPE_ALL)
        return export_all(t, w, &end);
    AUTO_PTR(block_t) block = NULL;
    TRY(blocks_get(t, w->from, &end, &block));
    TRY(hand_on_new(t, w, block, NULL));
    return export_entity(t, w, block);
}

err_t car_export(task_t *t, blocks_t *from, const dag_path_t *path, const car_export_options_t *options,
                 car_export_fn visit, void *arg)
{
    car_walk_t w = {.path_blocks = {&path_ops}, .from = from, .options = options, .visit = visit, .arg = arg};
    dag_walker_init(&w.walker, from);
    err_t e = export(t, &w, path);
    dag_walker_deinit(&w.walker);
    block_release(w.held);
    return e;
}
