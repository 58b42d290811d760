#include "multi/cid.h"
#include "base/writer.h"
#include <inttypes.h>
#include <stdio.h>

enum { V0_LEN = 34, V0_TEXT_LEN = 46, SHA256_LEN = 32 };
static const uint8_t v0_start[] = {MH_SHA2_256, SHA256_LEN};

static err_t parse_v0(bytes_t text, cid_t *ret_cid)
{
    AUTO(buf_t) binary;
    buf_init(&binary, CID_BINARY_MAX);
    TRY(multibase_decode_raw(MB_BASE58BTC, text, &binary));
    if (binary.len != V0_LEN)
        return fail(ERR_INVALID, "the CID's text holds %zu bytes instead of %d", binary.len, V0_LEN);
    return cid_decode(buf_bytes(&binary), ret_cid);
}

err_t cid_parse_base(bytes_t text, cid_t *ret_cid, multibase_t *ret_base)
{
    enum { TEXT_MAX = 8 * CID_BINARY_MAX + 1 }; /* base2 */
    if (text.len < 2 || text.len > TEXT_MAX)
        return fail(text.len < 2 ? ERR_INVALID : ERR_LIMIT, "a text of %zu bytes is no CID", text.len);
    if (text.len == V0_TEXT_LEN && bytes_starts_with(text, BYTES_LIT("Qm"))) {
        TRY(parse_v0(text, ret_cid));
        *ret_base = MB_BASE58BTC;
        return OK;
    }
    AUTO(buf_t) binary;
    buf_init(&binary, TEXT_MAX);
    multibase_t base = MB_IDENTITY;
    TRY(multibase_decode(text, &base, &binary));
    TRY(cid_decode(buf_bytes(&binary), ret_cid));
    *ret_base = base;
    return OK;
}

err_t cid_parse(bytes_t text, cid_t *ret_cid)
{
    multibase_t base;
    return cid_parse_base(text, ret_cid, &base);
}

err_t cid_parse_str(const char *text, cid_t *ret_cid)
{
    return cid_parse(bytes_str(text), ret_cid);
}

static void set_digest(cid_t *c, bytes_t digest)
{
    c->digest_len = (uint8_t)digest.len;
    if (digest.len)
        memcpy(c->digest, digest.data, digest.len);
}

/* SHA2-256 and a codec of one byte, as in nearly all: folders and files have lists of them. 0: another one.
 */
static size_t decode_usual(bytes_t in, cid_t *ret_cid)
{
    size_t at = in.len >= 2 && in.data[0] == 1 && in.data[1] < 0x80 ? 2 : 0;
    if (in.len < at + V0_LEN || memcmp(in.data + at, v0_start, sizeof v0_start))
        return 0;
    ret_cid->version = at > 0;
    ret_cid->codec = at ? in.data[1] : CODEC_DAG_PB;
    ret_cid->hash_code = MH_SHA2_256;
    ret_cid->digest_len = SHA256_LEN;
    memcpy(ret_cid->digest, in.data + at + sizeof v0_start, SHA256_LEN);
    memset(ret_cid->digest + SHA256_LEN, 0, sizeof ret_cid->digest - SHA256_LEN);
    return at + V0_LEN;
}

err_t cid_decode_prefix(bytes_t in, cid_t *ret_cid, size_t *ret_used)
{
    *ret_used = decode_usual(in, ret_cid);
    if (*ret_used)
        return OK;
    cid_t c = {.version = 0, .codec = CODEC_DAG_PB};
    reader_t r = reader_of(in);
    if (!bytes_starts_with(in, bytes_of(v0_start, sizeof v0_start))) {
        uint64_t version = read_uvarint(&r);
        if (!r.err && version != 1)
            return fail(ERR_INVALID, "CIDs of version %" PRIu64 " are unknown", version);
        c.version = 1;
        c.codec = read_uvarint(&r);
    }
    multihash_t hash = multihash_read(&r);
    if (r.err == ERR_LIMIT)
        return fail(ERR_LIMIT, "the CID's digest is over the limit of %d bytes", CID_DIGEST_MAX);
    if (r.err)
        return fail(ERR_INVALID, "%zu bytes do not hold a whole CID", in.len);
    c.hash_code = hash.code;
    set_digest(&c, hash.digest);
    *ret_used = in.len - reader_left(&r);
    *ret_cid = c;
    return OK;
}

err_t cid_decode(bytes_t in, cid_t *ret_cid)
{
    cid_t c = {0};
    size_t used = 0;
    TRY(cid_decode_prefix(in, &c, &used));
    if (used != in.len)
        return fail(ERR_INVALID, "%zu bytes are left over behind the CID", in.len - used);
    *ret_cid = c;
    return OK;
}

size_t cid_encode_multihash(const cid_t *c, uint8_t out[CID_BINARY_MAX])
{
    size_t n = uvarint_put(out, c->hash_code);
    n += uvarint_put(out + n, c->digest_len);
    memcpy(out + n, c->digest, c->digest_len);
    return n + c->digest_len;
}

size_t cid_encode(const cid_t *c, uint8_t out[CID_BINARY_MAX])
{
    size_t n = 0;
    if (c->version) {
        out[n++] = c->version;
        n += uvarint_put(out + n, c->codec);
    }
    return n + cid_encode_multihash(c, out + n);
}

