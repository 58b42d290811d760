#include "dag/dir_hamt.h"
#include "dag/hamt.h"
#include <stdlib.h>

enum { MAX_DEPTH = 64 / 3 + 1 }; /* of a fanout of 8 */

typedef struct shard_child {
    size_t slot;
    dir_ent_t *ent; /* or: */
    dir_shard_t *shard;
} shard_child_t;
struct dir_shard {
    node_format_t format;
    dag_ref_t ref; /* when not changed */
    bool is_loaded, is_changed;
    shard_child_t *children; /* by slot */
    size_t count, cap;
};

dir_ent_t *dir_ent_new(bytes_t name, const dag_ref_t *ref)
{
    dir_ent_t *e = xmalloc(sizeof *e + name.len);
    e->ref = *ref;
    e->name_len = name.len;
    if (name.len)
        memcpy(e->name, name.data, name.len);
    return e;
}

/* ── shards ──────────────────────────────────────────────────────────────────────────────────── */
static dir_shard_t *shard_new(node_format_t format)
{
    dir_shard_t *s = xcalloc(1, sizeof *s);
    s->format = format;
    s->is_loaded = s->is_changed = true;
    return s;
}

static void shard_free(dir_hamt_t *h, dir_shard_t *s);

static void drop_children(dir_hamt_t *h, dir_shard_t *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->children[i].shard)
            shard_free(h, s->children[i].shard);
        else
            h->loaded--;
        free(s->children[i].ent);
    }
    free(s->children);
    s->children = NULL;
    s->count = s->cap = 0;
}

static void shard_free(dir_hamt_t *h, dir_shard_t *s)
{
    drop_children(h, s);
    free(s);
}

/* Where a slot is or would be. */
static size_t index_of(const dir_shard_t *s, size_t slot)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->children[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static shard_child_t *child_at(dir_shard_t *s, size_t slot)
{
    size_t i = index_of(s, slot);
    return i < s->count && s->children[i].slot == slot ? &s->children[i] : NULL;
}

static void insert(dir_hamt_t *h, dir_shard_t *s, shard_child_t child)
{
    size_t i = index_of(s, child.slot);
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 8;
        s->children = xrealloc(s->children, s->cap * sizeof *s->children);
    }
    memmove(s->children + i + 1, s->children + i, (s->count - i) * sizeof *s->children);
    s->children[i] = child;
    s->count++;
    h->loaded += child.ent != NULL;
}

static void erase(dir_shard_t *s, shard_child_t *child)
{
    size_t i = (size_t)(child - s->children);
    s->count--;
    memmove(s->children + i, s->children + i + 1, (s->count - i) * sizeof *s->children);
}

/* `path`: the slots that lead here; the root has none. */
static err_t read_links(dir_hamt_t *h, dir_shard_t *s, const dag_node_t *n, const size_t *path, size_t depth)
{
    size_t width = hamt_prefix_len(h->fanout), slot;
    dag_pb_links_t links = dag_pb_links(&n->pb);
    dag_pb_link_t link;
    while (dag_pb_next_link(&links, &link)) {
        TRY(hamt_parse_prefix(link.name, h->fanout, &slot));
        if (s->count && slot <= s->children[s->count - 1].slot)
            return fail(ERR_CORRUPT, "directory shard: slots out of order");
        bytes_t name = bytes_slice(link.name, width, link.name.len);
        uint64_t hash = hamt_hash(name);
        dag_ref_t ref = {.cid = link.cid, .tsize = link.tsize};
        shard_child_t child = {.slot = slot};
        for (size_t i = 0; name.len && i <= depth; i++)
            if (hamt_slot(hash, h->fanout, i) != (i == depth ? slot : path[i]))
                return fail(ERR_CORRUPT, "directory shard: an entry in the wrong slot");
        if (name.len) {
            child.ent = dir_ent_new(name, &ref);
        } else {
            child.shard = shard_new(node_format_of(&link.cid));
            child.shard->ref = ref;
            child.shard->is_loaded = child.shard->is_changed = false;
        }
        insert(h, s, child);
    }
    return OK;
}

static err_t load(task_t *t, dir_hamt_t *h, dir_shard_t *s, const size_t *path, size_t depth)
{
    if (s->is_loaded)
        return OK;
    AUTO(dag_node_t) n = {0};
    if (depth >= hamt_max_depth(h->fanout))
        return fail(ERR_CORRUPT, "directory shard: deeper than its hashes are long");
    TRY(dag_node_get(t, h->blocks, &s->ref.cid, &n));
    if (n.fs.type != UNIXFS_HAMT_SHARD || n.fs.fanout != h->fanout)
        return fail(ERR_CORRUPT, "directory shard: a part of it is no shard of the same kind");
    if (s->is_loaded) /* by another task meanwhile */
        return OK;
    err_t e = read_links(h, s, &n, path, depth);
    if (e)
        drop_children(h, s);
    s->is_loaded = !e;
    return e;
}

