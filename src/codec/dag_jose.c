#include "codec/dag_jose.h"
#include "codec/ipld_build.h"

/* ── the fields ──────────────────────────────────────────────────────────────────────────────── */
typedef enum { BINARY, ANY, ENTRIES } field_kind_t;
typedef struct field {
    const char *name;
    field_kind_t kind;
    bool is_required;
} field_t;
typedef struct shape {
    const char *name, *entries_name; /* in the reference's schema */
    const field_t *fields, *entries;
    size_t n_fields, n_entries;
} shape_t;

/* In the order of the reference's schema. */
static const field_t recipient_fields[] = {{"header", ANY, false}, {"encrypted_key", BINARY, false}};
static const field_t jwe_fields[] = {{"aad", BINARY, false},         {"ciphertext", BINARY, true},
                                     {"iv", BINARY, false},          {"protected", BINARY, false},
                                     {"recipients", ENTRIES, false}, {"tag", BINARY, false},
                                     {"unprotected", ANY, false}};
static const field_t signature_fields[] = {
    {"header", ANY, false}, {"protected", BINARY, false}, {"signature", BINARY, true}};
static const field_t jws_fields[] = {{"payload", BINARY, true}, {"signatures", ENTRIES, false}};
static const shape_t jwe = {
    "JWE", "Recipient", jwe_fields, recipient_fields, ARRAY_LEN(jwe_fields), ARRAY_LEN(recipient_fields)};
static const shape_t jws = {
    "JWS", "Signature", jws_fields, signature_fields, ARRAY_LEN(jws_fields), ARRAY_LEN(signature_fields)};

typedef struct convert {
    ipld_builder_t b;
    const ipld_tree_t *from;
    const shape_t *shape;
    bool is_reading;
    buf_t scratch;
} convert_t;

static void refuse(convert_t *c, const char *name, const char *what)
{
    if (!c->b.err)
        c->b.err = fail(ERR_INVALID, "not dag-jose: \"%s\" %s", name, what);
}

static void check_known(convert_t *c, size_t map, const char *type, const field_t *fields, size_t n)
{
    const ipld_tree_t *tree = c->from;
    for (size_t key = map + 1; key < tree->items[map].next && !c->b.err;
         key = ipld_tree_after(tree, key + 1)) {
        bytes_t name = ipld_item_bytes(&tree->items[key]);
        bool is_known = c->shape == &jws && fields == jws_fields && bytes_equal(name, BYTES_LIT("link"));
        for (size_t i = 0; i < n; i++)
            is_known |= bytes_equal(name, bytes_str(fields[i].name));
        if (!is_known)
            c->b.err = fail(ERR_INVALID, "invalid key for map dagjose.%s%s.Repr: \"%.*s\": no such field",
                            c->is_reading ? "Decoded" : "Encoded", type, name.len < 50 ? (int)name.len : 50,
                            (const char *)name.data);
    }
}

/* ── values ──────────────────────────────────────────────────────────────────────────────────── */
/* The bytes of a field: themselves, or base64url. Borrowed from the tree or, until the next call, from c. */
static bytes_t binary(convert_t *c, const char *name, size_t at)
{
    const ipld_item_t *item = &c->from->items[at];
    if (item->kind == IPLD_BYTES)
        return ipld_item_bytes(item);
    buf_clear(&c->scratch);
    if (item->kind != IPLD_STRING)
        refuse(c, name, "must be bytes, or base64url as a string");
    else if (multibase_decode_lenient(MB_BASE64URL, ipld_item_bytes(item), &c->scratch))
        refuse(c, name, "is not base64url without padding");
    return buf_bytes(&c->scratch);
}

static void build_binary(convert_t *c, const char *name, size_t at)
{
    AUTO(buf_t) text = {0};
    bytes_t data = binary(c, name, at);
    if (!c->is_reading) {
        ipld_build_copy(&c->b, IPLD_BYTES, data);
        return;
    }
    buf_init(&text, 2 * data.len + 4);
    if (!c->b.err)
        c->b.err = multibase_encode_raw(MB_BASE64URL, data, &text);
    ipld_build_copy(&c->b, IPLD_STRING, buf_bytes(&text));
}

