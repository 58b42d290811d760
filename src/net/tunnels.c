#include "net/tunnels.h"
#include "base/log.h"
#include "net/splice.h"
#include "web/dial_name.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_BYTES = 32 << 10, DIAL_MS = 30000, ACCEPT_AGAIN_MS = 1000 };

struct tunnels {
    host_t *host;
    group_t tasks; /* accepting, and the streams of those who were accepted */
    list_t forwards, services, streams;
    size_t count, n_streams;
    uint64_t next_number, next_stream;
    event_t changed;
};

tunnels_t *tunnels_new(host_t *h)
{
    tunnels_t *ts = xcalloc(1, sizeof *ts);
    ts->host = h;
    group_init(&ts->tasks, host_sched(h));
    list_init(&ts->forwards);
    list_init(&ts->services);
    list_init(&ts->streams);
    event_init(&ts->changed);
    return ts;
}

static void end_tunnel(tunnel_t *tunnel)
{
    tunnels_t *ts = tunnel->owner;
    list_remove(&tunnel->node);
    ts->count--;
    if (tunnel->is_service) {
        host_unhandle(ts->host, tunnel->protocol);
        free(tunnel);
    } else {
        listener_close(tunnel->listener); /* its task frees it */
        tunnel->listener = NULL;
    }
    event_fire(&ts->changed);
}

void tunnels_close(task_t *t, tunnels_t *ts)
{
    if (!ts)
        return;
    tunnels_end(ts, NULL, NULL);
    tunnels_cut(ts, NULL);
    group_stop(t, &ts->tasks);
    group_deinit(&ts->tasks);
    task_shield(t);
    while (ts->n_streams && !event_wait(t, &ts->changed)) /* those that peers opened are tasks of the host */
        ;
    task_unshield(t);
    assert(!ts->n_streams);
    free(ts);
}

/* ── streams ─────────────────────────────────────────────────────────────────────────────────── */
static err_t dial_target(task_t *t, const multiaddr_t *target, stream_t **ret)
{
    net_addr_t at = {0};
    multiaddr_part_t name, port;
    char host[HOST_NAME_MAX_BYTES];
    if (!multiaddr_tcp_endpoint(target, &at.family, at.ip, &at.port))
        return net_dial(t, &at, ret);
    bool has_name = multiaddr_find(target, MA_DNS, &name) || multiaddr_find(target, MA_DNS4, &name) ||
                    multiaddr_find(target, MA_DNS6, &name);
    if (!has_name || !multiaddr_find(target, MA_TCP, &port) || name.value.len >= sizeof host)
        return fail(ERR_UNSUPPORTED, "only addresses of TCP can be forwarded to");
    memcpy(host, name.value.data, name.value.len);
    host[name.value.len] = 0;
    return net_dial_name(t, host, (uint16_t)(port.value.data[0] << 8 | port.value.data[1]), ret);
}

static err_t new_stream(const tunnel_t *tunnel, tunnel_stream_t **ret)
{
    tunnels_t *ts = tunnel->owner;
    if (ts->n_streams == TUNNEL_STREAMS_MAX)
        return fail(ERR_LIMIT, "%d streams are forwarded already", TUNNEL_STREAMS_MAX);
    tunnel_stream_t *s = xcalloc(1, sizeof *s);
    s->owner = ts;
    s->id = ts->next_stream++;
    s->tunnel = *tunnel;
    s->target = tunnel->target;
    memcpy(s->protocol, tunnel->protocol, sizeof s->protocol);
    list_push_back(&ts->streams, &s->node);
    ts->n_streams++;
    *ret = s;
    return OK;
}

static void free_stream(tunnel_stream_t *s)
{
    tunnels_t *ts = s->owner;
    list_remove(&s->node);
    ts->n_streams--;
    stream_close(s->local);
    free(s);
    event_fire(&ts->changed);
}

/* A forwarded connection is in use while it is silent, too: those who trim connections must not take its. */
static const char USE[] = "tunnel";