/* ── making ──────────────────────────────────────────────────────────────────────────────────── */
void dir_hamt_init(dir_hamt_t *h, blocks_t *blocks, uint64_t fanout, node_format_t format)
{
    *h = (dir_hamt_t){.blocks = blocks, .fanout = fanout};
    h->root = shard_new(format);
}

err_t dir_hamt_open(task_t *t, dir_hamt_t *h, blocks_t *blocks, const dag_node_t *root)
{
    dir_hamt_init(h, blocks, root->fs.fanout, node_format_of(&root->block->cid));
    h->root->is_changed = false;
    h->root->ref.cid = root->block->cid;
    err_t e = read_links(h, h->root, root, NULL, 0);
    if (e)
        dir_hamt_deinit(h);
    return e;
}

void dir_hamt_deinit(dir_hamt_t *h)
{
    if (h->root)
        shard_free(h, h->root);
    h->root = NULL;
}

node_format_t dir_hamt_format(const dir_hamt_t *h)
{
    return h->root->format;
}

void dir_hamt_set_format(dir_hamt_t *h, node_format_t format)
{
    h->root->format = format;
    h->root->is_changed = true;
}

size_t dir_hamt_root_links(const dir_hamt_t *h)
{
    return h->root->count;
}

/* ── one name ────────────────────────────────────────────────────────────────────────────────── */
typedef struct descent {
    uint64_t hash;
    dir_shard_t *shards[MAX_DEPTH];
    size_t slots[MAX_DEPTH];
    size_t depth;       /* of the last one */
    shard_child_t *hit; /* in its slot: an entry, of whatever name; NULL: none */
} descent_t;

static err_t descend(task_t *t, dir_hamt_t *h, bytes_t name, descent_t *d)
{
    *d = (descent_t){.hash = hamt_hash(name), .shards = {h->root}};
    for (;; d->depth++) {
        d->slots[d->depth] = hamt_slot(d->hash, h->fanout, d->depth);
        d->hit = child_at(d->shards[d->depth], d->slots[d->depth]);
        if (!d->hit || d->hit->ent)
            return OK;
        dir_shard_t *below = d->hit->shard;
        TRY(load(t, h, below, d->slots, d->depth + 1));
        if (d->depth + 1 == hamt_max_depth(h->fanout))
            return fail(ERR_CORRUPT, "directory shard: deeper than its hashes are long");
        d->shards[d->depth + 1] = below;
    }
}

static bool is_hit(const descent_t *d, bytes_t name)
{
    return d->hit && bytes_equal(dir_ent_name(d->hit->ent), name);
}

static void mark_changed(descent_t *d)
{
    for (size_t i = 0; i <= d->depth; i++)
        d->shards[i]->is_changed = true;
}

err_t dir_hamt_find(task_t *t, dir_hamt_t *h, bytes_t name, const dir_ent_t **ret_ent)
{
    descent_t d;
    TRY(descend(t, h, name, &d));
    *ret_ent = is_hit(&d, name) ? d.hit->ent : NULL;
    return OK;
}

/* Two names in one slot: shards below it, down to where their slots differ. */
static err_t fork_slot(dir_hamt_t *h, descent_t *d, dir_ent_t *fresh)
{
    dir_ent_t *old = d->hit->ent;
    uint64_t old_hash = hamt_hash(dir_ent_name(old));
    node_format_t format = d->shards[d->depth]->format;
    dir_shard_t *first = NULL, *s = NULL;
    size_t depth = d->depth + 1, max_depth = hamt_max_depth(h->fanout), same = depth;
    while (same < max_depth && hamt_slot(d->hash, h->fanout, same) == hamt_slot(old_hash, h->fanout, same))
        same++;
    if (same == max_depth)
        return fail(ERR_LIMIT, "directory shard: too many names with the same hash");
    first = s = shard_new(format);
    for (; depth < same; depth++) {
        dir_shard_t *below = shard_new(format);
        insert(h, s, (shard_child_t){.slot = hamt_slot(d->hash, h->fanout, depth), .shard = below});
        s = below;
    }
    insert(h, s, (shard_child_t){.slot = hamt_slot(d->hash, h->fanout, depth), .ent = fresh});
    insert(h, s, (shard_child_t){.slot = hamt_slot(old_hash, h->fanout, depth), .ent = old});
    h->loaded--; /* the old one has moved */
    d->hit->ent = NULL;
    d->hit->shard = first;
    return OK;
}

err_t dir_hamt_put(task_t *t, dir_hamt_t *h, bytes_t name, const dag_ref_t *ref)
{
    descent_t d;
    TRY(descend(t, h, name, &d));
    if (is_hit(&d, name)) {
        d.hit->ent->ref = *ref;
    } else {
        dir_ent_t *fresh = dir_ent_new(name, ref);
        if (!d.hit) {
            insert(h, d.shards[d.depth], (shard_child_t){.slot = d.slots[d.depth], .ent = fresh});
        } else {
            err_t e = fork_slot(h, &d, fresh);
            if (e) {
                free(fresh);
                return e;
            }
        }
    }
    mark_changed(&d);
    return OK;
}

