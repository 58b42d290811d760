#include "dag/node_meta.h"
#include "dag/node_format.h"
#include <stdlib.h>

static uint64_t put_links(const dag_node_t *n, writer_t *w)
{
    dag_pb_links_t links = dag_pb_links(&n->pb);
    dag_pb_link_t link;
    uint64_t below = 0;
    while (dag_pb_next_link(&links, &link)) {
        link.has_name = link.has_tsize = true;
        dag_pb_put_link(w, &link);
        below += link.tsize;
    }
    return below;
}

err_t node_with_meta(task_t *t, const dag_node_t *n, const unixfs_t *meta, put_queue_t *queue,
                     dag_ref_t *ret_ref)
{
    bool is_raw = n->block->cid.codec == CODEC_RAW;
    node_format_t plain = {0, MH_SHA2_256};
    import_options_t o =
        node_format_options(is_raw ? plain : node_format_of(&n->block->cid), (node_format_t){1, MH_SHA2_256});
    unixfs_sizes_t from = unixfs_sizes(&n->fs);
    uint64_t *sizes = xmalloc((n->pb.link_count + 1) * sizeof *sizes);
    size_t count = 0;
    if (!is_raw)
        while (count < n->pb.link_count && unixfs_next_size(&from, &sizes[count]))
            count++;
    unixfs_t u = n->fs;
    u.has_mode = meta->has_mode;
    u.mode = meta->mode;
    u.has_mtime = meta->has_mtime;
    u.mtime = meta->mtime;
    node_writer_t nw;
    node_writer_init(&nw, &o, queue);
    writer_t w = node_writer_begin(&nw);
    uint64_t below = is_raw ? 0 : put_links(n, &w);
    err_t e = node_writer_put_unixfs(t, &nw, &w, &u, sizes, count, ret_ref);
    node_writer_deinit(&nw);
    free(sizes);
    TRY(e);
    ret_ref->tsize += below;
    ret_ref->size = n->size;
    return OK;
}
