/* A tree in each codec. */
#include "codec/dag_cbor.h"
#include "codec/dag_jose.h"
#include "codec/dag_json.h"
#include "codec/git_raw.h"
#include "codec/ipld.h"
#include "codec/ipld_tree.h"
#include <inttypes.h>
#include <stdlib.h>

static err_t wrong_kind(const ipld_item_t *item, const char *call, const char *wanted)
{
    const char *kind = ipld_kind_name(item->kind);
    return fail(
        ERR_INVALID,
        "func called on wrong kind: \"%s\" called on a %s node (kind: %s), but only makes sense on %s", call,
        kind, kind, wanted);
}

/* The same for a null, of which the reference names the type that it would have to be. */
static err_t wrong_null(const ipld_item_t *item, const char *type, const char *kind)
{
    if (item->kind != IPLD_NULL)
        return wrong_kind(item, "AssignNode", kind);
    return fail(ERR_INVALID,
                "func called on wrong kind: \"AssignNull\" called on a dagpb.%s node (kind: %s), but only "
                "makes sense on null",
                type, kind);
}

/* ── cbor ────────────────────────────────────────────────────────────────────────────────────── */
static err_t write_cbor(const ipld_tree_t *tree, size_t at, bool is_dag, buf_t *out)
{
    AUTO(ipld_order_t) o;
    ipld_event_t e;
    writer_t w = writer_to(out);
    ipld_order_init(&o, tree, at, is_dag ? dag_cbor_compare_keys : NULL);
    while (!w.err && ipld_order_next(&o, &e)) {
        if (e.kind == IPLD_LINK && !is_dag)
            return fail(ERR_INVALID, "cannot Marshal ipld links to CBOR");
        dag_cbor_put(&w, &e);
    }
    return w.err;
}

/* ── json ────────────────────────────────────────────────────────────────────────────────────── */
/* Is it a map of one entry that would be read as a link or as bytes? */
static bool looks_special(const ipld_tree_t *tree, size_t at)
{
    static const char *const keys[] = {"/", "bytes"};
    for (size_t depth = 0; depth < ARRAY_LEN(keys); depth++, at += 2) {
        const ipld_item_t *item = &tree->items[at];
        if (item->kind == IPLD_STRING)
            return depth > 0;
        if (item->kind != IPLD_MAP || item->len != 1 ||
            !bytes_equal(ipld_item_bytes(item + 1), bytes_str(keys[depth])))
            return false;
    }
    return tree->items[at].kind == IPLD_STRING;
}

static err_t check_special(const ipld_tree_t *tree, size_t at)
{
    size_t end = ipld_tree_after(tree, at);
    for (; at < end; at++)
        if (tree->items[at].kind == IPLD_MAP && looks_special(tree, at))
            return fail(ERR_INVALID,
                        "dag-json has no form for a map that is {\"/\": …} and neither link nor bytes");
    return OK;
}

/* json is written for readers, as the reference does: an entry a line, a tab for each level, a newline behind
 * a list or map. */
static void put_line(writer_t *w, bool is_pretty, size_t depth)
{
    if (is_pretty)
        write_u8(w, '\n');
    while (is_pretty && depth--)
        write_u8(w, '\t');
}

typedef struct json_text {
    writer_t w;
    bool is_dag, is_first, is_value; /* the first of its list or map; a value behind its key */
    size_t depth;
} json_text_t;

static void put_event(json_text_t *j, const ipld_event_t *e)
{
    if (e->kind == IPLD_END) {
        j->depth--;
        if (!j->is_first)
            put_line(&j->w, !j->is_dag, j->depth);
        write_u8(&j->w, e->integer == IPLD_MAP ? '}' : ']');
        if (!j->depth)
            put_line(&j->w, !j->is_dag, 0);
        j->is_first = j->is_value = false;
        return;
    }
    if (j->depth && !j->is_value) {
        if (!j->is_first)
            write_u8(&j->w, ',');
        put_line(&j->w, !j->is_dag, j->depth);
    }
    dag_json_put(&j->w, e, j->is_dag);
    if (e->is_key && !j->is_dag)
        write_u8(&j->w, ' ');
    j->is_value = e->is_key;
    j->is_first = e->kind == IPLD_LIST || e->kind == IPLD_MAP;
    j->depth += j->is_first;
}

