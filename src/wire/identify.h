/* identify: the message with which peers tell each other who they are. Spec: libp2p/specs identify;
 * checked against go-libp2p 0.48, which splits a message over 2 KiB with a signed record into several parts:
 * a reader takes up to IDENTIFY_PARTS_MAX length-prefixed parts until the end of the stream. Concatenated
 * parts are one protobuf message, so that merging is joining bytes. */
#ifndef WIRE_IDENTIFY_H
#define WIRE_IDENTIFY_H
#include "base/bytes.h"

#define IDENTIFY_PROTOCOL "/ipfs/id/1.0.0"
#define IDENTIFY_PUSH_PROTOCOL "/ipfs/id/push/1.0.0"
#define IDENTIFY_PART_MAX 8192
#define IDENTIFY_PARTS_MAX 10
#define IDENTIFY_SENT_MAX 4096 /* rust-libp2p refuses more */
#define IDENTIFY_ADDRS_MAX 64
#define IDENTIFY_PROTOCOLS_MAX 128
#define IDENTIFY_TEXT_MAX 255 /* of a protocol id, an agent, a version */

typedef struct identify {
    bytes_t public_key; /* protobuf of a public key */
    bytes_t protocol_version, agent_version;
    bytes_t observed_addr; /* binary multiaddr: the reader, as the sender sees it */
    bytes_t signed_peer_record;
    bytes_t addrs[IDENTIFY_ADDRS_MAX];
    bytes_t protocols[IDENTIFY_PROTOCOLS_MAX];
    size_t n_addrs, n_protocols;
    bool has_protocols, has_addrs; /* a push may leave them out */
} identify_t;

/* Decodes one message or the joined parts of one. Everything in *ret is borrowed from `in`. Addresses and
 * protocols over the maxima, and texts over IDENTIFY_TEXT_MAX bytes, are left out. Nothing but the shape is
 * checked. ERR_INVALID, ERR_EOF. */
MUST_CHECK err_t identify_decode(bytes_t in, identify_t *ret);
/* Appends the message; empty fields are left out. */
MUST_CHECK err_t identify_encode(const identify_t *m, buf_t *out);
#endif