static void begin_use(tunnel_stream_t *s, const peer_id_t *user)
{
    s->is_open = true;
    s->user = *user;
    host_protect(s->owner->host, user, USE);
}

static void end_use(tunnel_stream_t *s)
{
    s->is_open = false;
    LIST_EACH (other, &s->owner->streams, const tunnel_stream_t, node)
        if (other->is_open && peer_id_equal(&other->user, &s->user))
            return;
    host_unprotect(s->owner->host, &s->user, USE);
}

/* The remote end stays the caller's. */
static err_t carry(task_t *t, tunnel_stream_t *s, const peer_id_t *user, stream_t *remote)
{
    splice_options_t o = {.max_bytes = UINT64_MAX, .buffer_bytes = BUFFER_BYTES};
    begin_use(s, user);
    err_t e = splice(t, s->local, remote, &o);
    end_use(s);
    if (e)
        stream_reset(remote); /* the local end is closed */
    return e;
}

/* ── services ────────────────────────────────────────────────────────────────────────────────── */
static err_t greet(task_t *t, stream_t *s, const peer_id_t *peer)
{
    char line[PEER_ID_TEXT_MAX + 1], text[PEER_ID_TEXT_MAX];
    snprintf(line, sizeof line, "%s\n", peer_id_print(peer, text));
    return stream_write(t, s, bytes_str(line));
}

static err_t dial_within(task_t *t, const multiaddr_t *target, stream_t **ret)
{
    deadline_t d = deadline_push(t, DIAL_MS);
    err_t e = dial_target(t, target, ret);
    deadline_pop(t, &d);
    return e;
}

static err_t serve_stream(task_t *t, tunnel_stream_t *s, stream_t *remote, conn_t *from)
{
    multiaddr_t none = {0};
    TRY(multiaddr_with_peer(&none, conn_peer(from), &s->origin));
    TRY(dial_within(t, &s->target, &s->local));
    if (s->tunnel.tells_peer)
        TRY(greet(t, s->local, conn_peer(from)));
    return carry(t, s, conn_peer(from), remote);
}

static tunnel_t *find_service(const tunnels_t *ts, const char *protocol)
{
    LIST_EACH (tunnel, &ts->services, tunnel_t, node)
        if (!strcmp(tunnel->protocol, protocol))
            return tunnel;
    return NULL;
}

/* No peer takes the room of all others. */
static err_t check_share(const tunnels_t *ts, const peer_id_t *peer)
{
    size_t n = 0;
    LIST_EACH (s, &ts->streams, tunnel_stream_t, node)
        n += s->tunnel.is_service && peer_id_equal(&s->user, peer);
    return n < TUNNEL_STREAMS_PER_PEER
               ? OK
               : fail(ERR_LIMIT, "%d streams of this peer are forwarded already", TUNNEL_STREAMS_PER_PEER);
}

static err_t serve(task_t *t, stream_t *remote, conn_t *from, const char *protocol, void *arg)
{
    const tunnel_t *tunnel = find_service(arg, protocol);
    tunnel_stream_t *s;
    if (!tunnel)
        return fail(ERR_CLOSED, "the service has ended");
    TRY(check_share(arg, conn_peer(from)));
    TRY(new_stream(tunnel, &s));
    s->user = *conn_peer(from);
    s->task = t;
    err_t e = serve_stream(t, s, remote, from);
    free_stream(s);
    return e;
}

static err_t new_tunnel(tunnels_t *ts, const char *protocol, tunnel_t **ret)
{
    if (ts->count == TUNNELS_MAX)
        return fail(ERR_LIMIT, "%d listeners are registered already", TUNNELS_MAX);
    if (!*protocol || strlen(protocol) > PROTOCOL_MAX_BYTES)
        return fail(ERR_INVALID, "a protocol name has 1 to %d bytes", PROTOCOL_MAX_BYTES);
    tunnel_t *tunnel = xcalloc(1, sizeof *tunnel);
    snprintf(tunnel->protocol, sizeof tunnel->protocol, "%s", protocol);
    tunnel->owner = ts;
    tunnel->number = ts->next_number++;
    *ret = tunnel;
    return OK;
}

