#include "dag/dir_cache.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/key.h"
#include "dag/dag_node.h"
#include "dag/hamt.h"
#include <stdlib.h>

enum { KNOWN_MAX = 4096 };

/* Names are found by a table of places in the block: an open addressing, half of it empty. */
typedef struct known {
    list_t in_use;
    dag_node_t node;
    uint32_t *places; /* where a link begins in the block, + 1; 0: empty */
    size_t n_places, bytes;
} known_t;
struct dir_cache {
    map_t by_cid;
    list_t used; /* the one that was asked for last at the end */
    size_t bytes, max_bytes;
    uint8_t hash_key[16]; /* names are chosen by those who made the directory */
};

static bytes_t key_of(const cid_t *cid, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode(cid, room));
}

dir_cache_t *dir_cache_new(size_t max_bytes)
{
    dir_cache_t *c = xcalloc(1, sizeof *c);
    map_init(&c->by_cid, KNOWN_MAX);
    list_init(&c->used);
    c->max_bytes = max_bytes;
    crypto_random(c->hash_key, sizeof c->hash_key);
    return c;
}

static void free_known(known_t *k)
{
    dag_node_deinit(&k->node);
    free(k->places);
    free(k);
}

static void forget(dir_cache_t *c, known_t *k)
{
    uint8_t room[CID_BINARY_MAX];
    map_remove(&c->by_cid, key_of(&k->node.block->cid, room));
    list_remove(&k->in_use);
    c->bytes -= k->bytes;
    free_known(k);
}

void dir_cache_free(dir_cache_t *c)
{
    if (!c)
        return;
    while (!list_is_empty(&c->used))
        forget(c, LIST_ENTRY(c->used.next, known_t, in_use));
    map_deinit(&c->by_cid);
    free(c);
}

size_t dir_cache_bytes(const dir_cache_t *c)
{
    return c->bytes;
}

/* ── the names of one block ──────────────────────────────────────────────────────────────────── */
static bool link_at(const known_t *k, size_t place, dag_pb_link_t *ret)
{
    bytes_t block = block_bytes(k->node.block);
    dag_pb_links_t from_there = {reader_of(bytes_slice(block, place, block.len))};
    return dag_pb_next_link(&from_there, ret);
}

/* The slot of a name, or the empty one where it belongs. */
static uint32_t *slot_of(const dir_cache_t *c, const known_t *k, bytes_t name, dag_pb_link_t *ret)
{
    size_t at = siphash24(c->hash_key, name) & (k->n_places - 1);
    while (k->places[at] && (!link_at(k, k->places[at] - 1, ret) || !bytes_equal(ret->name, name)))
        at = (at + 1) & (k->n_places - 1);
    return &k->places[at];
}

static bool find(const dir_cache_t *c, const known_t *k, bytes_t name, cid_t *ret_cid)
{
    dag_pb_link_t link;
    if (!*slot_of(c, k, name, &link))
        return false;
    *ret_cid = link.cid;
    return true;
}

/* Of names that are there twice, the first one counts, as everywhere. */
static err_t make_table(const dir_cache_t *c, known_t *k)
{
    dag_pb_links_t links = dag_pb_links(&k->node.pb);
    const uint8_t *begin = links.reader.pos, *at = begin;
    dag_pb_link_t link, other;
    for (k->n_places = 4; k->n_places < 2 * k->node.pb.link_count; k->n_places *= 2)
        ;
    k->places = calloc(k->n_places, sizeof *k->places);
    if (!k->places)
        return fail(ERR_NO_MEMORY, "no memory for the names of a directory");
    for (; dag_pb_next_link(&links, &link); at = links.reader.pos) {
        uint32_t *slot = slot_of(c, k, link.name, &other);
        if (!*slot)
            *slot = (uint32_t)(at - begin) + 1;
    }
    k->bytes = sizeof *k + sizeof *k->node.block + k->node.block->len + k->n_places * sizeof *k->places;
    return OK;
}

