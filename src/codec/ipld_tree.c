#include "codec/ipld_tree.h"
#include "codec/dag_jose.h"
#include "codec/git_raw.h"
#include <stdlib.h>

void ipld_tree_deinit(ipld_tree_t *tree)
{
    free(tree->items);
    buf_deinit(&tree->text);
    *tree = (ipld_tree_t){0};
}

const char *ipld_kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [IPLD_NULL] = "null",   [IPLD_BOOL] = "bool",     [IPLD_UINT] = "int",    [IPLD_NEGATIVE] = "int",
        [IPLD_FLOAT] = "float", [IPLD_STRING] = "string", [IPLD_BYTES] = "bytes", [IPLD_LINK] = "link",
        [IPLD_LIST] = "list",   [IPLD_MAP] = "map"};
    return kind < ARRAY_LEN(names) ? names[kind] : "nothing";
}

static bool is_container(const ipld_item_t *item)
{
    return item->kind == IPLD_LIST || item->kind == IPLD_MAP;
}

size_t ipld_tree_after(const ipld_tree_t *tree, size_t at)
{
    return is_container(&tree->items[at]) ? tree->items[at].next : at + 1;
}

/* ── the order of keys ───────────────────────────────────────────────────────────────────────── */
typedef struct sorting {
    const ipld_tree_t *tree;
    ipld_compare_fn compare;
} sorting_t;

static int compare_keys(const void *a, const void *b, void *arg)
{
    const sorting_t *s = arg;
    return s->compare(ipld_item_bytes(&s->tree->items[*(const uint32_t *)a]),
                      ipld_item_bytes(&s->tree->items[*(const uint32_t *)b]));
}