static err_t check_free(const tunnels_t *ts, const char *protocol)
{
    const char *spoken[256];
    if (find_service(ts, protocol))
        return fail(ERR_EXISTS, "listener already registered");
    size_t n = host_protocols(ts->host, spoken, ARRAY_LEN(spoken));
    for (size_t i = 0; i < n; i++)
        if (!strcmp(spoken[i], protocol))
            return fail(ERR_INVALID, "this node itself speaks %.100s: choose another name", protocol);
    return OK;
}

err_t tunnels_listen(tunnels_t *ts, const char *protocol, const multiaddr_t *target, bool tells_peer,
                     const tunnel_t **ret_tunnel)
{
    tunnel_t *tunnel;
    multiaddr_t none = {0};
    TRY(check_free(ts, protocol));
    TRY(new_tunnel(ts, protocol, &tunnel));
    tunnel->is_service = true;
    tunnel->tells_peer = tells_peer;
    tunnel->target = *target;
    err_t e = multiaddr_with_peer(&none, host_id(ts->host), &tunnel->listen);
    if (!e)
        e = host_handle(ts->host, tunnel->protocol, NULL, serve, ts);
    if (e) {
        free(tunnel);
        return e;
    }
    list_push_back(&ts->services, &tunnel->node);
    ts->count++;
    *ret_tunnel = tunnel;
    return OK;
}

/* ── forwarding ──────────────────────────────────────────────────────────────────────────────── */
static err_t forward_one(task_t *t, tunnel_stream_t *s)
{
    const char *const protocols[] = {s->protocol};
    stream_t *remote;
    if (s->from.family)
        TRY(multiaddr_from_tcp(s->from.family, s->from.ip, s->from.port, &s->origin));
    else
        s->origin = s->tunnel.listen; /* who connects to a socket in the file system has no address */
    deadline_t d = deadline_push(t, DIAL_MS);
    err_t e = host_open_stream(t, s->owner->host, &s->tunnel.peer, protocols, 1, &remote, NULL);
    deadline_pop(t, &d);
    TRY(e);
    e = carry(t, s, &s->tunnel.peer, remote);
    stream_close(remote);
    return e;
}

static err_t run_forward(task_t *t, void *arg)
{
    tunnel_stream_t *s = arg;
    err_t e = forward_one(t, s);
    if (e)
        log_debug("a connection could not be forwarded", LOG_STR("protocol", s->protocol), LOG_ERR(e));
    free_stream(s);
    return OK;
}

static void take(const tunnel_t *tunnel, stream_t *local, const net_addr_t *from)
{
    tunnel_stream_t *s;
    err_t e = new_stream(tunnel, &s);
    if (e) {
        stream_reset(local);
        stream_close(local);
    } else {
        s->local = local;
        s->from = *from;
        e = group_spawn(&tunnel->owner->tasks, "tunnel", run_forward, s, &s->task);
        if (e)
            free_stream(s);
    }
    if (e)
        log_warn("a connection was not forwarded", LOG_STR("protocol", tunnel->protocol), LOG_ERR(e));
}

static err_t accept_all(task_t *t, void *arg)
{
    tunnel_t *tunnel = arg;
    while (tunnel->listener) {
        stream_t *local;
        net_addr_t from;
        err_t e = listener_accept(t, tunnel->listener, &local, &from);
        if (!e)
            take(tunnel, local, &from);
        else if (e == ERR_CLOSED || e == ERR_CANCELED || task_sleep(t, ACCEPT_AGAIN_MS))
            break;
    }
    if (tunnel->listener)
        end_tunnel(tunnel);
    free(tunnel);
    return OK;
}

