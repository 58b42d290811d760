#include "dag/patch.h"
#include "codec/dag_pb.h"
#include "dag/unixfs.h"
#include <stdlib.h>

enum { MAX_NAMES = 256 };

/* A node on the way down: the link that changes in it, and the node as it is. block NULL: one that is made.
 */
typedef struct level {
    bytes_t name;
    block_t *block;
    dag_pb_t pb;
} level_t;
typedef struct patch {
    blocks_t *blocks;
    blocks_writer_t writer;
    level_t levels[MAX_NAMES];
    size_t n_levels;
} patch_t;

static const uint8_t empty_directory[] = {0x08, UNIXFS_DIRECTORY};

/* ── the way down ────────────────────────────────────────────────────────────────────────────── */
static err_t not_editable(const char *verb, const char *preposition, const char *noun, unixfs_type_t type)
{
    static const char *const names[] = {"Raw", "Directory", "File", "Metadata", "Symlink", "HAMTShard"};
    return fail(
        ERR_INVALID,
        "cannot %s links %s a UnixFS %s node, only Directory nodes support link %s at the dag-pb level "
        "(see https://specs.ipfs.tech/unixfs/)",
        verb, preposition, names[type], noun);
}

static err_t check_root(const level_t *l, bool adds)
{
    unixfs_t fs;
    if (unixfs_decode(l->pb.data, &fs))
        return fail(ERR_INVALID,
                    "cannot %s a non-UnixFS dag-pb node; pass --allow-non-unixfs to skip validation",
                    adds ? "add named links to" : "remove links from");
    if (fs.type == UNIXFS_HAMT_SHARD)
        return fail(ERR_INVALID,
                    "cannot %s a HAMTShard at the dag-pb level (would corrupt the HAMT bitfield); use 'ipfs "
                    "files%s, or pass --allow-non-unixfs to override",
                    adds ? "add links to" : "remove links from",
                    adds ? "' commands instead" : " rm' instead");
    if (fs.type != UNIXFS_DIRECTORY)
        return not_editable(adds ? "add named" : "remove", adds ? "to" : "from",
                            adds ? "addition" : "removal", fs.type);
    return OK;
}

static err_t level_read(task_t *t, patch_t *p, level_t *l, const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    if (cid->codec != CODEC_DAG_PB)
        return fail(ERR_INVALID, "expected protobuf dag node");
    TRY(blocks_get(t, p->blocks, cid, &l->block));
    return dag_pb_decode(block_bytes(l->block), &l->pb)
               ? fail(ERR_CORRUPT, "%s is not a dag-pb node", cid_print(cid, text))
               : OK;
}

static bool find_link(const level_t *l, dag_pb_link_t *ret)
{
    dag_pb_links_t links = dag_pb_links(&l->pb);
    while (l->block && dag_pb_next_link(&links, ret))
        if (bytes_equal(ret->name, l->name))
            return true;
    return false;
}

/* From the root, which has been read: reads the nodes down to the one that holds the last name. */
static err_t descend(task_t *t, patch_t *p, bytes_t path, bool makes_parents)
{
    for (;;) {
        level_t *l = &p->levels[p->n_levels++];
        const uint8_t *slash = path.len ? memchr(path.data, '/', path.len) : NULL;
        l->name = bytes_slice(path, 0, slash ? (size_t)(slash - path.data) : path.len);
        if (!slash)
            return OK;
        path = bytes_slice(path, l->name.len + 1, path.len);
        if (p->n_levels == MAX_NAMES)
            return fail(ERR_LIMIT, "a path of more than %d names", MAX_NAMES);
        dag_pb_link_t link;
        if (find_link(l, &link))
            TRY(level_read(t, p, &p->levels[p->n_levels], &link.cid));
        else if (!makes_parents)
            return fail(ERR_INVALID, "no link by that name");
    }
}

/* ── the way up ──────────────────────────────────────────────────────────────────────────────── */
static int compare_links(const void *a, const void *b)
{
    const dag_pb_link_t *x = *(const dag_pb_link_t *const *)a, *y = *(const dag_pb_link_t *const *)b;
    int c = bytes_compare(x->name, y->name);
    return c ? c : x < y ? -1 : x > y; /* of one name as they were */
}

/* All links of the level but those of its name, and `added` (may be NULL) behind them. */
static size_t collect_links(const level_t *l, const dag_pb_link_t *added, dag_pb_link_t *out)
{
    size_t n = 0;
    dag_pb_links_t links = dag_pb_links(&l->pb);
    while (l->block && dag_pb_next_link(&links, &out[n])) {
        out[n].has_name = out[n].has_tsize = true;
        n += !bytes_equal(out[n].name, l->name);
    }
    if (added)
        out[n++] = *added;
    return n;
}

