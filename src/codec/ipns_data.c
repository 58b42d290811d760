#include "codec/ipns_data.h"
#include "codec/dag_cbor.h"
#include "codec/ipld_tree.h"

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t missing(const char *key)
{
    return fail(ERR_INVALID, "record is malformed: its data has no %s of the right kind", key);
}

static err_t find_bytes(const ipld_tree_t *tree, const char *key, bytes_t *ret)
{
    size_t at;
    if (ipld_tree_find(tree, 0, bytes_str(key), &at) || tree->items[at].kind != IPLD_BYTES)
        return missing(key);
    *ret = ipld_item_bytes(&tree->items[at]);
    return OK;
}

static err_t find_number(const ipld_tree_t *tree, const char *key, uint64_t *ret)
{
    size_t at;
    if (ipld_tree_find(tree, 0, bytes_str(key), &at) || tree->items[at].kind != IPLD_UINT)
        return missing(key);
    *ret = tree->items[at].integer;
    return OK;
}

static bool is_canonical(const ipld_tree_t *tree, bytes_t in)
{
    AUTO(buf_t) again;
    buf_init(&again, 2 * IPNS_RECORD_MAX_BYTES);
    return !ipld_tree_write(tree, 0, CODEC_DAG_CBOR, &again) && bytes_equal(buf_bytes(&again), in);
}

err_t ipns_data_decode(bytes_t in, ipns_fields_t *ret)
{
    AUTO(ipld_tree_t) tree = {0};
    ipns_fields_t f = {0};
    size_t at;
    if (ipld_tree_read(&tree, CODEC_DAG_CBOR, in, 0) || tree.items[0].kind != IPLD_MAP ||
        !is_canonical(&tree, in))
        return fail(ERR_INVALID, "record is malformed: its data is no canonical dag-cbor map");
    TRY(find_bytes(&tree, "Value", &f.value)); /* bytes borrow from `in`: those of canonical data do */
    TRY(find_bytes(&tree, "Validity", &f.validity));
    TRY(find_number(&tree, "ValidityType", &f.validity_type));
    TRY(find_number(&tree, "Sequence", &f.sequence));
    f.has_ttl = !ipld_tree_find(&tree, 0, BYTES_LIT("TTL"), &at);
    if (f.has_ttl)
        TRY(find_number(&tree, "TTL", &f.ttl_ns));
    *ret = f;
    return OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_key(writer_t *w, const char *key)
{
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_STRING, .is_key = true, .bytes = bytes_str(key)});
}

static void put_number(writer_t *w, const char *key, uint64_t number)
{
    put_key(w, key);
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_UINT, .integer = number});
}

static void put_bytes(writer_t *w, const char *key, bytes_t bytes)
{
    put_key(w, key);
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_BYTES, .bytes = bytes});
}

err_t ipns_data_encode(const ipns_fields_t *f, buf_t *out)
{
    enum { N_FIELDS = 5 };
    writer_t w = writer_to(out);
    dag_cbor_put(&w, &(ipld_event_t){.kind = IPLD_MAP, .integer = N_FIELDS});
    put_number(&w, "TTL", f->ttl_ns); /* in the order of dag_cbor_compare_keys */
    put_bytes(&w, "Value", f->value);
    put_number(&w, "Sequence", f->sequence);
    put_bytes(&w, "Validity", f->validity);
    put_number(&w, "ValidityType", f->validity_type);
    return w.err;
}
