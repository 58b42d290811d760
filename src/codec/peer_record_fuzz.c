#include "base/pb.h"
#include "codec/envelope.h"
#include "codec/peer_record.h"

static void walk(const peer_record_t *record)
{
    multiaddr_t address;
    size_t n = 0;
    for (size_t i = 0; peer_record_next_address(record, &i, &address);)
        n++;
    assert(n == record->address_count && n <= PEER_RECORD_ADDRESSES_MAX);
}

/* As it comes; then as the payload of an envelope that we sign, behind the signature. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static private_key_t *key;
    static const uint8_t seed[32] = {1};
    peer_record_t record;
    AUTO(buf_t) payload, sealed;
    buf_init(&payload, ENVELOPE_MAX_BYTES);
    buf_init(&sealed, ENVELOPE_MAX_BYTES);
    if (!peer_record_open(bytes_of(data, size), &record))
        walk(&record);
    peer_id_t self;
    if (!key && private_key_generate(KEY_ED25519, seed, 0, &key))
        return 0;
    err_t e = peer_id_of(private_key_public(key), &self);
    writer_t w = writer_to(&payload);
    pb_put_bytes(&w, 1, peer_id_bytes(&self));
    write_bytes(&w, bytes_of(data, size));
    e = e ? e : w.err;
    bytes_t domain = BYTES_LIT("libp2p-peer-record"), type = BYTES_LIT("\x03\x01");
    e = e ? e : envelope_seal(key, domain, type, buf_bytes(&payload), &sealed);
    if (!e && !peer_record_open(buf_bytes(&sealed), &record))
        walk(&record);
    return 0;
}
