/* resources: limits, and the scopes of connections; see resources.h. */
#include "net/resources.h"
#include "base/log.h"
#include "net/host_internal.h"
#include <stdio.h>
#include <stdlib.h>

/* What one that is being set up takes: its task, the state of its handshake. */
enum { SETUP_BYTES = 32 << 10, TELL_EVERY_MS = 10000 };

/* ── limits ──────────────────────────────────────────────────────────────────────────────────── */
void host_scopes_default(const host_limits_t *limits, host_scopes_t *ret)
{
    host_scopes_t s = {.named = NULL};
    for (size_t i = 0; i < SCOPE_CLASSES; i++)
        s.max[i] = scope_max_none();
    s.max[SCOPE_SYSTEM].memory = limits->max_bytes;
    s.max[SCOPE_SYSTEM].conns = limits->max_conns;
    if (limits->max_fds)
        s.max[SCOPE_SYSTEM].fds = limits->max_fds;
    s.max[SCOPE_TRANSIENT].memory = limits->max_bytes / 4;
    s.max[SCOPE_TRANSIENT].conns_in = limits->max_inbound_pending;
    if (limits->max_fds)
        s.max[SCOPE_TRANSIENT].fds = limits->max_fds / 4;
    s.max[SCOPE_PROTOCOL_PEER].streams_in = limits->max_inbound_streams_per_protocol_per_peer;
    s.max[SCOPE_PEER].memory = limits->max_bytes_per_peer;
    s.max[SCOPE_PEER].conns = limits->max_conns_per_peer;
    *ret = s;
}

static void free_named(host_scopes_t *s)
{
    for (size_t i = 0; i < s->n_named; i++)
        free((char *)s->named[i].name);
    free((scope_named_t *)s->named);
    s->named = NULL;
    s->n_named = 0;
}

const scope_max_t *resources_named(const resources_t *r, scope_class_t class, const char *name)
{
    const host_scopes_t *s = &r->limits;
    for (size_t i = 0; i < s->n_named; i++)
        if (s->named[i].class == class && !strcmp(s->named[i].name, name))
            return &s->named[i].max;
    return NULL;
}

void resources_set_peer_max(const resources_t *r, peer_t *p)
{
    const scope_max_t *own = NULL;
    char text[PEER_ID_TEXT_MAX];
    if (r->limits.n_named)
        own = resources_named(r, SCOPE_PEER, peer_id_print(&p->id, text));
    p->scope.max = own ? own : &r->limits.max[SCOPE_PEER];
    p->scope.kind = own ? "Peer" : "PeerDefault";
    p->scope.memory.max = p->scope.max->memory;
}

const char *resources_hint(scope_class_t class)
{
    static const char *const hints[SCOPE_CLASSES] = {
        [SCOPE_SYSTEM] = "Swarm.ResourceMgr.MaxMemory",
        [SCOPE_TRANSIENT] = "Swarm.ResourceMgr.MaxMemory",
        [SCOPE_ALLOWED_SYSTEM] = "AllowlistedSystem.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_ALLOWED_TRANSIENT] = "AllowlistedTransient.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_PROTOCOL] = "ProtocolDefault.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_PROTOCOL_PEER] = "ProtocolPeerDefault.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_PEER] = "PeerDefault.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_SERVICE] = "ServiceDefault.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_SERVICE_PEER] = "ServicePeerDefault.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_CONN] = "Conn.Memory in libp2p-resource-limit-overrides.json",
        [SCOPE_STREAM] = "Stream.Memory in libp2p-resource-limit-overrides.json",
    };
    return hints[class];
}

void host_set_scopes(host_t *h, const host_scopes_t *scopes)
{
    resources_t *r = &h->resources;
    scope_named_t *named = xcalloc(scopes->n_named + 1, sizeof *named);
    for (size_t i = 0; i < scopes->n_named; i++) {
        named[i] = scopes->named[i];
        named[i].name = xstrdup(scopes->named[i].name);
    }
    free_named(&r->limits);
    r->limits = *scopes;
    r->limits.named = named;
    for (size_t i = 0; i < ARRAY_LEN(r->scopes); i++)
        r->scopes[i].memory.max = r->limits.max[i].memory;
    void *p;
    protocol_scopes_set_max(r);
    for (size_t i = 0; map_next(&h->peers, &i, NULL, &p);)
        resources_set_peer_max(r, p);
}

err_t host_allow_past_limits(host_t *h, const multiaddr_t *addr)
{
    return filters_allow_past_limits(h, addr);
}