static err_t read_place(const multiaddr_t *at, face_addr_t *ret)
{
    static const char unix_prefix[] = "/unix/";
    char text[MULTIADDR_TEXT_MAX];
    *ret = (face_addr_t){0};
    multiaddr_print(at, text);
    if (!strncmp(text, unix_prefix, sizeof unix_prefix - 1)) {
        const char *path = text + sizeof unix_prefix - 2; /* from its slash on */
        bool is_cut = snprintf(ret->path, sizeof ret->path, "%s", path) >= (int)sizeof ret->path;
        return is_cut ? fail(ERR_INVALID, "the path of a socket has at most %d bytes", SOCKET_PATH_MAX - 1)
                      : OK;
    }
    if (multiaddr_tcp_endpoint(at, &ret->ip.family, ret->ip.ip, &ret->ip.port))
        return fail(ERR_INVALID, "a listen address is /ip4/IP/tcp/PORT, /ip6/IP/tcp/PORT or /unix/PATH");
    return OK;
}

static err_t start_forward(tunnels_t *ts, tunnel_t *tunnel, const multiaddr_t *at)
{
    face_addr_t place;
    multiaddr_t none = {0};
    TRY(read_place(at, &place));
    TRY(multiaddr_with_peer(&none, &tunnel->peer, &tunnel->target));
    TRY(net_listen_face(sched_driver(host_sched(ts->host)), &place, &tunnel->listener));
    const net_addr_t *bound = &tunnel->listener->at;
    err_t e = OK;
    if (place.path[0])
        tunnel->listen = *at;
    else
        e = multiaddr_from_tcp(bound->family, bound->ip, bound->port, &tunnel->listen);
    if (!e)
        e = group_spawn(&ts->tasks, "tunnel listener", accept_all, tunnel, NULL);
    if (e)
        listener_close(tunnel->listener);
    return e;
}

err_t tunnels_forward(tunnels_t *ts, const char *protocol, const multiaddr_t *at, const peer_id_t *peer,
                      const tunnel_t **ret_tunnel)
{
    tunnel_t *tunnel;
    TRY(new_tunnel(ts, protocol, &tunnel));
    tunnel->peer = *peer;
    err_t e = start_forward(ts, tunnel, at);
    if (e) {
        free(tunnel);
        return e;
    }
    list_push_back(&ts->forwards, &tunnel->node);
    ts->count++;
    *ret_tunnel = tunnel;
    return OK;
}

/* ── looking and ending ──────────────────────────────────────────────────────────────────────── */
bool tunnels_has(const tunnels_t *ts, uint64_t number)
{
    const list_t *const lists[] = {&ts->forwards, &ts->services};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        LIST_EACH (tunnel, lists[i], tunnel_t, node)
            if (tunnel->number == number)
                return true;
    return false;
}

event_t *tunnels_changed(tunnels_t *ts)
{
    return &ts->changed;
}

static size_t end_in(list_t *list, tunnel_match_fn is_wanted, void *arg)
{
    size_t n = 0;
    for (list_t *at = list->next, *next; at != list; at = next) {
        tunnel_t *tunnel = LIST_ENTRY(at, tunnel_t, node);
        next = at->next;
        if (is_wanted && !is_wanted(tunnel, arg))
            continue;
        end_tunnel(tunnel);
        n++;
    }
    return n;
}

size_t tunnels_end(tunnels_t *ts, tunnel_match_fn is_wanted, void *arg)
{
    size_t n = end_in(&ts->forwards, is_wanted, arg);
    return n + end_in(&ts->services, is_wanted, arg);
}

void tunnels_each(const tunnels_t *ts, tunnel_match_fn fn, void *arg)
{
    const list_t *const lists[] = {&ts->forwards, &ts->services};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        LIST_EACH (tunnel, lists[i], tunnel_t, node)
            if (!fn(tunnel, arg))
                return;
}

void tunnels_each_stream(const tunnels_t *ts, bool (*fn)(const tunnel_stream_t *s, void *arg), void *arg)
{
    LIST_EACH (s, &ts->streams, tunnel_stream_t, node)
        if (s->is_open && !fn(s, arg))
            return;
}

void tunnels_cut(tunnels_t *ts, const uint64_t *id)
{
    LIST_EACH (s, &ts->streams, tunnel_stream_t, node)
        if (!id || s->id == *id)
            task_cancel(s->task);
}