/* A shard that has nothing left goes, one that has a single entry left gives it to its parent. */
static void collapse(dir_hamt_t *h, descent_t *d)
{
    for (size_t i = d->depth; i > 0; i--) {
        dir_shard_t *s = d->shards[i], *parent = d->shards[i - 1];
        shard_child_t *place = child_at(parent, d->slots[i - 1]);
        if (!s->count) {
            erase(parent, place);
            shard_free(h, s);
        } else if (s->count == 1 && s->children[0].ent) {
            *place = (shard_child_t){.slot = place->slot, .ent = s->children[0].ent};
            s->count = 0;
            shard_free(h, s);
        }
    }
}

err_t dir_hamt_remove(task_t *t, dir_hamt_t *h, bytes_t name)
{
    descent_t d;
    TRY(descend(t, h, name, &d));
    assert(is_hit(&d, name));
    mark_changed(&d);
    free(d.hit->ent);
    erase(d.shards[d.depth], d.hit);
    h->loaded--;
    collapse(h, &d);
    return OK;
}

/* ── all of it ───────────────────────────────────────────────────────────────────────────────── */
typedef struct visit {
    dir_hamt_visit_fn fn;
    void *arg;
    bool is_over;
    size_t path[MAX_DEPTH];
} visit_t;

/* Recursion ends where the hash does: 21 levels at most. */
static err_t visit_shard(task_t *t, dir_hamt_t *h, dir_shard_t *s, size_t depth, visit_t *v)
{
    bool was_loaded = s->is_loaded;
    TRY(load(t, h, s, v->path, depth));
    err_t e = OK;
    for (size_t i = 0; i < s->count && !v->is_over && !e; i++) {
        shard_child_t *c = &s->children[i];
        v->path[depth] = c->slot;
        if (c->ent)
            v->is_over = !v->fn(v->arg, dir_ent_name(c->ent), &c->ent->ref);
        else
            e = visit_shard(t, h, c->shard, depth + 1, v);
    }
    if (!was_loaded) {
        drop_children(h, s);
        s->is_loaded = false;
    }
    return e;
}

err_t dir_hamt_each(task_t *t, dir_hamt_t *h, dir_hamt_visit_fn fn, void *arg)
{
    visit_t v = {.fn = fn, .arg = arg};
    return visit_shard(t, h, h->root, 0, &v);
}

typedef struct writing {
    dir_hamt_t *hamt;
    node_writer_t *writer;
    import_options_t *options;
    node_format_t otherwise;
} writing_t;

static err_t write_shard(task_t *t, writing_t *w, dir_shard_t *s, const unixfs_t *meta)
{
    if (!s->is_changed)
        return OK;
    shard_link_t *links = xcalloc(s->count + 1, sizeof *links);
    err_t e = OK;
    for (size_t i = 0; i < s->count && !e; i++) {
        shard_child_t *c = &s->children[i];
        links[i].slot = c->slot;
        if (c->ent) {
            links[i].name = dir_ent_name(c->ent);
            links[i].ref = c->ent->ref;
        } else {
            e = write_shard(t, w, c->shard, NULL);
            links[i].ref = c->shard->ref;
        }
    }
    if (!e) {
        import_options_t o = node_format_options(s->format, w->otherwise);
        w->options->cid_version = o.cid_version;
        w->options->hash_code = o.hash_code;
        w->options->inline_below = o.inline_below;
        w->options->shard_fanout = w->hamt->fanout;
        e = directory_write_shard(t, w->writer, links, s->count, meta, &s->ref);
    }
    free(links);
    s->is_changed = e != OK;
    return e;
}

err_t dir_hamt_write(task_t *t, dir_hamt_t *h, node_writer_t *nw, import_options_t *o,
                     node_format_t otherwise, const unixfs_t *meta, dag_ref_t *ret_ref)
{
    writing_t w = {h, nw, o, otherwise};
    h->root->is_changed = true; /* its tsize is known by writing it */
    TRY(write_shard(t, &w, h->root, meta));
    *ret_ref = h->root->ref;
    return OK;
}

static void trim(dir_hamt_t *h, dir_shard_t *s)
{
    for (size_t i = 0; i < s->count; i++) {
        dir_shard_t *below = s->children[i].shard;
        if (!below || !below->is_loaded)
            continue;
        if (below->is_changed) {
            trim(h, below);
        } else {
            drop_children(h, below);
            below->is_loaded = false;
        }
    }
}

void dir_hamt_trim(dir_hamt_t *h)
{
    trim(h, h->root);
}

static void mark_shard(dir_shard_t *s)
{
    s->is_changed = true;
    for (size_t i = 0; i < s->count; i++)
        if (s->children[i].shard && s->children[i].shard->is_loaded)
            mark_shard(s->children[i].shard);
}

void dir_hamt_mark_changed(dir_hamt_t *h)
{
    mark_shard(h->root);
}
