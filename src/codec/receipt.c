#include "codec/receipt.h"
#include "codec/cbor_record.h"
#include "codec/envelope.h"

enum { VERSION = 1, FIELDS = 5, PAYLOAD_MAX_BYTES = 200 };
#define DOMAIN BYTES_LIT("distribute-mesh-receipt")
#define PAYLOAD_TYPE BYTES_LIT("/distribute/mesh/receipt")

err_t receipt_seal(const private_key_t *key, const receipt_t *rc, buf_t *out)
{
    AUTO(buf_t) payload;
    buf_init(&payload, PAYLOAD_MAX_BYTES);
    writer_t w = writer_to(&payload);
    if (!manifest_is_cid(&rc->manifest))
        return fail(ERR_INVALID, "receipts are given for manifests alone");
    cbor_put_record(&w, VERSION, FIELDS);
    cbor_put_key(&w, "at");
    cbor_put_uint(&w, rc->at_ms);
    cbor_put_key(&w, "kind");
    cbor_put_uint(&w, rc->kind);
    cbor_put_key(&w, "owner");
    cbor_put_bytes(&w, bytes_of(rc->owner.data, sizeof rc->owner.data));
    cbor_put_key(&w, "manifest");
    cbor_put_link(&w, &rc->manifest);
    TRY(w.err);
    return envelope_seal(key, DOMAIN, PAYLOAD_TYPE, buf_bytes(&payload), out);
}

err_t receipt_open(bytes_t in, receipt_t *ret)
{
    envelope_t e;
    receipt_t rc = {0};
    if (in.len > RECEIPT_MAX_BYTES)
        return fail(ERR_LIMIT, "a receipt of %zu bytes is over the limit of %d", in.len, RECEIPT_MAX_BYTES);
    TRY(envelope_open(in, DOMAIN, &e));
    if (!bytes_equal(e.payload_type, PAYLOAD_TYPE))
        return fail(ERR_INVALID, "the envelope holds no receipt");
    reader_t r = reader_of(e.payload);
    cbor_read_record(&r, VERSION, FIELDS);
    cbor_read_key(&r, "at");
    rc.at_ms = cbor_read_uint(&r);
    cbor_read_key(&r, "kind");
    uint64_t kind = cbor_read_uint(&r);
    cbor_read_key(&r, "owner");
    cbor_read_fixed(&r, rc.owner.data, sizeof rc.owner.data);
    cbor_read_key(&r, "manifest");
    cbor_read_link(&r, &rc.manifest);
    if (kind != RECEIPT_DELETED || !manifest_is_cid(&rc.manifest))
        reader_fail(&r, ERR_INVALID);
    TRY(cbor_read_done(&r, "receipt"));
    rc.kind = RECEIPT_DELETED;
    rc.holder = e.signer;
    *ret = rc;
    return OK;
}
