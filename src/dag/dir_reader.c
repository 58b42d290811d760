#include "dag/dir_reader.h"
#include "dag/hamt.h"

enum { PREFETCH_SHARDS = 16 };

/* All shards below are needed: they are asked for at once. */
static void prefetch_shards(task_t *t, blocks_t *blocks, const dag_node_t *shard)
{
    size_t width = hamt_prefix_len(shard->fs.fanout), count = 0;
    dag_pb_links_t links = dag_pb_links(&shard->pb);
    dag_pb_link_t link;
    cid_t batch[PREFETCH_SHARDS];
    while (dag_pb_next_link(&links, &link)) {
        if (link.name.len != width)
            continue;
        batch[count++] = link.cid;
        if (count == PREFETCH_SHARDS) {
            blocks_prefetch(t, blocks, batch, count);
            count = 0;
        }
    }
    blocks_prefetch(t, blocks, batch, count);
}

static err_t push_shard(task_t *t, dir_reader_t *r, const dag_node_t *shard)
{
    if (shard->fs.type != UNIXFS_HAMT_SHARD || shard->fs.fanout != r->fanout ||
        r->cursor.depth >= hamt_max_depth(r->fanout))
        return fail(ERR_CORRUPT, "directory shard: a part of it is no shard of the same kind");
    TRY(cursor_push(&r->cursor, shard->block, &shard->pb));
    r->slots[r->cursor.depth - 1] = 0;
    prefetch_shards(t, r->blocks, shard);
    return OK;
}

err_t dir_reader_init(task_t *t, dir_reader_t *r, blocks_t *blocks, const dag_node_t *dir)
{
    *r = (dir_reader_t){.blocks = blocks};
    if (!dag_node_is_dir(dir)) {
        char text[CID_TEXT_MAX];
        return fail(ERR_INVALID, "%s is not a directory", cid_print(&dir->block->cid, text));
    }
    if (dir->fs.type == UNIXFS_DIRECTORY)
        return cursor_push(&r->cursor, dir->block, &dir->pb);
    r->fanout = dir->fs.fanout;
    err_t e = push_shard(t, r, dir);
    if (e)
        dir_reader_deinit(r);
    return e;
}

void dir_reader_deinit(dir_reader_t *r)
{
    cursor_deinit(&r->cursor);
}

/* Slots of a shard ascend, and a name's hash leads to where it stands. */
static err_t check_slot(dir_reader_t *r, const cursor_step_t *step, bytes_t *ret_name)
{
    size_t slot, level = step->depth - 1;
    TRY(hamt_parse_prefix(step->link.name, r->fanout, &slot));
    if (slot < r->slots[level])
        return fail(ERR_CORRUPT, "directory shard: slots out of order");
    r->slots[level] = slot + 1;
    size_t width = hamt_prefix_len(r->fanout);
    bytes_t name = bytes_slice(step->link.name, width, step->link.name.len);
    uint64_t hash = hamt_hash(name);
    for (size_t i = 0; name.len && i <= level; i++)
        if (hamt_slot(hash, r->fanout, i) != r->slots[i] - 1)
            return fail(ERR_CORRUPT, "directory shard: an entry in the wrong slot");
    *ret_name = name;
    return OK;
}

err_t dir_reader_next(task_t *t, dir_reader_t *r, dir_entry_t *ret_entry, bool *ret_has)
{
    cursor_step_t step;
    while (cursor_next(&r->cursor, &step)) {
        bytes_t name = step.link.name;
        if (r->fanout)
            TRY(check_slot(r, &step, &name));
        if (r->fanout && !name.len) {
            AUTO(dag_node_t) shard = {0};
            TRY(dag_node_get(t, r->blocks, &step.link.cid, &shard));
            if (!shard.pb.link_count)
                return fail(ERR_CORRUPT, "directory shard: an empty shard");
            TRY(push_shard(t, r, &shard));
            continue;
        }
        *ret_entry = (dir_entry_t){.name = name, .cid = step.link.cid, .tsize = step.link.tsize};
        *ret_has = true;
        return OK;
    }
    *ret_has = false;
    return OK;
}

void dir_reader_prefetch(task_t *t, const dir_reader_t *r, size_t count)
{
    if (!r->cursor.depth)
        return;
    dag_pb_links_t links = r->cursor.frames[r->cursor.depth - 1].links; /* a copy: the reader stays */
    dag_pb_link_t link;
    cid_t batch[PREFETCH_SHARDS];
    size_t n = 0;
    while (count && dag_pb_next_link(&links, &link)) {
        batch[n++] = link.cid;
        count--;
        if (n == PREFETCH_SHARDS || !count) {
            blocks_prefetch(t, r->blocks, batch, n);
            n = 0;
        }
    }
    blocks_prefetch(t, r->blocks, batch, n);
}

/* ── one name ────────────────────────────────────────────────────────────────────────────────── */
static err_t not_found(const dag_node_t *dir, bytes_t name)
{
    char text[CID_TEXT_MAX];
    return fail(ERR_NOT_FOUND, "no link named \"%.*s\" under %s", name.len < 120 ? (int)name.len : 120,
                (const char *)name.data, cid_print(&dir->block->cid, text));
}

static bool find_link(const dag_node_t *n, bytes_t prefix, bytes_t name, dag_pb_link_t *ret)
{
    dag_pb_links_t links = dag_pb_links(&n->pb);
    while (dag_pb_next_link(&links, ret))
        if (ret->name.len == prefix.len + name.len && bytes_starts_with(ret->name, prefix) &&
            bytes_equal(bytes_slice(ret->name, prefix.len, name.len), name))
            return true;
    return false;
}

err_t dir_lookup(task_t *t, blocks_t *blocks, const dag_node_t *dir, bytes_t name, dir_entry_t *ret_entry)
{
    dag_pb_link_t link;
    char prefix[8] = "";
    if (!dag_node_is_dir(dir))
        return fail(ERR_INVALID, "\"%.*s\": what should hold it is not a directory",
                    name.len < 100 ? (int)name.len : 100, (const char *)name.data);
    bool is_sharded = dir->fs.type == UNIXFS_HAMT_SHARD;
    uint64_t hash = is_sharded ? hamt_hash(name) : 0, fanout = dir->fs.fanout;
    AUTO(dag_node_t) n = *dir;
    block_ref(n.block);
    for (size_t depth = 0;; depth++) {
        if (is_sharded) {
            if (depth >= hamt_max_depth(fanout))
                return not_found(dir, name);
            hamt_print_prefix(hamt_slot(hash, fanout, depth), fanout, prefix);
        }
        if (name.len && find_link(&n, bytes_str(prefix), name, &link)) {
            *ret_entry = (dir_entry_t){.name = name, .cid = link.cid, .tsize = link.tsize};
            return OK;
        }
        if (!is_sharded || !find_link(&n, bytes_str(prefix), BYTES_NONE, &link))
            return not_found(dir, name);
        dag_node_t below = {0};
        TRY(dag_node_get(t, blocks, &link.cid, &below));
        dag_node_deinit(&n);
        n = below;
        if (n.fs.type != UNIXFS_HAMT_SHARD || n.fs.fanout != fanout)
            return fail(ERR_CORRUPT, "directory shard: a part of it is no shard of the same kind");
    }
}
