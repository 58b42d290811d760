#include "dag/dir_builder.h"
#include "dag/hamt.h"
#include <stdlib.h>

void dir_builder_init(dir_builder_t *b, node_writer_t *w, const unixfs_t *meta)
{
    *b = (dir_builder_t){.w = w};
    if (meta)
        b->meta = *meta;
    b->rule_bytes = directory_data_bytes(w->options->shard_rule, &b->meta);
}

/* An entry that waits: its reference, and behind that its name. */
static dir_item_t item_new(bytes_t name, const dag_ref_t *ref)
{
    uint8_t cid[CID_BINARY_MAX];
    size_t cid_len = cid_encode(&ref->cid, cid);
    packed_ref_t *p = xcalloc(1, sizeof *p + cid_len + name.len);
    p->tsize = ref->tsize;
    p->cid_len = (uint8_t)cid_len;
    memcpy(p->cid, cid, cid_len);
    memcpy(p->cid + cid_len, name.data, name.len);
    return (dir_item_t){.name = bytes_of(p->cid + cid_len, name.len), .packed = p};
}

static void free_items(dir_builder_t *b)
{
    for (size_t i = 0; i < b->count; i++)
        free((packed_ref_t *)(uintptr_t)b->items[i].packed);
    free(b->items);
    b->items = NULL;
    b->count = b->cap = 0;
}

void dir_builder_deinit(dir_builder_t *b)
{
    free_items(b);
    dir_sharder_free(b->sharder);
    b->sharder = NULL;
}

static err_t shard(task_t *t, dir_builder_t *b)
{
    b->sharder = dir_sharder_new(b->w);
    for (size_t i = 0; i < b->count; i++) {
        dag_ref_t ref;
        packed_ref_get(b->items[i].packed, &ref);
        TRY(dir_sharder_add(t, b->sharder, b->items[i].name, hamt_hash(b->items[i].name), &ref));
    }
    free_items(b);
    return OK;
}

err_t dir_builder_add(task_t *t, dir_builder_t *b, bytes_t name, const dag_ref_t *ref)
{
    const import_options_t *o = b->w->options;
    if (b->sharder)
        return dir_sharder_add(t, b->sharder, name, hamt_hash(name), ref);
    if (b->count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 8;
        b->items = xrealloc(b->items, b->cap * sizeof *b->items);
    }
    b->items[b->count++] = item_new(name, ref);
    b->rule_bytes += directory_link_bytes(o->shard_rule, name, ref);
    b->block_bytes += directory_link_bytes(SHARD_BY_BLOCK, name, ref);
    if (directory_is_over(o, b->count, b->rule_bytes))
        return shard(t, b);
    if (b->block_bytes > BLOCK_MAX_BYTES && !o->max_directory_links)
        return fail(ERR_LIMIT, "a directory or file node over %d bytes", BLOCK_MAX_BYTES);
    return OK;
}

err_t dir_builder_end(task_t *t, dir_builder_t *b, dag_ref_t *ret_ref)
{
    /* An empty one may be over a threshold by its metadata alone. */
    if (b->sharder || directory_is_over(b->w->options, b->count, b->rule_bytes)) {
        TRY(b->sharder ? OK : shard(t, b));
        return dir_sharder_end(t, b->sharder, &b->meta, ret_ref);
    }
    return directory_write(t, b->w, b->items, b->count, &b->meta, ret_ref);
}
