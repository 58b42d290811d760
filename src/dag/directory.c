#include "dag/directory.h"
#include "codec/dag_pb.h"
#include "dag/dir_sharder.h"
#include "dag/hamt.h"
#include <stdlib.h>

static int compare_names(const void *a, const void *b)
{
    return bytes_compare(((const dir_item_t *)a)->name, ((const dir_item_t *)b)->name);
}

static int compare_hashes(const void *a, const void *b)
{
    const dir_item_t *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static unixfs_t with_meta(unixfs_type_t type, const unixfs_t *meta)
{
    unixfs_t u = {.type = type};
    if (meta) {
        u.has_mode = meta->has_mode;
        u.mode = meta->mode;
        u.has_mtime = meta->has_mtime;
        u.mtime = meta->mtime;
    }
    return u;
}

static const dag_ref_t *ref_of(const dir_item_t *item, dag_ref_t *room)
{
    if (item->ref)
        return item->ref;
    packed_ref_get(item->packed, room);
    return room;
}

static size_t link_bytes(bytes_t name, const dag_ref_t *ref)
{
    uint8_t cid[CID_BINARY_MAX];
    size_t cid_len = cid_encode(&ref->cid, cid);
    size_t len = 1 + uvarint_size(cid_len) + cid_len + 1 + uvarint_size(name.len) + name.len + 1 +
                 uvarint_size(ref->tsize);
    return 1 + uvarint_size(len) + len;
}

size_t directory_data_bytes(shard_rule_t rule, const unixfs_t *meta)
{
    if (rule != SHARD_BY_BLOCK)
        return 0;
    unixfs_leaf_t leaf; /* type and metadata are those of a leaf without its file size (2 bytes) */
    unixfs_t u = with_meta(UNIXFS_DIRECTORY, meta);
    unixfs_leaf_around(&u, 0, &leaf);
    return leaf.prefix_len + leaf.suffix_len - 2;
}

size_t directory_link_bytes(shard_rule_t rule, bytes_t name, const dag_ref_t *ref)
{
    uint8_t cid[CID_BINARY_MAX];
    return rule == SHARD_BY_BLOCK   ? link_bytes(name, ref)
           : rule == SHARD_BY_LINKS ? name.len + cid_encode(&ref->cid, cid)
                                    : 0;
}

bool directory_is_over(const import_options_t *o, size_t n, uint64_t size)
{
    if (o->max_directory_links && n > o->max_directory_links)
        return true;
    return o->shard_rule != SHARD_BY_COUNT && o->shard_threshold && size > o->shard_threshold;
}

bool directory_is_sharded(const import_options_t *o, const dir_item_t *items, size_t n, const unixfs_t *meta)
{
    dag_ref_t room;
    uint64_t size = directory_data_bytes(o->shard_rule, meta);
    for (size_t i = 0; i < n && !directory_is_over(o, n, size); i++)
        size += directory_link_bytes(o->shard_rule, items[i].name, ref_of(&items[i], &room));
    return directory_is_over(o, n, size);
}

static void put_entry(writer_t *w, bytes_t name, const dag_ref_t *ref)
{
    dag_pb_link_t link = {
        .cid = ref->cid, .name = name, .has_name = true, .tsize = ref->tsize, .has_tsize = true};
    dag_pb_put_link(w, &link);
}

err_t directory_write_basic(task_t *t, node_writer_t *nw, const dir_item_t *items, size_t n,
                            const unixfs_t *meta, dag_ref_t *ret_ref)
{
    unixfs_t u = with_meta(UNIXFS_DIRECTORY, meta);
    dag_ref_t room;
    uint64_t below = 0;
    writer_t w = node_writer_begin(nw);
    for (size_t i = 0; i < n; i++) {
        const dag_ref_t *ref = ref_of(&items[i], &room);
        put_entry(&w, items[i].name, ref);
        below += ref->tsize;
    }
    TRY(node_writer_put_unixfs(t, nw, &w, &u, NULL, 0, ret_ref));
    ret_ref->tsize += below;
    return OK;
}

err_t directory_write_shard(task_t *t, node_writer_t *nw, const shard_link_t *links, size_t n,
                            const unixfs_t *meta, dag_ref_t *ret_ref)
{
    uint64_t fanout = nw->options->shard_fanout, below = 0;
    uint8_t bits[128] = {0}; /* fanout / 8, the highest slot first */
    size_t bits_len = fanout / 8, first = 0;
    AUTO(buf_t) name = {0};
    buf_init(&name, BLOCK_MAX_BYTES);
    writer_t w = node_writer_begin(nw);
    for (size_t i = 0; i < n; i++) {
        char prefix[8];
        hamt_print_prefix(links[i].slot, fanout, prefix);
        buf_clear(&name);
        TRY(buf_append(&name, bytes_str(prefix)));
        TRY(buf_append(&name, links[i].name));
        put_entry(&w, buf_bytes(&name), &links[i].ref);
        below += links[i].ref.tsize;
        bits[bits_len - 1 - links[i].slot / 8] |= (uint8_t)(1u << links[i].slot % 8);
    }
    while (first < bits_len && !bits[first])
        first++;
    unixfs_t u = with_meta(UNIXFS_HAMT_SHARD, meta);
    u.data = bytes_of(bits + first, bits_len - first);
    u.has_data = true;
    u.fanout = fanout;
    u.hash_type = UNIXFS_HASH_MURMUR3;
    TRY(node_writer_put_unixfs(t, nw, &w, &u, NULL, 0, ret_ref));
    ret_ref->tsize += below;
    return OK;
}

/* ── from a list ─────────────────────────────────────────────────────────────────────────────── */
static err_t write_sharded(task_t *t, node_writer_t *nw, dir_item_t *items, size_t n, const unixfs_t *meta,
                           dag_ref_t *ret_ref)
{
    dag_ref_t room;
    err_t e = OK;
    for (size_t i = 0; i < n; i++)
        items[i].hash = hamt_hash(items[i].name);
    if (n)
        qsort(items, n, sizeof *items, compare_hashes);
    dir_sharder_t *s = dir_sharder_new(nw);
    for (size_t i = 0; i < n && !e; i++)
        e = dir_sharder_add(t, s, items[i].name, items[i].hash, ref_of(&items[i], &room));
    if (!e)
        e = dir_sharder_end(t, s, meta, ret_ref);
    dir_sharder_free(s);
    return e;
}

err_t directory_write(task_t *t, node_writer_t *nw, dir_item_t *items, size_t n, const unixfs_t *meta,
                      dag_ref_t *ret_ref)
{
    if (directory_is_sharded(nw->options, items, n, meta))
        return write_sharded(t, nw, items, n, meta, ret_ref);
    if (n)
        qsort(items, n, sizeof *items, compare_names);
    return directory_write_basic(t, nw, items, n, meta, ret_ref);
}
