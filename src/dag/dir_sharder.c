#include "dag/dir_sharder.h"
#include "dag/directory.h"
#include "dag/hamt.h"
#include <stdlib.h>

enum { MAX_DEPTH = 64 / 3 + 2 }; /* shards on a path, with the smallest fanout */

/* A shard whose entries are still coming. */
typedef struct shard {
    shard_link_t *links;
    size_t count, cap;
    buf_t names; /* of the links that have one, one after the other */
} shard_t;
struct dir_sharder {
    node_writer_t *w;
    shard_t path[MAX_DEPTH]; /* the root first */
    size_t depth;
    bool has_last; /* the entry that came last: where it stands depends on the next */
    uint64_t last_hash;
    buf_t last_name;
    dag_ref_t last_ref;
};

static void open_shard(dir_sharder_t *s)
{
    assert(s->depth < MAX_DEPTH);
    shard_t *shard = &s->path[s->depth++];
    *shard = (shard_t){0};
    buf_init(&shard->names, BLOCK_MAX_BYTES);
}

static void drop_shard(dir_sharder_t *s)
{
    shard_t *shard = &s->path[--s->depth];
    buf_deinit(&shard->names);
    free(shard->links);
}

dir_sharder_t *dir_sharder_new(node_writer_t *w)
{
    dir_sharder_t *s = xcalloc(1, sizeof *s);
    s->w = w;
    buf_init(&s->last_name, BLOCK_MAX_BYTES);
    open_shard(s);
    return s;
}

void dir_sharder_free(dir_sharder_t *s)
{
    if (!s)
        return;
    while (s->depth)
        drop_shard(s);
    buf_deinit(&s->last_name);
    free(s);
}

/* Do both stand below the same shard of this depth? */
static bool share_shard(uint64_t a, uint64_t b, uint64_t fanout, size_t depth)
{
    unsigned bits = hamt_bits(fanout) * (unsigned)depth;
    return !bits || a >> (64 - bits) == b >> (64 - bits);
}

static void push_link(shard_t *shard, const shard_link_t *link)
{
    if (shard->count == shard->cap) {
        shard->cap = shard->cap ? 2 * shard->cap : 8;
        shard->links = xrealloc(shard->links, shard->cap * sizeof *shard->links);
    }
    shard->links[shard->count++] = *link;
}

/* Writes the lowest shard of the path and leaves it. */
static err_t write_shard(task_t *t, dir_sharder_t *s, const unixfs_t *meta, dag_ref_t *ret_ref)
{
    shard_t *shard = &s->path[s->depth - 1];
    for (size_t i = 0, at = 0; i < shard->count; at += shard->links[i++].name.len)
        shard->links[i].name = bytes_slice(buf_bytes(&shard->names), at, shard->links[i].name.len);
    err_t e = directory_write_shard(t, s->w, shard->links, shard->count, meta, ret_ref);
    drop_shard(s);
    return e;
}

/* The last entry gets its place in the lowest shard of the path. */
static err_t link_last(dir_sharder_t *s, uint64_t fanout)
{
    shard_t *shard = &s->path[s->depth - 1];
    shard_link_t link = {.slot = hamt_slot(s->last_hash, fanout, s->depth - 1), .ref = s->last_ref};
    link.name.len = s->last_name.len;
    TRY(buf_append(&shard->names, buf_bytes(&s->last_name)));
    push_link(shard, &link);
    return OK;
}

/* Shards that the next entry does not stand in are written, and linked in the one above. */
static err_t leave_shards(task_t *t, dir_sharder_t *s, const uint64_t *next_hash, uint64_t fanout)
{
    while (s->depth > 1 && !(next_hash && share_shard(s->last_hash, *next_hash, fanout, s->depth - 1))) {
        shard_link_t link = {.slot = hamt_slot(s->last_hash, fanout, s->depth - 2)};
        TRY(write_shard(t, s, NULL, &link.ref));
        push_link(&s->path[s->depth - 1], &link);
    }
    return OK;
}

/* next_hash NULL: there is none. */
static err_t place_last(task_t *t, dir_sharder_t *s, const uint64_t *next_hash)
{
    uint64_t fanout = s->w->options->shard_fanout;
    while (next_hash && share_shard(s->last_hash, *next_hash, fanout, s->depth)) {
        if (s->depth == hamt_max_depth(fanout))
            return fail(ERR_LIMIT, "directory shard: too many names with the same hash");
        open_shard(s);
    }
    TRY(link_last(s, fanout));
    return leave_shards(t, s, next_hash, fanout);
}

err_t dir_sharder_add(task_t *t, dir_sharder_t *s, bytes_t name, uint64_t hash, const dag_ref_t *ref)
{
    assert(!s->has_last || hash >= s->last_hash);
    if (s->has_last)
        TRY(place_last(t, s, &hash));
    s->has_last = true;
    s->last_hash = hash;
    s->last_ref = *ref;
    buf_clear(&s->last_name);
    return buf_append(&s->last_name, name);
}

err_t dir_sharder_end(task_t *t, dir_sharder_t *s, const unixfs_t *meta, dag_ref_t *ret_ref)
{
    if (s->has_last)
        TRY(place_last(t, s, NULL));
    return write_shard(t, s, meta, ret_ref);
}
