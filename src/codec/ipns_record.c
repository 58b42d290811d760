#include "codec/ipns_record.h"
#include "base/pb.h"
#include "base/rfc3339.h"
#include "codec/ipns_data.h"
#include "multi/cid.h"

enum {
    FIELD_VALUE = 1,
    FIELD_SIGNATURE_V1,
    FIELD_VALIDITY_TYPE,
    FIELD_VALIDITY,
    FIELD_SEQUENCE,
    FIELD_TTL,
    FIELD_PUBLIC_KEY,
    FIELD_SIGNATURE_V2,
    FIELD_DATA
};
enum { VALIDITY_EOL = 0, SIGNED_MAX_BYTES = IPNS_RECORD_MAX_BYTES + 64 };

/* ── decoding ────────────────────────────────────────────────────────────────────────────────── */
static err_t decode_fields(bytes_t in, ipns_record_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f))
        switch (f.number) {
        case FIELD_VALUE:
            ret->old_fields.value = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_SIGNATURE_V1:
            ret->signature_v1 = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_VALIDITY_TYPE:
            ret->old_fields.validity_type = pb_uint(&r, &f);
            break;
        case FIELD_VALIDITY:
            ret->old_fields.validity = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_SEQUENCE:
            ret->old_fields.sequence = pb_uint(&r, &f);
            break;
        case FIELD_TTL:
            ret->old_fields.ttl_ns = pb_uint(&r, &f);
            ret->old_fields.has_ttl = true;
            break;
        case FIELD_PUBLIC_KEY:
            ret->public_key = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_SIGNATURE_V2:
            ret->signature_v2 = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_DATA:
            ret->data = pb_bytes(&r, &f, in.len);
            break;
        }
    return r.err ? fail(ERR_INVALID, "record is malformed: %zu bytes are no IPNS record", in.len) : OK;
}

err_t ipns_record_decode(bytes_t in, ipns_record_t *ret)
{
    ipns_record_t r = {0};
    if (in.len > IPNS_RECORD_MAX_BYTES)
        return fail(ERR_LIMIT, "record exceeds allowed size limit: %zu bytes, at most %d", in.len,
                    IPNS_RECORD_MAX_BYTES);
    TRY(decode_fields(in, &r));
    if (!r.data.len)
        return fail(ERR_INVALID, "record is malformed: it is missing the dag-cbor data field");
    TRY(ipns_data_decode(r.data, &r.signed_fields));
    r.has_end = r.signed_fields.validity_type == VALIDITY_EOL &&
                !rfc3339_parse(r.signed_fields.validity, &r.end_s, &r.end_ns);
    r.has_v1 = r.signature_v1.len || r.old_fields.value.len;
    *ret = r;
    return OK;
}

/* ── verifying ───────────────────────────────────────────────────────────────────────────────── */
static err_t check_old_fields(const ipns_record_t *r)
{
    const ipns_fields_t *a = &r->signed_fields, *b = &r->old_fields;
    const char *differs = !bytes_equal(a->value, b->value)         ? "Value"
                          : !bytes_equal(a->validity, b->validity) ? "Validity"
                          : a->validity_type != b->validity_type   ? "ValidityType"
                          : a->sequence != b->sequence             ? "Sequence"
                          : !a->has_ttl || a->ttl_ns != b->ttl_ns  ? "TTL"
                                                                   : NULL;
    return differs ? fail(ERR_INVALID, "field \"%s\" did not match between protobuf and CBOR", differs) : OK;
}

err_t ipns_record_key(const ipns_record_t *r, const peer_id_t *name, public_key_t *ret)
{
    if (!r->public_key.len) {
        err_t e = peer_id_public_key(name, ret);
        return e == ERR_NOT_FOUND ? fail(e, "public key is not embedded in peer ID") : e;
    }
    if (public_key_decode(r->public_key, ret))
        return fail(ERR_CRYPTO, "the record holds a public key that cannot be read");
    if (!peer_id_matches(name, ret))
        return fail(ERR_CRYPTO, "record public key does not match the expected public key");
    return OK;
}

static err_t v2_message(bytes_t data, buf_t *out)
{
    TRY(buf_append(out, BYTES_LIT("ipns-signature:")));
    return buf_append(out, data);
}