/* ── many ────────────────────────────────────────────────────────────────────────────────────── */
static err_t keep(dir_cache_t *c, known_t *k)
{
    uint8_t room[CID_BINARY_MAX];
    bytes_t key = key_of(&k->node.block->cid, room);
    known_t *former = map_get(&c->by_cid, key); /* read by another task meanwhile */
    if (former)
        forget(c, former);
    while (!list_is_empty(&c->used) &&
           (c->bytes + k->bytes > c->max_bytes || map_count(&c->by_cid) >= KNOWN_MAX))
        forget(c, LIST_ENTRY(c->used.next, known_t, in_use));
    TRY(map_put(&c->by_cid, key, k, NULL));
    list_push_back(&c->used, &k->in_use);
    c->bytes += k->bytes;
    return OK;
}

static err_t read_new(task_t *t, dir_cache_t *c, blocks_t *blocks, const cid_t *cid, known_t **ret)
{
    known_t *k = xcalloc(1, sizeof *k);
    char text[CID_TEXT_MAX];
    err_t e = dag_node_get(t, blocks, cid, &k->node);
    if (!e && !dag_node_is_dir(&k->node))
        e = fail(ERR_INVALID, "%s is not a directory", cid_print(cid, text));
    if (!e)
        e = make_table(c, k);
    if (!e)
        e = keep(c, k);
    if (e) {
        free_known(k);
        return e;
    }
    *ret = k;
    return OK;
}

/* Valid until the next call, of any task. */
static err_t get(task_t *t, dir_cache_t *c, blocks_t *blocks, const cid_t *cid, const known_t **ret)
{
    uint8_t room[CID_BINARY_MAX];
    known_t *k;
    bool may_be_used = blocks_has(t, blocks, cid);
    k = map_get(&c->by_cid, key_of(cid, room));
    if (!k || !may_be_used) {
        TRY(read_new(t, c, blocks, cid, &k));
    } else {
        list_remove(&k->in_use);
        list_push_back(&c->used, &k->in_use);
    }
    *ret = k;
    return OK;
}

static err_t not_found(const cid_t *dir, bytes_t name)
{
    char text[CID_TEXT_MAX];
    return fail(ERR_NOT_FOUND, "no link named \"%.*s\" under %s", name.len < 120 ? (int)name.len : 120,
                (const char *)name.data, cid_print(dir, text));
}

/* From shard to shard, by what the name's hash says. */
static err_t find_in_shards(task_t *t, dir_cache_t *c, blocks_t *blocks, const known_t *k, bytes_t name,
                            cid_t *ret_cid)
{
    uint64_t hash = hamt_hash(name), fanout = k->node.fs.fanout;
    cid_t root = k->node.block->cid, below;
    char prefix[8];
    AUTO(buf_t) whole;
    buf_init(&whole, sizeof prefix + name.len);
    for (size_t depth = 0; depth < hamt_max_depth(fanout); depth++) {
        hamt_print_prefix(hamt_slot(hash, fanout, depth), fanout, prefix);
        buf_clear(&whole);
        TRY(buf_append(&whole, bytes_str(prefix)));
        TRY(buf_append(&whole, name));
        if (find(c, k, buf_bytes(&whole), ret_cid))
            return OK;
        if (!find(c, k, bytes_str(prefix), &below))
            break;
        err_t e = get(t, c, blocks, &below, &k);
        if (e == ERR_INVALID || (!e && (k->node.fs.type != UNIXFS_HAMT_SHARD || k->node.fs.fanout != fanout)))
            return fail(ERR_CORRUPT, "directory shard: a part of it is no shard of the same kind");
        TRY(e);
    }
    return not_found(&root, name);
}

err_t dir_cache_lookup(task_t *t, dir_cache_t *c, blocks_t *blocks, const cid_t *dir, bytes_t name,
                       cid_t *ret_cid)
{
    const known_t *k;
    TRY(get(t, c, blocks, dir, &k));
    if (!name.len)
        return not_found(dir, name);
    if (k->node.fs.type == UNIXFS_HAMT_SHARD)
        return find_in_shards(t, c, blocks, k, name, ret_cid);
    return find(c, k, name, ret_cid) ? OK : not_found(dir, name);
}
