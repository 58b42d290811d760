/* The events of a tree in an order of the keys. */
#include "codec/ipld_tree.h"
#include <stdlib.h>

struct ipld_order_frame {
    size_t at;        /* the item of the list or map */
    size_t next;      /* list: the next item; map: the next key's place among the map's */
    size_t keys;      /* map: where its keys are in `keys` */
    bool is_at_value; /* map: the value of the last key comes next */
};

void ipld_order_init(ipld_order_t *o, const ipld_tree_t *tree, size_t root, ipld_compare_fn compare)
{
    *o = (ipld_order_t){.tree = tree, .compare = compare, .root = root};
}

void ipld_order_deinit(ipld_order_t *o)
{
    free(o->frames);
    free(o->keys);
    o->frames = NULL;
    o->keys = NULL;
    o->depth = o->cap = o->n_keys = o->keys_cap = 0;
}

static void push(ipld_order_t *o, size_t at)
{
    const ipld_item_t *item = &o->tree->items[at];
    if (o->depth == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 16;
        o->frames = xrealloc(o->frames, o->cap * sizeof *o->frames);
    }
    ipld_order_frame_t frame = {.at = at, .next = at + 1, .keys = o->n_keys};
    if (item->kind == IPLD_MAP) {
        size_t need = o->n_keys + item->len;
        if (need > o->keys_cap) {
            o->keys_cap = 2 * need;
            o->keys = xrealloc(o->keys, o->keys_cap * sizeof *o->keys);
        }
        frame.next = 0;
        ipld_tree_sort_keys(o->tree, at, o->compare, o->keys + o->n_keys);
        o->n_keys = need;
    }
    o->frames[o->depth++] = frame;
}

static ipld_event_t give(ipld_order_t *o, size_t at)
{
    const ipld_item_t *item = &o->tree->items[at];
    ipld_event_t e = {.kind = (ipld_kind_t)item->kind, .is_key = item->is_key, .is_in_block = true};
    if (e.kind == IPLD_FLOAT)
        e.number = item->number;
    else if (e.kind >= IPLD_STRING && e.kind <= IPLD_LINK)
        e.bytes = ipld_item_bytes(item);
    else
        e.integer = item->integer;
    if (e.kind == IPLD_LIST || e.kind == IPLD_MAP) {
        e.integer = item->len;
        push(o, at);
    }
    return e;
}

static ipld_event_t end(ipld_order_t *o, const ipld_order_frame_t *f)
{
    o->n_keys = f->keys;
    o->depth--;
    return (ipld_event_t){.kind = IPLD_END, .integer = o->tree->items[f->at].kind};
}

bool ipld_order_next(ipld_order_t *o, ipld_event_t *ret_event)
{
    if (!o->has_begun) {
        o->has_begun = true;
        *ret_event = give(o, o->root);
        return true;
    }
    if (!o->depth)
        return false;
    ipld_order_frame_t *f = &o->frames[o->depth - 1];
    const ipld_item_t *item = &o->tree->items[f->at];
    bool is_map = item->kind == IPLD_MAP;
    if (is_map ? f->next == item->len : f->next == item->next) {
        *ret_event = end(o, f);
        return true;
    }
    size_t at = is_map ? o->keys[f->keys + f->next] + f->is_at_value : f->next;
    if (is_map)
        f->next += f->is_at_value;
    else
        f->next = ipld_tree_after(o->tree, at);
    f->is_at_value = is_map && !f->is_at_value;
    *ret_event = give(o, at);
    return true;
}
