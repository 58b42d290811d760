/* autonat: the messages with which a peer is asked to dial back, versions 1 and 2. A codec.
 * Specs: libp2p/specs autonat/autonat-v1.md, autonat-v2.md; the enumerations of go-libp2p.
 * Decoded messages borrow their input; addresses are iterated, and what is no multiaddr is passed over. */
#ifndef WIRE_AUTONAT_H
#define WIRE_AUTONAT_H
#include "base/pb.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"

#define AUTONAT_PROTOCOL "/libp2p/autonat/1.0.0"
#define AUTONAT2_DIAL_PROTOCOL "/libp2p/autonat/2/dial-request"
#define AUTONAT2_BACK_PROTOCOL "/libp2p/autonat/2/dial-back"
#define AUTONAT_MESSAGE_MAX_BYTES 4096
#define AUTONAT2_MESSAGE_MAX_BYTES 8192

/* ── version 1 ───────────────────────────────────────────────────────────────────────────────── */
typedef enum {
    AUTONAT_OK = 0,
    AUTONAT_DIAL_ERROR = 100,
    AUTONAT_DIAL_REFUSED = 101,
    AUTONAT_BAD_REQUEST = 200,
    AUTONAT_INTERNAL_ERROR = 300
} autonat_status_t;
typedef struct autonat {
    bool is_dial, is_response;
    bool has_peer; /* of a dial */
    peer_id_t peer;
    bytes_t addrs; /* of a dial; what the iterator reads */
    uint32_t status;
    bytes_t addr; /* of a response; borrowed */
} autonat_t;
MUST_CHECK err_t autonat_decode(bytes_t in, autonat_t *ret);
bool autonat_next_addr(const autonat_t *m, size_t *iter, multiaddr_t *ret);
void autonat_encode_dial(const peer_id_t *self, const multiaddr_t *addrs, size_t n, writer_t *w);
void autonat_encode_response(autonat_status_t status, const char *text, const multiaddr_t *addr,
                             writer_t *w); /* text, addr: NULL none */

/* ── version 2 ───────────────────────────────────────────────────────────────────────────────── */
typedef enum {
    AUTONAT2_REQUEST = 1,
    AUTONAT2_RESPONSE = 2,
    AUTONAT2_DATA_REQUEST = 3,
    AUTONAT2_DATA = 4
} autonat2_kind_t; /* the field numbers */
typedef enum { AUTONAT2_REJECTED = 100, AUTONAT2_REFUSED = 101, AUTONAT2_OK = 200 } autonat2_status_t;
typedef enum {
    AUTONAT2_DIAL_ERROR = 100,
    AUTONAT2_DIAL_BACK_ERROR = 101,
    AUTONAT2_DIAL_OK = 200
} autonat2_dial_t;
typedef struct autonat2 {
    autonat2_kind_t kind;
    uint64_t nonce;      /* REQUEST */
    bytes_t addrs;       /* REQUEST; what the iterator reads */
    uint32_t index;      /* RESPONSE, DATA_REQUEST: of the address in the request */
    uint32_t status;     /* RESPONSE: autonat2_status_t, unchecked */
    uint32_t dial;       /* RESPONSE: autonat2_dial_t, unchecked */
    uint64_t size_bytes; /* DATA_REQUEST; DATA: the bytes that came */
} autonat2_t;
/* ERR_INVALID also when it is none of the four. */
MUST_CHECK err_t autonat2_decode(bytes_t in, autonat2_t *ret);
/* The address and, in *ret_index, its place in the request: unreadable ones count. */
bool autonat2_next_addr(const autonat2_t *m, size_t *iter, size_t *ret_index, multiaddr_t *ret);
void autonat2_encode_request(const multiaddr_t *addrs, size_t n, uint64_t nonce, writer_t *w);
void autonat2_encode_response(autonat2_status_t status, uint32_t index, uint32_t dial, writer_t *w);
void autonat2_encode_data_request(uint32_t index, uint64_t size_bytes, writer_t *w);
void autonat2_encode_data(bytes_t data, writer_t *w);
/* The message on a dial-back stream; its answer is empty (OK). */
MUST_CHECK err_t autonat2_back_decode(bytes_t in, uint64_t *ret_nonce);
void autonat2_back_encode(uint64_t nonce, writer_t *w);
#endif
