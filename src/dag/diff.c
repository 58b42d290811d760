#include "dag/diff.h"
#include "base/map.h"
#include "codec/dag_pb.h"
#include <stdlib.h>

enum { MAX_DEPTH = 256, MAX_LINKS = 1 << 20, MAX_PATH_BYTES = 1 << 20 };

/* One of the two nodes that are compared. */
typedef struct side {
    block_t *block;
    dag_pb_t pb;
    map_t names; /* to the first link of the name: 1 + its place */
} side_t;
typedef struct frame {
    side_t a, b;
    dag_pb_links_t links; /* those of a that come next */
    size_t path_len;      /* of the path to these nodes */
} frame_t;
typedef struct diff {
    blocks_t *blocks;
    dag_change_fn tell;
    void *arg;
    buf_t path;
    frame_t *frames[MAX_DEPTH];
    size_t depth;
} diff_t;

/* ── one node ────────────────────────────────────────────────────────────────────────────────── */
static void side_deinit(side_t *s)
{
    block_release(s->block);
    map_deinit(&s->names);
}

static err_t side_read(task_t *t, blocks_t *blocks, const cid_t *cid, side_t *s)
{
    dag_pb_link_t link;
    char text[CID_TEXT_MAX];
    map_init(&s->names, MAX_LINKS);
    TRY(blocks_get(t, blocks, cid, &s->block));
    if (cid->codec != CODEC_DAG_PB)
        return OK;
    if (dag_pb_decode(block_bytes(s->block), &s->pb))
        return fail(ERR_CORRUPT, "%s is not a dag-pb node", cid_print(cid, text));
    dag_pb_links_t links = dag_pb_links(&s->pb);
    for (uintptr_t place = 1; dag_pb_next_link(&links, &link); place++)
        if (!map_has(&s->names, link.name))
            TRY(map_put(&s->names, link.name, (void *)place, NULL));
    return OK;
}

static bool find_link(const side_t *s, bytes_t name, dag_pb_link_t *ret)
{
    uintptr_t place = (uintptr_t)map_get(&s->names, name);
    dag_pb_links_t links = dag_pb_links(&s->pb);
    if (!place)
        return false;
    while (place-- && dag_pb_next_link(&links, ret))
        ;
    return true;
}

/* ── the stack ───────────────────────────────────────────────────────────────────────────────── */
static void frame_free(frame_t *f)
{
    side_deinit(&f->a);
    side_deinit(&f->b);
    free(f);
}

/* The path to a link, or, with an empty name, to the node itself. */
static err_t tell(task_t *t, diff_t *d, const frame_t *f, dag_change_kind_t kind, bytes_t name,
                  const cid_t *before, const cid_t *after)
{
    d->path.len = f->path_len;
    if (name.len && d->path.len)
        TRY(buf_append(&d->path, BYTES_LIT("/")));
    TRY(buf_append(&d->path, name));
    return d->tell(t, d->arg, &(dag_change_t){kind, buf_bytes(&d->path), before, after});
}

static err_t enter(task_t *t, diff_t *d, const cid_t *a, const cid_t *b, size_t path_len)
{
    if (d->depth == MAX_DEPTH)
        return fail(ERR_LIMIT, "a DAG deeper than %d nodes", MAX_DEPTH);
    frame_t *f = xcalloc(1, sizeof *f);
    f->path_len = path_len;
    err_t e = side_read(t, d->blocks, a, &f->a);
    if (!e)
        e = side_read(t, d->blocks, b, &f->b);
    bool has_links =
        a->codec == CODEC_DAG_PB && b->codec == CODEC_DAG_PB && f->a.pb.link_count + f->b.pb.link_count;
    if (!e && !has_links)
        e = tell(t, d, f, DAG_CHANGED, BYTES_NONE, a, b);
    if (e || !has_links) {
        frame_free(f);
        return e;
    }
    f->links = dag_pb_links(&f->a.pb);
    d->frames[d->depth++] = f;
    return OK;
}

/* The links of `from` whose names the other side does not have. */
static err_t tell_lone(task_t *t, diff_t *d, const frame_t *f, const side_t *from, const side_t *other)
{
    dag_pb_links_t links = dag_pb_links(&from->pb);
    dag_pb_link_t link;
    bool is_a = from == &f->a;
    while (dag_pb_next_link(&links, &link))
        if (!map_has(&other->names, link.name))
            TRY(tell(t, d, f, is_a ? DAG_REMOVED : DAG_ADDED, link.name, is_a ? &link.cid : NULL,
                     is_a ? NULL : &link.cid));
    return OK;
}

static err_t step(task_t *t, diff_t *d)
{
    frame_t *f = d->frames[d->depth - 1];
    dag_pb_link_t link, other;
    while (dag_pb_next_link(&f->links, &link)) {
        if (!find_link(&f->b, link.name, &other) || cid_equal(&link.cid, &other.cid))
            continue;
        d->path.len = f->path_len;
        if (d->path.len && link.name.len)
            TRY(buf_append(&d->path, BYTES_LIT("/")));
        TRY(buf_append(&d->path, link.name));
        return enter(t, d, &link.cid, &other.cid, d->path.len);
    }
    TRY(tell_lone(t, d, f, &f->a, &f->b));
    TRY(tell_lone(t, d, f, &f->b, &f->a));
    d->depth--;
    frame_free(f);
    return OK;
}

err_t dag_diff(task_t *t, blocks_t *blocks, const cid_t *a, const cid_t *b, dag_change_fn tell_fn, void *arg)
{
    if (cid_equal(a, b))
        return OK;
    diff_t *d = xcalloc(1, sizeof *d);
    *d = (diff_t){.blocks = blocks, .tell = tell_fn, .arg = arg};
    buf_init(&d->path, MAX_PATH_BYTES);
    err_t e = enter(t, d, a, b, 0);
    while (!e && d->depth) {
        e = task_check(t);
        if (!e)
            e = step(t, d);
    }
    while (d->depth)
        frame_free(d->frames[--d->depth]);
    buf_deinit(&d->path);
    free(d);
    return e;
}
