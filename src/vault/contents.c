#include "vault/contents.h"
#include "base/utf8.h"
#include "codec/cbor_record.h"

enum { MANIFEST_FIELDS = 9, NODE_FIELDS = 2, ENTRY_FIELDS = 4 };

bool contents_name_is_valid(bytes_t name)
{
    return name.len && name.len <= VAULT_NAME_MAX && utf8_is_valid(name) && !memchr(name.data, 0, name.len) &&
           !memchr(name.data, '/', name.len) && !bytes_equal(name, BYTES_LIT(".")) &&
           !bytes_equal(name, BYTES_LIT(".."));
}

bool contents_type_is_valid(bytes_t type)
{
    return !type.len ||
           (type.len <= VAULT_TYPE_MAX && utf8_is_valid(type) && !memchr(type.data, 0, type.len));
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_maybe(writer_t *w, const char *key, bool has, uint64_t value)
{
    cbor_put_key(w, key);
    cbor_put_list(w, has);
    if (has)
        cbor_put_uint(w, value);
}

static void put_uint(writer_t *w, const char *key, uint64_t value)
{
    cbor_put_key(w, key);
    cbor_put_uint(w, value);
}

static void put_text(writer_t *w, const char *key, bytes_t value)
{
    cbor_put_key(w, key);
    cbor_put_text(w, value);
}

err_t contents_encode(const contents_t *c, bool is_node, buf_t *out)
{
    writer_t w = writer_to(out);
    cbor_put_map(&w, is_node ? NODE_FIELDS : MANIFEST_FIELDS);
    cbor_put_key(&w, "keys");
    cbor_put_bytes(&w, c->keys);
    if (!is_node) {
        put_uint(&w, "kind", c->is_folder);
        put_maybe(&w, "mode", c->has_mode, c->mode);
        put_text(&w, "name", c->name);
        put_uint(&w, "size", c->size);
        put_text(&w, "type", c->type);
        put_maybe(&w, "mtime", c->has_mtime, c->mtime_s);
        put_uint(&w, "height", c->height);
    }
    cbor_put_key(&w, "entries");
    cbor_put_list(&w, c->n_entries);
    write_bytes(&w, c->entries);
    return w.err;
}

err_t contents_encode_entry(const contents_entry_t *e, buf_t *out)
{
    writer_t w = writer_to(out);
    cbor_put_map(&w, ENTRY_FIELDS);
    cbor_put_key(&w, "key");
    cbor_put_bytes(&w, bytes_of(e->key.data, sizeof e->key.data));
    put_uint(&w, "kind", e->is_folder);
    put_text(&w, "name", e->name);
    put_uint(&w, "size", e->size);
    return w.err;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static bool read_kind(reader_t *r)
{
    cbor_read_key(r, "kind");
    uint64_t kind = cbor_read_uint(r);
    if (kind > 1)
        reader_fail(r, ERR_INVALID);
    return kind == 1;
}

static bytes_t read_name(reader_t *r)
{
    cbor_read_key(r, "name");
    bytes_t name = cbor_read_text(r, VAULT_NAME_MAX);
    if (!contents_name_is_valid(name))
        reader_fail(r, ERR_INVALID);
    return name;
}

static uint64_t read_uint(reader_t *r, const char *key)
{
    cbor_read_key(r, key);
    return cbor_read_uint(r);
}

static uint64_t read_maybe(reader_t *r, const char *key, bool *ret_has, uint64_t max)
{
    cbor_read_key(r, key);
    uint64_t n = cbor_read_list(r), value = n ? cbor_read_uint(r) : 0;
    if (n > 1 || value > max)
        reader_fail(r, ERR_INVALID);
    *ret_has = n == 1;
    return value;
}

contents_entry_t contents_next_entry(reader_t *r)
{
    contents_entry_t e;
    if (cbor_read_map(r) != ENTRY_FIELDS)
        reader_fail(r, ERR_INVALID);
    cbor_read_key(r, "key");
    cbor_read_fixed(r, e.key.data, sizeof e.key.data);
    e.is_folder = read_kind(r);
    e.name = read_name(r);
    e.size = read_uint(r, "size");
    return e;
}

static void read_entries(reader_t *r, contents_t *c)
{
    cbor_read_key(r, "entries");
    c->n_entries = (size_t)cbor_read_list(r);
    const uint8_t *begin = r->pos;
    bytes_t last = BYTES_NONE;
    for (size_t i = 0; i < c->n_entries && !r->err; i++) {
        contents_entry_t e = contents_next_entry(r);
        if (i && bytes_compare(last, e.name) >= 0)
            reader_fail(r, ERR_INVALID);
        last = e.name;
        secret_wipe(&e.key, sizeof e.key);
    }
    c->entries = bytes_of(begin, (size_t)(r->pos - begin));
}

static void read_fields(reader_t *r, contents_t *c)
{
    c->is_folder = read_kind(r);
    c->mode = (uint32_t)read_maybe(r, "mode", &c->has_mode, UINT32_MAX);
    c->name = read_name(r);
    c->size = read_uint(r, "size");
    cbor_read_key(r, "type");
    c->type = cbor_read_text(r, VAULT_TYPE_MAX);
    c->mtime_s = read_maybe(r, "mtime", &c->has_mtime, INT64_MAX);
    uint64_t height = read_uint(r, "height");
    if (height > CONTENTS_HEIGHT_MAX || !contents_type_is_valid(c->type))
        reader_fail(r, ERR_INVALID);
    c->height = r->err ? 0 : (uint32_t)height;
}

/* Are the links what the level says? */
static bool links_fit(const manifest_t *m, const contents_t *c, uint32_t level)
{
    bool has_chunks = !level && !c->is_folder, has_entries = !level && c->is_folder;
    if (c->keys.len != (has_chunks ? m->n_links * VAULT_SECRET_BYTES : 0) ||
        c->n_entries != (has_entries ? m->n_links : 0) || (level && !m->n_links))
        return false;
    for (size_t i = 0; i < m->n_links; i++) {
        cid_t link = manifest_link(m, i);
        if (link.codec != (has_chunks ? CODEC_RAW : CODEC_DAG_CBOR))
            return false;
    }
    return true;
}

err_t contents_decode(bytes_t plain, const manifest_t *m, uint32_t level, bool is_folder, contents_t *ret)
{
    contents_t c = {.is_folder = is_folder};
    bool is_manifest = level == UINT32_MAX;
    reader_t r = reader_of(plain);
    if (m->is_node == is_manifest || cbor_read_map(&r) != (is_manifest ? MANIFEST_FIELDS : NODE_FIELDS))
        reader_fail(&r, ERR_INVALID);
    cbor_read_key(&r, "keys");
    c.keys = cbor_read_bytes(&r, MANIFEST_LINKS_MAX * VAULT_SECRET_BYTES);
    if (is_manifest)
        read_fields(&r, &c);
    read_entries(&r, &c);
    bytes_t padding = read_rest(&r);
    for (size_t i = 0; i < padding.len; i++)
        if (padding.data[i])
            reader_fail(&r, ERR_INVALID);
    if (r.err || !links_fit(m, &c, is_manifest ? c.height : level))
        return fail(ERR_CORRUPT, "what is sealed in the %s is not what its links say",
                    is_manifest ? "manifest" : "node");
    *ret = c;
    return OK;
}