void resources_init(host_t *h)
{
    static const char *const names[] = {"system", "transient", "allowlistedSystem", "allowlistedTransient"};
    static const char *const kinds[] = {"System", "Transient", "AllowlistedSystem", "AllowlistedTransient"};
    resources_t *r = &h->resources;
    host_scopes_default(&h->config.limits, &r->limits);
    for (size_t i = 0; i < ARRAY_LEN(r->scopes); i++) {
        bool is_root = i == SCOPE_SYSTEM || i == SCOPE_ALLOWED_SYSTEM;
        scope_init(&r->scopes[i], names[i], kinds[i], &r->limits.max[i],
                   is_root ? NULL : &r->scopes[i - 1].memory, resources_hint((scope_class_t)i));
    }
    protocol_scopes_init(r);
    const host_limits_t *limits = &h->config.limits;
    places_init(&r->places, &(places_config_t){.max_open = limits->max_inbound_per_ip,
                                               .max_pending = limits->max_pending_per_ip,
                                               .new_per_s = limits->new_conns_per_s,
                                               .new_at_once = limits->new_conns_at_once,
                                               .max_places = PLACES_MAX});
    resources_start_metrics(h);
}

void resources_deinit(host_t *h)
{
    resources_t *r = &h->resources;
    resources_stop_metrics(h);
    protocol_scopes_deinit(r);
    for (size_t i = ARRAY_LEN(r->scopes); i-- > 0;)
        scope_deinit(&r->scopes[i]);
    free_named(&r->limits);
    places_deinit(&r->places);
}

/* ── refusals ────────────────────────────────────────────────────────────────────────────────── */
void resources_refused(host_t *h, const scope_t *by, const char *resource, const char *direction)
{
    resources_t *r = &h->resources;
    error_slot_t why = *error_slot();
    metric_blocked(by ? by->name : "subnet", resource, direction);
    r->n_refused++;
    uint64_t now_ms = sched_now_ms(h->sched);
    if (now_ms >= r->told_ms) {
        log_warn("kept within the limits of resources", LOG_UINT("refused", r->n_refused),
                 LOG_STR("last", why.text));
        r->told_ms = now_ms + TELL_EVERY_MS;
        r->n_refused = 0;
    }
    *error_slot() = why;
}

/* ── connections ─────────────────────────────────────────────────────────────────────────────── */
const char *resources_direction(bool is_inbound)
{
    return is_inbound ? "inbound" : "outbound";
}

static scope_use_t conn_kind(const conn_use_t *u)
{
    return u->is_inbound ? SCOPE_CONNS_IN : SCOPE_CONNS_OUT;
}

err_t resources_check_one(const resources_t *r, scope_class_t class, const char *name, scope_use_t use,
                          bool has_fd, uint64_t bytes)
{
    scope_t one, *at = &one;
    scope_init(&one, name, class == SCOPE_CONN ? "Conn" : "Stream", &r->limits.max[class], NULL,
               resources_hint(class));
    TRY(scopes_charge(&at, 1, use, NULL));
    if (has_fd)
        TRY(scopes_charge(&at, 1, SCOPE_FDS, NULL));
    return limit_charge(&one.memory, bytes);
}

static err_t check_conn(conn_use_t *u, uint64_t bytes)
{
    return resources_check_one(&u->host->resources, SCOPE_CONN, "conn", conn_kind(u), u->has_fd, bytes);
}

/* One connection of its kind, with its descriptor, in these scopes, or nothing. */
static err_t charge_conn(const conn_use_t *u, scope_t *const *scopes, size_t n, scope_t **ret_full)
{
    TRY(scopes_charge(scopes, n, conn_kind(u), ret_full));
    err_t e = u->has_fd ? scopes_charge(scopes, n, SCOPE_FDS, ret_full) : OK;
    if (e)
        scopes_release(scopes, n, conn_kind(u));
    return e;
}

static void release_conn(const conn_use_t *u, scope_t *const *scopes, size_t n)
{
    scopes_release(scopes, n, conn_kind(u));
    if (u->has_fd)
        scopes_release(scopes, n, SCOPE_FDS);
}

static err_t begin_in(conn_use_t *u, scope_class_t system, scope_t **ret_full)
{
    resources_t *r = &u->host->resources;
    scope_t *both[] = {&r->scopes[system], &r->scopes[system + 1]};
    TRY(charge_conn(u, both, 2, ret_full));
    err_t e = limit_charge(&both[1]->memory, SETUP_BYTES);
    if (e) {
        release_conn(u, both, 2);
        *ret_full = both[1];
        return e;
    }
    u->system = both[0];
    u->transient = both[1];
    u->memory = SETUP_BYTES;
    return OK;
}

err_t conn_use_begin(host_t *h, bool is_inbound, bool has_fd, const net_addr_t *at, conn_use_t *ret)
{
    conn_use_t u = {.host = h, .is_inbound = is_inbound, .has_fd = has_fd};
    scope_t *full = NULL;
    bool is_allowed = at && addr_is_past_limits(h, at, NULL);
    err_t e = check_conn(&u, SETUP_BYTES);
    if (!e && is_inbound && at && !is_allowed)
        e = places_begin(&h->resources.places, at, sched_now_ms(h->sched));
    if (!e && is_inbound && at && !is_allowed) {
        u.is_placed = true;
        u.from = *at;
    }
    if (!e)
        e = begin_in(&u, SCOPE_SYSTEM, &full);
    if (e && is_allowed)
        e = begin_in(&u, SCOPE_ALLOWED_SYSTEM, &full);
    if (e && u.is_placed)
        places_ended(&h->resources.places, at, false);
    if (e) {
        resources_refused(h, full, "connection", resources_direction(is_inbound));
        return e;
    }
    *ret = u;
    return OK;
}

