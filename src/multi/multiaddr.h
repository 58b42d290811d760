/* multiaddr: self-describing network addresses. Spec: multiformats/multiaddr. Kept in binary form, by
 * value; longer ones than MULTIADDR_MAX_BYTES are refused. Stores keep only `len` bytes.
 *
 * A multiaddr_t that parse, decode or append made is valid: iterating and printing it cannot fail. One
 * of length 0 is the empty start for multiaddr_append; it prints as "". Errors: ERR_INVALID, and
 * ERR_LIMIT for what is too long as bytes or as text. /ipfs/ is read as /p2p/; names and paths with
 * control bytes are refused. */
#ifndef MULTI_MULTIADDR_H
#define MULTI_MULTIADDR_H
#include "base/bytes.h"
#include "multi/peer_id.h"
#define MULTIADDR_MAX_BYTES 510
#define MULTIADDR_TEXT_MAX 1536
enum {
    MA_IP4 = 4,
    MA_TCP = 6,
    MA_IP6 = 41,
    MA_IP6ZONE = 42,
    MA_IPCIDR = 43,
    MA_DNS = 53,
    MA_DNS4 = 54,
    MA_DNS6 = 55,
    MA_DNSADDR = 56,
    MA_UDP = 273,
    MA_P2P_CIRCUIT = 290,
    MA_UNIX = 400,
    MA_P2P = 421,
    MA_TLS = 448,
    MA_SNI = 449,
    MA_QUIC_V1 = 461,
    MA_WEBTRANSPORT = 465,
    MA_CERTHASH = 466,
    MA_WS = 477,
    MA_WSS = 478,
    MA_WEBRTC_DIRECT = 280
};
typedef struct multiaddr {
    uint16_t len;
    uint8_t data[MULTIADDR_MAX_BYTES];
} multiaddr_t;
typedef struct multiaddr_part {
    uint32_t code;
    bytes_t value; /* without the length prefix; borrowed from the multiaddr */
} multiaddr_part_t;
MUST_CHECK err_t multiaddr_parse(const char *text, multiaddr_t *ret);
MUST_CHECK err_t multiaddr_decode(bytes_t in, multiaddr_t *ret); /* validates each part */
const char *multiaddr_print(const multiaddr_t *m, char out[MULTIADDR_TEXT_MAX]);
bool multiaddr_equal(const multiaddr_t *a, const multiaddr_t *b);
static inline bytes_t multiaddr_bytes(const multiaddr_t *m)
{
    return bytes_of(m->data, m->len);
}
/* for (size_t i = 0; multiaddr_next(m, &i, &part);) */
bool multiaddr_next(const multiaddr_t *m, size_t *iter, multiaddr_part_t *ret_part);
bool multiaddr_find(const multiaddr_t *m, uint32_t code, multiaddr_part_t *ret_part);
/* value: in binary form, without its length. m is left as it was on failure. */
MUST_CHECK err_t multiaddr_append(multiaddr_t *m, uint32_t code, bytes_t value);
/* The last /p2p/ID behind a relay's /p2p-circuit, if there is one: whom the address reaches.
 * ERR_NOT_FOUND when it names nobody. */
MUST_CHECK err_t multiaddr_peer(const multiaddr_t *m, peer_id_t *ret_id);
MUST_CHECK err_t multiaddr_with_peer(const multiaddr_t *m, const peer_id_t *id, multiaddr_t *ret);
void multiaddr_without_peer(const multiaddr_t *m, multiaddr_t *ret); /* drops a last /p2p/ID */
/* /ip4|ip6/…/tcp/… exactly (a /p2p/ at the end allowed): family 4 or 6, ip, port. ERR_UNSUPPORTED for
 * anything else. */
MUST_CHECK err_t multiaddr_tcp_endpoint(const multiaddr_t *m, uint8_t *ret_family, uint8_t ret_ip[16],
                                        uint16_t *ret_port);
MUST_CHECK err_t multiaddr_from_tcp(uint8_t family, const uint8_t *ip, uint16_t port, multiaddr_t *ret);
bool multiaddr_is_circuit(const multiaddr_t *m); /* through a relay: it has a /p2p-circuit */
/* The same of /ip4|ip6/…/udp/…/quic-v1. */
MUST_CHECK err_t multiaddr_quic_endpoint(const multiaddr_t *m, uint8_t *ret_family, uint8_t ret_ip[16],
                                         uint16_t *ret_port);
MUST_CHECK err_t multiaddr_from_quic(uint8_t family, const uint8_t *ip, uint16_t port, multiaddr_t *ret);
bool multiaddr_is_loopback(const multiaddr_t *m);
bool multiaddr_is_private(const multiaddr_t *m); /* private, link local, loopback or unspecified IPs */
#endif
