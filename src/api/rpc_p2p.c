/* rpc_p2p: p2p/… Reference: ipfs/kubo core/commands/p2p.go, whose texts and order of checks these are. */
#include "api/rpc_util.h"
#include "net/tunnels.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "/x/"
enum { RESOLVE_MS = 10000 };

static err_t need_tunnels(rpc_t *r, tunnels_t **ret)
{
    if (!config_bool(repo_config(node_repo(r->node)), "Experimental.Libp2pStreamMounting", false))
        return fail(ERR_UNSUPPORTED, "libp2p stream mounting not enabled");
    TRY(rpc_need_online(r));
    *ret = node_tunnels(r->node);
    return *ret ? OK : fail(ERR_UNSUPPORTED, "libp2p stream mounting not enabled");
}

static err_t read_addr(const char *text, multiaddr_t *ret)
{
    err_t e = multiaddr_parse(text, ret);
    return e ? fail_also(e, "failed to parse multiaddr \"%.200s\"", text) : OK;
}

static err_t check_name(rpc_t *r, const char *protocol)
{
    if (!rpc_bool(r, "allow-custom-protocol", false) && strncmp(protocol, PREFIX, sizeof PREFIX - 1))
        return fail(ERR_INVALID, "protocol name must be within '" PREFIX "' namespace");
    return OK;
}

static err_t check_port(const multiaddr_t *m)
{
    multiaddr_part_t port;
    if (!multiaddr_find(m, MA_TCP, &port) && !multiaddr_find(m, MA_UDP, &port))
        return fail(ERR_INVALID, "address does not contain tcp or udp protocol");
    return port.value.data[0] || port.value.data[1] ? OK : fail(ERR_INVALID, "port can not be 0");
}

/* ── listeners ───────────────────────────────────────────────────────────────────────────────── */
static bool is_numbered(const tunnel_t *tunnel, void *number)
{
    return tunnel->number == *(uint64_t *)number;
}

static err_t say_status(task_t *t, rpc_t *r, const char *status, const char *address)
{
    return rpc_emit(t, r,
                    json_pack("{s:s, s:o, s:o}", "Status", status, "Protocol", rpc_text_json(r->args[0]),
                              "Address", rpc_text_json(address)));
}

/* With `foreground` it lives as long as the request, or until somebody ends it. */
static err_t stay(task_t *t, rpc_t *r, tunnels_t *ts, uint64_t number, const char *address)
{
    if (!rpc_bool(r, "foreground", false))
        return OK;
    err_t e = say_status(t, r, "active", address);
    while (!e && tunnels_has(ts, number))
        e = event_wait(t, tunnels_changed(ts));
    if (!e)
        return say_status(t, r, "closing", address);
    tunnels_end(ts, is_numbered, &number);
    return e;
}

static err_t rpc_p2p_listen(task_t *t, rpc_t *r)
{
    tunnels_t *ts;
    const tunnel_t *tunnel;
    multiaddr_t target;
    TRY(need_tunnels(r, &ts));
    TRY(read_addr(r->args[1], &target));
    TRY(check_port(&target));
    TRY(check_name(r, r->args[0]));
    TRY(tunnels_listen(ts, r->args[0], &target, rpc_bool(r, "report-peer-id", false), &tunnel));
    return stay(t, r, ts, tunnel->number, r->args[1]);
}

/* The peer at the end of an address, which may be a name (/dnsaddr/…); its addresses are remembered. */
static err_t find_peer(task_t *t, rpc_t *r, const char *text, peer_id_t *ret)
{
    multiaddr_t m, bare;
    conn_t *c;
    TRY(read_addr(text, &m));
    if (!multiaddr_peer(&m, ret)) {
        multiaddr_without_peer(&m, &bare);
        if (bare.len)
            peerstore_add_addrs(host_peerstore(node_host(r->node)), ret, &bare, 1, ADDR_TTL_TEMP_MS);
        return OK;
    }
    deadline_t d = deadline_push(t, RESOLVE_MS);
    err_t e = host_meet(t, node_host(r->node), &m, &c);
    deadline_pop(t, &d);
    if (e)
        return fail_also(e, "fail to resolve the multiaddr:%.200s", text);
    *ret = *conn_peer(c);
    conn_release(c);
    return OK;
}

static err_t rpc_p2p_forward(task_t *t, rpc_t *r)
{
    tunnels_t *ts;
    const tunnel_t *tunnel;
    multiaddr_t at;
    peer_id_t peer;
    TRY(need_tunnels(r, &ts));
    TRY(read_addr(r->args[1], &at));
    TRY(find_peer(t, r, r->args[2], &peer));
    TRY(check_name(r, r->args[0]));
    TRY(tunnels_forward(ts, r->args[0], &at, &peer, &tunnel));
    return stay(t, r, ts, tunnel->number, r->args[1]);
}

