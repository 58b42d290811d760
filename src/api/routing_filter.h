/* routing_filter: which peers and addresses a client of /routing/v1 wants to hear of. Spec: IPIP-0484. */
#ifndef API_ROUTING_FILTER_H
#define API_ROUTING_FILTER_H
#include "multi/multiaddr.h"

enum { ROUTING_FILTER_MAX_BYTES = 1024, ROUTING_FILTER_NAMES = 32 };
typedef struct routing_filter {
    char text[ROUTING_FILTER_MAX_BYTES]; /* lower case, its commas replaced by NUL */
    const char *names[ROUTING_FILTER_NAMES];
    size_t n; /* 0: everything passes */
} routing_filter_t;
/* "tcp,!p2p-circuit,unknown". ERR_USAGE: too long. text may be NULL. */
MUST_CHECK err_t routing_filter_parse(const char *text, routing_filter_t *ret);
/* Does the address have a protocol that is wanted, and none that is not? */
bool routing_filter_addr(const routing_filter_t *f, const multiaddr_t *addr);
/* Does a peer without any address, or without any known protocol, pass? */
bool routing_filter_unknown(const routing_filter_t *f);
#endif
