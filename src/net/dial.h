/* dial: from a peer to a connection. dial_addrs.c finds the addresses, dial.c races them. Not for other
 * folders. */
#ifndef NET_DIAL_H
#define NET_DIAL_H
#include "logic/dial_race.h"
#include "net/host_internal.h"

enum { DIAL_ADDRS_MAX = 32 };
typedef struct dial_want {
    const peer_id_t *peer;
    bool is_direct;          /* not through a relay */
    const multiaddr_t *only; /* NULL: whatever is known. This one is dialed even if it failed lately */
} dial_want_t;
typedef struct dial_addrs {
    size_t n;
    multiaddr_t addrs[DIAL_ADDRS_MAX];
    dial_choice_t choices[DIAL_ADDRS_MAX]; /* one for each, by index */
} dial_addrs_t;
/* ERR_UNREACHABLE: none, and why. */
MUST_CHECK err_t dial_addrs_find(task_t *t, host_t *h, const dial_want_t *want, dial_addrs_t *ret);
/* How dialing this one ended; ERR_CANCELED: another was faster. */
void dial_addr_ended(host_t *h, const peer_id_t *peer, const multiaddr_t *addr, err_t how);
/* No address that the names of the peer stand for led anywhere. */
void dial_names_ended(host_t *h, const peer_id_t *peer);
bool dial_is_name(const multiaddr_t *addr); /* /dns…: to be looked up */
#endif
