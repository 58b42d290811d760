#include "codec/tombstone.h"
#include "codec/cbor_record.h"
#include "crypto/hash.h"

enum { VERSION = 1, FIELDS = 4 };
#define SIGNED_AS "distribute-tombstone-v1"

err_t tombstone_seal(const private_key_t *key, const cid_t *manifest, buf_t *out)
{
    uint8_t binary[CID_BINARY_MAX], signature[OWNER_SIGNATURE_BYTES];
    if (!manifest_is_cid(manifest))
        return fail(ERR_INVALID, "only manifests have tombstones");
    TRY(owner_sign(key, SIGNED_AS, bytes_of(binary, cid_encode(manifest, binary)), signature));
    owner_key_t owner = owner_key_of(key);
    writer_t w = writer_to(out);
    cbor_put_record(&w, VERSION, FIELDS);
    cbor_put_key(&w, "owner");
    cbor_put_bytes(&w, bytes_of(owner.data, sizeof owner.data));
    cbor_put_key(&w, "manifest");
    cbor_put_link(&w, manifest);
    cbor_put_key(&w, "signature");
    cbor_put_bytes(&w, bytes_of(signature, sizeof signature));
    return w.err;
}

static err_t decode(bytes_t in, tombstone_t *ret, uint8_t ret_signature[OWNER_SIGNATURE_BYTES])
{
    tombstone_t ts;
    reader_t r = reader_of(in);
    if (in.len > TOMBSTONE_MAX_BYTES)
        return fail(ERR_LIMIT, "a tombstone of %zu bytes is over the limit of %d", in.len,
                    TOMBSTONE_MAX_BYTES);
    cbor_read_record(&r, VERSION, FIELDS);
    cbor_read_key(&r, "owner");
    cbor_read_fixed(&r, ts.owner.data, sizeof ts.owner.data);
    cbor_read_key(&r, "manifest");
    cbor_read_link(&r, &ts.manifest);
    cbor_read_key(&r, "signature");
    cbor_read_fixed(&r, ret_signature, OWNER_SIGNATURE_BYTES);
    TRY(cbor_read_done(&r, "tombstone"));
    if (!manifest_is_cid(&ts.manifest))
        return fail(ERR_INVALID, "not a valid tombstone: it names no manifest");
    *ret = ts;
    return OK;
}

err_t tombstone_decode(bytes_t in, tombstone_t *ret)
{
    uint8_t signature[OWNER_SIGNATURE_BYTES];
    return decode(in, ret, signature);
}

err_t tombstone_open(bytes_t in, tombstone_t *ret)
{
    tombstone_t ts;
    uint8_t binary[CID_BINARY_MAX], signature[OWNER_SIGNATURE_BYTES];
    TRY(decode(in, &ts, signature));
    if (owner_verify(&ts.owner, SIGNED_AS, bytes_of(binary, cid_encode(&ts.manifest, binary)),
                     bytes_of(signature, sizeof signature)))
        return fail(ERR_CRYPTO, "the tombstone's signature is wrong");
    *ret = ts;
    return OK;
}

err_t tombstone_applies(const tombstone_t *ts, const cid_t *cid, bytes_t block)
{
    manifest_t m;
    if (!cid_equal(&ts->manifest, cid) || manifest_decode(block, &m) || m.is_node)
        return fail(ERR_INVALID, "the tombstone is of another block");
    if (!owner_key_equal(&ts->owner, &m.owner))
        return fail(ERR_DENIED, "the tombstone is not signed by the file's owner");
    return OK;
}

void tombstone_set_key(const cid_t *manifest, const owner_key_t *owner, uint8_t ret[TOMBSTONE_KEY_BYTES])
{
    uint8_t text[CID_BINARY_MAX + OWNER_KEY_BYTES];
    size_t n = cid_encode_multihash(manifest, text);
    memcpy(text + n, owner->data, OWNER_KEY_BYTES);
    sha256_of(bytes_of(text, n + OWNER_KEY_BYTES), ret);
}
