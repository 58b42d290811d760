#include "dag/dag_walk.h"
#include "codec/ipld.h"
#include <stdlib.h>

#define AHEAD_MAX 64  /* asked for at once */
#define AHEAD_STEP 16 /* visits between two times of asking */

/* ── links ───────────────────────────────────────────────────────────────────────────────────── */
err_t block_each_link(const cid_t *cid, bytes_t data, block_link_fn fn, void *arg)
{
    char text[CID_TEXT_MAX];
    err_t e = ipld_links(cid->codec, data, fn, arg);
    return e == ERR_UNSUPPORTED || e == ERR_CORRUPT ? fail_also(e, "%s", cid_print(cid, text)) : e;
}

/* ── what is to be visited ───────────────────────────────────────────────────────────────────── */
static err_t push(buf_t *todo, const cid_t *cid)
{
    uint8_t raw[CID_BINARY_MAX + 1];
    size_t len = cid_encode(cid, raw);
    raw[len] = (uint8_t)len;
    return buf_append(todo, bytes_of(raw, len + 1));
}

/* The last CID of the first `end` bytes; *ret_start is where it begins. */
static void peek(const buf_t *todo, size_t end, cid_t *ret_cid, size_t *ret_start)
{
    size_t len = todo->data[end - 1];
    *ret_start = end - 1 - len;
    err_t e = cid_decode(bytes_of(todo->data + *ret_start, len), ret_cid);
    assert(!e); /* push wrote it */
}

typedef struct children {
    dag_walker_t *walker;
    buf_t found; /* in the order of the block */
} children_t;

static err_t add_child(void *arg, const cid_t *link)
{
    return push(&((children_t *)arg)->found, link);
}

/* Turns the order round, so that the first link is taken first. */
static err_t push_children(dag_walker_t *w, const buf_t *found)
{
    for (size_t end = found->len; end;) {
        cid_t cid;
        peek(found, end, &cid, &end);
        TRY(push(&w->todo, &cid));
    }
    return OK;
}

static void ask_ahead(task_t *t, dag_walker_t *w)
{
    cid_t *cids = xcalloc(AHEAD_MAX, sizeof *cids);
    size_t n = 0;
    for (size_t end = w->todo.len; end && n < AHEAD_MAX; n++)
        peek(&w->todo, end, &cids[n], &end);
    blocks_prefetch(t, w->from, cids, n);
    free(cids);
    w->since_ahead = 0;
}

/* ── the walk ────────────────────────────────────────────────────────────────────────────────── */
void dag_walker_init(dag_walker_t *w, blocks_t *from)
{
    *w = (dag_walker_t){.from = from};
    cid_set_init(&w->seen);
    buf_init(&w->todo, DAG_WALK_TODO_MAX_BYTES);
}

void dag_walker_deinit(dag_walker_t *w)
{
    cid_set_deinit(&w->seen);
    buf_deinit(&w->todo);
}

static err_t enter(task_t *t, dag_walker_t *w, const cid_t *cid, block_t *block)
{
    children_t c = {.walker = w};
    buf_init(&c.found, DAG_WALK_TODO_MAX_BYTES);
    err_t e = block_each_link(cid, block_bytes(block), add_child, &c);
    bool has_children = !e && c.found.len;
    if (has_children)
        e = push_children(w, &c.found);
    buf_deinit(&c.found);
    if ((e == ERR_UNSUPPORTED || e == ERR_CORRUPT) && w->missing)
        return w->missing(t, w->arg, cid, e);
    TRY(e);
    if (has_children)
        ask_ahead(t, w);
    return OK;
}

static err_t step(task_t *t, dag_walker_t *w, const cid_t *cid)
{
    bool is_new = true;
    if (w->known && cid_set_has(w->known, cid))
        return OK;
    if (!w->revisits)
        TRY(cid_set_add(&w->seen, cid, &is_new));
    if (!is_new)
        return OK;
    if (w->skips_raw && cid->codec == CODEC_RAW)
        return w->visit(t, w->arg, cid, NULL);
    AUTO_PTR(block_t) block = NULL;
    err_t e = blocks_get(t, w->from, cid, &block);
    if (e && e != ERR_CANCELED && w->missing)
        return w->missing(t, w->arg, cid, e);
    TRY(e);
    w->skips_links = false;
    TRY(w->visit(t, w->arg, cid, block));
    return w->is_stopped || w->skips_links ? OK : enter(t, w, cid, block);
}

err_t dag_walker_run(task_t *t, dag_walker_t *w, const cid_t *root)
{
    w->is_stopped = false;
    buf_clear(&w->todo);
    TRY(push(&w->todo, root));
    while (w->todo.len && !w->is_stopped) {
        cid_t cid;
        size_t start;
        TRY(task_breathe(t));
        peek(&w->todo, w->todo.len, &cid, &start);
        w->todo.len = start;
        if (++w->since_ahead >= AHEAD_STEP)
            ask_ahead(t, w);
        TRY(step(t, w, &cid));
    }
    return OK;
}

typedef struct plain_walk {
    dag_visit_fn visit;
    void *arg;
} plain_walk_t;

static err_t visit_plain(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    plain_walk_t *p = arg;
    return p->visit(t, p->arg, block);
}

err_t dag_walk(task_t *t, blocks_t *from, const cid_t *root, dag_visit_fn visit, void *arg)
{
    plain_walk_t p = {visit, arg};
    AUTO(dag_walker_t) w;
    dag_walker_init(&w, from);
    w.visit = visit_plain;
    w.arg = &p;
    return dag_walker_run(t, &w, root);
}