static err_t v1_message(const ipns_fields_t *f, buf_t *out)
{
    TRY(buf_append(out, f->value));
    TRY(buf_append(out, f->validity));
    return buf_append(out, BYTES_LIT("EOL"));
}

err_t ipns_record_v1_message(const ipns_record_t *r, buf_t *out)
{
    return v1_message(&r->old_fields, out);
}

err_t ipns_record_verify(const ipns_record_t *r, const peer_id_t *name)
{
    public_key_t key;
    AUTO(buf_t) message;
    buf_init(&message, SIGNED_MAX_BYTES);
    if (!r->signature_v2.len)
        return fail(ERR_CRYPTO, "signature verification failed");
    TRY(ipns_record_key(r, name, &key));
    TRY(v2_message(r->data, &message));
    if (public_key_verify(&key, buf_bytes(&message), r->signature_v2))
        return fail(ERR_CRYPTO, "signature verification failed");
    if (r->has_v1)
        TRY(check_old_fields(r));
    if (r->has_end)
        return OK;
    return fail(ERR_INVALID, r->signed_fields.validity_type == VALIDITY_EOL
                                 ? "record contains an invalid validity"
                                 : "record contains an unrecognized validity type");
}

bool ipns_record_is_expired(const ipns_record_t *r, uint64_t wall_ms)
{
    int64_t now_s = (int64_t)(wall_ms / 1000);
    uint32_t now_ns = (uint32_t)(wall_ms % 1000) * 1000000;
    return !r->has_end || now_s > r->end_s || (now_s == r->end_s && now_ns > r->end_ns);
}

err_t ipns_record_validate(bytes_t in, const peer_id_t *name, uint64_t wall_ms, ipns_record_t *ret)
{
    ipns_record_t r;
    TRY(ipns_record_decode(in, &r));
    TRY(ipns_record_verify(&r, name));
    if (ipns_record_is_expired(&r, wall_ms))
        return fail(ERR_INVALID, "record is expired");
    *ret = r;
    return OK;
}

int ipns_record_compare(bytes_t a, bytes_t b)
{
    ipns_record_t x, y;
    bool has_a = !ipns_record_decode(a, &x) && x.has_end, has_b = !ipns_record_decode(b, &y) && y.has_end;
    if (!has_a || !has_b)
        return (int)has_b - (int)has_a;
    bool a_is_v2 = x.signature_v2.len > 0, b_is_v2 = y.signature_v2.len > 0;
    if (a_is_v2 != b_is_v2)
        return a_is_v2 ? -1 : 1;
    if (x.signed_fields.sequence != y.signed_fields.sequence)
        return x.signed_fields.sequence > y.signed_fields.sequence ? -1 : 1;
    if (x.end_s != y.end_s)
        return x.end_s > y.end_s ? -1 : 1;
    if (x.end_ns != y.end_ns)
        return x.end_ns > y.end_ns ? -1 : 1;
    int order = bytes_compare(a, b);
    return order > 0 ? -1 : order < 0 ? 1 : 0;
}

/* ── what it says ────────────────────────────────────────────────────────────────────────────── */
err_t ipns_record_value(const ipns_record_t *r, buf_t *out)
{
    bytes_t value = r->signed_fields.value;
    cid_t cid;
    char text[CID_TEXT_MAX];
    if (!value.len)
        return buf_append(out, BYTES_LIT("/ipfs/bafkqaaa"));
    if (memchr(value.data, 0, value.len) == NULL &&
        (bytes_starts_with(value, BYTES_LIT("/ipfs/")) || bytes_starts_with(value, BYTES_LIT("/ipns/")) ||
         bytes_starts_with(value, BYTES_LIT("/ipld/"))))
        return buf_append(out, value);
    if (value.data[0] == '/' || cid_decode(value, &cid))
        return fail(ERR_INVALID, "the value of the record is not a valid content path");
    return buf_printf(out, "/ipfs/%s", cid_print(&cid, text));
}

