/* portmap: asking a router for ports with NAT-PMP (RFC 6886) and PCP (RFC 6887, MAP alone, over IPv4). A
 * codec.
 *
 * Both are one datagram each way at the router's port 5351; the first byte of an answer is its version. */
#ifndef WIRE_PORTMAP_H
#define WIRE_PORTMAP_H
#include "base/reader.h"
#include "base/writer.h"

#define PORTMAP_PORT 5351
#define PCP_NONCE_BYTES 12
enum { PORTMAP_REQUEST_MAX = 60, PORTMAP_ANSWER_MAX = 1100 };

typedef struct portmap_request {
    bool is_tcp;
    uint16_t inside_port, outside_port; /* outside: wished; 0 any */
    uint32_t lifetime_s;                /* 0: remove the mapping */
} portmap_request_t;

typedef enum { PORTMAP_ADDRESS, PORTMAP_MAPPED } portmap_kind_t;
typedef struct portmap_answer {
    portmap_kind_t kind;
    bool is_pcp, is_tcp, has_ip;
    uint8_t ip[4]; /* outside: of PORTMAP_ADDRESS, and of PCP's mappings when it is an IPv4 one */
    uint16_t inside_port, outside_port;
    uint32_t lifetime_s, epoch_s; /* epoch: seconds since the router forgot all */
    uint8_t nonce[PCP_NONCE_BYTES];
} portmap_answer_t;

void natpmp_put_address(writer_t *w); /* what is the outside IP? */
void natpmp_put_map(writer_t *w, const portmap_request_t *r);
/* nonce: random, the same for renewals and removal. own_ip: IPv4, as the router sees it. */
void pcp_put_map(writer_t *w, const portmap_request_t *r, const uint8_t nonce[PCP_NONCE_BYTES],
                 const uint8_t own_ip[4]);
/* An answer of either. ERR_INVALID: malformed; ERR_UNSUPPORTED: the router speaks another version;
 * ERR_DENIED, ERR_LIMIT, ERR_UNREACHABLE (it has no network), ERR_PROTOCOL: the router's refusals. */
MUST_CHECK err_t portmap_decode(bytes_t in, portmap_answer_t *ret);
#endif
