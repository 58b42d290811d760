#include "dag/layout.h"
#include "codec/dag_pb.h"
#include <stdlib.h>

enum { TRICKLE_REPEATS = 4 };

void layout_init(layout_t *l, node_writer_t *writer)
{
    const import_options_t *o = writer->options;
    *l = (layout_t){.writer = writer, .max_links = o->max_links, .is_trickle = o->is_trickle};
    if (o->is_trickle) {
        l->levels[0] = (layout_level_t){.max_depth = SIZE_MAX, .depth = 1};
        l->level_count = 1;
    }
}

void layout_deinit(layout_t *l)
{
    for (size_t i = 0; i < LAYOUT_MAX_LEVELS; i++) {
        free(l->levels[i].refs);
        l->levels[i].refs = NULL;
    }
    l->level_count = 0;
}

/* An inner node of a file over these children. Links carry an empty name: CIDs depend on it. */
static err_t put_inner(task_t *t, layout_t *l, const layout_level_t *level, const unixfs_t *meta,
                       dag_ref_t *ret)
{
    unixfs_t u = {.type = UNIXFS_FILE, .has_file_size = true};
    if (meta) {
        u.has_mode = meta->has_mode;
        u.mode = meta->mode;
        u.has_mtime = meta->has_mtime;
        u.mtime = meta->mtime;
    }
    uint64_t *sizes = xcalloc(level->count + 1, sizeof *sizes);
    uint64_t tsize = 0;
    writer_t w = node_writer_begin(l->writer);
    for (size_t i = 0; i < level->count; i++) {
        const dag_ref_t *r = &level->refs[i];
        dag_pb_link_t link = {.cid = r->cid, .has_name = true, .tsize = r->tsize, .has_tsize = true};
        dag_pb_put_link(&w, &link);
        sizes[i] = r->size;
        u.file_size += r->size;
        tsize += r->tsize;
    }
    err_t e = node_writer_put_unixfs(t, l->writer, &w, &u, sizes, level->count, ret);
    free(sizes);
    TRY(e);
    ret->tsize += tsize;
    ret->size = u.file_size;
    return OK;
}

static void append(layout_level_t *level, const dag_ref_t *ref)
{
    if (level->count == level->cap) {
        level->cap = level->cap ? 2 * level->cap : 8;
        level->refs = xrealloc(level->refs, level->cap * sizeof *level->refs);
    }
    level->refs[level->count++] = *ref;
}

/* ── balanced ────────────────────────────────────────────────────────────────────────────────── */
static err_t push(task_t *t, layout_t *l, size_t at, dag_ref_t ref)
{
    for (;;) {
        if (at == LAYOUT_MAX_LEVELS)
            return fail(ERR_LIMIT, "a file of more than %d levels", LAYOUT_MAX_LEVELS);
        layout_level_t *level = &l->levels[at];
        if (at == l->level_count)
            l->level_count++;
        dag_ref_t full;
        bool is_full = level->count == l->max_links;
        if (is_full) { /* only now: the last node of a level is closed by layout_finish */
            TRY(put_inner(t, l, level, NULL, &full));
            level->count = 0;
        }
        append(level, &ref);
        if (!is_full)
            return OK;
        ref = full;
        at++;
    }
}

static err_t finish_balanced(task_t *t, layout_t *l, const unixfs_t *meta, dag_ref_t *ret_root)
{
    assert(l->level_count > 0);
    dag_ref_t ref = l->levels[0].refs[0];
    bool is_single = l->level_count == 1 && l->levels[0].count == 1;
    for (size_t at = 0; !is_single; at++) {
        bool is_top = at + 1 == l->level_count;
        TRY(put_inner(t, l, &l->levels[at], is_top ? meta : NULL, &ref));
        if (is_top)
            break;
        TRY(push(t, l, at + 1, ref));
    }
    *ret_root = ref;
    return OK;
}

/* ── trickle ─────────────────────────────────────────────────────────────────────────────────── */
static void open_subtree(layout_t *l)
{
    layout_level_t *above = &l->levels[l->level_count - 1], *level = &l->levels[l->level_count++];
    dag_ref_t *refs = level->refs; /* kept from an earlier node of this level */
    size_t cap = level->cap;
    *level = (layout_level_t){.refs = refs, .cap = cap, .max_depth = above->depth, .depth = 1};
    if (++above->repeat == TRICKLE_REPEATS) {
        above->repeat = 0;
        above->depth++;
    }
}

static err_t close_subtree(task_t *t, layout_t *l)
{
    dag_ref_t ref;
    TRY(put_inner(t, l, &l->levels[l->level_count - 1], NULL, &ref));
    l->level_count--;
    append(&l->levels[l->level_count - 1], &ref);
    return OK;
}

static err_t add_trickle(task_t *t, layout_t *l, const dag_ref_t *leaf)
{
    for (;;) {
        layout_level_t *level = &l->levels[l->level_count - 1];
        if (level->leaf_count < l->max_links) {
            append(level, leaf);
            level->leaf_count++;
            return OK;
        }
        if (level->depth >= level->max_depth)
            TRY(close_subtree(t, l));
        else if (l->level_count == LAYOUT_MAX_LEVELS)
            return fail(ERR_LIMIT, "a file of more than %d levels", LAYOUT_MAX_LEVELS);
        else
            open_subtree(l);
    }
}

static err_t finish_trickle(task_t *t, layout_t *l, const unixfs_t *meta, dag_ref_t *ret_root)
{
    while (l->level_count > 1)
        TRY(close_subtree(t, l));
    return put_inner(t, l, &l->levels[0], meta, ret_root);
}

/* ── either ──────────────────────────────────────────────────────────────────────────────────── */
err_t layout_add(task_t *t, layout_t *l, const dag_ref_t *leaf)
{
    return l->is_trickle ? add_trickle(t, l, leaf) : push(t, l, 0, *leaf);
}

err_t layout_finish(task_t *t, layout_t *l, const unixfs_t *meta, dag_ref_t *ret_root)
{
    return l->is_trickle ? finish_trickle(t, l, meta, ret_root) : finish_balanced(t, l, meta, ret_root);
}