uint64_t ipns_record_ttl_ms(const ipns_record_t *r, uint64_t wall_ms, uint64_t otherwise_ms)
{
    uint64_t ttl_ms = r->signed_fields.has_ttl ? r->signed_fields.ttl_ns / 1000000 : otherwise_ms;
    if (ipns_record_is_expired(r, wall_ms))
        return 0;
    uint64_t left_s = (uint64_t)(r->end_s - (int64_t)(wall_ms / 1000));
    uint64_t left_ms = left_s * 1000 + r->end_ns / 1000000 - wall_ms % 1000;
    return ttl_ms < left_ms ? ttl_ms : left_ms;
}

/* ── making ──────────────────────────────────────────────────────────────────────────────────── */
static void put_old_fields(writer_t *w, const ipns_fields_t *f, bytes_t signature)
{
    pb_put_bytes(w, FIELD_VALUE, f->value);
    pb_put_bytes(w, FIELD_SIGNATURE_V1, signature);
    pb_put_uint(w, FIELD_VALIDITY_TYPE, f->validity_type);
    pb_put_bytes(w, FIELD_VALIDITY, f->validity);
    pb_put_uint(w, FIELD_SEQUENCE, f->sequence);
    pb_put_uint(w, FIELD_TTL, f->ttl_ns);
}

static err_t sign_old_fields(const private_key_t *key, const ipns_fields_t *f, writer_t *w)
{
    AUTO(buf_t) message, signature;
    buf_init(&message, SIGNED_MAX_BYTES);
    buf_init(&signature, SIGNED_MAX_BYTES);
    TRY(v1_message(f, &message));
    TRY(private_key_sign(key, buf_bytes(&message), &signature));
    put_old_fields(w, f, buf_bytes(&signature));
    return w->err;
}

/* The name of a long key is its hash, so that the key has to come with the record. */
static err_t put_public_key(const private_key_t *key, writer_t *w)
{
    peer_id_t name;
    public_key_t inner;
    AUTO(buf_t) encoded;
    buf_init(&encoded, PUBLIC_KEY_MAX_BYTES + 16);
    TRY(peer_id_of(private_key_public(key), &name));
    if (!peer_id_public_key(&name, &inner))
        return OK;
    TRY(public_key_encode(private_key_public(key), &encoded));
    pb_put_bytes(w, FIELD_PUBLIC_KEY, buf_bytes(&encoded));
    return w->err;
}

static err_t sign_data(const private_key_t *key, const ipns_fields_t *f, writer_t *w)
{
    AUTO(buf_t) data, message, signature;
    buf_init(&data, IPNS_RECORD_MAX_BYTES);
    buf_init(&message, SIGNED_MAX_BYTES);
    buf_init(&signature, SIGNED_MAX_BYTES);
    TRY(ipns_data_encode(f, &data));
    TRY(v2_message(buf_bytes(&data), &message));
    TRY(private_key_sign(key, buf_bytes(&message), &signature));
    pb_put_bytes(w, FIELD_SIGNATURE_V2, buf_bytes(&signature));
    pb_put_bytes(w, FIELD_DATA, buf_bytes(&data));
    return w->err;
}

err_t ipns_record_create(const private_key_t *key, const ipns_new_t *fields, buf_t *out)
{
    char validity[RFC3339_MAX];
    rfc3339_print(fields->end_s, fields->end_ns, validity);
    ipns_fields_t f = {.value = fields->value,
                       .validity = bytes_str(validity),
                       .validity_type = VALIDITY_EOL,
                       .sequence = fields->sequence,
                       .ttl_ns = fields->ttl_ns < IPNS_TTL_MAX_NS ? fields->ttl_ns : IPNS_TTL_MAX_NS,
                       .has_ttl = true};
    AUTO(buf_t) record;
    buf_init(&record, IPNS_RECORD_MAX_BYTES);
    writer_t w = writer_to(&record);
    err_t e = fields->is_v2_only ? OK : sign_old_fields(key, &f, &w);
    e = e ? e : put_public_key(key, &w);
    e = e ? e : sign_data(key, &f, &w);
    if (e == ERR_LIMIT)
        return fail(ERR_LIMIT, "the record would be longer than %d bytes", IPNS_RECORD_MAX_BYTES);
    return e ? e : buf_append(out, buf_bytes(&record));
}
