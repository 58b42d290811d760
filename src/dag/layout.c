#include "dag/layout.h"
#include "codec/dag_pb.h"
#include <stdlib.h>

void layout_init(layout_t *l, node_writer_t *writer, size_t max_links)
{
    *l = (layout_t){.writer = writer, .max_links = max_links};
}

void layout_deinit(layout_t *l)
{
    for (size_t i = 0; i < l->level_count; i++)
        free(l->levels[i].refs);
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
    uint64_t *sizes = xcalloc(level->count, sizeof *sizes);
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
        if (level->count == level->cap) {
            level->cap = level->cap ? 2 * level->cap : 8;
            level->refs = xrealloc(level->refs, level->cap * sizeof *level->refs);
        }
        level->refs[level->count++] = ref;
        if (!is_full)
            return OK;
        ref = full;
        at++;
    }
}

err_t layout_add(task_t *t, layout_t *l, const dag_ref_t *leaf)
{
    return push(t, l, 0, *leaf);
}

err_t layout_finish(task_t *t, layout_t *l, const unixfs_t *meta, dag_ref_t *ret_root)
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
