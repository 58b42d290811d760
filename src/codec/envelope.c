#include "codec/envelope.h"
#include "base/pb.h"

enum { FIELD_KEY = 1, FIELD_TYPE = 2, FIELD_PAYLOAD = 3, FIELD_SIGNATURE = 5 };

/* Each part behind its length, so that no two messages are signed as the same bytes. */
static err_t put_signed_text(bytes_t domain, bytes_t type, bytes_t payload, buf_t *out)
{
    writer_t w = writer_to(out);
    write_length_prefixed(&w, domain);
    write_length_prefixed(&w, type);
    write_length_prefixed(&w, payload);
    return w.err;
}

err_t envelope_open(bytes_t in, bytes_t domain, envelope_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    bytes_t key = BYTES_NONE, signature = BYTES_NONE;
    envelope_t e = {.payload = BYTES_NONE};
    if (in.len > ENVELOPE_MAX_BYTES)
        return fail(ERR_LIMIT, "a signed envelope of %zu bytes is over the limit of %d", in.len,
                    ENVELOPE_MAX_BYTES);
    while (pb_next(&r, &f))
        switch (f.number) {
        case FIELD_KEY:
            key = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_TYPE:
            e.payload_type = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_PAYLOAD:
            e.payload = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_SIGNATURE:
            signature = pb_bytes(&r, &f, in.len);
            break;
        }
    if (r.err)
        return fail(ERR_INVALID, "%zu bytes are no signed envelope", in.len);
    TRY(public_key_decode(key, &e.key));
    TRY(peer_id_of(&e.key, &e.signer));
    AUTO(buf_t) text;
    buf_init(&text, ENVELOPE_MAX_BYTES * 2);
    TRY(put_signed_text(domain, e.payload_type, e.payload, &text));
    TRY(public_key_verify(&e.key, buf_bytes(&text), signature));
    *ret = e;
    return OK;
}

err_t envelope_seal(const private_key_t *key, bytes_t domain, bytes_t payload_type, bytes_t payload,
                    buf_t *out)
{
    AUTO(buf_t) public_key, text, signature;
    buf_init(&public_key, ENVELOPE_MAX_BYTES);
    buf_init(&text, ENVELOPE_MAX_BYTES);
    buf_init(&signature, ENVELOPE_MAX_BYTES);
    TRY(public_key_encode(private_key_public(key), &public_key));
    TRY(put_signed_text(domain, payload_type, payload, &text));
    TRY(private_key_sign(key, buf_bytes(&text), &signature));
    writer_t w = writer_to(out);
    pb_put_bytes(&w, FIELD_KEY, buf_bytes(&public_key));
    pb_put_bytes(&w, FIELD_TYPE, payload_type);
    pb_put_bytes(&w, FIELD_PAYLOAD, payload);
    pb_put_bytes(&w, FIELD_SIGNATURE, buf_bytes(&signature));
    return w.err;
}
