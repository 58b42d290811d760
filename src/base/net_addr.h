/* net_addr: an IP endpoint, as drivers and the engines of datagram protocols know it. */
#ifndef BASE_NET_ADDR_H
#define BASE_NET_ADDR_H
#include "base/bytes.h"
#include "base/error.h"

typedef struct net_addr {
    uint8_t family; /* 4 or 6 */
    uint8_t ip[16]; /* network order; IPv4 in the first 4 */
    uint16_t port;  /* host order */
    uint32_t scope; /* IPv6 zone index; of a multicast group: the interface; 0 when none */
} net_addr_t;
#define NET_ADDR_TEXT_MAX 64
/* "127.0.0.1:4001", "[::1]:4001" */
const char *net_addr_print(const net_addr_t *a, char out[NET_ADDR_TEXT_MAX]);
/* "IP:PORT", "[IP6]:PORT", ":PORT" (0.0.0.0), no names. ERR_INVALID. */
MUST_CHECK err_t net_addr_parse(const char *text, net_addr_t *ret_addr);
bool net_addr_equal(const net_addr_t *a, const net_addr_t *b);
bool net_addr_same_ip(const net_addr_t *a, const net_addr_t *b); /* whatever port and scope */
/* Whoever shares this much of an address is taken for one: IPv4 (mapped into IPv6, too) whole, 4 bytes, of
 * IPv6 the /64, 8 bytes. Borrowed. */
bytes_t net_addr_place(const net_addr_t *a);
bool net_addr_is_any(const net_addr_t *a); /* 0.0.0.0, [::] */
bool net_addr_is_loopback(const net_addr_t *a);
bool net_addr_is_private(const net_addr_t *a); /* RFC 1918, ULA, link local, loopback */
#endif
