#include "codec/cbor_record.h"
#include "base/utf8.h"
#include "codec/dag_cbor.h"

enum { UINT = 0, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, FALSE = 0xf4, TRUE = 0xf5 };
static const uint8_t link_head[] = {0xd8, 42, 0x58, 37, 0, 1}; /* tag 42, 37 bytes, a zero byte, CIDv1 */
static const uint8_t sha256_head[] = {MH_SHA2_256, 32};

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static uint64_t read_head(reader_t *r, uint8_t major)
{
    uint8_t first = read_u8(r), minor = first & 31;
    uint64_t value = minor, least = 0;
    if (minor == 24) {
        value = read_u8(r);
        least = 24;
    } else if (minor == 25) {
        value = read_u16be(r);
        least = UINT8_MAX + 1;
    } else if (minor == 26) {
        value = read_u32be(r);
        least = UINT16_MAX + 1;
    } else if (minor == 27) {
        value = read_u64be(r);
        least = (uint64_t)UINT32_MAX + 1;
    }
    if (first >> 5 != major || minor > 27 || value < least)
        reader_fail(r, ERR_INVALID);
    return r->err ? 0 : value;
}

/* An item takes a byte at least. */
static uint64_t read_count(reader_t *r, uint8_t major)
{
    uint64_t n = read_head(r, major);
    if (n > reader_left(r))
        reader_fail(r, ERR_EOF);
    return r->err ? 0 : n;
}

uint64_t cbor_read_map(reader_t *r)
{
    return read_count(r, MAP);
}

uint64_t cbor_read_list(reader_t *r)
{
    return read_count(r, ARRAY);
}

void cbor_read_record(reader_t *r, uint64_t version, uint64_t fields)
{
    uint64_t n = cbor_read_map(r);
    cbor_read_key(r, "v");
    if (cbor_read_uint(r) != version)
        reader_fail(r, ERR_UNSUPPORTED);
    if (n != fields)
        reader_fail(r, ERR_INVALID);
}

static bytes_t read_string(reader_t *r, uint8_t major, size_t max)
{
    uint64_t len = read_head(r, major);
    if (len > max)
        reader_fail(r, ERR_LIMIT);
    return read_bytes(r, r->err ? 0 : (size_t)len);
}

void cbor_read_key(reader_t *r, const char *key)
{
    if (!bytes_equal(read_string(r, TEXT, SIZE_MAX), bytes_str(key)))
        reader_fail(r, ERR_INVALID);
}

uint64_t cbor_read_uint(reader_t *r)
{
    return read_head(r, UINT);
}

bool cbor_read_bool(reader_t *r)
{
    uint8_t b = read_u8(r);
    if (b != FALSE && b != TRUE)
        reader_fail(r, ERR_INVALID);
    return b == TRUE;
}

bytes_t cbor_read_bytes(reader_t *r, size_t max)
{
    return read_string(r, BYTES, max);
}

bytes_t cbor_read_text(reader_t *r, size_t max)
{
    bytes_t text = read_string(r, TEXT, max);
    if (!utf8_is_valid(text))
        reader_fail(r, ERR_INVALID);
    return text;
}

void cbor_read_fixed(reader_t *r, uint8_t *out, size_t len)
{
    bytes_t b = read_string(r, BYTES, len);
    if (b.len != len)
        reader_fail(r, ERR_INVALID);
    memset(out, 0, len);
    if (!r->err)
        memcpy(out, b.data, len);
}

void cbor_read_link(reader_t *r, cid_t *ret)
{
    bytes_t b = read_bytes(r, CBOR_LINK_BYTES);
    *ret = (cid_t){0};
    if (r->err)
        return;
    uint8_t codec = b.data[sizeof link_head];
    if (memcmp(b.data, link_head, sizeof link_head) != 0 || (codec != CODEC_RAW && codec != CODEC_DAG_CBOR) ||
        memcmp(b.data + sizeof link_head + 1, sha256_head, sizeof sha256_head) != 0) {
        reader_fail(r, ERR_INVALID);
        return;
    }
    *ret = cid_of_sha256(1, codec, b.data + CBOR_LINK_BYTES - 32);
}

err_t cbor_read_done(const reader_t *r, const char *what)
{
    if (r->err)
        return fail(r->err, "not a valid %s", what);
    return reader_left(r) ? fail(ERR_INVALID, "not a valid %s: bytes behind its end", what) : OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_integer(writer_t *w, ipld_kind_t kind, uint64_t value)
{
    dag_cbor_put(w, &(ipld_event_t){.kind = kind, .integer = value});
}

static void put_string(writer_t *w, ipld_kind_t kind, bytes_t value)
{
    dag_cbor_put(w, &(ipld_event_t){.kind = kind, .bytes = value});
}

void cbor_put_map(writer_t *w, uint64_t entries)
{
    put_integer(w, IPLD_MAP, entries);
}

void cbor_put_list(writer_t *w, uint64_t items)
{
    put_integer(w, IPLD_LIST, items);
}

void cbor_put_record(writer_t *w, uint64_t version, uint64_t fields)
{
    cbor_put_map(w, fields);
    cbor_put_key(w, "v");
    cbor_put_uint(w, version);
}

void cbor_put_key(writer_t *w, const char *key)
{
    put_string(w, IPLD_STRING, bytes_str(key));
}

void cbor_put_uint(writer_t *w, uint64_t value)
{
    put_integer(w, IPLD_UINT, value);
}

void cbor_put_bool(writer_t *w, bool value)
{
    put_integer(w, IPLD_BOOL, value);
}

void cbor_put_bytes(writer_t *w, bytes_t value)
{
    put_string(w, IPLD_BYTES, value);
}

void cbor_put_text(writer_t *w, bytes_t value)
{
    put_string(w, IPLD_STRING, value);
}

bool cbor_can_link(const cid_t *cid)
{
    return cid->version == 1 && cid->hash_code == MH_SHA2_256 && cid->digest_len == 32 &&
           (cid->codec == CODEC_RAW || cid->codec == CODEC_DAG_CBOR);
}

void cbor_put_link(writer_t *w, const cid_t *cid)
{
    uint8_t binary[CID_BINARY_MAX];
    if (!cbor_can_link(cid) && !w->err)
        w->err = fail(ERR_INVALID, "a CID that is neither raw nor dag-cbor of SHA-256 cannot stand here");
    if (!w->err)
        put_string(w, IPLD_LINK, bytes_of(binary, cid_encode(cid, binary)));
}