static err_t write_json(const ipld_tree_t *tree, size_t at, bool is_dag, buf_t *out)
{
    AUTO(ipld_order_t) o;
    ipld_event_t e;
    json_text_t j = {.w = writer_to(out), .is_dag = is_dag};
    ipld_order_init(&o, tree, at, is_dag ? bytes_compare : NULL);
    if (is_dag)
        TRY(check_special(tree, at));
    while (!j.w.err && ipld_order_next(&o, &e))
        put_event(&j, &e);
    return j.w.err;
}

/* ── dag-pb ──────────────────────────────────────────────────────────────────────────────────── */
static bool key_is(const ipld_tree_t *tree, size_t key, const char *name)
{
    return bytes_equal(ipld_item_bytes(&tree->items[key]), bytes_str(name));
}

static err_t no_such_field(const ipld_tree_t *tree, size_t key, const char *where)
{
    bytes_t name = ipld_item_bytes(&tree->items[key]);
    return fail(ERR_INVALID, "invalid key for map dagpb.%s: \"%.*s\": no such field", where,
                name.len < 50 ? (int)name.len : 50, (const char *)name.data);
}

static err_t read_tsize(const ipld_item_t *item, dag_pb_link_t *link)
{
    if (item->kind == IPLD_NEGATIVE)
        return fail(ERR_INVALID, "Link has negative Tsize value [-%" PRIu64 "]", item->integer + 1);
    if (item->kind != IPLD_UINT)
        return wrong_kind(item, "AsInt", "int");
    link->tsize = item->integer;
    link->has_tsize = true;
    return OK;
}

static err_t read_link(const ipld_tree_t *tree, size_t map, dag_pb_link_t *ret)
{
    dag_pb_link_t link = {0};
    bool has_hash = false;
    if (tree->items[map].kind != IPLD_MAP)
        return wrong_null(&tree->items[map], "PBLink", "map");
    for (size_t key = map + 1; key < tree->items[map].next; key = ipld_tree_after(tree, key + 1)) {
        const ipld_item_t *value = &tree->items[key + 1];
        if (key_is(tree, key, "Hash")) {
            if (value->kind != IPLD_LINK)
                return wrong_kind(value, "AsLink", "link");
            TRY(cid_decode(ipld_item_bytes(value), &link.cid));
            has_hash = true;
        } else if (key_is(tree, key, "Name")) {
            if (value->kind != IPLD_STRING)
                return wrong_kind(value, "AsString", "string");
            link.name = ipld_item_bytes(value);
            link.has_name = true;
        } else if (key_is(tree, key, "Tsize")) {
            TRY(read_tsize(value, &link));
        } else {
            return no_such_field(tree, key, "PBLink");
        }
    }
    if (!has_hash)
        return fail(ERR_INVALID, "missing required fields: Hash");
    *ret = link;
    return OK;
}

typedef struct named {
    bytes_t name;
    uint32_t at, place;
} named_t;

/* By name; links of one name stay as they were. */
static int compare_named(const void *a, const void *b)
{
    const named_t *x = a, *y = b;
    int c = bytes_compare(x->name, y->name);
    return c ? c : x->place < y->place ? -1 : x->place > y->place;
}

static err_t put_links(const ipld_tree_t *tree, const named_t *links, size_t n, writer_t *w)
{
    for (size_t i = 0; i < n && !w->err; i++) {
        dag_pb_link_t link;
        TRY(read_link(tree, links[i].at, &link));
        dag_pb_put_link(w, &link);
    }
    return w->err;
}

