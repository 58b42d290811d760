/* resources_streams: scopes of peers, protocols, services and streams; see resources.h. */
#include "net/host_internal.h"
#include "net/resources.h"
#include "wire/autonat.h"
#include "wire/dcutr.h"
#include "wire/identify.h"
#include "wire/relay.h"
#include <stdio.h>
#include <stdlib.h>

enum { STREAM_BYTES = 1024 }; /* what a stream takes, without what lies in it */

/* libp2p's own protocols, by the services that go-libp2p has them in. */
static const struct {
    const char *protocol, *service;
} services[] = {
    {PING_PROTOCOL, "libp2p.ping"},
    {IDENTIFY_PROTOCOL, "libp2p.identify"},
    {IDENTIFY_PUSH_PROTOCOL, "libp2p.identify"},
    {AUTONAT_PROTOCOL, "libp2p.autonat"},
    {AUTONAT2_DIAL_PROTOCOL, "libp2p.autonatv2"},
    {AUTONAT2_BACK_PROTOCOL, "libp2p.autonatv2"},
    {DCUTR_PROTOCOL, "libp2p.holepunch"},
    {RELAY_HOP_PROTOCOL, "libp2p.relay/v2"},
    {RELAY_STOP_PROTOCOL, "libp2p.relay/v2"},
};

static const char *service_of(const char *protocol)
{
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (!strcmp(services[i].protocol, protocol))
            return services[i].service;
    return NULL;
}

/* ── protocols and services ──────────────────────────────────────────────────────────────────── */
static void set_max(const resources_t *r, protocol_scope_t *p)
{
    scope_class_t class = p->is_service ? SCOPE_SERVICE : SCOPE_PROTOCOL, each_peer = class + 1;
    const scope_max_t *own = resources_named(r, class, p->name),
                      *own_peer = resources_named(r, each_peer, p->name);
    p->max = own ? *own : r->limits.max[class];
    p->peer_max = own_peer ? *own_peer : r->limits.max[each_peer];
    p->is_named = own_peer != NULL;
    p->scope.memory.max = p->max.memory;
}

static_assert(SCOPE_PROTOCOL + 1 == SCOPE_PROTOCOL_PEER && SCOPE_SERVICE + 1 == SCOPE_SERVICE_PEER,
              "each peer's class follows");

void protocol_scopes_set_max(resources_t *r)
{
    void *p;
    for (size_t i = 0; map_next(&r->protocols, &i, NULL, &p);)
        set_max(r, p);
    for (size_t i = 0; map_next(&r->services, &i, NULL, &p);)
        set_max(r, p);
}

void protocol_scopes_init(resources_t *r)
{
    map_init(&r->protocols, PROTOCOL_SCOPES_MAX);
    map_init(&r->services, SERVICE_SCOPES_MAX);
}

static void free_all(map_t *scopes)
{
    void *at;
    for (size_t i = 0; map_next(scopes, &i, NULL, &at);) {
        protocol_scope_t *p = at;
        scope_deinit(&p->scope);
        free(p->name);
        free(p->scope_name);
        free(p->peer_name);
        free(p);
    }
    map_deinit(scopes);
}

void protocol_scopes_deinit(resources_t *r)
{
    free_all(&r->protocols);
    free_all(&r->services);
}

static char *joined(const char *prefix, const char *name)
{
    size_t n = strlen(prefix) + strlen(name) + 1;
    char *text = xmalloc(n);
    snprintf(text, n, "%s%s", prefix, name);
    return text;
}

static err_t scope_of(resources_t *r, const char *name, bool is_service, protocol_scope_t **ret)
{
    map_t *all = is_service ? &r->services : &r->protocols;
    protocol_scope_t *p = map_get(all, bytes_str(name));
    if (!p) {
        p = xcalloc(1, sizeof *p);
        err_t e = map_put(all, bytes_str(name), p, NULL);
        if (e) {
            free(p);
            return e;
        }
        p->is_service = is_service;
        p->name = xstrdup(name);
        p->scope_name = joined(is_service ? "service:" : "protocol:", name);
        p->peer_name = joined(is_service ? "service-peer:" : "protocol-peer:", name);
        scope_init(&p->scope, p->scope_name, is_service ? "ServiceDefault" : "ProtocolDefault", &p->max, NULL,
                   resources_hint(is_service ? SCOPE_SERVICE : SCOPE_PROTOCOL));
        set_max(r, p);
    }
    *ret = p;
    return OK;
}

