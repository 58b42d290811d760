#include "codec/manifest.h"
#include "codec/cbor_record.h"
#include "crypto/hash.h"
#include <stdio.h>

enum { VERSION = 1, MANIFEST_FIELDS = 7, NODE_FIELDS = 3 };
#define SIGNED_AS "distribute-manifest-v1"

/* ── signatures of owners ────────────────────────────────────────────────────────────────────── */
static err_t put_signed_text(const char *what, bytes_t message, buf_t *out)
{
    TRY(buf_append(out, bytes_of(what, strlen(what) + 1)));
    return buf_append(out, message);
}

err_t owner_sign(const private_key_t *key, const char *what, bytes_t message,
                 uint8_t ret_signature[OWNER_SIGNATURE_BYTES])
{
    AUTO(buf_t) text, signature;
    buf_init(&text, MANIFEST_MAX_BYTES);
    buf_init(&signature, OWNER_SIGNATURE_BYTES);
    if (private_key_type(key) != KEY_ED25519)
        return fail(ERR_INVALID, "files are owned by Ed25519 keys");
    TRY(put_signed_text(what, message, &text));
    TRY(private_key_sign(key, buf_bytes(&text), &signature));
    memcpy(ret_signature, signature.data, OWNER_SIGNATURE_BYTES);
    return OK;
}

err_t owner_verify(const owner_key_t *owner, const char *what, bytes_t message, bytes_t signature)
{
    AUTO(buf_t) text;
    public_key_t key;
    buf_init(&text, MANIFEST_MAX_BYTES);
    if (public_key_from_data(KEY_ED25519, bytes_of(owner->data, OWNER_KEY_BYTES), &key))
        return fail(ERR_CRYPTO, "the owner's key is none");
    TRY(put_signed_text(what, message, &text));
    return public_key_verify(&key, buf_bytes(&text), signature);
}

owner_key_t owner_key_of(const private_key_t *key)
{
    owner_key_t owner;
    const public_key_t *public = private_key_public(key);
    assert(public->type == KEY_ED25519 && public->len == OWNER_KEY_BYTES);
    memcpy(owner.data, public->data, OWNER_KEY_BYTES);
    return owner;
}

