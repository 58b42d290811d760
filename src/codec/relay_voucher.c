#include "codec/relay_voucher.h"
#include "base/pb.h"
#include "codec/envelope.h"

enum { FIELD_RELAY = 1, FIELD_PEER = 2, FIELD_EXPIRES = 3 };
#define DOMAIN BYTES_LIT("libp2p-relay-rsvp")
#define PAYLOAD_TYPE BYTES_LIT("\x03\x02")

err_t relay_voucher_open(bytes_t envelope, relay_voucher_t *ret)
{
    envelope_t e;
    TRY(envelope_open(envelope, DOMAIN, &e));
    if (!bytes_equal(e.payload_type, PAYLOAD_TYPE))
        return fail(ERR_INVALID, "the envelope holds no relay voucher");
    relay_voucher_t v = {0};
    bytes_t relay = BYTES_NONE, peer = BYTES_NONE;
    reader_t r = reader_of(e.payload);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == FIELD_RELAY)
            relay = pb_bytes(&r, &f, PEER_ID_MAX_BYTES);
        else if (f.number == FIELD_PEER)
            peer = pb_bytes(&r, &f, PEER_ID_MAX_BYTES);
        else if (f.number == FIELD_EXPIRES)
            v.expires_s = pb_uint(&r, &f);
    if (r.err)
        return fail(r.err, "malformed relay voucher");
    TRY(peer_id_decode(relay, &v.relay));
    TRY(peer_id_decode(peer, &v.peer));
    if (!peer_id_equal(&v.relay, &e.signer))
        return fail(ERR_CRYPTO, "a relay voucher is signed by another peer than the relay");
    *ret = v;
    return OK;
}

err_t relay_voucher_seal(const private_key_t *key, const relay_voucher_t *v, buf_t *out)
{
    AUTO(buf_t) payload;
    buf_init(&payload, 512);
    writer_t w = writer_to(&payload);
    pb_put_bytes(&w, FIELD_RELAY, peer_id_bytes(&v->relay));
    pb_put_bytes(&w, FIELD_PEER, peer_id_bytes(&v->peer));
    pb_put_uint(&w, FIELD_EXPIRES, v->expires_s);
    TRY(w.err);
    return envelope_seal(key, DOMAIN, PAYLOAD_TYPE, buf_bytes(&payload), out);
}