static void build_field(convert_t *c, const field_t *f, size_t at)
{
    ipld_build_key(&c->b, f->name);
    if (f->kind == BINARY)
        build_binary(c, f->name, at);
    else if (c->is_reading || c->from->items[at].kind == IPLD_MAP)
        ipld_build_value(&c->b, c->from, at);
    else
        refuse(c, f->name, "must be a map");
}

/* One signature or recipient, of the fields that are in the map. */
static void build_entry(convert_t *c, size_t map)
{
    ipld_build(&c->b, IPLD_MAP);
    for (size_t i = 0; i < c->shape->n_entries; i++) {
        const field_t *f = &c->shape->entries[i];
        size_t at = ipld_tree_field(c->from, map, f->name);
        if (at)
            build_field(c, f, at);
        else if (f->is_required && !c->b.err)
            c->b.err = fail(ERR_INVALID, "missing required fields: %s", f->name);
    }
    ipld_build(&c->b, IPLD_END);
}

static void build_entries(convert_t *c, const char *name, size_t list)
{
    const ipld_tree_t *tree = c->from;
    if (tree->items[list].kind != IPLD_LIST) {
        refuse(c, name, "must be a list");
        return;
    }
    ipld_build_key(&c->b, name);
    ipld_build(&c->b, IPLD_LIST);
    for (size_t at = list + 1; at < tree->items[list].next && !c->b.err; at = ipld_tree_after(tree, at)) {
        if (tree->items[at].kind != IPLD_MAP) {
            refuse(c, name, "must be a list of maps");
            return;
        }
        check_known(c, at, c->shape->entries_name, c->shape->entries, c->shape->n_entries);
        build_entry(c, at);
    }
    ipld_build(&c->b, IPLD_END);
}

/* ── the payload ─────────────────────────────────────────────────────────────────────────────── */
/* JSON, in which the text ipfs://CID is a link. Not written: it is in the payload. */
static void build_json(convert_t *c, bytes_t payload)
{
    AUTO(ipld_tree_t) json = {0};
    ipld_event_t e;
    cid_t cid;
    uint8_t encoded[CID_BINARY_MAX];
    bytes_t scheme = BYTES_LIT("ipfs://");
    if (c->b.err)
        return;
    if (ipld_tree_read(&json, CODEC_JSON, payload, 0) || json.items[0].kind != IPLD_MAP) {
        refuse(c, "payload", "is neither a CID nor a JSON object");
        return;
    }
    if (!c->is_reading)
        return;
    ipld_build_key(&c->b, "pld");
    AUTO(ipld_order_t) o;
    ipld_order_init(&o, &json, 0, NULL);
    while (ipld_order_next(&o, &e)) {
        e.is_in_block = false;
        if (e.kind == IPLD_STRING && !e.is_key && bytes_starts_with(e.bytes, scheme) &&
            !cid_parse(bytes_slice(e.bytes, scheme.len, e.bytes.len), &cid)) {
            e.kind = IPLD_LINK;
            e.bytes = bytes_of(encoded, cid_encode(&cid, encoded));
        }
        ipld_build_event(&c->b, e);
    }
}

static void check_link(convert_t *c, size_t map, const cid_t *payload)
{
    size_t at = ipld_tree_field(c->from, map, "link");
    cid_t link;
    if (at && (!payload || c->from->items[at].kind != IPLD_LINK ||
               cid_decode(ipld_item_bytes(&c->from->items[at]), &link) || !cid_equal(&link, payload)))
        refuse(c, "link", "is not the CID that is the payload");
}

/* What is read of the payload stands before and behind its text, as in the reference's schema. */
static void build_payload(convert_t *c, size_t map, size_t at)
{
    AUTO(buf_t) data = {0};
    cid_t cid;
    uint8_t encoded[CID_BINARY_MAX];
    bytes_t payload = binary(c, "payload", at);
    bool is_cid = !cid_decode(payload, &cid);
    buf_init(&data, payload.len);
    if (!c->b.err)
        c->b.err = buf_append(&data, payload);
    check_link(c, map, is_cid ? &cid : NULL);
    if (c->is_reading && is_cid) {
        ipld_build_key(&c->b, "link");
        ipld_build_copy(&c->b, IPLD_LINK, bytes_of(encoded, cid_encode(&cid, encoded)));
    }
    ipld_build_key(&c->b, "payload");
    build_binary(c, "payload", at);
    if (!is_cid)
        build_json(c, buf_bytes(&data));
}