static json_t *addr_json(const multiaddr_t *m)
{
    char text[MULTIADDR_TEXT_MAX];
    return rpc_text_json(multiaddr_print(m, text));
}

static bool add_tunnel(const tunnel_t *tunnel, void *list)
{
    return !json_array_append_new(
        list, json_pack("{s:o, s:o, s:o}", "Protocol", rpc_text_json(tunnel->protocol), "ListenAddress",
                        addr_json(&tunnel->listen), "TargetAddress", addr_json(&tunnel->target)));
}

/* As the reference writes a list that may be empty. */
static json_t *list_or_null(json_t *list)
{
    if (json_array_size(list))
        return list;
    json_decref(list);
    return json_null();
}

static err_t rpc_p2p_ls(task_t *t, rpc_t *r)
{
    tunnels_t *ts;
    TRY(need_tunnels(r, &ts));
    json_t *list = json_array();
    tunnels_each(ts, add_tunnel, list);
    return rpc_emit(t, r, json_pack("{s:o}", "Listeners", list_or_null(list)));
}

typedef struct wanted {
    const char *protocol; /* NULL: any */
    bool has_listen, has_target;
    multiaddr_t listen, target;
} wanted_t;

static bool is_wanted(const tunnel_t *tunnel, void *arg)
{
    const wanted_t *w = arg;
    return (!w->protocol || !strcmp(w->protocol, tunnel->protocol)) &&
           (!w->has_listen || multiaddr_equal(&w->listen, &tunnel->listen)) &&
           (!w->has_target || multiaddr_equal(&w->target, &tunnel->target));
}

static err_t addr_option(rpc_t *r, const char *name, multiaddr_t *ret, bool *ret_has)
{
    const char *text = rpc_option(r, name);
    *ret_has = text != NULL;
    return text ? read_addr(text, ret) : OK;
}

static err_t rpc_p2p_close(task_t *t, rpc_t *r)
{
    tunnels_t *ts;
    wanted_t w = {.protocol = rpc_option(r, "protocol")};
    bool all = rpc_bool(r, "all", false);
    TRY(need_tunnels(r, &ts));
    TRY(addr_option(r, "listen-address", &w.listen, &w.has_listen));
    TRY(addr_option(r, "target-address", &w.target, &w.has_target));
    bool some = w.protocol || w.has_listen || w.has_target;
    if (!all && !some)
        return fail(ERR_INVALID, "no matching options given");
    if (all && some)
        return fail(ERR_INVALID, "can't combine --all with other matching options");
    return rpc_emit(t, r, json_integer((json_int_t)tunnels_end(ts, is_wanted, &w)));
}

/* ── streams ─────────────────────────────────────────────────────────────────────────────────── */
static bool add_stream(const tunnel_stream_t *s, void *list)
{
    char id[24];
    snprintf(id, sizeof id, "%" PRIu64, s->id);
    return !json_array_append_new(
        list, json_pack("{s:s, s:o, s:o, s:o}", "HandlerID", id, "Protocol", rpc_text_json(s->protocol),
                        "OriginAddress", addr_json(&s->origin), "TargetAddress", addr_json(&s->target)));
}

static err_t rpc_p2p_streams(task_t *t, rpc_t *r)
{
    tunnels_t *ts;
    TRY(need_tunnels(r, &ts));
    json_t *list = json_array();
    tunnels_each_stream(ts, add_stream, list);
    return rpc_emit(t, r, json_pack("{s:o}", "Streams", list_or_null(list)));
}

static err_t rpc_p2p_cut(task_t *t, rpc_t *r)
{
    tunnels_t *ts;
    uint64_t id;
    char *end;
    TRY(need_tunnels(r, &ts));
    if (rpc_bool(r, "all", false)) {
        tunnels_cut(ts, NULL);
        return OK;
    }
    if (!r->n_args)
        return fail(ERR_INVALID, "no id specified");
    const char *text = r->args[0];
    errno = 0;
    id = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return fail(ERR_INVALID, "strconv.ParseUint: parsing \"%.60s\": invalid syntax", text);
    if (errno)
        return fail(ERR_INVALID, "strconv.ParseUint: parsing \"%.60s\": value out of range", text);
    tunnels_cut(ts, &id);
    return OK;
}

const rpc_command_t rpc_p2p_commands[] = {
    {"p2p/close", rpc_p2p_close, 0, 0, NULL},
    {"p2p/forward", rpc_p2p_forward, 3, 3, "protocol"},
    {"p2p/listen", rpc_p2p_listen, 2, 2, "protocol"},
    {"p2p/ls", rpc_p2p_ls, 0, 0, NULL},
    {"p2p/stream/close", rpc_p2p_cut, 0, 1, NULL},
    {"p2p/stream/ls", rpc_p2p_streams, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
