/* ipld_tree: the data of one block in memory, for lookups by path and for writing it in another codec. A flat
 * array in the order of the block, 16 bytes for a value or key, that borrows its strings from the block where
 * it can. No recursion anywhere. */
#ifndef CODEC_IPLD_TREE_H
#define CODEC_IPLD_TREE_H
#include "base/writer.h"
#include "codec/ipld_scan.h"

#define IPLD_TREE_MAX_ITEMS (4u << 20)

typedef struct ipld_item {
    uint8_t kind; /* ipld_kind_t; never IPLD_END */
    bool is_key;
    uint32_t len; /* bytes of a string, bytes or link; items of a list, entries of a map */
    union {
        uint64_t integer;
        double number;
        const uint8_t *data;
        size_t next; /* of lists and maps: the item behind their last */
    };
} ipld_item_t;
typedef struct ipld_tree {
    ipld_item_t *items; /* the first one is the root */
    size_t count, cap;
    buf_t text; /* strings that are not in the block */
} ipld_tree_t;

/* Zero-initialised is empty. Borrows the block until deinit. flags: of ipld_scan_flags_t. Errors of
 * ipld_scan.h; ERR_INVALID: a repeated key; ERR_LIMIT: over IPLD_TREE_MAX_ITEMS. */
MUST_CHECK err_t ipld_tree_read(ipld_tree_t *tree, uint64_t codec, bytes_t block, unsigned flags);
void ipld_tree_deinit(ipld_tree_t *tree); /* idempotent */
AUTO_DEFINE(ipld_tree_t, ipld_tree_deinit)
static inline bytes_t ipld_item_bytes(const ipld_item_t *item)
{
    return bytes_of(item->data, item->len);
}
size_t ipld_tree_after(const ipld_tree_t *tree, size_t at); /* the item behind this one and what is in it */
const char *ipld_kind_name(uint8_t kind);                   /* "map", as the data model names it */
/* The value under a key, or at an index in decimal. ERR_NOT_FOUND, as the reference words it, also when `at`
 * is neither map nor list. */
MUST_CHECK err_t ipld_tree_find(const ipld_tree_t *tree, size_t at, bytes_t segment, size_t *ret_at);
/* Where the value of a key is in the map at `map`; 0 when there is none. */
size_t ipld_tree_field(const ipld_tree_t *tree, size_t map, const char *name);
/* Appends the value at `at` in a codec: canonical for dag-pb, dag-cbor, dag-json, git-raw and dag-jose; cbor
 * and json keep the order of the maps. ERR_INVALID: it has no form there; ERR_UNSUPPORTED: no such codec
 * here. */
MUST_CHECK err_t ipld_tree_write(const ipld_tree_t *tree, size_t at, uint64_t codec, buf_t *out);

/* To build a tree event by event, as codecs do whose data is not in the order of their bytes: first room for
 * all strings that are not in the block, which never moves; then the events, with `open` 0 at the first.
 * ERR_LIMIT; ERR_INVALID: a repeated key. */
MUST_CHECK err_t ipld_tree_reserve_text(ipld_tree_t *tree, size_t max_bytes);
MUST_CHECK err_t ipld_tree_add(ipld_tree_t *tree, const ipld_event_t *e, size_t *open);

/* The events of a value with the maps in an order of their keys (NULL: as they are). integer of IPLD_LIST and
 * IPLD_MAP: the count of items or entries; of IPLD_END: the kind that ends. */
typedef int (*ipld_compare_fn)(bytes_t a, bytes_t b);
typedef struct ipld_order_frame ipld_order_frame_t;
typedef struct ipld_order {
    const ipld_tree_t *tree;
    ipld_compare_fn compare;
    ipld_order_frame_t *frames;
    size_t depth, cap, root;
    uint32_t *keys; /* of the maps on the way down, in order */
    size_t n_keys, keys_cap;
    bool has_begun;
} ipld_order_t;
void ipld_order_init(ipld_order_t *o, const ipld_tree_t *tree, size_t root, ipld_compare_fn compare);
void ipld_order_deinit(ipld_order_t *o); /* idempotent */
AUTO_DEFINE(ipld_order_t, ipld_order_deinit)
bool ipld_order_next(ipld_order_t *o, ipld_event_t *ret_event); /* false at the end */
/* The keys of the map at `at` as indices, sorted; n as many as the map has entries. */
void ipld_tree_sort_keys(const ipld_tree_t *tree, size_t at, ipld_compare_fn compare, uint32_t *ret_keys);
#endif