/* One from an allowed network whose peer is not among those allowed there: it has to find its place. */
static err_t leave_allowed(conn_use_t *u)
{
    conn_use_t normal = *u;
    scope_t *allowed[] = {u->system, u->transient}, *full = NULL;
    TRY(begin_in(&normal, SCOPE_SYSTEM, &full));
    release_conn(u, allowed, 2);
    limit_release(&u->transient->memory, u->memory);
    *u = normal;
    return OK;
}

err_t conn_use_attach(conn_use_t *u, struct peer *p, const multiaddr_t *remote, uint64_t bytes)
{
    net_addr_t at;
    scope_t *peer = &p->scope, *full = peer;
    err_t e = OK;
    if (u->system != &u->host->resources.scopes[SCOPE_SYSTEM] &&
        (net_addr_of_multiaddr(remote, &at) || !addr_is_past_limits(u->host, &at, &p->id)))
        e = leave_allowed(u);
    if (!e)
        e = check_conn(u, bytes);
    if (!e)
        e = charge_conn(u, &peer, 1, &full);
    if (!e) {
        e = limit_charge(&peer->memory, bytes);
        if (e)
            release_conn(u, &peer, 1);
    }
    if (e) {
        resources_refused(u->host, full, "connection", resources_direction(u->is_inbound));
        return e;
    }
    release_conn(u, &u->transient, 1);
    limit_release(&u->transient->memory, u->memory);
    if (u->is_placed)
        places_opened(&u->host->resources.places, &u->from);
    u->transient = NULL;
    u->peer = p;
    u->memory = bytes;
    metric_peer_conns(p->scope.used[conn_kind(u)] - 1, p->scope.used[conn_kind(u)], u->is_inbound);
    return OK;
}

void conn_use_end(conn_use_t *u)
{
    if (!u->host)
        return;
    if (u->is_placed)
        places_ended(&u->host->resources.places, &u->from, u->peer != NULL);
    scope_t *own = u->peer ? &u->peer->scope : u->transient, *both[] = {u->system, own};
    release_conn(u, both, 2);
    limit_release(&own->memory, u->memory);
    if (u->peer)
        metric_peer_conns(own->used[conn_kind(u)] + 1, own->used[conn_kind(u)], u->is_inbound);
    *u = (conn_use_t){.host = NULL};
}

err_t conn_use_check(host_t *h, bool is_inbound, peer_t *p)
{
    scope_t *both[] = {&h->resources.scopes[SCOPE_SYSTEM], &h->resources.scopes[SCOPE_TRANSIENT],
                       p ? &p->scope : NULL};
    scope_t *full = NULL;
    const conn_use_t u = {.is_inbound = is_inbound};
    err_t e = charge_conn(&u, both, ARRAY_LEN(both), &full);
    if (e) {
        resources_refused(h, full, "connection", resources_direction(is_inbound));
        return e;
    }
    release_conn(&u, both, ARRAY_LEN(both));
    return OK;
}

size_t conns_being_accepted(const host_t *h)
{
    return h->resources.scopes[SCOPE_TRANSIENT].used[SCOPE_CONNS_IN] +
           h->resources.scopes[SCOPE_ALLOWED_TRANSIENT].used[SCOPE_CONNS_IN];
}

/* ── looking at it ───────────────────────────────────────────────────────────────────────────── */
void host_each_scope(const host_t *h,
                     void (*fn)(void *arg, scope_class_t class, const char *name, const scope_t *scope),
                     void *arg)
{
    const resources_t *r = &h->resources;
    void *at;
    fn(arg, SCOPE_SYSTEM, "", &r->scopes[SCOPE_SYSTEM]);
    fn(arg, SCOPE_TRANSIENT, "", &r->scopes[SCOPE_TRANSIENT]);
    for (size_t i = 0; map_next(&r->services, &i, NULL, &at);) {
        const protocol_scope_t *p = at;
        fn(arg, SCOPE_SERVICE, p->name, &p->scope);
    }
    for (size_t i = 0; map_next(&r->protocols, &i, NULL, &at);) {
        const protocol_scope_t *p = at;
        fn(arg, SCOPE_PROTOCOL, p->name, &p->scope);
    }
    for (size_t i = 0; map_next(&h->peers, &i, NULL, &at);) {
        const peer_t *p = at;
        if (!scope_is_unused(&p->scope))
            fn(arg, SCOPE_PEER, p->scope_name + strlen("peer:"), &p->scope);
    }
}