static err_t encode(const level_t *l, dag_pb_link_t *links, size_t n, buf_t *out, uint64_t *ret_tsize)
{
    writer_t w = writer_to(out);
    uint64_t below = 0;
    dag_pb_link_t **order = xcalloc(n + 1, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = &links[i];
    qsort(order, n, sizeof *order, compare_links);
    for (size_t i = 0; i < n; i++) {
        dag_pb_put_link(&w, order[i]);
        below += order[i]->tsize;
    }
    free(order);
    if (!l->block)
        dag_pb_put_data(&w, bytes_of(empty_directory, sizeof empty_directory));
    else if (l->pb.has_data)
        dag_pb_put_data(&w, l->pb.data);
    *ret_tsize = out->len + below;
    return w.err;
}

/* Writes the level anew; *link becomes the link to it, nameless. */
static err_t rewrite(task_t *t, patch_t *p, const level_t *l, const dag_pb_link_t *added,
                     dag_pb_link_t *ret_link)
{
    AUTO(buf_t) data = {0};
    AUTO_PTR(block_t) block = NULL;
    const cid_t *like = l->block ? &l->block->cid : NULL;
    cid_t cid;
    uint64_t tsize = 0;
    buf_init(&data, BLOCK_MAX_BYTES);
    dag_pb_link_t *links = calloc((l->block ? l->pb.link_count : 0) + 2, sizeof *links);
    if (!links)
        return fail(ERR_NO_MEMORY, "no memory for %zu links", l->pb.link_count);
    err_t e = encode(l, links, collect_links(l, added, links), &data, &tsize);
    free(links);
    TRY(e);
    TRY(cid_of(like ? like->version : 0, CODEC_DAG_PB, like ? like->hash_code : MH_SHA2_256, buf_bytes(&data),
               &cid));
    TRY(block_copy(&cid, buf_bytes(&data), &block));
    if (!cid_is_identity(&cid))
        TRY(blocks_write(t, &p->writer, &block, 1));
    *ret_link = (dag_pb_link_t){.cid = cid, .tsize = tsize, .has_name = true, .has_tsize = true};
    return OK;
}

static err_t ascend(task_t *t, patch_t *p, const dag_pb_link_t *change, cid_t *ret_root)
{
    dag_pb_link_t link = {0};
    for (size_t i = p->n_levels; i--;) {
        bool is_last = i + 1 == p->n_levels;
        if (!is_last)
            link.name = p->levels[i].name;
        TRY(rewrite(t, p, &p->levels[i], is_last ? change : &link, &link));
    }
    TRY(blocks_flush(t, &p->writer));
    *ret_root = link.cid;
    return OK;
}

static void patch_free(patch_t *p)
{
    for (size_t i = 0; i < MAX_NAMES; i++)
        block_release(p->levels[i].block);
    blocks_writer_deinit(&p->writer);
    free(p);
}
AUTO_PTR_DEFINE(patch_t, patch_free)

static patch_t *patch_new(blocks_t *blocks)
{
    patch_t *p = xcalloc(1, sizeof *p);
    p->blocks = p->writer.blocks = blocks;
    return p;
}

/* ── changes ─────────────────────────────────────────────────────────────────────────────────── */
/* Bytes of a block and of all below, as its links say. */
static err_t tsize_of(task_t *t, blocks_t *blocks, const cid_t *cid, uint64_t *ret)
{
    AUTO_PTR(block_t) block = NULL;
    dag_pb_t pb;
    dag_pb_link_t link;
    TRY(blocks_get(t, blocks, cid, &block));
    *ret = block->len;
    if (cid->codec != CODEC_DAG_PB)
        return OK;
    TRY(dag_pb_decode(block_bytes(block), &pb));
    dag_pb_links_t links = dag_pb_links(&pb);
    while (dag_pb_next_link(&links, &link))
        *ret += link.tsize;
    return OK;
}

err_t patch_add_link(task_t *t, blocks_t *blocks, const cid_t *root, bytes_t path, const cid_t *child,
                     patch_options_t o, cid_t *ret_root)
{
    AUTO_PTR(patch_t) p = patch_new(blocks);
    dag_pb_link_t link = {.cid = *child, .has_name = true, .has_tsize = true};
    TRY(level_read(t, p, &p->levels[0], root));
    TRY(tsize_of(t, blocks, child, &link.tsize));
    if (!o.allows_any_node)
        TRY(check_root(&p->levels[0], true));
    TRY(descend(t, p, path, o.makes_parents));
    link.name = p->levels[p->n_levels - 1].name;
    if (!link.name.len)
        return fail(ERR_INVALID, "cannot create link with no name");
    return ascend(t, p, &link, ret_root);
}

err_t patch_remove_link(task_t *t, blocks_t *blocks, const cid_t *root, bytes_t path, patch_options_t o,
                        cid_t *ret_root)
{
    AUTO_PTR(patch_t) p = patch_new(blocks);
    dag_pb_link_t link;
    TRY(level_read(t, p, &p->levels[0], root));
    if (!o.allows_any_node)
        TRY(check_root(&p->levels[0], false));
    TRY(descend(t, p, path, false));
    if (!find_link(&p->levels[p->n_levels - 1], &link))
        return fail(ERR_INVALID, "no link by that name");
    return ascend(t, p, NULL, ret_root);
}