static err_t write_links(const ipld_tree_t *tree, size_t list, writer_t *w)
{
    size_t n = 0;
    if (tree->items[list].kind != IPLD_LIST)
        return wrong_null(&tree->items[list], "PBLinks", "list");
    named_t *links = calloc(tree->items[list].len + 1, sizeof *links);
    if (!links)
        return fail(ERR_NO_MEMORY, "no memory for %u links", tree->items[list].len);
    err_t e = OK;
    for (size_t at = list + 1; at < tree->items[list].next && !e; at = ipld_tree_after(tree, at)) {
        dag_pb_link_t link;
        e = read_link(tree, at, &link);
        if (!e)
            links[n] = (named_t){link.name, (uint32_t)at, (uint32_t)n};
        n++;
    }
    if (!e) {
        qsort(links, n, sizeof *links, compare_named);
        e = put_links(tree, links, n, w);
    }
    free(links);
    return e;
}

static err_t write_dag_pb(const ipld_tree_t *tree, size_t at, buf_t *out)
{
    writer_t w = writer_to(out);
    const ipld_item_t *root = &tree->items[at];
    if (root->kind != IPLD_MAP)
        return fail(
            ERR_INVALID,
            "func called on wrong kind: \"AssignNode\" called on a dagpb.PBNode node (kind: %s), but only "
            "makes sense on map",
            ipld_kind_name(root->kind));
    for (size_t key = at + 1; key < root->next; key = ipld_tree_after(tree, key + 1))
        if (!key_is(tree, key, "Links") && !key_is(tree, key, "Data"))
            return no_such_field(tree, key, "PBNode");
    size_t links = ipld_tree_field(tree, at, "Links"), data = ipld_tree_field(tree, at, "Data");
    if (!links)
        return fail(ERR_INVALID, "missing required fields: Links");
    if (data && tree->items[data].kind == IPLD_NULL)
        return wrong_null(&tree->items[data], "Bytes", "bytes");
    if (data && tree->items[data].kind != IPLD_BYTES)
        return wrong_kind(&tree->items[data], "AsBytes", "bytes");
    TRY(write_links(tree, links, &w));
    if (data)
        dag_pb_put_data(&w, ipld_item_bytes(&tree->items[data]));
    return w.err;
}

/* ── all ─────────────────────────────────────────────────────────────────────────────────────── */
err_t ipld_tree_write(const ipld_tree_t *tree, size_t at, uint64_t codec, buf_t *out)
{
    switch (codec) {
    case CODEC_DAG_CBOR:
    case CODEC_CBOR:
        return write_cbor(tree, at, codec == CODEC_DAG_CBOR, out);
    case CODEC_DAG_JSON:
    case CODEC_JSON:
        return write_json(tree, at, codec == CODEC_DAG_JSON, out);
    case CODEC_DAG_PB:
        return write_dag_pb(tree, at, out);
    case CODEC_GIT_RAW:
        return git_raw_write(tree, at, out);
    case CODEC_DAG_JOSE:
        return dag_jose_write(tree, at, out);
    case CODEC_RAW:
        if (tree->items[at].kind != IPLD_BYTES)
            return wrong_kind(&tree->items[at], "AsBytes", "bytes");
        return buf_append(out, ipld_item_bytes(&tree->items[at]));
    default:
        return fail(ERR_UNSUPPORTED, "no encoder registered for multicodec code %llu (0x%llx)",
                    (unsigned long long)codec, (unsigned long long)codec);
    }
}

err_t ipld_convert(uint64_t from_codec, bytes_t block, uint64_t to_codec, buf_t *out)
{
    AUTO(ipld_tree_t) tree = {0};
    TRY(ipld_tree_read(&tree, from_codec, block, 0));
    return ipld_tree_write(&tree, 0, to_codec, out);
}
