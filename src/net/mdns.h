/* mdns: finds peers of the local network and lets them find this node; connects to those found. The engine is
 * wire/mdns.h, over the groups 224.0.0.251 and ff02::fb of every interface that carries multicast.
 *
 * Sockets are open only while the host listens on an address that others can reach, so that a node on
 * loopback says nothing to its network. Interfaces that come later are joined within a minute. */
#ifndef NET_MDNS_H
#define NET_MDNS_H
#include "net/host.h"

typedef struct mdns_service mdns_service_t;
/* Borrows the host until mdns_stop. Never fails: without an interface it waits for one. */
mdns_service_t *mdns_start(host_t *h);
void mdns_stop(task_t *t, mdns_service_t *s); /* says goodbye, frees; NULL is fine */
/* Peers found so far, those found again included. */
uint64_t mdns_found_count(const mdns_service_t *s);
#endif
