/* resources: what the connections of a host may use, and do: a tree of scopes (base/scope.h) with one budget.
 * A connection that is being set up counts for "system" and "transient"; once its peer is known, for "system"
 * and that peer. A stream counts for its peer and "system", for "transient" until its protocol is known, then
 * for that protocol and its service, and for the peer's streams of these. Memory goes the same ways. A
 * service is some of libp2p's own protocols together: "libp2p.identify". What one connection and one stream
 * may take is limited by classes of their own. Whoever comes from an allowed network counts for scopes of its
 * own where those of the others are full. Names, members and defaults as in go-libp2p's resource manager
 * (p2p/host/resource-manager). */
#ifndef NET_RESOURCES_H
#define NET_RESOURCES_H
#include "base/scope.h"
#include "net/host.h"

typedef enum {
    SCOPE_SYSTEM,
    SCOPE_TRANSIENT,
    SCOPE_ALLOWED_SYSTEM,
    SCOPE_ALLOWED_TRANSIENT,
    SCOPE_PROTOCOL,      /* each of them, unless one has limits of its own */
    SCOPE_PROTOCOL_PEER, /* each peer's streams of each protocol */
    SCOPE_PEER,
    SCOPE_SERVICE,      /* each of them, unless one has limits of its own */
    SCOPE_SERVICE_PEER, /* each peer's streams of each service */
    SCOPE_CONN,         /* a single connection: memory, descriptor, directions */
    SCOPE_STREAM,       /* a single stream: memory, directions */
    SCOPE_CLASSES
} scope_class_t;

/* Limits of one protocol or service, of each peer's streams of one, or of one peer. */
typedef struct scope_named {
    scope_class_t class; /* SCOPE_PROTOCOL, SCOPE_SERVICE, each with _PEER; SCOPE_PEER */
    const char *name;    /* the protocol or service; the peer's ID as peer_id_print writes it; borrowed */
    scope_max_t max;
} scope_named_t;

typedef struct host_scopes {
    scope_max_t max[SCOPE_CLASSES];
    const scope_named_t *named; /* borrowed */
    size_t n_named;
} host_scopes_t;
/* What follows from the limits of a host that has no others. */
void host_scopes_default(const host_limits_t *limits, host_scopes_t *ret);
/* These hold from now on; what is open stays. Everything is copied. */
void host_set_scopes(host_t *h, const host_scopes_t *scopes);
/* Addresses like /ip4/10.0.0.0/ipcidr/8, /ip4/192.0.2.7/p2p/ID that get past "system" and "transient".
 * ERR_INVALID, ERR_LIMIT. */
MUST_CHECK err_t host_allow_past_limits(host_t *h, const multiaddr_t *addr);

/* Each scope that is in use or has limits of its own: the system, transient, then services, protocols, peers.
 * name: the service, the protocol or the peer's ID, "" for the others; both borrowed until fn returns. */
void host_each_scope(const host_t *h,
                     void (*fn)(void *arg, scope_class_t class, const char *name, const scope_t *scope),
                     void *arg);
#endif
