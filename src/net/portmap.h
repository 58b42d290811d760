/* portmap: asks the router of the local network for ports, so that others can dial this node through its NAT,
 * and keeps them: PCP, else NAT-PMP (wire/portmap.h), else UPnP (wire/upnp.h). IPv4; TCP and UDP.
 *
 * Every port that is listened on at a private address is mapped, for an hour, renewed after half of it; a
 * router that refuses or is silent is asked again after a minute, then ever more rarely, up to half an hour.
 * What was mapped is among the host's addresses; whether others can really dial it is for AutoNAT to find
 * out. Nothing is asked while only loopback, or nothing, is listened on. The router is believed about nothing
 * but its own mappings. */
#ifndef NET_PORTMAP_H
#define NET_PORTMAP_H
#include "net/host.h"

typedef struct portmap portmap_t;
/* Borrows the host until portmap_stop. */
MUST_CHECK err_t portmap_start(host_t *h, portmap_t **ret);
void portmap_stop(task_t *t, portmap_t *p); /* removes the mappings, within a second; frees; NULL is fine */
/* "PCP", "NAT-PMP", "UPnP": what the router speaks; "" while nothing is mapped. */
const char *portmap_way(const portmap_t *p);
#endif