static err_t protocol_scope(resources_t *r, const char *name, protocol_scope_t **ret)
{
    protocol_scope_t *p;
    const char *service = service_of(name);
    TRY(scope_of(r, name, false, &p));
    if (service && !p->service) {
        TRY(scope_of(r, service, true, &p->service));
        p->scope.memory.beside = &p->service->scope.memory;
    }
    *ret = p;
    return OK;
}

/* ── a peer's streams of them ────────────────────────────────────────────────────────────────── */
static peer_protocol_t *peer_protocol_get(peer_t *p, protocol_scope_t *protocol)
{
    LIST_EACH (pp, &p->protocols, peer_protocol_t, node)
        if (pp->protocol == protocol)
            return pp;
    peer_protocol_t *pp = xcalloc(1, sizeof *pp);
    bool is_service = protocol->is_service;
    pp->protocol = protocol;
    if (protocol->service) {
        pp->service = peer_protocol_get(p, protocol->service);
        pp->service->n_under++;
    }
    scope_init(&pp->scope, protocol->peer_name, is_service ? "ServicePeerDefault" : "ProtocolPeerDefault",
               &protocol->peer_max, pp->service ? &pp->service->scope.memory : &p->scope.memory,
               resources_hint(is_service ? SCOPE_SERVICE_PEER : SCOPE_PROTOCOL_PEER));
    pp->scope.memory.is_inner = true;
    if (!is_service)
        pp->scope.memory.beside = &protocol->scope.memory;
    list_push_back(&p->protocols, &pp->node);
    return pp;
}

