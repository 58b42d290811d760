#include "dag/walk.h"
#include "codec/ipld.h"

enum { WALK_WINDOW = 64, STAT_MAX_BLOCKS = 64 << 20 };

void walk_init(walk_t *w, blocks_t *blocks, const cid_t *root, walk_options_t options)
{
    *w = (walk_t){.blocks = blocks, .options = options, .root = *root};
    map_init(&w->visited, options.max_visited);
}

void walk_deinit(walk_t *w)
{
    cursor_deinit(&w->cursor);
    ahead_deinit(&w->ahead);
    map_deinit(&w->visited);
    block_release(w->leaf);
    w->leaf = NULL;
}

static err_t put_link(void *writer, const cid_t *cid)
{
    dag_pb_put_link(writer, &(dag_pb_link_t){.cid = *cid});
    return ((writer_t *)writer)->err;
}

/* A node whose links are those of the block: the block itself, or, of another codec than dag-pb, a dag-pb
 * node with nameless links in its place, which is no longer than the block was. */
static err_t links_of(block_t *block, block_t **ret, dag_pb_t *ret_pb)
{
    AUTO(buf_t) data = {0};
    AUTO_PTR(block_t) node = NULL;
    char text[CID_TEXT_MAX];
    err_t e;
    if (block->cid.codec == CODEC_DAG_PB) {
        node = block_ref(block);
    } else {
        buf_init(&data, BLOCK_MAX_BYTES);
        writer_t w = writer_to(&data);
        e = ipld_links(block->cid.codec, block_bytes(block), put_link, &w);
        if (e)
            return e == ERR_UNSUPPORTED || e == ERR_CORRUPT ? fail_also(e, "%s", cid_print(&block->cid, text))
                                                            : e;
        TRY(block_take(&block->cid, &data, &node));
    }
    e = dag_pb_decode(block_bytes(node), ret_pb);
    if (e)
        return fail(ERR_CORRUPT, "%s is not a dag-pb node", cid_print(&block->cid, text));
    *ret = block_ref(node);
    return OK;
}

/* Loads what the step names, unless it is a leaf that is not wanted, and goes down into it. is_inner: as it
 * was taken for when blocks were asked for ahead. */
static err_t enter(task_t *t, walk_t *w, bool is_inner, walk_step_t *step)
{
    bool is_raw = step->cid.codec == CODEC_RAW;
    bool is_last = step->depth >= w->options.max_depth;
    if ((is_raw || is_last) && !w->options.loads_leaves)
        return OK;
    TRY(blocks_get(t, w->blocks, &step->cid, &w->leaf));
    step->block = w->leaf;
    if (is_raw || is_last)
        return OK;
    AUTO_PTR(block_t) links = NULL;
    dag_pb_t pb;
    TRY(links_of(w->leaf, &links, &pb));
    if (!pb.link_count)
        return OK;
    if (step->depth)
        ahead_learn(&w->ahead, step->depth, is_inner, w->consumed);
    return cursor_push(&w->cursor, links, &pb);
}

static err_t visit(walk_t *w, const cid_t *cid, bool *ret_is_new)
{
    uint8_t room[CID_BINARY_MAX];
    void *old = NULL;
    *ret_is_new = true;
    if (!w->options.is_unique)
        return OK;
    TRY(map_put(&w->visited, bytes_of(room, cid_encode(cid, room)), w, &old));
    *ret_is_new = !old;
    return OK;
}

static void look_ahead(task_t *t, walk_t *w, const cursor_step_t *at)
{
    bool is_last = w->cursor.depth >= w->options.max_depth;
    if (is_last && !w->options.loads_leaves)
        return;
    if (w->ahead.asked < w->consumed + WALK_WINDOW - WALK_WINDOW / 4)
        ahead_run(t, &w->ahead, w->blocks, &w->cursor, at, w->consumed + WALK_WINDOW, UINT64_MAX);
}

err_t walk_next(task_t *t, walk_t *w, walk_step_t *ret_step, bool *ret_has)
{
    bool is_new = false, is_inner = false;
    block_release(w->leaf);
    w->leaf = NULL;
    if (!w->has_begun) {
        w->has_begun = true;
        *ret_step = (walk_step_t){.cid = w->root, .parent = w->root};
        TRY(visit(w, &w->root, &is_new));
        TRY(enter(t, w, true, ret_step));
        *ret_has = true;
        return OK;
    }
    cursor_step_t step;
    for (;;) {
        TRY(task_breathe(t));
        if (!cursor_next(&w->cursor, &step)) {
            *ret_has = false;
            return OK;
        }
        look_ahead(t, w, &step);
        is_inner = ahead_is_inner(&w->ahead, &step);
        w->consumed += !is_inner;
        TRY(visit(w, &step.link.cid, &is_new));
        if (is_new)
            break;
    }
    *ret_step = (walk_step_t){.cid = step.link.cid,
                              .parent = *step.parent,
                              .name = step.link.name,
                              .depth = step.depth,
                              .tsize = step.link.tsize};
    TRY(enter(t, w, is_inner, ret_step));
    *ret_has = true;
    return OK;
}

err_t dag_stat(task_t *t, blocks_t *blocks, const cid_t *root,
               void (*progress)(void *arg, const dag_stat_t *so_far), void *arg, dag_stat_t *ret_stat)
{
    AUTO(walk_t) w;
    walk_init(
        &w, blocks, root,
        (walk_options_t){
            .max_depth = SIZE_MAX, .is_unique = true, .loads_leaves = true, .max_visited = STAT_MAX_BLOCKS});
    dag_stat_t stat = {0};
    for (;;) {
        walk_step_t step;
        bool has;
        TRY(walk_next(t, &w, &step, &has));
        if (!has)
            break;
        stat.blocks++;
        stat.bytes += step.block ? step.block->len : 0; /* loads_leaves: always there */
        if (progress)
            progress(arg, &stat);
    }
    *ret_stat = stat;
    return OK;
}