err_t cid_from_multihash(bytes_t multihash, uint64_t codec, cid_t *ret_cid)
{
    multihash_t hash = {0};
    TRY(multihash_decode(multihash, &hash));
    cid_t c = {.version = 1, .codec = codec, .hash_code = hash.code};
    set_digest(&c, hash.digest);
    *ret_cid = c;
    return OK;
}

err_t cid_print_base(const cid_t *c, multibase_t base, char out[CID_TEXT_MAX])
{
    uint8_t binary[CID_BINARY_MAX];
    if (!c->version && base != MB_BASE58BTC)
        return fail(ERR_INVALID, "a CIDv0 is written in base58btc, not %s; make it a CIDv1",
                    multibase_name(base));
    bytes_t bytes = bytes_of(binary, cid_encode(c, binary));
    AUTO(buf_t) text;
    buf_init(&text, CID_TEXT_MAX - 1);
    TRY(c->version ? multibase_encode(base, bytes, &text) : multibase_encode_raw(base, bytes, &text));
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return OK;
}

const char *cid_print(const cid_t *c, char out[CID_TEXT_MAX])
{
    err_t e = cid_print_base(c, c->version ? MB_BASE32 : MB_BASE58BTC, out);
    assert(!e); /* the longest CID fits */
    return out;
}

const char *cid_print_as_in_path(const cid_t *c, bytes_t path, char out[CID_TEXT_MAX])
{
    cid_t root, v1;
    multibase_t base;
    if (path.len && path.data[0] == '/') { /* behind the namespace */
        const uint8_t *end = memchr(path.data + 1, '/', path.len - 1);
        path = end ? bytes_slice(path, (size_t)(end - path.data) + 1, path.len) : BYTES_NONE;
    }
    const uint8_t *slash = path.len ? memchr(path.data, '/', path.len) : NULL;
    path = bytes_slice(path, 0, slash ? (size_t)(slash - path.data) : path.len);
    if (cid_parse_base(path, &root, &base) || !root.version || cid_to_v1(c, &v1) ||
        cid_print_base(&v1, base, out))
        return cid_print(c, out);
    return out;
}

bool cid_equal(const cid_t *a, const cid_t *b)
{
    return a->version == b->version && a->codec == b->codec && cid_same_multihash(a, b);
}

int cid_compare(const cid_t *a, const cid_t *b)
{
    uint8_t left[CID_BINARY_MAX], right[CID_BINARY_MAX];
    size_t left_len = cid_encode(a, left), right_len = cid_encode(b, right);
    return bytes_compare(bytes_of(left, left_len), bytes_of(right, right_len));
}

bool cid_same_multihash(const cid_t *a, const cid_t *b)
{
    return a->hash_code == b->hash_code && bytes_equal(cid_digest(a), cid_digest(b));
}

err_t cid_to_v1(const cid_t *c, cid_t *ret_cid)
{
    cid_t v1 = *c;
    v1.version = 1;
    *ret_cid = v1;
    return OK;
}

static bool can_be_v0(const cid_t *c)
{
    return c->codec == CODEC_DAG_PB && c->hash_code == MH_SHA2_256 && c->digest_len == SHA256_LEN;
}

err_t cid_to_v0(const cid_t *c, cid_t *ret_cid)
{
    if (!can_be_v0(c))
        return fail(ERR_INVALID, "only dag-pb with sha2-256 can be a CIDv0");
    cid_t v0 = *c;
    v0.version = 0;
    *ret_cid = v0;
    return OK;
}

cid_t cid_of_sha256(uint8_t version, uint64_t codec, const uint8_t digest[32])
{
    cid_t c = {.version = version, .codec = codec, .hash_code = MH_SHA2_256};
    set_digest(&c, bytes_of(digest, SHA256_LEN));
    assert(version || can_be_v0(&c));
    return c;
}

err_t cid_of_length(uint8_t version, uint64_t codec, uint64_t hash_code, size_t digest_len, bytes_t data,
                    cid_t *ret_cid)
{
    if (version > 1)
        return fail(ERR_INVALID, "CIDs of version %u are unknown", version);
    cid_t c = {.version = version, .codec = codec, .hash_code = hash_code};
    TRY(multihash_sum(hash_code, data, digest_len, c.digest));
    c.digest_len = (uint8_t)digest_len;
    if (!version && !can_be_v0(&c))
        return fail(ERR_INVALID, "only dag-pb with sha2-256 can be a CIDv0");
    *ret_cid = c;
    return OK;
}

err_t cid_of(uint8_t version, uint64_t codec, uint64_t hash_code, bytes_t data, cid_t *ret_cid)
{
    size_t len = data.len;
    if (hash_code != MH_IDENTITY)
        TRY(multihash_natural_len(hash_code, &len));
    return cid_of_length(version, codec, hash_code, len, data, ret_cid);
}

err_t cid_check_hash_allowed(const cid_t *c)
{
    return multihash_check_allowed(c->hash_code, c->digest_len);
}

err_t cid_verify(const cid_t *c, bytes_t data)
{
    uint8_t digest[MULTIHASH_DIGEST_MAX];
    TRY(cid_check_hash_allowed(c));
    bool is_equal;
    if (cid_is_identity(c)) {
        is_equal = bytes_equal(cid_digest(c), data);
    } else {
        TRY(multihash_sum(c->hash_code, data, c->digest_len, digest));
        is_equal = !memcmp(digest, c->digest, c->digest_len);
    }
    if (!is_equal) {
        char text[CID_TEXT_MAX];
        return fail(ERR_CORRUPT, "%zu bytes do not hash to %s", data.len, cid_print(c, text));
    }
    return OK;
}