static void peer_protocol_put(peer_protocol_t *pp)
{
    if (!scope_is_unused(&pp->scope))
        return;
    peer_protocol_t *service = pp->service;
    list_remove(&pp->node);
    scope_deinit(&pp->scope);
    free(pp);
    if (service && !--service->n_under)
        peer_protocol_put(service);
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
void peer_scope_init(peer_t *p)
{
    char text[PEER_ID_TEXT_MAX];
    resources_t *r = &p->host->resources;
    p->scope_name = joined("peer:", peer_id_print(&p->id, text));
    scope_init(&p->scope, p->scope_name, "PeerDefault", &r->limits.max[SCOPE_PEER],
               &r->scopes[SCOPE_SYSTEM].memory, resources_hint(SCOPE_PEER));
    resources_set_peer_max(r, p);
    list_init(&p->protocols);
}

void peer_scope_deinit(peer_t *p)
{
    assert(list_is_empty(&p->protocols));
    scope_deinit(&p->scope);
    free(p->scope_name);
}

/* ── streams ─────────────────────────────────────────────────────────────────────────────────── */
static scope_use_t stream_kind(const conn_stream_t *s)
{
    return s->is_inbound ? SCOPE_STREAMS_IN : SCOPE_STREAMS_OUT;
}

err_t stream_use_begin(conn_stream_t *s)
{
    host_t *h = s->conn->host;
    scope_t *all[] = {&s->conn->peer->scope, &h->resources.scopes[SCOPE_TRANSIENT],
                      &h->resources.scopes[SCOPE_SYSTEM]};
    scope_t *full = all[0];
    err_t e = resources_check_one(&h->resources, SCOPE_STREAM, "stream", stream_kind(s), false, STREAM_BYTES);
    if (!e)
        e = limit_charge(&all[0]->memory, STREAM_BYTES);
    if (!e) {
        e = scopes_charge(all, ARRAY_LEN(all), stream_kind(s), &full);
        if (e)
            limit_release(&all[0]->memory, STREAM_BYTES);
    }
    if (e) {
        resources_refused(h, full, "stream", resources_direction(s->is_inbound));
        return e;
    }
    s->is_charged = true;
    metric_peer_streams(all[0]->used[stream_kind(s)] - 1, all[0]->used[stream_kind(s)], s->is_inbound);
    return OK;
}

/* Where a stream of this protocol counts; NULL: nowhere. */
enum { PROTOCOL_SCOPES = 4 };
static void scopes_of(peer_protocol_t *pp, scope_t *ret[PROTOCOL_SCOPES])
{
    peer_protocol_t *service = pp->service;
    ret[0] = &pp->scope;
    ret[1] = &pp->protocol->scope;
    ret[2] = service ? &service->scope : NULL;
    ret[3] = service ? &service->protocol->scope : NULL;
}

/* What lies in the stream counts for its protocol from now on, and for itself if that is limited. */
static err_t move_memory(conn_stream_t *s, peer_protocol_t *pp)
{
    const resources_t *r = &s->conn->host->resources;
    const scope_max_t *max = &r->limits.max[SCOPE_STREAM];
    if (max->memory == SCOPE_UNLIMITED)
        return s->conn->mux->set_limit(s->mux, &pp->scope.memory);
    limit_t *own = xcalloc(1, sizeof *own);
    limit_init(own, "stream", &pp->scope.memory, max->memory);
    own->hint = resources_hint(SCOPE_STREAM);
    err_t e = s->conn->mux->set_limit(s->mux, own);
    if (e)
        free(own);
    else
        s->memory = own;
    return e;
}

err_t stream_use_set_protocol(conn_stream_t *s, const char *protocol, size_t max_inbound)
{
    protocol_scope_t *p;
    if (!s->is_charged || s->in_protocol)
        return OK;
    resources_t *r = &s->conn->host->resources;
    TRY(protocol_scope(r, protocol, &p));
    if (s->is_inbound && max_inbound && !p->is_named)
        p->peer_max.streams_in = max_inbound;
    peer_protocol_t *pp = peer_protocol_get(s->conn->peer, p);
    scope_t *all[PROTOCOL_SCOPES], *full = &pp->scope, *transient = &r->scopes[SCOPE_TRANSIENT];
    scopes_of(pp, all);
    err_t e = scopes_charge(all, PROTOCOL_SCOPES, stream_kind(s), &full);
    if (!e && (e = move_memory(s, pp)))
        scopes_release(all, PROTOCOL_SCOPES, stream_kind(s));
    if (e) {
        resources_refused(s->conn->host, full, "stream", resources_direction(s->is_inbound));
        peer_protocol_put(pp);
        return e;
    }
    s->in_protocol = pp;
    scopes_release(&transient, 1, stream_kind(s));
    return OK;
}

void stream_use_end(conn_stream_t *s)
{
    if (!s->is_charged)
        return;
    s->is_charged = false;
    resources_t *r = &s->conn->host->resources;
    peer_protocol_t *pp = s->in_protocol;
    scope_t *peer = &s->conn->peer->scope;
    scope_t *both[] = {peer, &r->scopes[SCOPE_SYSTEM]};
    scope_t *all[PROTOCOL_SCOPES] = {&r->scopes[SCOPE_TRANSIENT]};
    if (pp)
        scopes_of(pp, all);
    if (pp && s->mux && s->conn->mux->set_limit(s->mux, NULL))
        abort(); /* it only leaves */
    scopes_release(both, ARRAY_LEN(both), stream_kind(s));
    scopes_release(all, PROTOCOL_SCOPES, stream_kind(s));
    limit_release(&peer->memory, STREAM_BYTES);
    metric_peer_streams(peer->used[stream_kind(s)] + 1, peer->used[stream_kind(s)], s->is_inbound);
    s->in_protocol = NULL;
    free(s->memory);
    s->memory = NULL;
    if (pp)
        peer_protocol_put(pp);
}
