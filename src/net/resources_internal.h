/* resources_internal: how the files of net/ charge the scopes of resources.h. Not for other folders. */
#ifndef NET_RESOURCES_INTERNAL_H
#define NET_RESOURCES_INTERNAL_H
#include "base/list.h"
#include "base/map.h"
#include "logic/places.h"
#include "net/resources.h"

struct peer;
struct conn_stream;

/* What a connection holds, from before its first byte to its end. */
typedef struct conn_use {
    struct host *host; /* NULL: nothing */
    struct peer *peer; /* NULL: being set up, `transient` is charged */
    scope_t *system, *transient;
    bool is_inbound, has_fd;
    bool is_placed; /* counted at the place of `from` */
    net_addr_t from;
    uint64_t memory;
} conn_use_t;

/* A protocol, or a service: several of these. */
typedef struct protocol_scope {
    scope_t scope;
    scope_max_t max, peer_max;
    char *name, *scope_name, *peer_name;
    bool is_service, is_named;      /* named: has limits of its own for each peer */
    struct protocol_scope *service; /* of a protocol; NULL: none */
} protocol_scope_t;

/* A peer's streams of a protocol or service, while there are any. */
typedef struct peer_protocol {
    list_t node; /* in peer->protocols */
    protocol_scope_t *protocol;
    struct peer_protocol *service; /* of a protocol; NULL: none */
    size_t n_under;                /* of a service: protocols that have streams */
    scope_t scope;
} peer_protocol_t;

enum { PROTOCOL_SCOPES_MAX = 512, SERVICE_SCOPES_MAX = 16, PLACES_MAX = 32768 };

typedef struct resources {
    host_scopes_t limits; /* `named` is owned, with its names */
    scope_t scopes[SCOPE_ALLOWED_TRANSIENT + 1];
    map_t protocols, services; /* name -> protocol_scope_t */
    places_t places;
    uint64_t n_refused, told_ms;
} resources_t;

void resources_init(host_t *h);
void resources_deinit(host_t *h); /* asserts that nothing is used */

/* ── connections ─────────────────────────────────────────────────────────────────────────────── */
/* A connection is to be set up with `at` (NULL: through a relay). ERR_LIMIT names the scope, nothing is
 * charged then. The struct stays where it is, or is moved as a whole. */
MUST_CHECK err_t conn_use_begin(host_t *h, bool is_inbound, bool has_fd, const net_addr_t *at,
                                conn_use_t *ret);
/* It has turned out to be this peer's, and keeps about so many bytes. ERR_LIMIT: it goes on as it was. */
MUST_CHECK err_t conn_use_attach(conn_use_t *u, struct peer *p, const multiaddr_t *remote, uint64_t bytes);
void conn_use_end(conn_use_t *u); /* idempotent */
/* Is there room for one more, with this peer (NULL: somebody)? ERR_LIMIT names the scope. */
MUST_CHECK err_t conn_use_check(host_t *h, bool is_inbound, struct peer *p);
size_t conns_being_accepted(const host_t *h);

/* ── peers and streams ───────────────────────────────────────────────────────────────────────── */
void peer_scope_init(struct peer *p);
void peer_scope_deinit(struct peer *p);
/* ERR_LIMIT names the scope. */
MUST_CHECK err_t stream_use_begin(struct conn_stream *s);
/* Its protocol is known. max_inbound: of a peer, if the protocol has no limits of its own; 0: the default. */
MUST_CHECK err_t stream_use_set_protocol(struct conn_stream *s, const char *protocol, size_t max_inbound);
void stream_use_end(struct conn_stream *s); /* idempotent */
void protocol_scopes_init(resources_t *r);
void protocol_scopes_deinit(resources_t *r);
void protocol_scopes_set_max(resources_t *r); /* the limits are others now */

/* ── resources.c, for resources_streams.c ────────────────────────────────────────────────────── */
/* NULL: it has no limits of its own. */
const scope_max_t *resources_named(const resources_t *r, scope_class_t class, const char *name);
const char *resources_hint(scope_class_t class); /* what a refusal of memory says one can turn */
const char *resources_direction(bool is_inbound);
void resources_set_peer_max(const resources_t *r, struct peer *p);
/* May one connection or stream of this kind be, with so many bytes? ERR_LIMIT. */
MUST_CHECK err_t resources_check_one(const resources_t *r, scope_class_t class, const char *name,
                                     scope_use_t use, bool has_fd, uint64_t bytes);

/* A refusal: counted, and told in the log from time to time. resource: "connection", "stream", "memory". */
void resources_refused(host_t *h, const scope_t *by, const char *resource, const char *direction);
#endif
