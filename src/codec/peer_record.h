/* peer_record: a peer's own addresses, signed. Spec: libp2p/specs RFC 0003, in the form that go-libp2p and
 * js-libp2p use: domain libp2p-peer-record, payload type 03 01. The form in the RFC's text (domain
 * libp2p-routing-state), which rust-libp2p sends by default, is read too and never written. */
#ifndef CODEC_PEER_RECORD_H
#define CODEC_PEER_RECORD_H
#include "base/reader.h"
#include "multi/multiaddr.h"

#define PEER_RECORD_ADDRESSES_MAX 64 /* further ones are left out */

typedef struct peer_record {
    peer_id_t peer;
    uint64_t seq;         /* the record with the larger one is the newer */
    bytes_t addresses;    /* what the iterator reads; borrowed from the envelope */
    size_t address_count; /* those that can be read, at most PEER_RECORD_ADDRESSES_MAX */
} peer_record_t;

/* Opens the envelope and reads the record. ERR_CRYPTO also when the signer is not the peer that the
 * record names; ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED as envelope_open. */
MUST_CHECK err_t peer_record_open(bytes_t envelope, peer_record_t *ret);
/* for (size_t i = 0; peer_record_next_address(&record, &i, &address);) — those with protocols unknown here
 * are skipped. */
bool peer_record_next_address(const peer_record_t *record, size_t *iter, multiaddr_t *ret_address);
/* Appends a signed envelope. */
MUST_CHECK err_t peer_record_seal(const private_key_t *key, uint64_t seq, const multiaddr_t *addresses,
                                  size_t n, buf_t *out);
#endif
