#include "dag/cursor.h"
#include <stdlib.h>

enum {
    PREFETCH_BATCH = 16,
    AHEAD_MAX_STEPS = 4096, /* of one run: inner nodes without leaves, linked again and again, are no hint */
};

void cursor_deinit(cursor_t *c)
{
    while (c->depth)
        block_release(c->frames[--c->depth].block);
    free(c->frames);
    c->frames = NULL;
    c->cap = 0;
}

static err_t push(cursor_t *c, cursor_frame_t frame)
{
    if (c->depth == CURSOR_MAX_DEPTH)
        return fail(ERR_LIMIT, "a DAG deeper than %d nodes", CURSOR_MAX_DEPTH);
    if (c->depth == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 4;
        c->frames = xrealloc(c->frames, c->cap * sizeof *c->frames);
    }
    block_ref(frame.block);
    c->frames[c->depth++] = frame;
    return OK;
}

err_t cursor_push_file(cursor_t *c, const dag_node_t *n, uint64_t offset)
{
    return push(c, (cursor_frame_t){.block = n->block,
                                    .links = dag_pb_links(&n->pb),
                                    .sizes = unixfs_sizes(&n->fs),
                                    .offset = offset + n->fs.data.len,
                                    .has_sizes = true});
}

err_t cursor_push(cursor_t *c, block_t *block, const dag_pb_t *pb)
{
    return push(c, (cursor_frame_t){.block = block, .links = dag_pb_links(pb)});
}

bool cursor_next(cursor_t *c, cursor_step_t *ret)
{
    while (c->depth) {
        cursor_frame_t *f = &c->frames[c->depth - 1];
        if (!dag_pb_next_link(&f->links, &ret->link)) {
            block_release(f->block);
            c->depth--;
            continue;
        }
        ret->size = ret->link.tsize;
        ret->offset = f->offset;
        ret->depth = c->depth;
        ret->index = f->link_index++;
        ret->parent = &f->block->cid;
        if (f->has_sizes && unixfs_next_size(&f->sizes, &ret->size))
            f->offset += ret->size;
        return true;
    }
    return false;
}

err_t cursor_copy(const cursor_t *from, cursor_t *to)
{
    for (size_t i = 0; i < from->depth; i++)
        TRY(push(to, from->frames[i]));
    return OK;
}

/* ── ahead ───────────────────────────────────────────────────────────────────────────────────── */
void ahead_deinit(ahead_t *a)
{
    cursor_deinit(&a->cursor);
}

/* Enters an inner node that is here. False: not here, or not readable. */
static bool enter(task_t *t, ahead_t *a, blocks_t *b, const cursor_step_t *step, bool is_file)
{
    AUTO_PTR(block_t) block = NULL;
    if (!blocks_has(t, b, &step->link.cid) || blocks_get(t, b, &step->link.cid, &block))
        return false;
    if (is_file) {
        AUTO(dag_node_t) n = {0};
        return !dag_node_decode(block, &n) && !cursor_push_file(&a->cursor, &n, step->offset);
    }
    dag_pb_t pb;
    return !dag_pb_decode(block_bytes(block), &pb) && !cursor_push(&a->cursor, block, &pb);
}

bool ahead_is_inner(const ahead_t *a, const cursor_step_t *step)
{
    return step->link.cid.codec == CODEC_DAG_PB &&
           (step->size > BLOCK_MAX_BYTES || step->depth <= a->inner_depth);
}

void ahead_learn(ahead_t *a, size_t depth, bool was_foreseen, uint64_t consumed)
{
    if (!was_foreseen) {
        ahead_deinit(a);
        *a = (ahead_t){.inner_depth = a->inner_depth, .asked = consumed};
    }
    if (a->inner_depth < depth)
        a->inner_depth = depth;
}

/* The link that follows the last step, in the same node; false: that was its last one. */
static bool peek(const cursor_t *c, cursor_step_t *ret)
{
    if (!c->depth)
        return false;
    cursor_frame_t f = c->frames[c->depth - 1];
    if (!dag_pb_next_link(&f.links, &ret->link))
        return false;
    ret->size = ret->link.tsize;
    if (f.has_sizes)
        unixfs_next_size(&f.sizes, &ret->size);
    ret->offset = f.offset;
    ret->depth = c->depth;
    return true;
}

static void begin(ahead_t *a, const cursor_t *from, const cursor_step_t *at)
{
    a->has_begun = true;
    if (cursor_copy(from, &a->cursor))
        return;
    a->stalled = *at; /* the first cursor fetches it itself; what is below comes before what follows */
    a->has_stalled = ahead_is_inner(a, at);
}

void ahead_run(task_t *t, ahead_t *a, blocks_t *b, const cursor_t *from, const cursor_step_t *at,
               uint64_t until, uint64_t end_offset)
{
    cid_t batch[PREFETCH_BATCH];
    size_t count = 0;
    if (!a->has_begun)
        begin(a, from, at);
    for (size_t steps = 0; a->asked < until && steps < AHEAD_MAX_STEPS; steps++) {
        cursor_step_t step = a->stalled;
        bool was_stalled = a->has_stalled;
        if (!was_stalled && !cursor_next(&a->cursor, &step))
            break;
        bool is_file = a->cursor.depth && a->cursor.frames[a->cursor.depth - 1].has_sizes;
        if (is_file && step.offset >= end_offset)
            break;
        bool is_inner = ahead_is_inner(a, &step);
        if (!was_stalled && !is_inner)
            a->asked++;
        cursor_step_t next;
        bool has_next = is_inner && peek(&a->cursor, &next) && ahead_is_inner(a, &next) &&
                        (!is_file || next.offset < end_offset);
        a->has_stalled = is_inner && !enter(t, a, b, &step, is_file);
        if (a->has_stalled)
            a->stalled = step;
        else if (has_next) /* before all that is below this one: it is here when it is come to */
            batch[count++] = next.link.cid;
        if (!was_stalled && (!is_inner || a->has_stalled))
            batch[count++] = step.link.cid;
        if (count == PREFETCH_BATCH) {
            blocks_prefetch(t, b, batch, count);
            count = 0;
        }
        if (a->has_stalled)
            break;
    }
    blocks_prefetch(t, b, batch, count);
}