void ipld_tree_sort_keys(const ipld_tree_t *tree, size_t at, ipld_compare_fn compare, uint32_t *ret_keys)
{
    sorting_t s = {tree, compare};
    bool is_sorted = true;
    size_t n = 0;
    for (size_t key = at + 1; key < tree->items[at].next; key = ipld_tree_after(tree, key + 1)) {
        ret_keys[n++] = (uint32_t)key;
        is_sorted =
            is_sorted && (n < 2 || !compare || compare_keys(&ret_keys[n - 2], &ret_keys[n - 1], &s) < 0);
    }
    if (!is_sorted)
        qsort_r(ret_keys, n, sizeof *ret_keys, compare_keys, &s);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t check_keys(const ipld_tree_t *tree, size_t at)
{
    size_t n = tree->items[at].len;
    if (n < 2)
        return OK;
    uint32_t *keys = calloc(n, sizeof *keys);
    if (!keys)
        return fail(ERR_NO_MEMORY, "no memory for the %zu keys of a map", n);
    ipld_tree_sort_keys(tree, at, bytes_compare, keys);
    err_t e = OK;
    for (size_t i = 1; i < n && !e; i++) {
        bytes_t key = ipld_item_bytes(&tree->items[keys[i]]);
        if (bytes_equal(key, ipld_item_bytes(&tree->items[keys[i - 1]])))
            e = fail(ERR_INVALID, "cannot repeat map key \"%.*s\"", key.len < 50 ? (int)key.len : 50,
                     (const char *)key.data);
    }
    free(keys);
    return e;
}

static err_t append(ipld_tree_t *tree, const ipld_event_t *e)
{
    bytes_t bytes = e->bytes;
    if (tree->count == tree->cap) {
        size_t cap = tree->cap ? 2 * tree->cap : 64;
        ipld_item_t *items = cap > IPLD_TREE_MAX_ITEMS ? NULL : realloc(tree->items, cap * sizeof *items);
        if (!items)
            return fail(ERR_LIMIT, "message structure demanded too many resources to process");
        tree->items = items;
        tree->cap = cap;
    }
    if (e->kind >= IPLD_STRING && e->kind <= IPLD_LINK && !e->is_in_block) {
        size_t start = tree->text.len; /* its memory was reserved at the beginning: it does not move */
        TRY(buf_append(&tree->text, bytes));
        bytes = bytes_of(tree->text.data + start, bytes.len);
    }
    ipld_item_t item = {.kind = (uint8_t)e->kind, .is_key = e->is_key, .len = (uint32_t)bytes.len};
    if (e->kind == IPLD_FLOAT)
        item.number = e->number;
    else if (e->kind >= IPLD_STRING && e->kind <= IPLD_LINK)
        item.data = bytes.data;
    else
        item.integer = e->integer;
    tree->items[tree->count++] = item;
    return OK;
}

/* While a list or map is open, `next` of its item is the item of the one around it. */
err_t ipld_tree_add(ipld_tree_t *tree, const ipld_event_t *e, size_t *open)
{
    if (e->kind == IPLD_END) {
        ipld_item_t *item = &tree->items[*open];
        size_t at = *open;
        *open = item->next;
        item->next = tree->count;
        return item->kind == IPLD_MAP ? check_keys(tree, at) : OK;
    }
    if (tree->count && (tree->items[*open].kind == IPLD_LIST || e->is_key))
        tree->items[*open].len++;
    TRY(append(tree, e));
    if (e->kind == IPLD_LIST || e->kind == IPLD_MAP) {
        tree->items[tree->count - 1].next = *open;
        *open = tree->count - 1;
    }
    return OK;
}

err_t ipld_tree_read(ipld_tree_t *tree, uint64_t codec, bytes_t block, unsigned flags)
{
    ipld_event_t e;
    size_t open = 0;
    ipld_tree_deinit(tree);
    if (block.len > UINT32_MAX)
        return fail(ERR_LIMIT, "a block of %zu bytes", block.len);
    if (codec == CODEC_GIT_RAW)
        return git_raw_read(tree, block);
    if (codec == CODEC_DAG_JOSE)
        return dag_jose_read(tree, block);
    AUTO(ipld_scan_t) s;
    ipld_scan_init(&s, codec, block, flags);
    TRY(s.err);
    /* Strings are never longer than their text, and links of dag-pb are in their messages. */
    TRY(ipld_tree_reserve_text(tree, block.len + 1));
    while (ipld_scan_next(&s, &e))
        TRY(ipld_tree_add(tree, &e, &open));
    return s.err;
}

err_t ipld_tree_reserve_text(ipld_tree_t *tree, size_t max_bytes)
{
    buf_init(&tree->text, max_bytes);
    return buf_reserve(&tree->text, max_bytes);
}

/* ── lookup ──────────────────────────────────────────────────────────────────────────────────── */
static int shown(bytes_t text)
{
    return text.len < 100 ? (int)text.len : 100;
}

static err_t find_index(const ipld_tree_t *tree, size_t at, bytes_t segment, size_t *ret_at)
{
    uint64_t index = 0;
    bool is_number = segment.len > 0;
    for (size_t i = 0; i < segment.len && is_number; i++)
        is_number = segment.data[i] >= '0' && segment.data[i] <= '9' &&
                    !__builtin_mul_overflow(index, 10, &index) &&
                    !__builtin_add_overflow(index, segment.data[i] - '0', &index);
    if (!is_number)
        return fail(ERR_NOT_FOUND,
                    "invalid segment for lookup on a list: \"%.*s\": strconv.ParseInt: parsing \"%.*s\": "
                    "invalid syntax",
                    shown(segment), (const char *)segment.data, shown(segment), (const char *)segment.data);
    if (index >= tree->items[at].len)
        return fail(ERR_NOT_FOUND, "key not found: \"%.*s\"", shown(segment), (const char *)segment.data);
    size_t item = at + 1;
    while (index--)
        item = ipld_tree_after(tree, item);
    *ret_at = item;
    return OK;
}

static err_t find_key(const ipld_tree_t *tree, size_t at, bytes_t segment, size_t *ret_at)
{
    for (size_t key = at + 1; key < tree->items[at].next; key = ipld_tree_after(tree, key + 1)) {
        if (!bytes_equal(ipld_item_bytes(&tree->items[key]), segment))
            continue;
        *ret_at = key + 1;
        return OK;
    }
    return fail(ERR_NOT_FOUND, "key not found: \"%.*s\"", shown(segment), (const char *)segment.data);
}

size_t ipld_tree_field(const ipld_tree_t *tree, size_t map, const char *name)
{
    for (size_t key = map + 1; key < tree->items[map].next; key = ipld_tree_after(tree, key + 1))
        if (bytes_equal(ipld_item_bytes(&tree->items[key]), bytes_str(name)))
            return key + 1;
    return 0;
}

err_t ipld_tree_find(const ipld_tree_t *tree, size_t at, bytes_t segment, size_t *ret_at)
{
    const char *kind = ipld_kind_name(tree->items[at].kind);
    switch (tree->items[at].kind) {
    case IPLD_LIST:
        return find_index(tree, at, segment, ret_at);
    case IPLD_MAP:
        return find_key(tree, at, segment, ret_at);
    default:
        return fail(
            ERR_NOT_FOUND,
            "func called on wrong kind: \"LookupBySegment\" called on a %s node (kind: %s), but only makes "
            "sense on map or list",
            kind, kind);
    }
}