/* ── all ─────────────────────────────────────────────────────────────────────────────────────── */
/* The flattened form: the fields of the only signature or recipient stand beside the others. */
static void build_flattened(convert_t *c, const field_t *list, size_t map)
{
    bool has_any = c->shape == &jws; /* a signature is required, recipients are not */
    for (size_t i = 0; i < c->shape->n_entries; i++)
        has_any |= ipld_tree_field(c->from, map, c->shape->entries[i].name) != 0;
    if (c->is_reading || !has_any)
        return;
    ipld_build_key(&c->b, list->name);
    ipld_build(&c->b, IPLD_LIST);
    build_entry(c, map);
    ipld_build(&c->b, IPLD_END);
}

static void check_general(convert_t *c, size_t map)
{
    for (size_t i = 0; i < c->shape->n_entries; i++)
        if (ipld_tree_field(c->from, map, c->shape->entries[i].name) && !c->b.err)
            c->b.err = fail(ERR_INVALID, "invalid %s serialization", c->shape->name);
}

static void build_list(convert_t *c, const field_t *f, size_t map, size_t at)
{
    const ipld_item_t *items = c->from->items;
    if (!at) {
        build_flattened(c, f, map);
        return;
    }
    if (!c->is_reading)
        check_general(c, map);
    /* An only recipient that says nothing is written as none. */
    if (!c->is_reading && c->shape == &jwe && items[at].kind == IPLD_LIST && items[at].len == 1 &&
        items[at + 1].kind == IPLD_MAP && !items[at + 1].len)
        return;
    build_entries(c, f->name, at);
}

static void build_all(convert_t *c, size_t map)
{
    if (c->is_reading)
        check_known(c, map, c->shape->name, c->shape->fields, c->shape->n_fields);
    ipld_build(&c->b, IPLD_MAP);
    for (size_t i = 0; i < c->shape->n_fields && !c->b.err; i++) {
        const field_t *f = &c->shape->fields[i];
        size_t at = ipld_tree_field(c->from, map, f->name);
        if (f->kind == ENTRIES)
            build_list(c, f, map, at);
        else if (at && c->shape == &jws)
            build_payload(c, map, at);
        else if (at)
            build_field(c, f, at);
        else if (f->is_required)
            c->b.err = fail(ERR_INVALID, "missing required fields: %s", f->name);
    }
    ipld_build(&c->b, IPLD_END);
}

static err_t convert(const ipld_tree_t *from, size_t map, bool is_reading, size_t size, ipld_tree_t *to)
{
    if (from->items[map].kind != IPLD_MAP)
        return fail(ERR_INVALID, "not dag-jose: a %s", ipld_kind_name(from->items[map].kind));
    bool is_jwe = ipld_tree_field(from, map, "ciphertext") != 0;
    if (!is_jwe && !is_reading && !ipld_tree_field(from, map, "payload"))
        return fail(ERR_INVALID, "invalid JOSE object");
    /* Payloads are there up to three times, as text by a third longer. */
    convert_t c = {.b = ipld_builder_to(to, 4 * size + CID_BINARY_MAX),
                   .from = from,
                   .shape = is_jwe ? &jwe : &jws,
                   .is_reading = is_reading};
    buf_init(&c.scratch, size);
    build_all(&c, map);
    buf_deinit(&c.scratch);
    return c.b.err;
}

err_t dag_jose_read(ipld_tree_t *tree, bytes_t block)
{
    AUTO(ipld_tree_t) cbor = {0};
    TRY(ipld_tree_read(&cbor, CODEC_DAG_CBOR, block, 0));
    return convert(&cbor, 0, true, block.len, tree);
}

/* Bytes of all strings in a value. */
static size_t text_size(const ipld_tree_t *tree, size_t at)
{
    size_t size = 0;
    for (size_t end = ipld_tree_after(tree, at); at < end; at++)
        if (tree->items[at].kind >= IPLD_STRING && tree->items[at].kind <= IPLD_LINK)
            size += tree->items[at].len;
    return size;
}

err_t dag_jose_write(const ipld_tree_t *tree, size_t at, buf_t *out)
{
    AUTO(ipld_tree_t) encoded = {0};
    TRY(convert(tree, at, false, text_size(tree, at), &encoded));
    return ipld_tree_write(&encoded, 0, CODEC_DAG_CBOR, out);
}
