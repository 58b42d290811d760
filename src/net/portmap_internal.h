/* portmap_internal: what portmap.c asks of the router, in whichever of its languages. */
#ifndef NET_PORTMAP_INTERNAL_H
#define NET_PORTMAP_INTERNAL_H
#include "task/driver.h"
#include "wire/portmap.h"
#include "wire/upnp.h"

enum { PORTMAPS_MAX = 16 };
typedef struct mapping {
    bool is_tcp;
    uint16_t inside_port,
        outside_port; /* outside: 0 before it is mapped, then kept at renewals if the router does */
} mapping_t;
typedef enum { WAY_NONE, WAY_PCP, WAY_NATPMP, WAY_UPNP } way_t;
typedef struct router {
    net_addr_t gateway, own; /* IPv4, ports 0 */
    way_t way;
    uint8_t outside_ip[4];
    uint8_t nonce[PCP_NONCE_BYTES];
    upnp_service_t upnp;
} router_t;

/* Finds out what the router speaks, with `m` as the first wish. ERR_UNREACHABLE: nothing. */
MUST_CHECK err_t router_find(task_t *t, router_t *r, const mapping_t *m);
/* Maps or renews: sets m->outside_port and the router's outside IP. lifetime_s: wished, then granted. */
MUST_CHECK err_t router_map(task_t *t, router_t *r, mapping_t *m, uint32_t *lifetime_s);
MUST_CHECK err_t router_unmap(task_t *t, router_t *r, const mapping_t *m);

/* portmap_upnp.c */
MUST_CHECK err_t upnp_find(task_t *t, router_t *r);
MUST_CHECK err_t upnp_map(task_t *t, router_t *r, mapping_t *m, uint32_t *lifetime_s);
MUST_CHECK err_t upnp_unmap(task_t *t, router_t *r, const mapping_t *m);
#endif