bool owner_key_equal(const owner_key_t *a, const owner_key_t *b)
{
    return memcmp(a->data, b->data, OWNER_KEY_BYTES) == 0;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static bytes_t read_exact(reader_t *r, size_t len)
{
    bytes_t b = cbor_read_bytes(r, len);
    if (b.len != len)
        reader_fail(r, ERR_INVALID);
    return b;
}

static void read_links(reader_t *r, manifest_t *m)
{
    cbor_read_key(r, "links");
    m->n_links = (size_t)cbor_read_list(r);
    if (m->n_links > MANIFEST_LINKS_MAX)
        reader_fail(r, ERR_LIMIT);
    const uint8_t *begin = r->pos;
    cid_t link;
    for (size_t i = 0; i < m->n_links && !r->err; i++)
        cbor_read_link(r, &link);
    m->links = bytes_of(begin, (size_t)(r->pos - begin));
}

static void read_manifest_fields(reader_t *r, manifest_t *m)
{
    cbor_read_key(r, "salt");
    m->salt = read_exact(r, MANIFEST_SALT_BYTES);
    cbor_read_key(r, "check");
    m->check = read_exact(r, MANIFEST_CHECK_BYTES);
    cbor_read_key(r, "epoch");
    m->epoch = cbor_read_uint(r);
    read_links(r, m);
    cbor_read_key(r, "owner");
    cbor_read_fixed(r, m->owner.data, OWNER_KEY_BYTES);
    cbor_read_key(r, "wrapped");
    m->wrapped = read_exact(r, MANIFEST_WRAPPED_BYTES);
}

static void read_clear(reader_t *r, manifest_t *m)
{
    const uint8_t *begin = r->pos;
    cbor_read_record(r, VERSION, m->is_node ? NODE_FIELDS : MANIFEST_FIELDS);
    if (m->is_node) {
        cbor_read_key(r, "node");
        m->node = cbor_read_uint(r);
        if (!m->node)
            reader_fail(r, ERR_INVALID);
        read_links(r, m);
    } else {
        read_manifest_fields(r, m);
    }
    m->clear = bytes_of(begin, (size_t)(r->pos - begin));
}

err_t manifest_decode(bytes_t block, manifest_t *ret)
{
    manifest_t m = {0};
    reader_t r = reader_of(block);
    if (block.len > MANIFEST_MAX_BYTES)
        return fail(ERR_LIMIT, "a manifest of %zu bytes is over the limit of %u", block.len,
                    MANIFEST_MAX_BYTES);
    uint64_t parts = cbor_read_map(&r);
    if (parts != 2 && parts != 3)
        reader_fail(&r, ERR_INVALID);
    m.is_node = parts == 2;
    cbor_read_key(&r, "clear");
    read_clear(&r, &m);
    cbor_read_key(&r, "sealed");
    m.sealed = cbor_read_bytes(&r, MANIFEST_MAX_BYTES);
    if (!m.is_node) {
        cbor_read_key(&r, "signature");
        m.signature = read_exact(&r, OWNER_SIGNATURE_BYTES);
    }
    TRY(cbor_read_done(&r, m.is_node ? "node of a manifest" : "manifest"));
    *ret = m;
    return OK;
}

cid_t manifest_link(const manifest_t *m, size_t i)
{
    assert(i < m->n_links);
    reader_t r = reader_of(bytes_slice(m->links, i * CBOR_LINK_BYTES, CBOR_LINK_BYTES));
    cid_t link;
    cbor_read_link(&r, &link);
    return link;
}

/* What the owner signs. */
static void digest_parts(bytes_t clear, bytes_t sealed, uint8_t out[64])
{
    sha256_of(clear, out);
    sha256_of(sealed, out + 32);
}

err_t manifest_verify(const manifest_t *m)
{
    uint8_t digests[64];
    if (m->is_node)
        return fail(ERR_INVALID, "a node below a manifest has no signature of its own");
    digest_parts(m->clear, m->sealed, digests);
    err_t e = owner_verify(&m->owner, SIGNED_AS, bytes_of(digests, sizeof digests), m->signature);
    return e ? fail(e, "the manifest is not signed by the owner that it names: it was changed or forged")
             : OK;
}

bool manifest_is_cid(const cid_t *cid)
{
    return cid->codec == CODEC_DAG_CBOR && cbor_can_link(cid);
}

err_t manifest_parse_name(bytes_t text, cid_t *ret_cid)
{
    if (text.len == 64) {
        AUTO(buf_t) digest;
        buf_init(&digest, 32);
        if (!hex_decode(text, &digest)) {
            *ret_cid = cid_of_sha256(1, CODEC_DAG_CBOR, digest.data);
            return OK;
        }
    }
    cid_t cid;
    err_t e = cid_parse(text, &cid);
    if (e || !manifest_is_cid(&cid))
        return fail(ERR_INVALID,
                    "\"%.*s\" names no encrypted file: give the CID that store printed, or its 64 "
                    "hex digits",
                    (int)(text.len < 120 ? text.len : 120), (const char *)text.data);
    *ret_cid = cid;
    return OK;
}

void manifest_print_hex(const cid_t *cid, char out[65])
{
    hex_text(bytes_of(cid->digest, 32), out, 65);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_links(writer_t *w, const cid_t *links, size_t n)
{
    cbor_put_key(w, "links");
    cbor_put_list(w, n);
    for (size_t i = 0; i < n; i++)
        cbor_put_link(w, &links[i]);
}

static void put_field(writer_t *w, const char *key, bytes_t value)
{
    cbor_put_key(w, key);
    cbor_put_bytes(w, value);
}

err_t manifest_encode_clear(const manifest_t *m, const cid_t *links, buf_t *out)
{
    writer_t w = writer_to(out);
    if (m->n_links > MANIFEST_LINKS_MAX)
        return fail(ERR_LIMIT, "%zu links are over the limit of %d", m->n_links, MANIFEST_LINKS_MAX);
    cbor_put_record(&w, VERSION, m->is_node ? NODE_FIELDS : MANIFEST_FIELDS);
    if (m->is_node) {
        assert(m->node);
        cbor_put_key(&w, "node");
        cbor_put_uint(&w, m->node);
        put_links(&w, links, m->n_links);
        return w.err;
    }
    assert(m->salt.len == MANIFEST_SALT_BYTES && m->check.len == MANIFEST_CHECK_BYTES &&
           m->wrapped.len == MANIFEST_WRAPPED_BYTES);
    put_field(&w, "salt", m->salt);
    put_field(&w, "check", m->check);
    cbor_put_key(&w, "epoch");
    cbor_put_uint(&w, m->epoch);
    put_links(&w, links, m->n_links);
    put_field(&w, "owner", bytes_of(m->owner.data, OWNER_KEY_BYTES));
    put_field(&w, "wrapped", m->wrapped);
    return w.err;
}

err_t manifest_encode(bytes_t clear, bytes_t sealed, const private_key_t *key, buf_t *out)
{
    uint8_t digests[64], signature[OWNER_SIGNATURE_BYTES];
    writer_t w = writer_to(out);
    cbor_put_map(&w, key ? 3 : 2);
    cbor_put_key(&w, "clear");
    write_bytes(&w, clear);
    put_field(&w, "sealed", sealed);
    if (key) {
        digest_parts(clear, sealed, digests);
        TRY(owner_sign(key, SIGNED_AS, bytes_of(digests, sizeof digests), signature));
        put_field(&w, "signature", bytes_of(signature, sizeof signature));
    }
    return w.err;
}
