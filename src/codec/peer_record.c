#include "codec/peer_record.h"
#include "base/pb.h"
#include "codec/envelope.h"

enum { FIELD_PEER = 1, FIELD_SEQ = 2, FIELD_ADDRESS = 3, ADDRESS_BYTES = 1 };

static const bytes_t go_domain = BYTES_LIT("libp2p-peer-record"), go_type = BYTES_LIT("\x03\x01");
static const bytes_t rfc_domain = BYTES_LIT("libp2p-routing-state"),
                     rfc_type = BYTES_LIT("/libp2p/routing-state-record");

/* The message around one address. False when it is not one that we understand. */
static bool decode_address(bytes_t in, multiaddr_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    bytes_t binary = BYTES_NONE;
    while (pb_next(&r, &f))
        if (f.number == ADDRESS_BYTES)
            binary = pb_bytes(&r, &f, in.len);
    return !r.err && !multiaddr_decode(binary, ret);
}

static err_t decode(bytes_t in, peer_record_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    peer_record_t record = {.addresses = in};
    bytes_t peer = BYTES_NONE;
    while (pb_next(&r, &f))
        switch (f.number) {
        case FIELD_PEER:
            peer = pb_bytes(&r, &f, in.len);
            break;
        case FIELD_SEQ:
            record.seq = pb_uint(&r, &f);
            break;
        case FIELD_ADDRESS:
            pb_bytes(&r, &f, in.len);
            break;
        }
    if (r.err)
        return fail(ERR_INVALID, "%zu bytes are no peer record", in.len);
    TRY(peer_id_decode(peer, &record.peer));
    multiaddr_t address;
    size_t i = 0;
    while (record.address_count < PEER_RECORD_ADDRESSES_MAX &&
           peer_record_next_address(&record, &i, &address))
        record.address_count++;
    record.addresses.len = i; /* the iterator ends where the limit was reached */
    *ret = record;
    return OK;
}

/* Which form it is stands in the envelope, unverified until it is opened under that form's domain. */
static bool is_rfc_form(bytes_t envelope)
{
    reader_t r = reader_of(envelope);
    pb_field_t f;
    bool is_rfc = false;
    while (pb_next(&r, &f))
        if (f.number == 2)
            is_rfc = bytes_equal(f.bytes, rfc_type);
    return is_rfc;
}

err_t peer_record_open(bytes_t envelope, peer_record_t *ret)
{
    envelope_t e;
    peer_record_t record = {0};
    bool is_rfc = is_rfc_form(envelope);
    TRY(envelope_open(envelope, is_rfc ? rfc_domain : go_domain, &e));
    if (!bytes_equal(e.payload_type, is_rfc ? rfc_type : go_type))
        return fail(ERR_INVALID, "the signed envelope holds no peer record");
    TRY(decode(e.payload, &record));
    if (!peer_id_equal(&record.peer, &e.signer))
        return fail(ERR_CRYPTO, "the peer record is signed by another peer than it names");
    *ret = record;
    return OK;
}

bool peer_record_next_address(const peer_record_t *record, size_t *iter, multiaddr_t *ret_address)
{
    reader_t r = reader_of(record->addresses);
    pb_field_t f;
    if (r.pos)
        r.pos += *iter;
    while (pb_next(&r, &f)) {
        *iter = (size_t)(r.pos - record->addresses.data);
        if (f.number == FIELD_ADDRESS && decode_address(f.bytes, ret_address))
            return true;
    }
    return false;
}

err_t peer_record_seal(const private_key_t *key, uint64_t seq, const multiaddr_t *addresses, size_t n,
                       buf_t *out)
{
    peer_id_t self;
    AUTO(buf_t) payload;
    buf_init(&payload, ENVELOPE_MAX_BYTES);
    TRY(peer_id_of(private_key_public(key), &self));
    writer_t w = writer_to(&payload);
    pb_put_bytes(&w, FIELD_PEER, peer_id_bytes(&self));
    pb_put_uint_nonzero(&w, FIELD_SEQ, seq);
    for (size_t i = 0; i < n && i < PEER_RECORD_ADDRESSES_MAX; i++) {
        size_t mark = pb_begin(&w, FIELD_ADDRESS);
        pb_put_bytes(&w, ADDRESS_BYTES, multiaddr_bytes(&addresses[i]));
        pb_end(&w, mark);
    }
    TRY(w.err);
    return envelope_seal(key, go_domain, go_type, buf_bytes(&payload), out);
}
